//! What a sale takes, with the installed programs, a real broker and a real bus: `benches/run` builds them and starts this.
//!
//! Every figure is taken from outside the programs: time from the message that is published to the pixels or the relay
//! line that change, memory and processor time from /proc, writes from strace. Each sale is checked while it is measured:
//! a phone must read the payload that the backend gave, and the line is driven once.

// The tests' rig is shared; not all of it is needed here.
#[allow(dead_code)]
#[path = "../../tests/all/rig/mod.rs"]
mod rig;

mod acquirer;
mod backend;
mod beside;
mod desk;
mod eyes;
mod figures;
mod fleet;
mod floor;
mod growth;
mod journal;
mod load;
mod mqtt;
mod program;
mod sales;
mod shop;
mod trace;
mod whole;

use figures::{FiguresText, Times};
use program::Places;
use sales::{SETTLED, Sold};
use shop::{Options, Shop};
use std::path::{Path, PathBuf};
use std::time::Duration;
use trace::Traced;

/// The marks in a document between which the tables stand.
const MARKS: [&str; 2] = ["<!-- figures: begin -->\n", "<!-- figures: end -->\n"];

/// How much is measured.
struct Counts {
    sales: usize,
    starts: usize,
    traced: usize,
    lone: usize,
    load: load::Amounts,
    fleet: fleet::Counts,
    growth: growth::Counts,
    desk: desk::Counts,
}

fn main() {
    let (mut installed, mut write) = (None, None);
    let mut quick = false;
    let mut only = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--installed" => installed = arguments.next().map(PathBuf::from),
            "--write" => write = arguments.next().map(PathBuf::from),
            "--quick" => quick = true,
            "--only" => only = arguments.next(),
            // Cargo's own.
            "--bench" => {}
            other => panic!("unknown argument {other}: see benches/run"),
        }
    }
    let places = Places(installed.expect("--installed DIRECTORY: start this by benches/run"));
    let counts = if quick { Counts::quick() } else { Counts::whole() };
    qris::host::tls::install_provider();
    let report = measure(&places, &counts, only.as_deref());
    print!("{}", report.text());
    if let Some(path) = write {
        write_into(&path, report.text());
    }
}

/// The groups of figures, by the word that asks for one of them alone.
const GROUPS: [&str; 11] = ["sales", "journal", "starts", "whole", "memory", "writes", "backend", "sizes", "fleet", "growth", "desk"];

impl Counts {
    fn whole() -> Self {
        Self {
            sales: 200,
            starts: 50,
            traced: 100,
            lone: 5,
            fleet: fleet::Counts { machines: 1000, lists: 50, rounds: 5, sales: 40 },
            load: load::Amounts { burst: 20_000, paced: 2_000, all: 100_000 },
            growth: growth::Counts::whole(),
            desk: desk::Counts { orders: 1_000_000, a_day: 5000, machines: 500, looks: 200, seconds: 10 },
        }
    }

    fn quick() -> Self {
        Self {
            sales: 10,
            starts: 5,
            traced: 5,
            lone: 1,
            fleet: fleet::Counts { machines: 20, lists: 3, rounds: 2, sales: 3 },
            load: load::Amounts { burst: 500, paced: 100, all: 600 },
            growth: growth::Counts::quick(),
            desk: desk::Counts { orders: 400, a_day: 20, machines: 5, looks: 3, seconds: 1 },
        }
    }
}

