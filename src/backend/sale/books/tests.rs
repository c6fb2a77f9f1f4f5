use super::*;
use crate::store::{BOOKS, Row, Store, StoreError, testing};
use qris_core::order::ids::{ItemId, Ticket, TransactionId};
use qris_core::order::keys::SigningKey;
use qris_core::order::merchant::{Call, Cancelling, Charge, EndedTry, NoCharge, Rules, State, StatusReport, Withheld, outside};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Delivery;
use qris_core::order::request::{Payment, Purchase};
use qris_core::order::tries::TryNumber;
use qris_core::wire::orders::Status;
use std::collections::HashMap;
use std::sync::Arc;

mod automatic;
mod beginnings;
mod copied;
mod ends;
mod lives;
mod meetings;
mod people;
mod plans;
mod reports;

fn refund_by_hand(
    tx: &mut dyn Tx,
    policy: &Policy,
    id: &OrderId,
    note: &str,
    by: Option<Box<str>>,
    no_report: bool,
    now: Told,
) -> Result<Done, BooksError> {
    decide(tx, policy, id, Decision::ByHand { note: note.into(), by, no_report, goods_and_money: false }, now)
}

fn given(tx: &mut dyn Tx, policy: &Policy, id: &OrderId, by: &str, from_slot: bool, now: Told) -> Result<Done, BooksError> {
    decide(tx, policy, id, Decision::Given { by: by.into(), goods_and_money: false, from_slot }, now)
}

const T0: Wall = Wall(1_795_132_800_000);

fn policy() -> Arc<Policy> {
    Arc::new(Policy { rules: outside::rules(), push: true, orders_per_minute: 3, auto_refund_per_day: 0, tries_per_day: 10 })
}

struct Rig {
    directory: tempfile::TempDir,
    store: Store,
    policy: Arc<Policy>,
}

impl Rig {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = testing::open(directory.path(), "orders.db", &BOOKS);
        Self { directory, store, policy: policy() }
    }

    /// A second program on the same database.
    fn beside(&self) -> Store {
        testing::open(self.directory.path(), "orders.db", &BOOKS)
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut dyn Tx, &Policy) -> Result<T, BooksError> + Send + 'static,
    ) -> Result<T, BooksError> {
        let policy = Arc::clone(&self.policy);
        self.store.run(move |tx| job(tx, &policy)).await
    }

    async fn create(&self, request: &str, ticket: u8, digest: &'static str, at: Wall) -> Result<Created, BooksError> {
        let (sale, fresh) = (sale("vm-001", request, ticket), id(&format!("o-{request}")));
        self.run(move |tx, policy| create(tx, policy, sale, digest, &fresh, Told::trusted(at))).await
    }

    async fn answered(&self, order: &str, event: Event, at: Wall) -> Done {
        let id = id(order);
        self.run(move |tx, policy| answered(tx, policy, &id, event, Told::trusted(at))).await.expect("written")
    }

    async fn load(&self, order: &str) -> Stored {
        let id = id(order);
        self.run(move |tx, _| load(tx, &id)).await.expect("read").expect("there")
    }

    async fn outbox(&self) -> Vec<Message> {
        self.run(|tx, _| take_outbox(tx, 0)).await.expect("read")
    }

    async fn count(&self, sql: &'static str) -> i64 {
        self.run(move |tx, _| Ok(Row::number(&tx.rows(sql, &[])?)?)).await.expect("a count")
    }

    /// An order that can be paid.
    async fn pending(&self, request: &str, ticket: u8) {
        self.create(request, ticket, "d", T0).await.expect("created");
        self.answered(&format!("o-{request}"), Event::Charged(charge(request)), T0).await;
    }
}

fn id(text: &str) -> OrderId {
    OrderId::new(text).expect("an id")
}

