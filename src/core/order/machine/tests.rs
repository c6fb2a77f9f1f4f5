//! The walks of the design, a row a step: the event, the announcement, and the calls that follow.

mod bounds;
mod counter;

use super::*;
use crate::order::ids::{ItemId, RequestId};
use crate::order::outcome::{CloseAnswer, DispenseAnswer};
use crate::order::receipt::testing::{claims, key};
use crate::order::request::{Payment, Refusal};
use crate::order::word::Word;

const RULES: Rules = Rules { cancel_wait: Span::secs(15), late_grace: Span::secs(120), deliver_within: Span::secs(600) };
const PAYLOAD_5000: &str = "00020101021226620014COM.GO-JEK.WWW011993600914337918182570210G3791818250303UKE51440014ID.CO.QRIS.WWW0215AID7720513752290303UKE5204359353033605802ID5910PAPI LIVE26005KUKAR61057555354075000.0062475036b1855b6c-70ab-4449-9778-61b8ffe43fd20703A016304";

fn payload() -> Box<str> {
    format!("{PAYLOAD_5000}{:04X}", crate::order::qris::crc(PAYLOAD_5000)).into()
}

fn rp(n: u64) -> Rupiah {
    Rupiah::new(n).expect("an amount")
}

fn offer() -> Offer {
    offer_by(Payment::Gopay)
}

fn offer_by(payment: Payment) -> Offer {
    let request = VendRequest {
        request_id: RequestId::new("r-1").expect("an id"),
        item: ItemId::new("A1").expect("an id"),
        amount: None,
        description: None,
        payment,
        timeout_s: None,
    };
    Offer { request, amount: rp(5000), timeout: Span::secs(120) }
}

fn ticket() -> Ticket {
    Ticket::from_random([1; 16])
}

fn posted() -> Posted {
    Posted { kids: vec![kid()], relay_key: None, description: "Tea".into() }
}

fn kid() -> KeyId {
    key().kid().clone()
}

fn id() -> OrderId {
    OrderId::new("o-1").expect("an id")
}

fn seen(status: Status) -> Seen {
    Seen {
        order_id: id(),
        status,
        gross_amount: Some(rp(5000)),
        payload: Some(payload()),
        code: None,
        store: None,
        pay_url: None,
        expires_in: Some(Span::secs(900)),
        settled_ago: None,
        kid: Some(kid()),
        has_outcome: false,
        refund: false,
        sandbox: true,
        collect_within: None,
    }
}

fn receipt() -> Receipt {
    key().sign(claims())
}

/// An order and its surroundings, driven as the shell drives it.
struct Walk {
    order: Order,
    now: i64,
    alone: bool,
    owner: Option<u64>,
    changed: i64,
    screen_gone: Option<i64>,
    push: bool,
}

impl Walk {
    fn new() -> Self {
        let order = Order::new(offer(), ticket(), posted(), 1, Boot(0));
        Self { order, now: 0, alone: true, owner: Some(1), changed: 0, screen_gone: None, push: true }
    }

    fn offered() -> Self {
        let mut walk = Self::new();
        assert_eq!(walk.on(Event::Seen(seen(Status::Pending))), ["awaiting_payment"]);
        walk
    }

    fn dispensing() -> Self {
        let mut walk = Self::offered();
        assert_eq!(walk.on(Event::Settled(receipt())), ["paid", "dispensing"]);
        walk
    }

    fn with<T>(&self, ask: impl FnOnce(&Order, Boot, &Context) -> T) -> T {
        let kids = [kid()];
        let with = Context {
            rules: &RULES,
            alone: self.alone,
            relay_owner: self.owner,
            relay_changed_at: Boot(self.changed),
            relay_kids: &kids,
            screen_gone_since: self.screen_gone.map(Boot),
            push: self.push,
        };
        ask(&self.order, Boot(self.now), &with)
    }

