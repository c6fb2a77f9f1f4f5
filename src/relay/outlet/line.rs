//! A line that is driven by pulses, with a sensor that sees the item fall. It is a line of a GPIO chip, or a file that
//! stands for one.
//!
//! It is active only inside a `Pulse`. The end of the pulse, however it comes, sets it inactive.

mod eye;
mod file;
mod gpio;
pub mod pulses;

use super::{Ending, Job, LateSign, Outlet, OutletKind, STEP, Settings, Stop};
use crate::pin::{self, Chip, HardwareError, Pin, check_chip};
use crate::settings::SETTINGS;
use eye::{Eye, SharedEye};
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
/// A hand that takes the goods before out of the chute gets this time. Then its beam is broken.
const FREE_WITHIN: Span = Span::secs(1);

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
    /// How long it waits after that for goods that are late; 0: not at all.
    pub late_within: Span,
}

impl Sensor {
    /// The longest time that it adds to a drive.
    fn takes(&self) -> Span {
        Span(FREE_WITHIN.0 + self.within.0 + self.late_within.0)
    }
}

impl PulsedLine {
    /// A line that gives a single pulse.
    #[must_use]
    pub const fn single(pin: Pin, on: Span) -> Self {
        Self { pin, drive: Drive::Single { on }, sensor: None }
    }

    /// The longest time that its sensor adds to a drive, in milliseconds.
    fn sensor_takes(&self) -> i64 {
        self.sensor.as_ref().map_or(0, |sensor| sensor.takes().0)
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
            Some(Sensor { pin, within, late_within }) => {
                Some(Watch { line: name.into(), eye: SharedEye::hold(pin)?, within: *within, late_within: *late_within })
            }
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
        Ok(Span(self.drive.pulses(amount)?.length().0.saturating_add(self.sensor_takes())))
    }

