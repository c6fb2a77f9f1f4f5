//! Another try at what did not come: offered, pressed, driven, refused, and over.

mod presses;

use super::counter::{at_store, code, paid_at_store};
use super::rig::*;
use super::stock::{item, slot_of};
use qris_core::order::ledger::Limits;
use qris_core::order::machine::RelayCall;
use qris_core::order::outcome::{CloseAnswer, Delivery, Outcome};
use qris_core::order::reason::Reason;
use qris_core::order::receipt::{Claims, Receipt};
use qris_core::order::request::{Price, PriceList, Refusal};
use qris_core::order::stock::Change;
use qris_core::order::tries::{Try, TryNumber};
use qris_core::wire::orders::{OrderResource, OutcomeReport, Refund, Status, TakenOut};
use qris_core::wire::relay::{LineCondition, RelayLine};
use std::collections::BTreeMap;

fn second() -> TryNumber {
    TryNumber::FIRST.next().expect("2")
}

fn reported(outcome: Delivery) -> OutcomeReport {
    OutcomeReport { nth_try: TryNumber::FIRST, outcome, reason: None, detail: None, proof: None }
}

/// The books know that nothing came of the first try, and offer another one for so many seconds.
fn nothing_came(n: u8, try_again_s: u64) -> OrderResource {
    OrderResource { outcome: Some(reported(Delivery::Failed)), refund: Some(Refund::Due), try_again_s: Some(try_again_s), ..settled(n, 9) }
}

/// The receipt of the second try, for this item.
fn receipt_2(n: u8, of: &str, price: u64) -> Receipt {
    let first = receipt_of(n).claims().clone();
    let nth = Try::Again { number: second(), after: ticket(n) };
    receipt(|claims| *claims = Claims { ticket: ticket(n + 100), nth, item: item(of), amount: rp(price), ..first })
}

/// The books at the second try.
fn at_second(n: u8, of: &str, price: u64) -> OrderResource {
    let receipt = receipt_2(n, of, price);
    OrderResource { rev: 4, ticket: ticket(n + 100), nth_try: second(), receipt: Some(receipt.jws().into()), ..settled(n, 12) }
}

pub(super) fn line(id: &str, state: LineCondition) -> RelayLine {
    let limits = Limits { min: rp(1), step: None, max: None };
    RelayLine { name: format!("tray {id}").into(), items: vec![id.into()], state, limits, misses_left: 1 }
}

impl Rig {
    /// A machine with three goods at three prices. Those of A1 and A2 are counted.
    fn with_prices() -> Self {
        let mut rig = Self::unlimited();
        rig.settings.prices =
            PriceList::new([("A1", 5000), ("A2", 3000), ("B1", 9000)].map(|(id, price)| (item(id), Price::Fixed(rp(price)))));
        rig.settings.slots = BTreeMap::from(["A1", "A2"].map(|id| (item(id), slot_of(id, 10, 2))));
        rig.facts.lines = ["A1", "A2", "B1"].map(|id| line(id, LineCondition::Ready)).to_vec();
        rig.cut_and_up(true);
        rig.settle_open();
        for id in ["A1", "A2"] {
            rig.change_of(id, Change::Count, Some(5)).expect("counted");
        }
        rig
    }

    /// A sale whose goods the sensor did not see.
    fn fails(&mut self, n: u8) {
        self.dispensing(n);
        self.answer_relay(n, RelayAnswer::Dispense(DispenseAnswer::Ended(Outcome::Failed)));
    }

    /// The backend offers another try.
    fn offers_again(n: u8) -> Self {
        Self::with_prices().offering_again(n)
    }

    /// The same, on a machine that counts nothing.
    fn offers_again_uncounted(n: u8) -> Self {
        let mut rig = Self::with_prices();
        rig.settings.slots.clear();
        rig.cut_and_up(true);
        rig.settle_open();
        rig.offering_again(n)
    }

    fn offering_again(self, n: u8) -> Self {
        let mut rig = self;
        rig.fails(n);
        rig.answer(n, order(nothing_came(n, 86_000)));
        assert!(rig.scene.starts_with("TryAgain"), "{}", rig.scene);
        rig.announced();
        rig
    }

