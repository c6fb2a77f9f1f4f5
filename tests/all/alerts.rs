//! The program that `[alerts] command` names. The backend runs it for each thing that a person must look at. What was told is
//! not told again after the backend was killed. Sales do not wait for the program. It is never run twice at the same time.
//! If it fails, the journal says so.

use crate::rig::mosquitto::TAP;
use crate::rig::shop::{DEVICE, Options, Shop};
use crate::rig::tap::Tap;
use crate::rig::wait_for;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
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
        let path = directory.path().join("alert");
        std::fs::write(&path, format!("#!/bin/bash\ncd \"$1\" || exit 9\n{script}\n")).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("changed");
        let section = format!("[alerts]\ncommand = [\"{}\", \"{}\"]\n{more}", path.display(), directory.path().display());
        let midtrans = options.midtrans.clone() + &section;
        Self { shop: Shop::open(Options { midtrans, ..options }), directory }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// The alerts that were written to `told`, a line each.
    pub fn told(&self) -> Vec<Value> {
        self.text("told").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    pub fn wait_told(&self, count: usize) -> Vec<Value> {
        wait_for(&format!("{count} alerts"), || Some(self.told()).filter(|told| told.len() >= count))
    }
}

/// Keeps what it is told.
pub const TELL: &str = "{ cat; echo; } >> told; env >> environment";

#[test]
fn whatever_a_person_must_look_at_is_told_once() {
    let alerted = Alerted::open(TELL, "");
    let shop = &alerted.shop;
    let (failed, uncertain) = (shop.told("failed"), shop.told("uncertain"));
    shop.told("dispensed");
    let told = alerted.wait_told(2);
    for (alert, (order_id, kind)) in told.iter().zip([(&failed, "refund_due"), (&uncertain, "uncertain")]) {
        assert_eq!((&alert["order"]["order_id"], &alert["kind"]), (&json!(order_id), &json!(kind)));
        assert_eq!((&alert["device"], &alert["order"]["amount"], &alert["sandbox"]), (&json!(DEVICE), &json!(5000), &json!(true)));
        for field in ["alert_id", "since", "told", "to_do"] {
            assert!(alert[field].as_str().is_some_and(|text| !text.is_empty()), "{field} in {alert}");
        }
    }
    assert_ne!(told[0]["alert_id"], told[1]["alert_id"]);
    // Another backend process finds nothing left to tell; a third thing is told, and that alone.
    let mut alerted = alerted;
    alerted.shop.kill_backend();
    alerted.shop.start_backend();
    let third = alerted.shop.told("undelivered");
    let told = alerted.wait_told(3);
    assert!(told.len() == 3 && told[2]["order"]["order_id"] == json!(third), "{told:#?}");
    // The program knows nothing of ours but where tools are.
    let environment = alerted.text("environment");
    let strange: Vec<_> = environment
        .lines()
        .filter(|line| !["PATH=", "LANG=", "PWD=", "OLDPWD=", "SHLVL=", "_="].iter().any(|known| line.starts_with(known)))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}

#[test]
fn selling_does_not_wait_and_never_two_are_told_at_once() {
    // The first waits until it may go on; each says when it begins and ends.
    let script = "echo begin >> log; while ! test -e go; do sleep 0.05; done; echo end >> log; { cat; echo; } >> told";
    let alerted = Alerted::open(script, "");
    let shop = &alerted.shop;
    shop.told("failed");
    wait_for("the command to begin", || alerted.text("log").starts_with("begin").then_some(()));
    let start = Instant::now();
    for _ in 0..3 {
        shop.told("failed");
    }
    assert!(start.elapsed() < Duration::from_secs(20), "selling took {:?}", start.elapsed());
    assert_eq!(alerted.text("log"), "begin\n", "the others wait for the first");
    std::fs::write(alerted.file("go"), "").expect("written");
    alerted.wait_told(4);
    assert_eq!(alerted.text("log"), "begin\nend\n".repeat(4));
}

#[test]
fn a_command_that_fails_is_told_to_the_journal_and_settled_alerts_are_not_told() {
    let script = "echo begin >> log; echo 'no route to phone' >&2; exit 3";
    let alerted = Alerted::open(script, "");
    let order_id = alerted.shop.told("failed");
    let backend = alerted.shop.backend.as_ref().expect("it runs");
    let line = backend.wait_line("nobody could be told");
    assert!(line.contains(&order_id) && line.contains("exit status: 3: no route to phone"), "{line}");
    assert_eq!(alerted.text("log"), "begin\n", "it is not tried again at once");
}

#[test]
fn a_machine_that_is_not_there_is_told_of() {
    let mut alerted = Alerted::open(TELL, "offline_after_s = 10\n");
    // Somebody else who takes the machine's messages would hide that it does not.
    alerted.shop.tap = Tap::connect(&alerted.shop.broker, TAP, &["qrisd/v1/+/vend/event"]);
    let shop = &alerted.shop;
    // It has sold once; nobody subscribes for it, and from now on it asks nothing.
    shop.charge();
    let told = alerted.wait_told(1);
    assert_eq!((&told[0]["kind"], &told[0]["device"], &told[0]["order"]), (&json!("offline"), &json!(DEVICE), &Value::Null));
    let backend = shop.backend.as_ref().expect("it runs");
    backend.wait_line("device vm-001 has not been there for 10 s");
    // It asks: it is back, and that is known.
    assert_eq!(shop.backend_get("/v1/orders?state=open").status, 200);
    backend.wait_line("device vm-001 is there again");
    let over = &alerted.wait_told(2)[1];
    assert_eq!((&over["kind"], &over["over"], &over["alert_id"]), (&json!("over"), &json!("offline"), &told[0]["alert_id"]));
    assert!(over["told"].as_str().is_some_and(|text| text.starts_with("over: ")) && over["until"].is_string(), "{over}");
    assert_eq!((&told[0]["over"], &told[0]["until"]), (&Value::Null, &Value::Null));
}
