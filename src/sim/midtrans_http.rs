//! The simulated Midtrans on a port. It has the same paths as the real one; under `/sim` are the controls for customers
//! and tests ([`controls`]).

pub mod command;
pub mod controls;
mod door;
mod pages;
mod sender;

use super::midtrans::{Midtrans, Options, Reply, Request, SimulatedAnswer};
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use door::{Connection, Door};
use qris_core::order::time::{Span, Wall};
use qris_host::clock;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

const BODY_BYTES_MAX: usize = 1 << 20;
/// The head of an answer takes about this many bytes.
const HEAD_BYTES: usize = 120;

/// A running simulated Midtrans. It ends when this is dropped or stopped.
pub struct SimulatorHandle {
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

/// The state between the port and the pure part.
struct Shared {
    state: Mutex<Running>,
    /// Something may be due.
    due: Notify,
    /// Something may have been released.
    released: watch::Sender<u64>,
}

struct Running {
    midtrans: Midtrans,
    ahead: Span,
}

pub struct Simulator;

impl Simulator {
    /// Serves on a listener that is bound already. If `options.public_url` is empty, it becomes the listener's address.
    pub fn start(listener: TcpListener, mut options: Options) -> io::Result<SimulatorHandle> {
        let addr = reached(listener.local_addr()?);
        if options.public_url.is_empty() {
            options.public_url = format!("http://{addr}");
        }
        let client = sender::client().map_err(io::Error::other)?;
        let shared = Arc::new(Shared {
            state: Mutex::new(Running { midtrans: Midtrans::new(options), ahead: Span::ZERO }),
            due: Notify::new(),
            released: watch::Sender::new(0),
        });
        let (stop, mut stopped) = watch::channel(false);
        let app = router(Arc::clone(&shared)).into_make_service_with_connect_info::<Connection>();
        let server = axum::serve(Door(listener), app).with_graceful_shutdown(async move {
            // An error means that the handle is gone, and that ends it as well.
            let _ = stopped.wait_for(|stop| *stop).await;
        });
        let tasks = vec![
            tokio::spawn(async move {
                // It has no end but a stop, so there is no error.
                let _ = server.await;
            }),
            tokio::spawn(sender::run(Arc::clone(&shared), client)),
        ];
        Ok(SimulatorHandle { addr, shared, tasks, stop })
    }
}

/// Where this computer reaches who listens at `addr`. A backend refuses pictures at other places than its `base_url`, and 0.0.0.0 is
/// no place.
const fn reached(mut addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        addr.set_ip(if addr.is_ipv4() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { IpAddr::V6(Ipv6Addr::LOCALHOST) });
    }
    addr
}

impl SimulatorHandle {
    /// Reads or changes the simulator, at its own time. Then everything due is sent.
    pub fn with<T>(&self, work: impl FnOnce(&mut Midtrans, Wall) -> T) -> T {
        self.shared.with(work)
    }

    pub fn release(&self) -> usize {
        self.shared.release()
    }

    pub fn advance(&self, by: Span) {
        self.shared.advance(by);
    }

    /// The `base_url` that reaches it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

impl Drop for SimulatorHandle {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Shared {
    /// A panic elsewhere leaves at most one transaction incomplete. A simulator can go on with that.
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Midtrans, Wall) -> T) -> T {
        let mut running = self.lock();
        let now = running.now();
        let done = work(&mut running.midtrans, now);
        drop(running);
        self.due.notify_one();
        done
    }

    fn release(&self) -> usize {
        let released = self.with(|midtrans, _| midtrans.release());
        self.released.send_modify(|times| *times += 1);
        released
    }

    fn advance(&self, by: Span) {
        let mut running = self.lock();
        running.ahead = Span(running.ahead.0.saturating_add(by.0.max(0)));
        drop(running);
        self.due.notify_one();
        self.released.send_modify(|times| *times += 1);
    }

    async fn wait_for_release(&self, hold: u64) {
        let mut released = self.released.subscribe();
        loop {
            let (held, left) = self.with(|midtrans, now| (midtrans.is_held(hold, now), midtrans.held_until(hold).map(|until| until - now)));
            if !held {
                break;
            }
            let changed = released.changed();
            // The sender lives as long as `self`, so `changed` always means news and never the end.
            let _ = match left {
                Some(left) => tokio::time::timeout(left.to_duration(), changed).await.is_ok(),
                None => changed.await.is_ok(),
            };
        }
        self.with(|midtrans, _| midtrans.let_go(hold));
    }
}

impl Running {
    fn now(&self) -> Wall {
        clock::now().wall + self.ahead
    }
}

fn router(shared: Arc<Shared>) -> axum::Router {
    controls::routes().merge(pages::routes()).fallback(api).with_state(shared)
}

/// All other paths belong to Midtrans.
async fn api(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: axum::extract::Request,
) -> Response {
    let (head, body) = request.into_parts();
    // Any web server answers this, with its time.
    if head.method == Method::HEAD {
        let date_off = shared.with(|midtrans, _| midtrans.options().date_off);
        return response(SimulatedAnswer { http: 200, content_type: "text/html", body: Vec::new() }, date_off);
    }
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let request = Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        authorization: text(&head.headers, "authorization"),
        idempotency_key: text(&head.headers, "idempotency-key"),
        override_notification: text(&head.headers, "x-override-notification"),
        append_notification: text(&head.headers, "x-append-notification"),
        body: body.to_vec(),
    };
    let (reply, date_off) = shared.with(|midtrans, now| (midtrans.handle(&request, now), midtrans.options().date_off));
    match reply {
        Reply::Answer(answer) => response(answer, date_off),
        Reply::Hold(hold, answer) => {
            shared.wait_for_release(hold).await;
            response(answer, date_off)
        }
        Reply::CutAmid(answer) => {
            connection.cut_after(HEAD_BYTES + answer.body.len() / 2);
            response(answer, date_off)
        }
        Reply::Cut => {
            connection.cut_after(0);
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned)
}

fn response(answer: SimulatedAnswer, date_off: Span) -> Response {
    let status = StatusCode::from_u16(answer.http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let date = (clock::now().wall + date_off).to_http_date();
    let headers = [(header::CONTENT_TYPE, answer.content_type.to_owned()), (header::DATE, date)];
    (status, headers, Body::from(answer.body)).into_response()
}

#[cfg(test)]
mod tests;
