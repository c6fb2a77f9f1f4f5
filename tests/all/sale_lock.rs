//! Nothing reboots, restarts or upgrades a machine while a customer is there, and nothing is sold meanwhile.

use crate::rig::caller::Caller;
use crate::rig::logind::{Logind, RULES};
use crate::rig::midtrans::Via;
use crate::rig::process::Process;
use crate::rig::shop::{Options, Program, Shop};
use crate::rig::wait_for;
use qris::order::reason::Reason;
use qris::wire::vend::EventState;

fn open() -> (Shop, Logind) {
    let shop = Shop::open(Options { bus: RULES, ..Options::default() });
    let logind = Logind::start(&shop.bus.address);
    logind.wait_lock(1, true);
    (shop, logind)
}

#[test]
fn a_shutdown_waits_until_the_customer_has_the_goods() {
    let (shop, logind) = open();
    let given = logind.locks.lock().expect("no panic")[0].0.clone();
    assert_eq!([&*given[0], &*given[1], &*given[3]], ["shutdown", "qrisd", "delay"]);
    let qrisd = shop.qrisd.as_ref().expect("it runs");
    let request = shop.offer("A1");
    logind.tells(true);
    qrisd.wait_line("held by shutdown");
    shop.tap.wait_refused(&shop.vend("A1"), Reason::Updating);
    assert_eq!(logind.lock(), (1, true), "a customer is there");
    shop.pay(Via::Gopay);
    shop.wait_state(&request, EventState::Dispensed);
    logind.wait_lock(1, false);
    shop.tap.wait_refused(&shop.vend("A1"), Reason::Updating);
    // The person who wanted it has changed their mind.
    logind.tells(false);
    logind.wait_lock(2, true);
    shop.sell("A1", Via::Gopay);
    // Nobody is there: it does not wait.
    shop.wait_idle();
    logind.tells(true);
    logind.wait_lock(2, false);
    shop.check_books();
}

#[test]
fn a_command_waits_for_the_customer_and_nothing_is_sold_while_it_runs() {
    let (shop, _logind) = open();
    let hold = |more: &[&str]| {
        let mut command = shop.qrisctl_command("fleet");
        command.args(["hold", "--bus", &shop.bus.address, "--who", "apt"]).args(more);
        command
    };
    let (mark, go_on) = (shop.path().join("mark"), shop.path().join("go-on"));
    let script = format!("touch {}; until [ -e {} ]; do sleep 0.05; done", mark.display(), go_on.display());
    let request = shop.offer("A1");
    let command = Process::start("qrisctl", &mut hold(&["--wait", "60", "--", "sh", "-c", &script]));
    shop.qrisd.as_ref().expect("it runs").wait_line("held by apt");
    shop.pay(Via::Gopay);
    shop.wait_state(&request, EventState::Dispensed);
    wait_for("the command", || mark.exists().then_some(()));
    let edges = shop.relay.edges();
    assert_eq!(edges.len(), 2, "it ran after the goods were handed out: {edges:?}");
    shop.tap.wait_refused(&shop.vend("A1"), Reason::Updating);
    let caller = Caller::connect(&shop.bus.address);
    assert_eq!(caller.device_property::<String>("Holder"), "apt");
    std::fs::write(&go_on, "").expect("written");
    let (status, text) = command.finish();
    assert!(status.success(), "{text}");
    assert_eq!(shop.sell("A1", Via::Gopay).amount.map(|amount| amount.get()), Some(5000));
    // Of a command that fails the machine is free as well, and the failure is told.
    shop.wait_idle();
    let failed = crate::rig::output(&mut hold(&["--", "false"]));
    assert_eq!(failed.status.code(), Some(1));
    assert_eq!(caller.device_property::<String>("Holder"), "");
    shop.check_books();
}

#[test]
fn rauc_writes_no_image_while_a_customer_is_there() {
    let (shop, _logind) = open();
    let directory = shop.program_command(Program::Qrisd).get_program().to_owned();
    let directory = std::path::Path::new(&directory).parent().expect("a directory").to_owned();
    let handler = || {
        let mut command = crate::rig::command(crate::rig::source("systemd/rauc-pre-install"));
        let path = format!("{}:/usr/bin:/bin", directory.display());
        command.env("PATH", path).env("DBUS_SYSTEM_BUS_ADDRESS", &shop.bus.address);
        command
    };
    let request = shop.offer("A1");
    let waits = Process::start("rauc-pre-install", &mut handler());
    shop.qrisd.as_ref().expect("it runs").wait_line("held by rauc");
    assert_eq!(waits.try_status(), None, "a customer is there");
    shop.pay(Via::Gopay);
    shop.wait_state(&request, EventState::Dispensed);
    assert!(waits.finish().0.success());
    shop.tap.wait_refused(&shop.vend("A1"), Reason::Updating);
    // Somebody else holds the machine already: that is as good.
    for words in [&["--who", "rauc", "--release"][..], &["--who", "apt"]] {
        let mut hold = shop.qrisctl_command("fleet");
        assert!(crate::rig::output(hold.args(["hold", "--bus", &shop.bus.address]).args(words)).status.success());
    }
    assert!(crate::rig::output(&mut handler()).status.success());
    shop.check_books();
}
