//! The drop sensors that this program holds.
//!
//! The kernel gives a pin to one owner. So the lines that have one sensor hold it together, and one of them at a time looks through it.

use crate::input::{self, Edge, Edges, Input};
use crate::pin::{Chip, HardwareError, Pin};
use qris_core::order::late_sign::LateSign;
use qris_core::order::time::{Boot, Span};
use qris_host::clock;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::time::Duration;

static HELD: Mutex<BTreeMap<Chip, Weak<Mutex<Eye>>>> = Mutex::new(BTreeMap::new());
/// What passes the sensor for so long after the end of a drive that gave nothing may be its goods.
const NEWS_FOR: Span = Span::secs(60);

#[derive(Clone)]
pub(super) struct SharedEye(Arc<Mutex<Eye>>);

pub(super) struct Eye {
    pin: Pin,
    /// `None`: it is opened before it is asked.
    input: Option<Box<dyn Input>>,
    /// Of the line with this name nothing came. Until then what passes may be its goods.
    missed: Option<(String, Boot)>,
}

impl SharedEye {
    /// Takes a sensor. Another line may hold it already.
    pub(super) fn hold(pin: &Pin) -> Result<Self, HardwareError> {
        let eye = {
            let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
            held.retain(|_, eye| eye.strong_count() > 0);
            let new = || Arc::new(Mutex::new(Eye { pin: pin.clone(), input: None, missed: None }));
            let eye = held.get(&pin.chip).and_then(Weak::upgrade).unwrap_or_else(new);
            held.insert(pin.chip.clone(), Arc::downgrade(&eye));
            Self(eye)
        };
        if eye.lock().is_active()? { Err(HardwareError::SensorActive { chip: pin.chip.clone() }) } else { Ok(eye) }
    }

    /// Waits until no other line looks through it.
    pub(super) fn lock(&self) -> MutexGuard<'_, Eye> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None`: another line looks through it.
    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, Eye>> {
        match self.0.try_lock() {
            Ok(eye) => Some(eye),
            Err(TryLockError::Poisoned(eye)) => Some(eye.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    #[cfg(test)]
    pub(super) fn of(input: Box<dyn Input>) -> Self {
        let pin = Pin::of(Chip::Sim("/nowhere".into()), false);
        Self(Arc::new(Mutex::new(Eye { pin, input: Some(input), missed: None })))
    }
}

impl Eye {
    /// After an error it is opened anew.
    fn ask<T>(&mut self, ask: impl FnOnce(&mut dyn Input) -> Result<T, HardwareError>) -> Result<T, HardwareError> {
        let input = match &mut self.input {
            Some(input) => input,
            none @ None => none.insert(input::open(&self.pin, Edges::Rising)?),
        };
        ask(input.as_mut()).inspect_err(|_| self.input = None)
    }

    /// Forgets what was seen until now.
    pub(super) fn arm(&mut self) -> Result<(), HardwareError> {
        self.missed = None;
        self.ask(|input| input.arm())
    }

    pub(super) fn wait(&mut self, timeout: Duration) -> Result<Option<Edge>, HardwareError> {
        self.ask(|input| input.wait(timeout))
    }

    pub(super) fn is_active(&mut self) -> Result<bool, HardwareError> {
        self.ask(|input| input.is_active())
    }

    pub(super) fn active(&self) -> HardwareError {
        HardwareError::SensorActive { chip: self.pin.chip.clone() }
    }

    /// Nothing came of this line.
    pub(super) fn missed(&mut self, line: &str) {
        self.missed = Some((line.into(), clock::now().boot + NEWS_FOR));
    }

    /// What passed since nothing came of this line. It is told once.
    pub(super) fn late_sign(&mut self, line: &str) -> Result<Option<LateSign>, HardwareError> {
        let is_awaited = self.missed.as_ref().is_some_and(|(missed, until)| missed == line && clock::now().boot < *until);
        if !is_awaited || self.wait(Duration::ZERO)?.is_none() {
            return Ok(None);
        }
        self.missed = None;
        Ok(Some(LateSign::Passed))
    }
}
