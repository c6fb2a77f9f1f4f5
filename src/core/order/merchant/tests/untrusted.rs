//! A time that nobody trusts ends nothing, however far it is ahead.

use super::*;
use crate::order::proof::RelayKey;
use crate::order::tries::TwoDigits;

const YEARS: Span = Span::secs(2 * 366 * 86_400);

fn trying<T>(run: impl FnOnce(&Context<'_>) -> T) -> T {
    run(&Context { rules: &Rules { second_tries: 1, ..rules() }, paid_already: false })
}

fn after(order: Order, events: &[(i64, Event)]) -> Order {
    events.iter().fold(order, |order, (ms, event)| {
        let now = Told::trusted(T0 + Span::millis(*ms));
        trying(|with| apply(order, event.clone(), now, with)).expect("granted")
    })
}

fn paid() -> Vec<(i64, Event)> {
    let refundable = StatusReport { refund_within: Some(Span::secs(45 * 86_400)), ..report(Said::Settled) };
    vec![(0, Event::Charged(charge(5000))), (1000, Event::Status(refundable))]
}

/// Everything that has an end by time, and how its end shows.
fn waiting() -> Vec<(&'static str, Order)> {
    let with_key = Order { sale: Sale { relay_key: Some(RelayKey::of(&SigningKey::from_seed([3; 32]))), ..order().sale }, ..order() };
    let nothing_came = (2000, told(Delivery::Undelivered));
    let wanted = (3000, Event::TryWanted { by: None, drawn: TwoDigits::of(7) });
    vec![
        ("an order that is charged", order()),
        ("a QR", after(order(), &[(0, Event::Charged(charge(5000)))])),
        ("told as paid", after(order(), &[(0, Event::Charged(charge(5000))), (1000, Event::Notified(Said::Settled))])),
        ("paid, and its machine is silent", after(order(), &paid())),
        ("an offer", after(with_key.clone(), &[paid(), vec![nothing_came.clone()]].concat())),
        ("a wish", after(with_key, &[paid(), vec![nothing_came, wanted]].concat())),
    ]
}

#[test]
fn nothing_ends_by_a_time_that_is_not_trusted() {
    let later = T0 + YEARS;
    for (what, order) in waiting() {
        assert!(matches!(duty(&order, Told::trusted(later)), Duty::Apply(_)), "{what} has an end");
        for now in [Told::counted(later), Told::unknown(later)] {
            assert!(!matches!(duty(&order, now), Duty::Apply(_)), "{what}, {now:?}");
        }
    }
}

#[test]
fn no_window_is_over_by_a_time_that_is_not_trusted() {
    let (later, rules) = (T0 + YEARS, Rules { second_tries: 1, ..rules() });
    let [.., (_, silent), (_, offer), (_, wish)] = &waiting()[..] else { panic!("there are more") };
    for (now, is_over) in [(Told::trusted(later), true), (Told::counted(later), false), (Told::unknown(later), false)] {
        assert_eq!(offer.try_again_until(now).is_none(), is_over, "{now:?}");
        assert_eq!(wish.try_wanted_until(now).is_none(), is_over, "{now:?}");
        assert_eq!(offer.may_want_try(Some("Sari"), now, &rules) == Err(NoTry::TooLate), is_over, "{now:?}");
        assert_eq!(offer.clone().as_of(now).repaying.ending.is_some(), is_over, "{now:?}");
        // The machine of a silent order may still deliver it: nobody is allowed more by such a time, either.
        let listed = trying(|with| apply(silent.clone(), Event::Unreported, Told::trusted(T0 + REPORT_WITHIN), with)).expect("a fact");
        let wish = RefundWish { no_report: true, no_proof: true, ..RefundWish::of_a_person(Some("Sari".into())) };
        let refund = trying(|with| apply(listed, Event::RefundRequested(wish), now, with));
        assert_eq!(refund.err(), Some(if is_over { Refused::OnlyByHand } else { Refused::TooEarly }), "{now:?}");
    }
}

#[test]
fn a_settlement_that_may_be_taken_back_waits_for_a_trusted_time() {
    let mut indomaret = order();
    indomaret.sale.purchase.payment = crate::order::request::Payment::Indomaret;
    let held = after(indomaret, &[(0, Event::Charged(charge(5000))), (1000, status(Said::Settled))]);
    assert_eq!(word(&held), "held");
    let later = T0 + YEARS;
    let asked = trying(|with| apply(held.clone(), status(Said::Settled), Told::counted(later), with)).expect("a fact");
    assert_eq!((word(&asked).as_str(), next_deadline(&asked)), ("held", Some(later + ASK_SPACING)), "it is asked again, and not at once");
    let asked = trying(|with| apply(held, status(Said::Settled), Told::trusted(later), with)).expect("a fact");
    assert_eq!(word(&asked), "settled");
}

#[test]
fn what_the_machine_asks_to_cancel_is_cancelled() {
    let [(_, charged), (_, shown), ..] = &waiting()[..] else { panic!("there are more") };
    for order in [charged, shown] {
        for now in [Told::counted(T0 + YEARS), Told::unknown(T0 - YEARS)] {
            let ending = trying(|with| apply(order.clone(), Event::CancelRequested, now, with)).expect("granted");
            assert_eq!((word(&ending).as_str(), duty(&ending, now)), ("cancelling", Duty::Call(Call::Cancel)));
        }
    }
}

/// The gateway forgets the key of a charge after minutes.
#[test]
fn a_charge_is_not_repeated_behind_its_time_whoever_trusts_it() {
    let order = order();
    for (ms, expected) in [(9_999, Duty::Call(Call::Charge)), (10_000, Duty::Wait)] {
        assert_eq!(duty(&order, Told::counted(T0 + Span::millis(ms))), expected, "{ms}");
    }
}
