//! The names and types that others build on, as the real programs show them: JSON keys of every message and of an order, and
//! the D-Bus interfaces. What an order holds when is looked at by `conform`.

use crate::rig::caller::Caller;
use crate::rig::midtrans::Via;
use crate::rig::shop::{DEVICE, Options, Program, Shop};
use crate::rig::{source_text, stderr, wait_for};
use qris::conform::schema::Schema;
use qris::order::ids::DeviceId;
use qris::order::keys::{KeyFile, Level, SigningKey};
use qris::order::reason::Reason;
use qris::wire::dbus::{DEVICE_NAME, DEVICE_PATH, RELAY_NAME, RELAY_PATH};
use qris::wire::settings::Desired;
use qris::wire::topics::PROBE;
use qris::wire::vend::EventState;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Of `vend/event`; `at` besides, while the clock is trusted, and in one state the customer's page.
const EVENT: &str = "amount detail event_id field gross_amount item order_id payment_code reason request_id seq state store stream";
/// Of `status` while the machine is connected; `at` besides, while the clock is trusted, and `request_id` while one holds it.
const STATUS: &str = "boot_id busy commands faults name number report_every_s sold_out state stream version";
const FAULT: &str = "code detail since";
const UPDATE: &str = "order_id receipt rev status";
const ORDER: &str = "amount asked collect_within_s deeplink_url device expires_in_s gross_amount item kid order_id outcome over pay_url payment \
    payment_code qr_payload receipt refund request_id rev sandbox settled_ago_s status store ticket try try_again_s \
    try_confirmed_s try_number try_wanted_s unconfirmed";
const OUTCOME: &str = "detail outcome reason try";

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
    let (mut events, mut updates, mut statuses, mut releases, mut faults) = (0, 0, 0, 0, 0);
    for message in shop.tap.messages() {
        let tail = message.topic.strip_prefix("qrisd/v1/vm-001/").expect("no other machine is there");
        if tail == "vend/request" || message.payload == PROBE {
            continue;
        }
        let payload = message.json();
        match tail {
            "vend/event" => {
                events += 1;
                assert_keys("vend/event", &payload, EVENT, &["at", "pay_url"]);
                // Nobody is led to where it cannot be paid any more.
                assert_eq!(payload["pay_url"].is_string(), payload["state"] == "awaiting_payment", "{payload}");
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
                assert_keys("status", &payload, STATUS, &["at", "relay", "request_id"]);
                releases += usize::from(payload["relay"]["version"] == payload["version"]);
                for fault in payload["faults"].as_array().expect("a list") {
                    faults += 1;
                    assert_keys("a fault", fault, FAULT, &[]);
                }
            }
            "telemetry" => assert_eq!(payload["v"], 1, "{payload}"),
            // `settings_from_afar` looks at what it says when there is something to say.
            "config/reported" => assert_keys("config/reported", &payload, "name version", &[]),
            other => panic!("nothing of the contract: {other}"),
        }
    }
    assert_eq!(events, 6, "requested, awaiting_payment, refused, paid, dispensing, dispensed");
    assert!(0 < releases && releases < statuses, "the relay service came and went: {releases} of {statuses}");
    assert!(updates > 0 && statuses > 0 && faults > 0, "{updates} updates, {statuses} statuses, {faults} faults");
}

/// Fields of the value that its schema does not name, as paths. (`Schema` ignores them, as every reader does.)
pub fn unnamed(document: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let named = meant(document, schema);
    let named = named["anyOf"].get(0).map_or(named, |usual| meant(document, usual));
    let more = named["allOf"].as_array().into_iter().flatten().map(|part| meant(document, part));
    let parts: Vec<&Value> = [named].into_iter().chain(more).collect();
    match value {
        Value::Object(fields) if parts.iter().any(|part| part.get("properties").is_some()) => {
            let look = |(name, value)| match parts.iter().find_map(|part| part["properties"].get(name)) {
                None => vec![format!("{place}/{name}")],
                Some(rule) => unnamed(document, rule, value, &format!("{place}/{name}")),
            };
            fields.iter().flat_map(look).collect()
        }
        Value::Array(list) => list.iter().flat_map(|one| unnamed(document, &named["items"], one, place)).collect(),
        _ => Vec::new(),
    }
}

