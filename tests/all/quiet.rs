//! What is gone for long is tried again all the time, and told twice: when it went and when it came back. A journal in
//! memory, or on a card, has no room for a line an attempt.

use crate::rig::link::{Cable, Link};
use crate::rig::process::Process;
use crate::rig::received::Received;
use crate::rig::shop::{Options, Program, Shop};
use crate::rig::{soon, wait_for_within};
use qris::wire::dbus::{RELAY_NAME, RELAY_PATH};
use qris::wire::vend::EventState;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The waits between attempts are the product's own: half a minute altogether.
const PATIENCE: Duration = Duration::from_secs(180);

/// Waits for so many more attempts.
fn attempts(what: &str, heard: &Received<()>, from: usize, count: usize) {
    let came = heard.find_from(from + count - 1, PATIENCE, |()| Some(()));
    assert!(came.is_some(), "{what}: {} of {count} attempts in {PATIENCE:?}", heard.count() - from);
}

/// What `qrisd` writes until it can sell.
const ONLINE: &[&str] = &["connected to the broker", "the relay service answers"];

/// Waits for what a program writes at its start, and says from where on its lines are counted.
fn begun(process: &Process, last: &[&str]) -> usize {
    process.wait_line("is ready");
    last.iter().for_each(|text| drop(process.wait_line(text)));
    process.lines.count()
}

/// What a program wrote from a place on, each line of which must be one of these, each once, in any order.
fn wrote(process: &Process, from: usize, wanted: &[&str]) {
    let lines = process.lines.since(from);
    let each_once = wanted.iter().all(|text| lines.iter().filter(|line| line.contains(text)).count() == 1);
    assert!(lines.len() == wanted.len() && each_once, "not {wanted:?}, each once:\n{}", lines.join("\n"));
}

#[test]
fn a_broker_and_a_backend_that_are_gone_are_told_once() {
    /// The wait before the last of so many is four seconds: with each of the next this test would be twice as long.
    const EACH: usize = 6;
    let mut shop = Shop::open(Options::default());
    let merchants = Link::to(shop.broker.port);
    shop.kill_backend();
    shop.edit(Program::Backend, |text| {
        text.replace(&format!("mqtt://127.0.0.1:{}", shop.broker.port), &format!("mqtt://127.0.0.1:{}", merchants.port))
    });
    shop.start_backend();
    let (qrisd, backend) = (shop.qrisd.as_ref().expect("it runs"), shop.backend.as_ref().expect("it runs"));
    // Somebody could pay: there is something to be asked.
    shop.offer("A1");
    let links = [("the machine's broker", &shop.broker_link), ("the merchant's broker", &merchants), ("the backend", &shop.backend_link)];
    let links = links.map(|(what, link)| (what, link, link.attempts.count()));
    let by_qrisd = begun(qrisd, &[ONLINE, &["awaiting_payment"]].concat());
    let by_backend = begun(backend, &["connected to the broker", "Rp5.000 is asked for"]);
    links.iter().for_each(|(_, link, ..)| link.set(Cable::Cut));
    for (what, link, from) in &links {
        attempts(what, &link.attempts, *from, EACH);
    }
    wrote(qrisd, by_qrisd, &["lost the broker", "the backend cannot be reached"]);
    wrote(backend, by_backend, &["lost the broker"]);
    links.iter().for_each(|(_, link, ..)| link.set(Cable::Whole));
    for (process, from, back) in [
        (qrisd, by_qrisd, "connected to the broker"),
        (qrisd, by_qrisd, "the backend can be reached again"),
        (backend, by_backend, "connected to the broker"),
    ] {
        process.wait_line_from(from, back);
    }
    let and_back = ["lost the broker", "connected to the broker", "the backend cannot be reached", "the backend can be reached again"];
    wrote(qrisd, by_qrisd, &and_back);
    wrote(backend, by_backend, &and_back[..2]);
}

