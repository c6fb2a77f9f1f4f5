//! `qrisctl` at a real broker with the shipped access list, and on a real bus; the test plays the machine.

use crate::rig::mosquitto::{Mosquitto, TAP};
use crate::rig::namespace::Namespace;
use crate::rig::process::Process;
use crate::rig::relayd::Relayd;
use crate::rig::screen::code_in_blocks;
use crate::rig::tap::Tap;
use crate::rig::{PATIENCE, command, output};
use rumqttc::v5::mqttbytes::v5::PublishProperties;
use serde_json::{Value, json};
use std::process::Output;
use std::time::{Duration, Instant};

/// Run as an operator of the fleet.
struct Fleet {
    directory: tempfile::TempDir,
    broker: Mosquitto,
    tap: Tap,
}

impl Fleet {
    fn start() -> Self {
        Self::where_the_test_hears(&["qrisd/#"])
    }

    fn where_the_test_hears(filters: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let broker = Mosquitto::start(directory.path(), None, false);
        let tap = Tap::connect(&broker, TAP, filters);
        Self { directory, broker, tap }
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.broker.qrisctl("fleet", self.directory.path());
        command.args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> CommandResult {
        result_of(output(&mut self.command(arguments)))
    }

    /// Starts a command, waits for what it asks of vm-001 at `tail`, and tells it the states that follow.
    fn answer(&self, arguments: &[&str], tail: &str, states: &[(&str, Value)]) -> (CommandResult, Value) {
        let from = self.tap.count();
        let asking = Process::start("qrisctl", &mut self.command(arguments));
        let topic = format!("qrisd/v1/vm-001/{tail}");
        let asked = self.tap.wait_from(from, &topic, |message| (message.topic == topic).then(|| message.json()));
        for (i, (state, reason)) in states.iter().enumerate() {
            let event = json!({
                "event_id": format!("e{i}"), "stream": "s", "seq": i, "request_id": asked["request_id"], "order_id": null,
                "state": state, "reason": reason, "item": "A1", "amount": 5000
            });
            // Of somebody else, and nothing that is known: both are passed over.
            let other = json!({"event_id": "x", "stream": "s", "seq": 9, "request_id": "other", "state": "dispensed"});
            self.tap.publish("qrisd/v1/vm-001/vend/event", &other);
            self.tap.publish("qrisd/v1/vm-001/vend/event", &json!({"news": true}));
            self.tap.publish("qrisd/v1/vm-001/vend/event", &event);
        }
        let (status, text) = asking.finish();
        (CommandResult { code: status.code(), stdout: text, stderr: String::new() }, asked)
    }
}

struct CommandResult {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn result_of(output: Output) -> CommandResult {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    CommandResult { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn status_tells_every_machine_and_ends() {
    let fleet = Fleet::start();
    let empty = fleet.run(&["status"]);
    assert_eq!((empty.code, empty.stdout.as_str()), (Some(0), ""), "{}", empty.stderr);
    // More than the broker sends before the first are acknowledged.
    let names: Vec<_> = (100..150).map(|n| format!("vm-{n}")).collect();
    for name in &names {
        let status = json!({"state": "online", "busy": false, "faults": [], "version": "0.1.0"});
        fleet.tap.publish_bytes(&format!("qrisd/v1/{name}/status"), status.to_string().as_bytes(), true);
    }
    let all = fleet.run(&["status", "--json"]);
    let devices: Vec<_> = all.stdout.lines().map(|line| json_line(line)["device"].as_str().expect("a name").to_owned()).collect();
    assert_eq!(devices, names, "{}", all.stderr);
    assert_eq!(all.code, Some(0));
    let one = fleet.run(&["status", "--device", "vm-101"]);
    assert_eq!((one.code, one.stdout.as_str()), (Some(0), "vm-101 online idle version 0.1.0\n"), "{}", one.stderr);
    let none = fleet.run(&["status", "--device", "vm-999"]);
    assert_eq!(none.code, Some(1));
    assert!(none.stderr.contains("vm-999"), "{}", none.stderr);
}

#[test]
fn vend_and_cancel_end_as_the_order_does() {
    let fleet = Fleet::start();
    let vend = ["vend", "--device", "vm-001", "--item", "A1", "--amount", "5000", "--timeout-s", "60", "--request-id", "r-1", "--wait"];
    let sold = [("requested", Value::Null), ("awaiting_payment", Value::Null), ("paid", Value::Null), ("dispensed", Value::Null)];
    let (result, asked) = fleet.answer(&vend, "vend/request", &sold);
    assert_eq!(asked, json!({"request_id": "r-1", "item": "A1", "amount": 5000, "timeout_s": 60}));
    assert_eq!(result.code, Some(0), "{}", result.stdout);
    let lines: Vec<_> = result.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[1], "vm-001 r-1 awaiting_payment A1 Rp5.000");
    let (result, asked) =
        fleet.answer(&["vend", "--device", "vm-001", "--item", "A1", "--wait", "--json"], "vend/request", &[("refused", "busy".into())]);
    assert_eq!(result.code, Some(1), "{}", result.stdout);
    assert_eq!(asked["request_id"].as_str().map(str::len), Some(32));
    assert!(result.stdout.contains(r#""reason":"busy""#) && result.stdout.contains("ended refused (busy)"), "{}", result.stdout);
    // It is named as vend prints it, or as vend takes it.
    for (state, code, named) in [("cancelled", 0, &["r-1"][..]), ("dispensed", 1, &["r-1"]), ("cancelled", 0, &["--request-id", "r-1"])] {
        let cancel = [&["cancel", "--device", "vm-001", "--wait"], named].concat();
        let (result, asked) = fleet.answer(&cancel, "vend/cancel", &[(state, Value::Null)]);
        assert_eq!(asked, json!({"request_id": "r-1"}));
        assert_eq!(result.code, Some(code), "{}", result.stdout);
    }
    let handed = fleet.run(&["vend", "--device", "vm-001", "--item", "A1", "--request-id", "r-2"]);
    assert_eq!((handed.code, handed.stdout.as_str()), (Some(0), "r-2\n"), "{}", handed.stderr);
    let handed = fleet.run(&["vend", "--device", "vm-001", "--item", "A1", "--request-id", "r-3", "--json"]);
    assert_eq!((handed.code, handed.stdout.as_str()), (Some(0), "{\"request_id\":\"r-3\"}\n"), "{}", handed.stderr);
    // Nobody waits: each says what went to which machine, and where to see what becomes of it.
    let watch = "went to vm-001: `qrisctl watch --device vm-001` shows what becomes of it";
    assert!(handed.stderr.contains(&format!("the request r-3 {watch}")), "{}", handed.stderr);
    for (json, wanted) in [(&["--json"][..], "{\"request_id\":\"r-3\"}\n"), (&[], "r-3\n")] {
        let handed = fleet.run(&[&["cancel", "--device", "vm-001", "r-3"], json].concat());
        assert_eq!((handed.code, handed.stdout.as_str()), (Some(0), wanted), "{}", handed.stderr);
        assert!(handed.stderr.contains(&format!("the cancel of r-3 {watch}")), "{}", handed.stderr);
    }
}

#[test]
fn a_key_has_its_owners_name_and_is_never_written_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str| directory.path().join(name).display().to_string();
    let (own, keys_file) = (file("operator.jwk"), file("keys.json"));
    let keys = |arguments: &[&str]| result_of(output(command(env!("CARGO_BIN_EXE_qrisctl")).arg("keys").args(arguments)));
    let new = |name: &str| keys(&["new", "--level", "manage", "--name", name, "--operator-key", &own]);
    assert_eq!(new("Sari\u{1b}[2J").code, Some(2), "it stands on terminals");
    let made = new("Sari W.");
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let again = new("Budi");
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("there is a key already; name another file with --operator-key"), "{}", again.stderr);
    std::fs::write(&keys_file, "{\"keys\":[]}").expect("written");
    assert_eq!(keys(&["add", made.stdout.trim(), "--keys-file", &keys_file]).code, Some(0));
    let kid = json_line(&made.stdout)["kid"].as_str().expect("a name").to_owned();
    assert_eq!(keys(&["list", "--keys-file", &keys_file]).stdout, format!("manage  Sari W. ({kid})\n"));
    let listed = keys(&["list", "--json", "--keys-file", &keys_file]).stdout;
    assert_eq!(json_line(&listed), json!({ "kid": kid, "level": "manage", "name": "Sari W." }));
    let bad = made.stdout.trim().replace("Sari W.", "Sari\\u202e");
    assert!(keys(&["add", &bad, "--keys-file", &keys_file]).stderr.contains("its `name` must be a text"), "nor does one come in a key");
}

/// Where there is no panel a phone reads the page's address off the terminal.
#[test]
fn vend_shows_the_page_that_the_machine_tells() {
    const PAGE: &str = "https://pay.example/pay/jrybgq6spk8jtmp9zdcw";
    let fleet = Fleet::start();
    let from = fleet.tap.count();
    let asking = Process::start("qrisctl", &mut fleet.command(&["vend", "--device", "vm-001", "--item", "A1", "--qr"]));
    let topic = "qrisd/v1/vm-001/vend/request";
    let asked = fleet.tap.wait_from(from, topic, |message| (message.topic == topic).then(|| message.json()));
    let event = |state: &str| json!({"event_id": state, "stream": "s", "seq": 1, "request_id": asked["request_id"], "state": state});
    let mut payable = event("awaiting_payment");
    payable["pay_url"] = PAGE.into();
    for event in [event("requested"), payable, event("dispensed")] {
        fleet.tap.publish("qrisd/v1/vm-001/vend/event", &event);
    }
    let (status, text) = asking.finish();
    assert!(status.success(), "{text}");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(code_in_blocks(&lines).as_deref(), Some(PAGE), "{text}");
    assert!(lines.contains(&PAGE), "{text}");
}

/// The broker queues 1,000 messages for a client. These are 1,400.
#[test]
fn a_fleet_that_is_larger_than_the_brokers_queue_is_listed_whole() {
    const MACHINES: usize = 700;
    let fleet = Fleet::where_the_test_hears(&[]);
    for n in 0..MACHINES {
        let topic = |tail: &str| format!("qrisd/v1/vm-{n:03}/{tail}");
        fleet.tap.publish_bytes(&topic("status"), br#"{"state":"online"}"#, true);
        fleet.tap.publish_bytes(&topic("config/reported"), br#"{"version":7,"labels":["jakarta"]}"#, true);
    }
    let listed = fleet.run(&["fleet", "list", "--label", "jakarta"]);
    let good = listed.stdout.lines().filter(|line| line.ends_with("online   ?        7")).count();
    assert_eq!((listed.code, good), (Some(0), MACHINES), "{}{}", listed.stdout, listed.stderr);
}

/// Machines that end in every way. Those beyond vm-105 are not connected, or have no such command.
#[test]
fn the_ends_of_many_machines_are_counted_in_the_last_line() {
    let fleet = Fleet::where_the_test_hears(&["qrisd/v1/vm-101/#", "qrisd/v1/vm-102/#", "qrisd/v1/vm-103/#", "qrisd/v1/vm-104/#"]);
    let key = fleet.directory.path().join("look.jwk").display().to_string();
    let new = output(command(env!("CARGO_BIN_EXE_qrisctl")).args(["keys", "new", "--level", "view", "--operator-key", &key]));
    assert_eq!(new.status.code(), Some(0));
    for (device, commands) in
        [("vm-101", json!(["vitals"])), ("vm-102", json!(["vitals"])), ("vm-103", json!(["vitals"])), ("vm-104", json!(["vitals"]))]
            .into_iter()
            .chain([("vm-105", json!(["vitals"])), ("vm-106", json!(["status"]))])
    {
        let status = json!({ "state": "online", "name": if device == "vm-101" { "Lobi" } else { "" }, "commands": commands });
        fleet.tap.publish_bytes(&format!("qrisd/v1/{device}/status"), status.to_string().as_bytes(), true);
    }
    let run = |more: &[&str], machines: &[&str]| {
        let from = fleet.tap.count();
        let named: Vec<&str> = machines.iter().flat_map(|device| ["--device", *device]).collect();
        let command = [&["fleet", "run", "vitals", "--operator-key", &key], &named[..], more].concat();
        let asking = Process::start("qrisctl", &mut fleet.command(&command));
        for device in machines.iter().filter(|device| ***device < *"vm-105") {
            let topic = format!("qrisd/v1/{device}/cmd/vitals/request");
            let asked = fleet.tap.wait_from(from, &topic, |message| (message.topic == topic).then(|| message.properties.clone()));
            let answer = match *device {
                "vm-101" => json!({ "state": "done", "ok": true, "result": {} }),
                "vm-102" => json!({ "state": "failed", "ok": false, "error": { "code": "store", "message": "no" } }),
                "vm-103" => json!({ "state": "timed_out", "ok": false, "error": { "code": "busy", "message": "no" } }),
                // Pieces are missing: nobody knows what it says.
                _ => json!({ "state": "done", "ok": true, "pieces": 2, "sha256": "" }),
            };
            let to = asked.response_topic.expect("an answer is wanted");
            let properties = PublishProperties { correlation_data: asked.correlation_data, ..PublishProperties::default() };
            fleet.tap.publish_with(&to, answer.to_string().as_bytes(), false, properties);
        }
        let (status, text) = asking.finish();
        (status.code(), text)
    };
    let all = ["vm-101", "vm-102", "vm-103", "vm-104", "vm-105", "vm-106"];
    let (code, text) = run(&[], &all);
    assert!(text.contains("qrisctl: 1 done, 1 failed, 1 timed out, 2 not asked, 1 gave no answer"), "{text}");
    assert_eq!(code, Some(1), "{text}");
    let (code, text) = run(&["--json"], &all);
    let objects: Vec<Value> = text.lines().filter(|line| line.starts_with('{')).map(json_line).collect();
    let ends = json!({ "done": 1, "failed": 1, "rejected": 0, "timed_out": 1, "not_asked": 2, "gave_no_answer": 1 });
    assert_eq!((code, objects.len(), objects.last()), (Some(1), 7, Some(&json!({ "machines": 6, "ends": ends }))), "{text}");
    let has_all = |end: &Value| ["device", "state", "result", "error"].iter().all(|field| end.get(field).is_some());
    assert!(objects[..6].iter().all(has_all), "each has the same fields: {text}");
    // One that did it has said so. Where nothing went wrong, nothing else is counted.
    assert_eq!(run(&[], &["vm-101"]), (Some(0), "Lobi (vm-101): done".into()));
    let status = json!({ "state": "offline" });
    fleet.tap.publish_bytes("qrisd/v1/vm-107/status", status.to_string().as_bytes(), true);
    let (code, text) = run(&[], &["vm-101", "vm-107"]);
    assert!(code == Some(1) && text.contains("vm-107: it is not connected to the broker"), "{text}");
    // It goes to standard error, and the ends to standard output: nobody knows which is read first.
    assert!(text.contains("qrisctl: 1 done, 1 not asked"), "{text}");
    let (code, text) = run(&[], &["vm-101", "vm-108"]);
    assert!(code == Some(1) && text.contains("vm-108: this broker never heard of it"), "{text}");
    assert!(text.contains("qrisctl: 1 done, 1 not asked"), "a name that was mistyped stops no other machine: {text}");
}

/// Whoever has a machine's account, or the broker, may say any version in its name.
#[test]
fn nobody_signs_what_would_come_after_a_number_that_somebody_invented() {
    let fleet = Fleet::where_the_test_hears(&["qrisd/v1/+/config/desired"]);
    let file = |name: &str| fleet.directory.path().join(name).display().to_string();
    let key = file("desk.jwk");
    let new = output(command(env!("CARGO_BIN_EXE_qrisctl")).args(["keys", "new", "--level", "manage", "--operator-key", &key]));
    assert_eq!(new.status.code(), Some(0));
    std::fs::write(file("settings.toml"), "").expect("written");
    for (device, version) in [("vm-101", 0), ("vm-102", u64::MAX)] {
        fleet.tap.publish_bytes(&format!("qrisd/v1/{device}/config/reported"), json!({ "version": version }).to_string().as_bytes(), true);
    }
    let told = output(&mut fleet.command(&["fleet", "config", "set", &file("settings.toml"), "--all", "--yes", "--operator-key", &key]));
    let words = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.status.code() == Some(1) && words.contains("vm-102 is said to have settings version 18446744073709551615"), "{words}");
    let from = fleet.tap.count();
    fleet.tap.publish_bytes("qrisd/v1/vm-103/config/desired", b"the end", false);
    fleet.tap.wait_from(from, "the end", |message| (message.payload == b"the end").then_some(()));
    assert_eq!(fleet.tap.messages().iter().filter(|message| message.payload != b"the end").count(), 0, "nothing was sent to any machine");
}

/// A machine tells an end once for each time it is asked, and its connection may take that along.
#[test]
fn an_end_that_was_lost_is_asked_for_again() {
    let fleet = Fleet::where_the_test_hears(&["qrisd/v1/vm-101/#"]);
    let key = fleet.directory.path().join("desk.jwk").display().to_string();
    let new = output(command(env!("CARGO_BIN_EXE_qrisctl")).args(["keys", "new", "--level", "manage", "--operator-key", &key]));
    assert_eq!(new.status.code(), Some(0));
    let status = json!({ "state": "online", "commands": ["restart"] });
    fleet.tap.publish_bytes("qrisd/v1/vm-101/status", status.to_string().as_bytes(), true);
    let asking =
        || Process::start("qrisctl", &mut fleet.command(&["fleet", "run", "restart", "--operator-key", &key, "--device", "vm-101"]));
    let answers = |from: usize, answers: &[Value]| {
        let topic = "qrisd/v1/vm-101/cmd/restart/request";
        let asked = fleet.tap.wait_from(from, topic, |message| (message.topic == topic).then(|| message.clone()));
        let (count, asked, payload) = (fleet.tap.count(), asked.properties, asked.payload);
        let to = asked.response_topic.expect("an answer is wanted");
        let properties = PublishProperties { correlation_data: asked.correlation_data, ..PublishProperties::default() };
        for answer in answers {
            fleet.tap.publish_with(&to, answer.to_string().as_bytes(), false, properties.clone());
        }
        (count, payload)
    };
    let (accepted, done) = (json!({ "state": "accepted" }), json!({ "state": "done", "ok": true, "result": {} }));
    let rejected = |code: &str| json!({ "state": "rejected", "ok": false, "error": { "code": code, "message": "no" } });
    let (from, restart) = (fleet.tap.count(), asking());
    let (from, first) = answers(from, std::slice::from_ref(&accepted));
    let (from, second) = answers(from, &[rejected("rate_limited")]);
    assert_eq!(first, second, "the same command: it is carried out once");
    answers(from, &[done]);
    let (status, text) = restart.finish();
    assert!(status.success() && text.contains("vm-101: done"), "{text}");
    // One that had too many is asked again.
    let (from, restart) = (fleet.tap.count(), asking());
    let (from, first) = answers(from, &[rejected("rate_limited")]);
    let (_, second) = answers(from, &[json!({ "state": "done", "ok": true, "result": {} })]);
    let (status, text) = restart.finish();
    assert!(first == second && status.success() && text.contains("vm-101: done"), "{text}");
    // One whose time is over was forgotten. It may have been carried out.
    let (from, restart) = (fleet.tap.count(), asking());
    answers(from, &[accepted, rejected("expired")]);
    let (status, text) = restart.finish();
    assert!(!status.success() && text.contains("qrisctl: 1 gave no answer"), "{text}");
}

/// Whoever publishes at the broker can make a machine refuse something, too.
#[test]
fn a_refusal_of_a_strangers_settings_is_not_taken_for_that_of_ones_own() {
    let fleet = Fleet::where_the_test_hears(&["qrisd/v1/vm-001/#"]);
    let key = fleet.directory.path().join("desk.jwk").display().to_string();
    let new = output(command(env!("CARGO_BIN_EXE_qrisctl")).args(["keys", "new", "--level", "manage", "--operator-key", &key]));
    assert_eq!(new.status.code(), Some(0));
    let file = fleet.directory.path().join("settings.toml");
    std::fs::write(&file, "[device]\nname = \"Lobi\"\n").expect("written");
    let reports = |told: &Value| fleet.tap.publish_bytes("qrisd/v1/vm-001/config/reported", told.to_string().as_bytes(), true);
    let refused = json!({ "version": 7, "refused": { "code": "malformed", "message": "a stranger's" } });
    // It says nothing of what it sells.
    fleet.tap.publish_bytes("qrisd/v1/vm-001/status", br#"{"state":"online","commands":[]}"#, true);
    for taken in [true, false] {
        reports(&json!({ "version": 7 }));
        let from = fleet.tap.count();
        let arguments = ["fleet", "config", "set", &file.display().to_string(), "--device", "vm-001", "--yes", "--operator-key", &key];
        let setting = Process::start("qrisctl", &mut fleet.command(&arguments));
        let topic = "qrisd/v1/vm-001/config/desired";
        fleet.tap.wait_from(from, topic, |message| (message.topic == topic).then_some(()));
        reports(&refused);
        if taken {
            reports(&json!({ "version": 8 }));
        }
        let (status, text) = setting.finish();
        assert_eq!(status.success(), taken, "{text}");
        assert!(text.contains(if taken { "version 8 is in force" } else { "refused (malformed): a stranger's" }), "{text}");
    }
}

#[test]
fn a_machine_that_is_not_there_is_said_at_once() {
    let fleet = Fleet::where_the_test_hears(&["qrisd/v1/+/vend/event"]);
    let vend = ["vend", "--device", "vm-001", "--item", "A1"];
    let cancel = ["cancel", "--device", "vm-001", "r-1"];
    for arguments in [&vend[..], &cancel[..]] {
        for wait in [&["--wait"][..], &[]] {
            let result = fleet.run(&[arguments, wait].concat());
            assert_eq!(result.code, Some(1), "{arguments:?} {wait:?}: {}{}", result.stdout, result.stderr);
            assert!(result.stderr.contains("no machine took it: vm-001"), "{}", result.stderr);
        }
    }
}

#[test]
fn a_request_that_nobody_answers_fails_when_the_broker_has_forgotten_it() {
    // The test stands for a machine whose session the broker keeps: it takes the request and never says anything.
    let fleet = Fleet::start();
    let start = Instant::now();
    let vend = Process::start("qrisctl", &mut fleet.command(&["vend", "--device", "vm-001", "--item", "A1", "--wait"]));
    vend.wait_line_within(Duration::from_secs(30) + PATIENCE, "no machine took it: vm-001");
    assert!(start.elapsed() >= Duration::from_secs(30), "the request was still at the broker");
    assert_eq!(vend.wait().code(), Some(1));
}

#[test]
fn who_hears_nothing_is_told_why_that_may_be() {
    let fleet = Fleet::start();
    // May read neither events nor status of any machine, which Mosquitto does not say.
    let mut command = fleet.broker.qrisctl("vm-002", fleet.directory.path());
    let watch = Process::start("qrisctl", command.arg("watch"));
    watch.wait_line("this user may not read these topics");
    let status = json!({"state": "online", "busy": false, "faults": []});
    fleet.tap.publish_bytes("qrisd/v1/vm-001/status", status.to_string().as_bytes(), true);
    assert!(watch.terminate().0.success());
    assert_eq!(watch.finish().1.lines().count(), 1, "one hint and nothing else: {}", watch.text());
}

#[test]
fn watch_shows_what_comes_until_it_is_ended() {
    let fleet = Fleet::start();
    let retained = json!({"state": "online", "busy": true, "faults": []});
    fleet.tap.publish_bytes("qrisd/v1/vm-001/status", retained.to_string().as_bytes(), true);
    for (arguments, status, event) in [
        (&["watch"][..], "vm-001 online busy", "vm-002 r-1 paid (late) \u{fffd}"),
        (&["watch", "--json", "--device", "all"], r#"{"device":"vm-001","payload":{"#, r#""topic":"vend/event"}"#),
    ] {
        let watch = Process::start("qrisctl", &mut fleet.command(arguments));
        // The retained status tells that it listens.
        watch.wait_line(status);
        let paid = json!({"event_id": "e", "stream": "s", "seq": 1, "request_id": "r-1", "state": "paid", "reason": "late", "item": null, "detail": null});
        fleet.tap.publish("qrisd/v1/vm-002/vend/event", &paid);
        let event = event.trim_end_matches([' ', '\u{fffd}']);
        watch.wait_line(event);
        let (status, took) = watch.terminate();
        // A second is what is wanted. A busy computer lets it stand still besides.
        assert!(status.success() && took.as_secs() < 20, "{status} after {took:?}");
    }
}

#[test]
fn wrong_use_is_2_and_failure_1() {
    let fleet = Fleet::start();
    let bare = |arguments: &[&str]| result_of(output(command(env!("CARGO_BIN_EXE_qrisctl")).args(arguments)));
    let loopback = format!("mqtt://127.0.0.1:{}", fleet.broker.port);
    let config = fleet.directory.path().join("qrisctl.toml");
    let password = fleet.directory.path().join("fleet-password");
    std::fs::write(&password, "password-of-fleet\n").expect("written");
    std::fs::write(&config, format!("[mqtt]\nurl = \"{loopback}\"\nusername = \"fleet\"\npassword_file = \"{}\"\n", password.display()))
        .expect("written");
    let broken = fleet.directory.path().join("broken.toml");
    std::fs::write(&broken, "[mqtt]\nurl = \"mqtt://127.0.0.1\"\nuser = 1\n").expect("written");
    let (config, broken) = (config.to_str().expect("text"), broken.to_str().expect("text"));
    let cases: [(&[&str], i32, &str); 13] = [
        (&["status"], 2, "--broker"),
        (&[], 2, "Usage"),
        (&["sell"], 2, "sell"),
        (&["status", "--broker", "http://x"], 2, "--broker"),
        (&["status", "--broker", "mqtt://broker.example"], 2, "loopback"),
        (&["status", "--broker", &loopback, "--username", "u", "--password-file", "/nowhere/p"], 2, "/nowhere/p"),
        (&["status", "--config", broken], 2, "broken.toml:3: mqtt.user"),
        (&["vend", "--broker", &loopback, "--device", "a/b", "--item", "A1"], 2, "device"),
        (&["vend", "--broker", &loopback, "--device", "vm-001", "--item", "A 1"], 2, "item"),
        (&["vend", "--broker", &loopback, "--device", "vm-001", "--item", "A1", "--timeout-s", "9"], 2, "10 to 840"),
        (&["status", "--broker", &loopback], 1, "broker"),
        (&["--config", config, "status"], 0, ""),
        (&["status", "--config", config], 0, ""),
    ];
    for (arguments, code, text) in cases {
        let result = bare(arguments);
        assert_eq!(result.code, Some(code), "{arguments:?}: {}", result.stderr);
        assert!(result.stderr.contains(text), "{arguments:?}: {}", result.stderr);
    }
    let by_name = output(command(env!("CARGO_BIN_EXE_qrisctl")).arg("status").env("QRISCTL_CONFIG", config));
    assert_eq!(by_name.status.code(), Some(0));
    let by_nothing = output(command(env!("CARGO_BIN_EXE_qrisctl")).args(["status", "--broker", &loopback]).env("QRISCTL_CONFIG", ""));
    assert_eq!(by_nothing.status.code(), Some(1), "an empty name is no file: {}", String::from_utf8_lossy(&by_nothing.stderr));
    fleet.tap.publish_bytes("qrisd/v1/vm-001/status", br#"{"state":"offline"}"#, true);
    for arguments in [["--json", "--config", config, "status"], ["--config", config, "status", "--json"]] {
        let result = bare(&arguments);
        assert_eq!(json_line(&result.stdout), json!({"device": "vm-001", "status": {"state": "offline"}}), "{}", result.stderr);
    }
    for (flag, text) in [("--version", env!("CARGO_PKG_VERSION")), ("--help", "Exit status")] {
        let result = bare(&[flag]);
        assert_eq!(result.code, Some(0));
        assert!(result.stdout.contains(text), "{}", result.stdout);
    }
    // The user may not hear another machine's events, and is told nothing of them; what it may not say it is told.
    let foreign = result_of(output(
        fleet.broker.qrisctl("vm-001-controller", fleet.directory.path()).args(["vend", "--device", "vm-002", "--item", "A1"]),
    ));
    assert_eq!(foreign.code, Some(1), "{}", foreign.stderr);
    assert!(foreign.stderr.contains("does not let us publish on qrisd/v1/vm-002/vend/request"), "{}", foreign.stderr);
}

fn json_line(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|why| panic!("{line}: {why}"))
}

#[test]
fn a_machine_that_is_not_set_up_says_so_and_nobody_is_waited_for() {
    let mut relay = Relayd::prepare("pulse_ms = 50\n", None);
    std::fs::create_dir_all(relay.path().join("etc/qrisd")).expect("made");
    let system = Namespace::new(&format!("mount --bind {} /etc", relay.path().join("etc").display()));
    let ask = |relay: &Relayd, arguments: &[&str]| {
        let mut ask = command(env!("CARGO_BIN_EXE_qrisctl"));
        ask.args(arguments).env("DBUS_SYSTEM_BUS_ADDRESS", &relay.bus.address);
        result_of(output(system.command(&ask).current_dir(relay.path())))
    };
    for (arguments, file) in [
        (&["relay", "lines"][..], "relay.toml"),
        (&["relay", "clear", "A1"], "relay.toml"),
        (&["order"], "qrisd.toml"),
        (&["collect", "2345678901234567"], "qrisd.toml"),
        (&["screen", "shot", "--out", "shot.png"], "qrisd.toml"),
    ] {
        let result = ask(&relay, arguments);
        let words = format!("this machine is not set up, /etc/qrisd/{file} is not there: run `sudo qrisctl setup`");
        assert!(result.code == Some(1) && result.stderr.contains(&words), "{arguments:?}: {:?} {}", result.code, result.stderr);
    }
    // Another bus is somebody else's.
    let bus = relay.bus.address.clone();
    let elsewhere = ask(&relay, &["relay", "lines", "--bus", &bus]);
    assert!(elsewhere.code == Some(1) && elsewhere.stderr.contains("qris-relayd does not run"), "{}", elsewhere.stderr);
    // With a configuration the service is called.
    let toml = relay.path().join("etc/qrisd/relay.toml");
    std::fs::write(&toml, "").expect("written");
    for (arguments, service) in [(&["relay", "lines"][..], "qris-relayd"), (&["collect", "2345678901234567", "--bus", &bus], "qrisd")] {
        let called = ask(&relay, arguments);
        let words = format!("{service} does not run: start it with `sudo systemctl start {service}`");
        assert!(called.code == Some(1) && called.stderr.contains(&words), "{}", called.stderr);
    }
    // One that runs answers, wherever it has its configuration.
    std::fs::remove_file(&toml).expect("there");
    relay.resume();
    let lines = ask(&relay, &["relay", "lines"]);
    assert!(lines.code == Some(0) && lines.stdout.contains("tray 1"), "{}", lines.stderr);
    for (bus, code) in [("nonsense", 2), ("peer:/nowhere/at-all", 1)] {
        assert_eq!(ask(&relay, &["relay", "lines", "--bus", bus]).code, Some(code), "{bus}");
    }
}

#[test]
fn a_context_is_a_file_at_home_and_names_broker_and_key() {
    let fleet = Fleet::start();
    let home = fleet.directory.path().join("home");
    let contexts = home.join(".config/qrisctl");
    std::fs::create_dir_all(&contexts).expect("made");
    let password = fleet.directory.path().join("fleet-password");
    std::fs::write(&password, "password-of-fleet\n").expect("written");
    let mqtt = format!(
        "[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\nusername = \"fleet\"\npassword_file = \"{}\"\n",
        fleet.broker.port,
        password.display()
    );
    fleet.tap.publish_bytes("qrisd/v1/vm-001/status", br#"{"state":"offline","at":"2026-11-20T07:00:00Z"}"#, true);
    let at_home = |arguments: &[&str]| {
        let mut run = command(env!("CARGO_BIN_EXE_qrisctl"));
        run.args(arguments).env("HOME", &home);
        run
    };
    let told = |command: &mut std::process::Command, code, text: &str| {
        let result = result_of(output(command));
        let said = format!("{}{}", result.stdout, result.stderr);
        assert!(result.code == Some(code) && said.contains(text), "{command:?}: {:?} {said}", result.code);
    };
    told(&mut at_home(&["status"]), 2, "no broker: give --broker URL");
    std::fs::write(contexts.join("jakarta.toml"), &mqtt).expect("written");
    told(&mut at_home(&["status"]), 2, "no broker");
    told(&mut at_home(&["status", "--context", "jakarta"]), 0, "vm-001");
    told(at_home(&["status"]).env("QRISCTL_CONTEXT", "jakarta"), 0, "vm-001");
    for words in [&["--context", "jakarta"][..], &["--context=jakarta"]] {
        let words = [&["--", "qrisctl"], words, &["fleet", "show", "--device", ""]].concat();
        let asks = &mut at_home(&words);
        told(asks.env("QRISCTL_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", (words.len() - 2).to_string()), 0, "vm-001");
    }
    told(&mut at_home(&["status", "--context", "bali"]), 2, "bali.toml");
    told(&mut at_home(&["status", "--context", "../jakarta"]), 2, "letters, digits");
    told(at_home(&["status"]).env("QRISCTL_CONTEXT", "a/b"), 2, "QRISCTL_CONTEXT");
    std::fs::write(contexts.join("qrisctl.toml"), &mqtt).expect("written");
    told(&mut at_home(&["status"]), 0, "vm-001");
    // The merchant's zone, as the backend's commands have it, wherever this computer is.
    told(at_home(&["status"]).env("TZ", "UTC0"), 0, "2026-11-20 07:00:00 UTC");
    std::fs::write(contexts.join("qrisctl.toml"), format!("zone = \"WITA\"\n{mqtt}")).expect("written");
    told(at_home(&["status"]).env("TZ", "UTC0"), 0, "2026-11-20 15:00:00 WITA");
    std::fs::write(contexts.join("qrisctl.toml"), format!("zone = \"UTC\"\n{mqtt}")).expect("written");
    told(&mut at_home(&["status"]), 2, "zone: must be \"WIB\", \"WITA\" or \"WIT\", not \"UTC\"");
    std::fs::write(contexts.join("qrisctl.toml"), &mqtt).expect("written");
    // What a flag says of the broker does not come with a name and a password from a file that nobody named.
    told(&mut at_home(&["status", "--broker", &format!("mqtt://127.0.0.1:{}", fleet.broker.port)]), 1, "NotAuthorized");

    // A key behind a passphrase, which the context names.
    let key = fleet.directory.path().join("jakarta.jwk").display().to_string();
    let secret = fleet.directory.path().join("passphrase");
    std::fs::write(&secret, "short\n").expect("written");
    let new = ["keys", "new", "--level", "manage", "--operator-key", &key, "--passphrase"];
    told(&mut at_home(&new), 2, "QRISCTL_PASSPHRASE_FILE");
    told(at_home(&new).env("QRISCTL_PASSPHRASE_FILE", &secret), 2, "8 characters");
    std::fs::write(&secret, "correct horse\n").expect("written");
    told(at_home(&new).env("QRISCTL_PASSPHRASE_FILE", &secret), 0, "\"level\":\"manage\"");
    let kept = std::fs::read_to_string(&key).expect("written");
    assert!(!kept.contains("\"d\"") && kept.contains("sealed_by"), "{kept}");
    told(at_home(&new).env("QRISCTL_PASSPHRASE_FILE", &secret), 1, "there is a key already");
    std::fs::write(contexts.join("qrisctl.toml"), format!("operator_key = \"{key}\"\n{mqtt}")).expect("written");
    let run = ["fleet", "run", "vitals", "--device", "vm-001", "--wait", "1"];
    told(&mut at_home(&run), 2, "needs its passphrase");
    let wrong = fleet.directory.path().join("wrong");
    std::fs::write(&wrong, "correct horsf\n").expect("written");
    told(at_home(&run).env("QRISCTL_PASSPHRASE_FILE", &wrong), 2, "does not open the key");
    // The key is open: what is missing now is the machine.
    told(at_home(&run).env("QRISCTL_PASSPHRASE_FILE", &secret), 1, "vm-001");
}

#[test]
fn colours_are_for_who_wants_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let doctor = |variables: &[(&str, &str)]| {
        let mut doctor = command(env!("CARGO_BIN_EXE_qrisctl"));
        doctor.args(["doctor", "--offline", "--root"]).arg(directory.path()).envs(variables.iter().copied());
        result_of(output(&mut doctor)).stdout
    };
    assert!(doctor(&[]).starts_with("BAD   config"), "a pipe has none: {}", doctor(&[]));
    assert!(doctor(&[("CLICOLOR_FORCE", "1")]).starts_with("\u{1b}[31mBAD \u{1b}[0m  config"));
    assert!(doctor(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).starts_with("BAD   config"));
}
