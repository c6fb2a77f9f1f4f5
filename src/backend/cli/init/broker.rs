//! A broker on this computer: Mosquitto with TLS by a private CA, the shipped access list, and its dynamic security plugin for the
//! machines' accounts. The certificates are made by the `openssl` command, as the guide makes them: the package brings it along
//! (it needs ca-certificates, which needs it), and a crate for two certificates would bring twenty others.

use super::draft::{Draft, PUBLIC, ROOTS, SECRET};
use super::standing::{self, Setting};
use super::text::{fill, texts};
use crate::machines::accounts::{passwords, plugin};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use qris_host::setup::edit::Text;
use qris_host::setup::site::Site;
use qris_host::setup::staging::Staging;
use qris_host::setup::write::{Planned, Rights};
use qris_host::{Failure, random};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const CONF: &str = include_str!("../../../../config/mosquitto.conf");
const ACL: &str = include_str!("../../../../config/mosquitto.acl");
/// The machine of the shipped access list.
const EXAMPLE: &str = "vm-001";
const OUR_CONF: &str = "/etc/mosquitto/conf.d/qrisd.conf";
const OUR_ACL: &str = "/etc/mosquitto/qrisd.acl";
const PASSWORDS: &str = "/etc/mosquitto/qrisd.passwd";
const CA: &str = "/etc/mosquitto/certs/ca.pem";
const CERTIFICATE: &str = "/etc/mosquitto/certs/broker.pem";
const KEY: &str = "/etc/mosquitto/certs/broker.key";
const ACCOUNTS: &str = "/var/lib/mosquitto/qrisd-accounts.json";
const PLUGIN: &str = "mosquitto_dynamic_security.so";
const UNIT: &str = "/etc/systemd/system/mosquitto.service.d/qrisd.conf";
/// The most memory, as much as the shipped configuration allows. The broker comes back without what filled it.
const UNITS_MEMORY: &str = "[Service]\nMemoryMax=1G\n";
/// What the broker must not have beside its plugin. Mosquitto 2.0.11 subtracts each time what the plugin writes, and never adds it. After
/// some sixty changes of small files the number is below zero, and it lets nobody in any more.
const OWN_MEMORY: &str = "memory_limit";
const OUR_CA: &str = "/etc/qris-backend/ca.pem";
const PASSWORD: &str = "/etc/qris-backend/mqtt-password";
const ACCOUNTS_PASSWORD: &str = "/etc/qris-backend/accounts-password";
pub(super) const CA_KEY: &str = "/etc/mosquitto/certs/ca.key";
/// In memory, as in the guide.
pub(super) const FLEET_PASSWORD: &str = "/run/qris-secrets/mqtt-fleet";
/// The users of the broker beside the machines.
const BACKEND: &str = "backend";
const FLEET: &str = "fleet";
const ADMINISTRATOR: &str = "qris-accounts";
const GROUP: &str = "mosquitto";
/// Ten years: the broker's own machines know this CA, and nobody else does.
const DAYS: &str = "3650";
/// Only Mosquitto reads it.
const BROKERS: Rights = Rights { owner: "root", group: GROUP, mode: 0o640 };
/// Mosquitto writes it.
const BROKERS_OWN: Rights = Rights { owner: GROUP, group: GROUP, mode: 0o600 };

pub(super) fn is_installed(site: &Site) -> bool {
    site.group(GROUP).is_some() && library(site).is_some()
}

/// The dynamic security plugin, as that system calls it.
fn library(site: &Site) -> Option<PathBuf> {
    let usr = Path::new("/usr/lib");
    let below = std::fs::read_dir(site.at(usr)).into_iter().flatten().flatten().map(|entry| usr.join(entry.file_name()));
    let mut places: Vec<_> = below.chain([usr.into()]).map(|directory| directory.join(PLUGIN)).collect();
    places.sort();
    places.into_iter().find(|path| site.at(path).is_file())
}