/// Each that asks for something is one more who tries, for fifteen seconds before its customer and then for long: there may
/// be a charge.
#[test]
fn a_backend_that_is_gone_is_told_once_whoever_asks() {
    const ASKED: usize = 2;
    let shop = Shop::open(Options::default());
    let qrisd = shop.qrisd.as_ref().expect("it runs");
    let (from, before) = (begun(qrisd, ONLINE), shop.backend_link.attempts.count());
    shop.backend_link.set(Cable::Cut);
    for _ in 0..ASKED {
        let request_id = shop.vend("A1");
        shop.tap.wait_event("that it is given up", |event| {
            event.request_id.as_ref().is_some_and(|id| id.as_str() == request_id) && event.state != EventState::Requested
        });
        shop.wait_idle();
    }
    attempts("the backend", &shop.backend_link.attempts, before, 16);
    let parts = || qrisd.lines.since(from).into_iter().partition::<Vec<_>, _>(|line| line.contains("request r-"));
    // What a busy computer makes of the broker is not asked here.
    let told = || parts().1.into_iter().filter(|line| line.contains("the backend")).collect::<Vec<_>>();
    // What is written is read a moment later.
    wait_for_within(PATIENCE, "the end of each request", || (parts().0.len() >= 2 * ASKED).then_some(()));
    let (of_requests, others) = (parts().0, told());
    assert!(others.len() == 1 && others[0].contains("the backend cannot be reached"), "{}", others.join("\n"));
    // Each was asked for and given up.
    assert_eq!(of_requests.len(), 2 * ASKED, "{}", of_requests.join("\n"));
    shop.backend_link.set(Cable::Whole);
    qrisd.wait_line_from(from, "the backend can be reached again");
    assert_eq!(told().len(), 2, "{}", told().join("\n"));
}

#[test]
fn a_relay_service_and_a_bus_that_are_gone_are_told_once() {
    let mut shop = Shop::open(Options::default());
    let qrisd = shop.qrisd.take().expect("it runs");
    let by_qrisd = begun(&qrisd, ONLINE);
    shop.kill_relayd();
    qrisd.wait_line_from(by_qrisd, "the relay service does not answer");
    let asked = Received::default();
    let nonsense = serve(&shop.bus.address, Nonsense(asked.clone()));
    attempts("somebody who has its name", &asked, 0, 10);
    wrote(&qrisd, by_qrisd, &["the relay service does not answer"]);
    drop(nonsense);
    shop.start_relayd();
    qrisd.wait_line_from(by_qrisd, "the relay service answers");
    wrote(&qrisd, by_qrisd, &["the relay service does not answer", "the relay service answers"]);

    let relayd = shop.relayd.take().expect("it runs");
    let (by_qrisd, by_relayd) = (qrisd.lines.count(), begun(&relayd, &[]));
    shop.bus.kill();
    let deaf = DeafBus::at(Path::new(shop.bus.address.strip_prefix("unix:path=").expect("a socket")));
    // Both programs, as often as each other.
    attempts("the bus", &deaf.attempts, 0, 20);
    // The relay service looks after its connection every few seconds. The machine waits a moment before it tells.
    relayd.wait_line_from(by_relayd, "D-Bus cannot be reached");
    qrisd.wait_line_from(by_qrisd, "the relay service does not answer");
    wrote(&qrisd, by_qrisd, &["the relay service does not answer"]);
    wrote(&relayd, by_relayd, &["D-Bus cannot be reached"]);
    drop(deaf);
    shop.bus.resume();
    qrisd.wait_line_from(by_qrisd, "the relay service answers");
    wrote(&qrisd, by_qrisd, &["the relay service does not answer", "the relay service answers"]);
    wrote(&relayd, by_relayd, &["D-Bus cannot be reached"]);
}

