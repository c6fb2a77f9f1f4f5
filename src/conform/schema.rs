//! Compares answers with the OpenAPI document. It knows the part of JSON Schema (2020-12) that the document uses. A
//! keyword that it does not know is told, so that no rule of the document is skipped.

use crate::report::{Checked, Stop};
use serde_json::{Map, Value};

/// How deep schemas may refer to each other.
const DEPTH_MAX: usize = 32;
/// At most this many differences of one answer are told.
const TOLD_MAX: usize = 8;

/// The OpenAPI document.
#[derive(Debug)]
pub struct Schema(Value);

/// The parts of an answer that are compared with the document.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// `get`, `post`
    pub method: &'a str,
    /// As in the document: `/v1/orders/{order_id}`.
    pub path: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// Without parameters: `application/json`.
    pub content_type: &'a str,
    /// Header names in lower case.
    pub headers: &'a [&'a str],
    pub body: &'a [u8],
}

impl Schema {
    /// Reads an OpenAPI document.
    ///
    /// # Errors
    /// When it is no JSON.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }

    #[must_use]
    pub fn document(&self) -> &Value {
        &self.0
    }

    /// Compares an answer with the document.
    ///
    /// # Errors
    /// Each difference.
    pub fn answer(&self, seen: &Seen<'_>) -> Checked {
        let differences = self.differences(seen);
        if differences.is_empty() {
            return Ok(());
        }
        let more = differences.len().saturating_sub(TOLD_MAX);
        let mut told = differences.into_iter().take(TOLD_MAX).collect::<Vec<_>>().join("; ");
        if more > 0 {
            told.push_str(&format!("; and {more} more"));
        }
        Err(Stop::Different(told))
    }

    fn differences(&self, seen: &Seen<'_>) -> Vec<String> {
        let operation = &self.0["paths"][seen.path][seen.method];
        let Some(response) = operation["responses"].get(seen.status.to_string()) else {
            let known = operation["responses"].as_object().map(|known| known.keys().cloned().collect::<Vec<_>>().join(", "));
            return vec![format!("expected one of the statuses {}; came {}", known.unwrap_or_default(), seen.status)];
        };
        let response = self.resolve(response);
        let mut differences = Vec::new();
        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            let required = self.resolve(header)["required"] == true;
            if required && !seen.headers.contains(&name.to_ascii_lowercase().as_str()) {
                differences.push(format!("expected a header {name}; came none"));
            }
        }
        let Some(content) = response["content"].as_object() else { return differences };
        match content.get(seen.content_type) {
            None => {
                let known = content.keys().cloned().collect::<Vec<_>>().join(" or ");
                differences.push(format!("expected Content-Type {known}; came {:?}", seen.content_type));
            }
            Some(media) if seen.content_type.ends_with("json") => match serde_json::from_slice(seen.body) {
                Ok(value) => differences.extend(self.validate(&value, &media["schema"])),
                Err(error) => differences.push(format!("expected JSON; came {error}")),
            },
            Some(_) => {}
        }
        differences
    }

    /// Compares a value with a schema of the document. Each difference has its place in the value.
    #[must_use]
    pub fn validate(&self, value: &Value, schema: &Value) -> Vec<String> {
        let mut differences = Vec::new();
        self.hold(value, schema, "", 0, &mut differences);
        differences
    }

    fn resolve<'a>(&'a self, mut value: &'a Value) -> &'a Value {
        for _ in 0..DEPTH_MAX {
            let Some(target) = value.get("$ref").and_then(Value::as_str) else { return value };
            let Some(found) = target.strip_prefix('#').and_then(|pointer| self.0.pointer(pointer)) else { return value };
            value = found;
        }
        value
    }

    fn hold(&self, value: &Value, schema: &Value, place: &str, depth: usize, out: &mut Vec<String>) {
        let Some(rules) = schema.as_object() else { return };
        if depth > DEPTH_MAX {
            out.push(format!("{place}: the document's schemas refer to each other without an end"));
            return;
        }
        let place_or_root = if place.is_empty() { "the answer" } else { place };
        let mut wrong = |expected: String| out.push(format!("{place_or_root}: expected {expected}; came {}", short(value)));
        for (keyword, rule) in rules {
            match keyword.as_str() {
                "type" if !is_type(value, rule) => wrong(format!("type {rule}")),
                "const" if value != rule => wrong(rule.to_string()),
                "enum" if !rule.as_array().is_some_and(|list| list.contains(value)) => wrong(format!("one of {rule}")),
                "minimum" if value.as_f64() < rule.as_f64() && value.is_number() => wrong(format!("at least {rule}")),
                "maximum" if value.as_f64() > rule.as_f64() && value.is_number() => wrong(format!("at most {rule}")),
                "maxLength" if length(value) > rule.as_u64() => wrong(format!("at most {rule} characters")),
                "maxItems" if value.as_array().map(|list| list.len() as u64) > rule.as_u64() => wrong(format!("at most {rule} entries")),
                "pattern" if value.as_str().is_some_and(|text| !fits(rule.as_str().unwrap_or(""), text)) => {
                    wrong(format!("a text like {rule}"));
                }
                "anyOf" if !rule.as_array().is_some_and(|list| list.iter().any(|one| self.validate(value, one).is_empty())) => {
                    // The first one is the usual one: its differences say more than "none of these".
                    match rule.get(0) {
                        Some(first) if !value.is_null() => self.hold(value, first, place, depth + 1, out),
                        _ => out.push(format!(
                            "{place_or_root}: expected one of {} forms; came {}",
                            rule.as_array().map_or(0, Vec::len),
                            short(value)
                        )),
                    }
                    return;
                }
                "type" | "const" | "enum" | "minimum" | "maximum" | "maxLength" | "maxItems" | "pattern" | "anyOf" => {}
                // It is looked at below, or it is for people.
                "$ref" | "allOf" | "items" | "properties" | "required" | "description" | "examples" | "default" | "contentMediaType" => {}
                other => wrong(format!("only known keywords in the document; {other:?} is unknown")),
            }
        }
        if rules.contains_key("$ref") {
            match self.resolve(schema) {
                found if found.get("$ref").is_none() => self.hold(value, found, place, depth + 1, out),
                _ => out.push(format!("{place}: the document refers to a place that does not exist")),
            }
        }
        for part in rules.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.hold(value, part, place, depth + 1, out);
        }
        if let (Some(items), Some(list)) = (rules.get("items"), value.as_array()) {
            for (number, one) in list.iter().enumerate() {
                self.hold(one, items, &format!("{place}/{number}"), depth + 1, out);
            }
        }
        let Some(object) = value.as_object() else { return };
        for name in rules.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                out.push(format!("expected a field {place}/{name}; came none"));
            }
        }
        let none = Map::new();
        for (name, rule) in rules.get("properties").and_then(Value::as_object).unwrap_or(&none) {
            if let Some(value) = object.get(name) {
                self.hold(value, rule, &format!("{place}/{name}"), depth + 1, out);
            }
        }
    }
}

