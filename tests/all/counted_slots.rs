//! What lies in the slots, with real programs: nothing is sold that is not there, and people fill and count.

use crate::rig::caller::Caller;
use crate::rig::desk::Desk;
use crate::rig::midtrans::Via;
use crate::rig::relay_log::RelayLog;
use crate::rig::shop::{DEVICE, Options, PRICE, Program, Shop};
use crate::rig::tap::Message;
use crate::rig::{command, output, stdout, wait_for};
use qris::demo::shop::{item, line};
use qris::order::ids::{CommandId, DeviceId, ItemId};
use qris::order::keys::SigningKey;
use qris::order::stock::Change;
use qris::wire::command::{Action, SignedCommand};
use qris::wire::vend::EventState;
use serde_json::{Value, json};
use std::process::Output;
use std::time::SystemTime;

/// From now on A1 is counted.
pub fn count_a1(text: String) -> String {
    let counted = text.replacen("id = \"A1\"\n", "id = \"A1\"\ncapacity = 2\nlow = 1\n", 1);
    assert_ne!(counted, text);
    counted
}

/// A shop in whose machine two of A1 have room, and nobody has counted.
pub fn with_slot() -> Shop {
    let mut shop = Shop::open(Options::default());
    shop.kill_qrisd();
    shop.edit(Program::Qrisd, count_a1);
    shop.start_qrisd();
    shop.wait_online();
    shop
}

/// The same, and A2 is a second slot with the goods of A1. Each has a line of its own; the log is that of A2.
fn with_same_goods() -> (Shop, RelayLog) {
    let mut shop = Shop::open(Options::default());
    shop.kill_machine();
    let log = shop.path().join("tray-2.log");
    let sim = format!("sim:{}", log.display());
    shop.edit(Program::Relayd, |text| text + "\n" + &line("tray 2", &["A2"], 2000, &sim, "offset = 18\npulse_ms = 60\n"));
    shop.edit(Program::Qrisd, |text| {
        let a2 = item("A2", "Air mineral 600 ml", "Water 600 ml", PRICE);
        let same = text.replace(&a2, "[[item]]\nid = \"A2\"\nsame_as = \"A1\"\ncapacity = 2\n");
        assert_ne!(same, text);
        count_a1(same)
    });
    shop.start_machine();
    shop.wait_online();
    (shop, RelayLog(log))
}

/// `qrisctl stock` on the machine.
pub fn stock(shop: &Shop, what: &[&str]) -> Output {
    output(command(env!("CARGO_BIN_EXE_qrisctl")).args(["stock", "--bus", &shop.bus.address, "--json"]).args(what))
}

fn told(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_str(stdout(output).trim()).expect("JSON")
}

/// What the broker has of the slot.
fn wait_slot(shop: &Shop, what: &str, look: impl Fn(&Value) -> bool) -> Value {
    let topic = format!("qrisd/v1/{DEVICE}/stock");
    let slot = |message: &Message| (message.topic == topic).then(|| message.json()["slots"][0].clone());
    shop.tap.wait_from(0, what, |message| slot(message).filter(|slot| look(slot)))
}

#[test]
fn a_machine_sells_what_it_has_and_is_filled() {
    let mut shop = with_slot();
    shop.wait_fault("stock", true);
    assert_eq!(told(&stock(&shop, &["count", "A1", "2"])), json!({ "item": "A1", "before": null, "after": 2 }));
    shop.wait_fault("stock", false);
    shop.sell("A1", Via::Gopay);
    assert_eq!(told(&stock(&shop, &[]))["count"], 1);
    // The last one can still be paid when its QR has left the screen.
    let first = shop.offer("A1");
    shop.cancel(&first);
    shop.wait_state(&first, EventState::Cancelled);
    let second = shop.vend("A1");
    let refused = shop.wait_state(&second, EventState::Refused);
    assert_eq!((refused.reason.map(|why| why.to_string()).as_deref(), refused.field.as_deref()), (Some("sold_out"), Some("item")));
    // Killed, and started again: the count is as it was.
    shop.kill_qrisd();
    shop.start_qrisd();
    shop.wait_online();
    assert_eq!(told(&stock(&shop, &[]))["count"], 1);
    assert_eq!(told(&stock(&shop, &["fill", "A1"])), json!({ "item": "A1", "before": 1, "after": 2 }));
    shop.sell("A1", Via::Gopay);
    wait_slot(&shop, "a full slot, and how much of it was sold", |slot| slot["capacity"] == 2 && slot["low"] == 1);
    shop.check_books();
    for (wrong, why) in
        [(&["fill", "A1", "3"][..], "it holds 2"), (&["give", "A1", "5"], "there are only"), (&["count", "exit", "1"], "not counted here")]
    {
        let refused = stock(&shop, wrong);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains(why) && !said.contains("org.freedesktop"), "{wrong:?}: {said}");
    }
}

