//! Another try at what did not come.

use super::*;
use crate::order::receipt::Claims;
use crate::order::tries::Try;

fn ticket_2() -> Ticket {
    Ticket::from_random([2; 16])
}

fn second() -> TryNumber {
    TryNumber::FIRST.next().expect("2")
}

/// The relay's promise of a second try, at another item.
fn wanted() -> PromisedTry {
    let goods = LaterTry { number: second(), after: ticket(), item: ItemId::new("A2").expect("an id"), amount: rp(3000) };
    PromisedTry { ticket: ticket_2(), goods, promise: "promise".into() }
}

fn claims_2() -> Claims {
    let PromisedTry { ticket, goods: LaterTry { number, after, item, amount }, .. } = wanted();
    Claims { ticket, item, amount, nth: Try::Again { number, after }, ..claims() }
}

fn receipt_2() -> Receipt {
    key().sign(claims_2())
}

fn promised(pressed_at: i64) -> Event {
    Event::TryPromised(wanted(), Boot(pressed_at))
}

/// The sensor says that nothing came, and the backend knows it.
fn failed() -> Walk {
    let walk = Walk::offered().then(Event::Settled(receipt()), "paid dispensing | dispense o-1");
    walk.then(over(Outcome::Failed), "refund_due(failed) | prove, tell o-1 failed(failed)").then(Event::Reported, "|")
}

/// The customer has pressed, and the relay has promised.
fn trying() -> Walk {
    let walk = failed();
    let now = walk.now;
    walk.then(promised(now), "trying_again | again o-1 promise")
}

/// The calls of the second try name its ticket.
fn of_2(word: &str) -> String {
    format!("{word} {}", ticket_2())
}

#[test]
fn a_second_try_is_driven_by_a_receipt_of_its_own() {
    let walk = trying();
    assert!(walk.order.holds_machine() && walk.order.fits(&receipt_2()) && !walk.order.fits(&receipt()));
    assert_eq!((walk.order.next_item().as_str(), walk.order.item().as_str(), walk.order.fate()), ("A2", "A1", None));
    let walk = walk.then(Event::Settled(receipt_2()), "dispensing | dispense o-1");
    assert_eq!((walk.order.item().as_str(), &walk.order.ticket, walk.order.number_of_try()), ("A2", &ticket_2(), second()));
    assert!(walk.order.fits(&receipt_2()) && !walk.order.fits(&receipt()));
    let walk = walk.then(over(Outcome::Dispensed), &format!("dispensed | {}, tell o-1 dispensed", of_2("prove")));
    walk.then(Event::Reported, "|");
}

#[test]
fn only_nothing_that_the_backend_knows_of_leads_to_another_try() {
    let paid = || Walk::offered().then(Event::Settled(receipt()), "paid dispensing | dispense o-1");
    let tell = |of: &str, outcome: Outcome| paid().then(over(outcome), of);
    let came = tell("dispensed | prove, tell o-1 dispensed", Outcome::Dispensed);
    let uncertain = tell("refund_due(uncertain) | prove, tell o-1 uncertain(uncertain)", Outcome::Uncertain);
    let not_driven = tell("refund_due(failed) | prove, tell o-1 failed(failed)", Outcome::NotDriven);
    let untold = tell("refund_due(failed) | prove, tell o-1 failed(failed)", Outcome::Failed);
    let refused = paid().then(Event::RelayRefused(RelayRefusal::Other), "refund_due(relay_refused) | close");
    let undelivered = refused.clone().then(closed(CloseAnswer::Closed), "| prove, tell o-1 undelivered(relay_refused)");
    for (walk, is_told, may) in [
        (came, true, false),
        (uncertain, true, false),
        (not_driven, true, false),
        (untold.clone(), false, false),
        (untold, true, true),
        (refused, false, false),
        (undelivered, true, true),
        (Walk::offered(), false, false),
    ] {
        let walk = Walk { order: if is_told { apply_to(&walk, Event::Reported) } else { walk.order.clone() }, ..walk };
        let next = apply_to(&walk, promised(walk.now));
        assert_eq!(matches!(next.state, State::TryingAgain(_)), may, "{:?}", walk.order.state);
        assert_eq!(walk.order.came_to_nothing(), may, "{:?}", walk.order.state);
    }
}

fn apply_to(walk: &Walk, event: Event) -> Order {
    walk.clone().with(|order, now, with| apply(order.clone(), event, now, with))
}

#[test]
fn nobody_else_is_kept_waiting_and_nobody_who_fills_it_gets_the_goods() {
    let next = |walk: Walk| matches!(apply_to(&walk, promised(walk.now)).state, State::TryingAgain(_));
    assert!(next(failed()));
    assert!(!next(failed().alone(false)));
    assert!(!next(failed().held()));
}

