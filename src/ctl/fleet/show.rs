use super::reported;
use super::retained::{LastWords, Words, nothing_of};
use super::which::Which;
use crate::broker::Connection;
use crate::print;
use qris_core::order::ids::DeviceId;
use qris_core::order::money::total;
use qris_core::order::time::Wall;
use qris_core::wire::telemetry::{Booted, Telemetry};
use qris_core::wire::topics::Topic;
use qris_host::Failure;
use serde_json::{Value, json};

/// Shows what machines last told: on line or not, faults, settings, what was sold, the computer. With --json: device, status,
/// offline_since, settings, telemetry
#[derive(clap::Args, Debug)]
pub(crate) struct Show {
    #[command(flatten)]
    who: Which,
}

impl Show {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        let (broker, told) = LastWords::hear(connection, &self.who, Vec::new()).await?;
        broker.leave().await;
        let meant = told.meant(&self.who)?;
        let silent: Vec<_> = meant.iter().copied().filter(|(_, words)| lacks_report(words)).collect();
        for (device, words) in meant {
            if json {
                let Words { status, offline_since, settings, telemetry, stock: _, has_told_stock: _ } = words;
                let offline_since = offline_since.map(Wall::to_rfc3339);
                let told = json!({
                    "device": device, "status": status, "offline_since": offline_since, "settings": settings, "telemetry": telemetry
                });
                print::line(&told.to_string())?;
                continue;
            }
            for line in lines(device, words) {
                print::line(&print::plain(&line))?;
            }
        }
        nothing_of(&silent, Topic::Telemetry, "report", "none was sent yet").iter().for_each(|said| print::remark(said));
        Ok(())
    }
}

/// One whose settings want no reports (0) lacks none.
fn lacks_report(words: &Words) -> bool {
    words.telemetry.is_none() && words.status.as_ref().is_none_or(|status| status.report_every_s != Some(0))
}

fn lines(device: &DeviceId, words: &Words) -> Vec<String> {
    let mut lines = vec![format!("{}: {}, release {}", print::machine(words.name(), device), words.state(), words.release())];
    if let Some(relay) = words.status.as_ref().and_then(|status| status.relay.as_ref()) {
        lines.push(format!("  relay service: {}", relay.in_words().join(", ")));
        let is_other = *relay.version != *words.release();
        lines.extend(is_other.then(|| "  the relay service is of another release: restart it".into()));
    }
    for fault in words.status.iter().flat_map(|status| status.faults.iter().flatten()) {
        let since = fault.since.as_deref().map_or_else(String::new, |since| format!(", since {}", print::time(since)));
        lines.push(format!("  fault {}: {}{since}", fault.code, fault.detail));
    }
    lines.extend(words.settings.as_ref().map(|settings| format!("  settings{}", reported::words(settings))));
    let labels = words.settings.as_ref().map_or_else(String::new, |settings| settings.labels.join(", "));
    if !labels.is_empty() {
        lines.push(format!("  labels: {labels}"));
    }
    let Some(Telemetry { number, at, sums, waiting, vitals, .. }) = &words.telemetry else { return lines };
    let when = at.as_deref().map_or_else(String::new, |at| format!(" at {}", print::time(at)));
    lines.push(format!("  report {number}{when}: dispensed {}, {}", sums.dispensed, sum(sums.dispensed_amount)));
    if sums.refund_due > 0 {
        lines.push(format!("  refund due of {}, {}", sums.refund_due, sum(sums.refund_due_amount)));
    }
    if sums.refunded > 0 {
        lines.push(format!("  known to be refunded: {}, {}", sums.refunded, sum(sums.refunded_amount)));
    }
    if *waiting > 0 {
        lines.push(format!("  {waiting} events are still on their way"));
    }
    let words = vitals.as_ref().map(computer).unwrap_or_default();
    if !words.is_empty() {
        lines.push(format!("  computer: {words}"));
    }
    lines
}

pub(super) fn computer(vitals: &Value) -> String {
    let known = vitals.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    known.filter_map(|(name, value)| vital(name, value)).collect::<Vec<_>>().join(", ")
}

