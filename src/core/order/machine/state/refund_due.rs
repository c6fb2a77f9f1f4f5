use super::*;
use crate::order::outcome::Delivery;
use crate::order::state::Status;
use crate::order::word::Word;

/// Paid, and not delivered, or nobody knows whether it was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RefundDue {
    /// The proof; a mismatch has no proof.
    pub receipt: Option<Receipt>,
    pub why: Undelivered,
    /// The report to the backend, and whether the backend has it.
    pub report: ReportStep,
}

/// Why a paid order was not delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undelivered {
    /// The relay was driven and the item did not come.
    Failed,
    /// The hardware of the line does not work: it was not driven.
    NotDriven,
    /// Nobody knows whether the item came.
    Uncertain,
    /// The payment, or the time for delivery, came when the customer was gone.
    Late,
    /// The relay would not take the receipt.
    RelayRefused,
    /// The settlement does not match the charge.
    Mismatch,
    /// Paid over the counter, and never collected.
    NotCollected,
    /// Nothing of it was left.
    SoldOut,
}

impl Undelivered {
    /// The word for it.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Failed | Self::NotDriven => Reason::Failed,
            Self::Uncertain => Reason::Uncertain,
            Self::Late => Reason::Late,
            Self::RelayRefused => Reason::RelayRefused,
            Self::Mismatch => Reason::Mismatch,
            Self::NotCollected => Reason::NotCollected,
            Self::SoldOut => Reason::SoldOut,
        }
    }
}

/// The report to the backend about a paid order that was not delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportStep {
    /// Nothing yet. First the relay must close the ticket: refund and delivery exclude each other.
    CloseFirst {
        /// Whether a `Dispense` may have reached the relay.
        sent: bool,
    },
    /// Tell this.
    Tell(Delivery),
    /// The backend was told this, and knows it.
    Reported(Delivery),
}

impl RefundDue {
    /// Nothing is delivered any more, as soon as its ticket is closed.
    pub(in super::super) fn once_closed(receipt: Option<Receipt>, why: Undelivered, sent: bool) -> State {
        State::RefundDue(Self { receipt, why, report: ReportStep::CloseFirst { sent } })
    }

    pub(super) fn failed(receipt: Receipt, why: Undelivered) -> State {
        State::RefundDue(Self { receipt: Some(receipt), why, report: ReportStep::Tell(Delivery::Failed) })
    }

    pub(super) fn uncertain(receipt: Option<Receipt>) -> State {
        State::RefundDue(Self { receipt, why: Undelivered::Uncertain, report: ReportStep::Tell(Delivery::Uncertain) })
    }

    pub(super) fn undelivered(receipt: Option<Receipt>, why: Undelivered) -> State {
        State::RefundDue(Self { receipt, why, report: ReportStep::Tell(Delivery::Undelivered) })
    }

    /// A later release of the relay has an outcome that this release does not know. The books get its word, and a person decides.
    pub(super) fn ended_otherwise(receipt: Receipt, word: Word) -> State {
        State::RefundDue(Self { receipt: Some(receipt), why: Undelivered::Uncertain, report: ReportStep::Tell(Delivery::Other(word)) })
    }

    fn goods(&self) -> Goods {
        Goods::Moved(match (self.report, self.why) {
            // The relay will say.
            (ReportStep::CloseFirst { .. }, _) => return Goods::AsBefore,
            (ReportStep::Tell(Delivery::Undelivered) | ReportStep::Reported(Delivery::Undelivered), _) => Fate::InPlace,
            (ReportStep::Tell(Delivery::Failed) | ReportStep::Reported(Delivery::Failed), Undelivered::NotDriven) => Fate::InPlace,
            (ReportStep::Tell(Delivery::Failed) | ReportStep::Reported(Delivery::Failed), _) => Fate::Failed,
            (ReportStep::Tell(Delivery::Dispensed) | ReportStep::Reported(Delivery::Dispensed), _) => Fate::Delivered,
            (
                ReportStep::Tell(Delivery::Uncertain | Delivery::Other(_)) | ReportStep::Reported(Delivery::Uncertain | Delivery::Other(_)),
                _,
            ) => Fate::Out,
        })
    }

    fn with(&self, report: ReportStep) -> State {
        State::RefundDue(Self { report, ..self.clone() })
    }

