//! A line that is driven by pulses, with a sensor that sees the item fall. It is a line of a GPIO chip, or a file that
//! stands for one.
//!
//! It is active only inside a `Pulse`. The end of the pulse, however it comes, sets it inactive.

mod file;
mod gpio;
pub mod pulses;

use super::{Ending, Job, Outlet, OutletKind, STEP, Settings, Stop};
use crate::input::{self, Edges, Input};
use crate::pin::{self, Chip, HardwareError, Pin, check_chip};
use crate::settings::SETTINGS;
use file::SimLine;
use gpio::GpioLine;
use pulses::{Drive, Pulses};
use qris_core::order::ledger::{DRIVE_MAX, LedgerRefusal, Limits};
use qris_core::order::money::Rupiah;
use qris_core::order::time::Span;
use qris_host::clock;
use qris_host::config::settings::number;
use qris_host::config::{Checker, OtherKeys};
use qris_host::speech::fill;
use qris_host::texts;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

texts! {
    too_long: "relai aktif dan sensor bersama-sama boleh memakan paling banyak {0} detik", "pulse and sensor together may take at most {0} s";
    not_with_single: "untuk rupiah_per_pulse, bukan untuk pulse_ms", "belongs to rupiah_per_pulse, not to pulse_ms";
    no_drive: "belum diisi: tulis, atau tulis rupiah_per_pulse dengan on_ms dan off_ms", "is missing: write it, or rupiah_per_pulse with on_ms and off_ms";
    two_drives: "tidak bisa ada bersama rupiah_per_pulse", "cannot stand beside rupiah_per_pulse";
}

pub(super) const KIND: OutletKind = OutletKind { key: KEY, read, make_safe };
const KEY: &str = "chip";
/// A spark of the relay, as it pulls in, is shorter. An item that falls through a light barrier is seen for milliseconds.
const SENSOR_DEBOUNCE_MS: i64 = 1;
/// The clock tells whole milliseconds, and nobody knows how much of the current one is left. So one is added: a board that
/// counts pulses would miss one that is too short.
const BEGUN: Span = Span::millis(1);

/// A line as `relay.toml` has it.
#[derive(Debug, Clone)]
pub struct PulsedLine {
    /// The output.
    pub pin: Pin,
    /// How the line is driven.
    pub drive: Drive,
    /// The sensor that sees the item fall.
    pub sensor: Option<Sensor>,
}

/// A drop sensor.
#[derive(Debug, Clone)]
pub struct Sensor {
    /// The input.
    pub pin: Pin,
    /// How long the service waits for it after the last pulse.
    pub within: Span,
}

impl PulsedLine {
    /// A line that gives a single pulse.
    #[must_use]
    pub const fn single(pin: Pin, on: Span) -> Self {
        Self { pin, drive: Drive::Single { on }, sensor: None }
    }

    /// How long it waits for its sensor, in milliseconds.
    fn sensor_within(&self) -> i64 {
        self.sensor.as_ref().map_or(0, |sensor| sensor.within.0)
    }

    /// The same line, driven by the other level.
    #[must_use]
    pub fn turned_over(&self) -> Self {
        let mut other = self.clone();
        other.pin.active_low = !other.pin.active_low;
        other
    }

    fn take(&self, name: &str) -> Result<Hardware, HardwareError> {
        let output = open_output(name, &self.pin.chip, self.pin.active_low)?;
        let sensor = match &self.sensor {
            Some(sensor) => Some((input::open(&sensor.pin, Edges::Rising)?, sensor.within)),
            None => None,
        };
        Ok(Hardware { output, sensor })
    }
}

impl Settings for PulsedLine {
    fn key(&self) -> &'static str {
        KEY
    }

    fn takes(&self, amount: Rupiah) -> Result<Span, LedgerRefusal> {
        Ok(Span(self.drive.pulses(amount)?.length().0.saturating_add(self.sensor_within())))
    }

    fn limits(&self, min: Rupiah) -> Limits {
        match self.drive {
            Drive::Single { .. } => Limits { min, step: None, max: None },
            Drive::PerPulse { rupiah, .. } => {
                let most = u64::try_from((DRIVE_MAX.0 - self.sensor_within()) / self.drive.least().0).unwrap_or(0);
                Limits { min, step: Some(rupiah), max: Rupiah::new(most.saturating_mul(rupiah.get())).ok() }
            }
        }
    }

    fn least(&self, min_amount: Rupiah) -> Rupiah {
        match self.drive {
            Drive::Single { .. } => min_amount,
            Drive::PerPulse { rupiah, .. } => rupiah,
        }
    }

    /// A line that could be taken was set inactive, even if its sensor could not be taken.
    fn open(&self, name: &str) -> Result<Box<dyn Outlet>, HardwareError> {
        Ok(Box::new(Delivers { drive: self.drive, hardware: self.take(name)? }))
    }

    fn check(&self) -> Result<(), HardwareError> {
        pin::check(&self.pin.chip)
    }

    fn held(&self) -> serde_json::Value {
        let Pin { chip, active_low, .. } = &self.pin;
        serde_json::to_value(Held { chip: chip.clone(), active_low: *active_low }).unwrap_or_default()
    }

    fn line(&self) -> Option<&PulsedLine> {
        Some(self)
    }
}

