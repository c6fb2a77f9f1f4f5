//! A thread for each line and each button. So a wait for hardware never delays an answer, and a slow disk never makes a pulse
//! longer.

use crate::config::LineSettings;
use crate::input::{self, Edge, Edges, Input};
use crate::outlet::{Ending, Job, LOOK, Outlet, OutletCommand, STEP, Stop};
use crate::pin::{HardwareError, Pin};
use qris_core::order::late_sign::LateSign;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// Hardware that does not work is tried again after this time.
const RETRY: Duration = Duration::from_secs(5);
/// A thread waits for a button in steps of this time. Between them it notices the end of the program.
const BUTTON_STEP: Duration = Duration::from_secs(60);
/// A clear button that is down for so long is held. It clears nothing any more.
const HELD: Duration = Duration::from_secs(2);
/// The stack of a thread; it needs a tenth of it.
const STACK: usize = 128 * 1024;

#[derive(Debug, PartialEq, Eq)]
pub enum ThreadReport {
    /// Whether a line's hardware works. It is told at every change.
    Hardware(usize, Result<(), Trouble>),
    /// The goods of a [`OutletCommand::Deliver`] were not seen in their time. It goes on.
    Unseen(usize),
    /// A [`OutletCommand::Deliver`] ended.
    Ended(usize, Ending),
    /// A sign of goods that came after that end.
    Late(usize, LateSign),
    /// The clear button of a line was pressed and let go.
    ClearPressed(usize),
    ClearHeld,
    Pressed(usize),
    Released(usize),
    /// Whether the service switch is on. It is told at every edge.
    Switched(bool),
    /// Whether a button works, with its name for people. It is told whenever that may have changed.
    Button(String, Result<(), String>),
}

/// Why a line cannot be driven, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    Hardware(String),
    /// Its sensor is active before it is driven.
    SensorActive(String),
}

impl From<&HardwareError> for Trouble {
    fn from(error: &HardwareError) -> Self {
        match error {
            HardwareError::SensorActive { .. } => Self::SensorActive(error.to_string()),
            HardwareError::Gpio { .. }
            | HardwareError::Chip(_)
            | HardwareError::Twice { .. }
            | HardwareError::Io { .. }
            | HardwareError::List(_) => Self::Hardware(error.to_string()),
        }
    }
}

/// Starts the thread of a line. Its outlet was opened, or could not be opened and is tried again. The thread ends when the
/// sender is dropped.
pub fn start(
    index: usize,
    line: LineSettings,
    outlet: Result<Box<dyn Outlet>, HardwareError>,
    reports: UnboundedSender<ThreadReport>,
) -> io::Result<Sender<OutletCommand>> {
    let (commands, commands_rx) = channel();
    let name = format!("line {index}");
    let body = move || run(index, &line, outlet, &commands_rx, &reports);
    std::thread::Builder::new().name(name).stack_size(STACK).spawn(body)?;
    Ok(commands)
}