    /// The announcements for this event, as `state` or `state(reason)`.
    fn on(&mut self, event: Event) -> Vec<String> {
        let mut told = Vec::new();
        for event in [event, Event::Tick, Event::Tick] {
            let next = self.with(|order, now, with| apply(order.clone(), event, now, with));
            let names = passed(Some(&self.order), &next).into_iter();
            told.extend(names.map(|(state, why)| why.map_or(state.as_str().into(), |why| format!("{}({why})", state.as_str()))));
            self.order = next;
        }
        told
    }

    fn after(&mut self, seconds: i64) -> Vec<String> {
        self.now += seconds * 1000;
        self.on(Event::Tick)
    }

    fn duty(&self) -> Duty {
        self.with(duty)
    }

    fn relay(&self) -> Option<RelayCall> {
        self.duty().relay
    }

    fn backend(&self) -> Option<BackendCall> {
        self.duty().backend
    }

    fn restart(&mut self, same_boot: bool) {
        self.order = self.order.as_stored().restarted(same_boot, Boot(self.now), &RULES);
        self.owner = None;
        self.changed = self.now;
    }
}

#[test]
fn a_sale() {
    let mut walk = Walk::new();
    assert_eq!(walk.backend(), Some(BackendCall::Create));
    assert_eq!(walk.on(Event::Seen(seen(Status::Pending))), ["awaiting_payment"]);
    assert_eq!(walk.duty(), Duty::default(), "with MQTT nothing is asked at first");
    assert_eq!(walk.on(Event::Settled(receipt())), ["paid", "dispensing"]);
    assert_eq!(walk.relay(), Some(RelayCall::Dispense(receipt())));
    assert_eq!(walk.on(Event::RelayAnswered(DispenseAnswer::Ended(crate::order::outcome::Outcome::Dispensed))), ["dispensed"]);
    assert_eq!(walk.backend(), Some(BackendCall::Tell(id(), Delivery::Dispensed, None)));
    assert!(unfinished(&walk.order));
    assert!(walk.on(Event::Told).is_empty());
    assert!(!unfinished(&walk.order));
}

#[test]
fn nothing_but_a_receipt_pays() {
    for status in [Status::Pending, Status::Settlement, Status::Expire, Status::Cancel, Status::Deny, Status::Failure, Status::Refund] {
        let mut walk = Walk::offered();
        walk.on(Event::Seen(Seen { settled_ago: Some(Span::ZERO), ..seen(status) }));
        assert_eq!(walk.order.receipt(), None, "{status:?}");
        assert!(!matches!(walk.relay(), Some(RelayCall::Dispense(_))), "{status:?}");
    }
}

#[test]
fn long_polling_begins_ten_seconds_after_the_qr_or_at_once_without_a_broker() {
    let mut walk = Walk::offered();
    assert_eq!(walk.backend(), None);
    assert_eq!(walk.with(next_deadline), Some(Boot(10_000)));
    walk.after(10);
    assert_eq!(walk.backend(), Some(BackendCall::Watch(id())));
    let mut walk = Walk::offered();
    walk.push = false;
    assert_eq!(walk.backend(), Some(BackendCall::Watch(id())));
}

#[test]
fn a_charge_that_cannot_be_shown_is_cancelled_and_fails() {
    let cases = [
        (Seen { payload: Some("0002".into()), ..seen(Status::Pending) }, "failed(midtrans)"),
        (Seen { payload: None, ..seen(Status::Pending) }, "failed(midtrans)"),
        (Seen { gross_amount: Some(rp(5100)), ..seen(Status::Pending) }, "failed(midtrans)"),
        (Seen { gross_amount: Some(rp(4000)), ..seen(Status::Pending) }, "failed(gross_amount)"),
        (Seen { kid: None, ..seen(Status::Pending) }, "cancelled(unknown_key)"),
    ];
    for (answer, end) in cases {
        let mut walk = Walk::new();
        assert_eq!(walk.on(Event::Seen(answer)), [end], "within 15 s of its request");
        assert!(!walk.order.holds_machine());
        let duty = Duty { relay: Some(RelayCall::Close(ticket())), backend: Some(BackendCall::Cancel(id())) };
        assert_eq!(walk.duty(), duty, "nobody saw it: the ticket is closed at once");
        assert!(walk.on(Event::Seen(seen(Status::Cancel))).is_empty());
        assert!(walk.on(Event::TicketClosed(CloseAnswer::Closed)).is_empty());
        assert!(!unfinished(&walk.order));
    }
}

