//! The debts of an order, and the reasons why a person must look at it. Both are read off the order.

use super::facts::Facts;
use super::*;
use crate::order::outcome::Delivery;
use crate::order::word::closed;

closed! {
    /// Why a person must look at an order.
    pub enum Attention {
        /// The merchant owes the customer the money, and nothing pays it back by itself.
        RefundDue = "refund_due",
        /// The relay has not signed that nothing came out. Nothing is paid back before a person says so.
        NoProof = "no_proof",
        /// The gateway did not pay it back.
        RefundFailed = "refund_failed",
        /// Nobody knows whether the item came.
        Uncertain = "uncertain",
        /// The machine told no outcome in time.
        Unreported = "unreported",
        /// The payment differs from the charge.
        Mismatch = "mismatch",
        /// The machine told two different outcomes.
        Conflict = "conflict",
        /// The gateway's word for it may mean money, or not.
        Suspect = "suspect",
        /// Nobody confirms whether it is paid: get-status does not say what a genuine notification said, or is not understood.
        Unconfirmed = "unconfirmed",
        /// The gateway refunds it for three days at most.
        RefundSoon = "refund_soon",
        /// The gateway refunds it for one day at most.
        RefundLastDay = "refund_last_day",
        /// The gateway does not refund it any more.
        OnlyByHand = "only_by_hand",
        /// A part of the money went back.
        PartialRefund = "partial_refund",
        /// The customer's bank took the money.
        Chargeback = "chargeback",
        /// The counter took its settlement back after the receipt was signed.
        Reversed = "reversed",
        /// Something came after the matter was settled: an outcome after the money went back, or the money a second time.
        LateFact = "late_fact",
        /// A person gave the customer the money, or the goods, although the goods of another try had come.
        GoodsAndMoney = "goods_and_money",
    }
}

impl Attention {
    /// Whether only a person's look ends it. The other kinds end with a refund, an outcome or a gift.
    #[must_use]
    pub const fn ends_when_seen(self) -> bool {
        match self {
            Self::Suspect
            | Self::Unconfirmed
            | Self::PartialRefund
            | Self::Chargeback
            | Self::Reversed
            | Self::LateFact
            | Self::GoodsAndMoney => true,
            Self::RefundDue
            | Self::NoProof
            | Self::RefundFailed
            | Self::Uncertain
            | Self::Unreported
            | Self::Mismatch
            | Self::Conflict
            | Self::RefundSoon
            | Self::RefundLastDay
            | Self::OnlyByHand => false,
        }
    }
}

impl Order {
    /// Whether the merchant owes the customer the money.
    #[must_use]
    pub fn is_refund_due(&self) -> bool {
        let Facts { money, is_owed, .. } = self.facts();
        match money {
            Money::AtMerchant => match &self.repaying.step {
                Some(Repayment::Requested { .. } | Repayment::Refused { .. }) => true,
                Some(Repayment::Done { .. } | Repayment::ByHand { .. } | Repayment::Given { .. }) => false,
                None => is_owed,
            },
            Money::Unpaid | Money::AtCounter | Money::TakenBack | Money::Refunded => false,
        }
    }

    /// Whether a refund, a person or an attendant has settled the debt to the customer.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.repaying.is_settled() || self.money() == Money::Refunded
    }

    /// Every reason why a person must look at it, in the order of [`Attention::ALL`].
    #[must_use]
    pub fn attention(&self) -> Vec<Attention> {
        let kinds = Attention::ALL.into_iter().filter(|kind| self.is_listed_as(*kind));
        kinds.filter(|kind| !(kind.ends_when_seen() && self.seen.contains(kind))).collect()
    }

    /// Whether a person must look at it for more reasons than a refund that is due.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        self.attention().iter().any(|kind| *kind != Attention::RefundDue)
    }

    /// Marks as seen the reasons that a person's look ends. A later one is listed again. An order of which nobody knows whether it is
    /// paid is ended.
    pub(super) fn seen_by_a_person(&mut self, by: Box<str>, at: Told) -> Result<(), Refused> {
        let kinds: Vec<Attention> = self.attention().into_iter().filter(|kind| kind.ends_when_seen()).collect();
        if kinds.is_empty() {
            return Err(Refused::NothingToSee);
        }
        if self.is_unconfirmed() {
            self.ended_by_a_person(by, at);
        }
        self.seen.extend(kinds.into_iter().filter(|kind| *kind != Attention::Unconfirmed));
        Ok(())
    }

    fn is_listed_as(&self, kind: Attention) -> bool {
        let open = !self.is_decided();
        match kind {
            // For a mismatch, and for an order without a proof, their own words say more.
            Attention::RefundDue => self.is_refund_due() && self.repaying.step.is_none() && !self.is_mismatch() && self.is_proven(),
            Attention::NoProof => self.is_refund_due() && self.repaying.step.is_none() && !self.is_proven(),
            Attention::RefundFailed => matches!(self.repaying.step, Some(Repayment::Refused { .. })) && self.is_refund_due(),
            // Of what is not paid nothing can be given back: a late fact tells of its goods, and ends when it is seen.
            Attention::Uncertain => open && self.doubt().is_none() && self.is_uncertain(),
            Attention::Unreported => open && self.unreported_at().is_some() && self.reported.is_none(),
            Attention::Mismatch => open && self.is_mismatch(),
            Attention::Conflict => open && self.has_conflict(),
            Attention::Suspect => open && self.is_suspect(),
            Attention::Unconfirmed => open && self.is_unconfirmed(),
            Attention::RefundSoon => self.repay_by().is_some() && self.repaying.ending == Some(RefundEnding::Soon),
            Attention::RefundLastDay => self.repay_by().is_some() && self.repaying.ending == Some(RefundEnding::LastDay),
            Attention::OnlyByHand => self.repay_by().is_some() && self.repaying.ending == Some(RefundEnding::Over),
            Attention::PartialRefund => open && matches!(self.taken_back, Some(TakenBack::Partly { .. })),
            Attention::Chargeback => self.taken_back == Some(TakenBack::Chargeback),
            Attention::Reversed => self.taken_back == Some(TakenBack::Reversal),
            Attention::LateFact => !self.late.is_empty(),
            Attention::GoodsAndMoney => self.is_goods_and_money(),
        }
    }

    /// The time until which the gateway can give the money back, while it is owed or may be: nobody knows yet whether the goods came.
    #[must_use]
    pub fn repay_by(&self) -> Option<Wall> {
        let until = self.settlement()?.refund_until?;
        let unknown = self.unreported_at().is_some() && self.reported.is_none() || self.has_conflict();
        let open = !self.is_decided() && self.money() == Money::AtMerchant;
        (self.is_refund_due() || open && (unknown || self.is_uncertain())).then_some(until)
    }

    fn is_uncertain(&self) -> bool {
        match self.outcome() {
            Some(Delivery::Uncertain | Delivery::Other(_)) => true,
            Some(Delivery::Dispensed | Delivery::Failed | Delivery::Undelivered) | None => false,
        }
    }

    fn is_mismatch(&self) -> bool {
        self.no_receipt() == Some(&NoReceipt::Mismatch)
    }
}
