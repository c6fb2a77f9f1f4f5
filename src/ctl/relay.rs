//! `relay lines` and `relay clear`: the relay service of this machine.

use super::machine::{Bus, Service};
use super::print;
use clap::Subcommand;
use qris_core::order::ids::ItemId;
use qris_core::order::proof::RelayKey;
use qris_core::wire::dbus::{RELAY_NAME, RELAY_PATH};
use qris_device::relay::as_json;
use qris_host::Failure;
use qris_host::config::BusAddress;
use serde_json::{Value, json};

/// Looks at the relay service, or clears a blocked line.
#[derive(clap::Args, Debug)]
pub(super) struct Relay {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Show lines, keys, open tickets and faults
    Lines {
        #[command(flatten)]
        bus: Bus,
    },
    /// Clear the blocked line of an item, when a person has mended it (root only)
    Clear {
        #[command(flatten)]
        bus: Bus,
        /// The item
        #[arg(value_parser = ItemId::new)]
        item: ItemId,
    },
}

impl Relay {
    pub(super) async fn run(self, json: bool) -> Result<(), Failure> {
        match self.command {
            Command::Lines { bus } => {
                let service = Service::connect(&bus, RELAY_NAME, RELAY_PATH).await?;
                let mut properties = service.properties().await.map_err(Failure::failed)?.values();
                let wrong = |why| Failure::failed(format!("{RELAY_NAME} answers wrongly ({why}): is it of another release?"));
                let relay = as_json(&mut properties).map_err(wrong)?;
                print::line(&if json { relay.to_string() } else { words(&relay) })
            }
            Command::Clear { bus, item } => {
                let service = Service::connect(&bus, RELAY_NAME, RELAY_PATH).await?;
                service.call("Clear", item.as_str()).await.map_err(Failure::failed)?;
                if json { print::line(&json!({ "item": item, "outcome": "cleared" }).to_string()) } else { Ok(()) }
            }
        }
    }
}

/// The key with which the relay service of this machine signs its proofs.
pub(super) async fn proof_key(bus: &BusAddress) -> Result<RelayKey, Failure> {
    let service = Service::connect_at(bus, RELAY_NAME, RELAY_PATH).await?;
    let key = service.properties().await.and_then(|mut properties| properties.take::<String>("ProofKey")).map_err(Failure::failed)?;
    key.parse().map_err(Failure::failed)
}

fn words(relay: &Value) -> String {
    let list = |value: &Value| value.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    let text = |value: &Value| print::plain(value.as_str().unwrap_or_default());
    let mut told = vec![format!("machine {}", text(&relay["device"]))];
    for line in relay["lines"].as_array().into_iter().flatten() {
        told.push(format!("line {:?}: {} (items {})", text(&line["name"]), text(&line["state"]), print::plain(&list(&line["items"]))));
    }
    told.push(format!("keys: {}", print::plain(&list(&relay["keys"]))));
    let fingerprint = relay["proof_key"]["fingerprint"].as_str().unwrap_or("none");
    told.push(format!("key of its proofs: {fingerprint}"));
    told.push(format!("open tickets: {}", relay["tickets"]));
    if relay["faults"].as_array().is_some_and(|faults| !faults.is_empty()) {
        told.push(format!("faults: {}", print::plain(&list(&relay["faults"]))));
    }
    told.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relay_is_told_in_lines() {
        let relay = json!({
            "device": "vm-001", "lines": [{"name": "tray 1", "items": ["A1", "A2"], "state": "blocked"}], "keys": ["k1"],
            "proof_key": {"x": "…", "fingerprint": "3c9b-51f0-77ad-0e42-a6d8"}, "tickets": 2, "faults": ["gpio"]
        });
        let told = "machine vm-001\nline \"tray 1\": blocked (items A1, A2)\nkeys: k1\nkey of its proofs: 3c9b-51f0-77ad-0e42-a6d8\n\
            open tickets: 2\nfaults: gpio";
        assert_eq!(words(&relay), told);
    }
}
