//! What the relay service says of itself: the property `Facts` of `io.qrisd.Relay1`, in JSON. A fact is a field here, with its sentence
//! for people below. The relay service fills it in. All others take the whole: the machine, `diag`, `qrisctl`, and the machine's
//! `status` what is in [`RelayStatus`].

use crate::order::ids::{DeviceId, ItemId, KeyId, Ticket};
use crate::order::ledger::Limits;
use crate::order::proof::RelayKey;
use crate::order::stock::Drives;
use crate::order::word::words;
use serde::{Deserialize, Serialize};

words! {
    /// A fault of the relay service itself.
    pub enum RelayFault {
        /// The ledger was lost or damaged, and a new one was begun.
        LedgerReset = "ledger_reset",
        /// The ledger cannot be written.
        Ledger = "ledger",
        /// The hardware of a line or a button does not work.
        Gpio = "gpio",
        /// A sensor is active before its line is driven: something is in its beam.
        SensorActive = "sensor_active",
        /// Two lines missed, one after the other: their sensor is the suspect, and all its lines are closed.
        SensorSuspect = "sensor_suspect",
    }
}

words! {
    /// The condition of a line, as others see it.
    pub enum LineCondition {
        /// It can be driven.
        Ready = "ready",
        /// It is driven.
        Busy = "busy",
        /// It waits for a person, or its hardware does not work.
        Blocked = "blocked",
    }
}

/// The facts. Field names are those of the wire.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RelayFacts {
    /// The machine that it belongs to; null: it was not asked yet.
    pub device: Option<DeviceId>,
    pub lines: Vec<RelayLine>,
    /// The receipt keys that it believes.
    pub keys: Vec<KeyId>,
    /// The key with which it signs its proofs; null while its ledger cannot be had.
    pub proof_key: Option<ProofKey>,
    /// Its open tickets.
    pub tickets: Vec<Ticket>,
    /// How often it has driven the line of an item.
    pub driven: Vec<Driven>,
    pub faults: Vec<RelayFault>,
    /// Whether the service switch inside the door is on; null: there is none, or it was not looked at yet.
    pub service_switch: Option<bool>,
    /// What is in the machine's `status`, too.
    #[serde(flatten)]
    pub status: RelayStatus,
}

/// The facts that seldom change. The machine's `status` has them while the relay service is there.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RelayStatus {
    /// Its release.
    pub version: Box<str>,
}

/// A line of the relay service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RelayLine {
    pub name: Box<str>,
    /// The items that it hands out; `*`: all that no other line has.
    pub items: Vec<Box<str>>,
    pub state: LineCondition,
    /// The prices that it takes.
    pub limits: Limits,
    /// So many more misses of its sensor in a row block it. A release before this says nothing: the next one does.
    #[serde(default)]
    pub misses_left: u32,
}

/// How often the relay has driven the line of an item, since its ledger began. A pulse of which nobody knows whether it came is one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Driven {
    pub item: ItemId,
    /// How often, and for what.
    #[serde(flatten)]
    pub drives: Drives,
}

/// The public key of the relay's proofs, and what people compare of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProofKey {
    pub x: RelayKey,
    pub fingerprint: Box<str>,
}

impl From<RelayKey> for ProofKey {
    fn from(x: RelayKey) -> Self {
        Self { fingerprint: x.fingerprint().into(), x }
    }
}

impl RelayFacts {
    /// The names of the lines that are blocked.
    pub fn blocked(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter(|line| line.state == LineCondition::Blocked).map(|line| &*line.name)
    }

    /// For people, a line a fact. Whoever prints it makes it plain first: names are those of a configuration.
    #[must_use]
    pub fn in_words(&self) -> Vec<String> {
        let Self { device, lines, keys, proof_key, tickets, driven, faults, service_switch, status } = self;
        let mut words = vec![format!("machine {}", device.as_ref().map_or("", DeviceId::as_str))];
        words.extend(lines.iter().map(|RelayLine { name, items, state, limits, misses_left: _ }| {
            format!("line {name:?}: {state} (items {}; it takes {limits})", items.join(", "))
        }));
        words.push(format!("keys: {}", listed(keys)));
        words.push(format!("key of its proofs: {}", proof_key.as_ref().map_or("none", |key| &key.fingerprint)));
        words.push(format!("open tickets: {}", tickets.len()));
        words.extend(driven.iter().map(|Driven { item, drives: Drives { orders, tests } }| {
            format!("{item}: driven {orders} times for orders, {tests} for tests")
        }));
        if !faults.is_empty() {
            words.push(format!("faults: {}", listed(faults)));
        }
        words.extend(service_switch.map(|is_on| format!("service switch: {}", if is_on { "on" } else { "off" })));
        words.extend(status.in_words());
        words
    }
}

impl RelayStatus {
    /// The same for these facts.
    #[must_use]
    pub fn in_words(&self) -> Vec<String> {
        let Self { version } = self;
        vec![format!("release {version}")]
    }
}

fn listed<T: ToString>(all: &[T]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn told() -> Value {
        json!({
            "device": "vm-001",
            "lines": [{ "name": "tray 1", "items": ["A1", "A2"], "state": "blocked", "limits": { "min": 5000, "step": 1000 }, "misses_left": 1 }],
            "keys": ["k1"],
            "proof_key": null,
            "tickets": [],
            "driven": [{ "item": "A1", "orders": 7, "tests": 1 }],
            "faults": ["gpio", "of_a_later_release"],
            "service_switch": true,
            "version": "0.1.0",
        })
    }

    #[test]
    fn facts_are_the_same_on_both_sides_and_in_words() {
        let facts: RelayFacts = serde_json::from_value(told()).expect("facts");
        assert_eq!(serde_json::to_value(&facts).expect("plain data"), told());
        assert_eq!((facts.blocked().collect::<Vec<_>>(), facts.faults[0]), (vec!["tray 1"], RelayFault::Gpio));
        assert_eq!(
            facts.in_words(),
            [
                "machine vm-001",
                "line \"tray 1\": blocked (items A1, A2; it takes at least Rp5.000, and only multiples of Rp1.000)",
                "keys: k1",
                "key of its proofs: none",
                "open tickets: 0",
                "A1: driven 7 times for orders, 1 for tests",
                "faults: gpio, of_a_later_release",
                "service switch: on",
                "release 0.1.0",
            ]
        );
    }

    #[test]
    fn a_line_without_its_limits_is_not_taken_for_one_that_takes_every_price() {
        let mut told = told();
        told["lines"][0].as_object_mut().expect("a line").remove("limits");
        assert!(serde_json::from_value::<RelayFacts>(told).is_err());
    }
}
