//! The one reader of JSON from outside: bounded, strict about duplicates, and able to name the field that is wrong.

use crate::order::reason::Reason;
use crate::order::request::Refusal;
use serde::de::{DeserializeOwned, Deserializer as _, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

/// The largest inbound MQTT payload, in bytes.
pub const PAYLOAD_MAX: usize = 8 * 1024;

/// A JSON object whose fields are taken one by one; what is not taken is ignored.
#[derive(Debug)]
pub struct Object(Map<String, Value>);

impl Object {
    /// Reads at most `max` bytes of JSON: one object, no key twice, nothing behind it.
    ///
    /// # Errors
    /// `too_large`, or `malformed` with what the parser says; with a duplicated key as the field.
    pub fn read(bytes: &[u8], max: usize) -> Result<Self, Refusal> {
        if bytes.len() > max {
            return Err(Refusal::new(Reason::TooLarge, format!("{} bytes, at most {max} are read", bytes.len())));
        }
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let mut twice = None;
        let object = reader.deserialize_map(Unique { twice: &mut twice });
        if let Some(key) = twice {
            return Err(Refusal::field(Reason::Malformed, key.clone(), format!("{key} stands twice")));
        }
        let read = object.and_then(|object| reader.end().map(|()| object));
        read.map(Self).map_err(|e| Refusal::new(Reason::Malformed, format!("not a JSON object: {e}")))
    }

    /// A field that must be there.
    ///
    /// # Errors
    /// `malformed` with the field's name and the rule that its type has.
    pub fn required<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Refusal> {
        self.optional(name)?.ok_or_else(|| Refusal::field(Reason::Malformed, name, format!("{name} is missing")))
    }

    /// A field that may be absent or null.
    ///
    /// # Errors
    /// `malformed` with the field's name when it is there and wrong.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Refusal> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match serde_json::from_value(value) {
                Ok(value) => Ok(Some(value)),
                Err(e) => Err(Refusal::field(Reason::Malformed, name, format!("{name}: {e}"))),
            },
        }
    }
}

/// Collects a map and notices a key that stands twice, which serde_json by itself takes silently.
struct Unique<'a> {
    twice: &'a mut Option<String>,
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if map.contains_key(&key) {
                *self.twice = Some(key);
                return Err(A::Error::custom("a key stands twice"));
            }
            map.insert(key, access.next_value()?);
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_one_plain_object_is_refused() {
        let cases: [(&[u8], Reason); 9] = [
            (b"", Reason::Malformed),
            (b"null", Reason::Malformed),
            (b"[]", Reason::Malformed),
            (b"{\"a\":1,}", Reason::Malformed),
            (b"{\"a\":1} x", Reason::Malformed),
            (b"{\"a\":1,\"a\":1}", Reason::Malformed),
            (b"{\"a\":\"\xff\"}", Reason::Malformed),
            (b"{\"a\":[[[[", Reason::Malformed),
            (b"{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":1}", Reason::TooLarge),
        ];
        for (bytes, reason) in cases {
            let refusal = Object::read(bytes, 32).expect_err("must be refused");
            assert_eq!(refusal.reason, reason, "{:?}", String::from_utf8_lossy(bytes));
        }
        let deep = "[".repeat(8000);
        assert!(Object::read(format!("{{\"a\":{deep}").as_bytes(), PAYLOAD_MAX).is_err());
    }

    #[test]
    fn a_wrong_field_is_named() {
        let mut object = Object::read(br#"{"n":"1","u":7,"z":null}"#, 100).expect("an object");
        assert_eq!(object.required::<u64>("n").expect_err("a string").field.as_deref(), Some("n"));
        assert_eq!(object.required::<u64>("gone").expect_err("missing").field.as_deref(), Some("gone"));
        assert_eq!(object.optional::<u64>("z"), Ok(None));
        assert_eq!(object.required::<u64>("u"), Ok(7));
        let twice = Object::read(br#"{"n":1,"n":1}"#, 100).expect_err("twice");
        assert_eq!(twice.field.as_deref(), Some("n"));
    }
}
