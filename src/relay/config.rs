//! `relay.toml`: first written form, then checked form. Every fault is told with file, line and key.

mod written;

use self::written::texts;
use super::chip::{self, ChipName, Present};
use super::outlet::Settings;
use super::pin::{Chip, HardwareError, Pin, check};
use qris_core::order::ids::{DeviceId, ItemId};
use qris_core::order::keys::KeySet;
use qris_core::order::ledger::{Condition, DRIVE_MAX, LedgerRefusal, Limits, LineState, prepare};
use qris_core::order::money::Rupiah;
use qris_host::config::{BusAddress, Faults, Source};
use qris_host::hint::{instead, meant};
use qris_host::speech::fill;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use written::WrittenConfig;

/// The ledger's file, where the configuration names none.
const LEDGER: &str = "/var/lib/qris-relay/ledger.db";
/// The most lines of one machine, and the most buttons.
pub const LINES_MAX: usize = 256;
pub const SERVICE_SWITCH: &str = "the service switch";
#[derive(Debug)]
pub struct Config {
    /// The machine whose receipts it takes.
    pub device: DeviceId,
    /// Where its interface is served.
    pub bus: BusAddress,
    /// The keys whose signatures it believes.
    pub keys: KeySet,
    pub ledger: PathBuf,
    pub lines: Vec<LineSettings>,
    pub buttons: Vec<Button>,
    /// The switch inside the door: while it is on, somebody fills the machine.
    pub service_switch: Option<Pin>,
}

/// Does a check open the chips?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chips {
    Opened,
    Unseen,
}

