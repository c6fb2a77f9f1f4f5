//! The relay's signed promise of another try: a compact [JWS](super::jws) with `typ` `qris-try+jwt`, by the key of its [proofs](super::proof).

use super::ids::{DeviceId, ItemId, OrderId, Ticket};
use super::keys::SigningKey;
use super::money::Rupiah;
use super::proof::{ProofError, RelayKey, verify_as};
use super::tries::Try;
use super::{jws, ledger};
use serde::{Deserialize, Serialize};

const TYP: &str = "qris-try+jwt";

/// The relay's signed promise of another try. The backend signs no receipt for one without it, so that nobody makes up its ticket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Promise {
    /// The machine.
    pub device: DeviceId,
    /// The ticket of this try.
    pub ticket: Ticket,
    /// The order.
    pub order_id: OrderId,
    /// Which try it is.
    #[serde(flatten)]
    pub nth: Try,
    /// What would be handed out.
    pub item: ItemId,
    /// Its price, whole rupiah.
    pub amount: Rupiah,
}

impl Promise {
    /// That of a ticket in the ledger.
    #[must_use]
    pub fn of(device: DeviceId, ticket: Ticket, again: ledger::Again, item: ItemId, amount: Rupiah) -> Self {
        let ledger::Again { order, number, after } = again;
        Self { device, ticket, order_id: order, nth: Try::Again { number, after }, item, amount }
    }

    /// Signs it.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> String {
        jws::sign(key, TYP, self)
    }

    /// The promise that this relay signed.
    pub fn verify(jws: &str, key: &RelayKey) -> Result<Self, ProofError> {
        verify_as(jws, TYP, key)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tries::TryNumber;
    use super::*;

    #[test]
    fn a_promise_is_believed_as_this_relay_signed_it() {
        let (key, other) = (SigningKey::from_seed([3; 32]), SigningKey::from_seed([4; 32]));
        let claims = super::super::receipt::testing::claims();
        let again = ledger::Again { order: claims.sub, number: TryNumber::FIRST.next().expect("2"), after: Ticket::from_random([2; 16]) };
        let promise = Promise::of(claims.aud, claims.ticket, again, claims.item, claims.amount);
        let jws = promise.sign(&key);
        assert_eq!(Promise::verify(&jws, &RelayKey::of(&key)), Ok(promise));
        assert_eq!(Promise::verify(&jws, &RelayKey::of(&other)), Err(ProofError::Key));
        assert!(super::super::proof::verify(&jws, &RelayKey::of(&key)).is_err(), "it is no proof");
    }
}
