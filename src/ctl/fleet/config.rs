//! `fleet config`: the settings of machines, signed here and taken by each machine when no customer is there.

use super::change::{self, Sending, SettingsChange};
use super::lacking::{Lack, Lacking, What};
use super::reported::{placed, print_report, read};
use super::retained::LastWords;
use super::which::Which;
use super::{run, sold};
use crate::broker::{Broker, Connection};
use crate::{keys, print};
use clap::Subcommand;
use qris_core::order::ids::ItemId;
use qris_core::order::money::Rupiah;
use qris_core::wire::topics::Topic;
use qris_host::Failure;
use qris_host::hint::plain_number;
use qris_host::mqtt::Retained;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The settings of machines.
#[derive(Subcommand, Debug)]
pub(crate) enum Config {
    /// Show which settings are in force, which wait, and what was refused. With --json: device, settings
    Get(Get),
    /// Give machines other settings. What will be different is shown first, machine by machine
    Set(Set),
    /// Compare a file with what machines have in force, their own files included. Exit status 0: nothing is different
    Diff(Diff),
    /// Show which settings came when, and who signed them, as far back as the machine's journal goes
    History {
        #[command(flatten)]
        who: Which,
        /// Your key; the default is ~/.config/qrisctl/operator.jwk
        #[arg(long, value_name = "FILE")]
        operator_key: Option<PathBuf>,
    },
}

/// Shows the settings of machines.
#[derive(clap::Args, Debug)]
pub(crate) struct Get {
    #[command(flatten)]
    who: Which,
    /// Give a text to start from: it changes nothing, and names every item that is sold. Machines that sell different things have
    /// different texts
    #[arg(long)]
    text: bool,
    /// With --text, your key; the default is ~/.config/qrisctl/operator.jwk
    #[arg(long, value_name = "FILE")]
    operator_key: Option<PathBuf>,
}

/// Compares a file with what machines have in force.
#[derive(clap::Args, Debug)]
pub(crate) struct Diff {
    /// As for `set`
    file: PathBuf,
    #[command(flatten)]
    who: Which,
    /// Leave out what a machine of an earlier release does not know
    #[arg(long)]
    skip_unknown: bool,
    /// Your key; the default is ~/.config/qrisctl/operator.jwk
    #[arg(long, value_name = "FILE")]
    operator_key: Option<PathBuf>,
}

/// Gives machines other settings. Exit status 0 if all of them have them, or will have them at their time.
#[derive(clap::Args, Debug)]
pub(crate) struct Set {
    /// A part of a qrisd.toml: [[item]], [orders], and of [device] and [screen] the names, texts and looks. The items that it names are
    /// all that will be sold
    file: PathBuf,
    #[command(flatten)]
    sending: Sending,
}

/// Changes the price of one item, and nothing else. Machines that do not sell it are left as they are. For a machine that is off this
/// computer keeps the price: `fleet list` shows it, and --due sends it.
#[derive(clap::Args, Debug)]
pub(crate) struct Price {
    /// The item
    #[arg(value_parser = ItemId::new, required_unless_present = "due", requires = "price")]
    item: Option<ItemId>,
    /// Its price in whole rupiah, without dots
    #[arg(value_name = "RUPIAH", value_parser = rupiah)]
    price: Option<Rupiah>,
    /// Send the prices that passed over machines, to those that are back: all, or those that --device names
    #[arg(long, conflicts_with_all = ["item", "price", "label", "at"])]
    due: bool,
    #[command(flatten)]
    sending: Sending,
}

fn rupiah(text: &str) -> Result<Rupiah, String> {
    let amount: u64 = text.parse().map_err(|_| match plain_number(text) {
        Some(number) => format!("must be whole rupiah in plain digits: write {number}"),
        None => "must be whole rupiah".to_owned(),
    })?;
    Rupiah::new(amount).map_err(|why| why.to_string())
}

