//! What is in the machines, as they say at the broker: the backend keeps it, tells people once, and makes a packing list. That is news, and
//! nothing else: whoever speaks under a machine's name there changes nothing but that.

use crate::alerts::{Alerted, TELL};
use crate::rig::mosquitto::TAP;
use crate::rig::postgres::Postgres;
use crate::rig::shop::{DEVICE, Options, Program, Shop};
use crate::rig::tap::Tap;
use crate::rig::{output, stdout, succeed, wait_for};
use crate::two_backends;
use serde_json::{Value, json};

/// A slot of eight, low with two.
fn slot(item: &str, name: &str, count: u32) -> Value {
    json!({ "item": item, "name": name, "count": count, "capacity": 8, "low": 2, "sold": 8_u32.saturating_sub(count), "filled_at": "2026-11-20T06:00:00Z" })
}

fn stock(number: u64, slots: &[Value]) -> Value {
    json!({ "v": 1, "number": number, "stream": "s", "slots": slots })
}

/// A shop without a machine, whose backend hears at the broker. The test plays the machine.
fn hearing() -> (Shop, Tap) {
    let shop = Shop::merchants_side();
    shop.backend.as_ref().expect("it runs").wait_line("connected to the broker");
    let machine = Tap::connect(&shop.broker, DEVICE, &[]);
    (shop, machine)
}

/// Says something as a machine does: retained.
fn says(by: &Tap, device: &str, payload: &[u8]) {
    by.publish_bytes(&format!("qrisd/v1/{device}/stock"), payload, true);
}