#[test]
fn what_the_list_of_open_orders_says_of_an_order_still_being_charged_changes_nothing() {
    let mut walk = Walk::new();
    let call = walk.backend();
    assert!(walk.on(Event::Seen(Seen { gross_amount: None, payload: None, expires_in: None, ..seen(Status::Pending) })).is_empty());
    assert_eq!(walk.backend(), call);
    assert_eq!(walk.on(Event::Seen(seen(Status::Pending))), ["awaiting_payment"]);
    let sum = walk.order.charge.as_ref().and_then(|charge| charge.gross_amount);
    assert!(sum.is_some(), "the screen says what is charged");
    // This list was asked for during the charge, and comes now.
    walk.on(Event::Seen(Seen { gross_amount: None, payload: None, expires_in: None, ..seen(Status::Pending) }));
    assert_eq!(walk.order.charge.as_ref().and_then(|charge| charge.gross_amount), sum);
}

#[test]
fn a_request_without_an_answer_fails_after_15_s_and_its_charge_is_looked_for() {
    let mut walk = Walk::new();
    assert!(walk.after(14).is_empty());
    assert_eq!(walk.after(1), ["failed(backend)"]);
    assert_eq!(walk.backend(), Some(BackendCall::Find));
    assert_eq!(walk.relay(), Some(RelayCall::Close(ticket())), "nobody saw a QR: the ticket is closed at once");
    walk.on(Event::Seen(seen(Status::Pending)));
    assert_eq!(walk.backend(), Some(BackendCall::Cancel(id())));
    walk.on(Event::Seen(seen(Status::Cancel)));
    walk.on(Event::TicketClosed(CloseAnswer::Closed));
    assert!(!unfinished(&walk.order));
}

#[test]
fn a_timeout_cancels_at_the_backend_before_it_says_cancelled() {
    let mut walk = Walk::offered();
    assert_eq!(walk.after(120), ["cancelling(timeout)"]);
    assert_eq!(walk.backend(), Some(BackendCall::Cancel(id())));
    assert!(walk.order.holds_machine());
    assert!(walk.after(15).is_empty());
    assert!(!walk.order.holds_machine(), "after cancel_wait the machine is free");
    assert_eq!(walk.backend(), Some(BackendCall::Cancel(id())), "and the cancel is asked until it is answered");
    assert_eq!(walk.on(Event::Seen(seen(Status::Cancel))), ["cancelled(timeout)"]);
    assert_eq!(walk.relay(), None, "the ticket stays open through the grace");
    walk.after(120);
    assert_eq!(walk.relay(), Some(RelayCall::Close(ticket())));
}

#[test]
fn a_cancel_that_loses_the_race_dispenses() {
    let mut walk = Walk::offered();
    assert_eq!(walk.on(Event::CancelAsked), ["cancelling(customer)"]);
    assert!(walk.on(Event::Seen(seen(Status::Settlement))).is_empty());
    assert_eq!(walk.on(Event::Settled(receipt())), ["paid", "dispensing"]);
}

#[test]
fn a_cancel_before_the_charge_is_answered_waits_for_its_name() {
    let mut walk = Walk::new();
    assert_eq!(walk.on(Event::CancelAsked), ["cancelling(customer)"]);
    assert_eq!(walk.backend(), Some(BackendCall::Create));
    assert!(walk.on(Event::Seen(seen(Status::Pending))).is_empty(), "its QR is never shown");
    assert_eq!(walk.backend(), Some(BackendCall::Cancel(id())));
    let mut walk = Walk::new();
    walk.on(Event::CancelAsked);
    walk.after(15);
    assert_eq!(walk.backend(), Some(BackendCall::Find), "a new charge is not made for a machine that is free");
    assert_eq!(walk.on(Event::Absent), ["cancelled(customer)"]);
}

