//! One machine and all that it talks to: broker, bus and a backend, real processes with the configuration of the design.

use crate::backend::{ISSUER, StandIn};
use crate::eyes::{HEIGHT, LineWatch, Screen, WIDTH};
use crate::mqtt::{Client, Message};
use crate::program::{Places, Program};
use crate::rig;
use crate::rig::bare_broker::BareBroker;
use crate::rig::bus::{DbusDaemon, Names};
use crate::rig::certificates::Certificates;
use crate::rig::journald::Journald;
use crate::rig::mosquitto::accounts;
pub use crate::rig::mosquitto::password;
use crate::trace::Traced;
use qris::demo::broker::tls_listener;
pub use qris::demo::shop::DEVICE;
use qris::demo::shop::{self, BrokerAccess, MachineFiles, Tls};
use qris::order::keys::jwk_set;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// The machine's programs, by what they are.
const NAMES: [&str; 2] = ["device", "relay"];
/// Short, so that sales follow one another; a real line is driven for longer, and nothing here depends on it.
const PULSE_MS: u32 = 20;
const PATIENCE: Duration = Duration::from_secs(20);
/// A customer is not there at once; caches and threads come to rest.
const PAUSE: Duration = Duration::from_millis(50);

/// What differs between measurements.
pub struct Options<'a> {
    pub places: &'a Places,
    /// Where the databases are.
    pub databases: &'a Path,
    pub tls: bool,
    /// The programs of the machine run under strace.
    pub traced: bool,
    /// Items, each with a line of its own. The item that is sold comes last in both configurations.
    pub lines: usize,
    /// The journal of the machine's programs; otherwise they write lines into a file.
    pub journal: Option<Arc<Journald>>,
}

impl<'a> Options<'a> {
    /// Our own machine, without TLS.
    pub fn ours(places: &'a Places, databases: &'a Path) -> Self {
        Self { places, databases, tls: false, traced: false, lines: 1, journal: None }
    }
}

/// The shop. Fields are dropped in order: the machine ends before what it talks to.
pub struct Shop {
    pub device: Option<Program>,
    pub relay: Option<Program>,
    pub controller: Client,
    pub pusher: Client,
    pub heard: Receiver<Message>,
    pub backend: StandIn,
    pub screen: Screen,
    pub line: LineWatch,
    pub broker: BareBroker,
    pub bus: DbusDaemon,
    places: Places,
    traced: bool,
    lines: usize,
    journal: Option<Arc<Journald>>,
    databases: PathBuf,
    number: u32,
    /// The broker's port for TLS, what a client needs there, and the files.
    tls: Option<(u16, Tls, Certificates)>,
    directory: tempfile::TempDir,
}

/// The times of one sale.
pub struct Sale {
    pub to_qr: Duration,
    pub to_line: Duration,
}