fn sale(device: &str, request: &str, ticket: u8) -> Sale {
    Sale {
        purchase: Purchase {
            request_id: RequestId::new(request).expect("an id"),
            ticket: Ticket::from_random([ticket; 16]),
            item: ItemId::new("A1").expect("an id"),
            asked: None,
            description: Some("'); DROP TABLE orders; --".into()),
            machine: Some("'); DROP TABLE orders; --".into()),
            amount: Rupiah::new(5000).expect("an amount"),
            payment: Payment::Gopay,
            timeout_s: 120,
        },
        kid: policy().rules.keys[0].kid().clone(),
        relay_key: None,
        device: DeviceId::new(device).expect("an id"),
    }
}

fn charge(name: &str) -> Charge {
    outside::charge(TransactionId::new(&format!("t-{name}")).expect("an id"), Rupiah::new(5000).expect("an amount"), T0)
}

fn settled(order: &Order, transaction: &str) -> StatusReport {
    let transaction_id = TransactionId::new(transaction).expect("an id");
    StatusReport { transaction_id, gross_amount: Rupiah::new(5000).ok(), settled_at: Some(T0), ..StatusReport::of(order, Said::Settled) }
}

#[tokio::test]
async fn a_request_is_one_order_however_often_it_is_posted() {
    let rig = Rig::new();
    let first = rig.create("r1", 1, "d1", T0).await.expect("created");
    assert!(first.is_new && first.done.call == Some(Call::Charge));
    let again = rig.create("r1", 1, "d1", T0).await.expect("the same");
    assert!(!again.is_new && again.done.call.is_none(), "it is being asked for");
    assert_eq!(again.done.now.order.id, first.done.now.order.id);
    assert!(matches!(rig.create("r1", 1, "d2", T0).await, Err(BooksError::ReusedId)));
    assert!(matches!(rig.create("r2", 1, "d1", T0).await, Err(BooksError::ReusedTicket)));
    let other = sale("vm-002", "r1", 1);
    let other =
        rig.run(move |tx, policy| create(tx, policy, other, "d9", &id("other"), Told::trusted(T0))).await.expect("another machine's");
    assert!(other.is_new);
    rig.create("r3", 3, "d", T0).await.expect("the second");
    rig.create("r4", 4, "d", T0).await.expect("the third");
    assert!(matches!(rig.create("r5", 5, "d", T0).await, Err(BooksError::RateLimited(3))));
    rig.create("r4", 4, "d", T0).await.expect("what is known is not counted");
    rig.create("r5", 5, "d", T0 + Span::secs(61)).await.expect("a minute later");
    assert_eq!(rig.count("SELECT count(*) FROM orders").await, 5);
}

#[tokio::test]
async fn a_notification_for_which_there_is_no_time_is_left_to_the_sweep() {
    let rig = Rig::new();
    rig.pending("r1", 1).await;
    let order = id("o-r1");
    let noted = rig.run(move |tx, policy| notified_in_a_flood(tx, policy, &order, Said::Settled, Told::trusted(T0))).await.expect("noted");
    assert!(matches!(noted, Noted::News(done) if done.call.is_none()), "nobody is to ask");
    let due = rig.run(|tx, _| claim_due(tx, Told::trusted(T0))).await.expect("read");
    assert_eq!(due, [id("o-r1")], "and nobody has claimed it");
    let done = rig.run(|tx, policy| claim(tx, policy, &id("o-r1"), Told::trusted(T0))).await.expect("claimed");
    assert_eq!(done.call, Some(Call::GetStatus));
}

