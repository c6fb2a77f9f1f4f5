//! Somebody who may publish everything, with everything but the key.

use crate::rig::caller::Caller;
use crate::rig::midtrans::Via;
use crate::rig::shop::{Options, Shop};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use qris::order::ids::DeviceId;
use qris::order::keys::SigningKey;
use qris::order::money::Rupiah;
use qris::order::receipt::Claims;
use qris::wire::vend::EventState;
use serde_json::{Value, json};

const UPDATE: &str = "qrisd/v1/vm-001/payment/update";

#[test]
fn nothing_published_opens_the_relay_but_the_backends_own_receipt() {
    let shop = Shop::open(Options::default());
    // A receipt of an order that was delivered, to replay.
    let sold = shop.sell("A1", Via::Gopay);
    let sold_id = sold.order_id.expect("its order");
    let replayed = shop.order_at_backend(sold_id.as_str())["receipt"].as_str().expect("its receipt").to_owned();
    let request_id = shop.offer("A1");
    let offered = shop.wait_state(&request_id, EventState::AwaitingPayment);
    let order_id = offered.order_id.expect("its order");
    let order = shop.order_at_backend(order_id.as_str());
    let key = std::fs::read_to_string(shop.path().join("signing-key.json")).expect("the backend's key");
    let key = SigningKey::from_jwk(&key).expect("a key");
    let good: Claims = serde_json::from_value(json!({
        "iss": "pay.example", "aud": "vm-001", "sub": order_id, "jti": request_id, "ticket": order["ticket"], "item": "A1",
        "amount": 5000, "gross_amount": 5000, "cur": "IDR", "payment_type": "gopay", "transaction_id": "t-1",
        "settled_at": "2026-11-20T15:00:00+07:00", "iat": 1_795_161_600
    }))
    .expect("claims");
    let jws = |key: &SigningKey, change: fn(&mut Claims)| {
        let mut claims = good.clone();
        change(&mut claims);
        key.sign(claims).jws().to_owned()
    };
    let other_key = SigningKey::from_seed([9; 32]);
    let right = jws(&key, |_| {});
    let (head, signature) = right.rsplit_once('.').expect("three parts");
    let (header, claims) = head.split_once('.').expect("two parts");
    let with = |alg: &str, typ: &str| {
        let header = BASE64URL.encode(json!({"alg": alg, "kid": key.kid(), "typ": typ}).to_string());
        format!("{header}.{claims}.{signature}")
    };
    let altered = String::from_utf8(BASE64URL.decode(claims).expect("base64url")).expect("JSON").replace("\"t-1\"", "\"t-2\"");
    // Each with what a log must say of it, and the relay's error.
    let forged = [
        (jws(&other_key, |_| {}), "is not a receipt key of this machine", "InvalidReceipt"),
        (jws(&key, |claims| claims.aud = DeviceId::new("vm-002").expect("an id")), "is for another machine, vm-002", "WrongDevice"),
        (jws(&key, |claims| claims.iss = "evil.example".into()), "iss is not the issuer of this key", "InvalidReceipt"),
        (format!("{head}."), "signature is wrong", "InvalidReceipt"),
        // So much as base64url cannot be, whatever the letters.
        (format!("{head}.{}", &signature[..45]), "signature is not base64url", "InvalidReceipt"),
        (format!("{header}.{}.{signature}", BASE64URL.encode(altered)), "signature is wrong", "InvalidReceipt"),
        (with("none", "qris-receipt+jwt"), "alg must be EdDSA", "InvalidReceipt"),
        (with("EdDSA", "qris-command+jwt"), "typ must be qris-receipt+jwt", "InvalidReceipt"),
        ("nonsense".into(), "is not a compact JWS: no dots", "InvalidReceipt"),
    ];
    let (qrisd, relayd) = (shop.qrisd.as_ref().expect("it runs"), shop.relayd.as_ref().expect("it runs"));
    let relay = Caller::connect(&shop.bus.address);
    let dispense = |receipt: &str| relay.relay::<_, (String, bool, String)>("Dispense", &(receipt,));
    let publish = |order: &str, receipt: &Value| {
        let update = json!({"order_id": order, "rev": 1_000, "status": "settlement", "receipt": receipt});
        shop.tap.publish(UPDATE, &update);
    };
    for (receipt, why, error) in &forged {
        for order in [order_id.as_str(), sold_id.as_str()] {
            let lines = qrisd.lines.count();
            publish(order, &receipt.as_str().into());
            let line = qrisd.wait_line_from(lines, &format!("receipt for order {order} refused: "));
            assert!(line.contains(why), "{line}");
        }
        let lines = relayd.lines.count();
        let refused = dispense(receipt).expect_err(why);
        assert_eq!(refused.name, *error, "{refused:?}");
        assert!(refused.detail.contains(why), "{refused:?}");
        let line = relayd.wait_line_from(lines, "receipt for order - refused: ");
        assert!(line.contains(why), "{line}");
    }
    // Signed by the backend, and of this request, but for less than was offered.
    let less = jws(&key, |claims| claims.amount = Rupiah::new(1).expect("an amount"));
    let lines = qrisd.lines.count();
    publish(order_id.as_str(), &less.as_str().into());
    let line = qrisd.wait_line_from(lines, &format!("receipt for order {order_id} refused: "));
    assert!(line.contains("it is for another charge of that request"), "{line}");
    let lines = relayd.lines.count();
    let refused = dispense(&less).expect_err("for less");
    assert_eq!(refused.name, "UnknownTicket", "{refused:?}");
    let line = relayd.wait_line_from(lines, &format!("receipt for order {order_id} refused: "));
    assert!(line.contains(&refused.detail) && !refused.detail.is_empty(), "{line}");
    // Genuine, and used: known, and nothing happens again.
    for order in [order_id.as_str(), sold_id.as_str()] {
        publish(order, &replayed.as_str().into());
    }
    assert_eq!(dispense(&replayed).expect("it is known").0, "dispensed");
    // No receipt, no update, no text.
    publish(order_id.as_str(), &Value::Null);
    for bytes in [&br#"{"order_id":"-","rev":-1}"#[..], b"\xff\x00"] {
        let lines = qrisd.lines.count();
        shop.tap.publish_bytes(UPDATE, bytes, false);
        qrisd.wait_line_from(lines, "receipt for order - refused: ");
    }
    // All of them went by before this answer, and the order is as it was.
    shop.cancel("marker");
    shop.tap.wait_refused("marker", qris::order::reason::Reason::UnknownRequest);
    assert_eq!(shop.pulses(), 1);
    let states: Vec<_> = shop
        .tap
        .events()
        .iter()
        .filter(|event| event.request_id.as_ref().is_some_and(|id| id.as_str() == request_id))
        .map(|event| event.state)
        .collect();
    assert_eq!(states, [EventState::Requested, EventState::AwaitingPayment]);
    assert_eq!(shop.order_at_backend(order_id.as_str())["receipt"], Value::Null);
    shop.pay(Via::Gopay);
    shop.wait_state(&request_id, EventState::Dispensed);
    assert_eq!(shop.pulses(), 2);
    shop.check_books();
}
