//! Somebody fills the machine at its open door, by its buttons.

use super::rig::*;
use qris_core::order::machine::RelayCall;
use qris_core::order::outcome::Outcome;
use qris_core::order::reason::Reason;
use qris_core::order::stock::Change;

const IDLE: &str = "Idle { trouble: None, not_sold: {} }";

impl Rig {
    fn switch(&mut self, is_on: bool) {
        self.facts.service_switch = Some(is_on);
        self.on(Input::RelayReported(self.facts.clone()));
    }

    /// A machine that somebody fills, with ten places in A1; `None`: nobody has counted.
    fn filled(count: Option<u32>) -> Self {
        let mut rig = count.map_or_else(Self::with_slot, Self::holding);
        rig.switch(true);
        assert!(rig.scene.starts_with("Filling"), "{}", rig.scene);
        rig
    }

    pub(super) fn press(&mut self, item: &str) -> Vec<Effect> {
        let name = format!("p-{}", self.now.boot.0);
        let request = sale(&format!(r#"{{"request_id":"{name}","item":"{item}"}}"#));
        let asker = Asker { question: 80_000, kind: crate::controller::buttons::KIND };
        self.on(Input::Requested(Request::Pressed(request), asker))
    }

    fn release(&mut self, item: &str) -> Vec<Effect> {
        self.on(Input::Released(ItemId::new(item).expect("an item")))
    }

    /// Presses the button of A1 for this time.
    fn hold_down(&mut self, milliseconds: i64) -> Vec<Effect> {
        self.press("A1");
        self.after(milliseconds);
        self.release("A1")
    }
}

/// What became of the slot, by the journal.
fn changes(effects: &[Effect]) -> Vec<(String, Option<i64>, i64, String)> {
    let change = |effect: &Effect| match effect {
        Effect::Journal(Journal::StockChanged { change, before, after, by, .. }) => {
            Some((change.to_string(), *before, *after, by.to_string()))
        }
        _ => None,
    };
    effects.iter().filter_map(change).collect()
}

#[test]
fn a_short_press_fills_and_a_button_that_is_held_counts() {
    let table = [
        (Some(4), 0, "Filling(6)", Change::Fill, 10),
        (Some(4), 999, "Filling(6)", Change::Fill, 10),
        // It begins with what is known, so it can say that this is right.
        (Some(4), 1_000, "Counting(4)", Change::Count, 4),
        (Some(4), 1_499, "Counting(4)", Change::Count, 4),
        (Some(4), 1_500, "Counting(5)", Change::Count, 5),
        (Some(4), 4_000, "Counting(10)", Change::Count, 10),
        (Some(4), 4_500, "Counting(0)", Change::Count, 0),
        (Some(4), 9_500, "Counting(10)", Change::Count, 10),
        (Some(0), 1_000, "Counting(0)", Change::Count, 0),
        (None, 400, "Counting(10)", Change::Fill, 10),
        (None, 1_000, "Counting(0)", Change::Count, 0),
        (None, 2_100, "Counting(2)", Change::Count, 2),
    ];
    for (count, held, shown, change, after) in table {
        let mut rig = Rig::filled(count);
        rig.press("A1");
        let told = changes(&rig.after(held));
        assert!(rig.scene.contains(&format!("level: {shown} }}], pressed: Some(A1)")), "{held}: {}", rig.scene);
        assert_eq!((told, rig.count()), (vec![], count), "nothing before it is let go");
        let effects = rig.release("A1");
        let wanted = (change.as_str().to_owned(), count.map(i64::from), i64::from(after), "somebody at the open door".to_owned());
        assert_eq!((changes(&effects), rig.count()), (vec![wanted], Some(after)), "{count:?} {held}");
        rig.power_cut(true);
        assert_eq!(rig.count(), Some(after), "it is stored");
    }
}

/// The owner may look at the clock late. The number that counts is the one that a person saw.
#[test]
fn the_number_on_the_panel_is_the_one_that_is_counted() {
    let mut rig = Rig::filled(Some(4));
    rig.press("A1");
    rig.after(2_000);
    assert!(rig.scene.contains("Counting(6)"), "{}", rig.scene);
    rig.now.boot = rig.now.boot + Span::millis(900);
    rig.release("A1");
    assert_eq!(rig.count(), Some(6));
    assert!(rig.scene.contains("level: Good(6) }], pressed: Some(A1)"), "{}", rig.scene);
}

#[test]
fn the_panel_tells_the_level_of_each_slot() {
    let mut rig = Rig::holding(3);
    rig.dispensing(1);
    rig.answer_relay(1, RelayAnswer::Dispense(DispenseAnswer::Ended(Outcome::Failed)));
    rig.switch(true);
    assert!(rig.scene.contains("capacity: 10, level: Suspect(2)"), "{}", rig.scene);
    rig.hold_down(200);
    assert!(rig.scene.contains("level: Good(10)") && !rig.slot().suspect, "somebody has looked: {}", rig.scene);
    for (count, level) in [(2, "Low(2)"), (0, "Empty")] {
        rig.change(Change::Count, Some(count)).expect("counted");
        assert!(rig.scene.contains(level), "{}", rig.scene);
    }
}

#[test]
fn nothing_is_sold_while_the_page_is_open_and_the_machine_sells_when_it_is_closed() {
    let mut rig = Rig::filled(Some(4));
    assert_eq!(rig.machine.hold.holder(), Some("filling"));
    rig.vend(1);
    assert_eq!(rig.announced(), ["refused(updating)"]);
    rig.hold_down(100);
    assert_eq!((rig.announced(), rig.count()), (vec![], Some(10)), "its button asks for nothing");
    rig.switch(false);
    assert_eq!(rig.scene, IDLE);
    let effects = rig.press("A1");
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Prepare(..))), "now it does");
    assert_eq!(changes(&rig.release("A1")), []);
}

