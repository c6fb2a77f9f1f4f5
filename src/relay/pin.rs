//! Pins: lines of GPIO chips, or files that stand for them, as `relay.toml` names them.

use crate::chip::{ChipName, NoChip};
use crate::settings::SETTINGS;
use qris_core::order::time::Span;
use qris_host::config::Checker;
use qris_host::config::settings::number;
use qris_host::texts;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

texts! {
    sim: "harus sim: dan path absolut", "must be sim: and an absolute path";
}

/// The kernel lists this name as the holder of a line.
pub const CONSUMER: &str = "qris-relayd";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    pub chip: Chip,
    /// Active is the low level.
    pub active_low: bool,
    /// How long an input must stand still.
    pub debounce: Span,
    pub bias: Bias,
}

/// A resistor inside the chip, at an input that nothing else holds while its switch is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bias {
    /// The resistor stays as the board, its firmware or its device tree left it.
    #[default]
    AsIs,
    /// To the supply: for a switch to ground.
    PullUp,
    /// To ground: for a switch to the supply.
    PullDown,
    /// None: there is a resistor outside.
    Disabled,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chip {
    Gpio {
        /// The chip's name, whatever its number is now.
        name: ChipName,
        /// From 0.
        offset: u32,
    },
    /// A file that stands for a line: each edge appends a line of text to it.
    Sim(PathBuf),
}

#[derive(Debug, thiserror::Error)]
pub enum HardwareError {
    #[error("GPIO {}: {why}", path.display())]
    Gpio {
        path: PathBuf,
        /// The words of the kernel or of the library.
        why: gpiocdev::Error,
    },
    #[error(transparent)]
    Chip(#[from] NoChip),
    /// Another key names the same pin by another name of its chip.
    #[error("line {offset} of {} is used by {other} already, by another name of that chip", path.display())]
    Twice {
        path: PathBuf,
        offset: u32,
        /// The other key.
        other: String,
    },
    /// Something is in a sensor's beam, or the sensor is broken. It has no edge any more.
    #[error("the sensor at {} is active before anything is driven: clear its beam", chip)]
    SensorActive { chip: Chip },
    /// A file that stands for a line, or another device.
    #[error("{}: {why}", path.display())]
    Io {
        path: PathBuf,
        /// The system's reason.
        why: io::Error,
    },
    /// Its entry in the list of held lines cannot be understood.
    #[error("the list of held lines: {0}")]
    List(String),
}

/// Makes a line an input and lets go of it: nobody drives it any more. A file that stands for a line is left alone. It fails above all
/// if somebody holds the line.
pub fn let_go(chip: &Chip) -> Result<(), HardwareError> {
    let Chip::Gpio { name, offset } = chip else { return Ok(()) };
    let path = name.find()?;
    let request = gpiocdev::Request::builder().on_chip(&path).with_consumer(CONSUMER).with_line(*offset).as_input().request();
    request.map(drop).map_err(HardwareError::gpio(&path))
}

/// Looks whether there is such a line: its chip can be opened and has it. Nothing is driven.
pub fn check(chip: &Chip) -> Result<(), HardwareError> {
    match chip {
        Chip::Gpio { name, offset } => {
            let path = name.find()?;
            let line = gpiocdev::Chip::from_path(&path).and_then(|chip| chip.line_info(*offset));
            line.map(drop).map_err(HardwareError::gpio(&path))
        }
        Chip::Sim(path) => {
            // The first edge makes the file.
            let directory = path.parent().unwrap_or(Path::new("/"));
            std::fs::metadata(directory).map(drop).map_err(HardwareError::io(directory))
        }
    }
}

impl fmt::Display for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gpio { name, offset } => write!(f, "line {offset} of {name}"),
            Self::Sim(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Chip {
    /// The GPIO chip of the line; none if the line is a file.
    #[must_use]
    pub const fn name(&self) -> Option<&ChipName> {
        match self {
            Self::Gpio { name, .. } => Some(name),
            Self::Sim(_) => None,
        }
    }
}

impl Pin {
    /// An output, or an input that is believed at once.
    #[must_use]
    pub const fn of(chip: Chip, active_low: bool) -> Self {
        Self { chip, active_low, debounce: Span::ZERO, bias: Bias::AsIs }
    }
}

impl HardwareError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |why| Self::Io { path: path.into(), why }
    }

    pub(crate) fn gpio(path: &Path) -> impl Fn(gpiocdev::Error) -> Self + '_ {
        |why| Self::Gpio { path: path.into(), why }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenInput {
    pub(crate) chip: Option<String>,
    pub(crate) offset: Option<i64>,
    pub(crate) active_low: Option<bool>,
    pub(crate) bias: Option<String>,
    pub(crate) debounce_ms: Option<i64>,
}

impl WrittenInput {
    /// An input that is believed after `debounce_ms`, unless the configuration says otherwise.
    pub(crate) fn check(self, checker: &mut Checker<'_>, at: &str, debounce_ms: i64) -> Option<Pin> {
        let chip = check_chip(checker, self.chip, self.offset, at);
        let bias = check_bias(checker, self.bias.as_deref(), &format!("{at}.bias"));
        let debounce =
            checker.integer(self.debounce_ms, debounce_ms, number(SETTINGS, "….debounce_ms").range(), &format!("{at}.debounce_ms"));
        Some(Pin { chip: chip?, active_low: self.active_low.unwrap_or(false), debounce: Span::millis(debounce), bias: bias? })
    }
}

/// Reads the place of a line; `at` is the key of the table that names it.
pub(crate) fn check_chip(checker: &mut Checker<'_>, chip: Option<String>, offset: Option<i64>, at: &str) -> Option<Chip> {
    let key = format!("{at}.chip");
    let chip = checker.required(chip, &key)?;
    if let Some(path) = chip.strip_prefix("sim:") {
        if !path.starts_with('/') {
            checker.fault(&key, texts().sim);
            return None;
        }
        return Some(Chip::Sim(path.into()));
    }
    let name = checker.take(ChipName::new(&chip), &key);
    let offset = checker.required(offset, &format!("{at}.offset"))?;
    let offset = u32::try_from(checker.integer(Some(offset), 0, number(SETTINGS, "line.offset").range(), &format!("{at}.offset")))
        .expect("0 to 1023");
    Some(Chip::Gpio { name: name?, offset })
}

fn check_bias(checker: &mut Checker<'_>, bias: Option<&str>, key: &str) -> Option<Bias> {
    let words = [("pull_up", Bias::PullUp), ("pull_down", Bias::PullDown), ("disabled", Bias::Disabled)];
    checker.word(bias, Bias::AsIs, &words, key)
}
