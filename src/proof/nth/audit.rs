//! The rules when all is well again and all is over: every order is final, and the books of customer, Midtrans, backend, machine
//! and relay agree.

use super::plot::{How, Kind, Strike, Who};
use super::stage::Stage;
use crate::backend::device;
use crate::disk::Op;
use qris_backend::books::{self, BooksError};
use qris_core::order::ids::OrderId;
use qris_core::order::machine::unfinished;
use qris_core::order::merchant::{Attention, Order, State};
use qris_core::order::outcome::{Delivery, DispenseAnswer, Outcome};
use qris_device::store::Store as _;

impl Stage {
    /// The disagreement, if there is one.
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
        match self.books(|tx, _| books::open_orders(tx, &device())) {
            Ok(open) => {
                if let Some(stored) = open.iter().find(|stored| !self.is_for_a_person(&stored.order)) {
                    return Some(format!("the backend never ended {}: {:?}", stored.order.id, stored.order.state));
                }
            }
            // A row of it is damaged, and a person who asks for damaged rows is told its name. The others are looked at one by
            // one.
            Err(error) if self.is_damaged(&error) && error.is_damage() => {}
            Err(error) => return Some(format!("the books cannot be read: {error}")),
        }
        for book in self.midtrans.transactions() {
            let Ok(id) = OrderId::new(&book.order_id) else { continue };
            let stored = match self.books(|tx, _| books::load(tx, &id)) {
                Ok(stored) => stored,
                // Nobody needed the row any more. A person who needs it is told: the journal says that the books fail, or
                // `doctor` names the row.
                Err(error) if self.is_damaged(&error) && (!error.is_damage() || self.lists_as_damaged(&id)) => continue,
                Err(error) => return Some(format!("{id} cannot be read: {error}")),
            };
            let times: u32 = self.pulses.get(&id).copied().unwrap_or(0);
            match book.status {
                "settlement" | "refund" => {}
                "pending" => return Some(format!("{id} can still be paid")),
                _ if times > 0 => return Some(format!("{id} was driven and is {}", book.status)),
                _ => continue,
            }
            let Some(stored) = stored else { return Some(format!("{id} is paid and the backend does not know it")) };
            let ledger = self.relay.query(&id);
            let order = stored.order;
            if let Some(why) = unjust(&order, times) {
                return Some(format!("{id}: {why}; {:?}, told {:?}, driven {times} times", order.state, order.delivery));
            }
            let told = order.delivery.as_ref().map(|told| told.outcome);
            match (&order.state, told) {
                // Paid twice, or given back: nothing was handed out for it.
                (State::Withheld { .. } | State::Refunded { .. }, _) if times == 0 => continue,
                (State::Settled { .. }, Some(_)) | (State::Refunded { .. }, Some(Delivery::Failed)) => {}
                (State::Settled { .. }, None) if self.is_for_a_person(&order) => continue,
                (state, told) => return Some(format!("{id} is paid, and at the backend {state:?}, told {told:?}, driven {times}")),
            }
            let agree = match (told, ledger) {
                (Some(Delivery::Dispensed), Some(DispenseAnswer::Ended(Outcome::Dispensed))) => times == 1,
                (Some(Delivery::Failed), Some(DispenseAnswer::Ended(Outcome::Failed))) => times <= 1,
                (Some(Delivery::Uncertain), Some(DispenseAnswer::Ended(Outcome::Uncertain))) => times <= 1,
                (Some(Delivery::Undelivered), Some(DispenseAnswer::Unknown)) => times == 0,
                // It is doubtful for the merchant, and so a person looks. The ledger could not keep its first word and said so.
                // It was killed before it had written the second. The kernel still shows the first.
                (Some(Delivery::Uncertain), Some(DispenseAnswer::Ended(Outcome::Dispensed | Outcome::Failed))) => {
                    times == 1 && self.has_a_sync_failed()
                }
                (Some(_) | None, _) => false,
            };
            // A database that was set aside has forgotten its contents. A second pulse was looked for all the same.
            if !agree && !self.amnesia {
                return Some(format!("{id} was told {told:?}, the ledger says {ledger:?}, and it was driven {times} times"));
            }
            if order.conflict && !self.amnesia {
                return Some(format!("two things were told of {id}, and nothing was forgotten"));
            }
        }
        None
    }

    /// These rules hold even if a program no longer works on its database, and a person must look: readable facts are right, and
    /// a payment is no secret.
    pub(super) fn audit_what_is_left(&mut self) -> Option<String> {
        if self.machine_flaps() {
            return Some("the machine's database opens, and cannot be worked with".into());
        }
        for book in self.midtrans.transactions() {
            let Ok(id) = OrderId::new(&book.order_id) else { continue };
            let times: u32 = self.pulses.get(&id).copied().unwrap_or(0);
            if times > 0 && !matches!(book.status, "settlement" | "refund") {
                return Some(format!("{id} was driven and is {}", book.status));
            }
            // If the books are what no longer works, they say so.
            let Ok(Some(stored)) = self.books(|tx, _| books::load(tx, &id)) else { continue };
            let order = stored.order;
            if let Some(why) = unjust(&order, times) {
                return Some(format!("{id}: {why}; {:?}, told {:?}, driven {times} times", order.state, order.delivery));
            }
            let is_settled = matches!(order.state, State::Settled { .. });
            // Books that take nothing more say so themselves, and the machine goes on telling.
            if is_settled && !self.merchant_is_down() && order.delivery.is_none() && !order.attention().contains(&Attention::Unreported) {
                return Some(format!("{id} is paid, the machine tells nothing of it, and nobody is told"));
            }
        }
        None
    }

    /// Did a bit of the backend's books flip, and is this what the backend says of it?
    fn is_damaged(&self, error: &BooksError) -> bool {
        matches!(self.story.strike, Some(Strike::Flip { who: Who::Backend, .. })) && matches!(error, BooksError::Store(_))
    }

    /// Does the backend name this order to a person who asks for damaged rows?
    fn lists_as_damaged(&mut self, id: &OrderId) -> bool {
        let named = self.books(|tx, _| books::damaged(tx, ""));
        named.is_ok_and(|(names, _)| names.iter().any(|name| name == id.as_str()))
    }

    /// Did a sync fail, and was its program killed soon after?
    pub(super) fn has_a_sync_failed(&self) -> bool {
        let strike = matches!(self.story.strike, Some(Strike::Operation { kind: Kind::Disk(Op::Sync), how: How::ThenCrash, .. }));
        strike && self.disk.struck() > 0
    }

    /// Does nobody remember its end? The machine's card and the backend's books were both set back, and the merchant is told
    /// that it was never reported.
    fn is_for_a_person(&self, order: &Order) -> bool {
        self.amnesia && order.attention().contains(&Attention::Unreported)
    }

    /// How the orders ended: dispensed, refund due or done, uncertain, not paid.
    pub(super) fn ends(&mut self) -> [u64; 4] {
        let mut ends = [0; 4];
        for book in self.midtrans.transactions() {
            let stored = OrderId::new(&book.order_id).ok().and_then(|id| self.books(|tx, _| books::load(tx, &id)).ok().flatten());
            let Some(order) = stored.map(|stored| stored.order) else { continue };
            let what = match order.delivery.as_ref().map(|told| told.outcome) {
                Some(Delivery::Dispensed) => 0,
                Some(Delivery::Uncertain) => 2,
                _ if order.is_refund_due() || matches!(order.state, State::Refunded { .. }) => 1,
                _ => 3,
            };
            ends[what] += 1;
        }
        ends
    }
}

/// No loss of any memory excuses these two faults. Money is back, or to go back, for an item that was handed out. Or goods were
/// reported and never came.
fn unjust(order: &Order, times: u32) -> Option<&'static str> {
    let told = order.delivery.as_ref().map(|told| told.outcome);
    let gives_back = order.is_refund_due() || matches!(order.state, State::Withheld { .. } | State::Refunded { .. });
    match (told, times) {
        (Some(Delivery::Failed), 0 | 1) | (_, 0) if told != Some(Delivery::Dispensed) => None,
        (Some(Delivery::Dispensed), 0) => Some("it was told as handed out, and no line was driven"),
        (Some(Delivery::Undelivered), _) => Some("it was told as not delivered, and the line was driven"),
        (_, _) if gives_back => Some("the money is back, or to go back, and it was handed out"),
        (_, _) => None,
    }
}
