//! The merchant's backend under load: many machines that order, and Midtrans that notifies, as fast as it answers.

use crate::acquirer::{self, AMOUNT};
use crate::figures::{FiguresText, Times};
use crate::mqtt::Client;
use crate::program::{Places, Program};
use crate::shop::{DEVICE, json, password};
use crate::{floor, rig};
use qris::backend::midtrans::ServerKey;
use qris::demo::shop::{BACKEND, BrokerAccess, MerchantFiles, database};
use qris::host::secret::Secret;
use qris::order::ids::Ticket;
use std::collections::HashMap;
use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const KEY: &str = "SB-Mid-server-bench";
/// Connections that send at the same time.
const SENDERS: usize = 32;
/// Nothing takes this long.
const PATIENCE: Duration = Duration::from_secs(120);
/// What is measured at an even pace: notifications a second.
const PACE: u32 = 100;
/// Writes by which the disk is known.
const FLOORS: usize = 1000;
/// Caches and threads come to rest, and what is freed is given back.
pub const IDLE: Duration = Duration::from_secs(3);

/// How much is sent.
pub struct Amounts {
    /// Orders, each with its notification, as fast as they are answered.
    pub burst: usize,
    /// Notifications at an even pace.
    pub paced: usize,
    /// Orders after which the memory is looked at, those above included.
    pub all: usize,
}

pub fn measure(report: &mut FiguresText, places: &Places, ram: &Path, disk: &Path, amounts: &Amounts) {
    let in_ram = Office::open(places, ram, 1);
    std::thread::sleep(IDLE);
    let idle = in_ram.backend.memory();
    let before = in_ram.backend.cpu();
    let orders = in_ram.order(amounts.burst);
    let between = in_ram.backend.cpu();
    let notified = in_ram.settle(amounts.burst);
    let cost = [between - before, in_ram.backend.cpu() - between].map(|spent| spent.as_secs_f64() * 1000.0 / amounts.burst as f64);
    let paced = in_ram.settle_paced(amounts.paced);
    let mut made = amounts.burst + amounts.paced;
    while made < amounts.all {
        let more = amounts.burst.min(amounts.all - made);
        in_ram.order(more);
        in_ram.settle(more);
        made += more;
    }
    std::thread::sleep(IDLE);
    let after = in_ram.backend.memory();
    drop(in_ram);
    // Means, before and after: what a disk does in a second is what its slow moments leave, and they come and go.
    let floors = || [floor::sync(disk, FLOORS).mean(), floor::commit(disk, FLOORS).mean()];
    let before = floors();
    let on_disk = Office::open(places, disk, 1);
    std::thread::sleep(IDLE);
    let (orders_on_disk, notified_on_disk) = (on_disk.order(amounts.burst), on_disk.settle(amounts.burst));
    let after_load = floors();
    let [sync, commit] = [0, 1].map(|floor| f64::midpoint(before[floor], after_load[floor]));
    report.numbers(
        &format!("the backend under load: {SENDERS} connections, {} orders, a Midtrans that answers at once", amounts.burst),
        "a second",
    );
    report.number("orders, database in RAM", &rate(orders), "");
    report.number("notifications verified, committed, answered 200; database in RAM", &rate(notified.answered), "≥ 5000");
    report.number("… until each one's get-status, receipt and message are out", &rate(notified.published), "");
    report.number("orders, database on disk", &rate(orders_on_disk), "");
    report.number("notifications verified, committed, answered 200; database on disk", &rate(notified_on_disk.answered), "");
    report.number("… until each one's get-status, receipt and message are out", &rate(notified_on_disk.published), "");
    report.numbers("… beside what the same disk allows without groups", "of answered");
    let times = |each: f64| format!("{:.1} × ({each:.2} ms)", notified_on_disk.answered * each / 1000.0);
    report.number("one fdatasync each", &times(sync), "≥ 3 ×");
    report.number("one SQLite commit of a row each", &times(commit), "");
    report.numbers("processor time of the backend, database in RAM", "ms");
    report.number("an order, charged", &format!("{:.3}", cost[0]), "");
    report.number("a notification, its get-status, receipt and message", &format!("{:.3}", cost[1]), "");
    report.times("the backend at an even pace, database in RAM");
    report.time(&format!("notification sent → receipt at the broker's subscriber, {PACE} a second"), &paced, "p99 < 15");
    report.numbers("the backend's resident memory", "MB (anonymous)");
    let memory = |(resident, anonymous): (u64, u64)| format!("{:.1} ({:.1})", resident as f64 * 1.024e-3, anonymous as f64 * 1.024e-3);
    report.number("idle, after its start", &memory(idle), "≤ 20");
    report.number(&format!("after {made} orders, each settled"), &memory(after), "< 40");
}

fn rate(a_second: f64) -> String {
    format!("{a_second:.0}")
}

/// Notifications a second, by two ends.
struct Notified {
    answered: f64,
    published: f64,
}

