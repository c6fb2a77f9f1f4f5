//! Prices and looks that are changed from a desk, by `qrisctl` and the broker. A paid order is never disturbed by it.

use crate::rig::desk::Desk;
use crate::rig::midtrans::Via;
use crate::rig::process::Process;
use crate::rig::shop::DEVICE;
use crate::rig::{command, stdout, succeed};
use qris::order::ids::DeviceId;
use qris::order::keys::SigningKey;
use qris::order::money::Rupiah;
use qris::wire::settings::{Desired, Reported};
use qris::wire::vend::EventState;
use serde_json::Value;
use std::process::Output;

impl Desk {
    fn set(&self, settings: &str, key: &str, more: &[&str]) -> Output {
        std::fs::write(self.shop.path().join("settings.toml"), settings).expect("written");
        let (file, key) = (self.file("settings.toml"), self.file(key));
        let arguments = ["fleet", "config", "set", &file, "--device", DEVICE, "--yes", "--operator-key", &key];
        self.shop.qrisctl(&[&arguments, more].concat())
    }

    fn sets(&self, settings: &str) -> String {
        let output = self.set(settings, "desk.jwk", &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    fn refused(&self, settings: &str, key: &str) -> String {
        let output = self.set(settings, key, &[]);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn wait_reported(&self, from: usize, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let topic = format!("qrisd/v1/{DEVICE}/config/reported");
        let tap = &self.shop.tap;
        tap.wait_from(from, what, |message| (message.topic == topic).then(|| message.json()).filter(|told| is_so(told)))
    }
}

fn priced(price: u32) -> String {
    format!("[[item]]\nid = \"A1\"\nname = \"Tea\"\nprice = {price}\n")
}

#[test]
fn a_price_that_is_changed_from_afar_waits_for_the_customer_and_stays() {
    let mut desk = Desk::open("manage");
    desk.wait_reported(0, "no settings yet", |told| told["version"] == 0);
    let request = desk.shop.offer("A1");
    let told = desk.sets(&priced(7000));
    assert!(told.contains("version 1 waits until no customer is there"), "{told}");
    desk.shop.pay(Via::Gopay);
    assert_eq!(desk.shop.wait_state(&request, EventState::Dispensed).amount.map(Rupiah::get), Some(5000));
    desk.wait_reported(0, "version 1 in force", |told| told["version"] == 1 && told["since"].is_string());
    assert_eq!(desk.shop.sell("A1", Via::Gopay).amount.map(Rupiah::get), Some(7000));
    desk.restart();
    assert_eq!(desk.shop.sell("A1", Via::Gopay).amount.map(Rupiah::get), Some(7000), "after a restart");
    let told = desk.sets(&format!("[device]\nname = \"Lobi\"\n{}", priced(8000)));
    assert!(told.contains("version 2 is in force since "), "{told}");
    assert_eq!(desk.shop.sell("A1", Via::Gopay).amount.map(Rupiah::get), Some(8000));
    let (file, key) = (desk.file("settings.toml"), desk.file("desk.jwk"));
    let compared = || desk.shop.qrisctl(&["fleet", "config", "diff", &file, "--device", DEVICE, "--operator-key", &key]);
    assert_eq!((compared().status.code(), stdout(&compared())), (Some(0), format!("Lobi ({DEVICE}): the same\n")));
    std::fs::write(&file, priced(9000)).expect("written");
    let told = format!("Lobi ({DEVICE}): device.name: \"Lobi\" -> \"Lobby\"\nLobi ({DEVICE}): item[A1].price: 8000 -> 9000\n");
    assert_eq!((compared().status.code(), stdout(&compared())), (Some(1), told));
    // A machine whose card was replaced gets what the broker has.
    desk.shop.wait_idle();
    desk.shop.kill_qrisd();
    let from = desk.shop.tap.count();
    for end in ["", "-wal", "-shm"] {
        drop(std::fs::remove_file(desk.shop.path().join(format!("qrisd.db{end}"))));
    }
    desk.shop.start_qrisd();
    desk.wait_reported(from, "version 2 in force", |told| told["version"] == 2);
    assert_eq!(desk.shop.sell("A1", Via::Gopay).amount.map(Rupiah::get), Some(8000), "from the broker");
    desk.shop.check_books();
}

#[test]
fn what_is_wrong_is_named_and_changes_nothing() {
    let desk = Desk::open("manage");
    // A program of somebody else sends what it likes: the machine judges by itself.
    let key = SigningKey::from_jwk(&std::fs::read_to_string(desk.file("desk.jwk")).expect("there")).expect("a key");
    let refused = |version: u64, text: &str, parts: &[&str]| {
        let aud = DeviceId::new(DEVICE).expect("an id");
        let (exp, settings) = (i64::MAX, text.into());
        let desired = Desired { aud, version, from: 0, exp, effective_at: None, skip_unknown: false, made_of: None, settings };
        let from = desk.shop.tap.count();
        desk.shop.tap.publish_bytes(&format!("qrisd/v1/{DEVICE}/config/desired"), &desired.signed(&key), true);
        let told = desk.wait_reported(from, "a refusal", |told| told["refused"]["version"] == version);
        let told = (serde_json::from_value::<Reported>(told).expect("a report").refused.expect("refused").faults.iter())
            .map(|fault| format!("line {}, {fault}\n", fault.line.unwrap_or(0)))
            .collect::<String>();
        parts.iter().for_each(|part| assert!(told.contains(part), "{part}: {told}"));
    };
    let wrong = "[[item]]\nid = \"A1\"\nprice = 5\ncolour = \"red\"\n[orders]\ntimeout_s = 5\n[mqtt]\nurl = \"mqtts://other\"\n";
    refused(1, wrong, &["line 4, item[0].colour: unknown key", "line 6, orders.timeout_s: must be 10 to 840", "line 7, mqtt: unknown key"]);
    // The relay service has told what its line takes. `orders` is sound, and is not taken either.
    let cheap = format!("[orders]\ntimeout_s = 300\n{}", priced(1999));
    refused(2, &cheap, &["line 6, item[0].price: ", "does not take Rp1.999: it takes at least Rp2.000"]);
    desk.new_key("stranger.jwk", "service");
    let told = desk.refused(&priced(6000), "stranger.jwk");
    assert!(told.contains("unknown_key"), "{told}");
    desk.shop.qrisd.as_ref().expect("it runs").wait_line("signed by nobody that this machine knows");
    assert_eq!(desk.shop.sell("A1", Via::Gopay).amount.map(Rupiah::get), Some(5000));
    let status = desk.shop.last_status().expect("it told one");
    assert_eq!(status["faults"], serde_json::json!([]), "it goes on with what it has");
    desk.sets(&priced(6000));
    assert_eq!(desk.shop.sell("A1", Via::Gopay).amount.map(Rupiah::get), Some(6000));
    // A key that is retired changes nothing any more.
    let keys = desk.file("keys.json");
    let listed = succeed(command(env!("CARGO_BIN_EXE_qrisctl")).args(["keys", "list", "--keys-file", &keys]));
    let kid = listed.trim().strip_prefix("manage  Sari (").and_then(|rest| rest.strip_suffix(')')).expect("one key");
    let believed: Value = std::fs::read_to_string(&keys).expect("there").parse().expect("JSON");
    let public = believed["keys"].as_array().into_iter().flatten().find(|key| key["kid"] == kid).expect("it is there").to_string();
    for (what, argument, is_believed) in [("retire", kid, false), ("add", public.as_str(), true), ("retire", kid, false)] {
        let told = succeed(command(env!("CARGO_BIN_EXE_qrisctl")).args(["keys", what, argument, "--keys-file", &keys, "--json"]));
        assert_eq!(told.parse::<Value>().expect("JSON"), serde_json::json!({ "kid": kid, "believed": is_believed }));
    }
    desk.reload_qrisd();
    let told = desk.refused(&priced(7000), "desk.jwk");
    assert!(told.contains("unknown_key"), "{told}");
    assert_eq!(desk.shop.sell("A1", Via::Gopay).amount.map(Rupiah::get), Some(6000), "what was taken stays");
    desk.shop.check_books();
}

#[test]
fn a_key_that_may_only_look_changes_nothing() {
    let desk = Desk::open("view");
    let told = desk.refused(&priced(7000), "desk.jwk");
    assert!(told.contains("(level)") && told.contains("needs manage"), "{told}");
    assert_eq!(desk.shop.sell("A1", Via::Gopay).amount.map(Rupiah::get), Some(5000));
}

#[test]
fn machines_are_listed_and_picked_by_their_labels() {
    let desk = Desk::open("manage");
    desk.sets(&format!("[device]\nname = \"Terminal 3\"\nlabels = [\"jakarta\"]\n{}", priced(6000)));
    // Another machine, which was there once.
    desk.shop.tap.publish_bytes("qrisd/v1/vm-009/status", serde_json::json!({ "state": "offline" }).to_string().as_bytes(), true);
    desk.shop.tap.publish_bytes(
        "qrisd/v1/vm-009/config/reported",
        serde_json::json!({ "version": 4, "own_file": true, "name": "Medan\u{1b}[2J", "labels": ["medan"] }).to_string().as_bytes(),
        true,
    );
    let listed = String::from_utf8(desk.shop.qrisctl(&["fleet", "list"]).stdout).expect("text");
    let rows = ["Terminal 3 (vm-001)  online   0.1.0    1", "Medan\u{fffd}[2J (vm-009)   offline  ?        own file (version 4)"];
    assert_eq!(listed.lines().skip(1).collect::<Vec<_>>(), rows, "the second one's broker tells no time: {listed}");
    let json = String::from_utf8(desk.shop.qrisctl(&["fleet", "list", "--json", "--label", "jakarta"]).stdout).expect("text");
    let told: Value = serde_json::from_str(json.trim()).expect("one machine");
    assert_eq!((&told["device"], &told["settings"]["version"]), (&DEVICE.into(), &1.into()));
    let file = desk.file("settings.toml");
    let key = desk.file("desk.jwk");
    let set = |who: &[&str]| desk.shop.qrisctl(&[&["fleet", "config", "set", &file, "--yes", "--operator-key", &key], who].concat());
    assert_eq!(set(&[]).status.code(), Some(2), "somebody must be named");
    assert_eq!(set(&["--label", "bandung"]).status.code(), Some(1));
    let output = set(&["--label", "jakarta"]);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("version 2 is in force"), "{output:?}");
}

#[test]
fn a_list_of_a_thousand_items_is_taken() {
    let desk = Desk::open("manage");
    let items: String = (0..1000)
        .map(|n| {
            format!("[[item]]\nid = \"I{n:03}\"\nname = {{ id = \"Minuman dingin {n}\", en = \"Cold drink {n}\" }}\nprice = {}\n", 5000 + n)
        })
        .collect();
    desk.sets(&items);
    assert_eq!(desk.shop.sell("I999", Via::Gopay).amount.map(Rupiah::get), Some(5999));
    let mut settings = items;
    while settings.len() < 260_000 {
        settings += "# a remark\n";
    }
    let output = desk.set(&settings, "desk.jwk", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("too large"), "{output:?}");
}

#[test]
fn a_table_follows_the_machines() {
    let mut desk = Desk::open("view");
    let mut command = desk.shop.qrisctl_command("fleet");
    let watch = Process::start("qrisctl", command.args(["fleet", "watch"]));
    watch.wait_line("Lobby (vm-001)       online");
    desk.shop.kill_relayd();
    watch.wait_line("own file     relay");
    desk.shop.kill_qrisd();
    watch.wait_line("Lobby (vm-001)       offline since ");
    watch.signal("INT");
    assert!(watch.wait().success());
}
