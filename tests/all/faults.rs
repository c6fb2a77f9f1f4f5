//! Parts that are missing or damaged: the machine stays up, says so in `status.faults`, sells nothing that it could not
//! deliver, and recovers by itself where that is possible.

use crate::counted_slots::refund_by_itself;
use crate::rig::midtrans::Via;
use crate::rig::screen::Screen;
use crate::rig::shop::{Options, Program, Shop};
use crate::rig::wait_for;
use qris::order::keys::{SigningKey, jwk_set};
use qris::order::reason::Reason;
use qris::wire::vend::EventState;
use rusqlite::Connection;
use std::path::PathBuf;

/// The databases that were set aside.
fn set_aside(shop: &Shop, name: &str) -> Vec<PathBuf> {
    let start = format!("{name}.corrupt-");
    let entries = std::fs::read_dir(shop.path()).expect("readable").filter_map(Result::ok);
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&start)).map(|entry| entry.path()).collect()
}

#[test]
fn a_machine_without_a_panel_sells_where_none_is_required() {
    let screen = "device = \"/dev/does-not-exist\"\nrequired = false\n".into();
    let shop = Shop::open(Options { screen: Some(screen), ..Options::default() });
    shop.wait_fault("screen", true);
    let request_id = shop.vend("A1");
    shop.wait_state(&request_id, EventState::AwaitingPayment);
    shop.midtrans.pay(&shop.order_id(&request_id), Via::Gopay);
    shop.wait_state(&request_id, EventState::Dispensed);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

#[test]
fn a_panel_that_vanishes_takes_its_qr_along_and_comes_back() {
    let mut shop = Shop::merchants_side();
    let (panel, unplugged) = (shop.path().join("panel"), shop.path().join("unplugged"));
    std::fs::create_dir(&panel).expect("made");
    shop.edit(Program::Qrisd, |text| text.replace("/screen.raw", "/panel/screen.raw"));
    shop.screen = Screen::new(panel.join("screen.raw"), 480, 800);
    shop.start_machine();
    let request_id = shop.offer("A1");
    std::fs::rename(&panel, &unplugged).expect("unplugged");
    shop.wait_fault("screen", true);
    let ended = shop.wait_state(&request_id, EventState::Cancelled);
    assert_eq!(ended.reason, Some(Reason::Screen));
    let refused = shop.vend("A1");
    shop.tap.wait_refused(&refused, Reason::Screen);
    shop.wait_nothing_payable();
    std::fs::rename(&unplugged, &panel).expect("plugged in");
    shop.wait_fault("screen", false);
    shop.screen.wait_no_payload();
    shop.sell("A1", Via::Gopay);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

#[test]
fn a_database_of_a_newer_release_is_left_alone() {
    let mut shop = Shop::open(Options::default());
    shop.sell("A1", Via::Gopay);
    shop.kill_qrisd();
    let database = shop.path().join("qrisd.db");
    let version: i32 = {
        let connection = Connection::open(&database).expect("there");
        let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("a version");
        connection.pragma_update(None, "user_version", 1000).expect("written");
        version
    };
    let before = std::fs::read(&database).expect("there");
    shop.start_qrisd();
    shop.wait_fault("newer_database", true);
    let refused = shop.vend("A1");
    shop.tap.wait_refused(&refused, Reason::NewerDatabase);
    // Told to end, and not killed: the broker would send again what it has no acknowledgement of yet.
    assert!(shop.qrisd.take().expect("it runs").terminate().0.success());
    assert!(std::fs::read(&database).expect("there") == before, "the file was changed");
    assert!(set_aside(&shop, "qrisd.db").is_empty());
    Connection::open(&database).expect("there").pragma_update(None, "user_version", version).expect("written");
    shop.start_qrisd();
    shop.wait_fault("newer_database", false);
    shop.sell("A1", Via::Gopay);
    assert_eq!(shop.pulses(), 2);
    shop.check_books();
}

#[test]
fn with_a_corrupt_database_a_pending_order_is_cancelled() {
    let mut shop = Shop::open(Options::default());
    let request_id = shop.offer("A1");
    let stream = shop.last_status().expect("a status")["stream"].clone();
    let order_id = shop.order_id(&request_id);
    shop.kill_qrisd();
    shop.spoil("qrisd.db");
    shop.start_qrisd();
    shop.wait_fault("store_reset", true);
    let ended = shop.wait_state(&request_id, EventState::Cancelled);
    assert_eq!(ended.reason, Some(Reason::Store));
    assert_ne!(serde_json::json!(ended.stream), stream, "a new database has a stream of its own");
    let first = shop.tap.wait_event("an event of the new stream", |event| event.stream == ended.stream && event.seq.is_some());
    assert_eq!(first.event_id, ended.event_id, "it is the order's first event");
    wait_for("the charge to be cancelled", || (shop.midtrans.status(&order_id) == "cancel").then_some(()));
    assert_eq!(set_aside(&shop, "qrisd.db").len(), 1);
    shop.screen.wait_no_payload();
    shop.sell("A1", Via::Gopay);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

#[test]
fn with_a_corrupt_database_what_was_paid_is_delivered_once() {
    let mut shop = Shop::open(Options::default());
    let request_id = shop.offer("A1");
    shop.relayd.as_ref().expect("it runs").signal("STOP");
    shop.pay(Via::Gopay);
    shop.wait_state(&request_id, EventState::Dispensing);
    shop.kill_machine();
    shop.spoil("qrisd.db");
    shop.start_machine();
    let outcome = shop.wait_order(&shop.order_id(&request_id), "an end", |order| order["outcome"]["outcome"].as_str().map(str::to_owned));
    assert_eq!((outcome.as_str(), shop.pulses()), ("dispensed", 1));
    shop.check_books();
}

/// It is paid when the machine has forgotten it. The ledger still has its ticket, closes it, and signs that nothing came.
#[test]
fn with_a_corrupt_database_what_is_paid_too_late_goes_back_by_itself_once() {
    let mut shop = Shop::open(Options::default());
    refund_by_itself(&mut shop);
    let request_id = shop.offer("A1");
    let order_id = shop.order_id(&request_id);
    shop.kill_qrisd();
    shop.spoil("qrisd.db");
    shop.start_qrisd();
    shop.wait_state(&request_id, EventState::Cancelled);
    wait_for("the charge to be cancelled", || (shop.midtrans.status(&order_id) == "cancel").then_some(()));
    shop.midtrans.pay_late(&order_id);
    assert_eq!(shop.wait_state(&request_id, EventState::RefundDue).reason, Some(Reason::Late));
    shop.wait_order(&order_id, "its money", |order| (order["refund"] == "done").then_some(()));
    // The database is lost once more: what is over is not asked for again.
    shop.kill_qrisd();
    shop.spoil("qrisd.db");
    shop.start_qrisd();
    shop.sell("A1", Via::Gopay);
    assert_eq!((shop.midtrans.calls("refund", &order_id).len(), shop.pulses()), (1, 1));
}

#[test]
fn a_corrupt_ledger_voids_the_order_on_the_screen() {
    let mut shop = Shop::open(Options::default());
    let request_id = shop.offer("A1");
    shop.kill_relayd();
    shop.spoil("ledger.db");
    shop.start_relayd();
    let ended = shop.wait_state(&request_id, EventState::Cancelled);
    assert_eq!(ended.reason, Some(Reason::Relay));
    shop.wait_fault("relay", true);
    // Until now the machine may have told of the same fault that the relay service is not there.
    shop.wait_status_of_machine("ledger_reset", |status| status["faults"].to_string().contains("ledger_reset").then_some(()));
    assert_eq!(set_aside(&shop, "ledger.db").len(), 1);
    shop.wait_nothing_payable();
    // It is told, and the new ledger sells.
    shop.screen.wait_no_payload();
    shop.sell("A1", Via::Gopay);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

#[test]
fn a_backend_whose_key_the_relay_does_not_know_is_not_paid() {
    for at_backend in [true, false] {
        let mut shop = Shop::merchants_side();
        let other = shop.path().join("other-keys.json");
        let key = SigningKey::from_seed([9; 32]);
        std::fs::write(&other, jwk_set(&[key.to_public_jwk("pay.example")])).expect("written");
        let keys = shop.path().join("keys.json").display().to_string();
        // Either only the relay has other keys, or the machine's keys.json as a whole.
        if !at_backend {
            shop.edit(Program::Qrisd, |text| text.replace(&keys, &other.display().to_string()));
        }
        shop.edit(Program::Relayd, |text| text.replace(&keys, &other.display().to_string()));
        shop.start_machine();
        let request_id = shop.vend("A1");
        let ended = shop.wait_state(&request_id, EventState::Failed);
        assert_eq!(ended.reason, Some(Reason::UnknownKey));
        assert!(shop.screen.payload().is_none());
        shop.wait_nothing_payable();
        assert_eq!(shop.pulses(), 0);
    }
}
