//! `config/desired` and `config/reported`: a machine's settings that come from afar, and what came of them.

use super::orders::Amounts;
use super::relay::RelayLine;
use super::strict::Object;
use crate::order::ids::{DeviceId, KeyId};
use crate::order::keys::{KeySet, Level, SigningKey};
use crate::order::operator::{self, Signed, SignedError, Text};
use crate::order::reason::Reason;
use crate::order::request::Refusal;
use crate::order::time::Wall;
use crate::order::word::words;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The largest payload of `config/desired`, in bytes. A price list of 1,000 items fits.
pub const SETTINGS_MAX: usize = 256 * 1024;

/// Every version is below this. Each text counts one up from the version before, and [`FIRST_VERSIONS`] says where it may begin. So no
/// operator ever comes here, and no number that somebody invents leaves the next one without room.
pub const VERSIONS: u64 = 1 << 41;
/// A machine without settings takes a version below this, and no other one: nobody can know what it had before, if it had any.
pub const FIRST_VERSIONS: u64 = 1 << 40;

/// The version after this one; `None`: no operator can have reached it.
#[must_use]
pub fn next_version(from: u64) -> Option<u64> {
    from.checked_add(1).filter(|version| *version < VERSIONS)
}

/// What is signed. Field names are those of the wire.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Desired {
    /// The machine that it is for.
    pub aud: DeviceId,
    /// From 1, below [`VERSIONS`]. It only goes up.
    pub version: u64,
    /// The version that it was made from; 0: from none.
    pub from: u64,
    /// Seconds since 1970. After that nobody takes it for the first time. Who has it keeps it.
    pub exp: i64,
    /// RFC 3339. It is not in force before this time; absent: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_at: Option<Box<str>>,
    /// Whether keys that a machine does not know may be left out. Else such a machine refuses the whole.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_unknown: bool,
    /// The text was made of what the machine had told: [`made_of`] that. Answers are not signed, and somebody else may have answered in the
    /// machine's name. So a machine that has other settings does not take the text. Absent: a person has written the whole text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_of: Option<Box<str>>,
    /// The text: a part of `qrisd.toml`.
    pub settings: Box<str>,
}

words! {
    /// Why settings are refused.
    pub enum Objection {
        /// The message has another form.
        Malformed = "malformed",
        /// The message is larger than [`SETTINGS_MAX`].
        TooLarge = "too_large",
        /// No operator's key of this machine has this name.
        UnknownKey = "unknown_key",
        /// The key may not change settings.
        Level = "level",
        /// The signature does not fit.
        Signature = "signature",
        /// They are for another machine.
        WrongDevice = "wrong_device",
        /// They are older than those that the machine has.
        Stale = "stale",
        /// They were made from another version than the one that the machine has.
        Conflict = "conflict",
        /// They came too late to be taken.
        Expired = "expired",
        /// A value is wrong; `faults` says which.
        Invalid = "invalid",
    }
}

/// Settings that are refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RefusedSettings {
    /// Their version, if it could be read and is signed.
    pub version: Option<u64>,
    /// Why.
    pub code: Objection,
    /// For people.
    pub message: Box<str>,
    /// What is wrong in the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<WrongValue>,
}

/// A value that cannot be used, or a key that is not known.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WrongValue {
    /// Its key in the text, as a path: `item[0].price`.
    pub path: Box<str>,
    /// Its line, from 1.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub why: Box<str>,
}

impl fmt::Display for WrongValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A text that is no TOML has no path.
        match &*self.path {
            "" => f.write_str(&self.why),
            path => write!(f, "{path}: {}", self.why),
        }
    }
}

/// Settings that wait: for their time, or for an order that holds the machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Waiting {
    /// Their version.
    pub version: u64,
    /// The key that signed them.
    pub kid: KeyId,
    /// Their time, as it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_at: Option<Box<str>>,
}

/// `config/reported`, retained.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Reported {
    /// The version in force; 0: the machine's own file alone.
    pub version: u64,
    /// The text of this version is empty, so the machine's own file is in force.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_file: bool,
    /// The key that signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<KeyId>,
    /// Since when it is in force, RFC 3339; absent while the clock was not trusted then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Box<str>>,
    /// What people call the machine. It stands here, too, because a machine that is gone has no more than its release in its `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
    /// The words by which an operator picks the machine out of many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Box<str>>,
    /// The keys of its text that this release does not know, and has left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<WrongValue>,
    /// What will be in force next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// What was wanted last, if it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusedSettings>,
}

/// The result of `config-get`: what an operator must know before another text is written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConfigGetResult {
    /// As on `config/reported`. `None`: the database is not open, and nobody knows what is in force.
    pub reported: Option<Reported>,
    /// The text in force that came from afar.
    pub settings: Option<Box<str>>,
    /// The machine's own file, as such a text: every key that can be set from afar. The logo is left out if there is one.
    pub own: Box<str>,
    /// The relay's lines while it is there, as far as it tells them.
    pub lines: Vec<RelayLine>,
    /// What the backend can charge, as it told the machine last: see [`OpenOrders::amounts`](super::orders::OpenOrders). Empty: nobody knows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub amounts: BTreeMap<Box<str>, Amounts>,
}