    /// Whether a `Dispense` may have reached the relay; `None`: its ticket is closed.
    const fn is_sent(&self) -> Option<bool> {
        match self.report {
            ReportStep::CloseFirst { sent } => Some(sent),
            ReportStep::Tell(_) | ReportStep::Reported(_) => None,
        }
    }
}

impl Phase for RefundDue {
    fn facts(&self) -> Facts<'_> {
        Facts {
            name: (EventState::RefundDue, Some(self.why.reason())),
            holds_machine: false,
            is_unfinished: !matches!(self.report, ReportStep::Reported(_)),
            receipt: self.receipt.as_ref(),
            goods: self.goods(),
        }
    }

    /// A receipt after a mismatch: the backend settled it after all, and a person sees to it already. Any other receipt is known.
    fn worth(&self, _at: &At) -> Worth {
        Worth::Known
    }

    fn seen(&self, seen: &Seen, _at: &At) -> Option<State> {
        let is_back = matches!(self.report, ReportStep::Reported(_)) && seen.status == Status::Refund;
        is_back.then(|| State::Refunded(Refunded { receipt: self.receipt.clone() }))
    }

    fn relay_call(&self, at: &At) -> Option<RelayCall> {
        match self.report {
            ReportStep::CloseFirst { .. } => Some(RelayCall::Close(at.order.ticket.clone())),
            ReportStep::Tell(_) => Some(RelayCall::Prove(at.order.ticket.clone())),
            ReportStep::Reported(_) => None,
        }
    }

    fn backend_call(&self, at: &At) -> Option<BackendCall> {
        match self.report {
            ReportStep::Tell(delivery) => at.order.order_id().cloned().map(|id| BackendCall::Tell(id, delivery, Some(self.why.reason()))),
            ReportStep::CloseFirst { .. } | ReportStep::Reported(_) => None,
        }
    }

    /// The relay's signal tells this. The machine had given the order up, and has no other way to `dispensed`.
    fn relay_answered(&self, answer: DispenseAnswer, _unknown: IfUnknown) -> Option<State> {
        let receipt = self.receipt.as_ref().filter(|_| self.is_sent().is_some())?;
        match answer {
            DispenseAnswer::Ended(outcome) => Some(delivered(receipt, outcome)),
            DispenseAnswer::Later(word) => Some(Self::ended_otherwise(receipt.clone(), word)),
            DispenseAnswer::Dispensing | DispenseAnswer::Unknown => None,
        }
    }

    fn ticket_closed(&self, answer: CloseAnswer, _at: &At) -> Option<State> {
        self.is_sent()?;
        Some(match (answer, &self.receipt) {
            // The line was driven. A ledger that forgets this later must not make the order undelivered.
            (CloseAnswer::Dispensing, _) => self.with(ReportStep::CloseFirst { sent: true }),
            (CloseAnswer::Closed, _) => self.with(ReportStep::Tell(Delivery::Undelivered)),
            (CloseAnswer::Ended(outcome), Some(receipt)) => delivered(receipt, outcome),
            (CloseAnswer::Later(word), Some(receipt)) => Self::ended_otherwise(receipt.clone(), word),
            // There is a recorded outcome, and money without a receipt. Nobody can say which payment opened the relay.
            (CloseAnswer::Ended(_) | CloseAnswer::Later(_), None) => Self::uncertain(None),
        })
    }

    fn ticket_unknown(&self) -> Option<State> {
        Some(match self.is_sent()? {
            true => Self::uncertain(self.receipt.clone()),
            false => self.with(ReportStep::Tell(Delivery::Undelivered)),
        })
    }

    fn reported(&self) -> Option<State> {
        match self.report {
            ReportStep::Tell(delivery) => Some(self.with(ReportStep::Reported(delivery))),
            ReportStep::CloseFirst { .. } | ReportStep::Reported(_) => None,
        }
    }

    fn forgotten(&self) -> Option<State> {
        match self.report {
            ReportStep::Reported(delivery) => Some(self.with(ReportStep::Tell(delivery))),
            ReportStep::CloseFirst { .. } | ReportStep::Tell(_) => None,
        }
    }

    fn taken_as_sent(&self) -> Option<State> {
        self.receipt.as_ref().and(self.is_sent()).map(|_| self.with(ReportStep::CloseFirst { sent: true }))
    }
}
