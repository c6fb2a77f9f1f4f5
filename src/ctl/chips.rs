//! Who can fire a relay without the relay service, or draw another QR over ours? Anybody who may open the chip, or the panel: the kernel
//! lets even a reader drive a line. `setup` gives the named chips to the relay service alone, and the panels to `qrisd`. `doctor` tells
//! who else can open them.

use super::found::texts;
use super::hardware;
use super::site::{DEVICE_USER, RELAY_USER, Site};
use qris_device::config::Config as DeviceConfig;
use qris_device::screen::SurfaceSettings;
use qris_host::finding::Finding;
use qris_host::speech::fill;
use qris_relay::chip::{self, ChipName, Present};
use qris_relay::config::Config as RelayConfig;
use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The rule of udev. Its name makes udev read it after Raspberry Pi OS' own (`99-com.rules`) and after those that name a
/// chip.
pub(super) const RULES: &str = "/etc/udev/rules.d/99-qrisd-devices.rules";
/// The registers of a Raspberry Pi's pins, which go past every chip: `/dev/gpiomem`, `/dev/gpiomem0` …
const REGISTERS: &str = "gpiomem";
/// The old way to the pins of every chip.
const EXPORT: &str = "/sys/class/gpio/export";
/// Tells udev the label of a chip: the kernel lists it in no file that a rule could read.
pub(super) const LABEL_COMMAND: &str = "chip-label";

pub(super) fn named(relay: &toml::Table) -> BTreeSet<ChipName> {
    fn collect(value: &toml::Value, chips: &mut BTreeSet<ChipName>) {
        match value {
            toml::Value::Table(table) => {
                let chip = table.get("chip").and_then(toml::Value::as_str).filter(|chip| !chip.starts_with("sim:"));
                chips.extend(chip.and_then(|chip| ChipName::new(chip).ok()));
                table.values().for_each(|value| collect(value, chips));
            }
            toml::Value::Array(values) => values.iter().for_each(|value| collect(value, chips)),
            _ => {}
        }
    }
    let mut chips = BTreeSet::new();
    relay.values().for_each(|value| collect(value, &mut chips));
    chips
}

/// The name that stays of a chip that a person named by its device. Another name is left as it is.
pub(super) fn lasting(site: &Site, chip: &str) -> Result<String, String> {
    let Some(device) = device(site, chip)?.filter(|_| chip.starts_with("/dev/")) else { return Ok(chip.into()) };
    let present = chip::present(site.root());
    let is_it = |other: &&Present| fs::canonicalize(site.at(&other.device)).is_ok_and(|other| other == device);
    let asked = present
        .iter()
        .find(is_it)
        .ok_or_else(|| texts().no_chip.to_owned())
        .and_then(|found| found.label.clone().map(|label| (found, label)));
    let (found, label) = asked.map_err(|why| fill(texts().chip_unnamed, &[&chip, &why]))?;
    // Where several share a label, their hardware tells them apart.
    let alone = ChipName::new(&label).is_ok_and(|name| name.among(&present).is_ok());
    Ok(found.hardware.clone().filter(|_| !alone).unwrap_or(label))
}

/// The device of a chip that a person named, as seen from here; none if the chip is not there, or if it is a file that stands for one.
pub(super) fn device(site: &Site, chip: &str) -> Result<Option<PathBuf>, String> {
    if chip.starts_with("/dev/") {
        return fs::canonicalize(site.at(chip)).map(Some).map_err(|why| fill(texts().chip_unnamed, &[&chip, &why]));
    }
    Ok(ChipName::new(chip).ok().and_then(|name| hardware::device(site, &name)))
}