/// A line: an output that hands out an item.
#[derive(Debug, Clone)]
pub struct LineSettings {
    /// Its name, for people and in the ledger.
    pub name: String,
    pub items: Items,
    /// It takes no ticket and no receipt for less.
    pub min_amount: Rupiah,
    pub outlet: Arc<dyn Settings>,
    /// Does an outcome that nobody knows block the line?
    pub block_on_uncertain: bool,
    /// So many misses in a row block it.
    pub misses: u32,
    /// The button inside the door that clears it.
    pub clear_button: Option<Pin>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Items {
    /// All items that no other line has.
    Any,
    These(Vec<ItemId>),
}

/// What several lines may have together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shared<'a> {
    Sensor(&'a Chip),
    /// A board that has the motors of them all, and one drop sensor.
    Device(&'a Path),
}

/// A button of a machine without a controller.
#[derive(Debug, Clone)]
pub struct Button {
    pub item: ItemId,
    pub pin: Pin,
}

impl Config {
    /// Reads and checks `relay.toml` and the keys it names.
    pub fn load(path: &Path) -> Result<Self, Faults> {
        Self::from_source(&Source::read(path)?)
    }

    /// Checks a configuration that is in memory. The keys are read from their file.
    pub fn from_source(source: &Source) -> Result<Self, Faults> {
        source.read_checked(WrittenConfig::check)
    }

    /// Checks a configuration, and whether it fits the `qrisd.toml` beside it. With `chips` it also checks whether the
    /// chips can be opened. No line is touched.
    pub fn examine(path: &Path, chips: Chips) -> Result<Self, Faults> {
        Source::read(path)?.read_checked(|written: WrittenConfig, checker| {
            let config = WrittenConfig::check(written, checker)?;
            if chips == Chips::Opened {
                for (key, found) in config.look() {
                    checker.take(found, &key);
                }
            }
            if let BusAddress::Peer(socket) = &config.bus {
                checker.socket(socket, "dbus.bus");
            }
            checker.also(config.check_against_qrisd(path));
            Some(config)
        })
    }

    /// Looks whether the hardware is there. Each finding names its key in the file.
    fn look(&self) -> Vec<(String, Result<(), HardwareError>)> {
        let (mut looked, mut pins) = (Vec::new(), Vec::new());
        for (i, line) in self.lines.iter().enumerate() {
            let key = format!("line[{i}].{}", line.outlet.key());
            match line.outlet.line() {
                Some(outlet) => pins.push((key, &outlet.pin)),
                None => looked.push((key, line.outlet.check())),
            }
            pins.extend(self.own_sensor(i).map(|pin| (format!("line[{i}].sensor.chip"), pin)));
            pins.extend(line.clear_button.as_ref().map(|pin| (format!("line[{i}].clear_button.chip"), pin)));
        }
        pins.extend(self.buttons.iter().enumerate().map(|(i, button)| (format!("button[{i}].chip"), &button.pin)));
        pins.extend(self.service_switch.as_ref().map(|pin| ("service_switch.chip".into(), pin)));
        looked.extend(pins.iter().map(|(key, pin)| (key.clone(), check(&pin.chip))));
        looked.extend(twice(&pins, &chip::present(Path::new("/"))).into_iter().map(|(key, error)| (key, Err(error))));
        looked
    }

    /// Compares it with the `qrisd.toml` that lies beside this `relay.toml`, if there is one. They need the same device,
    /// a line for every item, and a price that the line takes.
    pub fn check_against_qrisd(&self, relay_toml: &Path) -> Result<(), Faults> {
        let path = relay_toml.with_file_name("qrisd.toml");
        if !path.exists() {
            return Ok(());
        }
        self.check_against(relay_toml, &Source::read(&path)?)
    }

    pub fn check_against(&self, relay_toml: &Path, source: &Source) -> Result<(), Faults> {
        let device: Loose = source.parse()?;
        let mut checker = source.checker();
        if let Some(id) = device.device.id.filter(|id| id.as_str() != self.device.as_str()) {
            checker.fault(
                "device.id",
                fill(texts().other_device, &[&format_args!("{id:?}"), &relay_toml.display(), &format_args!("{:?}", self.device.as_str())]),
            );
        }
        for (i, item) in device.item.into_iter().enumerate() {
            let Some(id) = item.id.and_then(|id| ItemId::new(&id).ok()) else { continue };
            let line = self.line_of(&id).map(|line| &self.lines[line]);
            let price = item.price.and_then(|price| price.as_integer()).and_then(|price| u64::try_from(price).ok());
            match (line, price.and_then(|price| Rupiah::new(price).ok())) {
                (None, _) => {
                    let tip = meant(id.as_str(), self.items()).map(|meant| instead(meant, &[meant])).unwrap_or_default();
                    checker.fault(&format!("item[{i}].id"), fill(texts().no_line_for, &[&relay_toml.display(), &id, &tip]));
                }
                (Some(line), Some(price)) => {
                    if let Err(why) = prepare(Some(&line.state(price, Condition::Ready)), price) {
                        checker.fault(&format!("item[{i}].price"), fill(texts().line_refuses, &[&relay_toml.display(), &refusal(why)]));
                    }
                }
                (Some(_), None) => {}
            }
        }
        checker.finish()
    }

    fn items(&self) -> impl Iterator<Item = &str> {
        self.lines
            .iter()
            .flat_map(|line| match &line.items {
                Items::Any => &[][..],
                Items::These(items) => items,
            })
            .map(ItemId::as_str)
    }

    /// The ledger's file, whatever else is wrong with a configuration.
    #[must_use]
    pub fn ledger_of(path: &Path) -> PathBuf {
        let written = Source::read(path).and_then(|source| source.parse::<LooseLedger>());
        written.ok().and_then(|written| written.ledger.path).unwrap_or_else(|| LEDGER.into())
    }

    /// Every pin, with its name for people.
    #[must_use]
    pub fn pins(&self) -> Vec<(String, &Pin)> {
        let mut pins = Vec::new();
        for (i, line) in self.lines.iter().enumerate() {
            pins.extend(line.outlet.line().map(|outlet| (format!("line {:?}", line.name), &outlet.pin)));
            pins.extend(self.own_sensor(i).map(|pin| (format!("the sensor of line {:?}", line.name), pin)));
            pins.extend(line.clear_button.as_ref().map(|pin| (line.clear_button_name(), pin)));
        }
        pins.extend(self.buttons.iter().map(|button| (button.name(), &button.pin)));
        pins.extend(self.service_switch.as_ref().map(|pin| (SERVICE_SWITCH.into(), pin)));
        pins
    }

    /// The sensor of a line, unless an earlier line has the same one.
    fn own_sensor(&self, index: usize) -> Option<&Pin> {
        let sensor = self.lines[index].sensor()?;
        let is_known = self.lines[..index].iter().filter_map(LineSettings::sensor).any(|earlier| earlier.chip == sensor.chip);
        (!is_known).then_some(sensor)
    }

    /// The devices beside GPIO chips that lead to goods, each once.
    #[must_use]
    pub fn devices(&self) -> BTreeSet<&Path> {
        self.lines.iter().filter_map(|line| line.outlet.device()).collect()
    }

    /// The GPIO chips that lead to goods or inputs, each once.
    #[must_use]
    pub fn chips(&self) -> BTreeSet<&ChipName> {
        self.pins().into_iter().filter_map(|(_, pin)| pin.chip.name()).collect()
    }

    #[must_use]
    pub fn line_of(&self, item: &ItemId) -> Option<usize> {
        line_of(self.lines.iter(), item)
    }
}

/// The pins that two keys name, by two names of one chip.
fn twice(pins: &[(String, &Pin)], chips: &[Present]) -> Vec<(String, HardwareError)> {
    let mut taken = BTreeMap::new();
    let again = |(key, pin): &(String, &Pin)| {
        let Chip::Gpio { name, offset } = &pin.chip else { return None };
        let path = &name.among(chips).ok()?.device;
        let other = taken.insert((path, *offset), key.clone())?;
        Some((key.clone(), HardwareError::Twice { path: path.clone(), offset: *offset, other }))
    };
    pins.iter().filter_map(again).collect()
}

/// The line that hands out an item: the line that names it, else the line for all other items.
#[must_use]
pub fn line_of<'a>(lines: impl Iterator<Item = &'a LineSettings> + Clone, item: &ItemId) -> Option<usize> {
    let named = |line: &LineSettings| matches!(&line.items, Items::These(items) if items.contains(item));
    lines.clone().position(named).or_else(|| lines.clone().position(|line| line.items == Items::Any))
}

impl LineSettings {
    #[must_use]
    pub fn clear_button_name(&self) -> String {
        format!("the clear button of line {:?}", self.name)
    }

