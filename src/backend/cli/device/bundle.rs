//! The enrolment text of a new machine: its token, the keys, and where backend and broker are.

use crate::config::Config;
use crate::keys::Ring;
use crate::machines::invitations::{BrokerTerms, Terms};
use clap::Args;
use qris_core::order::ids::DeviceId;
use qris_core::order::keys::{KeySet, jwk_set};
use qris_core::order::merchant::Rules;
use qris_core::wire::enrolment::Enrolment;
use qris_host::config::{MqttSection, http_url, is_here};
use qris_host::speech::fill;
use qris_host::{Failure, qr, texts};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The largest file that goes into the text, in bytes.
const FILE_MAX: u64 = 16 * 1024;

// `init` lets the first machine in, and says this in the language of its conversation.
texts! {
    broker_missing: "tidak ada broker: `backend.toml` tidak menyebutnya, jadi berikan --broker-url", "no broker: `backend.toml` has none, so give --broker-url";
    no_certificate: "{0}: bukan sertifikat dalam bentuk PEM", "{0}: is not a certificate in PEM";
    empty: "{0}: kosong", "{0}: is empty";
    large: "{0}: lebih besar dari 16 KiB", "{0}: is larger than 16 KiB";
    secret: "teks ini memuat token mesin: siapa pun yang memilikinya bisa bertindak sebagai mesin itu di backend. Kirim seperti kata sandi, lalu hapus", "this text holds the machine's token: anybody who has it can act as that machine at the backend. Send it like a password, then delete it";
    no_broker: "di dalamnya tidak ada broker, karena `backend.toml` tidak menyebutnya: mesin berjualan tanpa broker (--broker-url menambahkannya)", "it has no broker, because `backend.toml` has none: the machine sells without one (--broker-url adds one)";
    no_password: "di dalamnya tidak ada kata sandi untuk broker: `qrisctl setup` akan menanyakannya (`--broker-password-file` menambahkannya)", "it has no password for the broker: `qrisctl setup` will ask for it (`--broker-password-file` adds one)";
    loopback: "alamat {0} di dalamnya {1}: hanya mesin di komputer ini juga yang bisa menghubunginya (--{0}-url)", "its {0} is {1}: only a machine on this very computer reaches it (--{0}-url)";
}

/// What else a machine is told than its token.
#[derive(Debug, Args)]
pub struct Bundle {
    /// Write one text with all that the machine must know, for `qrisctl setup --from`; it holds the token, so it is a secret
    #[arg(long)]
    bundle: bool,
    /// Draw that text as a QR code on the terminal, too
    #[arg(long, requires = "bundle")]
    qr: bool,
    #[command(flatten)]
    places: Places,
    /// A file that holds its password at the broker, or - for standard input
    #[arg(long, requires = "bundle", value_name = "FILE|-")]
    broker_password_file: Option<PathBuf>,
}

/// Where a machine finds backend and broker, and whom it believes.
#[derive(Debug, Args)]
pub struct Places {
    /// The backend's address for machines; the default is http.public_url, or without one this very computer
    #[arg(long, value_name = "URL")]
    backend_url: Option<String>,
    /// A private CA of the backend's certificate, in PEM
    #[arg(long, value_name = "FILE")]
    backend_ca_file: Option<PathBuf>,
    /// The broker's address for machines; the default is machines.broker_url, or mqtt.url
    #[arg(long, value_name = "URL")]
    broker_url: Option<String>,
    /// A private CA of the broker's certificate, in PEM; the default is mqtt.ca_file
    #[arg(long, value_name = "FILE")]
    broker_ca_file: Option<PathBuf>,
    /// The machine's name at the broker; the default is its id
    #[arg(long, value_name = "NAME")]
    broker_username: Option<String>,
    /// A file with the public keys of operators whom the machine is to believe: the lines that `qrisctl keys new` wrote
    #[arg(long, value_name = "FILE")]
    operator_keys: Option<PathBuf>,
}

/// All of a text except the token.
pub struct Draft {
    device: DeviceId,
    terms: Terms,
    password: Option<Box<str>>,
    rules: Rules,
    draws: bool,
}

pub struct BundleOutput {
    /// For standard output, folded.
    pub text: String,
    /// For standard output, before it.
    pub code: Option<String>,
}

