//! Where the item of an order is, and what a paid order is worth whose slot is empty.

use super::counter::paid_at_store;
use super::*;
use crate::order::stock::Fate;

fn ended(outcome: Outcome) -> Event {
    Event::RelayAnswered(DispenseAnswer::Ended(outcome))
}

fn goods(walk: &Walk) -> (Option<Fate>, bool) {
    (walk.order.fate(), walk.order.is_promised(false))
}

#[test]
fn an_item_is_promised_while_it_can_be_paid_and_is_out_before_the_relay_is_asked() {
    let promised = (Some(Fate::InPlace), true);
    assert_eq!([goods(&Walk::new()), goods(&Walk::offered())], [promised; 2]);
    let dispensing = Walk::dispensing();
    assert_eq!(goods(&dispensing), (Some(Fate::Out), false));
    for (outcome, fate) in [
        (Outcome::Dispensed, Fate::Delivered),
        (Outcome::Failed, Fate::Failed),
        (Outcome::NotDriven, Fate::InPlace),
        (Outcome::Uncertain, Fate::Out),
    ] {
        let walk = Walk::dispensing();
        let order = walk.with(|order, now, with| apply(order.clone(), ended(outcome), now, with));
        assert_eq!((order.fate(), order.is_promised(false)), (Some(fate), false), "{outcome:?}");
        // It stays where it is once the backend knows.
        let told = walk.with(|_, now, with| apply(order.clone(), Event::Reported, now, with));
        assert_eq!(told.fate(), Some(fate), "{outcome:?}");
    }
}

#[test]
fn the_qr_that_left_the_screen_keeps_its_item_until_its_grace_is_over() {
    let walk = Walk::offered().then(Event::CancelRequested, "cancelling(customer) | cancel o-1");
    assert_eq!(goods(&walk), (Some(Fate::InPlace), true));
    let walk = walk.then(Event::Seen(Seen { over: false, ..seen(Status::Cancel) }), "cancelled(customer) | await o-1");
    assert_eq!(goods(&walk), (Some(Fate::InPlace), true));
    let walk = walk.then(Event::GraceOver, "| close, look o-1");
    assert_eq!(goods(&walk), (Some(Fate::InPlace), false));
}

#[test]
fn a_payment_for_an_empty_slot_is_refunded_and_its_ticket_closed() {
    let walk = Walk::offered().empty().then(Event::Settled(receipt()), "refund_due(sold_out) | close");
    assert_eq!(goods(&walk), (None, false), "the relay must say first that it will not drive it");
    let walk = walk.then(Event::TicketClosed(CloseAnswer::Closed), "| prove, tell o-1 undelivered(sold_out)");
    assert_eq!(goods(&walk), (Some(Fate::InPlace), false));
    // The relay has driven it all the same: somebody else has shown it the receipt.
    Walk::offered()
        .empty()
        .then(Event::Settled(receipt()), "refund_due(sold_out) | close")
        .then(Event::TicketClosed(CloseAnswer::Ended(Outcome::Dispensed)), "dispensed | prove, tell o-1 dispensed");
}

#[test]
fn what_is_on_its_way_is_not_stopped_by_an_empty_slot() {
    // Its own item was the last one.
    let walk = Walk::dispensing().empty().restarted(true).owned_by(1);
    walk.then(Event::RelayAnswered(DispenseAnswer::Unknown), "| dispense o-1")
        .then(ended(Outcome::Dispensed), "dispensed | prove, tell o-1 dispensed");
}

#[test]
fn what_was_paid_at_a_store_waits_until_its_slot_is_filled() {
    let walk = paid_at_store();
    assert_eq!(goods(&walk), (Some(Fate::InPlace), true));
    let walk = walk.empty().then(Event::Collected, "| look o-1");
    Walk { empty: false, ..walk }.then(Event::Collected, "paid dispensing | dispense o-1");
}
