//! The shop whose words are stored: one order for each way in which a sale can end, and the people and machines around them.

use super::fixed::Fixed;
use crate::rig::clock::at_another_time;
use crate::rig::http::{Http, HttpAnswer};
use crate::rig::midtrans::Via;
use crate::rig::mosquitto::TAP;
use crate::rig::people::{Desk, Visitor};
use crate::rig::shop::{DEVICE, Options, PRICE, Program, relay_key};
use crate::rig::tap::Tap;
use crate::rig::{stderr, stdout, wait_for};
use qris::host::clock;
use qris::order::ids::{DeviceId, ItemId, OrderId, Ticket};
use qris::order::ledger::Again;
use qris::order::money::Rupiah;
use qris::order::promise::Promise;
use qris::order::proof::{self, Last, Statement};
use qris::order::time::{Span, Wall, Zone};
use qris::order::tries::TryNumber;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

pub struct Shop {
    pub owner: Visitor,
    pub desk: Desk,
    /// Each order's name and id, in the order in which they began.
    pub orders: Vec<(&'static str, String)>,
    pub fixed: Fixed,
    proofs: u64,
    /// Whether somebody is told of alerts.
    is_told: bool,
    directory: tempfile::TempDir,
}

/// A zone of the merchant in which no day ends while this runs, and none began in the last half hour.
fn zone() -> Zone {
    let now = &clock::now().wall.to_wib()[11..16];
    if ("00:30".."22:30").contains(&now) { Zone::Wib } else { Zone::Wit }
}

/// This time of today there.
fn today_at(time: &str) -> Wall {
    let today = clock::now().wall.to_local(zone());
    Wall::from_local(&format!("{} {time}", &today[..10]), zone()).expect("a time")
}

impl Shop {
    pub fn open() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let tell = directory.path().join("tell");
        std::fs::write(&tell, format!("#!/bin/sh\n{{ cat; echo; }} >> {}/told\n", directory.path().display())).expect("written");
        std::fs::set_permissions(&tell, std::fs::Permissions::from_mode(0o755)).expect("changed");
        let more = format!(
            "charge_as = \"gopay\"\n[fees]\nqris = {{ basis_points = 70 }}\n[reports]\nzone = \"{}\"\n\
             [orders]\nreversal_window_s = 3600\nsecond_tries = 0\n",
            zone().as_str()
        );
        let desk = Desk::open_with(Options { machine: false, midtrans: more, ..Options::default() });
        desk.shop.edit(Program::Backend, |text| text.replace("[customer]\n", "[customer]\ncontact = \"0812-3456-7890\"\n"));
        let mut shop = Self { owner: desk.visitor(), desk, orders: Vec::new(), fixed: Fixed::default(), proofs: 0, is_told: false, directory };
        shop.name_places();
        shop.from_before();
        shop.restart("", |text| format!("{text}[alerts]\ncommand = [\"{}\"]\n", tell.display()));
        shop.is_told = true;
        shop.listed(&shop.id("unreported"), "unreported");
        shop.has_told("older_books");
        shop.owner = shop.desk.person("Sari", "owner");
        shop.without_other_tries();
        let more = "[alerts]\noffline_after_s = 10\ndaily = \"00:00\"\n";
        shop.restart("", |text| text.replace("second_tries = 0", "second_tries = 1\nauto_refund = true").replace("[alerts]\n", more));
        shop.has_told("daily");
        shop.told_all();
        shop.with_other_tries();
        shop.around();
        shop
    }

    fn name_places(&mut self) {
        let path = |path: &std::path::Path| path.display().to_string();
        let uid = rustix::process::getuid().as_raw();
        self.fixed.name(format!("uid {uid}"), "uid UID");
        for (value, word) in [(path(self.desk.shop.path()), "SHOP"), (path(self.directory.path()), "ALERTS")] {
            self.fixed.name(value, word);
        }
        for (value, word) in [("WITA", "ZONE"), ("WIB", "ZONE"), ("WIT", "ZONE"), (env!("CARGO_PKG_VERSION"), "VERSION")] {
            self.fixed.name(value, word);
        }
    }

    /// The backend again, so far from the true time, with another configuration.
    fn restart(&mut self, ahead: &str, change: impl FnOnce(String) -> String) {
        self.desk.shop.kill_backend();
        self.desk.shop.edit(Program::Backend, change);
        let service = self.desk.shop.service(Program::Backend);
        let mut service = if ahead.is_empty() { service } else { at_another_time(service, ahead) };
        self.desk.shop.start_as(Program::Backend, &mut service);
        self.desk.shop.backend.as_ref().expect("it runs").wait_line("connected to the broker");
    }