#[test]
fn a_customer_is_served_to_the_end_before_it_opens() {
    let mut rig = Rig::holding(4);
    rig.offered(1);
    rig.on(Input::ClearPressed(true));
    rig.switch(true);
    assert!(rig.scene.starts_with("Pay"), "{}", rig.scene);
    rig.pay(&receipt_of(1));
    assert_eq!(rig.relay(1), Some(RelayCall::Dispense(receipt_of(1))));
    rig.delivered(1);
    assert!(rig.scene.starts_with("Filling"), "the switch opens it when he has gone: {}", rig.scene);
    // The held button does not.
    let mut rig = Rig::holding(4);
    rig.dispensing(1);
    rig.on(Input::ClearPressed(true));
    rig.delivered(1);
    assert!(rig.scene.starts_with("Take"), "{}", rig.scene);
    rig.on(Input::ClearPressed(true));
    assert!(rig.scene.starts_with("Filling"), "{}", rig.scene);
    // Turned off again before he has gone.
    let mut rig = Rig::holding(4);
    rig.dispensing(1);
    rig.switch(true);
    rig.switch(false);
    rig.delivered(1);
    assert!(rig.scene.starts_with("Take"), "{}", rig.scene);
}

#[test]
fn a_payment_that_comes_late_is_refunded_while_it_is_open() {
    let mut rig = Rig::holding(4);
    rig.offered(1);
    rig.after(120_000);
    rig.answer(1, gone());
    rig.after(15_000);
    rig.announced();
    rig.switch(true);
    rig.pay(&receipt_of(1));
    assert_eq!((rig.announced(), rig.relay(1)), (vec!["refund_due(late)".into()], Some(RelayCall::Close(ticket(1)))));
    rig.closed(1);
    assert_eq!(rig.count(), Some(4));
}

#[test]
fn it_closes_after_two_minutes_without_a_press() {
    let mut rig = Rig::filled(Some(4));
    rig.after(119_000);
    rig.hold_down(500);
    rig.after(119_000);
    assert!(rig.scene.starts_with("Filling"), "{}", rig.scene);
    rig.after(1_000);
    assert_eq!(rig.scene, IDLE, "the switch is still on, and nobody is there");
    rig.on(Input::RelayReported(rig.facts.clone()));
    rig.on(Input::RelayDown("it begins anew".into()));
    rig.facts.service_switch = None;
    rig.on(Input::RelayUp(rig.facts.clone()));
    rig.switch(true);
    assert_eq!(rig.scene, IDLE, "it was on before");
    rig.switch(false);
    rig.switch(true);
    assert!(rig.scene.starts_with("Filling"), "{}", rig.scene);
    // A restart knows no more of it.
    rig.after(120_000);
    rig.cut_and_up(true);
    assert!(rig.scene.starts_with("Filling"), "{}", rig.scene);
}

#[test]
fn the_clear_button_opens_it_and_closes_it() {
    let mut rig = Rig::holding(4);
    rig.on(Input::ClearPressed(false));
    assert_eq!(rig.scene, IDLE, "a short press clears, and opens nothing");
    rig.on(Input::ClearPressed(true));
    assert!(rig.scene.starts_with("Filling"), "{}", rig.scene);
    rig.on(Input::ClearPressed(true));
    assert!(rig.scene.starts_with("Filling"), "{}", rig.scene);
    rig.on(Input::ClearPressed(false));
    assert_eq!(rig.scene, IDLE);
}

/// The page itself says that a blocked line wants that press.
#[test]
fn a_press_that_clears_a_line_sells_nothing_while_the_switch_is_on() {
    let mut rig = Rig::holding(4);
    rig.switch(true);
    rig.after(100_000);
    rig.on(Input::ClearPressed(false));
    assert!(rig.scene.starts_with("Filling"), "{}", rig.scene);
    rig.after(100_000);
    assert!(rig.scene.starts_with("Filling"), "it is a press as others are: {}", rig.scene);
    rig.switch(false);
    assert_eq!(rig.scene, IDLE);
}

