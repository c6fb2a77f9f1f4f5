//! The machine's messages to everybody, and the numbers that they have at the broker's link. The event with the number `seq` has that one.

use qris_core::wire::topics::Topic;
use qris_host::mqtt::PublishId;

/// The mark in the numbers of messages that are not in the queue: status, refusals, repetitions, answers, reports.
pub const NEWS: u64 = 1 << 63;
/// The first bit of the notice in such a number.
const NOTICE: u32 = 56;
/// The number of every answer to a command. It is not in the outbox, and nobody waits for its delivery.
pub const ANSWER: PublishId = id_of(Notice::Answer, 0);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Notice {
    /// The course of a request.
    Event,
    Status,
    /// What came of the settings from afar.
    Settings,
    /// What was sold, and how the machine is.
    Telemetry,
    Stock,
    /// The answer to a command.
    Answer,
}

impl Notice {
    const ALL: [Self; 6] = [Self::Event, Self::Status, Self::Settings, Self::Telemetry, Self::Stock, Self::Answer];

    #[must_use]
    pub const fn topic(self) -> Topic {
        match self {
            Self::Event => Topic::VendEvent,
            Self::Status => Topic::Status,
            Self::Settings => Topic::ConfigReported,
            Self::Telemetry => Topic::Telemetry,
            Self::Stock => Topic::Stock,
            Self::Answer => Topic::CommandResponse,
        }
    }

    /// Whether the broker keeps the last one for later subscribers.
    #[must_use]
    pub const fn is_kept(self) -> bool {
        match self {
            Self::Event | Self::Answer => false,
            Self::Status | Self::Settings | Self::Telemetry | Self::Stock => true,
        }
    }
}

/// The number of a message that is not in the queue. `number` is below 2^56; 0 is that of a probe.
#[must_use]
pub const fn id_of(notice: Notice, number: u64) -> PublishId {
    PublishId(NEWS | (notice as u64) << NOTICE | number)
}

/// What a message of this number is.
#[must_use]
pub fn notice_of(id: PublishId) -> Notice {
    let of_news = |notice: &Notice| id.0 >> NOTICE == id_of(*notice, 0).0 >> NOTICE;
    Notice::ALL.into_iter().find(of_news).unwrap_or(Notice::Event)
}

/// The number of a report. Its delivery is awaited.
#[must_use]
pub const fn id_of_report(number: u64) -> PublishId {
    id_of(Notice::Telemetry, number)
}

#[must_use]
pub fn report_of(id: PublishId) -> Option<u64> {
    (notice_of(id) == Notice::Telemetry).then_some(number_of(id))
}

/// The number without its marks.
#[must_use]
pub const fn number_of(id: PublishId) -> u64 {
    id.0 & ((1 << NOTICE) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_says_what_its_message_is() {
        for notice in Notice::ALL {
            assert_eq!((notice_of(id_of(notice, 7)), number_of(id_of(notice, 7))), (notice, 7));
        }
        assert_eq!(notice_of(PublishId(7)), Notice::Event, "the event of the queue");
        assert_eq!((report_of(id_of_report(7)), report_of(ANSWER), report_of(PublishId(7))), (Some(7), None, None));
    }
}
