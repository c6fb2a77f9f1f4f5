//! The relay's ledger: its promises (tickets), its deliveries (entries), and what a receipt may do in view of both.
//!
//! A ticket is good for one receipt, and a try at handing out an order has one entry. So a receipt is good once, on one machine, for one
//! ledger, and it needs no clock. When a ledger is lost, all older receipts are void.
//!
//! Another try is driven on the ledger's own word that nothing came of the one before, whatever the backend's books say. So an order is
//! handed out once at the most.

use super::ids::{CommandId, ItemId, OrderId, RequestId, Ticket};
use super::money::Rupiah;
use super::outcome::Outcome;
use super::receipt::Receipt;
use super::time::Span;
use super::tries::{Try, TryNumber};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The longest time that an outlet takes for an order: it drives a line and waits for the sensor.
pub const DRIVE_MAX: Span = Span::secs(120);
/// The most tickets that may be open. The ledger never closes one ticket to make room for another.
pub const OPEN_TICKETS_MAX: usize = 1000;

/// The state of a ticket in the ledger. It goes from `Open` to one of the others, and never back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TicketEntry {
    /// Promised, and no receipt has come for it yet.
    Open {
        /// The item that was promised.
        item: ItemId,
        /// Its price.
        amount: Rupiah,
        /// It is promised for another try at this order. `None`: for whoever pays.
        again: Option<Again>,
    },
    /// A receipt came for it, and this try of this order was driven.
    Used(OrderId, TryNumber),
    /// It drives nothing any more.
    Closed(Option<Again>),
}

/// Another try at an order that did not come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Again {
    /// The order.
    pub order: OrderId,
    /// Which try it is; never the first one.
    pub number: TryNumber,
    /// The ticket of the try before.
    pub after: Ticket,
}

/// What a ledger knows about the tries at an order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tried {
    /// Every try that was driven.
    pub driven: Vec<(TryNumber, Entry)>,
    /// The ticket of the try before.
    pub before: Option<TicketEntry>,
    /// One was driven so long ago that the ledger knows nothing more of it. So no other is, whatever a backend signs.
    pub is_dropped: bool,
}

impl Again {
    /// That of a receipt; `None`: it is for a first try.
    #[must_use]
    pub fn of(receipt: &Receipt) -> Option<Self> {
        match &receipt.claims().nth {
            Try::First => None,
            Try::Again { number, after } => Some(Self { order: receipt.claims().sub.clone(), number: *number, after: after.clone() }),
        }
    }

    /// Whether nothing came of the try before, by the ledger's own word: its ticket is closed, or a sensor saw that nothing fell.
    fn comes_after_nothing(&self, tried: &Tried) -> bool {
        let is_before = |order: &OrderId, number: TryNumber| *order == self.order && number.next() == Some(self.number);
        match &tried.before {
            // A ticket that was closed before it was paid names no order.
            Some(TicketEntry::Closed(None)) => TryNumber::FIRST.next() == Some(self.number),
            Some(TicketEntry::Closed(Some(again))) => is_before(&again.order, again.number),
            Some(TicketEntry::Used(order, number)) => {
                is_before(order, *number) && tried.entry(*number) == Some(Entry::Ended(Outcome::Failed))
            }
            Some(TicketEntry::Open { .. }) | None => false,
        }
    }
}

impl Tried {
    fn entry(&self, number: TryNumber) -> Option<Entry> {
        self.driven.iter().find(|(driven, _)| *driven == number).map(|(_, entry)| *entry)
    }

    /// Whether no try but this one can have handed it out, or will.
    fn came_to_nothing_before(&self, number: TryNumber) -> bool {
        !self.is_dropped
            && self.driven.iter().filter(|(driven, _)| *driven != number).all(|(driven, entry)| match entry {
                Entry::Ended(Outcome::Failed | Outcome::NotDriven) => *driven < number,
                Entry::Ended(Outcome::Dispensed | Outcome::Uncertain) | Entry::Driving => false,
            })
    }
}

