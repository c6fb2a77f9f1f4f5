//! The decisions of people about orders, and the alerts that they get.

use super::*;
use qris_core::order::merchant::{Attention, NoProof, Proof, RefundAnswer, RefundWish, Repayment};

/// It is proven, under a number that no other order here has.
fn told(order: &str, outcome: Delivery) -> DeliveryReport {
    numbered(outcome, order.bytes().fold(0, |number, byte| number * 31 + u64::from(byte)))
}

fn numbered(outcome: Delivery, number: u64) -> DeliveryReport {
    let DeliveryReport { proof: Proof::Signed { kid, .. }, .. } = DeliveryReport::proven(outcome) else { panic!("it is proven") };
    DeliveryReport { proof: Proof::Signed { kid, number, driven: false }, ..DeliveryReport::proven(outcome) }
}

impl Rig {
    /// The same with automatic refunds.
    pub(super) fn refunding(per_day: u32) -> Self {
        let rig = Self::new();
        let policy = Policy { auto_refund_per_day: per_day, orders_per_minute: 0, ..Arc::into_inner(policy()).expect("one") };
        Self { policy: Arc::new(policy), ..rig }
    }

    /// An order with a receipt of this moment.
    pub(super) async fn paid(&self, request: &str, ticket: u8, at: Wall) {
        self.create(request, ticket, "d", at).await.expect("created");
        let name = format!("o-{request}");
        self.answered(&name, Event::Charged(charge(request)), at).await;
        let report = settled(&self.load(&name).await.order, &format!("t-{request}"));
        self.answered(&name, Event::Status(report), at).await;
    }

    pub(super) async fn tell(&self, order: &str, outcome: Delivery, at: Wall) -> Done {
        self.tell_as(order, told(order, outcome), at).await
    }

    pub(super) async fn tell_as(&self, order: &str, told: DeliveryReport, at: Wall) -> Done {
        let stored = self.load(order).await;
        let result = self.run(move |tx, policy| take_report(tx, policy, stored, told, Told::trusted(at))).await.expect("written");
        result.unwrap_or_else(|done| done)
    }

    pub(super) async fn listed(&self, kind: Attention) -> Vec<String> {
        let sql = "SELECT subject FROM alerts WHERE kind = $1 AND ended_ms IS NULL ORDER BY subject";
        let rows = self.run(move |tx, _| Ok(tx.rows(sql, &[kind.as_str().into()])?)).await.expect("read");
        rows.iter().map(|row| row.text("subject").expect("a name").to_owned()).collect()
    }

    pub(super) async fn due(&self, at: Wall) -> Vec<Alert> {
        self.run(move |tx, _| due_alerts(tx, Told::trusted(at))).await.expect("read")
    }

    /// Somebody is told all that is due.
    pub(super) async fn tells_all(&self, at: Wall) {
        for alert in self.due(at).await {
            self.run(move |tx, _| alert_tried(tx, &alert, Ways::COMMAND, false, Told::trusted(at))).await.expect("told");
        }
    }

    /// Does for an order all that is due by now.
    pub(super) async fn pass(&self, order: &str, at: Wall) -> Done {
        let id = id(order);
        self.run(move |tx, policy| claim(tx, policy, &id, Told::trusted(at))).await.expect("written")
    }
}

fn kinds(alerts: &[Alert]) -> Vec<(&'static str, String)> {
    alerts.iter().map(|alert| (alert.kind(), alert.subject().to_owned())).collect()
}

