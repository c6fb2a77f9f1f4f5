//! The units, as systemd itself reads them: no more rights than are needed, and what they do. `install_guide` sees to it that
//! systemd understands every line.

use crate::rig::systemd::Systemd;
use crate::rig::{command, source, source_text, succeed, tool, wait_for};
use std::path::Path;

/// The units, and the exposure that `systemd-analyze security` may find: 0 is none, 10 is all.
const SERVICES: [(&str, f64); 5] = [
    ("qrisd.service", 2.0),
    ("qris-relayd.service", 1.5),
    ("qris-backend.service", 1.5),
    ("qris-desk.service", 1.0),
    ("qris-desk-home.service", 1.5),
];

/// It has the listener of a service that has no network.
const DESK_SOCKET: &str = "qris-desk.socket";

/// The same of what begins them anew.
const REST: (&str, f64) = ("qris-again@.service", 1.0);

/// What begins a service anew that failed, and its names in the two packages.
const AGAIN: [(&str, &str); 4] = [
    ("qris-again@.service", "qris-again@.service"),
    ("qris-again@.target", "qris-again@.target"),
    ("qris-again@.service", "qris-backend-again@.service"),
    ("qris-again@.target", "qris-backend-again@.target"),
];

/// Of two lines for one credential systemd 252 takes the last, and hands over no plain secret that it takes for encrypted.
#[test]
fn each_credential_is_loaded_by_one_plain_line() {
    let with_secrets = |name: &str| !["qris-relayd.service", "qris-desk.service", "qris-desk-home.service"].contains(&name);
    for (name, _) in SERVICES {
        let text = source_text(&format!("systemd/{name}"));
        let mut loaded: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("LoadCredential=")?.split(':').next()).collect();
        assert!(loaded.len() >= 2 || !with_secrets(name), "{name}: {loaded:?}");
        loaded.sort_unstable();
        assert!(loaded.windows(2).all(|two| two[0] != two[1]), "{name}: {loaded:?}");
        assert!(!text.contains("LoadCredentialEncrypted="), "{name}");
    }
}

/// `--check` looks whether the connections fit into what the unit gives.
#[test]
fn the_backend_has_the_descriptors_that_its_connections_may_take() {
    let unit = source_text("systemd/qris-backend.service");
    let given = unit.lines().find_map(|line| line.strip_prefix("LimitNOFILE="));
    assert_eq!(given, Some(qris::backend::settings::DESCRIPTORS.to_string().as_str()));
}

#[test]
fn no_service_leaves_its_memory_on_a_disk() {
    for (name, _) in SERVICES {
        let unit = source_text(&format!("systemd/{name}"));
        assert!(unit.lines().any(|line| line == "LimitCORE=0"), "{name}");
    }
}

/// An order that waits for its payment is on the screen, and a paid one delivered, before there is a network.
#[test]
fn no_service_of_a_machine_waits_for_a_network() {
    let waits = |name: &str| {
        let text = source_text(&format!("systemd/{name}"));
        let lines = text.lines().filter(|line| ["After=", "Requires=", "Wants="].iter().any(|key| line.starts_with(key)));
        lines.flat_map(|line| line.split(['=', ' ']).map(str::to_owned).collect::<Vec<_>>()).any(|word| word.starts_with("network"))
    };
    assert!(!waits("qrisd.service") && !waits("qris-relayd.service"));
    // It does find one that waits.
    assert!(waits("qris-backend.service"));
}

#[test]
fn no_service_may_more_than_it_needs() {
    for (name, most) in SERVICES.into_iter().chain([REST]) {
        let unit = source(&format!("systemd/{name}"));
        let told = succeed(command(tool("systemd-analyze")).args(["security", "--offline=true", "--no-pager"]).arg(&unit));
        let exposure = told.lines().find_map(|line| line.split_once("Overall exposure level for ")?.1.split_whitespace().nth(1));
        let exposure: f64 = exposure.unwrap_or_else(|| panic!("{told}")).parse().expect("a number");
        assert!(exposure <= most, "{name}: {exposure} is more than {most}:\n{told}");
    }
}

