//! Paid at a store, hours later as the customer sees it, and collected with the payment code: with a real broker, bus,
//! backend and relay service, and the simulated Midtrans at whose counter is paid.

use crate::reboot::reboot;
use crate::rig::caller::Caller;
use crate::rig::midtrans::Via;
use crate::rig::shop::{Options, Program, Shop, new_request_id};
use crate::rig::{stdout, wait_for, watched};
use qris::order::reason::Reason;
use qris::wire::vend::{EventState, VendEvent};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// An order whose code was shown.
struct Coded {
    request_id: String,
    order_id: String,
    code: String,
}

impl Shop {
    /// The controller asks for a payment code; it is up.
    fn code(&self, store: &str) -> Coded {
        let request_id = new_request_id();
        let amount = if store == "indomaret" { 15_000 } else { 5_000 };
        self.request(&json!({"request_id": request_id, "item": "exit", "amount": amount, "payment": store, "timeout_s": 10}));
        let shown = self.wait_state(&request_id, EventState::AwaitingPayment);
        assert_eq!(shown.store.as_deref(), Some(store));
        assert_eq!(self.screen.payload(), None, "no QR beside it");
        let (order_id, code) = (shown.order_id.expect("an order").to_string(), shown.payment_code.expect("a code").to_string());
        Coded { request_id, order_id, code }
    }

    /// The same, once the customer took the code along.
    fn taken_along(&self, store: &str) -> Coded {
        let coded = self.code(store);
        self.wait_idle();
        coded
    }

    fn collectable(&self, store: &str) -> Coded {
        let coded = self.taken_along(store);
        self.midtrans.pay_at_counter(&coded.code);
        self.wait_state(&coded.request_id, EventState::AwaitingCollection);
        coded
    }

    /// The controller asks for the goods of a code.
    fn collect(&self, code: &str) {
        self.controller.publish("qrisd/v1/vm-001/vend/collect", &json!({"code": code}));
    }

    /// The same; the refusal that follows. Refusals of a request are told once a second, so that is waited for.
    fn collect_in_vain(&self, code: &str) -> VendEvent {
        thread_local! { static LAST: Cell<Option<Instant>> = const { Cell::new(None) } }
        // As the machine counts, which got the last one a little later.
        let second = |last: Instant| last.elapsed() > Duration::from_millis(1500);
        wait_for("a second to be over", || LAST.get().is_none_or(second).then_some(()));
        LAST.set(Some(Instant::now()));
        let from = self.tap.count();
        self.collect(code);
        self.tap
            .wait_event_from(from, "a refusal", |event| event.state == EventState::Refused && event.payment_code.as_deref() == Some(code))
    }

    fn collect_and_take(&self, coded: &Coded) {
        self.collect(&coded.code);
        self.wait_state(&coded.request_id, EventState::Dispensed);
        self.wait_outcome(&coded.order_id, "dispensed");
    }

    fn states(&self, request_id: &str) -> Vec<EventState> {
        let of = |event: &VendEvent| event.request_id.as_ref().is_some_and(|id| id.as_str() == request_id) && event.seq.is_some();
        self.tap.events().iter().filter(|event| of(event)).map(|event| event.state).collect()
    }
}

/// Its window is long enough to take a payment back in it, also on a slow computer.
fn fast_indomaret() -> Options {
    Options { midtrans: "charge_as = \"gopay\"\n[orders]\nreversal_window_s = 20\n".into(), ..Options::default() }
}

