//! The service manager's view: the watchdog is fed by progress and by nothing else, and SIGTERM ends each program within
//! two seconds in the middle of an order, of which nothing is lost.

use crate::rig::midtrans::Via;
use crate::rig::process::Process;
use crate::rig::shop::{Options, Program, Shop};
use crate::rig::{PATIENCE, command, succeed, tool};
use qris::order::reason::Reason;
use qris::wire::vend::EventState;
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The service manager wants to be fed within this.
const WATCHDOG: Duration = Duration::from_millis(400);

/// Waits to be fed once more.
fn fed(process: &Process) -> bool {
    process.notices.find_from(process.notices.count(), PATIENCE, |notice| (notice == "WATCHDOG=1").then_some(())).is_some()
}

/// Whether it stays unfed for much longer than the service manager would wait. One notice may be under way already.
fn starves(process: &Process) -> bool {
    let mut from = process.notices.count();
    for _ in 0..3 {
        if process.notices.find_from(from, WATCHDOG * 4, |notice| (notice == "WATCHDOG=1").then_some(())).is_none() {
            return true;
        }
        from = process.notices.count();
    }
    false
}

/// Standard error of a program that can be stopped up, so that the next line it writes is never written.
struct Spout {
    end: File,
    path: std::path::PathBuf,
}

