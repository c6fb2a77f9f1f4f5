//! `fleet list`: every machine in one line.

use super::{Which, config};
use crate::broker::{Broker, Connection};
use crate::print;
use qris_core::order::ids::DeviceId;
use qris_core::wire::settings::Reported;
use qris_core::wire::status::{Presence, Status};
use qris_core::wire::topics::Topic;
use qris_host::Failure;
use qris_host::mqtt::Retained;
use serde_json::json;
use std::collections::BTreeMap;

/// Shows the machines in a table. With --json: device, status, settings, one object a line.
#[derive(clap::Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    who: Which,
}

impl List {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        let filters = [Topic::Status, Topic::ConfigReported].map(|topic| self.who.filters(topic)).concat();
        let mut broker = Broker::connect(connection, filters, Retained::Always).await?;
        let messages = broker.drain().await.map_err(Failure::failed)?;
        broker.leave().await;
        let status = |message: &qris_host::mqtt::Inbound| {
            let (device, Topic::Status) = Topic::parse(&message.topic)? else { return None };
            Some((device, serde_json::from_slice::<Status>(&message.payload).ok()?))
        };
        let statuses: BTreeMap<DeviceId, Status> = messages.iter().filter_map(status).collect();
        let told: BTreeMap<DeviceId, Reported> = messages.iter().filter_map(config::read).collect();
        // A machine of an earlier release has a status and tells no settings. It is shown unless a label is asked for.
        let all = statuses.keys().chain(told.keys()).map(|device| (device.clone(), told.get(device).cloned().unwrap_or_default()));
        let meant = self.who.pick(all.collect())?;
        let line = |cells: [&str; 5]| {
            let [device, state, release, settings, faults] = cells;
            format!("{device:<20} {state:<8} {release:<8} {settings:<12} {faults}").trim_end().to_owned()
        };
        if !json {
            print::line(&line(["MACHINE", "STATE", "RELEASE", "SETTINGS", "FAULTS"]))?;
        }
        for (device, reported) in &meant {
            let status = statuses.get(device);
            if json {
                print::line(&json!({ "device": device, "status": status, "settings": told.get(device) }).to_string())?;
                continue;
            }
            let state = match status.map(|status| status.state) {
                Some(Presence::Online) => "online",
                Some(Presence::Offline) => "offline",
                None => "?",
            };
            let release = status.and_then(|status| status.version.as_deref()).unwrap_or("?");
            let settings = match (reported.version, &reported.waiting, told.contains_key(device)) {
                (_, _, false) => "?".to_owned(),
                (version, Some(next), true) => format!("{version}, then {}", next.version),
                (0, None, true) => "own file".to_owned(),
                (version, None, true) => version.to_string(),
            };
            let faults: Vec<_> = status.iter().flat_map(|status| status.faults.iter().flatten()).map(|fault| fault.code.as_str()).collect();
            print::line(&print::plain(&line([device.as_str(), state, release, &settings, &faults.join(", ")])))?;
        }
        Ok(())
    }
}
