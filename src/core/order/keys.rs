//! The keys: what each of them may sign, and how they are written (JWK, RFC 7517 and 8037).

use super::ids::KeyId;
use crate::text;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most keys that a set may hold.
pub const KEYS_MAX: usize = 32;

/// The longest name of an operator, in characters.
const NAME_MAX: usize = 40;

/// The use of a public key in the set. A key is good for its role only.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Signs receipts.
    Receipt,
    /// Signs commands and settings.
    Operator,
}

/// What an operator may do. Each level contains the one before it. A key without a level may view.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Read what the machine knows.
    #[default]
    View,
    /// Change settings, cancel, restart.
    Manage,
    /// Stand at the machine, as it were: drive a line for a test, clear a line, reboot, update.
    Service,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::View => "view",
            Self::Manage => "manage",
            Self::Service => "service",
        })
    }
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
    level: Level,
    /// Who has it. This is only shown: the key is known by its `kid`.
    name: Option<Box<str>>,
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

/// Where a text leaves the form. The parser's own words are for programmers.
fn form(error: &serde_json::Error) -> KeyError {
    KeyError::Form(format!("line {}, column {} has something else", error.line(), error.column()))
}

#[derive(Debug, Serialize, Deserialize)]
struct Jwk {
    kty: String,
    crv: String,
    kid: KeyId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iss: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    level: Option<Level>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Box<str>>,
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
        let set: JwkSet = serde_json::from_str(json).map_err(|e| form(&e))?;
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
            if jwk.name.as_deref().is_some_and(|name| !is_name(name)) {
                return Err(wrong("its `name` must be a text of 1 to 40 characters that can be printed"));
            }
            let x = bytes32(&jwk.x).ok_or_else(|| wrong("`x` must be 32 bytes in base64url"))?;
            if has_small_order(&x) {
                return Err(wrong("`x` is a point of small order"));
            }
            if keys.iter().any(|k| k.kid == jwk.kid) {
                return Err(wrong("two keys have this kid"));
            }
            keys.push(PublicKey { kid: jwk.kid, role, iss: jwk.iss, level: jwk.level.unwrap_or_default(), name: jwk.name, x });
        }
        Ok(Self { keys })
    }

    /// The names of the receipt keys, in the order of the file.
    #[must_use]
    pub fn receipt_kids(&self) -> Vec<KeyId> {
        self.keys.iter().filter(|k| k.role == Role::Receipt).map(|k| k.kid.clone()).collect()
    }

    /// The operators' keys, each with its level, in the order of the file.
    pub fn operators(&self) -> impl Iterator<Item = (&KeyId, Level)> {
        self.keys.iter().filter(|k| k.role == Role::Operator).map(|k| (&k.kid, k.level))
    }

    /// Whose key this is, if the file says so.
    #[must_use]
    pub fn name(&self, kid: &KeyId) -> Option<&str> {
        self.keys.iter().find(|k| k.kid == *kid)?.name.as_deref()
    }

    /// A key as people know it: `Sari (f7-iem4e…)`.
    #[must_use]
    pub fn named(&self, kid: &KeyId) -> String {
        text::named(self.name(kid), kid.as_str())
    }

    /// The public half of a receipt key, and its issuer.
    pub(super) fn receipt(&self, kid: &KeyId) -> Option<(&[u8; 32], Option<&str>)> {
        self.keys.iter().find(|k| k.kid == *kid && k.role == Role::Receipt).map(|k| (&k.x, k.iss.as_deref()))
    }

    /// The public half of an operator's key, and its level.
    pub(super) fn operator(&self, kid: &KeyId) -> Option<(&[u8; 32], Level)> {
        self.keys.iter().find(|k| k.kid == *kid && k.role == Role::Operator).map(|k| (&k.x, k.level))
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
        self.jwk(None, None, None, None, Some(BASE64URL.encode(self.seed)))
    }

    /// The public JWK of a merchant's key, for `keys.json`.
    #[must_use]
    pub fn to_public_jwk(&self, issuer: &str) -> String {
        self.jwk(Some(Role::Receipt), Some(issuer.into()), None, None, None)
    }

    /// The public JWK of an operator's key, for `keys.json`.
    #[must_use]
    pub fn to_operator_jwk(&self, level: Level) -> String {
        self.to_named_jwk(level, None)
    }

    /// The same, with the name of the operator.
    #[must_use]
    pub fn to_named_jwk(&self, level: Level, name: Option<Box<str>>) -> String {
        self.jwk(Some(Role::Operator), None, Some(level), name, None)
    }

    fn jwk(&self, role: Option<Role>, iss: Option<Box<str>>, level: Option<Level>, name: Option<Box<str>>, d: Option<String>) -> String {
        let x = BASE64URL.encode(self.pair.public_key().as_ref());
        let jwk = Jwk { kty: "OKP".into(), crv: "Ed25519".into(), kid: self.kid.clone(), role, iss, level, name, x, d };
        serde_json::to_string(&jwk).expect("a JWK is plain text")
    }

    /// Its name.
    #[must_use]
    pub fn kid(&self) -> &KeyId {
        &self.kid
    }

    pub(super) fn signature(&self, bytes: &[u8]) -> impl AsRef<[u8]> {
        self.pair.sign(bytes)
    }

    pub(super) fn public(&self) -> [u8; 32] {
        self.pair.public_key().as_ref().try_into().expect("32 bytes")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}

