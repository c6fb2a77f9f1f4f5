//! The shipped D-Bus policies: who may own the names, and whom the real dbus-daemon lets ask.

use crate::rig::bus::{DbusDaemon, Names};
use crate::rig::process::Process;
use crate::rig::{PATIENCE, command, output, source, source_text, tool, user, wait_for};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// Users and groups that every Debian system has, in place of ours.
const RELAY: &str = "daemon";
const DEVICE: &str = "games";
const CONTROL_GROUP: &str = "news";
/// A user who may nothing.
const STRANGER: &str = "nobody";

fn bus_of_several_users() -> (tempfile::TempDir, DbusDaemon) {
    assert_eq!(user(), "root", "this test takes the part of several users: run it as root");
    let directory = tempfile::tempdir().expect("a directory");
    // Other users must reach the socket.
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
    let names = Names { relay: RELAY.into(), device: DEVICE.into(), control: CONTROL_GROUP.into(), root: "root".into() };
    // Somebody must answer, or the bus says only that nobody is there: we do, once it is seen who may own the names.
    let ours = r#"<policy user="root"><allow own="io.qrisd.Relay1"/><allow own="io.qrisd.Device1"/></policy>"#;
    let bus = DbusDaemon::start_with(directory.path(), &names, ours);
    (directory, bus)
}

#[test]
fn only_the_services_own_their_names_and_only_those_named_may_ask() {
    let (_directory, bus) = bus_of_several_users();
    for (who, name, may) in [
        (RELAY, "io.qrisd.Relay1", true),
        (RELAY, "io.qrisd.Device1", false),
        (DEVICE, "io.qrisd.Device1", true),
        (DEVICE, "io.qrisd.Relay1", false),
        (STRANGER, "io.qrisd.Relay1", false),
        (STRANGER, "io.qrisd.Device1", false),
    ] {
        let request = "org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus RequestName su";
        let asked = output(call(&bus, &["--reuid", who, "--clear-groups"]).args(request.split(' ')).args([name, "0"]));
        assert_eq!(asked.status.success(), may, "{who} owns {name}: {}", String::from_utf8_lossy(&asked.stderr));
    }
    let owners = own(&bus, &["io.qrisd.Relay1", "io.qrisd.Device1"]);
    // The owner knows no method at all: who may ask is told so, by it; who may not is told that, by the bus.
    let control = ["--reuid", STRANGER, "--regid", CONTROL_GROUP, "--clear-groups"];
    for (who, name, method, may) in [
        (&["--reuid", "root", "--clear-groups"][..], "io.qrisd.Relay1", "Clear", true),
        (&["--reuid", "root", "--clear-groups"], "io.qrisd.Device1", "Vend", true),
        (&["--reuid", DEVICE, "--clear-groups"], "io.qrisd.Relay1", "Prepare", true),
        (&["--reuid", DEVICE, "--clear-groups"], "io.qrisd.Relay1", "Clear", false),
        (&["--reuid", RELAY, "--clear-groups"], "io.qrisd.Device1", "Vend", false),
        (&["--reuid", STRANGER, "--clear-groups"], "io.qrisd.Relay1", "Prepare", false),
        (&["--reuid", STRANGER, "--clear-groups"], "io.qrisd.Device1", "Vend", false),
        (&control, "io.qrisd.Device1", "Vend", true),
        (&control, "io.qrisd.Relay1", "Prepare", false),
    ] {
        let path = format!("/{}", name.replace('.', "/"));
        let asked = output(call(&bus, who).args([name, &path, name, method]));
        let told = String::from_utf8_lossy(&asked.stderr).into_owned();
        assert!(!asked.status.success());
        assert_eq!(told.contains("Unknown object"), may, "{who:?} calls {method} of {name}: {told}");
        assert_eq!(!told.contains("Access denied"), may, "{who:?} calls {method} of {name}: {told}");
    }
    drop(owners);
}

