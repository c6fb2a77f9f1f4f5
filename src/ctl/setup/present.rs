//! What lies on the disk already: what it says, and what is missing to a machine that sells.

use super::answers::Answers;
use super::compose::{ComposeError, KEYS_JSON, items_of};
use super::dialogue::Part;
use super::edit::{self, tables_of, text_of};
use crate::site::{QRISD_TOML, RELAY_TOML, Site};
use qris_host::Failure;
use std::path::PathBuf;

/// What lies on the disk already.
#[derive(Debug, Default)]
pub(super) struct Present {
    pub(super) qrisd: Option<String>,
    pub(super) relay: Option<String>,
    keys: bool,
}

impl Present {
    /// Reads what is there.
    pub(super) fn read(site: &Site) -> Result<Self, Failure> {
        let read = |path: &str| match std::fs::read_to_string(site.at(path)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::failed(format!("{}: {error}", site.at(path).display()))),
        };
        let (qrisd, relay) = (read(QRISD_TOML)?, read(RELAY_TOML)?);
        for (file, text) in [(QRISD_TOML, &qrisd), (RELAY_TOML, &relay)] {
            if let Some(text) = text {
                edit::parse(text).map_err(|why| Failure::usage(ComposeError::Edit { file, why }))?;
            }
        }
        let keys = qrisd.as_deref().and_then(|text| text_of(text, "receipts", "keys_file")).unwrap_or_else(|| KEYS_JSON.into());
        let keys = site.at(keys).exists();
        Ok(Self { qrisd, relay, keys })
    }

    /// A text value of the configuration that is there.
    pub(super) fn value(&self, section: &str, key: &str) -> Option<String> {
        text_of(self.qrisd.as_deref()?, section, key)
    }

    /// Whether it names a file of its own for a secret.
    pub(super) fn has_secret(&self, section: &str, key: &str) -> bool {
        self.value(section, key).is_some()
    }

    pub(super) const fn has_keys(&self) -> bool {
        self.keys
    }

    /// What is sold, by its ids.
    pub(super) fn items(&self) -> Vec<String> {
        let tables = self.qrisd.as_deref().map(|text| tables_of(text, "item")).unwrap_or_default();
        tables.iter().map(|item| item.get("id").and_then(toml::Value::as_str).unwrap_or_default().to_owned()).collect()
    }

    /// What lines hand out.
    pub(super) fn lines(&self) -> Vec<String> {
        self.line_tables().iter().flat_map(items_of).collect()
    }

    /// The pins of its lines, each with whether the low level drives it: they are the service's, set up or not.
    pub(super) fn pins(&self) -> Vec<(PathBuf, u32, bool)> {
        let pin = |line: &toml::Table| {
            let offset = line.get("offset")?.as_integer().and_then(|offset| u32::try_from(offset).ok())?;
            let active_low = line.get("active_low").and_then(toml::Value::as_bool).unwrap_or(false);
            Some((line.get("chip")?.as_str()?.into(), offset, active_low))
        };
        self.line_tables().iter().filter_map(pin).collect()
    }

    fn line_tables(&self) -> Vec<toml::Table> {
        self.relay.as_deref().map(|text| tables_of(text, "line")).unwrap_or_default()
    }

    /// What is neither here nor among the answers, each with how it is told.
    pub(super) fn missing(&self, answers: &Answers) -> Vec<(Part, &'static str)> {
        let table = [
            (
                Part::Device,
                answers.device.is_none() && self.value("device", "id").is_none(),
                "the machine's name (--device ID, or --from ENROLMENT)",
            ),
            (Part::Broker, answers.broker_url.is_none() && self.value("mqtt", "url").is_none(), "the broker (--broker URL)"),
            (Part::Backend, answers.backend_url.is_none() && self.value("backend", "url").is_none(), "the backend (--backend URL)"),
            (
                Part::Backend,
                answers.token.is_none() && !self.has_secret("backend", "token_file"),
                "the backend's token (--token-file FILE)",
            ),
            (Part::Keys, answers.keys.is_none() && !self.keys, "the receipt keys (--keys FILE, from `qris-backend keys public`)"),
            (Part::Items, answers.items.is_empty() && self.items().is_empty(), "what it sells (--item ID:PRICE:NAME)"),
            (Part::Lines, answers.lines.is_empty() && self.lines().is_empty(), "which line hands it out (--line ITEMS=CHIP:OFFSET)"),
        ];
        table.into_iter().filter(|(_, is_missing, _)| *is_missing).map(|(part, _, what)| (part, what)).collect()
    }
}
