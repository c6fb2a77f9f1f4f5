//! An order as the people of a shop may know it: `qris-backend orders --json`, alerts, the desk. No part of it opens a relay.

use crate::order::ids::{DeviceId, ItemId, OrderId, RequestId};
use crate::order::merchant::{Attention, End};
use crate::order::money::Rupiah;
use crate::order::outcome::Delivery;
use crate::order::reason::Reason;
use crate::order::request::Payment;
use crate::order::state::{Refund, Status};
use crate::order::word::closed;
use crate::text::named;
use crate::wire::deed::Possible;
use serde::{Deserialize, Serialize};

/// What the people of a shop may know of an order. Times are RFC 3339 in the merchant's zone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OrderView {
    pub order_id: OrderId,
    pub device: DeviceId,
    pub request_id: RequestId,
    pub attempt: u32,
    /// What people call the machine.
    pub machine: Option<Box<str>>,
    pub item: ItemId,
    pub asked: Option<ItemId>,
    /// What people call the goods.
    pub description: Option<Box<str>>,
    /// The price, in rupiah.
    pub amount: Rupiah,
    pub gross_amount: Option<Rupiah>,
    pub payment: Payment,
    pub status: Status,
    pub outcome: Option<Delivery>,
    pub reason: Option<Reason>,
    pub detail: Option<Box<str>>,
    /// `signed`, or a word of `NoProof`.
    pub proof: Option<Box<str>>,
    pub refund: Option<Refund>,
    /// The money that is left to give back, while that is due.
    pub to_refund: Option<Rupiah>,
    /// The gateway still gives the money back until then.
    pub refund_until: Option<Box<str>>,
    /// Its customer got the goods, and the money or goods by hand besides: a person decided so.
    pub goods_and_money: bool,
    /// Why a person must look, the most urgent first.
    pub attention: Vec<Attention>,
    /// The gateway's name of its transaction.
    pub transaction_id: Option<Box<str>>,
    pub began_at: Box<str>,
    pub settled_at: Option<Box<str>>,
}

impl OrderView {
    /// Its goods, and the slot.
    #[must_use]
    pub fn goods(&self) -> String {
        named(self.description.as_deref(), self.item.as_str())
    }

    /// The machine's name, and its id.
    #[must_use]
    pub fn place(&self) -> String {
        named(self.machine.as_deref(), self.device.as_str())
    }
}

/// An order in a list: the view, and what a person reads of its money.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OrderLine {
    pub order: OrderView,
    pub stands: Stands,
    /// The sum that its customer paid, in rupiah; the price if nobody paid yet.
    pub paid: u64,
    /// The part of that which is left to give back, in rupiah.
    pub to_return: u64,
    /// The rest of a payment of which a part went back, while it is due.
    pub rest: Option<Rupiah>,
    /// The last day on which the gateway sends the money back, `2026-12-31`. `None`: there is no such day, or nothing is owed.
    pub last_day: Option<Box<str>>,
    /// Its time to do so is over.
    pub is_by_hand: bool,
    /// The bank is asked for the refund, and has not confirmed it.
    pub is_bank_asked: bool,
    /// All that the person at the desk can do about it now. It is nothing if the order wants nobody.
    pub deeds: Vec<Possible>,
}

/// How an order stands, for people: a word of one of these.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Stands {
    /// It was paid, and its money came to this.
    At(End),
    /// It has come to no such end.
    Before(NoEnd),
}

impl Stands {
    /// Whether it ended, and nobody paid.
    #[must_use]
    pub const fn is_unpaid(self) -> bool {
        match self {
            Self::Before(NoEnd::Cancelled | NoEnd::Expired | NoEnd::Denied | NoEnd::Unpaid) => true,
            Self::Before(NoEnd::Open | NoEnd::Held | NoEnd::Ending | NoEnd::Unconfirmed | NoEnd::Refunding) | Self::At(_) => false,
        }
    }
}

closed! {
    /// How an order stands that has no end of its money.
    pub enum NoEnd {
        /// Its QR or code can be paid.
        Open = "open",
        /// It is paid at a store's counter, which may take that back for some minutes.
        Held = "held",
        /// It is being cancelled, and may be paid until the gateway says so.
        Ending = "ending",
        /// It was cancelled, and nobody paid.
        Cancelled = "cancelled",
        /// Its time was over, and nobody paid.
        Expired = "expired",
        /// The gateway denied it, and nobody paid.
        Denied = "denied",
        /// It failed, or a person ended it, and nobody paid.
        Unpaid = "unpaid",
        /// Nobody confirms whether it is paid.
        Unconfirmed = "unconfirmed",
        /// The gateway is being asked to send the money back.
        Refunding = "refunding",
    }
}
