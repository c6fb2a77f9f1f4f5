//! What operators watch, in the text format of OpenMetrics 1.0. Counters and latencies are those of this process since its start. What
//! waits is counted in the books at each look, so each process of several tells the same.

use crate::counters::{Counters, Labels, PREFIX, seconds};
use crate::gateway::WatchedGateway;
use crate::machines::handle::Machines;
use crate::machines::reported;
use crate::machines::stock::{self, FirstOf, Wanting};
use crate::sale::books::{self, BooksError, Waiting};
use crate::sale::handle::Books;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};
use qris_core::order::time::Wall;
use qris_core::wire::status::FaultCode;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

/// The format, as HTTP names it.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Counts = Family<Labels<1>, Gauge<u64, AtomicU64>>;
type Faults = Family<[(&'static str, String); 1], Gauge<u64, AtomicU64>>;
type Ages = Family<Labels<1>, Gauge<f64, AtomicU64>>;

pub async fn text(counters: &Counters, gateway: &WatchedGateway, books: &Books, machines: &Machines) -> String {
    let now = books.now();
    let waiting = books.read(books::waiting).await;
    let (slots, faults) = (machines.read(stock::wanting).await, machines.read(reported::faults).await);
    let machines = machines.read(books::machines_let_in).await;
    let mut text = String::new();
    counters.encode(&mut text);
    let mut charging = Registry::with_prefix(PREFIX);
    let help = "Charges that failed one after the other, for one reason; 0 below five";
    charging.register("charges_failing", help, ConstGauge::new(u64::from(gateway.charges_failing())));
    // Writing to a String does not fail.
    let _ = encode_registry(&mut text, &charging);
    let _ = encode_registry(&mut text, &present(waiting, machines, books.fail(), now.wall));
    if let Ok(slots) = slots {
        let _ = encode_registry(&mut text, &in_slots(slots.into_values()));
    }
    if let Ok(faults) = faults {
        let _ = encode_registry(&mut text, &of_machines(faults));
    }
    let _ = encode_eof(&mut text);
    text
}

/// What lies in the machines, by their own word.
fn in_slots(all: impl Iterator<Item = Wanting>) -> Registry {
    let sum = all.fold(Wanting::default(), |sum, of| Wanting {
        low: sum.low + of.low,
        sold_out: sum.sold_out + of.sold_out,
        suspect: sum.suspect + of.suspect,
        blocked: sum.blocked + of.blocked,
        price: sum.price + of.price,
        uncounted: sum.uncounted + of.uncounted,
        of: FirstOf::default(),
    });
    let (mut registry, slots) = (Registry::with_prefix(PREFIX), Counts::default());
    let states = [("low", sum.low), ("sold_out", sum.sold_out), ("suspect", sum.suspect), ("blocked", sum.blocked), ("price", sum.price)];
    for (state, count) in states {
        slots.get_or_create(&[("state", state)]).set(count);
    }
    registry.register(
        "slots",
        "Slots of machines that want a person: low or soon empty, sold out, suspect, blocked, or with a price that nothing takes. One slot can be two of these",
        slots,
    );
    registry
}

/// The faults of the machines that are there, as these say themselves. Each fault has its series from the start on: an alarm needs that.
fn of_machines(all: BTreeMap<FaultCode, u64>) -> Registry {
    let (mut registry, faults) = (Registry::with_prefix(PREFIX), Faults::default());
    for (code, machines) in all {
        faults.get_or_create(&[("fault", code.to_string())]).set(machines);
    }
    registry.register("machine_faults", "Machines that say this fault, of those that are there", faults);
    registry
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
        registry.register("alerts_waiting", "Alerts that did not arrive, and are tried again", ConstGauge::new(waiting.alerts));
    }
    if let (Ok((let_in, revoked)), Some(missing)) = (machines, missing) {
        let machines = Counts::default();
        let there = let_in.saturating_sub(missing);
        for (state, count) in [("there", there), ("missing", missing), ("revoked", revoked)] {
            machines.get_or_create(&[("state", state)]).set(count);
        }
        let help = "Machines. `missing` needs [alerts] and [mqtt]";
        registry.register("machines", help, machines);
    }
    registry
}
