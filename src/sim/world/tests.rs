use super::run;

#[test]
fn a_seed_repeats_byte_for_byte() {
    let place = tempfile::tempdir().expect("a directory");
    let traces: Vec<String> = (0..2).map(|_| run(7, place.path()).expect("a directory").trace).collect();
    assert!(traces[0].len() > 1_000);
    assert_eq!(traces[0], traces[1]);
}

#[test]
fn a_few_seeds_keep_the_promise() {
    let place = tempfile::tempdir().expect("a directory");
    for seed in 1..=12 {
        let report = run(seed, place.path()).expect("a directory");
        if let Some(why) = report.failure {
            let last: Vec<&str> = report.trace.lines().rev().take(150).collect();
            panic!("seed {seed}: {why}\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}
