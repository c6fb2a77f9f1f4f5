//! What an operator may read of the computer: lines of the journal, and its condition.

use super::config::Certificates;
use qris_core::order::time::Wall;
use qris_core::wire::command::{Code, LogUnit, Logs, Problem};
use qris_core::wire::telemetry::{Booted, TELEMETRY_MAX, Telemetry};
use qris_host::tls::first_end;
use serde::Deserialize as _;
use serde_json::{Value, json};
use std::fs::read_to_string;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `timeout` ends the journal's reader after so many seconds: a large journal on a slow card.
const READ_WITHIN_S: &str = "20";
/// The doctor must answer within so many seconds.
const DOCTOR_WITHIN_S: &str = "10";
/// The program of people, which has the doctor.
const QRISCTL: &str = "qrisctl";
/// The most bytes of lines that are answered. The newest are kept.
const LINES_BYTES_MAX: usize = 256 * 1024;
const WATCHDOGS: &str = "/sys/class/watchdog";
/// What systemd-timesyncd tells as long as it runs.
const TIMESYNC: &str = "/run/systemd/timesync";
/// The bit of a watchdog's `bootstatus` that says: this watchdog has reset the computer (`WDIOF_CARDRESET`).
const CARD_RESET: u32 = 0x20;

/// The files of this program that tell something of the computer.
#[derive(Debug, Clone, Default)]
pub struct Files {
    pub store: PathBuf,
    pub config: PathBuf,
    pub certificates: Certificates,
}

/// The newest lines of the journal that are wanted. It waits for the disk.
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

/// The condition of the computer, as far as it tells. `known` is what the machine knows of it. It waits for the disk.
#[must_use]
pub fn vitals(files: &Files, known: &Value) -> Value {
    let text = |path: &str| read_to_string(path).ok().map(|text| text.trim().to_owned());
    let first = |path: &str| text(path).and_then(|text| text.split_whitespace().next().map(str::to_owned));
    let memory = text("/proc/meminfo").unwrap_or_default();
    let kib = |name: &str| memory.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok());
    let zones = std::fs::read_dir("/sys/class/thermal").into_iter().flatten().flatten();
    let hottest = zones.filter_map(|zone| read_to_string(zone.path().join("temp")).ok()?.trim().parse::<i64>().ok()).max();
    let os = text("/etc/os-release").unwrap_or_default();
    let disk = &files.store.parent().and_then(|directory| rustix::fs::statvfs(directory).ok());
    json!({
        "uptime_s": first("/proc/uptime").and_then(|text| text.parse::<f64>().ok()).map(|seconds| seconds as u64),
        "load": first("/proc/loadavg").and_then(|text| text.parse::<f64>().ok()),
        "memory_kib": kib("MemTotal:"),
        "memory_free_kib": kib("MemAvailable:"),
        "disk_free_bytes": disk.as_ref().map(|disk| disk.f_bavail * disk.f_frsize),
        "disk_bytes": disk.as_ref().map(|disk| disk.f_blocks * disk.f_frsize),
        "temperature_millidegrees": hottest,
        "throttled": text("/sys/devices/platform/soc/soc:firmware/get_throttled"),
        "card_life": (0..4).find_map(|n| text(&format!("/sys/block/mmcblk{n}/device/life_time"))),
        "kernel": text("/proc/sys/kernel/osrelease"),
        "os": os.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).map(|name| name.trim_matches('"')),
        "slot": known["slot"],
        // Its directory is there as long as systemd-timesyncd runs. Nobody else tells.
        "clock_synchronized": Path::new(TIMESYNC).is_dir().then(|| Path::new(TIMESYNC).join("synchronized").exists()),
        "certificates": certificates(&files.certificates),
        "booted": booted(Booted::deserialize(&known["booted"]).unwrap_or(Booted::Unknown), Path::new(WATCHDOGS)),
    })
}

