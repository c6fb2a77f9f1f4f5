//! The whole installation in a temporary directory: a machine, a merchant's backend, a broker and a Midtrans. The
//! configuration files and commands are those of a real one.

use super::captions;
use super::chronicle::{EntryKind, InVain, Network, Who};
use super::controller::{self, Controller, ControllerError};
use super::directory::Directory;
use super::inside::{BrokerRunError, OURSELVES, RunningBroker};
use super::language::{self, Desk, Language};
use super::layout::{Files, Options, PRODUCTS, Product, SERVER_KEY};
use super::midtrans::{Midtrans, MidtransError};
use super::networks::{Networks, Sockets};
use super::owner::{Owner, OwnerError};
use super::panel::Panel;
use super::ports::{Lot, Ports};
use super::process::{self, Process, ProcessError, Program};
use super::sandbox::{self, SandboxError};
use super::shop::{self, DEVICE, SetUpError, random_name};
use super::watch::{self, Watched};
use axum::body::Bytes;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, Method};
use qris_core::order::ids::{DeviceId, OrderId, RequestId};
use qris_core::order::keys::{KeyError, KeyFile, Level};
use qris_core::order::money::Rupiah;
use qris_core::wire::orders::{ANSWER_MAX, OrderResource};
use qris_core::wire::stock::Slot;
use qris_core::wire::topics::Topic;
use qris_core::wire::vend::EventState;
use qris_host::config::MqttSettings;
use qris_host::http::{HttpError, Limits, client, read_limited};
use qris_host::mqtt::{EVENTS_WAITING_MAX, LinkSettings, Mqtt, Outbound, PublishId, Retained, Subscription};
use qris_host::secret::Secret;
use qris_host::tls::{LastTrusted, TlsError};
use reqwest::Url;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// The first connection to the broker.
const BROKER_WAIT: Duration = Duration::from_secs(10);
/// The machine's own controller finds its socket within this time.
const CONTROLLER_WAIT: Duration = Duration::from_secs(10);
/// The machine must hear of a press within this time, in seconds. After that the press is forgotten.
const PRESS_EXPIRY_S: u32 = 5;
/// One long poll of the backend; its answer comes when the order changes.
const POLL: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error(transparent)]
    SetUp(#[from] SetUpError),
    #[error("cannot turn the panel off")]
    Panel(#[source] io::Error),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Midtrans(#[from] MidtransError),
    #[error(transparent)]
    Broker(#[from] BrokerRunError),
    #[error("no connection to the broker within {} s", BROKER_WAIT.as_secs())]
    NoBroker,
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("the connection to the broker cannot be made")]
    Link(#[source] TlsError),
    #[error("the backend cannot be asked for order {order_id}")]
    Backend { order_id: OrderId, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the backend answered {status} when asked for order {order_id}")]
    BackendAnswer { order_id: OrderId, status: u16 },
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    InVain(#[from] InVain),
    #[error("the machine's keys cannot be written")]
    Keys(#[from] KeyError),
    #[error(transparent)]
    Owner(#[from] OwnerError),
    #[error(transparent)]
    Controller(#[from] ControllerError),
}

/// A server that has something for customers.
#[derive(Debug, Clone, Copy)]
pub enum Server {
    /// The page of their order.
    Backend,
    /// The pictures of its QRs, and the app that its link opens.
    Midtrans,
}

/// What a customer's phone asks for.
#[derive(Debug)]
pub struct CustomersRequest {
    /// GET, or POST of the app's form.
    pub method: Method,
    pub path: PathAndQuery,
    /// Those that mean something to the server.
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A running installation. Its parts end in the order of the fields.
#[derive(Debug)]
pub struct Site {
    pub watched: Arc<Watched>,
    pub panel: Panel,
    /// The simulated Midtrans' controls, unless the money is in the sandbox.
    pub midtrans: Option<Midtrans>,
    /// Where the sandbox is, if the money is there.
    pub sandbox: Option<Url>,
    pub owner: Option<Owner>,
    watchers: Vec<JoinHandle<()>>,
    networks: Networks,
    controller: Controller,
    mqtt: Mqtt,
    published: AtomicU64,
    /// How many somebody has put into the slots that are counted, by item.
    put_in: std::sync::Mutex<BTreeMap<&'static str, u64>>,
    desk: Arc<std::sync::Mutex<Desk>>,
    device: DeviceId,
    token: String,
    http: reqwest::Client,
    ports: Ports,
    machine: Mutex<Option<Machine>>,
    servers: Mutex<Vec<Process>>,
    broker: Mutex<Option<RunningBroker>>,
    directory: Directory,
    _lot: Lot<4>,
}

/// The programs that have power only when the machine has it.
#[derive(Debug)]
struct Machine {
    device: Process,
    relay: Process,
}

/// The merchant's programs, and what they gave.
struct Merchant {
    /// The last that was started ends first.
    servers: Vec<Process>,
    midtrans: Option<Midtrans>,
    owner: Option<Owner>,
    /// The machine's.
    token: String,
    desk: Desk,
}

impl Merchant {
    async fn start(files: Files<'_>, ports: Ports, options: &Options, watched: &Watched) -> Result<Self, SiteError> {
        let run = files.run();
        let start = async |program: Program| Process::start(&program, &run, &watched.chronicle).await;
        let mut servers = Vec::new();
        let mut midtrans = None;
        if options.sandbox.is_none() {
            let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.midtrans)).to_string();
            let arguments = ["--listen", &listen, "--server-key", SERVER_KEY].map(String::from).into();
            servers.push(start(Program { name: "midtrans", who: Who::Midtrans, arguments }).await?);
            midtrans = Some(Midtrans::new(ports.url(ports.midtrans))?);
        }

        let token = shop::enrol(&files.root.join("machine"), |command| {
            let said = process::backend(&files.backend(), command)?;
            Ok::<_, SiteError>(String::from_utf8_lossy(&said).into_owned())
        })?;
        let desk = Desk::new();
        let keys_file = files.machine("keys.json");
        let mut keys = KeyFile::read(&std::fs::read_to_string(&keys_file).map_err(SetUpError::at(&keys_file))?)?;
        keys.put_operator(&desk.key().to_operator_jwk(Level::Manage))?;
        shop::write(&keys_file, &keys.to_text())?;
        servers.push(start(Program::backend(&files.backend(), &["serve"])).await?);
        let mut owner = None;
        if let Some(ip) = options.desk {
            let (listen, socket) = (SocketAddr::from((ip, ports.desk)).to_string(), files.desk().display().to_string());
            let arguments = ["--listen", &listen, "--socket", &socket, "--plain-http", "--framed"].map(String::from).into();
            servers.push(start(Program { name: "qris-desk", who: Who::Backend, arguments }).await?);
            owner = Some(Owner::let_in(files, ports.desk).await?);
        }
        servers.reverse();
        Ok(Self { servers, midtrans, owner, token, desk })
    }
}

impl Site {
    /// Sets everything up and starts it. When this returns, everything is ready.
    ///
    /// # Errors
    /// The first part that does not work. Everything that was started is ended, and the directory is removed.
    pub async fn start(options: Options) -> Result<Self, SiteError> {
        let directory = Directory::create(&std::env::temp_dir(), options.keep)?;
        let lot = Lot::take()?;
        let ports = Ports::of(&lot);
        let watched = Arc::new(Watched::new());
        let sockets = Sockets::hold()?;
        let files = Files { root: &directory.path };
        let password = random_name();
        files.write(ports, sockets.ports(), &options, &password)?;
        let networks = Networks::lay(sockets, ports, &watched);
        let broker = RunningBroker::start(files, ports.broker, &password, options.mosquitto, &watched.chronicle).await?;
        let Merchant { servers, midtrans, owner, token, desk } = Merchant::start(files, ports, &options, &watched).await?;
        let sandbox = options.sandbox.map(|sandbox| sandbox.url);
        if sandbox.is_some() {
            sandbox::examine(&files.backend())?;
        }

        let device = DeviceId::new(DEVICE).expect("a well-formed name");
        let panel = Panel::new(files.machine("screen.raw"));
        let (mqtt, events) = Mqtt::start(link(&device, ports.broker, &password)?, EVENTS_WAITING_MAX);
        let up = tokio::sync::watch::Sender::new(false);
        let controller = Controller::default();
        let desk = Arc::new(std::sync::Mutex::new(desk));
        let mut is_up = up.subscribe();
        let watchers = vec![
            tokio::spawn(watch::broker(Arc::clone(&watched), mqtt.clone(), events, up, Arc::clone(&desk))),
            tokio::spawn(watch::panel(Arc::clone(&watched), panel.clone())),
            tokio::spawn(watch::line(Arc::clone(&watched), files.machine("relay.log"))),
            tokio::spawn(controller.clone().follow(Arc::clone(&watched), files.controller())),
        ];
        let limits = Limits { total: POLL * 2, read: POLL * 2, idle_connections: 1 };
        let site = Self {
            watched,
            panel,
            midtrans,
            sandbox,
            owner,
            watchers,
            networks,
            controller,
            mqtt,
            published: AtomicU64::new(0),
            put_in: Default::default(),
            desk,
            device,
            token,
            http: client(None, limits)?,
            ports,
            machine: Mutex::new(None),
            servers: Mutex::new(servers),
            broker: Mutex::new(Some(broker)),
            directory,
            _lot: lot,
        };
        let connected = tokio::time::timeout(BROKER_WAIT, is_up.wait_for(|up| *up)).await;
        if !matches!(connected, Ok(Ok(_))) {
            return Err(SiteError::NoBroker);
        }
        site.open().await?;
        Ok(site)
    }

    /// The machine gets its power, and its slots are filled: nobody has counted yet.
    async fn open(&self) -> Result<(), SiteError> {
        self.restore_power().await?;
        if tokio::time::timeout(CONTROLLER_WAIT, self.controller.is_there()).await.is_err() {
            return Err(ControllerError::Away.into());
        }
        for product in PRODUCTS.iter().filter(|product| product.capacity.is_some()) {
            self.put_in_more(product).await?;
        }
        Ok(())
    }

    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory.path
    }

    fn files(&self) -> Files<'_> {
        Files { root: &self.directory.path }
    }

    pub fn simulated(&self) -> Result<&Midtrans, MidtransError> {
        self.midtrans.as_ref().ok_or(MidtransError::NotSimulated)
    }

    /// The address that Midtrans' simulator asks for. `None`: the money is not in the sandbox, or there is no charge.
    pub fn picture(&self, order_id: &OrderId) -> Result<Option<String>, SiteError> {
        if self.sandbox.is_none() {
            return Ok(None);
        }
        Ok(sandbox::picture(&self.files().backend(), order_id)?)
    }

    #[must_use]
    pub fn line_log(&self) -> PathBuf {
        self.files().machine("relay.log")
    }

    /// A customer presses a product's button. The machine's controller publishes a real `vend/request`, or calls `Vend`
    /// on D-Bus while the machine has no connection to the broker.
    pub async fn request(&self, product: &Product, timeout_s: Option<u16>) -> Result<RequestId, SiteError> {
        let request_id = RequestId::new(&random_name()).expect("hexadecimal digits are allowed");
        let amount = Rupiah::new(product.rupiah).expect("the price list has amounts");
        let mut body = serde_json::json!({"request_id": request_id, "item": product.id, "amount": amount});
        if let Some(timeout_s) = timeout_s {
            body["timeout_s"] = timeout_s.into();
        }
        self.watched.chronicle.arrow(
            Who::Customer,
            Who::Machine,
            captions::presses(product.words(), amount),
            EntryKind::Press { item: product.id },
        );
        if let Some(owed) = self.watched.nothing_came()
            && self.controller.try_again(&owed, product.id).await
        {
            return Ok(owed);
        }
        if self.watched.view.borrow().connected {
            self.publish(Topic::VendRequest, &body);
        } else {
            let (state, reason) = self.controller.vend(&request_id, product.id, timeout_s).await?;
            // A refusal is the answer to the call. It is no news to others.
            if state == EventState::Refused.as_str() {
                controller::tell(&self.watched, request_id.as_str(), "", &state, &reason);
            }
        }
        Ok(request_id)
    }

    /// The cancel button: `vend/cancel`, or `Cancel` on D-Bus while the machine has no connection to the broker.
    pub async fn cancel(&self, request_id: &RequestId) -> Result<(), SiteError> {
        self.watched.chronicle.arrow(Who::Customer, Who::Machine, captions::presses_cancel(), EntryKind::Deed);
        if self.watched.view.borrow().connected {
            self.publish(Topic::VendCancel, &serde_json::json!({"request_id": request_id}));
            return Ok(());
        }
        Ok(self.controller.cancel(request_id).await?)
    }

    /// Where the machine may offer another try, its customer presses cancel: the offer ends. Else nothing happens.
    pub async fn decline(&self) -> Result<(), SiteError> {
        let Some(owed) = self.watched.decline() else { return Ok(()) };
        self.watched.chronicle.arrow(Who::Customer, Who::Machine, captions::presses_cancel(), EntryKind::Deed);
        // The answer is waited for, which the broker does not bring: a press may follow at once, and must find no offer.
        Ok(self.controller.cancel(&owed).await?)
    }

    /// Somebody opens the machine, fills the slot of a product, and says so to the machine.
    pub async fn fill(&self, product: &Product) -> Result<(), SiteError> {
        let count = self.put_in_more(product).await?;
        self.watched.chronicle.note(Who::Machine, captions::is_filled(product.words(), count), EntryKind::Filled { item: product.id });
        Ok(())
    }

    /// So many are in the slot then.
    async fn put_in_more(&self, product: &Product) -> Result<u32, SiteError> {
        let (before, after) = self.controller.fill(product.id).await?;
        let more = u64::from(after.saturating_sub(before.unwrap_or(0)));
        *self.put_in.lock().unwrap_or_else(PoisonError::into_inner).entry(product.id).or_default() += more;
        Ok(after)
    }

    #[must_use]
    pub fn put_in(&self, item: &str) -> u64 {
        self.put_in.lock().unwrap_or_else(PoisonError::into_inner).get(item).copied().unwrap_or(0)
    }

    pub async fn slots(&self) -> Result<Vec<Slot>, SiteError> {
        Ok(self.controller.slots().await?)
    }

    pub fn switch(&self, network: Network, up: bool) {
        self.networks.switch(network, up, &self.watched);
    }

    /// The machine's screen speaks this language as soon as no customer is there.
    pub fn speak(&self, language: Language) {
        let settings = self.desk.lock().unwrap_or_else(PoisonError::into_inner).want(language, &self.device);
        if let Some(settings) = settings {
            language::send(&self.mqtt, &self.device, settings);
        }
    }

    fn publish(&self, topic: Topic, body: &serde_json::Value) {
        let id = PublishId(self.published.fetch_add(1, Ordering::Relaxed));
        let message = Outbound {
            topic: topic.of(&self.device),
            payload: body.to_string().into_bytes(),
            expiry_s: Some(PRESS_EXPIRY_S),
            ..Outbound::default()
        };
        self.mqtt.publish(id, message);
    }

    /// The machine loses its power: both its programs end between two instructions, and the panel is dark.
    pub async fn cut_power(&self) -> Result<(), SiteError> {
        let Some(Machine { device, relay }) = self.machine.lock().await.take() else { return Ok(()) };
        self.watched.chronicle.note(Who::Demo, captions::cuts_power(), EntryKind::Power { on: false });
        device.kill();
        relay.kill();
        self.watched.change_view(|view| (view.power, view.driven, view.online) = (false, false, false));
        self.panel.go_dark().map_err(SiteError::Panel)
    }

    /// The machine gets its power back. When this returns, both its programs are ready.
    pub async fn restore_power(&self) -> Result<(), SiteError> {
        let mut machine = self.machine.lock().await;
        if machine.is_some() {
            return Ok(());
        }
        self.watched.chronicle.note(Who::Demo, captions::gives_power(), EntryKind::Power { on: true });
        self.watched.change_view(|view| view.power = true);
        let relay = self.start_on_machine("qris-relayd", Who::Relay, "relay.toml").await?;
        let device = self.start_on_machine("qrisd", Who::Machine, "qrisd.toml").await?;
        *machine = Some(Machine { device, relay });
        Ok(())
    }

    async fn start_on_machine(&self, name: &'static str, who: Who, config: &str) -> Result<Process, SiteError> {
        let config = self.files().machine(config);
        let program = Program { name, who, arguments: vec!["--config".into(), config.display().to_string()] };
        Ok(Process::start(&program, &self.files().run(), &self.watched.chronicle).await?)
    }

    /// From here on the relay's program stands still, until the power is cut: a call of `qrisd` to it stays unanswered.
    pub async fn freeze_relay(&self) -> Result<(), SiteError> {
        match &*self.machine.lock().await {
            Some(machine) => Ok(machine.relay.freeze()?),
            None => Ok(()),
        }
    }

    /// The backend's record of an order. With `since` it comes as soon as it has a later revision, or after five
    /// seconds.
    ///
    /// # Errors
    /// When the backend cannot be asked or does not know it.
    pub async fn order(&self, order_id: &OrderId, since: Option<u64>) -> Result<OrderResource, SiteError> {
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

    /// The root of a server that has something for customers, as its own pages write it.
    #[must_use]
    pub fn root_of(&self, server: Server) -> String {
        let port = match server {
            Server::Backend => self.ports.backend,
            Server::Midtrans => self.ports.midtrans,
        };
        format!("http://127.0.0.1:{port}")
    }

    /// What such a server answers to a customer, who reaches only the page.
    pub async fn pass_on(&self, server: Server, asked: CustomersRequest) -> Result<reqwest::Response, reqwest::Error> {
        let CustomersRequest { method, path, headers, body } = asked;
        self.http.request(method, format!("{}{path}", self.root_of(server))).headers(headers).body(body).send().await
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
        if let Some(broker) = self.broker.lock().await.take() {
            broker.stop().await;
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

fn link(device: &DeviceId, port: u16, password: &str) -> Result<LinkSettings, SiteError> {
    let topics = [Topic::VendRequest, Topic::VendCancel, Topic::VendEvent, Topic::PaymentUpdate, Topic::Status, Topic::ConfigReported];
    let subscription = |topic: Topic| Subscription {
        filter: topic.of(device),
        retained: Retained::Always,
        retain_as_published: false,
        at_most_once: false,
    };
    let broker = MqttSettings {
        host: Ipv4Addr::LOCALHOST.to_string(),
        port,
        tls: false,
        username: Some(OURSELVES.into()),
        password: Some(Secret::new(password)),
        ca_file: None,
        cert_file: None,
        key_file: None,
    };
    let mut settings = LinkSettings::new(broker, OURSELVES, &LastTrusted::default()).map_err(SiteError::Link)?;
    settings.subscriptions = topics.map(subscription).into();
    Ok(settings)
}
