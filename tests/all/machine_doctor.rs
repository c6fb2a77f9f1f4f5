//! A machine set up where it runs, and `qrisctl doctor` on it: each thing that can be wrong, found and told with what to do.
//! Its system is a namespace with directories of its own; systemd is played by a script.

use crate::deaf_rights::{Told, told_by};
use crate::indonesian::english_in;
use crate::rig::mosquitto::password;
use crate::rig::namespace::Namespace;
use crate::rig::process::Process;
use crate::rig::shop::Program;
use crate::rig::{command, output, output_text, source_text, stderr, succeed, wait_for};
use crate::setup::Site;
use qris::demo::shop::write;
use qris::order::keys::{SigningKey, jwk_set};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

/// What `systemctl show` says of a service that is well.
const WELL: &str =
    "ActiveState=active\nUnitFileState=enabled\nLoadState=loaded\nMainPID=0\nNRestarts=0\nResult=success\nConditionResult=yes\n";

/// A machine that sells.
struct Machine {
    site: Site,
    system: Namespace,
    qrisd: Process,
    relayd: Option<Process>,
    /// What `setup` wrote on its standard output.
    told: String,
}

impl Machine {
    fn set_up() -> Self {
        let site = Site::new();
        let root = site.root.clone();
        for directory in ["var/lib/qrisd", "var/lib/qris-relay", "var/lib/systemd", "usr/share/dbus-1/system.d", "bin", "dev"] {
            std::fs::create_dir_all(root.join(directory)).expect("made");
        }
        succeed(&mut sh(&root, "chown 991:991 var/lib/qrisd; chown 992:992 var/lib/qris-relay; chmod 700 var/lib/*"));
        // Without one systemd-creds has no secret of its own.
        std::fs::write(root.join("etc/machine-id"), "0123456789abcdef0123456789abcdef\n").expect("written");
        for policy in ["io.qrisd.Relay1.conf", "io.qrisd.Device1.conf"] {
            std::fs::write(root.join("usr/share/dbus-1/system.d").join(policy), source_text(&format!("systemd/{policy}")))
                .expect("written");
        }
        let script = format!(
            "#!/bin/sh\necho \"$*\" >> {0}/called\ncase $* in *RuntimeWatchdogUSec*) cat {0}/fed;; show*) cat {0}/units;; esac\n",
            root.display()
        );
        std::fs::write(root.join("bin/systemctl"), script).expect("written");
        std::fs::set_permissions(root.join("bin/systemctl"), std::fs::Permissions::from_mode(0o755)).expect("ours");
        std::fs::write(root.join("units"), WELL).expect("written");
        std::fs::write(root.join("fed"), "30s\n").expect("written");
        let mounts = ["etc", "var/lib", "usr/share/dbus-1"].map(|path| format!("mount --bind {}/{path} /{path}\n", root.display()));
        // Its devices are few, and no watchdog is among them, whatever this computer has.
        let devices = ["null", "zero", "full", "random", "urandom", "tty"]
            .map(|name| format!("touch {0}/dev/{name}; mount --bind /dev/{name} {0}/dev/{name}\n", root.display()));
        let system = Namespace::new(&format!(
            "{}{}mount --rbind {}/dev /dev\nmount -t tmpfs none /run\nmkdir -p /run/systemd/system",
            mounts.concat(),
            devices.concat(),
            root.display()
        ));

        let enrolment = site.shop.path().join("enrolment");
        std::fs::write(&enrolment, site.enrolment()).expect("written");
        let mut setup = inside(&root, env!("CARGO_BIN_EXE_qrisctl"));
        let goods = site.goods().into_iter().filter(|word| word != "--no-start");
        setup.arg("setup").arg("--from").arg(&enrolment).args(goods).args(["--contact", "0800-1"]);
        let told = succeed(&mut system.command(&setup));
        // The bus is this test's.
        let bus = format!("sed -i 's|bus = \"system\"|bus = \"{}\"|' etc/qrisd/qrisd.toml etc/qrisd/relay.toml", site.shop.bus.address);
        succeed(&mut sh(&root, &bus));
        let start = |program: Program, name: &str, file: &str| {
            let mut start = inside(&root, program.binary());
            start.arg("--config").arg(format!("/etc/qrisd/{file}"));
            Process::start_service(name, &mut system.command(&start), site.shop.path())
        };
        let relayd = start(Program::Relayd, "qris-relayd", "relay.toml");
        let qrisd = start(Program::Qrisd, "qrisd", "qrisd.toml");
        qrisd.wait_line("the relay service answers");
        site.shop.wait_online();
        // They run as root here, and would as their users there.
        succeed(&mut sh(&root, "chown -R 991:991 var/lib/qrisd; chown -R 992:992 var/lib/qris-relay"));
        Self { site, system, qrisd, relayd: Some(relayd), told }
    }

