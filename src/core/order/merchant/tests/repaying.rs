//! Refunds, gifts, and the reasons why a person must look.

use super::*;
use crate::order::tries::TryNumber;

fn with_rules<T>(run: impl FnOnce(&Context<'_>) -> T) -> T {
    let rules = rules();
    run(&Context { rules: &rules, paid_already: false })
}

fn settled() -> Vec<(i64, Event)> {
    vec![(0, Event::Charged(charge(5000))), (1000, status(Said::Settled))]
}

/// A paid order with this report of the machine, if any.
fn paid(outcome: Option<Delivery>) -> Order {
    live(&settled().into_iter().chain(outcome.map(|outcome| (2000, told(outcome)))).collect::<Vec<_>>())
}

fn contradicted(outcome: Delivery) -> Event {
    Event::Contradicted { told: DeliveryReport::proven(outcome), refund_on_its_way: false }
}

fn refund(no_report: bool) -> Event {
    Event::RefundRequested(RefundWish { no_report, ..RefundWish::of_a_person(Some("Ani".into())) })
}

fn refund_without_proof() -> Event {
    Event::RefundRequested(RefundWish { no_proof: true, ..RefundWish::of_a_person(Some("Ani".into())) })
}

fn by_hand(no_report: bool) -> Event {
    Event::SettledByHand { note: "cash".into(), by: None, no_report, goods_and_money: false }
}

fn given() -> Event {
    Event::Given { by: "Budi".into(), goods_and_money: false, from_slot: false }
}

fn answered(answer: RefundAnswer) -> Event {
    Event::RefundAnswered(answer)
}

/// Applies events to an order, one after the other, as far as they are granted.
fn then(mut order: Order, events: Vec<Event>, ms: i64) -> Result<Order, Refused> {
    let mut now = T0 + Span::millis(ms);
    for event in events {
        now = due_at(&order, &event, now);
        order = with_rules(|with| apply(order, event, Told::trusted(now), with))?;
        while let Duty::Apply(event) = duty(&order, Told::trusted(now)) {
            order = with_rules(|with| apply(order, event, Told::trusted(now), with)).expect("a fact");
        }
    }
    Ok(order)
}

fn money(order: &Order) -> &'static str {
    match order.repayment() {
        None => "none",
        Some(Repayment::Requested { get_status: false, .. }) => "asked",
        Some(Repayment::Requested { get_status: true, .. }) => "looking",
        Some(Repayment::Refused { .. }) => "refused",
        Some(Repayment::Done { .. }) => "done",
        Some(Repayment::ByHand { .. }) => "by_hand",
        Some(Repayment::Given { .. }) => "given",
    }
}

#[test]
fn refund_and_delivery_exclude_each_other() {
    type Row = (&'static str, Order, Event, Result<&'static str, Refused>);
    let hour = NO_REPORT_AFTER.0 + 1000;
    let unreported = || then(paid(None), vec![Event::Unreported], 901_000).expect("a fact");
    let conflict = |first, second| then(paid(Some(first)), vec![contradicted(second)], 3000).expect("a fact");
    let counter = || Order { sale: order().sale.paid_by(Payment::Alfamart), ..paid(Some(Delivery::Undelivered)) };
    let pending = || live(&[(0, Event::Charged(charge(5000)))]);
    let unproven = |outcome| {
        let told = DeliveryReport { proof: Proof::Missing(NoProof::None), ..DeliveryReport::proven(outcome) };
        then(paid(None), vec![Event::Delivered(told)], 2000).expect("a fact")
    };
    let table: Vec<Row> = vec![
        ("not paid", pending(), refund(true), Err(Refused::NotPaid)),
        ("not paid", pending(), by_hand(true), Err(Refused::NotPaid)),
        ("not paid", pending(), given(), Err(Refused::NotPaid)),
        ("no outcome yet", paid(None), refund(false), Err(Refused::NotReported)),
        ("no outcome yet, and not late", paid(None), refund(true), Err(Refused::TooEarly)),
        ("no outcome yet", paid(None), by_hand(true), Err(Refused::TooEarly)),
        ("no outcome yet", paid(None), given(), Err(Refused::TooEarly)),
        ("unreported, not asked for as such", unreported(), refund(false), Err(Refused::NotReported)),
        ("unreported", unreported(), refund(true), Ok("asked")),
        ("unreported", unreported(), by_hand(true), Ok("by_hand")),
        ("unreported", unreported(), given(), Ok("given")),
        ("dispensed", paid(Some(Delivery::Dispensed)), refund(true), Err(Refused::Delivered)),
        ("dispensed", paid(Some(Delivery::Dispensed)), by_hand(true), Err(Refused::Delivered)),
        ("dispensed", paid(Some(Delivery::Dispensed)), given(), Err(Refused::Delivered)),
        ("failed", paid(Some(Delivery::Failed)), refund(false), Ok("asked")),
        ("undelivered", paid(Some(Delivery::Undelivered)), by_hand(false), Ok("by_hand")),
        ("undelivered", paid(Some(Delivery::Undelivered)), given(), Ok("given")),
        ("failed, without a proof", unproven(Delivery::Failed), refund(false), Err(Refused::NoProof)),
        ("failed, without a proof", unproven(Delivery::Failed), refund(true), Err(Refused::NoProof)),
        ("failed, without a proof, and a person says so", unproven(Delivery::Failed), refund_without_proof(), Ok("asked")),
        ("undelivered, without a proof", unproven(Delivery::Undelivered), refund(false), Err(Refused::NoProof)),
        ("undelivered, without a proof", unproven(Delivery::Undelivered), by_hand(false), Ok("by_hand")),
        ("undelivered, without a proof", unproven(Delivery::Undelivered), given(), Ok("given")),
        ("uncertain, a person decides", paid(Some(Delivery::Uncertain)), refund(false), Err(Refused::NoProof)),
        ("uncertain, a person decides", paid(Some(Delivery::Uncertain)), refund_without_proof(), Ok("asked")),
        ("uncertain, a person decides", paid(Some(Delivery::Uncertain)), given(), Ok("given")),
        ("a conflict, a person decides", conflict(Delivery::Dispensed, Delivery::Failed), refund(false), Err(Refused::NoProof)),
        ("a conflict, a person decides", conflict(Delivery::Dispensed, Delivery::Failed), refund_without_proof(), Ok("asked")),
        ("a conflict, a person decides", conflict(Delivery::Failed, Delivery::Dispensed), given(), Ok("given")),
        ("over the counter", counter(), refund(false), Err(Refused::NotByApi)),
        ("over the counter", counter(), by_hand(false), Ok("by_hand")),
    ];
    for (what, order, event, wanted) in table {
        let after = then(order, vec![event.clone()], hour);
        assert_eq!(after.as_ref().map(money).map_err(|refused| *refused), wanted, "{what}: {event:?}");
    }
    let early = then(unreported(), vec![refund(true)], NO_REPORT_AFTER.0 - 1);
    assert_eq!(early.map(|order| money(&order).to_owned()), Err(Refused::TooEarly), "an hour is an hour");
}

