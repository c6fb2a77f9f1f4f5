//! What the programs write: fields for journald where the service manager started them, lines on a terminal.

use crate::rig::journald::{Entry, Journald, entry};
use crate::rig::midtrans::Via;
use crate::rig::process::Process;
use crate::rig::shop::{Program, Shop};
use crate::rig::{PATIENCE, command, tool};
use qris::wire::vend::EventState;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant};

/// A service ended because something failed while it ran.
const ENDED_BY_FAILURE: &str = "50f2f402ed034de09598afb47986983f";
/// A service met a fault of its own.
const PROGRAM_FAULT: &str = "b978f2233a714260b8215c4740606897";
/// A service cannot start.
const CANNOT_START: &str = "b6a8a68f41434b5bb0cf65f475a680c9";

#[test]
fn a_sale_can_be_followed_by_its_fields() {
    let mut shop = Shop::merchants_side();
    shop.kill_backend();
    let journald = Journald::start();
    for program in Program::ALL {
        shop.start_as(program, &mut journald.command(&shop.service(program)));
    }
    shop.wait_online();
    let sold = shop.sell("A1", Via::Gopay);
    let (request_id, order_id) = (sold.request_id.expect("its request").to_string(), sold.order_id.expect("its order").to_string());
    let is = |entry: &Entry, name: &str, value: &str| entry.get(name).is_some_and(|found| found == value);
    for state in ["awaiting_payment", "paid", "dispensing", "dispensed"] {
        let entry = journald.wait(state, |entry| is(entry, "SYSLOG_IDENTIFIER", "qrisd") && is(entry, "STATE", state));
        for (name, value) in [
            ("REQUEST_ID", request_id.as_str()),
            ("ORDER_ID", &order_id),
            ("DEVICE_ID", "vm-001"),
            ("ITEM", "A1"),
            ("AMOUNT", "5000"),
            ("MESSAGE_ID", "05763477533a4fd6b2063162ab1d2c81"),
            ("PRIORITY", "6"),
        ] {
            assert_eq!(entry.get(name).map(String::as_str), Some(value), "{name} of {entry:#?}");
        }
        assert!(entry["MESSAGE"].contains(state), "{entry:#?}");
    }
    for program in ["qrisd", "qris-relayd", "qris-backend"] {
        journald.wait(program, |entry| is(entry, "SYSLOG_IDENTIFIER", program) && entry.contains_key("MESSAGE_ID"));
        let of_order = |entry: &Entry| is(entry, "SYSLOG_IDENTIFIER", program) && is(entry, "ORDER_ID", &order_id);
        let entry = journald.wait(&format!("the order from {program}"), of_order);
        assert_eq!(entry.get("DEVICE_ID").map(String::as_str), Some("vm-001"), "{entry:#?}");
        assert!(entry.get("PRIORITY").is_some_and(|priority| ["3", "4", "5", "6"].contains(&priority.as_str())), "{entry:#?}");
    }
    for process in [&shop.qrisd, &shop.relayd, &shop.backend] {
        assert_eq!(process.as_ref().expect("it runs").text(), "", "what is in the journal is not told twice");
    }
    // What an operator must look at has a priority of its own.
    let refused = shop.vend("nothing");
    shop.tap.wait_refused(&refused, qris::order::reason::Reason::UnknownItem);
    let entry = journald.wait("the refusal", |entry| is(entry, "REQUEST_ID", &refused));
    assert_eq!((entry["PRIORITY"].as_str(), entry["STATE"].as_str()), ("5", "refused"), "{entry:#?}");
}

/// A journald that hangs has room for ten lines here. A sale has more.
#[test]
fn a_journal_that_does_not_read_stops_no_sale_and_has_every_line_later() {
    let mut shop = Shop::merchants_side();
    shop.kill_backend();
    let journald = Journald::deaf();
    for program in Program::ALL {
        shop.start_as(program, &mut journald.command(&shop.service(program)));
    }
    shop.wait_online();
    let sold: Vec<_> = (0..3).map(|_| shop.sell("A1", Via::Gopay).order_id.expect("its order").to_string()).collect();
    journald.read();
    for (order, state) in sold.iter().flat_map(|order| ["awaiting_payment", "paid", "dispensing", "dispensed"].map(|state| (order, state)))
    {
        let is = |entry: &Entry, name: &str, value: &str| entry.get(name).is_some_and(|found| found == value);
        journald.wait(state, |entry| is(entry, "SYSLOG_IDENTIFIER", "qrisd") && is(entry, "ORDER_ID", order) && is(entry, "STATE", state));
    }
    let (written, missing) = journald.moves();
    assert!(written >= 4 * sold.len() && missing == 0, "{written} lines, {missing} missing: all had room to wait");
}

