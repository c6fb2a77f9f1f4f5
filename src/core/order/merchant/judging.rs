//! Whether an answer of the gateway counts. It must be about this order, in its currency, and of its sum.

use super::*;
use crate::order::ids::TransactionId;

impl Order {
    /// Whether the gateway's answer is about this order, as far as names tell. [`Order::judge`] judges the rest.
    #[must_use]
    pub fn is_meant_by(&self, report: &StatusReport) -> bool {
        report.is_about(&self.id, self.transactions())
    }

    /// Whether an answer counts. It is the one rule for the answers to get-status, cancel and refund, whatever word they have. The answer
    /// must be about the order ([`StatusReport::is_about`]), in its currency, and of its sum. With a receipt, that is the sum that was paid.
    /// Without one, the charge's sum counts too, also with an allowed fee. Where no charge is known, the answer has all of our metadata.
    ///
    /// The settlement of an order that is not paid is only looked at for whose it is. In another sum or currency it is a mismatch, which a
    /// person sees.
    ///
    /// What Midtrans leaves out: its answers to cancel and refund have no metadata, and those to a refund, as its documents show them,
    /// no currency. All of its answers about a transaction have `gross_amount`, and those to a refund `refund_amount`.
    pub fn judge(&self, report: &StatusReport, rules: &Rules) -> Result<(), Differs> {
        if !self.is_meant_by(report) {
            return Err(Differs::Transaction);
        }
        if report.said == Said::Settled && self.doubt().is_some() {
            return Ok(());
        }
        // Two sums that are not whole rupiah need not be the same.
        let paid = self.settlement().filter(|by| by.gross_amount.is_some() && by.gross_amount == report.gross_amount);
        if paid.is_some_and(|by| is_in(report, by.currency.as_deref())) {
            return Ok(());
        }
        self.fits_the_charge(report, rules)?;
        // The charge's sum is another one than that of the receipt: the customer paid a fee on top.
        if self.receipt().is_some() { Err(Differs::Sum) } else { Ok(()) }
    }

    /// Whether the answer to a call for a refund says that all of the money that was asked for went back.
    ///
    /// # Errors
    /// The part that differs. Then nobody knows whether the refund was made: get-status must tell.
    pub fn judge_refund(&self, report: &StatusReport, rules: &Rules) -> Result<(), Differs> {
        self.judge(report, rules)?;
        if report.said != Said::Refunded {
            return Err(Differs::NoRefund);
        }
        match self.to_refund() {
            Some(asked) if report.refund_amount == Some(asked) => Ok(()),
            Some(_) | None => Err(Differs::RefundAmount),
        }
    }

    /// Whether this transaction is known to be the order's.
    #[must_use]
    pub fn has_transaction(&self, id: &TransactionId) -> bool {
        self.transactions().any(|known| known == id)
    }

    fn transactions(&self) -> impl Iterator<Item = &TransactionId> {
        let known = [self.charge().map(|charge| &charge.transaction_id), self.settlement().map(|by| &by.transaction_id)];
        known.into_iter().flatten()
    }

    /// Whether a settlement of the order's transaction fits the sale: also its metadata as far as it has them, and the price.
    pub(super) fn matching(&self, report: &StatusReport, rules: &Rules) -> Result<(), Differs> {
        self.fits_the_charge(report, rules)?;
        let gross_amount = report.gross_amount.ok_or(Differs::Sum)?;
        let expected = self.sale.metadata().to_texts();
        let mut texts = report.metadata.iter().zip(&expected);
        if texts.any(|(got, want)| got.as_deref().is_some_and(|got| got != want)) {
            return Err(Differs::Metadata);
        }
        // The charge was never to be paid, and was.
        if gross_amount < self.sale.purchase.amount || self.why() == Some(&Ending::GrossAmount) {
            return Err(Differs::Sum);
        }
        if self.charge().is_none() && !self.may_be_asked(gross_amount, rules) {
            return Err(Differs::Sum);
        }
        Ok(())
    }

    /// Whether an answer has the charge's currency, and its sum or that and an allowed fee: the gateway may tell the fee only now. Where the
    /// answer to the charge was lost, its sum is not known, and the metadata must say that it is ours. A charge that can be paid is only
    /// cancelled once more, so that needs no metadata.
    fn fits_the_charge(&self, report: &StatusReport, rules: &Rules) -> Result<(), Differs> {
        if !is_in(report, Some("IDR")) {
            return Err(Differs::Currency);
        }
        match self.charge() {
            Some(charge) => {
                let sum = report.gross_amount.ok_or(Differs::Sum)?;
                let fits = sum == charge.gross_amount || charge.gross_amount < sum && self.may_be_asked(sum, rules);
                if fits { Ok(()) } else { Err(Differs::Sum) }
            }
            None if report.said == Said::Pending => Ok(()),
            None => self.has_our_metadata(report),
        }
    }

    pub(super) fn has_our_metadata(&self, report: &StatusReport) -> Result<(), Differs> {
        if report.metadata.iter().any(Option::is_none) {
            return Err(Differs::NoMetadata);
        }
        let texts = self.sale.metadata().to_texts();
        let ours = report.metadata.iter().zip(&texts).all(|(got, want)| got.as_deref() == Some(want));
        if ours { Ok(()) } else { Err(Differs::Metadata) }
    }
}

/// Whether an answer is in this currency. An answer that tells none is in any, unless it is a settlement, which may buy goods.
fn is_in(report: &StatusReport, currency: Option<&str>) -> bool {
    report.currency.as_deref() == currency || report.currency.is_none() && report.said != Said::Settled
}
