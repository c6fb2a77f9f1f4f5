//! `POST /v1/orders/{order_id}/again`: the goods by a second try, or the money, and never both. Nothing is driven here: this program signs in
//! the place of a relay.

use crate::ask::{AGAIN, CallAnswer, OUTCOME};
use crate::paid::{settled, tell, verify_try};
use crate::repaid::{LOOK, STILL, calls_of, proof, refund_keys};
use crate::report::{Checked, Conformance, Stop, different, holds, same};
use crate::{Tester, text, wait_as_told};
use qris_core::order::ids::{DeviceId, OrderId, Ticket};
use qris_core::order::keys::SigningKey;
use qris_core::order::ledger;
use qris_core::order::money::Rupiah;
use qris_core::order::promise::Promise;
use qris_core::order::proof::Last;
use qris_core::order::tries::{Try, TryNumber, TwoDigits};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// A backend asks Midtrans before it signs. If that fails, it is asked again so often.
const ASKED: usize = 3;

pub async fn all(t: &Tester, report: &mut Conformance) {
    let within = t.within();
    report.check("what no proof shows has no second try", within, unproven(t)).await;
    if !t.second_tries {
        return report.check("a second try", within, async { Err(Stop::NotRun("--second-tries is missing".into())) }).await;
    }
    for (outcome, driven, offered) in
        [(Last::Closed, false, true), (Last::Failed, true, true), (Last::Failed, false, false), (Last::Uncertain, true, false)]
    {
        let pulse = if driven { "with" } else { "without" };
        let name = format!("a second try is {}offered for {outcome} {pulse} a pulse", if offered { "" } else { "not " });
        report.check(&name, within, offered_for(t, outcome, driven, offered)).await;
    }
    report.check("a second try that nobody has asked for later shows no number: two presses begin it", within, number(t)).await;
    report.check("a second try has a receipt of its own, and the same promise again has the same", within, receipt(t)).await;
    report.check("a promise that is of something else begins no second try", within, other_promises(t)).await;
    report.check("a word about the first try changes nothing of a second try, which is sold once", within, own_word(t)).await;
    report.check("no money goes back while a second try is offered or open", within, no_money(t)).await;
    report.check("money that went back ends each second try", within, money_back(t)).await;
}

/// An order of which nothing came, by the relay's word.
async fn nothing_came(t: &Tester) -> Result<(Value, Value), Stop> {
    let (body, order) = settled(t).await?;
    let order = report(t, &order, Last::Closed, false).await?;
    holds(order["try_again_s"].as_u64() > Some(0), "seconds in try_again_s", &order["try_again_s"])?;
    Ok((body, order))
}

/// A number is two digits beside `try_wanted_s`. Without one, or from a backend that knows none, two presses begin the try.
async fn number(t: &Tester) -> Checked {
    let (_, order) = nothing_came(t).await?;
    let (number, told) = (&order["try_number"], &order["try_confirmed_s"]);
    let is_good = number.is_null() || number.as_str().is_some_and(|text| text.parse::<TwoDigits>().is_ok());
    holds(is_good, "two digits or null in try_number", number)?;
    holds(!order["try_wanted_s"].is_null() || number.is_null(), "no number without try_wanted_s", number)?;
    holds(told.is_null() || !number.is_null(), "no try_confirmed_s without try_number", told)?;
    holds(told.as_u64().unwrap_or(0) <= 20, "20 seconds at most in try_confirmed_s", told)
}

/// Tells the end of the order's present try, with the relay's word. The order after that.
async fn report(t: &Tester, order: &Value, outcome: Last, driven: bool) -> Result<Value, Stop> {
    let body = json!({"try": order["try"], "outcome": outcome.delivery(), "reason": null, "detail": "told by qris-demo conform",
        "proof": proof(t, order, outcome, driven)?});
    let answer = t.ask.call(OUTCOME, text(order, "order_id")?).token(&t.token).json(&body).send().await?;
    answer.is(200)?;
    answer.json()
}

/// What a relay would promise next for this order, of the same goods for a lower price.
fn promise(t: &Tester, order: &Value) -> Result<Promise, Stop> {
    let device = DeviceId::new(text(order, "device")?).map_err(|error| different("a device id", error))?;
    let after = Ticket::new(text(order, "ticket")?).map_err(|error| different("a ticket", error))?;
    let id = OrderId::new(text(order, "order_id")?).map_err(|error| different("an order_id", error))?;
    let amount = rupiah(t.amount.div_ceil(2))?;
    let again = ledger::Again { order: id, number: next(TryNumber::FIRST), after };
    Ok(Promise::of(device, Ticket::from_random(t.bits()), again, t.item.clone(), amount))
}

fn rupiah(amount: u64) -> Result<Rupiah, Stop> {
    Rupiah::new(amount).map_err(|error| different("an amount", error))
}

