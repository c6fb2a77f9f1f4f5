//! Pulses, sensors and stops, on files that stand for lines.

use super::*;
use crate::chip::ChipName;
use crate::input::{Edge, Input};
use crate::outlet::OutletCommand;
use qris_core::order::outcome::Outcome;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

const ONE: Pulses = Pulses { count: 1, on: Span::millis(20), off: Span::ZERO };

struct Rig(tempfile::TempDir);

impl Rig {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("line")
    }

    fn sensor(&self) -> PathBuf {
        self.0.path().join("sensor")
    }

    fn line(&self, within: Option<Span>) -> PulsedLine {
        let pin = |path: PathBuf| Pin::of(Chip::Sim(path), false);
        let sensor = within.map(|within| Sensor { pin: pin(self.sensor()), within, late_within: Span::ZERO });
        PulsedLine { sensor, ..PulsedLine::single(pin(self.log()), Span::millis(20)) }
    }

    fn edges(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        text.lines().map(|line| line.split_once(' ').expect("a time").1.to_owned()).collect()
    }

    fn drive(&self, within: Option<Span>, pulses: Pulses) -> Ending {
        let (_commands, commands_rx) = channel();
        let (ending, error) = self.line(within).take("tray 1").expect("opens").drive(pulses, &Stop::new(&commands_rx), &|| ());
        assert!(error.is_none(), "{error:?}");
        ending
    }
}

fn watch(input: impl Input + 'static, within: Span) -> Watch {
    Watch { line: "tray 1".into(), eye: SharedEye::of(Box::new(input)), within, late_within: Span::ZERO }
}

#[test]
fn pulses_are_edges() {
    let rig = Rig::new();
    let before = clock::now().boot;
    assert_eq!(rig.drive(None, Pulses { count: 3, on: Span::millis(20), off: Span::millis(5) }).outcome, Outcome::Dispensed);
    assert!(clock::now().boot - before >= Span::millis(70));
    assert_eq!(rig.edges(), ["tray 1 1", "tray 1 0"].repeat(3));
}

#[test]
fn a_sensor_decides() {
    let rig = Rig::new();
    // An item that fell before the pulse does not count.
    std::fs::write(rig.sensor(), "1\n0\n").expect("written");
    let ending = rig.drive(Some(Span::millis(40)), ONE);
    assert_eq!((ending.outcome, ending.detail.as_str()), (Outcome::Failed, "the sensor saw nothing within 40 ms"));
    std::thread::scope(|scope| {
        let driving = scope.spawn(|| rig.drive(Some(Span::secs(60)), ONE));
        while rig.edges().len() < 3 {
            std::thread::yield_now();
        }
        OpenOptions::new().append(true).open(rig.sensor()).expect("there").write_all(b"fell\n").expect("written");
        assert_eq!(driving.join().expect("ends").outcome, Outcome::Dispensed);
    });
    assert_eq!(rig.edges(), ["tray 1 1", "tray 1 0"].repeat(2));
}

/// Notes the moments when it was set.
struct Timed(Arc<std::sync::Mutex<Vec<std::time::Instant>>>);

impl Output for Timed {
    fn set(&mut self, _active: bool) -> Result<(), HardwareError> {
        self.0.lock().expect("whole").push(std::time::Instant::now());
        Ok(())
    }
}

/// Sees nothing, and takes exactly the time that it is told.
struct Blind;

impl Input for Blind {
    fn arm(&mut self) -> Result<(), HardwareError> {
        Ok(())
    }

    fn wait(&mut self, timeout: Duration) -> Result<Option<Edge>, HardwareError> {
        std::thread::sleep(timeout);
        Ok(None)
    }

    fn is_active(&mut self) -> Result<bool, HardwareError> {
        Ok(false)
    }
}