    // --- what happens to an order

    /// Asks for a charge. `change`: what is not as usual in the question.
    fn asks(&mut self, name: &'static str, change: Value) -> HttpAnswer {
        self.told_all();
        let mut body = self.desk.shop.order_body(&format!("r-{name}"));
        body["machine"] = json!("Lobby");
        // Nobody ends an order while this runs.
        body["timeout_s"] = json!(840);
        body.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        let answer = self.desk.shop.post_order(&body);
        let order = answer.json();
        let id = order["order_id"].as_str().unwrap_or_else(|| panic!("{order}")).to_owned();
        self.fixed.order(&id, name);
        self.fixed.name(body["ticket"].as_str().expect("a ticket"), format!("TICKET-{name}"));
        if let Some(code) = order["payment_code"].as_str() {
            self.fixed.name(code, format!("CODE-{name}"));
        }
        self.orders.push((name, id));
        answer
    }

    fn charged(&mut self, name: &'static str, change: Value) -> String {
        let answer = self.asks(name, change);
        assert_eq!(answer.status, 201, "{name}: {}", answer.text());
        self.id(name)
    }

    fn paid(&mut self, name: &'static str, change: Value) -> String {
        let id = self.charged(name, change);
        self.desk.shop.midtrans.pay(&id, Via::Gopay);
        self.has_receipt(&id);
        id
    }

    fn has_receipt(&self, id: &str) {
        self.desk.shop.wait_order(id, "its receipt", |order| order["receipt"].as_str().map(|_| ()));
    }

    /// Its machine tells an outcome, with its relay's word for it or without; the status of the answer.
    fn tells(&mut self, id: &str, told: Value, by_relay: Option<Last>) -> u16 {
        let mut told = told;
        self.proofs += 1;
        if let Some(outcome) = by_relay {
            let order = self.desk.shop.order_at_backend(id);
            let statement = Statement {
                device: DeviceId::new(DEVICE).expect("an id"),
                ticket: Ticket::new(order["ticket"].as_str().expect("a ticket")).expect("a ticket"),
                order_id: None,
                number_of_try: serde_json::from_value(order["try"].clone()).expect("a number"),
                outcome,
                driven: outcome != Last::Closed,
                number: self.proofs,
            };
            told["proof"] = json!(proof::sign(&relay_key(), &statement));
        }
        let status = self.desk.shop.post_to(id, "outcome", &told).status;
        self.told_all();
        status
    }

    /// Waits until everybody is told of everything: what ends before is not told at all.
    fn told_all(&self) {
        let books = Connection::open(self.desk.shop.path().join("orders.db")).expect("the books");
        wait_for("nothing left to tell", || {
            if !self.is_told {
                return Some(());
            }
            let left = books.query_row("SELECT count(*) FROM alerts WHERE next_ms IS NOT NULL", [], |row| row.get::<_, i64>(0));
            (left.unwrap_or(1) == 0).then_some(())
        });
    }

    fn has_told(&self, kind: &str) {
        wait_for(kind, || self.alerts().iter().any(|told| told["kind"] == kind).then_some(()));
    }

    /// Paid, and its machine tells this.
    fn ended(&mut self, name: &'static str, told: Value, by_relay: Option<Last>) -> String {
        let id = self.paid(name, json!({}));
        assert_eq!(self.tells(&id, told, by_relay), 200, "{name}");
        id
    }

    fn failed(&mut self, name: &'static str) -> String {
        self.ended(name, json!({ "outcome": "failed", "reason": "failed" }), Some(Last::Failed))
    }

    fn sold(&mut self, name: &'static str) -> String {
        self.ended(name, json!({ "outcome": "dispensed" }), Some(Last::Dispensed))
    }

    fn alters_status(&self, id: &str, set: &Value) {
        self.desk.shop.midtrans.fault(&json!({ "fault": "alter_answer", "on": "status", "order_id": id, "set": set }));
    }

    /// Waits until the books list it for this.
    fn listed(&self, id: &str, why: &str) {
        wait_for(&format!("{id} {why}"), || self.good(&["orders", &format!("--attention={why}")]).contains(id).then_some(()));
    }

    /// What a command wrote that must succeed.
    pub fn good(&self, arguments: &[&str]) -> String {
        let told = self.told(arguments);
        assert!(told.status.success(), "{arguments:?}: {}{}", stdout(&told), stderr(&told));
        stdout(&told)
    }

