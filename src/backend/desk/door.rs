//! The socket at which the desk asks: its addresses, and who is let in.

use super::answer::No;
use super::{Desk, entering, home, pages, staff};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use hyper_util::service::TowerToHyperService;
use qris_core::wire::desk::Problem;
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
    let forgets = tokio::spawn({
        let desk = Arc::clone(&desk);
        async move { desk.forget().await }
    });
    let minute = Duration::from_secs(60);
    let limits = Limits {
        // The desk is one program, and each of its connections waits for one answer.
        connections: 64,
        per_address: usize::MAX,
        proxies: Box::default(),
        head_bytes: 16 << 10,
        slow: minute,
        take: minute,
        answer: minute,
        idle: minute,
        stay: Duration::MAX,
        age: Duration::MAX,
    };
    connections::serve(listener, TowerToHyperService::new(router(desk)), limits, || {}, stop).await;
    ahead.abort();
    forgets.abort();
}

fn router(desk: Arc<Desk>) -> Router {
    entering::addresses()
        .merge(home::addresses())
        .merge(pages::addresses())
        .merge(staff::addresses())
        .fallback(|| async { No::from(Problem::Unknown) })
        .with_state(desk)
        .layer(from_fn(in_time))
}

async fn in_time(request: Request, next: Next) -> Result<Response, No> {
    timeout(ANSWER_TIMEOUT, next.run(request)).await.map_err(|_| Problem::Away.into())
}
