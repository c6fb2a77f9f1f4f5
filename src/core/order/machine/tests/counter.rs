//! Orders that are paid at a store.

use super::*;

const DAY: Span = Span::secs(86_400);

fn code() -> PaymentCode {
    PaymentCode::new("8127740588870520").expect("a code")
}

fn told(status: Status) -> Seen {
    Seen { payload: None, code: Some(code()), store: Some("Alfamart".into()), expires_in: Some(DAY), ..seen(status) }
}

fn told_news(status: Status) -> Event {
    Event::Seen(told(status))
}

fn requested() -> Walk {
    Walk::of(Order::new(offer_by(Payment::Alfamart), ticket(), posted(), 1, Boot(0)))
}

pub(super) fn at_store() -> Walk {
    let walk = requested().then(told_news(Status::Pending), "awaiting_payment |");
    assert!(walk.order.holds_machine() && walk.order.code() == Some(&code()));
    walk
}

pub(super) fn in_background() -> Walk {
    // No news: it goes on waiting for its payment, and nothing is cancelled.
    let walk = at_store().after(120, "| look o-1");
    assert!(!walk.order.holds_machine() && walk.order.state == State::AtCounter(AtCounter {}));
    walk
}

pub(super) fn paid_at_store() -> Walk {
    let walk = in_background().alone(false).after(3_600, "| look o-1");
    let walk = walk.then(Event::Settled(receipt()), "awaiting_collection | look o-1");
    assert!(!walk.order.holds_machine() && unfinished(&walk.order));
    walk.alone(true)
}

pub(super) fn collected() -> Walk {
    let walk = paid_at_store().then(Event::Collected, "paid dispensing | dispense o-1");
    assert!(walk.order.holds_machine());
    walk
}

fn is_sent(walk: &Walk) -> bool {
    matches!(walk.order.state, State::AwaitingCollection(AwaitingCollection { sent: true, .. }))
}

#[test]
fn a_code_holds_the_machine_while_it_is_shown_and_is_collected_hours_later() {
    at_store().after(10, "| watch o-1").after(110, "| look o-1");
    // Nobody looks at the screen, and the relay may come back.
    let away = Walk { owner: None, screen_gone: Some(0), ..in_background() };
    away.after(80_000, "| look o-1")
        .then(Event::Settled(receipt()), "awaiting_collection | look o-1")
        .after(80_000, "| look o-1")
        .owned_by(2)
        .then(Event::Collected, "paid dispensing | dispense o-1")
        .then(over(Outcome::Dispensed), "dispensed | prove, tell o-1 dispensed")
        .then(Event::Collected, "| prove, tell o-1 dispensed");
    // It is not handed out while another order is served.
    let busy = paid_at_store().alone(false).then(Event::Collected, "| look o-1");
    busy.alone(true).then(Event::Collected, "paid dispensing | dispense o-1");
}

#[test]
fn paid_while_the_code_is_still_shown_frees_the_machine() {
    for walk in [at_store(), at_store().then(told_news(Status::Settlement), "|")] {
        let walk = walk.then(Event::Settled(receipt()), "awaiting_collection | look o-1");
        assert!(!walk.order.holds_machine());
        walk.then(Event::Settled(receipt()), "| look o-1");
    }
}

#[test]
fn a_code_that_cannot_be_shown_is_cancelled_at_once() {
    for (seen, end) in [
        (Seen { code: None, ..told(Status::Pending) }, "failed(gateway)"),
        (Seen { store: Some("indomaret".into()), ..told(Status::Pending) }, "failed(gateway)"),
        (Seen { gross_amount: Some(rp(4999)), ..told(Status::Pending) }, "failed(gross_amount)"),
        (Seen { kid: None, ..told(Status::Pending) }, "cancelled(unknown_key)"),
        (told(Status::Deny), "denied(gateway)"),
    ] {
        requested().then(Event::Seen(seen), &format!("{end} | close, cancel o-1"));
    }
    // A QR in place of a code does not count, and neither does a code in place of a QR.
    let walk = Walk::new().then(told_news(Status::Pending), "failed(gateway) | close, cancel o-1");
    assert_eq!(walk.order.code(), None);
}

