//! The contents of the slots. They are counted before anything is driven, and nothing is sold that is not there.

use super::counter::{at_store, paid_at_store};
use super::rig::*;
use crate::words::{Asker, Counted, SlotSettings};
use qris_core::order::ids::ItemId;
use qris_core::order::ledger::Limits;
use qris_core::order::machine::RelayCall;
use qris_core::order::outcome::{CloseAnswer, DispenseAnswer, Outcome};
use qris_core::order::proof::RelayKey;
use qris_core::order::receipt::testing::key;
use qris_core::order::request::{Price, PriceList};
use qris_core::order::stock::{Change, Drives, NotChanged};
use qris_core::wire::orders::{OrderResource, Refund, Status, TakenOut};
use qris_core::wire::relay::{Driven, LineCondition, RelayLine};
use qris_core::wire::status::FaultCode;
use qris_core::wire::stock::{Slot, Stock};
use qris_host::events::Event as Journal;
use std::collections::BTreeMap;

pub(super) fn item(id: &str) -> ItemId {
    ItemId::new(id).expect("an item")
}

/// A slot that holds so many of these goods.
pub(super) fn slot_of(goods: &str, capacity: u32, low: u32) -> SlotSettings {
    SlotSettings { capacity, low, goods: item(goods), name: goods.into() }
}

fn report(effects: &[Effect]) -> Option<Stock> {
    let mut reports = effects.iter().filter_map(|effect| match effect {
        Effect::Publish { notice: Notice::Stock, payload, .. } => Some(serde_json::from_slice(payload).expect("a report")),
        _ => None,
    });
    let first = reports.next();
    assert!(reports.next().is_none(), "one at a time");
    first
}

impl Rig {
    /// A machine whose slot A1 holds ten. Nobody has counted.
    pub(super) fn with_slot() -> Self {
        let mut rig = Self::unlimited();
        rig.settings.slots = BTreeMap::from([(item("A1"), slot_of("A1", 10, 2))]);
        rig.facts.proof_key = Some(RelayKey::of(&key()).into());
        rig.cut_and_up(true);
        rig.settle_open();
        rig
    }

    /// The same, and so many are in it.
    pub(super) fn holding(n: u32) -> Self {
        let mut rig = Self::with_slot();
        rig.change(Change::Count, Some(n)).expect("counted");
        rig
    }

    pub(super) fn change(&mut self, change: Change, n: Option<u32>) -> Result<Counted, NotChanged> {
        self.change_of("A1", change, n)
    }

    pub(super) fn change_of(&mut self, id: &str, change: Change, n: Option<u32>) -> Result<Counted, NotChanged> {
        let asker = Asker { question: 90_000 + self.now.boot.0.unsigned_abs(), kind: crate::controller::dbus::KIND };
        let effects = self.on(Input::Requested(Request::Stock(Box::new((change, item(id), n))), asker));
        let told = |effect: &Effect| match effect {
            Effect::Reply(to, reply) if *to == asker => reply.stock,
            _ => None,
        };
        effects.iter().find_map(told).expect("an answer")
    }

    pub(super) fn slot(&self) -> Slot {
        self.machine.slots().remove(0)
    }

    pub(super) fn count(&self) -> Option<u32> {
        self.slot().count
    }

    /// The relay says how often it has driven the line, for orders and for tests.
    pub(super) fn driven(&mut self, orders: u64, tests: u64) {
        self.facts.driven = vec![Driven { item: item("A1"), drives: Drives { orders, tests } }];
        self.on(Input::RelayReported(self.facts.clone()));
    }

    pub(super) fn sells_one(&mut self, n: u8) {
        self.dispensing(n);
        self.delivered(n);
        self.after(11_000);
        self.announced();
    }
}

