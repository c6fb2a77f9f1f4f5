use super::*;
use crate::keeping::databases::open_both;
use crate::store::read_on;
use qris_core::order::time::Span;

const NOW: Wall = Wall(1_795_178_255_000);

fn slot(item: &str, name: &str, count: Option<u32>) -> Slot {
    Slot {
        item: ItemId::new(item).expect("an item"),
        name: Some(name.into()),
        count,
        capacity: 20,
        low: 2,
        suspect: false,
        not_sold: None,
        filled_at: Some("2026-11-20T06:00:00Z".into()),
        sold: 0,
        unseen: 0,
        refused: 0,
    }
}

fn told(stream: &str, number: u64, slots: &[Slot]) -> StockReport {
    StockReport { stream: stream.into(), number, at: Some(NOW), said_at: Some(NOW), slots: slots.into() }
}

fn sold(all: &[(&str, u64)]) -> HashMap<Box<str>, u64> {
    all.iter().map(|(item, count)| (Box::from(*item), *count)).collect()
}

#[test]
fn a_message_is_read_within_bounds_and_is_never_newer_than_now() {
    let of = |at: Option<&str>, is_stored| {
        let stock =
            Stock { v: 1, number: 4, stream: "s".into(), at: at.map(Into::into), slots: vec![slot("A1", "Teh \u{1b}[2J", Some(1))] };
        read(&serde_json::to_vec(&stock).expect("plain"), is_stored, NOW)
    };
    let earlier = Some(Wall::from_rfc3339("2026-11-20T00:00:00Z").expect("a time"));
    let table = [
        (Some("2026-11-20T07:00:00+07:00"), true, earlier),
        (Some("2999-01-01T00:00:00Z"), false, Some(NOW)),
        (None, false, Some(NOW)),
        // Nobody knows how long the broker has kept it.
        (None, true, None),
    ];
    for (at, is_stored, when) in table {
        let told = of(at, is_stored).expect("good");
        assert_eq!((told.at, told.slots[0].name.as_deref()), (when, Some("Teh ?[2J")), "{at:?}");
    }
    assert_eq!(of(Some("yesterday"), false), Err(Unreadable));
    let many = |count: usize| {
        let slots = (0..count).map(|at| slot(&format!("B{at}"), "x", Some(1))).collect();
        let stock = Stock { v: 1, number: 4, stream: "s".into(), at: None, slots };
        read(&serde_json::to_vec(&stock).expect("plain"), false, NOW).map(|told| told.slots.len())
    };
    assert_eq!((many(0), many(1000), many(1001)), (Ok(0), Ok(1000), Err(Unreadable)));
}

#[test]
fn the_worst_of_a_slot_is_its_state() {
    let of = |count: Option<u32>, suspect: bool, empty_in_days: Option<u8>| {
        Kept { slot: Slot { suspect, ..slot("A1", "Teh", count) }, empty_in_days }.state()
    };
    let table = [
        (Some(0), true, None, State::Suspect),
        (None, true, None, State::Suspect),
        (Some(0), false, Some(0), State::SoldOut),
        (Some(2), false, Some(0), State::Low),
        (Some(3), false, Some(1), State::Soon(1)),
        (Some(3), false, None, State::Good),
        (None, false, None, State::Unknown),
    ];
    for (count, suspect, days, state) in table {
        assert_eq!(of(count, suspect, days), state, "{count:?} {suspect} {days:?}");
    }
}

