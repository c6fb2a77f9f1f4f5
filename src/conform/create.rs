//! `POST /v1/orders`.

use crate::ask::{CREATE, OPEN};
use crate::paid::COUNTER_MIN;
use crate::report::{Checked, Conformance, Stop, different, holds, same};
use crate::{CHECK, Tester, text};
use qris_core::order::ids::Ticket;
use qris_core::order::money::Rupiah;
use qris_core::order::qris;
use serde_json::{Value, json};
use std::sync::PoisonError;

/// Posts of one request at the same time.
const AT_ONCE: usize = 5;
/// An order_id has at least 80 random bits: that takes this many letters out of 64.
const ORDER_ID_MIN: usize = 14;

pub async fn all(t: &Tester, report: &mut Conformance) {
    report.check("a sale is charged, with every field as it was asked", CHECK, charged(t)).await;
    report.check("the QR is a QRIS payload of the amount", CHECK, payload(t)).await;
    report.check("the same key and body again give the same order", CHECK, again(t)).await;
    report.check("an unknown field is ignored", CHECK, unknown_field(t)).await;
    report.check("the same key with another body is refused", CHECK, other_body(t)).await;
    report.check("posts of one request at the same time make one order", CHECK, at_once(t)).await;
    report.check("a ticket of another request is refused", CHECK, ticket(t)).await;
    report.check("a common key is found among others", CHECK, key_found(t)).await;
    report.check("without a common key nothing is ordered", CHECK, no_key(t)).await;
    for field in ["request_id", "ticket", "kids", "item", "amount", "payment", "timeout_s"] {
        report.check(&format!("a missing {field} is named"), CHECK, missing(t, field)).await;
    }
    for (field, value) in [
        ("request_id", json!("a b")),
        ("ticket", json!("short")),
        ("kids", json!("none")),
        ("item", json!("A|1")),
        ("amount", json!(0)),
        ("amount", json!(5000.5)),
        ("amount", json!("5000")),
        ("amount", json!(1_000_000_001_u64)),
        ("payment", json!("cash")),
        ("timeout_s", json!(9)),
        ("timeout_s", json!(841)),
        ("description", json!("x".repeat(51))),
        ("description", json!("a\u{9b}2J")),
        ("machine", json!("x".repeat(65))),
        ("machine", json!("a\u{202e}b")),
    ] {
        report.check(&format!("{field} = {} is refused by name", crate::schema::short(&value)), CHECK, wrong(t, field, &value)).await;
    }
    report.check("an Idempotency-Key that is not the request_id is refused", CHECK, wrong_key(t)).await;
    report.check("a body that is not a JSON object is refused", CHECK, no_object(t)).await;
    report.check("a refused request made no order", CHECK, nothing_ordered(t)).await;
    report.check("a payment over the counter has a code, or is refused with the name of the field", CHECK, counter(t)).await;
    report.check("a sale that the gateway refuses for good is over at once, with its words", CHECK, refused_for_good(t)).await;
    report.check("more orders than orders_per_minute are refused", CHECK, too_many(t)).await;
}

async fn charged(t: &Tester) -> Checked {
    let (body, order) = t.charged().await?;
    for field in ["request_id", "ticket", "item", "amount", "payment"] {
        same(field, &body[field], &order[field])?;
    }
    same("status", &json!("pending"), &order["status"])?;
    same("over", &json!(false), &order["over"])?;
    for field in ["receipt", "outcome", "refund", "settled_ago_s", "payment_code", "store"] {
        same(field, &Value::Null, &order[field])?;
    }
    for field in ["gross_amount", "qr_payload", "expires_in_s", "kid"] {
        holds(!order[field].is_null(), format_args!("a {field} of what can be paid"), "null")?;
    }
    let kid = text(&order, "kid")?;
    holds(t.kids.iter().any(|known| known.as_str() == kid), format_args!("a kid of {:?}", t.kids), kid)?;
    holds(
        order["gross_amount"].as_u64() >= Some(t.amount),
        format_args!("a gross_amount of at least {}", t.amount),
        &order["gross_amount"],
    )?;
    holds(order["expires_in_s"].as_u64() <= Some(86_400), "an expires_in_s of a day at most", &order["expires_in_s"])?;
    let id = text(&order, "order_id")?;
    holds(id.len() >= ORDER_ID_MIN, "an order_id of 80 random bits", id)?;
    if let Some(device) = &t.device {
        same("device", &json!(device), &order["device"])?;
    }
    let (_, second) = t.charged().await?;
    holds(second["order_id"] != order["order_id"], "another order_id for another request", id)
}

