//! Cases that the walks do not reach: the exact bounds, and which order or request is meant.

use super::*;

#[test]
fn what_is_being_driven_is_not_delivered_yet() {
    let mut walk = Walk::dispensing();
    assert!(walk.on(Event::RelayAnswered(DispenseAnswer::Dispensing)).is_empty());
    assert_eq!(walk.relay(), Some(RelayCall::Query(id())));
    assert!(walk.on(Event::RelayAnswered(DispenseAnswer::Dispensing)).is_empty(), "however often it is asked");
    assert_eq!(walk.backend(), None, "and nothing is reported");
}

#[test]
fn a_lost_database_delivers_within_the_time_and_only_where_nobody_else_is_served() {
    let mut walk = Walk::new();
    walk.now = 1_000_000;
    let adopted = |walk: &Walk| {
        walk.with(|_, now, with| Order::adopted(offer(), ticket(), &seen(Status::Settlement), Some(receipt()), now, with).state)
    };
    let State::Dispensing { deliver_by, .. } = adopted(&walk) else { panic!("it is asked for") };
    assert_eq!(deliver_by, Boot(1_600_000));
    walk.alone = false;
    let late = State::RefundDue { receipt: Some(receipt()), why: Undelivered::Late, report: Report::CloseFirst { sent: true } };
    assert_eq!(adopted(&walk), late);
}

