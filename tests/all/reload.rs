//! SIGHUP, as `systemctl reload` sends it: the new configuration is taken, by the same process, and nothing is lost; one
//! that is not good changes nothing.

use crate::rig::PATIENCE;
use crate::rig::midtrans::Via;
use crate::rig::process::Process;
use crate::rig::shop::{Options, Program, Shop};
use qris::order::money::Rupiah;
use qris::wire::vend::EventState;
use std::time::{Duration, Instant};

/// Tells a program to reload and waits until it is ready again.
fn reload(process: &Process) {
    let before = process.notices.count();
    process.signal("HUP");
    for wanted in ["RELOADING=1", "READY=1"] {
        let seen = process.notices.find_from(before, PATIENCE, |notice| (notice == wanted).then_some(()));
        assert!(seen.is_some(), "no {wanted}:\n{}", process.text());
    }
    assert!(process.try_status().is_none(), "it is another process:\n{}", process.text());
    assert!(!process.notices.since(before).iter().any(|notice| notice == "STOPPING=1"), "to systemd it never stopped");
}

#[test]
fn the_machine_takes_new_prices_and_keeps_its_order() {
    let shop = Shop::open(Options::default());
    let request = shop.offer("A1");
    shop.edit(Program::Qrisd, |text| text.replacen("price = 5000", "price = 7000", 1));
    reload(shop.qrisd.as_ref().expect("it runs"));
    shop.wait_online();
    shop.pay(Via::Gopay);
    assert_eq!(shop.wait_state(&request, EventState::Dispensed).amount.map(Rupiah::get), Some(5000));
    assert_eq!(shop.sell("A1", Via::Gopay).amount.map(Rupiah::get), Some(7000));
    assert_eq!(shop.pulses(), 2);
    shop.check_books();
}

/// There SIGHUP says that the terminal is gone. With `nohup` the program outlives it.
#[test]
fn without_a_service_manager_a_program_says_why_it_ends() {
    let mut shop = Shop::merchants_side();
    shop.kill_backend();
    let start = |before: &str| {
        let mut command = crate::rig::command("sh");
        let script = format!("{before}; exec \"$0\" --config \"$1\" serve");
        command.args(["-c", &script]).arg(Program::Backend.binary()).arg(shop.config(Program::Backend)).current_dir(shop.path());
        let process = Process::start("qris-backend", &mut command);
        process.wait_line("is ready");
        process
    };
    let process = start(":");
    process.signal("HUP");
    process.wait_line("qris-backend stops: SIGHUP");
    assert!(process.wait().success());
    let process = start("trap '' HUP");
    process.signal("HUP");
    process.signal("TERM");
    process.wait_line("qris-backend stops: SIGTERM");
    assert!(process.wait().success() && !process.text().contains("SIGHUP"), "{}", process.text());
}

#[test]
fn a_configuration_that_is_not_good_changes_nothing() {
    let mut shop = Shop::open(Options::default());
    for program in Program::ALL {
        let mut good = String::new();
        shop.edit(program, |text| {
            good.clone_from(&text);
            format!("pulse = 1\n{text}")
        });
        let process = shop.process(program).as_ref().expect("it runs");
        process.signal("HUP");
        let told = process.wait_line("goes on with its old configuration");
        assert!(told.contains(":1: pulse"), "it tells the line and the key: {told}");
        assert!(!process.notices.all().iter().any(|notice| notice == "RELOADING=1"), "{program:?} began anew");
        shop.edit(program, |_| good);
    }
    shop.sell("A1", Via::Gopay);
    shop.check_books();
}

#[test]
fn the_relay_service_drives_to_the_end_first() {
    // Long enough that the reload comes in its middle, on a busy computer too.
    let shop = Shop::open(Options { line: "pulse_ms = 10000\n".into(), ..Options::default() });
    let request = shop.offer("A1");
    shop.edit(Program::Relayd, |text| text.replace("pulse_ms = 10000", "pulse_ms = 60"));
    shop.pay(Via::Gopay);
    shop.relay.wait_pulses(1);
    reload(shop.relayd.as_ref().expect("it runs"));
    // Cut short it would be uncertain.
    shop.wait_state(&request, EventState::Dispensed);
    shop.wait_idle();
    shop.offer("A1");
    shop.pay(Via::Gopay);
    shop.relay.until("two pulses", |relay| (relay.edges().len() == 4).then_some(()));
    let edges = shop.relay.edges();
    let length = |pulse: usize| edges[2 * pulse + 1].at_ms - edges[2 * pulse].at_ms;
    assert!(length(0) >= 10_000 && length(1) < 10_000, "{edges:?}");
}

#[test]
fn a_reload_of_the_relay_service_is_no_fault_to_the_machine() {
    let shop = Shop::open(Options::default());
    let qrisd = shop.qrisd.as_ref().expect("it runs");
    let messages = shop.tap.count();
    let (mut was, mut quick) = (50, 0);
    for pulse_ms in (200..2000).step_by(200) {
        let (told, heard, begun) = (qrisd.lines.count(), shop.tap.count(), Instant::now());
        shop.edit(Program::Relayd, |text| text.replace(&format!("pulse_ms = {was}"), &format!("pulse_ms = {pulse_ms}")));
        reload(shop.relayd.as_ref().expect("it runs"));
        let request = shop.vend("A1");
        shop.wait_state(&request, EventState::Requested);
        // The machine has the service again. It waits a second for that before it calls it a fault.
        let is_quick = begun.elapsed() < Duration::from_secs(1);
        shop.pay(Via::Gopay);
        shop.wait_state(&request, EventState::Dispensed);
        let edges = shop.relay.edges();
        let length = edges[edges.len() - 1].at_ms - edges[edges.len() - 2].at_ms;
        assert!((pulse_ms..pulse_ms + 10_000).contains(&length), "{pulse_ms}: {edges:?}");
        let told = qrisd.lines.since(told);
        let is_told = told.iter().any(|line| line.contains("the relay service does not answer"));
        let mut statuses = shop.tap.since(heard).into_iter().filter(|message| message.topic.ends_with("/status"));
        let is_faulty = statuses.any(|status| status.json()["faults"] != serde_json::json!([]));
        assert!(!(is_quick && (is_told || is_faulty)), "{told:#?}");
        (was, quick) = (pulse_ms, quick + u32::from(is_quick));
        if quick == 3 {
            break;
        }
    }
    let statuses = shop.tap.since(messages).into_iter().filter(|message| message.topic.ends_with("/status")).count();
    assert!(statuses >= 3, "it tells when it is busy: {statuses}");
    // One that does not come back is one.
    let lines = qrisd.lines.count();
    shop.relayd.as_ref().expect("it runs").signal("KILL");
    shop.wait_fault("relay", true);
    qrisd.wait_line_from(lines, "the relay service does not answer");
}

#[test]
fn the_backend_takes_new_limits_and_keeps_its_orders() {
    let shop = Shop::open(Options::default());
    let request = shop.offer("A1");
    shop.edit(Program::Backend, |text| text.replacen("orders_per_minute = 0", "orders_per_minute = 1", 1));
    reload(shop.backend.as_ref().expect("it runs"));
    shop.pay(Via::Gopay);
    shop.wait_state(&request, EventState::Dispensed);
    let refused = (0..3).map(|number| shop.post_order(&shop.order_body(&format!("limit-{number}"))).status).collect::<Vec<_>>();
    assert!(refused.contains(&429), "{refused:?}");
}
