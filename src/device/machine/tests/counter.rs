//! Orders that are paid at a store: many at once wait in the background, and customers collect them with their codes.

use super::rig::*;
use super::second_tries::line;
use crate::machine::calls::{CHECK_EVERY, LASTING_FIRST};
use crate::machine::orders::WAITING_MAX;
use qris_core::order::machine::RelayCall;
use qris_core::order::outcome::{CloseAnswer, Outcome};
use qris_core::order::proof::RelayKey;
use qris_core::order::reason::Reason;
use qris_core::order::receipt::testing::key;
use qris_core::order::request::{Payment, Refusal};
use qris_core::order::stock::{Change, NotSold};
use qris_core::order::tries::TryNumber;
use qris_core::wire::orders::{OrderResource, Refund, Status};
use qris_core::wire::relay::LineCondition;
use qris_core::wire::stock::Slot;
use qris_core::wire::vend::EventState;

pub(super) fn code(n: u8) -> String {
    format!("81277405888705{n:02}")
}

/// The order of request `r-n`, as one that is paid at an Alfamart.
pub(super) fn at_store(n: u8, status: Status) -> OrderResource {
    OrderResource {
        payment: Payment::Alfamart,
        qr_payload: None,
        payment_code: Some(code(n).into()),
        store: Some("alfamart".into()),
        expires_in_s: Some(86_000),
        ..resource(n, status)
    }
}

pub(super) fn paid_at_store(n: u8) -> OrderResource {
    OrderResource { rev: 2, settled_ago_s: Some(4000), receipt: Some(receipt_of(n).jws().into()), ..at_store(n, Status::Settlement) }
}

/// Answers `Check` for the collection under way.
fn checked(deliverable: bool, reason: &str) -> RelayAnswer {
    RelayAnswer::Checked(if deliverable { Ok(()) } else { Err(Reason::from_word(reason).expect("a word")) })
}

