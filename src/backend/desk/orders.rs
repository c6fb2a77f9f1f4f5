//! Orders for the desk: one in a list, and one with all that happened to it.

use super::sessions::Asker;
use super::{deeds, judge, log};
use crate::sale::books::{self, Beginning, BooksError, HistoryLine as Past, Policy, Stored};
use crate::sale::counted;
use crate::sale::view::people::{self, stands};
use crate::store::Tx;
use judge::Usual;
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::{Asker as RefundAsker, End, Order, Proof, Repayment, Reported};
use qris_core::order::time::{Wall, Zone};
use qris_core::wire::desk::{Deed, HistoryLine, LogLine, Noted, OrderPage, OrderStep, Possible, Problem, What};
use qris_core::wire::people::{NoEnd, OrderLine, Stands};

/// What an order is told with.
#[derive(Debug)]
pub struct Teller<'a> {
    pub policy: &'a Policy,
    pub asker: &'a Asker,
    pub usual: Usual,
    pub now: Wall,
}

impl Teller<'_> {
    fn zone(&self) -> Zone {
        self.usual.zone
    }

    pub(super) fn time(&self, at: Wall) -> Box<str> {
        at.to_rfc3339_in(self.zone()).into()
    }

    /// An order in a list. One that wants nobody has no deeds there.
    pub fn line(&self, tx: &mut dyn Tx, order: &Order) -> Result<OrderLine, BooksError> {
        let order = order.clone().as_of(self.now);
        let deeds = if order.attention().is_empty() { Vec::new() } else { self.deeds(tx, &order)? };
        Ok(OrderLine { deeds, ..people::line(&order, self.zone()) })
    }

    fn deeds(&self, tx: &mut dyn Tx, order: &Order) -> Result<Vec<Possible>, BooksError> {
        let left = judge::left(tx, &self.asker.person, Some(&order.id), self.usual, self.now)?;
        deeds::possible(tx, self.policy, order, &self.asker.person, left, self.now)
    }

    pub fn page(&self, tx: &mut dyn Tx, stored: &Stored) -> Result<OrderPage, BooksError> {
        let order = &stored.order;
        let (mut line, log) = (self.line(tx, order)?, log::of_order(tx, &order.id, self.zone())?);
        if line.deeds.is_empty() {
            line.deeds = self.deeds(tx, &order.clone().as_of(self.now))?;
        }
        let begun = books::tries_begun(tx, &order.id)?;
        // A person who could not press for it is told nothing of it.
        let may_offer = line.deeds.iter().any(|possible| possible.deed == Deed::Again && possible.denied.is_none());
        let offered = may_offer.then(|| books::would_be_offered_until(self.policy, order, &self.asker.person.name, self.now).ok());
        let again_until = books::try_offered_until(tx, self.policy, order, self.now)?;
        let history = books::history(tx, &order.id)?;
        let told = |Past { at, event }: Past| HistoryLine { at: self.time(at), event: event.into() };
        Ok(OrderPage {
            line,
            version: stored.seen_as(),
            steps: self.steps(order, &begun, &log),
            again_until: again_until.map(|until| self.time(until)),
            collect_until: order.ends_at().filter(|_| order.receipt().is_some()).map(|until| self.time(until)),
            would_be_until: offered.flatten().map(|until| self.time(until)),
            refund_asked_again_at: refund_asked_again_at(order).map(|at| self.time(at)),
            history: history.into_iter().map(told).collect(),
            app: order.settlement().and_then(|by| by.parties.issuer.clone()),
            log: log.into_iter().map(|(_, line)| line).collect(),
        })
    }

    /// `begun`: when each try after the first one began.
    fn steps(&self, order: &Order, begun: &[Wall], log: &[(Wall, LogLine)]) -> Vec<OrderStep> {
        let step = |at: Option<Wall>, what| (at, OrderStep { at: at.map(|at| self.time(at)), what });
        let mut steps = vec![step(Some(order.created_at), What::Began)];
        if let Some(charge) = order.charge() {
            steps.push(step(Some(charge.charged_at), What::Charged { until: self.time(charge.expires_at) }));
        }
        if let Some(by) = order.settlement() {
            // The gateway tells whole seconds, by its own clock.
            let after = order.charge().map_or(order.created_at, |charge| charge.charged_at);
            steps.push(step(Some(by.settled_at.max(after)), What::Paid { amount: counted::paid(order) }));
        }
        let ended = order.tries.ended.iter().map(|ended| (ended.goods.clone(), Some(&ended.reported)));
        for (number, (goods, reported)) in (1..).zip(ended.chain([(order.goods(), order.reported.as_ref())])) {
            if number > 1 {
                let purchase = &order.sale.purchase;
                let named = purchase.description.as_deref().filter(|_| goods.item == purchase.item);
                let goods = named.unwrap_or(goods.item.as_str()).into();
                steps.push(step(begun.get(number - 2).copied(), What::TriedAgain { number: u32::try_from(number).unwrap_or(0), goods }));
            }
            if let Some(Reported { report, at, .. }) = reported {
                let is_signed = matches!(report.proof, Proof::Signed { .. });
                steps.push(step(Some(*at), What::Told { outcome: report.outcome, reason: report.reason, is_signed }));
            }
        }
        for (at, line) in log.iter().filter(|(_, line)| line.what == Noted::Done(Deed::Again)) {
            steps.push(step(Some(*at), What::Offered { by: line.who.clone() }));
        }
        let asked: Vec<_> = log.iter().filter(|(_, line)| line.what == Noted::Done(Deed::Refund)).collect();
        for (at, line) in &asked {
            steps.push(step(Some(*at), What::RefundAsked { by: Some(line.who.clone()) }));
        }
        match order.repayment() {
            Some(Repayment::Requested { by, .. }) if asked.is_empty() => {
                let by = match by {
                    RefundAsker::Automatic => None,
                    RefundAsker::Person(name) => name.clone(),
                };
                steps.push(step(None, What::RefundAsked { by }));
            }
            Some(Repayment::Refused { why, at, .. }) => steps.push(step(Some(*at), What::RefundRefused { why: why.clone() })),
            Some(Repayment::Done { at, .. }) => steps.push(step(Some(*at), What::Refunded)),
            Some(Repayment::ByHand { note, by, at, .. }) => {
                let by = by.as_deref().map(deeds::plain_name);
                steps.push(step(Some(*at), What::RefundedByHand { by, note: note.clone() }));
            }
            Some(Repayment::Given { by, at, .. }) => steps.push(step(Some(*at), What::Given { by: deeds::plain_name(by) })),
            Some(Repayment::Requested { .. }) | None if stands(order) == Stands::Before(NoEnd::Unpaid) => {
                steps.push(step(None, What::Unpaid))
            }
            Some(Repayment::Requested { .. }) | None => {}
        }
        if stands(order) == Stands::At(End::TakenBack) {
            steps.push(step(None, What::TakenBack));
        }
        // A step without a known time is the last.
        steps.sort_by_key(|(at, _)| at.unwrap_or(Wall(i64::MAX)));
        steps.into_iter().map(|(_, step)| step).collect()
    }
}

