//! The connections: their number, their owners, and their time limits. A silent or slow visitor must not keep a machine
//! out.
//!
//! A connection is a stranger's until it has shown the token of a machine. If there is no room, a new connection takes the
//! place of the oldest stranger. So a machine needs only the moment in which it shows its token.
//!
//! No library does this. hyper's time for a head runs while a connection is idle, too; the kernel's `TCP_USER_TIMEOUT` does not see a reader
//! who takes a drop at a time; and no layer of tower makes room by age.

use crate::counters::Counters;
use axum::Router;
use axum::extract::Request;
use axum::http::HeaderMap;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use qris_core::order::ids::DeviceId;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// The header in which a web server in front tells whom it speaks for.
const FORWARDED: &str = "x-forwarded-for";
const HEAD_BYTES_MAX: usize = 8 << 10;
/// The time from the connection, or from a request's first byte, to the end of its head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The time from the end of a head to the beginning of its answer. Each handler sets itself a shorter limit.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);
/// The other side must take what is sent to it within this time.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// The time from an answer to the next request. A machine closes an unused connection after 90 s, before we do.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
const STRANGERS_PER_ADDRESS: usize = 64;
/// The connections of one machine that are not closed to make room. They are its newest: most likely it has forgotten
/// the others.
const KNOWN_PER_MACHINE: usize = 8;
/// One connection in this many is always a stranger's, so that a machine can come.
const STRANGERS_PART: usize = 8;
/// The bytes of an answer that the kernel keeps until the other side takes them.
const SEND_BYTES: u32 = 64 << 10;
/// The most connections that wait to be let in. The kernel mostly allows 4,096.
const WAITING_MAX: u32 = 4096;
/// The pause after an error that says that too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The time that running requests have when the program ends.
const STOP_WAIT: Duration = Duration::from_millis(1200);

#[derive(Debug, Clone)]
pub struct Limits {
    pub connections: usize,
    /// The web servers in front, which speak for many. The limit of an address does not hold for them.
    pub proxies: Box<[IpAddr]>,
}

pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Each connection has the same. For a visitor who does not read, the kernel would keep megabytes.
    socket.set_send_buffer_size(SEND_BYTES)?;
    socket.bind(address)?;
    socket.listen(WAITING_MAX)
}

pub async fn serve(router: Router, counters: Arc<Counters>, limits: Limits, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let router = TowerToHyperService::new(router);
    let connections = limits.connections;
    let doors = Arc::new(Doors { counters, room: Arc::new(Semaphore::new(connections)), limits, list: Mutex::default() });
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        let Ok((stream, from)) = accepted else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let visit = tokio::select! {
            visit = doors.enter(from.ip()) => visit,
            () = stopped(&mut stop) => break,
        };
        // An answer is one small packet. It must not wait for another one.
        let _ = stream.set_nodelay(true);
        tokio::spawn(attend(stream, Arc::new(visit), router.clone(), stop.clone()));
    }
    let all = u32::try_from(connections).unwrap_or(u32::MAX);
    let _ = timeout(STOP_WAIT, doors.room.acquire_many(all)).await;
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that nobody is left who could say stop. This means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn attend(stream: TcpStream, visit: Arc<Visit>, router: TowerToHyperService<Router>, mut stop: watch::Receiver<bool>) {
    let client = &visit.client;
    let service = service_fn(|mut request: Request<Incoming>| {
        client.pace().begins(ANSWER_TIMEOUT);
        request.extensions_mut().insert(Caller(Arc::clone(&visit)));
        let answer = router.call(request);
        async {
            let answer = answer.await;
            client.pace().begins(IDLE_TIMEOUT);
            answer
        }
    });
    let socket = TokioIo::new(Socket { stream, client: Arc::clone(client) });
    let mut connection =
        pin!(http1::Builder::new().header_read_timeout(None).max_buf_size(HEAD_BYTES_MAX).serve_connection(socket, service));
    // A connection that breaks is the other side's business.
    tokio::select! {
        biased;
        _ = connection.as_mut() => {}
        () = client.too_slow() => visit.doors.count_closed(),
        () = client.close.notified() => visit.doors.count_closed(),
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(STOP_WAIT, connection).await;
        }
    }
}

#[derive(Debug)]
struct Doors {
    counters: Arc<Counters>,
    room: Arc<Semaphore>,
    limits: Limits,
    list: Mutex<List>,
}

impl Doors {
    /// Lets a visitor in, as soon as there is room. A stranger may have to leave for that.
    async fn enter(self: &Arc<Self>, from: IpAddr) -> Visit {
        let room = Arc::clone(&self.room);
        let permit = match Arc::clone(&room).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                self.list().close_oldest();
                room.acquire_owned().await.expect("the semaphore is never closed")
            }
        };
        let address = (!self.limits.proxies.contains(&from.to_canonical())).then(|| network(from));
        let (number, client) = self.list().add(address);
        Visit { number, client, from, doors: Arc::clone(self), _permit: permit }
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count_closed(&self) {
        self.counters.connections_closed.inc();
    }
}