async fn payload(t: &Tester) -> Checked {
    let (_, order) = t.charged().await?;
    let payload = text(&order, "qr_payload")?;
    let amount = order["gross_amount"].as_u64().and_then(|amount| Rupiah::new(amount).ok());
    let amount = amount.ok_or_else(|| different("a gross_amount", &order["gross_amount"]))?;
    qris::check(payload, amount).map_err(|error| different(format_args!("a QRIS payload for {amount}"), error))
}

async fn again(t: &Tester) -> Checked {
    let (body, order) = t.charged().await?;
    for _ in 0..2 {
        let answer = t.post(&body).await?;
        answer.is(200)?;
        let again = answer.json()?;
        for field in ["order_id", "rev", "qr_payload", "gross_amount", "kid", "status", "ticket"] {
            same(field, &order[field], &again[field])?;
        }
    }
    Ok(())
}

async fn unknown_field(t: &Tester) -> Checked {
    let mut body = t.sale()?;
    body["a_field_of_a_later_release"] = json!({"x": 1});
    t.order(&body).await?.is(201)
}

async fn other_body(t: &Tester) -> Checked {
    let (body, _) = t.charged().await?;
    for (field, value) in [
        ("description", json!("another")),
        ("amount", json!(t.amount + 1000)),
        ("item", json!("another")),
        ("timeout_s", json!(60)),
        ("ticket", json!(Ticket::from_random(t.bits()))),
    ] {
        let mut other = body.clone();
        other[field] = value;
        t.post(&other).await?.problem(409, &["reused_id"])?;
    }
    t.post(&body).await?.is(200)
}

async fn at_once(t: &Tester) -> Checked {
    let body = t.sale()?;
    let [a, b, c, d, e] = std::array::from_fn::<_, AT_ONCE, _>(|_| t.post(&body));
    let (a, b, c, d, e) = tokio::join!(a, b, c, d, e);
    let answers = [a?, b?, c?, d?, e?];
    let mut ids: Vec<Value> = Vec::new();
    for answer in &answers {
        // 503: the first one still runs. 429: no more orders are allowed in this minute.
        answer.one_of(&[200, 201, 429, 503])?;
        if answer.status < 300 {
            ids.push(answer.json()?["order_id"].clone());
        }
    }
    let last = t.order(&body).await?;
    last.one_of(&[200, 201])?;
    let last_order = last.json()?;
    // A backend that always answers the same would hold all that follows.
    same("request_id", &body["request_id"], &last_order["request_id"])?;
    ids.push(last_order["order_id"].clone());
    holds(ids.windows(2).all(|pair| pair[0] == pair[1]), "one order_id", json!(ids))?;
    let new = answers.iter().chain([&last]).filter(|answer| answer.status == 201).count();
    holds(new <= 1, "201 once", format_args!("{new} times"))
}

async fn ticket(t: &Tester) -> Checked {
    let (body, _) = t.charged().await?;
    let mut other = t.sale()?;
    other["ticket"] = body["ticket"].clone();
    t.order(&other).await?.problem(409, &["reused_id"])
}

async fn key_found(t: &Tester) -> Checked {
    let mut body = t.sale()?;
    let known = t.kids[0].as_str();
    body["kids"] = json!(["nobody-has-this-key", known]);
    let answer = t.order(&body).await?;
    if answer.status == 422 {
        return Err(Stop::NotRun(format!("the backend no longer signs with {known}, the first of --keys")));
    }
    answer.is(201)?;
    same("kid", &json!(known), &answer.json()?["kid"])
}

async fn no_key(t: &Tester) -> Checked {
    for kids in [json!(["nobody-has-this-key"]), json!([])] {
        let mut body = t.sale()?;
        body["kids"] = kids;
        t.order(&body).await?.problem(422, &["unknown_key"])?;
    }
    Ok(())
}

