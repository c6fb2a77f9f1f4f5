//! The scenarios of the search, and their limits.

use super::{ANY, ANY_IN_ALL, Budget, Channel, Flaw};

/// A scenario of the search.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name for people.
    pub name: String,
    /// Requests: 1 or 2.
    pub orders: usize,
    /// The faults that may happen.
    pub budget: Budget,
    /// More entries than this end the search without a result.
    pub entries_max: usize,
    /// It may be larger than the limit. Then the worlds with the fewest deviations are searched, and it is no failure that
    /// the search does not end.
    pub bounded: bool,
    /// A deliberate fault.
    pub flaw: Option<Flaw>,
    /// Merges equivalent worlds. Without it nothing is left out, for comparison.
    pub reduces: bool,
    /// Another search, and this one has a wild network. Everything that can come of the other must be among the worlds of
    /// this one.
    pub among: Option<Among>,
    /// Any number of other requests exist, with any fate. At any time one of them may hold the machine, and the line may be
    /// driven for one. One request can notice nothing else of others, except a line that their jam blocks, which is left out
    /// here. The network must be wild.
    pub others: bool,
    /// The search rests where the money of every request is settled for good: only calls that end are left. That a settled
    /// outcome stays settled is a property of its own, in the searches that walk on.
    pub rests: bool,
}

/// A search that must be contained in another one.
#[derive(Debug, Clone)]
pub struct Among {
    /// Requests. If there are two, each is looked for by itself.
    pub orders: usize,
    /// The faults that may happen.
    pub budget: Budget,
}

/// No faults, and nobody changes their mind.
pub(super) const CALM: Budget = Budget {
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
    refunds: 0,
};

/// A cancel, and money that comes after its charge was denied, cancelled or expired.
pub(super) const LATE: Budget = Budget { cancels: [1, 0], late_payments: 1, denials: 1, ..CALM };

/// The same any number of times, and more: charges that Midtrans denies, settlements for another sum, and items that jam.
const ALL_LATE: Budget =
    Budget { cancels: [ANY, 0], late_payments: ANY, denials: ANY, charge_denials: ANY, mismatches: ANY, jams: ANY, ..CALM };

/// Which scenarios are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// They take seconds without optimisation: for every test run.
    Test,
    /// They take a minute or two.
    Short,
    /// All of them: they take half an hour of a processor.
    Long,
    /// The scenarios for random walks: everything at once.
    Walk,
}

/// The names of the programs, in the order of a budget's crashes.
const PROGRAMS: [&str; 3] = ["machine", "relay", "backend"];
/// The names of the channels, in the order of a budget's faults.
const CHANNELS: [&str; 5] = ["bus", "HTTP", "push", "Midtrans", "notifications"];

/// As many entries as fit into some five gigabytes with all that belongs to them.
const ENTRIES_MAX: usize = 60_000_000;
/// As many entries as are searched in a minute or so.
const ENTRIES_BOUND: usize = 2_000_000;

/// A scenario of one order, searched to its end.
pub(super) fn only(name: &str, budget: Budget) -> Scenario {
    let name = format!("one order, {name}");
    Scenario {
        name,
        orders: 1,
        budget,
        entries_max: ENTRIES_MAX,
        bounded: false,
        flaw: None,
        reduces: true,
        among: None,
        others: false,
        rests: false,
    }
}

/// The same, but the search rests where all is settled: for scenarios that are too large otherwise.
fn rests(scenario: Scenario) -> Scenario {
    Scenario { rests: true, ..scenario }
}

/// The same in a wild network. Everything that can come of the other budget must be found there, too.
fn wild(name: &str, budget: Budget, among: Budget) -> Scenario {
    let among = Some(Among { orders: 1, budget: among });
    Scenario { among, ..rests(only(&format!("{name}any number of faults on each channel"), Budget { faults: [ANY; 5], ..budget })) }
}

/// The same beside any number of others. Each of two orders must be found there.
fn beside_others(name: &str, budget: Budget, among: Budget) -> Scenario {
    let among = Some(Among { orders: 2, budget: among });
    let scenario = wild(name, budget, CALM);
    Scenario { name: format!("{}, beside any number of other orders", scenario.name), others: true, among, ..scenario }
}

fn two(name: &str, budget: Budget) -> Scenario {
    let name = format!("two orders, {name}");
    Scenario { name, orders: 2, ..only("", budget) }
}

fn fault(channel: usize) -> [u8; 5] {
    let mut faults = [0; 5];
    faults[channel] = 1;
    faults
}

fn crash(program: usize) -> [u8; 3] {
    let mut crashes = [0; 3];
    crashes[program] = 1;
    crashes
}

fn crashes(crashes: [u8; 3], with: Budget) -> Budget {
    Budget { crashes, crashes_in_all: crashes.iter().sum(), ..with }
}

fn any_crashes(crashes: [u8; 3], with: Budget) -> Budget {
    Budget { crashes, crashes_in_all: ANY_IN_ALL, ..with }
}

/// The scenarios.
#[must_use]
pub fn scenarios(effort: Effort) -> Vec<Scenario> {
    match effort {
        Effort::Test => test(),
        Effort::Short => [test(), short()].concat(),
        Effort::Long => [test(), short(), long()].concat(),
        Effort::Walk => vec![
            only("two crashes of each program, a fault on each channel, and all else", EVERYTHING),
            two("the same", Budget { cancels: [1, 1], ..EVERYTHING }),
        ],
    }
}

