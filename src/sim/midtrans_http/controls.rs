//! The controls for customers, shops, banks and tests.
//!
//! | call | meaning |
//! | --- | --- |
//! | `POST /sim/pay/{name}?via=gopay\|qris&force=true` | a customer pays, by order_id, transaction_id or payment code: 200 `{order_id, amount}`, else 404 or 409 with `error` |
//! | `POST /sim/pay` with `{"qr": "…", "via": "…"}` or `{"payment_code": "…"}` | the same, by the text in the QR or the code that is typed at the counter |
//! | `POST /sim/fail/{name}` | an attempt in the app fails |
//! | `POST /sim/cancel/{name}`, `/sim/expire/{name}` | ended at the dashboard |
//! | `POST /sim/refund/{name}` with `{"amount", "refund_key", "reason"}` | refunded at the dashboard |
//! | `POST /sim/reverse/{name}` | a shop takes a payment back: settlement becomes deny |
//! | `POST /sim/chargeback/{name}?amount=n` | the customer's bank takes it back, or a part |
//! | `POST /sim/set/{name}` with `{"status", "fraud_status", "quietly"}` | it is what it is told to be |
//! | `POST /sim/notify/{name}` | the notification of what it is now, once more |
//! | `POST /sim/forge/{name}` with `{"set", "signature", "url"}` | a notification that is not true ([`Forgery`]) |
//! | `GET /sim/notifications?order_id=…` | what was sent, and how it was answered |
//! | `GET`, `POST`, `DELETE /sim/faults` | plans, one more ([`Plan`]), none |
//! | `POST /sim/release` | every held answer goes: `{"released": n}` |
//! | `GET /sim/held` | how many answers are held: `{"held": n}` |
//! | `POST /sim/clock` with `{"advance_ms": n}` | its own clock goes forward |
//! | `GET`, `POST /sim/options` | what it is like; becomes another ([`Change`]) |
//! | `GET`, `DELETE /sim/requests`, `GET /sim/transactions` | what was asked; the books |
//! | `GET /sim` | a page to pay on |

use super::Shared;
use crate::midtrans::faults::Plan;
use crate::midtrans::{Change, Forgery, Fraud, Midtrans, PayError, Status, Via};
use axum::Router;
use axum::extract::{Json, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use qris_core::order::time::Span;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

type Sim = State<Arc<Shared>>;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/sim/pay", post(pay_read))
        .route("/sim/pay/{name}", post(pay))
        .route("/sim/fail/{name}", post(fail))
        .route("/sim/cancel/{name}", post(cancel))
        .route("/sim/expire/{name}", post(expire))
        .route("/sim/refund/{name}", post(refund))
        .route("/sim/reverse/{name}", post(reverse))
        .route("/sim/chargeback/{name}", post(charge_back))
        .route("/sim/set/{name}", post(set))
        .route("/sim/notify/{name}", post(notify))
        .route("/sim/forge/{name}", post(forge))
        .route("/sim/notifications", get(notifications))
        .route("/sim/faults", get(plans).post(plan).delete(heal))
        .route("/sim/release", post(release))
        .route("/sim/held", get(held))
        .route("/sim/clock", post(advance))
        .route("/sim/options", get(options).post(change))
        .route("/sim/requests", get(requests).delete(forget_requests))
        .route("/sim/transactions", get(transactions))
}

