//! The running machine: its services, what they tell of themselves, and the holders of the lines.

use super::root::needs_root;
use super::text::{fill, texts};
use crate::hardware;
use crate::machine::{Properties, Service, ServiceError};
use crate::relay::facts;
use crate::site::{SERVICES, Site, is_root};
use qris_core::order::ids::{DeviceId, KeyId};
use qris_core::text;
use qris_core::wire::dbus::{DEVICE_NAME, DEVICE_PATH, RELAY_NAME, RELAY_PATH};
use qris_core::wire::relay::{LineCondition, RelayFacts, RelayFault};
use qris_device::config::Config as DeviceConfig;
use qris_host::config::BusAddress;
use qris_host::finding::{Finding, Level};
use qris_host::setup::services::{self, Unit};
use qris_relay::config::Config as RelayConfig;
use qris_relay::pin::{CONSUMER, Chip};
use rustix::time::{ClockId, clock_gettime};
use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::time::timeout;

/// The relay service gives no more tickets once a thousand are open.
const TICKETS_WARN: usize = 900;

/// A service that hangs does not answer by then.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Does systemd run the services now, and will it at the next boot? `files`: what each of them reads at its start.
pub(super) fn services(site: &Site, files: [&Path; 2]) -> Vec<Finding> {
    if !services::are_there(site) {
        return vec![Finding::warn("services", texts().no_systemd, texts().no_systemd_do)];
    }
    SERVICES
        .iter()
        .zip(files)
        .map(|(name, file)| match services::unit(name) {
            Err(why) => Finding::bad("services", why, texts().is_whole),
            Ok(unit) => judged(name, &unit, replaced(unit.pid), Some(file).filter(|file| is_newer(&site.at(file), unit.changed_us))),
        })
        .collect()
}

/// Was the file written after the service was started or reloaded? The age of both is compared: a clock that was set meanwhile says nothing
/// of the boot.
fn is_newer(file: &Path, changed_us: u64) -> bool {
    let now = clock_gettime(ClockId::Monotonic);
    let now_us = u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1000;
    let age = std::fs::metadata(file).and_then(|file| file.modified()).ok().and_then(|at| at.elapsed().ok());
    let runs = Duration::from_micros(now_us.saturating_sub(changed_us));
    changed_us > 0 && age.is_some_and(|age| age < runs)
}

fn judged(name: &str, unit: &Unit, replaced: bool, newer: Option<&Path>) -> Finding {
    const CHECK: &str = "services";
    let Unit { active, enabled, loaded, restarts, result, pid: _, changed_us: _ } = unit;
    if loaded != "loaded" {
        return Finding::bad(CHECK, fill(texts().unit, &[&name, loaded]), texts().unit_do);
    }
    match (active.as_str(), result.as_str()) {
        ("active" | "reloading", _) => {}
        (_, "condition") => return Finding::bad(CHECK, fill(texts().waits, &[&name]), "sudo qrisctl setup"),
        (state, result) => {
            let said = fill(texts().unit_failed, &[&name, &state, &result]);
            return Finding::bad(CHECK, said, fill(texts().unit_failed_do, &[&name]));
        }
    }
    if enabled != "enabled" {
        let said = fill(texts().not_enabled, &[&name, enabled]);
        return Finding::warn(CHECK, said, format!("systemctl enable {name}"));
    }
    if replaced {
        return Finding::warn(CHECK, fill(texts().older, &[&name]), format!("systemctl restart {name}"));
    }
    if let Some(file) = newer {
        return Finding::warn(CHECK, fill(texts().older_file, &[&name, &file.display()]), format!("systemctl reload {name}"));
    }
    if *restarts > 0 {
        let said = fill(texts().restarted, &[&name, restarts]);
        return Finding::warn(CHECK, said, fill(texts().restarted_do, &[&name]));
    }
    Finding::ok(CHECK, fill(texts().runs, &[&name]))
}

/// Is the file that a process runs no longer on the disk?
fn replaced(pid: u32) -> bool {
    let program = std::fs::read_link(format!("/proc/{pid}/exe"));
    program.is_ok_and(|program| program.to_string_lossy().ends_with(" (deleted)"))
}

