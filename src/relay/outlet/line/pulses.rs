//! How a line is driven: one pulse whatever the amount, or one pulse for each part of the amount, as coin
//! acceptors give them.

use super::texts;
use crate::settings::SETTINGS;
use qris_core::order::ledger::LedgerRefusal;
use qris_core::order::money::Rupiah;
use qris_core::order::time::Span;
use qris_host::config::Checker;
use qris_host::config::settings::{Whole, number};

/// How a line is driven for an amount.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drive {
    /// One pulse, whatever the amount.
    Single {
        /// How long the line is active.
        on: Span,
    },
    /// One pulse for each part of the amount.
    PerPulse {
        /// The rupiah that one pulse stands for.
        rupiah: Rupiah,
        /// How long the line is active for each.
        on: Span,
        /// How long it is inactive after each.
        off: Span,
    },
}

/// The pulses for one order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pulses {
    /// How many.
    pub count: u32,
    /// How long the line is active for each.
    pub on: Span,
    /// How long it is inactive after each.
    pub off: Span,
}

impl Drive {
    /// The pulses for an amount.
    ///
    /// # Errors
    /// The amount is no multiple, or there are too many pulses.
    pub fn pulses(&self, amount: Rupiah) -> Result<Pulses, LedgerRefusal> {
        match *self {
            Self::Single { on } => Ok(Pulses { count: 1, on, off: Span::ZERO }),
            Self::PerPulse { rupiah, on, off } => {
                if !amount.get().is_multiple_of(rupiah.get()) {
                    return Err(LedgerRefusal::NotMultiple(rupiah));
                }
                let count = u32::try_from(amount.get() / rupiah.get()).map_err(|_| LedgerRefusal::TooLong)?;
                Ok(Pulses { count, on, off })
            }
        }
    }

    /// The shortest time that it takes: one pulse, with its pause where there are several.
    pub(super) const fn least(&self) -> Span {
        match *self {
            Self::Single { on } => on,
            Self::PerPulse { on, off, .. } => Span(on.0 + off.0),
        }
    }
}

impl Pulses {
    /// The time from the first edge until the next order may begin.
    #[must_use]
    pub const fn length(&self) -> Span {
        Span(self.on.0.saturating_add(self.off.0).saturating_mul(self.count as i64))
    }
}

pub(super) struct WrittenPulses {
    pub(super) pulse_ms: Option<i64>,
    pub(super) rupiah_per_pulse: Option<i64>,
    pub(super) on_ms: Option<i64>,
    pub(super) off_ms: Option<i64>,
}

impl WrittenPulses {
    pub(super) fn check(self, checker: &mut Checker<'_>, at: &str) -> Option<Drive> {
        let key = |name: &str| format!("{at}.{name}");
        match (self.pulse_ms, self.rupiah_per_pulse) {
            (Some(on), None) => {
                for (name, value) in [("on_ms", self.on_ms), ("off_ms", self.off_ms)] {
                    if value.is_some() {
                        checker.fault(&key(name), texts().not_with_single);
                    }
                }
                let on = checker.integer(Some(on), 1, number(SETTINGS, "line.pulse_ms").range(), &key("pulse_ms"));
                Some(Drive::Single { on: Span::millis(on) })
            }
            (None, Some(rupiah)) => {
                let rupiah = checker.take(Rupiah::new(u64::try_from(rupiah).unwrap_or(0)), &key("rupiah_per_pulse"));
                let mut span = |value, name: &str, setting: Whole| {
                    let value = checker.required(value, &key(name));
                    Span::millis(checker.integer(value, setting.usual, setting.range(), &key(name)))
                };
                let on = span(self.on_ms, "on_ms", number(SETTINGS, "line.on_ms"));
                let off = span(self.off_ms, "off_ms", number(SETTINGS, "line.off_ms"));
                rupiah.map(|rupiah| Drive::PerPulse { rupiah, on, off })
            }
            (None, None) => {
                checker.fault(&key("pulse_ms"), texts().no_drive);
                None
            }
            (Some(_), Some(_)) => {
                checker.fault(&key("pulse_ms"), texts().two_drives);
                None
            }
        }
    }
}
