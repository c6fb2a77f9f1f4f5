//! The words of the machine: what can happen to it, and what is to be done for it. This is the ground on which its parts stand, and
//! all those around it that bring the one and carry out the other. A file for each of them.

mod backend;
mod broker;
mod commands;
mod controllers;
mod relay;
mod settings;
mod system;

pub use backend::{BackendAnswer, Charges, HttpCall, Identity};
pub use broker::{ANSWER, NEWS, Notice, id_of, id_of_report, notice_of, number_of, report_of};
pub use commands::{Address, Operated, Operation};
pub use controllers::{Asker, ControllerKind, Counted, FILLING, OPERATOR, RAUC, Reply, Request, SHUTDOWN, Shown, View};
pub use relay::{PREPARE_WAIT, PrepareError, RelayAnswer};
pub use settings::{OrderSettings, Settings, SlotSettings};
pub use system::{System, SystemAnswer, SystemCall};

use qris_core::order::ids::{CommandId, ItemId, OrderId, RequestId, Ticket};
use qris_core::order::late_sign::LateNews;
use qris_core::order::ledger::Again;
use qris_core::order::machine::RelayCall;
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::DispenseAnswer;
use qris_core::order::time::Wall;
use qris_core::order::tries::TryNumber;
use qris_core::wire::command::{Query, Response};
use qris_core::wire::relay::RelayFacts;
use qris_core::wire::vend::VendEvent;
use qris_host::events::{Event as Journal, Text};
use qris_host::mqtt::{Ack, PublishId};
use qris_host::trust::ServerTime;
use qris_screen::ScreenState;
use qris_screen::picture::Picture;

#[derive(Debug)]
pub enum Input {
    Requested(Request, Asker),
    /// The broker brings news of a payment.
    PaymentUpdate {
        payload: Vec<u8>,
        /// It is acknowledged once the news is stored or refused.
        ack: Ack,
    },
    /// The broker brings the settings that are wanted.
    Desired {
        payload: Vec<u8>,
        /// It is acknowledged once the settings are stored or refused.
        ack: Ack,
    },
    Command {
        /// Its name in the topic.
        name: Box<str>,
        payload: Vec<u8>,
        retained: bool,
        to: Address,
        /// It is acknowledged once the command is stored or refused.
        ack: Ack,
    },
    /// The end of an operation, or the news that there is none yet.
    Operated(CommandId, Operated),
    System(SystemAnswer),
    Prepared(CallId, Result<Ticket, PrepareError>),
    /// The relay's answer to `PrepareAgain`: the ticket of another try, and the signed promise of it.
    PreparedAgain(CallId, Result<(Ticket, Box<str>), PrepareError>),
    /// The computer has answered a command that reads what it knows.
    Read(CommandId, Box<Response>),
    Relay(CallId, RequestId, RelayAnswer),
    /// A ticket had to be closed, and the relay did not answer.
    TicketLeft,
    /// The relay's signal: the goods of a try were not seen in their time, and may still come.
    Unseen(OrderId, TryNumber),
    /// The relay's signal: there is a sign of goods after the end of their try was signed.
    LateSign(LateNews),
    /// The relay's signal.
    Finished(OrderId, TryNumber, DispenseAnswer),
    /// The button of an item was let go.
    Released(ItemId),
    /// A line is blocked no more: a person has looked.
    Cleared,
    /// A clear button was pressed and let go; or, with true, it is held.
    ClearPressed(bool),
    /// The relay has a new owner, with these facts.
    RelayUp(RelayFacts),
    /// The relay's facts, read again.
    RelayReported(RelayFacts),
    RelayDown(Box<str>),
    Backend(CallId, RequestId, BackendAnswer),
    /// The backend's answer to `?state=open`.
    Open(CallId, BackendAnswer),
    BrokerUp {
        /// The filters that it refused, and why.
        refused: Vec<(String, Box<str>)>,
    },
    BrokerDown {
        reason: Box<str>,
        /// Its certificate's dates were refused.
        date_refusal: bool,
        /// The broker has thrown this machine out, most likely because another computer came with its client id.
        thrown_out: bool,
    },
    Delivered(PublishId),
    /// The broker has not taken a message; `Some`: it refuses it.
    Undelivered(PublishId, Option<Box<str>>),
    Time(ServerTime),
    Screen(ScreenState),
    /// A deadline passed.
    Woken,
}

/// The work to be done outside, in this order. Everything that it rests on is committed.
#[derive(Clone, Debug)]
pub enum Effect {
    Ack(Ack),
    /// Break the connection to the broker off. Then the broker sends all unacknowledged messages again.
    DropBroker,
    /// Publish at QoS 1.
    Publish {
        id: PublishId,
        notice: Notice,
        payload: Vec<u8>,
    },
    Prepare(CallId, ItemId, Rupiah),
    PrepareAgain(CallId, ItemId, Rupiah, Again),
    Relay(CallId, RequestId, RelayCall),
    /// Close a ticket that no order has.
    CloseTicket(Ticket),
    ReadRelay,
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
    Dress(Box<qris_screen::Settings>),
    AnswerCommand(Address, Box<Response>),
    /// Ask the computer for a command that reads. The value is what the machine knows of it. [`Input::Read`] has the end. Before that,
    /// the asker may be told that it takes some time.
    Read(Address, CommandId, Query, serde_json::Value),
    Operate(CommandId, Operation),
    System(SystemCall),
    Show(Picture),
    /// Tell every controller which order holds the machine now, and which faults it has.
    View(View),
    /// Tell every controller the news of a request.
    OrderChanged(VendEvent),
    /// Answer the asker, once.
    Reply(Asker, Reply),
    Journal(Journal),
}

/// Names one call, so that a late answer is not taken for another call's answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(pub u64);

pub(crate) fn text(text: &str) -> Text {
    text.to_owned().into()
}
