//! A clock that was ahead once stops nothing for good. The broker's certificate lives for ten years, as `qris-backend init` makes it;
//! the backend's for 90 days, as a public authority makes it.

use crate::alerts::{Alerted, TELL};
use crate::rig::caller::Caller;
use crate::rig::certificates::Certificates;
use crate::rig::clock::by_the_clock_in;
use crate::rig::midtrans::Via;
use crate::rig::namespace::Namespace;
use crate::rig::phone::{Phone, open_desk};
use crate::rig::process::Process;
use crate::rig::shop::{Options, Program, Shop, https_front_of, without_broker};
use crate::rig::{command, free_port, output, stdout, tool, wait_for};
use qris::order::reason::Reason;
use qris::order::time::Wall;
use qris::wire::vend::EventState;
use serde_json::json;
use std::collections::HashMap;
use std::path::PathBuf;
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

/// Its QR is up. By that clock its sale and the backend's certificate were over long ago, before the power goes and after it is back.
#[test]
fn a_machine_that_reboots_with_a_clock_that_is_ahead_goes_on_with_its_sale() {
    let (mut shop, _front) = shortly_certified();
    let clock = shop.path().join("clock");
    let set = |to: &str| std::fs::write(&clock, to).expect("written");
    let start = |shop: &mut Shop, boot: Option<&Namespace>| {
        for program in [Program::Relayd, Program::Qrisd] {
            let service = shop.service(program);
            let service = boot.map_or_else(|| shop.service(program), |boot| boot.command(&service));
            shop.start_as(program, &mut by_the_clock_in(service, &clock));
        }
        shop.wait_online();
        shop.qrisd.as_ref().expect("just started").wait_line("the relay service answers");
    };
    set("+0d");
    start(&mut shop, None);
    let request_id = shop.offer("A1");
    let payload = shop.screen.wait_payload();
    // The machine has looked at its clock when it answers.
    let goes_on = |shop: &Shop| {
        let other = shop.vend("A2");
        shop.tap.wait_refused(&other, Reason::Busy);
        assert_eq!(shop.screen.wait_payload(), payload);
    };
    set("+730d");
    goes_on(&shop);
    shop.kill_machine();
    let (boot, _) = Namespace::boot(shop.path());
    start(&mut shop, Some(&boot));
    shop.wait_fault("clock", true);
    goes_on(&shop);
    set("+0d");
    shop.wait_fault("clock", false);
    goes_on(&shop);
    shop.pay(Via::Gopay);
    shop.wait_state(&request_id, EventState::Dispensed);
    let events = shop.tap.events().into_iter().filter(|event| event.request_id.as_ref().is_some_and(|id| id.as_str() == request_id));
    let mut states: Vec<_> = events.map(|event| event.state).collect();
    // After a reboot its event may come once more.
    states.dedup();
    use EventState::{AwaitingPayment, Dispensed, Dispensing, Paid, Requested};
    assert_eq!(states, [Requested, AwaitingPayment, Paid, Dispensing, Dispensed]);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

/// A machine without a broker, in a network of its own. The backend is at [`AT`].
struct Far {
    shop: Shop,
    tls: Certificates,
    machine: Namespace,
    /// The other computer, if the backend is on one.
    other: Option<Namespace>,
    clock: PathBuf,
    _way: Process,
}

/// The backend's address: that of another computer, or the machine's own.
const AT: &str = "198.51.100.1";

impl Far {
    fn new(on_another: bool) -> Self {
        let mut shop = Shop::open(Options { tls: true, machine: false, ..Options::default() });
        let tls = shop.tls.take().expect("it is on");
        tls.short("short", 90);
        let machine = Namespace::of_its_own_network("ip link set lo up");
        let other = on_another.then(|| Namespace::of_its_own_network("ip link set lo up"));
        match &other {
            Some(other) => machine.cable_to(other, "198.51.100.2", AT),
            None => _ = machine.run(&format!("ip addr add {AT}/32 dev lo")),
        }
        let port = shop.backend_url.rsplit(':').next().expect("a port");
        // Into that network leads a socket.
        let listen = format!("UNIX-LISTEN:{},fork", shop.path().join("way").display());
        let _way = Process::start("socat", &mut command_of("socat", &listen, &format!("TCP:127.0.0.1:{port}")));
        let before = format!("https://127.0.0.1:{}", shop.backend_link.port);
        shop.edit(Program::Qrisd, |text| without_broker(text.replace(&before, &format!("https://{AT}"))));
        shop.start_relayd();
        let clock = shop.path().join("clock");
        Self { shop, tls, machine, other, clock, _way }
    }

    /// The backend's door, with this certificate.
    fn front(&self, certificate: &str) -> Process {
        let network = self.other.as_ref().unwrap_or(&self.machine);
        let (certificate, key) = (self.tls.certificate(certificate), self.tls.key(certificate));
        let (certificate, key) = (certificate.display(), key.display());
        let listen = format!("OPENSSL-LISTEN:443,bind={AT},reuseaddr,fork,verify=0,cert={certificate},key={key}");
        let way = format!("UNIX-CONNECT:{}", self.shop.path().join("way").display());
        let front = Process::start("socat", &mut network.command(&command_of("socat", &listen, &way)));
        network.run(&format!("timeout 30 sh -c 'until ss -ltn | grep -q {AT}:443; do sleep 0.05; done'"));
        front
    }

    fn set_clock(&self, to: &str) {
        std::fs::write(&self.clock, to).expect("written");
    }

    fn start(&mut self) {
        let mut start = by_the_clock_in(self.machine.command(&self.shop.service(Program::Qrisd)), &self.clock);
        self.shop.start_as(Program::Qrisd, &mut start);
    }

    /// The time that is stored as trusted.
    fn stored(&self) -> Option<Wall> {
        qris::device::store::database::last_trusted_beside(&self.shop.path().join("qrisd.db")).ok()
    }

    fn sell(&mut self) {
        let caller = Caller::connect(&self.shop.bus.address);
        let options: HashMap<&str, Variant<'_>> = HashMap::new();
        wait_for("the backend to be there", || caller.device_property::<Vec<String>>("Faults").is_empty().then_some(()));
        let (asked, reason): (String, String) = caller.device("Vend", &("board-1", "A2", options)).expect("an answer");
        assert_eq!((asked.as_str(), reason.as_str()), ("requested", ""));
        self.shop.pay(Via::Gopay);
        self.shop.relay.wait_pulses(1);
    }

    fn doctor(&self) -> Vec<serde_json::Value> {
        let mut doctor = command(env!("CARGO_BIN_EXE_qrisctl"));
        doctor.arg("--config").arg(self.shop.config(Program::Qrisd)).args(["doctor", "--json"]);
        let told = stdout(&output(&mut self.machine.command(&doctor)));
        told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

/// The machine and the merchant's server, another computer, once asked the same wrong time server. So they agreed on a time that was far
/// ahead.
#[test]
fn a_trusted_time_that_is_ahead_is_named_and_set_back_when_all_agree() {
    let mut far = Far::new(true);
    // Both are ahead, and the certificate lives for ten years.
    far.set_clock("+200d");
    far.shop.kill_backend();
    let mut backend = by_the_clock_in(far.shop.service(Program::Backend), &far.clock);
    far.shop.start_as(Program::Backend, &mut backend);
    let long = far.front("server");
    far.start();
    wait_for("a time that all agreed on", || far.stored().filter(|stored| *stored > Wall(0)));
    // Now both are right, and the certificate is one of 90 days.
    far.shop.kill_qrisd();
    drop(long);
    far.set_clock("+0d");
    let _short = far.front("short");
    let lines = far.doctor();
    let bad = |check: &str| lines.iter().find(|line| line["check"] == check && line["level"] == "bad");
    let said = |check: &str| bad(check).and_then(|line| line["said"].as_str()).unwrap_or_default().to_owned();
    assert!(
        said("clock").contains("is ahead of this machine's clock") && said("backend").contains("its certificate ended at"),
        "{lines:#?}"
    );
    far.start();
    let clock_now = || qris::host::clock::now().wall;
    wait_for("the time to be set back", || far.stored().filter(|stored| *stored <= clock_now()));
    far.sell();
    let lines = far.doctor();
    assert!(!lines.iter().any(|line| line["check"] == "backend" && line["level"] == "bad"), "{lines:#?}");
    assert!(!lines.iter().any(|line| line["said"].as_str().is_some_and(|said| said.contains("stored trusted time"))), "{lines:#?}");
}

/// The backend is on the machine's own computer, under an address of its network. It has the same clock, so it knows nothing of the time.
#[test]
fn a_backend_on_the_same_computer_makes_no_time_a_trusted_one() {
    let mut far = Far::new(false);
    far.set_clock("+0d");
    let _front = far.front("server");
    far.start();
    far.sell();
    assert_eq!(far.stored(), Some(Wall(0)));
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
    // The other one may be wrong, too.
    shop.midtrans.change(&json!({"date_off_ms": 120_000}));
    shop.charged();
    backend.wait_line("s behind the gateway's");
}

/// The merchant's side, with the clock of its server in a file.
struct Server {
    shop: Shop,
    clock: PathBuf,
}

impl Server {
    fn new(options: Options, change: impl FnOnce(&mut Shop)) -> Self {
        let mut shop = Shop::open(Options { machine: false, ..options });
        shop.kill_backend();
        shop.edit(Program::Backend, |text| format!("{text}\n[orders]\nauto_refund = true\nsecond_tries = 1\n"));
        change(&mut shop);
        let clock = shop.path().join("clock");
        let mut server = Self { shop, clock };
        server.set("+0d");
        server.start();
        server
    }

    fn set(&self, to: &str) {
        std::fs::write(&self.clock, to).expect("written");
    }

    fn start(&mut self) {
        let mut start = by_the_clock_in(self.shop.service(Program::Backend), &self.clock);
        self.shop.start_as(Program::Backend, &mut start);
    }

    fn wait(&self, line: &str) -> String {
        self.shop.backend.as_ref().expect("it runs").wait_line(line)
    }

    fn seconds(&self, order_id: &str, field: &str) -> Option<u64> {
        self.shop.order_at_backend(order_id)[field].as_u64()
    }

    /// What can end by time, one of each: a QR, an offer of another try with the money owed, and a payment that nobody has fetched.
    fn wait_for_times(&self) -> [String; 3] {
        let offered = self.shop.reported("failed");
        [self.shop.charged(), offered, self.shop.paid()]
    }

    /// It is as if the clock had never been wrong.
    fn check_times(&self, [shown, offered, paid]: &[String; 3]) {
        let left = self.seconds(shown, "expires_in_s");
        assert!(left.is_some_and(|left| (1..=1_000).contains(&left)), "{left:?}");
        assert_eq!(self.shop.order_at_backend(shown)["status"], "pending");
        assert!(self.seconds(offered, "try_again_s").is_some_and(|left| (1..=90_000).contains(&left)), "it is offered for a day");
        assert!(self.shop.midtrans.calls("refund", offered).is_empty() && self.shop.midtrans.calls("cancel", shown).is_empty());
        let ago = self.seconds(paid, "settled_ago_s");
        assert!(ago.is_some_and(|ago| ago < 600), "{ago:?}");
    }

    /// A whole sale, while the clock says whatever it says.
    fn sells(&self) {
        let order_id = self.shop.paid();
        assert_eq!(self.shop.order_at_backend(&order_id)["status"], "settlement");
    }

    fn pays(&self, [shown, ..]: &[String; 3]) {
        self.shop.midtrans.pay(shown, Via::Gopay);
        self.shop.wait_status(shown, "settlement");
    }
}

#[test]
fn nothing_ends_while_the_merchants_clock_is_two_years_ahead_in_mid_sale() {
    let server = Server::new(Options::default(), |_| ());
    let times = server.wait_for_times();
    for to in ["+730d", "-730d"] {
        server.set(to);
        server.wait(if to.starts_with('+') { "s ahead of the gateway's" } else { "s behind the gateway's" });
        // Each sale is as long as several looks for what is due.
        (0..3).for_each(|_| server.sells());
        server.check_times(&times);
        let backend = server.shop.backend.as_ref().expect("it runs");
        let from = backend.lines.count();
        server.set("+0d");
        backend.wait_line_from(from, "the clock agrees with the gateway's again");
        server.check_times(&times);
    }
    // What the machine asks to end is ended at any time.
    server.set("+730d");
    server.wait("s ahead of the gateway's");
    let unwanted = server.shop.charged();
    server.shop.post_to(&unwanted, "cancel", &json!({}));
    server.shop.wait_status(&unwanted, "cancel");
    server.set("+0d");
    server.pays(&times);
}

#[test]
fn nothing_ends_when_the_merchants_server_starts_with_a_clock_that_is_ahead() {
    let mut server = Server::new(Options::default(), |_| ());
    let times = server.wait_for_times();
    server.shop.kill_backend();
    server.set("+730d");
    server.start();
    server.wait("s ahead of the gateway's");
    server.sells();
    server.check_times(&times);
    server.set("+0d");
    server.wait("the clock agrees with the gateway's again");
    server.check_times(&times);
    server.pays(&times);
}

/// By such a clock, the gateway's certificate of 90 days is over.
#[test]
fn a_gateway_whose_certificate_is_over_by_a_wrong_clock_is_told_and_asked_again() {
    let mut front = None;
    let mut server = Server::new(Options { tls: true, ..Options::default() }, |shop| {
        let (tls, port) = (shop.tls.as_ref().expect("it is on"), free_port());
        tls.short("gateway", 90);
        let before = shop.midtrans.url.clone();
        let behind = before.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        front = Some(https_front_of(port, behind, tls, "gateway"));
        let ca = tls.certificate("ca").display().to_string();
        let new = format!("\"https://127.0.0.1:{port}\"\nca_file = \"{ca}\"");
        shop.edit(Program::Backend, |text| {
            text.replace(&format!("\"{before}\""), &new).replace("charge_as = \"gopay\"", "charge_as = \"qris\"")
        });
    });
    let times = server.wait_for_times();
    server.shop.kill_backend();
    server.set("+730d");
    server.start();
    server.wait("its certificate ended at ");
    server.wait("the gateway has told no time since the start");
    server.shop.midtrans.pay(&times[0], Via::Gopay);
    server.set("+0d");
    server.wait("the clock agrees with the gateway's again");
    server.shop.wait_status(&times[0], "settlement");
    server.sells();
    let [_, offered, paid] = &times;
    assert!(server.seconds(offered, "try_again_s").is_some() && server.seconds(paid, "settled_ago_s").is_some());
}

/// Who must know it hears of it at once, and of its end, too.
#[test]
fn that_nothing_ends_by_time_is_told_where_people_stand() {
    let mut alerted = Alerted::open(TELL, "");
    let socket = open_desk(&mut alerted.shop, "");
    let clock = alerted.shop.path().join("clock");
    let set = |to: &str| std::fs::write(&clock, to).expect("written");
    set("+0d");
    alerted.shop.kill_backend();
    let mut start = by_the_clock_in(alerted.shop.service(Program::Backend), &clock);
    alerted.shop.start_as(Program::Backend, &mut start);
    let shop = &alerted.shop;
    let sari = Phone::of(shop, &socket, "Sari", "owner");
    let ready = || shop.backend_get("/readyz").text();
    let trusts = || sari.get("today").json()["me"]["trusts_clock"].clone();
    let doctor = || {
        let told = stdout(&shop.merchant(&["doctor", "--json"]));
        let serve = told.lines().find(|line| line.contains("\"serve\"")).expect("a line about `serve`").to_owned();
        (serve.contains("\"bad\""), serve.contains("nothing ends by time"))
    };
    assert_eq!((ready().as_str(), trusts(), doctor()), ("ready\n", json!(true), (false, false)));
    set("+730d");
    let begun = alerted.wait_sent(1);
    assert_eq!((&begun[0]["kind"], &begun[0]["order"], &begun[0]["device"]), (&json!("clock"), &json!(null), &json!(null)));
    assert!(ready().starts_with("ready\nnothing ends by time: the clock is ") && ready().ends_with(" s ahead of the gateway's\n"));
    assert_eq!((trusts(), doctor()), (json!(false), (true, true)));
    set("+0d");
    let told = alerted.wait_sent(2);
    assert_eq!((told.len(), &told[1]["kind"], &told[1]["over"]), (2, &json!("over"), &json!("clock")));
    assert_eq!((ready().as_str(), trusts(), doctor()), ("ready\n", json!(true), (false, false)));
}