/// The backend with what it talks to.
pub struct Office {
    pub backend: Program,
    /// From its start to READY.
    pub ready: Duration,
    pub port: u16,
    /// A machine each.
    pub tokens: Vec<String>,
    /// The key that signs receipts, by its name: what the machine's relay service lists.
    pub kid: String,
    key: ServerKey,
    news: Receiver<crate::mqtt::Message>,
    /// Ordered and not settled.
    open: Mutex<Vec<String>>,
    ordered: AtomicUsize,
    _broker: rig::bare_broker::BareBroker,
    directory: tempfile::TempDir,
}

impl Office {
    pub fn open(places: &Places, databases: &Path, machines: usize) -> Self {
        Self::open_with(places, &database(databases), machines, |_| String::new())
    }

    /// The same with the body of `[store]`, and with other sections in its configuration, which may name the directory.
    pub fn open_with(places: &Places, store: &str, machines: usize, more: impl Fn(&Path) -> String) -> Self {
        let directory = tempfile::Builder::new().prefix("qris-bench-").tempdir_in("/dev/shm").expect("a temporary directory");
        let broker = rig::bare_broker::BareBroker::start("allow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\n");
        let port = rig::free_port();
        let (backend, tokens, kid) = Self::start(places, store, directory.path(), [port, broker.port], machines, &more(directory.path()));
        let news = Client::connect(broker.port, "load", "none").listen(&["qrisd/v1/+/payment/update"]);
        Self {
            ready: backend.wait_ready(),
            backend,
            port,
            tokens,
            kid,
            key: ServerKey::new(&Secret::new(KEY)),
            news,
            open: Mutex::default(),
            ordered: AtomicUsize::new(0),
            _broker: broker,
            directory,
        }
    }

    /// The backend, with a Midtrans that answers at once: the program, the machines' tokens, and the name of the key for receipts.
    fn start(
        places: &Places,
        store: &str,
        directory: &Path,
        ports: [u16; 2],
        machines: usize,
        more: &str,
    ) -> (Program, Vec<String>, String) {
        let [port, broker] = ports;
        // What is set when nothing is, unless the machines need more.
        let connections = (2 * machines).max(1024);
        let merchant = MerchantFiles {
            root: directory,
            port,
            public: true,
            http: &format!("orders_per_minute = 0\nconnections = {connections}\n"),
            midtrans: &format!("http://127.0.0.1:{}", acquirer::start()),
            server_key: KEY,
            more,
            store: Some(store),
            broker: Some(BrokerAccess { port: broker, password: &password(BACKEND), tls: None }),
        };
        merchant.write("backend.toml").expect("written");
        let run = |words: &[&str]| Self::command(places, directory, words);
        rig::succeed(&mut run(&["keys", "new"]));
        let keys: serde_json::Value = serde_json::from_str(&rig::succeed(&mut run(&["keys", "public"]))).expect("a JWK Set");
        let kid = keys["keys"][0]["kid"].as_str().expect("a key has a name").to_owned();
        let names = (2..=machines).map(|n| format!("vm-{n:03}"));
        let add = |name: String| rig::succeed(&mut run(&["device", "add", &name])).trim().to_owned();
        let tokens = std::iter::once(DEVICE.to_owned()).chain(names).map(add).collect();
        (Program::start("qris-backend", &mut run(&["serve"]), directory), tokens, kid)
    }

    /// A command of ours.
    fn command(places: &Places, directory: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(places.ours("qris-backend"));
        command.arg("--config").arg(directory.join("backend.toml")).args(words);
        command
    }

    /// Where its files are, but for the databases.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Runs a command beside the backend; what it prints.
    pub fn run(&self, places: &Places, words: &[&str]) -> String {
        rig::succeed(&mut Self::command(places, self.directory.path(), words))
    }

    /// Makes so many orders; a second.
    fn order(&self, count: usize) -> f64 {
        let start = Instant::now();
        let left = AtomicUsize::new(count);
        // What hears of receipts stays on this thread.
        let Self { port, tokens, kid, open, ordered, .. } = self;
        std::thread::scope(|scope| {
            for _ in 0..SENDERS {
                scope.spawn(|| {
                    let mut wire = Wire::open(*port);
                    while take(&left) {
                        let number = ordered.fetch_add(1, Ordering::Relaxed);
                        let (id, _) = wire.order(&tokens[number % tokens.len()], kid, number);
                        open.lock().expect("no sender failed").push(id);
                    }
                });
            }
        });
        count as f64 / start.elapsed().as_secs_f64()
    }

