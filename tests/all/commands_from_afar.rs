//! Commands that an operator signs at a desk, and each machine carries out once. A customer who is there is never disturbed.

use crate::interfaces::unnamed;
use crate::rig::bad::{Bad, Operators};
use crate::rig::caller::Caller;
use crate::rig::clock::{at_another_time, by_the_clock_in};
use crate::rig::desk::Desk;
use crate::rig::logind::{Logind, RULES};
use crate::rig::midtrans::Via;
use crate::rig::process::Process;
use crate::rig::rauc::{self, Rauc};
use crate::rig::shop::{DEVICE, Options, Program};
use crate::rig::tap::{Message, Tap};
use crate::rig::{source_text, succeed, wait_for};
use qris::conform::schema::Schema;
use qris::order::ids::{CommandId, DeviceId, ItemId};
use qris::order::keys::{KeyFile, SigningKey};
use qris::order::money::Rupiah;
use qris::order::reason::Reason;
use qris::wire::command::{self as wire, SignedCommand};
use qris::wire::vend::EventState;
use rumqttc::v5::mqttbytes::v5::PublishProperties;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

impl Desk {
    fn command(&self, what: &[&str]) -> Command {
        let key = self.file("desk.jwk");
        let mut command = self.shop.qrisctl_command("fleet");
        command.args(["fleet", "run"]).args(what).args(["--device", DEVICE, "--operator-key", &key]);
        command
    }

    fn runs(&self, what: &[&str]) -> Output {
        crate::rig::output(&mut self.command(what))
    }

    /// It is done, with this result.
    pub fn does(&self, what: &[&str]) -> Value {
        let output = self.runs(&[what, &["--json"]].concat());
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        let [end, ends] =
            text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")).collect::<Vec<_>>().try_into().expect("two lines");
        assert_eq!((&ends["machines"], &ends["ends"]["done"]), (&1.into(), &1.into()));
        assert_eq!((&end["device"], &end["state"]), (&DEVICE.into(), &"done".into()));
        end["result"].clone()
    }

    /// The end of a command that somebody sends by hand. Who hears that it came too soon asks again. What others are told may still come.
    pub fn asks(&self, topic: &str, payload: &[u8], retain: bool) -> Value {
        let answers = format!("qrisd/v1/{DEVICE}/cmd/response");
        wait_for("an answer that is an end", || {
            let from = self.shop.tap.count();
            let mark = format!("asked behind {from}");
            let (response_topic, correlation_data) = (Some(answers.clone()), Some(mark.clone().into()));
            let properties = PublishProperties { response_topic, correlation_data, ..PublishProperties::default() };
            self.shop.tap.publish_of_any_size(&format!("qrisd/v1/{DEVICE}/{topic}"), payload, retain, properties);
            let end = self.shop.tap.wait_from(from, topic, |message| {
                let is_ours = message.topic == answers && message.properties.correlation_data.as_deref() == Some(mark.as_bytes());
                Some(message).filter(|_| is_ours).map(Message::json).filter(|answer| answer["ok"].is_boolean())
            });
            if end["error"]["code"] == "rate_limited" {
                // The machine counts for a second, and nothing tells that it is over.
                std::thread::sleep(Duration::from_millis(300));
                return None;
            }
            Some(end)
        })
    }

