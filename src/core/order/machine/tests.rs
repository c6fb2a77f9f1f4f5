//! The walks of the design, a row a step: the event; its announcements as `state` or `state(reason)`; after `|` the calls that
//! follow, to the relay and to the backend.

mod bounds;
mod counter;
mod lasting;
mod stock;
mod tries;

use super::*;
use crate::order::ids::{ItemId, RequestId};
use crate::order::outcome::{CloseAnswer, Delivery, DispenseAnswer, Outcome};
use crate::order::receipt::testing::{claims, key};
use crate::order::request::{Payment, Refusal};
use crate::order::tries::TryNumber;
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
    Offer { item: request.item.clone(), request, amount: rp(5000), timeout: Span::secs(120) }
}

fn ticket() -> Ticket {
    Ticket::from_random([1; 16])
}

fn posted() -> Posted {
    Posted { kids: vec![kid()], relay_key: None, description: "Tea".into(), machine: None }
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
        over: true,
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

fn other_id() -> OrderId {
    OrderId::new("o-2").expect("an id")
}

/// A receipt of another charge of the same request.
fn other_receipt() -> Receipt {
    key().sign(crate::order::receipt::Claims { sub: other_id(), ..claims() })
}

/// The backend says that the order's charge has this status.
fn news(status: Status) -> Event {
    Event::Seen(seen(status))
}

/// The same of another charge of the request.
fn other_news(status: Status) -> Event {
    Event::Seen(Seen { order_id: other_id(), ..seen(status) })
}

/// The list of open orders has the order while its charge is still being made.
fn listed() -> Event {
    Event::Seen(Seen { gross_amount: None, payload: None, expires_in: None, ..seen(Status::Pending) })
}

fn answered(answer: DispenseAnswer) -> Event {
    Event::RelayAnswered(answer)
}

fn over(outcome: Outcome) -> Event {
    answered(DispenseAnswer::Ended(outcome))
}

fn closed(answer: CloseAnswer) -> Event {
    Event::TicketClosed(answer)
}

/// A word that only a later release of the relay service has.
fn jammed() -> Word {
    Word::new("jammed").expect("a word")
}

/// An order and its surroundings, driven as the shell drives it.
#[derive(Clone)]
struct Walk {
    order: Order,
    now: i64,
    alone: bool,
    empty: bool,
    held: bool,
    owner: Option<u64>,
    changed: i64,
    screen_gone: Option<i64>,
    push: bool,
}

impl Walk {
    fn new() -> Self {
        Self::of(Order::new(offer(), ticket(), posted(), 1, Boot(0)))
    }

    fn of(order: Order) -> Self {
        Self { order, now: 0, alone: true, empty: false, held: false, owner: Some(1), changed: 0, screen_gone: None, push: true }
    }

    fn in_state(state: State) -> Self {
        Self::of(Order { state, ..Self::new().order })
    }

    fn offered() -> Self {
        Self::new().then(news(Status::Pending), "awaiting_payment |")
    }

    fn dispensing() -> Self {
        Self::offered().then(Event::Settled(receipt()), "paid dispensing | dispense o-1")
    }

    fn with<T>(&self, ask: impl FnOnce(&Order, Boot, &Context) -> T) -> T {
        let kids = [kid()];
        let with = Context {
            rules: &RULES,
            empty: self.empty,
            alone: self.alone,
            held: self.held,
            relay_owner: self.owner,
            relay_changed_at: Boot(self.changed),
            relay_doubted_from: Boot(self.changed),
            relay_kids: &kids,
            screen_gone_since: self.screen_gone.map(Boot),
            push: self.push,
        };
        ask(&self.order, Boot(self.now), &with)
    }

    /// A step: the event, and what must follow.
    #[track_caller]
    fn then(mut self, event: Event, follows: &str) -> Self {
        let mut told = Vec::new();
        for event in [event, Event::Tick, Event::Tick] {
            let next = self.with(|order, now, with| apply(order.clone(), event, now, with));
            let names = passed(Some(&self.order), &next).into_iter();
            told.extend(names.map(|(state, why)| why.map_or(state.as_str().into(), |why| format!("{}({why})", state.as_str()))));
            self.order = next;
        }
        assert_eq!(format!("{} | {}", told.join(" "), self.calls()).trim(), follows);
        self
    }

    /// The same after some time.
    #[track_caller]
    fn after(mut self, seconds: i64, follows: &str) -> Self {
        self.now += seconds * 1000;
        self.then(Event::Tick, follows)
    }

    /// The calls that are wanted now.
    fn calls(&self) -> String {
        let of_ticket = |word: &str, of: &Ticket| if *of == ticket() { word.to_owned() } else { format!("{word} {of}") };
        let Duty { relay, backend } = self.with(duty);
        let relay = relay.map(|call| match call {
            RelayCall::Check(of) => of_ticket("check", &of),
            RelayCall::Dispense(receipt) => format!("dispense {}", receipt.claims().sub),
            RelayCall::Query(id, TryNumber::FIRST) => format!("query {id}"),
            RelayCall::Query(id, number) => format!("query {id}, try {number}"),
            RelayCall::Close(of) => of_ticket("close", &of),
            RelayCall::Prove(of) => of_ticket("prove", &of),
        });
        let backend = backend.map(|call| match call {
            BackendCall::Create => "create".to_owned(),
            BackendCall::Find => "find".to_owned(),
            BackendCall::Watch(id) => format!("watch {id}"),
            BackendCall::Confirm(id) => format!("confirm {id}"),
            BackendCall::Await(id) => format!("await {id}"),
            BackendCall::Check(id) => format!("look {id}"),
            BackendCall::Cancel(id) => format!("cancel {id}"),
            BackendCall::TryAgain(id, promise) => format!("again {id} {promise}"),
            BackendCall::Tell(id, delivery, why) => {
                format!("tell {id} {}{}", delivery.as_str(), why.map(|why| format!("({why})")).unwrap_or_default())
            }
        });
        relay.into_iter().chain(backend).collect::<Vec<_>>().join(", ")
    }

    fn restarted(mut self, same_boot: bool) -> Self {
        self.order = self.order.as_stored().restarted(same_boot, Boot(self.now), &RULES);
        self.owner = None;
        self.changed = self.now;
        self
    }

    fn alone(self, alone: bool) -> Self {
        Self { alone, ..self }
    }

    fn held(self) -> Self {
        Self { held: true, ..self }
    }

    fn empty(self) -> Self {
        Self { empty: true, ..self }
    }

    fn owned_by(self, owner: u64) -> Self {
        Self { owner: Some(owner), ..self }
    }
}

#[test]
fn a_sale() {
    let walk = Walk::new();
    assert_eq!(walk.calls(), "create");
    walk.then(news(Status::Pending), "awaiting_payment |")
        .then(Event::Settled(receipt()), "paid dispensing | dispense o-1")
        .then(over(Outcome::Dispensed), "dispensed | prove, tell o-1 dispensed")
        .then(Event::Reported, "|");
}

#[test]
fn nothing_but_a_receipt_pays() {
    for status in [Status::Pending, Status::Settlement, Status::Expire, Status::Cancel, Status::Deny, Status::Failure, Status::Refund] {
        let follows = match status {
            Status::Pending | Status::Settlement | Status::Other(_) => "|",
            Status::Expire => "expired |",
            Status::Cancel => "cancelled(timeout) |",
            Status::Deny => "denied(gateway) | cancel o-1",
            Status::Failure | Status::Refund => "failed(gateway) |",
        };
        let walk = Walk::offered().then(Event::Seen(Seen { settled_ago: Some(Span::ZERO), ..seen(status) }), follows);
        assert_eq!(walk.order.receipt(), None, "{status:?}");
    }
    // The receipt comes by itself, and nothing is shown before it, nor for a word of a later release.
    Walk::new().then(news(Status::Settlement), "| create").then(news(Status::Other(jammed())), "| create");
}

#[test]
fn long_polling_begins_two_seconds_after_the_qr_or_at_once_without_a_broker() {
    let walk = Walk::offered();
    assert_eq!(walk.with(next_deadline), Some(Boot(2_000)));
    walk.after(2, "| watch o-1");
    assert_eq!(Walk { push: false, ..Walk::offered() }.calls(), "watch o-1");
}

#[test]
fn a_charge_that_cannot_be_shown_is_cancelled_and_fails() {
    let cases = [
        (Seen { payload: Some("0002".into()), ..seen(Status::Pending) }, "failed(gateway)"),
        (Seen { payload: None, ..seen(Status::Pending) }, "failed(gateway)"),
        (Seen { gross_amount: Some(rp(5100)), ..seen(Status::Pending) }, "failed(gateway)"),
        (Seen { gross_amount: Some(rp(4000)), ..seen(Status::Pending) }, "failed(gross_amount)"),
        (Seen { kid: None, ..seen(Status::Pending) }, "cancelled(unknown_key)"),
    ];
    for (answer, end) in cases {
        // Nobody saw it: the ticket is closed at once.
        let walk = Walk::new().then(Event::Seen(answer), &format!("{end} | close, cancel o-1"));
        assert!(!walk.order.holds_machine());
        let walk = walk.then(news(Status::Cancel), "| close").then(closed(CloseAnswer::Closed), "|");
        assert!(!unfinished(&walk.order));
    }
}

#[test]
fn what_the_list_of_open_orders_says_of_an_order_still_being_charged_changes_nothing() {
    let walk = Walk::new().then(listed(), "| create").then(news(Status::Pending), "awaiting_payment |");
    let sum = |walk: &Walk| walk.order.charge.as_ref().and_then(|charge| charge.gross_amount);
    assert_eq!(sum(&walk), Some(rp(5000)), "the screen says what is charged");
    // This list was asked for during the charge, and comes now.
    assert_eq!(sum(&walk.then(listed(), "|")), Some(rp(5000)));
}

#[test]
fn a_request_without_an_answer_fails_after_15_s_and_its_charge_is_looked_for() {
    let lost = || Walk::new().after(14, "| create").after(1, "failed(backend) | close, find");
    let walk = lost().then(news(Status::Pending), "| close, cancel o-1").then(news(Status::Cancel), "| close");
    assert!(!unfinished(&walk.then(closed(CloseAnswer::Closed), "|").order));
    // What is settled is not looked for: its receipt comes with it or by itself.
    lost().then(news(Status::Settlement), "| close");
    // The list of open orders named the first charge while that was being made. It failed, and the backend began another.
    Walk::new()
        .then(listed(), "| create")
        .after(15, "failed(backend) | close, find")
        .then(other_news(Status::Pending), "| close, cancel o-2")
        .then(news(Status::Cancel), "| close, cancel o-2")
        .then(other_news(Status::Cancel), "| close");
    Walk::new().then(Event::CreateDelayed(Reason::Gateway), "| create").after(15, "failed(gateway) | close, find");
    Walk::new().then(news(Status::Cancel), "failed(backend) | close");
}

#[test]
fn a_charge_of_another_body_of_the_request_is_looked_for() {
    for (reason, look) in [(Reason::ReusedId, true), (Reason::Backend, true), (Reason::GrossAmount, false), (Reason::RateLimited, false)] {
        let follows = format!("failed({reason}) | close{}", if look { ", find" } else { "" });
        Walk::new().then(Event::CreateRefused(Refusal::new(reason, "no")), &follows);
    }
}

#[test]
fn a_cancel_is_asked_until_it_is_answered_and_the_grace_follows() {
    let walk = Walk::offered().after(120, "cancelling(timeout) | cancel o-1");
    assert!(walk.order.holds_machine());
    let walk = walk.after(15, "| cancel o-1");
    assert!(!walk.order.holds_machine(), "after cancel_wait the machine is free");
    walk.then(news(Status::Cancel), "cancelled(timeout) |").after(145, "| close");
    // It loses the race.
    Walk::offered()
        .then(Event::CancelRequested, "cancelling(customer) | cancel o-1")
        .then(news(Status::Settlement), "| cancel o-1")
        .then(Event::Settled(receipt()), "paid dispensing | dispense o-1");
    // It comes before the charge is answered: a QR is never shown, and the ticket is closed at once.
    let early = || Walk::new().then(Event::CancelRequested, "cancelling(customer) | create");
    early().then(news(Status::Pending), "| cancel o-1").then(news(Status::Cancel), "cancelled(customer) | close");
    // A new charge is not made for a machine that is free.
    early().after(15, "| find").then(Event::Absent, "cancelled(customer) | close");
}

#[test]
fn a_late_receipt_dispenses_within_the_grace_if_the_machine_is_free() {
    let cancelled = || {
        let walk = Walk::offered().then(Event::CancelRequested, "cancelling(customer) | cancel o-1");
        walk.then(news(Status::Cancel), "cancelled(customer) |")
    };
    let (delivers, late) = ("paid dispensing | dispense o-1", "refund_due(late) | close");
    cancelled().after(145, "|").then(Event::Settled(receipt()), delivers);
    cancelled().after(146, "| close").then(Event::Settled(receipt()), late);
    cancelled().alone(false).after(60, "|").then(Event::Settled(receipt()), late);
    // Somebody looks after the machine. A customer who is there is served all the same.
    cancelled().held().after(60, "|").then(Event::Settled(receipt()), late);
    Walk::offered().held().then(Event::Settled(receipt()), delivers);
    let cancelling = || Walk::offered().held().then(Event::CancelRequested, "cancelling(customer) | cancel o-1");
    cancelling().then(Event::Settled(receipt()), delivers);
    cancelling().after(15, "| cancel o-1").then(Event::Settled(receipt()), late);
    // The gateway's own end, and a deadline that nobody looked at yet.
    for (ms, follows) in [(265_000, delivers), (265_001, late)] {
        let expired = Walk::offered().after(120, "cancelling(timeout) | cancel o-1").then(news(Status::Expire), "expired |");
        Walk { now: ms, ..expired }.then(Event::Settled(receipt()), follows);
        Walk { now: ms, ..Walk::offered() }.then(Event::Settled(receipt()), follows);
    }
    // It expired after ten seconds, so its grace begins then.
    let expired = || Walk::offered().after(10, "| watch o-1").then(news(Status::Expire), "expired |");
    expired().after(145, "|").then(Event::Settled(receipt()), delivers);
    expired().after(146, "| close").then(Event::Settled(receipt()), late);
    // A QR left the screen at its deadline also while the program was down.
    let down = Walk { now: 300_000, ..Walk::offered() }.restarted(true);
    down.then(Event::Settled(receipt()), late);
    // A closed ticket ends the grace also in another boot, in which the clock shows less than the stored deadline.
    let closed = cancelled().after(146, "| close").then(closed(CloseAnswer::Closed), "|");
    Walk { now: 1000, ..closed }.then(Event::Settled(receipt()), late);
}

#[test]
fn refund_due_is_told_only_after_the_ticket_is_closed() {
    Walk::offered()
        .then(Event::CancelRequested, "cancelling(customer) | cancel o-1")
        .alone(false)
        .then(Event::Settled(receipt()), "refund_due(late) | close")
        .then(closed(CloseAnswer::Dispensing), "| close")
        .then(closed(CloseAnswer::Closed), "| prove, tell o-1 undelivered(late)");
    // The line was driven, and then the ledger was lost.
    Walk::dispensing()
        .then(Event::RelayRefused(RelayRefusal::Other), "refund_due(relay_refused) | close")
        .then(closed(CloseAnswer::Dispensing), "| close")
        .then(Event::TicketUnknown, "refund_due(uncertain) | prove, tell o-1 uncertain(uncertain)");
    // Money that does not match its charge has no receipt, so nothing was sent to the relay.
    for answer in [closed(CloseAnswer::Closed), Event::TicketUnknown] {
        let walk = Walk::offered().then(Event::Seen(Seen { refund: true, ..seen(Status::Failure) }), "refund_due(mismatch) | close");
        walk.then(answer, "| prove, tell o-1 undelivered(mismatch)");
    }
}

#[test]
fn a_backend_that_forgot_the_outcome_is_told_again() {
    for (outcome, end, tells) in [
        (Outcome::Dispensed, "dispensed", "prove, tell o-1 dispensed"),
        (Outcome::Failed, "refund_due(failed)", "prove, tell o-1 failed(failed)"),
        (Outcome::NotDriven, "refund_due(failed)", "prove, tell o-1 failed(failed)"),
    ] {
        let walk = Walk::dispensing().then(over(outcome), &format!("{end} | {tells}"));
        assert!(unfinished(&walk.order));
        let walk = walk.then(Event::Reported, "|");
        assert!(!unfinished(&walk.order));
        // An answer without an outcome alone is no reason. A controller need not know.
        walk.then(news(Status::Settlement), "|").then(Event::Forgotten, &format!("| {tells}"));
    }
}

#[test]
fn close_decides_the_end() {
    let cases = [
        (closed(CloseAnswer::Ended(Outcome::Dispensed)), "dispensed", "dispensed"),
        (closed(CloseAnswer::Ended(Outcome::Failed)), "refund_due(failed)", "failed(failed)"),
        (closed(CloseAnswer::Ended(Outcome::Uncertain)), "refund_due(uncertain)", "uncertain(uncertain)"),
        (closed(CloseAnswer::Later(jammed())), "refund_due(uncertain)", "jammed(uncertain)"),
        (Event::TicketUnknown, "refund_due(uncertain)", "uncertain(uncertain)"),
        (closed(CloseAnswer::Closed), "refund_due(late)", "undelivered(late)"),
    ];
    for (answer, told, tells) in cases {
        // It is older than deliver_within. A dispense without an answer counts as sent.
        let walk = Walk::dispensing().then(Event::RelayUnanswered, "| query o-1").after(600, "| close");
        assert!(!walk.order.holds_machine());
        walk.then(answer, &format!("{told} | prove, tell o-1 {tells}"));
    }
    // Also one that ends without an answer after the deadline, and one of which the ledger said that the line is driven.
    for answer in [Event::RelayUnanswered, answered(DispenseAnswer::Dispensing), closed(CloseAnswer::Dispensing)] {
        let walk = Walk::dispensing().after(600, "| close").then(answer, "| close");
        walk.then(Event::TicketUnknown, "refund_due(uncertain) | prove, tell o-1 uncertain(uncertain)");
    }
    // A later release of the relay ends it in a word of its own.
    Walk::dispensing().then(answered(DispenseAnswer::Later(jammed())), "refund_due(uncertain) | prove, tell o-1 jammed(uncertain)");
}

#[test]
fn what_a_relay_answers_to_a_dispense() {
    let unsure = "refund_due(uncertain) | prove, tell o-1 uncertain(uncertain)";
    // Without an answer, and after a restart in the same boot, the ledger is asked first. An earlier call may have driven the line.
    for walk in [Walk::dispensing().then(Event::RelayUnanswered, "| query o-1"), Walk::dispensing().restarted(true)] {
        assert_eq!(walk.calls(), "query o-1");
        let walk = walk.then(answered(DispenseAnswer::Unknown), "| dispense o-1");
        walk.then(Event::RelayRefused(RelayRefusal::UnknownTicket), unsure);
    }
    let first = Walk::dispensing().then(Event::RelayRefused(RelayRefusal::UnknownTicket), "refund_due(relay_refused) | close");
    first.then(Event::TicketUnknown, "| prove, tell o-1 undelivered(relay_refused)");
    Walk::dispensing()
        .then(Event::RelayRefused(RelayRefusal::Busy), "| dispense o-1")
        .then(Event::RelayRefused(RelayRefusal::Other), "refund_due(relay_refused) | close");
    // However often it is asked what is being driven: it is not delivered yet.
    let driven = Walk::dispensing().then(answered(DispenseAnswer::Dispensing), "| query o-1");
    driven.then(answered(DispenseAnswer::Dispensing), "| query o-1");
}

#[test]
fn after_a_reboot_only_the_backend_allows_to_deliver() {
    let settled = |ago_s| Seen { settled_ago: Some(Span::secs(ago_s)), ..seen(Status::Settlement) };
    let cases = [
        (settled(600), true),
        (settled(601), false),
        (seen(Status::Settlement), false),
        (Seen { has_outcome: true, ..settled(0) }, false),
        (Seen { refund: true, ..settled(0) }, false),
        (seen(Status::Pending), false),
    ];
    for (answer, delivers) in cases {
        let walk = Walk::dispensing().restarted(false).then(Event::Tick, "| query o-1");
        let walk = walk.then(answered(DispenseAnswer::Unknown), "| confirm o-1");
        walk.then(Event::Seen(answer), if delivers { "| dispense o-1" } else { "refund_due(late) | close" });
    }
    // What is paid only now is confirmed first.
    for (ago_s, follows) in [(3, "dispensing | dispense o-1"), (601, "refund_due(late) | close")] {
        let walk = Walk::offered().restarted(false).then(Event::Settled(receipt()), "paid | confirm o-1");
        walk.then(Event::Seen(settled(ago_s)), follows);
    }
}

#[test]
fn a_qr_is_up_only_while_relay_and_screen_are_there() {
    // After a restart the relay must say first that it can deliver.
    let restarted = || Walk::offered().restarted(true);
    assert!(matches!(restarted().order.state, State::AwaitingPayment(AwaitingPayment { checked: 0, .. })));
    assert_eq!((restarted().calls(), restarted().owned_by(1).calls()), (String::new(), "check".into()));
    restarted().owned_by(1).then(Event::CheckPassed(1), "|");
    restarted().owned_by(1).then(Event::CheckFailed(Reason::LineBlocked), "cancelling(line_blocked) | cancel o-1");
    restarted().after(1, "|").after(3, "| watch o-1").after(1, "cancelling(relay) | cancel o-1");
    // So must a new owner. A relay or a screen that is gone for five seconds ends it.
    assert_eq!(Walk::offered().owned_by(2).calls(), "check");
    let gone = |relay: bool| Walk {
        now: 60_000,
        changed: 60_000,
        owner: (!relay).then_some(1),
        screen_gone: (!relay).then_some(60_000),
        ..Walk::offered()
    };
    for (relay, why) in [(true, "relay"), (false, "screen")] {
        gone(relay).after(4, "| watch o-1").after(1, &format!("cancelling({why}) | cancel o-1"));
    }
}

#[test]
fn without_the_relay_its_keys_of_the_ticket_count() {
    let walk = Walk::new().restarted(true);
    let next = walk.with(|order, now, with| apply(order.clone(), news(Status::Pending), now, &Context { relay_kids: &[], ..*with }));
    assert_eq!(next.name().0, EventState::AwaitingPayment);
}

#[test]
fn what_is_known_changes_nothing() {
    for event in [Event::Settled(receipt()), Event::CancelRequested, news(Status::Settlement), Event::Absent, Event::Reported] {
        assert_eq!(Walk::dispensing().then(event, "| dispense o-1").order, Walk::dispensing().order);
    }
    // Another charge of the request is no news of the one on the screen. Of an order that ended none is left.
    for status in [Status::Pending, Status::Cancel, Status::Expire, Status::Deny, Status::Failure] {
        let other = Event::Seen(Seen { order_id: other_id(), refund: true, ..seen(status) });
        assert_eq!(Walk::offered().then(other, "|").order, Walk::offered().order);
    }
    Walk::offered()
        .then(Event::CancelRequested, "cancelling(customer) | cancel o-1")
        .then(news(Status::Cancel), "cancelled(customer) |")
        .then(other_news(Status::Pending), "| cancel o-2")
        .then(other_news(Status::Cancel), "|");
}

#[test]
fn a_receipt_must_fit_the_order_in_everything() {
    let order = Walk::new().order;
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
    // The charge that was paid counts, whichever it was. Then no other charge does.
    assert!(Walk::offered().order.fits(&other_receipt()));
    assert!(Walk::dispensing().order.fits(&receipt()) && !Walk::dispensing().order.fits(&other_receipt()));
}

#[test]
fn a_lost_database_cancels_what_is_pending_and_asks_the_ledger_about_what_is_paid() {
    let adopted = |alone: bool, status: Status, receipt: Option<Receipt>| {
        let walk = Walk { now: 1_000_000, ..Walk::new().alone(alone) };
        let order = walk.with(|_, now, with| Order::adopted(offer(), ticket(), &seen(status), receipt, now, with));
        Walk { order, ..walk }
    };
    let pending = adopted(true, Status::Pending, None);
    assert_eq!((pending.order.name(), pending.order.holds_machine()), ((EventState::Cancelled, Some(Reason::Store)), false));
    // It is paid all the same. Another machine with the same card may have it in its ledger, and hand it out.
    let unsure = "refund_due(uncertain) | prove, tell o-1 uncertain(uncertain)";
    pending.then(Event::Settled(receipt()), "refund_due(late) | close").then(Event::TicketUnknown, unsure);
    let paid = adopted(true, Status::Settlement, Some(receipt())).order;
    assert!(paid.earlier_boot);
    let deliver_by = Boot(1_600_000);
    assert_eq!(paid.state, State::Dispensing(Dispensing { receipt: receipt(), deliver_by, ask: Ask::Query, sent: true, overdue: false }));
    // Only where nobody else is served.
    let late =
        State::RefundDue(RefundDue { receipt: Some(receipt()), why: Undelivered::Late, report: ReportStep::CloseFirst { sent: true } });
    assert_eq!(adopted(false, Status::Settlement, Some(receipt())).order.state, late);
    let held = Walk::new().held();
    let order = held.with(|_, now, with| Order::adopted(offer(), ticket(), &seen(Status::Settlement), Some(receipt()), now, with));
    assert_eq!(order.state, late);
}

#[test]
fn stored_orders_read_back() {
    use counter::{at_store, collected, in_background, paid_at_store};
    let all = [Walk::new(), Walk::offered(), Walk::dispensing(), at_store(), in_background(), paid_at_store(), collected()];
    for stored in all.map(|walk| walk.order.as_stored()) {
        let text = serde_json::to_string(&stored).expect("plain data");
        assert_eq!(serde_json::from_str::<Order>(&text).expect("our own text"), stored);
    }
    // The text as it was written before there were codes.
    let text = serde_json::to_string(&Walk::offered().order).expect("plain");
    assert!(!text.contains("code") && text.contains(r#""payload":"000201"#), "{text}");
}
