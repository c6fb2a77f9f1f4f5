//! The one reader of JSON from outside. It has a limit, it is strict about duplicates, and it can name the wrong field.

use crate::order::reason::Reason;
use crate::order::request::Refusal;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The largest inbound MQTT payload, in bytes.
pub const PAYLOAD_MAX: usize = 8 * 1024;

/// A JSON object whose fields are taken one by one. Fields that nobody takes are ignored.
#[derive(Debug)]
pub struct Object(Map<String, Value>);

impl Object {
    /// Reads at most `max` bytes of JSON: one object, nothing behind it. No key may stand twice in it, or in any object within.
    ///
    /// # Errors
    /// `too_large`; or `malformed` with the words of the parser. If a key stands twice, it is named as the field
    /// (`outer.inner`).
    pub fn read(bytes: &[u8], max: usize) -> Result<Self, Refusal> {
        if bytes.len() > max {
            return Err(Refusal::new(Reason::TooLarge, format!("{} bytes, at most {max} are read", bytes.len())));
        }
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let mut twice = None;
        let object = reader.deserialize_map(UniqueMap(&mut twice));
        if let Some(key) = twice {
            return Err(Refusal::field(Reason::Malformed, key.clone(), format!("{key} stands twice")));
        }
        let read = object.and_then(|object| reader.end().map(|()| object));
        read.map(Self).map_err(|e| Refusal::new(Reason::Malformed, format!("not a JSON object: {e}")))
    }

    /// A field that must be there.
    pub fn required<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Refusal> {
        self.optional(name)?.ok_or_else(|| Refusal::field(Reason::Malformed, name, format!("{name} is missing")))
    }

    /// A field that may be absent or null.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Refusal> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match serde_json::from_value(value) {
                Ok(value) => Ok(Some(value)),
                Err(e) => Err(Refusal::field(Reason::Malformed, name, format!("{name}: {e}"))),
            },
        }
    }

    /// All fields that are left, as a type that names those that it needs.
    ///
    /// # Errors
    /// `malformed` with the words of the parser.
    pub fn remaining<T: DeserializeOwned>(self) -> Result<T, Refusal> {
        serde_json::from_value(Value::Object(self.0)).map_err(|e| Refusal::new(Reason::Malformed, e.to_string()))
    }
}

/// Collects a map and notices a key that stands twice, in the map or within it; serde_json alone takes that silently. The
/// key is written to the place that the struct carries, as a path of keys.
struct UniqueMap<'a>(&'a mut Option<String>);

impl<'de> Visitor<'de> for UniqueMap<'_> {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if map.contains_key(&key) {
                *self.0 = Some(key);
                return Err(A::Error::custom("a key stands twice"));
            }
            let value = access.next_value_seed(Unique(self.0));
            if let Some(inner) = self.0.take_if(|_| value.is_err()) {
                *self.0 = Some(format!("{key}.{inner}"));
            }
            map.insert(key, value?);
        }
        Ok(map)
    }
}

/// Any JSON value, read with the same care. serde_json itself limits the depth.
struct Unique<'a>(&'a mut Option<String>);

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = access.next_element_seed(Unique(self.0))? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Value, A::Error> {
        UniqueMap(self.0).visit_map(access).map(Value::Object)
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

    #[test]
    fn a_key_that_stands_twice_is_found_however_deep_and_in_fields_that_nobody_takes() {
        let table = [
            (r#"{"n":1,"n":1}"#, "n"),
            (r#"{"x":{"n":1,"n":2}}"#, "x.n"),
            (r#"{"n":1,"x":[0,{"y":{"n":1,"m":2,"n":1}}],"z":2}"#, "x.y.n"),
            (r#"{"x":{"n":1,"\u006e":2}}"#, "x.n"),
        ];
        for (json, field) in table {
            let refusal = Object::read(json.as_bytes(), 100).expect_err(json);
            assert_eq!((refusal.reason, refusal.field.as_deref()), (Reason::Malformed, Some(field)), "{json}");
        }
        // The same key in different objects does not stand twice.
        assert!(Object::read(br#"{"n":{"n":1},"x":[{"n":1},{"n":1}]}"#, 100).is_ok());
        let (open, close) = ("{\"a\":".repeat(1000), "}".repeat(1000));
        let refusal = Object::read(format!("{open}1{close}").as_bytes(), PAYLOAD_MAX).expect_err("too deep");
        assert_eq!((refusal.reason, refusal.field), (Reason::Malformed, None));
    }

    #[test]
    fn what_somebody_made_up_is_quoted_shortly() {
        let long = "\u{7f}".repeat(2_000);
        let twice = format!(r#"{{"{long}":{{"{long}":1,"{long}":1}}}}"#);
        let refusal = Object::read(twice.as_bytes(), PAYLOAD_MAX).expect_err("twice");
        assert_eq!((refusal.reason, refusal.field.as_deref().map(|field| field.chars().count())), (Reason::Malformed, Some(64)));
        assert!(refusal.to_string().chars().count() < 500, "{refusal}");
        let mut object = Object::read(format!(r#"{{"n":"{long}"}}"#).as_bytes(), PAYLOAD_MAX).expect("an object");
        let refusal = object.required::<u64>("n").expect_err("a string");
        assert_eq!((refusal.field.as_deref(), refusal.detail.chars().count()), (Some("n"), 400));
        assert!(refusal.detail.ends_with('…'), "{refusal}");
    }

    #[test]
    fn values_are_read_as_serde_json_reads_them() {
        let json = r#"{"a":null,"b":true,"c":-1,"d":18446744073709551615,"e":1.5,"f":"x\ny","g":[1,[]],"h":{"i":{}}}"#;
        let object = Object::read(json.as_bytes(), 200).expect("an object");
        assert_eq!(Value::Object(object.0), serde_json::from_str::<Value>(json).expect("JSON"));
    }
}
