//! The bodies that are sent to Midtrans: a charge, and its three custom fields. A backend that forgot an order can
//! rebuild it from these.

use crate::page_key::page_key;
use crate::settings::SETTINGS;
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::{Metadata, QR_EXPIRY};
use qris_core::order::money::Rupiah;
use qris_core::order::request::Payment;
use qris_core::order::time::Span;
use qris_host::config::settings::{Whole, number};
use serde_json::{Value, json};

/// The longest `item_details.name`. Midtrans gives no limit for the Core API; Snap's is 50, and integrators cut there.
const ITEM_NAME_CHARS_MAX: usize = 50;

/// The longest line of text on an Alfamart's receipt, and the longest label on a till's screen.
const RECEIPT_CHARS_MAX: usize = 40;
const LABEL_CHARS_MAX: usize = 20;

/// The `payment_type` that a QR is charged as. Every QRIS app can pay either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChargeAs {
    /// `gopay`: a QR image and a deeplink, no `qr_string` in any sample seen.
    #[default]
    Gopay,
    /// `qris`: the payload itself as `qr_string`, no deeplink.
    Qris,
}

/// The acquirer of a QR that is charged as `qris`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acquirer {
    #[default]
    Gopay,
    AirpayShopee,
}

impl Acquirer {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gopay => "gopay",
            Self::AirpayShopee => "airpay shopee",
        }
    }
}

/// `customer_details`: nobody knows the customer at a machine, so these are the merchant's own, or absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Customer {
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeOptions {
    pub charge_as: ChargeAs,
    /// For a `qris` charge.
    pub acquirer: Acquirer,
    /// The address to which the GoPay app sends the customer after a payment by its link: this, an order_id, `/finish`, and the page's key.
    pub finish_base: Option<String>,
    pub customer: Option<Customer>,
    /// `custom_expiry` of a QR, in minutes: at least 15. Below that Midtrans' batch is not reliable.
    pub qr_expiry_min: Option<u32>,
    /// `custom_expiry` of a payment code, in minutes. A code that nobody pays keeps a piece of the machine's slot for so long.
    pub counter_expiry_min: u32,
    /// The hosts where pictures of QR codes may be, by `https`: these hosts and those below them, beside Midtrans' own address.
    pub picture_hosts: Vec<String>,
    pub refund_days: RefundDays,
}

/// For how many days Midtrans refunds a payment over its interface, by how it was paid (its page on refunds, April 2026).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefundDays {
    /// A QRIS payment from an app of the acquirer's own house: GoPay.
    pub on_us: u16,
    /// A QRIS payment from another app.
    pub off_us: u16,
    /// ShopeePay.
    pub shopeepay: u16,
    /// GoPay, by its link or in its own app.
    pub deeplink: u16,
}

impl Default for RefundDays {
    fn default() -> Self {
        let days = |setting: Whole| u16::try_from(setting.usual).expect("a few years");
        Self {
            on_us: days(number(SETTINGS, "midtrans.refund_days.on_us")),
            off_us: days(number(SETTINGS, "midtrans.refund_days.off_us")),
            shopeepay: days(number(SETTINGS, "midtrans.refund_days.shopeepay")),
            deeplink: days(number(SETTINGS, "midtrans.refund_days.deeplink")),
        }
    }
}

impl Default for ChargeOptions {
    fn default() -> Self {
        Self {
            charge_as: ChargeAs::default(),
            acquirer: Acquirer::default(),
            finish_base: None,
            customer: None,
            qr_expiry_min: None,
            counter_expiry_min: u32::try_from(number(SETTINGS, "midtrans.counter_expiry_min").usual).expect("two hours"),
            picture_hosts: Vec::new(),
            refund_days: RefundDays::default(),
        }
    }
}

