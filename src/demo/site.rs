//! The whole installation in a temporary directory: a machine, a merchant's backend, a broker and a Midtrans, with the
//! configuration files and commands that a real one has.

use super::chronicle::{Fact, InVain, Who};
use super::midtrans::{Midtrans, MidtransError};
use super::panel::{HEIGHT, Panel, WIDTH};
use super::process::{self, Process, ProcessError, Program};
use super::watch::{self, Watched};
use crate::host::config::MqttSettings;
use crate::host::http::{HttpError, Limits, client, read_limited};
use crate::host::mqtt::{EVENTS_WAITING_MAX, LinkSettings, Mqtt, Outbound, PublishId, Retained, Subscription};
use crate::host::tls::{LastTrusted, TlsError};
use crate::order::ids::{DeviceId, OrderId, RequestId};
use crate::order::money::Rupiah;
use crate::wire::orders::{ANSWER_MAX, Order};
use crate::wire::topics::Topic;
use reqwest::Url;
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// The machine's name everywhere.
const DEVICE: &str = "vm-001";
/// What the simulated Midtrans knows the merchant by. It guards nothing.
const SERVER_KEY: &str = "SB-Mid-server-demo";
/// The first connection to the embedded broker.
const BROKER_WAIT: Duration = Duration::from_secs(10);
/// One long poll of the backend; its answer comes when the order changes.
const POLL: Duration = Duration::from_secs(5);

/// What the machine sells, for page, script and configuration alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Product {
    /// The item's id.
    pub id: &'static str,
    /// On the button and the screen.
    pub name: &'static str,
    /// On the screen of an Indonesian machine.
    #[serde(skip)]
    name_id: &'static str,
    /// Whole rupiah.
    pub rupiah: u64,
}

/// The price list.
pub const PRODUCTS: [Product; 4] = [
    Product { id: "A1", name: "Bottled tea 350 ml", name_id: "Teh botol 350 ml", rupiah: 5_000 },
    Product { id: "A2", name: "Mineral water 600 ml", name_id: "Air mineral 600 ml", rupiah: 4_000 },
    Product { id: "A3", name: "Iced coffee 220 ml", name_id: "Es kopi 220 ml", rupiah: 9_500 },
    Product { id: "A4", name: "Cassava chips 120 g", name_id: "Keripik singkong 120 g", rupiah: 12_000 },
];