/// A line: only what is needed to set it inactive.
#[derive(Serialize, Deserialize)]
struct Held {
    chip: Chip,
    active_low: bool,
}

fn make_safe(name: &str, held: serde_json::Value) -> Result<(), HardwareError> {
    let Held { chip, active_low } = serde_json::from_value(held).map_err(|why| HardwareError::List(why.to_string()))?;
    open_output(name, &chip, active_low).map(drop)
}

/// The keys of a `[[line]]` that belong to this outlet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLine {
    chip: Option<String>,
    offset: Option<i64>,
    active_low: Option<bool>,
    pulse_ms: Option<i64>,
    rupiah_per_pulse: Option<i64>,
    on_ms: Option<i64>,
    off_ms: Option<i64>,
    sensor: Option<WrittenSensor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSensor {
    chip: Option<String>,
    offset: Option<i64>,
    active_low: Option<bool>,
    bias: Option<String>,
    debounce_ms: Option<i64>,
    within_ms: Option<i64>,
}

fn read(rest: OtherKeys<'_>, checker: &mut Checker<'_>) -> Option<Arc<dyn Settings>> {
    let at = rest.at().to_owned();
    let written: WrittenLine = rest.read(checker)?;
    let WrittenLine { chip, offset, active_low, pulse_ms, rupiah_per_pulse, on_ms, off_ms, sensor } = written;
    let chip = check_chip(checker, chip, offset, &at);
    let drive = pulses::WrittenPulses { pulse_ms, rupiah_per_pulse, on_ms, off_ms }.check(checker, &at);
    // Outer: is it well? Inner: is there one?
    let sensor = match sensor {
        None => Some(None),
        Some(sensor) => sensor.check(checker, &format!("{at}.sensor")).map(Some),
    };
    let line = PulsedLine { pin: Pin::of(chip?, active_low.unwrap_or(false)), drive: drive?, sensor: sensor? };
    if line.drive.least().0 + line.sensor.as_ref().map_or(0, |sensor| sensor.within.0) > DRIVE_MAX.0 {
        let name = if line.sensor.is_some() { "sensor" } else { "on_ms" };
        checker.fault(&format!("{at}.{name}"), fill(texts().too_long, &[&DRIVE_MAX.as_secs_up()]));
    }
    Some(Arc::new(line))
}

impl WrittenSensor {
    fn check(self, checker: &mut Checker<'_>, at: &str) -> Option<Sensor> {
        let key = format!("{at}.within_ms");
        let within = checker.required(self.within_ms, &key);
        let within = checker.integer(within, 1, number(SETTINGS, "line.sensor.within_ms").range(), &key);
        let Self { chip, offset, active_low, bias, debounce_ms, within_ms: _ } = self;
        let input = pin::WrittenInput { chip, offset, active_low, bias, debounce_ms };
        let pin = input.check(checker, at, SENSOR_DEBOUNCE_MS);
        Some(Sensor { pin: pin?, within: Span::millis(within) })
    }
}

trait Output: Send {
    fn set(&mut self, active: bool) -> Result<(), HardwareError>;
}

/// To open a line is to set it inactive.
fn open_output(name: &str, chip: &Chip, active_low: bool) -> Result<Box<dyn Output>, HardwareError> {
    Ok(match chip {
        Chip::Gpio { name, offset } => Box::new(GpioLine::open(&name.find()?, *offset, active_low)?),
        Chip::Sim(path) => Box::new(SimLine::open(path, name)?),
    })
}

struct Delivers {
    drive: Drive,
    hardware: Hardware,
}

impl Outlet for Delivers {
    fn deliver(&mut self, job: &Job, stop: &Stop<'_>) -> (Ending, Option<HardwareError>) {
        match self.drive.pulses(job.amount) {
            Ok(pulses) => self.hardware.drive(pulses, stop),
            Err(refused) => (Ending::not_driven(refused), None),
        }
    }
}