#[test]
fn what_sells_fast_is_soon_empty_until_it_is_filled() {
    // Sold in a fortnight, left, and the days.
    let table = [
        (0, 3, None),
        (14, 3, Some(3)),
        (14, 4, None),
        (28, 7, Some(3)),
        (28, 8, None),
        (140, 9, Some(0)),
        (140, 10, Some(1)),
        // More than half of it is there: it was just filled.
        (140, 11, None),
        (u64::from(u32::MAX), 10, Some(0)),
    ];
    for (gone, left, days) in table {
        let kept = after(&[], [slot("A1", "Teh", Some(left))].into(), &sold(&[("A1", gone)]));
        assert_eq!(kept[0].empty_in_days, days, "{gone} {left}");
    }
    // Two slots with the same goods count together.
    let both = |left: [u32; 2]| {
        let slots = [slot("A1", "Teh", Some(left[0])), slot("A2", "Teh", Some(left[1]))];
        after(&[], slots.into(), &sold(&[("A1", 14)])).into_iter().map(|kept| kept.empty_in_days).collect::<Vec<_>>()
    };
    assert_eq!((both([3, 9]), both([2, 1])), (vec![None, None], vec![Some(3), Some(3)]));
    let unknown = after(&[], [slot("A1", "Teh", Some(3)), slot("A2", "Teh", None)].into(), &sold(&[("A1", 140)]));
    assert_eq!(unknown[0].empty_in_days, None, "nobody knows how much there is");
    // It does not come and go with the days that pass.
    let before = after(&[], [slot("A1", "Teh", Some(3))].into(), &sold(&[("A1", 14)]));
    let later = |slot: Slot| after(&before, [slot].into(), &sold(&[("A1", 1)]))[0].empty_in_days;
    let counted = Slot { filled_at: Some("2026-11-21T06:00:00Z".into()), ..slot("A1", "Teh", Some(3)) };
    assert_eq!((later(slot("A1", "Teh", Some(3))), later(slot("A1", "Teh", Some(4))), later(counted)), (Some(3), None, None));
}

