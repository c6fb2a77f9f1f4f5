//! The shipped broker configuration: Mosquitto takes it, and its access list lets everybody say and hear their own only.

use crate::rig::certificates::Certificates;
use crate::rig::mosquitto::{Mosquitto, TAP, password};
use crate::rig::process::Process;
use crate::rig::tap::Tap;
use crate::rig::{command, free_port, output, source_text, succeed, tool, user};
use rumqttc::v5::mqttbytes::v5::PubAckReason;

/// Every kind of topic of a machine.
const TAILS: [&str; 13] = [
    "vend/request",
    "vend/cancel",
    "vend/collect",
    "payment/update",
    "cmd/reboot/request",
    "config/desired",
    "vend/event",
    "status",
    "telemetry",
    "config/reported",
    "cmd/reboot/response",
    "cmd/reboot/response/x",
    "vend/other",
];

#[test]
fn everybody_says_and_hears_their_own_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let broker = Mosquitto::start(directory.path(), None, false);
    // User, then what of vm-001, of vm-002 and of the machine that would be named like the user: heard, and said.
    let machine_hears = ["vend/request", "vend/cancel", "vend/collect", "payment/update", "cmd/reboot/request", "config/desired"];
    let machine_says = ["vend/event", "status", "telemetry", "config/reported", "cmd/reboot/response", "cmd/reboot/response/x"];
    let vends = ["vend/request", "vend/cancel", "vend/collect"];
    let fleet_says = ["vend/request", "vend/cancel", "vend/collect", "cmd/reboot/request", "config/desired"];
    struct Row<'a> {
        user: &'a str,
        machine: &'a str,
        hears: &'a [&'a str],
        says: &'a [&'a str],
    }
    let row = |user, machine, hears, says| Row { user, machine, hears, says };
    let table = [
        row("vm-001", "vm-001", &machine_hears, &machine_says),
        row("vm-001", "vm-002", &[], &[]),
        row("backend", "vm-001", &[], &["payment/update"]),
        row("backend", "vm-002", &[], &["payment/update"]),
        row("backend", "backend", &[], &[]),
        row("vm-001-controller", "vm-001", &["vend/event", "status"], &vends),
        row("vm-001-controller", "vm-002", &[], &[]),
        row("vm-001-controller", "vm-001-controller", &[], &[]),
        row("fleet", "vm-001", &machine_says, &fleet_says),
        row("fleet", "vm-002", &machine_says, &fleet_says),
        row("fleet", "fleet", &[], &[]),
    ];
    let all = Tap::connect(&broker, TAP, &[]);
    for Row { user, machine, hears, says } in table {
        let client = Tap::connect(&broker, user, &["#", "$SYS/#"]);
        for tail in TAILS {
            let topic = format!("qrisd/v1/{machine}/{tail}");
            let answer = client.publish_bytes(&topic, b"{}", false);
            let said = answer != PubAckReason::NotAuthorized;
            assert_eq!(said, says.contains(&tail), "{user} says {topic}: {answer:?}");
        }
        // What the client says itself it may hear too; the rest is asked of somebody who may say everything. The last
        // message of all tells that those before it went by.
        let from = client.count();
        for tail in TAILS {
            all.publish_bytes(&format!("qrisd/v1/{machine}/{tail}"), b"{}", false);
        }
        let marker = ["vm-001", "vm-002"].contains(&user).then(|| format!("qrisd/v1/{user}/vend/request"));
        let marker = marker.unwrap_or_else(|| match user {
            // It hears nothing at all, so nothing marks the end: a round trip of its own does, on the same connection.
            "backend" => String::new(),
            _ => "qrisd/v1/vm-001/status".into(),
        });
        if marker.is_empty() {
            client.publish_bytes("qrisd/v1/vm-001/payment/update", b"{}", false);
        } else {
            all.publish_bytes(&marker, b"\"end\"", false);
            client.wait_from(from, "the end", |message| (message.payload == b"\"end\"").then_some(()));
        }
        let messages = client.messages();
        let heard = |tail: &str| {
            let topic = format!("qrisd/v1/{machine}/{tail}");
            messages[from..].iter().any(|message| message.topic == topic && message.payload == b"{}")
        };
        for tail in TAILS {
            assert_eq!(heard(tail), hears.contains(&tail), "{user} hears {machine}/{tail}");
        }
    }
}

#[test]
fn nobody_gets_in_without_the_right_password() {
    let directory = tempfile::tempdir().expect("a directory");
    let broker = Mosquitto::start(directory.path(), None, false);
    let port = broker.port.to_string();
    for login in [&["-u", "vm-001", "-P", "wrong"][..], &["-u", "vm-003", "-P", "wrong"], &[]] {
        let mut publish = command(tool("mosquitto_pub"));
        publish.args(["-V", "5", "-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", "qrisd/v1/vm-001/status", "-m", "{}"]).args(login);
        let refused = output(&mut publish);
        assert!(!refused.status.success(), "{login:?} got in");
    }
}

#[test]
fn the_shipped_broker_configuration_works_over_tls() {
    let directory = tempfile::tempdir().expect("a directory");
    let tls = Certificates::make();
    let at = |name: &str| directory.path().join(name);
    let text = source_text("config/mosquitto.conf");
    let replaced = [
        ("/etc/mosquitto/qrisd.passwd", at("passwd").display().to_string()),
        ("/etc/mosquitto/qrisd.acl", at("acl").display().to_string()),
        ("/etc/mosquitto/certs/ca.pem", tls.certificate("ca").display().to_string()),
        ("/etc/mosquitto/certs/broker.pem", tls.certificate("server").display().to_string()),
        ("/etc/mosquitto/certs/broker.key", tls.key("server").display().to_string()),
        ("/var/lib/mosquitto/", format!("{}/", directory.path().display())),
    ];
    let port = free_port();
    let ours = replaced.iter().fold(text, |text, (shipped, ours)| {
        assert!(text.contains(shipped), "{shipped} is not in the shipped configuration");
        text.replace(shipped, ours)
    });
    assert!(ours.contains("listener 8883\n"));
    let ours = ours.replace("listener 8883\n", &format!("listener {port} 127.0.0.1\n"));
    std::fs::write(at("mosquitto.conf"), format!("user {}\nlog_dest stderr\n{ours}", user())).expect("written");
    std::fs::write(at("acl"), source_text("config/mosquitto.acl")).expect("written");
    succeed(command(tool("mosquitto_passwd")).args(["-c", "-b"]).arg(at("passwd")).args(["vm-001", &password("vm-001")]));
    let broker = Process::start("mosquitto", command(tool("mosquitto")).arg("-c").arg(at("mosquitto.conf")));
    broker.wait_line(" running");
    let publish = |ca: &std::path::Path| {
        let mut publish = command(tool("mosquitto_pub"));
        publish.args(["-V", "5", "-h", "127.0.0.1", "-p", &port.to_string(), "-u", "vm-001", "-P", &password("vm-001")]);
        output(publish.args(["-q", "1", "-t", "qrisd/v1/vm-001/status", "-m", "{}", "--cafile"]).arg(ca))
    };
    let taken = publish(&tls.certificate("ca"));
    assert!(taken.status.success(), "{}\n{}", String::from_utf8_lossy(&taken.stderr), broker.text());
    assert!(!publish(&tls.certificate("other-ca")).status.success(), "a broker of another CA must not be believed");
}