/// When the gateway is asked again for a refund, after a call that brought no end.
fn refund_asked_again_at(order: &Order) -> Option<Wall> {
    match order.repayment() {
        Some(Repayment::Requested { tries: 1.., retry_at, .. }) => Some(*retry_at),
        Some(
            Repayment::Requested { tries: 0, .. }
            | Repayment::Refused { .. }
            | Repayment::Done { .. }
            | Repayment::ByHand { .. }
            | Repayment::Given { .. },
        )
        | None => None,
    }
}

/// The order of this number, or of its first letters.
///
/// # Errors
/// The database's; [`Problem::Unknown`], [`Problem::Several`], [`Problem::Archived`].
pub fn named(tx: &mut dyn Tx, beginning: &Beginning) -> Result<Result<Stored, Problem>, BooksError> {
    let mut found = books::beginning_with(tx, beginning)?;
    let (Some(id), true) = (found.pop(), found.is_empty()) else {
        return Ok(Err(if found.is_empty() { Problem::Unknown } else { Problem::Several }));
    };
    Ok(books::load(tx, &id)?.ok_or(Problem::Archived))
}

/// The page of an order that was just written.
///
/// # Errors
/// The database's; it is archived.
pub fn again(tx: &mut dyn Tx, teller: &Teller<'_>, id: &OrderId) -> Result<OrderPage, BooksError> {
    let stored = books::load(tx, id)?.ok_or(BooksError::Unknown)?;
    teller.page(tx, &stored)
}
