//! Receipts: the only thing that opens a relay.
//!
//! A receipt is a compact JWS with `typ` `qris-receipt+jwt`, signed with a receipt key of `keys.json`.

use super::ids::{DeviceId, ItemId, KeyId, OrderId, RequestId, Ticket, TransactionId};
use super::jws::{self, JwsError, Parts};
use super::keys::{KeySet, SigningKey};
use super::money::Rupiah;
use super::time::Wall;
use super::tries::Try;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The longest receipt that is read, in bytes. Ours have about 700.
pub const RECEIPT_MAX: usize = 4096;

const TYP: &str = "qris-receipt+jwt";

/// The claims of a receipt. Field names are those of the wire.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// The issuer: the owner of the key that signed.
    pub iss: Box<str>,
    /// The machine that it is for.
    pub aud: DeviceId,
    /// The order.
    pub sub: OrderId,
    /// The machine's request.
    pub jti: RequestId,
    /// The relay's ticket, which makes the receipt good once.
    pub ticket: Ticket,
    /// Which try at handing it out it opens.
    #[serde(flatten)]
    pub nth: Try,
    /// What was sold.
    pub item: ItemId,
    /// The price, whole rupiah.
    pub amount: Rupiah,
    /// What the customer paid, whole rupiah. With a fee on top it is more than the price.
    pub gross_amount: Rupiah,
    /// Always `IDR`.
    pub cur: Box<str>,
    /// As the gateway reported it: `gopay`, `qris`, `cstore`.
    pub payment_type: Box<str>,
    /// The gateway's transaction.
    pub transaction_id: TransactionId,
    /// When the gateway settled it: RFC 3339 with +07:00.
    pub settled_at: Box<str>,
    /// When it was signed: seconds since 1970.
    pub iat: i64,
}

/// A receipt that was verified or signed here. There is no other way to get one. Clones share it: orders are copied at
/// every step, and their proof never changes.
#[derive(Clone, PartialEq, Eq)]
pub struct Receipt(Arc<Proof>);

#[derive(PartialEq, Eq)]
struct Proof {
    claims: Claims,
    jws: Box<str>,
}

/// Why a receipt is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// It cannot be read.
    #[error("the receipt {0}")]
    Form(#[from] JwsError),
    /// No receipt key of that name.
    #[error("the receipt's key {0} is not a receipt key of this machine")]
    UnknownKey(KeyId),
    /// The signature does not fit.
    #[error("the receipt's signature is wrong")]
    Signature,
    /// A claim says what no receipt says.
    #[error("the receipt has wrong claims: {0}")]
    Claims(&'static str),
    /// It is for another machine.
    #[error("the receipt is for another machine, {0}")]
    WrongDevice(DeviceId),
}

impl Receipt {
    /// Its claims.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.0.claims
    }

    /// The compact form, as it was signed.
    #[must_use]
    pub fn jws(&self) -> &str {
        &self.0.jws
    }

    /// Takes a receipt back from a program's own database. Only verified receipts are written there, and the key may
    /// have left the key set since. The relay verifies again in any case.
    pub fn restore(jws: &str) -> Result<Self, ReceiptError> {
        Ok(Self::of(claims(&Parts::split(jws, RECEIPT_MAX)?)?, jws.into()))
    }

    fn of(claims: Claims, jws: Box<str>) -> Self {
        Self(Arc::new(Proof { claims, jws }))
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receipt({})", self.claims().sub)
    }
}

/// For the state of an order in its own database; see [`Receipt::restore`].
impl Serialize for Receipt {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.jws())
    }
}

impl<'de> Deserialize<'de> for Receipt {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let jws = String::deserialize(deserializer)?;
        Self::restore(&jws).map_err(serde::de::Error::custom)
    }
}

impl KeySet {
    /// Believes a receipt for the machine `me`, or says why not. The signature is checked before any claim is read.
    /// [`ReceiptError::WrongDevice`] comes only for a receipt that is good otherwise.
    pub fn verify(&self, jws: &str, me: &DeviceId) -> Result<Receipt, ReceiptError> {
        let parts = Parts::split(jws, RECEIPT_MAX)?;
        let kid = parts.kid(TYP)?;
        let Some((x, iss)) = self.receipt(&kid) else { return Err(ReceiptError::UnknownKey(kid)) };
        if !parts.is_signed_by(x)? {
            return Err(ReceiptError::Signature);
        }
        let claims = claims(&parts)?;
        if iss != Some(&claims.iss) {
            return Err(ReceiptError::Claims("iss is not the issuer of this key"));
        }
        if claims.aud != *me {
            return Err(ReceiptError::WrongDevice(claims.aud));
        }
        Ok(Receipt::of(claims, jws.into()))
    }
}

