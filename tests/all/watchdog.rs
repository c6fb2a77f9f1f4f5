//! The service manager's view: a program is ready when it can be called, and the watchdog is fed by progress and by nothing else.

use crate::rig::caller::Caller;
use crate::rig::midtrans::Via;
use crate::rig::process::Process;
use crate::rig::shop::{Options, Program, Shop};
use crate::rig::{PATIENCE, command, tool, wait_for};
use qris::wire::dbus::DEVICE_NAME;
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

/// The service manager wants to be fed within this.
pub const WATCHDOG: Duration = Duration::from_millis(400);

/// Waits to be fed once more.
pub fn fed(process: &Process) -> bool {
    process.notices.find_from(process.notices.count(), PATIENCE, |notice| (notice == "WATCHDOG=1").then_some(())).is_some()
}

/// What stops a program, and notices of before, may be under way for so long.
const UNDER_WAY: Duration = Duration::from_secs(30);

/// Whether it comes to stay unfed for much longer than the service manager would wait.
fn starves(process: &Process) -> bool {
    let began = Instant::now();
    let mut from = process.notices.count();
    while began.elapsed() < UNDER_WAY {
        if process.notices.find_from(from, WATCHDOG * 10, |notice| (notice == "WATCHDOG=1").then_some(())).is_none() {
            return true;
        }
        from = process.notices.count();
    }
    false
}

/// Stops the main thread of a program, and no other one: it waits for who watches its system calls.
struct Brake(std::process::Child);

impl Brake {
    fn on(program: u32) -> Self {
        let watcher = command(tool("strace")).args(["-q", "-o", "/dev/null", "-p", &program.to_string()]).spawn().expect("strace runs");
        let brake = Self(watcher);
        wait_for("it to be watched", || {
            let status = std::fs::read_to_string(format!("/proc/{program}/status")).ok()?;
            status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0")).then_some(())
        });
        brake
    }

    fn stop(&self) {
        self.signal(Signal::STOP);
    }

    fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("it runs");
    }
}

impl Drop for Brake {
    fn drop(&mut self) {
        self.go_on();
        // It lets go of the thread at its own end.
        kill_process(Pid::from_child(&self.0), Signal::TERM).expect("it runs");
        self.0.wait().expect("it ends");
    }
}

