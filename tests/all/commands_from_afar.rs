//! Commands that an operator signs at a desk, and each machine carries out once. A customer who is there is never disturbed.

use crate::interfaces::unnamed;
use crate::rig::desk::Desk;
use crate::rig::logind::{Logind, RULES};
use crate::rig::midtrans::Via;
use crate::rig::process::Process;
use crate::rig::rauc::Rauc;
use crate::rig::shop::{DEVICE, Options};
use crate::rig::{source_text, succeed, wait_for};
use qris::demo::conform::schema::Schema;
use qris::order::ids::{CommandId, DeviceId};
use qris::order::reason::Reason;
use qris::order::receipt::SigningKey;
use qris::wire::command::Asked;
use qris::wire::vend::EventState;
use rumqttc::v5::mqttbytes::v5::PublishProperties;
use serde_json::Value;
use std::process::{Command, Output};

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
    fn does(&self, what: &[&str]) -> Value {
        let output = self.runs(&[what, &["--json"]].concat());
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        let [end, ends] =
            text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")).collect::<Vec<_>>().try_into().expect("two lines");
        assert_eq!((&ends["machines"], &ends["ends"]["done"]), (&1.into(), &1.into()));
        assert_eq!((&end["device"], &end["state"]), (&DEVICE.into(), &"done".into()));
        end["result"].clone()
    }

    /// It is not done, and says so with these words.
    fn does_not(&self, what: &[&str], words: &str) {
        let output = self.runs(what);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn a_restart_waits_for_the_customer_and_happens_once() {
    let desk = Desk::open("desk");
    let request = desk.shop.offer("A1");
    let restart = Process::start("qrisctl", &mut desk.command(&["restart"]));
    restart.wait_line("a customer is served to the end first");
    desk.shop.tap.wait_refused(&desk.shop.vend("A1"), Reason::Updating);
    let qrisd = desk.shop.qrisd.as_ref().expect("it runs");
    let lines = qrisd.lines.count();
    desk.shop.pay(Via::Gopay);
    desk.shop.wait_state(&request, EventState::Dispensed);
    let (status, text) = restart.finish();
    assert!(status.success() && text.contains(&format!("{DEVICE}: done; version {}", env!("CARGO_PKG_VERSION"))), "{text}");
    qrisd.wait_line_from(lines, "is ready");
    qrisd.wait_line_from(lines, ": done");
    desk.shop.wait_online();
    // Who has the broker sends it again. It gets the same end, and nothing happens.
    let topic = format!("qrisd/v1/{DEVICE}/cmd/restart/request");
    let sent = desk.shop.tap.messages().into_iter().find(|message| message.topic == topic).expect("it went over the broker");
    let (lines, from) = (qrisd.lines.count(), desk.shop.tap.count());
    let answer = format!("qrisd/v1/{DEVICE}/cmd/restart/response/thief");
    let properties = PublishProperties { response_topic: Some(answer.clone()), ..PublishProperties::default() };
    desk.shop.tap.publish_with(&topic, &sent.payload, false, properties);
    let again = desk.shop.tap.wait_from(from, "the same end", |message| (message.topic == answer).then(|| message.json()));
    assert_eq!((&again["state"], &again["ok"]), (&"done".into(), &true.into()));
    desk.shop.sell("A1", Via::Gopay);
    assert!(!qrisd.lines.all()[lines..].iter().any(|line| line.contains("is ready")), "it did not restart again");
    desk.shop.check_books();
}

#[test]
fn a_line_is_tested_and_cleared_by_the_key_of_the_door_alone() {
    let desk = Desk::open("door");
    let edges = desk.shop.relay.edges().len();
    let result = desk.does(&["test-pulse", "A1"]);
    assert_eq!(result["outcome"], "dispensed");
    assert_eq!(desk.shop.relay.edges().len(), edges + 2, "one pulse");
    desk.does(&["test-pulse", "A1"]);
    assert_eq!(desk.shop.relay.edges().len(), edges + 4, "another command, another pulse");
    assert_eq!(desk.does(&["clear", "A1"])["outcome"], "cleared");
    desk.shop.relayd.as_ref().expect("it runs").wait_line("is driven for a test of A1, by the key ");
    desk.shop.sell("A1", Via::Gopay);
    assert_eq!(desk.shop.relay.edges().len(), edges + 6, "a sale is one pulse more");
    let desk = Desk::open("desk");
    let edges = desk.shop.relay.edges().len();
    desk.does_not(&["test-pulse", "A1"], "rejected (level)");
    assert_eq!(desk.shop.relay.edges().len(), edges);
    desk.shop.qrisd.as_ref().expect("it runs").wait_line("command test-pulse refused, signed by ");
}

#[test]
fn a_reboot_is_asked_of_the_system_when_nobody_is_there() {
    let desk = Desk::open_with("door", Options { bus: RULES, ..Options::default() });
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
    let desk = Desk::open("look");
    desk.shop.sell("A1", Via::Gopay);
    assert_eq!(desk.does(&["status"])["state"], "online");
    assert!(desk.does(&["vitals"])["memory_kib"].as_u64().is_some_and(|kib| kib > 0));
    assert_eq!(desk.does(&["config-get"])["reported"]["version"], 0);
    let orders = desk.does(&["orders"]);
    assert_eq!((&orders["orders"][0]["state"], &orders["orders"][0]["amount"]), (&"dispensed".into(), &5000.into()));
    let diag = desk.does(&["diag"]);
    for part in ["status", "settings", "orders", "vitals", "journal", "kernel"] {
        assert!(!diag[part].is_null(), "{part}: {diag}");
    }
    let relay: Value =
        serde_json::from_str(&crate::rig::stdout(&desk.shop.qrisctl(&["relay", "lines", "--json", "--bus", &desk.shop.bus.address])))
            .expect("JSON");
    assert_eq!(diag["relay"], relay, "the same as at the machine");
    assert!(relay["lines"][0]["state"] == "ready" && relay["proof_key"]["fingerprint"].is_string(), "{relay}");
    let database = &diag["database"];
    assert_eq!(
        (&database["stream"], &database["orders"], &database["sums"]["dispensed"]),
        (&diag["status"]["stream"], &1.into(), &1.into())
    );
    assert!(database["unfinished"] == serde_json::json!({}) && database["bytes"].as_u64() > Some(0), "{database}");
    let finds = |diag: &Value, check: &str, words: &str| {
        let found = diag["doctor"].as_array().into_iter().flatten();
        let said = |finding: &Value| finding["said"].as_str().is_some_and(|said| said.contains(words));
        assert!(found.into_iter().any(|finding| finding["check"] == check && said(finding)), "{check}: {words}: {diag}");
    };
    finds(&diag, "relay", "0 open tickets; no fault");
    let document = Schema::read(&source_text("docs/using/asyncapi.json")).expect("JSON");
    let rule = &document.document()["components"]["schemas"]["Diag"];
    assert_eq!(document.validate(&diag, rule), [] as [String; 0], "{diag}");
    assert_eq!(unnamed(document.document(), rule, &diag, ""), [] as [String; 0], "{diag}");
    assert!(diag["configuration"].as_str().is_some_and(|text| text.contains("[backend]")), "{diag}");
    assert!(!diag.to_string().contains(&desk.shop.token), "no secret leaves the machine");
    for what in [&["restart"][..], &["reboot"], &["cancel", "r-1"], &["clear", "A1"]] {
        desk.does_not(what, "rejected (level)");
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
    desk.new_key("stranger.jwk", "door");
    let key = desk.file("stranger.jwk");
    let output = desk.shop.qrisctl(&["fleet", "run", "status", "--device", DEVICE, "--operator-key", &key]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("rejected (unknown_key)"), "{output:?}");
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
    let mut desk = Desk::open("look");
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
    assert!(told.contains("vm-001: --grep=settings version"), "{told}");
    // Followed, each line is told once, and the machine's lines about the questions are not.
    let line = |text: &str| format!("2026-12-01T06:00:00+0700 {text}\n");
    std::fs::write(&lines, line("one") + &line("two")).expect("written");
    let follows = Process::start("qrisctl", &mut desk.command(&["logs", "--follow"]));
    follows.wait_line("two");
    let qrisd = desk.shop.qrisd.as_ref().expect("it runs");
    let question = qrisd.text().lines().rev().find(|line| line.contains("command logs")).expect("told").to_owned();
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
    let told = text.lines().filter_map(|line| line.strip_prefix("vm-001: 2026-12-01T06:00:00+0700 "));
    assert_eq!(told.collect::<Vec<_>>(), ["one", "two", "three", "four"], "{text}");
}

#[test]
fn an_image_is_installed_by_rauc_and_started_when_nobody_is_there() {
    let rules = [RULES, crate::rig::rauc::RULES].concat();
    let desk = Desk::open_with("door", Options { bus: rules.leak(), ..Options::default() });
    let logind = Logind::start(&desk.shop.bus.address);
    logind.wait_lock(1, true);
    // On a system without RAUC apt does it.
    desk.does_not(&["update", "/image.raucb"], "failed (refused): RAUC: ");
    let rauc = Rauc::start(&desk.shop.bus.address);
    let bundles = || rauc.facts.lock().expect("no panic").bundles.clone();
    let update = |bundle: &str, is_good: bool| {
        let before = bundles().len();
        let update = Process::start("qrisctl", &mut desk.command(&["update", bundle]));
        update.wait_line("40 % are installed");
        assert_eq!(bundles()[before..], [bundle.to_owned()]);
        desk.shop.tap.wait_refused(&desk.shop.vend("A1"), Reason::Updating);
        rauc.completes(is_good);
        update
    };
    let (status, text) = update("https://images.example/bad.raucb", false).finish();
    assert!(!status.success() && text.contains("RAUC: signature verification failed"), "{text}");
    assert_eq!(*logind.reboots.lock().expect("no panic"), 0);
    desk.shop.sell("A1", Via::Gopay);
    desk.shop.wait_idle();
    // The first reboot is refused: that is told, too.
    let (status, text) = update("https://images.example/good.raucb", true).finish();
    assert!(!status.success() && text.contains("not now"), "{text}");
    let _waits = update("https://images.example/good.raucb", true);
    wait_for("the reboot", || (*logind.reboots.lock().expect("no panic") == 2).then_some(()));
    desk.shop.check_books();
}

/// Whoever is at the broker sends what they like, as fast as the broker takes it.
#[test]
fn a_flood_of_commands_and_settings_stops_no_sale() {
    const FLOOD: usize = 3_000;
    let desk = Desk::open("door");
    let key = SigningKey::from_seed([0x77; 32]);
    let aud = DeviceId::new(DEVICE).expect("an id");
    let stranger = |n: usize| {
        let (jti, exp) = (CommandId::new(&format!("c-{n}")).expect("an id"), i64::MAX);
        let command = Asked { aud: aud.clone(), jti, exp, stream: None, command: qris::wire::command::Command::Reboot {} };
        match n % 4 {
            0 => ("cmd/reboot/request", Asked::payload(&command.jws(&key))),
            1 => ("cmd/restart/request", b"{\"signed\":\"\"}".to_vec()),
            2 => ("cmd/nothing/request", vec![b'['; 8_000]),
            _ => ("config/desired", format!("{{\"signed\":\"{}\"}}", "x".repeat(8_000)).into_bytes()),
        }
    };
    let qrisd = desk.shop.qrisd.as_ref().expect("it runs");
    let before = qrisd.resident_kib();
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for n in 0..FLOOD {
                let (topic, payload) = stranger(n);
                let response_topic = Some(format!("qrisd/v1/{DEVICE}/{}", topic.replace("request", "response")));
                let properties = PublishProperties { response_topic, ..PublishProperties::default() };
                desk.shop.tap.publish_with(&format!("qrisd/v1/{DEVICE}/{topic}"), &payload, false, properties);
            }
        });
        for _ in 0..3 {
            desk.shop.sell("A1", Via::Gopay);
        }
    });
    desk.does(&["status"]);
    let grown = qrisd.most_resident_kib().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB more");
    let told = qrisd.lines.all().iter().filter(|line| line.contains("refused, signed by nobody")).count();
    assert!((1..200).contains(&told), "{told} lines of the journal");
    desk.shop.check_books();
}
