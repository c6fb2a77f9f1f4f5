//! Another try at the machine itself, with all its programs: nothing came, the customer presses something else, and it comes.

use crate::alerts::{Alerted, TELL};
use crate::rig::caller::Caller;
use crate::rig::inputs::Inputs;
use crate::rig::link::Cable;
use crate::rig::midtrans::Via;
use crate::rig::postgres::Postgres;
use crate::rig::relay_log::RelayLog;
use crate::rig::shop::{Options, Program, Shop};
use crate::rig::{wait_for, watched};
use qris::demo::shop::{item, line};
use qris::order::reason::Reason;
use qris::wire::vend::{EventState, VendEvent};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A machine with two trays. Of the first one nothing comes, by its sensor's word.
struct TwoTrays {
    alerted: Alerted,
    second: RelayLog,
    inputs: Inputs,
}

impl TwoTrays {
    fn open(server: Option<&Postgres>, tries: u32) -> Self {
        let inputs = Inputs::new();
        let chip = inputs.chip("tray-2");
        let trays = inputs.line_with_sensor(50) + &line("tray 2", &["B1"], 1000, &chip, "pulse_ms = 50\n");
        let items = item("B1", "Air", "Water", 4000) + &item("B2", "Kopi", "Coffee", 9000);
        let store = server.map(|server| format!("url = \"{}\"", server.url()));
        let mut alerted = Alerted::with(TELL, "", Options { line: trays, items, store, ..Options::default() });
        let shop = &mut alerted.shop;
        shop.kill_backend();
        shop.edit(Program::Backend, |text| format!("{text}\n[orders]\nsecond_tries = {tries}\n"));
        shop.start_backend();
        let second = RelayLog(chip.trim_start_matches("sim:").into());
        Self { alerted, second, inputs }
    }

    fn shop(&self) -> &Shop {
        &self.alerted.shop
    }

    /// A1 is paid, and does not come. Its request.
    fn fails(&self) -> String {
        let request = self.shop().offer("A1");
        self.shop().pay(Via::Gopay);
        let due = self.shop().wait_state(&request, EventState::RefundDue);
        assert_eq!(due.reason, Some(Reason::Failed));
        let order = due.order_id.expect("an order");
        self.shop().wait_order(order.as_str(), "its outcome", |order| order["outcome"].as_object().cloned());
        request
    }

    /// A controller asks for another try, until the machine has heard that the backend offers one. What it is answered.
    fn asks(&self, request: &str, item: &str) -> VendEvent {
        loop {
            let from = self.shop().tap.count();
            self.shop().request(&json!({"request_id": request, "item": item, "try": 2}));
            let told = self.shop().tap.wait_event_from(from, "an answer", |event| {
                event.request_id.as_ref().is_some_and(|id| id.as_str() == request)
                    && matches!(event.state, EventState::TryingAgain | EventState::Refused | EventState::RefundDue)
            });
            // A try that was given up is answered with its last event, until it is offered once more.
            if told.reason != Some(Reason::Late) && told.state != EventState::RefundDue {
                return told;
            }
        }
    }
}

