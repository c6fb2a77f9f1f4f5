//! What Midtrans' answer to a get-status makes of an order, and when it is asked.

use super::*;
use crate::order::money::Rupiah;

/// The status of an order changes only when Midtrans is asked, so a notification is worth a question or it is not.
/// A `pending` one asks nothing.
#[must_use]
fn is_news(state: &State, said: Said) -> bool {
    match (state, said) {
        (_, Said::Pending) => false,
        (State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. }, _) => true,
        (State::Closed { .. }, Said::Settled | Said::Suspect | Said::Refunded | Said::Reversed | Said::Other) => true,
        (State::Closed { .. }, Said::Expired | Said::Cancelled | Said::Denied | Said::Failed) => false,
        (State::Settled { .. } | State::Withheld { .. }, Said::Refunded) => true,
        // A reversal changes nothing here: the order stays settled.
        (
            State::Settled { .. } | State::Withheld { .. },
            Said::Settled | Said::Suspect | Said::Expired | Said::Cancelled | Said::Denied | Said::Failed | Said::Reversed | Said::Other,
        ) => false,
        (
            State::Refunded { .. },
            Said::Settled
            | Said::Suspect
            | Said::Expired
            | Said::Cancelled
            | Said::Denied
            | Said::Failed
            | Said::Refunded
            | Said::Reversed
            | Said::Other,
        ) => false,
    }
}

impl Order {
    pub(super) fn notified(&mut self, said: Said, now: Wall) {
        if !is_news(&self.state, said) {
            return;
        }
        self.ask.noted_at = Some(now);
        match self.ask.hot_from {
            // The same news again, or a flood of it: the question that is on its way answers it.
            Some(from) if now < from + ASK_SPACING => self.ask.at = Some(self.ask.at.unwrap_or(from + ASK_SPACING).min(from + ASK_SPACING)),
            Some(_) | None => self.ask = Ask { at: Some(now), hot_from: Some(now), tries: 0, noted_at: Some(now) },
        }
    }

    pub(super) fn status(&mut self, report: &Report, now: Wall, with: &Context<'_>) {
        if report.order_id != self.id {
            // An answer about something else answers nothing.
            return self.status_unanswered(now);
        }
        match report.said {
            Said::Settled => return self.settled(report, now, with),
            Said::Pending => self.still_pending(now),
            Said::Suspect | Said::Other => self.looked_in_vain(now),
            Said::Expired => self.ended(Closing::Expire),
            Said::Cancelled => self.ended(Closing::Cancel),
            Said::Denied => self.ended(Closing::Deny),
            Said::Failed => self.ended(Closing::Failure),
            Said::Refunded => self.refunded(),
            Said::Reversed => self.reversed(report, now),
        }
        self.asked(now, true);
    }

    pub(super) fn status_unanswered(&mut self, now: Wall) {
        self.looked_in_vain(now);
        self.asked(now, false);
    }