#[tokio::test]
async fn two_programs_and_one_notification_make_one_receipt() {
    let rig = Rig::new();
    rig.pending("r1", 1).await;
    let order = rig.load("o-r1").await.order;
    let beside = rig.beside();
    let mut tasks = Vec::new();
    for round in 0..16 {
        let store = if round % 2 == 0 { rig.store.clone() } else { beside.clone() };
        let (policy, report) = (policy(), settled(&order, "t-r1"));
        tasks.push(tokio::spawn(async move {
            let noted = {
                let policy = Arc::clone(&policy);
                store.run(move |tx| notified(tx, &policy, &id("o-r1"), Said::Settled, Told::trusted(T0))).await.expect("noted")
            };
            // The caller that claimed the question asks it. The others also send an answer, like a caller whose lease ran out.
            let done =
                store.run(move |tx| answered(tx, &policy, &id("o-r1"), Event::Status(report), Told::trusted(T0))).await.expect("answered");
            (matches!(noted, Noted::News(done) if done.call.is_some()), done.news)
        }));
    }
    let mut claims = 0;
    let mut news = 0;
    for task in tasks {
        let (claimed, was_news) = task.await.expect("ran");
        claims += usize::from(claimed);
        news += usize::from(was_news);
    }
    assert!(claims <= 1 && news == 1, "{claims} claims, {news} changes");
    assert_eq!(rig.count("SELECT count(*) FROM receipts").await, 1);
    let outbox = rig.outbox().await;
    assert_eq!(outbox.len(), 1);
    assert_eq!(outbox[0].topic, "qrisd/v1/vm-001/payment/update");
    assert!(outbox[0].payload.contains("\"status\":\"settlement\"") && outbox[0].payload.contains("\"receipt\":\"ey"));
    assert_eq!(rig.outbox().await, outbox, "until the broker has it");
    let seqs = [outbox[0].seq];
    rig.run(move |tx, _| published(tx, &seqs)).await.expect("deleted");
    assert!(rig.outbox().await.is_empty());
}

/// Two take turns at publishing: the second one when the first has ended, or hangs. A clock that was set back locks nobody out.
#[tokio::test]
async fn one_publishes_at_a_time() {
    let rig = Rig::new();
    let may = |who: &'static str, at: i64| rig.run(move |tx, _| may_publish(tx, who, Told::trusted(T0 + Span(at))));
    let steps =
        [("a", 0, true), ("b", 4999, false), ("a", 4000, true), ("b", 8999, false), ("b", 9000, true), ("a", 9001, false), ("a", 0, true)];
    for (who, at, wanted) in steps {
        assert_eq!(may(who, at).await.expect("asked"), wanted, "{who} at {at}");
    }
    rig.run(|tx, _| publishing_ends(tx, "b")).await.expect("it has no turn");
    assert!(!may("b", 1).await.expect("asked"));
    rig.run(|tx, _| publishing_ends(tx, "a")).await.expect("ended");
    assert!(may("b", 1).await.expect("asked"));
}

#[tokio::test]
async fn a_request_gets_one_receipt_and_a_second_payment_goes_back() {
    let rig = Rig::new();
    rig.create("r1", 1, "d", T0).await.expect("created");
    // The answer to the first charge is lost. The charge is given up, and the machine asks again.
    rig.answered("o-r1", Event::NotCharged(NoCharge::Exists), T0).await;
    let done = rig.answered("o-r1", Event::CancelUnknown, T0).await;
    assert_eq!(done.next, Some(id("o-r1-2")));
    let second = rig.run(|tx, policy| claim(tx, policy, &id("o-r1-2"), Told::trusted(T0 + Span::secs(1)))).await.expect("claimed");
    assert_eq!(second.call, Some(Call::Charge));
    rig.answered("o-r1-2", Event::Charged(charge("second")), T0 + Span::secs(1)).await;
    let open = rig.run(|tx, _| open_orders(tx, &DeviceId::new("vm-001").expect("an id"))).await.expect("read");
    assert_eq!(open.iter().map(|stored| stored.order.id.as_str()).collect::<Vec<_>>(), ["o-r1-2"]);
    let report = settled(&rig.load("o-r1-2").await.order, "t-second");
    rig.answered("o-r1-2", Event::Status(report), T0 + Span::secs(2)).await;
    // Then the gateway finds the first charge after all, and it was paid.
    let report = settled(&rig.load("o-r1").await.order, "t-first");
    let first = rig.answered("o-r1", Event::Status(report), T0 + Span::secs(3)).await;
    assert!(matches!(first.now.order.state, State::Withheld(Withheld { why: merchant::NoReceipt::PaidTwice, .. })));
    assert_eq!(rig.count("SELECT count(*) FROM receipts").await, 1);
    assert_eq!(rig.run(|tx, _| page(tx, &wanted(true, false), &Cursor::at(Wall(i64::MAX)))).await.expect("read").orders.len(), 1);
}

