//! What Midtrans may answer, beyond its documents: other names, words, sums and forms. Each is read, or it does no harm.

use super::*;
use qris_core::order::merchant::{Closed, Ending, Order, RefundWish, Repayment, State};
use qris_sim::midtrans::Forgery;
use qris_sim::midtrans::Spelling;
use qris_sim::midtrans::faults::Fault::AlterAnswer;

/// Midtrans answers so from now on.
fn changed(rig: &Rig, change: Change) {
    rig.simulator.with(|midtrans, now| midtrans.change(change, now));
}

fn other_words() -> Vec<(&'static str, Change)> {
    let one = |name, change: fn(&mut Change)| {
        let mut changed = Change::default();
        change(&mut changed);
        (name, changed)
    };
    vec![
        one("the transaction's name in the place of ours", |c| c.alien_order_id = Some(true)),
        one("words in the past", |c| c.spelling = Some(Spelling::Past)),
        one("words in capitals", |c| c.spelling = Some(Spelling::Capitals)),
        one("a check value in small letters", |c| c.small_check_value = Some(true)),
        one("only the picture in the national frame", |c| c.qr_code = Some(false)),
        one("a fee that get-status tells first", |c| (c.fee, c.fee_in_status) = (Some(100), Some(true))),
        one("all of it", |c| {
            (c.alien_order_id, c.spelling, c.small_check_value) = (Some(true), Some(Spelling::Capitals), Some(true));
            (c.qr_code, c.fee, c.fee_in_status) = (Some(false), Some(100), Some(true));
        }),
    ]
}

