//! `doctor --field-report`: what helps the makers of these programs after a try on a real board. A person reads it, and sends it. It has
//! the facts that stand here, and no others: no secret, contact, price, name or order.

use crate::hardware;
use crate::site::Site;
use qris_host::Failure;
use qris_host::events::TABLE;
use qris_host::finding::Finding;
use qris_relay::config::{Config as RelayConfig, LineSettings};
use qris_relay::pin::Chip;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, read_link, read_to_string};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

const PAGE: &str = "/usr/share/doc/qrisd/using/hardware.md";

/// Writes the report. A file that is there already may be another one, so it is left alone.
pub(super) fn write(file: &Path, site: &Site, relay: Option<&RelayConfig>, findings: &[Finding]) -> Result<(), Failure> {
    let text = text(site, relay, findings);
    let failed = |why: std::io::Error| Failure::usage(format!("--field-report: {}: {why}; name a new file", file.display()));
    File::create_new(file).and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed)
}

fn text(site: &Site, relay: Option<&RelayConfig>, findings: &[Finding]) -> String {
    let mut lines = vec![
        "Field report of qrisd. Read it before you send it: the doctor's lines name your servers and your machine.".to_owned(),
        format!("It has no secret and no order. \"Tell us what you saw\" in {PAGE} says what to add, and where to send it."),
        String::new(),
        format!("release    {}", env!("CARGO_PKG_VERSION")),
        format!("board      {}", board(site)),
        format!("system     {}", system(site)),
        String::new(),
    ];
    lines.extend(hardware::words(site));
    lines.push("Drivers:".into());
    lines.extend(drivers(site));
    lines.push("Lines of relay.toml:".into());
    lines.extend(relay.iter().flat_map(|relay| &relay.lines).map(line));
    lines.push("The first sale in the journal:".into());
    lines.extend(if site.runs() { first_sale() } else { vec!["  this system does not run".into()] });
    lines.push("The doctor:".into());
    lines.extend(findings.iter().flat_map(|finding| finding.words(false)));
    lines.join("\n") + "\n"
}

/// The words of a file, without the zero at the end of those of a device tree.
fn words(site: &Site, path: &str) -> Option<String> {
    let text = read_to_string(site.at(path)).ok()?;
    Some(text.trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned()).filter(|text| !text.is_empty())
}

/// A board has a device tree, and a PC has tables of its maker.
fn board(site: &Site) -> String {
    let maker = || ["sys_vendor", "product_name"].map(|name| words(site, &format!("/sys/class/dmi/id/{name}"))).into_iter().flatten();
    let pc = || Some(maker().collect::<Vec<_>>().join(" ")).filter(|name| !name.is_empty());
    words(site, "/proc/device-tree/model").or_else(pc).unwrap_or_else(|| "unknown".into())
}

fn system(site: &Site) -> String {
    let os = words(site, "/etc/os-release").unwrap_or_default();
    let os = os.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).map(|name| name.trim_matches('"').to_owned());
    let kernel = words(site, "/proc/sys/kernel/osrelease").map(|kernel| format!("Linux {kernel}"));
    let memory = words(site, "/proc/meminfo").unwrap_or_default();
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse::<u64>().ok());
    let parts = [os, kernel, Some(std::env::consts::ARCH.into()), kib.map(|kib| format!("{} MiB", kib / 1024))];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn drivers(site: &Site) -> Vec<String> {
    let devices = ["/sys/class/graphics", "/sys/class/drm", "/sys/bus/gpio/devices"].into_iter().flat_map(|class| {
        let entries = std::fs::read_dir(site.at(class)).into_iter().flatten().flatten();
        // A connector is a part of its card.
        entries.filter(|entry| !entry.file_name().to_string_lossy().contains('-'))
    });
    let driver = |path: &Path| {
        let links = ["device/driver", "driver", "../driver"].map(|link| read_link(path.join(link)));
        links.into_iter().flatten().find_map(|link| Some(link.file_name()?.to_string_lossy().into_owned()))
    };
    let mut found: Vec<_> =
        devices.filter_map(|entry| Some(format!("  {:<16} {}", entry.file_name().to_string_lossy(), driver(&entry.path())?))).collect();
    found.sort();
    found
}

fn line(line: &LineSettings) -> String {
    let Some(outlet) = line.outlet.line() else { return format!("  an outlet of the kind {}", line.outlet.key()) };
    let place = match &outlet.pin.chip {
        Chip::Gpio { name, offset } => format!("{name} {offset}"),
        Chip::Sim(_) => "a file that stands for a line".into(),
    };
    let level = if outlet.pin.active_low { "low" } else { "high" };
    format!("  {place}, active {level}, {} a sensor", if outlet.sensor.is_some() { "with" } else { "without" })
}

/// A line of `journalctl --output=json`, as far as it is needed.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "__MONOTONIC_TIMESTAMP")]
    us: String,
    #[serde(rename = "_BOOT_ID")]
    boot: String,
    #[serde(rename = "MESSAGE_ID")]
    kind: String,
    #[serde(rename = "REQUEST_ID")]
    request: String,
    #[serde(rename = "STATE")]
    state: Option<String>,
}

/// The steps of a sale, in their order. Each is a kind of event, with the state that it names, and ends a time of the report.
const STEPS: [(&str, Option<&str>, &str); 5] = [
    ("OrderMoved", Some("requested"), ""),
    ("OrderMoved", Some("awaiting_payment"), "from the request to the QR"),
    ("OrderMoved", Some("paid"), "from the QR to the payment, as the machine heard of it"),
    ("PulseBegins", None, "from the payment to the pulse"),
    ("PulseEnds", Some("dispensed"), "from the beginning of the pulse to its end"),
];

