//! A whole shop: broker, bus, Midtrans, backend and one machine, as processes, with configuration files of the design.

use super::bus::{DbusDaemon, Names};
use super::caller::Caller;
use super::certificates::Certificates;
use super::http::{Http, HttpAnswer};
use super::link::Link;
use super::midtrans::{Midtrans, SERVER_KEY, Via};
use super::mosquitto::{Mosquitto, TAP, password};
use super::process::Process;
use super::relay_log::RelayLog;
use super::screen::Screen;
use super::tap::{Message, Tap};
use super::{command, free_port, output, succeed, tool, user, wait_for};
use qris::demo::shop::{BACKEND, BrokerAccess, MachineFiles, MerchantFiles, SetUpError, enrol, framebuffer, item, line};
use qris::order::ids::{DeviceId, Ticket};
use qris::order::keys::SigningKey;
use qris::order::proof::{self, Last, RelayKey, Statement};
use qris::order::reason::Reason;
use qris::wire::dbus::{DEVICE_NAME, RELAY_NAME};
use qris::wire::vend::{EventState, VendEvent};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU64, Ordering};

pub use qris::demo::shop::DEVICE;
/// What tray 1 sells: A1 and A2 for 5,000 rupiah, `exit` for what the controller asks (2,000 to 200,000).
pub const PRICE: u64 = 5000;

/// What a test wants to be otherwise than usual.
#[derive(Debug, Clone)]
pub struct Options {
    /// MQTT of machine and backend by mutual TLS, and HTTPS between them.
    pub tls: bool,
    /// The broker keeps its sessions over a restart.
    pub broker_persistence: bool,
    /// The body of `[orders]` in qrisd.toml.
    pub orders: String,
    /// The body of `[screen]`; `None`: a virtual framebuffer.
    pub screen: Option<String>,
    /// More keys of `[[line]]` in relay.toml.
    pub line: String,
    /// The line's chip; `None`: a simulated line.
    pub chip: Option<String>,
    /// `[[item]]` entries of qrisd.toml besides A1, A2 and `exit`.
    pub items: String,
    /// The body of `[midtrans]` in backend.toml, besides address and key.
    pub midtrans: String,
    /// More rules of the bus (`<policy …>…</policy>`).
    pub bus: &'static str,
    /// The body of `[store]` in backend.toml; `None`: a file of SQLite.
    pub store: Option<String>,
    /// Whether the machine is started with the rest.
    pub machine: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tls: false,
            broker_persistence: true,
            orders: "orders_per_minute = 0\n".into(),
            screen: None,
            line: "pulse_ms = 50\n".into(),
            chip: None,
            items: String::new(),
            midtrans: "charge_as = \"gopay\"\n".into(),
            bus: "",
            store: None,
            machine: true,
        }
    }
}

/// Everything that belongs to a sale. Fields are dropped in order: the machine ends before what it talks to.
pub struct Shop {
    pub qrisd: Option<Process>,
    pub relayd: Option<Process>,
    pub backend: Option<Process>,
    pub midtrans: Midtrans,
    /// Hears everything, may publish everything.
    pub tap: Tap,
    /// The machine's controller.
    pub controller: Tap,
    /// The cable between the machine and the broker.
    pub broker_link: Link,
    /// The cable between the machine and the backend.
    pub backend_link: Link,
    _tls_front: Option<Process>,
    pub broker: Mosquitto,
    pub bus: DbusDaemon,
    pub screen: Screen,
    pub relay: RelayLog,
    pub http: Http,
    pub tls: Option<Certificates>,
    /// Where the backend listens, without TLS.
    pub backend_url: String,
    /// The machine's token at the backend.
    pub token: String,
    pub options: Options,
    /// How much the tap had heard when `qrisd` was started last.
    qrisd_since: usize,
    directory: tempfile::TempDir,
}

/// What signs where a test stands in for a machine and its relay.
pub fn relay_key() -> SigningKey {
    SigningKey::from_seed([9; 32])
}

