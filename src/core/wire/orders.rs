//! The backend's HTTP interface to machines: the order resource, the bodies that machines post, and problems (RFC 9457).

use crate::order::ids::{DeviceId, ItemId, KeyId, OrderId, RequestId, Ticket};
use crate::order::money::Rupiah;
use crate::order::outcome::Delivery;
use crate::order::proof::RelayKey;
use crate::order::reason::Reason;
use crate::order::request::{Payment, Purchase};
use crate::order::tries::{TryNumber, TwoDigits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use crate::order::state::{Refund, Status};

/// A header of the answer to `?state=open`: the names of the keys with which the backend can sign receipts, separated by commas.
/// The key in use comes first. A backend may leave it out. It helps a person who sets a machine up; no machine reads it.
pub const RECEIPT_KEYS: &str = "receipt-keys";
/// A header of the question for open orders: the key with which the machine's relay signs its proofs. An order has it in its body.
/// A backend keeps the first key that it gets from a machine.
pub const RELAY_KEY: &str = "relay-key";
/// A header of a machine's requests: the `boot_id` of its kernel. If two computers show themselves as one machine, the
/// backend sees it by this.
pub const BOOT: &str = "machine-boot";
/// A header of the question for open orders: the `event_id` of the machine's newest event, `STREAM.SEQ`. Of two copies of a machine one
/// shows earlier events than the other.
pub const NEWEST_EVENT: &str = "machine-event";
/// A header of the question for open orders. Its one value is [`TAKEN_OVER`]. A machine that asks without it keeps its place at the
/// broker, as far as it knows.
pub const AT_BROKER: &str = "machine-at-broker";
/// Another computer has the machine's name at the broker, and takes its place there again and again.
pub const TAKEN_OVER: &str = "taken-over";
/// A header of the question for open orders: [`LateNews`](crate::order::late_sign::LateNews).
pub const LATE_SIGN: &str = "machine-late-sign";
/// A header of the question for open orders: [`TopicsTold`](super::topics::TopicsTold).
pub const TOPICS: &str = "machine-topics";
/// The longest name of a machine for customers, in characters.
pub const MACHINE_NAME_MAX: usize = 64;
/// The largest answer of the backend that a machine reads, in bytes: 100 open orders of 2.5 KB.
pub const ANSWER_MAX: usize = 256 * 1024;
/// The most orders in an answer to `?state=open`. If there are more, it has the newest.
pub const OPEN_MAX: usize = 100;
/// The longest that `GET …?wait=` waits, in seconds.
pub const WAIT_MAX_S: u64 = 60;

/// The body of `POST /v1/orders`; the `Idempotency-Key` header is the request_id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NewOrder {
    /// What is to be charged.
    #[serde(flatten)]
    pub purchase: Purchase,
    /// The receipt keys that the relay lists.
    pub kids: Vec<KeyId>,
    /// The key with which the relay signs its proofs, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay_key: Option<RelayKey>,
}

/// The machine's report of a paid order: the body of `POST /v1/orders/{order_id}/outcome`, and part of the order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OutcomeReport {
    /// The try at handing it out that it tells of.
    #[serde(rename = "try", default)]
    pub nth_try: TryNumber,
    /// What became of it.
    pub outcome: Delivery,
    /// The machine's reason, as on `vend/event`.
    pub reason: Option<Reason>,
    /// For people; at most 200 characters are kept.
    pub detail: Option<Box<str>>,
    /// The relay's signed statement, a compact JWS (see [`proof`](crate::order::proof)). A refund rests on it. The order in an
    /// answer does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Box<str>>,
}

/// The body of `POST /v1/orders/{order_id}/again`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TryAgain {
    /// The relay's signed [promise](crate::order::promise::Promise) of it, a compact JWS.
    pub promise: Box<str>,
}

