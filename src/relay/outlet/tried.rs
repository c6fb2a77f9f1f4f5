//! An outlet only for tests of the seam: a dispenser that talks over a terminal.
//!
//! It gets `VEND <item> <amount>`, and answers `OK` or `FAIL <why>`; `STOP` brings it to rest.

use super::{Ending, Job, Outlet, OutletKind, STEP, Settings, Stop};
use crate::pin::HardwareError;
use qris_core::order::ledger::LedgerRefusal;
use qris_core::order::money::Rupiah;
use qris_core::order::time::Span;
use qris_host::clock;
use qris_host::config::{Checker, OtherKeys};
use rustix::fs::OFlags;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const KIND: OutletKind = OutletKind { key: KEY, read, make_safe };
const KEY: &str = "terminal";
/// The longest answer, in bytes.
const ANSWER_MAX: usize = 256;

/// Its keys as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTerminal {
    terminal: PathBuf,
    within_ms: Option<i64>,
}

fn read(rest: OtherKeys<'_>, checker: &mut Checker<'_>) -> Option<Arc<dyn Settings>> {
    let at = rest.at().to_owned();
    let WrittenTerminal { terminal: path, within_ms } = rest.read(checker)?;
    if !path.is_absolute() {
        checker.fault(&format!("{at}.{KEY}"), "must be an absolute path");
    }
    let within = Span::millis(checker.integer(within_ms, 30_000, 1..=120_000, &format!("{at}.within_ms")));
    Some(Arc::new(Tried { path, within }))
}

#[derive(Debug)]
struct Tried {
    path: PathBuf,
    /// It answers within this time.
    within: Span,
}

impl Settings for Tried {
    fn key(&self) -> &'static str {
        KEY
    }

    fn takes(&self, _amount: Rupiah) -> Result<Span, LedgerRefusal> {
        Ok(self.within)
    }

    fn open(&self, _name: &str) -> Result<Box<dyn Outlet>, HardwareError> {
        Ok(Box::new(Talks { port: Port::open(&self.path)?, within: self.within }))
    }

    fn held(&self) -> serde_json::Value {
        serde_json::json!(Held { terminal: self.path.clone() })
    }

    fn device(&self) -> Option<&Path> {
        Some(&self.path)
    }
}

#[derive(Serialize, Deserialize)]
struct Held {
    terminal: PathBuf,
}

fn make_safe(_name: &str, held: serde_json::Value) -> Result<(), HardwareError> {
    let Held { terminal } = serde_json::from_value(held).map_err(|why| HardwareError::List(why.to_string()))?;
    Port::open(&terminal).map(drop)
}

struct Talks {
    port: Port,
    within: Span,
}

impl Outlet for Talks {
    fn deliver(&mut self, job: &Job, stop: &Stop<'_>, _unseen: &dyn Fn()) -> (Ending, Option<HardwareError>) {
        // An answer to an earlier delivery is not an answer to this one.
        if let Err(error) = self.port.forget() {
            return (Ending::not_driven(&error), Some(error));
        }
        // From here on it is told to stop, whatever ends this delivery.
        let mut vending = Vending { port: &mut self.port, is_over: false };
        let answer = vending.ask(job, self.within, stop);
        match answer {
            Ok(TerminalAnswer::Ok) => (Ending::dispensed("told so".into()), None),
            Ok(TerminalAnswer::Fail(why)) => (Ending::failed(why), None),
            Ok(TerminalAnswer::None(why)) => (Ending::uncertain(why.into()), None),
            Err(error) => (Ending::uncertain(error.to_string()), Some(error)),
        }
    }
}

enum TerminalAnswer {
    Ok,
    Fail(String),
    None(&'static str),
}

/// A delivery. If it ends without an answer, the dispenser is told to stop.
struct Vending<'a> {
    port: &'a mut Port,
    is_over: bool,
}

impl Vending<'_> {
    fn ask(&mut self, job: &Job, within: Span, stop: &Stop<'_>) -> Result<TerminalAnswer, HardwareError> {
        let until = clock::now().boot + within;
        self.port.send(&format!("VEND {} {}", job.item, job.amount.get()))?;
        loop {
            if let Some(line) = self.port.line()? {
                self.is_over = line == "OK" || line.starts_with("FAIL ");
                return Ok(match line.strip_prefix("FAIL ") {
                    Some(why) => TerminalAnswer::Fail(why.into()),
                    None if line == "OK" => TerminalAnswer::Ok,
                    None => TerminalAnswer::None("its answer cannot be understood"),
                });
            }
            let left = until - clock::now().boot;
            if left <= Span::ZERO {
                return Ok(TerminalAnswer::None("it did not answer in time"));
            }
            if stop.came_within(left.min(STEP)) {
                return Ok(TerminalAnswer::None("stopped before it answered"));
            }
        }
    }
}

impl Drop for Vending<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            // The error that led here is told. This is the last that can be done about it.
            drop(self.port.send("STOP"));
        }
    }
}

struct Port {
    path: PathBuf,
    file: File,
    read: Vec<u8>,
}

impl Port {
    /// To open it is to tell it to stop.
    fn open(path: &Path) -> Result<Self, HardwareError> {
        let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
        let open = || -> io::Result<File> {
            let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
            let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
            let mut settings = tcgetattr(&file)?;
            settings.make_raw();
            tcsetattr(&file, OptionalActions::Now, &settings)?;
            Ok(file)
        };
        let mut port = Self { path: path.into(), file: open().map_err(HardwareError::io(path))?, read: Vec::new() };
        port.send("STOP")?;
        Ok(port)
    }

    fn send(&mut self, line: &str) -> Result<(), HardwareError> {
        self.file.write_all(format!("{line}\n").as_bytes()).map_err(HardwareError::io(&self.path))
    }

    fn forget(&mut self) -> Result<(), HardwareError> {
        while self.line()?.is_some() {}
        self.read.clear();
        Ok(())
    }

    /// A whole line, if one has come.
    fn line(&mut self) -> Result<Option<String>, HardwareError> {
        let mut bytes = [0; ANSWER_MAX];
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            let told = match self.file.read(&mut bytes) {
                Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) if self.read.len() > ANSWER_MAX => Err(io::Error::other("its answer is too long")),
                Ok(count) => Ok(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => Err(error),
            };
            self.read.extend(told.map_err(HardwareError::io(&self.path))?);
        }
    }
}

mod tests;
