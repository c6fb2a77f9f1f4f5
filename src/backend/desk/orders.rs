//! Orders for the desk: one with all that happened to it, and those that a person looks for.

use super::answer::No;
use super::sessions::Asker;
use super::{deeds, judge, log};
use crate::sale::books::{self, Beginning, BooksError, Cursor, HistoryLine as Noted, Page, Policy, Sought, Stored};
use crate::sale::counted::{self, End};
use crate::store::Tx;
use crate::telling::wording;
use judge::Usual;
use qris_core::order::ids::{DeviceId, OrderId};
use qris_core::order::merchant::{Asker as RefundAsker, Attention, Money, Order, Proof, Repayment};
use qris_core::order::time::{Span, Wall, Zone};
use qris_core::wire::desk::{Deed, Found, HistoryLine, LogLine, OrderLine, OrderPage, SearchedBy, Stands, Step, What};

/// The orders on a page.
pub const PAGE: usize = 25;

/// What an order is told with.
#[derive(Debug)]
pub struct Teller<'a> {
    /// The merchant's decisions.
    pub policy: &'a Policy,
    /// Who looks.
    pub asker: &'a Asker,
    /// What people may do.
    pub usual: Usual,
    /// When.
    pub now: Wall,
}

impl Teller<'_> {
    fn zone(&self) -> Zone {
        self.usual.zone
    }

    fn time(&self, at: Wall) -> Box<str> {
        at.to_rfc3339_in(self.zone()).into()
    }

    /// An order in a list.
    ///
    /// # Errors
    /// The database's.
    pub fn line(&self, tx: &mut dyn Tx, order: &Order) -> Result<OrderLine, BooksError> {
        let order = order.clone().as_of(self.now);
        let left = judge::left(tx, &self.asker.person, Some(&order.id), self.usual, self.now)?;
        let purchase = &order.sale.purchase;
        Ok(OrderLine {
            order: order.id.clone(),
            at: self.time(order.created_at),
            device: order.sale.device.clone(),
            machine: purchase.machine.clone(),
            item: purchase.item.clone(),
            goods: purchase.description.clone(),
            amount: counted::paid(&order),
            stands: stands(&order),
            why: order.attention().into_iter().map(|kind| kind.as_str().into()).collect(),
            last_day: wording::last_day(&order, self.zone()).map(Into::into),
            deeds: deeds::possible(self.policy, &order, &self.asker.person, left, self.now),
        })
    }

    /// Everything about an order.
    ///
    /// # Errors
    /// The database's.
    pub fn page(&self, tx: &mut dyn Tx, stored: &Stored) -> Result<OrderPage, BooksError> {
        let order = &stored.order;
        let log = log::of_order(tx, &order.id, self.zone())?;
        let history = books::history(tx, &order.id)?;
        let told = |Noted { at, event }: Noted| HistoryLine { at: self.time(at), event: event.into() };
        Ok(OrderPage {
            line: self.line(tx, order)?,
            version: stored.version(),
            steps: self.steps(order, &log),
            history: history.into_iter().map(told).collect(),
            transaction: wording::transaction(order).map(Into::into),
            payment: order.sale.purchase.payment.as_str().into(),
            app: order.settlement().and_then(|by| by.parties.issuer.clone()),
            log,
        })
    }

    fn steps(&self, order: &Order, log: &[LogLine]) -> Vec<Step> {
        let step = |at: Option<Wall>, what| (at, Step { at: at.map(|at| self.time(at)), what });
        let mut steps = vec![step(Some(order.created_at), What::Began)];
        if let Some(charge) = order.charge() {
            steps.push(step(Some(charge.charged_at), What::Charged { until: self.time(charge.expires_at) }));
        }
        if let Some(by) = order.settlement() {
            // The gateway tells whole seconds, by its own clock.
            let after = order.charge().map_or(order.created_at, |charge| charge.charged_at);
            steps.push(step(Some(by.settled_at.max(after)), What::Paid { amount: counted::paid(order) }));
        }
        if let Some(told) = order.delivery() {
            let outcome = told.outcome.as_str().into();
            let reason = told.reason.map(|reason| reason.as_str().into());
            let is_signed = matches!(told.proof, Proof::Signed { .. });
            steps.push(step(order.reported_at(), What::Told { outcome, reason, is_signed }));
        }
        let asked: Vec<_> = log.iter().filter(|line| *line.what == *Deed::Refund.as_str()).collect();
        for line in &asked {
            steps.push(step(Wall::from_rfc3339(&line.at).ok(), What::RefundAsked { by: Some(line.who.clone()) }));
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
                steps.push(step(Some(*at), What::RefundedByHand { by: by.clone(), note: note.clone() }));
            }
            Some(Repayment::Given { by, at, .. }) => steps.push(step(Some(*at), What::Given { by: by.clone() })),
            Some(Repayment::Requested { .. }) | None if stands(order) == Stands::Unpaid => steps.push(step(None, What::Unpaid)),
            Some(Repayment::Requested { .. }) | None => {}
        }
        // What nobody noted the time of is the last.
        steps.sort_by_key(|(at, _)| at.unwrap_or(Wall(i64::MAX)));
        steps.into_iter().map(|(_, step)| step).collect()
    }
}