fn listed(shop: &Shop, more: &[&str]) -> Vec<Value> {
    let list = stdout(&shop.merchant(&[&["stock", "--json"], more].concat()));
    list.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Waits until so much of this item is known to be in the machine.
fn wait_count(shop: &Shop, device: &str, item: &str, count: u32) -> Value {
    wait_for(&format!("{count} of {item} in {device}"), || {
        let machine = listed(shop, &[]).into_iter().find(|machine| machine["device"] == json!(device))?;
        let slot = machine["slots"].as_array()?.iter().find(|slot| slot["item"] == json!(item))?.clone();
        (slot["count"] == json!(count)).then_some(slot)
    })
}

fn metric(shop: &Shop, name: &str) -> u64 {
    let metrics = shop.http.get(&format!("{}/metrics", shop.backend_url), None).text();
    let count = metrics.lines().find_map(|line| line.strip_prefix(&format!("qris_backend_{name} ")));
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{name} is missing in {metrics}"))
}

#[test]
fn what_is_in_a_machine_is_listed_for_people_and_programs() {
    let (shop, machine) = hearing();
    let mut first = stock(1, &[slot("A1", "Teh", 8), slot("A2", "Kopi", 2), slot("A3", "Air", 0)]);
    first["at"] = json!("2026-11-20T07:00:00Z");
    let [suspect, unknown] = ["A4", "A5"].map(|item| {
        let mut slot = slot(item, "Roti", 4);
        slot["suspect"] = json!(item == "A4");
        if item == "A5" {
            slot["count"] = Value::Null;
        }
        slot
    });
    first["slots"].as_array_mut().expect("a list").extend([suspect, unknown]);
    says(&machine, DEVICE, first.to_string().as_bytes());
    wait_count(&shop, DEVICE, "A2", 2);
    let machines = listed(&shop, &[]);
    assert_eq!((machines.len(), &machines[0]["told_at"]), (1, &json!("2026-11-20T14:00:00+07:00")));
    let states: Vec<_> = machines[0]["slots"].as_array().expect("slots").iter().map(|slot| slot["state"].clone()).collect();
    assert_eq!(states, ["good", "low", "sold_out", "suspect", "unknown"].map(|state| json!(state)));
    assert_eq!(["low", "sold_out", "suspect"].map(|state| metric(&shop, &format!("slots{{state=\"{state}\"}}"))), [1, 1, 1]);
    let table = stdout(&shop.merchant(&["stock"]));
    let line = table.lines().find(|line| line.contains("Kopi")).expect("the slot");
    assert_eq!(
        line.split_whitespace().collect::<Vec<_>>(),
        ["vm-001", "A2", "Kopi", "2/8", "6", "2026-11-20", "13:00", "2026-11-20", "14:00", "low"]
    );
    assert!(table.contains("A5") && table.contains("?/8") && table.contains("not counted"), "{table}");
    let indonesian = stdout(&shop.merchant(&["stock", "--to-fill", "--speak", "id"]));
    assert!(
        ["habis", "hampir habis", "belum dihitung", "untuk 1 mesin", "BAWA"].iter().all(|word| indonesian.contains(word)),
        "{indonesian}"
    );
    // Only what fits is brought, and the sums come last.
    let csv = stdout(&shop.merchant(&["stock", "--to-fill", "--csv"]));
    let records: Vec<_> = csv.lines().collect();
    assert_eq!(records[0], "device,machine,item,goods,count,capacity,low,state,bring,sold,filled_at,told_at,not_sold");
    assert_eq!(records[1], "vm-001,,A2,Kopi,2,8,2,low,6,6,2026-11-20T13:00:00+07:00,2026-11-20T14:00:00+07:00,");
    assert_eq!(records[5..], ["all machines,,,Air,,,,,8,,,,", "all machines,,,Kopi,,,,,6,,,,", "all machines,,,Roti,,,,,4,,,,"]);
    assert!(!csv.contains("Teh"), "it is full: {csv}");
}

#[test]
fn a_slot_whose_goods_nobody_has_counted_is_on_the_packing_list() {
    let (shop, machine) = hearing();
    let fill = || stdout(&shop.merchant(&["stock", "--to-fill"]));
    let says_of = |number: u64, name: &str, count: Option<u32>| {
        let mut other = slot("A2", name, 8);
        other["count"] = json!(count);
        says(&machine, DEVICE, stock(number, &[slot("A1", "Teh", 8), other]).to_string().as_bytes());
    };
    says_of(1, "Kopi", Some(8));
    wait_count(&shop, DEVICE, "A2", 8);
    assert!(!fill().contains("A2"), "all is full");
    // It has other goods from now on, and all else is full.
    says_of(2, "Roti", None);
    let list = wait_for("the slot that somebody must count", || Some(fill()).filter(|list| list.contains("A2")));
    let line = list.lines().find(|line| line.starts_with("A2")).expect("the slot");
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["A2", "Roti", "?/8", "?", "not", "counted:", "count", "it"], "{list}");
    says_of(3, "Roti", Some(8));
    wait_for("the end of that", || (!fill().contains("A2")).then_some(()));
}

/// Its message never came: that is not a machine in which all is full.
#[test]
fn a_machine_that_never_told_what_is_in_it_is_named_on_the_packing_list() {
    let (shop, machine) = hearing();
    let fill = |more: &[&str]| stdout(&shop.merchant(&[&["stock", "--to-fill"], more].concat()));
    let list = fill(&[]);
    assert!(list.contains("no machine whose stock is known") && list.contains("nothing is known of what is in vm-001: "), "{list}");
    let list: Value = serde_json::from_str(&fill(&["--json"])).expect("JSON");
    assert_eq!(list, json!({ "machines": [], "goods": [], "untold": [{ "device": DEVICE, "machine": null }] }));
    assert!(fill(&["--csv"]).contains("\nvm-001,,,,,,,untold,"), "{}", fill(&["--csv"]));
    assert!(!fill(&["--device", "vm-002"]).contains(DEVICE), "another one was asked for");
    says(&machine, DEVICE, stock(1, &[slot("A1", "Teh", 8)]).to_string().as_bytes());
    wait_count(&shop, DEVICE, "A1", 8);
    assert_eq!(fill(&[]).trim(), "no machine wants to be filled");
}

