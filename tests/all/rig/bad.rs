//! Commands and settings of every kind that a machine must refuse, and the keys that sign them.

use super::shop::DEVICE;
use qris::order::ids::{CommandId, DeviceId, ItemId};
use qris::order::keys::{KeyFile, Level, SigningKey};
use qris::order::operator::{Text, sign};
use qris::wire::command::{Action, SignedCommand};
use qris::wire::settings::{Desired, SETTINGS_MAX};
use serde_json::json;
use std::time::SystemTime;

/// Where the bad commands go. What they ask for is seen from outside: an edge of the line.
const TEST_PULSE: &str = "cmd/test-pulse/request";
const DESIRED: &str = "config/desired";

/// The keys, and what was sent in good order before.
pub struct Operators {
    door: SigningKey,
    look: SigningKey,
    retired: SigningKey,
    stranger: SigningKey,
    /// Seconds since 1970.
    now: i64,
}

/// A message that must change nothing.
pub struct Bad {
    pub kind: &'static str,
    /// Below the machine's own level.
    pub topic: &'static str,
    pub payload: Vec<u8>,
    pub retain: bool,
    /// The machine's word for it. None: the answer of the first time comes again.
    pub code: Option<&'static str>,
}

impl Operators {
    pub fn new() -> Self {
        let [door, look, retired, stranger] = [1, 2, 3, 4].map(|n| SigningKey::from_seed([0x70 + n; 32]));
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        Self { door, look, retired, stranger, now: i64::try_from(since_1970.as_secs()).expect("a time") }
    }

    /// A `keys.json` with those who are believed. One was believed until now.
    pub fn believed(&self, keys: &str) -> String {
        let mut file = KeyFile::read(keys).expect("a keys.json");
        for (key, level) in [(&self.door, Level::Service), (&self.look, Level::View), (&self.retired, Level::Service)] {
            file.put_operator(&key.to_operator_jwk(level)).expect("a key");
        }
        assert!(file.retire(self.retired.kid()));
        file.to_text()
    }

    /// The key that may do everything, for `qrisctl`.
    pub fn private(&self) -> String {
        self.door.to_private_jwk()
    }

    /// A command that is good once. Its topic and payload.
    pub fn once(&self) -> (&'static str, Vec<u8>) {
        (TEST_PULSE, self.asked(DEVICE, "once", 3600, &self.door))
    }

    /// Good settings, which change nothing that is sold. A version follows the one before it.
    pub fn good(&self, version: u64) -> (&'static str, Vec<u8>) {
        (DESIRED, desired(DEVICE, version, version - 1, &format!("[device]\nname = \"Lobby {version}\"\n"), &self.door))
    }

    fn asked(&self, device: &str, id: &str, for_s: i64, key: &SigningKey) -> Vec<u8> {
        let (aud, jti) = (DeviceId::new(device).expect("an id"), CommandId::new(id).expect("an id"));
        let command = Action::TestPulse { item: ItemId::new("A1").expect("an id") }.into();
        SignedCommand::payload(&SignedCommand { aud, jti, exp: self.now + for_s, stream: None, command }.jws(key))
    }

    /// Bad commands, one of each kind, with names of their own for this number. [`Self::once`] was done before.
    pub fn commands(&self, number: usize) -> Vec<Bad> {
        let id = |kind: &str| format!("{kind}-{number}");
        let good = |kind: &str| self.asked(DEVICE, &id(kind), 3600, &self.door);
        let cut = good("cut");
        let later = json!({ "aud": DEVICE, "jti": id("later"), "exp": self.now + 3600, "cmd": "dance", "item": "A1" });
        // The last letter has bits that say nothing.
        let mut changed = good("changed");
        let at = changed.len() - 12;
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let bad = |kind, payload, code| Bad { kind, topic: TEST_PULSE, payload, retain: false, code: Some(code) };
        vec![
            bad("cut", cut[..cut.len() / 2].to_vec(), "malformed"),
            bad("too big", format!("{{\"signed\":\"{}\"}}", "x".repeat(20_000)).into_bytes(), "too_large"),
            bad("too deep", deep(4_000), "malformed"),
            bad("of a foreign key", self.asked(DEVICE, &id("foreign"), 3600, &self.stranger), "unknown_key"),
            bad("changed", changed, "signature"),
            bad("of a retired key", self.asked(DEVICE, &id("retired"), 3600, &self.retired), "unknown_key"),
            bad("of a key that is too low", self.asked(DEVICE, &id("low"), 3600, &self.look), "level"),
            bad("for another machine", self.asked("vm-002", &id("other"), 3600, &self.door), "wrong_device"),
            bad("too old", self.asked(DEVICE, &id("old"), -60, &self.door), "expired"),
            Bad { code: None, ..bad("replayed", self.once().1, "") },
            Bad { retain: true, ..bad("retained", good("retained"), "retained") },
            Bad { topic: "cmd/dance/request", ..bad("of a later release", good("dance"), "unknown_request") },
            bad("of a later release, under a known name", SignedCommand::payload(&sign(&self.door, Text::Command, &later)), "malformed"),
        ]
    }

    /// Bad settings, one of each kind. [`Self::good`] was taken before, for the versions 1 and 2. Two neighbours have different codes.
    pub fn settings(&self) -> Vec<Bad> {
        let cheap = "[[item]]\nid = \"A1\"\nname = \"Tea\"\nprice = 1000\n";
        let by = |key: &SigningKey| desired(DEVICE, 3, 2, cheap, key);
        let good = by(&self.door);
        let bad = |kind, payload, code| Bad { kind, topic: DESIRED, payload, retain: false, code: Some(code) };
        vec![
            bad("cut", good[..good.len() / 2].to_vec(), "malformed"),
            bad("too big", format!("{{\"signed\":\"{}\"}}", "x".repeat(SETTINGS_MAX)).into_bytes(), "too_large"),
            bad("too deep", deep(8_000), "malformed"),
            bad("of a foreign key", by(&self.stranger), "unknown_key"),
            bad("of a key that is too low", by(&self.look), "level"),
            Bad { retain: true, ..bad("of a retired key, retained", by(&self.retired), "unknown_key") },
            bad("for another machine", desired("vm-002", 3, 2, cheap, &self.door), "wrong_device"),
            bad("replayed, and too old", self.good(1).1, "stale"),
            bad("made from another version", desired(DEVICE, 3, 1, cheap, &self.door), "conflict"),
            bad("of a later release", desired(DEVICE, 3, 2, &format!("{cheap}taste = \"new\"\n"), &self.door), "invalid"),
        ]
    }
}

fn deep(levels: usize) -> Vec<u8> {
    format!("{{\"signed\":{}", "[".repeat(levels)).into_bytes()
}

fn desired(device: &str, version: u64, from: u64, settings: &str, key: &SigningKey) -> Vec<u8> {
    let aud = DeviceId::new(device).expect("an id");
    Desired { aud, version, from, exp: i64::MAX, effective_at: None, skip_unknown: false, made_of: None, settings: settings.into() }
        .signed(key)
}
