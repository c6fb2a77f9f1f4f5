//! Receipts: the only thing that opens a relay.
//!
//! A receipt is a compact JWS (RFC 7515) with `alg` EdDSA over Ed25519 (RFC 8037), `typ` `qris-receipt+jwt` and a
//! `kid`. Keys come as a JWK Set (RFC 7517) in which every key says its role. There is one algorithm and one form, so
//! this is a page of code and not a JOSE library. Nothing here looks up a key by URL, and nothing negotiates.

use super::ids::{DeviceId, ItemId, KeyId, OrderId, RequestId, Ticket, TransactionId};
use super::money::Rupiah;
use super::time::Wall;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// The longest receipt that is read, in bytes. Ours have about 700.
pub const RECEIPT_MAX: usize = 4096;
/// The most keys that a set may hold.
pub const KEYS_MAX: usize = 32;

const ALG: &str = "EdDSA";
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
    /// More than [`RECEIPT_MAX`] bytes.
    #[error("the receipt is longer than {RECEIPT_MAX} bytes")]
    TooLong,
    /// It is not three parts of base64url with JSON objects in the first two.
    #[error("the receipt is not a compact JWS: {0}")]
    NotJws(&'static str),
    /// `alg`, `typ` or another header field has another value than in a receipt.
    #[error("the receipt's header is wrong: {0}")]
    Header(&'static str),
    /// No receipt key of that name.
    #[error("the receipt's key {0} is not a receipt key of this machine")]
    UnknownKey(KeyId),
    /// The signature does not fit.
    #[error("the receipt's signature is wrong")]
    Signature,
    /// A claim is missing or has another form.
    #[error("the receipt's claims are wrong: {0}")]
    Claims(String),
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
    ///
    /// # Errors
    /// When it cannot be read at all.
    pub fn restore(jws: &str) -> Result<Self, ReceiptError> {
        let parts = Parts::split(jws)?;
        Ok(Self::of(parts.claims()?, jws.into()))
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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: KeyId,
    typ: String,
}

/// A compact JWS taken apart. Nothing in it is believed yet.
pub(super) struct Parts<'a> {
    signed: &'a str,
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> Parts<'a> {
    pub(super) fn split(jws: &'a str) -> Result<Self, ReceiptError> {
        if jws.len() > RECEIPT_MAX {
            return Err(ReceiptError::TooLong);
        }
        let (signed, signature) = jws.rsplit_once('.').ok_or(ReceiptError::NotJws("no dots"))?;
        let (header, payload) = signed.split_once('.').ok_or(ReceiptError::NotJws("one dot"))?;
        if payload.contains('.') {
            return Err(ReceiptError::NotJws("more than two dots"));
        }
        Ok(Self { signed, header, payload, signature })
    }

    /// The name of the key in a JWS of this type. `wrong_type` says what the type must be.
    pub(super) fn kid(&self, typ: &str, wrong_type: &'static str) -> Result<KeyId, ReceiptError> {
        let bytes = BASE64URL.decode(self.header).map_err(|_| ReceiptError::NotJws("the header is not base64url"))?;
        let header: Header =
            serde_json::from_slice(&bytes).map_err(|_| ReceiptError::Header("it must hold alg, kid and typ, and no more"))?;
        if header.alg != ALG {
            return Err(ReceiptError::Header("alg must be EdDSA"));
        }
        if header.typ == typ { Ok(header.kid) } else { Err(ReceiptError::Header(wrong_type)) }
    }

    /// Whether this key has signed it.
    pub(super) fn is_signed_by(&self, x: &[u8; 32]) -> Result<bool, ReceiptError> {
        let signature = BASE64URL.decode(self.signature).map_err(|_| ReceiptError::NotJws("the signature is not base64url"))?;
        Ok(UnparsedPublicKey::new(&ED25519, x).verify(self.signed.as_bytes(), &signature).is_ok())
    }

    /// Its payload, without a look at the signature.
    pub(super) fn payload<T: serde::de::DeserializeOwned>(&self) -> Result<T, ReceiptError> {
        let bytes = BASE64URL.decode(self.payload).map_err(|_| ReceiptError::NotJws("the payload is not base64url"))?;
        serde_json::from_slice(&bytes).map_err(|e| ReceiptError::Claims(e.to_string()))
    }

    fn claims(&self) -> Result<Claims, ReceiptError> {
        let claims: Claims = self.payload()?;
        if &*claims.cur != "IDR" {
            return Err(ReceiptError::Claims("cur is not IDR".into()));
        }
        if claims.gross_amount < claims.amount {
            return Err(ReceiptError::Claims("gross_amount is below amount".into()));
        }
        if Wall::from_rfc3339(&claims.settled_at).is_err() || !claims.settled_at.ends_with("+07:00") {
            return Err(ReceiptError::Claims("settled_at is not RFC 3339 with +07:00".into()));
        }
        Ok(claims)
    }
}

/// The use of a public key in the set. A key is good for its role only.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Signs receipts.
    Receipt,
    /// Signs commands and settings.
    Operator,
}

