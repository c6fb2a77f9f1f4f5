//! What is different between two states of a machine's settings: by their meaning, not by their letters.

use qris_core::order::request::cut;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A logo has 350,000 characters. So much of a value is shown.
const VALUE_MAX: usize = 80;

/// Settings, each value under its path. An item goes by its id, not by its place.
pub(super) type Flat = BTreeMap<String, String>;

#[derive(Default, Debug, PartialEq, Eq)]
pub(super) struct Differences {
    /// A line for each value: what it is, and what it will be.
    pub(super) values: Vec<String>,
    /// The items that will not be sold any more, each with its name and price.
    pub(super) gone: Vec<String>,
}

/// Lays a text out. One that is no TOML has nothing: whoever needs to know has checked it.
pub(super) fn flat(text: &str) -> Flat {
    let mut flat = Flat::new();
    lay_out("", &toml::from_str(text).unwrap_or_default(), &mut flat);
    flat
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
                let id = value.get("id").and_then(Value::as_str).map_or_else(|| at.to_string(), str::to_owned);
                let values = value.as_object().into_iter().flatten();
                // A name in two languages is one value, and so are the bounds of a price.
                flat.extend(values.map(|(key, value)| (format!("{path}[{id}].{key}"), value.to_string())));
            }
        }
        value => drop(flat.insert(path.to_owned(), value.to_string())),
    }
}

/// Both are whole: they have every key.
pub(super) fn differences(has: &Flat, wanted: &Flat) -> Differences {
    let item_of = |path: &str| path.strip_suffix(".id").map(str::to_owned);
    let gone: BTreeSet<String> = has.keys().filter(|path| !wanted.contains_key(*path)).filter_map(|path| item_of(path)).collect();
    let is_gone = |path: &str| path.rsplit_once('.').is_some_and(|(item, _)| gone.contains(item));
    let paths: BTreeSet<&String> = has.keys().chain(wanted.keys()).collect();
    let differs = |path: &&String| has.get(*path) != wanted.get(*path) && !is_gone(path);
    let values = paths.into_iter().filter(differs).map(|path| {
        let [from, to] = [has, wanted].map(|side| side.get(path).map_or("nothing".into(), |value| cut(value.as_str().into(), VALUE_MAX)));
        format!("{path}: {from} -> {to}")
    });
    let words = |item: &String| {
        let of = |key: &str| has.get(&format!("{item}.{key}")).map_or("", String::as_str);
        let id = of("id").trim_matches('"');
        format!("{id} {} {}", of("name"), of("price"))
    };
    Differences { values: values.collect(), gone: gone.iter().map(words).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_difference_has_its_line_and_what_is_no_longer_sold_stands_by_itself() {
        let has = "# old\n[screen]\ncontact = \"0811\"\n[[item]]\nid = \"A1\"\nname = \"Tea\"\nprice = 5000\n\
            [[item]]\nid = \"A2\"\nname = { id = \"Air\", en = \"Water\" }\nprice = 7000\n";
        let item = |id: &str, name: &str, price: &str| format!("[[item]]\nid = \"{id}\"\nname = {name}\nprice = {price}\n");
        let [tea, water] = [item("A1", "\"Tea\"", "5000"), item("A2", "{ en = \"Water\", id = \"Air\" }", "7_000")];
        let contact = "screen.contact = '0811'\n";
        let of = |parts: &[&str]| parts.concat();
        let gone = "A2 {\"en\":\"Water\",\"id\":\"Air\"} 7000";
        let dear = item("A1", "\"Tea\"", "6000");
        let asked = item("A1", "\"Tea\"", "{ from_request = { min = 1, max = 2 } }");
        let table: [(&str, String, &[&str], &[&str]); 9] = [
            ("the same in other letters and another order", of(&[contact, &water, &tea]), &[], &[]),
            ("a price", of(&[contact, &dear, &water]), &["item[A1].price: 5000 -> 6000"], &[]),
            (
                "a price that the controller says",
                of(&[contact, &asked, &water]),
                &["item[A1].price: 5000 -> {\"from_request\":{\"max\":2,\"min\":1}}"],
                &[],
            ),
            ("a name", of(&[contact, &item("A1", "\"Teh\"", "5000"), &water]), &["item[A1].name: \"Tea\" -> \"Teh\""], &[]),
            ("a text", of(&["screen.contact = '0812'\n", &tea, &water]), &["screen.contact: \"0811\" -> \"0812\""], &[]),
            (
                "another item",
                of(&[contact, &tea, &water, &item("B1", "\"Kopi\"", "9000")]),
                &["item[B1].id: nothing -> \"B1\"", "item[B1].name: nothing -> \"Kopi\"", "item[B1].price: nothing -> 9000"],
                &[],
            ),
            ("an item less", of(&[contact, &tea]), &[], &[gone]),
            ("an item less, and a price", of(&[contact, &dear]), &["item[A1].price: 5000 -> 6000"], &[gone]),
            (
                "an id that was mistyped",
                of(&[contact, &tea, &item("a2", "\"x\"", "1")]),
                &["item[a2].id: nothing -> \"a2\"", "item[a2].name: nothing -> \"x\"", "item[a2].price: nothing -> 1"],
                &[gone],
            ),
        ];
        for (what, wanted, values, gone) in table {
            let told = differences(&flat(has), &flat(&wanted));
            assert_eq!(
                (told.values, told.gone),
                (values.iter().map(|line| (*line).into()).collect(), gone.iter().map(|item| (*item).into()).collect()),
                "{what}"
            );
        }
        let long = format!("screen.logo = \"{}\"\n", "x".repeat(9_000));
        assert!(differences(&flat(""), &flat(&long)).values[0].len() < 200);
    }
}
