//! One transaction as the simulated Midtrans keeps it, with its messages: the answer of get-status, and the
//! notification. The two number its states differently, so their signatures differ too.

use super::channel::{Acquirer, Channel, Store};
use super::charge::Charge;
use super::options::{Options, Spelling};
use qris_core::order::time::Wall;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It can be paid.
    Pending,
    /// It is paid.
    Settlement,
    Expire,
    Cancel,
    /// The provider refused it; a paid one was taken back.
    Deny,
    Failure,
    /// All of it went back.
    Refund,
    PartialRefund,
    /// The customer's bank took all of it back.
    Chargeback,
    PartialChargeback,
}

impl Status {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Settlement => "settlement",
            Self::Expire => "expire",
            Self::Cancel => "cancel",
            Self::Deny => "deny",
            Self::Failure => "failure",
            Self::Refund => "refund",
            Self::PartialRefund => "partial_refund",
            Self::Chargeback => "chargeback",
            Self::PartialChargeback => "partial_chargeback",
        }
    }

    fn spelled(self, spelling: Spelling) -> String {
        match (spelling, self) {
            (Spelling::Past, Self::Settlement) => "settled".into(),
            (Spelling::Past, Self::Expire) => "expired".into(),
            (Spelling::Past, Self::Cancel) => "cancelled".into(),
            (Spelling::Past, Self::Deny) => "denied".into(),
            (Spelling::Past, Self::Failure) => "failed".into(),
            (Spelling::Capitals, status) => status.as_str().to_uppercase(),
            (Spelling::Documented | Spelling::Past, status) => status.as_str().into(),
        }
    }

    /// The `status_code` of get-status, cancel and expire.
    pub(super) const fn answer_code(self) -> &'static str {
        match self {
            Self::Pending => "201",
            Self::Settlement | Self::Cancel | Self::Refund | Self::PartialRefund | Self::Chargeback | Self::PartialChargeback => "200",
            Self::Expire => "407",
            Self::Deny | Self::Failure => "202",
        }
    }

    pub(super) const fn frees_order_id(self) -> bool {
        match self {
            Self::Expire | Self::Cancel | Self::Deny | Self::Failure => true,
            Self::Pending | Self::Settlement | Self::Refund | Self::PartialRefund | Self::Chargeback | Self::PartialChargeback => false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fraud {
    Accept,
    /// A person must look at it.
    Challenge,
    Deny,
}

impl Fraud {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Challenge => "challenge",
            Self::Deny => "deny",
        }
    }
}

/// The app with which the customer paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    Gopay,
    /// Another app that reads QRIS.
    Qris,
}

#[derive(Debug, Clone)]
pub(super) struct Transaction {
    pub id: String,
    pub charge: Charge,
    /// The amount with the fee that the customer pays.
    pub gross: u64,
    pub status: Status,
    pub fraud: Fraud,
    pub made_at: Wall,
    pub settled_at: Option<Wall>,
    pub paid_via: Option<Via>,
    pub failed_attempts: u32,
    /// The text of its QR; empty if there is none.
    pub payload: String,
    /// The path segment of the framed QR image; empty if there is none.
    pub image_token: String,
    pub deeplink_id: String,
    /// The payment code; empty if there is none.
    pub code: String,
    /// The provider's name for the payment.
    pub reference: String,
    pub urls: Vec<String>,
    pub refunds: Vec<Refund>,
    /// Every `refund_key` that was tried, and when first. Also a refund that failed uses its key up.
    pub refund_keys: Vec<(String, Wall)>,
    pub charged_back: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refund {
    /// `refund_chargeback_id`
    pub id: u64,
    pub uuid: String,
    pub amount: u64,
    pub reason: Option<String>,
    pub key: String,
    pub made_at: Wall,
    pub confirmed_at: Option<Wall>,
}

impl Transaction {
    /// The `status_code` of a notification.
    pub fn notification_code(&self) -> &'static str {
        match self.status {
            Status::Expire | Status::Cancel => "202",
            status => status.answer_code(),
        }
    }

    /// The amount that the answer to the charge names.
    fn asked(&self, options: &Options) -> u64 {
        if options.fee_in_status { self.charge.amount } else { self.gross }
    }

    pub fn gross_amount(&self) -> String {
        format!("{}.00", self.gross)
    }