/// Why the installation does not stand, or does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// The temporary directory, a file in it or a port.
    #[error("cannot set up {what}")]
    SetUp {
        /// What.
        what: String,
        /// The system's reason.
        source: io::Error,
    },
    /// No randomness for names.
    #[error("the system gives no random numbers")]
    Random,
    /// A program.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The simulated Midtrans.
    #[error(transparent)]
    Midtrans(#[from] MidtransError),
    /// Our own connection to the broker.
    #[error("no connection to the embedded broker within {} s", BROKER_WAIT.as_secs())]
    Broker,
    /// Nor can its settings be used.
    #[error("the connection to the embedded broker cannot be made")]
    Link(#[source] TlsError),
    /// The backend could not be asked.
    #[error("the backend cannot be asked for order {order_id}")]
    Backend {
        /// For which order.
        order_id: OrderId,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The backend answered something else than an order.
    #[error("the backend answered {status} when asked for order {order_id}")]
    BackendAnswer {
        /// For which order.
        order_id: OrderId,
        /// The HTTP status.
        status: u16,
    },
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Something that should happen did not.
    #[error(transparent)]
    InVain(#[from] InVain),
}

/// What differs between the page and the script.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The temporary directory stays when all has ended.
    pub keep: bool,
    /// `late_settlement_grace_s` of the machine.
    pub grace_s: u32,
    /// `cancel_wait_s` of the machine.
    pub cancel_wait_s: u32,
}

/// A running installation. Its parts end in the order in which they stand here.
#[derive(Debug)]
pub struct Site {
    /// What happened and how things are.
    pub watched: Arc<Watched>,
    /// The machine's panel.
    pub panel: Panel,
    /// The simulated Midtrans' controls.
    pub midtrans: Midtrans,
    watchers: Vec<JoinHandle<()>>,
    mqtt: Mqtt,
    published: AtomicU64,
    device: DeviceId,
    token: String,
    http: reqwest::Client,
    ports: Ports,
    machine: Mutex<Option<Machine>>,
    servers: Mutex<Vec<Process>>,
    directory: Directory,
}

/// What has power only when the machine has.
#[derive(Debug)]
struct Machine {
    device: Process,
    relay: Process,
}

impl Site {
    /// Sets everything up and starts it; when this returns, everything is ready.
    ///
    /// # Errors
    /// The first thing that does not work. What was started is ended, and the directory removed.
    pub async fn start(options: Options) -> Result<Self, SiteError> {
        let directory = Directory::create(&std::env::temp_dir(), options.keep)?;
        let ports = Ports::find()?;
        let watched = Arc::new(Watched::new());
        let files = Files { root: &directory.path, ports: &ports, options };
        files.write()?;
        let (run, chronicle) = (directory.path.join("run"), Arc::clone(&watched.chronicle));
        let start = |name, who, arguments: Vec<String>| {
            let (run, chronicle) = (run.clone(), Arc::clone(&chronicle));
            async move { Process::start(&Program { name, who, arguments }, &run, &chronicle).await }
        };
        let listen = |port: u16| vec!["--listen".into(), SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string()];

        let broker = start("broker", Who::Broker, listen(ports.broker)).await?;
        let simulator = [listen(ports.midtrans), vec!["--server-key".into(), SERVER_KEY.into()]].concat();
        let simulator = start("midtrans", Who::Midtrans, simulator).await?;

        files.backend(&["keys", "new"])?;
        write_new(&files.machine("keys.json"), &files.backend(&["keys", "public"])?)?;
        let backend = start("qris-backend", Who::Backend, files.backend_arguments(&["serve"])).await?;
        let token = files.backend(&["device", "add", DEVICE])?;
        write_new(&files.machine("backend-token"), &token)?;
        let token = String::from_utf8_lossy(&token).trim().to_owned();

        let device = DeviceId::new(DEVICE).expect("a well-formed name");
        let panel = Panel::new(files.machine("screen.raw"));
        let midtrans = Midtrans::new(ports.url(ports.midtrans))?;
        let (mqtt, events) = Mqtt::start(link(&device, ports.broker)?, EVENTS_WAITING_MAX);
        let up = tokio::sync::watch::Sender::new(false);
        let mut is_up = up.subscribe();
        let watchers = vec![
            tokio::spawn(watch::broker(Arc::clone(&watched), mqtt.clone(), events, up)),
            tokio::spawn(watch::panel(Arc::clone(&watched), panel.clone())),
            tokio::spawn(watch::line(Arc::clone(&watched), files.machine("relay.log"))),
            tokio::spawn(midtrans.clone().follow(Arc::clone(&watched))),
        ];
        let limits = Limits { total: POLL * 2, read: POLL * 2, idle_connections: 1 };
        let site = Self {
            watched,
            panel,
            midtrans,
            watchers,
            mqtt,
            published: AtomicU64::new(0),
            device,
            token,
            http: client(None, limits)?,
            ports,
            machine: Mutex::new(None),
            servers: Mutex::new(vec![backend, simulator, broker]),
            directory,
        };
        let connected = tokio::time::timeout(BROKER_WAIT, is_up.wait_for(|up| *up)).await;
        if !matches!(connected, Ok(Ok(_))) {
            return Err(SiteError::Broker);
        }
        site.restore_power().await?;
        Ok(site)
    }

    /// Where everything is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory.path
    }

    /// The relay line's log.
    #[must_use]
    pub fn line_log(&self) -> PathBuf {
        self.directory.path.join("machine/relay.log")
    }

    /// A customer presses a product's button: the machine's controller publishes a real `vend/request`.
    ///
    /// # Errors
    /// When there is no randomness for its id.
    pub fn request(&self, product: &Product, timeout_s: Option<u16>) -> Result<RequestId, SiteError> {
        let request_id = RequestId::new(&random_name()?).expect("hexadecimal digits are allowed");
        let amount = Rupiah::new(product.rupiah).expect("the price list has amounts");
        let mut body = serde_json::json!({"request_id": request_id, "item": product.id, "amount": amount});
        if let Some(timeout_s) = timeout_s {
            body["timeout_s"] = timeout_s.into();
        }
        self.watched.chronicle.note(Who::Customer, format!("presses {} for {amount}", product.name), Fact::Deed);
        self.publish(Topic::VendRequest, &body);
        Ok(request_id)
    }

    /// The cancel button: `vend/cancel`.
    pub fn cancel(&self, request_id: &RequestId) {
        self.watched.chronicle.note(Who::Customer, "presses cancel", Fact::Deed);
        self.publish(Topic::VendCancel, &serde_json::json!({"request_id": request_id}));
    }

    fn publish(&self, topic: Topic, body: &serde_json::Value) {
        let id = PublishId(self.published.fetch_add(1, Ordering::Relaxed));
        let message = Outbound { topic: topic.of(&self.device), payload: body.to_string().into_bytes(), ..Outbound::default() };
        self.mqtt.publish(id, message);
    }

    /// The machine loses its power: both its programs are gone between two instructions, and the panel is dark.
    ///
    /// # Errors
    /// When the panel's file cannot be written.
    pub async fn cut_power(&self) -> Result<(), SiteError> {
        let Some(Machine { device, relay }) = self.machine.lock().await.take() else { return Ok(()) };
        self.watched.chronicle.note(Who::Demo, "cuts the machine's power", Fact::Deed);
        device.kill();
        relay.kill();
        self.watched.look(|view| (view.power, view.driven, view.online) = (false, false, false));
        self.panel.go_dark().map_err(|source| set_up(self.panel.path(), source))
    }

    /// The machine gets its power back; when this returns, both its programs are ready.
    ///
    /// # Errors
    /// When one of them does not start.
    pub async fn restore_power(&self) -> Result<(), SiteError> {
        let mut machine = self.machine.lock().await;
        if machine.is_some() {
            return Ok(());
        }
        self.watched.chronicle.note(Who::Demo, "gives the machine its power", Fact::Deed);
        self.watched.look(|view| view.power = true);
        let relay = self.start_on_machine("qris-relayd", Who::Relay, "relay.toml").await?;
        let device = self.start_on_machine("qrisd", Who::Machine, "qrisd.toml").await?;
        *machine = Some(Machine { device, relay });
        Ok(())
    }

    async fn start_on_machine(&self, name: &'static str, who: Who, config: &str) -> Result<Process, SiteError> {
        let config = self.directory.path.join("machine").join(config);
        let program = Program { name, who, arguments: vec!["--config".into(), config.display().to_string()] };
        Ok(Process::start(&program, &self.directory.path.join("run"), &self.watched.chronicle).await?)
    }

    /// The relay's program stands still from here on, until the power is cut: whatever `qrisd` asks of it is under way.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn freeze_relay(&self) -> Result<(), SiteError> {
        match &*self.machine.lock().await {
            Some(machine) => Ok(machine.relay.freeze()?),
            None => Ok(()),
        }
    }

    /// The backend's record of an order; with `since`, as soon as it is of a later revision, or after five seconds.
    ///
    /// # Errors
    /// When the backend cannot be asked or does not know it.
    pub async fn order(&self, order_id: &OrderId, since: Option<u64>) -> Result<Order, SiteError> {
        let mut url = self.ports.url(self.ports.backend);
        url.path_segments_mut().expect("an http address has a path").clear().extend(["v1", "orders", order_id.as_str()]);
        if let Some(since) = since {
            url.set_query(Some(&format!("wait={}&since={since}", POLL.as_secs())));
        }
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| SiteError::Backend { order_id: order_id.clone(), source };
        let response = self.http.get(url).bearer_auth(&self.token).send().await.map_err(|error| failed(error.into()))?;
        let status = response.status();
        if !status.is_success() {
            return Err(SiteError::BackendAnswer { order_id: order_id.clone(), status: status.as_u16() });
        }
        let body = read_limited(response, ANSWER_MAX).await.map_err(|error| failed(error.into()))?;
        serde_json::from_slice(&body).map_err(|error| failed(error.into()))
    }

    /// Ends every program, each with SIGTERM first. The directory goes with the last holder of this value.
    pub async fn stop(&self) {
        for watcher in &self.watchers {
            watcher.abort();
        }
        self.mqtt.stop(None);
        if let Some(Machine { device, relay }) = self.machine.lock().await.take() {
            tokio::join!(device.stop(), relay.stop());
        }
        for server in self.servers.lock().await.drain(..) {
            server.stop().await;
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for watcher in &self.watchers {
            watcher.abort();
        }
    }
}

fn link(device: &DeviceId, port: u16) -> Result<LinkSettings, SiteError> {
    let topics = [Topic::VendRequest, Topic::VendCancel, Topic::VendEvent, Topic::PaymentUpdate, Topic::Status];
    let subscription = |topic: Topic| Subscription { filter: topic.of(device), retained: Retained::Always, retain_as_published: false };
    let broker = MqttSettings {
        host: Ipv4Addr::LOCALHOST.to_string(),
        port,
        tls: false,
        username: None,
        password: None,
        ca_file: None,
        cert_file: None,
        key_file: None,
    };
    let mut settings = LinkSettings::new(broker, "qris-demo", &LastTrusted::default()).map_err(SiteError::Link)?;
    settings.subscriptions = topics.map(subscription).into();
    Ok(settings)
}

/// Free loopback ports, one for each server.
#[derive(Debug, Clone, Copy)]
struct Ports {
    broker: u16,
    midtrans: u16,
    backend: u16,
}

impl Ports {
    /// All are held at once while they are looked for, so that they differ. Between here and a server's start somebody
    /// else could take one: then that server does not become ready and says why.
    fn find() -> Result<Self, SiteError> {
        let held = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| Ok((listener.local_addr()?.port(), listener)));
        let all = (|| Ok((held()?, held()?, held()?)))();
        let ((broker, _a), (midtrans, _b), (backend, _c)) =
            all.map_err(|source| SiteError::SetUp { what: "loopback ports".into(), source })?;
        Ok(Self { broker, midtrans, backend })
    }

    fn url(self, port: u16) -> Url {
        Url::parse(&format!("http://127.0.0.1:{port}/")).expect("a well-formed address")
    }
}

