//! The rules that hold at each pulse, each report, each receipt and each refund.
//!
//! A lost memory (see [`super::losses`]) excuses only what nobody can know any more.

use super::counts::Kind;
use super::second_tries::SETTLED_LATELY;
use super::{BEGIN, World};
use crate::midtrans::Book;
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::{NoReceipt, Order, State, Withheld};
use qris_core::order::outcome::Delivery;
use qris_core::order::tries::TryNumber;
use qris_core::wire::orders::{OrderResource, Status};

/// The latest time for a QR's goods after its payment: the QR's time, the grace and its last answer, and the time to deliver. The time to deliver
/// counts twice if the backend said after a reboot that it was not over.
const PULSE_WITHIN: i64 = 1_325_000;
/// A machine may last be told "paid" this long before the backend learns otherwise: the answer's time, the time to deliver, and the
/// time of a relay's answer.
const COLLECTED_PULSE_WITHIN: i64 = 12_000 + 600_000 + 25_000;
/// A repeated receipt of a QR is believed again, while the QR is shown, in the grace after that, and until its last answer.
const BELIEVED_PULSE_WITHIN: i64 = 265_000 + COLLECTED_PULSE_WITHIN;
/// Indomaret may take a settlement back within this time.
const REVERSAL: i64 = 300_000;
/// Another try may begin so long after the end of the one before.
const TRY_WITHIN: i64 = 2 * 900_000;
/// An answer of Midtrans may be on its way for this time.
const CALL: i64 = 10_000;

/// Does the merchant have at least a part of the money, as Midtrans' word for a payment says?
fn is_kept(status: &str) -> bool {
    matches!(status, "settlement" | "partial_refund" | "partial_chargeback")
}

impl World {
    pub(super) fn judge_pulse(&mut self, m: usize, order: &OrderId, number: TryNumber) {
        let book = self.gateway.midtrans.transaction(order.as_str());
        let Some((book, settled_at)) = book.and_then(|book| book.settled_at_ms.map(|at| (book, at))) else {
            return self.fail(format!("{order} was driven and is not paid"));
        };
        if self.gateway.altered.contains(order) {
            self.fail(format!("{order} was driven, and Midtrans says that something else was paid"));
        }
        let strange = self.thief.strange.contains(order);
        let given_back = self.people.repaid.contains(order) || self.gateway.refund_requested.contains(order);
        if given_back && !strange && !self.thief.betrayed.contains(order) && !self.is_forgotten(order) {
            self.fail(format!("{order} was driven after the merchant had decided that it will not be"));
        }
        // A proof gives nobody both goods and money. This holds for any driver of the line, and for any word that it would not be
        // driven.
        let by_thief = self.thief.of_his_time.contains(order);
        if self.gateway.refund_requested.contains(order)
            && !self.people.unproven.contains(order)
            && !self.is_in_two_ledgers(order)
            && !by_thief
        {
            self.fail(format!("{order} was driven, and its money goes back on the relay's word"));
        }
        // A thief told an outcome. A person believed it without the relay's word, or took the thief's key for the relay's.
        let is_misled = self.thief.betrayed.contains(order) && (self.people.unproven.contains(order) || by_thief);
        if !is_kept(book.status) && !strange && !is_misled && !self.is_forgotten(order) && !self.may_be_on_its_way(order, &book) {
            let known = self.gateway.known_back.get(order).map(|at| self.now - at);
            self.fail(format!("{order} was driven and is {}; the backend has known it for {known:?} ms", book.status));
        }
        let waited = BEGIN + self.now - settled_at;
        // A later try has its time from the press.
        let within = if number == TryNumber::FIRST { PULSE_WITHIN } else { PULSE_WITHIN + TRY_WITHIN };
        if book.store.is_none() && waited > within && !strange {
            self.fail(format!("{order} was driven {waited} ms after it was paid"));
        }
        // One request is sold once, whatever orders are behind it.
        let life = self.relays[m].life();
        let of = |book: &Book| book.custom_fields[1].clone();
        let others: Vec<Book> = self.gateway.midtrans.transactions().into_iter().filter(|other| of(other) == of(&book)).collect();
        for other in others.iter().filter(|other| other.order_id != order.as_str()) {
            if let Ok(id) = OrderId::new(&other.order_id)
                && self.ledgers.has_driven(&id, life)
            {
                self.fail(format!("{order} was driven, and {id} of the same request before"));
            }
        }
    }

    /// The money went back, and there was a pulse. Is the pulse excused, because the backend told "paid" before it knew, or because
    /// nothing was wrong?
    fn may_be_on_its_way(&self, order: &OrderId, book: &Book) -> bool {
        if !self.gateway.outside.contains_key(order) {
            return false;
        }
        // A bank may take back what it likes. For the machine it stays a settlement.
        if book.status == "chargeback" {
            return true;
        }
        let within = if book.store.is_some() { COLLECTED_PULSE_WITHIN } else { BELIEVED_PULSE_WITHIN };
        self.gateway.known_back.get(order).is_none_or(|known| self.now - known <= within)
    }

