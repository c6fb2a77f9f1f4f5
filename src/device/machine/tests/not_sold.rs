//! A slot that cannot sell says so everywhere: on the screen, to a press, at the open door, and to all who are told.

use super::rig::*;
use super::stock::item;
use qris_core::order::ledger::Limits;
use qris_core::order::reason::Reason;
use qris_core::order::request::Refusal;
use qris_core::order::stock::{Change, NotSold};
use qris_core::wire::orders::{Amounts, OpenOrders};
use qris_core::wire::relay::{LineCondition, RelayLine};

impl Rig {
    /// The relay says how the line of all items is.
    fn line_is(&mut self, state: LineCondition) {
        let limits = Limits { min: rp(1), step: None, max: None };
        self.facts.lines = vec![RelayLine { name: "tray 1".into(), items: vec!["*".into()], state, limits, misses_left: 1 }];
        self.on(Input::RelayReported(self.facts.clone()));
    }

    /// The backend says what it can charge.
    fn charges(&mut self, least: u64, most: u64) {
        self.machine.reconciliation.ask_open();
        self.on(Input::Woken);
        let call = self.open().expect("it asks");
        let amounts = [("gopay".into(), Amounts { min: least, max: most })].into();
        self.on(Input::Open(
            call,
            BackendAnswer::Open(OpenOrders { orders: Vec::new(), taken_out: Vec::new(), amounts, at_broker: false }),
        ));
    }

    fn fault(&self, code: FaultCode) -> Option<String> {
        self.machine.faults.all().find(|fault| fault.code == code).map(|fault| fault.detail.to_string())
    }
}

#[test]
fn a_blocked_slot_says_so_until_its_line_is_cleared_and_not_until_it_is_filled() {
    let mut rig = Rig::holding(3);
    let told = |rig: &Rig| (rig.slot().not_sold, rig.machine.all_not_sold().get(&item("A1")).copied());
    assert_eq!(told(&rig), (None, None));
    rig.line_is(LineCondition::Blocked);
    assert_eq!(told(&rig), (Some(NotSold::Blocked), Some(NotSold::Blocked)));
    // All items are of this line.
    assert!(rig.scene.starts_with("Idle { trouble: Some(LineBlocked), not_sold: {A1: Blocked"), "{}", rig.scene);
    assert!(
        rig.fault(FaultCode::LineBlocked).is_some_and(|detail| detail.starts_with("A1, ")),
        "it names the goods: {:?}",
        rig.machine.faults
    );
    rig.change(Change::Fill, None).expect("filled");
    assert_eq!((told(&rig), rig.count()), ((Some(NotSold::Blocked), Some(NotSold::Blocked)), Some(10)));
    rig.line_is(LineCondition::Ready);
    assert_eq!((told(&rig), rig.fault(FaultCode::LineBlocked)), ((None, None), None));
    assert_eq!(rig.scene, "Idle { trouble: None, not_sold: {} }");
}

#[test]
fn what_lacks_goods_and_is_blocked_is_blocked_first() {
    let mut rig = Rig::holding(0);
    assert_eq!(rig.slot().not_sold, Some(NotSold::SoldOut));
    rig.line_is(LineCondition::Blocked);
    assert_eq!(rig.slot().not_sold, Some(NotSold::Blocked));
    assert_eq!(rig.machine.all_sold_out(), [item("A1")], "its count stays what it is");
    rig.vend(1);
    assert_eq!(rig.announced(), ["refused(line_blocked)"]);
}

#[test]
fn the_page_at_the_open_door_names_the_line_that_is_still_blocked_and_the_way_out() {
    let mut rig = Rig::holding(3);
    rig.facts.service_switch = Some(true);
    rig.line_is(LineCondition::Blocked);
    rig.change(Change::Fill, None).expect("filled");
    assert!(rig.scene.contains("level: Blocked(Some(10))") && rig.scene.ends_with("by_switch: true }"), "{}", rig.scene);
    rig.line_is(LineCondition::Ready);
    assert!(rig.scene.contains("level: Good(10)"), "{}", rig.scene);
}

#[test]
fn the_screen_answers_a_press_that_is_refused() {
    let mut rig = Rig::holding(0);
    rig.press("A1");
    let answer = "Refused { goods: Goods { item: A1, description: None }, reason: SoldOut }";
    assert_eq!(rig.scene, answer);
    rig.after(4_999);
    assert_eq!(rig.scene, answer);
    rig.after(1);
    assert!(rig.scene.starts_with("Idle"), "{}", rig.scene);
    // The relay refuses it.
    let mut rig = Rig::unlimited();
    let effects = rig.press("A1");
    rig.prepare(&effects, Err(PrepareError::Refused(RelayError::Blocked, "".into())));
    assert!(rig.scene.ends_with("reason: LineBlocked }"), "{}", rig.scene);
    // A sale takes its place, and nobody's QR goes away for another one's press.
    rig.offered(2);
    rig.after(100);
    rig.press("A1");
    assert!(rig.scene.starts_with("Pay"), "{}", rig.scene);
    assert_eq!(rig.announced().last().map(String::as_str), Some("refused(busy)"));
    // What was paid before is on the screen again.
    rig.pay(&receipt_of(2));
    rig.delivered(2);
    rig.press("nothing");
    assert!(rig.scene.starts_with("Take"), "{}", rig.scene);
}

#[test]
fn a_price_that_no_charge_takes_is_refused_and_told() {
    let mut rig = Rig::holding(3);
    rig.charges(1, 50_000);
    assert_eq!((rig.slot().not_sold, rig.fault(FaultCode::Prices)), (None, None));
    rig.charges(5_001, 10_000_000);
    assert_eq!(rig.slot().not_sold, Some(NotSold::Price));
    assert!(rig.fault(FaultCode::Prices).is_some_and(|detail| detail.contains("Rp5.001 to Rp10.000.000")), "{:?}", rig.machine.faults);
    // At the open door nobody can mend it, and filling does not.
    rig.facts.service_switch = Some(true);
    rig.on(Input::RelayReported(rig.facts.clone()));
    assert!(rig.scene.contains("level: NotSold(Some(3))"), "{}", rig.scene);
    rig.facts.service_switch = Some(false);
    rig.on(Input::RelayReported(rig.facts.clone()));
    let (_, effects) = rig.vend(1);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Prepare(..))));
    assert_eq!(rig.announced(), ["refused(wrong_amount)"]);
    rig.charges(1, 10_000_000);
    rig.requested(2);
    assert!(matches!(rig.backend(2), Some(HttpCall::Create(_))));
}

#[test]
fn three_charges_that_are_refused_in_a_row_are_a_fault_whatever_refused_them() {
    let mut rig = Rig::unlimited();
    let rows = [(Reason::Malformed, false), (Reason::Gateway, false), (Reason::Store, false), (Reason::GrossAmount, true)];
    for (n, (reason, wanted)) in (1..).zip(rows) {
        rig.requested(n);
        rig.answer(n, BackendAnswer::Refused(Refusal::new(reason, "gopay takes Rp1 to Rp20000000")));
        assert_eq!(rig.machine.faults.has(FaultCode::Charges), wanted, "after {n}");
    }
}
