//! Which answers of the gateway count, and as what. One rule judges them all: [`StatusReport::is_about`].

use super::*;

/// What get-status puts in the place of our order_id, as integrators have seen it.
fn alien() -> Option<OrderId> {
    OrderId::new("A120251205074834XeVg4mKHIMID").ok()
}

fn settled(change: impl FnOnce(&mut StatusReport)) -> StatusReport {
    let mut report = report(Said::Settled);
    change(&mut report);
    report
}

/// The state after an answer was given twice, ten seconds apart, and the sum in the receipt if there is one.
fn after_both(begin: (i64, Event), report: StatusReport) -> (String, Option<u64>) {
    let order = live(&[begin, (1000, Event::Status(report.clone())), (11_000, Event::Status(report))]);
    (word(&order), order.receipt().map(|receipt| receipt.claims().gross_amount.get()))
}

#[test]
fn an_answer_with_the_charges_transaction_counts_whatever_order_it_names() {
    type Change = fn(&mut StatusReport);
    let another = |report: &mut StatusReport| report.transaction_id = TransactionId::new("t2").expect("an id");
    let table: [(&str, Change, &str, Option<u64>); 12] = [
        ("the charge's", |_| {}, "settled", Some(5000)),
        ("with a fee that comes first in get-status", |r| r.gross_amount = Some(rp(5100)), "settled", Some(5100)),
        ("with more than the fee allowed", |r| r.gross_amount = Some(rp(5101)), "mismatch", None),
        ("less", |r| r.gross_amount = Some(rp(4999)), "mismatch", None),
        ("no sum", |r| r.gross_amount = None, "mismatch", None),
        ("dollars", |r| r.currency = Some("USD".into()), "mismatch", None),
        ("no currency", |r| r.currency = None, "mismatch", None),
        ("the fields of another machine", |r| r.metadata[0] = Some("vm-002".into()), "mismatch", None),
        ("fields left out", |r| r.metadata = [None, None, None], "settled", Some(5000)),
        ("suspect", |r| r.said = Said::Suspect, "pending", None),
        ("expired", |r| r.said = Said::Expired, "expire", None),
        ("refunded", |r| r.said = Said::Refunded, "refunded", None),
    ];
    for (what, change, state, receipt) in table {
        for name in [report(Said::Settled).order_id, alien(), OrderId::new("o2").ok(), None] {
            let mut told = settled(change);
            told.order_id = name;
            assert_eq!(after_both((0, Event::Charged(charge(5000))), told.clone()), (state.into(), receipt), "{what}: {told:?}");
            // Another transaction says nothing about this order, whatever name it has.
            let mut strange = told;
            another(&mut strange);
            assert_eq!(after_both((0, Event::Charged(charge(5000))), strange), ("pending".into(), None), "{what}, of another transaction");
        }
    }
}

#[test]
fn without_a_known_charge_an_answer_needs_our_name_and_all_three_fields() {
    let lost = || (0, Event::Restarted);
    assert_eq!(after_both(lost(), settled(|_| {})), ("settled".into(), Some(5000)));
    assert_eq!(after_both(lost(), settled(|r| r.order_id = alien())).1, None, "another name");
    for at in 0..3 {
        assert_eq!(after_both(lost(), settled(|r| r.metadata[at] = None)), ("mismatch".into(), None), "without field {at}");
    }
    assert_eq!(after_both(lost(), settled(|r| r.gross_amount = Some(rp(5100)))), ("settled".into(), Some(5100)));
    assert_eq!(after_both(lost(), settled(|r| r.gross_amount = Some(rp(5101)))), ("mismatch".into(), None));
}

#[test]
fn a_cancel_is_done_by_the_charges_transaction_too() {
    let cancelled = |name, transaction: &str| {
        let told =
            StatusReport { order_id: name, transaction_id: TransactionId::new(transaction).expect("an id"), ..report(Said::Cancelled) };
        word(&live(&[(0, Event::Charged(charge(5000))), (500, Event::CancelRequested), (600, Event::CancelDone(told))]))
    };
    assert_eq!(cancelled(report(Said::Cancelled).order_id, "t1"), "cancel");
    assert_eq!(cancelled(alien(), "t1"), "cancel");
    for name in [report(Said::Cancelled).order_id, alien()] {
        assert_eq!(cancelled(name, "t2"), "looking", "an answer about another transaction ends nothing: get-status must tell");
    }
}