#[test]
fn a_button_that_sticks_or_that_nobody_hears_any_more_changes_nothing() {
    let mut rig = Rig::filled(Some(4));
    rig.press("A1");
    for _ in 0..240 {
        rig.after(500);
    }
    assert_eq!(rig.scene, IDLE, "it does not keep the machine");
    assert_eq!((changes(&rig.release("A1")), rig.count()), (vec![], Some(4)));
    // It was pressed before the page was opened, or let go after it was closed.
    rig.switch(false);
    rig.on(Input::ClearPressed(true));
    assert_eq!(changes(&rig.release("A1")), []);
    rig.press("A1");
    rig.on(Input::ClearPressed(false));
    rig.on(Input::ClearPressed(true));
    assert_eq!(changes(&rig.release("A1")), []);
    // The relay service ends.
    rig.press("A1");
    rig.after(1_500);
    rig.on(Input::RelayDown("it ends".into()));
    assert!(rig.scene.contains("Good(4)"), "{}", rig.scene);
    rig.bring_up();
    assert_eq!(changes(&rig.release("A1")), []);
    // The power goes.
    rig.press("A1");
    rig.after(3_000);
    rig.cut_and_up(true);
    assert_eq!((changes(&rig.release("A1")), rig.count()), (vec![], Some(4)));
}

#[test]
fn what_cannot_be_stored_is_not_shown_and_the_page_comes_back_with_the_database() {
    let mut rig = Rig::filled(Some(4));
    let held = super::stores::lock(&rig);
    assert_eq!(changes(&rig.hold_down(300)), []);
    assert_eq!((rig.scene.as_str(), rig.count()), ("Idle { trouble: Some(Store), not_sold: {} }", Some(4)));
    drop(held);
    rig.after(2_000);
    assert!(rig.scene.contains("Good(4)"), "{}", rig.scene);
    rig.hold_down(300);
    assert_eq!(rig.count(), Some(10));
}

#[test]
fn of_two_buttons_at_once_the_later_one_counts() {
    let mut rig = Rig::with_slot();
    let item = |id: &str| ItemId::new(id).expect("an item");
    rig.settings.slots.insert(item("A2"), super::stock::slot_of("A2", 3, 0));
    rig.cut_and_up(true);
    rig.switch(true);
    rig.press("A1");
    rig.after(1_100);
    rig.press("A2");
    rig.after(300);
    assert_eq!(changes(&rig.release("A1")), []);
    assert_eq!(changes(&rig.release("A2")).len(), 1);
    let counts: Vec<_> = rig.machine.slots().iter().map(|slot| slot.count).collect();
    assert_eq!(counts, [None, Some(3)]);
    // An item that nobody counts has no place on the page.
    rig.press("exit");
    assert_eq!(changes(&rig.release("exit")), []);
}

#[test]
fn it_waits_for_whoever_holds_the_machine_and_others_wait_for_it() {
    let mut rig = Rig::holding(4);
    rig.holds("apt");
    rig.switch(true);
    rig.on(Input::ClearPressed(true));
    assert_eq!(rig.scene, "Idle { trouble: Some(Updating), not_sold: {} }");
    rig.asks(Request::Release("apt".into()));
    assert!(rig.scene.starts_with("Filling"), "{}", rig.scene);
    assert_eq!(rig.holds("apt"), Some(Reason::Updating));
    rig.switch(false);
    assert_eq!(rig.holds("apt"), None);
}

#[test]
fn a_machine_that_counts_nothing_has_no_page() {
    let mut rig = Rig::new();
    rig.switch(true);
    rig.on(Input::ClearPressed(true));
    assert_eq!(rig.scene, IDLE);
    rig.requested(1);
}

#[test]
fn a_press_that_changes_nothing_says_so() {
    let mut rig = Rig::holding(5);
    rig.dispensing(1);
    // Its item is on its way while the ticket is being closed.
    rig.after(601_000);
    rig.answer_relay(1, RelayAnswer::NoAnswer("it hangs".into()));
    rig.switch(true);
    assert!(rig.scene.starts_with("Filling") && rig.scene.contains("is_refused: false"), "{}", rig.scene);
    assert_eq!(changes(&rig.hold_down(300)), []);
    assert!(rig.scene.contains("Good(4) }], pressed: Some(A1), is_refused: true"), "{}", rig.scene);
    rig.closed(1);
    rig.press("A1");
    assert!(rig.scene.contains("is_refused: false"), "another press: {}", rig.scene);
    assert_eq!(changes(&rig.release("A1")).len(), 1);
    assert!(rig.scene.contains("Good(10) }], pressed: Some(A1), is_refused: false"), "{}", rig.scene);
    // The page is opened before the relay service has told its facts.
    rig.power_cut(true);
    rig.on(Input::ClearPressed(true));
    assert_eq!(changes(&rig.hold_down(300)), []);
    assert!(rig.scene.contains("is_refused: true"), "{}", rig.scene);
}
