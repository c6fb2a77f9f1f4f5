//! Orders for unit tests. The core makes them from events.

use qris_core::order::ids::{DeviceId, ItemId, OrderId, RequestId, Ticket, TransactionId};
use qris_core::order::merchant::{self, Context, DeliveryReport, Event, Order, Rules, Said, Sale, StatusReport, outside};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Delivery;
use qris_core::order::request::{Payment, Purchase};
use qris_core::order::time::{Span, Told, Wall};

/// The time at which every sample begins.
pub const T0: Wall = Wall(1_795_132_800_000);

/// An order that is being charged.
pub fn order(id: &str, device: &str, price: u64) -> Order {
    let sale = Sale {
        purchase: Purchase {
            request_id: RequestId::new(id).expect("an id"),
            ticket: Ticket::from_random([7; 16]),
            item: ItemId::new("A1").expect("an id"),
            asked: None,
            description: None,
            machine: None,
            amount: Rupiah::new(price).expect("an amount"),
            payment: Payment::Gopay,
            timeout_s: 120,
        },
        device: DeviceId::new(device).expect("an id"),
        kid: rules().keys[0].kid().clone(),
        relay_key: None,
    };
    merchant::begin(OrderId::new(id).expect("an id"), sale, Told::trusted(T0))
}

/// The same when it can be paid.
pub fn pending(id: &str, device: &str, price: u64, gross: u64) -> Order {
    let transaction = TransactionId::new(&format!("t-{id}")).expect("an id");
    let charge = outside::charge(transaction, Rupiah::new(gross).expect("an amount"), T0);
    after(order(id, device, price), Event::Charged(charge), T0)
}

pub fn report(order: &Order, said: Said) -> StatusReport {
    StatusReport { settled_at: Some(T0 + Span::secs(5)), ..StatusReport::of(order, said) }
}

/// The same when it is paid, five seconds after it began.
pub fn paid(id: &str, device: &str, price: u64, gross: u64) -> Order {
    let order = pending(id, device, price, gross);
    let report = report(&order, Said::Settled);
    after(order, Event::Status(report), T0 + Span::secs(6))
}

/// The same after the machine's report.
pub fn reported_order(id: &str, device: &str, price: u64, gross: u64, outcome: Delivery) -> Order {
    after(paid(id, device, price, gross), Event::Delivered(DeliveryReport::proven(outcome)), T0 + Span::secs(8))
}

pub fn after(order: Order, event: Event, now: Wall) -> Order {
    let mut order =
        merchant::apply(order, event, Told::trusted(now), &Context { rules: &rules(), paid_already: false }).expect("not refused");
    while let merchant::Duty::Apply(event) = merchant::duty(&order, Told::trusted(now)) {
        order = merchant::apply(order, event, Told::trusted(now), &Context { rules: &rules(), paid_already: false }).expect("not refused");
    }
    order
}

/// What these orders were made by.
pub fn rules() -> Rules {
    Rules { max_imposed_fee: 1000, ..outside::rules() }
}
