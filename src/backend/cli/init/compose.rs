//! Makes files from the answers. A new configuration is the shipped example with the answers in it; one that is there keeps every
//! key that it has.

use super::answers::{Answers, GatewayEnvironment, Said, host};
use super::broker;
use super::draft::{Draft, OWN, SECRET};
use super::present::{BACKEND_TOML, Present, USER, hostname};
use super::text::{fill, texts};
use crate::keys;
use qris_host::Failure;
use qris_host::config::Source;
use qris_host::secret::Secret;
use qris_host::setup::edit::Text;
use qris_host::setup::site::Site;
use qris_host::setup::staging::Staging;
use qris_host::setup::write::{Change, Planned};

const EXAMPLE: &str = include_str!("../../../../config/backend.toml");
const SERVER_KEY: &str = "/etc/qris-backend/midtrans-server-key";
const SIGNING_KEY: &str = "/var/lib/qris-backend/signing-key.json";

const DESK_LISTEN: &str = "127.0.0.1:8090";
const DESK_SERVICE: &str = "qris-desk.service";
const DESK_HOME_SERVICE: &str = "qris-desk-home.service";

pub(super) struct Composed {
    pub(super) files: Vec<Planned>,
    /// What stays, in words.
    pub(super) kept: Vec<String>,
    /// What a person should know when all is done.
    pub(super) remarks: Vec<String>,
    /// The services of the desk that have something to serve.
    pub(super) desks: Vec<&'static str>,
    pub(super) makes_broker: bool,
    /// The configuration, as the service will read it.
    pub(super) source: Source,
}

impl Composed {
    pub(super) fn changes(&self, site: &Site) -> bool {
        self.files.iter().any(|file| file.change(site) != Change::Same)
    }
}

/// Puts it all together, to be written or only to be shown.
pub(super) fn compose(
    site: &Site,
    staging: &Staging,
    present: &Present,
    answers: &Answers,
    is_only_shown: bool,
) -> Result<Composed, Failure> {
    let mut draft = Draft::new(site, staging);
    let mut kept = Vec::new();
    let mut remarks = Vec::new();
    let public_url = answers.public_url.as_ref().and_then(Said::value);
    let makes_broker = !present.has_broker && answers.broker.as_ref().is_some_and(|said| said.value().is_some());
    let mut text = match &present.backend {
        Some(text) => text.clone(),
        None if answers.server_key.is_none() => return Err(Failure::usage(texts().key_missing)),
        None => fresh(site, public_url.map(String::as_str), makes_broker)?,
    };
    if let Some((key, place)) = &answers.server_key {
        put_server_key(&mut draft, &mut text, key, place)?;
    } else {
        kept.push(fill(texts().kept_key, &[&BACKEND_TOML]));
    }
    for (section, key, said, is_there) in [
        ("http", "public_url", &answers.public_url, present.has_public_url),
        ("customer", "merchant", &answers.merchant, present.has_merchant),
        ("customer", "contact", &answers.contact, present.has_contact),
        ("desk", "url", &answers.desk, present.has_desk),
        ("desk", "home", &answers.home, present.has_home),
    ] {
        match said.as_ref().and_then(Said::value) {
            Some(_) if is_there => kept.push(fill(texts().kept_setting, &[&format!("{section}.{key}"), &BACKEND_TOML])),
            Some(value) => text.set_text(section, key, value)?,
            None => {}
        }
    }
    match answers.fee.as_ref().and_then(Said::value) {
        Some(_) if present.has_fees => kept.push(fill(texts().kept_setting, &[&"fees", &BACKEND_TOML])),
        Some(fee) => text.set("fees", "qris", &format!("{{ basis_points = {fee} }}"))?,
        None => {}
    }
    match (answers.listen, &present.backend) {
        (Some(listen), None) => text.set_text("http", "listen", &listen.to_string())?,
        (Some(_), Some(_)) => kept.push(fill(texts().kept_setting, &[&"http.listen", &BACKEND_TOML])),
        (None, _) => {}
    }
    if present.has_broker {
        kept.push(fill(texts().kept_broker, &[&BACKEND_TOML]));
    } else if let Some(name) = answers.broker.as_ref().and_then(Said::value) {
        let device = answers.device.as_ref().and_then(Said::value);
        broker::compose(site, &mut draft, &mut text, name, device.map(String::as_str), is_only_shown)?;
        remarks.push(fill(texts().fleet_password, &[&broker::FLEET_PASSWORD]));
        remarks.push(fill(texts().ca_key, &[&broker::CA_KEY]));
    }
    let path = text.value("receipts", "signing_key_file").unwrap_or_else(|| SIGNING_KEY.into());
    if site.at(&path).exists() {
        kept.push(fill(texts().kept_signing_key, &[&path]));
    } else {
        draft.named(&path, OWN, &keys::new_file())?;
    }
    if let (Some(url), false) = (public_url, present.has_public_url) {
        let listen = text.value("http", "listen").unwrap_or_default();
        remarks.push(fill(texts().web_server, &[url, &listen]));
    }
    desk_remarks(present, answers, &mut remarks);
    if public_url.is_none() && !present.has_public_url {
        remarks.push(texts().no_public_url.into());
    }
    let desks = [("url", DESK_SERVICE), ("home", DESK_HOME_SERVICE)];
    let desks = desks.into_iter().filter(|(key, _)| text.value("desk", key).is_some()).map(|(_, service)| service).collect();
    // This file comes last: the service waits for it.
    draft.files.push(Planned::new(BACKEND_TOML, SECRET, text.text.as_str()).shown());
    let (places, files) = draft.into_parts();
    Ok(Composed { files, kept, remarks, desks, makes_broker, source: Source::from_text(BACKEND_TOML, text.text).with_places(places) })
}

