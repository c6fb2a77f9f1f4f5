//! The Server Key, and its proof: a notification whose signature verifies was made by a holder of this key.
//!
//! The signature is the lower-case hex of SHA-512 over order_id, status_code, gross_amount and the Server Key, as
//! strings exactly as in the same message. It does not cover `transaction_status` or `transaction_id`: a settlement and
//! a refund of one order have the same signature. So a verified notification is only a reason to ask get-status.

use super::answer::{FraudStatus, TransactionStatus};
use qris_host::secret::Secret;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha512};
use subtle::ConstantTimeEq as _;

/// A merchant's Server Key: the password of the API and the secret of every notification. It prints as `…`.
#[derive(Debug, Clone)]
pub struct ServerKey(Secret);

impl ServerKey {
    /// Takes the key as the dashboard shows it. Blanks around it, which copying leaves behind, are not part of it.
    #[must_use]
    pub fn new(key: &Secret) -> Self {
        Self(Secret::new(key.expose().trim()))
    }

    /// The signature that a message of these parts must carry.
    #[must_use]
    pub fn sign(&self, order_id: &str, status_code: &str, gross_amount: &str) -> String {
        let mut digest = Sha512::new();
        for part in [order_id, status_code, gross_amount, self.0.expose()] {
            digest.update(part.as_bytes());
        }
        qris_core::hex(&digest.finalize())
    }

    /// The user name of HTTP Basic authentication (the password is empty). Nothing else may look at the key.
    pub(super) fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// The content of a notification. Nobody has believed it yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// As in the message. It may not be an order of ours.
    pub order_id: String,
    /// The code of this event, in the notification's own view: `"202"` for an expiry that get-status calls `"407"`.
    pub status_code: String,
    /// Byte for byte as signed: `"10000.00"`.
    pub gross_amount: String,
    /// Not covered by the signature.
    pub transaction_status: TransactionStatus,
    /// Not covered by the signature.
    pub transaction_id: String,
    /// Absent from some over-the-counter settlements.
    pub fraud_status: Option<FraudStatus>,
    signature_key: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotificationError {
    /// Not JSON, or JSON but not an object.
    #[error("a notification must be a JSON object")]
    NotAnObject,
    /// A field is missing that every notification has (there are six), or it is not a string.
    #[error("a notification must have {0}, a string")]
    Field(&'static str),
}

impl Notification {
    /// Reads the body of a notification. Unknown fields are left alone: Midtrans adds some at any time.
    pub fn parse(body: &[u8]) -> Result<Self, NotificationError> {
        let fields: Map<String, Value> = serde_json::from_slice(body).map_err(|_| NotificationError::NotAnObject)?;
        let required = |name: &'static str| match fields.get(name) {
            Some(Value::String(text)) => Ok(text.clone()),
            _ => Err(NotificationError::Field(name)),
        };
        Ok(Self {
            order_id: required("order_id")?,
            status_code: required("status_code")?,
            gross_amount: required("gross_amount")?,
            signature_key: required("signature_key")?,
            transaction_status: TransactionStatus::read(&required("transaction_status")?),
            transaction_id: required("transaction_id")?,
            fraud_status: fields.get("fraud_status").and_then(Value::as_str).map(FraudStatus::read),
        })
    }

    /// Whether the writer knows the Server Key. It is compared in constant time. Capital letters are the same number.
    #[must_use]
    pub fn is_signed_with(&self, key: &ServerKey) -> bool {
        let expected = key.sign(&self.order_id, &self.status_code, &self.gross_amount);
        expected.as_bytes().ct_eq(self.signature_key.to_ascii_lowercase().as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_official_fixtures_recompute() {
        // Other programs computed them: `printf %s ORDER…key | sha512sum`.
        for ([order_id, code, amount, server_key], wanted) in [
            (
                ["ORDER-sandbox-0003", "202", "50000.00", "SB-Mid-server-test"],
                "a51d1bd2aa8b1dca9228f3827cd641b6dadf52ebb9ed40fb45db6a06dbb33de7\
                 cde8e80caa93dfb5e6beeaaf44f698dc7f6f56edd46556eddaa2a774ff7692c6",
            ),
            (
                ["ORDER-partial-refund-0001", "200", "150000.00", "SB-Mid-server-test"],
                "d115a0f55a40f2c60465006118c1e48f52c3baf5a953f8443221d84dea9a9ebd\
                 7ba20f7c76d2320dfcdd31c3de41a047f6b43a4075bea5f734dd8c5231268906",
            ),
            // The example of FIPS 180-4.
            (
                ["a", "b", "", "c"],
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
            // More than one block.
            (
                ["o".repeat(200).as_str(), "200", "5000.00", "key"],
                "fa1a765e915903c8c0d018e5c01922461bdcc722eecc43f1372a1c03ca56344b\
                 c4486617688aca15f8335e71266a2f0b917692529974d0a8425ee4ce7ddac067",
            ),
        ] {
            assert_eq!(key(server_key).sign(order_id, code, amount), wanted, "{order_id}");
        }
    }

    fn key(text: &str) -> ServerKey {
        ServerKey::new(&Secret::new(text))
    }

    fn settlement(key: &ServerKey) -> Value {
        json!({
            "order_id": "o-1", "status_code": "200", "gross_amount": "5000.00", "transaction_status": "settlement",
            "transaction_id": "t-1", "fraud_status": "accept", "signature_key": key.sign("o-1", "200", "5000.00"), "new_field": [1],
        })
    }

    #[test]
    fn a_signature_covers_order_code_and_amount() {
        let key = key("SB-Mid-server-test\n");
        let signed = |body: &Value| Notification::parse(body.to_string().as_bytes()).expect("complete").is_signed_with(&key);
        let good = settlement(&key);
        assert!(signed(&good));
        for (field, value) in [("order_id", "o-2"), ("status_code", "201"), ("gross_amount", "5000"), ("signature_key", "")] {
            let mut bad = good.clone();
            bad[field] = json!(value);
            assert!(!signed(&bad), "{field}");
        }
        let mut upper = good.clone();
        upper["signature_key"] = json!(good["signature_key"].as_str().expect("text").to_uppercase());
        assert!(signed(&upper), "it is the same number");
        assert!(
            !Notification::parse(good.to_string().as_bytes()).expect("complete").is_signed_with(&ServerKey::new(&Secret::new("other")))
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let good = settlement(&key("k"));
        for field in ["order_id", "status_code", "gross_amount", "signature_key", "transaction_status", "transaction_id"] {
            for value in [None, Some(Value::Null), Some(json!(200)), Some(json!({}))] {
                let mut bad = good.clone();
                match value {
                    None => drop(bad.as_object_mut().expect("object").remove(field)),
                    Some(value) => bad[field] = value,
                }
                assert_eq!(Notification::parse(bad.to_string().as_bytes()), Err(NotificationError::Field(field)));
            }
        }
        for bad in ["", "null", "[]", "\"text\"", "{", "{}x", "\u{feff}{}"] {
            assert_eq!(Notification::parse(bad.as_bytes()), Err(NotificationError::NotAnObject), "{bad:?}");
        }
    }

    #[test]
    fn the_key_does_not_print() {
        assert_eq!(format!("{:?}", key("SB-Mid-server-test")), "ServerKey(…)");
    }
}