impl Shop {
    /// Opens a shop and waits until the machine is online.
    pub fn open(options: Options) -> Self {
        // Short: a socket's path has at most 107 bytes.
        let directory = tempfile::Builder::new().prefix("qris").tempdir().expect("a temporary directory");
        let root = directory.path().to_path_buf();
        let tls = options.tls.then(Certificates::make);
        let broker = Mosquitto::start(&root, tls.as_ref(), options.broker_persistence);
        let bus = DbusDaemon::start_with(&root, &Names::all(&user()), options.bus);
        let midtrans = Midtrans::start();
        let backend_port = free_port();
        let (tls_front, front_port) = match &tls {
            Some(tls) => {
                let port = free_port();
                (Some(https_front(port, backend_port, tls)), port)
            }
            None => (None, backend_port),
        };
        let tap = Tap::connect(&broker, TAP, &["qrisd/#"]);
        let controller = Tap::connect(&broker, "vm-001-controller", &["qrisd/v1/vm-001/vend/event", "qrisd/v1/vm-001/status"]);
        let mut shop = Self {
            qrisd: None,
            relayd: None,
            backend: None,
            midtrans,
            tap,
            controller,
            broker_link: Link::to(if options.tls { broker.tls_port } else { broker.port }),
            backend_link: Link::to(front_port),
            _tls_front: tls_front,
            broker,
            bus,
            screen: Screen::new(root.join("screen.raw"), 480, 800),
            relay: RelayLog(root.join("relay.log")),
            http: Http::new(),
            tls,
            backend_url: format!("http://127.0.0.1:{backend_port}"),
            token: String::new(),
            options,
            qrisd_since: 0,
            directory,
        };
        shop.write_configuration(backend_port);
        let run = |command: &[&str]| Ok(succeed(shop.program_command(Program::Backend).args(command)));
        shop.token = enrol::<SetUpError>(shop.path(), run).expect("written");
        shop.start_backend();
        if shop.options.machine {
            shop.start_machine();
        }
        shop
    }

    /// A shop without a machine: the merchant's side alone.
    pub fn merchants_side() -> Self {
        Self::open(Options { machine: false, ..Options::default() })
    }

    // --- the customer and the controller

    /// The controller asks for an item; the request's id.
    pub fn vend(&self, item: &str) -> String {
        let request_id = new_request_id();
        self.request(&json!({"request_id": request_id, "item": item}));
        request_id
    }

    /// The controller publishes a request as it stands.
    pub fn request(&self, body: &Value) {
        self.controller.publish("qrisd/v1/vm-001/vend/request", body);
    }

    pub fn cancel(&self, request_id: &str) {
        self.controller.publish("qrisd/v1/vm-001/vend/cancel", &json!({"request_id": request_id}));
    }

    /// The customer scans what is on the screen, once it is there, and pays.
    pub fn pay(&self, via: Via) {
        let payload = self.screen.wait_payload();
        let answer = self.midtrans.scan(&payload, via);
        assert!(answer.status < 300, "the payment was not taken: {} {}", answer.status, answer.text());
    }

    pub fn wait_state(&self, request_id: &str, state: EventState) -> VendEvent {
        self.tap.wait_state(request_id, state)
    }

    /// Asks for an item and waits until its QR is on the screen; the request's id. A computer whose disk stands still for seconds misses the
    /// machine's patience for its relay: then the customer asks once more.
    pub fn offer(&self, item: &str) -> String {
        let asks = || {
            let request_id = self.vend(item);
            let event = self.tap.wait_one_of(&request_id, &[EventState::AwaitingPayment, EventState::Refused]);
            (request_id, event)
        };
        let (mut request_id, mut event) = asks();
        if event.reason == Some(Reason::Relay) {
            (request_id, event) = asks();
        }
        assert_eq!(event.state, EventState::AwaitingPayment, "{event:?}");
        self.screen.wait_payload();
        request_id
    }

    /// A whole sale; its last event.
    pub fn sell(&self, item: &str, via: Via) -> VendEvent {
        let request_id = self.offer(item);
        self.pay(via);
        self.wait_state(&request_id, EventState::Dispensed)
    }

