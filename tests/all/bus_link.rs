//! Serving and watching a D-Bus service, on a socket without a bus and on a private dbus-daemon.

use crate::rig::{Running, soon, wait_for};
use futures_util::StreamExt as _;
use qris::host::bus::{self, BusError, Object, Remote, RemoteEvent, Served};
use qris::host::config::BusAddress;
use qris::host::socket::SocketError;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use zbus::Connection;

const NAME: &str = "io.qrisd.Test1";
const PATH: &str = "/io/qrisd/Test1";
const OBJECT: Object = Object { name: NAME, path: PATH, interface: NAME };

/// Counts its calls, over all connections.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicU32>);

#[zbus::interface(name = "io.qrisd.Test1")]
impl Counter {
    fn count(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn refuse(&self) -> zbus::fdo::Result<()> {
        Err(zbus::fdo::Error::AccessDenied("not you".to_owned()))
    }
}

fn serve(address: &BusAddress, counter: &Counter) -> Served {
    let counter = counter.clone();
    bus::serve(address, NAME, move |builder| builder.serve_at(PATH, counter.clone()))
}

async fn count(connection: &Connection) -> zbus::Result<u32> {
    let reply = soon("the answer", connection.call_method(Some(NAME), PATH, Some(NAME), "Count", &())).await?;
    reply.body().deserialize()
}

async fn next(remote: &mut Remote) -> RemoteEvent {
    soon("an event of the service", remote.next()).await
}

async fn up(remote: &mut Remote) -> Connection {
    loop {
        match next(remote).await {
            RemoteEvent::Up { connection } => return connection,
            RemoteEvent::Down { .. } => {}
            other => panic!("not up before, and now {other:?}"),
        }
    }
}

/// The next signal's number, which all of this test have.
async fn number(remote: &mut Remote) -> u32 {
    match next(remote).await {
        RemoteEvent::Signal(signal) => signal.body().deserialize().expect("a number"),
        other => panic!("no signal but {other:?}"),
    }
}

async fn down(remote: &mut Remote) -> String {
    match next(remote).await {
        RemoteEvent::Down { reason } => reason,
        other => panic!("not down but {other:?}"),
    }
}

/// What holds on every kind of address.
async fn a_service_comes_answers_goes_and_comes_again(address: BusAddress) {
    let counter = Counter::default();
    let mut remote = Remote::watch(address.clone(), OBJECT);
    down(&mut remote).await;

    let mut served = serve(&address, &counter);
    soon("the service", served.ready()).await.expect("nobody else is there");
    let connection = up(&mut remote).await;
    assert_eq!(count(&connection).await.expect("an answer"), 1);
    // The standard's own errors come as `FDO`, all others as `MethodError`.
    let refused = connection.call_method(Some(NAME), PATH, Some(NAME), "Refuse", &()).await.expect_err("it refuses");
    assert!(matches!(&refused, zbus::Error::FDO(why) if matches!(**why, zbus::fdo::Error::AccessDenied(_))), "{refused:?}");

    served.emit(PATH, NAME, "Changed", &7_u32).await;
    assert_eq!(number(&mut remote).await, 7);

    let mut second = serve(&address, &counter);
    let refused = soon("the refusal", second.ready()).await;
    assert!(matches!(refused, Err(BusError::Taken { .. } | BusError::Socket { why: SocketError::Taken, .. })), "{refused:?}");
    drop(second);
    assert_eq!(count(&connection).await.expect("the first is not disturbed"), 2);

    drop(served);
    down(&mut remote).await;
    let mut served = serve(&address, &counter);
    soon("the service", served.ready()).await.expect("the first is gone");
    let connection = up(&mut remote).await;
    assert_eq!(count(&connection).await.expect("an answer"), 3);
}

#[tokio::test]
async fn without_a_bus_a_service_comes_answers_goes_and_comes_again() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let socket = folder.path().join("relay");
    // As an earlier process leaves it when its power is cut.
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("the directory is writable"));
    a_service_comes_answers_goes_and_comes_again(BusAddress::Peer(socket.clone())).await;
    assert!(!socket.exists(), "the socket goes with the service");
}