#[test]
fn no_pulse_and_no_pause_is_shorter_than_it_should_be() {
    for sensor in [None, Some(watch(Blind, Span::millis(1)))] {
        let with_sensor = sensor.is_some();
        let times = Arc::default();
        let mut hardware = Hardware { output: Box::new(Timed(Arc::clone(&times))), sensor };
        let (_commands, commands_rx) = channel();
        // Longer than one look at the sensor.
        hardware.drive(Pulses { count: 10, on: Span::millis(25), off: Span::millis(25) }, &Stop::new(&commands_rx), &|| ());
        let times = times.lock().expect("whole");
        let shortest = times.windows(2).map(|pair| pair[1] - pair[0]).min();
        assert!(shortest >= Some(Duration::from_millis(25)), "with a sensor {with_sensor}: {shortest:?}");
        assert_eq!(times.len(), 20);
    }
}

#[test]
fn a_stop_sets_the_line_inactive_at_once() {
    let rig = Rig::new();
    let (commands, commands_rx) = channel();
    std::thread::scope(|scope| {
        let long = Pulses { count: 1, on: Span::secs(100), off: Span::ZERO };
        let line = rig.line(None);
        let driving = scope.spawn(move || line.take("tray 1").expect("opens").drive(long, &Stop::new(&commands_rx), &|| ()));
        while rig.edges().is_empty() {
            std::thread::yield_now();
        }
        commands.send(OutletCommand::Stop).expect("lives");
        assert_eq!(driving.join().expect("ends").0.outcome, Outcome::Uncertain);
    });
    assert_eq!(rig.edges(), ["tray 1 1", "tray 1 0"]);
}

/// Panics, or fails, when it is set for the N-th time.
struct Fragile {
    sets: Vec<bool>,
    fails_at: usize,
    panics: bool,
}

impl Output for Fragile {
    fn set(&mut self, active: bool) -> Result<(), HardwareError> {
        self.sets.push(active);
        if self.sets.len() == self.fails_at {
            return Err(HardwareError::Io { path: "x".into(), why: io::Error::other("broken") });
        }
        Ok(())
    }
}

#[test]
fn a_pulse_ends_inactive_whatever_happens() {
    for (fails_at, panics) in [(1, false), (9, true), (9, false)] {
        let mut line = Fragile { sets: Vec::new(), fails_at, panics };
        let driven = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let panics = line.panics;
            let pulse = Pulse::begin(&mut line).inspect(|_| assert!(!panics, "in mid-pulse"));
            pulse.and_then(Pulse::end)
        }));
        assert_eq!(driven.is_err(), panics);
        assert_eq!(line.sets, [true, false], "fails at {fails_at}, panics {panics}");
    }
}

#[test]
fn what_an_earlier_process_left_active_becomes_inactive() {
    // As many edges of other lines as a day has.
    let long = format!("1 tray 1 1\n{}", "2 other 1\n3 other 0\n".repeat(3000));
    let table = [
        (&*long, Some("tray 1 0")),
        ("1 tray 1 1\n", Some("tray 1 0")),
        ("1 tray 1 1\n2 tray 1 0\n", None),
        ("1 tray 1 0\n2 other 1\n", None),
        ("1 tray 1 1\n2 other 0\n", Some("tray 1 0")),
        ("", None),
    ];
    for (before, added) in table {
        let rig = Rig::new();
        std::fs::write(rig.log(), before).expect("written");
        assert!(rig.line(None).open("tray 1").is_ok());
        let edges = rig.edges();
        let new: Vec<_> = edges[before.lines().count()..].iter().map(String::as_str).collect();
        assert_eq!(new, Vec::from_iter(added), "{before:?}");
    }
}

#[test]
fn hardware_that_is_not_there_is_an_error_with_its_name() {
    let mut line = Rig::new().line(None);
    line.pin.chip = Chip::Gpio { name: ChipName::new("no-such-chip").expect("a label"), offset: 3 };
    let error = line.open("tray 1").err().expect("no such chip").to_string();
    assert!(error.contains("there is no GPIO chip \"no-such-chip\""), "{error}");
    for nowhere in ["/nowhere/at/all", "/dev/null/line"] {
        line.pin.chip = Chip::Sim(nowhere.into());
        assert!(line.open("tray 1").is_err(), "{nowhere}");
    }
}