pub(super) fn versions() -> Finding {
    const CHECK: &str = "versions";
    let ours = env!("CARGO_PKG_VERSION");
    let told = ["qrisd", "qris-relayd"].map(|name| (name, version(name)));
    let missing: Vec<_> = told.iter().filter(|(_, version)| version.is_none()).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        return Finding::bad(CHECK, fill(texts().not_found, &[&missing.join(", ")]), texts().install);
    }
    let other: Vec<_> =
        told.iter().flat_map(|(name, v)| v.iter().filter(|v| *v != ours).map(move |v| fill(texts().unit, &[name, v]))).collect();
    if other.is_empty() {
        return Finding::ok(CHECK, fill(texts().one_release, &[&ours]));
    }
    Finding::bad(CHECK, fill(texts().releases, &[&other.join(", "), &ours]), texts().releases_do)
}

fn version(name: &str) -> Option<String> {
    let told = Command::new(name).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(told.stdout).ok()?;
    Some(text.trim().strip_prefix(name)?.trim().to_owned())
}

pub(super) fn pins(site: &Site, relay: &RelayConfig) -> Vec<Finding> {
    let pins = relay.pins().into_iter().filter_map(|(name, pin)| match &pin.chip {
        Chip::Gpio { name: chip, offset } => Some((name, chip, *offset)),
        Chip::Sim(_) => None,
    });
    pins.filter_map(|(name, chip, offset)| {
        // Another check has told that it is not there.
        let path = hardware::device(site, chip)?;
        let chip = match hardware::chip(&path) {
            Ok(chip) => chip,
            Err(why) if !is_root() => return Some(needs_root("gpio", fill(texts().who_holds, &[&name, &why]))),
            Err(why) => return Some(Finding::bad("gpio", why, texts().is_chip)),
        };
        let line = chip.lines.iter().find(|line| line.offset == offset);
        Some(held(&name, &path, offset, line.map(|line| line.holder.as_deref()), chip.lines.len()))
    })
    .collect()
}

/// `line`: none if the chip has no such line, else the line's holder.
fn held(name: &str, path: &Path, offset: u32, line: Option<Option<&str>>, count: usize) -> Finding {
    const CHECK: &str = "gpio";
    let place = format!("{name} ({} {offset})", path.display());
    match line {
        None => Finding::bad(CHECK, fill(texts().no_line, &[&place, &count]), texts().no_line_do),
        Some(Some(CONSUMER)) => Finding::ok(CHECK, fill(texts().held_by, &[&place, &CONSUMER])),
        Some(Some(other)) => Finding::bad(CHECK, fill(texts().held_by, &[&place, &format_args!("{other:?}")]), texts().held_do),
        Some(None) => Finding::bad(CHECK, fill(texts().held_by_nobody, &[&place]), texts().held_by_nobody_do),
    }
}

pub(super) async fn relay(device: &DeviceConfig) -> Vec<Finding> {
    match properties(&device.relay, RELAY_NAME, RELAY_PATH).await.and_then(|told| Ok(facts(told)?)) {
        Ok(relay) => judge(&relay, &device.machine.device, &device.machine.keys.receipt_kids()),
        Err(why) => vec![silent("relay", &*why, "systemctl status qris-relayd; journalctl -x -u qris-relayd")],
    }
}