#[test]
fn a_late_receipt_dispenses_within_the_grace_if_the_machine_is_free() {
    let cases = [(120, true, vec!["paid", "dispensing"]), (121, true, vec!["refund_due(late)"]), (60, false, vec!["refund_due(late)"])];
    for (late, alone, told) in cases {
        let mut walk = Walk::offered();
        walk.on(Event::CancelAsked);
        walk.on(Event::Seen(seen(Status::Cancel)));
        walk.alone = alone;
        walk.after(late);
        assert_eq!(walk.on(Event::Settled(receipt())), told, "{late} s, alone {alone}");
    }
}

#[test]
fn a_qr_left_the_screen_at_its_deadline_also_while_the_program_was_down() {
    let mut walk = Walk::offered();
    walk.now += 300_000;
    walk.restart(true);
    let told = walk.on(Event::Settled(receipt()));
    assert_eq!(told, ["refund_due(late)"], "120 s on the screen, 120 s of grace");
}

#[test]
fn refund_due_is_told_only_after_the_ticket_is_closed() {
    let mut walk = Walk::offered();
    walk.on(Event::CancelAsked);
    walk.alone = false;
    walk.on(Event::Settled(receipt()));
    assert_eq!(walk.duty(), Duty { relay: Some(RelayCall::Close(ticket())), backend: None });
    assert!(walk.on(Event::TicketClosed(CloseAnswer::Dispensing)).is_empty());
    assert_eq!(walk.backend(), None);
    walk.on(Event::TicketClosed(CloseAnswer::Closed));
    assert_eq!(walk.backend(), Some(BackendCall::Tell(id(), Delivery::Undelivered, Some(Reason::Late))));
}

#[test]
fn a_backend_that_forgot_the_outcome_is_told_again() {
    use crate::order::outcome::Outcome;
    for (outcome, delivery) in [(Outcome::Dispensed, Delivery::Dispensed), (Outcome::Failed, Delivery::Failed)] {
        let mut walk = Walk::dispensing();
        walk.on(Event::RelayAnswered(DispenseAnswer::Ended(outcome)));
        walk.on(Event::Told);
        assert!(!unfinished(&walk.order));
        assert!(walk.on(Event::Seen(seen(Status::Settlement))).is_empty());
        assert_eq!(walk.backend(), None, "an answer without an outcome alone is no reason");
        assert!(walk.on(Event::Forgotten).is_empty(), "nothing that a controller must know");
        assert!(matches!(walk.backend(), Some(BackendCall::Tell(_, told, _)) if told == delivery));
    }
}

#[test]
fn what_was_seen_driven_is_uncertain_when_the_ledger_forgets_it() {
    for answer in [Event::RelayAnswered(DispenseAnswer::Dispensing), Event::TicketClosed(CloseAnswer::Dispensing)] {
        let mut walk = Walk::dispensing();
        walk.after(600);
        assert_eq!(walk.relay(), Some(RelayCall::Close(ticket())));
        assert!(walk.on(answer.clone()).is_empty());
        assert_eq!(walk.on(Event::TicketUnknown), ["refund_due(uncertain)"], "{answer:?}");
    }
}

/// A word that only a later release of the relay service has.
fn jammed() -> Word {
    Word::new("jammed").expect("a word")
}

#[test]
fn an_outcome_of_a_later_relay_ends_the_order_and_is_told_as_it_came() {
    let mut walk = Walk::dispensing();
    assert_eq!(walk.on(Event::RelayAnswered(DispenseAnswer::Later(jammed()))), ["refund_due(uncertain)"]);
    assert!(matches!(walk.backend(), Some(BackendCall::Tell(_, Delivery::Other(word), _)) if word == jammed()));
}