fn length(value: &Value) -> Option<u64> {
    value.as_str().map(|text| text.chars().count() as u64)
}

fn is_type(value: &Value, rule: &Value) -> bool {
    let one = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    match rule {
        Value::String(name) => one(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(one),
        _ => false,
    }
}

/// A value on one line, cut.
pub fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(120) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// Does a text fit a pattern? No text fits a pattern that cannot be read.
fn fits(pattern: &str, text: &str) -> bool {
    regex_lite::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn patterns_are_read() {
        for (pattern, text, good) in [
            ("^[A-Za-z0-9_-]{1,4}$", "a-_9", true),
            ("^[A-Za-z0-9_-]{1,4}$", "", false),
            ("^[A-Za-z0-9_-]{1,4}$", "abcde", false),
            ("^[A-Za-z0-9_-]{1,4}$", "a b", false),
            ("^[a-z]{3}$", "abc", true),
            ("^[a-z]{3}$", "abcd", false),
            ("^[a-z]+\\.[a-z]+$", "ab.c", true),
            ("^[a-z]+\\.[a-z]+$", "abxc", false),
            ("^[a-z]+\\.[a-z]+$", "ab.c.", false),
            ("^[a-z", "a", false),
        ] {
            assert_eq!(fits(pattern, text), good, "{pattern} {text:?}");
        }
    }

    #[test]
    fn each_difference_is_named_with_its_place() {
        let schema = Schema(json!({"components": {"schemas": {"Id": {"type": "string", "pattern": "^[a-z]{1,3}$"}}}}));
        let rules = json!({
            "type": "object", "required": ["id", "n"],
            "properties": {
                "id": {"$ref": "#/components/schemas/Id"}, "n": {"type": ["integer", "null"], "minimum": 1, "maximum": 5},
                "list": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2},
                "maybe": {"anyOf": [{"$ref": "#/components/schemas/Id"}, {"type": "null"}]}
            }
        });
        let good = json!({"id": "abc", "n": null, "list": ["a"], "maybe": null, "more": 1});
        assert_eq!(schema.validate(&good, &rules), [""; 0]);
        for (value, told) in [
            (json!([]), "the answer: expected type \"object\"; came []"),
            (json!({"n": 1}), "expected a field /id; came none"),
            (json!({"id": "ABC", "n": 1}), "/id: expected a text like"),
            (json!({"id": "a", "n": 0}), "/n: expected at least 1; came 0"),
            (json!({"id": "a", "n": 6}), "/n: expected at most 5"),
            (json!({"id": "a", "n": 1.5}), "/n: expected type"),
            (json!({"id": "a", "n": 1, "list": ["c"]}), "/list/0: expected one of"),
            (json!({"id": "a", "n": 1, "list": ["a", "a", "a"]}), "/list: expected at most 2 entries"),
            (json!({"id": "a", "n": 1, "maybe": 3}), "/maybe: expected type \"string\"; came 3"),
        ] {
            let differences = schema.validate(&value, &rules);
            assert!(differences.iter().any(|difference| difference.contains(told)), "{value}: {differences:?}");
        }
        assert!(schema.validate(&json!(1), &json!({"multipleOf": 2}))[0].contains("multipleOf"));
        assert!(schema.validate(&json!(1), &json!({"$ref": "#/nowhere"}))[0].contains("refers to a place that does not exist"));
    }
}