fn judge(relay: &RelayFacts, device: &DeviceId, keys: &[KeyId]) -> Vec<Finding> {
    const CHECK: &str = "relay";
    let mut findings = Vec::new();
    if relay.device.as_ref() != Some(device) {
        let other = relay.device.as_ref().map_or("", DeviceId::as_str);
        let said = fill(texts().other_machine, &[&other, device]);
        findings.push(Finding::bad(CHECK, said, "systemctl reload qris-relayd qrisd"));
    }
    let missing: Vec<_> = keys.iter().filter(|kid| !relay.keys.contains(kid)).map(KeyId::as_str).collect();
    let surplus = relay.keys.iter().filter(|kid| !keys.contains(kid)).count();
    if !missing.is_empty() || surplus > 0 {
        let missing = if missing.is_empty() { texts().none.into() } else { missing.join(", ") };
        let said = fill(texts().other_keys, &[&missing, &surplus]);
        findings.push(Finding::bad(CHECK, said, "systemctl reload qris-relayd qrisd"));
    }
    for line in relay.lines.iter().filter(|line| line.state == LineCondition::Blocked) {
        let item = line.items.first().map_or("ITEM", |item| item);
        let said = fill(texts().blocked, &[&format_args!("{:?}", line.name)]);
        let to_do = fill(texts().blocked_do, &[&item]);
        findings.push(Finding::bad("lines", said, to_do));
    }
    findings.extend(relay.faults.iter().map(|fault| {
        let (level, said, to_do) = match fault {
            RelayFault::LedgerReset => (Level::Warn, texts().ledger_reset, texts().ledger_reset_do),
            RelayFault::Gpio => (Level::Bad, texts().gpio, texts().gpio_do),
            RelayFault::SensorActive => (Level::Bad, texts().sensor_active, texts().sensor_active_do),
            RelayFault::SensorSuspect => (Level::Bad, texts().sensor_suspect, texts().sensor_suspect_do),
            RelayFault::Ledger => (Level::Bad, texts().ledger, texts().ledger_do),
            RelayFault::Other(other) => {
                return Finding::bad(CHECK, fill(texts().fault, &[&other.as_str()]), "journalctl -x -u qris-relayd");
            }
        };
        Finding { check: CHECK, level, said: said.into(), to_do: Some(to_do.into()) }
    }));
    let tickets = relay.tickets.len();
    if tickets >= TICKETS_WARN {
        let said = fill(texts().tickets, &[&tickets]);
        findings.push(Finding::warn(CHECK, said, texts().tickets_do));
    }
    if findings.is_empty() {
        let busy = relay.lines.iter().filter(|line| line.state == LineCondition::Busy).count();
        let said = fill(texts().lines, &[&relay.lines.len(), &busy, &tickets]);
        findings.push(Finding::ok(CHECK, said));
    }
    findings
}

pub(super) async fn device(device: &DeviceConfig) -> Vec<Finding> {
    let Some(bus) = &device.controller else { return Vec::new() };
    let read = |mut told: Properties| {
        let faults = told.take::<Vec<String>>("Faults")?.into_iter().zip(told.take::<Vec<String>>("FaultDetails")?);
        Ok((told.take("State")?, told.take("OrderId")?, faults.collect(), told.take::<String>("Holder")?))
    };
    match properties(bus, DEVICE_NAME, DEVICE_PATH).await.and_then(read) {
        Ok((state, order, faults, holder)) => {
            let held =
                (!holder.is_empty()).then(|| Finding::warn("machine", fill(texts().machine_held, &[&holder]), texts().machine_held_do));
            machine(state, order, faults, device.machine.screen_required).into_iter().chain(held).collect()
        }
        Err(why) => vec![silent("machine", &*why, "systemctl status qrisd; journalctl -x -u qrisd")],
    }
}

/// The finding about a service that cannot be asked. The policy of the bus lets few users ask.
fn silent(check: &'static str, why: &(dyn Error + 'static), to_do: &str) -> Finding {
    match why.downcast_ref() {
        Some(ServiceError::NotAllowed { .. }) if !is_root() => needs_root(check, texts().of_itself),
        _ => Finding::bad(check, why.to_string(), to_do),
    }
}

