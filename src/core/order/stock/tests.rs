use super::*;
use crate::order::keys::SigningKey;

fn shelf(filled: u64) -> Shelf {
    Shelf { filled, ..Shelf::default() }
}

fn drives(orders: u64, tests: u64) -> Drives {
    Drives { orders, tests }
}

fn key(n: u8) -> RelayKey {
    RelayKey::of(&SigningKey::from_seed([n; 32]))
}

/// The sum that must always hold.
fn is_whole(shelf: &Shelf) -> bool {
    let Shelf { filled, delivered, uncertain, failed, tested, given, removed, .. } = shelf;
    let parts = delivered + uncertain + failed + tested + given + u64::from(shelf.count());
    i128::from(*filled) == i128::from(parts) + i128::from(*removed)
}

#[test]
fn an_item_goes_and_may_come_back() {
    // The ways of one order's item, and the count after each.
    let table: [(&[Fate], u32); 7] = [
        (&[Fate::InPlace], 5),
        (&[Fate::Out], 4),
        (&[Fate::Out, Fate::Delivered, Fate::Delivered], 4),
        (&[Fate::Out, Fate::Failed], 4),
        (&[Fate::Out, Fate::InPlace], 5),
        (&[Fate::Delivered], 4),
        (&[Fate::Out, Fate::InPlace, Fate::Out, Fate::Delivered], 4),
    ];
    for (way, count) in table {
        let (mut slot, mut taken) = (shelf(5), None);
        for to in way {
            taken = slot.moved(taken, *to);
            assert!(is_whole(&slot), "{way:?}");
        }
        assert_eq!((slot.count(), slot.suspect), (count, way.contains(&Fate::Failed)), "{way:?}");
    }
}

#[test]
fn who_counts_counts_what_may_come_back_too() {
    let mut slot = shelf(5);
    let taken = slot.moved(None, Fate::Out);
    let mut slot = Shelf::changed(Some(&slot), Change::Count, Some(5), 10, None).expect("a count");
    assert_eq!((slot.moved(taken, Fate::InPlace), slot.count()), (None, 5), "it was there when somebody looked");
    assert!(is_whole(&slot));
    // Other goods are in the slot: what becomes of the old ones is nothing to it.
    let taken = slot.moved(None, Fate::Out);
    let mut slot = Shelf::changed(Some(&slot), Change::Set, Some(7), 10, None).expect("other goods");
    slot.moved(taken, Fate::Failed);
    assert_eq!((slot.count(), slot.suspect, slot.failed), (7, false, 0));
}

#[test]
fn an_empty_slot_from_which_something_came_had_one_more() {
    let mut slot = shelf(0);
    slot.moved(None, Fate::Delivered);
    assert_eq!((slot.count(), slot.removed, is_whole(&slot)), (0, -1, true));
}

#[test]
fn a_person_changes_a_slot_or_hears_why_not() {
    let held = Shelf { delivered: 3, suspect: true, ..shelf(7) };
    // There are 4 in it, and it holds 10.
    let table = [
        (Change::Fill, Some(6), Ok((10, false))),
        (Change::Fill, Some(7), Err(NotChanged::TooMany(11, 10))),
        (Change::Fill, Some(u32::MAX), Err(NotChanged::TooMany(u32::MAX, 10))),
        (Change::Fill, None, Ok((10, false))),
        (Change::Count, Some(0), Ok((0, false))),
        (Change::Count, Some(9), Ok((9, false))),
        (Change::Count, Some(11), Err(NotChanged::TooMany(11, 10))),
        (Change::Count, None, Err(NotChanged::NoNumber)),
        // Who hands one over has not looked why the sensor saw nothing.
        (Change::Give, Some(4), Ok((0, true))),
        (Change::Give, Some(5), Err(NotChanged::TooFew(4))),
        (Change::Set, Some(2), Ok((2, false))),
        (Change::Set, Some(11), Err(NotChanged::TooMany(11, 10))),
        (Change::from_word("shake").expect("a word"), Some(1), Err(NotChanged::Other)),
    ];
    for (change, n, want) in table {
        let got = Shelf::changed(Some(&held), change, n, 10, Some("now".into()));
        assert!(got.as_ref().map_or(true, is_whole), "{change} {n:?}");
        assert_eq!(got.map(|slot| (slot.count(), slot.suspect)), want, "{change} {n:?}");
    }
    let unknown = |change, n| Shelf::changed(None, change, n, 10, None).map(|slot| slot.count());
    assert_eq!(unknown(Change::Fill, Some(1)), Err(NotChanged::Unknown));
    assert_eq!(unknown(Change::Give, Some(1)), Err(NotChanged::Unknown));
    assert_eq!([unknown(Change::Fill, None), unknown(Change::Count, Some(4)), unknown(Change::Set, Some(3))], [Ok(10), Ok(4), Ok(3)]);
}