    /// Plans the next question after one that was answered, or not.
    pub(super) fn asked(&mut self, now: Wall, answered: bool) {
        let tries = self.ask.tries;
        self.ask.tries += 1;
        let hot = self.is_hot(now).then(|| now + doubled(Span::millis(250), tries + 1, Span::secs(2)));
        self.ask.at = match &self.state {
            State::Charging { .. } => self.ask.at,
            State::Pending { charge, .. } => Some(hot.unwrap_or_else(|| now + self.spread(polling(now - charge.charged_at)))),
            // The cancel is asked again, and looked after, by itself.
            State::Cancelling { .. } => hot,
            // Midtrans may say settled to the notification before it says so to get-status; and the question that was just
            // answered may be older than the notification.
            State::Closed { .. } if answered => {
                let unsure = self.ask.noted_at.filter(|noted| now < *noted + CALL_LIFE);
                hot.or(unsure.map(|noted| noted + CALL_LIFE))
            }
            State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } if answered => None,
            State::Closed { .. } | State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => {
                Some(hot.unwrap_or(now + doubled(ASK_SPACING, tries.saturating_sub(3), Span::secs(600))))
            }
        };
    }

    pub(super) fn is_hot(&self, now: Wall) -> bool {
        self.ask.hot_from.is_some_and(|from| now < from + HOT)
    }

    /// Midtrans says settled. It is believed if it is exactly what was charged.
    fn settled(&mut self, report: &Report, now: Wall, with: &Context<'_>) {
        match &self.state {
            State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. } | State::Closed { .. } => {}
            State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => return self.asked(now, true),
        }
        let by = Settlement {
            transaction_id: report.transaction_id.clone(),
            gross_amount: report.gross_amount,
            payment_type: report.payment_type.clone().unwrap_or_else(|| self.sale.payment.as_str().into()),
            settled_at: report.settled_at.unwrap_or(now),
        };
        let charge = self.charge().cloned();
        match self.matching(report, with.rules) {
            Err(_) if self.mismatched_at.is_none_or(|first| now < first + MISMATCH_WAIT) => {
                let again = *self.mismatched_at.get_or_insert(now) + MISMATCH_WAIT;
                self.ask = Ask { at: Some(again), tries: self.ask.tries + 1, ..self.ask };
                if let State::Cancelling { look, retry_at, .. } = &mut self.state {
                    (*look, *retry_at) = (true, again + MISMATCH_WAIT);
                }
                return;
            }
            Err(_) => self.state = State::Withheld { charge, by, why: Withheld::Mismatch },
            Ok(_) if with.paid_already => self.state = State::Withheld { charge, by, why: Withheld::PaidTwice },
            Ok(gross_amount) => {
                let receipt = self.sign(&by, gross_amount, now, with.rules);
                self.state = State::Settled { charge, by, receipt };
            }
        }
        self.asked(now, true);
    }

    /// Whether a settlement is exactly the charge's; then what was paid.
    ///
    /// # Errors
    /// What differs.
    fn matching(&self, report: &Report, rules: &Rules) -> Result<Rupiah, &'static str> {
        let gross_amount = report.gross_amount.ok_or("gross_amount")?;
        if report.order_id != self.id {
            return Err("order_id");
        }
        if report.currency.as_deref() != Some("IDR") {
            return Err("currency");
        }
        let expected = self.custom_fields();
        let mut fields = report.custom_fields.iter().zip(&expected);
        if fields.any(|(got, want)| got.as_deref().is_some_and(|got| got != want)) {
            return Err("custom_field");
        }
        match self.charge() {
            Some(charge) if charge.transaction_id != report.transaction_id => Err("transaction_id"),
            Some(charge) if charge.gross_amount != gross_amount => Err("gross_amount"),
            Some(_) => Ok(gross_amount),
            // The charge's answer was lost: the fields must say that it is ours.
            None if report.custom_fields.iter().any(Option::is_none) => Err("custom_field"),
            None => {
                let price = self.sale.amount.get();
                let paid = price..=price.saturating_add(rules.max_imposed_fee);
                if paid.contains(&gross_amount.get()) { Ok(gross_amount) } else { Err("gross_amount") }
            }
        }
    }

    fn sign(&self, by: &Settlement, gross_amount: Rupiah, now: Wall, rules: &Rules) -> Receipt {
        let Sale { device, request_id, ticket, item, amount, kid, .. } = self.sale.clone();
        let claims = Claims {
            iss: rules.issuer.clone(),
            aud: device,
            sub: self.id.clone(),
            jti: request_id,
            ticket,
            item,
            amount,
            gross_amount,
            cur: "IDR".into(),
            payment_type: by.payment_type.clone(),
            transaction_id: by.transaction_id.clone(),
            settled_at: by.settled_at.to_rfc3339_wib().into(),
            iat: now.0.div_euclid(1000),
        };
        rules.sign(&kid, claims)
    }

    fn still_pending(&mut self, now: Wall) {
        match &mut self.state {
            State::Cancelling { look: true, .. } => self.cancel_again(now, false),
            State::Closed { charge, .. } => {
                let charge = charge.take();
                self.begin_cancelling(charge, Ending::Leftover, now);
            }
            State::Charging { .. }
            | State::Pending { .. }
            | State::Cancelling { look: false, .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => {}
        }
    }

    /// A look after a cancel that brought nothing is made again, later.
    fn looked_in_vain(&mut self, now: Wall) {
        match &self.state {
            State::Cancelling { look: true, .. } => self.cancel_again(now, true),
            State::Charging { .. }
            | State::Pending { .. }
            | State::Cancelling { look: false, .. }
            | State::Closed { .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => {}
        }
    }

    fn ended(&mut self, how: Closing) {
        match &mut self.state {
            State::Charging { .. } => self.close(None, how, None),
            State::Pending { charge, .. } => {
                let charge = charge.clone();
                self.close(Some(charge), how, None);
            }
            State::Cancelling { charge, why, .. } => {
                let (charge, why) = (charge.take(), why.clone());
                self.close(charge, how, Some(why));
            }
            // What was paid stays paid: a stale answer, or a reversal that a person must look at.
            State::Closed { .. } | State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => {}
        }
    }

    fn refunded(&mut self) {
        let (charge, receipt) = (self.charge().cloned(), self.receipt().cloned());
        self.state = State::Refunded { charge, receipt };
    }

    /// Given back in part, or taken back: after a receipt nothing changes; without one a person must look at it.
    fn reversed(&mut self, report: &Report, now: Wall) {
        match &self.state {
            State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => {}
            State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. } | State::Closed { .. } => {
                let by = Settlement {
                    transaction_id: report.transaction_id.clone(),
                    gross_amount: report.gross_amount,
                    payment_type: report.payment_type.clone().unwrap_or_else(|| self.sale.payment.as_str().into()),
                    settled_at: report.settled_at.unwrap_or(now),
                };
                self.state = State::Withheld { charge: self.charge().cloned(), by, why: Withheld::Mismatch };
            }
        }
    }
}

/// How long between two questions about a charge of this age.
fn polling(age: Span) -> Span {
    match age.0 / 1000 {
        ..300 => ASK_SPACING,
        300..900 => Span::secs(30),
        900..3600 => Span::secs(120),
        3600.. => Span::secs(600),
    }
}
