//! `qris-relayd`: the only program that drives the relay. It believes only the receipt keys, remembers every order that it
//! drove for, and has no network.
//!
//! To follow the promise, read `order::ledger` first: what a receipt opens. Then read [`dispenser`]: what is committed when. Last read
//! [`outlet::line`]: a line is active only inside a pulse. [`bus`] and this file carry data in and out.

pub mod bus;
pub mod chip;
pub mod config;
pub mod dispenser;
pub mod held;
mod input;
pub mod ledger;
pub mod outlet;
pub mod pin;
pub mod settings;
pub mod store;
pub mod threads;

use bus::{SIGNALS_MAX, Service, Signal};
use config::{Chips, Config, SERVICE_SWITCH};
use dispenser::Dispenser;
use held::Held;
use outlet::Outlet;
use pin::HardwareError;
use qris_core::wire::relay::{LineCondition, RelayFault};
use qris_host::arguments::Usage;
use qris_host::config::{BusAddress, Faults, is_good};
use qris_host::events::Event;
use qris_host::journal::{self, emit};
use qris_host::service::Signals;
use qris_host::{self, Failure, Leave, memory, random, service, speech};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use threads::{ThreadReport, Watched};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

const PROGRAM: &str = "qris-relayd";
/// A record that the ledger did not take is tried again this often, and a driven line is looked after.
const TICK: Duration = Duration::from_secs(1);
/// While there is nothing to look after, the program wakes up this often.
const IDLE: Duration = Duration::from_secs(60);
/// At a stop a pulse may go on for this time: the program must end within 2 s.
const FINISH_WITHIN: Duration = Duration::from_millis(1400);
/// After that a line has this time to say that it is inactive.
const STOP_WITHIN: Duration = Duration::from_millis(150);
/// The last answers leave within this time.
const ANSWERS_LEAVE: Duration = Duration::from_millis(50);

pub const USAGE: Usage = Usage {
    program: PROGRAM,
    about: "Drives the lines of one machine: once for each receipt that proves a payment",
    config: "/etc/qrisd/relay.toml",
    instead: &[("check", "Say what is wrong with the configuration, then end"), ("safe", "Set all lines inactive, then end")],
    examples: &[
        ("Is the configuration good?", "qris-relayd --check"),
        ("Set all lines inactive", "qris-relayd --safe"),
        ("Run it as a service", "systemctl enable --now qris-relayd"),
    ],
};

