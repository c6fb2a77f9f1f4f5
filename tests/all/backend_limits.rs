//! What the backend answers to a machine that asks too much, and while Midtrans refuses: status, headers and problem.

use crate::rig::clock::by_the_clock_in;
use crate::rig::http::{Http, HttpAnswer};
use crate::rig::shop::{Program, Shop, new_request_id};
use crate::rig::{PATIENCE, wait_for};
use serde_json::json;
use std::sync::{Arc, Barrier, mpsc};

/// A problem of RFC 9457 with this status and word, and the seconds after which to ask again.
fn problem(what: &str, answer: &HttpAnswer, status: u16, code: &str) -> u64 {
    assert_eq!(answer.status, status, "{what}: {}", answer.text());
    assert_eq!(answer.content_type, "application/problem+json", "{what}");
    let problem = answer.json();
    assert_eq!((&problem["status"], &problem["code"]), (&json!(status), &json!(code)), "{what}: {problem}");
    let seconds = answer.retry_after.as_ref().unwrap_or_else(|| panic!("{what}: no Retry-After")).parse();
    let seconds = seconds.unwrap_or_else(|why| panic!("{what}: Retry-After {:?}: {why}", answer.retry_after));
    assert!((1..=60).contains(&seconds), "{what}: Retry-After {seconds}");
    seconds
}

#[test]
fn so_many_requests_of_a_machine_wait_for_midtrans() {
    let shop = Shop::merchants_side();
    let add = shop.program_command(Program::Backend).args(["device", "add", "vm-002"]).output().expect("it runs");
    shop.midtrans.fault(&json!({"fault": "hang", "on": "charge"}));
    let (answer, answers) = mpsc::channel();
    let post = |token: &str| {
        let (answer, token, body) = (answer.clone(), token.to_owned(), shop.order_body(&new_request_id()));
        let url = format!("{}/v1/orders", shop.backend_url);
        // Ends when Midtrans answers, below, or with the test's backend.
        std::thread::spawn(move || {
            let headers = [("Idempotency-Key", body["request_id"].as_str().expect("an id"))];
            let (http, mut told) = (Http::new(), None);
            // Who has waited for ten seconds is told to ask again.
            while told.as_ref().is_none_or(|told: &HttpAnswer| told.status == 503) {
                told = Some(http.post(&url, Some(&token), &headers, &body));
            }
            drop(answer.send(told.expect("asked")));
        });
    };
    (0..33).for_each(|_| post(&shop.token));
    let refused = answers.recv_timeout(PATIENCE).expect("one is answered at once");
    problem("the 33rd that waits", &refused, 429, "rate_limited");
    // Another machine is not concerned.
    post(String::from_utf8(add.stdout).expect("text").trim());
    shop.midtrans.wait_held(33);
    assert!(answers.try_recv().is_err(), "the others wait");
    shop.midtrans.heal();
    shop.midtrans.release();
    for _ in 0..33 {
        let answer = answers.recv_timeout(PATIENCE).expect("Midtrans has answered");
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
    }
    // Those that were answered count no more.
    shop.charge();
}

#[test]
fn so_many_questions_of_a_machine_wait_for_midtrans() {
    let mut shop = Shop::merchants_side();
    shop.kill_backend();
    let clock = shop.path().join("clock");
    std::fs::write(&clock, "+0s").expect("written");
    let mut start = by_the_clock_in(shop.service(Program::Backend), &clock);
    shop.start_as(Program::Backend, &mut start);
    let order_id = shop.charged();
    // Time passes for the backend and for Midtrans, which says so with the next charge. That one is too late then, and the first one is old
    // enough to be asked about.
    let passes = |seconds: i64| {
        std::fs::write(&clock, format!("+{seconds}s")).expect("written");
        shop.midtrans.change(&json!({ "date_off_ms": seconds * 1000 }));
        shop.post_order(&shop.order_body(&new_request_id()));
    };
    passes(20);
    shop.midtrans.fault(&json!({"fault": "hang", "on": "status"}));
    let (answer, answers) = mpsc::channel();
    let url = format!("{}/v1/orders/{order_id}?ask=true", shop.backend_url);
    // All at once: each waits for five seconds.
    let together = Arc::new(Barrier::new(33));
    for _ in 0..33 {
        let (answer, token, url, together) = (answer.clone(), shop.token.clone(), url.clone(), Arc::clone(&together));
        std::thread::spawn(move || {
            let http = Http::new();
            together.wait();
            drop(answer.send(http.get(&url, Some(&token))));
        });
    }
    let refused = answers.recv_timeout(PATIENCE).expect("one is answered at once");
    problem("the 33rd that waits", &refused, 429, "rate_limited");
    // Midtrans is silent. A machine must not take the books' word for Midtrans' own: the payment may be there.
    for _ in 0..32 {
        problem("nobody knows", &answers.recv_timeout(PATIENCE).expect("an answer"), 503, "gateway");
    }
    shop.midtrans.heal();
    shop.midtrans.release();
    passes(60);
    wait_for("the gateway's word", || (shop.http.get(&url, Some(&shop.token)).status == 200).then_some(()));
}

#[test]
fn while_midtrans_refuses_a_machine_is_told_when_to_ask_again() {
    let shop = Shop::merchants_side();
    for fault in [
        json!({"fault": "refuse", "on": "charge"}),
        json!({"fault": "server_error", "code": 503, "on": "charge"}),
        json!({"fault": "rate_limit", "on": "charge"}),
        json!({"fault": "deny", "on": "charge"}),
        json!({"fault": "lose_answer", "on": "charge", "count": 1}),
    ] {
        let what = fault.to_string();
        shop.midtrans.fault(&fault);
        let body = shop.order_body(&new_request_id());
        let answer = shop.post_order(&body);
        // A charge whose answer was lost is asked for once more, at once.
        if fault["fault"] != "lose_answer" || answer.status >= 300 {
            problem(&what, &answer, 503, "gateway");
        }
        shop.midtrans.heal();
        // The same request again is an order when Midtrans is back, and one charge that can be paid.
        let order = wait_for(&what, || match shop.post_order(&body) {
            answer if answer.status < 300 => Some(answer.json()),
            answer => {
                problem(&what, &answer, 503, "gateway");
                None
            }
        });
        let ours = |charge: &serde_json::Value| charge["custom_fields"][1] == body["request_id"] && charge["status"] == "pending";
        let charges: Vec<_> = shop.midtrans.transactions().into_iter().filter(ours).collect();
        assert_eq!(charges.len(), 1, "{what}: {charges:?}");
        assert_eq!(charges[0]["order_id"], order["order_id"], "{what}");
    }
}

#[test]
fn while_midtrans_refuses_a_cancel_is_told_when_to_ask_again() {
    let shop = Shop::merchants_side();
    let order = shop.charge();
    let order_id = order["order_id"].as_str().expect("an id");
    shop.midtrans.fault(&json!({"fault": "refuse"}));
    problem("a cancel", &shop.post_to(order_id, "cancel", &json!({})), 503, "gateway");
    assert_eq!(shop.order_at_backend(order_id)["status"], "pending", "nothing is said that is not known");
    shop.midtrans.heal();
    // The backend keeps trying by itself.
    shop.wait_order(order_id, "cancelled", |order| (order["status"] == "cancel").then_some(()));
    assert_eq!(shop.midtrans.status(order_id), "cancel");
}
