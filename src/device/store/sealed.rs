//! What came from afar, as the database has it: a checksum, and JSON. A flipped bit must not become another price.

use qris_host::checksum::checksum;
use serde::Serialize;
use serde::de::DeserializeOwned;

#[must_use]
pub fn seal(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).expect("plain data");
    format!("{} {json}", sum(&json))
}

/// The value of a text; `None`: it is not as it was sealed.
#[must_use]
pub fn open<T: DeserializeOwned>(text: &str) -> Option<T> {
    let (found, json) = text.split_once(' ')?;
    (found == sum(json)).then(|| serde_json::from_str(json).ok())?
}

fn sum(text: &str) -> String {
    qris_core::hex(&checksum(&text))
}
