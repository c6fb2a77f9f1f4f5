//! MQTT topics: `qrisd/v1/{device}/…`, both ways.

use crate::order::ids::DeviceId;
use std::collections::{BTreeMap, BTreeSet};

/// A topic of one machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Topic {
    /// Controller → device: sell something.
    VendRequest,
    /// Controller → device: cancel a request.
    VendCancel,
    /// Controller → device: hand out an order that was paid over the counter.
    VendCollect,
    /// Device → all: one for every transition.
    VendEvent,
    /// Backend → device: news of a payment, with the receipt.
    PaymentUpdate,
    /// Device → all, retained: online, faults.
    Status,
    /// Fleet → device, retained: the settings that are wanted.
    ConfigDesired,
    /// Device → all, retained: what came of them.
    ConfigReported,
    /// Device → all, retained: what was sold, and how the machine is.
    Telemetry,
    /// Device → all, retained: what lies in its slots.
    Stock,
    /// Device → fleet: the answer to a command.
    CommandResponse,
}

/// The payload of a message that only asks whether a topic may be written. It says nothing, and who reads it passes over it.
pub const PROBE: &[u8] = b"{}";

impl Topic {
    const ALL: [Self; 11] = [
        Self::VendRequest,
        Self::VendCancel,
        Self::VendCollect,
        Self::VendEvent,
        Self::PaymentUpdate,
        Self::Status,
        Self::ConfigDesired,
        Self::ConfigReported,
        Self::Telemetry,
        Self::Stock,
        Self::CommandResponse,
    ];

    /// The topic's name without the machine: `vend/event`.
    #[must_use]
    pub const fn tail(self) -> &'static str {
        match self {
            Self::VendRequest => "vend/request",
            Self::VendCancel => "vend/cancel",
            Self::VendCollect => "vend/collect",
            Self::VendEvent => "vend/event",
            Self::PaymentUpdate => "payment/update",
            Self::Status => "status",
            Self::ConfigDesired => "config/desired",
            Self::ConfigReported => "config/reported",
            Self::Telemetry => "telemetry",
            Self::Stock => "stock",
            Self::CommandResponse => "cmd/response",
        }
    }

    /// The topic's name for a machine.
    #[must_use]
    pub fn of(self, device: &DeviceId) -> String {
        format!("qrisd/v1/{device}/{}", self.tail())
    }

    /// A filter for this topic of every machine.
    #[must_use]
    pub fn of_all(self) -> String {
        format!("qrisd/v1/+/{}", self.tail())
    }

    /// Reads a topic name.
    #[must_use]
    pub fn parse(name: &str) -> Option<(DeviceId, Self)> {
        let (device, tail) = name.strip_prefix("qrisd/v1/")?.split_once('/')?;
        Some((DeviceId::new(device).ok()?, Self::of_tail(tail)?))
    }

    /// Reads a topic's name without the machine.
    #[must_use]
    pub fn of_tail(tail: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.tail() == tail)
    }
}

/// What a machine says over HTTP of its topics at the broker. Who should have heard its messages there compares. As a header:
/// `status=81234, telemetry=4, vend/event=refused`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TopicsTold {
    /// The `number` of the last message that the broker took.
    pub last: BTreeMap<Topic, u64>,
    /// The topics that do not get through, as far as the machine knows.
    pub refused: BTreeSet<Topic>,
}

const REFUSED: &str = "refused";

impl TopicsTold {
    /// Reads the header. What is of another form is of a later release, and left out.
    #[must_use]
    pub fn read(header: &str) -> Self {
        let mut told = Self::default();
        let named = header.split(',').filter_map(|part| part.trim().split_once('='));
        for (topic, what) in named.filter_map(|(tail, what)| Some((Topic::of_tail(tail)?, what))) {
            match what.parse() {
                Ok(number) => drop(told.last.insert(topic, number)),
                Err(_) if what == REFUSED => drop(told.refused.insert(topic)),
                Err(_) => {}
            }
        }
        told
    }

    /// The header; `None`: there is nothing to say.
    #[must_use]
    pub fn header(&self) -> Option<String> {
        let last = self.last.iter().map(|(topic, number)| format!("{}={number}", topic.tail()));
        let refused = self.refused.iter().map(|topic| format!("{}={REFUSED}", topic.tail()));
        let all: Vec<_> = last.chain(refused).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

/// The filters that a machine subscribes to: everything that may be sent to it.
#[must_use]
pub fn subscriptions(device: &DeviceId) -> Vec<String> {
    let topics = [Topic::VendRequest, Topic::VendCancel, Topic::VendCollect, Topic::PaymentUpdate, Topic::ConfigDesired];
    let topics = topics.map(|topic| topic.of(device));
    // All commands.
    topics.into_iter().chain([format!("qrisd/v1/{device}/cmd/+/request")]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_topics_reads_back() {
        let told =
            TopicsTold { last: [(Topic::Status, 81_234), (Topic::Stock, 4)].into(), refused: [Topic::VendEvent, Topic::Stock].into() };
        assert_eq!(told.header().as_deref(), Some("status=81234, stock=4, vend/event=refused, stock=refused"));
        assert_eq!(TopicsTold::read(&told.header().expect("said")), told);
        assert_eq!(TopicsTold::default().header(), None);
        for other in ["", "status", "status=", "status=x", "status=-1", "later=refused", "=,=="] {
            assert_eq!(TopicsTold::read(other), TopicsTold::default(), "{other}");
        }
    }

    #[test]
    fn topics_read_back() {
        let device = DeviceId::new("vm-001").expect("an id");
        for topic in Topic::ALL {
            assert_eq!(Topic::parse(&topic.of(&device)), Some((device.clone(), topic)));
        }
        for bad in ["qrisd/v1/vm-001/vend", "qrisd/v2/vm-001/status", "qrisd/v1//status", "qrisd/v1/vm-001/vend/request/x", ""] {
            assert_eq!(Topic::parse(bad), None, "{bad}");
        }
    }
}
