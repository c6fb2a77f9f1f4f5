//! `fleet show`: everything that machines last told the broker.

use super::{Which, config};
use crate::broker::{Broker, Connection};
use crate::print;
use qris_core::order::ids::DeviceId;
use qris_core::wire::settings::Reported;
use qris_core::wire::status::{Presence, Status};
use qris_core::wire::telemetry::Telemetry;
use qris_core::wire::topics::Topic;
use qris_host::Failure;
use qris_host::mqtt::{Inbound, Retained};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Shows what machines last told: on line or not, faults, settings, what was sold, the computer. With --json: device, status,
/// settings, telemetry
#[derive(clap::Args, Debug)]
pub(crate) struct Show {
    #[command(flatten)]
    who: Which,
}

impl Show {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        let filters = [Topic::Status, Topic::ConfigReported, Topic::Telemetry].map(|topic| self.who.filters(topic)).concat();
        let mut broker = Broker::connect(connection, filters, Retained::Always).await?;
        let messages = broker.drain().await.map_err(Failure::failed)?;
        broker.leave().await;
        let statuses: BTreeMap<DeviceId, Status> = told(&messages, Topic::Status);
        let reports: BTreeMap<DeviceId, Telemetry> = told(&messages, Topic::Telemetry);
        let mut settings: BTreeMap<DeviceId, Reported> = messages.iter().filter_map(config::read).collect();
        for device in statuses.keys() {
            settings.entry(device.clone()).or_default();
        }
        for (device, settings) in self.who.pick(settings)? {
            let (status, report) = (statuses.get(&device), reports.get(&device));
            if json {
                print::line(&json!({ "device": device, "status": status, "settings": settings, "telemetry": report }).to_string())?;
                continue;
            }
            for line in lines(&device, status, &settings, report) {
                print::line(&print::plain(&line))?;
            }
        }
        Ok(())
    }
}

/// What each machine said last on this topic.
fn told<T: DeserializeOwned>(messages: &[Inbound], wanted: Topic) -> BTreeMap<DeviceId, T> {
    let read = |message: &Inbound| {
        let (device, topic) = Topic::parse(&message.topic)?;
        (topic == wanted).then(|| serde_json::from_slice(&message.payload).ok().map(|told| (device, told)))?
    };
    messages.iter().filter_map(read).collect()
}

fn lines(device: &DeviceId, status: Option<&Status>, settings: &Reported, report: Option<&Telemetry>) -> Vec<String> {
    let state = match status.map(|status| status.state) {
        Some(Presence::Online) => "online",
        Some(Presence::Offline) => "offline",
        None => "never seen",
    };
    let release = status.and_then(|status| status.version.as_deref()).unwrap_or("?");
    let mut lines = vec![format!("{device}: {state}, release {release}")];
    for fault in status.iter().flat_map(|status| status.faults.iter().flatten()) {
        let since = fault.since.as_deref().map_or_else(String::new, |since| format!(", since {since}"));
        lines.push(format!("  fault {}: {}{since}", fault.code, fault.detail));
    }
    lines.push(format!("  settings{}", config::words(settings)));
    let Some(Telemetry { number, at, sums, waiting, vitals, .. }) = report else { return lines };
    let when = at.as_deref().map_or_else(String::new, |at| format!(" at {at}"));
    lines.push(format!("  report {number}{when}: dispensed {}, {}", sums.dispensed, rupiah(sums.dispensed_amount)));
    if sums.refund_due > 0 {
        lines.push(format!("  refund due of {}, {}", sums.refund_due, rupiah(sums.refund_due_amount)));
    }
    if *waiting > 0 {
        lines.push(format!("  {waiting} events are still on their way"));
    }
    let vitals = vitals.as_ref().and_then(Value::as_object).into_iter().flatten();
    let words: Vec<String> = vitals.filter_map(|(name, value)| vital(name, value)).collect();
    if !words.is_empty() {
        lines.push(format!("  computer: {}", words.join(", ")));
    }
    lines
}

/// A value of the computer, for people.
fn vital(name: &str, value: &Value) -> Option<String> {
    let whole = value.as_u64();
    Some(match name {
        "uptime_s" => format!("up for {} h", whole? / 3600),
        "memory_free_kib" => format!("{} MiB of memory free", whole? / 1024),
        "disk_free_bytes" => format!("{} MiB of disk free", whole? / 1024 / 1024),
        "temperature_millidegrees" => format!("{} °C", value.as_i64()? / 1000),
        "clock_synchronized" if value == &Value::Bool(false) => "clock not synchronized".into(),
        "clock_synchronized" => return None,
        name => format!("{name} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
    })
}

/// Rupiah, in the way of Indonesia: Rp45.600.000.
fn rupiah(amount: u64) -> String {
    let digits = amount.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    format!("Rp{}", groups.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_as_in_indonesia() {
        assert_eq!([0, 999, 1000, 45_600_000].map(rupiah), ["Rp0", "Rp999", "Rp1.000", "Rp45.600.000"]);
    }
}
