//! What a line or an input is: a line of a GPIO chip, or a file that stands for it.

use super::{Input, Line, LineError};
use crate::config::{Bias, Chip, Pin};
use qris_core::order::time::Span;
use qris_host::clock;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file that stands for an input is looked at so often.
const SIM_LOOK: Duration = Duration::from_millis(5);
/// So much of the end of a file that stands for a line is read.
const TAIL: u64 = 64 * 1024;

/// Opening a line is setting it inactive.
pub(super) fn open_line(name: &str, chip: &Chip, active_low: bool) -> Result<Box<dyn Line>, LineError> {
    Ok(match chip {
        Chip::Gpio { path, offset } => Box::new(GpioLine::open(path, *offset, active_low)?),
        Chip::Sim(path) => Box::new(SimLine::open(path, name)?),
    })
}

/// Makes a line an input and lets go of it: nobody drives it any more. A file that stands for a line has no such state.
///
/// # Errors
/// What refuses: above all, somebody holds it.
pub fn let_go(chip: &Chip) -> Result<(), LineError> {
    let Chip::Gpio { path, offset } = chip else { return Ok(()) };
    let request = gpiocdev::Request::builder().on_chip(path).with_consumer(CONSUMER).with_line(*offset).as_input().request();
    request.map(drop).map_err(|why| LineError::Gpio { path: path.into(), why })
}

/// Whether there is such a line: its chip can be opened and has it. Nothing is driven.
///
/// # Errors
/// What refuses.
pub fn look_at(chip: &Chip) -> Result<(), LineError> {
    match chip {
        Chip::Gpio { path, offset } => {
            let line = gpiocdev::Chip::from_path(path).and_then(|chip| chip.line_info(*offset));
            line.map(drop).map_err(|why| LineError::Gpio { path: path.into(), why })
        }
        Chip::Sim(path) => {
            // It is made by the first edge.
            let directory = path.parent().unwrap_or(Path::new("/"));
            std::fs::metadata(directory).map(drop).map_err(|why| LineError::Sim { path: directory.into(), why })
        }
    }
}

/// Opens an input; edges from now on are seen once it is armed.
pub(super) fn open_input(pin: &Pin) -> Result<Box<dyn Input>, LineError> {
    Ok(match &pin.chip {
        Chip::Gpio { path, offset } => Box::new(GpioInput::open(path, *offset, pin)?),
        Chip::Sim(path) => Box::new(SimInput { path: path.clone(), read: 0 }),
    })
}

/// The name under which the kernel lists who holds a line.
pub const CONSUMER: &str = "qris-relayd";

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
        builder.with_bias(bias_of(pin.bias));
        let request = builder.request();
        request.map(|request| Self { request, path: path.into() }).map_err(|why| LineError::Gpio { path: path.into(), why })
    }

    fn fault(&self) -> impl Fn(gpiocdev::Error) -> LineError + '_ {
        |why| LineError::Gpio { path: self.path.clone(), why }
    }
}

/// What the kernel is asked for; nothing leaves the resistor as it was. A chip that has none ignores it.
fn bias_of(bias: Bias) -> Option<gpiocdev::line::Bias> {
    match bias {
        Bias::AsIs => None,
        Bias::PullUp => Some(gpiocdev::line::Bias::PullUp),
        Bias::PullDown => Some(gpiocdev::line::Bias::PullDown),
        Bias::Disabled => Some(gpiocdev::line::Bias::Disabled),
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

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn each_whole_line_of_a_file_is_an_edge() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("sensor");
        let mut input = SimInput { path: path.clone(), read: 0 };
        let mut sees = || input.wait(NOW).expect("readable");
        assert!(!sees(), "it is not there yet");
        std::fs::write(&path, "one\ntwo\nthr").expect("written");
        assert_eq!([sees(), sees(), sees(), sees()], [true, true, false, false]);
        std::fs::write(&path, "one\ntwo\nthree\n").expect("written");
        assert_eq!([sees(), sees()], [true, false]);
        std::fs::write(&path, "a\n").expect("written");
        assert_eq!([sees(), sees()], [true, false], "it was begun anew");
        input.path = directory.path().join("sensor/line");
        assert!(input.wait(NOW).is_err(), "a file is no directory");
    }

    #[test]
    fn an_edge_is_waited_for_as_long_as_was_said() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut input = SimInput { path: directory.path().join("sensor"), read: 0 };
        let before = clock::now().boot;
        assert!(!input.wait(Duration::from_millis(30)).expect("readable"));
        assert!(clock::now().boot - before >= Span::millis(30));
    }

    #[test]
    fn the_kernel_is_asked_for_the_resistor_that_was_configured() {
        use gpiocdev::line::Bias as Kernel;
        let table = [
            (Bias::AsIs, None),
            (Bias::PullUp, Some(Kernel::PullUp)),
            (Bias::PullDown, Some(Kernel::PullDown)),
            (Bias::Disabled, Some(Kernel::Disabled)),
        ];
        for (bias, wanted) in table {
            assert_eq!(bias_of(bias), wanted, "{bias:?}");
        }
    }
}