#[test]
fn people_hear_once_of_all_slots_of_a_machine_and_again_when_it_is_filled() {
    let alerted = Alerted::open(TELL, "");
    let shop = &alerted.shop;
    shop.backend.as_ref().expect("it runs").wait_line("connected to the broker");
    let machine = Tap::connect(&shop.broker, DEVICE, &[]);
    let mut number = 0;
    let mut tells = |slots: &[Value]| {
        number += 1;
        says(&machine, DEVICE, stock(number, slots).to_string().as_bytes());
    };
    tells(&[slot("A1", "Teh", 2), slot("A2", "Kopi", 8)]);
    let told = alerted.wait_sent(1);
    assert_eq!((&told[0]["kind"], &told[0]["device"]), (&json!("stock_low"), &json!(DEVICE)));
    assert_eq!(told[0]["message"], json!("the machine vm-001 has little left of Teh (A1) 2 of 8"));
    assert_eq!(told[0]["slots"][0]["state"], json!("low"));
    // More of the same is no news. What is sold out is, and it does not say that anything is over.
    tells(&[slot("A1", "Teh", 1), slot("A2", "Kopi", 2)]);
    wait_count(shop, DEVICE, "A2", 2);
    tells(&[slot("A1", "Teh", 0), slot("A2", "Kopi", 0)]);
    let told = alerted.wait_sent(2);
    assert_eq!((told.len(), &told[1]["kind"]), (2, &json!("stock_out")));
    let message = told[1]["message"].as_str().expect("a message");
    assert!(message.starts_with("the machine vm-001 has sold out of Teh (A1)"), "{message}");
    // One is filled: the other is still sold out. Then nothing is.
    tells(&[slot("A1", "Teh", 8), slot("A2", "Kopi", 0)]);
    wait_count(shop, DEVICE, "A1", 8);
    tells(&[slot("A1", "Teh", 8), slot("A2", "Kopi", 8)]);
    let over = alerted.wait_sent(4);
    let mut kinds: Vec<_> = over[2..].iter().map(|alert| (alert["kind"].clone(), alert["over"].clone(), alert["slots"].clone())).collect();
    kinds.sort_by_key(|(_, over, _)| over.to_string());
    assert_eq!(kinds, ["stock_low", "stock_out"].map(|kind| (json!("over"), json!(kind), Value::Null)));
    // The sensor saw nothing come out, until somebody has looked.
    let mut suspect = slot("A1", "Teh", 7);
    suspect["suspect"] = json!(true);
    tells(&[suspect, slot("A2", "Kopi", 8)]);
    let told = alerted.wait_sent(5);
    assert_eq!(told[4]["message"], json!("the machine vm-001 does not sell Teh (A1), because nothing came out"));
    tells(&[slot("A1", "Teh", 8), slot("A2", "Kopi", 8)]);
    assert_eq!(alerted.wait_sent(6)[5]["over"], json!("stock_suspect"));
    // What is empty at once is told at once, and only that.
    tells(&[slot("A1", "Teh", 0), slot("A2", "Kopi", 1)]);
    let told = alerted.wait_sent(7);
    assert_eq!(told[6]["message"], json!("the machine vm-001 has sold out of Teh (A1); has little left of Kopi (A2) 1 of 8"));
    assert_eq!(told[6]["kind"], json!("stock_out"));
    tells(&[slot("A1", "Teh", 8), slot("A2", "Kopi", 8)]);
    let told = alerted.wait_sent(8);
    assert_eq!((told.len(), &told[7]["over"]), (8, &json!("stock_out")));
}