/// `faults`: each with what `qrisd` says of it.
fn machine(state: String, order: String, faults: Vec<(String, String)>, needs_screen: bool) -> Vec<Finding> {
    const CHECK: &str = "machine";
    let doing = if state.is_empty() { texts().idle.to_owned() } else { fill(texts().doing, &[&state, &order]) };
    let mut findings: Vec<_> = faults
        .iter()
        .map(|(fault, detail)| {
            let said = fill(texts().qrisd_fault, &[fault, &text::plain(detail, ' ')]);
            let (level, to_do) = match fault.as_str() {
                "store" => (Level::Bad, texts().store_do),
                "store_reset" => (Level::Warn, texts().store_reset_do),
                "newer_database" => (Level::Bad, texts().newer_do),
                "relay" => (Level::Bad, "systemctl status qris-relayd; qrisctl relay lines"),
                "line_blocked" => (Level::Bad, texts().line_blocked_do),
                "screen" if !needs_screen => (Level::Warn, texts().screen_off_do),
                "screen" => (Level::Bad, texts().screen_do),
                "backend" => (Level::Bad, texts().backend_do),
                "clock" => (Level::Bad, texts().clock_do),
                "config" => (Level::Bad, texts().config_do),
                "prices" => (Level::Bad, texts().prices_do),
                "stock" => (Level::Warn, texts().stock_do),
                "taken_over" => (Level::Bad, texts().taken_over_do),
                "charges" => (Level::Bad, texts().charges_do),
                "unconfirmed" => (Level::Warn, texts().unconfirmed_do),
                "settings" => (Level::Bad, texts().settings_do),
                _ => (Level::Bad, "journalctl -x -u qrisd"),
            };
            Finding { check: CHECK, level, said, to_do: Some(to_do.into()) }
        })
        .collect();
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, fill(texts().no_fault, &[&doing])));
    }
    findings
}