/// Adds the broker's files, and the sections of the backend's configuration. `name`: how machines reach this computer. What is only shown
/// can be had without Mosquitto.
pub(super) fn compose(
    site: &Site,
    draft: &mut Draft<'_>,
    backend: &mut Text,
    name: &str,
    device: Option<&str>,
    is_only_shown: bool,
) -> Result<(), Failure> {
    let library = library(site).filter(|_| is_installed(site));
    if library.is_none() && !is_only_shown {
        return Err(Failure::usage(texts().no_mosquitto));
    }
    // Whoever made these by hand has users that know their passwords.
    let ours = [OUR_CONF, OUR_ACL, PASSWORDS, CA, CERTIFICATE, KEY, ACCOUNTS, CA_KEY, UNIT];
    let there: Vec<_> = ours.into_iter().filter(|path| site.at(path).exists()).collect();
    if !there.is_empty() {
        return Err(Failure::usage(fill(texts().broker_there, &[&there.join(", ")])));
    }
    // Before Mosquitto is there, nobody knows what stands beside our file.
    let (conf, stands) = match library {
        Some(library) => {
            let conf = conf(&library);
            let stands = standing::read(site, Path::new(OUR_CONF), &conf.lines().filter_map(key).collect::<Vec<_>>())?;
            (conf, stands)
        }
        None => (conf(Path::new(PLUGIN)), Vec::new()),
    };
    let Made { ca, ca_key, certificate, key } = certificates(name)?;
    let [own, fleet, administrator] = [(); 3].map(|()| drawn());
    let host = if name.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()) { format!("[{name}]") } else { name.to_owned() };
    let line = |password: &str| format!("{password}\n");
    draft.named(PASSWORD, SECRET, &line(&own))?;
    draft.named(ACCOUNTS_PASSWORD, SECRET, &line(&administrator))?;
    draft.named(OUR_CA, PUBLIC, &ca)?;
    let mut put = |path: &str, rights: Rights, content: &str| draft.files.push(Planned::new(path, rights, content));
    put(FLEET_PASSWORD, ROOTS, &line(&fleet));
    put(CA_KEY, ROOTS, &ca_key);
    put(CA, PUBLIC, &ca);
    put(CERTIFICATE, PUBLIC, &certificate);
    put(KEY, BROKERS, &key);
    put(PASSWORDS, BROKERS, &(passwords::line(BACKEND, &own) + &passwords::line(FLEET, &fleet)));
    put(ACCOUNTS, BROKERS_OWN, &plugin::beginning(ADMINISTRATOR, &administrator));
    put(OUR_ACL, BROKERS, &ACL.replace(EXAMPLE, device.unwrap_or(EXAMPLE)));
    put(UNIT, PUBLIC, UNITS_MEMORY);
    // This file comes last: with it Mosquitto reads the others.
    put(OUR_CONF, PUBLIC, &beside(&conf, &stands));
    // The backend and its broker are one computer, whatever the name leads to.
    let texts = [
        ("mqtt", "url", "mqtts://localhost:8883"),
        ("mqtt", "username", BACKEND),
        ("mqtt", "password_file", PASSWORD),
        ("mqtt", "ca_file", OUR_CA),
        ("accounts", "username", ADMINISTRATOR),
        ("accounts", "password_file", ACCOUNTS_PASSWORD),
        ("machines", "broker_url", &format!("mqtts://{host}:8883")),
    ];
    texts.into_iter().try_for_each(|(section, key, value)| backend.set_text(section, key, value))
}

/// The shipped configuration, with the plugin.
fn conf(library: &Path) -> String {
    let library = library.display();
    let shipped: String = CONF.lines().filter(|line| key(line) != Some(OWN_MEMORY)).map(|line| format!("{line}\n")).collect();
    format!("{shipped}\n# The machines' accounts: qris-backend makes and ends them.\nplugin {library}\nplugin_opt_config_file {ACCOUNTS}\n")
}

/// The same without what stands already: Mosquitto takes it once.
fn beside(conf: &str, stands: &[Setting]) -> String {
    let line = |line: &str| match stands.iter().find(|setting| Some(&*setting.key) == key(line)) {
        Some(setting) => format!("# {line}    (stands in {})\n", setting.place),
        None => format!("{line}\n"),
    };
    conf.lines().map(line).collect()
}

fn key(line: &str) -> Option<&str> {
    line.split(' ').next().filter(|key| !key.is_empty() && !key.starts_with('#'))
}

/// A password that nobody guesses.
fn drawn() -> String {
    let mut bits = [0; 24];
    random::fill(&mut bits);
    BASE64URL.encode(bits)
}

struct Made {
    ca: String,
    ca_key: String,
    certificate: String,
    key: String,
}

/// A private CA, and the broker's certificate by it, in a directory that nobody else can read.
fn certificates(name: &str) -> Result<Made, Failure> {
    let staging = Staging::new()?;
    let kind = if name.parse::<IpAddr>().is_ok() { "IP" } else { "DNS" };
    let names = format!("subjectAltName={kind}:{name},DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n");
    let directory = staging.put("broker.ext", names.as_bytes())?.parent().map(Path::to_path_buf).unwrap_or_default();
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    for words in [
        format!("req -x509 {new} -days {DAYS} -keyout ca.key -out ca.pem -subj"),
        format!("req {new} -keyout broker.key -out broker.csr -subj"),
        format!("x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {DAYS} -extfile broker.ext -out broker.pem"),
    ] {
        let subject = if words.contains("-x509") { "/CN=qrisd CA" } else { "/CN=qrisd broker" };
        let mut openssl = Command::new("openssl");
        openssl.args(words.split(' ')).args(words.ends_with("-subj").then_some(subject)).current_dir(&directory).stdin(Stdio::null());
        let told = openssl.output().map_err(|why| Failure::failed(fill(texts().no_openssl, &[&why])))?;
        if !told.status.success() {
            let why = String::from_utf8_lossy(&told.stderr).trim().replace('\n', "; ");
            return Err(Failure::failed(fill(texts().openssl, &[&words.split(' ').next().unwrap_or_default(), &why])));
        }
    }
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).map_err(|why| Failure::failed(format!("{name}: {why}")));
    Ok(Made { ca: read("ca.pem")?, ca_key: read("ca.key")?, certificate: read("broker.pem")?, key: read("broker.key")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_of_the_access_list_can_be_another_one() {
        assert!(ACL.contains(&format!("user {EXAMPLE}-controller")));
    }
}