/// The order resource: an order, as the backend tells it. All fields are always present, null where they do not apply.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OrderResource {
    /// Unique over all machines, for ever.
    pub order_id: OrderId,
    /// Counts up with every change.
    pub rev: u64,
    /// The machine's request.
    pub request_id: RequestId,
    /// Whose order it is.
    pub device: DeviceId,
    /// The relay's ticket of its newest try.
    pub ticket: Ticket,
    /// Which try at handing it out that is. A backend that offers no other try may leave it out.
    #[serde(rename = "try", default)]
    pub nth_try: TryNumber,
    /// What is driven for it.
    pub item: ItemId,
    /// What was asked for, if another slot with the same goods is driven. A backend may leave it out.
    #[serde(default)]
    pub asked: Option<ItemId>,
    /// The price, whole rupiah.
    pub amount: Rupiah,
    /// The sum that the gateway asks the customer for, whole rupiah; null before the gateway has answered.
    pub gross_amount: Option<Rupiah>,
    /// How it is paid.
    pub payment: Payment,
    /// Its present status.
    pub status: Status,
    /// Nobody can pay it any more: it is paid, or the gateway has ended its charge and was asked after that.
    pub over: bool,
    /// The string in the QR.
    pub qr_payload: Option<Box<str>>,
    /// An address that opens GoPay on a phone.
    pub deeplink_url: Option<Box<str>>,
    /// The customer's page.
    pub pay_url: Option<Box<str>>,
    /// Over the counter: the payment code.
    pub payment_code: Option<Box<str>>,
    /// Over the counter: the store that takes it.
    pub store: Option<Box<str>>,
    /// Seconds until the gateway or the backend ends it, whichever comes first.
    pub expires_in_s: Option<u64>,
    /// Seconds since the gateway settled it.
    pub settled_ago_s: Option<u64>,
    /// For how many seconds another try at handing it out may begin; null: none is offered. A backend may leave it out.
    #[serde(default)]
    pub try_again_s: Option<u64>,
    /// The customer has asked for it on the order's page, and stands at the machine: for how many seconds more the machine offers it; null: not
    /// now. A backend may leave it out.
    #[serde(default)]
    pub try_wanted_s: Option<u64>,
    /// With `try_wanted_s`: the machine shows these digits, and the page asks its customer for them. Null: two presses begin the try. A backend
    /// may leave it out.
    #[serde(default)]
    pub try_number: Option<TwoDigits>,
    /// With `try_number`: they were told rightly, and the next press within so many seconds begins the try, at most
    /// [`CONFIRMED_FOR`](crate::order::tries::CONFIRMED_FOR). A backend may leave it out.
    #[serde(default)]
    pub try_confirmed_s: Option<u64>,
    /// The key that signs, or will sign, its receipt.
    pub kid: Option<KeyId>,
    /// A compact JWS, with `settlement`.
    pub receipt: Option<Box<str>>,
    /// The machine's report of it.
    pub outcome: Option<OutcomeReport>,
    /// The state of its refund.
    pub refund: Option<Refund>,
    /// It is not real money: a TEST banner is drawn across the screen.
    pub sandbox: bool,
    /// Over the counter: for how many seconds it can be collected once it is paid. A backend may leave it out; then the
    /// machine's screen cannot show it beside the code.
    #[serde(default)]
    pub collect_within_s: Option<u64>,
    /// Nobody confirms whether it is paid, and a person was told. A backend may leave it out.
    #[serde(default)]
    pub unconfirmed: bool,
}

/// The answer to `GET /v1/orders?state=open`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OpenOrders {
    /// This machine's orders that have not ended, and settled orders without an outcome.
    pub orders: Vec<OrderResource>,
    /// Orders whose goods a person took out of this machine, and handed over. The machine takes each from its count once. A backend may
    /// leave it out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken_out: Vec<TakenOut>,
    /// The sums that can be charged, by the word of the way to pay. A machine sells nothing outside of them. A backend may leave it out: then
    /// nobody knows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub amounts: BTreeMap<Box<str>, Amounts>,
    /// Whether the backend is at the broker, so that it sends `payment/update`. A backend may leave it out.
    #[serde(default)]
    pub at_broker: bool,
}

/// The sums that a way to pay takes, in whole rupiah. Both are taken, too.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Amounts {
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
}

impl Amounts {
    /// Whether it takes this one.
    #[must_use]
    pub fn takes(self, amount: Rupiah) -> bool {
        (self.min..=self.max).contains(&amount.get())
    }
}

/// An order whose goods a person took out of the machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TakenOut {
    /// Its name.
    pub order_id: OrderId,
    /// The machine's request.
    pub request_id: RequestId,
}

/// The most of these in an answer: the newest.
pub const TAKEN_OUT_MAX: usize = 50;

/// The media type of a [`Problem`].
pub const PROBLEM_TYPE: &str = "application/problem+json";

/// `application/problem+json` (RFC 9457) with `code`, which is one of the reasons, and with the wrong fields if there are some.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// Always `about:blank`: `code` says what kind.
    #[serde(rename = "type")]
    pub kind: Box<str>,
    /// The status in words.
    pub title: Box<str>,
    /// The HTTP status.
    pub status: u16,
    /// The word that a machine acts on. Our backend always sends it; a proxy in between may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Reason>,
    /// The order in question, where `code` is about one order: `unknown_request`, and `reused_id` of an outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Box<str>>,
    /// Each wrong field and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// One wrong field.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FieldError {
    /// Its name.
    pub field: Box<str>,
    /// Why it is wrong.
    pub detail: Box<str>,
}