    pub fn told(&self, arguments: &[&str]) -> Output {
        self.desk.shop.merchant(arguments)
    }

    pub fn id(&self, name: &str) -> String {
        self.orders.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no order {name}")).1.clone()
    }

    /// The alerts that were told.
    pub fn alerts(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.directory.path().join("told")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    // --- the story

    /// What is older: one order that the books lost, and one of which the machine has told nothing for twenty minutes.
    fn from_before(&mut self) {
        let rebuilt = self.charged("rebuilt", json!({}));
        self.desk.shop.midtrans.fault(&json!({ "fault": "drop_notification", "count": 1 }));
        self.desk.shop.midtrans.pay(&rebuilt, Via::Gopay);
        self.desk.shop.kill_backend();
        for suffix in ["", "-wal", "-shm"] {
            drop(std::fs::remove_file(self.desk.shop.path().join(format!("orders.db{suffix}"))));
        }
        self.restart("-1200s", |text| text);
        assert_eq!(self.told(&["reconcile", "--order", &rebuilt]).status.code(), Some(1));
        self.has_receipt(&rebuilt);
        self.paid("unreported", json!({}));
    }

    fn without_other_tries(&mut self) {
        let sandbox = |shop: &Self, options: Value| shop.desk.shop.midtrans.change(&options);
        // What takes a while is begun first.
        let mismatch = self.charged("mismatch", json!({}));
        self.alters_status(&mismatch, &json!({ "gross_amount": "1.00" }));
        let suspect = self.charged("suspect", json!({}));
        self.alters_status(&suspect, &json!({ "fraud_status": "challenge" }));
        for id in [&mismatch, &suspect] {
            self.desk.shop.midtrans.pay(id, Via::Gopay);
        }
        // Nobody paid.
        self.charged("pending", json!({}));
        let cancelled = self.charged("cancelled", json!({}));
        assert_eq!(self.desk.shop.post_to(&cancelled, "cancel", &json!({})).status, 200);
        for (name, how) in [("expired", "expire"), ("denied", "deny")] {
            let id = self.charged(name, json!({}));
            self.desk.shop.midtrans.set(&id, how, false);
            self.desk.shop.wait_status(&id, how);
        }
        // Paid, and it came.
        self.paid("awaited", json!({}));
        self.sold("sold");
        let by_qris = self.charged("sold-by-qris", json!({ "item": "A2", "description": "Water", "amount": 4000 }));
        self.desk.shop.midtrans.pay(&by_qris, Via::Qris);
        self.has_receipt(&by_qris);
        assert_eq!(self.tells(&by_qris, json!({ "outcome": "dispensed" }), Some(Last::Dispensed)), 200);
        // It did not, or nobody knows.
        self.failed("failed");
        self.ended("failed-undriven", json!({ "outcome": "failed", "reason": "relay", "detail": "no chip" }), None);
        let late = self.charged("late", json!({}));
        assert_eq!(self.desk.shop.post_to(&late, "cancel", &json!({})).status, 200);
        self.desk.shop.midtrans.pay_late(&late);
        self.has_receipt(&late);
        assert_eq!(self.tells(&late, json!({ "outcome": "undelivered", "reason": "late" }), Some(Last::Closed)), 200);
        self.ended("uncertain", json!({ "outcome": "uncertain", "reason": "uncertain" }), Some(Last::Uncertain));
        self.ended("later-word", json!({ "outcome": "jammed", "reason": "of_tomorrow" }), None);
        let conflict = self.ended("conflict", json!({ "outcome": "failed", "reason": "failed" }), None);
        assert_eq!(self.tells(&conflict, json!({ "outcome": "dispensed" }), None), 409);
        // What people did.
        let refunded = self.failed("refunded");
        self.good(&["refund", &refunded, "--by", "Sari"]);
        sandbox(self, json!({ "refunds": false }));
        let refused = self.failed("refund-refused");
        assert_eq!(self.told(&["refund", &refused, "--by", "Sari"]).status.code(), Some(1));
        sandbox(self, json!({ "refunds": true }));
        let by_hand = self.failed("by-hand");
        self.good(&["refund", &by_hand, "--settled-by-hand", "cash", "--by", "Sari"]);
        let given = self.failed("given");
        self.good(&["given", &given, "--by", "Budi"]);
        let at_desk = self.failed("refunded-at-desk");
        self.refunds_at_desk(&at_desk);
        self.desk.shop.wait_order(&at_desk, "its refund", |order| (order["refund"] == "done").then_some(()));
        // What Midtrans and banks did.
        let part = self.failed("part");
        self.desk.shop.midtrans.refund_in_dashboard(&part, 2000);
        self.listed(&part, "partial_refund");
        for (name, how) in [("chargeback", "chargeback"), ("chargeback-seen", "chargeback"), ("part-of-unknown", "partial_refund")] {
            let id = self.sold(name);
            self.desk.shop.midtrans.set(&id, how, false);
            self.listed(&id, how);
        }
        self.good(&["seen", &self.id("chargeback-seen"), "--by", "Sari"]);
        let back = self.paid("back-and-came", json!({}));
        self.desk.shop.midtrans.refund_in_dashboard(&back, 5000);
        self.desk.shop.wait_status(&back, "refund");
        self.tells(&back, json!({ "outcome": "dispensed" }), Some(Last::Dispensed));
        // The time for a refund is over, or nearly: it has seven days.
        for (name, days, time, why) in [
            ("soon", 2, "12:00:00", "refund_soon"),
            ("last-day", 0, "23:50:00", "refund_last_day"),
            ("too-late", -1, "12:00:00", "only_by_hand"),
        ] {
            let id = self.charged(name, json!({}));
            let settled = today_at(time) + Span::secs((days - 7) * 86_400);
            self.alters_status(&id, &json!({ "settlement_time": settled.to_wib() }));
            self.desk.shop.midtrans.pay(&id, Via::Qris);
            self.has_receipt(&id);
            assert_eq!(self.tells(&id, json!({ "outcome": "failed", "reason": "failed" }), Some(Last::Failed)), 200);
            self.listed(&id, why);
        }
        self.over_the_counter();
        self.desk.shop.wait_status(&mismatch, "failure");
        self.listed(&suspect, "suspect");
    }

    fn over_the_counter(&mut self) {
        let alfamart = || json!({ "payment": "alfamart" });
        let at_counter = |shop: &mut Self, name: &'static str| {
            let id = shop.charged(name, alfamart());
            let code = shop.desk.shop.order_at_backend(&id)["payment_code"].as_str().expect("a code").to_owned();
            shop.desk.shop.midtrans.pay_at_counter(&code);
            shop.has_receipt(&id);
            id
        };
        self.charged("code", alfamart());
        at_counter(self, "code-paid");
        let collected = at_counter(self, "code-collected");
        assert_eq!(self.tells(&collected, json!({ "outcome": "dispensed" }), Some(Last::Dispensed)), 200);
        let left = at_counter(self, "code-not-collected");
        let told = json!({ "outcome": "undelivered", "reason": "not_collected" });
        assert_eq!(self.tells(&left, told, Some(Last::Closed)), 200);
        let reversed = at_counter(self, "code-reversed");
        self.desk.shop.midtrans.end("reverse", &reversed);
        self.listed(&reversed, "reversed");
        let held = self.charged("code-held", json!({ "payment": "indomaret", "amount": 15_000 }));
        let code = self.desk.shop.order_at_backend(&held)["payment_code"].as_str().expect("a code").to_owned();
        self.desk.shop.midtrans.pay_at_counter(&code);
        wait_for("the books to know it", || self.good(&["orders", &held]).contains("says settled").then_some(()));
    }