#[test]
fn what_was_sold_is_counted_from_the_last_fill() {
    let mut slot = Shelf::changed(None, Change::Fill, None, 10, None).expect("filled");
    for _ in 0..3 {
        slot.moved(None, Fate::Delivered);
    }
    assert_eq!((slot.sold(), slot.count()), (3, 7));
    let slot = Shelf::changed(Some(&slot), Change::Fill, Some(1), 10, Some("2026-12-01T06:00:00Z".into())).expect("filled");
    assert_eq!((slot.sold(), slot.count(), slot.filled_at.as_deref()), (0, 8, Some("2026-12-01T06:00:00Z")));
    // A capacity that is below the count takes nothing away, and "full" says nothing of how many there are.
    assert_eq!(Shelf::changed(Some(&slot), Change::Fill, None, 5, None), Err(NotChanged::TooFull(8, 5)));
    assert_eq!(Shelf::changed(Some(&slot), Change::Fill, None, 8, None).expect("filled").count(), 8);
    assert_eq!(Shelf::changed(Some(&slot), Change::Count, Some(5), 5, None).expect("counted").count(), 5);
}

#[test]
fn the_relay_tells_tests_and_what_an_older_image_lacks() {
    let first = shelf(10).compared(&key(1), drives(100, 7), true);
    assert_eq!((first.count(), &first), (10, &first.compared(&key(1), drives(100, 7), true)), "the same word changes nothing");
    let tested = first.compared(&key(1), drives(100, 9), true);
    assert_eq!((tested.count(), tested.tested), (8, 2));
    // A sale of which the machine knows.
    let mut sold = tested.clone();
    sold.moved(None, Fate::Delivered);
    let sold = sold.compared(&key(1), drives(101, 9), true);
    assert_eq!((sold.count(), sold.uncertain), (7, 0));
    // The same word to an image from before the sale, and three more.
    let older = tested.compared(&key(1), drives(104, 9), true);
    assert_eq!((older.count(), older.uncertain, older.older), (4, 4, Some(Older::Database)));
    assert!(tested.older.is_none() && sold.older.is_none(), "tests and sales of which it knows say nothing of an image");
    // An older word, or one of another ledger, gives nothing back.
    assert_eq!(sold.compared(&key(1), drives(0, 0), true), sold);
    let other = sold.compared(&key(2), drives(1, 0), true);
    assert_eq!((other.count(), other.compared(&key(2), drives(2, 1), true).count()), (7, 5));
    // More than there was.
    let empty = sold.compared(&key(1), drives(200, 99), true);
    assert_eq!((empty.count(), is_whole(&empty)), (0, true));
}

