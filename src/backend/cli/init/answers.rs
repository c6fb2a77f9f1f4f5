//! The answers: from flags, and from the person at the terminal.

use super::broker;
use super::present::{Present, hostname};
use super::service::machines;
use super::text::{fill, texts};
use crate::config;
use crate::machines::accounts::is_anothers;
use qris_core::contact::telephone;
use qris_core::order::ids::DeviceId;
use qris_host::Failure;
use qris_host::interrupt::Input;
use qris_host::local_network::is_listener;
use qris_host::secret::Secret;
use qris_host::setup::ask::{Asker, http, no_input, say};
use qris_host::setup::site::Site;
use std::io::{BufReader, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

const NONE: &str = "none";
/// All networks of this computer, and a port that nothing else of ours has.
const HOME_LISTEN: &str = "0.0.0.0:8480";
/// The longest key, in bytes.
const KEY_MAX: u64 = 1024;
/// The largest fee, in basis points. A larger one is a slip, and a configuration takes it.
const FEE_MAX: u64 = 1000;
/// The longest name of a computer.
const NAME_MAX: usize = 253;

/// Where the key is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GatewayEnvironment {
    Sandbox,
    Production,
    /// A simulator or a proxy.
    Other(String),
}

/// An answer, which may be that there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said<T> {
    Is(T),
    Nothing,
}

impl<T> Said<T> {
    pub(super) fn value(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Nothing => None,
        }
    }
}

/// Each is there only if it was said. What is on the disk stays.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) server_key: Option<(Secret, GatewayEnvironment)>,
    pub(super) public_url: Option<Said<String>>,
    pub(super) merchant: Option<Said<String>>,
    pub(super) contact: Option<Said<String>>,
    /// What the gateway keeps of a QRIS payment, in basis points.
    pub(super) fee: Option<Said<u64>>,
    pub(super) listen: Option<SocketAddr>,
    pub(super) desk: Option<Said<String>>,
    pub(super) home: Option<Said<String>>,
    pub(super) broker: Option<Said<String>>,
    pub(super) device: Option<Said<String>>,
    /// What a flag says of the key's place.
    pub(super) wanted: Option<GatewayEnvironment>,
}

pub(super) struct Dialogue<'a> {
    asker: Asker<BufReader<Input>>,
    site: &'a Site,
    present: &'a Present,
}

impl<'a> Dialogue<'a> {
    pub(super) fn new(site: &'a Site, present: &'a Present) -> Result<Self, Failure> {
        let input = Input::open().map_err(|why| Failure::failed(no_input(&why)))?;
        Ok(Self { asker: Asker::new(BufReader::new(input)), site, present })
    }

    /// Asks for the Server Key, if it is neither said nor there.
    pub(super) fn key(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        say(texts().welcome)?;
        if !self.present.has_server_key && answers.server_key.is_none() {
            say(texts().server_key_place)?;
            self.server_key(answers)?;
        }
        Ok(())
    }

    /// A contact without a number is mostly a slip, and gives customers nobody to call.
    fn contact(&mut self) -> Result<Said<String>, Failure> {
        loop {
            let said = self.asker.line(texts().contact, Some(NONE), contact)?;
            let is_meant = match said.value().filter(|said| telephone(said).is_none()) {
                None => true,
                Some(text) => self.asker.yes(&fill(texts().numberless, &[text]), false)?,
            };
            if is_meant {
                return Ok(said);
            }
        }
    }

