//! `qris-backend init`: from nothing to a server that lets a machine in, and to a broker where that machine says its own only. Run
//! again it changes nothing; a wrong answer changes nothing, too.

use crate::rig::midtrans::{Midtrans, SERVER_KEY};
use crate::rig::namespace::Namespace;
use crate::rig::process::Process;
use crate::rig::systemd::Systemd;
use crate::rig::{command, free_port, output, output_text, stderr, stdout, tool, user};
use crate::setup_asks::Terminal;
use qris::wire::enrolment::Enrolment;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A computer with the package and Mosquitto, before anybody set it up.
struct Server {
    directory: tempfile::TempDir,
    midtrans: Midtrans,
    port: u16,
}

impl Server {
    fn new() -> Self {
        let made = Self { directory: tempfile::tempdir().expect("a directory"), midtrans: Midtrans::start(), port: free_port() };
        for (path, text) in [
            ("etc/passwd", "root:x:0:0::/root:/bin/sh\nqris-backend:x:991:991::/:/x\nmosquitto:x:992:992::/:/x\n"),
            ("etc/group", "root:x:0:\nqris-backend:x:991:\nmosquitto:x:992:\n"),
            ("etc/hostname", "kios\n"),
            (
                "etc/mosquitto/mosquitto.conf",
                "persistence true\npersistence_location /var/lib/mosquitto/\ninclude_dir /etc/mosquitto/conf.d\n",
            ),
            ("etc/mosquitto/conf.d/README", "Any files placed in this directory that have a .conf ending\n"),
            ("usr/lib/some-linux-gnu/mosquitto_dynamic_security.so", ""),
        ] {
            let path = made.file(path);
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        std::fs::write(made.key(), format!("{SERVER_KEY}\n")).expect("written");
        made
    }

    fn file(&self, path: &str) -> PathBuf {
        self.directory.path().join("root").join(path.trim_start_matches('/'))
    }

    fn key(&self) -> PathBuf {
        self.directory.path().join("key")
    }

    fn init(&self) -> Command {
        let mut init = command(env!("CARGO_BIN_EXE_qris-backend"));
        init.args(["init", "--no-start", "--listen", &format!("127.0.0.1:{}", self.port), "--root"]).arg(self.file(""));
        init
    }

    /// With all answers, as a script gives them.
    fn script(&self) -> Command {
        let mut init = self.init();
        init.args(["--yes", "--midtrans", &self.midtrans.url, "--public-url", "https://pay.example", "--contact", "0812-1"]);
        init.args(["--broker", "broker.example", "--device", "vm-007", "--server-key-file"]).arg(self.key());
        init
    }

    /// Everything that was there or was written, with owner, mode and content.
    fn tree(&self) -> BTreeMap<PathBuf, (u32, u32, u32, Vec<u8>)> {
        let (mut found, mut open) = (BTreeMap::new(), vec![self.file("")]);
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(&directory).expect("there").map(|entry| entry.expect("an entry").path()) {
                if entry.is_dir() {
                    open.push(entry);
                    continue;
                }
                let metadata = std::fs::metadata(&entry).expect("there");
                let content = std::fs::read(&entry).expect("there");
                found.insert(entry, (metadata.uid(), metadata.gid(), metadata.permissions().mode() & 0o7777, content));
            }
        }
        found
    }

    /// A written file as it is read below the root, with other words in some places.
    fn as_here(&self, path: &str, changes: &[(&str, &str)]) -> PathBuf {
        let mut text = std::fs::read_to_string(self.file(path)).expect("written");
        for (from, to) in changes {
            assert!(text.contains(from), "{from} in:\n{text}");
            text = text.replace(from, to);
        }
        for directory in ["/etc/", "/var/lib/"] {
            text = text.replace(directory, &format!("{}{directory}", self.file("").display().to_string().trim_end_matches('/')));
        }
        let here = self.directory.path().join(Path::new(path).file_name().expect("a name"));
        std::fs::write(&here, text).expect("written");
        here
    }
}

fn well(command: &mut Command) -> Output {
    let done = output(command);
    assert_eq!(done.status.code(), Some(0), "{}", output_text(&done));
    done
}

