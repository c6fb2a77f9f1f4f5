//! The socket at which the desk asks: its addresses, and who is let in.

use super::answer::No;
use super::{Desk, entering, pages};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use qris_host::socket::{self, SocketError};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

/// The most connections at once. The desk is one program, and each of its connections waits for one answer.
const CONNECTIONS_MAX: usize = 64;
const HEAD_BYTES_MAX: usize = 16 << 10;
/// A head comes within this time, or the connection ends; also one without questions.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The time that open questions have when the program ends.
const STOP_WAIT: Duration = Duration::from_millis(1200);
/// The pause after an error that says that too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Makes the socket. Its directory says who reaches it, and the group of it is the desk's.
pub async fn listen(path: &Path) -> Result<UnixListener, SocketError> {
    socket::listen(path, 0o660).await
}

pub async fn serve(desk: Desk, listener: UnixListener, mut stop: watch::Receiver<bool>) {
    let desk = Arc::new(desk);
    let ahead = tokio::spawn({
        let desk = Arc::clone(&desk);
        async move { desk.keep_ahead().await }
    });
    let service = TowerToHyperService::new(router(desk));
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        let Ok((stream, _)) = accepted else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (service, mut stop) = (service.clone(), stop.clone());
        tokio::spawn(async move {
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES_MAX);
            let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
            tokio::select! {
                _ = connection.as_mut() => {}
                () = stopped(&mut stop) => {
                    connection.as_mut().graceful_shutdown();
                    let _ = timeout(STOP_WAIT, connection).await;
                }
            }
            drop(place);
        });
    }
    ahead.abort();
    let _ = timeout(STOP_WAIT, room.acquire_many(CONNECTIONS_MAX as u32)).await;
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that nobody is left who could say stop. This means the same.
    let _ = stop.wait_for(|stop| *stop).await;
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