    /// It is not done, and says so with these words.
    pub fn does_not(&self, what: &[&str], words: &str) {
        let output = self.runs(what);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn a_restart_waits_for_the_customer_and_happens_once() {
    let desk = Desk::open("manage");
    let request = desk.shop.offer("A1");
    let restart = Process::start("qrisctl", &mut desk.command(&["restart"]));
    restart.wait_line("a customer is served to the end first");
    desk.shop.tap.wait_refused(&desk.shop.vend("A1"), Reason::Updating);
    let qrisd = desk.shop.qrisd.as_ref().expect("it runs");
    let lines = qrisd.lines.count();
    desk.shop.pay(Via::Gopay);
    desk.shop.wait_state(&request, EventState::Dispensed);
    let (status, text) = restart.finish();
    assert!(status.success() && text.contains(&format!("Lobby ({DEVICE}): done; version {}", env!("CARGO_PKG_VERSION"))), "{text}");
    qrisd.wait_line_from(lines, "is ready");
    qrisd.wait_line_from(lines, ": done");
    desk.shop.wait_online();
    // Who has the broker sends it again. It gets the same end, and nothing happens.
    let topic = format!("qrisd/v1/{DEVICE}/cmd/restart/request");
    let sent = desk.shop.tap.messages().into_iter().find(|message| message.topic == topic).expect("it went over the broker");
    let (lines, from) = (qrisd.lines.count(), desk.shop.tap.count());
    let (topic_of_answers, mark) = (format!("qrisd/v1/{DEVICE}/cmd/response"), b"thief".as_slice());
    let (response_topic, correlation_data) = (Some(topic_of_answers), Some(mark.into()));
    let properties = PublishProperties { response_topic, correlation_data, ..PublishProperties::default() };
    desk.shop.tap.publish_with(&topic, &sent.payload, false, properties);
    let again = desk.shop.tap.wait_from(from, "the same end", |message| {
        (message.properties.correlation_data.as_deref() == Some(mark) && message.topic.ends_with("cmd/response")).then(|| message.json())
    });
    assert_eq!((&again["state"], &again["ok"]), (&"done".into(), &true.into()));
    desk.shop.sell("A1", Via::Gopay);
    assert!(!qrisd.lines.all()[lines..].iter().any(|line| line.contains("is ready")), "it did not restart again");
    desk.shop.check_books();
}

/// Answers are not signed. Whoever has the broker can let a command pass, and say that it was one too many.
#[test]
fn a_forged_answer_gets_nobody_a_second_pulse() {
    let desk = Desk::open("service");
    let (edges, from) = (desk.shop.relay.edges().len(), desk.shop.tap.count());
    let asks = desk.command(&["test-pulse", "A1"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let asked = desk.shop.tap.wait_from(from, "the command", |message| {
        (message.topic.contains("test-pulse") && message.properties.response_topic.is_some()).then(|| message.properties.clone())
    });
    let of_another = json!({ "id": "another", "ok": true, "state": "done", "result": {} });
    let forged = json!({ "ok": false, "state": "rejected", "error": { "code": "rate_limited", "message": "too many commands" } });
    let properties = PublishProperties { correlation_data: asked.correlation_data, ..PublishProperties::default() };
    let response_topic = asked.response_topic.expect("it waits");
    for answer in [of_another, forged] {
        desk.shop.tap.publish_with(&response_topic, answer.to_string().as_bytes(), false, properties.clone());
    }
    let output = asks.wait_with_output().expect("it ends");
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("dispensed"), "{output:?}");
    let sent = desk.shop.tap.since(from).into_iter().filter(|message| message.properties.response_topic.is_some());
    let sent: BTreeSet<_> = sent.filter(|message| message.topic.contains("test-pulse")).map(|message| message.payload).collect();
    assert_eq!(sent.len(), 1, "the same command, however often");
    assert_eq!(desk.shop.relay.edges().len(), edges + 2, "one pulse");
}

#[test]
fn a_line_is_tested_and_cleared_by_the_key_of_the_door_alone() {
    let desk = Desk::open("service");
    let edges = desk.shop.relay.edges().len();
    let result = desk.does(&["test-pulse", "A1"]);
    assert_eq!(result["outcome"], "dispensed");
    assert_eq!(desk.shop.relay.edges().len(), edges + 2, "one pulse");
    desk.does(&["test-pulse", "A1"]);
    assert_eq!(desk.shop.relay.edges().len(), edges + 4, "another command, another pulse");
    assert_eq!(desk.does(&["clear", "A1"])["outcome"], "cleared");
    desk.shop.relayd.as_ref().expect("it runs").wait_line("is driven for a test of A1, by the key Sari (");
    desk.shop.sell("A1", Via::Gopay);
    assert_eq!(desk.shop.relay.edges().len(), edges + 6, "a sale is one pulse more");
    let desk = Desk::open("manage");
    let edges = desk.shop.relay.edges().len();
    desk.does_not(&["test-pulse", "A1"], "rejected (level)");
    assert_eq!(desk.shop.relay.edges().len(), edges);
    desk.shop.qrisd.as_ref().expect("it runs").wait_line("command test-pulse refused, signed by Sari (");
}

#[test]
fn who_gave_a_command_hears_that_the_relay_service_refused_it() {
    let desk = Desk::open("service");
    let relayd = desk.shop.relayd.as_ref().expect("it runs");
    // From now on the relay service does not believe the desk, and qrisd still does.
    let keys_file = desk.file("keys.json");
    let mut keys = KeyFile::read(&std::fs::read_to_string(&keys_file).expect("there")).expect("a keys.json");
    assert_eq!(keys.take_operators().len(), 1);
    std::fs::write(&keys_file, keys.to_text()).expect("written");
    let lines = relayd.lines.count();
    relayd.signal("HUP");
    relayd.wait_line_from(lines, "is ready");
    let edges = desk.shop.relay.edges().len();
    for what in ["clear", "test-pulse"] {
        desk.does_not(
            &[what, "A1"],
            "failed (refused): the relay service refused the command: keys.json of this machine has no operator's key ",
        );
    }
    assert_eq!(desk.shop.relay.edges().len(), edges);
}

/// A computer without a battery for its clock, and without a network that tells the time. Its clock is eight years behind.
#[test]
fn without_a_clock_a_command_is_carried_out_once_if_it_names_the_stream() {
    let mut desk = Desk::open("service");
    let from = desk.shop.tap.count();
    desk.shop.kill_qrisd();
    desk.shop.kill_relayd();
    for program in [Program::Relayd, Program::Qrisd] {
        let mut start = at_another_time(desk.shop.service(program), "-3000d");
        desk.shop.start_as(program, &mut start);
    }
    desk.shop.tap.wait_from(from, "a status without a time", |message| {
        let status = message.topic.ends_with("/status").then(|| message.json())?;
        (status["state"] == "online" && status["relay"].is_object() && status["at"].is_null()).then_some(())
    });
    let edges = || desk.shop.relay.edges().len();
    let before = edges();
    // qrisctl has the stream from the status.
    assert_eq!(desk.does(&["test-pulse", "A1"])["outcome"], "dispensed");
    assert_eq!(desk.does(&["clear", "A1"])["outcome"], "cleared");
    assert_eq!(edges(), before + 2, "one pulse");
    // Who has the broker, or the bus of the machine, sends both again.
    let caller = Caller::connect(&desk.shop.bus.address);
    for (name, method, outcome) in [("test-pulse", "Test", "dispensed"), ("clear", "ClearBy", "cleared")] {
        let topic = format!("qrisd/v1/{DEVICE}/cmd/{name}/request");
        let sent = desk.shop.tap.wait_from(from, "the command at the broker", |message| (message.topic == topic).then(|| message.clone()));
        let end = desk.asks(&format!("cmd/{name}/request"), &sent.payload, false);
        assert_eq!((&end["state"], &end["result"]["outcome"]), (&"done".into(), &outcome.into()), "the same end: {end}");
        let jws = SignedCommand::jws_in(&sent.payload).expect("signed");
        if method == "Test" {
            let (answer, driven, _): (String, bool, String) = caller.relay(method, &(&*jws,)).expect("the same end");
            assert_eq!((answer.as_str(), driven), (outcome, true));
        } else {
            let () = caller.relay(method, &(&*jws,)).expect("the same end");
        }
    }
    assert_eq!(edges(), before + 2, "and no other pulse");
    // Without a stream, nobody knows when it was signed. Another stream is that of a database that is gone.
    let key = SigningKey::from_jwk(&std::fs::read_to_string(desk.file("desk.jwk")).expect("there")).expect("a key");
    let exp = i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs()).expect("a time") + 600;
    for (jti, stream, code) in [("none", None, "clock"), ("other", Some("0123456789abcdef".into()), "wrong_stream")] {
        for (name, method) in [("test-pulse", "Test"), ("clear", "ClearBy")] {
            let item = ItemId::new("A1").expect("an item");
            let command = if name == "clear" { wire::Action::Clear { item } } else { wire::Action::TestPulse { item } }.into();
            let (aud, jti) = (DeviceId::new(DEVICE).expect("an id"), CommandId::new(&format!("{jti}-{name}")).expect("an id"));
            let jws = SignedCommand { aud, jti, exp, stream: stream.clone(), command }.jws(&key);
            let end = desk.asks(&format!("cmd/{name}/request"), &SignedCommand::payload(&jws), false);
            assert_eq!((&end["state"], &end["error"]["code"]), (&"rejected".into(), &code.into()), "{end}");
            // The relay service judges by itself. It has no stream of its own to compare.
            if stream.is_none() {
                let refused = caller.relay::<_, ()>(method, &(&*jws,)).expect_err("nobody knows when it was signed");
                assert_eq!(refused.name, "CommandRefused");
            }
        }
    }
    assert_eq!(edges(), before + 2);
}

/// The clock goes back by hours after it was refused, as that of a board without a battery does.
#[test]
fn a_command_that_was_refused_as_over_stays_refused_whatever_the_clock_does() {
    let mut desk = Desk::open("service");
    let clock = desk.shop.path().join("clock");
    let set = |to: &str| std::fs::write(&clock, to).expect("written");
    let start = |desk: &mut Desk| {
        desk.shop.kill_machine();
        for program in [Program::Relayd, Program::Qrisd] {
            let mut start = by_the_clock_in(desk.shop.service(program), &clock);
            desk.shop.start_as(program, &mut start);
        }
        let qrisd = desk.shop.qrisd.as_ref().expect("just started");
        qrisd.wait_line("the relay service answers");
        qrisd.wait_line("connected to the broker");
    };
    let key = SigningKey::from_jwk(&std::fs::read_to_string(desk.file("desk.jwk")).expect("there")).expect("a key");
    let exp = i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs()).expect("a time") + 120;
    let (aud, jti) = (DeviceId::new(DEVICE).expect("an id"), CommandId::new("late").expect("an id"));
    let command = wire::Action::TestPulse { item: ItemId::new("A1").expect("an item") }.into();
    let jws = SignedCommand { aud, jti, exp, stream: None, command }.jws(&key);
    let is_refused = |desk: &Desk| {
        let end = desk.asks("cmd/test-pulse/request", &SignedCommand::payload(&jws), false);
        assert_eq!((&end["state"], &end["error"]["code"]), (&"rejected".into(), &"expired".into()), "{end}");
        // Whoever is on the bus of the machine shows it to the relay service.
        let caller = Caller::connect(&desk.shop.bus.address);
        let refused = caller.relay::<_, ()>("Test", &(&*jws,)).expect_err("it was over");
        assert_eq!(refused.name, "CommandRefused");
    };
    let edges = desk.shop.relay.edges().len();
    set("+3h");
    start(&mut desk);
    is_refused(&desk);
    set("+0h");
    is_refused(&desk);
    start(&mut desk);
    is_refused(&desk);
    assert_eq!(desk.shop.relay.edges().len(), edges);
    assert_eq!(desk.does(&["test-pulse", "A1"])["outcome"], "dispensed", "a new one");
}

#[test]
fn a_reboot_is_asked_of_the_system_when_nobody_is_there() {
    let desk = Desk::open_with("service", Options { bus: RULES, ..Options::default() });
    let logind = Logind::start(&desk.shop.bus.address);
    logind.wait_lock(1, true);
    desk.does_not(&["reboot"], "failed (refused): ");
    desk.shop.sell("A1", Via::Gopay);
    let request = desk.shop.offer("A1");
    let reboot = Process::start("qrisctl", &mut desk.command(&["reboot"]));
    reboot.wait_line("a customer is served to the end first");
    let reboots = || *logind.reboots.lock().expect("no panic");
    assert_eq!(reboots(), 1, "a customer is there");
    desk.shop.pay(Via::Gopay);
    desk.shop.wait_state(&request, EventState::Dispensed);
    wait_for("the reboot", || (reboots() == 2).then_some(()));
    desk.shop.tap.wait_refused(&desk.shop.vend("A1"), Reason::Updating);
    desk.shop.check_books();
}

#[test]
fn an_operator_reads_a_machine_from_afar() {
    let desk = Desk::open("view");
    desk.shop.sell("A1", Via::Gopay);
    assert_eq!(desk.does(&["status"])["state"], "online");
    assert!(desk.does(&["vitals"])["memory_kib"].as_u64().is_some_and(|kib| kib > 0));
    assert_eq!(desk.does(&["config-get"])["reported"]["version"], 0);
    desk.shop.qrisd.as_ref().expect("it runs").wait_line("question config-get");
    // A person reads times of this computer.
    let told = desk.command(&["status"]).env("TZ", "WIB-7").output().expect("it runs");
    let told = String::from_utf8(told.stdout).expect("text");
    assert!(told.contains("; at 2") && told.contains(" WIB") && !told.contains("Z\"") && !told.contains("Z;"), "{told}");
    // For people there are no bytes to count.
    let told = desk.command(&["vitals"]).output().expect("it runs");
    let told = String::from_utf8(told.stdout).expect("text");
    assert!(told.starts_with("Lobby (vm-001): done; ") && told.contains(" of memory free, ") && told.contains("up for "), "{told}");
    assert!(!told.contains("_kib") && !told.contains("_bytes") && !told.contains("null"), "{told}");
    let orders = desk.does(&["orders"]);
    assert_eq!((&orders["orders"][0]["state"], &orders["orders"][0]["amount"]), (&"dispensed".into(), &5000.into()));
    // The customer has the item a moment before the backend knows it.
    let diag = wait_for("a sale that is over", || Some(desk.does(&["diag"])).filter(|diag| diag["database"]["unfinished"] == json!({})));
    for part in ["status", "settings", "orders", "vitals", "journal", "kernel"] {
        assert!(!diag[part].is_null(), "{part}: {diag}");
    }
    let relay: Value = serde_json::from_str(&succeed(crate::rig::command(env!("CARGO_BIN_EXE_qrisctl")).args([
        "relay",
        "lines",
        "--json",
        "--bus",
        &desk.shop.bus.address,
    ])))
    .expect("JSON");
    assert_eq!(diag["relay"], relay, "the same as at the machine");
    assert!(relay["lines"][0]["state"] == "ready" && relay["proof_key"]["fingerprint"].is_string(), "{relay}");
    let database = &diag["database"];
    assert_eq!(
        (&database["stream"], &database["orders"], &database["sums"]["dispensed"]),
        (&diag["status"]["stream"], &1.into(), &1.into())
    );
    assert!(database["bytes"].as_u64() > Some(0), "{database}");
    let finds = |diag: &Value, check: &str, words: &str| {
        let found = diag["doctor"].as_array().into_iter().flatten();
        let said = |finding: &Value| finding["said"].as_str().is_some_and(|said| said.contains(words));
        assert!(found.into_iter().any(|finding| finding["check"] == check && said(finding)), "{check}: {words}: {diag}");
    };
    finds(&diag, "relay", "open tickets: 0; no fault");
    let document = Schema::read(&source_text("docs/using/asyncapi.json")).expect("JSON");
    let rule = &document.document()["components"]["schemas"]["Diag"];
    assert_eq!(document.validate(&diag, rule), [] as [String; 0], "{diag}");
    assert_eq!(unnamed(document.document(), rule, &diag, ""), [] as [String; 0], "{diag}");
    assert!(diag["configuration"].as_str().is_some_and(|text| text.contains("[backend]")), "{diag}");
    assert!(diag["relay_configuration"].as_str().is_some_and(|text| text.contains("[[line]]")), "{diag}");
    assert!(!diag.to_string().contains(&desk.shop.token), "no secret leaves the machine");
    for what in [&["restart"][..], &["reboot"], &["cancel", "r-1"], &["clear", "A1"]] {
        desk.does_not(what, "rejected (level): the key Sari (");
    }
    // While an order waits for its money, and the relay service hangs.
    desk.shop.offer("A1");
    desk.shop.relayd.as_ref().expect("it runs").signal("STOP");
    let diag = desk.does(&["diag"]);
    desk.shop.relayd.as_ref().expect("it runs").signal("CONT");
    assert_eq!(
        (&diag["relay"], &diag["database"]["unfinished"]),
        (&"no answer in 2 s".into(), &serde_json::json!({"awaiting_payment": 1}))
    );
    finds(&diag, "relay", "no answer in 5 s");
    let nobody = desk.shop.qrisctl(&["fleet", "run", "status", "--operator-key", &desk.file("desk.jwk")]);
    assert_eq!(nobody.status.code(), Some(2), "somebody must be named");
    desk.new_key("stranger.jwk", "service");
    let key = desk.file("stranger.jwk");
    let output = desk.shop.qrisctl(&["fleet", "run", "status", "--device", DEVICE, "--operator-key", &key]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("rejected (unknown_key)"), "{output:?}");
}

#[test]
fn a_machine_whose_database_is_not_open_is_read_and_takes_its_settings_later() {
    let mut desk = Desk::open("manage");
    desk.shop.kill_qrisd();
    let file = desk.shop.path().join("qrisd.db");
    let version = |to: Option<i32>| {
        let connection = rusqlite::Connection::open(&file).expect("there");
        let found: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("a version");
        connection.pragma_update(None, "user_version", to.unwrap_or(found)).expect("written");
        found
    };
    let known = version(Some(1000));
    // The broker keeps them for the machine.
    let settings = desk.file("prices.toml");
    std::fs::write(&settings, "[[item]]\nid = \"A1\"\nname = \"Tea\"\nprice = 7000\n").expect("written");
    let mut set = desk.shop.qrisctl_command("fleet");
    set.args(["fleet", "config", "set", &settings, "--device", DEVICE, "--yes", "--operator-key", &desk.file("desk.jwk")]);
    let set = Process::start("qrisctl", &mut set);
    let topic = format!("qrisd/v1/{DEVICE}/config/desired");
    desk.shop.tap.wait_from(0, "the settings", |message| (message.topic == topic).then_some(()));
    desk.shop.start_qrisd();
    desk.shop.wait_fault("newer_database", true);
    assert_eq!(desk.does(&["status"])["faults"][0]["code"], "newer_database");
    assert!(desk.does(&["vitals"])["memory_kib"].as_u64().is_some());
    assert_eq!(desk.does(&["config-get"])["settings"], Value::Null);
    let diag = desk.does(&["diag"]);
    assert_eq!((&diag["database"], &diag["orders"]), (&"the database is not open".into(), &"the database is not open".into()));
    let document = Schema::read(&source_text("docs/using/asyncapi.json")).expect("JSON");
    assert_eq!(document.validate(&diag, &document.document()["components"]["schemas"]["Diag"]), [] as [String; 0], "{diag}");
    assert!(desk.runs(&["screenshot", "--out", &desk.file("shots")]).status.success());
    desk.does_not(&["restart"], "rejected (store)");
    let qrisd = desk.shop.qrisd.as_ref().expect("it runs");
    qrisd.wait_line("question diag (");
    let connected = qrisd.lines.all().iter().filter(|line| line.contains("connected to the broker")).count();
    assert_eq!(connected, 1, "settings that wait end no connection");
    version(Some(known));
    desk.shop.wait_fault("newer_database", false);
    let topic = format!("qrisd/v1/{DEVICE}/config/reported");
    desk.shop.tap.wait_from(0, "version 1", |message| (message.topic == topic && message.json()["version"] == 1).then_some(()));
    drop(set);
    assert_eq!(desk.shop.sell("A1", Via::Gopay).amount.map(Rupiah::get), Some(7000));
    desk.shop.check_books();
}

#[test]
fn lines_of_the_journal_are_read_literally_and_not_as_a_command() {
    let directory = tempfile::tempdir().expect("a directory");
    let lines = directory.path().join("lines");
    let script = format!(
        "#!/bin/sh\necho \"$*\" >> {asked}\n[ ! -e {lines} ] || exec cat {lines}\nfor word; do printf '%s\\n' \"$word\"; done\n",
        lines = lines.display(),
        asked = directory.path().join("asked").display()
    );
    let journalctl = directory.path().join("journalctl");
    std::fs::write(&journalctl, script).expect("written");
    std::fs::set_permissions(&journalctl, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
    let mut desk = Desk::open("view");
    desk.shop.kill_qrisd();
    let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").expect("a path"));
    let mut command = desk.shop.service(crate::rig::shop::Program::Qrisd);
    command.env("PATH", path);
    desk.shop.start_as(crate::rig::shop::Program::Qrisd, &mut command);
    desk.shop.wait_online();
    let read = desk.does(&["logs", "--text", "$(reboot) .*", "--lines", "7", "--since", "2026-12-01T06:00:00+07:00", "--priority", "4"]);
    let words: Vec<&str> = read["lines"].as_array().expect("lines").iter().filter_map(Value::as_str).collect();
    for word in ["--lines=7", "--unit=qrisd.service", "--since=@1796079600", "--priority=4", r"--grep=\$\(reboot\) \.\*"] {
        assert!(words.contains(&word), "{word}: {words:?}");
    }
    let history = ["fleet", "config", "history", "--device", DEVICE, "--operator-key", &desk.file("desk.jwk")];
    let told = succeed(desk.shop.qrisctl_command("fleet").args(history));
    assert!(told.contains("Lobby (vm-001): --grep=settings version"), "{told}");
    // Followed, each line is told once, and the machine's lines about the questions are not. Those of the two commands so far are others.
    let questions =
        |qrisd: &Process| qrisd.text().lines().filter(|line| line.contains("question logs")).map(str::to_owned).collect::<Vec<_>>();
    let qrisd = desk.shop.qrisd.as_ref().expect("it runs");
    wait_for("the lines of two questions", || (questions(qrisd).len() >= 2).then_some(()));
    let line = |text: &str| format!("2026-12-01T06:00:00+0700 {text}\n");
    std::fs::write(&lines, line("one") + &line("two")).expect("written");
    let follows = Process::start("qrisctl", &mut desk.command(&["logs", "--follow"]));
    follows.wait_line("two");
    let question = wait_for("the line of its question", || questions(qrisd).get(2).cloned());
    std::fs::write(&lines, line("two") + &line(&question) + &line("three")).expect("written");
    follows.wait_line("three");
    let asked = std::fs::read_to_string(directory.path().join("asked")).expect("there");
    assert!(asked.lines().last().is_some_and(|words| words.contains("--since=@1796079600")), "{asked}");
    // A machine that is away comes back.
    desk.shop.broker.restart();
    std::fs::write(&lines, line("four")).expect("written");
    follows.wait_line("some are missing here");
    follows.wait_line("four");
    let text = follows.text();
    let told = text.lines().filter_map(|line| line.strip_prefix("Lobby (vm-001): 2026-12-01T06:00:00+0700 "));
    assert_eq!(told.collect::<Vec<_>>(), ["one", "two", "three", "four"], "{text}");
}

#[test]
fn an_image_is_installed_by_rauc_and_started_when_nobody_is_there() {
    let rules = [RULES, rauc::RULES].concat();
    let desk = Desk::open_with("service", Options { bus: rules.leak(), ..Options::default() });
    let logind = Logind::start(&desk.shop.bus.address);
    logind.wait_lock(1, true);
    // On a system without RAUC apt does it.
    desk.does_not(
        &["update", "/image.raucb"],
        "failed (refused): RAUC: there is none here. A system without RAUC is updated by its packages (apt)",
    );
    let rauc = Rauc::start(&desk.shop.bus.address);
    let bundles = || rauc.facts.lock().expect("no panic").bundles.clone();
    let stranger = Caller::connect(&desk.shop.bus.address);
    let update = |bundle: &str, is_good: bool| {
        let (before, reboots) = (bundles().len(), *logind.reboots.lock().expect("no panic"));
        let update = Process::start("qrisctl", &mut desk.command(&["update", bundle]));
        update.wait_line("40 % are installed");
        assert_eq!(bundles()[before..], [bundle.to_owned()]);
        desk.shop.tap.wait_refused(&desk.shop.vend("A1"), Reason::Updating);
        // RAUC still writes, whoever says what.
        stranger.signal(rauc::PATH, rauc::INTERFACE, "Completed", &0_i32);
        rauc.says(&"well");
        rauc.says(&0_i32);
        let looks = || rauc.facts.lock().expect("no panic").looks;
        let from = looks();
        wait_for("two more looks", || (looks() >= from + 2).then_some(()));
        assert_eq!((update.try_status(), *logind.reboots.lock().expect("no panic")), (None, reboots), "an image is being written");
        rauc.completes(is_good);
        update
    };
    let (status, text) = update("https://images.example/bad.raucb", false).finish();
    assert!(!status.success() && text.contains("RAUC: signature verification failed"), "{text}");
    assert_eq!(*logind.reboots.lock().expect("no panic"), 0);
    // It has failed for the operator. Nothing is sold before RAUC is seen to do nothing.
    desk.shop.qrisd.as_ref().expect("it runs").wait_line("no longer held by rauc");
    desk.shop.sell("A1", Via::Gopay);
    desk.shop.wait_idle();
    // The first reboot is refused: that is told, too.
    let (status, text) = update("https://images.example/good.raucb", true).finish();
    assert!(!status.success() && text.contains("not now"), "{text}");
    let _waits = update("https://images.example/good.raucb", true);
    wait_for("the reboot", || (*logind.reboots.lock().expect("no panic") == 2).then_some(()));
    desk.shop.check_books();
}

fn send(tap: &Tap, topic: &str, payload: &[u8], retain: bool) {
    let response_topic = topic.contains("/request").then(|| format!("qrisd/v1/{DEVICE}/cmd/response"));
    let properties = PublishProperties { response_topic, ..PublishProperties::default() };
    tap.publish_of_any_size(&format!("qrisd/v1/{DEVICE}/{topic}"), payload, retain, properties);
}

/// A machine that believes some keys, has done a command and has taken settings, so that they can be sent again.
struct Besieged {
    desk: Desk,
    operators: Operators,
}

impl Besieged {
    fn open() -> Self {
        let (desk, operators) = (Desk::open("view"), Operators::new());
        let keys = desk.file("keys.json");
        let believed = operators.believed(&std::fs::read_to_string(&keys).expect("there"));
        std::fs::write(&keys, believed).expect("written");
        std::fs::write(desk.file("desk.jwk"), operators.private()).expect("written");
        desk.reload();
        let besieged = Self { desk, operators };
        let (topic, payload) = besieged.operators.once();
        assert_eq!(besieged.desk.asks(topic, &payload, false)["state"], "done");
        for version in [1, 2] {
            let from = besieged.desk.shop.tap.count();
            let (topic, payload) = besieged.operators.good(version);
            send(&besieged.desk.shop.tap, topic, &payload, false);
            besieged.desk.shop.tap.wait_from(from, "settings in force", |message| {
                (message.topic.ends_with("config/reported") && message.json()["version"] == version).then_some(())
            });
        }
        besieged
    }

    /// What nobody may change: the settings with their text, the keys, and how often the line was driven.
    fn state(&self) -> (Value, String, usize) {
        let mut settings = self.desk.does(&["config-get"]);
        // What was refused last is told there, too, and whether a line is busy.
        settings["reported"]["refused"] = Value::Null;
        settings["lines"] = Value::Null;
        let keys = std::fs::read_to_string(self.desk.file("keys.json")).expect("there");
        (settings, keys, self.desk.shop.relay.edges().len())
    }
}

#[test]
fn each_kind_of_bad_command_and_settings_is_refused_with_its_reason() {
    let besieged = Besieged::open();
    let shop = &besieged.desk.shop;
    let before = besieged.state();
    assert_eq!(before.2, 2, "one pulse");
    for Bad { kind, topic, payload, retain, code } in besieged.operators.commands(0) {
        let end = besieged.desk.asks(topic, &payload, retain);
        match code {
            Some(code) => assert_eq!((&end["state"], &end["error"]["code"]), (&"rejected".into(), &code.into()), "{kind}: {end}"),
            None => assert_eq!((&end["state"], &end["result"]["outcome"]), (&"done".into(), &"dispensed".into()), "{kind}: {end}"),
        }
    }
    for Bad { kind, topic, payload, retain, code } in besieged.operators.settings() {
        let from = shop.tap.count();
        // Some refusals in a second are told. Whoever hears nothing sends it again.
        wait_for(kind, || {
            send(&shop.tap, topic, &payload, retain);
            let told = shop.tap.since(from).into_iter().rfind(|message| message.topic.ends_with("config/reported"))?.json();
            (told["refused"]["code"] == code?).then_some(())
        });
    }
    let status = besieged.desk.does(&["status"]);
    assert_eq!(status["faults"], json!([]), "what is refused leaves no fault behind");
    let qrisd = shop.qrisd.as_ref().expect("it runs");
    qrisd.wait_line("command test-pulse refused, signed by nobody that this machine knows");
    qrisd.wait_line("settings version 3 refused");
    assert_eq!(besieged.state(), before);
    assert_eq!(shop.sell("A1", Via::Gopay).amount.map(Rupiah::get), Some(5000));
}

/// Whoever is at the broker sends what they like, as fast as the broker takes it. The machine judges all these settings, and hardly reads
/// a command: the test above sees what it does with each kind.
#[test]
fn a_flood_of_commands_and_settings_stops_no_sale() {
    const FLOOD: usize = 10_000;
    const SALES: usize = 4;
    let besieged = Besieged::open();
    let (shop, operators) = (&besieged.desk.shop, &besieged.operators);
    let state = besieged.state();
    let qrisd = shop.qrisd.as_ref().expect("it runs");
    let (before, lines, from, start) = (qrisd.resident_kib(), qrisd.lines.count(), shop.tap.count(), Instant::now());
    let tap = &shop.tap;
    let (sale, sales) = std::sync::mpsc::channel();
    std::thread::scope(|threads| {
        threads.spawn(move || {
            let all = (0..).flat_map(|number| operators.commands(number).into_iter().chain(operators.settings()));
            for (n, Bad { topic, payload, retain, .. }) in all.take(FLOOD).enumerate() {
                if n % (FLOOD / SALES) == 0 {
                    sale.send(()).expect("it is waited for");
                }
                send(tap, topic, &payload, retain);
            }
        });
        // At the beginning, and later while it goes on.
        for () in sales {
            assert_eq!(shop.sell("A1", Via::Gopay).amount.map(Rupiah::get), Some(5000));
        }
    });
    let seconds = usize::try_from(start.elapsed().as_secs()).expect("a number") + 2;
    let heard = shop.tap.since(from);
    let count = |is_so: fn(&str) -> bool| heard.iter().filter(|message| is_so(&message.topic)).count();
    // At most 20 commands in a second are answered, and 5 of them read. 5 refusals of settings are told.
    let (answers, reports) = (count(|topic| topic.contains("/response")), count(|topic| topic.ends_with("/config/reported")));
    assert!((1..=20 * seconds).contains(&answers), "{answers} answers in {seconds} s");
    // A report also follows what changes: the fault comes and goes.
    assert!((1..=20 * seconds).contains(&reports), "{reports} reports in {seconds} s");
    let grown = qrisd.most_resident_kib().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB more");
    let told = qrisd.lines.all()[lines..].iter().filter(|line| line.contains(" refused, signed by ")).count();
    assert!((1..=60 * (seconds / 60 + 1)).contains(&told), "{told} lines of the journal in {seconds} s");
    println!("{answers} answers, {reports} reports, {told} lines of the journal in {seconds} s; {grown} KiB more");
    let (settings, keys, edges) = besieged.state();
    assert_eq!((settings, keys, edges), (state.0, state.1, state.2 + 2 * SALES), "a pulse for each sale, and no other");
    assert!(!qrisd.lines.all()[lines..].iter().any(|line| line.contains("is ready")), "it did not begin anew");
    assert_eq!(shop.midtrans.transactions().len(), SALES, "nobody else was charged");
}