    pub fn refunded(&self) -> u64 {
        self.refunds.iter().map(|refund| refund.amount).sum()
    }

    /// Did the customer use another app to pay a GoPay charge by its QR?
    fn was_scanned(&self) -> bool {
        self.charge.channel == Channel::Gopay && self.paid_via == Some(Via::Qris)
    }

    /// A charge that was sent as `gopay` and scanned with another app comes back as `qris`.
    pub fn payment_type(&self) -> &'static str {
        if self.was_scanned() { "qris" } else { self.charge.channel.payment_type() }
    }

    /// The fields that every message about it has.
    pub fn facts(&self, code: &str, options: &Options) -> Value {
        let mut facts = json!({
            "status_code": code,
            "transaction_id": self.id,
            "order_id": self.charge.order_id,
            "merchant_id": options.merchant.id,
            "gross_amount": self.gross_amount(),
            "currency": "IDR",
            "payment_type": self.payment_type(),
            "transaction_time": self.made_at.to_wib(),
            "transaction_status": self.status.spelled(options.spelling),
            "expiry_time": self.charge.expires_at.to_wib(),
        });
        if self.charge.channel.has_fraud_status() {
            facts["fraud_status"] = json!(match options.spelling {
                Spelling::Documented | Spelling::Past => self.fraud.as_str().to_owned(),
                Spelling::Capitals => self.fraud.as_str().to_uppercase(),
            });
        }
        match self.charge.channel {
            Channel::Gopay if self.was_scanned() => facts["acquirer"] = json!("gopay"),
            Channel::Gopay => {}
            Channel::Qris(acquirer) => facts["acquirer"] = json!(acquirer.as_str()),
            Channel::Cstore(store) => {
                facts["store"] = json!(store.as_str());
                facts["payment_code"] = json!(self.code);
            }
        }
        facts
    }

    /// The same fields, signed, with the additional fields of get-status and notifications.
    pub fn signed(&self, code: &str, options: &Options) -> Value {
        let mut facts = self.facts(code, options);
        facts["signature_key"] = json!(signature(&self.charge.order_id, code, &self.gross_amount(), &options.server_key));
        for (field, value) in ["custom_field1", "custom_field2", "custom_field3"].iter().zip(&self.charge.custom_fields) {
            if let Some(value) = value {
                facts[*field] = json!(value);
            }
        }
        if let Some(metadata) = self.metadata() {
            facts["metadata"] = metadata;
        }
        if let Some(at) = self.settled_at {
            facts["settlement_time"] = json!(at.to_wib());
            self.add_payment(&mut facts);
        }
        if !self.refunds.is_empty() {
            facts["refund_amount"] = json!(format!("{}.00", self.refunded()));
            facts["refunds"] = self.refunds.iter().map(Refund::told).collect();
        }
        if self.charged_back > 0 {
            facts["chargeback_amount"] = json!(format!("{}.00", self.charged_back));
        }
        facts
    }

    fn add_payment(&self, facts: &mut Value) {
        match self.charge.channel {
            Channel::Gopay | Channel::Qris(_) => {
                let acquirer = if let Channel::Qris(acquirer) = self.charge.channel { acquirer } else { Acquirer::Gopay };
                if acquirer == Acquirer::Gopay {
                    facts["merchant_cross_reference_id"] = json!(self.reference);
                } else {
                    facts["shopeepay_reference_number"] = json!(self.approval_code());
                    facts["reference_id"] = json!(self.approval_code());
                }
                if self.payment_type() == "gopay" {
                    facts["payment_option_type"] = json!("GOPAY_WALLET");
                    return;
                }
                let is_gopay = self.paid_via != Some(Via::Qris);
                facts["issuer"] = json!(if is_gopay { "gopay" } else { "dana" });
                facts["transaction_type"] = json!(if is_gopay && acquirer == Acquirer::Gopay { "on-us" } else { "off-us" });
            }
            Channel::Cstore(Store::Indomaret) => facts["approval_code"] = json!(self.approval_code()),
            Channel::Cstore(Store::Alfamart) => {}
        }
    }

    /// Twenty digits, computed from the provider's name for the payment.
    fn approval_code(&self) -> String {
        let digits = self.reference.bytes().map(|byte| char::from(b'0' + byte % 10));
        digits.take(20).collect()
    }

    /// The merchant's own metadata. If a fee was imposed, it also has the amount before the fee.
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
    pub fn charged(&self, options: &Options) -> Value {
        let id = &self.id;
        let public_url = &options.public_url;
        let channel = self.charge.channel;
        let mut answer = self.facts(self.status.answer_code(), options);
        answer["gross_amount"] = json!(format!("{}.00", self.asked(options)));
        answer["status_message"] = json!(match channel {
            Channel::Gopay => "GoPay transaction is created",
            Channel::Qris(_) => "QRIS transaction is created",
            Channel::Cstore(_) => "Success, cstore transaction is successful",
        });
        let action =
            |name: &str, method: &str, path: String| json!({ "name": name, "method": method, "url": format!("{public_url}{path}") });
        if channel.has_qr() {
            let mut actions = Vec::new();
            if options.qr_code {
                actions.push(action("generate-qr-code", "GET", format!("/v2/{}/{id}/qr-code", channel.payment_type())));
            }
            actions.push(action("generate-qr-code-v2", "GET", format!("/v4/qris/gopay/{}/qr-code", self.image_token)));
            if channel == Channel::Gopay {
                actions.push(action("deeplink-redirect", "GET", format!("/gopay/partner/app/payment-pin?id={}", self.deeplink_id)));
                actions.push(action("get-status", "GET", format!("/v2/{id}/status")));
                actions.push(action("cancel", "POST", format!("/v2/{id}/cancel")));
            } else if options.qr_string {
                answer["qr_string"] = json!(self.payload);
            }
            answer["actions"] = Value::Array(actions);
        }
        answer
    }

    pub fn denied(&self, options: &Options, channel_code: u16) -> Value {
        let mut answer = self.facts(Status::Deny.answer_code(), options);
        answer["status_message"] = json!(match self.charge.channel {
            Channel::Gopay => "GO-PAY transaction is rejected",
            Channel::Qris(_) => "QRIS transaction is rejected",
            Channel::Cstore(_) => "Transaction is denied",
        });
        answer["channel_response_code"] = json!(channel_code.to_string());
        answer["channel_response_message"] = json!(channel_message(channel_code));
        answer
    }
}