/// A line that remembers its state, and a sensor that looks at it.
struct Watched(Arc<AtomicBool>);

impl Output for Watched {
    fn set(&mut self, active: bool) -> Result<(), HardwareError> {
        self.0.store(!active, Ordering::SeqCst);
        Ok(())
    }
}

/// Sees something once the line is inactive again. Or it sees it at once, and then has the line
/// stopped.
struct Eye {
    is_over: Arc<AtomicBool>,
    stops: Option<Sender<OutletCommand>>,
}

impl Input for Eye {
    fn arm(&mut self) -> Result<(), HardwareError> {
        self.is_over.store(false, Ordering::SeqCst);
        Ok(())
    }

    fn wait(&mut self, _timeout: Duration) -> Result<Option<Edge>, HardwareError> {
        let sees = match &self.stops {
            Some(stops) => stops.send(OutletCommand::Stop).is_ok(),
            None => self.is_over.load(Ordering::SeqCst),
        };
        Ok(sees.then_some(Edge::Rise))
    }

    fn is_active(&mut self) -> Result<bool, HardwareError> {
        Ok(false)
    }
}

#[test]
fn what_the_sensor_sees_after_the_pulse_counts_too() {
    let is_over = Arc::new(AtomicBool::new(false));
    let eye = Eye { is_over: Arc::clone(&is_over), stops: None };
    let mut hardware = Hardware { output: Box::new(Watched(is_over)), sensor: Some(watch(eye, Span::secs(60))) };
    let (_commands, commands_rx) = channel();
    let (ending, error) = hardware.drive(ONE, &Stop::new(&commands_rx), &|| ());
    assert!(error.is_none());
    assert_eq!(ending, Ending::dispensed("driven, and seen by the sensor".into()));
}

#[test]
fn a_stop_after_the_item_was_seen_leaves_it_delivered_if_no_pulse_is_left() {
    for (count, wanted) in [(1, Outcome::Dispensed), (2, Outcome::Uncertain)] {
        let (commands, commands_rx) = channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let eye = Eye { is_over: Arc::clone(&is_over), stops: Some(commands) };
        let output = Box::new(Watched(Arc::clone(&is_over)));
        let mut hardware = Hardware { output, sensor: Some(watch(eye, Span::secs(60))) };
        let (ending, error) = hardware.drive(Pulses { count, on: Span::secs(60), off: Span::ZERO }, &Stop::new(&commands_rx), &|| ());
        assert_eq!((ending.outcome, error.is_none(), is_over.load(Ordering::SeqCst)), (wanted, true, true), "{count}");
    }
}

#[test]
fn nobody_knows_what_a_line_did_that_refused() {
    let pulses = Pulses { count: 3, on: Span::millis(1), off: Span::ZERO };
    for (fails_at, outcome, words) in [
        (1, Outcome::Uncertain, "after 0 of 3 pulses: x: broken"),
        (2, Outcome::Uncertain, "the line could not be set inactive: x: broken"),
        (3, Outcome::Uncertain, "after 1 of 3 pulses: x: broken"),
        (5, Outcome::Uncertain, "after 2 of 3 pulses: x: broken"),
    ] {
        let output = Box::new(Fragile { sets: Vec::new(), fails_at, panics: false });
        let (_commands, commands_rx) = channel();
        let (ending, error) = Hardware { output, sensor: None }.drive(pulses, &Stop::new(&commands_rx), &|| ());
        assert_eq!((ending, error.is_some()), (Ending { outcome, detail: words.into() }, true), "fails at {fails_at}");
    }
}

#[test]
fn turned_over_the_other_level_drives_it() {
    let line = Rig::new().line(Some(Span::secs(1)));
    let turned = line.turned_over();
    assert_eq!((turned.pin.active_low, turned.sensor.is_some()), (true, true));
    assert_eq!(turned.turned_over().pin, line.pin);
}