#[tokio::test]
async fn somebody_is_told_once_of_each_thing_and_again_until_it_works() {
    let rig = Rig::new();
    rig.paid("r1", 1, T0).await;
    let done = rig.tell("o-r1", Delivery::Failed, T0).await;
    assert!(done.alert);
    let alerts = rig.due(T0).await;
    assert_eq!(kinds(&alerts), [("refund_due", "o-r1".to_owned())]);
    assert!(matches!(&alerts[0].about, Subject::Order(stored, Attention::RefundDue) if stored.order.is_refund_due()));
    // Nobody could be told. The tries come later and later, and not for ever.
    let mut at = T0;
    let mut tries = 0;
    while let Some(alert) = rig.due(at).await.pop() {
        rig.run(move |tx, _| alert_tried(tx, &alert, Ways::default(), true, Told::trusted(at))).await.expect("written");
        tries += 1;
        assert_eq!(rig.due(at + Span::secs(59)).await, [], "after {tries}");
        at = at + Span::secs(3600);
    }
    assert_eq!(tries, ALERT_TRIES);
    assert_eq!(rig.listed(Attention::RefundDue).await, ["o-r1"], "the list has it all the same");
    // Another kind for the same order is another alert. An alert that was told stays told.
    rig.tell("o-r1", Delivery::Dispensed, at).await;
    let alert = rig.due(at).await.pop().expect("a conflict");
    assert_eq!(alert.kind(), "conflict");
    rig.run(move |tx, _| alert_tried(tx, &alert, Ways::COMMAND, false, Told::trusted(at))).await.expect("written");
    assert_eq!(rig.due(at + Span::secs(86_400)).await, []);
    // The order is decided, so neither alert holds any more.
    rig.run(move |tx, policy| given(tx, policy, &id("o-r1"), "Budi", false, Told::trusted(at))).await.expect("granted");
    assert_eq!((rig.listed(Attention::RefundDue).await.len(), rig.listed(Attention::Conflict).await.len()), (0, 0));
    assert_eq!(rig.count("SELECT count(*) FROM alerts WHERE ended_ms IS NULL").await, 0);
    let history = rig.run(|tx, _| history(tx, &id("o-r1"))).await.expect("read");
    assert!(history.last().expect("lines").event.contains("Budi handed the goods over"), "{history:?}");
}

#[tokio::test]
async fn a_damaged_order_is_told_of_and_keeps_nobody_from_hearing_of_others() {
    let rig = Rig::new();
    for (request, ticket) in [("r1", 1), ("r2", 2)] {
        rig.paid(request, ticket, T0).await;
        rig.tell(&format!("o-{request}"), Delivery::Failed, T0).await;
    }
    let flip = "UPDATE orders SET body = replace(body, '5000', '5001'), version = version + 1 WHERE order_id = 'o-r1'";
    rig.run(move |tx, _| Ok(tx.rows(flip, &[])?)).await.expect("no trigger sees it");
    let alerts = rig.due(T0).await;
    let mut told = kinds(&alerts);
    told.sort();
    assert_eq!(told, [("refund_due", "o-r1".to_owned()), ("refund_due", "o-r2".to_owned())]);
    assert!(alerts.iter().any(|alert| alert.about == Subject::Damaged(id("o-r1"), Attention::RefundDue)));
}

#[tokio::test]
async fn a_damaged_order_does_not_keep_its_machine_from_the_others() {
    let rig = Rig::new();
    for (request, ticket) in [("r1", 1), ("r2", 2)] {
        rig.paid(request, ticket, T0).await;
    }
    let open = || rig.run(|tx, _| open_orders(tx, &DeviceId::new("vm-001").expect("an id")));
    assert_eq!(open().await.expect("read").len(), 2);
    let flip = "UPDATE orders SET body = replace(body, '5000', '5001'), version = version + 1 WHERE order_id = 'o-r1'";
    rig.run(move |tx, _| Ok(tx.rows(flip, &[])?)).await.expect("no trigger sees it");
    let left: Vec<_> = open().await.expect("read").into_iter().map(|stored| stored.order.id).collect();
    assert_eq!(left, [id("o-r2")]);
}

#[tokio::test]
async fn a_machine_hears_of_goods_that_were_taken_out_of_its_slot_and_of_no_others() {
    let rig = Rig::new();
    for (request, ticket) in [("r1", 1), ("r2", 2), ("r3", 3)] {
        rig.paid(request, ticket, T0).await;
        rig.tell(&format!("o-{request}"), Delivery::Undelivered, T0).await;
    }
    let hand_over =
        |order: &'static str, from_slot| rig.run(move |tx, policy| given(tx, policy, &id(order), "Sari", from_slot, Told::trusted(T0)));
    let elsewhere = hand_over("o-r1", false).await.expect("granted");
    let here = hand_over("o-r2", true).await.expect("granted");
    assert_eq!((elsewhere.posted, here.posted), (false, true), "it is a hint for its machine");
    assert!(hand_over("o-r2", true).await.is_err(), "once");
    let taken = |device: &'static str| rig.run(move |tx, _| taken_out(tx, &DeviceId::new(device).expect("an id")));
    let orders: Vec<_> = taken("vm-001").await.expect("read").into_iter().map(|told| told.order_id).collect();
    assert_eq!(orders, [id("o-r2")]);
    assert_eq!(taken("vm-002").await.expect("read"), []);
}

