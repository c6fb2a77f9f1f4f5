//! D-Bus as we use it: on a message bus, or without a bus on a socket of its own (`peer:/path`), with the same interfaces.
//!
//! [`serve`] keeps objects reachable. [`Remote`] keeps a connection to a service that does so. zbus does not reconnect
//! either of them. So both build a new connection when the old one is lost. Proxies may name their destination in both
//! cases: a peer without a bus name ignores it. Build them with [`CacheProperties::No`](zbus::proxy::CacheProperties::No):
//! a cached property outlives the service that said it.

use crate::backoff::Backoff;
use crate::config::BusAddress;
use crate::socket::{self, SocketError};
use futures_util::StreamExt;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use zbus::Address;
use zbus::address::Transport;
use zbus::address::transport::{Unix, UnixSocket};
use zbus::connection::Builder;
use zbus::fdo::{DBusProxy, Error as BusFault, NameOwnerChangedStream, RequestNameFlags};
use zbus::names::BusName;
use zbus::zvariant::DynamicType;
use zbus::{Connection, Guid, MatchRule, Message, MessageStream};

/// A call that is not answered for so long has an unknown outcome. It is more than the 20 s in which `Dispense`
/// answers. A caller that must not wait so long sets its own limit.
pub const METHOD_TIMEOUT: Duration = Duration::from_secs(25);
/// The longest time to connect, authentication included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A signal to one connection may take this long. A slower reader misses it.
pub const SIGNAL_TIMEOUT: Duration = Duration::from_secs(1);
/// The most connections that a socket without a bus serves at a time.
pub const PEERS_MAX: usize = 16;
/// The socket's mode. There is no bus and so no policy: everybody who may open it may call everything.
pub const SOCKET_MODE: u32 = 0o600;
const REMOTE_EVENTS: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum BusError {
    #[error("D-Bus {address}: {why}")]
    Connect { address: String, why: zbus::Error },
    #[error("D-Bus {address}: no answer in {} s", CONNECT_TIMEOUT.as_secs())]
    TimedOut { address: String },
    #[error("D-Bus {address}: another process already has {name}. It may be a second copy of this program: find it and stop it")]
    Taken { address: String, name: String },
    #[error("socket {path}: {why}", path = path.display())]
    Socket { path: PathBuf, why: SocketError },
}

/// Connects once, within [`CONNECT_TIMEOUT`].
pub async fn connect(address: &BusAddress) -> Result<Connection, BusError> {
    build(client_builder(address), &address.to_string()).await
}

/// Objects that are kept reachable. They go when it is dropped.
#[derive(Debug)]
pub struct Served {
    connections: Connections,
    first: Option<oneshot::Receiver<Result<(), BusError>>>,
    task: JoinHandle<()>,
    socket: Option<PathBuf>,
}

