//! From get-status to the receipt: the effect of the gateway's answer to a question about an order.

use super::state::Unknown;
use super::*;
use crate::order::request::{Payment, Purchase};
use crate::order::tries::Try;

impl Order {
    pub(super) fn status_answered(&mut self, report: &StatusReport, now: Told, with: &Context<'_>) {
        if self.judge(report, with.rules).is_err() {
            return self.status_unclear(now);
        }
        let is_unclear = match report.said {
            Said::Suspect | Said::Other => true,
            // It is nobody's; or it did not end for a day.
            Said::Pending => {
                self.charge().is_none() && self.has_our_metadata(report).is_err() || self.state.phase().is_pending_unclear(&self.at(now))
            }
            Said::Settled | Said::Expired | Said::Cancelled | Said::Denied | Said::Failed => false,
            Said::Refunded | Said::PartlyRefunded | Said::ChargedBack => false,
        };
        let is_whole = report.said == Said::Settled && report.refund_amount.is_none();
        self.polling.settled_at = is_whole.then_some(now.wall);
        if is_unclear {
            self.note_unclear(now);
        } else {
            self.understood();
        }
        self.take(report, now, with);
        self.judge_doubt();
    }

    fn take(&mut self, report: &StatusReport, now: Told, with: &Context<'_>) {
        // It is the same news. But of refunds of a part, there may be another one by now.
        let is_last = report.said != Said::PartlyRefunded || self.unanswered_since(now).is_none();
        let is_the_rest = report.said == Said::Refunded && self.polling.noted_back == Some(Said::PartlyRefunded);
        if is_the_rest || self.polling.noted_back == Some(report.said) && is_last {
            self.polling.noted_back = None;
        }
        match report.said {
            Said::Settled => return self.settled(report, now, with),
            Said::Pending => {
                self.suspect(false);
                self.go(self.state.phase().still_pending(&self.at(now)));
            }
            // The word may mean money, or not. It is kept until another word comes.
            Said::Suspect | Said::Other => {
                self.suspect(true);
                self.go(self.state.phase().not_clear(&self.at(now)));
            }
            Said::Expired => self.ended(Closing::Expire, now),
            Said::Cancelled => self.ended(Closing::Cancel, now),
            Said::Denied => self.ended(Closing::Deny, now),
            Said::Failed => self.ended(Closing::Failure, now),
            // The gateway's word is one thing, its sum another.
            Said::Refunded if report.is_of_a_part() => self.taken(TakenBack::Partly { amount: report.refund_amount }, report, now),
            Said::Refunded => self.refunded(report, report.refund_at_bank, now),
            Said::PartlyRefunded => self.taken(TakenBack::Partly { amount: report.refund_amount }, report, now),
            Said::ChargedBack => self.taken(TakenBack::Chargeback, report, now),
        }
        // Of money that goes back, these words tell nothing.
        let tells_nothing = self.doubt().is_none() && matches!(report.said, Said::Pending | Said::Suspect | Said::Other);
        self.question_ended(now, !tells_nothing);
    }

    /// Get-status knows no such transaction, or (not `asked`) there is nothing to cancel. If the gateway has answered for this charge before,
    /// that is not believed.
    pub(super) fn unknown(&mut self, asked: bool, now: Told) {
        match self.state.phase().unknown(asked, &self.at(now)) {
            Unknown::NeverMade(next) => return self.go(Some(*next)),
            Unknown::Doubtful => {
                self.note_unclear(now);
                self.judge_doubt();
            }
            Unknown::Possible => {
                self.understood();
                self.judge_doubt();
            }
            Unknown::Nothing => {}
        }
        self.question_ended(now, self.doubt().is_some());
        // A cancel that finds nothing: look. A look that finds nothing: cancel.
        self.go(self.state.phase().cancel_failed(!asked, &self.at(now)));
    }

    pub(super) fn status_unclear(&mut self, now: Told) {
        self.note_unclear(now);
        self.status_unanswered(now);
    }

    pub(super) fn status_unanswered(&mut self, now: Told) {
        self.judge_doubt();
        self.go(self.state.phase().not_clear(&self.at(now)));
        self.question_ended(now, false);
    }

    fn settled(&mut self, report: &StatusReport, now: Told, with: &Context<'_>) {
        match &self.state {
            // An Indomaret may take a settlement back within minutes. There is no receipt before that window is over.
            State::Charging(_) | State::Pending(_) | State::Cancelling(_) | State::Closed(_) => {
                let held = self.sale.purchase.payment == Payment::Indomaret && with.rules.reversal_window > Span::ZERO;
                return self.first_settled(report, held.then(|| now + with.rules.reversal_window), now, with);
            }
            State::Held(Held { until, .. }) => {
                let held_until = Some(*until).filter(|until| !now.is_over(*until));
                return self.first_settled(report, held_until, now, with);
            }
            // It is known. A refund that is under way was not made yet.
            State::Settled(_) | State::Void(_) | State::Withheld(_) => self.not_refunded_yet(now),
            State::Refunded(_) => {
                self.polling.noted_back = self.polling.noted_back.filter(|said| *said != Said::Settled);
                self.settled_again(now);
            }
        }
        self.question_ended(now, true);
    }

