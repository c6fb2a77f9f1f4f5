//! The samples sell at the demo's machine, as an engineer runs them, and on a real bus. `tests/clients/install` installs what
//! they need.

use crate::counted_slots::{stock, with_slot};
use crate::rig::bus::{DbusDaemon, Names};
use crate::rig::caller::Caller;
use crate::rig::http::Http;
use crate::rig::link::{Cable, Link};
use crate::rig::midtrans::Via;
use crate::rig::mosquitto::password;
use crate::rig::process::Process;
use crate::rig::received::Received;
use crate::rig::relay_log::RelayLog;
use crate::rig::screen::Screen;
use crate::rig::shop::DEVICE;
use crate::rig::{PATIENCE, command, free_port, installed, output, source, succeed, tool, user};
use qris::host::bus::{Served, serve};
use qris::host::config::BusAddress;
use qris::wire::vend::EventState;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;
use zbus::OwnedVariant;

/// A demo with the addresses that it tells a controller. Its process ends before its directory goes.
struct Demo {
    process: Process,
    page: String,
    /// The lines of `qris-demo --controller`.
    environment: BTreeMap<String, String>,
    screen: Screen,
    relay: RelayLog,
    http: Http,
    broker_port: String,
    /// The cable between the sample and the broker.
    cable: Link,
    _directory: tempfile::TempDir,
}

impl Demo {
    fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("qris").tempdir().expect("a temporary directory");
        let mut demo = command(env!("CARGO_BIN_EXE_qris-demo"));
        let process = Process::start("qris-demo", demo.args(["--mosquitto", "--controller"]).env("TMPDIR", directory.path()));
        let open = process.wait_line("open http://");
        let page = open.split(' ').nth(1).expect("an address").trim_end_matches('/').to_owned();
        let lines = process.lines.all();
        let told = lines.iter().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
        let mut environment: BTreeMap<String, String> = told.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let file = lines.iter().find_map(|line| line.strip_suffix("/controller.env")?.rsplit(' ').next().map(PathBuf::from));
        let machine = file.expect("the file's name is told").join("machine");
        let broker_port = environment["QRISD_PORT"].clone();
        let cable = Link::to(broker_port.parse().expect("a port"));
        environment.insert("QRISD_PORT".into(), cable.port.to_string());
        let (screen, relay) = (Screen::new(machine.join("screen.raw"), 480, 800), RelayLog(machine.join("relay.log")));
        Self { process, page, environment, screen, relay, http: Http::new(), broker_port, cable, _directory: directory }
    }

    /// The customer does this on the demo's page.
    fn press(&self, button: &str, body: &Value) {
        let answer = self.http.post(&format!("{}/{button}", self.page), None, &[], body);
        assert_eq!(answer.status, 204, "{button} {body}: {}\n{}", answer.text(), self.process.text());
    }

    /// Somebody else who knows the password publishes an event of this request.
    fn forge(&self, event_id: &str, request_id: &str, state: &str, reason: Option<&str>) {
        let event = json!({"event_id": event_id, "request_id": request_id, "state": state, "reason": reason}).to_string();
        succeed(command(tool("mosquitto_pub")).args(self.login()).args(["-t", "qrisd/v1/vm-001/vend/event", "-m", &event]));
    }

    /// Hears what samples ask over MQTT, each with the seconds until it expires, and what the machine tells.
    fn hears(&self) -> Process {
        // Else it keeps its lines to itself while there are few.
        let mut listen = command(tool("stdbuf"));
        listen.arg("-oL").arg(tool("mosquitto_sub")).args(self.login());
        listen.args(["-d", "-t", "qrisd/v1/vm-001/vend/+", "-F", "%t %p, expires in %E"]);
        let process = Process::start("mosquitto_sub", &mut listen);
        process.wait_line("Subscribed");
        process
    }

    /// Past the cable that is cut.
    fn login(&self) -> [&str; 12] {
        let of = |name: &str| self.environment[name].as_str();
        // The demo's own user hears and says everything. It has the same password.
        let (user, password) = ("qris-demo", of("QRISD_PASSWORD"));
        ["-V", "mqttv5", "-q", "1", "-h", "127.0.0.1", "-p", &self.broker_port, "-u", user, "-P", password]
    }
}

/// One sale by a sample.
struct Sale {
    /// The sample, where it is a program that ends with the sale.
    program: Option<Process>,
    lines: Received<String>,
    from: usize,
    request_id: String,
}

