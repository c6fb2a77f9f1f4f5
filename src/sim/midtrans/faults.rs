//! Faults that can be planned: what goes wrong, how often and where. A new fault is a variant here, and one arm at its
//! moment.

use super::forgery::Forgery;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// The connection is closed before anything is done.
    Refuse,
    /// It is done, and the answer is held until it is released, or for this many milliseconds. Meanwhile the same
    /// Idempotency-Key is answered HTTP 202.
    Hang {
        /// Without it the answer is held until `POST /sim/release`.
        #[serde(default)]
        ms: Option<i64>,
    },
    /// It is done, and the connection is cut in place of the answer.
    LoseAnswer,
    /// It is done, and the connection is cut in the middle of the answer.
    CutAnswer,
    /// Nothing is done, and the answer is this error.
    Error {
        /// The body's `status_code`.
        code: u16,
        /// Without it, the HTTP status that goes with the code.
        #[serde(default)]
        http: Option<u16>,
        /// `status_message`
        #[serde(default)]
        message: Option<String>,
    },
    /// It is done, and the answer says something else.
    AlterAnswer(Forgery),
    ServerError {
        /// 500–599, HTTP status and body code alike.
        code: u16,
        /// Is it done all the same?
        #[serde(default)]
        done: bool,
    },
    /// It is done, and the answer is no JSON.
    Garble,
    /// It is done, and the answer is a megabyte.
    TooLarge,
    /// 429 in the words of the gateway before Midtrans: without a `status_code`.
    RateLimit,
    /// The provider denies a charge.
    Deny {
        /// `channel_response_code`: 900 is a passing fault.
        #[serde(default = "passing_trouble")]
        code: u16,
    },
    /// A fee that the customer pays raises a charge.
    ImposeFee {
        rupiah: u64,
    },
    /// get-status tells the state at the charge.
    StaleStatus,
    /// get-status tells the state at the charge, until this long after the payment.
    StatusLags {
        ms: i64,
    },
    DenyRefund,
    /// The bank refuses a refund after Midtrans has approved it: it is a settlement again.
    BounceRefund,
    BrokenImage {
        how: BrokenImage,
    },
    DropNotification,
    DelayNotification {
        ms: i64,
    },
    DuplicateNotification,
    /// A notification is sent after the next one of its order.
    ReorderNotification,
    ForgeNotification(Forgery),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BrokenImage {
    /// 503 as JSON. Accounts without a production set-up get it.
    Unavailable,
    Html,
    /// Half of the file.
    Cut,
    Blank,
    /// Two megabytes.
    TooLarge,
    /// A good QR of a rupiah more.
    WrongAmount,
    BadCrc,
}

const fn passing_trouble() -> u16 {
    900
}

/// The moment in the life of a request or notification when a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Arrival,
    Charge,
    Status,
    Image,
    Refund,
    Departure,
    Notification,
}

impl Fault {
    const fn moment(&self) -> Moment {
        match self {
            Self::Refuse | Self::RateLimit | Self::Error { .. } | Self::ServerError { done: false, .. } => Moment::Arrival,
            Self::Deny { .. } | Self::ImposeFee { .. } => Moment::Charge,
            Self::StaleStatus | Self::StatusLags { .. } => Moment::Status,
            Self::BrokenImage { .. } => Moment::Image,
            Self::DenyRefund | Self::BounceRefund => Moment::Refund,
            Self::Hang { .. }
            | Self::LoseAnswer
            | Self::CutAnswer
            | Self::ServerError { done: true, .. }
            | Self::Garble
            | Self::TooLarge
            | Self::AlterAnswer(_) => Moment::Departure,
            Self::DropNotification
            | Self::DelayNotification { .. }
            | Self::DuplicateNotification
            | Self::ReorderNotification
            | Self::ForgeNotification(_) => Moment::Notification,
        }
    }
}

/// A fault, and the requests that it strikes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    #[serde(flatten)]
    pub fault: Fault,
    /// Only this call: `charge`, `status`, `cancel`, `expire`, `refund`, `qr_image`, …, or the status that a
    /// notification tells.
    #[serde(default)]
    pub on: Option<String>,
    /// Only this order.
    #[serde(default)]
    pub order_id: Option<String>,
    /// This many times; without it, until the faults are cleared.
    #[serde(default)]
    pub count: Option<u32>,
}

impl From<Fault> for Plan {
    fn from(fault: Fault) -> Self {
        Self { fault, on: None, order_id: None, count: None }
    }
}

const PLANS_MAX: usize = 1_000;

