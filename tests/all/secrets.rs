//! No program tells a secret. The tests know each key, token and password of a shop, and search for them in all that the
//! programs write, answer and publish, and in their arguments and environments. They search after a sale, after failures, and
//! after a wrong configuration. In a sale and in failures the libraries write all that they can write (`QRIS_LOG=trace`).
//! Besides, no other program of the same user can look into a service.

use crate::rig::desk::Desk;
use crate::rig::link::Cable;
use crate::rig::midtrans::{SERVER_KEY, Via};
use crate::rig::mosquitto::password;
use crate::rig::process::Process;
use crate::rig::shop::{DEVICE, Program, Shop};
use crate::rig::{PATIENCE, command, output, output_text, tool, wait_for};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use qris::order::reason::Reason;
use qris::wire::vend::EventState;
use serde_json::{Value, json};
use std::process::Command;

/// What nobody may see, by name, in every form in which it travels.
fn secrets(shop: &Shop) -> Vec<(String, String)> {
    let key: Value = serde_json::from_str(&std::fs::read_to_string(shop.path().join("signing-key.json")).expect("there"))
        .expect("the signing key is JSON");
    let mut d = Vec::new();
    find_d(&key, &mut d);
    assert!(!d.is_empty(), "the signing key has a private part");
    let mut secrets: Vec<(String, String)> = vec![
        ("server key".into(), SERVER_KEY.into()),
        ("server key as it is sent".into(), STANDARD.encode(format!("{SERVER_KEY}:"))),
        ("device token".into(), shop.token.clone()),
        ("machine's MQTT password".into(), password(DEVICE)),
        ("backend's MQTT password".into(), password("backend")),
        ("wrong password".into(), WRONG.into()),
    ];
    secrets.extend(d.into_iter().map(|d| ("private key".into(), d)));
    let ledger = rusqlite::Connection::open(shop.path().join("ledger.db")).expect("the ledger");
    let seed: String = ledger.query_row("SELECT seed FROM signer", [], |row| row.get(0)).expect("the relay's key");
    secrets.push(("relay's private key".into(), seed));
    secrets
}

const WRONG: &str = "a-wrong-password-that-is-secret-too";

fn find_d(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("d").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|value| find_d(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| find_d(value, found)),
        _ => {}
    }
}

/// Looks for secrets in everything that is handed to it.
struct Search(Vec<(String, String)>);

impl Search {
    fn through(&self, place: &str, text: &str) {
        for (name, secret) in &self.0 {
            assert!(!text.contains(secret.as_str()), "the {name} stands in {place}:\n{text}");
        }
    }

    fn process(&self, name: &str, process: &Process) {
        self.through(&format!("what {name} wrote"), &process.text());
        self.through(&format!("what {name} told the service manager"), &process.notices.all().join("\n"));
        for file in ["cmdline", "environ"] {
            // Of one that has ended there is nothing.
            let bytes = std::fs::read(format!("/proc/{}/{file}", process.id())).unwrap_or_default();
            self.through(&format!("{name}'s {file}"), &String::from_utf8_lossy(&bytes));
        }
    }
}

/// Starts everything, libraries' records included.
fn open() -> (Shop, Search) {
    let mut shop = Shop::merchants_side();
    shop.kill_backend();
    for program in Program::ALL {
        let mut start = shop.service(program);
        shop.start_as(program, start.env("QRIS_LOG", "trace"));
    }
    shop.wait_online();
    let search = Search(secrets(&shop));
    (shop, search)
}

fn search_shop(shop: &Shop, search: &Search) {
    for process in [&shop.qrisd, &shop.relayd, &shop.backend].into_iter().flatten() {
        search.process(&process.name, process);
    }
    for message in shop.tap.messages() {
        search.through(&message.topic, &String::from_utf8_lossy(&message.payload));
    }
}

#[test]
fn a_sale_tells_no_secret() {
    let (shop, search) = open();
    let sold = shop.sell("A1", Via::Gopay);
    let order_id = sold.order_id.expect("its order").to_string();
    shop.wait_outcome(&order_id, "dispensed");
    search_shop(&shop, &search);
    let pages = format!(
        "/metrics /healthz /readyz /openapi.json /pay/{order_id} /pay/{order_id}/finish?result=success /pay/unknown /v1/orders /nothing"
    );
    for path in pages.split(' ') {
        search.through(path, &shop.http.get(&format!("{}{path}", shop.backend_url), None).text());
    }
    for path in ["/v1/orders?state=open", &format!("/v1/orders/{order_id}"), "/v1/orders/unknown"] {
        search.through(path, &shop.backend_get(path).text());
    }
    let commands = format!("keys public|device list|orders|orders {order_id}|report|reconcile|doctor|--check|--help");
    for arguments in commands.split('|') {
        let done = output(shop.program_command(Program::Backend).args(arguments.split(' ')));
        search.through(arguments, &output_text(&done));
    }
    // The token is kept hashed.
    for file in ["orders.db", "orders.db-wal", "devices.db", "devices.db-wal"] {
        let bytes = std::fs::read(shop.path().join(file)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(&shop.token), "the token itself stands in {file}");
    }
}

