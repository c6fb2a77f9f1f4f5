//! Who can fire a relay without the relay service? Anybody who may open its chip: the kernel lets even a reader drive a
//! line. `setup` gives the named chips to the service alone. `doctor` tells who else can open them.

use super::site::{RELAY_USER, Site};
use qris_host::finding::Finding;
use qris_relay::config::Config as RelayConfig;
use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The rule of udev. Its name makes udev read it after Raspberry Pi OS' own (`99-com.rules`) and after those that name a
/// chip.
pub(super) const RULES: &str = "/etc/udev/rules.d/99-qrisd-chips.rules";
/// The registers of a Raspberry Pi's pins, which go past every chip: `/dev/gpiomem`, `/dev/gpiomem0` …
const REGISTERS: &str = "gpiomem";
/// The old way to the pins of every chip.
const EXPORT: &str = "/sys/class/gpio/export";

/// Every chip that a `relay.toml` names.
pub(super) fn named(relay: &toml::Table) -> BTreeSet<PathBuf> {
    fn collect(value: &toml::Value, chips: &mut BTreeSet<PathBuf>) {
        match value {
            toml::Value::Table(table) => {
                chips.extend(table.get("chip").and_then(toml::Value::as_str).filter(|chip| chip.starts_with('/')).map(PathBuf::from));
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

/// The rule that gives chips to the relay service alone, and the chips whose names no rule can match.
pub(super) fn rules(chips: &BTreeSet<PathBuf>) -> (String, Vec<&Path>) {
    let mut rules = format!("# {RULES}: made by `qrisctl setup`. The chips of relay.toml are the relay service's alone.\n");
    let mut unmatched = Vec::new();
    for chip in chips {
        let plain = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._+:-".contains(&byte));
        let Some(name) = chip.strip_prefix("/dev").ok().and_then(Path::to_str).filter(plain) else {
            unmatched.push(chip.as_path());
            continue;
        };
        let is_kernels = name.strip_prefix("gpiochip").is_some_and(|number| number.parse::<u32>().is_ok());
        let chip = if is_kernels { format!("KERNEL==\"{name}\"") } else { format!("KERNEL==\"gpiochip*\", SYMLINK==\"{name}\"") };
        // `:=` means that no other rule changes it.
        rules += &format!("SUBSYSTEM==\"gpio\", {chip}, OWNER:=\"root\", GROUP:=\"{RELAY_USER}\", MODE:=\"0660\"\n");
    }
    rules += "# What goes past the chips of a Raspberry Pi is root's.\n";
    rules += &format!("SUBSYSTEM==\"*{REGISTERS}*\", OWNER:=\"root\", GROUP:=\"root\", MODE:=\"0600\"\n");
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
    run(&["trigger", "--settle", "--action=change", "--subsystem-match=gpio", "--subsystem-match=*gpiomem*"])
}

/// Tells who can open the devices that lead to the lines of this machine.
pub(super) fn findings(site: &Site, relay: &RelayConfig) -> Vec<Finding> {
    let mut doors: Vec<PathBuf> = relay.devices().into_iter().map(Path::to_owned).collect();
    let named = doors.len();
    // The ways past the chips matter only if a line is on a chip.
    if relay.pins().iter().any(|(_, pin)| pin.chip.device().is_some()) {
        let devices = fs::read_dir(site.at("/dev")).into_iter().flatten().flatten();
        let mut beside: Vec<_> = devices.filter(|entry| entry.file_name().to_string_lossy().starts_with(REGISTERS)).collect();
        beside.sort_by_key(fs::DirEntry::file_name);
        doors.extend(beside.iter().map(|entry| Path::new("/dev").join(entry.file_name())));
        doors.push(EXPORT.into());
    }
    let of_door = |(at, path): (usize, &PathBuf)| {
        // Another check tells that a device is not there.
        let metadata = fs::metadata(site.at(path)).ok()?;
        judged(site, path, &metadata, at < named)
    };
    doors.iter().enumerate().filter_map(of_door).collect()
}

fn judged(site: &Site, path: &Path, metadata: &Metadata, is_named: bool) -> Option<Finding> {
    const CHECK: &str = "gpio";
    let shown = path.display();
    let strangers = strangers(site, metadata);
    if !strangers.is_empty() {
        let said = format!("{shown} can be opened by {}: they can fire a relay without a payment", strangers.join(", "));
        return Some(Finding::bad(CHECK, said, "sudo qrisctl setup; or remove them from that group: gpasswd -d USER GROUP"));
    }
    let relay = site.user(RELAY_USER).filter(|_| is_named)?;
    // The unit may give the service a group, such as Debian's `gpio`.
    if site.may(relay, metadata, 6) {
        return Some(Finding::ok(CHECK, format!("{shown} is opened by root and {RELAY_USER} alone")));
    }
    Some(Finding::bad(CHECK, format!("{shown} cannot be opened by {RELAY_USER}"), "sudo qrisctl setup; does this system have udev?"))
}

/// Everybody who may open it, except root and the relay service.
fn strangers(site: &Site, metadata: &Metadata) -> Vec<String> {
    if metadata.mode() & 0o006 != 0 {
        return vec!["everybody".into()];
    }
    let is_stranger = |name: &str| name != "root" && name != RELAY_USER;
    let mut found = Vec::new();
    let owner = site.user_name(metadata.uid());
    if metadata.mode() & 0o600 != 0 && is_stranger(&owner) {
        found.push(format!("{owner} (its owner)"));
    }
    if metadata.mode() & 0o060 != 0 {
        let members = site.members(metadata.gid()).into_iter().filter(|name| is_stranger(name));
        found.extend(members.map(|name| format!("{name} (group {})", site.group_name(metadata.gid()))));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_chip_that_is_named_gets_a_rule_and_nothing_else_comes_into_it() {
        let relay = "[ledger]\npath = \"/x\"\n[[line]]\nchip = \"/dev/gpiochip0\"\nsensor = { chip = \"/dev/gpiochip10\" }\n[[line]]\n\
            chip = \"sim:/x\"\n[[button]]\nchip = \"/dev/chips/header\"\n[[button]]\nchip = \"/dev/a\\\"b\"\n[[button]]\nchip = \"/run/chip\"\n";
        let chips = named(&relay.parse().expect("TOML"));
        let (rules, unmatched) = rules(&chips);
        assert_eq!(unmatched, [Path::new("/dev/a\"b"), Path::new("/run/chip")]);
        let lines: Vec<_> = rules.lines().filter(|line| line.starts_with("SUBSYSTEM==\"gpio\"")).collect();
        let matched = |line: &str| line.split_once(", ").and_then(|(_, rest)| rest.split_once(", OWNER")).map(|(rule, _)| rule.to_owned());
        assert_eq!(
            lines.into_iter().filter_map(matched).collect::<Vec<_>>(),
            ["KERNEL==\"gpiochip*\", SYMLINK==\"chips/header\"", "KERNEL==\"gpiochip0\"", "KERNEL==\"gpiochip10\""]
        );
    }
}
