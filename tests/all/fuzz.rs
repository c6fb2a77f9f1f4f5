//! Every parser of bytes from outside, with bytes that nobody meant it to get. What holds for each: it ends, in time and
//! without a panic, with an answer or an error of bounded length; and what it takes is what was there, no more.
//!
//! `tests/run` replays the corpora, `tests/run --long` gives each target two minutes besides; and `tests/fuzz/run` runs those of `parsers` by an
//! engine that sees what they reach.

mod bus;
mod parsers;

use crate::rig::claims::claims;
use crate::rig::fuzz::Target;
use crate::rig::shop::Shop;
use crate::rig::source_text;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use parsers::{DETAIL_MAX, signing_key, ticket};
use qris::sim::qris::PictureStyle;
use serde_json::Value;

/// The corpora's receipts, signed by the key of these tests, and pictures, drawn by the simulated Midtrans.
#[test]
#[ignore = "writes files: only after a change of their form"]
fn write_corpora() {
    for i in 0..4 {
        let jws = signing_key().sign(claims(&format!("o-{i}"), &ticket(i))).jws().to_owned();
        std::fs::write(crate::rig::source(&format!("tests/corpora/receipt/signed-{i}")), &jws).expect("written");
        let [header, claims, signature]: [&str; 3] = jws.split('.').collect::<Vec<_>>().try_into().expect("three parts");
        for (name, part) in [("header", header), ("claims", claims), ("signature", signature)] {
            let bytes = BASE64URL.decode(part).expect("base64url");
            std::fs::write(crate::rig::source(&format!("tests/corpora/receipt/{name}-{i}")), bytes).expect("written");
        }
    }
    let payload = source_text("tests/corpora/qris_payload/real-1");
    for (name, look) in [("plain", PictureStyle::Plain), ("framed", PictureStyle::Framed), ("blank", PictureStyle::Blank)] {
        let png = qris::sim::qris::png(&payload, look).expect("it fits");
        std::fs::write(crate::rig::source(&format!("tests/corpora/qr_image/{name}.png")), png).expect("written");
    }
}

/// Bodies posted to the backend itself, with a machine's token: it answers each, never with an error of its own, and is
/// still there.
#[test]
fn backend_requests() {
    let words = r#""request_id":  "ticket":  "kids":  "item":  "amount":  "payment":  "alfamart"  "timeout_s":  "outcome":  "dispensed"
        "uncertain"  "reason":  "detail":  "order_id":  "signature_key":  "gross_amount":"#;
    let shop = Shop::merchants_side();
    let order = shop.charged();
    Target { name: "backend_request", words, longest: 70_000 }.run(|bytes| {
        let paths =
            ["/v1/orders", &format!("/v1/orders/{order}/outcome"), &format!("/v1/orders/{order}/cancel"), "/midtrans/notifications"];
        let said = paths.map(|path| {
            let token = (path != "/midtrans/notifications").then_some(shop.token.as_str());
            let answer = shop.http.post_bytes(&format!("{}{path}", shop.backend_url), token, "application/json", bytes);
            assert!(matches!(answer.status, 200..=499 | 503), "{path}: {} {}", answer.status, answer.text());
            assert!(answer.body.len() <= DETAIL_MAX, "{path}: an answer of {} bytes", answer.body.len());
            let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let field = problem["errors"][0]["field"].as_str().filter(|field| words.contains(&format!("\"{field}\":")));
            format!(
                "{} {} {}",
                ["two", "three", "four", "five"][usize::from(answer.status / 100 - 2)],
                problem["code"].as_str().unwrap_or("-"),
                field.unwrap_or("-")
            )
        });
        said.join("|")
    });
    let backend = shop.backend.as_ref().expect("it runs");
    assert!(backend.try_status().is_none() && !backend.text().contains("panicked"), "{}", backend.text());
}
