//! `relay lines` and `relay clear`: the relay service of this machine.

use super::machine::{Bus, Properties, Service, ServiceError};
use super::print;
use clap::Subcommand;
use qris_core::order::ids::ItemId;
use qris_core::order::proof::RelayKey;
use qris_core::wire::dbus::{RELAY_FACTS, RELAY_NAME, RELAY_PATH};
use qris_core::wire::relay::RelayFacts;
use qris_host::Failure;
use qris_host::config::BusAddress;
use serde_json::json;

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
                let relay = service.properties().await.and_then(facts).map_err(Failure::failed)?;
                let words = || relay.in_words().iter().map(|line| print::plain(line)).collect::<Vec<_>>().join("\n");
                print::line(&if json { json!(relay).to_string() } else { words() })
            }
            Command::Clear { bus, item } => {
                let service = Service::connect(&bus, RELAY_NAME, RELAY_PATH).await?;
                service.call("Clear", item.as_str()).await.map_err(Failure::failed)?;
                if json { print::line(&json!({ "item": item, "outcome": "cleared" }).to_string()) } else { Ok(()) }
            }
        }
    }
}

pub(super) fn facts(mut properties: Properties) -> Result<RelayFacts, ServiceError> {
    let json: String = properties.take(RELAY_FACTS)?;
    serde_json::from_str(&json).map_err(|_| ServiceError::Property { service: RELAY_NAME, property: RELAY_FACTS })
}

pub(super) async fn proof_key(bus: &BusAddress) -> Result<RelayKey, Failure> {
    let service = Service::connect_at(bus, RELAY_NAME, RELAY_PATH).await?;
    let key = service.properties().await.and_then(facts).map_err(Failure::failed)?.proof_key;
    key.map(|key| key.x).ok_or_else(|| Failure::failed("the relay service has no key: its ledger cannot be had"))
}
