//! The invitation of a new machine: a code that lets it in once, and the call by which it is used.
//!
//! `URL#DEVICE.CODE`. A phone that opens it sends nothing behind the `#`. The code is good for one machine, until that machine
//! has shown its relay's key, and until its time is over. What the machine gets for it is an
//! [`Enrolment`](super::enrolment::Enrolment).

use crate::order::ids::DeviceId;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// The path of the call, below the backend's address.
pub const PATH: &str = "/v1/enrolment";
/// The letters of a code: the base32 of Douglas Crockford. I, L, O and U are not among them.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// The letters of one code. Each has 5 random bits: nobody guesses 100.
pub const LETTERS_MAX: usize = 20;
/// Letters between two dashes.
const GROUP: usize = 4;

/// A code: a secret until it was used. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(Box<str>);

/// A text that is no code. The error does not repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code has {LETTERS_MAX} letters and digits, as in 7QX2-9MKP-V4TD-0RHE-6ZNA, and no U")]
pub struct NoCode;

impl Code {
    /// A code of random bytes.
    #[must_use]
    pub fn of(random: [u8; LETTERS_MAX]) -> Self {
        Self(random.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect::<String>().into())
    }

    /// Its letters, without dashes. Every use of them is worth a second look.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Its letters in groups, as people read them.
    #[must_use]
    pub fn grouped(&self) -> String {
        self.0.as_bytes().chunks(GROUP).map(String::from_utf8_lossy).collect::<Vec<_>>().join("-")
    }
}

/// Dashes and blanks do not count, small letters are capitals, and letters that look like a digit are that digit.
impl FromStr for Code {
    type Err = NoCode;

    fn from_str(text: &str) -> Result<Self, NoCode> {
        let mut letters = String::new();
        for letter in text.chars().filter(|letter| *letter != '-' && !letter.is_whitespace()) {
            let letter = match letter.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                letter => letter,
            };
            let is_good = u8::try_from(letter).is_ok_and(|letter| LETTERS.contains(&letter));
            if !is_good || letters.len() == LETTERS_MAX {
                return Err(NoCode);
            }
            letters.push(letter);
        }
        if letters.len() == LETTERS_MAX { Ok(Self(letters.into())) } else { Err(NoCode) }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(…)")
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The body of `POST /v1/enrolment`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The machine.
    pub device: DeviceId,
    /// Its code.
    pub code: Code,
}

/// An invitation, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The backend's address.
    pub url: Box<str>,
    /// The machine and its code.
    pub claim: Claim,
}

/// Why a text is no invitation. The error does not repeat it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvitationError {
    /// It is something else.
    #[error("this is no invitation: one is https://SERVER#MACHINE.CODE, as `qris-backend device invite ID` writes it")]
    Other,
    /// The part behind the machine.
    #[error(transparent)]
    Code(#[from] NoCode),
}

impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}.{}", self.url, self.claim.device, self.claim.code.grouped())
    }
}

impl FromStr for Invitation {
    type Err = InvitationError;

    fn from_str(text: &str) -> Result<Self, InvitationError> {
        let (url, rest) = text.trim().split_once('#').ok_or(InvitationError::Other)?;
        let (device, code) = rest.rsplit_once('.').ok_or(InvitationError::Other)?;
        let device = DeviceId::new(device).map_err(|_| InvitationError::Other)?;
        Ok(Self { url: url.trim_end_matches('/').into(), claim: Claim { device, code: code.parse()? } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_reads_back_however_a_person_types_it() {
        let code = Code::of(std::array::from_fn(|at| u8::try_from(at * 13).expect("small")));
        assert_eq!(code.grouped().len(), 24);
        for text in [code.grouped(), code.grouped().to_lowercase(), code.expose().into(), format!(" {} ", code.grouped().replace('-', " "))]
        {
            assert_eq!(text.parse(), Ok(code.clone()), "{text}");
        }
        assert_eq!("OIL0-0000-0000-0000-0000".parse::<Code>(), "0110-0000-0000-0000-0000".parse());
        for bad in ["", "0110", "0110-0000-0000-0000-00000", "U110-0000-0000-0000-0000", "0110-0000-0000-0000-000é"] {
            assert_eq!(bad.parse::<Code>(), Err(NoCode), "{bad}");
        }
        assert_eq!(format!("{code:?}"), "Code(…)");
    }

    #[test]
    fn an_invitation_reads_back_and_its_error_hides_it() {
        let text = "https://pay.example/shop#vm_003.7QX2-9MKP-V4TD-0RHE-6ZNA";
        let invitation: Invitation = text.parse().expect("one");
        assert_eq!((&*invitation.url, invitation.claim.device.as_str()), ("https://pay.example/shop", "vm_003"));
        assert_eq!(invitation.to_string(), text);
        for bad in ["https://pay.example", "https://pay.example#vm-003", "#.7QX2-9MKP-V4TD-0RHE-6ZNA", "7QX2-9MKP-V4TD-0RHE-6ZNA"] {
            assert_eq!(bad.parse::<Invitation>(), Err(InvitationError::Other), "{bad}");
        }
        let why = "https://pay.example#vm-003.3WZZ-9999".parse::<Invitation>().expect_err("cut");
        assert!(why == InvitationError::Code(NoCode) && !format!("{why} {why:?}").contains("3WZZ"));
    }
}
