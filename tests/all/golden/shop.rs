//! The shop whose words are stored: one order for each way in which a sale can end, and the people and machines around them.

use super::fixed::Fixed;
use crate::rig::clock::at_another_time;
use crate::rig::http::Http;
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
use qris::order::time::{Span, Wall, Zone};
use qris::order::tries::TryNumber;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;

pub struct Shop {
    pub owner: Visitor,
    pub desk: Desk,
    /// Each order's name and id, in the order in which they began.
    pub orders: Vec<(&'static str, String)>,
    pub fixed: Fixed,
}

/// A machine's report of a paid order: the outcome, its reason, and whether its relay has signed it.
const TOLD: [(&str, &str, Option<&str>, bool); 17] = [
    ("sold", "dispensed", None, true),
    ("chargeback", "dispensed", None, true),
    ("chargeback-seen", "dispensed", None, true),
    ("part-of-sold", "dispensed", None, true),
    ("failed", "failed", Some("failed"), true),
    ("refunded", "failed", Some("failed"), true),
    ("refund-refused", "failed", Some("failed"), true),
    ("by-hand", "failed", Some("failed"), true),
    ("given", "failed", Some("failed"), true),
    ("at-desk", "failed", Some("failed"), true),
    ("part", "failed", Some("failed"), true),
    ("failed-undriven", "failed", Some("relay"), false),
    ("conflict", "failed", Some("failed"), false),
    ("later-word", "jammed", Some("of_tomorrow"), false),
    ("uncertain", "uncertain", Some("uncertain"), true),
    ("code-collected", "dispensed", None, true),
    ("code-not-collected", "undelivered", Some("not_collected"), true),
];

/// A zone of the merchant in which no day ends while this runs, nor before its codes do. None began in the last half hour.
fn zone() -> Zone {
    let now = &clock::now().wall.to_wib()[11..16];
    if ("00:30".."22:30").contains(&now) { Zone::Wib } else { Zone::Wit }
}

impl Shop {
    pub fn open() -> Self {
        let more = format!(
            "charge_as = \"gopay\"\ncounter_expiry_min = 59\n[fees]\nqris = {{ basis_points = 70 }}\n[reports]\nzone = \"{}\"\n\
             [orders]\nreversal_window_s = 3600\nsecond_tries = 0\n",
            zone().as_str()
        );
        let desk = Desk::open_with(Options { machine: false, midtrans: more, ..Options::default() });
        let mut shop = Self { owner: desk.visitor(), desk, orders: Vec::new(), fixed: Fixed::default() };
        shop.fixed.name(shop.desk.shop.path().display().to_string(), "SHOP");
        shop.fixed.name(format!("uid {}", rustix::process::getuid().as_raw()), "uid UID");
        ["WITA", "WIB", "WIT"].iter().for_each(|zone| shop.fixed.name(*zone, "ZONE"));
        shop.fixed.name(env!("CARGO_PKG_VERSION"), "VERSION");
        let tell = shop.desk.shop.path().join("tell");
        std::fs::write(&tell, format!("#!/bin/sh\n{{ cat; echo; }} >> {}.txt\n", tell.display())).expect("written");
        std::fs::set_permissions(&tell, std::fs::Permissions::from_mode(0o755)).expect("changed");
        let alerts = format!("[alerts]\ncommand = [\"{}\"]\n", tell.display());
        // What happens to an order while nobody is told of it is told as one thing.
        shop.bring_old_books();
        shop.restart("", |text| text.replace("[customer]\n", "[customer]\ncontact = \"0812-3456-7890\"\n"));
        shop.owner = shop.desk.person("Sari", "owner");
        shop.without_other_tries();
        let books = shop.desk.shop.path().join("orders.db");
        let write = |sql| Connection::open(&books).expect("the books").execute(sql, []).expect("written");
        shop.restart("", |text| {
            // A message of a day was due before: the first one is never told.
            write("INSERT INTO alerts (subject, kind, since_ms, tries) SELECT '2026-11-01', 'daily', unixepoch() * 1000 - 172800000, 0");
            format!("{text}{alerts}daily = \"00:00\"\n")
        });
        shop.has_told("daily");
        write("DELETE FROM alerts WHERE subject = '2026-11-01'");
        shop.settles();
        let tries = |text: &str| text.replace("second_tries = 0", "second_tries = 1\nauto_refund = true");
        shop.restart("", |text| tries(text.split_once("[alerts]").expect("a section").0));
        shop.with_other_tries();
        shop.around();
        shop.restart("", |text| format!("{text}{alerts}offline_after_s = 10\n"));
        shop.machines_say();
        shop
    }