impl Refund {
    /// Its form in `refunds`.
    fn told(&self) -> Value {
        let mut told = json!({
            "refund_chargeback_id": self.id,
            "refund_chargeback_uuid": self.uuid,
            "refund_amount": format!("{}.00", self.amount),
            "created_at": self.made_at.to_wib(),
            "refund_key": self.key,
        });
        if let Some(reason) = &self.reason {
            told["reason"] = json!(reason);
        }
        if let Some(at) = self.confirmed_at {
            told["bank_confirmed_at"] = json!(at.to_wib());
        }
        told
    }
}

const fn channel_message(code: u16) -> &'static str {
    match code {
        200 => "Success",
        101 => "WALLET_NOT_FOUND",
        102 => "MERCHANT_NOT_AUTHORIZED",
        105 => "USER_NOT_FOUND",
        109 => "CURRENTLY_NOT_ALLOWED",
        112 => "WALLET_BLOCKED",
        116 => "MERCHANT_NOT_FOUND",
        119 => "INCORRECT_PIN",
        126 => "CUSTOMER_WALLET_BLOCKED",
        130 => "SERVICE_BLOCKED",
        132 => "TRANSACTION_IN_PROGRESS",
        133 => "SETTLEMENT_FAILED",
        135 => "TRANSACTION_NOT_FOUND",
        142 => "INVALID_MERCHANT_IDENTIFIER",
        153 => "INVALID_PAYMENT_OPTION",
        900 => "GENERIC_SERVICE_ERROR",
        901 => "ATTRIBUTE_NOT_AVAILABLE",
        902 => "MALFORMED_JSON",
        903 => "FORBIDDEN_OPERATION",
        _ => "Internal system error",
    }
}

/// Lower-case hex of SHA-512 over the three values and the key. It is computed here once more, so that the backend's
/// code is not checked by itself.
pub(super) fn signature(order_id: &str, code: &str, gross_amount: &str, server_key: &str) -> String {
    qris_core::hex(&Sha512::digest(format!("{order_id}{code}{gross_amount}{server_key}")))
}
