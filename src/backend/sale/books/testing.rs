//! Books in which something was sold, for tests.

use super::*;
use qris_core::order::ids::{ItemId, Ticket, TransactionId};
use qris_core::order::merchant::{Rules, Said, StatusReport, outside};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Delivery;
use qris_core::order::request::{Payment, Purchase};

/// Writes an order as it is. Nothing led to it.
///
/// # Panics
/// If the books do not take it.
pub fn put(tx: &mut dyn Tx, order: Order, now: Wall) {
    ledger::insert(tx, order, Some("digest"), "put", now).expect("written");
}

/// Writes five sales of this moment. Three are over: their items came. Of one no outcome is known, and of one the money is due.
///
/// # Panics
/// If the books do not take them.
pub fn sell(tx: &mut dyn Tx, now: Wall) {
    let rules = Rules { reversal_window: Span::secs(0), ..outside::rules() };
    let kid = rules.keys[0].kid().clone();
    let policy = Policy { rules, push: false, orders_per_minute: 0, auto_refund_per_day: 0, tries_per_day: 10 };
    let device = DeviceId::new("vm-001").expect("an id");
    let outcomes = [Some(Delivery::Dispensed), None, Some(Delivery::Dispensed), Some(Delivery::Failed), Some(Delivery::Dispensed)];
    for (n, outcome) in (1_u8..).zip(outcomes) {
        let sale = Sale {
            purchase: Purchase {
                request_id: RequestId::new(&format!("r{n}")).expect("an id"),
                ticket: Ticket::from_random([n; 16]),
                item: ItemId::new("A1").expect("an id"),
                asked: None,
                description: Some("Teh".into()),
                machine: None,
                amount: Rupiah::new(5000).expect("an amount"),
                payment: Payment::Gopay,
                timeout_s: 120,
            },
            device: device.clone(),
            kid: kid.clone(),
            relay_key: None,
        };
        let (id, transaction) = (OrderId::new(&format!("o{n}")).expect("an id"), TransactionId::new(&format!("t{n}")).expect("an id"));
        create(tx, &policy, sale, "digest", &id, Told::trusted(now)).expect("created");
        let charge = outside::charge(transaction.clone(), Rupiah::new(5000).expect("an amount"), now);
        let order = answered(tx, &policy, &id, Event::Charged(charge), Told::trusted(now)).expect("written").now.order;
        let paid = StatusReport {
            transaction_id: transaction,
            gross_amount: Rupiah::new(5000).ok(),
            settled_at: Some(now),
            ..StatusReport::of(&order, Said::Settled)
        };
        answered(tx, &policy, &id, Event::Status(paid), Told::trusted(now)).expect("written");
        if let Some(outcome) = outcome {
            let report = DeliveryReport {
                proof: Proof::Signed { kid: kid.clone(), number: u64::from(n), driven: false },
                ..DeliveryReport::proven(outcome)
            };
            let stored = of_device(tx, &device, &id).expect("there");
            take_report(tx, &policy, stored, report, Told::trusted(now)).expect("written").expect("the first");
        }
    }
}
