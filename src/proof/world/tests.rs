use super::{Counts, Kind, run};

mod week;

/// A seed must repeat. The newer parts of it (disks, cards, a second machine) must depend on nothing but the seed.
const MUST_HAPPEN: [Kind; 12] = [
    Kind::MidCommit,
    Kind::Unsynced,
    Kind::DiskFull,
    Kind::ReadOnly,
    Kind::DiskError,
    Kind::SyncFails,
    Kind::ScreenGone,
    Kind::Stores,
    Kind::Ledgers,
    Kind::Forged,
    Kind::Strangers,
    Kind::OverCounter,
];

#[test]
fn a_seed_repeats_byte_for_byte() {
    let place = tempfile::tempdir().expect("a directory");
    let mut counts = Counts::default();
    for seed in REPEATED {
        let [first, second] = [0, 1].map(|_| run(seed, place.path()).expect("a directory"));
        assert!(first.trace.len() > 1_000);
        let differ = first.trace.lines().zip(second.trace.lines()).find(|(one, other)| one != other);
        assert_eq!(differ, None, "seed {seed}");
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first.counts, second.counts, "seed {seed}");
        counts.add(&first.counts);
    }
    for kind in MUST_HAPPEN {
        assert!(counts.of(kind) > 0, "{kind:?} is not among what was repeated: take other seeds");
    }
}

/// So many seeds that each of those parts occurs.
const REPEATED: std::ops::RangeInclusive<u64> = 1..=16;

/// `QRIS_SEEDS` asks for more.
#[test]
fn a_few_seeds_keep_the_promise() {
    let seeds = std::env::var("QRIS_SEEDS").map_or(12, |seeds| seeds.parse().expect("QRIS_SEEDS is a number"));
    let place = tempfile::tempdir().expect("a directory");
    for seed in 1..=seeds {
        let report = run(seed, place.path()).expect("a directory");
        if let Some(why) = report.failure {
            let last: Vec<&str> = report.trace.lines().rev().take(150).collect();
            panic!("seed {seed}: {why}\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}