#[test]
fn one_command_makes_a_server_and_a_broker_where_a_machine_says_its_own_only() {
    let server = Server::new();
    let empty = server.tree();
    let dry = well(server.script().arg("--dry-run"));
    assert_eq!(server.tree(), empty, "a dry run writes nothing");
    for words in [
        "the key is valid",
        "root:qris-backend 0640  /etc/qris-backend/backend.toml",
        "+ public_url = \"https://pay.example\"",
        "nothing was changed",
    ] {
        assert!(stderr(&dry).contains(words), "{words}:\n{}", stderr(&dry));
    }
    assert!(!stderr(&dry).contains("telephone number"), "{}", stderr(&dry));
    let done = well(&mut server.script());
    assert!(!output_text(&dry).contains(SERVER_KEY) && !output_text(&done).contains(SERVER_KEY), "the key is shown");
    assert!(stderr(&done).contains("qris-backend device add vm-007 --bundle"), "{}", stderr(&done));
    let made = server.tree();
    for (path, uid, gid, mode) in [
        ("etc/qris-backend/backend.toml", 0, 991, 0o640),
        ("etc/qris-backend/midtrans-server-key", 0, 991, 0o640),
        ("etc/qris-backend/mqtt-password", 0, 991, 0o640),
        ("etc/qris-backend/accounts-password", 0, 991, 0o640),
        ("etc/qris-backend/ca.pem", 0, 0, 0o644),
        ("etc/mosquitto/conf.d/qrisd.conf", 0, 0, 0o644),
        ("etc/systemd/system/mosquitto.service.d/qrisd.conf", 0, 0, 0o644),
        ("etc/mosquitto/qrisd.acl", 0, 992, 0o640),
        ("etc/mosquitto/qrisd.passwd", 0, 992, 0o640),
        ("etc/mosquitto/certs/broker.key", 0, 992, 0o640),
        ("etc/mosquitto/certs/ca.key", 0, 0, 0o600),
        ("var/lib/mosquitto/qrisd-accounts.json", 992, 992, 0o600),
        ("var/lib/qris-backend/signing-key.json", 991, 991, 0o600),
        ("run/qris-secrets/mqtt-fleet", 0, 0, 0o600),
    ] {
        let (is_uid, is_gid, is_mode, content) = made.get(&server.file(path)).unwrap_or_else(|| panic!("{path} is not there"));
        assert_eq!(*is_mode, mode, "{path}");
        assert!(!content.is_empty(), "{path}");
        if user() == "root" {
            assert_eq!((*is_uid, *is_gid), (uid, gid), "{path}");
        }
    }
    let again = well(&mut server.script());
    assert!(server.tree() == made, "a second run changed something");
    for words in [
        "as it is  the Server Key",
        "as it is  http.public_url",
        "as it is  http.listen",
        "as it is  the broker",
        "as it is  the signing key",
    ] {
        assert!(stderr(&again).contains(words), "{words}:\n{}", stderr(&again));
    }

    // The broker as it was configured, at another port.
    let (port, plugin) = (free_port(), tool("find"));
    let plugin = stdout(&well(command(plugin).args(["/usr/lib", "-name", "mosquitto_dynamic_security.so"])));
    let plugin = plugin.lines().next().expect("the plugin is in Debian's package of Mosquitto").to_owned();
    let conf = server.as_here(
        "etc/mosquitto/conf.d/qrisd.conf",
        &[
            ("listener 8883", &format!("user {}\nlog_dest stderr\nlistener {port} 127.0.0.1", user())),
            ("/usr/lib/some-linux-gnu/mosquitto_dynamic_security.so", &plugin),
        ],
    );
    let mosquitto = Process::start("mosquitto", command(tool("mosquitto")).arg("-c").arg(conf));
    mosquitto.wait_line(" running");
    let config = server.as_here("etc/qris-backend/backend.toml", &[("mqtts://localhost:8883", &format!("mqtts://localhost:{port}"))]);
    let backend = |words: &[&str]| {
        let mut backend = command(env!("CARGO_BIN_EXE_qris-backend"));
        backend.arg("--config").arg(&config).args(words);
        well(&mut backend)
    };
    assert!(stdout(&backend(&["--check"])).contains(": good"));
    let text = stdout(&backend(&["device", "add", "vm-007", "--bundle"]));
    let enrolment = Enrolment::from_text(&text).expect("an enrolment text");
    let broker = enrolment.broker.expect("a broker");
    assert_eq!((&*broker.url, &*enrolment.backend.url), ("mqtts://broker.example:8883", "https://pay.example"));
    let ca = server.file("etc/mosquitto/certs/ca.pem");
    assert_eq!(broker.ca.as_deref(), std::fs::read_to_string(&ca).ok().as_deref());
    let password = broker.password.expect("the backend has made the account");
    let says = |user: &str, password: &str, topic: &str| {
        let mut publish = command(tool("mosquitto_pub"));
        publish.args(["-V", "5", "-q", "1", "-h", "localhost", "-p", &port.to_string(), "-u", user, "-P", password]);
        let done = output(publish.args(["-t", topic, "-m", "{}", "--cafile"]).arg(&ca));
        done.status.success() && !stderr(&done).contains("uthori")
    };
    let fleet = std::fs::read_to_string(server.file("run/qris-secrets/mqtt-fleet")).expect("written");
    for (user, password, topic, may) in [
        ("vm-007", &*password, "qrisd/v1/vm-007/status", true),
        ("vm-007", &password, "qrisd/v1/vm-007/cmd/response", true),
        ("vm-007", &password, "qrisd/v1/vm-007/cmd/response/x", false),
        ("vm-007", &password, "qrisd/v1/vm-007/cmd/reboot/response", false),
        ("vm-007", &password, "qrisd/v1/vm-007/status/x", false),
        ("vm-007", &password, "qrisd/v1/vm-008/status", false),
        ("vm-007", &password, "qrisd/v1/vm-007/payment/update", false),
        ("vm-007", &password, "$CONTROL/dynamic-security/v1", false),
        ("vm-007", "another", "qrisd/v1/vm-007/status", false),
        ("vm-008", &password, "qrisd/v1/vm-008/status", false),
        ("fleet", fleet.trim(), "qrisd/v1/vm-007/vend/request", true),
        ("fleet", fleet.trim(), "qrisd/v1/vm-007/status", false),
    ] {
        assert_eq!(says(user, password, topic), may, "{user} says {topic}");
    }
    // However often the plugin has written its file: the broker goes on.
    let changes = json!({ "commands": vec![json!({ "command": "enableClient", "username": "vm-007" }); 200] }).to_string();
    let secret = std::fs::read_to_string(server.file("etc/qris-backend/accounts-password")).expect("written");
    let mut change = command(tool("mosquitto_pub"));
    change.args(["-V", "5", "-q", "1", "-h", "localhost", "-p", &port.to_string(), "-u", "qris-accounts", "-P", secret.trim(), "--cafile"]);
    well(change.arg(&ca).args(["-t", "$CONTROL/dynamic-security/v1", "-m", &changes]));
    assert!(says("vm-007", &password, "qrisd/v1/vm-007/status"), "a broker whose machines' accounts were changed 200 times");
    // Revoked, it is let in no more: by `serve`, which ends its account.
    backend(&["device", "revoke", "vm-007"]);
    let serve = Process::start_service(
        "serve",
        command(env!("CARGO_BIN_EXE_qris-backend")).arg("--config").arg(&config).arg("serve"),
        server.directory.path(),
    );
    crate::rig::wait_for("the end of its account", || (!says("vm-007", &password, "qrisd/v1/vm-007/status")).then_some(()));
    assert!(serve.try_status().is_none());
}