#[tokio::test]
async fn a_refund_that_was_under_way_when_the_program_died_may_have_been_made() {
    let rig = Rig::new();
    rig.paid("r1", 1, T0).await;
    rig.tell("o-r1", Delivery::Failed, T0).await;
    rig.run(|tx, policy| request_refund(tx, policy, &id("o-r1"), RefundWish::of_a_person(None), Told::trusted(T0))).await.expect("granted");
    assert_eq!(rig.pass("o-r1", T0).await.call, Some(Call::Refund));
    rig.run(|tx, policy| restarted(tx, policy, Told::trusted(T0 + Span::secs(1)))).await.expect("starts");
    assert!(matches!(rig.load("o-r1").await.order.repayment(), Some(Repayment::Requested { unsure: true, .. })));
    assert_eq!(rig.pass("o-r1", T0 + Span::secs(1)).await.call, Some(Call::Refund), "and it is asked for at once");
}

#[tokio::test]
async fn a_relay_whose_ledger_was_put_back_proves_nothing() {
    let rig = Rig::refunding(10);
    for (request, ticket) in [("r1", 1), ("r2", 2)] {
        rig.paid(request, ticket, T0).await;
    }
    let asked = rig.tell_as("o-r1", numbered(Delivery::Undelivered, 7), T0).await;
    assert!(matches!(asked.now.order.repayment(), Some(Repayment::Requested { .. })), "proven: it goes back by itself");
    // The same report again, as after a restart of the machine, changes nothing.
    let again = rig.tell_as("o-r1", numbered(Delivery::Undelivered, 7), T0).await;
    assert_eq!(again.now.order, asked.now.order);
    // Another ticket has the same number. A ledger that had forgotten one of them gave the other.
    let other = rig.tell_as("o-r2", numbered(Delivery::Failed, 7), T0).await;
    assert_eq!(other.now.order.delivery().map(|told| told.proof.clone()), Some(Proof::Missing(NoProof::NumberUsed)));
    assert_eq!((other.now.order.repayment(), rig.listed(Attention::NoProof).await), (None, vec!["o-r2".to_owned()]));
    let refused = rig.run(|tx, policy| request_refund(tx, policy, &id("o-r2"), RefundWish::of_a_person(None), Told::trusted(T0))).await;
    assert!(matches!(refused, Err(BooksError::Refused(Refused::NoProof))), "{refused:?}");
    // The number of an archived order is not accepted either.
    let Proof::Signed { kid, .. } = numbered(Delivery::Failed, 8).proof else { panic!("it is signed") };
    let archived = format!("INSERT INTO archived VALUES ('o-r0', 'vm-001', 'r0', 't0', NULL, NULL, 1, '{kid}:{:020}')", 8);
    rig.run(move |tx, _| {
        tx.rows("INSERT INTO archives VALUES (1, 'archive.db', 0)", &[])?;
        tx.rows(&archived, &[]).map_err(Into::into)
    })
    .await
    .expect("written");
    rig.paid("r3", 3, T0).await;
    let third = rig.tell_as("o-r3", numbered(Delivery::Undelivered, 8), T0).await;
    assert_eq!(third.now.order.delivery().map(|told| told.proof.clone()), Some(Proof::Missing(NoProof::NumberUsed)));
}