impl SigningKey {
    /// Signs a receipt.
    #[must_use]
    pub fn sign(&self, claims: Claims) -> Receipt {
        let jws = jws::sign(self, TYP, &claims).into();
        Receipt::of(claims, jws)
    }
}

fn claims(parts: &Parts<'_>) -> Result<Claims, ReceiptError> {
    let claims: Claims = parts.claims()?;
    if &*claims.cur != "IDR" {
        return Err(ReceiptError::Claims("cur is not IDR"));
    }
    if claims.gross_amount < claims.amount {
        return Err(ReceiptError::Claims("gross_amount is below amount"));
    }
    if Wall::from_rfc3339(&claims.settled_at).is_err() || !claims.settled_at.ends_with("+07:00") {
        return Err(ReceiptError::Claims("settled_at is not RFC 3339 with +07:00"));
    }
    Ok(claims)
}

/// A key and a receipt for tests of other modules.
#[cfg(any(test, feature = "testing"))]
pub mod testing {
    use super::*;
    use crate::order::keys::{Level, jwk_set};

    /// The issuer.
    pub const ISSUER: &str = "pay.example";

    /// The private key.
    #[must_use]
    pub fn key() -> SigningKey {
        SigningKey::from_seed([7; 32])
    }

    /// The set with its public key.
    #[must_use]
    pub fn keys() -> KeySet {
        let operators = [Level::View, Level::Manage, Level::Service].map(|level| operator(level).to_operator_jwk(level));
        let all: Vec<String> = operators.into_iter().chain([key().to_public_jwk(ISSUER)]).collect();
        KeySet::from_jwks(&jwk_set(&all)).expect("our own keys")
    }

    /// The private key of the operator with this level.
    #[must_use]
    pub fn operator(level: Level) -> SigningKey {
        SigningKey::from_seed([40 + level as u8; 32])
    }

