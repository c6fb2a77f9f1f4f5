//! The money went back.

use super::super::{AtBank, Repayment};
use super::*;

/// The money went back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refunded {
    /// The charge.
    pub charge: Option<Charge>,
    /// The receipt, if there was one.
    pub receipt: Option<Receipt>,
    /// The payment; `None` if only the refund was ever seen.
    pub by: Option<Settlement>,
}

impl Refunded {
    /// All of its money went back: through the gateway, from any state; or by hand, from [`Settled`] and [`Withheld`].
    pub(in super::super) fn known(order: &Order) -> State {
        let (charge, receipt, by) = (order.charge().cloned(), order.receipt().cloned(), order.settlement().cloned());
        State::Refunded(Self { charge, receipt, by })
    }

    /// It is paid, and a person has given the money back already; or the gateway gave back a payment that nobody had seen. From
    /// [`Charging`], [`Pending`], [`Cancelling`] and [`Closed`].
    pub(in super::super) fn unseen(order: &Order, by: Settlement) -> State {
        State::Refunded(Self { charge: order.charge().cloned(), receipt: None, by: Some(by) })
    }
}

impl Phase for Refunded {
    fn facts<'a>(&'a self, _order: &'a Order) -> Facts<'a> {
        Facts::paid(self.charge.as_ref(), self.by.as_ref(), self.receipt.as_ref())
    }

    fn is_news(&self, said: Said, order: &Order) -> bool {
        match (said, order.repayment()) {
            (Said::ChargedBack, _) => true,
            // A counter may take a settlement back after a person has given the money back. Then the money is gone twice.
            (Said::Denied, _) => order.may_be_reversed(),
            // The gateway gave a part back, beside the money that a person had given back, or in place of the whole.
            (Said::PartlyRefunded, Some(Repayment::ByHand { .. })) => order.taken_back.is_none(),
            // The bank may have confirmed or refused it by now.
            (Said::PartlyRefunded, Some(Repayment::Done { bank, .. })) => *bank == Some(AtBank::Requested) && !order.is_money_late(),
            (Said::Refunded, Some(Repayment::Done { bank, .. })) => *bank == Some(AtBank::Requested),
            (Said::Settled, Some(Repayment::Done { .. })) => !order.is_money_late(),
            (Said::Refunded, Some(_)) => !order.is_money_late(),
            (
                Said::PartlyRefunded | Said::Settled,
                Some(Repayment::Requested { .. } | Repayment::Refused { .. } | Repayment::Given { .. }) | None,
            ) => false,
            (Said::Settled, Some(Repayment::ByHand { .. })) | (Said::Refunded, None) => false,
            (Said::Pending | Said::Suspect | Said::Expired | Said::Cancelled | Said::Failed | Said::Other, _) => false,
        }
    }

    fn ended(&self, _how: Closing, _at: &At) -> Option<Next> {
        None
    }

    fn may_repay(&self, _no_report: bool, _by_name: bool, _at: &At) -> Result<(), Refused> {
        Err(Refused::RefundedAlready)
    }

    fn next_question(&self, asked: &Asked) -> Option<Wall> {
        asked.next_about_money()
    }
}