/// How an order stands, for people.
#[must_use]
pub fn stands(order: &Order) -> Stands {
    if order.settlement().is_none() && order.money() == Money::Unpaid {
        return match order.repayment() {
            Some(Repayment::ByHand { .. }) => Stands::RefundedByHand,
            Some(Repayment::Requested { .. } | Repayment::Refused { .. } | Repayment::Done { .. } | Repayment::Given { .. }) | None => {
                match (order.is_unconfirmed(), order.is_over()) {
                    (true, _) => Stands::Unconfirmed,
                    (false, true) => Stands::Unpaid,
                    (false, false) => Stands::Open,
                }
            }
        };
    }
    match (counted::end(order), order.repayment()) {
        (End::RefundDue, Some(Repayment::Requested { .. })) => Stands::Refunding,
        (End::RefundDue, _) => Stands::RefundDue,
        (End::Delivered, _) => Stands::Delivered,
        (End::Given, _) => Stands::Given,
        (End::Refunded, _) => Stands::Refunded,
        (End::RefundedByHand, _) => Stands::RefundedByHand,
        (End::Uncertain, _) => Stands::Uncertain,
        (End::Unreported, _) => Stands::Unreported,
        (End::Awaited, _) => Stands::Awaited,
        (End::TakenBack, _) => Stands::TakenBack,
    }
}

/// Whether money may be owed for it, for the order of a list.
#[must_use]
pub fn is_about_money(order: &Order) -> bool {
    let is_so = |kind: &Attention| match kind {
        Attention::RefundDue
        | Attention::NoProof
        | Attention::RefundFailed
        | Attention::Uncertain
        | Attention::Unreported
        | Attention::Mismatch
        | Attention::Conflict
        | Attention::RefundSoon
        | Attention::RefundLastDay
        | Attention::OnlyByHand => true,
        Attention::Suspect
        | Attention::Unconfirmed
        | Attention::PartialRefund
        | Attention::Chargeback
        | Attention::Reversed
        | Attention::LateFact => false,
    };
    order.is_refund_due() || order.attention().iter().any(is_so)
}

/// The order of this number, or of its first letters.
///
/// # Errors
/// The database's; [`No::Unknown`], [`No::Several`].
pub fn named(tx: &mut dyn Tx, beginning: &Beginning) -> Result<Result<Stored, No>, BooksError> {
    let mut found = books::beginning_with(tx, beginning)?;
    let (Some(id), true) = (found.pop(), found.is_empty()) else {
        return Ok(Err(if found.is_empty() { No::Unknown } else { No::Several }));
    };
    Ok(books::load(tx, &id)?.ok_or(No::Unknown))
}

/// What a person looks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Search {
    /// Perhaps the first letters of a number.
    pub number: Option<Beginning>,
    /// A sum.
    pub amount: Option<u64>,
    /// About this time.
    pub near: Option<Wall>,
    /// On that day, from its beginning to its end.
    pub day: Option<(Wall, Wall)>,
    /// Perhaps a machine.
    pub words: Option<Box<str>>,
}