#[test]
fn one_is_taken_before_the_relay_is_asked_and_comes_back_only_if_it_was_not_driven() {
    // The outcome, the count, whether somebody must look, and how many nobody saw come out. What is uncertain is not over before the backend
    // has heard it.
    let table = [
        (Outcome::Dispensed, 4, false, 0),
        (Outcome::Failed, 4, true, 1),
        (Outcome::Uncertain, 4, false, 0),
        (Outcome::NotDriven, 5, false, 0),
    ];
    for (outcome, count, suspect, unseen) in table {
        let mut rig = Rig::holding(5);
        rig.offered(1);
        assert_eq!(rig.count(), Some(5), "a QR takes nothing");
        rig.pay(&receipt_of(1));
        assert_eq!((rig.count(), rig.relay(1)), (Some(4), Some(RelayCall::Dispense(receipt_of(1)))));
        // The power goes before the relay has answered.
        rig.cut_and_up(true);
        assert_eq!((rig.count(), rig.slot().unseen), (Some(4), 0), "it is on its way");
        rig.answer_relay(1, RelayAnswer::Dispense(DispenseAnswer::Ended(outcome)));
        let slot = rig.slot();
        assert_eq!((slot.count, slot.suspect, slot.unseen), (Some(count), suspect, unseen), "{outcome:?}");
    }
}

#[test]
fn a_miss_that_leaves_its_line_selling_is_no_reason_to_look() {
    for (misses_left, suspect) in [(2, false), (1, true), (0, true)] {
        let mut rig = Rig::holding(5);
        let limits = Limits { min: rp(1), step: None, max: None };
        rig.facts.lines =
            vec![RelayLine { name: "tray 1".into(), items: vec!["A1".into()], state: LineCondition::Ready, limits, misses_left }];
        rig.on(Input::RelayReported(rig.facts.clone()));
        rig.dispensing(1);
        rig.answer_relay(1, RelayAnswer::Dispense(DispenseAnswer::Ended(Outcome::Failed)));
        let slot = rig.slot();
        assert_eq!((slot.count, slot.suspect), (Some(4), suspect), "{misses_left}");
    }
}

#[test]
fn a_ticket_that_is_closed_gives_its_item_back() {
    let mut rig = Rig::holding(5);
    rig.dispensing(1);
    // It is too late for anybody.
    rig.after(601_000);
    rig.answer_relay(1, RelayAnswer::NoAnswer("it hangs".into()));
    rig.after(5_000);
    assert_eq!((rig.relay(1), rig.count()), (Some(RelayCall::Close(ticket(1))), Some(4)));
    rig.answer_relay(1, RelayAnswer::Close(CloseAnswer::Closed));
    assert_eq!((rig.announced().pop().as_deref(), rig.count()), (Some("refund_due(late)"), Some(5)));
}