#[test]
fn close_decides_the_end() {
    use crate::order::outcome::Outcome;
    let cases = [
        (Event::TicketClosed(CloseAnswer::Ended(Outcome::Dispensed)), vec!["dispensed"], Delivery::Dispensed),
        (Event::TicketClosed(CloseAnswer::Ended(Outcome::Failed)), vec!["refund_due(failed)"], Delivery::Failed),
        (Event::TicketClosed(CloseAnswer::Ended(Outcome::Uncertain)), vec!["refund_due(uncertain)"], Delivery::Uncertain),
        (Event::TicketClosed(CloseAnswer::Later(jammed())), vec!["refund_due(uncertain)"], Delivery::Other(jammed())),
        (Event::TicketUnknown, vec!["refund_due(uncertain)"], Delivery::Uncertain),
        (Event::TicketClosed(CloseAnswer::Closed), vec!["refund_due(late)"], Delivery::Undelivered),
    ];
    for (answer, told, delivery) in cases {
        let mut walk = Walk::dispensing();
        walk.on(Event::RelayUnanswered);
        walk.after(600);
        assert!(!walk.order.holds_machine(), "older than deliver_within");
        assert_eq!(walk.relay(), Some(RelayCall::Close(ticket())));
        assert_eq!(walk.on(answer.clone()), told, "{answer:?}");
        assert!(matches!(walk.backend(), Some(BackendCall::Tell(_, d, _)) if d == delivery), "{answer:?}");
    }
}

#[test]
fn an_unanswered_dispense_is_queried_first() {
    let mut walk = Walk::dispensing();
    walk.on(Event::RelayUnanswered);
    assert_eq!(walk.relay(), Some(RelayCall::Query(id())));
    walk.on(Event::RelayAnswered(DispenseAnswer::Unknown));
    assert_eq!(walk.relay(), Some(RelayCall::Dispense(receipt())));
    assert_eq!(walk.on(Event::RelayRefused(RelayRefusal::UnknownTicket)), ["refund_due(uncertain)"], "an earlier call may have driven it");
    let mut walk = Walk::dispensing();
    assert_eq!(walk.on(Event::RelayRefused(RelayRefusal::UnknownTicket)), ["refund_due(relay_refused)"], "the first call itself");
    walk.on(Event::TicketUnknown);
    assert!(matches!(walk.backend(), Some(BackendCall::Tell(_, Delivery::Undelivered, _))));
}

#[test]
fn busy_is_asked_again_and_any_other_error_is_a_refund() {
    let mut walk = Walk::dispensing();
    assert!(walk.on(Event::RelayRefused(RelayRefusal::Busy)).is_empty());
    assert_eq!(walk.relay(), Some(RelayCall::Dispense(receipt())));
    assert_eq!(walk.on(Event::RelayRefused(RelayRefusal::Other)), ["refund_due(relay_refused)"]);
    assert_eq!(walk.relay(), Some(RelayCall::Close(ticket())));
}

#[test]
fn a_restart_in_the_same_boot_asks_the_ledger_before_it_dispenses_again() {
    let mut walk = Walk::dispensing();
    walk.restart(true);
    assert_eq!(walk.relay(), Some(RelayCall::Query(id())));
    walk.on(Event::RelayAnswered(DispenseAnswer::Unknown));
    assert_eq!(walk.relay(), Some(RelayCall::Dispense(receipt())));
}