/// Serves objects at `address`, in a task of the current tokio runtime, until the answer is dropped. On a bus the
/// objects are registered, then `name` is taken. Without a bus every connection to the socket is served. A lost
/// connection or socket is rebuilt.
///
/// `setup` registers the interfaces (`builder.serve_at(path, interface)`). It is called for every connection, so
/// interfaces share the state behind them.
#[must_use]
pub fn serve<F>(address: &BusAddress, name: &'static str, setup: F) -> Served
where
    F: Fn(Builder<'static>) -> Builder<'static> + Send + Sync + 'static,
{
    let connections = Connections::default();
    let (first, first_rx) = oneshot::channel();
    let (task, socket) = match address {
        BusAddress::Peer(path) => {
            (tokio::spawn(serve_peers(path.clone(), Arc::new(setup), connections.clone(), first)), Some(path.clone()))
        }
        bus => (tokio::spawn(serve_bus(bus.clone(), name, setup, connections.clone(), first)), None),
    };
    Served { connections, first: Some(first_rx), task, socket }
}

impl Served {
    /// The result of the first attempt. The attempts go on after a failure too: a program that must own its name ends
    /// itself. A second call answers `Ok`.
    pub async fn ready(&mut self) -> Result<(), BusError> {
        match self.first.take() {
            // The task sends the result before it tries again, and never ends before that.
            Some(first) => first.await.unwrap_or(Ok(())),
            None => Ok(()),
        }
    }

    /// The live connections: one on a bus, one for each peer without.
    #[must_use]
    pub fn connections(&self) -> Vec<Connection> {
        self.connections.all()
    }

    /// Waits until a connection comes or goes. One that came or went since the last call counts too.
    pub async fn changed(&self) {
        self.connections.0.changed.notified().await;
    }

    /// Emits a signal to everybody. Signals are news: a reader that is not there, or does not read, misses it.
    pub async fn emit<B>(&self, path: &str, interface: &str, signal: &str, body: &B)
    where
        B: Serialize + DynamicType + Sync,
    {
        for connection in self.connections() {
            // The task that serves the connection notices when it is lost.
            drop(timeout(SIGNAL_TIMEOUT, connection.emit_signal(None::<&str>, path, interface, signal, body)).await);
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(path) = &self.socket {
            // A socket that another process owns must stay.
            if self.connections.is_listening() {
                socket::remove(path);
            }
        }
    }
}

#[derive(Debug, Clone)]
pub enum RemoteEvent {
    /// The service is there: make the proxies anew.
    Up { connection: Connection },
    /// The name has another owner now, on the same connection. Nothing that the old owner said holds any more.
    NewOwner,
    /// A signal of the service's object, from the name's owner.
    Signal(Message),
    /// The service is not there. Each reason is told once in a row.
    Down { reason: String },
}

#[derive(Debug, Clone, Copy)]
pub struct Object {
    pub name: &'static str,
    pub path: &'static str,
    /// The interface whose signals are heard.
    pub interface: &'static str,
}

/// Another program's service, watched, and its signals. On a bus it is up while its name has an owner; without a bus, while the
/// connection stands. It connects again by itself.
///
/// Everybody on a bus may send signals of any name. So only those are told that the name's owner of that moment has sent.
#[derive(Debug)]
pub struct Remote {
    events: mpsc::Receiver<RemoteEvent>,
    task: JoinHandle<()>,
}

impl Remote {
    /// Watches `object` at `address`, in a task of the current tokio runtime, until it is dropped.
    #[must_use]
    pub fn watch(address: BusAddress, object: Object) -> Self {
        let (events, events_rx) = mpsc::channel(REMOTE_EVENTS);
        Self { events: events_rx, task: tokio::spawn(watch(address, object, Watcher { events, last_reason: None })) }
    }

    /// The next event. The first comes as soon as it is known whether the service is there.
    pub async fn next(&mut self) -> RemoteEvent {
        match self.events.recv().await {
            Some(event) => event,
            // The task ends with its runtime only. Then nobody waits for an answer.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(address: BusAddress, object: Object, mut watcher: Watcher) {
    let mut backoff = Backoff::local(&address.to_string());
    loop {
        let reason = match connect(&address).await {
            Err(why) => why.to_string(),
            Ok(connection) => {
                let (watched, place) = match &address {
                    BusAddress::Peer(_) => (watch_peer(&connection, object, &mut watcher).await, ""),
                    _ => (watch_owner(&connection, object, &mut watcher).await, " to the bus"),
                };
                match watched {
                    Ok(()) => {
                        backoff.reset();
                        format!("the connection{place} was closed")
                    }
                    Err(why) => why.to_string(),
                }
            }
        };
        watcher.down(reason).await;
        sleep(backoff.next_wait()).await;
    }
}

/// Follows a peer until the connection is lost. Nobody else is on it, and there are no names.
async fn watch_peer(connection: &Connection, object: Object, watcher: &mut Watcher) -> zbus::Result<()> {
    let mut signals = hear(connection, object).await?;
    watcher.up(connection).await;
    while let Some(signal) = signals.next().await {
        watcher.signal(signal?, None).await;
    }
    Ok(())
}

/// Follows the owner of a name until the connection to the bus is lost.
async fn watch_owner(connection: &Connection, object: Object, watcher: &mut Watcher) -> zbus::Result<()> {
    let name = object.name;
    let bus = DBusProxy::builder(connection).cache_properties(zbus::proxy::CacheProperties::No).build().await?;
    // First listen, then ask: so no change is missed.
    let mut changes: NameOwnerChangedStream = bus.receive_name_owner_changed_with_args(&[(0, name)]).await?;
    let mut signals = hear(connection, object).await?;
    let mut owner = match bus.get_name_owner(BusName::try_from(name)?).await {
        Ok(owner) => Some(owner.to_string()),
        Err(BusFault::NameHasNoOwner(_)) => None,
        Err(fault) => return Err(fault.into()),
    };
    match &owner {
        Some(_) => watcher.up(connection).await,
        None => watcher.down(format!("nobody owns {name}")).await,
    }
    loop {
        let change = tokio::select! {
            // A new owner is known before its first signal is judged.
            biased;
            change = changes.next() => change,
            Some(signal) = signals.next() => {
                watcher.signal(signal?, owner.as_deref()).await;
                continue;
            }
            () = connection.closed() => None,
        };
        let Some(change) = change else { return Ok(()) };
        let new_owner = change.args()?.new_owner().as_ref().map(ToString::to_string);
        match (&owner, &new_owner) {
            // The question has shown this already.
            (old, new) if old == new => {}
            (_, None) => watcher.down(format!("nobody owns {name}")).await,
            (None, Some(_)) => watcher.up(connection).await,
            (Some(_), Some(_)) => watcher.tell(RemoteEvent::NewOwner).await,
        }
        owner = new_owner;
    }
}

/// The signals that look like the object's. The bus compares who broadcasts them. It does not for a signal that a stranger sends to
/// this connection alone, and zbus does not for a name that is not unique.
async fn hear(connection: &Connection, object: Object) -> zbus::Result<MessageStream> {
    let Object { name, path, interface } = object;
    let rule = MatchRule::builder().msg_type(zbus::message::Type::Signal).sender(name).path(path).interface(interface);
    MessageStream::for_match_rule(rule.build()?, connection, None).await
}

struct Watcher {
    events: mpsc::Sender<RemoteEvent>,
    last_reason: Option<String>,
}

impl Watcher {
    async fn up(&mut self, connection: &Connection) {
        self.last_reason = None;
        self.tell(RemoteEvent::Up { connection: connection.clone() }).await;
    }

    /// A bus writes the sender into each message. Without a bus there is neither a sender nor an owner.
    async fn signal(&self, signal: Message, owner: Option<&str>) {
        if signal.header().sender().map(|sender| sender.as_str()) == owner {
            self.tell(RemoteEvent::Signal(signal)).await;
        }
    }

    async fn down(&mut self, reason: String) {
        if self.last_reason.as_ref() != Some(&reason) {
            self.last_reason = Some(reason.clone());
            self.tell(RemoteEvent::Down { reason }).await;
        }
    }

    async fn tell(&self, event: RemoteEvent) {
        // The receiver goes with the `Remote`, and then this task ends.
        drop(self.events.send(event).await);
    }
}

/// Takes the outcome of the first attempt.
type First = oneshot::Sender<Result<(), BusError>>;

fn tell(first: &mut Option<First>, outcome: Result<(), BusError>) {
    if let Some(first) = first.take() {
        // The other side may have gone: nobody need listen.
        drop(first.send(outcome));
    }
}

async fn serve_bus<F>(address: BusAddress, name: &'static str, setup: F, connections: Connections, first: First)
where
    F: Fn(Builder<'static>) -> Builder<'static>,
{
    let mut first = Some(first);
    let mut backoff = Backoff::local(&address.to_string());
    loop {
        match join_bus(&address, name, &setup).await {
            Ok(connection) => {
                backoff.reset();
                connections.add(&connection);
                tell(&mut first, Ok(()));
                connection.closed().await;
                connections.remove_closed();
            }
            Err(error) => tell(&mut first, Err(error)),
        }
        sleep(backoff.next_wait()).await;
    }
}

/// Connects, registers, then takes the name, or fails. A program that only queues for the name would look ready and be deaf.
async fn join_bus<F>(address: &BusAddress, name: &'static str, setup: &F) -> Result<Connection, BusError>
where
    F: Fn(Builder<'static>) -> Builder<'static>,
{
    let connection = build(setup(client_builder(address)), &address.to_string()).await?;
    match connection.request_name_with_flags(name, RequestNameFlags::DO_NOT_QUEUE).await {
        Ok(_) => Ok(connection),
        Err(zbus::Error::NameTaken) => Err(BusError::Taken { address: address.to_string(), name: name.to_owned() }),
        Err(why) => Err(BusError::Connect { address: address.to_string(), why }),
    }
}

async fn serve_peers<F>(path: PathBuf, setup: Arc<F>, connections: Connections, first: First)
where
    F: Fn(Builder<'static>) -> Builder<'static> + Send + Sync + 'static,
{
    let mut first = Some(first);
    let mut backoff = Backoff::local(&path.to_string_lossy());
    let listener = loop {
        match socket::listen(&path, SOCKET_MODE).await {
            Ok(listener) => {
                connections.mark_listening();
                tell(&mut first, Ok(()));
                break listener;
            }
            Err(why) => tell(&mut first, Err(BusError::Socket { path: path.clone(), why })),
        }
        sleep(backoff.next_wait()).await;
    };
    let guid = Guid::generate();
    let mut peers = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if peers.len() < PEERS_MAX => match accepted {
                Ok((stream, _)) => {
                    peers.spawn(serve_peer(stream, guid.clone(), Arc::clone(&setup), connections.clone()));
                }
                // Most likely there are no descriptors left. That passes, but not at once.
                Err(_) => sleep(backoff.next_wait()).await,
            },
            Some(_) = peers.join_next() => {}
        }
    }
}

/// Serves one peer until it goes. A peer that cannot say who it is goes at once.
async fn serve_peer<F>(stream: UnixStream, guid: Guid<'static>, setup: Arc<F>, connections: Connections)
where
    F: Fn(Builder<'static>) -> Builder<'static>,
{
    let Ok(stream) = stream.into_std() else { return };
    let builder = setup(Builder::unix_stream(stream).server(guid).p2p());
    if let Ok(connection) = build(builder, "peer").await {
        connections.add(&connection);
        connection.closed().await;
        connections.remove_closed();
    }
}

fn client_builder(address: &BusAddress) -> Builder<'static> {
    match address {
        BusAddress::System => Builder::system(),
        BusAddress::Session => Builder::session(),
        BusAddress::Address(address) => Builder::address(address.as_str()),
        BusAddress::Peer(path) => Builder::address(Address::from(Transport::Unix(Unix::new(UnixSocket::File(path.clone()))))).p2p(),
    }
}

async fn build(builder: Builder<'static>, address: &str) -> Result<Connection, BusError> {
    match timeout(CONNECT_TIMEOUT, builder.method_timeout(METHOD_TIMEOUT).build()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(why)) => Err(BusError::Connect { address: address.to_owned(), why }),
        Err(_) => Err(BusError::TimedOut { address: address.to_owned() }),
    }
}

#[derive(Debug, Clone, Default)]
struct Connections(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    live: Mutex<Live>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Live {
    connections: Vec<Connection>,
    /// The socket is ours.
    listening: bool,
}

impl Connections {
    fn add(&self, connection: &Connection) {
        self.with(|live| live.connections.push(connection.clone()));
        self.0.changed.notify_one();
    }

    fn remove_closed(&self) {
        self.with(|live| live.connections.retain(|connection| !connection.is_closed()));
        self.0.changed.notify_one();
    }

    fn all(&self) -> Vec<Connection> {
        self.with(|live| live.connections.clone())
    }

    fn mark_listening(&self) {
        self.with(|live| live.listening = true);
    }

    fn is_listening(&self) -> bool {
        self.with(|live| live.listening)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Live) -> T) -> T {
        // No code under the lock can panic half-way, so the data behind a poisoned lock is whole.
        change(&mut self.0.live.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
