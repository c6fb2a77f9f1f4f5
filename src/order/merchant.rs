//! The order as the merchant sees it: from the charge to the receipt, and what is done when Midtrans does not answer.
//!
//! The rule for driving it is the machine's (see [`super`]), over [`Wall`]: read an event and the clock, [`apply`], while
//! [`duty`] is `Apply(e)` apply that, commit, make the [`Call`] unless it is being made, sleep until [`next_deadline`].
//!
//! Facts are never refused: what Midtrans says is news or already known. Requests ([`Event::CancelAsked`],
//! [`Event::Delivered`]) may be. A receipt comes from one place only: [`Event::Status`], Midtrans' own answer to a
//! get-status, for exactly the charge that was made.

use super::ids::{DeviceId, ItemId, KeyId, OrderId, RequestId, Ticket, TransactionId};
use super::money::Rupiah;
use super::outcome::Delivery;
use super::reason::Reason;
use super::receipt::{Claims, Receipt, SigningKey};
use super::request::Payment;
use super::time::{Span, Wall};
use serde::{Deserialize, Serialize};

mod settle;
#[cfg(test)]
mod tests;

/// A POST is answered within this: with a QR, or that there is none.
pub const ANSWER_WITHIN: Span = Span::secs(10);
/// A charge that is answered so long after that is not handed out any more.
const HAND_OUT_GRACE: Span = Span::secs(4);
/// Midtrans forgets an Idempotency-Key after five minutes; a charge is never repeated near that.
const CHARGE_WINDOW: Span = Span::secs(240);
/// How long after its `timeout_s` a charge that nobody ended is cancelled.
pub const CANCEL_AFTER_TIMEOUT: Span = Span::secs(60);
/// Midtrans expires a charge after this where its answer does not say.
pub const MIDTRANS_EXPIRY: Span = Span::secs(15 * 60);
/// Get-status after a notification is repeated quickly for so long.
const HOT: Span = Span::secs(5);
/// Otherwise never more often than this.
pub const ASK_SPACING: Span = Span::secs(10);
/// A settlement that does not match its charge is looked at again after this.
const MISMATCH_WAIT: Span = Span::secs(10);
/// A charge of which Midtrans knew nothing is looked for once more after this: its request may have been on the way.
const LOOK_AGAIN: Span = Span::secs(60);
/// A cancel that leads nowhere is given up after this.
const CANCEL_GIVE_UP: Span = Span::secs(24 * 3600);
/// Order ids behind one request: the first, `-2`, … `-9`.
pub const ATTEMPTS_MAX: u32 = 9;

/// What is sold: the same for every attempt at charging it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Sale {
    /// The machine.
    pub device: DeviceId,
    /// Its request.
    pub request_id: RequestId,
    /// Its relay's ticket.
    pub ticket: Ticket,
    /// What is sold.
    pub item: ItemId,
    /// What the customer reads in the app.
    pub description: Option<Box<str>>,
    /// The price.
    pub amount: Rupiah,
    /// How it is paid.
    pub payment: Payment,
    /// How long the QR is shown.
    pub timeout: Span,
    /// The key that will sign the receipt.
    pub kid: KeyId,
}

/// One attempt at charging a sale, under one order_id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Midtrans' and our name of it.
    pub id: OrderId,
    /// 1, 2, …
    pub attempt: u32,
    /// What is sold.
    pub sale: Sale,
    /// When this attempt began.
    pub created_at: Wall,
    /// Until then somebody waits for the charge.
    pub answer_by: Wall,
    /// What it is now.
    pub state: State,
    /// When Midtrans is asked for its status.
    pub ask: Ask,
    /// When a get-status first said settled in a way that does not fit the charge.
    pub mismatched_at: Option<Wall>,
    /// What the machine told.
    pub delivery: Option<Told>,
    /// The machine told two different things.
    pub conflict: bool,
}

