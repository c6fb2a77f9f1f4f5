//! Money that goes back through the simulated Midtrans, or does not.

use super::*;
use crate::midtrans::{Change, KeyAgain};
use qris_core::order::merchant::{RefundWish, Repayment, State};
use qris_core::order::money::Rupiah;

fn options() -> Options {
    Options::new(KEY, "")
}

async fn simulator(options: Options) -> SimulatorHandle {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    Simulator::start(listener, options).expect("a simulator")
}

async fn refunding(options: Options) -> Rig {
    Rig::tuned(simulator(options).await, |desk| desk.auto_refund_per_day = 50).await
}

impl Rig {
    /// An order that was paid, with this report of the machine.
    async fn paid(&self, request: &str, outcome: &str) -> OrderResource {
        let order = self.order(request).await;
        self.pay(&order, false);
        self.until(&order, "a receipt", |stored| stored.order.receipt().is_some()).await;
        assert_eq!(self.tell(&order, outcome).await, StatusCode::OK);
        order
    }

    async fn ask_refund(&self, order: &OrderResource) {
        let id = order.order_id.clone();
        self.shop
            .write(move |tx, desk, _| {
                books::request_refund(
                    tx,
                    desk,
                    &id,
                    RefundWish { no_proof: true, ..RefundWish::of_a_person(Some("Ani".into())) },
                    clock::now().wall,
                )
            })
            .await
            .expect("granted");
    }

    fn refunded(&self, order: &OrderResource) -> u64 {
        self.simulator.with(|midtrans, _| midtrans.transaction(order.order_id.as_str()).expect("in the books").refunded)
    }
}

fn is_done(stored: &books::Stored) -> bool {
    matches!((&stored.order.state, &stored.order.repayment), (State::Refunded { .. }, Some(Repayment::Done { .. })))
}

fn is_refused(stored: &books::Stored) -> bool {
    matches!(stored.order.repayment, Some(Repayment::Refused { .. }))
}