    /// Notifies of the settlement of all that is open, and waits for the receipts. Each must come, once.
    fn settle(&self, count: usize) -> Notified {
        let orders = std::mem::take(&mut *self.open.lock().expect("no sender failed"));
        assert_eq!(orders.len(), count);
        let bodies: Vec<String> = orders.iter().map(|id| self.notification(id)).collect();
        let (start, next, port) = (Instant::now(), AtomicUsize::new(0), self.port);
        std::thread::scope(|scope| {
            for _ in 0..SENDERS {
                scope.spawn(|| {
                    let mut wire = Wire::open(port);
                    while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                        assert_eq!(wire.post("/midtrans/notifications", "", body).0, 200);
                    }
                });
            }
        });
        let answered = start.elapsed();
        let mut missing: HashMap<&str, ()> = orders.iter().map(|id| (id.as_str(), ())).collect();
        while !missing.is_empty() {
            let (id, _) = self.receipt();
            assert!(missing.remove(id.as_str()).is_some(), "a receipt twice: {id}");
        }
        Notified { answered: count as f64 / answered.as_secs_f64(), published: count as f64 / start.elapsed().as_secs_f64() }
    }

    /// From each notification to its receipt, at [`PACE`].
    fn settle_paced(&self, count: usize) -> Times {
        self.order(count);
        let orders = std::mem::take(&mut *self.open.lock().expect("no sender failed"));
        let bodies: Vec<(String, String)> = orders.into_iter().map(|id| (self.notification(&id), id)).collect();
        let (sent, sent_rx) = channel();
        let port = self.port;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut wire = Wire::open(port);
                let start = Instant::now();
                for (n, (body, id)) in (0..).zip(bodies) {
                    std::thread::sleep((start + Duration::from_secs(1) / PACE * n).saturating_duration_since(Instant::now()));
                    let _ = sent.send((id, Instant::now()));
                    assert_eq!(wire.post("/midtrans/notifications", "", &body).0, 200);
                }
            });
            let mut times = Times::default();
            let mut came = HashMap::new();
            for (id, at) in sent_rx {
                while !came.contains_key(&id) {
                    let (other, at) = self.receipt();
                    came.insert(other, at);
                }
                times.push(came[&id] - at);
            }
            times
        })
    }

    /// The next receipt at the subscriber: its order, and when it came.
    fn receipt(&self) -> (String, Instant) {
        loop {
            let message = self.news.recv_timeout(PATIENCE).expect("every settled order gets a receipt");
            let update = json(&message);
            if !update["receipt"].is_null() {
                return (update["order_id"].as_str().unwrap_or_default().to_owned(), message.at);
            }
        }
    }

    pub fn notification(&self, id: &str) -> String {
        let gross = format!("{AMOUNT}.00");
        let signature = self.key.sign(id, "200", &gross);
        format!(
            r#"{{"transaction_time":"2026-11-20 19:00:00","transaction_status":"settlement","transaction_id":"t","status_message":"midtrans payment notification","status_code":"200","signature_key":"{signature}","settlement_time":"2026-11-20 19:00:10","payment_type":"gopay","order_id":"{id}","merchant_id":"G0","gross_amount":"{gross}","fraud_status":"accept","currency":"IDR"}}"#
        )
    }
}

fn take(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

/// A kept connection.
pub struct Wire(BufReader<TcpStream>);

impl Wire {
    pub fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the backend listens");
        stream.set_nodelay(true).expect("a TCP socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a TCP socket");
        Self(BufReader::new(stream))
    }

    /// Makes the order with this number; its name and revision.
    pub fn order(&mut self, token: &str, kid: &str, number: usize) -> (String, u64) {
        let mut bits = [0; 16];
        bits[..8].copy_from_slice(&number.to_be_bytes());
        let (request, ticket) = (format!("load-{number}"), Ticket::from_random(bits));
        let body = format!(
            r#"{{"request_id":"{request}","ticket":"{ticket}","kids":["{kid}"],"item":"A1","description":"Teh","amount":{AMOUNT},"payment":"gopay","timeout_s":840}}"#
        );
        let head = format!("authorization: Bearer {token}\r\nidempotency-key: {request}\r\n");
        let (status, answer) = self.post("/v1/orders", &head, &body);
        assert_eq!(status, 201, "{}", String::from_utf8_lossy(&answer));
        let order: serde_json::Value = serde_json::from_slice(&answer).expect("an order");
        let id = order["order_id"].as_str().expect("an order has a name").to_owned();
        (id, order["rev"].as_u64().unwrap_or(0))
    }

    pub fn post(&mut self, path: &str, head: &str, body: &str) -> (u16, Vec<u8>) {
        self.send("POST", path, head, body);
        self.receive()
    }

    pub fn send(&mut self, method: &str, path: &str, head: &str, body: &str) {
        let length = body.len();
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n{head}content-length: {length}\r\n\r\n");
        self.0.get_mut().write_all(&[head.as_bytes(), body.as_bytes()].concat()).expect("sent");
    }

    /// The answer to what was sent.
    pub fn receive(&mut self) -> (u16, Vec<u8>) {
        let (first, answer) = crate::backend::read_request(&mut self.0).expect("answered");
        (first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0), answer)
    }
}
