//! Sessions, links and the money of a day, by the clock of the books.

use super::deeds::{self, Asked};
use super::judge::{self, Usual};
use super::log::{self, By, What};
use super::orders::{self, Teller};
use super::people::{self, Name, NotAdded, PEOPLE_MAX, Person};
use super::sessions::{self, LASTS, PROVEN, Shown};
use crate::keeping::databases::open_both;
use crate::sale::books::{self, BooksError, Done, Policy, testing};
use crate::samples::{T0, after, pending, report, reported_order, rules};
use crate::store::{Tx, read_on};
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::{
    Attention, Call, DeliveryReport, EndedTry, Event, NoTry, Order, Rules, Said, StatusReport, next_deadline,
};
use qris_core::order::outcome::Delivery;
use qris_core::order::time::{Span, Told, Wall, Zone};
use qris_core::order::tries::TwoDigits;
use qris_core::wire::desk::{Barred, Deed, Denied, Do, Door, Entry, Noted, Problem, Role};
use rusqlite::Connection;

struct Rig {
    _directory: tempfile::TempDir,
    books: Connection,
}

const SECOND: Span = Span::secs(1);

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn order(number: u8) -> OrderId {
    OrderId::new(&format!("order{number}")).expect("an id")
}

const USUAL: Usual = Usual { limit_per_day: 10_000, zone: Zone::Wib };

/// A session of the public door.
fn shown(secret: &str) -> Shown {
    Shown { secret: secret.into(), door: Door::Public }
}

impl Rig {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let books = open_both(&directory.path().join("orders.db"), true, true).expect("opens").books;
        Self { _directory: directory, books }
    }

    fn run<T>(&self, job: impl FnOnce(&mut dyn Tx) -> Result<T, BooksError>) -> T {
        read_on(&self.books, job).expect("works")
    }

    fn add(&self, who: &str, role: Role, limit: Option<u64>) -> Person {
        self.run(|tx| people::add(tx, &name(who), role, limit, T0)).expect("added")
    }

    fn left(&self, person: &Person, but: Option<&OrderId>, now: Wall) -> u64 {
        self.run(|tx| judge::left(tx, person, but, USUAL, now))
    }

    fn done(&self, person: &Person, order: &OrderId, amount: u64, at: Wall) {
        self.run(|tx| log::write(tx, By::Person(person, "192.0.2.7"), What::Done(Deed::Refund, order, Some(amount)), None, at));
    }
}

#[test]
fn a_name_is_one_persons_and_a_line_long() {
    let rig = Rig::new();
    let sari = rig.add(" Sari ", Role::Owner, None);
    assert_eq!((&*sari.name, sari.has_joined), ("Sari", false));
    assert_eq!(rig.run(|tx| people::add(tx, &name("sARI"), Role::Viewer, None, T0)), Err(NotAdded::Taken));
    for bad in ["", "  ", "a\nb", "a\u{202e}b", &"x".repeat(41)] {
        assert!(bad.parse::<Name>().is_err(), "{bad:?}");
    }
    assert!("x".repeat(40).parse::<Name>().is_ok());
    // Whoever is removed makes room for another person of this name.
    rig.run(|tx| people::remove(tx, sari.number, T0));
    assert_ne!(rig.add("Sari", Role::Owner, None).number, sari.number);
    for number in 1..PEOPLE_MAX {
        rig.add(&format!("Person {number}"), Role::Viewer, None);
    }
    assert_eq!(rig.run(|tx| people::add(tx, &name("Budi"), Role::Viewer, None, T0)), Err(NotAdded::Full));
}

