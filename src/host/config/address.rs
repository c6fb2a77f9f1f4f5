//! Where the other computers are, the MQTT broker and HTTP servers; and which of them may be reached without TLS.

use super::Checker;
use crate::secret::{Secret, SecretError};
use crate::speech::fill;
use crate::texts;
use reqwest::Url;
use serde::Deserialize;
use std::cell::Cell;
use std::net::IpAddr;
use std::path::PathBuf;

// What can be wrong with the answers about a broker. A set-up says it in the language of its conversation; services say it in English.
texts! {
    mqtt: "harus mqtts://HOST[:PORT] atau mqtt://HOST[:PORT], bukan {0}", "must be mqtts://HOST[:PORT] or mqtt://HOST[:PORT], not {0}";
    http: "harus https://HOST[:PORT][/PATH] atau http://HOST[:PORT][/PATH], bukan {0}", "must be https://HOST[:PORT][/PATH] or http://HOST[:PORT][/PATH], not {0}";
    plain_mqtt: "mqtt:// hanya untuk loopback: pakai mqtts://, atau tulis allow_plaintext = true (lalu siapa pun di jaringan itu bisa membaca dan mengubah pesannya)", "mqtt:// is for loopback only: use mqtts://, or set allow_plaintext = true (then everybody on the way can read and change the messages)";
    plain_http: "http:// hanya untuk loopback: pakai https://", "http:// is for loopback only: use https://";
    missing: "belum diisi", "is missing";
    no_username: "perlu username juga", "needs a username beside it";
    half_pair: "cert_file dan key_file harus diisi keduanya", "cert_file and key_file belong together";
    no_tls: "tidak berlaku dengan mqtt://", "has no effect with mqtt://";
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("{}", fill(texts().mqtt, &[&format_args!("{:?}", .0)]))]
    Mqtt(String),
    #[error("{}", fill(texts().http, &[&format_args!("{:?}", .0)]))]
    Http(String),
    #[error("{}", texts().plain_mqtt)]
    PlainMqtt,
    #[error("{}", texts().plain_http)]
    PlainHttp,
}

/// `[mqtt]` as written, the same in every program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttSection {
    /// `mqtts://host[:8883]`, or `mqtt://host[:1883]` for loopback or with `allow_plaintext`.
    pub url: Option<String>,
    pub username: Option<String>,
    /// The password: a file or a credential.
    pub password_file: Option<PathBuf>,
    /// The private CA of the broker. Without it the usual ones are trusted.
    pub ca_file: Option<PathBuf>,
    /// Mutual TLS: our certificate, with `key_file`.
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    /// Whether it may speak without TLS to another computer.
    pub allow_plaintext: Option<bool>,
}

/// How to reach the broker, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MqttSettings {
    /// A name or an IP address (without brackets).
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
    pub tls: bool,
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// A private CA in PEM.
    pub ca_file: Option<PathBuf>,
    /// Our certificate in PEM; there if and only if `key_file` is.
    pub cert_file: Option<PathBuf>,
    /// Its private key in PEM.
    pub key_file: Option<PathBuf>,
}

/// A fault of an [`MqttSection`]; its key stands beside it.
#[derive(Debug, thiserror::Error)]
pub enum MqttError {
    /// No `url`.
    #[error("{}", texts().missing)]
    Missing,
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error("{0}")]
    Password(#[from] SecretError),
    /// A password without a user name: MQTT 5 would allow it, brokers do not.
    #[error("{}", texts().no_username)]
    NoUsername,
    /// A certificate without its key or the other way round.
    #[error("{}", texts().half_pair)]
    HalfPair,
    /// Files for TLS with `mqtt://`.
    #[error("{}", texts().no_tls)]
    NoTls,
}

impl MqttSection {
    /// Checks the section of a configuration and reads its password. Faults go to `checker` under `section` (`mqtt`).
    /// `None` comes only after a fault was noted.
    pub fn check(mut self, section: &str, checker: &mut Checker<'_>) -> Option<MqttSettings> {
        for file in [&mut self.password_file, &mut self.ca_file, &mut self.cert_file, &mut self.key_file].into_iter().flatten() {
            *file = checker.locate(file);
        }
        match self.settle() {
            Ok(settings) => Some(settings),
            Err(errors) => {
                for (key, error) in errors {
                    checker.take::<(), _>(Err(error), &format!("{section}.{key}"));
                }
                None
            }
        }
    }

    /// Notes each of our secret files that everybody on this computer may use.
    pub fn guard(&self, section: &str, checker: &mut Checker<'_>) {
        checker.guard(self.password_file.as_deref(), &format!("{section}.password_file"));
        checker.guard(self.key_file.as_deref(), &format!("{section}.key_file"));
    }

