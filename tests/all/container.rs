//! The files for the merchant's side in containers agree with the examples that other tests try. `tests/container` builds and
//! starts the image.

use crate::rig::midtrans::{Midtrans, SERVER_KEY};
use crate::rig::process::Process;
use crate::rig::shop::Program;
use crate::rig::{command, free_port, output, source_text, stderr, stdout, tool, user};
use qris::order::keys::SigningKey;
use qris::wire::enrolment::Enrolment;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

#[test]
fn the_broker_in_a_container_has_the_settings_of_the_example() {
    let settings = |path: &str| -> Vec<String> {
        let text = source_text(path);
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(String::from).collect()
    };
    let (mut example, mut contained) = (settings("config/mosquitto.conf"), settings("packaging/container/mosquitto.conf"));
    // `init` adds the same to the example, and takes the limit away, as the plugin wants it.
    assert_eq!(example.extract_if(.., |line| line.starts_with("memory_limit")).count(), 1);
    assert!(source_text("packaging/container/compose.yaml").contains("mem_limit: 1g"));
    let plugin: Vec<_> = contained.extract_if(.., |line| line.starts_with("plugin")).collect();
    assert_eq!(plugin, ["plugin /usr/lib/mosquitto_dynamic_security.so", "plugin_opt_config_file /mosquitto/data/accounts.json"]);
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
    for (name, content) in [
        ("midtrans-server-key", "SB-Mid-server-example"),
        ("mqtt-password", "secret"),
        ("accounts-password", "secret"),
        ("signing-key.json", key.as_str()),
    ] {
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

/// What `docker compose -f init.yaml run --rm init` does, in folders: every secret of compose.yaml is there, the broker and the backend take
/// their files, and the backend makes an account there. The numbers of the users are those of the images.
#[test]
fn one_command_fills_the_secrets_and_the_configuration() {
    let (directory, midtrans) = (tempfile::tempdir().expect("a directory"), Midtrans::start());
    let place = |name: &str| directory.path().join(name);
    for name in ["here", "books", "messages", "bin"] {
        std::fs::create_dir(place(name)).expect("made");
    }
    for name in ["backend.toml", "mosquitto.conf"] {
        std::fs::write(place("here").join(name), source_text(&format!("packaging/container/{name}"))).expect("written");
    }
    std::fs::write(place("key"), format!("{SERVER_KEY}\n")).expect("written");
    std::os::unix::fs::symlink(Program::Backend.binary(), place("bin/qris-backend")).expect("linked");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/container/init");
    let init = |more: &[&str]| {
        let mut init = command("sh");
        init.env("PATH", format!("{}:/usr/bin:/bin", place("bin").display()));
        init.env("HERE", place("here")).env("BOOKS", place("books")).env("MESSAGES", place("messages")).arg(&script);
        init.args(["--yes", "--midtrans", &midtrans.url, "--public-url", "https://pay.example", "--server-key-file"]).arg(place("key"));
        output(init.args(more))
    };
    let refused = init(&["--broker", "none"]);
    assert!(!refused.status.success() && stderr(&refused).contains("there is no broker"), "{}", stderr(&refused));
    assert!(!place("here/secrets").exists(), "nothing is left");
    let done = init(&["--broker", "localhost", "--contact", "0812-3456-7890 (A&B)", "--desk-url", "https://owner.pay.example:8443"]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(!stderr(&done).contains(SERVER_KEY), "a secret is shown");
    assert_eq!(
        std::fs::read_to_string(place("here/.env")).expect("written"),
        "QRIS_NAME=pay.example\nQRIS_BROKER=localhost\nQRIS_DESK=owner.pay.example\nCOMPOSE_FILE=compose.yaml:compose.desk.yaml\n"
    );
    let again = init(&["--broker", "localhost"]);
    assert!(!again.status.success() && stderr(&again).contains("secrets/ is there already"), "{}", stderr(&again));

    // As compose.yaml mounts them.
    let compose = source_text("packaging/container/compose.yaml");
    let secrets: Vec<(&str, PathBuf)> = compose
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.trim().split_once(": { file: ./secrets/")?;
            Some((name, place("here/secrets").join(rest.strip_suffix(" }")?)))
        })
        .collect();
    assert_eq!(secrets.len(), 8, "{secrets:?}");
    let backends = ["midtrans-server-key", "mqtt-password", "accounts-password"];
    for (name, file) in &secrets {
        let found = std::fs::metadata(file).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        let group = if backends.contains(name) { 10_001 } else { 1883 };
        let is_open = ["ca", "broker-certificate"].contains(name);
        assert_eq!(found.permissions().mode() & 0o7777, if is_open { 0o644 } else { 0o640 }, "{name}");
        assert!(is_open || user() != "root" || found.gid() == group, "{name}: group {}", found.gid());
    }
    let port = free_port();
    let as_here = |file: &str, changes: &[(&str, &str)]| {
        let mut text = std::fs::read_to_string(place("here").join(file)).expect("there");
        for (name, file) in &secrets {
            text = text.replace(&format!("/run/secrets/{name}\""), &format!("{}\"", file.display()));
            text = text.replace(&format!("/run/secrets/{name}\n"), &format!("{}\n", file.display()));
        }
        for (from, to) in changes {
            assert!(text.contains(from), "{from} in:\n{text}");
            text = text.replace(from, to);
        }
        assert!(!text.contains("/run/secrets/") || text.contains("# password_file = \"/run/secrets/database-password"), "{text}");
        std::fs::write(place(file), text).expect("written");
        place(file)
    };
    let plugin = stdout(&output(command(tool("find")).args(["/usr/lib", "-name", "mosquitto_dynamic_security.so"])));
    let conf = as_here(
        "mosquitto.conf",
        &[
            ("listener 8883", &format!("user {}\nlog_dest stderr\nlistener {port} 127.0.0.1", user())),
            ("/usr/lib/mosquitto_dynamic_security.so", plugin.lines().next().expect("Debian's Mosquitto has it")),
            ("/mosquitto/data", &place("messages").display().to_string()),
        ],
    );
    let mosquitto = Process::start("mosquitto", command(tool("mosquitto")).arg("-c").arg(conf));
    mosquitto.wait_line(" running");
    let config = as_here(
        "backend.toml",
        &[
            ("url = \"mqtts://localhost:8883", &format!("url = \"mqtts://localhost:{port}")),
            ("/var/lib/qris-backend", &place("books").display().to_string()),
        ],
    );
    let text = std::fs::read_to_string(&config).expect("written");
    for line in [
        "public_url = \"https://pay.example\"",
        "contact = \"0812-3456-7890 (A&B)\"",
        "issuer = \"pay.example\"",
        "[desk]",
        "url = \"https://owner.pay.example:8443\"      # the owner's pages",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in:\n{text}");
    }
    let backend = |words: &[&str]| {
        let ended = output(command(Program::Backend.binary()).arg("--config").arg(&config).args(words));
        assert!(ended.status.success(), "{words:?}: {}", stderr(&ended));
        stdout(&ended)
    };
    backend(&["--check"]);
    backend(&["device", "invite", "vm-001"]);
    let added = backend(&["device", "add", "vm-002", "--bundle"]);
    assert!(Enrolment::from_text(&added).expect("an enrolment").broker.is_some_and(|broker| broker.password.is_some()));
}