    /// The backend again, so far from the true time, with another configuration.
    fn restart(&mut self, ahead: &str, change: impl FnOnce(String) -> String) {
        self.desk.shop.kill_backend();
        // It goes by the gateway's time, so that one is elsewhere, too.
        let seconds: i64 = ahead.trim_end_matches('s').parse().unwrap_or_default();
        self.desk.shop.midtrans.change(&json!({ "date_off_ms": seconds * 1000 }));
        self.desk.shop.edit(Program::Backend, change);
        let service = self.desk.shop.service(Program::Backend);
        let mut service = if ahead.is_empty() { service } else { at_another_time(service, ahead) };
        self.desk.shop.start_as(Program::Backend, &mut service);
        self.desk.shop.backend.as_ref().expect("it runs").wait_line("connected to the broker");
        self.reads(self.owner.language);
    }

    // --- what happens to an order

    /// Asks for a charge. `change`: what is not as usual in the question.
    fn charged(&mut self, name: &'static str, change: Value) -> String {
        let mut body = self.desk.shop.order_body(&format!("r-{name}"));
        body["machine"] = json!("Lobby");
        // Nobody ends an order while this runs.
        body["timeout_s"] = json!(840);
        body.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        let answer = self.desk.shop.post_order(&body);
        assert_eq!(answer.status, 201, "{name}: {}", answer.text());
        let order = answer.json();
        let id = order["order_id"].as_str().expect("an id").to_owned();
        self.fixed.number(&id, 5, &format!("ORDER-{name}"));
        self.fixed.name(body["ticket"].as_str().expect("a ticket"), format!("TICKET-{name}"));
        if let Some(code) = order["payment_code"].as_str() {
            self.fixed.number(code, 4, &format!("CODE-{name}"));
        }
        self.orders.push((name, id.clone()));
        id
    }

    fn pays(&self, id: &str, via: Via) {
        match self.desk.shop.order_at_backend(id)["payment_code"].as_str() {
            Some(code) => self.desk.shop.midtrans.pay_at_counter(code),
            None => self.desk.shop.midtrans.pay(id, via),
        }
        self.has_receipt(id);
    }

    fn has_receipt(&self, id: &str) {
        self.desk.shop.wait_order(id, "its receipt", |order| order["receipt"].as_str().map(|_| ()));
    }

    /// Its machine tells an outcome; the status of the answer.
    fn tells(&self, id: &str, mut told: Value, is_signed: bool) -> u16 {
        let proof = self.desk.shop.proof(id, told["outcome"].as_str().expect("a word")).filter(|_| is_signed);
        told["proof"] = json!(proof);
        self.desk.shop.post_to(id, "outcome", &told).status
    }

