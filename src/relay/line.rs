//! Lines and inputs: GPIO, or files that stand for them. Each line has a thread of its own, so that nothing that waits
//! for hardware ever delays an answer, and a slow disk never makes a pulse longer.
//!
//! A line is active only inside a [`Pulse`], whose end, however it comes, sets it inactive.

use crate::host::clock;
use crate::order::ledger::Pulses;
use crate::order::outcome::Outcome;
use crate::order::time::Span;
use crate::relay::config::{self, Chip, Pin};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// Hardware that does not work is tried again after this.
const RETRY: Duration = Duration::from_secs(5);
/// A sensor is waited for in steps of this, so that a stop is seen in between.
const STEP: Span = Span::millis(10);
/// A file that stands for an input is looked at so often.
const SIM_LOOK: Duration = Duration::from_millis(5);
/// A button is waited for in steps of this.
const BUTTON_STEP: Duration = Duration::from_millis(500);
/// The stack of a line's thread; it needs a tenth of it.
const STACK: usize = 128 * 1024;
/// So much of the end of a file that stands for a line is read.
const TAIL: u64 = 64 * 1024;

/// What a line's thread is told. The dispenser sees to it that there is one `Drive` at a time.
#[derive(Debug)]
pub enum Command {
    /// Drive it.
    Drive(Pulses),
    /// Set it inactive at once, whatever it is doing.
    Stop,
}

/// What the threads tell.
#[derive(Debug, PartialEq, Eq)]
pub enum Report {
    /// Whether a line's hardware works, whenever that changes.
    Hardware(usize, Result<(), String>),
    /// A [`Command::Drive`] ended.
    Ended(usize, Ending),
    /// The clear button of a line was pressed.
    ClearPressed(usize),
    /// A button was pressed.
    Pressed(usize),
}

/// How a drive ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// What the ledger will say.
    pub outcome: Outcome,
    /// More, for people.
    pub detail: String,
}

/// The hardware of a line refuses.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The GPIO chip or line.
    #[error("GPIO {}: {why}", path.display())]
    Gpio {
        /// The chip.
        path: PathBuf,
        /// What the kernel or the library said.
        why: gpiocdev::Error,
    },
    /// The file that stands for it.
    #[error("{}: {why}", path.display())]
    Sim {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        why: io::Error,
    },
}

/// Something that can be active or not.
trait Line: Send {
    fn set(&mut self, active: bool) -> Result<(), LineError>;
}

/// Something of which edges from inactive to active are seen.
trait Input: Send {
    /// Forgets what was seen until now.
    fn arm(&mut self) -> Result<(), LineError>;
    /// Waits for an edge at most so long.
    fn wait(&mut self, timeout: Duration) -> Result<bool, LineError>;
}

/// A line, inactive, with its sensor.
pub struct Hardware {
    line: Box<dyn Line>,
    sensor: Option<(Box<dyn Input>, Span)>,
}

impl Hardware {
    /// Takes the line and sets it inactive first of all; then takes its sensor.
    ///
    /// # Errors
    /// What refuses. A line that could be taken was set inactive even if its sensor could not.
    pub fn open(settings: &config::Line) -> Result<Self, LineError> {
        let line = open_line(settings)?;
        let sensor = match &settings.sensor {
            Some(sensor) => Some((open_input(&sensor.pin)?, sensor.within)),
            None => None,
        };
        Ok(Self { line, sensor })
    }

    /// Gives the pulses and waits for the sensor, unless it is stopped. The error is of the hardware, which must be
    /// taken anew.
    fn drive(&mut self, pulses: Pulses, commands: &Receiver<Command>) -> (Ending, Option<LineError>) {
        if let Some((sensor, _)) = &mut self.sensor
            && let Err(error) = sensor.arm()
        {
            return (Ending::failed(format!("nothing was driven, the sensor does not work: {error}")), Some(error));
        }
        let mut seen = false;
        for number in 0..pulses.count {
            let pulse = match Pulse::begin(self.line.as_mut()) {
                Ok(pulse) => pulse,
                Err(error) if number == 0 => {
                    return (Ending::failed(format!("the line could not be driven: {error}")), Some(error));
                }
                Err(error) => {
                    return (Ending::uncertain(format!("after {number} of {} pulses: {error}", pulses.count)), Some(error));
                }
            };
            let waited = pause(pulses.on, self.sensor.as_mut(), &mut seen, commands);
            if let Err(error) = pulse.end() {
                return (Ending::uncertain(format!("the line could not be set inactive: {error}")), Some(error));
            }
            let waited = waited.and_then(|waited| match waited {
                Waited::Stopped => Ok(Waited::Stopped),
                Waited::Elapsed => pause(pulses.off, self.sensor.as_mut(), &mut seen, commands),
            });
            match waited {
                Ok(Waited::Elapsed) => {}
                Ok(Waited::Stopped) if seen && number + 1 == pulses.count => {}
                Ok(Waited::Stopped) => return (Ending::uncertain("stopped while it was driven".into()), None),
                Err(error) => return (Ending::uncertain(format!("the sensor does not work: {error}")), Some(error)),
            }
        }
        self.await_sensor(seen, commands)
    }

