//! The body of a charge. It is read as strictly as Midtrans is known to read it.

use super::Options;
use super::channel::{Acquirer, Channel, Store};
use qris_core::order::time::{Span, Wall};
use serde_json::{Map, Value};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Charge {
    pub channel: Channel,
    pub order_id: String,
    pub amount: u64,
    pub expires_at: Wall,
    pub goods: Vec<String>,
    pub custom_fields: [Option<String>; 3],
    pub metadata: Option<Value>,
    pub callback_url: Option<String>,
    pub receipt: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RefusedCharge {
    /// `null`, which the official Python tests send. The answer is 500.
    Null,
    /// It is no JSON object. The answer is 413.
    Syntax,
    /// Something in it is wrong. The answer is 400.
    Invalid(Vec<String>),
    /// This merchant does not have the `payment_type`. The answer is 402.
    NotActivated,
}

const ORDER_ID_CHARS_MAX: usize = 50;
const NAME_CHARS_MAX: usize = 50;
const CUSTOM_FIELD_CHARS_MAX: usize = 255;
const CUSTOMER_FIELD_CHARS_MAX: usize = 255;
const CSTORE_MESSAGE_CHARS_MAX: usize = 20;
const CSTORE_FREE_TEXT_CHARS_MAX: usize = 40;
const EXPIRY_MIN: Span = Span::secs(20);

/// A JSON object, or the fault of a body that is none.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, RefusedCharge> {
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(Value::Null) => Err(RefusedCharge::Null),
        Ok(_) | Err(_) => Err(RefusedCharge::Syntax),
    }
}

pub(super) fn read(body: &[u8], options: &Options, now: Wall) -> Result<Charge, RefusedCharge> {
    let body = object(body)?;
    let mut wrong = Vec::new();
    let payment_type = match body.get("payment_type").and_then(Value::as_str) {
        None | Some("") => return Err(RefusedCharge::Invalid(vec!["payment_type is required".into()])),
        Some(name) => name,
    };
    let nothing = Map::new();
    let section = |name: &str| body.get(name).and_then(Value::as_object).unwrap_or(&nothing);
    let channel = channel(payment_type, section(payment_type), &mut wrong)?;
    let details = section("transaction_details");
    let order_id = order_id(details, &mut wrong);
    let amount = amount(details, channel, &mut wrong);
    let goods = items(body.get("item_details"), amount, channel, &mut wrong);
    customer(section("customer_details"), &mut wrong);
    let custom_fields = ["custom_field1", "custom_field2", "custom_field3"].map(|name| custom_field(&body, name, &mut wrong));
    let expires_at = expires_at(body.get("custom_expiry"), channel, options, now, &mut wrong);
    let metadata = body.get("metadata").filter(|metadata| metadata.is_object()).cloned();
    let text = |section: &Map<String, Value>, name: &str| section.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
    let gopay = section("gopay");
    let wants_callback = gopay.get("enable_callback").and_then(Value::as_bool).unwrap_or(false);
    let callback_url = text(gopay, "callback_url").filter(|_| channel == Channel::Gopay && wants_callback);
    let receipt = receipt(channel, section("cstore"), &mut wrong);
    let charge = Charge { channel, order_id, amount, expires_at, goods, custom_fields, metadata, callback_url, receipt };
    if wrong.is_empty() { Ok(charge) } else { Err(RefusedCharge::Invalid(wrong)) }
}

fn channel(payment_type: &str, section: &Map<String, Value>, wrong: &mut Vec<String>) -> Result<Channel, RefusedCharge> {
    let word = |name: &str| section.get(name).and_then(Value::as_str).map(str::to_ascii_lowercase);
    let mut refuse = |why: &str, instead: Channel| {
        wrong.push(why.to_owned());
        Ok(instead)
    };
    match payment_type {
        "gopay" => Ok(Channel::Gopay),
        "qris" => match word("acquirer").as_deref() {
            None | Some("gopay") => Ok(Channel::Qris(Acquirer::Gopay)),
            Some("airpay shopee") => Ok(Channel::Qris(Acquirer::AirpayShopee)),
            Some(_) => refuse("qris.acquirer is not supported", Channel::Qris(Acquirer::Gopay)),
        },
        // The documents write the names of the shops in upper and in lower case.
        "cstore" => match word("store").as_deref() {
            Some("alfamart") => Ok(Channel::Cstore(Store::Alfamart)),
            Some("indomaret") => Ok(Channel::Cstore(Store::Indomaret)),
            None => refuse("cstore.store is required", Channel::Cstore(Store::Alfamart)),
            Some(_) => refuse("cstore.store is not supported", Channel::Cstore(Store::Alfamart)),
        },
        _ => Err(RefusedCharge::NotActivated),
    }
}

