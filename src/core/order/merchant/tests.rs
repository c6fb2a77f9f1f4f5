use super::*;
use crate::order::ids::{DeviceId, ItemId, RequestId, Ticket, TransactionId};
use crate::order::keys::{KeySet, jwk_set};
use crate::order::money::Rupiah;
use crate::order::outcome::Delivery;
use crate::order::request::{Payment, Purchase};

mod answers;
mod bounds;
mod copies;
mod counter;
mod late_words;
mod lives;
mod over;
mod refunds;
mod repaying;
mod the_same_answer;
mod tries;
mod unconfirmed;
mod untrusted;
mod walk;

const T0: Wall = Wall(1_795_132_800_000);

fn rp(n: u64) -> Rupiah {
    Rupiah::new(n).expect("an amount")
}

fn rules() -> Rules {
    let keys = vec![SigningKey::from_seed([1; 32]), SigningKey::from_seed([2; 32])];
    Rules { keys, max_imposed_fee: 100, ..outside::rules() }
}

fn order() -> Order {
    let sale = Sale {
        purchase: Purchase {
            request_id: RequestId::new("r-1").expect("an id"),
            ticket: Ticket::from_random([7; 16]),
            item: ItemId::new("A1").expect("an id"),
            asked: None,
            description: None,
            machine: None,
            amount: rp(5000),
            payment: Payment::Gopay,
            timeout_s: 120,
        },
        device: DeviceId::new("vm-001").expect("an id"),
        kid: rules().keys[1].kid().clone(),
        relay_key: None,
    };
    begin(OrderId::new("o1").expect("an id"), sale, Told::trusted(T0))
}

fn charge(gross_amount: u64) -> Charge {
    outside::charge(TransactionId::new("t1").expect("an id"), rp(gross_amount), T0)
}

fn report(said: Said) -> StatusReport {
    StatusReport { payment_type: Some("qris".into()), settled_at: Some(T0), ..StatusReport::of(&order(), said) }
}

/// The answer to a refund that was made.
fn approved() -> RefundAnswer {
    RefundAnswer::Approved(Box::new(StatusReport { refund_amount: Some(rp(5000)), ..report(Said::Refunded) }))
}

fn told(outcome: Delivery) -> Event {
    Event::Delivered(DeliveryReport::proven(outcome))
}

fn word(order: &Order) -> String {
    match &order.state {
        State::Charging(_) => "charging".into(),
        State::Pending(_) => "pending".into(),
        State::Cancelling(Cancelling { get_status: false, .. }) => "cancelling".into(),
        State::Cancelling(Cancelling { get_status: true, .. }) => "looking".into(),
        State::Closed(Closed { how, .. }) => format!("{how:?}").to_lowercase(),
        State::Held(_) => "held".into(),
        State::Settled(_) => "settled".into(),
        State::Void(_) => "void".into(),
        State::Withheld(Withheld { why: NoReceipt::Ended(_), .. }) => "ended".into(),
        State::Withheld(Withheld { why, .. }) => format!("{why:?}").to_lowercase(),
        State::Refunded(_) => "refunded".into(),
    }
}

/// Lives through events. Each comes so many milliseconds after the start.
fn live(events: &[(i64, Event)]) -> Order {
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let mut order = order();
    for (ms, event) in events {
        let now = T0 + Span::millis(*ms);
        order = apply(order, event.clone(), Told::trusted(now), &with).expect("granted");
        while let Duty::Apply(event) = duty(&order, Told::trusted(now)) {
            order = apply(order, event, Told::trusted(now), &with).expect("a fact");
        }
    }
    order
}

/// The time of an event that comes now. A look at what became of a refund comes when it is due.
fn due_at(order: &Order, event: &Event, now: Wall) -> Wall {
    match (order.repayment(), event) {
        (Some(Repayment::Requested { get_status: true, retry_at, .. }), Event::Status(_)) => now.max(*retry_at),
        _ => now,
    }
}

fn status(said: Said) -> Event {
    Event::Status(report(said))
}

/// The name of a life, its events, and the state of the order at the end.
type Life = (&'static str, Vec<(i64, Event)>, &'static str);