impl Rig {
    pub(super) fn vend_at_store(&mut self, n: u8) -> Vec<Effect> {
        self.message(Topic::VendRequest, &format!(r#"{{"request_id":"r-{n}","item":"A1","payment":"alfamart"}}"#)).1
    }

    /// Brings an order to the point where its code is shown.
    fn code_shown(&mut self, n: u8) {
        let effects = self.vend_at_store(n);
        self.prepare(&effects, Ok(ticket(n)));
        self.answer(n, order(at_store(n, Status::Pending)));
        assert!(self.scene.starts_with("PayAtStore"), "{}", self.scene);
    }

    /// Brings an order to the point where the customer has taken the code along.
    pub(super) fn taken_along(&mut self, n: u8) {
        self.code_shown(n);
        self.after(120_000);
        assert!(self.scene.starts_with("Idle"), "{}", self.scene);
        assert!(self.backend(n).is_none() && self.relay(n).is_none(), "nothing is cancelled");
    }

    pub(super) fn collectable(&mut self, n: u8) {
        self.taken_along(n);
        let (ack, _) = self.pay(&receipt_of(n));
        assert!(self.is_acked(ack));
        assert_eq!(self.announced(), ["requested", "awaiting_payment", "awaiting_collection"]);
    }

    pub(super) fn collect(&mut self, code: &str) -> Vec<Effect> {
        let (ack, effects) = self.message(Topic::VendCollect, &format!(r#"{{"code":"{code}"}}"#));
        assert!(self.is_acked(ack), "at once");
        effects
    }

    /// Answers the question to the backend for a collection.
    pub(super) fn confirm(&mut self, effects: &[Effect], n: u8, answer: BackendAnswer) -> Vec<Effect> {
        let asked = |effect: &Effect| match effect {
            Effect::Backend(call, _, HttpCall::Get(id)) if *id == order_id(&format!("o-{n}")) => Some(*call),
            _ => None,
        };
        let call = effects.iter().find_map(asked).expect("the backend is asked");
        self.on(Input::Backend(call, request_id(&format!("r-{n}")), answer))
    }

    /// Types in a code with which backend and relay agree.
    pub(super) fn collected(&mut self, n: u8) {
        let effects = self.collect(&code(n));
        let effects = self.confirm(&effects, n, order(paid_at_store(n)));
        self.check(&effects, n, checked(true, ""));
        assert_eq!(self.announced(), ["paid", "dispensing"]);
    }

    /// Answers the question to the relay for a collection.
    fn check(&mut self, effects: &[Effect], n: u8, answer: RelayAnswer) -> Vec<Effect> {
        let asked = |effect: &Effect| match effect {
            Effect::Relay(call, _, RelayCall::Check(known)) if *known == ticket(n) => Some(*call),
            _ => None,
        };
        let call = effects.iter().find_map(asked).expect("the relay is asked");
        self.on(Input::Relay(call, request_id(&format!("r-{n}")), answer))
    }
}

fn refusal(rig: &Rig) -> (Option<&str>, Option<&str>, Option<&str>) {
    let event = rig.events.last().expect("an event");
    let request = event.request_id.as_ref().map(RequestId::as_str);
    (event.reason.as_ref().map(Reason::as_str), request, event.payment_code.as_deref())
}

#[test]
fn a_code_is_paid_hours_later_while_the_machine_sells_to_others_and_is_collected_once() {
    let mut rig = Rig::new();
    rig.taken_along(1);
    let shown = rig.events.last().expect("an event");
    assert_eq!((shown.payment_code.as_deref(), shown.store.as_deref()), (Some(&*code(1)), Some("alfamart")));
    rig.announced();
    rig.offered(2);
    rig.pay(&receipt_of(1));
    assert!(rig.scene.starts_with("Pay {"), "who stands there does not notice: {}", rig.scene);
    rig.collect(&code(1));
    assert_eq!(refusal(&rig), (Some("busy"), Some("r-1"), Some(&*code(1))));
    rig.pay(&receipt_of(2));
    rig.delivered(2);
    rig.after(11_000);
    rig.announced();

    let effects = rig.collect(&code(1)[..4]);
    assert!(effects.iter().all(|effect| !matches!(effect, Effect::Backend(..))));
    let grouped = format!("{} {}-{}", &code(1)[..4], &code(1)[4..8], &code(1)[8..]);
    let effects = rig.collect(&grouped);
    assert!(rig.scene.starts_with("Checking"), "{}", rig.scene);
    let seen = |effect: &Effect| matches!(effect, Effect::View(view) if view.customer == Some(request_id("r-1")));
    assert!(effects.iter().any(seen), "the customer is back");
    rig.vend(3);
    assert_eq!(rig.announced(), ["refused(wrong_code)", "refused(busy)"]);
    let effects = rig.confirm(&effects, 1, order(paid_at_store(1)));
    rig.check(&effects, 1, checked(true, ""));
    assert_eq!(rig.announced(), ["paid", "dispensing"]);
    assert!(rig.scene.starts_with("Dispensing"), "{}", rig.scene);
    assert_eq!(rig.relay(1), Some(RelayCall::Dispense(receipt_of(1))));
    rig.delivered(1);
    assert!(rig.scene.starts_with("Take"), "{}", rig.scene);
    assert!(matches!(rig.backend(1), Some(HttpCall::Tell(_, report)) if report.outcome == qris_core::order::outcome::Delivery::Dispensed));
    rig.answer(1, order(OrderResource { rev: 3, ..paid_at_store(1) }));
    rig.announced();
    rig.collect(&code(1));
    assert_eq!(refusal(&rig), (Some("unknown_request"), Some("r-1"), Some(&*code(1))), "known after its end too");
    assert!(rig.events.last().expect("an event").detail.as_deref().is_some_and(|why| why.contains("collected already")));
}

#[test]
fn paid_while_its_code_is_up_the_screen_says_so_and_how_long_it_can_be_collected() {
    // The backend tells how long when it is paid, or with the code.
    for with_code in [None, Some(259_000)] {
        let mut rig = Rig::new();
        let effects = rig.vend_at_store(1);
        rig.prepare(&effects, Ok(ticket(1)));
        rig.answer(1, order(OrderResource { collect_within_s: with_code, ..at_store(1, Status::Pending) }));
        let collect = with_code.map(|seconds| Span::secs(seconds as i64));
        let shown = rig.scene.contains("within: Some(Span(86000000))") && rig.scene.contains(&format!("collect: {collect:?}"));
        assert!(rig.scene.starts_with("PayAtStore") && shown, "how long it can be paid: {}", rig.scene);
        rig.after(10_000);
        match with_code {
            // It is asked while the code is up.
            None => drop(rig.answer(1, order(OrderResource { expires_in_s: Some(259_000), ..paid_at_store(1) }))),
            Some(_) => drop(rig.pay(&receipt_of(1))),
        }
        assert!(rig.scene.starts_with("Collect") && rig.scene.contains("within: Some(Span(259000000))"), "{}", rig.scene);
        assert!(!rig.machine.orders.is_held());
        rig.after(10_000);
        assert!(rig.scene.starts_with("Idle"), "{}", rig.scene);
        assert_eq!(rig.announced(), ["requested", "awaiting_payment", "awaiting_collection"]);
    }
}

#[test]
fn the_backend_is_asked_for_what_waits_every_fifteen_minutes_and_at_each_hint() {
    let mut rig = Rig::new();
    rig.taken_along(1);
    for _ in 0..3 {
        rig.after(CHECK_EVERY.0 - 1);
        assert_eq!(rig.backend(1), None);
        rig.after(1);
        assert_eq!(rig.backend(1), Some(HttpCall::Get(order_id("o-1"))), "one GET, not a long poll");
        rig.answer(1, order(at_store(1, Status::Pending)));
        assert_eq!(rig.backend(1), None);
    }
    let hint = r#"{"order_id":"o-1","rev":2,"status":"settlement"}"#;
    rig.after(6_000);
    rig.message(Topic::PaymentUpdate, hint);
    assert_eq!(rig.backend(1), Some(HttpCall::Get(order_id("o-1"))));
    rig.answer(1, gone());
    rig.after(5_000);
    assert_eq!(rig.backend(1), Some(HttpCall::Get(order_id("o-1"))), "what was to be asked is asked again");
    rig.answer(1, order(paid_at_store(1)));
    assert_eq!(rig.announced().last().map(String::as_str), Some("awaiting_collection"));
    rig.after(CHECK_EVERY.0);
    rig.answer(1, order(OrderResource { expires_in_s: Some(0), ..paid_at_store(1) }));
    assert_eq!(rig.announced(), ["refund_due(not_collected)"]);
    rig.closed(1);
    let told = rig.backend(1);
    assert!(
        matches!(&told, Some(HttpCall::Tell(_, report)) if report.outcome.as_str() == "undelivered" && report.reason == Some(Reason::NotCollected)),
        "{told:?}"
    );
    assert!(rig.scene.starts_with("Idle"), "nobody stands there: {}", rig.scene);
}

#[test]
fn an_order_that_waited_and_ended_is_asked_about_at_once() {
    let mut rig = Rig::new();
    rig.taken_along(1);
    let ended = |rev| order(OrderResource { rev, over: false, ..at_store(1, Status::Expire) });
    let hint = r#"{"order_id":"o-1","rev":2,"status":"expire"}"#;
    rig.message(Topic::PaymentUpdate, hint);
    rig.answer(1, ended(2));
    assert_eq!(rig.relay(1), None, "it may be paid still: its ticket stays");
    assert_eq!(rig.backend(1), Some(HttpCall::Get(order_id("o-1"))));
    rig.answer(1, ended(3));
    rig.after(LASTING_FIRST.0 - 1);
    assert_eq!(rig.backend(1), None);
    rig.after(1);
    assert_eq!(rig.backend(1), Some(HttpCall::Get(order_id("o-1"))), "as about one that was never over the counter");
}

#[test]
fn at_every_connect_the_list_tells_what_became_of_those_that_wait() {
    let mut rig = Rig::new();
    rig.collectable(1);
    rig.taken_along(2);
    rig.taken_along(3);
    rig.announced();
    rig.on(Input::BrokerUp { refused: vec![] });
    rig.answer_open(vec![OrderResource { expires_in_s: Some(0), ..paid_at_store(1) }, at_store(3, Status::Pending)]);
    assert_eq!(rig.announced(), ["refund_due(not_collected)"]);
    assert_eq!(rig.backend(2), Some(HttpCall::Get(order_id("o-2"))), "open no more: how did it end?");
    assert_eq!(rig.backend(3), None);
    rig.answer(2, order(at_store(2, Status::Expire)));
    assert_eq!(rig.announced(), ["expired"]);
    let effects = rig.collect(&code(2));
    rig.confirm(&effects, 2, order(at_store(2, Status::Expire)));
    assert_eq!(refusal(&rig).0, Some("unknown_request"));
    assert!(rig.events.last().expect("an event").detail.as_deref().is_some_and(|why| why.contains("never paid")));
}

/// The customer has paid, is back, and types the code in before the machine has heard of the payment.
#[test]
fn who_types_a_code_in_makes_the_machine_ask_in_every_state_in_which_the_backend_may_know_more() {
    let mut shown = Rig::new();
    shown.code_shown(1);
    let mut along = Rig::new();
    along.taken_along(1);
    let mut cancelling = Rig::new();
    cancelling.code_shown(1);
    cancelling.message(Topic::VendCancel, r#"{"request_id":"r-1"}"#);
    let mut cancelled = Rig::new();
    cancelled.code_shown(1);
    cancelled.message(Topic::VendCancel, r#"{"request_id":"r-1"}"#);
    cancelled.answer(1, order(OrderResource { over: false, ..at_store(1, Status::Cancel) }));
    for (what, mut rig) in [("shown", shown), ("taken along", along), ("cancelling", cancelling), ("cancelled", cancelled)] {
        rig.announced();
        let effects = rig.collect(&code(1));
        let effects = rig.confirm(&effects, 1, order(paid_at_store(1)));
        rig.check(&effects, 1, checked(true, ""));
        assert_eq!(rig.announced(), ["awaiting_collection", "paid", "dispensing"], "{what}");
        assert_eq!(rig.relay(1), Some(RelayCall::Dispense(receipt_of(1))), "{what}");
    }
}

#[test]
fn a_code_that_is_not_paid_is_asked_about_once_and_refused_with_its_state() {
    let mut rig = Rig::new();
    rig.taken_along(1);
    let why = |rig: &mut Rig, answer: OrderResource| {
        rig.announced();
        let effects = rig.collect(&code(1));
        rig.confirm(&effects, 1, order(answer));
        (rig.announced(), rig.events.last().and_then(|event| event.detail.clone()).unwrap_or_default().to_string())
    };
    let refused = || vec!["refused(unknown_request)".to_owned()];
    assert_eq!(why(&mut rig, at_store(1, Status::Pending)), (refused(), "it is not paid yet".into()));
    rig.after(2_000);
    // The answer is news, and tells the rest.
    assert_eq!(why(&mut rig, at_store(1, Status::Expire)).0, ["expired"]);
    rig.after(2_000);
    assert_eq!(why(&mut rig, at_store(1, Status::Expire)), (refused(), "it was never paid, and cannot be any more".into()));
    rig.after(2_000);
    // It was paid all the same: nobody needs to start the machine for that.
    assert_eq!(why(&mut rig, paid_at_store(1)).0, ["refund_due(late)"]);
    rig.closed(1);
    rig.answer(1, order(OrderResource { rev: 3, ..paid_at_store(1) }));
    rig.after(2_000);
    assert_eq!(why(&mut rig, at_store(1, Status::Refund)).0, ["refunded"], "the customer hears that the money went back");
}

#[test]
fn while_the_backend_is_away_a_code_can_be_typed_in_again() {
    let mut rig = Rig::new();
    rig.taken_along(1);
    rig.announced();
    let effects = rig.collect(&code(1));
    rig.confirm(&effects, 1, gone());
    assert_eq!(rig.announced(), ["refused(backend)"]);
    // Another customer has the machine.
    rig.after(2_000);
    rig.settle_open();
    rig.offered(2);
    rig.announced();
    rig.collect(&code(1));
    assert_eq!(rig.announced(), ["refused(busy)"]);
}

#[test]
fn what_speaks_against_a_collection_is_told_and_it_can_be_collected_afterwards() {
    type Answers = (BackendAnswer, Option<RelayAnswer>, &'static str);
    let later = BackendAnswer::Later(Refusal::new(Reason::Backend, "soon"), Span::secs(1));
    let table: Vec<Answers> = vec![
        (gone(), None, "refused(backend)"),
        (later, None, "refused(backend)"),
        (BackendAnswer::Absent, None, "refused(backend)"),
        (order(at_store(1, Status::Pending)), None, "refused(unknown_request)"),
        (order(paid_at_store(1)), Some(checked(false, "line_blocked")), "refused(line_blocked)"),
        (order(paid_at_store(1)), Some(checked(false, "busy")), "refused(busy)"),
        (order(paid_at_store(1)), Some(checked(false, "relay")), "refused(relay)"),
        (order(paid_at_store(1)), Some(RelayAnswer::NoAnswer("no answer in 2 s".into())), "refused(relay)"),
    ];
    let mut rig = Rig::new();
    rig.collectable(1);
    for (backend, relay, told) in table {
        let effects = rig.collect(&code(1));
        let effects = rig.confirm(&effects, 1, backend);
        if let Some(relay) = relay {
            rig.check(&effects, 1, relay);
        }
        assert_eq!(rig.announced(), [told]);
        assert_eq!(refusal(&rig).2, Some(&*code(1)));
        rig.after(1_000);
    }
    // Nobody answers at all.
    let effects = rig.collect(&code(1));
    rig.after(10_000);
    assert_eq!(rig.announced(), ["refused(backend)"]);
    rig.confirm(&effects, 1, order(paid_at_store(1)));
    assert!(rig.announced().is_empty() && !rig.machine.orders.is_held(), "too late for this one");
    let effects = rig.collect(&code(1));
    let effects = rig.confirm(&effects, 1, order(paid_at_store(1)));
    rig.after(2_000);
    assert_eq!(rig.announced(), ["refused(relay)"]);
    rig.check(&effects, 1, checked(true, ""));
    assert!(rig.announced().is_empty() && !rig.machine.orders.is_held());

    // The relay goes while the backend is asked.
    rig.after(1_000);
    let effects = rig.collect(&code(1));
    rig.on(Input::RelayDown("gone".into()));
    assert_eq!(rig.announced(), ["refused(relay)"]);
    rig.confirm(&effects, 1, order(paid_at_store(1)));
    assert!(rig.announced().is_empty() && !rig.machine.orders.is_held(), "too late for this one");
    rig.after(1_000);
    rig.collect(&code(1));
    assert_eq!(rig.announced(), ["refused(relay)"]);
    rig.on(Input::RelayUp(rig.facts.clone()));
    rig.settle_open();
    rig.collected(1);
}

#[test]
fn the_answer_of_a_relay_that_was_replaced_meanwhile_does_not_count() {
    let mut rig = Rig::new();
    rig.collectable(1);
    let effects = rig.collect(&code(1));
    let effects = rig.confirm(&effects, 1, order(paid_at_store(1)));
    rig.on(Input::RelayUp(rig.facts.clone()));
    rig.check(&effects, 1, checked(true, ""));
    assert_eq!(rig.announced(), ["refused(relay)"]);
}

#[test]
fn what_the_backend_says_at_the_collection_counts() {
    type Case = (fn(&mut OrderResource), &'static str, EventState);
    let cases: [Case; 4] = [
        (|r| r.expires_in_s = Some(0), "refund_due(not_collected)", EventState::RefundDue),
        (|r| r.refund = Some(qris_core::wire::orders::Refund::Given), "refund_due(not_collected)", EventState::RefundDue),
        (|r| (r.status, r.receipt) = (Status::Deny, None), "denied(gateway)", EventState::Denied),
        (|r| (r.status, r.receipt) = (Status::Failure, None), "failed(gateway)", EventState::Failed),
    ];
    for (change, told, state) in cases {
        let mut rig = Rig::new();
        rig.collectable(1);
        let asked = qris_core::wire::vend::read_collect(format!(r#"{{"code":"{}"}}"#, code(1)).as_bytes()).expect("a code");
        let effects = rig.on(Input::Requested(Request::Collect(asked), ON_BOARD));
        let mut resource = paid_at_store(1);
        change(&mut resource);
        let effects = rig.confirm(&effects, 1, order(resource.clone()));
        let replied = effects.iter().any(|effect| matches!(effect, Effect::Reply(ON_BOARD, reply) if reply.state == Some(state)));
        assert!(replied, "{effects:?}");
        assert_eq!(rig.announced(), [told], "its own event, and no refusal beside it");
        assert_eq!(rig.relay(1), Some(RelayCall::Close(ticket(1))));
        rig.answer_relay(1, RelayAnswer::Close(CloseAnswer::Closed));
        let effects = rig.collect(&code(1));
        rig.confirm(&effects, 1, order(resource));
        assert_eq!(refusal(&rig).0, Some("unknown_request"));
    }
}

#[test]
fn wrong_codes_lead_to_a_pause_for_one_way_that_a_restart_does_not_end() {
    let mut rig = Rig::new();
    rig.collectable(1);
    for known in ["81277405888705", "1", "8127740588870500", "x"] {
        rig.collect(known);
        rig.after(1_000);
    }
    assert_eq!(rig.announced(), ["refused(wrong_code)"; 4]);
    rig.collectable(2);
    // A known code does not count as a guess, and neither does a text that is not a code.
    let (ack, _) = rig.message(Topic::VendCollect, r#"{"code":""}"#);
    assert!(rig.is_acked(ack));
    assert_eq!(rig.announced(), ["refused(malformed)"]);
    rig.taken_along(3);
    rig.announced();
    let effects = rig.collect(&code(3));
    rig.confirm(&effects, 3, order(at_store(3, Status::Pending)));
    assert_eq!(rig.announced(), ["refused(unknown_request)"], "not paid yet");
    rig.collect("8127740588870599");
    rig.after(1_000);
    rig.collect(&code(1));
    assert_eq!(rig.announced(), ["refused(wrong_code)", "refused(rate_limited)"]);
    let typed = qris_core::wire::vend::read_collect(format!(r#"{{"code":"{}"}}"#, code(1)).as_bytes()).expect("a code");
    let asks = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Backend(_, _, HttpCall::Get(_))));
    assert!(asks(&rig.on(Input::Requested(Request::Collect(typed), ON_BOARD))), "the board's own keys are not locked out");
    for same_boot in [true, false] {
        rig.cut_and_up(same_boot);
        rig.answer_open(vec![paid_at_store(1), paid_at_store(2), at_store(3, Status::Pending)]);
        rig.after(1_000);
        rig.collect(&code(1));
        assert_eq!(rig.announced(), ["refused(rate_limited)"], "{same_boot}");
    }
    rig.after(600_000);
    let effects = rig.collect(&code(1));
    assert!(asks(&effects) && rig.announced().is_empty());
}

#[test]
fn a_wrong_code_that_cannot_be_counted_is_refused_otherwise() {
    let mut rig = Rig::new();
    rig.collectable(1);
    let connection = rusqlite::Connection::open(&rig.settings.store).expect("opens");
    connection.execute_batch("BEGIN IMMEDIATE").expect("locked");
    rig.collect("1234");
    assert_eq!(rig.announced(), ["refused(store)"]);
    drop(connection);
    rig.after(2_000);
    assert!(rig.machine.faults.all().next().is_none());
}

#[test]
fn a_retained_or_garbled_code_is_refused() {
    let mut rig = Rig::new();
    rig.collectable(1);
    let payload = format!(r#"{{"code":"{}"}}"#, code(1));
    let (ack, effects) = rig.any_message(Topic::VendCollect, &payload, true);
    assert!(rig.is_acked(ack) && !effects.iter().any(|effect| matches!(effect, Effect::Backend(..))));
    assert_eq!(rig.announced(), ["refused(retained)"]);
    for (payload, told) in [("{}", "refused(malformed)"), (r#"{"code":7}"#, "refused(malformed)"), ("", "refused(malformed)")] {
        let (ack, _) = rig.message(Topic::VendCollect, payload);
        assert!(rig.is_acked(ack));
        assert_eq!(rig.announced(), [told], "{payload}");
    }
}

#[test]
fn a_machine_that_is_cut_off_the_power_keeps_what_waits() {
    for same_boot in [true, false] {
        let mut rig = Rig::new();
        rig.collectable(1);
        rig.taken_along(2);
        rig.announced();
        rig.power_cut(same_boot);
        assert_eq!(rig.scene, "Starting", "nothing was heard of the relay yet");
        rig.bring_up();
        let effects = rig.on(Input::RelayReported(RelayFacts { tickets: vec![ticket(1), ticket(2), ticket(9)], ..rig.facts.clone() }));
        assert!(closes(&effects).is_empty());
        rig.on(Input::RelayUp(RelayFacts { tickets: vec![ticket(1), ticket(2), ticket(9)], ..rig.facts.clone() }));
        rig.answer_open(vec![paid_at_store(1), at_store(2, Status::Pending)]);
        rig.after(1_000);
        let effects = rig.answer_open(vec![paid_at_store(1), at_store(2, Status::Pending)]);
        assert_eq!(closes(&effects), [ticket(9)], "a ticket may be open for days");
        assert!(rig.announced().is_empty(), "{same_boot}: nothing happened to them");
        rig.pay(&receipt_of(2));
        assert_eq!(rig.announced(), ["awaiting_collection"]);
        rig.collected(1);
    }
}

#[test]
fn a_lost_database_is_filled_with_what_waits_at_the_backend() {
    let mut rig = Rig::new();
    rig.collectable(1);
    rig.announced();
    let connection = rusqlite::Connection::open(&rig.settings.store).expect("opens");
    qris_host::sqlite::testing::damage(&connection, "UPDATE orders SET body = replace(body, '5000', '5001')");
    drop(connection);
    rig.cut_and_up(true);
    rig.answer_open(vec![paid_at_store(1), at_store(2, Status::Pending), OrderResource { expires_in_s: Some(0), ..paid_at_store(3) }]);
    assert_eq!(rig.announced(), ["awaiting_collection", "awaiting_payment", "awaiting_collection", "refund_due(not_collected)"]);
    let effects = rig.collect(&code(1));
    rig.confirm(&effects, 1, order(paid_at_store(1)));
    assert_eq!(refusal(&rig).0, Some("relay"), "first the ledger");
    assert_eq!(rig.relay(1), Some(RelayCall::Query(order_id("o-1"), TryNumber::FIRST)));
    rig.answer_relay(1, RelayAnswer::Dispense(DispenseAnswer::Unknown));
    rig.announced();
    rig.collected(1);
}

#[test]
fn so_many_wait_and_no_more_while_a_qr_is_still_sold() {
    let mut rig = Rig::unlimited();
    let most = u8::try_from(WAITING_MAX).expect("a small number");
    for n in 1..=most {
        rig.taken_along(n);
    }
    rig.announced();
    rig.after(1_000);
    let effects = rig.vend_at_store(most + 1);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Prepare(..))));
    assert_eq!(rig.announced(), ["refused(rate_limited)"]);
    assert_eq!(rig.events.last().and_then(|event| event.field.as_deref()), Some("payment"));
    rig.offered(most + 2);
    rig.message(Topic::VendCancel, &format!(r#"{{"request_id":"r-{}"}}"#, most + 2));
    rig.answer(most + 2, order(resource(most + 2, Status::Cancel)));
    // One order is given up, which makes room, and nobody sees anything of it.
    rig.after(11_000);
    rig.announced();
    rig.message(Topic::VendCancel, r#"{"request_id":"r-1"}"#);
    assert_eq!(rig.announced(), ["cancelling(customer)"]);
    assert!(rig.scene.starts_with("Idle"), "{}", rig.scene);
    assert_eq!(rig.backend(1), Some(HttpCall::Cancel(order_id("o-1"))));
    rig.answer(1, order(at_store(1, Status::Cancel)));
    assert_eq!(rig.announced(), ["cancelled(customer)"]);
    rig.code_shown(most + 3);
}

#[test]
fn a_paid_order_waits_for_its_own_relay_and_asks_no_other_machine_s() {
    let mut rig = Rig::new();
    let own = RelayFacts { device: DeviceId::new("vm-001").ok(), ..rig.facts.clone() };
    rig.dispensing(1);
    rig.answer_relay(1, RelayAnswer::NoAnswer("gone".into()));
    rig.on(Input::RelayUp(RelayFacts { device: DeviceId::new("vm-002").ok(), tickets: vec![ticket(9)], ..own.clone() }));
    rig.settle_open();
    rig.after(5_000);
    assert_eq!(rig.relay(1), None, "its answers say nothing of this machine's orders, nor are its tickets ours to close");
    assert_eq!(rig.announced().last().map(String::as_str), Some("dispensing"));
    rig.on(Input::RelayUp(own));
    assert_eq!(rig.relay(1), Some(RelayCall::Query(order_id("o-1"), TryNumber::FIRST)));
}

/// A new machine's code is good until the backend has seen that key.
#[test]
fn the_key_of_a_relay_that_comes_late_is_shown_to_the_backend_without_another_reason() {
    let mut rig = Rig::new();
    assert_eq!(rig.open(), None);
    let key = RelayKey::of(&key());
    let facts = RelayFacts { proof_key: Some(key.clone().into()), ..rig.facts.clone() };
    let shows = |effects: &[Effect]| {
        effects.iter().any(|effect| matches!(effect, Effect::AskOpen(_, Identity { relay_key: Some(shown), .. }) if *shown == key))
    };
    assert!(shows(&rig.on(Input::RelayReported(facts.clone()))));
    let call = rig.open().expect("it is asked");
    rig.on(Input::Open(call, gone()));
    assert!(shows(&rig.after(60_000)), "until it is answered");
    rig.settle_open();
    rig.on(Input::RelayReported(facts));
    assert_eq!(rig.open(), None, "and then no more");
}

#[test]
fn an_outcome_that_the_backend_does_not_want_is_told_for_a_day() {
    let mut rig = Rig::new();
    rig.dispensing(1);
    rig.delivered(1);
    let start = rig.now.boot;
    let mut tries = 0;
    while rig.backend(1).is_some() || rig.machine.orders.get(&request_id("r-1")).is_some() {
        if rig.backend(1).is_some() {
            let effects = rig.answer(1, BackendAnswer::Absent);
            tries += 1;
            let given_up = effects.iter().any(|effect| matches!(effect, Effect::Journal(Journal::OutcomeUnwanted { .. })));
            assert_eq!(given_up, rig.now.boot >= start + Span::secs(24 * 3600), "after {} ms", (rig.now.boot - start).0);
        }
        rig.after(60_000);
    }
    assert!((100..200).contains(&tries), "rarely in the end: {tries}");
}

#[test]
fn codes_that_nobody_pays_keep_no_machine_empty() {
    // What is there, and how many codes are given for it.
    for (there, given) in [(1, 0), (2, 1), (3, 1), (4, 2), (7, 3), (10, 5)] {
        let mut rig = Rig::holding(there);
        for n in 1..=given {
            rig.taken_along(n);
        }
        rig.announced();
        rig.vend_at_store(given + 1);
        assert_eq!(rig.announced(), ["refused(sold_out)"], "{there}");
        assert_eq!(rig.events.last().and_then(|event| event.field.as_deref()), Some("payment"), "{there}");
        assert_eq!(rig.slot().refused, 0, "a QR is sold all the same");
        // All that is left goes to those who pay at once.
        for n in 0..u8::try_from(there).expect("few") - given {
            rig.sells_one(20 + n);
        }
        rig.vend(50);
        assert_eq!((rig.count(), rig.announced()), (Some(given.into()), vec!["refused(sold_out)".into()]), "{there}");
    }
}

#[test]
fn a_code_leaves_one_piece_to_others_whatever_else_is_kept() {
    let mut rig = Rig::holding(4);
    rig.collectable(1);
    rig.collectable(2);
    rig.taken_along(3);
    rig.announced();
    rig.vend_at_store(4);
    assert_eq!(rig.announced(), ["refused(sold_out)"], "two are paid, and it would be the last one");
    rig.sells_one(5);
    // What was paid is kept, and collected.
    rig.vend(6);
    assert_eq!((rig.count(), rig.announced()), (Some(3), vec!["refused(sold_out)".into()]));
    let effects = rig.collect(&code(1));
    let effects = rig.confirm(&effects, 1, order(paid_at_store(1)));
    rig.check(&effects, 1, checked(true, ""));
    assert_eq!((rig.announced(), rig.count()), (vec!["paid".into(), "dispensing".into()], Some(2)));
}

#[test]
fn a_paid_code_at_an_empty_slot_waits_until_it_is_filled() {
    let mut rig = Rig::holding(2);
    rig.collectable(1);
    rig.change(Change::Count, Some(0)).expect("somebody took all out");
    rig.collect(&code(1));
    let told = rig.events.last().and_then(|event| event.detail.as_deref());
    assert_eq!((refusal(&rig).0, told), (Some("sold_out"), Some("A1 is sold out now. The code stays good: come back")));
    rig.after(CHECK_EVERY.0);
    rig.answer(1, order(paid_at_store(1)));
    assert_eq!(rig.announced(), ["refused(sold_out)"], "nothing has ended");
    rig.change(Change::Fill, None).expect("filled");
    let effects = rig.collect(&code(1));
    let effects = rig.confirm(&effects, 1, order(paid_at_store(1)));
    rig.check(&effects, 1, checked(true, ""));
    assert_eq!(rig.announced(), ["paid", "dispensing"]);
}

#[test]
fn a_code_that_was_paid_in_its_last_second_finds_its_piece() {
    let mut rig = Rig::holding(2);
    rig.taken_along(1);
    rig.sells_one(2);
    rig.after(6_000);
    rig.message(Topic::PaymentUpdate, r#"{"order_id":"o-1","rev":2,"status":"expire"}"#);
    rig.answer(1, order(OrderResource { over: false, expires_in_s: Some(0), ..at_store(1, Status::Expire) }));
    assert_eq!(rig.announced(), ["expired"]);
    for same_boot in [true, false] {
        rig.cut_and_up(same_boot);
        rig.settle_open();
        rig.announced();
        rig.vend(3);
        assert_eq!(rig.announced(), ["refused(sold_out)"], "the code keeps it");
    }
    rig.pay(&receipt_of(1));
    assert_eq!((rig.announced(), rig.count()), (vec!["awaiting_collection".into()], Some(1)));
}

/// A person settles it at the merchant's, or the store takes the payment back. The piece is kept until the machine hears that, and is then free.
#[test]
fn what_ends_a_paid_code_elsewhere_frees_its_piece_and_drives_nothing() {
    type End = (fn(&mut OrderResource), &'static str);
    let ends: [End; 4] = [
        (|order| order.refund = Some(Refund::ByHand), "refund_due(not_collected)"),
        (|order| order.refund = Some(Refund::Given), "refund_due(not_collected)"),
        (|order| (order.status, order.refund) = (Status::Refund, Some(Refund::Done)), "refund_due(not_collected)"),
        (|order| (order.status, order.receipt) = (Status::Deny, None), "denied(gateway)"),
    ];
    for (n, (change, told)) in ends.into_iter().enumerate() {
        let mut rig = Rig::holding(2);
        rig.collectable(1);
        rig.sells_one(2);
        rig.vend(3);
        assert_eq!(rig.announced(), ["refused(sold_out)"], "{n}: it is the code's");
        let mut ended = paid_at_store(1);
        change(&mut ended);
        rig.after(CHECK_EVERY.0);
        rig.answer(1, order(ended.clone()));
        assert_eq!((rig.announced(), rig.relay(1)), (vec![told.to_owned()], Some(RelayCall::Close(ticket(1)))), "{n}");
        rig.closed(1);
        let effects = rig.collect(&code(1));
        rig.confirm(&effects, 1, order(ended));
        let told = rig.announced().concat();
        assert!(["refused(unknown_request)", "refunded"].contains(&&*told), "{n}: {told}");
        assert_eq!(rig.count(), Some(1), "{n}: it lies there");
        rig.sells_one(4);
        assert_eq!(rig.count(), Some(0), "{n}: it is there for somebody else");
    }
}

/// A chute is closed by its sensor. That ends no code, makes no slot suspect, and is not over because somebody fills.
#[test]
fn a_code_is_good_while_its_chute_is_closed_and_a_fill_does_not_open_it() {
    let chute = |rig: &mut Rig, state: LineCondition| {
        rig.facts.lines = vec![line("A1", state)];
        rig.on(Input::RelayReported(rig.facts.clone()));
    };
    let mut rig = Rig::holding(3);
    rig.collectable(1);
    chute(&mut rig, LineCondition::Blocked);
    for is_filled in [false, true] {
        if is_filled {
            rig.change(Change::Fill, None).expect("filled");
        }
        let Slot { not_sold, suspect, .. } = rig.slot();
        assert_eq!((not_sold, suspect), (Some(NotSold::Blocked), false), "{is_filled}");
        let before = rig.count();
        let effects = rig.collect(&code(1));
        let effects = rig.confirm(&effects, 1, order(paid_at_store(1)));
        rig.check(&effects, 1, checked(false, "line_blocked"));
        assert_eq!((rig.announced(), rig.count()), (vec!["refused(line_blocked)".to_owned()], before), "{is_filled}");
        rig.after(CHECK_EVERY.0);
        rig.answer(1, order(paid_at_store(1)));
        assert!(rig.announced().is_empty(), "{is_filled}: nothing has ended");
    }
    chute(&mut rig, LineCondition::Ready);
    assert_eq!(rig.slot().not_sold, None);
    rig.collected(1);
    rig.delivered(1);
    rig.after(11_000);
    rig.sells_one(2);
    assert_eq!(rig.count(), Some(8));
}

#[test]
fn goods_of_a_code_that_fall_late_are_one_piece_and_the_next_code_keeps_its_own() {
    let mut rig = Rig::holding(4);
    rig.collectable(1);
    rig.collectable(2);
    rig.change(Change::Count, Some(2)).expect("counted");
    rig.collected(1);
    rig.on(Input::Unseen(order_id("o-1"), TryNumber::FIRST));
    assert!(rig.scene.starts_with("NotSeen"), "{}", rig.scene);
    rig.collect(&code(2));
    assert_eq!((rig.announced(), rig.count()), (vec!["refused(busy)".to_owned()], Some(1)), "it may still fall");
    rig.on(Input::Finished(order_id("o-1"), TryNumber::FIRST, DispenseAnswer::Ended(Outcome::Dispensed)));
    rig.delivered(1);
    rig.after(11_000);
    rig.announced();
    rig.vend(3);
    assert_eq!((rig.announced(), rig.count()), (vec!["refused(sold_out)".to_owned()], Some(1)));
    rig.collected(2);
    assert_eq!(rig.count(), Some(0));
}
