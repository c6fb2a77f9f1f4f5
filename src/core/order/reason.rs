//! Why something was refused or ended: the words of the contract, the same on MQTT, D-Bus and HTTP.

use super::word::words;

words! {
    /// A reason, with the text it has on every wire.
    pub enum Reason {
        /// Not the JSON that the topic needs; a field tells which part.
        Malformed = "malformed",
        /// It has more bytes than the program reads.
        TooLarge = "too_large",
        /// The machine's price list has no such item.
        UnknownItem = "unknown_item",
        /// It has another price, or is outside the item's bounds.
        WrongAmount = "wrong_amount",
        /// The request_id was used with another body.
        ReusedId = "reused_id",
        /// A retained message: its time is not known.
        Retained = "retained",
        /// Another order holds the machine.
        Busy = "busy",
        /// There were more than `orders_per_minute`.
        RateLimited = "rate_limited",
        /// The database cannot be written, or was lost.
        Store = "store",
        /// The relay service is gone or refuses.
        Relay = "relay",
        /// The item's line is blocked until a person clears it.
        LineBlocked = "line_blocked",
        /// Nothing of it is left, or nobody has looked since it did not come out.
        SoldOut = "sold_out",
        /// The panel is gone.
        Screen = "screen",
        /// The backend is gone or refuses.
        Backend = "backend",
        /// The gateway is gone or denies, or its QR cannot be checked.
        Gateway = "gateway",
        /// The gateway asks for another sum than the price and the fee allowed.
        GrossAmount = "gross_amount",
        /// The backend and the relay have no receipt key in common.
        UnknownKey = "unknown_key",
        /// The database is of a newer release.
        NewerDatabase = "newer_database",
        /// An update is under way.
        Updating = "updating",
        /// Nobody paid in time.
        Timeout = "timeout",
        /// The customer or controller cancelled.
        Customer = "customer",
        /// It was paid when the machine could no longer deliver.
        Late = "late",
        /// Paid over the counter and never collected.
        NotCollected = "not_collected",
        /// The relay would not take the receipt.
        RelayRefused = "relay_refused",
        /// The relay was driven and the item did not come.
        Failed = "failed",
        /// Nobody knows whether the item came.
        Uncertain = "uncertain",
        /// The settlement does not match the charge.
        Mismatch = "mismatch",
        /// No order has this payment code.
        WrongCode = "wrong_code",
        /// No order has this request_id.
        UnknownRequest = "unknown_request",
    }
}