    #[must_use]
    pub fn state(&self, amount: Rupiah, condition: Condition) -> LineState {
        LineState { min_amount: self.min_amount, takes: self.outlet.takes(amount), condition }
    }

    #[must_use]
    pub fn limits(&self) -> Limits {
        self.outlet.limits(self.min_amount)
    }

    /// What it may have together with other lines. One line of those is driven at a time.
    pub(crate) fn shared(&self) -> Option<Shared<'_>> {
        let device = || self.outlet.part().and(self.outlet.device()).map(Shared::Device);
        self.sensor().map(|pin| Shared::Sensor(&pin.chip)).or_else(device)
    }

    pub(crate) fn sensor(&self) -> Option<&Pin> {
        self.outlet.line()?.sensor.as_ref().map(|sensor| &sensor.pin)
    }
}

impl Items {
    /// One of its items, to try the line with.
    pub(crate) fn any(&self) -> ItemId {
        let first = match self {
            Self::Any => None,
            Self::These(items) => items.first().cloned(),
        };
        first.unwrap_or_else(|| ItemId::new("trial").expect("an item"))
    }
}

impl Button {
    #[must_use]
    pub fn name(&self) -> String {
        format!("the button for {}", self.item)
    }
}

/// The parts of a `qrisd.toml` that matter here. Its own program checks the rest.
#[derive(Deserialize)]
struct Loose {
    #[serde(default)]
    device: LooseDevice,
    #[serde(default)]
    item: Vec<LooseItem>,
}

/// The parts that matter of a `relay.toml` that may be wrong.
#[derive(Deserialize)]
struct LooseLedger {
    #[serde(default)]
    ledger: LoosePath,
}

#[derive(Deserialize, Default)]
struct LoosePath {
    path: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
struct LooseDevice {
    id: Option<String>,
}

#[derive(Deserialize)]
struct LooseItem {
    id: Option<String>,
    price: Option<toml::Value>,
}

fn refusal(why: LedgerRefusal) -> String {
    match why {
        LedgerRefusal::TooLittle(least) => fill(texts().too_little, &[&least]),
        LedgerRefusal::NotMultiple(step) => fill(texts().uneven, &[&step]),
        LedgerRefusal::TooLong => fill(texts().too_long, &[&DRIVE_MAX.as_secs_up()]),
        // A line of a configuration is at rest, and has the item.
        LedgerRefusal::UnknownItem
        | LedgerRefusal::UnknownTicket
        | LedgerRefusal::Busy
        | LedgerRefusal::Blocked
        | LedgerRefusal::NoTry
        | LedgerRefusal::Hardware => why.to_string(),
    }
}

#[cfg(test)]
mod tests;
