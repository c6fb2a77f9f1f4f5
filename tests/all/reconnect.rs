//! Broker, bus and network go and come.

use crate::rig::midtrans::Via;
use crate::rig::shop::{Options, Shop};
use crate::rig::tap::Tap;
use crate::rig::{output, stdout};
use qris::host::clock;
use qris::order::time::{Span, Wall, Zone};
use std::time::{Duration, Instant};

#[test]
fn a_broker_that_forgot_everything_is_subscribed_to_again() {
    let mut shop = Shop::open(Options { broker_persistence: false, ..Options::default() });
    shop.sell("A1", Via::Gopay);
    shop.wait_idle();
    let qrisd = shop.qrisd.as_ref().expect("it runs");
    let lines = qrisd.lines.count();
    shop.broker.stop();
    let from = shop.tap.count();
    shop.broker.resume();
    qrisd.wait_line_from(lines, "connected to the broker");
    // The broker has forgotten the test, too. It hears again when it has the status.
    shop.tap.wait_from(from, "the status once more", |message| (message.topic == "qrisd/v1/vm-001/status").then_some(()));
    shop.sell("A2", Via::Qris);
    assert_eq!(shop.pulses(), 2);
    shop.check_books();
}

/// The list has its name, its release, and since when, which was a moment ago, whatever clock the machine has.
fn is_listed_as_offline(shop: &Shop) {
    let list = |more: &[&str]| {
        let arguments = [&["fleet", "list"], more].concat();
        stdout(&output(shop.qrisctl_command("fleet").env("TZ", "Asia/Makassar").args(arguments)))
    };
    let told: serde_json::Value = serde_json::from_str(list(&["--json"]).trim()).expect("one machine");
    let since = Wall::from_rfc3339(told["offline_since"].as_str().expect("a time")).expect("RFC 3339");
    let ago = clock::now().wall - since;
    assert!(ago >= Span::ZERO && ago < Span::secs(60), "{ago:?} ago: {told}");
    let text = list(&[]);
    // The broker counts in whole seconds, and it was asked anew. The next minute may have begun.
    let rows = [since - Span::secs(2), since, clock::now().wall].map(|since| {
        let clock = since.to_local(Zone::Wita);
        format!("Lobby (vm-001)       offline since {} WITA {}    own file", &clock[11..16], env!("CARGO_PKG_VERSION"))
    });
    assert!(text.lines().nth(1).is_some_and(|line| rows.iter().any(|row| row == line)), "{text}{rows:#?}");
}

#[test]
fn a_machine_that_stops_says_so_itself() {
    let mut shop = Shop::open(Options::default());
    let from = shop.tap.count();
    let (status, took) = shop.qrisd.as_ref().expect("it runs").terminate();
    // Two seconds by its own clock. A busy computer lets it stand still besides.
    assert!(status.success() && took.as_secs() < 20, "{status} after {took:?}");
    // At once: the will would come after 30 s.
    let offline = shop.tap.wait_from(from, "offline", |message| {
        (message.topic == "qrisd/v1/vm-001/status").then(|| message.json()).filter(|status| status["state"] == "offline")
    });
    assert_eq!(offline, serde_json::json!({"state": "offline", "version": env!("CARGO_PKG_VERSION")}));
    is_listed_as_offline(&shop);
    shop.kill_qrisd();
}

#[test]
fn a_machine_that_dies_is_told_offline_by_its_will() {
    const WILL_DELAY: Duration = Duration::from_secs(30);
    let mut shop = Shop::open(Options::default());
    let offline = serde_json::json!({"state": "offline", "version": env!("CARGO_PKG_VERSION")});
    let from = shop.tap.count();
    let died = Instant::now();
    shop.kill_qrisd();
    // The relay's version may have been told in the last moment.
    let told = shop.tap.wait_from_within(from, WILL_DELAY + Duration::from_secs(15), "the will", |message| {
        (message.topic == "qrisd/v1/vm-001/status").then(|| message.json()).filter(|status| status["state"] != "online")
    });
    assert_eq!(told, offline, "the will, and nothing else");
    // The broker counts in whole seconds.
    assert!(died.elapsed() + Duration::from_secs(2) > WILL_DELAY, "a machine that comes back at once was told offline");
    // Who comes later learns it, too.
    let later = Tap::connect(&shop.broker, "fleet", &["qrisd/v1/+/status"]);
    let retained = later.wait_from(0, "a retained status", |message| message.retain.then(|| message.json()));
    assert_eq!(retained, offline);
    is_listed_as_offline(&shop);
    shop.start_qrisd();
    shop.wait_online();
}
