//! Every answer of Midtrans, classified. The body's `status_code`, a string, decides: an unknown order is HTTP 200 with body
//! `"404"`, a charge that worked is HTTP 200 with body `"201"`. An answer that cannot be understood is
//! [`MidtransError::Unreadable`]: its effect is unknown, and unknown is never taken for failed.

use qris_core::order::ids::{OrderId, TransactionId};
use qris_core::order::money::Rupiah;
use qris_core::order::time::Wall;
use qris_core::text;
use serde_json::{Map, Value};

/// Midtrans' texts in an error or a log are cut at this length.
const MESSAGE_CHARS_MAX: usize = 200;
/// Any text of theirs is cut at this length. Addresses and QRIS payloads have some hundred characters.
const TEXT_CHARS_MAX: usize = 2000;
/// The longest payment code that is kept; all samples have 12 to 18 digits.
const PLAIN_CHARS_MAX: usize = 64;
/// The most actions, or validation messages, that are kept.
const LIST_MAX: usize = 16;

/// Why Midtrans did not do the request, or why nobody knows whether it did.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MidtransError {
    /// Body 404: Midtrans has no such transaction.
    #[error("Midtrans knows no such transaction")]
    NotFound,
    /// Body 406: this order_id is pending or paid already. This is the answer to a charge that is repeated after its
    /// key was forgotten.
    #[error("Midtrans has a transaction with this order_id already: ask get-status, or charge under a new order_id")]
    Conflict,
    /// Body 412: the state of the transaction does not allow it. This is the answer to a cancel that lost the race.
    #[error("Midtrans cannot change this transaction any more: ask get-status")]
    CannotModify,
    #[error("the payment provider denied the charge ({channel_response_code}: {message})")]
    Denied {
        /// `900` is a passing trouble of the provider. It is empty if the answer has none.
        channel_response_code: String,
        message: String,
    },
    /// Any other 4xx: the same request gets the same answer.
    #[error("Midtrans refused the request ({code}: {message}{})", list(.validation))]
    Refused {
        /// The body's `status_code`.
        code: u16,
        message: String,
        /// Its `validation_messages`.
        validation: Vec<String>,
    },
    /// 401: the Server Key is wrong, or of the other environment (sandbox, production).
    #[error("Midtrans does not accept the Server Key: does it belong to the environment of base_url?")]
    Unauthorized,
    /// 402: the merchant may not use this `payment_type` with this API.
    #[error("this way of payment is not activated for the merchant at Midtrans ({message})")]
    NotActivated { message: String },
    /// 429.
    #[error("Midtrans limits the rate of requests: ask again later")]
    RateLimited,
    /// HTTP 202: the first call with this Idempotency-Key still runs.
    #[error("Midtrans still works on an earlier call with this key: ask again with the same key")]
    Running,
    /// A 5xx that Midtrans itself wrote. It does not say whether the call had an effect.
    #[error("Midtrans or the payment provider is in trouble ({code}: {message}): ask again later")]
    Unavailable {
        /// The body's `status_code`, or the HTTP status.
        code: u16,
        message: String,
    },
    /// No connection was made, so nothing was sent.
    #[error("Midtrans cannot be reached: {0}")]
    Unreachable(String),
    /// It was sent, and no whole answer came: there was a timeout, or a cut.
    #[error("Midtrans does not answer: {0}")]
    NoAnswer(String),
    /// It was sent, and the answer makes no sense: it does not say what became of it.
    #[error("Midtrans' answer cannot be understood: {0}")]
    Unreadable(String),
    /// There is no refund, for a reason of its own. The transaction stays as it was.
    #[error("{why} (Midtrans: {code}, {message})")]
    RefundRefused { why: RefundRefusal, code: u16, message: String },
    #[error("the QR of the charge cannot be read: {0}")]
    Qr(#[from] super::qr_image::QrImageError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefundRefusal {
    /// The merchant's contract has no refunds over the API. This is the default for payments on site.
    #[error("POS refunds not allowed")]
    NotAllowed,
    /// 406: a refund with this `refund_key` was made or tried before. It is told only once get-status has said that none was made.
    #[error("the first try with this refund_key failed, and Midtrans does not take the key again")]
    Duplicate,
    /// 412: the payment is not settled any more, or refunded already, or too old.
    #[error("Midtrans cannot change this transaction any more")]
    CannotModify,
    /// 414: the amount is more than is left of the payment, or more than the merchant's balance at Midtrans.
    #[error("the refund's amount was refused, or the merchant's balance at Midtrans does not cover it")]
    Amount,
    /// 202: the provider refused.
    #[error("refund denied by the bank")]
    Denied,
    #[error("only a part was refunded")]
    Partly,
    #[error("Midtrans refused the refund")]
    Other,
}

