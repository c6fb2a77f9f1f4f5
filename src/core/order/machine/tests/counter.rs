//! Orders that are paid at a store.

use super::*;
use crate::order::outcome::Outcome;

const DAY: Span = Span::secs(86_400);

fn code() -> PaymentCode {
    PaymentCode::new("8127740588870520").expect("a code")
}

fn told(status: Status) -> Seen {
    Seen { payload: None, code: Some(code()), store: Some("Alfamart".into()), expires_in: Some(DAY), ..seen(status) }
}

impl Walk {
    fn at_store() -> Self {
        let mut walk = Self::new();
        walk.order = Order::new(offer_by(Payment::Alfamart), ticket(), posted(), 1, Boot(0));
        assert_eq!(walk.on(Event::Seen(told(Status::Pending))), ["awaiting_payment"]);
        assert!(walk.order.holds_machine() && walk.order.code() == Some(&code()));
        walk
    }

    fn in_background() -> Self {
        let mut walk = Self::at_store();
        assert!(walk.after(120).is_empty(), "no news: it goes on waiting for its payment");
        assert!(!walk.order.holds_machine() && walk.order.state == State::AtCounter);
        walk
    }

    fn paid_at_store() -> Self {
        let mut walk = Self::in_background();
        walk.now += 3_600_000;
        walk.alone = false;
        assert_eq!(walk.on(Event::Settled(receipt())), ["awaiting_collection"]);
        assert!(!walk.order.holds_machine() && unfinished(&walk.order));
        walk.alone = true;
        walk
    }

    fn collected() -> Self {
        let mut walk = Self::paid_at_store();
        assert_eq!(walk.on(Event::Collected), ["paid", "dispensing"]);
        assert!(walk.order.holds_machine());
        walk
    }

    fn sent(&self) -> bool {
        matches!(self.order.state, State::AwaitingCollection { sent: true, .. })
    }
}

#[test]
fn a_code_holds_the_machine_while_it_is_shown_and_is_collected_hours_later() {
    let mut walk = Walk::at_store();
    assert_eq!(walk.duty(), Duty::default());
    walk.now += 10_000;
    assert_eq!(walk.backend(), Some(BackendCall::Watch(id())), "as long as it is on the screen");
    assert!(walk.after(110).is_empty());
    assert_eq!(walk.duty(), Duty { relay: None, backend: Some(BackendCall::Look(id())) }, "and nothing is cancelled");
    walk.owner = None;
    walk.screen_gone = Some(0);
    assert!(walk.after(80_000).is_empty(), "nobody looks at the screen, and the relay may come back");
    assert_eq!(walk.on(Event::Settled(receipt())), ["awaiting_collection"]);
    assert_eq!(walk.duty(), Duty { relay: None, backend: Some(BackendCall::Look(id())) });
    assert!(walk.after(80_000).is_empty());
    walk.owner = Some(2);
    assert_eq!(walk.on(Event::Collected), ["paid", "dispensing"]);
    assert_eq!(walk.relay(), Some(RelayCall::Dispense(receipt())));
    assert_eq!(walk.on(Event::RelayAnswered(DispenseAnswer::Ended(Outcome::Dispensed))), ["dispensed"]);
    assert_eq!(walk.backend(), Some(BackendCall::Tell(id(), Delivery::Dispensed, None)));
    assert!(walk.on(Event::Collected).is_empty(), "once");
}

#[test]
fn paid_while_the_code_is_still_shown_frees_the_machine() {
    for settled_first in [true, false] {
        let mut walk = Walk::at_store();
        if settled_first {
            walk.on(Event::Seen(told(Status::Settlement)));
        }
        assert_eq!(walk.on(Event::Settled(receipt())), ["awaiting_collection"]);
        assert!(!walk.order.holds_machine());
        assert!(walk.on(Event::Settled(receipt())).is_empty(), "known");
    }
}

