//! What the screen takes: a whole picture, a countdown's tick and an hour of them, beside the plain copy of as many bytes.
//!
//!   cargo bench --bench screen                              in memory: panels of 480×800 and 1920×1080
//!   cargo bench --bench screen -- --on /dev/fb0             on a panel of this machine (nothing else may draw on it)
//!   cargo bench --bench screen -- --show /dev/fb0 --for 60  shows a QR on it for 60 s, and says what is in it
//!
//! `any` as a device is what `qrisd` takes where its configuration names none.
//!
//! The screen reads its clock twice for a picture: before it is laid out, and when it stands on the panel.
//! That is the time that is measured, and there is no other hook.

use qris::device::screen::picture::{Goods, Picture, Scene};
use qris::device::screen::{Language, Languages, PixelFormat, Rotation, Screen, ScreenState, Settings, SurfaceSettings, samples};
use qris::order::ids::ItemId;
use qris::order::money::Rupiah;
use qris::order::time::Boot;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Whole pictures of each kind, and ticks: at most 840, the seconds that a QR can be up.
const PICTURES: usize = 200;
const TICKS: usize = 800;
/// So long a QR is up at real speed, to see what an hour takes.
const WHILE: Duration = Duration::from_secs(20);
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let (mut on, mut show, mut seconds) = (None, None, 60);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{argument} needs a value"));
        match argument.as_str() {
            "--on" => on = Some(device(&value())),
            "--show" => show = Some(device(&value())),
            "--for" => seconds = value().parse().expect("--for takes seconds"),
            // Cargo's own.
            "--bench" => {}
            other => panic!("unknown argument {other}"),
        }
    }
    if let Some(surface) = show {
        return hold(surface, Duration::from_secs(seconds));
    }
    let memory = |width, height, format| SurfaceSettings::Memory { width, height, format };
    let panels = match on {
        Some(surface) => vec![("this panel", surface, None)],
        None => vec![
            ("480×800 RGB565", memory(480, 800, PixelFormat::Rgb565), Some(480 * 800 * 2)),
            ("1920×1080 XRGB8888", memory(1920, 1080, PixelFormat::Xrgb8888), Some(1920 * 1080 * 4)),
        ],
    };
    for (name, surface, bytes) in panels {
        measure(name, &surface, bytes);
    }
}

fn device(name: &str) -> SurfaceSettings {
    if name == "any" { SurfaceSettings::Any } else { SurfaceSettings::Device(name.into()) }
}

/// Shows a QR that counts down, and says so when it stands there; then leaves the panel as a program that ends does.
fn hold(surface: SurfaceSettings, length: Duration) {
    let (sender, reports) = channel();
    let start = Instant::now();
    let clock = move || Boot(i64::try_from(start.elapsed().as_millis()).expect("no long run"));
    let until = i64::try_from((length + PATIENCE).as_millis()).expect("no long run");
    let screen = Screen::start(settings(surface, Rotation::None), pay(until), clock, move |state| drop(sender.send(state)));
    while let Some(left) = length.checked_sub(start.elapsed()) {
        match reports.recv_timeout(left) {
            Ok(ScreenState::Working) => println!("shown: {}", samples::payload(amount())),
            Ok(ScreenState::Gone(why)) => println!("gone: {why}"),
            Err(_) => break,
        }
    }
    drop(screen);
    println!("ended");
}

fn measure(name: &str, surface: &SurfaceSettings, bytes: Option<usize>) {
    println!("\n| {name} | p50 ms | p99 ms | aim |\n| --- | ---: | ---: | --- |");
    let row = |what: &str, times: &mut [Duration], aim: &str| {
        times.sort_unstable();
        let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1e3;
        println!("| {what} | {:.3} | {:.3} | {aim} |", at(50), at(99));
        at(50)
    };
    let floor = bytes.map(|bytes| row("floor: plain copy of a frame's bytes", &mut copies(bytes), ""));
    let rig = Rig::start(surface, Rotation::None);
    let whole = |what: &str, picture: &Picture, aim: &str| {
        let mut times: Vec<_> = (0..PICTURES)
            .map(|_| {
                // Another ground, so that every row differs.
                rig.time(&loud());
                rig.time(picture)
            })
            .collect();
        let p50 = row(what, &mut times, aim);
        if let Some(floor) = floor {
            println!("| … as a multiple of the plain copy | {:.1} × | | |", p50 / floor);
        }
    };
    whole("a whole picture of flat colour and a few words", &pay(-1000), "≤ 3 × the copy");
    whole("a whole picture with a QR", &pay(600_000), "");
    row("a countdown's tick", &mut rig.ticks(), "< 0.3");
    drop(rig);
    let rig = Rig::start(surface, Rotation::Quarter);
    row("a countdown's tick, turned by 90°", &mut rig.ticks(), "< 0.3");
    drop(rig);
    println!("| processor time in an hour with a QR: {:.2} s | | | < 1 s |", an_hour(surface));
}