fn list(messages: &[String]) -> String {
    messages.iter().map(|message| format!("; {message}")).collect()
}

impl MidtransError {
    /// Whether the same call, repeated later with the same Idempotency-Key, can end in another way.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        match self {
            Self::RateLimited
            | Self::Running
            | Self::Unavailable { .. }
            | Self::Unreachable(_)
            | Self::NoAnswer(_)
            | Self::Unreadable(_) => true,
            Self::Denied { channel_response_code, .. } => channel_response_code == "900",
            Self::NotFound
            | Self::Conflict
            | Self::CannotModify
            | Self::Refused { .. }
            | Self::Unauthorized
            | Self::NotActivated { .. }
            | Self::RefundRefused { .. }
            | Self::Qr(_) => false,
        }
    }
}

/// A transaction as an answer of Midtrans tells it. A field that an answer may leave out is an `Option`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// The order that it names. That may be another one's name, or no name of ours at all (`None`): since April 2025
    /// integrators see get-status answers that have the transaction_id here. So it is judged with the transaction.
    pub order_id: Option<OrderId>,
    pub transaction_id: TransactionId,
    /// The sum that the customer pays, byte for byte: `"10000.00"`. It is above the charged sum where the merchant
    /// imposes a fee.
    pub gross_amount_text: String,
    /// The same as a number; `None` if it is not whole rupiah in range.
    pub gross_amount: Option<Rupiah>,
    /// `IDR` in every sample; in capitals.
    pub currency: Option<String>,
    /// `gopay`, `qris`, …: a charge that was sent as `gopay` may come back as `qris`, so no decision depends on it.
    pub payment_type: Option<String>,
    pub transaction_status: TransactionStatus,
    /// Some answers do not have it. If it is there, only `accept` means money.
    pub fraud_status: Option<FraudStatus>,
    /// When it was charged.
    pub transaction_time: Option<Wall>,
    /// When it was paid.
    pub settlement_time: Option<Wall>,
    /// The time at which Midtrans' batch may expire it; spelt `expiry_time` or `expire_time`.
    pub expiry_time: Option<Wall>,
    /// `custom_field1..3`, as far as the answer has them.
    pub custom_fields: [Option<String>; 3],
    /// The account that it belongs to.
    pub merchant_id: Option<String>,
    /// For a charge: the actions that it allows, found by name.
    pub actions: Vec<Action>,
    /// For a `qris` charge: the payload itself.
    pub qr_string: Option<String>,
    /// Over the counter: the code that the customer says there.
    pub payment_code: Option<String>,
    /// Over the counter: the shop; written `alfamart` or `Alfamart`.
    pub store: Option<String>,
    /// Who takes the payment for the merchant: `gopay`, `airpay shopee`.
    pub acquirer: Option<String>,
    /// Whose app paid; only known once it is paid, and by QRIS.
    pub issuer: Option<String>,
    /// `on-us`: the app that paid and the acquirer are of one house; `off-us`: they are not. Only known once it is paid, and by QRIS.
    pub transaction_type: Option<String>,
    /// The sum that was given back; `None` if none was.
    pub refund_amount: Option<Rupiah>,
    /// Whether the bank has confirmed each of its refunds; `None` if the answer lists none.
    pub refunds_confirmed: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// `generate-qr-code`, `deeplink-redirect`, …
    pub name: String,
    pub url: String,
}

