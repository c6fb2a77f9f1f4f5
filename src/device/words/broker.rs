//! The machine's messages to everybody, and the numbers that they have at the broker's link. The event with the number `seq` has that one.

use qris_host::mqtt::PublishId;

/// The mark in the numbers of messages that are not in the queue: status, refusals, repetitions.
pub const NEWS: u64 = 1 << 63;
/// The number of every answer to a command. It is not in the outbox, and nobody waits for its delivery.
pub const ANSWER: PublishId = PublishId(NEWS | NEWS >> 1);
/// The mark in the numbers of reports. They are not in the outbox, and their delivery is awaited.
const REPORT: u64 = NEWS | NEWS >> 2;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Notice {
    /// The course of a request.
    Event,
    Status,
    /// What came of the settings from afar.
    Settings,
    /// What was sold, and how the machine is.
    Telemetry,
    Stock,
}

#[must_use]
pub const fn id_of_report(number: u64) -> PublishId {
    PublishId(REPORT | number)
}

#[must_use]
pub const fn report_of(id: PublishId) -> Option<u64> {
    // The other mark is that of answers to commands.
    if id.0 & (REPORT | ANSWER.0) == REPORT { Some(id.0 & !REPORT) } else { None }
}