#[test]
fn after_a_reboot_only_the_backend_allows_to_deliver() {
    let cases = [
        (Seen { settled_ago: Some(Span::secs(600)), ..seen(Status::Settlement) }, None),
        (Seen { settled_ago: Some(Span::secs(601)), ..seen(Status::Settlement) }, Some("refund_due(late)")),
        (Seen { settled_ago: None, ..seen(Status::Settlement) }, Some("refund_due(late)")),
        (Seen { settled_ago: Some(Span::ZERO), has_outcome: true, ..seen(Status::Settlement) }, Some("refund_due(late)")),
        (Seen { settled_ago: Some(Span::ZERO), refund: true, ..seen(Status::Settlement) }, Some("refund_due(late)")),
        (seen(Status::Pending), Some("refund_due(late)")),
    ];
    for (answer, told) in cases {
        let mut walk = Walk::dispensing();
        walk.restart(false);
        assert_eq!(walk.relay(), Some(RelayCall::Query(id())));
        assert_eq!(walk.backend(), None);
        walk.on(Event::RelayAnswered(DispenseAnswer::Unknown));
        assert_eq!(walk.duty(), Duty { relay: None, backend: Some(BackendCall::Confirm(id())) });
        assert_eq!(walk.on(Event::Seen(answer.clone())), told.map(str::to_owned).into_iter().collect::<Vec<_>>(), "{answer:?}");
        assert_eq!(matches!(walk.relay(), Some(RelayCall::Dispense(_))), told.is_none(), "{answer:?}");
    }
}

#[test]
fn an_order_of_an_earlier_boot_that_is_paid_now_is_confirmed_first() {
    let mut walk = Walk::offered();
    walk.restart(false);
    assert_eq!(walk.on(Event::Settled(receipt())), ["paid"]);
    assert_eq!(walk.duty(), Duty { relay: None, backend: Some(BackendCall::Confirm(id())) });
    let answer = Seen { settled_ago: Some(Span::secs(3)), ..seen(Status::Settlement) };
    assert_eq!(walk.on(Event::Seen(answer)), ["dispensing"]);
}

#[test]
fn a_qr_comes_back_only_after_the_relay_said_it_can_deliver() {
    let mut walk = Walk::offered();
    walk.restart(true);
    assert!(matches!(walk.order.state, State::AwaitingPayment { checked: 0, .. }));
    assert_eq!(walk.relay(), None, "the relay is not there yet");
    walk.owner = Some(1);
    assert_eq!(walk.relay(), Some(RelayCall::Check(ticket())));
    walk.on(Event::CheckPassed(1));
    assert_eq!(walk.relay(), None);
    let mut walk = Walk::offered();
    walk.restart(true);
    assert!(walk.after(4).is_empty());
    assert_eq!(walk.after(1), ["cancelling(relay)"], "not within 5 s");
    let mut walk = Walk::offered();
    walk.restart(true);
    walk.owner = Some(1);
    assert_eq!(walk.on(Event::CheckFailed(Reason::LineBlocked)), ["cancelling(line_blocked)"]);
}

#[test]
fn a_new_owner_of_the_relay_is_asked_at_once_and_a_lost_one_ends_the_order_after_5_s() {
    let mut walk = Walk::offered();
    (walk.owner, walk.changed) = (Some(2), 0);
    assert_eq!(walk.relay(), Some(RelayCall::Check(ticket())));
    let mut walk = Walk::offered();
    walk.now = 60_000;
    (walk.owner, walk.changed) = (None, 60_000);
    assert!(walk.after(4).is_empty());
    assert_eq!(walk.after(1), ["cancelling(relay)"]);
}

#[test]
fn a_lost_screen_ends_the_order_after_5_s() {
    let mut walk = Walk::offered();
    walk.now = 60_000;
    walk.screen_gone = Some(60_000);
    assert!(walk.after(4).is_empty());
    assert_eq!(walk.after(1), ["cancelling(screen)"]);
}

#[test]
fn a_mismatch_is_refund_due_without_a_receipt() {
    let mut walk = Walk::offered();
    assert_eq!(walk.on(Event::Seen(Seen { refund: true, ..seen(Status::Failure) })), ["refund_due(mismatch)"]);
    walk.on(Event::TicketClosed(CloseAnswer::Closed));
    assert!(matches!(walk.backend(), Some(BackendCall::Tell(_, Delivery::Undelivered, Some(Reason::Mismatch)))));
}