/// The public keys of a machine, from `keys.json`.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<PublicKey>,
}

#[derive(Clone, Debug)]
struct PublicKey {
    kid: KeyId,
    role: Role,
    /// The issuer of the receipts that it signs; operator keys have no issuer.
    iss: Option<Box<str>>,
    x: [u8; 32],
}

/// Why a key or a key set cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a JWK (Set) of the form that is needed.
    #[error("not a JWK Set as `qris-backend keys public` writes it: {0}")]
    Form(String),
    /// One key of the set cannot be used.
    #[error("key {0}: {1}")]
    Key(KeyId, &'static str),
    /// The private key file cannot be used. The error says nothing about its content.
    #[error("not a private Ed25519 JWK (RFC 8037): {0}")]
    Private(&'static str),
}

/// One key of a JWK Set as it is written.
#[derive(Serialize, Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    kid: KeyId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iss: Option<Box<str>>,
    x: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct JwkSet {
    keys: Vec<Jwk>,
}

impl KeySet {
    /// Reads a JWK Set: OKP/Ed25519 keys with `kid` and `role`, receipt keys with `iss`.
    ///
    /// # Errors
    /// Anything else, private parts, two keys of one name, and points of small order: anyone can make signatures for these.
    pub fn from_jwks(json: &str) -> Result<Self, KeyError> {
        let set: JwkSet = serde_json::from_str(json).map_err(|e| KeyError::Form(e.to_string()))?;
        if set.keys.len() > KEYS_MAX {
            return Err(KeyError::Form(format!("more than {KEYS_MAX} keys")));
        }
        let mut keys: Vec<PublicKey> = Vec::new();
        for jwk in set.keys {
            let wrong = |why| KeyError::Key(jwk.kid.clone(), why);
            if jwk.d.is_some() {
                return Err(wrong("it holds the private part `d`; replace this key everywhere, because it is no longer a secret"));
            }
            if jwk.kty != "OKP" || jwk.crv != "Ed25519" {
                return Err(wrong("only kty OKP with crv Ed25519 is known"));
            }
            let role = jwk.role.ok_or_else(|| wrong("`role` must be receipt or operator"))?;
            if role == Role::Receipt && jwk.iss.is_none() {
                return Err(wrong("a receipt key needs `iss`"));
            }
            let x = bytes32(&jwk.x).ok_or_else(|| wrong("`x` must be 32 bytes in base64url"))?;
            if has_small_order(&x) {
                return Err(wrong("`x` is a point of small order"));
            }
            if keys.iter().any(|k| k.kid == jwk.kid) {
                return Err(wrong("two keys have this kid"));
            }
            keys.push(PublicKey { kid: jwk.kid, role, iss: jwk.iss, x });
        }
        Ok(Self { keys })
    }

    /// The names of the receipt keys, in the order of the file.
    #[must_use]
    pub fn receipt_kids(&self) -> Vec<KeyId> {
        self.keys.iter().filter(|k| k.role == Role::Receipt).map(|k| k.kid.clone()).collect()
    }

    /// Believes a receipt for the machine `me`, or says why not. The signature is checked before any claim is read.
    ///
    /// # Errors
    /// See [`ReceiptError`]. [`ReceiptError::WrongDevice`] comes only for a receipt that is good otherwise.
    pub fn verify(&self, jws: &str, me: &DeviceId) -> Result<Receipt, ReceiptError> {
        let parts = Parts::split(jws)?;
        let kid = parts.kid(TYP, "typ must be qris-receipt+jwt")?;
        let key =
            self.keys.iter().find(|k| k.kid == kid && k.role == Role::Receipt).ok_or_else(|| ReceiptError::UnknownKey(kid.clone()))?;
        if !parts.is_signed_by(&key.x)? {
            return Err(ReceiptError::Signature);
        }
        let claims = parts.claims()?;
        if key.iss.as_deref() != Some(&claims.iss) {
            return Err(ReceiptError::Claims("iss is not the issuer of this key".into()));
        }
        if claims.aud != *me {
            return Err(ReceiptError::WrongDevice(claims.aud));
        }
        Ok(Receipt::of(claims, jws.into()))
    }
}

/// An Ed25519 private key: of the merchant, or of a relay. It prints as its `kid`.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    seed: [u8; 32],
    kid: KeyId,
}