fn order_id(details: &Map<String, Value>, wrong: &mut Vec<String>) -> String {
    let id = order_id_of(details);
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_~.".contains(c);
    if id.is_empty() {
        wrong.push("transaction_details.order_id is required".into());
    } else if id.chars().count() > ORDER_ID_CHARS_MAX {
        wrong.push("transaction_details.order_id length must be less than or equal to 50".into());
    } else if !id.chars().all(allowed) {
        wrong.push("transaction_details.order_id contains characters that are not allowed".into());
    }
    id
}

/// A text. A number is taken too, since the documents' samples for PHP send numbers.
pub(super) fn order_id_of(details: &Map<String, Value>) -> String {
    match details.get("order_id") {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(id)) => id.to_string(),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => String::new(),
    }
}

fn amount(details: &Map<String, Value>, channel: Channel, wrong: &mut Vec<String>) -> u64 {
    let limits = channel.limits();
    let Some(value) = details.get("gross_amount") else {
        wrong.push("transaction_details.gross_amount is required".into());
        return 0;
    };
    match whole(value).and_then(|amount| u64::try_from(amount).ok()) {
        Some(0) | None => wrong.push("transaction_details.gross_amount must be a whole number, at least 0.01".into()),
        Some(amount) if amount > *limits.end() => {
            wrong.push(format!("transaction_details.gross_amount is above the limit of {}", limits.end()))
        }
        Some(amount) if amount < *limits.start() => {
            wrong.push(format!("transaction_details.gross_amount is below the limit of {}", limits.start()))
        }
        Some(amount) => return amount,
    }
    0
}