#[tokio::test]
async fn a_number_that_is_far_ahead_is_for_a_person_until_the_relay_may_have_come_so_far() {
    let rig = Rig::refunding(100);
    let proof = |done: Done| done.now.order.delivery().map(|told| told.proof.clone());
    let ahead = Some(Proof::Missing(NoProof::NumberAhead));
    for ticket in 1..=6 {
        rig.paid(&format!("r{ticket}"), ticket, T0).await;
    }
    // Nothing is known of the first one of a key: the books may be new, and the ledger old.
    let first = numbered(Delivery::Undelivered, 1 << 40);
    assert_eq!(proof(rig.tell_as("o-r1", first.clone(), T0).await), Some(first.proof));
    for (order, above, at, is_ahead) in [
        ("o-r2", 1_001, T0, true),
        ("o-r3", 1_000, T0, false),
        // The last number is not the one that was told last, and orders may be told in any order.
        ("o-r4", 999, T0, false),
        ("o-r5", 1_000 + 1_001, T0, true),
        ("o-r6", 1_000 + 1_001, T0 + Span::secs(1), false),
    ] {
        let told = numbered(Delivery::Undelivered, (1 << 40) + above);
        let expected = if is_ahead { ahead.clone() } else { Some(told.proof.clone()) };
        assert_eq!(proof(rig.tell_as(order, told, at).await), expected, "{order}");
    }
    assert_eq!(rig.listed(Attention::NoProof).await, ["o-r2", "o-r5"]);
    for order in ["o-r2", "o-r5"] {
        let refused =
            rig.run(move |tx, policy| request_refund(tx, policy, &id(order), RefundWish::of_a_person(None), Told::trusted(T0))).await;
        assert!(matches!(refused, Err(BooksError::Refused(Refused::NoProof))), "{refused:?}");
    }
    // Another relay's numbers say nothing of this one.
    rig.paid("r7", 7, T0).await;
    let kid = qris_core::order::ids::KeyId::new("other").expect("a name");
    let other = DeliveryReport { proof: Proof::Signed { kid, number: 3, driven: false }, ..numbered(Delivery::Failed, 3) };
    assert_eq!(proof(rig.tell_as("o-r7", other.clone(), T0).await), Some(other.proof));
}

/// The gateway may put its own name of a transaction in the place of ours, in a notification and in get-status.
#[tokio::test]
async fn one_payment_under_two_names_is_one_receipt_and_no_refund() {
    let alien = |report: &StatusReport| StatusReport { order_id: OrderId::new("A1KHIMID").ok(), ..report.clone() };
    let heard = async |rig: &Rig, report: StatusReport| {
        rig.run(move |tx, policy| rebuild(tx, policy, &id("A1KHIMID"), &report, None, Told::trusted(T0))).await
    };
    let rig = Rig::new();
    rig.pending("r1", 1).await;
    let report = settled(&rig.load("o-r1").await.order, "t-r1");
    let known = heard(&rig, alien(&report)).await.expect("written");
    assert!(matches!(known, Forgotten::Known(_)), "the books have its transaction: {known:?}");
    assert!(rig.load("o-r1").await.order.receipt().is_some(), "and that order has heard it");
    // The answer names that order, and has no metadata.
    let rig = Rig::new();
    rig.pending("r1", 1).await;
    let named = StatusReport { metadata: [None, None, None], ..report.clone() };
    assert!(matches!(heard(&rig, named).await.expect("written"), Forgotten::Known(_)));
    // It names another one, and its transaction is known nowhere.
    let other = StatusReport { order_id: OrderId::new("o-r9").ok(), ..settled(&rig.load("o-r1").await.order, "t-r9") };
    assert_eq!(heard(&rig, other.clone()).await.expect("read"), Forgotten::Unclear);
    let foreign = StatusReport { metadata: [None, None, None], ..other };
    assert_eq!(heard(&rig, foreign).await.expect("read"), Forgotten::NotOurs);
    // The answer to the charge comes late: the payment is known under the other name first.
    let rig = Rig::refunding(100);
    rig.create("r1", 1, "a digest", T0).await.expect("new");
    assert!(matches!(heard(&rig, alien(&report)).await.expect("written"), Forgotten::Rebuilt(_)));
    rig.answered("o-r1", Event::Charged(charge("t-r1")), T0).await;
    for seconds in [1, 400] {
        let order = rig.answered("o-r1", Event::Status(report.clone()), T0 + Span::secs(seconds)).await.now.order;
        assert!(order.receipt().is_none() && !order.is_refund_due(), "{order:?}");
    }
    assert_eq!(rig.listed(Attention::Unconfirmed).await, ["o-r1"]);
    assert_eq!(rig.count("SELECT count(*) FROM receipts").await, 1);
}