impl Clone for SigningKey {
    fn clone(&self) -> Self {
        Self::from_seed(self.seed)
    }
}

impl SigningKey {
    /// A key from 32 random bytes that the caller drew; `kid` is its RFC 7638 thumbprint.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes are an Ed25519 seed");
        let kid = thumbprint(pair.public_key().as_ref());
        Self { pair, seed, kid }
    }

    /// A key from the text of [`Self::seed_text`].
    #[must_use]
    pub fn from_seed_text(text: &str) -> Option<Self> {
        bytes32(text).map(Self::from_seed)
    }

    /// The 32 bytes of the key, in base64url. It is a secret: only for the place where the key is kept.
    #[must_use]
    pub fn seed_text(&self) -> String {
        BASE64URL.encode(self.seed)
    }

    /// Reads a private JWK (RFC 8037) as `qris-backend keys new` writes it.
    ///
    /// # Errors
    /// The file has another form, or its `x` does not belong to its `d`. The error never repeats the key.
    pub fn from_jwk(json: &str) -> Result<Self, KeyError> {
        let jwk: Jwk = serde_json::from_str(json).map_err(|_| KeyError::Private("not a JWK in JSON with kty, crv, kid, x and d"))?;
        if jwk.kty != "OKP" || jwk.crv != "Ed25519" {
            return Err(KeyError::Private("only kty OKP with crv Ed25519 is known"));
        }
        let seed = jwk.d.as_deref().and_then(bytes32).ok_or(KeyError::Private("`d` must be 32 bytes in base64url"))?;
        let x = bytes32(&jwk.x).ok_or(KeyError::Private("`x` must be 32 bytes in base64url"))?;
        let mut key = Self::from_seed(seed);
        if key.pair.public_key().as_ref() != x {
            return Err(KeyError::Private("`x` does not belong to `d`"));
        }
        key.kid = jwk.kid;
        Ok(key)
    }

    /// The private JWK. It is a secret: only for the key file.
    #[must_use]
    pub fn to_private_jwk(&self) -> String {
        self.jwk(None, None, Some(BASE64URL.encode(self.seed)))
    }

    /// The public JWK for `keys.json`.
    #[must_use]
    pub fn to_public_jwk(&self, issuer: &str) -> String {
        self.jwk(Some(Role::Receipt), Some(issuer.into()), None)
    }

    fn jwk(&self, role: Option<Role>, iss: Option<Box<str>>, d: Option<String>) -> String {
        let x = BASE64URL.encode(self.pair.public_key().as_ref());
        let jwk = Jwk { kty: "OKP".into(), crv: "Ed25519".into(), kid: self.kid.clone(), role, iss, x, d };
        serde_json::to_string(&jwk).expect("a JWK is plain text")
    }

    /// Its name.
    #[must_use]
    pub fn kid(&self) -> &KeyId {
        &self.kid
    }

    /// Signs a receipt.
    #[must_use]
    pub fn sign(&self, claims: Claims) -> Receipt {
        let jws = self.compact(TYP, &claims).into();
        Receipt::of(claims, jws)
    }

    /// A compact JWS of this type.
    pub(super) fn compact(&self, typ: &str, claims: &impl Serialize) -> String {
        let header = Header { alg: ALG.into(), kid: self.kid.clone(), typ: typ.into() };
        let part = |json: serde_json::Result<Vec<u8>>| BASE64URL.encode(json.expect("claims and header are plain data"));
        let signed = format!("{}.{}", part(serde_json::to_vec(&header)), part(serde_json::to_vec(claims)));
        let signature = self.pair.sign(signed.as_bytes());
        format!("{signed}.{}", BASE64URL.encode(signature))
    }

    /// The public half: a point of Ed25519.
    pub(super) fn public(&self) -> [u8; 32] {
        self.pair.public_key().as_ref().try_into().expect("32 bytes")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}