/// What a line is driven for, and only once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Cause {
    /// A paid order. It uses a ticket.
    Order {
        /// The order.
        order: OrderId,
        /// Its request.
        request: RequestId,
        /// Which try at it.
        number: TryNumber,
    },
    /// A test that an operator has signed: the name of the command. Nobody has paid for it, so it has no ticket and no proof.
    Test(CommandId),
}

/// The state of a pulse in the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// Its line is driven, or was driven when the power went.
    Driving,
    /// It ended.
    Ended(Outcome),
}

/// The facts about a line that decide about one order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LineState {
    /// The line takes no ticket and no receipt for less.
    pub min_amount: Rupiah,
    /// How long its outlet takes for this order at the most, or why it cannot deliver it.
    pub takes: Result<Span, LedgerRefusal>,
    /// What it is doing.
    pub condition: Condition,
}

/// The prices that a line takes, whatever it is doing now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// It takes no less.
    pub min: Rupiah,
    /// It takes multiples of this only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Rupiah>,
    /// It takes no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Rupiah>,
}

impl Limits {
    /// Whether it takes this price.
    pub fn judge(&self, price: Rupiah) -> Result<(), LedgerRefusal> {
        if price < self.min {
            return Err(LedgerRefusal::TooLittle(self.min));
        }
        if let Some(step) = self.step.filter(|step| !price.get().is_multiple_of(step.get())) {
            return Err(LedgerRefusal::NotMultiple(step));
        }
        if self.max.is_some_and(|max| price > max) { Err(LedgerRefusal::TooLong) } else { Ok(()) }
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at least {}", self.min)?;
        self.max.map_or(Ok(()), |max| write!(f, ", at most {max}"))?;
        self.step.map_or(Ok(()), |step| write!(f, ", and only multiples of {step}"))
    }
}

/// The condition of a line. Where several are true, the worst one counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// It can be driven.
    Ready,
    /// It is driven, or the end of its last pulse is not written yet.
    Busy,
    /// A person must look at it.
    Blocked,
    /// Its hardware does not work.
    Broken,
}

/// What the lines of one sensor have missed since a person looked.
///
/// A miss says that a line did not hand out, or that the sensor did not see it. One line alone cannot tell which. Two lines can: where
/// neither gave anything, the sensor that both have is the suspect.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Misses {
    /// How many a line, by its name, has missed in a row.
    in_a_row: BTreeMap<Box<str>, u32>,
    /// The lines that missed since the sensor saw something.
    unseen: BTreeSet<Box<str>>,
}

impl Misses {
    /// A pulse of a line ended so.
    pub fn ended(&mut self, line: &str, outcome: Outcome) {
        match outcome {
            Outcome::Dispensed => {
                self.in_a_row.remove(line);
                self.unseen.clear();
            }
            Outcome::Failed => {
                *self.in_a_row.entry(line.into()).or_default() += 1;
                self.unseen.insert(line.into());
            }
            // The sensor has said nothing.
            Outcome::NotDriven | Outcome::Uncertain => {}
        }
    }

    /// How many this line has missed in a row.
    #[must_use]
    pub fn of(&self, line: &str) -> u32 {
        self.in_a_row.get(line).copied().unwrap_or(0)
    }

    /// Whether two lines missed, and the sensor saw nothing between and since.
    #[must_use]
    pub fn suspects_sensor(&self) -> bool {
        self.unseen.len() > 1
    }

    /// A person has looked at this line.
    pub fn looked(&mut self, line: &str) {
        self.in_a_row.remove(line);
        self.unseen.remove(line);
    }
}