#[test]
fn what_is_written_is_news_and_refusals_are_counted_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let machines = open_both(&directory.path().join("orders.db"), true, true).expect("opens").machines;
    let device = DeviceId::new("vm-001").expect("an id");
    read_on(&machines, |tx| crate::machines::devices::add(tx, &device, "hash", false, NOW)).expect("let in");
    let silent = || read_on(&machines, untold).expect("read").into_iter().map(|machine| machine.device).collect::<Vec<_>>();
    assert_eq!(silent(), std::slice::from_ref(&device), "nobody knows what is in it");
    let say_at = |stream: &str, number: u64, count: u32, refused: u32, at: Option<Wall>| {
        let slot = Slot { refused, ..slot("A1", "Teh", Some(count)) };
        let told = || StockReport { at, said_at: at, ..told(stream, number, std::slice::from_ref(&slot)) };
        let news = read_on(&machines, |tx| news(tx, vec![(device.clone(), told())])).expect("read");
        // It may have become old since then.
        read_on(&machines, |tx| note(tx, &device, told(), &HashMap::new(), Zone::Wib, NOW)).expect("written");
        let known = read_on(&machines, |tx| of(tx, &device)).expect("read").expect("there").slots[0].slot.count;
        let day = NOW.to_local(Zone::Wib)[..10].to_owned();
        let refused = read_on(&machines, |tx| refused_on(tx, None, (&day, &day))).expect("read").get("Teh").copied();
        (news.len(), known, refused)
    };
    let say = |stream: &str, number: u64, count: u32, refused: u32| say_at(stream, number, count, refused, Some(NOW));
    assert_eq!(say("s", 1, 5, 0), (1, Some(5), None));
    assert!(silent().is_empty());
    assert_eq!(say("s", 3, 0, 4), (1, Some(0), Some(4)));
    assert_eq!(say("s", 3, 9, 9), (0, Some(0), Some(4)), "the same number says the same");
    assert_eq!(say("s", 2, 9, 9), (0, Some(0), Some(4)), "it came late");
    assert_eq!(say("s", 4, 1, 6), (1, Some(1), Some(6)));
    // An older image of the database counts on from there, and so does a machine in whose name somebody has told a number that is far ahead.
    assert_eq!(say_at("s", 2, 7, 6, Some(NOW + Span::secs(60))), (1, Some(7), Some(6)), "later, with a number from before");
    assert_eq!(say_at("s", 1_000_000, 9, 6, Some(NOW + Span::secs(60))), (1, Some(9), Some(6)));
    assert_eq!(say_at("s", 3, 6, 6, Some(NOW + Span::secs(120))), (1, Some(6), Some(6)));
    assert_eq!(say_at("s", 2, 9, 9, Some(NOW + Span::secs(60))), (0, Some(6), Some(6)), "the broker had kept it");
    assert_eq!(say_at("s", 2, 9, 9, None), (0, Some(6), Some(6)), "nobody knows since when");
    assert_eq!(say("new", 1, 8, 1), (1, Some(8), Some(7)), "another database counts anew");
    assert_eq!(read_on(&machines, wanting).expect("read").len(), 0);
    say("new", 2, 2, 1);
    let wanted = Wanting { low: 1, of: FirstOf { low: Some("Teh".into()), ..FirstOf::default() }, ..Wanting::default() };
    assert_eq!(read_on(&machines, wanting).expect("read").get("vm-001"), Some(&wanted));
    // One is full and blocked, another one is sold out and blocked: each counts for all that it is.
    let blocked = |item, name, count| Slot { not_sold: Some(NotSold::Blocked), ..slot(item, name, Some(count)) };
    let dear = |item, name, why| Slot { not_sold: Some(why), ..slot(item, name, Some(20)) };
    let slots = [
        blocked("A1", "Teh", 20),
        blocked("A2", "Kopi", 0),
        slot("A3", "Air", Some(0)),
        dear("A4", "Jam", NotSold::Line),
        dear("A5", "Emas", NotSold::Price),
    ];
    let all = told("new", 3, &slots);
    read_on(&machines, |tx| note(tx, &device, all, &HashMap::new(), Zone::Wib, NOW)).expect("written");
    let of = FirstOf { sold_out: Some("Kopi".into()), blocked: Some("Teh".into()), price: Some("Jam".into()), ..FirstOf::default() };
    let wanted = Wanting { sold_out: 2, blocked: 2, price: 2, of, ..Wanting::default() };
    assert_eq!(read_on(&machines, wanting).expect("read").get("vm-001"), Some(&wanted));
    assert!(wanted.is(StockAlert::Blocked) && wanted.is(StockAlert::SoldOut) && !wanted.is(StockAlert::Suspect));
    let listed = |which| read_on(&machines, |tx| page(tx, which, "")).expect("read").machines.len();
    let only = |slots: &[Slot], number| {
        let all = told("new", number, slots);
        read_on(&machines, |tx| note(tx, &device, all, &HashMap::new(), Zone::Wib, NOW)).expect("written");
        (listed(Which::All), listed(Which::Wanting))
    };
    assert_eq!(only(&[blocked("A1", "Teh", 20)], 4), (1, 1), "somebody must go there");
    assert_eq!(only(&[dear("A1", "Teh", NotSold::Price)], 5), (1, 0));
    only(&[slot("A1", "Air", Some(9)), Slot { suspect: true, ..slot("A2", "Teh", Some(9)) }], 6);
    let suspect = Wanting { suspect: 1, of: FirstOf { suspect: Some("Teh".into()), ..FirstOf::default() }, ..Wanting::default() };
    assert_eq!(read_on(&machines, wanting).expect("read").get("vm-001"), Some(&suspect), "its goods are named");
    assert!(wanted.is(StockAlert::Price) && !Wanting { price: 0, ..wanted }.is(StockAlert::Price));
    // Whoever is not let in takes no room.
    let stranger = DeviceId::new("vm-009").expect("an id");
    assert!(read_on(&machines, |tx| news(tx, vec![(stranger, told("s", 1, &[]))])).expect("read").is_empty());
    assert!(read_on(&machines, |tx| crate::machines::devices::revoke(tx, &device, NOW)).expect("written"));
    assert!(read_on(&machines, wanting).expect("read").is_empty(), "it wants nothing of us any more");
}