#[test]
fn amounts_become_pulses() {
    let rp = |amount| Rupiah::new(amount).expect("an amount");
    let rig = Rig::new();
    let coins = |sensor| {
        let drive = Drive::PerPulse { rupiah: rp(1000), on: Span::millis(50), off: Span::millis(150) };
        PulsedLine { drive, ..rig.line(sensor) }
    };
    let pulses = |count| Ok((Pulses { count, on: Span::millis(50), off: Span::millis(150) }, i64::from(count) * 200));
    let one = Ok((Pulses { count: 1, on: Span::millis(20), off: Span::ZERO }, 20));
    let table = [
        (rig.line(None), 5000, one),
        (rig.line(None), 7777, one),
        (rig.line(Some(Span::secs(1))), 7777, one.map(|(pulses, _)| (pulses, 2020))),
        (coins(None), 5000, pulses(5)),
        (coins(None), 5500, Err(LedgerRefusal::NotMultiple(rp(1000)))),
        (coins(None), 600_000, pulses(600)),
        (coins(Some(Span::secs(60))), 295_000, pulses(295).map(|(pulses, takes)| (pulses, takes + 61_000))),
    ];
    for (line, amount, want) in table {
        let takes = line.takes(rp(amount));
        assert_eq!(line.drive.pulses(rp(amount)).and_then(|pulses| Ok((pulses, takes?.0))), want, "{amount}");
    }
    assert_eq!((coins(None).least(rp(1)), rig.line(None).least(rp(7))), (rp(1000), rp(7)), "one pulse is enough to see what moves");
}

/// A sensor by a plan: whether it is active at each look, and after how many waits it sees something. Each wait takes its time.
#[derive(Clone, Default)]
struct Plan(Arc<std::sync::Mutex<Planned>>);

#[derive(Default)]
struct Planned {
    active_for: u32,
    sees_in: Option<Span>,
    waited: Span,
}

impl Plan {
    fn of(active_for: u32, sees_in: Option<Span>) -> Self {
        Self(Arc::new(std::sync::Mutex::new(Planned { active_for, sees_in, waited: Span::ZERO })))
    }
}

impl Input for Plan {
    fn arm(&mut self) -> Result<(), HardwareError> {
        Ok(())
    }

    fn wait(&mut self, timeout: Duration) -> Result<Option<Edge>, HardwareError> {
        std::thread::sleep(timeout);
        let mut plan = self.0.lock().expect("whole");
        plan.waited.0 += i64::try_from(timeout.as_millis()).expect("short");
        let sees = plan.sees_in.is_some_and(|span| plan.waited >= span);
        plan.sees_in = plan.sees_in.filter(|_| !sees);
        Ok(sees.then_some(Edge::Rise))
    }

    fn is_active(&mut self) -> Result<bool, HardwareError> {
        let mut plan = self.0.lock().expect("whole");
        plan.active_for = plan.active_for.saturating_sub(1);
        Ok(plan.active_for > 0)
    }
}

fn late(plan: &Plan, late_within: Span) -> (Delivers, Arc<AtomicBool>) {
    let is_over = Arc::new(AtomicBool::new(true));
    let sensor = Some(Watch { late_within, ..watch(plan.clone(), Span::millis(40)) });
    let hardware = Hardware { output: Box::new(Watched(Arc::clone(&is_over))), sensor };
    (Delivers { drive: Drive::Single { on: Span::millis(10) }, hardware, was_active: false }, is_over)
}

fn job() -> Job {
    Job { item: qris_core::order::ids::ItemId::new("A1").expect("an item"), amount: Rupiah::new(5000).expect("an amount") }
}

#[test]
fn goods_that_fall_late_are_one_word_and_it_is_dispensed() {
    let seen = "driven, and seen by the sensor";
    let nothing = "the sensor saw nothing within 40 ms";
    // when it falls, the time for late goods, the end, whether the customer read that nothing was seen yet
    let table = [
        (Some(5), 60, Ending::dispensed(seen.into()), 0),
        (Some(80), 60_000, Ending::dispensed(format!("{seen}: it came late")), 1),
        (None, 60, Ending::failed(format!("{nothing}, and nothing late within 60 ms more")), 1),
        (Some(80), 0, Ending::failed(nothing.into()), 0),
    ];
    for (falls, late_within, want, told) in table {
        let (mut outlet, _) = late(&Plan::of(0, falls.map(Span::millis)), Span::millis(late_within));
        let (_commands, commands_rx) = channel();
        let unseen = std::cell::Cell::new(0);
        let (ending, error) = outlet.deliver(&job(), &Stop::new(&commands_rx), &|| unseen.set(unseen.get() + 1));
        assert!(error.is_none());
        assert_eq!((ending, unseen.get()), (want, told), "falls after {falls:?} ms");
    }
}