    fn await_sensor(&mut self, mut seen: bool, commands: &Receiver<Command>) -> (Ending, Option<LineError>) {
        let Some((_, within)) = &self.sensor else { return (Ending::dispensed("driven".into()), None) };
        let within = *within;
        let until = clock::now().boot + within;
        while !seen {
            let left = until - clock::now().boot;
            if left <= Span::ZERO {
                return (Ending::failed(format!("the sensor saw nothing within {} ms", within.0)), None);
            }
            match pause(left.min(STEP), self.sensor.as_mut(), &mut seen, commands) {
                Ok(Waited::Elapsed) => {}
                Ok(Waited::Stopped) => return (Ending::uncertain("stopped before the sensor saw anything".into()), None),
                Err(error) => return (Ending::uncertain(format!("the sensor does not work: {error}")), Some(error)),
            }
        }
        (Ending::dispensed("driven, and seen by the sensor".into()), None)
    }
}

/// Sets a line inactive, and no more: for after a crash.
///
/// # Errors
/// What refuses.
pub fn make_safe(settings: &config::Line) -> Result<(), LineError> {
    open_line(settings).map(drop)
}

/// Opening a line is setting it inactive.
fn open_line(settings: &config::Line) -> Result<Box<dyn Line>, LineError> {
    Ok(match &settings.pin.chip {
        Chip::Gpio { path, offset } => Box::new(GpioLine::open(path, *offset, settings.pin.active_low)?),
        Chip::Sim(path) => Box::new(SimLine::open(path, &settings.name)?),
    })
}

enum Waited {
    Elapsed,
    Stopped,
}

/// Lets time pass, looks at the sensor until it has seen something, and ends at once on a stop.
fn pause(
    span: Span,
    sensor: Option<&mut (Box<dyn Input>, Span)>,
    seen: &mut bool,
    commands: &Receiver<Command>,
) -> Result<Waited, LineError> {
    let until = clock::now().boot + span;
    if let Some((sensor, _)) = sensor {
        while !*seen {
            match commands.try_recv() {
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return Ok(Waited::Stopped),
                Ok(Command::Drive(_)) | Err(TryRecvError::Empty) => {}
            }
            let left = until - clock::now().boot;
            if left <= Span::ZERO {
                return Ok(Waited::Elapsed);
            }
            *seen = sensor.wait(left.min(STEP).to_duration())?;
        }
    }
    let left = (until - clock::now().boot).min(span);
    match commands.recv_timeout(left.to_duration()) {
        Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => Ok(Waited::Stopped),
        Ok(Command::Drive(_)) | Err(RecvTimeoutError::Timeout) => Ok(Waited::Elapsed),
    }
}

/// An active line. It becomes inactive when this ends, also by an error or a panic.
struct Pulse<'a> {
    line: Option<&'a mut dyn Line>,
}

impl<'a> Pulse<'a> {
    fn begin(line: &'a mut dyn Line) -> Result<Self, LineError> {
        // First the guard: who fails to set a line active may have done so all the same.
        let mut pulse = Self { line: Some(line) };
        if let Some(line) = &mut pulse.line {
            line.set(true)?;
        }
        Ok(pulse)
    }

    fn end(mut self) -> Result<(), LineError> {
        self.line.take().map_or(Ok(()), |line| line.set(false))
    }
}

impl Drop for Pulse<'_> {
    fn drop(&mut self) {
        if let Some(line) = &mut self.line {
            // The error that led here is told; this is the last that can be done about it.
            drop(line.set(false));
        }
    }
}

impl Ending {
    fn dispensed(detail: String) -> Self {
        Self { outcome: Outcome::Dispensed, detail }
    }

    fn failed(detail: String) -> Self {
        Self { outcome: Outcome::Failed, detail }
    }

    fn uncertain(detail: String) -> Self {
        Self { outcome: Outcome::Uncertain, detail }
    }
}

/// Starts the thread of a line whose hardware was opened, or could not be and is tried again. It ends when the sender is dropped.
///
/// # Errors
/// The system has no thread to give.
pub fn start(
    index: usize,
    settings: config::Line,
    hardware: Result<Hardware, LineError>,
    reports: UnboundedSender<Report>,
) -> io::Result<Sender<Command>> {
    let (commands, commands_rx) = channel();
    let name = format!("line {index}");
    let body = move || run(index, &settings, hardware, &commands_rx, &reports);
    std::thread::Builder::new().name(name).stack_size(STACK).spawn(body)?;
    Ok(commands)
}

