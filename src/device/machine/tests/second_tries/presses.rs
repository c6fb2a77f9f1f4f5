//! Whose press begins the try: two presses, or one after the number was told. All else is a purchase, and takes nothing from who paid.

use super::super::afar::desired;
use super::super::counter::{at_store, code};
use super::*;
use qris_core::order::late_sign::{LateNews, LateSign};
use qris_core::wire::status;
use serde_json::{Value, json};

const HINT: &str = r#"{"order_id":"o-1","rev":7,"status":"settlement"}"#;

impl Rig {
    fn is_offered(&self) -> bool {
        self.scene.starts_with("TryAgain")
    }

    /// How far its customer has come, as the screen says it.
    fn step(&self) -> &str {
        assert!(self.is_offered(), "{}", self.scene);
        self.scene.split("step: ").nth(1).expect("a step").trim_end_matches(" }")
    }

    /// A purchase of A1 by a button, as far as its QR.
    fn buys_anew(&mut self, effects: &[Effect], n: u8) -> RequestId {
        assert!(sells_anew(effects), "it is a purchase");
        self.prepare(effects, Ok(ticket(n)));
        let request = self.machine.orders.held_by().cloned().expect("a customer");
        self.answers(&request, OrderResource { request_id: request.clone(), ..resource(n, Status::Pending) });
        assert!(self.scene.starts_with("Pay"), "{}", self.scene);
        request
    }

    fn answers(&mut self, request: &RequestId, books: OrderResource) {
        let running = self.machine.orders.get(request).and_then(|live| live.backend.running().cloned());
        self.on(Input::Backend(running.expect("the backend is asked").0, request.clone(), order(books)));
    }

    fn ends_unpaid(&mut self, request: &RequestId, n: u8) {
        self.message(Topic::VendCancel, &json!({ "request_id": request.as_str() }).to_string());
        self.answers(request, OrderResource { rev: 9, request_id: request.clone(), ..resource(n, Status::Cancel) });
    }

    /// The customer asks on the page, and the machine hears it: once more if this is another word about it.
    fn hears_wish(&mut self, wish: OrderResource) {
        self.after(6_000);
        self.message(Topic::PaymentUpdate, HINT);
        self.answer_open(vec![wish]);
    }

    /// The screen shows a number, and waits for its customer.
    fn shows_number() -> Self {
        let mut rig = Self::offers_again_uncounted(1);
        rig.after(121_000);
        rig.hears_wish(numbered(600, None));
        assert_eq!(rig.step(), "Number(**)");
        rig
    }
}

fn numbered(wanted_s: u64, confirmed_s: Option<u64>) -> OrderResource {
    let number = "07".parse().expect("two digits");
    OrderResource { try_wanted_s: Some(wanted_s), try_number: Some(number), try_confirmed_s: confirmed_s, ..nothing_came(1, 86_000) }
}