#[test]
fn a_link_is_good_once_for_an_hour_and_ends_what_was_before() {
    let rig = Rig::new();
    let sari = rig.add("Sari", Role::Owner, None);
    rig.run(|tx| people::invite(tx, sari.number, Door::Public, "link", T0));
    let is_good = |code: &str, at: Wall| rig.run(|tx| people::invited(tx, Door::Public, code, at)).is_some();
    for (code, at, wanted) in [
        ("link", T0, true),
        ("link", T0 + people::link_lasts(Door::Public) - SECOND, true),
        ("link", T0 + people::link_lasts(Door::Public), false),
        ("lin", T0, false),
        ("", T0, false),
    ] {
        assert_eq!(is_good(code, at), wanted, "{code} {at:?}");
    }
    rig.run(|tx| sessions::begin(tx, sari.number, &shown("before"), ("192.0.2.7", "a browser"), None, Told::trusted(T0)));
    assert!(rig.run(|tx| people::join(tx, "link", "hash", T0 + people::link_lasts(Door::Public))).is_none());
    assert_eq!(rig.run(|tx| people::join(tx, "link", "hash", T0)).map(|person| person.number), Some(sari.number));
    assert!(rig.run(|tx| sessions::asker(tx, &shown("before"), None, Told::trusted(T0))).is_none(), "an earlier session is over");
    rig.run(|tx| sessions::begin(tx, sari.number, &shown("booted"), ("192.0.2.7", "a browser"), Some("this"), Told::trusted(T0)));
    for (what, boot, now, is_in) in [
        ("this boot", Some("this"), Told::counted(T0), true),
        ("this boot, too late", Some("this"), Told::counted(T0 + sessions::LASTS), false),
        ("another boot", Some("other"), Told::unknown(T0), false),
        ("nobody knows the boot", None, Told::unknown(T0), false),
        ("another boot, a trusted time", Some("other"), Told::trusted(T0), true),
        ("another boot, too late", Some("other"), Told::trusted(T0 + sessions::LASTS), false),
    ] {
        assert_eq!(rig.run(|tx| sessions::asker(tx, &shown("booted"), boot, now)).is_some(), is_in, "{what}");
    }
    assert_eq!(rig.run(|tx| people::password(tx, sari.number)).as_deref(), Some("hash"));
    assert!(!is_good("link", T0) && rig.run(|tx| people::join(tx, "link", "other", T0)).is_none());
    // Nobody joins who was removed meanwhile.
    rig.run(|tx| people::invite(tx, sari.number, Door::Public, "newer", T0));
    rig.run(|tx| people::remove(tx, sari.number, T0));
    assert!(!is_good("newer", T0) && rig.run(|tx| people::password(tx, sari.number)).is_none());
}

#[test]
fn a_session_lasts_as_long_as_it_may() {
    let rig = Rig::new();
    let sari = rig.add("Sari", Role::Owner, None);
    rig.run(|tx| sessions::begin(tx, sari.number, &shown("secret"), ("192.0.2.7", &"x".repeat(500)), None, Told::trusted(T0)));
    let is_good = |secret: &str, at: Wall| rig.run(|tx| sessions::asker(tx, &shown(secret), None, Told::trusted(at))).is_some();
    for (secret, at, wanted) in [("secret", T0, true), ("secret", T0 + PROVEN, true), ("secre", T0, false)] {
        assert_eq!(is_good(secret, at), wanted, "{secret} {at:?}");
    }
    // However often it is used, it ends after its time. Nobody need use it meanwhile.
    let now = T0 + LASTS - SECOND;
    let asker = rig.run(|tx| sessions::asker(tx, &shown("secret"), None, Told::trusted(now))).expect("it is used");
    assert!(asker.is_to_note(now) && !asker.is_proven(now));
    rig.run(|tx| sessions::used(tx, asker.session, None, Told::trusted(now)));
    let asker = rig.run(|tx| sessions::asker(tx, &shown("secret"), None, Told::trusted(now))).expect("it is used");
    assert!(!asker.is_to_note(now + Span(1)) && !asker.is_proven(now), "to look is not to type the password");
    assert!(is_good("secret", now) && !is_good("secret", T0 + LASTS));
    // Each person has so many, and ends no other's.
    let budi = rig.add("Budi", Role::Viewer, None);
    for number in 0..30 {
        rig.run(|tx| sessions::begin(tx, budi.number, &shown(&format!("s{number}")), ("192.0.2.8", "b"), None, Told::trusted(now)));
        rig.run(|tx| sessions::know(tx, budi.number, &format!("d{number}"), now + Span(number)));
    }
    let list = rig.run(|tx| sessions::list(tx, budi.number, now));
    assert_eq!((list.len(), is_good("s9", now), is_good("s10", now), is_good("secret", now)), (20, false, true, true));
    let knows = |person: i64, device: &str| rig.run(|tx| sessions::is_known(tx, person, device));
    assert_eq!((knows(budi.number, "d9"), knows(budi.number, "d10"), knows(sari.number, "d10")), (false, true, false));
    assert!(!rig.run(|tx| sessions::end(tx, sari.number, Some(list[0].number))) && is_good("s29", now));
    assert!(rig.run(|tx| sessions::end(tx, budi.number, Some(list[0].number))) && !is_good("s29", now));
    assert!(rig.run(|tx| sessions::end(tx, budi.number, None)) && !is_good("s10", now) && is_good("secret", now));
}

