//! The messages between the programs, and the callers that wait for answers.

use super::{Channel, ORDERS, Program, World, order_of};
use qris_core::order::merchant::Said;
use qris_core::order::outcome::{Delivery, Outcome};

/// A message on its way. `live`: its caller still waits for the answer. If nobody waits for a ticket, that ticket opens
/// nothing. So its messages go with their caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Message {
    /// A vend request, until the machine acknowledges it.
    Vend(u8),
    Prepare {
        order: u8,
    },
    Prepared {
        order: u8,
        ticket: Option<u8>,
    },
    ToRelay {
        order: u8,
        ask: RelayAsk,
        live: bool,
    },
    FromRelay {
        order: u8,
        ask: RelayAsk,
        say: RelaySay,
        live: bool,
    },
    /// The relay's signal: it is a stray from the first.
    Finished {
        charge: u8,
        ended: Ended,
    },
    /// To the merchant's backend.
    Post {
        order: u8,
        ask: HttpAsk,
        live: bool,
    },
    Answer {
        order: u8,
        ask: HttpAsk,
        say: HttpSay,
        live: bool,
    },
    /// `?state=open`, asked by the requests whose bit is set.
    AskOpen {
        lookers: u8,
        live: bool,
    },
    Open {
        lookers: u8,
        orders: [Option<u32>; ORDERS],
        live: bool,
    },
    /// `payment/update`: with a receipt, or a hint. `live`: it will certainly come.
    Push {
        charge: u8,
        receipt: bool,
        live: bool,
    },
    ToMidtrans {
        charge: u8,
        call: MidtransCall,
        live: bool,
    },
    FromMidtrans {
        charge: u8,
        call: MidtransCall,
        say: MidtransSay,
        live: bool,
    },
    Notify {
        charge: u8,
        said: NoticeWord,
        live: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum RelayAsk {
    Check(u8),
    Dispense(u8),
    Query(u8),
    Close(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Ended {
    Dispensed,
    Failed,
    Uncertain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum RelaySay {
    Deliverable,
    NotDeliverable,
    Ended(Ended),
    Driving,
    Unknown,
    Closed,
    Busy,
    UnknownTicket,
    Refused,
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum HttpAsk {
    Create,
    Watch(u8),
    Get(u8),
    Cancel(u8),
    Tell(u8, Word),
}

/// [`Delivery`], with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Word {
    Dispensed,
    Failed,
    Uncertain,
    Undelivered,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum HttpSay {
    /// A resource, by its number in the [`Lab`].
    Order(u32),
    OtherOutcome,
    Later,
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum MidtransCall {
    Charge,
    Status,
    Cancel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum MidtransSay {
    Charged,
    DeniedCharge,
    Is(Status),
    NotFound,
    Cancelled,
    CannotCancel,
    Nothing,
}

/// The state of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Status {
    /// There is none.
    None,
    Pending,
    Settled,
    /// Settled, for another sum than the charge.
    SettledOtherwise,
    Cancelled,
    Expired,
    Denied,
    /// Settled, and given back by the merchant directly at Midtrans.
    Refunded,
}

impl Status {
    /// Did money come for it, whatever happened to that money later?
    pub(super) const fn was_paid(self) -> bool {
        matches!(self, Self::Settled | Self::SettledOtherwise | Self::Refunded)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum NoticeWord {
    Settled,
    Ended,
    Refunded,
}

impl From<Outcome> for Ended {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Dispensed => Self::Dispensed,
            Outcome::Failed => Self::Failed,
            Outcome::Uncertain => Self::Uncertain,
        }
    }
}

impl From<Ended> for Outcome {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Dispensed => Self::Dispensed,
            Ended::Failed => Self::Failed,
            Ended::Uncertain => Self::Uncertain,
        }
    }
}

impl From<Delivery> for Word {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Dispensed => Self::Dispensed,
            Delivery::Failed => Self::Failed,
            Delivery::Uncertain | Delivery::Other(_) => Self::Uncertain,
            Delivery::Undelivered => Self::Undelivered,
        }
    }
}

impl From<Word> for Delivery {
    fn from(word: Word) -> Self {
        match word {
            Word::Dispensed => Self::Dispensed,
            Word::Failed => Self::Failed,
            Word::Uncertain => Self::Uncertain,
            Word::Undelivered => Self::Undelivered,
        }
    }
}

impl From<NoticeWord> for Said {
    fn from(word: NoticeWord) -> Self {
        match word {
            NoticeWord::Settled => Self::Settled,
            // A notification may name any of the ends. That decides nothing: Midtrans is asked.
            NoticeWord::Ended => Self::Expired,
            NoticeWord::Refunded => Self::Refunded,
        }
    }
}

/// A caller that waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Caller {
    /// A request waits for a ticket of the relay.
    Ticket(u8),
    /// An order waits for the relay.
    Relay(u8),
    /// An order waits for the backend.
    Backend(u8),
    /// The machine waits for the open orders.
    Open,
    /// A charge waits for Midtrans.
    Midtrans(u8),
}

impl Message {
    /// The caller whose question or answer it is; `None`: nobody waits for it.
    pub(super) fn caller(self) -> Option<Caller> {
        if !self.is_live() {
            return None;
        }
        match self {
            Self::Prepare { order } | Self::Prepared { order, .. } => Some(Caller::Ticket(order)),
            Self::ToRelay { order, .. } | Self::FromRelay { order, .. } => Some(Caller::Relay(order)),
            Self::Post { order, .. } | Self::Answer { order, .. } => Some(Caller::Backend(order)),
            Self::AskOpen { .. } | Self::Open { .. } => Some(Caller::Open),
            Self::ToMidtrans { charge, .. } | Self::FromMidtrans { charge, .. } => Some(Caller::Midtrans(charge)),
            Self::Vend(_) | Self::Finished { .. } | Self::Push { .. } | Self::Notify { .. } => None,
        }
    }

    /// The request that it tells of, if it tells of one only.
    pub(super) fn order(self) -> Option<u8> {
        match self {
            Self::Vend(order) | Self::Prepare { order } | Self::Prepared { order, .. } => Some(order),
            Self::ToRelay { order, .. } | Self::FromRelay { order, .. } | Self::Post { order, .. } | Self::Answer { order, .. } => {
                Some(order)
            }
            Self::Finished { charge, .. } | Self::Push { charge, .. } | Self::Notify { charge, .. } => Some(order_of(charge)),
            Self::ToMidtrans { charge, .. } | Self::FromMidtrans { charge, .. } => Some(order_of(charge)),
            Self::Open { lookers, orders, .. } => {
                let about = |at: &usize| lookers >> at & 1 == 1 || orders[*at].is_some();
                let mut told = (0..ORDERS).filter(about);
                let first = told.next()?;
                told.next().is_none().then(|| u8::try_from(first).expect("two at most"))
            }
            Self::AskOpen { .. } => None,
        }
    }

    /// Is it the answer to a call? It comes on the call's own connection. So there is one, or none.
    pub(super) fn is_answer(self) -> bool {
        match self {
            Self::Prepared { .. } | Self::FromRelay { .. } | Self::Answer { .. } | Self::Open { .. } | Self::FromMidtrans { .. } => true,
            Self::Vend(_) | Self::Prepare { .. } | Self::ToRelay { .. } | Self::Post { .. } | Self::AskOpen { .. } => false,
            Self::ToMidtrans { .. } | Self::Finished { .. } | Self::Push { .. } | Self::Notify { .. } => false,
        }
    }

    pub(super) fn channel(self) -> Option<Channel> {
        match self {
            Self::Vend(_) => None,
            Self::Prepare { .. } | Self::Prepared { .. } | Self::ToRelay { .. } | Self::FromRelay { .. } | Self::Finished { .. } => {
                Some(Channel::Bus)
            }
            Self::Post { .. } | Self::Answer { .. } | Self::AskOpen { .. } | Self::Open { .. } => Some(Channel::Http),
            Self::Push { .. } => Some(Channel::Push),
            Self::ToMidtrans { .. } | Self::FromMidtrans { .. } => Some(Channel::Midtrans),
            Self::Notify { .. } => Some(Channel::Notice),
        }
    }

    /// Its receiver, if that is a program that can crash and break the connection.
    pub(super) fn is_request_to(self, program: Program) -> bool {
        match self {
            Self::Prepare { .. } | Self::ToRelay { .. } => program == Program::Relay,
            Self::Post { .. } | Self::AskOpen { .. } => program == Program::Backend,
            Self::Vend(_)
            | Self::Prepared { .. }
            | Self::FromRelay { .. }
            | Self::Finished { .. }
            | Self::Answer { .. }
            | Self::Open { .. }
            | Self::Push { .. }
            | Self::ToMidtrans { .. }
            | Self::FromMidtrans { .. }
            | Self::Notify { .. } => false,
        }
    }

    /// The same message, after its caller has stopped waiting.
    fn stale(self) -> Self {
        let mut message = self;
        match &mut message {
            Self::ToRelay { live, .. }
            | Self::FromRelay { live, .. }
            | Self::Post { live, .. }
            | Self::Answer { live, .. }
            | Self::AskOpen { live, .. }
            | Self::Open { live, .. }
            | Self::ToMidtrans { live, .. }
            | Self::FromMidtrans { live, .. }
            | Self::Push { live, .. }
            | Self::Notify { live, .. } => *live = false,
            Self::Vend(_) | Self::Prepare { .. } | Self::Prepared { .. } | Self::Finished { .. } => {}
        }
        message
    }

    pub(super) fn is_live(self) -> bool {
        self != self.stale() || matches!(self, Self::Vend(_) | Self::Prepare { .. } | Self::Prepared { .. })
    }

    /// What it can still cause though nobody waits for the answer.
    fn stray(self) -> Option<Self> {
        let message = self.stale();
        // An answer that nobody takes does not count as a message. The exception is the relay's outcome, which is a fact. A
        // question that only asks does nothing.
        let acts = match message {
            // It is the same in the answer to any question.
            Self::FromRelay { order, ask: RelayAsk::Dispense(charge) | RelayAsk::Query(charge), say: say @ RelaySay::Ended(_), live } => {
                return Some(Self::FromRelay { order, ask: RelayAsk::Query(charge), say, live });
            }
            Self::Finished { .. } | Self::Push { .. } | Self::Notify { .. } => true,
            Self::ToRelay { ask: RelayAsk::Dispense(_) | RelayAsk::Close(_), .. } => true,
            Self::ToRelay { ask: RelayAsk::Check(_) | RelayAsk::Query(_), .. } => false,
            Self::Post { ask: HttpAsk::Create | HttpAsk::Cancel(_) | HttpAsk::Tell(..), .. } => true,
            Self::Post { ask: HttpAsk::Watch(_) | HttpAsk::Get(_), .. } => false,
            Self::ToMidtrans { call: MidtransCall::Charge | MidtransCall::Cancel, .. } => true,
            Self::ToMidtrans { call: MidtransCall::Status, .. } => false,
            // A ticket for nobody opens nothing.
            Self::Prepare { .. } | Self::Prepared { .. } => false,
            Self::FromRelay { .. } | Self::Answer { .. } | Self::AskOpen { .. } | Self::Open { .. } | Self::FromMidtrans { .. } => false,
            Self::Vend(_) => false,
        };
        acts.then_some(message)
    }
}

impl World {
    pub(super) fn send(&mut self, message: Message) {
        if message.is_live() {
            let at = self.wire.partition_point(|known| *known <= message);
            self.wire.insert(at, message);
        } else {
            self.strays(message);
        }
    }

    /// It may come at any time, or never.
    pub(super) fn strays(&mut self, message: Message) {
        if let Some(stray) = message.stray()
            && let Err(at) = self.wire.binary_search(&stray)
        {
            self.wire.insert(at, stray);
        }
    }

    pub(super) fn take(&mut self, message: Message) {
        if let Some(at) = self.wire.iter().position(|known| *known == message) {
            self.wire.remove(at);
        }
    }

    /// Is no call under way? A long poll does not count. A message that is sent without a question may be on its way for
    /// long.
    pub(super) fn is_quiet(&self) -> bool {
        let is_call = |message: &Message| match message {
            Message::Post { ask: HttpAsk::Watch(_), .. } => false,
            Message::Prepare { .. } | Message::Prepared { .. } | Message::ToRelay { .. } | Message::FromRelay { .. } => true,
            Message::Post { .. } | Message::Answer { .. } | Message::AskOpen { .. } | Message::Open { .. } => true,
            Message::ToMidtrans { .. } | Message::FromMidtrans { .. } => true,
            Message::Vend(_) | Message::Finished { .. } | Message::Push { .. } | Message::Notify { .. } => false,
        };
        !self.wire.iter().any(|message| message.is_live() && is_call(message))
    }

    /// Is the question or the answer of a call on its way?
    pub(super) fn is_coming(&self, caller: Caller) -> bool {
        self.wire.iter().any(|message| message.caller() == Some(caller))
    }

    /// Nobody waits for the answer to a call any more.
    pub(super) fn hang_up(&mut self, caller: Caller) {
        self.forget(|message| message.caller() == Some(caller));
    }

    /// Nobody waits any more for the answers to the calls that `which` selects.
    pub(super) fn forget(&mut self, which: impl Fn(Message) -> bool) {
        let mut stale = Vec::new();
        self.wire.retain(|message| {
            let drop = which(*message);
            if drop {
                stale.push(*message);
            }
            !drop
        });
        for message in stale {
            self.strays(message);
        }
    }
}
