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
        word(&live(&[(0, Event::Charged(charge(5000))), (500, Event::CancelAsked), (600, Event::CancelDone(told))]))
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
        for more in [vec![], vec![(500, Event::CancelAsked), (600, Event::CancelRefused)]] {
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
    let order = apply(settled, Event::Status(told), T0 + Span::secs(60), &with).expect("a fact");
    assert_eq!(order.taken_back, Some(TakenBack::Chargeback));
}
