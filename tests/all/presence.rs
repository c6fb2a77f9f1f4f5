//! Which machines are there, and what they are: the backend hears it at the broker. That is news, and nothing else: whoever speaks under
//! a machine's name there makes no dead machine alive, and changes nothing else.

use crate::alerts::{Alerted, TELL};
use crate::rig::mosquitto::TAP;
use crate::rig::people::Desk;
use crate::rig::shop::{DEVICE, Options, Program, Shop};
use crate::rig::tap::Tap;
use crate::rig::{stdout, succeed, wait_for};
use crate::two_backends;
use qris::order::time::Wall;
use qris::wire::status::OFFLINE_KEPT_S;
use rumqttc::v5::mqttbytes::v5::PublishProperties;
use serde_json::{Value, json};

/// A report as a machine makes it, of this moment.
fn telemetry() -> Value {
    json!({
        "v": 1, "number": 1, "stream": "s", "ended": [], "waiting": 0, "connections": 1, "running_s": 9,
        "sums": { "dispensed": 1, "dispensed_amount": 5000, "refund_due": 0, "refund_due_amount": 0, "refunded": 0, "refunded_amount": 0,
                  "unpaid": 0 },
        "qr_ms": [0, 0, 0, 0, 0, 0, 0, 0], "delivery_ms": [0, 0, 0, 0, 0, 0, 0, 0],
    })
}

fn online() -> Value {
    json!({
        "state": "online", "name": "Lobby", "version": "9.8.7", "report_every_s": 1,
        "faults": [{ "code": "screen", "detail": "", "since": null }]
    })
}

/// A shop without a machine, whose backend hears at the broker: what was sent before is no sign of life to it.
fn hearing() -> Shop {
    let shop = Shop::merchants_side();
    shop.backend.as_ref().expect("it runs").wait_line("connected to the broker");
    shop
}

/// Says something as this machine does: retained, and with its own account.
fn says(machine: &Tap, tail: &str, payload: &[u8]) {
    machine.publish_bytes(&format!("qrisd/v1/{DEVICE}/{tail}"), payload, true);
}

