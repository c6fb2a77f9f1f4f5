//! Pulses, sensors and stops, on files that stand for lines.

use super::*;
use crate::order::ids::ItemId;
use crate::order::ledger::Drive;
use crate::order::money::Rupiah;
use crate::relay::config::{Chip, Items, Sensor};
use std::fs::OpenOptions;
use std::io::Write as _;

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

    fn settings(&self, within: Option<Span>) -> config::Line {
        let pin = |path: PathBuf| Pin { chip: Chip::Sim(path), active_low: false, debounce: Span::ZERO };
        config::Line {
            name: "tray 1".into(),
            items: Items::These(vec![ItemId::new("A1").expect("an item")]),
            min_amount: Rupiah::new(1).expect("an amount"),
            pin: pin(self.log()),
            drive: Drive::Single { on: Span::millis(20) },
            block_on_uncertain: false,
            clear_button: None,
            sensor: within.map(|within| Sensor { pin: pin(self.sensor()), within }),
        }
    }

    fn edges(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        text.lines().map(|line| line.split_once(' ').expect("a time").1.to_owned()).collect()
    }

    fn drive(&self, within: Option<Span>, pulses: Pulses) -> Ending {
        let (_commands, commands_rx) = channel();
        let (ending, error) = Hardware::open(&self.settings(within)).expect("opens").drive(pulses, &commands_rx);
        assert!(error.is_none(), "{error:?}");
        ending
    }
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
    // What fell before the pulse does not count.
    std::fs::write(rig.sensor(), "old\n").expect("written");
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

#[test]
fn a_stop_sets_the_line_inactive_at_once() {
    let rig = Rig::new();
    let (reports, mut reports_rx) = tokio::sync::mpsc::unbounded_channel();
    let settings = rig.settings(None);
    let commands = start(0, settings.clone(), Hardware::open(&settings), reports).expect("a thread");
    commands.send(Command::Drive(Pulses { count: 1, on: Span::secs(100), off: Span::ZERO })).expect("lives");
    while rig.edges().is_empty() {
        std::thread::yield_now();
    }
    commands.send(Command::Stop).expect("lives");
    let Some(Report::Ended(0, ending)) = reports_rx.blocking_recv() else { panic!("no end") };
    assert_eq!(ending.outcome, Outcome::Uncertain);
    assert_eq!(rig.edges(), ["tray 1 1", "tray 1 0"]);
}

/// Panics, or fails, at its N-th setting.
struct Fragile {
    sets: Vec<bool>,
    fails_at: usize,
    panics: bool,
}

impl Line for Fragile {
    fn set(&mut self, active: bool) -> Result<(), LineError> {
        self.sets.push(active);
        if self.sets.len() == self.fails_at {
            return Err(LineError::Sim { path: "x".into(), why: io::Error::other("broken") });
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
    let table = [
        ("1 tray 1 1\n", Some("tray 1 0")),
        ("1 tray 1 1\n2 tray 1 0\n", None),
        ("1 tray 1 0\n2 other 1\n", None),
        ("1 tray 1 1\n2 other 0\n", Some("tray 1 0")),
        ("", None),
    ];
    for (before, added) in table {
        let rig = Rig::new();
        std::fs::write(rig.log(), before).expect("written");
        assert!(Hardware::open(&rig.settings(None)).is_ok());
        let edges = rig.edges();
        let new: Vec<_> = edges[before.lines().count()..].iter().map(String::as_str).collect();
        assert_eq!(new, Vec::from_iter(added), "{before:?}");
    }
}

#[test]
fn hardware_that_is_not_there_is_an_error_with_its_name() {
    let mut settings = Rig::new().settings(None);
    settings.pin.chip = Chip::Gpio { path: "/dev/gpiochip-none".into(), offset: 3 };
    let error = Hardware::open(&settings).err().expect("no such chip").to_string();
    assert!(error.contains("/dev/gpiochip-none"), "{error}");
    settings.pin.chip = Chip::Sim("/nowhere/at/all".into());
    assert!(Hardware::open(&settings).is_err());
}