#[test]
fn what_is_known_changes_nothing() {
    let mut walk = Walk::dispensing();
    let before = walk.order.clone();
    for event in [Event::Settled(receipt()), Event::CancelAsked, Event::Seen(seen(Status::Settlement)), Event::Absent, Event::Told] {
        assert!(walk.on(event.clone()).is_empty(), "{event:?}");
        assert_eq!(walk.order, before, "{event:?}");
    }
}

#[test]
fn a_receipt_must_fit_the_order_in_everything() {
    let order = Order::new(offer(), ticket(), posted(), 1, Boot(0));
    assert!(order.fits(&receipt()));
    let changes: [fn(&mut crate::order::receipt::Claims); 4] = [
        |c| c.jti = RequestId::new("r-2").expect("an id"),
        |c| c.ticket = Ticket::from_random([2; 16]),
        |c| c.item = ItemId::new("A2").expect("an id"),
        |c| c.amount = rp(4999),
    ];
    for change in changes {
        let mut other = claims();
        change(&mut other);
        assert!(!order.fits(&key().sign(other)));
    }
}

#[test]
fn a_lost_database_cancels_what_is_pending_and_asks_the_ledger_about_what_is_paid() {
    let walk = Walk::new();
    let pending = walk.with(|_, now, with| Order::adopted(offer(), ticket(), &seen(Status::Pending), None, now, with));
    assert_eq!(pending.name(), (EventState::Cancelled, Some(Reason::Store)));
    assert!(!pending.holds_machine());
    // It is paid all the same. Another machine with the same card may have it in its ledger, and hand it out.
    let mut late = Walk { order: pending, ..Walk::new() };
    assert_eq!(late.on(Event::Settled(receipt())), ["refund_due(late)"]);
    assert_eq!(late.on(Event::TicketUnknown), ["refund_due(uncertain)"]);
    let paid = walk.with(|_, now, with| Order::adopted(offer(), ticket(), &seen(Status::Settlement), Some(receipt()), now, with));
    assert!(matches!(paid.state, State::Dispensing { ask: Ask::Query, sent: true, .. }));
    assert!(paid.earlier_boot);
}

#[test]
fn stored_orders_read_back() {
    for walk in [Walk::new(), Walk::offered(), Walk::dispensing()] {
        let stored = walk.order.as_stored();
        let text = serde_json::to_string(&stored).expect("plain data");
        assert_eq!(serde_json::from_str::<Order>(&text).expect("our own text"), stored);
    }
}

#[test]
fn the_last_word_of_the_backend_is_the_reason_of_a_request_that_failed() {
    let mut walk = Walk::new();
    walk.on(Event::CreateDelayed(Reason::Gateway));
    assert_eq!(walk.after(15), ["failed(midtrans)"]);
    assert_eq!(walk.backend(), Some(BackendCall::Find));
}

#[test]
fn a_charge_of_another_body_of_the_request_is_looked_for() {
    for (reason, look) in [(Reason::ReusedId, true), (Reason::Backend, true), (Reason::GrossAmount, false), (Reason::RateLimited, false)] {
        let mut walk = Walk::new();
        assert_eq!(walk.on(Event::CreateRefused(Refusal::new(reason, "no"))), [format!("failed({reason})")]);
        assert_eq!(walk.backend(), look.then_some(BackendCall::Find), "{reason}");
    }
}

#[test]
fn a_request_that_the_backend_cancelled_itself_failed() {
    assert_eq!(Walk::new().on(Event::Seen(seen(Status::Cancel))), ["failed(backend)"]);
}

#[test]
fn an_order_cancelled_before_its_qr_closes_its_ticket_at_once() {
    let mut walk = Walk::new();
    walk.on(Event::CancelAsked);
    walk.on(Event::Seen(seen(Status::Pending)));
    walk.on(Event::Seen(seen(Status::Cancel)));
    assert_eq!(walk.relay(), Some(RelayCall::Close(ticket())));
}