/// The files of the installation, as design and manuals name them.
struct Files<'a> {
    root: &'a Path,
    ports: &'a Ports,
    options: Options,
}

impl Files<'_> {
    fn machine(&self, name: &str) -> PathBuf {
        self.root.join("machine").join(name)
    }

    fn merchant(&self, name: &str) -> PathBuf {
        self.root.join("merchant").join(name)
    }

    fn write(&self) -> Result<(), SiteError> {
        for name in ["machine", "merchant", "run"] {
            let path = self.root.join(name);
            fs::DirBuilder::new().mode(0o700).create(&path).map_err(|source| set_up(&path, source))?;
        }
        write_new(&self.merchant("server-key"), SERVER_KEY.as_bytes())?;
        write_new(&self.merchant("backend.toml"), self.backend_toml().as_bytes())?;
        write_new(&self.machine("qrisd.toml"), self.qrisd_toml().as_bytes())?;
        write_new(&self.machine("relay.toml"), self.relay_toml().as_bytes())
    }

    fn backend_arguments(&self, command: &[&str]) -> Vec<String> {
        let config = self.merchant("backend.toml").display().to_string();
        ["--config", config.as_str()].iter().chain(command).map(ToString::to_string).collect()
    }

    /// A command of `qris-backend`, as an operator types it.
    fn backend(&self, command: &[&str]) -> Result<Vec<u8>, SiteError> {
        Ok(process::run(&Program { name: "qris-backend", who: Who::Backend, arguments: self.backend_arguments(command) })?)
    }

    fn qrisd_toml(&self) -> String {
        let Ports { broker, backend, .. } = self.ports;
        let Options { grace_s, cancel_wait_s, .. } = self.options;
        let file = |name| quoted(&self.machine(name).display().to_string());
        let mut text = format!(
            r#"[device]
id = "{DEVICE}"
name = "Lobby"
language = "en"
[mqtt]
url = "mqtt://127.0.0.1:{broker}"
[backend]
url = "http://127.0.0.1:{backend}"
token_file = {token}
[receipts]
keys_file = {keys}
[orders]
timeout_s = 120
orders_per_minute = 60
cancel_wait_s = {cancel_wait_s}
late_settlement_grace_s = {grace_s}
[store]
path = {store}
[screen]
virtual = {{ path = {screen}, width = {WIDTH}, height = {HEIGHT}, format = "rgb565" }}
contact = "0812-3456-7890"
[relay]
bus = {bus}
"#,
            token = file("backend-token"),
            keys = file("keys.json"),
            store = file("qrisd.db"),
            screen = file("screen.raw"),
            bus = self.bus(),
        );
        for Product { id, name, name_id, rupiah } in PRODUCTS {
            // Writing to a String does not fail.
            let _ = write!(text, "[[item]]\nid = \"{id}\"\nname = {{ id = \"{name_id}\", en = \"{name}\" }}\nprice = {rupiah}\n");
        }
        text
    }

    fn relay_toml(&self) -> String {
        let items = PRODUCTS.map(|product| format!("\"{}\"", product.id)).join(", ");
        let min_amount = PRODUCTS.iter().map(|product| product.rupiah).min().expect("something is sold");
        format!(
            r#"[device]
id = "{DEVICE}"
[dbus]
bus = {bus}
[receipts]
keys_file = {keys}
[ledger]
path = {ledger}
[[line]]
name = "tray 1"
items = [{items}]
min_amount = {min_amount}
chip = {chip}
pulse_ms = 500
"#,
            bus = self.bus(),
            keys = quoted(&self.machine("keys.json").display().to_string()),
            ledger = quoted(&self.machine("ledger.db").display().to_string()),
            chip = quoted(&format!("sim:{}", self.machine("relay.log").display())),
        )
    }

    /// A socket without a bus: a laptop may have none.
    fn bus(&self) -> String {
        quoted(&format!("peer:{}", self.machine("relay.sock").display()))
    }

    fn backend_toml(&self) -> String {
        let Ports { broker, midtrans, backend } = self.ports;
        let file = |name| quoted(&self.merchant(name).display().to_string());
        format!(
            r#"[http]
listen = "127.0.0.1:{backend}"
public_url = "http://127.0.0.1:{backend}"
orders_per_minute = 60
[midtrans]
base_url = "http://127.0.0.1:{midtrans}"
server_key_file = {server_key}
[store]
url = {store}
[mqtt]
url = "mqtt://127.0.0.1:{broker}"
[receipts]
issuer = "demo"
signing_key_file = {signing_key}
"#,
            server_key = file("server-key"),
            store = quoted(&format!("sqlite://{}", self.merchant("orders.db").display())),
            signing_key = file("signing-key.json"),
        )
    }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A file that only its owner reads, as secrets must be.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), SiteError> {
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|source| set_up(path, source))
}

