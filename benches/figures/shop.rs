//! One machine and all that it talks to: broker, bus and a backend, real processes with the configuration of the design.

use crate::backend::{ISSUER, StandIn};
use crate::eyes::{HEIGHT, LineWatch, Screen, WIDTH};
use crate::mqtt::{Client, Message};
use crate::program::{Places, Program};
use crate::rig;
use crate::rig::bare_broker::BareBroker;
use crate::rig::bus::{DbusDaemon, Names};
use crate::rig::certificates::Certificates;
use crate::trace::Traced;
use qris::order::keys::jwk_set;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

pub const DEVICE: &str = "vm-001";
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
}

impl<'a> Options<'a> {
    /// Our own machine, without TLS.
    pub fn ours(places: &'a Places, databases: &'a Path) -> Self {
        Self { places, databases, tls: false, traced: false, lines: 1 }
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
    databases: PathBuf,
    number: u32,
    /// The broker's port for TLS, and the files for it.
    pub tls: Option<(u16, Certificates)>,
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
        let tls = certificates.map(|files| (rig::free_port(), files));
        let broker = BareBroker::start(&broker_lines(root, tls.as_ref()));
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
            databases: options.databases.into(),
            number: 0,
            tls,
            directory,
        };
        let scheme = if options.tls { "https" } else { "http" };
        let keys = jwk_set(&[shop.backend.key().to_public_jwk(ISSUER)]);
        shop.configure(&format!("{scheme}://127.0.0.1:{}", shop.backend.port), &keys, "token");
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
        self.backend.told.recv_timeout(PATIENCE).expect("the machine tells the outcome");
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
    pub fn configure(&self, backend: &str, keys: &str, token: &str) {
        let root = self.path().display();
        self.write("keys.json", keys);
        self.write("mqtt-password", &password(DEVICE));
        self.write("backend-token", token);
        let mqtt = self.mqtt_settings();
        let ca = self.tls.as_ref().map_or_else(String::new, |(_, files)| format!("ca_file = \"{}\"", files.certificate("ca").display()));
        let ca = if backend.starts_with("https:") { ca } else { String::new() };
        let item = |n| {
            let name = "{ id = \"Teh botol 350 ml\", en = \"Bottled tea 350 ml\" }";
            format!("[[item]]\nid = \"A{n}\"\nname = {name}\nprice = 5000\n")
        };
        let line = |n| {
            let file = if n == 1 { "line".into() } else { format!("line-{n}") };
            let chip = format!("chip = \"sim:{root}/{file}\"\noffset = 17\npulse_ms = {PULSE_MS}");
            format!("[[line]]\nname = \"tray {n}\"\nitems = [\"A{n}\"]\nmin_amount = 2000\n{chip}\n")
        };
        let (items, lines): (String, String) = (1..=self.lines).rev().map(|n| (item(n), line(n))).unzip();
        let qrisd = format!(
            r#"[device]
id = "{DEVICE}"
name = "Lobby"
[mqtt]
{mqtt}
username = "{DEVICE}"
password_file = "{root}/mqtt-password"
[backend]
url = "{backend}"
{ca}
token_file = "{root}/backend-token"
[receipts]
keys_file = "{root}/keys.json"
[orders]
orders_per_minute = 0
[store]
path = "{databases}/qrisd.db"
[screen]
virtual = {{ path = "{root}/screen.raw", width = {WIDTH}, height = {HEIGHT}, format = "rgb565" }}
contact = "0812-0000-0000"
[relay]
bus = "{bus}"
{items}"#,
            databases = self.databases.display(),
            bus = self.bus.address,
        );
        let relay = format!(
            r#"[device]
id = "{DEVICE}"
[dbus]
bus = "{bus}"
[receipts]
keys_file = "{root}/keys.json"
[ledger]
path = "{databases}/ledger.db"
{lines}"#,
            databases = self.databases.display(),
            bus = self.bus.address,
        );
        self.write("qrisd.toml", &qrisd);
        self.write("relay.toml", &relay);
    }

    /// Where the broker is, in the words of every configuration.
    pub fn mqtt_settings(&self) -> String {
        let Some((port, files)) = &self.tls else { return format!("url = \"mqtt://127.0.0.1:{}\"", self.broker.port) };
        let (ca, certificate, key) = (files.certificate("ca"), files.certificate("client"), files.key("client"));
        let [ca, certificate, key] = [ca, certificate, key].map(|path| path.display().to_string());
        format!("url = \"mqtts://127.0.0.1:{port}\"\nca_file = \"{ca}\"\ncert_file = \"{certificate}\"\nkey_file = \"{key}\"")
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

pub fn password(user: &str) -> String {
    format!("password-of-{user}")
}

/// The shipped configuration, but for files and listener.
pub fn shipped() -> String {
    let shipped = rig::source_text("config/mosquitto.conf");
    let is_wanted =
        |line: &&str| ["max_packet_size", "max_queued_messages", "set_tcp_nodelay"].iter().any(|setting| line.starts_with(setting));
    shipped.lines().filter(is_wanted).map(|line| format!("{line}\n")).collect()
}

/// Passwords and the access list as they are shipped; a second listener with mutual TLS.
fn broker_lines(root: &Path, tls: Option<&(u16, Certificates)>) -> String {
    let passwords = root.join("passwd");
    for (i, user) in [DEVICE, "vm-001-controller", "backend", "fleet"].into_iter().enumerate() {
        let mut add = rig::command(rig::tool("mosquitto_passwd"));
        if i == 0 {
            add.arg("-c");
        }
        rig::succeed(add.arg("-b").arg(&passwords).args([user, password(user).as_str()]));
    }
    let acl = root.join("acl");
    std::fs::write(&acl, rig::source_text("config/mosquitto.acl")).expect("written");
    let mut lines = format!("allow_anonymous false\npassword_file {}\nacl_file {}\n", passwords.display(), acl.display());
    lines += &shipped();
    if let Some((port, files)) = tls {
        let (ca, certificate, key) = (files.certificate("ca"), files.certificate("server"), files.key("server"));
        lines += &format!("listener {port} 127.0.0.1\nrequire_certificate true\ncafile {}\n", ca.display());
        lines += &format!("certfile {}\nkeyfile {}\n", certificate.display(), key.display());
    }
    lines
}

fn server_config(files: &Certificates) -> Arc<rustls::ServerConfig> {
    let chain = CertificateDer::pem_file_iter(files.certificate("server")).expect("just made").flatten().collect();
    let key = PrivateKeyDer::from_pem_file(files.key("server")).expect("just made");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder.expect("ring has both versions").with_no_client_auth().with_single_cert(chain, key);
    Arc::new(config.expect("certificate and key belong together"))
}
