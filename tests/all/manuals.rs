//! The manual pages and completions that packages take: made from the commands, so they name what the commands take.

use crate::rig::{command, succeed, tool};

#[test]
fn every_option_of_every_program_has_its_place() {
    let directory = tempfile::tempdir().expect("a directory");
    let programs = [
        ("qrisd", "8", env!("CARGO_BIN_EXE_qrisd")),
        ("qris-relayd", "8", env!("CARGO_BIN_EXE_qris-relayd")),
        ("qris-backend", "8", env!("CARGO_BIN_EXE_qris-backend")),
        ("qrisctl", "1", env!("CARGO_BIN_EXE_qrisctl")),
    ];
    succeed(command(env!("CARGO_BIN_EXE_qris-demo")).arg("manuals").arg(directory.path()));
    let read = |path: String| std::fs::read_to_string(directory.path().join(&path)).unwrap_or_else(|why| panic!("{path}: {why}"));
    for (name, section, binary) in programs {
        let page = read(format!("man/{name}.{section}"));
        let completions =
            [format!("{name}.bash"), format!("_{name}"), format!("{name}.fish")].map(|file| read(format!("completions/{file}")));
        let help = succeed(command(binary).arg("--help"));
        let options = help
            .lines()
            .filter(|line| line.trim_start().starts_with('-'))
            .flat_map(str::split_whitespace)
            .filter(|word| word.starts_with("--"))
            .map(|word| word.trim_end_matches(','));
        let mut count = 0;
        for option in options.map(|option| &option[2..]).filter(|option| option.chars().all(|c| c.is_ascii_lowercase() || c == '-')) {
            assert!(page.contains(&format!("\\-\\-{}", option.replace('-', "\\-"))), "{name}.{section} lacks --{option}:\n{page}");
            for completion in &completions {
                assert!(completion.contains(option), "a completion of {name} lacks --{option}");
            }
            count += 1;
        }
        assert!(count >= 3, "{help}");
    }
    // Each exit status that a command can end with stands in its own page.
    for (page, told) in [
        ("qrisctl-setup.1", &["1\na check is bad", "2\nwrong use", "128 + signal\nwhere a signal (Ctrl\\-C) ended it"][..]),
        ("qrisctl-doctor.1", &["1\nsomething is bad", "128 + signal\n"]),
        ("qrisctl.1", &["1\nfailed, refused or ended otherwise"]),
        ("qrisctl-relay-lines.1", &["0\ndone\n", "1\nfailed\n", "2\nwrong use"]),
        ("qrisd.8", &["0\ndone, also after SIGTERM"]),
        ("qris-backend-serve.8", &["0\ndone, also after SIGTERM"]),
        ("qris-backend-reconcile.8", &["0\ndone\n", "1\nfailed or refused, or a difference"]),
    ] {
        let text = read(format!("man/{page}"));
        let told_of = text.split_once("EXIT STATUS").map(|(_, rest)| rest).unwrap_or_default();
        for words in told {
            assert!(told_of.contains(&format!("\n{words}")), "{page} does not tell {words:?}:\n{told_of}");
        }
    }
    // What is no service is sent no signals.
    for (page, is_service) in
        [("qris-backend.8", true), ("qris-backend-serve.8", true), ("qris-backend-orders.8", false), ("qrisctl.1", false)]
    {
        assert_eq!(read(format!("man/{page}")).contains("SIGHUP"), is_service, "{page}");
    }
    // A pulse that is cut short is not nothing.
    assert!(read("man/qris-relayd.8".into()).contains("its order becomes uncertain"));
    // Each kind at which a person must look is named.
    assert!(read("man/qris-backend-orders.8".into()).contains("no_proof"));
    // A shell takes them.
    succeed(command(tool("bash")).arg("-n").arg(directory.path().join("completions/qrisctl.bash")));
}
