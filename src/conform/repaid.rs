//! Money that goes back, where Midtrans or the bank refuses. Only a simulated Midtrans can be told to.

use crate::ask::OUTCOME;
use crate::gateway::{charged, pay};
use crate::report::{Checked, Conformance, Stop, different, holds};
use crate::{CHECK, NEWS, Tester, text};
use qris_core::order::ids::{DeviceId, OrderId, Ticket};
use qris_core::order::proof::{self, Last, Statement};
use qris_core::order::tries::TryNumber;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The bank refuses a refund so long after Midtrans has made it. A backend asks Midtrans about an order every 10 s at most.
const BOUNCES: Duration = Duration::from_secs(20);
/// A refund under another key comes within this time. Before it a backend looks twice what became of the first.
const OTHER_KEY: Duration = Duration::from_secs(120);
/// Money that is still owed is looked at for so long.
pub const STILL: Duration = Duration::from_secs(6);
/// Order and calls are looked at this often.
pub const LOOK: Duration = Duration::from_millis(500);

pub async fn all(t: &Tester, report: &mut Conformance) {
    report.check("a refund that the bank refuses later is looked up at Midtrans", CHECK, bounced(t)).await;
    report.check("a refund that the bank denies leaves the money owed", CHECK, denied(t)).await;
    report.check("a refund whose key is used up is made under another key", CHECK, other_key(t)).await;
}

/// The merchant refunds at Midtrans' dashboard. Then the bank refuses: a notification tells of a settlement again.
async fn bounced(t: &Tester) -> Checked {
    let order = paid(t).await?;
    let id = text(&order, "order_id")?;
    tell_undelivered(t, id, None).await?;
    plan(t, id, json!({"fault": "bounce_refund"})).await?;
    let was = t.hand.control("options", None).await?["refund_confirmed_after_ms"].clone();
    let after = async |ms: Value| t.hand.control("options", Some(&json!({"refund_confirmed_after_ms": ms}))).await;
    after(json!(BOUNCES.as_millis())).await?;
    let clock = t.hand.control("clock", Some(&json!({"advance_ms": 0}))).await?;
    let refunded = t.hand.control(&format!("refund/{id}"), Some(&json!({}))).await;
    after(was).await?;
    refunded?;
    let bounced_at = clock["now_ms"].as_i64().unwrap_or_default() + i64::try_from(BOUNCES.as_millis()).expect("seconds");
    t.until(id, "a refund that was made at the dashboard", |order| order["refund"] == "done").await?;
    let looks =
        |calls: &[Value]| calls.iter().any(|call| call["call"] == "status" && call["at_ms"].as_i64() >= Some(bounced_at)).then_some(());
    calls(t, id, "a get-status when Midtrans tells of a settlement again", NEWS, looks).await
}

/// Midtrans answers with HTTP 200 that the bank denies the refund.
async fn denied(t: &Tester) -> Checked {
    let order = paid(t).await?;
    let id = text(&order, "order_id")?;
    let proof = proof(t, &order, Last::Closed, false)?;
    plan(t, id, json!({"fault": "deny_refund"})).await?;
    tell_undelivered(t, id, Some(proof)).await?;
    calls(t, id, "a refund of what the relay's proof shows", NEWS, |calls| refund_keys(calls).first().map(drop)).await?;
    let end = Instant::now() + STILL;
    while Instant::now() < end {
        is_owed_or_back(t, id).await?;
        sleep(LOOK).await;
    }
    Ok(())
}

/// Midtrans takes the refund_key no more, and no money has gone back.
async fn other_key(t: &Tester) -> Checked {
    let order = paid(t).await?;
    let id = text(&order, "order_id")?;
    let proof = proof(t, &order, Last::Closed, false)?;
    plan(t, id, json!({"fault": "error", "on": "refund", "code": 406, "message": "Duplicate refund ID"})).await?;
    tell_undelivered(t, id, Some(proof)).await?;
    let what = "a second refund, under another key";
    let second = calls(t, id, what, OTHER_KEY, |calls| Some(refund_keys(calls)).filter(|keys| keys.len() > 1));
    let wrong = async {
        loop {
            if let Err(stop) = is_owed_or_back(t, id).await {
                return stop;
            }
            sleep(LOOK).await;
        }
    };
    let keys = tokio::select! {
        keys = second => keys?,
        stop = wrong => return Err(stop),
    };
    holds(keys[0] != keys[1], what, format_args!("{:?} again", keys[1]))?;
    t.until(id, "a refund that was made", |order| order["refund"] == "done").await?;
    is_owed_or_back(t, id).await
}

