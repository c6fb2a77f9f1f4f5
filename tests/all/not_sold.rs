//! A slot that cannot sell says so where people stand, with real programs.

use crate::alerts::{TELL, section, sent};
use crate::counted_slots::{count_a1, stock};
use crate::rig::inputs::Inputs;
use crate::rig::midtrans::Via;
use crate::rig::people::Desk;
use crate::rig::shop::{DEVICE, Options, Program};
use crate::rig::{command, output, stdout, wait_for, watched};
use qris::order::reason::Reason;
use qris::wire::vend::EventState;
use serde_json::{Value, json};

/// The backend says later that it can charge less: it charges by QRIS now.
#[test]
fn a_price_that_no_charge_takes_any_more_is_seen_by_all() {
    let told = tempfile::tempdir().expect("a directory");
    let midtrans = Options::default().midtrans + &section(told.path(), TELL, "");
    let items = "[[item]]\nid = \"gold\"\nname = \"Emas\"\nprice = 15000000\ncapacity = 2\nlow = 1\n".into();
    let mut desk = Desk::open_with(Options { items, midtrans, ..Options::default() });
    assert!(stock(&desk.shop, &["fill", "gold"]).status.success());
    let slot = |desk: &Desk| serde_json::from_str::<Value>(stdout(&stock(&desk.shop, &[])).trim()).expect("JSON");
    assert!(slot(&desk)["not_sold"].is_null());
    let charges = |desk: &mut Desk, before: &str, after: &str| {
        desk.shop.kill_backend();
        desk.shop.edit(Program::Backend, |text| text.replace(&format!("charge_as = \"{before}\""), &format!("charge_as = \"{after}\"")));
        desk.shop.start_backend();
    };
    charges(&mut desk, "gopay", "qris");
    wait_for("the slot to say it", || (slot(&desk)["not_sold"] == "price").then_some(()));
    let shop = &desk.shop;
    shop.wait_fault("prices", true);
    let pressed = shop.vend("gold");
    shop.tap.wait_refused(&pressed, Reason::WrongAmount);
    let owner = desk.person("Sari", "owner");
    let at = format!("/machines/{DEVICE}");
    wait_for("the desk to mark the slot", || owner.get(&at).has("not sold: nothing takes its price").then_some(()));
    wait_for("the desk to name the goods", || owner.get(&at).has("Not sold: Emas. No line or no payment takes the price.").then_some(()));
    let begun = wait_for("an alert", || sent(told.path()).into_iter().find(|alert| alert["kind"] == "stock_price"));
    assert!(begun["message"].as_str().is_some_and(|message| message.contains("does not sell Emas (gold)")), "{begun}");
    assert_eq!((&begun["not_sold"], &begun["slots"][0]["not_sold"]), (&json!("Emas (gold)"), &json!("price")));
    let counts = |line: &str| shop.http.get(&format!("{}/metrics", shop.backend_url), None).text().lines().any(|known| known == line);
    assert!(counts("qris_backend_slots{state=\"price\"} 1") && counts("qris_backend_slots{state=\"blocked\"} 0"));

    charges(&mut desk, "qris", "gopay");
    wait_for("the end of the alert", || sent(told.path()).iter().any(|alert| alert["over"] == "stock_price").then_some(()));
    assert!(slot(&desk)["not_sold"].is_null());
}

/// The sensor sees nothing come. Somebody fills the slot, and only then clears its line.
#[test]
fn a_blocked_slot_is_seen_by_all_until_its_line_is_cleared() {
    let (inputs, told) = (Inputs::new(), tempfile::tempdir().expect("a directory"));
    let midtrans = Options::default().midtrans + &section(told.path(), TELL, "");
    let mut desk = Desk::open_with(Options { line: inputs.line_with_sensor(100), midtrans, ..Options::default() });
    desk.shop.kill_qrisd();
    desk.shop.edit(Program::Qrisd, count_a1);
    desk.shop.start_qrisd();
    desk.shop.wait_online();
    let shop = &desk.shop;
    assert!(stock(shop, &["count", "A1", "2"]).status.success());
    let request = shop.offer("A1");
    shop.pay(Via::Gopay);
    assert_eq!(shop.wait_state(&request, EventState::RefundDue).reason, Some(Reason::Failed));

    // `qrisctl stock`, on the machine.
    let slot = || serde_json::from_str::<Value>(stdout(&stock(shop, &[])).trim()).expect("JSON");
    wait_for("the slot to say it", || (slot()["not_sold"] == "blocked").then_some(()));
    // A press: the screen answers it.
    let panel = || std::fs::read(&shop.screen.path).expect("a picture");
    let before = panel();
    let pressed = shop.vend("A1");
    shop.tap.wait_refused(&pressed, Reason::LineBlocked);
    watched::until(&shop.screen.path, "the screen to answer the press", || (panel() != before).then_some(()));
    let owner = desk.person("Sari", "owner");
    // The owner's phone, in the list of slots and in the fault.
    let at = format!("/machines/{DEVICE}");
    wait_for("the desk to mark the slot", || owner.get(&at).has("not sold: its line is blocked").then_some(()));
    // The line is that of all items.
    assert!(stdout(&shop.merchant(&["stock", "--to-fill"])).contains("A1"), "somebody must go there");
    // The slots name the first of them, and the fault, which comes later, all.
    wait_for("the desk to name the goods", || Some(owner.get(&at)).filter(|page| page.has("Not sold: ") && page.has("(A1), ")));
    // An alert, and the metrics.
    let alert = |key: &str| sent(told.path()).into_iter().find(|alert| alert[key] == "stock_blocked");
    let begun = wait_for("an alert", || alert("kind"));
    assert!(begun["message"].as_str().is_some_and(|message| message.contains("does not sell") && message.contains("(A1)")), "{begun}");
    assert_eq!((&begun["slots"][0]["item"], &begun["slots"][0]["not_sold"]), (&json!("A1"), &json!("blocked")));
    assert!(begun["not_sold"].as_str().is_some_and(|goods| goods.contains("(A1)")), "{begun}");
    let counts = |line: &str| shop.http.get(&format!("{}/metrics", shop.backend_url), None).text().lines().any(|known| known == line);
    assert!(counts("qris_backend_slots{state=\"blocked\"} 1"));
    assert!(counts("qris_backend_machine_faults{fault=\"line_blocked\"} 1"));

    // It is filled, and blocked all the same.
    let filled = stock(shop, &["fill", "A1"]);
    let said = String::from_utf8_lossy(&filled.stderr);
    assert!(filled.status.success() && said.contains("2 of 2, blocked: press the button inside"), "{said}");
    assert_eq!((&slot()["count"], &slot()["not_sold"]), (&json!(2), &json!("blocked")));
    let is_over = |kind: &str| sent(told.path()).iter().any(|alert| alert["over"] == kind);
    wait_for("the end of what filling ends", || is_over("stock_suspect").then_some(()));
    assert!(!is_over("stock_blocked"));

    // The clear button does it, or this.
    let cleared = output(command(env!("CARGO_BIN_EXE_qrisctl")).args(["relay", "clear", "A1", "--bus", &shop.bus.address]));
    assert!(cleared.status.success(), "{cleared:?}");
    wait_for("the slot to be sold", || slot()["not_sold"].is_null().then_some(()));
    wait_for("the end of the alert", || is_over("stock_blocked").then_some(()));
    wait_for("the desk", || (!owner.get(&at).has("its line is blocked")).then_some(()));
    shop.offer("A1");
}