/// Why the relay does not promise or drive. The ledger recorded nothing, and no line was driven.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LedgerRefusal {
    /// No line has the item.
    #[error("no line has this item")]
    UnknownItem,
    /// Not open here, or open for another item or amount.
    #[error("its ticket is not open in this ledger for this item and amount")]
    UnknownTicket,
    /// Less than the line's least amount.
    #[error("the line takes at least {0}")]
    TooLittle(Rupiah),
    /// Each pulse of the line is worth so many rupiah, and the amount is not a multiple of that.
    #[error("the amount is not a multiple of {0}")]
    NotMultiple(Rupiah),
    /// It would take longer than [`DRIVE_MAX`].
    #[error("the pulses would take longer than {} s", DRIVE_MAX.as_secs_up())]
    TooLong,
    /// The line is driven.
    #[error("the line is being driven")]
    Busy,
    /// A person must clear the line.
    #[error("the line is blocked until a person clears it")]
    Blocked,
    /// The line's hardware does not work.
    #[error("the line's hardware does not work")]
    Hardware,
    /// The ledger does not say that the try before came to nothing.
    #[error("this ledger does not say that nothing came of the try before")]
    NoTry,
}

/// The answer to a receipt that is believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// Write "driving" and use the ticket up, then drive.
    Drive,
    /// Its line is being driven right now.
    Driving,
    /// It was driven, once and for all.
    Recorded(Outcome),
}

/// May the relay try again at this order?
///
/// # Errors
/// Its ledger does not say that nothing came of every try before.
pub fn may_try(again: &Again, tried: &Tried) -> Result<(), LedgerRefusal> {
    let may = tried.entry(again.number).is_none() && tried.came_to_nothing_before(again.number) && again.comes_after_nothing(tried);
    if may { Ok(()) } else { Err(LedgerRefusal::NoTry) }
}

/// May the relay give a ticket for `amount` of the item of `line`? The conditions of the line are the same as in
/// [`admit`]: nobody is invited to pay for a thing that would then be refused.
pub fn prepare(line: Option<&LineState>, amount: Rupiah) -> Result<(), LedgerRefusal> {
    let line = line.ok_or(LedgerRefusal::UnknownItem)?;
    if amount < line.min_amount {
        return Err(LedgerRefusal::TooLittle(line.min_amount));
    }
    if line.takes? > DRIVE_MAX {
        return Err(LedgerRefusal::TooLong);
    }
    match line.condition {
        Condition::Ready => Ok(()),
        Condition::Busy => Err(LedgerRefusal::Busy),
        Condition::Blocked => Err(LedgerRefusal::Blocked),
        Condition::Broken => Err(LedgerRefusal::Hardware),
    }
}

/// The answer to a receipt. It depends on the ledger's state of the ticket and of the order, and on the line of the
/// item. A recorded outcome comes before everything else, then the ticket, then the other tries, then the line.
pub fn admit(ticket: Option<&TicketEntry>, tried: &Tried, receipt: &Receipt, line: Option<&LineState>) -> Result<Admission, LedgerRefusal> {
    let claims = receipt.claims();
    let number = claims.nth.number();
    match tried.entry(number) {
        Some(Entry::Ended(outcome)) => return Ok(Admission::Recorded(outcome)),
        Some(Entry::Driving) => return Ok(Admission::Driving),
        None => {}
    }
    let wanted = Again::of(receipt);
    match ticket {
        Some(TicketEntry::Open { item, amount, again }) if (item, amount, again) == (&claims.item, &claims.amount, &wanted) => {}
        Some(TicketEntry::Open { .. } | TicketEntry::Used(..) | TicketEntry::Closed(_)) | None => return Err(LedgerRefusal::UnknownTicket),
    }
    match &wanted {
        Some(again) => may_try(again, tried)?,
        // A first receipt that comes after a later try, or after one that was dropped.
        None if !tried.driven.is_empty() || tried.is_dropped => return Err(LedgerRefusal::NoTry),
        None => {}
    }
    prepare(line, claims.amount).map(|()| Admission::Drive)
}

/// The outcome of an entry for a program that has just started. This program drives nothing yet. So a pulse that the
/// ledger calls under way was interrupted.
#[must_use]
pub const fn after_restart(entry: Entry) -> Entry {
    match entry {
        Entry::Driving => Entry::Ended(Outcome::Uncertain),
        Entry::Ended(outcome) => Entry::Ended(outcome),
    }
}

