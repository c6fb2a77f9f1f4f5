//! The program that `[alerts] command` names. The backend runs it for each thing that a person must look at. What was told is
//! not told again after the backend was killed. Sales do not wait for the program. It is never run twice at the same time.
//! If it fails, the journal says so.

use crate::alert_examples::{Service, ServiceRequest};
use crate::rig::certificates::Certificates;
use crate::rig::midtrans::Via;
use crate::rig::postgres::Postgres;
use crate::rig::process::Process;
use crate::rig::shop::{DEVICE, Options, Program, Shop, https_front};
use crate::rig::tap::Tap;
use crate::rig::{command, free_port, source_text, stdout, succeed, tool, wait_for, watched};
use crate::two_backends::second;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A shop whose alerts run a script, which finds a directory in its `$1`.
pub struct Alerted {
    pub shop: Shop,
    directory: tempfile::TempDir,
}

impl Alerted {
    pub fn open(script: &str, more: &str) -> Self {
        Self::with(script, more, Options { machine: false, ..Options::default() })
    }

    pub fn with(script: &str, more: &str, options: Options) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let midtrans = options.midtrans.clone() + &section(directory.path(), script, more);
        Self { shop: Shop::open(Options { midtrans, ..options }), directory }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// The alerts that were written to `told`, a line each.
    pub fn sent(&self) -> Vec<Value> {
        sent(self.directory.path())
    }

    pub fn wait_sent(&self, count: usize) -> Vec<Value> {
        watched::until(&self.file("told"), &format!("{count} alerts"), || Some(self.sent()).filter(|told| told.len() >= count))
    }
}

/// The section of the configuration by which a backend tells alerts to this script, in this directory.
pub fn section(directory: &Path, script: &str, more: &str) -> String {
    let path = directory.join("alert");
    std::fs::write(&path, format!("#!/bin/bash\ncd \"$1\" || exit 9\n{script}\n")).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("changed");
    format!("[alerts]\ncommand = [\"{}\", \"{}\"]\n{more}", path.display(), directory.display())
}

