use super::*;

/// It is off, since just now.
const OFF: Report = Report::Offline { before: Span::ZERO };
const START: Wall = Wall(1_000_000_000);
const MISSING_AFTER: i64 = 600;

/// So many seconds after the start.
fn at(s: i64) -> Now {
    Now { boot: Boot(5_000) + Span::secs(s), wall: START + Span::secs(s) }
}

fn device(name: &str) -> DeviceId {
    DeviceId::new(name).expect("an id")
}

fn facts(version: &str) -> Facts {
    Facts { name: None, version: version.into(), faults: [FaultCode::Relay].into(), blocked: None }
}

/// It reports every 100 s.
fn online() -> Report {
    Report::Online { every: Some(Span::secs(100)), facts: facts("1.0"), offers: None }
}

const fn telemetry() -> Report {
    Report::Telemetry { at: None }
}

struct Rig(Presence);

impl Rig {
    /// Machine a, at a broker that brings what it says.
    fn new() -> Self {
        let presence = Presence::new(Span::secs(MISSING_AFTER));
        presence.know(&HashSet::from([device("a")]), at(0));
        presence.hears(true, at(0));
        Self(presence)
    }

    fn reported(&self, report: Report, s: i64) {
        self.0.reported(device("a"), report, at(s));
    }

    fn called(&self, s: i64) {
        self.0.called(&device("a"), at(s));
    }

    /// The first second from which it is missing.
    fn missing(&self, from: i64) -> Option<i64> {
        (from..20_000).find(|s| self.0.check(at(*s)).missing == [device("a")])
    }

    /// The early messages, and the machines.
    fn room(&self) -> (usize, usize) {
        let all = self.0.lock();
        (all.early.len(), all.machines.len())
    }

    fn is_there(&self) -> bool {
        self.0.there(&device("a")).is_some()
    }
}

enum Step {
    /// A message, in this second.
    Says(i64, Report),
    Calls(i64),
    Hears(i64, bool),
}
use Step::{Calls, Hears, Says};

#[test]
fn only_something_fresh_makes_a_machine_there_and_silence_or_a_good_bye_makes_it_missing() {
    let of = |every| Report::Online { every, facts: facts("1.0"), offers: None };
    let old = |s| Report::Telemetry { at: Some(at(s).wall) };
    // The events, whether the machine is there then, and when it is missing.
    let table: &[(&str, &[Step], bool, Option<i64>)] = &[
        ("nothing was ever heard of it", &[], false, None),
        ("it may have no broker", &[Calls(1)], true, None),
        ("a word that it is at the broker, however often", &[Says(0, online()), Says(50, online())], false, Some(200 + 600)),
        ("… of one that never reports", &[Says(0, of(None))], false, None),
        ("a report counts for two periods", &[Says(0, online()), Says(300, telemetry())], true, Some(500 + 600)),
        ("… of the period that it tells later", &[Says(0, telemetry()), Says(1, of(Some(Span::secs(1000))))], true, Some(2000 + 600)),
        ("… and of the usual one", &[Says(0, telemetry())], true, Some(1800 + 600)),
        ("a call counts at that moment", &[Says(0, online()), Calls(1000)], true, Some(1000 + 600)),
        ("… and takes nothing from a report", &[Says(0, online()), Says(300, telemetry()), Calls(310)], true, Some(500 + 600)),
        ("a report that came late", &[Says(0, online()), Says(300, old(100))], false, Some(200 + 600)),
        ("… that is just young enough", &[Says(0, online()), Says(300, old(101))], true, Some(500 + 600)),
        ("… of a clock that is ahead", &[Says(0, online()), Says(300, old(9_000))], true, Some(500 + 600)),
        ("a good-bye comes before its silence", &[Says(0, online()), Says(90, telemetry()), Says(91, OFF)], true, Some(91 + 600)),
        ("… also of one that never reports", &[Says(0, of(None)), Calls(5), Says(91, OFF)], true, Some(91 + 600)),
        ("… and that alone", &[Says(91, OFF), Says(300, OFF)], false, Some(91 + 600)),
        ("a good-bye that was taken back", &[Says(0, online()), Says(91, OFF), Says(95, online())], false, Some(200 + 600)),
        ("… by a call", &[Says(0, of(None)), Says(91, OFF), Calls(99)], true, None),
        ("… by a report", &[Says(0, online()), Says(91, OFF), Says(99, telemetry())], true, Some(299 + 600)),
        ("one that was off before this program began", &[Says(1, Report::Offline { before: Span::secs(301) })], false, Some(300)),
        ("… for long: it has a minute to call", &[Says(1, Report::Offline { before: Span::secs(9_000) })], false, Some(60)),
        ("… and it calls", &[Says(1, Report::Offline { before: Span::secs(9_000) }), Calls(59)], true, None),
        ("nobody says so while the broker is away", &[Says(0, online()), Hears(50, false)], false, None),
        ("… and it has its time again", &[Says(0, online()), Hears(50, false), Hears(3000, true)], false, Some(3200 + 600)),
    ];
    for (what, steps, is_there, missing) in table {
        let rig = Rig::new();
        let mut last = 0;
        for step in *steps {
            match step {
                Says(s, report) => rig.reported(report.clone(), *s),
                Calls(s) => rig.called(*s),
                Hears(s, hears) => rig.0.hears(*hears, at(*s)),
            }
            let (Says(s, _) | Calls(s) | Hears(s, _)) = step;
            last = *s;
        }
        assert_eq!(rig.is_there(), *is_there, "{what}");
        assert_eq!(rig.missing(last), *missing, "{what}");
        assert!(!rig.is_there() || missing.is_none(), "{what}");
    }
}

