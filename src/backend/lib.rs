//! `qris-backend`: the merchant's side of a sale. It holds the Server Key, asks the gateway for charges, and believes only
//! the gateway's own answers. It signs the receipts that open relays.
//!
//! [`books`] decides and writes, one transaction at a time; [`work`] asks the gateway; `http` and [`broker`] carry news in
//! and out.

mod cli;
mod command;
pub mod config;
pub mod counters;
mod csv;
pub mod desk;
pub mod gateway;
pub mod http;
pub mod keeping;
pub mod keys;
pub mod machines;
pub mod midtrans;
pub mod money;
mod page_key;
pub mod sale;
#[cfg(test)]
mod samples;
pub mod settings;
pub mod store;
pub mod telling;
#[cfg(test)]
mod tests;
mod together;

use cli::{BackendArguments, Command};
use config::Config;
use http::Handles;
use keeping::databases;
use keeping::overtaken;
use keys::Ring;
use machines::handle::Machines;
use machines::{devices, revoked};
use money::daily;
use qris_core::order::money::total;
use qris_host::config::{Source, is_good, remark};
use qris_host::events::Event as Journal;
use qris_host::journal::{self, emit};
use qris_host::service::Signals;
use qris_host::tls;
use qris_host::{self, Failure, Leave, commands, connections, interrupt, memory, service};
use sale::books::LeftToAPerson;
use sale::handle::{Bell, Books};
use sale::{books, work};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use store::postgres::Server;
use telling::alerts;
use telling::broker::{self, Publisher};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::time::timeout;

const NAME: &str = "qris-backend";
/// Threads of the server: it waits more than it works.
const THREADS: usize = 2;

/// The time in which the end of the program hands over what it has begun. A service manager may wait for it, and a machine too.
const LEAVE: Duration = Duration::from_secs(4);
/// The time for the last news to the broker.
const LAST_NEWS: Duration = Duration::from_secs(1);

