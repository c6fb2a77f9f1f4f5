//! A slot of a vending machine's own board: the serial board of "VMC – Upper computer". The board has the motors and the drop sensor.
//!
//! Nothing stops a motor that turns. So a job that nobody waits for any more is uncertain, and what the board says of it later is news.

#[cfg(test)]
mod board;
mod frame;
mod port;
mod talk;

use super::{Ending, Job, LateSign, Outlet, OutletKind, STEP, Settings, Stop};
use crate::pin::HardwareError;
use crate::settings::SETTINGS;
use port::Port;
use qris_core::order::ledger::LedgerRefusal;
use qris_core::order::money::Rupiah;
use qris_core::order::time::Span;
use qris_host::clock;
use qris_host::config::settings::number;
use qris_host::config::{Checker, OtherKeys};
use qris_host::texts;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use talk::{BoardStock, Slot};

pub(super) const KIND: OutletKind = OutletKind { key: KEY, read, make_safe };
const KEY: &str = "port";

texts! {
    absolute: "harus path absolut", "must be an absolute path";
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSlot {
    port: PathBuf,
    slot: Option<i64>,
    within_s: Option<i64>,
    board_stock: Option<String>,
}

fn read(rest: OtherKeys<'_>, checker: &mut Checker<'_>) -> Option<Arc<dyn Settings>> {
    let at = rest.at().to_owned();
    let WrittenSlot { port: path, slot, within_s, board_stock } = rest.read(checker)?;
    if !path.is_absolute() {
        checker.fault(&format!("{at}.{KEY}"), texts().absolute);
    }
    let key = format!("{at}.slot");
    let slot = checker.required(slot, &key)?;
    let slot = Slot::new(checker.integer(Some(slot), 1, number(SETTINGS, "line.slot").range(), &key));
    let within = number(SETTINGS, "line.within_s");
    let within = Span::secs(checker.integer(within_s, within.usual, within.range(), &format!("{at}.within_s")));
    let words = [("ignore", BoardStock::Ignore), ("count", BoardStock::Count)];
    let stock = checker.word(board_stock.as_deref(), BoardStock::Ignore, &words, &format!("{at}.board_stock"));
    Some(Arc::new(BoardSlot { path, slot: slot?, within, stock: stock?, port: OnceLock::new() }))
}

#[derive(Debug)]
struct BoardSlot {
    path: PathBuf,
    slot: Slot,
    /// The board tells the end of a job within this time.
    within: Span,
    stock: BoardStock,
    /// Held from the first time on that the line is opened.
    port: OnceLock<Arc<Port>>,
}

impl Settings for BoardSlot {
    fn key(&self) -> &'static str {
        KEY
    }

    fn takes(&self, _amount: Rupiah) -> Result<Span, LedgerRefusal> {
        Ok(self.within)
    }

    fn open(&self, _name: &str) -> Result<Box<dyn Outlet>, HardwareError> {
        let port = match self.port.get() {
            Some(port) => port,
            None => {
                let held = Port::hold(&self.path)?;
                self.port.get_or_init(|| held)
            }
        };
        port.check()?;
        Ok(Box::new(Vends { port: Arc::clone(port), slot: self.slot, within: self.within }))
    }

    fn ready(&self) -> Option<Result<(), String>> {
        match self.port.get() {
            Some(port) => port.talk().ready(self.slot, self.stock, clock::now().boot),
            None => Some(Err("its port is not open".into())),
        }
    }

    fn looked(&self) {
        if let Some(port) = self.port.get() {
            port.talk().clear();
        }
    }

    fn held(&self) -> serde_json::Value {
        serde_json::json!({ KEY: self.path })
    }

    fn device(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn part(&self) -> Option<u16> {
        Some(self.slot.get())
    }

    fn is_looked_at(&self) -> bool {
        true
    }
}

/// Nothing can be brought to rest: a motor ends its turn by itself. So nothing is sent, and a port that is away is no fault.
fn make_safe(_name: &str, _held: serde_json::Value) -> Result<(), HardwareError> {
    Ok(())
}

struct Vends {
    port: Arc<Port>,
    slot: Slot,
    within: Span,
}

impl Outlet for Vends {
    fn deliver(&mut self, _job: &Job, stop: &Stop<'_>, _unseen: &dyn Fn()) -> (Ending, Option<HardwareError>) {
        let now = clock::now().boot;
        let begun = self.port.talk().begin(self.slot, now + self.within, now);
        if let Err(why) = begun {
            return (Ending::not_driven(why), self.port.check().err());
        }
        // It is given up also by a panic.
        let waits = Waits(&self.port);
        loop {
            let end = waits.0.talk().take_end(clock::now().boot);
            if let Some(ending) = end {
                return (ending, self.port.check().err());
            }
            if stop.came_within(STEP) {
                return (waits.0.talk().stop(clock::now().boot), None);
            }
        }
    }

    fn look(&mut self) -> Result<Option<LateSign>, HardwareError> {
        let came = self.port.talk().came_late(self.slot);
        if came {
            return Ok(Some(LateSign::Came));
        }
        self.port.check().map(|()| None)
    }
}

struct Waits<'a>(&'a Port);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        // After an end it does nothing.
        self.0.talk().abandon(clock::now().boot);
    }
}

#[cfg(test)]
mod tests;