/// It does so by the books, and stays told until somebody has filled it.
#[test]
fn what_will_be_empty_in_some_days_is_told_before_it_is_low() {
    let alerted = Alerted::open(TELL, "");
    let shop = &alerted.shop;
    shop.backend.as_ref().expect("it runs").wait_line("connected to the broker");
    let machine = Tap::connect(&shop.broker, DEVICE, &[]);
    (0..14).for_each(|_| drop(shop.reported("dispensed")));
    let item = shop.order_body("x")["item"].as_str().expect("an item").to_owned();
    // One is sold each day: five are enough for five days, and three for three. It is not low with those.
    let tells = |number: u64, count: u32, filled: &str| {
        let mut slot = slot(&item, "Teh", count);
        (slot["low"], slot["capacity"], slot["filled_at"]) = (json!(1), json!(20), json!(filled));
        says(&machine, DEVICE, stock(number, &[slot]).to_string().as_bytes());
        wait_count(shop, DEVICE, &item, count)["state"].clone()
    };
    assert_eq!(tells(1, 5, "2026-11-20T06:00:00Z"), json!("good"));
    assert_eq!(tells(2, 3, "2026-11-20T06:00:00Z"), json!("soon"));
    let told = alerted.wait_sent(1);
    assert_eq!((&told[0]["kind"], &told[0]["slots"][0]["empty_in_days"]), (&json!("stock_low"), &json!(3)));
    let message = told[0]["message"].as_str().expect("a message");
    assert!(message.contains("will be empty of Teh (") && message.ends_with(") in about 3 days"), "{message}");
    assert_eq!(tells(3, 20, "2026-11-21T06:00:00Z"), json!("good"));
    assert_eq!(alerted.wait_sent(2)[1]["over"], json!("stock_low"));
}

#[test]
fn bad_words_under_a_machines_name_change_nothing() {
    let (shop, machine) = hearing();
    let stranger = Tap::connect(&shop.broker, TAP, &[]);
    says(&machine, DEVICE, stock(5, &[slot("A1", "Teh", 4)]).to_string().as_bytes());
    wait_count(&shop, DEVICE, "A1", 4);
    let before = listed(&shop, &[]);
    let unread = metric(&shop, "messages_unread_total");
    let of = |change: &dyn Fn(&mut Value)| {
        let mut payload = stock(6, &[slot("A1", "Teh", 0)]);
        change(&mut payload);
        payload.to_string()
    };
    let bad = [
        String::new(),
        "{ }".into(),
        "[[".into(),
        "\u{0}".into(),
        of(&|payload| payload["number"] = json!(-6)),
        of(&|payload| payload["number"] = json!(u64::MAX)),
        of(&|payload| payload["stream"] = json!("\u{0}")),
        of(&|payload| payload["stream"] = json!("s".repeat(65))),
        of(&|payload| payload["at"] = json!("yesterday")),
        of(&|payload| payload["slots"][0]["count"] = json!(-1)),
        of(&|payload| payload["slots"][0]["item"] = json!("A 1\u{1b}")),
        of(&|payload| payload["slots"][0]["filled_at"] = json!("\u{1b}[2J")),
        of(&|payload| payload["slots"] = json!([slot("A1", "Teh", 0), slot("A1", "Teh", 1)])),
        of(&|payload| payload["slots"] = (0..1001).map(|n| slot(&format!("B{n}"), "x", 1)).collect()),
        of(&|_| ()) + &" ".repeat(256 * 1024),
    ];
    bad.iter().for_each(|payload| says(&stranger, DEVICE, payload.as_bytes()));
    // An older number says nothing, and so does one that is known. Nobody let this machine in.
    for number in [1, 5] {
        says(&stranger, DEVICE, stock(number, &[slot("A1", "Teh", 0)]).to_string().as_bytes());
    }
    says(&stranger, "vm-009", stock(1, &[slot("A1", "Teh", 0)]).to_string().as_bytes());
    let unreadable = bad.len() as u64;
    wait_for("the backend to have read it all", || (metric(&shop, "messages_unread_total") == unread + unreadable).then_some(()));
    // What comes behind them is taken, so those before were seen. Its name means nothing on a terminal or in a spreadsheet.
    succeed(shop.program_command(Program::Backend).args(["device", "add", "vm-002"]));
    let mut odd = stock(1, &[slot("A1", "=1+1 \u{1b}[2J\u{202e}x", 0)]);
    odd["slots"][0]["name"] = json!("=1+1 \u{1b}[2J\u{202e}x");
    says(&stranger, "vm-002", odd.to_string().as_bytes());
    wait_count(&shop, "vm-002", "A1", 0);
    let machines = listed(&shop, &[]);
    assert_eq!((&machines[..1], machines.len()), (&before[..], 2), "{machines:?}");
    assert_eq!(machines[1]["slots"][0]["name"], json!("=1+1 ?[2J?x"));
    let csv = stdout(&shop.merchant(&["stock", "--csv"]));
    assert!(csv.contains(",'=1+1 ?[2J?x,") && !csv.contains('\u{1b}'), "{csv}");
    // It changed nothing of a sale, nor who is there.
    let there = stdout(&shop.merchant(&["device", "list", "--json"]));
    assert!(!there.contains("\"there\":true"), "{there}");
    shop.reported("dispensed");
}

