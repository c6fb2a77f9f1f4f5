//! Changes a TOML file where it must be changed, and leaves every other byte of it alone: comments, order and what people
//! wrote there stay.

use toml::de::{DeTable, DeValue};

/// Why a key could not be put where it belongs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum EditError {
    /// The text is no TOML.
    #[error("it is not TOML (line {line}: {why}): correct it, or move it away")]
    Syntax {
        /// From 1.
        line: usize,
        /// What the parser said.
        why: String,
    },
    /// It is written in a way that this program does not change.
    #[error("{key} cannot be changed where it stands: write `{key} = {value}` there by hand")]
    Place {
        /// The key.
        key: String,
        /// What it should be.
        value: String,
    },
}

/// A value as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    // What JSON escapes, TOML escapes in the same way; DEL is the one character more that must be.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

/// Sets `section.key` to a value that is written as TOML. A line that has the key behind a `#` becomes that line.
pub(super) fn set(text: &str, section: &str, key: &str, value: &str) -> Result<String, EditError> {
    let table = parse(text)?;
    let path = [section, key];
    let edited = match find(&table, &path) {
        Some(place) => [&text[..place.value.start], value, &text[place.value.end..]].concat(),
        None => insert(text, section, key, value),
    };
    let wanted = value_of(&format!("{key} = {value}\n"), &[key]);
    match parse(&edited) {
        Ok(_) if wanted.is_some() && value_of(&edited, &path) == wanted => Ok(edited),
        _ => Err(EditError::Place { key: path.join("."), value: value.into() }),
    }
}

/// Sets a key in a table of the array `name`, counted from 0. One that is not there yet becomes its first.
pub(super) fn set_in(text: &str, name: &str, index: usize, key: &str, value: &str) -> Result<String, EditError> {
    let table = parse(text)?;
    let element = table.iter().find(|(found, _)| found.get_ref().as_ref() == name).and_then(|(_, array)| match array.get_ref() {
        DeValue::Array(elements) => elements.get(index),
        _ => None,
    });
    let nowhere = || EditError::Place { key: format!("{name}[{index}].{key}"), value: value.into() };
    let Some(DeValue::Table(table)) = element.map(toml::Spanned::get_ref) else { return Err(nowhere()) };
    let edited = match find(table, &[key]) {
        Some(place) => [&text[..place.value.start], value, &text[place.value.end..]].concat(),
        None => {
            let first = table.iter().map(|(key, _)| key.span().start).min().ok_or_else(nowhere)?;
            let (before, after) = text.split_at(line_start(text, first));
            format!("{before}{key} = {value}\n{after}")
        }
    };
    let wanted = value_of(&format!("{key} = {value}\n"), &[key]);
    let found = tables_of(&edited, name).get(index).and_then(|table| table.get(key).cloned());
    if wanted.is_some() && found == wanted { Ok(edited) } else { Err(nowhere()) }
}

/// Takes `section.key` out, with its line; it may be missing.
pub(super) fn remove(text: &str, section: &str, key: &str) -> Result<String, EditError> {
    let table = parse(text)?;
    let path = [section, key];
    let Some(place) = find(&table, &path) else { return Ok(text.into()) };
    let start = line_start(text, place.key.start);
    let end = text[place.value.end..].find('\n').map_or(text.len(), |newline| place.value.end + newline + 1);
    let edited = [&text[..start], &text[end..]].concat();
    // Inside an inline table more would be gone than that.
    let alone = text[start..place.key.start].trim().is_empty();
    match parse(&edited) {
        Ok(_) if alone => Ok(edited),
        _ => Err(EditError::Place { key: path.join("."), value: "(nothing)".into() }),
    }
}

/// Puts `blocks`, whole tables of the array `name`, in the place of all that are there; with none there, at the end.
pub(super) fn replace_tables(text: &str, name: &str, blocks: &[String]) -> Result<String, EditError> {
    parse(text)?;
    let header = format!("[[{name}]]");
    let belongs =
        |line: &str| line.starts_with(&header) || line.starts_with(&format!("[{name}.")) || line.starts_with(&format!("[[{name}."));
    let (mut kept, mut first, mut inside) = (Vec::new(), None, false);
    // What stands between two tables as comment or empty line belongs to neither.
    let mut waiting: Vec<&str> = Vec::new();
    for line in text.lines() {
        let bare = line.trim_start();
        if bare.starts_with('[') {
            inside = belongs(bare);
            if inside && first.is_none() {
                kept.append(&mut waiting);
                first = Some(kept.len());
            }
        }
        match (inside, bare.is_empty() || bare.starts_with('#')) {
            (true, false) => waiting.clear(),
            (true, true) => waiting.push(line),
            (false, _) => {
                kept.append(&mut waiting);
                kept.push(line);
            }
        }
    }
    let tail = waiting;
    let mut lines: Vec<&str> = kept[..first.unwrap_or(kept.len())].to_vec();
    let new = blocks.join("\n");
    if first.is_none() && lines.last().is_some_and(|line| !line.trim().is_empty()) {
        lines.push("");
    }
    lines.extend(new.lines());
    let rest = &kept[first.unwrap_or(kept.len())..];
    if rest.first().is_some_and(|line| !line.trim().is_empty()) {
        lines.push("");
    }
    lines.extend(rest);
    lines.extend(tail);
    let mut edited = lines.join("\n");
    edited.push('\n');
    match count(&edited, name) {
        Some(found) if found == blocks.len() => Ok(edited),
        _ => Err(EditError::Place { key: format!("[[{name}]]"), value: new }),
    }
}

