//! Two slots with the same goods: the fuller one is sold, and both are named.

use super::rig::*;
use super::stock::{item, slot_of};
use qris_core::order::ledger::Limits;
use qris_core::order::machine::RelayCall;
use qris_core::order::outcome::{DispenseAnswer, Outcome};
use qris_core::order::receipt::Receipt;
use qris_core::order::request::{Price, PriceList};
use qris_core::order::stock::Change;
use qris_core::wire::orders::{OrderResource, Status};
use qris_core::wire::relay::{LineCondition, RelayLine};
use qris_core::wire::status::Status as Told;
use std::collections::BTreeMap;

/// The slots A1 and A2 hold the same goods, B1 holds others.
const SLOTS: [(&str, &str); 3] = [("A1", "A1"), ("A2", "A1"), ("B1", "B1")];

impl Rig {
    /// A machine with two slots of the same goods. `None`: nobody has counted.
    fn with_two(counts: [Option<u32>; 2]) -> Self {
        let mut rig = Self::unlimited();
        let all = || SLOTS.map(|(id, goods)| (item(id), goods));
        rig.settings.prices = PriceList::new(all().map(|(item, _)| (item, Price::Fixed(rp(5000)))));
        rig.settings.slots = BTreeMap::from(all().map(|(item, goods)| (item, slot_of(goods, 10, 2))));
        rig.cut_and_up(true);
        rig.settle_open();
        for (id, count) in ["A1", "A2"].into_iter().zip(counts) {
            count.map(|count| rig.change_of(id, Change::Count, Some(count)).expect("counted"));
        }
        rig
    }

