//! The whole path: the real backend, the simulated Midtrans, and a clock where the notification passes.

use crate::backend::read_request;
use crate::figures::Times;
use crate::program::Places;
use crate::program::Program;
use crate::rig;
use crate::rig::midtrans::{Midtrans, SERVER_KEY, Via};
use crate::shop::{Options, Shop, password};
use qris::demo::shop::{BACKEND, MerchantFiles, SetUpError, database, enrol};
use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
/// The outcome reaches the backend within this.
const TOLD: Duration = Duration::from_millis(30);

/// The backend after some sales.
pub struct Sold {
    pub backend: Program,
    pub to_qr: Times,
    pub to_line: Times,
    _shop: Shop,
    _midtrans: Midtrans,
}

/// Sells through everything, and tells how long it takes.
pub fn measure(places: &Places, databases: &Path, count: usize) -> Sold {
    let midtrans = Midtrans::start();
    let mut shop = Shop::open(&Options { tls: true, ..Options::ours(places, databases) });
    let port = rig::free_port();
    let (watch, notified) = clock(port);
    let root = shop.path().display().to_string();
    let password = password(BACKEND);
    let merchant = MerchantFiles {
        root: shop.path(),
        port,
        public: true,
        http: "orders_per_minute = 0\n",
        midtrans: &midtrans.url,
        server_key: SERVER_KEY,
        more: &format!("notification_url = \"http://127.0.0.1:{watch}/midtrans/notifications\""),
        store: Some(&database(databases)),
        broker: Some(shop.broker_access(&password)),
    };
    merchant.write("backend.toml").expect("written");
    let run = |words: &[&str]| {
        let mut command = Command::new(places.ours("qris-backend"));
        command.arg("--config").arg(shop.path().join("backend.toml")).args(words);
        command
    };
    enrol::<SetUpError>(shop.path(), |words| Ok(rig::succeed(&mut run(words)))).expect("written");
    shop.configure(&format!("http://127.0.0.1:{port}"));
    let backend = Program::start("qris-backend", &mut run(&["serve"]), shop.path());
    backend.wait_ready();
    shop.start_relay();
    shop.start_device();
    shop.wait_online();
    let (mut to_qr, mut to_line) = (Times::default(), Times::default());
    let mut learned = false;
    while to_line.len() < count {
        shop.screen.forget();
        let (asked, request) = shop.timed_request();
        if shop.wait_state(&request, &["awaiting_payment", "refused", "failed"]).1 != "awaiting_payment" {
            assert!(!learned, "a request was refused; look at the logs in {root}");
            std::thread::sleep(Duration::from_millis(50));
            continue;
        }
        let shown = learned.then(|| shop.screen.wait(true));
        let end = Instant::now() + PATIENCE;
        let payload = loop {
            if let Some(payload) = shop.screen.payload() {
                break payload;
            }
            assert!(Instant::now() < end, "no QR can be read on the screen");
        };
        if !learned {
            shop.screen.learn();
        }
        let answer = midtrans.scan(&payload, Via::Gopay);
        assert!(answer.status < 300, "{}", answer.text());
        let at = notified.recv_timeout(PATIENCE).expect("Midtrans notifies of the settlement");
        let driven = shop.line.wait(true);
        shop.finish(&request);
        std::thread::sleep(TOLD);
        if let Some(shown) = shown {
            to_qr.push(shown - asked);
            to_line.push(driven - at);
        }
        learned = true;
    }
    Sold { backend, to_qr, to_line, _shop: shop, _midtrans: midtrans }
}

/// Passes notifications on to the backend; tells when one of a settlement came by.
fn clock(backend: u16) -> (u16, Receiver<Instant>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let (seen, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let seen = seen.clone();
            std::thread::spawn(move || pass(stream, backend, &seen));
        }
    });
    (port, receiver)
}

fn pass(stream: TcpStream, backend: u16, seen: &Sender<Instant>) {
    let onward = TcpStream::connect(("127.0.0.1", backend)).expect("the backend listens");
    for socket in [&stream, &onward] {
        socket.set_nodelay(true).expect("a TCP socket");
    }
    let (mut from, mut to) = (BufReader::new(stream), BufReader::new(onward));
    while let Some((_, body)) = read_request(&mut from) {
        let head = format!(
            "POST /midtrans/notifications HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let request = [head.as_bytes(), &body].concat();
        let at = Instant::now();
        to.get_mut().write_all(&request).expect("the backend reads");
        if body.windows(12).any(|part| part == b"\"settlement\"") {
            let _ = seen.send(at);
        }
        let (status, _) = read_request(&mut to).expect("the backend answers");
        let answer = format!("{status}\r\ncontent-length: 0\r\n\r\n");
        if from.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}
