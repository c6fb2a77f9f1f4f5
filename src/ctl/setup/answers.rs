//! The answers about a machine: from flags, from its enrolment text, and from the person in front of it. A flag wins over the
//! enrolment text, and an answer in the dialogue wins over both.

use super::part::Part;
use super::present::Present;
use super::specs::{Item, LineSpec, Screen, parse_letters};
use super::text::{fill, texts};
use crate::broker::Connection;
use qris_core::order::ids::DeviceId;
use qris_core::order::keys::{KeyFile, KeySet, OfferedKey};
use qris_core::wire::enrolment::{BEGINS, Enrolment, EnrolmentError, TEXT_MAX};
use qris_host::Failure;
use qris_host::interrupt::Input;
use qris_host::secret::Secret;
use qris_host::setup::{ask, edit};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

/// The largest file that is read, in bytes.
const FILE_MAX: u64 = 64 * 1024;
/// The longest text that is tried as a path, in bytes.
const PATH_MAX: usize = 1024;

/// Each is there only if it was said. Otherwise the value on the disk stays.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) device: Option<DeviceId>,
    pub(super) name: Option<String>,
    pub(super) language: Option<String>,
    pub(super) contact: Option<String>,
    pub(super) broker_url: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) broker_ca: Option<String>,
    pub(super) broker_cert: Option<String>,
    pub(super) broker_key: Option<Secret>,
    pub(super) allow_plaintext: bool,
    pub(super) backend_url: Option<String>,
    pub(super) token: Option<Secret>,
    pub(super) backend_ca: Option<String>,
    pub(super) keys: Option<String>,
    /// Operators' keys that came with the merchant's, and that root has not decided on.
    pub(super) offered: Vec<OfferedKey>,
    pub(super) items: Vec<Item>,
    /// All items, where a file says them. Items that were said one by one win.
    pub(super) listed: Option<ListedItems>,
    pub(super) lines: Vec<LineSpec>,
    pub(super) screen: Option<Screen>,
    pub(super) rotate: Option<u32>,
    /// Lines on the disk, by name, that a person saw driven by the other level. The value tells whether the low level drives
    /// it.
    pub(super) turned: BTreeMap<String, bool>,
}

/// The `[[item]]` tables of a file.
#[derive(Debug)]
pub(super) struct ListedItems {
    pub(super) ids: Vec<String>,
    pub(super) text: String,
}

impl Answers {
    /// The broker's part of the flags, with the files that they name.
    pub(super) fn of_connection(connection: Connection) -> Result<Self, Failure> {
        let Connection { config: _, context: _, broker, username, password_file, ca_file, cert_file, key_file } = connection;
        Ok(Self {
            broker_url: broker,
            username,
            password: of_flag("--password-file", password_file.as_deref().map(secret).transpose())?,
            broker_ca: of_flag("--ca-file", ca_file.as_deref().map(file).transpose())?,
            broker_cert: of_flag("--cert-file", cert_file.as_deref().map(file).transpose())?,
            broker_key: of_flag("--key-file", key_file.as_deref().map(secret).transpose())?,
            ..Self::default()
        })
    }

    /// Takes from an enrolment the values that nobody has said otherwise, or (`anew`) all of its values.
    /// Fails if it belongs to another machine: its token and its password let in only that machine.
    pub(super) fn enrol(&mut self, enrolment: &Enrolment, anew: bool) -> Result<(), String> {
        fn take<T>(said: &mut Option<T>, enrolled: Option<T>, anew: bool) {
            if anew || said.is_none() {
                *said = enrolled;
            }
        }
        let Enrolment { device, name, backend, broker, keys } = enrolment;
        if let Some(said) = self.device.as_ref().filter(|said| *said != device) {
            let way = "qris-backend device add";
            return Err(fill(texts().other_enrolment, &[device, said, &way]));
        }
        let own = |text: &str| Some(text.to_owned());
        if let Some(name) = name.as_deref().filter(|_| anew || self.name.is_none()) {
            self.name = Some(parse_letters(name).map_err(|why| format!("--name: {why}"))?);
        }
        take(&mut self.device, Some(device.clone()), anew);
        take(&mut self.backend_url, own(&backend.url), anew);
        take(&mut self.backend_ca, backend.ca.as_deref().and_then(own), anew);
        take(&mut self.token, Some(Secret::new(&*backend.token)), anew);
        if anew || self.keys.is_none() {
            self.take_keys(&format!("{keys}\n"))?;
        }
        if let Some(broker) = broker {
            take(&mut self.broker_url, own(&broker.url), anew);
            take(&mut self.username, own(broker.username.as_deref().unwrap_or(device.as_str())), anew);
            take(&mut self.password, broker.password.as_deref().map(Secret::new), anew && broker.password.is_some());
            take(&mut self.broker_ca, broker.ca.as_deref().and_then(own), anew);
        }
        Ok(())
    }