impl ChargeOptions {
    #[must_use]
    pub fn lifetime(&self, payment: Payment) -> Span {
        match payment {
            Payment::Gopay => self.qr_expiry_min.map_or(QR_EXPIRY, |minutes| Span::secs(i64::from(minutes) * 60)),
            Payment::Alfamart | Payment::Indomaret => Span::secs(i64::from(self.counter_expiry_min) * 60),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeRequest {
    /// New for each attempt.
    pub order_id: OrderId,
    /// The text that the customer reads in the app, cut to 50 characters. If it is blank, it is the item's id.
    pub description: String,
    pub payment: Payment,
    /// The owner of the order, the item and the price, in `custom_field1..3`. Midtrans repeats them in get-status and in
    /// notifications.
    pub metadata: Metadata,
}

impl ChargeRequest {
    /// The body of `POST /v2/charge`. A QR's `custom_expiry` is never below 15 minutes, because Midtrans' batch is
    /// not reliable there. A cancel makes a shorter end.
    #[must_use]
    pub fn body(&self, options: &ChargeOptions) -> Value {
        let amount = self.metadata.amount.get();
        let [field1, field2, field3] = self.metadata.to_texts();
        let mut body = json!({
            "transaction_details": { "order_id": self.order_id.as_str(), "gross_amount": amount },
            "item_details": [{ "id": self.metadata.item.as_str(), "price": amount, "quantity": 1, "name": self.item_name() }],
            "custom_field1": field1,
            "custom_field2": field2,
            "custom_field3": field3,
        });
        match (self.payment, options.charge_as) {
            (Payment::Gopay, ChargeAs::Gopay) => {
                body["payment_type"] = json!("gopay");
                if let Some(base) = &options.finish_base {
                    let url = format!("{base}{}/finish?key={}", self.order_id, page_key(&self.order_id, &self.metadata.ticket));
                    body["gopay"] = json!({ "enable_callback": true, "callback_url": url });
                }
            }
            (Payment::Gopay, ChargeAs::Qris) => {
                body["payment_type"] = json!("qris");
                body["qris"] = json!({ "acquirer": options.acquirer.as_str() });
            }
            (Payment::Alfamart | Payment::Indomaret, _) => {
                body["payment_type"] = json!("cstore");
                body["cstore"] = self.counter();
            }
        }
        let expiry = match self.payment {
            Payment::Gopay => options.qr_expiry_min.map(|minutes| (minutes, "minute")),
            Payment::Alfamart | Payment::Indomaret => Some((options.counter_expiry_min, "minute")),
        };
        if let Some((duration, unit)) = expiry {
            body["custom_expiry"] = json!({ "expiry_duration": duration, "unit": unit });
        }
        if let Some(Customer { first_name, last_name, email, phone }) = &options.customer {
            let fields = [("first_name", first_name), ("last_name", last_name), ("email", email), ("phone", phone)];
            let known = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?))));
            body["customer_details"] = Value::Object(known.collect());
        }
        body
    }

    /// `cstore`: the shop, the text for its till, and for an Alfamart the text for its receipt.
    fn counter(&self) -> Value {
        let name = self.item_name();
        let mut counter = json!({ "store": self.payment.as_str(), "message": cut(&name, LABEL_CHARS_MAX) });
        if self.payment == Payment::Alfamart {
            let lines = [name, self.metadata.device.to_string(), self.order_id.to_string()];
            for (number, line) in lines.iter().enumerate() {
                counter[format!("alfamart_free_text_{}", number + 1)] = json!(cut(line, RECEIPT_CHARS_MAX));
            }
        }
        counter
    }

    fn item_name(&self) -> String {
        // Alfamart's tills separate fields with this character.
        let name = if self.payment == Payment::Alfamart { self.description.replace('|', "/") } else { self.description.clone() };
        match name.trim() {
            "" => self.metadata.item.to_string(),
            name => cut(name, ITEM_NAME_CHARS_MAX),
        }
    }
}

fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

/// The body of a refund. The `refund_key` keeps it from being made twice.
#[must_use]
pub fn refund_body(key: &str, amount: Option<Rupiah>, reason: &str) -> Value {
    let mut body = json!({ "refund_key": key, "reason": cut(reason, REASON_CHARS_MAX) });
    if let Some(amount) = amount {
        body["amount"] = json!(amount.get());
    }
    body
}

const REASON_CHARS_MAX: usize = 255;

/// The `Idempotency-Key` of one call: 36 hex digits of SHA-256 over the endpoint and the order. Midtrans' keys are
/// global over endpoints and ignore the body. With one key for a charge and its cancel, Midtrans would answer the cancel
/// with the charge.
#[must_use]
pub fn idempotency_key(order_id: &OrderId, endpoint: &str) -> String {
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    digest.update(endpoint.as_bytes());
    digest.update(b"\n");
    digest.update(order_id.as_str().as_bytes());
    qris_core::hex(&digest.finish().as_ref()[..IDEMPOTENCY_KEY_BYTES])
}

/// 36 hex digits: the shorter of the two documented limits (46 and 36).
const IDEMPOTENCY_KEY_BYTES: usize = 18;

#[cfg(test)]
pub mod tests {
    use super::*;
    use qris_core::order::ids::{DeviceId, ItemId, RequestId, Ticket};

    pub fn request(order_id: &str, amount: u64) -> ChargeRequest {
        ChargeRequest {
            order_id: OrderId::new(order_id).expect("an order_id"),
            description: "Teh botol 350 ml".into(),
            payment: Payment::Gopay,
            metadata: Metadata {
                device: DeviceId::new("vm-001").expect("a device"),
                request_id: RequestId::new("r-1").expect("a request_id"),
                item: ItemId::new("A1").expect("an item"),
                amount: Rupiah::new(amount).expect("an amount"),
                ticket: Ticket::from_random([7; 16]),
            },
        }
    }