#[test]
fn a_pipe_that_nobody_reads_stops_no_sale() {
    let mut shop = Shop::merchants_side();
    shop.kill_backend();
    let pipe = shop.path().join("nobody");
    assert!(command(tool("mkfifo")).arg(&pipe).status().expect("it runs").success());
    let mut full = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(&pipe)
        .expect("a pipe");
    while full.write(&[b'x'; 4096]).is_ok() {}
    for program in Program::ALL {
        let service = shop.service(program);
        let mut start = command(tool("sh"));
        start.args(["-c", "exec \"$0\" \"$@\" 2<>\"$PIPE\""]).env("PIPE", &pipe).arg(service.get_program()).args(service.get_args());
        let path = shop.path().to_owned();
        shop.start_as(program, start.current_dir(path));
    }
    shop.wait_online();
    shop.sell("A1", Via::Gopay);
}

/// What ends a service before it began: a wrong key, a secret that is not there, a port that somebody has.
#[test]
fn a_service_that_cannot_start_tells_the_journal_why_and_once() {
    let shop = Shop::merchants_side();
    let journald = Journald::start();
    let spoiled = |program: Program, change: &dyn Fn(&str) -> String| {
        let text = std::fs::read_to_string(shop.config(program)).expect("there");
        let path = shop.path().join(format!("spoiled-{}", shop.config(program).file_name().expect("a name").display()));
        std::fs::write(&path, change(&text)).expect("written");
        path
    };
    let wrong_key = |text: &str| format!("colour = 1\n{text}");
    let no_secret = |text: &str| text.replace("backend-token", "nowhere").replace("server-key", "nowhere").replace("keys.json", "nowhere");
    let as_it_is = |text: &str| text.to_owned();
    let mut fastest = PATIENCE;
    for (program, name, change, status, told) in [
        (Program::Qrisd, "qrisd", &wrong_key as &dyn Fn(&str) -> String, 2, "spoiled-qrisd.toml:1: colour"),
        (Program::Qrisd, "qrisd", &no_secret, 2, "/nowhere"),
        (Program::Relayd, "qris-relayd", &wrong_key, 2, "spoiled-relay.toml:1: colour"),
        (Program::Relayd, "qris-relayd", &no_secret, 2, "/nowhere"),
        (Program::Backend, "qris-backend", &wrong_key, 2, "spoiled-backend.toml:1: colour"),
        (Program::Backend, "qris-backend", &no_secret, 2, "/nowhere"),
        // The shop's own backend listens there.
        (Program::Backend, "qris-backend", &as_it_is, 1, "cannot listen at 127.0.0.1:"),
    ] {
        let path = spoiled(program, change);
        let mut of = command(program.binary());
        of.arg("--config").arg(&path).current_dir(shop.path());
        if program == Program::Backend {
            of.arg("serve");
        }
        let (from, began) = (journald.entries.count(), Instant::now());
        let (ended, text) = Process::start(name, &mut journald.command(&of)).finish();
        fastest = fastest.min(began.elapsed());
        assert_eq!((ended.code(), text.as_str()), (Some(status), ""), "{told}: in the journal alone");
        let entries = journald.wait_kind(from, CANNOT_START);
        assert_eq!(entries.len(), 1, "{told}: {:#?}", journald.entries.since(from));
        let is = |field: &str| entries[0].get(field).map(String::as_str);
        assert_eq!((is("PRIORITY"), is("SYSLOG_IDENTIFIER")), (Some("3"), Some(name)), "{entries:#?}");
        assert!(entries[0]["MESSAGE"].starts_with(&format!("{name} cannot start: ")), "{entries:#?}");
        assert!(entries[0]["MESSAGE"].contains(told) && !entries[0]["MESSAGE"].contains('\n'), "{told}: {entries:#?}");
        // Who looks by hand is answered by hand, also where the answer goes to the journal.
        if status == 2 {
            let mut check = command(program.binary());
            check.arg("--config").arg(&path).arg("--check").current_dir(shop.path());
            let (ended, text) = Process::start(name, &mut journald.command(&check)).finish();
            assert!(ended.code() == Some(2) && text.contains(told), "{ended}: {text}");
            assert_eq!(journald.of_kind(from, CANNOT_START).len(), 1, "--check is no service");
        }
    }
    assert!(fastest < LAST_WORDS_WITHIN, "a journald that reads holds up nobody: {fastest:?}");
}

/// So long a program that ends waits for a journald that does not read.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(1);

/// journald asks the system of which service a sender is. Nobody knows that of one that is gone, and `journalctl -u` would
/// not find its last words: so it ends only when they are read, or when it has waited in vain.
#[test]
fn a_service_that_cannot_start_is_there_until_its_last_words_are_read() {
    let shop = Shop::merchants_side();
    let journald = Journald::deaf();
    shop.edit(Program::Qrisd, |text| format!("colour = 1\n{text}"));
    let began = Instant::now();
    let qrisd = Process::start("qrisd", &mut journald.command(&shop.program_command(Program::Qrisd)));
    let (ended, _) = qrisd.finish();
    assert!(ended.code() == Some(2) && began.elapsed() >= LAST_WORDS_WITHIN, "{ended} after {:?}", began.elapsed());
    journald.socket.set_nonblocking(true).expect("set");
    let mut buffer = vec![0; 64 * 1024];
    let came: Vec<_> = std::iter::from_fn(|| journald.socket.recv(&mut buffer).ok().map(|length| entry(&buffer[..length]))).collect();
    let at = came.iter().position(|entry| entry.get("MESSAGE_ID").is_some_and(|id| id == CANNOT_START)).expect("told");
    assert_eq!(came[at + 1..], [Entry::new()], "behind it nothing but what journald discards");
}

