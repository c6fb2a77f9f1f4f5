//! Messages of the broker. Nothing is believed because it came this way.

use super::{Effect, Machine};
use crate::machine::requests::Asker;
use qris_core::order::ids::RequestId;
use qris_core::order::machine::Event;
use qris_core::order::reason::Reason;
use qris_core::order::receipt::Receipt;
use qris_core::order::request::{Refusal, Way};
use qris_core::order::time::Now;
use qris_core::wire::payment::PaymentUpdate;
use qris_core::wire::topics::Topic;
use qris_core::wire::vend::{Rejected, read_cancel, read_collect, read_request};
use qris_host::events::Event as Journal;
use qris_host::mqtt::Ack;

impl Machine {
    pub(super) fn message(&mut self, topic: Topic, payload: &[u8], retained: bool, ack: Ack, now: Now) {
        match topic {
            Topic::VendRequest | Topic::VendCancel | Topic::VendCollect if retained => {
                let request_id = match read_request(payload) {
                    Ok(request) => Some(request.request_id),
                    Err(rejected) => rejected.request_id,
                };
                let refusal = Refusal::new(Reason::Retained, "a retained message is news from an unknown time");
                self.effects.push(Effect::Ack(ack));
                self.refuse(request_id, None, &refusal, now);
            }
            Topic::VendRequest => match read_request(payload) {
                Ok(request) => self.vend(request, Asker::Broker(ack), now),
                Err(rejected) => self.reject(rejected, ack, now),
            },
            Topic::VendCancel => match read_cancel(payload) {
                Ok(request_id) => self.cancel_message(&request_id, ack, now),
                Err(rejected) => self.reject(rejected, ack, now),
            },
            // Acknowledged at once: what is sent again after a crash could be handed out to nobody.
            Topic::VendCollect => match read_collect(payload) {
                Ok(code) => {
                    self.effects.push(Effect::Ack(ack));
                    self.collect(code, Way::Remote, None, now);
                }
                Err(refusal) => self.reject(Rejected { request_id: None, refusal }, ack, now),
            },
            Topic::PaymentUpdate => self.payment(payload, ack, now),
            // Not subscribed, or of no meaning for this machine: nothing may wait for it.
            Topic::VendEvent | Topic::Status => self.effects.push(Effect::Ack(ack)),
        }
    }

    fn reject(&mut self, rejected: Rejected, ack: Ack, now: Now) {
        self.effects.push(Effect::Ack(ack));
        self.refuse(rejected.request_id, None, &rejected.refusal, now);
    }

    fn cancel_message(&mut self, request_id: &RequestId, ack: Ack, now: Now) {
        if let Some(candidate) = &mut self.candidate
            && candidate.request_id() == request_id
        {
            candidate.cancel(Asker::Broker(ack));
            return;
        }
        match self.cancel(request_id, now) {
            Ok(Some(changed)) => {
                if !changed {
                    self.repeat_last_event(request_id);
                }
            }
            Ok(None) if self.is_shut() => {
                let refusal = self.trouble().unwrap_or_else(|| Refusal::new(Reason::Store, "the database is not open"));
                self.refuse(Some(request_id.clone()), None, &refusal, now);
            }
            Ok(None) => {
                let refusal = Refusal::field(Reason::UnknownRequest, "request_id", "this machine knows no such request");
                self.refuse(Some(request_id.clone()), None, &refusal, now);
            }
            Err(error) => self.refuse(Some(request_id.clone()), None, &Refusal::new(Reason::Store, error.to_string()), now),
        }
        self.effects.push(Effect::Ack(ack));
    }

    /// A receipt is verified before it is believed; everything else is a hint at most.
    fn payment(&mut self, payload: &[u8], ack: Ack, now: Now) {
        let update = match PaymentUpdate::read(payload) {
            Ok(update) => update,
            Err(refusal) => {
                self.effects.push(Effect::Journal(Journal::ReceiptRefused { request: None, order: None, why: refusal.to_string().into() }));
                self.effects.push(Effect::Ack(ack));
                return;
            }
        };
        if let Some(jws) = &update.receipt {
            match self.settings.keys.verify(jws, &self.settings.device) {
                Ok(receipt) => {
                    if self.receipt(receipt, now) {
                        self.effects.push(Effect::Ack(ack));
                    } else {
                        // Not stored, so not taken: the broker keeps it and sends it again.
                        self.effects.push(Effect::DropBroker);
                    }
                }
                Err(error) => {
                    let order = Some(update.order_id);
                    self.effects.push(Effect::Journal(Journal::ReceiptRefused { request: None, order, why: error.to_string().into() }));
                    self.effects.push(Effect::Ack(ack));
                }
            }
            return;
        }
        let held = self.live.iter().find(|(_, live)| live.stored.order.order_id() == Some(&update.order_id)).map(|(id, _)| id.clone());
        match held {
            Some(id) => self.hint(&id),
            None => match self.store.as_ref().map(|store| store.by_order(&update.order_id)) {
                Some(Ok(Some(_))) => {}
                Some(Ok(None) | Err(_)) | None => self.reconciliation.hint_open(now.boot),
            },
        }
        self.effects.push(Effect::Ack(ack));
    }

    /// Takes a verified receipt to its order; `false` if that could not be stored.
    fn receipt(&mut self, receipt: Receipt, now: Now) -> bool {
        let request = receipt.claims().jti.clone();
        match self.find(&request) {
            Ok(Some(stored)) if stored.order.fits(&receipt) => self.happen(&request, vec![Event::Settled(receipt)], now).is_ok(),
            Ok(found) => {
                let order = Some(receipt.claims().sub.clone());
                let why = if found.is_some() { "it is for another charge of that request" } else { "this machine holds no such order" };
                self.effects.push(Effect::Journal(Journal::ReceiptRefused { request: Some(request), order, why: why.into() }));
                if found.is_none() {
                    if self.store.is_none() {
                        return false;
                    }
                    // Genuine, and for a request that this database does not know: perhaps it was lost.
                    self.reconciliation.hint_open(now.boot);
                }
                true
            }
            Err(error) => {
                self.store_failed(&error, now);
                false
            }
        }
    }
}