impl Bundle {
    /// Reads everything that belongs to the text, before a token is made; `None` if no text was asked for.
    ///
    /// # Errors
    /// A value that cannot be used, or no key to sign with.
    pub fn draft(&self, config: &Config, device: &DeviceId) -> Result<Option<Draft>, Failure> {
        if !self.bundle {
            if self.places.are_said() {
                return Err(Failure::usage("these flags say what stands in the text for a machine: add --bundle, which writes it"));
            }
            return Ok(None);
        }
        self.text(config, device).map(Some)
    }

    /// The same, wanted or not.
    pub fn text(&self, config: &Config, device: &DeviceId) -> Result<Draft, Failure> {
        let ring = Ring::read(&config.signing_key_file).map_err(Failure::usage)?;
        let terms = self.places.terms(config)?;
        if terms.broker.is_none() && self.broker_password_file.is_some() {
            return Err(Failure::usage(texts().broker_missing));
        }
        let password = self.broker_password_file.as_deref().map(password).transpose()?;
        let rules = crate::together::policy(config, ring.into_keys()).rules;
        Ok(Draft { device: device.clone(), terms, password, rules, draws: self.qr })
    }
}

impl Places {
    const fn are_said(&self) -> bool {
        let Self { backend_url, backend_ca_file, broker_url, broker_ca_file, broker_username, operator_keys } = self;
        let files = backend_ca_file.is_some() || broker_ca_file.is_some() || operator_keys.is_some();
        files || backend_url.is_some() || broker_url.is_some() || broker_username.is_some()
    }

    /// What a machine is told, checked.
    pub fn terms(&self, config: &Config) -> Result<Terms, Failure> {
        let backend_url = http_url(self.backend_url.as_deref().unwrap_or(&config.address()))
            .map_err(|why| Failure::usage(format!("--backend-url: {why}")))?;
        let backend_ca = self.backend_ca_file.as_deref().map(certificate).transpose()?;
        let operators = self.operator_keys.as_deref().map_or_else(|| Ok(Vec::new()), operators)?;
        Ok(Terms { name: None, backend_url: backend_url.into(), backend_ca, broker: self.broker(config)?, operators })
    }

    fn broker(&self, config: &Config) -> Result<Option<BrokerTerms>, Failure> {
        let own = config.mqtt.as_ref().map(|mqtt| {
            let scheme = if mqtt.tls { "mqtts" } else { "mqtt" };
            let host = if mqtt.host.contains(':') { format!("[{}]", mqtt.host) } else { mqtt.host.clone() };
            format!("{scheme}://{host}:{}", mqtt.port)
        });
        let Some(url) = self.broker_url.clone().or_else(|| config.broker_url.clone()).or(own) else {
            if self.broker_username.is_some() || self.broker_ca_file.is_some() {
                return Err(Failure::usage(texts().broker_missing));
            }
            return Ok(None);
        };
        // It is checked as a machine checks it. A connection in the clear to another computer is for a person to allow,
        // at the machine.
        let section = MqttSection { url: Some(url.clone()), allow_plaintext: Some(true), ..MqttSection::default() };
        if let Err(faults) = section.settle() {
            let why: Vec<_> = faults.into_iter().map(|(_, why)| why.to_string()).collect();
            return Err(Failure::usage(format!("--broker-url: {}", why.join("; "))));
        }
        let own_ca = config.mqtt.as_ref().and_then(|mqtt| mqtt.ca_file.as_deref()).filter(|_| url.starts_with("mqtts://"));
        let ca = self.broker_ca_file.as_deref().or(own_ca).map(certificate).transpose()?;
        Ok(Some(BrokerTerms { url: url.into(), username: self.broker_username.as_deref().map(Into::into), ca }))
    }
}

impl Draft {
    /// Whether the backend makes the machine's account at the broker: it does if nobody has said a password for one that is there.
    #[must_use]
    pub fn wants_account(&self) -> bool {
        self.password.is_none() && self.terms.broker.as_ref().is_some_and(|broker| broker.username.is_none())
    }

    /// The machine is called this.
    #[must_use]
    pub fn named(mut self, name: Option<&str>) -> Self {
        self.terms.name = name.map(Into::into);
        self
    }