/// With an order's number somebody can ask for more.
#[test]
fn only_those_who_may_ask_hear_of_orders() {
    let (_directory, bus) = bus_of_several_users();
    // The last one is nobody's, and everybody hears it.
    const SIGNALS: [(Option<&str>, &str); 3] =
        [(Some("io.qrisd.Device1"), "OrderChanged"), (Some("io.qrisd.Relay1"), "Finished"), (None, "Mark")];
    let running = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let address = bus.address.clone();
    running.spawn(async move {
        let mut senders = Vec::new();
        for (name, signal) in SIGNALS {
            let sender = zbus::connection::Builder::address(address.as_str()).build().await.expect("the bus is there");
            if let Some(name) = name {
                sender.request_name(name).await.expect("the rules allow it");
            }
            senders.push((sender, name.unwrap_or("io.qrisd.Test1"), signal));
        }
        // One after the other, again and again, until the test is over.
        loop {
            for (sender, name, signal) in &senders {
                sender.emit_signal(None::<&str>, "/io/qrisd/Test1", *name, *signal, &"o-1").await.expect("the bus is there");
                zbus::fdo::DBusProxy::new(sender).await.expect("made").get_id().await.expect("it has passed the bus");
            }
        }
    });
    for (who, heard) in [
        (&["--reuid", "root", "--clear-groups"][..], &["Finished", "Mark", "OrderChanged"][..]),
        (&["--reuid", STRANGER, "--regid", CONTROL_GROUP, "--clear-groups"], &["Mark", "OrderChanged"]),
        (&["--reuid", DEVICE, "--clear-groups"], &["Finished", "Mark"]),
        (&["--reuid", STRANGER, "--clear-groups"], &["Mark"]),
    ] {
        let mut listen = command(tool("setpriv"));
        listen.args(who).arg(tool("dbus-monitor")).args(["--address", &bus.address]);
        listen.args(SIGNALS.map(|(_, signal)| format!("type='signal',member='{signal}'")));
        let listener = Process::start("dbus-monitor", &mut listen);
        // From the first mark on it hears everything. Until the third it would have heard all of them.
        let marks = || listener.text().matches("member=Mark").count();
        wait_for("three marks", || (marks() >= 3).then_some(()));
        let text = listener.text();
        let told: BTreeSet<&str> = text.lines().filter_map(|line| line.split("member=").nth(1)).collect();
        let told: Vec<&str> = told.into_iter().filter(|signal| SIGNALS.iter().any(|(_, known)| known == signal)).collect();
        assert_eq!(told, heard, "{who:?}");
    }
}

/// A technician has stopped the relay service: it stays so, whoever calls.
#[test]
fn nobody_begins_a_service_over_the_bus() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
    let services = directory.path().join("system-services");
    std::fs::create_dir(&services).expect("made");
    // What the package brings.
    for line in source_text("Cargo.toml").lines().filter(|line| line.contains("dbus-1/system-services/")) {
        let file = source(line.split('"').nth(1).expect("the file"));
        std::fs::copy(&file, services.join(file.file_name().expect("a name"))).expect("copied");
    }
    let more = format!("<servicedir>{}</servicedir>", services.display());
    let bus = DbusDaemon::start_with(directory.path(), &Names::all(&user()), &more);
    let begin = ["org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "StartServiceByName", "su"];
    for who in ["root", STRANGER] {
        for name in ["io.qrisd.Relay1", "io.qrisd.Device1"] {
            let asked = output(call(&bus, &["--reuid", who, "--clear-groups"]).args(begin).args([name, "0"]));
            let told = String::from_utf8_lossy(&asked.stderr).into_owned();
            assert!(told.contains("not provided by any .service files"), "{who} begins {name}: {told}");
        }
    }
}

/// Owns names and answers every call with an error, until the answer is dropped.
fn own(bus: &DbusDaemon, names: &[&'static str]) -> tokio::sync::oneshot::Sender<()> {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (up, is_up) = std::sync::mpsc::channel();
    let (address, names) = (bus.address.clone(), names.to_vec());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            // A connection each: rules for one name count for whatever else its owner owns.
            let mut connections = Vec::new();
            for name in names {
                let connection = zbus::connection::Builder::address(address.as_str()).build().await.expect("the bus is there");
                // An object server, so that calls are answered.
                let _ = connection.object_server();
                connection.request_name(name).await.expect("the rules allow it");
                connections.push(connection);
            }
            up.send(()).expect("the test waits");
            drop(stopped.await);
        });
    });
    is_up.recv_timeout(PATIENCE).expect("the names are ours");
    stop
}

fn call(bus: &DbusDaemon, who: &[&str]) -> Command {
    let mut call = command(tool("setpriv"));
    call.args(who).arg(tool("busctl")).arg(format!("--address={}", bus.address)).args(["--auto-start=no", "call"]);
    call
}
