//! The schema's own rules, and the data that is kept.

use super::*;
use crate::store::{Draft, KNOWN_REQUESTS};
use qris_core::order::ids::{ItemId, OrderId, PaymentCode, RequestId, Ticket};
use qris_core::order::machine::{AwaitingCollection, Charge, Dispensing, Order, Paid, Posted, Refunded, State};
use qris_core::order::money::Rupiah;
use qris_core::order::receipt::testing::{claims, key};
use qris_core::order::request::{Offer, Payment, VendRequest};
use qris_core::order::time::{Boot, Span};
use qris_core::wire::vend::VendEvent;

fn open(directory: &tempfile::TempDir) -> Database {
    let opened = Database::open(&directory.path().join("qrisd.db"), &BootId("b".into()), false).expect("opens");
    assert_eq!(opened.set_aside, None);
    opened.store
}

fn order(n: u32) -> Order {
    let request = VendRequest {
        request_id: RequestId::new(&format!("r-{n}")).expect("an id"),
        item: ItemId::new("A1").expect("an item"),
        amount: None,
        description: None,
        payment: Payment::Gopay,
        timeout_s: None,
    };
    let offer = Offer { item: request.item.clone(), request, amount: Rupiah::new(5000).expect("an amount"), timeout: Span::secs(120) };
    let mut bits = [0; 16];
    bits[..4].copy_from_slice(&n.to_be_bytes());
    Order::new(offer, Ticket::from_random(bits), Posted::default(), 1, Boot(0))
}

fn finished(n: u32) -> Order {
    Order { state: State::Refunded(Refunded { receipt: None }), ..order(n) }
}

fn paid(n: u32) -> Order {
    let receipt = key().sign(claims());
    let charge = Charge {
        order_id: receipt.claims().sub.clone(),
        gross_amount: None,
        sandbox: true,
        code: None,
        pay_within: None,
        collect_within: None,
        pay_url: None,
    };
    Order { charge: Some(charge), state: State::Paid(Paid { receipt, deliver_by: Boot(1) }), ..order(n) }
}

#[test]
fn the_last_ten_thousand_requests_are_known_and_unfinished_ones_for_ever() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut store = open(&directory);
    let unfinished = Order { state: State::Paid(Paid { receipt: key().sign(claims()), deliver_by: Boot(1) }), ..paid(0) };
    store.commit(&unfinished, None, vec![], &[], &Measured::default()).expect("stored");
    store.commit(&finished(1), None, vec![], &[], &Measured::default()).expect("stored");
    // They do not get a commit each: ten thousand would take a minute.
    let last = u32::try_from(KNOWN_REQUESTS).expect("a number");
    let sql = "WITH RECURSIVE c(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM c WHERE n < ?1)
               INSERT INTO orders SELECT 'r-' || n, NULL, 't-' || n, state, reason, body, receipt, holds, live, taken, boot_id,
                   last_event, rev, sum
               FROM c, orders WHERE request_id = 'r-1'";
    store.connection.execute(sql, [last]).expect("filled");
    drop(store);
    let mut store = open(&directory);
    for n in last + 1..=last + 5 {
        store.commit(&finished(n), None, vec![], &[], &Measured::default()).expect("stored");
    }
    let mut select = store.connection.prepare("SELECT 1 FROM orders WHERE request_id = 'r-' || ?1").expect("SQL");
    let mut known = |n: u32| select.exists([n]).expect("readable");
    assert!(known(0), "something is still to be done");
    assert!(!known(6) && known(7) && known(last + 5));
    let count: i64 = store.connection.query_row("SELECT count(*) FROM orders", [], |row| row.get(0)).expect("a number");
    assert_eq!(count, KNOWN_REQUESTS);
}

#[test]
fn it_tells_what_is_in_it_without_its_orders() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut store = open(&directory);
    store.commit(&paid(0), None, vec![], &[], &Measured::default()).expect("stored");
    store.commit(&finished(1), None, vec![], &[], &Measured::default()).expect("stored");
    let told = store.as_json();
    assert_eq!((&told["orders"], &told["unfinished"], &told["waiting"]), (&2.into(), &json!({ "paid": 1 }), &0.into()), "{told}");
    assert_eq!(told["stream"], store.stream());
}

#[test]
fn a_database_has_one_owner_also_when_a_damaged_one_was_set_aside() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("qrisd.db");
    std::fs::write(&path, b"garbage ".repeat(200)).expect("written");
    let opened = Database::open(&path, &BootId("b".into()), false).expect("a new one");
    assert!(opened.set_aside.is_some());
    let error = Database::open(&path, &BootId("b".into()), true).expect_err("it has an owner");
    assert!(error.to_string().contains("another process has it") && !error.is_damage(), "{error}");
}

