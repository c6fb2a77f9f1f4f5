//! Makes files from what is known of a machine. Files that are there are changed where they must be. Otherwise the
//! shipped examples are filled in.

mod secrets;

use super::answers::Answers;
use super::part::Part;
use super::present::{Present, items_of};
use super::specs::{Screen, least_price};
use super::text::{fill, texts};
use crate::chips;
use crate::guard::FileRole;
use crate::site::{CREDENTIALS, ETC, KEYS_JSON, QRISD_TOML, RELAY_TOML, SECRETS_DROP_IN, Site};
use crate::staging::{Staging, credentials};
use qris_core::order::keys::KeyFile;
use qris_host::Failure;
use qris_host::config::{Places, Source, quoted};
use qris_host::setup::edit::{Text, replace_tables, set_in};
use qris_host::setup::write::{Change, Planned};
use std::path::{Path, PathBuf};

/// The shipped examples: a new machine begins with them.
const NEW_QRISD: &str = include_str!("../../../config/qrisd.toml");
const NEW_RELAY: &str = include_str!("../../../config/relay.toml");

/// Where the secrets of the device service go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Keep {
    /// /etc/qrisd, readable by the group qrisd
    File,
    /// /etc/credstore, which only root can read; systemd gives them to the services
    Credential,
    /// /etc/credstore.encrypted, which only this computer can read
    Encrypted,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ComposeError {
    #[error("{}", fill(texts().missing, &[&.0.iter().map(|(_, what)| *what).collect::<Vec<_>>().join("; ")]))]
    Missing(Vec<(Part, &'static str)>),
    /// The machine has another name, and state that belongs to that name.
    #[error("{}", fill(texts().other_device, &[present, wanted]))]
    OtherDevice { present: String, wanted: String },
    /// A chip that was named by its device has no name that stays.
    #[error("{0}")]
    Chip(String),
    /// A line hands out this item, which is not sold.
    #[error("{}", fill(texts().unsold, &[.0]))]
    Unsold(String),
}

impl ComposeError {
    /// The parts whose answers could mend it.
    pub(super) fn parts(&self) -> Vec<Part> {
        match self {
            Self::Missing(missing) => missing.iter().map(|(part, _)| *part).collect(),
            Self::OtherDevice { .. } => vec![Part::Device],
            Self::Chip(_) | Self::Unsold(_) => vec![Part::Lines],
        }
    }
}

/// The files. While they are not in their places, this also knows where the configuration finds the files that it names.
pub(super) struct Composed {
    pub(super) files: Vec<Planned>,
    /// The files of that system to remove once the new ones are in their places.
    pub(super) obsolete: Vec<PathBuf>,
    /// Remarks for a person, for when all is done.
    pub(super) remarks: Vec<String>,
    pub(super) qrisd: Source,
    pub(super) relay: Source,
}

impl Composed {
    /// Does a rule of udev come or go?
    pub(super) fn has_rules(&self) -> bool {
        let rules = Path::new(chips::RULES);
        self.files.iter().any(|file| file.path() == rules) || self.obsolete.iter().any(|path| path == rules)
    }

    /// Does systemd hand over another secret than before, or in another way? It does so only at a start; a reload does
    /// not bring it.
    pub(super) fn hands_over_anew(&self, site: &Site) -> bool {
        let is_systemds =
            |path: &Path| path == Path::new(SECRETS_DROP_IN) || CREDENTIALS.iter().any(|directory| path.starts_with(directory));
        // systemd does not care who may read it.
        let is_changed = |file: &&Planned| matches!(file.change(site), Change::New | Change::Changed);
        let changed = self.files.iter().filter(is_changed).any(|file| is_systemds(file.path()));
        changed || self.obsolete.iter().any(|path| is_systemds(path))
    }
}

/// `keep`: the place for secrets, if one was said.
pub(super) fn compose(
    site: &Site,
    staging: &Staging,
    present: &Present,
    answers: &Answers,
    keep: Option<Keep>,
    force: bool,
) -> Result<Composed, Failure> {
    let missing = answers.missing(present);
    if !missing.is_empty() {
        return Err(Failure::usage(ComposeError::Missing(missing)));
    }
    if let (Some(before), Some(wanted)) = (present.value("device", "id"), &answers.device)
        && before != wanted.as_str()
        && !force
    {
        return Err(Failure::usage(ComposeError::OtherDevice { present: before, wanted: wanted.to_string() }));
    }
    let mut draft = Draft::new(site, staging);
    credentials(staging, site, &mut draft.places)?;
    let qrisd = draft.qrisd(present, answers, keep)?;
    let relay = draft.relay(present, answers, &qrisd)?.text;
    let qrisd = qrisd.text;
    draft.guard_what_stays(&qrisd);
    draft.devices(&qrisd, &relay);
    draft.files.push(Planned::new(RELAY_TOML, FileRole::Trusted, relay.as_str()));
    // This file comes last: the services wait for it.
    draft.files.push(Planned::new(QRISD_TOML, FileRole::Trusted, qrisd.as_str()));
    let Draft { places, files, obsolete, remarks, .. } = draft;
    let source = |path: &str, text: String| Source::from_text(path, text).with_places(places.clone());
    Ok(Composed { files, obsolete, remarks, qrisd: source(QRISD_TOML, qrisd), relay: source(RELAY_TOML, relay) })
}

/// The keys, with those of the operators that the machine believes already. An enrolment brings the merchant's keys only.
fn with_operators(keys: &str, present: &Path) -> String {
    let earlier = std::fs::read_to_string(present).ok().and_then(|text| KeyFile::read(&text).ok()).filter(KeyFile::has_operators);
    match (KeyFile::read(keys), earlier) {
        (Ok(mut new), Some(earlier)) => {
            new.keep_operators(earlier);
            new.to_text()
        }
        _ => keys.into(),
    }
}

struct Draft<'a> {
    site: &'a Site,
    staging: &'a Staging,
    places: Places,
    files: Vec<Planned>,
    obsolete: Vec<PathBuf>,
    remarks: Vec<String>,
}

impl<'a> Draft<'a> {
    fn new(site: &'a Site, staging: &'a Staging) -> Self {
        Self { site, staging, places: site.places(), files: Vec::new(), obsolete: Vec::new(), remarks: Vec::new() }
    }

    fn qrisd(&mut self, present: &Present, answers: &Answers, keep: Option<Keep>) -> Result<Text, Failure> {
        let is_new = present.qrisd.is_none();
        let mut text = present.qrisd.clone().unwrap_or_else(|| Text { file: QRISD_TOML, text: NEW_QRISD.into() });
        if is_new {
            // These values of the example belong to another machine.
            for (section, key) in [("device", "name"), ("screen", "contact"), ("mqtt", "url"), ("mqtt", "password_file")] {
                text.remove(section, key)?;
            }
        }
        let id = answers.device.as_ref().map(ToString::to_string);
        let said = [("device", "id", &id), ("device", "name", &answers.name), ("device", "language", &answers.language)];
        for (section, key, value) in said.into_iter().chain([("screen", "contact", &answers.contact)]) {
            if let Some(value) = value {
                text.set_text(section, key, value)?;
            }
        }
        let is_joining = answers.says_broker() && !present.has("mqtt", "url");
        if is_new && !answers.says_broker() {
            text.remove_table("mqtt")?;
        }
        let own_name = id.or_else(|| text.value("device", "id")).filter(|_| is_joining);
        if let Some(name) = answers.username.clone().or(own_name) {
            text.set_text("mqtt", "username", &name)?;
        }
        self.server(&mut text, "mqtt", answers.broker_url.as_deref(), "broker-ca.pem", answers.broker_ca.as_deref())?;
        self.public_file(&mut text, ("mqtt", "cert_file"), "device.pem", answers.broker_cert.as_deref())?;
        if let Some(key) = &answers.broker_key {
            let path = format!("{ETC}/device.key");
            text.set_text("mqtt", "key_file", &path)?;
            self.stage(path, FileRole::Secret, key.expose())?;
        }
        if answers.allow_plaintext {
            text.set("mqtt", "allow_plaintext", "true")?;
        }
        self.server(&mut text, "backend", answers.backend_url.as_deref(), "backend-ca.pem", answers.backend_ca.as_deref())?;
        self.secrets(&mut text, [answers.password.as_ref(), answers.token.as_ref()], keep)?;
        if let Some(keys) = &answers.keys {
            let path = text.value("receipts", "keys_file").unwrap_or_else(|| KEYS_JSON.into());
            let keys = with_operators(keys, &self.site.at(&path));
            self.stage(path, FileRole::Trusted, &keys)?;
        }
        screen(&mut text, answers)?;
        if !answers.items.is_empty() {
            let blocks: Vec<_> = answers.items.iter().map(super::specs::Item::block).collect();
            text.change(|text| replace_tables(text, "item", &blocks))?;
        } else if let Some(listed) = &answers.listed {
            text.change(|text| replace_tables(text, "item", std::slice::from_ref(&listed.text)))?;
        }
        Ok(text)
    }

    /// The address of a server, and its private CA, which goes when the address has no TLS any more.
    fn server(&mut self, text: &mut Text, section: &str, url: Option<&str>, name: &str, ca: Option<&str>) -> Result<(), Failure> {
        if let Some(url) = url {
            text.set_text(section, "url", url)?;
            if ca.is_none() && (url.starts_with("mqtt://") || url.starts_with("http://")) {
                text.remove(section, "ca_file")?;
            }
        }
        self.public_file(text, (section, "ca_file"), name, ca)
    }

    fn relay(&mut self, present: &Present, answers: &Answers, qrisd: &Text) -> Result<Text, Failure> {
        let mut text = present.relay.clone().unwrap_or_else(|| Text { file: RELAY_TOML, text: NEW_RELAY.into() });
        if let Some(device) = qrisd.value("device", "id") {
            text.set_text("device", "id", &device)?;
        }
        let keys = qrisd.value("receipts", "keys_file").unwrap_or_else(|| KEYS_JSON.into());
        if text.value("receipts", "keys_file").is_some_and(|ours| ours != keys) || (keys != KEYS_JSON && present.relay.is_none()) {
            text.set_text("receipts", "keys_file", &keys)?;
        }
        let items = qrisd.tables("item");
        if !answers.lines.is_empty() {
            let is_sold = |id: &&String| *id == "*" || items.iter().any(|item| item.get("id").and_then(toml::Value::as_str) == Some(id));
            if let Some(unsold) = answers.lines.iter().flat_map(|line| &line.items).find(|id| !is_sold(id)) {
                return Err(Failure::usage(ComposeError::Unsold(unsold.clone())));
            }
            let mut lines = answers.lines.clone();
            for line in &mut lines {
                line.chip = chips::lasting(self.site, &line.chip).map_err(|why| Failure::usage(ComposeError::Chip(why)))?;
            }
            let blocks: Vec<_> = lines.iter().map(|line| line.block(least_price(&items, &line.items))).collect();
            text.change(|text| replace_tables(text, "line", &blocks))?;
            let buttons: Vec<_> = lines.iter().filter_map(super::specs::LineSpec::button_block).collect();
            if !buttons.is_empty() {
                text.change(|text| replace_tables(text, "button", &buttons))?;
            }
        } else if !answers.items.is_empty() || answers.listed.is_some() {
            reprice(&mut text, &present.item_tables(), &items)?;
        }
        for (at, line) in text.tables("line").iter().enumerate() {
            let turned = line.get("name").and_then(toml::Value::as_str).and_then(|name| answers.turned.get(name));
            if let Some(active_low) = turned {
                text.change(|text| set_in(text, "line", at, "active_low", &active_low.to_string()))?;
            }
        }
        Ok(text)
    }

    /// Lets only the services open the chips that the configuration names, and the panels.
    fn devices(&mut self, qrisd: &str, relay: &str) {
        let chips = chips::named(&relay.parse().unwrap_or_default());
        let qrisd: toml::Table = qrisd.parse().unwrap_or_default();
        let has_panel = qrisd.get("screen").and_then(|screen| screen.get("virtual")).is_none();
        if chips.is_empty() && !has_panel {
            self.obsolete.extend(self.site.at(chips::RULES).exists().then(|| chips::RULES.into()));
            return;
        }
        let (rules, unmatched) = chips::rules(&chips, has_panel);
        self.files.push(Planned::new(chips::RULES, FileRole::Trusted, rules));
        self.remarks.extend(unmatched.into_iter().map(|chip| fill(texts().no_rule, &[chip])));
    }

    /// A certificate goes beside the configuration: the service sees nobody's home directory.
    fn public_file(&mut self, text: &mut Text, (section, key): (&str, &str), name: &str, content: Option<&str>) -> Result<(), Failure> {
        let Some(content) = content else { return Ok(()) };
        let path = format!("{ETC}/{name}");
        text.set_text(section, key, &path)?;
        self.stage(path, FileRole::Trusted, content)
    }

    fn stage(&mut self, path: impl Into<PathBuf>, kind: FileRole, content: &str) -> Result<(), Failure> {
        let path = path.into();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.places.put_for_now(&path, self.staging.put(&format!("{}-{name}", self.files.len()), content.as_bytes())?);
        self.files.push(Planned::new(path, kind, content));
        Ok(())
    }
}

/// Lets each line take the present price of its items. The least amount changes in two cases: it was the price of the
/// cheapest item, or it is more than the new one, so that nobody could buy.
fn reprice(text: &mut Text, before: &[toml::Table], now: &[toml::Table]) -> Result<(), Failure> {
    for (at, line) in text.tables("line").iter().enumerate() {
        let Some(least) = line.get("min_amount").and_then(toml::Value::as_integer).and_then(|least| u64::try_from(least).ok()) else {
            continue;
        };
        let items = items_of(line);
        match least_price(now, &items) {
            Some(price) if price != least && (price < least || least_price(before, &items) == Some(least)) => {
                text.change(|text| set_in(text, "line", at, "min_amount", &price.to_string()))?;
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}

fn screen(text: &mut Text, answers: &Answers) -> Result<(), Failure> {
    if let Some(screen) = &answers.screen {
        let (key, value) = match screen {
            Screen::Auto => ("required", "true".into()),
            Screen::None => ("required", "false".into()),
            Screen::Device(path) => ("device", quoted(&path.display().to_string())),
            Screen::Virtual { path, size } => {
                let size = size.map(|(width, height)| format!(", width = {width}, height = {height}")).unwrap_or_default();
                ("virtual", format!("{{ path = {}{size} }}", quoted(&path.display().to_string())))
            }
        };
        for other in ["device", "virtual"].into_iter().filter(|other| *other != key) {
            text.remove("screen", other)?;
        }
        text.set("screen", key, &value)?;
    }
    answers.rotate.map_or(Ok(()), |degrees| text.set("screen", "rotate", &degrees.to_string()))
}

#[cfg(test)]
mod tests;
