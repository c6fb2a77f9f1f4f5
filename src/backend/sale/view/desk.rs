//! An order as the people of the desk may know it: its page, and what its machine shows of it.

use super::people::stands;
use crate::sale::books::{HistoryLine as Past, Stored};
use crate::sale::counted;
use qris_core::order::merchant::{Asker, End, Order, Proof, Repayment, Reported, Standing};
use qris_core::order::time::{Told, Wall, Zone};
use qris_core::order::tries::OFFERED_FOR;
use qris_core::wire::desk::{Deed, HistoryLine, LogLine, Noted, OrderPage, OrderStep, Screen, What};
use qris_core::wire::people::{OrderLine, Stands};

/// What stands behind the name of a person of the desk in the history of an order.
pub const MARK: &str = " (desk)";

/// The name without the mark, for people who look at the desk.
fn plain_name(by: &str) -> Box<str> {
    by.strip_suffix(MARK).unwrap_or(by).into()
}

/// Its page. Whoever knows what this person may offer adds that. `begun`: when each try after the first one began. `log`: what people of the
/// desk did about it.
#[must_use]
pub fn page(stored: &Stored, line: OrderLine, begun: &[Wall], history: Vec<Past>, log: Vec<(Wall, LogLine)>, zone: Zone) -> OrderPage {
    let order = &stored.order;
    let time = |at: Wall| -> Box<str> { at.to_rfc3339_in(zone).into() };
    OrderPage {
        line,
        version: stored.seen_as(),
        steps: steps(order, begun, &log, zone),
        again_until: None,
        again_shown: None,
        would_be_until: None,
        number: None,
        collect_until: order.ends_at().filter(|_| order.receipt().is_some()).map(time),
        refund_asked_again_at: refund_asked_again_at(order).map(time),
        history: history.into_iter().map(|Past { at, event }| HistoryLine { at: time(at), event: event.into() }).collect(),
        app: order.settlement().and_then(|by| by.parties.issuer.clone()),
        log: log.into_iter().map(|(_, line)| line).collect(),
    }
}

/// What happened, the oldest first.
fn steps(order: &Order, begun: &[Wall], log: &[(Wall, LogLine)], zone: Zone) -> Vec<OrderStep> {
    let time = |at: Wall| -> Box<str> { at.to_rfc3339_in(zone).into() };
    let step = |at: Option<Wall>, what| (at, OrderStep { at: at.map(time), what });
    let mut steps = vec![step(Some(order.created_at), What::Began)];
    if let Some(charge) = order.charge() {
        steps.push(step(Some(charge.charged_at), What::Charged { until: time(charge.expires_at) }));
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
                Asker::Automatic => None,
                Asker::Person(name) => name.clone(),
            };
            steps.push(step(None, What::RefundAsked { by }));
        }
        Some(Repayment::Refused { why, at, .. }) => steps.push(step(Some(*at), What::RefundRefused { why: why.clone() })),
        Some(Repayment::Done { at, .. }) => steps.push(step(Some(*at), What::Refunded)),
        Some(Repayment::ByHand { note, by, at, .. }) => {
            let by = by.as_deref().map(plain_name);
            steps.push(step(Some(*at), What::RefundedByHand { by, note: note.clone() }));
        }
        Some(Repayment::Given { by, at, .. }) => steps.push(step(Some(*at), What::Given { by: plain_name(by) })),
        Some(Repayment::Requested { .. }) | None if stands(order).is_unpaid() => steps.push(step(None, What::Unpaid)),
        Some(Repayment::Requested { .. }) | None => {}
    }
    if stands(order) == Stands::At(End::TakenBack) {
        steps.push(step(None, What::TakenBack));
    }
    // A step without a known time is the last.
    steps.sort_by_key(|(at, _)| at.unwrap_or(Wall(i64::MAX)));
    steps.into_iter().map(|(_, step)| step).collect()
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

/// `None`: the order is not on the screen any more.
#[must_use]
pub fn on_screen(order: &Order, now: Told, zone: Zone) -> Option<Screen> {
    match order.standing() {
        Standing::Charging => Some(Screen::Preparing),
        Standing::Payable => Some(Screen::Payable {
            order: order.id.clone(),
            amount: order.charge().map_or(order.sale.purchase.amount, |charge| charge.gross_amount).get(),
            until: order.ends_at().map(|at| at.to_rfc3339_in(zone)).unwrap_or_default().into(),
        }),
        // Its code was shown, and its customer may be on the way.
        Standing::Over | Standing::Held if order.is_over_the_counter() => None,
        Standing::Over | Standing::Held if order.receipt().is_some() && order.is_open() => Some(Screen::Paid { order: order.id.clone() }),
        Standing::Over if is_offered_at_once(order, now) || order.try_wanted_until(now).is_some() => {
            Some(Screen::TryAgain { order: order.id.clone() })
        }
        Standing::Over | Standing::Held | Standing::Ending => None,
    }
}

/// Whether its machine offers another try of it by itself, as it does when nothing came.
fn is_offered_at_once(order: &Order, now: Told) -> bool {
    order.try_again_until(now).is_some() && order.reported.as_ref().is_some_and(|reported| now.wall - reported.at < OFFERED_FOR)
}

/// Its machine offers another try of it, because somebody has asked for it.
#[must_use]
pub fn offered_again(order: &Order, now: Told) -> Option<Screen> {
    order.try_wanted_until(now).map(|_| Screen::TryAgain { order: order.id.clone() })
}