#[test]
fn after_a_reboot_the_time_to_deliver_begins_anew() {
    let deliver_by = |state: State| {
        let order = Order { state, ..Walk::dispensing().order };
        match order.restarted(false, Boot(1_000_000), &RULES).state {
            State::Paid { deliver_by, .. } | State::Dispensing { deliver_by, .. } => deliver_by,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(deliver_by(State::Paid { receipt: receipt(), deliver_by: Boot(1) }), Boot(1_600_000));
    assert_eq!(deliver_by(Walk::dispensing().order.state), Boot(1_600_000));
}

#[test]
fn who_waits_for_a_customer() {
    let waiting = State::AwaitingCollection { receipt: receipt(), sent: false, doubtful: false };
    for (state, waits) in [(State::AtCounter, true), (waiting, true), (Walk::dispensing().order.state, false)] {
        let order = Order { state, ..Walk::new().order };
        assert_eq!(order.waits_for_customer(), waits, "{:?}", order.state);
    }
}

#[test]
fn the_same_request_again_is_told_from_another_one_of_that_name() {
    let order = Walk::new().order;
    let adopted = Order { posted: Posted::default(), ..order.clone() };
    type Change = fn(&mut VendRequest);
    let changes: [(Change, bool, bool); 7] = [
        (|_| {}, true, true),
        // The backend told neither value; so either may have been the same.
        (|r| r.timeout_s = Some(60), false, true),
        (|r| r.amount = Some(rp(5000)), false, true),
        (|r| r.amount = Some(rp(6000)), false, false),
        (|r| r.item = ItemId::new("A2").expect("an id"), false, false),
        (|r| r.payment = Payment::Alfamart, false, false),
        (|r| r.request_id = RequestId::new("r-2").expect("an id"), false, false),
    ];
    for (number, (change, same, as_told)) in changes.into_iter().enumerate() {
        let mut request = offer().request;
        change(&mut request);
        assert_eq!((order.is_of(&request), adopted.is_of(&request)), (same, as_told), "row {number}");
    }
}

#[test]
fn a_paid_order_takes_no_receipt_of_another_charge() {
    let mut other = claims();
    other.sub = OrderId::new("o-2").expect("an id");
    let other = key().sign(other);
    assert!(Walk::dispensing().order.fits(&receipt()));
    assert!(!Walk::dispensing().order.fits(&other));
    assert!(Walk::offered().order.fits(&other), "what was paid counts, whichever charge it was");
}

#[test]
fn only_a_collection_of_an_earlier_boot_goes_back_to_wait_when_its_time_is_over() {
    let table =
        [(Payment::Gopay, false, false), (Payment::Gopay, true, false), (Payment::Alfamart, false, false), (Payment::Alfamart, true, true)];
    for (payment, earlier_boot, waits) in table {
        let state = State::Dispensing { receipt: receipt(), deliver_by: Boot(10_000), ask: Ask::Query, sent: true, overdue: false };
        let mut walk = Walk::new();
        walk.order = Order { offer: offer_by(payment), earlier_boot, state, ..walk.order };
        walk.after(10);
        assert_eq!(walk.order.waits_for_customer(), waits, "{payment:?}, earlier boot {earlier_boot}: {:?}", walk.order.state);
    }
}

#[test]
fn what_a_charge_was_told_once_stays_known_of_it_and_of_no_other() {
    let told =
        Seen { code: PaymentCode::new("812345678901").ok(), pay_url: Some("https://pay.example/o-1".into()), ..seen(Status::Pending) };
    let first = Charge::of(&told, true, None);
    assert!(first.code.is_some() && first.pay_within.is_some());
    let less = Seen { expires_in: Some(Span::secs(1)), ..seen(Status::Pending) };
    let again = Charge::of(&less, true, Some(&first));
    assert_eq!((&again.code, again.pay_within, &again.pay_url), (&first.code, first.pay_within, &first.pay_url));
    let other = Seen { order_id: OrderId::new("o-2").expect("an id"), ..less };
    let other = Charge::of(&other, true, Some(&first));
    assert_eq!((other.code, other.pay_within, other.pay_url), (None, None, None));
}

#[test]
fn a_delivery_that_is_over_in_time_is_decided_by_close_and_not_before() {
    let mut walk = Walk::dispensing();
    let State::Dispensing { deliver_by, .. } = walk.order.state else { panic!("it is delivered") };
    walk.now = deliver_by.0 - 1;
    assert!(walk.on(Event::Tick).is_empty());
    assert_eq!(walk.relay(), Some(RelayCall::Dispense(receipt())));
    walk.now += 1;
    walk.on(Event::Tick);
    assert_eq!(walk.relay(), Some(RelayCall::Close(ticket())));
    // A receipt that waits for the backend's word was never sent to the relay.
    let mut walk = Walk::new();
    walk.order = Order { earlier_boot: true, state: State::Paid { receipt: receipt(), deliver_by: Boot(10_000) }, ..walk.order };
    walk.now = 9_999;
    assert!(walk.on(Event::Tick).is_empty());
    walk.now += 1;
    assert_eq!(walk.on(Event::Tick), ["refund_due(late)"]);
}

#[test]
fn a_settlement_without_its_receipt_puts_nothing_on_the_screen() {
    let mut walk = Walk::new();
    assert!(walk.on(Event::Seen(seen(Status::Settlement))).is_empty());
    assert!(matches!(walk.order.state, State::Requested { .. }), "the receipt comes by itself");
}

#[test]
fn what_was_paid_back_is_refunded_once_its_report_is_there_and_the_backend_says_so() {
    for (status, refunded) in [(Status::Refund, true), (Status::Settlement, false)] {
        let mut walk = Walk::new();
        walk.order.state =
            State::RefundDue { receipt: Some(receipt()), why: Undelivered::Late, report: Report::Told(Delivery::Undelivered) };
        walk.on(Event::Seen(seen(status)));
        assert_eq!(matches!(walk.order.state, State::Refunded { .. }), refunded, "{status:?}");
    }
}

#[test]
fn the_grace_counts_from_the_end_that_gateway_made() {
    let table: [(i64, &[&str]); 2] = [(120, &["paid", "dispensing"]), (121, &["refund_due(late)"])];
    for (later, told) in table {
        let mut walk = Walk::offered();
        walk.after(10);
        assert_eq!(walk.on(Event::Seen(seen(Status::Expire))), ["expired"]);
        walk.after(later);
        assert_eq!(walk.on(Event::Settled(receipt())), told, "{later} s");
    }
}

#[test]
fn a_deadline_of_gateway_counts_where_it_is_more_than_two_seconds_sooner() {
    for (left_ms, until) in [(119_000, 120_000), (118_000, 120_000), (117_999, 117_999)] {
        let mut walk = Walk::offered();
        walk.on(Event::Seen(Seen { expires_in: Some(Span::millis(left_ms)), ..seen(Status::Pending) }));
        assert!(
            matches!(walk.order.state, State::AwaitingPayment { until: found, .. } if found == Boot(until)),
            "{left_ms}: {:?}",
            walk.order.state
        );
    }
}

#[test]
fn another_charge_that_is_left_waits_for_the_first_to_be_cancelled() {
    let other = || Seen { order_id: OrderId::new("o-2").expect("an id"), ..seen(Status::Pending) };
    for left in [LeftCharge::ToCancel(id()), LeftCharge::Nothing] {
        let mut walk = Walk::offered();
        let first = left != LeftCharge::Nothing;
        walk.order.state = State::Ended { how: End::Denied, why: None, late_until: None, left, ticket_closed: true };
        walk.on(Event::Seen(other()));
        let cancelled = if first { id() } else { other().order_id };
        assert_eq!(walk.backend(), Some(BackendCall::Cancel(cancelled)));
    }
}

#[test]
fn news_of_the_first_charge_leaves_the_other_one_to_be_cancelled() {
    let other = || OrderId::new("o-2").expect("an id");
    for status in [Status::Pending, Status::Settlement, Status::Expire, Status::Cancel, Status::Deny, Status::Failure, Status::Refund] {
        let mut walk = Walk::offered();
        let left = LeftCharge::ToCancel(other());
        walk.order.state = State::Ended { how: End::Cancelled, why: None, late_until: None, left, ticket_closed: true };
        walk.on(Event::Seen(seen(status)));
        assert_eq!(walk.backend(), Some(BackendCall::Cancel(other())), "{status:?}");
    }
}

#[test]
fn a_receipt_that_comes_before_the_deadline_was_looked_at_has_the_same_grace() {
    let table: [(i64, &[&str]); 2] = [(240_000, &["paid", "dispensing"]), (240_001, &["refund_due(late)"])];
    for (now, told) in table {
        let mut walk = Walk::offered();
        walk.now = now;
        assert_eq!(walk.on(Event::Settled(receipt())), told, "{now} ms");
    }
}

#[test]
fn a_receipt_tells_what_was_paid_and_leaves_the_rest_of_its_charge() {
    let mut other = claims();
    other.sub = OrderId::new("o-2").expect("an id");
    for (receipt, same) in [(receipt(), true), (key().sign(other), false)] {
        let mut walk = Walk::offered();
        let charge =
            Charge { gross_amount: None, pay_url: Some("https://pay.example/o-1".into()), ..walk.order.charge.expect("it has one") };
        walk.order.charge = Some(charge);
        walk.on(Event::Settled(receipt.clone()));
        let charge = walk.order.charge.expect("it has one");
        assert_eq!((&charge.order_id, charge.gross_amount), (&receipt.claims().sub, Some(rp(5000))));
        assert_eq!(charge.pay_url.is_some(), same);
        assert!(charge.sandbox, "that is the backend's, whichever charge it was");
    }
}

#[test]
fn that_the_relay_knows_nothing_answers_a_query_and_nothing_else() {
    for (ask, next) in [
        (Ask::Query, RelayCall::Dispense(receipt())),
        (Ask::Dispense, RelayCall::Dispense(receipt())),
        (Ask::Close, RelayCall::Close(ticket())),
    ] {
        let mut walk = Walk::dispensing();
        let overdue = ask == Ask::Close;
        walk.order.state = State::Dispensing { receipt: receipt(), deliver_by: Boot(600_000), ask, sent: true, overdue };
        assert!(walk.on(Event::RelayAnswered(DispenseAnswer::Unknown)).is_empty());
        assert_eq!(walk.relay(), Some(next), "{ask:?}");
    }
}

#[test]
fn after_a_reboot_a_qr_has_its_time_once_more() {
    let order = Walk::offered().order.restarted(false, Boot(1_000_000), &RULES);
    let State::AwaitingPayment { shown_at, until, .. } = order.state else { panic!("its QR comes back") };
    assert_eq!((shown_at, until), (Boot(1_000_000), Boot(1_120_000)));
}

#[test]
fn a_ticket_is_kept_open_through_the_grace_and_not_longer() {
    for (late_until, now, close, deadline) in [
        (Some(Boot(5000)), 4999, false, Some(Boot(5001))),
        (Some(Boot(5000)), 5000, false, Some(Boot(5001))),
        (Some(Boot(5000)), 5001, true, None),
        (Some(Boot(5000)), 5002, true, None),
        (None, 0, true, None),
    ] {
        let mut walk = Walk::new();
        walk.now = now;
        walk.order.state = State::Ended { how: End::Expired, why: None, late_until, left: LeftCharge::Nothing, ticket_closed: false };
        assert_eq!(walk.relay(), close.then(|| RelayCall::Close(ticket())), "{late_until:?} at {now}");
        assert_eq!(walk.with(next_deadline), deadline, "{late_until:?} at {now}");
    }
}

#[test]
fn what_ended_unpaid_is_kept_in_mind_until_its_charge_and_its_ticket_are_gone() {
    for (left, ticket_closed, kept) in [
        (LeftCharge::Nothing, true, false),
        (LeftCharge::Nothing, false, true),
        (LeftCharge::ToCancel(id()), true, true),
        (LeftCharge::Unknown, true, true),
    ] {
        let state = State::Ended { how: End::Cancelled, why: None, late_until: None, left, ticket_closed };
        let order = Order { state, ..Walk::new().order };
        assert_eq!(unfinished(&order), kept, "{:?}", order.state);
    }
}

#[test]
fn what_time_alone_changes_of_an_order_on_the_screen() {
    let (poll, until) = (10_000, 120_000);
    // Now; with a broker; the time since which its relay is gone; the same of its screen; the deadline.
    type Row = (i64, bool, Option<i64>, Option<i64>, i64);
    let table: [Row; 8] = [
        (0, true, None, None, poll),
        (9_999, true, None, None, poll),
        (10_000, true, None, None, until),
        (0, false, None, None, until),
        (0, true, Some(1000), None, 6000),
        (20_000, true, Some(20_000), None, 25_000),
        (0, true, None, Some(2000), 7000),
        (20_000, true, Some(20_000), Some(21_000), 25_000),
    ];
    for (now, push, relay_gone, screen_gone, wanted) in table {
        let mut walk = Walk::offered();
        (walk.now, walk.push, walk.screen_gone) = (now, push, screen_gone);
        if let Some(since) = relay_gone {
            (walk.owner, walk.changed) = (None, since);
        }
        assert_eq!(walk.with(next_deadline), Some(Boot(wanted)), "{now} {push} {relay_gone:?} {screen_gone:?}");
    }
}

#[test]
fn how_long_something_can_be_collected_is_known_of_what_was_paid_over_the_counter() {
    let left = Some(Span::secs(900));
    for (counter, status, wanted) in
        [(true, Status::Settlement, left), (true, Status::Pending, None), (false, Status::Settlement, None), (false, Status::Pending, None)]
    {
        assert_eq!(Charge::of(&seen(status), counter, None).collect_within, wanted, "{counter} {status:?}");
    }
}
