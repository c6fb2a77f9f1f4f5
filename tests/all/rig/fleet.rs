//! Three machines at one broker, each with its bus, its relay service and its own goods, and the desk of their operator. There is no
//! backend: nobody buys here.

use super::bus::{DbusDaemon, Names};
use super::claims::ISSUER;
use super::mosquitto::{Mosquitto, TAP, password};
use super::process::Process;
use super::tap::{Message, Tap};
use super::{command, output, output_text, succeed, user};
use qris::demo::shop::{BrokerAccess, DEVICE, MachineFiles, framebuffer, item, line, password_file, write};
use qris::order::keys::{SigningKey, jwk_set};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What a machine is made of.
struct Made {
    device: &'static str,
    /// What its own file sells.
    goods: &'static [(&'static str, u64)],
    /// Its `[orders]`.
    orders: &'static str,
    /// What its only line hands out, and for how much at the least.
    line: (&'static [&'static str], u64),
    /// The pulses of the line.
    pulses: &'static str,
}

const MACHINES: [Made; 3] = [
    Made { device: "vm-001", goods: &[("A1", 5000), ("A2", 7000)], orders: "", line: (&["*"], 2000), pulses: "pulse_ms = 50" },
    Made { device: "vm-002", goods: &[("A1", 5000), ("B1", 9000)], orders: "", line: (&["*"], 2000), pulses: "pulse_ms = 50" },
    Made {
        device: "vm-003",
        goods: &[("C1", 8000)],
        orders: "late_settlement_grace_s = 0\ndeliver_within_s = 2700\n",
        line: (&["C1", "A1"], 4000),
        pulses: "rupiah_per_pulse = 1000\non_ms = 30\noff_ms = 20",
    },
];

/// A machine.
struct Machine {
    relayd: Option<Process>,
    qrisd: Option<Process>,
    _bus: DbusDaemon,
    root: PathBuf,
}

/// Three machines, and who looks after them.
pub struct Fleet {
    machines: Vec<Machine>,
    pub tap: Tap,
    broker: Mosquitto,
    directory: tempfile::TempDir,
}