/// The plans, in the order of planning.
#[derive(Debug, Clone, Default)]
pub struct Faults(Vec<Plan>);

impl Faults {
    /// Adds a plan. Beyond a thousand the oldest goes.
    pub fn add(&mut self, plan: Plan) {
        if self.0.len() >= PLANS_MAX {
            self.0.remove(0);
        }
        self.0.push(plan);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    #[must_use]
    pub fn plans(&self) -> &[Plan] {
        &self.0
    }

    /// The first plan for this moment. Its count goes down.
    pub(super) fn take(&mut self, moment: Moment, on: &str, order_id: &str) -> Option<Fault> {
        let is_meant = |plan: &Plan| {
            plan.fault.moment() == moment
                && plan.on.as_deref().is_none_or(|wanted| wanted == on)
                && plan.order_id.as_deref().is_none_or(|wanted| wanted == order_id)
                && plan.count != Some(0)
        };
        let at = self.0.iter().position(is_meant)?;
        let fault = self.0[at].fault.clone();
        if let Some(count) = &mut self.0[at].count {
            *count -= 1;
            if *count == 0 {
                self.0.remove(at);
            }
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_read_and_counted_down() {
        let mut faults = Faults::default();
        for text in [
            r#"{"fault":"deny","count":2}"#,
            r#"{"fault":"hang","on":"charge","ms":50,"count":1}"#,
            r#"{"fault":"broken_image","how":"cut","order_id":"o-1"}"#,
        ] {
            faults.add(serde_json::from_str(text).expect(text));
        }
        assert_eq!(faults.take(Moment::Charge, "charge", "o-1"), Some(Fault::Deny { code: 900 }));
        assert_eq!(faults.take(Moment::Charge, "charge", "o-2"), Some(Fault::Deny { code: 900 }));
        assert_eq!(faults.take(Moment::Charge, "charge", "o-3"), None);
        assert_eq!(faults.take(Moment::Departure, "status", "o-1"), None, "only on charges");
        assert_eq!(faults.take(Moment::Departure, "charge", "o-1"), Some(Fault::Hang { ms: Some(50) }));
        assert_eq!(faults.take(Moment::Image, "qr_image", "o-2"), None, "only this order");
        for _ in 0..3 {
            assert!(faults.take(Moment::Image, "qr_image", "o-1").is_some(), "without a count it stays");
        }
        assert_eq!(faults.plans().len(), 1);
        faults.clear();
        assert!(faults.plans().is_empty());
    }

    const MANUAL: &str = include_str!("../../../docs/using/simulator.md");

    #[test]
    fn the_manual_names_every_fault_and_writes_them_right() {
        let all = serde_json::json!([
            "refuse",
            "hang",
            "lose_answer",
            "cut_answer",
            "error",
            "alter_answer",
            "server_error",
            "garble",
            "too_large",
            "rate_limit",
            "deny",
            "impose_fee",
            "stale_status",
            "status_lags",
            "deny_refund",
            "bounce_refund",
            "broken_image",
            "drop_notification",
            "delay_notification",
            "duplicate_notification",
            "reorder_notification",
            "forge_notification"
        ]);
        let written: Vec<&str> = MANUAL.split('`').filter(|text| text.starts_with("{\"fault\"")).collect();
        assert!(written.len() > 20, "{written:?}");
        let mut named = std::collections::BTreeSet::new();
        for text in written {
            let plan: Plan = serde_json::from_str(text).expect(text);
            let plain = serde_json::to_value(&plan).expect("plain");
            named.insert(plain["fault"].as_str().expect("a name").to_owned());
        }
        for name in all.as_array().expect("a list") {
            assert!(named.contains(name.as_str().expect("text")), "{name} is not in the manual");
        }
        // A name that is missing in the list above was added: this fails until the name stands in both.
        let unknown = serde_json::from_str::<Fault>(r#"{"fault":"?"}"#).expect_err("none").to_string();
        assert_eq!(unknown.matches('`').count() / 2 - 1, all.as_array().expect("a list").len(), "{unknown}");
        for how in ["unavailable", "html", "cut", "blank", "too_large", "wrong_amount", "bad_crc"] {
            assert!(MANUAL.contains(&format!("`{how}`")) || MANUAL.contains(&format!("\"{how}\"")), "{how} is not in the manual");
        }
    }

    #[test]
    fn the_manual_names_every_option() {
        let options = crate::midtrans::Options::new("key", "").as_change();
        for name in serde_json::to_value(options).expect("plain").as_object().expect("an object").keys() {
            assert!(MANUAL.contains(&format!("`{name}`")), "{name} is not in the manual");
        }
    }
}
