//! A machine without a broker.

use super::rig::*;
use crate::machine::calls::{AWAIT_EVERY, LASTING_FIRST};
use qris_core::order::ids::OrderId;
use qris_core::order::machine::{LAST_ANSWER, RelayCall};
use qris_core::order::outcome::Outcome;
use qris_core::order::reason::Reason;
use qris_core::order::request::Refusal;
use qris_core::wire::orders::{OrderResource, Status};
use qris_core::wire::vend::EventState;

impl Rig {
    /// The file of the machine names this broker from now on, or none.
    fn begins_anew(&mut self, broker: Option<&str>) {
        self.settings.broker = broker.map(Into::into);
        self.cut_and_up(true);
        self.settle_open();
    }

    pub(super) fn without_a_broker() -> Self {
        let mut rig = Self::new();
        rig.begins_anew(None);
        rig
    }

    /// A controller on the board asks, and a QR is shown.
    pub(super) fn offered_on_board(&mut self, n: u8) -> Vec<Effect> {
        let payload = format!(r#"{{"request_id":"r-{n}","item":"A1"}}"#);
        let request = Request::Vend(sale(&payload));
        let mut all = self.on(Input::Requested(request, ON_BOARD));
        all.extend(self.prepare(&all.clone(), Ok(ticket(n))));
        all.extend(self.answer(n, order(resource(n, Status::Pending))));
        all
    }

    fn paid_and_handed_out(&mut self, n: u8) -> Vec<Effect> {
        let mut all = self.answer(n, order(settled(n, 1)));
        assert_eq!(self.relay(n), Some(RelayCall::Dispense(receipt_of(n))));
        all.extend(self.answer_relay(n, RelayAnswer::Dispense(DispenseAnswer::Ended(Outcome::Dispensed))));
        assert!(matches!(self.backend(n), Some(HttpCall::Tell(..))));
        all.extend(self.answer(n, order(settled(n, 2))));
        all.extend(self.after(20_000));
        all
    }

    /// How many events wait, and how many rows their table has.
    fn outbox(&self) -> (u64, i64) {
        let store = self.machine.storage.store().expect("a database");
        let rows = rusqlite::Connection::open(&self.settings.store).expect("it opens");
        (store.waiting(), rows.query_row("SELECT count(*) FROM outbox", [], |row| row.get(0)).expect("a number"))
    }
}

/// What the listeners on the board hear: the states, and the numbers of the events.
fn heard(effects: &[Effect]) -> Vec<(EventState, Option<u64>)> {
    let event = |effect: &Effect| if let Effect::OrderChanged(event) = effect { Some((event.state, event.seq)) } else { None };
    effects.iter().filter_map(event).collect()
}

fn is_for_the_broker(effect: &Effect) -> bool {
    matches!(effect, Effect::Publish { .. } | Effect::Ack(_) | Effect::DropBroker | Effect::AnswerCommand(..))
}

#[test]
fn it_sells_through_a_restart_and_keeps_nothing_for_a_broker() {
    let mut rig = Rig::without_a_broker();
    let mut seen = rig.offered_on_board(1);
    assert!(matches!(rig.backend(1), Some(HttpCall::Watch(..))), "it asks at once, and not after ten seconds");
    rig.begins_anew(None);
    assert!(matches!(rig.backend(1), Some(HttpCall::Watch(_, 0))), "the first answer comes at once, whatever was seen before");
    seen.extend(rig.answer(1, order(resource(1, Status::Pending))));
    // Before the QR is shown again, the relay says that it could still deliver.
    seen.extend(rig.answer_relay(1, RelayAnswer::Checked(Ok(()))));
    assert!(rig.scene.starts_with("Pay"), "{}", rig.scene);
    rig.after(1_000);
    seen.extend(rig.paid_and_handed_out(1));
    for n in 2..20 {
        rig.after(60_000);
        seen.extend(rig.offered_on_board(n));
        seen.extend(rig.paid_and_handed_out(n));
    }
    assert!(!seen.iter().any(is_for_the_broker), "{seen:?}");
    assert!(rig.scene.starts_with("Idle") && !rig.scene.contains("Offline"), "{}", rig.scene);
    assert!(rig.machine.faults.all().next().is_none());
    let heard = heard(&seen);
    let one: Vec<_> = heard.iter().take(5).map(|(state, _)| *state).collect();
    let states = [EventState::Requested, EventState::AwaitingPayment, EventState::Paid, EventState::Dispensing, EventState::Dispensed];
    assert_eq!(one, states);
    let numbers: Vec<_> = heard.iter().filter_map(|(_, seq)| *seq).collect();
    assert_eq!(numbers, (1..=95).collect::<Vec<_>>(), "each event has a number of its own");
    assert_eq!(rig.outbox(), (0, 1), "one row keeps the last number");
}

#[test]
fn a_broker_that_comes_later_is_told_all_sums_and_no_old_event() {
    let mut rig = Rig::without_a_broker();
    for n in 1..4 {
        rig.offered_on_board(n);
        rig.paid_and_handed_out(n);
    }
    rig.announced();
    rig.begins_anew(Some("the broker"));
    assert_eq!(rig.announced(), [] as [&str; 0]);
    let report = rig.next_report();
    assert_eq!((report.sums.dispensed, report.sums.dispensed_amount, report.waiting), (3, 15_000, 0));
    let counted: i64 = report.ended.iter().map(|row| row.count).sum();
    assert_eq!(counted, 3, "{:?}", report.ended);
    rig.requested(9);
    assert_eq!(rig.states().last(), Some(&("requested".to_owned(), 16)), "the numbers go on");
}

#[test]
fn what_waited_for_a_broker_waits_on_while_there_is_none() {
    let mut rig = Rig::new();
    rig.on(Input::BrokerDown { reason: "gone".into(), date_refusal: false, thrown_out: false });
    rig.offered_on_board(1);
    rig.paid_and_handed_out(1);
    assert_eq!(rig.outbox().0, 5);
    rig.announced();
    rig.begins_anew(None);
    rig.offered_on_board(2);
    rig.paid_and_handed_out(2);
    assert_eq!(rig.outbox(), (5, 6), "no more than that");
    rig.begins_anew(Some("the broker"));
    assert_eq!(rig.announced(), ["requested", "awaiting_payment", "paid", "dispensing", "dispensed"]);
    rig.after(10_000);
    assert_eq!(rig.outbox(), (0, 1));
}

#[test]
fn an_updated_system_proves_itself_without_one() {
    let mut rig = Rig::without_a_broker();
    let system = System { slot: "rootfs.1".into(), installed: "friday".into() };
    let effects = rig.on(Input::System(SystemAnswer::Runs { system, is_installing: false }));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::System(SystemCall::MarkGood))), "{effects:?}");
}

