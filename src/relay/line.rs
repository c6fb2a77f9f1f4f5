//! Lines and inputs: GPIO, or files that stand for them. Each line has a thread of its own, so that nothing that waits
//! for hardware ever delays an answer, and a slow disk never makes a pulse longer.
//!
//! A line is active only inside a [`Pulse`], whose end, however it comes, sets it inactive.

mod pins;

use crate::config::{self, Chip, Pin};
pub use pins::{CONSUMER, let_go, look_at};
use pins::{open_input, open_line};
use qris_core::order::ledger::Pulses;
use qris_core::order::outcome::Outcome;
use qris_core::order::time::Span;
use qris_host::clock;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// Hardware that does not work is tried again after this.
const RETRY: Duration = Duration::from_secs(5);
/// A sensor is waited for in steps of this, so that a stop is seen in between.
const STEP: Span = Span::millis(10);
/// The clock tells whole milliseconds: of the one that has begun nobody knows how much is left. No pulse is shorter than it
/// should be, for a board that counts them would miss it.
const BEGUN: Span = Span::millis(1);
/// A button is waited for in steps of this.
const BUTTON_STEP: Duration = Duration::from_millis(500);
/// The stack of a line's thread; it needs a tenth of it.
const STACK: usize = 128 * 1024;

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
    /// Whether a button works, by its name for people, whenever that may have changed.
    Button(String, Result<(), String>),
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
        let line = open_line(&settings.name, &settings.pin.chip, settings.pin.active_low)?;
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
                // An expander may have obeyed and its answer been lost.
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
pub fn make_safe(name: &str, chip: &Chip, active_low: bool) -> Result<(), LineError> {
    open_line(name, chip, active_low).map(drop)
}

/// Drives a line once, as an order would, and waits for its sensor: for whoever sets a machine up and looks what moves. No
/// ledger knows of it, so it needs the hardware to itself, and the service not to run. As soon as `is_stopped` the line is
/// inactive.
///
/// # Errors
/// The line cannot be taken: somebody holds it, or it is not there.
pub fn try_once(settings: &config::Line, pulses: Pulses, is_stopped: impl Fn() -> bool + Sync) -> Result<Ending, LineError> {
    let mut hardware = Hardware::open(settings)?;
    let (commands, commands_rx) = channel();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                if is_stopped() {
                    // One that is over has no use for it.
                    drop(commands.send(Command::Stop));
                    return;
                }
                std::thread::sleep(STEP.to_duration());
            }
        });
        let ended = hardware.drive(pulses, &commands_rx).0;
        is_over.store(true, Ordering::Relaxed);
        Ok(ended)
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
    let until = clock::now().boot + span + BEGUN;
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

/// Watches a button in a thread of its own, for as long as the program runs: `report` is told at each press. One that does
/// not work is told by its `name`, and tried again.
///
/// # Errors
/// The system has no thread to give.
pub fn watch_button(
    pin: Pin,
    reports: UnboundedSender<Report>,
    report: impl Fn() -> Report + Send + 'static,
    name: String,
) -> io::Result<()> {
    let body = move || {
        let tell = |state| drop(reports.send(Report::Button(name.clone(), state)));
        while !reports.is_closed() {
            let error = match open_input(&pin) {
                Err(error) => error,
                Ok(mut input) => {
                    tell(Ok(()));
                    match watch(input.as_mut(), &reports, &report) {
                        Ok(()) => return,
                        Err(error) => error,
                    }
                }
            };
            tell(Err(error.to_string()));
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

#[cfg(test)]
mod tests;