    pub fn pulses(&self) -> usize {
        self.relay.pulses()
    }

    /// The machine's order as the backend tells it.
    pub fn order_at_backend(&self, order_id: &str) -> Value {
        let answer = self.backend_get(&format!("/v1/orders/{order_id}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Asks the backend as the machine does.
    pub fn backend_get(&self, path: &str) -> HttpAnswer {
        self.http.get(&format!("{}{path}", self.backend_url), Some(&self.token))
    }

    /// Waits until the backend calls an order this.
    pub fn wait_status(&self, order_id: &str, status: &str) {
        self.wait_order(order_id, status, |order| (order["status"] == status).then_some(()));
    }

    /// Waits until the backend's order satisfies `look`.
    pub fn wait_order<T>(&self, order_id: &str, what: &str, look: impl Fn(&Value) -> Option<T>) -> T {
        wait_for(&format!("{order_id} at the backend: {what}"), || look(&self.order_at_backend(order_id)))
    }

    /// Compares the books of Midtrans, the backend and the relay. The backend knows the outcome of every charge that was paid.
    /// There are as many pulses as orders that were dispensed. Each order that failed or is uncertain may have had one more.
    pub fn check_books(&self) {
        let paid = self.midtrans.transactions().into_iter().filter(|charge| charge["status"] == "settlement");
        let ends: Vec<String> = paid
            .map(|charge| {
                let order_id = charge["order_id"].as_str().expect("an id").to_owned();
                self.wait_order(&order_id, "an end", |order| order["outcome"]["outcome"].as_str().map(str::to_owned))
            })
            .collect();
        let count = |outcome: &str| ends.iter().filter(|end| *end == outcome).count();
        let (least, most) = (count("dispensed"), count("dispensed") + count("failed") + count("uncertain"));
        assert!((least..=most).contains(&self.pulses()), "{} pulses for {ends:?}", self.pulses());
    }

    // --- the machine's part towards the backend, for tests without a machine

    /// The body of `POST /v1/orders` for A1.
    pub fn order_body(&self, request_id: &str) -> Value {
        // As long as a ticket must be; another for each request.
        let ticket = format!("{:0>22}", request_id.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
        let keys: Value = serde_json::from_str(&std::fs::read_to_string(self.path().join("keys.json")).expect("there")).expect("JSON");
        json!({
            "request_id": request_id, "ticket": &ticket[ticket.len() - 22..], "kids": [keys["keys"][0]["kid"]], "item": "A1",
            "description": "Bottled tea", "amount": PRICE, "payment": "gopay", "timeout_s": 120
        })
    }

    /// Asks the backend for a charge.
    pub fn post_order(&self, body: &Value) -> HttpAnswer {
        let request_id = body["request_id"].as_str().unwrap_or_default();
        let url = format!("{}/v1/orders", self.backend_url);
        let mut body = body.clone();
        // Where there is a relay, its own key counts.
        if self.relayd.is_none() && body.is_object() {
            body["relay_key"] = json!(RelayKey::of(&relay_key()));
        }
        self.http.post(&url, Some(&self.token), &[("Idempotency-Key", request_id)], &body)
    }

    /// A charge for A1; the order.
    pub fn charge(&self) -> Value {
        let answer = self.post_order(&self.order_body(&new_request_id()));
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()
    }

    /// Posts to an order's resource: `cancel`, `outcome`.
    pub fn post_to(&self, order_id: &str, what: &str, body: &Value) -> HttpAnswer {
        self.http.post(&format!("{}/v1/orders/{order_id}/{what}", self.backend_url), Some(&self.token), &[], body)
    }

    /// The same; its order_id.
    pub fn charged(&self) -> String {
        self.charge()["order_id"].as_str().expect("an id").to_owned()
    }

    /// A charge for A1 that is paid, and known to be; its order_id.
    pub fn paid(&self) -> String {
        let order_id = self.charged();
        self.settle(&order_id);
        order_id
    }

    /// The same, and its machine has told an outcome.
    pub fn reported(&self, outcome: &str) -> String {
        let order_id = self.paid();
        self.tell(&order_id, outcome);
        order_id
    }

    /// The same, for other goods of a machine that has a name.
    pub fn reported_of(&self, (machine, goods, amount): (&str, &str, u64), outcome: &str) -> String {
        let mut body = self.order_body(&new_request_id());
        (body["machine"], body["description"], body["amount"]) = (machine.into(), goods.into(), amount.into());
        let answer = self.post_order(&body);
        assert_eq!(answer.status, 201, "{}", answer.text());
        let order_id = answer.json()["order_id"].as_str().expect("an id").to_owned();
        self.settle(&order_id);
        self.tell(&order_id, outcome);
        order_id
    }

    /// Its customer pays, and the backend knows.
    fn settle(&self, order_id: &str) {
        self.midtrans.pay(order_id, Via::Gopay);
        self.wait_order(order_id, "its receipt", |order| order["receipt"].as_str().map(|_| ()));
    }

    /// Its machine tells an outcome.
    fn tell(&self, order_id: &str, outcome: &str) {
        let answer = self.post_to(order_id, "outcome", &json!({ "outcome": outcome, "proof": self.proof(order_id, outcome) }));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// What the machine's relay would sign of an order, for tests without one.
    pub fn proof(&self, order_id: &str, outcome: &str) -> Option<String> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let order = self.order_at_backend(order_id);
        let id = |name: &str| order[name].as_str().expect("an id").to_owned();
        let lasts = [Last::Closed, Last::Dispensed, Last::Failed, Last::Uncertain];
        let outcome = lasts.into_iter().find(|last| last.delivery().as_str() == outcome)?;
        let statement = Statement {
            device: DeviceId::new(&id("device")).expect("an id"),
            ticket: Ticket::new(&id("ticket")).expect("a ticket"),
            order_id: None,
            number_of_try: serde_json::from_value(order["try"].clone()).expect("a number"),
            outcome,
            driven: outcome != Last::Closed,
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
        };
        Some(proof::sign(&relay_key(), &statement))
    }

    /// Runs a command of `qris-backend`.
    pub fn merchant(&self, arguments: &[&str]) -> Output {
        output(self.program_command(Program::Backend).args(arguments))
    }

    /// Posts a notification.
    pub fn notify(&self, body: &Value) -> HttpAnswer {
        self.http.post(&format!("{}/midtrans/notifications", self.backend_url), None, &[], body)
    }

    // --- the programs

    /// Relay first: `qrisd` sells nothing without it.
    pub fn start_machine(&mut self) {
        self.start_relayd();
        self.start_qrisd();
        self.wait_online();
        // The first request would be refused before that.
        self.qrisd.as_ref().expect("just started").wait_line("the relay service answers");
    }

    pub fn start_relayd(&mut self) {
        self.start(Program::Relayd);
    }

    pub fn start_qrisd(&mut self) {
        self.start(Program::Qrisd);
    }

    pub fn start_backend(&mut self) {
        self.start(Program::Backend);
    }

    pub fn start(&mut self, program: Program) {
        self.start_as(program, &mut self.service(program));
    }

    /// Starts a program by a command of one's own, and waits until its bus knows it.
    pub fn start_as(&mut self, program: Program, command: &mut Command) {
        // What the one before has said, and its name on the bus, are not taken for those of this one.
        drop(self.process(program).take());
        let on_bus = program.bus_name().filter(|_| self.bus.is_running()).map(|name| (Caller::connect(&self.bus.address), name));
        if let Some((bus, name)) = &on_bus {
            bus.wait_name(name, false);
        }
        if program == Program::Qrisd {
            self.qrisd_since = self.tap.count();
        }
        *self.process(program) = Some(Process::start_service(program.name(), command, self.path()));
        if let Some((bus, name)) = &on_bus {
            bus.wait_name(name, true);
        }
        if program == Program::Backend {
            // The connections to the one before ended with it.
            self.http = Http::new();
        }
    }

    /// Starts a program where something else is mounted.
    pub fn start_in(&mut self, program: Program, namespace: &super::namespace::Namespace) {
        self.start_as(program, &mut namespace.command(&self.service(program)));
    }

    /// Starts the backend under limits of its own: what a shell's `ulimit` takes.
    pub fn start_backend_under(&mut self, limits: &str) {
        let program = self.service(Program::Backend);
        let mut start = command(tool("sh"));
        start.args(["-c", &format!("ulimit {limits} && exec \"$0\" \"$@\"")]).arg(program.get_program()).args(program.get_args());
        self.start_as(Program::Backend, start.current_dir(self.path()));
    }

    pub fn process(&mut self, program: Program) -> &mut Option<Process> {
        match program {
            Program::Qrisd => &mut self.qrisd,
            Program::Relayd => &mut self.relayd,
            Program::Backend => &mut self.backend,
        }
    }

    /// The power cut.
    pub fn kill_machine(&mut self) {
        self.kill_qrisd();
        self.kill_relayd();
    }

    pub fn kill_qrisd(&mut self) {
        drop(self.qrisd.take());
    }

    pub fn kill_relayd(&mut self) {
        drop(self.relayd.take());
    }

    pub fn kill_backend(&mut self) {
        drop(self.backend.take());
    }

    /// Waits until the last status of the `qrisd` that was started last says that the machine is online.
    pub fn wait_online(&self) {
        self.tap.until("the machine to be online", |messages| {
            let status = last_status_of(&messages[self.qrisd_since..])?;
            (status["state"] == "online").then_some(())
        });
    }

    /// Waits until no order holds the machine.
    pub fn wait_idle(&self) {
        self.wait_status_of_machine("an idle machine", |status| (status["busy"] == false).then_some(()));
    }

    /// Waits until the machine's status lists a fault, or no longer does.
    pub fn wait_fault(&self, code: &str, there: bool) {
        let what = format!("fault {code} to {}", if there { "come" } else { "go" });
        self.wait_status_of_machine(&what, |status| {
            let faults = status["faults"].as_array()?;
            (faults.iter().any(|fault| fault["code"] == code) == there).then_some(())
        });
    }

    /// Waits until `look` makes something of the last status that was published.
    pub fn wait_status_of_machine<T>(&self, what: &str, look: impl Fn(&Value) -> Option<T>) -> T {
        self.tap.until(what, |messages| look(&last_status_of(messages)?))
    }

    pub fn last_status(&self) -> Option<Value> {
        last_status_of(&self.tap.messages())
    }

    /// The command with which the service manager starts a program.
    pub fn service(&self, program: Program) -> Command {
        let mut start = self.program_command(program);
        start.args((program == Program::Backend).then_some("serve"));
        start
    }

    /// A program with its configuration, in an environment of its own.
    pub fn program_command(&self, program: Program) -> Command {
        let mut start = command(program.binary());
        start.arg("--config").arg(self.config(program)).current_dir(self.path());
        start
    }

    /// Runs `qrisctl` as an operator of the fleet.
    pub fn qrisctl(&self, arguments: &[&str]) -> Output {
        output(self.qrisctl_command("fleet").args(arguments))
    }

    pub fn qrisctl_command(&self, user: &str) -> Command {
        self.broker.qrisctl(user, self.path())
    }

    /// A program's configuration file.
    pub fn config(&self, program: Program) -> PathBuf {
        self.path().join(program.file())
    }

    /// Changes a configuration file, for the next start of its program.
    pub fn edit(&self, program: Program, change: impl FnOnce(String) -> String) {
        let path = self.config(program);
        let text = std::fs::read_to_string(&path).expect("the configuration is there");
        std::fs::write(&path, change(text)).expect("written");
    }

    /// The directory in which everything is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Leaves the directory behind, for whoever looks into it.
    pub fn keep(&mut self) -> &Path {
        self.directory.disable_cleanup(true);
        self.path()
    }

    fn write_configuration(&self, backend_port: u16) {
        let (root, options) = (self.path(), &self.options);
        let tls = self.tls.as_ref().map(|tls| tls.of("client"));
        let tls = tls.as_ref();
        let [of_backend, of_machine] = [BACKEND, DEVICE].map(password);
        let broker_port = if tls.is_some() { self.broker.tls_port } else { self.broker.port };
        let merchant = MerchantFiles {
            root,
            port: backend_port,
            public: true,
            http: "orders_per_minute = 0\n",
            midtrans: &self.midtrans.url,
            server_key: SERVER_KEY,
            more: &options.midtrans,
            store: options.store.as_deref(),
            broker: Some(BrokerAccess { port: broker_port, password: &of_backend, tls }),
        };
        merchant.write(Program::Backend.file()).expect("written");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let simulated = format!("sim:{}", self.relay.0.display());
        let chip = options.chip.as_deref().unwrap_or(&simulated);
        let items = [
            item("A1", "Teh botol 350 ml", "Bottled tea 350 ml", PRICE),
            item("A2", "Air mineral 600 ml", "Water 600 ml", PRICE),
            item("exit", "Parkir", "Parking", "{ from_request = { min = 2000, max = 200000, mqtt = true } }"),
        ];
        let machine = MachineFiles {
            root,
            databases: root,
            broker: BrokerAccess { port: self.broker_link.port, password: &of_machine, tls },
            backend: &format!("{scheme}://127.0.0.1:{}", self.backend_link.port),
            bus: &self.bus.address,
            orders: &options.orders,
            screen: &options.screen.clone().unwrap_or_else(|| framebuffer(root, 480, 800)),
            items: &(items.concat() + &options.items),
            lines: &line("tray 1", &["*"], 2000, chip, &format!("offset = 17\n{}", options.line)),
        };
        machine.write().expect("written");
    }
}

/// A configuration of `qrisd` or `qris-backend` without its broker.
pub fn without_broker(text: String) -> String {
    let (before, section) = text.split_once("[mqtt]\n").expect("a broker");
    let (_, after) = section.split_once("\n[").expect("a section after it");
    format!("{before}[{after}")
}

/// One of the programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Program {
    Qrisd,
    Relayd,
    Backend,
}

impl Program {
    /// In the order in which they are started.
    pub const ALL: [Self; 3] = [Self::Backend, Self::Relayd, Self::Qrisd];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Qrisd => "qrisd",
            Self::Relayd => "qris-relayd",
            Self::Backend => "qris-backend",
        }
    }

    /// What it is called on the machine's bus.
    const fn bus_name(self) -> Option<&'static str> {
        match self {
            Self::Qrisd => Some(DEVICE_NAME),
            Self::Relayd => Some(RELAY_NAME),
            Self::Backend => None,
        }
    }