#[test]
fn transitions() {
    use Event::{
        CancelDone, CancelRefused, CancelRequested, CancelUnanswered, CancelUnknown, Charged, NotCharged, Notified, Restarted,
        StatusUnanswered, StatusUnknown,
    };
    let charged = || (100, Charged(charge(5000)));
    let unsure = || (100, NotCharged(NoCharge::Unsure("cut".into())));
    let denied = |again| NotCharged(NoCharge::NotMade { again, why: "900".into() });
    let table: Vec<Life> = vec![
        ("charged", vec![charged()], "pending"),
        ("with a fee that is allowed", vec![(0, Charged(charge(5100)))], "pending"),
        ("with too high a fee", vec![(0, Charged(charge(5101)))], "cancelling"),
        ("for too little", vec![(0, Charged(charge(4999)))], "cancelling"),
        ("without a usable QR", vec![(0, Event::ChargedUnreadable(charge(5000), "blank".into()))], "cancelling"),
        ("denied", vec![(0, denied(false))], "failure"),
        ("lost, then charged", vec![unsure(), (900, Charged(charge(5000)))], "pending"),
        ("lost, then denied: the first may exist", vec![unsure(), (900, denied(true))], "cancelling"),
        ("exists and its QR is gone", vec![(0, NotCharged(NoCharge::Exists))], "cancelling"),
        ("lost for ten seconds", vec![unsure(), (10_000, NotCharged(NoCharge::Unsure("cut".into())))], "cancelling"),
        ("never reached for ten seconds", vec![(10_000, NotCharged(NoCharge::Passing("no route".into())))], "failure"),
        ("answered when nobody waits", vec![(15_000, Charged(charge(5000)))], "cancelling"),
        ("restarted", vec![(0, Restarted)], "cancelling"),
        ("whoever asked is gone, and time is over", vec![(0, Event::Abandoned), (10_000, Notified(Said::Pending))], "cancelling"),
        ("lost, and the gateway knows nothing", vec![(0, Restarted), (1, CancelUnknown)], "failure"),
        ("found after all", vec![(0, Restarted), (1, CancelUnknown), (60_001, status(Said::Pending))], "cancelling"),
        ("restarted when it can be paid", vec![charged(), (200, Restarted)], "pending"),
        ("paid", vec![charged(), (500, status(Said::Settled))], "settled"),
        ("paid, says the notification only", vec![charged(), (500, Notified(Said::Settled))], "pending"),
        (
            "paid, says the cancel's answer only",
            vec![charged(), (500, CancelRequested), (600, CancelDone(report(Said::Settled)))],
            "looking",
        ),
        ("paid, not accepted", vec![charged(), (500, status(Said::Suspect))], "pending"),
        ("expired", vec![charged(), (900_000, status(Said::Expired))], "expire"),
        ("denied later", vec![charged(), (500, status(Said::Denied))], "deny"),
        ("a word nobody knows", vec![charged(), (500, status(Said::Other))], "pending"),
        ("unknown to the gateway, says a stale answer", vec![charged(), (500, StatusUnknown)], "pending"),
        ("nobody ended it", vec![charged(), (180_000, StatusUnanswered)], "cancelling"),
        ("cancelled", vec![charged(), (500, CancelRequested), (600, CancelDone(report(Said::Cancelled)))], "cancel"),
        (
            "cancelled while charging",
            vec![(0, CancelRequested), (50, Charged(charge(5000))), (90, CancelDone(report(Said::Cancelled)))],
            "cancel",
        ),
        ("cancelled while charging, and denied", vec![(0, CancelRequested), (50, denied(false))], "cancel"),
        ("cancel not answered", vec![charged(), (500, CancelRequested), (600, CancelUnanswered)], "cancelling"),
        ("cancel too late", vec![charged(), (500, CancelRequested), (600, CancelRefused)], "looking"),
        ("cancel too late: paid", vec![charged(), (500, CancelRequested), (600, CancelRefused), (601, status(Said::Settled))], "settled"),
        ("cancel too late: expired", vec![charged(), (500, CancelRequested), (600, CancelRefused), (601, status(Said::Expired))], "expire"),
        (
            "cancel refused for nothing",
            vec![charged(), (500, CancelRequested), (600, CancelRefused), (601, status(Said::Pending))],
            "cancelling",
        ),
        (
            "paid after the cancel",
            vec![charged(), (1, CancelRequested), (2, CancelDone(report(Said::Cancelled))), (9, status(Said::Settled))],
            "settled",
        ),
        ("paid after the expiry", vec![charged(), (500, status(Said::Expired)), (900, status(Said::Settled))], "settled"),
        (
            "stale words after the money",
            vec![charged(), (1, status(Said::Settled)), (2, status(Said::Pending)), (3, status(Said::Expired))],
            "settled",
        ),
        ("cancel after the money", vec![charged(), (1, status(Said::Settled)), (2, CancelRequested)], "settled"),
        ("given back", vec![charged(), (1, status(Said::Settled)), (2, status(Said::Refunded))], "refunded"),
        ("taken back in part", vec![charged(), (1, status(Said::Settled)), (2, status(Said::PartlyRefunded))], "settled"),
        ("taken back before we knew of it", vec![charged(), (1, status(Said::PartlyRefunded))], "mismatch"),
    ];
    for (what, events, wanted) in table {
        assert_eq!(word(&live(&events)), wanted, "{what}");
    }
}

