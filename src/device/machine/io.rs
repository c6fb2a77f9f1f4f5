//! The inputs and effects of a machine, and the words in them.

use super::View;
use crate::screen::ScreenState;
use crate::screen::picture::Picture;
use qris_core::order::ids::{CommandId, ItemId, KeyId, OrderId, PaymentCode, RequestId, Ticket};
use qris_core::order::ledger::Limits;
use qris_core::order::machine::{Order, RelayCall};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::{CloseAnswer, DispenseAnswer};
use qris_core::order::proof::RelayKey;
use qris_core::order::reason::Reason;
use qris_core::order::request::{Refusal, VendRequest, Way};
use qris_core::order::time::{Span, Wall};
use qris_core::wire::command::{Command, Problem, Response};
use qris_core::wire::dbus::RelayError;
use qris_core::wire::orders::{NewOrder, OrderResource, OutcomeReport};
use qris_core::wire::vend::{EventState, VendEvent};
use qris_host::events::Event as Journal;
use qris_host::mqtt::{Ack, PublishId};
use qris_host::trust::ServerTime;
use serde::{Deserialize, Serialize};

/// What can happen to a machine.
#[derive(Debug)]
pub enum Input {
    /// A controller asks.
    Asked(Request, Asker),
    /// The broker brings news of a payment.
    PaymentUpdate {
        /// The text as it came.
        payload: Vec<u8>,
        /// It is acknowledged once the news is stored or refused.
        ack: Ack,
    },
    /// The broker brings the settings that are wanted.
    Desired {
        /// The text as it came.
        payload: Vec<u8>,
        /// It is acknowledged once the settings are stored or refused.
        ack: Ack,
    },
    /// The broker brings a command.
    Command {
        /// Its name in the topic.
        name: Box<str>,
        /// The text as it came.
        payload: Vec<u8>,
        /// Whether it is retained.
        retained: bool,
        /// Where it is answered.
        to: Address,
        /// It is acknowledged once the command is stored or refused.
        ack: Ack,
    },
    /// The end of an operation, or the news that there is none yet.
    Operated(CommandId, Operated),
    /// RAUC or the computer has answered a [`SystemCall`].
    System(SystemAnswer),
    /// The relay's answer to `Prepare`.
    Prepared(CallId, Result<Ticket, PrepareError>),
    /// The computer has answered a command that reads what it knows.
    Looked(CommandId, Box<Response>),
    /// The relay's answer to another call.
    Relay(CallId, RequestId, RelayAnswer),
    /// A ticket had to be closed, and the relay did not answer.
    TicketLeft,
    /// The relay's signal.
    Finished(OrderId, DispenseAnswer),
    /// The relay has a new owner, with these facts.
    RelayUp(RelayFacts),
    /// The relay's facts, read again.
    RelayTold(RelayFacts),
    /// The relay is gone.
    RelayDown(Box<str>),
    /// The backend's answer to a call of this order.
    Backend(CallId, RequestId, BackendAnswer),
    /// The backend's answer to `?state=open`.
    Open(CallId, BackendAnswer),
    /// The broker is there.
    BrokerUp {
        /// The filters that it refused.
        refused: Vec<String>,
    },
    /// The broker is gone.
    BrokerDown {
        /// Why.
        reason: Box<str>,
        /// Its certificate's dates were refused.
        date_refusal: bool,
    },
    /// The broker has taken a message.
    Delivered(PublishId),
    /// The broker has not taken a message; `Some`: it refuses it.
    Undelivered(PublishId, Option<Box<str>>),
    /// The backend told what time it is.
    Time(ServerTime),
    /// News of the screen.
    Screen(ScreenState),
    /// A deadline passed.
    Woken,
}

/// Where a command is answered: a topic that is this machine's own, and what the asker knows the answer by.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Address {
    /// The response topic.
    pub topic: Box<str>,
    /// The correlation data.
    pub correlation: Option<Box<[u8]>>,
}

/// What a command has done outside of the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    /// This program begins anew. There is no answer but that.
    Restart,
    /// The computer is restarted. There is no answer but that.
    Reboot,
    /// RAUC installs this bundle.
    Install {
        /// Where it is.
        bundle: Box<str>,
        /// An installation that is under way is this one.
        may_join: bool,
    },
    /// RAUC says which slot runs.
    TellSlot {
        /// The system was started just now, and RAUC may not be there yet.
        may_be_late: bool,
    },
    /// The relay service drives a line for a test; with the operator's JWS.
    Test(Box<str>),
    /// The relay service takes the block from a line; with the operator's JWS.
    Clear(Box<str>),
}

