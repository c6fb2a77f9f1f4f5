//! The calls that strangers may not make, and the calls that machines do not make.

use crate::ask::{CANCEL, CREATE, FINISH, NOTIFY, OPEN, OUTCOME, QR, SHOW};
use crate::report::{Checked, Conformance, Stop, different, holds, same};
use crate::{CHECK, Tester, text};
use reqwest::Method;
use serde_json::json;

/// A body that nobody reads.
const HUGE: usize = 10 << 20;
/// A body that is too large, but small enough to be sent before the answer is read.
const LARGE: usize = 100 << 10;

/// Before anything is ordered.
pub async fn strangers(t: &Tester, report: &mut Conformance) {
    report.check("a call without a token is refused", CHECK, nobody(t, None)).await;
    report.check("a wrong token is refused", CHECK, nobody(t, Some("nobody-has-this-token"))).await;
    report.check("an order that nobody made does not exist", CHECK, unknown(t)).await;
    report.check("an unknown address is answered with a problem", CHECK, nowhere(t)).await;
}

/// After everything else.
pub async fn all(t: &Tester, report: &mut Conformance) {
    report.check("a body that is too large is refused", CHECK, large(t)).await;
    report.check("a body of 10 MB is refused or cut off", CHECK, huge(t)).await;
    report.check("the customer's page shows the order and leaks nothing", CHECK, page(t)).await;
    report.check("the finish page changes nothing", CHECK, finish(t)).await;
    report.check("a forged notification is refused", CHECK, forged(t)).await;
}

async fn nobody(t: &Tester, token: Option<&str>) -> Checked {
    for op in [CREATE, OPEN, SHOW, QR, CANCEL, OUTCOME] {
        let call = t.ask.call(op, "an-order");
        let call = match token {
            Some(token) => call.token(token),
            None => call,
        };
        let call = if op.method == "post" { call.json(&json!({})) } else { call };
        call.send().await?.is(401)?;
    }
    Ok(())
}

async fn unknown(t: &Tester) -> Checked {
    let id = t.new_request_id();
    let answer = t.ask.call(SHOW, &id).token(&t.token).send().await?;
    // A backend that looks orders up at Midtrans may be at its limit.
    if answer.status == 503 { answer.problem(503, &["gateway", "store"]) } else { answer.problem_about(&id, 404, &["unknown_request"]) }
}

async fn nowhere(t: &Tester) -> Checked {
    let answer = t.ask.get("/v1/nothing").await?;
    answer.is(404)?;
    t.ask.validate(&answer.json()?, "Problem")?;
    let answer = t.ask.method(Method::DELETE, "/v1/orders", &t.token).await?;
    answer.is(405)?;
    t.ask.validate(&answer.json()?, "Problem")
}

async fn large(t: &Tester) -> Checked {
    let mut body = t.sale()?;
    body["padding"] = json!("x".repeat(LARGE));
    let key = text(&body, "request_id")?.to_owned();
    t.ask.call(CREATE, "").token(&t.token).key(&key).json(&body).send().await?.problem(413, &["too_large"])
}

async fn huge(t: &Tester) -> Checked {
    let answer = t.ask.call(CREATE, "").token(&t.token).key("conform").bytes(vec![b' '; HUGE]).send().await;
    match answer {
        Ok(answer) => answer.is(413)?,
        // A server that does not read to the end may close before the answer is read.
        Err(Stop::Different(_)) => {}
        Err(stop) => return Err(stop),
    }
    t.ask.call(OPEN, "").token(&t.token).query("state=open").send().await?.is(200)
}

async fn page(t: &Tester) -> Checked {
    let (body, order) = t.charged().await?;
    let Some(url) = order["pay_url"].as_str() else {
        return Err(Stop::NotRun("this backend has no customer's page: pay_url is null".into()));
    };
    let answer = t.ask.get(url).await?;
    answer.is(200)?;
    holds(answer.content_type.starts_with("text/html"), "a page", &answer.content_type)?;
    let page = String::from_utf8_lossy(&answer.body);
    for secret in [text(&body, "ticket")?, text(&body, "request_id")?, &t.token] {
        holds(!page.contains(secret), "no ticket, request_id or token on the page", "one of them")?;
    }
    let unknown = url.replace(text(&order, "order_id")?, &t.new_request_id());
    t.ask.get(&unknown).await?.is(404)
}

async fn finish(t: &Tester) -> Checked {
    let (_, order) = t.charged().await?;
    let id = text(&order, "order_id")?;
    if order["pay_url"].is_null() {
        return Err(Stop::NotRun("this backend has no customer's page: pay_url is null".into()));
    }
    for query in ["", "order_id=x&result=success", "result=failure", "result=%ff&result=success&=&&"] {
        t.ask.call(FINISH, id).query(query).send().await?.is(200)?;
    }
    let now = t.show(id).await?;
    same("status", &json!("pending"), &now["status"])?;
    same("rev", &order["rev"], &now["rev"])
}

async fn forged(t: &Tester) -> Checked {
    let (_, order) = t.charged().await?;
    let id = text(&order, "order_id")?;
    let good = json!({
        "order_id": id, "status_code": "200", "gross_amount": format!("{}.00", t.amount), "signature_key": "0".repeat(128),
        "transaction_status": "settlement", "transaction_id": "00000000-0000-4000-8000-000000000000", "fraud_status": "accept",
        "currency": "IDR", "payment_type": "gopay"
    });
    let answer = t.ask.get("/midtrans/notifications").await?;
    if answer.status == 404 {
        return Err(Stop::NotRun("this backend hears of payments in another way: it has no /midtrans/notifications".into()));
    }
    t.ask.call(NOTIFY, "").json(&good).send().await?.is(403)?;
    for field in ["order_id", "status_code", "gross_amount", "signature_key", "transaction_status", "transaction_id"] {
        let mut body = good.clone();
        body[field] = json!(1);
        t.ask.call(NOTIFY, "").json(&body).send().await?.is(400)?;
    }
    t.ask.call(NOTIFY, "").bytes(b"[]".to_vec()).send().await?.is(400)?;
    t.ask.call(NOTIFY, "").bytes(vec![b' '; LARGE]).send().await?.is(413)?;
    let now = t.show(id).await?;
    if now["status"] == "pending" { Ok(()) } else { Err(different("pending: nobody paid", &now["status"])) }
}
