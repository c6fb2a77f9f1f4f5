//! `--check`, `--version`, `--help`, and wrong use of every program; the shipped examples are good.

use crate::rig::shop::Program;
use crate::rig::{command, output, source_text, stderr};
use qris::order::keys::{SigningKey, jwk_set};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

const PROGRAMS: [(Program, &str); 3] =
    [(Program::Qrisd, "config/qrisd.toml"), (Program::Relayd, "config/relay.toml"), (Program::Backend, "config/backend.toml")];

/// The shipped examples with every file they name, in a directory of our own.
fn examples(directory: &Path) {
    let at = |name: &str| directory.join(name);
    let key = SigningKey::from_seed([3; 32]);
    std::fs::write(at("keys.json"), jwk_set(&[key.to_public_jwk("pay.example")])).expect("written");
    std::fs::write(at("signing-key.json"), key.to_private_jwk()).expect("written");
    for (name, secret) in [("mqtt-password", "secret"), ("backend-token", "secret"), ("midtrans-server-key", "SB-Mid-server-example")] {
        std::fs::write(at(name), secret).expect("written");
        mode(&at(name), 0o600);
    }
    mode(&at("signing-key.json"), 0o600);
    for (_, path) in PROGRAMS {
        let root = directory.display().to_string();
        let text = source_text(path).replace("/etc/qrisd/", &format!("{root}/")).replace("/etc/qris-backend/", &format!("{root}/"));
        let text = text.replace("/var/lib/qrisd/", &format!("{root}/")).replace("/var/lib/qris-relay/", &format!("{root}/"));
        let text = text.replace("/var/lib/qris-backend/", &format!("{root}/"));
        // Which chips this computer has is not the question.
        let text = text
            .replace("chip = \"pinctrl-bcm2711\"  # its label; or", &format!("chip = \"sim:{root}/line.log\"  # its label; or"))
            .replace("\noffset = 17\n", "\n");
        std::fs::write(at(path.rsplit('/').next().expect("a name")), text).expect("written");
    }
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
}

/// The examples, one of which is changed; its path.
fn changed(directory: &Path, file: &str, changes: &[(&str, &str)]) -> PathBuf {
    examples(directory);
    let path = directory.join(file);
    let mut text = std::fs::read_to_string(&path).expect("there");
    for (good, bad) in changes {
        assert!(text.contains(good), "{file}: {good}");
        text = text.replacen(good, bad, 1);
    }
    std::fs::write(&path, text).expect("written");
    path
}

fn check(program: Program, file: &Path) -> Output {
    output(command(program.binary()).arg("--config").arg(file).arg("--check"))
}

#[test]
fn the_shipped_examples_are_good() {
    let directory = tempfile::tempdir().expect("a directory");
    examples(directory.path());
    for (program, path) in PROGRAMS {
        let file = directory.path().join(path.rsplit('/').next().expect("a name"));
        let checked = check(program, &file);
        assert_eq!(checked.status.code(), Some(0), "{path}: {}", stderr(&checked));
    }
}

#[test]
fn more_connections_than_the_process_may_have_descriptors_are_told() {
    let directory = tempfile::tempdir().expect("a directory");
    examples(directory.path());
    let file = directory.path().join("backend.toml");
    let check = |limits: &str| {
        let script = format!("ulimit {limits} && exec \"$0\" --config \"$1\" --check");
        output(command("/bin/sh").args(["-c", &script]).arg(Program::Backend.binary()).arg(&file))
    };
    // A soft limit it raises by itself.
    assert_eq!(check("-S -n 256").status.code(), Some(0));
    let few = check("-n 1024");
    assert_eq!(few.status.code(), Some(2));
    let said = "http.connections: needs 1280 file descriptors, 256 of them for other files; the limit is 1024";
    assert!(stderr(&few).contains(said) && stderr(&few).contains("LimitNOFILE"), "{}", stderr(&few));
}

