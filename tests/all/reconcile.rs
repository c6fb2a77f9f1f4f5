//! `qris-backend reconcile`: what the books and Midtrans say of a day's orders, and what is done about a difference.

use crate::rig::midtrans::Midtrans;
use crate::rig::shop::{Program, Shop};
use crate::rig::stderr;
use serde_json::{Value, json};
use std::process::Output;
use std::time::{Duration, Instant};

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"))).collect()
}

/// Differences by order, in the order of time.
fn differences(shop: &Shop) -> (Option<i32>, Vec<(String, String)>) {
    let output = shop.merchant(&["reconcile", "--json", "--per-second", "100"]);
    let text = |line: &Value, key: &str| line[key].as_str().expect("text").to_owned();
    let mut found: Vec<_> = lines(&output).iter().map(|line| (text(line, "order_id"), text(line, "difference"))).collect();
    found.reverse();
    (output.status.code(), found)
}

#[test]
fn books_that_agree_with_midtrans_have_no_difference() {
    let mut shop = Shop::merchants_side();
    shop.reported("dispensed");
    shop.reported("failed");
    let cancelled = shop.charged();
    assert_eq!(shop.post_to(&cancelled, "cancel", &json!({})).status, 200);
    let pending = shop.charged();
    // While it runs it asks about the order at its own pace.
    shop.kill_backend();
    let asked = shop.midtrans.calls("status", &pending).len();

    let output = shop.merchant(&["reconcile", "--per-second", "100"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}{}", stderr(&output));
    assert!(told.contains("asked about 3 orders, 0 differences; 1 not ended yet"), "{told}");
    assert_eq!(shop.midtrans.calls("status", &pending).len(), asked, "what serve asks about is not asked about twice");
    // Another day has none.
    let output = shop.merchant(&["reconcile", "--date", "2020-01-01"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("2020-01-01: asked about 0 orders, 0 differences"), "{output:?}");
}

#[test]
fn each_difference_is_listed_and_what_was_missed_is_taken_up() {
    let shop = Shop::merchants_side();
    // Refunded and charged back in the dashboard, unseen; and one that Midtrans suddenly calls expired.
    let (refunded, charged_back, expired) = (shop.reported("failed"), shop.reported("dispensed"), shop.reported("dispensed"));
    for (order_id, status) in [(&refunded, "refund"), (&charged_back, "chargeback"), (&expired, "expire")] {
        shop.midtrans.set(order_id, status, true);
    }
    // Paid after it was cancelled, and the notification was lost. The one of the cancel too, or the backend might just be asking
    // about it when it is paid.
    shop.midtrans.fault(&json!({"fault": "drop_notification"}));
    let missed = shop.charged();
    assert_eq!(shop.post_to(&missed, "cancel", &json!({})).status, 200);
    shop.midtrans.pay_late(&missed);
    let (status, found) = differences(&shop);
    let expected =
        [(&refunded, "unknown_refund"), (&charged_back, "unknown_chargeback"), (&expired, "not_settled"), (&missed, "missed_settlement")];
    assert_eq!((status, found), (Some(1), expected.map(|(id, word)| (id.clone(), word.to_owned())).to_vec()));
    // What a notification would have told is in the books now, by the same way.
    let order = shop.order_at_backend(&missed);
    assert!(order["status"] == "settlement" && order["receipt"].is_string(), "{order}");
    assert_eq!(shop.order_at_backend(&refunded)["refund"], "done");
    let list = shop.merchant(&["orders", "--attention=chargeback", "--json"]);
    assert_eq!(lines(&list)[0]["order_id"], json!(charged_back));
    // And what only a person can mend stays.
    let output = shop.merchant(&["reconcile", "--json", "--per-second", "100"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let found = lines(&output);
    let keys = ["order_id", "difference", "message"].map(|key| found[0][key].as_str().unwrap_or_default());
    assert_eq!((found.len(), keys), (1, [&*expired, "not_settled", "the books say that it is paid; the gateway says expire"]));
    let table = shop.merchant(&["reconcile"]);
    let told = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(
        told.contains("the books say that it is paid; the gateway says expire")
            && told.contains("-> look at it in the gateway's dashboard"),
        "{told}"
    );
    assert!(stderr(&table).contains(": asked about 4 orders, 1 difference"), "{}", stderr(&table));
}

#[test]
fn another_environment_and_silence_are_told_apart() {
    let shop = Shop::merchants_side();
    let order_id = shop.reported("dispensed");
    let other = Midtrans::start();
    let (here, there) = (shop.midtrans.url.clone(), other.url.clone());
    shop.edit(Program::Backend, |text| text.replace(&here, &there));
    assert_eq!(differences(&shop), (Some(1), vec![(order_id.clone(), "unknown_at_gateway".into())]));
    std::fs::write(shop.path().join("server-key"), "SB-Mid-server-another\n").expect("written");
    let output = shop.merchant(&["reconcile"]);
    assert!(output.status.code() == Some(1) && stderr(&output).contains("does not accept the Server Key"), "{}", stderr(&output));
}

#[test]
fn midtrans_is_asked_at_an_even_pace() {
    let shop = Shop::merchants_side();
    let orders: Vec<String> = (0..5).map(|_| shop.reported("dispensed")).collect();
    let before: usize = orders.iter().map(|order_id| shop.midtrans.calls("status", order_id).len()).sum();
    let start = Instant::now();
    assert_eq!(shop.merchant(&["reconcile", "--per-second", "2"]).status.code(), Some(0));
    assert!(start.elapsed() >= Duration::from_secs(2), "five questions at two a second took {:?}", start.elapsed());
    let after: usize = orders.iter().map(|order_id| shop.midtrans.calls("status", order_id).len()).sum();
    assert_eq!(after - before, 5);
}
