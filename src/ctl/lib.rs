//! `qrisctl`: a person's commands for machines. Over MQTT, for one machine or a fleet: `vend`, `cancel`, `collect`, `watch`,
//! `status`, `fleet`. Over D-Bus, on the machine itself: `order`, `relay`, and `collect` too. `screen` uses both, and draws. `setup` makes a
//! computer a machine. `doctor` looks whether the machine is well.
//!
//! Exit status: 0 done (`vend --wait`, `collect --wait`: dispensed; `cancel --wait`: cancelled), 1 failed, refused or ended
//! otherwise, 2 wrong use or configuration.

mod broker;
mod chips;
mod collect;
pub mod complete;
mod connectivity;
mod doctor;
mod examples;
mod fleet;
mod found;
mod guard;
mod hardware;
mod hold;
mod idle_level;
mod keys;
mod machine;
mod order;
mod print;
mod relay;
mod screen;
mod setup;
mod site;
mod staging;
mod status;
mod stock;
mod vend;
mod watch;

use broker::Connection;
use clap::{Parser, Subcommand};
use qris_host::{self, Failure, commands, interrupt};

const NAME: &str = "qrisctl";

pub fn main(arguments: impl Iterator<Item = std::ffi::OsString>) -> std::process::ExitCode {
    let arguments: Vec<_> = arguments.collect();
    if complete::answers(&arguments, definition) {
        return std::process::ExitCode::SUCCESS;
    }
    let arguments: Arguments = match qris_host::parse(definition(), arguments.into_iter()) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    qris_host::exit(NAME, run(arguments))
}

#[must_use]
pub fn definition() -> clap::Command {
    let command = commands::without(commands::definition::<Arguments>(examples::EXAMPLES), USELESS);
    let of_doctor = [
        ("config", "The qrisd.toml to check, with the relay.toml beside it"),
        ("username", "The fleet's name at the broker: with it, it is tried too what the machine hears there"),
        ("password_file", "A file that holds the fleet's password"),
    ];
    let named = |(id, help): (&str, &'static str)| {
        let option = command.get_arguments().find(|option| option.get_id() == id).cloned();
        option.map(|option| option.help(help).help_heading(None::<&'static str>).display_order(900))
    };
    let options: Vec<_> = of_doctor.into_iter().filter_map(named).collect();
    command.mut_subcommand("doctor", |doctor| doctor.args(options))
}

/// The options of the broker, and the names of their values in the file.
const OF_BROKER: &[&str] = &["config", "context", "broker", "username", "password_file", "ca_file", "cert_file", "key_file"];
/// What asks no broker takes none of its options. `doctor` and `setup` say themselves what theirs mean.
const USELESS: &[(&str, &[&str])] = &[
    ("hold", OF_BROKER),
    ("keys", OF_BROKER),
    ("order", OF_BROKER),
    ("relay", OF_BROKER),
    ("stock", OF_BROKER),
    ("screen render", OF_BROKER),
    ("screen states", OF_BROKER),
    ("screen test", OF_BROKER),
    (chips::LABEL_COMMAND, OF_BROKER),
    (setup::card::COMMAND, OF_BROKER),
    ("setup", &["config", "context"]),
    ("doctor", &["context", "broker", "ca_file", "cert_file", "key_file"]),
];

fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { connection, json, command } = arguments;
    // A command that needs the broker tells of a wrong file later. Other commands do not need the file.
    if let Ok(Some(zone)) = connection.zone() {
        qris_host::zone::tell_in(zone);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    runtime.block_on(async {
        match command {
            Command::Vend(vend) => vend.run(connection, json).await,
            Command::Cancel(cancel) => cancel.run(connection, json).await,
            Command::Collect(collect) => collect.run(connection, json).await,
            Command::Watch(watch) => watch.run(connection, json).await,
            Command::Status(status) => status.run(connection, json).await,
            Command::Fleet(fleet) => fleet.run(connection, json).await,
            Command::Hold(hold) => hold.run(json).await,
            Command::Keys(keys) => keys.run(json),
            Command::Order(order) => order.run(json).await,
            Command::Relay(relay) => relay.run(json).await,
            Command::Stock(stock) => stock.run(json).await,
            Command::Screen(screen) => screen.run(connection, json).await,
            Command::Setup(setup) => interrupt::run(NAME, setup.run(connection, json)).await,
            Command::ChipLabel { device } => print::line(&hardware::chip(&device).map_err(Failure::failed)?.label),
            Command::ReadCard(read) => read.run(),
            Command::Doctor(doctor) => interrupt::run(NAME, doctor.run(connection, json)).await,
        }
    })
}

/// Sell at, cancel at, watch and examine machines that take QRIS.
#[derive(Parser, Debug)]
#[command(
    name = "qrisctl",
    after_help = "Exit status: 0 done (vend --wait, collect --wait: dispensed; cancel --wait: cancelled), 1 failed, refused or ended otherwise, 2 wrong use or configuration."
)]
struct Arguments {
    /// JSON, one object a line
    #[arg(long, global = true, display_order = 900)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Ask a machine to sell something
    Vend(vend::Vend),
    /// Cancel a request
    Cancel(vend::Cancel),
    /// Hand out an item that was paid at a store, by its payment code
    Collect(collect::Collect),
    /// Show events and status of machines as they come
    Watch(watch::Watch),
    /// Show the last status of machines
    Status(status::Status),
    /// Look after machines from afar: list and watch them, change settings and prices, give commands
    #[command(subcommand)]
    Fleet(fleet::Fleet),
    /// On the machine: let it sell nothing while it is looked after
    Hold(hold::Hold),
    /// Make an operator's key; on the machine: say whose keys it believes
    #[command(subcommand)]
    Keys(keys::Keys),
    /// On the machine: show the order that it is serving
    Order(order::CurrentOrder),
    /// On the machine: look at the relay service, or clear a blocked line
    Relay(relay::Relay),
    /// On the machine: show what lies in its slots, or say what you have put in
    Stock(stock::Stock),
    /// Look at a machine's screen, try a panel, or draw any state without a machine
    Screen(screen::Screen),
    /// On the machine: set it up to sell
    Setup(Box<setup::Setup>),
    /// On the machine: check everything that selling needs
    Doctor(doctor::Doctor),
    /// For our rule of udev: the label of a GPIO chip
    #[command(name = chips::LABEL_COMMAND, hide = true)]
    ChipLabel { device: std::path::PathBuf },
    /// For the first boot of an SD card: what its qrisd-setup.txt says
    #[command(name = setup::card::COMMAND, hide = true)]
    ReadCard(setup::card::ReadCard),
}