fn run(
    index: usize,
    settings: &config::Line,
    mut hardware: Result<Hardware, LineError>,
    commands: &Receiver<Command>,
    reports: &UnboundedSender<Report>,
) {
    // Who is to be told is gone only when the program ends.
    let tell = |report| drop(reports.send(report));
    loop {
        let command = match &hardware {
            Ok(_) => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Err(_) => commands.recv_timeout(RETRY),
        };
        match command {
            Ok(Command::Drive(pulses)) => {
                let (ending, error) = match &mut hardware {
                    Ok(hardware) => drive_caught(hardware, pulses, commands),
                    Err(error) => (Ending::failed(format!("nothing was driven: {error}")), None),
                };
                tell(Report::Ended(index, ending));
                if let Some(error) = error {
                    hardware = Err(error);
                    tell(Report::Hardware(index, told(&hardware)));
                }
            }
            Ok(Command::Stop) => {}
            Err(RecvTimeoutError::Timeout) => {
                hardware = Hardware::open(settings);
                if hardware.is_ok() {
                    tell(Report::Hardware(index, Ok(())));
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// A panic has set the line inactive by its guard; the order must still end.
fn drive_caught(hardware: &mut Hardware, pulses: Pulses, commands: &Receiver<Command>) -> (Ending, Option<LineError>) {
    let drive = std::panic::AssertUnwindSafe(|| hardware.drive(pulses, commands));
    std::panic::catch_unwind(drive).unwrap_or_else(|_| (Ending::uncertain("a fault of this program while it drove".into()), None))
}

fn told(hardware: &Result<Hardware, LineError>) -> Result<(), String> {
    hardware.as_ref().map(|_| ()).map_err(ToString::to_string)
}

/// Watches a button in a thread of its own, for as long as the program runs: `report` is told at each press. Trouble is
/// told to `trouble` once, and the button is tried again.
///
/// # Errors
/// The system has no thread to give.
pub fn watch_button(
    pin: Pin,
    reports: UnboundedSender<Report>,
    report: impl Fn() -> Report + Send + 'static,
    trouble: impl Fn(&LineError) + Send + 'static,
) -> io::Result<()> {
    let body = move || {
        let mut is_told = false;
        while !reports.is_closed() {
            let error = match open_input(&pin) {
                Err(error) => error,
                Ok(mut input) => {
                    is_told = false;
                    match watch(input.as_mut(), &reports, &report) {
                        Ok(()) => return,
                        Err(error) => error,
                    }
                }
            };
            if !is_told {
                trouble(&error);
                is_told = true;
            }
            std::thread::sleep(RETRY);
        }
    };
    std::thread::Builder::new().name("button".into()).stack_size(STACK).spawn(body)?;
    Ok(())
}

fn watch(input: &mut dyn Input, reports: &UnboundedSender<Report>, report: &dyn Fn() -> Report) -> Result<(), LineError> {
    input.arm()?;
    loop {
        if input.wait(BUTTON_STEP)? && reports.send(report()).is_err() || reports.is_closed() {
            return Ok(());
        }
    }
}

fn open_input(pin: &Pin) -> Result<Box<dyn Input>, LineError> {
    Ok(match &pin.chip {
        Chip::Gpio { path, offset } => Box::new(GpioInput::open(path, *offset, pin)?),
        Chip::Sim(path) => Box::new(SimInput { path: path.clone(), read: 0 }),
    })
}

/// The name under which the kernel lists who holds a line.
const CONSUMER: &str = "qris-relayd";

struct GpioLine {
    request: gpiocdev::Request,
    path: PathBuf,
}

impl GpioLine {
    fn open(path: &Path, offset: u32, active_low: bool) -> Result<Self, LineError> {
        let mut builder = gpiocdev::Request::builder();
        builder.on_chip(path).with_consumer(CONSUMER).with_line(offset);
        if active_low {
            builder.as_active_low();
        }
        let request = builder.as_output(gpiocdev::line::Value::Inactive).request();
        request.map(|request| Self { request, path: path.into() }).map_err(|why| LineError::Gpio { path: path.into(), why })
    }
}

impl Line for GpioLine {
    fn set(&mut self, active: bool) -> Result<(), LineError> {
        let value = if active { gpiocdev::line::Value::Active } else { gpiocdev::line::Value::Inactive };
        self.request.set_lone_value(value).map_err(|why| LineError::Gpio { path: self.path.clone(), why })
    }
}

struct GpioInput {
    request: gpiocdev::Request,
    path: PathBuf,
}

impl GpioInput {
    fn open(path: &Path, offset: u32, pin: &Pin) -> Result<Self, LineError> {
        let mut builder = gpiocdev::Request::builder();
        builder.on_chip(path).with_consumer(CONSUMER).with_line(offset).as_input();
        if pin.active_low {
            builder.as_active_low();
        }
        // With active_low the rising edge is that of the logical value.
        builder.with_edge_detection(gpiocdev::line::EdgeDetection::RisingEdge);
        if pin.debounce > Span::ZERO {
            builder.with_debounce_period(pin.debounce.to_duration());
        }
        let request = builder.request();
        request.map(|request| Self { request, path: path.into() }).map_err(|why| LineError::Gpio { path: path.into(), why })
    }

    fn fault(&self) -> impl Fn(gpiocdev::Error) -> LineError + '_ {
        |why| LineError::Gpio { path: self.path.clone(), why }
    }
}

impl Input for GpioInput {
    fn arm(&mut self) -> Result<(), LineError> {
        // The kernel keeps 16 events of a line.
        while self.request.has_edge_event().map_err(self.fault())? {
            self.request.read_edge_event().map_err(self.fault())?;
        }
        Ok(())
    }

    fn wait(&mut self, timeout: Duration) -> Result<bool, LineError> {
        if !self.request.wait_edge_event(timeout).map_err(self.fault())? {
            return Ok(false);
        }
        self.request.read_edge_event().map_err(self.fault())?;
        Ok(true)
    }
}

/// A file that stands for a line: `boot-clock-milliseconds line-name 1|0`, one line an edge. It is opened anew for each
/// edge, so that a FIFO without a reader holds the line where it is.
struct SimLine {
    path: PathBuf,
    name: String,
}

impl SimLine {
    /// A line that an earlier process left active becomes inactive.
    fn open(path: &Path, name: &str) -> Result<Self, LineError> {
        let mut line = Self { path: path.into(), name: name.into() };
        line.make_safe().map_err(|why| LineError::Sim { path: path.into(), why })?;
        Ok(line)
    }

    fn make_safe(&mut self) -> io::Result<()> {
        let metadata = match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // It is made by the first edge, if its directory is there.
                let directory = self.path.parent().unwrap_or(Path::new("/"));
                return std::fs::metadata(directory).map(|_| ());
            }
            Err(error) => return Err(error),
        };
        if metadata.file_type().is_fifo() {
            // What went through it cannot be read again; somebody who reads is told, nobody is waited for.
            return match OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&self.path) {
                Ok(mut fifo) => fifo.write_all(self.edge(false).as_bytes()),
                Err(error) if error.raw_os_error() == Some(libc::ENXIO) => Ok(()),
                Err(error) => Err(error),
            };
        }
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(metadata.len().saturating_sub(TAIL)))?;
        let mut tail = Vec::new();
        file.take(TAIL).read_to_end(&mut tail)?;
        let tail = String::from_utf8_lossy(&tail);
        let last = tail.lines().rev().find_map(|line| {
            let (head, value) = line.rsplit_once(' ')?;
            let (_, name) = head.split_once(' ')?;
            (name == self.name).then(|| value == "1")
        });
        if last == Some(true) { self.append(false) } else { OpenOptions::new().append(true).open(&self.path).map(|_| ()) }
    }

    fn append(&self, active: bool) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).open(&self.path)?;
        file.write_all(self.edge(active).as_bytes())
    }

    fn edge(&self, active: bool) -> String {
        format!("{} {} {}\n", clock::now().boot.0, self.name, u8::from(active))
    }
}