    fn with_other_tries(&mut self) {
        self.failed("try-offered");
        let wanted = self.failed("try-wanted");
        self.good(&["again", &wanted, "--by", "Sari"]);
        for (name, outcome) in [("try-begun", None), ("try-came", Some(Last::Dispensed)), ("try-failed", Some(Last::Failed))] {
            let id = self.failed(name);
            self.tries_again(&id, name);
            if let Some(outcome) = outcome {
                let told = json!({ "try": 2, "outcome": outcome.delivery().as_str() });
                assert_eq!(self.tells(&id, told, Some(outcome)), 200);
            }
        }
        self.desk.shop.wait_order(&self.id("try-failed"), "its refund", |order| (order["refund"] == "done").then_some(()));
        let money = self.failed("money-wanted");
        let page = self.desk.shop.order_at_backend(&money)["pay_url"].as_str().expect("an address").to_owned();
        self.desk.shop.http.post_form(&format!("{page}&want=money"), &[], Vec::new());
        self.desk.shop.wait_order(&money, "its money", |order| (order["refund"] == "done").then_some(()));
    }

    /// The relay promises it, and the backend signs.
    fn tries_again(&mut self, id: &str, name: &str) {
        let ticket = format!("{:0>22}", format!("again_{}", name.replace('-', "_")));
        let after = self.desk.shop.order_at_backend(id)["ticket"].as_str().expect("a ticket").to_owned();
        let again = Again {
            order: OrderId::new(id).expect("an id"),
            number: TryNumber::FIRST.next().expect("2"),
            after: Ticket::new(&after).expect("a ticket"),
        };
        let promise = Promise::of(
            DeviceId::new(DEVICE).expect("an id"),
            Ticket::new(&ticket).expect("a ticket"),
            again,
            ItemId::new("A1").expect("an id"),
            Rupiah::new(PRICE).expect("an amount"),
        );
        self.fixed.name(ticket, format!("TICKET-again-{name}"));
        let answer = self.desk.shop.post_to(id, "again", &json!({ "promise": promise.sign(&relay_key()) }));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// People and machines.
    fn around(&mut self) {
        for person in [&["Budi", "viewer"], &["Tono", "owner"]] {
            self.desk.add(person[0], person[1]);
        }
        self.good(&["desk", "role", "Budi", "--role", "owner", "--limit-per-day", "10000"]);
        self.good(&["desk", "remove", "Tono"]);
        for device in ["vm-002", "vm-003"] {
            self.good(&["device", "add", device]);
        }
        self.good(&["device", "revoke", "vm-003"]);
        self.good(&["device", "invite", "vm-004"]);
        let slot = |item: &str, name: &str, count: u32| json!({ "item": item, "name": name, "count": count, "capacity": 10, "low": 2, "sold": 10 - count });
        let slots = [slot("A1", "Bottled tea", 2), slot("A2", "Water", 0), slot("A3", "Coffee", 7)];
        let machine = Tap::connect(&self.desk.shop.broker, DEVICE, &[]);
        let says =
            |topic: &str, what: Value| machine.publish_bytes(&format!("qrisd/v1/{DEVICE}/{topic}"), what.to_string().as_bytes(), true);
        let fault = json!({ "code": "line_blocked", "detail": "tray 2", "since": null });
        says("status", json!({ "state": "online", "name": "Lobby", "version": "0.1.0", "busy": false, "faults": [fault] }));
        says("telemetry", telemetry());
        says("config/reported", json!({ "version": 3, "name": "Lobby", "labels": ["jakarta"], "kid": "k", "since": null }));
        says("stock", json!({ "v": 1, "number": 1, "stream": "s", "slots": slots }));
        let other = Tap::connect(&self.desk.shop.broker, TAP, &[]);
        for state in ["online", "offline"] {
            let said = json!({ "state": state, "name": "Garage", "version": "0.1.0", "busy": false, "faults": [] });
            other.publish_bytes("qrisd/v1/vm-002/status", said.to_string().as_bytes(), true);
        }
        ["offline", "stock_out"].iter().for_each(|kind| self.has_told(kind));
        self.told_all();
    }

    fn refunds_at_desk(&mut self, id: &str) {
        let at = format!("/orders/{id}/refund");
        self.comes_back();
        assert_eq!(self.owner.submit(&at, &at, &[]).status, 303);
    }

    /// The owner's browser connects anew: the desk ends a connection that is idle.
    pub fn comes_back(&mut self) {
        self.owner.http = Http::new();
    }

    /// The gateway does not answer when it is asked for this refund.
    pub fn asks_for_a_refund(&mut self) -> String {
        let id = self.failed("refund-asked");
        self.desk.shop.midtrans.fault(&json!({ "fault": "hang", "on": "refund", "count": 1 }));
        self.refunds_at_desk(&id);
        self.desk.shop.midtrans.wait_held(1);
        id
    }
}

/// A report as a machine makes it.
fn telemetry() -> Value {
    json!({
        "v": 1, "number": 1, "stream": "s", "ended": [{ "state": "dispensed", "reason": null, "item": "A1", "count": 1, "amount": 5000 }],
        "waiting": 0, "connections": 1, "running_s": 9,
        "sums": { "dispensed": 1, "dispensed_amount": 5000, "refund_due": 0, "refund_due_amount": 0, "refunded": 0, "refunded_amount": 0,
                  "unpaid": 0 },
        "qr_ms": [0, 0, 0, 0, 0, 0, 0, 0], "delivery_ms": [0, 0, 0, 0, 0, 0, 0, 0],
    })
}
