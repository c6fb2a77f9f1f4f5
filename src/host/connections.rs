//! The one keeper of a server's connections: their number, their owners, and their time limits. A silent or slow visitor must not keep
//! a machine out, nor a person.
//!
//! A connection is a stranger's until it has shown the token of a machine. If there is no room, a new connection takes the
//! place of the oldest stranger. So a machine needs only the moment in which it shows its token.
//!
//! No library does this. hyper's time for a head runs while a connection is idle, too. The kernel's `TCP_USER_TIMEOUT` does not see a reader
//! who takes a drop at a time. No layer of tower makes room by age.

use crate::events::Event;
use crate::journal::emit;
use hyper::body::{Body, Incoming};
use hyper::header::HeaderMap;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use qris_core::order::ids::DeviceId;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;
use std::future::{pending, poll_fn};
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// The header in which a web server in front tells whom it speaks for.
const FORWARDED: &str = "x-forwarded-for";
/// The connections of one machine that are not closed to make room. They are its newest: most likely it has forgotten
/// the others.
const KNOWN_PER_MACHINE: usize = 8;
/// One connection in this many is always a stranger's, so that a machine can come.
const STRANGERS_PART: usize = 8;
/// The bytes of an answer that the kernel keeps until the other side takes them. It would keep megabytes for one that does not read.
const SEND_BYTES: u32 = 64 << 10;
/// The most connections that wait to be let in. The kernel mostly allows 4,096.
const WAITING_MAX: u32 = 4096;
/// The pause after an error that says that too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The time that running requests have when the program ends.
const STOP_WAIT: Duration = Duration::from_millis(1200);

#[derive(Debug, Clone)]
pub struct Limits {
    /// At once.
    pub connections: usize,
    /// The strangers of one address. Its oldest is closed for a new one.
    pub per_address: usize,
    /// The web servers in front, which speak for many. The limit of an address does not hold for them.
    pub proxies: Box<[IpAddr]>,
    pub head_bytes: usize,
    /// The time from the connection, or from a request's first byte, to the end of its head.
    pub slow: Duration,
    /// The time in which the other side must take all that is sent to it.
    pub take: Duration,
    /// The time from the end of a head to the beginning of its answer.
    pub answer: Duration,
    /// The time from an answer to the next request.
    pub idle: Duration,
    /// A stranger stays at least this long, however many come after it.
    pub stay: Duration,
    /// An older connection takes no more requests, and ends after its last answer.
    pub age: Duration,
}

/// Where connections come from.
pub trait Door: Send {
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;
    fn next(&self) -> impl Future<Output = io::Result<(Self::Stream, IpAddr)>> + Send;
}

impl Door for TcpListener {
    type Stream = TcpStream;
    async fn next(&self) -> io::Result<(Self::Stream, IpAddr)> {
        let (stream, from) = self.accept().await?;
        // An answer is one small packet. It must not wait for another one.
        let _ = stream.set_nodelay(true);
        Ok((stream, from.ip().to_canonical()))
    }
}

impl Door for UnixListener {
    type Stream = UnixStream;
    async fn next(&self) -> io::Result<(Self::Stream, IpAddr)> {
        Ok((self.accept().await?.0, Ipv4Addr::LOCALHOST.into()))
    }
}

pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Each connection has the same.
    socket.set_send_buffer_size(SEND_BYTES)?;
    socket.bind(address)?;
    socket.listen(WAITING_MAX)
}

/// The listener that another program has opened, and handed over at this place.
pub fn inherited(place: impl AsFd) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::from(place.as_fd().try_clone_to_owned()?);
    listener.local_addr()?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Serves until `stop` says so. Then the running requests have a moment to end. `closed` is called for each connection that was too slow, or