#[tokio::test]
async fn of_too_many_open_orders_a_machine_hears_of_the_newest() {
    let rig = Rig::new();
    for n in 0..=100_u8 {
        rig.create(&format!("r{n}"), n, "d", T0 + Span::secs(i64::from(n) * 60)).await.expect("created");
    }
    let open = rig.run(|tx, _| open_orders(tx, &DeviceId::new("vm-001").expect("an id"))).await.expect("read");
    let requests: Vec<_> = open.iter().map(|stored| stored.order.sale.purchase.request_id.to_string()).collect();
    assert_eq!(requests, (1..=100).map(|n| format!("r{n}")).collect::<Vec<_>>());
}

fn wanted(refund_due: bool, attention: bool) -> OrderFilter {
    OrderFilter { device: None, from: Wall(i64::MIN), until: Wall(i64::MAX), refund_due, attention }
}

#[tokio::test]
async fn a_mismatch_signs_nothing_and_is_listed() {
    let rig = Rig::new();
    rig.pending("r1", 1).await;
    let mut report = settled(&rig.load("o-r1").await.order, "t-r1");
    report.gross_amount = Rupiah::new(1).ok();
    rig.answered("o-r1", Event::Status(report.clone()), T0 + Span::secs(1)).await;
    assert_eq!(rig.run(|tx, _| page(tx, &wanted(false, true), &Cursor::at(Wall(i64::MAX)))).await.expect("read").orders.len(), 0);
    rig.answered("o-r1", Event::Status(report), T0 + Span::secs(11)).await;
    let listed = rig.run(|tx, _| page(tx, &wanted(false, true), &Cursor::at(Wall(i64::MAX)))).await.expect("read").orders;
    assert_eq!((listed.len(), listed[0].order.status()), (1, Status::Failure));
    assert_eq!(rig.count("SELECT count(*) FROM receipts").await, 0);
    assert!(rig.outbox().await[0].payload.contains("\"status\":\"failure\",\"receipt\":null"));
}

#[tokio::test]
async fn another_outcome_is_kept_in_the_history_and_listed() {
    let rig = Rig::new();
    rig.pending("r1", 1).await;
    let report = settled(&rig.load("o-r1").await.order, "t-r1");
    rig.answered("o-r1", Event::Status(report), T0).await;
    let tell = |device: &str, outcome| {
        let (device, told) = (DeviceId::new(device).expect("an id"), DeliveryReport::proven(outcome));
        rig.run(move |tx, policy| {
            of_device(tx, &device, &id("o-r1")).and_then(|stored| take_report(tx, policy, stored, told, Told::trusted(T0)))
        })
    };
    assert!(matches!(tell("vm-002", Delivery::Failed).await, Err(BooksError::Unknown)), "another machine's order");
    assert!(tell("vm-001", Delivery::Dispensed).await.expect("written").is_ok());
    assert!(tell("vm-001", Delivery::Dispensed).await.expect("written").is_ok());
    assert!(tell("vm-001", Delivery::Failed).await.expect("written").is_err());
    let stored = rig.load("o-r1").await;
    assert!(stored.order.has_conflict() && stored.order.needs_attention() && !stored.order.is_refund_due());
    let history = rig.run(|tx, _| history(tx, &id("o-r1"))).await.expect("read");
    assert!(history.last().expect("lines").event.contains("another outcome was told: failed"), "{history:?}");
}

