//! `POST /v1/orders/{order_id}/cancel`, alone and in a race with a payment.

use crate::report::{Checked, Conformance, Stop, different, holds, same};
use crate::{CHECK, Tester, text};
use serde_json::{Value, json};

/// Races of a cancel with a payment.
const RACES: u32 = 5;

pub async fn all(t: &Tester, report: &mut Conformance) {
    report.check("a cancel ends an order, and a second cancel changes nothing", CHECK, cancelled(t)).await;
    report.check("several cancels at the same time count as one", CHECK, at_once(t)).await;
    report.check("a request that was cancelled is not charged again", CHECK, not_again(t)).await;
    report.check("a cancel and a payment at the same time have one result", t.within(), race(t)).await;
}

async fn cancelled(t: &Tester) -> Checked {
    let (_, order) = t.charged().await?;
    let id = text(&order, "order_id")?;
    let answer = t.cancel(id).await?;
    answer.is(200)?;
    let ended = answer.json()?;
    same("status", &json!("cancel"), &ended["status"])?;
    same("receipt", &Value::Null, &ended["receipt"])?;
    same("expires_in_s", &Value::Null, &ended["expires_in_s"])?;
    holds(ended["rev"].as_u64() > order["rev"].as_u64(), "a higher rev", &ended["rev"])?;
    let again = t.cancel(id).await?;
    again.is(200)?;
    same("the order", &ended, &again.json()?)?;
    same("the order", &ended, &t.show(id).await?)
}

async fn at_once(t: &Tester) -> Checked {
    let (_, order) = t.charged().await?;
    let id = text(&order, "order_id")?;
    let (a, b, c) = tokio::join!(t.cancel(id), t.cancel(id), t.cancel(id));
    for answer in [a?, b?, c?] {
        answer.is(200)?;
        same("status", &json!("cancel"), &answer.json()?["status"])?;
    }
    Ok(())
}

async fn not_again(t: &Tester) -> Checked {
    let (body, order) = t.charged().await?;
    let id = text(&order, "order_id")?;
    t.cancel(id).await?.is(200)?;
    let again = t.post(&body).await?;
    again.is(200)?;
    let again = again.json()?;
    same("order_id", &order["order_id"], &again["order_id"])?;
    same("status", &json!("cancel"), &again["status"])
}

async fn race(t: &Tester) -> Checked {
    if !t.hand.is_quick() {
        return Err(Stop::NotRun("no payment can be made at once: --simulator or --pay is missing".into()));
    }
    for _ in 0..RACES {
        let (_, order) = t.charged().await?;
        let id = text(&order, "order_id")?;
        let (paid, cancelled) = tokio::join!(t.hand.pay(&order), t.cancel(id));
        let (paid, answer) = (paid?, cancelled?);
        answer.is(200)?;
        let ended = answer.json()?;
        let status = text(&ended, "status")?;
        holds(["settlement", "cancel"].contains(&status), "settlement or cancel", status)?;
        if status == "settlement" {
            holds(paid, "cancel: the payment was refused", "settlement")?;
            holds(ended["receipt"].is_string(), "a receipt with settlement", &ended["receipt"])?;
        } else if paid {
            // It was taken before Midtrans ended the charge. Then the payment is a fact, and the cancel
            // was wrong.
            let now = t.until(id, "settlement of what was paid", |order| order["status"] == "settlement").await;
            return Err(match now {
                Ok(_) => different("settlement: the payment was taken", "cancel first, settlement later"),
                Err(stop) => stop,
            });
        }
        let later = t.show(id).await?;
        same("status", &ended["status"], &later["status"])?;
        same("receipt", &ended["receipt"], &later["receipt"])?;
        if status == "settlement" {
            crate::paid::tell(t, id, "undelivered").await?.is(200)?;
        }
    }
    Ok(())
}
