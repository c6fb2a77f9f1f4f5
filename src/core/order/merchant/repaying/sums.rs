//! What is left of a payment of which a part went back.

use super::*;

impl Order {
    /// The sum that goes back, or is asked back: all that the customer paid, with an imposed fee, without the part that went back already. `None`
    /// if it was not whole rupiah, or nobody has said how much that part was: then the gateway gives back what is there.
    #[must_use]
    pub fn to_refund(&self) -> Option<Rupiah> {
        match &self.repaying.step {
            Some(Repayment::Requested { sum, .. }) => *sum,
            Some(Repayment::Refused { .. } | Repayment::Done { .. } | Repayment::ByHand { .. } | Repayment::Given { .. }) | None => {
                self.rest()
            }
        }
    }

    fn rest(&self) -> Option<Rupiah> {
        let paid = self.settlement().and_then(|by| by.gross_amount)?;
        match &self.taken_back {
            Some(TakenBack::Partly { amount }) => paid.above((*amount)?),
            Some(TakenBack::Chargeback | TakenBack::Reversal) | None => Some(paid),
        }
    }

    /// Get-status says settled, or that a part went back, for an order whose refund is asked for: the refund has not happened. Once another
    /// part is gone, nobody asks for the rest by itself.
    pub(in super::super) fn not_refunded_yet(&mut self, now: Wall) {
        let part_is_gone = self.to_refund() != self.rest();
        self.refund_is_not_made();
        self.call_has_made_nothing(part_is_gone, now);
    }
}
