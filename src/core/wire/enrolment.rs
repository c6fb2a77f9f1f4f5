//! The enrolment text: everything that a new machine must know of its merchant, as one text that a person can paste.
//!
//! `qris-enrol1.PAYLOAD.CHECK`, folded or not. PAYLOAD is JSON in base64url. CHECK is the beginning of the SHA-256 of
//! everything before its dot. It finds a line that was cut, wrapped into another or mistyped. It does not protect against
//! somebody who changes the text on purpose. The text holds the machine's token, and mostly its password at the broker: it is
//! a secret.

use crate::order::ids::DeviceId;
use crate::order::keys::{KeyError, KeySet};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Every enrolment text begins with this, in every version.
pub const BEGINS: &str = "qris-enrol";
const VERSION: u32 = 1;
/// The longest text that is read, in bytes. A text with two certificates has 4 KB.
pub const TEXT_MAX: usize = 64 * 1024;
/// The length of its lines where it is folded, in characters. A terminal gives a program lines of at most 4095 bytes, and
/// loses the rest of a longer line (N_TTY of Linux, termios(3)).
const LINE: usize = 76;
/// The length of the check: so many bytes of the digest.
const CHECK_BYTES: usize = 6;

/// What the merchant tells a machine.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// Its id.
    pub device: DeviceId,
    /// What people call it, if the merchant has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
    /// The merchant's backend.
    pub backend: Backend,
    /// The broker; the merchant may leave it out and tell it in another way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker: Option<Broker>,
    /// The JWK Set for `keys.json`.
    pub keys: Value,
}

/// How the backend is reached.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// Its address.
    pub url: Box<str>,
    /// The machine's token: a secret.
    pub token: Box<str>,
    /// A private CA in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Box<str>>,
}

/// How the broker is reached.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broker {
    /// Its address.
    pub url: Box<str>,
    /// The machine's name there. Without it, its device id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<Box<str>>,
    /// Its password: a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Box<str>>,
    /// A private CA in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Box<str>>,
}

/// The CA stands in the text once if it signed for both the backend and the broker.
#[derive(Serialize)]
struct Shared<'a> {
    #[serde(flatten)]
    rest: &'a Enrolment,
    ca: Option<&'a str>,
}

/// The same text, as it is read.
#[derive(Deserialize)]
struct SharedCa {
    #[serde(default)]
    ca: Option<Box<str>>,
}

/// Why a text is not an enrolment. The error never repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnrolmentError {
    /// It begins with something else.
    #[error("this is not an enrolment text: one begins with {BEGINS}{VERSION}, as `qris-backend device add ID --bundle` writes it")]
    Other,
    /// It is of a later release.
    #[error("the enrolment text is of version {0}, and this release reads version {VERSION}: install a newer one")]
    Newer(u32),
    /// It was cut, or changed.
    #[error("the enrolment text is damaged: a part of it is missing or changed. Paste it again, from the first to the last character")]
    Damaged,
    /// It is whole, but another program made it: it does not have what it should have.
    #[error("the enrolment text is whole, but cannot be used: {0}")]
    Form(String),
    /// Its keys.
    #[error("the keys of the enrolment text cannot be used: {0}")]
    Keys(#[from] KeyError),
}

