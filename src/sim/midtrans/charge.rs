//! The body of a charge, read as strictly as Midtrans is known to read it.

use crate::order::time::{Span, Wall};
use serde_json::{Map, Value};

/// What is charged.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Charge {
    pub kind: Kind,
    pub order_id: String,
    pub amount: u64,
    pub expires_at: Wall,
    pub custom_fields: [Option<String>; 3],
    pub metadata: Option<Value>,
}

/// The `payment_type`s that make a QR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gopay,
    Qris,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gopay => "gopay",
            Self::Qris => "qris",
        }
    }

    /// The acquirer's limit of one payment.
    const fn amount_max(self) -> u64 {
        match self {
            Self::Gopay => 20_000_000,
            Self::Qris => 10_000_000,
        }
    }
}

/// Why a body is no charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// `null`, which the official Python tests send: 500.
    Null,
    /// No JSON object: 413.
    Syntax,
    /// 400, with what is wrong.
    Invalid(Vec<String>),
    /// A `payment_type` that this merchant does not have: 402.
    NotActivated,
}

const ORDER_ID_CHARS_MAX: usize = 50;
const NAME_CHARS_MAX: usize = 50;
const CUSTOM_FIELD_CHARS_MAX: usize = 255;
const EXPIRY_MIN: Span = Span::secs(20);
const EXPIRY_MAX: Span = Span::secs(7 * 86_400);

/// Reads a charge; `default_expiry` holds where the body asks for none.
pub(super) fn read(body: &[u8], default_expiry: Span, now: Wall) -> Result<Charge, Refused> {
    let body = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(body)) => body,
        Ok(Value::Null) => return Err(Refused::Null),
        Ok(_) | Err(_) => return Err(Refused::Syntax),
    };
    let kind = match body.get("payment_type").and_then(Value::as_str) {
        None => return Err(Refused::Invalid(vec!["payment_type is required".into()])),
        Some("gopay") => Kind::Gopay,
        Some("qris") => Kind::Qris,
        Some(_) => return Err(Refused::NotActivated),
    };
    let mut wrong = Vec::new();
    let nothing = Map::new();
    let details = body.get("transaction_details").and_then(Value::as_object).unwrap_or(&nothing);
    let order_id = order_id(details, &mut wrong);
    let amount = amount(details, kind, &mut wrong);
    items(body.get("item_details"), amount, &mut wrong);
    let custom_fields = ["custom_field1", "custom_field2", "custom_field3"].map(|name| custom_field(&body, name, &mut wrong));
    let expires_at = expires_at(body.get("custom_expiry"), default_expiry, now, &mut wrong);
    let metadata = body.get("metadata").filter(|metadata| metadata.is_object()).cloned();
    if wrong.is_empty() { Ok(Charge { kind, order_id, amount, expires_at, custom_fields, metadata }) } else { Err(Refused::Invalid(wrong)) }
}

fn order_id(details: &Map<String, Value>, wrong: &mut Vec<String>) -> String {
    let id = details.get("order_id").and_then(Value::as_str).unwrap_or("");
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_~.".contains(c);
    if id.is_empty() {
        wrong.push("transaction_details.order_id is required".into());
    } else if id.chars().count() > ORDER_ID_CHARS_MAX {
        wrong.push("transaction_details.order_id length must be less than or equal to 50".into());
    } else if !id.chars().all(allowed) {
        wrong.push("transaction_details.order_id contains characters that are not allowed".into());
    }
    id.to_owned()
}

fn amount(details: &Map<String, Value>, kind: Kind, wrong: &mut Vec<String>) -> u64 {
    let Some(value) = details.get("gross_amount") else {
        wrong.push("transaction_details.gross_amount is required".into());
        return 0;
    };
    match whole(value).and_then(|amount| u64::try_from(amount).ok()) {
        Some(0) | None => wrong.push("transaction_details.gross_amount must be a whole number, at least 0.01".into()),
        Some(amount) if amount > kind.amount_max() => wrong.push("transaction_details.gross_amount is above the limit".into()),
        Some(amount) => return amount,
    }
    0
}

/// A number without decimals, or one in quotes, which the client libraries let through.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.to_string().strip_suffix(".0")?.parse().ok()),
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn items(items: Option<&Value>, amount: u64, wrong: &mut Vec<String>) {
    let Some(items) = items else { return };
    let Some(items) = items.as_array() else {
        wrong.push("item_details must be a list".into());
        return;
    };
    let mut sum = Some(0_i64);
    for item in items {
        let price = item.get("price").and_then(whole);
        let quantity = item.get("quantity").and_then(whole).filter(|quantity| *quantity >= 1);
        sum = sum.zip(price.zip(quantity)).and_then(|(sum, (price, quantity))| sum.checked_add(price.checked_mul(quantity)?));
        match item.get("name").and_then(Value::as_str).map(|name| name.chars().count()) {
            None | Some(0) => wrong.push("item_details.name is required".into()),
            // Whether Core API refuses or cuts is not known: to refuse is what a client must survive.
            Some(length) if length > NAME_CHARS_MAX => wrong.push("item_details.name length must be less than or equal to 50".into()),
            Some(_) => {}
        }
    }
    if sum.is_none_or(|sum| u64::try_from(sum) != Ok(amount)) {
        wrong.push("transaction_details.gross_amount is not equal to the sum of item_details".into());
    }
}