/// The rules that give chips to the relay service alone, and panels to `qrisd`. Also the chips whose names no rule can match.
pub(super) fn rules(chips: &BTreeSet<ChipName>, has_panel: bool) -> (String, Vec<&ChipName>) {
    let mut rules = format!("# {RULES}: made by `qrisctl setup`.\n");
    let mut unmatched = Vec::new();
    // `:=` means that no other rule changes it.
    let belongs = |owner: &str, mode: &str| format!("OWNER:=\"root\", GROUP:=\"{owner}\", MODE:=\"{mode}\"\n");
    if !chips.is_empty() {
        rules += "# The chips of relay.toml are the relay service's alone.\n";
        for name in chips {
            // Whatever else stands in a name would mean something in a rule.
            if !name.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._+:,@-".contains(&byte)) {
                unmatched.push(name);
                continue;
            }
            let chip = if name.is_of_hardware() {
                format!("DEVPATH==\"{name}/gpiochip*\"")
            } else {
                format!("PROGRAM==\"/usr/bin/qrisctl {LABEL_COMMAND} $devnode\", RESULT==\"{name}\"")
            };
            rules += &format!("SUBSYSTEM==\"gpio\", KERNEL==\"gpiochip*\", {chip}, {}", belongs(RELAY_USER, "0660"));
        }
        rules += "# What goes past the chips of a Raspberry Pi is root's.\n";
        rules += &format!("SUBSYSTEM==\"*{REGISTERS}*\", {}", belongs("root", "0600"));
    }
    if has_panel {
        rules += "# Whoever may draw on a panel could show a QR of his own.\n";
        for panels in ["SUBSYSTEM==\"graphics\", KERNEL==\"fb[0-9]*\"", "SUBSYSTEM==\"drm\", KERNEL==\"card[0-9]*\""] {
            rules += &format!("{panels}, {}", belongs(DEVICE_USER, "0660"));
        }
    }
    (rules, unmatched)
}

/// Makes udev apply the present rules, also to devices that are there already.
pub(super) fn apply() -> Result<(), String> {
    let run = |arguments: &[&str]| {
        let told = Command::new("udevadm").args(arguments).stdin(Stdio::null()).output().map_err(|why| format!("udevadm: {why}"))?;
        let why = || format!("udevadm {}: {}", arguments[0], String::from_utf8_lossy(&told.stderr).trim());
        told.status.success().then_some(()).ok_or_else(why)
    };
    run(&["control", "--reload"])?;
    run(&[
        "trigger",
        "--settle",
        "--action=change",
        "--subsystem-match=gpio",
        "--subsystem-match=*gpiomem*",
        "--subsystem-match=graphics",
        "--subsystem-match=drm",
    ])
}

pub(super) fn findings(site: &Site, device: &DeviceConfig, relay: &RelayConfig) -> Vec<Finding> {
    let mut doors: Vec<(PathBuf, Option<&str>)> = relay.devices().into_iter().map(|path| (path.to_owned(), Some(RELAY_USER))).collect();
    let names = relay.chips();
    // Every chip of a name counts, also where two have it. One that cannot be asked may be one of them.
    let is_named = |chip: &Present| {
        let is_unknown = chip.label.is_err() && names.iter().any(|name| !name.is_of_hardware());
        is_unknown || names.iter().any(|name| name.is_of(chip))
    };
    doors.extend(chip::present(site.root()).into_iter().filter(is_named).map(|chip| (chip.device, Some(RELAY_USER))));
    let beside = |directory: &str, prefix: &str| {
        let devices = fs::read_dir(site.at(directory)).into_iter().flatten().flatten();
        let mut names: Vec<_> = devices.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| name.starts_with(prefix));
        names.sort();
        names.into_iter().map(|name| Path::new(directory).join(name)).collect::<Vec<_>>()
    };
    // The ways past the chips matter only if a line is on a chip.
    if !names.is_empty() {
        doors.extend(beside("/dev", REGISTERS).into_iter().map(|path| (path, None)));
        doors.push((EXPORT.into(), None));
    }
    // Another check tells that a device is not there.
    let there = |path: &Path| fs::metadata(site.at(path)).ok();
    let mut findings: Vec<_> = doors.iter().filter_map(|(path, user)| judged(site, path, &there(path)?, *user)).collect();
    if matches!(device.machine.appearance.surface, SurfaceSettings::Device(_) | SurfaceSettings::Any) {
        let panels = beside("/dev", "fb").into_iter().chain(beside("/dev/dri", "card"));
        let open = panels.filter_map(|path| {
            let strangers = strangers(site, &there(&path)?, DEVICE_USER);
            let said = fill(texts().panel_open, &[&path.display(), &strangers.join(", ")]);
            (!strangers.is_empty()).then(|| Finding::bad("screen", said, texts().close))
        });
        findings.extend(open);
    }
    findings
}