/// A line, inactive, with its sensor.
struct Hardware {
    output: Box<dyn Output>,
    sensor: Option<(Box<dyn Input>, Span)>,
}

impl Hardware {
    /// Gives the pulses and waits for the sensor, unless it is stopped. An error is one of the hardware, which must then be
    /// taken anew.
    fn drive(&mut self, pulses: Pulses, stop: &Stop<'_>) -> (Ending, Option<HardwareError>) {
        if let Some((sensor, _)) = &mut self.sensor
            && let Err(error) = sensor.arm()
        {
            return (Ending::not_driven(format_args!("the sensor does not work: {error}")), Some(error));
        }
        let mut seen = false;
        for number in 0..pulses.count {
            let pulse = match Pulse::begin(self.output.as_mut()) {
                Ok(pulse) => pulse,
                // An expander may have obeyed although its answer was lost.
                Err(error) => {
                    return (Ending::uncertain(format!("after {number} of {} pulses: {error}", pulses.count)), Some(error));
                }
            };
            let waited = pause(pulses.on, self.sensor.as_mut(), &mut seen, stop);
            if let Err(error) = pulse.end() {
                return (Ending::uncertain(format!("the line could not be set inactive: {error}")), Some(error));
            }
            let waited = waited.and_then(|waited| match waited {
                Waited::Stopped => Ok(Waited::Stopped),
                Waited::Elapsed => pause(pulses.off, self.sensor.as_mut(), &mut seen, stop),
            });
            match waited {
                Ok(Waited::Elapsed) => {}
                Ok(Waited::Stopped) if seen && number + 1 == pulses.count => {}
                Ok(Waited::Stopped) => return (Ending::uncertain("stopped while it was driven".into()), None),
                Err(error) => return (Ending::uncertain(format!("the sensor does not work: {error}")), Some(error)),
            }
        }
        self.await_sensor(seen, stop)
    }

    fn await_sensor(&mut self, mut seen: bool, stop: &Stop<'_>) -> (Ending, Option<HardwareError>) {
        let Some((_, within)) = &self.sensor else { return (Ending::dispensed("driven".into()), None) };
        let within = *within;
        let until = clock::now().boot + within;
        while !seen {
            let left = until - clock::now().boot;
            if left <= Span::ZERO {
                return (Ending::failed(format!("the sensor saw nothing within {} ms", within.0)), None);
            }
            match pause(left.min(STEP), self.sensor.as_mut(), &mut seen, stop) {
                Ok(Waited::Elapsed) => {}
                Ok(Waited::Stopped) => return (Ending::uncertain("stopped before the sensor saw anything".into()), None),
                Err(error) => return (Ending::uncertain(format!("the sensor does not work: {error}")), Some(error)),
            }
        }
        (Ending::dispensed("driven, and seen by the sensor".into()), None)
    }
}

enum Waited {
    Elapsed,
    Stopped,
}

/// Lets time pass and looks at the sensor until it has seen something. A stop ends it at once.
fn pause(span: Span, sensor: Option<&mut (Box<dyn Input>, Span)>, seen: &mut bool, stop: &Stop<'_>) -> Result<Waited, HardwareError> {
    let until = clock::now().boot + span + BEGUN;
    if let Some((sensor, _)) = sensor {
        while !*seen {
            if stop.came() {
                return Ok(Waited::Stopped);
            }
            let left = until - clock::now().boot;
            if left <= Span::ZERO {
                return Ok(Waited::Elapsed);
            }
            *seen = sensor.wait(left.min(STEP).to_duration())?.is_some();
        }
    }
    let left = (until - clock::now().boot).min(span);
    Ok(if stop.came_within(left) { Waited::Stopped } else { Waited::Elapsed })
}

/// An active line. It becomes inactive when this value is dropped, also after an error or a panic.
struct Pulse<'a> {
    line: Option<&'a mut dyn Output>,
}

impl<'a> Pulse<'a> {
    fn begin(line: &'a mut dyn Output) -> Result<Self, HardwareError> {
        // The guard comes first: a call that fails may have set the line active all the same.
        let mut pulse = Self { line: Some(line) };
        if let Some(line) = &mut pulse.line {
            line.set(true)?;
        }
        Ok(pulse)
    }

    fn end(mut self) -> Result<(), HardwareError> {
        self.line.take().map_or(Ok(()), |line| line.set(false))
    }
}

impl Drop for Pulse<'_> {
    fn drop(&mut self) {
        if let Some(line) = &mut self.line {
            // The error that led here is told. This is the last that can be done about it.
            drop(line.set(false));
        }
    }
}

#[cfg(test)]
mod tests;
