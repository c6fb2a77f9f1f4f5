//! `fleet`: what a person at a desk does with machines far away, as an operator whose key they believe.

mod config;

use super::broker::Connection;
use clap::Subcommand;
use qris_host::Failure;

/// Machines from afar.
#[derive(Subcommand, Debug)]
pub(super) enum Fleet {
    /// Their settings: prices, names, texts, looks, times
    #[command(subcommand)]
    Config(config::Config),
}

impl Fleet {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        match self {
            Self::Config(config) => config.run(connection, json).await,
        }
    }
}