/// made room.
pub async fn serve<S, B>(
    door: impl Door,
    service: S,
    limits: Limits,
    closed: impl Fn() + Send + Sync + 'static,
    mut stop: watch::Receiver<bool>,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error: Error + Send + Sync, Future: Send> + Clone + Send + Sync + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(limits.connections));
    let (all, closed) = (limits.connections as u32, Arc::new(closed));
    let keeper = Arc::new(Keeper { room: Arc::clone(&room), limits, list: Mutex::default(), is_unread: AtomicBool::new(false) });
    loop {
        let entered = async {
            let (stream, from) = door.next().await.ok()?;
            Some((stream, Arc::new(keeper.enter(from).await)))
        };
        let entered = tokio::select! {
            entered = entered => entered,
            () = stopped(&mut stop) => break,
        };
        let Some((stream, caller)) = entered else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (service, closed, mut stop) = (service.clone(), Arc::clone(&closed), stop.clone());
        tokio::spawn(async move {
            let (client, limits) = (&caller.client, &caller.keeper.limits);
            let answers = service_fn(|mut request: Request<Incoming>| {
                client.pace().begins(limits.answer, false);
                request.extensions_mut().insert(Arc::clone(&caller));
                let answer = service.call(request);
                async {
                    let answer = answer.await;
                    client.pace().begins(limits.idle, true);
                    answer
                }
            });
            let socket = TokioIo::new(Socket { stream, client: Arc::clone(client), slow: limits.slow, take: limits.take });
            let mut server = http1::Builder::new();
            let mut connection = pin!(server.header_read_timeout(None).max_buf_size(limits.head_bytes).serve_connection(socket, answers));
            let served = async {
                // A connection that breaks is the other side's business.
                tokio::select! {
                    _ = connection.as_mut() => return,
                    () = sleep(limits.age) => {}
                    () = stopped(&mut stop) => {}
                }
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            };
            tokio::select! {
                biased;
                () = served => {}
                () = client.too_slow() => closed(),
                () = client.close.notified() => closed(),
            }
        });
    }
    let _ = timeout(STOP_WAIT, room.acquire_many(all)).await;
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that nobody is left who could say stop. This means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

#[derive(Debug)]
struct Keeper {
    room: Arc<Semaphore>,
    limits: Limits,
    list: Mutex<List>,
    /// A web server in front has told an address that cannot be read.
    is_unread: AtomicBool,
}

impl Keeper {
    /// Lets a visitor in, as soon as there is room. A stranger may have to leave for that.
    async fn enter(self: &Arc<Self>, from: IpAddr) -> Caller {
        let permit = tokio::select! {
            biased;
            permit = Arc::clone(&self.room).acquire_owned() => permit.expect("the semaphore is never closed"),
            never = self.make_room() => match never {},
        };
        let address = (!self.limits.proxies.contains(&from)).then(|| network(from));
        let (number, client) = self.list().add(address, &self.limits);
        Caller { number, client, from, keeper: Arc::clone(self), _permit: permit }
    }

