//! Clients that say nothing, or are slow, or never read: they are closed, and meanwhile machines sell.

use crate::rig::midtrans::Via;
use crate::rig::shop::{Program, Shop, new_request_id};
use crate::rig::{PATIENCE, wait_for};
use qris::host::descriptors;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// Most orders are answered within this, and each within the other. A second is what is wanted; this computer may be busy with other tests.
const SOON: Duration = Duration::from_secs(5);
const LATEST: Duration = Duration::from_secs(60);
/// What the backend never takes more of, in KiB.
const MEMORY_KIB: u64 = 64 << 10;

/// A backend with more lines in `[http]`, and the soft limit of descriptors that a service manager gives.
fn backend_with(http: &str) -> Shop {
    let mut shop = Shop::merchants_side();
    shop.kill_backend();
    shop.edit(Program::Backend, |text| text.replace("orders_per_minute = 0\n", &format!("orders_per_minute = 0\n{http}")));
    shop.start_backend_under("-S -n 1024");
    shop
}

/// A connection to the backend from an address of one's own.
async fn connect(from: Ipv4Addr, backend: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((from, 0).into()).expect("an address of loopback");
    // Little fits into what nobody reads.
    socket.set_recv_buffer_size(4096).expect("set");
    socket.connect(backend).await.expect("a connection")
}

fn backend_address(shop: &Shop) -> SocketAddr {
    shop.backend_url.strip_prefix("http://").expect("an address").parse().expect("an address")
}

/// An order on a connection of its own; how long the answer took.
fn order(shop: &Shop) -> Duration {
    let limits = qris::host::http::Limits { total: LATEST, read: LATEST, idle_connections: 0 };
    let client = qris::host::http::client(None, limits).expect("a client");
    let body = shop.order_body(&new_request_id());
    let request = client.post(format!("{}/v1/orders", shop.backend_url)).json(&body);
    let start = Instant::now();
    let answer = shop.http.send(request.header("Idempotency-Key", body["request_id"].as_str().expect("an id")), Some(&shop.token));
    assert_eq!(answer.status, 201, "{}", answer.text());
    start.elapsed()
}

/// The middle one, and the longest.
fn told(what: &str, mut took: Vec<Duration>) {
    took.sort();
    println!(
        "{what}: {} orders, the middle one answered in {:?}, the slowest in {:?}",
        took.len(),
        took[took.len() / 2],
        took[took.len() - 1]
    );
    assert!(took[took.len() / 2] < SOON, "{what}: {took:?}");
}

/// A bad client. It goes on until it is closed.
#[derive(Debug, Clone, Copy)]
enum Slow {
    /// Nothing.
    Silent,
    /// A head that never ends, drop by drop.
    Head,
    /// A body, drop by drop.
    Body,
    /// Requests without end, and never a look at an answer.
    Deaf,
    /// The same, with a few bytes read now and then.
    Reader,
}

const GET: &str = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n";
const HEAD: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ";
const BODY: &str = "POST /midtrans/notifications HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 128000\r\n\r\n{";

impl Slow {
    async fn until_closed(self, mut stream: TcpStream) {
        let (mut reader, mut writer) = stream.split();
        let writes = async {
            // As much as is taken, so that it costs memory.
            let (beginning, more, pause) = match self {
                Self::Silent => return std::future::pending().await,
                Self::Head => (format!("{HEAD}{}", " ".repeat(7_000)), " ", 200),
                Self::Body => (format!("{BODY}{}", " ".repeat(100_000)), " ", 200),
                Self::Deaf | Self::Reader => (GET.to_owned(), GET, 0),
            };
            let mut written = writer.write_all(beginning.as_bytes()).await;
            while written.is_ok() {
                sleep(Duration::from_millis(pause)).await;
                written = writer.write_all(more.as_bytes()).await;
            }
        };
        let reads = async {
            let (mut buffer, mut is_told) = ([0; 256], !matches!(self, Self::Body));
            loop {
                match self {
                    Self::Deaf => std::future::pending().await,
                    Self::Reader => sleep(Duration::from_millis(200)).await,
                    Self::Silent | Self::Head | Self::Body => {}
                }
                let Ok(length @ 1..) = reader.read(&mut buffer).await else { return };
                // Else it does not count as gone.
                is_told |= buffer[..length].starts_with(b"HTTP/1.1 408 ");
                assert!(is_told, "a slow body is told why");
            }
        };
        // Either end of it notices.
        tokio::select! {
            () = writes => {}
            () = reads => {}
        }
    }
}

/// Many clients of one kind.
struct Crowd {
    came: Arc<AtomicUsize>,
    gone: Arc<AtomicUsize>,
}

impl Crowd {
    /// They come as fast as the backend takes them, 50 from each address.
    fn send(runtime: &Runtime, shop: &Shop, network: u8, count: usize, what: Slow) -> Self {
        let crowd = Self { came: Arc::default(), gone: Arc::default() };
        let backend = backend_address(shop);
        let at_once = Arc::new(Semaphore::new(500));
        for n in 0..count {
            let (at_once, came, gone) = (Arc::clone(&at_once), Arc::clone(&crowd.came), Arc::clone(&crowd.gone));
            let from = Ipv4Addr::from_bits(u32::from_be_bytes([127, network, 1, 1]) + u32::try_from(n / 50).expect("few"));
            runtime.spawn(async move {
                let place = at_once.acquire().await.expect("never closed");
                let stream = connect(from, backend).await;
                drop(place);
                came.fetch_add(1, Ordering::Relaxed);
                what.until_closed(stream).await;
                gone.fetch_add(1, Ordering::Relaxed);
            });
        }
        crowd
    }

    fn came(&self) -> usize {
        self.came.load(Ordering::Relaxed)
    }

