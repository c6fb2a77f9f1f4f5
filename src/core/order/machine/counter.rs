//! Over the counter: a code in place of the QR, and hours in place of minutes. The customer is at the store when the
//! money arrives, and comes back for the goods.

use super::{Charge, Ending, Seen};
use crate::order::reason::Reason;
use crate::order::request::Payment;
use crate::order::state::Status;
use crate::order::time::Span;

/// Whether the gateway made a code for the store that was asked for; else how the order ends.
pub(super) fn check_code(payment: Payment, charge: Option<&Charge>, seen: &Seen) -> Result<(), Ending> {
    // The gateway spells a store in several ways.
    let there = seen.store.as_ref().is_none_or(|store| store.eq_ignore_ascii_case(payment.as_str()));
    let code = charge.is_some_and(|charge| charge.code.is_some());
    if code && there { Ok(()) } else { Err(Ending::Failed(Reason::Gateway)) }
}

impl Seen {
    /// Whether the backend says that the order is paid, and is not handed out, refunded or too old.
    #[must_use]
    pub fn is_collectable(&self) -> bool {
        let in_time = self.expires_in.is_none_or(|left| left > Span::ZERO);
        self.status == Status::Settlement && !self.has_outcome && !self.refund && in_time
    }
}