#[test]
fn an_answer_about_another_transaction_ends_nothing_and_is_for_a_person() {
    let another = |said| Event::Status(StatusReport { transaction_id: TransactionId::new("t2").expect("an id"), ..report(said) });
    for said in [Said::Settled, Said::Expired, Said::Cancelled, Said::Denied, Said::Failed, Said::Refunded, Said::ChargedBack] {
        for more in [vec![], vec![(500, Event::CancelRequested), (600, Event::CancelRefused)]] {
            let life = [vec![(0, Event::Charged(charge(5000)))], more, vec![(1000, another(said))]].concat();
            let order = live(&life);
            assert!(order.is_open() && order.attention().is_empty() && next_deadline(&order).is_some(), "{said:?}: asked again");
            let order = live(&[life, vec![(151_000, another(said)), (301_000, another(said))]].concat());
            assert!(order.is_open() && order.receipt().is_none() && order.settlement().is_none(), "{said:?}: {order:?}");
            assert_eq!(order.attention(), [Attention::Unconfirmed], "{said:?}");
        }
    }
}

#[test]
fn a_payment_without_a_known_charge_is_known_by_its_own_transaction() {
    let settled = live(&[(0, Event::Restarted), (1000, status(Said::Settled))]);
    assert!(settled.charge().is_none() && settled.receipt().is_some());
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let told = StatusReport { order_id: alien(), ..report(Said::ChargedBack) };
    let order = apply(settled, Event::Status(told), Told::trusted(T0 + Span::secs(60)), &with).expect("a fact");
    assert_eq!(order.taken_back, Some(TakenBack::Chargeback));
}

const FIVE: i64 = UNCONFIRMED_AFTER.0;

/// An answer of the transaction `t1`, with another sum or currency than the charge's.
fn odd(said: Said) -> Vec<(&'static str, StatusReport)> {
    vec![
        ("dollars", StatusReport { currency: Some("USD".into()), ..report(said) }),
        ("less", StatusReport { gross_amount: Some(rp(4999)), ..report(said) }),
        ("more than the fee allowed", StatusReport { gross_amount: Some(rp(5101)), ..report(said) }),
        ("no whole rupiah", StatusReport { gross_amount: None, ..report(said) }),
    ]
}

/// Every word, except that it is settled.
const OTHER_WORDS: [Said; 10] = [
    Said::Pending,
    Said::Suspect,
    Said::Other,
    Said::Expired,
    Said::Cancelled,
    Said::Denied,
    Said::Failed,
    Said::Refunded,
    Said::PartlyRefunded,
    Said::ChargedBack,
];