/// What an order is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum State {
    /// Midtrans is asked for a charge.
    Charging {
        /// Calls that were made.
        tries: u32,
        /// Whether one of them may have had its effect.
        unsure: bool,
        /// When the next may be made.
        retry_at: Wall,
    },
    /// It can be paid.
    Pending {
        /// What Midtrans answered.
        charge: Charge,
        /// When it is cancelled if nobody ended it.
        cancel_at: Wall,
    },
    /// Midtrans is asked to end it.
    Cancelling {
        /// What Midtrans answered, if it did.
        charge: Option<Charge>,
        /// Why.
        why: Ending,
        /// Ask get-status next (the cancel was refused), and not the cancel.
        look: bool,
        /// Calls that were made.
        tries: u32,
        /// When the next may be made.
        retry_at: Wall,
    },
    /// Ended, and not paid as far as anybody knows.
    Closed {
        /// What Midtrans answered, if it did.
        charge: Option<Charge>,
        /// The word for it.
        how: Closing,
        /// Why we wanted it, if we did.
        why: Option<Ending>,
    },
    /// Paid; there is a receipt.
    Settled {
        /// What was charged.
        charge: Option<Charge>,
        /// What was paid.
        by: Settlement,
        /// What opens the relay.
        receipt: Receipt,
    },
    /// Paid, and no receipt for it: refund due.
    Withheld {
        /// What was charged.
        charge: Option<Charge>,
        /// What was paid.
        by: Settlement,
        /// Why there is none.
        why: Withheld,
    },
    /// The money went back.
    Refunded {
        /// What was charged.
        charge: Option<Charge>,
        /// The receipt, if there was one.
        receipt: Option<Receipt>,
    },
}

/// A charge as Midtrans answered it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Charge {
    /// Midtrans' name of it.
    pub transaction_id: TransactionId,
    /// What the customer is asked for.
    pub gross_amount: Rupiah,
    /// The string in the QR; a rebuilt order has none.
    pub qr_payload: Option<Box<str>>,
    /// Where Midtrans keeps the image.
    pub qr_url: Option<Box<str>>,
    /// Opens GoPay on a phone.
    pub deeplink_url: Option<Box<str>>,
    /// When we had the answer.
    pub charged_at: Wall,
    /// When Midtrans ends it, by our clock.
    pub expires_at: Wall,
}

/// What was paid, as get-status said it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Settlement {
    /// Midtrans' name of it.
    pub transaction_id: TransactionId,
    /// Whole rupiah; `None` where Midtrans said something else.
    pub gross_amount: Option<Rupiah>,
    /// As Midtrans reported it.
    pub payment_type: Box<str>,
    /// When.
    pub settled_at: Wall,
}

/// Why a charge is ended by us.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Ending {
    /// The machine asked for it.
    Asked,
    /// Nobody ended it in time.
    Timeout,
    /// Midtrans asks for another sum than the price and the fee allowed.
    GrossAmount,
    /// Its QR cannot be had.
    Unreadable(Box<str>),
    /// Its answer did not come, or came too late: nobody was told of it.
    GaveUp,
    /// It was found after its order had ended.
    Leftover,
    /// Midtrans did not make it.
    NotMade {
        /// Whether another attempt may do better.
        again: bool,
        /// Midtrans' words.
        why: Box<str>,
    },
}

/// How an order ended unpaid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Closing {
    /// Midtrans expired it.
    Expire,
    /// It was cancelled.
    Cancel,
    /// Midtrans denied it.
    Deny,
    /// It was never charged, or broke.
    Failure,
}

/// Why a paid order has no receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Withheld {
    /// The settlement does not match the charge.
    Mismatch,
    /// The request has a receipt already.
    PaidTwice,
}

/// What the machine told of a paid order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Told {
    /// What became of it.
    pub outcome: Delivery,
    /// The machine's reason.
    pub reason: Option<Reason>,
    /// For people.
    pub detail: Option<Box<str>>,
}

/// When Midtrans is asked for an order's status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ask {
    /// Next.
    pub at: Option<Wall>,
    /// When a notification last began a round of quick questions.
    pub hot_from: Option<Wall>,
    /// Questions of this round.
    pub tries: u32,
}