#[test]
fn the_money_of_a_day_is_counted_once_an_order() {
    let rig = Rig::new();
    let (sari, budi, joko) =
        (rig.add("Sari", Role::Owner, None), rig.add("Budi", Role::Owner, Some(3_000)), rig.add("Joko", Role::Viewer, Some(9)));
    let midnight = judge::midnight(T0, Zone::Wib);
    let now = midnight + Span::secs(3600);
    assert_eq!((rig.left(&sari, None, now), rig.left(&budi, None, now), rig.left(&joko, None, now)), (10_000, 3_000, 0));
    rig.done(&sari, &order(1), 4_000, midnight - SECOND);
    rig.done(&sari, &order(2), 4_000, midnight);
    // The gateway refused it, and she paid it back by hand.
    rig.done(&sari, &order(2), 4_000, now);
    rig.done(&budi, &order(3), 2_500, now);
    rig.run(|tx| log::write(tx, By::Person(&sari, "192.0.2.7"), What::Done(Deed::Seen, &order(4), None), None, now));
    rig.run(|tx| log::write(tx, By::Person(&sari, "192.0.2.7"), What::Denied(Deed::Refund, &order(5)), None, now));
    let table = [
        (&sari, None, 6_000),
        (&sari, Some(order(2)), 10_000),
        (&sari, Some(order(3)), 6_000),
        (&budi, None, 500),
        (&budi, Some(order(3)), 3_000),
    ];
    for (person, but, wanted) in &table {
        assert_eq!(rig.left(person, but.as_ref(), now), *wanted, "{} {but:?}", person.name);
    }
    for (left, amount, may) in [(500, Some(500), true), (500, Some(501), false), (0, None, true), (0, Some(1), false)] {
        assert_eq!(judge::limit(left, amount).is_ok(), may, "{left} {amount:?}");
    }
    // The next day, and when less is allowed than was moved.
    assert_eq!(rig.left(&sari, None, judge::days_before(midnight, -1)), 10_000);
    rig.run(|tx| people::change(tx, sari.number, Role::Owner, Some(1_000)));
    // A role alone leaves the sum.
    rig.run(|tx| people::change(tx, sari.number, Role::Viewer, None));
    rig.run(|tx| people::change(tx, sari.number, Role::Owner, None));
    let sari = rig.run(|tx| people::find(tx, &name("Sari"))).expect("she is there");
    assert_eq!((rig.left(&sari, None, now), sari.limit_per_day), (0, Some(1_000)));
}

