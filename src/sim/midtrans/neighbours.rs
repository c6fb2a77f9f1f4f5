//! Midtrans' other products, which the official clients reach as well: Snap sells a page, Iris pays out, and "BI SNAP" is
//! the national interface. The simulated merchant has Snap. The others do not know it, just as they do not know a real
//! merchant without their keys.

use super::charge::{object, whole};
use super::{Answer, Midtrans, Request};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// No more pages are kept.
const TOKENS_MAX: usize = 10_000;

/// The tokens of pages.
#[derive(Debug, Default)]
pub(super) struct Pages(BTreeSet<String>);

impl Midtrans {
    /// `POST /snap/v1/transactions`. Its errors are `error_messages`, and its HTTP status means what it says.
    pub(super) fn snap(&mut self, request: &Request) -> Answer {
        if request.authorization.as_deref() != Some(&self.authorization) {
            let why = "Access denied due to unauthorized transaction, please check client or server key";
            let more = "Visit https://snap-docs.midtrans.com/#request-headers for more details";
            return Answer::json(401, &json!({ "error_messages": [why, more] }));
        }
        let body = object(&request.body).unwrap_or_default();
        let wrong = wrong_with_snap(&body);
        if !wrong.is_empty() {
            return Answer::json(400, &json!({ "error_messages": wrong }));
        }
        let token = self.rng.uuid();
        if self.pages.0.len() >= TOKENS_MAX {
            self.pages.0.pop_first();
        }
        self.pages.0.insert(token.clone());
        let url = format!("{}/snap/v4/redirection/{token}", self.options.public_url);
        Answer::json(201, &json!({ "token": token, "redirect_url": url }))
    }

    /// The page of a token. It says that the page is not simulated.
    pub(super) fn snap_page(&self, token: &str) -> Answer {
        if !self.pages.0.contains(token) {
            return Answer::nowhere();
        }
        let page = "<!doctype html><title>Snap (simulated)</title><p>The simulator sells through Core API only.</p>";
        Answer { http: 200, content_type: "text/html", body: page.into() }
    }
}

fn wrong_with_snap(body: &Map<String, Value>) -> Vec<String> {
    let Some(details) = body.get("transaction_details").and_then(Value::as_object) else {
        return vec!["transaction_details is required".into()];
    };
    let mut wrong = Vec::new();
    // Snap takes ids with spaces and colons, which its official tests use.
    match details.get("order_id").and_then(Value::as_str).map_or(0, |id| id.chars().count()) {
        0 => wrong.push("transaction_details.order_id is required".into()),
        1..=50 => {}
        _ => wrong.push("transaction_details.order_id too long".into()),
    }
    let amount = details.get("gross_amount").and_then(whole);
    match amount {
        None => wrong.push("transaction_details.gross_amount is required".into()),
        Some(..=0) => wrong.push("transaction_details.gross_amount must be greater than or equal to 0.01".into()),
        Some(_) => {}
    }
    let priced = |item: &Value| item.get("price").and_then(whole)?.checked_mul(item.get("quantity").and_then(whole)?);
    if let Some(items) = body.get("item_details").and_then(Value::as_array) {
        let sum = items.iter().map(priced).try_fold(0_i64, |sum, price| sum.checked_add(price?));
        if sum != amount {
            wrong.push("transaction_details.gross_amount is not equal to the sum of item_details".into());
        }
    }
    wrong
}

/// Iris answers everybody's ping. All other calls need a key of Iris, and a Server Key is not one.
pub(super) fn iris(path: &str) -> Answer {
    let (http, body) = if path == "ping" { (200, "pong") } else { (401, "HTTP Basic: Access denied.\n") };
    Answer { http, content_type: "text/plain", body: body.into() }
}

/// Every call of BI SNAP needs a token. A token is given only for a registered RSA key.
pub(super) fn bi_snap(path: &str) -> Option<Answer> {
    let service = match path {
        "access-token/b2b" => "73",
        "debit/payment-host-to-host" => "54",
        "debit/status" => "55",
        "debit/cancel" => "57",
        "debit/refund" => "58",
        "transfer-va/create-va" => "27",
        "transfer-va/status" => "26",
        "transfer-va/delete-va" => "31",
        "qr/qr-mpm-generate" => "47",
        "qr/qr-mpm-query" => "51",
        "qr/qr-mpm-cancel" => "77",
        "qr/qr-mpm-refund" => "78",
        _ => return None,
    };
    let (case, why) = if service == "73" { ("00", "Unauthorized. Unknown client") } else { ("01", "Invalid Token (B2B)") };
    Some(Answer::json(401, &json!({ "responseCode": format!("401{service}{case}"), "responseMessage": why })))
}