/// It does not matter how long the gateway could not be asked: the customer has paid, and stands there.
#[test]
fn a_cancel_that_came_too_late_is_looked_after_at_once() {
    let silence = (0..6).map(|n| (600 + n * 40_000, Event::CancelUnanswered));
    let silent: Vec<_> = [(0, Event::Charged(charge(5000))), (500, Event::CancelRequested)].into_iter().chain(silence).collect();
    let refused = live(&[&silent[..], &[(300_000, Event::CancelRefused)]].concat());
    assert_eq!(duty(&refused, Told::trusted(T0 + Span::millis(300_000))), Duty::Call(Call::GetStatus));
    // A look that finds nothing is not repeated as fast.
    let in_vain = live(&[&silent[..], &[(300_000, Event::CancelRefused), (300_100, Event::StatusUnanswered)]].concat());
    assert_eq!(duty(&in_vain, Told::trusted(T0 + Span::millis(310_000))), Duty::Wait);
}

#[test]
fn a_settlement_must_be_exactly_the_charge() {
    type Change = fn(&mut StatusReport);
    let table: [(&str, Change, &str); 9] = [
        ("the same", |_| {}, "settled"),
        ("fields left out", |r| r.metadata = [None, None, None], "settled"),
        ("less", |r| r.gross_amount = Some(rp(4999)), "mismatch"),
        ("more than the fee allowed", |r| r.gross_amount = Some(rp(5101)), "mismatch"),
        ("no whole rupiah", |r| r.gross_amount = None, "mismatch"),
        ("another currency", |r| r.currency = Some("USD".into()), "mismatch"),
        ("no currency", |r| r.currency = None, "mismatch"),
        ("another machine", |r| r.metadata[0] = Some("vm-002".into()), "mismatch"),
        ("another ticket", |r| r.metadata[2] = Some("A1|5000|xxxxxxxxxxxxxxxxxxxxxx".into()), "mismatch"),
    ];
    for (what, change, wanted) in table {
        let mut said = report(Said::Settled);
        change(&mut said);
        let said = Event::Status(said);
        let first = live(&[(0, Event::Charged(charge(5000))), (1000, said.clone())]);
        if wanted == "settled" {
            assert_eq!(word(&first), "settled", "{what}");
            continue;
        }
        assert_eq!((word(&first).as_str(), first.polling.at), ("pending", Some(T0 + Span::millis(11_000))), "{what}: looked at again");
        let early = live(&[(0, Event::Charged(charge(5000))), (1000, said.clone()), (5000, said.clone())]);
        assert_eq!(word(&early), "pending", "{what}: too early");
        let second = live(&[(0, Event::Charged(charge(5000))), (1000, said.clone()), (11_000, said.clone())]);
        assert_eq!((word(&second).as_str(), second.is_refund_due(), second.needs_attention()), (wanted, true, true), "{what}");
        assert!(second.receipt().is_none(), "{what}");
        let healed = live(&[(0, Event::Charged(charge(5000))), (1000, said), (11_000, status(Said::Settled))]);
        assert_eq!(word(&healed), "settled", "{what}: a passing mismatch");
    }
}