/// The shipped units, as far as they are about starts and stops, for a service manager of this test: a service writes a
/// line when it starts, ends at once while there is a file `broken`, and ignores SIGTERM. A pause is as long as there is no
/// file `go`.
fn at_work(directory: &Path) -> Systemd {
    let here = directory.display();
    for (name, _) in SERVICES {
        let text = source_text(&format!("systemd/{name}"));
        let unit: Vec<_> = text.lines().take_while(|line| *line != "[Service]").collect();
        let unit: Vec<_> = unit
            .into_iter()
            .filter(|line| !["Wants=network", "Wants=qris-r", "Condition"].iter().any(|word| line.starts_with(word)))
            .collect();
        assert!(unit.len() > 5, "{name}: {unit:?}");
        let script =
            format!("trap \"\" TERM; echo start >> {here}/{name}.starts; while ! [ -e {here}/broken ]; do sleep 0.05; done; exit 1");
        let service = format!("[Service]\nExecStart=/bin/sh -c '{script}'\nRestart=always\nRestartSec=50ms\nTimeoutStopSec=1\n");
        std::fs::write(directory.join(name), format!("{}\n{service}", unit.join("\n"))).expect("written");
    }
    let socket = source_text(&format!("systemd/{DESK_SOCKET}")).replace("=127.0.0.1:8090", &format!("={here}/desk.sock"));
    std::fs::write(directory.join(DESK_SOCKET), socket).expect("written");
    let bus = "[Service]\nExecStart=/bin/sleep infinity\n";
    std::fs::write(directory.join("dbus.service"), bus).expect("written");
    for (from, name) in AGAIN {
        let text = source_text(&format!("systemd/{from}")).replace("/bin/systemctl ", "/bin/systemctl --user ");
        let pause = format!("=/bin/sh -c 'until [ -e {here}/go ]; do sleep 0.05; done'");
        assert_eq!(text.matches("=/bin/sleep 60").count(), usize::from(from.ends_with(".service")), "{from}");
        // The manager of a user is reached below /run/user, and this test's files lie in /tmp.
        let hides = |line: &str| ["ProtectHome=", "PrivateTmp="].iter().any(|key| line.starts_with(key));
        let text: String = text.split_inclusive('\n').filter(|line| !hides(line)).collect();
        std::fs::write(directory.join(name), text.replace("=/bin/sleep 60", &pause)).expect("written");
    }
    Systemd::with(directory)
}

/// What rests for a service.
fn rest_of(service: &str) -> String {
    format!(
        "{}@{service}.service",
        if ["qris-backend.service", "qris-desk.service", "qris-desk-home.service"].contains(&service) {
            "qris-backend-again"
        } else {
            "qris-again"
        }
    )
}

/// How often a service was started.
fn starts(directory: &Path, service: &str) -> usize {
    std::fs::read_to_string(directory.join(format!("{service}.starts"))).unwrap_or_default().lines().count()
}

/// Waits until it was started so often. It ignores SIGTERM from then on.
fn await_starts(directory: &Path, service: &str, count: usize) {
    wait_for(&format!("start {count} of {service}"), || (starts(directory, service) >= count).then_some(()));
}

/// Starts a service that ends at once, until systemd has enough of it, and says what rests for it then.
fn fails_until_its_pause(systemd: &Systemd, service: &str, broken: &Path) -> String {
    let rest = rest_of(service);
    std::fs::write(broken, "").expect("written");
    systemd.tell(&["start", service]);
    systemd.await_state(&rest, "activating");
    systemd.await_state(service, "failed");
    rest
}

#[test]
fn a_service_that_fails_ten_times_goes_on_after_a_pause() {
    let directory = tempfile::tempdir().expect("a directory");
    let (broken, go) = (directory.path().join("broken"), directory.path().join("go"));
    let systemd = at_work(directory.path());
    for (service, _) in SERVICES {
        let rest = fails_until_its_pause(&systemd, service, &broken);
        let before = starts(directory.path(), service);
        assert!((2..=10).contains(&before), "{service}: {before}");
        std::fs::remove_file(&broken).expect("removed");
        std::fs::write(&go, "").expect("written");
        await_starts(directory.path(), service, before + 1);
        systemd.await_state(&rest, "inactive");
        assert_eq!(
            (systemd.property(service, "ActiveState").as_str(), starts(directory.path(), service)),
            ("active", before + 1),
            "{service}"
        );
        std::fs::remove_file(&go).expect("removed");
    }
}

/// Else whoever knocks would start what somebody has stopped.
#[test]
fn the_desks_listener_is_there_as_long_as_the_desk() {
    let directory = tempfile::tempdir().expect("a directory");
    let systemd = at_work(directory.path());
    let service = "qris-desk.service";
    systemd.tell(&["start", service]);
    await_starts(directory.path(), service, 1);
    assert_eq!(systemd.property(DESK_SOCKET, "ActiveState"), "active");
    systemd.tell(&["kill", "--kill-whom=main", "--signal=KILL", service]);
    await_starts(directory.path(), service, 2);
    assert_eq!(systemd.property(DESK_SOCKET, "ActiveState"), "active", "who knocks meanwhile waits");
    systemd.tell(&["stop", service]);
    assert_eq!(systemd.property(DESK_SOCKET, "ActiveState"), "inactive");
}

/// Nothing else begins a service again.
#[test]
fn a_pause_that_is_killed_begins_anew() {
    let directory = tempfile::tempdir().expect("a directory");
    let (broken, go) = (directory.path().join("broken"), directory.path().join("go"));
    let systemd = at_work(directory.path());
    let (service, _) = SERVICES[0];
    let rest = fails_until_its_pause(&systemd, service, &broken);
    let before = starts(directory.path(), service);
    std::fs::remove_file(&broken).expect("removed");
    let first = systemd.property(&rest, "InvocationID");
    // It is alone in its group. systemd fails if it looks for others when the group is gone.
    systemd.tell(&["kill", "--kill-whom=main", "--signal=KILL", &rest]);
    let anew = |now: String| (now != first && !now.is_empty()).then_some(());
    wait_for("another pause", || anew(systemd.property(&rest, "InvocationID")));
    assert_eq!(starts(directory.path(), service), before);
    std::fs::write(&go, "").expect("written");
    await_starts(directory.path(), service, before + 1);
}