    #[must_use]
    pub fn with_password(self, password: &str) -> Self {
        Self { password: Some(password.into()), ..self }
    }

    /// The text with its token.
    ///
    /// # Errors
    /// It does not fit into the code that was asked for.
    pub fn with(self, token: &str) -> Result<BundleOutput, Failure> {
        let Self { device, terms, password, rules, draws } = self;
        let text = terms.enrol(device, token, password, &rules).to_text();
        let code = if draws { Some(draw(&text)?) } else { None };
        Ok(BundleOutput { text: Enrolment::folded(&text), code })
    }

    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let mut told = vec![texts().secret.to_owned()];
        told.extend(remarks(&self.terms));
        if self.terms.broker.is_some() && self.password.is_none() {
            told.push(texts().no_password.into());
        }
        told
    }
}

/// What a person should know of a machine's places.
pub fn remarks(terms: &Terms) -> Vec<String> {
    let broker = terms.broker.as_ref().map(|broker| &*broker.url);
    let mut told = Vec::new();
    if broker.is_none() {
        told.push(texts().no_broker.into());
    }
    for (what, url) in [("backend", Some(&*terms.backend_url)), ("broker", broker)] {
        if let Some(url) = url.filter(|url| is_here(url)) {
            told.push(fill(texts().loopback, &[&what, &url]));
        }
    }
    told
}

fn certificate(path: &Path) -> Result<Box<str>, Failure> {
    let text = read(std::fs::File::open(path), path)?;
    if !text.contains("-----BEGIN CERTIFICATE-----") {
        return Err(Failure::usage(fill(texts().no_certificate, &[&path.display()])));
    }
    Ok(text.into())
}

fn password(path: &Path) -> Result<Box<str>, Failure> {
    let text = match path == Path::new("-") {
        true => read(Ok(std::io::stdin()), path)?,
        false => read(std::fs::File::open(path), path)?,
    };
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Failure::usage(fill(texts().empty, &[&path.display()])));
    }
    Ok(text.into())
}

/// The public keys of operators, each on its line.
fn operators(path: &Path) -> Result<Vec<serde_json::Value>, Failure> {
    let text = read(std::fs::File::open(path), path)?;
    let wrong = |why: &dyn std::fmt::Display| Failure::usage(format!("{}: {why}", path.display()));
    let lines: Vec<String> = text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    let keys = KeySet::from_jwks(&jwk_set(&lines)).map_err(|why| wrong(&why))?;
    if !keys.receipt_kids().is_empty() || keys.operators().count() == 0 {
        return Err(wrong(&"has something else than the keys of operators: a line each, as `qrisctl keys new` wrote it"));
    }
    lines.iter().map(|line| serde_json::from_str(line).map_err(|why| wrong(&why))).collect()
}

fn read(from: std::io::Result<impl std::io::Read>, path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = from.and_then(|from| from.take(FILE_MAX + 1).read_to_string(&mut text));
    read.map_err(|why| Failure::usage(format!("{}: {why}", path.display())))?;
    if text.len() as u64 > FILE_MAX { Err(Failure::usage(fill(texts().large, &[&path.display()]))) } else { Ok(text) }
}

/// A text as a QR code for the terminal.
pub fn draw(text: &str) -> Result<String, Failure> {
    qr::draw(text).ok_or_else(|| {
        Failure::usage(
            "the text is too long for a QR code: leave the certificates out (a public CA needs none), or use the text without --qr",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_this_computer_reaches_is_remarked() {
        for (backend_url, broker_url, count) in [
            ("http://127.0.0.1:8080", "mqtt://localhost:1883", 2),
            ("https://localhost:8443", "mqtts://[::1]:8883", 2),
            ("https://pay.example", "mqtts://broker.example:8883", 0),
            ("https://localhost.example", "mqtts://127.example", 0),
        ] {
            let broker = Some(BrokerTerms { url: broker_url.into(), username: None, ca: None });
            let terms = Terms { name: None, backend_url: backend_url.into(), backend_ca: None, broker, operators: Vec::new() };
            assert_eq!(remarks(&terms).len(), count, "{backend_url} {broker_url}");
        }
    }
}
