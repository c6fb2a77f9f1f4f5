//! Nothing reboots, restarts or upgrades a machine while a customer is there, and nothing is sold meanwhile.

use crate::rig::caller::Caller;
use crate::rig::logind::{LOGIND_PATH, Logind, MANAGER, RULES, SIGNAL};
use crate::rig::midtrans::Via;
use crate::rig::process::{Process, ends_within};
use crate::rig::rauc::Rauc;
use crate::rig::shop::{Options, Program, Shop};
use crate::rig::{wait_for, watched};
use qris::order::reason::Reason;
use qris::wire::vend::EventState;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

fn open() -> (Shop, Logind) {
    let shop = Shop::open(Options { bus: RULES, ..Options::default() });
    let logind = Logind::start(&shop.bus.address);
    logind.wait_lock(1, true);
    (shop, logind)
}

/// A script of ours. It finds `qrisctl` and the bus of this test, and stand-ins beside the shop's files before anything else.
fn script(shop: &Shop, path: &str) -> Command {
    let mut command = crate::rig::command(crate::rig::source(path));
    let programs = Path::new(Program::Qrisd.binary()).parent().expect("a directory");
    let path = format!("{}:{}:/usr/bin:/bin", shop.path().display(), programs.display());
    command.env("PATH", path).env("DBUS_SYSTEM_BUS_ADDRESS", &shop.bus.address);
    command
}

/// A program that the scripts of this test find before the system's own.
fn stand_in(shop: &Shop, name: &str, does: &str) {
    let program = shop.path().join(name);
    std::fs::write(&program, format!("#!/bin/sh\n{does}\n")).expect("written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("ours");
}

/// Starts `qrisd` as its unit does, with a directory for what lasts as long as it runs.
fn start_qrisd(shop: &mut Shop, directory: &Path) {
    let service = shop.service(Program::Qrisd);
    let mut start = crate::rig::command("sh");
    start.args(["-c", "umask 077; exec \"$0\" \"$@\""]).arg(service.get_program()).args(service.get_args());
    start.current_dir(shop.path()).env("RUNTIME_DIRECTORY", directory);
    shop.start_as(Program::Qrisd, &mut start);
    shop.wait_online();
    shop.qrisd.as_ref().expect("just started").wait_line("the relay service answers");
}

/// A machine without a customer, and the file that says so to scripts by not being there.
fn open_with_file() -> (Shop, PathBuf) {
    let mut shop = Shop::open(Options { machine: false, ..Options::default() });
    shop.start_relayd();
    let directory = shop.path().join("run");
    std::fs::create_dir(&directory).expect("a directory");
    // Of a customer who went while nothing ran.
    let file = directory.join("customer");
    std::fs::write(&file, "r-0 since 2026-11-20T08:00:00Z\n").expect("written");
    start_qrisd(&mut shop, &directory);
    wait_gone(&file);
    (shop, file)
}

fn wait_gone(file: &Path) {
    watched::until(file, "no file", || (!file.exists()).then_some(()));
}

#[test]
fn a_script_sees_whether_a_customer_is_there() {
    let (mut shop, file) = open_with_file();
    let directory = file.parent().expect("a directory").to_owned();
    let request = shop.offer("A1");
    let line = watched::until(&file, "the file", || std::fs::read_to_string(&file).ok());
    let since = line.strip_prefix(&format!("{request} since ")).unwrap_or_else(|| panic!("{line}"));
    assert!(since.ends_with("Z\n") && since.lines().count() == 1, "{line}");
    // Anybody's script may look.
    assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o644);
    shop.kill_qrisd();
    // The customer is there for longer than the program that says so.
    let line = format!("{request} since 2026-11-20T08:00:00Z\n");
    std::fs::write(&file, &line).expect("written");
    std::fs::remove_file(&shop.screen.path).expect("the panel is dark");
    start_qrisd(&mut shop, &directory);
    // The new program has asked the relay service whether the goods can be handed out.
    shop.screen.wait_payload();
    // Paid, and not delivered.
    shop.relayd.as_ref().expect("it runs").signal("STOP");
    shop.pay(Via::Gopay);
    shop.wait_state(&request, EventState::Dispensing);
    assert_eq!(std::fs::read_to_string(&file).expect("it was not taken away"), line);
    shop.relayd.as_ref().expect("it runs").signal("CONT");
    shop.wait_state(&request, EventState::Dispensed);
    wait_gone(&file);
    assert_eq!(std::fs::read_dir(&directory).expect("there").count(), 0);
    shop.check_books();
}