    pub const fn binary(self) -> &'static str {
        match self {
            Self::Qrisd => env!("CARGO_BIN_EXE_qrisd"),
            Self::Relayd => env!("CARGO_BIN_EXE_qris-relayd"),
            Self::Backend => env!("CARGO_BIN_EXE_qris-backend"),
        }
    }

    const fn file(self) -> &'static str {
        match self {
            Self::Qrisd => "qrisd.toml",
            Self::Relayd => "relay.toml",
            Self::Backend => "backend.toml",
        }
    }
}

/// A request_id that no other test uses.
pub fn new_request_id() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    format!("r-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A web server's part: HTTPS in front of the backend.
pub fn https_front(port: u16, backend_port: u16, tls: &Certificates) -> Process {
    https_front_of(port, backend_port, tls, "server")
}

/// The same with another certificate of the server.
pub fn https_front_of(port: u16, backend_port: u16, tls: &Certificates, certificate: &str) -> Process {
    let listen = format!(
        "OPENSSL-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,verify=0,cert={},key={}",
        tls.certificate(certificate).display(),
        tls.key(certificate).display()
    );
    let process = Process::start("socat", command(tool("socat")).args([listen, format!("TCP:127.0.0.1:{backend_port}")]));
    wait_for("socat to listen", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    process
}

fn last_status_of(messages: &[Message]) -> Option<Value> {
    messages.iter().rev().find(|message| message.topic == "qrisd/v1/vm-001/status").map(Message::json)
}
