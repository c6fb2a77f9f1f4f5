//! The faults that can be planned, and where they strike.

use super::*;

#[test]
fn faults_strike_where_they_are_planned() {
    let mut sim = midtrans();
    sim.plan(once(Fault::Refuse));
    assert_eq!(sim.handle(&charge_of("o-1", "gopay"), START), Reply::Cut);
    assert!(sim.transactions().is_empty(), "refused before it was done");
    sim.plan(once(Fault::LoseAnswer));
    assert_eq!(sim.handle(&charge_of("o-1", "gopay"), START), Reply::Cut);
    assert_eq!(sim.transactions().len(), 1, "done, and nobody was told");
    sim.plan(Plan { count: Some(2), ..Fault::Deny { code: 900 }.into() });
    for expected in ["202", "202", "201"] {
        assert_eq!(code(sim.handle(&charge_of("o-2", "gopay"), START)), expected);
    }
    let statuses: Vec<Value> = notified(&mut sim, START).into_iter().map(|notice| notice["transaction_status"].clone()).collect();
    assert_eq!(statuses, ["pending", "deny", "deny", "pending"]);
    sim.plan(once(Fault::ImposeFee { rupiah: 100 }));
    let (_, charge) = answer(sim.handle(&charge_of("o-3", "qris"), START));
    assert_eq!(charge["gross_amount"], "5100.00");
    assert!(charge["qr_string"].as_str().is_some_and(|payload| payload.contains("54075100.00")));
    for (done, transactions) in [(false, 5), (true, 6)] {
        sim.plan(once(Fault::ServerError { code: 503, done }));
        assert_eq!(answer(sim.handle(&charge_of("o-4", "gopay"), START)).0, 503);
        assert_eq!(sim.transactions().len(), transactions);
    }
    sim.pay("o-2", Via::Gopay, false, START).expect("payable");
    sim.plan(once(Fault::StaleStatus));
    assert_eq!(call(&mut sim, "GET", "/v2/o-2/status", START), "201");
    assert_eq!(call(&mut sim, "GET", "/v2/o-2/status", START), "200");
    sim.due(START);
    for (fault, copies, late) in
        [(Fault::DropNotification, 0, 0), (Fault::DuplicateNotification, 2, 0), (Fault::DelayNotification { ms: 60_000 }, 1, 60)]
    {
        sim.plan(once(fault));
        sim.notify_again("o-2", START).expect("known");
        assert_eq!(notified(&mut sim, at(late) - Span(1)).len(), 0);
        assert_eq!(notified(&mut sim, at(late)).len(), copies);
    }
    assert!(sim.plans().is_empty());
    sim.plan(once(Fault::Refuse));
    sim.heal();
    assert_eq!(call(&mut sim, "GET", "/v2/o-2/status", START), "200");
}

fn forgery(set: &Value, signature: Signature) -> Forgery {
    Forgery { set: set.as_object().cloned().expect("an object"), signature }
}

/// A row: the changes, how the message is signed, and whether the signature fits the changed message.
#[test]
fn messages_can_be_forged() {
    let mut sim = midtrans();
    sim.handle(&charge_of("o-1", "gopay"), START);
    sim.pay("o-1", Via::Gopay, false, START).expect("payable");
    let truth = notified(&mut sim, START).pop().expect("told");
    let rows = [
        (json!({ "transaction_status": "refund" }), Signature::Kept, true),
        (json!({ "gross_amount": "1.00" }), Signature::Kept, false),
        (json!({ "gross_amount": "1.00" }), Signature::Right, true),
        (json!({ "currency": "USD", "transaction_id": "other" }), Signature::Right, true),
        (json!({}), Signature::Wrong, false),
        (json!({}), Signature::Stranger, false),
        (json!({ "signature_key": null }), Signature::Right, false),
    ];
    for (set, how, fits) in rows {
        let forged = |message: &Value| {
            let text = |name: &str| message[name].as_str().unwrap_or("");
            for (field, value) in set.as_object().expect("an object") {
                assert_eq!(&message[field], value, "{set}");
            }
            let right = transaction::signature(text("order_id"), text("status_code"), text("gross_amount"), KEY);
            assert_eq!(text("signature_key") == right, fits, "{set} {how:?}");
        };
        // The forgery is sent by hand, in place of the next notification, and as the answer of get-status.
        sim.forge("o-1", &forgery(&set, how), None, at(1)).expect("sent");
        sim.plan(once(Fault::ForgeNotification(forgery(&set, how))));
        sim.notify_again("o-1", at(1)).expect("known");
        let notices = notified(&mut sim, at(1));
        assert_eq!(notices.len(), 2);
        notices.iter().for_each(forged);
        sim.plan(once(Fault::AlterAnswer(forgery(&set, how))));
        forged(&answer(sim.handle(&request("GET", "/v2/o-1/status", b""), at(1))).1);
        sim.notify_again("o-1", at(1)).expect("known");
        assert_eq!(notified(&mut sim, at(1)), std::slice::from_ref(&truth), "the truth is what it was");
    }
    // The order is one that nobody knows.
    let nobody = forgery(&json!({ "gross_amount": "9.00" }), Signature::Right);
    assert_eq!(sim.forge("nobody", &nobody, None, at(2)), Err(PayError::Unknown), "nowhere to send it");
    assert!(sim.forge("nobody", &nobody, Some("http://merchant/n".into()), at(2)).is_ok());
    assert_eq!(notified(&mut sim, at(2))[0]["order_id"], "nobody");
}