fn measure(places: &Places, counts: &Counts, only: Option<&str>) -> FiguresText {
    assert!(only.is_none_or(|only| GROUPS.contains(&only)), "--only takes one of {GROUPS:?}");
    let mut report = FiguresText::default();
    report.line(&machine());
    let ram = tempfile::Builder::new().prefix("qris-bench-db-").tempdir_in("/dev/shm").expect("memory");
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the build's directory");
    let new = |place: &tempfile::TempDir| tempfile::tempdir_in(place).expect("a directory");
    for group in GROUPS.into_iter().filter(|group| only.is_none_or(|only| only == *group)) {
        match group {
            "sales" => {
                sales(&mut report, places, new(&ram).path(), "database in RAM", counts.sales);
                sales(&mut report, places, new(&disk).path(), "database on disk", counts.sales);
            }
            "journal" => journal::measure(&mut report, places, [new(&ram).path(), new(&ram).path()], counts.sales),
            "starts" => starts(&mut report, places, new(&ram).path(), counts.starts),
            "whole" => {
                report.times("the whole path: real backend, simulated Midtrans, MQTT over TLS");
                for (place, name) in [(&ram, "databases in RAM"), (&disk, "databases on disk")] {
                    let sold = whole::measure(places, new(place).path(), counts.sales);
                    report.time(
                        &format!("vend request → charge at the simulated Midtrans → QR in the framebuffer, {name}"),
                        &sold.to_qr,
                        "",
                    );
                    let path = "notification at the backend → get-status → receipt → relay line driven";
                    report.time(&format!("{path}, {name}"), &sold.to_line, "");
                }
            }
            "memory" => memory(&mut report, places, new(&ram).path(), new(&ram).path()),
            "writes" => written(&mut report, places, new(&ram).path(), counts),
            "backend" => load::measure(&mut report, places, new(&ram).path(), new(&disk).path(), &counts.load),
            "fleet" => {
                fleet::lists(&mut report, places, &counts.fleet);
                fleet::flooded(&mut report, places, new(&ram).path(), &counts.fleet);
            }
            "desk" => desk::measure(&mut report, places, new(&disk).path(), &counts.desk),
            "growth" => growth::measure(&mut report, places, ram.path(), disk.path(), &counts.growth),
            _ => sizes(&mut report, places),
        }
    }
    report
}

/// Latency, processor time and disk pages of sales, and the floors in the same run.
fn sales(report: &mut FiguresText, places: &Places, databases: &Path, place: &str, count: usize) {
    let in_ram = place.ends_with("RAM");
    let aim = |text: &'static str| if in_ram { text } else { "" };
    let mut shop = Shop::open(&Options::ours(places, databases));
    shop.start_machine();
    let sold = Sold::measure(&mut shop, count);
    report.times(&format!("{place}, a backend that answers at once"));
    report.time("vend request published → QR in the framebuffer", &sold.to_qr, aim("p50 ≤ 3"));
    report.time("settlement published → relay line driven", &sold.to_line, aim("p50 ≤ 2, p99 ≤ 5"));
    report.time("floor: 4 KiB appended and fdatasync", &floor::sync(databases, count), "");
    report.time("floor: SQLite commit of one row", &floor::commit(databases, count), "");
    report.time("floor: MQTT QoS 1 publish and acknowledgement", &floor::mqtt(&mut shop, count), "");
    report.time("floor: D-Bus call and answer, over the bus", &floor::dbus(&shop, count), "");
    report.time("floor: HTTP request and answer", &floor::http(&shop, count), "");
    report.numbers(&format!("{place}: cost of a sale"), "a sale");
    report.number("processor time, qrisd + qris-relayd", &both(sold.cpu, 2, " ms"), "≤ 3 ms");
    report.number("voluntary context switches of all threads, qrisd + qris-relayd", &both(sold.waits, 1, ""), aim("≤ 16"));
    if !in_ram {
        report.number("pages handed to the disk (write_bytes of /proc), both", &format!("{:.0} KiB", sold.disk), "");
    }
}

/// A sum and its parts, to so many digits.
fn both(parts: [f64; 2], digits: usize, unit: &str) -> String {
    format!("{:.digits$}{unit} ({:.digits$} + {:.digits$})", parts[0] + parts[1], parts[0], parts[1])
}

/// From the start of a process to its word, to the broker, and to the QR of an order that was on the screen.
fn starts(report: &mut FiguresText, places: &Places, databases: &Path, count: usize) {
    let mut shop = Shop::open(&Options::ours(places, databases));
    shop.start_machine();
    for _ in 0..10 {
        shop.sell();
    }
    let (mut relay, mut ready, mut online, mut pending) = (Times::default(), Times::default(), Times::default(), Times::default());
    for _ in 0..count {
        shop.relay = None;
        relay.push(shop.start_relay());
    }
    for _ in 0..count {
        online.push(shop.restart_device());
        ready.push(shop.programs()[0].wait_ready());
    }
    shop.wait_sells();
    let request = shop.wait_offer();
    let payload = shop.backend.last().1;
    for _ in 0..count {
        shop.kill_device();
        shop.screen.blank();
        shop.screen.forget();
        shop.start_device();
        pending.push(shop.screen.wait(true) - shop.programs()[0].started);
        shop.wait_online();
        assert_eq!(shop.screen.payload().as_deref(), Some(payload.as_str()), "the same QR is back");
    }
    shop.complete(&request);
    report.times("start of a process, database in RAM with some sales in it");
    report.time("qrisd → READY", &ready, "");
    report.time("qrisd → subscribed, and online at the broker", &online, "≤ 20");
    report.time("qrisd → QR of a pending order back on the screen", &pending, "≤ 20");
    report.time("qris-relayd → READY", &relay, "");
}

