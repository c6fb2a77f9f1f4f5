//! Reports of what was sold, over a real broker: they can be added up, whatever crashes.

use crate::reboot::reboot;
use crate::rig::midtrans::Via;
use crate::rig::shop::{DEVICE, Options, Program, Shop};
use serde_json::Value;
use std::collections::BTreeMap;

/// What was handed out, by all reports until now, each number once: orders and rupiah.
fn added_up(shop: &Shop) -> (u64, u64) {
    let topic = format!("qrisd/v1/{DEVICE}/telemetry");
    let reports = shop.tap.messages().into_iter().filter(|message| message.topic == topic);
    let mut by_number: BTreeMap<u64, Value> = BTreeMap::new();
    for message in reports {
        assert!(message.payload.len() <= 2048, "{} bytes", message.payload.len());
        let report = message.json();
        let number = report["number"].as_u64().expect("a number");
        if let Some(known) = by_number.insert(number, report.clone()) {
            assert_eq!((&known["ended"], &known["sums"]), (&report["ended"], &report["sums"]), "report {number}");
        }
    }
    let rows = by_number.values().flat_map(|report| report["ended"].as_array().expect("rows")).filter(|row| row["state"] == "dispensed");
    let of = |row: &Value, what: &str| row[what].as_u64().expect("a number");
    rows.fold((0, 0), |(count, amount), row| (count + of(row, "count"), amount + of(row, "amount")))
}

fn wait_added_up(shop: &Shop, wanted: (u64, u64)) {
    crate::rig::wait_for(&format!("reports of {wanted:?}"), || (added_up(shop) == wanted).then_some(()));
}

#[test]
fn every_sale_is_reported_once_through_kills_and_a_lost_broker() {
    let mut shop = Shop::open(Options::default());
    shop.kill_qrisd();
    shop.edit(Program::Qrisd, |text| text.replacen("[device]", "[device]\nreport_every_s = 1", 1));
    shop.start_qrisd();
    shop.wait_online();
    for n in 1..4 {
        shop.sell("A1", Via::Gopay);
        wait_added_up(&shop, (n, n * 5000));
        shop.kill_qrisd();
        shop.start_qrisd();
        shop.wait_online();
    }
    // This one is told when the broker is back.
    shop.offer("A1");
    shop.broker.stop();
    shop.pay(Via::Gopay);
    shop.relay.until("the delivery without a broker", |relay| (relay.pulses() == 4).then_some(()));
    shop.broker.resume();
    wait_added_up(&shop, (4, 20_000));
    shop.check_books();
    let shown = shop.qrisctl(&["fleet", "show", "--device", DEVICE]);
    let shown = String::from_utf8(shown.stdout).expect("text");
    for part in [": online, release ", "settings: the machine's own file", "dispensed 4, Rp20.000", "B of disk free"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

/// The newest report's vitals, as soon as they say this of the boot.
fn wait_booted(shop: &Shop, word: &str) -> Value {
    crate::rig::wait_for(&format!("a report of a boot by {word}"), || {
        let messages = shop.tap.messages();
        let newest = messages.iter().rev().find(|message| message.topic == format!("qrisd/v1/{DEVICE}/telemetry"))?;
        Some(newest.json()["vitals"].clone()).filter(|vitals| vitals["booted"] == word)
    })
}

#[test]
fn a_machine_tells_why_it_started_and_when_its_certificates_end() {
    let mut shop = Shop::open(Options { tls: true, ..Options::default() });
    let vitals = wait_booted(&shop, "unknown");
    let year: Vec<u32> = ["own", "ca"]
        .map(|kind| vitals["certificates"][kind].as_str().expect("an end").get(..4).and_then(|year| year.parse().ok()).expect("a year"))
        .into();
    let at = shop.tap.messages().iter().find_map(|message| message.json()["at"].as_str().map(|at| at[..4].to_owned())).expect("a time");
    let now: u32 = at.parse().expect("a year");
    assert!(year.iter().all(|year| (now + 9..=now + 10).contains(year)), "they were made for ten years: {vitals}");
    shop.qrisd.take().expect("it runs").terminate();
    shop.kill_machine();
    let boot = reboot(&mut shop);
    wait_booted(&shop, "restart");
    let shown = String::from_utf8(shop.qrisctl(&["fleet", "show", "--device", DEVICE]).stdout).expect("text");
    for part in ["started after a proper stop", "its certificate ends at 20", "its private CA ends at 20"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    shop.kill_machine();
    drop(boot);
    let _boot = reboot(&mut shop);
    wait_booted(&shop, "power");
}