impl Spout {
    fn at(path: &Path) -> Self {
        succeed(command(tool("mkfifo")).arg(path));
        // Both ends are held, so that neither side ever sees an end.
        let end = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path).expect("a FIFO");
        Self { end, path: path.into() }
    }

    fn stop_up(&mut self) {
        for chunk in [4096, 1] {
            loop {
                match self.end.write(&vec![b'.'; chunk]) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    fn open(&mut self) {
        let mut bytes = vec![0; 1 << 20];
        while self.end.read(&mut bytes).is_ok_and(|length| length > 0) {}
    }

    /// A program that writes its standard error here.
    fn command(&self, program: &Command) -> Command {
        let mut start = command("/bin/sh");
        start.args(["-c", "out=$0; exec \"$@\" 2>> \"$out\""]).arg(&self.path).arg(program.get_program()).args(program.get_args());
        start
    }
}

#[test]
fn a_main_loop_that_is_stuck_is_not_fed_for() {
    let mut shop = Shop::merchants_side();
    shop.start_relayd();
    let mut spout = Spout::at(&shop.path().join("stderr"));
    let mut start = spout.command(&shop.program_command(Program::Qrisd));
    start.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
    shop.qrisd = Some(Process::start_service("qrisd", &mut start, shop.path()));
    shop.wait_online();
    let qrisd = shop.qrisd.as_ref().expect("it runs");
    assert!(fed(qrisd));
    // The thread that owns the orders writes a line for every refusal, and now it cannot; sockets and screen go on.
    spout.stop_up();
    shop.vend("unknown");
    assert!(starves(qrisd), "it is fed although its main loop is stuck");
    spout.open();
    assert!(fed(qrisd), "it goes on");
    shop.sell("A1", Via::Gopay);
    assert_eq!(shop.pulses(), 1);
}

#[test]
fn a_program_that_stands_still_is_not_fed_for() {
    let mut shop = Shop::merchants_side();
    shop.kill_backend();
    for (program, name) in [(Program::Backend, "qris-backend"), (Program::Relayd, "qris-relayd"), (Program::Qrisd, "qrisd")] {
        let mut start = shop.program_command(program);
        if program == Program::Backend {
            start.arg("serve");
        }
        let process = Process::start_service(name, start.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string()), shop.path());
        let notices = process.notices.all();
        assert!(notices.iter().any(|notice| notice == "READY=1"), "{name}: {notices:?}");
        let status = process.notices.find_from(0, PATIENCE, |notice| notice.starts_with("STATUS=").then_some(()));
        assert!(status.is_some(), "{name} tells no status");
        assert!(fed(&process), "{name} does not feed the watchdog");
        process.signal("STOP");
        assert!(starves(&process), "{name} is fed for while it stands still");
        process.signal("CONT");
        assert!(fed(&process), "{name} goes on");
        match program {
            Program::Qrisd => shop.qrisd = Some(process),
            Program::Relayd => shop.relayd = Some(process),
            Program::Backend => shop.backend = Some(process),
        }
    }
    shop.wait_online();
    shop.sell("A1", Via::Gopay);
    shop.check_books();
}

#[test]
fn who_drives_a_line_is_watched_more_closely() {
    let mut shop = Shop::merchants_side();
    let mut start = shop.program_command(Program::Relayd);
    shop.relayd = Some(Process::start_service("qris-relayd", start.env("WATCHDOG_USEC", "30000000"), shop.path()));
    shop.start_qrisd();
    shop.wait_online();
    for _ in 0..2 {
        shop.sell("A1", Via::Gopay);
    }
    let notices = shop.relayd.as_ref().expect("it runs").notices.all();
    let limits: Vec<_> = notices.iter().filter(|notice| notice.starts_with("WATCHDOG_USEC=")).collect();
    assert_eq!(limits, ["WATCHDOG_USEC=5000000", "WATCHDOG_USEC=30000000", "WATCHDOG_USEC=5000000", "WATCHDOG_USEC=30000000"]);
}

/// Asks a program of the shop to end, as the service manager does at a stop.
fn terminate(shop: &mut Shop, program: Program) {
    let process = match program {
        Program::Qrisd => shop.qrisd.take(),
        Program::Relayd => shop.relayd.take(),
        Program::Backend => shop.backend.take(),
    };
    let process = process.expect("it runs");
    let (status, took) = process.terminate();
    assert!(status.success() && took < Duration::from_secs(2), "{program:?}: {status} after {took:?}:\n{}", process.text());
    assert!(process.notices.all().iter().any(|notice| notice == "STOPPING=1"), "{program:?}: {:?}", process.notices.all());
}

fn start(shop: &mut Shop, program: Program) {
    match program {
        Program::Qrisd => shop.start_qrisd(),
        Program::Relayd => shop.start_relayd(),
        Program::Backend => shop.start_backend(),
    }
}

const ALL: [Program; 3] = [Program::Qrisd, Program::Relayd, Program::Backend];

#[test]
fn sigterm_while_the_qr_is_up_loses_nothing() {
    let mut shop = Shop::open(Options::default());
    for (i, program) in ALL.into_iter().enumerate() {
        let request_id = shop.offer("A1");
        let payload = shop.screen.wait_payload();
        terminate(&mut shop, program);
        start(&mut shop, program);
        shop.wait_online();
        assert_eq!(shop.screen.wait_payload(), payload, "{program:?}");
        shop.pay(Via::Gopay);
        shop.wait_state(&request_id, EventState::Dispensed);
        assert_eq!(shop.pulses(), i + 1, "{program:?}");
    }
    shop.check_books();
}

#[test]
fn sigterm_while_midtrans_is_asked_loses_nothing() {
    for program in ALL {
        let mut shop = Shop::open(Options::default());
        shop.midtrans.fault(&json!({"fault": "hang", "on": "charge", "count": 1}));
        let request_id = shop.vend("A1");
        shop.midtrans.wait_held(1);
        terminate(&mut shop, program);
        start(&mut shop, program);
        shop.midtrans.release();
        let event = shop.tap.wait_event("a QR or an end", |event| {
            event.request_id.as_ref().is_some_and(|id| id.as_str() == request_id)
                && matches!(event.state, EventState::AwaitingPayment | EventState::Failed | EventState::Cancelled)
        });
        if event.state == EventState::AwaitingPayment {
            shop.pay(Via::Gopay);
            shop.wait_state(&request_id, EventState::Dispensed);
            assert_eq!(shop.pulses(), 1, "{program:?}");
        }
        shop.wait_nothing_payable();
        shop.check_books();
    }
}

#[test]
fn sigterm_while_the_line_is_driven_loses_nothing() {
    for program in ALL {
        let mut shop = Shop::open(Options { line: "pulse_ms = 1200\n".into(), ..Options::default() });
        let request_id = shop.offer("A1");
        shop.pay(Via::Gopay);
        shop.relay.wait_pulses(1);
        terminate(&mut shop, program);
        if program == Program::Relayd {
            assert!(!shop.relay.is_active(), "it leaves the line inactive");
        }
        start(&mut shop, program);
        let end = shop.tap.wait_event("an end", |event| {
            event.request_id.as_ref().is_some_and(|id| id.as_str() == request_id)
                && matches!(event.state, EventState::Dispensed | EventState::RefundDue)
        });
        match (program, end.state) {
            (_, EventState::Dispensed) => {}
            // A pulse that would not have ended in time was cut short.
            (Program::Relayd, _) => assert_eq!(end.reason, Some(Reason::Uncertain)),
            (Program::Qrisd | Program::Backend, _) => panic!("{program:?}: {end:?}"),
        }
        assert_eq!(shop.pulses(), 1, "{program:?}");
        shop.check_books();
    }
}