fn comes_from_the_other_tray(server: Option<&Postgres>) {
    let machine = TwoTrays::open(server, 1);
    let shop = machine.shop();
    let request = machine.fails();
    // What is over before anybody was told of it is not told.
    machine.alerted.wait_sent(1);
    let dear = machine.asks(&request, "B2");
    assert_eq!((dear.state, dear.reason), (EventState::Refused, Some(Reason::WrongAmount)));
    let trying = machine.asks(&request, "B1");
    assert_eq!((trying.state, trying.number_of_try.map(|number| number.get())), (EventState::TryingAgain, Some(2)));
    let came = shop.wait_state(&request, EventState::Dispensed);
    assert_eq!(came.item.as_ref().map(|item| item.as_str()), Some("B1"));
    assert_eq!(came.amount.map(|amount| amount.get()), Some(5000), "what was paid for it");
    assert_eq!((shop.pulses(), machine.second.pulses()), (1, 1));
    let order = came.order_id.expect("an order");
    let told = shop.wait_order(order.as_str(), "the end of its second try", |order| order["outcome"].as_object().cloned());
    assert_eq!((&told["outcome"], &told["try"]), (&json!("dispensed"), &json!(2)));
    // The same message again, as a broker may bring it.
    let from = shop.tap.count();
    shop.request(&json!({"request_id": request, "item": "B1", "try": 2}));
    shop.tap.wait_event_from(from, "its last event again", |event| event.event_id == came.event_id);
    assert_eq!((shop.pulses(), machine.second.pulses()), (1, 1));
    assert_eq!(shop.midtrans.calls("refund", order.as_str()).len(), 0);
    shop.wait_idle();
    assert!(!shop.merchant(&["refund", order.as_str(), "--by", "Sari"]).status.success(), "the customer has the goods");
    is_sold_once(&machine.alerted, order.as_str());
    // The next customer is served as ever.
    machine.inputs.press("sensor");
    shop.sell("B1", Via::Gopay);
    assert_eq!(machine.second.pulses(), 2);
}

/// The backend cannot be reached in the moment of the press. The customer presses once more, and it comes.
#[test]
fn a_try_whose_receipt_did_not_come_in_time_is_begun_once_more() {
    let machine = TwoTrays::open(None, 1);
    let shop = machine.shop();
    let request = machine.fails();
    assert_eq!(machine.asks(&request, "B2").reason, Some(Reason::WrongAmount), "it is offered");
    shop.backend_link.set(Cable::Cut);
    assert_eq!(machine.asks(&request, "B1").state, EventState::TryingAgain);
    let of_it = |event: &VendEvent| event.request_id.as_ref().is_some_and(|id| id.as_str() == request);
    let from = shop.tap.count();
    let over = shop.tap.wait_event_from(from, "the end of the try", |event| of_it(event) && event.state == EventState::RefundDue);
    assert_eq!((over.reason, machine.second.pulses()), (Some(Reason::Late), 0));
    shop.backend_link.set(Cable::Whole);
    assert_eq!(machine.asks(&request, "B1").state, EventState::TryingAgain);
    let came = shop.wait_state(&request, EventState::Dispensed);
    assert_eq!((came.number_of_try.map(|number| number.get()), machine.second.pulses()), (Some(2), 1));
    let order = came.order_id.expect("an order");
    let told = shop.wait_order(order.as_str(), "the end of its second try", |order| order["outcome"].as_object().cloned());
    assert_eq!((&told["outcome"], &told["try"]), (&json!("dispensed"), &json!(2)));
}

/// The money goes back while the screen still offers the goods.
#[test]
fn a_press_after_the_money_went_back_is_refused_at_once() {
    let machine = TwoTrays::open(None, 1);
    let shop = machine.shop();
    let request = machine.fails();
    assert_eq!(machine.asks(&request, "B2").reason, Some(Reason::WrongAmount), "it is offered");
    let order = shop.order_id(&request);
    assert!(shop.merchant(&["refund", &order, "--by", "Sari"]).status.success());
    let (from, lines) = (shop.tap.count(), shop.qrisd.as_ref().expect("it runs").lines.count());
    assert_eq!(machine.asks(&request, "B1").state, EventState::TryingAgain);
    let of_it = |event: &VendEvent| event.request_id.as_ref().is_some_and(|id| id.as_str() == request);
    let over = shop.tap.wait_event_from(from, "the refusal", |event| of_it(event) && event.state == EventState::RefundDue);
    assert_eq!(over.reason, Some(Reason::Failed), "as it was before");
    let said = shop.qrisd.as_ref().expect("it runs").lines.since(lines);
    assert!(!said.iter().any(|line| line.contains("the backend cannot be reached")), "{said:#?}");
    assert_eq!(machine.second.pulses(), 0);
}

