//! Inputs: lines of GPIO chips, or files that stand for them.

use crate::pin::{Bias, CONSUMER, Chip, HardwareError, Pin};
use qris_core::order::time::Span;
use qris_host::clock;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file that stands for an input is looked at this often.
const SIM_LOOK: Duration = Duration::from_millis(5);
/// At most this much of the new text in such a file is read at once.
const TAIL: u64 = 65_536;

/// An input whose edges from inactive to active are seen.
pub(crate) trait Input: Send {
    /// Forgets the edges seen until now.
    fn arm(&mut self) -> Result<(), HardwareError>;
    /// Waits for an edge, at most for this time.
    fn wait(&mut self, timeout: Duration) -> Result<bool, HardwareError>;
}

/// Opens an input. Edges are seen from the moment it is armed.
///
/// # Errors
/// What refuses.
pub(crate) fn open(pin: &Pin) -> Result<Box<dyn Input>, HardwareError> {
    Ok(match &pin.chip {
        Chip::Gpio { name, offset } => Box::new(GpioInput::open(&name.find()?, *offset, pin)?),
        Chip::Sim(path) => Box::new(SimInput { path: path.clone(), read: 0 }),
    })
}

struct GpioInput {
    request: gpiocdev::Request,
    path: PathBuf,
}

impl GpioInput {
    fn open(path: &Path, offset: u32, pin: &Pin) -> Result<Self, HardwareError> {
        let mut builder = gpiocdev::Request::builder();
        builder.on_chip(path).with_consumer(CONSUMER).with_line(offset).as_input();
        if pin.active_low {
            builder.as_active_low();
        }
        // With active_low this is the rising edge of the logical value.
        builder.with_edge_detection(gpiocdev::line::EdgeDetection::RisingEdge);
        if pin.debounce > Span::ZERO {
            builder.with_debounce_period(pin.debounce.to_duration());
        }
        builder.with_bias(bias_of(pin.bias));
        let request = builder.request();
        request.map(|request| Self { request, path: path.into() }).map_err(HardwareError::gpio(path))
    }

    fn fault(&self) -> impl Fn(gpiocdev::Error) -> HardwareError + '_ {
        HardwareError::gpio(&self.path)
    }
}

/// The bias that the kernel is asked for. `None` leaves the resistor as it was. A chip that has no
/// resistor ignores the request.
fn bias_of(bias: Bias) -> Option<gpiocdev::line::Bias> {
    match bias {
        Bias::AsIs => None,
        Bias::PullUp => Some(gpiocdev::line::Bias::PullUp),
        Bias::PullDown => Some(gpiocdev::line::Bias::PullDown),
        Bias::Disabled => Some(gpiocdev::line::Bias::Disabled),
    }
}

impl Input for GpioInput {
    fn arm(&mut self) -> Result<(), HardwareError> {
        // The kernel keeps 16 events for a line.
        while self.request.has_edge_event().map_err(self.fault())? {
            self.request.read_edge_event().map_err(self.fault())?;
        }
        Ok(())
    }

    fn wait(&mut self, timeout: Duration) -> Result<bool, HardwareError> {
        if !self.request.wait_edge_event(timeout).map_err(self.fault())? {
            return Ok(false);
        }
        self.request.read_edge_event().map_err(self.fault())?;
        Ok(true)
    }
}

/// A file that stands for an input: each line appended to it is an edge.
struct SimInput {
    path: PathBuf,
    /// Bytes that were looked at already.
    read: u64,
}

impl SimInput {
    /// Is there a whole new line after the bytes that were looked at?
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
    fn arm(&mut self) -> Result<(), HardwareError> {
        self.read = std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        Ok(())
    }

    fn wait(&mut self, timeout: Duration) -> Result<bool, HardwareError> {
        let until = clock::now().boot + Span::millis(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX));
        loop {
            if self.look().map_err(|why| HardwareError::Io { path: self.path.clone(), why })? {
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
