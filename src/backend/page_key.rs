//! The key in the address of a customer's page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use qris_core::order::ids::{OrderId, Ticket};
use qris_core::order::merchant::Order;
use ring::hmac;

/// Its bytes. Some hundred guesses a second are answered, and a code lives for days.
const BYTES: usize = 9;

/// What the address of a customer's page has beside the order's number. With it the page shows a payment code, and offers another try. Whoever
/// has these collects the goods, and the number stands on receipts and in lists. The ticket is drawn at the machine, and no customer sees it.
/// `ticket`: that of the first try.
#[must_use]
pub fn page_key(id: &OrderId, ticket: &Ticket) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, ticket.as_str().as_bytes());
    BASE64URL.encode(&hmac::sign(&key, id.as_str().as_bytes()).as_ref()[..BYTES])
}

#[must_use]
pub fn of(order: &Order) -> String {
    page_key(&order.id, &order.sale.purchase.ticket)
}