/// Whoever looks sees one sale, with what was paid for it.
fn is_sold_once(alerted: &Alerted, order: &str) {
    let shop = &alerted.shop;
    let said = |arguments: &[&str]| {
        let output = shop.merchant(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let lines = |arguments: &[&str]| -> Vec<Value> {
        said(arguments).lines().map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"))).collect()
    };
    let listed = lines(&["orders", "--json"]);
    assert_eq!(listed.len(), 1, "{listed:?}");
    let listed = &listed[0];
    assert_eq!((&listed["order_id"], &listed["outcome"]), (&json!(order), &json!("dispensed")), "{listed}");
    assert_eq!((&listed["refund"], &listed["attention"]), (&Value::Null, &json!([])), "{listed}");
    assert_eq!(said(&["orders", "--attention", "--json"]) + &said(&["orders", "--refund-due", "--json"]), "");
    let report = &lines(&["report", "--json"])[0];
    let ends = ["given", "refund_due", "refunded", "refunded_by_hand", "uncertain", "awaited", "unreported", "taken_back"];
    for (end, orders) in [("paid", 1), ("delivered", 1)].into_iter().chain(ends.map(|end| (end, 0))) {
        assert_eq!(report["total"][end], json!({ "orders": orders, "amount": orders * 5000 }), "{end}: {report}");
    }
    assert_eq!((&report["balanced"], &report["total"]["fees"]), (&json!(true), &json!(0)), "{report}");
    // It stands under the goods that were paid for.
    let record = |arguments: &[&str], count: usize, fields: &[&str]| -> Vec<String> {
        let csv = said(arguments);
        let records: Vec<Vec<&str>> = csv.split_terminator("\r\n").map(|record| record.split(',').collect()).collect();
        assert_eq!(records.len(), count, "{csv}");
        let field = |name: &&str| records[1][records[0].iter().position(|field| field == name).expect("a field")].to_owned();
        fields.iter().map(field).collect()
    };
    let by_item = record(&["report", "--csv", "--by", "item"], 3, &["item", "paid_orders", "paid_amount", "delivered_amount"]);
    assert_eq!(by_item, ["Bottled tea 350 ml", "1", "5000", "5000"]);
    let account = record(&["orders", "--csv"], 2, &["order_id", "item", "price", "paid", "outcome", "money", "returned"]);
    assert_eq!(account, [order, "A1", "5000", "5000", "dispensed", "delivered", "0"]);
    let history = said(&["orders", order]);
    assert!(history.contains("(try 2, B1)"), "what came: {history}");
    let reconciled = said(&["reconcile", "--per-second", "100"]);
    assert!(reconciled.contains("asked about 1 ") && reconciled.contains(" 0 differences"), "{reconciled}");
    // Somebody was told that the money is owed, and then that this is over. That a line is blocked may be told, too.
    let told = wait_for("both alerts", || {
        let told: Vec<_> = alerted.sent().into_iter().filter(|alert| !alert["order"].is_null()).collect();
        (told.len() >= 2).then_some(told)
    });
    let told: Vec<_> = told.iter().map(|alert| (&alert["kind"], &alert["order"]["order_id"], &alert["over"])).collect();
    let (due, none, id) = (json!("refund_due"), Value::Null, json!(order));
    assert_eq!(told, [(&due, &id, &none), (&json!("over"), &id, &due)]);
    let page = shop.order_at_backend(order)["pay_url"].as_str().expect("an address").to_owned();
    let page = shop.http.get(&format!("{page}&lang=en"), None).text();
    assert!(page.contains("Done. Thank you!") && !page.contains("<form") && !page.contains("returned"), "{page}");
}

#[test]
fn it_comes_from_the_other_tray() {
    comes_from_the_other_tray(None);
}

#[test]
fn it_comes_from_the_other_tray_on_postgresql() {
    comes_from_the_other_tray(Some(&Postgres::start(&[])));
}

#[test]
fn a_backend_that_offers_none_leaves_the_machine_as_it_was() {
    let machine = TwoTrays::open(None, 0);
    let request = machine.fails();
    machine.shop().wait_idle();
    machine.shop().request(&json!({"request_id": request, "item": "B1", "try": 2}));
    machine.shop().tap.wait_refused(&request, Reason::Late);
    assert_eq!(machine.second.pulses(), 0);
}

/// A machine with one button, at which one customer gets nothing, and the next one comes too early.
struct OneButton {
    shop: Shop,
    inputs: Inputs,
}

impl OneButton {
    fn open() -> Self {
        let inputs = Inputs::new();
        let line = format!("{}[[button]]\nitem = \"A1\"\nchip = \"{}\"\n", inputs.line_with_sensor(2000), inputs.chip("button"));
        let mut shop = Shop::open(Options { line, ..Options::default() });
        shop.kill_backend();
        shop.edit(Program::Backend, |text| format!("{text}\n[orders]\nsecond_tries = 1\n"));
        shop.start_backend();
        Self { shop, inputs }
    }

    /// Somebody presses, and this is told next.
    fn presses(&self, state: EventState) -> VendEvent {
        let from = self.shop.tap.count();
        self.inputs.press("button");
        self.shop.tap.wait_event_from(from, "what the press does", |event| event.state == state)
    }

    fn wait_offer(&self) -> Value {
        self.shop.wait_status_of_machine("the offer", |status| status["try_offer"].as_object().cloned()).into()
    }

    /// Presses, reads the words that come, and presses once more.
    fn presses_twice(&self) {
        let before = std::fs::read(&self.shop.screen.path).expect("a picture");
        self.inputs.press("button");
        watched::until(&self.shop.screen.path, "the words", || {
            (std::fs::read(&self.shop.screen.path).expect("a picture") != before).then_some(())
        });
        // A hand that drums changes nothing.
        self.inputs.press("button");
        let since = Instant::now();
        wait_for("a person to have read them", || (since.elapsed() > Duration::from_millis(1_700)).then_some(()));
        self.inputs.press("button");
    }
}

#[test]
fn at_one_button_a_stranger_takes_nothing_from_who_paid() {
    let machine = OneButton::open();
    let shop = &machine.shop;
    let paid = machine.presses(EventState::AwaitingPayment).request_id.expect("made by the machine");
    shop.pay(Via::Gopay);
    let due = shop.wait_state(paid.as_str(), EventState::RefundDue);
    assert_eq!(due.reason, Some(Reason::Failed));
    Caller::connect(&shop.bus.address).relay::<_, ()>("Clear", &("A1",)).expect("somebody has looked");
    let offer = machine.wait_offer();
    assert_eq!((&offer["request_id"], &offer["try"], &offer["up_to"]), (&json!(paid.as_str()), &json!(2), &json!(5000)));
    let over_bus = || Caller::connect(&shop.bus.address).device_property::<String>("TryOffer");
    let told: Value = serde_json::from_str(&over_bus()).expect("JSON");
    let left = told["remaining_s"].as_u64().expect("seconds");
    assert!(told["request_id"] == offer["request_id"] && (1..=60).contains(&left), "{told}");
    // A stranger presses once, waits, and gets a QR: that is another purchase.
    let stranger = machine.presses(EventState::AwaitingPayment).request_id.expect("made by the machine");
    assert_ne!(stranger, paid);
    shop.wait_status_of_machine("no offer meanwhile", |status| status["try_offer"].is_null().then_some(()));
    assert_eq!(over_bus(), "");
    shop.screen.wait_payload();
    shop.cancel(stranger.as_str());
    shop.wait_state(stranger.as_str(), EventState::Cancelled);
    assert_eq!(machine.wait_offer()["request_id"], json!(paid.as_str()), "it is back");
    machine.presses_twice();
    shop.relay.wait_pulses(2);
    machine.inputs.press("sensor");
    let came = shop.wait_state(paid.as_str(), EventState::Dispensed);
    assert_eq!(came.number_of_try.map(|number| number.get()), Some(2));
    assert_eq!(shop.pulses(), 2, "one that nobody saw, and this one");
}