async fn missing(t: &Tester, field: &str) -> Checked {
    let mut body = t.sale()?;
    body.as_object_mut().map(|object| object.remove(field));
    refused(t, &body, field).await
}

async fn wrong(t: &Tester, field: &str, value: &Value) -> Checked {
    let mut body = t.sale()?;
    body[field] = value.clone();
    refused(t, &body, field).await
}

async fn refused(t: &Tester, body: &Value, field: &str) -> Checked {
    t.refused.lock().unwrap_or_else(PoisonError::into_inner).push(body["request_id"].clone());
    let answer = t.order(body).await?;
    answer.problem(422, &["malformed"])?;
    answer.names(field)
}

async fn wrong_key(t: &Tester) -> Checked {
    let body = t.sale()?;
    let call = || t.ask.call(CREATE, "").token(&t.token).json(&body);
    call().key("another").send().await?.problem(422, &["malformed"])?;
    call().send().await?.problem(422, &["malformed"])
}

async fn no_object(t: &Tester) -> Checked {
    for bytes in [&b""[..], b"{", b"[]", b"null", b"\"x\"", b"{} {}", b"\xff\xfe{}"] {
        t.ask.call(CREATE, "").token(&t.token).key("conform").bytes(bytes.to_vec()).send().await?.problem(422, &["malformed"])?;
    }
    Ok(())
}

/// No refused request has left an open order.
async fn nothing_ordered(t: &Tester) -> Checked {
    let answer = t.ask.call(OPEN, "").token(&t.token).query("state=open").send().await?;
    answer.is(200)?;
    let open = answer.json()?;
    let refused = t.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let found: Vec<_> = open["orders"].as_array().into_iter().flatten().filter(|order| refused.contains(&order["request_id"])).collect();
    holds(found.is_empty(), "no open order of a refused request", json!(found))
}

async fn counter(t: &Tester) -> Checked {
    let mut taken = 0;
    for payment in ["alfamart", "indomaret"] {
        let mut body = t.sale()?;
        (body["payment"], body["amount"]) = (json!(payment), json!(t.amount.max(COUNTER_MIN)));
        let answer = t.order(&body).await?;
        if answer.status == 422 {
            answer.names("payment")?;
            continue;
        }
        answer.is(201)?;
        taken += 1;
        let order = answer.json()?;
        same("payment", &json!(payment), &order["payment"])?;
        for field in ["payment_code", "store", "expires_in_s"] {
            holds(!order[field].is_null(), format_args!("a {field} of a payment over the counter"), "null")?;
        }
        for field in ["qr_payload", "deeplink_url"] {
            holds(order[field].is_null(), format_args!("no {field} of a payment over the counter"), &order[field])?;
        }
        t.cancel(text(&order, "order_id")?).await?.is(200)?;
    }
    if taken == 0 { Err(Stop::NotRun("this backend takes no payments over the counter, and says so".into())) } else { Ok(()) }
}

/// A sale that the gateway refuses for good is over at once, and the machine has its words. Only a simulator can be told to refuse.
async fn refused_for_good(t: &Tester) -> Checked {
    const WORDS: &str = "Payment channel is not activated.";
    t.hand.refuse(402, WORDS).await?;
    let body = t.sale()?;
    for _ in 0..2 {
        let answer = t.post(&body).await?;
        answer.problem(422, &["gateway"])?;
        let problem = answer.json()?;
        holds(text(&problem, "detail")?.contains(WORDS), format_args!("{WORDS:?} in the detail"), &problem["detail"])?;
    }
    Ok(())
}

async fn too_many(t: &Tester) -> Checked {
    let Some(most) = t.orders_per_minute else { return Err(Stop::NotRun("--orders-per-minute is missing".into())) };
    if most == 0 {
        return Err(Stop::NotRun("there is no limit".into()));
    }
    for _ in 0..=most {
        let answer = t.post(&t.sale()?).await?;
        if answer.status == 429 {
            return answer.problem(429, &["rate_limited"]);
        }
        answer.one_of(&[201, 503])?;
    }
    Err(different(format_args!("429 after {most} orders in a minute"), "none"))
}