/// The alerts that were written to `told` there, a line each.
pub fn sent(directory: &Path) -> Vec<Value> {
    let told = std::fs::read_to_string(directory.join("told")).unwrap_or_default();
    told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Keeps what it is told.
pub const TELL: &str = "{ cat; echo; } >> told; env >> environment";

#[test]
fn whatever_a_person_must_look_at_is_told_once() {
    let alerted = Alerted::open(TELL, "");
    let shop = &alerted.shop;
    let (failed, uncertain) = (shop.reported("failed"), shop.reported("uncertain"));
    shop.reported("dispensed");
    let told = alerted.wait_sent(2);
    for (alert, (order_id, kind)) in told.iter().zip([(&failed, "refund_due"), (&uncertain, "uncertain")]) {
        assert_eq!((&alert["order"]["order_id"], &alert["kind"]), (&json!(order_id), &json!(kind)));
        assert_eq!((&alert["device"], &alert["order"]["amount"], &alert["sandbox"]), (&json!(DEVICE), &json!(5000), &json!(true)));
        assert_eq!(alert["desk_url"], Value::Null, "there is no desk");
        for field in ["alert_id", "since", "message", "to_do"] {
            assert!(alert[field].as_str().is_some_and(|text| !text.is_empty()), "{field} in {alert}");
        }
    }
    assert_ne!(told[0]["alert_id"], told[1]["alert_id"]);
    let backend = shop.backend.as_ref().expect("it runs");
    ["refund_due: somebody was told", "uncertain: somebody was told"].iter().for_each(|line| drop(backend.wait_line(line)));
    // Another backend process finds nothing left to tell; a third thing is told, and that alone.
    let mut alerted = alerted;
    alerted.shop.kill_backend();
    alerted.shop.start_backend();
    let third = alerted.shop.reported("undelivered");
    let told = alerted.wait_sent(3);
    assert!(told.len() == 3 && told[2]["order"]["order_id"] == json!(third), "{told:#?}");
    // The program knows nothing of ours but where tools are.
    let environment = alerted.text("environment");
    let strange: Vec<_> = environment
        .lines()
        .filter(|line| !["PATH=", "LANG=", "PWD=", "OLDPWD=", "SHLVL=", "_="].iter().any(|known| line.starts_with(known)))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}

/// Who is told can answer the customer who calls. The address has no key: it goes to services of others.
#[test]
fn an_alert_says_where_what_and_what_the_customer_can_do() {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("serve.sock");
    let desk = format!("[desk]\nurl = \"https://desk.pay.example/\"\nsocket = \"{}\"\n", socket.display());
    let alerted = Alerted::open(TELL, &format!("{desk}[customer]\ncontact = \"0812-3456-7890\"\n"));
    let shop = &alerted.shop;
    let mut body = shop.order_body("r-1");
    body["machine"] = json!("Lobby");
    let order_id = shop.post_order(&body).json()["order_id"].as_str().expect("an id").to_owned();
    shop.midtrans.pay(&order_id, Via::Gopay);
    shop.wait_order(&order_id, "its receipt", |order| order["receipt"].as_str().map(|_| ()));
    let outcome = json!({ "outcome": "failed", "reason": "failed", "proof": shop.proof(&order_id, "failed") });
    assert_eq!(shop.post_to(&order_id, "outcome", &outcome).status, 200);
    let told = &alerted.wait_sent(1)[0];
    let sold = "Bottled tea (A1) for Rp5.000 at Lobby (vm-001)";
    let until = told["order"]["refund_until"].as_str().expect("a last day");
    let owed = format!("{sold} was paid and not delivered: the customer is owed the money; reason: failed");
    assert_eq!(told["message"], json!(format!("{owed}; last day for a refund at the gateway: {}", &until[..10])));
    let page = format!("{}/pay/{order_id}", shop.backend_url);
    let can = format!("the customer can follow the order at {page}, and ask at 0812-3456-7890");
    assert_eq!(told["customer"], json!({ "message": can, "page": page, "contact": "0812-3456-7890" }));
    assert_eq!((&told["machine"], &told["order"]["reason"]), (&json!("Lobby"), &json!("failed")));
    assert_eq!(told["desk_url"], json!(format!("https://desk.pay.example/orders/{order_id}")), "where it is settled on a phone");
    assert_eq!(told["to_do"], json!("Send the money back, or hand the goods over."), "no command");
    assert_eq!(told["in_indonesian"]["to_do"], json!("Kembalikan uangnya, atau serahkan barangnya."));
    shop.backend.as_ref().expect("it runs").wait_line("refund due of Rp5.000 for Bottled tea (A1) at Lobby (vm-001), failed");
    // It is settled: nobody must do anything any more.
    succeed(shop.program_command(Program::Backend).args(["given", &order_id, "--by", "Sari", "--from", "elsewhere"]));
    let over = &alerted.wait_sent(2)[1];
    assert_eq!((&over["over"], &over["customer"]), (&json!("refund_due"), &Value::Null));
}

#[test]
fn selling_does_not_wait_and_never_two_are_told_at_once() {
    // The first waits until it may go on; each says when it begins and ends.
    let script = "echo begin >> log; while ! test -e go; do sleep 0.05; done; echo end >> log; { cat; echo; } >> told";
    let alerted = Alerted::open(script, "");
    let shop = &alerted.shop;
    shop.reported("failed");
    watched::until(&alerted.file("log"), "the command to begin", || alerted.text("log").starts_with("begin").then_some(()));
    let start = Instant::now();
    for _ in 0..3 {
        shop.reported("failed");
    }
    // Who waited for the command would wait until it is ended, half a minute after it began.
    assert!(start.elapsed() < Duration::from_secs(30), "selling took {:?}", start.elapsed());
    assert_eq!(alerted.text("log"), "begin\n", "the others wait for the first");
    std::fs::write(alerted.file("go"), "").expect("written");
    alerted.wait_sent(4);
    assert_eq!(alerted.text("log"), "begin\nend\n".repeat(4));
}

#[test]
fn a_command_that_fails_is_told_to_the_journal_and_settled_alerts_are_not_told() {
    let script = "echo begin >> log; echo 'no route to phone' >&2; exit 3";
    let alerted = Alerted::open(script, "");
    let order_id = alerted.shop.reported("failed");
    let backend = alerted.shop.backend.as_ref().expect("it runs");
    let line = backend.wait_line("nobody could be told");
    assert!(line.contains(&order_id) && line.contains("exit status: 3: no route to phone"), "{line}");
    assert_eq!(alerted.text("log"), "begin\n", "it is not tried again at once");
}

const SECRET: &str = "a-secret-of-the-test";

/// The receiver verifies as `docs/using/merchant.md` says.
fn verify(asked: &ServiceRequest) {
    let document = source_text("docs/using/merchant.md");
    let (_, code) = document.split_once("```python\n").expect("an example");
    let (code, _) = code.split_once("```").expect("its end");
    let header = asked.headers.lines().find_map(|line| line.strip_prefix("qris-signature: ")).expect("signed");
    let body = String::from_utf8(asked.raw.clone()).expect("text");
    let script = "
import sys
secret, header, body = (text.encode() for text in sys.argv[1:])
header = header.decode()
assert is_ours(secret, header, body)
assert not is_ours(secret, header, body + b' ')
assert not is_ours(secret + b'x', header, body)
assert not is_ours(secret, header.replace('t=1', 't=2'), body)
assert not is_ours(secret, '', body)
old = 't=1000,v1=' + hmac.new(secret, b'1000.' + body, hashlib.sha256).hexdigest()
assert not is_ours(secret, old, body)
";
    succeed(command(tool("python3")).args(["-c", &format!("{code}{script}"), SECRET, header, &body]));
}

/// What waits for a minute or two is due now. Nothing is, while no backend runs.
fn due_now(alerted: &mut Alerted) {
    alerted.shop.kill_backend();
    let books = Connection::open(alerted.shop.path().join("orders.db")).expect("the books");
    let changed = books.execute("UPDATE alerts SET next_ms = 0 WHERE next_ms IS NOT NULL", []).expect("written");
    assert_eq!(changed, 1, "it waits");
    alerted.shop.start_backend();
}

#[test]
fn a_webhook_takes_each_alert_and_its_end_once_however_often_it_fails_and_the_command_does_so_by_itself() {
    let elsewhere = Service::start(&[("200 OK", "")]);
    let moved = format!("307 Temporary Redirect\r\nLocation: {}", elsewhere.base);
    let service =
        Service::start(&[("503 Service Unavailable", SECRET), (&moved, ""), ("204 No Content", ""), ("500 Oops", ""), ("200 OK", "")]);
    let directory = tempfile::tempdir().expect("a directory");
    let secret = directory.path().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).expect("written");
    let section = format!("webhook_url = \"{}/hidden-path\"\nwebhook_secret_file = \"{}\"\n", service.base, secret.display());
    let mut alerted = Alerted::open(TELL, &section);
    let order_id = alerted.shop.reported("failed");
    let wait_line = |alerted: &Alerted, wanted: &str| alerted.shop.backend.as_ref().expect("it runs").wait_line(wanted);
    let mut alert_id = Value::Null;
    for (tries, answers) in ["answers 503", "answers 307"].iter().enumerate() {
        let asked = service.next();
        verify(&asked);
        assert_eq!((&asked.body["order"]["order_id"], &asked.body["tries"]), (&json!(order_id), &json!(tries)));
        alert_id = asked.body["alert_id"].clone();
        let line = wait_line(&alerted, "nobody could be told");
        assert!(line.contains(answers) && !line.contains(SECRET) && !line.contains("hidden-path"), "{line}");
        due_now(&mut alerted);
    }
    assert_eq!(service.next().body["alert_id"], alert_id, "the third time it is taken");
    wait_line(&alerted, "refund_due: somebody was told");
    // Both have taken it once, so both are told of the end.
    let given = alerted.shop.merchant(&["given", &order_id, "--by", "Budi", "--from", "elsewhere"]);
    assert!(given.status.success(), "{given:?}");
    let over = service.next();
    verify(&over);
    assert_eq!((&over.body["kind"], &over.body["over"], &over.body["alert_id"]), (&json!("over"), &json!("refund_due"), &alert_id));
    wait_line(&alerted, "refund_due is over: nobody could be told");
    due_now(&mut alerted);
    assert_eq!(service.next().body["until"], over.body["until"]);
    wait_line(&alerted, "refund_due is over: somebody was told");
    let told: Vec<_> = alerted.sent().iter().map(|alert| (alert["kind"].clone(), alert["alert_id"].clone())).collect();
    assert_eq!(told, [(json!("refund_due"), alert_id.clone()), (json!("over"), alert_id)], "the command is told of each once");
    assert!(service.requests.try_recv().is_err() && elsewhere.requests.try_recv().is_err(), "nor is anybody else");
}

