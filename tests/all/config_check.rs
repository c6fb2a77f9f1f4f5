//! `--check`, `--version`, `--help`, and wrong use of every program; the shipped examples are good.

use crate::rig::shop::Program;
use crate::rig::{command, output, source_text};
use qris::order::receipt::{SigningKey, jwk_set};
use std::path::Path;
use std::process::Output;

const PROGRAMS: [(Program, &str); 3] =
    [(Program::Qrisd, "config/qrisd.toml"), (Program::Relayd, "config/relay.toml"), (Program::Backend, "config/backend.toml")];

/// The shipped examples with every file they name, in a directory of our own.
fn examples(directory: &Path) {
    let at = |name: &str| directory.join(name);
    let key = SigningKey::from_seed([3; 32]);
    std::fs::write(at("keys.json"), jwk_set(&[key.to_public_jwk("pay.example")])).expect("written");
    std::fs::write(at("signing-key.json"), key.to_private_jwk()).expect("written");
    for secret in ["mqtt-password", "backend-token", "midtrans-server-key"] {
        std::fs::write(at(secret), "secret\n").expect("written");
    }
    for (_, path) in PROGRAMS {
        let root = directory.display().to_string();
        let text = source_text(path).replace("/etc/qrisd/", &format!("{root}/")).replace("/etc/qris-backend/", &format!("{root}/"));
        let text = text.replace("/var/lib/qrisd/", &format!("{root}/")).replace("/var/lib/qris-relay/", &format!("{root}/"));
        let text = text.replace("/var/lib/qris-backend/", &format!("{root}/"));
        std::fs::write(at(path.rsplit('/').next().expect("a name")), text).expect("written");
    }
}

fn check(program: Program, file: &Path) -> Output {
    output(command(program.binary()).arg("--config").arg(file).arg("--check"))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
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
fn what_is_wrong_is_told_with_file_line_and_key() {
    let table = [
        (Program::Qrisd, "qrisd.toml", "language = \"id\"", "language = \"fr\"", "device.language"),
        (Program::Qrisd, "qrisd.toml", "name = \"Lobby\"", "nmae = \"Lobby\"", "device.nmae"),
        (Program::Qrisd, "qrisd.toml", "mqtts://broker.example:8883", "mqtt://broker.example:1883", "mqtt.url"),
        (Program::Qrisd, "qrisd.toml", "https://pay.example", "http://pay.example", "backend.url"),
        (Program::Qrisd, "qrisd.toml", "rotate = 0", "rotate = 45", "screen.rotate"),
        (Program::Qrisd, "qrisd.toml", "id = \"A2\"", "id = \"A1\"", "item"),
        (Program::Relayd, "relay.toml", "pulse_ms = 500", "pulse_ms = 0", "pulse_ms"),
        (Program::Relayd, "relay.toml", "min_amount = 5000", "min_amount = \"5000\"", "min_amount"),
        (Program::Relayd, "relay.toml", "id = \"vm-001\"", "id = \"vm-002\"", "device.id"),
        (Program::Relayd, "relay.toml", "items = [\"A1\", \"A2\"]", "items = [\"A1\"]", "A2"),
        (Program::Backend, "backend.toml", "charge_as = \"gopay\"", "charge_as = \"cash\"", "midtrans.charge_as"),
        (Program::Backend, "backend.toml", "listen = \"127.0.0.1:8080\"", "listen = \"8080\"", "http.listen"),
    ];
    for (program, file, good, bad, told) in table {
        let directory = tempfile::tempdir().expect("a directory");
        examples(directory.path());
        let path = directory.path().join(file);
        let text = std::fs::read_to_string(&path).expect("there");
        assert!(text.contains(good), "{file}: {good}");
        std::fs::write(&path, text.replacen(good, bad, 1)).expect("written");
        let checked = check(program, &path);
        assert_eq!(checked.status.code(), Some(2), "{file} with {bad}: {}", stderr(&checked));
        assert!(stderr(&checked).contains(told) && stderr(&checked).contains(file), "{file} with {bad}: {}", stderr(&checked));
    }
}

#[test]
fn a_missing_secret_is_named_and_never_told() {
    for (program, file, secret) in [
        (Program::Qrisd, "qrisd.toml", "backend-token"),
        (Program::Qrisd, "qrisd.toml", "mqtt-password"),
        (Program::Backend, "backend.toml", "midtrans-server-key"),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        examples(directory.path());
        std::fs::remove_file(directory.path().join(secret)).expect("removed");
        let checked = check(program, &directory.path().join(file));
        assert_eq!(checked.status.code(), Some(2));
        assert!(stderr(&checked).contains(secret), "{}", stderr(&checked));
    }
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