/// The backend calls it cancelled. A payment may be under way at the gateway.
fn lasting(n: u8) -> BackendAnswer {
    order(OrderResource { rev: 2, over: false, ..resource(n, Status::Cancel) })
}

impl Rig {
    /// A QR that nobody paid in time.
    fn ended_unpaid(&mut self) {
        self.offered_on_board(1);
        self.after(120_000);
        assert_eq!(self.backend(1), Some(HttpCall::Cancel(id())));
        self.answer(1, lasting(1));
        assert_eq!(self.backend(1), Some(HttpCall::Get(id())), "it is asked about at the QR's end");
        self.answer(1, lasting(1));
        assert!(self.backend(1).is_none() && self.relay(1).is_none());
    }

    /// The same with a grace of so many milliseconds.
    fn ended_unpaid_in(grace: i64) -> Self {
        let mut rig = Self::without_a_broker();
        rig.settings.orders.rules.late_grace = Span(grace);
        rig.begins_anew(None);
        rig.ended_unpaid();
        rig
    }
}

fn id() -> OrderId {
    order_id("o-1")
}

#[test]
fn a_payment_in_the_grace_is_found_and_delivered_with_a_broker_and_without() {
    for mut rig in [Rig::without_a_broker(), Rig::new()] {
        rig.ended_unpaid();
        for _ in 0..10 {
            rig.after(AWAIT_EVERY.0 - 1);
            assert_eq!(rig.backend(1), None);
            rig.after(1);
            assert_eq!(rig.backend(1), Some(HttpCall::Get(id())), "at its own pace, and with no long poll");
            rig.answer(1, lasting(1));
        }
        rig.after(AWAIT_EVERY.0);
        rig.paid_and_handed_out(1);
        assert!(rig.machine.orders.get(&request_id("r-1")).is_none(), "nothing is left to ask");
    }
}

/// The backend asks the gateway every 10 s, and the answer takes its time.
#[test]
fn a_payment_in_the_last_second_of_any_grace_is_delivered() {
    for (grace, before_the_last) in [(1_000, 0), (9_000, 0), (10_000, 0), (15_000, 1), (120_000, 11)] {
        let mut rig = Rig::ended_unpaid_in(grace);
        for _ in 0..before_the_last {
            rig.after(AWAIT_EVERY.0);
            rig.answer(1, lasting(1));
        }
        rig.after(AWAIT_EVERY.0 - 1);
        assert_eq!((rig.backend(1), rig.relay(1)), (None, None), "{grace}");
        // It wakes up late by a little.
        rig.after(8);
        assert_eq!(rig.backend(1), Some(HttpCall::Get(id())), "{grace}: once more after the end");
        rig.after(11_000);
        assert_eq!(rig.relay(1), None, "{grace}: the ticket is kept for the answer");
        rig.paid_and_handed_out(1);
    }
}

