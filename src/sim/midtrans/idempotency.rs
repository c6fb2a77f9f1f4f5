//! `Idempotency-Key`: at most 46 characters, for five minutes. It is the same for every endpoint and any body. Only
//! success is repeated. HTTP 202 while the first request runs. It does not work for Indomaret.

use super::charge;
use super::route::Route;
use super::{Midtrans, Request, SimulatedAnswer, is_held};
use qris_core::order::time::{Span, Wall};
use serde_json::{Value, json};

const KEY_CHARS_MAX: usize = 46;
const LIFE: Span = Span::secs(5 * 60);

/// The answer that a key is remembered for.
pub(super) struct Kept {
    at: Wall,
    /// While this answer is held, the first call still runs.
    hold: Option<u64>,
    answer: Option<SimulatedAnswer>,
}

/// The key of a request, if it has one that counts.
pub(super) fn key<'a>(request: &'a Request, route: Route<'_>) -> Option<&'a str> {
    let key = request.idempotency_key.as_deref().filter(|key| route.is_idempotent() && key.chars().count() <= KEY_CHARS_MAX)?;
    // The name of a store decides, and only a charge has one.
    let store = charge::object(&request.body).ok().filter(|_| route == Route::Charge);
    let is_indomaret = |body: serde_json::Map<String, Value>| {
        body.get("cstore")?.get("store")?.as_str().map(|store| store.eq_ignore_ascii_case("indomaret"))
    };
    (!store.and_then(is_indomaret).unwrap_or(false)).then_some(key)
}

impl Midtrans {
    /// The answer that this key got, or 202 while that answer is under way.
    pub(super) fn remembered(&mut self, key: &str, now: Wall) -> Option<SimulatedAnswer> {
        let kept = self.keys.get(key).filter(|kept| now - kept.at < LIFE || self.runs(kept, now))?;
        if self.runs(kept, now) {
            let message = "The first request with this Idempotency-Key is being processed";
            let body = json!({ "status_code": "202", "status_message": message, "id": self.rng.uuid() });
            return Some(SimulatedAnswer::json(202, &body));
        }
        kept.answer.clone()
    }

    pub(super) fn remember(&mut self, key: &str, answer: &SimulatedAnswer, hold: Option<u64>, now: Wall) {
        let success = matches!(answer.code().as_deref(), Some("200" | "201" | "407"));
        self.keys.insert(key.to_owned(), Kept { at: now, hold, answer: success.then(|| answer.clone()) });
    }

    pub(super) fn forget_old_keys(&mut self, now: Wall) {
        let held = &self.held;
        self.keys.retain(|_, kept| now - kept.at < LIFE || kept.hold.is_some_and(|hold| is_held(held, hold, now)));
    }

    fn runs(&self, kept: &Kept, now: Wall) -> bool {
        kept.hold.is_some_and(|hold| is_held(&self.held, hold, now))
    }
}