#[test]
fn a_try_without_a_receipt_is_given_up_and_its_ticket_closed_first() {
    let walk = trying().after(14, "| again o-1 promise").after(1, &format!("refund_due(late) | {}", of_2("close")));
    assert_eq!((walk.order.holds_machine(), walk.order.number_of_try()), (false, second()));
    // The receipt comes all the same.
    let walk = walk.then(Event::Settled(receipt_2()), &format!("| {}", of_2("close")));
    let told = format!("{}, tell o-1 undelivered(late)", of_2("prove"));
    walk.then(closed(CloseAnswer::Closed), &format!("| {told}")).then(Event::Reported, "|");
    // So it is when the customer goes, or the power.
    trying().then(Event::CancelRequested, &format!("refund_due(late) | {}", of_2("close")));
    let walk = trying().restarted(false).owned_by(1);
    assert_eq!((walk.calls(), walk.order.number_of_try()), (of_2("close"), second()));
    // A program that was started again in the same boot goes on.
    assert_eq!(trying().restarted(true).owned_by(1).calls(), "again o-1 promise");
}

#[test]
fn a_try_that_the_backend_refuses_leaves_the_order_as_it_was() {
    let walk = trying().then(Event::TryRefused, "refund_due(failed) |");
    assert_eq!(walk.order, failed().order);
    let refund = Event::Seen(Seen { refund: true, has_outcome: true, ..seen(Status::Refund) });
    let walk = trying().then(refund.clone(), "refund_due(failed) |");
    walk.then(refund, "refunded |");
}

#[test]
fn the_time_of_a_try_counts_from_the_press() {
    let walk = failed();
    let pressed = walk.now - 5_000;
    let walk = walk.then(promised(pressed), "trying_again | again o-1 promise");
    let late = walk.clone().after(10, &format!("refund_due(late) | {}", of_2("close")));
    late.then(Event::Settled(receipt_2()), &format!("| {}", of_2("close")));
    let seconds = RULES.deliver_within.as_secs_up();
    let walk = walk.then(Event::Settled(receipt_2()), "dispensing | dispense o-1").after(seconds - 6, "| dispense o-1");
    walk.after(1, &format!("| {}", of_2("close")));
}

#[test]
fn a_try_is_not_taken_up_again_after_a_power_cut() {
    let walk = trying().then(Event::Settled(receipt_2()), "dispensing | dispense o-1").restarted(false).owned_by(1);
    assert_eq!(walk.calls(), "query o-1, try 2");
    walk.clone().then(answered(DispenseAnswer::Unknown), &format!("refund_due(late) | {}", of_2("close")));
    // The ledger knows better.
    walk.then(over(Outcome::Dispensed), &format!("dispensed | {}, tell o-1 dispensed", of_2("prove")));
    // In the same boot its customer is still there.
    let walk = trying().then(Event::Settled(receipt_2()), "dispensing | dispense o-1").restarted(true).owned_by(1);
    walk.then(answered(DispenseAnswer::Unknown), "| dispense o-1");
}

#[test]
fn nothing_is_left_of_what_was_pressed() {
    trying().empty().then(Event::Settled(receipt_2()), &format!("refund_due(sold_out) | {}", of_2("close")));
}

#[test]
fn the_backend_knows_a_later_try_than_an_older_database() {
    let walk = failed().then(Event::Overtaken(receipt_2()), &format!("refund_due(late) | {}", of_2("close")));
    assert_eq!(walk.order.number_of_try(), second());
    walk.then(closed(CloseAnswer::Ended(Outcome::Dispensed)), &format!("dispensed | {}, tell o-1 dispensed", of_2("prove")));
    // An earlier one, and one of another order, are none.
    failed().then(Event::Overtaken(receipt()), "|");
    failed().then(Event::Overtaken(key().sign(Claims { sub: other_id(), ..claims_2() })), "|");
    let came = Walk::offered().then(Event::Settled(receipt()), "paid dispensing | dispense o-1");
    let came = came.then(over(Outcome::Dispensed), "dispensed | prove, tell o-1 dispensed");
    came.then(Event::Overtaken(receipt_2()), "| prove, tell o-1 dispensed");
    // A lost database: the relay alone can tell.
    let offer = Offer { item: claims_2().item, amount: claims_2().amount, ..offer() };
    let walk = Walk::new();
    let adopted = walk
        .clone()
        .with(|_, now, with| Order::adopted(offer.clone(), ticket_2(), &seen(Status::Settlement), Some(receipt_2()), now, with));
    assert!(adopted.fits(&receipt_2()));
    assert_eq!(Walk { order: adopted, ..walk }.calls(), of_2("close"));
}

#[test]
fn what_was_paid_at_a_store_and_did_not_come_is_tried_at_once() {
    let walk = super::counter::collected();
    let walk = walk.then(over(Outcome::Failed), "refund_due(failed) | prove, tell o-1 failed(failed)").then(Event::Reported, "|");
    let now = walk.now;
    let walk = walk.then(promised(now), "trying_again | again o-1 promise");
    walk.then(Event::Settled(receipt_2()), "dispensing | dispense o-1");
}