    /// The claims of a receipt.
    #[must_use]
    pub fn claims() -> Claims {
        Claims {
            iss: ISSUER.into(),
            aud: DeviceId::new("vm-001").expect("an id"),
            sub: OrderId::new("o-1").expect("an id"),
            jti: RequestId::new("r-1").expect("an id"),
            ticket: Ticket::from_random([1; 16]),
            nth: Try::First,
            item: ItemId::new("A1").expect("an id"),
            amount: Rupiah::new(5000).expect("an amount"),
            gross_amount: Rupiah::new(5000).expect("an amount"),
            cur: "IDR".into(),
            payment_type: "qris".into(),
            transaction_id: TransactionId::new("t-1").expect("an id"),
            settled_at: "2026-11-20T15:00:00+07:00".into(),
            iat: 1_795_161_600,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{claims, key, keys};
    use super::*;
    use crate::order::keys::jwk_set;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;

    fn me() -> DeviceId {
        DeviceId::new("vm-001").expect("an id")
    }

    #[test]
    fn a_signed_receipt_is_believed_by_its_machine_only() {
        let receipt = key().sign(claims());
        assert_eq!(keys().verify(receipt.jws(), &me()), Ok(receipt.clone()));
        let other = DeviceId::new("vm-002").expect("an id");
        assert_eq!(keys().verify(receipt.jws(), &other), Err(ReceiptError::WrongDevice(me())));
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let jws = key().sign(claims()).jws().to_owned();
        for i in 0..jws.len() {
            let mut bytes = jws.clone().into_bytes();
            bytes[i] = if bytes[i] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert!(keys().verify(&changed, &me()).is_err(), "character {i}");
        }
        assert!(keys().verify(&jws[..jws.len() - 1], &me()).is_err());
        assert!(keys().verify(&format!("{jws}="), &me()).is_err());
    }

    /// Signs any header and payload with our key, as a buggy or hostile signer could.
    fn signed(header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", BASE64URL.encode(header), BASE64URL.encode(payload));
        let signature = BASE64URL.encode(key().signature(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    #[test]
    fn headers_must_match_exactly() {
        let payload = serde_json::to_string(&claims()).expect("claims");
        let kid = key().kid().clone();
        let good = format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"qris-receipt+jwt"}}"#);
        assert!(keys().verify(&signed(&good, &payload), &me()).is_ok());
        for bad in [
            format!(r#"{{"alg":"none","kid":"{kid}","typ":"qris-receipt+jwt"}}"#),
            format!(r#"{{"alg":"eddsa","kid":"{kid}","typ":"qris-receipt+jwt"}}"#),
            format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"qris-command+jwt"}}"#),
            format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#),
            r#"{"alg":"EdDSA","kid":"other","typ":"qris-receipt+jwt"}"#.to_owned(),
            format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"qris-receipt+jwt","crit":["exp"]}}"#),
            format!(r#"{{"alg":"EdDSA","alg":"EdDSA","kid":"{kid}","typ":"qris-receipt+jwt"}}"#),
        ] {
            assert!(keys().verify(&signed(&bad, &payload), &me()).is_err(), "{bad}");
        }
    }

    #[test]
    fn operator_keys_sign_no_receipts() {
        let operator = key().to_public_jwk("pay.example").replace("\"receipt\"", "\"operator\"");
        let keys = KeySet::from_jwks(&jwk_set(&[operator])).expect("a set");
        assert!(matches!(keys.verify(key().sign(claims()).jws(), &me()), Err(ReceiptError::UnknownKey(_))));
        assert!(keys.receipt_kids().is_empty());
        assert_eq!(super::testing::keys().receipt_kids(), [key().kid().clone()]);
        let nobodys = key().to_public_jwk("pay.example").replace("\"receipt\"", "\"operator\"").replace("\"iss\":\"pay.example\",", "");
        assert!(KeySet::from_jwks(&jwk_set(&[nobodys])).is_ok(), "an operator's key needs no issuer");
    }

    #[test]
    fn claims_must_be_whole() {
        let kid = key().kid().clone();
        let header = format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"qris-receipt+jwt"}}"#);
        let whole = serde_json::to_value(claims()).expect("claims");
        for (name, value) in [
            ("cur", serde_json::json!("USD")),
            ("amount", serde_json::json!(0)),
            ("amount", serde_json::json!("5000")),
            ("amount", serde_json::json!(5000.5)),
            ("gross_amount", serde_json::json!(4999)),
            ("settled_at", serde_json::json!("2026-11-20 15:00:00")),
            ("settled_at", serde_json::json!("2026-11-20T08:00:00Z")),
            ("settled_at", serde_json::json!("yesterday+07:00")),
            ("iss", serde_json::json!("other.example")),
            ("ticket", serde_json::json!("short")),
            ("try", serde_json::json!(2)),
            ("try", serde_json::Value::Null),
            ("after", serde_json::json!(claims().ticket)),
            ("sub", serde_json::Value::Null),
        ] {
            let mut changed = whole.clone();
            changed[name] = value;
            let verified = keys().verify(&signed(&header, &changed.to_string()), &me());
            assert!(matches!(verified, Err(ReceiptError::Claims(_) | ReceiptError::Form(JwsError::Claims(_)))), "{name}: {verified:?}");
        }
    }

    #[test]
    fn a_longer_text_is_not_looked_at() {
        assert_eq!(keys().verify(&"x".repeat(RECEIPT_MAX + 1), &me()), Err(JwsError::TooLong(RECEIPT_MAX).into()));
        assert_eq!(keys().verify(&"x".repeat(RECEIPT_MAX), &me()), Err(JwsError::NotCompact("no dots").into()));
    }

    #[test]
    fn a_database_gives_back_what_it_was_given() {
        let receipt = key().sign(claims());
        let stored = serde_json::to_string(&receipt).expect("text");
        assert_eq!(stored, format!("\"{}\"", receipt.jws()));
        assert_eq!(serde_json::from_str::<Receipt>(&stored).expect("ours"), receipt);
        assert!(serde_json::from_str::<Receipt>("\"a.b\"").is_err());
    }

    #[test]
    fn a_log_line_names_them_and_shows_nothing_of_them() {
        let receipt = key().sign(claims());
        assert_eq!(format!("{receipt:?}"), "Receipt(o-1)");
        assert_eq!(format!("{:?}", key()), format!("SigningKey({})", key().kid()));
    }
}