#[derive(Debug, Default, Deserialize)]
struct How {
    #[serde(default)]
    via: App,
    /// Cancelled and expired ones too: the payment was under way.
    #[serde(default)]
    force: bool,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum App {
    /// At a counter there is no app, so any value is right.
    #[default]
    #[serde(alias = "counter")]
    Gopay,
    Qris,
}

/// The text that a camera or a cashier has read.
#[derive(Debug, Deserialize)]
struct Scanned {
    #[serde(alias = "payment_code")]
    qr: String,
    #[serde(flatten)]
    how: How,
}

async fn pay(State(sim): Sim, Path(name): Path<String>, Query(how): Query<How>) -> Response {
    paid(&sim, &name, &how)
}

async fn pay_read(State(sim): Sim, Json(scanned): Json<Scanned>) -> Response {
    paid(&sim, &scanned.qr, &scanned.how)
}

fn paid(sim: &Shared, name: &str, how: &How) -> Response {
    let via = match how.via {
        App::Gopay => Via::Gopay,
        App::Qris => Via::Qris,
    };
    respond(sim.with(|midtrans, now| midtrans.pay(name, via, how.force, now)))
}

async fn fail(State(sim): Sim, Path(name): Path<String>) -> Response {
    respond(sim.with(|midtrans, now| midtrans.fail(&name, now)))
}

async fn cancel(State(sim): Sim, Path(name): Path<String>) -> Response {
    answered(&sim.with(|midtrans, now| midtrans.end_by_hand(&name, Status::Cancel, now)))
}

async fn expire(State(sim): Sim, Path(name): Path<String>) -> Response {
    answered(&sim.with(|midtrans, now| midtrans.end_by_hand(&name, Status::Expire, now)))
}

async fn refund(State(sim): Sim, Path(name): Path<String>, body: String) -> Response {
    answered(&sim.with(|midtrans, now| midtrans.refund_by_hand(&name, body.as_bytes(), now)))
}

async fn reverse(State(sim): Sim, Path(name): Path<String>) -> Response {
    respond(sim.with(|midtrans, now| midtrans.reverse(&name, now)))
}

#[derive(Debug, Deserialize)]
struct Part {
    amount: Option<u64>,
}

async fn charge_back(State(sim): Sim, Path(name): Path<String>, Query(part): Query<Part>) -> Response {
    respond(sim.with(|midtrans, now| midtrans.charge_back(&name, part.amount, now)))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Set {
    status: Option<Status>,
    fraud_status: Option<Fraud>,
    quietly: bool,
}

async fn set(State(sim): Sim, Path(name): Path<String>, Json(set): Json<Set>) -> Response {
    respond(sim.with(|midtrans, now| midtrans.set(&name, set.status, set.fraud_status, set.quietly, now)))
}

async fn notify(State(sim): Sim, Path(name): Path<String>) -> Response {
    respond(sim.with(|midtrans, now| midtrans.notify_again(&name, now)))
}

#[derive(Debug, Default, Deserialize)]
struct Forged {
    #[serde(flatten)]
    forgery: Forgery,
    url: Option<String>,
}

async fn forge(State(sim): Sim, Path(name): Path<String>, Json(forged): Json<Forged>) -> Response {
    respond(sim.with(|midtrans, now| midtrans.forge(&name, &forged.forgery, forged.url, now)))
}

#[derive(Debug, Deserialize)]
struct Which {
    order_id: Option<String>,
}

async fn notifications(State(sim): Sim, Query(which): Query<Which>) -> Json<Value> {
    look(&sim, |midtrans| midtrans.attempts(which.order_id.as_deref()))
}

async fn plans(State(sim): Sim) -> Json<Value> {
    look(&sim, |midtrans| midtrans.plans().to_vec())
}

async fn plan(State(sim): Sim, Json(plan): Json<Plan>) -> Json<Value> {
    sim.with(|midtrans, _| midtrans.plan(plan));
    Json(json!({}))
}

async fn heal(State(sim): Sim) -> Json<Value> {
    sim.with(|midtrans, _| midtrans.heal());
    Json(json!({}))
}

async fn release(State(sim): Sim) -> Json<Value> {
    Json(json!({ "released": sim.release() }))
}

async fn held(State(sim): Sim) -> Json<Value> {
    Json(json!({ "held": sim.with(|midtrans, _| midtrans.held()) }))
}

#[derive(Debug, Deserialize)]
struct Advance {
    advance_ms: i64,
}

async fn advance(State(sim): Sim, Json(advance): Json<Advance>) -> Json<Value> {
    sim.advance(Span::millis(advance.advance_ms));
    Json(json!({ "now_ms": sim.with(|_, now| now.0) }))
}

async fn options(State(sim): Sim) -> Json<Value> {
    look(&sim, |midtrans| midtrans.options().as_change())
}

async fn change(State(sim): Sim, Json(change): Json<Change>) -> Json<Value> {
    sim.with(|midtrans, now| midtrans.change(change, now));
    look(&sim, |midtrans| midtrans.options().as_change())
}

async fn requests(State(sim): Sim) -> Json<Value> {
    look(&sim, |midtrans| midtrans.requests())
}

async fn forget_requests(State(sim): Sim) -> Json<Value> {
    sim.with(|midtrans, _| midtrans.forget_requests());
    Json(json!({}))
}

async fn transactions(State(sim): Sim) -> Json<Value> {
    look(&sim, |midtrans| midtrans.transactions())
}

fn look<T: Serialize>(sim: &Shared, work: impl FnOnce(&Midtrans) -> T) -> Json<Value> {
    Json(sim.with(|midtrans, _| json!(work(midtrans))))
}

fn respond(result: Result<impl Serialize, PayError>) -> Response {
    match result {
        Ok(done) => Json(json!(done)).into_response(),
        Err(error) => {
            let status = if error == PayError::Unknown { StatusCode::NOT_FOUND } else { StatusCode::CONFLICT };
            (status, Json(json!({ "error": error }))).into_response()
        }
    }
}

/// The answer of Midtrans' own interface, with an HTTP status that says whether it was done.
fn answered(answer: &Value) -> Response {
    let status = match answer["status_code"].as_str() {
        Some("200" | "201" | "407") => StatusCode::OK,
        Some("404") => StatusCode::NOT_FOUND,
        _ => StatusCode::CONFLICT,
    };
    let mut answer = answer.clone();
    if status != StatusCode::OK {
        answer["error"] = answer["status_message"].clone();
    }
    (status, Json(answer)).into_response()
}
