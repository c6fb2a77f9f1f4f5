//! The commands beside `serve`: keys, devices, orders. Each opens the books for a moment, also while `serve` runs.

use super::books::{self, Filter, Stored};
use super::config::Config;
use super::devices;
use super::keys::Ring;
use super::store::Store;
use super::view;
use crate::host::events::{Event as Journal, emit};
use crate::host::{Failure, clock};
use crate::order::ids::{DeviceId, KeyId, OrderId};
use crate::order::merchant::State;
use base64::Engine as _;
use clap::{Args, Parser, Subcommand};
use ring::rand::{SecureRandom, SystemRandom};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

/// The merchant's backend: asks Midtrans for charges, and signs receipts for what was paid.
#[derive(Debug, Parser)]
#[command(name = "qris-backend")]
pub struct Arguments {
    /// The configuration
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/qris-backend/backend.toml")]
    pub config: PathBuf,
    /// Read the configuration, say what is wrong with it, and end
    #[arg(long, global = true)]
    pub check: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve machines, Midtrans and customers
    Serve,
    /// The keys that sign receipts
    #[command(subcommand)]
    Keys(Keys),
    /// The machines that are let in
    #[command(subcommand)]
    Device(Devices),
    /// List orders, or show one with its history
    Orders(Orders),
}

/// The keys that sign receipts.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key and write it to `receipts.signing_key_file`
    New {
        /// Add it to those that are there; `keys use` then signs with it
        #[arg(long)]
        rotate: bool,
    },
    /// Write the JWK Set for the keys.json of machines to standard output
    Public,
    /// Sign with this key from the next start of `serve` on
    Use {
        /// Its name
        kid: String,
    },
}

/// The machines that are let in.
#[derive(Debug, Subcommand)]
pub enum Devices {
    /// Let a machine in; its new token is written to standard output, once
    Add {
        /// Its name
        id: String,
    },
    /// List machines
    List,
    /// Let a machine in no more
    Revoke {
        /// Its name
        id: String,
    },
}

/// Which orders.
#[derive(Debug, Args)]
pub struct Orders {
    /// Only those whose customer is owed the money
    #[arg(long, conflicts_with_all = ["attention", "order"])]
    refund_due: bool,
    /// Only those at which a person must look
    #[arg(long, conflicts_with = "order")]
    attention: bool,
    /// One order, with its history
    order: Option<String>,
}

/// Runs a command other than `serve`.
///
/// # Errors
/// What went wrong, and whether it is the use.
pub async fn run(config: &Config, command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve => unreachable!("serve is not run from here"),
        Command::Keys(keys) => run_keys(config, keys),
        Command::Device(device) => run_device(config, device).await,
        Command::Orders(orders) => run_orders(config, orders).await,
    }
}

fn run_keys(config: &Config, keys: Keys) -> Result<(), Failure> {
    let path = &config.signing_key_file;
    match keys {
        Keys::New { rotate } => {
            let kid = Ring::make(path, rotate).map_err(Failure::failed)?;
            say(&format!("{kid}\n"))
        }
        Keys::Public => {
            let ring = Ring::read(path).map_err(Failure::failed)?;
            say(&ring.public(&config.issuer))
        }
        Keys::Use { kid } => {
            let kid = KeyId::new(&kid).map_err(Failure::usage)?;
            Ring::choose(path, &kid).map_err(Failure::failed)?;
            eprintln!("restart `qris-backend serve` to sign with {kid}");
            Ok(())
        }
    }
}

async fn run_device(config: &Config, command: Devices) -> Result<(), Failure> {
    let store = Store::open(&config.store).map_err(Failure::failed)?.store;
    let now = clock::now().wall;
    match command {
        Devices::Add { id } => {
            let device = DeviceId::new(&id).map_err(Failure::usage)?;
            let mut bits = [0; 32];
            SystemRandom::new().fill(&mut bits).expect("the kernel has randomness");
            let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bits);
            let (hash, wanted) = (devices::hash(&token), device.clone());
            store.run(move |tx| devices::add(tx, &wanted, &hash, now)).await.map_err(Failure::failed)?;
            emit(&Journal::DeviceAdded { device });
            say(&format!("{token}\n"))
        }
        Devices::List => {
            let list = store.read(devices::list).await.map_err(Failure::failed)?;
            let line = |device: &devices::Device| match device.revoked {
                None => format!("{}\tadded {}\n", device.id, device.added),
                Some(at) => format!("{}\tadded {}\trevoked {at}\n", device.id, device.added),
            };
            say(&list.iter().map(line).collect::<String>())
        }
        Devices::Revoke { id } => {
            let device = DeviceId::new(&id).map_err(Failure::usage)?;
            let wanted = device.clone();
            if !store.run(move |tx| devices::revoke(tx, &wanted, now)).await.map_err(Failure::failed)? {
                return Err(Failure::failed(format!("there is no device {device}")));
            }
            emit(&Journal::DeviceRevoked { device });
            Ok(())
        }
    }
}

async fn run_orders(config: &Config, wanted: Orders) -> Result<(), Failure> {
    let store = Store::open(&config.store).map_err(Failure::failed)?.store;
    let Some(id) = wanted.order else {
        let filter = match (wanted.refund_due, wanted.attention) {
            (true, _) => Filter::RefundDue,
            (false, true) => Filter::Attention,
            (false, false) => Filter::All,
        };
        let orders = store.read(move |tx| books::list(tx, filter)).await.map_err(Failure::failed)?;
        return say(&orders.iter().map(line).collect::<String>());
    };
    let id = OrderId::new(&id).map_err(Failure::usage)?;
    let wanted = id.clone();
    let found = store.read(move |tx| Ok::<_, books::BooksError>((books::load(tx, &wanted)?, books::history(tx, &wanted)?))).await;
    let (Some(stored), history) = found.map_err(Failure::failed)? else {
        return Err(Failure::failed(format!("there is no order {id}")));
    };
    let mut text = line(&stored);
    for past in history {
        writeln!(text, "  {}  {}", past.at, past.event).expect("a string takes all");
    }
    say(&text)
}

/// An order in one line, its columns parted by tabs.
fn line(stored: &Stored) -> String {
    let order = &stored.order;
    let sale = &order.sale;
    let word = |word: Option<&'static str>| word.unwrap_or("-");
    let outcome = word(order.delivery.as_ref().map(|told| told.outcome.as_str()));
    let why = match &order.state {
        State::Withheld { why, .. } => format!("{why:?}").to_lowercase(),
        State::Charging { .. }
        | State::Pending { .. }
        | State::Cancelling { .. }
        | State::Held { .. }
        | State::Closed { .. }
        | State::Settled { .. }
        | State::Refunded { .. } => {
            if order.conflict {
                "two outcomes were told".into()
            } else {
                String::new()
            }
        }
    };
    let refund = if order.is_refund_due() { "refund due" } else { "-" };
    let status = view::status(order).as_str();
    let (id, device, item, amount, at) = (&order.id, &sale.device, &sale.item, sale.amount, order.created_at);
    format!("{at}\t{id}\t{device}\t{}\t{item}\t{amount}\t{status}\t{outcome}\t{refund}\t{why}\n", sale.request_id)
}

fn say(text: &str) -> Result<(), Failure> {
    std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush()).map_err(Failure::failed)
}