    /// Checks a section from another place, such as the flags of a command, and reads the password. It fails with at least one fault.
    pub fn settle(self) -> Result<MqttSettings, Vec<(&'static str, MqttError)>> {
        let mut errors = Vec::new();
        let place = match self.url.as_deref().map(|url| mqtt_place(url, self.allow_plaintext == Some(true))) {
            Some(Ok(place)) => Some(place),
            Some(Err(error)) => {
                errors.push(("url", error.into()));
                None
            }
            None => {
                errors.push(("url", MqttError::Missing));
                None
            }
        };
        let password = self.password_file.as_deref().and_then(|file| match Secret::read(file) {
            Ok(secret) => Some(secret),
            Err(error) => {
                errors.push(("password_file", error.into()));
                None
            }
        });
        if self.password_file.is_some() && self.username.is_none() {
            errors.push(("password_file", MqttError::NoUsername));
        }
        if self.cert_file.is_some() != self.key_file.is_some() {
            errors.push((if self.cert_file.is_some() { "cert_file" } else { "key_file" }, MqttError::HalfPair));
        }
        if matches!(place, Some((_, _, false))) {
            let files = [("ca_file", &self.ca_file), ("cert_file", &self.cert_file), ("key_file", &self.key_file)];
            errors.extend(files.into_iter().filter(|(_, file)| file.is_some()).map(|(key, _)| (key, MqttError::NoTls)));
        }
        match place {
            Some((host, port, tls)) if errors.is_empty() => {
                let Self { username, ca_file, cert_file, key_file, .. } = self;
                Ok(MqttSettings { host, port, tls, username, password, ca_file, cert_file, key_file })
            }
            _ => Err(errors),
        }
    }
}

/// Checks the address of an HTTP server: `https://` anywhere, `http://` for loopback only, without user, query and
/// fragment. The result has no trailing slashes, so a path can be put behind it.
///
/// # Errors
/// [`AddressError::Http`] for another form, [`AddressError::PlainHttp`] for plaintext to another computer.
pub fn http_url(text: &str) -> Result<String, AddressError> {
    web_url(text, false)
}

/// The same. With `allow_plaintext` `http://` is allowed everywhere: everybody on the way can read and change what is sent.
pub fn web_url(text: &str, allow_plaintext: bool) -> Result<String, AddressError> {
    let wrong = || AddressError::Http(text.into());
    let url = strict(text).ok_or_else(wrong)?;
    match url.scheme() {
        "https" => {}
        "http" if allow_plaintext || is_loopback(host(&url)) => {}
        "http" => return Err(AddressError::PlainHttp),
        _ => return Err(wrong()),
    }
    Ok(url.as_str().trim_end_matches('/').into())
}

/// Whether an address that [`http_url`] has taken is that of another computer, asked over TLS. By its name alone: a name that is not
/// loopback's may still lead here.
#[must_use]
pub fn is_far(url: &str) -> bool {
    strict(url).is_some_and(|url| url.scheme() == "https" && !is_loopback(host(&url)))
}

/// Whether an address that was checked here, also a broker's, is that of this computer. By its name alone, too.
#[must_use]
pub fn is_here(url: &str) -> bool {
    strict(url).is_some_and(|url| is_loopback(host(&url)))
}

/// Host, port and TLS of the broker's address.
fn mqtt_place(text: &str, allow_plaintext: bool) -> Result<(String, u16, bool), AddressError> {
    let wrong = || AddressError::Mqtt(text.into());
    let url = strict(text).filter(|url| ["", "/"].contains(&url.path())).ok_or_else(wrong)?;
    let (host, port) = (host(&url), url.port());
    match url.scheme() {
        "mqtts" => Ok((host.into(), port.unwrap_or(8883), true)),
        "mqtt" if allow_plaintext || is_loopback(host) => Ok((host.into(), port.unwrap_or(1883), false)),
        "mqtt" => Err(AddressError::PlainMqtt),
        _ => Err(wrong()),
    }
}

/// A URL with a host, without user, query and fragment. A browser also takes what was mistyped, and guesses which host was meant. Here
/// that is no URL.
fn strict(text: &str) -> Option<Url> {
    let is_mended = Cell::new(false);
    let url = Url::options().syntax_violation_callback(Some(&|_| is_mended.set(true))).parse(text).ok()?;
    let has_more = !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some();
    // The schemes of MQTT are none that the standard knows. It takes nearly every letter for a part of their hosts.
    let is_name = |host: &str| !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:".contains(c));
    (!is_mended.get() && !has_more && url.port() != Some(0) && is_name(host(&url))).then_some(url)
}