#[test]
fn the_money_goes_one_way_once() {
    let failed = || paid(Some(Delivery::Failed));
    let asked = || then(failed(), vec![refund(false)], 3000).expect("granted");
    let done = || then(asked(), vec![answered(approved())], 3000).expect("a fact");
    let gave = || then(failed(), vec![given()], 3000).expect("granted");
    let cash = || then(failed(), vec![by_hand(false)], 3000).expect("granted");
    let unsure = || {
        let mut order = asked();
        for round in 0..100 {
            order = then(order, vec![answered(RefundAnswer::Unsure("cut".into()))], 4000 + round).expect("a fact");
        }
        order
    };
    assert_eq!((word(&done()).as_str(), money(&done())), ("refunded", "done"));
    assert_eq!((word(&cash()).as_str(), money(&gave())), ("refunded", "given"));
    assert_eq!(money(&unsure()), "refused");
    let table = [
        ("asked", asked(), [Refused::RefundUnderWay; 3]),
        ("done", done(), [Refused::RefundedAlready; 3]),
        ("by hand", cash(), [Refused::RefundedAlready; 3]),
        ("given", gave(), [Refused::Given; 3]),
    ];
    for (what, order, refusals) in table {
        for (event, refused) in [refund(true), by_hand(true), given()].into_iter().zip(refusals) {
            assert_eq!(then(order.clone(), vec![event.clone()], 10_000_000), Err(refused), "{what}: {event:?}");
        }
    }
    assert_eq!(then(unsure(), vec![by_hand(false)], 10_000_000), Err(Refused::RefundUnsure));
    let again = then(unsure(), vec![refund(false)], 10_000_000).expect("once more");
    assert_eq!(
        duty(&again, Told::trusted(T0 + Span::millis(10_000_000))),
        Duty::Call(Call::GetStatus),
        "what an earlier call did is looked at first"
    );
}