#[test]
fn the_first_press_says_whose_it_is_and_the_second_takes_it_in_its_time() {
    for (after, taken) in [(0, false), (1, false), (1_499, false), (1_500, true), (5_000, true), (9_999, true)] {
        let mut rig = Rig::offers_again(1);
        assert_eq!(rig.step(), "Offered");
        assert!(rig.press("A2").iter().all(|effect| !matches!(effect, Effect::PrepareAgain(..) | Effect::Prepare(..))));
        assert!(rig.step().starts_with(r#"Pressed { item: Goods { item: A2"#), "{}", rig.scene);
        assert!(rig.step().contains(r#"paid_at: Some("15:00 WIB")"#), "{}", rig.scene);
        rig.after(after);
        let effects = rig.press("A2");
        assert_eq!(prepared(&effects).is_some(), taken, "{after} ms");
        assert!(!sells_anew(&effects));
        if !taken {
            // It has changed nothing: the words stand since the first press.
            rig.after(1_500 - after);
            assert!(prepared(&rig.press("A2")).is_some(), "{after} ms, and then in time");
        }
    }
    // Too late, before the machine has looked at the clock: that is one purchase.
    let mut rig = Rig::offers_again(1);
    rig.press("A2");
    rig.now.boot = rig.now.boot + Span::secs(10);
    let effects = rig.press("A2");
    assert!(prepared(&effects).is_none() && sells_anew(&effects));
}

#[test]
fn other_goods_begin_the_words_anew_and_the_offer_lasts_until_they_are_over() {
    let mut rig = Rig::offers_again_uncounted(1);
    rig.after(59_000);
    rig.press("A1");
    rig.after(9_000);
    assert!(prepared(&rig.press("A2")).is_none(), "other goods");
    assert!(rig.step().contains("item: A2"), "{}", rig.scene);
    rig.after(1_499);
    assert!(prepared(&rig.press("A2")).is_none());
    rig.after(8_000);
    let effects = rig.press("A2");
    assert_eq!(prepared(&effects).map(|asked| asked.1).as_deref(), Some("A2"));
}

#[test]
fn without_a_second_press_it_is_a_purchase_also_with_one_button() {
    let one_button = || {
        let mut rig = Rig::unlimited();
        rig.settings.prices = PriceList::new([(item("A1"), Price::Fixed(rp(5000)))]);
        rig.settings.appearance.items.retain(|known| known.id == item("A1"));
        rig.cut_and_up(true);
        rig.settle_open();
        rig.offering_again(1)
    };
    for mut rig in [Rig::offers_again_uncounted(1), one_button()] {
        rig.press("A1");
        assert!(!sells_anew(&rig.after(9_999)));
        let effects = rig.after(1);
        rig.buys_anew(&effects, 9);
        assert!(rig.scene.contains("before: Some(o-1)"), "the QR says that it is another purchase: {}", rig.scene);
        assert!(prepared(&rig.asks_again(1, "A1")).is_none());
        assert!(prepared(&rig.press("A1")).is_none());
    }
    // The next customer of all is told nothing of it.
    let mut rig = Rig::unlimited();
    rig.offered(3);
    assert!(rig.scene.contains("before: None"), "{}", rig.scene);
}

#[test]
fn goods_above_its_price_are_a_purchase_at_once_and_a_controller_s_request_is_one() {
    type Row = (&'static str, fn(&mut Rig) -> Vec<Effect>);
    let table: [Row; 3] = [
        ("a press", |rig| rig.press("B1")),
        ("a press after another one", |rig| {
            rig.press("A2");
            rig.after(2_000);
            rig.press("B1")
        }),
        ("a request", Rig::asks_for_b1),
    ];
    for (what, begin) in table {
        let mut rig = Rig::offers_again(1);
        rig.after(20_000);
        let effects = begin(&mut rig);
        assert!(sells_anew(&effects), "{what}");
        assert!(rig.scene.starts_with("Preparing"), "{what}: {}", rig.scene);
        // The relay gives no ticket for it: it is no sale, and the offer goes on.
        rig.after(1_000);
        rig.prepare(&effects, Err(PrepareError::NoAnswer("nobody".into())));
        assert_eq!(rig.step(), "Offered", "{what}");
        rig.after(39_999);
        assert!(rig.is_offered(), "{what}: the rest of its time");
        rig.after(1);
        assert!(!rig.is_offered(), "{what}: {}", rig.scene);
    }
}

#[test]
fn a_purchase_that_ends_unpaid_gives_the_offer_back_for_the_rest_of_its_time() {
    let mut rig = Rig::offers_again_uncounted(1);
    rig.after(20_000);
    // A stranger presses once, looks at the QR, and goes.
    rig.press("A1");
    let effects = rig.after(10_000);
    let request = rig.buys_anew(&effects, 9);
    rig.after(70_000);
    rig.ends_unpaid(&request, 9);
    assert_eq!(rig.step(), "Offered");
    rig.after(39_999);
    assert!(rig.is_offered(), "the stranger's time is not the customer's");
    let effects = rig.press_twice("A2");
    rig.promise(1, &effects);
    rig.answer(1, order(at_second(1, "A2", 3000)));
    assert_eq!(rig.relay(1), Some(RelayCall::Dispense(receipt_2(1, "A2", 3000))));
    // Two in a row, and nobody comes for it.
    let mut rig = Rig::offers_again_uncounted(1);
    for n in [9, 10] {
        rig.after(20_000);
        rig.press("A1");
        let effects = rig.after(10_000);
        let request = rig.buys_anew(&effects, n);
        rig.ends_unpaid(&request, n);
    }
    rig.after(19_999);
    assert!(rig.is_offered());
    rig.after(1);
    assert!(!rig.is_offered(), "{}", rig.scene);
}

#[test]
fn a_purchase_that_is_paid_ends_it_on_the_screen_and_not_the_right_on_the_page() {
    let mut rig = Rig::offers_again_uncounted(1);
    rig.press("A1");
    let effects = rig.after(10_000);
    let request = rig.buys_anew(&effects, 9);
    let paid = receipt(|claims| *claims = Claims { jti: request.clone(), ..receipt_of(9).claims().clone() });
    rig.pay(&paid);
    assert!(rig.scene.starts_with("Dispensing"), "{}", rig.scene);
    rig.on(Input::Finished(order_id("o-9"), TryNumber::FIRST, DispenseAnswer::Ended(Outcome::Dispensed)));
    assert!(rig.scene.starts_with("Take"), "{}", rig.scene);
    rig.after(10_000);
    assert!(rig.scene.starts_with("Idle"), "{}", rig.scene);
    rig.hears_wish(OrderResource { try_wanted_s: Some(600), ..nothing_came(1, 86_000) });
    assert_eq!(rig.step(), "Offered");
    // Money that comes after its QR is gone ends an offer that was given back meanwhile.
    let mut rig = Rig::offers_again_uncounted(1);
    rig.press("A1");
    let effects = rig.after(10_000);
    let request = rig.buys_anew(&effects, 9);
    rig.ends_unpaid(&request, 9);
    assert_eq!(rig.step(), "Offered");
    let late = receipt(|claims| *claims = Claims { jti: request, ..receipt_of(9).claims().clone() });
    rig.pay(&late);
    assert!(rig.scene.starts_with("Dispensing"), "{}", rig.scene);
    rig.on(Input::Finished(order_id("o-9"), TryNumber::FIRST, DispenseAnswer::Ended(Outcome::Dispensed)));
    rig.after(10_000);
    assert!(rig.scene.starts_with("Idle"), "{}", rig.scene);
}

#[test]
fn a_code_that_is_typed_in_stands_before_the_offer() {
    let mut rig = Rig::with_prices();
    rig.settings.slots.clear();
    rig.cut_and_up(true);
    rig.settle_open();
    rig.taken_along(2);
    let mut rig = rig.offering_again(1);
    let effects = rig.collect(&code(2));
    assert!(rig.scene.starts_with("Checking"), "{}", rig.scene);
    rig.confirm(&effects, 2, order(at_store(2, Status::Pending)));
    assert_eq!(rig.announced(), ["refused(unknown_request)"], "it is not paid");
    assert_eq!(rig.step(), "Offered");
}

/// Other goods in A2, at a price that its customer did not pay.
const OTHER_GOODS: &str = r#"
[[item]]
id = "A1"
name = "A1"
price = 5000
capacity = 10
low = 2
[[item]]
id = "A2"
name = "Roti"
price = 6000
capacity = 10
low = 2
[[item]]
id = "B1"
name = "B1"
price = 9000
"#;

/// Their names and their prices wait until the words of the first press are over. Then they are the ones that count.
#[test]
fn goods_and_prices_from_afar_wait_for_the_words_of_the_first_press() {
    let goods = |rig: &Rig| rig.machine.settings.slots.get(&item("A2")).expect("a slot").name.to_string();
    let changed = |rig: &mut Rig| rig.wants(&desired(1, 0, OTHER_GOODS)).waiting.is_none();
    let mut rig = Rig::offers_again(1);
    rig.press("A2");
    assert!(!changed(&mut rig), "somebody reads what the next press takes");
    rig.after(500);
    let effects = rig.press("A2");
    assert_eq!(prepared(&effects).map(|(_, of, price, ..)| (of, price)), Some(("A2".into(), 3000)));
    rig.promise(1, &effects);
    rig.answer(1, order(at_second(1, "A2", 3000)));
    assert_eq!((goods(&rig), rig.left()[1]), ("A2".into(), Some(4)), "it is driven for the former goods");
    rig.delivered(1);
    rig.answer(1, order(OrderResource { outcome: Some(reported(Delivery::Dispensed)), ..at_second(1, "A2", 3000) }));
    rig.after(11_000);
    assert_eq!((goods(&rig), rig.left()[1]), ("Roti".into(), None));
    // Nobody has pressed yet: they are in force at once, and cost more than was paid.
    let mut rig = Rig::offers_again(1);
    assert!(changed(&mut rig) && goods(&rig) == "Roti");
    let effects = rig.press("A2");
    assert!(prepared(&effects).is_none() && sells_anew(&effects));
}

/// Two trays have missed, one after the other, while the words of the first press stand there.
#[test]
fn a_chute_that_closes_between_the_presses_takes_the_words_down_until_somebody_has_looked() {
    let chute = |rig: &mut Rig, state: LineCondition| {
        rig.facts.lines = vec![line("A1", state), line("A2", state), line("B1", LineCondition::Ready)];
        rig.on(Input::RelayReported(rig.facts.clone()));
    };
    let mut rig = Rig::offers_again_uncounted(1);
    rig.press("A2");
    rig.after(2_000);
    chute(&mut rig, LineCondition::Blocked);
    assert!(!rig.is_offered(), "{}", rig.scene);
    let effects = rig.press("A2");
    assert!(prepared(&effects).is_none());
    rig.prepare(&effects, Err(PrepareError::Refused(RelayError::Blocked, "closed".into())));
    assert_eq!(rig.announced(), ["refused(line_blocked)"]);
    assert!(rig.scene.starts_with("Refused") && rig.scene.contains("LineBlocked"), "{}", rig.scene);
    assert!(!sells_anew(&rig.after(10_000)), "nor is the first press a purchase");
    // The offer has the rest of its time, and asks anew.
    chute(&mut rig, LineCondition::Ready);
    rig.on(Input::Cleared);
    assert_eq!(rig.step(), "Offered");
    assert!(prepared(&rig.press("A2")).is_none());
    rig.after(1_500);
    assert!(prepared(&rig.press("A2")).is_some());
}

/// The last piece that is free goes to the try. The other one is that of a code, which is paid in that second.
#[test]
fn the_last_free_piece_goes_to_the_try_and_the_other_one_to_the_code() {
    // A miss does not make A1 suspect.
    let offering = || {
        let mut rig = Rig::with_prices();
        rig.facts.lines.iter_mut().for_each(|line| line.misses_left = 2);
        rig.on(Input::RelayReported(rig.facts.clone()));
        rig.change_of("A1", Change::Count, Some(3)).expect("counted");
        rig.taken_along(2);
        let mut rig = rig.offering_again(1);
        assert_eq!(rig.left()[0], Some(2));
        rig.press("A1");
        rig.after(1_500);
        rig
    };
    let mut rig = offering();
    rig.pay(&receipt_of(2));
    assert_eq!(rig.announced(), ["awaiting_collection"]);
    let effects = rig.press("A1");
    rig.promise(1, &effects);
    rig.collect(&code(2));
    assert_eq!(rig.announced(), ["trying_again", "refused(busy)"]);
    rig.answer(1, order(at_second(1, "A1", 5000)));
    rig.delivered(1);
    rig.after(11_000);
    rig.announced();
    rig.vend(9);
    assert_eq!((rig.announced(), rig.left()[0]), (vec!["refused(sold_out)".into()], Some(1)), "the code keeps it");
    rig.collected(2);
    assert_eq!(rig.left()[0], Some(0));
    // Somebody takes the free one out, and counts.
    let mut rig = offering();
    rig.change_of("A1", Change::Count, Some(1)).expect("counted");
    assert!(prepared(&rig.press("A1")).is_none());
    assert_eq!(rig.announced(), ["refused(sold_out)"]);
    rig.pay(&receipt_of(2));
    rig.announced();
    rig.collected(2);
    assert_eq!(rig.left()[0], Some(0));
}

#[test]
fn where_a_number_is_asked_for_a_press_is_nothing_until_it_was_told() {
    let mut rig = Rig::shows_number();
    for _ in 0..3 {
        let effects = rig.press("A2");
        assert!(prepared(&effects).is_none() && !sells_anew(&effects));
        rig.after(2_000);
    }
    assert_eq!(rig.step(), "Number(**)", "no press has begun anything");
    rig.hears_wish(numbered(580, Some(20)));
    assert_eq!(rig.step(), "Told");
    let effects = rig.press("A2");
    assert!(prepared(&effects).is_some(), "one press is enough");
    // A request with `try` is the confirmed press: who sends it has asked its customer.
    assert!(prepared(&Rig::shows_number().asks_again(1, "A2")).is_some());
    // It counts for 20 s at most, from when the machine hears it; what it hears meanwhile adds nothing.
    for (said, again, within) in [(20, None, 20_000), (60, None, 20_000), (7, None, 7_000), (20, Some(14), 20_000)] {
        for (after, taken) in [(within - 1, true), (within, false)] {
            let mut rig = Rig::shows_number();
            rig.hears_wish(numbered(594, Some(said)));
            let mut left = after;
            if let Some(again) = again {
                rig.hears_wish(numbered(588, Some(again)));
                left -= 6_000;
            }
            rig.after(left);
            assert_eq!(rig.is_offered() && rig.step() == "Told", taken, "{said} s, after {after} ms");
            let effects = rig.press("A2");
            assert_eq!((prepared(&effects).is_some(), sells_anew(&effects)), (taken, !taken), "{said} s, after {after} ms");
        }
    }
    // Told in the last second of the offer, it lasts until then. Dear goods are a purchase as ever.
    let mut rig = Rig::shows_number();
    assert!(sells_anew(&rig.press("B1")));
    let mut rig = Rig::shows_number();
    rig.after(53_000);
    rig.hears_wish(numbered(541, Some(20)));
    rig.after(19_000);
    assert!(prepared(&rig.press("A2")).is_some());
    // It was read out by telephone, and told when it was off the screen: the next press counts all the same.
    let mut rig = Rig::shows_number();
    rig.after(60_000);
    assert!(!rig.is_offered(), "{}", rig.scene);
    rig.hears_wish(numbered(530, Some(20)));
    assert_eq!(rig.step(), "Told");
    assert!(prepared(&rig.press("A2")).is_some());
}

/// A number of which nothing can come is not shown: who reads it would tell it in vain, and presses would do nothing.
#[test]
fn a_number_is_off_the_screen_when_nothing_can_come_of_it() {
    // It was told, and nobody pressed in time. Who asks again gets another one.
    let mut rig = Rig::shows_number();
    rig.hears_wish(numbered(594, Some(20)));
    rig.after(19_999);
    assert_eq!(rig.step(), "Told");
    rig.after(1);
    assert!(rig.scene.starts_with("Idle"), "{}", rig.scene);
    rig.hears_wish(numbered(600, None));
    assert_eq!(rig.step(), "Number(**)");
    // A purchase stands before it meanwhile, and its time goes on all the same.
    for (after, is_there) in [(3_999, true), (4_000, false)] {
        let mut rig = Rig::shows_number();
        rig.hears_wish(numbered(594, Some(4)));
        let effects = rig.press("B1");
        rig.after(after);
        rig.prepare(&effects, Err(PrepareError::NoAnswer("nobody".into())));
        assert_eq!(rig.is_offered(), is_there, "after {after} ms: {}", rig.scene);
    }
    // Once the wish is over, the backend takes it no more.
    for was_offered in [false, true] {
        let mut rig = Rig::offers_again_uncounted(1);
        rig.after(if was_offered { 10_000 } else { 121_000 });
        rig.hears_wish(numbered(30, None));
        rig.after(29_999);
        assert_eq!(rig.step(), "Number(**)");
        rig.after(1);
        assert!(!rig.is_offered(), "{}", rig.scene);
    }
}

#[test]
fn a_number_that_the_backend_takes_back_is_off_the_screen() {
    let gone: [(&str, Vec<OrderResource>); 2] =
        [("three wrong ones", vec![OrderResource { try_wanted_s: None, try_number: None, ..numbered(0, None) }]), ("the money", vec![])];
    for (what, open) in gone {
        let mut rig = Rig::shows_number();
        rig.after(6_000);
        rig.message(Topic::PaymentUpdate, HINT);
        rig.answer_open(open);
        assert!(!rig.is_offered(), "{what}: {}", rig.scene);
    }
    // It was the backend's clock: the number is wanted once that is trusted again.
    let mut rig = Rig::shows_number();
    rig.after(6_000);
    rig.message(Topic::PaymentUpdate, HINT);
    rig.answer_open(vec![OrderResource { try_wanted_s: None, try_number: None, ..numbered(0, None) }]);
    rig.hears_wish(numbered(580, None));
    assert!(rig.is_offered(), "{}", rig.scene);
    // The next one has another number.
    let mut rig = Rig::shows_number();
    rig.hears_wish(OrderResource { try_number: None, ..numbered(590, None) });
    assert_eq!(rig.step(), "Offered", "a backend that asks for none any more: two presses");
}

#[test]
fn without_the_broker_the_backend_is_asked_every_two_seconds_while_a_number_is_shown() {
    let mut rig = Rig::shows_number();
    rig.on(Input::BrokerDown { reason: "gone".into(), date_refusal: false, thrown_out: false });
    rig.after(1_999);
    assert!(rig.open().is_none());
    rig.after(1);
    rig.answer_open(vec![numbered(590, None)]);
    for _ in 0..5 {
        rig.after(2_000);
        rig.answer_open(vec![numbered(590, None)]);
    }
    rig.after(2_000);
    rig.answer_open(vec![numbered(580, Some(18))]);
    assert_eq!(rig.step(), "Told");
    // The question that was due is the last one of these.
    rig.after(2_000);
    rig.answer_open(vec![numbered(578, Some(16))]);
    for _ in 0..3 {
        rig.after(2_000);
        assert!(rig.open().is_none(), "it was told");
    }
    assert!(prepared(&rig.press("A2")).is_some());
}

#[test]
fn controllers_are_told_of_the_offer_when_it_begins_changes_and_ends() {
    let statuses = |effects: &[Effect]| -> Vec<Value> {
        let told = effects.iter().filter_map(|effect| match effect {
            Effect::Publish { notice: Notice::Status, payload, .. } => serde_json::from_slice(payload).ok(),
            _ => None,
        });
        told.map(|status: Value| status["try_offer"].clone()).collect()
    };
    let offered = |remaining_s: u64| {
        vec![json!({ "request_id": "r-1", "try": 2, "up_to": 5000, "remaining_s": remaining_s, "awaits_number": false })]
    };
    let mut rig = Rig::with_prices();
    rig.fails(1);
    let call = rig.machine.orders.get(&request_id("r-1")).and_then(|live| live.backend.running().cloned()).expect("told");
    assert_eq!(statuses(&rig.on(Input::Backend(call.0, request_id("r-1"), order(nothing_came(1, 86_000))))), offered(60));
    for _ in 0..50 {
        assert!(statuses(&rig.after(1_000)).is_empty(), "the seconds are not counted down there");
    }
    assert!(statuses(&rig.press("A2")).is_empty(), "it ends as it would have ended without the words");
    assert!(statuses(&rig.after(1_500)).is_empty());
    assert_eq!(statuses(&rig.press("A2")), [Value::Null], "it ends");
    // The words stand longer than the offer would.
    let mut rig = Rig::offers_again(1);
    rig.after(55_000);
    assert_eq!(statuses(&rig.press("A2")), offered(10));
    let effects = rig.after(2_000);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::View(_))), "no view each second, either");
    let known: Option<&(status::TryOffer, Boot)> = rig.machine.second_tries.told();
    assert_eq!(known.map(|(_, until)| *until), Some(rig.now.boot + Span::secs(8)));
    // Where a number is asked for, and once it was told.
    let told = |rig: &Rig| rig.machine.second_tries.told().map(|(offer, _)| (offer.awaits_number, offer.remaining_s));
    let mut rig = Rig::shows_number();
    assert_eq!(told(&rig), Some((true, 60)));
    rig.hears_wish(numbered(580, Some(20)));
    assert_eq!(told(&rig), Some((false, 20)));
}

/// The board says that the goods of the try before came after all.
#[test]
fn goods_that_came_after_all_end_the_offer_on_the_screen() {
    for (sign, is_offered) in [(LateSign::Passed, true), (LateSign::Came, false)] {
        let mut rig = Rig::shows_number();
        let order = rig.machine.second_tries.offer.as_ref().expect("an offer").order.clone();
        rig.on(Input::LateSign(LateNews { order, number: TryNumber::FIRST, sign }));
        assert_eq!(rig.is_offered(), is_offered, "{sign:?}");
    }
}