#[test]
fn while_the_code_is_shown_a_machine_that_could_not_deliver_takes_it_down() {
    Walk { owner: None, now: 1000, changed: 1000, ..at_store() }.after(5, "cancelling(relay) | cancel o-1");
    at_store().then(Event::CheckFailed(Reason::LineBlocked), "cancelling(line_blocked) | cancel o-1");
}

#[test]
fn what_ends_an_order_in_the_background() {
    for (event, follows) in [
        (Event::Forsaken, "expired(backend) | close"),
        (told_news(Status::Expire), "expired | close"),
        (told_news(Status::Cancel), "cancelled(backend) | close"),
        (told_news(Status::Deny), "denied(gateway) | close, cancel o-1"),
        (told_news(Status::Failure), "failed(gateway) | close"),
        (Event::CancelRequested, "cancelling(customer) | cancel o-1"),
    ] {
        let asked = event == Event::CancelRequested;
        let walk = in_background().alone(false).then(event, follows);
        assert!(!walk.order.holds_machine(), "{follows}: another customer is served meanwhile");
        let walk = if asked { walk.then(told_news(Status::Cancel), "cancelled(customer) | close") } else { walk };
        // Nobody can collect it any more.
        walk.then(Event::Settled(receipt()), "refund_due(late) | close");
    }
}

#[test]
fn a_code_whose_time_is_over_keeps_its_piece_until_the_gateway_has_ended_it_for_good() {
    let item = offer_by(Payment::Alfamart).item;
    let lasting = Seen { over: false, ..told(Status::Expire) };
    let expired = || in_background().then(Event::Seen(lasting.clone()), "expired | look o-1");
    for walk in [in_background(), expired(), expired().restarted(false), expired().after(80_000, "| look o-1")] {
        assert!(walk.order.holds_unpaid(&item), "{:?}", walk.order.state);
    }
    // It was paid in its last second, and the store has told it minutes later.
    let paid = expired().alone(false).after(600, "| look o-1").then(Event::Settled(receipt()), "awaiting_collection | look o-1");
    assert!(!paid.order.holds_unpaid(&item) && paid.order.keeps(&item, false));
    // Nobody has paid it.
    let over = expired().then(told_news(Status::Expire), "| close");
    assert!(!over.order.holds_unpaid(&item));
    over.then(Event::Settled(receipt()), "refund_due(late) | close");
    // A QR is no code, and what is cancelled is not waited for.
    assert!(!Walk::new().order.holds_unpaid(&item));
    let cancelled = in_background().then(Event::CancelRequested, "cancelling(customer) | cancel o-1");
    assert!(!cancelled.order.holds_unpaid(&item));
}

#[test]
fn cancelled_from_the_screen_and_paid_within_the_grace_it_waits_and_is_not_dropped_before_nobody() {
    let walk = Walk { now: 5_000, ..at_store() }.then(Event::CancelRequested, "cancelling(customer) | cancel o-1");
    assert!(walk.order.holds_machine(), "for its answer");
    let walk = walk.then(told_news(Status::Cancel), "cancelled(customer) |");
    walk.alone(false).then(Event::Settled(receipt()), "awaiting_collection | look o-1");
}

#[test]
fn what_waits_too_long_or_is_settled_otherwise_is_not_collected() {
    for seen in [
        Seen { expires_in: Some(Span::ZERO), ..told(Status::Settlement) },
        Seen { refund: true, ..told(Status::Settlement) },
        Seen { has_outcome: true, ..told(Status::Settlement) },
        told(Status::Refund),
    ] {
        paid_at_store()
            .then(Event::Seen(seen), "refund_due(not_collected) | close")
            .then(Event::Collected, "| close")
            .then(closed(CloseAnswer::Closed), "| prove, tell o-1 undelivered(not_collected)");
    }
    // A backend of before the settlement.
    paid_at_store().then(told_news(Status::Settlement), "| look o-1").then(told_news(Status::Pending), "| look o-1");
}