#[test]
fn a_sum_that_nobody_was_to_pay_buys_nothing() {
    let charged = |sum| [Event::Charged(charge(sum)), Event::ChargedUnreadable(charge(sum), "blank".into())].map(|event| (sum, event));
    for (sum, charged) in [4000, 9000].into_iter().flat_map(charged) {
        let paid = Event::Status(StatusReport { gross_amount: Some(rp(sum)), ..report(Said::Settled) });
        let first = [(0, charged), (1000, paid.clone())];
        let state = live(&first).state;
        assert!(matches!(state, State::Cancelling(Cancelling { why: Ending::GrossAmount, .. })), "{state:?}");
        let paid = live(&[&first[..], &[(11_000, paid)]].concat());
        assert_eq!((word(&paid).as_str(), paid.is_refund_due(), paid.needs_attention()), ("mismatch", true, true));
        assert!(paid.receipt().is_none());
        // The same if somebody had given the order up before the charge was answered.
        let late =
            live(&[(0, Event::CancelRequested), (100, first[0].1.clone()), (1000, first[1].1.clone()), (11_000, first[1].1.clone())]);
        assert_eq!((word(&late).as_str(), late.receipt().is_none()), ("mismatch", true));
        // Midtrans said that it had ended the charge, calls it pending after all, and then it is paid.
        let ended = [(500, Event::CancelDone(report(Said::Cancelled))), (700, status(Said::Pending))];
        let (first_paid, paid) = ((1000, first[1].1.clone()), (11_000, first[1].1.clone()));
        let back = live(&[&first[..1], &ended, &[first_paid, paid]].concat());
        assert_eq!((word(&back).as_str(), back.receipt().is_none()), ("mismatch", true));
    }
}

#[test]
fn without_the_charges_answer_the_fields_must_say_that_it_is_ours() {
    let settle = |report: StatusReport| {
        word(&live(&[(0, Event::Restarted), (1000, Event::Status(report.clone())), (11_000, Event::Status(report))]))
    };
    assert_eq!(settle(report(Said::Settled)), "settled");
    assert_eq!(settle(StatusReport { metadata: [None, None, None], ..report(Said::Settled) }), "mismatch");
    assert_eq!(settle(StatusReport { gross_amount: Some(rp(5101)), ..report(Said::Settled) }), "mismatch");
}

#[test]
fn the_receipt_says_what_was_sold_and_paid() {
    let order = live(&[(0, Event::Charged(charge(5000))), (1000, status(Said::Settled))]);
    let rules = rules();
    let public: Vec<String> = rules.keys.iter().map(|key| key.to_public_jwk("pay.example")).collect();
    let keys = KeySet::from_jwks(&jwk_set(&public)).expect("a set");
    let receipt = order.receipt().expect("settled");
    let verified = keys.verify(receipt.jws(), &order.sale.device).expect("ours");
    let claims = verified.claims();
    assert_eq!((claims.sub.as_str(), claims.jti.as_str(), &claims.ticket), ("o1", "r-1", &order.sale.purchase.ticket));
    assert_eq!((claims.amount, claims.gross_amount, &*claims.payment_type), (rp(5000), rp(5000), "qris"));
    assert_eq!(&*claims.settled_at, T0.to_rfc3339_wib());
    assert!(receipt.jws().starts_with(&rules.sign(rules.keys[1].kid(), claims.clone()).jws()[..40]), "with the key that was fixed");
}

#[test]
fn a_second_payment_of_a_request_is_due_back() {
    let rules = rules();
    let charged = live(&[(0, Event::Charged(charge(5000)))]);
    let paid = apply(charged, status(Said::Settled), Told::trusted(T0), &Context { rules: &rules, paid_already: true }).expect("a fact");
    assert_eq!((word(&paid).as_str(), paid.is_refund_due()), ("paidtwice", true));
}

#[test]
fn an_answer_to_an_older_question_does_not_answer_a_notification() {
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let then = |order: Order, event: Event, s: i64| apply(order, event, Told::trusted(T0 + Span::secs(s)), &with).expect("a fact");
    let order = then(order(), Event::Charged(charge(5000)), 0);
    // It expired, and a question is asked about that. The question takes eight seconds, and meanwhile the order is paid
    // after all.
    let order = then(order, Event::Notified(Said::Expired), 900);
    let order = then(order, Event::Notified(Said::Settled), 901);
    let order = then(order, Event::Status(report(Said::Expired)), 908);
    assert!(matches!(order.state, State::Closed(Closed { how: Closing::Expire, .. })));
    let again = next_deadline(&order).expect("it is asked about once more");
    assert_eq!(duty(&order, Told::trusted(again)), Duty::Call(Call::GetStatus));
    let order = apply(order, Event::Status(report(Said::Settled)), Told::trusted(again), &with).expect("a fact");
    assert!(matches!(order.state, State::Settled(_)));
    assert_eq!(order.polling.at, None);
}

