//! The file: its refusals, its memory, and what it drops.

use super::*;
use qris_core::order::ids::{RequestId, TransactionId};
use qris_core::order::receipt::Claims;
use qris_core::order::receipt::testing::{claims, key};
use qris_core::order::tries::{Try, TryNumber};
use qris_host::random;

fn open(path: &Path) -> Found {
    Database::open(path, &|line| line == "careful", &mut random::fill).expect("opens")
}

fn ticket(n: u8) -> Ticket {
    Ticket::from_random([n; 16])
}

fn receipt(n: u8) -> Receipt {
    receipt_for(n.into(), ticket(n))
}

fn receipt_for(n: u32, ticket: Ticket) -> Receipt {
    key().sign(Claims {
        sub: OrderId::new(&format!("o-{n}")).expect("an id"),
        jti: RequestId::new(&format!("r-{n}")).expect("an id"),
        transaction_id: TransactionId::new(&format!("t-{n}")).expect("an id"),
        ticket,
        ..claims()
    })
}

fn cause(receipt: &Receipt) -> Cause {
    Cause::Order { order: receipt.claims().sub.clone(), request: receipt.claims().jti.clone(), number: TryNumber::FIRST }
}

fn test() -> Begun<'static> {
    static ITEM: std::sync::LazyLock<ItemId> = std::sync::LazyLock::new(|| claims().item);
    Begun::Test { once: once(), item: &ITEM, amount: claims().amount }
}

fn promise(store: &mut Database, n: u8) {
    let claims = claims();
    store.add_ticket(&ticket(n), &claims.item, claims.amount, None).expect("written");
}

fn once() -> Once<'static> {
    static JTI: std::sync::LazyLock<CommandId> = std::sync::LazyLock::new(|| CommandId::new("c-1").expect("an id"));
    Once { jti: &JTI, what: "clear A1", exp: 500, over: 400 }
}

#[test]
fn a_ledger_to_which_a_later_release_has_added_columns_is_gone_on_with() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("ledger.db");
    let mut store = open(&path).store;
    let kid = store.key().kid().clone();
    promise(&mut store, 1);
    promise(&mut store, 2);
    store.begin(&Begun::Order(&receipt(1)), "careful").expect("begun");
    drop(store);
    sqlite::testing::grow(&path, &SCHEMA);
    let found = open(&path);
    assert!(found.set_aside.is_none());
    assert_eq!((found.interrupted.len(), found.blocked.len(), found.open), (1, 1, vec![ticket(2)]), "nothing is forgotten");
    let mut store = found.store;
    assert_eq!(*store.key().kid(), kid);
    store.clear("careful", &[], Some(once())).expect("cleared");
    store.begin(&Begun::Order(&receipt(2)), "careful").expect("begun");
    store.end(&cause(&receipt(2)), Outcome::Failed, "jammed", Some("jammed")).expect("ended");
    promise(&mut store, 3);
    store.close(&ticket(3)).expect("closed");
    assert_eq!(sqlite::testing::version_of(&store.connection), SCHEMA.version() + 1);
    drop(store);
    assert_eq!(open(&path).blocked.len(), 1);
    // A step that does more than that keeps older programs out.
    let path = directory.path().join("other.db");
    drop(open(&path));
    sqlite::testing::take_later_step(&path, &SCHEMA, "CREATE TABLE later (n INTEGER) STRICT".into(), false);
    let told = Database::open(&path, &|_| false, &mut random::fill).expect_err("refused");
    assert!(matches!(told, StoreError::Open(OpenError::Newer { .. })), "{told}");
}

#[test]
fn what_was_driven_is_uncertain_after_a_restart_and_blocks_careful_lines_only() {
    for (line, blocked) in [("careful", 1), ("other", 0)] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ledger.db");
        let mut store = open(&path).store;
        promise(&mut store, 1);
        store.begin(&Begun::Order(&receipt(1)), line).expect("begun");
        drop(store);
        for round in 0..2 {
            let found = open(&path);
            let words = "the program ended while the line was driven";
            let told: Vec<_> = found.interrupted.iter().map(|pulse| (pulse.entry, pulse.detail.as_str())).collect();
            assert_eq!(told, if round == 0 { vec![(Entry::Ended(Outcome::Uncertain), words)] } else { vec![] }, "told once");
            assert_eq!(found.blocked.len(), blocked, "{line}");
            let pulse = found.store.pulses(&receipt(1).claims().sub).expect("readable").pop().expect("kept");
            assert_eq!(pulse.entry, Entry::Ended(Outcome::Uncertain));
            assert_eq!(
                found.store.ticket(&ticket(1)).expect("readable"),
                Some(TicketEntry::Used(receipt(1).claims().sub.clone(), TryNumber::FIRST))
            );
        }
    }
}

