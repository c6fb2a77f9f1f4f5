use super::*;
use crate::order::state::Status;
use crate::order::time::Span;

/// An order that may only just be delivered gets this much time for the call.
const CALL_TIME: Span = Span::secs(5);

/// A receipt is stored and the relay decides.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Dispensing {
    /// The proof.
    pub receipt: Receipt,
    /// It may be delivered until then.
    pub deliver_by: Boot,
    /// The next question.
    pub ask: Ask,
    /// Whether an earlier `Dispense` may have reached the relay without an answer.
    pub sent: bool,
    /// It is later than `deliver_by`. The order does not hold the machine, and only `Close` ends it.
    pub overdue: bool,
}

/// The next question about a dispensing order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// The relay: dispense.
    Dispense,
    /// The relay: what became of it?
    Query,
    /// The backend: may it still be delivered?
    Confirm,
    /// The relay: never dispense for this ticket, or tell what became of it.
    Close,
}

impl Seen {
    /// Whether an order of an earlier boot may be delivered, and until when. The backend was asked in this boot.
    pub(super) fn may_be_delivered(&self, at: &At) -> Option<Boot> {
        let allowed = self.status == Status::Settlement && !self.has_outcome && !self.refund;
        let left = self.settled_ago.map(|ago| Span(at.with.rules.deliver_within.0 - ago.0))?;
        (allowed && left >= Span::ZERO).then(|| at.now + left.max(CALL_TIME))
    }
}

impl Dispensing {
    pub(in super::super) fn begun(receipt: Receipt, deliver_by: Boot, sent: bool) -> State {
        State::Dispensing(Self { receipt, deliver_by, ask: Ask::Dispense, sent, overdue: false })
    }

    /// The program was started again. Nobody knows what became of a call that was under way. Only the ledger can tell.
    pub(in super::super) fn restarted(&mut self) {
        self.sent = true;
        if self.ask != Ask::Close {
            self.ask = Ask::Query;
        }
    }

    fn asking(&self, ask: Ask) -> State {
        State::Dispensing(Self { ask, ..self.clone() })
    }
}