#[test]
fn an_order_on_its_way_is_not_taken_for_a_lost_one() {
    let mut slot = shelf(10);
    let taken = slot.moved(None, Fate::Out);
    // The relay has not driven it yet.
    let slot = slot.compared(&key(1), drives(5, 0), false);
    let mut slot = slot.compared(&key(1), drives(6, 0), false);
    slot.moved(taken, Fate::Delivered);
    let slot = slot.compared(&key(1), drives(6, 0), true);
    assert_eq!((slot.count(), slot.uncertain), (9, 0));
    assert_eq!(slot.compared(&key(1), drives(7, 0), true).count(), 8);
}

#[test]
fn the_sum_holds_whatever_happens_in_any_order() {
    // A small generator of its own: the same numbers in every run.
    let mut state = 41_u64;
    let mut draw = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let (mut slot, mut orders, mut drove) = (shelf(10), vec![None; 8], drives(0, 0));
    let fates = [Fate::InPlace, Fate::Out, Fate::Delivered, Fate::Failed];
    for step in 0..20_000 {
        match draw(10) {
            0..=5 => {
                let order = usize::try_from(draw(8)).expect("small");
                orders[order] = slot.moved(orders[order], fates[usize::try_from(draw(4)).expect("small")]);
            }
            6 => {
                drove = drives(drove.orders + draw(3), drove.tests + draw(2));
                slot = slot.compared(&key(u8::try_from(draw(2)).expect("small")), drove, draw(2) == 0);
            }
            _ => {
                let change = Change::ALL[usize::try_from(draw(4)).expect("small")];
                let n = (draw(4) > 0).then(|| u32::try_from(draw(14)).expect("small"));
                slot = Shelf::changed(Some(&slot), change, n, 12, None).unwrap_or(slot);
            }
        }
        assert!(is_whole(&slot), "after step {step}: {slot:?}");
    }
}

#[test]
fn other_goods_are_not_counted_and_nothing_of_the_former_ones_comes_back() {
    let mut slot = shelf(5);
    let taken = slot.moved(None, Fate::Out);
    let other = slot.with_other_goods();
    assert!(other.is_unknown && other.count() == 0);
    for change in [Change::Give, Change::Fill] {
        assert_eq!(Shelf::changed(Some(&other), change, Some(1), 10, None), Err(NotChanged::Unknown), "{change}");
    }
    for (change, n, count) in [(Change::Count, Some(3), 3), (Change::Fill, None, 10), (Change::Set, Some(4), 4)] {
        let mut counted = Shelf::changed(Some(&other), change, n, 10, None).expect("counted");
        assert!(!counted.is_unknown && is_whole(&counted));
        counted.moved(taken, Fate::InPlace);
        assert_eq!((counted.count(), counted.removed), (count, 0), "{change}: it was of the former goods");
    }
}

#[test]
fn a_piece_that_a_person_handed_out_leaves_its_slot_once() {
    // What became of the order, whether somebody has looked since, and the count before and after.
    let table = [
        (None, false, 5, 4),
        // It left the sums when the sensor saw nothing come.
        (Some(Fate::Failed), false, 4, 4),
        (Some(Fate::Failed), true, 4, 3),
        // It may have come: there are too few, and never too many.
        (Some(Fate::Out), false, 4, 3),
    ];
    for (fate, has_looked, before, after) in table {
        let mut slot = shelf(5);
        let was = fate.and_then(|fate| slot.moved(None, fate));
        if has_looked {
            slot = Shelf::changed(Some(&slot), Change::Count, Some(before), 10, None).expect("a count");
        }
        assert_eq!(slot.count(), before, "{fate:?}");
        let taken = slot.handed_out(was);
        assert_eq!((slot.count(), taken.fate, is_whole(&slot)), (after, Fate::Given, true), "{fate:?} {has_looked}");
        for to in [Fate::InPlace, Fate::Out, Fate::Delivered, Fate::Failed] {
            assert_eq!((slot.moved(Some(taken), to), slot.count()), (Some(taken), after), "{to:?}: it is known");
            assert_eq!(Taken::uncounted(Some(taken), to), Some(taken));
        }
    }
}