#[test]
fn an_answer_of_another_sum_or_currency_answers_nothing_whatever_it_says() {
    let charged = || vec![(0, Event::Charged(charge(5000)))];
    let lives = [
        ("pending", charged()),
        ("looking", [charged(), vec![(500, Event::CancelRequested), (600, Event::CancelRefused)]].concat()),
        ("cancel", [charged(), vec![(500, Event::CancelRequested), (600, Event::CancelDone(report(Said::Cancelled)))]].concat()),
        ("settled", [charged(), vec![(500, status(Said::Settled))]].concat()),
    ];
    for said in OTHER_WORDS {
        for (what, told) in odd(said) {
            for (state, life) in &lives {
                let told = Event::Status(told.clone());
                let first = live(&[life.clone(), vec![(1000, told.clone())]].concat());
                assert_eq!((word(&first).as_str(), first.attention()), (*state, vec![]), "{said:?}, {what}: {state}");
                let after = live(&[life.clone(), vec![(1000, told.clone()), (151_000, told.clone()), (1000 + FIVE, told)]].concat());
                let (taken, money) = (&after.taken_back, after.repayment());
                // A QR whose life is over is cancelled, whatever is answered.
                let later = if *state == "pending" { "cancelling" } else { *state };
                assert_eq!((word(&after).as_str(), taken, money), (later, &None, None), "{said:?}, {what}: {state}");
                let listed = if *state == "settled" { vec![] } else { vec![Attention::Unconfirmed] };
                assert_eq!(after.attention(), listed, "{said:?}, {what}: {state}");
            }
        }
        // A fee that is allowed may be told only now; and Midtrans' own samples of some answers have no currency.
        let fee = StatusReport { gross_amount: Some(rp(5100)), ..report(said) };
        let silent = StatusReport { currency: None, ..report(said) };
        for told in [fee, silent] {
            let as_usual = live(&[charged(), vec![(1000, status(said))]].concat());
            let order = live(&[charged(), vec![(1000, Event::Status(told))]].concat());
            assert_eq!(
                (word(&order), order.is_suspect(), &order.taken_back),
                (word(&as_usual), as_usual.is_suspect(), &as_usual.taken_back),
                "{said:?}"
            );
            assert_eq!(order.repayment().is_some(), as_usual.repayment().is_some(), "{said:?}");
        }
    }
    // A cancel is not done by such an answer. Get-status must tell.
    for (what, told) in odd(Said::Cancelled) {
        let life = [charged(), vec![(500, Event::CancelRequested), (600, Event::CancelDone(told))]].concat();
        assert_eq!(word(&live(&life)), "looking", "{what}");
    }
    // The charge itself may have been for a wrong sum. Then that is its sum.
    for sum in [4000, 9000] {
        let ended = StatusReport { gross_amount: Some(rp(sum)), ..report(Said::Cancelled) };
        for event in [Event::Status(ended.clone()), Event::CancelDone(ended)] {
            assert_eq!(word(&live(&[(0, Event::Charged(charge(sum))), (500, event)])), "cancel", "{sum}");
        }
    }
}

#[test]
fn what_was_settled_is_the_sum_and_the_currency_of_what_goes_back() {
    let of = |sum: u64, currency: &str, said| {
        Event::Status(StatusReport { gross_amount: Some(rp(sum)), currency: Some(currency.into()), ..report(said) })
    };
    let paid = |sum, currency| {
        let settled = of(sum, currency, Said::Settled);
        vec![(0, Event::Charged(charge(5000))), (1000, settled.clone()), (11_000, settled)]
    };
    for (what, settled, back, wanted) in [
        ("the same", (5000, "IDR"), (5000, "IDR"), "refunded"),
        ("with the fee that was paid", (5100, "IDR"), (5100, "IDR"), "refunded"),
        ("without the fee that was paid", (5100, "IDR"), (5000, "IDR"), "settled"),
        ("with a fee that was not paid", (5000, "IDR"), (5100, "IDR"), "settled"),
        ("a mismatch, and the same sum again", (4999, "IDR"), (4999, "IDR"), "refunded"),
        ("a mismatch of dollars, and dollars again", (5000, "USD"), (5000, "USD"), "refunded"),
        ("a mismatch, and the charge's own sum", (4999, "USD"), (5000, "IDR"), "refunded"),
        ("a mismatch, and a third sum", (4999, "IDR"), (4998, "IDR"), "mismatch"),
        ("a mismatch, and dollars besides", (4999, "IDR"), (4999, "USD"), "mismatch"),
    ] {
        let order = live(&[paid(settled.0, settled.1), vec![(60_000, of(back.0, back.1, Said::Refunded))]].concat());
        assert_eq!(word(&order), wanted, "{what}");
    }
    // Whether a refund was made is not read off an answer of another sum, either.
    let asked = [(20_000, told(Delivery::Failed)), (21_000, Event::RefundRequested(RefundWish::of_a_person(None)))];
    let unsure = [(22_000, Event::RefundAnswered(RefundAnswer::Refused("412".into())))];
    for (what, sum, currency, is_certain) in
        [("the same", 5000, "IDR", true), ("another sum", 4999, "IDR", false), ("dollars", 5000, "USD", false)]
    {
        let looked = [(23_000, of(sum, currency, Said::Settled))];
        let order = live(&[paid(5000, "IDR"), asked.to_vec(), unsure.to_vec(), looked.to_vec()].concat());
        assert_eq!(
            matches!(order.repayment(), Some(Repayment::Refused { unsure: false, .. })),
            is_certain,
            "{what}: {:?}",
            order.repayment()
        );
        assert_eq!(order.refund_key() == "o1-r2", is_certain, "{what}: no second refund while one may have been made");
    }
}

