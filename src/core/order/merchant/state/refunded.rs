use super::super::{AtBank, Repayment};
use super::*;

/// The money went back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refunded {
    pub charge: Option<Charge>,
    /// The receipt, if there was one.
    pub receipt: Option<Receipt>,
    /// The payment, as it was known, or as the answer that tells of the refund has it.
    pub by: Settlement,
}

impl Refunded {
    /// All of its money went back: from any state, through the gateway, or by hand if it is paid.
    pub(in super::super) fn known(order: &Order, by: Settlement) -> State {
        let (charge, receipt) = (order.charge().cloned(), order.receipt().cloned());
        State::Refunded(Self { charge, receipt, by })
    }
}

impl Phase for Refunded {
    fn word(&self) -> &'static str {
        "refunded"
    }

    fn facts<'a>(&'a self, _order: &'a Order) -> Facts<'a> {
        Facts::paid(Status::Refund, Money::Refunded, self.charge.as_ref(), &self.by, self.receipt.as_ref())
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
