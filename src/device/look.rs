//! What an operator may read of the computer: lines of the journal, and its condition.

use qris_core::order::time::Wall;
use qris_core::wire::command::{Code, LogUnit, Logs, Problem};
use qris_core::wire::telemetry::{TELEMETRY_MAX, Telemetry};
use serde_json::{Value, json};
use std::fs::read_to_string;
use std::path::Path;
use std::process::Command;

/// `timeout` ends the journal's reader after so many seconds: a large journal on a slow card.
const READ_WITHIN_S: &str = "20";
/// The most bytes of lines that are answered. The newest are kept.
const LINES_BYTES_MAX: usize = 256 * 1024;

/// The newest lines of the journal that are wanted. It waits for the disk.
///
/// # Errors
/// The journal cannot be read.
pub fn logs(wanted: &Logs) -> Result<Value, Problem> {
    let failed = |why: String| Problem::new(Code::Refused, format!("the journal: {why}"));
    let mut reader = Command::new("timeout");
    reader.arg(READ_WITHIN_S).args(["journalctl", "--no-pager", "--quiet", "--output=short-iso"]);
    reader.arg(format!("--lines={}", wanted.lines));
    match wanted.unit {
        LogUnit::Both => reader.args(["--unit=qrisd.service", "--unit=qris-relayd.service"]),
        LogUnit::Qrisd => reader.arg("--unit=qrisd.service"),
        LogUnit::QrisRelayd => reader.arg("--unit=qris-relayd.service"),
        LogUnit::Kernel => reader.arg("--dmesg"),
    };
    if let Some(since) = wanted.since.as_deref().and_then(|since| Wall::from_rfc3339(since).ok()) {
        reader.arg(format!("--since=@{}", since.0.div_euclid(1000)));
    }
    if let Some(priority) = wanted.priority {
        reader.arg(format!("--priority={priority}"));
    }
    if let Some(text) = &wanted.text {
        reader.args([format!("--grep={}", literally(text)), "--case-sensitive=true".into()]);
    }
    let output = reader.output().map_err(|why| failed(why.to_string()))?;
    // Status 1 without a word: no line has this text.
    let is_read = output.status.success() || output.status.code() == Some(1) && output.stderr.is_empty();
    if !is_read {
        return Err(failed(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut room = LINES_BYTES_MAX;
    let fits = |line: &&str| {
        let is_in = room >= line.len();
        room = if is_in { room - line.len() } else { 0 };
        is_in
    };
    let mut lines: Vec<&str> = text.lines().rev().take_while(fits).collect();
    lines.reverse();
    Ok(json!({ "lines": lines }))
}

/// A pattern that matches this text and nothing else.
fn literally(text: &str) -> String {
    text.chars().flat_map(|c| (c.is_ascii_punctuation()).then_some('\\').into_iter().chain([c])).collect()
}

/// The condition of the computer, as far as it tells. `store` is the path of the database. It waits for the disk.
#[must_use]
pub fn vitals(store: &Path) -> Value {
    let text = |path: &str| read_to_string(path).ok().map(|text| text.trim().to_owned());
    let first = |path: &str| text(path).and_then(|text| text.split_whitespace().next().map(str::to_owned));
    let memory = text("/proc/meminfo").unwrap_or_default();
    let kib = |name: &str| memory.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok());
    let zones = std::fs::read_dir("/sys/class/thermal").into_iter().flatten().flatten();
    let hottest = zones.filter_map(|zone| read_to_string(zone.path().join("temp")).ok()?.trim().parse::<i64>().ok()).max();
    let disk = &store.parent().and_then(|directory| rustix::fs::statvfs(directory).ok());
    json!({
        "uptime_s": first("/proc/uptime").and_then(|text| text.parse::<f64>().ok()).map(|seconds| seconds as u64),
        "load": first("/proc/loadavg").and_then(|text| text.parse::<f64>().ok()),
        "memory_kib": kib("MemTotal:"),
        "memory_free_kib": kib("MemAvailable:"),
        "disk_free_bytes": disk.as_ref().map(|disk| disk.f_bavail * disk.f_frsize),
        "disk_bytes": disk.as_ref().map(|disk| disk.f_blocks * disk.f_frsize),
        "temperature_millidegrees": hottest,
        "throttled": text("/sys/devices/platform/soc/soc:firmware/get_throttled"),
        "card_life": text("/sys/block/mmcblk0/device/life_time"),
        "kernel": text("/proc/sys/kernel/osrelease"),
        "clock_synchronized": Path::new("/run/systemd/timesync/synchronized").exists(),
    })
}

/// Everything that a colleague would ask for, beside what the machine knows. The configuration has no secrets: it names the files that
/// have them. It waits for the disk.
#[must_use]
pub fn diag(mut known: Value, store: &Path, config: &Path) -> Value {
    let lines = |unit, priority, lines| {
        let wanted = Logs { unit, since: None, priority, text: None, lines };
        logs(&wanted).unwrap_or_else(|problem| problem.message.to_string().into())
    };
    let rest = json!({
        "vitals": vitals(store),
        "configuration": read_to_string(config).unwrap_or_else(|why| why.to_string()),
        "journal": lines(LogUnit::Both, None, 500),
        "kernel": lines(LogUnit::Kernel, Some(4), 100),
    });
    if let (Some(known), Value::Object(rest)) = (known.as_object_mut(), rest) {
        known.extend(rest);
    }
    known
}

/// The payload of a report, with those vitals that change. Without them, if it would be too large.
#[must_use]
pub fn with_vitals(payload: Vec<u8>, store: &Path) -> Vec<u8> {
    let Ok(mut telemetry) = serde_json::from_slice::<Telemetry>(&payload) else { return payload };
    let mut vitals = vitals(store);
    if let Some(vitals) = vitals.as_object_mut() {
        vitals.retain(|name, value| !value.is_null() && !["kernel", "load", "memory_kib", "disk_bytes"].contains(&name.as_str()));
    }
    telemetry.vitals = Some(vitals);
    match serde_json::to_vec(&telemetry) {
        Ok(whole) if whole.len() <= TELEMETRY_MAX => whole,
        Ok(_) | Err(_) => payload,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_looked_for_literally() {
        assert_eq!(literally("a.b (c)"), r"a\.b \(c\)");
    }

    #[test]
    fn vitals_tell_what_every_linux_knows() {
        let vitals = vitals(Path::new("/tmp/x.db"));
        for name in ["uptime_s", "memory_kib", "memory_free_kib", "disk_free_bytes", "disk_bytes"] {
            assert!(vitals[name].as_u64().is_some_and(|value| value > 0), "{name}: {vitals}");
        }
    }
}