    /// Asks for a second try as a controller far away.
    fn asks_again(&mut self, n: u8, id: &str) -> Vec<Effect> {
        self.message(Topic::VendRequest, &format!(r#"{{"request_id":"r-{n}","item":"{id}","try":2}}"#)).1
    }

    /// Presses, reads whose order it is, and presses once more.
    fn press_twice(&mut self, id: &str) -> Vec<Effect> {
        self.press(id);
        self.after(1_500);
        self.press(id)
    }

    /// The next customer.
    fn asks_for_b1(&mut self) -> Vec<Effect> {
        self.message(Topic::VendRequest, r#"{"request_id":"r-77","item":"B1"}"#).1
    }

    fn promise(&mut self, n: u8, effects: &[Effect]) -> Vec<Effect> {
        self.answer_again(effects, Ok((ticket(n + 100), "the promise".into())))
    }

    fn answer_again(&mut self, effects: &[Effect], answer: Result<(Ticket, Box<str>), PrepareError>) -> Vec<Effect> {
        let call = prepared(effects).expect("the relay is asked for another ticket").0;
        self.on(Input::PreparedAgain(call, answer))
    }

    /// A second try whose receipt the backend is asked for.
    fn tries_again(n: u8, id: &str) -> Self {
        let mut rig = Self::offers_again(n);
        let effects = rig.press_twice(id);
        rig.promise(n, &effects);
        assert_eq!(rig.backend(n), Some(HttpCall::TryAgain(order_id(&format!("o-{n}")), "the promise".into())));
        rig
    }

    fn left(&self) -> Vec<Option<u32>> {
        self.machine.slots().iter().map(|slot| slot.count).collect()
    }
}

/// What the relay is asked for another ticket: the call, the item, its price, the try, and the ticket before.
fn prepared(effects: &[Effect]) -> Option<(CallId, String, u64, u32, Ticket)> {
    effects.iter().find_map(|effect| match effect {
        Effect::PrepareAgain(call, item, amount, again) => {
            Some((*call, item.to_string(), amount.get(), again.number.get(), again.after.clone()))
        }
        _ => None,
    })
}

fn sells_anew(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Prepare(..)))
}

#[test]
fn nothing_came_and_it_comes_at_the_second_try() {
    let mut rig = Rig::offers_again(1);
    // Somebody must look at A1 first.
    assert!(rig.scene.contains("same: false, up_to: Some(Rupiah(5000)), is_later: false"), "{}", rig.scene);
    assert_eq!(rig.left(), [Some(4), Some(5)]);
    let effects = rig.press_twice("A2");
    let (_, of, price, number, after) = prepared(&effects).expect("the relay is asked");
    assert_eq!((&*of, price, number, after), ("A2", 3000, 2, ticket(1)));
    assert!(rig.scene.starts_with("Dispensing"), "{}", rig.scene);
    rig.promise(1, &effects);
    assert_eq!(rig.announced(), ["trying_again"]);
    assert!(rig.scene.starts_with("Dispensing"), "{}", rig.scene);
    assert_eq!(rig.left(), [Some(4), Some(5)], "it is kept, and lies there");
    rig.answer(1, order(at_second(1, "A2", 3000)));
    assert_eq!(rig.relay(1), Some(RelayCall::Dispense(receipt_2(1, "A2", 3000))));
    assert_eq!(rig.left(), [Some(4), Some(4)]);
    rig.on(Input::Unseen(order_id("o-1"), TryNumber::FIRST));
    rig.on(Input::Finished(order_id("o-1"), TryNumber::FIRST, DispenseAnswer::Ended(Outcome::Uncertain)));
    assert!(rig.scene.starts_with("Dispensing"), "a word about the first try says nothing of the second");
    rig.on(Input::Unseen(order_id("o-1"), second()));
    assert!(rig.scene.starts_with("NotSeen"), "{}", rig.scene);
    rig.on(Input::Finished(order_id("o-1"), second(), DispenseAnswer::Ended(Outcome::Dispensed)));
    assert!(rig.scene.starts_with("Take"), "{}", rig.scene);
    rig.delivered(1);
    rig.after(2_000);
    let Some(HttpCall::Tell(_, report)) = rig.backend(1) else { panic!("the backend is told") };
    assert_eq!((report.outcome, report.nth_try), (Delivery::Dispensed, second()));
    rig.answer(1, order(OrderResource { outcome: Some(reported(Delivery::Dispensed)), ..at_second(1, "A2", 3000) }));
    assert_eq!(rig.announced(), ["dispensing", "dispensed"]);
    let last = rig.events.last().expect("an event");
    assert_eq!((last.number_of_try, last.item.as_ref(), last.amount), (Some(second()), Some(&item("A2")), Some(rp(5000))));
    assert_eq!(rig.left(), [Some(4), Some(4)]);
    let sums = rig.machine.storage.store().expect("a database").tally().all();
    assert_eq!((sums.dispensed, sums.dispensed_amount, sums.refund_due), (1, 5000, 0), "it is sold, once");
    rig.after(11_000);
    assert!(rig.scene.starts_with("Idle"), "{}", rig.scene);
}

#[test]
fn it_is_offered_to_the_customer_who_is_there_and_to_nobody_else() {
    let offered = |change: &dyn Fn(&mut Rig), resource: OrderResource| {
        let mut rig = Rig::with_prices();
        rig.fails(1);
        change(&mut rig);
        rig.answer(1, order(resource));
        rig.scene.starts_with("TryAgain")
    };
    assert!(offered(&|_| {}, nothing_came(1, 5)));
    assert!(!offered(&|_| {}, nothing_came(1, 0)));
    assert!(!offered(&|_| {}, OrderResource { try_again_s: None, ..nothing_came(1, 5) }), "a backend that offers none");
    // Its screen is gone: so is the customer.
    assert!(!offered(&|rig| drop(rig.after(121_000)), nothing_came(1, 5)));
    let another = |rig: &mut Rig| drop(rig.asks_for_b1());
    assert!(!offered(&another, nothing_came(1, 5)));
    assert!(!offered(&|rig| rig.cut_and_up(false), nothing_came(1, 5)), "nobody knows how long the power was off");
}

#[test]
fn the_offer_ends_with_its_time_and_with_whatever_else_is_wanted() {
    type Act = fn(&mut Rig);
    let table: [(&str, Act); 7] = [
        ("its time", |rig| drop(rig.after(60_000))),
        ("the next request", |rig| drop(rig.asks_for_b1())),
        ("other goods that cost more", |rig| assert!(sells_anew(&rig.press("B1")))),
        ("a cancel", |rig| drop(rig.message(Topic::VendCancel, r#"{"request_id":"r-1"}"#))),
        ("a clear", |rig| drop(rig.on(Input::ClearPressed(false)))),
        ("a restart", |rig| rig.cut_and_up(true)),
        ("somebody who looks after it", |rig| drop(rig.on(Input::Requested(Request::Hold("me".into(), Span::secs(60)), ON_BOARD)))),
    ];
    for (what, act) in table {
        let mut rig = Rig::offers_again(1);
        rig.after(59_999 - 1);
        assert!(rig.scene.starts_with("TryAgain"), "{}", rig.scene);
        let mut rig = Rig::offers_again(1);
        act(&mut rig);
        assert!(!rig.scene.starts_with("TryAgain"), "{what}: {}", rig.scene);
        rig.announced();
        assert!(prepared(&rig.asks_again(1, "A2")).is_none(), "{what}");
        let told = rig.announced();
        assert!(["refused(late)", "refused(busy)", "refused(updating)"].contains(&&*told.concat()), "{what}: {told:?}");
    }
}

#[test]
fn a_controller_names_the_order_and_the_try_and_may_repeat_itself() {
    let mut rig = Rig::offers_again(1);
    for (text, refused) in [
        (r#"{"request_id":"r-9","item":"A2","try":2}"#, "refused(unknown_request)"),
        (r#"{"request_id":"r-1","item":"A2","try":3}"#, "refused(late)"),
        (r#"{"request_id":"r-1","item":"B1","try":2}"#, "refused(wrong_amount)"),
        (r#"{"request_id":"r-1","item":"A1","try":2}"#, "refused(sold_out)"),
        (r#"{"request_id":"r-1","item":"C1","try":2}"#, "refused(unknown_item)"),
    ] {
        rig.after(1001);
        let (ack, effects) = rig.message(Topic::VendRequest, text);
        assert_eq!((prepared(&effects), rig.announced().concat().as_str(), rig.is_acked(ack)), (None, refused, true), "{text}");
    }
    let effects = rig.asks_again(1, "A2");
    let again = rig.asks_again(1, "A2");
    assert!(prepared(&effects).is_some() && prepared(&again).is_none());
    rig.promise(1, &effects);
    assert_eq!(rig.announced(), ["trying_again"]);
    rig.asks_again(1, "A2");
    assert_eq!(rig.announced(), ["trying_again"], "its last event, once more");
    rig.answer(1, order(at_second(1, "A2", 3000)));
    rig.delivered(1);
    rig.announced();
    assert!(prepared(&rig.asks_again(1, "A2")).is_none());
    assert_eq!(rig.announced(), ["dispensed"]);
}

#[test]
fn the_relay_has_its_own_rule() {
    let refuse = |error| PrepareError::Refused(error, "why".into());
    for (answer, is_offered, told) in [
        (refuse(RelayError::NoTry), false, "refused(relay)"),
        (refuse(RelayError::Busy), true, "refused(busy)"),
        (refuse(RelayError::Blocked), true, "refused(line_blocked)"),
        (PrepareError::NoAnswer("nobody".into()), true, "refused(relay)"),
    ] {
        let mut rig = Rig::offers_again(1);
        let effects = rig.press_twice("A2");
        rig.answer_again(&effects, Err(answer));
        assert_eq!(rig.scene.starts_with("TryAgain"), is_offered, "{told}: {}", rig.scene);
        assert_eq!(rig.announced().concat(), told);
    }
    // Its answer is lost. When it comes after all, its ticket is closed.
    let mut rig = Rig::offers_again(1);
    let effects = rig.press_twice("A2");
    rig.after(5_000);
    assert!(rig.scene.starts_with("TryAgain"), "{}", rig.scene);
    let late = rig.promise(1, &effects);
    assert_eq!(closes(&late), [ticket(101)]);
}

#[test]
fn the_backend_makes_no_receipt_and_the_money_goes_back() {
    for answer in [
        BackendAnswer::Refused(Refusal::new(Reason::Late, "no other try")),
        BackendAnswer::Refused(Refusal::new(Reason::RateLimited, "too many")),
        BackendAnswer::Absent,
    ] {
        let mut rig = Rig::tries_again(1, "A2");
        let effects = rig.answer(1, answer);
        assert_eq!(closes(&effects), [ticket(101)]);
        assert_eq!(rig.announced().last().map(String::as_str), Some("refund_due(failed)"));
        assert!(rig.scene.starts_with("RefundDue"), "{}", rig.scene);
        assert!(rig.machine.orders.ids().is_empty());
        assert_eq!(rig.left(), [Some(4), Some(5)]);
    }
    // No answer: it may be signed. So it is closed first, and then told.
    let mut rig = Rig::tries_again(1, "A2");
    rig.answer(1, gone());
    rig.after(15_000);
    assert!(rig.scene.starts_with("RefundDue"), "{}", rig.scene);
    assert_eq!(rig.relay(1), Some(RelayCall::Close(ticket(101))));
    rig.closed(1);
    let told = |rig: &Rig| match rig.backend(1) {
        Some(HttpCall::Tell(_, report)) => Some((report.outcome, report.nth_try.get())),
        _ => None,
    };
    assert_eq!(told(&rig), Some((Delivery::Undelivered, 2)));
    // The books have no such try, and know the first one's end.
    rig.answer(1, BackendAnswer::OtherOutcome);
    assert!(rig.machine.orders.ids().is_empty() && rig.scene.starts_with("RefundDue"));
    assert_eq!(rig.left(), [Some(4), Some(5)]);
    // It was signed all the same: the backend asks for the end.
    rig.on(Input::BrokerDown { reason: "gone".into(), date_refusal: false, thrown_out: false });
    rig.on(Input::BrokerUp { refused: vec![] });
    rig.answer_open(vec![at_second(1, "A2", 3000)]);
    assert_eq!(told(&rig), Some((Delivery::Undelivered, 2)));
}

/// Its customer waits in vain, or goes, or the power: the books know of no second try, and offer it once more.
fn given_up(ends: impl FnOnce(&mut Rig)) -> Rig {
    let mut rig = Rig::tries_again(1, "A2");
    ends(&mut rig);
    assert_eq!(rig.relay(1), Some(RelayCall::Close(ticket(101))));
    rig.closed(1);
    assert!(matches!(rig.backend(1), Some(HttpCall::Tell(_, report)) if report.nth_try == second()));
    rig.answer(1, order(nothing_came(1, 86_000)));
    rig.announced();
    rig
}

fn gets_no_answer(rig: &mut Rig) {
    rig.answer(1, gone());
    rig.after(15_000);
}

/// The receipt of the second try with the ticket that was promised for it at last.
fn at_last() -> (Receipt, OrderResource) {
    let receipt = receipt(|claims| *claims = Claims { ticket: ticket(201), ..receipt_2(1, "A2", 3000).claims().clone() });
    let jws = receipt.jws().into();
    (receipt, OrderResource { ticket: ticket(201), receipt: Some(jws), ..at_second(1, "A2", 3000) })
}

/// A press begins it anew, with another ticket, and the goods come.
fn comes_at_last(mut rig: Rig, effects: &[Effect]) {
    let (_, item, _, number, after) = prepared(effects).expect("the relay is asked for another ticket");
    assert_eq!((item.as_str(), number, after), ("A2", 2, ticket(1)));
    rig.answer_again(effects, Ok((ticket(201), "the promise".into())));
    assert!(matches!(rig.backend(1), Some(HttpCall::TryAgain(..))));
    let (receipt, books) = at_last();
    rig.answer(1, order(books));
    // Of an order of an earlier boot the backend is asked whether it may still be delivered.
    if let Some(HttpCall::Get(_)) = rig.backend(1) {
        rig.answer(1, order(at_last().1));
    }
    assert_eq!(rig.relay(1), Some(RelayCall::Dispense(receipt)));
    rig.delivered(1);
    assert_eq!(rig.announced().last().map(String::as_str), Some("dispensed"));
    assert_eq!(rig.left(), [Some(4), Some(4)]);
}

#[test]
fn a_try_that_got_no_receipt_is_begun_once_more() {
    let mut rig = given_up(gets_no_answer);
    assert!(rig.scene.starts_with("TryAgain"), "{}", rig.scene);
    let effects = rig.press_twice("A2");
    comes_at_last(rig, &effects);
    let mut rig = given_up(gets_no_answer);
    let effects = rig.asks_again(1, "A2");
    comes_at_last(rig, &effects);
    // As long as it is not offered, the same request is answered with the last event.
    let mut rig = given_up(gets_no_answer);
    rig.after(60_000);
    assert!(prepared(&rig.asks_again(1, "A2")).is_none());
    assert_eq!(rig.announced(), ["refund_due(late)"]);
    // It was signed after all that: its ticket is closed, and the books hear that once more.
    let mut rig = given_up(gets_no_answer);
    rig.on(Input::BrokerDown { reason: "gone".into(), date_refusal: false, thrown_out: false });
    rig.on(Input::BrokerUp { refused: vec![] });
    rig.answer_open(vec![at_second(1, "A2", 3000)]);
    assert!(matches!(rig.backend(1), Some(HttpCall::Tell(_, report)) if report.nth_try == second()));
}

#[test]
fn who_cancels_a_try_is_not_asked_once_more_and_may_ask_on_the_page() {
    let mut rig = given_up(|rig| drop(rig.message(Topic::VendCancel, r#"{"request_id":"r-1"}"#)));
    assert!(rig.scene.starts_with("RefundDue"), "{}", rig.scene);
    rig.message(Topic::PaymentUpdate, r#"{"order_id":"o-1","rev":7,"status":"settlement"}"#);
    rig.answer_open(vec![OrderResource { try_wanted_s: Some(300), ..nothing_came(1, 86_000) }]);
    // The end of its own order does not stand in its way.
    assert!(rig.scene.starts_with("TryAgain") && rig.scene.contains("is_later: true"), "{}", rig.scene);
    let effects = rig.press_twice("A2");
    comes_at_last(rig, &effects);
}

#[test]
fn a_power_cut_ends_a_try_and_its_customer_may_ask_again() {
    // The press is not seen again.
    let mut rig = given_up(|rig| rig.cut_and_up(false));
    assert!(rig.scene.starts_with("RefundDue"), "{}", rig.scene);
    rig.message(Topic::PaymentUpdate, r#"{"order_id":"o-1","rev":7,"status":"settlement"}"#);
    rig.answer_open(vec![OrderResource { try_wanted_s: Some(300), ..nothing_came(1, 86_000) }]);
    assert!(rig.scene.starts_with("TryAgain"), "{}", rig.scene);
    let effects = rig.press_twice("A2");
    comes_at_last(rig, &effects);
    // The program alone: its customer waits.
    let mut rig = Rig::tries_again(1, "A2");
    rig.cut_and_up(true);
    assert!(matches!(rig.backend(1), Some(HttpCall::TryAgain(..))));
    rig.answer(1, order(at_second(1, "A2", 3000)));
    assert_eq!(rig.relay(1), Some(RelayCall::Dispense(receipt_2(1, "A2", 3000))));
}

#[test]
fn an_older_database_hears_of_a_try_that_it_does_not_know() {
    let mut rig = Rig::offers_again(1);
    rig.on(Input::BrokerDown { reason: "gone".into(), date_refusal: false, thrown_out: false });
    rig.on(Input::BrokerUp { refused: vec![] });
    rig.answer_open(vec![at_second(1, "A2", 3000)]);
    assert_eq!(rig.relay(1), Some(RelayCall::Close(ticket(101))));
    rig.answer_relay(1, RelayAnswer::Close(CloseAnswer::Ended(Outcome::Dispensed)));
    let Some(HttpCall::Tell(_, report)) = rig.backend(1) else { panic!("the backend is told") };
    assert_eq!((report.outcome, report.nth_try), (Delivery::Dispensed, second()));
    assert_eq!(rig.left(), [Some(4), Some(4)], "it has left its slot");
}

#[test]
fn after_two_misses_in_a_row_somebody_looks_first() {
    let mut rig = Rig::with_prices();
    rig.settings.slots.clear();
    rig.cut_and_up(true);
    rig.settle_open();
    let ends = |rig: &mut Rig, n: u8, outcome: Outcome| {
        rig.dispensing(n);
        rig.answer_relay(n, RelayAnswer::Dispense(DispenseAnswer::Ended(outcome)));
        let told = if outcome == Outcome::Failed { nothing_came(n, 86_000) } else { settled(n, 9) };
        rig.answer(n, order(told));
        let is_offered = rig.scene.starts_with("TryAgain");
        rig.after(121_000);
        is_offered
    };
    assert!(ends(&mut rig, 1, Outcome::Failed));
    assert!(!ends(&mut rig, 2, Outcome::Failed));
    // Across a restart, too.
    rig.cut_and_up(true);
    rig.settle_open();
    assert!(!ends(&mut rig, 3, Outcome::Failed));
    rig.on(Input::Cleared);
    assert!(ends(&mut rig, 4, Outcome::Failed), "somebody has looked");
    // One that a sensor saw counts, too.
    ends(&mut rig, 5, Outcome::Dispensed);
    assert!(ends(&mut rig, 6, Outcome::Failed));
    assert!(!ends(&mut rig, 7, Outcome::Failed));
}

/// What is done after two misses.
type Done = (&'static str, fn(&mut Rig));

#[test]
fn nothing_but_a_look_ends_two_misses() {
    let looks: [Done; 6] = [
        ("a line was cleared", |rig| drop(rig.on(Input::Cleared))),
        ("the clear button", |rig| drop(rig.on(Input::ClearPressed(false)))),
        ("fill", |rig| _ = rig.change_of("A2", Change::Fill, None).expect("filled")),
        ("fill 1", |rig| _ = rig.change_of("A2", Change::Fill, Some(1)).expect("filled")),
        ("count", |rig| _ = rig.change_of("A2", Change::Count, Some(2)).expect("counted")),
        ("set", |rig| _ = rig.change_of("A2", Change::Set, Some(2)).expect("set")),
    ];
    let others: [Done; 4] = [
        ("give", |rig| _ = rig.change_of("A2", Change::Give, Some(1)).expect("given")),
        ("the relay tells its facts", |rig| drop(rig.on(Input::RelayReported(rig.facts.clone())))),
        ("a restart", |rig| rig.cut_and_up(true)),
        ("a sale", |rig| {
            rig.settle_open();
            rig.dispensing(9);
            rig.answer_relay(9, RelayAnswer::Dispense(DispenseAnswer::Ended(Outcome::Dispensed)));
            rig.answer(9, order(settled(9, 9)));
            rig.after(121_000);
        }),
    ];
    let table = looks.iter().map(|done| (done, true)).chain(others.iter().map(|done| (done, false)));
    for ((name, done), is_look) in table {
        let mut rig = Rig::with_prices();
        rig.settings.slots.remove(&item("A1"));
        rig.cut_and_up(true);
        rig.settle_open();
        for n in [1, 2] {
            rig.fails(n);
            rig.answer(n, order(nothing_came(n, 86_000)));
            rig.after(121_000);
        }
        done(&mut rig);
        rig.settle_open();
        rig.fails(3);
        rig.answer(3, order(nothing_came(3, 86_000)));
        assert_eq!(rig.scene.starts_with("TryAgain"), is_look, "{name}: {}", rig.scene);
    }
}

#[test]
fn who_asks_on_the_page_gets_a_turn_at_the_machine() {
    let wish = |s| OrderResource { try_wanted_s: Some(s), ..nothing_came(1, 86_000) };
    let mut rig = Rig::offers_again_uncounted(1);
    rig.after(121_000);
    assert!(rig.scene.starts_with("Idle"), "{}", rig.scene);
    // Another customer is served first.
    rig.offered(2);
    rig.message(Topic::PaymentUpdate, r#"{"order_id":"o-1","rev":7,"status":"settlement"}"#);
    assert!(rig.open().is_some(), "the hint is followed");
    rig.answer_open(vec![wish(300)]);
    assert!(rig.scene.starts_with("Pay"), "{}", rig.scene);
    rig.pay(&receipt_of(2));
    rig.delivered(2);
    rig.answer(2, order(settled(2, 3)));
    assert!(rig.scene.starts_with("Take"), "{}", rig.scene);
    rig.after(10_000);
    assert!(rig.scene.starts_with("TryAgain") && rig.scene.contains("is_later: true"), "{}", rig.scene);
    rig.after(59_999);
    let effects = rig.press_twice("A2");
    rig.promise(1, &effects);
    rig.answer(1, order(at_second(1, "A2", 3000)));
    assert_eq!(rig.relay(1), Some(RelayCall::Dispense(receipt_2(1, "A2", 3000))));
    // Who does not come in time asks once more, and does not wait for strangers' hints.
    let mut rig = Rig::offers_again_uncounted(1);
    rig.after(121_000);
    for _ in 0..2 {
        rig.after(6_000);
        rig.message(Topic::PaymentUpdate, r#"{"order_id":"o-1","rev":7,"status":"settlement"}"#);
        assert!(rig.open().is_some(), "the hint is followed");
        rig.answer_open(vec![wish(300)]);
        assert!(rig.scene.starts_with("TryAgain"), "{}", rig.scene);
        rig.after(60_001);
        assert!(rig.scene.starts_with("Idle"), "{}", rig.scene);
    }
    let mut rig = Rig::offers_again_uncounted(1);
    rig.after(121_000);
    rig.offered(2);
    rig.message(Topic::PaymentUpdate, r#"{"order_id":"o-1","rev":7,"status":"settlement"}"#);
    rig.answer_open(vec![wish(20)]);
    rig.after(21_000);
    rig.message(Topic::VendCancel, r#"{"request_id":"r-2"}"#);
    rig.answer(2, order(OrderResource { rev: 9, ..resource(2, Status::Cancel) }));
    rig.after(11_000);
    assert!(rig.scene.starts_with("Idle"), "{}", rig.scene);
}

#[test]
fn without_the_broker_the_backend_is_asked_for_wishes_while_a_try_is_offered() {
    let mut rig = Rig::offers_again_uncounted(1);
    rig.after(121_000);
    rig.after(60_000);
    assert!(rig.open().is_none(), "the broker would bring it");
    let gone = || Input::BrokerDown { reason: "gone".into(), date_refusal: false, thrown_out: false };
    rig.on(gone());
    rig.after(20_000);
    assert!(rig.open().is_some());
    rig.answer_open(vec![]);
    rig.after(20_000);
    assert!(rig.open().is_some());
    rig.answer_open(vec![OrderResource { try_wanted_s: Some(300), ..nothing_came(1, 86_000) }]);
    assert!(rig.scene.starts_with("TryAgain"), "{}", rig.scene);
    // Started again, it asks all the same.
    rig.cut_and_up(true);
    rig.on(gone());
    rig.settle_open();
    rig.after(20_000);
    assert!(rig.open().is_some());
    rig.answer_open(vec![]);
    rig.after(86_000_000);
    rig.settle_open();
    rig.after(20_000);
    assert!(rig.open().is_none(), "nothing is offered any more");
}

/// The backend tells of a wish for ten minutes, as often as it is asked.
#[test]
fn a_wish_is_on_the_screen_once() {
    let mut rig = Rig::offers_again_uncounted(1);
    rig.after(121_000);
    let hears = |rig: &mut Rig, s| {
        rig.after(6_000);
        rig.message(Topic::PaymentUpdate, r#"{"order_id":"o-1","rev":7,"status":"settlement"}"#);
        assert!(rig.open().is_some(), "the hint is followed");
        rig.answer_open(vec![OrderResource { try_wanted_s: Some(s), ..nothing_came(1, 86_000) }]);
        rig.scene.starts_with("TryAgain")
    };
    assert!(hears(&mut rig, 600));
    // Who presses on the page while it is there has 60 s more.
    rig.after(44_000);
    assert!(hears(&mut rig, 600));
    rig.after(59_999);
    assert!(rig.scene.starts_with("TryAgain"), "{}", rig.scene);
    rig.after(1);
    assert!(!hears(&mut rig, 535), "that wish was on the screen");
    assert!(hears(&mut rig, 600), "another wish");
    rig.message(Topic::VendCancel, r#"{"request_id":"r-1"}"#);
    assert!(!hears(&mut rig, 595), "it was cancelled");
    // At its end the backend still says one second.
    rig.after(582_000);
    assert!(!hears(&mut rig, 3));
}

/// What was paid at a store did not come. Another try takes a piece that is free, and none that another code keeps.
#[test]
fn another_try_at_a_collected_code_takes_no_piece_of_another_code() {
    for (there, is_free) in [(3, true), (2, false)] {
        let mut rig = Rig::with_prices();
        rig.facts.lines.iter_mut().for_each(|line| line.misses_left = 2);
        rig.on(Input::RelayReported(rig.facts.clone()));
        rig.announced();
        rig.collectable(1);
        rig.collectable(2);
        rig.change_of("A1", Change::Count, Some(there)).expect("counted");
        rig.collected(1);
        rig.answer_relay(1, RelayAnswer::Dispense(DispenseAnswer::Ended(Outcome::Failed)));
        let again = OrderResource { settled_ago_s: Some(4000), ..nothing_came(1, 86_000) };
        rig.answer(1, order(OrderResource { payment: at_store(1, Status::Settlement).payment, ..again }));
        assert!(rig.scene.starts_with("TryAgain") && rig.scene.contains(&format!("same: {is_free}")), "{there}: {}", rig.scene);
        rig.announced();
        let effects = rig.press_twice("A1");
        assert_eq!(prepared(&effects).is_some(), is_free, "{there}");
        if is_free {
            rig.promise(1, &effects);
            rig.answer(1, order(at_second(1, "A1", 5000)));
            rig.delivered(1);
            rig.after(11_000);
        }
        assert_eq!(rig.left()[0], Some(1), "{there}");
        rig.announced();
        rig.collected(2);
        assert_eq!(rig.left()[0], Some(0), "{there}");
    }
}

/// Its slot has other goods since it did not come. The screen has their name, and the new count has one less.
#[test]
fn another_try_in_a_slot_with_other_goods_takes_one_of_them() {
    let mut rig = Rig::offers_again(1);
    rig.settings.slots.get_mut(&item("A1")).expect("a slot").name = "Roti".into();
    rig.cut_and_up(true);
    rig.settle_open();
    assert_eq!(rig.left()[0], None, "nobody has counted them");
    rig.change_of("A1", Change::Count, Some(3)).expect("counted");
    rig.message(Topic::PaymentUpdate, r#"{"order_id":"o-1","rev":7,"status":"settlement"}"#);
    rig.answer_open(vec![OrderResource { try_wanted_s: Some(300), ..nothing_came(1, 86_000) }]);
    let effects = rig.press_twice("A1");
    rig.promise(1, &effects);
    rig.answer(1, order(at_second(1, "A1", 5000)));
    assert_eq!((rig.relay(1), rig.left()[0]), (Some(RelayCall::Dispense(receipt_2(1, "A1", 5000))), Some(2)));
    // It was not driven: one of these comes back, and not the one that was lost before.
    rig.answer_relay(1, RelayAnswer::Dispense(DispenseAnswer::Ended(Outcome::NotDriven)));
    assert_eq!(rig.left()[0], Some(3));
}

/// The try gave other goods, and a person hands over what was bought, out of the slot: the piece that a code keeps.
#[test]
fn goods_that_are_given_besides_leave_the_slot_of_what_was_bought() {
    for has_other_goods in [false, true] {
        let mut rig = Rig::with_prices();
        rig.taken_along(2);
        let mut rig = rig.offering_again(1);
        let effects = rig.press_twice("A2");
        rig.promise(1, &effects);
        rig.answer(1, order(at_second(1, "A2", 3000)));
        rig.delivered(1);
        rig.answer(1, order(OrderResource { outcome: Some(reported(Delivery::Dispensed)), ..at_second(1, "A2", 3000) }));
        rig.after(11_000);
        if has_other_goods {
            rig.settings.slots.get_mut(&item("A1")).expect("a slot").name = "Roti".into();
            rig.cut_and_up(true);
            while rig.open().is_some() {
                rig.answer_open(vec![at_store(2, Status::Pending)]);
                rig.after(1000);
            }
        }
        rig.change_of("A1", Change::Count, Some(1)).expect("counted");
        rig.pay(&receipt_of(2));
        rig.announced();
        for round in 0..2 {
            rig.after(6_000);
            rig.message(Topic::PaymentUpdate, r#"{"order_id":"o-1","rev":9,"status":"settlement"}"#);
            let told = TakenOut { order_id: order_id("o-1"), request_id: request_id("r-1") };
            rig.answer_taken_out(vec![OrderResource { rev: 2, ..paid_at_store(2) }], vec![told]);
            assert_eq!(rig.left(), [Some(0), Some(4)], "{has_other_goods} {round}");
        }
        rig.collect(&code(2));
        assert_eq!(rig.announced(), ["refused(sold_out)"], "{has_other_goods}: come back");
        rig.change_of("A1", Change::Fill, None).expect("filled");
        rig.collected(2);
        assert_eq!(rig.left()[0], Some(9), "{has_other_goods}");
    }
}