/// The JWK Set of `keys.json` from public JWKs.
#[must_use]
pub fn jwk_set(public_jwks: &[String]) -> String {
    format!("{{\"keys\":[{}]}}\n", public_jwks.join(","))
}

/// RFC 7638: SHA-256 over the required members in lexical order. For OKP these are the members of RFC 8037, appendix A.3.
pub(super) fn thumbprint(x: &[u8]) -> KeyId {
    let members = format!("{{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"{}\"}}", BASE64URL.encode(x));
    let digest = ring::digest::digest(&ring::digest::SHA256, members.as_bytes());
    KeyId::new(&BASE64URL.encode(digest)).expect("43 characters of base64url")
}

pub(super) fn bytes32(text: &str) -> Option<[u8; 32]> {
    BASE64URL.decode(text).ok()?.try_into().ok()
}

/// The encodings of the points of small order, canonical or not. The highest bit (the sign of x) does not matter.
/// ring accepts such keys, and then one signature fits many messages.
pub(super) fn has_small_order(x: &[u8; 32]) -> bool {
    const fn last(first: u8, rest: u8, last: u8) -> [u8; 32] {
        let mut point = [rest; 32];
        point[0] = first;
        point[31] = last;
        point
    }
    const ORDER_8_A: [u8; 32] = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
        0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ];
    const ORDER_8_B: [u8; 32] = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
        0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ];
    let points =
        [last(0, 0, 0), last(1, 0, 0), ORDER_8_A, ORDER_8_B, last(0xec, 0xff, 0x7f), last(0xed, 0xff, 0x7f), last(0xee, 0xff, 0x7f)];
    points.iter().any(|p| p[..31] == x[..31] && p[31] == x[31] & 0x7f)
}

/// A key and a receipt for tests of other modules.
#[cfg(any(test, feature = "testing"))]
pub mod testing {
    use super::*;

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
        KeySet::from_jwks(&jwk_set(&[key().to_public_jwk(ISSUER)])).expect("our own keys")
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

    fn me() -> DeviceId {
        DeviceId::new("vm-001").expect("an id")
    }