/// SQLite takes a wrong bit in a log for the end at a power cut: commits are gone, and nobody says so.
#[test]
fn a_ledger_that_has_forgotten_a_pulse_or_a_closed_ticket_is_set_aside() {
    for (forgets, what) in [false, true].into_iter().flat_map(|forgets| ["order", "test", "close"].map(|what| (forgets, what))) {
        let (directory, after) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let path = directory.path().join("ledger.db");
        let mut store = open(&path).store;
        promise(&mut store, 1);
        let harm = std::fs::metadata(directory.path().join("ledger.db-wal")).expect("a log").len() + 40;
        match what {
            "order" => store.begin(&Begun::Order(&receipt(1)), "a").expect("begun"),
            "test" => store.begin(&test(), "a").expect("begun"),
            _ => store.close(&ticket(1)).expect("closed"),
        }
        store.mark().expect("written");
        // The files that a kill leaves; with `driving`, a kill in mid-pulse.
        for name in ["ledger.db", "ledger.db-wal", "ledger.db.mark"] {
            std::fs::copy(directory.path().join(name), after.path().join(name)).expect("copied");
        }
        if forgets {
            let log = after.path().join("ledger.db-wal");
            let mut bytes = std::fs::read(&log).expect("read");
            bytes[usize::try_from(harm).expect("small")] ^= 1;
            std::fs::write(&log, bytes).expect("written");
        }
        let path = after.path().join("ledger.db");
        for round in 0..2 {
            let found = open(&path);
            assert_eq!(found.set_aside.is_some(), forgets && round == 0);
            assert_eq!(found.open.is_empty(), forgets || what != "test", "no ticket is open that was used or closed");
            let pulses = found.store.pulses(&receipt(1).claims().sub).expect("readable");
            assert_eq!(pulses.is_empty(), forgets || what != "order");
            let test = found.store.test(once().jti).expect("readable");
            assert_eq!(test.is_none(), forgets || what != "test");
        }
    }
}

#[test]
fn the_schema_refuses_what_must_never_happen() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut store = open(&directory.path().join("ledger.db")).store;
    for n in 1..=4 {
        promise(&mut store, n);
    }
    store.begin(&Begun::Order(&receipt(1)), "a").expect("begun");
    store.end(&cause(&receipt(1)), Outcome::Failed, "", Some("empty")).expect("ended");
    store.begin(&Begun::Order(&receipt(2)), "a").expect("begun");
    store.close(&ticket(3)).expect("closed");
    store.clear("a", &[], Some(once())).expect("cleared");
    store.connection.execute("INSERT INTO dropped VALUES (randomblob(16))", []).expect("dropped");
    assert!(store.clear("a", &[], Some(once())).is_err(), "the same command");
    // The same order, a line that is driven, an outcome that stands, a ticket that is closed.
    assert!(store.begin(&Begun::Order(&receipt(1)), "b").is_err());
    assert!(store.begin(&Begun::Order(&receipt(4)), "a").is_err());
    assert!(store.end(&cause(&receipt(1)), Outcome::Dispensed, "", None).is_err());
    assert!(store.begin(&Begun::Order(&receipt(3)), "b").is_err());
    assert_eq!(store.ticket(&ticket(4)).expect("readable").map(|t| matches!(t, TicketEntry::Open { .. })), Some(true), "rolled back");
    for sql in [
        "UPDATE tickets SET state = 'open', order_id = NULL WHERE state = 'used'",
        "UPDATE tickets SET state = 'open' WHERE state = 'closed'",
        "UPDATE tickets SET amount = 1 WHERE state = 'open'",
        "DELETE FROM tickets WHERE state = 'open'",
        "INSERT OR REPLACE INTO tickets SELECT seq, ticket, item, 1, 'open', NULL, sum FROM tickets WHERE state = 'open'",
        "UPDATE pulses SET outcome = NULL WHERE order_id = 'o-1'",
        "UPDATE pulses SET outcome = 'dispensed' WHERE order_id = 'o-1'",
        "UPDATE pulses SET line = 'b' WHERE order_id = 'o-2'",
        "DELETE FROM pulses WHERE outcome IS NULL",
        "DELETE FROM dropped",
        "UPDATE dropped SET digest = zeroblob(16)",
        "INSERT INTO pulses SELECT 9, 'o-9', ticket, 'r-9', 't-9', NULL, 'b', item, amount, NULL, '', sum FROM tickets WHERE state = 'open'",
        "INSERT INTO pulses SELECT 9, NULL, NULL, NULL, NULL, 'c-9', 'b', 'A1', 5000, NULL, '', sum FROM commands",
        "INSERT INTO pulses SELECT 9, 'o-9', NULL, NULL, NULL, 'c-1', 'b', 'A1', 5000, NULL, '', sum FROM commands",
        "INSERT INTO pulses SELECT 9, NULL, NULL, NULL, NULL, 'c-1', 'b', 'A1', 5000, 'failed', '', sum FROM commands",
        "INSERT INTO tickets SELECT 9, 'x', item, amount, 'used', 'o-9', sum FROM tickets LIMIT 1",
        "UPDATE commands SET exp = 0",
        "DELETE FROM commands",
        "INSERT OR REPLACE INTO commands SELECT jti, what, 0, sum FROM commands",
        "UPDATE commands_over SET at = at - 1",
        "DELETE FROM commands_over",
        "INSERT OR REPLACE INTO commands_over SELECT id, 0, sum FROM commands_over",
    ] {
        assert!(store.connection.execute(sql, []).is_err(), "{sql}");
    }
}