impl Sale {
    /// A program sells this item.
    fn by(program: &mut Command, environment: &BTreeMap<String, String>, item: &str) -> Self {
        let program = Process::start("the sample", program.arg(item).envs(environment));
        let lines = program.lines.clone();
        Self::begun(Some(program), lines, 0)
    }

    fn begun(program: Option<Process>, lines: Received<String>, from: usize) -> Self {
        let mut sale = Self { program, lines, from, request_id: String::new() };
        let line = sale.wait("request ");
        sale.request_id = line.rsplit(' ').next().expect("its name").to_owned();
        sale
    }

    fn wait(&self, text: &str) -> String {
        let found = self.lines.find_from(self.from, PATIENCE, |line| line.contains(text).then(|| line.clone()));
        found.unwrap_or_else(|| panic!("it did not say {text:?}:\n{}", self.lines.since(self.from).join("\n")))
    }

    /// Waits for its end: what it says, and a program's exit status.
    fn ends(self, state: &str, meaning: &str, status: i32) {
        self.wait(state);
        self.wait(meaning);
        if let Some(program) = self.program {
            let (ended, text) = program.finish();
            assert_eq!(ended.code(), Some(status), "{text}");
        }
    }
}

/// What breaks in the middle of a sale.
#[derive(Clone, Copy)]
enum Broken {
    /// The sample's way to the broker.
    Cable,
    /// The machine's power, and with it the socket.
    Power,
}

/// A refusal, a cancel, and a sale in whose middle something breaks. The customer pays, and the order ends before the sample can
/// hear of it. What was heard at the broker.
fn sells(demo: &Demo, broken: Broken, sell: &dyn Fn(&str) -> Sale) -> Process {
    let heard = demo.hears();
    let end = || heard.wait_line("\"state\":\"dispensed\"");
    sell("Z9").ends("refused (unknown_item)", "not sold: nothing was begun", 1);

    let cancelled = sell("A2");
    cancelled.wait("awaiting_payment");
    demo.press("cancel", &json!({"request_id": cancelled.request_id}));
    cancelled.ends("cancelled (customer)", "not sold: nothing was paid", 1);
    demo.screen.wait_no_payload();

    let sale = sell("A1");
    sale.wait("awaiting_payment");
    let payload = demo.screen.wait_payload();
    let pay =
        || demo.press("pay", &json!({"bill": {"payload": payload, "merchant": "", "amount": 5000}, "via": "gopay", "under_way": false}));
    match broken {
        Broken::Cable => {
            demo.cable.set(Cable::Cut);
            pay();
            end();
            demo.cable.set(Cable::Whole);
        }
        Broken::Power => {
            let program = sale.program.as_ref().expect("one that ends with the sale");
            demo.press("power", &json!({"on": false}));
            program.signal("STOP");
            pay();
            demo.press("power", &json!({"on": true}));
            end();
            program.signal("CONT");
        }
    }
    sale.ends("dispensed", "delivered", 0);
    assert_eq!(demo.relay.pulses(), 1, "asked again, and sold once");
    demo.screen.wait_no_payload();
    heard
}

/// The same over MQTT, and a word of a later release, which is no end. After it comes an end that the demo's machine would take
/// minutes for. Every request expires.
fn sells_over_mqtt(demo: &Demo, sell: &dyn Fn(&str) -> Sale) {
    let heard = sells(demo, Broken::Cable, sell);
    let sale = sell("A1");
    sale.wait("awaiting_payment");
    // Then all that was asked before is heard, too.
    heard.wait_line(&sale.request_id);
    demo.forge("later.1", &sale.request_id, "resting", None);
    sale.wait("resting");
    sale.wait("a word of a later release");
    demo.forge("later.2", &sale.request_id, "refund_due", Some("a_new_reason"));
    sale.ends("refund_due (a_new_reason)", "paid and not delivered", 3);
    let asked: Vec<_> = heard.lines.all().into_iter().filter(|line| line.starts_with("qrisd/v1/vm-001/vend/request ")).collect();
    let expiries = asked.iter().map(|line| line.rsplit(' ').next().and_then(|seconds| seconds.parse().ok()));
    assert!(
        asked.len() > 4 && expiries.into_iter().all(|seconds| seconds.is_some_and(|seconds: u32| (1..=30).contains(&seconds))),
        "{asked:#?}"
    );
}

