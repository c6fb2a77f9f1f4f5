//! Each paid order has one end and stands in one group. What is left of it is known, or said not to be.

use super::*;
use crate::keeping::databases::open_both;
use crate::money::days::Days;
use crate::money::takings::signed;
use crate::sale::books::testing;
use crate::samples::{T0, after, paid, pending, report as said, reported_order};
use crate::store::read_on;
use qris_core::order::ids::ItemId;
use qris_core::order::merchant::{
    DeliveryReport, Event, Order, Parties, RefundAnswer, RefundEnding, RefundWish, Said, StatusReport as Told,
};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Delivery;
use qris_core::order::request::Payment;
use qris_core::order::time::Span;
use qris_host::config::Source;

fn sum(orders: u64, amount: u64) -> Sum {
    Sum { orders, amount }
}

fn wanted(by: By, fees: &str) -> ReportQuery {
    let fees =
        Source::from_text("b", fees).read_checked(|section: crate::money::takings::FeesSection, checker| Some(section.check(checker)));
    ReportQuery { device: None, span: (Wall(i64::MIN), Wall(i64::MAX)), by, zone: Zone::Wib, fees: fees.expect("good"), now: T0 }
}

fn hours(n: i64) -> Wall {
    T0 + Span::secs(n * 3600)
}

fn failed(id: &str) -> Order {
    reported_order(id, "vm-001", 5000, 5000, Delivery::Failed)
}

fn refunded(id: &str) -> Order {
    let asked = after(failed(id), Event::RefundRequested(RefundWish::of_a_person(None)), hours(1));
    let report = Told { refund_amount: asked.to_refund(), ..Told::of(&asked, Said::Refunded) };
    after(asked, Event::RefundAnswered(RefundAnswer::Approved(Box::new(report))), hours(1))
}

/// Paid in this way.
fn by_scheme(id: &str, payment: Payment, payment_type: &str, acquirer: Option<&str>, issuer: Option<&str>) -> Order {
    let mut order = pending(id, "vm-001", 10_000, 10_000);
    order.sale.purchase.payment = payment;
    let parties = Parties { acquirer: acquirer.map(Into::into), issuer: issuer.map(Into::into) };
    let report = Told { payment_type: Some(payment_type.into()), parties, ..said(&order, Said::Settled) };
    after(order, Event::Status(report), T0 + Span::secs(6))
}

fn orders() -> Vec<(Order, End)> {
    let by_hand = Event::SettledByHand { note: "cash".into(), by: None, no_report: false, goods_and_money: false };
    let given = Event::Given { by: "Budi".into(), goods_and_money: false, from_slot: false };
    let mut second = reported_order("g", "vm-002", 7000, 7000, Delivery::Undelivered);
    second.sale.purchase.item = ItemId::new("A2").expect("an id");
    vec![
        (reported_order("a", "vm-001", 5000, 5100, Delivery::Dispensed), End::Delivered),
        (failed("b"), End::RefundDue),
        (refunded("c"), End::Refunded),
        (after(failed("d"), by_hand, hours(1)), End::RefundedByHand),
        (after(failed("e"), given, hours(1)), End::Given),
        (reported_order("f", "vm-002", 7000, 7000, Delivery::Uncertain), End::Uncertain),
        (second, End::RefundDue),
        (paid("h", "vm-002", 7000, 7000), End::Awaited),
        (after(paid("i", "vm-002", 7000, 7000), Event::Unreported, hours(1)), End::Unreported),
    ]
}