#[cfg(test)]
mod tests {
    use super::super::receipt::testing::{claims, key};
    use super::*;

    fn rp(n: u64) -> Rupiah {
        Rupiah::new(n).expect("an amount")
    }

    fn line(condition: Condition) -> LineState {
        LineState { min_amount: rp(5000), takes: Ok(Span::millis(500)), condition }
    }

    #[test]
    fn what_a_receipt_opens() {
        let receipt = key().sign(claims());
        let item = |id: &str| ItemId::new(id).expect("an item");
        let open = |id: &str, n: u64| Some(TicketEntry::Open { item: item(id), amount: rp(n), again: None });
        let good = || open("A1", 5000);
        let used = || Some(TicketEntry::Used(OrderId::new("o-9").expect("an id"), TryNumber::FIRST));
        let (ready, busy, blocked) = (Some(Condition::Ready), Some(Condition::Busy), Some(Condition::Blocked));
        let ended = |outcome| Some(Entry::Ended(outcome));
        let for_a_try = TicketEntry::Open { item: item("A1"), amount: rp(5000), again: Some(again(2)) };
        // ticket, entry of the order, line, answer
        let table = [
            (good(), None, ready, Ok(Admission::Drive)),
            (good(), None, busy, Err(LedgerRefusal::Busy)),
            (good(), None, blocked, Err(LedgerRefusal::Blocked)),
            (good(), None, Some(Condition::Broken), Err(LedgerRefusal::Hardware)),
            (good(), None, None, Err(LedgerRefusal::UnknownItem)),
            (None, None, ready, Err(LedgerRefusal::UnknownTicket)),
            // The ticket comes before the line.
            (None, None, blocked, Err(LedgerRefusal::UnknownTicket)),
            (open("A2", 5000), None, ready, Err(LedgerRefusal::UnknownTicket)),
            (open("A1", 6000), None, ready, Err(LedgerRefusal::UnknownTicket)),
            (used(), None, ready, Err(LedgerRefusal::UnknownTicket)),
            (Some(TicketEntry::Closed(None)), None, ready, Err(LedgerRefusal::UnknownTicket)),
            (Some(for_a_try), None, ready, Err(LedgerRefusal::UnknownTicket)),
            // The recorded outcome comes before both.
            (used(), Some(Entry::Driving), busy, Ok(Admission::Driving)),
            (used(), ended(Outcome::Dispensed), ready, Ok(Admission::Recorded(Outcome::Dispensed))),
            (used(), ended(Outcome::Failed), blocked, Ok(Admission::Recorded(Outcome::Failed))),
            (None, ended(Outcome::Uncertain), None, Ok(Admission::Recorded(Outcome::Uncertain))),
            // Another ticket does not make a second pulse.
            (good(), ended(Outcome::Dispensed), ready, Ok(Admission::Recorded(Outcome::Dispensed))),
        ];
        for (i, (ticket, found, condition, want)) in table.into_iter().enumerate() {
            let line = condition.map(line);
            let tried = Tried { driven: found.map(|entry| (TryNumber::FIRST, entry)).into_iter().collect(), ..Tried::default() };
            assert_eq!(admit(ticket.as_ref(), &tried, &receipt, line.as_ref()), want, "row {i}");
        }
    }

    fn number(n: u32) -> TryNumber {
        TryNumber::try_from(n).expect("a number")
    }

    fn again(n: u32) -> Again {
        Again { order: claims().sub, number: number(n), after: Ticket::from_random([9; 16]) }
    }

