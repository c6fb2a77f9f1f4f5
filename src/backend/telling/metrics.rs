//! What operators watch, in the text format of OpenMetrics 1.0. Counters and latencies are those of this process since its start. What
//! waits is counted in the books at each look, so each process of several tells the same.

use crate::gateway::{Problem, TroubleKind};
use crate::sale::books::{self, BooksError, Waiting};
use crate::shop::Shop;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use qris_core::order::merchant::{Call, DeliveryReport};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Delivery;
use qris_core::order::time::{Span, Wall};
use std::sync::atomic::AtomicU64;

/// The format, as HTTP names it.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// All names begin so.
const PREFIX: &str = "qris_backend";
/// The upper ends of the latencies' buckets, in seconds. A call to the gateway ends within 15 s.
const SECONDS: [f64; 10] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];

type Labels<const N: usize> = [(&'static str, &'static str); N];
type Counts = Family<Labels<1>, Gauge<u64, AtomicU64>>;
type Ages = Family<Labels<1>, Gauge<f64, AtomicU64>>;

/// The counts and latencies since the start.
#[derive(Debug)]
#[allow(missing_docs, reason = "their names and the help beside them say it")]
pub struct Metrics {
    registry: Registry,
    pub orders: Counter,
    pub charges: Counter,
    pub receipts: Counter,
    pub withheld: Counter,
    pub refunds_due: Counter,
    pub notifications: Counter,
    pub notifications_refused: Counter,
    pub published: Counter,
    pub connections_closed: Counter,
    gateway_calls: Counter,
    gateway_errors: Counter,
    gateway_problems: Family<Labels<2>, Counter>,
    gateway_seconds: Family<Labels<1>, Histogram>,
    receipt_seconds: Histogram,
    outcomes: Family<Labels<1>, Counter>,
    outcome_rupiah: Family<Labels<1>, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let new = Counter::<u64>::default;
        let latency = || Histogram::new(SECONDS);
        let mut metrics = Self {
            registry: Registry::with_prefix(PREFIX),
            orders: new(),
            charges: new(),
            receipts: new(),
            withheld: new(),
            refunds_due: new(),
            notifications: new(),
            notifications_refused: new(),
            published: new(),
            connections_closed: new(),
            gateway_calls: new(),
            gateway_errors: new(),
            gateway_problems: Family::default(),
            gateway_seconds: Family::new_with_constructor(latency),
            receipt_seconds: latency(),
            outcomes: Family::default(),
            outcome_rupiah: Family::default(),
        };
        let counters = [
            ("orders", "Requests of machines that were new", &metrics.orders),
            ("charges", "Charges that can be paid", &metrics.charges),
            ("receipts", "Receipts that were signed", &metrics.receipts),
            ("withheld", "Settlements without a receipt: refund due", &metrics.withheld),
            ("refunds_due", "Outcomes that make a refund due", &metrics.refunds_due),
            ("notifications", "Notifications of the gateway that were taken", &metrics.notifications),
            ("notifications_refused", "Notifications that were refused", &metrics.notifications_refused),
            ("gateway_calls", "Calls to the gateway", &metrics.gateway_calls),
            ("gateway_errors", "Calls to the gateway that were not answered", &metrics.gateway_errors),
            ("published", "News that the broker has", &metrics.published),
            ("connections_closed", "Connections that were closed: too slow, or to make room for others", &metrics.connections_closed),
        ];
        for (name, help, counter) in counters {
            metrics.registry.register(name, help, counter.clone());
        }
        let registry = &mut metrics.registry;
        registry.register("gateway_problems", "Answers of the gateway that were not the expected ones", metrics.gateway_problems.clone());
        registry.register_with_unit("gateway", "How long a call to the gateway took", Unit::Seconds, metrics.gateway_seconds.clone());
        let help = "From the news of a payment, or the question about it, to the committed receipt";
        registry.register_with_unit("receipt", help, Unit::Seconds, metrics.receipt_seconds.clone());
        registry.register("outcomes", "Outcomes that machines told", metrics.outcomes.clone());
        let help = "The prices of the orders with these outcomes";
        registry.register_with_unit("outcome", help, Unit::Other("rupiah".into()), metrics.outcome_rupiah.clone());
        metrics
    }
}

impl Metrics {
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
}

/// All of it, as text.
pub async fn text(shop: &Shop) -> String {
    let now = shop.now();
    let waiting = shop.read(books::waiting).await;
    let machines = shop.machines(books::machines_let_in).await;
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = encode_registry(&mut text, &shop.metrics.registry);
    let mut charging = Registry::with_prefix(PREFIX);
    let help = "Charges that failed one after the other, for one reason; 0 below five";
    charging.register("charges_failing", help, ConstGauge::new(u64::from(shop.charges.failing())));
    let _ = encode_registry(&mut text, &charging);
    let _ = encode_registry(&mut text, &present(waiting, machines, shop.store_fails(), now));
    let _ = encode_eof(&mut text);
    text
}

/// How things are at this moment. What cannot be read is missing.
fn present(waiting: Result<Waiting, BooksError>, machines: Result<(u64, u64), BooksError>, store_fails: bool, now: Wall) -> Registry {
    let mut registry = Registry::with_prefix(PREFIX);
    // Where commits wait for a standby, everything can be read, and nothing can be sold.
    let is_up = u64::from(waiting.is_ok() && machines.is_ok() && !store_fails);
    registry.register("store_up", "1 if the books can be read and written, and the machines read", ConstGauge::new(is_up));
    let missing = waiting.as_ref().ok().map(|waiting| waiting.machines_missing);
    if let Ok(waiting) = waiting {
        let age = |since: Option<Wall>| since.map_or(0.0, |since| seconds(now - since).max(0.0));
        let (orders, rupiah, oldest) = (Counts::default(), Counts::default(), Ages::default());
        for kind in &waiting.attention {
            let labels = [("kind", kind.kind.as_str())];
            orders.get_or_create(&labels).set(kind.orders);
            rupiah.get_or_create(&labels).set(kind.rupiah);
            oldest.get_or_create(&labels).set(age(kind.since));
        }
        registry.register("attention_orders", "Orders at which a person must look", orders);
        registry.register_with_unit("attention", "The prices of these orders", Unit::Other("rupiah".into()), rupiah);
        registry.register_with_unit("attention_oldest", "Since when the oldest of them waits", Unit::Seconds, oldest);
        registry.register("open_orders", "Orders that have not ended", ConstGauge::new(waiting.open.0));
        registry.register_with_unit("open_oldest", "The age of the oldest of them", Unit::Seconds, ConstGauge::new(age(waiting.open.1)));
        registry.register("outbox", "News that the broker does not have yet", ConstGauge::new(waiting.outbox.0));
        let oldest = ConstGauge::new(age(waiting.outbox.1));
        registry.register_with_unit("outbox_oldest", "The age of the oldest of them", Unit::Seconds, oldest);
        registry.register("alerts_untold", "Alerts that could not be told yet", ConstGauge::new(waiting.untold));
    }
    if let (Ok((let_in, revoked)), Some(missing)) = (machines, missing) {
        let machines = Counts::default();
        let there = let_in.saturating_sub(missing);
        for (state, count) in [("there", there), ("missing", missing), ("revoked", revoked)] {
            machines.get_or_create(&[("state", state)]).set(count);
        }
        let help = "Machines. `missing` needs [alerts] and a broker that says when nobody takes a message";
        registry.register("machines", help, machines);
    }
    registry
}

/// A span of time as such text tells it.
fn seconds(span: Span) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of some years are exact")]
    let milliseconds = span.0 as f64;
    milliseconds / 1000.0
}
