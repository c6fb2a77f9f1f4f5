//! The shipped access list lets everybody say and hear their own only, and so does that of the broker inside the demo.
//! `install_guide` sells with the rest of the shipped configuration.

use crate::rig::inside::Inside;
use crate::rig::mosquitto::{Mosquitto, TAP, password};
use crate::rig::source_text;
use crate::rig::tap::Tap;
use rumqttc::v5::mqttbytes::v5::PubAckReason;

/// The broker keeps one message for each topic. So what one account can leave there is a number.
#[test]
fn what_a_machine_may_write_is_named_topic_by_topic() {
    let list = source_text("config/mosquitto.acl");
    let writes: Vec<_> = list.lines().filter_map(|line| line.strip_prefix("pattern write ")).collect();
    assert_eq!(
        writes,
        ["vend/event", "status", "telemetry", "stock", "config/reported", "cmd/response"].map(|tail| format!("qrisd/v1/%u/{tail}"))
    );
    assert!(!list.lines().any(|line| line.starts_with("pattern readwrite")), "{list}");
}

#[test]
fn everybody_says_and_hears_their_own_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let broker = Mosquitto::start(directory.path(), None, false);
    own_only(broker.port);
}

#[test]
fn inside_the_demo_everybody_says_and_hears_their_own_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let broker = Inside::start(directory.path());
    own_only(broker.port);
}

/// The table of who may say and hear what, held against the broker at this port.
fn own_only(port: u16) {
    // User, then what of vm-001, of vm-002 and of the machine that would be named like the user: heard, and said.
    let machine_hears = ["vend/request", "vend/cancel", "vend/collect", "payment/update", "cmd/reboot/request", "config/desired"];
    let machine_says = ["vend/event", "status", "telemetry", "stock", "config/reported", "cmd/response"];
    let vends = ["vend/request", "vend/cancel", "vend/collect"];
    let fleet_says = ["vend/request", "vend/cancel", "vend/collect", "cmd/reboot/request", "config/desired"];
    // Every kind of topic of a machine, and what is below one that it may write.
    let nobodys =
        ["vend/other", "vend/event/x", "status/x", "telemetry/x", "stock/x", "config/reported/x", "cmd/response/x", "cmd/reboot/response"];
    let tails = [&machine_hears[..], &machine_says, &nobodys].concat();
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
        row("backend", "vm-001", &["status", "telemetry", "stock"], &["payment/update"]),
        row("backend", "vm-002", &["status", "telemetry", "stock"], &["payment/update"]),
        row("backend", "backend", &[], &[]),
        row("vm-001-controller", "vm-001", &["vend/event", "status", "stock"], &vends),
        row("vm-001-controller", "vm-002", &[], &[]),
        row("vm-001-controller", "vm-001-controller", &[], &[]),
        row("fleet", "vm-001", &machine_says, &fleet_says),
        row("fleet", "vm-002", &machine_says, &fleet_says),
        row("fleet", "fleet", &[], &[]),
    ];
    let connect = |user: &str, filters: &[&str]| Tap::connect_at(port, user, &password(user), filters);
    let all = connect(TAP, &[]);
    for Row { user, machine, hears, says } in table {
        let marker = ["vm-001", "vm-002"].contains(&user).then(|| format!("qrisd/v1/{user}/vend/request"));
        let marker = marker.unwrap_or_else(|| "qrisd/v1/vm-001/status".into());
        // One broker judges each message, the other one each filter: so all is asked for by its name, too.
        let named: Vec<_> = tails.iter().map(|tail| format!("qrisd/v1/{machine}/{tail}")).chain([marker.clone()]).collect();
        let wide = format!("qrisd/v1/{machine}/#");
        let filters: Vec<_> = ["#", "$SYS/#", "qrisd/v1/#", &wide].into_iter().chain(named.iter().map(String::as_str)).collect();
        let client = connect(user, &filters);
        for tail in &tails {
            let topic = format!("qrisd/v1/{machine}/{tail}");
            let answer = client.publish_bytes(&topic, b"{}", false);
            let said = answer != PubAckReason::NotAuthorized;
            assert_eq!(said, says.contains(tail), "{user} says {topic}: {answer:?}");
        }
        // What the client says itself it may hear too; the rest is asked of somebody who may say everything. The last
        // message of all tells that those before it went by.
        let from = client.count();
        for tail in &tails {
            all.publish_bytes(&format!("qrisd/v1/{machine}/{tail}"), b"{}", false);
        }
        all.publish_bytes(&marker, b"\"end\"", false);
        client.wait_from(from, "the end", |message| (message.payload == b"\"end\"").then_some(()));
        let messages = client.messages();
        let heard = |tail: &str| {
            let topic = format!("qrisd/v1/{machine}/{tail}");
            messages[from..].iter().any(|message| message.topic == topic && message.payload == b"{}")
        };
        for tail in &tails {
            assert_eq!(heard(tail), hears.contains(tail), "{user} hears {machine}/{tail}");
        }
    }
}