#[test]
fn without_a_known_charge_every_word_that_ends_it_or_moves_money_needs_all_of_our_fields() {
    let fields = |at: usize, text: Option<&str>| {
        let mut metadata = report(Said::Pending).metadata;
        metadata[at] = text.map(Into::into);
        metadata
    };
    let lost = |answer: Event| vec![(0, Event::Restarted), (500, Event::CancelRefused), (1000, answer.clone()), (1000 + FIVE, answer)];
    for said in OTHER_WORDS {
        let ours = live(&lost(status(said)));
        for at in 0..3 {
            for metadata in [fields(at, None), fields(at, Some("vm-002"))] {
                let order = live(&lost(Event::Status(StatusReport { metadata, ..report(said) })));
                if said == Said::Pending {
                    // It ends nothing. The charge is cancelled once more, and after a while a person hears of it.
                    assert_eq!((word(&order).as_str(), order.attention()), ("cancelling", vec![Attention::Unconfirmed]));
                    continue;
                }
                assert_eq!((word(&order).as_str(), order.attention()), ("looking", vec![Attention::Unconfirmed]), "{said:?}");
                assert!(order.settlement().is_none() && order.repayment().is_none() && !order.is_suspect(), "{said:?}: {order:?}");
            }
        }
        let mean_nothing = matches!(said, Said::Pending | Said::Suspect | Said::Other);
        assert_eq!(ours.is_open(), mean_nothing, "{said:?}: with all fields it counts, {:?}", ours.state);
    }
    // The charge's sum is not known: the gateway may have put a fee on it that nobody allowed.
    let fee = Event::Status(StatusReport { gross_amount: Some(rp(9000)), ..report(Said::Cancelled) });
    assert_eq!(word(&live(&lost(fee))), "cancel");
    // Midtrans' answer to a cancel has no fields: get-status must tell.
    let cancelled = |metadata| {
        let done = StatusReport { metadata, ..report(Said::Cancelled) };
        live(&[(0, Event::Restarted), (500, Event::CancelDone(done))])
    };
    assert_eq!(word(&cancelled(report(Said::Cancelled).metadata)), "cancel");
    let silent = cancelled([None, None, None]);
    assert_eq!((word(&silent).as_str(), duty(&silent, Told::trusted(T0 + Span::millis(500)))), ("looking", Duty::Call(Call::GetStatus)));
}

#[test]
fn sums_that_nobody_can_read_are_not_the_same_sum() {
    let no_sum = |said| StatusReport { gross_amount: None, ..report(said) };
    let paid =
        [(0, Event::Charged(charge(5000))), (1000, Event::Status(no_sum(Said::Settled))), (11_000, Event::Status(no_sum(Said::Settled)))];
    let mismatch = live(&paid);
    assert_eq!((word(&mismatch).as_str(), mismatch.to_refund()), ("mismatch", None));
    let then = |more: &[(i64, Event)]| live(&[&paid[..], more].concat());
    assert_eq!(word(&then(&[(20_000, Event::Status(no_sum(Said::Refunded)))])), "mismatch");
    let asked = (20_000, Event::RefundRequested(RefundWish::of_a_person(None)));
    let answered = (21_000, Event::RefundAnswered(approved()));
    let unsure = then(&[asked.clone(), answered.clone()]);
    assert!(matches!(unsure.repayment(), Some(Repayment::Requested { unsure: true, get_status: true, .. })), "{:?}", unsure.repayment());
    assert_eq!(word(&then(&[asked, answered, (40_000, status(Said::Refunded))])), "refunded", "of the charge's sum");
}