/// The first end of each kind; null without certificates.
fn certificates(files: &Certificates) -> Value {
    let end = |files: &[PathBuf]| files.iter().filter_map(|path| first_end(path)).min().map(|end| end.to_rfc3339().into());
    let ends = [("own", end(files.own.as_slice())), ("ca", end(&files.authorities))];
    let ends: serde_json::Map<String, Value> = ends.into_iter().filter_map(|(kind, end)| Some((kind.to_owned(), end?))).collect();
    if ends.is_empty() { Value::Null } else { ends.into() }
}

/// Why the computer started, with the kernel's word about it. Many computers restart by their watchdog, also at a proper stop. So its
/// word counts only where nobody stopped the machine.
fn booted(known: Booted, watchdogs: &Path) -> Booted {
    let status = |path: PathBuf| read_to_string(path.join("bootstatus")).ok()?.trim().parse::<u32>().ok();
    let has_reset = || {
        std::fs::read_dir(watchdogs)
            .into_iter()
            .flatten()
            .flatten()
            .any(|entry| status(entry.path()).is_some_and(|bits| bits & CARD_RESET != 0))
    };
    match known {
        Booted::Power | Booted::Unknown if has_reset() => Booted::Watchdog,
        known => known,
    }
}

/// The report of `qrisctl doctor`, a finding a row, as the user of this program sees it. Broker and backend are left out: this program is
/// connected, and its status tells their faults.
fn doctor(program: &Path, config: &Path) -> Result<Value, String> {
    let mut doctor = Command::new("timeout");
    doctor.arg(DOCTOR_WITHIN_S).arg(program);
    let output = doctor.args(["doctor", "--offline", "--json", "--config"]).arg(config).output().map_err(|why| why.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let findings: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    if findings.is_empty() {
        return Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(findings.into())
}

/// The program of people: beside this one, or where the system finds it.
fn qrisctl() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|program| program.with_file_name(QRISCTL));
    beside.filter(|path| path.exists()).unwrap_or_else(|| QRISCTL.into())
}

/// Everything that a colleague would ask for, beside what the machine knows and the relay service tells. The configurations have no
/// secrets: they name the files that have them. It waits for the disk.
#[must_use]
pub fn diag(mut known: Value, relay: Value, files: &Files) -> Value {
    let lines = |unit, priority, lines| {
        let wanted = Logs { unit, since: None, priority, text: None, lines };
        logs(&wanted).unwrap_or_else(|problem| problem.message.to_string().into())
    };
    if let Value::Object(database) = &mut known["database"] {
        database.insert("bytes".into(), bytes(&files.store).into());
    }
    let rest = json!({
        "relay": relay,
        "doctor": doctor(&qrisctl(), &files.config).unwrap_or_else(|why| format!("{QRISCTL} doctor: {why}").into()),
        "vitals": vitals(files, &known["vitals"]),
        "configuration": read_to_string(&files.config).unwrap_or_else(|why| why.to_string()),
        "relay_configuration": read_to_string(files.config.with_file_name("relay.toml")).unwrap_or_else(|why| why.to_string()),
        "journal": lines(LogUnit::Both, None, 500),
        "kernel": lines(LogUnit::Kernel, Some(4), 100),
    });
    if let (Some(known), Value::Object(rest)) = (known.as_object_mut(), rest) {
        known.extend(rest);
    }
    known
}

/// The size of the database, with its log.
fn bytes(store: &Path) -> Option<u64> {
    let mut log = store.as_os_str().to_owned();
    log.push("-wal");
    let size = |path: &Path| std::fs::metadata(path).ok().map(|metadata| metadata.len());
    Some(size(store)? + size(Path::new(&log)).unwrap_or(0))
}

