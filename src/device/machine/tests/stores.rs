//! A database that cannot be written, is damaged, lost, full or too new.

use super::rig::*;
use crate::store::OUTBOX_MAX;
use crate::store::database::Database;
use qris_core::order::machine::RelayCall;
use qris_core::order::outcome::DispenseAnswer;
use qris_core::order::reason::Reason;
use qris_core::order::tries::TryNumber;
use qris_core::wire::dbus::RelayError;
use qris_core::wire::orders::{OrderResource, Status};
use qris_core::wire::telemetry::Measured;

/// Locks the database, so that nobody else can write to it.
pub(super) fn lock(rig: &Rig) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(&rig.settings.store).expect("opens");
    connection.execute_batch("BEGIN IMMEDIATE").expect("locked");
    connection
}

#[test]
fn a_request_that_cannot_be_stored_is_refused_and_the_machine_recovers_by_itself() {
    let mut rig = Rig::new();
    let (ack, effects) = rig.vend(1);
    let held = lock(&rig);
    let effects = rig.prepare(&effects, Ok(ticket(1)));
    assert!(rig.is_acked(ack));
    assert_eq!((rig.announced(), closes(&effects)), (vec!["refused(store)".to_owned()], vec![ticket(1)]));
    assert!(rig.machine.faults.has(FaultCode::Store));
    let (ack, _) = rig.vend(2);
    assert!(rig.is_acked(ack));
    assert_eq!(rig.announced(), ["refused(store)"]);
    rig.after(2000);
    assert!(rig.machine.faults.has(FaultCode::Store), "still locked");
    drop(held);
    rig.after(2000);
    assert!(rig.machine.faults.all().next().is_none(), "nobody had to do anything: {:?}", rig.machine.faults);
    rig.requested(1);
}

#[test]
fn a_database_that_another_process_has_is_waited_for() {
    let mut rig = Rig::new();
    let path = rig.settings.store.clone();
    let elsewhere = tempfile::tempdir().expect("a directory");
    let other = Settings { store: elsewhere.path().join("none.db"), ..rig.settings.clone() };
    drop(std::mem::replace(&mut rig.machine, Machine::load(other, rig.now).0));
    let owner = Database::open(&path, &rig.settings.boot_id, false).expect("free").store;
    rig.cut_and_up(true);
    let fault = rig.machine.faults.all().find(|fault| fault.code == FaultCode::Store).expect("a fault");
    assert!(fault.detail.contains("another process has it"), "{}", fault.detail);
    rig.vend(1);
    assert_eq!(rig.announced(), ["refused(store)"]);
    rig.after(2000);
    assert!(rig.machine.faults.has(FaultCode::Store), "still there");
    drop(owner);
    rig.after(2000);
    assert!(rig.machine.faults.all().next().is_none(), "neither set aside nor waiting: {:?}", rig.machine.faults);
    rig.settle_open();
    rig.requested(1);
}

#[test]
fn a_database_that_somebody_else_wrote_is_read_anew() {
    let mut rig = Rig::new();
    rig.offered(1);
    // A program that deletes the lock can write beside us.
    std::fs::remove_file(rig.settings.store.with_extension("db.lock")).expect("deleted");
    let mut other = Database::open(&rig.settings.store, &rig.settings.boot_id, false).expect("opens").store;
    let stored = other.live().expect("readable").remove(0);
    other.commit(&stored.order, Some(stored.rev), vec![], &[], &Measured::default()).expect("a version that this machine does not know");
    drop(other);
    let (ack, effects) = rig.pay(&receipt_of(1));
    assert!(drops(&effects) && !rig.is_acked(ack));
    assert!(rig.machine.faults.has(FaultCode::Store));
    rig.after(2000);
    assert!(rig.machine.faults.all().next().is_none(), "nobody had to do anything: {:?}", rig.machine.faults);
    let (ack, _) = rig.pay(&receipt_of(1));
    assert!(rig.is_acked(ack));
    assert_eq!(rig.relay(1), Some(RelayCall::Dispense(receipt_of(1))));
}