#[test]
fn a_notification_can_come_after_the_next_one() {
    let mut sim = midtrans();
    sim.plan(Plan { on: Some("pending".into()), ..once(Fault::ReorderNotification) });
    sim.handle(&charge_of("o-1", "gopay"), START);
    assert!(sim.due(START).is_empty(), "it waits");
    sim.pay("o-1", Via::Gopay, false, at(5)).expect("payable");
    let mut order = Vec::new();
    while let Some(notice) = sim.due(at(5)).pop() {
        order.push(serde_json::from_slice::<Value>(&notice.body).expect("JSON")["transaction_status"].clone());
        sim.notified(notice, Some(200), at(5));
    }
    assert_eq!(order, ["settlement", "pending"]);
    let history = sim.attempts(Some("o-1"));
    assert_eq!(history.iter().map(|told| (told.sent, told.http)).collect::<Vec<_>>(), [(true, Some(200)); 2]);
    assert_eq!(history[1].fault, Some(Fault::ReorderNotification));
    assert!(sim.attempts(Some("o-2")).is_empty());
    // A dropped notification is in the history as well.
    sim.plan(once(Fault::DropNotification));
    sim.notify_again("o-1", at(6)).expect("known");
    let last = sim.attempts(None).pop().expect("remembered");
    assert_eq!((last.sent, last.http, &last.body["transaction_status"]), (false, None, &json!("settlement")));
}

#[test]
fn answers_go_wrong_in_every_way() {
    let mut sim = midtrans();
    sim.handle(&charge_of("o-1", "qris"), START);
    sim.pay("o-1", Via::Qris, false, at(1)).expect("payable");
    let status = request("GET", "/v2/o-1/status", b"");
    sim.plan(Fault::StatusLags { ms: 3_000 });
    for (seconds, expected) in [(1, "201"), (3, "201"), (4, "200")] {
        assert_eq!(code(sim.handle(&status, at(seconds))), expected, "after {seconds} s");
    }
    sim.heal();
    let Reply::Answer(whole) = sim.handle(&status, at(5)) else { panic!("an answer") };
    sim.plan(once(Fault::CutAnswer));
    assert_eq!(sim.handle(&status, at(5)), Reply::CutAmid(whole));
    for (error, http, expected) in [(410, None, 200), (500, None, 500), (404, Some(404), 404)] {
        sim.plan(once(Fault::Error { code: error, http, message: None }));
        let (http, body) = answer(sim.handle(&status, at(5)));
        assert_eq!((http, &body["status_code"]), (expected, &json!(error.to_string())));
    }
    // Every fault can be written down and read again.
    for text in [
        r#"{"fault":"alter_answer","set":{"fraud_status":"challenge"},"signature":"kept","on":"status","order_id":null,"count":2}"#,
        r#"{"fault":"forge_notification","set":{},"signature":"stranger","on":null,"order_id":null,"count":null}"#,
        r#"{"fault":"error","code":402,"http":null,"message":"no","on":null,"order_id":null,"count":1}"#,
    ] {
        let plan: Plan = serde_json::from_str(text).expect(text);
        assert_eq!(serde_json::to_value(&plan).expect("plain"), serde_json::from_str::<Value>(text).expect("JSON"));
    }
}