/// The last piece is taken out while somebody can still pay for it.
#[test]
fn what_finds_an_empty_slot_goes_back_by_itself_once() {
    let mut shop = with_slot();
    refund_by_itself(&mut shop);
    told(&stock(&shop, &["count", "A1", "1"]));
    let request = shop.offer("A1");
    let order = shop.order_id(&request);
    shop.cancel(&request);
    shop.wait_state(&request, EventState::Cancelled);
    assert_eq!(told(&stock(&shop, &["count", "A1", "0"])), json!({ "item": "A1", "before": 1, "after": 0 }));
    shop.midtrans.pay_late(&order);
    let due = shop.wait_state(&request, EventState::RefundDue);
    assert_eq!(due.reason.map(|why| why.to_string()).as_deref(), Some("sold_out"));
    shop.wait_order(&order, "its money", |order| (order["refund"] == "done").then_some(()));
    // Somebody fills it, and the program starts anew: that piece is the next customer's.
    told(&stock(&shop, &["fill", "--all"]));
    shop.kill_qrisd();
    shop.start_qrisd();
    shop.wait_online();
    shop.sell("A1", Via::Gopay);
    assert_eq!((shop.midtrans.calls("refund", &order).len(), shop.pulses()), (1, 1));
    assert_eq!(told(&stock(&shop, &[]))["count"], 1, "it keeps no piece");
    shop.check_books();
}

impl Shop {
    /// An order for A1 whose payment found nothing. The slot is full again.
    fn found_nothing(&self) -> String {
        told(&stock(self, &["count", "A1", "1"]));
        let request = self.offer("A1");
        let order = self.order_id(&request);
        self.cancel(&request);
        self.wait_state(&request, EventState::Cancelled);
        told(&stock(self, &["count", "A1", "0"]));
        self.midtrans.pay_late(&order);
        self.wait_state(&request, EventState::RefundDue);
        self.wait_outcome(&order, "undelivered");
        told(&stock(self, &["fill", "A1"]));
        order
    }

    fn wait_count(&self, count: u32) {
        wait_for(&format!("{count} of A1"), || (told(&stock(self, &[]))["count"] == count).then_some(()));
    }
}

/// A person hands goods over, and says where they came from. The machine hears it at once, or when it is on again, and counts it once.
#[test]
fn what_a_person_took_out_of_a_slot_leaves_its_count_once() {
    let mut shop = with_slot();
    let given = |shop: &Shop, order: &str, from: &str| {
        let told = shop.merchant(&["given", order, "--by", "Sari", "--from", from]);
        assert!(told.status.success(), "{told:?}");
    };
    let [elsewhere, at_once] = [shop.found_nothing(), shop.found_nothing()];
    given(&shop, &elsewhere, "elsewhere");
    given(&shop, &at_once, "machine");
    shop.wait_count(1);
    let later = shop.found_nothing();
    shop.kill_qrisd();
    given(&shop, &later, "machine");
    for _ in 0..2 {
        shop.start_qrisd();
        shop.wait_online();
        shop.wait_count(1);
        shop.kill_qrisd();
    }
    shop.start_qrisd();
    shop.wait_online();
    shop.sell("A1", Via::Gopay);
    assert_eq!(told(&stock(&shop, &[]))["count"], 0);
    shop.check_books();
}

/// Whoever changes the name of what a slot sells has put other goods in. The old count says nothing of them.
#[test]
fn other_goods_in_a_slot_are_counted_anew() {
    let mut shop = with_slot();
    told(&stock(&shop, &["count", "A1", "2"]));
    shop.kill_qrisd();
    shop.edit(Program::Qrisd, |text| {
        let other = text.replacen("id = \"A1\"\n", "id = \"A1\"\nname = \"Roti\"\n", 1);
        let first = other.find("id = \"A1\"").expect("it");
        let (before, item) = other.split_at(first);
        let end = item.find("[[item]]").unwrap_or(item.len());
        let mut names = 0;
        let kept = item[..end].lines().filter(|line| {
            !line.starts_with("name") || {
                names += 1;
                names == 1
            }
        });
        format!("{before}{}\n{}", kept.collect::<Vec<_>>().join("\n"), &item[end..])
    });
    shop.start_qrisd();
    shop.wait_online();
    shop.wait_fault("stock", true);
    assert_eq!(told(&stock(&shop, &[]))["count"], Value::Null);
    assert_eq!(told(&stock(&shop, &["count", "A1", "1"])), json!({ "item": "A1", "before": null, "after": 1 }));
    shop.wait_fault("stock", false);
}

