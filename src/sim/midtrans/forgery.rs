//! Messages with false contents.

use super::answer::SimulatedAnswer;
use super::transaction::signature;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Changes of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgery {
    /// These fields get these values; `null` takes a field away.
    #[serde(default)]
    pub set: Map<String, Value>,
    #[serde(default)]
    pub signature: Signature,
}

/// How an altered message is signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// With the merchant's key, over the altered contents, as if Midtrans itself had been wrong.
    #[default]
    Right,
    /// The signature from before the change.
    Kept,
    /// 128 hex digits that mean nothing.
    Wrong,
    /// With another merchant's key.
    Stranger,
}

const STRANGERS_KEY: &str = "SB-Mid-server-of-another-merchant";

impl Forgery {
    pub(super) fn alter(&self, message: &mut Map<String, Value>, server_key: &str) {
        for (field, value) in &self.set {
            if value.is_null() {
                message.remove(field);
            } else {
                message.insert(field.clone(), value.clone());
            }
        }
        if !message.contains_key("signature_key") || self.set.contains_key("signature_key") {
            return;
        }
        let text = |field: &str| message.get(field).and_then(Value::as_str).unwrap_or("").to_owned();
        let sign = |key: &str| signature(&text("order_id"), &text("status_code"), &text("gross_amount"), key);
        let signed = match self.signature {
            Signature::Right => sign(server_key),
            Signature::Kept => return,
            Signature::Wrong => "0123456789abcdef".repeat(8),
            Signature::Stranger => sign(STRANGERS_KEY),
        };
        message.insert("signature_key".into(), json!(signed));
    }

    /// Changes an answer. An answer that is no JSON object stays as it is.
    pub(super) fn alter_answer(&self, answer: SimulatedAnswer, server_key: &str) -> SimulatedAnswer {
        let Ok(Value::Object(mut message)) = serde_json::from_slice(&answer.body) else { return answer };
        self.alter(&mut message, server_key);
        SimulatedAnswer { body: Value::Object(message).to_string().into_bytes(), ..answer }
    }
}