    fn limits(&self, min: Rupiah) -> Limits {
        match self.drive {
            Drive::Single { .. } => Limits { min, step: None, max: None },
            Drive::PerPulse { rupiah, .. } => {
                let most = u64::try_from((DRIVE_MAX.0 - self.sensor_takes()) / self.drive.least().0).unwrap_or(0);
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
        Ok(Box::new(Delivers { drive: self.drive, hardware: self.take(name)?, was_active: false }))
    }

    fn check(&self) -> Result<(), HardwareError> {
        pin::check(&self.pin.chip)
    }

    fn held(&self) -> serde_json::Value {
        let Pin { chip, active_low, .. } = &self.pin;
        serde_json::to_value(Held { chip: chip.clone(), active_low: *active_low }).unwrap_or_default()
    }

    fn is_looked_at(&self) -> bool {
        self.sensor.is_some()
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
    late_within_ms: Option<i64>,
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
    if line.drive.least().0 + line.sensor_takes() > DRIVE_MAX.0 {
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
        let late = number(SETTINGS, "line.sensor.late_within_ms");
        let late = checker.integer(self.late_within_ms, late.usual, late.range(), &format!("{at}.late_within_ms"));
        let Self { chip, offset, active_low, bias, debounce_ms, within_ms: _, late_within_ms: _ } = self;
        let input = pin::WrittenInput { chip, offset, active_low, bias, debounce_ms };
        let pin = input.check(checker, at, SENSOR_DEBOUNCE_MS);
        Some(Sensor { pin: pin?, within: Span::millis(within), late_within: Span::millis(late) })
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
    /// Whether its sensor was active when it was looked at last.
    was_active: bool,
}

impl Outlet for Delivers {
    fn deliver(&mut self, job: &Job, stop: &Stop<'_>, unseen: &dyn Fn()) -> (Ending, Option<HardwareError>) {
        match self.drive.pulses(job.amount) {
            Ok(pulses) => self.hardware.drive(pulses, stop, unseen),
            Err(refused) => (Ending::not_driven(refused), None),
        }
    }

    fn look(&mut self) -> Result<Option<LateSign>, HardwareError> {
        let Some(watch) = &self.hardware.sensor else { return Ok(None) };
        let Some(mut eye) = watch.eye.try_lock() else { return Ok(None) };
        let is_active = eye.is_active()?;
        if std::mem::replace(&mut self.was_active, is_active) && is_active {
            return Err(eye.active());
        }
        eye.late_sign(&watch.line)
    }
}

/// A line, inactive, with its sensor.
struct Hardware {
    output: Box<dyn Output>,
    sensor: Option<Watch>,
}

/// The sensor of a line, which other lines may have, too.
struct Watch {
    /// The line's name.
    line: String,
    eye: SharedEye,
    within: Span,
    late_within: Span,
}

impl Hardware {
    /// Gives the pulses and waits for the sensor, unless it is stopped. No other line looks through the sensor meanwhile. An error is one of
    /// the hardware, which must then be taken anew.
    fn drive(&mut self, pulses: Pulses, stop: &Stop<'_>, unseen: &dyn Fn()) -> (Ending, Option<HardwareError>) {
        let Some(watch) = &self.sensor else {
            return give(self.output.as_mut(), pulses, None, stop).map_or_else(|end| end, |_| (Ending::dispensed("driven".into()), None));
        };
        let mut eye = watch.eye.lock();
        match make_ready(&mut eye, stop) {
            Ok(Waited::Elapsed) => {}
            Ok(Waited::Stopped) => return (Ending::not_driven("stopped before it began"), None),
            Err(error) => return (Ending::not_driven(&error), Some(error)),
        }
        match give(self.output.as_mut(), pulses, Some(&mut eye), stop) {
            Ok(true) => (seen_in_time(), None),
            Ok(false) => watch.await_goods(&mut eye, stop, unseen),
            Err(end) => end,
        }
    }
}

/// Forgets what the sensor saw before. A broken beam would give no edge, so nothing is driven before it is free.
fn make_ready(eye: &mut Eye, stop: &Stop<'_>) -> Result<Waited, HardwareError> {
    let until = clock::now().boot + FREE_WITHIN;
    loop {
        eye.arm()?;
        if !eye.is_active()? {
            return Ok(Waited::Elapsed);
        }
        if clock::now().boot >= until {
            return Err(eye.active());
        }
        if stop.came_within(STEP) {
            return Ok(Waited::Stopped);
        }
    }
}

/// Gives the pulses, and tells whether the sensor saw something meanwhile. The error is how it ended before that.
fn give(
    output: &mut dyn Output,
    pulses: Pulses,
    mut eye: Option<&mut Eye>,
    stop: &Stop<'_>,
) -> Result<bool, (Ending, Option<HardwareError>)> {
    let mut seen = false;
    for number in 0..pulses.count {
        // An expander may have obeyed although its answer was lost.
        let pulse = Pulse::begin(output)
            .map_err(|error| (Ending::uncertain(format!("after {number} of {} pulses: {error}", pulses.count)), Some(error)))?;
        let waited = pause(pulses.on, eye.as_deref_mut(), &mut seen, stop);
        pulse.end().map_err(|error| (Ending::uncertain(format!("the line could not be set inactive: {error}")), Some(error)))?;
        let waited = waited.and_then(|waited| match waited {
            Waited::Stopped => Ok(Waited::Stopped),
            Waited::Elapsed => pause(pulses.off, eye.as_deref_mut(), &mut seen, stop),
        });
        match waited {
            Ok(Waited::Elapsed) => {}
            Ok(Waited::Stopped) if seen && number + 1 == pulses.count => {}
            Ok(Waited::Stopped) => return Err((Ending::uncertain("stopped while it was driven".into()), None)),
            Err(error) => return Err(blinded(error)),
        }
    }
    Ok(seen)
}

fn seen_in_time() -> Ending {
    Ending::dispensed("driven, and seen by the sensor".into())
}

fn blinded(error: HardwareError) -> (Ending, Option<HardwareError>) {
    (Ending::uncertain(format!("the sensor does not work: {error}")), Some(error))
}

impl Watch {
    /// Waits for goods that were not seen during the pulses. Nothing is said of the end before the time for late ones is over, too.
    fn await_goods(&self, eye: &mut Eye, stop: &Stop<'_>, unseen: &dyn Fn()) -> (Ending, Option<HardwareError>) {
        match await_edge(eye, self.within, stop) {
            Ok(Awaited::Seen) => return (seen_in_time(), None),
            Ok(Awaited::Stopped) => return stopped_unseen(),
            Ok(Awaited::Nothing) => {}
            Err(error) => return blinded(error),
        }
        let mut why = format!("the sensor saw nothing within {} ms", self.within.0);
        if self.late_within > Span::ZERO {
            unseen();
            match await_edge(eye, self.late_within, stop) {
                Ok(Awaited::Seen) => return (Ending::dispensed("driven, and seen by the sensor: it came late".into()), None),
                Ok(Awaited::Stopped) => return stopped_unseen(),
                Ok(Awaited::Nothing) => {}
                Err(error) => return blinded(error),
            }
            why = format!("{why}, and nothing late within {} ms more", self.late_within.0);
        }
        eye.missed(&self.line);
        (Ending::failed(why), None)
    }
}

fn stopped_unseen() -> (Ending, Option<HardwareError>) {
    (Ending::uncertain("stopped before the sensor saw anything".into()), None)
}

enum Awaited {
    Seen,
    Nothing,
    Stopped,
}

fn await_edge(eye: &mut Eye, within: Span, stop: &Stop<'_>) -> Result<Awaited, HardwareError> {
    let until = clock::now().boot + within;
    let mut seen = false;
    while !seen {
        let left = until - clock::now().boot;
        if left <= Span::ZERO {
            return Ok(Awaited::Nothing);
        }
        if let Waited::Stopped = pause(left.min(STEP), Some(eye), &mut seen, stop)? {
            return Ok(Awaited::Stopped);
        }
    }
    Ok(Awaited::Seen)
}

enum Waited {
    Elapsed,
    Stopped,
}

/// Lets time pass and looks at the sensor until it has seen something. A stop ends it at once.
fn pause(span: Span, eye: Option<&mut Eye>, seen: &mut bool, stop: &Stop<'_>) -> Result<Waited, HardwareError> {
    let until = clock::now().boot + span + BEGUN;
    if let Some(eye) = eye {
        while !*seen {
            if stop.came() {
                return Ok(Waited::Stopped);
            }
            let left = until - clock::now().boot;
            if left <= Span::ZERO {
                return Ok(Waited::Elapsed);
            }
            *seen = eye.wait(left.min(STEP).to_duration())?.is_some();
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