impl Config {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        match self {
            Self::Get(get) => get.run(connection, json).await,
            Self::Set(Set { file, sending }) => {
                sending.check()?;
                let text = written(&file, sending.skip_unknown)?;
                let key = Rc::new(keys::read_operators(sending.operator_key.clone(), &connection)?);
                change::send(SettingsChange::Text(text), &sending, &key, connection, json).await
            }
            Self::Diff(Diff { file, who, skip_unknown, operator_key }) => {
                who.must_be_named()?;
                let wanted = SettingsChange::Text(written(&file, skip_unknown)?);
                let key = Rc::new(keys::read_operators(operator_key, &connection)?);
                change::compare(&wanted, &who, skip_unknown, &key, connection, json).await
            }
            Self::History { who, operator_key } => run::history(who, operator_key, connection, json).await,
        }
    }
}

impl Price {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        let Self { item, price, due: _, sending } = self;
        let Some((item, price)) = item.zip(price) else { return send_due(sending, connection, json).await };
        sending.check()?;
        let key = Rc::new(keys::read_operators(sending.operator_key.clone(), &connection)?);
        change::send(SettingsChange::Price(item, price), &sending, &key, connection, json).await
    }
}

/// Sends what passed over machines to those that are back, one after the other: each price is put into what the machine has then.
async fn send_due(mut sending: Sending, connection: Connection, json: bool) -> Result<(), Failure> {
    let due: Vec<_> = Lacking::read(&connection)?.prices().into_iter().filter(|lack| sending.who.may_be(&lack.device)).collect();
    if due.is_empty() {
        return if json { Ok(()) } else { print::line("no machine lacks a price, as far as is known here") };
    }
    let key = Rc::new(keys::read_operators(sending.operator_key.clone(), &connection)?);
    let (broker, told) = LastWords::hear(connection.clone(), &sending.who, Vec::new()).await?;
    broker.leave().await;
    let (all, mut left) = (due.len(), 0);
    for Lack { device, what, .. } in due {
        let What::Price { item, price, at } = what.clone() else { continue };
        let machine = told.called(&device);
        if told.is_off(&device) {
            left += 1;
            print::remark(&format!("{machine} is still off: it lacks {what}"));
            continue;
        }
        (sending.who, sending.at) = (Which::one(device), at);
        if let Err(why) = change::send(SettingsChange::Price(item, price), &sending, &key, connection.clone(), json).await {
            left += 1;
            print::remark(&format!("{machine}: {what}: {}", why.reason()));
        }
    }
    if left == 0 { Ok(()) } else { Err(Failure::failed(format!("{left} of {all} prices were not taken"))) }
}

impl Get {
    async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
        let Self { who, text, operator_key } = self;
        if text {
            who.must_be_named()?;
            let key = Rc::new(keys::read_operators(operator_key, &connection)?);
            return print::line(change::text_of_all(&who, &key, connection).await?.trim_end());
        }
        let mut broker = Broker::connect(connection, who.filters(Topic::ConfigReported), Retained::Always).await?;
        let messages = broker.drain().await.map_err(Failure::failed)?;
        broker.leave().await;
        for (device, reported) in who.pick(messages.iter().filter_map(read).collect())? {
            print_report(&device, &reported, json)?;
        }
        Ok(())
    }
}

/// A text in a file, if it is not wrong for every machine.
fn written(file: &Path, skip_unknown: bool) -> Result<String, Failure> {
    let text =
        std::fs::read_to_string(file).map_err(|why| Failure::usage(format!("{}: {why}; name a file with settings", file.display())))?;
    match sold::check(&text, skip_unknown) {
        Ok(left_out) => {
            for fault in left_out {
                print::remark(&format!("{}: {}: not known here, so not looked at", file.display(), placed(&fault)));
            }
            Ok(text)
        }
        Err(faults) => {
            for fault in &faults {
                print::remark(&format!("{}: {}", file.display(), placed(fault)));
            }
            Err(Failure::usage(format!("{} is wrong: nothing was sent to any machine", file.display())))
        }
    }
}
