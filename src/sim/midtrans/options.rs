//! The options of this Midtrans. Where the documents disagree, or say nothing, there is a choice here. A default was seen
//! in real answers, or stands in the newest document.

use crate::qris::Merchant;
use qris_core::order::time::Span;
use serde::{Deserialize, Serialize};

#[derive(Clone)]
pub struct Options {
    /// The key that requests must carry and that signs notifications.
    pub server_key: String,
    /// The beginning of the addresses in answers, without a slash at the end.
    pub public_url: String,
    pub merchant: Merchant,
    /// Where notifications go unless a charge overrides it: the dashboard's setting.
    pub notification_urls: Vec<String>,
    /// How long a QR can be paid if the charge asks for no other time.
    pub expiry: Span,
    /// The same for a payment code.
    pub counter_expiry: Span,
    /// The time between two runs of the batch that expires transactions. Until the batch runs, get-status says pending.
    pub batch_every: Span,
    /// How long Midtrans waits for a merchant's answer to a notification. The documents say 15 s and 30 s.
    pub notification_timeout: Span,
    /// The waits between the attempts to deliver one notification.
    pub retry_spacing: Vec<Span>,
    /// The time until the bank confirms a refund. A second notification tells that.
    pub refund_confirmed_after: Span,
    /// Are refunds over the API allowed? Merchants on site may not use them, unless they ask for it.
    pub refunds: bool,
    pub refund_key_again: KeyAgain,
    /// How long a `refund_key` whose refund failed may be tried again, from its first try. Then it is 406, too.
    pub refund_key_life: Span,
    /// The greatest sum that can be refunded, whole rupiah: the merchant's balance.
    pub balance: Option<u64>,
    /// Do answers to `qris` charges have `qr_string`?
    pub qr_string: bool,
    /// Do answers to charges have the action `generate-qr-code`, for the plain picture?
    pub qr_code: bool,
    /// Is the check value in a QR written in small letters?
    pub small_check_value: bool,
    /// Do the answers to get-status, cancel and refund have the transaction_id in the place of the order_id? Integrators
    /// see that since April 2025.
    pub alien_order_id: bool,
    /// The spelling of `transaction_status` and `fraud_status`.
    pub spelling: Spelling,
    /// A fee that customers pay on top of every charge, whole rupiah: the dashboard's "automatic fee imposition".
    pub fee: u64,
    /// Is the fee first told by get-status? Then the answer to the charge, and the QR, have the charged sum. Nobody knows what
    /// Midtrans does.
    pub fee_in_status: bool,
    /// How far the `Date` of its answers is ahead of the time; behind, if it is negative.
    pub date_off: Span,
    /// The seed: it makes ids and shifts repeat.
    pub seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spelling {
    Documented,
    /// As `settled`, `expired`, `cancelled`, `denied`, `failed`.
    Past,
    Capitals,
}

/// The answer to a `refund_key` that was used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyAgain {
    /// 406 "Duplicate refund ID", as the reference says.
    Conflict,
    /// The first answer once more, as other official notes say.
    Replay,
}

impl Options {
    /// The defaults of the documents, for this key and address.
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
            notification_timeout: Span::secs(15),
            retry_spacing: [120, 600, 1_800, 5_400, 12_600].map(Span::secs).to_vec(),
            refund_confirmed_after: Span::secs(2),
            refunds: true,
            refund_key_again: KeyAgain::Conflict,
            refund_key_life: Span::secs(7 * 86_400),
            balance: None,
            qr_string: true,
            qr_code: true,
            small_check_value: false,
            alien_order_id: false,
            spelling: Spelling::Documented,
            fee: 0,
            fee_in_status: false,
            date_off: Span::ZERO,
            seed: 1,
        }
    }

    pub(super) fn change(&mut self, change: Change) {
        macro_rules! take {
            ($($field:ident),*) => { $(if let Some(value) = change.$field { self.$field = value; })* };
        }
        macro_rules! take_spans {
            ($($field:ident <- $ms:ident),*) => { $(if let Some(ms) = change.$ms { self.$field = Span::millis(ms.max(0)); })* };
        }
        take!(
            notification_urls,
            refunds,
            refund_key_again,
            qr_string,
            qr_code,
            small_check_value,
            alien_order_id,
            spelling,
            fee,
            fee_in_status
        );
        take_spans!(
            expiry <- expiry_ms, counter_expiry <- counter_expiry_ms, batch_every <- batch_every_ms,
            notification_timeout <- notification_timeout_ms,
            refund_confirmed_after <- refund_confirmed_after_ms, refund_key_life <- refund_key_life_ms
        );
        if let Some(spacing) = change.retry_spacing_ms {
            self.retry_spacing = spacing.into_iter().map(|ms| Span::millis(ms.max(0))).collect();
        }
        if let Some(nmid) = change.nmid.filter(|nmid| nmid.len() == 15 && nmid.is_ascii()) {
            self.merchant.nmid = nmid;
        }
        if let Some(ms) = change.date_off_ms {
            self.date_off = Span::millis(ms);
        }
        if let Some(balance) = change.balance {
            self.balance = balance;
        }
    }

    /// The present values of all that can be changed.
    #[must_use]
    pub fn as_change(&self) -> Change {
        Change {
            notification_urls: Some(self.notification_urls.clone()),
            expiry_ms: Some(self.expiry.0),
            counter_expiry_ms: Some(self.counter_expiry.0),
            batch_every_ms: Some(self.batch_every.0),
            notification_timeout_ms: Some(self.notification_timeout.0),
            retry_spacing_ms: Some(self.retry_spacing.iter().map(|wait| wait.0).collect()),
            refund_confirmed_after_ms: Some(self.refund_confirmed_after.0),
            refunds: Some(self.refunds),
            refund_key_again: Some(self.refund_key_again),
            refund_key_life_ms: Some(self.refund_key_life.0),
            balance: Some(self.balance),
            qr_string: Some(self.qr_string),
            qr_code: Some(self.qr_code),
            small_check_value: Some(self.small_check_value),
            alien_order_id: Some(self.alien_order_id),
            spelling: Some(self.spelling),
            nmid: Some(self.merchant.nmid.clone()),
            fee: Some(self.fee),
            fee_in_status: Some(self.fee_in_status),
            date_off_ms: Some(self.date_off.0),
        }
    }
}

/// A change of the options while it runs. A missing field stays as it is. The fields are those of [`Options`], with times
/// in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Change {
    pub notification_urls: Option<Vec<String>>,
    pub expiry_ms: Option<i64>,
    pub counter_expiry_ms: Option<i64>,
    pub batch_every_ms: Option<i64>,
    pub notification_timeout_ms: Option<i64>,
    pub retry_spacing_ms: Option<Vec<i64>>,
    pub refund_confirmed_after_ms: Option<i64>,
    pub refunds: Option<bool>,
    pub refund_key_again: Option<KeyAgain>,
    pub refund_key_life_ms: Option<i64>,
    /// `null` means no limit.
    #[serde(deserialize_with = "given")]
    pub balance: Option<Option<u64>>,
    pub qr_string: Option<bool>,
    pub qr_code: Option<bool>,
    pub small_check_value: Option<bool>,
    pub alien_order_id: Option<bool>,
    pub spelling: Option<Spelling>,
    pub nmid: Option<String>,
    pub fee: Option<u64>,
    pub fee_in_status: Option<bool>,
    pub date_off_ms: Option<i64>,
}

/// Here `null` is a value.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