/// `user`: the one whose device it is.
fn judged(site: &Site, path: &Path, metadata: &Metadata, user: Option<&str>) -> Option<Finding> {
    const CHECK: &str = "gpio";
    let shown = path.display();
    let strangers = strangers(site, metadata, RELAY_USER);
    if !strangers.is_empty() {
        let said = fill(texts().chip_open, &[&shown, &strangers.join(", ")]);
        return Some(Finding::bad(CHECK, said, texts().close));
    }
    let relay = site.user(user?)?;
    // The unit may give the service a group, such as Debian's `gpio`.
    if site.may(relay, metadata, 6) {
        return Some(Finding::ok(CHECK, fill(texts().chip_closed, &[&shown, &RELAY_USER])));
    }
    Some(Finding::bad(CHECK, fill(texts().chip_shut, &[&shown, &RELAY_USER]), texts().chip_shut_do))
}

/// Everybody who may open it, except root and the user whose device it is.
fn strangers(site: &Site, metadata: &Metadata, user: &str) -> Vec<String> {
    if metadata.mode() & 0o006 != 0 {
        return vec![texts().everybody.into()];
    }
    let is_stranger = |name: &str| name != "root" && name != user;
    let mut found = Vec::new();
    let owner = site.user_name(metadata.uid());
    if metadata.mode() & 0o600 != 0 && is_stranger(&owner) {
        found.push(fill(texts().its_owner, &[&owner]));
    }
    if metadata.mode() & 0o060 != 0 {
        let members = site.members(metadata.gid()).into_iter().filter(|name| is_stranger(name));
        found.extend(members.map(|name| fill(texts().its_group, &[&name, &site.group_name(metadata.gid())])));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_chip_that_is_named_gets_a_rule_and_nothing_else_comes_into_it() {
        let relay = "[ledger]\npath = \"/x\"\n[[line]]\nchip = \"pl061\"\nsensor = { chip = \"/devices/platform/a.gpio\" }\n[[line]]\n\
            chip = \"sim:/x\"\n[[button]]\nchip = \"INT34C5:00\"\n[[button]]\nchip = \"a\\\"b\"\n[[button]]\nchip = \"gpio*\"\n";
        let chips = named(&relay.parse().expect("TOML"));
        let (rules, unmatched) = rules(&chips, false);
        assert_eq!(unmatched.into_iter().map(ChipName::as_str).collect::<Vec<_>>(), ["a\"b", "gpio*"]);
        let lines = rules.lines().filter_map(|line| line.strip_prefix("SUBSYSTEM==\"gpio\", KERNEL==\"gpiochip*\", "));
        let asks = |label| format!("PROGRAM==\"/usr/bin/qrisctl chip-label $devnode\", RESULT==\"{label}\"");
        let matched: Vec<_> = lines.filter_map(|line| line.split_once(", OWNER").map(|(rule, _)| rule.to_owned())).collect();
        assert_eq!(matched, ["DEVPATH==\"/devices/platform/a.gpio/gpiochip*\"".to_owned(), asks("INT34C5:00"), asks("pl061")]);
        assert!(!rules.contains("graphics"), "{rules}");
    }
}
