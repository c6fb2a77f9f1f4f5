//! Reading orders: `GET /v1/orders`, `GET /v1/orders/{order_id}` and its long polls, the picture of the QR.

use crate::ask::{CANCEL, OPEN, OUTCOME, QR, SHOW};
use crate::report::{Checked, Conformance, Stop, different, holds, same};
use crate::{CHECK, SOON, Tester, text};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub async fn all(t: &Tester, report: &mut Conformance) {
    report.check("an order is shown as it was first answered", CHECK, shown(t)).await;
    report.check("news since an older rev come at once", CHECK, since(t)).await;
    report.check("a long poll without news waits", CHECK, waits(t)).await;
    report.check("a change wakes a long poll", CHECK, wakes(t)).await;
    report.check("the third long poll is refused, and the two others wait", CHECK, three_polls(t)).await;
    report.check("open orders are listed", CHECK, open(t)).await;
    report.check("wrong parameters are refused", CHECK, parameters(t)).await;
    report.check("the picture holds the QR", CHECK, picture(t)).await;
    report.check("another machine's order is not there", CHECK, foreign(t)).await;
}

async fn shown(t: &Tester) -> Checked {
    let (_, order) = t.charged().await?;
    let now = t.show(text(&order, "order_id")?).await?;
    let mut expected = order.clone();
    // A second may have passed.
    expected["expires_in_s"] = now["expires_in_s"].clone();
    same("the order", &expected, &now)
}

async fn since(t: &Tester) -> Checked {
    let (_, order) = t.charged().await?;
    let rev = order["rev"].as_u64().ok_or_else(|| different("a rev", &order["rev"]))?;
    let Some(older) = rev.checked_sub(1) else { return Err(different("a rev that counts from 1", rev)) };
    let answer = t.ask.call(SHOW, text(&order, "order_id")?).token(&t.token).query(format!("wait=60&since={older}")).send().await?;
    answer.is(200)?;
    holds(answer.took < SOON, "an answer at once", format_args!("one after {:?}", answer.took))?;
    same("rev", &order["rev"], &answer.json()?["rev"])
}

async fn waits(t: &Tester) -> Checked {
    let (_, order) = t.charged().await?;
    let id = text(&order, "order_id")?;
    // Without `since` it means the present rev; without `wait` there is no waiting.
    for (query, least) in
        [(format!("wait=2&since={}", order["rev"]), 1900), ("wait=2".into(), 1900), (String::new(), 0), ("wait=0".into(), 0)]
    {
        let answer = t.ask.call(SHOW, id).token(&t.token).query(query.clone()).send().await?;
        answer.is(200)?;
        let least = Duration::from_millis(least);
        holds(
            answer.took >= least && answer.took < least + SOON,
            format_args!("an answer to ?{query} after {least:?}"),
            format_args!("{:?}", answer.took),
        )?;
        same("rev", &order["rev"], &answer.json()?["rev"])?;
    }
    Ok(())
}

async fn wakes(t: &Tester) -> Checked {
    let (_, order) = t.charged().await?;
    let id = text(&order, "order_id")?;
    let start = Instant::now();
    let watch = async {
        let mut rev = order["rev"].clone();
        loop {
            let answer = t.ask.call(SHOW, id).token(&t.token).query(format!("wait=60&since={rev}")).send().await?;
            answer.is(200)?;
            let now = answer.json()?;
            holds(now["rev"].as_u64() > rev.as_u64() || start.elapsed().as_secs() > 50, "news with a higher rev", &now["rev"])?;
            if now["status"] != "pending" {
                return Ok::<_, Stop>((now, Instant::now()));
            }
            rev = now["rev"].clone();
        }
    };
    let cancel = async {
        let answer = t.cancel(id).await?;
        answer.is(200)?;
        Ok::<_, Stop>(Instant::now())
    };
    let (watched, cancelled) = tokio::join!(watch, cancel);
    let ((now, seen), done) = (watched?, cancelled?);
    same("status", &json!("cancel"), &now["status"])?;
    let late = seen.saturating_duration_since(done);
    holds(late < SOON, "the news as soon as the cancel is answered", format_args!("{late:?} later"))
}