pub fn main(arguments: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    memory::keep_private();
    let arguments: BackendArguments = match qris_host::parse(definition(), arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    journal::start(NAME);
    arguments.speak();
    let is_service = !arguments.check && matches!(arguments.command, Some(Command::Serve));
    let result = run(arguments).and_then(Leave::carry_out);
    if is_service { qris_host::exit_service(NAME, result) } else { qris_host::exit(NAME, result) }
}

#[must_use]
pub fn definition() -> clap::Command {
    let command = commands::definition::<BackendArguments>(cli::EXAMPLES);
    // What only looks at the configuration is no order to do something else.
    let beside: Vec<_> = command.get_subcommands().map(|command| command.get_name().to_owned()).filter(|name| name != "serve").collect();
    let useless = beside.iter().map(|name| (name.as_str(), &["check"][..])).chain(cli::ENGLISH.map(|name| (name, &["speak"][..])));
    commands::without(command, &useless.collect::<Vec<_>>())
}

fn run(arguments: BackendArguments) -> Result<Leave, Failure> {
    if arguments.check {
        let config = Config::examine(&arguments.config)?;
        config.remark().into_iter().for_each(|why| remark(&arguments.config, &why));
        println!("{}", is_good(&arguments.config));
        return Ok(Leave::Stop);
    }
    if let Some(Command::Init(init)) = arguments.command {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
        return runtime.block_on(interrupt::run(NAME, init.run(&arguments.config))).map(|()| Leave::Stop);
    }
    let Some(command) = arguments.command else {
        return Err(Failure::usage("the command is missing: init, serve, keys, device, orders, report … (--help lists all)"));
    };
    let (config, source) = Config::read(&arguments.config)?;
    let threads = if matches!(command, Command::Serve) { THREADS } else { 1 };
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(threads).enable_all().build().map_err(Failure::failed)?;
    if let databases::StoreLocation::Server(server) = &config.store
        && server.has_standby()
    {
        // A command is mostly over before that, and tells nothing that is not its own.
        let first = if matches!(command, Command::Serve) { Duration::ZERO } else { overtaken::EVERY };
        runtime.spawn(overtaken::follow(Server::clone(server), first));
    }
    let result = match command {
        Command::Serve => {
            config.allow_descriptors(&source)?;
            let ring = Ring::read(&config.signing_key_file).map_err(|error| fault(&source, &error))?;
            runtime.block_on(serve(config, &source, ring, &arguments.config))
        }
        command => {
            let done = runtime.block_on(cli::run(&config, &source, command)).map(|()| Leave::Stop);
            config.store.closes();
            done
        }
    };
    // A call to the gateway that hangs must not hold up the end of the program: the books know that it was made.
    runtime.shutdown_timeout(Duration::from_millis(100));
    result
}

fn fault(source: &Source, error: &keys::RingError) -> Failure {
    let mut checker = source.checker();
    checker.fault("receipts.signing_key_file", error);
    checker.finish().map_or_else(Failure::from, |()| Failure::failed(error.to_string()))
}

async fn serve(config: Config, source: &Source, ring: Ring, path: &Path) -> Result<Leave, Failure> {
    let mut signals = Signals::new();
    tls::install_provider();
    if let databases::StoreLocation::Server(server) = &config.store {
        server.prove_sessions().await.map_err(Failure::failed)?;
    }
    let (open, store) = (open_stores(&config)?, config.store.clone());
    let handles = together::handles(&config, source, ring, open.books.clone(), open.machines.clone())?;
    let Handles { around, books, work, waiters, machines, counters, place, .. } = handles.clone();
    emit(&Journal::KeyInUse { kid: books.policy().rules.keys[0].kid().to_string().into() });
    let listener =
        connections::listen(config.listen).map_err(|error| Failure::failed(format!("cannot listen at {}: {error}", config.listen)))?;
    let desk = open_desk(&config, &handles).await?;
    work.learn_time().await;
    make_ready(&open, &books, &machines, &config).await?;

    let (stop, stopping) = watch::channel(false);
    let sweep = tokio::spawn(Arc::clone(&work).sweep());
    let clock = tokio::spawn(Arc::clone(&work).watch_clock());
    let keys = tokio::spawn(keys::follow(Arc::clone(&books), config.signing_key_file.clone()));
    let others = tokio::spawn(work::follow(Arc::clone(&books), Arc::clone(&waiters)));
    let hearer = match &config.store {
        databases::StoreLocation::Server(server) => Some(tokio::spawn(work::listen(Arc::clone(&waiters), Server::clone(server)))),
        databases::StoreLocation::File(_) => None,
    };
    let tell = |tellers| {
        let read_day = daily::reader(Arc::clone(&books), Arc::clone(&machines), Arc::clone(&place));
        tokio::spawn(alerts::run(Arc::clone(&around), Arc::clone(&books), Arc::clone(&machines), place, read_day, tellers))
    };
    let teller = config.tellers.clone().map(tell);
    let end = |administrator| tokio::spawn(revoked::follow(Arc::clone(&around), Arc::clone(&machines), administrator));
    let ender = config.accounts.clone().map(end);
    let writer = config.mqtt.is_some().then(|| tokio::spawn(Arc::clone(&machines).follow_stock(config.zone, config.tellers.is_some())));
    let mut publisher = match &config.mqtt {
        Some(wanted) => {
            let settings = broker::settings(wanted).map_err(Failure::failed)?;
            let name = format!("{}:{}", wanted.host, wanted.port);
            let publisher = Publisher::new(Arc::clone(&books), Arc::clone(&machines), Arc::clone(&waiters), counters, around);
            Some(tokio::spawn(publisher.publish(name, settings)))
        }
        None => None,
    };
    let is_watched = config.mqtt.is_some() || config.tellers.is_some();
    let watcher = is_watched.then(|| tokio::spawn(machines.watch(config.tellers.is_some())));
    let desk = desk.map(|(desk, listener)| tokio::spawn(desk::serve(desk, listener, stopping.clone())));
    let mut server = tokio::spawn(http::serve(handles, config.limits.clone(), listener, stopping));
    service::status(gateway::SERVING);
    service::ready();
    emit(&Journal::Ready { program: NAME.into(), version: env!("CARGO_PKG_VERSION").into() });
    let told = tokio::select! {
        told = signals.next_good(NAME, || Config::examine(path).map(drop).map_err(Failure::from)) => told,
        _ = &mut server => return Err(Failure::ended("the server ended by itself")),
    };
    let leave = told.announce(NAME);
    // Nobody waits any longer, and nothing new is begun.
    waiters.end();
    books.ring(Bell::Outbox);
    // An error says that the server has ended already.
    let _ = stop.send(true);
    teller.into_iter().chain(watcher).chain(writer).chain([sweep, clock, keys]).for_each(|task| task.abort());
    let published = async {
        if let Some(publisher) = &mut publisher {
            let _ = timeout(LAST_NEWS, publisher).await;
        }
    };
    let _ = timeout(LEAVE, async { tokio::join!(&mut server, published, work.hand_over()) }).await;
    publisher.into_iter().chain(ender).chain(hearer).chain(desk).chain([others]).for_each(|task| task.abort());
    store.closes();
    Ok(leave)
}

async fn open_desk(config: &Config, handles: &Handles) -> Result<Option<(desk::Desk, UnixListener)>, Failure> {
    let Some(settings) = &config.desk else { return Ok(None) };
    let failed = |error| Failure::failed(format!("cannot listen at {} (desk.socket): {error}", settings.socket.display()));
    let listener = desk::listen(&settings.socket).await.map_err(failed)?;
    Ok(Some((desk::Desk::new(handles, settings, config.fees), listener)))
}

/// What is done before anybody is served.
async fn make_ready(open: &databases::Open, books: &Books, machines: &Machines, config: &Config) -> Result<(), Failure> {
    // Another process may be asking the gateway. Its questions are not given up. If it is gone, its lease ends.
    if open.is_alone {
        books.write(|tx, policy, now| books::restarted(tx, policy, now)).await.map_err(Failure::failed)?;
    }
    books.write(|tx, policy, now| books::end_offers(tx, policy, now)).await.map_err(Failure::failed)?;
    tell_of_older_refunds(books, config).await.map_err(Failure::failed)?;
    open.let_others_in().map_err(Failure::failed)?;
    tell_of_lost_machines(books, machines).await.map_err(Failure::failed)?;
    // The broker tells of many machines in the moment of the connection.
    machines.know().await;
    Ok(())
}

/// Opens the books and the machines, and tells of files that were damaged.
fn open_stores(config: &Config) -> Result<databases::Open, Failure> {
    let open = config.store.open().map_err(Failure::failed)?;
    for (path, aside) in &open.set_aside {
        let path = path.display().to_string().into();
        emit(&Journal::StoreSetAside { path, aside: aside.display().to_string().into() });
    }
    if let Some(behind) = &open.behind {
        emit(&behind.told());
    }
    Ok(open)
}

/// What does not go back by itself, although `auto_refund` is on.
async fn tell_of_older_refunds(books: &Books, config: &Config) -> Result<(), books::BooksError> {
    let left = books.write(|tx, policy, now| books::auto_refund_starts(tx, policy, now)).await?;
    if let Some(LeftToAPerson { orders, rupiah, since }) = left.filter(|left| left.orders > 0) {
        let orders = i64::try_from(orders).unwrap_or(i64::MAX);
        emit(&Journal::RefundsLeft { orders, amount: total(rupiah).into(), since: since.to_local_named(config.zone).into() });
    }
    Ok(())
}

/// There are orders, and no machine: the machines that sold them are locked out.
async fn tell_of_lost_machines(books: &Books, machines: &Machines) -> Result<(), books::BooksError> {
    let listed = machines.read(devices::list).await?;
    if listed.machines.is_empty() && listed.damaged.is_empty() && books.read(books::newest_line).await? > 0 {
        emit(&Journal::MachinesLost {});
    }
    Ok(())
}
