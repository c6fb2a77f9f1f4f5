//! The words for where an order is: at the machine (`vend/event`) and at the backend (the order resource).

use super::word::words;

words! {
    /// The states of an order as they stand on the wire.
    pub enum EventState {
        /// Committed; the backend is asked for a charge.
        Requested = "requested",
        /// The QR is, or is about to be, on the screen.
        AwaitingPayment = "awaiting_payment",
        /// Paid over the counter; waits for the customer.
        AwaitingCollection = "awaiting_collection",
        /// The QR is gone; the charge is being cancelled.
        Cancelling = "cancelling",
        /// A receipt is committed.
        Paid = "paid",
        /// The relay is being asked.
        Dispensing = "dispensing",
        /// The item was handed out.
        Dispensed = "dispensed",
        /// Nothing was begun.
        Refused = "refused",
        /// Ended unpaid: cancelled.
        Cancelled = "cancelled",
        /// Ended unpaid: the gateway expired it.
        Expired = "expired",
        /// Ended unpaid: the gateway denied it.
        Denied = "denied",
        /// Ended unpaid: it could not be offered.
        Failed = "failed",
        /// Paid, and not delivered, or nobody knows whether it was.
        RefundDue = "refund_due",
        /// Nothing came, and the customer wants the goods once more: the backend is asked for the receipt of another try.
        TryingAgain = "trying_again",
        /// The money went back.
        Refunded = "refunded",
    }
}

impl EventState {
    /// Whether the order's story is over, as a controller sees it.
    #[must_use]
    pub const fn is_end(self) -> bool {
        match self {
            Self::Requested | Self::AwaitingPayment | Self::AwaitingCollection | Self::Cancelling | Self::Paid | Self::Dispensing => false,
            Self::TryingAgain | Self::Other(_) => false,
            Self::Dispensed
            | Self::Refused
            | Self::Cancelled
            | Self::Expired
            | Self::Denied
            | Self::Failed
            | Self::RefundDue
            | Self::Refunded => true,
        }
    }
}

words! {
    /// The status of an order at the backend.
    pub enum Status {
        /// Not paid, or nobody knows yet.
        Pending = "pending",
        /// Paid; there is a receipt.
        Settlement = "settlement",
        /// The gateway expired the charge.
        Expire = "expire",
        /// The charge was cancelled.
        Cancel = "cancel",
        /// The gateway denied it.
        Deny = "deny",
        /// It could not be charged, or its settlement does not match.
        Failure = "failure",
        /// The money went back.
        Refund = "refund",
    }
}

words! {
    /// The state of the refund of an order that was not delivered.
    pub enum Refund {
        /// To be paid back.
        Due = "due",
        /// Paid back through the gateway.
        Done = "done",
        /// Settled by hand.
        ByHand = "by_hand",
        /// An attendant handed the goods over.
        Given = "given",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_knows_when_the_story_is_over() {
        use EventState as E;
        let going = [E::Requested, E::AwaitingPayment, E::AwaitingCollection, E::Cancelling, E::Paid, E::Dispensing, E::TryingAgain];
        for state in EventState::ALL.iter().chain([&E::from_word("in_the_post").expect("a word")]) {
            assert_eq!(state.is_end(), E::ALL.contains(state) && !going.contains(state), "{state:?}");
        }
    }
}