/// The payload of a report, with those vitals that change. Without them, if it would be too large.
#[must_use]
pub fn with_vitals(payload: Vec<u8>, files: &Files) -> Vec<u8> {
    let Ok(mut telemetry) = serde_json::from_slice::<Telemetry>(&payload) else { return payload };
    let mut vitals = vitals(files, &telemetry.vitals.unwrap_or_default());
    if let Some(vitals) = vitals.as_object_mut() {
        vitals.retain(|name, value| {
            !value.is_null() && !["kernel", "os", "slot", "load", "memory_kib", "disk_bytes"].contains(&name.as_str())
        });
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
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn the_doctors_findings_are_told_or_why_there_are_none() {
        let folder = tempfile::tempdir().expect("a directory");
        let told = |name: &str, script: &str| {
            let program = folder.path().join(name);
            std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("written");
            std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
            doctor(&program, Path::new("/etc/a.toml"))
        };
        // Something is bad: its status is 1 then.
        let findings = told("bad", "echo \"{\\\"said\\\": \\\"$*\\\"}\"; echo '{}'; echo 'one thing is bad' >&2; exit 1");
        assert_eq!(findings, Ok(json!([{ "said": "doctor --offline --json --config /etc/a.toml" }, {}])));
        let silent = told("silent", "echo 'no room' >&2; exit 2").expect_err("nothing was found");
        assert!(silent.contains("exit status: 2: no room"), "{silent}");
        let missing = doctor(&folder.path().join("missing"), Path::new("/etc/a.toml")).expect_err("it is not there");
        assert!(missing.contains("No such file"), "{missing}");
    }

    #[test]
    fn a_text_is_looked_for_literally() {
        assert_eq!(literally("a.b (c)"), r"a\.b \(c\)");
    }

    #[test]
    fn vitals_tell_what_every_linux_knows() {
        let vitals = vitals(&Files { store: "/tmp/x.db".into(), ..Files::default() }, &json!({ "booted": "restart" }));
        for name in ["uptime_s", "memory_kib", "memory_free_kib", "disk_free_bytes", "disk_bytes"] {
            assert!(vitals[name].as_u64().is_some_and(|value| value > 0), "{name}: {vitals}");
        }
        for name in ["kernel", "os"] {
            assert!(vitals[name].as_str().is_some_and(|value| !value.is_empty() && !value.contains('"')), "{name}: {vitals}");
        }
        assert_eq!(vitals["booted"], "restart");
    }

    #[test]
    fn the_kernel_tells_of_a_watchdog_where_nobody_stopped_the_machine() {
        let watchdogs = tempfile::tempdir().expect("a directory");
        let tell = |name: &str, bits: &str| {
            std::fs::create_dir_all(watchdogs.path().join(name)).expect("made");
            std::fs::write(watchdogs.path().join(name).join("bootstatus"), bits).expect("written");
        };
        let all = [Booted::Restart, Booted::Power, Booted::Unknown];
        let told = || all.map(|known| booted(known, watchdogs.path()));
        assert_eq!(told(), all, "no watchdog");
        tell("watchdog0", "0\n");
        tell("watchdog1", "nonsense\n");
        assert_eq!(told(), all);
        // Too hot, and a reset.
        tell("watchdog1", "33\n");
        assert_eq!(told(), [Booted::Restart, Booted::Watchdog, Booted::Watchdog]);
    }

    #[test]
    fn the_first_end_of_each_kind_of_certificate_is_told() {
        let folder = tempfile::tempdir().expect("a directory");
        let file = |name: &str, certificates: &[&[u8]]| {
            let pem = |der: &&[u8]| format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der));
            std::fs::write(folder.path().join(name), certificates.iter().map(pem).collect::<String>()).expect("written");
            folder.path().join(name)
        };
        let early = include_bytes!("../../tests/corpora/certificate/ends-2027").as_slice();
        let late = include_bytes!("../../tests/corpora/certificate/ends-2051").as_slice();
        let [both, second, odd] = [file("both", &[late, early]), file("second", &[late]), file("odd", &[&early[..9]])];
        for (own, authorities, wanted) in [
            (Some(&both), vec![second.clone()], json!({ "own": "2027-03-01T12:34:56Z", "ca": "2051-12-31T23:59:59Z" })),
            (None, vec![second.clone(), both.clone()], json!({ "ca": "2027-03-01T12:34:56Z" })),
            (Some(&second), vec![odd, folder.path().join("none")], json!({ "own": "2051-12-31T23:59:59Z" })),
            (None, vec![], Value::Null),
        ] {
            assert_eq!(certificates(&Certificates { own: own.cloned(), authorities }), wanted);
        }
    }
}
