//! `fleet`: what a person at a desk does with machines far away, as an operator whose key they believe.

mod change;
mod config;
mod diff;
mod ends;
mod lacking;
mod list;
mod progress;
mod reported;
mod retained;
mod run;
mod show;
mod sold;
mod stock;
mod what;
mod which;

use super::broker::Connection;
use clap::Subcommand;
use qris_host::Failure;

/// Machines from afar.
#[derive(Subcommand, Debug)]
pub(super) enum Fleet {
    /// Show the machines in a table: on line or not, release, settings, what is wrong
    List(list::List),
    /// The same table, live
    Watch(list::Watch),
    /// Show what machines last told: faults, settings, what was sold, the computer
    Show(show::Show),
    /// Show what lies in their slots, as each told last
    Stock(stock::Stock),
    /// Their settings: prices, names, texts, looks, times
    #[command(subcommand)]
    Config(config::Config),
    /// Change the price of one item, and nothing else, whatever else each machine sells
    Price(config::Price),
    /// Have machines do something: each command is signed, and carried out once
    Run(run::Run),
}

impl Fleet {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(connection, json).await,
            Self::Watch(watch) => watch.run(connection, json).await,
            Self::Show(show) => show.run(connection, json).await,
            Self::Stock(stock) => stock.run(connection, json).await,
            Self::Config(config) => config.run(connection, json).await,
            Self::Price(price) => price.run(connection, json).await,
            Self::Run(run) => run.run(connection, json).await,
        }
    }
}