#[test]
fn a_message_that_the_broker_has_kept_is_read_at_either_of_two_backends_and_told_once() {
    let mut alerted = Alerted::open(TELL, "");
    let machine = Tap::connect(&alerted.shop.broker, DEVICE, &[]);
    alerted.shop.kill_backend();
    // Nobody hears it. A machine that is empty says nothing more.
    let mut empty = stock(9, &[slot("A1", "Teh", 0)]);
    empty["at"] = json!("2026-11-20T07:00:00Z");
    says(&machine, DEVICE, empty.to_string().as_bytes());
    alerted.shop.start(Program::Backend);
    let (second, _) = two_backends::second(&alerted.shop);
    second.wait_line("connected to the broker");
    let told = alerted.wait_sent(1);
    assert_eq!(told[0]["kind"], json!("stock_out"));
    assert_eq!(listed(&alerted.shop, &[])[0]["told_at"], json!("2026-11-20T14:00:00+07:00"), "not newer than it is");
    // Both have heard the next one, too.
    says(&machine, DEVICE, stock(10, &[slot("A1", "Teh", 8)]).to_string().as_bytes());
    let told = alerted.wait_sent(2);
    assert_eq!((told.len(), &told[1]["over"]), (2, &json!("stock_out")));
    // A machine that is not ours any more wants nothing.
    says(&machine, DEVICE, stock(11, &[slot("A1", "Teh", 0)]).to_string().as_bytes());
    assert_eq!(alerted.wait_sent(3)[2]["kind"], json!("stock_out"));
    succeed(alerted.shop.program_command(Program::Backend).args(["device", "revoke", DEVICE]));
    assert_eq!(listed(&alerted.shop, &[]), [Value::Null; 0]);
}

/// What a machine may say has 256 KiB: 1,000 slots with their names.
#[test]
fn the_fleets_list_has_a_machine_with_a_thousand_slots_and_names_one_that_says_more() {
    let (shop, machine) = hearing();
    let all = |length: usize| (0..1000).map(|n| slot(&format!("B{n}"), &"x".repeat(length), 1)).collect::<Vec<_>>();
    let listed = || shop.qrisctl(&["fleet", "stock", "--device", DEVICE, "--json"]);
    for (number, length, count) in [(1, 90, Some(1000)), (2, 180, None)] {
        says(&machine, DEVICE, stock(number, &all(length)).to_string().as_bytes());
        let told = listed();
        let line: Value = serde_json::from_str(stdout(&told).trim()).expect("JSON");
        assert_eq!(line["stock"]["slots"].as_array().map(Vec::len), count, "{length}");
        let remark = String::from_utf8_lossy(&told.stderr);
        assert_eq!(remark.contains("vm-001: its stock cannot be read: "), count.is_none(), "{remark}");
        assert!(!remark.contains("no stock came"), "it came: {remark}");
    }
}