#[test]
fn an_answer_to_an_older_question_does_not_undo_that_the_money_went_back() {
    let (rules, at) = (rules(), |ms: i64| T0 + Span::millis(ms));
    let with = Context { rules: &rules, paid_already: false };
    let then = |order: Order, event: Event, ms: i64| apply(order, event, Told::trusted(at(ms)), &with).expect("a fact");
    for (said, asked_for) in [(Said::Refunded, true), (Said::ChargedBack, true), (Said::PartlyRefunded, true), (Said::Settled, false)] {
        // The gateway is being asked. Its answer "settled" is on the way while the news comes.
        let order = live(&[(0, Event::Charged(charge(5000)))]);
        let order = then(order, Event::Notified(said), 1000);
        let order = then(order, Event::Status(report(Said::Settled)), 1200);
        assert!(matches!(order.state, State::Settled(_)), "{said:?}");
        assert_eq!(order.polling.at, asked_for.then(|| at(1000) + CALL_LIFE), "{said:?}");
        // The same for a settled order: a part went back, and then the rest.
        let order = then(live(&[(0, Event::Charged(charge(5000)))]), status(Said::Settled), 500);
        let order = then(order, Event::Notified(Said::PartlyRefunded), 1000);
        let order = then(order, Event::Notified(said), 1100);
        let order = then(order, status(Said::PartlyRefunded), 1200);
        assert!(order.polling.at.is_some(), "{said:?}");
        let order = then(order, status(Said::Refunded), 20_000);
        // A chargeback is still untold.
        let untold = said == Said::ChargedBack;
        assert!(matches!(order.state, State::Refunded(_)) && order.polling.at.is_some() == untold, "{said:?}");
    }
}

#[test]
fn a_clock_that_was_set_back_delays_no_question_and_hurries_none() {
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let order = live(&[(0, Event::Charged(charge(5000))), (170_000, Event::Notified(Said::Settled))]);
    // The clock goes back by two minutes. So this question is no quick question after that notification.
    let now = T0 + Span::secs(60);
    let asked = apply(order.clone(), status(Said::Pending), Told::trusted(now), &with).expect("a fact");
    assert!(asked.polling.at.is_some_and(|at| at >= now + ASK_SPACING), "{:?}", asked.polling);
    // The next notification is news.
    let told = apply(order, Event::Notified(Said::Settled), Told::trusted(now), &with).expect("a fact");
    assert_eq!(duty(&told, Told::trusted(now)), Duty::Call(Call::GetStatus));
}

#[test]
fn what_ended_unpaid_is_asked_about_once_more() {
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    for said in [Said::Cancelled, Said::Expired] {
        // No notification tells what comes later.
        let ended = match said {
            Said::Cancelled => {
                live(&[(0, Event::Charged(charge(5000))), (1000, Event::CancelRequested), (2000, Event::CancelDone(report(said)))])
            }
            _ => live(&[(0, Event::Charged(charge(5000))), (900_000, status(said))]),
        };
        let again = next_deadline(&ended).expect("it is asked about once more");
        assert_eq!(duty(&ended, Told::trusted(again)), Duty::Call(Call::GetStatus), "{said:?}");
        let paid = apply(ended.clone(), status(Said::Settled), Told::trusted(again), &with).expect("a fact");
        assert!(matches!(paid.state, State::Settled(_)), "{said:?}");
        let unpaid = apply(ended, status(said), Told::trusted(again), &with).expect("a fact");
        assert_eq!(next_deadline(&unpaid), None, "{said:?}: and not once more than that");
    }
}

