//! Another try at the machine itself, with all its programs: nothing came, the customer presses something else, and it comes.

use crate::rig::inputs::Inputs;
use crate::rig::midtrans::Via;
use crate::rig::postgres::Postgres;
use crate::rig::relay_log::RelayLog;
use crate::rig::shop::{Options, Program, Shop};
use qris::demo::shop::{item, line};
use qris::order::reason::Reason;
use qris::wire::vend::{EventState, VendEvent};
use serde_json::json;

/// A machine with two trays. Of the first one nothing comes, by its sensor's word.
struct TwoTrays {
    shop: Shop,
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
        let mut shop = Shop::open(Options { line: trays, items, store, ..Options::default() });
        shop.kill_backend();
        shop.edit(Program::Backend, |text| format!("{text}\n[orders]\nsecond_tries = {tries}\n"));
        shop.start_backend();
        let second = RelayLog(chip.trim_start_matches("sim:").into());
        Self { shop, second, inputs }
    }

    /// A1 is paid, and does not come. Its request.
    fn fails(&self) -> String {
        let request = self.shop.offer("A1");
        self.shop.pay(Via::Gopay);
        let due = self.shop.wait_state(&request, EventState::RefundDue);
        assert_eq!(due.reason, Some(Reason::Failed));
        let order = due.order_id.expect("an order");
        self.shop.wait_order(order.as_str(), "its outcome", |order| order["outcome"].as_object().cloned());
        request
    }

    /// A controller asks for another try, until the machine has heard that the backend offers one. What it is answered.
    fn asks(&self, request: &str, item: &str) -> VendEvent {
        loop {
            let from = self.shop.tap.count();
            self.shop.request(&json!({"request_id": request, "item": item, "try": 2}));
            let told = self.shop.tap.wait_event_from(from, "an answer", |event| {
                event.request_id.as_ref().is_some_and(|id| id.as_str() == request)
                    && matches!(event.state, EventState::TryingAgain | EventState::Refused)
            });
            if told.reason != Some(Reason::Late) {
                return told;
            }
        }
    }
}

fn comes_from_the_other_tray(server: Option<&Postgres>) {
    let machine = TwoTrays::open(server, 1);
    let shop = &machine.shop;
    let request = machine.fails();
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
    // The next customer is served as ever.
    machine.inputs.press("sensor");
    shop.sell("B1", Via::Gopay);
    assert_eq!(machine.second.pulses(), 2);
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
    machine.shop.wait_idle();
    machine.shop.request(&json!({"request_id": request, "item": "B1", "try": 2}));
    machine.shop.tap.wait_refused(&request, Reason::Late);
    assert_eq!(machine.second.pulses(), 0);
}