impl Search {
    /// Reads what a person has typed.
    #[must_use]
    pub fn read(text: &str, zone: Zone, now: Wall) -> Self {
        let mut search = Self { number: text.parse().ok().filter(|beginning: &Beginning| !beginning.is_short()), ..Self::default() };
        let (mut time, mut words) = (None, Vec::new());
        for token in text.split_whitespace() {
            let lower = token.to_ascii_lowercase();
            let sum = lower.strip_prefix("rp").unwrap_or(&lower);
            if let (None, Some(read)) = (time, time_of_day(token)) {
                time = Some(read);
            } else if let (None, Some(day)) = (search.day, day(token, zone, now)) {
                search.day = Some((day, judge::days_before(day, -1)));
            } else if let (None, Some(amount)) = (search.amount, rupiah(sum)) {
                search.amount = Some(amount);
            } else if lower != "rp" {
                words.push(token);
            }
        }
        let today = judge::midnight(now, zone);
        search.near = time.map(|time: Span| match search.day {
            Some((day, _)) => day + time,
            // It is not to come yet.
            None if today + time > now => judge::days_before(today, 1) + time,
            None => today + time,
        });
        search.words = (!words.is_empty()).then(|| words.join(" ").into());
        search
    }

    /// Whether it says anything but a number or a machine.
    fn is_plain(&self) -> bool {
        self.amount.is_some() || self.near.is_some() || self.day.is_some()
    }
}

/// `15:04`
fn time_of_day(text: &str) -> Option<Span> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, most: i64| text.parse::<i64>().ok().filter(|number| text.len() <= 2 && (0..=most).contains(number));
    Some(Span::secs(number(hour, 23)? * 3600 + number(minute, 59).filter(|_| minute.len() == 2)? * 60))
}

/// `27-11`, `27/11`, `27-11-2026`, `2026-11-27`: the beginning of that day. Without a year it is not to come yet.
fn day(text: &str, zone: Zone, now: Wall) -> Option<Wall> {
    let parts: Vec<&str> = text.split(['-', '/']).collect();
    let at = |year: &str, month: &str, day: &str| Wall::from_local(&format!("{year}-{month:0>2}-{day:0>2} 00:00:00"), zone).ok();
    match parts[..] {
        [year, month, day] if year.len() == 4 => at(year, month, day),
        [day, month, year] if year.len() == 4 => at(year, month, day),
        [day, month] => {
            let this_year: i64 = now.to_local(zone).get(..4)?.parse().ok()?;
            let that = |year: i64| at(&year.to_string(), month, day);
            that(this_year).filter(|day| *day <= now).or_else(|| that(this_year - 1))
        }
        _ => None,
    }
}

/// `5000`, `5.000`
fn rupiah(text: &str) -> Option<u64> {
    let parts: Vec<&str> = text.split('.').collect();
    let are_groups = parts.len() == 1 || parts[1..].iter().all(|part| part.len() == 3) && (1..=3).contains(&parts[0].len());
    let digits = parts.concat();
    let is_number = are_groups && digits.len() <= 9 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|amount| is_number && *amount > 0)
}