#[tokio::test]
async fn the_relays_word_stands_over_one_without_it() {
    let rig = Rig::refunding(10);
    rig.paid("r1", 1, T0).await;
    let unsigned = |outcome| DeliveryReport { proof: Proof::Missing(NoProof::None), ..numbered(outcome, 0) };
    rig.tell_as("o-r1", unsigned(Delivery::Dispensed), T0).await;
    let told = rig.tell_as("o-r1", numbered(Delivery::Undelivered, 7), T0).await;
    assert_eq!(told.now.order.delivery(), Some(&numbered(Delivery::Undelivered, 7)));
    assert!(told.now.order.has_conflict() && told.now.order.repayment().is_none(), "{:?}", told.now.order);
    for other in [unsigned(Delivery::Dispensed), numbered(Delivery::Dispensed, 8)] {
        let again = rig.tell_as("o-r1", other, T0).await;
        assert_eq!(again.now.order.delivery(), Some(&numbered(Delivery::Undelivered, 7)), "it stays");
    }
    let asked = rig.run(|tx, policy| request_refund(tx, policy, &id("o-r1"), RefundWish::of_a_person(None), Told::trusted(T0))).await;
    assert!(asked.is_ok(), "{asked:?}");
}

#[tokio::test]
async fn what_ends_before_anybody_was_told_is_not_told() {
    let rig = Rig::new();
    rig.paid("r1", 1, T0).await;
    rig.tell("o-r1", Delivery::Failed, T0).await;
    rig.run(|tx, policy| refund_by_hand(tx, policy, &id("o-r1"), "cash", None, false, Told::trusted(T0))).await.expect("granted");
    assert_eq!(rig.due(T0 + Span::secs(86_400)).await, []);
    assert!(matches!(rig.load("o-r1").await.order.repayment(), Some(Repayment::ByHand { .. })));
    let again = rig.run(|tx, policy| request_refund(tx, policy, &id("o-r1"), RefundWish::of_a_person(None), Told::trusted(T0))).await;
    assert!(matches!(again, Err(BooksError::Refused(Refused::RefundedAlready))), "{again:?}");
}

#[tokio::test]
async fn a_silent_machine_is_noticed_and_its_word_ends_it() {
    let rig = Rig::new();
    rig.paid("r1", 1, T0).await;
    rig.paid("r2", 2, T0).await;
    let late = T0 + merchant::REPORT_WITHIN;
    let due = rig.run(move |tx, _| claim_due(tx, Told::trusted(late))).await.expect("read");
    assert_eq!(due.len(), 2);
    for order in ["o-r1", "o-r2"] {
        assert!(rig.pass(order, late).await.alert);
    }
    assert_eq!(rig.listed(Attention::Unreported).await.len(), 2);
    assert_eq!(kinds(&rig.due(late).await).iter().filter(|(kind, _)| *kind == "unreported").count(), 2);
    rig.tell("o-r1", Delivery::Dispensed, late).await;
    assert_eq!(rig.listed(Attention::Unreported).await, ["o-r2"]);
    // The other stays silent. An hour after its receipt a person may end it, by name.
    let early = T0 + merchant::NO_REPORT_AFTER - Span::secs(1);
    let wish = |at: Wall, no_report| {
        let wish = RefundWish { no_report, ..RefundWish::of_a_person(Some("Ani".into())) };
        rig.run(move |tx, policy| request_refund(tx, policy, &id("o-r2"), wish, Told::trusted(at)))
    };
    assert!(matches!(wish(early, true).await, Err(BooksError::Refused(Refused::TooEarly))));
    let hour = T0 + merchant::NO_REPORT_AFTER;
    assert!(matches!(wish(hour, false).await, Err(BooksError::Refused(Refused::NotReported))));
    wish(hour, true).await.expect("granted");
    assert_eq!(rig.pass("o-r2", hour).await.call, Some(Call::Refund), "serve takes it up");
    let history = rig.run(|tx, _| history(tx, &id("o-r2"))).await.expect("read");
    assert!(history.iter().any(|line| line.event.contains("Ani wants it refunded, without a report")), "{history:?}");
}

