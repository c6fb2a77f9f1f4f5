//! The words for where an order is: at the machine (`vend/event`) and at the backend (the order resource).

use serde::{Deserialize, Serialize};

/// The states of an order as they stand on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventState {
    /// Committed; the backend is asked for a charge.
    Requested,
    /// The QR is, or is about to be, on the screen.
    AwaitingPayment,
    /// Paid over the counter; waits for the customer.
    AwaitingCollection,
    /// The QR is gone; the charge is being cancelled.
    Cancelling,
    /// A receipt is committed.
    Paid,
    /// The relay is being asked.
    Dispensing,
    /// The item was handed out.
    Dispensed,
    /// Nothing was begun.
    Refused,
    /// Ended unpaid: cancelled.
    Cancelled,
    /// Ended unpaid: Midtrans expired it.
    Expired,
    /// Ended unpaid: Midtrans denied it.
    Denied,
    /// Ended unpaid: it could not be offered.
    Failed,
    /// Paid, and not delivered or not known to be.
    RefundDue,
    /// The money went back.
    Refunded,
}

impl EventState {
    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::AwaitingPayment => "awaiting_payment",
            Self::AwaitingCollection => "awaiting_collection",
            Self::Cancelling => "cancelling",
            Self::Paid => "paid",
            Self::Dispensing => "dispensing",
            Self::Dispensed => "dispensed",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::RefundDue => "refund_due",
            Self::Refunded => "refunded",
        }
    }

    /// Whether the order's story is over, as a controller sees it.
    #[must_use]
    pub const fn is_end(self) -> bool {
        match self {
            Self::Requested | Self::AwaitingPayment | Self::AwaitingCollection | Self::Cancelling | Self::Paid | Self::Dispensing => false,
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

/// What an order is at the backend.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not paid, or not known to be.
    Pending,
    /// Paid; there is a receipt.
    Settlement,
    /// Midtrans expired the charge.
    Expire,
    /// The charge was cancelled.
    Cancel,
    /// Midtrans denied it.
    Deny,
    /// It could not be charged, or its settlement does not match.
    Failure,
    /// The money went back.
    Refund,
}

impl Status {
    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Settlement => "settlement",
            Self::Expire => "expire",
            Self::Cancel => "cancel",
            Self::Deny => "deny",
            Self::Failure => "failure",
            Self::Refund => "refund",
        }
    }
}

/// What became of the money of an order that was not delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refund {
    /// To be paid back.
    Due,
    /// Paid back through Midtrans.
    Done,
    /// Settled by hand.
    ByHand,
    /// An attendant handed the goods over.
    Given,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_and_the_json_are_the_same() {
        use EventState as E;
        let going = [E::Requested, E::AwaitingPayment, E::AwaitingCollection, E::Cancelling, E::Paid, E::Dispensing];
        let ended = [E::Dispensed, E::Refused, E::Cancelled, E::Expired, E::Denied, E::Failed, E::RefundDue, E::Refunded];
        for (states, is_end) in [(&going[..], false), (&ended[..], true)] {
            for state in states {
                assert_eq!(serde_json::to_value(state).expect("a word"), state.as_str());
                assert_eq!(state.is_end(), is_end, "{state:?}");
            }
        }
        use Status as S;
        for status in [S::Pending, S::Settlement, S::Expire, S::Cancel, S::Deny, S::Failure, S::Refund] {
            assert_eq!(serde_json::to_value(status).expect("a word"), status.as_str());
        }
    }
}