#[test]
fn the_log_only_grows_and_is_not_filled_by_what_is_denied() {
    let rig = Rig::new();
    let joko = rig.add("Joko", Role::Viewer, None);
    for second in 0..300 {
        let at = T0 + Span::secs(second / 10);
        rig.run(|tx| log::write(tx, By::Person(&joko, "192.0.2.7"), What::Denied(Deed::Refund, &order(1)), Some("role"), at));
    }
    assert_eq!(rig.run(|tx| log::page(tx, None, Zone::Wib)).len(), 10);
    rig.run(|tx| log::write(tx, By::Terminal("root"), What::Entry(Entry::Remove), Some("Joko"), T0));
    let lines = rig.run(|tx| log::page(tx, None, Zone::Wib));
    let (removed, denied) = (Noted::Entry(Entry::Remove), Noted::Denied(Deed::Refund));
    assert_eq!((lines[0].what, &*lines[0].who, &lines[0].from, lines[1].what), (removed, "root", &None, denied));
    assert_eq!(rig.run(|tx| log::page(tx, Some(lines[0].number as i64), Zone::Wib)).len(), 10);
    for sql in ["UPDATE desk_log SET who = 'nobody'", "DELETE FROM desk_log", "DELETE FROM desk_log WHERE what = 'remove'"] {
        assert!(rig.books.execute(sql, []).is_err(), "{sql}");
    }
    assert_eq!(rig.run(|tx| log::page(tx, None, Zone::Wib)).len(), 11);
}

/// Names and addresses have an age, and what is younger stays, whoever asks.
#[test]
fn the_log_forgets_who_did_what_long_ago() {
    let rig = Rig::new();
    let (sari, joko) = (rig.add("Sari", Role::Owner, None), rig.add("Joko", Role::Viewer, None));
    let days = |number: i64| Span::secs(number * 24 * 3600);
    for day in [0, 40, 60] {
        rig.run(|tx| log::write(tx, By::Person(&sari, "192.0.2.7"), What::Entry(Entry::Login), None, T0 + days(day)));
    }
    rig.run(|tx| sessions::begin(tx, sari.number, &shown("secret"), ("192.0.2.7", "b"), None, Told::trusted(T0 + days(20))));
    rig.run(|tx| people::remove(tx, joko.number, T0));
    for (now, kept, names) in [(days(39), 3, 2), (days(40), 2, 1), (days(100), 2, 1)] {
        rig.run(|tx| log::forget_before(tx, T0 + now, days(40)));
        let lines = rig.run(|tx| log::page(tx, None, Zone::Wib)).len();
        let people: i64 = rig.books.query_row("SELECT count(*) FROM people", [], |row| row.get(0)).expect("counted");
        assert_eq!((lines, people), (kept, names), "{now:?}");
    }
    let sessions: i64 = rig.books.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).expect("counted");
    assert_eq!(sessions, 0);
    rig.run(|tx| log::write(tx, By::Person(&sari, "192.0.2.7"), What::Entry(Entry::Login), None, T0 + days(90)));
    assert!(rig.books.execute("DELETE FROM desk_log WHERE seq = 3", []).is_ok(), "it is 30 days older than the newest");
    assert!(rig.books.execute("DELETE FROM desk_log", []).is_err());
}

/// Whoever finds a phone sees, and settles nothing.
#[test]
fn a_deed_wants_a_password_of_the_last_hours() {
    let failed = reported_order("order1", "vm-001", 5_000, 5_000, Delivery::Failed);
    let rig = Rig::with(failed);
    let seen_as = rig.seen_as(T0 + Span::secs(9));
    for deed in [Deed::Refund, Deed::ByHand, Deed::Given, Deed::Again, Deed::Seen] {
        assert!(matches!(rig.press(deed, seen_as, T0 + PROVEN), Err(Problem::Unproven)), "{deed}");
    }
    let now = T0 + PROVEN;
    let asker = rig.run(|tx| sessions::asker(tx, &shown("secret"), None, Told::trusted(now))).expect("a session");
    rig.run(|tx| sessions::proven(tx, asker.session, Told::trusted(now)));
    assert!(rig.press(Deed::ByHand, rig.seen_as(now), now).is_ok());
}

