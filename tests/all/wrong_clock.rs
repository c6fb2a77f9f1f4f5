//! A clock that was ahead once stops nothing for good. The broker's certificate lives for ten years, as `qris-backend init` makes it;
//! the backend's for 90 days, as a public authority makes it.

use crate::rig::caller::Caller;
use crate::rig::clock::by_the_clock_in;
use crate::rig::midtrans::Via;
use crate::rig::namespace::Namespace;
use crate::rig::process::Process;
use crate::rig::shop::{Options, Program, Shop, https_front_of, without_broker};
use crate::rig::{command, free_port, output, stdout, tool, wait_for};
use qris::order::reason::Reason;
use qris::order::time::Wall;
use qris::wire::vend::EventState;
use std::collections::HashMap;
use std::process::Command;
use zbus::Variant;

/// The backend is behind a certificate of 90 days.
fn shortly_certified() -> (Shop, Process) {
    let shop = Shop::open(Options { tls: true, machine: false, ..Options::default() });
    let (tls, port) = (shop.tls.as_ref().expect("it is on"), free_port());
    tls.short("short", 90);
    let behind = shop.backend_url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let front = https_front_of(port, behind, tls, "short");
    let before = shop.backend_link.port;
    shop.edit(Program::Qrisd, |text| text.replace(&format!("https://127.0.0.1:{before}"), &format!("https://127.0.0.1:{port}")));
    (shop, front)
}

#[test]
fn a_clock_that_was_ahead_once_stops_nothing_for_good() {
    let (mut shop, _front) = shortly_certified();
    shop.start_relayd();
    let clock = shop.path().join("clock");
    let set = |to: &str| std::fs::write(&clock, to).expect("written");
    set("+200d");
    let mut start = by_the_clock_in(shop.service(Program::Qrisd), &clock);
    shop.start_as(Program::Qrisd, &mut start);
    shop.wait_online();
    shop.wait_fault("clock", true);
    let refused = shop.vend("A1");
    assert_eq!(shop.wait_state(&refused, EventState::Failed).reason, Some(Reason::Backend));
    // It is set right while the program runs.
    set("+0d");
    shop.sell("A1", Via::Gopay);
    shop.wait_fault("clock", false);
    // It was ahead at the start of another one; and then the program starts once more.
    set("+200d");
    shop.kill_qrisd();
    shop.start_as(Program::Qrisd, &mut start);
    shop.wait_online();
    shop.wait_fault("clock", true);
    set("+0d");
    shop.kill_qrisd();
    shop.start_qrisd();
    shop.wait_fault("clock", false);
    shop.sell("A1", Via::Gopay);
    assert_eq!(shop.pulses(), 2);
    shop.check_books();
}