impl Transaction {
    /// The address of an action, found by its name and never by its place: new ones appear between the old.
    #[must_use]
    pub fn action(&self, name: &str) -> Option<&str> {
        self.actions.iter().find(|action| action.name.eq_ignore_ascii_case(name)).map(|action| action.url.as_str())
    }

    /// The address of the picture of its QR: the plain one, else the one in the national frame.
    #[must_use]
    pub fn picture_url(&self) -> Option<&str> {
        self.action("generate-qr-code").or_else(|| self.action("generate-qr-code-v2"))
    }

    /// The GoPay link for a phone, if the charge has one.
    #[must_use]
    pub fn deeplink_url(&self) -> Option<&str> {
        self.action("deeplink-redirect")
    }

    /// Whether the money is the merchant's: `settlement`, and no word about fraud except `accept`. A `capture` is a
    /// card's, and not money yet.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.transaction_status == TransactionStatus::Settlement && matches!(self.fraud_status, None | Some(FraudStatus::Accept))
    }

    fn read(fields: &Map<String, Value>) -> Result<Self, String> {
        let text = |name: &str| fields.get(name).and_then(as_text);
        let required = |name: &str| text(name).ok_or_else(|| format!("an answer without {name}"));
        // Midtrans' other interface, to which it moves, writes times with a zone.
        let time = |name: &str| text(name).and_then(|time| Wall::from_wib(&time).or_else(|_| Wall::from_rfc3339(&time)).ok());
        let gross_amount_text = required("gross_amount")?;
        Ok(Self {
            order_id: text("order_id").and_then(|id| OrderId::new(&id).ok()),
            transaction_id: TransactionId::new(&required("transaction_id")?).map_err(|error| error.to_string())?,
            gross_amount: rupiah(&gross_amount_text),
            gross_amount_text,
            currency: text("currency").map(|currency| currency.trim().to_ascii_uppercase()),
            payment_type: text("payment_type"),
            transaction_status: TransactionStatus::read(&required("transaction_status")?),
            fraud_status: text("fraud_status").as_deref().map(FraudStatus::read),
            transaction_time: time("transaction_time"),
            settlement_time: time("settlement_time"),
            expiry_time: time("expiry_time").or_else(|| time("expire_time")),
            custom_fields: [text("custom_field1"), text("custom_field2"), text("custom_field3")],
            merchant_id: text("merchant_id"),
            actions: actions(fields.get("actions")),
            qr_string: text("qr_string").map(|payload| payload.trim_matches(is_no_letter).to_owned()).filter(|payload| !payload.is_empty()),
            payment_code: text("payment_code").filter(|code| is_plain(code)),
            store: text("store").filter(|store| is_plain(store)),
            acquirer: text("acquirer").filter(|name| is_plain(name)),
            issuer: text("issuer").filter(|name| is_plain(name)),
            transaction_type: text("transaction_type").filter(|name| is_plain(name)),
            refunds_confirmed: refunds_confirmed(fields.get("refunds")),
            refund_amount: text("refund_amount").as_deref().and_then(rupiah),
        })
    }
}

fn rupiah(text: &str) -> Option<Rupiah> {
    Rupiah::from_gross_amount(text.trim()).ok()
}

fn refunds_confirmed(value: Option<&Value>) -> Option<bool> {
    let list = value.and_then(Value::as_array).filter(|list| !list.is_empty())?;
    Some(list.iter().all(|refund| refund.get("bank_confirmed_at").is_some_and(|at| !at.is_null())))
}

fn actions(value: Option<&Value>) -> Vec<Action> {
    let entry = |action: &Value| Some(Action { name: as_text(action.get("name")?)?, url: as_text(action.get("url")?)? });
    value.and_then(Value::as_array).map(|list| list.iter().filter_map(entry).take(LIST_MAX).collect()).unwrap_or_default()
}

