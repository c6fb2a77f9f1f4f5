//! The language of the machine's screen. It follows the page's by settings from afar, as an operator would send them. So the machine
//! takes it when no customer is there, and also after it was off.

use qris_core::order::ids::DeviceId;
use qris_core::order::keys::SigningKey;
use qris_core::wire::settings::{Desired, Objection, Reported};
use qris_core::wire::topics::Topic;
use qris_host::mqtt::{Mqtt, Outbound, PublishId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English: the machine's own file says so.
    En,
    /// Indonesian.
    Id,
}

/// Our other messages count up from 0.
const FIRST_ID: u64 = 1 << 32;

/// The operator's desk: what is wanted, what was sent, and what the machine has.
#[derive(Debug)]
pub struct Desk {
    key: SigningKey,
    wanted: Language,
    /// Each version that was sent, with its language.
    sent: BTreeMap<u64, Language>,
    /// The newest version that the machine has; it may wait there for a customer to go.
    has: u64,
    /// The version in force.
    speaks: u64,
}

impl Desk {
    #[must_use]
    pub fn new() -> Self {
        let mut seed = [0; 32];
        qris_host::random::fill(&mut seed);
        Self { key: SigningKey::from_seed(seed), wanted: Language::En, sent: BTreeMap::from([(0, Language::En)]), has: 0, speaks: 0 }
    }

    #[must_use]
    pub const fn key(&self) -> &SigningKey {
        &self.key
    }

    /// The page's language. Answers with the settings that must be sent, if any.
    pub fn want(&mut self, language: Language, device: &DeviceId) -> Option<(u64, Vec<u8>)> {
        self.wanted = language;
        self.next(device)
    }

    /// The machine's word on its settings. Answers with the language that is in force from now on, if it is another, and with the
    /// settings that must be sent, if any.
    pub fn hear(&mut self, reported: &Reported, device: &DeviceId) -> (Option<Language>, Option<(u64, Vec<u8>)>) {
        self.has = reported.waiting.as_ref().map_or(reported.version, |waiting| waiting.version);
        // It had taken a version that we had not heard of yet.
        if let Some(refused) = reported.refused.as_ref().filter(|refused| refused.code == Objection::Conflict) {
            refused.version.map(|version| self.sent.remove(&version));
        }
        let before = self.sent.get(&self.speaks).copied();
        self.speaks = reported.version;
        let now = self.sent.get(&self.speaks).copied();
        (now.filter(|_| now != before), self.next(device))
    }

    /// Settings follow those that the machine has. What is on its way is not sent again.
    fn next(&mut self, device: &DeviceId) -> Option<(u64, Vec<u8>)> {
        let (&newest, &language) = self.sent.last_key_value().expect("the machine's own file is version 0");
        if language == self.wanted {
            return None;
        }
        let version = newest + 1;
        self.sent.insert(version, self.wanted);
        let language = if self.wanted == Language::Id { "id" } else { "en" };
        let settings = format!("[device]\nlanguage = \"{language}\"\n").into();
        let desired = Desired {
            aud: device.clone(),
            version,
            from: self.has,
            exp: i64::MAX,
            effective_at: None,
            skip_unknown: false,
            made_of: None,
            settings,
        };
        Some((version, desired.signed(&self.key)))
    }
}

/// Sends settings to the machine. The broker keeps the last ones for a machine that is off.
pub fn send(mqtt: &Mqtt, device: &DeviceId, (version, payload): (u64, Vec<u8>)) {
    let message = Outbound { topic: Topic::ConfigDesired.of(device), payload, retain: true, ..Outbound::default() };
    mqtt.publish(PublishId(FIRST_ID + version), message);
}

#[cfg(test)]
mod tests {
    use super::*;
    use qris_core::order::keys::{KeySet, Level};
    use qris_core::wire::settings::RefusedSettings;

    #[test]
    fn the_machine_comes_to_speak_as_the_page_does() {
        let device = DeviceId::new("vm-001").expect("a name");
        let mut desk = Desk::new();
        let keys = KeySet::from_jwks(&format!("{{\"keys\":[{}]}}", desk.key().to_operator_jwk(Level::Manage))).expect("keys");
        let read = |sent: Option<(u64, Vec<u8>)>| {
            let (desired, _) = Desired::read(&sent?.1, &keys, &device).expect("signed for this machine");
            Some((desired.version, desired.from, desired.settings))
        };
        let text = |language: &str| format!("[device]\nlanguage = \"{language}\"\n").into();
        assert_eq!(read(desk.want(Language::En, &device)), None, "it does already");
        assert_eq!(read(desk.want(Language::Id, &device)), Some((1, 0, text("id"))));
        assert_eq!(read(desk.want(Language::Id, &device)), None, "it is on its way");
        let report = |version| Reported { version, ..Reported::default() };
        let (speaks, sent) = desk.hear(&report(1), &device);
        assert_eq!((speaks, read(sent)), (Some(Language::Id), None));
        assert_eq!(desk.hear(&report(1), &device), (None, None));
        assert_eq!(read(desk.want(Language::En, &device)), Some((2, 1, text("en"))));
        // Two switches before the machine has told of the first: the second was made from what it has no more.
        assert_eq!(read(desk.want(Language::Id, &device)), Some((3, 1, text("id"))));
        let refused = RefusedSettings { version: Some(3), code: Objection::Conflict, message: "".into(), faults: Vec::new() };
        let (speaks, sent) = desk.hear(&Reported { refused: Some(refused), ..report(2) }, &device);
        assert_eq!((speaks, read(sent)), (Some(Language::En), Some((3, 2, text("id")))));
    }
}