#[tokio::test]
async fn the_backend_refunds_by_itself_within_its_limit_and_never_what_is_doubtful() {
    let rig = Rig::refunding(2);
    for (number, outcome) in
        [(1_u8, Delivery::Uncertain), (2, Delivery::Dispensed), (3, Delivery::Failed), (4, Delivery::Undelivered), (5, Delivery::Failed)]
    {
        rig.paid(&format!("r{number}"), number, T0).await;
        rig.tell(&format!("o-r{number}"), outcome, T0).await;
    }
    let begun = |number: u8| {
        let rig = &rig;
        async move { rig.load(&format!("o-r{number}")).await.order.repayment().is_some() }
    };
    assert_eq!([begun(1).await, begun(2).await, begun(3).await, begun(4).await, begun(5).await], [false, false, true, true, false]);
    assert_eq!(rig.listed(Attention::RefundDue).await, ["o-r5"], "over the limit: for a person");
    let history = rig.run(|tx, _| history(tx, &id("o-r5"))).await.expect("read");
    assert!(history.iter().any(|line| line.event.contains("its limit of 2 refunds a day")), "{history:?}");
    // Another day has another limit. A conflict that comes at once stops a refund that was not sent yet.
    let tomorrow = T0 + Span::secs(86_400);
    rig.paid("r6", 6, tomorrow).await;
    rig.tell("o-r6", Delivery::Failed, tomorrow).await;
    assert!(matches!(rig.load("o-r6").await.order.repayment(), Some(Repayment::Requested { .. })));
    rig.tell("o-r6", Delivery::Dispensed, tomorrow).await;
    assert!(matches!(rig.load("o-r6").await.order.repayment(), Some(Repayment::Refused { .. })));
    assert_eq!(rig.pass("o-r6", tomorrow + Span::secs(3600)).await.call, None);
}

