//! `relay.toml` as it is written, and what must be true of it.

use super::{Bias, Button, Chip, Config, Items, LINES_MAX, Line, Pin, Sensor};
use qris_core::order::ids::{DeviceId, ItemId};
use qris_core::order::ledger::{DRIVE_MAX, Drive};
use qris_core::order::money::Rupiah;
use qris_core::order::receipt::KeySet;
use qris_core::order::time::Span;
use qris_host::config::{BusAddress, Checker};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The longest name of a line, in bytes.
const NAME_MAX: usize = 64;
/// The largest `keys.json` that is read, in bytes.
const KEYS_BYTES_MAX: u64 = 64 * 1024;
/// A button is believed when it stands still for so long, unless the configuration says otherwise.
const DEBOUNCE_MS: i64 = 50;
/// A sensor is believed at once: what falls through a light barrier is seen for milliseconds.
const SENSOR_DEBOUNCE_MS: i64 = 0;

/// All of it. What is missing or out of range is told together with everything else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    #[serde(default)]
    device: WrittenDevice,
    #[serde(default)]
    dbus: WrittenBus,
    #[serde(default)]
    receipts: WrittenReceipts,
    #[serde(default)]
    ledger: WrittenLedger,
    #[serde(default)]
    line: Vec<WrittenLine>,
    #[serde(default)]
    button: Vec<WrittenButton>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WrittenDevice {
    id: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WrittenBus {
    bus: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WrittenReceipts {
    keys_file: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WrittenLedger {
    path: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLine {
    name: Option<String>,
    items: Option<Vec<String>>,
    min_amount: Option<i64>,
    chip: Option<String>,
    offset: Option<i64>,
    active_low: Option<bool>,
    pulse_ms: Option<i64>,
    rupiah_per_pulse: Option<i64>,
    on_ms: Option<i64>,
    off_ms: Option<i64>,
    block_on_uncertain: Option<bool>,
    clear_button: Option<WrittenInput>,
    sensor: Option<WrittenSensor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenInput {
    chip: Option<String>,
    offset: Option<i64>,
    active_low: Option<bool>,
    bias: Option<String>,
    debounce_ms: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSensor {
    chip: Option<String>,
    offset: Option<i64>,
    active_low: Option<bool>,
    bias: Option<String>,
    debounce_ms: Option<i64>,
    within_ms: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenButton {
    item: Option<String>,
    chip: Option<String>,
    offset: Option<i64>,
    active_low: Option<bool>,
    bias: Option<String>,
    debounce_ms: Option<i64>,
}

impl Written {
    pub(super) fn check(self, checker: &mut Checker<'_>) -> Option<Config> {
        let device = checker.required(self.device.id, "device.id");
        let device = device.and_then(|id| checker.take(DeviceId::new(&id), "device.id"));
        let bus = self.dbus.bus.as_deref().unwrap_or("system").parse::<BusAddress>();
        let bus = checker.take(bus, "dbus.bus");
        let keys_file = self.receipts.keys_file.unwrap_or_else(|| "/etc/qrisd/keys.json".into());
        let keys = read_keys(&checker.locate(&keys_file), checker);
        let ledger = self.ledger.path.unwrap_or_else(|| super::LEDGER.into());
        if self.line.is_empty() {
            checker.fault(&(), "line", "is missing: a relay service needs a [[line]] at least");
        }
        for (name, count) in [("line", self.line.len()), ("button", self.button.len())] {
            if count > LINES_MAX {
                checker.fault(&(), name, format_args!("there are {count}, and {LINES_MAX} at most are possible"));
            }
        }
        let lines: Vec<_> = self.line.into_iter().enumerate().map(|(i, line)| line.check(checker, &format!("line[{i}]"))).collect();
        let buttons: Vec<_> = self.button.into_iter().enumerate().map(|(i, b)| b.check(checker, &format!("button[{i}]"))).collect();
        check_together(&lines, &buttons, checker);
        Some(Config {
            device: device?,
            bus: bus?,
            keys: keys?,
            ledger,
            lines: lines.into_iter().collect::<Option<_>>()?,
            buttons: buttons.into_iter().collect::<Option<_>>()?,
        })
    }
}

impl WrittenLine {
    fn check(self, checker: &mut Checker<'_>, at: &str) -> Option<Line> {
        let key = |name: &str| format!("{at}.{name}");
        let name = checker.required(self.name, &key("name"));
        if let Some(name) = &name
            && (name.is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control))
        {
            checker.fault(&(), &key("name"), format_args!("must be 1 to {NAME_MAX} bytes without control characters"));
        }
        let items = checker.required(self.items, &key("items"));
        let items = items.and_then(|items| check_items(&items, checker, &key("items")));
        let min_amount = amount(checker, self.min_amount.unwrap_or(1), &key("min_amount"));
        let active_low = self.active_low.unwrap_or(false);
        let chip = check_chip(checker, self.chip, self.offset, at);
        let drive = match (self.pulse_ms, self.rupiah_per_pulse) {
            (Some(on), None) => {
                for (name, value) in [("on_ms", self.on_ms), ("off_ms", self.off_ms)] {
                    if value.is_some() {
                        checker.fault(&(), &key(name), "belongs to rupiah_per_pulse, not to pulse_ms");
                    }
                }
                let on = checker.integer(Some(on), 500, 1..=DRIVE_MAX.0, &key("pulse_ms"));
                Some(Drive::Single { on: Span::millis(on) })
            }
            (None, Some(rupiah)) => {
                let rupiah = amount(checker, rupiah, &key("rupiah_per_pulse"));
                let mut span = |value, name: &str| {
                    let value = checker.required(value, &key(name));
                    Span::millis(checker.integer(value, 1, 1..=DRIVE_MAX.0, &key(name)))
                };
                let (on, off) = (span(self.on_ms, "on_ms"), span(self.off_ms, "off_ms"));
                rupiah.map(|rupiah| Drive::PerPulse { rupiah, on, off })
            }
            (None, None) => {
                checker.fault(&(), &key("pulse_ms"), "is missing; or rupiah_per_pulse with on_ms and off_ms");
                None
            }
            (Some(_), Some(_)) => {
                checker.fault(&(), &key("pulse_ms"), "cannot stand beside rupiah_per_pulse");
                None
            }
        };
        // Outer: is it well? Inner: is there one?
        let clear_button = match self.clear_button {
            None => Some(None),
            Some(button) => button.check(checker, &key("clear_button"), DEBOUNCE_MS).map(Some),
        };
        let sensor = match self.sensor {
            None => Some(None),
            Some(sensor) => sensor.check(checker, &key("sensor")).map(Some),
        };
        let line = Line {
            name: name?,
            items: items?,
            min_amount: min_amount?,
            pin: Pin { chip: chip?, active_low, debounce: Span::ZERO, bias: Bias::AsIs },
            drive: drive?,
            block_on_uncertain: self.block_on_uncertain.unwrap_or(false),
            clear_button: clear_button?,
            sensor: sensor?,
        };
        let least = match line.drive {
            Drive::Single { on } => on,
            Drive::PerPulse { on, off, .. } => Span(on.0 + off.0),
        };
        if least.0 + line.sensor.as_ref().map_or(0, |sensor| sensor.within.0) > DRIVE_MAX.0 {
            let name = if line.sensor.is_some() { "sensor" } else { "on_ms" };
            checker.fault(&(), &key(name), format_args!("pulse and sensor together take at most {} s", DRIVE_MAX.as_secs_up()));
        }
        Some(line)
    }
}

impl WrittenInput {
    /// An input that is believed after `debounce_ms`, unless the configuration says otherwise.
    fn check(self, checker: &mut Checker<'_>, at: &str, debounce_ms: i64) -> Option<Pin> {
        let chip = check_chip(checker, self.chip, self.offset, at);
        let bias = check_bias(checker, self.bias.as_deref(), &format!("{at}.bias"));
        let debounce = checker.integer(self.debounce_ms, debounce_ms, 0..=1000, &format!("{at}.debounce_ms"));
        Some(Pin { chip: chip?, active_low: self.active_low.unwrap_or(false), debounce: Span::millis(debounce), bias: bias? })
    }
}

impl WrittenSensor {
    fn check(self, checker: &mut Checker<'_>, at: &str) -> Option<Sensor> {
        let key = format!("{at}.within_ms");
        let within = checker.required(self.within_ms, &key);
        let within = checker.integer(within, 1, 1..=DRIVE_MAX.0, &key);
        let Self { chip, offset, active_low, bias, debounce_ms, within_ms: _ } = self;
        let input = WrittenInput { chip, offset, active_low, bias, debounce_ms };
        let pin = input.check(checker, at, SENSOR_DEBOUNCE_MS);
        Some(Sensor { pin: pin?, within: Span::millis(within) })
    }
}

impl WrittenButton {
    fn check(self, checker: &mut Checker<'_>, at: &str) -> Option<Button> {
        let item = checker.required(self.item, &format!("{at}.item"));
        let item = item.and_then(|item| checker.take(ItemId::new(&item), &format!("{at}.item")));
        let Self { chip, offset, active_low, bias, debounce_ms, item: _ } = self;
        let input = WrittenInput { chip, offset, active_low, bias, debounce_ms };
        let pin = input.check(checker, at, DEBOUNCE_MS);
        Some(Button { item: item?, pin: pin? })
    }
}

fn amount(checker: &mut Checker<'_>, value: i64, key: &str) -> Option<Rupiah> {
    checker.take(Rupiah::new(u64::try_from(value).unwrap_or(0)), key)
}

fn check_items(items: &[String], checker: &mut Checker<'_>, key: &str) -> Option<Items> {
    if items.is_empty() {
        checker.fault(&(), key, "must name an item at least, or be [\"*\"]");
        return None;
    }
    if items.iter().any(|item| item == "*") {
        if items.len() > 1 {
            checker.fault(&(), key, "\"*\" stands alone");
        }
        return Some(Items::Any);
    }
    let ids: Vec<_> = items.iter().map(|item| checker.take(ItemId::new(item), key)).collect();
    ids.into_iter().collect::<Option<_>>().map(Items::These)
}

fn check_chip(checker: &mut Checker<'_>, chip: Option<String>, offset: Option<i64>, at: &str) -> Option<Chip> {
    let key = format!("{at}.chip");
    let chip = checker.required(chip, &key)?;
    if let Some(path) = chip.strip_prefix("sim:") {
        if !path.starts_with('/') {
            checker.fault(&(), &key, "must be sim: and an absolute path");
            return None;
        }
        return Some(Chip::Sim(path.into()));
    }
    if !chip.starts_with('/') {
        checker.fault(&(), &key, "must be a path such as /dev/gpiochip0, or sim:/path");
        return None;
    }
    let offset = checker.required(offset, &format!("{at}.offset"))?;
    let offset = u32::try_from(checker.integer(Some(offset), 0, 0..=1023, &format!("{at}.offset"))).expect("0 to 1023");
    Some(Chip::Gpio { path: chip.into(), offset })
}

fn check_bias(checker: &mut Checker<'_>, bias: Option<&str>, key: &str) -> Option<Bias> {
    match bias {
        None => Some(Bias::AsIs),
        Some("pull_up") => Some(Bias::PullUp),
        Some("pull_down") => Some(Bias::PullDown),
        Some("disabled") => Some(Bias::Disabled),
        Some(other) => {
            checker.fault(&(), key, format_args!("must be \"pull_up\", \"pull_down\" or \"disabled\", not {other:?}"));
            None
        }
    }
}

/// What no line can see by itself: names, items and pins that are used twice.
fn check_together(lines: &[Option<Line>], buttons: &[Option<Button>], checker: &mut Checker<'_>) {
    let mut names = BTreeMap::new();
    let mut items = BTreeMap::new();
    let mut pins = BTreeMap::new();
    let mut pin = |pin: &Pin, key: String, checker: &mut Checker<'_>| {
        if let Chip::Gpio { path, offset } = &pin.chip
            && let Some(other) = pins.insert(pin.chip.clone(), key.clone())
        {
            checker.fault(&(), &key, format_args!("{} line {offset} is used by {other} already", path.display()));
        }
    };
    for (i, line) in lines.iter().enumerate() {
        let Some(line) = line else { continue };
        if let Some(other) = names.insert(line.name.clone(), i) {
            checker.fault(&(), &format!("line[{i}].name"), format_args!("line[{other}] has this name already"));
        }
        let texts = match &line.items {
            Items::Any => vec!["*"],
            Items::These(items) => items.iter().map(ItemId::as_str).collect(),
        };
        for item in texts {
            if let Some(other) = items.insert(item.to_owned(), i) {
                checker.fault(&(), &format!("line[{i}].items"), format_args!("line[{other}] has {item:?} already"));
            }
        }
        pin(&line.pin, format!("line[{i}].offset"), checker);
        if let Some(button) = &line.clear_button {
            pin(button, format!("line[{i}].clear_button"), checker);
        }
        if let Some(sensor) = &line.sensor {
            pin(&sensor.pin, format!("line[{i}].sensor"), checker);
        }
    }
    for (i, button) in buttons.iter().enumerate() {
        if let Some(button) = button {
            pin(&button.pin, format!("button[{i}].offset"), checker);
        }
    }
}

fn read_keys(path: &Path, checker: &mut Checker<'_>) -> Option<KeySet> {
    let key = "receipts.keys_file";
    let size = std::fs::metadata(path).map(|metadata| metadata.len());
    let text = size.and_then(|size| if size > KEYS_BYTES_MAX { Ok(None) } else { std::fs::read_to_string(path).map(Some) });
    let text = match text {
        Ok(Some(text)) => text,
        Ok(None) => {
            checker.fault(&(), key, format_args!("{} is larger than 64 KiB", path.display()));
            return None;
        }
        Err(error) => {
            checker.fault(&(), key, format_args!("{} cannot be read: {error}", path.display()));
            return None;
        }
    };
    match KeySet::from_jwks(&text) {
        Ok(keys) if keys.receipt_kids().is_empty() => {
            checker.fault(&(), key, format_args!("{} holds no receipt key", path.display()));
            None
        }
        Ok(keys) => Some(keys),
        Err(error) => {
            checker.fault(&(), key, format_args!("{}: {error}", path.display()));
            None
        }
    }
}
