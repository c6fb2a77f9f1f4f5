//! The socket at which the desk asks: its addresses, and who is let in.

use super::answer::No;
use super::{Desk, entering, pages};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};
use hyper_util::service::TowerToHyperService;
use qris_host::connections::{self, Limits};
use qris_host::socket::{self, SocketError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::time::timeout;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Makes the socket. Its directory says who reaches it, and the group of it is the desk's.
pub async fn listen(path: &Path) -> Result<UnixListener, SocketError> {
    socket::listen(path, 0o660).await
}

pub async fn serve(desk: Desk, listener: UnixListener, stop: watch::Receiver<bool>) {
    let desk = Arc::new(desk);
    let ahead = tokio::spawn({
        let desk = Arc::clone(&desk);
        async move { desk.keep_ahead().await }
    });
    let minute = Duration::from_secs(60);
    let limits = Limits {
        // The desk is one program, and each of its connections waits for one answer.
        connections: 64,
        per_address: usize::MAX,
        proxies: Box::default(),
        head_bytes: 16 << 10,
        slow: minute,
        answer: minute,
        idle: minute,
        stay: Duration::MAX,
        age: Duration::MAX,
    };
    connections::serve(listener, TowerToHyperService::new(router(desk)), limits, || {}, stop).await;
    ahead.abort();
}

fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/v1/invitation", post(entering::knock))
        .route("/v1/join", post(entering::join))
        .route("/v1/login", post(entering::login))
        .route("/v1/logout", post(entering::logout))
        .route("/v1/sessions", get(entering::sessions))
        .route("/v1/sessions/end", post(entering::end))
        .route("/v1/today", get(pages::today))
        .route("/v1/orders", get(pages::orders))
        .route("/v1/orders/{order}", get(pages::order))
        .route("/v1/orders/{order}/{deed}", post(pages::deed))
        .route("/v1/machines", get(pages::machines))
        .route("/v1/machines/{device}", get(pages::machine))
        .route("/v1/report", get(pages::report))
        .route("/v1/report.csv", get(pages::report_csv))
        .route("/v1/to-bring", get(pages::to_bring))
        .route("/v1/to-bring.csv", get(pages::to_bring_csv))
        .route("/v1/log", get(pages::log))
        .fallback(|| async { No::Unknown })
        .with_state(desk)
        .layer(from_fn(in_time))
}

async fn in_time(request: Request, next: Next) -> Result<Response, No> {
    timeout(ANSWER_TIMEOUT, next.run(request)).await.map_err(|_| No::Away)
}