/// A terminal forgets what is typed before it hides: the question must stand there so often.
fn asked_for_the_key(terminal: &Terminal, question: &str, times: usize) {
    let count = || terminal.shown().matches(question).count();
    crate::rig::wait_for("the question for the key", || (count() >= times).then_some(()));
}

#[test]
fn a_person_is_asked_for_what_only_a_person_knows() {
    let server = Server::new();
    let mut init = server.init();
    init.args(["--midtrans", &server.midtrans.url]);
    // Standard output is a file: it is for the enrolment text alone.
    let out = server.directory.path().join("out");
    let mut shell = command(tool("sh"));
    shell.args(["-c", &format!("exec \"$0\" \"$@\" > {}", out.display())]).arg(init.get_program()).args(init.get_args());
    let mut terminal = Terminal::start(&shell);
    terminal.answer("Server Key (is not shown): ", "SB-Mid-client-1234\n");
    asked_for_the_key(&terminal, "Server Key (is not shown)", 2);
    assert!(terminal.shown().contains("which is for web pages"), "{}", terminal.shown());
    terminal.answer("Server Key (is not shown): ", "SB-Mid-server-wrong\n");
    terminal.answer("Go on all the same? [no]: ", "\n");
    asked_for_the_key(&terminal, "Server Key (is not shown)", 3);
    assert!(!terminal.shown().contains("there is none yet)"), "Midtrans is asked before the other questions");
    terminal.answer("Server Key (is not shown): ", &format!("{SERVER_KEY}\n"));
    terminal.answer("there is none yet) [none]: ", "pay.example\n");
    terminal.answer("not \"pay.example\"", "\n");
    terminal.answer("(or none: the one in the QR) [none]: ", "Kios Budi\n");
    terminal.answer("about their money (or none) [none]: ", "Pak Budi\n");
    terminal.answer("There is no telephone number in Pak Budi. Take it all the same? [no]: ", "\n");
    terminal.answer("about their money (or none) [none]: ", "0812-1\n");
    terminal.answer("if you do not know it) [none]: ", "70\n");
    terminal.answer("from 0 to 10 with at most two decimals", "0,7\n");
    terminal.answer("look, by a link? [no]: ", "\n");
    terminal.answer("with TLS)? [yes]: ", "no\n");
    let empty = server.tree();
    assert!(!empty.keys().any(|path| path.ends_with("backend.toml")), "it wrote before the end");
    terminal.answer("first machine (or none) [vm-001]: ", "fleet\n");
    terminal.answer("fleet is another user", "none\n");
    terminal.answer("Write these files? [yes]: ", "\n");
    assert!(terminal.end().success(), "{}", terminal.shown());
    assert_eq!(std::fs::read_to_string(&out).expect("made"), "");
    let shown = terminal.shown();
    assert!(shown.contains("the key is not valid") && shown.contains("the key is valid"), "{shown}");
    for secret in [SERVER_KEY, "SB-Mid-server-wrong", "SB-Mid-client-1234"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let config = server.as_here("etc/qris-backend/backend.toml", &[]);
    let text = std::fs::read_to_string(&config).expect("written");
    assert!(text.contains("\n# public_url") && text.contains("\n# [mqtt]") && text.contains("contact = \"0812-1\""), "{text}");
    assert!(text.contains("merchant = \"Kios Budi\"") && text.contains("[fees]\nqris = { basis_points = 70 }"), "{text}");
    well(command(env!("CARGO_BIN_EXE_qris-backend")).arg("--config").arg(&config).arg("--check"));
    // Alone on its computer, a machine finds it there.
    let text = stdout(&well(
        command(env!("CARGO_BIN_EXE_qris-backend")).arg("--config").arg(&config).args(["device", "add", "vm-001", "--bundle"]),
    ));
    let enrolment = Enrolment::from_text(&text).expect("an enrolment text");
    assert_eq!((&*enrolment.backend.url, enrolment.broker.is_none()), (&*format!("http://127.0.0.1:{}", server.port), true));

    // Asked again: only for what is missing. Now there is an address, and a broker.
    let signing_key = std::fs::read(server.file("var/lib/qris-backend/signing-key.json")).expect("made");
    let (lib, away) = (server.file("usr/lib"), server.file("usr/away"));
    std::fs::rename(&lib, &away).expect("there");
    let mut terminal = Terminal::start(&server.init());
    terminal.answer("there is none yet) [none]: ", "https://pay.example\n");
    terminal.answer("owner's pages, https://… (or none) [none]: ", "https://desk.example\n");
    terminal.answer("look, by a link? [no]: ", "y\n");
    terminal.answer("with TLS)? [no]: ", "y\n");
    crate::rig::wait_for("what is missing", || terminal.shown().contains("Mosquitto is not installed: install it").then_some(()));
    std::fs::rename(&away, &lib).expect("there");
    terminal.answer("then answer again", "y\n");
    terminal.answer("reach this computer [pay.example]: ", "192.0.2.7\n");
    terminal.answer("first machine (or none) [vm-001]: ", "none\n");
    terminal.answer("Write these files? [yes]: ", "\n");
    assert!(terminal.end().success(), "{}", terminal.shown());
    let shown = terminal.shown();
    assert!(!shown.contains("Server Key (is") && !shown.contains("about their money (or"), "{shown}");
    assert!(shown.contains("https://desk.example must lead here") && shown.contains("qris-backend desk add NAME --role owner"), "{shown}");
    assert_eq!(std::fs::read(server.file("var/lib/qris-backend/signing-key.json")).expect("there"), signing_key);
    let config = server.as_here("etc/qris-backend/backend.toml", &[]);
    let text = std::fs::read_to_string(&config).expect("written");
    assert!(text.contains("broker_url = \"mqtts://192.0.2.7:8883\"") && text.contains("public_url = \"https://pay.example\""), "{text}");
    assert!(text.contains("[desk]\nhome = \"0.0.0.0:8480\"\nurl = \"https://desk.example\""), "{text}");
    well(command(env!("CARGO_BIN_EXE_qris-backend")).arg("--config").arg(&config).arg("--check"));
}

#[test]
fn a_person_whose_locale_is_indonesian_is_asked_in_indonesian() {
    let server = Server::new();
    let init = server.init();
    let mut here = command(tool("env"));
    here.arg("LC_ALL=id_ID.UTF-8").arg(init.get_program()).args(init.get_args()).args(["--midtrans", &server.midtrans.url]);
    let mut terminal = Terminal::start(&here);
    let question = "Server Key (tidak terlihat): ";
    for (times, (told, key)) in
        [("Mulailah dengan kunci sandbox.", "SB-Mid-client-1234\n"), ("ini Client Key", "SB-Mid-server-wrong\n")].into_iter().enumerate()
    {
        asked_for_the_key(&terminal, question, times + 1);
        terminal.answer(told, key);
    }
    // Midtrans is asked at once, before the other questions.
    terminal.answer("Tetap lanjutkan? [tidak]: ", "t\n");
    asked_for_the_key(&terminal, question, 3);
    terminal.answer(question, &format!("{SERVER_KEY}\n"));
    for (question, typed) in [
        ("Alamat publik, https://… (atau none jika belum ada) [none]: ", "pay.example\n"),
        ("  harus https://HOST[:PORT][/PATH] atau http://HOST[:PORT][/PATH], bukan \"pay.example\"", "http://pay.example\n"),
        ("  http:// hanya untuk loopback: pakai https://", "https://pay.example\n"),
        ("(atau none: nama di QR) [none]: ", "Kios Budi\n"),
        ("tentang uang mereka (atau none) [none]: ", &format!("{}\n", "1".repeat(65))),
        ("  harus teks biasa, 1 sampai 64 karakter", "0812-1\n"),
        ("(atau none jika belum tahu) [none]: ", "0,7\n"),
        ("Alamat halaman pemilik, https://… (atau none jika tidak perlu) [none]: ", "\n"),
        ("melihat, dengan tautan? [tidak]: ", "t\n"),
        ("Buat broker di komputer ini (Mosquitto, dengan TLS)? [ya]: ", "mungkin\n"),
        ("  Jawab y (ya) atau t (tidak)", "y\n"),
        ("menghubungi komputer ini [pay.example]: ", "mqtts://pay.example\n"),
        ("  harus nama komputer ini, misalnya broker.example", "\n"),
        ("Nama mesin pertama (atau none) [vm-001]: ", "fleet\n"),
        ("  fleet adalah pengguna lain di broker", "a b\n"),
        ("  harus 1–64 karakter dari A-Za-z0-9_-", "\n"),
    ] {
        terminal.answer(question, typed);
    }
    terminal.answer("Tulis berkas ini? [ya]: ", "y\n");
    assert!(terminal.end().success(), "{}", terminal.shown());
    let shown = terminal.shown();
    for words in [
        "baru      root:qris-backend 0640  /etc/qris-backend/backend.toml",
        "stik USB yang disimpan terkunci",
        "kuncinya tidak berlaku di ",
        "sandbox dan production punya kunci yang berbeda",
        "(bukan uang sungguhan)",
        "daripada jam Midtrans",
        "https://pay.example harus mengarah ke sini",
        "daftarkan mesin pertama: runuser -u qris-backend -- qris-backend device add vm-001 --bundle",
    ] {
        assert!(shown.contains(words), "{words:?}: {shown}");
    }
    for english in ["[yes]", "[no]", "is not shown", "must ", "Write ", "new   ", "the password", "when it runs", "the key is"] {
        assert!(!shown.contains(english), "{english:?}: {shown}");
    }
    assert!(server.file("etc/qris-backend/backend.toml").exists());

    // A flag says it, too, and a script hears English whatever the locale is.
    let asked =
        well(server.init().args(["--ask", "--speak", "id", "--desk-url", "none", "--desk-home", "none", "--device", "none", "--dry-run"]));
    for words in ["tetap     root:qris-backend 0640", "tetap     Server Key", "tetap     kunci tanda tangan", "tidak ada yang berubah"] {
        assert!(stderr(&asked).contains(words), "{words:?}: {}", stderr(&asked));
    }
    let script = well(server.init().env("LC_ALL", "id_ID.UTF-8").args(["--yes", "--dry-run"]));
    assert!(stderr(&script).contains("as it is  the Server Key") && !stderr(&script).contains("tetap"), "{}", stderr(&script));
}

/// Before the package and Mosquitto are there it can be seen what would be written, to whom it would belong, and that a contact is none.
#[test]
fn a_dry_run_needs_neither_the_package_nor_mosquitto() {
    let server = Server::new();
    for file in ["etc/passwd", "etc/group"] {
        let text = std::fs::read_to_string(server.file(file)).expect("there");
        let others: String = text.lines().filter(|line| line.starts_with("root:")).map(|line| format!("{line}\n")).collect();
        std::fs::write(server.file(file), others).expect("written");
    }
    ["usr", "etc/mosquitto"].into_iter().for_each(|gone| std::fs::remove_dir_all(server.file(gone)).expect("there"));
    let empty = server.tree();
    let init = |more: &[&str]| {
        let mut init = server.init();
        init.args(["--yes", "--midtrans", &server.midtrans.url, "--contact", "08-what?<>", "--server-key-file"]);
        output(init.arg(server.key()).args(more))
    };
    let dry = init(&["--dry-run", "--broker", "broker.example"]);
    assert_eq!(dry.status.code(), Some(0), "{}", output_text(&dry));
    for words in [
        "there is no user qris-backend",
        "root:qris-backend 0640  /etc/qris-backend/backend.toml",
        "has no telephone number in it",
        "root:mosquitto 0640  /etc/mosquitto/qrisd.acl",
        "Mosquitto is not installed, and nothing was changed",
    ] {
        assert!(stderr(&dry).contains(words), "{words}:\n{}", stderr(&dry));
    }
    let real = init(&[]);
    assert_eq!(real.status.code(), Some(2), "{}", output_text(&real));
    assert!(stderr(&real).contains("there is no user qris-backend"), "{}", stderr(&real));
    assert_eq!(server.tree(), empty, "nothing is written");
}

#[test]
fn a_wrong_answer_says_what_is_wrong_and_changes_nothing() {
    let server = Server::new();
    let empty = server.tree();
    let file = |name: &str, text: &str| {
        let path = server.directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let (client, nonsense, plain) = (file("client", "Mid-client-1\n"), file("nonsense", "hunter2\n"), file("plain", "Mid-server-1\n"));
    let (sandbox, wrong) = (file("sandbox", "SB-Mid-server-1\n"), file("wrong", "SB-Mid-server-wrong\n"));
    let midtrans = server.midtrans.url.clone();
    for (words, code, wanted) in [
        (&["--server-key-file", &client][..], 2, "this is the Client Key"),
        (&["--server-key-file", &nonsense], 2, "this is no Server Key: it begins with SB-Mid-server- (sandbox) or Mid-server-"),
        (&["--server-key-file", &plain], 2, "add --sandbox or --production"),
        (&["--server-key-file", &sandbox, "--production"], 2, "this is a key of the sandbox, and --production was said"),
        (&["--server-key-file", "/nowhere"], 2, "/nowhere"),
        (&["--midtrans", &midtrans], 2, "the Midtrans Server Key is not known: give --server-key-file FILE"),
        (&["--midtrans", &midtrans, "--server-key-file", &wrong], 1, "the key is not valid"),
        (&["--public-url", "http://pay.example"], 2, "http:// is for loopback only"),
        (&["--broker", "mqtts://broker.example"], 2, "without mqtts:// and port"),
        (&["--device", "fleet"], 2, "fleet is another user of the broker"),
        (&["--device", "a b"], 2, "--device"),
        (&["--contact", ""], 2, "1 to 64 characters"),
        (&["--config", "/etc/other.toml"], 2, "--config is for other commands"),
    ] {
        let done = output(server.init().arg("--yes").args(words));
        assert_eq!(done.status.code(), Some(code), "{words:?}: {}", output_text(&done));
        assert!(output_text(&done).contains(wanted), "{words:?}: {}", output_text(&done));
        assert!(!output_text(&done).contains("hunter2") && !output_text(&done).contains("server-wrong"), "{}", output_text(&done));
        assert_eq!(server.tree(), empty, "{words:?}");
    }
    // A broker that somebody made, and a computer without Mosquitto.
    std::fs::write(server.file("etc/mosquitto/qrisd.passwd"), "mine\n").expect("written");
    let done = output(&mut server.script());
    assert!(done.status.code() == Some(2) && stderr(&done).contains("So there is a broker here"), "{}", output_text(&done));
    std::fs::remove_file(server.file("etc/mosquitto/qrisd.passwd")).expect("there");
    std::fs::remove_dir_all(server.file("usr/lib")).expect("there");
    let done = output(&mut server.script());
    assert!(done.status.code() == Some(2) && stderr(&done).contains("apt-get install mosquitto"), "{}", output_text(&done));
    assert!(!server.file("etc/qris-backend").exists());
    // Where it would run, another program has its address.
    let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let before = server.tree();
    let nothing = "mount -t tmpfs none /var/lib; mount -t tmpfs none /run";
    let system = Namespace::new(&format!("mount --bind {} /etc; {nothing}", server.file("etc").display()));
    let mut init = command(env!("CARGO_BIN_EXE_qris-backend"));
    init.args(["init", "--yes", "--no-start", "--offline", "--server-key-file", &sandbox]);
    init.args(["--public-url", "none", "--contact", "none", "--broker", "none", "--device", "none"]);
    init.args(["--listen", &other.local_addr().expect("bound").to_string()]);
    let done = output(&mut system.command(&init));
    assert!(done.status.code() == Some(1) && stderr(&done).contains("Another program has that address"), "{}", output_text(&done));
    assert_eq!(server.tree(), before);
}

#[test]
fn a_broker_that_somebody_configured_is_left_alone() {
    let server = Server::new();
    let conf = |name: &str| server.file("etc/mosquitto/conf.d").join(name);
    std::fs::create_dir_all(conf("")).expect("made");
    let refused = |wanted: &str| {
        let before = server.tree();
        let done = output(&mut server.script());
        assert!(done.status.code() == Some(2) && stderr(&done).contains(wanted), "{wanted}: {}", output_text(&done));
        assert_eq!(server.tree(), before, "{wanted}");
    };
    // Mosquitto would not start, or would take another value than ours, or would let in somebody who is not in our list.
    let twice = ["allow_anonymous true", "password_file /a", "acl_file /a", "max_packet_size 9", "plugin /a.so"];
    let opens = ["persistence false", "listener 1883", "port 1883", "per_listener_settings true", "auth_plugin /a.so", "psk_file /a"];
    let more = [
        "use_identity_as_username true",
        "connection bridge",
        "retain_available false",
        "user root",
        "include_dir /a",
        "memory_limit 0",
        "nonsense",
    ];
    for (line, of_ours) in twice.into_iter().map(|line| (line, true)).chain(opens.into_iter().chain(more).map(|line| (line, false))) {
        let key = line.split(' ').next().expect("a key");
        let ours = of_ours || key == "persistence" || key == "listener";
        let why = if ours { "stands in our file, too" } else { "may let others in, or stop the broker" };
        for name in ["a.conf", "z.conf"] {
            std::fs::write(conf(name), format!("# theirs\n\n  {line}\n")).expect("written");
            refused(&format!("/etc/mosquitto/conf.d/{name}:3: {key} {why}"));
            std::fs::remove_file(conf(name)).expect("there");
        }
    }
    // Each of them is told at once, those of Mosquitto's own file, too.
    let main = server.file("etc/mosquitto/mosquitto.conf");
    let shipped = std::fs::read_to_string(&main).expect("there");
    std::fs::write(&main, format!("{shipped}allow_anonymous true\n")).expect("written");
    std::fs::write(conf("theirs.conf"), "password_file /a\n").expect("written");
    refused(
        "mosquitto.conf:4: allow_anonymous stands in our file, too; /etc/mosquitto/conf.d/theirs.conf:1: password_file stands in our file, too",
    );
    std::fs::remove_file(conf("theirs.conf")).expect("there");
    // Ours would not be read.
    std::fs::write(&main, shipped.replace("include_dir", "#include_dir")).expect("written");
    refused("has no line `include_dir /etc/mosquitto/conf.d`");
    // What lets nobody in may stay, and nothing that Mosquitto takes once is said again.
    std::fs::write(&main, shipped.replace("persistence", "#persistence")).expect("written");
    std::fs::write(conf("log.conf"), "log_type all\npersistence_location /data/\npersistence true\n").expect("written");
    std::fs::write(conf("old.conf.bak"), "allow_anonymous true\n").expect("written");
    well(&mut server.script());
    let made = std::fs::read_to_string(conf("qrisd.conf")).expect("written");
    assert!(made.contains("# persistence_location /var/lib/mosquitto/    (stands in /etc/mosquitto/conf.d/log.conf:2)\n"), "{made}");
    assert!(made.contains("\n# persistence true ") && made.contains("\nautosave_interval 60\n"), "{made}");
}

/// The files that `init` makes for a broker, as seen there.
const BROKERS: &str = "ls /etc/qris-backend /etc/mosquitto/conf.d /etc/mosquitto/certs/ /var/lib/mosquitto /var/lib/qris-backend; ls /etc/systemd/system/mosquitto.service.d/*; cd /etc/mosquitto; ls";

#[test]
fn a_broker_that_does_not_answer_as_it_should_is_as_it_was_before() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |path: &str| directory.path().join(path).display().to_string();
    let units = directory.path().join("units");
    std::fs::create_dir(&units).expect("made");
    std::fs::copy("/usr/lib/systemd/system/mosquitto.service", units.join("mosquitto.service")).expect("Debian's");
    let service = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n[Install]\nWantedBy=basic.target\n";
    std::fs::write(units.join("qris-backend.service"), service).expect("written");
    std::fs::write(at("key"), format!("{SERVER_KEY}\n")).expect("written");
    let mounts = format!(
        "cp -a /etc {etc}; echo qris-backend:x:64991:64991::/:/x >> {etc}/passwd; echo qris-backend:x:64991: >> {etc}/group
        mount --bind {etc} /etc; mount -t tmpfs none /var/lib; mount -t tmpfs none /var/log
        mkdir /etc/qris-backend /var/lib/mosquitto /var/lib/qris-backend; chown mosquitto: /var/lib/mosquitto",
        etc = at("etc")
    );
    let computer = Systemd::of_a_computer(&units, &mounts);
    let run = |script: &str| output(&mut computer.command(command("/bin/sh").args(["-c", script])));
    let mut init = command(env!("CARGO_BIN_EXE_qris-backend"));
    init.args(["init", "--yes", "--offline", "--sandbox", "--server-key-file", &at("key"), "--broker", "broker.example"]);
    init.args(["--device", "none", "--listen", "127.0.0.1:8080"]);
    let init = || output(&mut computer.command(&init));
    let says = |user: &str| run(&format!("mosquitto_pub -h 127.0.0.1 {user} -t t -m x 2>&1"));

    // A broker with users of its own: it goes on.
    let theirs = "mosquitto_passwd -b -c /etc/mosquitto/theirs ann secret; echo password_file /etc/mosquitto/theirs > /etc/mosquitto/conf.d/theirs.conf";
    assert!(run(&format!("{theirs}; systemctl start mosquitto")).status.success());
    let files = stdout(&run(BROKERS));
    let done = init();
    assert!(done.status.code() == Some(2), "{}", output_text(&done));
    assert!(stderr(&done).contains("/etc/mosquitto/conf.d/theirs.conf:1: password_file stands"), "{}", output_text(&done));
    assert_eq!(stdout(&run(BROKERS)), files);
    run("systemctl restart mosquitto");
    assert!(says("-u ann -P secret").status.success() && !says("-u ann -P wrong").status.success());
    run("rm /etc/mosquitto/conf.d/theirs.conf /etc/mosquitto/theirs; systemctl restart mosquitto");

    // Another program has the port: the broker would not start.
    let files = stdout(&run(BROKERS));
    let back = |done: &Output, why: &str| {
        let told = stderr(done);
        assert!(done.status.code() == Some(1) && told.contains("does not answer as it should") && told.contains(why), "{why}: {told}");
        assert_eq!(stdout(&run(BROKERS)), files, "{why}");
        assert_eq!(computer.property("mosquitto.service", "ActiveState"), "active", "{why}");
        assert!(!says("-p 8883").status.success(), "{why}");
        assert!(says("-p 1883").status.success(), "{why}: the broker of before");
    };
    let begun = std::fs::read_to_string(units.join("mosquitto.service")).expect("there");
    std::fs::write(at("other.conf"), "listener 8883 127.0.0.1\n").expect("written");
    std::fs::write(units.join("other.service"), begun.replace("/etc/mosquitto/mosquitto.conf", &at("other.conf"))).expect("written");
    computer.tell(&["start", "other.service"]);
    back(&init(), "mosquitto.service failed");
    computer.tell(&["stop", "other.service"]);

    // It starts with another configuration, which lets in whoever comes.
    let open = "listener 1883\nlistener 8883\ncafile /etc/mosquitto/certs/ca.pem\ncertfile /etc/mosquitto/certs/broker.pem\n\
        keyfile /etc/mosquitto/certs/broker.key\nallow_anonymous true\n";
    std::fs::write(at("open.conf"), open).expect("written");
    // Without our certificates it begins with the plain listener.
    let opens = begun.replace(
        "ExecStart=/usr/sbin/mosquitto -c /etc/mosquitto/mosquitto.conf",
        &format!(
            "ExecStart=/bin/sh -c 'test -e /etc/mosquitto/certs/ca.pem && exec mosquitto -c {}; exec mosquitto -c /etc/mosquitto/mosquitto.conf'",
            at("open.conf")
        ),
    );
    std::fs::write(units.join("mosquitto.service"), opens).expect("written");
    computer.tell(&["daemon-reload"]);
    back(&init(), "lets in whoever comes without a name");

    // As Debian has it, it answers as it should.
    std::fs::write(units.join("mosquitto.service"), begun).expect("written");
    computer.tell(&["daemon-reload"]);
    let done = init();
    assert_eq!(done.status.code(), Some(0), "{}", output_text(&done));
    assert!(stderr(&done).contains("the services run"), "{}", output_text(&done));
    assert!(units.join(".config/systemd/user/multi-user.target.wants/mosquitto.service").is_symlink(), "it starts with the computer");
}

#[test]
fn a_list_of_machines_is_one_command_and_makes_only_what_is_missing() {
    let server = Server::new();
    let mut init = server.init();
    init.args(["--yes", "--midtrans", &server.midtrans.url, "--public-url", "https://pay.example", "--server-key-file"]).arg(server.key());
    well(&mut init);
    let config = server.as_here("etc/qris-backend/backend.toml", &[]);
    let here = server.directory.path();
    let backend = |words: &[&str]| {
        let mut backend = command(env!("CARGO_BIN_EXE_qris-backend"));
        output(backend.arg("--config").arg(&config).current_dir(here).args(words))
    };
    let files = |directory: &str| {
        let mut names: Vec<_> = std::fs::read_dir(here.join(directory))
            .map(|entries| entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect())
            .unwrap_or_default();
        names.sort();
        names.join(" ")
    };
    // All faults at once, and nothing is made.
    std::fs::write(here.join("machines.csv"), "id,name\nvm-001,Lobi\nvm 2,Kios\nvm-001,Kantin\n").expect("written");
    for (way, into) in [("add", "texts"), ("invite", "codes")] {
        let told = backend(&["device", way, "--from", "machines.csv", "--into", into]);
        assert_eq!((told.status.code(), files(into)), (Some(2), String::new()), "{}", stderr(&told));
        for fault in ["machines.csv:3: id \"vm 2\"", "machines.csv:4: vm-001 stands in line 2 already"] {
            assert!(stderr(&told).contains(fault), "{fault}: {}", stderr(&told));
        }
    }
    let list = |machines: &str| std::fs::write(here.join("machines.csv"), format!("id,name\n{machines}")).expect("written");
    list("vm-001,Lobi\nvm-002,\"Kantin, lantai 2\"\n");
    let run = |way: &str, into: &str| {
        let told = backend(&["device", way, "--from", "machines.csv", "--into", into]);
        assert_eq!(told.status.code(), Some(0), "{}", stderr(&told));
        assert_eq!(stdout(&told), "", "secrets are in files only");
        stderr(&told)
    };
    assert!(run("add", "texts").contains("2 were made, 0 of the list"));
    assert_eq!(files("texts"), "labels.html vm-001.enrolment vm-002.enrolment");
    let read = |file: &str| std::fs::read_to_string(here.join(file)).expect("written");
    let text = read("texts/vm-002.enrolment");
    assert_eq!(Enrolment::from_text(&text).expect("a text").device.as_str(), "vm-002");
    assert!(read("texts/labels.html").contains("<h1>Kantin, lantai 2</h1>"));
    for file in ["texts/labels.html", "texts/vm-001.enrolment"] {
        assert_eq!(std::fs::metadata(here.join(file)).expect("there").permissions().mode() & 0o777, 0o600, "{file}");
    }
    list("vm-001,Lobi\nvm-002,Kantin\nvm-003,Parkir\n");
    assert!(run("add", "texts").contains("1 were made, 2 of the list"));
    assert_eq!(read("texts/vm-002.enrolment"), text);
    list("vm-003,Parkir\nvm-004,Toko\nvm-005,Kios\n");
    assert!(run("invite", "codes").contains("2 were made, 1 of the list"));
    assert_eq!(files("codes"), "labels.html vm-004.code vm-005.code");
    let code = read("codes/vm-004.code");
    assert!(code.starts_with("https://pay.example#vm-004."), "{code}");
    std::fs::remove_file(here.join("codes/vm-005.code")).expect("there");
    assert!(run("invite", "codes").contains("1 were made, 2 of the list"), "a code that is lost is made anew");
    assert_eq!((read("codes/vm-004.code"), files("codes").contains("vm-005.code")), (code, true));
}