    fn sh(&self, script: &str) {
        succeed(&mut sh(&self.site.root, script));
    }

    fn doctor(&self, more: &[&str]) -> Output {
        let mut doctor = inside(&self.site.root, env!("CARGO_BIN_EXE_qrisctl"));
        output(self.system.command(doctor.arg("doctor").args(more)).current_dir(self.site.shop.path()))
    }

    /// A technician with an Indonesian locale reads no English.
    fn speaks_indonesian(&self, more: &[&str]) {
        let mut doctor = inside(&self.site.root, env!("CARGO_BIN_EXE_qrisctl"));
        doctor.env("LC_ALL", "id_ID.UTF-8");
        let told = output(self.system.command(doctor.arg("doctor").args(more)).current_dir(self.site.shop.path()));
        let text = output_text(&told);
        let english = english_in(&text, &["No such file or directory", "Connection refused", "not-found"]);
        assert!(english.is_empty() && text.contains("OK    "), "{english:?} in {text}");
    }

    /// Exit status, and the lines as they are told about each thing. What gives no answer in time, on a busy computer, is asked again.
    fn examine(&self) -> (i32, Vec<Value>) {
        let is_late = |line: &Value| {
            let said = line["said"].as_str().unwrap_or_default();
            ["gives no answer in", "did not answer in", "timed out"].iter().any(|late| said.contains(late))
        };
        wait_for("an answer of everything", || {
            let told = self.doctor(&["--json"]);
            let text = String::from_utf8_lossy(&told.stdout).into_owned();
            let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            (!lines.iter().any(is_late)).then(|| (told.status.code().expect("a status"), lines))
        })
    }
}

/// A program of that system, where `systemctl` is the script and the programs are those that were just built.
fn inside(root: &Path, program: &str) -> Command {
    let built = Path::new(env!("CARGO_BIN_EXE_qrisctl")).parent().expect("a directory").display();
    let mut start = command(program);
    start.env("PATH", format!("{}/bin:{built}:/usr/sbin:/usr/bin:/sbin:/bin", root.display()));
    start
}

fn sh(root: &Path, script: &str) -> Command {
    let mut shell = command("/bin/sh");
    shell.arg("-ec").arg(script).current_dir(root);
    shell
}

/// The lines about one thing that is not well.
fn ills<'a>(lines: &'a [Value], check: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["check"] == check && line["level"] != "ok").collect()
}

/// Mosquitto refuses a subscription in silence. So each line of the access list by which machine and fleet hear each other is tried.
#[test]
fn with_the_fleets_account_it_is_tried_what_machine_and_fleet_hear() {
    let mut machine = Machine::set_up();
    let file = machine.site.shop.path().join("fleet-password");
    write(&file, &password("fleet")).expect("written");
    let file = file.display().to_string();
    let tried = ["--username", "fleet", "--password-file", &file];
    let is_said = |machine: &Machine, more: &[&str], words: &str| {
        wait_for(words, || output_text(&machine.doctor(more)).contains(words).then_some(()));
    };
    is_said(&machine, &[], "to publish on all topics of vm-001");
    is_said(&machine, &tried, "to subscribe and publish as vm-001");
    for (user, line) in told_by(Told::Doctor) {
        machine.site.shop.broker.without(user, line);
        let topic = topic(line);
        let words = match (user, line.contains(" read ")) {
            ("fleet", true) => format!("the account fleet does not get what vm-001 publishes on {topic}"),
            ("fleet", false) => format!("the account fleet may not publish on {topic} (not authorized)"),
            _ => format!("does not bring vm-001 what fleet publishes on {topic}"),
        };
        is_said(&machine, &tried, &words);
        machine.site.shop.broker.whole();
    }
    for (user, line) in told_by(Told::Refused) {
        machine.site.shop.broker.without(user, line);
        is_said(&machine, &[], &format!("but not publish as vm-001 ({}: not authorized)", topic(line)));
        machine.site.shop.broker.whole();
    }
}

