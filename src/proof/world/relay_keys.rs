//! The keys by which the backend knows the machine's relay. They change in mid-life: a board is let in with a code, or a person takes a
//! key that the machine shows, also that of a thief. What an order's proof is worth is judged by the key of its time.

use super::counts::Kind;
use super::{BEGIN, World, device};
use crate::backend::TOKEN;
use qris_backend::machines::devices;
use qris_backend::machines::invitations::{self, Terms};
use qris_backend::machines::token;
use qris_backend::sale::books::BooksError;
use qris_backend::store::Tx;
use qris_core::order::ids::{OrderId, Ticket};
use qris_core::order::merchant::{DeliveryReport, NoProof, Order, Proof};
use qris_core::order::proof::{Last, RelayKey};
use qris_core::order::time::Span;
use qris_core::wire::invitation::{Claim, Code};
use std::collections::BTreeMap;

/// The backend reads the key this long before the order is in its books, at most.
const READ_BEFORE: i64 = 15_000;

/// What relays have signed, and the keys that count.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// The first word that a relay has signed on a ticket.
    pub(super) first: BTreeMap<Ticket, (Last, Box<str>)>,
    /// The keys by which the backend has known the machine's relay, each with the moment since which.
    keys: Vec<(i64, RelayKey)>,
    /// When the first attempt at an order was made.
    made: BTreeMap<OrderId, i64>,
}

impl Words {
    pub(super) fn knew(&self, key: &RelayKey) -> bool {
        self.keys.iter().any(|(_, known)| known == key)
    }
}

impl World {
    /// A code lets the machine in once more. Whoever shows a key next is its relay.
    pub(super) fn uses_a_code(&mut self) {
        let now = self.wall();
        let claim = Claim { device: device(), code: Code::of([7; 20]) };
        let terms =
            Terms { name: None, backend_url: "https://backend.example".into(), backend_ca: None, broker: None, operators: Vec::new() };
        let used = self.machines(|tx| {
            invitations::invite(tx, &claim, &terms, now + Span::secs(3600))?;
            devices::claim(tx, &claim, &token::hash(TOKEN), now)
        });
        if matches!(used, Some(Ok(_))) {
            self.count(Kind::Codes, "a code lets the machine in once more");
        }
    }

    /// A person takes the key that the machine shows, whoever showed it.
    pub(super) fn takes_the_key(&mut self) {
        let now = self.wall();
        let taken = self.machines(|tx| {
            let shown = devices::list(tx)?.machines.into_iter().find_map(|machine| machine.other_key);
            let Some(shown) = shown else { return Ok(false) };
            Ok(devices::take_key(tx, &device(), &shown.fingerprint(), "Sari", now)?.is_ok())
        });
        if taken == Some(true) {
            self.count(Kind::KeysTaken, "a person takes the relay's key that the machine shows");
            self.check_key();
        }
    }

    /// The known key may be another one.
    pub(super) fn check_key(&mut self) {
        let known = self.machines(|tx| Ok(devices::list(tx)?.machines.pop()));
        if let Some(Some(machine)) = known
            && let (Some(key), Some(since)) = (machine.relay_key, machine.relay_key_since)
            && self.words.keys.last().is_none_or(|(_, last)| *last != key)
        {
            self.words.keys.push((since.0 - BEGIN, key));
        }
    }

    /// The rules for the key of a proof, whenever its order is written.
    pub(super) fn judge_key(&mut self, order: &Order) {
        if order.attempt == 1 && !order.rebuilt {
            self.words.made.insert(order.id.clone(), order.created_at.0 - BEGIN);
        }
        if self.was_known_by(order, |key| *key == RelayKey::of(&super::thief::own_key())) {
            self.thief.of_his_time.insert(order.id.clone());
        }
        match order.delivery().map(|DeliveryReport { proof, .. }| proof) {
            Some(Proof::Signed { kid, .. }) if !self.was_known_by(order, |key| key.kid() == *kid) => {
                self.fail(format!("{} is proven by a key that was not known when it was made", order.id));
            }
            Some(Proof::Missing(NoProof::OtherKey | NoProof::NoKey)) if self.losses.reported(&order.id).is_none() => {
                self.count(Kind::KeysOfLater, "an outcome comes with a proof by another key than the order's");
            }
            Some(Proof::Signed { .. } | Proof::Missing(_)) | None => {}
        }
    }

    /// May the backend have known the machine's relay by such a key when it took the order?
    fn was_known_by(&self, order: &Order, is_such: impl Fn(&RelayKey) -> bool) -> bool {
        // An order that was rebuilt from the gateway has no key. In books that were put back it has that of its time.
        if order.sale.relay_key.is_none() {
            return false;
        }
        // Every attempt has the key of the first.
        let id = order.id.as_str();
        let first = id.rsplit_once('-').filter(|_| order.attempt > 1).map_or(id, |(first, _)| first);
        let made = OrderId::new(first).ok().and_then(|first| self.words.made.get(&first));
        let Some(made) = made else { return order.attempt > 1 };
        let ends = self.words.keys.iter().skip(1).map(|(since, _)| *since).chain([i64::MAX]);
        let mut known = self.words.keys.iter().zip(ends);
        known.any(|((since, key), end)| *since <= *made && *made - READ_BEFORE <= end && is_such(key))
    }

    /// Works with the machines beside the program. Nothing, if it does not run.
    fn machines<T>(&self, job: impl FnOnce(&mut dyn Tx) -> Result<T, BooksError>) -> Option<T> {
        self.merchant.program.as_ref().filter(|_| self.merchant.listens())?.machines(job).ok()
    }
}