#[test]
fn a_file_that_cannot_be_written_keeps_nobody_from_buying() {
    let (shop, file) = open_with_file();
    std::fs::remove_dir(file.parent().expect("a directory")).expect("it is empty");
    let qrisd = shop.qrisd.as_ref().expect("it runs");
    for _ in 0..3 {
        shop.sell("A1", Via::Gopay);
        shop.wait_idle();
        qrisd.wait_line("does not tell whether a customer is there");
    }
    assert_eq!(qrisd.text().matches("does not tell whether a customer is there").count(), 1, "{}", qrisd.text());
    shop.check_books();
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

/// The system's bus lets everybody send signals, in any name and to anybody. Nor does logind's own word count for more than how
/// logind is.
#[test]
fn a_shutdown_that_somebody_made_up_stops_no_sale_and_ends_no_wait() {
    let (shop, logind) = open();
    let stranger = Caller::connect(&shop.bus.address);
    let qrisd = shop.qrisd.as_ref().expect("it runs");
    let unheard = || {
        stranger.signal(LOGIND_PATH, MANAGER, SIGNAL, &true);
        stranger.signal(LOGIND_PATH, MANAGER, SIGNAL, &"a text");
        logind.says(&true);
        logind.says(&"a text");
    };
    unheard();
    shop.sell("A1", Via::Gopay);
    shop.wait_idle();
    assert_eq!((logind.lock(), qrisd.text().contains("held by shutdown")), ((1, true), false), "{}", qrisd.text());
    // The guard goes on after all that. The computer goes down: nobody's word ends that.
    let request = shop.offer("A1");
    logind.tells(true);
    qrisd.wait_line("held by shutdown");
    stranger.signal(LOGIND_PATH, MANAGER, SIGNAL, &false);
    logind.says(&false);
    shop.pay(Via::Gopay);
    shop.wait_state(&request, EventState::Dispensed);
    logind.wait_lock(1, false);
    stranger.signal(LOGIND_PATH, MANAGER, SIGNAL, &false);
    logind.says(&false);
    shop.tap.wait_refused(&shop.vend("A1"), Reason::Updating);
    assert_eq!(logind.lock(), (1, false));
    shop.check_books();
}

#[test]
fn a_command_waits_for_the_customer_and_nothing_is_sold_while_it_runs() {
    let (shop, _logind) = open();
    let hold = |more: &[&str]| {
        let mut command = crate::rig::command(env!("CARGO_BIN_EXE_qrisctl"));
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
    watched::until(&mark, "the command", || mark.exists().then_some(()));
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
    // For scripts. Somebody else may hold it already.
    let told = |who: &str, more: &[&str]| {
        let mut command = crate::rig::command(env!("CARGO_BIN_EXE_qrisctl"));
        crate::rig::succeed(command.args(["hold", "--json", "--bus", &shop.bus.address, "--who", who]).args(more))
    };
    assert_eq!(told("apt", &["--for", "90"]), "{\"seconds\":90,\"state\":\"held\",\"who\":\"apt\"}\n");
    assert_eq!(told("package", &["--any-holder"]), "{\"state\":\"held_by_another\"}\n");
    assert_eq!(told("apt", &["--release"]), "{\"state\":\"released\",\"who\":\"apt\"}\n");
    assert_eq!(caller.device_property::<String>("Holder"), "");
    shop.check_books();
}

#[test]
fn a_command_that_is_ended_lets_the_machine_go_and_its_status_is_told() {
    let (shop, _logind) = open();
    let hold = |more: &[&str]| {
        let mut command = crate::rig::command(env!("CARGO_BIN_EXE_qrisctl"));
        command.args(["hold", "--bus", &shop.bus.address, "--who", "apt", "--for", "3600", "--wait", "600"]).args(more);
        command
    };
    let caller = Caller::connect(&shop.bus.address);
    let is_free = |what: &str| assert_eq!(caller.device_property::<String>("Holder"), "", "{what}");
    for (script, code) in [("exit 3", 3), ("kill -KILL $$", 137), ("exit 0", 0)] {
        assert_eq!(crate::rig::output(&mut hold(&["--", "sh", "-c", script])).status.code(), Some(code), "{script}");
        is_free(script);
    }
    let missing = crate::rig::output(&mut hold(&["--", "/nowhere/command"]));
    assert!(missing.status.code() == Some(1) && crate::rig::stderr(&missing).contains("/nowhere/command: "), "{missing:?}");
    is_free("a command that is not there");
    // The command hears of the signal, and the machine is held until it has ended.
    let mark = shop.path().join("mark");
    let script = format!("trap 'exit 7' TERM; touch {}; while :; do sleep 0.05; done", mark.display());
    let command = Process::start("qrisctl", &mut hold(&["--", "sh", "-c", &script]));
    watched::until(&mark, "the command", || mark.exists().then_some(()));
    assert_eq!(caller.device_property::<String>("Holder"), "apt");
    assert_eq!(command.terminate().0.code(), Some(7));
    is_free("a command that was ended");
    // Nothing runs yet: a customer is there.
    let request = shop.offer("A1");
    let from = shop.qrisd.as_ref().expect("it runs").lines.count();
    let waits = Process::start("qrisctl", &mut hold(&["--", "true"]));
    shop.qrisd.as_ref().expect("it runs").wait_line_from(from, "held by apt");
    assert_eq!(waits.terminate().0.code(), Some(143));
    is_free("a wait that was ended");
    shop.pay(Via::Gopay);
    shop.wait_state(&request, EventState::Dispensed);
    shop.wait_idle();
    shop.sell("A1", Via::Gopay);
    shop.check_books();
}

#[test]
fn rauc_writes_no_image_while_a_customer_is_there() {
    let rules = [RULES, crate::rig::rauc::RULES].concat();
    let shop = Shop::open(Options { bus: rules.leak(), ..Options::default() });
    let rauc = Rauc::start(&shop.bus.address);
    rauc.facts.lock().expect("no panic").is_installing = true;
    // There is no systemd in this test.
    stand_in(&shop, "systemctl", "exit 0");
    let handler = || script(&shop, "systemd/rauc-pre-install");
    let request = shop.offer("A1");
    let waits = Process::start("rauc-pre-install", &mut handler());
    shop.qrisd.as_ref().expect("it runs").wait_line("held by rauc");
    // One that did not wait would end at once.
    assert!(!ends_within(waits.id(), Duration::from_secs(2)), "a customer is there");
    shop.pay(Via::Gopay);
    shop.wait_state(&request, EventState::Dispensed);
    assert!(waits.finish().0.success());
    shop.tap.wait_refused(&shop.vend("A1"), Reason::Updating);
    // RAUC tells nobody that an installation has failed.
    rauc.completes(false);
    let qrisd = shop.qrisd.as_ref().expect("it runs");
    qrisd.wait_line("no longer held by rauc");
    shop.sell("A1", Via::Gopay);
    shop.wait_idle();
    // Somebody else holds the machine already, and lets it go while RAUC writes.
    let hold = |more: &[&str]| {
        let mut hold = crate::rig::command(env!("CARGO_BIN_EXE_qrisctl"));
        crate::rig::succeed(hold.args(["hold", "--bus", &shop.bus.address]).args(more));
    };
    rauc.facts.lock().expect("no panic").is_installing = true;
    hold(&["--who", "apt"]);
    assert!(crate::rig::output(&mut handler()).status.success());
    hold(&["--who", "apt", "--release"]);
    hold(&["--who", "rauc", "--release"]);
    shop.tap.wait_refused(&shop.vend("A1"), Reason::Updating);
    let from = qrisd.lines.count();
    rauc.completes(true);
    qrisd.wait_line_from(from, "no longer held by rauc");
    shop.sell("A1", Via::Gopay);
    shop.check_books();
}

/// Nobody ordered it: RAUC polls by itself, or somebody has called `rauc install`.
#[test]
fn a_system_that_rauc_has_installed_by_itself_is_called_good_once() {
    let rules = [RULES, crate::rig::rauc::RULES].concat();
    let mut shop = Shop::open(Options { bus: rules.leak(), machine: false, ..Options::default() });
    let rauc = Rauc::start(&shop.bus.address);
    rauc.facts.lock().expect("no panic").installed = "2026-11-20T08:00:00Z";
    shop.start_relayd();
    shop.start_qrisd();
    shop.wait_online();
    // This is told once the mark is stored.
    shop.qrisd.as_ref().expect("it runs").wait_line("has proven itself");
    assert!(shop.qrisd.take().expect("it runs").terminate().0.success());
    let queries = || rauc.facts.lock().expect("no panic").queries;
    let before = queries();
    shop.start_qrisd();
    shop.wait_online();
    wait_for("another look", || (queries() > before).then_some(()));
    rauc.facts.lock().expect("no panic").installed = "2026-11-24T08:00:00Z";
    assert!(shop.qrisd.take().expect("it runs").terminate().0.success());
    shop.start_qrisd();
    shop.qrisd.as_ref().expect("it runs").wait_line("the system in rootfs.0 has proven itself");
    assert_eq!(rauc.marked(), 2, "the same system once, and another one once");
}

/// The other slot has the last good system, and it may be needed in ten minutes.
#[test]
fn rauc_overwrites_no_good_system_while_a_new_one_is_tried() {
    let rules = [RULES, crate::rig::rauc::RULES].concat();
    let mut shop = Shop::open(Options { bus: rules.leak(), machine: false, ..Options::default() });
    let rauc = Rauc::start(&shop.bus.address);
    stand_in(&shop, "systemctl", "exit 0");
    rauc.facts.lock().expect("no panic").installed = "2026-11-20T08:00:00Z";
    shop.start_relayd();
    shop.start_qrisd();
    shop.qrisd.as_ref().expect("it runs").wait_line("has proven itself");
    assert!(shop.qrisd.take().expect("it runs").terminate().0.success());
    // The new system has no relay service yet.
    assert!(shop.relayd.take().expect("it runs").terminate().0.success());
    rauc.facts.lock().expect("no panic").installed = "2026-11-24T08:00:00Z";
    shop.start_qrisd();
    shop.wait_online();
    let refused = crate::rig::output(&mut script(&shop, "systemd/rauc-pre-install"));
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(1) && why.contains("has not proven itself"), "{refused:?}");
    shop.start_relayd();
    shop.qrisd.as_ref().expect("it runs").wait_line("has proven itself");
    let taken = crate::rig::output(&mut script(&shop, "systemd/rauc-pre-install"));
    assert!(taken.status.success(), "{taken:?}");
}

/// Only the service manager is a stand-in. It says that all services run, and writes down what it is told.
#[test]
fn a_package_stops_nothing_while_a_customer_is_there() {
    let (mut shop, _logind) = open();
    let asked = shop.path().join("asked");
    stand_in(&shop, "systemctl", "echo active");
    stand_in(&shop, "deb-systemd-invoke", &format!("echo \"$*\" >> {}", asked.display()));
    let stops = "stop qrisd.service\nstop qris-relayd.service\n";
    let request = shop.offer("A1");
    let waits = Process::start("change-over", script(&shop, "packaging/debian/change-over").arg("stop"));
    shop.qrisd.as_ref().expect("it runs").wait_line("held by package");
    shop.tap.wait_refused(&shop.vend("A1"), Reason::Updating);
    assert_eq!((waits.try_status(), asked.exists()), (None, false), "a customer is there");
    shop.pay(Via::Gopay);
    shop.wait_state(&request, EventState::Dispensed);
    let (status, text) = waits.finish();
    assert!(status.success() && !text.contains("all the same"), "{text}");
    assert_eq!(std::fs::read_to_string(&asked).expect("asked"), stops);
    // Somebody else holds the machine, and nobody is there: that is as good. Nor does it wait for a service that does not answer.
    for words in [&["--who", "package", "--release"][..], &["--who", "apt"]] {
        let mut hold = crate::rig::command(env!("CARGO_BIN_EXE_qrisctl"));
        assert!(crate::rig::output(hold.args(["hold", "--bus", &shop.bus.address]).args(words)).status.success());
    }
    let held = crate::rig::output(script(&shop, "packaging/debian/change-over").arg("stop"));
    assert!(held.status.success() && held.stderr.is_empty(), "{held:?}");
    shop.check_books();
    shop.kill_qrisd();
    let gone = crate::rig::output(script(&shop, "packaging/debian/change-over").arg("stop"));
    assert!(gone.status.success() && crate::rig::stderr(&gone).contains("goes on all the same"), "{gone:?}");
    assert_eq!(std::fs::read_to_string(&asked).expect("asked"), stops.repeat(3));
}
