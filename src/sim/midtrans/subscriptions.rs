//! Subscriptions, as far as the official test suites use them: they are kept, and never charged.

use super::charge::{object, whole};
use super::{Answer, Midtrans};
use qris_core::order::time::Wall;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// No more are kept.
const SUBSCRIPTIONS_MAX: usize = 10_000;
const REQUIRED: [&str; 6] = ["name", "amount", "currency", "payment_type", "token", "schedule"];

/// The subscriptions by their ids, in the form of the answers.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(BTreeMap<String, Value>);

impl Midtrans {
    /// `POST /v1/subscriptions`
    pub(super) fn create_subscription(&mut self, body: &[u8], now: Wall) -> Answer {
        let body = match read(body, &REQUIRED) {
            Ok(body) => body,
            Err(wrong) => return self.wrong_subscription(&wrong),
        };
        if self.subscriptions.0.len() >= SUBSCRIPTIONS_MAX {
            return self.error(503, "The simulator has no room for more subscriptions: start it anew");
        }
        let id = self.rng.uuid();
        let mut subscription = Value::Object(body);
        subscription["id"] = json!(id);
        subscription["status"] = json!("active");
        subscription["created_at"] = json!(now.to_wib());
        subscription["transaction_ids"] = json!([]);
        subscription["schedule"]["current_interval"] = json!(0);
        subscription["schedule"]["next_execution_at"] = subscription["schedule"].get("start_time").cloned().unwrap_or(json!(now.to_wib()));
        let answer = Answer::json(200, &subscription);
        self.subscriptions.0.insert(id, subscription);
        answer
    }

    /// `GET /v1/subscriptions/{id}`
    pub(super) fn subscription(&mut self, id: &str) -> Answer {
        match self.subscriptions.0.get(id) {
            Some(subscription) => Answer::json(200, subscription),
            None => self.no_subscription(),
        }
    }

    /// `PATCH /v1/subscriptions/{id}`
    pub(super) fn update_subscription(&mut self, id: &str, body: &[u8]) -> Answer {
        let body = match read(body, &[]) {
            Ok(body) => body,
            Err(wrong) => return self.wrong_subscription(&wrong),
        };
        let Some(subscription) = self.subscriptions.0.get_mut(id) else { return self.no_subscription() };
        for (field, value) in body {
            match (subscription.get_mut(&field).and_then(Value::as_object_mut), value) {
                (Some(old), Value::Object(new)) => old.extend(new),
                (_, value) => subscription[&field] = value,
            }
        }
        updated()
    }

    /// `POST /v1/subscriptions/{id}/enable` and `/disable`
    pub(super) fn switch_subscription(&mut self, id: &str, status: &str) -> Answer {
        let Some(subscription) = self.subscriptions.0.get_mut(id) else { return self.no_subscription() };
        subscription["status"] = json!(status);
        updated()
    }

    fn no_subscription(&mut self) -> Answer {
        let answer = self.error(404, "Subscription doesn't exist.");
        Answer { http: 404, ..answer }
    }

    fn wrong_subscription(&mut self, wrong: &[String]) -> Answer {
        let body = json!({ "status_code": "400", "status_message": "Bad request", "validation_messages": wrong, "id": self.rng.uuid() });
        Answer::json(400, &body)
    }
}

fn updated() -> Answer {
    Answer::json(200, &json!({ "status_message": "Subscription is updated." }))
}

fn read(body: &[u8], required: &[&str]) -> Result<Map<String, Value>, Vec<String>> {
    let body = object(body).map_err(|_| vec!["subscription is not a JSON object".to_owned()])?;
    let mut wrong: Vec<String> =
        required.iter().filter(|name| !body.contains_key(**name)).map(|name| format!("subscription.{name} is required")).collect();
    if body.get("amount").is_some_and(|amount| whole(amount).is_none_or(|amount| !(1..=99_999_999_999).contains(&amount))) {
        wrong.push("subscription.amount must be between 0.01 - 99999999999.00".into());
    }
    if body.get("schedule").is_some_and(|schedule| !schedule.is_object()) {
        wrong.push("subscription.schedule must be an object".into());
    }
    if wrong.is_empty() { Ok(body) } else { Err(wrong) }
}
