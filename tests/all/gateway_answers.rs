//! Midtrans answers in other names, words and forms than its documents have: whole sales, and what a merchant sees of it before his
//! first customer does.

use crate::rig::midtrans::Via;
use crate::rig::shop::{Options, PRICE, Shop};
use qris::order::reason::Reason;
use qris::wire::vend::EventState;
use serde_json::{Value, json};

/// All that integrators have seen to differ, or that no document rules out.
fn otherwise() -> Value {
    json!({
        "alien_order_id": true, "spelling": "capitals", "small_check_value": true, "qr_code": false, "fee": 100, "fee_in_status": true,
    })
}

/// The line of `doctor --charge` about its charge.
fn trial(shop: &Shop) -> Value {
    trial_by(shop, "--charge")
}

fn trial_by(shop: &Shop, option: &str) -> Value {
    let output = shop.merchant(&["doctor", option, "--json"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.into_iter().find(|line| line["check"] == "charge").unwrap_or_else(|| panic!("nothing about the charge: {text}"))
}

#[test]
fn a_machine_sells_whatever_midtrans_calls_it() {
    let shop = Shop::open(Options { midtrans: "max_imposed_fee = 100".into(), ..Options::default() });
    shop.midtrans.change(&otherwise());
    let sold = shop.sell("A1", Via::Qris);
    shop.relay.wait_pulses(1);
    assert_eq!((sold.amount.map(|amount| amount.get()), sold.gross_amount.map(|gross| gross.get())), (Some(PRICE), Some(PRICE + 100)));
    // Nobody pays the next one, and it is ended.
    let request = shop.offer("A1");
    let order = shop.wait_state(&request, EventState::AwaitingPayment).order_id.expect("its order");
    shop.cancel(&request);
    shop.wait_state(&request, EventState::Cancelled);
    assert_eq!((shop.midtrans.status(order.as_str()).as_str(), shop.pulses()), ("cancel", 1));
    shop.check_books();
}

#[test]
fn what_midtrans_refuses_for_good_is_told_to_the_customer_at_once_with_its_words() {
    let shop = Shop::open(Options::default());
    for (code, words) in [(402, "Payment channel is not activated."), (400, "gross_amount is below the limit")] {
        shop.midtrans.fault(&json!({"fault": "error", "on": "charge", "code": code, "message": words, "count": 1}));
        let request = shop.vend("A1");
        let ended = shop.wait_state(&request, EventState::Failed);
        assert_eq!(ended.reason, Some(Reason::Gateway));
        assert!(ended.detail.as_deref().is_some_and(|detail| detail.contains(words)), "{ended:?}");
        assert!(shop.midtrans.transactions().is_empty(), "nothing is left at Midtrans");
    }
    shop.sell("A1", Via::Gopay);
    shop.check_books();
}

#[test]
fn a_merchant_sees_before_the_first_customer_whether_midtrans_answers_can_be_read() {
    let shop = Shop::merchants_side();
    let line = trial(&shop);
    assert_eq!(line["level"], "ok", "{line}");
    assert!(line["said"].as_str().is_some_and(|said| said.ends_with("its QR pays QRISD VENDING (AID772051375229)")), "{line}");
    shop.midtrans.change(&json!({"alien_order_id": true, "spelling": "past", "small_check_value": true, "qr_code": false}));
    assert_eq!(trial(&shop)["level"], "ok");
    let altered = |on: &str, set: Value| json!({"fault": "alter_answer", "on": on, "set": set});
    for (fault, said, to_do) in [
        (json!({"fault": "error", "on": "charge", "code": 402, "message": "Not active"}), "(Not active)", "charge_as"),
        (json!({"fault": "error", "on": "charge", "code": 400, "message": "Bad"}), "refused the request (400: Bad", "ask Midtrans"),
        (json!({"fault": "impose_fee", "rupiah": 50}), "Midtrans asks Rp1.050 for Rp1.000", "max_imposed_fee"),
        (altered("charge", json!({"gross_amount": "1.000,00"})), "\"1.000,00\", which is not whole rupiah", "ask Midtrans"),
        (altered("charge", json!({"currency": "USD"})), "charges in \"USD\"", "ask Midtrans"),
        (altered("charge", json!({"actions": []})), "no qr_string, and no action", "ask Midtrans"),
        (altered("charge", json!({"qr_string": "000201"})), "does not end with tag 63", "ask Midtrans"),
        (altered("charge", json!({"qr_string": "00020159\u{e9}"})), "not printable ASCII", "the merchant's name and city"),
        (json!({"fault": "broken_image", "how": "bad_crc"}), "check value is", "ask Midtrans"),
        (altered("status", json!({"transaction_status": "waiting"})), "transaction_status \"waiting\"", "ask Midtrans"),
        (altered("status", json!({"transaction_id": "t-9", "order_id": "o-9"})), "about another transaction", "ask Midtrans"),
        (altered("status", json!({"currency": null})), "no currency", "ask Midtrans"),
        (altered("status", json!({"gross_amount": "1.000"})), "\"1.000\"", "ask Midtrans"),
        (altered("status", json!({"custom_field2": null})), "custom_field1 to custom_field3", "ask Midtrans"),
    ] {
        shop.midtrans.fault(&fault);
        let line = trial(&shop);
        assert_eq!(line["level"], "bad", "{fault}: {line}");
        for (name, part) in [("said", said), ("to_do", to_do)] {
            assert!(line[name].as_str().is_some_and(|text| text.contains(part)), "{fault}: {line}");
        }
        shop.midtrans.heal();
    }
    for (option, told) in [
        ("--charge=gopay", "a charge of Rp1.000 was made, read and ended: its QR pays"),
        ("--charge=alfamart", "a charge of Rp1.000 was made, read and ended: it has a payment code for alfamart"),
        ("--charge=indomaret", "a charge of Rp10.000 was made, read and ended: it has a payment code for indomaret"),
    ] {
        let line = trial_by(&shop, option);
        assert_eq!(line["level"], "ok", "{line}");
        assert!(line["said"].as_str().is_some_and(|said| said.starts_with(told)), "{option}: {line}");
    }
    for (fault, said, to_do) in [
        (altered("charge", json!({"payment_code": null})), "no payment code that can be read", "ask Midtrans"),
        (altered("charge", json!({"payment_code": "12\u{7}34"})), "no payment code that can be read", "ask Midtrans"),
        (altered("charge", json!({"store": "alfamidi"})), "is for \"alfamidi\", not for alfamart", "ask Midtrans"),
        (altered("charge", json!({"gross_amount": "2000.00"})), "Midtrans asks Rp2.000 for Rp1.000", "max_imposed_fee"),
        (altered("status", json!({"custom_field3": null})), "custom_field1 to custom_field3", "ask Midtrans"),
        (json!({"fault": "error", "on": "charge", "code": 402, "message": "Not active"}), "(Not active)", "payments at this counter"),
    ] {
        shop.midtrans.fault(&fault);
        let line = trial_by(&shop, "--charge=alfamart");
        assert_eq!(line["level"], "bad", "{fault}: {line}");
        for (name, part) in [("said", said), ("to_do", to_do)] {
            assert!(line[name].as_str().is_some_and(|text| text.contains(part)), "{fault}: {line}");
        }
        shop.midtrans.heal();
    }
    // Nothing is left that can be paid, and the books have no order.
    shop.wait_nothing_payable();
    let listed = shop.merchant(&["orders", "--json"]);
    assert!(listed.stdout.is_empty(), "{}", String::from_utf8_lossy(&listed.stdout));
}