#[test]
fn a_code_that_cannot_be_shown_is_cancelled_at_once() {
    type Case = (fn(&mut Seen), &'static str);
    let cases: [Case; 5] = [
        (|s| s.code = None, "failed(midtrans)"),
        (|s| s.store = Some("indomaret".into()), "failed(midtrans)"),
        (|s| s.gross_amount = Some(rp(4999)), "failed(gross_amount)"),
        (|s| s.kid = None, "cancelled(unknown_key)"),
        (|s| s.status = Status::Deny, "denied(midtrans)"),
    ];
    for (change, end) in cases {
        let mut walk = Walk::new();
        walk.order = Order::new(offer_by(Payment::Alfamart), ticket(), posted(), 1, Boot(0));
        let mut seen = told(Status::Pending);
        change(&mut seen);
        assert_eq!(walk.on(Event::Seen(seen)), [end]);
        assert_eq!(walk.backend(), Some(BackendCall::Cancel(id())), "{end}");
    }
    // A QR in place of a code does not count, and neither does a code in place of a QR.
    let mut walk = Walk::new();
    assert_eq!(walk.on(Event::Seen(told(Status::Pending))), ["failed(midtrans)"]);
    assert_eq!(walk.order.code(), None);
}

#[test]
fn while_the_code_is_shown_a_machine_that_could_not_deliver_takes_it_down() {
    let mut walk = Walk::at_store();
    (walk.owner, walk.changed) = (None, 1000);
    walk.now = 1000;
    assert_eq!(walk.after(5), ["cancelling(relay)"]);
    let mut walk = Walk::at_store();
    assert_eq!(walk.on(Event::CheckFailed(Reason::LineBlocked)), ["cancelling(line_blocked)"]);
    assert_eq!(walk.backend(), Some(BackendCall::Cancel(id())));
}

#[test]
fn what_ends_an_order_in_the_background() {
    let cases: [(Event, &str); 6] = [
        (Event::Forsaken, "expired(backend)"),
        (Event::Seen(told(Status::Expire)), "expired"),
        (Event::Seen(told(Status::Cancel)), "cancelled(backend)"),
        (Event::Seen(told(Status::Deny)), "denied(midtrans)"),
        (Event::Seen(told(Status::Failure)), "failed(midtrans)"),
        (Event::CancelAsked, "cancelling(customer)"),
    ];
    for (event, end) in cases {
        let mut walk = Walk::in_background();
        walk.alone = false;
        assert_eq!(walk.on(event), [end]);
        assert!(!walk.order.holds_machine(), "{end}: another customer is served meanwhile");
        if end == "cancelling(customer)" {
            assert_eq!(walk.backend(), Some(BackendCall::Cancel(id())));
            assert_eq!(walk.on(Event::Seen(told(Status::Cancel))), ["cancelled(customer)"]);
        }
        assert_eq!(walk.relay(), Some(RelayCall::Close(ticket())), "{end}: nobody can collect it any more");
        assert_eq!(walk.on(Event::Settled(receipt())), ["refund_due(late)"], "{end}");
    }
}

#[test]
fn cancelled_from_the_screen_and_paid_within_the_grace_it_waits_and_is_not_dropped_before_nobody() {
    let mut walk = Walk::at_store();
    walk.now += 5_000;
    assert_eq!(walk.on(Event::CancelAsked), ["cancelling(customer)"]);
    assert!(walk.order.holds_machine(), "for its answer");
    assert_eq!(walk.on(Event::Seen(told(Status::Cancel))), ["cancelled(customer)"]);
    walk.alone = false;
    assert_eq!(walk.on(Event::Settled(receipt())), ["awaiting_collection"]);
    assert_eq!(walk.relay(), None, "its ticket is open");
}

#[test]
fn what_waits_too_long_or_is_settled_otherwise_is_not_collected() {
    let cases: [fn(&mut Seen); 4] =
        [|s| s.expires_in = Some(Span::ZERO), |s| s.refund = true, |s| s.has_outcome = true, |s| s.status = Status::Refund];
    for change in cases {
        let mut walk = Walk::paid_at_store();
        let mut seen = told(Status::Settlement);
        change(&mut seen);
        assert!(walk.on(Event::Collected).len() == 2, "the shell asks before it says so");
        let mut walk = Walk::paid_at_store();
        assert_eq!(walk.on(Event::Seen(seen)), ["refund_due(not_collected)"]);
        assert!(walk.on(Event::Collected).is_empty());
        assert_eq!(walk.relay(), Some(RelayCall::Close(ticket())));
        assert!(walk.on(Event::TicketClosed(CloseAnswer::Closed)).is_empty());
        assert_eq!(walk.backend(), Some(BackendCall::Tell(id(), Delivery::Undelivered, Some(Reason::NotCollected))));
    }
    let mut walk = Walk::paid_at_store();
    assert!(walk.on(Event::Seen(told(Status::Settlement))).is_empty());
    assert!(walk.on(Event::Seen(told(Status::Pending))).is_empty(), "a backend of before the settlement");
}

#[test]
fn a_payment_that_the_store_took_back_ends_unpaid() {
    for (status, end) in [(Status::Deny, "denied(midtrans)"), (Status::Failure, "failed(midtrans)"), (Status::Expire, "expired(midtrans)")]
    {
        let mut walk = Walk::paid_at_store();
        assert_eq!(walk.on(Event::Seen(told(status))), [end]);
        assert!(walk.on(Event::Collected).is_empty());
        assert!(walk.order.receipt().is_some(), "what was believed is kept");
        assert!(walk.on(Event::Settled(receipt())).is_empty(), "the same receipt is no news");
        assert_eq!(walk.duty(), Duty { relay: Some(RelayCall::Close(ticket())), backend: None });
        let mut driven = Walk { order: walk.order.clone(), ..Walk::new() };
        assert_eq!(driven.on(Event::TicketClosed(CloseAnswer::Ended(Outcome::Dispensed))), ["dispensed"], "the ledger's word is final");
        assert!(walk.on(Event::TicketClosed(CloseAnswer::Closed)).is_empty());
        assert!(!unfinished(&walk.order));
        assert_eq!(walk.on(Event::Seen(told(Status::Settlement))), ["refund_due(late)"], "and taken back once more");
    }
    // Money that does not match its charge has come, and is due back.
    let mut walk = Walk::paid_at_store();
    assert_eq!(walk.on(Event::Seen(Seen { refund: true, ..told(Status::Failure) })), ["refund_due(mismatch)"]);
}

#[test]
fn a_restart_keeps_what_waits_and_the_power_cut_of_a_collection_gives_the_code_back() {
    for same_boot in [true, false] {
        let mut walk = Walk::in_background();
        walk.restart(same_boot);
        assert!(walk.after(10_000).is_empty() && walk.order.state == State::AtCounter);
        assert_eq!(walk.on(Event::Settled(receipt())), ["awaiting_collection"], "whenever it was paid");
        walk.restart(same_boot);
        assert!(walk.after(10_000).is_empty());
        walk.owner = Some(1);
        assert_eq!(walk.relay(), None);

        let mut walk = Walk::collected();
        walk.restart(same_boot);
        walk.owner = Some(1);
        assert_eq!(walk.relay(), Some(RelayCall::Query(id())));
        let unknown = walk.on(Event::RelayAnswered(DispenseAnswer::Unknown));
        if same_boot {
            assert!(unknown.is_empty() && walk.relay() == Some(RelayCall::Dispense(receipt())), "the customer stands there");
        } else {
            assert_eq!(unknown, ["awaiting_collection"], "nobody knows how long the power was off");
            assert!(walk.sent() && walk.relay().is_none());
            assert_eq!(walk.on(Event::Collected), ["paid", "dispensing"], "asked in this boot, it is of this boot");
            assert!(!walk.order.earlier_boot);
        }
    }
    for (outcome, end) in [(Outcome::Dispensed, "dispensed"), (Outcome::Uncertain, "refund_due(uncertain)")] {
        let mut walk = Walk::collected();
        walk.restart(false);
        assert_eq!(walk.on(Event::RelayAnswered(DispenseAnswer::Ended(outcome))), [end]);
    }
}

#[test]
fn delivery_may_take_its_time_from_the_collection_on() {
    let mut walk = Walk::collected();
    assert!(walk.after(599).is_empty());
    assert!(walk.order.holds_machine());
    walk.after(1);
    assert!(!walk.order.holds_machine());
    assert_eq!(walk.relay(), Some(RelayCall::Close(ticket())));
    // After a reboot the relay may be away for longer. The machine is free, and still waits for the ledger's word.
    let mut walk = Walk::collected();
    walk.restart(false);
    assert_eq!(walk.after(600), ["awaiting_collection"]);
    assert!(!walk.order.holds_machine() && walk.sent());
    assert_eq!(walk.relay(), Some(RelayCall::Query(id())));
    assert!(walk.on(Event::Collected).is_empty(), "not before the ledger's word");
    let mut driven = Walk { order: walk.order.clone(), ..Walk::new() };
    assert_eq!(driven.on(Event::RelayAnswered(DispenseAnswer::Ended(Outcome::Dispensed))), ["dispensed"]);
    assert!(walk.on(Event::RelayAnswered(DispenseAnswer::Unknown)).is_empty());
    assert_eq!(walk.on(Event::Collected), ["paid", "dispensing"]);
}

#[test]
fn the_shelf_is_busy_and_nothing_is_handed_out() {
    let mut walk = Walk::paid_at_store();
    walk.alone = false;
    assert!(walk.on(Event::Collected).is_empty());
    walk.alone = true;
    assert_eq!(walk.on(Event::Collected), ["paid", "dispensing"]);
}

#[test]
fn a_lost_database_keeps_what_is_paid_at_a_store() {
    let adopt = |seen: Seen, receipt: Option<Receipt>| {
        let mut walk = Walk::new();
        walk.alone = false;
        let order = walk.with(|_, now, with| Order::adopted(offer_by(Payment::Alfamart), ticket(), &seen, receipt, now, with));
        Walk { order, ..walk }
    };
    let mut walk = adopt(told(Status::Pending), None);
    assert_eq!(walk.order.name(), (EventState::AwaitingPayment, None));
    assert_eq!(walk.order.code(), Some(&code()));
    assert_eq!(walk.on(Event::Settled(receipt())), ["awaiting_collection"]);
    let walk = adopt(Seen { code: None, ..told(Status::Pending) }, None);
    assert_eq!(walk.backend(), Some(BackendCall::Cancel(id())), "nobody was given its code");

    let mut walk = adopt(told(Status::Settlement), Some(receipt()));
    assert_eq!(walk.order.name(), (EventState::AwaitingCollection, None));
    assert!(!walk.order.holds_machine() && walk.sent());
    assert_eq!(walk.relay(), Some(RelayCall::Query(id())), "it may have been handed out before");
    assert!(walk.on(Event::RelayAnswered(DispenseAnswer::Unknown)).is_empty());
    assert_eq!(walk.on(Event::Seen(Seen { expires_in: Some(Span::ZERO), ..told(Status::Settlement) })), ["refund_due(not_collected)"]);
    assert_eq!(walk.on(Event::TicketUnknown), ["refund_due(uncertain)"], "the ledger is gone as well");
}

#[test]
fn what_is_stored_reads_back() {
    for mut walk in [Walk::at_store(), Walk::in_background(), Walk::paid_at_store(), Walk::collected()] {
        walk.order = walk.order.as_stored();
        let text = serde_json::to_string(&walk.order).expect("plain");
        assert_eq!(serde_json::from_str::<Order>(&text).expect("readable"), walk.order);
    }
    // The text as it was written before there were codes.
    let text = serde_json::to_string(&Walk::offered().order).expect("plain");
    assert!(!text.contains("code") && text.contains(r#""payload":"000201"#), "{text}");
}