/// A name or an IP address, without brackets.
fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default().trim_matches(['[', ']'])
}

fn is_loopback(host: &str) -> bool {
    // Only a resolver knows where a name such as "localhost.example" leads. "localhost" is loopback by RFC 6761.
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plaintext_stays_on_this_computer() {
        let place = |host: &str, port, tls| Ok((host.to_owned(), port, tls));
        let table = [
            ("mqtts://broker.example", place("broker.example", 8883, true)),
            ("mqtts://broker.example:1/", place("broker.example", 1, true)),
            ("mqtt://localhost", place("localhost", 1883, false)),
            ("mqtt://127.3.2.1:9", place("127.3.2.1", 9, false)),
            ("mqtt://[::1]:9", place("::1", 9, false)),
            ("mqtt://broker.example", Err(AddressError::PlainMqtt)),
            ("mqtt://localhost.example", Err(AddressError::PlainMqtt)),
            ("mqtt://[::2]", Err(AddressError::PlainMqtt)),
        ];
        for (url, wanted) in table {
            assert_eq!(mqtt_place(url, false), wanted, "{url}");
        }
        assert_eq!(mqtt_place("mqtt://broker.example", true), place("broker.example", 1883, false));
        for bad in [
            "",
            "broker",
            "http://a",
            "mqtt://",
            "mqtt://a b",
            "mqtt://user@a",
            "mqtts://a:0",
            "mqtts://a:+1",
            "mqtts://a:99999",
            "mqtts://a/b",
            "mqtts://a?b",
            "mqtts://a%20b",
            "mqtts://[a]",
        ] {
            assert_eq!(mqtt_place(bad, true), Err(AddressError::Mqtt(bad.into())));
        }
    }

    #[test]
    fn http_addresses() {
        assert_eq!(http_url("https://pay.example/"), Ok("https://pay.example".into()));
        assert_eq!(http_url("https://pay.example:8443/a/"), Ok("https://pay.example:8443/a".into()));
        assert_eq!(http_url("http://127.0.0.1:81"), Ok("http://127.0.0.1:81".into()));
        assert_eq!(http_url("http://[::1]:81//"), Ok("http://[::1]:81".into()));
        assert_eq!(http_url("http://pay.example"), Err(AddressError::PlainHttp));
        assert_eq!(http_url("http://localhost.example"), Err(AddressError::PlainHttp));
        // It is said as it will be asked.
        assert_eq!(http_url("http://127.1:8080/a/../b"), Ok("http://127.0.0.1:8080/b".into()));
        for bad in [
            "",
            "pay.example",
            "ftp://a",
            "https://",
            "https://u:p@a",
            "https://u@a",
            "https://@a",
            "https://a?b",
            "https://a/b?c",
            "https://a#b",
            "https://a/b c",
            "https://a b",
            "https://a:b",
            "https://a:0",
            "https://a:99999",
            "https://[a]",
            // What a browser mends.
            "https:a",
            "https:/a",
            "https:///a",
            "https:\\\\a",
            "https://a\\b",
            " https://a",
            "https://a\n",
            "ht\ttps://a",
        ] {
            assert_eq!(http_url(bad), Err(AddressError::Http(bad.into())));
        }
    }

    #[test]
    fn another_computer_is_told_by_its_name() {
        for (url, wanted) in
            [("https://pay.example/a", true), ("https://localhost:8443", false), ("https://[::1]", false), ("http://127.0.0.1", false)]
        {
            assert_eq!(is_far(url), wanted, "{url}");
        }
    }

    #[test]
    fn a_section_tells_all_its_faults() {
        let section = MqttSection {
            url: Some("mqtt://localhost".into()),
            password_file: Some("/nowhere/password".into()),
            cert_file: Some("/c".into()),
            ..MqttSection::default()
        };
        let keys: Vec<_> = section.settle().expect_err("faults").into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["password_file", "password_file", "cert_file", "cert_file"]);
        assert!(matches!(MqttSection::default().settle().expect_err("no url")[..], [("url", MqttError::Missing)]));
    }

    #[test]
    fn a_section_becomes_settings() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("password");
        std::fs::write(&file, "hunter2\n").expect("written");
        let section = MqttSection {
            url: Some("mqtts://broker.example".into()),
            username: Some("vm-001".into()),
            password_file: Some(file),
            ..MqttSection::default()
        };
        let settings = section.settle().expect("settings");
        assert_eq!(settings.password, Some(Secret::new("hunter2")));
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