/// A topic of vm-001 to which a line of the access list gives a right.
fn topic(line: &str) -> String {
    let (_, topic) = line.rsplit_once(' ').expect("a topic stands last");
    topic.replace("%u", "vm-001").replace("v1/+", "v1/vm-001").replace('+', "probe")
}

#[test]
fn a_machine_is_set_up_started_and_sound() {
    let mut machine = Machine::set_up();
    let called = std::fs::read_to_string(machine.site.root.join("called")).expect("systemctl was called");
    for words in
        ["enable qris-relayd.service qrisd.service\n", "reload-or-restart qris-relayd.service\n", "reload-or-restart qrisd.service\n"]
    {
        assert!(called.contains(words), "{words}: {called}");
    }
    assert!(machine.told.contains("the services run") && machine.told.contains("OK    broker"), "{}", machine.told);
    let (status, lines) = machine.examine();
    assert_eq!(status, 0, "{lines:#?}");
    let not_well: Vec<_> = lines.iter().filter(|line| line["level"] != "ok").collect();
    assert!(not_well.is_empty(), "{not_well:#?}");
    let checks: Vec<_> = lines.iter().map(|line| line["check"].as_str().expect("text")).collect();
    for check in [
        "config", "users", "files", "state", "services", "versions", "watchdog", "relay", "machine", "broker", "backend", "clock", "keys",
        "orders",
    ] {
        assert!(checks.contains(&check), "nothing about {check}: {checks:?}");
    }
    let words = String::from_utf8_lossy(&machine.doctor(&[]).stdout).into_owned();
    assert!(words.lines().any(|line| line.starts_with("OK    relay         lines: 1, ")), "{words}");
    assert_eq!(machine.site.shop.pulses(), 0, "looking moves nothing");

    // Secrets go where they are told to, whatever was there before, and systemd is told of what it hands over.
    let etc = machine.site.root.join("etc");
    let is_there = |path: &str| etc.join(path).exists();
    let drop_in = "systemd/system/qrisd.service.d/50-secrets.conf";
    for (keep, place, told) in
        [("credential", "credstore/qrisd.", false), ("encrypted", "credstore.encrypted/qrisd.", true), ("file", "qrisd/", false)]
    {
        std::fs::write(machine.site.root.join("called"), "").expect("written");
        let mut setup = inside(&machine.site.root, env!("CARGO_BIN_EXE_qrisctl"));
        succeed(&mut machine.system.command(setup.args(["setup", "--yes", "--secrets", keep])));
        for name in ["backend-token", "mqtt-password"] {
            let found: Vec<_> = ["credstore/qrisd.", "credstore.encrypted/qrisd.", "qrisd/"]
                .into_iter()
                .filter(|place| is_there(&format!("{place}{name}")))
                .collect();
            assert_eq!(found, [place], "{name} as {keep}");
        }
        assert_eq!(is_there(drop_in), told, "{keep}");
        let called = std::fs::read_to_string(machine.site.root.join("called")).expect("systemctl was called");
        assert!(called.contains("daemon-reload\n") && called.contains("\nrestart qrisd.service\n"), "{keep}: {called}");
        assert!(called.contains("reload-or-restart qris-relayd.service\n"), "{keep}: {called}");
        let (status, lines) = machine.examine();
        assert!(status == 0 && lines.iter().all(|line| line["level"] == "ok"), "{keep}: {lines:#?}");
    }

    // A link in the place of a secret is not followed: nothing is written, and nobody's rights are changed, where it leads.
    let again = |more: &[&str]| {
        let mut setup = inside(&machine.site.root, env!("CARGO_BIN_EXE_qrisctl"));
        succeed(machine.system.command(setup.args(["setup", "--yes"]).args(more)).current_dir(machine.site.shop.path()))
    };
    machine.sh("mv etc/qrisd/backend-token etc/token; ln -s /etc/token etc/qrisd/backend-token; chmod 644 etc/token; cp -p etc/token was");
    let is_untouched = || machine.sh("cmp etc/token was; test $(stat -c %a:%u:%g etc/token) = $(stat -c %a:%u:%g was)");
    let told = again(&[]);
    assert!(told.contains("/etc/qrisd/backend-token is a symbolic link, and was not changed: everybody"), "{told}");
    is_untouched();
    let token = machine.site.shop.path().join("same-token");
    std::fs::copy(etc.join("token"), &token).expect("there");
    let told = again(&["--token-file", &token.display().to_string()]);
    assert!(told.contains("/etc/qrisd/backend-token was a symbolic link: the file that it led to still holds a secret"), "{told}");
    is_untouched();
    machine.sh("test ! -L etc/qrisd/backend-token; test $(stat -c %a:%u:%g etc/qrisd/backend-token) = 640:0:991; rm etc/token was");
    assert_eq!(machine.examine().0, 0);

    // While an order waits, that is told; and asking what a service says does not begin one that does not run.
    let request = machine.site.shop.offer("A1");
    let (status, lines) = machine.examine();
    let about = |check: &str| {
        lines.iter().find(|line| line["check"] == check).and_then(|line| line["said"].as_str()).unwrap_or_default().to_owned()
    };
    assert_eq!(status, 0);
    assert!(about("machine").starts_with("awaiting_payment, order ") && about("orders").starts_with("1 open"), "{lines:#?}");
    machine.site.shop.cancel(&request);
    machine.site.shop.wait_idle();
    drop(machine.relayd.take());
    let (status, lines) = machine.examine();
    let said = ills(&lines, "relay");
    assert!(status == 1 && said[0]["said"].as_str().is_some_and(|said| said.contains("nobody has the name io.qrisd.Relay1")), "{lines:#?}");
    drop(machine.qrisd);
}

