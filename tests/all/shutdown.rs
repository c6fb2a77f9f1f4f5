//! How the programs begin, go on and end, as the service manager sees it.

use crate::rig::PATIENCE;
use crate::rig::midtrans::Via;
use crate::rig::process::Process;
use crate::rig::shop::{Options, Program, Shop};
use qris::wire::vend::EventState;

#[test]
fn sigterm_ends_every_program_within_2_s_and_loses_nothing() {
    let mut shop = Shop::open(Options::default());
    let request_id = shop.offer("A1");
    let payload = shop.screen.wait_payload();
    for process in [shop.qrisd.take(), shop.relayd.take(), shop.backend.take()] {
        let process = process.expect("it runs");
        let (status, took) = process.terminate();
        assert!(status.success() && took.as_millis() < 2000, "{status} after {took:?}:\n{}", process.text());
        assert!(process.notices.all().iter().any(|notice| notice == "STOPPING=1"), "{:?}", process.notices.all());
    }
    shop.start_backend();
    shop.start_machine();
    assert_eq!(shop.screen.wait_payload(), payload);
    shop.pay(Via::Gopay);
    shop.wait_state(&request_id, EventState::Dispensed);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

#[test]
fn the_watchdog_is_fed_while_there_is_progress() {
    let mut shop = Shop::merchants_side();
    shop.kill_backend();
    for (program, name) in [(Program::Backend, "qris-backend"), (Program::Relayd, "qris-relayd"), (Program::Qrisd, "qrisd")] {
        let mut start = shop.program_command(program);
        if program == Program::Backend {
            start.arg("serve");
        }
        let process = Process::start_service(name, start.env("WATCHDOG_USEC", "400000"), shop.path());
        for _ in 0..2 {
            let fed = process.notices.find_from(process.notices.count(), PATIENCE, |notice| (notice == "WATCHDOG=1").then_some(()));
            assert!(fed.is_some(), "{name} does not feed the watchdog: {:?}", process.notices.all());
        }
        assert!(process.notices.all().iter().any(|notice| notice.starts_with("STATUS=")), "{name}: {:?}", process.notices.all());
        match program {
            Program::Qrisd => shop.qrisd = Some(process),
            Program::Relayd => shop.relayd = Some(process),
            Program::Backend => shop.backend = Some(process),
        }
    }
}