/// `systemctl restart qrisd` is over with READY. Who has waited for it calls at once.
#[test]
fn a_machine_is_ready_when_it_can_be_called() {
    let mut shop = Shop::open(Options::default());
    shop.kill_qrisd();
    // A bus that takes its time: it accepts, and says nothing yet.
    let slow = shop.path().join("slow");
    let door = UnixListener::bind(&slow).expect("a short path");
    let (real, address) = (shop.bus.address.clone(), format!("unix:path={}", slow.display()));
    shop.edit(Program::Qrisd, |text| text.replace(&real, &address));
    let bus = Caller::connect(&real);
    bus.wait_name(DEVICE_NAME, false);
    let start = |shop: &Shop| {
        std::fs::write(&shop.screen.path, vec![0; shop.screen.width * shop.screen.height * 2]).expect("a dark panel");
        let qrisd = Process::start_notifying("qrisd", &mut shop.service(Program::Qrisd), shop.path());
        let is_lit = || std::fs::read(&shop.screen.path).is_ok_and(|pixels| pixels.iter().any(|byte| *byte != 0));
        wait_for("its first picture", || is_lit().then_some(()));
        qrisd
    };
    let qrisd = start(&shop);
    let socket = real.strip_prefix("unix:path=").expect("a socket").to_owned();
    std::thread::spawn(move || {
        // The bus is the first to be called, or the relay service. Both wait here.
        for near in door.incoming() {
            let (near, far) = (near.expect("a caller"), UnixStream::connect(&socket).expect("the bus is there"));
            for (mut from, mut to) in [(&near, &far), (&far, &near)].map(|(from, to)| (from.try_clone(), to.try_clone())).map(both) {
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
        }
    });
    qrisd.wait_ready();
    assert_eq!(bus.device_property::<String>("State"), "", "it answers, and no order is there");
    assert!(qrisd.text().contains("the relay service answers"), "it sells:\n{}", qrisd.text());
    drop(qrisd);

    // A bus that hangs for ever delays the start, and does not stop it.
    let hangs = UnixListener::bind(shop.path().join("hangs")).expect("a short path");
    shop.edit(Program::Qrisd, |text| text.replace("/slow", "/hangs"));
    let qrisd = start(&shop);
    qrisd.wait_ready();
    drop(hangs);
}

fn both((from, to): (std::io::Result<UnixStream>, std::io::Result<UnixStream>)) -> (UnixStream, UnixStream) {
    (from.expect("cloned"), to.expect("cloned"))
}

#[test]
fn a_main_loop_that_is_stuck_is_not_fed_for() {
    let mut shop = Shop::merchants_side();
    shop.start_relayd();
    let mut start = shop.program_command(Program::Qrisd);
    start.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
    shop.start_as(Program::Qrisd, &mut start);
    shop.wait_online();
    let qrisd = shop.qrisd.as_ref().expect("it runs");
    assert!(fed(qrisd));
    // The thread that owns the orders stands still; sockets and screen go on.
    let brake = Brake::on(qrisd.id());
    brake.stop();
    assert!(starves(qrisd), "it is fed although its main loop is stuck");
    brake.go_on();
    assert!(fed(qrisd), "it goes on");
    drop(brake);
    shop.sell("A1", Via::Gopay);
    assert_eq!(shop.pulses(), 1);
}

#[test]
fn a_program_that_stands_still_is_not_fed_for() {
    let mut shop = Shop::merchants_side();
    shop.kill_backend();
    for program in Program::ALL {
        let (name, mut start) = (program.name(), shop.service(program));
        shop.start_as(program, start.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string()));
        let process = shop.process(program).as_ref().expect("it runs");
        let notices = process.notices.all();
        assert!(notices.iter().any(|notice| notice == "READY=1"), "{name}: {notices:?}");
        let status = process.notices.find_from(0, PATIENCE, |notice| notice.starts_with("STATUS=").then_some(()));
        assert!(status.is_some(), "{name} tells no status");
        assert!(fed(process), "{name} does not feed the watchdog");
        process.signal("STOP");
        assert!(starves(process), "{name} is fed for while it stands still");
        process.signal("CONT");
        assert!(fed(process), "{name} goes on");
    }
    shop.wait_online();
    shop.sell("A1", Via::Gopay);
    shop.check_books();
}

/// The service manager's patience does not begin anew with a program.
#[test]
fn a_program_that_is_told_to_begin_anew_is_fed_for_at_once() {
    let mut shop = Shop::merchants_side();
    shop.kill_backend();
    for program in Program::ALL {
        let (name, mut start) = (program.name(), shop.service(program));
        shop.start_as(program, start.env("WATCHDOG_USEC", "3600000000"));
        let process = shop.process(program).as_ref().expect("it runs");
        let next = |from, wanted: &str| process.notices.find_from(from, PATIENCE, |notice| (notice == wanted).then_some(()));
        let before = process.notices.count();
        process.signal("HUP");
        assert!(next(before, "READY=1").is_some(), "{name} does not begin anew");
        assert!(next(before, "WATCHDOG=1").is_some(), "{name} is not fed for");
    }
}

#[test]
fn who_drives_a_line_is_watched_more_closely() {
    let mut shop = Shop::merchants_side();
    let mut start = shop.service(Program::Relayd);
    shop.start_as(Program::Relayd, start.env("WATCHDOG_USEC", "30000000"));
    shop.start_qrisd();
    shop.wait_online();
    for _ in 0..2 {
        shop.sell("A1", Via::Gopay);
    }
    let limits =
        |notices: &[String]| -> Vec<String> { notices.iter().filter(|notice| notice.starts_with("WATCHDOG_USEC=")).cloned().collect() };
    // The last one may be read after the sale.
    let told = shop.relayd.as_ref().expect("it runs").notices.until(PATIENCE, |notices| Some(limits(notices)).filter(|all| all.len() >= 4));
    let limits = told.expect("two a pulse");
    assert_eq!(limits, ["WATCHDOG_USEC=5000000", "WATCHDOG_USEC=30000000", "WATCHDOG_USEC=5000000", "WATCHDOG_USEC=30000000"]);
}