#[test]
fn each_ill_of_a_machine_is_named_with_what_to_do() {
    let machine = Machine::set_up();
    let stranger = jwk_set(&[SigningKey::from_seed([9; 32]).to_public_jwk("pay.example")]);
    std::fs::write(machine.site.root.join("stranger.json"), stranger).expect("written");
    machine.sh("cp -a etc whole");
    let failed = WELL.replace("active\n", "failed\n").replace("Result=success", "Result=exit-code");
    std::fs::write(machine.site.root.join("failed"), failed).expect("written");
    std::fs::write(machine.site.root.join("again"), WELL.replace("NRestarts=0", "NRestarts=4")).expect("written");
    // What is done to it and undone; the exit status; about which thing what is said, and what to do.
    let whole = "for f in qrisd.toml relay.toml keys.json mqtt-password backend-token; do cp -a whole/qrisd/$f etc/qrisd/; done";
    let handed_over = "sed -i 's,/etc/qrisd/backend-token,backend-token,' etc/qrisd/qrisd.toml; mkdir etc/credstore etc/credstore.encrypted; \
                       mkdir -p etc/systemd/system/qrisd.service.d; install -m600 etc/qrisd/backend-token etc/credstore/qrisd.backend-token; ";
    let kept = format!("{whole}; rm -r etc/credstore etc/credstore.encrypted etc/systemd");
    let taken_for_encrypted = format!(
        "{handed_over} echo LoadCredentialEncrypted=backend-token:qrisd.backend-token >etc/systemd/system/qrisd.service.d/50-secrets.conf"
    );
    let taken_for_plain = format!("{handed_over} mv etc/credstore/qrisd.backend-token etc/credstore.encrypted/");
    let no_ca = format!("{whole}; rm etc/qrisd/ca.pem");
    let table: [(&str, &str, i32, &str, &str, &str); 27] = [
        (&taken_for_encrypted, &kept, 1, "secrets", "is not encrypted, but", "sudo qrisctl setup"),
        (&taken_for_plain, &kept, 2, "secrets", "is encrypted, but", "sudo qrisctl setup"),
        ("chmod 666 etc/qrisd/keys.json", whole, 1, "files", "users other than root can change it", "chmod 644"),
        ("chown 991 etc/qrisd/qrisd.toml", whole, 1, "files", "users other than root can change it", "chown root:root"),
        ("chmod 777 etc/qrisd", "chmod 755 etc/qrisd", 1, "files", "can put another", "chmod 755"),
        ("chmod 644 etc/qrisd/backend-token", whole, 1, "secrets", "everybody on this computer", "chmod 640"),
        ("chgrp 0 etc/qrisd/mqtt-password", whole, 1, "secrets", "qrisd cannot read it", "chown root:qrisd"),
        ("rm etc/qrisd/mqtt-password", whole, 2, "secrets", "No such file", "qrisctl setup"),
        (
            "install -m644 etc/qrisd/backend-token etc/qrisd/backend-token.before-1700000000",
            "rm etc/qrisd/*.before-*",
            1,
            "secrets",
            "backend-token.before-1700000000 is root:root 0644: everybody on this computer",
            "remove it",
        ),
        (
            "mkdir etc/credstore; install -m644 etc/qrisd/mqtt-password etc/credstore/qrisd.mqtt-password.before-1700000000",
            "rm -r etc/credstore",
            1,
            "secrets",
            "everybody on this computer",
            "chmod 600 /etc/credstore/",
        ),
        (
            "echo 0 > fed; touch dev/watchdog0",
            "rm dev/watchdog0",
            0,
            "watchdog",
            "no program feeds the hardware watchdog",
            "RuntimeWatchdogSec=15",
        ),
        ("chmod 644 etc/qrisd/*-*", whole, 1, "secrets", "mqtt-password is root:qrisd 0644", "chmod 640 /etc/qrisd/mqtt-password"),
        ("sed -i '/^gpio:/d' etc/group", "cp whole/group etc/group", 1, "users", "group gpio", "systemd-sysusers"),
        ("sed -i 's/price = 5000/price = 0/' etc/qrisd/qrisd.toml", whole, 2, "config", "qrisd.toml:", "correct it"),
        ("sed -i 's/\\[\"A1\"\\]/[\"A9\"]/' etc/qrisd/relay.toml", whole, 2, "config", "no line has the item A1", "correct it"),
        ("mv etc/qrisd/relay.toml kept.toml", whole, 2, "config", "relay.toml: cannot be read", "qrisctl setup"),
        ("sed -i '/^contact/d' etc/qrisd/qrisd.toml", whole, 0, "contact", "customers need somebody", "--contact"),
        ("sed -i 's/^contact.*/contact = \"08-what\"/' etc/qrisd/qrisd.toml", whole, 0, "contact", "no telephone number", "--contact"),
        (
            "openssl req -x509 -newkey ed25519 -nodes -days 10 -subj /CN=ca -keyout key -out etc/qrisd/ca.pem 2>made; \
             sed -i 's,http://,https://,; s,^.backend.$,&\\nca_file = \"/etc/qrisd/ca.pem\",' etc/qrisd/qrisd.toml",
            &no_ca,
            1,
            "certificates",
            "/etc/qrisd/ca.pem: a CA in it ends at 20",
            "add the new CA",
        ),
        ("chown 0:0 var/lib/qrisd", "chown 991:991 var/lib/qrisd", 1, "state", "qrisd cannot write there", "chown -R qrisd:qrisd"),
        (
            "chown 0 var/lib/qris-relay/ledger.db",
            "chown 992 var/lib/qris-relay/ledger.db",
            1,
            "state",
            "as another user",
            "chown -R qris-relay",
        ),
        ("touch var/lib/qrisd/qrisd.db.corrupt-1700000000", "rm var/lib/qrisd/*corrupt*", 0, "state", "set aside", "look at the card"),
        ("cp units well; cp failed units", "cp well units", 1, "services", "is failed (exit-code)", "journalctl"),
        ("cp again units", "cp well units", 0, "services", "restarted it 4 times", "journalctl"),
        (
            "printf '#!/bin/sh\\necho qrisd 0.0.9\\n' > bin/qrisd; chmod 755 bin/qrisd",
            "rm bin/qrisd",
            1,
            "versions",
            "qrisd is 0.0.9",
            "the same release of all programs",
        ),
        ("echo wrong > etc/qrisd/mqtt-password", whole, 1, "broker", "refuses vm-001", "mosquitto_passwd"),
        ("echo wrong > etc/qrisd/backend-token", whole, 1, "backend", "does not take the token", "--replace"),
    ];
    for (harm, heal, exit, check, said, to_do) in table {
        machine.sh(harm);
        let (status, lines) = machine.examine();
        let found = ills(&lines, check);
        let fits = |line: &&&Value| {
            line["said"].as_str().is_some_and(|text| text.contains(said)) && line["to_do"].as_str().is_some_and(|text| text.contains(to_do))
        };
        assert!(status == exit && found.iter().any(|line| fits(&line)), "{harm}: {status}, {found:#?} of {lines:#?}");
        machine.speaks_indonesian(if ["broker", "backend"].contains(&check) { &[] } else { &["--offline"] });
        machine.sh(heal);
    }
    machine.speaks_indonesian(&[]);
    // Without a device systemd has nothing to feed, and that is no fault; with one it feeds it.
    let of_watchdog = |lines: &[Value]| {
        let found = lines.iter().find(|line| line["check"] == "watchdog").expect("told");
        (found["level"].as_str().expect("text").to_owned(), found["said"].as_str().expect("text").to_owned())
    };
    let (level, said) = of_watchdog(&machine.examine().1);
    assert!(level == "ok" && said.contains("this computer has none"), "{level}: {said}");
    machine.sh("echo 30s > fed; touch dev/watchdog0");
    let (level, said) = of_watchdog(&machine.examine().1);
    assert!(level == "ok" && said.contains("hangs for 30s is reset"), "{level}: {said}");
    // A secret may be its service's own.
    machine.sh("chown 991:991 etc/qrisd/backend-token; chmod 600 etc/qrisd/backend-token");
    assert_eq!(machine.examine().0, 0);
    machine.sh(whole);
    // Keys of somebody else: the relay service still has its own, and the backend signs with none of these.
    machine.sh("cp stranger.json etc/qrisd/keys.json");
    let (status, lines) = machine.examine();
    let said = |check: &str| ills(&lines, check).iter().map(|line| line["said"].to_string()).collect::<String>();
    assert_eq!(status, 1);
    assert!(said("relay").contains("other keys than keys.json") && said("keys").contains("no key of the backend is here"), "{lines:#?}");
    machine.sh(whole);
    let (status, lines) = machine.examine();
    assert!(status == 0 && lines.iter().all(|line| line["level"] == "ok"), "what was mended is well: {lines:#?}");
    assert_eq!(machine.site.shop.pulses(), 0);
}

