use super::properties::Broken;
use super::scenarios::{CALM, LATE, only};
use super::{ANY, Among, Budget, Counts, Flaw, Found, Scenario, Verdict, scenarios, search, walk};
use crate::model::Effort;

fn one(name: &str, budget: Budget) -> Scenario {
    only(name, budget)
}

fn ran(scenario: &Scenario) -> Found {
    let found = search(scenario);
    println!("{}", found.told(scenario));
    found
}

fn holds(scenario: &Scenario) -> Found {
    let found = ran(scenario);
    match &found.verdict {
        Verdict::Holds => found,
        Verdict::Unfinished { .. } => panic!("{}: too many worlds", scenario.name),
        Verdict::Broken { what, trace } => panic!("{}: {what:?}\n{}", scenario.name, trace.join("\n")),
    }
}

/// `QRIS_MODEL` selects scenarios by a part of their name, among all that `tests/run` searches.
#[test]
fn whatever_the_order_of_events_the_promise_holds() {
    let only = std::env::var("QRIS_MODEL").ok().filter(|only| !only.is_empty());
    let effort = if only.is_some() { Effort::Short } else { Effort::Test };
    let mut seen = Counts::default();
    let mut worlds = 0;
    for scenario in scenarios(effort) {
        if only.as_ref().is_some_and(|only| !scenario.name.contains(only)) {
            continue;
        }
        let found = holds(&scenario);
        worlds += found.worlds;
        seen.add(&found.counts);
    }
    println!("{worlds} worlds, {seen:?}");
    assert!(worlds > 0, "no scenario has {only:?} in its name");
    if only.is_some() {
        return;
    }
    for (what, count) in seen.all() {
        assert!(count > 0, "the search never saw {what}");
    }
}

/// Merged worlds are equivalent: a search that merges nothing finds the same ends.
#[test]
fn nothing_is_lost_by_making_worlds_one() {
    let bus = Budget { faults: [1, 0, 0, 0, 0], ..CALM };
    let push = Budget { faults: [0, 0, 1, 0, 0], ..CALM };
    let relay = Budget { crashes: [0, 1, 0], crashes_in_all: 1, ..CALM };
    let late = Budget { late_payments: 1, denials: 1, refunds: 1, ..CALM };
    for (name, budget) in [("calm", CALM), ("bus", bus), ("push", push), ("relay", relay), ("late", late)] {
        let reduced = holds(&one(name, budget.clone()));
        let whole = holds(&Scenario { reduces: false, ..one(name, budget) });
        assert!(reduced.worlds <= whole.worlds, "{name}");
        assert_eq!(reduced.ends, whole.ends, "{name}");
    }
}

/// All results of a smaller budget are among those of a larger one. A result that is not there is named.
#[test]
fn a_world_that_another_search_lacks_is_named() {
    let cancel = Budget { cancels: [1, 0], ..CALM };
    let found = holds(&Scenario { among: Some(Among { orders: 1, budget: CALM }), ..one("a cancel", cancel.clone()) });
    assert!(found.among > 100 && found.among < found.worlds, "{}", found.among);
    let scenario = Scenario { among: Some(Among { orders: 1, budget: cancel }), ..one("nothing wrong", CALM) };
    let found = ran(&scenario);
    assert!(matches!(found.verdict, Verdict::Broken { what: Broken::NotAmong, .. }), "{:?}", found.verdict);
    assert!(!found.told(&scenario).contains("narrower"));
    let found = ran(&Scenario { entries_max: 100, ..scenario.clone() });
    assert!(matches!(found.verdict, Verdict::Unfinished { .. }) && found.told(&scenario).contains("narrower"), "{:?}", found.verdict);
}

