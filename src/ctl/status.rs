//! `status`: the last status of one machine or of all machines, as the broker retains it. Where no broker is named, this machine's, over D-Bus.

use super::broker::{Broker, Connection};
use super::order::CurrentOrder;
use super::print;
use crate::complete;
use qris_core::order::ids::DeviceId;
use qris_core::wire::status::Status as Retain;
use qris_core::wire::topics::Topic;
use qris_host::Failure;
use qris_host::mqtt::Retained;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Shows the last status of machines. With --json: device, status.
#[derive(clap::Args, Debug)]
pub(super) struct Status {
    /// One machine; the default is every machine. On a machine that names no broker it is this one, over D-Bus
    #[arg(long, value_name = "ID", value_parser = DeviceId::new, add = complete::machines())]
    device: Option<DeviceId>,
    #[command(flatten)]
    here: CurrentOrder,
}

impl Status {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        if self.device.is_none() && self.here.is_of_a_machine() && !connection.names_a_broker()? {
            return self.here.run(json).await;
        }
        let filter = self.device.as_ref().map_or_else(|| Topic::Status.of_all(), |device| Topic::Status.of(device));
        let mut broker = Broker::connect(connection, vec![filter], Retained::Always).await?;
        let messages = broker.drain().await.map_err(Failure::failed)?;
        broker.leave().await;
        // A machine whose status changed meanwhile comes twice: the last one counts.
        let machines: BTreeMap<DeviceId, Vec<u8>> =
            messages.into_iter().filter_map(|message| Some((Topic::parse(&message.topic)?.0, message.payload))).collect();
        if let (Some(device), true) = (&self.device, machines.is_empty()) {
            return Err(Failure::failed(format!("{device} never told its status to this broker, or we may not read its topics")));
        }
        for (device, payload) in machines {
            print::line(&if json { json_line(&device, &payload) } else { words(&device, &payload) })?;
        }
        Ok(())
    }
}

fn words(device: &DeviceId, payload: &[u8]) -> String {
    match serde_json::from_slice::<Retain>(payload) {
        Ok(status) => print::status(device, &status),
        Err(_) => print::plain(&format!("{device} {}", String::from_utf8_lossy(payload))),
    }
}

fn json_line(device: &DeviceId, payload: &[u8]) -> String {
    let status: Value = serde_json::from_slice(payload).unwrap_or_else(|_| String::from_utf8_lossy(payload).into());
    json!({ "device": device, "status": status }).to_string()
}
