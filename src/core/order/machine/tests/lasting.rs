//! An order that ended unpaid, while its charge lasts at the gateway: money may still come, and nobody brings the news of it.

use super::counter::in_background;
use super::*;

/// The backend calls it ended, and the gateway has not ended it for good.
fn lasting(status: Status) -> Event {
    Event::Seen(Seen { over: false, ..seen(status) })
}

fn cancelled() -> Walk {
    let walk = Walk::offered().after(120, "cancelling(timeout) | cancel o-1");
    walk.then(lasting(Status::Cancel), "cancelled(timeout) | await o-1")
}

#[test]
fn it_is_asked_about_in_the_grace_and_then_until_the_gateway_has_ended_it_with_a_broker_and_without() {
    for push in [true, false] {
        let walk = Walk { push, ..cancelled() };
        assert_eq!(walk.with(next_deadline), Some(Boot(265_001)), "it waits for the answer to the last question");
        let walk = walk.after(120, "| await o-1").after(25, "| await o-1").after(1, "| close, look o-1");
        let walk = walk.then(closed(CloseAnswer::Closed), "| look o-1").after(3600, "| look o-1");
        assert!(unfinished(&walk.order) && !walk.order.holds_machine() && walk.order.waits_for_news());
        let walk = walk.then(lasting(Status::Cancel), "| look o-1").then(news(Status::Cancel), "|");
        assert!(!unfinished(&walk.order) && !walk.order.waits_for_news());
    }
}

#[test]
fn money_that_comes_in_the_grace_is_delivered_and_later_money_is_owed() {
    cancelled().after(1, "| await o-1").then(Event::Settled(receipt()), "paid dispensing | dispense o-1");
    cancelled().after(145, "| await o-1").then(Event::Settled(receipt()), "paid dispensing | dispense o-1");
    // The answer is there: nothing was paid in the grace.
    let over = cancelled().then(Event::GraceOver, "| close, look o-1").then(Event::GraceOver, "| close, look o-1");
    over.then(Event::Settled(receipt()), "refund_due(late) | close");
    let late = cancelled().after(146, "| close, look o-1").then(closed(CloseAnswer::Closed), "| look o-1");
    late.then(Event::Settled(receipt()), "refund_due(late) | close");
    // Money without a receipt.
    let mismatch = Event::Seen(Seen { refund: true, ..seen(Status::Failure) });
    cancelled().then(mismatch, "refund_due(mismatch) | close");
}

/// Its receipt was heard by somebody, who showed it to the relay. Then the counter took the money back, before the machine could hear of it.
#[test]
fn what_the_relay_drove_for_somebody_else_is_told() {
    for answer in [CloseAnswer::Ended(Outcome::Dispensed), CloseAnswer::Later(jammed())] {
        let driven = || closed(answer);
        let told = "refund_due(uncertain) | prove, tell o-1 uncertain(uncertain)";
        cancelled().after(146, "| close, look o-1").then(driven(), told);
        // Its charge must end first.
        let denied = Walk::offered().then(news(Status::Deny), "denied(gateway) | cancel o-1").after(200, "| close, cancel o-1");
        let denied = denied.then(driven(), "| close, cancel o-1").then(news(Status::Deny), "| close");
        denied.then(driven(), told).then(Event::Reported, "|");
    }
    // No charge is known that anybody could be told of.
    let without = Walk::new().after(15, "failed(backend) | close, find").then(Event::Absent, "| close");
    assert!(!unfinished(&without.then(closed(CloseAnswer::Ended(Outcome::Dispensed)), "|").order));
}

#[test]
fn every_end_of_a_charge_may_last() {
    let rows = [
        (Walk::offered(), Status::Expire, "expired | await o-1"),
        (Walk::offered(), Status::Cancel, "cancelled(timeout) | await o-1"),
        (Walk::offered(), Status::Failure, "failed(gateway) | await o-1"),
        // It is cancelled first.
        (Walk::offered(), Status::Deny, "denied(gateway) | cancel o-1"),
        (Walk::new(), Status::Cancel, "failed(backend) | close, look o-1"),
        // A payment at the store that comes late finds its piece there.
        (in_background(), Status::Expire, "expired | look o-1"),
        (Walk::new().after(15, "failed(backend) | close, find"), Status::Cancel, "| close, look o-1"),
        // Nothing can be paid any more that went back.
        (Walk::offered(), Status::Refund, "failed(gateway) |"),
    ];
    for (walk, status, follows) in rows {
        walk.then(lasting(status), follows);
    }
    let denied = Walk::offered().then(lasting(Status::Deny), "denied(gateway) | cancel o-1");
    denied.then(lasting(Status::Deny), "| await o-1").then(news(Status::Deny), "|");
}

#[test]
fn it_can_be_paid_again_after_all_and_is_cancelled_then() {
    cancelled().then(news(Status::Pending), "| cancel o-1").then(lasting(Status::Cancel), "| await o-1");
}

#[test]
fn another_charge_of_the_request_says_nothing_about_it() {
    cancelled().then(other_news(Status::Cancel), "| await o-1");
}

#[test]
fn it_lasts_through_a_reboot_and_until_the_books_have_long_been_without_it() {
    // Nobody knows how long the power was off: the grace is over.
    let walk = cancelled().restarted(false).owned_by(1);
    assert_eq!(walk.calls(), "close, look o-1");
    let walk = walk.then(closed(CloseAnswer::Closed), "| look o-1").then(Event::Absent, "| look o-1");
    walk.then(Event::Forsaken, "|");
    assert_eq!(cancelled().restarted(true).calls(), "await o-1");
}
