//! What kind of Midtrans it is. Where the documents disagree, or say nothing, there is a choice here; what stands as its
//! default was seen in real answers, or is what the newest document says.

use super::channel::Limits;
use crate::qris::Merchant;
use qris_core::order::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What kind of Midtrans, and whose.
#[derive(Clone)]
pub struct Options {
    /// What requests must carry and notifications are signed with.
    pub server_key: String,
    /// What the addresses in answers begin with; no slash at the end.
    pub public_url: String,
    /// Whose QRs it makes.
    pub merchant: Merchant,
    /// Where notifications go unless a charge overrides it: the dashboard's setting.
    pub notification_urls: Vec<String>,
    /// How long a QR can be paid that asks for nothing else.
    pub expiry: Span,
    /// The same of a payment code or an account number.
    pub counter_expiry: Span,
    /// How often the batch runs that expires what is over. Until then get-status says pending.
    pub batch_every: Span,
    /// How long a notification takes.
    pub notification_delay: Span,
    /// How long Midtrans waits for a merchant's answer to one; the documents say 15 s and 30 s.
    pub notification_timeout: Span,
    /// How many addresses of the two headers count; the documents say two and three.
    pub notification_urls_max: usize,
    /// The waits between the attempts to deliver one.
    pub retry_spacing: Vec<Span>,
    /// After how long the bank confirms a refund, which is told by a second notification.
    pub refund_confirmed_after: Span,
    /// Whether refunds over the API are allowed. Those of merchants on site are not, unless they ask for it.
    pub refunds: bool,
    /// What a `refund_key` that was used before is answered with.
    pub refund_key_again: KeyAgain,
    /// What can be refunded at most, whole rupiah: the merchant's balance.
    pub balance: Option<u64>,
    /// The `payment_type`s that are activated; others are answered 402.
    pub payment_types: Vec<String>,
    /// Of one payment.
    pub limits: Limits,
    /// How the end of a charge is called in answers.
    pub expiry_field: ExpiryField,
    /// Whether `qris` charges are answered with `qr_string`.
    pub qr_string: bool,
    /// Whether `gopay` charges are.
    pub gopay_qr_string: bool,
    /// Whether charges are answered with `generate-qr-code-v2` as well.
    pub qr_code_v2: bool,
    /// Whether a name in `item_details` longer than 50 characters is refused. Whether it is, is not known.
    pub long_names_refused: bool,
    /// Whether a charge that the provider denies is told by a notification as well. Whether it is, is not known.
    pub denials_notified: bool,
    /// A fee that customers pay on top of every charge, whole rupiah: the dashboard's "automatic fee imposition".
    pub fee: u64,
    /// The HTTP status of answers whose body has this code, where it is to be another than usual.
    pub http_statuses: BTreeMap<u16, u16>,
    /// Repeats ids and shifts.
    pub seed: u64,
}

/// How the end of a charge is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryField {
    /// As real answers do.
    ExpiryTime,
    /// As the published interface does for QRIS.
    ExpireTime,
    /// Not at all, as until 2022.
    None,
}

/// What happens to a `refund_key` that was used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyAgain {
    /// 406 "Duplicate refund ID", as the reference says.
    Conflict,
    /// The first answer once more, as other official notes say.
    Replay,
}

impl Options {
    /// What the documents say, for this key and address.
    #[must_use]
    pub fn new(server_key: &str, public_url: &str) -> Self {
        Self {
            server_key: server_key.to_owned(),
            public_url: public_url.to_owned(),
            merchant: Merchant::default(),
            notification_urls: Vec::new(),
            expiry: Span::secs(15 * 60),
            counter_expiry: Span::secs(24 * 3_600),
            batch_every: Span::secs(60),
            notification_delay: Span::ZERO,
            notification_timeout: Span::secs(15),
            notification_urls_max: 3,
            retry_spacing: [120, 600, 1_800, 5_400, 12_600].map(Span::secs).to_vec(),
            refund_confirmed_after: Span::secs(2),
            refunds: true,
            refund_key_again: KeyAgain::Conflict,
            balance: None,
            payment_types: ["gopay", "qris", "cstore", "bank_transfer", "credit_card"].map(ToOwned::to_owned).to_vec(),
            limits: Limits::default(),
            expiry_field: ExpiryField::ExpiryTime,
            qr_string: true,
            gopay_qr_string: false,
            qr_code_v2: true,
            long_names_refused: true,
            denials_notified: true,
            fee: 0,
            http_statuses: BTreeMap::new(),
            seed: 1,
        }
    }