/// A viewer cannot push what others did out of an order's story.
#[test]
fn the_newest_of_an_order_is_told() {
    let rig = Rig::new();
    let (joko, sari) = (rig.add("Joko", Role::Viewer, None), rig.add("Sari", Role::Owner, None));
    for minute in 0..300 {
        let at = T0 + Span::secs(minute * 60);
        rig.run(|tx| log::write(tx, By::Person(&joko, "192.0.2.7"), What::Denied(Deed::Refund, &order(1)), Some("role"), at));
    }
    rig.run(|tx| {
        log::write(tx, By::Person(&sari, "192.0.2.8"), What::Done(Deed::Refund, &order(1), Some(5_000)), None, T0 + Span::secs(18_000))
    });
    let lines = rig.run(|tx| log::of_order(tx, &order(1), Zone::Wib));
    let (first, last) = (lines.first().expect("a line"), lines.last().expect("a line"));
    assert!(first.0 < last.0, "the oldest first");
    assert_eq!((&*last.1.who, last.1.what), ("Sari", Noted::Done(Deed::Refund)));
}

/// Nothing came, and a person may have it offered once more: unless one of these stands against it.
#[test]
fn what_stands_against_another_try_has_its_word() {
    let rules = Rules { second_tries: 1, ..rules() };
    let policy = |tries_per_day| Policy { rules: rules.clone(), push: false, orders_per_minute: 0, auto_refund_per_day: 0, tries_per_day };
    let nothing_came = || reported_order("order1", "vm-001", 5_000, 5_000, Delivery::Undelivered);
    let soon = {
        let order = pending("order1", "vm-001", 5_000, 5_000);
        let settled = StatusReport { refund_within: Some(Span::secs(48 * 3600)), ..report(&order, Said::Settled) };
        let paid = after(order, Event::Status(settled), T0 + Span::secs(6));
        after(paid, Event::Delivered(DeliveryReport::proven(Delivery::Undelivered)), T0 + Span::secs(8))
    };
    let mut tried_often = nothing_came();
    let ended = EndedTry { goods: tried_often.goods(), reported: tried_often.reported.clone().expect("it told") };
    tried_often.tries.ended = vec![ended; 8];
    let rig = Rig::new();
    let sari = rig.add("Sari", Role::Owner, None);
    rig.run(|tx| sessions::begin(tx, sari.number, &shown("secret"), ("192.0.2.7", "b"), None, Told::trusted(T0)));
    let sari = rig.run(|tx| sessions::asker(tx, &shown("secret"), None, Told::trusted(T0))).expect("a session");
    for (order, tries_per_day, wanted) in [
        (nothing_came(), 1, None),
        (nothing_came(), 0, Some(Denied::Try(NoTry::TooMany))),
        (Order { rebuilt: true, ..nothing_came() }, 1, Some(Denied::Try(NoTry::Doubtful))),
        (soon, 1, Some(Denied::Try(NoTry::TooLate))),
        (tried_often, 1, Some(Denied::Try(NoTry::NotOffered))),
    ] {
        let possible = rig.run(|tx| deeds::possible(tx, &policy(tries_per_day), &order, &sari, 10_000, Told::trusted(T0 + Span::secs(10))));
        let again = possible.iter().find(|possible| possible.deed == Deed::Again).expect("it is asked about");
        assert_eq!(again.denied, wanted);
    }
}

/// A merchant who gives nothing back by itself.
fn plain_policy() -> Policy {
    Policy { rules: rules(), push: false, orders_per_minute: 0, auto_refund_per_day: 0, tries_per_day: 10 }
}

impl Rig {
    /// Somebody is let in who may do everything, and this order is in the books.
    fn with(order: Order) -> Self {
        let rig = Self::new();
        let sari = rig.add("Sari", Role::Owner, None);
        rig.run(|tx| sessions::begin(tx, sari.number, &shown("secret"), ("192.0.2.7", "a browser"), None, Told::trusted(T0)));
        rig.run(|tx| {
            testing::put(tx, order, T0);
            Ok(())
        });
        rig
    }

