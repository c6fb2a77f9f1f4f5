//! Many machines, and one that is besieged: `fleet list`, and a sale beside 10,000 bad commands and settings a minute.

use crate::beside::Beside;
use crate::figures::{FiguresText, Times};
use crate::mqtt::Client;
use crate::program::Places;
use crate::rig;
use crate::rig::bad::{Bad, Operators};
use crate::rig::bare_broker::BareBroker;
use crate::sales::Sold;
use crate::shop::{DEVICE, Options, Shop, json, password};
use qris::demo::broker::shipped;
use serde_json::json;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// So many bad messages come in a minute.
const A_MINUTE: u32 = 10_000;

pub struct Counts {
    /// Machines that the broker knows.
    pub machines: usize,
    pub lists: usize,
    pub rounds: usize,
    /// Sales of a round, with the flood and without.
    pub sales: usize,
}

/// From the start of `qrisctl fleet list` to its end.
pub fn lists(report: &mut FiguresText, places: &Places, counts: &Counts) {
    let broker = BareBroker::start(&shipped());
    let mut machines = Client::connect(broker.port, "machines", "");
    let commands: Vec<&str> = qris::wire::command::Command::NAMES.to_vec();
    for n in 0..counts.machines {
        let status = json!({
            "state": "online", "version": env!("CARGO_PKG_VERSION"), "boot_id": "17b6672b-a6e2-4547-a855-a8e1cd3f619e",
            "stream": "4b1acd5059f5163c", "at": "2026-11-24T04:46:31Z", "busy": false, "faults": [], "commands": commands
        });
        let vitals = json!({ "uptime_s": 30218, "memory_free_kib": 23_489_716, "disk_free_bytes": 50_306_072_576_u64 });
        let telemetry = json!({
            "v": 1, "number": n, "stream": "4b1acd5059f5163c", "at": "2026-11-24T04:46:31Z", "ended": [], "waiting": 0,
            "sums": { "dispensed": n, "dispensed_amount": 5000 * n, "refund_due": 0, "refund_due_amount": 0, "unpaid": 0 },
            "qr_ms": [0, 0, 0, 0, 0, 0, 0, 0], "delivery_ms": [0, 0, 0, 0, 0, 0, 0, 0], "connections": 1, "running_s": 900,
            "vitals": vitals
        });
        let reported = json!({ "version": n + 1, "labels": ["jakarta"], "since": "2026-11-24T04:46:31Z" });
        for (topic, message) in [("status", status), ("config/reported", reported), ("telemetry", telemetry)] {
            machines.publish_with(&format!("qrisd/v1/vm-{n:04}/{topic}"), message.to_string().as_bytes(), true, None);
        }
    }
    let url = format!("mqtt://127.0.0.1:{}", broker.port);
    let times = Times::of(counts.lists, || {
        let text = rig::succeed(rig::command(places.ours("qrisctl")).args(["fleet", "list", "--broker", &url]));
        let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows.len(), counts.machines, "every machine is told");
        for (n, row) in rows.iter().enumerate() {
            assert_eq!(row[..], [&format!("vm-{n:04}"), "online", env!("CARGO_PKG_VERSION"), &(n + 1).to_string()], "{row:?}");
        }
    });
    report.times(&format!("a fleet of {} machines, whose last words the broker has", counts.machines));
    report.time("qrisctl fleet list, from its start to its end", &times, "p50 ≤ 2000");
}

/// Sales while the machine is besieged, and without.
pub fn flooded(report: &mut FiguresText, places: &Places, databases: &Path, counts: &Counts) {
    let mut shop = Shop::open(&Options::ours(places, databases));
    let operators = Operators::new();
    let keys = std::fs::read_to_string(shop.path().join("keys.json")).expect("written");
    shop.write("keys.json", &operators.believed(&keys));
    shop.start_machine();
    let mut sender = Client::connect_as("bench-flood", shop.broker.port, "fleet", &password("fleet"));
    let answers = Client::connect_as("bench-answers", shop.broker.port, "fleet", &password("fleet"))
        .listen(&["qrisd/v1/+/cmd/response", "qrisd/v1/+/config/reported"]);
    let wait = |what: &str, is_so: &dyn Fn(&serde_json::Value) -> bool| {
        while !is_so(&json(&answers.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| panic!("waited in vain for {what}")))) {}
    };
    // What is sent again later.
    let (topic, payload) = operators.once();
    send(&mut sender, topic, &payload, false);
    wait("a pulse", &|answer| answer["state"] == "done");
    shop.line.wait(true);
    shop.line.wait(false);
    for version in [1, 2] {
        let (topic, payload) = operators.good(version);
        send(&mut sender, topic, &payload, false);
        wait("settings", &|reported| reported["version"] == version);
    }
    let mut number = 0;
    let ways = [(true, "with them"), (false, "without")];
    let beside = Beside::measure(&ways, 1, counts.rounds, |is_flooded| {
        number += 1;
        let (stop, start) = (AtomicBool::new(false), Instant::now());
        std::thread::scope(|threads| {
            let flood = is_flooded.then(|| threads.spawn(|| flood(&mut sender, &operators, number, &stop)));
            let sold = Sold::measure(&mut shop, counts.sales);
            stop.store(true, Ordering::Relaxed);
            if let Some(sent) = flood.map(|flood| flood.join().expect("no panic")) {
                let a_minute = f64::from(sent) * 60.0 / start.elapsed().as_secs_f64();
                assert!(a_minute > f64::from(A_MINUTE) * 0.95, "this is no flood: {a_minute:.0} a minute");
                assert!(answers.try_iter().count() > 0, "the flood is heard");
            }
            sold
        })
    });
    let title = format!("{A_MINUTE} bad commands and settings a minute, database in RAM");
    beside.times(report, &format!("vend request published → QR in the framebuffer; {title}"), "≤ 2 ×", |sold| &sold.to_qr);
    beside.times(report, &format!("settlement published → relay line driven; {title}"), "≤ 2 ×", |sold| &sold.to_line);
    let title = format!("processor time between a sale and the next, qrisd + qris-relayd; {title}");
    beside.numbers(report, &title, "ms", "", |sold| sold.cpu);
}

/// Sends bad messages at an even pace, until it is stopped. Answers with how many.
fn flood(sender: &mut Client, operators: &Operators, number: usize, stop: &AtomicBool) -> u32 {
    let start = Instant::now();
    let all = (0..).flat_map(|n| operators.commands(number * 100_000 + n).into_iter().chain(operators.settings()));
    let mut sent = 0;
    for Bad { topic, payload, retain, .. } in all {
        let due = start + Duration::from_secs(60) * sent / A_MINUTE;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if stop.load(Ordering::Relaxed) {
            break;
        }
        send(sender, topic, &payload, retain);
        sent += 1;
    }
    sent
}

fn send(sender: &mut Client, topic: &str, payload: &[u8], retain: bool) {
    let answers = format!("qrisd/v1/{DEVICE}/cmd/response");
    sender.publish_with(&format!("qrisd/v1/{DEVICE}/{topic}"), payload, retain, Some(&answers));
}