#[test]
fn a_panel_and_pins_that_are_gone_are_told_once() {
    let line = "pulse_ms = 50\nclear_button = { chip = \"no-chip-1\", offset = 22 }\n".to_owned();
    let mut shop = Shop::open(Options { machine: false, chip: Some("no-chip-0".into()), line, ..Options::default() });
    let (panel, unplugged) = (shop.path().join("panel"), shop.path().join("unplugged"));
    std::fs::create_dir(&panel).expect("made");
    shop.edit(Program::Qrisd, |text| text.replace("/screen.raw", "/panel/screen.raw"));
    shop.start_machine();
    let (qrisd, relayd) = (shop.qrisd.as_ref().expect("it runs"), shop.relayd.as_ref().expect("it runs"));
    let by_qrisd = begun(qrisd, ONLINE);
    std::fs::rename(&panel, &unplugged).expect("unplugged");
    qrisd.wait_line_from(by_qrisd, "the screen cannot be drawn");
    let [screen, line, button] = [(qrisd, "screen"), (relayd, "line 0"), (relayd, "button")].map(|(of, thread)| (of.id(), thread));
    let threads =
        [(screen, 20), (line, 4), (button, 4)].map(|((process, thread), count)| (process, thread, slept(process, thread) + count));
    for (process, thread, count) in threads {
        wait_for_within(PATIENCE, &format!("attempts of the thread {thread}"), || (slept(process, thread) >= count).then_some(()));
    }
    wrote(qrisd, by_qrisd, &["the screen cannot be drawn"]);
    let lines = relayd.lines.all();
    for what in ["no-chip-0", "no-chip-1"] {
        assert_eq!(lines.iter().filter(|line| line.contains(what)).count(), 1, "{what}:\n{}", lines.join("\n"));
    }
    std::fs::rename(&unplugged, &panel).expect("plugged in");
    qrisd.wait_line_from(by_qrisd, "the screen can be drawn again");
    wrote(qrisd, by_qrisd, &["the screen cannot be drawn", "the screen can be drawn again"]);
}

/// How often a thread has gone to sleep: one that only tries again does it once an attempt.
fn slept(process: u32, thread: &str) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("a living process");
    let tasks = tasks.map(|task| task.expect("readable").path());
    let is_it = |task: &Path| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == thread);
    let found: Vec<_> = tasks.filter(|task| is_it(task)).collect();
    let [task] = &found[..] else { panic!("threads of the name {thread}: {found:?}") };
    let status = std::fs::read_to_string(task.join("status")).expect("a living thread");
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    count.and_then(|count| count.trim().parse().ok()).expect("the kernel counts")
}

/// Has the relay service's name and says nothing of what it is asked.
struct Nonsense(Received<()>);

#[zbus::interface(name = "io.qrisd.Relay1")]
impl Nonsense {
    #[zbus(property)]
    fn facts(&self) -> zbus::fdo::Result<String> {
        self.0.push(());
        Err(zbus::fdo::Error::Failed("out of order".to_owned()))
    }
}

/// Serves it until the answer is dropped.
fn serve(address: &str, nonsense: Nonsense) -> (zbus::Connection, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let connection = runtime.block_on(soon("the name", async {
        let builder = zbus::connection::Builder::address(address).serve_at(RELAY_PATH, nonsense);
        builder.name(RELAY_NAME).build().await.expect("served")
    }));
    (connection, runtime)
}

/// Stands where a bus should be, takes connections, counts them, and closes them without a word.
struct DeafBus {
    attempts: Received<()>,
    over: Arc<AtomicBool>,
    path: std::path::PathBuf,
}

impl DeafBus {
    fn at(path: &Path) -> Self {
        drop(std::fs::remove_file(path));
        let listener = UnixListener::bind(path).expect("a socket");
        let (attempts, over) = (Received::default(), Arc::new(AtomicBool::new(false)));
        let (sink, is_over) = (attempts.clone(), Arc::clone(&over));
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                drop(connection);
                sink.push(());
            }
        });
        Self { attempts, over, path: path.to_path_buf() }
    }
}

impl Drop for DeafBus {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the listener, which then ends.
        drop(std::os::unix::net::UnixStream::connect(&self.path));
        drop(std::fs::remove_file(&self.path));
    }
}