    /// What the order's page carries in its forms.
    fn seen_as(&self, now: Wall) -> u64 {
        self.run(|tx| {
            let asker = sessions::asker(tx, &shown("secret"), None, Told::trusted(now))?.expect("a session");
            let policy = plain_policy();
            Ok(orders::again(tx, &Teller { policy: &policy, asker: &asker, usual: USUAL, now: Told::trusted(now) }, &order(1))?.version)
        })
    }

    fn press(&self, deed: Deed, seen_as: u64, now: Wall) -> Result<Done, Problem> {
        let note = if deed == Deed::ByHand { "cash" } else { "" };
        let from_slot = (deed == Deed::Given).then_some(false);
        let with = Do { note: note.into(), number: None, is_sure: None, from_slot, version: seen_as };
        let asked =
            Asked { shown: shown("secret"), from: "192.0.2.7".into(), order: order(1), deed, with, drawn: TwoDigits::of(7), boot: None };
        self.run(|tx| deeds::carry_out(tx, &plain_policy(), &asked, USUAL, Told::trusted(now)))
    }

    fn happens(&self, event: Event, now: Wall) -> Order {
        self.run(|tx| books::answered(tx, &plain_policy(), &order(1), event, Told::trusted(now))).now.order
    }

    /// Does all that is due from one time to another. The gateway gives these answers in turn. Their number.
    fn passes(&self, answers: &[Event], from: Wall, to: Wall) -> usize {
        let (mut now, mut asked) = (from, 0);
        loop {
            let stored = self.run(|tx| books::load(tx, &order(1))).expect("in the books");
            now = next_deadline(&stored.order).map_or(to, |due| due.max(now));
            if now >= to {
                return asked;
            }
            match self.run(|tx| books::claim(tx, &plain_policy(), &order(1), Told::trusted(now))).call {
                Some(Call::GetStatus) => _ = self.happens(answers[asked % answers.len()].clone(), now),
                Some(Call::Cancel) => _ = self.happens(Event::CancelRefused, now),
                None => {
                    // Somebody else asks.
                    now = now + SECOND;
                    continue;
                }
                Some(call) => panic!("{call:?}"),
            }
            asked += 1;
        }
    }
}

/// A person reads, thinks, telephones and presses. Meanwhile the gateway is asked, and brings nothing new.
#[test]
fn what_nobody_can_see_does_not_keep_a_person_from_pressing() {
    let order = pending("order1", "vm-001", 5_000, 5_000);
    let (still_pending, unclear) = (Event::Status(report(&order, Said::Pending)), Event::StatusUnclear("another sum".into()));
    for answers in [vec![still_pending.clone()], vec![Event::StatusUnanswered], vec![still_pending, unclear]] {
        let rig = Rig::with(order.clone());
        let (told, opened) = (T0 + SECOND, T0 + Span::secs(400));
        rig.happens(Event::Notified(Said::Settled), told);
        rig.passes(&answers, told, opened);
        let seen_as = rig.seen_as(opened);
        let pressed = opened + Span::secs(50 * 60);
        let asked = rig.passes(&answers, opened, pressed);
        assert!(asked > 10, "{asked}");
        // Whoever has the machine's token could say so all the time.
        rig.run(|tx| books::payment_reported(tx, &plain_policy(), &order.id, Told::trusted(pressed)));
        assert_eq!(rig.seen_as(pressed), seen_as, "{answers:?}");
        let done = rig.press(Deed::ByHand, seen_as, pressed).expect("nothing has changed");
        assert!(done.was.attention().contains(&Attention::Unconfirmed) && done.now.order.attention().is_empty(), "{answers:?}");
    }
}