impl Shop {
    /// Starts everything but the machine.
    pub fn open(options: &Options) -> Self {
        // Sockets, screen and line are in memory whatever the databases are on; and a socket's path must be short.
        let directory = tempfile::Builder::new().prefix("qris-bench-").tempdir_in("/dev/shm").expect("a temporary directory");
        let root = directory.path();
        let certificates = options.tls.then(Certificates::make);
        let backend = StandIn::start(DEVICE, certificates.as_ref().map(server_config));
        let tls = certificates.map(|files| (rig::free_port(), files.of("client"), files));
        let listener = tls.as_ref().map_or_else(String::new, |(port, _, files)| tls_listener(*port, &files.of("server")));
        let broker = BareBroker::start(&(accounts(root).settings() + &listener));
        let bus = DbusDaemon::start(root, &Names::all(&rig::user()));
        let screen = Screen::watch(&root.join("screen.raw"));
        let line = LineWatch::watch(&root.join("line"));
        let connect = |user: &str| Client::connect(broker.port, user, &password(user));
        let shop = Self {
            device: None,
            relay: None,
            controller: connect("vm-001-controller"),
            pusher: connect("backend"),
            heard: connect("fleet").listen(&["qrisd/v1/+/vend/event", "qrisd/v1/+/status"]),
            backend,
            screen,
            line,
            broker,
            bus,
            places: options.places.clone(),
            traced: options.traced,
            lines: options.lines,
            journal: options.journal.clone(),
            databases: options.databases.into(),
            number: 0,
            tls,
            directory,
        };
        let scheme = if options.tls { "https" } else { "http" };
        let keys = jwk_set(&[shop.backend.key().to_public_jwk(ISSUER)]);
        shop.write("keys.json", &keys);
        shop.write("backend-token", "token");
        shop.configure(&format!("{scheme}://127.0.0.1:{}", shop.backend.port));
        shop
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The machine's programs, the one with the relay last.
    pub fn programs(&self) -> [&Program; 2] {
        [&self.device, &self.relay].map(|program| program.as_ref().expect("the machine was started"))
    }

    /// Of both: what strace saw from these places on; and where it is now.
    pub fn traced(&self, from: [usize; 2]) -> [(Traced, usize); 2] {
        [0, 1].map(|n| Traced::read(&self.path().join(format!("{}.trace", NAMES[n])), from[n]))
    }

    /// Until it is ready.
    pub fn start_relay(&mut self) -> Duration {
        let program = self.start(NAMES[1]);
        let ready = program.wait_ready();
        self.relay = Some(program);
        ready
    }

    pub fn start_device(&mut self) {
        self.device = Some(self.start(NAMES[0]));
    }

    fn start(&self, name: &str) -> Program {
        let (program, config) = if name == NAMES[0] { ("qrisd", "qrisd.toml") } else { ("qris-relayd", "relay.toml") };
        let mut command = rig::command(self.places.ours(program));
        command.arg("--config").arg(self.path().join(config));
        if let Some(journal) = &self.journal {
            command = journal.command(&command);
        }
        if self.traced { Program::start_traced(name, &command, self.path()) } else { Program::start(name, &mut command, self.path()) }
    }

    /// Starts the machine, and sells once.
    pub fn start_machine(&mut self) {
        self.start_relay();
        self.start_device();
        self.wait_online();
        self.wait_sells();
    }

    /// Makes a sale, by which the place of the QR on the screen is learned. The machine must know the relay first, which
    /// no message tells: until then requests are refused.
    pub fn wait_sells(&mut self) {
        let request = self.wait_offer();
        let end = Instant::now() + PATIENCE;
        while self.screen.payload().is_none() {
            assert!(Instant::now() < end, "no QR can be read on the screen");
        }
        self.screen.learn();
        self.complete(&request);
    }

    /// Asks until the machine offers; the request.
    pub fn wait_offer(&mut self) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let request = self.request();
            if self.wait_state(&request, &["awaiting_payment", "refused", "failed"]).1 == "awaiting_payment" {
                return request;
            }
            assert!(Instant::now() < end, "the machine sells nothing:\n{}", self.log());
            std::thread::sleep(PAUSE);
        }
    }

    /// Pays what is on the screen, and waits for all that follows.
    pub fn complete(&mut self, request: &str) {
        let (id, _) = self.backend.last();
        self.settle(&id);
        self.line.wait(true);
        self.finish(request);
        self.wait_told();
    }

    /// Ends the machine's main program the hard way, when it has said all it had to say.
    pub fn kill_device(&mut self) {
        std::thread::sleep(PAUSE);
        self.device = None;
        std::thread::sleep(PAUSE);
        while self.heard.try_recv().is_ok() {}
        self.screen.forget();
    }

    /// Kills the main program and starts it again; how long it takes until it is online.
    pub fn restart_device(&mut self) -> Duration {
        self.kill_device();
        self.start_device();
        let started = self.programs()[0].started;
        self.wait_online() - started
    }

    fn wait_told(&self) {
        self.backend.reported.recv_timeout(PATIENCE).expect("the machine tells the outcome");
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path().join(format!("{}.log", NAMES[0]))).unwrap_or_default()
    }

    /// When the machine said that it is online.
    pub fn wait_online(&self) -> Instant {
        self.wait_message(|message| message.topic.ends_with("/status") && json(message)["state"] == "online").at
    }

    fn wait_message(&self, wanted: impl Fn(&Message) -> bool) -> Message {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.heard.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(message) if wanted(&message) => return message,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("the machine did not publish what was waited for:\n{}", self.log())
                }
            }
        }
    }

    /// Waits until a request is in one of these states.
    pub fn wait_state(&self, request: &str, states: &[&str]) -> (Instant, String) {
        let state = |message: &Message| json(message)["state"].as_str().unwrap_or_default().to_owned();
        let message = self.wait_message(|message| {
            message.topic.ends_with("/vend/event") && json(message)["request_id"] == request && states.contains(&state(message).as_str())
        });
        let state = state(&message);
        (message.at, state)
    }

    /// Publishes a request; its id.
    pub fn request(&mut self) -> String {
        self.number += 1;
        let request = format!("bench-{}-{}", std::process::id(), self.number);
        let body = format!(r#"{{"request_id":"{request}","item":"A1","timeout_s":840}}"#);
        self.controller.publish("qrisd/v1/vm-001/vend/request", body.as_bytes());
        request
    }

    fn settle(&mut self, id: &qris::order::ids::OrderId) -> Instant {
        let update = self.backend.settle(id);
        self.pusher.publish("qrisd/v1/vm-001/payment/update", &update)
    }

    /// A sale from request to the outcome at the backend, with the QR read by a phone.
    pub fn sell(&mut self) -> Sale {
        self.screen.forget();
        let (asked, request) = self.timed_request();
        let shown = self.screen.wait(true);
        let (id, payload) = self.backend.last();
        assert_eq!(self.screen.payload().as_deref(), Some(payload.as_str()), "a phone reads what the backend gave");
        std::thread::sleep(PAUSE);
        let paid = self.settle(&id);
        let driven = self.line.wait(true);
        self.finish(&request);
        self.wait_told();
        Sale { to_qr: shown - asked, to_line: driven - paid }
    }

    pub fn timed_request(&mut self) -> (Instant, String) {
        let asked = Instant::now();
        (asked, self.request())
    }

    /// What follows the first edge of the line.
    pub fn finish(&mut self, request: &str) {
        self.line.wait(false);
        self.wait_state(request, &["dispensed"]);
        self.line.assert_quiet();
        std::thread::sleep(PAUSE);
    }

    /// Writes the machine's configuration for a backend.
    pub fn configure(&self, backend: &str) {
        let root = self.path();
        let line = |n| {
            let chip = root.join(if n == 1 { "line".into() } else { format!("line-{n}") });
            let more = format!("offset = 17\npulse_ms = {PULSE_MS}\n");
            shop::line(&format!("tray {n}"), &[&format!("A{n}")], 2000, &format!("sim:{}", chip.display()), &more)
        };
        let item = |n| shop::item(&format!("A{n}"), "Teh botol 350 ml", "Bottled tea 350 ml", 5000);
        let (items, lines): (String, String) = (1..=self.lines).rev().map(|n| (item(n), line(n))).unzip();
        let password = password(DEVICE);
        let machine = MachineFiles {
            root,
            databases: &self.databases,
            broker: self.broker_access(&password),
            backend,
            bus: &self.bus.address,
            orders: "orders_per_minute = 0\n",
            screen: &shop::framebuffer(root, WIDTH, HEIGHT),
            items: &items,
            lines: &lines,
        };
        machine.write().expect("written");
    }

    /// The broker as a program reaches it that has this password.
    pub fn broker_access<'a>(&'a self, password: &'a str) -> BrokerAccess<'a> {
        match &self.tls {
            Some((port, tls, _)) => BrokerAccess { port: *port, password, tls: Some(tls) },
            None => BrokerAccess { port: self.broker.port, password, tls: None },
        }
    }

    /// Writes a file beside the machine's configuration; its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }
}

pub fn json(message: &Message) -> serde_json::Value {
    serde_json::from_slice(&message.payload).unwrap_or_default()
}

fn server_config(files: &Certificates) -> Arc<rustls::ServerConfig> {
    let chain = CertificateDer::pem_file_iter(files.certificate("server")).expect("just made").flatten().collect();
    let key = PrivateKeyDer::from_pem_file(files.key("server")).expect("just made");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder.expect("ring has both versions").with_no_client_auth().with_single_cert(chain, key);
    Arc::new(config.expect("certificate and key belong together"))
}