#[test]
fn a_code_is_paid_while_the_machine_sells_to_others_and_collected_once() {
    let shop = Shop::open(Options::default());
    let first = shop.taken_along("alfamart");
    let second = shop.taken_along("alfamart");
    shop.sell("A1", Via::Gopay);
    assert_eq!(shop.midtrans.status(&first.order_id), "pending", "nobody cancels it");
    shop.offer("A2");
    shop.midtrans.pay_at_counter(&first.code);
    shop.wait_state(&first.request_id, EventState::AwaitingCollection);
    assert_eq!(shop.collect_in_vain(&first.code).reason, Some(Reason::Busy));
    shop.pay(Via::Qris);
    shop.wait_idle();
    assert_eq!(shop.pulses(), 2, "nothing falls out when the money arrives");

    let grouped = format!("{} {}", &first.code[..4], &first.code[4..]);
    shop.collect(&grouped);
    shop.wait_state(&first.request_id, EventState::Dispensed);
    assert_eq!(shop.pulses(), 3);
    use EventState::{AwaitingCollection, AwaitingPayment, Dispensed, Dispensing, Paid, Requested};
    let wanted = [Requested, AwaitingPayment, AwaitingCollection, Paid, Dispensing, Dispensed];
    assert_eq!(shop.states(&first.request_id), wanted);
    shop.wait_outcome(&first.order_id, "dispensed");
    let used = shop.collect_in_vain(&first.code);
    assert_eq!((used.reason, used.field.as_deref()), (Some(Reason::UnknownRequest), Some("code")));
    assert!(used.detail.expect("why").contains("collected already"));
    let unpaid = shop.collect_in_vain(&second.code);
    assert_eq!(unpaid.reason, Some(Reason::UnknownRequest));
    assert!(unpaid.detail.expect("why").contains("not paid yet"));
    assert_eq!(shop.pulses(), 3);
    shop.check_books();
}

#[test]
fn the_machine_hears_with_the_code_how_long_it_can_be_collected() {
    let shop = Shop::open(Options { midtrans: "[orders]\ncollect_within_h = 5\n".into(), ..Options::default() });
    let coded = shop.code("alfamart");
    let orders = Connection::open(shop.path().join("qrisd.db")).expect("the machine's database");
    let body: String =
        orders.query_row("SELECT body FROM orders WHERE request_id = ?1", [&coded.request_id], |row| row.get(0)).expect("its order");
    let order: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(order["charge"]["collect_within"], 18_000_000, "{body}");
    shop.cancel(&coded.request_id);
    shop.wait_state(&coded.request_id, EventState::Cancelled);
    // A QR is not collected.
    let order_id = shop.order_id(&shop.offer("A1"));
    assert!(shop.order_at_backend(&order_id)["collect_within_s"].is_null());
}

#[test]
fn a_code_that_nobody_pays_expires_and_one_that_is_cancelled_is_told_so() {
    let shop = Shop::open(Options::default());
    let (expired, cancelled) = (shop.taken_along("alfamart"), shop.taken_along("alfamart"));
    shop.midtrans.end("expire", &expired.order_id);
    shop.wait_state(&expired.request_id, EventState::Expired);
    shop.cancel(&cancelled.request_id);
    let event = shop.wait_state(&cancelled.request_id, EventState::Cancelled);
    assert_eq!(event.reason, Some(Reason::Customer));
    assert_eq!(shop.midtrans.status(&cancelled.order_id), "cancel");
    for coded in [&expired, &cancelled] {
        let refused = shop.collect_in_vain(&coded.code);
        assert_eq!(refused.reason, Some(Reason::UnknownRequest));
        assert!(refused.detail.expect("why").contains("never paid"));
    }
    // Money for it all the same, long after: there is nobody to hand it to.
    shop.midtrans.pay_late(&cancelled.order_id);
    let due = shop.wait_state(&cancelled.request_id, EventState::RefundDue);
    assert_eq!(due.reason, Some(Reason::Late));
    shop.wait_outcome(&cancelled.order_id, "undelivered");
    assert_eq!(shop.order_at_backend(&cancelled.order_id)["refund"], "due");
    assert_eq!(shop.pulses(), 0);
    shop.check_books();
}

