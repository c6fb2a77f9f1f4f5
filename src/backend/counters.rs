//! What each part counts for operators: counters and latencies of this process since its start.

use crate::gateway::{Problem, TroubleKind};
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use qris_core::order::merchant::{Call, DeliveryReport};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Delivery;
use qris_core::order::time::Span;

/// All names begin so.
pub const PREFIX: &str = "qris_backend";
/// The upper ends of the latencies' buckets, in seconds. A call to the gateway ends within 15 s.
const SECONDS: [f64; 10] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];

pub type Labels<const N: usize> = [(&'static str, &'static str); N];

#[derive(Debug)]
pub struct Counters {
    registry: Registry,
    pub orders: Counter,
    pub charges: Counter,
    pub receipts: Counter,
    pub withheld: Counter,
    pub refunds_due: Counter,
    pub notifications: Counter,
    pub notifications_refused: Counter,
    pub published: Counter,
    pub messages_unread: Counter,
    pub connections_closed: Counter,
    gateway_calls: Counter,
    gateway_errors: Counter,
    gateway_problems: Family<Labels<2>, Counter>,
    gateway_seconds: Family<Labels<1>, Histogram>,
    receipt_seconds: Histogram,
    outcomes: Family<Labels<1>, Counter>,
    outcome_rupiah: Family<Labels<1>, Counter>,
}

impl Default for Counters {
    fn default() -> Self {
        let new = Counter::<u64>::default;
        let latency = || Histogram::new(SECONDS);
        let mut counters = Self {
            registry: Registry::with_prefix(PREFIX),
            orders: new(),
            charges: new(),
            receipts: new(),
            withheld: new(),
            refunds_due: new(),
            notifications: new(),
            notifications_refused: new(),
            published: new(),
            messages_unread: new(),
            connections_closed: new(),
            gateway_calls: new(),
            gateway_errors: new(),
            gateway_problems: Family::default(),
            gateway_seconds: Family::new_with_constructor(latency),
            receipt_seconds: latency(),
            outcomes: Family::default(),
            outcome_rupiah: Family::default(),
        };
        let plain = [
            ("orders", "Requests of machines that were new", &counters.orders),
            ("charges", "Charges that can be paid", &counters.charges),
            ("receipts", "Receipts that were signed", &counters.receipts),
            ("withheld", "Settlements without a receipt: refund due", &counters.withheld),
            ("refunds_due", "Outcomes that make a refund due", &counters.refunds_due),
            ("notifications", "Notifications of the gateway that were taken", &counters.notifications),
            ("notifications_refused", "Notifications that were refused", &counters.notifications_refused),
            ("gateway_calls", "Calls to the gateway", &counters.gateway_calls),
            ("gateway_errors", "Calls to the gateway that were not answered", &counters.gateway_errors),
            ("published", "News that the broker has", &counters.published),
            ("messages_unread", "Messages of machines at the broker that could not be read", &counters.messages_unread),
            ("connections_closed", "Connections that were closed: too slow, or to make room for others", &counters.connections_closed),
        ];
        for (name, help, counter) in plain {
            counters.registry.register(name, help, counter.clone());
        }
        let registry = &mut counters.registry;
        registry.register("gateway_problems", "Answers of the gateway that were not the expected ones", counters.gateway_problems.clone());
        registry.register_with_unit("gateway", "How long a call to the gateway took", Unit::Seconds, counters.gateway_seconds.clone());
        let help = "From the news of a payment, or the question about it, to the committed receipt";
        registry.register_with_unit("receipt", help, Unit::Seconds, counters.receipt_seconds.clone());
        registry.register("outcomes", "Outcomes that machines told", counters.outcomes.clone());
        let help = "The prices of the orders with these outcomes";
        registry.register_with_unit("outcome", help, Unit::Other("rupiah".into()), counters.outcome_rupiah.clone());
        counters
    }
}

impl Counters {
    /// The gateway has answered, or has not.
    pub fn called(&self, call: Call, problem: Option<&Problem>, took: Span) {
        let call = match call {
            Call::Charge => "charge",
            Call::GetStatus => "status",
            Call::Cancel => "cancel",
            Call::Refund => "refund",
        };
        self.gateway_calls.inc();
        self.gateway_seconds.get_or_create(&[("call", call)]).observe(seconds(took));
        let Some(problem) = problem else { return };
        if problem.kind.is_trouble() {
            self.gateway_errors.inc();
        }
        let kind = match problem.kind {
            TroubleKind::Gone => "gone",
            TroubleKind::Locked => "locked",
            TroubleKind::Busy => "busy",
            TroubleKind::Refusal => "refusal",
        };
        self.gateway_problems.get_or_create(&[("call", call), ("kind", kind)]).inc();
    }

    /// A receipt is committed.
    pub fn receipt(&self, took: Span) {
        self.receipt_seconds.observe(seconds(took));
    }

    /// A machine told an outcome for the first time.
    pub fn outcome(&self, told: &DeliveryReport, price: Rupiah) {
        let outcome = match told.outcome {
            Delivery::Dispensed => "dispensed",
            Delivery::Failed => "failed",
            Delivery::Undelivered => "undelivered",
            Delivery::Uncertain | Delivery::Other(_) => "uncertain",
        };
        self.outcomes.get_or_create(&[("outcome", outcome)]).inc();
        self.outcome_rupiah.get_or_create(&[("outcome", outcome)]).inc_by(price.get());
    }

    /// All of them, as text of OpenMetrics.
    pub fn encode(&self, text: &mut String) {
        // Writing to a String does not fail.
        let _ = encode_registry(text, &self.registry);
    }
}

#[must_use]
pub fn seconds(span: Span) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of some years are exact")]
    let milliseconds = span.0 as f64;
    milliseconds / 1000.0
}
