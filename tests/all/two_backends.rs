//! Two processes of the backend on one database: whatever both hear at the same time happens once.

use crate::rig::http::{Http, HttpAnswer};
use crate::rig::midtrans::{Via, notification};
use crate::rig::postgres::Postgres;
use crate::rig::process::Process;
use crate::rig::shop::{Options, Program, Shop, new_request_id};
use crate::rig::{free_port, output};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::process::Command;
use std::sync::Barrier;

/// Orders that are told to both.
const ORDERS: usize = 8;

/// The merchant's side, with its books in a file or in this database.
fn shop(server: Option<&Postgres>) -> Shop {
    let store = server.map(|server| format!("url = \"{}\"", server.url()));
    Shop::open(Options { machine: false, store, ..Options::default() })
}

/// The receipts that the books have for an order.
fn receipts(shop: &Shop, server: Option<&Postgres>, order_id: &str) -> Vec<String> {
    if let Some(server) = server {
        let told = server.ask(&format!("SELECT jws FROM receipts WHERE order_id = '{order_id}'"));
        return told.lines().map(str::to_owned).collect();
    }
    let books = Connection::open(shop.path().join("orders.db")).expect("the books");
    let mut kept = books.prepare("SELECT jws FROM receipts WHERE order_id = $1").expect("SQL");
    kept.query_map([order_id], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("text")
}

/// The second process, and its address.
pub fn second(shop: &Shop) -> (Process, String) {
    second_started_by(shop, |start| start)
}

/// The same, started by a command that is made of the usual one.
pub fn second_started_by(shop: &Shop, change: impl FnOnce(Command) -> Command) -> (Process, String) {
    let (start, port) = second_command(shop);
    (Process::start_service("second-backend", &mut change(start), shop.path()), format!("http://127.0.0.1:{port}"))
}

/// How it is started, and its port.
pub fn second_command(shop: &Shop) -> (Command, u16) {
    let port = free_port();
    let text = std::fs::read_to_string(shop.config(Program::Backend)).expect("there");
    let first = shop.backend_url.rsplit(':').next().expect("a port");
    // Behind one name: only where it listens is another.
    let text = text.replacen(&format!("listen = \"127.0.0.1:{first}\""), &format!("listen = \"127.0.0.1:{port}\""), 1);
    let path = shop.path().join("backend-2.toml");
    std::fs::write(&path, text).expect("written");
    let mut start = crate::rig::command(Program::Backend.binary());
    start.arg("--config").arg(&path).arg("serve").current_dir(shop.path());
    (start, port)
}

/// Asks both at the same time; both answers.
fn both(urls: [&str; 2], ask: impl Fn(&Http, &str) -> HttpAnswer + Sync) -> [HttpAnswer; 2] {
    let together = Barrier::new(2);
    std::thread::scope(|scope| {
        let asked = urls.map(|url| {
            let (ask, together) = (&ask, &together);
            scope.spawn(move || {
                let http = Http::new();
                together.wait();
                ask(&http, url)
            })
        });
        asked.map(|thread| thread.join().expect("no panic"))
    })
}

#[test]
fn one_notification_at_two_backends_makes_one_receipt() {
    one_notification(None);
}

#[test]
fn one_notification_at_two_backends_on_postgresql_makes_one_receipt() {
    one_notification(Some(&Postgres::start(&[])));
}

fn one_notification(server: Option<&Postgres>) {
    let shop = shop(server);
    let (_second, other) = second(&shop);
    let urls = [shop.backend_url.as_str(), &other];
    shop.midtrans.fault(&json!({"fault": "drop_notification"}));
    let mut signed = Vec::new();
    for _ in 0..ORDERS {
        let order = shop.charge();
        let order_id = order["order_id"].as_str().expect("an id");
        shop.midtrans.pay(order_id, Via::Gopay);
        let told = notification(order_id, "200", "5000.00", "settlement");
        for answer in both(urls, |http, url| http.post(&format!("{url}/midtrans/notifications"), None, &[], &told)) {
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        // Each that waits is told, wherever it asks, and the same.
        let seen = both(urls, |http, url| {
            let mut answer = http.get(&format!("{url}/v1/orders/{order_id}"), Some(&shop.token));
            while answer.json()["status"] != "settlement" {
                let rev = answer.json()["rev"].as_u64();
                answer = http.get(&format!("{url}/v1/orders/{order_id}?wait=60&since={}", rev.expect("a rev")), Some(&shop.token));
                assert!(answer.json()["rev"].as_u64() > rev, "the end of the wait, and no news: {}", answer.text());
            }
            answer
        });
        let [a, b] = seen.map(|answer| answer.json());
        assert_eq!((&a["receipt"], &a["rev"]), (&b["receipt"], &b["rev"]));
        signed.push((order_id.to_owned(), a["receipt"].as_str().expect("a receipt").to_owned()));
    }
    for (order_id, receipt) in &signed {
        assert_eq!(receipts(&shop, server, order_id), [receipt.as_str()], "exactly one receipt");
        // News may come twice, and say the same.
        shop.tap.wait_from(0, "payment/update", |message| {
            (message.topic.ends_with("/payment/update") && message.json()["order_id"] == order_id.as_str()).then_some(())
        });
        let updates: Vec<Value> = shop.tap.messages().iter().filter(|m| m.topic.ends_with("/payment/update")).map(|m| m.json()).collect();
        let ours: Vec<_> = updates.iter().filter(|update| update["order_id"] == order_id.as_str()).collect();
        assert!((1..=2).contains(&ours.len()) && ours.windows(2).all(|pair| pair[0] == pair[1]), "{ours:?}");
        assert_eq!(ours[0]["receipt"], receipt.as_str());
    }
}

#[test]
fn one_request_at_two_backends_is_charged_once_and_cancelled_once() {
    one_request(None);
}

#[test]
fn one_request_at_two_backends_on_postgresql_is_charged_once_and_cancelled_once() {
    one_request(Some(&Postgres::start(&[])));
}

#[test]
fn one_refund_from_two_desks_is_asked_for_once() {
    one_refund(None);
}

#[test]
fn one_refund_from_two_desks_on_postgresql_is_asked_for_once() {
    one_refund(Some(&Postgres::start(&[])));
}

fn one_refund(server: Option<&Postgres>) {
    let shop = shop(server);
    let (_second, _) = second(&shop);
    let refund = |order_id: &str, by: &str| {
        let mut refund = shop.program_command(Program::Backend);
        refund.args(["refund", order_id, "--by", by]);
        refund
    };
    // The first one has asked, and has no answer yet.
    let order_id = shop.reported("failed");
    shop.midtrans.fault(&json!({"fault": "hang", "on": "refund", "count": 1}));
    std::thread::scope(|scope| {
        let mut asks = refund(&order_id, "Sari");
        let first = scope.spawn(move || output(&mut asks));
        shop.midtrans.wait_held(1);
        let second = output(&mut refund(&order_id, "Budi"));
        assert_eq!(shop.midtrans.calls("refund", &order_id).len(), 1, "{second:?}");
        shop.midtrans.release();
        let first = first.join().expect("no panic");
        assert!(first.status.success(), "{first:?}");
    });
    shop.wait_order(&order_id, "its refund", |order| (order["refund"] == "done").then_some(()));
    assert_eq!(shop.midtrans.calls("refund", &order_id).len(), 1);
    for _ in 0..ORDERS {
        let order_id = shop.reported("failed");
        let together = Barrier::new(2);
        let done = std::thread::scope(|scope| {
            let desks = ["Sari", "Budi"].map(|name| {
                let together = &together;
                let mut refund = refund(&order_id, name);
                scope.spawn(move || {
                    together.wait();
                    output(&mut refund)
                })
            });
            desks.map(|desk| desk.join().expect("no panic"))
        });
        shop.wait_order(&order_id, "its refund", |order| (order["refund"] == "done").then_some(()));
        assert_eq!(shop.midtrans.calls("refund", &order_id).len(), 1, "{done:?}");
        // The other one is told that somebody does it, or has done it.
        assert!(done.iter().any(|desk| desk.status.success()), "{done:?}");
    }
}

fn one_request(server: Option<&Postgres>) {
    let shop = shop(server);
    let (_second, other) = second(&shop);
    let urls = [shop.backend_url.as_str(), &other];
    for _ in 0..ORDERS {
        let body = shop.order_body(&new_request_id());
        let key = body["request_id"].as_str().expect("an id").to_owned();
        let answers = both(urls, |http, url| {
            crate::rig::wait_for("a charge", || {
                let answer = http.post(&format!("{url}/v1/orders"), Some(&shop.token), &[("Idempotency-Key", &key)], &body);
                (answer.status != 503).then_some(answer)
            })
        });
        let mut statuses = answers.each_ref().map(|answer| answer.status);
        statuses.sort_unstable();
        assert!(statuses[0] == 200 && [200, 201].contains(&statuses[1]), "{statuses:?}: {}", answers[0].text());
        let [a, b] = answers.map(|answer| answer.json());
        assert_eq!((&a["order_id"], &a["qr_payload"]), (&b["order_id"], &b["qr_payload"]));
        let charges = shop.midtrans.transactions().into_iter().filter(|charge| charge["custom_fields"][1] == key.as_str());
        assert_eq!(charges.count(), 1);
        let order_id = a["order_id"].as_str().expect("an id");
        let ended = both(urls, |http, url| http.post(&format!("{url}/v1/orders/{order_id}/cancel"), Some(&shop.token), &[], &json!({})));
        for answer in ended {
            assert_eq!((answer.status, answer.json()["status"].clone()), (200, json!("cancel")), "{}", answer.text());
        }
        assert_eq!(shop.midtrans.status(order_id), "cancel");
    }
}