/// The network that counts as one address: with IPv6, one computer has all of it.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

/// The connection of a request, for the code that finds out its owner.
#[derive(Debug, Clone)]
pub(super) struct Caller(Arc<Visit>);

impl Caller {
    /// The address from which the request came. A web server in front tells it, as the last one in `X-Forwarded-For`.
    pub(super) fn address(&self, headers: &HeaderMap) -> IpAddr {
        spoken_for(self.0.from, &self.0.doors.limits.proxies, headers)
    }

    pub(super) fn network(&self, headers: &HeaderMap) -> IpAddr {
        network(self.address(headers))
    }

    /// A machine has shown its token.
    pub(super) fn is(&self, device: &DeviceId) {
        let doors = &self.0.doors;
        doors.list().know(self.0.number, device, doors.limits.connections - doors.limits.connections / STRANGERS_PART);
    }
}

/// Whom a web server speaks for; anybody else speaks for himself, whatever he says.
fn spoken_for(from: IpAddr, proxies: &[IpAddr], headers: &HeaderMap) -> IpAddr {
    let from = from.to_canonical();
    let mut lists = headers.get_all(FORWARDED).iter();
    let told =
        lists.next_back().filter(|_| proxies.contains(&from)).and_then(|list| list.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    told.unwrap_or(from)
}

/// A connection's place.
#[derive(Debug)]
struct Visit {
    number: u64,
    client: Arc<Client>,
    from: IpAddr,
    doors: Arc<Doors>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.doors.list().all.remove(&self.number);
    }
}

/// All connections except those that are being closed, by their number: the oldest first. There are some thousands at most, so those
/// that belong together are looked for.
#[derive(Debug, Default)]
struct List {
    last: u64,
    all: BTreeMap<u64, Place>,
}

#[derive(Debug)]
struct Place {
    /// Whose it is; `None`: a stranger's.
    machine: Option<DeviceId>,
    /// The address that it counts for; `None` for a web server in front.
    address: Option<IpAddr>,
    client: Arc<Client>,
}

impl List {
    fn add(&mut self, address: Option<IpAddr>) -> (u64, Arc<Client>) {
        self.last += 1;
        let client = Arc::new(Client { pace: Mutex::new(Pace::new()), close: Notify::new() });
        self.all.insert(self.last, Place { machine: None, address, client: Arc::clone(&client) });
        self.close_one_of(address);
        (self.last, client)
    }

    /// The oldest of these, if they are more than so many.
    fn oldest(&self, most: usize, are_meant: impl Fn(&Place) -> bool) -> Option<u64> {
        let mut these = self.all.iter().filter(|(_, place)| are_meant(place)).map(|(number, _)| *number);
        let oldest = these.next()?;
        (most == 0 || these.nth(most - 1).is_some()).then_some(oldest)
    }

    /// An address that has too many strangers loses its oldest.
    fn close_one_of(&mut self, address: Option<IpAddr>) {
        let is_one = |place: &Place| place.machine.is_none() && place.address == address;
        if let Some(oldest) = address.and_then(|_| self.oldest(STRANGERS_PER_ADDRESS, is_one)) {
            self.close(oldest);
        }
    }

    /// From now on a connection is a machine's. The oldest of this machine's connections, or the oldest of all
    /// machines', may become a stranger's again.
    fn know(&mut self, number: u64, device: &DeviceId, most: usize) {
        // It is this machine's already, or it is being closed.
        let Some(place) = self.all.get_mut(&number).filter(|place| place.machine.as_ref() != Some(device)) else { return };
        place.machine = Some(device.clone());
        let of_this = self.oldest(KNOWN_PER_MACHINE, |place| place.machine.as_ref() == Some(device));
        let oldest = of_this.or_else(|| self.oldest(most, |place| place.machine.is_some()));
        if let Some(place) = oldest.and_then(|oldest| self.all.get_mut(&oldest)) {
            place.machine = None;
            let address = place.address;
            self.close_one_of(address);
        }
    }

    fn close_oldest(&mut self) {
        if let Some(oldest) = self.oldest(0, |place| place.machine.is_none()) {
            self.close(oldest);
        }
    }