#[test]
fn who_puts_some_in_has_not_found_out_what_an_older_image_forgot() {
    let older = Shelf { older: Some(Older::Database), ..shelf(5) };
    for (change, n, is_older) in [
        (Change::Give, Some(1), true),
        (Change::Fill, Some(1), true),
        (Change::Fill, None, false),
        (Change::Count, Some(2), false),
        (Change::Set, Some(2), false),
    ] {
        let changed = Shelf::changed(Some(&older), change, n, 10, None).expect("changed");
        assert_eq!(changed.older.is_some(), is_older, "{change} {n:?}");
    }
}

/// The ledger, the sensor and the count have a sum each. Here is each way in which two of them can differ, and what says so.
#[test]
fn ledger_sensor_and_count_say_when_they_differ() {
    // Two were sold and seen, and one was tested. The relay said 12 and 4, and nobody has looked since.
    let agreed = || {
        let mut slot = shelf(10).compared(&key(1), drives(10, 3), true);
        for _ in 0..2 {
            slot.moved(None, Fate::Delivered);
        }
        slot.compared(&key(1), drives(12, 4), true)
    };
    let begins = |slot: &Shelf, orders, tests| {
        let is_older = slot.is_ahead_of(&key(1), drives(orders, tests));
        let slot = if is_older { slot.with_older_ledger() } else { slot.clone() };
        slot.compared(&key(1), drives(orders, tests), true)
    };
    let after = |fate| {
        let mut slot = agreed();
        slot.moved(None, fate);
        slot
    };
    // The case, the slot in it, its count, how many nobody saw come, whether the sensor is doubted, and which image is older.
    let table = [
        ("they agree", begins(&agreed(), 12, 4), 7, 0, false, None),
        ("one more was driven and seen", begins(&after(Fate::Delivered), 13, 4), 6, 0, false, None),
        ("one more was tested", begins(&agreed(), 12, 5), 6, 0, false, None),
        ("one was driven, and the sensor saw nothing", begins(&after(Fate::Failed), 13, 4), 6, 1, true, None),
        ("one was driven, and nobody knows", begins(&after(Fate::Out), 13, 4), 6, 1, false, None),
        ("one left the count, and the ledger did not drive it", begins(&after(Fate::Out), 12, 4), 6, 1, false, None),
        ("the ledger drove one more than the count has", begins(&agreed(), 13, 4), 6, 1, false, Some(Older::Database)),
        ("the ledger drove less than was seen to come", begins(&agreed(), 11, 4), 7, 0, false, Some(Older::Ledger)),
        ("the ledger drove less than the sensor missed", begins(&after(Fate::Failed), 12, 4), 6, 1, true, Some(Older::Ledger)),
        ("the ledger has fewer tests", begins(&agreed(), 12, 3), 7, 0, false, Some(Older::Ledger)),
    ];
    for (case, slot, count, unseen, suspect, older) in table {
        assert_eq!((slot.count(), slot.unseen(), slot.suspect, slot.older), (count, unseen, suspect, older), "{case}");
        assert!(is_whole(&slot), "{case}");
        let looked = Shelf::changed(Some(&slot), Change::Count, Some(5), 10, None).expect("a count");
        assert_eq!((looked.unseen(), looked.suspect, looked.older), (0, false, None), "{case}: somebody has looked");
        let filled = Shelf::changed(Some(&slot), Change::Fill, Some(1), 10, None).expect("filled");
        assert_eq!((filled.unseen(), filled.older), (unseen, older), "{case}: who puts one in has not looked");
    }
    // From then on that ledger is compared. So nothing is missed later.
    let older = begins(&agreed(), 11, 3);
    assert_eq!((older.compared(&key(1), drives(11, 4), true).count(), older.compared(&key(1), drives(12, 3), true).count()), (6, 6));
    // Another ledger began anew.
    assert!(!agreed().is_ahead_of(&key(2), drives(0, 0)));
}
