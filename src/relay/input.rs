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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edge {
    /// From inactive to active.
    Rise,
    /// From active to inactive.
    Fall,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edges {
    Rising,
    Both,
}

pub(crate) trait Input: Send {
    /// Forgets the edges seen until now.
    fn arm(&mut self) -> Result<(), HardwareError>;
    /// Waits for an edge, at most for this time.
    fn wait(&mut self, timeout: Duration) -> Result<Option<Edge>, HardwareError>;
    fn is_active(&mut self) -> Result<bool, HardwareError>;
}

/// Edges are seen from the moment it is armed.
pub(crate) fn open(pin: &Pin, edges: Edges) -> Result<Box<dyn Input>, HardwareError> {
    Ok(match &pin.chip {
        Chip::Gpio { name, offset } => Box::new(GpioInput::open(&name.find()?, *offset, pin, edges)?),
        Chip::Sim(path) => Box::new(SimInput { path: path.clone(), edges, read: 0 }),
    })
}

struct GpioInput {
    request: gpiocdev::Request,
    path: PathBuf,
    offset: u32,
}

impl GpioInput {
    fn open(path: &Path, offset: u32, pin: &Pin, edges: Edges) -> Result<Self, HardwareError> {
        let mut builder = gpiocdev::Request::builder();
        builder.on_chip(path).with_consumer(CONSUMER).with_line(offset).as_input();
        if pin.active_low {
            builder.as_active_low();
        }
        // With active_low these are the edges of the logical value.
        builder.with_edge_detection(match edges {
            Edges::Rising => gpiocdev::line::EdgeDetection::RisingEdge,
            Edges::Both => gpiocdev::line::EdgeDetection::BothEdges,
        });
        if pin.debounce > Span::ZERO {
            builder.with_debounce_period(pin.debounce.to_duration());
        }
        builder.with_bias(bias_of(pin.bias));
        let request = builder.request();
        request.map(|request| Self { request, path: path.into(), offset }).map_err(HardwareError::gpio(path))
    }

    fn fault(&self) -> impl Fn(gpiocdev::Error) -> HardwareError + '_ {
        HardwareError::gpio(&self.path)
    }
}

/// The bias that the kernel is asked for. `None` leaves the resistor as it was. A chip that has no resistor ignores the request.
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

    fn wait(&mut self, timeout: Duration) -> Result<Option<Edge>, HardwareError> {
        if !self.request.wait_edge_event(timeout).map_err(self.fault())? {
            return Ok(None);
        }
        let event = self.request.read_edge_event().map_err(self.fault())?;
        Ok(Some(match event.kind {
            gpiocdev::line::EdgeKind::Rising => Edge::Rise,
            gpiocdev::line::EdgeKind::Falling => Edge::Fall,
        }))
    }

    fn is_active(&mut self) -> Result<bool, HardwareError> {
        Ok(self.request.value(self.offset).map_err(self.fault())? == gpiocdev::line::Value::Active)
    }
}

/// A file that stands for an input: each line appended to it is an edge. Its text is `0` for the one to inactive. After `1` it is active; any
/// other text is an edge that is over at once.
struct SimInput {
    path: PathBuf,
    edges: Edges,
    /// Bytes that were looked at already.
    read: u64,
}

impl SimInput {
    /// The edge of the next whole line after the bytes that were looked at.
    fn look(&mut self) -> io::Result<Option<Edge>> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if file.metadata()?.len() < self.read {
            self.read = 0;
        }
        file.seek(SeekFrom::Start(self.read))?;
        let mut new = Vec::new();
        file.take(TAIL).read_to_end(&mut new)?;
        let Some(end) = new.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
        self.read += end as u64 + 1;
        Ok(Some(edge(&new[..end])))
    }
}

fn edge(line: &[u8]) -> Edge {
    if line == b"0" { Edge::Fall } else { Edge::Rise }
}

impl Input for SimInput {
    fn arm(&mut self) -> Result<(), HardwareError> {
        self.read = std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        Ok(())
    }

    fn wait(&mut self, timeout: Duration) -> Result<Option<Edge>, HardwareError> {
        let until = clock::now().boot + Span::millis(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX));
        loop {
            match self.look().map_err(HardwareError::io(&self.path))? {
                Some(Edge::Fall) if self.edges == Edges::Rising => continue,
                Some(edge) => return Ok(Some(edge)),
                None if clock::now().boot >= until => return Ok(None),
                None => std::thread::sleep(SIM_LOOK),
            }
        }
    }

    fn is_active(&mut self) -> Result<bool, HardwareError> {
        let text = match std::fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(HardwareError::io(&self.path)(error)),
        };
        let mut lines = text.rsplit(|&byte| byte == b'\n');
        // After the last end of a line there is nothing, or half of a line.
        lines.next();
        Ok(lines.next() == Some(b"1"))
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
        let mut input = SimInput { path: path.clone(), edges: Edges::Rising, read: 0 };
        let mut sees = || input.wait(NOW).expect("readable").is_some();
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
        let mut input = SimInput { path: directory.path().join("sensor"), edges: Edges::Rising, read: 0 };
        let before = clock::now().boot;
        assert_eq!(input.wait(Duration::from_millis(30)).expect("readable"), None);
        assert!(clock::now().boot - before >= Span::millis(30));
    }

    #[test]
    fn a_button_has_two_edges_and_a_sensor_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("button");
        for (edges, wanted) in [
            (Edges::Both, [Some(Edge::Rise), Some(Edge::Fall), Some(Edge::Rise), None]),
            (Edges::Rising, [Some(Edge::Rise), Some(Edge::Rise), None, None]),
        ] {
            let mut input = SimInput { path: path.clone(), edges, read: 0 };
            for (text, is_active) in [("", false), ("1\n", true), ("1\n0\n", false), ("1\n0\n1\n", true), ("1\n0\n1\n0", true)] {
                std::fs::write(&path, text).expect("written");
                assert_eq!(input.is_active().expect("readable"), is_active, "{text:?}");
            }
            assert_eq!([(); 4].map(|()| input.wait(NOW).expect("readable")), wanted);
            std::fs::remove_file(&path).expect("removed");
            assert!(!input.is_active().expect("it is not there"));
        }
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
