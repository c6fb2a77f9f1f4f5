//! `relay.toml` as it is written, and the rules that it must keep.

use super::{Button, Chip, Config, Items, LINES_MAX, LineSettings, Pin};
use crate::outlet;
use crate::pin::WrittenInput;
use crate::settings::SETTINGS;
use qris_core::order::ids::{DeviceId, ItemId};
use qris_core::order::money::Rupiah;
use qris_core::text::steers;
use qris_host::config::settings::{is_on, number};
use qris_host::config::{BusAddress, Checker};
use qris_host::speech::fill;
use qris_host::texts;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The longest name of a line, in bytes.
const NAME_MAX: usize = 64;
/// A button is believed after it stood still for this time, unless the configuration says otherwise.
const DEBOUNCE_MS: i64 = 50;

// What two lines cannot both have. An answer in the set-up's dialogue can cause it, so that says it in its language; the relay service
// says it in English.
texts! {
    name_taken: "line[{0}] sudah memakai nama ini", "line[{0}] has this name already";
    item_taken: "{1} sudah ada di line[{0}]", "line[{0}] has {1} already";
    pin_taken: "jalur {1} di {0} sudah dipakai {2}", "{0} line {1} is used by {2} already";
    sensor_differs: "juga sensor line[{0}]: tulis chip, offset, active_low, bias dan debounce_ms yang sama di keduanya", "is the sensor of line[{0}], too: write the same chip, offset, active_low, bias and debounce_ms in both";
    device_taken: "{0} sudah dipakai line[{1}]", "{0} is used by line[{1}] already";
    no_line: "belum ada: tulis paling sedikit satu [[line]]", "is missing: write at least one [[line]]";
    many_lines: "ada {0} baris seperti ini, dan paling banyak {1} yang bisa", "there are {0} lines, and at most {1} are possible";
    name: "harus 1 sampai {0} byte tanpa karakter kendali", "must be 1 to {0} bytes without control characters";
    no_item: "harus menyebut paling sedikit satu barang, atau {0}", "must name at least one item, or be {0}";
    alone: "{0} harus berdiri sendiri: artinya setiap barang yang tidak ada di jalur lain", "{0} must stand alone: it means every item that no other line has";
    amount: "jumlah uang harus 1 sampai {0} rupiah", "an amount must be 1 to {0} rupiah";
    other_device: "adalah {0}, tetapi di {1} tertulis {2}: tulis yang sama di keduanya", "is {0}, but {1} says {2}: write the same in both";
    no_line_for: "{0} tidak punya jalur untuk {1}{2}", "{0} has no line for {1}{2}";
    line_refuses: "jalur di {0} menolaknya: {1}", "the line in {0} refuses it: {1}";
    too_little: "paling sedikit {0}", "the line takes at least {0}";
    uneven: "jumlahnya bukan kelipatan {0}", "the amount is not a multiple of {0}";
    too_long: "relai aktif lebih dari {0} detik", "the pulses would take longer than {0} s";
}

/// The whole file. Keys that are missing or out of range are told together with all other faults.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenConfig {
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
    service_switch: Option<WrittenInput>,
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

/// The keys that every line has. All other keys belong to its outlet, which knows them all.
#[derive(Deserialize)]
struct WrittenLine {
    name: Option<String>,
    items: Option<Vec<String>>,
    min_amount: Option<i64>,
    block_on_uncertain: Option<bool>,
    misses: Option<i64>,
    clear_button: Option<WrittenInput>,
}

const OF_EVERY_LINE: [&str; 6] = ["name", "items", "min_amount", "block_on_uncertain", "misses", "clear_button"];

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