fn next(number: TryNumber) -> TryNumber {
    number.next().expect("there are nine")
}

fn relay(t: &Tester) -> Result<&SigningKey, Stop> {
    t.relay.as_ref().ok_or_else(|| Stop::NotRun("--second-tries is missing".into()))
}

/// Asks for the receipt of a second try.
async fn ask(t: &Tester, order: &Value, promise: &str) -> Result<CallAnswer, Stop> {
    let call = || async { t.ask.call(AGAIN, text(order, "order_id")?).token(&t.token).json(&json!({ "promise": promise })).send().await };
    let mut answer = call().await?;
    for _ in 1..ASKED {
        let (503, Some(seconds)) = (answer.status, answer.retry_after) else { break };
        wait_as_told(seconds).await;
        answer = call().await?;
    }
    Ok(answer)
}

/// The order at its second try.
async fn again(t: &Tester, order: &Value, promise: &Promise) -> Result<Value, Stop> {
    let answer = ask(t, order, &promise.sign(relay(t)?)).await?;
    answer.is(200)?;
    answer.json()
}

/// Is refused, and changes nothing.
async fn refused(t: &Tester, order: &Value, what: &str, promise: &str, statuses: &[u16]) -> Checked {
    let answer = ask(t, order, promise).await?;
    holds(statuses.contains(&answer.status), format_args!("{statuses:?} for {what}"), format_args!("{} {}", answer.status, answer.text()))?;
    if t.second_tries && answer.status == 409 {
        // The machine takes another one for no answer, and asks again.
        same(&format!("order_id in the refusal of {what}"), &order["order_id"], &answer.json()?["order_id"])?;
    }
    let now = t.show(text(order, "order_id")?).await?;
    for field in ["rev", "receipt", "ticket", "outcome", "refund"] {
        same(&format!("{field} after {what}"), &order[field], &now[field])?;
    }
    Ok(())
}

/// The machine's word alone. A backend that offers no second try needs no such call.
async fn unproven(t: &Tester) -> Checked {
    let (_, order) = settled(t).await?;
    let answer = tell(t, text(&order, "order_id")?, "undelivered").await?;
    answer.is(200)?;
    let order = answer.json()?;
    holds(order["try_again_s"].is_null(), "no try_again_s without a proof", &order["try_again_s"])?;
    let nobody = SigningKey::from_seed([0; 32]);
    let promise = promise(t, &order)?.sign(t.relay.as_ref().unwrap_or(&nobody));
    refused(t, &order, "a promise where nothing is offered", &promise, if t.second_tries { &[409] } else { &[404, 409] }).await
}

async fn offered_for(t: &Tester, outcome: Last, driven: bool, offered: bool) -> Checked {
    let (_, order) = settled(t).await?;
    holds(order["try_again_s"].is_null(), "no try_again_s before an outcome", &order["try_again_s"])?;
    let order = report(t, &order, outcome, driven).await?;
    if offered {
        return holds(order["try_again_s"].as_u64() > Some(0), "seconds in try_again_s", &order["try_again_s"]);
    }
    holds(order["try_again_s"].is_null(), "no try_again_s", &order["try_again_s"])?;
    let promise = promise(t, &order)?.sign(relay(t)?);
    refused(t, &order, "a promise where nothing is offered", &promise, &[409]).await
}

async fn receipt(t: &Tester) -> Checked {
    let (mut body, order) = nothing_came(t).await?;
    let promise = promise(t, &order)?;
    let tried = again(t, &order, &promise).await?;
    holds(tried["rev"].as_u64() > order["rev"].as_u64(), "a higher rev", &tried["rev"])?;
    (body["ticket"], body["item"], body["amount"]) = (json!(promise.ticket), json!(promise.item), json!(promise.amount));
    for field in ["ticket", "item", "amount"] {
        same(field, &body[field], &tried[field])?;
    }
    same("try", &json!(2), &tried["try"])?;
    for field in ["outcome", "refund", "try_again_s"] {
        holds(tried[field].is_null(), format_args!("no {field} of a try that is open"), &tried[field])?;
    }
    verify_try(t, &body, &tried, order["gross_amount"].as_u64(), &promise.nth)?;
    let once_more = again(t, &order, &promise).await?;
    for field in ["receipt", "try", "rev"] {
        same(field, &tried[field], &once_more[field])?;
    }
    let other = Promise { ticket: Ticket::from_random(t.bits()), ..promise };
    refused(t, &tried, "another promise while a try is open", &other.sign(relay(t)?), &[409]).await?;
    report(t, &tried, Last::Dispensed, true).await.map(drop)
}