#[test]
fn the_first_outcome_stays() {
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    for (outcome, refund, attention) in [
        (Delivery::Dispensed, false, false),
        (Delivery::Failed, true, false),
        (Delivery::Undelivered, true, false),
        (Delivery::Uncertain, false, true),
    ] {
        let settled = live(&[(0, Event::Charged(charge(5000))), (1000, status(Said::Settled))]);
        assert!(settled.is_open());
        let order = apply(settled, told(outcome), Told::trusted(T0), &with).expect("the first");
        assert_eq!((order.is_open(), order.is_refund_due(), order.needs_attention()), (false, refund, attention), "{outcome}");
        let again = apply(order.clone(), told(outcome), Told::trusted(T0), &with);
        assert_eq!(again.as_ref(), Ok(&order), "{outcome} again");
        for other in [Delivery::Dispensed, Delivery::Failed, Delivery::Uncertain, Delivery::Undelivered] {
            if other != outcome {
                assert_eq!(apply(order.clone(), told(other), Told::trusted(T0), &with), Err(Refused::OutcomeStands), "{outcome}, {other}");
            }
        }
    }
    let unpaid = live(&[(0, Event::Charged(charge(5000)))]);
    assert_eq!(apply(unpaid.clone(), told(Delivery::Dispensed), Told::trusted(T0), &with), Err(Refused::NotPaid));
    // The store took the money back, and the books have lost that there was any. Only the relay's own word counts.
    let closed = apply(unpaid, status(Said::Denied), Told::trusted(T0), &with).expect("closed");
    let unproven = |outcome| DeliveryReport { proof: Proof::Missing(NoProof::NoKey), ..DeliveryReport::proven(outcome) };
    for outcome in [Delivery::Dispensed, Delivery::Failed, Delivery::Undelivered, Delivery::Uncertain] {
        // No key proves a rebuilt order. Without an answer its machine would tell for ever.
        for (rebuilt, report, is_taken) in
            [(false, DeliveryReport::proven(outcome), true), (false, unproven(outcome), false), (true, unproven(outcome), true)]
        {
            let may_have_come = matches!(outcome, Delivery::Dispensed | Delivery::Uncertain);
            match apply(Order { rebuilt, ..closed.clone() }, Event::Delivered(report), Told::trusted(T0), &with) {
                Ok(order) => {
                    assert_eq!(order.attention().contains(&Attention::LateFact), may_have_come, "{order:?}");
                    assert_eq!((order.attention().len(), order.is_refund_due()), (usize::from(may_have_come), false), "{order:?}");
                    assert!(
                        is_taken && duty(&order, Told::trusted(T0)) == Duty::Call(Call::GetStatus),
                        "{outcome}: and the gateway is asked"
                    );
                    // It was paid all the same. Who told that nothing came has the money to give back.
                    let paid = apply(order, status(Said::Settled), Told::trusted(T0), &with).expect("a fact");
                    assert_eq!(paid.is_refund_due(), matches!(outcome, Delivery::Failed | Delivery::Undelivered), "{paid:?}");
                }
                Err(refused) => assert_eq!((is_taken, refused), (false, Refused::NotPaid), "{outcome}"),
            }
        }
    }
}

#[test]
fn the_gateway_is_not_asked_more_often_than_every_ten_seconds() {
    let mut order = live(&[(0, Event::Charged(charge(5000)))]);
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let mut last = T0;
    let mut asked = 0;
    while let Some(due) = next_deadline(&order).filter(|due| *due < T0 + Span::secs(180)) {
        assert_eq!(duty(&order, Told::trusted(due)), Duty::Call(Call::GetStatus));
        assert_eq!(duty(&order, Told::trusted(due - Span::millis(1))), Duty::Wait);
        assert!(due - last >= ASK_SPACING, "after {} ms", (due - last).0);
        let event = if asked % 2 == 0 { status(Said::Pending) } else { Event::StatusUnanswered };
        order = apply(order, event, Told::trusted(due), &with).expect("a fact");
        (last, asked) = (due, asked + 1);
    }
    assert!((14..=17).contains(&asked), "{asked} in three minutes");
    assert_eq!(duty(&order, Told::trusted(T0 + Span::secs(180))), Duty::Apply(Event::TimedOut));
}