#[test]
fn every_paid_order_has_one_end_and_the_sums_fit_in_each_breakdown() {
    // Midnight lies between them in one zone, and not in another: a second before a year's end in Jakarta.
    let new_year = Wall::from_rfc3339("2026-12-31T16:59:59Z").expect("a time");
    let at = |number: usize| new_year + Span::secs(i64::try_from(number % 2).expect("small"));
    let table: [(By, Zone, &[&str]); 7] = [
        (By::Machine, Zone::Wib, &["vm-001", "vm-002"]),
        (By::Item, Zone::Wib, &["A1", "A2"]),
        (By::Scheme, Zone::Wib, &["gopay"]),
        (By::Day, Zone::Wib, &["2026-12-31", "2027-01-01"]),
        (By::Month, Zone::Wib, &["2026-12", "2027-01"]),
        (By::Day, Zone::Wita, &["2027-01-01"]),
        (By::Month, Zone::Wit, &["2027-01"]),
    ];
    for (by, zone, names) in table {
        let wanted = ReportQuery { zone, ..wanted(by, "") };
        let mut report = SalesReport { counted: (9, 53_000), ..SalesReport::default() };
        for (number, (order, end)) in orders().iter().enumerate() {
            assert_eq!(counted::end(order), *end, "{}", order.id);
            report.add(order, at(number), &wanted);
        }
        report.counted_ends = End::ALL.map(|end| (end, report.total.of(end))).into();
        assert_eq!(report.difference(), None, "{by:?}");
        assert_eq!((report.total.paid, report.total.above_prices()), (sum(9, 53_100), 100));
        assert_eq!((report.total.of(End::RefundDue), report.total.of(End::TakenBack)), (sum(2, 12_000), sum(0, 0)));
        assert_eq!(report.groups.keys().collect::<Vec<_>>(), names, "{by:?} {zone:?}");
        if by == By::Machine {
            let first = &report.groups["vm-001"];
            assert_eq!((first.paid, first.of(End::Delivered), first.above_prices()), (sum(5, 25_100), sum(1, 5_100), 100));
        }
        // Each of the four comparisons sees its own fault.
        let changed = |change: fn(&mut SalesReport)| {
            let mut wrong = report.clone();
            change(&mut wrong);
            wrong.difference().expect("a difference")
        };
        assert!(changed(|report| report.counted = (10, 58_000)).contains("counts 10 orders of 58000"));
        let ends_differ = |report: &mut SalesReport| {
            report.counted_ends.insert(End::Given, sum(2, 1));
        };
        assert!(changed(ends_differ).contains("given: the database counts 2 orders"));
        assert!(changed(|report| report.total.paid.amount += 1).contains("were paid 53101"));
        assert!(changed(|report| drop(report.groups.pop_first())).contains(" in the groups"), "{by:?}");
    }
}

/// What the desk shows is added up by the database, from columns beside the order. It is what the orders themselves say.
#[test]
fn the_database_adds_up_what_the_orders_say() {
    let directory = tempfile::tempdir().expect("a directory");
    let books = open_both(&directory.path().join("orders.db"), true, true).expect("opens").books;
    let put = |tx: &mut dyn Tx| {
        orders().into_iter().for_each(|(order, _)| testing::put(tx, order, T0));
        Ok::<_, BooksError>(())
    };
    read_on(&books, put).expect("written");
    for (by, grouped) in [(By::Machine, Grouped::Machine), (By::Item, Grouped::Goods), (By::Scheme, Grouped::Scheme)] {
        let wanted = wanted(by, "");
        let report = read_on(&books, |tx| make(tx, &wanted, |_, _| {})).expect("read");
        assert_eq!((report.difference(), report.total.paid), (None, sum(9, 53_100)), "{by:?}");
        let sums = read_on(&books, |tx| books::sums(tx, None, wanted.span, grouped)).expect("read");
        let counted = |name: &str, end: End| {
            let all = sums.iter().filter(|sum| *sum.group == *name && sum.end == end);
            all.fold(Sum::default(), |all, sum| all.and(Sum { orders: sum.orders, amount: sum.amount }))
        };
        for (name, group) in &report.groups {
            End::ALL.iter().for_each(|end| assert_eq!(counted(name, *end), group.of(*end), "{by:?} {name} {end:?}"));
        }
        assert_eq!(sums.iter().map(|sum| sum.orders).sum::<u64>(), 9);
    }
}

/// The same with what the gateway should pay out, by the fees that were said.
#[test]
fn the_sums_of_days_are_those_of_the_orders_with_their_payout() {
    let directory = tempfile::tempdir().expect("a directory");
    let books = open_both(&directory.path().join("orders.db"), true, true).expect("opens").books;
    let mut all: Vec<_> = orders().into_iter().map(|(order, _)| order).collect();
    all.push(by_scheme("q", Payment::Gopay, "qris", None, Some("DANA")));
    // The database adds up both in one row.
    all.push(by_scheme("alike", Payment::Gopay, "qris", None, Some("DANA")));
    all.push(by_scheme("s", Payment::Indomaret, "cstore", None, None));
    let put = |tx: &mut dyn Tx| {
        all.into_iter().for_each(|order| testing::put(tx, order, T0));
        Ok::<_, BooksError>(())
    };
    read_on(&books, put).expect("written");
    let gopay = "gopay = { basis_points = 70 }\n";
    let more = format!("{gopay}qris = {{ basis_points = 70, rupiah = 3 }}\nindomaret = {{ rupiah = 5000 }}\n");
    for fees in ["", gopay, &more, &format!("{more}kept_on_refund = false\n"), &format!("{more}kept_on_refund = true\n")] {
        for (by, of_days) in [(By::Machine, Grouped::Machine), (By::Item, Grouped::Goods), (By::Scheme, Grouped::Scheme)] {
            let wanted = ReportQuery { span: (T0 - Span::secs(86_400), T0 + Span::secs(86_400)), ..wanted(by, fees) };
            let report = read_on(&books, |tx| make(tx, &wanted, |_, _| {})).expect("read");
            let days = Days { span: wanted.span, by: of_days, fees: wanted.fees };
            let parts: Vec<_> = read_on(&books, |tx| days.read(tx)).expect("read").into_iter().flat_map(|(_, parts)| parts).collect();
            for (name, group) in report.groups.iter().map(|(name, group)| (Some(&**name), group)).chain([(None, &report.total)]) {
                let mut sums = Sums::default();
                parts.iter().filter(|part| name.is_none_or(|name| *part.group == *name)).for_each(|part| sums.add_part(part));
                assert_eq!(sums.fields(), group.fields(), "{fees} {by:?} {name:?}");
            }
        }
    }
}

