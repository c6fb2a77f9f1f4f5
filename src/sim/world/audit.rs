//! What must hold when all is well again and all is over: every order is final, and the books of customer, Midtrans,
//! backend, machine and relay agree.

use super::{World, device, kind};
use crate::backend::books;
use crate::order::ids::OrderId;
use crate::order::machine::unfinished;
use crate::order::merchant::State;
use crate::order::outcome::{Delivery, DispenseAnswer, Outcome};

impl World {
    /// What does not agree, if something does not.
    pub(super) fn audit(&mut self) -> Option<String> {
        let Some(machine) = self.machine_store() else { return Some("the machine's database cannot be opened".into()) };
        match machine.live() {
            Ok(live) => {
                if let Some(stored) = live.iter().find(|stored| unfinished(&stored.order)) {
                    return Some(format!("the machine never ended {}: {:?}", stored.order.offer.request.request_id, stored.order.state));
                }
            }
            Err(error) => return Some(format!("the machine's database cannot be read: {error}")),
        }
        let open = self.books(|tx, _| books::open_orders(tx, &device())).unwrap_or_default();
        if let Some(stored) = open.first() {
            return Some(format!("the backend never ended {}: {:?}", stored.order.id, stored.order.state));
        }
        for book in self.midtrans.transactions() {
            let Ok(id) = OrderId::new(&book.order_id) else { continue };
            let Ok(stored) = self.books(|tx, _| books::load(tx, &id)) else { return Some(format!("{id} cannot be read")) };
            let times: u32 = self.pulses.iter().filter(|((_, order), _)| *order == id).map(|(_, times)| *times).sum();
            match book.status {
                "settlement" => {}
                "pending" => return Some(format!("{id} can still be paid")),
                _ if times > 0 => return Some(format!("{id} was driven and is {}", book.status)),
                _ => continue,
            }
            let Some(stored) = stored else { return Some(format!("{id} is paid and the backend does not know it")) };
            let ledger = self.relay.query(&id);
            let order = stored.order;
            let told = order.delivery.as_ref().map(|told| told.outcome);
            match (&order.state, told) {
                (State::Withheld { .. } | State::Refunded { .. }, _) if times == 0 => continue,
                (State::Settled { .. }, Some(_)) => {}
                (state, told) => return Some(format!("{id} is paid, and at the backend {state:?}, told {told:?}, driven {times}")),
            }
            let agree = match (told, ledger) {
                (Some(Delivery::Dispensed), Some(DispenseAnswer::Ended(Outcome::Dispensed))) => times == 1,
                (Some(Delivery::Failed), Some(DispenseAnswer::Ended(Outcome::Failed))) => times == 1,
                (Some(Delivery::Uncertain), Some(DispenseAnswer::Ended(Outcome::Uncertain))) => times <= 1,
                (Some(Delivery::Undelivered), Some(DispenseAnswer::Unknown)) => times == 0,
                // A card or ledger that was set back has forgotten what it did; a second pulse was looked for all the same.
                (Some(_), _) => self.amnesia,
                (None, _) => false,
            };
            if !agree && !order.conflict {
                return Some(format!("{id} was told {told:?}, the ledger says {ledger:?}, and it was driven {times} times"));
            }
            if order.is_refund_due() && times > 0 && told != Some(Delivery::Failed) && !order.conflict && !self.amnesia {
                return Some(format!("{id} is to be paid back and was handed out"));
            }
        }
        None
    }

    /// Counts how the orders ended.
    pub(super) fn count_ends(&mut self) {
        for book in self.midtrans.transactions() {
            let stored = OrderId::new(&book.order_id).ok().and_then(|id| self.books(|tx, _| books::load(tx, &id)).ok().flatten());
            let Some(order) = stored.map(|stored| stored.order) else { continue };
            let what = match order.delivery.as_ref().map(|told| told.outcome) {
                Some(Delivery::Dispensed) => kind::SALES,
                Some(Delivery::Uncertain) => kind::UNCERTAIN,
                _ if order.is_refund_due() => kind::REFUNDS,
                _ => kind::UNPAID,
            };
            self.counts.0[what] += 1;
        }
    }
}
