//! Cards, as far as the official test suites use them: a token for a number, a charge with it, a capture of
//! reserved money. The numbers are those of Midtrans' sandbox.

use super::charge::{object, whole};
use super::transaction::{Fraud, Status, Transaction};
use super::{Answer, Midtrans, Request};
use qris_core::order::time::Wall;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// No more tokens than this are kept: the first go.
const TOKENS_MAX: usize = 10_000;

/// The card behind a token.
#[derive(Debug, Clone)]
struct Card {
    masked: String,
    fate: Fate,
    /// Of the banks whose cards the sandbox has, only BNI gives points.
    has_points: bool,
}

/// The fate of a charge of this card.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Good,
    Challenged,
    DeniedByFraudDetection,
    DeniedByBank,
}

/// The tokens.
#[derive(Debug, Default)]
pub(super) struct Cards {
    by_token: BTreeMap<String, Card>,
}

impl Card {
    fn read(number: &str) -> Option<Self> {
        let digits: String = number.chars().filter(|c| !c.is_whitespace()).collect();
        if !(13..=19).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) || !passes_luhn(&digits) {
            return None;
        }
        let fate = match digits.as_str() {
            "4511111111111117" | "5110291111111114" => Fate::Challenged,
            "4611111111111116" | "5210111111111116" => Fate::DeniedByFraudDetection,
            "4911111111111113" | "5111111111111118" => Fate::DeniedByBank,
            _ => Fate::Good,
        };
        let masked = format!("{}-{}", &digits[..8], &digits[digits.len() - 4..]);
        Some(Self { masked, fate, has_points: digits.starts_with("526422") })
    }
}

impl Midtrans {
    /// `GET /v2/token`: a token for one payment.
    pub(super) fn card_token(&mut self, request: &Request) -> Answer {
        let card = match self.card(request, &["card_cvv"]) {
            Ok(card) => card,
            Err(answer) => return answer,
        };
        let (hash, masked) = (self.rng.uuid(), card.masked.clone());
        let token = format!("{masked}-{hash}");
        self.keep_card(&token, card);
        self.answer(&json!({
            "status_code": "200", "status_message": "Credit card token is created as Token ID.", "token_id": token,
            "hash": format!("{masked}-mami"),
        }))
    }

    /// `GET /v2/card/register`: a token that can be used again.
    pub(super) fn card_register(&mut self, request: &Request) -> Answer {
        let card = match self.card(request, &[]) {
            Ok(card) => card,
            Err(answer) => return answer,
        };
        let (id, masked) = (self.rng.uuid(), card.masked.clone());
        let token = masked.replace('-', &id.replace('-', "")[..20]);
        self.keep_card(&token, card);
        self.answer(&json!({
            "status_code": "200", "status_message": "Success, card registration is successful", "saved_token_id": token,
            "transaction_id": id, "masked_card": masked,
        }))
    }

    /// `GET /v2/point_inquiry/{token}`
    pub(super) fn point_inquiry(&mut self, token: &str, now: Wall) -> Answer {
        match self.cards.by_token.get(token).map(|card| card.has_points) {
            None => self.error(411, "Credit card token is no longer available. Please create a new one."),
            Some(false) => self.error(402, "Merchant doesn't have access for this payment type"),
            Some(true) => self.answer(&json!({
                "status_code": "200", "status_message": "Success, Point Inquiry is successful", "point_balance": 500_000,
                "point_balance_amount": "500000.00", "transaction_time": now.to_wib(),
            })),
        }
    }