    /// It says so for the first time that counts. It is believed if it is the charge.
    fn first_settled(&mut self, report: &StatusReport, held_until: Option<Wall>, now: Told, with: &Context<'_>) {
        self.suspect(false);
        let by = self.settlement_of(report, now);
        let charge = self.charge().cloned();
        let doubt = self.doubt().cloned().unwrap_or_default();
        let withheld = |why| Withheld::without_a_receipt(charge.clone(), by.clone(), why);
        self.state = match (self.matching(report, with.rules), &doubt.ended_by) {
            // A person gave the money back before the gateway was sure. With the goods besides, the customer would have too much.
            _ if self.is_decided() => Refunded::known(self, by),
            // A person has ended it. The receipt could come when nobody reckons with it any more.
            (_, Some(end)) => withheld(NoReceipt::Ended(end.clone())),
            (Err(_), None) if doubt.mismatched_at.is_none_or(|first| !now.is_over(first + MISMATCH_WAIT)) => return self.mismatched(now),
            (Err(_), None) => withheld(NoReceipt::Mismatch),
            (Ok(_), None) if with.paid_already => withheld(NoReceipt::PaidTwice),
            (Ok(()), None) => {
                if let Some(until) = held_until {
                    // What it was held for stays.
                    let by = self.settlement().cloned().unwrap_or(by);
                    return self.go(Some(Held::begun(charge, by, until, doubt, now)));
                }
                let receipt = self.sign(&by, Try::First, &self.goods(), now, with.rules);
                let collect_by = self.is_over_the_counter().then(|| now + with.rules.collect_within);
                Settled::signed(charge, by, receipt, collect_by)
            }
        };
        self.question_ended(now, true);
    }

    fn mismatched(&mut self, now: Told) {
        let Some(doubt) = self.state.doubt_mut() else { return };
        let again = (*doubt.mismatched_at.get_or_insert(now.wall)).max(now.wall) + MISMATCH_WAIT;
        self.polling.at = Some(again);
        if let State::Cancelling(Cancelling { get_status, retry_at, .. }) = &mut self.state {
            (*get_status, *retry_at) = (true, again + MISMATCH_WAIT);
        }
    }

    pub(super) fn settlement_of(&self, report: &StatusReport, now: Told) -> Settlement {
        Settlement {
            transaction_id: report.transaction_id.clone(),
            gross_amount: report.gross_amount,
            currency: report.currency.clone(),
            payment_type: report.payment_type.clone().unwrap_or_else(|| self.sale.purchase.payment.as_str().into()),
            settled_at: report.settled_at.unwrap_or(now.wall),
            parties: report.parties.clone(),
            refund_until: report.refund_within.map(|within| report.settled_at.unwrap_or(now.wall) + within),
            refunds_parts: report.refunds_parts,
        }
    }

    pub(super) fn sign(&self, by: &Settlement, nth: Try, goods: &Goods, now: Told, rules: &Rules) -> Receipt {
        let gross_amount = by.gross_amount.filter(|paid| *paid >= self.sale.purchase.amount && self.sale.purchase.amount >= goods.amount);
        let gross_amount = gross_amount.unwrap_or_else(|| panic!("a receipt for less than the price of {}", self.id));
        let Sale { device, purchase: Purchase { request_id, .. }, kid, .. } = self.sale.clone();
        let Goods { ticket, item, amount } = goods.clone();
        let claims = Claims {
            iss: rules.issuer.clone(),
            aud: device,
            sub: self.id.clone(),
            jti: request_id,
            ticket,
            nth,
            item,
            amount,
            gross_amount,
            cur: "IDR".into(),
            payment_type: by.payment_type.clone(),
            transaction_id: by.transaction_id.clone(),
            settled_at: by.settled_at.to_rfc3339_wib().into(),
            iat: now.wall.0.div_euclid(1000),
        };
        rules.sign(&kid, claims)
    }

    fn ended(&mut self, how: Closing, now: Told) {
        let took_back = self.is_reversal(how);
        match self.state.doubt_mut() {
            Some(doubt) => {
                doubt.suspect = false;
                if took_back {
                    // That is how the settlement ended that a notification told of.
                    doubt.confirmed();
                }
            }
            // A paid order stays paid. The answer is stale, or a counter took its settlement back.
            None if took_back => {
                self.taken_back = Some(TakenBack::Reversal);
                self.stop_refund("the counter took its settlement back", now);
            }
            None => {}
        }
        self.go(self.state.phase().ended(how, &self.at(now)));
    }

    /// Whether such an end of a payment is that the counter took its settlement back.
    pub(super) fn is_reversal(&self, how: Closing) -> bool {
        how == Closing::Deny && self.is_over_the_counter()
    }

    /// The gateway gave a part back, or the customer's bank took the money. With a receipt, a person is told.
    /// Without one, it is a settlement that nobody saw, and a person must look at that too.
    fn taken(&mut self, how: TakenBack, report: &StatusReport, now: Told) {
        if self.taken_back != Some(TakenBack::Chargeback) && self.taken_back.as_ref() != Some(&how) {
            // A part that is larger than the one that a person saw is news.
            self.seen.retain(|kind| *kind != Attention::PartialRefund);
            self.taken_back = Some(how.clone());
        }
        match how {
            TakenBack::Partly { .. } => {
                // The matter was settled in another way: the customer has more than is due.
                if matches!(self.repayment(), Some(Repayment::ByHand { .. } | Repayment::Given { .. })) {
                    self.comes_late(LateFact::Money);
                }
                self.not_refunded_yet(now);
                // Where all was to go back, the bank may have refused that.
                self.settled_again(now);
            }
            TakenBack::Chargeback | TakenBack::Reversal => self.stop_refund("the money was taken back already", now),
        }
        if self.doubt().is_some() {
            let by = self.settlement_of(report, now);
            self.state = Withheld::without_a_receipt(self.charge().cloned(), by, NoReceipt::Mismatch);
        }
    }
}