#[test]
fn a_stop_while_late_goods_are_awaited_is_uncertain() {
    let (mut outlet, is_over) = late(&Plan::of(0, None), Span::secs(60));
    let (commands, commands_rx) = channel();
    let (ending, _) = outlet.deliver(&job(), &Stop::new(&commands_rx), &|| commands.send(OutletCommand::Stop).expect("lives"));
    assert_eq!((ending.outcome, is_over.load(Ordering::SeqCst)), (Outcome::Uncertain, true));
}

#[test]
fn a_broken_beam_lets_nothing_be_driven_and_a_hand_that_goes_does() {
    // for how many looks it is active, whether the line is driven
    for (active_for, is_driven) in [(0, true), (5, true), (u32::MAX, false)] {
        let plan = Plan::of(active_for, Some(Span::millis(5)));
        let (mut outlet, is_over) = late(&plan, Span::ZERO);
        is_over.store(false, Ordering::SeqCst);
        let (_commands, commands_rx) = channel();
        let (ending, error) = outlet.deliver(&job(), &Stop::new(&commands_rx), &|| ());
        assert_eq!(
            (ending.outcome, is_over.load(Ordering::SeqCst)),
            if is_driven { (Outcome::Dispensed, true) } else { (Outcome::NotDriven, false) }
        );
        assert_eq!(
            error.map(|error| error.to_string()),
            (!is_driven).then(|| "the sensor at /nowhere is active before anything is driven: clear its beam".into())
        );
    }
}

#[test]
fn what_passes_after_the_end_is_told_once_and_a_beam_that_stays_broken_is_a_fault() {
    let plan = Plan::of(0, None);
    let (mut outlet, _) = late(&plan, Span::ZERO);
    let (_commands, commands_rx) = channel();
    assert_eq!(outlet.look().expect("well"), None, "nothing was missed yet");
    assert_eq!(outlet.deliver(&job(), &Stop::new(&commands_rx), &|| ()).0.outcome, Outcome::Failed);
    let passes = || plan.0.lock().expect("whole").sees_in = Some(Span::ZERO);
    assert_eq!(outlet.look().expect("well"), None);
    passes();
    assert_eq!(outlet.look().expect("well"), Some(LateSign::Passed));
    passes();
    assert_eq!(outlet.look().expect("well"), None, "told already");
    // A hand is there at one look and gone at the next.
    for (active_for, is_fault) in [(2, false), (0, false), (3, false), (3, true)] {
        plan.0.lock().expect("whole").active_for = active_for;
        assert_eq!(matches!(outlet.look(), Err(HardwareError::SensorActive { .. })), is_fault, "{active_for}");
    }
}

#[test]
fn two_lines_hold_one_sensor_together() {
    let rig = Rig::new();
    let [first, second] = ["tray 1", "tray 2"].map(|name| rig.line(Some(Span::millis(30))).take(name).expect("opens"));
    let [first, second] = [first, second].map(|hardware| hardware.sensor.expect("a sensor"));
    let looks = first.eye.lock();
    assert!(second.eye.try_lock().is_none(), "another line looks through it");
    drop(looks);
    assert!(second.eye.try_lock().is_some());
    // What is stuck in its beam is found before anything is driven.
    std::fs::write(rig.sensor(), "1\n").expect("written");
    assert!(matches!(rig.line(Some(Span::millis(30))).open("tray 3"), Err(HardwareError::SensorActive { .. })));
    assert!(rig.edges().is_empty());
}
