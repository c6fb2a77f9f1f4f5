//! What happens at the backend.

use super::machine::Caller;
use crate::backend::{Ask, MidtransCall, ReplyTo};
use crate::midtrans::Notice;
use qris_backend::midtrans::MidtransError;
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::Call;

#[derive(Debug)]
pub enum Arrival {
    Starts {
        run: u64,
    },
    /// The power goes in the middle of a commit.
    Dies,
    Asked {
        ask: Ask,
        from: Caller,
    },
    AtMidtrans {
        run: u64,
        call: Box<MidtransCall>,
        comes_back: bool,
        after: i64,
    },
    /// Midtrans' answer, or why it could not be asked.
    Answered {
        run: u64,
        of: (OrderId, Option<Call>),
        reply: ReplyTo,
        answer: Result<(u16, Vec<u8>), MidtransError>,
    },
    /// Something is due.
    Sweep {
        run: u64,
    },
    /// The outbox is looked at.
    Publish {
        run: u64,
    },
    Notice(Notice),
    /// Somebody who is not Midtrans.
    Forged(Vec<u8>),
}