async fn paid(t: &Tester) -> Result<Value, Stop> {
    let (_, order) = charged(t).await?;
    pay(t, &order).await?;
    t.until(text(&order, "order_id")?, "settlement with a receipt", |order| order["status"] == "settlement").await
}

async fn tell_undelivered(t: &Tester, id: &str, proof: Option<String>) -> Checked {
    let body = json!({"outcome": "undelivered", "reason": null, "detail": "told by qris-demo conform", "proof": proof});
    let answer = t.ask.call(OUTCOME, id).token(&t.token).json(&body).send().await?;
    answer.is(200)?;
    if answer.json()?["try_again_s"].is_u64() {
        return Err(Stop::NotRun("this backend offers another try first, and refunds when that is over".into()));
    }
    Ok(())
}

/// The relay's word on the ticket of the order's present try.
pub fn proof(t: &Tester, order: &Value, outcome: Last, driven: bool) -> Result<String, Stop> {
    let key = t.relay.as_ref().ok_or_else(|| Stop::NotRun("--refunds is missing".into()))?;
    let device = DeviceId::new(text(order, "device")?).map_err(|error| different("a device id", error))?;
    let ticket = Ticket::new(text(order, "ticket")?).map_err(|error| different("a ticket", error))?;
    let id = OrderId::new(text(order, "order_id")?).map_err(|error| different("an order_id", error))?;
    let number_of_try = order["try"].as_u64().and_then(|number| u32::try_from(number).ok()?.try_into().ok()).unwrap_or_default();
    // A relay does not know of which order the first ticket was that it closed.
    let order_id = (outcome != Last::Closed || number_of_try != TryNumber::FIRST).then_some(id);
    let number = t.closed.fetch_add(1, Ordering::Relaxed);
    Ok(proof::sign(key, &Statement { device, ticket, order_id, number_of_try, outcome, driven, number }))
}

/// The next call for this order's refund meets this.
async fn plan(t: &Tester, id: &str, mut fault: Value) -> Checked {
    (fault["order_id"], fault["count"]) = (json!(id), json!(1));
    t.hand.control("faults", Some(&fault)).await.map(drop)
}

/// The calls about an order at Midtrans.
pub async fn calls_of(t: &Tester, id: &str) -> Result<Vec<Value>, Stop> {
    let mut calls = t.hand.control("requests", None).await?.as_array().cloned().unwrap_or_default();
    calls.retain(|call| call["order_id"] == id);
    Ok(calls)
}

/// Waits for a call, or calls, about an order at Midtrans.
async fn calls<T>(t: &Tester, id: &str, what: &str, within: Duration, pick: impl Fn(&[Value]) -> Option<T>) -> Result<T, Stop> {
    let end = Instant::now() + within;
    loop {
        let calls = calls_of(t, id).await?;
        if let Some(found) = pick(&calls) {
            return Ok(found);
        }
        if Instant::now() > end {
            let last = calls.last().map_or_else(|| "none".into(), |call| call["call"].to_string());
            return Err(different(format_args!("{what} within {} s", within.as_secs()), format_args!("{last} as the last call")));
        }
        sleep(LOOK).await;
    }
}

/// The key of each refund that was asked for.
pub fn refund_keys(calls: &[Value]) -> Vec<Value> {
    calls.iter().filter(|call| call["call"] == "refund").map(|call| call["refund_key"].clone()).collect()
}

/// What is called `done` has gone back.
async fn is_owed_or_back(t: &Tester, id: &str) -> Checked {
    let order = t.show(id).await?;
    let books = t.hand.control("transactions", None).await?;
    let book = books.as_array().and_then(|books| books.iter().find(|book| book["order_id"] == id));
    let is_back = book.is_some_and(|book| book["status"] == "refund");
    holds(order["refund"] == "due" || order["refund"] == "done" && is_back, "a refund that is due", &order["refund"])
}
