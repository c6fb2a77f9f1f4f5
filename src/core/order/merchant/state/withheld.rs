use super::*;

/// It is paid, and has no receipt: a refund is due.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Withheld {
    pub charge: Option<Charge>,
    /// The payment.
    pub by: Settlement,
    pub why: NoReceipt,
}

impl Withheld {
    /// A payment that buys nothing. From [`Charging`], [`Pending`], [`Cancelling`], [`Held`] and [`Closed`].
    pub(in super::super) const fn without_a_receipt(charge: Option<Charge>, by: Settlement, why: NoReceipt) -> State {
        State::Withheld(Self { charge, by, why })
    }
}

impl Phase for Withheld {
    fn word(&self) -> &'static str {
        "withheld"
    }

    fn facts<'a>(&'a self, order: &'a Order) -> Facts<'a> {
        let paid = Facts::paid(Status::Failure, Money::once_paid(order), self.charge.as_ref(), &self.by, None);
        Facts { is_owed: true, no_receipt: Some(&self.why), ..paid }
    }

    fn is_news(&self, said: Said, order: &Order) -> bool {
        order.is_news_of_money(said)
    }

    fn ended(&self, _how: Closing, _at: &At) -> Option<Next> {
        None
    }

    fn may_repay(&self, _no_report: bool, _by_name: bool, _at: &At) -> Result<(), Refused> {
        Ok(())
    }

    fn next_question(&self, asked: &Asked) -> Option<Wall> {
        asked.next_about_money()
    }

    fn duty(&self, asks: bool, at: &At) -> Option<Duty> {
        at.order.repaying.call(at.now).filter(|_| !asks).map(Duty::Call)
    }

    fn deadline(&self, order: &Order) -> Option<Wall> {
        order.next_about_repaying().min()
    }
}