fn set_up(path: &Path, source: io::Error) -> SiteError {
    SiteError::SetUp { what: path.display().to_string(), source }
}

fn random_name() -> Result<String, SiteError> {
    let mut bits = [0; 16];
    SystemRandom::new().fill(&mut bits).map_err(|_| SiteError::Random)?;
    Ok(bits.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What the names of our temporary directories begin with.
const PREFIX: &str = "qris-demo-";
/// In a directory that is to go: locked as long as its demo lives.
const LOCK: &str = "lock";

/// The temporary directory, gone with this value. One that a killed demo left is removed by the next.
#[derive(Debug)]
struct Directory {
    path: PathBuf,
    /// There unless the directory is kept.
    lock: Option<fs::File>,
}

impl Directory {
    fn create(parent: &Path, keep: bool) -> Result<Self, SiteError> {
        sweep(parent);
        // Short: the path of a socket in it has at most 107 bytes.
        let path = parent.join(format!("{PREFIX}{}", &random_name()?[..12]));
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(|source| set_up(&path, source))?;
        let mut directory = Self { path, lock: None };
        if !keep {
            let path = directory.path.join(LOCK);
            let lock = fs::File::create(&path).and_then(|file| file.try_lock().map(|()| file).map_err(io::Error::from));
            directory.lock = Some(lock.map_err(|source| set_up(&path, source))?);
        }
        Ok(directory)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // What cannot be removed is left to whoever clears the temporary directory.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Removes what killed demos left: directories whose lock nobody holds. A kept one has none.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        // A directory of somebody else, or one that is being made, is not ours to open or lock.
        if ours && fs::File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_toml() {
        let options = Options { keep: false, grace_s: 5, cancel_wait_s: 3 };
        let files = Files { root: Path::new("/tmp/a \"b\""), ports: &Ports { broker: 1, midtrans: 2, backend: 3 }, options };
        let read = |text: String| text.parse::<toml::Table>().unwrap_or_else(|error| panic!("{error}\n{text}"));
        let qrisd = read(files.qrisd_toml());
        assert_eq!(qrisd["item"].as_array().map(Vec::len), Some(PRODUCTS.len()));
        assert_eq!(qrisd["screen"]["virtual"]["path"].as_str(), Some("/tmp/a \"b\"/machine/screen.raw"));
        let relay = read(files.relay_toml());
        assert_eq!(relay["line"][0]["items"].as_array().map(Vec::len), Some(PRODUCTS.len()));
        assert_eq!(relay["dbus"]["bus"], qrisd["relay"]["bus"]);
        assert_eq!(read(files.backend_toml())["midtrans"]["base_url"].as_str(), Some("http://127.0.0.1:2"));
    }

    #[test]
    fn the_directory_goes_with_its_value_or_with_the_next_demo_unless_it_is_kept() {
        let parent = tempfile::tempdir().expect("a directory");
        let create = |keep| Directory::create(parent.path(), keep).expect("a directory");
        let killed = create(false);
        let left = killed.path.clone();
        let living = create(false);
        assert!(left.exists(), "its demo lives");
        drop({
            // As SIGKILL would: the lock goes, the directory stays.
            let mut killed = killed;
            killed.lock.take()
        });
        assert!(left.exists());
        let kept = create(true).path.clone();
        assert!(!left.exists(), "swept by the next");
        drop(create(false));
        let path = living.path.clone();
        assert!(kept.exists() && path.exists());
        drop(living);
        assert!(!path.exists());
    }
}