#[tokio::test]
async fn without_a_bus_a_file_at_the_path_stays() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("notes");
    std::fs::write(&path, "mine").expect("written");
    let mut served = serve(&BusAddress::Peer(path.clone()), &Counter::default());
    let told = soon("the refusal", served.ready()).await.expect_err("it is no socket").to_string();
    drop(served);
    assert_eq!(std::fs::read_to_string(&path).ok().as_deref(), Some("mine"), "{told}");
    assert!(told.contains(&*path.to_string_lossy()) && told.contains("no socket"), "{told}");
    // Somebody has put a file in the place of the socket while it listens.
    std::fs::remove_file(&path).expect("removed");
    let mut served = serve(&BusAddress::Peer(path.clone()), &Counter::default());
    soon("the service", served.ready()).await.expect("nobody else is there");
    std::fs::remove_file(&path).expect("removed");
    std::fs::write(&path, "mine").expect("written");
    drop(served);
    assert_eq!(std::fs::read_to_string(&path).ok().as_deref(), Some("mine"));
}

#[tokio::test]
async fn without_a_bus_only_our_own_user_may_call() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let socket = folder.path().join("relay");
    let mut served = serve(&BusAddress::Peer(socket.clone()), &Counter::default());
    soon("the service", served.ready()).await.expect("nobody else is there");
    let mode = std::fs::metadata(&socket).expect("it listens").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn without_a_bus_everybody_connected_gets_the_signal() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let address = BusAddress::Peer(folder.path().join("relay"));
    let mut served = serve(&address, &Counter::default());
    soon("the service", served.ready()).await.expect("nobody else is there");
    let mut streams = Vec::new();
    for expected in 1..=3 {
        let connection = bus::connect(&address).await.expect("it listens");
        assert_eq!(count(&connection).await.expect("an answer"), expected);
        streams.push(zbus::MessageStream::from(connection));
    }
    assert_eq!(served.connections().len(), 3);
    served.emit(PATH, NAME, "Changed", &7_u32).await;
    for stream in &mut streams {
        let message = soon("the signal", stream.next()).await.expect("the connection stands").expect("a message");
        assert_eq!(message.header().member().map(|member| member.as_str()), Some("Changed"));
    }
    streams.clear();
    let served = Arc::new(served);
    let gone = async {
        while !served.connections().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    soon("the peers' end", gone).await;
}

/// A dbus-daemon of our own, at a socket in `folder`.
fn daemon(folder: &Path) -> (Running, BusAddress) {
    let socket = folder.join("bus");
    drop(std::fs::remove_file(&socket));
    let address = format!("unix:path={}", socket.display());
    let process = Command::new("dbus-daemon")
        .args(["--session", "--nofork", "--nopidfile", &format!("--address={address}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("dbus-daemon is installed");
    let process = Running(process);
    wait_for("the bus", || std::os::unix::net::UnixStream::connect(&socket).ok());
    (process, BusAddress::Address(address))
}

#[tokio::test]
async fn on_a_bus_a_service_comes_answers_goes_and_comes_again() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (_bus, address) = daemon(folder.path());
    a_service_comes_answers_goes_and_comes_again(address).await;
}

#[tokio::test]
async fn only_the_owner_of_a_name_is_heard_also_when_it_changes_hands() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (_bus, address) = daemon(folder.path());
    let first = bus::connect(&address).await.expect("the bus is there");
    let second = bus::connect(&address).await.expect("the bus is there");
    let mut remote = Remote::watch(address, OBJECT);
    down(&mut remote).await;
    let replaceable = zbus::fdo::RequestNameFlags::ALLOW_REPLACEMENT;
    first.request_name_with_flags(NAME, replaceable).await.expect("the name is free");
    let watcher = up(&mut remote).await;
    // To everybody, and to the watcher alone: this comes to whoever has no rule for it, too.
    let watcher = watcher.unique_name().expect("it is on a bus").as_str();
    let say = async |who: &Connection, number: u32| {
        for destination in [None, Some(watcher)] {
            who.emit_signal(destination, PATH, NAME, "Changed", &number).await.expect("the bus is there");
        }
        // It has passed the bus before anything that somebody else says from now on.
        zbus::fdo::DBusProxy::new(who).await.expect("made").get_id().await.expect("an answer");
    };
    say(&second, 1).await;
    say(&first, 2).await;
    assert_eq!([number(&mut remote).await, number(&mut remote).await], [2, 2]);
    let replace = zbus::fdo::RequestNameFlags::REPLACE_EXISTING;
    second.request_name_with_flags(NAME, replace).await.expect("the first allows it");
    assert!(matches!(next(&mut remote).await, RemoteEvent::NewOwner));
    say(&first, 3).await;
    say(&second, 4).await;
    assert_eq!([number(&mut remote).await, number(&mut remote).await], [4, 4]);
}