#[test]
fn a_flipped_bit_sets_the_ledger_aside() {
    for sql in [
        "UPDATE tickets SET sum = 'x' WHERE state = 'open'",
        "UPDATE tickets SET amount = amount + 1",
        "UPDATE pulses SET detail = 'y'",
        "UPDATE pulses SET digest = zeroblob(16)",
        "UPDATE blocked SET why = 'z'",
        "UPDATE commands SET exp = exp + 1",
        "UPDATE commands_over SET at = at - 1",
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ledger.db");
        let mut store = open(&path).store;
        promise(&mut store, 1);
        promise(&mut store, 2);
        store.begin(&Begun::Order(&receipt(1)), "a").expect("begun");
        store.clear("b", &[], Some(once())).expect("cleared");
        store.end(&cause(&receipt(1)), Outcome::Failed, "", Some("empty")).expect("ended");
        drop(store);
        let Found { store, set_aside, .. } = open(&path);
        assert_eq!(set_aside, None, "good until now");
        qris_host::sqlite::testing::damage(&store.connection, sql);
        drop(store);
        let found = open(&path);
        assert!(found.set_aside.is_some_and(|aside| aside.exists()), "{sql}");
        assert_eq!((found.open.len(), found.blocked.len()), (0, 0));
        assert_eq!(found.store.ticket(&ticket(2)).expect("readable"), None, "older tickets are void");
    }
}

