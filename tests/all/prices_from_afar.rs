//! Prices of three machines that sell different things, changed from a desk with every mistake that a person makes there.

use crate::rig::fleet::{Fleet, topic};
use crate::rig::process::Process;
use crate::setup_asks::Terminal;
use rumqttc::v5::mqttbytes::v5::PublishProperties;
use serde_json::Value;
use std::process::Output;

/// The first example of docs/using/fleet.md.
fn example() -> String {
    let page = crate::rig::source_text("docs/using/fleet.md");
    let text = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the first example");
    assert!(text.lines().next().is_some_and(|line| line.starts_with("# ") && line.contains("all that will be sold")), "{text}");
    text.into()
}

fn items(goods: &[(&str, u64)]) -> String {
    goods
        .iter()
        .map(|(id, price)| format!("[[item]]\nid = \"{id}\"\nname = {{ id = \"Barang {id}\", en = \"Item {id}\" }}\nprice = {price}\n"))
        .collect()
}

fn words(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

impl Fleet {
    fn write(&self, text: &str) {
        std::fs::write(self.path().join("prices.toml"), text).expect("written");
    }

    /// Runs a command that must send nothing. What it says.
    fn sends_nothing(&self, arguments: &str, code: i32, parts: &[&str]) -> String {
        let from = self.tap.count();
        let output = self.run(arguments);
        let told = words(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments}: {told}");
        for part in parts {
            assert!(told.contains(part), "{arguments}: {part}: {told}");
        }
        assert!(self.sent(from).is_empty(), "{arguments}: {told}");
        told
    }

    fn sends(&self, arguments: &str, parts: &[&str]) -> String {
        let output = self.run(arguments);
        let told = words(&output);
        assert!(output.status.success(), "{arguments}: {told}");
        for part in parts {
            assert!(told.contains(part), "{arguments}: {part}: {told}");
        }
        told
    }

    /// What a machine sells: the text to start from.
    fn text(&self, number: usize) -> String {
        self.sends(&format!("fleet config get --text --device vm-00{number}"), &[])
    }

    fn wait_version(&self, number: usize, version: u64) {
        self.wait_last(&topic(number, "config/reported"), "the version", |told| told["version"] == version);
    }

    fn no_machine_has_a_fault_of_settings(&self, machines: &[usize]) {
        for number in machines {
            let output = self.run(&format!("fleet run status --json --device vm-00{number}"));
            let line = String::from_utf8(output.stdout).expect("text").lines().next().expect("an answer").to_owned();
            let status: Value = serde_json::from_str(&line).expect("JSON");
            let faults = status["result"]["faults"].as_array().expect("faults").clone();
            assert!(faults.iter().all(|fault| fault["code"] != "settings"), "{status}");
        }
    }
}

#[test]
fn what_is_wrong_is_found_at_the_desk_and_reaches_no_machine() {
    let fleet = Fleet::start();
    let set = "fleet config set {}/prices.toml --all --yes";
    let a1 = |price: &str| format!("[[item]]\nid = \"A1\"\nprice = {price}\n");
    // What is wrong for every machine: no machine is asked.
    for (text, parts) in [
        ("[[item]\nid = \"A1\"\n".to_owned(), &["prices.toml: line 1, "][..]),
        (a1("6.000"), &["prices.toml: line 3, item[0].price: ", "write 6000"]),
        (a1("\"6000\""), &["item[0].price", "write 6000"]),
        (a1("0"), &["item[0].price"]),
        (format!("{}prise = 1\n", a1("6000")), &["line 4, item[0].prise: unknown key"]),
        (a1("6000").repeat(2), &["A1 stands twice"]),
        ("item = []\n".into(), &["list at least one item"]),
        ("[mqtt]\nurl = \"mqtts://other\"\n".into(), &["line 1, mqtt: unknown key"]),
        ("[orders]\ntimeout_s = 5\n".into(), &["line 2, orders.timeout_s: must be 10 to 840"]),
        ("[screen]\ncolours = { text = \"#ffffff\" }\n".into(), &["screen.colours.text"]),
    ] {
        fleet.write(&text);
        let from = fleet.tap.count();
        fleet.sends_nothing(set, 2, parts);
        fleet.sends_nothing("fleet config diff {}/prices.toml --all", 2, parts);
        let asked = fleet.tap.since(from).into_iter().filter(|message| message.topic.contains("/cmd/")).count();
        assert_eq!(asked, 0, "{text}");
    }
    // What is wrong at one machine reaches none of the others.
    fleet.write(&items(&[("A1", 3000)]));
    let told =
        fleet.sends_nothing(set, 1, &["(vm-003): wrong: line 4, item[0].price: ", "at least Rp4.000", "1 of 3 machines would not take it"]);
    assert!(told.contains("(vm-001): item[A1].price: 5000 -> 3000"), "{told}");
    fleet.write(&items(&[("A1", 5500)]));
    fleet.sends_nothing(set, 1, &["(vm-003): wrong", "only multiples of Rp1.000"]);
    fleet.write(&items(&[("A2", 6000)]));
    fleet.sends_nothing(set, 1, &["(vm-003): wrong: line 2, item[0].id: no line of this machine hands out A2"]);
    // What stands in its own file counts, too.
    fleet.write("[orders]\nlate_settlement_grace_s = 600\n");
    fleet.sends_nothing(
        set,
        1,
        &["(vm-001): orders.late_settlement_grace_s: 120 -> 600", "(vm-003): wrong: line 1, orders.deliver_within_s"],
    );
    fleet.sends_nothing("fleet price A1 1000 --device vm-001", 1, &["(vm-001): wrong: ", "at least Rp2.000"]);
    fleet.sends_nothing("fleet price A1 6.000 --all", 2, &["write 6000"]);
    fleet.sends_nothing("fleet price A11 6000 --all", 1, &["(vm-001): A11 is not sold there", "no machine sells it"]);
    fleet.no_machine_has_a_fault_of_settings(&[1, 2, 3]);
    // A key that they do not believe: they say so, and have no fault.
    fleet.new_key("stranger.jwk");
    fleet.write(&items(&[("A1", 6000)]));
    std::fs::rename(fleet.path().join("desk.jwk"), fleet.path().join("sari.jwk")).expect("renamed");
    std::fs::rename(fleet.path().join("stranger.jwk"), fleet.path().join("desk.jwk")).expect("renamed");
    fleet.sends_nothing(
        "fleet config set {}/prices.toml --device vm-001",
        1,
        &["not compared", "(vm-001): rejected (unknown_key)", "--yes"],
    );
    let refused = words(&fleet.run("fleet config set {}/prices.toml --device vm-001 --yes"));
    assert!(refused.contains("refused (unknown_key)") && refused.contains("1 of 1 machines did not take the settings"), "{refused}");
    std::fs::rename(fleet.path().join("sari.jwk"), fleet.path().join("desk.jwk")).expect("renamed");
    fleet.no_machine_has_a_fault_of_settings(&[1]);
}

#[test]
fn what_is_no_longer_sold_is_shown_and_asked_for() {
    let mut fleet = Fleet::start();
    fleet.write(&example());
    let all = "fleet config set {}/prices.toml --all";
    let gone = [
        "(vm-001): item[A1].price: 5000 -> 6000",
        "(vm-001): screen.contact: \"0812-3456-7890\" -> \"0812-3456-7890 (WhatsApp)\"",
        "(vm-001): no longer sold: A2 ",
        "(vm-002): no longer sold: B1 ",
        "(vm-003): item[A1].price: nothing -> 6000",
        "(vm-003): no longer sold: C1 ",
    ];
    let told = fleet.sends_nothing(all, 1, &gone);
    assert!(told.contains("On 3 of 3 machines something goes") && told.contains("--yes sends it"), "{told}");
    fleet.sends_nothing("fleet config diff {}/prices.toml --all", 1, &gone);
    // At a terminal it is asked for. Enter is no.
    let from = fleet.tap.count();
    let mut terminal = Terminal::start(&fleet.command(all));
    terminal.answer("Send it? [no]: ", "\n");
    assert_eq!(terminal.end().code(), Some(1), "{}", terminal.shown());
    assert!(fleet.sent(from).is_empty());
    let mut terminal = Terminal::start(&fleet.command(all));
    terminal.answer("Send it? [no]: ", "y\n");
    assert!(terminal.end().success(), "{}", terminal.shown());
    (1..=3).for_each(|number| fleet.wait_version(number, 1));
    // Now all have the same, and what comes again is compared with that.
    fleet.sends("fleet config diff {}/prices.toml --all", &["(vm-001): the same", "(vm-002): the same", "(vm-003): the same"]);
    // Another price takes nothing away, so nobody is asked.
    fleet.write(&example().replace("6000", "7000"));
    fleet.sends(all, &["(vm-002): item[A1].price: 6000 -> 7000", "Lobby (vm-002): version 2 is in force"]);
    // An empty text puts their own files in force again.
    fleet.write("");
    fleet.sends_nothing(
        all,
        1,
        &[
            "(vm-001): item[A2].price: nothing -> 7000",
            "(vm-003): no longer sold: A1 ",
            "On 1 of 3 machines",
            "go back to those of the machine's own file",
        ],
    );
    fleet.sends(&format!("{all} --yes"), &["Lobby (vm-001): the machine's own file is in force (version 3)"]);
    // What waits for a time is replaced only by who means it.
    fleet.write(&items(&[("A1", 6000), ("A2", 7000)]));
    let one = "fleet config set {}/prices.toml --device vm-001";
    fleet.sends(&format!("{one} --at 2099-06-01T00:00:00+07:00"), &["item[A1].price: 5000 -> 6000", "version 4 waits until 2099"]);
    fleet.sends_nothing("fleet price A2 8000 --device vm-001", 1, &["(vm-001): version 4 waits, and is replaced"]);
    fleet.sends("fleet price A2 8000 --device vm-001 --yes", &["(vm-001): item[A2].price: 7000 -> 8000", "version 5 is in force"]);
    assert!(fleet.text(1).contains("price = 5000"), "A1 has the price that was in force");
    // The relay service is away: what its lines take is not known, and who sends a price all the same is asked.
    fleet.cut_relay(2);
    let away = ["(vm-002): its relay service is away", "item[A1].price: 5000 -> 1000"];
    fleet.sends_nothing("fleet price A1 1000 --device vm-002", 1, &[away[0], away[1], "nobody knows whether the lines take these prices"]);
    fleet.sends("fleet price A1 1000 --device vm-002 --yes", &away);
}

#[test]
fn a_machine_that_is_off_is_not_compared_and_gets_a_text_only_by_yes() {
    let mut fleet = Fleet::start();
    fleet.stop(3);
    fleet.write(&format!("[orders]\nlate_settlement_grace_s = 600\n{}", items(&[("A1", 6000), ("A2", 7000), ("B1", 9000)])));
    let all = "fleet config set {}/prices.toml --all";
    let told = fleet.sends_nothing(all, 1, &["(vm-001): item[A1].price: 5000 -> 6000", "1 of 3 machines were not compared", "--yes"]);
    let list = told.split("not compared").nth(1).expect("a list of its own");
    assert!(list.contains("(vm-003): it is not connected to the broker"), "{told}");
    fleet.sends_nothing("fleet config diff {}/prices.toml --all", 1, &["(vm-003): it is not connected to the broker"]);
    fleet.sends_nothing("fleet config get --text --device vm-003", 1, &["(vm-003): it is not connected to the broker"]);
    let told = fleet.run("fleet config get --text --device vm-001 --device vm-003");
    let said = words(&told);
    assert!(told.status.success() && said.contains("(vm-003): it is not connected to the broker: it is left out"), "{said}");
    assert!(said.contains("id = \"A1\""), "that of the other one: {said}");
    // One price is made of what a machine sells. Of one that is off nobody knows that.
    let told = words(&fleet.run("fleet price A1 6500 --all --yes"));
    assert!(told.contains("Lobby (vm-001): version 1 is in force") && told.contains("1 of 3 machines did not take the settings"), "{told}");
    let from = fleet.tap.count();
    let told = words(&fleet.run(&format!("{all} --yes")));
    assert!(told.contains("Lobby (vm-003) said nothing in 15 s") && told.contains("1 of 3 machines did not take the settings"), "{told}");
    let to: Vec<_> = fleet.sent(from).into_iter().map(|message| message.topic).collect();
    assert_eq!(to, [1, 2, 3].map(|number| topic(number, "config/desired")));
    let list = fleet.list();
    assert!(list.contains("own file, lacks version 1") && !list.contains("is back"), "{list}");
    // It judges the text by itself when it is back, and its own file does not go with it. It goes on with what it has, and has no fault.
    fleet.resume(3);
    fleet.wait_last(&topic(3, "config/reported"), "a refusal", |told| told["refused"]["code"] == "invalid");
    assert!(fleet.text(3).contains("id = \"C1\""));
    assert!(!fleet.list().contains("lacks"), "it has heard of the text: {}", fleet.list());
    fleet.no_machine_has_a_fault_of_settings(&[1, 2, 3]);
}

#[test]
fn a_price_that_passed_over_a_machine_is_kept_and_sent_when_it_is_back() {
    let mut fleet = Fleet::start();
    fleet.stop(2);
    // Without --yes nothing is sent, and nothing is kept.
    fleet.sends_nothing("fleet price A1 6500 --all", 1, &["1 of 3 machines were not compared"]);
    assert!(!fleet.list().contains("lacks"), "{}", fleet.list());
    // Who watches already sees it: no message says so.
    let watch = Process::start("qrisctl", &mut fleet.reading("watch"));
    watch.wait_line("(vm-002)");
    let told = words(&fleet.run("fleet price A1 6500 --all --yes"));
    watch.wait_line("lacks A1 at Rp6.500");
    for part in ["Lobby (vm-001): version 1 is in force", "(vm-002) lacks this price", "1 of 2 machines did not take the settings"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let list = fleet.list();
    assert_eq!(list.matches("lacks A1 at Rp6.500").count(), 1, "only the one that was off: {list}");
    assert!(!list.contains("is back"), "{list}");
    fleet.sends_nothing("fleet price --due", 1, &["(vm-002) is still off: it lacks A1 at Rp6.500", "1 of 1 prices were not taken"]);
    fleet.resume(2);
    let list = fleet.list();
    assert!(list.contains("(vm-002) is there without A1 at Rp6.500"), "{list}");
    assert!(fleet.text(2).contains("price = 5000"), "nobody has sent it yet");
    fleet.sends("fleet price --due", &["(vm-002): item[A1].price: 5000 -> 6500", "(vm-002): version 1 is in force"]);
    assert!(fleet.text(2).contains("price = 6500"));
    assert!(!fleet.list().contains("lacks"), "{}", fleet.list());
    fleet.sends_nothing("fleet price --due", 0, &["no machine lacks a price"]);
}

#[test]
fn one_price_is_changed_and_nothing_else_whatever_else_is_sold() {
    let fleet = Fleet::start();
    // One machine has a text of its own from afar, with a remark.
    fleet.write(&format!("# dear at the station\n[device]\nname = \"Stasiun\"\n{}", items(&[("A1", 9000), ("A2", 9500), ("A3", 9900)])));
    fleet.sends("fleet config set {}/prices.toml --device vm-001", &["item[A3].price: nothing -> 9900", "version 1 is in force"]);
    let before = [1, 2, 3].map(|number| fleet.text(number));
    let from = fleet.tap.count();
    fleet.sends(
        "fleet price A1 6000 --all",
        &["(vm-001): item[A1].price: 9000 -> 6000", "(vm-002): item[A1].price: 5000 -> 6000", "(vm-003): A1 is not sold there"],
    );
    assert_eq!(fleet.sent(from).len(), 2, "a machine that does not sell it is left alone");
    [(1, 2), (2, 1), (3, 0)].into_iter().for_each(|(number, version)| fleet.wait_version(number, version));
    let after = [1, 2, 3].map(|number| fleet.text(number));
    assert_eq!(
        after,
        [before[0].replace("price = 9000", "price = 6000"), before[1].replace("price = 5000", "price = 6000"), before[2].clone()]
    );
    assert!(after[0].starts_with("# dear at the station"), "{}", after[0]);
    fleet.sends_nothing("fleet price A1 6000 --all", 0, &["(vm-001): A1 costs Rp6.000 already"]);
    // A text to start from changes nothing, and is sent as any other.
    fleet.write(&after[1]);
    fleet.sends("fleet config diff {}/prices.toml --device vm-002", &["(vm-002): the same"]);
    fleet.sends_nothing(
        "fleet config diff {}/prices.toml --device vm-001",
        1,
        &["(vm-001): no longer sold: A3 ", "item[B1].price: nothing -> 9000"],
    );
    fleet.sends_nothing(
        "fleet config get --text --device vm-001 --device vm-002",
        1,
        &["Stasiun (vm-001) and Lobby (vm-002) have different settings"],
    );
}

/// Answers are not signed. Whoever has the broker says in the name of a machine that it sells A2 for one rupiah.
#[test]
fn a_text_that_was_made_of_a_strangers_answer_is_taken_by_no_machine() {
    let mut fleet = Fleet::start();
    let told = fleet.run("fleet run config-get --json --device vm-001");
    let end: Value = serde_json::from_slice(told.stdout.split(|byte| *byte == b'\n').next().expect("a line")).expect("JSON");
    let mut result = end["result"].clone();
    let own = result["own"].as_str().expect("a text").replace("7000", "1");
    (result["own"], result["lines"]) = (own.into(), Value::Array(Vec::new()));
    fleet.stop(1);
    fleet.tap.publish_bytes(&topic(1, "status"), br#"{"state":"online","commands":["config-get"]}"#, true);
    let from = fleet.tap.count();
    let asking = Process::start("qrisctl", &mut fleet.command("fleet price A1 6000 --device vm-001 --yes"));
    let asked =
        fleet.tap.wait_from(from, "a question", |message| (message.topic == topic(1, "cmd/config-get/request")).then(|| message.clone()));
    let properties = PublishProperties { correlation_data: asked.properties.correlation_data, ..PublishProperties::default() };
    let answer = serde_json::json!({ "state": "done", "ok": true, "result": result }).to_string();
    fleet.tap.publish_with(&asked.properties.response_topic.expect("an answer is wanted"), answer.as_bytes(), false, properties);
    let (_, words) = asking.finish();
    assert!(words.contains("(vm-001): item[A1].price: 5000 -> 6000"), "{words}");
    assert_eq!(fleet.sent(from).len(), 1, "it is signed");
    fleet.resume(1);
    fleet.wait_last(&topic(1, "config/reported"), "a refusal", |told| told["refused"]["code"] == "conflict");
    assert!(fleet.text(1).contains("price = 7000"));
}
