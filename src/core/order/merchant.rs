//! The order as the merchant sees it: from the charge to the receipt. It also tells the next step when the gateway does
//! not answer.
//!
//! The rule for driving it is the machine's (see [`super::machine`]), over [`Told`]. 1. Read an event and the clock. 2. [`apply`]
//! it, and while [`duty`] is `Apply(e)` apply that too. 3. Commit. 4. Make the [`Call`] unless it is being made. 5. Sleep
//! until [`next_deadline`].
//!
//! Facts are never refused: the gateway's words are news or already known. Requests ([`Event::CancelRequested`],
//! [`Event::Delivered`]) may be refused. A receipt comes from one place only: [`Event::Status`], the gateway's own
//! answer to a get-status, for exactly the charge that was made.

use super::ids::{KeyId, OrderId};
use super::keys::SigningKey;
use super::receipt::{Claims, Receipt};
use super::time::{Span, Told, Wall};
use super::word::closed;

mod apply;
mod asking;
mod attention;
mod delivery_report;
mod doubt;
mod duty;
mod end;
mod events;
mod facts;
mod judging;
mod number;
#[cfg(any(test, feature = "testing"))]
pub mod outside;
mod repaying;
mod sale;
mod settling;
mod state;
mod tries;
mod values;

pub use apply::apply;
pub use asking::Polling;
pub use attention::Attention;
pub use delivery_report::{DeliveryReport, NoProof, Proof, Reported};
pub use doubt::{Doubt, PersonsEnd};
pub use duty::{Call, Duty, duty, next_deadline};
pub use end::End;
pub use events::{Differs, Event, NoCharge, RefundAnswer, RefundWish, Said, StatusReport};
pub use facts::{Money, NoReceipt, Standing};
pub use number::{NumberStands, ShownNumber, WRONG_IN_A_DAY, WRONG_IN_A_SHOWING};
pub use repaying::{Asker, AtBank, RefundEnding, Repaying, Repayment};
pub use sale::{Metadata, Sale};
pub use state::{Cancelling, Charging, Closed, Closing, Held, Pending, Refunded, Settled, State, Void, Withheld};
pub use tries::{EndedTry, Goods, NoTry, SETTLED_LATELY, Tries};
pub use values::{Charge, ChargeFailure, ChargeTrouble, Ending, LateFact, Order, Parties, Settlement, TakenBack};
#[cfg(test)]
mod tests;

/// A POST gets its answer within this time: a QR, or the news that there is none.
pub const ANSWER_WITHIN: Span = Span::secs(10);
/// A charge whose answer comes this long after that time is not handed out any more.
const HAND_OUT_GRACE: Span = Span::secs(4);
/// The gateway forgets the key of a call after five minutes. No charge is repeated near that time.
const CHARGE_WINDOW: Span = Span::secs(240);
/// A charge that nobody ended is cancelled this long after its `timeout_s`.
pub const CANCEL_AFTER_TIMEOUT: Span = Span::secs(60);
/// The gateway expires a charge after this time if its answer does not say.
pub const QR_EXPIRY: Span = Span::secs(15 * 60);
/// Get-status after a notification is repeated quickly for this time.
const HOT: Span = Span::secs(5);
/// No question to the gateway is on its way for longer.
const CALL_LIFE: Span = Span::secs(15);
/// After that time it is never asked more often than this.
pub const ASK_SPACING: Span = Span::secs(10);
/// A settlement that does not match its charge is looked at again after this time.
const MISMATCH_WAIT: Span = Span::secs(10);
/// A charge that the gateway did not know is looked for once more after this time: its request may have been on the way.
const CHECK_AGAIN: Span = Span::secs(60);
/// A genuine settlement that get-status does not confirm for this time is for a person. So is an order whose get-status is not
/// understood for so long.
pub const UNCONFIRMED_AFTER: Span = Span::secs(300);
/// An order that ended unpaid is asked about once more this long after its charge expired.
const LAST_CHECK: Span = Span::secs(60);
/// The same after the gateway itself has said that it ended: the life of a QR. A payment may cross that end, and get-status may be minutes
/// behind.
const CHECK_AFTER_END: Span = Span::secs(900);
/// A cancel without success is given up after this time.
const CANCEL_GIVE_UP: Span = Span::secs(24 * 3600);
/// After so many cancels without an answer, get-status is asked: the order may be paid meanwhile.
const CANCELS_THEN_STATUS: u32 = 2;
/// A machine reports a paid order within this time, or the order is listed.
pub const REPORT_WITHIN: Span = Span::secs(900);
/// This long after its receipt an order without a report is not delivered any more: a machine delivers within ten minutes.
pub const NO_REPORT_AFTER: Span = Span::secs(3600);
/// The gateway expires a payment code after this time if its answer does not say.
pub const COUNTER_EXPIRY: Span = Span::secs(24 * 3600);
/// Order ids behind one request: the first, `-2`, … `-9`.
pub const ATTEMPTS_MAX: u32 = 9;
/// Keys of refunds for one order: the first, and a new one after each refund that was certainly not made.
pub const REFUND_KEYS_MAX: u32 = 20;
/// People are told so long before the gateway's time for a refund is over, and once more when only this is left.
pub const REFUND_WARNINGS: [Span; 2] = [Span::secs(72 * 3600), Span::secs(24 * 3600)];