/// What came of an [`Operation`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operated {
    /// It is done, with this result.
    Done(serde_json::Value),
    /// It goes on, and this much of it is done.
    Percent(i32),
    /// This slot runs.
    Slot(Box<str>),
    /// The bundle is installed in the slot that does not run.
    Installed,
    /// It will not be done.
    Refused(Problem),
    /// Nobody knows. The same operation again does no harm.
    NoAnswer,
}

/// A system that RAUC has installed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct System {
    /// The name of its slot.
    pub slot: Box<str>,
    /// When it was installed, in RAUC's words. Empty: RAUC does not know.
    pub installed: Box<str>,
}

/// A question or an order to RAUC or the computer that has nothing to do with a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SystemCall {
    /// Which system runs?
    Look,
    /// Call the one that runs good: the bootloader keeps it.
    MarkGood,
    /// Restart the computer.
    Reboot,
    /// Wait until RAUC installs nothing.
    AwaitIdle,
}

/// The answer to a [`SystemCall`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SystemAnswer {
    /// This one runs.
    Runs {
        /// The system.
        system: System,
        /// RAUC installs another one now.
        is_installing: bool,
    },
    /// It is called good.
    Good,
    /// The installation has come further. Then [`SystemAnswer::Idle`] still follows.
    GoesOn,
    /// RAUC installs nothing.
    Idle,
    /// Nobody knows. The same call again does no harm.
    NoAnswer,
}

/// Why there is no ticket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PrepareError {
    /// The relay refuses.
    Refused(RelayError, Box<str>),
    /// The relay does not answer.
    NoAnswer(Box<str>),
}

/// What a machine shows of itself when it asks for its open orders.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Identity {
    /// The key with which its relay signs its proofs.
    pub relay_key: Option<RelayKey>,
    /// The id of its newest event.
    pub newest_event: Option<Box<str>>,
}

/// The relay service's facts about itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RelayFacts {
    /// The machine that it says it belongs to; `None` before it said so.
    pub device: Option<Box<str>>,
    /// The receipt keys that it believes.
    pub kids: Vec<KeyId>,
    /// The key with which it signs its proofs.
    pub proof_key: Option<RelayKey>,
    /// Its open tickets.
    pub tickets: Vec<Ticket>,
    /// Its faults: `ledger_reset`, `ledger`, `gpio`.
    pub faults: Box<[Box<str>]>,
    /// The lines that are blocked.
    pub blocked: Box<[Box<str>]>,
    /// Its lines, with the prices that they take.
    pub lines: Box<[RelayLine]>,
    /// Its release; `None` before it told it.
    pub version: Option<Box<str>>,
}

/// A line of the relay service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelayLine {
    /// Its name.
    pub name: Box<str>,
    /// The items that it hands out; `*`: all that no other line has.
    pub items: Vec<Box<str>>,
    /// The prices that it takes.
    pub limits: Limits,
}

/// The machine's messages to everybody over the broker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Notice {
    /// The course of a request.
    Event,
    /// The condition of the machine. The broker keeps the last one for later subscribers.
    Status,
    /// What came of the settings from afar. The broker keeps the last one for later subscribers.
    Settings,
    /// What was sold, and how the machine is. The broker keeps the last one for later subscribers.
    Telemetry,
}

/// The work to be done outside, in this order. Everything that it rests on is committed.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Acknowledge news of a payment.
    Ack(Ack),
    /// Break the connection to the broker off. Then the broker sends all unacknowledged messages again.
    DropBroker,
    /// Publish at QoS 1.
    Publish {
        /// Its number.
        id: PublishId,
        /// Its kind.
        notice: Notice,
        /// Its payload.
        payload: Vec<u8>,
    },
    /// Call `Prepare`.
    Prepare(CallId, ItemId, Rupiah),
    /// Call the relay for an order.
    Relay(CallId, RequestId, RelayCall),
    /// Close a ticket that no order has.
    CloseTicket(Ticket),
    /// Read the relay's facts.
    ReadRelay,
    /// Call the backend for an order.
    Backend(CallId, RequestId, HttpCall),
    /// Ask the backend for all open orders, and show it who asks.
    AskOpen(CallId, Identity),
    /// Nobody wants the answer of this call any more.
    Abandon(CallId),
    /// Judge certificates by this time at the least, from now on. It may be earlier than the one before.
    Trust(Wall),
    /// Ask the backend what time it is, with its certificate judged by the clock alone. Without an answer nothing has changed.
    AskTime,
    /// The screen takes other texts, items and colours from now on.
    Dress(Box<crate::screen::Settings>),
    /// Answer a command.
    Answer(Address, Box<Response>),
    /// Ask the computer for a command that reads. The value is what the machine knows of it. [`Input::Looked`] has the end. Before that,
    /// the asker may be told that it takes some time.
    Look(Address, CommandId, Command, serde_json::Value),
    /// Have something done for a command.
    Operate(CommandId, Operation),
    /// Look after the system that runs.
    System(SystemCall),
    /// Show this.
    Show(Picture),
    /// Tell every controller which order holds the machine now, and which faults it has.
    View(View),
    /// Tell every controller the news of a request.
    OrderChanged(VendEvent),
    /// Answer the asker, once.
    Reply(Asker, Reply),
    /// Write this to the journal.
    Journal(Journal),
}

