//! Somebody who may publish everything, with everything but the key.

use crate::rig::midtrans::Via;
use crate::rig::shop::{Options, Shop};
use qris::order::ids::DeviceId;
use qris::order::money::Rupiah;
use qris::order::receipt::{Claims, SigningKey};
use qris::wire::vend::EventState;
use serde_json::{Value, json};

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
    let mut forged = vec![
        ("of another key", jws(&other_key, |_| {})),
        ("for another machine", jws(&key, |claims| claims.aud = DeviceId::new("vm-002").expect("an id"))),
        ("of another issuer", jws(&key, |claims| claims.iss = "evil.example".into())),
        ("for less", jws(&key, |claims| claims.amount = Rupiah::new(1).expect("an amount"))),
        ("without a signature", format!("{head}.")),
        ("with half a signature", format!("{head}.{}", &signature[..signature.len() / 2])),
        ("of the order before", replayed.clone()),
        ("nonsense", "nonsense".into()),
        ("empty", String::new()),
    ];
    let claims = head.split_once('.').expect("two parts").1;
    for (what, header) in
        [("alg none", r#"{"alg":"none","typ":"qris-receipt+jwt"}"#), ("a command's type", r#"{"alg":"EdDSA","typ":"qris-command+jwt"}"#)]
    {
        use base64::Engine as _;
        let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(header);
        forged.push((what, format!("{header}.{claims}.{signature}")));
    }
    for (what, receipt) in &forged {
        for order in [order_id.as_str(), sold_id.as_str()] {
            let update = json!({"order_id": order, "rev": 1_000, "status": "settlement", "receipt": receipt});
            shop.tap.publish("qrisd/v1/vm-001/payment/update", &update);
        }
        let relay = crate::rig::caller::Caller::connect(&shop.bus.address);
        let answer = relay.relay::<_, (String, String)>("Dispense", &(receipt.as_str(),));
        let replay = *receipt == replayed;
        assert_eq!(answer.is_ok(), replay, "{what}: {answer:?}");
    }
    for update in [json!({"order_id": order_id, "rev": 9, "status": "settlement", "receipt": null}), json!({"order_id": "-", "rev": -1})] {
        shop.tap.publish("qrisd/v1/vm-001/payment/update", &update);
    }
    shop.tap.publish_bytes("qrisd/v1/vm-001/payment/update", b"\xff\x00", false);
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