#[tokio::test]
async fn a_claim_is_one_programs_until_its_lease_is_over() {
    let rig = Rig::new();
    rig.create("r1", 1, "d", T0).await.expect("created");
    let claim_at = |at| rig.run(move |tx, policy| claim(tx, policy, &id("o-r1"), at));
    assert_eq!(claim_at(Told::trusted(T0 + Span::secs(5))).await.expect("read").call, None);
    assert_eq!(rig.run(|tx, _| claim_due(tx, Told::trusted(T0 + Span::secs(5)))).await.expect("read"), []);
    // Fifteen seconds later nobody waits for the charge, and it may exist.
    assert_eq!(rig.run(|tx, _| claim_due(tx, Told::trusted(T0 + LEASE))).await.expect("read"), [id("o-r1")]);
    assert_eq!(claim_at(Told::trusted(T0 + LEASE)).await.expect("claimed").call, Some(Call::Cancel));
}

#[tokio::test]
async fn a_cancel_ends_the_attempt_that_took_over_too() {
    let rig = Rig::new();
    rig.create("r1", 1, "d", T0).await.expect("created");
    let done = rig.answered("o-r1", Event::NotCharged(NoCharge::NotMade { again: true, why: "900".into() }), T0).await;
    assert_eq!(done.next, Some(id("o-r1-2")));
    let device = DeviceId::new("vm-001").expect("an id");
    let done = rig.run(move |tx, policy| cancel_requested(tx, policy, &device, &id("o-r1"), Told::trusted(T0))).await.expect("granted");
    assert_eq!(done.next, Some(id("o-r1-2")));
    assert!(matches!(rig.load("o-r1-2").await.order.state, State::Cancelling(Cancelling { why: merchant::Ending::Requested, .. })));
}

#[tokio::test]
async fn another_machines_order_does_not_exist() {
    let rig = Rig::new();
    rig.pending("r1", 1).await;
    let other = || DeviceId::new("vm-002").expect("an id");
    let cancelled = rig.run(move |tx, policy| cancel_requested(tx, policy, &other(), &id("o-r1"), Told::trusted(T0))).await;
    assert!(matches!(cancelled, Err(BooksError::Unknown)), "{cancelled:?}");
    let said = OutcomeReport { nth_try: TryNumber::FIRST, outcome: Delivery::Dispensed, reason: None, detail: None, proof: None };
    let told = rig.run(move |tx, policy| delivered(tx, policy, &other(), &id("o-r1"), &said, Told::trusted(T0))).await;
    assert!(matches!(told, Err(BooksError::Unknown)), "{told:?}");
    assert!(matches!(rig.load("o-r1").await.order.state, State::Pending(_)));
}

#[tokio::test]
async fn after_a_restart_what_was_never_handed_out_is_cancelled_at_once() {
    let rig = Rig::new();
    rig.create("r1", 1, "d", T0).await.expect("created");
    rig.pending("r2", 2).await;
    assert_eq!(rig.run(|tx, policy| restarted(tx, policy, Told::trusted(T0))).await.expect("written"), 1);
    assert_eq!(rig.run(|tx, _| claim_due(tx, Told::trusted(T0))).await.expect("read"), [id("o-r1")]);
    assert_eq!(rig.run(|tx, policy| claim(tx, policy, &id("o-r1"), Told::trusted(T0))).await.expect("claimed").call, Some(Call::Cancel));
    assert!(matches!(rig.load("o-r2").await.order.state, State::Pending(_)));
}

