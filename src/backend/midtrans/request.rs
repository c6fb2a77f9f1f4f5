//! What is sent: the body of a charge, and the three custom fields by which a backend that forgot an order can rebuild it.

use crate::order::ids::{DeviceId, ItemId, OrderId, RequestId, Ticket};
use crate::order::money::Rupiah;
use serde_json::{Value, json};

/// The longest `item_details.name`: Midtrans gives no limit for the Core API, Snap's is 50, integrators cut there.
const ITEM_NAME_CHARS_MAX: usize = 50;

/// Which `payment_type` a QR is charged as. Every QRIS app can pay either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChargeAs {
    /// `gopay`: a QR image and a deeplink, no `qr_string` in any sample seen.
    #[default]
    Gopay,
    /// `qris`: the payload itself as `qr_string`, no deeplink.
    Qris,
}

/// What a charge is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeRequest {
    /// New for each attempt.
    pub order_id: OrderId,
    /// What the customer reads in the app; cut to 50 characters, the item's id where it is blank.
    pub description: String,
    /// Whose order it is and what is sold for how much.
    pub fields: CustomFields,
}

/// What `custom_field1..3` carry: device; request_id; `item|amount|ticket`. Midtrans repeats them in get-status and in
/// notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomFields {
    /// `custom_field1`
    pub device: DeviceId,
    /// `custom_field2`
    pub request_id: RequestId,
    /// `custom_field3`, first
    pub item: ItemId,
    /// `custom_field3`, second: the price, whole rupiah
    pub amount: Rupiah,
    /// `custom_field3`, last
    pub ticket: Ticket,
}

impl CustomFields {
    /// The three texts, in order.
    #[must_use]
    pub fn to_texts(&self) -> [String; 3] {
        let third = format!("{}|{}|{}", self.item, self.amount.get(), self.ticket);
        [self.device.to_string(), self.request_id.to_string(), third]
    }

    /// Reads them back; `None` where they were not written by [`CustomFields::to_texts`].
    #[must_use]
    pub fn from_texts(device: &str, request_id: &str, third: &str) -> Option<Self> {
        let mut parts = third.split('|');
        let (item, amount, ticket) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let fields = Self {
            device: DeviceId::new(device).ok()?,
            request_id: RequestId::new(request_id).ok()?,
            item: ItemId::new(item).ok()?,
            amount: Rupiah::new(amount.parse().ok()?).ok()?,
            ticket: Ticket::new(ticket).ok()?,
        };
        // `+5` and `05` parse as numbers but were never written by us.
        (fields.to_texts()[2] == third).then_some(fields)
    }
}

impl ChargeRequest {
    /// The body of `POST /v2/charge`. No `custom_expiry`: below 15 minutes Midtrans' batch is not reliable, so a shorter
    /// end is a cancel.
    #[must_use]
    pub fn body(&self, charge_as: ChargeAs) -> Value {
        let amount = self.fields.amount.get();
        let [field1, field2, field3] = self.fields.to_texts();
        let mut body = json!({
            "transaction_details": { "order_id": self.order_id.as_str(), "gross_amount": amount },
            "item_details": [{ "id": self.fields.item.as_str(), "price": amount, "quantity": 1, "name": self.item_name() }],
            "custom_field1": field1,
            "custom_field2": field2,
            "custom_field3": field3,
        });
        match charge_as {
            ChargeAs::Gopay => body["payment_type"] = json!("gopay"),
            ChargeAs::Qris => {
                body["payment_type"] = json!("qris");
                body["qris"] = json!({ "acquirer": "gopay" });
            }
        }
        body
    }

    fn item_name(&self) -> String {
        match self.description.trim() {
            "" => self.fields.item.to_string(),
            name => name.chars().take(ITEM_NAME_CHARS_MAX).collect(),
        }
    }
}

/// The `Idempotency-Key` of one call: 36 hex digits of SHA-256 over the endpoint and the order. Midtrans keys are global
/// over endpoints and ignore the body, so one key for a charge and its cancel would answer the cancel with the charge.
#[must_use]
pub fn idempotency_key(order_id: &OrderId, endpoint: &str) -> String {
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    digest.update(endpoint.as_bytes());
    digest.update(b"\n");
    digest.update(order_id.as_str().as_bytes());
    super::hex(&digest.finish().as_ref()[..IDEMPOTENCY_KEY_BYTES])
}

/// 36 hex digits: the shortest of the two documented limits (46 and 36).
const IDEMPOTENCY_KEY_BYTES: usize = 18;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn request(order_id: &str, amount: u64) -> ChargeRequest {
        ChargeRequest {
            order_id: OrderId::new(order_id).expect("an order_id"),
            description: "Teh botol 350 ml".into(),
            fields: CustomFields {
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
        let body = request("o-1", 5_000).body(ChargeAs::Gopay);
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
        assert_eq!(request("o-1", 5_000).body(ChargeAs::Qris)["qris"]["acquirer"], "gopay");
    }

    #[test]
    fn names_are_cut_in_characters_and_never_empty() {
        for (description, name) in [("é".repeat(51), "é".repeat(50)), ("  ".into(), "A1".into()), (" Kopi ".into(), "Kopi".into())] {
            let request = ChargeRequest { description, ..request("o-1", 1) };
            assert_eq!(request.body(ChargeAs::Gopay)["item_details"][0]["name"], name);
        }
    }

    #[test]
    fn custom_fields_read_back_and_nothing_else_does() {
        let fields = request("o-1", 5_000).fields;
        let [a, b, c] = fields.to_texts();
        assert_eq!(CustomFields::from_texts(&a, &b, &c), Some(fields));
        for third in ["", "A1|5000", "A1|0|x", &format!("{c}|x"), &c.replace("5000", "+5000"), &c.replace("5000", "05000")] {
            assert_eq!(CustomFields::from_texts(&a, &b, third), None, "{third}");
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
