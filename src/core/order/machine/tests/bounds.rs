//! Cases that the walks do not reach: the exact bounds, and which order or request is meant.

use super::*;

fn ended(how: End, late_until: Option<Boot>, left: LeftCharge, ticket_closed: bool) -> State {
    State::Ended(Ended { how, why: None, late_until, left, ticket_closed, is_code: false })
}

#[test]
fn after_a_reboot_the_times_begin_anew() {
    let restarted = |state: State| match Walk::in_state(state).order.restarted(false, Boot(1_000_000), &RULES).state {
        State::Paid(Paid { deliver_by, .. }) | State::Dispensing(Dispensing { deliver_by, .. }) => (None, deliver_by),
        State::AwaitingPayment(AwaitingPayment { shown_at, until, .. }) => (Some(shown_at), until),
        other => panic!("{other:?}"),
    };
    assert_eq!(restarted(State::Paid(Paid { receipt: receipt(), deliver_by: Boot(1) })), (None, Boot(1_600_000)));
    assert_eq!(restarted(Walk::dispensing().order.state), (None, Boot(1_600_000)));
    assert_eq!(restarted(Walk::offered().order.state), (Some(Boot(1_000_000)), Boot(1_120_000)));
}

#[test]
fn who_waits_for_a_customer() {
    let waiting = State::AwaitingCollection(AwaitingCollection { receipt: receipt(), sent: false, doubtful: false });
    for (state, waits) in [(State::AtCounter(AtCounter {}), true), (waiting, true), (Walk::dispensing().order.state, false)] {
        assert_eq!(Walk::in_state(state).order.waits_for_customer(), waits);
    }
    // Only a collection of an earlier boot goes back to wait when its time is over.
    for (payment, earlier_boot) in [(Payment::Gopay, false), (Payment::Gopay, true), (Payment::Alfamart, false), (Payment::Alfamart, true)]
    {
        let state =
            State::Dispensing(Dispensing { receipt: receipt(), deliver_by: Boot(10_000), ask: Ask::Query, sent: true, overdue: false });
        let waits = payment == Payment::Alfamart && earlier_boot;
        let follows = if waits { "awaiting_collection | query o-1" } else { "| close" };
        Walk::of(Order { offer: offer_by(payment), earlier_boot, state, ..Walk::new().order }).after(10, follows);
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
fn what_a_charge_was_told_once_stays_known_of_it_and_of_no_other() {
    let told =
        Seen { code: PaymentCode::new("812345678901").ok(), pay_url: Some("https://pay.example/o-1".into()), ..seen(Status::Pending) };
    let first = Charge::of(&told, true, None);
    assert!(first.code.is_some() && first.pay_within.is_some());
    let less = Seen { expires_in: Some(Span::secs(1)), ..seen(Status::Pending) };
    let again = Charge::of(&less, true, Some(&first));
    assert_eq!((&again.code, again.pay_within, &again.pay_url), (&first.code, first.pay_within, &first.pay_url));
    let other = Charge::of(&Seen { order_id: other_id(), ..less }, true, Some(&first));
    assert_eq!((other.code, other.pay_within, other.pay_url), (None, None, None));
    // How long something can be collected is known of what was paid over the counter.
    for (counter, status) in [(true, Status::Settlement), (true, Status::Pending), (false, Status::Settlement), (false, Status::Pending)] {
        let wanted = (counter && status == Status::Settlement).then_some(Span::secs(900));
        assert_eq!(Charge::of(&seen(status), counter, None).collect_within, wanted, "{counter} {status:?}");
    }
}

#[test]
fn a_delivery_that_is_over_in_time_is_decided_by_close_and_not_before() {
    let walk = Walk::dispensing();
    let State::Dispensing(Dispensing { deliver_by, .. }) = walk.order.state else { panic!("it is delivered") };
    assert_eq!(walk.with(next_deadline), Some(deliver_by));
    let mut walk = Walk { now: deliver_by.0 - 1, ..walk }.then(Event::Tick, "| dispense o-1");
    walk.now += 1;
    walk.then(Event::Tick, "| close");
    // A receipt that waits for the backend's word was never sent to the relay. (Its order has no charge here.)
    let paid = Walk::in_state(State::Paid(Paid { receipt: receipt(), deliver_by: Boot(10_000) }));
    let mut walk = Walk { now: 9_999, ..paid }.then(Event::Tick, "| confirm o-1");
    walk.now += 1;
    walk.then(Event::Tick, "refund_due(late) | close");
}

#[test]
fn what_was_paid_back_is_refunded_once_its_report_is_there_and_the_backend_says_so() {
    for (status, follows) in [(Status::Refund, "refunded |"), (Status::Settlement, "|")] {
        let report = ReportStep::Reported(Delivery::Undelivered);
        Walk::in_state(State::RefundDue(RefundDue { receipt: Some(receipt()), why: Undelivered::Late, report }))
            .then(news(status), follows);
    }
}

#[test]
fn a_deadline_of_gateway_counts_where_it_is_more_than_two_seconds_sooner() {
    for (left_ms, until) in [(119_000, 120_000), (118_000, 120_000), (117_999, 117_999)] {
        let walk = Walk::offered().then(Event::Seen(Seen { expires_in: Some(Span::millis(left_ms)), ..seen(Status::Pending) }), "|");
        let State::AwaitingPayment(AwaitingPayment { until: found, .. }) = walk.order.state else { panic!("it is on the screen") };
        assert_eq!(found, Boot(until), "{left_ms}");
    }
}

#[test]
fn of_an_order_that_ended_one_charge_after_the_other_is_cancelled() {
    let left =
        |left: LeftCharge| Walk { order: Order { state: ended(End::Denied, None, left, true), ..Walk::offered().order }, ..Walk::new() };
    left(LeftCharge::ToCancel(id())).then(other_news(Status::Pending), "| cancel o-1");
    left(LeftCharge::Nothing).then(other_news(Status::Pending), "| cancel o-2");
    for status in [Status::Pending, Status::Settlement, Status::Expire, Status::Cancel, Status::Deny, Status::Failure, Status::Refund] {
        left(LeftCharge::ToCancel(other_id())).then(news(status), "| cancel o-2");
    }
}

#[test]
fn a_receipt_tells_what_was_paid_and_leaves_the_rest_of_its_charge() {
    for (receipt, same) in [(receipt(), true), (other_receipt(), false)] {
        let mut walk = Walk::offered();
        let charge = walk.order.charge.as_mut().expect("it has one");
        (charge.gross_amount, charge.pay_url) = (None, Some("https://pay.example/o-1".into()));
        let id = receipt.claims().sub.clone();
        let walk = walk.then(Event::Settled(receipt), &format!("paid dispensing | dispense {id}"));
        let charge = walk.order.charge.expect("it has one");
        assert_eq!((charge.order_id, charge.gross_amount, charge.pay_url.is_some()), (id, Some(rp(5000)), same));
        assert!(charge.sandbox, "that is the backend's, whichever charge it was");
    }
    // Nobody has said yet that it is not real money.
    let first = Walk::new().then(Event::Settled(receipt()), "paid dispensing | dispense o-1");
    assert!(first.order.charge.is_some_and(|charge| !charge.sandbox));
}

#[test]
fn that_the_relay_knows_nothing_answers_a_query_and_nothing_else() {
    for (ask, follows) in [(Ask::Query, "| dispense o-1"), (Ask::Dispense, "| dispense o-1"), (Ask::Close, "| close")] {
        let overdue = ask == Ask::Close;
        let state = State::Dispensing(Dispensing { receipt: receipt(), deliver_by: Boot(600_000), ask, sent: true, overdue });
        Walk::in_state(state).then(answered(DispenseAnswer::Unknown), follows);
    }
}

#[test]
fn a_ticket_is_kept_open_through_the_grace_and_not_longer() {
    // The answer to the last question is awaited: for 25 s at most.
    for (late_until, now, calls, deadline) in [
        (Some(Boot(5000)), 5001, "", Some(Boot(30_001))),
        (Some(Boot(5000)), 30_000, "", Some(Boot(30_001))),
        (Some(Boot(5000)), 30_001, "close", None),
        (Some(Boot(5000)), 30_002, "close", None),
        (None, 0, "close", None),
    ] {
        let walk = Walk { now, ..Walk::in_state(ended(End::Expired, late_until, LeftCharge::Nothing, false)) };
        assert_eq!((walk.calls().as_str(), walk.with(next_deadline)), (calls, deadline), "{late_until:?} at {now}");
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
        let order = Walk::in_state(ended(End::Cancelled, None, left, ticket_closed)).order;
        assert_eq!(unfinished(&order), kept, "{:?}", order.state);
    }
}

#[test]
fn what_time_alone_changes_of_an_order_on_the_screen() {
    let (poll, until) = (2_000, 120_000);
    // Now; with a broker; the time since which its relay is gone; the same of its screen; the deadline.
    type Row = (i64, bool, Option<i64>, Option<i64>, i64);
    let table: [Row; 8] = [
        (0, true, None, None, poll),
        (1_999, true, None, None, poll),
        (2_000, true, None, None, until),
        (0, false, None, None, until),
        (3_000, true, Some(1000), None, 6000),
        (20_000, true, Some(20_000), None, 25_000),
        (3_000, true, None, Some(2000), 7000),
        (20_000, true, Some(20_000), Some(21_000), 25_000),
    ];
    for (now, push, relay_gone, screen_gone, wanted) in table {
        let (owner, changed) = relay_gone.map_or((Some(1), 0), |since| (None, since));
        let walk = Walk { now, push, owner, changed, screen_gone, ..Walk::offered() };
        assert_eq!(walk.with(next_deadline), Some(Boot(wanted)), "{now} {push} {relay_gone:?} {screen_gone:?}");
    }
}