pub fn main(arguments: impl Iterator<Item = std::ffi::OsString>) -> std::process::ExitCode {
    memory::keep_private();
    let arguments = match USAGE.read(arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    match arguments.instead {
        Some("check") => {
            speech::speak(None);
            qris_host::exit(PROGRAM, check(&arguments.config).map_err(Failure::from))
        }
        Some(_) => qris_host::exit(PROGRAM, make_safe(&arguments.config)),
        None => qris_host::exit_service(PROGRAM, run(&arguments.config).and_then(Leave::carry_out)),
    }
}

/// `--check`: everything that is wrong with the configuration, and with what it must agree with.
fn check(path: &Path) -> Result<(), Faults> {
    Config::examine(path, Chips::Opened)?;
    println!("{}", is_good(path));
    Ok(())
}

/// The chips are not looked at, since this is for a service that is to begin anew. A chip that is gone just then is the
/// service's fault `gpio`, and keeps nothing else from working.
fn examine(path: &Path) -> Result<(), Faults> {
    Config::examine(path, Chips::Unseen).map(drop)
}

/// `--safe`: sets all lines inactive that the last run held; without a list, those of the configuration. A line that refuses
/// does not stop the others. A configuration that has become unreadable does not stop them either.
fn make_safe(path: &Path) -> Result<(), Failure> {
    let config = Config::load(path);
    let ledger = config.as_ref().map_or_else(|_| Config::ledger_of(path), |config| config.ledger.clone());
    let held = held::read(&ledger);
    let known = held.is_some();
    let lines = held.unwrap_or_else(|| config.iter().flat_map(|config| &config.lines).map(Held::of).collect());
    let errors: Vec<_> = lines.iter().filter_map(|line| line.make_safe().err().map(|why| format!("{}: {why}", line.name))).collect();
    if !errors.is_empty() {
        return Err(Failure::failed(errors.join("; ")));
    }
    held::forget(&ledger);
    if known { Ok(()) } else { config.map(drop).map_err(Failure::from) }
}

/// The service. The order is: lines inactive, interrupted orders written as uncertain, bus name taken.
fn run(path: &Path) -> Result<Leave, Failure> {
    memory::keep_little();
    journal::start(PROGRAM);
    let config = Config::load(path)?;
    journal::belongs_to(&config.device);
    let lines: Vec<_> = config.lines.iter().map(Held::of).collect();
    if let Err(why) = held::write(&config.ledger, &lines) {
        // Then `--safe` uses the configuration. A ledger on the same disk tells its own fault.
        eprintln!("{PROGRAM}: the list of lines beside {} cannot be written: {why}", config.ledger.display());
    }
    let outlets = open(&config);
    let mut dispenser = Dispenser::new(&config, Box::new(random::fill));
    for (index, outlet) in outlets.iter().enumerate() {
        dispenser.hardware(index, threads::told(outlet));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    runtime.block_on(work(path, config, outlets, dispenser))
}

type Opened = Result<Box<dyn Outlet>, HardwareError>;

/// Opens all outlets, which brings each to rest.
fn open(config: &Config) -> Vec<Opened> {
    config.lines.iter().map(|line| line.outlet.open(&line.name)).collect()
}

async fn work(path: &Path, config: Config, outlets: Vec<Opened>, dispenser: Dispenser) -> Result<Leave, Failure> {
    let mut signals_in = Signals::new();
    // The number of waiting messages is bounded: each line has one end at a time, and buttons are pressed by people.
    let (reports, mut reports_rx) = mpsc::unbounded_channel();
    let (signals, signals_rx) = mpsc::channel(SIGNALS_MAX);
    let service = Arc::new(start_parts(&config, outlets, dispenser, &reports, signals)?);
    // The findings of the start are told before anybody can ask.
    service.with(|_| ());
    let bus_trouble = BusTrouble::default();
    let bus = tokio::spawn(serve_bus(config.bus, Arc::clone(&service), signals_rx, bus_trouble.clone()));
    let watchdog = service::watchdog_interval();
    let rest = watchdog.map_or(IDLE, |interval| IDLE.min(interval / 2));
    let mut ticked = Instant::now();
    let mut status = String::new();
    let mut leaves = false;
    loop {
        let next = ticked + if service.with(|dispenser| dispenser.needs_care()) { TICK.min(rest) } else { rest };
        tokio::select! {
            request = signals_in.next_good(PROGRAM, || examine(path).map_err(Failure::from)) => match request.announce(PROGRAM) {
                Leave::Stop => break,
                // A running delivery goes on to its end; nothing new is promised meanwhile.
                Leave::BeginAnew => {
                    leaves = true;
                    service.with(Dispenser::stop);
                }
            },
            Some(report) = reports_rx.recv() => service.report(report),
            // A call may have changed what is to be looked after.
            () = service.acted() => tell_status(&mut status, &service, &bus_trouble),
            () = sleep_until(next) => {
                // The watchdog is fed from here, through the dispenser. If either is stuck, nobody feeds it.
                ticked = Instant::now();
                service.with(Dispenser::tick);
                if watchdog.is_some() {
                    service::watchdog();
                }
                tell_status(&mut status, &service, &bus_trouble);
            }
        }
        if leaves && !service.with(|dispenser| dispenser.is_driving()) {
            sleep(ANSWERS_LEAVE).await;
            bus.abort();
            return Ok(Leave::BeginAnew);
        }
    }
    finish(&service, &mut reports_rx).await;
    bus.abort();
    Ok(Leave::Stop)
}

fn start_parts(
    config: &Config,
    outlets: Vec<Opened>,
    dispenser: Dispenser,
    reports: &mpsc::UnboundedSender<ThreadReport>,
    signals: mpsc::Sender<Signal>,
) -> Result<Service, Failure> {
    let mut lines = Vec::new();
    for (index, (settings, outlet)) in config.lines.iter().zip(outlets).enumerate() {
        lines.push(threads::start(index, settings.clone(), outlet, reports.clone()).map_err(Failure::failed)?);
        if let Some(pin) = &settings.clear_button {
            let watched = Watched::ClearButton(index);
            threads::watch_button(pin.clone(), reports.clone(), watched, settings.clear_button_name()).map_err(Failure::failed)?;
        }
    }
    for (index, button) in config.buttons.iter().enumerate() {
        threads::watch_button(button.pin.clone(), reports.clone(), Watched::Button(index), button.name()).map_err(Failure::failed)?;
    }
    if let Some(pin) = &config.service_switch {
        threads::watch_button(pin.clone(), reports.clone(), Watched::ServiceSwitch, SERVICE_SWITCH.into()).map_err(Failure::failed)?;
    }
    Ok(Service::new(dispenser, lines, config.buttons.iter().map(|button| button.item.clone()).collect(), signals))
}

/// The reason why the interface cannot be reached, if there is one.
type BusTrouble = Arc<Mutex<Option<String>>>;

/// Serves the interface and sends signals. The program is ready once the first attempt has ended, even without success: it
/// is safe, and the attempts go on.
async fn serve_bus(address: BusAddress, service: Arc<Service>, mut signals: mpsc::Receiver<Signal>, trouble: BusTrouble) {
    let note = |why: Option<String>| *trouble.lock().unwrap_or_else(PoisonError::into_inner) = why;
    let mut served = bus::start(&address, &service);
    match served.ready().await {
        Ok(()) => note(None),
        Err(why) => {
            emit(&Event::BusGone { why: why.to_string().into() });
            note(Some(why.to_string()));
        }
    }
    tell_status(&mut String::new(), &service, &trouble);
    service::ready();
    emit(&Event::Ready { program: PROGRAM.into(), version: env!("CARGO_PKG_VERSION").into() });
    let mut was_there = !served.connections().is_empty();
    loop {
        tokio::select! {
            Some(signal) = signals.recv() => bus::emit(&served, signal).await,
            () = served.changed() => {
                let is_there = !served.connections().is_empty();
                match (was_there, is_there) {
                    (false, true) => note(None),
                    // Without a bus each connection is a caller. It is no fault if there is none.
                    (true, false) if !matches!(address, BusAddress::Peer(_)) => {
                        emit(&Event::BusGone { why: "the connection was lost".into() });
                        note(Some("the connection to the bus was lost".into()));
                    }
                    (true, false) | (false, false) | (true, true) => {}
                }
                was_there = is_there;
            }
        }
    }
}

/// Tells the service manager how things are, when that changed.
fn tell_status(told: &mut String, service: &Service, trouble: &BusTrouble) {
    let (lines, faults) = service.with(|dispenser| (dispenser.lines(), dispenser.faults()));
    let ready = lines.iter().filter(|line| line.state != LineCondition::Blocked).count();
    let mut status = format!("{ready} of {} lines can be driven", lines.len());
    if !faults.is_empty() {
        let faults: Vec<_> = faults.iter().map(RelayFault::as_str).collect();
        status = format!("{status}; faults: {}", faults.join(" "));
    }
    if let Some(why) = trouble.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        status = format!("{status}; no bus: {why}");
    }
    if *told != status {
        service::status(&status);
        *told = status;
    }
}

/// Ends what runs. A pulse that is soon over is waited for; any other is cut short and uncertain. Nothing is lost.
async fn finish(service: &Service, reports: &mut mpsc::UnboundedReceiver<ThreadReport>) {
    service.with(Dispenser::stop);
    if !service.with(|dispenser| dispenser.is_driving()) {
        return;
    }
    if timeout(FINISH_WITHIN, until_idle(service, reports)).await.is_err() {
        service.stop_lines();
        // A line that does not answer waits in a call that blocks. The end of the program ends it.
        drop(timeout(STOP_WITHIN, until_idle(service, reports)).await);
        service.with(Dispenser::give_up);
    }
    sleep(ANSWERS_LEAVE).await;
}

async fn until_idle(service: &Service, reports: &mut mpsc::UnboundedReceiver<ThreadReport>) {
    while service.with(|dispenser| dispenser.is_driving()) {
        match reports.recv().await {
            Some(report) => service.report(report),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests;