    /// Nobody waits for this to end, but for the room.
    async fn make_room(&self) -> Infallible {
        let oldest = self.list().all.values().find(|place| place.machine.is_none()).map(|place| place.came);
        let stays = oldest.map_or(Duration::ZERO, |came| self.limits.stay.saturating_sub(came.elapsed()));
        if !stays.is_zero() {
            sleep(stays).await;
        }
        self.list().close_oldest(0, |place| place.machine.is_none());
        pending().await
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The network that counts as one address: with IPv6, one computer has all of it.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

/// A connection's place. Each of its requests has it, for the code that finds out whose it is.
#[derive(Debug)]
pub struct Caller {
    number: u64,
    client: Arc<Client>,
    from: IpAddr,
    keeper: Arc<Keeper>,
    _permit: OwnedSemaphorePermit,
}

impl Caller {
    /// The address from which a request came. A web server in front tells it, as the last one in `X-Forwarded-For`.
    #[must_use]
    pub fn address(&self, headers: &HeaderMap) -> IpAddr {
        spoken_for(self.from, &self.keeper.limits.proxies, headers).unwrap_or_else(|()| {
            if !self.keeper.is_unread.swap(true, Ordering::Relaxed) {
                emit(&Event::ForwardedUnread { proxy: self.from.to_string().into() });
            }
            self.from
        })
    }

    /// A machine has shown its token.
    pub fn is(&self, device: &DeviceId) {
        self.keeper.list().know(self.number, device, &self.keeper.limits);
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.keeper.list().all.remove(&self.number);
    }
}

/// Whom a web server speaks for; anybody else speaks for himself, whatever he says. The error: it cannot be read.
fn spoken_for(from: IpAddr, proxies: &[IpAddr], headers: &HeaderMap) -> Result<IpAddr, ()> {
    let mut lists = headers.get_all(FORWARDED).iter();
    let Some(list) = lists.next_back().filter(|_| proxies.contains(&from)) else { return Ok(from) };
    let last = list.to_str().ok().and_then(|list| list.rsplit(',').next());
    last.and_then(|text| address(text.trim())).ok_or(())
}

/// An address, as web servers write it: some put the port behind it.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// All connections except those that are being closed, by their number: the oldest first. There are some thousands at most, so those
/// that belong together are looked for.
#[derive(Debug, Default)]
struct List {
    last: u64,
    all: BTreeMap<u64, ListedConnection>,
}

#[derive(Debug)]
struct ListedConnection {
    /// Whose it is; `None`: a stranger's.
    machine: Option<DeviceId>,
    /// The address that it counts for; `None` for a web server in front.
    address: Option<IpAddr>,
    came: Instant,
    client: Arc<Client>,
}

impl List {
    fn add(&mut self, address: Option<IpAddr>, limits: &Limits) -> (u64, Arc<Client>) {
        self.last += 1;
        let came = Instant::now();
        let pace = Mutex::new(Pace { end: came + limits.slow, is_idle: false, unsent: None });
        let client = Arc::new(Client { pace, close: Notify::new() });
        self.all.insert(self.last, ListedConnection { machine: None, address, came, client: Arc::clone(&client) });
        self.close_one_of(address, limits);
        (self.last, client)
    }

    /// The oldest of these, if they are more than so many.
    fn oldest(&self, most: usize, are_meant: impl Fn(&ListedConnection) -> bool) -> Option<u64> {
        let these: Vec<u64> = self.all.iter().filter(|(_, place)| are_meant(place)).map(|(number, _)| *number).collect();
        these.first().copied().filter(|_| these.len() > most)
    }

    /// The same is closed. It leaves the list at once, so that the next visitor who needs room finds another one.
    fn close_oldest(&mut self, most: usize, are_meant: impl Fn(&ListedConnection) -> bool) {
        if let Some(place) = self.oldest(most, are_meant).and_then(|oldest| self.all.remove(&oldest)) {
            place.client.close.notify_one();
        }
    }

    /// An address that has too many strangers loses its oldest.
    fn close_one_of(&mut self, address: Option<IpAddr>, limits: &Limits) {
        if address.is_some() {
            self.close_oldest(limits.per_address, |place| place.machine.is_none() && place.address == address);
        }
    }

    /// From now on a connection is a machine's. The oldest of this machine's connections, or the oldest of all
    /// machines', may become a stranger's again.
    fn know(&mut self, number: u64, device: &DeviceId, limits: &Limits) {
        // It is this machine's already, or it is being closed.
        let Some(place) = self.all.get_mut(&number).filter(|place| place.machine.as_ref() != Some(device)) else { return };
        place.machine = Some(device.clone());
        let most = limits.connections - limits.connections / STRANGERS_PART;
        let of_this = self.oldest(KNOWN_PER_MACHINE, |place| place.machine.as_ref() == Some(device));
        let oldest = of_this.or_else(|| self.oldest(most, |place| place.machine.is_some()));
        if let Some(place) = oldest.and_then(|oldest| self.all.get_mut(&oldest)) {
            place.machine = None;
            let address = place.address;
            self.close_one_of(address, limits);
        }
    }
}

#[derive(Debug)]
struct Client {
    pace: Mutex<Pace>,
    close: Notify,
}

impl Client {
    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the other side has taken too long. It looks anew whenever the connection did something, for that happens in
    /// the same task.
    async fn too_slow(&self) {
        let mut end = pin!(sleep_until(self.pace().end()));
        poll_fn(|cx| {
            let at = self.pace().end();
            if end.deadline() != at {
                end.as_mut().reset(at);
            }
            end.as_mut().poll(cx)
        })
        .await;
    }
}

/// How long the present part of a connection's work may take: the head of a request, its answer, or the time up to the next one.
#[derive(Debug)]
struct Pace {
    end: Instant,
    /// It is between two requests.
    is_idle: bool,
    /// The end of the time for what is sent, while the other side has not taken all of it.
    unsent: Option<Instant>,
}

impl Pace {
    fn begins(&mut self, limit: Duration, is_idle: bool) {
        (self.end, self.is_idle) = (Instant::now() + limit, is_idle);
    }

    /// The time at which it has taken too long. While the other side takes an answer, only that counts.
    fn end(&self) -> Instant {
        self.unsent.unwrap_or(self.end)
    }
}

/// A socket that notes how fast the other side reads and writes.
struct Socket<S> {
    stream: S,
    client: Arc<Client>,
    slow: Duration,
    take: Duration,
}

impl<S> Socket<S> {
    /// Some bytes at a time are not enough: a visitor who reads for ever and drop by drop is slow, too.
    fn sent(&self, sent: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if sent.is_pending() {
            self.client.pace().unsent.get_or_insert_with(|| Instant::now() + self.take);
        }
        sent
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let mut pace = self.client.pace();
        if buffer.filled().len() > before && pace.is_idle {
            pace.begins(self.slow, false);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.sent(sent)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.sent(sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// This is called when everything is written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.client.pace().unsent = None;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