/// A sum that was made once is kept until an order of that day comes, changes or goes, whoever changes it.
#[test]
fn a_day_is_added_up_once_and_again_when_its_orders_change() {
    const DAY: Span = Span::secs(86_400);
    let directory = tempfile::tempdir().expect("a directory");
    let books = open_both(&directory.path().join("orders.db"), true, true).expect("opens").books;
    let sell = |tx: &mut dyn Tx| {
        testing::sell(tx, T0);
        Ok::<_, BooksError>(())
    };
    let days = |fees: &str| Days { span: (T0 - DAY, T0 + DAY + DAY), by: Grouped::Goods, fees: wanted(By::Item, fees).fees };
    let (plain, other) = (days(""), days("gopay = { basis_points = 70 }"));
    let to_keep = |days: &Days, now: Wall| read_on(&books, |tx| days.to_keep(tx, now)).expect("read");
    let sums = |days: &Days| -> Vec<(End, u64)> {
        let all = read_on(&books, |tx| days.read(tx)).expect("read");
        all.into_iter().flat_map(|(_, parts)| parts).map(|part| (part.end, part.sum.orders)).collect()
    };
    let keep = |days: &Days, now: Wall| {
        to_keep(days, now).into_iter().for_each(|day| read_on(&books, |tx| days.keep(tx, day)).expect("kept"));
    };
    let now = T0 + DAY + DAY + DAY;
    assert!(to_keep(&plain, now).is_empty(), "nothing was ever sold");
    read_on(&books, sell).expect("written");
    let first = (T0, T0 + DAY);
    // Not what was before the first payment, and not a day that still goes on.
    assert!(to_keep(&plain, T0 + DAY - Span(1)).is_empty());
    assert_eq!(to_keep(&plain, now), [first, (T0 + DAY, T0 + DAY + DAY)]);
    let added = sums(&plain);
    assert_eq!(added, [(End::Delivered, 3), (End::RefundDue, 1), (End::Awaited, 1)]);
    keep(&plain, now);
    assert_eq!((to_keep(&plain, now), sums(&plain)), (vec![], added.clone()));
    assert_eq!(to_keep(&other, now).len(), 2, "by other fees it is another payout");
    // It is what is kept that is read; and what cannot be read is added up.
    for (text, read) in [
        (r#"[["Teh","given",7,1,[0,0],1,{"returned":null,"fee":null,"payout":null}]]"#, vec![(End::Given, 7)]),
        ("[[]]", added.clone()),
        (r#"[["","x",1,1,[0,0],1,{"returned":0,"fee":0,"payout":1}]]"#, added.clone()),
    ] {
        books.execute("UPDATE day_sums SET sums = ?1 WHERE from_ms = ?2", (text, first.0.0)).expect("written");
        assert_eq!(sums(&plain), read, "{text}");
    }
    // Whatever happens to an order of it, the day is forgotten, and no other.
    let archived =
        "INSERT INTO archives (file, at_ms) VALUES ('f', 1); INSERT INTO archived (order_id, device, request_id, ticket, archive)
        SELECT order_id, device, request_id, ticket, 1 FROM orders WHERE order_id = 'o3'; DELETE FROM receipts WHERE order_id = 'o3';
        DELETE FROM history WHERE order_id = 'o3'; DELETE FROM orders WHERE order_id = 'o3'";
    let changes = [
        "UPDATE orders SET ended = 'given' WHERE order_id = 'o4'".to_owned(),
        "UPDATE orders SET paid = 6000 WHERE order_id = 'o4'".to_owned(),
        "UPDATE orders SET returned = 5000 WHERE order_id = 'o4'".to_owned(),
        format!("UPDATE orders SET settled_ms = {} WHERE order_id = 'o5'", (T0 + DAY).0),
        archived.to_owned(),
    ];
    for change in &changes {
        keep(&plain, now);
        books.execute_batch(change).expect(change);
        let moved = change.contains("settled_ms");
        assert_eq!(to_keep(&plain, now).len(), if moved { 2 } else { 1 }, "{change}");
        assert_eq!(to_keep(&plain, now)[0], first, "{change}");
    }
    keep(&plain, now);
    let put = |tx: &mut dyn Tx| {
        testing::put(tx, reported_order("late", "vm-001", 5000, 5000, Delivery::Dispensed), T0);
        Ok::<_, BooksError>(())
    };
    read_on(&books, put).expect("written");
    assert_eq!(to_keep(&plain, now), [first]);
    // Its goods are another group.
    assert_eq!(sums(&plain), [(End::Delivered, 1), (End::Delivered, 1), (End::Given, 1), (End::Awaited, 1), (End::Delivered, 1)]);
}

#[test]
fn the_first_last_day_is_one_that_still_comes() {
    let within = |id: &str, days: i64| {
        let order = pending(id, "vm-001", 5000, 5000);
        let report = Told { refund_within: Some(Span::secs(days * 86_400)), ..said(&order, Said::Settled) };
        let paid = after(order, Event::Status(report), T0 + Span::secs(6));
        after(paid, Event::Delivered(DeliveryReport::proven(Delivery::Failed)), T0 + Span::secs(8))
    };
    let until = |days: i64| T0 + Span::secs(days * 86_400 + 5);
    let (first, second) = (within("a", 7), within("b", 45));
    let over = after(first.clone(), Event::RefundEnds(RefundEnding::Over), until(7));
    let owed_nothing = after(second.clone(), Event::Given { by: "Budi".into(), goods_and_money: false, from_slot: false }, hours(1));
    let table: [(&[&Order], Option<Wall>, Sum); 5] = [
        (&[], None, sum(0, 0)),
        (&[&second, &first], Some(until(7)), sum(0, 0)),
        (&[&over, &second], Some(until(45)), sum(1, 5000)),
        (&[&over, &owed_nothing], None, sum(1, 5000)),
        (&[&over, &over], None, sum(2, 10_000)),
    ];
    // While no program ran, nobody wrote that its time is over.
    let unwritten = first.clone().as_of(qris_core::order::time::Told::trusted(until(8)));
    let last: (&[&Order], _, _) = (&[&unwritten, &second], Some(until(45)), sum(1, 5000));
    for (row, (orders, refund_until, only_by_hand)) in table.into_iter().chain([last]).enumerate() {
        let mut report = SalesReport::default();
        orders.iter().for_each(|order| report.add(order, T0, &wanted(By::Machine, "")));
        assert_eq!((report.refund_until, report.only_by_hand), (refund_until, only_by_hand), "row {row}");
    }
}

#[test]
fn a_scheme_is_the_gateways_word_with_the_name_behind_it() {
    let table = [
        (by_scheme("a", Payment::Gopay, "gopay", Some("gopay"), None), "gopay"),
        (by_scheme("b", Payment::Gopay, "qris", Some("gopay"), Some("DANA")), "qris dana"),
        (by_scheme("c", Payment::Gopay, "qris", Some("airpay shopee"), None), "qris by airpay shopee"),
        (by_scheme("d", Payment::Gopay, "qris", None, None), "qris"),
        (by_scheme("e", Payment::Alfamart, "cstore", None, None), "alfamart"),
        (by_scheme("f", Payment::Indomaret, "cstore", None, None), "indomaret"),
        (by_scheme("g", Payment::Gopay, "paper", None, Some("x")), "paper"),
    ];
    for (order, name) in table {
        assert_eq!(scheme_in_full(&order), name, "{}", order.id);
    }
    // Only its refund was ever seen.
    let order = pending("h", "vm-001", 5000, 5000);
    let gone = after(order.clone(), Event::Status(said(&order, Said::Refunded)), T0);
    let known = gone.settlement().is_some();
    assert_eq!(scheme_in_full(&gone), if known { "gopay" } else { "not known" });
}

#[test]
fn what_is_left_is_the_payment_without_what_went_back_and_the_fee() {
    let partly = |order: Order, amount: Option<u64>| {
        let refund_amount = amount.map(|amount| Rupiah::new(amount).expect("an amount"));
        let report = Told { refund_amount, ..said(&order, Said::PartlyRefunded) };
        after(order, Event::Status(report), hours(2))
    };
    let charged_back = |order: Order| {
        let report = said(&order, Said::ChargedBack);
        after(order, Event::Status(report), hours(2))
    };
    let by_hand = Event::SettledByHand { note: "cash".into(), by: None, no_report: false, goods_and_money: false };
    let delivered = |id: &str| reported_order(id, "vm-001", 5000, 5000, Delivery::Dispensed);
    // The part that went back; then fee and payout, if the gateway keeps the fee of a refund, if not, and if nobody has said it.
    type Left = (Option<u64>, Option<i64>);
    let table: [(Order, Option<u64>, [Left; 3]); 7] = [
        (delivered("a"), Some(0), [(Some(50), Some(4950)); 3]),
        (failed("b"), Some(0), [(Some(50), Some(4950)); 3]),
        // The customer has cash, and the payment is still at the gateway.
        (after(failed("c"), by_hand, hours(1)), Some(0), [(Some(50), Some(4950)); 3]),
        (refunded("d"), Some(5000), [(Some(50), Some(-50)), (Some(0), Some(0)), (None, None)]),
        (partly(delivered("e"), Some(2000)), Some(2000), [(Some(50), Some(2950)), (Some(30), Some(2970)), (None, None)]),
        (partly(delivered("f"), None), None, [(None, None); 3]),
        (charged_back(delivered("g")), None, [(None, None); 3]),
    ];
    let settings = ["\nkept_on_refund = true", "\nkept_on_refund = false", ""];
    for (order, returned, left) in &table {
        for (setting, (fee, payout)) in settings.iter().zip(left) {
            let wanted = wanted(By::Machine, &format!("gopay = {{ basis_points = 100 }}{setting}"));
            let taking = Taking::of(order, &wanted.fees);
            assert_eq!((taking.returned, taking.fee, taking.payout()), (*returned, *fee, *payout), "{} {setting:?}", order.id);
            // Of a sum with a part that is not known, nothing is told.
            let mut report = SalesReport::default();
            report.add(&delivered("z"), T0, &wanted);
            report.add(order, T0, &wanted);
            let fee = fee.map(|fee| signed(fee) + 50);
            assert_eq!((report.total.fee(), report.total.payout()), (fee, payout.map(|payout| payout + 4950)), "{}", order.id);
            assert_eq!(report.total.unknown.orders, u64::from(payout.is_none()), "{}", order.id);
        }
    }
    // Without a fee that the merchant has said, it is not known.
    let taking = Taking::of(&table[0].0, &Fees::default());
    assert_eq!((taking.returned, taking.fee, taking.payout()), (Some(0), None, None));
}

#[test]
fn each_fee_is_rounded_by_itself() {
    // 35 basis points of 5,000 are 17.5 rupiah, so 18 each. Of their sum they would be 52.5, and not 54.
    let wanted = wanted(By::Item, "gopay = { basis_points = 35 }");
    let mut report = SalesReport::default();
    for id in ["a", "b", "c"] {
        report.add(&reported_order(id, "vm-001", 5000, 5000, Delivery::Dispensed), T0, &wanted);
    }
    assert_eq!((report.total.fee(), report.total.payout()), (Some(54), Some(15_000 - 54)));
    assert_eq!(report.groups["A1"], report.total);
}

#[test]
fn goods_are_added_up_by_their_names_and_not_by_the_slots_of_two_machines() {
    let sold = |id: &str, device: &str, item: &str, name: Option<&str>| {
        let mut order = reported_order(id, device, 5000, 5000, Delivery::Dispensed);
        (order.sale.purchase.item, order.sale.purchase.description) = (ItemId::new(item).expect("an id"), name.map(Into::into));
        order
    };
    let wanted = wanted(By::Item, "");
    let mut report = SalesReport::default();
    for order in [
        sold("a", "vm-001", "A1", Some("Teh")),
        sold("b", "vm-002", "A1", Some("Kopi")),
        sold("c", "vm-002", "B7", Some("Teh")),
        sold("d", "vm-003", "A1", None),
    ] {
        report.add(&order, T0, &wanted);
    }
    let groups: Vec<_> = report.groups.iter().map(|(name, sums)| (name.as_str(), sums.paid.orders)).collect();
    assert_eq!(groups, [("A1", 1), ("Kopi", 1), ("Teh", 2)]);
}
