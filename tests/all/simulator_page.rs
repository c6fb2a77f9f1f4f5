//! The pages of the simulated Midtrans in a real browser: the one to pay on, and what GoPay's link opens.

use crate::rig::browser::Browser;
use crate::rig::http::Http;
use crate::rig::midtrans::{Midtrans, SERVER_KEY};
use base64::Engine as _;
use serde_json::{Value, json};

#[test]
fn every_way_to_pay_has_a_button() {
    let midtrans = Midtrans::start();
    let temporary = tempfile::tempdir().expect("a directory");
    let goods = json!([{ "id": "A1", "price": 5000, "quantity": 1, "name": "Teh botol 350 ml" }]);
    let ours = json!({ "payment_type": "gopay", "item_details": goods, "custom_field1": "vm-001", "custom_field3": "A1|5000|x" });
    charge(&midtrans, "o-gopay", &ours);
    charge(&midtrans, "o-qris", &json!({ "payment_type": "qris" }));
    charge(&midtrans, "o-wrong", &json!({ "payment_type": "qris" }));
    let counter = charge(&midtrans, "o-counter", &json!({ "payment_type": "cstore", "cstore": { "store": "alfamart" } }));

    let browser = Browser::start(temporary.path());
    browser.open(&format!("{}/sim", midtrans.url));
    browser.wait("what can be paid", "return document.querySelectorAll('main section').length === 4");
    let sold = "return document.querySelector('[data-order=o-gopay]').textContent.includes(' – Teh botol 350 ml, vm-001')";
    assert_eq!(browser.run(sold), true, "what is sold, and where");
    let codes = "return [...document.images].length === 3 && [...document.images].every(code => code.naturalWidth > 200)";
    browser.wait("the QR of each that has one", codes);
    for (order_id, label, status) in [
        ("o-gopay", "Pay with GoPay", "settlement"),
        ("o-qris", "Pay with another QRIS app", "settlement"),
        ("o-wrong", "Fail: wrong PIN, no money", "pending"),
        ("o-wrong", "Expire", "expire"),
    ] {
        press(&browser, order_id, label);
        browser.wait(label, &shown(order_id, status));
        assert_eq!(midtrans.status(order_id), status, "{label}");
    }

    // At the counter: a wrong code is told, the right one pays.
    let code = counter["payment_code"].as_str().expect("a code");
    type_code(&browser, "123");
    browser.wait("the cashier's refusal", "return document.querySelector('#trouble').textContent === 'unknown'");
    type_code(&browser, code);
    browser.wait("the payment", &shown("o-counter", "settlement"));
    // The page may show the payment before it has the answer to the button.
    browser.wait("no refusal any more", "return document.querySelector('#trouble').textContent === ''");

    // And back again.
    for (order_id, label, status) in
        [("o-gopay", "Refund", "refund"), ("o-counter", "Reverse", "deny"), ("o-wrong", "Pay all the same", "settlement")]
    {
        press(&browser, order_id, label);
        browser.wait(label, &shown(order_id, status));
        assert_eq!(midtrans.status(order_id), status, "{label}");
    }
    // The refused code is an answer of 404, which the console notes.
    assert!(browser.errors().iter().all(|line| line.contains("/sim/pay/123")), "{:?}", browser.errors());
}

#[test]
fn gopays_link_takes_a_pin_and_sends_its_customer_back() {
    let midtrans = Midtrans::start();
    let temporary = tempfile::tempdir().expect("a directory");
    let browser = Browser::start(temporary.path());
    browser.be_phone(390, 800, "id-ID");
    let callback = format!("{}/sim?from=gopay", midtrans.url);
    for (order_id, button, result, status) in [("o-1", "#pay", "success", "settlement"), ("o-2", "#cancel", "failure", "pending")] {
        let gopay = json!({ "payment_type": "gopay", "gopay": { "enable_callback": true, "callback_url": callback } });
        let charged = charge(&midtrans, order_id, &gopay);
        let link = charged["actions"].as_array().expect("actions").iter().find(|action| action["name"] == "deeplink-redirect");
        browser.open(link.expect("a link")["url"].as_str().expect("an address"));
        assert!(browser.text("body").contains("Rp5000"), "{}", browser.text("body"));
        // A wrong PIN is told, and changes nothing.
        browser.run("document.querySelector('input[name=pin]').value = '000000'");
        browser.click("#pay");
        browser.wait("the refusal", "return document.querySelector('#trouble')?.textContent === 'wrong PIN'");
        assert_eq!(midtrans.status(order_id), "pending");
        browser.click(button);
        let back = format!("{callback}&order_id={order_id}&result={result}");
        browser.wait("the way back", &format!("return location.href === {back:?}"));
        assert_eq!(midtrans.status(order_id), status);
    }
}

fn charge(midtrans: &Midtrans, order_id: &str, how: &Value) -> Value {
    let mut body = how.clone();
    body["transaction_details"] = json!({ "order_id": order_id, "gross_amount": 5000 });
    let key = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{SERVER_KEY}:")));
    let answer = Http::new().post(&format!("{}/v2/charge", midtrans.url), None, &[("Authorization", &key)], &body).json();
    assert_eq!(answer["status_code"], "201", "{answer}");
    answer
}

/// Presses an order's button with this label as soon as it is there. Found and pressed in one step: the page draws itself
/// anew whenever something has changed.
fn press(browser: &Browser, order_id: &str, label: &str) {
    let press = format!(
        "const button = [...document.querySelectorAll('[data-order={order_id:?}] button')].find(button => button.textContent === {label:?}); \
         button?.click(); return !!button"
    );
    browser.wait(label, &press);
}

fn type_code(browser: &Browser, code: &str) {
    browser.run(&format!("document.querySelector('#code').value = {code:?}"));
    browser.click("#counter");
}

/// Whether an order is shown as this.
fn shown(order_id: &str, status: &str) -> String {
    format!("return !!document.querySelector('[data-order={order_id:?}] p')?.textContent.includes(' – {status} – ')")
}