    /// Takes the merchant's keys out of a set that somebody else chose. Those of operators wait for root.
    pub(super) fn take_keys(&mut self, set: &str) -> Result<(), String> {
        let mut file = KeyFile::read(set).map_err(|why| why.to_string())?;
        self.offered = file.take_operators();
        self.keys = Some(if self.offered.is_empty() { set.to_owned() } else { file.to_text() });
        Ok(())
    }

    /// Whether anything was said about a broker. A machine may have none.
    pub(super) const fn says_broker(&self) -> bool {
        let Self { broker_url, username, password, broker_ca, broker_cert, broker_key, allow_plaintext, .. } = self;
        let files = broker_ca.is_some() || broker_cert.is_some() || broker_key.is_some();
        broker_url.is_some() || username.is_some() || password.is_some() || files || *allow_plaintext
    }

    /// Notes that the other level drives a line, either in the line that was said or for a line on the disk.
    pub(super) fn turn_over(&mut self, name: &str, active_low: bool) {
        match self.lines.iter_mut().find(|line| line.name() == name) {
            Some(line) => line.active_low = active_low,
            None => drop(self.turned.insert(name.to_owned(), active_low)),
        }
    }

    /// The values that neither the answers nor the disk have, each with the way to tell it.
    pub(super) fn missing(&self, present: &Present) -> Vec<(Part, &'static str)> {
        let table = [
            (Part::Device, self.device.is_some() || present.has("device", "id"), texts().need_device),
            (Part::Backend, self.backend_url.is_some() || present.has("backend", "url"), texts().need_backend),
            (Part::Backend, self.token.is_some() || present.has("backend", "token_file"), texts().need_token),
            (Part::Keys, self.keys.is_some() || present.keys, texts().need_keys),
            (Part::Items, !self.sold(present).is_empty(), texts().need_items),
            (Part::Lines, !self.served(present).is_empty(), texts().need_lines),
        ];
        table.into_iter().filter(|(_, is_known, _)| !is_known).map(|(part, _, what)| (part, what)).collect()
    }

    pub(super) fn sold(&self, present: &Present) -> Vec<String> {
        match &self.listed {
            _ if !self.items.is_empty() => self.items.iter().map(|item| item.id.to_string()).collect(),
            Some(listed) => listed.ids.clone(),
            None => present.items(),
        }
    }

    /// The items that lines hand out: from the answers, or from the disk.
    pub(super) fn served(&self, present: &Present) -> Vec<String> {
        if self.lines.is_empty() { present.lines() } else { self.lines.iter().flat_map(|line| line.items.clone()).collect() }
    }
}

/// Reads an enrolment: from the text itself, from a file, or from standard input (`-`).
pub(super) fn enrolment(from: &str) -> Result<Enrolment, Failure> {
    let text = match from {
        "-" => {
            let mut text = String::new();
            let read = Input::open().and_then(|input| input.take(TEXT_MAX as u64 + 1).read_to_string(&mut text));
            read.map_err(|why| Failure::usage(ask::no_input(&why)))?;
            text
        }
        // Quotes or a prompt may have come along. A text that holds a secret is never taken for a path: an error would repeat
        // it.
        text if text.contains(BEGINS) && !Path::new(text).exists() => text.to_owned(),
        text if text.len() > PATH_MAX => return Err(Failure::usage(texts().from_neither)),
        "" => return Err(Failure::usage(texts().from_empty)),
        path => file(Path::new(path))?,
    };
    Enrolment::from_text(&text).map_err(|why| match why {
        EnrolmentError::Other => Failure::usage(texts().from_other),
        why => Failure::usage(no_enrolment(&why)),
    })
}