#[test]
fn with_books_in_postgresql_another_backend_goes_on_with_the_packing_list_and_the_alerts() {
    let server = Postgres::start(&[]);
    let store = Some(format!("url = \"{}\"", server.url()));
    let mut alerted = Alerted::with(TELL, "", Options { machine: false, store, ..Options::default() });
    let (second, _) = two_backends::second(&alerted.shop);
    second.wait_line("connected to the broker");
    let machine = Tap::connect(&alerted.shop.broker, DEVICE, &[]);
    let tells = |number: u64, counts: [u32; 2]| {
        says(&machine, DEVICE, stock(number, &[slot("A1", "Teh", counts[0]), slot("A2", "Kopi", counts[1])]).to_string().as_bytes());
    };
    let goods = |shop: &Shop| {
        let list: Value = serde_json::from_str(&stdout(&shop.merchant(&["stock", "--to-fill", "--json"]))).expect("JSON");
        list["goods"].clone()
    };
    tells(1, [1, 8]);
    assert_eq!(alerted.wait_sent(1)[0]["kind"], json!("stock_low"));
    assert_eq!(goods(&alerted.shop), json!([{ "goods": "Teh", "bring": 7 }]));
    // Whoever dies before it has written that it told somebody is not what is looked at here.
    let is_told = || {
        let left = || server.ask("SELECT count(*) FROM alerts WHERE next_ms IS NOT NULL");
        wait_for("the end of the telling", || (left().trim() == "0").then_some(()));
    };
    // One of the two has the turn to tell, and keeps it for a minute after its last word.
    let a_minute_passes = || server.ask("UPDATE alert_turn SET until_ms = 0");
    is_told();
    // One of them dies. The other knows what was told, and what a number of before is.
    alerted.shop.kill_backend();
    a_minute_passes();
    tells(2, [0, 3]);
    assert_eq!(alerted.wait_sent(2)[1]["kind"], json!("stock_out"));
    tells(1, [8, 8]);
    tells(3, [0, 2]);
    wait_count(&alerted.shop, DEVICE, "A2", 2);
    assert_eq!(goods(&alerted.shop), json!([{ "goods": "Teh", "bring": 8 }, { "goods": "Kopi", "bring": 6 }]));
    is_told();
    // The first one is back, reads what the broker has kept, and tells nobody once more.
    alerted.shop.start(Program::Backend);
    alerted.shop.backend.as_ref().expect("it runs").wait_line("connected to the broker");
    drop(second);
    a_minute_passes();
    tells(4, [8, 8]);
    wait_count(&alerted.shop, DEVICE, "A1", 8);
    let told = alerted.wait_sent(4);
    let mut kinds: Vec<_> = told.iter().map(|alert| (alert["kind"].to_string(), alert["over"].to_string())).collect();
    kinds[2..].sort();
    let told = |kind: &str, over: Value| (json!(kind).to_string(), over.to_string());
    let over = ["stock_low", "stock_out"].map(|kind| told("over", json!(kind)));
    assert_eq!(kinds, [[told("stock_low", Value::Null), told("stock_out", Value::Null)], over].concat());
    assert_eq!(goods(&alerted.shop), json!([]));
}

