//! The times and limits of orders: `[orders]`.

use super::settings::SETTINGS;
use super::texts;
use crate::words::OrderSettings;
use qris_core::order::machine::Rules;
use qris_core::order::time::Span;
use qris_host::config::Checker;
use qris_host::config::settings::{Whole, number};
use qris_host::speech::fill;
use serde::Deserialize;

/// The latest time of a delivery, counted from the end of the longest time on the screen. The backend lets a person
/// refund an order without a report an hour after its payment. Nothing may be delivered after that.
const DELIVERED_BY_MAX: Span = Span::secs(2760);

const TIMEOUT: Whole = number(SETTINGS, "orders.timeout_s");
const PER_MINUTE: Whole = number(SETTINGS, "orders.orders_per_minute");
const CANCEL_WAIT: Whole = number(SETTINGS, "orders.cancel_wait_s");
const LATE_GRACE: Whole = number(SETTINGS, "orders.late_settlement_grace_s");
const DELIVER_WITHIN: Whole = number(SETTINGS, "orders.deliver_within_s");

pub(super) const DELIVER_WITHIN_MIN: Span = Span::secs(*DELIVER_WITHIN.range().start());

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct WrittenOrders {
    timeout_s: Option<i64>,
    orders_per_minute: Option<i64>,
    cancel_wait_s: Option<i64>,
    late_settlement_grace_s: Option<i64>,
    deliver_within_s: Option<i64>,
}

impl Default for OrderSettings {
    fn default() -> Self {
        let seconds = |setting: Whole| Span::secs(setting.usual);
        let rules = Rules { cancel_wait: seconds(CANCEL_WAIT), late_grace: seconds(LATE_GRACE), deliver_within: seconds(DELIVER_WITHIN) };
        Self { timeout: seconds(TIMEOUT), per_minute: usize::try_from(PER_MINUTE.usual).expect("small"), rules }
    }
}

impl WrittenOrders {
    /// What is not written is as `usual`.
    pub fn check(self, usual: &OrderSettings, checker: &mut Checker<'_>) -> OrderSettings {
        let seconds = |checker: &mut Checker<'_>, value, usual: Span, setting: Whole| {
            Span::secs(checker.integer(value, usual.0 / 1000, setting.range(), setting.key))
        };
        let timeout = seconds(checker, self.timeout_s, usual.timeout, TIMEOUT);
        let rules = Rules {
            cancel_wait: seconds(checker, self.cancel_wait_s, usual.rules.cancel_wait, CANCEL_WAIT),
            late_grace: seconds(checker, self.late_settlement_grace_s, usual.rules.late_grace, LATE_GRACE),
            deliver_within: seconds(checker, self.deliver_within_s, usual.rules.deliver_within, DELIVER_WITHIN),
        };
        if rules.late_grace.0 + rules.deliver_within.0 > DELIVERED_BY_MAX.0 {
            let why = fill(texts().deliver, &[&(DELIVERED_BY_MAX.0 / 1000)]);
            checker.fault(DELIVER_WITHIN.key, why);
        }
        let usual = i64::try_from(usual.per_minute).unwrap_or(0);
        let per_minute = checker.integer(self.orders_per_minute, usual, PER_MINUTE.range(), PER_MINUTE.key);
        OrderSettings { timeout, per_minute: usize::try_from(per_minute).unwrap_or(0), rules }
    }
}