/// A network of its own, in which the backend is another computer: an address that is not loopback's. The machine and the merchant's
/// server once asked the same wrong time server, so they agreed on a time that was far ahead.
#[test]
fn a_trusted_time_that_is_ahead_is_named_and_set_back_when_all_agree() {
    let mut shop = Shop::open(Options { tls: true, machine: false, ..Options::default() });
    let tls = shop.tls.take().expect("it is on");
    tls.short("short", 90);
    let root = shop.path().display().to_string();
    let network = Namespace::of_its_own_network("ip link set lo up; ip addr add 198.51.100.1/32 dev lo");
    let port = shop.backend_url.rsplit(':').next().expect("a port");
    // Into that network leads a socket.
    let way = command_of("socat", &format!("UNIX-LISTEN:{root}/way,fork"), &format!("TCP:127.0.0.1:{port}"));
    let _way = Process::start("socat", &mut { way });
    let front = |certificate: &str| {
        let (certificate, key) = (tls.certificate(certificate), tls.key(certificate));
        let (certificate, key) = (certificate.display(), key.display());
        let listen = format!("OPENSSL-LISTEN:443,bind=198.51.100.1,reuseaddr,fork,verify=0,cert={certificate},key={key}");
        let front = Process::start("socat", &mut network.command(&command_of("socat", &listen, &format!("UNIX-CONNECT:{root}/way"))));
        network.run("timeout 30 sh -c 'until ss -ltn | grep -q 198.51.100.1:443; do sleep 0.05; done'");
        front
    };
    let before = format!("https://127.0.0.1:{}", shop.backend_link.port);
    shop.edit(Program::Qrisd, |text| without_broker(text.replace(&before, "https://198.51.100.1")));
    shop.start_relayd();
    let clock = shop.path().join("clock");
    let set = |to: &str| std::fs::write(&clock, to).expect("written");
    let is_stored = |shop: &Shop| qris::device::store::database::last_trusted_beside(&shop.path().join("qrisd.db"));
    let start = |shop: &mut Shop| {
        let mut start = by_the_clock_in(network.command(&shop.service(Program::Qrisd)), &clock);
        shop.start_as(Program::Qrisd, &mut start);
    };
    // Both are ahead, and the certificate lives for ten years.
    set("+200d");
    shop.kill_backend();
    let mut backend = by_the_clock_in(shop.service(Program::Backend), &clock);
    shop.start_as(Program::Backend, &mut backend);
    let long = front("server");
    start(&mut shop);
    wait_for("a time that all agreed on", || is_stored(&shop).ok().filter(|stored| *stored > Wall(0)));
    // Now both are right, and the certificate is one of 90 days.
    shop.kill_qrisd();
    drop(long);
    set("+0d");
    let doctor = |shop: &Shop| {
        let mut doctor = crate::rig::command(env!("CARGO_BIN_EXE_qrisctl"));
        doctor.arg("--config").arg(shop.config(Program::Qrisd)).args(["doctor", "--json"]);
        let told = stdout(&output(&mut network.command(&doctor)));
        told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<serde_json::Value>>()
    };
    let _short = front("short");
    let lines = doctor(&shop);
    let bad = |check: &str| lines.iter().find(|line| line["check"] == check && line["level"] == "bad");
    let said = |check: &str| bad(check).and_then(|line| line["said"].as_str()).unwrap_or_default().to_owned();
    assert!(said("clock").contains("is ahead of this machine's clock") && said("backend").contains("expired"), "{lines:#?}");
    start(&mut shop);
    let clock_now = || qris::host::clock::now().wall;
    wait_for("the time to be set back", || is_stored(&shop).ok().filter(|stored| *stored <= clock_now()));
    let caller = Caller::connect(&shop.bus.address);
    let options: HashMap<&str, Variant<'_>> = HashMap::new();
    wait_for("the backend to be there", || caller.device_property::<Vec<String>>("Faults").is_empty().then_some(()));
    let (asked, reason): (String, String) = caller.device("Vend", &("board-1", "A2", options)).expect("an answer");
    assert_eq!((asked.as_str(), reason.as_str()), ("requested", ""));
    shop.pay(Via::Gopay);
    shop.relay.wait_pulses(1);
    let lines = doctor(&shop);
    assert!(!lines.iter().any(|line| line["check"] == "backend" && line["level"] == "bad"), "{lines:#?}");
    assert!(!lines.iter().any(|line| line["said"].as_str().is_some_and(|said| said.contains("stored trusted time"))), "{lines:#?}");
}

fn command_of(program: &str, from: &str, to: &str) -> Command {
    let mut start = command(tool(program));
    start.args([from, to]);
    start
}

#[test]
fn the_merchants_server_tells_that_its_clock_and_the_gateways_differ() {
    let mut shop = Shop::merchants_side();
    shop.kill_backend();
    let clock = shop.path().join("clock");
    std::fs::write(&clock, "+120s").expect("written");
    let mut start = by_the_clock_in(shop.service(Program::Backend), &clock);
    shop.start_as(Program::Backend, &mut start);
    shop.charged();
    let backend = shop.backend.as_ref().expect("it runs");
    backend.wait_line("s ahead of the gateway's");
    std::fs::write(&clock, "+0s").expect("written");
    shop.charged();
    backend.wait_line("the clock agrees with the gateway's again");
}