pub(super) fn no_enrolment(why: &EnrolmentError) -> String {
    match why {
        EnrolmentError::Other => texts().no_enrolment.into(),
        EnrolmentError::Newer(version) => fill(texts().enrolment_newer, &[version]),
        EnrolmentError::Damaged => texts().enrolment_damaged.into(),
        EnrolmentError::Form(why) => fill(texts().enrolment_form, &[why]),
        EnrolmentError::Keys(why) => fill(texts().enrolment_keys, &[why]),
    }
}

/// The items of a file in the form of `qrisd.toml`. What else is in it belongs to another machine.
pub(super) fn items(path: &Path) -> Result<ListedItems, Failure> {
    let file = file(path)?;
    let text = edit::text_of_tables(&file, "item").map_err(|why| Failure::usage(format!("{}: {why}", path.display())))?;
    let id = |item: toml::Table| item.get("id").and_then(toml::Value::as_str).unwrap_or_default().to_owned();
    let ids: Vec<_> = edit::tables_of(&text, "item").into_iter().map(id).collect();
    if ids.is_empty() { Err(Failure::usage(fill(texts().no_items, &[&path.display()]))) } else { Ok(ListedItems { ids, text }) }
}

/// A small text file that is not empty.
pub(super) fn file(path: &Path) -> Result<String, Failure> {
    let failed = |why: &dyn std::fmt::Display| Failure::usage(format!("{}: {why}", path.display()));
    let mut text = String::new();
    let opened = Input::of(path).map_err(|why| failed(&why))?;
    opened.take(FILE_MAX + 1).read_to_string(&mut text).map_err(|why| failed(&why))?;
    match text.len() as u64 {
        0 => Err(Failure::usage(fill(texts().file_empty, &[&path.display()]))),
        length if length > FILE_MAX => Err(Failure::usage(fill(texts().file_large, &[&path.display()]))),
        _ => Ok(text),
    }
}

/// The value of a flag, or a fault that names the flag.
pub(super) fn of_flag<T>(flag: &str, value: Result<T, Failure>) -> Result<T, Failure> {
    value.map_err(|failure| Failure::usage(format!("{flag}: {}", failure.reason())))
}

pub(super) fn secret(path: &Path) -> Result<Secret, Failure> {
    Secret::read(path).map_err(Failure::usage)
}