/// Midtrans' word for a transaction, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Said {
    /// It can be paid.
    Pending,
    /// The money is the merchant's.
    Settled,
    /// Paid, and fraud detection does not accept it.
    Suspect,
    /// Nobody paid in time.
    Expired,
    /// It was ended before it was paid.
    Cancelled,
    /// Refused.
    Denied,
    /// Broken.
    Failed,
    /// All of it went back.
    Refunded,
    /// Part of it went back, or the customer's bank took it.
    Reversed,
    /// A word for something that does not happen to a QR.
    Other,
}

/// A transaction as Midtrans tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Whose it is.
    pub order_id: OrderId,
    /// Midtrans' name of it.
    pub transaction_id: TransactionId,
    /// `None` where it is not whole rupiah.
    pub gross_amount: Option<Rupiah>,
    /// Must be `IDR`.
    pub currency: Option<Box<str>>,
    /// `gopay`, `qris`, …
    pub payment_type: Option<Box<str>>,
    /// What it is.
    pub said: Said,
    /// When it was paid.
    pub settled_at: Option<Wall>,
    /// `custom_field1..3`, where the answer has them.
    pub custom_fields: [Option<Box<str>>; 3],
}

/// Why a call for a charge brought none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoCharge {
    /// Nothing was charged; the same call may do better later.
    Passing(Box<str>),
    /// Nobody knows whether it was charged; the same call tells.
    Unsure(Box<str>),
    /// It was charged before and its QR cannot be had any more.
    Exists,
    /// Nothing was charged under this order_id.
    NotMade {
        /// Whether another order_id may do better.
        again: bool,
        /// Midtrans' words.
        why: Box<str>,
    },
}

/// What may happen to an order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The charge was made and its QR is known.
    Charged(Charge),
    /// The charge was made and its QR cannot be had.
    ChargedUnreadable(Charge, Box<str>),
    /// No charge was answered.
    NotCharged(NoCharge),
    /// Get-status answered.
    Status(Report),
    /// Get-status answered that there is no such transaction.
    StatusUnknown,
    /// Get-status was not answered.
    StatusUnanswered,
    /// The cancel was answered.
    CancelDone(Report),
    /// Midtrans cannot cancel it any more: get-status says why.
    CancelRefused,
    /// There is nothing to cancel.
    CancelUnknown,
    /// The cancel was not answered.
    CancelUnanswered,
    /// A notification whose signature verifies says this.
    Notified(Said),
    /// Whoever made a call for it is gone.
    Abandoned,
    /// The backend was started: nobody waits for a charge any more.
    Restarted,
    /// Nobody ended the charge in time (from [`duty`]).
    TimedOut,
    /// Nobody waits for the charge any more (from [`duty`]).
    GaveUp,
    /// The machine posted its request again and waits.
    Awaited,
    /// The machine wants it ended.
    CancelAsked,
    /// The machine told what became of it.
    Delivered(Told),
}

/// What is to be done now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Duty {
    /// Time has passed: apply this.
    Apply(Event),
    /// Ask Midtrans.
    Call(Call),
    /// Nothing until [`next_deadline`].
    Rest,
}

/// What Midtrans is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// For a charge; the same again has the same Idempotency-Key.
    Charge,
    /// What became of it.
    GetStatus,
    /// To end it.
    Cancel,
}

/// Why a request about an order is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// Another outcome was told before; the first stays.
    #[error("another outcome was told before, and stays")]
    OutcomeStands,
    /// There is nothing to report of an order that is not paid.
    #[error("the order is not paid")]
    NotPaid,
}

/// What the merchant decided.
#[derive(Debug)]
pub struct Rules {
    /// `iss` of receipts.
    pub issuer: Box<str>,
    /// The signing keys; the first is in use, then the newest first.
    pub keys: Vec<SigningKey>,
    /// What Midtrans may ask above the price, in rupiah.
    pub max_imposed_fee: u64,
}

/// What [`apply`] must know beside the order.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// What the merchant decided.
    pub rules: &'a Rules,
    /// Another order of the same request has a receipt.
    pub paid_already: bool,
}

impl Rules {
    /// The key for a machine whose relay lists `kids`: the one in use if it is among them, else the newest that is.
    #[must_use]
    pub fn choose(&self, kids: &[KeyId]) -> Option<&KeyId> {
        self.keys.iter().map(SigningKey::kid).find(|kid| kids.contains(kid))
    }