fn python() -> Command {
    let mut python = command(installed("paho/bin/python"));
    python.arg(source("samples/python/controller.py"));
    python
}

fn shell() -> Command {
    command(source("samples/shell/controller.sh"))
}

/// Debian's Python, since its D-Bus is no package of PyPI.
fn dbus_python() -> Command {
    let mut python = command("/usr/bin/python3");
    python.arg(source("samples/dbus-python/controller.py"));
    python
}

/// Compiles the sample in C as its table says.
fn dbus_c(directory: &Path) -> PathBuf {
    let program = directory.join("controller");
    let mut compile = command(tool("cc"));
    compile.args(["-O2", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&program);
    succeed(compile.arg(source("samples/dbus-c/controller.c")).arg("-lsystemd"));
    program
}

#[test]
fn the_sample_in_python_sells() {
    let demo = Demo::start();
    let sell = |item: &str| Sale::by(&mut python(), &demo.environment, item);
    sells_over_mqtt(&demo, &sell);
}

/// At a machine that counts: the demo's sells what nobody counts.
#[test]
fn the_sample_of_a_panel_greys_what_is_sold_out() {
    let mut shop = with_slot();
    let counted = stock(&shop, &["count", "A1", "1"]);
    assert!(counted.status.success(), "{counted:?}");
    let mut buttons = command(installed("paho/bin/python"));
    buttons.arg(source("samples/python/buttons.py")).args(["A1", "A2"]);
    let user = "vm-001-controller";
    buttons.envs([("QRISD_DEVICE", DEVICE), ("QRISD_HOST", "127.0.0.1"), ("QRISD_USER", user)]);
    buttons.env("QRISD_PASSWORD", password(user)).env("QRISD_PORT", shop.broker.port.to_string());
    let panel = Process::start("buttons.py", &mut buttons);
    let says = |from: usize, line: &str| {
        let heard = panel.lines.find_from(from, PATIENCE, |heard| (heard == line).then_some(()));
        heard.unwrap_or_else(|| panic!("it does not say {line}: {}", panel.text()));
        panel.lines.count()
    };
    let from = says(0, "A1 lit").max(says(0, "A2 lit"));
    // The last one is sold. Only its button goes grey, and the machine refuses who asks all the same.
    shop.sell("A1", Via::Gopay);
    let from = says(from, "A1 grey");
    shop.wait_state(&shop.vend("A1"), EventState::Refused);
    assert!(stock(&shop, &["fill", "A1"]).status.success());
    let from = says(from, "A1 lit");
    assert!(!panel.text().contains("A2 grey"), "{}", panel.text());
    // Nobody is there.
    shop.broker.kill();
    says(from, "A1 grey");
    says(from, "A2 grey");
}

#[test]
fn the_sample_in_shell_sells() {
    let demo = Demo::start();
    let sell = |item: &str| Sale::by(&mut shell(), &demo.environment, item);
    sells_over_mqtt(&demo, &sell);
}

#[test]
fn the_sample_on_d_bus_in_c_sells() {
    let demo = Demo::start();
    let directory = tempfile::tempdir().expect("a directory");
    let program = dbus_c(directory.path());
    sells(&demo, Broken::Power, &|item| Sale::by(&mut command(&program), &demo.environment, item));
}

#[test]
fn the_sample_on_d_bus_in_python_sells() {
    let demo = Demo::start();
    sells(&demo, Broken::Power, &|item| Sale::by(&mut dbus_python(), &demo.environment, item));
}

/// The flow is imported and deployed as the editor does it, and its button is pressed as in the editor.
#[test]
fn the_flow_sells_in_a_real_node_red() {
    let demo = Demo::start();
    let directory = tempfile::tempdir().expect("a directory");
    let port = free_port();
    let settings =
        "module.exports = {uiHost: '127.0.0.1', credentialSecret: false, telemetry: {enabled: false}, mqttReconnectTime: 1000};\n";
    std::fs::write(directory.path().join("settings.js"), settings).expect("written");
    let mut start = command(tool("node"));
    start.arg(installed("node-red/node_modules/node-red/red.js")).args(["--port", &port.to_string(), "--userDir"]);
    let red = Process::start("Node-RED", start.arg(directory.path()).envs(&demo.environment));
    red.wait_line("Server now running");
    let url = format!("http://127.0.0.1:{port}");
    let flow: Value = serde_json::from_slice(&std::fs::read(source("samples/node-red/flow.json")).expect("it is there")).expect("JSON");
    let deployed = demo.http.post(&format!("{url}/flows"), None, &[("Node-RED-Deployment-Type", "full")], &flow);
    assert_eq!(deployed.status, 204, "{}", deployed.text());
    red.wait_line("Connected to broker");
    let button = flow.as_array().and_then(|nodes| nodes.iter().find(|node| node["name"] == "sell A1")).expect("its button");
    let button = format!("{url}/inject/{}", button["id"].as_str().expect("an id"));
    let sell = |item: &str| {
        let from = red.lines.count();
        // Node-RED closes a connection that was idle for 5 s.
        let pressed = Http::new().post(&button, None, &[], &json!({"__user_inject_props__": [{"p": "item", "v": item, "vt": "str"}]}));
        assert_eq!(pressed.status, 200, "{}\n{}", pressed.text(), red.text());
        Sale::begun(None, red.lines.clone(), from)
    };
    sells_over_mqtt(&demo, &sell);
}

#[test]
fn without_its_password_the_demos_broker_lets_nobody_in() {
    let demo = Demo::start();
    let mut login = demo.login();
    let publish =
        |login: &[&str]| output(command(tool("mosquitto_pub")).args(login).args(["-t", "qrisd/v1/vm-001/vend/request", "-m", "{}"]));
    assert!(publish(&login).status.success());
    login[11] = "a guess";
    assert!(!publish(&login).status.success());
    assert!(!publish(&login[..8]).status.success(), "nobody");
}

/// Plays the machine: every request is in a state of a later release.
#[derive(Clone)]
struct Later;

#[zbus::interface(name = "io.qrisd.Device1")]
impl Later {
    fn vend(&self, _request_id: &str, _item: &str, _options: HashMap<String, OwnedVariant>) -> (String, String) {
        ("resting".into(), String::new())
    }
}

#[test]
fn on_the_system_bus_they_find_the_machine_and_go_on_after_a_later_word() {
    let directory = tempfile::Builder::new().prefix("qris").tempdir().expect("a temporary directory");
    let bus = DbusDaemon::start(directory.path(), &Names::all(&user()));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _entered = runtime.enter();
    let mut machine: Served =
        serve(&BusAddress::Address(bus.address.clone()), "io.qrisd.Device1", |builder| builder.serve_at("/io/qrisd/Device1", Later));
    runtime.block_on(machine.ready()).expect("the name is free");
    let environment = BTreeMap::from([("DBUS_SYSTEM_BUS_ADDRESS".to_owned(), bus.address.clone())]);
    let stranger = Caller::connect(&bus.address);
    for mut program in [command(dbus_c(directory.path())), dbus_python()] {
        let sale = Sale::by(&mut program, &environment, "A1");
        sale.wait("resting");
        sale.wait("a word of a later release");
        let forged = (sale.request_id.as_str(), "order-1", "dispensed", "");
        stranger.signal("/io/qrisd/Device1", "io.qrisd.Device1", "OrderChanged", &forged);
        for (state, reason) in [("paid", ""), ("refund_due", "late")] {
            let news = (sale.request_id.as_str(), "order-1", state, reason);
            runtime.block_on(machine.emit("/io/qrisd/Device1", "io.qrisd.Device1", "OrderChanged", &news));
            sale.wait(state);
        }
        sale.ends("refund_due (late)", "paid and not delivered", 3);
    }
}

/// No toolchain of the ESP32 is here: a compiler of this computer reads the sketch, with and without MQTT 5.
#[test]
fn the_sketch_can_be_compiled() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::copy(source("samples/esp32/settings.example.h"), directory.path().join("settings.h")).expect("copied");
    let stand_ins = source("tests/clients/esp32");
    for more in [None, Some("-DCONFIG_MQTT_PROTOCOL_5")] {
        let mut compile = command(tool("g++"));
        compile.args(["-std=gnu++2a", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]).args(more).arg("-I").arg(&stand_ins);
        // The Arduino builder includes this by itself.
        compile.arg("-I").arg(directory.path()).arg("-include").arg(stand_ins.join("Arduino.h")).args(["-x", "c++"]);
        let compiled = output(compile.arg(source("samples/esp32/esp32.ino")));
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    }
}
