//! Payments over the counter against the simulated Midtrans.

use super::*;
use qris_core::order::merchant::{RefundWish, State};

async fn rig(window: Span) -> Rig {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let simulator = Simulator::start(listener, Options::new(KEY, "")).expect("a simulator");
    Rig::tuned(simulator, |desk| desk.rules.reversal_window = window).await
}

#[tokio::test]
async fn an_alfamarts_code_is_paid_and_can_be_collected_for_three_days() {
    let rig = rig(Span::secs(300)).await;
    let order = rig.code("r1", "alfamart").await;
    assert_eq!((order.status, order.store.as_deref(), &order.qr_payload), (Status::Pending, Some("alfamart"), &None));
    assert!(order.payment_code.as_deref().is_some_and(|code| code.len() >= 12), "{order:?}");
    assert!(order.expires_in_s.is_some_and(|left| (86_000..=86_400).contains(&left)), "Midtrans' day: {:?}", order.expires_in_s);
    let (paid, ()) = tokio::join!(rig.after(&order), async { rig.pay(&order, false) });
    rig.verify(&paid);
    assert!(paid.expires_in_s.is_some_and(|left| (259_000..=259_200).contains(&left)), "{:?}", paid.expires_in_s);
    assert_eq!(rig.tell(&order, "undelivered").await, StatusCode::OK, "nobody came");
    let due = rig.get(&format!("/v1/orders/{}", order.order_id)).await;
    assert_eq!((due.refund, due.expires_in_s), (Some(Refund::Due), None));
    let id = order.order_id.clone();
    let asked = rig.shop.write(move |tx, desk, now| books::request_refund(tx, desk, &id, RefundWish::of_a_person(None), now)).await;
    assert!(asked.expect_err("not over the API").to_string().contains("by hand"));
}

#[tokio::test]
async fn an_indomarets_receipt_waits_until_it_cannot_be_taken_back() {
    let rig = rig(Span::secs(2)).await;
    let order = rig.code("r1", "indomaret").await;
    let begun = Instant::now();
    rig.pay(&order, false);
    let held = rig.until(&order, "held", |stored| matches!(stored.order.state, State::Held { .. })).await;
    assert!(held.order.receipt().is_none());
    let seen = rig.get(&format!("/v1/orders/{}", order.order_id)).await;
    assert_eq!((seen.status, &seen.receipt), (Status::Pending, &None));
    assert!(seen.expires_in_s.is_some_and(|left| left > 0));
    rig.until(&order, "a receipt", |stored| stored.order.receipt().is_some()).await;
    assert!(begun.elapsed() >= Duration::from_secs(2));
    assert_eq!(rig.asked(&format!("{}/status", order.order_id)), 2, "at the first word and after the window");
    // It is taken back after that, and not collected. Nothing is handed out for it, and a person is
    // told.
    let path = format!("/v1/orders/{}", order.order_id);
    rig.simulator.with(|midtrans, now| midtrans.reverse(order.order_id.as_str(), now)).expect("taken back");
    rig.until(&order, "listed", |stored| stored.order.attention() == [Attention::Reversed]).await;
    let seen = rig.get(&path).await;
    assert_eq!((seen.status, seen.receipt, seen.refund), (Status::Deny, None, None));
    let outbox = rig.shop.read(|tx| books::take_outbox(tx, 0)).await.expect("read");
    assert!(outbox.iter().any(|message| message.payload.contains("\"status\":\"deny\",\"receipt\":null")), "{outbox:?}");
    // Not so if it was handed out already: then it was a sale.
    assert_eq!(rig.tell(&order, "dispensed").await, StatusCode::OK);
    assert_eq!((rig.get(&path).await.status, rig.kinds(&order).await), (Status::Settlement, vec![Attention::Reversed]));
    // It is taken back within that time: there is no receipt, ever.
    let other = rig.code("r2", "indomaret").await;
    rig.pay(&other, false);
    rig.until(&other, "held", |stored| matches!(stored.order.state, State::Held { .. })).await;
    rig.simulator.with(|midtrans, now| midtrans.reverse(other.order_id.as_str(), now)).expect("taken back");
    rig.until(&other, "closed", |stored| matches!(stored.order.state, State::Closed { .. })).await;
    let seen = rig.get(&format!("/v1/orders/{}", other.order_id)).await;
    assert_eq!((seen.status, seen.refund, rig.kinds(&other).await), (Status::Deny, None, vec![]));
}