/// What is sent to the makers has what they ask for, and nothing that opens a door or calls a person.
#[test]
fn a_field_report_has_the_first_sale_and_no_secret() {
    let machine = Machine::set_up();
    // The journal of one sale, as `journalctl --output=json` tells it.
    let kind = |name: &str| qris::host::events::TABLE.iter().find(|kind| kind.name == name).expect("a kind").message_id;
    let entry = |at: u64, name: &str, state: &str| {
        let id = kind(name);
        format!(
            r#"{{"__MONOTONIC_TIMESTAMP":"{at}","_BOOT_ID":"b","MESSAGE_ID":"{id}","REQUEST_ID":"r-1","ORDER_ID":"zzorderzz","STATE":"{state}"}}"#
        )
    };
    let lines = [
        entry(5_000_000, "OrderMoved", "requested"),
        entry(5_612_000, "OrderMoved", "awaiting_payment"),
        entry(17_612_000, "OrderMoved", "paid"),
        entry(17_650_000, "PulseBegins", ""),
        entry(18_150_000, "PulseEnds", "dispensed"),
    ];
    std::fs::write(machine.site.root.join("journal"), lines.join("\n") + "\n").expect("written");
    machine.sh("printf '#!/bin/sh\\nexec cat %s\\n' $PWD/journal > bin/journalctl; chmod 755 bin/journalctl");
    let file = machine.site.shop.path().join("report.txt");
    let report = || machine.doctor(&["--field-report", &file.display().to_string()]);
    let told = report();
    assert!(told.status.success() && String::from_utf8_lossy(&told.stdout).contains("OK    broker"), "{told:?}");
    let text = std::fs::read_to_string(&file).expect("a report");
    for words in [
        concat!("\nrelease    ", env!("CARGO_PKG_VERSION"), "\n"),
        "\nboard      ",
        "\nsystem     ",
        "\nLines of relay.toml:\n  a file that stands for a line, active high, without a sensor\n",
        "\n     0.612 s from the request to the QR\n",
        "\n    12.000 s from the QR to the payment",
        "\n     0.038 s from the payment to the pulse\n",
        "\n     0.500 s from the beginning of the pulse to its end\n",
        "\nOK    backend ",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let mut hidden: Vec<String> = ["0800-1", "zzorderzz", "r-1", "Teh botol"].map(str::to_owned).into();
    for directory in [machine.site.shop.path().to_owned(), machine.site.root.join("etc/qrisd")] {
        for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if ["password", "token", "key", "enrolment"].iter().any(|word| name.contains(word)) && name != "keys.json" {
                let content = std::fs::read_to_string(entry.path()).expect("a text");
                hidden.extend(match serde_json::from_str::<Value>(&content) {
                    Ok(key) if key["keys"].is_array() => continue,
                    Ok(key) => vec![key["d"].as_str().unwrap_or_else(|| panic!("{name}: {key}")).to_owned()],
                    Err(_) => content.lines().map(str::to_owned).filter(|line| line.len() > 5).collect(),
                });
            }
        }
    }
    assert!(hidden.len() > 10, "{}", hidden.len());
    for secret in hidden {
        assert!(!text.contains(&secret), "{secret}: {text}");
    }
    // What is there already is left alone.
    let told = report();
    assert!(told.status.code() == Some(2) && stderr(&told).contains("name a new file"), "{told:?}");
    assert_eq!(std::fs::read_to_string(&file).expect("there"), text);
}