impl Line for SimLine {
    fn set(&mut self, active: bool) -> Result<(), LineError> {
        self.append(active).map_err(|why| LineError::Sim { path: self.path.clone(), why })
    }
}

/// A file that stands for an input: each line appended to it is an edge.
struct SimInput {
    path: PathBuf,
    /// Bytes that were looked at.
    read: u64,
}

impl SimInput {
    /// Is there a whole line behind what was looked at?
    fn look(&mut self) -> io::Result<bool> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if file.metadata()?.len() < self.read {
            self.read = 0;
        }
        file.seek(SeekFrom::Start(self.read))?;
        let mut new = Vec::new();
        file.take(TAIL).read_to_end(&mut new)?;
        let Some(end) = new.iter().position(|&byte| byte == b'\n') else { return Ok(false) };
        self.read += end as u64 + 1;
        Ok(true)
    }
}

impl Input for SimInput {
    fn arm(&mut self) -> Result<(), LineError> {
        self.read = std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        Ok(())
    }

    fn wait(&mut self, timeout: Duration) -> Result<bool, LineError> {
        let until = clock::now().boot + Span::millis(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX));
        loop {
            if self.look().map_err(|why| LineError::Sim { path: self.path.clone(), why })? {
                return Ok(true);
            }
            if clock::now().boot >= until {
                return Ok(false);
            }
            std::thread::sleep(SIM_LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::ids::ItemId;
    use crate::order::ledger::Drive;
    use crate::order::money::Rupiah;
    use crate::relay::config::{Items, Sensor};

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
}