#[test]
fn old_rows_are_forgotten_and_open_tickets_are_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("ledger.db");
    let mut store = open(&path).store;
    store.hurry();
    let (item, amount) = (claims().item, claims().amount);
    let name = |n: u32| {
        let mut bits = [0; 16];
        bits[..4].copy_from_slice(&n.to_le_bytes());
        Ticket::from_random(bits)
    };
    let all = u32::try_from(PULSES_KEPT).expect("small") + 200;
    store.add_ticket(&Ticket::from_random([9; 16]), &item, amount, None).expect("written");
    // An order that came at the second try, after a ticket that was closed.
    let (closed, again) = (Ticket::from_random([7; 16]), Ticket::from_random([8; 16]));
    let second =
        Again { order: OrderId::new("o-again").expect("an id"), number: TryNumber::FIRST.next().expect("2"), after: closed.clone() };
    store.add_ticket(&closed, &item, amount, None).and_then(|()| store.close(&closed)).expect("closed");
    store.add_ticket(&again, &item, amount, Some(&second)).expect("written");
    let of_second = key().sign(Claims {
        sub: second.order.clone(),
        jti: RequestId::new("r-again").expect("an id"),
        transaction_id: TransactionId::new("t-again").expect("an id"),
        nth: Try::Again { number: second.number, after: closed.clone() },
        ticket: again,
        ..claims()
    });
    store.begin(&Begun::Order(&of_second), "a").expect("begun");
    let its = Cause::Order { order: second.order.clone(), request: of_second.claims().jti.clone(), number: second.number };
    store.end(&its, Outcome::Dispensed, "", None).expect("ended");
    let tested = store.begin(&test(), "a").and_then(|()| store.end(&Cause::Test(once().jti.clone()), Outcome::Dispensed, "", None));
    tested.expect("written");
    for n in 0..all {
        store.add_ticket(&name(n), &item, amount, None).expect("written");
        let receipt = receipt_for(n, name(n));
        store.begin(&Begun::Order(&receipt), "a").expect("begun");
        store.end(&cause(&receipt), Outcome::Dispensed, "", None).expect("ended");
    }
    let kept: i64 = store.connection.query_row("SELECT count(*) FROM pulses", [], |row| row.get(0)).expect("a count");
    assert!((PULSES_KEPT + 2..PULSES_KEPT + PRUNE_EVERY).contains(&kept), "now and then, and not with each ticket: {kept}");
    let old = [OrderId::new("o-0").expect("an id"), second.order.clone()];
    for order in &old {
        assert_eq!((store.pulses(order).expect("readable"), store.is_dropped(order).expect("readable")), (vec![], true), "{order}");
    }
    assert!(!store.is_dropped(&OrderId::new(&format!("o-{}", all - 1)).expect("an id")).expect("readable"));
    // A first receipt that is signed anew, and one for the second try once more: the ticket before it is closed, and names no order.
    for (n, again) in [(251, None), (252, Some(second.clone()))] {
        let claims = claims();
        store.add_ticket(&ticket(n), &claims.item, claims.amount, again.as_ref()).expect("written");
        let sub = again.as_ref().map_or(old[0].clone(), |again| again.order.clone());
        let nth = again.map_or(Try::First, |again| Try::Again { number: again.number, after: again.after });
        let receipt = key().sign(Claims { sub, nth, ticket: ticket(n), ..claims });
        let told = store.begin(&Begun::Order(&receipt), "a").expect_err("the database refuses it").to_string();
        assert!(told.contains("another try begins after one that came to nothing"), "{told}");
        store.close(&ticket(n)).expect("closed");
    }
    drop(store);
    let found = open(&path);
    assert_eq!(found.open, [Ticket::from_random([9; 16])]);
    assert_eq!(found.set_aside, None);
}

#[test]
fn a_ledger_has_one_owner() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("ledger.db");
    let mut store = open(&path).store;
    promise(&mut store, 1);
    store.begin(&Begun::Order(&receipt(1)), "a").expect("begun");
    assert!(matches!(Database::open(&path, &|_| false, &mut random::fill), Err(StoreError::Open(OpenError::Held { .. }))));
    store.end(&cause(&receipt(1)), Outcome::Dispensed, "", None).expect("nobody came between");
    drop(store);
    assert_eq!(open(&path).interrupted, []);
}

#[test]
fn a_ledger_that_cannot_be_written_now_is_not_set_aside() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("ledger.db");
    let mut store = open(&path).store;
    promise(&mut store, 1);
    store.begin(&Begun::Order(&receipt(1)), "a").expect("begun");
    drop(store);
    // For example, somebody copies it.
    let other = Connection::open(&path).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let error = Database::open(&path, &|_| false, &mut random::fill).expect_err("what was driven cannot be written");
    assert!(!error.is_damage(), "{error}");
    other.execute_batch("ROLLBACK").expect("released");
    let found = open(&path);
    assert_eq!((found.set_aside, found.interrupted.len()), (None, 1));
}

#[test]
fn old_tickets_are_looked_back_on_for_so_long() {
    for (seq, kept) in [(TICKETS_KEPT - 32, true), (TICKETS_KEPT + 31, true), (TICKETS_KEPT + 32, false)] {
        let directory = tempfile::tempdir().expect("a directory");
        let mut store = open(&directory.path().join("ledger.db")).store;
        for n in 1..=4 {
            promise(&mut store, n);
        }
        store.close(&ticket(2)).expect("closed");
        store.begin(&Begun::Order(&receipt(3)), "a").expect("begun");
        // As if this many had been given since.
        store.tickets = seq - 1;
        promise(&mut store, 5);
        let held = |n: u8| store.ticket(&ticket(n)).expect("readable").is_some();
        assert_eq!([held(1), held(2), held(3), held(4)], [true, kept, true, true], "{seq}");
    }
}
