//! Refusals, and how they are told.

use super::rig::*;
use qris_core::order::reason::Reason;
use qris_core::wire::orders::Status;
use qris_core::wire::vend::EventState;

#[test]
fn a_repeated_request_is_answered_with_its_last_event() {
    let mut rig = Rig::new();
    let (first, effects) = rig.vend(1);
    // This comes while the relay is asked.
    let (second, again) = rig.vend(1);
    assert!(again.is_empty());
    rig.prepare(&effects, Ok(ticket(1)));
    assert!(rig.is_acked(first) && rig.is_acked(second));
    rig.answer(1, order(resource(1, Status::Pending)));
    let last = rig.events.last().cloned();
    let (ack, effects) = rig.vend(1);
    assert!(rig.is_acked(ack) && !effects.iter().any(|effect| matches!(effect, Effect::Prepare(..))));
    assert_eq!(rig.events.last().cloned(), last, "same event_id, same seq");
    rig.announced();
    let (ack, _) = rig.message(Topic::VendRequest, r#"{"request_id":"r-1","item":"A1","timeout_s":60}"#);
    assert!(rig.is_acked(ack));
    assert_eq!(rig.announced(), ["refused(reused_id)"]);
    rig.vend(2);
    assert_eq!(rig.announced(), ["refused(busy)"]);
}

#[test]
fn refusals_name_what_is_wrong_and_are_not_remembered() {
    let table = [
        (r#"{"request_id":"r-1","item":"B9"}"#, "unknown_item", Some("item")),
        (r#"{"request_id":"r-1","item":"A1","amount":4000}"#, "wrong_amount", Some("amount")),
        (r#"{"request_id":"r-1","item":"exit","amount":4000}"#, "wrong_amount", Some("amount")),
        (r#"{"request_id":"r-1"}"#, "malformed", Some("item")),
        (r#"{"request_id":"r-1","item":"A1","item":"A1"}"#, "malformed", Some("item")),
    ];
    for (payload, reason, field) in table {
        let mut rig = Rig::new();
        let (ack, _) = rig.message(Topic::VendRequest, payload);
        assert!(rig.is_acked(ack), "{payload}");
        let event = rig.events.pop().expect("an event");
        assert_eq!((event.state, event.seq, event.field.as_deref()), (EventState::Refused, None, field), "{payload}");
        assert_eq!(event.reason.as_ref().map(Reason::as_str), Some(reason), "{payload}");
        rig.after(1000);
        rig.requested(1);
    }
    let mut rig = Rig::new();
    let (ack, _) = rig.any_message(Topic::VendRequest, r#"{"request_id":"r-1","item":"A1"}"#, true);
    assert!(rig.is_acked(ack));
    assert_eq!(rig.announced(), ["refused(retained)"]);
}

#[test]
fn the_relay_of_another_machine_is_not_asked() {
    let mut rig = Rig::new();
    let own = RelayFacts { device: DeviceId::new("vm-001").ok(), ..rig.facts.clone() };
    rig.on(Input::RelayUp(RelayFacts { device: DeviceId::new("vm-002").ok(), ..own.clone() }));
    let fault = rig.machine.faults.all().find(|fault| fault.code == FaultCode::Relay).expect("a fault");
    assert_eq!(&*fault.detail, "it is of another machine, vm-002");
    let (ack, effects) = rig.vend(1);
    assert!(rig.is_acked(ack) && !effects.iter().any(|effect| matches!(effect, Effect::Prepare(..))));
    assert_eq!(rig.announced(), ["refused(relay)"]);
    rig.on(Input::RelayUp(own));
    assert!(rig.machine.faults.all().next().is_none(), "{:?}", rig.machine.faults);
    rig.settle_open();
    rig.requested(2);
}

#[test]
fn what_the_relay_says_to_prepare() {
    let refused = |error| Err(PrepareError::Refused(error, "".into()));
    let table = [
        (refused(RelayError::UnknownItem), "refused(unknown_item)"),
        (refused(RelayError::Busy), "refused(busy)"),
        (refused(RelayError::Blocked), "refused(line_blocked)"),
        (refused(RelayError::Amount), "refused(wrong_amount)"),
        (refused(RelayError::Ledger), "refused(relay)"),
        (Err(PrepareError::NoAnswer("no answer in 2 s".into())), "refused(relay)"),
    ];
    for (answer, told) in table {
        let mut rig = Rig::new();
        let (ack, effects) = rig.vend(1);
        rig.prepare(&effects, answer);
        assert!(rig.is_acked(ack));
        assert_eq!(rig.announced(), [told]);
    }
}

#[test]
fn a_prepare_whose_answer_is_lost_does_not_hold_the_machine_for_ever() {
    let mut rig = Rig::new();
    let (ack, effects) = rig.vend(1);
    rig.after(5000);
    assert!(rig.is_acked(ack));
    assert_eq!(rig.announced(), ["refused(relay)"]);
    let effects = rig.prepare(&effects, Ok(ticket(1)));
    assert_eq!(closes(&effects), [ticket(1)], "it comes too late");
    rig.requested(2);
}

#[test]
fn a_ticket_whose_prepare_was_not_answered_is_closed_when_the_relay_answers_again() {
    for is_told in [true, false] {
        let mut rig = Rig::new();
        let (_, effects) = rig.vend(1);
        let effects = if is_told { rig.prepare(&effects, Err(PrepareError::NoAnswer("no answer in 2 s".into()))) } else { rig.after(5000) };
        assert!(effects.iter().any(|effect| matches!(effect, Effect::ReadRelay)), "{effects:?}");
        // This call was not answered either. The relay's facts are read every now and then.
        rig.after(60_000);
        rig.facts.tickets = vec![ticket(9)];
        rig.on(Input::RelayReported(rig.facts.clone()));
        assert_eq!(closes(&rig.answer_open(vec![])), [ticket(9)]);
    }
    // The same of a ticket whose `Close` was not answered.
    let mut rig = Rig::new();
    let effects = rig.on(Input::TicketLeft);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::ReadRelay)), "{effects:?}");
    rig.facts.tickets = vec![ticket(9)];
    rig.on(Input::RelayReported(rig.facts.clone()));
    assert_eq!(closes(&rig.answer_open(vec![])), [ticket(9)]);
}

#[test]
fn more_than_so_many_orders_a_minute_are_refused_before_prepare() {
    let mut rig = Rig::dark(2);
    rig.bring_up();
    rig.settle_open();
    for n in 1..=2 {
        let (_, effects) = rig.vend(n);
        rig.prepare(&effects, Err(PrepareError::NoAnswer("".into())));
    }
    rig.announced();
    let (_, effects) = rig.vend(3);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Prepare(..))));
    assert_eq!(rig.announced(), ["refused(rate_limited)"]);
    rig.after(60_000);
    rig.requested(4);
}

#[test]
fn refusals_are_limited() {
    let mut rig = Rig::new();
    for _ in 0..50 {
        rig.message(Topic::VendRequest, "{");
    }
    assert_eq!(rig.announced().len(), 5, "without a request_id");
    for _ in 0..3 {
        rig.message(Topic::VendRequest, r#"{"request_id":"r-1","item":"B9"}"#);
    }
    assert_eq!(rig.announced().len(), 1, "one a second for each");
    for n in 0..50 {
        rig.message(Topic::VendRequest, &format!(r#"{{"request_id":"x-{n}","item":"B9"}}"#));
    }
    assert_eq!(rig.announced().len(), 19, "20 together");
}

#[test]
fn nothing_is_sold_without_relay_or_screen() {
    for (gone, told) in
        [(Input::RelayDown("gone".into()), "refused(relay)"), (Input::Screen(ScreenState::Gone("no device".into())), "refused(screen)")]
    {
        let mut rig = Rig::new();
        rig.on(gone);
        rig.after(2000);
        rig.vend(1);
        assert_eq!(rig.announced(), [told]);
    }
}

#[test]
fn there_is_no_time_in_an_event_while_the_clock_is_not_trusted() {
    let mut rig = Rig::new();
    rig.now.wall = Wall(999_999);
    rig.requested(1);
    assert_eq!(rig.events.last().and_then(|event| event.at.clone()), None);
    rig.now.wall = Wall(1_000_000);
    rig.answer(1, order(resource(1, Status::Pending)));
    assert_eq!(rig.events.last().and_then(|event| event.at.as_deref()), Some("1970-01-01T00:16:40Z"));
}