    /// Signs with the key of that name; with the one in use where it is gone.
    fn sign(&self, kid: &KeyId, claims: Claims) -> Receipt {
        let key = self.keys.iter().find(|key| key.kid() == kid).or_else(|| self.keys.first());
        key.expect("the configuration has at least one key").sign(claims)
    }
}

/// What the order is after an event. A fact that is already known returns it unchanged.
///
/// # Errors
/// A request that cannot be granted; nothing was changed.
pub fn apply(mut order: Order, event: Event, now: Wall, with: &Context<'_>) -> Result<Order, Refused> {
    match event {
        Event::Charged(charge) => order.charged(charge, now, with),
        Event::ChargedUnreadable(charge, why) => order.charged_unreadable(charge, why, now),
        Event::NotCharged(no_charge) => order.not_charged(no_charge, now),
        Event::Status(report) => order.status(&report, now, with),
        Event::StatusUnknown => order.unknown(now, true),
        Event::StatusUnanswered => order.status_unanswered(now),
        Event::CancelDone(report) => order.cancel_done(&report, now),
        Event::CancelRefused => order.cancel_again(now, true),
        Event::CancelUnknown => order.unknown(now, false),
        Event::CancelUnanswered => order.cancel_again(now, false),
        Event::Notified(said) => order.notified(said, now),
        Event::Abandoned => order.abandoned(),
        Event::Restarted => order.give_up(now, true),
        Event::GaveUp => order.give_up(now, false),
        Event::Awaited => order.awaited(now),
        Event::TimedOut => order.end(Ending::Timeout, now),
        Event::CancelAsked => order.end(Ending::Asked, now),
        Event::Delivered(told) => order.delivered(told)?,
    }
    Ok(order)
}

/// What must be done now, from what is stored alone.
#[must_use]
pub fn duty(order: &Order, now: Wall) -> Duty {
    let asks = order.ask.at.is_some_and(|at| at <= now);
    match &order.state {
        State::Charging { .. } if order.answer_by <= now => Duty::Apply(Event::GaveUp),
        State::Charging { retry_at, .. } if *retry_at <= now => Duty::Call(Call::Charge),
        State::Charging { .. } => Duty::Rest,
        State::Pending { cancel_at, .. } if *cancel_at <= now => Duty::Apply(Event::TimedOut),
        State::Cancelling { look, retry_at, .. } if !asks && *retry_at <= now => {
            Duty::Call(if *look { Call::GetStatus } else { Call::Cancel })
        }
        State::Pending { .. }
        | State::Cancelling { .. }
        | State::Closed { .. }
        | State::Settled { .. }
        | State::Withheld { .. }
        | State::Refunded { .. } => {
            if asks {
                Duty::Call(Call::GetStatus)
            } else {
                Duty::Rest
            }
        }
    }
}

/// When [`duty`] has something to do at the latest; `None`: not without news.
#[must_use]
pub fn next_deadline(order: &Order) -> Option<Wall> {
    let own = match &order.state {
        State::Charging { retry_at, .. } => return Some((*retry_at).min(order.answer_by)),
        State::Pending { cancel_at, .. } => Some(*cancel_at),
        State::Cancelling { retry_at, .. } => Some(*retry_at),
        State::Closed { .. } | State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => None,
    };
    own.into_iter().chain(order.ask.at).min()
}

/// Whether the request should be charged once more under another order_id: this one is dead, somebody waits, and another
/// may do better.
#[must_use]
pub fn wants_another(order: &Order, now: Wall) -> bool {
    now < order.answer_by && may_try_again(order)
}

/// Whether another order_id may do better than this one, which is dead.
#[must_use]
pub fn may_try_again(order: &Order) -> bool {
    let better = match &order.state {
        State::Closed { why, .. } => match why {
            Some(Ending::GaveUp | Ending::NotMade { again: true, .. }) => true,
            Some(Ending::NotMade { again: false, .. } | Ending::Asked | Ending::Timeout | Ending::GrossAmount | Ending::Unreadable(_))
            | Some(Ending::Leftover)
            | None => false,
        },
        State::Charging { .. }
        | State::Pending { .. }
        | State::Cancelling { .. }
        | State::Settled { .. }
        | State::Withheld { .. }
        | State::Refunded { .. } => false,
    };
    better && order.attempt < ATTEMPTS_MAX
}