/// A search that finds nothing is only worth something if it can find a planted fault.
#[test]
fn a_deliberate_fault_is_found_whole_reduced_and_resting() {
    let crash = Budget { crashes: [0, 1, 0], crashes_in_all: 1, ..CALM };
    let bus = Budget { faults: [1, 0, 0, 0, 0], ..CALM };
    let table = [
        (Flaw::PulseBeforeCommit, crash.clone()),
        (Flaw::NoLedger, bus.clone()),
        (Flaw::CloseForgets, Budget { faults: bus.faults, ..crash }),
        (Flaw::SilenceIsClosed, bus),
        (Flaw::OldAnswerCounts, Budget { cancels: [0, 0], ..LATE }),
        (Flaw::OldAnswerCounts, Budget { refunds: 1, ..CALM }),
    ];
    for (flaw, budget) in table {
        let scenario = Scenario { flaw: Some(flaw), ..one(&format!("{flaw:?}"), budget) };
        let ways = [(true, false), (false, false), (true, true)];
        let broken = ways.map(|(reduces, rests)| match ran(&Scenario { reduces, rests, ..scenario.clone() }).verdict {
            Verdict::Broken { what, .. } => what,
            Verdict::Holds | Verdict::Unfinished { .. } => panic!("{flaw:?} is not found; reduced: {reduces}, resting: {rests}"),
        });
        // A search that walks on may first find that a settled outcome changed.
        assert_eq!(broken[0], broken[1], "{flaw:?}");
    }
}

/// Nothing is counted here, and there are other orders, too.
#[test]
fn a_deliberate_fault_is_found_in_a_wild_network() {
    let wild = Budget { faults: [ANY; 5], ..CALM };
    let crash = Budget { crashes: [0, ANY, 0], crashes_in_all: 7, ..wild.clone() };
    let late = Budget { late_payments: ANY, denials: ANY, ..wild.clone() };
    let table = [
        (Flaw::PulseBeforeCommit, crash),
        (Flaw::NoLedger, wild.clone()),
        (Flaw::CloseForgets, wild.clone()),
        (Flaw::SilenceIsClosed, wild),
        (Flaw::OldAnswerCounts, late),
    ];
    for (flaw, budget) in table {
        for others in [false, true] {
            let scenario =
                Scenario { flaw: Some(flaw), rests: true, others, ..one(&format!("{flaw:?}, others: {others}"), budget.clone()) };
            let found = ran(&scenario);
            let Verdict::Broken { trace, .. } = found.verdict else { panic!("{flaw:?} is not found") };
            assert!(trace.len() > 20, "the way there is told: {trace:?}");
        }
    }
}

/// One order beside any others has all worlds of each of two orders. It has them because of the others.
#[test]
fn each_of_two_orders_is_one_beside_others() {
    let wild = Budget { faults: [ANY; 5], ..CALM };
    let among = Some(Among { orders: 2, budget: CALM });
    let scenario = Scenario { rests: true, others: true, among, ..one("beside others", wild) };
    let found = holds(&scenario);
    assert!(found.among > 5_000, "{}", found.among);
    let found = ran(&Scenario { others: false, ..scenario });
    assert!(matches!(found.verdict, Verdict::Broken { what: Broken::NotAmong, .. }), "{:?}", found.verdict);
}

#[test]
fn a_walk_repeats_and_a_fault_is_met_on_one() {
    let scenario = scenarios(Effort::Walk).swap_remove(0);
    let twice = [1, 1].map(|seed| walk(&scenario, seed, |walked| walked.walks < 20));
    assert!(twice[0].broken.is_none(), "{:?}", twice[0].broken);
    assert_eq!((twice[0].steps, &twice[0].ends), (twice[1].steps, &twice[1].ends));
    let flawed = Scenario { flaw: Some(Flaw::NoLedger), ..one("bus", Budget { faults: [2, 0, 0, 0, 0], ..CALM }) };
    assert!(walk(&flawed, 1, |walked| walked.walks < 1_000).broken.is_some());
}

/// A search that did not end has really looked at the worlds that it counts.
#[test]
fn a_search_that_does_not_end_says_how_far_it_came() {
    let crash = Budget { crashes: [1, 1, 0], crashes_in_all: 2, ..CALM };
    let whole = ran(&one("machine and relay", crash));
    for (entries_max, fewer) in [(whole.levels[0] / 2, 0), (whole.levels[0] + 2_000, 1)] {
        let found =
            ran(&Scenario { entries_max, bounded: true, ..one("up to a bound", Budget { crashes: [1, 1, 0], crashes_in_all: 2, ..CALM }) });
        assert!(matches!(found.verdict, Verdict::Unfinished { fewer: said } if said == fewer), "{:?}", found.verdict);
    }
}