#[test]
fn the_grace_ends_with_the_answer_to_the_last_question() {
    for grace in [0, 10_500] {
        let mut rig = Rig::without_a_broker();
        rig.settings.orders.rules.late_grace = Span(grace);
        rig.begins_anew(None);
        rig.offered_on_board(1);
        rig.after(120_000);
        rig.answer(1, lasting(1));
        if grace > 0 {
            rig.answer(1, lasting(1));
            rig.after(AWAIT_EVERY.0);
            rig.answer(1, lasting(1));
            assert_eq!(rig.relay(1), None, "that question began before the end, and so it is not the last one");
            rig.after(AWAIT_EVERY.0);
        }
        assert_eq!((rig.backend(1), rig.relay(1)), (Some(HttpCall::Get(id())), None));
        rig.answer(1, lasting(1));
        assert_eq!(rig.relay(1), Some(RelayCall::Close(ticket(1))));
        rig.after(LASTING_FIRST.0);
        let effects = rig.answer(1, order(settled(1, 5)));
        assert_eq!(heard(&effects).iter().map(|(state, _)| *state).collect::<Vec<_>>(), [EventState::RefundDue]);
    }
}

#[test]
fn a_last_question_without_an_answer_is_asked_again_and_the_order_is_given_up_in_the_end() {
    let mut rig = Rig::ended_unpaid_in(9_000);
    rig.after(AWAIT_EVERY.0);
    rig.answer(1, gone());
    assert_eq!(rig.relay(1), None);
    rig.after(5_000);
    assert_eq!(rig.backend(1), Some(HttpCall::Get(id())));
    rig.after(9_000 + LAST_ANSWER.0 - 15_000);
    assert_eq!(rig.relay(1), None);
    rig.after(1);
    assert_eq!(rig.relay(1), Some(RelayCall::Close(ticket(1))));
}

#[test]
fn an_answer_that_fails_in_the_grace_is_asked_for_again_soon() {
    let mut rig = Rig::without_a_broker();
    rig.ended_unpaid();
    rig.after(AWAIT_EVERY.0);
    rig.answer(1, gone());
    rig.after(AWAIT_EVERY.0);
    assert_eq!(rig.backend(1), Some(HttpCall::Get(id())));
}

#[test]
fn a_backend_that_is_away_is_asked_every_ten_seconds_while_somebody_may_have_paid() {
    let mut rig = Rig::without_a_broker();
    rig.offered_on_board(1);
    let mut silent = 0;
    // Two minutes of its QR, and nearly two of the grace.
    for second in 0..230 {
        rig.after(1000);
        silent += 1;
        while rig.backend(1).is_some() {
            rig.answer(1, gone());
            silent = 0;
        }
        assert!(silent <= 10, "at {second} s nobody has asked for {silent} s");
    }
    assert!(rig.machine.orders.get(&request_id("r-1")).is_some(), "it may still be paid");
}

/// The books are lost, or cannot be written: the backend asks for a minute.
#[test]
fn a_backend_that_asks_to_wait_is_asked_every_ten_seconds_while_somebody_may_have_paid() {
    let mut rig = Rig::without_a_broker();
    rig.offered_on_board(1);
    let (mut silent, mut asked) = (0, 0);
    for second in 0..230 {
        rig.after(1000);
        silent += 1;
        while rig.backend(1).is_some() {
            rig.answer(1, BackendAnswer::Later(Refusal::new(Reason::Store, "the books are lost"), Span::secs(60)));
            (silent, asked) = (0, asked + 1);
        }
        assert!(silent <= 10, "at {second} s nobody has asked for {silent} s");
    }
    assert!(asked <= 40, "{asked}: and it is not asked at once");
}

#[test]
fn what_ended_unpaid_is_asked_about_less_and_less_until_the_gateway_has_ended_it() {
    let mut rig = Rig::without_a_broker();
    rig.ended_unpaid();
    // It is asked about at the end of the grace.
    rig.after(120_000);
    assert_eq!(rig.backend(1), Some(HttpCall::Get(id())));
    rig.answer(1, lasting(1));
    rig.closed(1);
    let mut pace = LASTING_FIRST.0;
    for _ in 0..12 {
        rig.after(pace - 1);
        assert_eq!(rig.backend(1), None);
        rig.after(1);
        assert_eq!(rig.backend(1), Some(HttpCall::Get(id())), "after {pace} ms");
        rig.answer(1, lasting(1));
        pace = (pace * 2).min(6 * 3_600_000);
    }
    rig.offered_on_board(2);
    rig.paid_and_handed_out(2);
    // A restart of the program changes nothing.
    rig.begins_anew(None);
    assert_eq!(rig.backend(1), Some(HttpCall::Get(id())), "it is asked about at the start");
    rig.answer(1, order(OrderResource { rev: 3, ..resource(1, Status::Cancel) }));
    assert!(rig.machine.orders.get(&request_id("r-1")).is_none(), "the gateway has ended it for good");
    rig.after(7 * 3_600_000);
}

#[test]
fn money_that_comes_after_the_grace_is_found_without_a_restart() {
    let mut rig = Rig::without_a_broker();
    rig.ended_unpaid();
    rig.after(120_000);
    rig.answer(1, lasting(1));
    rig.closed(1);
    rig.after(LASTING_FIRST.0);
    let effects = rig.answer(1, order(settled(1, 5)));
    assert_eq!(heard(&effects).iter().map(|(state, _)| *state).collect::<Vec<_>>(), [EventState::RefundDue]);
    rig.closed(1);
    assert!(matches!(rig.backend(1), Some(HttpCall::Tell(..))));
}