/// A code that a customer can read off a screen and say at a counter.
fn is_plain(text: &str) -> bool {
    (1..=PLAIN_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

/// A line end is one that steers.
const fn is_no_letter(c: char) -> bool {
    c.is_ascii_whitespace() || c == char::REPLACEMENT_CHARACTER
}

/// Strings, and numbers if somebody forgot the quotes. No change here turns a text into another word that means something.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text::plain(text, char::REPLACEMENT_CHARACTER).chars().take(TEXT_CHARS_MAX).collect()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

macro_rules! spelled {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal $(| $spelling:literal)*,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $($(#[$word_doc])* $variant,)+
            /// A word that is not in the documents.
            Unknown(String),
        }

        impl $name {
            /// Takes Midtrans' word for it, in any case and in each known spelling.
            #[must_use]
            pub fn read(word: &str) -> Self {
                match word.trim().to_ascii_lowercase().as_str() {
                    $($word $(| $spelling)* => Self::$variant,)+
                    _ => Self::Unknown(cut(word)),
                }
            }

            /// Midtrans' word for it, as its documents have it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Unknown(word) => word,
                }
            }
        }
    };
}

spelled!(
    TransactionStatus {
        /// It can be paid.
        Pending = "pending",
        Settlement = "settlement" | "settled",
        /// A card's promise of money.
        Capture = "capture",
        /// Nobody paid in time.
        Expire = "expire" | "expired",
        /// The merchant ended it before it was paid.
        Cancel = "cancel" | "cancelled" | "canceled",
        /// The provider refused it; over the counter also after a settlement.
        Deny = "deny" | "denied",
        /// It broke on the way.
        Failure = "failure" | "failed",
        Refund = "refund",
        PartialRefund = "partial_refund",
        /// Taken back by the customer's bank.
        Chargeback = "chargeback",
        PartialChargeback = "partial_chargeback",
        /// Reserved on a card.
        Authorize = "authorize",
    }
);
spelled!(
    FraudStatus {
        Accept = "accept",
        Deny = "deny",
        /// A person must look at it.
        Challenge = "challenge",
    }
);

fn cut(text: &str) -> String {
    text.chars().take(MESSAGE_CHARS_MAX).collect()
}

/// The answer to a call about a transaction: HTTP status and body.
pub(super) fn classify(http: u16, body: &[u8]) -> Result<Transaction, MidtransError> {
    let unreadable = |why: &str| match http {
        401 => MidtransError::Unauthorized,
        429 => MidtransError::RateLimited,
        202 => MidtransError::Running,
        500..=599 => MidtransError::Unavailable { code: http, message: why.into() },
        _ => MidtransError::Unreadable(format!("HTTP {http}, {why}")),
    };
    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
        return Err(unreadable("and the body is not a JSON object"));
    };
    let status = fields.get("transaction_status").and_then(Value::as_str).map(TransactionStatus::read);
    if http == 202 && status.is_none() {
        return Err(MidtransError::Running);
    }
    let Some(code) = fields.get("status_code").and_then(as_text).and_then(|code| code.trim().parse::<u16>().ok()) else {
        return Err(unreadable("and the body has no status_code"));
    };
    let message = || fields.get("status_message").and_then(as_text).map(|message| cut(&message)).unwrap_or_default();
    match code {
        // 407 tells of an expired transaction. If it is empty, it is an error like its neighbours.
        200..=299 | 407 if status.is_some() || code != 407 => Transaction::read(&fields).map_err(MidtransError::Unreadable),
        401 => Err(MidtransError::Unauthorized),
        402 => Err(MidtransError::NotActivated { message: message() }),
        404 => Err(MidtransError::NotFound),
        406 => Err(MidtransError::Conflict),
        412 => Err(MidtransError::CannotModify),
        429 => Err(MidtransError::RateLimited),
        400..=499 => Err(MidtransError::Refused { code, message: message(), validation: validation(&fields) }),
        500..=599 => Err(MidtransError::Unavailable { code, message: message() }),
        _ => Err(MidtransError::Unreadable(format!("status_code {code} is not known"))),
    }
}