    /// It leaves the list at once, so that the next visitor who needs room finds another one.
    fn close(&mut self, number: u64) {
        if let Some(place) = self.all.remove(&number) {
            place.client.close.notify_one();
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
    fn new() -> Self {
        Self { end: Instant::now() + HEAD_TIMEOUT, is_idle: false, unsent: None }
    }

    fn begins(&mut self, limit: Duration) {
        (self.end, self.is_idle) = (Instant::now() + limit, limit == IDLE_TIMEOUT);
    }

    /// The time at which it has taken too long.
    fn end(&self) -> Instant {
        self.unsent.map_or(self.end, |unsent| unsent.min(self.end))
    }
}

/// A socket that notes how fast the other side reads and writes.
struct Socket {
    stream: TcpStream,
    client: Arc<Client>,
}

impl Socket {
    /// Some bytes at a time are not enough: a visitor who reads for ever and drop by drop is slow, too.
    fn sent(&self, sent: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if sent.is_pending() {
            self.client.pace().unsent.get_or_insert_with(|| Instant::now() + SEND_TIMEOUT);
        }
        sent
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let mut pace = self.client.pace();
        if buffer.filled().len() > before && pace.is_idle {
            pace.begins(HEAD_TIMEOUT);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
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
mod tests {
    use super::*;

    /// The numbers of the strangers, and of the machines' connections.
    fn all(list: &List) -> (Vec<u64>, Vec<u64>) {
        let (known, strangers): (Vec<_>, Vec<_>) = list.all.iter().partition(|(_, place)| place.machine.is_some());
        [strangers, known].map(|part| part.into_iter().map(|(number, _)| *number).collect()).into()
    }

    #[test]
    fn a_web_server_in_front_says_whom_it_speaks_for_and_nobody_else_does() {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let proxies = [address("127.0.0.1")];
        let told = |from: &str, lists: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for list in lists {
                headers.append(FORWARDED, axum::http::HeaderValue::from_static(list));
            }
            spoken_for(address(from), &proxies, &headers).to_string()
        };
        assert_eq!(told("::ffff:127.0.0.1", &["10.9.9.9, 192.0.2.7"]), "192.0.2.7", "what it was told itself stands before it");
        assert_eq!(told("127.0.0.1", &["10.9.9.9", "2001:db8::1"]), "2001:db8::1");
        assert_eq!((told("127.0.0.1", &[]), told("127.0.0.1", &["unknown"])), ("127.0.0.1".into(), "127.0.0.1".into()));
        assert_eq!(told("192.0.2.7", &["10.9.9.9"]), "192.0.2.7");
    }

    #[test]
    fn the_oldest_stranger_makes_room_and_no_machine() {
        let machine = |n: u8| DeviceId::new(&format!("vm-{n}")).expect("an id");
        let mut list = List::default();
        (1..=6).for_each(|_| drop(list.add(None)));
        list.know(1, &machine(1), 4);
        list.know(2, &machine(2), 4);
        list.close_oldest();
        assert_eq!(all(&list), (vec![4, 5, 6], vec![1, 2]));
        // A closed connection belongs to nobody any more.
        list.know(3, &machine(3), 4);
        assert_eq!(all(&list), (vec![4, 5, 6], vec![1, 2]));
        // When machines have all the connections that they may have, the oldest becomes a stranger's, and is the first to go.
        list.know(5, &machine(3), 2);
        assert_eq!(all(&list), (vec![1, 4, 6], vec![2, 5]));
        list.close_oldest();
        assert_eq!(all(&list), (vec![4, 6], vec![2, 5]));
        (1..=3).for_each(|_| list.close_oldest());
        assert_eq!(all(&list), (vec![], vec![2, 5]));
    }

    #[test]
    fn a_machine_and_an_address_have_a_part_of_all() {
        let machine = DeviceId::new("vm-001").expect("an id");
        let address = |n: u8| Some(IpAddr::from([192, 0, 2, n]));
        let mut list = List::default();
        (0..KNOWN_PER_MACHINE + 2).for_each(|_| drop(list.add(address(1))));
        (1..=10).for_each(|number| list.know(number, &machine, 1000));
        assert_eq!(all(&list), (vec![1, 2], (3..=10).collect()));
        // The connections of machines do not count, and neither do other addresses.
        (0..STRANGERS_PER_ADDRESS).for_each(|_| drop(list.add(address(1))));
        drop(list.add(address(2)));
        let (strangers, known) = all(&list);
        assert_eq!((strangers.len(), strangers[0], known.len()), (STRANGERS_PER_ADDRESS + 1, 11, KNOWN_PER_MACHINE));
    }

    #[test]
    fn an_address_of_ipv6_is_its_network() {
        let same = |a: &str, b: &str| network(a.parse().expect("an address")) == network(b.parse().expect("an address"));
        assert!(same("2001:db8::1", "2001:db8::ffff:1:2:3") && !same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1") && !same("192.0.2.1", "192.0.2.2"));
    }
}
