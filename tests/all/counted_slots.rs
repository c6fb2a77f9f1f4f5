//! What lies in the slots, with real programs: nothing is sold that is not there, and people fill and count.

use crate::rig::desk::Desk;
use crate::rig::midtrans::Via;
use crate::rig::shop::{DEVICE, Options, Program, Shop};
use crate::rig::tap::Message;
use crate::rig::{command, output, stdout};
use qris::wire::vend::EventState;
use serde_json::{Value, json};
use std::process::Output;

/// From now on A1 is counted.
fn count_a1(text: String) -> String {
    let counted = text.replacen("id = \"A1\"\n", "id = \"A1\"\ncapacity = 2\nlow = 1\n", 1);
    assert_ne!(counted, text);
    counted
}

/// A shop in whose machine two of A1 have room, and nobody has counted.
fn with_slot() -> Shop {
    let mut shop = Shop::open(Options::default());
    shop.kill_qrisd();
    shop.edit(Program::Qrisd, count_a1);
    shop.start_qrisd();
    shop.wait_online();
    shop
}

/// `qrisctl stock` on the machine.
fn stock(shop: &Shop, what: &[&str]) -> Output {
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
        assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains(why), "{wrong:?}: {refused:?}");
    }
}

#[test]
fn a_slot_that_becomes_empty_is_told_at_once_and_filled_from_afar_once() {
    let mut desk = Desk::open("service");
    desk.shop.edit(Program::Qrisd, count_a1);
    desk.restart();
    assert_eq!(desk.does(&["stock", "count", "A1", "2"]), json!({ "before": null, "after": 2 }));
    // A test takes one, too.
    desk.does(&["test-pulse", "A1"]);
    crate::rig::wait_for("the test is counted", || (told(&stock(&desk.shop, &[]))["count"] == 1).then_some(()));
    desk.shop.sell("A1", Via::Gopay);
    wait_slot(&desk.shop, "an empty slot", |slot| slot["count"] == 0);
    let refused = desk.shop.vend("A1");
    desk.shop.wait_state(&refused, EventState::Refused);
    assert_eq!(desk.does(&["stock", "fill", "A1"]), json!({ "before": 0, "after": 2 }));
    desk.does_not(&["stock", "fill", "A1", "1"], "failed (refused): there would be 3 in it, and it holds 2");
    // The same command again puts nothing in, whoever sends it: `asks` sends what went over the broker.
    desk.shop.sell("A1", Via::Gopay);
    let topic = format!("qrisd/v1/{DEVICE}/cmd/stock/request");
    let sent = desk.shop.tap.messages().into_iter().filter(|message| message.topic == topic).nth(1).expect("it went over the broker");
    let end = desk.asks("cmd/stock/request", &sent.payload, false);
    assert_eq!((&end["state"], &end["result"]), (&"done".into(), &json!({ "before": 0, "after": 2 })));
    assert_eq!(told(&stock(&desk.shop, &[]))["count"], 1);
    let shown = stdout(&desk.shop.qrisctl(&["fleet", "stock", "--all"]));
    assert!(shown.contains("A1") && shown.contains("of 2"), "{shown}");
}