/// The backend gives back what provably did not come, and offers no other try.
pub fn refund_by_itself(shop: &mut Shop) {
    shop.kill_backend();
    shop.edit(Program::Backend, |text| format!("{text}\n[orders]\nauto_refund = true\nsecond_tries = 0\n"));
    shop.start_backend();
}

#[test]
fn of_two_slots_with_the_same_goods_the_fuller_one_is_sold_and_both_are_named() {
    let (shop, second) = with_same_goods();
    for (slot, n) in [("A1", "1"), ("A2", "2")] {
        told(&stock(&shop, &["count", slot, n]));
    }
    // Asked for, driven, and what is left in both.
    let sales = [("A1", "A2", [1, 1]), ("A1", "A1", [0, 1]), ("A1", "A2", [0, 0])];
    let mut orders = Vec::new();
    for (asked, driven, left) in sales {
        let dispensed = shop.sell(asked, Via::Gopay);
        let other = (asked != driven).then_some(asked);
        let names = [dispensed.item.as_ref(), dispensed.asked.as_ref()].map(|name| name.map(ToString::to_string));
        assert_eq!(names, [Some(driven.to_owned()), other.map(str::to_owned)]);
        let order_id = dispensed.order_id.expect("an order").to_string();
        let order = shop.order_at_backend(&order_id);
        assert_eq!((&order["item"], &order["asked"]), (&json!(driven), &json!(other)));
        let slots = stdout(&stock(&shop, &[]));
        let counts: Vec<_> = slots.lines().map(|slot| serde_json::from_str::<Value>(slot).expect("JSON")["count"].clone()).collect();
        assert_eq!(counts, left, "{asked} {driven}");
        orders.push((order_id, driven, other.unwrap_or_default()));
    }
    assert_eq!((shop.pulses(), second.pulses()), (1, 2), "each line is driven for its own slot");
    // Nothing is left of either.
    let refused = shop.wait_state(&shop.vend("A2"), EventState::Refused);
    assert_eq!(
        (refused.reason.map(|why| why.to_string()).as_deref(), refused.item.as_ref().map(ItemId::as_str)),
        (Some("sold_out"), Some("A2"))
    );
    shop.wait_status_of_machine("both to be sold out", |status| (status["sold_out"] == json!(["A1", "A2"])).then_some(()));
    told(&stock(&shop, &["fill", "A2"]));
    shop.wait_status_of_machine("both to be sold again", |status| (status["sold_out"] == json!([])).then_some(()));
    // The merchant's books say both, and add them up as the same goods.
    let csv = stdout(&shop.merchant(&["orders", "--csv"]));
    let head: Vec<_> = csv.lines().next().expect("a head").split(',').collect();
    let of = |name: &str| head.iter().position(|field| *field == name).expect("a field");
    for (order_id, driven, asked) in &orders {
        let row: Vec<_> = csv.lines().find(|row| row.starts_with(order_id.as_str())).expect("a record").split(',').collect();
        assert_eq!((row[of("item")], row[of("asked")], row[of("description")]), (*driven, *asked, "Bottled tea 350 ml"), "{csv}");
        let shown = stdout(&shop.merchant(&["orders", order_id]));
        assert_eq!(shown.contains("asked for in slot"), !asked.is_empty(), "{shown}");
    }
    let report: Value = serde_json::from_str(stdout(&shop.merchant(&["report", "--by", "item", "--json"])).trim()).expect("JSON");
    let goods = report["items"].as_array().expect("a list");
    assert!(goods.len() == 1 && goods[0]["item"] == "Bottled tea 350 ml", "{report}");
}