    /// The rules when an order is told to a machine.
    pub(super) fn judge_reported(&mut self, order: &OrderResource) {
        if order.qr_payload.is_some() && self.merchant.gives_up(&order.order_id, self.now) {
            self.fail(format!("the QR of {} is offered, and its charge is being given up", order.order_id));
        }
        // A machine that has told an outcome is done with the order.
        let opens = order.status == Status::Settlement || order.receipt.is_some();
        if opens && order.outcome.is_none() && self.gateway.known_back.contains_key(&order.order_id) && !self.is_chargeback(&order.order_id)
        {
            self.fail(format!("{} is told as paid, and the backend knows that its money went back", order.order_id));
        }
    }

    fn is_chargeback(&self, order: &OrderId) -> bool {
        self.gateway.midtrans.transaction(order.as_str()).is_some_and(|book| book.status == "chargeback")
    }

    pub(super) fn judge_receipt(&mut self, order: &Order, by_status: bool) {
        let id = &order.id;
        if self.gateway.altered.contains(id) {
            return self.fail(format!("a receipt of {id} was signed, and Midtrans says that something else was paid"));
        }
        if self.people.ended.contains(id) {
            return self.fail(format!("a receipt of {id} was signed, and a person had ended it"));
        }
        if !by_status {
            return self.fail(format!("a receipt of {id} was signed without Midtrans' word for its settlement"));
        }
        let Some(book) = self.gateway.midtrans.transaction(id.as_str()) else {
            return self.fail(format!("a receipt was signed for {id}, which Midtrans does not know"));
        };
        let Some(settled_at) = book.settled_at_ms else { return self.fail(format!("a receipt of {id} was signed, which is not paid")) };
        // Events at Midtrans may overtake Midtrans' answer. For another try it may be half a minute old.
        let age = if order.number_of_try() == TryNumber::FIRST { CALL } else { SETTLED_LATELY };
        let overtaken = self.gateway.outside.get(id).is_some_and(|at| self.now - at <= age);
        if book.status != "settlement" && !overtaken {
            self.fail(format!("a receipt of {id} was signed, which is {}", book.status));
        }
        // Midtrans' word counts here: the books' own belief is a part of what is judged.
        let held = book.store == Some("indomaret");
        if held && BEGIN + self.now - settled_at < REVERSAL {
            self.fail(format!("a receipt of {id} was signed while its settlement could still be taken back"));
        }
        let Some(receipt) = order.receipt() else { return };
        let claims = receipt.claims();
        let is_first = claims.nth.number() == TryNumber::FIRST;
        let is_its_price = if is_first { claims.amount.get() == book.amount } else { claims.amount.get() <= book.amount };
        if claims.gross_amount.get() != book.gross_amount || !is_its_price {
            self.fail(format!("the receipt of {id} is not for what was paid"));
        }
    }

    pub(super) fn judge_refund(&mut self, order: &Order) {
        let id = &order.id;
        let is_new = self.gateway.refund_requested.insert(id.clone());
        let told = order.outcome();
        let wanted = self.people.repaid.contains(id) || self.people.wished.contains(id);
        if is_new && !wanted && self.was_offered_in_vain(order) {
            self.counts.note(Kind::OffersOver);
        }
        if !wanted && self.merchant.policy.auto_refund_per_day == 0 {
            return self.fail(format!("the money of {id} is to go back, and nobody wanted it"));
        }
        if self.copies.stopped.contains(id) {
            self.fail(format!("the refund of {id} was under way in books that were put back, and nobody has wanted it since"));
        }
        let (forgotten, by_thief) = (self.is_forgotten(id), self.thief.of_his_time.contains(id));
        // Without a person's word money goes back only for an order that the machine will never hand out, by its own word.
        let by_itself = match &order.state {
            State::Withheld(Withheld { why, .. }) => *why == NoReceipt::PaidTwice,
            State::Settled(_) | State::Refunded(_) | State::Held(_) => matches!(told, Some(Delivery::Failed | Delivery::Undelivered)),
            State::Charging(_) | State::Pending(_) | State::Cancelling(_) | State::Closed(_) | State::Void(_) => false,
        };
        if !wanted && (!by_itself || order.has_conflict()) {
            self.fail(format!("the backend gives back {id} by itself, told {told:?}, {:?}", order.state));
        }
        if !wanted && self.came(id) > 0 && told != Some(Delivery::Failed) && !forgotten && !by_thief {
            self.fail(format!("the backend gives back {id}, which was handed out; told {told:?}"));
        }
        if !self.people.unproven.contains(id) {
            // An older image of the card has the ledger's key too, but knows nothing of later deliveries.
            if !self.is_signed_as_not_delivered(order) && !self.is_in_two_ledgers(id) {
                self.fail(format!("the backend gives back {id}, and no relay has signed that it was not delivered; told {told:?}"));
            }
            if self.came(id) > 0 && !self.is_in_two_ledgers(id) && !by_thief {
                self.fail(format!("the backend gives back {id}, which was driven, and no relay has signed that nothing came"));
            }
        }
        // A receipt opens the relay. A withheld payment has no receipt.
        if !self.thief.betrayed.contains(id)
            && order.receipt().is_some()
            && told != Some(Delivery::Failed)
            && self.may_be_driven(order)
            && !forgotten
        {
            self.fail(format!("the backend gives back {id}, which may still be handed out; told {told:?}"));
        }
    }
}