#[tokio::test]
async fn rows_cannot_be_bent() {
    let rig = Rig::new();
    rig.pending("r1", 1).await;
    let report = settled(&rig.load("o-r1").await.order, "t-r1");
    rig.answered("o-r1", Event::Status(report), T0).await;
    for sql in [
        "DELETE FROM orders",
        "DELETE FROM receipts",
        "DELETE FROM history",
        "UPDATE receipts SET jws = 'x'",
        "UPDATE history SET event = 'x'",
        "UPDATE orders SET state = 'pending', version = version + 1",
        "UPDATE orders SET state = 'settled', version = version + 2",
        "UPDATE orders SET device = 'vm-002', version = version + 1",
        "INSERT OR REPLACE INTO receipts SELECT * FROM receipts",
    ] {
        assert!(rig.run(move |tx, _| Ok(tx.rows(sql, &[])?)).await.is_err(), "{sql}");
    }
    // A flipped bit inside a value is noticed, and nothing is done with that row.
    let flip = "UPDATE orders SET body = replace(body, '5000', '5001'), version = version + 1";
    rig.run(move |tx, _| Ok(tx.rows(flip, &[])?)).await.expect("no trigger sees it");
    let damaged = rig.run(|tx, _| load(tx, &id("o-r1"))).await;
    assert!(matches!(damaged, Err(BooksError::Store(StoreError::Damaged { .. }))), "{damaged:?}");
}

#[tokio::test]
async fn one_damaged_row_stops_nothing_but_itself() {
    let rig = Rig::new();
    for (request, ticket) in [("r1", 1), ("r2", 2)] {
        rig.create(request, ticket, "d", T0).await.expect("created");
    }
    let flip = "UPDATE orders SET body = replace(body, '5000', '5001'), version = version + 1 WHERE order_id = 'o-r1'";
    rig.run(move |tx, _| Ok(tx.rows(flip, &[])?)).await.expect("no trigger sees it");
    // It is still being charged, and the program starts all the same.
    rig.run(|tx, policy| restarted(tx, policy, Told::trusted(T0 + Span::secs(30)))).await.expect("starts");
    assert_eq!(rig.load("o-r2").await.order.state.word(), "cancelling");
    // Lists have the other orders, and name this one.
    let all = OrderFilter { device: None, from: Wall(i64::MIN), until: Wall(i64::MAX), refund_due: false, attention: false };
    let ListingPage { orders, damaged: names, behind, .. } =
        rig.run(move |tx, _| page(tx, &all, &Cursor::at(Wall(i64::MAX)))).await.expect("read");
    assert_eq!((orders.len(), orders[0].order.id.as_str(), names), (1, "o-r2", vec!["o-r1".to_owned()]));
    assert!(behind.is_some());
    // The same if it is not a text any more.
    let flip = "UPDATE orders SET body = CAST(x'7bff7d' AS TEXT), version = version + 1 WHERE order_id = 'o-r1'";
    rig.run(move |tx, _| Ok(tx.rows(flip, &[])?)).await.expect("no trigger sees it");
    let (found, last) = rig.run(|tx, _| damaged(tx, "")).await.expect("read");
    assert_eq!((found, last.as_deref()), (vec!["o-r1".to_owned()], Some("o-r2")));
    assert_eq!(rig.run(|tx, _| damaged(tx, "o-r2")).await.expect("read"), (vec![], None));
}

#[tokio::test]
async fn a_job_that_fails_or_panics_writes_nothing_and_others_go_on() {
    let rig = Rig::new();
    let mut tasks = Vec::new();
    for n in 0..50 {
        let store = rig.store.clone();
        tasks.push(tokio::spawn(async move {
            store
                .run(move |tx| {
                    ledger::note(tx, &id(&format!("o-{n}")), "something", T0)?;
                    match n % 3 {
                        0 => Ok(()),
                        1 => Err(BooksError::Unknown),
                        _ => panic!("a job may"),
                    }
                })
                .await
        }));
    }
    let mut good = 0;
    for task in tasks {
        good += i64::from(task.await.expect("answered").is_ok());
    }
    assert_eq!(good, 17);
    assert_eq!(rig.count("SELECT count(*) FROM history").await, 17);
}

