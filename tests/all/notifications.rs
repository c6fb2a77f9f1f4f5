//! What Midtrans, or somebody who pretends to be it, posts to the backend.

use crate::rig::midtrans::Via;
use crate::rig::shop::Shop;
use serde_json::{Value, json};

/// Of an order.
fn notification(order: &Value, status_code: &str, gross_amount: &str, transaction_status: &str) -> Value {
    crate::rig::midtrans::notification(order["order_id"].as_str().expect("an id"), status_code, gross_amount, transaction_status)
}

#[test]
fn a_settlement_becomes_a_signed_receipt_for_the_machine() {
    let shop = Shop::merchants_side();
    let order = shop.charge();
    let order_id = order["order_id"].as_str().expect("an id");
    assert_eq!((order["status"].as_str(), &order["receipt"]), (Some("pending"), &Value::Null));
    shop.midtrans.pay(order_id, Via::Qris);
    let update = shop.tap.wait_from(0, "payment/update with a receipt", |message| {
        let is_ours = message.topic == "qrisd/v1/vm-001/payment/update";
        is_ours.then(|| message.json()).filter(|update| update["order_id"] == order_id && update["status"] == "settlement")
    });
    let paid = shop.wait_order(order_id, "paid", |order| (order["status"] == "settlement").then(|| order.clone()));
    assert_eq!(update["receipt"], paid["receipt"]);
    assert_eq!(paid["receipt"].as_str().map(|receipt| receipt.split('.').count()), Some(3));
    assert!(paid["rev"].as_u64() > order["rev"].as_u64());
    // Once more, and twice: nothing changes.
    for _ in 0..2 {
        shop.midtrans.notify(order_id);
    }
    assert_eq!(shop.order_at_backend(order_id)["receipt"], paid["receipt"]);
}

#[test]
fn a_forged_notification_changes_nothing() {
    let shop = Shop::merchants_side();
    let order = shop.charge();
    let order_id = order["order_id"].as_str().expect("an id").to_owned();
    let good = notification(&order, "200", "5000.00", "settlement");
    let change = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    let refused = [
        ("a wrong signature", change("signature_key", "0".repeat(128).into()), 403),
        ("another amount under the same signature", change("gross_amount", "1.00".into()), 403),
        ("an amount that is no text", change("gross_amount", 5000.into()), 400),
        ("no signature", change("signature_key", Value::Null), 400),
    ];
    for (what, body, status) in refused {
        assert_eq!(shop.notify(&body).status, status, "{what}");
    }
    let url = format!("{}/midtrans/notifications", shop.backend_url);
    assert_eq!(shop.http.post_bytes(&url, None, "application/json", b"{\"order_id\":").status, 400);
    assert_eq!(shop.http.post_bytes(&url, None, "application/json", &vec![b' '; 65 * 1024]).status, 413);
    // Well signed, and not true: Midtrans' own answer decides.
    for (body, what) in [
        (good.clone(), "settled"),
        (notification(&order, "200", "9999.00", "settlement"), "another sum"),
        (notification(&order, "202", "5000.00", "expire"), "expired"),
    ] {
        assert_eq!(shop.notify(&body).status, 200, "{what}");
    }
    let unknown = notification(&json!({"order_id": "nobody-has-this-id"}), "200", "5000.00", "settlement");
    assert_eq!(shop.notify(&unknown).status, 200);
    assert!(shop.merchant(&["orders", "nobody-has-this-id"]).status.code() == Some(1), "it is in no list");
    // The answers of get-status are in when a true settlement is.
    let other = shop.charge();
    let other_id = other["order_id"].as_str().expect("an id");
    shop.midtrans.pay(other_id, Via::Gopay);
    shop.wait_status(other_id, "settlement");
    let now = shop.order_at_backend(&order_id);
    assert_eq!((now["status"].as_str(), &now["receipt"]), (Some("pending"), &Value::Null));
}

#[test]
fn a_lost_notification_is_made_up_for_and_midtrans_is_not_asked_too_often() {
    let shop = Shop::merchants_side();
    shop.midtrans.fault(&json!({"fault": "drop_notification"}));
    let order = shop.charge();
    let order_id = order["order_id"].as_str().expect("an id");
    shop.midtrans.pay(order_id, Via::Gopay);
    shop.wait_status(order_id, "settlement");
    let asked: Vec<_> = shop.midtrans.calls("status", order_id).iter().filter_map(|call| call["at_ms"].as_i64()).collect();
    assert!(!asked.is_empty());
    // The one that confirms a settlement that polling found is no poll; polls are 10 s apart.
    let polls: Vec<_> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(polls.iter().all(|apart| *apart >= 9_900), "{polls:?}");
}