impl Enrolment {
    /// The text, in one line.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut rest = self.clone();
        let backend = &mut rest.backend.ca;
        let shared = match rest.broker.as_mut().map(|broker| &mut broker.ca) {
            Some(broker) if backend.is_some() && broker == backend => {
                *broker = None;
                backend.take()
            }
            Some(_) | None => None,
        };
        let json = match &shared {
            Some(ca) => serde_json::to_vec(&Shared { rest: &rest, ca: Some(ca) }),
            None => serde_json::to_vec(&rest),
        };
        let json = json.expect("plain data");
        let text = format!("{BEGINS}{VERSION}.{}", BASE64URL.encode(json));
        let check = check(&text);
        format!("{text}.{check}")
    }

    /// The text, in lines that every terminal takes.
    #[must_use]
    pub fn folded(text: &str) -> String {
        let characters: Vec<char> = text.chars().collect();
        characters.chunks(LINE).map(|line| line.iter().collect::<String>()).collect::<Vec<_>>().join("\n")
    }

    /// Reads a text. Blanks and line breaks do not count, wherever a terminal or a mail put them. Quotes around it do
    /// not count either.
    pub fn from_text(text: &str) -> Result<Self, EnrolmentError> {
        let text: String = text.chars().filter(|c| !c.is_whitespace() && !"\"'`\u{feff}".contains(*c)).take(TEXT_MAX + 1).collect();
        if text.len() > TEXT_MAX {
            return Err(EnrolmentError::Damaged);
        }
        let rest = text.strip_prefix(BEGINS).ok_or(EnrolmentError::Other)?;
        let (version, _) = rest.split_once('.').ok_or(EnrolmentError::Damaged)?;
        match version.parse::<u32>() {
            Ok(VERSION) => {}
            Ok(newer @ 2..) => return Err(EnrolmentError::Newer(newer)),
            Ok(0) | Err(_) => return Err(EnrolmentError::Damaged),
        }
        let (signed, found) = text.rsplit_once('.').ok_or(EnrolmentError::Damaged)?;
        if check(signed) != found {
            return Err(EnrolmentError::Damaged);
        }
        let payload = signed.split_once('.').map_or("", |(_, payload)| payload);
        let json = BASE64URL.decode(payload).map_err(|_| EnrolmentError::Damaged)?;
        let unreadable = |why: serde_json::Error| EnrolmentError::Form(without_values(&why));
        let mut enrolment: Self = serde_json::from_slice(&json).map_err(unreadable)?;
        let shared: SharedCa = serde_json::from_slice(&json).map_err(unreadable)?;
        if let Some(ca) = shared.ca {
            enrolment.backend.ca.get_or_insert_with(|| ca.clone());
            if let Some(broker) = &mut enrolment.broker {
                broker.ca.get_or_insert(ca);
            }
        }
        enrolment.key_set()?;
        Ok(enrolment)
    }

    /// Its keys, checked.
    pub fn key_set(&self) -> Result<KeySet, KeyError> {
        KeySet::from_jwks(&self.keys.to_string())
    }
}

/// It shows the machine; the rest is secret.
impl fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Enrolment({}, …)", self.device)
    }
}

fn check(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    BASE64URL.encode(&digest.as_ref()[..CHECK_BYTES])
}