/// The answer to a charge: it was made, or the provider denied it in an answer that otherwise looks like success.
pub(super) fn classify_charge(http: u16, body: &[u8]) -> Result<Transaction, MidtransError> {
    // A denial may lack the fields that a transaction must have, so it is looked for first.
    if let Ok(Value::Object(fields)) = serde_json::from_slice(body) {
        let text = |name: &str| fields.get(name).and_then(as_text).map(|text| cut(&text)).unwrap_or_default();
        match TransactionStatus::read(&text("transaction_status")) {
            TransactionStatus::Deny | TransactionStatus::Failure => {
                return Err(MidtransError::Denied {
                    channel_response_code: text("channel_response_code"),
                    message: text("status_message"),
                });
            }
            TransactionStatus::Pending
            | TransactionStatus::Settlement
            | TransactionStatus::Capture
            | TransactionStatus::Authorize
            | TransactionStatus::Expire
            | TransactionStatus::Cancel
            | TransactionStatus::Refund
            | TransactionStatus::PartialRefund
            | TransactionStatus::Chargeback
            | TransactionStatus::PartialChargeback
            | TransactionStatus::Unknown(_) => {}
        }
    }
    classify(http, body)
}

/// The answer to a refund: it was made, or another answer came instead.
pub(super) fn classify_refund(http: u16, body: &[u8]) -> Result<Transaction, MidtransError> {
    let text = |name: &str| {
        let Ok(Value::Object(fields)) = serde_json::from_slice(body) else { return String::new() };
        fields.get(name).and_then(as_text).map(|text| cut(&text)).unwrap_or_default()
    };
    let message = text("status_message");
    let refused = |why: RefundRefusal, code: u16| Err(MidtransError::RefundRefused { why, code, message: message.clone() });
    let not_allowed = || {
        let message = message.to_ascii_lowercase();
        message.contains("not allowed") || message.contains("pos ") || message.contains("not enabled") || message.contains("have access")
    };
    match classify(http, body) {
        Ok(transaction) => match &transaction.transaction_status {
            TransactionStatus::Refund => Ok(transaction),
            TransactionStatus::PartialRefund => refused(RefundRefusal::Partly, 200),
            TransactionStatus::Pending
            | TransactionStatus::Settlement
            | TransactionStatus::Capture
            | TransactionStatus::Expire
            | TransactionStatus::Cancel
            | TransactionStatus::Deny
            | TransactionStatus::Failure
            | TransactionStatus::Chargeback
            | TransactionStatus::PartialChargeback
            | TransactionStatus::Authorize
            | TransactionStatus::Unknown(_) => refused(RefundRefusal::Denied, text("status_code").parse().unwrap_or(202)),
        },
        Err(MidtransError::NotActivated { .. }) => refused(RefundRefusal::NotAllowed, 402),
        Err(MidtransError::CannotModify) if not_allowed() => refused(RefundRefusal::NotAllowed, 412),
        Err(MidtransError::CannotModify) => refused(RefundRefusal::CannotModify, 412),
        Err(MidtransError::Conflict) => refused(RefundRefusal::Duplicate, 406),
        Err(MidtransError::Refused { code: 414, .. }) => refused(RefundRefusal::Amount, 414),
        Err(MidtransError::Refused { code, .. }) if not_allowed() && code != 400 => refused(RefundRefusal::NotAllowed, code),
        Err(MidtransError::Refused { code, .. }) => refused(RefundRefusal::Other, code),
        Err(error) => Err(error),
    }
}

fn validation(fields: &Map<String, Value>) -> Vec<String> {
    let texts = |list: &Vec<Value>| list.iter().filter_map(as_text).take(LIST_MAX).map(|text| cut(&text)).collect();
    fields.get("validation_messages").and_then(Value::as_array).map(texts).unwrap_or_default()
}

#[cfg(test)]
mod tests;