#[tokio::test]
async fn what_is_not_committed_is_answered_with_an_error() {
    let rig = Rig::new();
    let done = rig
        .run(|tx, _| {
            ledger::note(tx, &id("o-9"), "something", T0)?;
            // SQLite does so by itself when the disk is full.
            tx.rows("ROLLBACK", &[])?;
            Ok(())
        })
        .await;
    assert!(matches!(done, Err(BooksError::Store(StoreError::Commit(_)))), "{done:?}");
    assert_eq!(rig.count("SELECT count(*) FROM history").await, 0);
}

#[tokio::test]
async fn an_order_that_was_forgotten_is_rebuilt_from_what_its_charge_carried() {
    let lost = Rig::new();
    lost.pending("r1", 1).await;
    let report = settled(&lost.load("o-r1").await.order, "t-r1");
    let rig = Rig::new();
    let ask = |report: StatusReport, by: Option<&str>| {
        let by = by.map(|device| DeviceId::new(device).expect("an id"));
        rig.run(move |tx, policy| rebuild(tx, policy, &id("o-r1"), &report, by.as_ref(), Told::trusted(T0)))
    };
    assert_eq!(ask(report.clone(), Some("vm-002")).await.expect("read"), Forgotten::NotOurs, "another machine's");
    let foreign = StatusReport { metadata: [None, None, None], ..report.clone() };
    assert_eq!(ask(foreign, None).await.expect("read"), Forgotten::NotOurs, "nothing of ours");
    let Forgotten::Rebuilt(done) = ask(report.clone(), Some("vm-001")).await.expect("written") else { panic!("ours") };
    let order = &done.now.order;
    let receipt = order.receipt().expect("settled");
    assert_eq!((&receipt.claims().ticket, receipt.claims().amount.get()), (&Ticket::from_random([1; 16]), 5000));
    assert!(matches!(ask(report, None).await.expect("read"), Forgotten::Rebuilt(_)), "again is no harm");
    assert_eq!(rig.count("SELECT count(*) FROM receipts").await, 1);
    // The machine posts once more: it is the same order.
    let known = rig.create("r1", 1, "whatever", T0).await.expect("the same");
    assert!(!known.is_new && known.done.now.order.id == id("o-r1"));
}

#[tokio::test]
async fn a_forgotten_charge_is_believed_to_be_of_its_price_only() {
    for (gross_amount, receipt) in [(5000, true), (100, false), (4999, false), (999_999, false)] {
        let lost = Rig::new();
        lost.pending("r1", 1).await;
        let report = StatusReport { gross_amount: Rupiah::new(gross_amount).ok(), ..settled(&lost.load("o-r1").await.order, "t-r1") };
        let rig = Rig::new();
        let first = report.clone();
        let done = rig.run(move |tx, policy| rebuild(tx, policy, &id("o-r1"), &first, None, Told::trusted(T0))).await.expect("written");
        assert!(matches!(done, Forgotten::Rebuilt(_)), "{gross_amount}");
        // A settlement that does not match is looked at once more. Then it is for a person.
        let done = rig.answered("o-r1", Event::Status(report), T0 + Span::secs(11)).await;
        assert_eq!(done.now.order.receipt().is_some(), receipt, "{gross_amount}");
        assert_eq!(done.now.order.is_refund_due(), !receipt, "{gross_amount}");
    }
}