/// The orders that somebody looks for.
///
/// # Errors
/// The database's.
pub fn found(
    tx: &mut dyn Tx,
    teller: &Teller<'_>,
    search: &Search,
    device: Option<DeviceId>,
    behind: Option<&Cursor>,
) -> Result<Found, BooksError> {
    let by_number = |tx: &mut dyn Tx| -> Result<Vec<Stored>, BooksError> {
        let Some(number) = &search.number else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for id in books::beginning_with(tx, number)? {
            all.extend(books::load(tx, &id)?);
        }
        Ok(all)
    };
    // What has a letter in it, and is no machine, is a number. A number of digits alone is a sum first.
    if device.is_none() && (search.words.is_some() || !search.is_plain()) {
        let stored = by_number(tx)?;
        if !stored.is_empty() {
            return by(
                tx,
                teller,
                &stored,
                SearchedBy { number: search.number.as_ref().map(|number| number.to_string().into()), ..SearchedBy::default() },
            );
        }
    }
    let is_unclear = search.words.is_some() && device.is_none();
    let sought = Sought { device: device.clone(), amount: search.amount.filter(|_| !is_unclear) };
    let understood = SearchedBy {
        number: None,
        amount: sought.amount,
        near: search.near.or(search.day.map(|(day, _)| day)).filter(|_| !is_unclear).map(|at| teller.time(at)),
        device,
        is_unclear,
    };
    if let Some(near) = search.near.filter(|_| !is_unclear) {
        let before = books::sought(tx, &sought, (Wall(i64::MIN), &Cursor::at(near)), PAGE)?.orders;
        let after = books::sought_from(tx, &sought, near, PAGE)?.orders;
        let mut all: Vec<_> = before.into_iter().chain(after).collect();
        all.sort_by_key(|stored| (stored.order.created_at - near).0.abs());
        all.truncate(PAGE);
        return by(tx, teller, &all, understood);
    }
    let (from, until) = search.day.filter(|_| !is_unclear).unwrap_or((Wall(i64::MIN), Wall(i64::MAX)));
    let newest = Cursor::at(until);
    let Page { orders, behind, .. } = books::sought(tx, &sought, (from, behind.unwrap_or(&newest)), PAGE)?;
    let mut found = by(tx, teller, &orders, understood)?;
    found.behind = behind.filter(|_| orders.len() == PAGE).map(|behind| behind.to_string().into());
    if found.orders.is_empty() && search.amount.is_some() {
        let stored = by_number(tx)?;
        if !stored.is_empty() {
            return by(
                tx,
                teller,
                &stored,
                SearchedBy { number: search.number.as_ref().map(|number| number.to_string().into()), ..SearchedBy::default() },
            );
        }
    }
    Ok(found)
}

fn by(tx: &mut dyn Tx, teller: &Teller<'_>, stored: &[Stored], by: SearchedBy) -> Result<Found, BooksError> {
    let orders = stored.iter().map(|stored| teller.line(tx, &stored.order)).collect::<Result<_, _>>()?;
    Ok(Found { orders, behind: None, by })
}

/// The page of an order that was just written.
///
/// # Errors
/// The database's; it is archived.
pub fn again(tx: &mut dyn Tx, teller: &Teller<'_>, id: &OrderId) -> Result<OrderPage, BooksError> {
    let stored = books::load(tx, id)?.ok_or(BooksError::Unknown)?;
    teller.page(tx, &stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_types_is_understood() {
        let zone = Zone::Wib;
        let at = |text: &str| Wall::from_local(text, zone).expect("a time");
        let now = at("2026-11-27 16:00:00");
        let read = |text: &str| {
            let Search { amount, near, day, words, .. } = Search::read(text, zone, now);
            (amount, near, day.map(|(day, _)| day), words)
        };
        let today = at("2026-11-27 00:00:00");
        let words = |text: &str| Some(Box::from(text));
        for (text, wanted) in [
            ("", (None, None, None, None)),
            ("5000", (Some(5000), None, None, None)),
            ("Rp5.000", (Some(5000), None, None, None)),
            ("rp 12.500.000", (Some(12_500_000), None, None, None)),
            ("5.000 15:00", (Some(5000), Some(at("2026-11-27 15:00:00")), None, None)),
            ("15:00 5.000", (Some(5000), Some(at("2026-11-27 15:00:00")), None, None)),
            ("17:00", (None, Some(at("2026-11-26 17:00:00")), None, None)),
            ("27-11", (None, None, Some(today), None)),
            ("27/11/2026 09:30", (None, Some(at("2026-11-27 09:30:00")), Some(today), None)),
            ("28-11", (None, None, Some(at("2025-11-28 00:00:00")), None)),
            ("2026-11-26", (None, None, Some(at("2026-11-26 00:00:00")), None)),
            ("31-02", (None, None, None, words("31-02"))),
            ("25:00", (None, None, None, words("25:00"))),
            ("5.00", (None, None, None, words("5.00"))),
            ("0", (None, None, None, words("0"))),
            ("Lobi", (None, None, None, words("Lobi"))),
            ("3 sore", (Some(3), None, None, words("sore"))),
            ("<b>5000", (None, None, None, words("<b>5000"))),
            ("99999999999999999999", (None, None, None, words("99999999999999999999"))),
        ] {
            assert_eq!(read(text), wanted, "{text:?}");
        }
        assert_eq!(Search::read("4TS6 5XYZ1", zone, now).number.map(|number| number.to_string()).as_deref(), Some("4TS65XYZ1"));
        assert_eq!(Search::read("4TS", zone, now).number, None);
    }
}
