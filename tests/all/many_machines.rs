//! `qris-tools fleet`: three hundred machines at a real broker and real backends come and go, and no receipt is lost or doubled. The times
//! depend on the computer, so only what does not is looked at here.

use crate::rig::command;
use crate::rig::postgres::Postgres;
use crate::rig::process::Process;
use std::time::Duration;

/// Half of the machines sell once. Then one in nineteen of a quarter has a customer, and one in nine of all: of these every second one only
/// looks.
const SALES: usize = 150 + 4 + 34;
const UNPAID: usize = 17;

fn all_come_back_and_every_sale_ends_once(more: &[&str]) {
    let mut start = command(env!("CARGO_BIN_EXE_qris-tools"));
    start.args(["fleet", "--machines", "300", "--seconds", "5", "--away", "2"]).args(more);
    let process = Process::start("fleet", &mut start);
    // It waits for 180 s in vain at the most, and says for what.
    let line = process.wait_line_within(Duration::from_secs(400), " orders, ");
    let (status, text) = process.finish();
    assert!(status.success(), "{text}");
    let numbers: Vec<usize> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [orders, refused, paid, receipts, delivered] = numbers[..] else { panic!("{line}") };
    // A request may be refused where the computer is too slow.
    assert_eq!(orders + refused, SALES, "{line}");
    assert_eq!((receipts, delivered), (paid, paid), "{line}");
    assert!((1..=UNPAID).contains(&(orders - paid)), "{line}");
}

#[test]
fn three_hundred_machines_come_back_and_lose_no_receipt() {
    all_come_back_and_every_sale_ends_once(&[]);
}

#[test]
fn with_two_backends_on_postgresql_they_lose_none_either() {
    let server = Postgres::start(&[]);
    all_come_back_and_every_sale_ends_once(&["--backends", "2", "--database", &server.url()]);
}