/// A fee that nobody allowed may have been put on it. It is ended as that charge, and its sum is what goes back.
#[tokio::test]
async fn a_forgotten_charge_of_another_sum_is_ended_and_given_back_as_such() {
    for (said, sum, wanted) in [
        (Said::Expired, 9000, "closed"),
        (Said::Cancelled, 4000, "closed"),
        (Said::Pending, 9000, "cancelling"),
        (Said::Refunded, 9000, "refunded"),
        (Said::Refunded, 5000, "refunded"),
    ] {
        let lost = Rig::new();
        lost.pending("r1", 1).await;
        let order = lost.load("o-r1").await.order;
        let report = StatusReport { gross_amount: Rupiah::new(sum).ok(), ..StatusReport::of(&order, said) };
        let rig = Rig::new();
        let first = report.clone();
        let done = rig.run(move |tx, policy| rebuild(tx, policy, &id("o-r1"), &first, None, Told::trusted(T0))).await.expect("written");
        let Forgotten::Rebuilt(done) = done else { panic!("{said:?}") };
        assert_eq!(done.now.order.state.word(), wanted, "{said:?} {sum}");
        // An answer in another currency takes nothing back.
        let rig = Rig::new();
        let dollars = StatusReport { currency: Some("USD".into()), ..report };
        let done = rig.run(move |tx, policy| rebuild(tx, policy, &id("o-r1"), &dollars, None, Told::trusted(T0))).await.expect("written");
        let Forgotten::Rebuilt(done) = done else { panic!("{said:?}") };
        assert!(
            done.now.order.is_open() && done.now.order.doubt().is_some_and(|doubt| doubt.unclear_since.is_some()),
            "{said:?} {sum}: {:?}",
            done.now.order.state
        );
    }
}

#[tokio::test]
async fn of_two_who_tell_people_one_has_the_turn() {
    let rig = Rig::new();
    rig.pending("r1", 1).await;
    let report = settled(&rig.load("o-r1").await.order, "t-r1");
    rig.answered("o-r1", Event::Status(report), T0 + Span::secs(1)).await;
    rig.tell("o-r1", Delivery::Failed, T0 + Span::secs(2)).await;
    let at = |seconds: i64| T0 + Span::secs(seconds);
    let due = rig.run(move |tx, _| due_alerts(tx, Told::trusted(at(3)))).await.expect("read");
    let [alert] = due.as_slice() else { panic!("{due:?}") };
    let turn = async |who: &'static str, seconds: i64| {
        let alert = alert.clone();
        rig.run(move |tx, _| take_turn(tx, who, &alert, Told::trusted(at(seconds)))).await.expect("written")
    };
    assert!(turn("a", 3).await && !turn("b", 4).await && turn("a", 50).await);
    assert!(!turn("b", 100).await, "it was taken once more meanwhile");
    assert!(turn("b", 110).await && !turn("a", 111).await, "who does not come back loses it");
    let failed = alert.clone();
    rig.run(move |tx, _| alert_tried(tx, &failed, Ways::default(), true, Told::trusted(at(112)))).await.expect("written");
    assert!(!turn("b", 113).await, "not before it is tried again");
    assert_eq!(rig.run(move |tx, _| due_alerts(tx, Told::trusted(at(171)))).await.expect("read").len(), 0);
    assert_eq!(rig.run(move |tx, _| due_alerts(tx, Told::trusted(at(172)))).await.expect("read").len(), 1, "a minute later");
    let done = alert.clone();
    rig.run(move |tx, _| alert_tried(tx, &done, Ways::COMMAND, false, Told::trusted(at(173)))).await.expect("written");
    assert!(!turn("b", 174).await && rig.run(move |tx, _| due_alerts(tx, Told::trusted(at(100_000)))).await.expect("read").is_empty());
}

#[tokio::test]
async fn a_slot_is_paced_by_what_came_out_of_it() {
    let rig = Rig::new();
    let came = |name: &str| crate::samples::reported_order(name, "vm-001", 5000, 5000, Delivery::Dispensed);
    let mut tried = came("second");
    let ended = EndedTry { goods: tried.goods(), reported: tried.reported.clone().expect("it told") };
    tried.tries.now = Some(qris_core::order::merchant::Goods { item: ItemId::new("B1").expect("an id"), ..tried.goods() });
    tried.tries.ended.push(ended);
    let orders = [came("first"), tried];
    let sold = rig.run(move |tx, _| {
        orders.into_iter().for_each(|order| super::testing::put(tx, order, T0));
        sold_since(tx, &DeviceId::new("vm-001").expect("an id"), T0)
    });
    assert_eq!(sold.await.expect("read"), HashMap::from([("A1".into(), 1), ("B1".into(), 1)]));
}