#[test]
fn nothing_is_offered_that_is_not_there_or_that_is_promised() {
    let mut rig = Rig::holding(2);
    rig.sells_one(1);
    rig.offered(2);
    rig.message(Topic::VendCancel, r#"{"request_id":"r-2"}"#);
    rig.answer(2, order(OrderResource { over: false, ..resource(2, Status::Cancel) }));
    rig.after(11_000);
    rig.announced();
    rig.vend(3);
    assert_eq!(rig.announced(), ["refused(sold_out)"], "the QR that left the screen can still be paid");
    assert_eq!(rig.events.last().and_then(|event| event.field.as_deref()), Some("item"));
    rig.after(160_000);
    rig.answer(2, order(resource(2, Status::Cancel)));
    rig.closed(2);
    rig.announced();
    rig.sells_one(4);
    assert_eq!(rig.count(), Some(0));
    rig.vend(5);
    assert_eq!((rig.announced(), rig.slot().refused), (vec!["refused(sold_out)".into()], 2));
    rig.change(Change::Fill, None).expect("filled");
    rig.sells_one(6);
    assert_eq!(rig.count(), Some(9));
}

#[test]
fn the_screen_and_controllers_hear_what_is_sold_out() {
    let mut rig = Rig::holding(1);
    let sold_out = |rig: &mut Rig| rig.machine.all_sold_out();
    assert_eq!(sold_out(&mut rig), []);
    rig.sells_one(1);
    assert_eq!(sold_out(&mut rig), [item("A1")]);
    assert!(rig.scene.contains("not_sold: {A1: "), "{}", rig.scene);
    // The samples of the screen sell more than this one machine counts.
    let items = rig.settings.appearance.items.iter().map(|item| (item.id.clone(), slot_of(item.id.as_str(), 3, 0)));
    rig.settings.slots = items.collect();
    rig.cut_and_up(true);
    for id in rig.settings.slots.keys().cloned().collect::<Vec<_>>() {
        rig.change_of(id.as_str(), Change::Count, Some(0)).expect("counted");
    }
    assert!(rig.scene.contains("trouble: Some(SoldOut)"), "{}", rig.scene);
    rig.change(Change::Fill, None).expect("filled");
    assert!(rig.scene.contains("trouble: None"), "{}", rig.scene);
}

#[test]
fn what_did_not_come_out_is_not_offered_until_somebody_looks() {
    let mut rig = Rig::holding(5);
    rig.dispensing(1);
    rig.answer_relay(1, RelayAnswer::Dispense(DispenseAnswer::Ended(Outcome::Failed)));
    rig.after(130_000);
    rig.announced();
    rig.vend(2);
    assert_eq!(rig.announced(), ["refused(sold_out)"]);
    rig.change(Change::Give, Some(1)).expect("one is handed over");
    rig.vend(3);
    assert_eq!(rig.announced(), ["refused(sold_out)"]);
    rig.change(Change::Count, Some(3)).expect("somebody has looked");
    rig.sells_one(4);
}

#[test]
fn a_payment_that_finds_nothing_is_refunded_and_nothing_is_driven() {
    let mut rig = Rig::holding(1);
    rig.offered(1);
    rig.message(Topic::VendCancel, r#"{"request_id":"r-1"}"#);
    rig.answer(1, order(OrderResource { over: false, ..resource(1, Status::Cancel) }));
    rig.change(Change::Count, Some(0)).expect("somebody has looked");
    rig.announced();
    rig.pay(&receipt_of(1));
    assert_eq!((rig.announced(), rig.relay(1)), (vec!["refund_due(sold_out)".into()], Some(RelayCall::Close(ticket(1)))));
    rig.closed(1);
    assert_eq!(rig.count(), Some(0));
    assert!(matches!(rig.backend(1), Some(HttpCall::Tell(_, report)) if report.outcome.as_str() == "undelivered"), "{:?}", rig.backend(1));
    // The same after a reboot, when the backend says that it may still be delivered.
    let mut rig = Rig::holding(1);
    rig.offered(1);
    rig.cut_and_up(false);
    rig.pay(&receipt_of(1));
    rig.announced();
    assert_eq!(rig.change(Change::Count, Some(0)), Err(NotChanged::Busy), "a customer is there");
}

#[test]
fn a_code_of_an_empty_slot_is_good_until_the_slot_is_filled() {
    let mut rig = Rig::holding(2);
    rig.collectable(1);
    rig.change(Change::Count, Some(1)).expect("somebody has looked");
    rig.vend(2);
    assert_eq!(rig.announced(), ["refused(sold_out)"], "the last one is promised");
    rig.change(Change::Count, Some(0)).expect("somebody has looked");
    let collect = r#"{"code":"8127740588870501"}"#;
    rig.message(Topic::VendCollect, collect);
    assert_eq!((rig.announced(), rig.relay(1)), (vec!["refused(sold_out)".into()], None));
    rig.change(Change::Fill, None).expect("filled");
    let (_, effects) = rig.message(Topic::VendCollect, collect);
    let call = effects.iter().find_map(|effect| if let Effect::Backend(call, ..) = effect { Some(*call) } else { None });
    let effects = rig.on(Input::Backend(call.expect("the backend is asked"), request_id("r-1"), order(paid_at_store(1))));
    let call = effects.iter().find_map(|effect| if let Effect::Relay(call, ..) = effect { Some(*call) } else { None });
    rig.on(Input::Relay(call.expect("the relay is asked"), request_id("r-1"), RelayAnswer::Checked(Ok(()))));
    assert_eq!((rig.announced(), rig.count()), (vec!["paid".into(), "dispensing".into()], Some(9)));
}

#[test]
fn a_person_changes_a_slot_and_hears_what_is_in_it() {
    let mut rig = Rig::with_slot();
    assert_eq!(rig.change(Change::Give, Some(1)), Err(NotChanged::Unknown));
    assert_eq!(rig.change_of("exit", Change::Count, Some(1)), Err(NotChanged::NotCounted));
    assert_eq!(rig.change(Change::Count, Some(11)), Err(NotChanged::TooMany(11, 10)));
    assert_eq!(rig.change(Change::Count, Some(3)), Ok(Counted { before: None, after: 3 }));
    assert_eq!(rig.change(Change::Fill, Some(2)), Ok(Counted { before: Some(3), after: 5 }));
    rig.offered(1);
    assert_eq!(rig.change(Change::Fill, None), Err(NotChanged::Busy));
    rig.power_cut(true);
    assert_eq!(rig.count(), Some(5), "it is stored");
    let effects = {
        let mut rig = Rig::holding(4);
        rig.on(Input::Requested(
            Request::Stock(Box::new((Change::Fill, item("A1"), None))),
            Asker { question: 1, kind: crate::controller::dbus::KIND },
        ))
    };
    let told = effects.iter().any(
        |effect| matches!(effect, Effect::Journal(Journal::StockChanged { before: Some(4), after: 10, change, .. }) if **change == *"fill"),
    );
    assert!(told, "{effects:?}");
    // What it has driven by now finds out an older image of the database later.
    assert!(effects.iter().any(|effect| matches!(effect, Effect::ReadRelay)), "{effects:?}");
}

#[test]
fn a_machine_that_nobody_has_counted_sells_and_says_so() {
    let mut rig = Rig::with_slot();
    assert!(rig.machine.faults.has(FaultCode::Stock));
    rig.sells_one(1);
    assert_eq!((rig.count(), rig.slot().sold), (None, 0));
    rig.change(Change::Count, Some(4)).expect("counted");
    assert!(!rig.machine.faults.has(FaultCode::Stock));
    // More than the slot is said to hold now.
    rig.settings.slots = BTreeMap::from([(item("A1"), slot_of("A1", 3, 0))]);
    rig.cut_and_up(true);
    assert!(rig.machine.faults.has(FaultCode::Stock));
    assert_eq!(rig.count(), Some(4));
}

#[test]
fn a_test_takes_one_and_an_older_image_is_found_out() {
    let mut rig = Rig::with_slot();
    rig.driven(3, 1);
    rig.change(Change::Count, Some(10)).expect("counted");
    rig.driven(3, 1);
    assert_eq!(rig.count(), Some(10));
    rig.driven(3, 2);
    assert_eq!(rig.count(), Some(9), "a test");
    rig.sells_one(1);
    rig.driven(4, 2);
    assert_eq!(rig.count(), Some(8), "a sale of which it knows");
    // Three were sold, and an image from before them was put back.
    assert!(!rig.machine.faults.has(FaultCode::Stock));
    rig.driven(7, 2);
    assert_eq!(rig.count(), Some(5));
    assert!(rig.machine.faults.has(FaultCode::Stock), "it may have forgotten what people took out, also where its mark came along");
    rig.change(Change::Count, Some(5)).expect("counted");
    rig.driven(7, 2);
    assert!(!rig.machine.faults.has(FaultCode::Stock), "somebody has looked");
    // The word of another machine's relay counts nothing.
    rig.facts.device = qris_core::order::ids::DeviceId::new("vm-002").ok();
    rig.driven(9, 9);
    assert_eq!(rig.count(), Some(5));
}

#[test]
fn a_clock_that_jumps_moves_no_count_and_no_report() {
    let mut rig = Rig::holding(5);
    rig.after(1_000);
    let now = rig.now.wall;
    for wall in [Wall(0), Wall(now.0 + 400 * 86_400_000), now] {
        rig.now.wall = wall;
        assert!(report(&rig.after(1)).is_none(), "nothing has changed at {wall:?}");
        assert_eq!(rig.count(), Some(5));
    }
    // What has changed waits for a minute of the boot clock.
    rig.change(Change::Give, Some(1)).expect("taken out");
    for wall in [Wall(0), Wall(now.0 + 400 * 86_400_000)] {
        rig.now.wall = wall;
        assert!(report(&rig.after(1_000)).is_none(), "not yet at {wall:?}");
    }
    rig.now.wall = Wall(0);
    assert!(report(&rig.after(60_000)).is_some(), "a minute is over");
    rig.change(Change::Count, Some(5)).expect("counted");
    // A fill while nobody knows the time is told without one.
    rig.settings.tells_time = false;
    rig.now.wall = Wall(0);
    assert_eq!(rig.change(Change::Fill, Some(1)), Ok(Counted { before: Some(5), after: 6 }));
    assert_eq!(rig.slot().filled_at, None);
    rig.power_cut(true);
    assert_eq!((rig.count(), rig.slot().filled_at), (Some(6), None));
}

#[test]
fn what_lies_in_the_slots_is_told_once_a_minute_and_at_once_when_one_is_empty() {
    let mut rig = Rig::with_slot();
    let first = report(&{
        rig.on(Input::BrokerDown { reason: "x".into(), date_refusal: false, thrown_out: false });
        rig.on(Input::BrokerUp { refused: vec![] })
    })
    .expect("a new connection hears it");
    assert_eq!((first.slots.len(), first.slots[0].count), (1, None));
    let second = told_by_count(&mut rig, 3).expect("who has counted looks whether it is known");
    assert_eq!((second.number, second.slots[0].count, second.slots[0].low), (first.number + 1, Some(3), 2));
    rig.change(Change::Give, Some(1)).expect("taken out");
    assert!(report(&rig.after(50_000)).is_none(), "not yet");
    assert_eq!(report(&rig.after(10_000)).expect("a minute is over").slots[0].count, Some(2));
    assert!(report(&rig.after(300_000)).is_none(), "nothing has changed");
    rig.dispensing(1);
    rig.delivered(1);
    rig.after(11_000);
    rig.offered(2);
    let (_, effects) = rig.pay(&receipt_of(2));
    let empty = report(&effects).expect("at once");
    assert_eq!(empty.slots[0].count, Some(0));
    // After a new start it has another number, whatever it says.
    rig.delivered(2);
    rig.power_cut(true);
    let again = report(&rig.on(Input::BrokerUp { refused: vec![] })).expect("told again");
    assert!(again.number > empty.number);
}

/// What is told while somebody counts.
fn told_by_count(rig: &mut Rig, n: u32) -> Option<Stock> {
    let asker = Asker { question: 80_000 + rig.now.boot.0.unsigned_abs(), kind: crate::controller::dbus::KIND };
    report(&rig.on(Input::Requested(Request::Stock(Box::new((Change::Count, item("A1"), Some(n)))), asker)))
}

/// A thousand slots that somebody empties one by one are not a thousand messages with a thousand slots each.
#[test]
fn slots_that_become_empty_together_are_one_report_a_second() {
    let mut rig = Rig::with_slot();
    assert!(told_by_count(&mut rig, 1).is_some());
    rig.after(1_000);
    assert_eq!(told_by_count(&mut rig, 0).expect("at once").slots[0].count, Some(0));
    assert!(told_by_count(&mut rig, 1).is_none(), "a second is not over");
    assert!(report(&rig.after(1_000)).is_some());
    assert!(told_by_count(&mut rig, 0).is_none(), "a second is not over");
    assert!(report(&rig.after(999)).is_none());
    assert_eq!(report(&rig.after(1)).expect("a second is over").slots[0].count, Some(0));
}

fn fault(rig: &Rig) -> Option<String> {
    let fault = rig.machine.faults.all().find(|fault| fault.code == FaultCode::Stock)?;
    Some(fault.detail.to_string())
}

impl Rig {
    /// The machine is started with other settings.
    fn with_settings(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        self.cut_and_up(true);
        self.settle_open();
    }
}

#[test]
fn other_goods_do_not_keep_the_old_count() {
    let named = |settings: &mut Settings, name: &str| settings.slots.get_mut(&item("A1")).expect("a slot").name = name.into();
    let mut rig = Rig::with_slot();
    rig.with_settings(|settings| settings.appearance.items.iter_mut().for_each(|sold| sold.id_name = sold.id.as_str().into()));
    rig.change(Change::Count, Some(5)).expect("counted");
    rig.sells_one(1);
    // A price alone says nothing of the goods.
    rig.with_settings(|settings| settings.prices = PriceList::new([(item("A1"), Price::Fixed(rp(7000)))]));
    assert_eq!((rig.count(), fault(&rig)), (Some(4), None));
    rig.with_settings(|settings| named(settings, "Roti"));
    assert_eq!((rig.count(), fault(&rig)), (None, Some("nobody has counted A1".into())));
    // It is sold as what nobody has counted, and the old count does not come back with the old name.
    rig.with_settings(|settings| {
        settings.prices = PriceList::new([(item("A1"), Price::Fixed(rp(5000)))]);
        named(settings, "A1");
    });
    rig.sells_one(2);
    assert_eq!(rig.count(), None);
    rig.change(Change::Count, Some(3)).expect("counted");
    assert_eq!((rig.count(), fault(&rig)), (Some(3), None));
    // It is taken out of the price list, and brought back.
    let (slots, items) = (rig.settings.slots.clone(), rig.settings.appearance.items.clone());
    rig.with_settings(|settings| {
        settings.slots.clear();
        settings.appearance.items.retain(|sold| sold.id != item("A1"));
    });
    rig.with_settings(|settings| (settings.slots, settings.appearance.items) = (slots.clone(), items));
    assert_eq!(rig.count(), None);
    // What is not counted for a while is still there.
    rig.change(Change::Count, Some(3)).expect("counted");
    rig.with_settings(|settings| settings.slots.clear());
    rig.sells_one(3);
    rig.with_settings(|settings| settings.slots = slots);
    assert_eq!(rig.count(), Some(2));
}

#[test]
fn what_a_person_took_out_of_the_slot_is_taken_from_the_count_once() {
    let mut rig = Rig::holding(5);
    rig.dispensing(1);
    let told = |order: &str| TakenOut { order_id: order_id(order), request_id: request_id("r-1") };
    let hears = |rig: &mut Rig, order: &str| {
        rig.after(6_000);
        rig.message(Topic::PaymentUpdate, &format!(r#"{{"order_id":"{order}","rev":9,"status":"settlement"}}"#));
        rig.answer_taken_out(vec![], vec![told(order)]);
    };
    // It is too late for anybody.
    rig.after(601_000);
    rig.answer_relay(1, RelayAnswer::NoAnswer("it hangs".into()));
    rig.after(5_000);
    rig.answer_relay(1, RelayAnswer::Close(CloseAnswer::Closed));
    assert_eq!((rig.announced().pop().as_deref(), rig.count()), (Some("refund_due(late)"), Some(5)));
    rig.answer(1, order(OrderResource { rev: 3, ..resource(1, Status::Settlement) }));
    hears(&mut rig, "o-1");
    assert_eq!(rig.count(), Some(4));
    for same_boot in [true, false] {
        hears(&mut rig, "o-1");
        rig.cut_and_up(same_boot);
        hears(&mut rig, "o-1");
        assert_eq!(rig.count(), Some(4), "once");
    }
    // The person of another order, or of one that this machine does not know.
    rig.after(6_000);
    rig.message(Topic::PaymentUpdate, r#"{"order_id":"o-1","rev":9,"status":"settlement"}"#);
    rig.answer_taken_out(vec![], vec![TakenOut { order_id: order_id("o-9"), request_id: request_id("r-9") }]);
    assert_eq!(rig.count(), Some(4));
    rig.sells_one(2);
    assert_eq!(rig.count(), Some(3));
}

/// Its customer came while the machine was away for days, and a person took the goods out of the slot.
#[test]
fn what_was_taken_out_for_a_code_is_taken_from_the_count_once_the_machine_has_ended_the_order() {
    let told = || vec![TakenOut { order_id: order_id("o-1"), request_id: request_id("r-1") }];
    let mut rig = Rig::holding(2);
    rig.collectable(1);
    rig.on(Input::BrokerUp { refused: vec![] });
    rig.answer_taken_out(vec![], told());
    assert_eq!(rig.count(), Some(2), "its ticket is open");
    rig.answer(1, order(OrderResource { refund: Some(Refund::Given), ..paid_at_store(1) }));
    rig.closed(1);
    assert_eq!(rig.open(), None);
    rig.answer(1, order(OrderResource { refund: Some(Refund::Given), ..paid_at_store(1) }));
    rig.answer_taken_out(vec![], told());
    assert_eq!(rig.count(), Some(1));
    rig.after(6_000);
    rig.on(Input::BrokerUp { refused: vec![] });
    rig.answer_taken_out(vec![], told());
    assert_eq!(rig.count(), Some(1), "once");
}

#[test]
fn codes_of_the_former_goods_keep_their_pieces_of_the_new_ones() {
    let mut rig = Rig::holding(4);
    rig.collectable(1);
    rig.taken_along(2);
    rig.settings.slots.get_mut(&item("A1")).expect("a slot").name = "Roti".into();
    rig.cut_and_up(true);
    rig.answer_open(vec![paid_at_store(1), at_store(2, Status::Pending)]);
    assert_eq!(rig.count(), None, "nobody has counted them");
    rig.change(Change::Count, Some(3)).expect("counted");
    rig.sells_one(3);
    rig.vend(4);
    assert_eq!((rig.announced(), rig.count()), (vec!["refused(sold_out)".into()], Some(2)), "both are kept");
    rig.collected(1);
    assert_eq!(rig.count(), Some(1));
    rig.delivered(1);
    rig.after(11_000);
    rig.pay(&receipt_of(2));
    rig.announced();
    rig.collected(2);
    assert_eq!(rig.count(), Some(0));
}

/// The relay tells of a test after the slot has got other goods. The new count was made later, and knows it.
#[test]
fn a_test_of_the_former_goods_is_not_taken_from_the_new_count() {
    let mut rig = Rig::with_slot();
    rig.driven(3, 1);
    rig.change(Change::Count, Some(10)).expect("counted");
    rig.facts.driven = vec![Driven { item: item("A1"), drives: Drives { orders: 3, tests: 2 } }];
    rig.with_settings(|settings| settings.slots.get_mut(&item("A1")).expect("a slot").name = "Roti".into());
    assert_eq!(rig.count(), None);
    rig.change(Change::Count, Some(6)).expect("counted");
    rig.driven(3, 2);
    assert_eq!(rig.count(), Some(6));
    rig.driven(3, 3);
    assert_eq!(rig.count(), Some(5), "and one of these is");
}

#[test]
fn an_older_image_that_forgot_what_was_taken_out_is_a_fault_until_somebody_looks() {
    for (change, n) in [(Change::Count, 1), (Change::Give, 2)] {
        let mut rig = Rig::holding(5);
        rig.cut_and_up(true);
        let (live, image) = (rig.settings.store.clone(), rig.settings.store.with_extension("image"));
        std::fs::copy(&live, &image).expect("copied");
        rig.change(change, Some(n)).expect("changed");
        // No program has it while it is replaced. Its mark stays.
        rig.settings.store = live.with_extension("other");
        rig.power_cut(true);
        std::fs::copy(&image, &live).expect("put back");
        rig.settings.store = live;
        rig.cut_and_up(true);
        rig.settle_open();
        assert_eq!(rig.count(), Some(5), "{change}: nobody knows better");
        let said = fault(&rig).unwrap_or_default();
        assert!(said.contains("the database is older than it was") && said.ends_with("A1"), "{change}: {said}");
        rig.change(Change::Fill, Some(1)).expect("filled");
        rig.cut_and_up(false);
        assert!(fault(&rig).is_some(), "{change}: nobody has looked");
        rig.change(Change::Count, Some(3)).expect("counted");
        assert_eq!((fault(&rig), rig.count()), (None, Some(3)), "{change}");
    }
}

#[test]
fn a_ledger_that_is_an_older_image_is_a_fault_until_somebody_looks() {
    let mut rig = Rig::holding(5);
    rig.sells_one(1);
    rig.cut_and_up(true);
    rig.settle_open();
    assert_eq!((rig.count(), fault(&rig)), (Some(4), None), "it has what it drove");
    // A word that was read before the end of an order says nothing of the ledger. The first one of a relay does.
    rig.driven(0, 0);
    assert_eq!(fault(&rig), None);
    rig.cut_and_up(true);
    rig.settle_open();
    let said = fault(&rig).unwrap_or_default();
    assert!(said.contains("the relay's ledger is older than it was") && said.ends_with("A1"), "{said}");
    assert_eq!(rig.count(), Some(4), "the sums know better");
    // It counts on from there.
    rig.sells_one(2);
    rig.cut_and_up(true);
    rig.settle_open();
    assert_eq!((rig.count(), fault(&rig)), (Some(3), Some(said)));
    rig.change(Change::Count, Some(3)).expect("counted");
    assert_eq!(fault(&rig), None, "somebody has looked");
}
