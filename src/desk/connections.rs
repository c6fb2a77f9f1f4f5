//! The connections from the web server in front. It has the limits for strangers. These keep harm away where it has none, or passes everything
//! on: if there is no room, the oldest connection leaves, once it had time for a page. So whoever is silent, sends a drop at a time or
//! never reads keeps nobody out.

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// The most connections at once. Each is one of the web server's, which uses it again.
const CONNECTIONS_MAX: usize = 256;
const WAITING_MAX: u32 = 1024;
/// The bytes of an answer that the kernel keeps until the other side takes them. It would keep megabytes for one that does not read.
const SEND_BYTES: u32 = 64 << 10;
const HEAD_BYTES_MAX: usize = 16 << 10;
/// The time from the end of an answer, or from the connection, to the end of the next head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection stays at least this long, however many come after it: a page is there sooner.
const STAY: Duration = Duration::from_millis(100);
/// An older connection takes no more requests, and soon ends: whoever sends or reads a drop at a time does not stay for ever.
const CONNECTION_AGE: Duration = Duration::from_secs(600);
/// The time that the last answer of an old connection has: a deed may wait for the gateway.
const LAST_ANSWER: Duration = Duration::from_secs(60);
/// The pause after an error that says that too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The time that running requests have when the program ends.
const STOP_WAIT: Duration = Duration::from_millis(1200);

/// Where a request comes from, as its connection says it.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Each connection has the same.
    socket.set_send_buffer_size(SEND_BYTES)?;
    socket.bind(address)?;
    socket.listen(WAITING_MAX)
}

/// Serves until `stop` says so. Then the running requests have a moment to end.
pub async fn serve(router: Router, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let (room, visits) = (Arc::new(Semaphore::new(CONNECTIONS_MAX)), Arc::<Visits>::default());
    let router = TowerToHyperService::new(router);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        let Ok((stream, from)) = accepted else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let permit = tokio::select! {
            biased;
            permit = Arc::clone(&room).acquire_owned() => permit.expect("the semaphore is never closed"),
            never = visits.make_room() => match never {},
            () = stopped(&mut stop) => break,
        };
        let (router, mut stop, visit) = (router.clone(), stop.clone(), visits.enter());
        tokio::spawn(async move {
            let (_permit, visit) = (permit, visit);
            let mut leaves = pin!(visit.leave.notified());
            let service = service_fn(|mut request: Request<Incoming>| {
                request.extensions_mut().insert(Peer(from.ip().to_canonical()));
                router.call(request)
            });
            let mut connection = pin!(
                http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_TIMEOUT)
                    .max_buf_size(HEAD_BYTES_MAX)
                    .serve_connection(TokioIo::new(stream), service)
            );
            // A connection that breaks is the other side's business.
            let ends_within = tokio::select! {
                _ = connection.as_mut() => return,
                () = leaves.as_mut() => return,
                () = sleep(CONNECTION_AGE) => LAST_ANSWER,
                () = stopped(&mut stop) => STOP_WAIT,
            };
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                _ = timeout(ends_within, connection) => {}
                () = leaves => {}
            }
        });
    }
    let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    let _ = timeout(STOP_WAIT, room.acquire_many(all)).await;
}

/// Those that are let in, by their number: the oldest first.
#[derive(Debug, Default)]
struct Visits(Mutex<(u64, All)>);

/// Since when each is there, and how it is asked to leave.
type All = BTreeMap<u64, (Instant, Arc<Notify>)>;

/// One of them. Its end takes it out.
#[derive(Debug)]
struct Visit {
    visits: Arc<Visits>,
    number: u64,
    leave: Arc<Notify>,
}

impl Visits {
    fn lock(&self) -> MutexGuard<'_, (u64, All)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: &Arc<Self>) -> Visit {
        let (last, all) = &mut *self.lock();
        *last += 1;
        let leave = Arc::<Notify>::default();
        all.insert(*last, (Instant::now(), Arc::clone(&leave)));
        Visit { visits: Arc::clone(self), number: *last, leave }
    }

    /// The oldest leaves when it has stayed for its time. What it has begun in `serve` goes on there. Nobody waits for this to end, but for
    /// the room.
    async fn make_room(&self) -> Infallible {
        let oldest = self.lock().1.first_key_value().map(|(_, (since, _))| *since);
        if let Some(since) = oldest {
            sleep_until(since + STAY).await;
        }
        if let Some((_, (_, leave))) = self.lock().1.pop_first() {
            leave.notify_one();
        }
        pending().await
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.visits.lock().1.remove(&self.number);
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that nobody is left who could say stop. This means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}