#[tokio::test]
async fn a_reversal_that_nobody_told_is_found_at_the_end_of_the_window() {
    let rig = rig(Span::secs(2)).await;
    let order = rig.code("r1", "indomaret").await;
    rig.pay(&order, false);
    rig.until(&order, "held", |stored| matches!(stored.order.state, State::Held { .. })).await;
    rig.fail(Fault::DropNotification, "deny", 1);
    rig.simulator.with(|midtrans, now| midtrans.reverse(order.order_id.as_str(), now)).expect("taken back");
    let closed = rig.until(&order, "closed", |stored| matches!(stored.order.state, State::Closed { .. })).await;
    assert!(closed.order.receipt().is_none());
}

#[tokio::test]
async fn a_lost_code_is_replaced_and_one_remains() {
    let rig = rig(Span::secs(2)).await;
    for (request, payment, fault) in [
        ("r1", "indomaret", Fault::LoseAnswer),
        ("r2", "indomaret", Fault::Garble),
        ("r3", "alfamart", Fault::LoseAnswer),
        ("r4", "alfamart", Fault::ServerError { code: 503, done: false }),
    ] {
        let before = rig.payable();
        rig.fail(fault, "charge", 1);
        let order = rig.code(request, payment).await;
        assert!(order.payment_code.is_some());
        assert_eq!(order.order_id.as_str().contains('-'), payment == "indomaret", "{request}: an Alfamart's key is kept for five minutes");
        assert_eq!(rig.payable(), before + 1, "{request}: one code that can be paid");
    }
}

#[tokio::test]
async fn limits_of_a_counter_are_named() {
    let rig = rig(Span::secs(2)).await;
    for (payment, amount) in [("indomaret", 9_999), ("indomaret", 5_000_001), ("alfamart", 5_000_001), ("gopay", 20_000_001)] {
        let mut body = rig.body("r1");
        (body["payment"], body["amount"]) = (json!(payment), json!(amount));
        let call = rig.call(Method::POST, "/v1/orders").header("Idempotency-Key", "r1").json(&body);
        let problem = rig.problem(call.send().await.expect("an answer"), 422).await;
        assert_eq!(problem.errors.iter().map(|error| &*error.field).collect::<Vec<_>>(), ["amount"], "{payment} {amount}");
    }
    assert_eq!(rig.asked("charge"), 0);
}

#[tokio::test]
async fn a_code_is_the_machines_to_cancel_and_midtrans_to_expire() {
    let rig = rig(Span::secs(2)).await;
    let order = rig.code("r1", "alfamart").await;
    let cancelled: OrderResource = rig.cancel(&order).await.json().await.expect("an order");
    assert_eq!((cancelled.status, rig.payable()), (Status::Cancel, 0));
    let order = rig.code("r2", "alfamart").await;
    rig.simulator.with(|midtrans, now| midtrans.end_by_hand(order.order_id.as_str(), crate::midtrans::Status::Expire, now));
    let expired = rig.after(&order).await;
    assert_eq!((expired.status, expired.expires_in_s), (Status::Expire, None));
}

#[tokio::test]
async fn a_backend_that_lost_its_books_knows_a_code_again() {
    let rig = rig(Span::secs(1)).await;
    let orders = [rig.code("r1", "alfamart").await, rig.code("r2", "indomaret").await];
    let Rig { simulator, .. } = rig;
    let restored = Rig::tuned(simulator, |desk| desk.rules.reversal_window = Span::secs(1)).await;
    for order in orders {
        let found = restored.get(&format!("/v1/orders/{}", order.order_id)).await;
        assert_eq!((found.status, found.payment, &found.store), (Status::Pending, order.payment, &order.store));
        restored.pay(&order, false);
        let paid = restored.until(&order, "a receipt", |stored| stored.order.receipt().is_some()).await;
        assert_eq!(paid.order.receipt().expect("signed").claims().ticket, order.ticket);
    }
    assert_eq!((restored.asked("/v2/charge"), restored.asked("/cancel")), (2, 0));
}
