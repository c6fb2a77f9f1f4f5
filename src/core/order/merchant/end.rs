//! The end of the money of a paid order.

use crate::order::word::closed;

closed! {
    /// The end of the money of a paid order. Each order has one.
    pub enum End {
        /// The machine told that the item came.
        Delivered = "delivered",
        /// An attendant handed the goods over.
        Given = "given",
        /// The merchant owes it to the customer.
        RefundDue = "refund_due",
        /// It went back through the gateway.
        Refunded = "refunded",
        /// A person gave it back in another way.
        RefundedByHand = "refunded_by_hand",
        /// Nobody knows whether the item came.
        Uncertain = "uncertain",
        /// The machine told nothing in time.
        Unreported = "unreported",
        /// Paid a moment ago, or waiting for the customer to collect.
        Awaited = "awaited",
        /// The gateway, the shop's counter or the customer's bank took it back.
        TakenBack = "taken_back",
    }
}