#[test]
fn a_notification_is_asked_about_at_once_and_a_flood_of_them_is_not() {
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let at = |ms: i64| T0 + Span::millis(ms);
    let mut order = live(&[(0, Event::Charged(charge(5000)))]);
    order = apply(order, Event::Notified(Said::Pending), Told::trusted(at(1000)), &with).expect("a fact");
    assert_eq!(duty(&order, Told::trusted(at(1000))), Duty::Wait, "a pending one asks nothing");
    order = apply(order, Event::Notified(Said::Settled), Told::trusted(at(1000)), &with).expect("a fact");
    // Get-status is behind. It is asked again for five seconds, then every ten.
    let mut times = Vec::new();
    while let Some(due) = order.polling.at.filter(|due| *due < at(40_000)) {
        assert_eq!(duty(&order, Told::trusted(due)), Duty::Call(Call::GetStatus));
        times.push((due - T0).0);
        order = apply(order, status(Said::Pending), Told::trusted(due), &with).expect("a fact");
        // The same notification changes nothing, however often it comes.
        let flooded = apply(order.clone(), Event::Notified(Said::Settled), Told::trusted(due + Span::millis(1)), &with).expect("a fact");
        assert!(flooded.polling.at >= order.polling.at.min(Some(at(11_000))));
    }
    assert!(times.starts_with(&[1000, 1250, 1750, 2750, 4750]), "{times:?}");
    assert!(times[5] - times[4] <= 2000 && times[6..].windows(2).all(|pair| pair[1] - pair[0] >= 10_000), "{times:?}");
    let settled = live(&[(0, Event::Charged(charge(5000))), (1, status(Said::Settled))]);
    for said in [Said::Settled, Said::Pending, Said::Expired, Said::Cancelled, Said::Denied] {
        assert_eq!(apply(settled.clone(), Event::Notified(said), Told::trusted(at(2)), &with).as_ref(), Ok(&settled), "{said:?}");
    }
}

#[test]
fn what_is_given_up_is_asked_about_once_more() {
    let day = CANCEL_GIVE_UP.0;
    let given_up = live(&[(0, Event::Charged(charge(5000))), (1000, Event::CancelRequested), (day, Event::CancelUnanswered)]);
    assert_eq!(word(&given_up), "failure");
    let due = next_deadline(&given_up).expect("once more");
    assert_eq!(duty(&given_up, Told::trusted(due)), Duty::Call(Call::GetStatus));
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let unanswered = apply(given_up.clone(), Event::StatusUnanswered, Told::trusted(due), &with).expect("a fact");
    assert!(next_deadline(&unanswered).is_some_and(|next| next - due >= ASK_SPACING), "until it is answered");
    let paid = apply(given_up, status(Said::Settled), Told::trusted(due), &with).expect("a fact");
    assert_eq!(word(&paid), "settled", "nobody had told of it");
}

#[test]
fn another_attempt_follows_only_one_that_is_dead() {
    let denied = live(&[(0, Event::NotCharged(NoCharge::NotMade { again: true, why: "900".into() }))]);
    assert!(wants_another(&denied, Told::trusted(T0)) && !wants_another(&denied, Told::trusted(T0 + ANSWER_WITHIN)));
    let next = next_attempt(&denied, &denied.id, Told::trusted(T0), denied.answer_by).expect("a second");
    assert_eq!((next.id.as_str(), next.attempt, word(&next).as_str()), ("o1-2", 2, "charging"));
    assert_eq!(next.answer_by, denied.answer_by, "whoever waits does not wait longer");
    let lost = [(0, Event::NotCharged(NoCharge::Exists))];
    assert!(!may_try_again(&live(&lost)), "it can still be paid");
    let dead = live(&[lost[0].clone(), (1, Event::CancelDone(report(Said::Cancelled)))]);
    assert!(may_try_again(&dead));
    for other in [
        live(&[(0, Event::NotCharged(NoCharge::NotMade { again: false, why: "402".into() }))]),
        live(&[(0, Event::Charged(charge(9000))), (1, Event::CancelDone(report(Said::Cancelled)))]),
        live(&[(0, Event::CancelRequested), (1, Event::CancelUnknown)]),
        live(&[(0, Event::Restarted), (1, Event::CancelRequested), (2, Event::CancelUnknown)]),
    ] {
        assert!(!may_try_again(&other), "{:?}", other.state);
    }
    let restarted = live(&[(0, Event::Restarted), (1, Event::CancelUnknown)]);
    assert!(!wants_another(&restarted, Told::trusted(T0)) && may_try_again(&restarted), "only if the machine asks again");
    let awaited = live(&[(0, Event::Restarted), (0, Event::Awaited), (1, Event::CancelUnknown)]);
    assert!(wants_another(&awaited, Told::trusted(T0)));
    let ninth = Order { attempt: ATTEMPTS_MAX, ..denied };
    assert!(!may_try_again(&ninth));
}

