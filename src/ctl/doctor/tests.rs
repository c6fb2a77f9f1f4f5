use super::*;
use qris_host::finding::Level;
use serde_json::{Value, json};

fn order(status: &str, payment: &str, settled_ago_s: Option<u64>, outcome: Option<&str>) -> Value {
    json!({
        "order_id": "o-1", "rev": 1, "request_id": "r-1", "device": "vm-001", "ticket": "0123456789012345678901", "item": "A1",
        "amount": 5000, "gross_amount": 5000, "payment": payment, "status": status, "qr_payload": null, "deeplink_url": null,
        "pay_url": null, "payment_code": null, "store": null, "expires_in_s": null, "settled_ago_s": settled_ago_s, "kid": null,
        "receipt": null, "outcome": outcome.map(|outcome| json!({"outcome": outcome, "reason": null, "detail": null})), "refund": null,
        "sandbox": true
    })
}

#[test]
fn an_order_that_was_paid_long_ago_should_have_been_told() {
    for (order, level, told) in [
        (order("pending", "gopay", None, None), Level::Ok, "1 open at the backend, 0 of them paid"),
        (order("settlement", "gopay", Some(10), None), Level::Ok, "1 of them paid"),
        (order("settlement", "gopay", Some(1000), None), Level::Warn, "not reported as delivered: o-1"),
        (order("settlement", "gopay", Some(1000), Some("dispensed")), Level::Ok, "0 of them paid"),
        (order("settlement", "alfamart", Some(100_000), None), Level::Ok, "1 of them paid"),
    ] {
        let open: OpenOrders = serde_json::from_value(json!({ "orders": [order] })).expect("orders");
        let found = orders(&open);
        assert_eq!((found.level, found.said.contains(told)), (level, true), "{found:?}");
    }
}
