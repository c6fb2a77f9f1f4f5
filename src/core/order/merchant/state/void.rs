use super::*;

/// The counter took the payment back before its machine had told anything of the goods. The receipt is void, and no machine is given it any
/// more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Void {
    pub charge: Option<Charge>,
    /// The payment that there was.
    pub by: Settlement,
    /// The receipt, which a machine may have had before.
    pub receipt: Receipt,
}

impl Void {
    /// The counter took its settlement back. From [`Settled`], while its machine has told nothing.
    pub(super) fn taken_back(settled: &Settled) -> Option<Next> {
        let Settled { charge, by, receipt, collect_by: _, unreported_at: _ } = settled.clone();
        Next::to(State::Void(Self { charge, by, receipt }))
    }
}

impl Phase for Void {
    fn word(&self) -> &'static str {
        "void"
    }

    fn facts<'a>(&'a self, _order: &'a Order) -> Facts<'a> {
        Facts::paid(Status::Deny, Money::TakenBack, self.charge.as_ref(), &self.by, Some(&self.receipt))
    }

    fn is_news(&self, said: Said, order: &Order) -> bool {
        order.is_news_of_money(said)
    }

    fn ended(&self, _how: Closing, _at: &At) -> Option<Next> {
        None
    }

    fn may_repay(&self, _no_report: bool, _by_name: bool, _at: &At) -> Result<(), Refused> {
        Err(Refused::TakenBack)
    }

    fn next_question(&self, asked: &Asked) -> Option<Wall> {
        asked.next_about_money()
    }

    /// It had the receipt before the counter took the money back.
    fn reported(&self) -> Option<Next> {
        Settled::reported_after_all(self)
    }
}