#[test]
fn a_service_that_fails_while_it_runs_tells_the_journal_why() {
    let shop = Shop::merchants_side();
    let journald = Journald::start();
    let (program, gone) = (shop.path().join("qris-relayd"), shop.path().join("gone"));
    std::fs::copy(Program::Relayd.binary(), &program).expect("copied");
    let mut of = command(&program);
    of.arg("--config").arg(shop.config(Program::Relayd)).current_dir(shop.path());
    let relayd = Process::start_service("qris-relayd", &mut journald.command(&of), shop.path());
    std::fs::rename(&program, &gone).expect("moved");
    // It begins anew as what is not there.
    relayd.signal("HUP");
    let (ended, text) = relayd.finish();
    assert_eq!((ended.code(), text.as_str()), (Some(1), ""));
    let entries = journald.wait_kind(0, ENDED_BY_FAILURE);
    assert_eq!(entries.len(), 1, "{:#?}", journald.entries.all());
    for (field, value) in [("PRIORITY", "3"), ("SYSLOG_IDENTIFIER", "qris-relayd"), ("DEVICE_ID", "vm-001")] {
        assert_eq!(entries[0].get(field).map(String::as_str), Some(value), "{entries:#?}");
    }
    assert!(entries[0]["MESSAGE"].starts_with("qris-relayd ended: cannot begin anew as "), "{entries:#?}");
    assert_eq!(journald.of_kind(0, CANNOT_START), []);
}

/// In its environment: it is to panic.
const PANICS: &str = "QRIS_TEST_PANICS";

/// No way is known to make one of the programs panic: this stands in for them, in a process of its own.
#[test]
#[ignore = "started by the test below"]
fn a_program_that_panics() {
    // It may also be run beside all others.
    if std::env::var_os(PANICS).is_none() {
        return;
    }
    qris::host::journal::start("qrisd");
    panic!("the sum\nmust be {}", 5000);
}

#[test]
fn a_service_that_panics_tells_the_journal_where_and_once() {
    let journald = Journald::start();
    let mut of = command(tool("env"));
    of.arg(format!("{PANICS}=yes")).arg(std::env::current_exe().expect("this test"));
    of.args(["--exact", "journal::a_program_that_panics", "--ignored", "--nocapture"]);
    let (ended, text) = Process::start("a panic", &mut journald.command(&of)).finish();
    assert!(!ended.success() && text.contains("1 failed") && !text.contains("must be 5000"), "{text}");
    let told = journald.wait("the panic", |entry| entry.get("MESSAGE_ID").is_some_and(|found| found == PROGRAM_FAULT));
    assert_eq!((told["PRIORITY"].as_str(), told["SYSLOG_IDENTIFIER"].as_str()), ("3", "qrisd"), "{told:#?}");
    assert!(told["MESSAGE"].starts_with("qrisd has a fault of its own: the sum; must be 5000 (tests/all/journal.rs:"), "{told:#?}");
    assert_eq!(journald.of_kind(0, PROGRAM_FAULT).len(), 1);
}

#[test]
fn on_a_terminal_there_are_readable_lines() {
    let mut shop = Shop::merchants_side();
    shop.start_relayd();
    let of = shop.program_command(Program::Qrisd);
    let words: Vec<_> = std::iter::once(of.get_program()).chain(of.get_args()).map(|word| word.to_string_lossy().into_owned()).collect();
    let mut script = command(tool("script"));
    script.args(["-qefc", &format!("exec {}", words.join(" ")), "/dev/null"]);
    let terminal = Process::start("terminal", &mut script);
    terminal.wait_line("is ready");
    shop.wait_online();
    let request_id = shop.offer("A1");
    shop.pay(Via::Gopay);
    shop.wait_state(&request_id, EventState::Dispensed);
    let line = terminal.wait_line("dispensed");
    assert!(line.contains(&format!("request {request_id}: dispensed")), "{line:?}");
    assert!(line.starts_with("\u{1b}[2m"), "with colours: {line:?}");
    // Where nobody would see colours there are none.
    let ready = shop.relayd.as_ref().expect("it runs").wait_line("is ready");
    assert!(!ready.contains('\u{1b}') && ready.as_bytes()[2] == b':', "{ready:?}");
    terminal.signal("TERM");
    terminal.wait();
}
