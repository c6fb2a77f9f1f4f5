//! What is known of deliveries, by the lines and by the ledger.

use super::{Dispenser, Line, Refusal, Work};
use crate::store::Pulse;
use qris_core::order::ids::{CommandId, OrderId, Ticket};
use qris_core::order::ledger::{Cause, Entry, Tried, after_restart};
use qris_core::order::tries::TryNumber;
use qris_core::wire::dbus::DispenseAnswer;

impl Dispenser {
    /// `Query`: the facts about a try at an order.
    pub fn query(&mut self, order: &str, number: u32) -> Result<(DispenseAnswer, String), Refusal> {
        let (Ok(order), Ok(number)) = (OrderId::new(order), TryNumber::try_from(number)) else {
            return Ok((DispenseAnswer::Unknown, String::new()));
        };
        Ok(match self.found(&order, number)? {
            None => (DispenseAnswer::Unknown, String::new()),
            Some(Pulse { entry: Entry::Driving, .. }) => (DispenseAnswer::Dispensing, String::new()),
            Some(Pulse { entry: Entry::Ended(outcome), detail, .. }) => (DispenseAnswer::Ended(outcome), detail),
        })
    }

    pub(super) fn is_unwritten(&self, order: &OrderId) -> bool {
        self.lines.iter().any(|line| matches!(&line.work, Work::Unwritten(pulse) if pulse.order() == Some(order)))
    }

    pub(super) fn found(&mut self, order: &OrderId, number: TryNumber) -> Result<Option<Pulse>, Refusal> {
        let is_it = |pulse: &Pulse| pulse.order() == Some(order) && pulse.number() == Some(number);
        if let Some(pulse) = self.in_memory(is_it) {
            return Ok(Some(pulse));
        }
        let written = self.ledger.pulses(order)?;
        Ok(written.into_iter().find(is_it).map(|pulse| self.as_known(pulse)))
    }

    fn tries(&mut self, order: &OrderId) -> Result<Vec<Pulse>, Refusal> {
        match (self.ledger.pulses(order), self.in_memory(|pulse| pulse.order() == Some(order))) {
            (Ok(written), _) => Ok(written.into_iter().map(|pulse| self.as_known(pulse)).collect()),
            // A ledger that cannot be read does not hide what is known without it. No other try is driven beside that one.
            (Err(_), Some(pulse)) => Ok(vec![pulse]),
            (Err(refusal), None) => Err(refusal),
        }
    }

    /// What the ledger knows of the tries at an order: the facts that decide, and the pulses. `before`: the ticket of the try before.
    pub(super) fn tried(&mut self, order: &OrderId, before: Option<&Ticket>) -> Result<(Tried, Vec<Pulse>), Refusal> {
        let pulses = self.tries(order)?;
        let driven = pulses.iter().filter_map(|pulse| Some((pulse.number()?, pulse.entry))).collect();
        let before = before.map(|ticket| self.ledger.ticket(ticket)).transpose()?.flatten();
        let is_dropped = self.ledger.is_dropped(order)?;
        Ok((Tried { driven, before, is_dropped }, pulses))
    }

    pub(super) fn found_test(&mut self, jti: &CommandId) -> Result<Option<Pulse>, Refusal> {
        if let Some(pulse) = self.in_memory(|pulse| matches!(&pulse.cause, Cause::Test(test) if test == jti)) {
            return Ok(Some(pulse));
        }
        let written = self.ledger.test(jti)?;
        Ok(written.map(|pulse| self.as_known(pulse)))
    }

    /// A pulse that a line drives, or that the ledger did not take.
    fn in_memory(&self, is_it: impl Fn(&Pulse) -> bool) -> Option<Pulse> {
        let of = |line: &Line| match &line.work {
            Work::Driving(pulse) | Work::Unwritten(pulse) if is_it(pulse) => Some(pulse.clone()),
            Work::Driving(_) | Work::Unwritten(_) | Work::Idle => None,
        };
        self.lines.iter().find_map(of)
    }

    /// Memory comes first: it knows what the ledger did not take. If no line drives it and the ledger still says "driving", nobody knows how
    /// it ended.
    fn as_known(&self, pulse: Pulse) -> Pulse {
        let known = self.in_memory(|known| known.cause == pulse.cause);
        known.unwrap_or_else(|| Pulse { entry: after_restart(pulse.entry), ..pulse })
    }
}

impl Pulse {
    pub(super) const fn order(&self) -> Option<&OrderId> {
        match &self.cause {
            Cause::Order { order, .. } => Some(order),
            Cause::Test(_) => None,
        }
    }

    pub(super) const fn number(&self) -> Option<TryNumber> {
        match &self.cause {
            Cause::Order { number, .. } => Some(*number),
            Cause::Test(_) => None,
        }
    }
}