/// The facts that the machine must know about a controller.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ControllerKind {
    /// The way of its requests.
    pub way: Way,
    /// Whether the words of a reply reach the asker. If not, events tell the asker everything, also a question that
    /// changed nothing.
    pub hears_replies: bool,
}

/// The one who asks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Asker {
    /// Names the question; its reply carries the name back.
    pub question: u64,
    /// The kind of the controller.
    pub kind: ControllerKind,
}

/// The question of a controller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// Sell.
    Vend(VendRequest),
    /// Cancel.
    Cancel(RequestId),
    /// Hand out goods that were paid at a store.
    Collect(PaymentCode),
    /// Sell nothing for this time: somebody looks after the machine. The reply has no state. Its reason is `busy` as long as an
    /// order holds the machine, and `updating` if somebody else looks after it.
    Hold(Box<str>, Span),
    /// Sell again.
    Release(Box<str>),
    /// The controller itself had to refuse this, mostly since it could not read it. It is answered and told like any refusal.
    Refused(Option<RequestId>, Refusal),
}

/// The answer: the order's state, and the reason of a refusal or end. `None`: there is no such request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The order's state.
    pub state: Option<EventState>,
    /// Why.
    pub reason: Option<Reason>,
}

impl Reply {
    pub(super) const NOTHING: Self = Self { state: None, reason: None };
    /// RAUC does not get the machine: it could overwrite the last good system while a new one is tried.
    pub const UNPROVEN: Self = Self::refused(Reason::Updating);

    pub(super) fn of(order: &Order) -> Self {
        let (state, reason) = order.name();
        Self { state: Some(state), reason }
    }

    pub(super) const fn refused(reason: Reason) -> Self {
        Self { state: Some(EventState::Refused), reason: Some(reason) }
    }
}

/// Names one call, so that a late answer is not taken for another call's answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(pub u64);

/// A call to the backend, ready to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HttpCall {
    /// `POST /v1/orders`.
    Create(Box<NewOrder>),
    /// `GET /v1/orders/{order_id}?wait=&since=`.
    Watch(OrderId, u64),
    /// `GET /v1/orders/{order_id}?ask=true`.
    Get(OrderId),
    /// `POST /v1/orders/{order_id}/cancel`.
    Cancel(OrderId),
    /// `POST /v1/orders/{order_id}/outcome`.
    Tell(OrderId, OutcomeReport),
}

/// The answer of the backend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BackendAnswer {
    /// An order.
    Order(Box<OrderResource>),
    /// The open orders.
    Open(Vec<OrderResource>),
    /// The backend itself says that its books do not have this order.
    Absent,
    /// The answer to an outcome: the backend itself says that it has another outcome of this order. This counts as told.
    OtherOutcome,
    /// It refuses. To ask the same again is of no use.
    Refused(Refusal),
    /// It cannot answer now (503). Ask again after this time.
    Later(Refusal, Span),
    /// It does not let this machine in (401).
    Wrong(Refusal),
    /// There is no answer, or it is not surely the backend's and about this question. Nobody knows what the backend did.
    NoAnswer {
        /// Why, for people.
        why: Box<str>,
        /// Why, as a problem's code.
        code: Option<Reason>,
        /// Its certificate's dates were refused.
        date_refusal: bool,
    },
}

/// The answer of the relay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RelayAnswer {
    /// To `Check`.
    Checked {
        /// Whether it could deliver.
        deliverable: bool,
        /// Why not.
        reason: Box<str>,
    },
    /// To `Dispense` and `Query`.
    Dispense(DispenseAnswer),
    /// To `Close`.
    Close(CloseAnswer),
    /// To `Prove`: a proof, or `None` if there is none.
    Proof(Option<Box<str>>),
    /// One of its errors: it recorded nothing and drove nothing.
    Refused(RelayError, Box<str>),
    /// Nobody knows what the relay did.
    NoAnswer(Box<str>),
}