/// What is to be done for a new desk.
fn desk_remarks(present: &Present, answers: &Answers, remarks: &mut Vec<String>) {
    if let (Some(url), false) = (answers.desk.as_ref().and_then(Said::value), present.has_desk) {
        remarks.push(fill(texts().desk_server, &[url, &DESK_LISTEN]));
    }
    let is_first = !present.has_desk && !present.has_home;
    let [wants_desk, wants_home] = [&answers.desk, &answers.home].map(|said| said.as_ref().is_some_and(|said| said.value().is_some()));
    if is_first && (wants_desk || wants_home) {
        remarks.push(fill(texts().desk_then, &[&format!("runuser -u {USER} -- qris-backend desk add NAME --role owner")]));
    } else if !present.has_home && wants_home {
        remarks.push(fill(texts().desk_then, &[&format!("runuser -u {USER} -- qris-backend desk home NAME")]));
    }
}

fn put_server_key(draft: &mut Draft<'_>, text: &mut Text, key: &Secret, place: &GatewayEnvironment) -> Result<(), Failure> {
    let (url, is_other) = match place {
        GatewayEnvironment::Sandbox => ("https://api.sandbox.midtrans.com", false),
        GatewayEnvironment::Production => ("https://api.midtrans.com", false),
        GatewayEnvironment::Other(url) => (url.as_str(), true),
    };
    text.set_text("midtrans", "base_url", url)?;
    if is_other {
        text.set("midtrans", "allow_other_host", "true")?;
    }
    let path = text.value("midtrans", "server_key_file").unwrap_or_else(|| SERVER_KEY.into());
    draft.named(&path, SECRET, &format!("{}\n", key.expose()))
}

/// The example, with only those sections that this server has.
fn fresh(site: &Site, public_url: Option<&str>, has_broker: bool) -> Result<Text, Failure> {
    let mut section = "";
    let mut text = String::new();
    for line in EXAMPLE.lines() {
        let open = line.strip_prefix("# ").unwrap_or(line);
        section = if open.starts_with('[') { open.split(']').next().unwrap_or_default() } else { section };
        let is_key = open.starts_with('[') || open.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
        let wanted = match (section, open.split(' ').next().unwrap_or_default()) {
            ("[http", "public_url") => Some(public_url.is_some()),
            ("[accounts", "file" | "reload") => Some(false),
            ("[mqtt" | "[accounts" | "[machines", _) if is_key => Some(has_broker),
            _ => None,
        };
        match wanted {
            Some(true) => text.push_str(open),
            Some(false) if !line.starts_with('#') => text.extend(["# ", line]),
            Some(false) | None => text.push_str(line),
        }
        text.push('\n');
    }
    let mut text = Text { file: BACKEND_TOML, text };
    text.set_text("receipts", "issuer", &public_url.map_or_else(|| hostname(site), host))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use qris_host::setup::edit;

    #[test]
    fn a_new_configuration_has_what_was_said_and_no_more() {
        let root = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(root.path().join("etc")).expect("made");
        std::fs::write(root.path().join("etc/hostname"), "Kios\n").expect("written");
        let site = Site::below(root.path()).expect("there");
        let keys = |url: Option<&str>, has_broker| {
            let text = fresh(&site, url, has_broker).expect("TOML");
            let table = edit::parse(&text.text).expect("TOML");
            let mut keys: Vec<_> = table
                .iter()
                .flat_map(|(section, table)| {
                    let keys = table.get_ref().as_table().expect("a table").keys();
                    keys.map(move |key| format!("{}.{}", section.get_ref(), key.get_ref()))
                })
                .collect();
            keys.sort();
            (keys.join(" "), text.value("receipts", "issuer"))
        };
        let least = "http.listen midtrans.base_url midtrans.charge_as midtrans.server_key_file receipts.issuer \
            receipts.signing_key_file store.url";
        assert_eq!(keys(None, false), (least.into(), Some("kios".into())));
        let (most, issuer) = keys(Some("https://pay.example"), true);
        assert_eq!(issuer.as_deref(), Some("pay.example"));
        let more = "accounts.password_file accounts.username http.listen http.public_url machines.broker_url midtrans.base_url \
            midtrans.charge_as midtrans.server_key_file mqtt.ca_file mqtt.password_file mqtt.url mqtt.username receipts.issuer \
            receipts.signing_key_file store.url";
        assert_eq!(most, more);
    }
}
