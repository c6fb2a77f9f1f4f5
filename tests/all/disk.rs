//! A disk that is full or read-only, and a database that is locked: the machine stays up, says so, sells nothing, and
//! goes on by itself when it can write again. What was paid meanwhile is delivered then, once.

use crate::rig::caller::Caller;
use crate::rig::midtrans::Via;
use crate::rig::namespace::SmallDisk;
use crate::rig::shop::{Options, Program, Shop};
use crate::rig::wait_for;
use qris::order::reason::Reason;
use qris::wire::vend::EventState;
use rusqlite::Connection;
use std::path::Path;

/// A shop whose machine keeps one of its databases on a small disk.
fn shop_on(program: Program, database: &str) -> (Shop, SmallDisk) {
    let mut shop = Shop::merchants_side();
    let disk = SmallDisk::at(shop.path().join("state"));
    let (usual, small) = (shop.path().join(database), shop.path().join("state").join(database));
    shop.edit(program, |text| text.replace(&usual.display().to_string(), &small.display().to_string()));
    shop.start_machine_in(&disk.namespace);
    shop.wait_online();
    (shop, disk)
}

fn refused(shop: &Shop, reason: Reason) {
    let request_id = shop.vend("A1");
    shop.tap.wait_refused(&request_id, reason);
}

/// Nobody else writes to a database until this is dropped.
fn lock(database: &Path) -> Connection {
    let connection = Connection::open(database).expect("the database is there");
    connection.busy_timeout(crate::rig::PATIENCE).expect("set");
    connection.execute_batch("BEGIN IMMEDIATE").expect("the lock is free for a moment");
    connection
}

#[test]
fn a_full_disk_sells_nothing_and_loses_nothing() {
    let (shop, disk) = shop_on(Program::Qrisd, "qrisd.db");
    shop.sell("A1", Via::Gopay);
    let request_id = shop.offer("A1");
    disk.fill();
    shop.pay(Via::Gopay);
    shop.wait_fault("store", true);
    assert!(shop.pulses() <= 2);
    // Whatever could still be written of the order, no other begins.
    refused(&shop, Reason::Store);
    disk.free();
    shop.wait_state(&request_id, EventState::Dispensed);
    shop.wait_fault("store", false);
    shop.wait_outcome(&shop.order_id(&request_id), "dispensed");
    assert_eq!(shop.pulses(), 2);
    shop.sell("A1", Via::Qris);
    assert_eq!(shop.pulses(), 3);
    shop.check_books();
}

/// What is left takes a commit or two, and no sale: too little to be well again, at each look anew.
const LITTLE: u32 = 16 * 1024;

/// Vends until that is refused: what is left in the last page of a file may take a ticket or two.
fn refused_in_the_end(shop: &Shop, reason: Reason) {
    let request_id = wait_for("a refusal", || {
        let request_id = shop.vend("A1");
        let event = shop.tap.wait_event("an answer", |event| {
            event.request_id.as_ref().is_some_and(|id| id.as_str() == request_id) && event.state != EventState::Requested
        });
        if event.state == EventState::AwaitingPayment {
            shop.cancel(&request_id);
            shop.wait_state(&request_id, EventState::Cancelled);
        }
        (event.state == EventState::Refused).then_some(request_id)
    });
    shop.tap.wait_refused(&request_id, reason);
}

#[test]
fn a_nearly_full_disk_is_a_fault_until_a_whole_sale_fits() {
    for (program, database, fault, reason) in
        [(Program::Qrisd, "qrisd.db", "store", Reason::Store), (Program::Relayd, "ledger.db", "relay", Reason::Relay)]
    {
        let (shop, disk) = shop_on(program, database);
        let caller = Caller::connect(&shop.bus.address);
        shop.sell("A1", Via::Gopay);
        disk.fill();
        refused_in_the_end(&shop, reason);
        shop.wait_fault(fault, true);
        disk.leave(LITTLE);
        wait_for("a look for room", || {
            let said = if program == Program::Qrisd {
                shop.last_status()?.to_string()
            } else {
                caller.relay::<_, String>("Prepare", &("vm-001", "A1", 5000_i64)).expect_err("no promise").detail
            };
            said.contains("has no room").then_some(())
        });
        let process = if program == Program::Qrisd { &shop.qrisd } else { &shop.relayd };
        let process = process.as_ref().expect("it runs");
        let told = |text: &str| process.lines.all().iter().filter(|line| line.contains(text)).count();
        // A line in the journal may be read after the message that was sent later.
        process.wait_line("cannot be written: ");
        assert_eq!((told("cannot be written: "), told("can be written again")), (1, 0), "{database}");
        disk.free();
        shop.wait_fault(fault, false);
        process.wait_line("can be written again");
        assert_eq!((told("cannot be written: "), told("can be written again")), (1, 1), "{database}");
        shop.sell("A1", Via::Gopay);
        assert_eq!(shop.pulses(), 2);
        shop.check_books();
    }
}

#[test]
fn an_order_on_a_disk_that_became_read_only_comes_back_with_it() {
    let (mut shop, disk) = shop_on(Program::Qrisd, "qrisd.db");
    let request_id = shop.offer("A1");
    let payload = shop.screen.wait_payload();
    shop.kill_qrisd();
    disk.remount("ro");
    std::fs::remove_file(&shop.screen.path).expect("the panel is dark");
    shop.start_in(Program::Qrisd, &disk.namespace);
    shop.wait_fault("store", true);
    refused(&shop, Reason::Store);
    assert_eq!(shop.midtrans.transactions().len(), 1);
    disk.remount("rw");
    shop.wait_fault("store", false);
    assert_eq!(shop.screen.wait_payload(), payload);
    shop.pay(Via::Gopay);
    shop.wait_state(&request_id, EventState::Dispensed);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

#[test]
fn a_receipt_that_cannot_be_stored_is_not_acknowledged_and_comes_again() {
    let shop = Shop::open(Options::default());
    let request_id = shop.offer("A1");
    let locked = lock(&shop.path().join("qrisd.db"));
    shop.pay(Via::Gopay);
    shop.wait_fault("store", true);
    // The broker sends again what was not acknowledged.
    let again = |line: &String| {
        (line.contains("Sending PUBLISH to vm-001-") && line.contains(" (d1") && line.contains("payment/update")).then_some(())
    };
    assert!(shop.broker.log().find_from(0, crate::rig::PATIENCE, again).is_some(), "it was acknowledged");
    assert_eq!(shop.pulses(), 0);
    assert!(!shop.tap.events().iter().any(|event| event.state == EventState::Paid), "nothing is told that is not stored");
    drop(locked);
    shop.wait_state(&request_id, EventState::Dispensed);
    shop.wait_fault("store", false);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}