/// An operator's public key that somebody offers to a machine.
#[derive(Debug)]
pub struct OfferedKey(Jwk);

impl OfferedKey {
    /// Its name.
    #[must_use]
    pub const fn kid(&self) -> &KeyId {
        &self.0.kid
    }

    /// What its owner may do.
    #[must_use]
    pub fn level(&self) -> Level {
        self.0.level.unwrap_or_default()
    }

    /// Whether its name is its thumbprint, as `qrisctl keys new` makes it. Then nobody can give another key this name.
    #[must_use]
    pub fn has_own_name(&self) -> bool {
        bytes32(&self.0.x).is_some_and(|x| thumbprint(&x) == self.0.kid)
    }
}

/// A `keys.json` that a person changes.
pub struct KeyFile(JwkSet);

impl KeyFile {
    /// Reads it.
    pub fn read(json: &str) -> Result<Self, KeyError> {
        KeySet::from_jwks(json)?;
        serde_json::from_str(json).map(Self).map_err(|e| form(&e))
    }

    /// Adds an operator's public key, a JWK. A key of this name is replaced, so its level can be changed.
    ///
    /// # Errors
    /// The text is no such key, or the file could not be read with it any more.
    pub fn put_operator(&mut self, jwk: &str) -> Result<KeyId, KeyError> {
        let jwk: Jwk = serde_json::from_str(jwk).map_err(|e| form(&e))?;
        let kid = jwk.kid.clone();
        if jwk.role != Some(Role::Operator) || jwk.level.is_none() {
            return Err(KeyError::Key(kid, "it is not an operator's key with a level, as `qrisctl keys new` tells it"));
        }
        if self.0.keys.iter().any(|key| key.kid == kid && key.role != Some(Role::Operator)) {
            return Err(KeyError::Key(kid, "another key has this kid"));
        }
        self.retire(&kid);
        self.0.keys.push(jwk);
        KeySet::from_jwks(&self.to_text()).map(|_| kid)
    }

    /// Takes an operator's key out. `false`: there is none of this name.
    pub fn retire(&mut self, kid: &KeyId) -> bool {
        let before = self.0.keys.len();
        self.0.keys.retain(|key| key.kid != *kid || key.role != Some(Role::Operator));
        self.0.keys.len() < before
    }

    /// Takes all operators' keys out.
    pub fn take_operators(&mut self) -> Vec<OfferedKey> {
        let (operators, others) = std::mem::take(&mut self.0.keys).into_iter().partition(|key| key.role == Some(Role::Operator));
        self.0.keys = others;
        operators.into_iter().map(OfferedKey).collect()
    }

    /// Whether it has this very key, with this level.
    #[must_use]
    pub fn believes(&self, key: &OfferedKey) -> bool {
        let is_same = |known: &Jwk| {
            (&known.kid, &known.x, known.role, known.level.unwrap_or_default()) == (&key.0.kid, &key.0.x, key.0.role, key.level())
        };
        self.0.keys.iter().any(is_same)
    }

    /// Adds the key of an operator, in place of one of the same name.
    pub fn believe(&mut self, key: OfferedKey) {
        self.retire(&key.0.kid);
        self.0.keys.push(key.0);
    }

    /// Whether an operator's key is in it.
    #[must_use]
    pub fn has_operators(&self) -> bool {
        self.0.keys.iter().any(|key| key.role == Some(Role::Operator))
    }

