//! Orders for unit tests. The core makes them from events.

use qris_core::order::ids::{DeviceId, ItemId, OrderId, RequestId, Ticket, TransactionId};
use qris_core::order::keys::SigningKey;
use qris_core::order::merchant::{self, Charge, Context, DeliveryReport, Event, Order, QR_EXPIRY, Rules, Said, Sale, StatusReport};
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
    let charge = Charge {
        transaction_id: TransactionId::new(&format!("t-{id}")).expect("an id"),
        gross_amount: Rupiah::new(gross).expect("an amount"),
        qr_payload: Some("qr".into()),
        qr_url: None,
        deeplink_url: None,
        payment_code: None,
        store: None,
        charged_at: T0,
        expires_at: T0 + QR_EXPIRY,
    };
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
    Rules {
        issuer: "pay.example".into(),
        keys: vec![SigningKey::from_seed([1; 32])],
        max_imposed_fee: 1000,
        reversal_window: Span::secs(300),
        collect_within: Span::secs(72 * 3600),
        second_tries: 0,
        try_again_within: Span::secs(24 * 3600),
    }
}