/// As `qrisd` runs it for an operator far away: what only root can see is no fault, and a fault is one all the same.
#[test]
fn a_user_without_rights_gets_no_false_alarm() {
    let machine = Machine::set_up();
    let built = Path::new(env!("CARGO_BIN_EXE_qrisctl")).parent().expect("a directory").display();
    machine.system.run(&format!("mkdir /run/built /run/secrets; mount --bind {built} /run/built"));
    // The service manager hands secrets over, and its own directory is closed.
    machine.sh("chmod 755 ..; sed -i 's,/etc/qrisd/backend-token,backend-token,' etc/qrisd/qrisd.toml; mkdir -m700 etc/credstore; \
         mv etc/qrisd/backend-token etc/credstore/qrisd.backend-token; chown 0:0 etc/credstore/*; chmod 600 etc/credstore/*");
    // Nobody has the user qrisd on the computer of the tests, whose bus wants to know each user.
    machine.sh("sed -i 's/991/5/g' etc/passwd etc/group; chown -R 5:5 var/lib/qrisd; chgrp 5 etc/qrisd/mqtt-password");
    machine.system.run("install -o 5 -m400 /etc/credstore/qrisd.backend-token /run/secrets/backend-token");
    let mut doctor = inside(&machine.site.root, "setpriv");
    // As the unit does it.
    doctor.args(["--reuid", "5", "--regid", "5", "--clear-groups", "--no-new-privs", "--bounding-set=-all,+sys_tty_config"]);
    doctor.args(["--inh-caps=-all,+sys_tty_config", "--ambient-caps=-all,+sys_tty_config"]);
    doctor.args(["/run/built/qrisctl", "doctor", "--offline", "--json"]);
    doctor
        .env("CREDENTIALS_DIRECTORY", "/run/secrets")
        .env("PATH", format!("{}/bin:/run/built:/usr/bin:/bin", machine.site.root.display()));
    let examine = |doctor: &Command| {
        let told = output(machine.system.command(doctor).current_dir("/"));
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        (told.status.code(), text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<Value>>())
    };
    let (status, lines) = examine(&doctor);
    let of = |lines: &[Value], level: &str| {
        let found = lines.iter().filter(|line| line["level"] == level);
        found.map(|line| format!("{} {}", line["check"], line["said"]).replace('"', "")).collect::<Vec<_>>()
    };
    assert_eq!((status, of(&lines, "bad")), (Some(0), vec![]), "{lines:#?}");
    let unseen = of(&lines, "warn");
    assert!(unseen.iter().all(|said| said.starts_with("doctor ") || said.ends_with(": needs root")), "{unseen:#?}");
    for words in ["secrets /etc/credstore/qrisd.backend-token", "state ", "relay ", "machine "] {
        assert!(unseen.iter().any(|said| said.starts_with(words)), "{words}: {unseen:#?}");
    }
    let good = of(&lines, "ok");
    for words in ["config ", "users ", "state ", "services ", "versions "] {
        assert!(good.iter().any(|said| said.starts_with(words)), "{words}: {good:#?}");
    }
    // A command that asks the machine says who may.
    let mut order = inside(&machine.site.root, "setpriv");
    order.args(["--reuid", "5", "--regid", "5", "--clear-groups", "/run/built/qrisctl", "order", "--bus", &machine.site.shop.bus.address]);
    let told = output(machine.system.command(&order).current_dir("/"));
    let text = stderr(&told);
    assert_eq!(told.status.code(), Some(1), "{text}");
    assert!(text.contains("this user may not ask qrisd: use sudo, or be of the group qrisd-control"), "{text}");
    // A closed file is not one that is not there.
    let of_config =
        |lines: &[Value], level: &str| of(lines, level).into_iter().filter(|said| said.starts_with("config ")).collect::<Vec<_>>();
    machine.sh("chmod 600 etc/qrisd/keys.json");
    let (_, lines) = examine(&doctor);
    assert!(of_config(&lines, "bad").is_empty() && of_config(&lines, "warn")[0].ends_with(": needs root"), "{lines:#?}");
    machine.sh("chmod 644 etc/qrisd/keys.json; mv etc/qrisd/keys.json kept");
    let (status, lines) = examine(&doctor);
    assert!(status == Some(2) && of_config(&lines, "bad")[0].contains("keys.json cannot be read"), "{lines:#?}");
    machine.sh("mv kept etc/qrisd/keys.json");
    // What everybody sees is bad all the same.
    machine.sh("printf '#!/bin/sh\\necho qrisd 0.0.9\\n' > bin/qrisd; chmod 755 bin/qrisd");
    let (status, lines) = examine(&doctor);
    assert!(status == Some(1) && of(&lines, "bad")[0].starts_with("versions qrisd is 0.0.9"), "{lines:#?}");
    // Whoever else runs it has no credentials, and cannot say that the configuration is bad.
    doctor.env_remove("CREDENTIALS_DIRECTORY");
    let (status, lines) = examine(&doctor);
    let unseen = of(&lines, "warn");
    assert!(status == Some(1) && of(&lines, "bad").len() == 1, "{lines:#?}");
    assert!(unseen.iter().any(|said| said.starts_with("config ") && said.ends_with(": needs root")), "{unseen:#?}");
    assert_eq!(machine.site.shop.pulses(), 0);
}

#[test]
fn a_system_that_does_not_run_is_looked_at_as_far_as_it_goes() {
    let site = Site::new();
    let look = || {
        let told = output(command(env!("CARGO_BIN_EXE_qrisctl")).args(["doctor", "--json", "--offline", "--root"]).arg(&site.root));
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        (told.status.code(), text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect::<Vec<Value>>())
    };
    let (status, lines) = look();
    assert_eq!(status, Some(2), "nothing is set up: {lines:#?}");
    assert!(ills(&lines, "config").iter().all(|line| line["to_do"] == "`sudo qrisctl setup` makes it"), "{lines:#?}");
    let done = output(site.setup().args(["--from", &site.enrolment()]).args(site.goods()));
    assert_eq!(done.status.code(), Some(0));
    let (status, lines) = look();
    assert_eq!(status, Some(1), "{lines:#?}");
    let said = ills(&lines, "policy");
    assert!(said.len() == 1 && said[0]["said"].as_str().is_some_and(|said| said.contains("io.qrisd.Relay1.conf")), "{lines:#?}");
    assert!(ills(&lines, "config").is_empty() && !lines.iter().any(|line| line["check"] == "broker"), "{lines:#?}");
}
