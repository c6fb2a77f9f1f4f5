//! Another try at what came to nothing, or the money: one of the two.

use super::*;
use crate::order::promise::Promise;
use crate::order::proof::RelayKey;
use crate::order::tries::{Try, TryNumber};

fn relay() -> RelayKey {
    RelayKey::of(&SigningKey::from_seed([3; 32]))
}

fn second() -> TryNumber {
    TryNumber::FIRST.next().expect("2")
}

fn offering() -> Rules {
    Rules { second_tries: 1, ..rules() }
}

fn with<T>(run: impl FnOnce(&Context<'_>) -> T) -> T {
    run(&Context { rules: &offering(), paid_already: false })
}

/// Why it is not granted.
#[derive(Debug, PartialEq, Eq)]
enum No {
    Refused(Refused),
    Try(NoTry),
}

/// Applies events to an order, each so many milliseconds after the start, as far as they are granted.
fn then(mut order: Order, events: Vec<(i64, Event)>) -> Result<Order, No> {
    for (ms, event) in events {
        let now = T0 + Span::millis(ms);
        if let Event::TryAgain { promise, key } = &event {
            let may = order.may_try_again(promise, key.as_ref(), now);
            let asked = with(|with| apply(order.clone(), event.clone(), now, with)).expect("never refused");
            assert!(may.is_ok() || asked == order, "what is not granted changes nothing");
            may.map_err(No::Try)?;
        }
        order = with(|with| apply(order, event, now, with)).map_err(No::Refused)?;
        while let Duty::Apply(event) = duty(&order, now) {
            order = with(|with| apply(order, event, now, with)).expect("a fact");
        }
    }
    Ok(order)
}

/// Paid, and its machine told this.
fn ended(report: DeliveryReport) -> Order {
    let order = Order { sale: Sale { relay_key: Some(relay()), ..order().sale }, ..order() };
    let paid = vec![(0, Event::Charged(charge(5000))), (1000, status(Said::Settled)), (2000, Event::Delivered(report))];
    then(order, paid).expect("facts")
}

fn nothing_came() -> Order {
    ended(DeliveryReport::proven(Delivery::Undelivered))
}

fn ticket(n: u8) -> Ticket {
    Ticket::from_random([n; 16])
}

fn promise(of: &Order) -> Promise {
    let again = crate::order::ledger::Again { order: of.id.clone(), number: second(), after: of.goods().ticket };
    Promise::of(of.sale.device.clone(), ticket(20), again, of.sale.purchase.item.clone(), of.sale.purchase.amount)
}

fn asks(promise: Promise) -> Event {
    Event::TryAgain { promise: Box::new(promise), key: Some(relay()) }
}

/// At its second try, which has its receipt.
fn at_second() -> Order {
    at_second_of(nothing_came())
}

fn at_second_of(order: Order) -> Order {
    let asked = asks(promise(&order));
    then(order, vec![(3000, asked)]).expect("granted")
}

/// The same, as it is after a payment over the counter: it could be collected for three days.
fn to_collect() -> Order {
    let mut order = nothing_came();
    let State::Settled(settled) = &mut order.state else { panic!("settled: {order:?}") };
    settled.collect_by = Some(T0 + Span::secs(3 * 24 * 3600));
    order
}

/// A person wanted the money to go back, and the gateway did not do it.
fn refund_refused(unsure: bool) -> Order {
    let refused = Repayment::Refused { why: "not for payments on site".into(), at: T0 + Span::millis(2500), unsure };
    Order { repaying: Repaying { step: Some(refused), ..Repaying::default() }, ..nothing_came() }
}

fn of_second(outcome: Delivery) -> DeliveryReport {
    DeliveryReport { nth_try: second(), ..DeliveryReport::proven(outcome) }
}

fn refund() -> Event {
    Event::RefundRequested(RefundWish::of_a_person(Some("Ani".into())))
}

#[test]
fn a_second_try_has_a_receipt_of_its_own_and_its_end_is_the_orders() {
    let first = nothing_came();
    assert_eq!(first.try_again_until(T0 + Span::millis(2000)), Some(T0 + Span::millis(2000) + Span::secs(24 * 3600)));
    let order = at_second();
    let claims = order.receipt().expect("signed").claims();
    assert_eq!(claims.nth, Try::Again { number: second(), after: first.goods().ticket });
    assert_eq!((&claims.ticket, claims.amount, claims.gross_amount), (&ticket(20), rp(5000), rp(5000)));
    assert_eq!(claims.transaction_id, first.receipt().expect("signed").claims().transaction_id);
    assert!(order.is_open() && order.outcome().is_none() && !order.is_refund_due());
    // The same question again has the same receipt.
    let again = then(order.clone(), vec![(60_000, asks(promise(&first)))]).expect("known");
    assert_eq!(again, order);
    for (outcome, owed) in
        [(Delivery::Dispensed, false), (Delivery::Undelivered, true), (Delivery::Failed, true), (Delivery::Uncertain, false)]
    {
        let ended = then(order.clone(), vec![(4000, Event::Delivered(of_second(outcome)))]).expect("a fact");
        assert_eq!((ended.outcome(), ended.is_refund_due()), (Some(outcome), owed));
        assert_eq!(ended.tries.until, None, "there is one second try");
        assert_eq!(then(ended, vec![(5000, refund())]).is_ok(), owed, "{outcome}");
    }
}

#[test]
fn only_what_certainly_did_not_come_is_tried_again() {
    let of = |outcome, driven| {
        let Proof::Signed { kid, number, .. } = DeliveryReport::proven(outcome).proof else { panic!("it is proven") };
        DeliveryReport { proof: Proof::Signed { kid, number, driven }, ..DeliveryReport::proven(outcome) }
    };
    let unproven = |outcome| DeliveryReport { proof: Proof::Missing(NoProof::None), ..DeliveryReport::proven(outcome) };
    let then_told = |event| then(nothing_came(), vec![(2500, event)]).expect("a fact");
    let dispensed = Event::Contradicted { told: DeliveryReport::proven(Delivery::Dispensed), refund_on_its_way: false };
    let table = [
        ("closed", nothing_came(), None),
        ("a sensor saw it", ended(of(Delivery::Failed, true)), None),
        ("the hardware was not there", ended(of(Delivery::Failed, false)), Some(NoTry::NotProven)),
        ("dispensed", ended(of(Delivery::Dispensed, true)), Some(NoTry::Came)),
        ("uncertain", ended(of(Delivery::Uncertain, true)), Some(NoTry::Uncertain)),
        ("closed, says the machine alone", ended(unproven(Delivery::Undelivered)), Some(NoTry::NotProven)),
        ("failed, says the machine alone", ended(unproven(Delivery::Failed)), Some(NoTry::NotProven)),
        ("two words", then_told(dispensed), Some(NoTry::Doubtful)),
        ("a part went back", then_told(status(Said::PartlyRefunded)), Some(NoTry::Repaid)),
        ("the bank took it", then_told(status(Said::ChargedBack)), Some(NoTry::Repaid)),
        ("all went back", then_told(status(Said::Refunded)), Some(NoTry::Repaid)),
        ("a refund is asked for", then_told(refund()), Some(NoTry::Repaid)),
        ("given back by hand", then_told(Event::SettledByHand { note: "cash".into(), by: None, no_report: false }), Some(NoTry::Repaid)),
        ("handed over", then_told(Event::Given { by: "Budi".into() }), Some(NoTry::Repaid)),
        ("the gateway refuses a refund", refund_refused(false), None),
        ("the books had lost it", Order { rebuilt: true, ..nothing_came() }, Some(NoTry::Doubtful)),
        ("the customer wants the money", then_told(Event::TryOfferEnds), Some(NoTry::NotOffered)),
        (
            "it is the second one",
            then(at_second(), vec![(4000, Event::Delivered(of_second(Delivery::Undelivered)))]).expect("a fact"),
            Some(NoTry::NotOffered),
        ),
        ("the second one is open", at_second(), Some(NoTry::NotTold)),
        ("nobody has paid", live(&[(0, Event::Charged(charge(5000)))]), Some(NoTry::NotPaid)),
    ];
    for (name, order, why_not) in table {
        let now = T0 + Span::millis(5000);
        assert_eq!(order.try_again_until(now).is_some(), why_not.is_none(), "{name}");
        // A person prolongs an offer that is over, and asks once more. Nothing else is a person's to change.
        let by_a_person = order.may_want_try(Some("Sari"), now, &offering());
        assert_eq!(by_a_person.err(), why_not.filter(|why| *why != NoTry::NotOffered), "{name}");
        assert_eq!(order.may_want_try(None, now, &offering()).err(), why_not, "{name}");
        let next = Promise {
            ticket: ticket(30),
            nth: Try::Again { number: order.number_of_try().next().expect("few"), after: order.goods().ticket },
            ..promise(&order)
        };
        if why_not == Some(NoTry::NotPaid) {
            assert_eq!(order.may_try_again(&next, Some(&relay()), now).err(), why_not);
            continue;
        }
        let fresh = then(order, vec![(5000, status(Said::Settled))]).expect("a fact");
        let asked = then(fresh, vec![(5000, asks(next))]);
        assert_eq!(asked.err(), why_not.map(No::Try), "{name}");
    }
    assert_eq!(refund_refused(true).may_want_try(None, T0 + Span::millis(5000), &offering()), Err(NoTry::Repaid), "it may have gone back");
    let came = then(at_second_of(refund_refused(false)), vec![(4000, Event::Delivered(of_second(Delivery::Dispensed)))]).expect("a fact");
    assert!(came.repayment().is_none() && !came.is_refund_due(), "the goods came in its place");
    let off = live(&[(0, Event::Charged(charge(5000))), (1000, status(Said::Settled)), (2000, told(Delivery::Undelivered))]);
    assert_eq!(off.tries.until, None, "the merchant offers none");
}

#[test]
fn a_promise_is_for_the_next_try_at_this_order_and_the_gateway_was_just_asked() {
    let order = nothing_came();
    let good = || promise(&order);
    let stranger = RelayKey::of(&SigningKey::from_seed([4; 32]));
    let ask = |promise: Promise, key: Option<RelayKey>| Event::TryAgain { promise: Box::new(promise), key };
    let table = [
        ("good", ask(good(), Some(relay())), Ok(())),
        ("a cheaper one", ask(Promise { item: ItemId::new("B2").expect("an id"), amount: rp(3000), ..good() }, Some(relay())), Ok(())),
        ("a dearer one", ask(Promise { amount: rp(5001), ..good() }, Some(relay())), Err(NoTry::TooDear)),
        ("another key now", ask(good(), Some(stranger)), Err(NoTry::OtherKey)),
        ("no key now", ask(good(), None), Err(NoTry::OtherKey)),
        (
            "of another machine",
            ask(Promise { device: DeviceId::new("vm-002").expect("an id"), ..good() }, Some(relay())),
            Err(NoTry::OtherPromise),
        ),
        (
            "of another order",
            ask(Promise { order_id: OrderId::new("o2").expect("an id"), ..good() }, Some(relay())),
            Err(NoTry::OtherPromise),
        ),
        ("a first one", ask(Promise { nth: Try::First, ..good() }, Some(relay())), Err(NoTry::OtherPromise)),
        (
            "after another ticket",
            ask(Promise { nth: Try::Again { number: second(), after: ticket(9) }, ..good() }, Some(relay())),
            Err(NoTry::OtherPromise),
        ),
        (
            "a third one",
            ask(Promise { nth: Try::Again { number: second().next().expect("3"), after: order.goods().ticket }, ..good() }, Some(relay())),
            Err(NoTry::OtherPromise),
        ),
    ];
    for (name, event, want) in table {
        let asked = then(order.clone(), vec![(3000, event)]);
        assert_eq!(asked.map(drop), want.map_err(No::Try), "{name}");
    }
    // The gateway's word of the payment is a second old, and good for half a minute.
    for (said, told_at, asked_at, want) in [
        (None, 0, 31_000, Ok(())),
        (None, 0, 31_001, Err(NoTry::NotAsked)),
        (Some(status(Said::Settled)), 60_000, 90_000, Ok(())),
        (Some(status(Said::Settled)), 60_000, 90_001, Err(NoTry::NotAsked)),
        (Some(Event::StatusUnanswered), 20_000, 25_000, Ok(())),
        (Some(status(Said::Pending)), 20_000, 25_000, Err(NoTry::NotAsked)),
        (Some(Event::Notified(Said::Refunded)), 20_000, 25_000, Err(NoTry::NotAsked)),
    ] {
        let before = said.clone().map(|event| (told_at, event)).into_iter().collect();
        let asked = then(order.clone(), before).and_then(|order| then(order, vec![(asked_at, asks(good()))]));
        assert_eq!(asked.map(drop), want.map_err(No::Try), "{said:?}");
    }
}

#[test]
fn an_open_try_bars_every_other_end() {
    let hour = NO_REPORT_AFTER.0;
    let by_hand = |no_report| Event::SettledByHand { note: "cash".into(), by: Some("Ani".into()), no_report };
    let no_report = || Event::RefundRequested(RefundWish { no_report: true, ..RefundWish::of_a_person(Some("Ani".into())) });
    let table = [
        (4000, refund(), Err(Refused::NotReported)),
        (4000, no_report(), Err(Refused::TooEarly)),
        (4000, by_hand(true), Err(Refused::TooEarly)),
        (4000, Event::Given { by: "Budi".into() }, Err(Refused::TooEarly)),
        // An hour after the newest receipt, which was signed three seconds after the start.
        (2999 + hour, no_report(), Err(Refused::TooEarly)),
        (3000 + hour, no_report(), Ok(())),
        (3000 + hour, by_hand(true), Ok(())),
        (3000 + hour, Event::Given { by: "Budi".into() }, Ok(())),
    ];
    for (order, (at, event, want)) in
        [at_second(), at_second_of(to_collect())].iter().flat_map(|order| table.clone().map(|row| (order, row)))
    {
        let listed = then(order.clone(), vec![(3000 + REPORT_WITHIN.0, Event::Unreported)]).expect("a fact");
        let now = T0 + Span::millis(at);
        let order = if now.0 - T0.0 > REPORT_WITHIN.0 { listed } else { order.clone() };
        assert_eq!(with(|with| apply(order, event.clone(), now, with)).map(drop), want, "{event:?} at {at}");
    }
    assert!(!at_second().may_refund_by_itself(T0 + Span::millis(4000)));
    // Nothing goes back by itself while another try is offered.
    let offered = nothing_came();
    assert!(!offered.may_refund_by_itself(T0 + Span::millis(4000)));
    let declined = then(offered.clone(), vec![(4000, Event::TryOfferEnds)]).expect("a wish");
    assert!(declined.may_refund_by_itself(T0 + Span::millis(4000)));
    let over = T0 + Span::millis(2000) + Span::secs(24 * 3600);
    assert_eq!((next_deadline(&offered), duty(&offered, over)), (Some(over), Duty::Apply(Event::TryOfferEnds)));
}

/// In the gateway's dashboard anybody of the merchant's may give it back. The machine has the receipt all the same.
#[test]
fn a_refund_in_the_dashboard_during_a_try_is_listed() {
    let back = then(at_second(), vec![(4000, status(Said::Refunded))]).expect("a fact");
    assert_eq!((back.attention(), back.money()), (vec![Attention::LateFact], Money::Refunded));
    let came = then(back, vec![(5000, Event::Delivered(of_second(Delivery::Dispensed)))]).expect("a fact");
    assert_eq!((came.attention(), came.money()), (vec![Attention::LateFact], Money::Refunded));
    // A try lasts two seconds, and a notification as long: the goods may be told first.
    for outcome in [Delivery::Dispensed, Delivery::Uncertain] {
        let told = then(at_second(), vec![(4000, Event::Delivered(of_second(outcome))), (7000, status(Said::Refunded))]).expect("facts");
        assert_eq!((told.attention(), told.money()), (vec![Attention::LateFact], Money::Refunded), "{outcome}");
    }
    // Of a try that has ended nothing more comes.
    let offered = then(nothing_came(), vec![(4000, status(Said::Refunded))]).expect("a fact");
    assert_eq!(offered.attention(), []);
    let ended =
        then(at_second(), vec![(4000, Event::Delivered(of_second(Delivery::Failed))), (7000, status(Said::Refunded))]).expect("facts");
    assert_eq!(ended.attention(), []);
    // Ours is no news, whoever has seen that nothing came.
    let wish = RefundWish { no_proof: true, ..RefundWish::of_a_person(Some("Ani".into())) };
    let events = vec![
        (4000, Event::Delivered(of_second(Delivery::Uncertain))),
        (5000, Event::RefundRequested(wish)),
        (6000, status(Said::Refunded)),
    ];
    assert_eq!(then(at_second(), events).expect("granted").attention(), []);
}

/// The notification of a refund in the dashboard may be lost.
#[test]
fn after_a_later_try_the_gateway_is_asked_once_more() {
    for outcome in [Delivery::Dispensed, Delivery::Uncertain, Delivery::Failed] {
        let told = then(at_second(), vec![(4000, Event::Delivered(of_second(outcome)))]).expect("a fact");
        let at = next_deadline(&told).expect("a question");
        assert_eq!(duty(&told, at), Duty::Call(Call::GetStatus), "{outcome}");
        assert!((at - T0).0 <= 4000 + 70_000, "{outcome}: {at:?}");
        let ms = (at - T0).0;
        let asked = then(told.clone(), vec![(ms, status(Said::Settled))]).expect("a fact");
        assert_eq!(asked.polling.at, None, "{outcome}: once");
        let silent = then(told, vec![(ms, Event::StatusUnanswered)]).expect("a fact");
        assert!(silent.polling.at.is_some(), "{outcome}: until it is answered");
    }
    let first = ended(DeliveryReport::proven(Delivery::Dispensed));
    assert_eq!(first.polling.at, None, "the goods of a first try are nobody's news");
}

/// Another try may have begun after the copy was made.
#[test]
fn what_a_copy_of_the_books_does_not_know_is_for_a_person() {
    let copied = nothing_came().of_a_copy(T0);
    assert!(!copied.is_proven() && !copied.may_refund_by_itself(T0 + Span::secs(86_400)));
    assert_eq!(then(copied.clone(), vec![(3000, refund())]), Err(No::Refused(Refused::NoProof)));
    let asked = asks(promise(&copied));
    assert_eq!(then(copied, vec![(3000, asked)]), Err(No::Try(NoTry::Doubtful)));
    let came = ended(DeliveryReport::proven(Delivery::Dispensed));
    assert_eq!(came.clone().of_a_copy(T0), came);
}

#[test]
fn a_word_about_an_earlier_try_changes_nothing() {
    let first = |outcome| DeliveryReport::proven(outcome);
    for order in [at_second(), then(at_second(), vec![(4000, Event::Delivered(of_second(Delivery::Dispensed)))]).expect("a fact")] {
        // A hostile machine sends the genuine word of the first try once more.
        let again = then(order.clone(), vec![(5000, Event::Delivered(first(Delivery::Undelivered)))]).expect("known");
        assert_eq!(again, order);
        for outcome in [Delivery::Dispensed, Delivery::Failed, Delivery::Uncertain] {
            assert_eq!(then(order.clone(), vec![(5000, Event::Delivered(first(outcome)))]), Err(No::Refused(Refused::OutcomeStands)));
            let told = Event::Contradicted { told: first(outcome), refund_on_its_way: false };
            assert_eq!(then(order.clone(), vec![(5000, told)]).as_ref(), Ok(&order));
        }
        assert!(!order.is_proven());
    }
}

#[test]
fn books_that_do_not_know_of_a_try_prove_nothing() {
    // Restored from yesterday: the machine tells of a second try.
    for outcome in [Delivery::Dispensed, Delivery::Failed, Delivery::Uncertain] {
        let told = of_second(outcome);
        assert_eq!(then(nothing_came(), vec![(5000, Event::Delivered(told.clone()))]), Err(No::Refused(Refused::OutcomeStands)));
        let order = then(nothing_came(), vec![(5000, Event::Contradicted { told, refund_on_its_way: false })]).expect("a fact");
        assert!(order.has_conflict() && order.try_again_until(T0 + Span::millis(6000)).is_none());
        assert!(!order.may_refund_by_itself(T0 + Span::secs(48 * 3600)), "{outcome}");
    }
    // It asked for one, and had no answer. Nothing came of that either.
    let told = Event::Delivered(of_second(Delivery::Undelivered));
    assert_eq!(then(nothing_came(), vec![(5000, told)]), Ok(nothing_came()));
    let paid = vec![(0, Event::Charged(charge(5000))), (1000, status(Said::Settled))];
    let order = then(order(), paid).and_then(|order| then(order, vec![(5000, Event::Delivered(of_second(Delivery::Undelivered)))]));
    assert!(order.expect("a fact").has_conflict());
}

#[test]
fn its_customer_wants_it_while_it_is_offered() {
    let wants = |by: Option<&str>| Event::TryWanted { by: by.map(Into::into) };
    let at = |milliseconds: i64| T0 + Span::millis(milliseconds);
    let order = then(nothing_came(), vec![(5000, wants(None))]).expect("a wish");
    assert_eq!(order.try_wanted_until(at(5000)), Some(at(605_000)));
    assert_eq!((next_deadline(&order), order.try_wanted_until(at(605_000))), (Some(at(605_000)), None));
    assert_eq!(duty(&order, at(605_000)), Duty::Apply(Event::TryWishEnds));
    let ended = then(order.clone(), vec![(605_000, Event::TryWishEnds)]).expect("a fact");
    assert_eq!((ended.tries.wanted_until, ended.try_again_until(at(605_000))), (None, order.tries.until));
    // A customer who wants the money has no other try, and one who got it wants none.
    for what in [refund(), Event::Given { by: "Sari".into() }, status(Said::Refunded)] {
        let order = then(order.clone(), vec![(6000, what)]).expect("granted");
        assert!(!order.is_open() && order.tries.wanted_until.is_none());
        assert_eq!((order.try_wanted_until(at(6000)), order.may_want_try(None, at(6000), &offering())), (None, Err(NoTry::Repaid)));
    }
    let asked = asks(promise(&order));
    let begun = then(order, vec![(7000, asked)]).expect("a receipt");
    assert_eq!((begun.number_of_try().get(), begun.tries.wanted_until), (2, None));
}

#[test]
fn a_person_prolongs_what_is_proven_and_nothing_else() {
    let hours = |hours: i64| Span::secs(hours * 3600);
    let wants = Event::TryWanted { by: Some("Sari".into()) };
    let over = then(nothing_came(), vec![(86_400_000, Event::TryOfferEnds)]).expect("a fact");
    let later = T0 + hours(30);
    assert_eq!(over.may_want_try(None, later, &offering()), Err(NoTry::NotOffered));
    assert_eq!(over.may_want_try(Some("Sari"), later, &rules()), Err(NoTry::Off), "0 turns it off for everybody");
    let order = then(over, vec![(30 * 3_600_000, wants.clone())]).expect("prolonged");
    assert_eq!((order.try_again_until(later), order.try_wanted_until(later)), (Some(later + hours(24)), Some(later + Span::secs(600))));
    // The number of the rules is used up, and it is proven once more that nothing came.
    let twice = then(at_second(), vec![(5000, Event::Delivered(of_second(Delivery::Undelivered)))]).expect("a fact");
    assert_eq!(twice.try_again_until(T0 + Span::millis(6000)), None);
    assert!(then(twice, vec![(6000, wants.clone())]).expect("prolonged").try_again_until(T0 + Span::millis(7000)).is_some());
    for outcome in [Delivery::Dispensed, Delivery::Uncertain] {
        let order = then(ended(DeliveryReport::proven(outcome)), vec![(6000, wants.clone())]).expect("nothing changes");
        assert_eq!((order.tries.until, order.tries.wanted_until), (None, None), "{outcome}");
    }
}

#[test]
fn the_offer_leaves_time_for_a_refund() {
    let hours = |hours: i64| Span::secs(hours * 3600);
    for (refund_within, offered) in
        [(None, Some(hours(24))), (Some(hours(24 * 7)), Some(hours(24))), (Some(hours(60)), Some(hours(12))), (Some(hours(48)), None)]
    {
        let settled = Event::Status(StatusReport { refund_within, ..report(Said::Settled) });
        let order = Order { sale: Sale { relay_key: Some(relay()), ..order().sale }, ..order() };
        let events = vec![(0, Event::Charged(charge(5000))), (0, settled), (0, told(Delivery::Undelivered))];
        let order = then(order, events).expect("facts");
        assert_eq!(order.tries.until, offered.map(|span| T0 + span), "{refund_within:?}");
    }
}