/// The properties of a service that runs. The question must not start a service that does not run, so this looks for
/// it first.
async fn properties(bus: &BusAddress, name: &'static str, path: &'static str) -> Result<Properties, Box<dyn Error>> {
    let service = Service::connect_at(bus, name, path).await.map_err(|failure| failure.reason())?;
    // A socket without a bus has no names: the program that answers there is the service.
    if !matches!(bus, BusAddress::Peer(_)) && !service.is_there().await {
        return Err(fill(texts().nobody, &[&name, bus]).into());
    }
    match timeout(ANSWER_WITHIN, service.properties()).await {
        Ok(told) => Ok(told?),
        Err(_) => Err(fill(texts().no_answer, &[&name, &ANSWER_WITHIN.as_secs()]).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qris_core::order::ids::Ticket;
    use qris_core::order::ledger::Limits;
    use qris_core::order::money::Rupiah;
    use qris_core::wire::relay::RelayLine;

    fn unit(active: &str, enabled: &str, restarts: u32, result: &str) -> Unit {
        Unit {
            active: active.into(),
            enabled: enabled.into(),
            loaded: "loaded".into(),
            pid: 0,
            restarts,
            result: result.into(),
            changed_us: 0,
        }
    }

    #[test]
    fn a_unit_is_judged_by_what_comes_next() {
        for (unit, replaced, level, told) in [
            (unit("active", "enabled", 0, "success"), false, Level::Ok, "at the next boot"),
            (unit("active", "disabled", 0, "success"), false, Level::Warn, "will not"),
            (unit("active", "enabled", 0, "success"), true, Level::Warn, "older program"),
            (unit("active", "enabled", 3, "success"), false, Level::Warn, "3 times"),
            (unit("inactive", "enabled", 0, "condition"), false, Level::Bad, "waits for its configuration"),
            (unit("failed", "enabled", 0, "exit-code"), false, Level::Bad, "failed (exit-code)"),
            (Unit { loaded: "not-found".into(), ..unit("inactive", "", 0, "success") }, false, Level::Bad, "not-found"),
        ] {
            let found = judged("qrisd.service", &unit, replaced, None);
            assert_eq!((found.level, found.said.contains(told)), (level, true), "{found:?}");
        }
    }

    #[test]
    fn a_service_that_was_started_before_its_file_was_written_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let now = clock_gettime(ClockId::Monotonic).tv_sec.unsigned_abs() * 1_000_000;
        assert!(is_newer(file.path(), 1), "it runs since the boot");
        assert!(!is_newer(file.path(), now + 60_000_000), "it was reloaded after that");
        assert!(!is_newer(file.path(), 0) && !is_newer(Path::new("/nowhere"), 1), "nobody knows");
        let path = Path::new("/etc/qrisd/qrisd.toml");
        let found = judged("qrisd.service", &unit("active", "enabled", 0, "success"), false, Some(path));
        assert_eq!((found.level, found.to_do.as_deref()), (Level::Warn, Some("systemctl reload qrisd.service")));
        assert!(found.said.contains("/etc/qrisd/qrisd.toml"), "{found:?}");
    }

    #[test]
    fn a_line_is_held_by_its_service_or_something_is_wrong() {
        for (line, level, told) in [
            (Some(Some("qris-relayd")), Level::Ok, "held by qris-relayd"),
            (Some(Some("leds")), Level::Bad, "\"leds\""),
            (Some(None), Level::Bad, "nobody"),
            (None, Level::Bad, "the chip has 8"),
        ] {
            let found = held("line \"tray 1\"", Path::new("/dev/gpiochip0"), 17, line, 8);
            assert_eq!((found.level, found.said.contains(told)), (level, true), "{found:?}");
        }
    }

    #[test]
    fn the_relay_service_is_held_against_what_it_should_be() {
        let kid = |name: &str| KeyId::new(name).expect("a key's name");
        let me = DeviceId::new("vm-001").expect("an id");
        let relay = |device: &str, state: &str, keys: &[&str], faults: &[&str], tickets: u128| -> RelayFacts {
            let limits = Limits { min: Rupiah::new(1).expect("an amount"), step: None, max: None };
            let state = LineCondition::from_word(state).expect("a word");
            RelayFacts {
                device: DeviceId::new(device).ok(),
                lines: vec![RelayLine { name: "tray 1".into(), items: vec!["A1".into()], state, limits, misses_left: 1 }],
                keys: keys.iter().map(|key| kid(key)).collect(),
                tickets: (0..tickets).map(|n| Ticket::from_random(n.to_be_bytes())).collect(),
                faults: faults.iter().map(|fault| RelayFault::from_word(fault).expect("a word")).collect(),
                ..RelayFacts::default()
            }
        };
        for (relay, check, level, told) in [
            (relay("vm-001", "ready", &["k"], &[], 2), "relay", Level::Ok, "no fault"),
            (relay("vm-002", "ready", &["k"], &[], 0), "relay", Level::Bad, "of machine vm-002"),
            (relay("vm-001", "ready", &["k", "x"], &[], 0), "relay", Level::Bad, "1 more"),
            (relay("vm-001", "ready", &[], &[], 0), "relay", Level::Bad, "missing: k"),
            (relay("vm-001", "blocked", &["k"], &[], 0), "lines", Level::Bad, "\"tray 1\" is blocked"),
            (relay("vm-001", "ready", &["k"], &["ledger_reset"], 0), "relay", Level::Warn, "new one was begun"),
            (relay("vm-001", "ready", &["k"], &["gpio"], 0), "relay", Level::Bad, "hardware"),
            (relay("vm-001", "ready", &["k"], &[], 950), "relay", Level::Warn, "950 tickets"),
        ] {
            let found = judge(&relay, &me, &[kid("k")]);
            assert_eq!((found.len(), found[0].check, found[0].level, found[0].said.contains(told)), (1, check, level, true), "{found:?}");
        }
    }

    #[test]
    fn what_the_machine_says_comes_with_what_to_do() {
        let found = machine(String::new(), String::new(), Vec::new(), true);
        assert_eq!((found[0].level, found[0].said.as_str()), (Level::Ok, "idle; no fault"));
        let of = |fault: &str| (fault.into(), format!("about {fault}"));
        let found = machine("paid".into(), "o-1".into(), ["store_reset", "backend", "news"].map(of).into(), true);
        assert_eq!(found.iter().map(|finding| finding.level).collect::<Vec<_>>(), [Level::Warn, Level::Bad, Level::Bad]);
        assert!(found.iter().all(|finding| finding.to_do.is_some()));
        assert_eq!(found[1].said, "qrisd tells the fault backend: about backend");
        let said = "nobody confirms whether order o-1 is paid";
        let found = machine(String::new(), String::new(), vec![("unconfirmed".into(), said.into())], true);
        assert_eq!(found[0].said, format!("qrisd tells the fault unconfirmed: {said}"));
        assert!(found[0].to_do.as_ref().is_some_and(|to_do| to_do.contains("orders --attention=unconfirmed")), "{found:?}");
        for (needs_screen, level) in [(true, Level::Bad), (false, Level::Warn)] {
            assert_eq!(machine(String::new(), String::new(), [of("screen")].into(), needs_screen)[0].level, level);
        }
    }
}