impl Phase for Dispensing {
    fn facts(&self) -> Facts<'_> {
        Facts {
            name: (EventState::Dispensing, None),
            holds_machine: !self.overdue,
            is_unfinished: true,
            receipt: Some(&self.receipt),
            goods: Goods::Moved(Fate::Out),
        }
    }

    fn worth(&self, _at: &At) -> Worth {
        Worth::Known
    }

    fn seen(&self, seen: &Seen, at: &At) -> Option<State> {
        if self.ask != Ask::Confirm {
            return None;
        }
        Some(match seen.may_be_delivered(at) {
            Some(deliver_by) => State::Dispensing(Self { deliver_by, ask: Ask::Dispense, ..self.clone() }),
            None => RefundDue::once_closed(Some(self.receipt.clone()), Undelivered::Late, self.sent),
        })
    }

    fn relay_call(&self, at: &At) -> Option<RelayCall> {
        match self.ask {
            Ask::Dispense => Some(RelayCall::Dispense(self.receipt.clone())),
            Ask::Query => {
                let claims = self.receipt.claims();
                Some(RelayCall::Query(claims.sub.clone(), claims.nth.number()))
            }
            Ask::Confirm => None,
            Ask::Close => Some(RelayCall::Close(at.order.ticket.clone())),
        }
    }

    fn backend_call(&self, _at: &At) -> Option<BackendCall> {
        (self.ask == Ask::Confirm).then(|| BackendCall::Confirm(self.receipt.claims().sub.clone()))
    }

    fn deadline(&self, _at: &At) -> Option<Boot> {
        (!self.overdue).then_some(self.deliver_by)
    }

    fn tick(&self, at: &At) -> Option<State> {
        if self.overdue || at.now < self.deliver_by {
            return None;
        }
        // The relay must still tell whether it was handed out, but nobody waits for that any more.
        if self.ask == Ask::Query && at.order.is_over_the_counter() && at.order.again.is_none() && at.order.earlier_boot {
            return Some(State::AwaitingCollection(AwaitingCollection { receipt: self.receipt.clone(), sent: true, doubtful: true }));
        }
        Some(State::Dispensing(Self { ask: Ask::Close, overdue: true, ..self.clone() }))
    }

    fn rebooted(&self, _order: &Order, now: Boot, rules: &Rules) -> Option<State> {
        Some(State::Dispensing(Self { deliver_by: now + rules.deliver_within, ..self.clone() }))
    }

    fn relay_answered(&self, answer: DispenseAnswer, unknown: IfUnknown) -> Option<State> {
        match answer {
            DispenseAnswer::Ended(outcome) => Some(delivered(&self.receipt, outcome)),
            DispenseAnswer::Later(word) => Some(RefundDue::ended_otherwise(self.receipt.clone(), word)),
            DispenseAnswer::Dispensing => {
                let ask = if self.ask == Ask::Close { Ask::Close } else { Ask::Query };
                Some(State::Dispensing(Self { ask, sent: true, ..self.clone() }))
            }
            DispenseAnswer::Unknown if self.ask != Ask::Query => None,
            DispenseAnswer::Unknown => Some(match unknown {
                IfUnknown::Dispense => self.asking(Ask::Dispense),
                IfUnknown::Confirm => self.asking(Ask::Confirm),
                IfUnknown::GiveUp => RefundDue::once_closed(Some(self.receipt.clone()), Undelivered::Late, self.sent),
                IfUnknown::Collect => {
                    State::AwaitingCollection(AwaitingCollection { receipt: self.receipt.clone(), sent: self.sent, doubtful: false })
                }
            }),
        }
    }

    fn relay_refused(&self, refusal: RelayRefusal) -> Option<State> {
        if self.ask != Ask::Dispense {
            return None;
        }
        let receipt = Some(self.receipt.clone());
        match refusal {
            RelayRefusal::Busy => None,
            // The ledger that gave the ticket is gone. An earlier call may have driven the line.
            RelayRefusal::UnknownTicket if self.sent => Some(RefundDue::uncertain(receipt)),
            RelayRefusal::UnknownTicket | RelayRefusal::Other => {
                Some(RefundDue::once_closed(receipt, Undelivered::RelayRefused, self.sent))
            }
        }
    }

    fn relay_unanswered(&self) -> Option<State> {
        let ask = if self.ask == Ask::Dispense { Ask::Query } else { self.ask };
        Some(State::Dispensing(Self { ask, sent: true, ..self.clone() }))
    }

    fn ticket_closed(&self, answer: CloseAnswer, _at: &At) -> Option<State> {
        match answer {
            // The line was driven. A ledger that forgets this later must not make the order undelivered.
            CloseAnswer::Dispensing => self.taken_as_sent(),
            CloseAnswer::Closed | CloseAnswer::Ended(_) | CloseAnswer::Later(_) if self.ask != Ask::Close => None,
            CloseAnswer::Closed => Some(RefundDue::undelivered(Some(self.receipt.clone()), Undelivered::Late)),
            CloseAnswer::Ended(outcome) => Some(delivered(&self.receipt, outcome)),
            CloseAnswer::Later(word) => Some(RefundDue::ended_otherwise(self.receipt.clone(), word)),
        }
    }

    fn ticket_unknown(&self) -> Option<State> {
        let receipt = Some(self.receipt.clone());
        let ended = if self.sent { RefundDue::uncertain(receipt) } else { RefundDue::undelivered(receipt, Undelivered::Late) };
        (self.ask == Ask::Close).then_some(ended)
    }

    fn taken_as_sent(&self) -> Option<State> {
        Some(State::Dispensing(Self { sent: true, ..self.clone() }))
    }
}