/// The schema itself, or the one that it refers to.
fn meant<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let to = schema["$ref"].as_str();
    to.map_or(schema, |to| document.pointer(to.trim_start_matches('#')).expect("a place of the document"))
}

#[test]
fn every_message_is_as_the_asyncapi_document_says() {
    let mut shop = Shop::open(Options::default());
    let key = SigningKey::from_seed([0x0d; 32]);
    let keys = shop.path().join("keys.json");
    let mut file = KeyFile::read(&std::fs::read_to_string(&keys).expect("there")).expect("keys");
    file.put_operator(&key.to_operator_jwk(Level::Manage)).expect("put");
    std::fs::write(&keys, file.to_text()).expect("written");
    shop.kill_qrisd();
    shop.edit(Program::Qrisd, |text| text.replacen("id = \"A1\"\n", "id = \"A1\"\ncapacity = 8\n", 1));
    shop.start_qrisd();
    shop.wait_online();
    let request_id = shop.offer("A1");
    let refused = shop.vend("A2");
    shop.tap.wait_refused(&refused, Reason::Busy);
    for (version, text) in
        [(1, "[device]\nlabels = [\"jakarta\"]\n[[item]]\nid = \"A1\"\nprice = 6000\nnew = 1\n"), (3, ""), (2, "[orders]\ntimeout_s = 5\n")]
    {
        let aud = DeviceId::new(DEVICE).expect("an id");
        let effective_at = Some("2026-01-01T00:00:00+07:00".into());
        let desired = Desired {
            aud,
            version,
            from: version - 1,
            exp: i64::MAX,
            effective_at,
            skip_unknown: version == 1,
            made_of: None,
            settings: text.into(),
        };
        shop.tap.publish_bytes(&format!("qrisd/v1/{DEVICE}/config/desired"), &desired.signed(&key), false);
    }
    assert!(shop.qrisctl(&["screen", "shot", "--device", DEVICE, "--out", "/dev/null"]).status.success());
    // The tap takes no message as large as a picture. One that comes too soon is answered in a few words.
    wait_for("a picture that comes too soon", || {
        stderr(&shop.qrisctl(&["screen", "shot", "--device", DEVICE, "--out", "/dev/null"])).contains("(rate_limited)").then_some(())
    });
    let key_file = shop.path().join("desk.jwk");
    std::fs::write(&key_file, key.to_private_jwk()).expect("written");
    std::fs::set_permissions(&key_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
    let key_file = key_file.display().to_string();
    for (what, is_done) in [(&["cancel", &request_id][..], true), (&["orders", "--newest", "9"], true), (&["reboot"], false)] {
        let output = shop.qrisctl(&[&["fleet", "run", "--device", DEVICE, "--operator-key", &key_file], what].concat());
        assert_eq!(output.status.success(), is_done, "{output:?}");
    }
    shop.wait_state(&request_id, EventState::Cancelled);
    shop.cancel(&refused);
    shop.controller.publish(&format!("qrisd/v1/{DEVICE}/vend/collect"), &json!({ "code": "8127740588870520" }));
    // The QR of the order that was cancelled is not taken for the next one.
    shop.screen.wait_no_payload();
    shop.sell("A1", Via::Gopay);
    shop.kill_relayd();
    shop.wait_fault("relay", true);
    let schema = Schema::read(&source_text("docs/using/asyncapi.json")).expect("JSON");
    let document = schema.document();
    let channels = document["channels"].as_object().expect("channels");
    let mut heard = BTreeSet::new();
    for message in shop.tap.messages() {
        let levels: Vec<&str> = message.topic.split('/').collect();
        let is_of = |(_, channel): &(&String, &Value)| {
            let at: Vec<&str> = channel["address"].as_str().expect("an address").split('/').collect();
            let is_same = at.iter().zip(&levels).all(|(at, level)| at.starts_with('{') || at == level);
            is_same && (at.len() == levels.len() || at.last() == Some(&"response") && levels.len() == at.len() + 1)
        };
        let (name, channel) = channels.iter().find(is_of).unwrap_or_else(|| panic!("nothing of the document: {}", message.topic));
        heard.insert(name.clone());
        let mut messages = channel["messages"].as_object().expect("messages").iter();
        let is_meant = |(name, _): &(&String, &Value)| (*name == "Probe") == (message.payload == PROBE);
        let (_, what) = messages.find(is_meant).expect("a message");
        let payload = &document.pointer(&what["$ref"].as_str().expect("a reference")[1..]).expect("a message")["payload"];
        // That of a picture is not read.
        if message.topic.ends_with("cmd/screenshot/request") {
            continue;
        }
        let value = message.json();
        assert_eq!(schema.validate(&value, payload), [] as [String; 0], "{name}: {value}");
        assert_eq!(unnamed(document, payload, &value, ""), [] as [String; 0], "{name}: {value}");
    }
    let never: Vec<_> = channels.keys().filter(|name| !heard.contains(*name)).collect();
    assert!(never.is_empty(), "never heard: {never:?}");
    let reports =
        shop.tap.messages().into_iter().filter(|message| message.topic.ends_with("config/reported")).map(|message| message.json());
    let fields: BTreeSet<String> =
        reports.flat_map(|told| told.as_object().expect("an object").keys().cloned().collect::<Vec<_>>()).collect();
    assert_eq!(fields.into_iter().collect::<Vec<_>>(), ["kid", "labels", "left_out", "name", "refused", "since", "version", "waiting"]);
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
            "method ClearBy(s jws) → ()",
            "method Close(s ticket) → (s outcome, b driven)",
            "method Dispense(s receipt) → (s outcome, b driven, s detail)",
            "method Prepare(s device, s item, x amount) → (s ticket)",
            "method PrepareAgain(s device, s item, x amount, s order_id, u nth_try, s after) → (s ticket, s promise)",
            "method Prove(s ticket) → (s proof)",
            "method Query(s order_id, u nth_try) → (s outcome, b driven, s detail)",
            "method Test(s jws) → (s outcome, b driven, s detail)",
            "property Facts s read",
            "signal ClearPressed(b is_held)",
            "signal Cleared()",
            "signal Finished(s order_id, u nth_try, s outcome, b driven, s detail)",
            "signal LateSign(s order_id, u nth_try, s sign)",
            "signal LedgerBack()",
            "signal Pressed(s item)",
            "signal Released(s item)",
            "signal Switched()",
            "signal Tested()",
            "signal Unseen(s order_id, u nth_try)",
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
            "method Stock(s change, s item, i n) → (i before, i after)",
            "method Vend(s request_id, s item, a{sv} options) → (s state, s reason)",
            "property Amount x read",
            "property Detail (ss) read",
            "property FaultDetails as read",
            "property Faults as read",
            "property GrossAmount x read",
            "property Holder s read",
            "property Item s read",
            "property OrderId s read",
            "property RemainingS u read",
            "property RequestId s read",
            "property Slots s read",
            "property SoldOut as read",
            "property State s read",
            "property TryOffer s read",
            "signal OrderChanged(s request_id, s order_id, s state, s reason)",
        ]
    );
}

/// An attribute of a tag.
fn attribute<'a>(tag: &'a str, name: &str) -> &'a str {
    tag.split_once(&format!(" {name}=\"")).and_then(|(_, rest)| rest.split_once('"')).map_or("", |(value, _)| value)
}

/// The members of one interface in introspection's XML, sorted, in words.
pub fn members(xml: &str, interface: &str) -> Vec<String> {
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