#[test]
fn what_is_wrong_is_told_at_once_however_it_is_wrong() {
    /// A program, its file, what is changed in it, and what is told then.
    type Row = (Program, &'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);
    const UNKNOWN: (&str, &str) = ("[device]\n", "[device]\ncolour = 1\n");
    let table: [Row; 3] = [
        (
            Program::Qrisd,
            "qrisd.toml",
            &[UNKNOWN, ("[screen]\n", "[screen]\nrotation = 90\n"), ("rotate = 0", "rotate = 45"), ("price = 5000", "price = \"5000\"")],
            &["device.colour: unknown", "screen.rotation: unknown", "screen.rotate: must be", "item[0].price: "],
        ),
        (
            Program::Relayd,
            "relay.toml",
            &[UNKNOWN, ("pulse_ms = 500", "pulse_ms = 0\nspeed = 1"), ("min_amount = 5000", "min_amount = \"5000\"")],
            &["device.colour: unknown", "line[0].pulse_ms: ", "line[0].speed: unknown", "line[0].min_amount: "],
        ),
        (
            Program::Backend,
            "backend.toml",
            &[
                ("[http]\n", "[http]\ncolour = 1\n"),
                ("charge_as = \"gopay\"", "charge_as = \"cash\""),
                ("# connections = 1024", "connections = 8000"),
                ("# proxies = [\"127.0.0.1\", \"::1\"]", "proxies = [\"proxy.example\"]"),
                ("[store]\n", "[[alert]]\nx = 1\n[store]\n"),
            ],
            &[
                "http.colour: unknown",
                "http.connections: ",
                "http.proxies: ",
                "midtrans.charge_as: ",
                "alert: unknown",
                "midtrans.server_key_file: ",
                "receipts.signing_key_file: ",
            ],
        ),
    ];
    for (program, file, changes, told) in table {
        let directory = tempfile::tempdir().expect("a directory");
        let path = changed(directory.path(), file, changes);
        if file == "backend.toml" {
            for secret in ["midtrans-server-key", "signing-key.json"] {
                std::fs::remove_file(directory.path().join(secret)).expect("removed");
            }
        }
        let checked = check(program, &path);
        assert_eq!(checked.status.code(), Some(2), "{file}: {}", stderr(&checked));
        for told in told {
            assert!(stderr(&checked).contains(told), "{file}: no {told:?} in\n{}", stderr(&checked));
        }
        // What could not be read is not called missing besides.
        assert!(!stderr(&checked).contains("is missing"), "{file}: {}", stderr(&checked));
    }
}

#[test]
fn the_server_key_goes_to_midtrans_and_to_nobody_else() {
    let host = "https://api.sandbox.midtrans.com";
    let allowed = "https://api.sandbox.midtrans.co\"\nallow_other_host = true\n# \"";
    let table: [(&str, &str, Option<&str>); 14] = [
        (host, "SB-Mid-server-example", None),
        // Newer accounts have such keys in the sandbox, too.
        (host, "Mid-server-example", None),
        ("https://api.midtrans.com/", "Mid-server-example", None),
        ("https://api.midtrans.com", "SB-Mid-server-example", Some("midtrans.server_key_file: is a key of the sandbox")),
        (host, "SB-Mid-client-example", Some("midtrans.server_key_file: is a client key")),
        (host, "Mid-client-example", Some("midtrans.server_key_file: is a client key")),
        (host, "SB-Mid-server-exa mple", Some("midtrans.server_key_file: holds a space")),
        (host, " SB-Mid-server-example", Some("midtrans.server_key_file: holds a space")),
        (host, "SB-Mid-server-example\n\n", Some("midtrans.server_key_file: holds a space")),
        ("https://api.sandbox.midtrans.co", "SB-Mid-server-example", Some("midtrans.base_url: is not an address of Midtrans")),
        ("https://api.midtrans.com.example", "Mid-server-example", Some("midtrans.base_url: is not an address of Midtrans")),
        ("https://api.midtrans.com:8443", "Mid-server-example", Some("midtrans.base_url: is not an address of Midtrans")),
        ("http://127.0.0.1:8181", "SB-Mid-server-example", Some("midtrans.base_url: is not an address of Midtrans")),
        (allowed, "SB-Mid-server-example", None),
    ];
    for (url, key, told) in table {
        let directory = tempfile::tempdir().expect("a directory");
        let path = changed(directory.path(), "backend.toml", &[(host, url)]);
        std::fs::write(directory.path().join("midtrans-server-key"), key).expect("written");
        let checked = check(Program::Backend, &path);
        let said = stderr(&checked);
        assert_eq!(checked.status.code(), Some(if told.is_some() { 2 } else { 0 }), "{url} {key}: {said}");
        assert!(told.is_none_or(|told| said.contains(told)), "{url} {key}: {said}");
        assert!(!said.contains("example\n") && !said.contains("-exa"), "the key itself is never told: {said}");
        if told.is_some() {
            let served = output(command(Program::Backend.binary()).arg("--config").arg(&path).arg("serve"));
            assert_eq!(served.status.code(), Some(2), "{url} {key}: it serves with that");
        }
    }
}

#[test]
fn a_secret_that_everybody_can_read_is_none() {
    for (program, file, secret, key) in [
        (Program::Qrisd, "qrisd.toml", "backend-token", "backend.token_file"),
        (Program::Qrisd, "qrisd.toml", "mqtt-password", "mqtt.password_file"),
        (Program::Backend, "backend.toml", "midtrans-server-key", "midtrans.server_key_file"),
        (Program::Backend, "backend.toml", "signing-key.json", "receipts.signing_key_file"),
        (Program::Backend, "backend.toml", "mqtt-password", "mqtt.password_file"),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = changed(directory.path(), file, &[]);
        let secret = directory.path().join(secret);
        mode(&secret, 0o640);
        assert_eq!(check(program, &path).status.code(), Some(0), "its group may");
        mode(&secret, 0o644);
        let checked = check(program, &path);
        let told = stderr(&checked);
        assert_eq!(checked.status.code(), Some(2), "{}: {told}", secret.display());
        assert!(told.contains(key) && told.contains("everybody") && told.contains("chmod o="), "{told}");
    }
}

#[test]
fn a_machine_that_nobody_can_call_for_is_remarked() {
    for (program, file, key) in [(Program::Qrisd, "qrisd.toml", "screen.contact"), (Program::Backend, "backend.toml", "customer.contact")] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = changed(directory.path(), file, &[]);
        let checked = check(program, &path);
        let told = stderr(&checked);
        assert_eq!(checked.status.code(), Some(0), "it could run: {told}");
        assert!(told.contains(&format!("{key}: is missing")) && told.contains("customers need somebody"), "{told}");
        let text = std::fs::read_to_string(&path).expect("there");
        std::fs::write(&path, text.replacen("# contact = ", "contact = ", 1)).expect("written");
        let checked = check(program, &path);
        assert_eq!((checked.status.code(), stderr(&checked)), (Some(0), String::new()), "{file}");
    }
}

