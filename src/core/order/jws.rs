//! The compact JWS (RFC 7515): the one form in which anything is signed here.
//!
//! It has `alg` EdDSA over Ed25519 (RFC 8037), a `typ` for each kind of text, and a `kid`. There is one algorithm and one form, so
//! this is a page of code and not a JOSE library. Nothing here looks up a key by URL, and nothing negotiates.

use super::ids::KeyId;
use super::keys::SigningKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const ALG: &str = "EdDSA";

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

/// Why a text cannot be read as a compact JWS. Its reader says before this what the text should be: a receipt, a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// More bytes than that.
    #[error("is longer than {0} bytes")]
    TooLong(usize),
    /// It is not three parts of base64url with JSON objects in the first two.
    #[error("is not a compact JWS: {0}")]
    NotCompact(&'static str),
    /// `alg` or another header field has another value.
    #[error("has a wrong header: {0}")]
    Header(&'static str),
    /// It is signed for another use.
    #[error("has a wrong header: typ must be {0}")]
    Type(&'static str),
    /// A claim is missing or has another form.
    #[error("has wrong claims: {0}")]
    Claims(String),
}

impl<'a> Parts<'a> {
    pub(super) fn split(jws: &'a str, bytes_max: usize) -> Result<Self, JwsError> {
        if jws.len() > bytes_max {
            return Err(JwsError::TooLong(bytes_max));
        }
        let (signed, signature) = jws.rsplit_once('.').ok_or(JwsError::NotCompact("no dots"))?;
        let (header, payload) = signed.split_once('.').ok_or(JwsError::NotCompact("one dot"))?;
        if payload.contains('.') {
            return Err(JwsError::NotCompact("more than two dots"));
        }
        Ok(Self { signed, header, payload, signature })
    }

    pub(super) fn kid(&self, typ: &'static str) -> Result<KeyId, JwsError> {
        let bytes = BASE64URL.decode(self.header).map_err(|_| JwsError::NotCompact("the header is not base64url"))?;
        let header: Header = serde_json::from_slice(&bytes).map_err(|_| JwsError::Header("it must hold alg, kid and typ, and no more"))?;
        if header.alg != ALG {
            return Err(JwsError::Header("alg must be EdDSA"));
        }
        if header.typ == typ { Ok(header.kid) } else { Err(JwsError::Type(typ)) }
    }

    pub(super) fn is_signed_by(&self, x: &[u8; 32]) -> Result<bool, JwsError> {
        let signature = BASE64URL.decode(self.signature).map_err(|_| JwsError::NotCompact("the signature is not base64url"))?;
        Ok(UnparsedPublicKey::new(&ED25519, x).verify(self.signed.as_bytes(), &signature).is_ok())
    }

    /// Its claims, without a look at the signature.
    pub(super) fn claims<T: DeserializeOwned>(&self) -> Result<T, JwsError> {
        serde_json::from_slice(&self.payload()?).map_err(|e| JwsError::Claims(e.to_string()))
    }

    /// Its payload as it was signed, without a look at the signature.
    pub(super) fn payload(&self) -> Result<Vec<u8>, JwsError> {
        BASE64URL.decode(self.payload).map_err(|_| JwsError::NotCompact("the payload is not base64url"))
    }
}

pub(super) fn sign(key: &SigningKey, typ: &str, claims: &impl Serialize) -> String {
    let header = Header { alg: ALG.into(), kid: key.kid().clone(), typ: typ.into() };
    let part = |json: serde_json::Result<Vec<u8>>| BASE64URL.encode(json.expect("claims and header are plain data"));
    let signed = format!("{}.{}", part(serde_json::to_vec(&header)), part(serde_json::to_vec(claims)));
    let signature = key.signature(signed.as_bytes());
    format!("{signed}.{}", BASE64URL.encode(signature))
}