    #[test]
    fn rfc_8037_appendix_a() {
        let jwk = r#"{"kty":"OKP","crv":"Ed25519","kid":"k","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let key = SigningKey::from_jwk(jwk).expect("the RFC's key");
        assert_eq!(thumbprint(key.pair.public_key().as_ref()).as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let signature = key.pair.sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc");
        assert_eq!(BASE64URL.encode(signature), "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
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
        let signature = BASE64URL.encode(key().pair.sign(signed.as_bytes()));
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
            ("sub", serde_json::Value::Null),
        ] {
            let mut changed = whole.clone();
            changed[name] = value;
            let verified = keys().verify(&signed(&header, &changed.to_string()), &me());
            assert!(matches!(verified, Err(ReceiptError::Claims(_))), "{name}: {verified:?}");
        }
    }

    #[test]
    fn a_longer_text_is_not_looked_at() {
        assert_eq!(keys().verify(&"x".repeat(RECEIPT_MAX + 1), &me()), Err(ReceiptError::TooLong));
        assert_eq!(keys().verify(&"x".repeat(RECEIPT_MAX), &me()), Err(ReceiptError::NotJws("no dots")));
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
    fn bad_keys_are_refused() {
        let public = key().to_public_jwk("pay.example");
        let twice = jwk_set(&[public.clone(), public.clone()]);
        let private = jwk_set(&[key().to_private_jwk()]);
        let no_issuer = jwk_set(&[public.replace("\"iss\":\"pay.example\",", "")]);
        for bad in [twice, private, no_issuer, "{}".into(), "[]".into(), String::new()] {
            assert!(KeySet::from_jwks(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_ed25519_is_a_key() {
        let public = key().to_public_jwk("pay.example");
        let private = key().to_private_jwk();
        for (from, to) in [("\"kty\":\"OKP\"", "\"kty\":\"EC\""), ("\"crv\":\"Ed25519\"", "\"crv\":\"Ed448\"")] {
            let set = KeySet::from_jwks(&jwk_set(&[public.replace(from, to)]));
            assert!(matches!(set, Err(KeyError::Key(_, "only kty OKP with crv Ed25519 is known"))), "{to}: {set:?}");
            let own = SigningKey::from_jwk(&private.replace(from, to));
            assert!(matches!(own, Err(KeyError::Private("only kty OKP with crv Ed25519 is known"))), "{to}: {own:?}");
        }
        let other = SigningKey::from_seed([8; 32]).to_public_jwk("i");
        let x = |jwk: &str| jwk.split("\"x\":\"").nth(1).and_then(|x| x.split('"').next()).expect("x").to_owned();
        let mixed = private.replace(&x(&private), &x(&other));
        assert!(matches!(SigningKey::from_jwk(&mixed), Err(KeyError::Private("`x` does not belong to `d`"))));
    }

    #[test]
    fn a_set_holds_no_more_keys_than_that() {
        let set = |count: usize| {
            let keys: Vec<String> =
                (1..=count).map(|i| SigningKey::from_seed([u8::try_from(i).expect("few"); 32]).to_public_jwk("pay.example")).collect();
            KeySet::from_jwks(&jwk_set(&keys)).map(|keys| keys.receipt_kids().len())
        };
        assert_eq!(set(KEYS_MAX), Ok(KEYS_MAX));
        assert!(matches!(set(KEYS_MAX + 1), Err(KeyError::Form(_))));
    }

    /// The encodings that libsodium refuses, with either sign.
    #[test]
    fn points_of_small_order_are_no_keys() {
        const POINTS: [&str; 7] = [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ];
        let read = |x: [u8; 32]| {
            let x = BASE64URL.encode(x);
            let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"k","role":"receipt","iss":"i","x":"{x}"}}"#);
            KeySet::from_jwks(&jwk_set(&[jwk])).map(|keys| keys.receipt_kids().len())
        };
        for text in POINTS {
            let mut point: [u8; 32] = std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hexadecimal"));
            for _ in 0..2 {
                assert!(matches!(read(point), Err(KeyError::Key(_, "`x` is a point of small order"))), "{point:02x?}");
                let (mut begins, mut ends) = ([9; 32], point);
                begins[31] = point[31];
                ends[31] ^= 0x10;
                assert_eq!((read(begins), read(ends)), (Ok(1), Ok(1)), "others that begin or end so, {point:02x?}");
                point[31] ^= 0x80;
            }
        }
    }

    #[test]
    fn nothing_prints_a_private_key() {
        let private = key().to_private_jwk();
        let d = private.split("\"d\":\"").nth(1).and_then(|d| d.split('"').next()).expect("d").to_owned();
        assert!(!format!("{:?}", key()).contains(&d));
        let broken = private.replace("\"crv\":\"Ed25519\"", "\"crv\":\"X\"");
        assert!(!SigningKey::from_jwk(&broken).expect_err("another curve").to_string().contains(&d));
        assert_eq!(SigningKey::from_jwk(&private).expect("ours").kid(), key().kid());
    }
}
