//! The texts that operators sign. They look after machines from afar.
//!
//! It is a compact [JWS](super::jws), with a `typ` of its own and an operator's key of `keys.json`. The broker only carries it: who has the broker can hold it back, and can sign nothing.

use super::ids::KeyId;
use super::jws::{self, JwsError, Parts};
use super::keys::{KeySet, Level, SigningKey};
use serde::Serialize;
use std::fmt;

/// What operators sign.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Text {
    /// A command to a machine.
    Command,
    /// Settings for a machine.
    Settings,
}

impl Text {
    const fn typ(self) -> &'static str {
        match self {
            Self::Command => "qris-command+jwt",
            Self::Settings => "qris-config+jwt",
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Command => "the command",
            Self::Settings => "the signed text of the settings",
        })
    }
}

/// What an operator has signed. The signature was checked, and nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    /// The key that signed.
    pub kid: KeyId,
    /// The same as people know it.
    pub named: Box<str>,
    /// Its level.
    pub level: Level,
    /// The payload: JSON.
    pub payload: Vec<u8>,
}

/// Why a text is not believed to be an operator's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignedError {
    /// It cannot be read.
    #[error("{0} {1}")]
    Form(Text, JwsError),
    /// `keys.json` has no operator's key of this name.
    #[error("keys.json of this machine has no operator's key {0}")]
    UnknownKey(KeyId),
    /// The key may do less.
    #[error("the key {named} has the level {has}, and this needs {needs}")]
    Level {
        /// The key.
        kid: KeyId,
        /// The same as people know it.
        named: Box<str>,
        /// Its level.
        has: Level,
        /// The level that is needed.
        needs: Level,
    },
    /// The signature does not fit.
    #[error("{0} has a wrong signature")]
    Signature(Text),
}

impl Signed {
    /// Whether the key may do what needs this level.
    pub fn may(&self, needs: Level) -> Result<(), SignedError> {
        if self.level >= needs {
            return Ok(());
        }
        Err(SignedError::Level { kid: self.kid.clone(), named: self.named.clone(), has: self.level, needs })
    }
}

/// Believes a JWS if an operator of this machine has signed it as such a text. The caller has looked at its length, and looks at the
/// operator's level.
pub fn verify(jws: &str, text: Text, keys: &KeySet) -> Result<Signed, SignedError> {
    let form = |error| SignedError::Form(text, error);
    let parts = Parts::split(jws, usize::MAX).map_err(form)?;
    let kid = parts.kid(text.typ()).map_err(form)?;
    let Some((x, level)) = keys.operator(&kid) else { return Err(SignedError::UnknownKey(kid)) };
    if !parts.is_signed_by(x).map_err(form)? {
        return Err(SignedError::Signature(text));
    }
    Ok(Signed { named: keys.named(&kid).into(), kid, level, payload: parts.payload().map_err(form)? })
}

/// Signs as an operator.
#[must_use]
pub fn sign(key: &SigningKey, text: Text, claims: &impl Serialize) -> String {
    jws::sign(key, text.typ(), claims)
}
