//! News of payments. Nothing is believed only because the broker brought it.

use super::{Effect, Machine};
use crate::store::{Disk, Store};
use qris_core::order::machine::Event;
use qris_core::order::receipt::Receipt;
use qris_core::order::time::Now;
use qris_core::wire::payment::PaymentUpdate;
use qris_host::events::Event as Journal;
use qris_host::mqtt::Ack;

impl<D: Disk> Machine<D> {
    /// A receipt is verified before it is believed. All other news is a hint at most.
    pub(super) fn payment(&mut self, payload: &[u8], ack: Ack, now: Now) {
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
                        // It is not stored, so it is not taken: the broker keeps it and sends it again.
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

    /// Takes a verified receipt to its order. `false`: it could not be stored.
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
                    // The receipt is genuine, but this database does not know its request. Perhaps the request was lost.
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