    /// `POST /v2/capture`: takes reserved money, or a part of it.
    pub(super) fn capture(&mut self, body: &[u8], now: Wall) -> Answer {
        let body = match object(body) {
            Ok(body) => body,
            Err(refused) => return self.refused(refused),
        };
        let Some(id) = body.get("transaction_id").and_then(Value::as_str).map(ToOwned::to_owned) else {
            return self.invalid(&["transaction_id is required".into()]);
        };
        let Some((at, transaction)) = self.books.find(&id) else { return self.unknown() };
        if transaction.status != Status::Authorize {
            return self.cannot_modify();
        }
        let amount = match body.get("gross_amount") {
            None | Some(Value::Null) => transaction.gross,
            Some(value) => match whole(value).and_then(|amount| u64::try_from(amount).ok()) {
                Some(amount) if (1..=transaction.gross).contains(&amount) => amount,
                Some(_) | None => return self.error(414, "Capture amount is not valid"),
            },
        };
        self.books.set(at, Status::Capture);
        self.books.at_mut(at).gross = amount;
        self.notify(at, now);
        let mut answer = self.books.at(at).facts("200", &self.options);
        answer["status_message"] = json!("Success, Credit Card capture transaction is successful");
        self.answer(&answer)
    }

    /// Takes a card's money, or does not. `false`: there is no such token.
    pub(super) fn take_card(&self, transaction: &mut Transaction) -> bool {
        let token = transaction.charge.card_token.as_deref().unwrap_or("");
        let Some(card) = self.cards.by_token.get(token) else { return false };
        transaction.masked_card = Some(card.masked.clone());
        let taken = if transaction.charge.is_preauthorisation { Status::Authorize } else { Status::Capture };
        (transaction.status, transaction.fraud) = match card.fate {
            Fate::Good => (taken, Fraud::Accept),
            Fate::Challenged => (taken, Fraud::Challenge),
            Fate::DeniedByFraudDetection => (Status::Deny, Fraud::Deny),
            Fate::DeniedByBank => (Status::Deny, Fraud::Accept),
        };
        true
    }

    fn card(&mut self, request: &Request, more: &[&str]) -> Result<Card, Answer> {
        let query = pairs(&request.query);
        let value = |name: &str| query.get(name).map_or("", String::as_str);
        if value("client_key").is_empty() {
            return Err(self.error(401, "Transaction cannot be authorized with the current client/server key."));
        }
        let required = ["card_number", "card_exp_month", "card_exp_year"].into_iter().chain(more.iter().copied());
        let missing: Vec<String> = required.filter(|name| value(name).is_empty()).map(|name| format!("{name} is required")).collect();
        if !missing.is_empty() {
            return Err(self.invalid(&missing));
        }
        Card::read(value("card_number")).ok_or_else(|| self.invalid(&["card_number does not match with luhn algorithm".into()]))
    }

    fn keep_card(&mut self, token: &str, card: Card) {
        if self.cards.by_token.len() >= TOKENS_MAX {
            self.cards.by_token.pop_first();
        }
        self.cards.by_token.insert(token.to_owned(), card);
    }
}

/// ISO/IEC 7812-1.
fn passes_luhn(digits: &str) -> bool {
    let weighed = |(place, digit): (usize, u8)| {
        let digit = u32::from(digit - b'0') * if place % 2 == 1 { 2 } else { 1 };
        digit / 10 + digit % 10
    };
    digits.bytes().rev().enumerate().map(weighed).sum::<u32>() % 10 == 0
}

/// The pairs of a query, decoded.
fn pairs(query: &str) -> BTreeMap<String, String> {
    query.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (decoded(name), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let hex = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => match after.get(..2).and_then(hex) {
                Some(byte) => {
                    bytes.push(byte);
                    rest = &after[2..];
                }
                None => bytes.push(b'%'),
            },
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_as_the_clients_write_them() {
        let query = pairs("card_number=5264+2210%203887+4659&client_key=a%2Fb&odd=%zz&none");
        assert_eq!(query["card_number"], "5264 2210 3887 4659");
        assert_eq!((query["client_key"].as_str(), query["odd"].as_str(), query.len()), ("a/b", "%zz", 3));
        assert!(Card::read("5264 2210 3887 4659").is_some() && Card::read("4811 1111 1111 1114").is_some());
        assert!(Card::read("4811 1111 1111 1115").is_none() && Card::read("481").is_none());
    }
}