#[test]
fn gateway_answers_decide_and_get_status_has_the_last_word() {
    let refused = || answered(RefundAnswer::Refused("POS refunds not allowed".into()));
    let unsure = || answered(RefundAnswer::Unsure("cut".into()));
    type Row = (&'static str, Vec<Event>, &'static str, &'static str);
    let table: Vec<Row> = vec![
        ("approved", vec![answered(approved())], "done", "refunded"),
        ("passing", vec![answered(RefundAnswer::Passing("no route".into()))], "asked", "settled"),
        ("lost", vec![unsure()], "looking", "settled"),
        ("lost, and it was made", vec![unsure(), status(Said::Refunded)], "done", "refunded"),
        ("lost, and it was not", vec![unsure(), status(Said::Settled)], "asked", "settled"),
        ("lost, and the look is lost", vec![unsure(), Event::StatusUnanswered], "looking", "settled"),
        ("refused", vec![refused()], "looking", "settled"),
        (
            "lost, then refused as a second one, and get-status is behind",
            vec![unsure(), refused(), status(Said::Settled)],
            "looking",
            "settled",
        ),
        (
            "lost, then refused as a second one, and it was made",
            vec![unsure(), refused(), status(Said::Settled), status(Said::Refunded)],
            "done",
            "refunded",
        ),
        (
            "lost, then refused, and it was not made",
            vec![unsure(), refused(), status(Said::Settled), status(Said::Settled)],
            "refused",
            "settled",
        ),
        ("refused, and it was not made", vec![refused(), status(Said::Settled)], "refused", "settled"),
        ("406: it was made before", vec![refused(), status(Said::Refunded)], "done", "refunded"),
        ("refused: a part of it went back before", vec![refused(), status(Said::PartlyRefunded)], "refused", "settled"),
        ("refused: the bank took it", vec![refused(), status(Said::ChargedBack)], "refused", "settled"),
        ("a notification is enough to get_status, not to believe", vec![Event::Notified(Said::Refunded)], "asked", "settled"),
    ];
    for (what, events, repayment, state) in table {
        let asked = then(paid(Some(Delivery::Failed)), vec![refund(false)], 3000).expect("granted");
        assert_eq!(duty(&asked, Told::trusted(T0 + Span::millis(3000))), Duty::Call(Call::Refund));
        let order = then(asked, events, 3000).expect("facts");
        assert_eq!((money(&order), word(&order).as_str()), (repayment, state), "{what}");
    }
    let order = then(paid(Some(Delivery::Failed)), vec![refund(false), refused(), status(Said::Settled)], 3000).expect("facts");
    let Some(Repayment::Refused { why, unsure, .. }) = order.repayment() else { panic!("{:?}", order.repayment()) };
    assert_eq!((&**why, *unsure, order.is_refund_due()), ("POS refunds not allowed", false, true));
    assert_eq!(order.attention(), [Attention::RefundFailed]);
    assert!(next_deadline(&order).is_none(), "nobody asks for ever");
    assert!(then(order.clone(), vec![by_hand(false)], 4000).is_ok() && then(order, vec![given()], 4000).is_ok());
}

#[test]
fn a_refund_that_is_not_answered_is_asked_for_with_patience_and_not_for_ever() {
    let mut order = then(paid(Some(Delivery::Failed)), vec![refund(false)], 3000).expect("granted");
    let mut calls = Vec::new();
    while money(&order) != "refused" {
        let due = next_deadline(&order).expect("something is to be done");
        let event = match duty(&order, Told::trusted(due)) {
            Duty::Call(Call::Refund) => answered(RefundAnswer::Unsure("cut".into())),
            Duty::Call(Call::GetStatus) => Event::StatusUnanswered,
            other => panic!("{other:?}"),
        };
        calls.push(due);
        order = with_rules(|with| apply(order, event, Told::trusted(due), with)).expect("a fact");
        assert!(calls.len() < 60, "it ends");
    }
    assert!(calls.windows(2).all(|pair| pair[1] - pair[0] >= Span::secs(10)), "{calls:?}");
    let lasted = calls[calls.len() - 1] - calls[0];
    assert!((Span::secs(6 * 3600)..Span::secs(48 * 3600)).contains(&lasted), "{lasted:?}");
    assert_eq!(order.attention(), [Attention::RefundFailed]);
    // When the gateway answers at last, the fate of the refund is known.
    for (said, wanted) in [(Said::Settled, "refused"), (Said::Refunded, "done"), (Said::ChargedBack, "refused")] {
        let due = next_deadline(&order).expect("it is asked");
        assert_eq!(duty(&order, Told::trusted(due)), Duty::Call(Call::GetStatus));
        let known = with_rules(|with| apply(order.clone(), status(said), Told::trusted(due), with)).expect("a fact");
        assert!(!matches!(known.repayment(), Some(Repayment::Refused { unsure: true, .. })), "{said:?}");
        assert_eq!((money(&known), next_deadline(&known)), (wanted, None));
    }
}

#[test]
fn everything_that_needs_a_person_is_listed_until_it_is_decided() {
    use Attention::{Chargeback, Conflict, LateFact, Mismatch, PartialRefund, RefundDue, Suspect, Uncertain, Unreported};
    let charged = || (0, Event::Charged(charge(5000)));
    let after = |order: Order, events: Vec<Event>| then(order, events, 4_000_000).expect("granted");
    let unreported = || then(paid(None), vec![], 901_000).expect("nothing");
    let mismatched = || {
        let said = Event::Status(StatusReport { gross_amount: Some(rp(1)), ..report(Said::Settled) });
        live(&[charged(), (1000, said.clone()), (11_000, said)])
    };
    let suspect = || live(&[charged(), (500, status(Said::Suspect))]);
    let given_up =
        || live(&[charged(), (500, status(Said::Suspect)), (1000, Event::CancelRequested), (90_000_000, Event::CancelUnanswered)]);
    type Row = (&'static str, Order, Vec<Attention>);
    let table: Vec<Row> = vec![
        ("dispensed", paid(Some(Delivery::Dispensed)), vec![]),
        ("failed", paid(Some(Delivery::Failed)), vec![RefundDue]),
        ("uncertain", paid(Some(Delivery::Uncertain)), vec![Uncertain]),
        ("silent, so far", paid(None), vec![]),
        ("silent", after(unreported(), vec![Event::Unreported]), vec![Unreported]),
        ("silent, then told", after(unreported(), vec![Event::Unreported, told(Delivery::Dispensed)]), vec![]),
        ("silent, then refunded", after(unreported(), vec![Event::Unreported, by_hand(true)]), vec![]),
        (
            "silent, refunded, and then told",
            after(unreported(), vec![Event::Unreported, by_hand(true), told(Delivery::Dispensed)]),
            vec![LateFact],
        ),
        (
            "silent, refunded, and then told that it was right",
            after(unreported(), vec![Event::Unreported, by_hand(true), told(Delivery::Undelivered)]),
            vec![],
        ),
        ("mismatch", mismatched(), vec![Mismatch]),
        ("mismatch, refunded", after(mismatched(), vec![by_hand(false)]), vec![]),
        ("two outcomes", after(paid(Some(Delivery::Dispensed)), vec![contradicted(Delivery::Failed)]), vec![Conflict]),
        ("two outcomes, due", after(paid(Some(Delivery::Failed)), vec![contradicted(Delivery::Dispensed)]), vec![RefundDue, Conflict]),
        ("two outcomes, decided", after(paid(Some(Delivery::Dispensed)), vec![contradicted(Delivery::Failed), given()]), vec![]),
        (
            "decided, then another outcome",
            after(paid(Some(Delivery::Failed)), vec![given(), contradicted(Delivery::Dispensed)]),
            vec![LateFact],
        ),
        ("given, then refunded at the gateway", after(paid(Some(Delivery::Failed)), vec![given(), status(Said::Refunded)]), vec![LateFact]),
        ("not accepted", suspect(), vec![Suspect]),
        ("not accepted at first", after(suspect(), vec![status(Said::Settled)]), vec![]),
        ("not accepted, then expired", after(suspect(), vec![status(Said::Expired)]), vec![]),
        ("not accepted, and given up", given_up(), vec![Suspect]),
        ("not accepted, given up, settled by hand", after(given_up(), vec![by_hand(false)]), vec![]),
        ("not accepted, given up, seen", after(given_up(), vec![Event::SeenBy("Ani".into())]), vec![]),
        ("a part went back", after(paid(Some(Delivery::Dispensed)), vec![status(Said::PartlyRefunded)]), vec![PartialRefund]),
        ("the bank took it", after(paid(Some(Delivery::Dispensed)), vec![status(Said::ChargedBack)]), vec![Chargeback]),
        ("the bank took what was due", after(paid(Some(Delivery::Failed)), vec![status(Said::ChargedBack)]), vec![Chargeback]),
        ("refunded by the merchant at the gateway", after(paid(Some(Delivery::Dispensed)), vec![status(Said::Refunded)]), vec![]),
    ];
    for (what, order, kinds) in table {
        assert_eq!(order.attention(), kinds, "{what}");
    }
    let chargeback = after(paid(Some(Delivery::Failed)), vec![status(Said::ChargedBack)]);
    assert!(!chargeback.is_refund_due());
    assert_eq!(then(chargeback.clone(), vec![refund(false)], 5_000_000), Err(Refused::TakenBack));
    assert!(after(chargeback, vec![Event::SeenBy("Ani".into())]).attention().is_empty());
    let nothing = then(paid(Some(Delivery::Failed)), vec![Event::SeenBy("Ani".into())], 5_000_000);
    assert_eq!(nothing, Err(Refused::NothingToSee), "a refund that is due does not end by being seen");
}

#[test]
fn a_refund_that_somebody_asked_for_and_never_told_of_may_have_been_made() {
    let asked = then(paid(Some(Delivery::Failed)), vec![refund(false)], 3000).expect("granted");
    // The gateway has the refund already, and get-status is behind. So get-status is asked once more before a person is
    // told to pay by hand.
    let refused = || vec![answered(RefundAnswer::Refused("406".into())), status(Said::Settled)];
    let behind = then(asked.clone(), [vec![Event::Abandoned], refused()].concat(), 4000).expect("facts");
    assert_eq!((money(&behind), behind.attention()), ("looking", vec![]));
    assert_eq!(money(&then(behind.clone(), vec![status(Said::Refunded)], 65_000).expect("a fact")), "done");
    assert_eq!(money(&then(behind, vec![status(Said::Settled)], 65_000).expect("a fact")), "refused");
    assert_eq!(money(&then(asked.clone(), refused(), 4000).expect("facts")), "refused", "nobody asked before");
    // Another outcome stops it meanwhile. It is looked at all the same, at once, and nothing is settled by hand before.
    let stopped = then(asked.clone(), vec![Event::Abandoned, contradicted(Delivery::Dispensed)], 4000).expect("facts");
    assert_eq!(duty(&stopped, Told::trusted(T0 + Span::millis(4000))), Duty::Call(Call::GetStatus));
    assert_eq!(then(stopped.clone(), vec![by_hand(false)], 5000), Err(Refused::RefundUnderWay));
    assert_eq!(money(&then(stopped.clone(), vec![status(Said::Refunded)], 5000).expect("a fact")), "done");
    let not_made = then(stopped, vec![status(Said::Settled), status(Said::Settled)], 5000).expect("facts");
    assert_eq!((money(&not_made), not_made.attention().contains(&Attention::Conflict)), ("refused", true));
    assert_eq!(duty(&not_made, Told::trusted(T0 + Span::millis(10_000_000))), Duty::Wait, "a person decides first");
    assert_eq!(money(&then(asked, vec![contradicted(Delivery::Dispensed)], 4000).expect("a fact")), "refused", "nobody asked before");
}

/// The relay signed that nothing came, and then the board says that it came.
#[test]
fn goods_that_came_late_by_their_board_are_a_persons_and_change_no_outcome() {
    let came = |number: u32, refund_on_its_way| Event::CameLate { number: number.try_into().expect("a try"), refund_on_its_way };
    let asked = || then(paid(Some(Delivery::Failed)), vec![refund(false)], 3000).expect("granted");
    let by_hand = || then(paid(Some(Delivery::Failed)), vec![by_hand(false)], 3000).expect("granted");
    for (what, order, event, after, attention) in [
        ("nothing was done", paid(Some(Delivery::Failed)), came(1, false), "none", vec![Attention::RefundDue, Attention::Conflict]),
        ("asked for, not under way", asked(), came(1, false), "refused", vec![Attention::RefundFailed, Attention::Conflict]),
        ("the money went back", by_hand(), came(1, false), "by_hand", vec![Attention::LateFact]),
        ("uncertain", paid(Some(Delivery::Uncertain)), came(1, false), "none", vec![Attention::Uncertain]),
        ("another try is not known", paid(Some(Delivery::Failed)), came(2, false), "none", vec![Attention::RefundDue]),
    ] {
        let outcome = order.outcome();
        let told = then(order, vec![event], 5000).expect("a fact");
        assert_eq!((money(&told), told.attention(), told.outcome()), (after, attention, outcome), "{what}");
    }
    let under_way = then(asked(), vec![came(1, true)], 5000).expect("a fact");
    assert!(money(&under_way) == "looking" && under_way.attention().contains(&Attention::LateFact), "{under_way:?}");
}

#[test]
fn what_was_given_back_by_hand_gets_no_receipt_when_gateway_is_sure_at_last() {
    let ended = live(&[(0, Event::Charged(charge(5000))), (500, status(Said::Suspect)), (1000, Event::CancelRequested)]);
    let closed = then(ended, vec![Event::CancelDone(report(Said::Cancelled))], 2000).expect("a fact");
    let by_hand = then(closed, vec![by_hand(false)], 3000).expect("granted");
    let sure = then(by_hand, vec![Event::Notified(Said::Settled), status(Said::Settled)], 60_000).expect("facts");
    assert!(sure.receipt().is_none() && matches!(sure.state, State::Refunded(_)), "{sure:?}");
    assert!(matches!(sure.repayment(), Some(Repayment::ByHand { .. })) && sure.attention().is_empty());
}

#[test]
fn a_part_that_goes_back_besides_what_a_person_settled_is_told() {
    for (what, wish) in [("cash", by_hand(false)), ("goods", given())] {
        let settled = then(paid(Some(Delivery::Failed)), vec![wish], 3000).expect("granted");
        let noted = then(settled, vec![Event::Notified(Said::PartlyRefunded)], 4000).expect("a fact");
        assert_eq!(duty(&noted, Told::trusted(T0 + Span::millis(4000))), Duty::Call(Call::GetStatus), "{what}");
        let told = then(noted, vec![status(Said::PartlyRefunded)], 5000).expect("a fact");
        // Another part may have gone back since that answer was made, so the gateway is asked once more.
        let told = then(told, vec![status(Said::PartlyRefunded)], 19_000).expect("a fact");
        assert_eq!((told.attention(), next_deadline(&told)), (vec![Attention::LateFact], None), "{what}");
        // It is asked only once.
        let again = then(told.clone(), vec![Event::Notified(Said::PartlyRefunded)], 60_000).expect("a fact");
        assert!(matches!(again.state, State::Settled(_)) || again == told, "{what}");
    }
}

#[test]
fn what_is_silent_is_noticed_after_a_quarter_of_an_hour() {
    let order = paid(None);
    let at = T0 + Span::millis(1000) + REPORT_WITHIN;
    assert_eq!(next_deadline(&order), Some(at));
    assert_eq!(
        (duty(&order, Told::trusted(at - Span::millis(1))), duty(&order, Told::trusted(at))),
        (Duty::Wait, Duty::Apply(Event::Unreported))
    );
    let listed = then(order, vec![Event::Unreported], 901_000).expect("a fact");
    assert!(next_deadline(&listed).is_none() && listed.is_open());
    assert!(next_deadline(&paid(Some(Delivery::Dispensed))).is_none());
}

#[test]
fn only_what_is_certain_is_refunded_by_itself() {
    let contradiction = then(paid(Some(Delivery::Failed)), vec![contradicted(Delivery::Dispensed)], 3000).expect("a fact");
    let twice = {
        let charged = live(&[(0, Event::Charged(charge(5000)))]);
        apply(charged, status(Said::Settled), Told::trusted(T0), &Context { rules: &rules(), paid_already: true }).expect("a fact")
    };
    let refused =
        then(paid(Some(Delivery::Failed)), vec![refund(false), answered(RefundAnswer::Refused("412".into())), status(Said::Settled)], 3000);
    let partly = then(paid(Some(Delivery::Failed)), vec![status(Said::PartlyRefunded)], 3000);
    for (what, order, wanted) in [
        ("failed", paid(Some(Delivery::Failed)), true),
        ("undelivered", paid(Some(Delivery::Undelivered)), true),
        ("paid twice", twice, true),
        ("uncertain", paid(Some(Delivery::Uncertain)), false),
        ("dispensed", paid(Some(Delivery::Dispensed)), false),
        ("silent", paid(None), false),
        ("two outcomes", contradiction, false),
        ("refused before", refused.expect("facts"), false),
        ("a part went back", partly.expect("facts"), false),
    ] {
        assert_eq!(order.may_refund_by_itself(Told::trusted(T0)), wanted, "{what}");
    }
    // A second outcome stops a refund that has not been sent yet. A refund that is on its way cannot be called back.
    let asked = then(paid(Some(Delivery::Failed)), vec![refund(false)], 3000).expect("granted");
    let stopped = then(asked.clone(), vec![contradicted(Delivery::Dispensed)], 3000).expect("a fact");
    assert_eq!((money(&stopped), duty(&stopped, Told::trusted(T0 + Span::secs(9)))), ("refused", Duty::Wait));
    let told = DeliveryReport::proven(Delivery::Dispensed);
    let on_its_way = then(asked, vec![Event::Contradicted { told, refund_on_its_way: true }], 3000).expect("a fact");
    assert_eq!(money(&on_its_way), "looking");
}

#[test]
fn a_refund_is_asked_for_again_after_a_pause_that_doubles() {
    let mut order = then(paid(Some(Delivery::Failed)), vec![refund(false)], 3000).expect("granted");
    let mut last = 3000;
    for pause in [10_000, 20_000, 40_000, 80_000] {
        order = then(order, vec![answered(RefundAnswer::Passing("no route".into()))], last).expect("a fact");
        let due = (next_deadline(&order).expect("it is asked for again") - T0).0;
        assert!((pause..pause * 11 / 10).contains(&(due - last)), "{} instead of {pause} ms", due - last);
        last = due;
    }
}

#[test]
fn what_a_look_did_not_find_is_looked_for_and_asked_for_later() {
    let asked = || then(paid(Some(Delivery::Failed)), vec![refund(false)], 3000).expect("granted");
    let unsure = || answered(RefundAnswer::Unsure("cut".into()));
    // The answer was lost, and the refund was not made. The call is made again after a pause.
    let lost = then(asked(), vec![unsure(), status(Said::Settled)], 3000).expect("facts");
    let due = next_deadline(&lost).expect("it is asked for again");
    assert!(due >= T0 + Span::millis(13_000), "{due:?}");
    assert_eq!(
        (duty(&lost, Told::trusted(due - Span::millis(1))), duty(&lost, Told::trusted(due))),
        (Duty::Wait, Duty::Call(Call::Refund))
    );
    // The answer was lost, then a call was refused. Get-status may be behind, and is asked again a minute later.
    let refused = answered(RefundAnswer::Refused("406".into()));
    let behind = then(asked(), vec![unsure(), refused, status(Said::Settled)], 3000).expect("facts");
    assert_eq!(next_deadline(&behind), Some(T0 + Span::millis(3000) + CHECK_AGAIN));
}

#[test]
fn a_refund_that_failed_is_not_due_any_more_when_the_item_came_and_only_then() {
    let refused = || vec![answered(RefundAnswer::Refused("412".into())), status(Said::Settled)];
    let silent = then(paid(None), vec![Event::Unreported, refund(true)], NO_REPORT_AFTER.0 + 1000).expect("granted");
    let failed = then(silent, refused(), NO_REPORT_AFTER.0 + 2000).expect("facts");
    assert_eq!(money(&failed), "refused");
    for (outcome, left) in
        [(Delivery::Dispensed, "none"), (Delivery::Failed, "refused"), (Delivery::Undelivered, "refused"), (Delivery::Uncertain, "refused")]
    {
        let after = then(failed.clone(), vec![told(outcome)], NO_REPORT_AFTER.0 + 3000).expect("a fact");
        assert_eq!((money(&after), after.is_refund_due()), (left, left == "refused"), "{outcome}");
    }
}

#[test]
fn what_was_never_accepted_is_given_back_by_hand_and_not_otherwise() {
    let suspect = [(0, Event::Charged(charge(5000))), (500, status(Said::Suspect)), (1000, Event::CancelRequested)];
    let given_up = live(&[&suspect[..], &[(90_000_000, Event::CancelUnanswered)]].concat());
    assert_eq!(given_up.attention(), [Attention::Suspect]);
    for (wish, wanted) in [(refund(true), Err(Refused::NotPaid)), (given(), Err(Refused::NotPaid)), (by_hand(false), Ok("by_hand"))] {
        let after = then(given_up.clone(), vec![wish.clone()], 91_000_000);
        assert_eq!(after.as_ref().map(money).map_err(|refused| *refused), wanted, "{wish:?}");
    }
}

#[test]
fn gateway_word_that_all_went_back_is_news_once_of_what_went_back_otherwise() {
    let refunded = Event::Notified(Said::Refunded);
    let by_hand = then(paid(Some(Delivery::Failed)), vec![by_hand(false)], 3000).expect("granted");
    let asked = then(by_hand.clone(), vec![refunded.clone()], 60_000).expect("a fact");
    assert_eq!(duty(&asked, Told::trusted(T0 + Span::millis(60_000))), Duty::Call(Call::GetStatus), "twice?");
    let twice = then(by_hand, vec![status(Said::Refunded)], 60_000).expect("a fact");
    assert_eq!(twice.attention(), [Attention::LateFact]);
    assert_eq!(then(twice.clone(), vec![refunded.clone()], 120_000).as_ref(), Ok(&twice), "that is known");
    let asked = then(paid(Some(Delivery::Failed)), vec![refund(false)], 3000).expect("granted");
    let done = then(asked, vec![answered(approved())], 4000).expect("a fact");
    assert_eq!(then(done.clone(), vec![refunded], 60_000).as_ref(), Ok(&done), "as it was asked for");
}

#[test]
fn nothing_goes_back_by_itself_without_the_relays_word() {
    let without = DeliveryReport { proof: Proof::Missing(NoProof::OtherKey), ..DeliveryReport::proven(Delivery::Undelivered) };
    let listed = then(paid(None), vec![Event::Delivered(without.clone())], 2000).expect("a fact");
    assert!(!listed.may_refund_by_itself(Told::trusted(T0)) && listed.is_refund_due());
    assert_eq!(listed.attention(), [Attention::NoProof]);
    // The proof may come later, with the same outcome. A proof that is there is not taken away again.
    let proven = then(listed, vec![Event::Delivered(DeliveryReport::proven(Delivery::Undelivered))], 3000).expect("a fact");
    let still = then(proven, vec![Event::Delivered(without)], 4000).expect("a fact");
    assert!(still.may_refund_by_itself(Told::trusted(T0)));
    assert_eq!(still.attention(), [Attention::RefundDue]);
}

#[test]
fn the_relays_signed_word_stands_over_what_anybody_with_the_token_told() {
    let unsigned = |outcome| DeliveryReport { proof: Proof::Missing(NoProof::None), ..DeliveryReport::proven(outcome) };
    let lied = then(paid(None), vec![Event::Delivered(unsigned(Delivery::Dispensed))], 2000).expect("a fact");
    let signed = then(lied, vec![contradicted(Delivery::Undelivered)], 3000).expect("a fact");
    assert_eq!(signed.delivery(), Some(&DeliveryReport::proven(Delivery::Undelivered)));
    // A person looks, since one of the two is a lie. The refund needs no more than that.
    assert!(
        !signed.may_refund_by_itself(Told::trusted(T0)) && signed.attention().contains(&Attention::Conflict),
        "{:?}",
        signed.attention()
    );
    assert!(then(signed.clone(), vec![refund(false)], 4000).is_ok());
    // Nobody takes the proof away again, with a signature or without.
    for told in [unsigned(Delivery::Dispensed), DeliveryReport::proven(Delivery::Dispensed)] {
        let again = then(signed.clone(), vec![Event::Contradicted { told, refund_on_its_way: false }], 4000).expect("a fact");
        assert_eq!(again.delivery(), signed.delivery());
    }
    // A lie is no reason to doubt the relay's word.
    let told = unsigned(Delivery::Dispensed);
    let proven =
        then(paid(Some(Delivery::Undelivered)), vec![Event::Contradicted { told, refund_on_its_way: false }], 4000).expect("a fact");
    assert!(proven.may_refund_by_itself(Told::trusted(T0)) && proven.attention() == [Attention::RefundDue], "{:?}", proven.attention());
    // The other way round: the goods came, and no more money goes back than a person wants.
    let lied = then(paid(None), vec![Event::Delivered(unsigned(Delivery::Undelivered))], 2000).expect("a fact");
    let came = then(lied, vec![contradicted(Delivery::Dispensed)], 3000).expect("a fact");
    assert_eq!((came.is_refund_due(), then(came.clone(), vec![refund(false)], 4000)), (false, Err(Refused::NoProof)));
}

#[test]
fn what_is_withheld_proves_nothing_where_goods_may_have_come_out() {
    let twice = || {
        let charged = then(order(), vec![Event::Charged(charge(5000))], 1000).expect("a fact");
        apply(charged, status(Said::Settled), Told::trusted(T0), &Context { rules: &rules(), paid_already: true }).expect("a fact")
    };
    assert!(twice().may_refund_by_itself(Told::trusted(T0)), "there is no receipt that opens the relay");
    // Books that were lost may have had such a refund.
    let rebuilt = Order { rebuilt: true, ..twice() };
    assert!(
        !rebuilt.may_refund_by_itself(Told::trusted(T0)) && rebuilt.attention().contains(&Attention::NoProof),
        "{:?}",
        rebuilt.attention()
    );
    assert_eq!(then(rebuilt.clone(), vec![refund(false)], 3000), Err(Refused::NoProof));
    let closed = then(rebuilt, vec![told(Delivery::Undelivered)], 3000).expect("a fact");
    assert!(
        !closed.may_refund_by_itself(Told::trusted(T0)),
        "its relay may have signed another word since, of a try that these books do not know"
    );
    assert_eq!(then(closed, vec![refund(false)], 4000), Err(Refused::NoProof));
    for outcome in [Delivery::Dispensed, Delivery::Uncertain] {
        let came = then(twice(), vec![told(outcome)], 3000).expect("a fact");
        assert_eq!(then(came, vec![refund(false)], 4000), Err(Refused::NoProof), "{outcome}");
    }
}

#[test]
fn a_proof_is_of_one_sale_and_says_what_the_machine_says() {
    use crate::order::proof::{self, Last, RelayKey, Statement};
    let key = SigningKey::from_seed([3; 32]);
    let public = RelayKey::of(&key);
    let known_by = |relay_key| Order { sale: Sale { relay_key, ..order().sale }, ..order() };
    let (sale, mine) = (order().sale, known_by(Some(public.clone())));
    let word = |outcome| {
        let (device, ticket) = (sale.device.clone(), sale.purchase.ticket.clone());
        Statement { device, ticket, order_id: None, number_of_try: TryNumber::FIRST, outcome, driven: outcome != Last::Closed, number: 7 }
    };
    let of = |word: &Statement, outcome| Proof::of(Some(&proof::sign(&key, word)), &mine, outcome);
    let signed = |driven| Proof::Signed { kid: public.kid(), number: 7, driven };
    for (last, outcome) in [
        (Last::Closed, Delivery::Undelivered),
        (Last::Failed, Delivery::Failed),
        (Last::Dispensed, Delivery::Dispensed),
        (Last::Uncertain, Delivery::Uncertain),
    ] {
        for told in [Delivery::Undelivered, Delivery::Failed, Delivery::Dispensed, Delivery::Uncertain] {
            let expected = if told == outcome { signed(last != Last::Closed) } else { Proof::Missing(NoProof::OtherWord) };
            assert_eq!(of(&word(last), told), expected, "{last:?} {told}");
        }
    }
    let closed = word(Last::Closed);
    let others = [
        Statement { device: DeviceId::new("vm-009").expect("an id"), ..closed.clone() },
        Statement { ticket: Ticket::from_random([9; 16]), ..closed.clone() },
        Statement { order_id: Some(OrderId::new("o-9").expect("an id")), ..closed.clone() },
        Statement { number_of_try: TryNumber::FIRST.next().expect("2"), ..closed.clone() },
    ];
    for other in others {
        assert_eq!(of(&other, Delivery::Undelivered), Proof::Missing(NoProof::OtherSale), "{other:?}");
    }
    let jws = proof::sign(&key, &closed);
    let judge = |jws, relay_key: Option<RelayKey>| Proof::of(jws, &known_by(relay_key), Delivery::Undelivered);
    let stranger = RelayKey::of(&SigningKey::from_seed([4; 32]));
    assert_eq!(judge(None, Some(public.clone())), Proof::Missing(NoProof::None));
    assert_eq!(judge(Some(&jws), None), Proof::Missing(NoProof::NoKey));
    assert_eq!(judge(Some(&jws), Some(stranger)), Proof::Missing(NoProof::OtherKey));
    assert_eq!(judge(Some("no.such.proof"), Some(public)), Proof::Missing(NoProof::Wrong));
}

/// Every key, at every moment of an order: only with the word of the order's own does the money go back by a plain refund.
#[test]
fn no_key_but_the_orders_own_proves_it_at_any_moment() {
    use crate::order::proof::{self, Last, RelayKey, Statement};
    let (own, stranger) = (SigningKey::from_seed([3; 32]), SigningKey::from_seed([4; 32]));
    // The stranger signs under the name of the right key, too.
    let renamed = stranger.to_private_jwk().replace(stranger.kid().as_str(), own.kid().as_str());
    let renamed = SigningKey::from_jwk(&renamed).expect("a key");
    let known = Some(RelayKey::of(&own));
    let keys = [
        ("its own", &own, known.clone(), Proof::Signed { kid: own.kid().clone(), number: 7, driven: false }),
        ("another", &stranger, known.clone(), Proof::Missing(NoProof::OtherKey)),
        ("another under its name", &renamed, known, Proof::Missing(NoProof::Wrong)),
        ("one that was not known then", &own, None, Proof::Missing(NoProof::NoKey)),
    ];
    let unproven = |outcome| Event::Delivered(DeliveryReport { proof: Proof::default(), ..DeliveryReport::proven(outcome) });
    let moments = [
        ("paid", vec![]),
        ("unreported", vec![Event::Unreported]),
        ("told the same without a proof", vec![unproven(Delivery::Undelivered)]),
        ("told as failed without a proof", vec![unproven(Delivery::Failed)]),
        ("told as dispensed without a proof", vec![unproven(Delivery::Dispensed)]),
        ("told as uncertain without a proof", vec![unproven(Delivery::Uncertain)]),
    ];
    for (whose, signer, relay_key, expected) in keys {
        for (moment, events) in &moments {
            let order = then(paid(None), events.clone(), 901_000).expect("a fact");
            let order = Order { sale: Sale { relay_key: relay_key.clone(), ..order.sale }, ..order };
            let Sale { device, purchase: Purchase { ticket, .. }, .. } = order.sale.clone();
            let word = Statement {
                device,
                ticket,
                order_id: None,
                number_of_try: TryNumber::FIRST,
                outcome: Last::Closed,
                driven: false,
                number: 7,
            };
            let proof = Proof::of(Some(&proof::sign(signer, &word)), &order, Delivery::Undelivered);
            assert_eq!(proof, expected, "{whose}, {moment}");
            let told = DeliveryReport { proof, ..DeliveryReport::proven(Delivery::Undelivered) };
            let after = then(order.clone(), vec![Event::Delivered(told.clone())], 902_000).or_else(|refused| {
                assert_eq!(refused, Refused::OutcomeStands, "{whose}, {moment}");
                then(order, vec![Event::Contradicted { told, refund_on_its_way: false }], 902_000)
            });
            let after = after.expect("a fact");
            let is_own = whose == "its own";
            assert!(after.needs_attention() != is_own || after.has_conflict(), "{whose}, {moment}: {:?}", after.attention());
            assert!(is_own || !after.may_refund_by_itself(Told::trusted(T0 + Span::millis(902_000))), "{whose}, {moment}");
            let refunded = then(after, vec![refund(false)], 903_000).map(|order| money(&order));
            assert_eq!(refunded, if is_own { Ok("asked") } else { Err(Refused::NoProof) }, "{whose}, {moment}");
        }
    }
}
