//! What is searched: the short ones with every test run, the long ones by `model --long`.

use super::{Budget, Scenario};

/// Nothing goes wrong, and nobody changes their mind.
const CALM: Budget = Budget {
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
};

/// A cancel, and money that comes after its charge was denied, cancelled or expired.
const LATE: Budget = Budget { cancels: [1, 0], late_payments: 1, denials: 1, ..CALM };

/// The names of the channels, in the order of a budget's faults.
const CHANNELS: [&str; 5] = ["bus", "http", "push", "midtrans", "notices"];

fn fault(channel: usize) -> [u8; 5] {
    let mut faults = [0; 5];
    faults[channel] = 1;
    faults
}

/// Every scenario; with `long` those that take minutes in a release build.
#[must_use]
pub fn scenarios(long: bool) -> Vec<Scenario> {
    let one = |name: String, budget: Budget| Scenario { name, orders: 1, budget, worlds_max: 8_000_000 };
    let two = |name: String, budget: Budget| Scenario { orders: 2, ..one(name, budget) };
    let crashes = |machine: u8, relay: u8, backend: u8| [machine, relay, backend];
    let mut all = vec![
        one("one order, nothing wrong".into(), CALM),
        one("one order, late money, a mismatch, a jam".into(), Budget { mismatches: 1, jams: 1, ..LATE }),
        one("one order, a charge denied".into(), Budget { charge_denials: 1, ..CALM }),
        one("one order, the machine crashes".into(), Budget { crashes: crashes(1, 0, 0), crashes_in_all: 1, ..CALM }),
        one(
            "one order, the relay crashes or loses its ledger".into(),
            Budget { crashes: crashes(0, 1, 0), crashes_in_all: 1, ledgers: 1, ..CALM },
        ),
    ];
    if long {
        all.extend([
            one("one order, the backend crashes".into(), Budget { crashes: crashes(0, 0, 1), crashes_in_all: 1, ..CALM }),
            one("one order, the power is cut".into(), Budget { crashes: crashes(1, 1, 0), crashes_in_all: 1, ..CALM }),
        ]);
        for (channel, name) in CHANNELS.into_iter().enumerate() {
            all.push(one(format!("one order, a fault on {name}"), Budget { faults: fault(channel), ..CALM }));
        }
        for (channel, name) in CHANNELS.into_iter().enumerate() {
            all.push(one(format!("one order, late money, a fault on {name}"), Budget { faults: fault(channel), ..LATE }));
        }
        for (name, crashes) in [("machine", [2, 0, 0]), ("relay", [0, 2, 0]), ("backend", [0, 0, 2]), ("power", [2, 2, 0])] {
            let budget = Budget { crashes, crashes_in_all: 2, late_payments: 1, ledgers: 1, ..CALM };
            all.push(one(format!("one order, late money, two crashes: {name}"), budget));
        }
        let everything = Budget { crashes: [1, 1, 1], crashes_in_all: 2, late_payments: 1, ..CALM };
        all.push(one("one order, late money, two crashes of any".into(), everything));
        all.push(one("one order, a fault on each channel".into(), Budget { faults: [1; 5], ..CALM }));
        all.push(two("two orders, late money".into(), Budget { late_payments: 1, ..CALM }));
        all.push(two("two orders, one crash".into(), Budget { crashes: [1; 3], crashes_in_all: 1, ..CALM }));
        all.push(two("two orders, a cancel, one crash".into(), Budget { cancels: [1, 1], crashes: [1; 3], crashes_in_all: 1, ..CALM }));
    }
    all
}
