//! What the receipts of these tests claim. `tests/fuzz` shares this file, so it needs nothing else of the rig.

use qris::order::ids::{DeviceId, ItemId, OrderId, RequestId, Ticket, TransactionId};
use qris::order::money::Rupiah;
use qris::order::receipt::Claims;
use qris::order::tries::Try;

/// Whose key the relay believes.
pub const ISSUER: &str = "pay.example";

/// The claims of a receipt for A1 at 5,000 rupiah.
pub fn claims(order: &str, ticket: &str) -> Claims {
    let amount = Rupiah::new(5000).expect("an amount");
    Claims {
        iss: ISSUER.into(),
        aud: DeviceId::new("vm-001").expect("an id"),
        sub: OrderId::new(order).expect("an id"),
        jti: RequestId::new(&format!("request-{order}")).expect("an id"),
        ticket: Ticket::new(ticket).expect("a ticket"),
        nth: Try::First,
        item: ItemId::new("A1").expect("an id"),
        amount,
        gross_amount: amount,
        cur: "IDR".into(),
        payment_type: "qris".into(),
        transaction_id: TransactionId::new(&format!("transaction-{order}")).expect("an id"),
        settled_at: "2026-11-20T15:00:00+07:00".into(),
        iat: 1_795_161_600,
    }
}