    /// Takes over what a change names.
    pub(super) fn change(&mut self, change: Change) {
        macro_rules! take {
            ($($field:ident),*) => { $(if let Some(value) = change.$field { self.$field = value; })* };
        }
        macro_rules! take_spans {
            ($($field:ident <- $ms:ident),*) => { $(if let Some(ms) = change.$ms { self.$field = Span::millis(ms.max(0)); })* };
        }
        take!(
            notification_urls,
            notification_urls_max,
            refunds,
            refund_key_again,
            payment_types,
            limits,
            expiry_field,
            qr_string,
            gopay_qr_string,
            qr_code_v2,
            long_names_refused,
            denials_notified,
            fee,
            http_statuses
        );
        take_spans!(
            expiry <- expiry_ms, counter_expiry <- counter_expiry_ms, batch_every <- batch_every_ms,
            notification_delay <- notification_delay_ms, notification_timeout <- notification_timeout_ms,
            refund_confirmed_after <- refund_confirmed_after_ms
        );
        if let Some(spacing) = change.retry_spacing_ms {
            self.retry_spacing = spacing.into_iter().map(|ms| Span::millis(ms.max(0))).collect();
        }
        if let Some(nmid) = change.nmid.filter(|nmid| nmid.len() == 15 && nmid.is_ascii()) {
            self.merchant.nmid = nmid;
        }
        if let Some(balance) = change.balance {
            self.balance = balance;
        }
    }

    /// What of it can be changed, as it is.
    #[must_use]
    pub fn told(&self) -> Change {
        Change {
            notification_urls: Some(self.notification_urls.clone()),
            notification_urls_max: Some(self.notification_urls_max),
            expiry_ms: Some(self.expiry.0),
            counter_expiry_ms: Some(self.counter_expiry.0),
            batch_every_ms: Some(self.batch_every.0),
            notification_delay_ms: Some(self.notification_delay.0),
            notification_timeout_ms: Some(self.notification_timeout.0),
            retry_spacing_ms: Some(self.retry_spacing.iter().map(|wait| wait.0).collect()),
            refund_confirmed_after_ms: Some(self.refund_confirmed_after.0),
            refunds: Some(self.refunds),
            refund_key_again: Some(self.refund_key_again),
            balance: Some(self.balance),
            payment_types: Some(self.payment_types.clone()),
            limits: Some(self.limits),
            expiry_field: Some(self.expiry_field),
            qr_string: Some(self.qr_string),
            gopay_qr_string: Some(self.gopay_qr_string),
            qr_code_v2: Some(self.qr_code_v2),
            long_names_refused: Some(self.long_names_refused),
            nmid: Some(self.merchant.nmid.clone()),
            denials_notified: Some(self.denials_notified),
            fee: Some(self.fee),
            http_statuses: Some(self.http_statuses.clone()),
        }
    }
}

/// A change of the options while it runs; what is left out stays. The fields are those of [`Options`], lengths of time in
/// milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(missing_docs, reason = "each is the option of the same name")]
pub struct Change {
    pub notification_urls: Option<Vec<String>>,
    pub notification_urls_max: Option<usize>,
    pub expiry_ms: Option<i64>,
    pub counter_expiry_ms: Option<i64>,
    pub batch_every_ms: Option<i64>,
    pub notification_delay_ms: Option<i64>,
    pub notification_timeout_ms: Option<i64>,
    pub retry_spacing_ms: Option<Vec<i64>>,
    pub refund_confirmed_after_ms: Option<i64>,
    pub refunds: Option<bool>,
    pub refund_key_again: Option<KeyAgain>,
    /// `null` is no limit.
    #[serde(deserialize_with = "given")]
    pub balance: Option<Option<u64>>,
    pub payment_types: Option<Vec<String>>,
    pub limits: Option<Limits>,
    pub expiry_field: Option<ExpiryField>,
    pub qr_string: Option<bool>,
    pub gopay_qr_string: Option<bool>,
    pub qr_code_v2: Option<bool>,
    pub long_names_refused: Option<bool>,
    pub nmid: Option<String>,
    pub denials_notified: Option<bool>,
    pub fee: Option<u64>,
    pub http_statuses: Option<BTreeMap<u16, u16>>,
}

/// `null` is a value here.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
