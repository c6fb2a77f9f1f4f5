//! What people sign who look after machines from afar.
//!
//! It is a compact JWS (RFC 7515) in the form of a [`receipt`](super::receipt), with a `typ` of its own and an operator's key of
//! `keys.json`. The broker only carries it: who has the broker can hold it back, and can sign nothing.

use super::ids::KeyId;
use super::receipt::{KeySet, Parts, ReceiptError, SigningKey};
use serde::{Deserialize, Serialize};
use std::fmt;

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

/// What an operator has signed. The signature was checked, and nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    /// The key that signed.
    pub kid: KeyId,
    /// Its level.
    pub level: Level,
    /// The payload: JSON.
    pub payload: Vec<u8>,
}

/// Why a text is not believed to be an operator's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignedError {
    /// Not a compact JWS of this type.
    #[error("it is not signed in the form that is needed: {0}")]
    Form(ReceiptError),
    /// `keys.json` has no operator's key of this name.
    #[error("keys.json of this machine has no operator's key {0}")]
    UnknownKey(KeyId),
    /// The key may do less.
    #[error("the key {kid} has the level {has}, and this needs {needs}")]
    Level {
        /// The key.
        kid: KeyId,
        /// Its level.
        has: Level,
        /// The level that is needed.
        needs: Level,
    },
    /// The signature does not fit.
    #[error("the signature is wrong")]
    Signature,
}

impl Signed {
    /// Whether the key may do what needs this level.
    ///
    /// # Errors
    /// [`SignedError::Level`].
    pub fn may(&self, needs: Level) -> Result<(), SignedError> {
        if self.level < needs { Err(SignedError::Level { kid: self.kid.clone(), has: self.level, needs }) } else { Ok(()) }
    }
}

/// Believes a JWS of this type if an operator of this machine has signed it. The caller has looked at its length, and looks at the
/// operator's level.
///
/// # Errors
/// See [`SignedError`].
pub fn verify(jws: &str, typ: &str, keys: &KeySet) -> Result<Signed, SignedError> {
    let parts = Parts::of_any_length(jws).map_err(SignedError::Form)?;
    let kid = parts.kid(typ, "typ is another one").map_err(SignedError::Form)?;
    let Some((x, level)) = keys.operator(&kid) else { return Err(SignedError::UnknownKey(kid)) };
    if !parts.is_signed_by(x).map_err(SignedError::Form)? {
        return Err(SignedError::Signature);
    }
    Ok(Signed { kid, level, payload: parts.payload_bytes().map_err(SignedError::Form)? })
}

/// Signs as an operator.
#[must_use]
pub fn sign(key: &SigningKey, typ: &str, claims: &impl Serialize) -> String {
    key.compact(typ, claims)
}
