//! Sales, good and bad, with power cuts in between.

use super::rig::*;
use qris_core::order::ids::ItemId;
use qris_core::order::machine::RelayCall;
use qris_core::order::outcome::{CloseAnswer, Delivery, Outcome};
use qris_core::order::reason::Reason;
use qris_core::order::request::{Price, PriceList, Refusal};
use qris_core::order::tries::TryNumber;
use qris_core::wire::orders::{OrderResource, Status};
use qris_core::wire::topics::Topic;

fn item_id(text: &str) -> ItemId {
    ItemId::new(text).expect("an item id")
}

fn told(call: Option<HttpCall>) -> Option<Delivery> {
    match call {
        Some(HttpCall::Tell(_, report)) => Some(report.outcome),
        _ => None,
    }
}

#[test]
fn a_sale() {
    let mut rig = Rig::new();
    let (ack, effects) = rig.vend(1);
    assert!(!rig.is_acked(ack) && rig.announced().is_empty(), "nothing before the commit");
    rig.prepare(&effects, Ok(ticket(1)));
    assert!(rig.is_acked(ack));
    let Some(HttpCall::Create(posted)) = rig.backend(1) else { panic!("the backend is asked") };
    assert_eq!((&*posted.kids, posted.purchase.description.as_deref(), posted.purchase.timeout_s), (&*rig.facts.keys, Some("Tea"), 120));
    rig.answer(1, order(resource(1, Status::Pending)));
    assert!(rig.scene.starts_with("Pay"));
    assert_eq!(rig.backend(1), None, "with the broker there is no poll at first");
    let (ack, _) = rig.pay(&receipt_of(1));
    assert!(rig.is_acked(ack));
    rig.delivered(1);
    assert!(rig.scene.starts_with("Take"));
    assert_eq!(told(rig.backend(1)), Some(Delivery::Dispensed));
    rig.answer(1, order(settled(1, 3)));
    assert!(rig.machine.orders.ids().is_empty());
    assert_eq!(rig.announced(), ["requested", "awaiting_payment", "paid", "dispensing", "dispensed"]);
    assert_eq!(rig.states().iter().map(|(_, seq)| *seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    rig.after(10_000);
    assert!(rig.scene.starts_with("Idle { trouble: None"), "{}", rig.scene);
    rig.after(60_000);
    assert!(rig.backend(1).is_none() && rig.open().is_none(), "no open order: no HTTP");
}

#[test]
fn without_the_broker_the_long_poll_brings_the_receipt() {
    let mut rig = Rig::new();
    rig.on(Input::BrokerDown { reason: "gone".into(), date_refusal: false, thrown_out: false });
    rig.offered(1);
    assert_eq!(rig.backend(1), Some(HttpCall::Watch(order_id("o-1"), 1)));
    rig.answer(1, order(resource(1, Status::Pending)));
    assert_eq!(rig.backend(1), None, "a poll without news is not begun again at once");
    rig.after(1000);
    rig.answer(1, order(settled(1, 1)));
    assert_eq!(rig.relay(1), Some(RelayCall::Dispense(receipt_of(1))));
}

#[test]
fn no_jump_of_the_wall_clock_moves_a_deadline() {
    let day = Span::secs(86_400);
    for jumped in [Wall(0), Wall(2_000_000) + day, Wall(2_000_000) - day] {
        let mut rig = Rig::new();
        rig.offered(1);
        rig.after(60_000);
        rig.now.wall = jumped;
        rig.on(Input::Woken);
        assert!(rig.scene.starts_with("Pay"), "{jumped:?}: {}", rig.scene);
        rig.after(59_999);
        assert!(rig.scene.starts_with("Pay"), "{jumped:?}: {}", rig.scene);
        assert_eq!(rig.machine.next_deadline(rig.now.boot), Some(rig.now.boot + Span::millis(1)), "{jumped:?}");
        rig.after(1);
        assert!(rig.scene.starts_with("Cancelling"), "{jumped:?}: {}", rig.scene);
    }
}

#[test]
fn one_fifteen_second_bound_from_the_request_to_its_end() {
    let mut rig = Rig::new();
    let (_, effects) = rig.vend(1);
    rig.after(1900);
    rig.prepare(&effects, Ok(ticket(1)));
    let midtrans = Refusal::new(Reason::Gateway, "Midtrans does not answer");
    rig.answer(1, BackendAnswer::Later(midtrans, Span::secs(2)));
    assert_eq!(rig.backend(1), None);
    rig.after(1999);
    assert_eq!(rig.backend(1), None, "not before its Retry-After");
    rig.after(1);
    assert!(matches!(rig.backend(1), Some(HttpCall::Create(_))));
    rig.answer(1, gone());
    rig.after(15_000 - 1900 - 2000);
    assert_eq!(rig.announced(), ["requested", "failed(gateway)"], "the problem's code decides");
    assert_eq!(rig.relay(1), Some(RelayCall::Close(ticket(1))));
}

#[test]
fn answers_of_the_backend_to_a_request() {
    let no = |reason| Refusal::new(reason, "no");
    let table = [
        (BackendAnswer::Refused(no(Reason::GrossAmount)), "failed(gross_amount)"),
        (BackendAnswer::Refused(no(Reason::ReusedId)), "failed(reused_id)"),
        (BackendAnswer::Refused(no(Reason::RateLimited)), "failed(rate_limited)"),
        (BackendAnswer::Wrong(no(Reason::Backend)), "failed(backend)"),
    ];
    for (answer, end) in table {
        let mut rig = Rig::new();
        rig.requested(1);
        rig.answer(1, answer);
        assert_eq!(rig.announced(), ["requested", end]);
    }
}

#[test]
fn the_same_request_is_posted_whatever_changed_meanwhile() {
    let mut rig = Rig::new();
    rig.requested(1);
    let first = rig.backend(1).expect("posted");
    rig.facts.keys.clear();
    rig.settings.names.clear();
    rig.on(Input::RelayReported(rig.facts.clone()));
    assert_eq!(rig.backend(1), Some(first.clone()), "the relay's keys changed: the call goes on");
    rig.power_cut(true);
    assert_eq!(rig.backend(1), Some(first), "another body would be refused as reused_id");
}

#[test]
fn the_screen_says_what_a_request_says_only_of_what_it_prices() {
    for (item, described) in [(r#""item":"A1""#, false), (r#""item":"exit","amount":3000"#, true)] {
        let mut rig = Rig::new();
        rig.settings.prices = PriceList::new([
            (item_id("A1"), Price::Fixed(rp(5_000))),
            (item_id("exit"), Price::FromRequest { min: rp(2_000), max: rp(9_000), mqtt: true }),
        ]);
        rig.cut_and_up(true);
        rig.message(Topic::VendRequest, &format!(r#"{{"request_id":"r-1",{item},"description":"B 1234 XY"}}"#));
        assert!(rig.scene.starts_with("Preparing"), "{}", rig.scene);
        assert_eq!(rig.scene.contains("B 1234 XY"), described, "{}", rig.scene);
    }
}

#[test]
fn a_machine_of_the_sandbox_says_so_from_its_start() {
    let mut rig = Rig::new();
    assert!(!rig.sandbox);
    rig.dispensing(1);
    rig.delivered(1);
    rig.power_cut(false);
    assert!(rig.sandbox, "before anything is heard of the backend");
}

#[test]
fn an_idle_screen_says_that_the_network_is_gone() {
    let mut rig = Rig::new();
    rig.bring_up();
    assert!(rig.scene.starts_with("Idle { trouble: None"), "{}", rig.scene);
    rig.on(Input::BrokerDown { reason: "no route".into(), date_refusal: false, thrown_out: false });
    assert_eq!(rig.scene, "Offline { missing: Broker, not_sold: {} }");
    rig.on(Input::BrokerUp { refused: Vec::new() });
    assert!(rig.scene.starts_with("Idle { trouble: None"), "{}", rig.scene);
}

#[test]
fn cancel_at_each_state() {
    let cancel = r#"{"request_id":"r-1"}"#;
    // The cancel comes while the ticket is awaited.
    let mut rig = Rig::new();
    let (_, effects) = rig.vend(1);
    let (ack, _) = rig.message(Topic::VendCancel, cancel);
    assert!(!rig.is_acked(ack));
    rig.prepare(&effects, Ok(ticket(1)));
    assert!(rig.is_acked(ack));
    assert_eq!(rig.announced(), ["requested", "cancelling(customer)"]);
    // The POST gets its answer; then its charge is cancelled.
    rig.answer(1, order(resource(1, Status::Pending)));
    assert_eq!(rig.backend(1), Some(HttpCall::Cancel(order_id("o-1"))));
    rig.answer(1, order(resource(1, Status::Cancel)));
    assert_eq!(rig.announced(), ["cancelled(customer)"]);
    rig.closed(1);
    assert!(rig.machine.orders.ids().is_empty());
    // The cancel of an ended order: its last event comes again.
    let before = rig.events.last().map(|event| event.event_id.clone());
    let (ack, _) = rig.message(Topic::VendCancel, cancel);
    assert!(rig.is_acked(ack));
    assert_eq!(rig.announced(), ["cancelled(customer)"]);
    assert_eq!(rig.events.last().map(|event| event.event_id.clone()), before);
    // The cancel comes while the QR is shown, and it is too late.
    let mut rig = Rig::new();
    rig.offered(1);
    rig.message(Topic::VendCancel, cancel);
    assert!(rig.scene.starts_with("Cancelling"));
    rig.answer(1, order(settled(1, 0)));
    assert_eq!(rig.announced(), ["requested", "awaiting_payment", "cancelling(customer)", "paid", "dispensing"]);
    // The cancel comes during the delivery: nothing can be cancelled any more.
    rig.message(Topic::VendCancel, cancel);
    assert_eq!(rig.announced(), ["dispensing"]);
    // The cancel of an unknown request.
    let (ack, _) = rig.message(Topic::VendCancel, r#"{"request_id":"r-9"}"#);
    assert!(rig.is_acked(ack));
    assert_eq!(rig.announced(), ["refused(unknown_request)"]);
}

#[test]
fn a_cancel_that_is_not_answered_frees_the_machine_and_goes_on() {
    let mut rig = Rig::new();
    rig.offered(1);
    rig.after(120_000);
    rig.answer(1, gone());
    rig.after(15_000);
    assert!(rig.scene.starts_with("DoNotPay"), "{}", rig.scene);
    assert!(matches!(rig.backend(1), Some(HttpCall::Cancel(_))));
    rig.announced();
    rig.requested(2);
    // The receipt comes while another customer stands there.
    rig.pay(&receipt_of(1));
    assert_eq!(rig.announced(), ["requested", "refund_due(late)"]);
    assert_eq!(rig.relay(1), Some(RelayCall::Close(ticket(1))));
    rig.closed(1);
    assert_eq!(told(rig.backend(1)), Some(Delivery::Undelivered));
}

#[test]
fn who_has_paid_goes_before_a_request_that_waits_for_its_ticket() {
    let mut rig = Rig::new();
    rig.offered(1);
    rig.after(120_000);
    rig.answer(1, order(resource(1, Status::Cancel)));
    let (ack, effects) = rig.vend(2);
    rig.announced();
    rig.pay(&receipt_of(1));
    assert_eq!(rig.announced(), ["paid", "dispensing"]);
    let effects = rig.prepare(&effects, Ok(ticket(2)));
    assert!(rig.is_acked(ack));
    assert_eq!((rig.announced(), closes(&effects)), (vec!["refused(busy)".to_owned()], vec![ticket(2)]));
}

#[test]
fn power_cuts_in_the_same_boot() {
    // Requested: the same question is asked again.
    let mut rig = Rig::new();
    rig.requested(1);
    rig.power_cut(true);
    assert!(matches!(rig.backend(1), Some(HttpCall::Create(_))));
    // The answer comes before the relay is there. The QR is not shown, and the order does not end either.
    rig.answer(1, order(resource(1, Status::Pending)));
    assert!(!rig.scene.starts_with("Pay"));
    rig.bring_up();
    assert_eq!(rig.relay(1), Some(RelayCall::Check(ticket(1))));
    rig.answer_relay(1, RelayAnswer::Checked(Ok(())));
    assert!(rig.scene.starts_with("Pay"));
    // Awaiting payment.
    rig.power_cut(true);
    assert!(!rig.scene.starts_with("Pay"), "{}", rig.scene);
    rig.bring_up();
    rig.answer_relay(1, RelayAnswer::Checked(Err(Reason::Busy)));
    rig.after(1000);
    rig.answer_relay(1, RelayAnswer::Checked(Ok(())));
    assert!(rig.scene.starts_with("Pay"));
    // Dispensing: the ledger is asked first.
    rig.pay(&receipt_of(1));
    rig.cut_and_up(true);
    assert_eq!(rig.relay(1), Some(RelayCall::Query(order_id("o-1"), TryNumber::FIRST)));
    rig.answer_relay(1, RelayAnswer::Dispense(DispenseAnswer::Unknown));
    assert_eq!(rig.relay(1), Some(RelayCall::Dispense(receipt_of(1))));
    rig.delivered(1);
    // Dispensed, and the backend was not told.
    rig.cut_and_up(true);
    assert_eq!(told(rig.backend(1)), Some(Delivery::Dispensed));
    rig.answer(1, BackendAnswer::OtherOutcome);
    assert!(rig.machine.orders.ids().is_empty());
    assert_eq!(rig.announced(), ["requested", "awaiting_payment", "paid", "dispensing", "dispensed"], "each once");
}

#[test]
fn power_cuts_in_another_boot() {
    // Requested: the customer has gone, and the end is told.
    let mut rig = Rig::new();
    rig.requested(1);
    rig.cut_and_up(false);
    assert_eq!(rig.announced(), ["requested", "failed(backend)"]);
    rig.answer_open(vec![resource(1, Status::Pending)]);
    assert_eq!(rig.backend(1), Some(HttpCall::Cancel(order_id("o-1"))));
    // Awaiting payment: its time begins once more, but never goes beyond the charge's.
    let mut rig = Rig::new();
    rig.offered(1);
    rig.cut_and_up(false);
    rig.answer_open(vec![OrderResource { expires_in_s: Some(30), ..resource(1, Status::Pending) }]);
    rig.answer_relay(1, RelayAnswer::Checked(Ok(())));
    assert!(rig.scene.starts_with("Pay"));
    rig.after(30_000);
    assert!(rig.scene.starts_with("Cancelling"), "{}", rig.scene);
    // It is paid now. Only the backend can allow the delivery.
    rig.announced();
    rig.answer(1, order(settled(1, 20)));
    assert_eq!((rig.announced(), rig.relay(1)), (vec!["paid".to_owned()], None));
    assert_eq!(rig.backend(1), Some(HttpCall::Get(order_id("o-1"))));
    // The QR left the screen in an earlier boot: nobody knows when.
    let mut rig = Rig::new();
    rig.offered(1);
    rig.after(120_000);
    rig.cut_and_up(false);
    rig.announced();
    rig.pay(&receipt_of(1));
    assert_eq!(rig.announced(), ["refund_due(late)"]);
}

#[test]
fn a_dispense_that_was_never_answered_counts_as_sent() {
    let mut rig = Rig::new();
    rig.dispensing(1);
    // The relay dies during the call, and comes back with an empty ledger.
    rig.on(Input::RelayDown("gone".into()));
    assert_eq!(rig.relay(1), Some(RelayCall::Dispense(receipt_of(1))), "its answer, or that there is none, is waited for");
    rig.answer_relay(1, RelayAnswer::NoAnswer("disconnected".into()));
    rig.on(Input::RelayUp(rig.facts.clone()));
    assert_eq!(rig.relay(1), Some(RelayCall::Query(order_id("o-1"), TryNumber::FIRST)), "a relay that is back is asked at once");
    rig.answer_relay(1, RelayAnswer::Dispense(DispenseAnswer::Unknown));
    rig.announced();
    rig.answer_relay(1, RelayAnswer::Refused(RelayError::UnknownTicket, "".into()));
    assert_eq!(rig.announced(), ["refund_due(uncertain)"]);
}

#[test]
fn a_dispense_under_way_at_the_deadline_is_waited_for_before_close() {
    let mut rig = Rig::new();
    rig.dispensing(1);
    rig.after(600_000);
    assert_eq!(rig.relay(1), Some(RelayCall::Dispense(receipt_of(1))));
    rig.answer_relay(1, RelayAnswer::NoAnswer("no answer in 22 s".into()));
    rig.after(250);
    assert_eq!(rig.relay(1), Some(RelayCall::Close(ticket(1))));
    rig.announced();
    rig.answer_relay(1, RelayAnswer::Refused(RelayError::UnknownTicket, "".into()));
    assert_eq!(rig.announced(), ["refund_due(uncertain)"]);
    assert!(rig.scene.starts_with("Uncertain"), "the screen has the word of the books: {}", rig.scene);
    assert_eq!(told(rig.backend(1)), Some(Delivery::Uncertain));
}

#[test]
fn a_check_of_the_old_owner_says_nothing_of_the_new_one() {
    let mut rig = Rig::new();
    rig.offered(1);
    rig.on(Input::RelayUp(rig.facts.clone()));
    rig.on(Input::RelayUp(rig.facts.clone()));
    rig.answer_relay(1, RelayAnswer::Checked(Ok(())));
    rig.after(250);
    assert_eq!(rig.relay(1), Some(RelayCall::Check(ticket(1))), "asked again");
    rig.answer_relay(1, RelayAnswer::Checked(Err(Reason::LineBlocked)));
    assert_eq!(rig.announced().last().map(String::as_str), Some("cancelling(line_blocked)"));
}

#[test]
fn a_ticket_of_the_old_owner_is_checked_with_the_new_one() {
    let mut rig = Rig::new();
    let (_, effects) = rig.vend(1);
    rig.on(Input::RelayUp(rig.facts.clone()));
    rig.prepare(&effects, Ok(ticket(1)));
    rig.answer(1, order(resource(1, Status::Pending)));
    assert_eq!(rig.relay(1), Some(RelayCall::Check(ticket(1))));
}

#[test]
fn close_decides_even_from_refund_due() {
    let mut rig = Rig::new();
    rig.dispensing(1);
    rig.answer_relay(1, RelayAnswer::Refused(RelayError::Hardware, "broken".into()));
    assert_eq!(rig.announced().last().map(String::as_str), Some("refund_due(relay_refused)"));
    assert!(rig.machine.faults.has(FaultCode::Relay));
    assert_eq!(rig.backend(1), None, "nothing is told before the ticket is closed");
    rig.answer_relay(1, RelayAnswer::Close(CloseAnswer::Ended(Outcome::Dispensed)));
    assert_eq!((rig.announced(), told(rig.backend(1))), (vec!["dispensed".to_owned()], Some(Delivery::Dispensed)));
    rig.answer(1, order(settled(1, 3)));
    rig.requested(2);
    assert!(!rig.machine.faults.has(FaultCode::Relay), "until a `Prepare` passes");
}

#[test]
fn a_backend_that_is_gone_for_long_is_asked_rarely_and_at_once_when_it_is_back() {
    let mut rig = Rig::new();
    rig.dispensing(1);
    rig.delivered(1);
    let mut asked = 0;
    for _ in 0..3 * 3600 {
        if rig.backend(1).is_some() {
            asked += 1;
            rig.answer(1, gone());
        }
        rig.after(1000);
    }
    assert!((64..90).contains(&asked), "{asked} calls in three hours");
    rig.on(Input::BrokerUp { refused: vec![] });
    assert_eq!(told(rig.backend(1)), Some(Delivery::Dispensed));
}

#[test]
fn many_unfinished_orders_have_few_calls_under_way() {
    let mut rig = Rig::unlimited();
    for n in 1..=20 {
        rig.dispensing(n);
        rig.delivered(n);
    }
    let calls = (1..=20).filter(|n| rig.backend(*n).is_some()).count();
    assert_eq!(calls, 4);
    for _ in 0..20 {
        let n = (1..=20).find(|n| rig.backend(*n).is_some()).expect("the next is told");
        rig.answer(n, order(settled(n, 3)));
    }
    assert!(rig.machine.orders.ids().is_empty());
}

fn proof(call: Option<HttpCall>) -> Option<Box<str>> {
    match call {
        Some(HttpCall::Tell(_, report)) => report.proof,
        other => panic!("nothing is reported: {other:?}"),
    }
}

/// A sale whose line failed. Its report is still to be sent, and this is the relay's answer to `Prove` until then.
fn failed_sale(answer: Option<RelayAnswer>) -> Rig {
    let mut rig = Rig::new();
    rig.proof = answer;
    rig.offered(1);
    rig.pay(&receipt_of(1));
    rig.answer_relay(1, RelayAnswer::Dispense(qris_core::order::outcome::DispenseAnswer::Ended(Outcome::Failed)));
    rig
}

#[test]
fn a_report_carries_the_relays_word_and_waits_for_it_while_the_relay_is_there() {
    // The proof is there at once; it is not there; the relay does not know the ticket.
    let word = || RelayAnswer::Proof(Some("the relay's word".into()));
    for (answer, expected) in [
        (word(), Some("the relay's word")),
        (RelayAnswer::Proof(None), None),
        (RelayAnswer::Refused(RelayError::UnknownTicket, "".into()), None),
    ] {
        let mut rig = failed_sale(Some(answer.clone()));
        assert_eq!(proof(rig.backend(1)).as_deref(), expected, "{answer:?}");
        // Nobody asks again for a known proof, and the report stays the same.
        rig.answer(1, gone());
        rig.after(1_000);
        assert_eq!(proof(rig.backend(1)).as_deref(), expected, "{answer:?}");
    }
    // The relay or its disk is slow. It is asked again until it answers, but not for ever.
    for trouble in [RelayAnswer::NoAnswer("busy".into()), RelayAnswer::Refused(RelayError::Ledger, "full".into())] {
        for comes in [true, false] {
            let mut rig = failed_sale(Some(trouble.clone()));
            for _ in 0..60 {
                assert_eq!(rig.backend(1), None, "{trouble:?}");
                rig.after(1_000);
            }
            rig.proof = Some(if comes { word() } else { trouble.clone() });
            for _ in 0..60 {
                rig.after(1_000);
            }
            assert_eq!(proof(rig.backend(1)).as_deref(), comes.then_some("the relay's word"), "{trouble:?}");
        }
    }
}

#[test]
fn without_a_relay_a_report_waits_a_minute_and_goes_without_a_proof() {
    for comes_back in [true, false] {
        let mut rig = failed_sale(None);
        rig.power_cut(true);
        rig.proof = Some(RelayAnswer::Proof(Some("the relay's word".into())));
        rig.on(Input::BrokerUp { refused: vec![] });
        rig.settle_open();
        rig.after(40_000);
        assert_eq!(rig.backend(1), None, "the relay may still be starting");
        if comes_back {
            rig.on(Input::RelayUp(rig.facts.clone()));
            assert_eq!(proof(rig.backend(1)).as_deref(), Some("the relay's word"));
        } else {
            rig.after(20_000);
            assert_eq!(proof(rig.backend(1)), None, "who paid is told, whatever becomes of the relay");
        }
    }
}