closed! {
    /// Why a request about an order is refused.
    pub enum Refused {
        /// Another outcome was told before.
        OutcomeStands = "outcome_stands",
        /// The order is not paid, so there is nothing to report, refund or hand over.
        NotPaid = "not_paid",
        /// It can still be paid, or cancelled: nobody knows how it ends.
        NotEnded = "not_ended",
        /// The customer has the goods.
        Delivered = "delivered",
        /// The machine may still deliver it.
        NotReported = "not_reported",
        /// The machine may still deliver it, and tell.
        TooEarly = "too_early",
        /// The gateway is being asked for the refund.
        RefundUnderWay = "refund_under_way",
        /// The gateway may have made the refund.
        RefundUnsure = "refund_unsure",
        /// The money went back already.
        RefundedAlready = "refunded_already",
        /// The goods were handed over.
        Given = "given",
        /// The money was taken back by the customer's bank or the counter.
        TakenBack = "taken_back",
        /// Nothing shows that it was not handed out.
        NoProof = "no_proof",
        /// The gateway does not refund a payment at a counter.
        NotByApi = "not_by_api",
        /// The gateway's time for its refund is over, or every key for it is used up.
        OnlyByHand = "only_by_hand",
        /// The goods of another try came, and perhaps to somebody else than the customer, or other ones than were bought. What the customer
        /// gets besides, a person decides by name.
        GoodsAndMoney = "goods_and_money",
        /// There is nothing that ends when a person looks at it.
        NothingToSee = "nothing_to_see",
    }
}

/// The merchant's decisions.
#[derive(Debug, Clone)]
pub struct Rules {
    /// `iss` of receipts.
    pub issuer: Box<str>,
    /// The signing keys; the first is in use, then the newest first.
    pub keys: Vec<SigningKey>,
    /// How much more than the price the gateway may ask for, in rupiah.
    pub max_imposed_fee: u64,
    /// How long an Indomaret may take a settlement back. Its receipt waits for this time.
    pub reversal_window: Span,
    /// How long an order that was paid over the counter can be collected.
    pub collect_within: Span,
    /// How many other tries there may be at an order of which nothing came; 0: none.
    pub second_tries: u32,
    /// How long after such an end another try may begin.
    pub try_again_within: Span,
}

/// The facts that [`apply`] needs beside the order.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The merchant's decisions.
    pub rules: &'a Rules,
    /// Another order of the same request has a receipt.
    pub paid_already: bool,
}

impl Rules {
    /// The key for a machine whose relay lists `kids`: the one in use if it is among them, else the newest of them.
    #[must_use]
    pub fn choose(&self, kids: &[KeyId]) -> Option<&KeyId> {
        self.keys.iter().map(SigningKey::kid).find(|kid| kids.contains(kid))
    }

    /// Whether a key of that name is here.
    #[must_use]
    pub fn has(&self, kid: &KeyId) -> bool {
        self.keys.iter().any(|key| key.kid() == kid)
    }

    /// Signs with the key of that name; if it is gone, with the one in use.
    fn sign(&self, kid: &KeyId, claims: Claims) -> Receipt {
        let key = self.keys.iter().find(|key| key.kid() == kid).or_else(|| self.keys.first());
        key.expect("the configuration has at least one key").sign(claims)
    }
}

/// Whether to charge the request once more under another order_id: somebody waits, and [that may do better](may_try_again).
#[must_use]
pub fn wants_another(order: &Order, now: Told) -> bool {
    now.wall < order.answer_by && may_try_again(order)
}

/// Whether another order_id may do better. This one is dead.
#[must_use]
pub fn may_try_again(order: &Order) -> bool {
    matches!(&order.state, State::Closed(closed) if closed.may_try_again(order.attempt))
}

/// The next attempt at the same sale. `first`: the name of the first attempt. `answer_by`: the machine waits until then.
#[must_use]
pub fn next_attempt(order: &Order, first: &OrderId, now: Told, answer_by: Wall) -> Option<Order> {
    let attempt = order.attempt + 1;
    let id = OrderId::new(&format!("{first}-{attempt}")).ok()?;
    let mut next = begin(id, order.sale.clone(), now);
    next.attempt = attempt;
    // An attempt of this name may have been made and paid before, too.
    next.rebuilt = order.rebuilt;
    next.answer_by = answer_by;
    next.state = Charging::begun(now + doubled(Span::millis(400), order.attempt, Span::secs(3)));
    Some(next)
}

/// A new order. Its charge is due at once.
#[must_use]
pub fn begin(id: OrderId, sale: Sale, now: Told) -> Order {
    Order {
        id,
        attempt: 1,
        sale,
        created_at: now.wall,
        answer_by: now + ANSWER_WITHIN,
        state: Charging::begun(now.wall),
        polling: Polling::default(),
        reported: None,
        tries: Tries::default(),
        repaying: Repaying::default(),
        taken_back: None,
        late: Vec::new(),
        seen: Vec::new(),
        rebuilt: false,
    }
}

/// `first`, doubled with each try from the second on, up to `most`.
fn doubled(first: Span, tries: u32, most: Span) -> Span {
    Span(first.0.saturating_mul(1 << tries.saturating_sub(1).min(20)).min(most.0))
}
