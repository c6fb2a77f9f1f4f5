use super::super::RefundDays;
use super::super::words::{no_charge, not_cancelled, refund_answer, refund_within, status_of_error};
use super::*;
use crate::gateway::{Cancelled, StatusAnswer};
use qris_core::order::merchant::{NoCharge, RefundAnswer, Said};
use qris_core::order::time::Span;
use serde_json::json;

fn pending() -> Value {
    json!({
        "status_code": "201", "status_message": "GoPay transaction is created", "transaction_id": "e48447d1-cfa9-4b02-b163-2e915d4417ac",
        "order_id": "o-1", "merchant_id": "G179890270", "gross_amount": "5000.00", "currency": "IDR", "payment_type": "gopay",
        "transaction_time": "2024-01-13 17:51:40", "transaction_status": "pending", "fraud_status": "accept",
        "actions": [
            { "name": "generate-qr-code", "method": "GET", "url": "https://a.example/qr" },
            { "name": "deeplink-redirect", "method": "GET", "url": "https://a.example/link" },
            { "name": "cancel", "method": "POST", "url": "https://a.example/cancel", "fields": [] },
        ],
        "expiry_time": "2024-01-13 18:06:40",
    })
}

fn with(changes: Value) -> Value {
    let mut body = pending();
    for (name, value) in changes.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

fn read(body: &Value) -> Result<Transaction, MidtransError> {
    classify(200, body.to_string().as_bytes())
}

#[test]
fn a_charge_is_read_whole() {
    let charge = classify_charge(200, pending().to_string().as_bytes()).expect("a charge");
    assert_eq!(charge.gross_amount, Rupiah::new(5_000).ok());
    assert_eq!(charge.expiry_time, Wall::from_wib("2024-01-13 18:06:40").ok());
    assert_eq!(charge.action("generate-qr-code"), Some("https://a.example/qr"));
    assert_eq!(charge.deeplink_url(), Some("https://a.example/link"));
    assert_eq!(charge.action("generate-qr-code-v2"), None);
    assert!(!charge.is_settled());
}

#[test]
fn the_bodys_code_decides() {
    let message = |code: &str| json!({ "status_code": code, "status_message": "m", "id": "x" });
    let refused = |code| MidtransError::Refused { code, message: "m".into(), validation: vec![] };
    let rows = [
        ("404", MidtransError::NotFound),
        ("406", MidtransError::Conflict),
        ("412", MidtransError::CannotModify),
        ("401", MidtransError::Unauthorized),
        ("402", MidtransError::NotActivated { message: "m".into() }),
        ("429", MidtransError::RateLimited),
        ("400", refused(400)),
        ("407", refused(407)),
        ("410", refused(410)),
        ("413", refused(413)),
        ("414", refused(414)),
        ("500", MidtransError::Unavailable { code: 500, message: "m".into() }),
        ("505", MidtransError::Unavailable { code: 505, message: "m".into() }),
        ("700", MidtransError::Unreadable("status_code 700 is not known".into())),
    ];
    for (code, expected) in rows {
        // The HTTP status does not matter.
        for http in [200, 400, 404, 503] {
            assert_eq!(classify(http, message(code).to_string().as_bytes()), Err(expected.clone()), "body {code}, HTTP {http}");
        }
    }
    let body = json!({ "status_code": "400", "status_message": "m", "validation_messages": ["order_id is required", 5, null] });
    let validation = vec!["order_id is required".to_owned(), "5".to_owned()];
    assert_eq!(read(&body), Err(MidtransError::Refused { code: 400, message: "m".into(), validation }));
}

#[test]
fn without_a_code_the_http_status_is_all_there_is() {
    let limited = br#"{"message":"API rate limit exceeded"}"#;
    assert_eq!(classify(429, limited), Err(MidtransError::RateLimited));
    assert_eq!(classify(401, b"<html>"), Err(MidtransError::Unauthorized));
    assert_eq!(classify(202, b"{}"), Err(MidtransError::Running));
    assert_eq!(classify(202, b""), Err(MidtransError::Running));
    for http in [500, 502, 599] {
        assert!(matches!(classify(http, b"<html>"), Err(MidtransError::Unavailable { code, .. }) if code == http));
    }
    for http in [200, 204, 301, 404] {
        assert!(matches!(classify(http, b"<html>"), Err(MidtransError::Unreadable(_))), "{http}");
    }
}

#[test]
fn found_transactions_are_told_whatever_became_of_them() {
    for (code, word) in
        [("201", "pending"), ("200", "settlement"), ("200", "cancel"), ("407", "expire"), ("202", "deny"), ("200", "brand_new")]
    {
        let found = read(&with(json!({ "status_code": code, "transaction_status": word }))).expect(word);
        assert_eq!(found.transaction_status.as_str(), word);
        assert_eq!(found.is_settled(), word == "settlement");
    }
    let number = read(&with(json!({ "status_code": 200, "gross_amount": 5000 }))).expect("numbers for texts are read");
    assert_eq!(number.gross_amount, Rupiah::new(5_000).ok());
    let odd = read(&with(json!({ "gross_amount": "5000.50" }))).expect("the books decide");
    assert_eq!((odd.gross_amount, odd.gross_amount_text.as_str()), (None, "5000.50"));
    let expire_time = with(json!({ "expiry_time": null, "expire_time": "2024-01-13 18:06:40" }));
    assert!(read(&expire_time).expect("either spelling").expiry_time.is_some());
    let bare =
        json!({ "status_code": "200", "order_id": "o", "transaction_id": "t", "gross_amount": "1.00", "transaction_status": "settlement" });
    assert!(read(&bare).expect("no more is needed").is_settled());
}

#[test]
fn only_accepted_settlements_are_money() {
    for (status, fraud, settled) in [
        ("settlement", json!("accept"), true),
        ("settlement", Value::Null, true),
        ("settlement", json!("deny"), false),
        ("settlement", json!("challenge"), false),
        ("settlement", json!("new"), false),
        ("capture", json!("accept"), false),
        ("refund", json!("accept"), false),
        ("Settlement", json!("Accept"), true),
        (" SETTLED ", json!("ACCEPT"), true),
        ("settlements", json!("accept"), false),
        ("settlement", json!("accepted"), false),
    ] {
        let found =
            read(&with(json!({ "status_code": "200", "transaction_status": status, "fraud_status": fraud }))).expect("a transaction");
        assert_eq!(found.is_settled(), settled, "{status} {fraud}");
    }
}

#[test]
fn words_are_read_in_any_case_and_in_their_known_spellings() {
    use Said::{Cancelled, ChargedBack, Denied, Expired, Failed, Other, PartlyRefunded, Pending, Refunded, Settled};
    for (word, said, known) in [
        ("pending", Pending, true),
        ("PENDING", Pending, true),
        ("settlement", Settled, true),
        ("Settled", Settled, true),
        ("expire", Expired, true),
        ("expired", Expired, true),
        ("cancel", Cancelled, true),
        ("cancelled", Cancelled, true),
        ("Canceled", Cancelled, true),
        ("deny", Denied, true),
        ("denied", Denied, true),
        ("failure", Failed, true),
        ("FAILED", Failed, true),
        ("Refund", Refunded, true),
        ("Partial_Refund", PartlyRefunded, true),
        ("CHARGEBACK", ChargedBack, true),
        ("capture", Other, true),
        ("brand_new", Other, false),
        ("", Other, false),
        ("settle ment", Other, false),
    ] {
        let found = read(&with(json!({ "status_code": "200", "transaction_status": word }))).expect(word);
        let told = crate::midtrans::words::report(found, &RefundDays::default());
        assert_eq!((told.said, told.unknown.is_none()), (said, known), "{word}: {told:?}");
    }
    let odd = read(&with(json!({ "status_code": "200", "transaction_status": "settlement", "fraud_status": "maybe" }))).expect("read");
    let told = crate::midtrans::words::report(odd, &RefundDays::default());
    assert_eq!((told.said, told.unknown.as_deref()), (Said::Suspect, Some("fraud_status \"maybe\"")));
    // A charge that is denied in another spelling is none.
    for word in ["Denied", "FAILURE", "failed"] {
        let body = json!({ "status_code": "202", "status_message": "no", "transaction_status": word });
        assert!(matches!(classify_charge(200, body.to_string().as_bytes()), Err(MidtransError::Denied { .. })), "{word}");
    }
}

#[test]
fn the_forms_of_other_fields_are_read() {
    type Seen = fn(&Transaction) -> bool;
    let table: [(Value, Seen); 10] = [
        (json!({ "currency": "idr" }), |t| t.currency.as_deref() == Some("IDR")),
        (json!({ "currency": " IDR " }), |t| t.currency.as_deref() == Some("IDR")),
        (json!({ "gross_amount": " 5000.00 " }), |t| t.gross_amount == Rupiah::new(5_000).ok() && t.gross_amount_text == " 5000.00 "),
        (json!({ "refund_amount": " 5000.00 " }), |t| t.refund_amount == Rupiah::new(5_000).ok()),
        (json!({ "status_code": " 201 " }), |_| true),
        (json!({ "expiry_time": "2024-01-13T18:06:40+07:00" }), |t| t.expiry_time == Wall::from_wib("2024-01-13 18:06:40").ok()),
        (json!({ "qr_string": " 0002\r\n" }), |t| t.qr_string.as_deref() == Some("0002")),
        (json!({ "payment_type": "CStore", "store": "Indomaret" }), |t| {
            crate::midtrans::words::report(t.clone(), &RefundDays::default()).payment == qris_core::order::request::Payment::Indomaret
        }),
        (json!({ "actions": [{ "name": "Generate-QR-Code", "url": "u" }] }), |t| t.picture_url() == Some("u")),
        (json!({ "actions": [{ "name": "generate-qr-code-v2", "url": "2" }] }), |t| t.picture_url() == Some("2")),
    ];
    for (fields, seen) in table {
        let found = read(&with(fields.clone())).expect("a transaction");
        assert!(seen(&found), "{fields}: {found:?}");
    }
    let both = json!({ "actions": [{ "name": "generate-qr-code-v2", "url": "2" }, { "name": "generate-qr-code", "url": "1" }] });
    assert_eq!(read(&with(both)).expect("a transaction").picture_url(), Some("1"), "the plain one is easier to read");
}

#[test]
fn the_order_that_an_answer_names_is_judged_later() {
    for (name, order_id) in [(json!("o-1"), OrderId::new("o-1").ok()), (json!("a b"), None), (json!({}), None), (Value::Null, None)] {
        let found = read(&with(json!({ "order_id": name }))).expect("a transaction");
        assert_eq!(found.order_id, order_id, "{name}");
    }
}

#[test]
fn an_answer_about_nothing_in_particular_is_no_answer() {
    for (field, value) in [
        ("transaction_id", Value::Null),
        ("transaction_id", json!("")),
        ("gross_amount", Value::Null),
        ("gross_amount", json!([])),
        ("transaction_status", Value::Null),
    ] {
        assert!(matches!(read(&with(json!({ field: value }))), Err(MidtransError::Unreadable(_))), "{field}");
    }
}

#[test]
fn a_denied_charge_is_an_error_and_900_is_tried_again() {
    for (code, status, channel, again) in [("202", "deny", "900", true), ("201", "deny", "112", false), ("200", "failure", "", false)] {
        let body = json!({ "status_code": code, "status_message": "no", "transaction_status": status, "channel_response_code": channel });
        let error = classify_charge(200, body.to_string().as_bytes()).expect_err("denied");
        assert_eq!(error, MidtransError::Denied { channel_response_code: channel.into(), message: "no".into() });
        assert!(matches!(no_charge(&error), NoCharge::NotMade { again: found, .. } if found == again), "{error}");
    }
}

#[test]
fn long_words_are_cut() {
    let body = json!({ "status_code": "400", "status_message": "x".repeat(10_000), "validation_messages": vec!["y"; 1_000] });
    let Err(MidtransError::Refused { message, validation, .. }) = read(&body) else { panic!("refused") };
    assert_eq!((message.len(), validation.len()), (MESSAGE_CHARS_MAX, LIST_MAX));
    let charge = read(&with(json!({ "qr_string": "x".repeat(10_000), "merchant_id": "G1\u{9b}\u{202e}", "currency": "IDR\u{1}" })));
    let Transaction { qr_string, merchant_id, currency, .. } = charge.expect("read");
    assert_eq!(qr_string.map(|payload| payload.len()), Some(TEXT_CHARS_MAX));
    assert_eq!((merchant_id.as_deref(), currency.as_deref()), (Some("G1\u{fffd}\u{fffd}"), Some("IDR\u{fffd}")));
}

/// A seeded hand makes any JSON from real answers. Each is classified without a panic. No answer becomes settled that
/// does not say so.
#[test]
fn any_json_is_classified() {
    let seed = std::env::var("QRIS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0x5eed_2026);
    println!("seed {seed} (QRIS_SEED replays it)");
    let mut random = Random(seed);
    for _ in 0..5_000 {
        let mut body = pending();
        for _ in 0..=random.below(4) {
            mutate(&mut body, &mut random);
        }
        let mut text = body.to_string().into_bytes();
        if random.below(4) == 0 && !text.is_empty() {
            let at = random.below(text.len());
            match random.below(3) {
                0 => text.truncate(at),
                1 => text[at] = u8::try_from(random.below(256)).expect("a byte"),
                _ => text.insert(at, b'{'),
            }
        }
        let http = [200, 201, 202, 301, 400, 401, 404, 429, 500, 503][random.below(10)];
        for answer in [classify(http, &text), classify_charge(http, &text)] {
            match answer {
                Ok(found) if found.is_settled() => assert!(String::from_utf8_lossy(&text).contains("settlement")),
                Ok(_) => {}
                Err(error) => drop((error.to_string(), no_charge(&error), refund_answer(&error))),
            }
        }
        let _ = super::super::Notification::parse(&text);
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % n
    }
}

fn mutate(body: &mut Value, random: &mut Random) {
    let odd = match random.below(14) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(1e300),
        4 => json!(u64::MAX),
        5 => json!(""),
        6 => json!("settlement"),
        7 => json!("\u{0}\u{1f600}é"),
        8 => json!("9".repeat(400)),
        9 => json!([]),
        10 => json!([[[[{}]]]]),
        11 => json!({ "name": 1, "url": null }),
        12 => json!(["404", "412", "407", "900", "200", "2e2", "+200"][random.below(7)]),
        _ => json!("0000-00-00 00:00:00"),
    };
    let Some(fields) = body.as_object_mut() else {
        *body = odd;
        return;
    };
    let names: Vec<String> = fields.keys().cloned().collect();
    match random.below(12) {
        0 => *body = odd,
        1 | 2 => drop(names.get(random.below(names.len().max(1))).and_then(|name| fields.remove(name))),
        3 => drop(fields.insert("qr_string".into(), odd)),
        _ => {
            if let Some(name) = names.get(random.below(names.len().max(1))) {
                fields.insert(name.clone(), odd);
            }
        }
    }
}

#[test]
fn a_code_for_a_counter_is_read() {
    let body = json!({
        "status_code": "201", "status_message": "Success, cstore transaction is successful", "transaction_id": "d615df87-c96f",
        "order_id": "o-1", "merchant_id": "G812785002", "gross_amount": "162500.00", "currency": "IDR", "payment_type": "cstore",
        "transaction_time": "2020-01-09 15:16:19", "transaction_status": "pending", "payment_code": "8127740588870520", "store": "alfamart",
    });
    let charge = classify_charge(200, body.to_string().as_bytes()).expect("a charge");
    assert_eq!((charge.payment_code.as_deref(), charge.store.as_deref()), (Some("8127740588870520"), Some("alfamart")));
    for bad in [json!(""), json!("8\n9"), json!("8".repeat(65)), json!(["8"]), json!("kode é")] {
        let odd = with(json!({ "payment_code": bad }));
        assert_eq!(read(&odd).expect("a transaction").payment_code, None, "{bad}");
    }
}

#[test]
fn whether_the_bank_has_confirmed_a_refund_is_read() {
    let refund = |at: Value| json!({ "refund_key": "o-1", "refund_amount": "5000.00", "bank_confirmed_at": at });
    let at = || refund(json!("2026-11-20 19:37:35"));
    for (refunds, wanted) in [
        (json!([]), None),
        (json!("no list"), None),
        (json!([{ "refund_key": "o-1" }]), Some(false)),
        (json!([refund(Value::Null)]), Some(false)),
        (json!([at(), refund(Value::Null)]), Some(false)),
        (json!([at(), at()]), Some(true)),
    ] {
        assert_eq!(read(&with(json!({ "refunds": refunds }))).expect("a transaction").refunds_confirmed, wanted, "{refunds}");
    }
}

#[test]
fn how_it_was_paid_says_how_long_it_is_refunded() {
    let days = RefundDays { on_us: 45, off_us: 7, shopeepay: 365, deeplink: 30 };
    for (paid, wanted) in [
        (json!({ "payment_type": "gopay" }), Some(30)),
        (json!({ "payment_type": "GoPay" }), Some(30)),
        (json!({ "payment_type": "gopay", "transaction_type": "on-us" }), Some(30)),
        // The words contradict each other, so nobody knows.
        (json!({ "payment_type": "gopay", "transaction_type": "off-us" }), Some(7)),
        (json!({ "payment_type": "gopay", "acquirer": "gopay", "issuer": "dana" }), Some(7)),
        (json!({ "payment_type": "shopeepay", "transaction_type": "off-us" }), Some(7)),
        (json!({ "payment_type": "shopeepay" }), Some(365)),
        (json!({ "payment_type": "qris", "transaction_type": "on-us", "acquirer": "gopay" }), Some(45)),
        (json!({ "payment_type": "qris", "transaction_type": "ON-US", "acquirer": "airpay shopee" }), Some(365)),
        (json!({ "payment_type": "qris", "transaction_type": "off-us", "acquirer": "airpay shopee", "issuer": "dana" }), Some(7)),
        (json!({ "payment_type": "qris", "acquirer": "gopay", "issuer": "gopay" }), Some(45)),
        (json!({ "payment_type": "qris", "acquirer": "airpay shopee", "issuer": "ShopeePay" }), Some(365)),
        (json!({ "payment_type": "qris", "acquirer": "gopay", "issuer": "dana" }), Some(7)),
        (json!({ "payment_type": "qris", "acquirer": "gopay" }), Some(7)),
        (json!({ "payment_type": "a new word" }), Some(7)),
        (json!({ "payment_type": "cstore", "store": "alfamart" }), None),
    ] {
        let transaction = read(&with(paid.clone())).expect("a transaction");
        assert_eq!(refund_within(&transaction, &days), wanted.map(|days| Span::secs(days * 86_400)), "{paid}");
    }
}

#[test]
fn a_refund_is_made_or_said_why_not() {
    use RefundRefusal::{Amount, CannotModify, Denied, Duplicate, NotAllowed, Other, Partly};
    let refunded = |code: &str, word: &str| with(json!({ "status_code": code, "status_message": "m", "transaction_status": word }));
    let refused = |code: &str, message: &str| json!({ "status_code": code, "status_message": message, "id": "x" });
    assert!(classify_refund(200, refunded("200", "refund").to_string().as_bytes()).is_ok());
    for (body, wanted, at) in [
        (refunded("200", "partial_refund"), Partly, 200),
        (refunded("202", "settlement"), Denied, 202),
        (refused("402", "Merchant doesn't have access for this payment type"), NotAllowed, 402),
        (refused("412", "Refund is not allowed for this merchant"), NotAllowed, 412),
        (refused("413", "POS refund is not allowed"), NotAllowed, 413),
        (refused("406", "Duplicate refund ID"), Duplicate, 406),
        (refused("412", "Merchant cannot modify the status of the transaction"), CannotModify, 412),
        (refused("414", "Refund request is rejected due to invalid amount"), Amount, 414),
        (refused("400", "One or more parameters in the payload is invalid."), Other, 400),
    ] {
        let error = classify_refund(200, body.to_string().as_bytes()).expect_err("refused");
        assert!(matches!(&error, MidtransError::RefundRefused { why, code, .. } if (*why, *code) == (wanted, at)), "{body}: {error:?}");
        let means = refund_answer(&error);
        assert!(matches!((&means, wanted), (RefundAnswer::KeyUsed(_), Duplicate) | (RefundAnswer::Refused(_), _)), "{error}");
        assert_eq!(matches!(means, RefundAnswer::KeyUsed(_)), wanted == Duplicate, "{error}");
    }
    let not_allowed = classify_refund(200, refused("412", "Refund is not allowed").to_string().as_bytes()).expect_err("refused");
    assert!(not_allowed.to_string().starts_with("POS refunds not allowed ("), "{not_allowed}");
    for (http, body, again) in [(202, "{}", true), (500, "<html>", true), (200, "{}", true), (401, "", false), (429, "{}", true)] {
        let error = classify_refund(http, body.as_bytes()).expect_err("no refund");
        assert_eq!(error.may_retry(), again, "{http}: {error}");
        assert!(!matches!(error, MidtransError::RefundRefused { .. }));
    }
}

/// Numbers that look random and repeat with their seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn draw(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((bits ^ (bits >> 31)) % below.max(1) as u64).expect("below")
    }
}

