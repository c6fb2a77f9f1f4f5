//! For operators: whether it is alive, whether it can work, and what it did.

use super::Refusal;
use crate::shop::Shop;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use qris_core::order::reason::Reason;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// `GET /healthz`: the program answers.
pub async fn health() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the books can be read.
pub async fn ready(State(shop): State<Arc<Shop>>) -> Result<&'static str, Refusal> {
    match shop.read(|tx| Ok(tx.rows("SELECT 1", &[])?)).await {
        Ok(_) => Ok("ready\n"),
        Err(_) => Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE).code(Reason::Store).detail("the books cannot be read").retry_after(2)),
    }
}

/// `GET /metrics`: counters since the start, in Prometheus' text format.
pub async fn metrics(State(shop): State<Arc<Shop>>) -> Response {
    let counts = &shop.counts;
    let table = [
        ("orders_total", "Requests of machines that were new.", &counts.orders),
        ("charges_total", "Charges that can be paid.", &counts.charges),
        ("receipts_total", "Receipts that were signed.", &counts.receipts),
        ("withheld_total", "Settlements without a receipt: refund due.", &counts.withheld),
        ("refunds_due_total", "Outcomes that make a refund due.", &counts.refunds_due),
        ("notifications_total", "Notifications of the gateway that were taken.", &counts.notifications),
        ("notifications_refused_total", "Notifications that were refused.", &counts.notifications_refused),
        ("gateway_calls_total", "Calls to the gateway.", &counts.gateway_calls),
        ("gateway_errors_total", "Calls to the gateway that were not answered.", &counts.gateway_errors),
        ("published_total", "News that the broker has.", &counts.published),
        ("connections_closed_total", "Connections that were closed: too slow, or to make room for others.", &counts.connections_closed),
    ];
    let mut text = String::new();
    for (name, help, counter) in table {
        let value = counter.load(Ordering::Relaxed);
        write!(text, "# HELP qris_backend_{name} {help}\n# TYPE qris_backend_{name} counter\nqris_backend_{name} {value}\n")
            .expect("a string takes all");
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

/// `GET /openapi.json`: this interface, for programs that read such documents.
pub async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "max-age=3600")], OPENAPI).into_response()
}

/// The interface as an OpenAPI document.
pub const OPENAPI: &str = include_str!("../../../docs/using/openapi.json");