    /// Takes over the operators' keys of an earlier file. Those that are here already stay, and have the names that they had there: who
    /// offers a key again gives it no other name.
    pub fn keep_operators(&mut self, earlier: Self) {
        for key in &mut self.0.keys {
            if let Some(known) = earlier.0.keys.iter().find(|known| (&known.kid, &known.x) == (&key.kid, &key.x)) {
                key.name.clone_from(&known.name);
            }
        }
        let is_new = |key: &Jwk| key.role == Some(Role::Operator) && self.0.keys.iter().all(|known| known.kid != key.kid);
        let kept: Vec<_> = earlier.0.keys.into_iter().filter(is_new).collect();
        self.0.keys.extend(kept);
    }

    /// As it is written.
    #[must_use]
    pub fn to_text(&self) -> String {
        let keys: Vec<_> = self.0.keys.iter().map(|key| serde_json::to_string(key).expect("a JWK is plain text")).collect();
        jwk_set(&keys)
    }
}

/// Whether somebody may have this name. It stands in journals and on terminals.
#[must_use]
pub fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && name.chars().count() <= NAME_MAX && !name.contains(text::steers)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_seed([7; 32])
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

    #[test]
    fn a_persons_key_comes_and_goes_and_the_merchants_stay() {
        let (merchant, door) = (key().to_public_jwk("pay.example"), SigningKey::from_seed([9; 32]));
        let mut file = KeyFile::read(&jwk_set(std::slice::from_ref(&merchant))).expect("a file");
        let operators = |file: &KeyFile| {
            let keys = KeySet::from_jwks(&file.to_text()).expect("readable");
            assert_eq!(keys.receipt_kids(), [key().kid().clone()]);
            keys.operators().map(|(kid, level)| (kid.clone(), level)).collect::<Vec<_>>()
        };
        assert_eq!((file.has_operators(), operators(&file).len()), (false, 0));
        for level in [Level::Manage, Level::View] {
            assert_eq!(file.put_operator(&door.to_operator_jwk(level)).as_ref(), Ok(door.kid()));
            assert_eq!(operators(&file), [(door.kid().clone(), level)], "the level of a key that is there is changed");
        }
        let no_level = door.to_operator_jwk(Level::View).replace("\"level\":\"view\",", "");
        for bad in [merchant.clone(), door.to_private_jwk(), no_level.clone(), key().to_operator_jwk(Level::Service), "{}".into()] {
            assert!(file.put_operator(&bad).is_err(), "{bad}");
            assert_eq!(operators(&file).len(), 1, "{bad}");
        }
        let of_no_level = KeySet::from_jwks(&jwk_set(&[no_level])).expect("readable");
        assert_eq!(of_no_level.operators().next().map(|(_, level)| level), Some(Level::View));
        let mut enrolled = KeyFile::read(&jwk_set(&[SigningKey::from_seed([8; 32]).to_public_jwk("i")])).expect("a file");
        enrolled.keep_operators(KeyFile::read(&file.to_text()).expect("readable"));
        assert!(enrolled.has_operators() && !enrolled.to_text().contains("pay.example"));
        let offered = enrolled.take_operators();
        assert_eq!(
            offered.iter().map(|key| (key.kid(), key.level(), key.has_own_name())).collect::<Vec<_>>(),
            [(door.kid(), Level::View, true)]
        );
        assert!(!enrolled.has_operators() && file.believes(&offered[0]) && !enrolled.believes(&offered[0]));
        for key in offered {
            enrolled.believe(key);
        }
        assert_eq!(
            operators(&file),
            KeySet::from_jwks(&enrolled.to_text())
                .expect("readable")
                .operators()
                .map(|(kid, level)| (kid.clone(), level))
                .collect::<Vec<_>>()
        );
        assert_eq!((file.retire(key().kid()), file.retire(door.kid()), file.retire(door.kid())), (false, true, false));
        assert_eq!(file.to_text(), jwk_set(&[merchant]));
    }

    #[test]
    fn a_key_in_the_name_of_another_one_is_seen() {
        let (own, other) = (SigningKey::from_seed([9; 32]), SigningKey::from_seed([10; 32]));
        let read = |jwk: String| KeyFile::read(&jwk_set(&[jwk])).expect("a file");
        let believing = read(own.to_operator_jwk(Level::Manage));
        let of_other = other.to_operator_jwk(Level::Manage).replace(other.kid().as_str(), own.kid().as_str());
        for (jwk, has_own_name, is_believed) in
            [(own.to_operator_jwk(Level::Manage), true, true), (own.to_operator_jwk(Level::Service), true, false), (of_other, false, false)]
        {
            let [offered] = &read(jwk.clone()).take_operators()[..] else { panic!("{jwk}") };
            assert_eq!((offered.has_own_name(), believing.believes(offered)), (has_own_name, is_believed), "{jwk}");
        }
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
