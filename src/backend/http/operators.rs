//! For operators: whether it is alive, whether it can work, and what it did.

use super::refusal::Refusal;
use crate::counters::Counters;
use crate::gateway::WatchedGateway;
use crate::machines::handle::Machines;
use crate::sale::handle::Books;
use crate::sale::work::Work;
use crate::sale::work::clock::apart;
use crate::telling::metrics;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use qris_host::reckoning::Standing;
use std::sync::Arc;

/// `GET /healthz`: the program answers.
pub async fn health() -> &'static str {
    "ok\n"
}

/// The answer of [`ready`]. A further line says what is wrong while it sells.
pub const READY: &str = "ready\n";

/// `GET /readyz`: the books can be read, and written as far as anybody knows; and whether nothing ends by time.
pub async fn ready(State(books): State<Arc<Books>>, State(work): State<Arc<Work>>) -> Result<String, Refusal> {
    let why = match books.read(|tx| Ok(tx.rows("SELECT 1", &[])?)).await {
        Ok(_) if !books.fail() => return Ok(format!("{READY}{}", of_clock(work.clock()))),
        Ok(_) => "the books cannot be written",
        Err(_) => "the books cannot be read",
    };
    Err(Refusal::store(why))
}

fn of_clock(standing: Standing) -> String {
    match standing {
        Standing::Trusted => String::new(),
        Standing::Unknown => "nothing ends by time: the gateway has told no time since the start\n".into(),
        Standing::Differs(off) => {
            let (seconds, word) = apart(off);
            format!("nothing ends by time: the clock is {seconds} s {word} the gateway's\n")
        }
    }
}

/// `GET /metrics`: counters, latencies and what waits, in the text format of OpenMetrics.
pub async fn metrics(
    State(counters): State<Arc<Counters>>,
    State(gateway): State<Arc<WatchedGateway>>,
    State(books): State<Arc<Books>>,
    State(machines): State<Arc<Machines>>,
) -> Response {
    let text = metrics::text(&counters, &gateway, &books, &machines).await;
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

/// `GET /openapi.json`: this interface, for programs that read such documents.
pub async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "max-age=3600")], OPENAPI).into_response()
}

pub const OPENAPI: &str = include_str!("../../../docs/using/openapi.json");