    /// A receipt for a later try, which its order's other tries decide about.
    #[test]
    fn another_try_comes_after_nothing_only() {
        let other = || OrderId::new("o-9").expect("an id");
        let closed = |order: OrderId, n| Some(TicketEntry::Closed(Some(Again { order, number: number(n), after: claims().ticket })));
        let used = |order: OrderId, n| Some(TicketEntry::Used(order, number(n)));
        let mine = || claims().sub;
        let ended = |n, outcome| (number(n), Entry::Ended(outcome));
        let (failed, not_driven) = (Outcome::Failed, Outcome::NotDriven);
        let open = || Some(TicketEntry::Open { item: claims().item, amount: claims().amount, again: None });
        // the try, the ticket before, what was driven for the order, whether it is driven
        let table = [
            (2, Some(TicketEntry::Closed(None)), vec![], true),
            (2, used(mine(), 1), vec![ended(1, failed)], true),
            (2, used(mine(), 1), vec![ended(1, not_driven)], false),
            (2, used(mine(), 1), vec![ended(1, Outcome::Dispensed)], false),
            (2, used(mine(), 1), vec![ended(1, Outcome::Uncertain)], false),
            (2, used(mine(), 1), vec![(number(1), Entry::Driving)], false),
            // The pulse was forgotten, or the ticket is another order's.
            (2, used(mine(), 1), vec![], false),
            (2, used(other(), 1), vec![ended(1, failed)], false),
            (2, open(), vec![], false),
            (2, None, vec![], false),
            // Whatever the books believe of the try before: the order came already.
            (2, Some(TicketEntry::Closed(None)), vec![ended(1, Outcome::Dispensed)], false),
            (2, Some(TicketEntry::Closed(None)), vec![ended(3, failed)], false),
            (3, closed(mine(), 2), vec![ended(1, failed)], true),
            (3, closed(mine(), 2), vec![ended(1, Outcome::Uncertain)], false),
            (3, closed(mine(), 1), vec![], false),
            (3, closed(other(), 2), vec![], false),
            (3, Some(TicketEntry::Closed(None)), vec![], false),
            (3, used(mine(), 2), vec![ended(1, failed), ended(2, failed)], true),
            (3, used(mine(), 1), vec![ended(1, failed)], false),
        ];
        for (i, (n, before, driven, is_driven)) in table.into_iter().enumerate() {
            let Again { number, after, .. } = again(n);
            let receipt = key().sign(super::super::receipt::Claims { nth: Try::Again { number, after }, ..claims() });
            let ticket = |again| TicketEntry::Open { item: claims().item, amount: claims().amount, again };
            let tried = Tried { driven, before, is_dropped: false };
            let line = Some(line(Condition::Ready));
            let want = if is_driven { Ok(Admission::Drive) } else { Err(LedgerRefusal::NoTry) };
            assert_eq!(admit(Some(&ticket(Some(again(n)))), &tried, &receipt, line.as_ref()), want, "row {i}");
            assert_eq!(may_try(&again(n), &tried), want.map(|_| ()), "row {i}");
            let dropped = Tried { is_dropped: true, ..tried.clone() };
            assert_eq!(may_try(&again(n), &dropped), Err(LedgerRefusal::NoTry), "row {i}: one was driven long ago");
            assert_eq!(admit(Some(&ticket(Some(again(n)))), &dropped, &receipt, line.as_ref()), Err(LedgerRefusal::NoTry), "row {i}");
            // A ticket that was given for something else opens no try.
            for given in
                [None, Some(again(n + 1)), Some(Again { order: other(), ..again(n) }), Some(Again { after: claims().ticket, ..again(n) })]
            {
                let answer = admit(Some(&ticket(given)), &tried, &receipt, line.as_ref());
                assert_eq!(answer, Err(LedgerRefusal::UnknownTicket), "row {i}");
            }
        }
    }

    #[test]
    fn a_first_receipt_that_comes_after_another_try_drives_nothing() {
        let receipt = key().sign(claims());
        let ticket = TicketEntry::Open { item: claims().item, amount: claims().amount, again: None };
        let later = Outcome::ALL.map(|outcome| Tried { driven: vec![(number(2), Entry::Ended(outcome))], ..Tried::default() });
        for tried in later.into_iter().chain([Tried { is_dropped: true, ..Tried::default() }]) {
            assert_eq!(admit(Some(&ticket), &tried, &receipt, Some(&line(Condition::Ready))), Err(LedgerRefusal::NoTry), "{tried:?}");
        }
    }