/// Resident memory, idle after ten sales.
fn memory(report: &mut FiguresText, places: &Places, databases: &Path, others: &Path) {
    let mut shop = Shop::open(&Options { tls: true, ..Options::ours(places, databases) });
    shop.start_machine();
    for _ in 0..10 {
        shop.sell();
    }
    let sold = whole::measure(places, others, 10);
    std::thread::sleep(SETTLED);
    report.numbers("resident memory, connected over TLS, idle after ten sales", "MiB (anonymous)");
    let [device, relay] = shop.programs();
    for (name, program, aim) in [("qrisd", device, "≤ 9 MB"), ("qris-relayd", relay, "≤ 6 MB"), ("qris-backend", &sold.backend, "")] {
        let (resident, anonymous) = program.memory();
        report.number(name, &format!("{:.1} ({:.1})", resident as f64 / 1024.0, anonymous as f64 / 1024.0), aim);
    }
}

/// System calls, and bytes and syncs of the databases, by strace.
fn written(report: &mut FiguresText, places: &Places, databases: &Path, counts: &Counts) {
    let mut shop = Shop::open(&Options { traced: true, ..Options::ours(places, databases) });
    shop.start_machine();
    let many = sales::traced(&mut shop, counts.traced, Duration::ZERO);
    let lone = sales::traced(&mut shop, counts.lone, SETTLED);
    report.numbers("asked of the kernel for a sale, qrisd + qris-relayd", "a sale");
    let tables = [
        ("one after the other, checkpoints included", many, counts.traced),
        ("each alone, nothing within 5 s after it", lone, counts.lone),
    ];
    for (name, traced, count) in tables {
        let each = |of: fn(&Traced) -> u64| [0, 1].map(|n| of(&traced[n]) as f64 / count as f64);
        let kib = each(|traced| traced.bytes).map(|bytes| bytes / 1024.0);
        report.number(&format!("bytes to the databases and the ledger's mark, {name}"), &both(kib, 1, " KiB"), "≤ 64 KiB");
        report.number(&format!("fsyncs of them, {name}"), &both(each(|traced| traced.syncs), 2, ""), "≤ 10");
        report.number(&format!("system calls, {name}"), &both(each(|traced| traced.calls), 0, ""), "≤ 140");
    }
}

fn sizes(report: &mut FiguresText, places: &Places) {
    report.numbers("binary, stripped", "MB");
    for name in ["qrisd", "qris-relayd", "qris-backend", "qrisctl"] {
        let bytes = std::fs::metadata(places.ours(name)).map_or(f64::NAN, |file| file.len() as f64);
        report.number(name, &format!("{:.2}", bytes / 1e6), "≤ 5");
    }
}

/// Which machine this is, and how busy.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model =
        cpuinfo.lines().find(|line| line.starts_with("model name") || line.starts_with("Model")).and_then(|line| line.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let bus = rig::succeed(rig::command(rig::tool("dbus-daemon")).arg("--version"));
    let load = read("/proc/loadavg");
    format!(
        "Measured on {}, {cores} cores, Linux {}, {}; {}; {}; load average at the start {}.",
        model.unwrap_or("an unnamed processor"),
        read("/proc/sys/kernel/osrelease").trim(),
        rustc_version(),
        bus.lines().next().unwrap_or_default(),
        mosquitto_version(),
        load.split(' ').next().unwrap_or("?"),
    )
}

/// Of the compiler that is found now, which built all this.
fn rustc_version() -> String {
    let output = std::process::Command::new("rustc").arg("--version").output();
    output.map_or_else(|_| "rustc unknown".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn mosquitto_version() -> String {
    // Its help goes with exit status 3.
    let help = rig::output(rig::command(rig::tool("mosquitto")).arg("-h"));
    String::from_utf8_lossy(&help.stdout).lines().next().unwrap_or_default().to_owned()
}

/// Replaces the tables in a document.
fn write_into(path: &Path, tables: &str) {
    let text = std::fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    let (head, rest) = text.split_once(MARKS[0]).unwrap_or_else(|| panic!("{} has no {}", path.display(), MARKS[0]));
    let (_, tail) = rest.split_once(MARKS[1]).unwrap_or_else(|| panic!("{} has no {}", path.display(), MARKS[1]));
    std::fs::write(path, format!("{head}{}\n{tables}\n{}{tail}", MARKS[0], MARKS[1])).expect("written");
    eprintln!("written into {}", path.display());
}
