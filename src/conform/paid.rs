//! Orders that were paid: receipts and outcomes.

use crate::ask::{CallAnswer, OPEN, OUTCOME, SHOW};
use crate::report::{Checked, Conformance, Stop, different, holds, same};
use crate::{SOON, Tester, now_s, text};
use base64::Engine as _;
use qris_core::order::ids::DeviceId;
use qris_core::order::receipt::Claims;
use qris_core::order::time::Wall;
use qris_core::order::tries::Try;
use serde_json::{Value, json};
use std::time::Instant;

/// The clocks of this computer, the backend and Midtrans may differ by this many seconds.
const CLOCKS_S: i64 = 300;
/// Counters take no small sums.
pub const COUNTER_MIN: u64 = 20_000;

pub async fn all(t: &Tester, report: &mut Conformance) {
    let within = t.within();
    report.check("an order that is not paid has no outcome", within, unpaid(t)).await;
    report.check("a payment becomes a receipt that verifies, and wakes the long poll", within, receipt(t)).await;
    report.check("a payment over the counter becomes a receipt, and the order waits for its customer", within, counter(t)).await;
    report.check("an order that was paid is not cancelled", within, no_cancel(t)).await;
    report.check("a paid order is open until it has an outcome", within, open(t)).await;
    for (outcome, refund) in [
        ("dispensed", Value::Null),
        ("failed", json!("due")),
        ("undelivered", json!("due")),
        ("uncertain", Value::Null),
        ("of_a_later_release", Value::Null),
    ] {
        report.check(&format!("the outcome {outcome} stays"), within, outcomes(t, outcome, &refund)).await;
    }
    report.check("a wrong outcome is refused by name", within, wrong(t)).await;
}

pub async fn tell(t: &Tester, id: &str, outcome: &str) -> Result<CallAnswer, Stop> {
    let body = json!({"outcome": outcome, "reason": null, "detail": "told by qris-demo conform"});
    t.ask.call(OUTCOME, id).token(&t.token).json(&body).send().await
}

/// A paid order with its receipt: the request and the order.
pub async fn settled(t: &Tester) -> Result<(Value, Value), Stop> {
    let (body, order) = t.charged().await?;
    let id = text(&order, "order_id")?;
    holds(t.hand.pay(&order).await?, "the payment to be taken", "a refusal")?;
    let settled = t.until(id, "settlement with a receipt", |order| order["status"] == "settlement").await?;
    Ok((body, settled))
}

async fn unpaid(t: &Tester) -> Checked {
    let (_, order) = t.charged().await?;
    let answer = tell(t, text(&order, "order_id")?, "dispensed").await?;
    answer.problem(503, &["backend", "gateway"])?;
    let now = t.show(text(&order, "order_id")?).await?;
    same("outcome", &Value::Null, &now["outcome"])?;
    same("status", &json!("pending"), &now["status"])
}

async fn receipt(t: &Tester) -> Checked {
    let (body, order) = t.charged().await?;
    let id = text(&order, "order_id")?;
    let watch = async {
        let mut rev = order["rev"].clone();
        let end = Instant::now() + t.within();
        loop {
            let answer = t.ask.call(SHOW, id).token(&t.token).query(format!("wait=60&since={rev}")).send().await?;
            answer.is(200)?;
            let now = answer.json()?;
            if now["status"] != "pending" {
                return Ok::<_, Stop>((now, Instant::now()));
            }
            holds(Instant::now() < end, "settlement", &now["status"])?;
            rev = now["rev"].clone();
        }
    };
    let pay = async {
        let paid = t.hand.pay(&order).await?;
        holds(paid, "the payment to be taken", "a refusal")?;
        let now = t.until(id, "settlement with a receipt", |order| order["status"] == "settlement").await?;
        Ok::<_, Stop>((now, Instant::now()))
    };
    let ((woken, at), (now, seen)) = tokio::try_join!(watch, pay)?;
    same("status", &json!("settlement"), &woken["status"])?;
    let late = at.saturating_duration_since(seen);
    holds(late < SOON, "the long poll to tell of it at once", format_args!("{late:?} later"))?;
    same("receipt", &now["receipt"], &woken["receipt"])?;
    same("over", &json!(true), &now["over"])?;
    for field in ["outcome", "refund", "expires_in_s"] {
        same(field, &Value::Null, &now[field])?;
    }
    holds(now["rev"].as_u64() > order["rev"].as_u64(), "a higher rev", &now["rev"])?;
    let ago = now["settled_ago_s"].as_i64();
    holds(ago.is_some_and(|ago| ago <= CLOCKS_S), "seconds in settled_ago_s", &now["settled_ago_s"])?;
    verify(t, &body, &now, now["gross_amount"].as_u64())
}

/// The receipt's signature and each of its claims. `gross`: what was paid, in rupiah.
pub fn verify(t: &Tester, body: &Value, order: &Value, gross: Option<u64>) -> Checked {
    verify_try(t, body, order, gross, &Try::First)
}