#[test]
fn another_charge_of_the_request_is_no_news_of_the_one_on_the_screen() {
    let other = || OrderId::new("o-1-2").expect("an id");
    for status in [Status::Pending, Status::Cancel, Status::Expire, Status::Deny, Status::Failure] {
        let mut walk = Walk::offered();
        let before = walk.order.clone();
        assert!(walk.on(Event::Seen(Seen { order_id: other(), refund: true, ..seen(status) })).is_empty());
        assert_eq!(walk.order, before, "{status:?}");
    }
    let mut walk = Walk::offered();
    walk.on(Event::CancelAsked);
    walk.on(Event::Seen(seen(Status::Cancel)));
    walk.on(Event::Seen(Seen { order_id: other(), ..seen(Status::Pending) }));
    assert_eq!(walk.backend(), Some(BackendCall::Cancel(other())), "an order that ended leaves none");
    walk.on(Event::Seen(Seen { order_id: other(), ..seen(Status::Cancel) }));
    assert_eq!(walk.backend(), None);
}

#[test]
fn what_is_found_is_cancelled_also_if_it_is_a_later_charge_than_the_one_that_was_named() {
    let mut walk = Walk::new();
    // The list of open orders named the first charge while that was being made. It failed, and the backend began another.
    walk.on(Event::Seen(Seen { gross_amount: None, payload: None, ..seen(Status::Pending) }));
    assert_eq!(walk.after(15), ["failed(backend)"]);
    assert_eq!(walk.backend(), Some(BackendCall::Find));
    let other = OrderId::new("o-1-2").expect("an id");
    walk.on(Event::Seen(Seen { order_id: other.clone(), ..seen(Status::Pending) }));
    assert_eq!(walk.backend(), Some(BackendCall::Cancel(other.clone())));
    walk.on(Event::Seen(seen(Status::Cancel)));
    walk.on(Event::Seen(Seen { order_id: other, ..seen(Status::Cancel) }));
    assert_eq!(walk.backend(), None);
}

#[test]
fn a_charge_that_is_settled_is_not_looked_for_or_cancelled_any_more() {
    let mut walk = Walk::new();
    walk.after(15);
    walk.on(Event::Seen(seen(Status::Settlement)));
    assert_eq!(walk.backend(), None, "its receipt comes with it or by itself");
}

#[test]
fn a_closed_ticket_ends_the_grace() {
    let mut walk = Walk::offered();
    walk.on(Event::CancelAsked);
    walk.on(Event::Seen(seen(Status::Cancel)));
    walk.after(121);
    walk.on(Event::TicketClosed(CloseAnswer::Closed));
    // Another boot, in which the clock shows less than the stored deadline.
    walk.now = 1000;
    assert_eq!(walk.on(Event::Settled(receipt())), ["refund_due(late)"]);
}

#[test]
fn a_dispense_without_an_answer_counts_as_sent_whatever_is_asked_next() {
    let mut walk = Walk::dispensing();
    walk.after(600);
    assert_eq!(walk.relay(), Some(RelayCall::Close(ticket())));
    walk.on(Event::RelayUnanswered);
    assert_eq!(walk.relay(), Some(RelayCall::Close(ticket())));
    assert_eq!(walk.on(Event::TicketUnknown), ["refund_due(uncertain)"]);
}

#[test]
fn without_the_relay_its_keys_of_the_ticket_count() {
    let mut walk = Walk::new();
    walk.restart(true);
    let kids = [];
    let with = Context {
        rules: &RULES,
        alone: true,
        relay_owner: None,
        relay_changed_at: Boot(0),
        relay_kids: &kids,
        screen_gone_since: None,
        push: true,
    };
    let next = apply(walk.order, Event::Seen(seen(Status::Pending)), Boot(1), &with);
    assert_eq!(next.name().0, EventState::AwaitingPayment);
}