fn why(stored: &books::Stored) -> String {
    match &stored.order.repayment {
        Some(Repayment::Refused { why, .. }) => why.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_failed_is_refunded_once_and_the_machine_is_told() {
    let rig = refunding(options()).await;
    let order = rig.paid("r1", "failed").await;
    rig.until(&order, "a refund", is_done).await;
    assert_eq!(rig.refunded(&order), 5000);
    let resource = rig.get(&format!("/v1/orders/{}", order.order_id)).await;
    assert_eq!((resource.status, resource.refund, resource.receipt), (Status::Refund, Some(Refund::Done), None));
    let outbox = rig.shop.read(|tx| books::take_outbox(tx, 0)).await.expect("read");
    assert!(outbox.iter().any(|message| message.payload.contains("\"status\":\"refund\"")), "{outbox:?}");
    // Its two notifications change nothing, and neither does a restart.
    rig.shop.write(|tx, desk, now| books::restarted(tx, desk, now)).await.expect("written");
    rig.simulator.with(|midtrans, now| midtrans.notify_again(order.order_id.as_str(), now)).expect("sent");
    rig.until(&order, "the same", is_done).await;
    assert_eq!((rig.asked("/refund"), rig.kinds(&order).await), (1, vec![]));
    // An uncertain or delivered order is not refunded by itself, not even when a later order is refunded.
    for (outcome, after, asked) in [("uncertain", "r2", 2), ("dispensed", "r3", 3)] {
        let order = rig.paid(outcome, outcome).await;
        let after = rig.paid(after, "failed").await;
        rig.until(&after, "a refund", is_done).await;
        assert_eq!((rig.refunded(&order), rig.asked("/refund")), (0, asked), "{outcome}");
    }
}

/// The customer paid the fee too, and gets it back. A refund of only the price would be a part, and Midtrans would
/// call it so.
#[tokio::test]
async fn a_refund_gives_back_the_fee_that_was_imposed_too() {
    let rig = Rig::tuned(simulator(Options { fee: 100, ..options() }).await, |desk| {
        (desk.auto_refund_per_day, desk.rules.max_imposed_fee) = (50, 100);
    })
    .await;
    for (name, by_a_person) in [("by itself", false), ("by a person", true)] {
        let order: OrderResource = rig.post(&name.replace(' ', "-")).await.json().await.expect("an order");
        assert_eq!((order.amount.get(), order.gross_amount.map(Rupiah::get)), (5000, Some(5100)), "{name}");
        rig.pay(&order, false);
        rig.until(&order, "a receipt", |stored| stored.order.receipt().is_some()).await;
        // An uncertain order is never refunded by itself.
        assert_eq!(rig.tell(&order, if by_a_person { "uncertain" } else { "failed" }).await, StatusCode::OK);
        if by_a_person {
            rig.ask_refund(&order).await;
        }
        rig.until(&order, name, is_done).await;
        assert_eq!((rig.refunded(&order), rig.kinds(&order).await), (5100, vec![]), "{name}");
        assert_eq!(rig.get(&format!("/v1/orders/{}", order.order_id)).await.refund, Some(Refund::Done), "{name}");
    }
}

/// They run side by side. The result of each is asked after Midtrans' ten seconds.
#[tokio::test]
async fn a_refund_whose_answer_is_lost_is_made_once() {
    tokio::join!(lost_answers(KeyAgain::Conflict), lost_answers(KeyAgain::Replay));
}

async fn lost_answers(again: KeyAgain) {
    let rig = refunding(Options { refund_key_again: again, ..options() }).await;
    let mut orders = Vec::new();
    for (name, fault) in [
        ("lost", Fault::LoseAnswer),
        ("cut", Fault::CutAnswer),
        ("garbled", Fault::Garble),
        ("done", Fault::ServerError { code: 500, done: true }),
    ] {
        let order = rig.order(name).await;
        let plan = Plan { fault, on: Some("refund".into()), order_id: Some(order.order_id.as_str().into()), count: Some(1) };
        rig.simulator.with(|midtrans, _| midtrans.plan(plan));
        rig.pay(&order, false);
        rig.until(&order, "a receipt", |stored| stored.order.receipt().is_some()).await;
        assert_eq!(rig.tell(&order, "undelivered").await, StatusCode::OK);
        orders.push((name, order));
    }
    for (name, order) in orders {
        // Get-status, or the notification of the refund, tells that it was made.
        rig.until(&order, name, is_done).await;
        assert_eq!(rig.refunded(&order), 5000, "{name}");
    }
    assert!(rig.simulator.with(|midtrans, _| midtrans.plans().is_empty()), "each fault was there");
}

#[tokio::test]
async fn a_refund_that_cannot_be_had_says_why_in_words_that_a_person_can_act_on() {
    let refused = |on: &str, code| Fault::Error { code, http: None, message: Some(on.into()) };
    let table = [
        ("402", refused("Merchant doesn't have access for this payment type", 402), "POS refunds not allowed"),
        ("406", refused("Duplicate refund ID", 406), "Midtrans has a refund with this refund_key already"),
        ("412", refused("Merchant cannot modify the status of the transaction", 412), "Midtrans cannot change this transaction any more"),
        ("414", refused("Refund request is rejected due to merchant insufficient funds", 414), "the merchant's balance"),
        ("bank", Fault::DenyRefund, "refund denied by the bank"),
    ];
    let rig = refunding(options()).await;
    for (name, fault, words) in table {
        rig.fail(fault, "refund", 1);
        let order = rig.paid(name, "failed").await;
        let stored = rig.until(&order, name, is_refused).await;
        assert!(why(&stored).contains(words), "{name}: {}", why(&stored));
        assert_eq!((rig.refunded(&order), rig.kinds(&order).await), (0, vec![Attention::RefundFailed]), "{name}");
        let resource = rig.get(&format!("/v1/orders/{}", order.order_id)).await;
        assert_eq!((resource.status, resource.refund), (Status::Settlement, Some(Refund::Due)), "{name}: still due");
        assert_eq!(rig.asked(&format!("{}/refund", order.order_id)), 1, "{name}: asked once");
    }
    // A merchant on site, who has no refunds over the API at all.
    rig.simulator.with(|midtrans, now| midtrans.change(Change { refunds: Some(false), ..Change::default() }, now));
    let order = rig.paid("pos", "failed").await;
    let stored = rig.until(&order, "pos", is_refused).await;
    assert!(why(&stored).starts_with("POS refunds not allowed"), "{}", why(&stored));
    // He refunds at the dashboard, and its notification tells.
    rig.simulator.with(|midtrans, now| midtrans.refund_by_hand(order.order_id.as_str(), b"{}", now));
    rig.until(&order, "the dashboard's", is_done).await;
    assert!(rig.kinds(&order).await.is_empty());
}

#[tokio::test]
async fn an_automatic_refund_has_its_limit_a_day() {
    let rig = Rig::tuned(simulator(options()).await, |desk| desk.auto_refund_per_day = 2).await;
    for name in ["r1", "r2"] {
        let order = rig.paid(name, "failed").await;
        rig.until(&order, name, is_done).await;
    }
    let third = rig.paid("r3", "failed").await;
    assert_eq!(rig.kinds(&third).await, [Attention::RefundDue]);
    rig.ask_refund(&third).await;
    rig.until(&third, "a person's refund", is_done).await;
    assert_eq!(rig.asked("/refund"), 3);
}

#[tokio::test]
async fn what_happens_to_paid_money_at_midtrans_is_listed() {
    let rig = Rig::new().await;
    let order = rig.paid("part", "dispensed").await;
    rig.simulator.with(|midtrans, now| midtrans.refund_by_hand(order.order_id.as_str(), br#"{"amount":2000}"#, now));
    rig.until(&order, "a part", |stored| stored.order.attention() == [Attention::PartialRefund]).await;
    assert_eq!(rig.get(&format!("/v1/orders/{}", order.order_id)).await.status, Status::Settlement);
    let order = rig.paid("bank", "dispensed").await;
    rig.simulator.with(|midtrans, now| midtrans.charge_back(order.order_id.as_str(), None, now)).expect("taken");
    rig.until(&order, "a chargeback", |stored| stored.order.attention() == [Attention::Chargeback]).await;
    assert_eq!(rig.get(&format!("/v1/orders/{}", order.order_id)).await.status, Status::Settlement);
}

#[tokio::test]
async fn a_backend_that_lost_its_books_neither_charges_nor_delivers_nor_refunds_twice() {
    let rig = refunding(options()).await;
    let order = rig.paid("r1", "failed").await;
    rig.until(&order, "a refund", is_done).await;
    let Rig { simulator, .. } = rig;
    let restored = Rig::tuned(simulator, |desk| desk.auto_refund_per_day = 5).await;
    let path = format!("/v1/orders/{}", order.order_id);
    let found = restored.get(&path).await;
    assert_eq!((found.status, found.refund, found.receipt), (Status::Refund, Some(Refund::Done), None));
    assert_eq!(restored.tell(&order, "failed").await, StatusCode::OK, "the machine tells it again");
    assert_eq!(restored.get(&path).await.refund, Some(Refund::Done));
    let again = restored.post("r1").await;
    assert_eq!(again.status(), StatusCode::OK);
    assert_eq!(again.json::<OrderResource>().await.expect("an order").order_id, order.order_id);
    assert_eq!((restored.asked("/refund"), restored.asked("/v2/charge")), (1, 1));
    // The backup is from the time between receipt and refund. A person who refunds once more does not pay twice.
    let older = restored.order("r2").await;
    restored.pay(&older, false);
    restored.until(&older, "a receipt", |stored| stored.order.receipt().is_some()).await;
    restored.simulator.with(|midtrans, now| {
        midtrans.plan(Plan { fault: Fault::DropNotification, on: None, order_id: None, count: None });
        midtrans.refund_by_hand(older.order_id.as_str(), format!(r#"{{"refund_key":"{}"}}"#, older.order_id).as_bytes(), now)
    });
    assert_eq!(restored.tell(&older, "failed").await, StatusCode::OK);
    restored.until(&older, "known to be refunded", is_done).await;
    assert_eq!(restored.refunded(&older), 5000);
}