async fn three_polls(t: &Tester) -> Checked {
    let (_, order) = t.charged().await?;
    let id = text(&order, "order_id")?;
    let poll = || t.ask.call(SHOW, id).token(&t.token).query(format!("wait=5&since={}", order["rev"])).send();
    let (a, b, c) = tokio::join!(poll(), poll(), poll());
    let answers = [a?, b?, c?];
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    let [refused] = refused[..] else { return Err(different("429 once", format_args!("{} times", refused.len()))) };
    refused.problem(429, &["rate_limited"])?;
    holds(refused.took < Duration::from_secs(3), "429 at once", format_args!("after {:?}", refused.took))?;
    for answer in answers.iter().filter(|answer| answer.status != 429) {
        answer.is(200)?;
        holds(answer.took >= Duration::from_millis(4_800), "the two others to wait", format_args!("{:?}", answer.took))?;
    }
    // They count no more.
    t.ask.call(SHOW, id).token(&t.token).query(format!("wait=1&since={}", order["rev"])).send().await?.is(200)
}

/// The open orders with this id.
async fn find_open(t: &Tester, token: &str, id: &str) -> Result<Vec<Value>, Stop> {
    let answer = t.ask.call(OPEN, "").token(token).query("state=open").send().await?;
    answer.is(200)?;
    let open = answer.json()?;
    let orders = open["orders"].as_array().ok_or_else(|| different("a list of orders", answer.text()))?;
    Ok(orders.iter().filter(|order| order["order_id"] == id).cloned().collect())
}

async fn open(t: &Tester) -> Checked {
    let (_, order) = t.charged().await?;
    let id = text(&order, "order_id")?;
    let found = find_open(t, &t.token, id).await?;
    let [found] = &found[..] else { return Err(different("the order among the open ones", format_args!("{} of it", found.len()))) };
    same("its rev", &order["rev"], &found["rev"])?;
    t.cancel(id).await?.is(200)?;
    let found = find_open(t, &t.token, id).await?;
    holds(found.is_empty(), "a cancelled order to be open no more", json!(found))
}

async fn parameters(t: &Tester) -> Checked {
    for query in ["", "state=closed", "state=", "state=open&state=closed"] {
        // Some frameworks take the last as wrong, others as `open` or `closed`. It only must not fail.
        let answer = t.ask.call(OPEN, "").token(&t.token).query(query).send().await?;
        if query.contains('&') { answer.one_of(&[200, 422])? } else { answer.problem(422, &["malformed"])? }
    }
    let (_, order) = t.charged().await?;
    let id = text(&order, "order_id")?;
    for query in ["wait=soon", "since=now", "wait=-1"] {
        t.ask.call(SHOW, id).token(&t.token).query(query).send().await?.problem(422, &["malformed"])?;
    }
    Ok(())
}

async fn picture(t: &Tester) -> Checked {
    let (_, order) = t.charged().await?;
    let answer = t.ask.call(QR, text(&order, "order_id")?).token(&t.token).send().await?;
    answer.is(200)?;
    let found = qris_backend::midtrans::read_qr(&answer.body).map_err(|error| different("a PNG with one QR", error))?;
    same("the QR", &text(&order, "qr_payload")?, &found.as_str())
}

async fn foreign(t: &Tester) -> Checked {
    let Some(other) = t.other_token.as_deref() else { return Err(Stop::NotRun("--other-token is missing".into())) };
    let (body, order) = t.charged().await?;
    let id = text(&order, "order_id")?;
    for op in [SHOW, QR, CANCEL, OUTCOME] {
        let call = t.ask.call(op, id).token(other);
        let call = if op == OUTCOME { call.json(&json!({"outcome": "dispensed", "reason": null, "detail": null})) } else { call };
        call.send().await?.problem_about(id, 404, &["unknown_request"])?;
    }
    let found = find_open(t, other, id).await?;
    holds(found.is_empty(), "no order of another machine among the open ones", json!(found))?;
    same("status", &json!("pending"), &t.show(id).await?["status"])?;
    // Different machines may use the same request id.
    let mut theirs = t.sale()?;
    theirs["request_id"] = body["request_id"].clone();
    let key = text(&body, "request_id")?;
    let answer = t.ask.call(crate::CREATE, "").token(other).key(key).json(&theirs).send().await?;
    answer.is(201)?;
    let order = answer.json()?;
    holds(order["order_id"] != id, "an order of its own for the same request_id of another machine", id)?;
    t.ask.call(CANCEL, text(&order, "order_id")?).token(other).send().await?.is(200)
}