async fn other_promises(t: &Tester) -> Checked {
    let (_, order) = nothing_came(t).await?;
    let (_, another) = settled(t).await?;
    let (good, key) = (promise(t, &order)?, relay(t)?);
    let Try::Again { number, after } = good.nth.clone() else { return Err(different("a second try", "the first")) };
    let nth = |number, after| Try::Again { number, after };
    // Each is one that the relay of this machine may sign, but for the first ones.
    let of_another_key = good.sign(&SigningKey::from_seed([0; 32]));
    let device = DeviceId::new("conform-other").map_err(|error| different("a device id", error))?;
    for (what, promise) in [
        ("a promise of another key", of_another_key),
        ("the proof in the place of a promise", proof(t, &order, Last::Closed, false)?),
        ("a promise of another machine", Promise { device, ..good.clone() }.sign(key)),
        ("a promise of another order", promise(t, &another)?.sign(key)),
        ("a promise of the third try", Promise { nth: nth(next(number), after), ..good.clone() }.sign(key)),
        ("a promise after another ticket", Promise { nth: nth(number, Ticket::from_random(t.bits())), ..good.clone() }.sign(key)),
        ("a promise that costs more than was paid", Promise { amount: rupiah(t.amount + 1)?, ..good.clone() }.sign(key)),
    ] {
        refused(t, &order, what, &promise, &[409, 422]).await?;
    }
    tell(t, text(&another, "order_id")?, "dispensed").await?.is(200)?;
    let tried = again(t, &order, &good).await?;
    report(t, &tried, Last::Dispensed, true).await.map(drop)
}

async fn own_word(t: &Tester) -> Checked {
    let (_, order) = nothing_came(t).await?;
    let tried = again(t, &order, &promise(t, &order)?).await?;
    let id = text(&order, "order_id")?;
    // It was told before, so it may be answered either way.
    let word = json!({"try": 1, "outcome": "undelivered", "reason": null, "detail": null, "proof": proof(t, &order, Last::Closed, false)?});
    t.ask.call(OUTCOME, id).token(&t.token).json(&word).send().await?.one_of(&[200, 409])?;
    let now = t.show(id).await?;
    for field in ["rev", "receipt", "outcome", "refund"] {
        same(&format!("{field} after a word about the first try"), &tried[field], &now[field])?;
    }
    let sold = report(t, &tried, Last::Dispensed, true).await?;
    t.ask.call(OUTCOME, id).token(&t.token).json(&word).send().await?.one_of(&[200, 409])?;
    let now = t.show(id).await?;
    for order in [&sold, &now] {
        same("outcome.outcome", &json!("dispensed"), &order["outcome"]["outcome"])?;
        same("outcome.try", &json!(2), &order["outcome"]["try"])?;
        same("refund", &Value::Null, &order["refund"])?;
        same("status", &json!("settlement"), &order["status"])?;
        holds(order["try_again_s"].is_null(), "no try_again_s of what was sold", &order["try_again_s"])?;
    }
    let third = Promise { nth: Try::Again { number: next(next(TryNumber::FIRST)), after: ticket(&now)? }, ..promise(t, &now)? };
    refused(t, &now, "a promise of the third try at what was sold", &third.sign(relay(t)?), &[409]).await
}

fn ticket(order: &Value) -> Result<Ticket, Stop> {
    Ticket::new(text(order, "ticket")?).map_err(|error| different("a ticket", error))
}

/// A backend that refunds by itself waits until no second try is offered any more.
async fn no_money(t: &Tester) -> Checked {
    if !t.refunds {
        return Err(Stop::NotRun("--refunds is missing".into()));
    }
    t.hand.control("requests", None).await?;
    let (_, order) = nothing_came(t).await?;
    quiet(t, &order, "offered").await?;
    let tried = again(t, &order, &promise(t, &order)?).await?;
    quiet(t, &order, "open").await?;
    report(t, &tried, Last::Dispensed, true).await?;
    quiet(t, &order, "done").await
}

/// For a while no refund is asked for at Midtrans.
async fn quiet(t: &Tester, order: &Value, state: &str) -> Checked {
    let id = text(order, "order_id")?;
    let end = Instant::now() + STILL;
    while Instant::now() < end {
        let keys = refund_keys(&calls_of(t, id).await?);
        holds(keys.is_empty(), format_args!("no refund while a second try is {state}"), json!(keys))?;
        sleep(LOOK).await;
    }
    Ok(())
}

/// The merchant gives the money back at Midtrans' dashboard.
async fn money_back(t: &Tester) -> Checked {
    t.hand.control("options", None).await?;
    let (_, order) = nothing_came(t).await?;
    let id = text(&order, "order_id")?;
    t.hand.control(&format!("refund/{id}"), Some(&json!({}))).await?;
    let back = t.until(id, "a refund that was made at the dashboard", |order| order["refund"] == "done").await?;
    holds(back["try_again_s"].is_null(), "no try_again_s of what was given back", &back["try_again_s"])?;
    refused(t, &back, "a promise after the refund", &promise(t, &back)?.sign(relay(t)?), &[409]).await
}