#[test]
fn a_payment_that_the_store_took_back_ends_unpaid() {
    for (status, end) in [(Status::Deny, "denied(gateway)"), (Status::Failure, "failed(gateway)"), (Status::Expire, "expired(gateway)")] {
        let taken_back = || {
            let walk = paid_at_store().then(told_news(status), &format!("{end} | close"));
            walk.then(Event::Collected, "| close").then(Event::Settled(receipt()), "| close")
        };
        assert!(taken_back().order.receipt().is_some(), "what was believed is kept");
        // The ledger's word is final.
        taken_back().then(closed(CloseAnswer::Ended(Outcome::Dispensed)), "dispensed | prove, tell o-1 dispensed");
        let walk = taken_back().then(closed(CloseAnswer::Closed), "|");
        assert!(!unfinished(&walk.order));
        // The settlement is taken back once more.
        walk.then(told_news(Status::Settlement), "refund_due(late) | close");
    }
    // Money that does not match its charge has come, and is due back.
    paid_at_store().then(Event::Seen(Seen { refund: true, ..told(Status::Failure) }), "refund_due(mismatch) | close");
}

#[test]
fn a_restart_keeps_what_waits_and_the_power_cut_of_a_collection_gives_the_code_back() {
    for same_boot in [true, false] {
        let walk = in_background().restarted(same_boot).after(10_000, "| look o-1");
        assert_eq!(walk.order.state, State::AtCounter(AtCounter {}));
        let walk = walk.then(Event::Settled(receipt()), "awaiting_collection | look o-1");
        walk.restarted(same_boot).after(10_000, "| look o-1").owned_by(1).then(Event::Tick, "| look o-1");
    }
    let cut = |same_boot| collected().restarted(same_boot).owned_by(1).then(Event::Tick, "| query o-1");
    // The customer stands there.
    cut(true).then(answered(DispenseAnswer::Unknown), "| dispense o-1");
    // Nobody knows how long the power was off. What is asked for in this boot is of this boot.
    let waits = cut(false).then(answered(DispenseAnswer::Unknown), "awaiting_collection | look o-1");
    assert!(is_sent(&waits));
    assert!(!waits.then(Event::Collected, "paid dispensing | dispense o-1").order.earlier_boot);
    cut(false).then(over(Outcome::Dispensed), "dispensed | prove, tell o-1 dispensed");
    cut(false).then(over(Outcome::Uncertain), "refund_due(uncertain) | prove, tell o-1 uncertain(uncertain)");
}

#[test]
fn delivery_may_take_its_time_from_the_collection_on() {
    let walk = collected().after(599, "| dispense o-1");
    assert!(walk.order.holds_machine());
    assert!(!walk.after(1, "| close").order.holds_machine());
    // After a reboot the relay may be away for longer. The machine is free, and still waits for the ledger's word.
    let away = || collected().restarted(false).after(600, "awaiting_collection | query o-1, look o-1");
    assert!(!away().order.holds_machine() && is_sent(&away()));
    let walk = away().then(Event::Collected, "| query o-1, look o-1").then(answered(DispenseAnswer::Unknown), "| look o-1");
    walk.then(Event::Collected, "paid dispensing | dispense o-1");
    away().then(over(Outcome::Dispensed), "dispensed | prove, tell o-1 dispensed");
}

#[test]
fn a_lost_database_keeps_what_is_paid_at_a_store() {
    let adopt = |seen: Seen, receipt: Option<Receipt>| {
        let walk = Walk::new().alone(false);
        let order = walk.with(|_, now, with| Order::adopted(offer_by(Payment::Alfamart), ticket(), &seen, receipt, now, with));
        Walk { order, ..walk }
    };
    let walk = adopt(told(Status::Pending), None);
    assert_eq!((walk.order.name(), walk.order.code()), ((EventState::AwaitingPayment, None), Some(&code())));
    // Another machine may have had its ticket.
    assert!(is_sent(&walk.then(Event::Settled(receipt()), "awaiting_collection | look o-1")));
    assert_eq!(adopt(Seen { code: None, ..told(Status::Pending) }, None).calls(), "close, cancel o-1", "nobody was given its code");

    // It may have been handed out before.
    let walk = adopt(told(Status::Settlement), Some(receipt()));
    assert_eq!(walk.order.name(), (EventState::AwaitingCollection, None));
    assert!(!walk.order.holds_machine() && is_sent(&walk));
    let ended = Event::Seen(Seen { expires_in: Some(Span::ZERO), ..told(Status::Settlement) });
    walk.then(Event::Tick, "| query o-1, look o-1")
        .then(answered(DispenseAnswer::Unknown), "| look o-1")
        .then(ended, "refund_due(not_collected) | close")
        .then(Event::TicketUnknown, "refund_due(uncertain) | prove, tell o-1 uncertain(uncertain)");
}
