//! What anybody may ask of an order. Each [state](super::state) answers for itself, and nobody else needs to know the states.

use super::{Charge, Doubt, Ending, Order, PersonsEnd, Settlement, TakenBack};
use crate::order::receipt::Receipt;
use crate::order::state::Status;
use crate::order::time::Wall;
use serde::{Deserialize, Serialize};

/// How an order stands for its customer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It is being charged.
    Charging,
    /// It can be paid.
    Payable,
    /// It is being ended.
    Ending,
    /// Paid at a counter that may take the payment back for some minutes.
    Held,
    /// Paid, or ended.
    Over,
}

/// Where the money of an order is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Money {
    /// Nobody has paid, as far as anybody knows.
    Unpaid,
    /// The counter has it, and may give it back to the customer for some minutes.
    AtCounter,
    /// The merchant has it, or what is left of it.
    AtMerchant,
    /// The counter or the customer's bank took it back.
    TakenBack,
    /// It went back to the customer.
    Refunded,
}

/// Why a paid order has no receipt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum NoReceipt {
    /// The settlement does not match the charge.
    Mismatch,
    /// The request has a receipt already.
    PaidTwice,
    /// A person ended the order before anybody confirmed the payment.
    Ended(PersonsEnd),
}

impl Money {
    /// The money of a payment that was final.
    pub(super) const fn once_paid(order: &Order) -> Self {
        match &order.taken_back {
            Some(TakenBack::Chargeback | TakenBack::Reversal) => Self::TakenBack,
            // The rest of it is still the merchant's, or owed.
            Some(TakenBack::Partly { .. }) | None => Self::AtMerchant,
        }
    }
}

/// What a state says of its order.
pub(super) struct Facts<'a> {
    pub(super) status: Status,
    pub(super) standing: Standing,
    pub(super) money: Money,
    /// Whether it is paid, and its goods do not come.
    pub(super) is_owed: bool,
    pub(super) is_open: bool,
    pub(super) is_over: bool,
    pub(super) ends_at: Option<Wall>,
    pub(super) charge: Option<&'a Charge>,
    pub(super) why: Option<&'a Ending>,
    pub(super) doubt: Option<&'a Doubt>,
    pub(super) by: Option<&'a Settlement>,
    pub(super) receipt: Option<&'a Receipt>,
    /// Why it is paid and has no receipt.
    pub(super) no_receipt: Option<&'a NoReceipt>,
}

impl<'a> Facts<'a> {
    pub(super) const fn unpaid(standing: Standing, charge: Option<&'a Charge>, doubt: &'a Doubt) -> Self {
        Self {
            status: Status::Pending,
            standing,
            money: Money::Unpaid,
            is_owed: false,
            is_open: true,
            is_over: false,
            ends_at: None,
            charge,
            why: None,
            doubt: Some(doubt),
            by: None,
            receipt: None,
            no_receipt: None,
        }
    }

    pub(super) const fn paid(
        status: Status,
        money: Money,
        charge: Option<&'a Charge>,
        by: &'a Settlement,
        receipt: Option<&'a Receipt>,
    ) -> Self {
        Self {
            status,
            standing: Standing::Over,
            money,
            is_owed: false,
            is_open: false,
            is_over: true,
            ends_at: None,
            charge,
            why: None,
            doubt: None,
            by: Some(by),
            receipt,
            no_receipt: None,
        }
    }
}

impl Order {
    pub(super) fn facts(&self) -> Facts<'_> {
        self.state.phase().facts(self)
    }

    /// The contract's word for it. It is `settlement` only if there is a receipt that opens the relay.
    #[must_use]
    pub fn status(&self) -> Status {
        self.facts().status
    }

    /// How it stands for its customer.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.facts().standing
    }

    #[must_use]
    pub fn money(&self) -> Money {
        self.facts().money
    }

    /// Whether the machine still waits for something: the order has not ended, or it is paid and without outcome.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.facts().is_open
    }

    /// Whether nobody can pay it any more: it is paid, or the gateway has ended its charge and was asked once more after that; or a
    /// person has ended it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.facts().is_over
    }

    /// For an order that can be paid: the time at which the gateway or the backend ends it, whichever comes first. For an
    /// order that waits for its customer: the end of the time to collect.
    #[must_use]
    pub fn ends_at(&self) -> Option<Wall> {
        self.facts().ends_at
    }

    /// The gateway's answer to the charge, if there was one.
    #[must_use]
    pub fn charge(&self) -> Option<&Charge> {
        self.facts().charge
    }

    /// Why we end or ended its charge, if we do.
    #[must_use]
    pub fn why(&self) -> Option<&Ending> {
        self.facts().why
    }

    /// What is not certain about its payment; `None` once it is paid.
    #[must_use]
    pub fn doubt(&self) -> Option<&Doubt> {
        self.facts().doubt
    }

    /// The payment, as far as it is known.
    #[must_use]
    pub fn settlement(&self) -> Option<&Settlement> {
        self.facts().by
    }

    /// The receipt, which opens the relay.
    #[must_use]
    pub fn receipt(&self) -> Option<&Receipt> {
        self.facts().receipt
    }

    pub(super) fn no_receipt(&self) -> Option<&NoReceipt> {
        self.facts().no_receipt
    }
}