fn vital(name: &str, value: &Value) -> Option<String> {
    let whole = value.as_u64();
    Some(match name {
        "uptime_s" => format!("up for {}:{:02} h", whole? / 3600, whole? / 60 % 60),
        "memory_kib" => format!("{} of memory", size(whole?.saturating_mul(1024))),
        "memory_free_kib" => format!("{} of memory free", size(whole?.saturating_mul(1024))),
        "disk_bytes" => format!("{} of disk", size(whole?)),
        "disk_free_bytes" => format!("{} of disk free", size(whole?)),
        "temperature_millidegrees" => format!("{} °C", value.as_i64()? / 1000),
        "clock_synchronized" if value == &Value::Bool(false) => "clock not synchronized".into(),
        "clock_synchronized" => return None,
        "booted" => match Booted::from_word(value.as_str()?).ok()? {
            Booted::Restart => "started after a proper stop".into(),
            Booted::Power => "started after its power went or it hung".into(),
            Booted::Watchdog => "started by its watchdog after it hung".into(),
            Booted::Unknown => return None,
            Booted::Other(word) => format!("started: {}", word.as_str()),
        },
        "certificates" => {
            let end = |(kind, end): (&String, &Value)| Some(format!("{} ends at {}", certificate(kind), print::time(end.as_str()?)));
            let ends: Vec<String> = value.as_object()?.iter().filter_map(end).collect();
            (!ends.is_empty()).then(|| ends.join(", "))?
        }
        name => format!("{name} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
    })
}

/// So many bytes, as disks are sold.
fn size(bytes: u64) -> String {
    match bytes / 100_000_000 {
        0..10 => format!("{} MB", bytes / 1_000_000),
        tenths => format!("{}.{} GB", tenths / 10, tenths % 10),
    }
}

/// A sum that a machine told. It is never below zero.
fn sum(rupiah: i64) -> String {
    total(u64::try_from(rupiah).unwrap_or_default())
}

fn certificate(kind: &str) -> String {
    match kind {
        "own" => "its certificate".into(),
        "ca" => "its private CA".into(),
        other => format!("the certificate {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relay_service_is_shown_and_of_another_release_it_is_to_be_restarted() {
        let device = DeviceId::new("vm-001").expect("an id");
        let shown = |relay: Value| {
            let told = json!({ "state": "online", "version": "0.1.0", "relay": relay });
            lines(&device, &Words { status: serde_json::from_value(told).expect("a status"), ..Words::default() })
        };
        let first = "vm-001: online, release 0.1.0";
        assert_eq!(shown(json!({ "version": "0.1.0" })), [first, "  relay service: release 0.1.0"]);
        let restart = "  the relay service is of another release: restart it";
        assert_eq!(shown(json!({ "version": "0.0.9" })), [first, "  relay service: release 0.0.9", restart]);
        assert_eq!(shown(Value::Null), [first]);
    }

    #[test]
    fn a_machine_that_is_to_send_no_reports_lacks_none() {
        let lacks = |status: Value, telemetry: Value| {
            let (status, telemetry) = (serde_json::from_value(status), serde_json::from_value(telemetry));
            lacks_report(&Words { status: status.expect("a status"), telemetry: telemetry.expect("a report"), ..Words::default() })
        };
        let sums = json!({
            "dispensed": 0, "dispensed_amount": 0, "refund_due": 0, "refund_due_amount": 0, "refunded": 0, "refunded_amount": 0, "unpaid": 0
        });
        let none = json!([0, 0, 0, 0, 0, 0, 0, 0]);
        let came = json!({
            "v": 1, "number": 1, "stream": "s", "ended": [], "sums": sums, "waiting": 0, "running_s": 9, "connections": 1, "qr_ms": none,
            "delivery_ms": none
        });
        for (every, telemetry, wanted) in
            [(json!(900), Value::Null, true), (Value::Null, Value::Null, true), (json!(0), Value::Null, false), (json!(900), came, false)]
        {
            assert_eq!(lacks(json!({ "state": "online", "report_every_s": every }), telemetry), wanted, "{every}");
        }
        assert!(lacks(Value::Null, Value::Null), "its status did not come, too");
    }

    #[test]
    fn the_computer_is_told_in_plain_words() {
        let told = |name, value: Value| vital(name, &value);
        for (word, wanted) in [
            ("restart", Some("started after a proper stop")),
            ("power", Some("started after its power went or it hung")),
            ("watchdog", Some("started by its watchdog after it hung")),
            ("unknown", None),
            ("thaw", Some("started: thaw")),
            ("\u{1b}[2J", None),
        ] {
            assert_eq!(told("booted", word.into()).as_deref(), wanted);
        }
        let own = format!("its certificate ends at {}", print::time("2027-03-01T12:34:56Z"));
        for (ends, wanted) in [
            (json!({ "own": "2027-03-01T12:34:56Z" }), Some(&*own)),
            (
                json!({ "ca": "a", "own": "b", "x": "c" }),
                Some("its private CA ends at a, its certificate ends at b, the certificate x ends at c"),
            ),
            (json!({}), None),
        ] {
            assert_eq!(told("certificates", ends).as_deref(), wanted);
        }
        let vitals = json!({ "uptime_s": 18_300, "load": null, "disk_free_bytes": 81_407_610_880_u64, "memory_free_kib": 312_000 });
        assert_eq!(computer(&vitals), "81.4 GB of disk free, 319 MB of memory free, up for 5:05 h");
    }
}
