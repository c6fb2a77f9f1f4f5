//! The files for the merchant's side in containers agree with the examples that other tests try. `tests/container` builds and
//! starts the image.

use crate::rig::shop::Program;
use crate::rig::{command, output, source_text, stderr};
use qris::order::keys::SigningKey;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn the_broker_in_a_container_has_the_settings_of_the_example() {
    let settings = |path: &str| -> Vec<String> {
        let text = source_text(path);
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(String::from).collect()
    };
    let (example, contained) = (settings("config/mosquitto.conf"), settings("packaging/container/mosquitto.conf"));
    let names = |lines: &[String]| lines.iter().map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&example), names(&contained));
    for (one, other) in example.iter().zip(&contained).filter(|(one, other)| one != other) {
        assert!(one.contains(" /") && (other.contains(" /run/secrets/") || other.contains(" /mosquitto/data/")), "{one} is {other}");
    }
}

#[test]
fn the_backend_in_a_container_takes_its_configuration() {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().display().to_string();
    let key = SigningKey::from_seed([3; 32]).to_private_jwk();
    for (name, content) in
        [("midtrans-server-key", "SB-Mid-server-example"), ("mqtt-password", "secret"), ("signing-key.json", key.as_str())]
    {
        let file = directory.path().join(name);
        std::fs::write(&file, content).expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o400)).expect("ours");
    }
    let text = source_text("packaging/container/backend.toml");
    // The CA is the merchant's own.
    let text = text.lines().filter(|line| !line.starts_with("ca_file")).collect::<Vec<_>>().join("\n");
    let text = text.replace("/run/secrets", &root).replace("/var/lib/qris-backend", &root);
    let file = directory.path().join("backend.toml");
    std::fs::write(&file, text).expect("written");
    let checked = output(command(Program::Backend.binary()).arg("--config").arg(&file).arg("--check"));
    assert!(checked.status.success(), "{}", stderr(&checked));
}