#[test]
fn a_disk_that_takes_a_little_delivers_what_is_paid_and_sells_nothing_until_it_takes_a_sale() {
    let mut rig = Rig::new();
    rig.offered(1);
    rig.announced();
    let held = lock(&rig);
    rig.pay(&receipt_of(1));
    rig.announced();
    // With this file in the way, the program cannot make the file that looks for room.
    let room = rig.settings.store.with_extension("db.room");
    std::fs::create_dir(&room).expect("made");
    drop(held);
    for _ in 0..3 {
        rig.after(2000);
        assert!(rig.machine.faults.has(FaultCode::Store) && rig.scene.starts_with("DoNotPay"), "{}", rig.scene);
    }
    rig.pay(&receipt_of(1));
    assert_eq!(rig.announced(), ["paid", "dispensing"]);
    rig.delivered(1);
    rig.announced();
    rig.vend(2);
    assert_eq!(rig.announced(), ["refused(store)"]);
    std::fs::remove_dir(&room).expect("removed");
    rig.after(2000);
    assert!(rig.machine.faults.all().next().is_none());
    rig.answer(1, order(OrderResource { rev: 3, ..resource(1, Status::Settlement) }));
    rig.after(11_000);
    rig.requested(3);
}

#[test]
fn a_receipt_that_cannot_be_stored_is_not_acknowledged() {
    let mut rig = Rig::new();
    rig.offered(1);
    let held = lock(&rig);
    let (ack, effects) = rig.pay(&receipt_of(1));
    assert!(drops(&effects) && !rig.is_acked(ack));
    assert_eq!(rig.relay(1), None, "nothing is done before the commit");
    let (ack, effects) = rig.message(Topic::VendCancel, r#"{"request_id":"r-1"}"#);
    assert!(rig.is_acked(ack) && !drops(&effects));
    assert_eq!(rig.announced(), ["requested", "awaiting_payment", "refused(store)"]);
    drop(held);
    rig.after(2000);
    rig.on(Input::BrokerDown { reason: "dropped".into(), date_refusal: false, thrown_out: false });
    rig.on(Input::BrokerUp { refused: vec![] });
    let (ack, _) = rig.pay(&receipt_of(1));
    assert!(rig.is_acked(ack));
    assert_eq!(rig.relay(1), Some(RelayCall::Dispense(receipt_of(1))));
}

/// The relay that was asked first may have driven the line and lost its ledger since. A refusal by the new ledger does
/// not say that it did not.
#[test]
fn silence_that_cannot_be_stored_is_not_forgotten() {
    let refused = || RelayAnswer::Refused(RelayError::UnknownTicket, "no such ticket".into());
    let mut rig = Rig::new();
    rig.dispensing(1);
    let held = lock(&rig);
    rig.answer_relay(1, RelayAnswer::NoAnswer("it is gone".into()));
    drop(held);
    rig.after(2000);
    assert_eq!(rig.relay(1), Some(RelayCall::Dispense(receipt_of(1))));
    rig.answer_relay(1, refused());
    rig.after(2000);
    assert!(matches!(rig.relay(1), Some(RelayCall::Query(..))), "{:?}", rig.relay(1));
    rig.answer_relay(1, RelayAnswer::Dispense(DispenseAnswer::Unknown));
    rig.answer_relay(1, refused());
    assert_eq!(rig.announced().last().map(String::as_str), Some("refund_due(uncertain)"));
}

#[test]
fn an_outcome_that_cannot_be_stored_is_asked_again() {
    let mut rig = Rig::new();
    rig.dispensing(1);
    let held = lock(&rig);
    rig.delivered(1);
    drop(held);
    rig.announced();
    rig.after(2000);
    assert_eq!(rig.relay(1), Some(RelayCall::Dispense(receipt_of(1))), "the same receipt brings the recorded outcome");
    rig.delivered(1);
    assert_eq!(rig.announced(), ["dispensed"]);
}

#[test]
fn what_cannot_be_taken_up_after_a_reboot_is_not_acted_on() {
    let mut rig = Rig::new();
    rig.dispensing(1);
    let held = lock(&rig);
    rig.cut_and_up(false);
    for _ in 0..4 {
        rig.after(1000);
        assert!(rig.relay(1).is_none() && rig.backend(1).is_none());
    }
    drop(held);
    rig.after(2000);
    assert_eq!(rig.relay(1), Some(RelayCall::Query(order_id("o-1"), TryNumber::FIRST)));
    rig.answer_relay(1, RelayAnswer::Dispense(DispenseAnswer::Unknown));
    assert_eq!(rig.backend(1), Some(HttpCall::Get(order_id("o-1"))), "the backend must allow it");
}

#[test]
fn a_newer_database_is_left_alone_and_nothing_is_sold() {
    let mut rig = Rig::new();
    let connection = rusqlite::Connection::open(&rig.settings.store).expect("opens");
    connection.pragma_update(None, "user_version", 99).expect("written");
    drop(connection);
    rig.cut_and_up(true);
    rig.vend(1);
    rig.message(Topic::VendCancel, r#"{"request_id":"r-1"}"#);
    assert_eq!(rig.announced(), ["refused(newer_database)"], "and one refusal a second for each");
    rig.after(1000);
    rig.message(Topic::VendCancel, r#"{"request_id":"r-1"}"#);
    assert_eq!(rig.announced(), ["refused(newer_database)"]);
    let (ack, effects) = rig.pay(&receipt_of(1));
    assert!(drops(&effects) && !rig.is_acked(ack), "the next release may know it");
    assert_eq!(
        std::fs::read_dir(rig.directory.path())
            .expect("readable")
            .filter_map(Result::ok)
            .filter(|f| f.file_name().to_string_lossy().contains("corrupt"))
            .count(),
        0
    );
}

fn damage(rig: &Rig, sql: &str) {
    let connection = rusqlite::Connection::open(&rig.settings.store).expect("opens");
    assert_eq!(qris_host::sqlite::testing::damage(&connection, sql), 1);
}

/// Empties the index that finds unfinished orders.
fn lose_the_index(rig: &Rig) {
    let connection = rusqlite::Connection::open(&rig.settings.store).expect("opens");
    let sql = "UPDATE sqlite_schema SET sql = replace(sql, ?1, ?2) WHERE name = 'live_orders'";
    for (from, to) in [("live = 1", "live = 9"), ("live = 9", "live = 1")] {
        connection.execute_batch("PRAGMA writable_schema = ON").expect("allowed");
        assert_eq!(connection.execute(sql, [from, to]).expect("changed"), 1);
        connection.execute_batch("PRAGMA writable_schema = RESET").expect("read anew");
        if to == "live = 9" {
            connection.execute_batch("REINDEX live_orders").expect("emptied");
        }
    }
}

#[test]
fn a_paid_order_that_its_index_lost_is_missed_when_the_backend_tells_of_it() {
    let mut rig = Rig::new();
    rig.dispensing(1);
    rig.announced();
    lose_the_index(&rig);
    rig.power_cut(true);
    assert!(!rig.machine.faults.has(FaultCode::StoreReset), "nothing is looked at that nobody needs");
    rig.bring_up();
    rig.answer_open(vec![settled(1, 3)]);
    rig.after(2000);
    assert!(rig.machine.faults.has(FaultCode::StoreReset), "{:?}", rig.machine.faults);
    rig.answer_open(vec![settled(1, 5)]);
    assert_eq!(rig.relay(1), Some(RelayCall::Query(order_id("o-1"), TryNumber::FIRST)));
}

#[test]
fn a_damaged_row_is_set_aside_and_the_orders_are_fetched_from_the_backend() {
    let mut rig = Rig::new();
    rig.dispensing(1);
    rig.delivered(1);
    rig.answer(1, order(settled(1, 3)));
    rig.offered(2);
    let stream = rig.events.last().map(|event| event.stream.clone());
    damage(&rig, "UPDATE orders SET body = replace(body, '5000', '5001') WHERE request_id = 'r-2'");
    rig.announced();
    rig.power_cut(true);
    assert!(rig.machine.faults.has(FaultCode::StoreReset));
    rig.bring_up();
    rig.answer_open(vec![resource(2, Status::Pending), settled(3, 20)]);
    // A pending order is cancelled. A settled one is treated as one of an earlier boot.
    assert_eq!(rig.backend(2), Some(HttpCall::Cancel(order_id("o-2"))));
    assert_eq!(rig.relay(3), Some(RelayCall::Query(order_id("o-3"), TryNumber::FIRST)));
    let mut told = rig.announced();
    told.sort();
    assert_eq!(told, ["cancelled(store)", "dispensing"]);
    let last = rig.events.last().expect("an event");
    assert!(Some(&last.stream) != stream.as_ref() && last.seq == Some(2), "a new stream begins");
    rig.vend(2);
    assert_eq!(rig.announced(), ["cancelled(store)"], "the same request again: its last event");
    rig.answer_relay(3, RelayAnswer::Refused(RelayError::UnknownTicket, "".into()));
    rig.after(300);
    rig.answer_relay(3, RelayAnswer::Dispense(DispenseAnswer::Unknown));
    rig.answer(3, order(settled(3, 25)));
    rig.answer_relay(3, RelayAnswer::Refused(RelayError::UnknownTicket, "".into()));
    assert_eq!(rig.announced(), ["refund_due(uncertain)"], "`Dispense` is taken as sent");
}

/// The database with its log and shared memory, without its mark.
fn files(rig: &Rig) -> [String; 3] {
    ["", "-wal", "-shm"].map(|suffix| format!("{}{suffix}", rig.settings.store.display()))
}

#[test]
fn a_database_that_lost_its_name_sells_nothing_until_it_is_back() {
    let mut rig = Rig::new();
    rig.requested(1);
    rig.announced();
    let [_, log, _] = files(&rig);
    let aside = format!("{log}.aside");
    std::fs::rename(&log, &aside).expect("moved");
    rig.after(30_000);
    assert!(rig.machine.faults.has(FaultCode::Store), "{:?}", rig.machine.faults);
    rig.after(10_000);
    rig.vend(2);
    assert_eq!(rig.announced().last().map(String::as_str), Some("refused(store)"));
    std::fs::rename(&aside, &log).expect("moved back");
    rig.after(2000);
    assert!(!rig.machine.faults.has(FaultCode::Store), "{:?}", rig.machine.faults);
}

#[test]
fn nothing_is_promised_in_a_file_without_a_name() {
    let mut rig = Rig::new();
    let [_, log, _] = files(&rig);
    std::fs::rename(&log, format!("{log}.aside")).expect("moved");
    let (_, effects) = rig.vend(1);
    rig.prepare(&effects, Ok(ticket(1)));
    assert_eq!(rig.announced(), ["refused(store)"], "before anybody looks at it");
}

#[test]
fn a_database_that_is_older_than_it_was_or_gone_is_told_and_no_event_has_a_name_twice() {
    for is_gone in [true, false] {
        let mut rig = Rig::new();
        rig.dispensing(1);
        rig.delivered(1);
        rig.answer(1, order(settled(1, 3)));
        rig.announced();
        let early: Vec<_> = files(&rig).iter().map(std::fs::read).collect();
        rig.dispensing(2);
        rig.delivered(2);
        rig.answer(2, order(settled(2, 3)));
        rig.after(60_000);
        rig.announced();
        let last = rig.events.last().cloned().expect("an event");
        rig.power_cut(true);
        assert!(!rig.machine.faults.has(FaultCode::StoreReset), "it is what it was");
        for (file, bytes) in files(&rig).iter().zip(&early) {
            match bytes {
                Ok(bytes) if !is_gone => std::fs::write(file, bytes).expect("written"),
                Ok(_) | Err(_) => drop(std::fs::remove_file(file)),
            }
        }
        rig.power_cut(true);
        assert!(rig.machine.faults.has(FaultCode::StoreReset), "{is_gone}: {:?}", rig.machine.faults);
        rig.bring_up();
        rig.answer_open(vec![]);
        rig.requested(3);
        rig.announced();
        let next = rig.events.last().cloned().expect("an event");
        assert!(next.stream != last.stream && next.seq > last.seq, "{is_gone}: {last:?} {next:?}");
        rig.power_cut(true);
        assert!(!rig.machine.faults.has(FaultCode::StoreReset), "{is_gone}: it was told once");
    }
}

#[test]
fn damage_that_is_found_while_it_runs_is_set_aside_then() {
    let mut rig = Rig::new();
    rig.dispensing(1);
    rig.delivered(1);
    rig.answer(1, order(settled(1, 3)));
    // A finished order is read only when somebody asks for it.
    damage(&rig, "UPDATE orders SET last_event = 'x' WHERE request_id = 'r-1'");
    rig.announced();
    rig.vend(1);
    assert_eq!(rig.announced(), ["refused(store)"]);
    rig.after(2000);
    assert!(rig.machine.faults.has(FaultCode::StoreReset), "{:?}", rig.machine.faults);
    rig.answer_open(vec![]);
    rig.requested(2);
    assert_eq!(rig.announced(), ["requested"], "the new stream's events leave too");
}

#[test]
fn events_leave_in_order_once_each_across_restarts_and_connections() {
    let mut rig = Rig::new();
    rig.broker_takes = false;
    rig.dispensing(1);
    rig.delivered(1);
    assert_eq!(rig.announced(), ["requested"], "one at a time");
    rig.power_cut(true);
    rig.broker_takes = true;
    rig.bring_up();
    assert_eq!(rig.announced(), ["awaiting_payment", "paid", "dispensing", "dispensed"]);
    assert_eq!(rig.states().iter().map(|(_, seq)| *seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    rig.after(5000);
    rig.cut_and_up(true);
    assert!(rig.announced().is_empty(), "what the broker has is forgotten");
    // The numbers go on, though the outbox is empty.
    rig.answer_open(vec![]);
    rig.answer(1, BackendAnswer::OtherOutcome);
    rig.requested(2);
    assert_eq!(rig.states().last().map(|(_, seq)| *seq), Some(6));
}

#[test]
fn what_the_connection_lost_is_published_again_without_a_loop() {
    let mut rig = Rig::new();
    rig.broker_takes = false;
    rig.requested(1);
    let lost: Vec<_> = [1, NEWS | 1].map(PublishId).into();
    for id in lost {
        let effects = rig.on(Input::Undelivered(id, None));
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Publish { .. })), "not at once");
    }
    let effects = rig.after(1000);
    let published: Vec<_> =
        effects.iter().filter_map(|effect| if let Effect::Publish { notice, .. } = effect { Some(*notice) } else { None }).collect();
    assert_eq!(published, [Notice::Event, Notice::Status, Notice::Settings]);
}

#[test]
fn with_a_full_outbox_nothing_new_is_sold() {
    let mut rig = Rig::new();
    rig.broker_takes = false;
    let connection = rusqlite::Connection::open(&rig.settings.store).expect("opens");
    let sql = format!(
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {OUTBOX_MAX}) INSERT INTO outbox SELECT n, '{{}}' FROM c"
    );
    connection.execute_batch(&sql).expect("filled");
    drop(connection);
    rig.power_cut(true);
    rig.on(Input::Screen(ScreenState::Working));
    rig.on(Input::RelayUp(rig.facts.clone()));
    let request = sale(r#"{"request_id":"r-1","item":"A1"}"#);
    let effects = rig.on(Input::Requested(Request::Vend(request), ON_BOARD));
    let refused = effects.iter().any(|effect| matches!(effect, Effect::Reply(_, Reply { reason: Some(Reason::Store), .. })));
    assert!(refused, "{effects:?}");
}

#[test]
fn a_log_that_a_reader_keeps_is_told_once() {
    let mut rig = Rig::new();
    let log = std::fs::OpenOptions::new().write(true).open(format!("{}-wal", rig.settings.store.display())).expect("its log");
    log.set_len(64 << 20).expect("a file with a hole");
    let mut told = || {
        let effects = rig.after(30_000);
        effects.iter().filter(|effect| matches!(effect, Effect::Journal(Journal::StoreLogLong { mib: 64, .. }))).count()
    };
    assert_eq!([told(), told()], [1, 0]);
}