/// The error of serde, by kind and place. Its own words may quote a value.
fn without_values(why: &serde_json::Error) -> String {
    let text = why.to_string();
    match text.split_once('`') {
        Some(("missing field ", rest)) => format!("{} is missing", rest.split('`').next().unwrap_or_default()),
        Some(_) | None => format!("a value in its column {} is of another kind", why.column()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::keys::{SigningKey, jwk_set};

    fn enrolment() -> Enrolment {
        let keys = jwk_set(&[SigningKey::from_seed([3; 32]).to_public_jwk("pay.example")]);
        Enrolment {
            device: DeviceId::new("vm-001").expect("an id"),
            name: Some("Lobi lantai 2".into()),
            backend: Backend { url: "https://pay.example".into(), token: "TOKEN-hunter2".into(), ca: None },
            broker: Some(Broker {
                url: "mqtts://broker.example:8883".into(),
                username: None,
                password: Some("hunter2".into()),
                ca: Some("-----BEGIN CERTIFICATE-----\n".into()),
            }),
            keys: serde_json::from_str(&keys).expect("JSON"),
        }
    }

    #[test]
    fn it_reads_back_however_it_was_wrapped() {
        let text = enrolment().to_text();
        assert!(text.starts_with("qris-enrol1.") && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "{text}");
        let folded = Enrolment::folded(&text);
        assert!(folded.lines().all(|line| line.len() <= 76) && folded.lines().count() > 5 && !folded.ends_with('\n'), "{folded}");
        assert_eq!(folded.replace('\n', ""), text);
        let wrapped: String = text.as_bytes().chunks(60).map(|line| format!("  {}\r\n", String::from_utf8_lossy(line))).collect();
        for form in [text.clone(), format!("\n'{text}' "), wrapped, folded] {
            assert_eq!(Enrolment::from_text(&form), Ok(enrolment()));
        }
    }

    #[test]
    fn one_ca_of_both_stands_there_once() {
        let ca: Box<str> = "-----BEGIN CERTIFICATE-----\n".repeat(20).into();
        let with = |backend: Option<&Box<str>>, broker: Option<&Box<str>>| {
            let mut enrolment = enrolment();
            enrolment.backend.ca = backend.cloned();
            enrolment.broker.as_mut().expect("it has one").ca = broker.cloned();
            enrolment
        };
        let other: Box<str> = "another".into();
        for (backend, broker) in [(Some(&ca), Some(&ca)), (Some(&ca), Some(&other)), (Some(&ca), None), (None, Some(&ca)), (None, None)] {
            let enrolment = with(backend, broker);
            assert_eq!(Enrolment::from_text(&enrolment.to_text()), Ok(enrolment));
        }
        let (once, twice) = (with(Some(&ca), Some(&ca)).to_text().len(), with(Some(&ca), Some(&other)).to_text().len());
        assert!(once < twice, "{once}, and with another {twice}");
        let lone = Enrolment { broker: None, ..with(Some(&ca), None) };
        assert_eq!(Enrolment::from_text(&lone.to_text()), Ok(lone));
    }

    #[test]
    fn a_bad_paste_is_told_whatever_is_bad_about_it() {
        let text = enrolment().to_text();
        // The text is cut anywhere behind its beginning; or one character is changed, left out or doubled.
        for at in BEGINS.len()..text.len() {
            assert_eq!(Enrolment::from_text(&text[..at]), Err(EnrolmentError::Damaged), "cut at {at}");
        }
        for at in (BEGINS.len() + 2..text.len()).step_by(7) {
            let (before, after) = text.split_at(at);
            let other = if after.starts_with('x') { "y" } else { "x" };
            let doubled = &after[..1];
            for bad in [format!("{before}{other}{}", &after[1..]), format!("{before}{}", &after[1..]), format!("{before}{doubled}{after}")]
            {
                // Two equal characters in a row give the same text again.
                if bad != text {
                    assert_eq!(Enrolment::from_text(&bad), Err(EnrolmentError::Damaged), "changed at {at}");
                }
            }
        }
        assert_eq!(Enrolment::from_text("eyJhbGciOi"), Err(EnrolmentError::Other));
        assert_eq!(Enrolment::from_text(""), Err(EnrolmentError::Other));
        assert_eq!(Enrolment::from_text(&text.replace("enrol1", "enrol7")), Err(EnrolmentError::Newer(7)));
        assert_eq!(Enrolment::from_text(&format!("{text}{}", "A".repeat(TEXT_MAX))), Err(EnrolmentError::Damaged));
    }

    #[test]
    fn what_another_program_made_wrong_is_named_without_its_values() {
        let sealed = |json: Value| {
            let text = format!("{BEGINS}1.{}", BASE64URL.encode(json.to_string()));
            format!("{text}.{}", check(&text))
        };
        let mut json = serde_json::to_value(enrolment()).expect("JSON");
        let told = |json: &Value| Enrolment::from_text(&sealed(json.clone())).expect_err("wrong").to_string();
        json["news"] = Value::from(1);
        assert_eq!(Enrolment::from_text(&sealed(json.clone())), Ok(enrolment()), "a later release may say more");
        json["backend"]["token"] = Value::from(1);
        assert!(told(&json).contains("of another kind"), "{}", told(&json));
        json["backend"] = serde_json::json!({ "url": "hunter2" });
        assert!(told(&json).contains("token is missing") && !told(&json).contains("hunter2"), "{}", told(&json));
        json["backend"] = serde_json::to_value(enrolment().backend).expect("JSON");
        json["keys"] = serde_json::json!({"keys": [{"kty": "RSA"}]});
        assert!(told(&json).contains("keys of the enrolment text"), "{}", told(&json));
    }

    #[test]
    fn it_does_not_print_what_is_secret() {
        assert_eq!(format!("{:?}", enrolment()), "Enrolment(vm-001, …)");
    }
}
