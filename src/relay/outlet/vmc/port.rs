//! The serial port of a board. Its thread answers each poll within 100 ms and waits for nothing else, whatever the ledger or a line does.

use super::talk::Talk;
use crate::pin::HardwareError;
use qris_core::order::time::Span;
use qris_host::clock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
use rustix::termios::{ControlModes, OptionalActions, QueueSelector, ioctl_tiocexcl, tcflush, tcgetattr, tcsetattr};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// The thread looks this often whether somebody still needs the port.
const STEP: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// A port that is gone is opened again after this time.
const RETRY: Duration = Duration::from_millis(500);
/// Who takes the port first waits so long for the board's first words: it polls every 200 ms.
const FIRST_WORDS_WITHIN: Span = Span::millis(1500);
const STACK: usize = 128 * 1024;
const BAUD: u32 = 57_600;

static HELD: Mutex<BTreeMap<PathBuf, Weak<Port>>> = Mutex::new(BTreeMap::new());

#[derive(Debug)]
pub struct Port {
    path: PathBuf,
    talk: Mutex<Talk>,
}

impl Port {
    /// Takes a port. Another line may hold it already. Its thread runs as long as somebody holds it.
    pub fn hold(path: &Path) -> Result<Arc<Self>, HardwareError> {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, port| port.strong_count() > 0);
        if let Some(port) = held.get(path).and_then(Weak::upgrade) {
            return Ok(port);
        }
        let port = Arc::new(Self { path: path.into(), talk: Mutex::new(Talk::new(clock::now().boot)) });
        let weak = Arc::downgrade(&port);
        let body = move || run(&weak);
        std::thread::Builder::new().name("board".into()).stack_size(STACK).spawn(body).map_err(HardwareError::io(path))?;
        held.insert(path.into(), Arc::downgrade(&port));
        drop(held);
        let until = clock::now().boot + FIRST_WORDS_WITHIN;
        while port.talk().health(clock::now().boot).is_err() && clock::now().boot < until {
            std::thread::sleep(crate::outlet::STEP.to_duration());
        }
        Ok(port)
    }

    /// Nobody holds it for longer than a write that does not wait.
    pub fn talk(&self) -> MutexGuard<'_, Talk> {
        self.talk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether its board can be talked to.
    pub fn check(&self) -> Result<(), HardwareError> {
        let health = self.talk().health(clock::now().boot);
        health.map_err(|why| HardwareError::io(&self.path)(io::Error::other(why)))
    }

    /// One read and its answer.
    fn serve(&self, file: &mut File) -> io::Result<()> {
        let mut polled = [PollFd::new(file, PollFlags::IN)];
        match poll(&mut polled, Some(&STEP)) {
            Ok(0) | Err(Errno::INTR) => return Ok(()),
            Ok(_) => {}
            Err(why) => return Err(why.into()),
        }
        let mut bytes = [0; 512];
        let count = match file.read(&mut bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(why) if matches!(why.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => return Ok(()),
            Err(why) => return Err(why),
        };
        // A stop of the job comes before this or after it, and never between the decision and the write.
        let mut talk = self.talk();
        let said = talk.heard(&bytes[..count], clock::now().boot);
        let mut written = 0;
        while written < said.bytes.len() {
            match file.write(&said.bytes[written..]) {
                Ok(count) if count > 0 => written += count,
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                end => {
                    talk.unwritten(&said, written);
                    return Err(end.err().unwrap_or_else(|| io::ErrorKind::WriteZero.into()));
                }
            }
        }
        Ok(())
    }
}

fn run(port: &Weak<Port>) {
    let mut file: Option<File> = None;
    while let Some(port) = port.upgrade() {
        let served = match &mut file {
            Some(file) => std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| port.serve(file)))
                .unwrap_or_else(|_| Err(io::Error::other("this program failed while it talked to the board"))),
            None => take(&port.path).map(|opened| {
                file = Some(opened);
                port.talk().opened(clock::now().boot);
            }),
        };
        if let Err(why) = served {
            // Closed at once: else the same adapter gets another name when it is back.
            file = None;
            port.talk().gone(format!("{}: {why}", port.path.display()), clock::now().boot);
            drop(port);
            std::thread::sleep(RETRY);
        }
    }
}

/// Opens a port for this program alone. Nothing is sent.
fn take(path: &Path) -> io::Result<File> {
    let file = File::from(open(path, OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?);
    // Among programs that ask; the next call is for those that do not.
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    ioctl_tiocexcl(&file)?;
    let mut settings = tcgetattr(&file)?;
    settings.make_raw();
    settings.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD | ControlModes::CS8;
    settings.control_modes &= !(ControlModes::CRTSCTS | ControlModes::HUPCL | ControlModes::CSTOPB | ControlModes::PARENB);
    settings.set_speed(BAUD)?;
    tcsetattr(&file, OptionalActions::Now, &settings)?;
    tcflush(&file, QueueSelector::IOFlush)?;
    Ok(file)
}