fn custom_field(body: &Map<String, Value>, name: &str, wrong: &mut Vec<String>) -> Option<String> {
    let text = body.get(name)?.as_str()?;
    if text.chars().count() > CUSTOM_FIELD_CHARS_MAX {
        wrong.push(format!("{name} length must be less than or equal to 255"));
    }
    Some(text.to_owned())
}

/// `order_time` "yyyy-MM-dd HH:mm:ss +0700" (else now) and so many units after it.
fn expires_at(custom: Option<&Value>, default: Span, now: Wall, wrong: &mut Vec<String>) -> Wall {
    let Some(custom) = custom.filter(|custom| !custom.is_null()) else { return now + default };
    let from = match custom.get("order_time").and_then(Value::as_str) {
        None => Some(now),
        Some(text) => text.strip_suffix(" +0700").and_then(|text| Wall::from_midtrans(text).ok()),
    };
    let unit = match custom.get("unit").and_then(Value::as_str) {
        Some("second") => Some(1),
        Some("minute") | None => Some(60),
        Some("hour") => Some(3_600),
        Some("day") => Some(86_400),
        Some(_) => None,
    };
    let seconds = custom.get("expiry_duration").and_then(whole).zip(unit).and_then(|(n, unit)| n.checked_mul(unit));
    let span = seconds.filter(|seconds| (0..=EXPIRY_MAX.0 / 1_000).contains(seconds)).map(Span::secs);
    match from.zip(span) {
        Some((from, span)) if span >= EXPIRY_MIN && from + span > now => from + span,
        _ => {
            wrong.push("custom_expiry is not valid: 20 seconds to 7 days".into());
            now + default
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Wall = Wall(1_800_000_000_000);

    fn good() -> Value {
        json!({
            "payment_type": "gopay",
            "transaction_details": { "order_id": "o-1", "gross_amount": 5000 },
            "item_details": [{ "id": "A1", "price": 6000, "quantity": 1, "name": "Teh" }, { "price": -500, "quantity": 2, "name": "Promo" }],
            "custom_field1": "vm-001",
        })
    }

    fn result(body: &Value) -> Result<Charge, Refused> {
        read(body.to_string().as_bytes(), Span::secs(900), NOW)
    }

    #[test]
    fn a_good_charge_is_read() {
        let charge = result(&good()).expect("good");
        assert_eq!((charge.amount, charge.expires_at), (5_000, NOW + Span::secs(900)));
        assert_eq!(charge.custom_fields, [Some("vm-001".to_owned()), None, None]);
        let mut quoted = good();
        quoted["transaction_details"]["gross_amount"] = json!("5000");
        quoted["custom_expiry"] = json!({ "expiry_duration": "20", "unit": "minute" });
        assert_eq!(result(&quoted).expect("as clients send it").expires_at, NOW + Span::secs(1_200));
    }

    #[test]
    fn bad_charges_are_told_what_is_wrong() {
        let rows: [(&str, Value, &str); 13] = [
            ("/transaction_details/order_id", json!(""), "order_id is required"),
            ("/transaction_details/order_id", json!("a/b"), "not allowed"),
            ("/transaction_details/order_id", json!("x".repeat(51)), "less than or equal to 50"),
            ("/transaction_details/gross_amount", json!(0), "at least 0.01"),
            ("/transaction_details/gross_amount", json!(-5), "at least 0.01"),
            ("/transaction_details/gross_amount", json!(5000.5), "whole number"),
            ("/transaction_details/gross_amount", json!(20_000_001), "above the limit"),
            ("/transaction_details/gross_amount", json!(5001), "sum of item_details"),
            ("/item_details/0/quantity", json!(0), "sum of item_details"),
            ("/item_details/0/name", json!("x".repeat(51)), "less than or equal to 50"),
            ("/item_details/0/price", json!(i64::MAX), "sum of item_details"),
            ("/custom_field1", json!("x".repeat(256)), "custom_field1"),
            ("/payment_type", Value::Null, "payment_type is required"),
        ];
        for (at, value, expected) in rows {
            let mut body = good();
            *body.pointer_mut(at).expect("in the good one") = value.clone();
            let Err(Refused::Invalid(wrong)) = result(&body) else { panic!("{at} {value} was taken") };
            assert!(wrong.iter().any(|text| text.contains(expected)), "{at} {value}: {wrong:?}");
        }
        for expiry in [
            json!({ "expiry_duration": 19, "unit": "second" }),
            json!({ "expiry_duration": 8, "unit": "day" }),
            json!({ "expiry_duration": 1, "unit": "HOUR" }),
        ] {
            let mut body = good();
            body["custom_expiry"] = expiry.clone();
            assert!(matches!(result(&body), Err(Refused::Invalid(_))), "{expiry}");
        }
        assert_eq!(result(&json!(null)), Err(Refused::Null));
        assert_eq!(result(&json!([])), Err(Refused::Syntax));
        assert_eq!(read(b"{", Span::secs(900), NOW), Err(Refused::Syntax));
        assert_eq!(result(&json!({ "payment_type": "cstore" })), Err(Refused::NotActivated));
    }
}