#[test]
fn wrong_codes_lead_to_a_pause_over_mqtt_alone_and_a_restart_does_not_end_it() {
    let mut shop = Shop::open(Options::default());
    let coded = shop.collectable("alfamart");
    for n in 0..5 {
        assert_eq!(shop.collect_in_vain(&format!("999900{n}")).reason, Some(Reason::WrongCode));
    }
    assert_eq!(shop.collect_in_vain("9999006").reason, Some(Reason::RateLimited));
    assert_eq!(shop.collect_in_vain(&coded.code).reason, Some(Reason::RateLimited), "nor is a right one told");
    shop.kill_qrisd();
    shop.start_qrisd();
    shop.wait_online();
    shop.qrisd.as_ref().expect("it runs").wait_line("the relay service answers");
    assert_eq!(shop.collect_in_vain(&coded.code).reason, Some(Reason::RateLimited));
    let caller = Caller::connect(&shop.bus.address);
    let collect = |code: &str| caller.device::<_, (String, String)>("Collect", &(code,)).expect("an answer");
    assert_eq!(collect("9999007"), ("refused".into(), "wrong_code".into()));
    assert_eq!(collect("???"), ("refused".into(), "malformed".into()));
    assert_eq!(collect(&coded.code), ("paid".into(), String::new()), "who types on the machine is not locked out");
    shop.wait_state(&coded.request_id, EventState::Dispensed);
    assert_eq!(collect(&coded.code), ("refused".into(), "unknown_request".into()));
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

#[test]
fn the_machine_is_rebooted_again_and_again_and_everything_waits_for_its_customer() {
    let mut shop = Shop::open(Options::default());
    let (paid, unpaid) = (shop.collectable("alfamart"), shop.taken_along("alfamart"));
    shop.kill_machine();
    // Paid while the machine is off.
    shop.midtrans.pay_at_counter(&unpaid.code);
    shop.wait_order(&unpaid.order_id, "settlement", |order| (order["status"] == "settlement").then_some(()));
    let _first = reboot(&mut shop);
    shop.wait_state(&unpaid.request_id, EventState::AwaitingCollection);
    assert_eq!(shop.pulses(), 0);
    shop.qrisd.as_ref().expect("it runs").wait_line("the relay service answers");

    // While the relay is asked, others are told to wait.
    shop.relayd.as_ref().expect("it runs").signal("STOP");
    shop.collect(&paid.code);
    assert_eq!(shop.collect_in_vain(&unpaid.code).reason, Some(Reason::Busy), "somebody is being served");
    shop.relayd.as_ref().expect("it runs").signal("CONT");
    shop.wait_state(&paid.request_id, EventState::Dispensed);
    shop.kill_machine();
    let _second = reboot(&mut shop);
    shop.wait_outcome(&paid.order_id, "dispensed");
    shop.qrisd.as_ref().expect("it runs").wait_line("the relay service answers");
    shop.collect_and_take(&unpaid);
    assert_eq!(shop.pulses(), 2);
    shop.check_books();
}

#[test]
fn indomaret_takes_a_payment_back_within_the_window_and_nothing_was_promised() {
    let shop = Shop::open(fast_indomaret());
    let (back, kept) = (shop.taken_along("indomaret"), shop.taken_along("indomaret"));
    shop.midtrans.pay_at_counter(&back.code);
    shop.midtrans.pay_at_counter(&kept.code);
    assert_eq!(shop.midtrans.status(&back.order_id), "settlement");
    shop.midtrans.end("reverse", &back.order_id);
    let denied = shop.wait_state(&back.request_id, EventState::Denied);
    assert_eq!(denied.reason, Some(Reason::Gateway));
    shop.wait_state(&kept.request_id, EventState::AwaitingCollection);
    assert_eq!(shop.collect_in_vain(&back.code).reason, Some(Reason::UnknownRequest));
    assert!(!shop.states(&back.request_id).contains(&EventState::AwaitingCollection));
    shop.collect_and_take(&kept);
    assert_eq!(shop.pulses(), 1);
}

#[test]
fn what_a_store_takes_back_before_the_collection_is_void_also_if_a_bank_takes_it_besides() {
    let shop = Shop::open(Options::default());
    let coded = shop.collectable("alfamart");
    let listed = |why: &str| {
        let arguments = ["orders", &format!("--attention={why}")];
        wait_for(why, || stdout(&shop.merchant(&arguments)).contains(&coded.order_id).then_some(()));
    };
    shop.midtrans.end("reverse", &coded.order_id);
    assert_eq!(shop.wait_state(&coded.request_id, EventState::Denied).reason, Some(Reason::Gateway));
    listed("reversed");
    shop.midtrans.set(&coded.order_id, "chargeback", false);
    listed("chargeback");
    let order = shop.order_at_backend(&coded.order_id);
    assert_eq!((&order["status"], &order["receipt"]), (&"deny".into(), &Value::Null));
    let books: Value = serde_json::from_str(&stdout(&shop.merchant(&["orders", "--json", &coded.order_id]))).expect("JSON");
    assert_eq!(books["state"], "void");
    assert_eq!(shop.collect_in_vain(&coded.code).reason, Some(Reason::UnknownRequest));
    assert_eq!(shop.pulses(), 0);
}

#[test]
fn qrisctl_asks_for_a_code_and_collects_with_it() {
    let shop = Shop::open(Options::default());
    let text = |output: std::process::Output| (output.status.code(), String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let vend = ["vend", "--device", "vm-001", "--item", "A1", "--payment", "alfamart", "--timeout-s", "10"];
    let (status, request_id) = text(shop.qrisctl(&vend));
    assert_eq!(status, Some(0));
    let shown = shop.wait_state(&request_id, EventState::AwaitingPayment);
    let code = shown.payment_code.expect("a code").to_string();
    assert_eq!(text(shop.qrisctl(&["collect", &code, "--device", "vm-001", "--wait"])).0, Some(1), "the code is still up: busy or unpaid");
    shop.midtrans.pay_at_counter(&code);
    shop.wait_state(&request_id, EventState::AwaitingCollection);
    let (status, told) = text(shop.qrisctl(&["collect", &code, "--device", "vm-001", "--wait"]));
    assert_eq!(status, Some(0), "{told}");
    let states: Vec<_> =
        told.lines().filter_map(|line| line.split(' ').find(|word| ["paid", "dispensing", "dispensed"].contains(word))).collect();
    assert_eq!(states, ["paid", "dispensing", "dispensed"]);
    let wrong = shop.qrisctl(&["collect", "1234", "--device", "vm-001", "--wait"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("no order here has this payment code"));
    assert_eq!(shop.qrisctl(&["collect", "not a code!", "--device", "vm-001"]).status.code(), Some(2));
    // On the machine itself.
    let second = shop.collectable("alfamart");
    let (status, told) = text(shop.qrisctl(&["collect", &second.code, "--bus", &shop.bus.address, "--json"]));
    assert_eq!((status, told.as_str()), (Some(0), "{\"state\":\"paid\"}"));
    shop.wait_state(&second.request_id, EventState::Dispensed);
    let again = shop.qrisctl(&["collect", &second.code, "--bus", &shop.bus.address]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("refused (unknown_request)"));
    assert_eq!(shop.pulses(), 2);
    shop.check_books();
}

#[test]
fn the_screen_shows_the_customers_page_beside_the_qr_where_it_is_wanted() {
    let mut shop = Shop::merchants_side();
    shop.edit(Program::Qrisd, |text| text.replace("[screen]\n", "[screen]\ndeeplink = true\n"));
    shop.start_machine();
    let request_id = shop.vend("A1");
    let shown = shop.wait_state(&request_id, EventState::AwaitingPayment);
    let order_id = shown.order_id.expect("an order").to_string();
    let order = shop.order_at_backend(&order_id);
    let mut wanted = [order["qr_payload"].as_str().expect("a QR").to_owned(), order["pay_url"].as_str().expect("a page").to_owned()];
    wanted.sort();
    watched::until(&shop.screen.path, "both codes on the screen", || {
        let mut codes = shop.screen.codes();
        codes.sort();
        (codes == wanted).then_some(())
    });
    shop.midtrans.pay(&order_id, Via::Gopay);
    shop.wait_state(&request_id, EventState::Dispensed);
    watched::until(&shop.screen.path, "a screen without codes", || shop.screen.codes().is_empty().then_some(()));
    shop.check_books();
}

/// The simulator reads `custom_expiry` as Midtrans does. A code that nobody pays keeps a piece of its slot for so long.
#[test]
fn a_code_ends_after_two_hours_or_as_the_merchant_wants() {
    for (said, minutes) in [("", 120), ("counter_expiry_min = 15\n", 15)] {
        let shop = Shop::open(Options { midtrans: format!("charge_as = \"gopay\"\n{said}"), ..Options::default() });
        let coded = shop.code("alfamart");
        let all = shop.midtrans.transactions();
        let charge = all.iter().find(|charge| charge["order_id"] == *coded.order_id).expect("its charge");
        let life = charge["expires_at_ms"].as_i64().expect("an end") - charge["made_at_ms"].as_i64().expect("a beginning");
        assert_eq!(life, minutes * 60_000, "{charge}");
    }
}

/// The store tells the payment minutes later. By then the gateway has called the code expired.
#[test]
fn a_code_that_was_paid_in_its_last_second_is_collected() {
    let shop = Shop::open(Options::default());
    let coded = shop.taken_along("alfamart");
    shop.midtrans.end("expire", &coded.order_id);
    shop.wait_state(&coded.request_id, EventState::Expired);
    shop.midtrans.pay_late(&coded.order_id);
    shop.wait_state(&coded.request_id, EventState::AwaitingCollection);
    shop.collect_and_take(&coded);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}