#[test]
fn failures_tell_no_secret() {
    let (mut shop, search) = open();
    // Midtrans fails and answers nonsense; the backend is called with a wrong token; the broker goes.
    for fault in [
        json!({"fault": "server_error", "code": 500, "count": 2}),
        json!({"fault": "garble", "count": 2}),
        json!({"fault": "refuse", "count": 2}),
    ] {
        shop.midtrans.fault(&fault);
        let request_id = shop.vend("A1");
        shop.tap.wait_event("an end or a QR", |event| {
            event.request_id.as_ref().is_some_and(|id| id.as_str() == request_id)
                && matches!(event.state, EventState::Failed | EventState::AwaitingPayment)
        });
        shop.midtrans.heal();
        shop.cancel(&request_id);
        shop.wait_idle();
        shop.wait_nothing_payable();
    }
    let wrong = shop.http.get(&format!("{}/v1/orders?state=open", shop.backend_url), Some(&format!("{}x", shop.token)));
    assert_eq!(wrong.status, 401);
    search.through("the answer to a wrong token", &wrong.text());
    shop.backend_link.set(Cable::Cut);
    let request_id = shop.vend("A1");
    let ended = shop.wait_state(&request_id, EventState::Failed);
    assert_eq!(ended.reason, Some(Reason::Backend));
    shop.broker.stop();
    shop.qrisd.as_ref().expect("it runs").wait_line("lost the broker");
    search_shop(&shop, &search);
    shop.broker.resume();
    shop.backend_link.set(Cable::Whole);
    // The broker refuses the password.
    shop.kill_qrisd();
    std::fs::write(shop.path().join(format!("{DEVICE}-password")), format!("{WRONG}\n")).expect("written");
    let mut start = shop.service(Program::Qrisd);
    shop.start_as(Program::Qrisd, start.env("QRIS_LOG", "trace"));
    let qrisd = shop.qrisd.as_ref().expect("it runs");
    qrisd.wait_line("lost the broker");
    search.process("qrisd with a wrong password", qrisd);
}

#[test]
fn what_an_operator_reads_from_afar_tells_no_secret() {
    let desk = Desk::open("view");
    let mut search = Search(secrets(&desk.shop));
    let mut keys = Vec::new();
    let key = std::fs::read_to_string(desk.file("desk.jwk")).expect("there");
    find_d(&serde_json::from_str(&key).expect("JSON"), &mut keys);
    assert_eq!(keys.len(), 1, "an operator's key has a private part");
    search.0.extend(keys.into_iter().map(|d| ("operator's private key".into(), d)));
    desk.shop.sell("A1", Via::Gopay);
    desk.shop.offer("A1");
    for what in ["diag", "status", "config-get", "vitals", "orders", "logs"] {
        let run = ["fleet", "run", what, "--device", DEVICE, "--json", "--operator-key", &desk.file("desk.jwk")];
        let answer = output(desk.shop.qrisctl_command("fleet").args(run));
        assert!(answer.status.success() && !answer.stdout.is_empty(), "{answer:?}");
        search.through(what, &output_text(&answer));
    }
    search_shop(&desk.shop, &search);
}

/// The same without root's capabilities, one of which is to look into whatever runs: as any two programs of one user are.
fn without_rights(of: &Command) -> Command {
    let mut start = command(tool("setpriv"));
    start.args(["--bounding-set=-all", "--"]).arg(of.get_program()).args(of.get_args());
    for (name, value) in of.get_envs() {
        match value {
            Some(value) => start.env(name, value),
            None => start.env_remove(name),
        };
    }
    start
}

#[test]
fn no_other_program_of_its_user_looks_into_a_service() {
    let mut shop = Shop::merchants_side();
    shop.kill_backend();
    let look = |process: &Process| {
        let environment = format!("/proc/{}/environ", process.id());
        output(&mut without_rights(command(tool("cat")).arg(environment))).status.success()
    };
    let other = Process::start("sleep", &mut without_rights(command(tool("sleep")).arg("infinity")));
    wait_for("a look into any other program", || look(&other).then_some(()));
    for program in Program::ALL {
        let name = program.name();
        let process = Process::start_service(name, &mut without_rights(&shop.service(program)), shop.path());
        assert!(!look(&process), "{name}");
        // An exec lets everybody in again.
        let from = process.notices.count();
        process.signal("HUP");
        let begun = |notice: &String| (notice == "READY=1").then_some(());
        assert!(process.notices.find_from(from, PATIENCE, begun).is_some(), "{name} began anew");
        assert!(!look(&process), "{name}, begun anew");
    }
}

#[test]
fn a_wrong_configuration_tells_no_secret() {
    let (shop, search) = open();
    for (program, insert) in [
        (Program::Qrisd, format!("[mqtt]\npassword = \"{}\"\n", password(DEVICE))),
        (Program::Qrisd, format!("[backend]\ntoken = \"{}\"\n", shop.token)),
        (Program::Backend, format!("[midtrans]\nserver_key = \"{SERVER_KEY}\"\n")),
    ] {
        let section = insert.lines().next().expect("a section").to_owned();
        let whole = std::fs::read_to_string(shop.config(program)).expect("there");
        // A secret in the configuration itself is refused; a message that quotes the line would tell it.
        shop.edit(program, |text| text.replace(&format!("{section}\n"), &insert));
        let told = output(shop.program_command(program).arg("--check"));
        assert_eq!(told.status.code(), Some(2), "{insert}");
        let text = format!("{}{}", String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
        assert!(text.contains(insert.lines().nth(1).and_then(|line| line.split(' ').next()).expect("a key")), "{text}");
        search.through("--check", &text);
        std::fs::write(shop.config(program), whole).expect("written");
    }
    // A signing key that is none.
    let path = shop.path().join("signing-key.json");
    let key = std::fs::read_to_string(&path).expect("there");
    std::fs::write(&path, key.replacen("\"OKP\"", "\"RSA\"", 1)).expect("written");
    let told = output(shop.program_command(Program::Backend).arg("--check"));
    assert_eq!(told.status.code(), Some(2), "{}", String::from_utf8_lossy(&told.stderr));
    search.through("--check", &String::from_utf8_lossy(&told.stderr));
}