/// The times of the first sale that the journal has from its beginning to its end.
fn first_sale() -> Vec<String> {
    let told = match first_in_journal() {
        Ok(Some(times)) => {
            let spans = times.windows(2).zip(&STEPS[1..]);
            return spans.map(|(two, (_, _, what))| format!("  {:>8.3} s {what}", two[1].saturating_sub(two[0]) as f64 / 1e6)).collect();
        }
        Ok(None) => "none".to_owned(),
        Err(why) => format!("journalctl: {why}"),
    };
    vec![format!("  {told}")]
}

fn first_in_journal() -> std::io::Result<Option<[u64; STEPS.len()]>> {
    let id = |name: &str| TABLE.iter().find(|kind| kind.name == name).map_or("", |kind| kind.message_id);
    let kinds: BTreeSet<_> = STEPS.iter().map(|(name, ..)| format!("MESSAGE_ID={}", id(name))).collect();
    let mut journal = Command::new("journalctl")
        .args(["--no-pager", "--quiet", "--output=json"])
        .args(kinds)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let entries = journal.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()).map_while(Result::ok);
    let found = whole(entries.filter_map(|line| serde_json::from_str(&line).ok()), id);
    // There may be years of it.
    drop(journal.kill());
    journal.wait()?;
    Ok(found)
}

/// The times of the first order of which every step is told within one boot: another boot counts from another beginning.
fn whole<'a>(entries: impl Iterator<Item = Entry>, id: impl Fn(&str) -> &'a str) -> Option<[u64; STEPS.len()]> {
    let mut boot = String::new();
    let mut orders: BTreeMap<String, [Option<u64>; STEPS.len()]> = BTreeMap::new();
    for entry in entries {
        if entry.boot != boot {
            orders.clear();
            boot.clone_from(&entry.boot);
        }
        let is_it = |(name, state, _): &(&str, Option<&str>, &str)| {
            id(name) == entry.kind && state.is_none_or(|state| entry.state.as_deref() == Some(state))
        };
        let Some(step) = STEPS.iter().position(is_it) else { continue };
        let times = orders.entry(entry.request).or_default();
        times[step] = times[step].or(entry.us.parse().ok());
        if let [Some(a), Some(b), Some(c), Some(d), Some(e)] = *times {
            return Some([a, b, c, d, e]);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::super::site::put;
    use super::*;

    #[test]
    fn a_sale_is_timed_within_one_boot_and_from_its_beginning() {
        let entry = |us: u64, boot: &str, request: &str, kind: &str, state: &str| Entry {
            us: us.to_string(),
            boot: boot.into(),
            kind: kind.into(),
            request: request.into(),
            state: (!state.is_empty()).then(|| state.into()),
        };
        let sale = |boot: &'static str, request: &'static str, from: u64| {
            [
                ("OrderMoved", "requested", 0),
                ("OrderMoved", "awaiting_payment", 600_000),
                ("OrderMoved", "paid", 8_600_000),
                ("PulseBegins", "", 8_650_000),
                ("PulseEnds", "dispensed", 9_150_000),
            ]
            .map(|(kind, state, at)| entry(from + at, boot, request, kind, state))
        };
        let id = |name: &str| -> &'static str { TABLE.iter().find(|kind| kind.name == name).map_or("", |kind| kind.name) };
        let times = [7_000_000, 7_600_000, 15_600_000, 15_650_000, 16_150_000];
        // The journal begins in the middle of the first one; the power went in the second; the third ended unpaid.
        let entries = sale("a", "r1", 1)
            .into_iter()
            .skip(2)
            .chain(sale("a", "r2", 2).into_iter().take(4))
            .chain(sale("b", "r2", 3).into_iter().skip(4))
            .chain(sale("b", "r3", 4).into_iter().take(2))
            .chain(sale("b", "r4", 7_000_000))
            .chain(sale("b", "r5", 9));
        assert_eq!(whole(entries, id), Some(times));
        assert_eq!(whole(sale("a", "r1", 1).into_iter().take(4), id), None);
    }

    #[test]
    fn a_board_a_panel_and_their_drivers_are_named() {
        let root = tempfile::tempdir().expect("a directory");
        for (path, text) in [
            ("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0"),
            ("etc/os-release", "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
            ("proc/sys/kernel/osrelease", "6.6.31+rpt-rpi-v8\n"),
            ("proc/meminfo", "MemTotal:        1886208 kB\n"),
            ("sys/class/drm/card1/dev", "226:1"),
            ("sys/class/drm/card1-HDMI-A-1/status", "connected\n"),
        ] {
            put(root.path(), path, text);
        }
        let device = root.path().join("sys/class/drm/card1/device");
        std::fs::create_dir(&device).expect("made");
        std::os::unix::fs::symlink("../../../bus/platform/drivers/vc4-drm", device.join("driver")).expect("a link");
        let told = text(&Site::below(root.path()).expect("there"), None, &[Finding::ok("clock", "0.1 s")]);
        for words in [
            "\nboard      Raspberry Pi 4 Model B Rev 1.4\n",
            "\nsystem     Debian GNU/Linux 12 (bookworm), Linux 6.6.31+rpt-rpi-v8, ",
            ", 1842 MiB\n",
            "HDMI-A-1",
            "\n  card1            vc4-drm\n",
            "\n  this system does not run\n",
            "\nOK    clock         0.1 s\n",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
    }
}
