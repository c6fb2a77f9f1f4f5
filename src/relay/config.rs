//! `relay.toml`: written, then checked. Every fault is told, with file, line and key.

mod written;

use crate::host::config::{BusAddress, Faults, Source};
use crate::order::ids::{DeviceId, ItemId};
use crate::order::ledger::{Condition, Drive, LineState, prepare};
use crate::order::money::Rupiah;
use crate::order::receipt::KeySet;
use crate::order::time::Span;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use written::Written;

/// The most lines and buttons of one machine.
pub const LINES_MAX: usize = 256;
/// What the relay service is told.
#[derive(Debug)]
pub struct Config {
    /// Whose receipts it takes.
    pub device: DeviceId,
    /// Where its interface is served.
    pub bus: BusAddress,
    /// Whose signatures it believes.
    pub keys: KeySet,
    /// The ledger's file.
    pub ledger: PathBuf,
    /// What it drives.
    pub lines: Vec<Line>,
    /// Buttons that ask for an item.
    pub buttons: Vec<Button>,
}

/// A line: an output that hands out an item.
#[derive(Debug, Clone)]
pub struct Line {
    /// For people, and in the ledger.
    pub name: String,
    /// What it hands out.
    pub items: Items,
    /// No ticket and no receipt for less.
    pub min_amount: Rupiah,
    /// The output.
    pub pin: Pin,
    /// How it is driven.
    pub drive: Drive,
    /// Does an outcome that nobody knows block it?
    pub block_on_uncertain: bool,
    /// The button inside the door that clears it.
    pub clear_button: Option<Pin>,
    /// What sees the item fall.
    pub sensor: Option<Sensor>,
}

/// What a line hands out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Items {
    /// Whatever no other line has.
    Any,
    /// These.
    These(Vec<ItemId>),
}

/// One line of a chip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The chip.
    pub chip: Chip,
    /// Active is the low level.
    pub active_low: bool,
    /// How long an input must stand still.
    pub debounce: Span,
}

/// Where a line is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chip {
    /// A GPIO character device and the line's number on it.
    Gpio {
        /// `/dev/gpiochip0`
        path: PathBuf,
        /// From 0.
        offset: u32,
    },
    /// A file that stands for a line: each edge is a line of text appended to it.
    Sim(PathBuf),
}

/// A drop sensor.
#[derive(Debug, Clone)]
pub struct Sensor {
    /// The input.
    pub pin: Pin,
    /// How long it is waited for after the last pulse.
    pub within: Span,
}

/// A button of a machine without a controller.
#[derive(Debug, Clone)]
pub struct Button {
    /// What it asks for.
    pub item: ItemId,
    /// The input.
    pub pin: Pin,
}

impl Config {
    /// Reads and checks `relay.toml` and the keys it names.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn load(path: &Path) -> Result<Self, Faults> {
        Self::from_source(&Source::read(path)?)
    }

    /// Checks a configuration that is in memory; the keys are read from their file.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn from_source(source: &Source) -> Result<Self, Faults> {
        let written: Written = source.parse()?;
        let mut checker = source.checker();
        let config = written.check(&mut checker);
        checker.finish()?;
        Ok(config.expect("a configuration without faults is whole"))
    }

    /// Compares with the `qrisd.toml` that lies beside this `relay.toml`, if one does: the same device, a line for every
    /// item, and a price that the line takes.
    ///
    /// # Errors
    /// Everything that does not fit.
    pub fn check_against_qrisd(&self, relay_toml: &Path) -> Result<(), Faults> {
        let path = relay_toml.with_file_name("qrisd.toml");
        if !path.exists() {
            return Ok(());
        }
        let source = Source::read(&path)?;
        let device: Loose = source.parse()?;
        let mut checker = source.checker();
        if let Some(id) = device.device.id.filter(|id| id.as_str() != self.device.as_str()) {
            checker.fault(&(), "device.id", format_args!("is {id:?}, but {} says {:?}", relay_toml.display(), self.device.as_str()));
        }
        for (i, item) in device.item.into_iter().enumerate() {
            let Some(id) = item.id.and_then(|id| ItemId::new(&id).ok()) else { continue };
            let line = self.line_of(&id).map(|line| self.lines[line].state(Condition::Ready));
            let price = item.price.and_then(|price| price.as_integer()).and_then(|price| u64::try_from(price).ok());
            match (line, price.and_then(|price| Rupiah::new(price).ok())) {
                (None, _) => checker.fault(&(), &format!("item[{i}].id"), format_args!("{} has no line for {id}", relay_toml.display())),
                (Some(line), Some(price)) => {
                    if let Err(why) = prepare(Some(&line), price) {
                        checker.fault(
                            &(),
                            &format!("item[{i}].price"),
                            format_args!("the line in {} refuses it: {why}", relay_toml.display()),
                        );
                    }
                }
                (Some(_), None) => {}
            }
        }
        checker.finish()
    }

    /// The line that hands out an item, as an index of `lines`.
    #[must_use]
    pub fn line_of(&self, item: &ItemId) -> Option<usize> {
        line_of(self.lines.iter(), item)
    }
}

/// The line that hands out an item: one that names it, else the one for all others.
#[must_use]
pub fn line_of<'a>(lines: impl Iterator<Item = &'a Line> + Clone, item: &ItemId) -> Option<usize> {
    let named = |line: &Line| matches!(&line.items, Items::These(items) if items.contains(item));
    lines.clone().position(named).or_else(|| lines.clone().position(|line| line.items == Items::Any))
}

impl Line {
    /// As the core sees it.
    #[must_use]
    pub fn state(&self, condition: Condition) -> LineState {
        let sensor = self.sensor.as_ref().map_or(Span::ZERO, |sensor| sensor.within);
        LineState { min_amount: self.min_amount, drive: self.drive, sensor, condition }
    }
}

/// What matters here of a `qrisd.toml`, whose own program checks the rest.
#[derive(Deserialize)]
struct Loose {
    #[serde(default)]
    device: LooseDevice,
    #[serde(default)]
    item: Vec<LooseItem>,
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

#[cfg(test)]
mod tests;