#[test]
fn the_report_tells_what_was_asked_for_in_vain() {
    let (shop, machine) = hearing();
    let tells = |number: u64, stream: &str, refused: [u32; 2]| {
        let mut told = stock(number, &[slot("A1", "Teh", 0), slot("A2", "Teh", number as u32 % 8)]);
        told["stream"] = json!(stream);
        (0..2).for_each(|at| told["slots"][at]["refused"] = json!(refused[at]));
        says(&machine, DEVICE, told.to_string().as_bytes());
        wait_count(&shop, DEVICE, "A2", number as u32 % 8);
    };
    // The machine counts from the beginning of its database.
    tells(1, "s", [2, 0]);
    tells(2, "s", [5, 1]);
    tells(3, "s", [5, 1]);
    tells(4, "new", [1, 0]);
    let report = stdout(&shop.merchant(&["report", "--json"]));
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["sold_out"], json!([{ "goods": "Teh", "requests": 7 }]));
    let told = stdout(&shop.merchant(&["report"]));
    assert!(told.contains("refused as sold out") && told.lines().any(|line| line.split_whitespace().eq(["Teh", "7"])), "{told}");
    let before = stdout(&shop.merchant(&["report", "--date", "2026-01-01", "--json"]));
    assert!(before.contains("\"sold_out\":[]"), "{before}");
}

/// The goods of a paid order that finds nothing are owed in money, as those of one that came late.
#[test]
fn an_order_that_was_sold_out_when_it_was_to_be_driven_is_owed() {
    let alerted = Alerted::open(TELL, "");
    let shop = &alerted.shop;
    let order_id = shop.paid();
    let outcome = json!({ "outcome": "undelivered", "reason": "sold_out", "proof": shop.proof(&order_id, "undelivered") });
    assert_eq!(shop.post_to(&order_id, "outcome", &outcome).status, 200);
    let told = &alerted.wait_sent(1)[0];
    assert_eq!((&told["kind"], &told["order"]["reason"]), (&json!("refund_due"), &json!("sold_out")));
    let listed = stdout(&shop.merchant(&["orders", "--refund-due"]));
    assert!(listed.contains("sold_out"), "{listed}");
}

#[test]
fn thirty_machines_have_one_packing_list() {
    let (shop, machine) = hearing();
    // A thousand slots fit into a message.
    let many: Vec<_> = (0..1000).map(|number| slot(&format!("B{number}"), "Barang dengan nama yang panjang", 8)).collect();
    let many = stock(1, &many).to_string();
    assert!(many.len() > 100_000, "{}", many.len());
    says(&machine, DEVICE, many.as_bytes());
    wait_count(&shop, DEVICE, "B999", 8);
    let all = Tap::connect(&shop.broker, TAP, &[]);
    let names: Vec<_> = (2..32).map(|number| format!("vm-{number:03}")).collect();
    for name in &names {
        succeed(shop.program_command(Program::Backend).args(["device", "add", name]));
    }
    let (mut machines, mut bring) = (0, [0, 0]);
    for (at, name) in (0..).zip(&names) {
        // Only every third one wants anything.
        let counts = if at % 3 == 0 { [u32::from(at > 0), 5] } else { [6, 7] };
        says(&all, name, stock(1, &[slot("A1", "Teh", counts[0]), slot("A2", "Kopi", counts[1])]).to_string().as_bytes());
        if at % 3 == 0 {
            machines += 1;
            bring = [bring[0] + 8 - counts[0], bring[1] + 3];
        }
    }
    let list = wait_for("all machines in the list", || {
        let list: Value = serde_json::from_str(&stdout(&shop.merchant(&["stock", "--to-fill", "--json"]))).expect("JSON");
        (list["machines"].as_array().map(Vec::len) == Some(machines)).then_some(list)
    });
    assert_eq!(["low", "sold_out", "suspect"].map(|state| metric(&shop, &format!("slots{{state=\"{state}\"}}"))), [9, 1, 0]);
    assert_eq!(list["goods"], json!([{ "goods": "Teh", "bring": bring[0] }, { "goods": "Kopi", "bring": bring[1] }]));
    assert_eq!(listed(&shop, &["--device", "vm-003"]).len(), 1);
    let wrong = output(shop.program_command(Program::Backend).args(["stock", "--device", "a b"]));
    assert_eq!(wrong.status.code(), Some(2));
}
