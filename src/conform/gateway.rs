//! Midtrans answers in other names, words and sums than its documents have, or later than its notification. Only a simulated one can be
//! told to.

use crate::paid::{tell, verify};
use crate::report::{Checked, Conformance, Stop, holds, same};
use crate::{CHECK, Tester, different, text};
use qris_core::order::money::Rupiah;
use qris_core::order::qris;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Get-status tells a payment this long after the notification.
const LATE: Duration = Duration::from_secs(6);
/// An order is looked at this often.
const LOOK: Duration = Duration::from_millis(500);

pub async fn all(t: &Tester, report: &mut Conformance) {
    let name = json!({"order_id": "a-name-of-midtrans"});
    report.check("a payment that Midtrans tells under another order_id becomes a receipt", CHECK, told_as(t, &name)).await;
    let word = json!({"transaction_status": "SETTLEMENT", "fraud_status": "ACCEPT"});
    report.check("a payment that Midtrans tells in capitals becomes a receipt", CHECK, told_as(t, &word)).await;
    report.check("an end that Midtrans tells as expired is the end", CHECK, expired(t)).await;
    report.check("a QR that Midtrans has only in its frame is read", CHECK, framed(t)).await;
    report.check("a QR with its check value in small letters is handed on in capitals", CHECK, small_letters(t)).await;
    report.check("a payment that Midtrans confirms late has no receipt before that", CHECK, late(t)).await;
    report.check("a payment that Midtrans tells of another charge has no receipt", CHECK, of_another(t)).await;
    report.check("a fee that Midtrans tells only with the payment is in the receipt", CHECK, fee(t)).await;
}

/// From now on get-status says this of an order.
async fn says(t: &Tester, id: &str, set: &Value) -> Checked {
    let fault = json!({"fault": "alter_answer", "on": "status", "order_id": id, "set": set});
    t.hand.control("faults", Some(&fault)).await.map(drop)
}

/// A charge that can be paid. Without a simulator nothing is ordered.
pub async fn charged(t: &Tester) -> Result<(Value, Value), Stop> {
    t.hand.control("options", None).await?;
    t.charged().await
}

pub async fn pay(t: &Tester, order: &Value) -> Checked {
    holds(t.hand.pay(order).await?, "the payment to be taken", "a refusal")
}

/// Its payment becomes a receipt for this sum, and the order ends.
async fn delivered(t: &Tester, body: &Value, order: &Value, gross: Option<u64>) -> Checked {
    let id = text(order, "order_id")?;
    let settled = t.until(id, "settlement with a receipt", |order| order["status"] == "settlement").await?;
    verify(t, body, &settled, gross)?;
    tell(t, id, "dispensed").await?.is(200)
}

async fn told_as(t: &Tester, set: &Value) -> Checked {
    let (body, order) = charged(t).await?;
    says(t, text(&order, "order_id")?, set).await?;
    pay(t, &order).await?;
    delivered(t, &body, &order, order["gross_amount"].as_u64()).await
}

async fn expired(t: &Tester) -> Checked {
    let (_, order) = charged(t).await?;
    let id = text(&order, "order_id")?;
    says(t, id, &json!({"transaction_status": "expired"})).await?;
    t.hand.control(&format!("expire/{id}"), Some(&json!({}))).await?;
    let ended = t.until(id, "an end of what has expired", |order| order["status"] != "pending").await?;
    same("status", &json!("expire"), &ended["status"])?;
    same("receipt", &Value::Null, &ended["receipt"])
}

/// Neither `qr_string` nor the plain picture is in the answer to the charge.
async fn framed(t: &Tester) -> Checked {
    let (_, order) = charged_with(t, json!({"qr_string": false, "qr_code": false})).await?;
    qr(&order)
}

/// Midtrans writes the check value so. A machine takes capitals only, as EMVCo has them.
async fn small_letters(t: &Tester) -> Checked {
    loop {
        let (_, order) = charged_with(t, json!({"small_check_value": true})).await?;
        qr(&order)?;
        // A value may have no letter.
        let payload = text(&order, "qr_payload")?;
        if payload.bytes().rev().take(4).any(|byte| byte.is_ascii_alphabetic()) {
            return Ok(());
        }
    }
}

/// A charge while Midtrans has these options.
async fn charged_with(t: &Tester, options: Value) -> Result<(Value, Value), Stop> {
    let mut was = t.hand.control("options", None).await?;
    was.as_object_mut().into_iter().for_each(|was| was.retain(|name, _| options.get(name).is_some()));
    t.hand.control("options", Some(&options)).await?;
    let charged = t.charged().await;
    t.hand.control("options", Some(&was)).await?;
    charged
}

/// The QR is one of the order's sum.
fn qr(order: &Value) -> Checked {
    let amount = order["gross_amount"].as_u64().and_then(|amount| Rupiah::new(amount).ok());
    let amount = amount.ok_or_else(|| different("a gross_amount", &order["gross_amount"]))?;
    qris::check(text(order, "qr_payload")?, amount).map_err(|error| different("a QR of this sum", error))
}

/// The notification is genuine, and get-status says `pending` for a while: nothing is confirmed yet.
async fn late(t: &Tester) -> Checked {
    let (body, order) = charged(t).await?;
    let id = text(&order, "order_id")?;
    let lags = json!({"fault": "status_lags", "order_id": id, "ms": LATE.as_millis()});
    t.hand.control("faults", Some(&lags)).await?;
    let confirmed = Instant::now() + LATE;
    pay(t, &order).await?;
    while Instant::now() < confirmed {
        let now = t.show(id).await?;
        // The answer may be of a moment later.
        if Instant::now() < confirmed {
            same("receipt before get-status confirms the payment", &Value::Null, &now["receipt"])?;
            same("status before get-status confirms the payment", &json!("pending"), &now["status"])?;
        }
        sleep(LOOK).await;
    }
    delivered(t, &body, &order, order["gross_amount"].as_u64()).await
}

/// Another sum and another currency are for a person: the money is owed. Another transaction may be told as well, or stay as if it were
/// not paid.
async fn of_another(t: &Tester) -> Checked {
    let other = json!({"transaction_id": "00000000-0000-4000-8000-000000000000"});
    let (_, another) = charged(t).await?;
    says(t, text(&another, "order_id")?, &other).await?;
    pay(t, &another).await?;
    for set in [json!({"gross_amount": "1.00"}), json!({"currency": "USD"})] {
        let (_, order) = charged(t).await?;
        let id = text(&order, "order_id")?;
        says(t, id, &set).await?;
        pay(t, &order).await?;
        let ended = t.until(id, "a refund that is due", |order| order["status"] != "pending").await?;
        same(&format!("receipt for {set}"), &Value::Null, &ended["receipt"])?;
        same(&format!("status for {set}"), &json!("failure"), &ended["status"])?;
        same(&format!("refund for {set}"), &json!("due"), &ended["refund"])?;
    }
    same(&format!("receipt for {other}"), &Value::Null, &t.show(text(&another, "order_id")?).await?["receipt"])
}

async fn fee(t: &Tester) -> Checked {
    let fee = t.max_imposed_fee.ok_or_else(|| Stop::NotRun("--max-imposed-fee is missing".into()))?;
    let (body, order) = charged(t).await?;
    let paid = order["gross_amount"].as_u64().unwrap_or_default() + fee;
    says(t, text(&order, "order_id")?, &json!({"gross_amount": format!("{paid}.00")})).await?;
    pay(t, &order).await?;
    delivered(t, &body, &order, Some(paid)).await
}