#[tokio::test]
async fn two_programs_refund_once() {
    let rig = Rig::new();
    rig.paid("r1", 1, T0).await;
    rig.tell("o-r1", Delivery::Failed, T0).await;
    let beside = rig.beside();
    let mut tasks = Vec::new();
    for round in 0..12 {
        let store = if round % 2 == 0 { rig.store.clone() } else { beside.clone() };
        let policy = policy();
        tasks.push(tokio::spawn(async move {
            match round % 3 {
                0 => store.run(move |tx| request_refund(tx, &policy, &id("o-r1"), RefundWish::of_a_person(None), Told::trusted(T0))).await,
                1 => store.run(move |tx| refund_by_hand(tx, &policy, &id("o-r1"), "cash", None, false, Told::trusted(T0))).await,
                _ => store.run(move |tx| given(tx, &policy, &id("o-r1"), "Budi", false, Told::trusted(T0))).await,
            }
        }));
    }
    let mut granted = 0;
    for task in tasks {
        match task.await.expect("ran") {
            Ok(_) => granted += 1,
            Err(BooksError::Refused(Refused::RefundUnderWay | Refused::RefundedAlready | Refused::Given)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(granted, 1);
    // Two servers take it up, and one asks.
    let mut calls = 0;
    for round in 0..6 {
        let store = if round % 2 == 0 { rig.store.clone() } else { beside.clone() };
        let policy = policy();
        let done = store.run(move |tx| claim(tx, &policy, &id("o-r1"), Told::trusted(T0))).await.expect("written");
        calls += usize::from(done.call == Some(Call::Refund));
    }
    assert!(calls <= 1);
}

#[tokio::test]
async fn machines_that_are_gone_are_told_of_once_until_they_are_back() {
    let rig = Rig::new();
    let vm = || DeviceId::new("vm-001").expect("an id");
    for at in [T0, T0 + Span::secs(60)] {
        rig.run(move |tx, _| machine_offline(tx, &vm(), Told::trusted(at))).await.expect("written");
    }
    let alert = rig.due(T0).await.pop().expect("one");
    assert_eq!((alert.kind(), &alert.about, alert.since), ("offline", &Subject::Offline, T0));
    rig.run(move |tx, _| alert_tried(tx, &alert, Ways::COMMAND, false, Told::trusted(T0))).await.expect("written");
    rig.run(move |tx, _| machine_offline(tx, &vm(), Told::trusted(T0))).await.expect("written");
    assert_eq!(rig.due(T0 + Span::secs(999)).await, []);
    rig.run(move |tx, _| machine_back(tx, &vm(), Told::trusted(T0))).await.expect("written");
    rig.run(move |tx, _| machine_offline(tx, &vm(), Told::trusted(T0 + Span::secs(5)))).await.expect("written");
    let due = rig.due(T0 + Span::secs(5)).await;
    assert!(due.len() == 1 && due[0].until.is_none(), "what began anew needs no end of the earlier one: {due:?}");
}

/// Each way that took an alert takes its end, also if the alert ended while it was told; the others hear of neither.
#[tokio::test]
async fn who_was_told_is_told_of_the_end_once() {
    let both = Ways::COMMAND.and(Ways::WEBHOOK);
    // The ways that took it before it ended, those that took it while it ended, and those that must hear of the end.
    let table = [
        (None, None, None),
        (Some(Ways::default()), None, None),
        (Some(Ways::COMMAND), None, Some(Ways::COMMAND)),
        (Some(both), None, Some(both)),
        (None, Some(Ways::WEBHOOK), Some(Ways::WEBHOOK)),
        (None, Some(Ways::default()), None),
        (Some(Ways::COMMAND), Some(Ways::WEBHOOK), Some(both)),
        (Some(Ways::COMMAND), Some(Ways::default()), Some(Ways::COMMAND)),
    ];
    let vm = || DeviceId::new("vm-001").expect("an id");
    let at = |seconds| T0 + Span::secs(seconds);
    for (before, while_ended, expected) in table {
        let rig = Rig::new();
        rig.run(move |tx, _| machine_offline(tx, &vm(), Told::trusted(T0))).await.expect("written");
        let alert = rig.due(T0).await.pop().expect("one");
        let tried = async |took: Option<Ways>, seconds: i64| {
            let (Some(took), alert) = (took, alert.clone()) else { return };
            rig.run(move |tx, _| alert_tried(tx, &alert, took, took != both, Told::trusted(at(seconds)))).await.expect("written");
        };
        tried(before, 1).await;
        assert!(rig.run(move |tx, _| machine_back(tx, &vm(), Told::trusted(at(2)))).await.expect("written"));
        tried(while_ended, 3).await;
        assert!(
            !rig.run(move |tx, _| take_turn(tx, "a", &alert, Told::trusted(at(999)))).await.expect("written"),
            "it is told as ended only"
        );
        let over = rig.due(at(999)).await.pop();
        assert_eq!(over.as_ref().map(|over| (over.taken, over.until, over.tries)), expected.map(|ways| (ways, Some(at(2)), 0)));
        let Some(over) = over else { continue };
        let wanted = over.clone();
        assert!(rig.run(move |tx, _| take_turn(tx, "a", &wanted, Told::trusted(at(999)))).await.expect("written"));
        // One takes the end, and the other one later.
        let (first, again) = (over.clone(), over.taken != Ways::COMMAND);
        rig.run(move |tx, _| alert_tried(tx, &first, Ways::COMMAND, again, Told::trusted(at(999)))).await.expect("written");
        let left = rig.due(at(9999)).await;
        assert_eq!(
            left.iter().map(|over| (over.taken, over.tries)).collect::<Vec<_>>(),
            if again { vec![(Ways::WEBHOOK, 1)] } else { vec![] }
        );
        for over in left {
            rig.run(move |tx, _| alert_tried(tx, &over, Ways::WEBHOOK, false, Told::trusted(at(9999)))).await.expect("written");
        }
        assert_eq!(rig.due(at(1_000_000)).await, []);
        // It is missing once more: that is another alert, which nobody has taken.
        rig.run(move |tx, _| machine_offline(tx, &vm(), Told::trusted(at(1_000_000)))).await.expect("written");
        assert_eq!(rig.due(at(1_000_000)).await.pop().map(|alert| (alert.taken, alert.until)), Some((Ways::default(), None)));
    }
}

#[tokio::test]
async fn whom_qrs_pay_is_told_when_it_is_another_and_once() {
    let rig = Rig::new();
    let paid = |merchant: &'static str, at: Wall| {
        let vm = DeviceId::new("vm-001").expect("an id");
        rig.run(move |tx, _| merchant_paid(tx, merchant, &vm, Told::trusted(at)))
    };
    for second in 0..2 {
        assert_eq!(paid("ID1", T0 + Span::secs(second)).await.expect("written"), None);
        assert_eq!(rig.due(T0 + Span::secs(9)).await, [], "the first is remembered");
    }
    assert_eq!(paid("ID2", T0 + Span::secs(2)).await.expect("written").as_deref(), Some("ID1"));
    let alert = rig.due(T0 + Span::secs(9)).await.pop().expect("one");
    assert_eq!((alert.kind(), alert.subject(), &alert.about), ("merchant", "ID2", &Subject::Merchant("ID2".into())));
    rig.run(move |tx, _| alert_tried(tx, &alert, Ways::COMMAND, false, Told::trusted(T0))).await.expect("written");
    for merchant in ["ID1", "ID2", "ID1"] {
        assert_eq!(paid(merchant, T0 + Span::secs(3)).await.expect("written"), None);
    }
    assert_eq!(rig.due(T0 + Span::secs(9)).await, []);
}

#[tokio::test]
async fn what_is_most_urgent_stands_first_however_many_are_older() {
    let rig = Rig::new();
    let days = |days: i64| Some(Span::secs(days * 86_400));
    for (number, (request, refund_within, outcome)) in (1_u8..).zip([
        ("seen", None, Delivery::Dispensed),
        ("never", None, Delivery::Failed),
        ("later", days(45), Delivery::Failed),
        ("settled", days(1), Delivery::Failed),
        ("soon", days(7), Delivery::Uncertain),
    ]) {
        let (order, at) = (format!("o-{request}"), T0 + Span::secs(60 * i64::from(number)));
        rig.create(request, number, "d", at).await.expect("created");
        rig.answered(&order, Event::Charged(charge(request)), at).await;
        let report = StatusReport { refund_within, ..settled(&rig.load(&order).await.order, &format!("t-{request}")) };
        rig.answered(&order, Event::Status(report.clone()), at).await;
        rig.tell(&order, outcome, at).await;
        if request == "seen" {
            rig.answered(&order, Event::Status(StatusReport { said: Said::PartlyRefunded, ..report }), at).await;
        }
    }
    rig.run(|tx, policy| given(tx, policy, &id("o-settled"), "Sari", false, Told::trusted(T0 + Span::secs(600)))).await.expect("written");
    let sorted = ["o-soon", "o-later", "o-never", "o-seen"];
    for most in 1..=5 {
        let found = rig.run(move |tx, _| wanting(tx, most)).await.expect("read").orders;
        let found: Vec<_> = found.iter().map(|stored| stored.order.id.as_str().to_owned()).collect();
        assert_eq!(found, sorted[..most.min(4)], "at most {most}");
    }
}

/// What the desk counts and lists as needing a person: its badge, the list of all, and the most urgent. And what is owed.
fn needing(tx: &mut dyn Tx) -> Result<([usize; 3], usize), BooksError> {
    let newest = Cursor::at(OrderFilter::ATTENTION.until);
    let counted = count(tx, &OrderFilter::ATTENTION, 9)? as usize;
    let listed = page(tx, &OrderFilter::ATTENTION, &newest)?.orders.len();
    let urgent = wanting(tx, 9)?.orders.len();
    Ok(([counted, listed, urgent], page(tx, &wanted(true, false), &newest)?.orders.len()))
}

#[tokio::test]
async fn a_refund_on_its_way_needs_nobody_until_it_has_failed() {
    let rig = Rig::new();
    let found = async || rig.run(|tx, _| needing(tx)).await.expect("read");
    rig.paid("r1", 1, T0).await;
    assert_eq!(found().await, ([0; 3], 0));
    rig.tell("o-r1", Delivery::Failed, T0).await;
    assert_eq!(found().await, ([1; 3], 1), "it waits for a decision");
    rig.run(|tx, policy| request_refund(tx, policy, &id("o-r1"), RefundWish::of_a_person(None), Told::trusted(T0))).await.expect("granted");
    let (mut at, mut calls) = (T0, 0);
    while matches!(rig.load("o-r1").await.order.repayment(), Some(Repayment::Requested { .. })) {
        assert_eq!(found().await, ([0; 3], 1), "after {calls} calls: it is owed, and under way");
        assert!(rig.load("o-r1").await.order.attention().is_empty() && calls < 100);
        (at, calls) = (at + Span::secs(3600), calls + 1);
        rig.answered("o-r1", Event::RefundAnswered(RefundAnswer::Passing("cut".into())), at).await;
    }
    assert_eq!((rig.listed(Attention::RefundFailed).await, calls > 1), (vec!["o-r1".to_owned()], true));
    assert_eq!(found().await, ([1; 3], 1), "nobody asks the gateway any more");
}
