//! The relay's own signed statement about a ticket. A refund rests on it.
//!
//! A proof is a compact [JWS](super::jws) with `typ` `qris-outcome+jwt`. The relay service draws the key when it makes its ledger, and the key never leaves the ledger. So each ledger has one key.
//! One ticket of one ledger is closed or used, never both: a signed `closed` and a signed `dispensed` of one ticket exclude
//! each other. This holds also when somebody else has the machine's token and its bus.

use super::ids::{DeviceId, KeyId, OrderId, Ticket};
use super::jws::{self, JwsError, Parts};
use super::keys::{SigningKey, bytes32, has_small_order, thumbprint};
use super::ledger::OPEN_TICKETS_MAX;
use super::outcome::{Delivery, Outcome};
use super::time::Span;
use super::tries::TryNumber;
use super::word::words;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

const TYP: &str = "qris-outcome+jwt";
/// The longest proof that is read, in bytes. Ours have about 400.
const PROOF_MAX: usize = 4096;
/// No relay gives tickets faster than this for long: `orders_per_minute` is at most 600, and a card takes several commits for each.
const TICKETS_PER_SECOND: u64 = 10;

/// The relay's statement about one of its tickets. Field names are those of the wire.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Statement {
    /// The machine.
    pub device: DeviceId,
    /// The ticket, which belongs to one request.
    pub ticket: Ticket,
    /// The order that was driven, or that it would have been. The ticket of a first try that was closed has no order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// Which try at handing it out the ticket was for.
    #[serde(rename = "try")]
    pub number_of_try: TryNumber,
    /// What became of it.
    pub outcome: Last,
    /// Whether the line was driven for it, as far as the relay knows.
    pub driven: bool,
    /// How many tickets had left `open` when this one did, this one included. No two tickets of a ledger have the same number.
    /// If two have, the ledger was put back to an earlier state.
    pub number: u64,
}

words! {
    /// The end of a ticket. It never changes.
    pub enum Last {
        /// Nothing was driven for it, and nothing will be.
        Closed = "closed",
        /// The line was driven and, where there is a sensor, the item was seen.
        Dispensed = "dispensed",
        /// The line was driven and the item did not come, or the hardware could not be used.
        Failed = "failed",
        /// Nobody knows.
        Uncertain = "uncertain",
    }
}

impl From<Outcome> for Last {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Dispensed => Self::Dispensed,
            Outcome::Failed | Outcome::NotDriven => Self::Failed,
            Outcome::Uncertain => Self::Uncertain,
        }
    }
}

impl Last {
    /// The report of a machine whose relay gave this outcome.
    #[must_use]
    pub const fn delivery(self) -> Delivery {
        match self {
            Self::Closed => Delivery::Undelivered,
            Self::Dispensed => Delivery::Dispensed,
            Self::Failed => Delivery::Failed,
            Self::Uncertain => Delivery::Uncertain,
            Self::Other(word) => Delivery::Other(word),
        }
    }
}

/// The public key of a relay: a point of Ed25519. On the wire 43 characters of base64url, the `x` of a JWK (RFC 8037).
#[derive(Clone, PartialEq, Eq)]
pub struct RelayKey([u8; 32]);

/// A text that is not the key of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not the public key of a relay: 43 characters of base64url that are an Ed25519 key, and none of the few weak ones. Take it from \
     the property Facts of the relay service (proof_key.x)"
)]
pub struct NoRelayKey;

impl RelayKey {
    /// The public half of the key with which a relay signs.
    #[must_use]
    pub fn of(key: &SigningKey) -> Self {
        Self(key.public())
    }

    /// Its name in a proof: its RFC 7638 thumbprint.
    #[must_use]
    pub fn kid(&self) -> KeyId {
        thumbprint(&self.0)
    }

    /// The text that two people compare: 80 bits of the key's SHA-256, in groups.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.0);
        digest.as_ref()[..10].chunks(2).map(crate::hex).collect::<Vec<_>>().join("-")
    }
}

impl FromStr for RelayKey {
    type Err = NoRelayKey;

    fn from_str(text: &str) -> Result<Self, NoRelayKey> {
        bytes32(text).filter(|x| !has_small_order(x)).map(Self).ok_or(NoRelayKey)
    }
}

impl fmt::Display for RelayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL.encode(self.0))
    }
}

impl fmt::Debug for RelayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelayKey({})", self.fingerprint())
    }
}

impl Serialize for RelayKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RelayKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a proof is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// It cannot be read.
    #[error("the proof {0}")]
    Form(#[from] JwsError),
    /// Another key has signed it.
    #[error("the proof is signed with a key that is not this machine's relay's key")]
    Key,
    /// The signature does not fit.
    #[error("the proof's signature is wrong")]
    Signature,
}

/// Signs the outcome of a ticket.
#[must_use]
pub fn sign(key: &SigningKey, statement: &Statement) -> String {
    jws::sign(key, TYP, statement)
}

/// The claims of a proof that this relay signed. The signature is checked before any of the claims is read.
pub fn verify(jws: &str, key: &RelayKey) -> Result<Statement, ProofError> {
    verify_as(jws, TYP, key)
}

