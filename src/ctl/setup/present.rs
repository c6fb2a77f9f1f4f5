//! The files that are on the disk already, and their values.

use crate::site::{KEYS_JSON, QRISD_TOML, RELAY_TOML, Site};
use qris_host::Failure;
use qris_host::setup::edit::{self, Text};
use qris_relay::chip::ChipName;

#[derive(Debug, Default)]
pub(super) struct Present {
    pub(super) qrisd: Option<Text>,
    pub(super) relay: Option<Text>,
    pub(super) keys: bool,
}

impl Present {
    pub(super) fn read(site: &Site) -> Result<Self, Failure> {
        let read = |file| match std::fs::read_to_string(site.at(file)) {
            Ok(text) => Ok(Some(Text { file, text })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::failed(format!("{}: {error}", site.at(file).display()))),
        };
        let (qrisd, relay) = (read(QRISD_TOML)?, read(RELAY_TOML)?);
        for Text { file, text } in qrisd.iter().chain(&relay) {
            edit::parse(text).map_err(|why| Failure::usage(format!("{file}: {why}")))?;
        }
        let mut present = Self { qrisd, relay, keys: false };
        present.keys = site.at(present.keys_file()).exists();
        Ok(present)
    }

    pub(super) fn value(&self, section: &str, key: &str) -> Option<String> {
        self.qrisd.as_ref()?.value(section, key)
    }

    pub(super) fn keys_file(&self) -> String {
        self.value("receipts", "keys_file").unwrap_or_else(|| KEYS_JSON.into())
    }

    pub(super) fn has(&self, section: &str, key: &str) -> bool {
        self.value(section, key).is_some()
    }

    /// The ids of the items for sale.
    pub(super) fn items(&self) -> Vec<String> {
        self.item_tables().iter().map(|item| item.get("id").and_then(toml::Value::as_str).unwrap_or_default().to_owned()).collect()
    }

    /// The items that lines hand out.
    pub(super) fn lines(&self) -> Vec<String> {
        self.line_tables().iter().flat_map(items_of).collect()
    }

    /// The pins of its lines. Each tells whether the low level drives it. They belong to the service, whether
    /// the machine is set up or not.
    pub(super) fn pins(&self) -> Vec<(ChipName, u32, bool)> {
        let pin = |line: &toml::Table| {
            let offset = line.get("offset")?.as_integer().and_then(|offset| u32::try_from(offset).ok())?;
            let active_low = line.get("active_low").and_then(toml::Value::as_bool).unwrap_or(false);
            Some((ChipName::new(line.get("chip")?.as_str()?).ok()?, offset, active_low))
        };
        self.line_tables().iter().filter_map(pin).collect()
    }

    pub(super) fn item_tables(&self) -> Vec<toml::Table> {
        self.qrisd.as_ref().map(|qrisd| qrisd.tables("item")).unwrap_or_default()
    }

    fn line_tables(&self) -> Vec<toml::Table> {
        self.relay.as_ref().map(|relay| relay.tables("line")).unwrap_or_default()
    }
}

pub(super) fn items_of(line: &toml::Table) -> Vec<String> {
    let items = line.get("items").and_then(toml::Value::as_array).into_iter().flatten();
    items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
}