/// The next attempt at the same sale. `id` is the first attempt's; `answer_by` is when whoever waits stops.
#[must_use]
pub fn next_attempt(order: &Order, first: &OrderId, now: Wall, answer_by: Wall) -> Option<Order> {
    let attempt = order.attempt + 1;
    let id = OrderId::new(&format!("{first}-{attempt}")).ok()?;
    let mut next = begin(id, order.sale.clone(), now);
    next.attempt = attempt;
    next.answer_by = answer_by;
    next.state = State::Charging { tries: 0, unsure: false, retry_at: now + doubled(Span::millis(400), order.attempt, Span::secs(3)) };
    Some(next)
}

/// A new order: its charge is due at once.
#[must_use]
pub fn begin(id: OrderId, sale: Sale, now: Wall) -> Order {
    Order {
        id,
        attempt: 1,
        sale,
        created_at: now,
        answer_by: now + ANSWER_WITHIN,
        state: State::Charging { tries: 0, unsure: false, retry_at: now },
        ask: Ask::default(),
        mismatched_at: None,
        delivery: None,
        conflict: false,
    }
}

impl Order {
    /// What a charge of it carries in `custom_field1..3`.
    #[must_use]
    pub fn custom_fields(&self) -> [String; 3] {
        let Sale { device, request_id, item, amount, ticket, .. } = &self.sale;
        [device.to_string(), request_id.to_string(), format!("{item}|{}|{ticket}", amount.get())]
    }

    /// What Midtrans answered to the charge, if it did.
    #[must_use]
    pub fn charge(&self) -> Option<&Charge> {
        match &self.state {
            State::Charging { .. } => None,
            State::Pending { charge, .. } => Some(charge),
            State::Cancelling { charge, .. }
            | State::Closed { charge, .. }
            | State::Settled { charge, .. }
            | State::Withheld { charge, .. }
            | State::Refunded { charge, .. } => charge.as_ref(),
        }
    }