#[test]
fn a_slot_that_becomes_empty_is_told_at_once_and_filled_from_afar_once() {
    let mut desk = Desk::open("service");
    desk.shop.edit(Program::Qrisd, count_a1);
    desk.restart();
    assert_eq!(desk.does(&["stock", "count", "A1", "2"]), json!({ "before": null, "after": 2 }));
    // A test takes one, too.
    desk.does(&["test-pulse", "A1"]);
    wait_for("the test is counted", || (told(&stock(&desk.shop, &[]))["count"] == 1).then_some(()));
    desk.shop.sell("A1", Via::Gopay);
    wait_slot(&desk.shop, "an empty slot", |slot| slot["count"] == 0);
    let refused = desk.shop.vend("A1");
    desk.shop.wait_state(&refused, EventState::Refused);
    let from = desk.shop.tap.count();
    assert_eq!(desk.does(&["stock", "fill", "A1"]), json!({ "before": 0, "after": 2 }));
    desk.does_not(&["stock", "fill", "A1", "1"], "failed (refused): there would be 3 in it, and it holds 2");
    // The same command again puts nothing in, whoever sends it: `asks` sends what went over the broker.
    desk.shop.sell("A1", Via::Gopay);
    let topic = format!("qrisd/v1/{DEVICE}/cmd/stock/request");
    let sent = desk.shop.tap.wait_from(from, "the command at the broker", |message| (message.topic == topic).then(|| message.clone()));
    let end = desk.asks("cmd/stock/request", &sent.payload, false);
    assert_eq!((&end["state"], &end["result"]), (&"done".into(), &json!({ "before": 0, "after": 2 })));
    assert_eq!(told(&stock(&desk.shop, &[]))["count"], 1);
    let shown = stdout(&desk.shop.qrisctl(&["fleet", "stock", "--all"]));
    assert!(shown.contains("A1") && shown.contains("of 2"), "{shown}");
}

#[test]
fn what_nobody_may_say_or_cannot_be_changes_no_slot() {
    let mut desk = Desk::open("manage");
    desk.shop.edit(Program::Qrisd, count_a1);
    desk.restart();
    assert_eq!(desk.does(&["stock", "count", "A1", "2"]), json!({ "before": null, "after": 2 }));
    // Over the broker: a stranger's key, an age that nobody knows, numbers that cannot be, and no signature at all.
    let key = SigningKey::from_jwk(&std::fs::read_to_string(desk.file("desk.jwk")).expect("there")).expect("a key");
    let strangers = SigningKey::from_seed([7; 32]);
    let exp = i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs()).expect("a time") + 600;
    let signed = |key: &SigningKey, jti: &str, item: &str, n: u32| {
        let (aud, jti) = (DeviceId::new(DEVICE).expect("an id"), CommandId::new(jti).expect("an id"));
        let command = Action::Stock { change: Change::Count, item: ItemId::new(item).expect("an item"), n: Some(n) }.into();
        SignedCommand::payload(&SignedCommand { aud, jti, exp, stream: None, command }.jws(key))
    };
    let bare = json!({ "change": "count", "item": "A1", "n": 0 }).to_string().into_bytes();
    for (payload, is_retained, state, code) in [
        (signed(&strangers, "c-1", "A1", 0), false, "rejected", "unknown_key"),
        (signed(&key, "c-2", "A1", 0), true, "rejected", "retained"),
        (signed(&key, "c-3", "A1", 3), false, "failed", "refused"),
        (signed(&key, "c-4", "Z9", 0), false, "failed", "refused"),
        (bare, false, "rejected", "malformed"),
    ] {
        let end = desk.asks("cmd/stock/request", &payload, is_retained);
        assert_eq!((&end["state"], &end["error"]["code"]), (&json!(state), &json!(code)), "{end}");
    }
    // Whoever speaks under the machine's own name at the broker tells others, and never the machine.
    let empty =
        json!({ "v": 1, "number": 9_000, "stream": "s", "slots": [{ "item": "A1", "count": 0, "capacity": 2, "low": 1, "sold": 2 }] });
    desk.shop.tap.publish_bytes(&format!("qrisd/v1/{DEVICE}/stock"), empty.to_string().as_bytes(), true);
    // On the machine's own bus: no number, a number below zero, and words that nobody knows.
    let caller = Caller::connect(&desk.shop.bus.address);
    for (change, item, n) in
        [("count", "A1", -1), ("give", "A1", i32::MIN), ("give", "A1", 3), ("shake", "A1", 1), ("set", "", 1), ("set", "Z9", 1)]
    {
        caller.device::<_, (i32, i32)>("Stock", &(change, item, n)).expect_err("it cannot be");
    }
    assert_eq!(told(&stock(&desk.shop, &[]))["count"], 2);
    // A customer is served to the end first.
    let request = desk.shop.offer("A1");
    let busy = stock(&desk.shop, &["fill", "A1"]);
    assert!(!busy.status.success() && String::from_utf8_lossy(&busy.stderr).contains("a customer is served"), "{busy:?}");
    desk.shop.pay(Via::Gopay);
    desk.shop.wait_state(&request, EventState::Dispensed);
    assert_eq!(told(&stock(&desk.shop, &[]))["count"], 1);
    desk.shop.check_books();
}