/// What a text value is, or none where it is missing or of another kind.
pub(super) fn text_of(text: &str, section: &str, key: &str) -> Option<String> {
    let table: toml::Table = toml::from_str(text).ok()?;
    table.get(section)?.get(key)?.as_str().map(str::to_owned)
}

/// The tables of an array, or none where it is missing.
pub(super) fn tables_of(text: &str, name: &str) -> Vec<toml::Table> {
    let table: Option<toml::Table> = toml::from_str(text).ok();
    let array = table.as_ref().and_then(|table| table.get(name)?.as_array());
    array.into_iter().flatten().filter_map(|value| value.as_table().cloned()).collect()
}

/// Whether a text is TOML.
pub(super) fn parse(text: &str) -> Result<DeTable<'_>, EditError> {
    match DeTable::parse(text) {
        Ok(table) => Ok(table.into_inner()),
        Err(error) => {
            let start = error.span().map_or(0, |span| span.start);
            let line = 1 + text.bytes().take(start).filter(|&byte| byte == b'\n').count();
            Err(EditError::Syntax { line, why: error.message().replace('\n', " ") })
        }
    }
}

/// Where an entry stands, in bytes.
struct Place {
    key: std::ops::Range<usize>,
    value: std::ops::Range<usize>,
}

fn find(table: &DeTable<'_>, path: &[&str]) -> Option<Place> {
    let (name, rest) = path.split_first()?;
    let (key, value) = table.iter().find(|(key, _)| key.get_ref().as_ref() == *name)?;
    match (rest.is_empty(), value.get_ref()) {
        (true, _) => Some(Place { key: key.span(), value: value.span() }),
        (false, DeValue::Table(inner)) => find(inner, rest),
        (false, _) => None,
    }
}

fn value_of(text: &str, path: &[&str]) -> Option<toml::Value> {
    let table: toml::Table = toml::from_str(text).ok()?;
    let (last, sections) = path.split_last()?;
    let mut here = &table;
    for section in sections {
        here = here.get(*section)?.as_table()?;
    }
    here.get(*last).cloned()
}