impl WrittenConfig {
    pub(super) fn check(self, checker: &mut Checker<'_>) -> Option<Config> {
        let device = checker.required(self.device.id, "device.id");
        let device = device.and_then(|id| checker.id(DeviceId::new(&id), "device.id"));
        let bus = self.dbus.bus.as_deref().unwrap_or("system").parse::<BusAddress>();
        let bus = checker.take(bus, "dbus.bus");
        let keys_file = self.receipts.keys_file.unwrap_or_else(|| "/etc/qrisd/keys.json".into());
        let keys = checker.keys(&keys_file, "receipts.keys_file");
        let ledger = self.ledger.path.unwrap_or_else(|| super::LEDGER.into());
        if self.line.is_empty() {
            checker.fault("line", texts().no_line);
        }
        for (name, count) in [("line", self.line.len()), ("button", self.button.len())] {
            if count > LINES_MAX {
                checker.fault(name, fill(texts().many_lines, &[&count, &LINES_MAX]));
            }
        }
        let lines: Vec<_> = self.line.into_iter().enumerate().map(|(i, line)| line.check(checker, i)).collect();
        let buttons: Vec<_> = self.button.into_iter().enumerate().map(|(i, b)| b.check(checker, &format!("button[{i}]"))).collect();
        let service_switch = check_input(self.service_switch, checker, "service_switch");
        check_together(&lines, &buttons, service_switch.as_ref(), checker);
        Some(Config {
            device: device?,
            bus: bus?,
            keys: keys?,
            ledger,
            lines: lines.into_iter().collect::<Option<_>>()?,
            buttons: buttons.into_iter().collect::<Option<_>>()?,
            service_switch: service_switch?,
        })
    }
}

impl WrittenLine {
    fn check(self, checker: &mut Checker<'_>, index: usize) -> Option<LineSettings> {
        let rest = checker.other_keys("line", index, &OF_EVERY_LINE);
        let key = |name: &str| format!("line[{index}].{name}");
        let name = checker.required(self.name, &key("name"));
        if let Some(name) = &name
            && (name.is_empty() || name.len() > NAME_MAX || name.contains(steers))
        {
            checker.fault(&key("name"), fill(texts().name, &[&NAME_MAX]));
        }
        let items = checker.required(self.items, &key("items"));
        let items = items.and_then(|items| check_items(&items, checker, &key("items")));
        let min_amount = amount(checker, self.min_amount.unwrap_or(1), &key("min_amount"));
        let outlet = outlet::read(rest, checker);
        let misses = number(SETTINGS, "line.misses");
        let misses = checker.integer(self.misses, misses.usual, misses.range(), &key("misses"));
        let clear_button = check_input(self.clear_button, checker, &key("clear_button"));
        Some(LineSettings {
            name: name?,
            items: items?,
            min_amount: min_amount?,
            outlet: outlet?,
            block_on_uncertain: self.block_on_uncertain.unwrap_or(is_on(SETTINGS, "line.block_on_uncertain")),
            misses: u32::try_from(misses).expect("1 to 9"),
            clear_button: clear_button?,
        })
    }
}

impl WrittenButton {
    fn check(self, checker: &mut Checker<'_>, at: &str) -> Option<Button> {
        let item = checker.required(self.item, &format!("{at}.item"));
        let item = item.and_then(|item| checker.id(ItemId::new(&item), &format!("{at}.item")));
        let Self { chip, offset, active_low, bias, debounce_ms, item: _ } = self;
        let input = WrittenInput { chip, offset, active_low, bias, debounce_ms };
        let pin = input.check(checker, at, DEBOUNCE_MS);
        Some(Button { item: item?, pin: pin? })
    }
}

/// Outer: is it well? Inner: is there one?
fn check_input(written: Option<WrittenInput>, checker: &mut Checker<'_>, at: &str) -> Option<Option<Pin>> {
    match written {
        None => Some(None),
        Some(input) => input.check(checker, at, DEBOUNCE_MS).map(Some),
    }
}

fn amount(checker: &mut Checker<'_>, value: i64, key: &str) -> Option<Rupiah> {
    let read = Rupiah::new(u64::try_from(value).unwrap_or(0)).ok();
    if read.is_none() {
        checker.fault(key, fill(texts().amount, &[&Rupiah::MAX]));
    }
    read
}