/// A customer is there while a service that died is started again, and the file says so. Without the service there is no file.
#[test]
fn what_tells_scripts_of_a_customer_stays_until_the_service_is_stopped() {
    let directory = tempfile::tempdir().expect("a directory");
    let systemd = at_work(directory.path());
    let (service, _) = SERVICES[0];
    let text = source_text(&format!("systemd/{service}"));
    let given: Vec<_> = text.lines().filter(|line| line.starts_with("RuntimeDirectory")).collect();
    let unit = directory.path().join(service);
    let script = format!(
        "stat -c %%a $$RUNTIME_DIRECTORY >> {here}/seen; ls $$RUNTIME_DIRECTORY >> {here}/seen; touch $$RUNTIME_DIRECTORY/customer; \
        echo start >> {here}/{service}.starts; exec sleep infinity",
        here = directory.path().display()
    );
    let lines = format!("[Service]\nExecStart=/bin/sh -c '{script}'\nRestart=always\nRestartSec=50ms\nUMask=0077\n{}\n", given.join("\n"));
    std::fs::write(&unit, lines).expect("written");
    systemd.tell(&["daemon-reload"]);
    systemd.tell(&["start", service]);
    await_starts(directory.path(), service, 1);
    systemd.tell(&["kill", "--kill-whom=main", "--signal=KILL", service]);
    await_starts(directory.path(), service, 2);
    systemd.tell(&["stop", service]);
    systemd.tell(&["start", service]);
    await_starts(directory.path(), service, 3);
    assert_eq!(std::fs::read_to_string(directory.path().join("seen")).expect("seen"), "755\n755\ncustomer\n755\n");
}

/// It may be in the middle of a pulse.
#[test]
fn a_bus_that_is_started_anew_ends_no_service() {
    let directory = tempfile::tempdir().expect("a directory");
    let systemd = at_work(directory.path());
    for (service, _) in SERVICES {
        systemd.tell(&["start", service]);
        await_starts(directory.path(), service, 1);
    }
    let processes = || SERVICES.map(|(service, _)| systemd.property(service, "MainPID"));
    let (before, bus) = (processes(), systemd.property("dbus.service", "MainPID"));
    assert_ne!(bus, "0", "a service has asked for it");
    systemd.tell(&["restart", "dbus.service"]);
    assert_ne!(systemd.property("dbus.service", "MainPID"), bus);
    assert_eq!(processes(), before);
}

#[test]
fn a_service_that_somebody_stops_stays_stopped() {
    let directory = tempfile::tempdir().expect("a directory");
    let (broken, go) = (directory.path().join("broken"), directory.path().join("go"));
    let systemd = at_work(directory.path());
    for (service, _) in SERVICES {
        let rest = rest_of(service);
        // In the pause: it has failed, and a stop changes nothing about that.
        std::fs::write(&broken, "").expect("written");
        systemd.tell(&["start", service]);
        systemd.await_state(&rest, "activating");
        systemd.tell(&["stop", service]);
        let before = starts(directory.path(), service);
        assert_eq!(systemd.property(service, "ActiveState"), "failed", "{service}");
        std::fs::remove_file(&broken).expect("removed");
        std::fs::write(&go, "").expect("written");
        systemd.await_state(&rest, "inactive");
        assert_eq!((systemd.property(service, "ActiveState").as_str(), starts(directory.path(), service)), ("failed", before), "{service}");
        // It hangs when it is stopped, and is killed: that is a failure, too.
        std::fs::remove_file(&go).expect("removed");
        systemd.tell(&["reset-failed", service]);
        systemd.tell(&["start", service]);
        await_starts(directory.path(), service, before + 1);
        systemd.tell(&["stop", service]);
        assert_eq!(systemd.property(service, "Result"), "timeout", "{service}");
        systemd.await_state(&rest, "activating");
        std::fs::write(&go, "").expect("written");
        systemd.await_state(&rest, "inactive");
        assert_eq!(
            (systemd.property(service, "ActiveState").as_str(), starts(directory.path(), service)),
            ("failed", before + 1),
            "{service}"
        );
        // Who starts it again in the pause is refused, because it was started too often, and counts all the same.
        std::fs::remove_file(&go).expect("removed");
        std::fs::write(&broken, "").expect("written");
        systemd.tell(&["reset-failed", service]);
        systemd.tell(&["start", service]);
        systemd.await_state(&rest, "activating");
        systemd.tell(&["stop", service]);
        systemd.tell(&["start", "--no-block", service]);
        std::fs::remove_file(&broken).expect("removed");
        std::fs::write(&go, "").expect("written");
        systemd.await_state(service, "active");
        std::fs::remove_file(&go).expect("removed");
    }
}