impl Fleet {
    /// Starts all of them. Each believes the key `desk.jwk`.
    pub fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("qris").tempdir().expect("a temporary directory");
        let root = directory.path();
        let broker = Mosquitto::start(root, None, true);
        let tap = Tap::connect(&broker, TAP, &["qrisd/#"]);
        let mut fleet = Self { machines: Vec::new(), tap, broker, directory };
        let public = fleet.new_key("desk.jwk");
        for made in MACHINES {
            let machine = fleet.machine(&made, &public);
            fleet.machines.push(machine);
        }
        (1..=MACHINES.len()).for_each(|number| fleet.resume(number));
        fleet
    }

    fn machine(&self, made: &Made, public: &str) -> Machine {
        let Made { device, goods, orders, line: (items, min_amount), pulses } = made;
        let root = self.path().join(device);
        std::fs::create_dir(&root).expect("a new directory");
        let bus = DbusDaemon::start(&root, &Names::all(&user()));
        let broker = BrokerAccess { port: self.broker.port, password: &password(device), tls: None };
        let goods: Vec<_> = goods.iter().map(|(id, price)| item(id, &format!("Barang {id}"), &format!("Item {id}"), price)).collect();
        let chip = format!("sim:{}", root.join("relay.log").display());
        let lines = line(
            "tray 1",
            items,
            *min_amount,
            &chip,
            &format!(
                "offset = 17
{pulses}
"
            ),
        );
        let files = MachineFiles {
            root: &root,
            databases: &root,
            broker,
            backend: "http://127.0.0.1:9",
            bus: &bus.address,
            orders,
            screen: &framebuffer(&root, 480, 800),
            items: &goods.concat(),
            lines: &lines,
        };
        files.write().expect("written");
        for name in ["qrisd.toml", "relay.toml"] {
            let text = std::fs::read_to_string(root.join(name)).expect("there");
            std::fs::write(root.join(name), text.replace(&format!("\"{DEVICE}\""), &format!("\"{device}\""))).expect("written");
        }
        let named = |user: &str| root.join(password_file(user)).display().to_string();
        let text = std::fs::read_to_string(root.join("qrisd.toml")).expect("there").replace(&named(DEVICE), &named(device));
        std::fs::write(root.join("qrisd.toml"), text).expect("written");
        write(&root.join(password_file(device)), &password(device)).expect("written");
        write(&root.join("backend-token"), "token").expect("written");
        let keys = root.join("keys.json");
        std::fs::write(&keys, jwk_set(&[SigningKey::from_seed([7; 32]).to_public_jwk(ISSUER)])).expect("written");
        succeed(command(env!("CARGO_BIN_EXE_qrisctl")).args(["keys", "add", public.trim(), "--keys-file"]).arg(keys));
        Machine { relayd: None, qrisd: None, _bus: bus, root }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Makes an operator's key, and answers with its public half.
    pub fn new_key(&self, name: &str) -> String {
        let file = self.path().join(name);
        succeed(command(env!("CARGO_BIN_EXE_qrisctl")).args(["keys", "new", "--level", "manage", "--operator-key"]).arg(file))
    }

    /// Starts a machine, and waits until it and its lines are known.
    pub fn resume(&mut self, number: usize) {
        let Machine { relayd, qrisd, root, .. } = &mut self.machines[number - 1];
        let start = |program: &str, binary: &str, config: &str| {
            Process::start_service(program, command(binary).arg("--config").arg(root.join(config)).current_dir(&*root), root)
        };
        *relayd = Some(start("qris-relayd", env!("CARGO_BIN_EXE_qris-relayd"), "relay.toml"));
        let started = start("qrisd", env!("CARGO_BIN_EXE_qrisd"), "qrisd.toml");
        started.wait_line("the relay service answers");
        *qrisd = Some(started);
        self.wait_state(number, "online");
    }

    /// A machine is switched off. It says so: the broker would wait for 30 s before it does.
    pub fn stop(&mut self, number: usize) {
        let machine = &mut self.machines[number - 1];
        machine.qrisd.take().expect("it runs").terminate();
        machine.relayd = None;
        self.wait_state(number, "offline");
    }

    /// Its relay service goes.
    pub fn cut_relay(&mut self, number: usize) {
        self.machines[number - 1].relayd = None;
        self.wait_last(&topic(number, "status"), "the fault", |status| {
            status["faults"].as_array().is_some_and(|faults| faults.iter().any(|fault| fault["code"] == "relay"))
        });
    }

    fn wait_state(&self, number: usize, state: &str) {
        self.wait_last(&topic(number, "status"), state, |status| status["state"] == state);
    }

    /// Waits until the last words on a topic are these.
    pub fn wait_last(&self, topic: &str, what: &str, is_so: impl Fn(&Value) -> bool) {
        self.tap.until(what, |messages| is_so(&messages.iter().rfind(|message| message.topic == topic)?.json()).then_some(()));
    }

    /// `qrisctl`, as the operator. `{}/` is the desk's directory.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = self.broker.qrisctl("fleet", self.path());
        let here = self.path().display().to_string();
        command.args(arguments.split(' ').map(|word| word.replace("{}", &here)));
        command.args(["--operator-key", &format!("{here}/desk.jwk")]);
        command.env("XDG_CONFIG_HOME", self.path());
        command
    }

    /// One of `fleet` that needs no key.
    pub fn reading(&self, what: &str) -> Command {
        let mut command = self.broker.qrisctl("fleet", self.path());
        command.args(["fleet", what]).env("XDG_CONFIG_HOME", self.path());
        command
    }

    /// `fleet list`, with what it remarks.
    pub fn list(&self) -> String {
        let told = output(&mut self.reading("list"));
        assert!(told.status.success(), "{}", output_text(&told));
        output_text(&told)
    }

    /// Runs it.
    pub fn run(&self, arguments: &str) -> Output {
        output(&mut self.command(arguments))
    }

    /// What was sent to machines from a place on. What was sent before this is asked is among it.
    pub fn sent(&self, from: usize) -> Vec<Message> {
        let marked = self.tap.count();
        self.tap.publish_bytes("qrisd/v1/marker", b"{}", false);
        self.tap.wait_from(marked, "the marker", |message| (message.topic == "qrisd/v1/marker").then_some(()));
        self.tap.since(from).into_iter().filter(|message| message.topic.ends_with("/config/desired")).collect()
    }
}

/// A topic of a machine.
pub fn topic(number: usize, tail: &str) -> String {
    format!("qrisd/v1/vm-00{number}/{tail}")
}
