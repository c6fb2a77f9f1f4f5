//! The names and types that others build on, as the real programs show them: JSON keys of every message and of an order, and
//! the D-Bus interfaces. What an order holds when is looked at by `conform`.

use crate::rig::caller::Caller;
use crate::rig::midtrans::Via;
use crate::rig::shop::{Options, Shop};
use qris::order::reason::Reason;
use qris::wire::dbus::{DEVICE_NAME, DEVICE_PATH, RELAY_NAME, RELAY_PATH};
use qris::wire::vend::EventState;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Of `vend/event`; `at` besides, while the clock is trusted.
const EVENT: &str = "amount detail event_id field gross_amount item order_id payment_code reason request_id seq state store stream";
/// Of `status` while the machine is connected; `at` besides, while the clock is trusted.
const STATUS: &str = "boot_id busy faults state stream version";
const FAULT: &str = "code detail since";
const UPDATE: &str = "order_id receipt rev status";
const ORDER: &str = "amount deeplink_url device expires_in_s gross_amount item kid order_id outcome pay_url payment payment_code \
    qr_payload receipt refund request_id rev sandbox settled_ago_s status store ticket";
const OUTCOME: &str = "detail outcome reason";

/// An object's keys are these, neither more nor less, but for those that `may_miss`.
fn assert_keys(what: &str, object: &Value, keys: &str, may_miss: &[&str]) {
    let keys: Vec<&str> = keys.split(' ').collect();
    let there: BTreeSet<&str> = object.as_object().unwrap_or_else(|| panic!("{what}: {object}")).keys().map(String::as_str).collect();
    let missing: Vec<_> = keys.iter().filter(|key| !there.contains(**key)).collect();
    let unknown: Vec<_> = there.iter().filter(|key| !keys.contains(key) && !may_miss.contains(key)).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "{what}: missing {missing:?}, unknown {unknown:?}: {object}");
}

#[test]
fn messages_and_orders_have_the_fields_of_the_contract() {
    let mut shop = Shop::open(Options::default());
    let request_id = shop.offer("A1");
    let refused = shop.vend("A2");
    shop.tap.wait_refused(&refused, Reason::Busy);
    let order_id = shop.wait_state(&request_id, EventState::AwaitingPayment).order_id.expect("its order");
    let order_id = order_id.as_str();
    shop.pay(Via::Gopay);
    shop.wait_state(&request_id, EventState::Dispensed);
    let sold = shop.wait_order(order_id, "its outcome", |order| (!order["outcome"].is_null()).then(|| order.clone()));
    assert_keys("an order that was sold", &sold, ORDER, &[]);
    assert_keys("its outcome", &sold["outcome"], OUTCOME, &[]);
    shop.kill_relayd();
    shop.wait_fault("relay", true);
    let (mut events, mut updates, mut statuses, mut faults) = (0, 0, 0, 0);
    for message in shop.tap.messages() {
        let tail = message.topic.strip_prefix("qrisd/v1/vm-001/").expect("no other machine is there");
        if tail == "vend/request" {
            continue;
        }
        let payload = message.json();
        match tail {
            "vend/event" => {
                events += 1;
                assert_keys("vend/event", &payload, EVENT, &["at"]);
                let refused = payload["state"] == "refused";
                assert_eq!(payload["seq"].is_null(), refused, "{payload}");
                assert_eq!(payload["reason"], if refused { json!("busy") } else { Value::Null }, "{payload}");
                assert!(payload["payment_code"].is_null() && payload["store"].is_null(), "{payload}");
            }
            "payment/update" => {
                updates += 1;
                assert_keys("payment/update", &payload, UPDATE, &[]);
                assert_eq!(payload["receipt"].is_string(), payload["status"] == "settlement", "{payload}");
            }
            "status" => {
                statuses += 1;
                assert_keys("status", &payload, STATUS, &["at"]);
                for fault in payload["faults"].as_array().expect("a list") {
                    faults += 1;
                    assert_keys("a fault", fault, FAULT, &[]);
                }
            }
            // `settings_from_afar` looks at what it says when there is something to say.
            "config/reported" => assert_keys("config/reported", &payload, "version", &[]),
            other => panic!("nothing of the contract: {other}"),
        }
    }
    assert_eq!(events, 6, "requested, awaiting_payment, refused, paid, dispensing, dispensed");
    assert!(updates > 0 && statuses > 0 && faults > 0, "{updates} updates, {statuses} statuses, {faults} faults");
}

