//! The manual pages and completions that packages take: made from the commands, so they name what the commands take.

use crate::rig::mosquitto::password;
use crate::rig::shop::{DEVICE, Options, Shop};
use crate::rig::{command, succeed, tool, wait_for};
use std::path::Path;

#[test]
fn every_option_of_every_program_has_its_place() {
    let directory = tempfile::tempdir().expect("a directory");
    let programs = [
        ("qrisd", "8", env!("CARGO_BIN_EXE_qrisd")),
        ("qris-relayd", "8", env!("CARGO_BIN_EXE_qris-relayd")),
        ("qris-backend", "8", env!("CARGO_BIN_EXE_qris-backend")),
        ("qrisctl", "1", env!("CARGO_BIN_EXE_qrisctl")),
    ];
    succeed(command(env!("CARGO_BIN_EXE_qris-tools")).arg("manuals").arg(directory.path()));
    let read = |path: String| std::fs::read_to_string(directory.path().join(&path)).unwrap_or_else(|why| panic!("{path}: {why}"));
    for (name, section, binary) in programs {
        let page = read(format!("man/{name}.{section}"));
        let files = [format!("{name}.bash"), format!("_{name}"), format!("{name}.fish")];
        let mut completions = files.map(|file| read(format!("completions/{file}"))).to_vec();
        if name == "qrisctl" {
            assert!(completions.iter().all(|script| script.contains("QRISCTL_COMPLETE")), "it is asked by every shell");
            completions = vec![completed(directory.path(), None, &["--"]).join("\n")];
        }
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
    // What an option takes stands where the command is summed up.
    for (page, call) in [
        ("qrisd.8", "qrisd [--config FILE]"),
        ("qrisctl-cancel.1", "qrisctl cancel [--device ID]"),
        ("qris-backend-refund.8", "qris-backend refund"),
    ] {
        let text = read(format!("man/{page}"));
        let plain = ["\\fB", "\\fI", "\\fR"].iter().fold(text.replace("\\-", "-"), |text, sign| text.replace(sign, ""));
        assert!(plain.lines().any(|line| line.starts_with(call)), "{page} does not say {call}:\n{plain}");
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
    // A command of its own has a page of its own, and what it does is shown.
    for (page, example) in [
        ("qrisd.8", "qrisd \\-\\-check"),
        ("qrisctl-vend.1", "qrisctl vend \\-\\-device vm\\-001 \\-\\-item A1 \\-\\-wait"),
        ("qris-backend-device-invite.8", "qris\\-backend device invite vm\\-001"),
    ] {
        let text = read(format!("man/{page}"));
        let shown = text.split_once("EXAMPLES").map(|(_, rest)| rest).unwrap_or_default();
        assert!(shown.contains(example), "{page} does not show {example:?}:\n{text}");
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
}

#[test]
fn the_page_of_a_file_has_each_of_its_keys() {
    let directory = tempfile::tempdir().expect("a directory");
    succeed(command(env!("CARGO_BIN_EXE_qris-tools")).arg("manuals").arg(directory.path()));
    let read = |file: &str| std::fs::read_to_string(directory.path().join(format!("man/{file}.5"))).expect(file).replace("\\-", "-");
    for (file, told) in [
        ("qrisd.toml", "\\fBorders.timeout_s\\fR\n10–840 s; default: 120. Also from afar. how long a QR is on the screen"),
        ("relay.toml", "\\fBline.pulse_ms\\fR\n1–120,000 ms; required. one pulse"),
        ("backend.toml", "\\fBmqtt.username, mqtt.password_file\\fR\ntext, secret; default: none. a password"),
    ] {
        let page = read(file);
        assert!(page.contains(told), "{file}: {page}");
    }
}

/// Each example is a call of its command that the program would take.
#[test]
fn every_command_has_examples_that_can_be_called() {
    for program in [qris::ctl::definition(), qris::backend::definition(), qris::demo::definition(), qris::tools::definition()] {
        let name = program.get_name().to_owned();
        let mut whole = program.clone();
        whole.build();
        examples_of(&program, &whole, &name);
    }
    for usage in [qris::device::USAGE, qris::relay::USAGE] {
        let own = usage.examples.iter().filter(|(_, command)| command.starts_with(usage.program));
        let read = own.inspect(|(_, command)| drop(usage.read(command.split(' ').map(Into::into)).expect(command))).count();
        assert!(read >= 2, "{}", usage.program);
    }
}

/// Reads the examples of a command, named by its words, and of those below it.
fn examples_of(program: &clap::Command, command: &clap::Command, words: &str) {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let told = help.split_once("Examples:\n").map(|(_, told)| told.split("\n\n").next().expect("the first part"));
    let told = told.unwrap_or_else(|| panic!("{words} has no examples"));
    for example in told.lines().skip(1).step_by(2).map(str::trim) {
        let call = example.strip_prefix("sudo ").unwrap_or(example);
        assert!(call.starts_with(words), "{example:?} is no example of {words}");
        let words = crate::wrong_use::split(call);
        if let Err(why) = program.clone().try_get_matches_from(words) {
            panic!("{example:?}: {why}");
        }
    }
    for below in command.get_subcommands().filter(|below| below.get_name() != "help" && !below.is_hide_set()) {
        examples_of(program, below, &format!("{words} {}", below.get_name()));
    }
}

#[test]
fn the_shell_knows_commands_and_the_machines_of_a_fleet() {
    let shop = Shop::open(Options::default());
    let directory = tempfile::tempdir().expect("a directory");
    succeed(command(env!("CARGO_BIN_EXE_qris-tools")).arg("manuals").arg(directory.path()));
    let secret = directory.path().join("password");
    std::fs::write(&secret, password("fleet")).expect("written");
    let config = directory.path().join("fleet.toml");
    let keys =
        |port| format!("[mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\nusername = \"fleet\"\npassword_file = \"{}\"\n", secret.display());
    std::fs::write(&config, keys(shop.broker.port)).expect("written");
    let known = |words: &[&str]| completed(directory.path(), Some(&config), words);
    assert_eq!(known(&["fleet", "config", "d"]), ["diff"]);
    for words in [&["fleet", "show", "--device", ""][..], &["status", "--device", "vm"], &["vend", "--item", "A1", "--device", "v"]] {
        // A broker that does not answer in 2 s completes nothing: whoever types asks again.
        let told = wait_for("a completion", || Some(known(words)).filter(|told| !told.is_empty()));
        assert_eq!(told, [DEVICE], "{words:?}");
    }
    assert_eq!(known(&["status", "--device", "x"]), [""; 0]);
    let wrong = crate::rig::output(command(env!("CARGO_BIN_EXE_qrisctl")).args(["status"]).env("QRISCTL_COMPLETE", "no-shell"));
    assert!(!wrong.status.success(), "what is not done is not told as done");
    let named = config.to_str().expect("text");
    let of_named = || completed(directory.path(), None, &["--config", named, "watch", "--device", ""]);
    assert_eq!(wait_for("a completion", || Some(of_named()).filter(|told| !told.is_empty())), [DEVICE]);
    std::fs::write(&config, keys(crate::rig::free_port())).expect("written");
    assert_eq!(known(&["status", "--device", ""]), [""; 0], "nobody is there, and nothing is said");
}

/// What bash completes after these words of `qrisctl`, with its script.
fn completed(directory: &Path, config: Option<&Path>, words: &[&str]) -> Vec<String> {
    let script = "source \"$0\"; COMP_WORDS=(qrisctl \"$@\"); COMP_CWORD=$#; COMP_TYPE=9
        _clap_complete_qrisctl qrisctl \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD - 1]}\" 2>&1
        for reply in \"${COMPREPLY[@]}\"; do printf '%s\\n' \"$reply\"; done";
    let mut bash = command(tool("bash"));
    bash.arg("-c").arg(script).arg(directory.join("completions/qrisctl.bash")).args(words);
    let programs = Path::new(env!("CARGO_BIN_EXE_qrisctl")).parent().expect("a directory");
    bash.env("PATH", format!("{}:/usr/bin:/bin", programs.display())).env("HOME", directory);
    bash.env("QRISCTL_CONFIG", config.unwrap_or(Path::new("")));
    succeed(&mut bash).lines().map(|line| line.trim().to_owned()).collect()
}