fn check_items(items: &[String], checker: &mut Checker<'_>, key: &str) -> Option<Items> {
    if items.is_empty() {
        checker.fault(key, fill(texts().no_item, &[&"[\"*\"]"]));
        return None;
    }
    if items.iter().any(|item| item == "*") {
        if items.len() > 1 {
            checker.fault(key, fill(texts().alone, &[&"\"*\""]));
        }
        return Some(Items::Any);
    }
    let ids: Vec<_> = items.iter().map(|item| checker.id(ItemId::new(item), key)).collect();
    ids.into_iter().collect::<Option<_>>().map(Items::These)
}

/// Finds what no line can see by itself: names, items and pins that are used twice.
fn check_together(
    lines: &[Option<LineSettings>],
    buttons: &[Option<Button>],
    service_switch: Option<&Option<Pin>>,
    checker: &mut Checker<'_>,
) {
    let mut names = BTreeMap::new();
    let mut items = BTreeMap::new();
    let mut pins = BTreeMap::new();
    let mut devices = BTreeMap::new();
    let mut sensors: BTreeMap<&Chip, (usize, &Pin)> = BTreeMap::new();
    let mut pin = |pin: &Pin, key: String, checker: &mut Checker<'_>| {
        if let Chip::Gpio { name, offset } = &pin.chip
            && let Some(other) = pins.insert(pin.chip.clone(), key.clone())
        {
            checker.fault(&key, fill(texts().pin_taken, &[name, offset, &other]));
        }
    };
    for (i, line) in lines.iter().enumerate() {
        let Some(line) = line else { continue };
        if let Some(other) = names.insert(line.name.clone(), i) {
            checker.fault(&format!("line[{i}].name"), fill(texts().name_taken, &[&other]));
        }
        let named = match &line.items {
            Items::Any => vec!["*"],
            Items::These(items) => items.iter().map(ItemId::as_str).collect(),
        };
        for item in named {
            if let Some(other) = items.insert(item.to_owned(), i) {
                checker.fault(&format!("line[{i}].items"), fill(texts().item_taken, &[&other, &format!("{item:?}")]));
            }
        }
        match (line.outlet.line(), line.outlet.device()) {
            (Some(outlet), _) => pin(&outlet.pin, format!("line[{i}].offset"), checker),
            (None, Some(path)) => {
                let part = line.outlet.part();
                if let Some(other) = devices.insert((path, part), i) {
                    let key = format!("line[{i}].{}", if part.is_some() { "slot" } else { line.outlet.key() });
                    let part = part.map(|part| format!(" {part}")).unwrap_or_default();
                    checker.fault(&key, fill(texts().device_taken, &[&format_args!("{}{part}", path.display()), &other]));
                }
            }
            (None, None) => {}
        }
        if let Some(button) = &line.clear_button {
            pin(button, format!("line[{i}].clear_button"), checker);
        }
        match line.sensor().map(|sensor| (sensor, sensors.get(&sensor.chip))) {
            // Lines that drop into one chute have one sensor.
            Some((sensor, Some((_, first)))) if sensor == *first => {}
            Some((_, Some((first, _)))) => checker.fault(&format!("line[{i}].sensor"), fill(texts().sensor_differs, &[first])),
            Some((sensor, None)) => {
                pin(sensor, format!("line[{i}].sensor"), checker);
                sensors.insert(&sensor.chip, (i, sensor));
            }
            None => {}
        }
    }
    for (i, button) in buttons.iter().enumerate() {
        if let Some(button) = button {
            pin(&button.pin, format!("button[{i}].offset"), checker);
        }
    }
    if let Some(switch) = service_switch.and_then(Option::as_ref) {
        pin(switch, "service_switch".into(), checker);
    }
}