    #[test]
    fn a_gopay_charge_is_what_the_documents_say() {
        let body = request("o-1", 5_000).body(&ChargeOptions::default());
        assert_eq!(
            body,
            json!({
                "payment_type": "gopay",
                "transaction_details": { "order_id": "o-1", "gross_amount": 5000 },
                "item_details": [{ "id": "A1", "price": 5000, "quantity": 1, "name": "Teh botol 350 ml" }],
                "custom_field1": "vm-001",
                "custom_field2": "r-1",
                "custom_field3": format!("A1|5000|{}", Ticket::from_random([7; 16])),
            })
        );
    }

    #[test]
    fn what_the_merchant_wants_goes_with_a_charge() {
        let qris = ChargeOptions { charge_as: ChargeAs::Qris, acquirer: Acquirer::AirpayShopee, ..ChargeOptions::default() };
        assert_eq!(request("o-1", 5_000).body(&qris)["qris"]["acquirer"], "airpay shopee");
        let customer = Customer { first_name: Some("Kios".into()), phone: Some("0812".into()), ..Customer::default() };
        let options = ChargeOptions {
            finish_base: Some("https://pay.example/pay/".into()),
            customer: Some(customer),
            qr_expiry_min: Some(20),
            counter_expiry_min: 90,
            ..ChargeOptions::default()
        };
        let body = request("o-1", 5_000).body(&options);
        let key = page_key(&OrderId::new("o-1").expect("an order_id"), &Ticket::from_random([7; 16]));
        let back = format!("https://pay.example/pay/o-1/finish?key={key}");
        assert_eq!(body["gopay"], json!({ "enable_callback": true, "callback_url": back }));
        assert_eq!(body["customer_details"], json!({ "first_name": "Kios", "phone": "0812" }));
        assert_eq!(body["custom_expiry"], json!({ "expiry_duration": 20, "unit": "minute" }));
        let counter = ChargeRequest { payment: Payment::Indomaret, ..request("o-1", 10_000) }.body(&options);
        assert_eq!(counter["custom_expiry"], json!({ "expiry_duration": 90, "unit": "minute" }));
        assert_eq!((options.lifetime(Payment::Gopay), options.lifetime(Payment::Alfamart)), (Span::secs(1200), Span::secs(90 * 60)));
    }

    #[test]
    fn a_counter_gets_its_texts_within_its_limits() {
        let long = "Teh | botol ".repeat(6);
        let body = ChargeRequest { payment: Payment::Alfamart, description: long, ..request("o-1", 5_000) }.body(&ChargeOptions::default());
        assert_eq!((&body["payment_type"], &body["cstore"]["store"]), (&json!("cstore"), &json!("alfamart")));
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        for (field, limit) in [("message", 20), ("alfamart_free_text_1", 40), ("alfamart_free_text_2", 40), ("alfamart_free_text_3", 40)] {
            let line = text(&body["cstore"][field]);
            assert!((1..=limit).contains(&line.chars().count()) && !line.contains('|'), "{field}: {line:?}");
        }
        assert!(!text(&body["item_details"][0]["name"]).contains('|'));
        let indomaret = ChargeRequest { payment: Payment::Indomaret, ..request("o-1", 10_000) }.body(&ChargeOptions::default());
        assert_eq!(indomaret["cstore"], json!({ "store": "indomaret", "message": "Teh botol 350 ml" }));
    }

    #[test]
    fn a_refund_is_of_everything_and_named_by_its_key() {
        let body = refund_body("o-1-r2", Rupiah::new(5_000).ok(), &"x".repeat(300));
        assert_eq!((&body["refund_key"], &body["amount"]), (&json!("o-1-r2"), &json!(5000)));
        assert_eq!(body["reason"].as_str().map(str::len), Some(255));
        assert!(refund_body("o-1", None, "r").get("amount").is_none());
    }

    #[test]
    fn names_are_cut_in_characters_and_never_empty() {
        for (description, name) in [("é".repeat(51), "é".repeat(50)), ("  ".into(), "A1".into()), (" Kopi ".into(), "Kopi".into())] {
            let request = ChargeRequest { description, ..request("o-1", 1) };
            assert_eq!(request.body(&ChargeOptions::default())["item_details"][0]["name"], name);
        }
    }

    #[test]
    fn idempotency_keys_differ_by_order_and_endpoint() {
        let id = |text| OrderId::new(text).expect("an order_id");
        let key = idempotency_key(&id("o-1"), "charge");
        assert_eq!(key.len(), 36);
        assert_eq!(key, idempotency_key(&id("o-1"), "charge"));
        assert_ne!(key, idempotency_key(&id("o-1"), "cancel"));
        assert_ne!(key, idempotency_key(&id("o-2"), "charge"));
    }
}
