//! What is different between the settings that a person has written and those that a machine has from afar: by their meaning, not
//! by their letters.

use serde_json::Value;
use std::collections::BTreeMap;

/// Settings, each value under its path. An item goes by its id, not by its place.
pub(super) type Flat = BTreeMap<String, String>;

/// Reads settings.
///
/// # Errors
/// The text is no TOML.
pub(super) fn flat(text: &str) -> Result<Flat, toml::de::Error> {
    let mut flat = Flat::new();
    lay_out("", &toml::from_str(text)?, &mut flat);
    Ok(flat)
}

fn lay_out(path: &str, value: &Value, flat: &mut Flat) {
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                lay_out(&path, value, flat);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            for (at, value) in list.iter().enumerate() {
                let name = value.get("id").and_then(Value::as_str).map_or_else(|| at.to_string(), str::to_owned);
                lay_out(&format!("{path}[{name}]"), value, flat);
            }
        }
        value => drop(flat.insert(path.to_owned(), value.to_string())),
    }
}

/// The differences, a line each: what the machine has, and what was written.
pub(super) fn differences(has: &Flat, wanted: &Flat) -> Vec<String> {
    let paths = has.keys().chain(wanted.keys()).collect::<std::collections::BTreeSet<_>>();
    let nothing = || "nothing".to_owned();
    let told = paths.into_iter().filter(|path| has.get(*path) != wanted.get(*path)).map(|path| {
        let [from, to] = [has, wanted].map(|side| side.get(path).cloned().unwrap_or_else(nothing));
        format!("{path}: {from} -> {to}")
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_the_same_is_the_same() {
        let has = "# old\n[screen]\ncontact = \"0811\"\n[[item]]\nid = \"A1\"\nprice = 5000\n[[item]]\nid = \"A2\"\nprice = 7000\n";
        let same = "screen.contact = '0811'\n[[item]]\nid=\"A2\"\nprice=7_000\n[[item]]\nid=\"A1\"\nprice=5000\n";
        let flat = |text| flat(text).expect("TOML");
        assert!(differences(&flat(has), &flat(same)).is_empty());
        let other = same.replace("'0811'", "'0812'").replace("7_000", "8000") + "name = \"Tea\"\n";
        let told = ["item[A1].name: nothing -> \"Tea\"", "item[A2].price: 7000 -> 8000", "screen.contact: \"0811\" -> \"0812\""];
        assert_eq!(differences(&flat(has), &flat(&other)), told);
        assert_eq!(differences(&flat(""), &flat(has)).len(), 5);
        assert!(super::flat("[").is_err());
    }
}
