//! Other tries at what did not come. This program signs in the relay's place, what it would sign.

use super::ask::{AGAIN, CallAnswer, OUTCOME};
use super::paid::verify;
use super::repaid::paid;
use super::report::{Checked, Conformance, Stop, different, holds, same};
use super::{CHECK, Tester, seed, text};
use qris_core::order::ids::{DeviceId, OrderId, Ticket};
use qris_core::order::keys::SigningKey;
use qris_core::order::ledger::Again;
use qris_core::order::money::Rupiah;
use qris_core::order::promise::Promise;
use qris_core::order::proof::{self, Last, Statement};
use qris_core::order::tries::{Try, TryNumber};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

pub async fn all(t: &Tester, report: &mut Conformance) {
    report.check("another try is offered on the relay's word that nothing came, and on no other", CHECK, offered(t)).await;
    report.check("another try has one receipt, for the promise of the machine's relay", CHECK, one_receipt(t)).await;
    report.check("a word about an earlier try changes nothing", CHECK, earlier_word(t)).await;
}

/// An order of which nothing came.
struct Nothing {
    body: Value,
    order: Value,
    /// The relay's word on its first try.
    word: Value,
}

/// Paid, and its machine has told that nothing came, with the relay's word.
async fn nothing_came(t: &Tester) -> Result<Nothing, Stop> {
    relay(t)?;
    let (body, order) = paid(t).await?;
    let word = told(t, &body, &order, TryNumber::FIRST, Last::Closed)?;
    tell(t, &order, &word).await?.is(200)?;
    let order = t.show(text(&order, "order_id")?).await?;
    holds(order["try_again_s"].as_u64().is_some_and(|seconds| seconds > 0), "seconds in try_again_s", &order["try_again_s"])?;
    same("try", &json!(1), &order["try"])?;
    Ok(Nothing { body, order, word })
}

async fn offered(t: &Tester) -> Checked {
    nothing_came(t).await?;
    for outcome in ["undelivered", "uncertain"] {
        let (_, order) = paid(t).await?;
        tell(t, &order, &json!({ "outcome": outcome, "reason": null, "detail": null, "proof": null })).await?.is(200)?;
        let now = t.show(text(&order, "order_id")?).await?;
        same("try_again_s of what no relay has signed", &Value::Null, &now["try_again_s"])?;
    }
    Ok(())
}

async fn one_receipt(t: &Tester) -> Checked {
    let Nothing { body, order, .. } = nothing_came(t).await?;
    let good = promise(t, &body, &order)?;
    let Try::Again { after, .. } = good.nth.clone() else { return Err(different("a promise of another try", "a first one")) };
    let stranger = SigningKey::from_seed(seed("a stranger"));
    let third = second()?.next().ok_or_else(|| different("a third try", "none"))?;
    let dearer = Rupiah::new(good.amount.get() + 1).map_err(|error| different("a sum", error))?;
    let wrong = [
        ("by another key", good.sign(&stranger), "malformed"),
        ("of a later try", signed(t, &Promise { nth: Try::Again { number: third, after: after.clone() }, ..good.clone() })?, "mismatch"),
        (
            "after another ticket",
            signed(t, &Promise { nth: Try::Again { number: second()?, after: good.ticket.clone() }, ..good.clone() })?,
            "mismatch",
        ),
        ("of a dearer item", signed(t, &Promise { amount: dearer, ..good.clone() })?, "wrong_amount"),
    ];
    for (what, promise, code) in wrong {
        let status = if code == "malformed" { 422 } else { 409 };
        again(t, &order, &promise).await?.problem(status, &[code])?;
        let now = t.show(text(&order, "order_id")?).await?;
        same(&format!("receipt after a promise {what}"), &order["receipt"], &now["receipt"])?;
    }
    let begun = again(t, &order, &signed(t, &good)?).await?;
    begun.is(200)?;
    let begun = begun.json()?;
    same("try", &json!(2), &begun["try"])?;
    same("ticket", &json!(good.ticket), &begun["ticket"])?;
    same("outcome", &Value::Null, &begun["outcome"])?;
    same("refund", &Value::Null, &begun["refund"])?;
    let mut of_second = body.clone();
    of_second["ticket"] = json!(good.ticket);
    verify(t, &of_second, &begun, order["gross_amount"].as_u64())?;
    let keys = t.keys.as_ref().ok_or_else(|| Stop::NotRun("--keys is missing".into()))?;
    let receipt = keys.verify(text(&begun, "receipt")?, &good.device).map_err(|error| different("a receipt that verifies", error))?;
    same("the try of the receipt", &good.nth, &receipt.claims().nth)?;
    let same_again = again(t, &order, &signed(t, &good)?).await?;
    same_again.is(200)?;
    same("receipt for the same promise", &begun["receipt"], &same_again.json()?["receipt"])?;
    let other = Promise { ticket: Ticket::from_random(t.bits()), ..good };
    again(t, &order, &signed(t, &other)?).await?.is(409)?;
    same("receipt after another promise", &begun["receipt"], &t.show(text(&order, "order_id")?).await?["receipt"])?;
    tell(t, &order, &told(t, &of_second, &begun, second()?, Last::Dispensed)?).await?.is(200)
}