#[test]
fn it_reads_back_as_it_was_written() {
    for events in [
        vec![],
        vec![(0, Event::Charged(charge(5000)))],
        vec![(0, Event::Charged(charge(5000))), (1, Event::CancelRequested)],
        vec![(0, Event::Charged(charge(5000))), (1, status(Said::Settled)), (2, told(Delivery::Failed))],
        vec![(0, Event::NotCharged(NoCharge::NotMade { again: true, why: "ü\"'; DROP".into() }))],
    ] {
        let order = live(&events);
        let json = serde_json::to_string(&order).expect("plain data");
        assert_eq!(serde_json::from_str::<Order>(&json).expect("ours"), order);
    }
}

/// No answer of the gateway makes the questions go in a circle: only so many calls follow each other at one instant.
#[test]
fn no_answer_leads_in_a_circle() {
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let report_with = |said, amount| Event::Status(StatusReport { gross_amount: Some(rp(amount)), ..report(said) });
    let all =
        [Said::Pending, Said::Settled, Said::Suspect, Said::Expired, Said::Refunded, Said::PartlyRefunded, Said::ChargedBack, Said::Other];
    let answers = |call: Call| -> Vec<Event> {
        match call {
            Call::Charge => vec![
                Event::Charged(charge(5000)),
                Event::Charged(charge(9000)),
                Event::NotCharged(NoCharge::Exists),
                Event::NotCharged(NoCharge::Passing("x".into())),
                Event::NotCharged(NoCharge::Unsure("x".into())),
                Event::NotCharged(NoCharge::NotMade { again: true, why: "x".into() }),
            ],
            Call::GetStatus => {
                let more = [report_with(Said::Settled, 1), Event::StatusUnknown, Event::StatusUnanswered];
                all.into_iter().map(status).chain(more).collect()
            }
            Call::Refund => vec![
                Event::RefundAnswered(approved()),
                Event::RefundAnswered(RefundAnswer::Unsure("cut".into())),
                Event::RefundAnswered(RefundAnswer::Passing("no route".into())),
                Event::RefundAnswered(RefundAnswer::Refused("412".into())),
            ],
            Call::Cancel => {
                let words = [Said::Cancelled, Said::Pending, Said::Settled].map(|said| Event::CancelDone(report(said)));
                words.into_iter().chain([Event::CancelRefused, Event::CancelUnknown, Event::CancelUnanswered]).collect()
            }
        }
    };
    let mut stack: Vec<(Order, i64, u32)> = Vec::new();
    for state in [vec![], vec![(0, Event::Restarted)], vec![(0, Event::Charged(charge(5000)))]] {
        for news in [None, Some(Event::Notified(Said::Settled)), Some(Event::CancelRequested)] {
            stack.push((live(&state.iter().cloned().chain(news.map(|event| (1, event))).collect::<Vec<_>>()), 1, 0));
        }
    }
    let mut lives = 0;
    while let Some((order, ms, calls)) = stack.pop() {
        let now = T0 + Span::millis(ms);
        match duty(&order, Told::trusted(now)) {
            Duty::Apply(event) => stack.push((apply(order, event, Told::trusted(now), &with).expect("a fact"), ms, calls)),
            Duty::Wait => lives += 1,
            Duty::Call(call) => {
                assert!(calls < 5, "{calls} calls at once: {order:?}");
                stack.extend(
                    answers(call)
                        .into_iter()
                        .map(|event| (apply(order.clone(), event, Told::trusted(now), &with).expect("a fact"), ms, calls + 1)),
                );
            }
        }
    }
    assert!(lives > 100, "{lives}");
}

#[test]
fn metadata_reads_back_and_nothing_else_does() {
    let metadata = order().sale.metadata();
    let [device, request, third] = metadata.to_texts();
    assert_eq!(Metadata::from_texts(&device, &request, &third), Some(metadata));
    for bad in ["", "A1|5000", "A1|0|x", &format!("{third}|x"), &third.replace("5000", "+5000"), &third.replace("5000", "05000")] {
        assert_eq!(Metadata::from_texts(&device, &request, bad), None, "{bad}");
    }
}