pub(super) fn verify_as<T: DeserializeOwned>(jws: &str, typ: &'static str, key: &RelayKey) -> Result<T, ProofError> {
    let parts = Parts::split(jws, PROOF_MAX)?;
    if parts.kid(typ)? != key.kid() {
        return Err(ProofError::Key);
    }
    if parts.is_signed_by(&key.0)? { Ok(parts.claims()?) } else { Err(ProofError::Signature) }
}

/// Whether a number is further ahead of another one of its ledger than the ledger can have come since. `since`: the time since the order
/// of that other one was made, which is more than the time since its ticket left `open`. Every ticket that left later was open then, or was
/// given since. Most of them may belong to no order: a machine without network closes the ticket of each request that it refuses.
#[must_use]
pub const fn is_far_ahead(number: u64, last: u64, since: Span) -> bool {
    // A clock that was set back has its time count as well.
    let given = TICKETS_PER_SECOND.saturating_mul(since.0.unsigned_abs().div_ceil(1000));
    number > last.saturating_add(OPEN_TICKETS_MAX as u64).saturating_add(given)
}

#[cfg(test)]
mod tests {
    use super::super::receipt::testing;
    use super::*;

    fn statement() -> Statement {
        let id = |text: &str| DeviceId::new(text).expect("an id");
        Statement {
            device: id("vm-001"),
            ticket: Ticket::from_random([1; 16]),
            order_id: None,
            number_of_try: TryNumber::FIRST,
            outcome: Last::Closed,
            driven: false,
            number: 7,
        }
    }

    #[test]
    fn a_proof_is_believed_as_this_relay_signed_it_and_no_other_way() {
        let (key, other) = (SigningKey::from_seed([3; 32]), SigningKey::from_seed([4; 32]));
        let public = RelayKey::of(&key);
        let jws = sign(&key, &statement());
        assert_eq!(verify(&jws, &public), Ok(statement()));
        assert_eq!(verify(&jws, &RelayKey::of(&other)), Err(ProofError::Key));
        // The other key signs under this key's name; then each letter is changed.
        let forged = SigningKey::from_jwk(&other.to_private_jwk().replace(other.kid().as_str(), key.kid().as_str())).expect("a key");
        assert_eq!(verify(&sign(&forged, &statement()), &public), Err(ProofError::Signature));
        for at in 0..jws.len() {
            let mut bytes = jws.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("text");
            // The last letter of a part holds bits without a meaning.
            let refused = verify(&changed, &public);
            assert!(refused.is_err() || refused == Ok(statement()), "{changed}");
        }
        // Another text that such a key signed is not a proof, and a proof is not a receipt.
        let receipt = key.sign(testing::claims());
        assert_eq!(verify(receipt.jws(), &public), Err(JwsError::Type(TYP).into()));
        let keys = testing::keys();
        assert!(keys.verify(&sign(&testing::key(), &statement()), &statement().device).is_err());
    }

    #[test]
    fn a_damaged_proof_is_told_as_a_proof() {
        let key = SigningKey::from_seed([3; 32]);
        let why = |jws: &str| verify(jws, &RelayKey::of(&key)).expect_err("refused").to_string();
        assert_eq!(why("x"), "the proof is not a compact JWS: no dots");
        assert_eq!(why(key.sign(testing::claims()).jws()), "the proof has a wrong header: typ must be qris-outcome+jwt");
        assert_eq!(why(&"x".repeat(PROOF_MAX + 1)), "the proof is longer than 4096 bytes");
    }

    #[test]
    fn a_number_is_far_ahead_if_its_ledger_cannot_have_come_so_far() {
        let (hour, month) = (Span::secs(3600), Span::secs(30 * 24 * 3600));
        for (number, last, since, expected) in [
            (8, 7, Span::ZERO, false),
            // Another order's ticket may have left earlier.
            (1, 7, Span::ZERO, false),
            // All tickets that were open are closed at once.
            (1_007, 7, Span::ZERO, false),
            (1_008, 7, Span::ZERO, true),
            (1_017, 7, Span::millis(1), false),
            (37_007, 7, hour, false),
            (37_008, 7, hour, true),
            // A month without network, with as many refused requests as a machine may have.
            (600 * 60 * 24 * 30, 7, month, false),
            (1 << 40, 7, month, true),
            (u64::MAX, u64::MAX - 1, Span::ZERO, false),
            // The clock was an hour ahead when the last order was made.
            (37_007, 7, Span(-hour.0), false),
        ] {
            assert_eq!(is_far_ahead(number, last, since), expected, "{number} after {last}, {since:?}");
        }
    }

    #[test]
    fn a_key_is_read_as_it_is_written() {
        let key = RelayKey::of(&SigningKey::from_seed([3; 32]));
        assert_eq!(key.to_string().parse(), Ok(key.clone()));
        assert_eq!(key.fingerprint().len(), 24);
        for strange in ["", "AAAA", &"A".repeat(43), &format!("{key}=")] {
            assert_eq!(strange.parse::<RelayKey>(), Err(NoRelayKey), "{strange}");
        }
    }
}
