use super::{Budget, Found, Scenario, Verdict, search};

fn nothing_goes_wrong() -> Budget {
    Budget {
        crashes: [0; 3],
        crashes_in_all: 0,
        faults: [0; 5],
        cancels: [0; 2],
        late_payments: 0,
        denials: 0,
        charge_denials: 0,
        mismatches: 0,
        jams: 0,
        ledgers: 0,
    }
}

fn holds(scenario: &Scenario) -> Found {
    let begun = std::time::Instant::now();
    let found = search(scenario);
    println!(
        "{}: {} worlds, {} steps, depth {}, {:?}, {:.1} s",
        scenario.name,
        found.worlds,
        found.steps,
        found.depth,
        found.counts,
        begun.elapsed().as_secs_f64()
    );
    if let Verdict::Broken { what, trace } = &found.verdict {
        panic!("{}: {what:?}\n{}", scenario.name, trace.join("\n"));
    }
    assert!(matches!(found.verdict, Verdict::Holds), "{}: too many worlds", scenario.name);
    found
}

#[test]
fn one_order_and_nothing_wrong() {
    let found = holds(&Scenario { name: "calm", orders: 1, budget: nothing_goes_wrong(), worlds_max: 100_000 });
    assert!(found.counts.sales > 0 && found.counts.unpaid > 0);
}

#[test]
fn one_order_and_late_money() {
    let budget = Budget { cancels: [1, 0], late_payments: 1, denials: 1, mismatches: 1, jams: 1, ..nothing_goes_wrong() };
    let found = holds(&Scenario { name: "late", orders: 1, budget, worlds_max: 200_000 });
    assert!(found.counts.late_sales > 0 && found.counts.refunds_due > 0 && found.counts.mismatches > 0 && found.counts.failed > 0);
}

#[test]
fn one_order_and_a_fault_on_each_channel() {
    for (name, faults) in [("bus", [1, 0, 0, 0, 0]), ("http", [0, 1, 0, 0, 0]), ("push", [0, 0, 1, 0, 0]), ("midtrans", [0, 0, 0, 1, 0]), ("notices", [0, 0, 0, 0, 1])] {
        let budget = Budget { cancels: [1, 0], late_payments: 1, faults, ..nothing_goes_wrong() };
        holds(&Scenario { name, orders: 1, budget, worlds_max: 200_000 });
    }
}

#[test]
fn one_order_and_a_crash_of_each_program() {
    for (name, crashes, ledgers) in [("machine", [1, 0, 0], 0), ("relay", [0, 1, 0], 1), ("backend", [0, 0, 1], 0), ("power", [1, 1, 0], 0)] {
        let budget = Budget { crashes, crashes_in_all: 2, ledgers, late_payments: 1, ..nothing_goes_wrong() };
        holds(&Scenario { name, orders: 1, budget, worlds_max: 200_000 });
    }
}