#[test]
fn a_packing_list_fills_the_machines_that_want_it() {
    let machine = |slots: &[Slot]| {
        let device = DeviceId::new("vm-001").expect("an id");
        Machine { device, name: None, at: None, slots: after(&[], slots.into(), &HashMap::new()) }
    };
    assert_eq!(Load::of(machine(&[slot("A1", "Teh", Some(3)), slot("A2", "Kopi", Some(20))])), None);
    // Only a line is blocked. Whoever goes there presses the button inside.
    let blocked = Slot { not_sold: Some(NotSold::Blocked), ..slot("A1", "Teh", Some(20)) };
    let look = Load::of(machine(&[blocked.clone(), slot("A2", "Kopi", Some(20))])).expect("somebody must look");
    assert_eq!(look.machine.slots.iter().map(|kept| (kept.goods(), bring(kept))).collect::<Vec<_>>(), [("Teh", 0)]);
    assert_eq!(Load::of(machine(&[Slot { not_sold: Some(NotSold::Price), ..blocked }])), None, "a price is changed from afar");
    // Nobody has counted it, so nobody knows what to bring. Somebody goes there all the same.
    let uncounted = Load::of(machine(&[slot("A1", "Teh", Some(20)), slot("A2", "Roti", None)])).expect("somebody must count");
    assert_eq!(uncounted.machine.slots.iter().map(|kept| (kept.goods(), bring(kept))).collect::<Vec<_>>(), [("Roti", 0)]);
    let load =
        Load::of(machine(&[slot("A1", "Teh", Some(20)), slot("A2", "Teh", Some(2)), slot("A3", "Kopi", Some(7)), slot("A4", "Air", None)]));
    let load = load.expect("it wants something");
    let items: Vec<_> = load.machine.slots.iter().map(|kept| (kept.slot.item.as_str(), bring(kept))).collect();
    assert_eq!(items, [("A2", 18), ("A3", 13), ("A4", 0)]);
    let mut packing = Packing::default();
    packing.add(&load);
    packing.add(&load);
    assert_eq!((packing.machines, packing.most_first()), (2, vec![("Teh", 36), ("Kopi", 26)]));
}

#[tokio::test]
async fn what_waits_is_each_machines_last_word_and_has_a_limit() {
    let heard = Heard::default();
    let device = |at: usize| DeviceId::new(&format!("vm-{at}")).expect("an id");
    let one = |number: u64, slots: usize| {
        let slots: Vec<_> = (0..slots).map(|at| slot(&format!("B{at}"), "x", Some(1))).collect();
        told("s", number, &slots)
    };
    assert!(heard.take(device(1), one(2, 1)) && heard.take(device(1), one(1, 1)) && heard.take(device(1), one(3, 1)));
    let (some, more) = heard.some();
    assert!(!more);
    assert_eq!(some.iter().map(|(_, told)| told.number).collect::<Vec<_>>(), [3]);
    assert!(heard.some().0.is_empty());
    // A word that could not be written waits again, unless it is older than the machine's last word.
    heard.failed(some);
    assert!(heard.take(device(1), one(4, 1)));
    heard.failed(vec![(device(1), one(3, 1))]);
    assert!(heard.take(device(1), StockReport { said_at: Some(NOW + Span::secs(1)), ..one(2, 1) }), "an older image says more");
    assert_eq!(heard.some().0[0].1.number, 2);
    heard.written();
    let full = (1..).find(|at| !heard.take(device(*at), one(1, 999))).expect("a limit");
    assert_eq!(full, 101);
    let waits = tokio::time::timeout(std::time::Duration::from_millis(1), heard.room()).await;
    assert!(waits.is_err(), "nothing more is taken from the broker");
    while !heard.some().0.is_empty() {
        heard.written();
    }
    heard.room().await;
}
