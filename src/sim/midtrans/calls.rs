//! The calls about a transaction, except refunds.

use super::charge;
use super::route::Route;
use super::transaction::Status;
use super::{Midtrans, SimulatedAnswer};
use crate::midtrans::faults::{BrokenImage, Fault, Moment};
use crate::qris::{self, PictureStyle};
use qris_core::order::qris::crc;
use qris_core::order::time::Wall;
use serde_json::{Value, json};

impl Midtrans {
    pub(super) fn status(&mut self, id: &str, order_id: &str, now: Wall) -> (SimulatedAnswer, Option<Fault>) {
        let Some((_, transaction)) = self.books.find(id) else { return (self.unknown(), None) };
        let mut told = transaction.clone();
        let fault = self.faults.take(Moment::Status, "status", order_id);
        let is_stale = match fault {
            Some(Fault::StaleStatus) => true,
            Some(Fault::StatusLags { ms }) => told.settled_at.is_some_and(|at| (now - at).0 < ms),
            _ => false,
        };
        if is_stale {
            (told.status, told.settled_at, told.paid_via) = (Status::Pending, None, None);
        }
        let mut body = told.signed(told.status.answer_code(), &self.options);
        body["status_message"] = json!("Success, transaction is found");
        (self.answer_about(body), fault)
    }

    /// Cancel, and expire at the dashboard. They end only a pending transaction.
    pub(super) fn end(&mut self, id: &str, how: Status, now: Wall) -> SimulatedAnswer {
        let Some((at, transaction)) = self.books.find(id) else { return self.unknown() };
        if transaction.status != Status::Pending {
            return self.cannot_modify();
        }
        self.books.set(at, how);
        self.notify(at, now);
        let mut body = self.books.at(at).facts(how.answer_code(), &self.options);
        body["status_message"] =
            json!(if how == Status::Expire { "Success, transaction has expired" } else { "Success, transaction is canceled" });
        self.answer_about(body)
    }

    pub(super) fn image(&mut self, name: &str, look: PictureStyle, order_id: &str) -> (SimulatedAnswer, Option<Fault>) {
        let (payload, gross) = match self.books.find(name) {
            Some((_, transaction)) if !transaction.payload.is_empty() => (transaction.payload.clone(), transaction.gross),
            Some(_) | None => return (self.unknown(), None),
        };
        let fault = self.faults.take(Moment::Image, "qr_image", order_id);
        let how = if let Some(Fault::BrokenImage { how }) = fault { Some(how) } else { None };
        let png = |payload: &str, look| ("image/png", qris::png(payload, look).unwrap_or_default());
        let (content_type, body) = match how {
            None => png(&payload, look),
            Some(BrokenImage::Unavailable) => {
                let why = "Sorry. The bank/payment partner is experiencing some connection issues. Please retry later.";
                let answer = self.error(503, why);
                return (SimulatedAnswer { http: 200, ..answer }, fault);
            }
            Some(BrokenImage::Html) => ("text/html", b"<!doctype html><title>QR</title>".to_vec()),
            Some(BrokenImage::Cut) => ("image/png", png(&payload, look).1.into_iter().take(120).collect()),
            Some(BrokenImage::Blank) => png(&payload, PictureStyle::Blank),
            Some(BrokenImage::TooLarge) => ("image/png", vec![0; 2 << 20]),
            Some(BrokenImage::WrongAmount) => png(&self.options.merchant.payload(gross + 1, &self.rng.uuid()), look),
            Some(BrokenImage::BadCrc) => png(&with_wrong_crc(&payload), look),
        };
        (SimulatedAnswer { http: 200, content_type, body }, fault)
    }

    /// The order of a request, if the request names one: for faults and the log.
    pub(super) fn order_of(&self, route: Route<'_>, body: &[u8]) -> String {
        if route == Route::Charge {
            let body = charge::object(body).unwrap_or_default();
            return body.get("transaction_details").and_then(Value::as_object).map(charge::order_id_of).unwrap_or_default();
        }
        let Some(id) = route.id() else { return String::new() };
        self.books.find(id).map_or(id, |(_, transaction)| &transaction.charge.order_id).to_owned()
    }
}

fn with_wrong_crc(payload: &str) -> String {
    let text = &payload[..payload.len() - 4];
    format!("{text}{:04X}", crc(text) ^ 1)
}