fn run(
    index: usize,
    line: &LineSettings,
    mut outlet: Result<Box<dyn Outlet>, HardwareError>,
    commands: &Receiver<OutletCommand>,
    reports: &UnboundedSender<ThreadReport>,
) {
    // The receiver is gone only when the program ends.
    let tell = |report| drop(reports.send(report));
    loop {
        let command = match &outlet {
            Ok(_) if line.outlet.is_looked_at() => commands.recv_timeout(LOOK.to_duration()),
            Ok(_) => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Err(_) => commands.recv_timeout(RETRY),
        };
        match command {
            Ok(OutletCommand::Deliver(job)) => {
                let unseen = || tell(ThreadReport::Unseen(index));
                let (ending, error) = match &mut outlet {
                    Ok(outlet) => deliver_caught(outlet.as_mut(), &job, commands, &unseen),
                    Err(error) => (Ending::not_driven(&error), None),
                };
                // First why: a beam that was broken before the drive does not block the line.
                if let Some(error) = error {
                    outlet = Err(error);
                    tell(ThreadReport::Hardware(index, told(&outlet)));
                }
                tell(ThreadReport::Ended(index, ending));
            }
            Ok(OutletCommand::Stop) => {}
            Err(RecvTimeoutError::Timeout) => match outlet.as_mut().map(|outlet| outlet.look()) {
                Ok(Ok(sign)) => sign.into_iter().for_each(|sign| tell(ThreadReport::Late(index, sign))),
                Ok(Err(error)) => {
                    outlet = Err(error);
                    tell(ThreadReport::Hardware(index, told(&outlet)));
                }
                Err(_) => {
                    outlet = line.outlet.open(&line.name);
                    // One that is still broken may be so for another reason now.
                    tell(ThreadReport::Hardware(index, told(&outlet)));
                }
            },
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// An outlet that panicked is at rest by its guards. The order must still end.
fn deliver_caught(
    outlet: &mut dyn Outlet,
    job: &Job,
    commands: &Receiver<OutletCommand>,
    unseen: &dyn Fn(),
) -> (Ending, Option<HardwareError>) {
    let deliver = std::panic::AssertUnwindSafe(|| outlet.deliver(job, &Stop::new(commands), unseen));
    std::panic::catch_unwind(deliver).unwrap_or_else(|_| (Ending::uncertain("this program failed while it drove the line".into()), None))
}

pub(crate) fn told(outlet: &Result<Box<dyn Outlet>, HardwareError>) -> Result<(), Trouble> {
    outlet.as_ref().map(|_| ()).map_err(Trouble::from)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// The button of this number.
    Button(usize),
    /// The clear button of the line of this number.
    ClearButton(usize),
    ServiceSwitch,
}

/// Watches a button or a switch in a thread of its own, as long as the program runs. One that does not work is reported by its
/// `name`, and tried again.
pub fn watch_button(pin: Pin, reports: UnboundedSender<ThreadReport>, watched: Watched, name: String) -> io::Result<()> {
    let body = move || {
        let tell = |state| drop(reports.send(ThreadReport::Button(name.clone(), state)));
        while !reports.is_closed() {
            let error = match input::open(&pin, Edges::Both) {
                Err(error) => error,
                Ok(mut input) => {
                    tell(Ok(()));
                    match watch(input.as_mut(), &reports, watched) {
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

fn watch(input: &mut dyn Input, reports: &UnboundedSender<ThreadReport>, watched: Watched) -> Result<(), HardwareError> {
    // Nobody listens only when the program ends.
    let tell = |report| drop(reports.send(report));
    input.arm()?;
    if watched == Watched::ServiceSwitch {
        tell(ThreadReport::Switched(input.is_active()?));
    }
    while !reports.is_closed() {
        let Some(edge) = input.wait(BUTTON_STEP)? else { continue };
        match (watched, edge) {
            (Watched::Button(button), Edge::Rise) => tell(ThreadReport::Pressed(button)),
            (Watched::Button(button), Edge::Fall) => tell(ThreadReport::Released(button)),
            (Watched::ClearButton(line), Edge::Rise) => match input.wait(HELD)? {
                Some(Edge::Fall) => tell(ThreadReport::ClearPressed(line)),
                // A second edge of that kind: the one between was lost.
                Some(Edge::Rise) => {}
                None => tell(ThreadReport::ClearHeld),
            },
            (Watched::ClearButton(_), Edge::Fall) => {}
            // Whatever edges were lost: this is how it stands.
            (Watched::ServiceSwitch, _) => tell(ThreadReport::Switched(input.is_active()?)),
        }
    }
    Ok(())
}

/// Has an outlet deliver once, as for an order. This is for a person who sets a machine up and looks what moves. No ledger
/// knows of it, so it needs the hardware to itself, and the service must not run. It is told to stop as soon as `is_stopped` is
/// true.
pub fn try_once(line: &LineSettings, is_stopped: impl Fn() -> bool + Sync) -> Result<Ending, HardwareError> {
    let job = Job { item: line.items.any(), amount: line.outlet.least(line.min_amount) };
    let mut outlet = line.outlet.open(&line.name)?;
    let (commands, commands_rx) = channel();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                if is_stopped() {
                    // An outlet that has finished has no use for it.
                    drop(commands.send(OutletCommand::Stop));
                    return;
                }
                std::thread::sleep(STEP.to_duration());
            }
        });
        let ended = outlet.deliver(&job, &Stop::new(&commands_rx), &|| ()).0;
        is_over.store(true, Ordering::Relaxed);
        Ok(ended)
    })
}

#[cfg(test)]
mod tests;