/// A screen whose clock is ours.
struct Rig {
    screen: Screen,
    /// When the clock was read.
    readings: Receiver<Instant>,
    /// Each first reading of a picture finds it a second later.
    ticking: Arc<AtomicBool>,
    now: Arc<AtomicI64>,
}

impl Rig {
    fn start(surface: &SurfaceSettings, rotation: Rotation) -> Self {
        let (sender, readings) = channel();
        let (ticking, now) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
        let clock = {
            let (ticking, now, first) = (Arc::clone(&ticking), Arc::clone(&now), AtomicBool::new(true));
            move || {
                if ticking.load(Ordering::SeqCst) && first.fetch_not(Ordering::SeqCst) {
                    now.fetch_add(1000, Ordering::SeqCst);
                }
                // Nobody listens any more at the end.
                let _ = sender.send(Instant::now());
                Boot(now.load(Ordering::SeqCst))
            }
        };
        let (told, reports) = channel();
        let screen = Screen::start(settings(surface.clone(), rotation), loud(), clock, move |state| drop(told.send(state)));
        match reports.recv_timeout(PATIENCE) {
            Ok(ScreenState::Working) => {}
            other => panic!("the panel cannot be used: {other:?}"),
        }
        let rig = Self { screen, readings, ticking, now };
        rig.drawn();
        rig
    }

    fn reading(&self) -> Instant {
        self.readings.recv_timeout(PATIENCE).expect("the screen draws")
    }

    /// How long the next picture takes.
    fn drawn(&self) -> Duration {
        let start = self.reading();
        self.reading() - start
    }

    fn time(&self, picture: &Picture) -> Duration {
        self.screen.show(picture.clone());
        self.drawn()
    }

    fn ticks(&self) -> Vec<Duration> {
        // One millisecond after a second's end, so that the next tick is due in one.
        let until = 840_001;
        self.now.store(until - 1, Ordering::SeqCst);
        self.time(&loud());
        self.now.store(0, Ordering::SeqCst);
        self.ticking.store(true, Ordering::SeqCst);
        self.screen.show(pay(until));
        let mut times: Vec<_> = (0..=TICKS).map(|_| self.drawn()).collect();
        // The picture itself.
        times.remove(0);
        times
    }
}

/// Seconds of processor time that an hour would take, all threads.
fn an_hour(surface: &SurfaceSettings) -> f64 {
    let start = Instant::now();
    let clock = move || Boot(i64::try_from(start.elapsed().as_millis()).expect("no long run"));
    let screen = Screen::start(settings(surface.clone(), Rotation::None), pay(600_000), clock, |_| {});
    std::thread::sleep(Duration::from_secs(2));
    let (before, began) = (processor_time(), Instant::now());
    std::thread::sleep(WHILE);
    let used = processor_time() - before;
    drop(screen);
    used.as_secs_f64() * 3600.0 / began.elapsed().as_secs_f64()
}

fn processor_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let of = |path: &Path| std::fs::read_to_string(path.join("schedstat")).ok()?.split_whitespace().next()?.parse::<u64>().ok();
    Duration::from_nanos(tasks.filter_map(|task| of(&task.ok()?.path())).sum())
}

/// As many bytes from one place to another as a frame has.
fn copies(bytes: usize) -> Vec<Duration> {
    let (from, mut to) = (vec![0x5a_u8; bytes], vec![0_u8; bytes]);
    let one = || {
        let start = Instant::now();
        std::hint::black_box(&mut to).copy_from_slice(std::hint::black_box(&from));
        start.elapsed()
    };
    std::iter::repeat_with(one).take(PICTURES).collect()
}

fn settings(surface: SurfaceSettings, rotate: Rotation) -> Settings {
    Settings { rotate, ..samples::settings(surface, Languages::Only(Language::Id)) }
}

/// Past its deadline this is a page of flat colour and a few words.
fn pay(until: i64) -> Picture {
    let (payload, amount) = (samples::payload(amount()).into(), amount());
    Picture {
        scene: Scene::Pay { payload, goods: goods(), amount, fee: None, page: None, before: None, until: Boot(until) },
        sandbox: false,
    }
}

fn amount() -> Rupiah {
    Rupiah::new(5_000).expect("in range")
}

/// White words on a ground of another colour.
fn loud() -> Picture {
    Picture { scene: Scene::Take { goods: goods() }, sandbox: false }
}

fn goods() -> Goods {
    Goods { item: ItemId::new("A1").expect("an item"), description: None }
}