fn odd_value(dice: &mut Dice) -> Value {
    const WORDS: [&str; 22] = [
        "",
        "settlement",
        "capture",
        "pending",
        "deny",
        "failure",
        "refund",
        "partial_refund",
        "chargeback",
        "expire",
        "accept",
        "challenge",
        "200",
        "201",
        "202",
        "404",
        "407",
        "412",
        "900",
        "-1",
        "99999999999999999999999",
        "2026-13-45 99:99:99",
    ];
    match dice.draw(10) {
        0 => Value::Null,
        1 => json!(dice.draw(2) == 0),
        2 => json!(dice.draw(1000)),
        3 => json!(-1.5e300),
        4 => json!(u64::MAX),
        5 => json!([WORDS[dice.draw(WORDS.len())], null, {}]),
        6 => json!({ "name": WORDS[dice.draw(WORDS.len())], "url": 5, "deeper": [[[[]]]] }),
        7 => json!("é\u{202e}\u{0}\u{ffff}".repeat(dice.draw(200))),
        _ => json!(WORDS[dice.draw(WORDS.len())]),
    }
}

/// Anything that Midtrans, or a proxy in between, may send: bent real answers.
fn bent(dice: &mut Dice, samples: &[Value]) -> Vec<u8> {
    let mut body = samples[dice.draw(samples.len())].clone();
    let other = samples[dice.draw(samples.len())].clone();
    for _ in 0..dice.draw(5) {
        let object = body.as_object_mut().expect("an object");
        let names: Vec<String> = object.keys().chain(other.as_object().expect("an object").keys()).cloned().collect();
        let name = names[dice.draw(names.len())].clone();
        match dice.draw(4) {
            0 => drop(object.remove(&name)),
            1 => drop(object.insert(name, other.get("order_id").cloned().unwrap_or_default())),
            2 => drop(object.insert(format!("new_{}", dice.draw(9)), odd_value(dice))),
            _ => drop(object.insert(name, odd_value(dice))),
        }
    }
    let mut bytes = body.to_string().into_bytes();
    for _ in 0..dice.draw(4).saturating_sub(1) {
        let at = dice.draw(bytes.len());
        match dice.draw(4) {
            0 => bytes.truncate(at),
            1 if !bytes.is_empty() => bytes[at] = u8::try_from(dice.draw(256)).expect("a byte"),
            2 => bytes.splice(at..at, br#","status_code":"201""#.iter().copied()).for_each(drop),
            _ => bytes.extend_from_slice(b"[[[["),
        }
    }
    bytes
}

#[test]
fn both_sides_of_a_payment_are_read_where_they_are_plain() {
    let table = [
        (json!({ "status_code": "200", "acquirer": "airpay shopee", "issuer": "dana" }), (Some("airpay shopee"), Some("dana"))),
        (json!({ "status_code": "200" }), (None, None)),
        (json!({ "status_code": "200", "issuer": "a\nb", "acquirer": "x".repeat(65) }), (None, None)),
    ];
    for (fields, (acquirer, issuer)) in table {
        let read = read(&with(fields)).expect("a transaction");
        assert_eq!((read.acquirer.as_deref(), read.issuer.as_deref()), (acquirer, issuer));
    }
}

#[test]
fn whatever_comes_is_classified_and_nothing_panics() {
    let refunds = json!([{ "refund_chargeback_id": 1, "refund_amount": "5000.00", "refund_key": "o-1", "bank_confirmed_at": null }]);
    let settlement = json!({ "status_code": "200", "transaction_status": "settlement", "settlement_time": "2024-01-13 17:52:40",
        "custom_field1": "vm-001", "custom_field2": "r-1", "custom_field3": "A1|5000|x", "issuer": "gopay", "payment_type": "qris" });
    let samples = [
        pending(),
        with(settlement),
        with(json!({ "status_code": "200", "transaction_status": "refund", "refund_amount": "5000.00", "refunds": refunds })),
        with(json!({ "status_code": "202", "transaction_status": "deny", "channel_response_code": "900" })),
        with(
            json!({ "status_code": "201", "payment_type": "cstore", "payment_code": "8127740588870520", "store": "indomaret", "actions": null }),
        ),
        with(json!({ "status_code": "201", "payment_type": "qris", "qr_string": "0002", "expire_time": "2024-01-13 18:06:40" })),
        with(json!({ "status_code": "407", "transaction_status": "expire" })),
        json!({ "status_code": "400", "status_message": "m", "validation_messages": ["a", "b"], "id": "x" }),
        json!({ "status_code": "412", "status_message": "Merchant cannot modify the status of the transaction", "id": "x" }),
        json!({ "message": "API rate limit exceeded" }),
    ];
    let seed = 20_261_120;
    for round in 0..20_000_u64 {
        let mut dice = Dice(seed + round);
        let bytes = bent(&mut dice, &samples);
        let http = [200, 200, 200, 201, 202, 204, 301, 400, 401, 404, 413, 429, 500, 503, 599][dice.draw(15)];
        let said = || format!("seed {}: HTTP {http} {}", seed + round, String::from_utf8_lossy(&bytes));
        for answer in [classify(http, &bytes), classify_charge(http, &bytes), classify_refund(http, &bytes)] {
            match answer {
                Ok(transaction) => {
                    let paid = transaction.transaction_status == TransactionStatus::Settlement
                        && matches!(transaction.fraud_status, None | Some(FraudStatus::Accept));
                    assert_eq!(transaction.is_settled(), paid, "{}", said());
                    let money = crate::midtrans::words::said(&transaction.transaction_status, transaction.fraud_status.as_ref());
                    assert_eq!(money == qris_core::order::merchant::Said::Settled, paid, "{}", said());
                    assert!(transaction.actions.len() <= LIST_MAX, "{}", said());
                }
                Err(error) => {
                    // Nobody knows, so the question is asked again. The text about it fits in a log.
                    assert!(!matches!(no_charge(&error), NoCharge::Unsure(_)) || error.may_retry(), "{}: {error}", said());
                    assert!(error.to_string().chars().count() < 8_000, "{}", said());
                }
            }
        }
        if let Ok(transaction) = classify_charge(http, &bytes) {
            let dead = [TransactionStatus::Deny, TransactionStatus::Failure].contains(&transaction.transaction_status);
            assert!(!dead, "a denied charge is none: {}", said());
        }
        if let Ok(transaction) = classify_refund(http, &bytes) {
            assert_eq!(transaction.transaction_status, TransactionStatus::Refund, "{}", said());
        }
        // The same for the other direction: the messages that are posted to us.
        drop(super::super::Notification::parse(&bytes));
    }
}

#[test]
fn only_an_answer_that_came_is_one_that_is_not_understood() {
    let silent = [
        MidtransError::NoAnswer("nothing in time".into()),
        MidtransError::Unreachable("no route".into()),
        MidtransError::Unauthorized,
        MidtransError::RateLimited,
        MidtransError::Running,
        MidtransError::Unavailable { code: 503, message: String::new() },
    ];
    for error in silent {
        assert_eq!((status_of_error(&error), not_cancelled(&error)), (StatusAnswer::Unanswered, Cancelled::Unanswered), "{error}");
    }
    for body in ["<html>", "{}", r#"{"status_code":"700"}"#, r#"{"status_code":"200"}"#, r#"{"status_code":"413"}"#] {
        let error = classify(200, body.as_bytes()).expect_err("no transaction");
        assert!(matches!(status_of_error(&error), StatusAnswer::Unclear(_)), "{error}");
        assert_eq!(not_cancelled(&error), Cancelled::Refused, "{error}: get-status must tell");
    }
}