#[test]
fn a_chip_that_is_not_there_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    examples(directory.path());
    let path = directory.path().join("relay.toml");
    let text = std::fs::read_to_string(&path).expect("there");
    let button = "\n[[button]]\nitem = \"A1\"\nchip = \"no-such-chip\"\noffset = 1\n";
    std::fs::write(&path, text + button).expect("written");
    let checked = check(Program::Relayd, &path);
    assert_eq!(checked.status.code(), Some(2), "{}", stderr(&checked));
    assert!(stderr(&checked).contains("button[0].chip: there is no GPIO chip \"no-such-chip\"; there is "), "{}", stderr(&checked));
}

#[test]
fn every_program_tells_its_version_and_its_use() {
    for (program, binary, option) in [
        ("qrisd", env!("CARGO_BIN_EXE_qrisd"), "--config"),
        ("qris-relayd", env!("CARGO_BIN_EXE_qris-relayd"), "--config"),
        ("qris-backend", env!("CARGO_BIN_EXE_qris-backend"), "--config"),
        ("qrisctl", env!("CARGO_BIN_EXE_qrisctl"), "--config"),
        ("qris-demo", env!("CARGO_BIN_EXE_qris-demo"), "--script"),
    ] {
        let run = |argument: &str| output(command(binary).arg(argument));
        let version = run("--version");
        assert_eq!(version.status.code(), Some(0));
        assert_eq!(String::from_utf8_lossy(&version.stdout), format!("{program} {}\n", env!("CARGO_PKG_VERSION")));
        let help = run("--help");
        assert_eq!(help.status.code(), Some(0));
        let use_of_it = String::from_utf8_lossy(&help.stdout).into_owned();
        assert!(use_of_it.contains(&format!("Usage: {program}")) && use_of_it.contains(option), "{use_of_it}");
        let wrong = run("--nonsense");
        assert_eq!(wrong.status.code(), Some(2));
        assert!(stderr(&wrong).contains("--nonsense"), "{}", stderr(&wrong));
    }
    for (program, _) in PROGRAMS {
        let missing = output(command(program.binary()).args(["--config", "/nowhere/at-all.toml", "--check"]));
        assert_eq!(missing.status.code(), Some(2));
        assert!(stderr(&missing).contains("/nowhere/at-all.toml"));
    }
}
