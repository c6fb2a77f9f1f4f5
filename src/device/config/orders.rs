//! The times and limits of orders: `[orders]`.

use qris_core::order::machine::Rules;
use qris_core::order::request::TIMEOUT_S;
use qris_core::order::time::Span;
use qris_host::config::Checker;
use serde::Deserialize;

/// The latest time of a delivery, counted from the end of the longest time on the screen. The backend lets a person
/// refund an order without a report an hour after its payment. Nothing may be delivered after that.
const DELIVERED_BY_MAX: Span = Span::secs(2760);

/// `[orders]` as it is written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct WrittenOrders {
    timeout_s: Option<i64>,
    orders_per_minute: Option<i64>,
    cancel_wait_s: Option<i64>,
    late_settlement_grace_s: Option<i64>,
    deliver_within_s: Option<i64>,
}

/// `[orders]`, checked.
#[derive(Clone, Debug)]
pub struct OrderSettings {
    /// How long a QR is shown if the request does not say.
    pub timeout: Span,
    /// Requests a minute; 0: no limit.
    pub per_minute: usize,
    /// The rules for orders.
    pub rules: Rules,
}

impl Default for OrderSettings {
    fn default() -> Self {
        let rules = Rules { cancel_wait: Span::secs(15), late_grace: Span::secs(120), deliver_within: Span::secs(600) };
        Self { timeout: Span::secs(120), per_minute: 10, rules }
    }
}

impl WrittenOrders {
    /// Checks the section. What is not written is as `usual`.
    pub fn check(self, usual: &OrderSettings, checker: &mut Checker<'_>) -> OrderSettings {
        let seconds = |checker: &mut Checker<'_>, value, usual: Span, range, key: &str| {
            Span::secs(checker.integer(value, usual.0 / 1000, range, key))
        };
        let timeout_range = i64::from(*TIMEOUT_S.start())..=i64::from(*TIMEOUT_S.end());
        let timeout = seconds(checker, self.timeout_s, usual.timeout, timeout_range, "orders.timeout_s");
        let rules = Rules {
            cancel_wait: seconds(checker, self.cancel_wait_s, usual.rules.cancel_wait, 1..=120, "orders.cancel_wait_s"),
            late_grace: seconds(checker, self.late_settlement_grace_s, usual.rules.late_grace, 0..=2700, "orders.late_settlement_grace_s"),
            deliver_within: seconds(checker, self.deliver_within_s, usual.rules.deliver_within, 10..=2700, "orders.deliver_within_s"),
        };
        if rules.late_grace.0 + rules.deliver_within.0 > DELIVERED_BY_MAX.0 {
            let most = DELIVERED_BY_MAX.0 / 1000;
            let why = format_args!(
                "must be at most {most} s together with orders.late_settlement_grace_s: an order that is not reported an hour \
                after its payment may be refunded"
            );
            checker.fault(&(), "orders.deliver_within_s", why);
        }
        let usual = i64::try_from(usual.per_minute).unwrap_or(0);
        let per_minute = checker.integer(self.orders_per_minute, usual, 0..=600, "orders.orders_per_minute");
        OrderSettings { timeout, per_minute: usize::try_from(per_minute).unwrap_or(0), rules }
    }
}