#[test]
fn the_schema_keeps_what_the_core_must_never_do() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut store = open(&directory);
    let (_, stored) = store.commit(&paid(1), None, vec![], &[], &Measured::default()).expect("stored");
    // Forbidden: a second order that holds the machine; a receipt that goes; another name; a skipped version.
    assert!(store.commit(&order(2), None, vec![], &[], &Measured::default()).is_err(), "one customer at a time");
    assert!(store.commit(&order(1), Some(stored.rev), vec![], &[], &Measured::default()).is_err(), "a receipt stays");
    let renamed =
        Order { charge: Some(Charge { order_id: OrderId::new("o-9").expect("an id"), ..paid(1).charge.expect("one") }), ..paid(1) };
    assert!(store.commit(&renamed, Some(stored.rev), vec![], &[], &Measured::default()).is_err(), "so does its name");
    assert!(store.commit(&paid(1), Some(stored.rev + 1), vec![], &[], &Measured::default()).is_err(), "versions count by one");
    assert!(store.connection.execute("DELETE FROM orders", []).is_err(), "an unfinished order stays");
    assert!(store.commit(&paid(1), Some(stored.rev), vec![], &[], &Measured::default()).is_ok());
}

#[test]
fn every_changed_column_is_noticed() {
    let changes = [
        "body = replace(body, '5000', '5001')",
        "receipt = replace(receipt, 'e', 'f')",
        "ticket = 'AAAAAAAAAAAAAAAAAAAAAA'",
        "boot_id = 'other'",
        "last_event = '{}'",
        "holds = 0",
        "state = 'dispensing'",
        "sum = sum + 1",
    ];
    for change in changes {
        let directory = tempfile::tempdir().expect("a directory");
        let mut store = open(&directory);
        store.commit(&paid(1), None, vec![], &[], &Measured::default()).expect("stored");
        assert_eq!(sqlite::testing::damage(&store.connection, &format!("UPDATE orders SET {change}")), 1);
        let found = store.live().expect_err(change);
        assert!(found.is_damage(), "{change}: {found}");
        drop(store);
        let opened = Database::open(&directory.path().join("qrisd.db"), &BootId("b".into()), false).expect("a new one");
        assert!(opened.set_aside.is_some_and(|aside| aside.exists()), "{change}");
        assert!(opened.store.live().expect("empty").is_empty());
    }
}

/// A row may be lost in its table, or in any index of it. A write does not find a row that an index lost.
#[test]
fn a_bit_in_any_place_where_a_request_is_kept_is_found_in_a_suspect_database() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut store = open(&directory);
    store.commit(&paid(7), None, vec![], &[], &Measured::default()).expect("stored");
    drop(store);
    let path = directory.path().join("qrisd.db");
    let good = std::fs::read(&path).expect("read");
    let name = b"r-7";
    let places: Vec<usize> = (0..good.len() - name.len()).filter(|&at| good[at..].starts_with(name)).collect();
    assert!(places.len() >= 2, "the row, and at least one index: {places:?}");
    for at in places {
        let mut bytes = good.clone();
        bytes[at + 2] ^= 1;
        std::fs::write(&path, bytes).expect("written");
        let opened = Database::open(&path, &BootId("b".into()), true).expect("opens");
        assert!(opened.set_aside.is_some(), "the byte at {at} was not missed");
    }
}

#[test]
fn a_text_beside_the_orders_that_is_none_any_more_is_found_in_a_suspect_database() {
    for sql in ["INSERT INTO outbox VALUES (9, CAST(x'ff' AS TEXT))", "INSERT INTO facts VALUES ('k', CAST(x'ff' AS TEXT))"] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("qrisd.db");
        drop(open(&directory));
        rusqlite::Connection::open(&path).expect("opens").execute_batch(sql).expect("damaged");
        let opened = Database::open(&path, &BootId("b".into()), true).expect("opens");
        assert!(opened.set_aside.is_some(), "{sql}");
    }
}

#[test]
fn a_page_that_is_damaged_within_is_set_aside() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("qrisd.db");
    let mut store = open(&directory);
    store.commit(&paid(1), None, vec![], &[], &Measured::default()).expect("stored");
    let root: u32 =
        store.connection.query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'orders'", [], |row| row.get(0)).expect("a page");
    drop(store);
    let mut bytes = std::fs::read(&path).expect("readable");
    let start = (root as usize - 1) * 1024;
    bytes[start..start + 1024].fill(0xff);
    std::fs::write(&path, bytes).expect("written");
    let opened = Database::open(&path, &BootId("b".into()), false).expect("a new one");
    assert!(opened.set_aside.is_some());
}