fn listed(shop: &Shop) -> Vec<Value> {
    let list = stdout(&shop.merchant(&["device", "list", "--json"]));
    list.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The messages of machines that could not be read, by the backend's count.
fn unread(shop: &Shop) -> u64 {
    let metrics = shop.http.get(&format!("{}/metrics", shop.backend_url), None).text();
    let count = metrics.lines().find_map(|line| line.strip_prefix("qris_backend_messages_unread_total "));
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{metrics}"))
}

#[test]
fn a_machines_release_and_faults_stand_in_the_list() {
    let shop = Shop::open(Options::default());
    // It is there by its calls. The backend hears its words at the broker later, and the first ones may name a fault.
    let wanted = (json!(true), json!(env!("CARGO_PKG_VERSION")), json!([]));
    let is_wanted = |machine: &Value| (&machine["there"], &machine["version"], &machine["faults"]) == (&wanted.0, &wanted.1, &wanted.2);
    let machine = wait_for("the machine with its release and no fault in the list", || listed(&shop).pop().filter(is_wanted));
    assert!(machine["since"].as_str().is_some_and(|since| since.ends_with("+07:00")), "{machine}");

    // Another one, whose screen is gone. The test plays it.
    let shop = hearing();
    let machine = Tap::connect(&shop.broker, DEVICE, &[]);
    says(&machine, "status", online().to_string().as_bytes());
    says(&machine, "telemetry", telemetry().to_string().as_bytes());
    let line = wait_for("the machine in the list", || {
        let list = stdout(&shop.merchant(&["device", "list"]));
        list.lines().find(|line| line.contains(" there ") && line.contains("9.8.7")).map(str::to_owned)
    });
    let cells: Vec<_> = line.split_whitespace().collect();
    assert_eq!((cells[0], cells[1], cells[2], cells[5], cells[6]), ("Lobby", "(vm-001)", "there", "9.8.7", "screen"), "{line}");
}

#[test]
fn what_the_broker_says_of_a_machine_is_told_at_once_and_after_a_restart_too() {
    let mut desk = Desk::open();
    desk.shop.backend.as_ref().expect("it runs").wait_line("connected to the broker");
    let machine = Tap::connect(&desk.shop.broker, DEVICE, &[]);
    let status = |state: &str| json!({ "state": state, "name": "Lobby", "report_every_s": 900, "faults": [] }).to_string();
    says(&machine, "status", status("online").as_bytes());
    says(&machine, "telemetry", telemetry().to_string().as_bytes());
    let sari = desk.person("Sari", "owner");
    let page = |wanted: &str| {
        wait_for(wanted, || {
            let page = sari.get("/machines/vm-001");
            page.has(wanted).then_some(page)
        })
    };
    assert!(page("connected, since").has("The goods and their prices."));
    // It went five minutes ago: the broker counts down how long it still keeps that word.
    let kept = PublishProperties { message_expiry_interval: Some(OFFLINE_KEPT_S - 300), ..PublishProperties::default() };
    machine.publish_with(&format!("qrisd/v1/{DEVICE}/status"), status("offline").as_bytes(), true, kept);
    let is_off = |desk: &Desk| {
        let off = |machine: &Value| Wall::from_rfc3339(machine["off_since"].as_str()?).ok();
        let since = wait_for("the broker's word in the list", || off(&listed(&desk.shop).pop()?));
        // Of its own sense the backend says nothing new before its time.
        let machine = &listed(&desk.shop)[0];
        let there_since = Wall::from_rfc3339(machine["since"].as_str().expect("a time")).expect("a time");
        assert!(machine["there"] == json!(true) && since.0 < there_since.0, "it is off since before this test began: {machine}");
        since
    };
    let before = is_off(&desk);
    assert!(!page("off, says the broker").has("The goods and their prices."), "nobody knows what is on its screen");
    let today = sari.get("/");
    assert!(today.has("off, says the broker") && !today.has("All is well"), "Today says so, too");
    desk.shop.kill_backend();
    assert_eq!(is_off(&desk), before, "it is stored");
    desk.shop.start_backend();
    desk.shop.backend.as_ref().expect("it runs").wait_line("connected to the broker");
    assert!(!page("off, says the broker").has("The goods and their prices."));
    let after = is_off(&desk);
    assert!((after.0 - before.0).abs() <= 2_000, "its time is the broker's, and not that of the restart: {before:?}, {after:?}");
    let table = stdout(&desk.shop.merchant(&["device", "list"]));
    assert!(table.contains("off, says the broker") && !table.contains("REVOKED"), "a column without anything is left out: {table}");
    // It calls: it is there, whatever the broker says.
    assert_eq!(desk.shop.http.get(&format!("{}/v1/orders?state=open", desk.shop.backend_url), Some(&desk.shop.token)).status, 200);
    page("connected, since");
    assert_eq!(listed(&desk.shop)[0]["off_since"], Value::Null);
}

#[test]
fn bad_words_under_a_machines_name_change_nothing() {
    let shop = hearing();
    let stranger = Tap::connect(&shop.broker, TAP, &[]);
    let to = |device: &str, tail: &str, payload: &[u8]| _ = stranger.publish_bytes(&format!("qrisd/v1/{device}/{tail}"), payload, false);
    let before = listed(&shop);
    let large = format!("{}{}", telemetry(), " ".repeat(3000));
    let old = {
        let mut old = telemetry();
        old["at"] = json!("2024-01-01T00:00:00Z");
        old.to_string()
    };
    let bad =
        ["", "{ }", "[[", "\u{0}", &large, r#"{"state":"there"}"#, r#"{"state":"online","version":7}"#, r#"{"state":"online","name":7}"#];
    for payload in bad {
        ["status", "telemetry"].iter().for_each(|tail| to(DEVICE, tail, payload.as_bytes()));
    }
    // Nobody let this one in. What is old is not fresh, and a word that says nothing new is none.
    to("vm-009", "status", online().to_string().as_bytes());
    to("vm-009", "telemetry", telemetry().to_string().as_bytes());
    to(DEVICE, "telemetry", old.as_bytes());
    to(DEVICE, "status", br#"{"state":"online","name":"\u001b[2J\u202ex","version":"1\u001b[2J<b>"}"#);
    // What the backend may not hear is no matter of it.
    ["payment/update", "vend/request", "cmd/reboot/request"].iter().for_each(|tail| to(DEVICE, tail, b"{"));
    wait_for("the backend to have read it all", || (unread(&shop) == bad.len() as u64 * 2).then_some(()));
    // It may be called what it said. Nobody says that it is there, or off.
    let stands = |machine: &Value| ["there", "since", "off_since"].map(|key| machine[key].clone());
    assert_eq!(listed(&shop).iter().map(stands).collect::<Vec<_>>(), before.iter().map(stands).collect::<Vec<_>>());
    // It sells, and the machine is there by its calls. What it said of itself means nothing on a terminal.
    shop.reported("dispensed");
    let is_known = |machine: &Value| machine["there"] == json!(true) && machine["version"].is_string();
    let machine = wait_for("the machine in the list", || listed(&shop).pop().filter(is_known));
    assert_eq!((listed(&shop).len(), &machine["version"], &machine["machine"]), (1, &json!("1??2J?b?"), &json!("?[2J?x")));
    assert_eq!(unread(&shop), bad.len() as u64 * 2);
}

#[test]
fn a_retained_online_of_a_dead_machine_is_no_sign_of_life_at_either_of_two_backends() {
    let mut alerted = Alerted::open(TELL, "offline_after_s = 10\n");
    let machine = Tap::connect(&alerted.shop.broker, DEVICE, &[]);
    alerted.shop.kill_backend();
    // It never sold, and died without a word: the broker keeps what it said last.
    says(&machine, "status", online().to_string().as_bytes());
    says(&machine, "telemetry", telemetry().to_string().as_bytes());
    alerted.shop.start(Program::Backend);
    let (second, url) = two_backends::second(&alerted.shop);
    let shop = &alerted.shop;
    let told = alerted.wait_sent(1);
    assert_eq!((&told[0]["kind"], &told[0]["device"], &told[0]["machine"]), (&json!("offline"), &json!(DEVICE), &json!("Lobby")));
    assert!(told[0]["message"].as_str().is_some_and(|text| text.starts_with("the machine Lobby (vm-001) is not there")), "{told:?}");
    // Both have noticed, and people were told once.
    [shop.backend.as_ref().expect("it runs"), &second]
        .iter()
        .for_each(|it| drop(it.wait_line("the machine Lobby (vm-001) has not been there for 10 s")));
    // The word alone does not end it, nor does what cannot be read.
    let unread_before = unread(shop);
    says(&machine, "status", json!({ "state": "online", "report_every_s": 1 }).to_string().as_bytes());
    says(&machine, "telemetry", b"{ }");
    wait_for("the backend to have read it", || (unread(shop) > unread_before).then_some(()));
    // Another machine says good-bye after that. People are told of it next.
    succeed(shop.program_command(Program::Backend).args(["device", "add", "vm-002"]));
    Tap::connect(&shop.broker, TAP, &[]).publish_bytes("qrisd/v1/vm-002/status", br#"{"state":"offline"}"#, false);
    let told = alerted.wait_sent(2);
    assert_eq!((&told[1]["kind"], &told[1]["device"]), (&json!("offline"), &json!("vm-002")));
    // A call ends it, at whichever backend.
    assert_eq!(shop.http.get(&format!("{url}/v1/orders?state=open"), Some(&shop.token)).status, 200);
    let told = alerted.wait_sent(3);
    assert_eq!((&told[2]["kind"], &told[2]["over"], &told[2]["alert_id"]), (&json!("over"), &json!("offline"), &told[0]["alert_id"]));
    // It goes again, and a report ends that.
    let told = alerted.wait_sent(4);
    assert_eq!(told[3]["kind"], json!("offline"));
    says(&machine, "telemetry", telemetry().to_string().as_bytes());
    let told = alerted.wait_sent(5);
    assert_eq!((&told[4]["over"], &told[4]["alert_id"]), (&json!("offline"), &told[3]["alert_id"]));
}
