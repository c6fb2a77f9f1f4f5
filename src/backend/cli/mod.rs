//! The commands beside `serve`, each in a file. They open the books while `serve` may be running. Its sweep takes their
//! writes up within a second. They read only committed data.

mod archive;
mod backup;
mod copy;
mod desk;
mod device;
mod doctor;
mod examples;
mod init;
mod keys;
mod named;
mod opening;
mod orders;
mod print;
mod progress;
mod reconcile;
mod refund;
mod report;
mod restore;
mod stock;
mod text;
mod time;

pub use examples::EXAMPLES;

use super::config::Config;
use clap::{Parser, Subcommand};
use qris_host::config::Source;
use qris_host::speech::{self, Language};
use qris_host::{Failure, clock};
use std::path::PathBuf;

/// The merchant's backend: asks the gateway for charges, and signs receipts for what was paid.
#[derive(Debug, Parser)]
#[command(name = "qris-backend")]
pub struct BackendArguments {
    /// The configuration
    #[arg(long, global = true, display_order = 900, value_name = "FILE", default_value = "/etc/qris-backend/backend.toml")]
    pub config: PathBuf,
    /// Read the configuration, say what is wrong with it, and end
    #[arg(long, global = true, display_order = 901)]
    pub check: bool,
    /// The language of what a person reads; by default that of your locale (LANG=id_ID.UTF-8), else English
    #[arg(long, global = true, display_order = 902, value_name = "LANGUAGE", value_parser = speech::language())]
    pub speak: Option<Language>,
    /// What to do
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl BackendArguments {
    /// Chooses the language for a person who reads what this prints. Programs read English: objects, CSV and what stands beside them.
    pub fn speak(&self) {
        if self.command.as_ref().map_or(self.check, Command::is_for_a_person) {
            speech::speak(self.speak);
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve machines, the gateway and customers
    Serve,
    /// Make this computer a merchant's server: configuration, keys, a broker if wanted, and the first machine
    Init(Box<init::Init>),
    /// The keys that sign receipts
    #[command(subcommand)]
    Keys(keys::Keys),
    /// The machines that are let in
    #[command(subcommand)]
    Device(device::Devices),
    /// The people who look at orders and machines on their phones, and settle what is owed
    #[command(subcommand)]
    Desk(desk::Desk),
    /// List orders, or show one with its history
    Orders(orders::Orders),
    /// Give an order's money back
    Refund(refund::Refund),
    /// Record that an attendant handed the goods over: there will be no refund
    Given(refund::Given),
    /// Offer a customer another try at the machine, at an order of which nothing came by its relay's proof
    Again(refund::Again),
    /// Record that a person has seen an order that is listed for something that no refund ends (a chargeback, a late outcome …)
    ///
    /// An order that is listed as unconfirmed ends with it: nothing is handed out for it any more.
    Seen(refund::Seen),
    /// Show what was paid on a day, and what became of it
    Report(report::ReportArguments),
    /// Show what is in the machines, or what to bring to them
    Stock(stock::StockArguments),
    /// Ask the gateway about every order of a day, and list each difference
    Reconcile(reconcile::Reconcile),
    /// Copy the books and the machines to a file, while `serve` runs
    Backup(backup::Backup),
    /// Put a copy of the books back, while `serve` does not run, and list what it cannot know
    Restore(restore::Restore),
    /// Copy the books and the machines from SQLite to PostgreSQL, and compare each row
    Copy(copy::Copy),
    /// Take orders that are over out of the books, into a file; also while `serve` runs
    Archive(archive::Archive),
    /// Check everything that selling needs
    Doctor(doctor::Doctor),
}

/// The commands that speak English only. `init` chooses by itself, and has `device add` speak as it does.
pub const ENGLISH: [&str; 7] = ["archive", "backup", "copy", "device", "keys", "restore", "serve"];

impl Command {
    const fn is_for_a_person(&self) -> bool {
        match self {
            Self::Orders(wanted) => wanted.is_for_a_person(),
            Self::Refund(wanted) => !wanted.json,
            Self::Given(wanted) => !wanted.json,
            Self::Again(wanted) => !wanted.json,
            Self::Seen(wanted) => !wanted.json,
            Self::Report(wanted) => wanted.is_for_a_person(),
            Self::Stock(wanted) => wanted.is_for_a_person(),
            Self::Reconcile(wanted) => !wanted.json,
            Self::Doctor(wanted) => !wanted.json,
            Self::Desk(_) => true,
            Self::Serve
            | Self::Init(_)
            | Self::Keys(_)
            | Self::Device(_)
            | Self::Backup(_)
            | Self::Restore(_)
            | Self::Copy(_)
            | Self::Archive(_) => false,
        }
    }
}

/// Runs a command other than `serve`.
pub async fn run(config: &Config, source: &Source, command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve | Command::Init(_) => unreachable!("these are not run from here"),
        Command::Keys(command) => keys::run(config, command),
        Command::Device(command) => device::run(config, command).await,
        Command::Desk(command) => desk::run(config, command).await,
        Command::Orders(wanted) => orders::run(config, wanted).await,
        Command::Refund(wanted) => refund::refund(config, source, wanted).await,
        Command::Given(wanted) => refund::given(config, wanted).await,
        Command::Again(wanted) => refund::again(config, wanted).await,
        Command::Seen(wanted) => refund::seen(config, wanted).await,
        Command::Report(wanted) => report::run(config, wanted, clock::now().wall).await,
        Command::Stock(wanted) => stock::run(config, wanted).await,
        Command::Reconcile(wanted) => reconcile::run(config, source, wanted).await,
        Command::Archive(wanted) => archive::run(config, wanted).await,
        Command::Copy(wanted) => copy::run(&wanted),
        Command::Backup(wanted) => backup::run(config, wanted),
        Command::Restore(wanted) => restore::run(config, wanted),
        Command::Doctor(wanted) => doctor::run(config, source, wanted).await,
    }
}