    #[test]
    fn prices_are_within_the_limits_of_a_line() {
        let all = Limits { min: rp(5000), step: Some(rp(1000)), max: Some(rp(20_000)) };
        let table = [
            (4000, Err(LedgerRefusal::TooLittle(rp(5000)))),
            (5000, Ok(())),
            (5500, Err(LedgerRefusal::NotMultiple(rp(1000)))),
            (20_000, Ok(())),
            (21_000, Err(LedgerRefusal::TooLong)),
        ];
        for (price, want) in table {
            assert_eq!(all.judge(rp(price)), want, "{price}");
            let least = Limits { step: None, max: None, ..all };
            assert_eq!(least.judge(rp(price)).is_ok(), price >= 5000, "{price}");
        }
        assert_eq!(all.to_string(), format!("at least {}, at most {}, and only multiples of {}", rp(5000), rp(20_000), rp(1000)));
    }

    #[test]
    fn what_a_line_promises() {
        let takes = |takes| LineState { takes, ..line(Condition::Ready) };
        let table = [
            (line(Condition::Ready), 5000, Ok(())),
            (line(Condition::Ready), 4999, Err(LedgerRefusal::TooLittle(rp(5000)))),
            (line(Condition::Busy), 4999, Err(LedgerRefusal::TooLittle(rp(5000)))),
            (takes(Err(LedgerRefusal::NotMultiple(rp(1000)))), 5500, Err(LedgerRefusal::NotMultiple(rp(1000)))),
            (takes(Ok(DRIVE_MAX)), 5000, Ok(())),
            (takes(Ok(Span(DRIVE_MAX.0 + 1))), 5000, Err(LedgerRefusal::TooLong)),
        ];
        for (line, amount, want) in table {
            assert_eq!(prepare(Some(&line), rp(amount)), want, "{amount}");
        }
        assert_eq!(prepare(None, rp(5000)), Err(LedgerRefusal::UnknownItem));
    }

    #[test]
    fn two_lines_that_miss_make_their_sensor_the_suspect() {
        use Outcome::{Dispensed, Failed, NotDriven, Uncertain};
        // what ended, the misses in a row of A and of B, whether the sensor is the suspect
        type Row<'a> = (&'a [(&'a str, Outcome)], u32, u32, bool);
        let table: [Row<'_>; 9] = [
            (&[], 0, 0, false),
            (&[("A", Failed)], 1, 0, false),
            // One line alone: it may be its spiral.
            (&[("A", Failed), ("A", Failed)], 2, 0, false),
            (&[("A", Failed), ("B", Failed)], 1, 1, true),
            (&[("A", Failed), ("A", Failed), ("B", Failed)], 2, 1, true),
            (&[("A", Failed), ("C", Dispensed), ("B", Failed)], 1, 1, false),
            (&[("A", Failed), ("A", Dispensed), ("B", Failed)], 0, 1, false),
            (&[("A", Failed), ("B", Uncertain), ("B", NotDriven)], 1, 0, false),
            (&[("A", Failed), ("C", Uncertain), ("C", NotDriven), ("B", Failed)], 1, 1, true),
        ];
        for (i, (ends, a, b, suspect)) in table.into_iter().enumerate() {
            let mut misses = Misses::default();
            ends.iter().for_each(|(line, outcome)| misses.ended(line, *outcome));
            assert_eq!((misses.of("A"), misses.of("B"), misses.suspects_sensor()), (a, b, suspect), "row {i}");
            misses.looked("A");
            assert_eq!((misses.of("A"), misses.of("B"), misses.suspects_sensor()), (0, b, false), "row {i}: somebody looked at A");
        }
    }

    #[test]
    fn a_restart_makes_driving_uncertain_and_changes_nothing_else() {
        assert_eq!(after_restart(Entry::Driving), Entry::Ended(Outcome::Uncertain));
        for outcome in Outcome::ALL {
            assert_eq!(after_restart(Entry::Ended(outcome)), Entry::Ended(outcome));
        }
    }
}
