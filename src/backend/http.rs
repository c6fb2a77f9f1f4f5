//! The HTTP server: routes, the owner of a request, bodies, problems. A reverse proxy does TLS.

mod enrolment;
mod handles;
mod limit;
mod machine;
mod notifications;
mod operators;
mod orders;
mod pay;
mod refusal;
mod request;

pub use handles::Handles;
pub use operators::{OPENAPI, READY};
pub(crate) use pay::rendered;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::map_response_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use hyper_util::service::TowerToHyperService;
use qris_core::order::reason::Reason;
use qris_core::wire::invitation;
use qris_host::connections::{self, Limits};
use qris_host::surroundings::Surroundings;
use refusal::Refusal;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Serves until `stop` says so. Then the running requests have a moment to end.
pub async fn serve(handles: Handles, limits: Limits, listener: TcpListener, stop: watch::Receiver<bool>) {
    let router = TowerToHyperService::new(router(&handles));
    let closed = move || {
        handles.counters.connections_closed.inc();
    };
    connections::serve(listener, router, limits, closed, stop).await;
}

#[must_use]
pub fn limits(connections: usize, proxies: Box<[IpAddr]>) -> Limits {
    Limits {
        connections,
        per_address: 64,
        proxies,
        head_bytes: 8 << 10,
        slow: Duration::from_secs(10),
        take: Duration::from_secs(10),
        // Each handler sets itself a shorter limit.
        answer: Duration::from_secs(90),
        // A machine closes an unused connection after 90 s, before we do.
        idle: Duration::from_secs(120),
        stay: Duration::ZERO,
        age: Duration::MAX,
    }
}

pub fn router(handles: &Handles) -> Router {
    Router::new()
        .route("/v1/orders", post(orders::create).get(orders::open))
        .route("/v1/orders/{order_id}", get(orders::show))
        .route("/v1/orders/{order_id}/qr.png", get(orders::qr_png))
        .route("/v1/orders/{order_id}/cancel", post(orders::cancel))
        .route("/v1/orders/{order_id}/outcome", post(orders::outcome))
        .route("/v1/orders/{order_id}/again", post(orders::again))
        .route(invitation::PATH, post(enrolment::claim))
        .route(&format!("/{}/notifications", handles.gateway.name()), post(notifications::take))
        .route("/healthz", get(operators::health))
        .route("/readyz", get(operators::ready))
        .route("/metrics", get(operators::metrics))
        .route("/openapi.json", get(operators::openapi))
        .with_state(handles.clone())
        .merge(pay::router(handles))
        .fallback(|| async { Refusal::new(StatusCode::NOT_FOUND).code(Reason::Malformed).detail("there is nothing at this address") })
        .method_not_allowed_fallback(|| async {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED).code(Reason::Malformed).detail("this address does not support this method")
        })
        .layer(map_response_with_state(Arc::clone(&handles.around), dated))
}

/// Machines compare their clocks with this. The header of hyper stands still while a clock that was ahead has been set back.
async fn dated(State(around): State<Arc<dyn Surroundings>>, mut response: Response) -> Response {
    if let Ok(date) = HeaderValue::from_str(&around.now().to_http_date()) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}