/// The receiver's certificate is of the merchant's own authority.
#[test]
fn a_webhook_of_a_private_authority_is_trusted_by_its_file() {
    let (tls, port) = (Certificates::make(), free_port());
    let service = Service::start(&[("200 OK", "")]);
    let behind = service.base.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let _front = https_front(port, behind, &tls);
    let directory = tempfile::tempdir().expect("a directory");
    let secret = directory.path().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).expect("written");
    let authority = |name: &str| format!("webhook_ca_file = \"{}\"\n", tls.certificate(name).display());
    let section = format!("webhook_url = \"https://127.0.0.1:{port}/\"\nwebhook_secret_file = \"{}\"\n", secret.display());
    let mut alerted = Alerted::open(TELL, &(section + &authority("other-ca")));
    let order_id = alerted.shop.reported("failed");
    let line = alerted.shop.backend.as_ref().expect("it runs").wait_line("nobody could be told");
    assert!(line.contains("certificate"), "{line}");
    let doctor = stdout(&alerted.shop.merchant(&["doctor"]));
    assert!(doctor.lines().any(|line| line.starts_with("BAD   webhook") && line.contains("certificate")), "{doctor}");
    alerted.shop.edit(Program::Backend, |text| text.replace(&authority("other-ca"), &authority("ca")));
    due_now(&mut alerted);
    let asked = service.next();
    verify(&asked);
    assert_eq!(asked.body["order"]["order_id"], json!(order_id));
}

