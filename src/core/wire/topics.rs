//! MQTT topics: `qrisd/v1/{device}/…`, both ways.

use super::command;
use crate::order::ids::DeviceId;

/// A topic of one machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
        let topic = Self::ALL.into_iter().find(|t| t.tail() == tail)?;
        Some((DeviceId::new(device).ok()?, topic))
    }
}

/// The filters that a machine subscribes to: everything that may be sent to it.
#[must_use]
pub fn subscriptions(device: &DeviceId) -> Vec<String> {
    let topics = [Topic::VendRequest, Topic::VendCancel, Topic::VendCollect, Topic::PaymentUpdate, Topic::ConfigDesired];
    let topics = topics.map(|topic| topic.of(device));
    topics.into_iter().chain([command::requests_to(device)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