#[test]
fn the_dbus_interfaces_are_those_of_the_contract() {
    let shop = Shop::open(Options::default());
    let caller = Caller::connect(&shop.bus.address);
    assert_eq!(
        members(&caller.introspect(RELAY_NAME, RELAY_PATH), RELAY_NAME),
        [
            "method Check(s ticket) → (b deliverable, s reason)",
            "method Clear(s item) → ()",
            "method Close(s ticket) → (s outcome)",
            "method Dispense(s receipt) → (s outcome, s detail)",
            "method Prepare(s device, s item, x amount) → (s ticket)",
            "method Prove(s ticket) → (s proof)",
            "method Query(s order_id) → (s outcome, s detail)",
            "property Device s read",
            "property Faults as read",
            "property Keys as read",
            "property Lines a(sass) read",
            "property ProofKey s read",
            "property Tickets as read",
            "signal Cleared()",
            "signal Finished(s order_id, s outcome, s detail)",
            "signal Pressed(s item)",
        ]
    );
    assert_eq!(
        members(&caller.introspect(DEVICE_NAME, DEVICE_PATH), DEVICE_NAME),
        [
            "method Cancel(s request_id) → (s state)",
            "method Collect(s code) → (s state, s reason)",
            "method Hold(s who, u seconds) → (s answer)",
            "method Release(s who) → ()",
            "method Screenshot() → (ay png)",
            "method Vend(s request_id, s item, a{sv} options) → (s state, s reason)",
            "property Amount x read",
            "property Faults as read",
            "property GrossAmount x read",
            "property Holder s read",
            "property Item s read",
            "property OrderId s read",
            "property RemainingS u read",
            "property RequestId s read",
            "property State s read",
            "signal OrderChanged(s request_id, s order_id, s state, s reason)",
        ]
    );
}

/// An attribute of a tag.
fn attribute<'a>(tag: &'a str, name: &str) -> &'a str {
    tag.split_once(&format!(" {name}=\"")).and_then(|(_, rest)| rest.split_once('"')).map_or("", |(value, _)| value)
}

/// The members of one interface in introspection's XML, sorted, in words.
fn members(xml: &str, interface: &str) -> Vec<String> {
    let start = xml.find(&format!("<interface name=\"{interface}\"")).unwrap_or_else(|| panic!("no {interface}: {xml}"));
    let body = &xml[start..];
    let body = &body[..body.find("</interface>").expect("it ends")];
    let mut members = Vec::new();
    let (mut kind, mut name, mut args, mut outs) = ("", "", Vec::new(), Vec::new());
    for tag in body.split('<').skip(2) {
        let (word, _) = tag.split_once(|c: char| c.is_whitespace() || c == '>').expect("a tag");
        match word {
            "method" | "signal" => (kind, name, args, outs) = (word, attribute(tag, "name"), Vec::new(), Vec::new()),
            "arg" => {
                let arg = format!("{} {}", attribute(tag, "type"), attribute(tag, "name"));
                if attribute(tag, "direction") == "out" && kind == "method" { outs.push(arg) } else { args.push(arg) }
            }
            "property" => {
                members.push(format!("property {} {} {}", attribute(tag, "name"), attribute(tag, "type"), attribute(tag, "access")));
            }
            _ => {}
        }
        let is_whole = word == "/method" || word == "/signal" || ["method", "signal"].contains(&word) && tag.trim_end().ends_with("/>");
        if is_whole {
            let answer = if kind == "method" { format!(" → ({})", outs.join(", ")) } else { String::new() };
            members.push(format!("{kind} {name}({}){answer}", args.join(", ")));
        }
    }
    members.sort();
    members
}
