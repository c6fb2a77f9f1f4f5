//! The relay's ledger: its promises (tickets), its deliveries (entries), and what a receipt may do in view of both.
//!
//! A ticket is good for one receipt, and an order has one entry. So a receipt is good once, on one machine, for one
//! ledger, and it needs no clock. When a ledger is lost, all older receipts are void.

use super::ids::{CommandId, ItemId, OrderId, RequestId};
use super::money::Rupiah;
use super::outcome::Outcome;
use super::receipt::Receipt;
use super::time::Span;
use serde::{Deserialize, Serialize};
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
    },
    /// A receipt came for it, and this order was driven.
    Used(OrderId),
    /// It drives nothing any more.
    Closed,
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
    ///
    /// # Errors
    /// Why not.
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

/// May the relay give a ticket for `amount` of the item of `line`? The conditions of the line are the same as in
/// [`admit`]: nobody is invited to pay for a thing that would then be refused.
///
/// # Errors
/// Why not.
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
/// item. A recorded outcome comes before everything else, then the ticket, then the line.
///
/// # Errors
/// Why the receipt drives nothing.
pub fn admit(
    ticket: Option<&TicketEntry>,
    found: Option<Entry>,
    receipt: &Receipt,
    line: Option<&LineState>,
) -> Result<Admission, LedgerRefusal> {
    match found {
        Some(Entry::Ended(outcome)) => return Ok(Admission::Recorded(outcome)),
        Some(Entry::Driving) => return Ok(Admission::Driving),
        None => {}
    }
    let claims = receipt.claims();
    match ticket {
        Some(TicketEntry::Open { item, amount }) if *item == claims.item && *amount == claims.amount => {}
        Some(TicketEntry::Open { .. } | TicketEntry::Used(_) | TicketEntry::Closed) | None => return Err(LedgerRefusal::UnknownTicket),
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
        let open = |id: &str, n: u64| Some(TicketEntry::Open { item: item(id), amount: rp(n) });
        let good = || open("A1", 5000);
        let used = || Some(TicketEntry::Used(OrderId::new("o-9").expect("an id")));
        let (ready, busy, blocked) = (Some(Condition::Ready), Some(Condition::Busy), Some(Condition::Blocked));
        let ended = |outcome| Some(Entry::Ended(outcome));
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
            (Some(TicketEntry::Closed), None, ready, Err(LedgerRefusal::UnknownTicket)),
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
            assert_eq!(admit(ticket.as_ref(), found, &receipt, line.as_ref()), want, "row {i}");
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
    fn a_restart_makes_driving_uncertain_and_changes_nothing_else() {
        assert_eq!(after_restart(Entry::Driving), Entry::Ended(Outcome::Uncertain));
        for outcome in Outcome::ALL {
            assert_eq!(after_restart(Entry::Ended(outcome)), Entry::Ended(outcome));
        }
    }
}