/// A number without decimals, or with only zeros as decimals. It may be in quotes: the client libraries let
/// that through.
pub(super) fn whole(value: &Value) -> Option<i64> {
    let read = |text: &str| match text.split_once('.') {
        None => text.parse().ok(),
        Some((whole, decimals)) if decimals.bytes().all(|digit| digit == b'0') => whole.parse().ok(),
        Some(_) => None,
    };
    match value {
        Value::Number(number) => read(&number.to_string()),
        Value::String(text) => read(text),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn items(items: Option<&Value>, amount: u64, channel: Channel, wrong: &mut Vec<String>) -> Vec<String> {
    let Some(items) = items.filter(|items| !items.is_null()) else { return Vec::new() };
    let Some(items) = items.as_array() else {
        wrong.push("item_details must be a list".into());
        return Vec::new();
    };
    let (mut sum, mut goods) = (Some(0_i64), Vec::new());
    for item in items {
        let price = item.get("price").and_then(whole);
        let quantity = item.get("quantity").and_then(whole).filter(|quantity| *quantity >= 1);
        sum = sum.zip(price.zip(quantity)).and_then(|(sum, (price, quantity))| sum.checked_add(price.checked_mul(quantity)?));
        let name = item.get("name").and_then(Value::as_str);
        if channel == Channel::Cstore(Store::Alfamart) && name.is_some_and(|name| name.contains('|')) {
            wrong.push("item_details.name contains characters that are not allowed".into());
        }
        match name.map(|name| name.chars().count()) {
            None | Some(0) => wrong.push("item_details.name is required".into()),
            // Nobody knows whether Core API refuses or cuts. A client must survive a refusal, so this
            // refuses.
            Some(length) if length > NAME_CHARS_MAX => wrong.push("item_details.name length must be less than or equal to 50".into()),
            Some(_) => goods.extend(name.map(ToOwned::to_owned)),
        }
    }
    if sum.is_none_or(|sum| u64::try_from(sum) != Ok(amount)) {
        wrong.push("transaction_details.gross_amount is not equal to the sum of item_details".into());
    }
    goods
}

fn custom_field(body: &Map<String, Value>, name: &str, wrong: &mut Vec<String>) -> Option<String> {
    let text = body.get(name)?.as_str()?;
    if text.chars().count() > CUSTOM_FIELD_CHARS_MAX {
        wrong.push(format!("{name} length must be less than or equal to 255"));
    }
    Some(text.to_owned())
}

fn customer(details: &Map<String, Value>, wrong: &mut Vec<String>) {
    for (name, value) in details {
        if value.as_str().is_some_and(|text| text.chars().count() > CUSTOMER_FIELD_CHARS_MAX) {
            wrong.push(format!("customer_details.{name} length must be less than or equal to 255"));
        }
    }
}

/// The text that Alfamart prints: three lines. `message` stands on the cashier's screen.
fn receipt(channel: Channel, cstore: &Map<String, Value>, wrong: &mut Vec<String>) -> Vec<String> {
    let Channel::Cstore(store) = channel else { return Vec::new() };
    let mut text = |name: &str, chars_max: usize| {
        let text = cstore.get(name)?.as_str()?;
        if text.chars().count() > chars_max {
            wrong.push(format!("cstore.{name} length must be less than or equal to {chars_max}"));
        }
        if store == Store::Alfamart && text.contains('|') {
            wrong.push(format!("cstore.{name} contains characters that are not allowed"));
        }
        Some(text.to_owned())
    };
    text("message", CSTORE_MESSAGE_CHARS_MAX);
    let lines = ["alfamart_free_text_1", "alfamart_free_text_2", "alfamart_free_text_3"];
    match store {
        Store::Alfamart => lines.iter().filter_map(|name| text(name, CSTORE_FREE_TEXT_CHARS_MAX)).collect(),
        Store::Indomaret => Vec::new(),
    }
}

/// The end of the charge: `order_time` "yyyy-MM-dd HH:mm:ss +0700" (else now) plus the given number of units.
fn expires_at(custom: Option<&Value>, channel: Channel, options: &Options, now: Wall, wrong: &mut Vec<String>) -> Wall {
    let default = if channel.has_qr() { options.expiry } else { options.counter_expiry };
    let Some(custom) = custom.filter(|custom| !custom.is_null()) else { return now + default };
    let from = match custom.get("order_time").and_then(Value::as_str) {
        None => Some(now),
        Some(text) => text.strip_suffix(" +0700").and_then(|text| Wall::from_wib(text).ok()),
    };
    let unit = match custom.get("unit").and_then(Value::as_str) {
        Some("second") => Some(1),
        Some("minute") | None => Some(60),
        Some("hour") => Some(3_600),
        Some("day") => Some(86_400),
        Some(_) => None,
    };
    let seconds = custom.get("expiry_duration").and_then(whole).zip(unit).and_then(|(n, unit)| n.checked_mul(unit));
    let span = seconds.filter(|seconds| (0..=channel.expiry_max().0 / 1_000).contains(seconds)).map(Span::secs);
    match from.zip(span) {
        Some((from, span)) if span >= EXPIRY_MIN && from + span > now => from + span,
        _ => {
            wrong.push(format!("custom_expiry is not valid: 20 seconds to {} days", channel.expiry_max().0 / 86_400_000));
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

    fn result(body: &Value) -> Result<Charge, RefusedCharge> {
        read(body.to_string().as_bytes(), &Options::new("key", ""), NOW)
    }

    #[test]
    fn a_good_charge_is_read() {
        let charge = result(&good()).expect("good");
        assert_eq!((charge.amount, charge.expires_at), (5_000, NOW + Span::secs(900)));
        assert_eq!(charge.custom_fields, [Some("vm-001".to_owned()), None, None]);
        assert_eq!(charge.goods, ["Teh", "Promo"]);
        let mut quoted = good();
        quoted["transaction_details"]["gross_amount"] = json!("5000");
        quoted["transaction_details"]["order_id"] = json!(1_578_557_780);
        quoted["custom_expiry"] = json!({ "expiry_duration": "20", "unit": "minute" });
        let charge = result(&quoted).expect("as clients send it");
        assert_eq!((charge.expires_at, charge.order_id.as_str()), (NOW + Span::secs(1_200), "1578557780"));
        for (amount, expected) in
            [(json!("5000.00"), Some(5_000)), (json!(5000.0), Some(5_000)), (json!("5000.5"), None), (json!("x"), None)]
        {
            assert_eq!(whole(&amount), expected, "{amount}");
        }
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
            let Err(RefusedCharge::Invalid(wrong)) = result(&body) else { panic!("{at} {value} was taken") };
            assert!(wrong.iter().any(|text| text.contains(expected)), "{at} {value}: {wrong:?}");
        }
        for expiry in [
            json!({ "expiry_duration": 19, "unit": "second" }),
            json!({ "expiry_duration": 8, "unit": "day" }),
            json!({ "expiry_duration": 1, "unit": "HOUR" }),
        ] {
            let mut body = good();
            body["custom_expiry"] = expiry.clone();
            assert!(matches!(result(&body), Err(RefusedCharge::Invalid(_))), "{expiry}");
        }
        assert_eq!(result(&json!(null)), Err(RefusedCharge::Null));
        assert_eq!(result(&json!([])), Err(RefusedCharge::Syntax));
        assert_eq!(read(b"{", &Options::new("key", ""), NOW), Err(RefusedCharge::Syntax));
        assert_eq!(result(&json!({ "payment_type": "echannel" })), Err(RefusedCharge::NotActivated));
    }

    #[test]
    fn shops_and_acquirers_are_read() {
        type Row = (&'static str, Value, u64, Result<Channel, &'static str>);
        let rows: [Row; 13] = [
            ("cstore", json!({ "store": "alfamart" }), 5_000, Ok(Channel::Cstore(Store::Alfamart))),
            ("cstore", json!({ "store": "Indomaret", "message": "x".repeat(20) }), 10_000, Ok(Channel::Cstore(Store::Indomaret))),
            ("cstore", json!({ "store": "indomaret" }), 9_999, Err("below the limit of 10000")),
            ("cstore", json!({ "store": "alfamart" }), 5_000_001, Err("above the limit of 5000000")),
            ("cstore", json!({ "store": "seven" }), 5_000, Err("cstore.store is not supported")),
            ("cstore", json!({}), 5_000, Err("cstore.store is required")),
            ("cstore", json!({ "store": "alfamart", "message": "x".repeat(21) }), 5_000, Err("less than or equal to 20")),
            ("cstore", json!({ "store": "alfamart", "alfamart_free_text_2": "x".repeat(41) }), 5_000, Err("less than or equal to 40")),
            ("cstore", json!({ "store": "alfamart", "alfamart_free_text_1": "a|b" }), 5_000, Err("not allowed")),
            ("qris", json!({}), 5_000, Ok(Channel::Qris(Acquirer::Gopay))),
            ("qris", json!({ "acquirer": "airpay shopee" }), 5_000, Ok(Channel::Qris(Acquirer::AirpayShopee))),
            ("qris", json!({ "acquirer": "nobody" }), 5_000, Err("qris.acquirer")),
            ("qris", json!({}), 10_000_001, Err("above the limit of 10000000")),
        ];
        for (payment_type, section, amount, expected) in rows {
            let mut body = json!({ "payment_type": payment_type, "transaction_details": { "order_id": "o-1", "gross_amount": amount } });
            body[payment_type] = section.clone();
            match (result(&body), expected) {
                (Ok(charge), Ok(channel)) => assert_eq!(charge.channel, channel, "{section}"),
                (Err(RefusedCharge::Invalid(wrong)), Err(why)) => {
                    assert!(wrong.iter().any(|text| text.contains(why)), "{section}: {wrong:?}")
                }
                (seen, expected) => panic!("{section} {amount}: {seen:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn expiry_has_limits_for_each_channel() {
        for (payment_type, section, days, taken) in [
            ("gopay", json!({}), 7, true),
            ("gopay", json!({}), 8, false),
            ("qris", json!({ "acquirer": "airpay shopee" }), 5, true),
            ("qris", json!({ "acquirer": "airpay shopee" }), 6, false),
            ("cstore", json!({ "store": "indomaret" }), 180, true),
            ("cstore", json!({ "store": "indomaret" }), 181, false),
        ] {
            let mut body = json!({ "payment_type": payment_type, "transaction_details": { "order_id": "o-1", "gross_amount": 10_000 },
                "custom_expiry": { "order_time": format!("{} +0700", NOW.to_wib()), "expiry_duration": days, "unit": "day" } });
            body[payment_type] = section;
            let expected = taken.then(|| NOW + Span::secs(days * 86_400));
            assert_eq!(result(&body).ok().map(|charge| charge.expires_at), expected, "{payment_type} {days}");
        }
        let mut body = json!({ "payment_type": "cstore", "cstore": { "store": "alfamart" },
            "transaction_details": { "order_id": "o-1", "gross_amount": 10_000 } });
        assert_eq!(result(&body).expect("good").expires_at, NOW + Span::secs(86_400), "a day where nothing is asked for");
        for order_time in ["2026-01-01 00:00:00", "tomorrow", "2020-01-01 00:00:00 +0700"] {
            body["custom_expiry"] = json!({ "order_time": order_time, "expiry_duration": 20 });
            assert!(result(&body).is_err(), "{order_time}");
        }
    }
}
