use super::*;

/// Why a refund is not asked for any more.
pub(super) const TIME_IS_OVER: &str = "the gateway's time for a refund is over: only by hand";

/// How near the end of the gateway's time for a refund is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundEnding {
    /// At most three days are left.
    Soon,
    /// At most one day is left.
    LastDay,
    /// It is over: the money goes back by hand only.
    Over,
}

impl Order {
    pub(super) fn refund_time_is_over(&self, now: Told) -> bool {
        self.settlement().and_then(|by| by.refund_until).is_some_and(|until| now.is_over(until))
    }

    /// The steps to the end of the gateway's time for its refund, of which people were not told yet.
    fn refund_endings(&self) -> impl DoubleEndedIterator<Item = (Wall, RefundEnding)> {
        let [soon, last_day] = REFUND_WARNINGS;
        let told = self.repaying.ending;
        let steps = self
            .repay_by()
            .map(|until| [(until - soon, RefundEnding::Soon), (until - last_day, RefundEnding::LastDay), (until, RefundEnding::Over)]);
        steps.into_iter().flatten().filter(move |(_, ending)| told < Some(*ending))
    }

    pub(super) fn next_refund_ending(&self) -> Option<Wall> {
        self.refund_endings().next().map(|(at, _)| at)
    }

    pub(in super::super) fn refund_ending_due(&self, now: Told) -> Option<RefundEnding> {
        self.refund_endings().rev().find(|(at, _)| now.is_over(*at)).map(|(_, ending)| ending)
    }

    /// The order as people are told of it at this time: while no program ran, nobody wrote that the gateway's time for its refund was over.
    #[must_use]
    pub fn as_of(mut self, now: Told) -> Self {
        self.repaying.ending = self.refund_ending_due(now).or(self.repaying.ending);
        self
    }

    pub(in super::super) fn refund_ends(&mut self, ending: RefundEnding, now: Told) {
        self.repaying.ending = Some(ending);
        if ending == RefundEnding::Over {
            self.only_check_refund(TIME_IS_OVER, now);
        }
    }
}