#[test]
fn a_number_is_never_used_twice_though_the_broker_has_all_events() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut store = open(&directory);
    let draft = || -> Draft {
        Box::new(|seq, name| {
            let text = format!(r#"{{"event_id":"{name}","stream":"s","seq":{seq},"state":"requested","reason":null,"item":"A1"}}"#);
            serde_json::from_str(&text).expect("an event")
        })
    };
    let seqs = |events: Vec<VendEvent>| events.iter().filter_map(|event| event.seq).collect::<Vec<_>>();
    let (events, _) = store.commit(&paid(1), None, vec![draft(), draft()], &[], &Measured::default()).expect("stored");
    assert_eq!(seqs(events), [1, 2]);
    assert_eq!(store.next_event(0).expect("readable").map(|(seq, _)| seq), Some(1));
    store.forget(&[1, 2]).expect("forgotten");
    for (n, last) in [(2, 3), (3, 4)] {
        drop(store);
        store = open(&directory);
        assert_eq!((store.next_event(0).expect("readable"), store.waiting()), (None, 0));
        let (events, _) = store.commit(&finished(n), None, vec![draft()], &[], &Measured::default()).expect("stored");
        assert_eq!(seqs(events), [last]);
        // It happens with a commit of its own, and with a commit that tells nothing.
        store.commit(&finished(n + 10), None, vec![], &[last], &Measured::default()).expect("stored");
        let rows: i64 = store.connection.query_row("SELECT count(*) FROM outbox", [], |row| row.get(0)).expect("a count");
        assert_eq!((store.next_event(0).expect("readable"), store.waiting(), rows), (None, 0, 1));
    }
}

/// An order with the code `code-n`, for a store and paid there.
fn collectable(n: u32) -> Order {
    let receipt = key().sign(claims());
    let charge = Charge {
        order_id: OrderId::new(&format!("o-{n}")).expect("an id"),
        code: Some(PaymentCode::new(&format!("code{n}")).expect("a code")),
        ..paid(n).charge.expect("charged")
    };
    Order {
        charge: Some(charge),
        state: State::AwaitingCollection(AwaitingCollection { receipt, sent: false, doubtful: false }),
        ..order(n)
    }
}

#[test]
fn a_code_is_known_as_long_as_its_order() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut store = open(&directory);
    let code = |n: u32| PaymentCode::new(&format!("code{n}")).expect("a code");
    let (_, stored) = store.commit(&collectable(1), None, vec![], &[], &Measured::default()).expect("stored");
    assert_eq!(store.by_code(&code(1)).expect("readable").map(|found| found.order), Some(stored.order));
    assert!(store.by_code(&code(2)).expect("readable").is_none());
    let over = Order { state: State::Refunded(Refunded { receipt: collectable(1).receipt().cloned() }), ..collectable(1) };
    store.commit(&over, Some(stored.rev), vec![], &[], &Measured::default()).expect("stored");
    assert!(store.by_code(&code(1)).expect("readable").is_some(), "also when it is over");
    store.connection.execute("DELETE FROM orders", []).expect("forgotten");
    assert!(store.by_code(&code(1)).expect("readable").is_none());
    let left: i64 = store.connection.query_row("SELECT count(*) FROM codes", [], |row| row.get(0)).expect("a number");
    assert_eq!(left, 0);
}

#[test]
fn what_is_dispensed_may_wait_for_its_customer_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut store = open(&directory);
    let dispensing = State::Dispensing(Dispensing {
        receipt: key().sign(claims()),
        deliver_by: Boot(1),
        ask: qris_core::order::machine::Ask::Query,
        sent: true,
        overdue: false,
    });
    let (_, stored) =
        store.commit(&Order { state: dispensing, ..collectable(1) }, None, vec![], &[], &Measured::default()).expect("stored");
    store.commit(&collectable(1), Some(stored.rev), vec![], &[], &Measured::default()).expect("it waits for its customer again");
}

#[test]
fn a_database_is_not_written_to_be_opened() {
    let directory = tempfile::tempdir().expect("a directory");
    drop(open(&directory));
    let locked = Connection::open(directory.path().join("qrisd.db")).expect("opens");
    locked.execute_batch("BEGIN IMMEDIATE").expect("locked");
    drop(open(&directory));
}

#[test]
fn a_report_takes_no_number_again_when_the_counts_are_damaged() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut store = open(&directory);
    // A report that tells of a connection only has no event.
    let connection = Measured { connections: 1, ..Measured::default() };
    for _ in 0..3 {
        store.begin_report(&connection).expect("begun");
    }
    let sql = "UPDATE facts SET value = replace(value, '\"number\":3', '\"number\":1') WHERE name = ?1";
    assert_eq!(store.connection.execute(sql, [TALLY.name]).expect("written"), 1);
    drop(store);
    assert_eq!(open(&directory).tally(), &Tally { number: 4, ..Tally::default() });
}