/// The same of this try.
pub fn verify_try(t: &Tester, body: &Value, order: &Value, gross: Option<u64>, nth: &Try) -> Checked {
    let jws = text(order, "receipt")?;
    let device = text(order, "device")?;
    let device = DeviceId::new(device).map_err(|error| different("a device id", error))?;
    let keys = t.keys.as_ref().ok_or_else(|| Stop::NotRun("--keys is missing".into()))?;
    let receipt = keys.verify(jws, t.device.as_ref().unwrap_or(&device)).map_err(|error| different("a receipt that verifies", error))?;
    let Claims { sub, jti, ticket, nth: told, item, amount, gross_amount, payment_type, settled_at, iat, .. } = receipt.claims();
    same("claim sub", &text(order, "order_id")?, &sub.as_str())?;
    same("claim jti", &text(body, "request_id")?, &jti.as_str())?;
    same("claim ticket", &text(body, "ticket")?, &ticket.as_str())?;
    same("claims try and after", nth, told)?;
    same("claim item", &text(body, "item")?, &item.as_str())?;
    same("claim amount", &body["amount"].as_u64(), &Some(amount.get()))?;
    same("claim gross_amount", &gross, &Some(gross_amount.get()))?;
    let types: &[&str] = if body["payment"] == "gopay" { &["gopay", "qris"] } else { &["cstore"] };
    holds(types.contains(&&**payment_type), format_args!("payment_type {}", types.join(" or ")), payment_type)?;
    let settled = Wall::from_rfc3339(settled_at).map_err(|error| different("a settled_at of RFC 3339", error))?;
    for (claim, seconds) in [("settled_at", settled.0 / 1000), ("iat", *iat)] {
        holds((seconds - now_s()).abs() <= CLOCKS_S, format_args!("a {claim} of now"), format_args!("{} s away", seconds - now_s()))?;
    }
    let header = jws.split('.').next().unwrap_or_default();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
    let header: Value = serde_json::from_slice(&header).unwrap_or_default();
    same("the receipt's kid", &order["kid"], &header["kid"])
}

/// Paid at a store that takes nothing back, so that it is settled at once.
async fn counter(t: &Tester) -> Checked {
    let mut body = t.sale()?;
    (body["payment"], body["amount"]) = (json!("alfamart"), json!(t.amount.max(COUNTER_MIN)));
    let answer = t.order(&body).await?;
    if answer.status == 422 {
        return Err(Stop::NotRun("this backend takes no payments over the counter".into()));
    }
    answer.is(201)?;
    let order = answer.json()?;
    let id = text(&order, "order_id")?;
    holds(t.hand.pay(&order).await?, "the payment to be taken", "a refusal")?;
    let settled = t.until(id, "settlement with a receipt", |order| order["status"] == "settlement").await?;
    for field in ["payment_code", "store"] {
        same(field, &order[field], &settled[field])?;
    }
    verify(t, &body, &settled, settled["gross_amount"].as_u64())?;
    tell(t, id, "dispensed").await?.is(200)
}

async fn no_cancel(t: &Tester) -> Checked {
    let (_, order) = settled(t).await?;
    let id = text(&order, "order_id")?;
    let answer = t.cancel(id).await?;
    answer.is(200)?;
    let after = answer.json()?;
    same("status", &json!("settlement"), &after["status"])?;
    same("receipt", &order["receipt"], &after["receipt"])?;
    tell(t, id, "dispensed").await?.is(200)
}

async fn open(t: &Tester) -> Checked {
    let (_, order) = settled(t).await?;
    let id = text(&order, "order_id")?;
    let listed = || async {
        let answer = t.ask.call(OPEN, "").token(&t.token).query("state=open").send().await?;
        answer.is(200)?;
        Ok::<_, Stop>(answer.json()?["orders"].as_array().is_some_and(|orders| orders.iter().any(|order| order["order_id"] == id)))
    };
    holds(listed().await?, "a paid order without outcome among the open ones", "none")?;
    tell(t, id, "dispensed").await?.is(200)?;
    holds(!listed().await?, "an order with an outcome to be open no more", "it is listed")
}

async fn outcomes(t: &Tester, outcome: &str, refund: &Value) -> Checked {
    let (_, order) = settled(t).await?;
    let id = text(&order, "order_id")?;
    let first = tell(t, id, outcome).await?;
    first.is(200)?;
    let first = first.json()?;
    same("outcome.outcome", &json!(outcome), &first["outcome"]["outcome"])?;
    same("refund", refund, &first["refund"])?;
    let again = tell(t, id, outcome).await?;
    again.is(200)?;
    same("outcome", &first["outcome"], &again.json()?["outcome"])?;
    let other = if outcome == "dispensed" { "failed" } else { "dispensed" };
    tell(t, id, other).await?.problem_about(id, 409, &["reused_id"])?;
    let now = t.show(id).await?;
    same("outcome", &first["outcome"], &now["outcome"])?;
    same("receipt", &order["receipt"], &now["receipt"])
}

async fn wrong(t: &Tester) -> Checked {
    let (_, order) = t.charged().await?;
    let call = |body: Value| t.ask.call(OUTCOME, text(&order, "order_id").unwrap_or_default()).token(&t.token).json(&body).send();
    for (body, field) in [
        (json!({}), "outcome"),
        (json!({"outcome": "Eaten!"}), "outcome"),
        (json!({"outcome": 1}), "outcome"),
        (json!({"outcome": "failed", "reason": "Because."}), "reason"),
        (json!({"outcome": "failed", "detail": 5}), "detail"),
    ] {
        let answer = call(body).await?;
        answer.problem(422, &["malformed"])?;
        answer.names(field)?;
    }
    Ok(())
}