#[test]
fn what_a_person_can_see_keeps_them_from_pressing() {
    let failed = || reported_order("order1", "vm-001", 5_000, 5_000, Delivery::Failed);
    let told = |outcome| Event::Contradicted { told: DeliveryReport::proven(outcome), refund_on_its_way: false };
    let unconfirmed = || after(pending("order1", "vm-001", 5_000, 5_000), Event::Notified(Said::Settled), T0);
    let status = |order: &Order, said| Event::Status(report(order, said));
    for (order, deed, event) in [
        (failed(), Deed::ByHand, told(Delivery::Dispensed)),
        (failed(), Deed::Given, status(&failed(), Said::Refunded)),
        (failed(), Deed::Refund, Event::Given { by: "Budi".into(), goods_and_money: false, from_slot: false }),
        (pending("order1", "vm-001", 5_000, 5_000), Deed::Seen, Event::Notified(Said::Settled)),
        (unconfirmed(), Deed::Seen, status(&unconfirmed(), Said::Settled)),
        (unconfirmed(), Deed::ByHand, status(&unconfirmed(), Said::Expired)),
    ] {
        let rig = Rig::with(order);
        let seen_as = rig.seen_as(T0 + Span::secs(9));
        rig.happens(event.clone(), T0 + Span::secs(10));
        let refused = rig.press(deed, seen_as, T0 + Span::secs(11));
        assert!(matches!(refused, Err(Problem::Changed)), "{event:?}: {refused:?}");
    }
}

#[test]
fn a_session_is_good_at_its_own_door_and_settles_nothing_at_home() {
    let rig = Rig::with(reported_order("order1", "vm-001", 5_000, 5_000, Delivery::Undelivered));
    let sari = rig.run(|tx| people::find(tx, &name("Sari"))).expect("she is there");
    rig.run(|tx| people::invite(tx, sari.number, Door::Home, "link", T0));
    let late = T0 + people::link_lasts(Door::Home);
    let is_good = |code: &str, at: Wall| rig.run(|tx| people::invited(tx, Door::Home, code, at)).is_some();
    assert!(is_good("link", late - SECOND) && !is_good("link", late) && !is_good("lin", T0));
    assert!(rig.run(|tx| people::join(tx, "link", "hash", T0)).is_none(), "it chooses no password");
    rig.run(|tx| people::invite(tx, sari.number, Door::Public, "public", T0));
    assert!(!is_good("public", T0) && is_good("link", T0), "each is good at its own door");
    assert!(rig.run(|tx| people::enter(tx, Door::Home, "link", T0)).is_some());
    assert!(rig.run(|tx| people::enter(tx, Door::Home, "link", T0)).is_none(), "it is used");
    let at_home = Shown { door: Door::Home, ..shown("home") };
    rig.run(|tx| sessions::begin(tx, sari.number, &at_home, ("192.168.1.7", "b"), None, Told::trusted(T0)));
    let asker = |secret: &str, door: Door| rig.run(|tx| sessions::asker(tx, &Shown { door, ..shown(secret) }, None, Told::trusted(T0)));
    for (secret, door, is_one) in
        [("home", Door::Home, true), ("home", Door::Public, false), ("secret", Door::Home, false), ("secret", Door::Public, true)]
    {
        assert_eq!(asker(secret, door).is_some(), is_one, "{secret} {door}");
    }
    let asked = |deed, door| {
        let note = if deed == Deed::ByHand { "cash" } else { "" };
        let with = Do { note: note.into(), number: None, is_sure: None, from_slot: None, version: rig.seen_as(T0) };
        let shown = if door == Door::Home { at_home.clone() } else { shown("secret") };
        let asked = Asked { shown, from: "192.168.1.7".into(), order: order(1), deed, with, drawn: TwoDigits::of(7), boot: None };
        rig.run(|tx| deeds::carry_out(tx, &plain_policy(), &asked, USUAL, Told::trusted(T0 + Span::secs(10))))
    };
    for deed in Deed::ALL {
        assert_eq!(asked(deed, Door::Home).err(), Some(Problem::Denied { why: Denied::Person(Barred::Home) }), "{deed}");
    }
    assert!(asked(Deed::Refund, Door::Public).is_ok());
    // Whoever is removed is out there, too, with the link.
    rig.run(|tx| people::invite(tx, sari.number, Door::Home, "link", T0));
    rig.run(|tx| people::remove(tx, sari.number, T0));
    assert!(asker("home", Door::Home).is_none() && !is_good("link", T0));
}
