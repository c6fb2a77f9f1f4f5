//! Real programs, a real Mosquitto and a real dbus-daemon, while a seeded loop kills, stops and starts them and cuts the
//! network between them, and customers buy. When everything is well again, every order comes to its end within a bounded
//! time, every machine sells as if nothing had been, what is due goes back through Midtrans, and the books of Midtrans,
//! backend, machine and relay agree.
//!
//! A sale is what was paid and handed out. Several machines run side by side, each with a whole shop of its own: most of a
//! sale is waiting. `tests/run --sales N --seed S` goes on until N sales were made; so do `QRIS_SALES` and `QRIS_SEED` in the
//! environment of the test.

mod books;
mod customers;
mod database;
mod harm;

use crate::rig::shop::Shop;
use customers::Customer;
use harm::{MIDTRANS_FAULTS, Ordeal};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// Machines side by side.
const MACHINES: u64 = 10;
/// A machine that sells so slowly is stuck: a sale takes a second without harm, and every harm ends within eight.
const SALE_AT_MOST: Duration = Duration::from_secs(60);
/// From so many sales on, everything that can be done to a machine was done at least once.
const EVERYTHING_FROM: u64 = 300;
/// What that is, with every fault of Midtrans, as the figures name it.
const EVERYTHING: &str = "requests over MQTT, requests over D-Bus, payments, late payments, payments at a store, cancels, \
    collected with a code, refused, kill -9 Program(Qrisd), kill -9 Program(Relayd), kill -9 Program(Backend), kill -9 Broker, \
    kill -9 Bus, kill -9 both, brokers that forgot, SIGTERM, SIGSTOP, Broker Cut, Backend Cut, Midtrans Cut, Broker Silent, \
    Backend Silent, Midtrans Silent, Backend answered by another, Midtrans answered by another, struck when Asked, \
    struck when Shown, struck when Scanned, struck when Paid, struck when Dispensing, struck when Pulse, struck when Dispensed, \
    sold after healing, refunded through Midtrans, refunds with a fault";
/// The same where books are in PostgreSQL.
const EVERYTHING_IN_POSTGRESQL: &str = "kill -9 SecondBackend, kill -9 Database, kill -9 Standby, fail-overs, fail-overs beside the old primary, \
    Database Cut, Database Silent";

#[test]
#[ignore = "minutes, and everything is busy: `tests/run` gives it a step of its own"]
fn many_sales_while_everything_is_killed() {
    let sales = number("QRIS_SALES").unwrap_or(300);
    run(number("QRIS_MACHINES").unwrap_or(MACHINES), sales, number("QRIS_SEED").unwrap_or(1));
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text:?} is no number")))
}

fn run(machines: u64, sales: u64, seed: u64) {
    println!("killed: seed {seed}, {sales} sales at {machines} machines");
    let start = Instant::now();
    let threads: Vec<_> = (0..machines)
        .map(|i| {
            let share = sales / machines + u64::from(i < sales % machines);
            std::thread::spawn(move || one_machine(seed.wrapping_mul(1_000).wrapping_add(i), i, share))
        })
        .collect();
    let mut figures: BTreeMap<String, u64> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (i, thread) in threads.into_iter().enumerate() {
        match thread.join() {
            Ok(Ok(of_one)) => of_one.into_iter().for_each(|(name, count)| *figures.entry(name).or_default() += count),
            Ok(Err(told)) => wrong.push(format!("machine {i}: {told}")),
            Err(_) => wrong.push(format!("machine {i}: the test itself panicked")),
        }
    }
    let told = figures.iter().fold(String::new(), |mut text, (name, count)| {
        let _ = write!(text, ", {name} {count}");
        text
    });
    println!("killed: seed {seed}, {} s{told}", start.elapsed().as_secs());
    if wrong.is_empty() {
        wrong = missing(&figures, sales);
    }
    assert!(wrong.is_empty(), "seed {seed} (QRIS_SEED={seed} QRIS_SALES={sales}):\n{}", wrong.join("\n"));
}

/// What a run was to show and did not.
fn missing(figures: &BTreeMap<String, u64>, sales: u64) -> Vec<String> {
    let count = |name: &str| figures.get(name).copied().unwrap_or_default();
    let mut missing = Vec::new();
    if count("dispensed") < sales {
        missing.push(format!("{} of {sales} sales were made", count("dispensed")));
    }
    if sales >= EVERYTHING_FROM {
        let in_postgresql = if (0..MACHINES).any(is_on_postgresql) { EVERYTHING_IN_POSTGRESQL } else { "dispensed" };
        let all = EVERYTHING.split(", ").chain(in_postgresql.split(", ")).chain(MIDTRANS_FAULTS.iter().map(|(name, _)| *name));
        missing.extend(all.filter(|name| count(name) == 0).map(|name| format!("never in this run: {name}")));
    }
    missing
}

/// Half of the merchants have their books in PostgreSQL, with brokers of both kinds; `QRIS_STORE=postgres` or `sqlite`: all or none.
fn is_on_postgresql(number: u64) -> bool {
    match std::env::var("QRIS_STORE").ok().as_deref() {
        None => number.div_ceil(2) % 2 == 1,
        Some("postgres") => true,
        Some("sqlite") => false,
        Some(other) => panic!("QRIS_STORE={other:?} is neither postgres nor sqlite"),
    }
}

/// One machine until it has made its sales and everything is in order again; its figures, or what went wrong.
fn one_machine(seed: u64, number: u64, sales: u64) -> Result<BTreeMap<String, u64>, String> {
    // Every other broker forgets everything when it ends.
    let mut ordeal = Ordeal::open(seed, number.is_multiple_of(2), is_on_postgresql(number));
    let done = suffer(&mut ordeal, sales);
    done.map_err(|why| format!("{why}\n    {}", ordeal.keep_files()))
}

fn suffer(ordeal: &mut Ordeal, sales: u64) -> Result<BTreeMap<String, u64>, String> {
    let patience = SALE_AT_MOST * u32::try_from(sales + 2).expect("not that many");
    let start = Instant::now();
    // One more is made when everything is well again.
    while ordeal.sold() + 1 < sales {
        let customer = Customer::draw(&mut ordeal.rng);
        customer.visits(ordeal)?;
        if start.elapsed() > patience {
            return Err(format!("only {} of {sales} sales in {patience:?}", ordeal.sold()));
        }
    }
    ordeal.heal()?;
    customers::buys_once_more(ordeal)?;
    books::close(ordeal)?;
    Ok(std::mem::take(&mut ordeal.figures))
}

/// The shop's files after a failure.
fn where_the_files_are(shop: &mut Shop) -> String {
    format!("databases, configuration and logs: {}", shop.keep().display())
}