    /// Paid, and its machine tells this.
    fn ended(&mut self, (name, outcome, reason, is_signed): (&'static str, &str, Option<&str>, bool)) -> String {
        let id = self.charged(name, if name.starts_with("code") { json!({ "payment": "alfamart" }) } else { json!({}) });
        self.pays(&id, Via::Gopay);
        let told = json!({ "outcome": outcome, "reason": reason, "detail": (!is_signed).then_some("no chip") });
        assert_eq!(self.tells(&id, told, is_signed), 200, "{name}");
        id
    }

    fn failed(&mut self, name: &'static str) -> String {
        self.ended((name, "failed", Some("failed"), true))
    }

    /// The gateway says otherwise whenever it is asked.
    fn alters_status(&self, id: &str, set: &Value) {
        self.desk.shop.midtrans.fault(&json!({ "fault": "alter_answer", "on": "status", "order_id": id, "set": set }));
    }

    /// Waits until the books list it for this.
    fn listed(&self, name: &str, why: &str) {
        let list = || self.good(&format!("orders --attention={why}")).contains(self.id(name)).then_some(());
        wait_for(&format!("{name} {why}"), list);
    }

    fn has_told(&self, kind: &str) {
        wait_for(kind, || self.alerts().iter().any(|told| told["kind"] == kind).then_some(()));
        let books = Connection::open(self.desk.shop.path().join("orders.db")).expect("the books");
        let left = || books.query_row("SELECT count(*) FROM alerts WHERE next_ms IS NOT NULL", [], |row| row.get::<_, i64>(0));
        wait_for("nothing left to tell", || (left() == Ok(0)).then_some(()));
    }

    fn is_refunded(&self, id: &str) {
        self.desk.shop.wait_order(id, "its refund", |order| (order["refund"] == "done").then_some(()));
    }

    /// What a command wrote that must succeed.
    fn good(&self, line: &str) -> String {
        let told = self.desk.shop.merchant(&line.split(' ').collect::<Vec<_>>());
        assert!(told.status.success(), "{line}: {}{}", stdout(&told), stderr(&told));
        stdout(&told)
    }

    pub fn id(&self, name: &str) -> &str {
        &self.orders.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no order {name}")).1
    }

    /// The alerts that were told.
    pub fn alerts(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.desk.shop.path().join("tell.txt")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    // --- the story

    /// What is older: one order that the books lost, and one of which the machine has told nothing for twenty minutes.
    fn bring_old_books(&mut self) {
        let rebuilt = self.charged("rebuilt", json!({}));
        self.desk.shop.midtrans.fault(&json!({ "fault": "drop_notification", "count": 1 }));
        self.desk.shop.midtrans.pay(&rebuilt, Via::Gopay);
        self.desk.shop.kill_backend();
        for suffix in ["", "-wal", "-shm"] {
            drop(std::fs::remove_file(self.desk.shop.path().join(format!("orders.db{suffix}"))));
        }
        self.restart("-1200s", |text| text);
        assert_eq!(self.desk.shop.merchant(&["reconcile", "--order", &rebuilt]).status.code(), Some(1));
        self.has_receipt(&rebuilt);
        let unreported = self.charged("unreported", json!({}));
        self.pays(&unreported, Via::Gopay);
    }

    fn without_other_tries(&mut self) {
        // What takes a while is begun first.
        for (name, set) in [("mismatch", json!({ "gross_amount": "1.00" })), ("suspect", json!({ "fraud_status": "challenge" }))] {
            let id = self.charged(name, json!({}));
            self.alters_status(&id, &set);
            self.desk.shop.midtrans.pay(&id, Via::Gopay);
        }
        // Nobody paid, or too late.
        self.charged("pending", json!({}));
        self.charged("code-shown", json!({ "payment": "alfamart" }));
        for (name, how) in [("expired", "expire"), ("denied", "deny")] {
            let id = self.charged(name, json!({}));
            self.desk.shop.midtrans.set(&id, how, false);
            self.desk.shop.wait_status(&id, how);
        }
        for name in ["cancelled", "late"] {
            let id = self.charged(name, json!({}));
            assert_eq!(self.desk.shop.post_to(&id, "cancel", &json!({})).status, 200);
        }
        let late = self.id("late").to_owned();
        self.desk.shop.midtrans.pay_late(&late);
        self.has_receipt(&late);
        assert_eq!(self.tells(&late, json!({ "outcome": "undelivered", "reason": "late" }), true), 200);
        // Paid.
        TOLD.iter().for_each(|told| drop(self.ended(*told)));
        let alfamart = json!({ "payment": "alfamart" });
        for (name, change) in
            [("awaited", json!({})), ("back-and-came", json!({})), ("code-paid", alfamart.clone()), ("code-reversed", alfamart)]
        {
            let id = self.charged(name, change);
            self.pays(&id, Via::Gopay);
        }
        let by_qris = self.charged("sold-by-qris", json!({ "item": "A2", "description": "Water", "amount": 4000 }));
        self.pays(&by_qris, Via::Qris);
        assert_eq!(self.tells(&by_qris, json!({ "outcome": "dispensed" }), true), 200);
        // Of what was paid by QRIS, the money goes back within seven days: that time is over, or nearly.
        for (name, days, time) in [("soon", 2, "23:50:00"), ("last-day", 0, "23:50:00"), ("too-late", -1, "12:00:00")] {
            let id = self.charged(name, json!({}));
            let today = clock::now().wall.to_local(zone());
            let settled = Wall::from_local(&format!("{} {time}", &today[..10]), zone()).expect("a time") + Span::secs((days - 7) * 86_400);
            self.alters_status(&id, &json!({ "settlement_time": settled.to_wib() }));
            self.pays(&id, Via::Qris);
            assert_eq!(self.tells(&id, json!({ "outcome": "failed", "reason": "failed" }), true), 200);
        }
        // A store may take back so much, so it has no receipt yet.
        let held = self.charged("code-held", json!({ "payment": "indomaret", "amount": 15_000 }));
        let code = self.desk.shop.order_at_backend(&held)["payment_code"].as_str().expect("a code").to_owned();
        self.desk.shop.midtrans.pay_at_counter(&code);
        wait_for("the books to know it", || self.good(&format!("orders {held}")).contains("says settled").then_some(()));
        self.gateway_decides();
    }

    /// What Midtrans, stores and banks did after a sale.
    fn gateway_decides(&mut self) {
        let (conflict, back) = (self.id("conflict").to_owned(), self.id("back-and-came").to_owned());
        assert_eq!(self.tells(&conflict, json!({ "outcome": "dispensed" }), false), 409);
        let midtrans = &self.desk.shop.midtrans;
        midtrans.change(&json!({ "refunds": false }));
        let refused = self.desk.shop.merchant(&["refund", self.id("refund-refused"), "--by", "Sari"]);
        assert_eq!(refused.status.code(), Some(1));
        midtrans.change(&json!({ "refunds": true }));
        midtrans.refund_in_dashboard(self.id("part"), 2000);
        midtrans.refund_in_dashboard(&back, 5000);
        for (name, how) in [("chargeback", "chargeback"), ("chargeback-seen", "chargeback"), ("part-of-sold", "partial_refund")] {
            midtrans.set(self.id(name), how, false);
        }
        midtrans.end("reverse", self.id("code-reversed"));
        self.desk.shop.wait_status(&back, "refund");
        self.desk.shop.wait_status(self.id("mismatch"), "failure");
        for (name, why) in [
            ("unreported", "unreported"),
            ("suspect", "suspect"),
            ("part", "partial_refund"),
            ("part-of-sold", "partial_refund"),
            ("chargeback", "chargeback"),
            ("chargeback-seen", "chargeback"),
            ("code-reversed", "reversed"),
            ("soon", "refund_soon"),
            ("last-day", "refund_last_day"),
            ("too-late", "only_by_hand"),
        ] {
            self.listed(name, why);
        }
        assert_eq!(self.tells(&back, json!({ "outcome": "dispensed" }), true), 200);
    }

    /// What people did after they were told.
    fn settles(&mut self) {
        for (command, name, more) in [
            ("refund", "refunded", ""),
            ("refund", "by-hand", " --settled-by-hand cash"),
            ("given", "given", " --from machine"),
            ("seen", "chargeback-seen", ""),
        ] {
            self.good(&format!("{command} {} --by Sari{more}", self.id(name)));
        }
        self.refunds_at_desk(self.id("at-desk"));
        self.is_refunded(self.id("at-desk"));
        self.has_told("over");
    }

    fn with_other_tries(&mut self) {
        self.failed("try-offered");
        let wanted = self.failed("try-wanted");
        self.good(&format!("again {wanted} --by Sari"));
        for (name, outcome) in [("try-begun", None), ("try-came", Some("dispensed")), ("try-failed", Some("failed"))] {
            let id = self.failed(name);
            self.tries_again(&id, name);
            if let Some(outcome) = outcome {
                assert_eq!(self.tells(&id, json!({ "try": 2, "outcome": outcome }), true), 200);
            }
        }
        let money = self.failed("money-wanted");
        let page = self.desk.shop.order_at_backend(&money)["pay_url"].as_str().expect("an address").to_owned();
        self.desk.shop.http.post_form(&format!("{page}&want=money"), &[], Vec::new());
        self.is_refunded(&money);
        self.is_refunded(self.id("try-failed"));
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
        let device = DeviceId::new(DEVICE).expect("an id");
        let (item, price) = (ItemId::new("A1").expect("an id"), Rupiah::new(PRICE).expect("an amount"));
        let promise = Promise::of(device, Ticket::new(&ticket).expect("a ticket"), again, item, price);
        self.fixed.name(ticket, format!("TICKET-again-{name}"));
        let answer = self.desk.shop.post_to(id, "again", &json!({ "promise": promise.sign(&relay_key()) }));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// People and machines.
    fn around(&self) {
        for (person, role) in [("Budi", "viewer"), ("Tono", "owner")] {
            self.desk.add(person, role);
        }
        for line in ["desk role Budi --role owner --limit-per-day 10000", "desk remove Tono", "device add vm-002", "device add vm-003"] {
            self.good(line);
        }
        self.good("device revoke vm-003");
        self.good("device invite vm-004");
    }

    /// Of a machine's first words, the backend notes at once what it says before it is known to be there.
    fn machines_say(&self) {
        let status = |state: &str, name: &str, faults: Value| json!({ "state": state, "name": name, "version": "0.1.0", "busy": false, "faults": faults });
        let slot = |item: &str, name: &str, count: u32| json!({ "item": item, "name": name, "count": count, "capacity": 10, "low": 2, "sold": 10 - count });
        let slots = [slot("A1", "Bottled tea", 2), slot("A2", "Water", 0), slot("A3", "Coffee", 7)];
        let fault = json!([{ "code": "line_blocked", "detail": "tray 2", "since": null }]);
        let (lobby, garage) = (Tap::connect(&self.desk.shop.broker, DEVICE, &[]), Tap::connect(&self.desk.shop.broker, TAP, &[]));
        for (machine, topic, what) in [
            (&garage, "vm-002/status", status("online", "Garage", json!([]))),
            (&garage, "vm-002/status", status("offline", "Garage", json!([]))),
            (&lobby, "vm-001/status", status("online", "Lobby", fault)),
            (&lobby, "vm-001/telemetry", telemetry()),
            (&lobby, "vm-001/config/reported", json!({ "version": 3, "name": "Lobby", "labels": ["jakarta"], "kid": "k", "since": null })),
            (&lobby, "vm-001/stock", json!({ "v": 1, "number": 1, "stream": "s", "slots": slots })),
        ] {
            machine.publish_bytes(&format!("qrisd/v1/{topic}"), what.to_string().as_bytes(), true);
        }
        wait_for("its faults", || self.good("device list").contains("line_blocked").then_some(()));
        ["stock_out", "offline"].iter().for_each(|kind| self.has_told(kind));
        for name in ["refunded", "at-desk", "try-failed", "money-wanted"] {
            let is_sure = || self.good(&format!("orders {}", self.id(name))).contains("the bank has confirmed it").then_some(());
            wait_for("the bank", is_sure);
        }
    }

    fn refunds_at_desk(&self, id: &str) {
        let at = format!("/orders/{id}/refund");
        assert_eq!(self.owner.submit(&at, &at, &[]).status, 303);
    }

    /// The owner's browser speaks a language now. It connects anew: the desk ends a connection that is idle.
    pub fn reads(&mut self, language: &'static str) {
        (self.owner.http, self.owner.language) = (Http::new(), language);
    }

    /// The gateway does not answer when it is asked for this refund.
    pub fn asks_for_a_refund(&mut self) -> String {
        let id = self.failed("refund-asked");
        self.desk.shop.midtrans.fault(&json!({ "fault": "hang", "on": "refund", "count": 1 }));
        self.reads("en");
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