    /// Asks for everything else that is neither said nor there.
    pub(super) fn gather(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        let Present { has_public_url, has_merchant, has_contact, has_fees, has_desk, has_home, has_broker, .. } = *self.present;
        if !has_public_url && answers.public_url.is_none() {
            say(texts().public_url_use)?;
            answers.public_url = Some(self.asker.line(texts().public_url, Some(NONE), public_url)?);
        }
        if !has_merchant && answers.merchant.is_none() {
            answers.merchant = Some(self.asker.line(texts().merchant, Some(NONE), contact)?);
        }
        if !has_contact && answers.contact.is_none() {
            answers.contact = Some(self.contact()?);
        }
        if !has_fees && answers.fee.is_none() {
            answers.fee = Some(self.asker.line(texts().fee, Some(NONE), fee)?);
        }
        // It stands behind the same web server.
        let is_public = has_public_url || answers.public_url.as_ref().is_some_and(|said| said.value().is_some());
        if is_public && !has_desk && answers.desk.is_none() {
            say(texts().desk_use)?;
            answers.desk = Some(self.asker.line(texts().desk, Some(NONE), public_url)?);
        }
        if !has_home && answers.home.is_none() {
            say(texts().home_use)?;
            let home = if self.asker.yes(texts().home, false)? { Said::Is(HOME_LISTEN.into()) } else { Said::Nothing };
            answers.home = Some(home);
        }
        if !has_broker && answers.broker.is_none() {
            self.broker(answers)?;
        }
        if answers.device.is_none() && machines(self.site)?.is_empty() {
            answers.device = Some(self.asker.line(texts().device, Some("vm-001"), device)?);
        }
        Ok(())
    }

    fn broker(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        say(texts().broker_use)?;
        loop {
            if !self.asker.yes(texts().broker, broker::is_installed(self.site))? {
                answers.broker = Some(Said::Nothing);
                return Ok(());
            }
            if broker::is_installed(self.site) {
                break;
            }
            say(&format!("  {}", texts().install_mosquitto))?;
        }
        let host = answers.public_url.as_ref().and_then(Said::value).or(self.present.public_url.as_ref()).map(|url| host(url));
        let usual = host.unwrap_or_else(|| hostname(self.site));
        answers.broker = Some(self.asker.line(texts().broker_name, Some(&usual), broker)?);
        Ok(())
    }

    /// Asks for the Server Key, and for its place where the key does not tell it.
    pub(super) fn server_key(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        loop {
            let key = self.asker.needed_secret(texts().server_key)?;
            match placed(key.expose(), answers.wanted.as_ref()) {
                Ok(Some(place)) => answers.server_key = Some((key, place)),
                Ok(None) => {
                    let is_sandbox = self.asker.yes(texts().is_sandbox, true)?;
                    answers.server_key = Some((key, if is_sandbox { GatewayEnvironment::Sandbox } else { GatewayEnvironment::Production }));
                }
                Err(why) => {
                    say(&format!("  {why}"))?;
                    continue;
                }
            }
            return Ok(());
        }
    }

    pub(super) fn yes(&mut self, question: &str, usual: bool) -> Result<bool, Failure> {
        self.asker.yes(question, usual)
    }
}

/// Where a key is good; `None` if nobody can tell by its letters. The newer keys of the sandbox look like those of production.
pub(super) fn placed(key: &str, wanted: Option<&GatewayEnvironment>) -> Result<Option<GatewayEnvironment>, &'static str> {
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(texts().key_letters);
    }
    if key.contains("-client-") {
        return Err(texts().key_client);
    }
    match wanted {
        Some(GatewayEnvironment::Other(_)) => return Ok(wanted.cloned()),
        _ if !key.contains("-server-") => return Err(texts().key_other),
        Some(GatewayEnvironment::Production) if key.starts_with("SB-") => return Err(texts().key_of_sandbox),
        Some(GatewayEnvironment::Sandbox | GatewayEnvironment::Production) | None => {}
    }
    Ok(if key.starts_with("SB-") { Some(GatewayEnvironment::Sandbox) } else { wanted.cloned() })
}

/// A secret from a file, or from standard input.
pub(super) fn secret(file: &Path) -> Result<Secret, Failure> {
    if file != Path::new("-") {
        return Secret::read(file).map_err(Failure::usage);
    }
    let mut text = String::new();
    let read = Input::open().and_then(|input| input.take(KEY_MAX).read_to_string(&mut text));
    read.map_err(|why| Failure::usage(no_input(&why)))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(Failure::usage(texts().key_empty)),
        key => Ok(Secret::new(key)),
    }
}