    /// What opens the relay.
    #[must_use]
    pub fn receipt(&self) -> Option<&Receipt> {
        match &self.state {
            State::Settled { receipt, .. } => Some(receipt),
            State::Refunded { receipt, .. } => receipt.as_ref(),
            State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. } | State::Closed { .. } | State::Withheld { .. } => {
                None
            }
        }
    }

    /// Whether the machine still has something to expect of it: not ended, or paid and without outcome.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match &self.state {
            State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. } => true,
            State::Settled { .. } => self.delivery.is_none(),
            State::Closed { .. } | State::Withheld { .. } | State::Refunded { .. } => false,
        }
    }

    /// Whether the customer is owed the money.
    #[must_use]
    pub fn is_refund_due(&self) -> bool {
        match &self.state {
            State::Withheld { .. } => true,
            State::Settled { .. } => match self.delivery.as_ref().map(|told| told.outcome) {
                Some(Delivery::Failed | Delivery::Undelivered) => true,
                Some(Delivery::Dispensed | Delivery::Uncertain) | None => false,
            },
            State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. } | State::Closed { .. } | State::Refunded { .. } => {
                false
            }
        }
    }

    /// Whether a person must look at it: a settlement that does not match, an outcome nobody knows, two outcomes.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        let uncertain = self.delivery.as_ref().is_some_and(|told| told.outcome == Delivery::Uncertain);
        match &self.state {
            State::Withheld { .. } => true,
            State::Settled { .. } => uncertain || self.conflict,
            State::Refunded { .. } => self.conflict,
            State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. } | State::Closed { .. } => false,
        }
    }

    /// When Midtrans or the backend ends it, whichever comes first; only of one that can be paid.
    #[must_use]
    pub fn ends_at(&self) -> Option<Wall> {
        match &self.state {
            State::Pending { charge, cancel_at } => Some(charge.expires_at.min(*cancel_at)),
            State::Charging { .. }
            | State::Cancelling { .. }
            | State::Closed { .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => None,
        }
    }

    fn charged(&mut self, charge: Charge, now: Wall, with: &Context<'_>) {
        match &mut self.state {
            State::Charging { .. } => {
                let price = self.sale.amount.get();
                if !(price..=price.saturating_add(with.rules.max_imposed_fee)).contains(&charge.gross_amount.get()) {
                    self.begin_cancelling(Some(charge), Ending::GrossAmount, now);
                } else if now > self.answer_by + HAND_OUT_GRACE {
                    self.begin_cancelling(Some(charge), Ending::GaveUp, now);
                } else {
                    self.ask.at = Some(self.ask.at.unwrap_or(now + self.spread(ASK_SPACING)));
                    self.state = State::Pending { cancel_at: charge.charged_at + self.sale.timeout + CANCEL_AFTER_TIMEOUT, charge };
                }
            }
            State::Cancelling { charge: known @ None, .. } => *known = Some(charge),
            State::Closed { charge: None, .. } => self.begin_cancelling(Some(charge), Ending::Leftover, now),
            State::Pending { .. }
            | State::Cancelling { charge: Some(_), .. }
            | State::Closed { charge: Some(_), .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => {}
        }
    }

    fn charged_unreadable(&mut self, charge: Charge, why: Box<str>, now: Wall) {
        match &mut self.state {
            State::Charging { .. } => self.begin_cancelling(Some(charge), Ending::Unreadable(why), now),
            State::Cancelling { charge: known @ None, .. } => *known = Some(charge),
            State::Closed { charge: None, .. } => self.begin_cancelling(Some(charge), Ending::Leftover, now),
            State::Pending { .. }
            | State::Cancelling { charge: Some(_), .. }
            | State::Closed { charge: Some(_), .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => {}
        }
    }

    fn not_charged(&mut self, no_charge: NoCharge, now: Wall) {
        match &mut self.state {
            State::Charging { tries, unsure, retry_at } => {
                *tries += 1;
                *retry_at = now + doubled(Span::millis(250), *tries, Span::secs(3));
                match no_charge {
                    NoCharge::Passing(_) => {}
                    NoCharge::Unsure(_) => *unsure = true,
                    NoCharge::Exists => self.begin_cancelling(None, Ending::GaveUp, now),
                    // A denial of a call that was repeated says nothing about the one before it.
                    NoCharge::NotMade { .. } if *unsure => self.begin_cancelling(None, Ending::GaveUp, now),
                    NoCharge::NotMade { again, why } => self.close(None, Closing::Failure, Some(Ending::NotMade { again, why })),
                }
            }
            State::Cancelling { charge: None, why, .. } => match no_charge {
                NoCharge::NotMade { .. } if *why == Ending::Asked => self.close(None, Closing::Cancel, Some(Ending::Asked)),
                NoCharge::Passing(_) | NoCharge::Unsure(_) | NoCharge::Exists | NoCharge::NotMade { .. } => {}
            },
            State::Pending { .. }
            | State::Cancelling { charge: Some(_), .. }
            | State::Closed { .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => {}
        }
    }

    /// Midtrans has no such transaction. Of one that it answered before that is not believed.
    fn unknown(&mut self, now: Wall, asked: bool) {
        match &mut self.state {
            State::Cancelling { charge: None, why, .. } => {
                let why = why.clone();
                let how = if why == Ending::Asked { Closing::Cancel } else { Closing::Failure };
                self.close(None, how, Some(why));
                self.ask = Ask { at: Some(now + LOOK_AGAIN), ..Ask::default() };
            }
            State::Cancelling { charge: Some(_), .. } if !asked => self.cancel_again(now, true),
            State::Charging { .. }
            | State::Pending { .. }
            | State::Cancelling { charge: Some(_), .. }
            | State::Closed { .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => self.asked(now, asked),
        }
    }

    fn cancel_done(&mut self, report: &Report, now: Wall) {
        match &mut self.state {
            State::Cancelling { charge, why, .. } if report.said == Said::Cancelled => {
                let (charge, why) = (charge.take(), why.clone());
                self.close(charge, Closing::Cancel, Some(why));
            }
            // Any other word is not what was asked for: get-status is.
            State::Cancelling { .. } => self.cancel_again(now, true),
            State::Charging { .. }
            | State::Pending { .. }
            | State::Closed { .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => {}
        }
    }

    /// The cancel was not done: look why (`look`), or ask it again later.
    fn cancel_again(&mut self, now: Wall, then_look: bool) {
        let give_up = self.created_at + CANCEL_GIVE_UP <= now;
        match &mut self.state {
            State::Cancelling { charge, why, .. } if give_up => {
                let (charge, why) = (charge.take(), why.clone());
                self.close(charge, Closing::Failure, Some(why));
            }
            State::Cancelling { look, tries, retry_at, .. } => {
                *tries += 1;
                // The first look is due at once: the cancel lost a race, and somebody waits to know which.
                *retry_at = if then_look && *tries == 1 { now } else { now + doubled(Span::secs(1), *tries, Span::secs(300)) };
                *look = then_look;
            }
            State::Charging { .. }
            | State::Pending { .. }
            | State::Closed { .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => {}
        }
    }

    fn abandoned(&mut self) {
        match &mut self.state {
            State::Charging { unsure, .. } => *unsure = true,
            State::Pending { .. }
            | State::Cancelling { .. }
            | State::Closed { .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => {}
        }
    }

    fn give_up(&mut self, now: Wall, restarted: bool) {
        match &self.state {
            State::Charging { unsure, .. } if *unsure || restarted => self.begin_cancelling(None, Ending::GaveUp, now),
            State::Charging { .. } => self.close(None, Closing::Failure, Some(Ending::GaveUp)),
            State::Pending { .. }
            | State::Cancelling { .. }
            | State::Closed { .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => {}
        }
    }

    fn awaited(&mut self, now: Wall) {
        match &self.state {
            State::Charging { .. } | State::Cancelling { why: Ending::GaveUp, .. } => {
                let latest = self.created_at + CHARGE_WINDOW;
                self.answer_by = self.answer_by.max((now + ANSWER_WITHIN).min(latest));
            }
            State::Pending { .. }
            | State::Cancelling { .. }
            | State::Closed { .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => {}
        }
    }

    fn end(&mut self, why: Ending, now: Wall) {
        match &mut self.state {
            State::Charging { .. } => self.begin_cancelling(None, why, now),
            State::Pending { charge, .. } => {
                let charge = charge.clone();
                self.begin_cancelling(Some(charge), why, now);
            }
            State::Cancelling { why: stored, .. } => {
                // Who asks for the end of what was given up does not want another attempt.
                if *stored == Ending::GaveUp && why == Ending::Asked {
                    *stored = why;
                }
            }
            State::Closed { .. } | State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => {}
        }
    }

    fn delivered(&mut self, told: Told) -> Result<(), Refused> {
        match &self.state {
            State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => {}
            State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. } | State::Closed { .. } => {
                return Err(Refused::NotPaid);
            }
        }
        match &self.delivery {
            None => self.delivery = Some(told),
            // The detail is for people, and a report that is sent again may word it otherwise.
            Some(first) if first.outcome == told.outcome => {}
            Some(_) => return Err(Refused::OutcomeStands),
        }
        Ok(())
    }

    fn begin_cancelling(&mut self, charge: Option<Charge>, why: Ending, now: Wall) {
        self.state = State::Cancelling { charge, why, look: false, tries: 0, retry_at: now };
        // A question that a notification raised stays; the polling of what could be paid does not.
        self.ask.at = self.ask.at.filter(|_| self.is_hot(now));
    }

    fn close(&mut self, charge: Option<Charge>, how: Closing, why: Option<Ending>) {
        self.state = State::Closed { charge, how, why };
    }

    /// A span, a little longer for some orders than for others, so that they do not all ask at once.
    fn spread(&self, span: Span) -> Span {
        let hash = self.id.as_str().bytes().fold(7_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        Span(span.0 + span.0 * i64::from(hash % 100) / 1000)
    }
}

/// `first`, doubled with each try from the second on, up to `most`.
fn doubled(first: Span, tries: u32, most: Span) -> Span {
    Span(first.0.saturating_mul(1 << tries.saturating_sub(1).min(20)).min(most.0))
}