/// A machine in foreign hands takes the goods of the second try, and sends the relay's genuine word of the first one.
async fn earlier_word(t: &Tester) -> Checked {
    let Nothing { body, order, word } = nothing_came(t).await?;
    let promise = promise(t, &body, &order)?;
    let begun = again(t, &order, &signed(t, &promise)?).await?;
    begun.is(200)?;
    let begun = begun.json()?;
    tell(t, &order, &word).await?.one_of(&[200, 409])?;
    let now = t.show(text(&order, "order_id")?).await?;
    same("outcome", &Value::Null, &now["outcome"])?;
    same("refund", &Value::Null, &now["refund"])?;
    let mut of_second = body;
    of_second["ticket"] = json!(promise.ticket);
    tell(t, &order, &told(t, &of_second, &begun, second()?, Last::Dispensed)?).await?.is(200)?;
    tell(t, &order, &word).await?.one_of(&[200, 409])?;
    let now = t.show(text(&order, "order_id")?).await?;
    same("outcome.outcome", &json!("dispensed"), &now["outcome"]["outcome"])?;
    same("outcome.try", &json!(2), &now["outcome"]["try"])?;
    same("refund", &Value::Null, &now["refund"])
}

fn relay(t: &Tester) -> Result<&SigningKey, Stop> {
    t.relay.as_ref().filter(|_| t.tries).ok_or_else(|| Stop::NotRun("--tries is missing".into()))
}

fn second() -> Result<TryNumber, Stop> {
    TryNumber::FIRST.next().ok_or_else(|| different("a second try", "none"))
}

/// What the relay promises for the second try.
fn promise(t: &Tester, body: &Value, order: &Value) -> Result<Promise, Stop> {
    let id = OrderId::new(text(order, "order_id")?).map_err(|error| different("an order_id", error))?;
    let device = DeviceId::new(text(order, "device")?).map_err(|error| different("a device id", error))?;
    let after = Ticket::new(text(body, "ticket")?).map_err(|error| different("a ticket", error))?;
    let amount = Rupiah::new(t.amount).map_err(|error| different("a sum", error))?;
    let again = Again { order: id, number: second()?, after };
    Ok(Promise::of(device, Ticket::from_random(t.bits()), again, t.item.clone(), amount))
}

fn signed(t: &Tester, promise: &Promise) -> Result<String, Stop> {
    Ok(promise.sign(relay(t)?))
}

async fn again(t: &Tester, order: &Value, promise: &str) -> Result<CallAnswer, Stop> {
    t.ask.call(AGAIN, text(order, "order_id")?).token(&t.token).json(&json!({ "promise": promise })).send().await
}

/// What a machine tells of a try, with its relay's word. `body`: the sale, with the ticket of this try.
fn told(t: &Tester, body: &Value, order: &Value, number: TryNumber, outcome: Last) -> Result<Value, Stop> {
    let device = DeviceId::new(text(order, "device")?).map_err(|error| different("a device id", error))?;
    let ticket = Ticket::new(text(body, "ticket")?).map_err(|error| different("a ticket", error))?;
    let order_id = OrderId::new(text(order, "order_id")?).map_err(|error| different("an order_id", error))?;
    let order_id = (outcome != Last::Closed).then_some(order_id);
    let counted = t.closed.fetch_add(1, Ordering::Relaxed);
    let statement =
        Statement { device, ticket, order_id, number_of_try: number, outcome, driven: outcome != Last::Closed, number: counted };
    let proof = proof::sign(relay(t)?, &statement);
    Ok(json!({ "try": number, "outcome": outcome.delivery(), "reason": null, "detail": "told by qris-demo conform", "proof": proof }))
}

async fn tell(t: &Tester, order: &Value, told: &Value) -> Result<CallAnswer, Stop> {
    t.ask.call(OUTCOME, text(order, "order_id")?).token(&t.token).json(told).send().await
}
