use super::{Verdict, scenarios, search};

#[test]
fn whatever_the_order_of_events_the_promise_holds() {
    let mut seen = super::Counts::default();
    let mut worlds = 0;
    for scenario in scenarios(false) {
        let found = search(&scenario);
        println!("{}", found.told(&scenario));
        match &found.verdict {
            Verdict::Holds => {}
            Verdict::Unfinished => panic!("{}: too many worlds", scenario.name),
            Verdict::Broken { what, trace } => panic!("{}: {what:?}\n{}", scenario.name, trace.join("\n")),
        }
        worlds += found.worlds;
        seen.add(&found.counts);
    }
    println!("{worlds} worlds, {seen:?}");
    // The search is not empty.
    let each = [
        ("a sale", seen.sales),
        ("a late settlement that is delivered", seen.late_sales),
        ("money that goes back", seen.refunds_due),
        ("an outcome that nobody knows", seen.uncertain),
        ("an item that did not come", seen.failed),
        ("a mismatch", seen.mismatches),
        ("a second order_id", seen.second_attempts),
        ("nothing paid", seen.unpaid),
    ];
    for (what, count) in each {
        assert!(count > 0, "the search never saw {what}");
    }
}