const EVERYTHING: Budget = Budget {
    crashes: [2; 3],
    crashes_in_all: 6,
    faults: [1; 5],
    charge_denials: 1,
    mismatches: 1,
    jams: 1,
    ledgers: 1,
    refunds: 1,
    ..LATE
};

fn test() -> Vec<Scenario> {
    vec![
        only("nothing wrong", CALM),
        only("late money, a mismatch, a jam", Budget { mismatches: 1, jams: 1, ..LATE }),
        only("a refund at Midtrans", Budget { refunds: 1, ..CALM }),
        only("a charge denied", Budget { charge_denials: 1, ..CALM }),
        only("the relay crashes or loses its ledger", Budget { ledgers: 1, ..crashes([0, 1, 0], CALM) }),
    ]
}

fn short() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (channel, name) in CHANNELS.into_iter().enumerate() {
        all.push(only(&format!("a fault on {name}"), Budget { faults: fault(channel), ..CALM }));
    }
    all.push(only("the machine crashes", crashes([1, 0, 0], CALM)));
    all.push(only("the backend crashes", crashes([0, 0, 1], CALM)));
    all.push(only("two crashes of the machine", crashes([2, 0, 0], CALM)));
    all.push(only("two crashes of the backend", crashes([0, 0, 2], CALM)));
    all.push(only("any number of crashes of the machine", any_crashes([ANY, 0, 0], CALM)));
    all.push(only("any number of crashes of the relay", any_crashes([0, ANY, 0], CALM)));
    all.push(rests(only("any number of crashes of the backend", any_crashes([0, 0, ANY], CALM))));
    all.push(only("any number of crashes of machine and relay", any_crashes([ANY, ANY, 0], CALM)));
    all.push(rests(only("any number of crashes of relay and backend", any_crashes([0, ANY, ANY], CALM))));
    all.push(rests(only("a crash of each program", crashes([1; 3], CALM))));
    let fault_each = Budget { faults: [1; 5], ..CALM };
    all.push(wild("", CALM, fault_each));
    all.push(wild("any number of crashes of each program, ", any_crashes([ANY; 3], CALM), crashes([1; 3], CALM)));
    all.push(wild("all late money, ", ALL_LATE, Budget { faults: fault(Channel::Http as usize), ..LATE }));
    all.push(beside_others("", CALM, CALM));
    all.push(only("a crash each of machine and relay", crashes([1, 1, 0], CALM)));
    all.push(only("a crash each of relay and backend", crashes([0, 1, 1], CALM)));
    all.push(only("late money, a refund at Midtrans", Budget { refunds: 1, ..LATE }));
    for (channel, name) in CHANNELS.into_iter().enumerate() {
        all.push(only(&format!("late money, a fault on {name}"), Budget { faults: fault(channel), ..LATE }));
    }
    all.push(two("nothing wrong", CALM));
    for (program, name) in PROGRAMS.into_iter().enumerate() {
        all.push(only(&format!("late money, a crash of the {name}"), crashes(crash(program), LATE)));
    }
    all
}

/// The first of these end. The others have not been seen to end. Each goes as far as its bound, and says how far that was.
fn long() -> Vec<Scenario> {
    let one_crash = Budget { crashes_in_all: 1, ..crashes([1; 3], CALM) };
    let mut all = vec![
        wild("all late money, any number of crashes of each program, ", any_crashes([ANY; 3], ALL_LATE), crashes([1; 3], LATE)),
        wild("all late money and refunds at Midtrans, ", Budget { refunds: ANY, ..ALL_LATE }, Budget { refunds: 1, ..LATE }),
        beside_others("any number of crashes of each program, ", any_crashes([ANY; 3], CALM), one_crash.clone()),
        // The narrower search has late money, too. Without late money it would merge worlds that late money could still make
        // different.
        beside_others(
            "all late money, any number of crashes of each program, ",
            any_crashes([ANY; 3], ALL_LATE),
            Budget { late_payments: 1, ..CALM },
        ),
        only("a crash each of machine and backend", crashes([1, 0, 1], CALM)),
        rests(only("two crashes of each program", crashes([2; 3], CALM))),
        rests(only("any number of crashes of machine and backend", any_crashes([ANY, 0, ANY], CALM))),
        rests(only("any number of crashes of each program", any_crashes([ANY; 3], CALM))),
        two("one crash", one_crash),
        two("late money", Budget { cancels: [1, 1], ..LATE }),
        only("late money, a crash each of machine and relay", crashes([1, 1, 0], LATE)),
        only("late money, a crash each of relay and backend", crashes([0, 1, 1], LATE)),
        only("late money, two crashes of the machine", crashes([2, 0, 0], LATE)),
        rests(only("late money, a crash of each program", crashes([1; 3], LATE))),
        rests(only("late money, a fault on each channel", Budget { faults: [1; 5], ..LATE })),
    ];
    let mut unseen = vec![
        rests(only("late money, two crashes of each program", crashes([2; 3], LATE))),
        rests(two("late money in both, one crash", Budget { cancels: [1, 1], crashes_in_all: 1, ..crashes([1; 3], LATE) })),
    ];
    unseen.extend(scenarios(Effort::Walk));
    all.extend(unseen.into_iter().map(|scenario| Scenario { entries_max: ENTRIES_BOUND, bounded: true, ..scenario }));
    all
}