fn count(text: &str, name: &str) -> Option<usize> {
    let table: toml::Table = toml::from_str(text).ok()?;
    Some(table.get(name).map_or(0, |value| value.as_array().map_or(0, Vec::len)))
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// The text with a key that is not there yet: in the place of its line behind a `#`, else first in its section, else in a
/// section of its own at the end.
fn insert(text: &str, section: &str, key: &str, value: &str) -> String {
    let entry = format!("{key} = {value}");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let is_header = |line: &str| line.trim_start().starts_with('[');
    let header = lines.iter().position(|line| {
        let bare = line.split('#').next().unwrap_or_default();
        bare.split_whitespace().collect::<String>() == format!("[{section}]")
    });
    match header {
        Some(header) => {
            let end = lines[header + 1..].iter().position(|line| is_header(line)).map_or(lines.len(), |next| header + 1 + next);
            let commented = (header + 1..end).find(|&i| commented_out(&lines[i]) == Some(key));
            match commented {
                Some(i) => {
                    let remark = remark_of(&lines[i]).map(|remark| format!("  {remark}")).unwrap_or_default();
                    lines[i] = format!("{entry}{remark}");
                }
                None => lines.insert(header + 1, entry),
            }
        }
        None => {
            if lines.last().is_some_and(|line| !line.trim().is_empty()) {
                lines.push(String::new());
            }
            lines.extend([format!("[{section}]"), entry]);
        }
    }
    lines.join("\n") + "\n"
}

/// The key of a line such as `# key = value`.
fn commented_out(line: &str) -> Option<&str> {
    let (key, _) = line.trim_start().strip_prefix('#')?.split_once('=')?;
    let key = key.trim();
    (!key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')).then_some(key)
}

/// The remark behind the value of such a line.
fn remark_of(line: &str) -> Option<&str> {
    let body = line.trim_start().strip_prefix('#')?;
    let mut inside = false;
    let at = body.char_indices().find_map(|(at, c)| {
        inside ^= c == '"';
        (c == '#' && !inside).then_some(at)
    })?;
    Some(&body[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# a machine\n[device]\nid = \"vm-001\"   # its name\n\n[mqtt]\nurl = \"mqtts://a\"\n# ca_file = \"/x#y\"  # a private CA\n# port = 1\n\n[screen]\nrotate = 0\n";

    #[test]
    fn a_key_is_set_where_it_stands_and_nothing_else_moves() {
        let table = [
            ("device", "id", "\"vm-9\"", "id = \"vm-001\"   # its name", "id = \"vm-9\"   # its name"),
            ("mqtt", "url", "\"mqtts://b:1\"", "url = \"mqtts://a\"", "url = \"mqtts://b:1\""),
            ("mqtt", "ca_file", "\"/c\"", "# ca_file = \"/x#y\"  # a private CA", "ca_file = \"/c\"  # a private CA"),
            ("mqtt", "username", "\"u\"", "[mqtt]\n", "[mqtt]\nusername = \"u\"\n"),
            ("screen", "rotate", "90", "rotate = 0", "rotate = 90"),
        ];
        for (section, key, value, from, to) in table {
            assert_eq!(set(TEXT, section, key, value).expect("set"), TEXT.replacen(from, to, 1), "{section}.{key}");
        }
        assert_eq!(set(TEXT, "relay", "bus", "\"system\"").expect("set"), format!("{TEXT}\n[relay]\nbus = \"system\"\n"));
        assert_eq!(set("", "a", "b", "1").expect("set"), "[a]\nb = 1\n");
        assert_eq!(set("mqtt.url = \"a\"\n", "mqtt", "url", "\"b\"").expect("set"), "mqtt.url = \"b\"\n");
        assert_eq!(set("mqtt = { url = \"a\" }\n", "mqtt", "url", "\"b\"").expect("set"), "mqtt = { url = \"b\" }\n");
    }

    #[test]
    fn what_cannot_be_changed_safely_is_said() {
        let inline = set("mqtt = { url = \"a\" }\n", "mqtt", "username", "\"b\"").expect_err("no place");
        assert_eq!(inline.to_string(), "mqtt.username cannot be changed where it stands: write `mqtt.username = \"b\"` there by hand");
        assert!(matches!(set(TEXT, "device", "id", "vm"), Err(EditError::Place { .. })));
        assert!(matches!(set("[a\n", "a", "b", "1"), Err(EditError::Syntax { line: 1, .. })));
        assert!(matches!(remove("mqtt = { url = \"a\", x = 1 }\n", "mqtt", "x"), Err(EditError::Place { .. })));
    }

    #[test]
    fn a_key_is_taken_out_with_its_line() {
        assert_eq!(remove(TEXT, "mqtt", "url").expect("removed"), TEXT.replacen("url = \"mqtts://a\"\n", "", 1));
        assert_eq!(remove(TEXT, "mqtt", "nothing").expect("as it is"), TEXT);
    }

    #[test]
    fn tables_are_replaced_and_what_stands_around_them_stays() {
        let text =
            "a = 1\n\n# what is sold\n[[item]]\nid = \"A\"\n\n[[item]]\nid = \"B\"\n[item.name]\nid = \"x\"\n\n# the end\n# [[item]]\n";
        let blocks = ["[[item]]\nid = \"C\"\n".to_owned(), "[[item]]\nid = \"D\"\n".to_owned()];
        let new = "a = 1\n\n# what is sold\n[[item]]\nid = \"C\"\n\n[[item]]\nid = \"D\"\n\n# the end\n# [[item]]\n";
        assert_eq!(replace_tables(text, "item", &blocks).expect("replaced"), new);
        assert_eq!(replace_tables("a = 1\n", "item", &blocks[..1]).expect("added"), "a = 1\n\n[[item]]\nid = \"C\"\n");
        let between = "[[item]]\nid = \"A\"\n\n[relay]\nbus = \"x\"\n";
        assert_eq!(replace_tables(between, "item", &blocks[..1]).expect("replaced"), "[[item]]\nid = \"C\"\n\n[relay]\nbus = \"x\"\n");
        assert_eq!(tables_of(new, "item").len(), 2);
        assert!(replace_tables("item = []\n", "item", &blocks).is_err());
    }

    #[test]
    fn a_key_of_one_table_is_set() {
        let text = "[[line]]\nmin = 1 # of A\n[[line]]\nmin = 1 # of B\n";
        assert_eq!(set_in(text, "line", 1, "min", "20").expect("set"), text.replace("1 # of B", "20 # of B"));
        // What is not there yet, whatever stands behind it.
        let inserted = text.replace("min = 1 # of B", "low = true\nmin = 1 # of B");
        assert_eq!(set_in(text, "line", 1, "low", "true").expect("set"), inserted);
        let lines = ["[[line]]\n", "line = [{ min = 1 }]\n"];
        assert!(lines.iter().all(|text| set_in(text, "line", 0, "low", "true").is_err()));
        for (name, index, key, value) in [("line", 2, "min", "1"), ("item", 0, "min", "1"), ("line", 0, "min", "x y")] {
            assert!(matches!(set_in(text, name, index, key, value), Err(EditError::Place { .. })), "{name}[{index}].{key}");
        }
    }

    #[test]
    fn values_are_quoted_as_toml_reads_them() {
        for text in ["a", "a\"b\\c", "tab\tline\n", "Rp5.000 – é", "\u{7f}\u{1}"] {
            assert_eq!(text_of(&format!("[a]\nb = {}\n", quoted(text)), "a", "b").as_deref(), Some(text));
        }
    }
}
