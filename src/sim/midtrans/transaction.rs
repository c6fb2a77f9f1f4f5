//! One transaction as the simulated Midtrans keeps it, and how it is told: by get-status, and by a notification, which
//! count its states differently and so sign differently.

use super::charge::{Charge, Kind};
use crate::order::time::Wall;
use ring::digest::{Context, SHA512};
use serde_json::{Value, json};

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Pending,
    Settlement,
    Expire,
    Cancel,
    Deny,
}

impl Status {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Settlement => "settlement",
            Self::Expire => "expire",
            Self::Cancel => "cancel",
            Self::Deny => "deny",
        }
    }

    /// The `status_code` of get-status, cancel and expire.
    pub const fn answer_code(self) -> &'static str {
        match self {
            Self::Pending => "201",
            Self::Settlement | Self::Cancel => "200",
            Self::Expire => "407",
            Self::Deny => "202",
        }
    }

    /// The `status_code` of a notification.
    pub const fn notification_code(self) -> &'static str {
        match self {
            Self::Pending => "201",
            Self::Settlement => "200",
            Self::Expire | Self::Cancel | Self::Deny => "202",
        }
    }

    /// Whether its order_id may be charged again.
    pub const fn frees_order_id(self) -> bool {
        match self {
            Self::Pending | Self::Settlement => false,
            Self::Expire | Self::Cancel | Self::Deny => true,
        }
    }
}

/// With what the customer paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// The GoPay app.
    Gopay,
    /// Another app that reads QRIS.
    Qris,
}

/// A charge and what came of it.
#[derive(Debug, Clone)]
pub(super) struct Transaction {
    pub id: String,
    pub charge: Charge,
    /// The amount with the fee that the customer pays.
    pub gross: u64,
    pub status: Status,
    pub made_at: Wall,
    pub settled_at: Option<Wall>,
    pub paid_via: Option<Via>,
    pub failed_attempts: u32,
    pub payload: String,
    /// The path segment of the framed QR image.
    pub image_token: String,
    pub deeplink_id: String,
    pub urls: Vec<String>,
}

impl Transaction {
    pub fn gross_amount(&self) -> String {
        format!("{}.00", self.gross)
    }

    /// A charge sent as `gopay` and scanned with another app comes back as `qris`.
    pub fn payment_type(&self) -> &'static str {
        match self.paid_via {
            Some(Via::Qris) => Kind::Qris.as_str(),
            Some(Via::Gopay) | None => self.charge.kind.as_str(),
        }
    }

    /// What every message about it has.
    pub fn facts(&self, code: &str, merchant_id: &str) -> Value {
        let mut facts = json!({
            "status_code": code,
            "transaction_id": self.id,
            "order_id": self.charge.order_id,
            "merchant_id": merchant_id,
            "gross_amount": self.gross_amount(),
            "currency": "IDR",
            "payment_type": self.payment_type(),
            "transaction_time": self.made_at.to_midtrans(),
            "transaction_status": self.status.as_str(),
            "fraud_status": "accept",
            "expiry_time": self.charge.expires_at.to_midtrans(),
        });
        if self.payment_type() == Kind::Qris.as_str() {
            facts["acquirer"] = json!("gopay");
        }
        facts
    }

    /// The same, signed, with all that get-status and notifications add.
    pub fn signed(&self, code: &str, merchant_id: &str, server_key: &str) -> Value {
        let mut facts = self.facts(code, merchant_id);
        facts["signature_key"] = json!(signature(&self.charge.order_id, code, &self.gross_amount(), server_key));
        for (field, value) in ["custom_field1", "custom_field2", "custom_field3"].iter().zip(&self.charge.custom_fields) {
            if let Some(value) = value {
                facts[*field] = json!(value);
            }
        }
        if let Some(metadata) = self.metadata() {
            facts["metadata"] = metadata;
        }
        if let (Status::Settlement, Some(at), Some(via)) = (self.status, self.settled_at, self.paid_via) {
            facts["settlement_time"] = json!(at.to_midtrans());
            facts["merchant_cross_reference_id"] = json!(self.deeplink_id);
            if self.payment_type() == Kind::Qris.as_str() {
                let (issuer, kind) = match via {
                    Via::Gopay => ("gopay", "on-us"),
                    Via::Qris => ("dana", "off-us"),
                };
                facts["issuer"] = json!(issuer);
                facts["transaction_type"] = json!(kind);
            } else {
                facts["payment_option_type"] = json!("GOPAY_WALLET");
            }
        }
        facts
    }

    /// The merchant's own, and where a fee was imposed the amount before it.
    fn metadata(&self) -> Option<Value> {
        if self.gross == self.charge.amount {
            return self.charge.metadata.clone();
        }
        let mut metadata = self.charge.metadata.clone().unwrap_or_else(|| json!({}));
        metadata["extra_info"] = json!({ "gross_amount_info": {
            "original_amount": format!("{}.00", self.charge.amount),
            "gross_amount": self.gross_amount(),
            "customer_imposed_payment_fee": format!("{}.00", self.gross - self.charge.amount),
        } });
        Some(metadata)
    }

    /// The answer to its charge.
    pub fn charged(&self, merchant_id: &str, public_url: &str) -> Value {
        let id = &self.id;
        let kind = self.charge.kind;
        let mut answer = self.facts("201", merchant_id);
        let action =
            |name: &str, method: &str, path: String| json!({ "name": name, "method": method, "url": format!("{public_url}{path}") });
        let mut actions = vec![
            action("generate-qr-code", "GET", format!("/v2/{}/{id}/qr-code", kind.as_str())),
            action("generate-qr-code-v2", "GET", format!("/v4/qris/gopay/{}/qr-code", self.image_token)),
        ];
        match kind {
            Kind::Gopay => {
                answer["status_message"] = json!("GoPay transaction is created");
                actions.push(action("deeplink-redirect", "GET", format!("/gopay/partner/app/payment-pin?id={}", self.deeplink_id)));
                actions.push(action("get-status", "GET", format!("/v2/{id}/status")));
                actions.push(action("cancel", "POST", format!("/v2/{id}/cancel")));
            }
            Kind::Qris => {
                answer["status_message"] = json!("QRIS transaction is created");
                answer["qr_string"] = json!(self.payload);
            }
        }
        answer["actions"] = Value::Array(actions);
        answer
    }

    /// The answer to a charge that the provider denied.
    pub fn denied(&self, merchant_id: &str, channel_code: u16) -> Value {
        let mut answer = self.facts(Status::Deny.answer_code(), merchant_id);
        answer["status_message"] = json!("GO-PAY transaction is rejected");
        answer["channel_response_code"] = json!(channel_code.to_string());
        answer["channel_response_message"] = json!(if channel_code == 900 { "GENERIC_SERVICE_ERROR" } else { "Internal system error" });
        answer
    }
}

/// Lower-case hex of SHA-512 over the three and the key. Made here once more, so that it is not the backend's own code
/// that it checks.
pub(super) fn signature(order_id: &str, code: &str, gross_amount: &str, server_key: &str) -> String {
    let mut digest = Context::new(&SHA512);
    digest.update(format!("{order_id}{code}{gross_amount}{server_key}").as_bytes());
    digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