#[test]
fn a_machine_that_is_not_there_is_told_of() {
    let alerted = Alerted::open(TELL, "offline_after_s = 10\n");
    let shop = &alerted.shop;
    // It says good-bye, and nothing comes any more.
    let machine = Tap::connect(&shop.broker, DEVICE, &[]);
    machine.publish_bytes(&format!("qrisd/v1/{DEVICE}/status"), br#"{"state":"offline"}"#, true);
    let told = alerted.wait_sent(1);
    assert_eq!((&told[0]["kind"], &told[0]["device"], &told[0]["order"]), (&json!("offline"), &json!(DEVICE), &Value::Null));
    let backend = shop.backend.as_ref().expect("it runs");
    backend.wait_line("the machine vm-001 has not been there for 10 s");
    // It asks: it is back, and that is known.
    assert_eq!(shop.backend_get("/v1/orders?state=open").status, 200);
    backend.wait_line("the machine vm-001 is there again");
    let over = &alerted.wait_sent(2)[1];
    assert_eq!((&over["kind"], &over["over"], &over["alert_id"]), (&json!("over"), &json!("offline"), &told[0]["alert_id"]));
    assert!(over["message"].as_str().is_some_and(|text| text.starts_with("over: ")) && over["until"].is_string(), "{over}");
    assert_eq!((&told[0]["over"], &told[0]["until"]), (&Value::Null, &Value::Null));
}

#[test]
fn the_message_of_a_day_is_told_once_by_two_backends_that_are_started_again() {
    let server = Postgres::start(&[]);
    let store = Some(format!("url = \"{}\"", server.url()));
    let mut alerted = Alerted::with(TELL, "daily = \"00:00\"\n", Options { machine: false, store, ..Options::default() });
    // The day before ended before anybody asked for its message.
    let days = "SELECT count(*) FROM alerts WHERE kind = 'daily'";
    wait_for("the day before", || (server.ask(days) == "1").then_some(()));
    alerted.shop.reported("failed");
    assert_eq!(alerted.wait_sent(1)[0]["kind"], "refund_due");
    // A day later one is over.
    server.ask("UPDATE alerts SET subject = '2026-11-27', since_ms = since_ms - 86400000 WHERE kind = 'daily'");
    alerted.shop.kill_backend();
    alerted.shop.start_backend();
    let (other, _) = second(&alerted.shop);
    let told = &alerted.wait_sent(2)[1];
    assert_eq!((&told["kind"], &told["device"], &told["order"]), (&json!("daily"), &Value::Null, &Value::Null));
    assert_eq!(
        (&told["message"], &told["day"]["sold"]["orders"]),
        (&json!("sold in 24 hours: 0 for Rp0; owed to customers: 1 for Rp5.000"), &json!(0))
    );
    assert!(
        told["since"].as_str().is_some_and(|since| since.ends_with("T00:00:00+07:00")) && told["day"]["until"] == told["since"],
        "{told}"
    );
    // Who is ended before the books know that it was told tells it again.
    let first = alerted.shop.backend.as_ref().expect("it runs");
    let knows = |process: &Process| process.lines.all().iter().any(|line| line.contains("daily: somebody was told"));
    wait_for("the books to know it", || (knows(first) || knows(&other)).then_some(()));
    first.terminate();
    alerted.shop.start_backend();
    // What comes later is told, and the day is not told again before it.
    alerted.shop.reported("failed");
    let told: Vec<_> = alerted.wait_sent(3).iter().map(|told| told["kind"].clone()).collect();
    assert_eq!(told, ["refund_due", "daily", "refund_due"]);
}
