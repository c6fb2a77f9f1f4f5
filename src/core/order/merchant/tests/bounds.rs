//! Cases that the lives do not reach: the exact bounds, and which order, call or word is meant.

use super::*;

fn at(ms: i64) -> Wall {
    T0 + Span::millis(ms)
}

fn with_rules<T>(run: impl FnOnce(&Context<'_>) -> T) -> T {
    let rules = rules();
    run(&Context { rules: &rules, paid_already: false })
}

/// Applies one more event.
fn then(order: &Order, ms: i64, event: Event) -> Order {
    with_rules(|with| apply(order.clone(), event, Told::trusted(at(ms)), with)).expect("granted")
}

fn charged() -> Order {
    live(&[(0, Event::Charged(charge(5000)))])
}

fn pass(answer: NoCharge) -> Event {
    Event::NotCharged(answer)
}

fn counter(payment: Payment) -> Order {
    Order { sale: order().sale.paid_by(payment), ..charged() }
}

#[test]
fn gateway_own_times_are_what_its_manual_says() {
    let quarter = 900_000;
    assert_eq!((QR_EXPIRY.0, COUNTER_EXPIRY.0), (quarter, 96 * quarter));
    assert_eq!(CANCEL_GIVE_UP.0, 96 * quarter, "a day");
}

#[test]
fn a_receipt_is_signed_with_a_key_that_the_machine_has() {
    let rules = rules();
    let [first, second] = [0, 1].map(|n: usize| rules.keys[n].kid().clone());
    let strange = SigningKey::from_seed([3; 32]).kid().clone();
    let both = [second.clone(), first.clone()];
    for (lists, wanted) in [(&both[..], Some(&first)), (&both[..1], Some(&second)), (&[strange.clone()][..], None), (&[], None)] {
        assert_eq!(rules.choose(lists), wanted, "{lists:?}");
    }
    // The key that is asked for; if it is gone, the one in use.
    let settled = live(&[(0, Event::Charged(charge(5000))), (1000, status(Said::Settled))]);
    let claims = settled.receipt().expect("settled").claims().clone();
    for (kid, signs) in [(&first, 0), (&second, 1), (&strange, 0)] {
        let receipt = rules.sign(kid, claims.clone());
        let set = |n: usize| KeySet::from_jwks(&jwk_set(&[rules.keys[n].to_public_jwk("pay.example")])).expect("a set");
        let verifies = [0, 1].map(|n| set(n).verify(receipt.jws(), &settled.sale.device).is_ok());
        assert_eq!(verifies, [signs == 0, signs == 1], "{kid:?}");
    }
}

#[test]
fn a_charge_is_made_at_once_and_again_after_a_pause_that_doubles() {
    let new = order();
    assert_eq!((duty(&new, Told::trusted(T0)), duty(&new, Told::trusted(at(-1)))), (Duty::Call(Call::Charge), Duty::Wait));
    let mut order = new;
    let mut ms = 0;
    for pause in [250, 500, 1000, 2000, 3000] {
        order = then(&order, ms, pass(NoCharge::Passing("no route".into())));
        ms += pause;
        assert_eq!(
            (duty(&order, Told::trusted(at(ms - 1))), duty(&order, Told::trusted(at(ms)))),
            (Duty::Wait, Duty::Call(Call::Charge)),
            "after {pause} ms"
        );
    }
}

#[test]
fn another_attempt_waits_longer_than_the_one_before() {
    let denied = live(&[(0, pass(NoCharge::NotMade { again: true, why: "900".into() }))]);
    for (attempt, pause) in [(1, 400), (2, 800), (3, 1600), (4, 3000)] {
        let order = Order { attempt, ..denied.clone() };
        let next = next_attempt(&order, &denied.id, Told::trusted(T0), denied.answer_by).expect("another");
        assert_eq!(next_deadline(&next), Some(at(pause)), "{attempt}");
        assert_eq!(
            (duty(&next, Told::trusted(at(pause - 1))), duty(&next, Told::trusted(at(pause)))),
            (Duty::Wait, Duty::Call(Call::Charge)),
            "{attempt}"
        );
    }
}

#[test]
fn a_charge_is_handed_out_until_four_seconds_after_whoever_waits() {
    for (ms, wanted) in [(10_000, "pending"), (14_000, "pending"), (14_001, "cancelling")] {
        assert_eq!(word(&then(&order(), ms, Event::Charged(charge(5000)))), wanted, "after {ms} ms");
    }
}

#[test]
fn a_denial_of_what_may_exist_ends_nothing_that_was_not_asked_to_end() {
    let denied = || pass(NoCharge::NotMade { again: true, why: "900".into() });
    assert_eq!(word(&live(&[(0, Event::Restarted), (50, denied())])), "cancelling", "an earlier call may have been granted");
    assert_eq!(word(&live(&[(0, Event::CancelRequested), (50, denied())])), "cancel");
}

#[test]
fn what_gateway_does_not_know_is_looked_for_once_more() {
    for unknown in [Event::CancelUnknown, Event::StatusUnknown] {
        let order = live(&[(0, Event::Restarted), (1, unknown)]);
        assert_eq!((word(&order).as_str(), next_deadline(&order)), ("failure", Some(at(1) + CHECK_AGAIN)));
        assert_eq!(duty(&order, Told::trusted(at(1) + CHECK_AGAIN)), Duty::Call(Call::GetStatus));
    }
    // The gateway has answered for this charge, so it is not gone. The cancel finds nothing, so look; the look finds
    // nothing, so cancel.
    let looks = live(&[(0, Event::Charged(charge(5000))), (500, Event::CancelRequested), (600, Event::CancelUnknown)]);
    assert_eq!((word(&looks).as_str(), duty(&looks, Told::trusted(at(600)))), ("looking", Duty::Call(Call::GetStatus)));
    assert_eq!(word(&then(&looks, 700, Event::StatusUnknown)), "cancelling");
}

#[test]
fn what_is_given_up_is_looked_for_a_minute_later() {
    let day = CANCEL_GIVE_UP.0;
    let asked = [(0, Event::Charged(charge(5000))), (1000, Event::CancelRequested)];
    let early = live(&[&asked[..], &[(day - 1, Event::CancelUnanswered)]].concat());
    assert_eq!(word(&early), "cancelling");
    let given_up = live(&[&asked[..], &[(day, Event::CancelUnanswered)]].concat());
    assert_eq!((word(&given_up).as_str(), next_deadline(&given_up)), ("failure", Some(at(day) + CHECK_AGAIN)));
}

#[test]
fn who_asks_for_the_end_changes_why_only_of_what_was_given_up() {
    let why = |order: &Order| match &order.state {
        State::Cancelling(Cancelling { why, .. }) => why.clone(),
        other => panic!("{other:?}"),
    };
    let table: [(Event, Ending); 4] = [
        (Event::ChargedUnreadable(charge(4999), "blank".into()), Ending::GrossAmount),
        (Event::Restarted, Ending::Requested),
        (Event::Charged(charge(9000)), Ending::GrossAmount),
        (Event::ChargedUnreadable(charge(5000), "blank".into()), Ending::Unreadable("blank".into())),
    ];
    for (first, wanted) in table {
        assert_eq!(why(&live(&[(0, first.clone()), (1, Event::CancelRequested)])), wanted, "{first:?}");
    }
    assert_eq!(why(&then(&live(&[(0, Event::Restarted)]), 1, Event::TimedOut)), Ending::GaveUp);
}

#[test]
fn orders_are_asked_about_a_little_apart() {
    let spans: Vec<i64> = (0..100)
        .map(|n| {
            let id = OrderId::new(&format!("o{n}-x")).expect("an id");
            Order { id, ..order() }.spread(Span::secs(10)).0
        })
        .collect();
    assert!(spans.iter().all(|span| (10_000..11_000).contains(span)), "{spans:?}");
    let kinds: std::collections::BTreeSet<_> = spans.iter().collect();
    assert!(kinds.len() > 20, "{kinds:?}");
}

#[test]
fn a_flood_of_news_waits_for_ten_seconds_after_the_first() {
    // The end is asked for. The question after the notification was answered long ago.
    let order = live(&[
        (0, Event::Charged(charge(5000))),
        (1000, Event::Notified(Said::Settled)),
        (1100, Event::CancelRequested),
        (6500, status(Said::Pending)),
    ]);
    assert_eq!(order.polling.at, None);
    let again = then(&order, 7000, Event::Notified(Said::Settled));
    assert_eq!(again.polling.at, Some(at(11_000)));
}

#[test]
fn the_first_question_after_news_is_repeated_quickly_however_many_there_were() {
    let mut order = charged();
    for round in 1..8 {
        order = then(&order, round * 10_000, status(Said::Pending));
    }
    let order = then(&order, 100_000, Event::Notified(Said::Settled));
    assert_eq!(then(&order, 100_100, status(Said::Pending)).polling.at, Some(at(100_350)));
}

#[test]
fn an_indomarets_settlement_that_nobody_answers_for_is_asked_about_with_a_pause() {
    let held = then(&counter(Payment::Indomaret), 1000, status(Said::Settled));
    let order = then(&held, 301_000, Event::StatusUnanswered);
    assert!(next_deadline(&order).is_some_and(|next| next >= at(301_000) + ASK_SPACING), "{:?}", order.polling);
    // Without a window there is nothing to wait for.
    let rules = Rules { reversal_window: Span::ZERO, ..rules() };
    let with = Context { rules: &rules, paid_already: false };
    let settled = apply(counter(Payment::Indomaret), status(Said::Settled), Told::trusted(at(1000)), &with).expect("a fact");
    assert_eq!(word(&settled), "settled");
}

#[test]
fn what_is_held_ends_a_minute_after_its_window_or_with_its_charge() {
    for (paid, ends) in [(1000, QR_EXPIRY.0), (890_000, 890_000 + 300_000 + 60_000)] {
        let held = then(&counter(Payment::Indomaret), paid, status(Said::Settled));
        assert_eq!((word(&held).as_str(), held.ends_at()), ("held", Some(at(ends))), "paid after {paid} ms");
    }
}

#[test]
fn what_was_paid_is_known_as_long_as_the_order() {
    let pending = charged();
    let held = then(&counter(Payment::Indomaret), 1000, status(Said::Settled));
    let settled = then(&pending, 1000, status(Said::Settled));
    let mismatch = then(&pending, 1000, status(Said::PartlyRefunded));
    let refunded = then(&settled, 2000, status(Said::Refunded));
    assert_eq!((pending.settlement(), then(&pending, 1000, status(Said::Expired)).settlement()), (None, None));
    for order in [held, settled, mismatch, refunded, then(&pending, 1000, status(Said::Refunded))] {
        let by = order.settlement().expect("it was paid");
        assert_eq!((by.transaction_id.as_str(), by.gross_amount, &*by.payment_type), ("t1", Some(rp(5000)), "qris"), "{}", word(&order));
    }
}

#[test]
fn news_are_answered_by_a_question_that_is_younger_than_they_are() {
    let order = then(&charged(), 900_000, Event::Notified(Said::Expired));
    let order = then(&order, 901_000, Event::Notified(Said::Settled));
    let order = then(&order, 908_000, status(Said::Expired));
    assert_eq!(next_deadline(&order), Some(at(901_000) + CALL_LIFE));
}

#[test]
fn only_a_counter_takes_a_settlement_back_and_only_by_denying_it() {
    let table = [
        (Payment::Gopay, Said::Denied, None),
        (Payment::Alfamart, Said::Expired, None),
        (Payment::Alfamart, Said::Cancelled, None),
        (Payment::Alfamart, Said::Denied, Some(TakenBack::Reversal)),
    ];
    for (payment, said, wanted) in table {
        let settled = then(&counter(payment), 1000, status(Said::Settled));
        assert_eq!(then(&settled, 2000, status(said)).taken_back, wanted, "{payment:?} {said:?}");
    }
}

#[test]
fn a_part_that_was_seen_is_told_again_only_when_it_grows() {
    let part = |amount: u64| Event::Status(StatusReport { refund_amount: Some(rp(amount)), ..report(Said::PartlyRefunded) });
    let settled = then(&charged(), 1000, status(Said::Settled));
    let seen = then(&then(&settled, 2000, part(1000)), 3000, Event::SeenBy("Ani".into()));
    assert!(seen.attention().is_empty());
    assert!(then(&seen, 4000, part(1000)).attention().is_empty());
    assert_eq!(then(&seen, 4000, part(2000)).attention(), [Attention::PartialRefund]);
    // The bank took all of it. An older word does not make that less.
    let bank = then(&seen, 4000, status(Said::ChargedBack));
    assert_eq!(then(&bank, 5000, part(2000)).taken_back, Some(TakenBack::Chargeback));
}

#[test]
fn the_words_of_what_a_person_must_look_at_are_read_back() {
    let words = [
        "refund_due",
        "no_proof",
        "refund_failed",
        "uncertain",
        "unreported",
        "mismatch",
        "conflict",
        "suspect",
        "unconfirmed",
        "refund_soon",
        "refund_last_day",
        "only_by_hand",
        "partial_refund",
        "chargeback",
        "reversed",
        "late_fact",
    ];
    for (kind, word) in Attention::ALL.into_iter().zip(words) {
        assert_eq!((kind.as_str(), Attention::from_word(word)), (word, Some(kind)));
        assert_eq!(serde_json::to_string(&kind).expect("plain data"), format!("{word:?}"));
    }
    assert_eq!(Attention::from_word("nothing"), None);
}