/// SHA-256 of what a machine has: its own file as it tells it, and the text in force that came from afar.
#[must_use]
pub fn made_of(own: &str, settings: Option<&str>) -> Box<str> {
    let both = serde_json::to_vec(&(own, settings)).expect("plain data");
    crate::hex(digest(&SHA256, &both).as_ref()).into()
}

impl Desired {
    /// Signs the settings: the payload of `config/desired`.
    #[must_use]
    pub fn signed(&self, key: &SigningKey) -> Vec<u8> {
        #[derive(Serialize)]
        struct Payload {
            signed: String,
        }
        serde_json::to_vec(&Payload { signed: operator::sign(key, Text::Settings, self) }).expect("a payload is plain data")
    }

    /// Reads `config/desired`, and believes it if an operator of this machine has signed it for this machine. Answers with the
    /// key, too.
    ///
    /// # Errors
    /// Why it is refused, and the key that has signed it, if that could be checked.
    pub fn read(payload: &[u8], keys: &KeySet, me: &DeviceId) -> Result<(Self, KeyId), (RefusedSettings, Option<KeyId>)> {
        let jws: Result<Box<str>, Refusal> = Object::read(payload, SETTINGS_MAX).and_then(|mut object| object.required("signed"));
        let jws = jws.map_err(|refusal| (refusal.into(), None))?;
        let signed = operator::verify(&jws, Text::Settings, keys).map_err(|error| (RefusedSettings::from(error), None))?;
        match Self::believe(&signed, me) {
            Ok(desired) => Ok((desired, signed.kid)),
            Err(refused) => Err((refused, Some(signed.kid))),
        }
    }

    fn believe(signed: &Signed, me: &DeviceId) -> Result<Self, RefusedSettings> {
        signed.may(Level::Manage)?;
        let mut object = Object::read(&signed.payload, SETTINGS_MAX)?;
        let desired = Self {
            aud: object.required("aud")?,
            version: object.required("version")?,
            from: object.required("from")?,
            exp: object.required("exp")?,
            effective_at: object.optional("effective_at")?,
            skip_unknown: object.optional("skip_unknown")?.unwrap_or_default(),
            made_of: object.optional("made_of")?,
            settings: object.required("settings")?,
        };
        let refused = |code, message: String| {
            Err(RefusedSettings { version: Some(desired.version), code, message: message.into(), faults: Vec::new() })
        };
        if desired.aud != *me {
            return refused(Objection::WrongDevice, format!("they are for the machine {}", desired.aud));
        }
        if desired.version <= desired.from {
            return refused(Objection::Malformed, format!("version {} must be more than from, {}", desired.version, desired.from));
        }
        if desired.version >= VERSIONS {
            return refused(Objection::Malformed, format!("version {} is one that no operator can have reached", desired.version));
        }
        if let Some(at) = desired.effective_at.as_deref().filter(|at| Wall::from_rfc3339(at).is_err()) {
            return refused(Objection::Malformed, format!("effective_at must be RFC 3339, not {at:?}"));
        }
        Ok(desired)
    }

    /// Whether nobody takes them for the first time any more.
    #[must_use]
    pub const fn is_over(&self, now: Wall) -> bool {
        self.exp.saturating_mul(1000) <= now.0
    }

    /// The time from which they are in force.
    #[must_use]
    pub fn due(&self) -> Option<Wall> {
        self.effective_at.as_deref().and_then(|at| Wall::from_rfc3339(at).ok())
    }
}

impl From<Refusal> for RefusedSettings {
    fn from(refusal: Refusal) -> Self {
        let code = if refusal.reason == Reason::TooLarge { Objection::TooLarge } else { Objection::Malformed };
        Self { version: None, code, message: refusal.detail, faults: Vec::new() }
    }
}

impl From<SignedError> for RefusedSettings {
    fn from(error: SignedError) -> Self {
        let code = match error {
            SignedError::Form(..) => Objection::Malformed,
            SignedError::UnknownKey(_) => Objection::UnknownKey,
            SignedError::Level { .. } => Objection::Level,
            SignedError::Signature(_) => Objection::Signature,
        };
        Self { version: None, code, message: error.to_string().into(), faults: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::receipt::testing::keys;

    #[test]
    fn a_version_never_wraps_and_never_comes_near_its_bound() {
        assert_eq!((next_version(0), next_version(7)), (Some(1), Some(8)));
        assert_eq!(next_version(FIRST_VERSIONS - 1), Some(FIRST_VERSIONS), "what a machine takes first is followed by others");
        for from in [VERSIONS - 1, VERSIONS, u64::MAX - 1, u64::MAX] {
            assert_eq!(next_version(from), None, "{from}");
        }
    }

    #[test]
    fn damaged_settings_are_told_as_settings() {
        let me = DeviceId::new("vm-001").expect("an id");
        let (refused, by) = Desired::read(br#"{"signed":"x"}"#, &keys(), &me).expect_err("refused");
        assert_eq!((&*refused.message, by), ("the signed text of the settings is not a compact JWS: no dots", None));
    }
}