#[test]
fn the_brokers_word_ends_nothing_and_each_absence_is_told_once() {
    let rig = Rig::new();
    rig.reported(online(), 0);
    rig.reported(telemetry(), 1);
    rig.reported(OFF, 2);
    assert_eq!(rig.missing(2), Some(602));
    rig.reported(online(), 603);
    rig.reported(Report::Telemetry { at: Some(at(100).wall) }, 604);
    assert!(!rig.is_there() && rig.missing(604).is_none(), "it is not there, and was told");
    rig.reported(telemetry(), 700);
    assert_eq!((rig.0.there(&device("a")), rig.missing(700)), (Some(at(700).wall), Some(900 + 600)));
    rig.called(1600);
    assert_eq!((rig.0.there(&device("a")), rig.missing(1600)), (Some(at(1600).wall), Some(2200)));
    // Nobody could be told: it is named again.
    rig.0.failed(&[device("a")], &[]);
    assert_eq!(rig.missing(2300), Some(2300));
}

#[test]
fn only_those_that_are_let_in_are_known_and_early_words_are_kept_for_a_moment() {
    let rig = Rig::new();
    let (b, c) = (device("b"), device("c"));
    rig.0.called(&b, at(1));
    assert_eq!(rig.0.there(&b), None);
    for n in 0..EARLY_MAX * 2 {
        rig.0.reported(device(&format!("stranger-{n}")), telemetry(), at(1));
    }
    assert_eq!(rig.room(), (EARLY_MAX, 1), "strangers take no room");
    rig.0.know(&HashSet::from([device("a")]), at(5));
    assert_eq!(rig.room(), (0, 1));
    // One that is let in a moment after its first words.
    rig.0.reported(b.clone(), telemetry(), at(6));
    rig.0.came(&b, Topic::Stock, Number::of(br#"{"number":1}"#));
    rig.0.know(&HashSet::from([b.clone(), c.clone()]), at(7));
    assert_eq!((rig.0.there(&b), rig.0.there(&c)), (Some(at(7).wall), None));
    rig.0.topics_told(&b, &TopicsTold { last: [(Topic::Stock, 1)].into(), ..TopicsTold::default() }, None, at(8));
    let new = rig.0.lock().machines.get_mut(&b).expect("known").topics.look(Some(at(0).boot), at(60).boot);
    assert_eq!(new, Some(vec![]), "its message has come");
    assert!(!rig.0.lock().machines.contains_key(&device("a")), "it is not let in any more");
}

#[test]
fn what_is_known_is_written_down_when_it_is_new_and_not_too_often() {
    let rig = Rig::new();
    let noted = |s| rig.0.check(at(s)).to_note.into_iter().map(|(_, noted)| noted).collect::<Vec<_>>();
    let on = |is, version| Noted { is, at_broker: AtBroker::On, facts: Some(facts(version)), silent: None, offered: None };
    let there = |version, since: i64| on(Is::There(at(since).wall), version);
    rig.reported(online(), 0);
    assert_eq!(noted(1), [on(Is::Unknown, "1.0")], "the broker's word, and nobody knows yet whether it is there");
    rig.reported(telemetry(), 2);
    assert_eq!((noted(3), noted(4)), (vec![there("1.0", 2)], vec![]));
    rig.reported(online(), 5);
    rig.reported(telemetry(), 6);
    assert_eq!(noted(500), [], "nothing is new");
    rig.reported(Report::Online { every: Some(Span::secs(100)), facts: facts("2.0"), offers: None }, 501);
    assert_eq!(noted(502), [there("2.0", 2)]);
    rig.reported(online(), 503);
    assert_eq!((noted(504), noted(502 + 119)), (vec![], vec![]), "not so soon");
    assert_eq!(noted(502 + 120), [there("1.0", 2)]);
    rig.0.failed(&[], &[device("a")]);
    assert_eq!(noted(502 + 240), [there("1.0", 2)], "it could not be written");
    rig.reported(telemetry(), 799);
    rig.reported(OFF, 800);
    let off = |is| Noted { is, at_broker: AtBroker::Off(at(800).wall), facts: Some(facts("1.0")), silent: None, offered: None };
    assert_eq!(noted(801), [off(Is::There(at(2).wall))], "the broker's word does not wait");
    assert_eq!((noted(802), noted(1399)), (vec![], vec![]));
    assert_eq!(noted(1400), [off(Is::Missing(at(800).wall))]);
    rig.called(1401);
    assert_eq!(noted(1402), [there("1.0", 1401)], "it called, whatever the broker says");
}

#[test]
fn each_offer_of_another_try_is_written_down_with_its_beginning() {
    let rig = Rig::new();
    let request = |id: &str| RequestId::new(id).expect("an id");
    let offers = |id: Option<&str>, waits| {
        let offers = id.map(|id| (request(id), waits));
        Report::Online { every: Some(Span::secs(100)), facts: facts("1.0"), offers }
    };
    let noted = |s| rig.0.check(at(s)).to_note.into_iter().map(|(_, noted)| noted.offered).collect::<Vec<_>>();
    rig.reported(offers(None, false), 0);
    assert_eq!(noted(1), [None]);
    rig.reported(offers(Some("r-1"), true), 10);
    rig.reported(offers(Some("r-1"), false), 11);
    assert_eq!(noted(12), [Some((request("r-1"), at(10).wall))], "it began once, and its number was told");
    rig.reported(offers(None, false), 70);
    assert_eq!(noted(200), [], "its end is no news");
    rig.reported(offers(Some("r-1"), false), 210);
    assert_eq!(noted(211), [Some((request("r-1"), at(210).wall))], "the same once more");
    rig.reported(offers(Some("r-1"), true), 220);
    assert_eq!(
        (noted(221), noted(222)),
        (vec![], vec![Some((request("r-1"), at(220).wall))]),
        "asked for meanwhile, and told almost at once"
    );
}

#[test]
fn another_computer_at_its_place_stands_among_its_faults_and_is_written_down_at_once() {
    let rig = Rig::new();
    let faults = |s| {
        let noted = rig.0.check(at(s)).to_note.into_iter().map(|(_, noted)| noted.facts);
        noted.map(|facts| facts.map(|facts| facts.faults.to_vec())).collect::<Vec<_>>()
    };
    rig.called(0);
    assert_eq!(faults(1), [None]);
    rig.0.taken_over(&device("a"), true);
    assert_eq!(faults(2), [Some(vec![FaultCode::TakenOver])]);
    rig.0.taken_over(&device("a"), true);
    assert_eq!(faults(300), [], "nothing is new");
    rig.reported(online(), 301);
    assert_eq!(faults(302), [Some(vec![FaultCode::TakenOver, FaultCode::Relay])]);
    rig.0.taken_over(&device("a"), false);
    assert_eq!(faults(303), [Some(vec![FaultCode::Relay])]);
}

/// Its list of topics is another process's, which the machine asks.
#[test]
fn a_process_that_was_told_nothing_over_http_writes_no_list_of_topics() {
    let rig = Rig::new();
    let silent = |s| {
        let noted = rig.0.check(at(s)).to_note.into_iter().map(|(_, noted)| noted.silent.map(|topics| topics.to_vec()));
        noted.collect::<Vec<_>>()
    };
    rig.reported(online(), 0);
    assert_eq!(silent(1), [None]);
    rig.0.topics_told(&device("a"), &TopicsTold::default(), None, at(2));
    assert_eq!(silent(3), [Some(vec![])], "at once: the list may be of an earlier start");
    rig.reported(Report::Online { every: None, facts: facts("2.0"), offers: None }, 4);
    assert_eq!(silent(200), [Some(vec![])]);
}

#[test]
fn of_many_a_part_is_named_at_a_time_and_all_in_the_end() {
    let presence = Presence::new(Span::secs(MISSING_AFTER));
    let all: HashSet<_> = (0..AT_ONCE * 2 + 1).map(|n| device(&format!("m-{n}"))).collect();
    presence.know(&all, at(0));
    all.iter().for_each(|device| presence.reported(device.clone(), OFF, at(0)));
    let named = [0, 1, 2, 3].map(|s| presence.check(at(MISSING_AFTER + s)));
    assert_eq!(named.each_ref().map(|news| news.missing.len()), [AT_ONCE, AT_ONCE, 1, 0]);
    assert!(named.iter().all(|news| news.to_note.len() <= AT_ONCE));
    let noted: usize = named.iter().map(|news| news.to_note.len()).sum();
    assert_eq!(noted, all.len());
}