    /// Asks for this item. Answers with the slot for which the relay is asked, and with all effects.
    fn asks_for(&mut self, n: u8, id: &str) -> (Option<String>, Vec<Effect>) {
        let (_, effects) = self.message(Topic::VendRequest, &format!(r#"{{"request_id":"r-{n}","item":"{id}"}}"#));
        let slot = effects.iter().find_map(|effect| if let Effect::Prepare(_, item, _) = effect { Some(item.to_string()) } else { None });
        (slot, effects)
    }

    /// Sells from this slot to a customer who asks for that item.
    fn sells_of(&mut self, n: u8, asked: &str, slot: &str) {
        let (prepared, effects) = self.asks_for(n, asked);
        assert_eq!(prepared.as_deref(), Some(slot));
        self.prepare(&effects, Ok(ticket(n)));
        self.answer(n, order(of_slot(n, asked, slot)));
        self.pay(&receipt_for(n, slot));
        self.answer_relay(n, RelayAnswer::Dispense(DispenseAnswer::Ended(Outcome::Dispensed)));
        self.after(11_000);
        assert_eq!(self.announced().last().map(String::as_str), Some("dispensed"));
    }

    fn counts(&self) -> Vec<(String, Option<u32>)> {
        self.machine.slots().iter().map(|slot| (slot.item.to_string(), slot.count)).collect()
    }
}

fn of_slot(n: u8, asked: &str, slot: &str) -> OrderResource {
    OrderResource { item: item(slot), asked: (asked != slot).then(|| item(asked)), ..resource(n, Status::Pending) }
}

fn receipt_for(n: u8, slot: &str) -> Receipt {
    let claims = receipt_of(n).claims().clone();
    receipt(|mine| *mine = qris_core::order::receipt::Claims { item: item(slot), ..claims })
}

fn lines(a1: LineCondition, a2: LineCondition) -> Vec<RelayLine> {
    let line = |id: &str, state| RelayLine {
        name: id.into(),
        items: vec![id.into()],
        state,
        limits: Limits { min: rp(1), step: None, max: None },
        misses_left: 1,
    };
    vec![line("A1", a1), line("A2", a2)]
}

#[test]
fn the_fuller_slot_is_chosen_whose_line_is_free() {
    use LineCondition::{Blocked, Ready};
    type Row<'a> = (&'a str, [Option<u32>; 2], [LineCondition; 2], Option<&'a str>);
    let table: [Row; 15] = [
        ("A1", [Some(2), Some(1)], [Ready, Ready], Some("A1")),
        ("A1", [Some(1), Some(2)], [Ready, Ready], Some("A2")),
        ("A2", [Some(2), Some(1)], [Ready, Ready], Some("A1")),
        // Of equal ones it is the one that was asked for.
        ("A1", [Some(1), Some(1)], [Ready, Ready], Some("A1")),
        ("A2", [Some(1), Some(1)], [Ready, Ready], Some("A2")),
        ("A1", [Some(0), Some(1)], [Ready, Ready], Some("A2")),
        ("A1", [Some(0), Some(0)], [Ready, Ready], None),
        // Nobody knows what lies in one of them.
        ("A1", [None, Some(1)], [Ready, Ready], Some("A2")),
        ("A1", [None, Some(0)], [Ready, Ready], Some("A1")),
        ("A1", [Some(0), None], [Ready, Ready], Some("A2")),
        ("A2", [None, None], [Ready, Ready], Some("A2")),
        // Its line waits for a person.
        ("A1", [Some(2), Some(1)], [Blocked, Ready], Some("A2")),
        ("A1", [Some(2), None], [Blocked, Ready], Some("A2")),
        ("A1", [Some(2), Some(0)], [Blocked, Ready], Some("A1")),
        ("B1", [Some(0), Some(0)], [Ready, Ready], Some("B1")),
    ];
    for (asked, counts, [a1, a2], slot) in table {
        let mut rig = Rig::with_two(counts);
        rig.facts.lines = lines(a1, a2);
        rig.on(Input::RelayReported(rig.facts.clone()));
        assert_eq!(rig.asks_for(1, asked).0.as_deref(), slot, "{asked} {counts:?} {a1} {a2}");
        let refused = rig.machine.slots().iter().find(|slot| *slot.item.as_str() == *asked).map(|slot| slot.refused);
        assert!(slot.is_some() || refused == Some(1) && rig.announced() == ["refused(sold_out)"], "{asked}: {refused:?}");
    }
}

#[test]
fn a_sale_names_the_slot_that_was_asked_for_and_the_one_that_is_driven() {
    let mut rig = Rig::with_two([Some(1), Some(2)]);
    let (slot, effects) = rig.asks_for(1, "A1");
    assert_eq!(slot.as_deref(), Some("A2"));
    rig.prepare(&effects, Ok(ticket(1)));
    let Some(HttpCall::Create(new)) = rig.backend(1) else { panic!("{:?}", rig.backend(1)) };
    assert_eq!((new.purchase.item, new.purchase.asked), (item("A2"), Some(item("A1"))));
    let event = rig.events.last().expect("an event");
    assert_eq!((event.item.clone(), event.asked.clone()), (Some(item("A2")), Some(item("A1"))));
    // It is chosen once: what is filled meanwhile changes nothing, and the power may go.
    rig.answer(1, order(of_slot(1, "A1", "A2")));
    rig.cut_and_up(true);
    rig.announced();
    assert_eq!(rig.asks_for(1, "A1").0, None, "the same request is the same order");
    assert_eq!(rig.announced(), ["awaiting_payment"]);
    assert_eq!(rig.asks_for(1, "A2").0, None);
    assert_eq!(rig.announced(), ["refused(reused_id)"], "it was asked for another slot");
    rig.pay(&receipt_of(1));
    assert!(!matches!(rig.relay(1), Some(RelayCall::Dispense(_))), "the ticket is not of the slot that was asked for");
    rig.pay(&receipt_for(1, "A2"));
    assert_eq!(rig.relay(1), Some(RelayCall::Dispense(receipt_for(1, "A2"))));
    assert_eq!(rig.counts()[..2], [("A1".into(), Some(1)), ("A2".into(), Some(1))]);
}

#[test]
fn one_is_sold_while_the_other_is_empty_and_only_both_are_sold_out() {
    let mut rig = Rig::with_two([Some(2), Some(1)]);
    let out = |rig: &Rig| rig.machine.all_sold_out();
    for (n, slot) in [(1, "A1"), (2, "A2"), (3, "A1")] {
        assert_eq!(out(&rig), [], "{n}");
        // The second time both have one, and it is asked for the second one.
        rig.sells_of(n, if n == 2 { "A2" } else { "A1" }, slot);
    }
    assert_eq!(out(&rig), [item("A1"), item("A2")]);
    assert!(rig.scene.contains("not_sold: {A1: SoldOut, A2: SoldOut}"), "{}", rig.scene);
    assert_eq!(rig.asks_for(4, "A2").0, None);
    assert_eq!(rig.announced(), ["refused(sold_out)"]);
    let refused: Vec<_> = rig.machine.slots().iter().map(|slot| slot.refused).collect();
    assert_eq!(refused[..2], [0, 1], "it counts where it was asked for");
    rig.change_of("A1", Change::Fill, None).expect("filled");
    assert_eq!(out(&rig), []);
    rig.sells_of(5, "A2", "A1");
}

#[test]
fn what_did_not_come_out_of_one_is_sold_from_the_other() {
    let mut rig = Rig::with_two([Some(3), Some(1)]);
    let (_, effects) = rig.asks_for(1, "A1");
    rig.prepare(&effects, Ok(ticket(1)));
    rig.answer(1, order(of_slot(1, "A1", "A1")));
    rig.pay(&receipt_of(1));
    rig.answer_relay(1, RelayAnswer::Dispense(DispenseAnswer::Ended(Outcome::Failed)));
    rig.after(130_000);
    rig.announced();
    assert_eq!(rig.machine.all_sold_out(), []);
    rig.sells_of(2, "A1", "A2");
    assert_eq!(rig.machine.all_sold_out(), [item("A1"), item("A2")]);
}

#[test]
fn an_order_that_the_machine_has_lost_comes_back_with_both_names() {
    let mut rig = Rig::with_two([Some(1), Some(2)]);
    rig.cut_and_up(true);
    rig.answer_open(vec![OrderResource {
        item: item("A2"),
        asked: Some(item("A1")),
        receipt: Some(receipt_for(1, "A2").jws().into()),
        ..settled(1, 3)
    }]);
    let event = rig.events.last().expect("it is taken up");
    assert_eq!((event.item.clone(), event.asked.clone()), (Some(item("A2")), Some(item("A1"))), "{event:?}");
    rig.announced();
    assert_eq!(rig.asks_for(1, "A1").0, None);
    assert!(!rig.announced().contains(&"refused(reused_id)".to_owned()));
}

fn told(effects: &[Effect]) -> Vec<Told> {
    let status = |effect: &Effect| match effect {
        Effect::Publish { notice: Notice::Status, payload, .. } => Some(serde_json::from_slice(payload).expect("a status")),
        _ => None,
    };
    effects.iter().filter_map(status).collect()
}

#[test]
fn the_status_says_what_is_sold_out_and_one_sale_makes_no_storm_of_it() {
    let mut rig = Rig::with_two([Some(1), Some(0)]);
    let (_, mut effects) = rig.asks_for(1, "A1");
    let prepared = rig.prepare(&effects, Ok(ticket(1)));
    effects.extend(prepared);
    effects.extend(rig.answer(1, order(of_slot(1, "A1", "A1"))));
    effects.extend(rig.pay(&receipt_of(1)).1);
    effects.extend(rig.answer_relay(1, RelayAnswer::Dispense(DispenseAnswer::Ended(Outcome::Dispensed))));
    effects.extend(rig.after(11_000));
    effects.extend(rig.on(Input::Requested(Request::Stock(Box::new((Change::Fill, item("A2"), None))), ON_BOARD)));
    let all: Vec<_> = told(&effects).into_iter().map(|told| (told.busy == Some(true), told.sold_out.expect("a list").len())).collect();
    // The last one is promised as soon as there is an order.
    assert_eq!(all, [(true, 0), (true, 2), (false, 2), (false, 0)]);
}

#[test]
fn a_code_is_given_for_the_slot_in_which_it_has_room() {
    let mut rig = Rig::with_two([Some(3), Some(2)]);
    rig.taken_along(1);
    let asks = |rig: &mut Rig, n: u8| {
        let effects = rig.vend_at_store(n);
        effects.iter().find_map(|effect| if let Effect::Prepare(_, item, _) = effect { Some(item.to_string()) } else { None })
    };
    assert_eq!(asks(&mut rig, 2).as_deref(), Some("A2"), "two are left in each, and A1 keeps one for a code already");
}