    fn gone(&self) -> usize {
        self.gone.load(Ordering::Relaxed)
    }
}

fn runtime() -> Runtime {
    // A silent client takes a descriptor of ours, too.
    assert!(descriptors::allow(12_000).expect("a limit") == 12_000, "this test needs a hard limit of 12,000 descriptors (ulimit -Hn)");
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

#[test]
fn silent_and_slow_clients_keep_no_machine_out() {
    const SILENT: usize = 20_000;
    const SLOW: usize = 250;
    let shop = backend_with("");
    let backend = shop.backend.as_ref().expect("it runs");
    // After an order it has its connections to Midtrans and the broker, and they stay.
    order(&shop);
    let (idle, runtime) = (backend.descriptors(), runtime());
    let silent = Crowd::send(&runtime, &shop, 1, SILENT, Slow::Silent);
    let mut took = Vec::new();
    while silent.came() < SILENT || took.len() < 10 {
        took.push(order(&shop));
    }
    told("while 20,000 come and say nothing", took);
    // Now nobody comes any more, and only their time ends them.
    let start = Instant::now();
    let slow = [(2, Slow::Head), (3, Slow::Body), (4, Slow::Deaf), (5, Slow::Reader)];
    let slow = slow.map(|(network, what)| (what, Crowd::send(&runtime, &shop, network, SLOW, what)));
    let mut took = Vec::new();
    wait_for("all of them to be closed", || {
        if took.len() < 10 {
            took.push(order(&shop));
        }
        let still: Vec<_> = slow.iter().filter(|(_, crowd)| crowd.gone() < SLOW).map(|(what, _)| what).collect();
        let done = silent.gone() == SILENT && still.is_empty();
        assert!(start.elapsed() < PATIENCE / 2 || done, "still there: {still:?}, {} silent", SILENT - silent.gone());
        done.then_some(())
    });
    told("while slow ones are there", took);
    let most = backend.most_resident_kib();
    println!("the last was closed after {:?}; at most {} MiB of memory", start.elapsed(), most >> 10);
    assert!(most < MEMORY_KIB, "{most} KiB");
    wait_for("their descriptors", || (backend.descriptors() <= idle + 4).then_some(()));
}

/// A connection on which `healthz` was asked, and may be again.
async fn polite(from: Ipv4Addr, backend: SocketAddr) -> TcpStream {
    let mut stream = connect(from, backend).await;
    assert!(asks(&mut stream).await);
    stream
}

/// Whether a connection is still served.
async fn asks(stream: &mut TcpStream) -> bool {
    let mut answer = [0; 1024];
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.is_ok()
        && matches!(stream.read(&mut answer).await, Ok(length @ 1..) if answer[..length].starts_with(b"HTTP/1.1 200 "))
}

/// Waits until so many of them are closed, and looks that the newer ones are served.
async fn oldest_are_closed(mut streams: Vec<TcpStream>, closed: usize) {
    for (n, stream) in streams[..closed].iter_mut().enumerate() {
        let end = timeout(PATIENCE, stream.read(&mut [0; 16])).await;
        assert!(matches!(end, Ok(Ok(0) | Err(_))), "the {n}th is open");
    }
    for (n, stream) in streams[closed..].iter_mut().enumerate() {
        assert!(asks(stream).await, "the {}th is closed", closed + n);
    }
}

#[test]
fn one_address_has_64_connections_and_a_web_server_as_many_as_there_are() {
    let shop = backend_with("proxies = [\"127.7.0.1\"]\n");
    let backend = backend_address(&shop);
    runtime().block_on(async {
        for (from, closed) in [(Ipv4Addr::new(127, 7, 0, 1), 0), (Ipv4Addr::new(127, 7, 0, 2), 36)] {
            let mut streams = Vec::new();
            for _ in 0..100 {
                streams.push(polite(from, backend).await);
            }
            oldest_are_closed(streams, closed).await;
        }
    });
}

#[test]
fn a_machine_keeps_its_connections_when_there_is_no_room() {
    let shop = backend_with("connections = 64\n");
    let (backend, runtime) = (backend_address(&shop), runtime());
    let order = shop.charge();
    let order_id = order["order_id"].as_str().expect("an id");
    let stranger = runtime.block_on(polite(Ipv4Addr::new(127, 8, 0, 1), backend));
    let head =
        |query: &str| format!("GET /v1/orders/{order_id}{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", shop.token);
    let (machines, mut waiting) = runtime.block_on(async {
        let mut streams = Vec::new();
        for _ in 0..12 {
            let mut stream = connect(Ipv4Addr::new(127, 8, 0, 2), backend).await;
            stream.write_all(head("").as_bytes()).await.expect("written");
            assert!(stream.read(&mut [0; 4096]).await.expect("an answer") > 0);
            streams.push(stream);
        }
        let mut waiting = streams.pop().expect("twelve");
        let query = format!("?wait=60&since={}", order["rev"]);
        waiting.write_all(head(&query).as_bytes()).await.expect("written");
        (streams, waiting)
    });
    let silent = Crowd::send(&runtime, &shop, 6, 500, Slow::Silent);
    wait_for("room to be made", || (silent.came() == 500 && silent.gone() > 400).then_some(()));
    runtime.block_on(oldest_are_closed(vec![stranger], 1));
    // Eight are kept for a machine, the newest.
    runtime.block_on(oldest_are_closed(machines, 4));
    shop.midtrans.pay(order_id, Via::Gopay);
    runtime.block_on(async {
        let mut answer = vec![0; 4096];
        let length = timeout(PATIENCE, waiting.read(&mut answer)).await.expect("news").expect("an answer");
        assert!(answer[..length].starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer[..length]));
    });
}