pub(super) fn keys(path: &Path) -> Result<String, Failure> {
    let text = file(path)?;
    match KeySet::from_jwks(&text) {
        Ok(set) if set.receipt_kids().is_empty() => Err(Failure::usage(fill(texts().no_receipt_key, &[&path.display()]))),
        Ok(_) => Ok(text),
        Err(why) => Err(Failure::usage(format!("{}: {why}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qris_core::order::keys::{SigningKey, jwk_set};
    use qris_core::wire::enrolment::{Backend, Broker};

    fn set() -> String {
        jwk_set(&[SigningKey::from_seed([3; 32]).to_public_jwk("pay.example")])
    }

    #[test]
    fn a_flag_goes_before_the_enrolment() {
        let enrolment = Enrolment {
            device: DeviceId::new("vm-007").expect("an id"),
            name: Some("Lobi".into()),
            backend: Backend { url: "https://pay.example".into(), token: "t".into(), ca: Some("CA".into()) },
            broker: Some(Broker { url: "mqtts://b".into(), username: None, password: Some("p".into()), ca: None }),
            keys: serde_json::from_str(&set()).expect("JSON"),
        };
        let mut answers = Answers { broker_url: Some("mqtts://other".into()), ..Answers::default() };
        answers.enrol(&enrolment, false).expect("it is nobody else's");
        assert_eq!(answers.broker_url.as_deref(), Some("mqtts://other"));
        assert_eq!((answers.username.as_deref(), answers.backend_url.as_deref()), (Some("vm-007"), Some("https://pay.example")));
        assert_eq!((answers.password, answers.token), (Some(Secret::new("p")), Some(Secret::new("t"))));
        assert_eq!((answers.backend_ca.as_deref(), answers.broker_ca), (Some("CA"), None));
        assert_eq!(answers.name.as_deref(), Some("Lobi"), "the merchant named it");
        let mut named = Answers { name: Some("Kantin".into()), ..Answers::default() };
        named.enrol(&enrolment, false).expect("it is nobody else's");
        assert_eq!(named.name.as_deref(), Some("Kantin"), "who stands here knows better");
        let odd = Enrolment { name: Some("\u{1f600}".into()), ..enrolment.clone() };
        assert!(Answers::default().enrol(&odd, false).is_err_and(|why| why.starts_with("--name: ")), "no screen can draw it");
        assert!(KeySet::from_jwks(&answers.keys.expect("keys")).is_ok());
        // Said anew, the text goes before what was said, also where it has no CA. It has no password: the present one stays.
        let bare = Broker { password: None, ..enrolment.broker.clone().expect("a broker") };
        let said = || Some("said".to_owned());
        let mut answers = Answers { broker_url: said(), broker_ca: said(), password: Some(Secret::new("said")), ..Answers::default() };
        answers.enrol(&Enrolment { broker: Some(bare), ..enrolment.clone() }, true).expect("it is nobody else's");
        assert_eq!((answers.broker_url.as_deref(), answers.broker_ca), (Some("mqtts://b"), None));
        assert_eq!(answers.password, Some(Secret::new("said")));
        let mut other = Answers { device: Some(DeviceId::new("vm-008").expect("an id")), ..Answers::default() };
        let why = other.enrol(&enrolment, true).expect_err("another machine's");
        assert!(why.contains("for vm-007") && why.contains("names vm-008") && other.token.is_none(), "{why}");
    }

    #[test]
    fn an_enrolment_is_a_text_or_a_file() {
        let enrolment_of = |from: &str| enrolment(from).map(|found| found.device).map_err(|failure| failure.lines("t").join(" "));
        let text = Enrolment {
            device: DeviceId::new("vm-007").expect("an id"),
            name: None,
            backend: Backend { url: "https://pay.example".into(), token: "t".into(), ca: None },
            broker: None,
            keys: serde_json::from_str(&set()).expect("JSON"),
        };
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("enrolment");
        std::fs::write(&path, format!("{}\n", text.to_text())).expect("written");
        assert_eq!(enrolment_of(&text.to_text()), Ok(text.device.clone()));
        assert_eq!(enrolment_of(&path.display().to_string()), Ok(text.device));
        assert!(enrolment_of("/nowhere/at/all").is_err_and(|why| why.contains("/nowhere/at/all")));
        std::fs::write(&path, "{}").expect("written");
        assert!(enrolment_of(&path.display().to_string()).is_err_and(|why| why.contains("not an enrolment text")));
        assert!(keys(&path).is_err_and(|failure| failure.lines("t").join(" ").contains("JWK Set")));
        std::fs::write(&path, set()).expect("written");
        assert!(keys(&path).is_ok());
    }

    #[test]
    fn what_may_be_a_secret_is_not_repeated() {
        let secret = "c2VjcmV0".repeat(40);
        for from in [format!("token: qris-enrol1.{secret}"), format!("\"qris-enrol1.{secret}\""), secret.repeat(5)] {
            let why = format!("{:?}", enrolment(&from).expect_err("no enrolment"));
            assert!(!why.contains("c2VjcmV0"), "{why}");
        }
        assert!(format!("{:?}", enrolment("").expect_err("nothing")).contains("it is empty"));
    }
}