#[tokio::test]
async fn an_order_is_sold_ended_and_given_back_whatever_midtrans_calls_it() {
    for (what, change) in other_words() {
        let fee = change.fee.unwrap_or(0);
        let rig = Rig::tuned(Options::new(KEY, ""), |policy| policy.rules.max_imposed_fee = 100).await;
        changed(&rig, change);
        let order = rig.order("paid").await;
        assert_eq!(qris_core::order::qris::check(order.qr_payload.as_deref().expect("a QR"), order.amount), Ok(()), "{what}");
        rig.pay(&order);
        let after = rig.after(&order).await;
        rig.verify(&after);
        let receipt = rig.keys.verify(after.receipt.as_deref().expect("a receipt"), &after.device).expect("ours");
        assert_eq!(receipt.claims().gross_amount.get(), 5000 + fee, "{what}: the sum of the settlement");
        // Its money goes back: all that was paid.
        assert_eq!(rig.tell(&order, Last::Failed).await, StatusCode::OK);
        let id = order.order_id.clone();
        let wish = RefundWish::of_a_person(None);
        rig.handles.books.write(move |tx, policy, now| books::request_refund(tx, policy, &id, wish, now)).await.expect("granted");
        rig.handles.books.ring(Bell::Due);
        rig.until(&order, what, |stored| stored.order.state.word() == "refunded").await;
        let book = rig.simulator.with(|midtrans, _| midtrans.transaction(order.order_id.as_str())).expect("charged");
        assert_eq!(book.refunded, 5000 + fee, "{what}");
        // An order that nobody pays is ended by us, or at Midtrans.
        let order = rig.order("left").await;
        assert_eq!(rig.cancel(&order).await.status, Status::Cancel, "{what}");
        let order = rig.order("late").await;
        rig.simulator.with(|midtrans, now| midtrans.end_by_hand(order.order_id.as_str(), qris_sim::midtrans::Status::Expire, now));
        assert_eq!(rig.after(&order).await.status, Status::Expire, "{what}");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_of_the_charge_makes_no_receipt_and_loses_nothing() {
    // Each has a backend of its own: a mismatch is looked at again after ten seconds.
    let rows = [
        ("another transaction", json!({ "transaction_id": "t-other" })),
        ("another order and transaction", json!({ "transaction_id": "t-other", "order_id": "o-other" })),
        ("another sum", json!({ "gross_amount": "4999.00" })),
        ("a fee that nobody allowed", json!({ "gross_amount": "5101.00" })),
        ("no sum", json!({ "gross_amount": null })),
        ("a sum in another form", json!({ "gross_amount": "5,000.00" })),
        ("another currency", json!({ "currency": "USD" })),
        ("no currency", json!({ "currency": null })),
        ("another machine's fields", json!({ "custom_field1": "vm-002" })),
        ("another ticket", json!({ "custom_field3": "A1|5000|xxxxxxxxxxxxxxxxxxxxxx" })),
        ("a word that nobody knows", json!({ "transaction_status": "settlements" })),
        ("no word", json!({ "transaction_status": null })),
        ("a suspect word", json!({ "fraud_status": "perhaps" })),
        ("no code", json!({ "status_code": null })),
        ("an end in dollars", json!({ "transaction_status": "expire", "currency": "USD" })),
        ("a denial of another sum", json!({ "transaction_status": "deny", "gross_amount": "4999.00" })),
        ("a refund in dollars", json!({ "transaction_status": "refund", "refund_amount": "5000.00", "currency": "USD" })),
        ("a refund of another sum", json!({ "transaction_status": "refund", "refund_amount": "4999.00", "gross_amount": "4999.00" })),
        ("a part of another sum", json!({ "transaction_status": "partial_refund", "gross_amount": "9000.00" })),
        ("a chargeback in dollars", json!({ "transaction_status": "chargeback", "currency": "USD" })),
    ];
    let mut all: tokio::task::JoinSet<()> = rows.into_iter().map(|(what, set)| not_of_the_charge(what, set)).collect();
    while let Some(row) = all.join_next().await {
        row.expect("as it should be");
    }
}

async fn not_of_the_charge(what: &'static str, set: Value) {
    let rig = Rig::tuned(Options::new(KEY, ""), |policy| policy.rules.max_imposed_fee = 100).await;
    let order = rig.order("r1").await;
    let forgery = Forgery { set: set.as_object().cloned().expect("fields"), ..Forgery::default() };
    rig.simulator.with(|midtrans, _| midtrans.plan(Plan { on: Some("status".into()), ..Plan::from(AlterAnswer(forgery)) }));
    rig.pay(&order);
    // Several questions follow the notification quickly, or the answer is noted as a mismatch.
    let asked = || rig.simulator.with(|midtrans, _| midtrans.requests().iter().filter(|asked| asked.call == "status").count());
    rig.until(&order, what, |stored| asked() >= 3 || stored.order.doubt().is_some_and(|doubt| doubt.mismatched_at.is_some())).await;
    let now = rig.get(&format!("/v1/orders/{}", order.order_id)).await;
    assert_eq!((now.status, now.receipt.as_deref()), (Status::Pending, None), "{what}");
    // When it answers rightly again, the order is delivered.
    rig.simulator.with(|midtrans, now| {
        midtrans.heal();
        midtrans.notify_again(order.order_id.as_str(), now).expect("known")
    });
    rig.until(&order, what, |stored| stored.order.state.word() == "settled").await;
    rig.verify(&rig.get(&format!("/v1/orders/{}", order.order_id)).await);
}

#[tokio::test]
async fn what_midtrans_refuses_for_good_ends_at_once_with_its_words() {
    for (code, http, words) in [
        (400, None, "gross_amount is below the limit"),
        (401, None, "does not accept the Server Key"),
        (402, Some(200), "Payment channel is not activated."),
        (405, None, "not allowed here"),
        (410, None, "Merchant account is deactivated"),
        (413, None, "malformed syntax"),
    ] {
        let rig = Rig::new().await;
        let message = Some(words.to_owned());
        rig.fail(Fault::Error { code, http, message }, "charge");
        for _ in 0..2 {
            let answer = rig.ask("refused", &[]).await;
            assert_eq!((answer.status().as_u16(), answer.headers().get("retry-after")), (422, None), "{code}");
            let problem: Problem = answer.json().await.expect("a problem");
            assert_eq!(problem.code, Some(Reason::Gateway), "{code}");
            assert!(problem.detail.as_deref().is_some_and(|detail| detail.contains(words)), "{code}: {:?}", problem.detail);
        }
        // Midtrans was asked once, and has nothing. The next sale is another matter.
        let charges = rig.simulator.with(|midtrans, _| (midtrans.requests().len(), midtrans.transactions().len()));
        assert_eq!(charges, (1, 0), "{code}");
        rig.order("next").await;
    }
}

#[tokio::test]
async fn a_word_that_nobody_knows_is_told_once() {
    let rig = Rig::new().await;
    let forgery = |word: &str| {
        let set = json!({ "transaction_status": word }).as_object().cloned().expect("fields");
        AlterAnswer(Forgery { set, ..Forgery::default() })
    };
    rig.simulator.with(|midtrans, _| midtrans.plan(Plan { on: Some("status".into()), ..Plan::from(forgery("brand_new")) }));
    for request in ["one", "two"] {
        let order = rig.order(request).await;
        rig.pay(&order);
        rig.until(&order, "suspect", |stored| stored.order.is_suspect()).await;
    }
    let told = |journal: &[Journal]| {
        let words = journal.iter().filter_map(|event| match event {
            Journal::GatewayWord { why } => Some(why.to_string()),
            _ => None,
        });
        words.collect::<Vec<_>>()
    };
    assert_eq!(told(&rig.journal.0.lock().expect("whole")), ["transaction_status \"brand_new\""]);
}

/// The gateway answers questions about other orders, and none about this one.
#[tokio::test]
async fn an_order_that_alone_gets_no_answer_is_not_taken_for_a_gateway_that_is_gone() {
    let error = |code| Fault::Error { code, http: None, message: None };
    let running = Fault::Error { code: 202, http: Some(202), message: None };
    let rows = [Fault::ServerError { code: 503, done: false }, error(500), Fault::LoseAnswer, error(401), Fault::RateLimit, running];
    let mut all: tokio::task::JoinSet<()> = rows.into_iter().map(alone_without_an_answer).collect();
    while let Some(row) = all.join_next().await {
        row.expect("as it should be");
    }
}

async fn alone_without_an_answer(fault: Fault) {
    let rig = Rig::new().await;
    let what = format!("{fault:?}");
    let order = rig.order("r1").await;
    let order_id = Some(order.order_id.to_string());
    rig.simulator.with(|midtrans, _| midtrans.plan(Plan { fault, on: Some("status".into()), order_id, count: None }));
    rig.pay(&order);
    // Nothing else is asked: it is gone as far as anybody knows.
    rig.until(&order, &what, |stored| stored.order.polling.tries >= 2).await;
    let of = async |order: &OrderResource| {
        let id = order.order_id.clone();
        rig.handles.books.read(move |tx| books::load(tx, &id)).await.expect("read").expect("in the books").order
    };
    let silent = of(&order).await;
    let is_unclear = |order: &Order| order.doubt().is_some_and(|doubt| doubt.unclear_since.is_some());
    assert!(!is_unclear(&silent), "{what}");
    // It answers for another one.
    rig.order("r2").await;
    let notify = || rig.simulator.with(|midtrans, now| midtrans.notify_again(order.order_id.as_str(), now).expect("known"));
    notify();
    rig.until(&order, &what, |stored| is_unclear(&stored.order)).await;
    rig.simulator.with(|midtrans, _| midtrans.heal());
    notify();
    rig.until(&order, &what, |stored| stored.order.state.word() == "settled").await;
    assert!(!is_unclear(&of(&order).await), "{what}");
}

#[tokio::test]
async fn a_charge_in_another_form_is_ended_and_told() {
    for (set, why) in
        [(json!({ "gross_amount": "5.000,00" }), "\"5.000,00\", which is not whole rupiah"), (json!({ "currency": "USD" }), "in \"USD\"")]
    {
        let rig = Rig::new().await;
        let forgery = Forgery { set: set.as_object().cloned().expect("fields"), ..Forgery::default() };
        rig.simulator
            .with(|midtrans, _| midtrans.plan(Plan { on: Some("charge".into()), count: Some(9), ..Plan::from(AlterAnswer(forgery)) }));
        drop(rig.ask("r1", &[]).await);
        let told = rig
            .journal
            .0
            .lock()
            .expect("whole")
            .iter()
            .any(|event| matches!(event, Journal::GatewayUnreachable { why: told } if told.to_string().contains(why)));
        assert!(told, "{why}");
        let id = rig.simulator.with(|midtrans, _| midtrans.transactions()[0].order_id.clone());
        let id = qris_core::order::ids::OrderId::new(&id).expect("ours");
        let stored = rig.handles.books.read(move |tx| books::load(tx, &id)).await.expect("read").expect("in the books");
        assert!(
            matches!(stored.order.state, State::Closed(Closed { why: Some(Ending::GaveUp), .. }) | State::Cancelling(_)),
            "{:?}",
            stored.order.state
        );
    }
}

#[tokio::test]
async fn a_refunds_answer_of_another_sum_is_no_refund_until_get_status_tells() {
    let rows = [
        ("dollars", json!({ "currency": "USD" }), "refund of USD 5000.00, Rp5.000 of it went back: that is another currency"),
        ("another sum", json!({ "gross_amount": "4999.00" }), "refund of IDR 4999.00, Rp5.000 of it went back: that is another sum"),
        ("a part", json!({ "refund_amount": "3000.00" }), "Rp3.000 of it went back: that is another sum than was to go back"),
        ("no sum", json!({ "refund_amount": null }), "refund of IDR 5000.00: that is another sum than was to go back"),
        (
            "another transaction",
            json!({ "transaction_id": "t-9" }),
            "transaction t-9, refund of IDR 5000.00, Rp5.000 of it went back: that is another transaction",
        ),
    ];
    let mut all: tokio::task::JoinSet<()> = rows.into_iter().map(|(what, set, why)| not_the_refund(what, set, why)).collect();
    while let Some(row) = all.join_next().await {
        row.expect("as it should be");
    }
}

async fn not_the_refund(what: &'static str, set: Value, why: &'static str) {
    let rig = Rig::new().await;
    let order = rig.order("r1").await;
    rig.pay(&order);
    rig.until(&order, "a receipt", |stored| stored.order.receipt().is_some()).await;
    assert_eq!(rig.tell(&order, Last::Failed).await, StatusCode::OK);
    let alter = |set: &Value| AlterAnswer(Forgery { set: set.as_object().cloned().expect("fields"), ..Forgery::default() });
    let (refund, status) = (alter(&set), Fault::ServerError { code: 503, done: false });
    for (fault, on) in [(refund, "refund"), (status, "status")] {
        rig.simulator.with(|midtrans, _| midtrans.plan(Plan { on: Some(on.into()), ..Plan::from(fault) }));
    }
    let (id, wish) = (order.order_id.clone(), RefundWish::of_a_person(None));
    rig.handles.books.write(move |tx, policy, now| books::request_refund(tx, policy, &id, wish, now)).await.expect("granted");
    rig.handles.books.ring(Bell::Due);
    let is_unsure =
        |stored: &books::Stored| matches!(stored.order.repayment(), Some(Repayment::Requested { unsure: true, get_status: true, .. }));
    rig.until(&order, what, is_unsure).await;
    let id = order.order_id.clone();
    let history = rig.handles.books.read(move |tx| books::history(tx, &id)).await.expect("read");
    assert!(
        history.iter().any(|line| line.event.contains("the refund was not answered") && line.event.contains(why)),
        "{what}: {history:?}"
    );
    let is_told = |event: &Journal| matches!(event, Journal::GatewayUnreachable { why: told } if told.to_string().contains(why));
    assert!(rig.journal.0.lock().expect("whole").iter().any(is_told), "{what}");
    // Get-status tells that the whole went back.
    rig.simulator.with(|midtrans, now| {
        midtrans.heal();
        midtrans.notify_again(order.order_id.as_str(), now).expect("known")
    });
    rig.until(&order, what, |stored| stored.order.state.word() == "refunded").await;
    let book = rig.simulator.with(|midtrans, _| midtrans.transaction(order.order_id.as_str())).expect("charged");
    assert_eq!(book.refunded, 5000, "{what}");
}

/// The answer to a cancel has no custom fields. So it does not tell of a charge whose answer was lost.
#[tokio::test]
async fn a_cancel_of_a_lost_charge_is_confirmed_by_get_status() {
    let rig = Rig::new().await;
    // It exists, and its answer cannot be used.
    let forgery = Forgery { set: json!({ "currency": "USD" }).as_object().cloned().expect("fields"), ..Forgery::default() };
    rig.simulator.with(|midtrans, _| midtrans.plan(Plan { on: Some("charge".into()), ..Plan::from(AlterAnswer(forgery)) }));
    drop(rig.ask("r1", &[]).await);
    let id = rig.simulator.with(|midtrans, _| midtrans.transactions()[0].order_id.clone());
    let id = qris_core::order::ids::OrderId::new(&id).expect("ours");
    let order = rig.get(&format!("/v1/orders/{id}")).await;
    rig.until(&order, "ended", |stored| matches!(stored.order.state, State::Closed(Closed { ended_at: Some(_), .. }))).await;
    let calls = rig.simulator.with(|midtrans, _| midtrans.requests().iter().map(|asked| asked.call).collect::<Vec<_>>());
    assert_eq!(calls[..3], ["charge", "cancel", "status"], "{calls:?}");
    // Nothing is wrong with that answer.
    let is_told = |event: &Journal| matches!(event, Journal::GatewayUnreachable { why } if why.to_string().contains("asked about"));
    assert!(!rig.journal.0.lock().expect("whole").iter().any(is_told));
}
