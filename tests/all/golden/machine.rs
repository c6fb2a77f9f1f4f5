//! A machine, its controller and its bus: what it publishes, what `qrisctl` prints beside it, and its interfaces.

use super::Golden;
use super::fixed::Fixed;
use crate::interfaces::members;
use crate::rig::caller::Caller;
use crate::rig::midtrans::Via;
use crate::rig::shop::{DEVICE, Options, Shop};
use crate::rig::tap::Message;
use crate::rig::{command, output, output_text, stdout};
use qris::order::reason::Reason;
use qris::wire::dbus::{DEVICE_NAME, DEVICE_PATH, RELAY_NAME, RELAY_PATH};
use qris::wire::vend::EventState;
use serde_json::{Value, json};

pub fn told() -> Vec<Golden> {
    let mut shop = Shop::open(Options::default());
    let mut fixed = Fixed::default();
    let (mut events, mut printed, mut bus) = (Golden::new("machine"), Golden::new("qrisctl"), Golden::new("bus"));
    fixed.name(shop.path().display().to_string(), "SHOP");
    fixed.name(env!("CARGO_PKG_VERSION"), "VERSION");
    let mut status = |shop: &Shop, what: &str, is: &dyn Fn(&Value) -> bool| {
        let status = shop.wait_status_of_machine(what, |status| is(status).then(|| status.clone()));
        events.section(&format!("status, {what}"), &Fixed::default().json(&status));
    };
    let mut ctl = |shop: &Shop, fixed: &Fixed, what: &str| {
        for line in [["order"].as_slice(), &["relay", "lines"], &["stock"]] {
            for json in [&[][..], &["--json"]] {
                let told = output(command(env!("CARGO_BIN_EXE_qrisctl")).args(line).args(["--bus", &shop.bus.address]).args(json));
                let text = if json.is_empty() { fixed.text(&output_text(&told)) } else { fixed.json_lines(&stdout(&told)) };
                printed.section(&format!("{} {} ({what}, {})", line.join(" "), json.concat(), told.status), &text);
            }
        }
    };
    status(&shop, "idle", &|status| status["busy"] == false && status["relay"].is_object());
    ctl(&shop, &fixed, "idle");
    let mut requests = Vec::new();
    let mut vend = |shop: &Shop, name: &'static str, body: Value| {
        let mut body = body;
        body["request_id"] = json!(format!("r-{name}"));
        shop.request(&body);
        requests.push(format!("r-{name}"));
        format!("r-{name}")
    };
    // Sold, while another one is refused.
    let sold = vend(&shop, "sold", json!({ "item": "A1" }));
    shop.wait_state(&sold, EventState::AwaitingPayment);
    status(&shop, "busy", &|status| status["busy"] == true);
    for (name, body, reason) in [
        ("busy", json!({ "item": "A2" }), Reason::Busy),
        ("unknown", json!({ "item": "Z9" }), Reason::UnknownItem),
        ("dear", json!({ "item": "exit", "amount": 1 }), Reason::WrongAmount),
        ("malformed", json!({ "item": 7 }), Reason::Malformed),
    ] {
        let refused = vend(&shop, name, body);
        shop.tap.wait_refused(&refused, reason);
    }
    shop.pay(Via::Gopay);
    shop.wait_state(&sold, EventState::Dispensed);
    shop.wait_idle();
    // Nobody paid, and one who paid too late.
    let cancelled = vend(&shop, "cancelled", json!({ "item": "A1" }));
    shop.wait_state(&cancelled, EventState::AwaitingPayment);
    shop.cancel(&cancelled);
    shop.wait_state(&cancelled, EventState::Cancelled);
    let late = shop.order_id(&cancelled);
    shop.wait_idle();
    let code = vend(&shop, "code", json!({ "item": "exit", "amount": 5000, "payment": "alfamart", "timeout_s": 10 }));
    let shown = shop.wait_state(&code, EventState::AwaitingPayment).payment_code.expect("a code");
    fixed.name(&*shown, "CODE");
    ctl(&shop, &fixed, "a code is shown");
    shop.midtrans.pay_late(&late);
    shop.wait_state(&cancelled, EventState::RefundDue);
    shop.wait_idle();
    shop.midtrans.pay_at_counter(&shown);
    shop.wait_state(&code, EventState::AwaitingCollection);
    shop.controller.publish(&format!("qrisd/v1/{DEVICE}/vend/collect"), &json!({ "code": shown }));
    shop.wait_state(&code, EventState::Dispensed);
    shop.wait_idle();
    let caller = Caller::connect(&shop.bus.address);
    for (name, path) in [(RELAY_NAME, RELAY_PATH), (DEVICE_NAME, DEVICE_PATH)] {
        bus.section(name, &(members(&caller.introspect(name, path), name).join("\n") + "\n"));
    }
    shop.kill_relayd();
    shop.wait_fault("relay", true);
    status(&shop, "without its relay", &|_| true);
    let refused = vend(&shop, "without-relay", json!({ "item": "A1" }));
    shop.tap.wait_refused(&refused, Reason::Relay);
    ctl(&shop, &fixed, "without its relay");
    let of = |topic: &str| -> Vec<Value> {
        let topic = format!("qrisd/v1/{DEVICE}/{topic}");
        shop.tap.messages().iter().filter(|message| message.topic == topic).map(Message::json).collect()
    };
    for request in &requests {
        for event in of("vend/event").iter().filter(|event| event["request_id"] == json!(request)) {
            events.section(&format!("vend/event {request} {}", event["state"]), &fixed.json(event));
        }
    }
    for (n, update) in of("payment/update").iter().enumerate() {
        events.section(&format!("payment/update {}", n + 1), &fixed.json(update));
    }
    vec![events, printed, bus]
}