fn or_none<T>(text: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Result<Said<T>, String> {
    if text.eq_ignore_ascii_case(NONE) { Ok(Said::Nothing) } else { read(text).map(Said::Is) }
}

pub(super) fn public_url(text: &str) -> Result<Said<String>, String> {
    or_none(text, http)
}

pub(super) fn home(text: &str) -> Result<Said<String>, String> {
    let is_good = |text: &str| text.parse().is_ok_and(is_listener);
    or_none(text, |text| if is_good(text) { Ok(text.to_owned()) } else { Err(fill(texts().home_form, &[&HOME_LISTEN])) })
}

pub(super) fn contact(text: &str) -> Result<Said<String>, String> {
    let wrong = || fill(texts().contact_form, &[&config::CONTACT_MAX]);
    or_none(text, |text| config::contact(text).map(str::to_owned).ok_or_else(wrong))
}

/// A percentage with at most two decimals, as `0.7`, with a point or a comma. Gives basis points.
pub(super) fn fee(text: &str) -> Result<Said<u64>, String> {
    let (whole, part) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let digits = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
    let points = Some(format!("{whole}{part:0<2}")).filter(|_| digits(whole) && digits(part) && part.len() <= 2 && !whole.is_empty());
    let points = points.and_then(|points| points.parse().ok()).filter(|points| *points <= FEE_MAX);
    or_none(text, |_| points.ok_or_else(|| texts().fee_form.into()))
}

pub(super) fn device(text: &str) -> Result<Said<String>, String> {
    or_none(text, |text| match DeviceId::new(text) {
        Ok(_) if is_anothers(text) => Err(fill(texts().device_taken, &[&text])),
        Ok(id) => Ok(id.to_string()),
        Err(_) => Err(texts().device_form.into()),
    })
}

/// The name stands in a certificate.
pub(super) fn broker(text: &str) -> Result<Said<String>, String> {
    or_none(text, |text| {
        let plain = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if text.parse::<IpAddr>().is_ok() || (text.len() <= NAME_MAX && text.split('.').all(plain)) {
            return Ok(text.to_lowercase());
        }
        Err(texts().broker_form.into())
    })
}

pub(super) fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((ip, _)) => ip.into(),
        None => authority.split(':').next().unwrap_or_default().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_its_place_or_a_person_does() {
        let (sandbox, production) = (Some(GatewayEnvironment::Sandbox), Some(GatewayEnvironment::Production));
        let other = Some(GatewayEnvironment::Other("http://127.0.0.1:1".into()));
        for (key, wanted, told) in [
            ("SB-Mid-server-x", &None, Ok(&sandbox)),
            ("SB-Mid-server-x", &sandbox, Ok(&sandbox)),
            ("Mid-server-x", &None, Ok(&None)),
            ("Mid-server-x", &sandbox, Ok(&sandbox)),
            ("Mid-server-x", &production, Ok(&production)),
            ("whatever", &other, Ok(&other)),
            ("SB-Mid-server-x", &production, Err("key of the sandbox")),
            ("SB-Mid-client-x", &None, Err("Client Key")),
            ("Mid-client-x", &other, Err("Client Key")),
            ("hunter2", &None, Err("no Server Key")),
            ("SB-Mid-server-x y", &None, Err("a space")),
        ] {
            match (placed(key, wanted.as_ref()), told) {
                (Ok(place), Ok(told)) => assert_eq!(&place, told, "{key}"),
                (Err(why), Err(told)) => assert!(why.contains(told) && !why.contains(key), "{why}"),
                (found, _) => panic!("{key}: {found:?}"),
            }
        }
    }

    #[test]
    fn names_of_a_broker_can_stand_in_a_certificate() {
        for good in ["broker.example", "192.0.2.7", "2001:db8::1", "pi"] {
            assert_eq!(broker(good), Ok(Said::Is(good.into())));
        }
        assert_eq!((broker("none"), broker("Pi.Local")), (Ok(Said::Nothing), Ok(Said::Is("pi.local".into()))));
        for bad in ["", "mqtts://broker", "broker:8883", "a b", "a\nb", "a..b", "DNS:x,IP:1.2.3.4"] {
            assert!(broker(bad).is_err(), "{bad}");
        }
        for (url, name) in [("https://pay.example/x", "pay.example"), ("http://[::1]:80", "::1"), ("https://a:1", "a")] {
            assert_eq!(host(url), name);
        }
        assert!(device("backend").is_err() && device("vm-1") == Ok(Said::Is("vm-1".into())));
    }
}
