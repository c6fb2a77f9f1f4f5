//! Changes a TOML file where it must be changed, and leaves every other byte alone: comments, order and people's own text
//! stay.

use crate::config::quoted;
use crate::speech::fill;
use crate::{Failure, texts};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

// Why a configuration stays as it is. The parser's words are not translated.
texts! {
    syntax: "bukan TOML (baris {0}: {1}): perbaiki, atau pindahkan", "it is not TOML (line {0}: {1}): correct it, or move it away";
    place: "{0} tidak bisa diubah di tempatnya: tulis sendiri `{0} = {1}` di sana", "{0} cannot be changed where it stands: write `{0} = {1}` there by hand";
}

/// A configuration as text, and its path. A change fails if it is no TOML, or if the key stands where this cannot change it.
#[derive(Debug, Clone)]
pub struct Text {
    /// Its path, for messages.
    pub file: &'static str,
    pub text: String,
}

impl Text {
    /// Sets a key to a value that is written as TOML.
    pub fn set(&mut self, section: &str, key: &str, value: &str) -> Result<(), Failure> {
        self.change(|text| set(text, section, key, value))
    }

    pub fn set_text(&mut self, section: &str, key: &str, value: &str) -> Result<(), Failure> {
        self.set(section, key, &quoted(value))
    }

    /// Takes a key out, with its line. It may be missing.
    pub fn remove(&mut self, section: &str, key: &str) -> Result<(), Failure> {
        self.change(|text| remove(text, section, key))
    }

    pub fn remove_table(&mut self, name: &str) -> Result<(), Failure> {
        self.change(|text| remove_table(text, name))
    }

    pub fn change(&mut self, change: impl FnOnce(&str) -> Result<String, EditError>) -> Result<(), Failure> {
        self.text = change(&self.text).map_err(|why| Failure::usage(format!("{}: {why}", self.file)))?;
        Ok(())
    }

    /// The value of a text; none if it is missing or of another kind.
    pub fn value(&self, section: &str, key: &str) -> Option<String> {
        let table: toml::Table = toml::from_str(&self.text).ok()?;
        table.get(section)?.get(key)?.as_str().map(str::to_owned)
    }

    pub fn tables(&self, name: &str) -> Vec<toml::Table> {
        tables_of(&self.text, name)
    }
}

type Item<'a> = Spanned<DeValue<'a>>;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    #[error("{}", fill(texts().syntax, &[.line, .why]))]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// The parser's words.
        why: String,
    },
    /// It is written in a way that this program does not change.
    #[error("{}", fill(texts().place, &[.key, .value]))]
    Place {
        key: String,
        /// The value that it should get.
        value: String,
    },
}

/// Sets `section.key` to a value that is written as TOML. If a line has the key behind a `#`, that line becomes the new
/// one.
fn set(text: &str, section: &str, key: &str, value: &str) -> Result<String, EditError> {
    let document = parse(text)?;
    let has_key = |document: &DeTable<'_>| document.get(section).is_some_and(|table| table.get_ref().get(key).is_some());
    let put = || put(text, document.get(section)?, key, value);
    let edited = if has_key(&document) {
        put()
    } else {
        // Several lines may look like it. This takes the one after whose change the parser finds the key in this section.
        let behind_a_hash = uncommented(text, key, value).find(|edited| parse(edited).is_ok_and(|document| has_key(&document)));
        behind_a_hash.or_else(put).or_else(|| Some(appended(text, &format!("[{section}]\n{key} = {value}\n"))))
    };
    checked(edited, format!("{section}.{key}"), value)
}

/// Sets a key in a table of the array `name`; tables count from 0. A new key becomes the table's first.
pub fn set_in(text: &str, name: &str, index: usize, key: &str, value: &str) -> Result<String, EditError> {
    let document = parse(text)?;
    let edited = document.get(name).and_then(|tables| put(text, tables.get_ref().get(index)?, key, value));
    checked(edited, format!("{name}[{index}].{key}"), value)
}

fn remove(text: &str, section: &str, key: &str) -> Result<String, EditError> {
    let document = parse(text)?;
    let table = document.get(section).and_then(|table| table.get_ref().as_table());
    let Some((name, value)) = table.and_then(|table| table.get_key_value(key)) else { return Ok(text.into()) };
    let start = text[..name.span().start].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[value.span().end..].find('\n').map_or(text.len(), |newline| value.span().end + newline + 1);
    // In an inline table the line holds more than this key. A dotted key and a header do so too.
    let alone = text[start..name.span().start].trim().is_empty();
    let edited = alone.then(|| [&text[..start], &text[end..]].concat());
    let is_good = |edited: &String| parse(edited).is_ok();
    edited.filter(is_good).ok_or_else(|| EditError::Place { key: format!("{section}.{key}"), value: "(nothing)".into() })
}

/// Takes a table out, with its header and all remarks up to the next one. It may be missing.
fn remove_table(text: &str, name: &str) -> Result<String, EditError> {
    let mut headers = Vec::new();
    parse(text)?.iter().for_each(|(key, item)| headers_of(text, item, key.get_ref() == name, &mut headers));
    headers.sort_unstable();
    let ours = |at: usize| headers[at].1.then(|| headers[at].0..headers.get(at + 1).map_or(text.len(), |next| next.0));
    let mut edited = text.to_owned();
    (0..headers.len()).rev().filter_map(ours).for_each(|table| edited.replace_range(table, ""));
    let is_gone = |edited: &String| parse(edited).is_ok_and(|document| document.get(name).is_none());
    Some(edited).filter(is_gone).ok_or_else(|| EditError::Place { key: format!("[{name}]"), value: "(nothing)".into() })
}

/// Puts `blocks`, whole tables of the array `name`, in the place of all that are there. If none is there, they go to the
/// end.
pub fn replace_tables(text: &str, name: &str, blocks: &[String]) -> Result<String, EditError> {
    let document = parse(text)?;
    let new = blocks.join("\n");
    let mut headers = Vec::new();
    document.iter().for_each(|(key, item)| headers_of(text, item, key.get_ref() == name, &mut headers));
    headers.sort_unstable();
    let edited = match headers.iter().position(|(_, is_ours)| *is_ours) {
        None => appended(text, &new),
        Some(first) => {
            let (mut edited, mut remarks) = ([&text[..headers[first].0], &new].concat(), "");
            for (at, &(start, is_ours)) in headers.iter().enumerate().skip(first) {
                let table = &text[start..headers.get(at + 1).map_or(text.len(), |next| next.0)];
                if is_ours {
                    remarks = remarks_below(table);
                } else {
                    edited.extend([remarks, table]);
                    remarks = "";
                }
            }
            edited + remarks
        }
    };
    // An array of another kind is still there.
    if parse(&edited).is_ok() { Ok(edited) } else { Err(EditError::Place { key: format!("[[{name}]]"), value: new }) }
}

/// The text of all tables of the array `name`, with the tables in them and their remarks; empty if there is none.
pub fn text_of_tables(text: &str, name: &str) -> Result<String, EditError> {
    let mut headers = Vec::new();
    parse(text)?.iter().for_each(|(key, item)| headers_of(text, item, key.get_ref() == name, &mut headers));
    headers.sort_unstable();
    let end = |at: usize| headers.get(at + 1).map_or(text.len(), |next: &(usize, bool)| next.0);
    let ours = headers.iter().enumerate().filter(|(_, (_, is_ours))| *is_ours);
    Ok(ours.map(|(at, &(start, _))| &text[start..end(at)]).collect())
}

/// The tables of an array; none if it is missing.
pub fn tables_of(text: &str, name: &str) -> Vec<toml::Table> {
    let table: Option<toml::Table> = toml::from_str(text).ok();
    let array = table.as_ref().and_then(|table| table.get(name)?.as_array());
    array.into_iter().flatten().filter_map(|value| value.as_table().cloned()).collect()
}

pub fn parse(text: &str) -> Result<DeTable<'_>, EditError> {
    DeTable::parse(text).map(Spanned::into_inner).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = 1 + text.bytes().take(start).filter(|&byte| byte == b'\n').count();
        EditError::Syntax { line, why: error.message().replace('\n', " ") }
    })
}

/// The text with a value in the place of the old one, else in a line of its own below the table's header.
fn put(text: &str, table: &Item<'_>, key: &str, value: &str) -> Option<String> {
    let (span, entry) = match table.get_ref().get(key) {
        Some(old) => (old.span(), value.to_owned()),
        None => {
            let header = header_of(text, table)?.end;
            let end = text[header..].find('\n').map_or(text.len(), |newline| header + newline);
            (end..end, format!("\n{key} = {value}"))
        }
    };
    Some([&text[..span.start], &entry, &text[span.end..]].concat())
}

/// The place of a table's header. A table without a header is written in braces, or by the keys in it.
fn header_of(text: &str, table: &Item<'_>) -> Option<Range<usize>> {
    (table.get_ref().is_table() && text[table.span()].starts_with('[')).then(|| table.span())
}

/// The edited text, if both that and the value are TOML.
fn checked(edited: Option<String>, key: String, value: &str) -> Result<String, EditError> {
    let is_good = |edited: &String| parse(&format!("value = {value}")).is_ok_and(|document| document.len() == 1) && parse(edited).is_ok();
    edited.filter(is_good).ok_or_else(|| EditError::Place { key, value: value.into() })
}

/// The places where the headers of a table and of the tables in it begin. Each tells whether it is ours.
fn headers_of(text: &str, item: &Item<'_>, is_ours: bool, found: &mut Vec<(usize, bool)>) {
    found.extend(header_of(text, item).map(|header| (header.start, is_ours)));
    let within: Vec<&Item<'_>> = match item.get_ref() {
        DeValue::Table(table) => table.values().collect(),
        DeValue::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    within.into_iter().for_each(|item| headers_of(text, item, is_ours, found));
}

/// The remarks and empty lines at a table's end. They belong to no table, or to the next one.
fn remarks_below(table: &str) -> &str {
    let is_remark = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let length: usize = table.split_inclusive('\n').rev().take_while(is_remark).map(str::len).sum();
    &table[table.len() - length..]
}

fn appended(text: &str, tables: &str) -> String {
    let gap = match text {
        "" => "",
        text if text.ends_with("\n\n") => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    [text, gap, tables].concat()
}

/// The texts in which one `# key = value` was made to set the key, one text for each such line. The line may stand where
/// it sets nothing, for example in a text value.
fn uncommented<'a>(text: &'a str, key: &'a str, value: &'a str) -> impl Iterator<Item = String> + 'a {
    text.match_indices('#').filter_map(move |(at, _)| {
        let line = text[at..].lines().next().filter(|line| commented_out(line) == Some(key))?;
        let remark = remark_of(line).map(|remark| format!("  {remark}")).unwrap_or_default();
        Some([&text[..at], &format!("{key} = {value}{remark}"), &text[at + line.len()..]].concat())
    })
}

/// The key of a line such as `# key = value`.
fn commented_out(line: &str) -> Option<&str> {
    let (key, _) = line.strip_prefix('#')?.split_once('=')?;
    let key = key.trim();
    (!key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')).then_some(key)
}

/// The remark after the value on such a line.
fn remark_of(line: &str) -> Option<&str> {
    let body = line.strip_prefix('#')?;
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
        assert_eq!(set("[a.b]\nx = 1\n", "a", "c", "2").expect("set"), "[a.b]\nx = 1\n\n[a]\nc = 2\n");
        assert_eq!(set("a = 1", "b", "c", "2").expect("set"), "a = 1\n\n[b]\nc = 2\n");
        // Ends of lines, the order of dotted keys, and text that only looks like a remark.
        let odd = "[a]\r\nx.y = 1\r\nb = \"\"\"\n# c = 1\n\"\"\"\nx.z = 2\n";
        assert_eq!(set(odd, "a", "c", "3").expect("set"), odd.replacen("[a]\r", "[a]\r\nc = 3", 1));
        assert_eq!(set(odd, "a", "b", "3").expect("set"), odd.replacen("\"\"\"\n# c = 1\n\"\"\"", "3", 1));
        assert_eq!(set("mqtt.url = \"a\"\n", "mqtt", "url", "\"b\"").expect("set"), "mqtt.url = \"b\"\n");
        assert_eq!(set("mqtt = { url = \"a\" }\n", "mqtt", "url", "\"b\"").expect("set"), "mqtt = { url = \"b\" }\n");
    }

    #[test]
    fn the_tables_of_an_array_come_as_they_are_written() {
        let items = "[[item]]\nid = \"A1\" # cold\n[item.name]\nen = \"Tea\"\n\n[[item]]\nid = \"A2\"\n";
        assert_eq!(text_of_tables(&format!("{TEXT}\n{items}"), "item").expect("read"), items);
        let apart = items.replace("\n[[item]]", "\n[orders]\ntimeout_s = 60\n[[item]]");
        assert_eq!(text_of_tables(&apart, "item").expect("read"), items);
        assert_eq!(text_of_tables(TEXT, "item").expect("read"), "");
        assert!(text_of_tables("[[item]", "item").is_err());
        assert_eq!(replace_tables("[[item]]\nid = \"B\"\n", "item", &[items.into()]).expect("replaced"), items);
    }

    #[test]
    fn what_cannot_be_changed_safely_is_said() {
        let inline = set("mqtt = { url = \"a\" }\n", "mqtt", "username", "\"b\"").expect_err("no place");
        assert_eq!(inline.to_string(), "mqtt.username cannot be changed where it stands: write `mqtt.username = \"b\"` there by hand");
        assert!(matches!(set(TEXT, "device", "id", "vm"), Err(EditError::Place { .. })));
        for no_section in ["mqtt.url = \"a\"\n", "mqtt = [1]\n", "[[mqtt]]\n"] {
            assert!(matches!(set(no_section, "mqtt", "username", "1"), Err(EditError::Place { .. })), "{no_section}");
        }
        assert!(matches!(set("[a]\n[a.b]\n", "a", "b", "1"), Err(EditError::Place { .. })));
        assert!(matches!(set(TEXT, "device", "id", "1\nx = 2"), Err(EditError::Place { .. })));
        assert!(matches!(set("[a\n", "a", "b", "1"), Err(EditError::Syntax { line: 1, .. })));
        assert!(matches!(remove("mqtt = { url = \"a\", x = 1 }\n", "mqtt", "x"), Err(EditError::Place { .. })));
    }

    #[test]
    fn a_key_is_taken_out_with_its_line() {
        assert_eq!(remove(TEXT, "mqtt", "url").expect("removed"), TEXT.replacen("url = \"mqtts://a\"\n", "", 1));
        assert_eq!(remove(TEXT, "mqtt", "nothing").expect("as it is"), TEXT);
        let whole = "[mqtt]\nurl = \"mqtts://a\"\n# ca_file = \"/x#y\"  # a private CA\n# port = 1\n\n";
        assert_eq!(remove_table(TEXT, "mqtt").expect("removed"), TEXT.replacen(whole, "", 1));
        assert_eq!(remove_table(TEXT, "nothing").expect("as it is"), TEXT);
        assert!(matches!(remove_table("mqtt.url = \"a\"\n", "mqtt"), Err(EditError::Place { .. })));
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
        let within = "[a]\n[[item]]\nid = \"A\"\n[a.b]\nx = 1\n";
        assert_eq!(replace_tables(within, "item", &blocks[..1]).expect("replaced"), within.replace("\"A\"", "\"C\""));
        let brackets = "[[item]]\nid = [\n[1],\n]\n# of r\n[r]\n";
        let odd = "x.y = 1\r\nb = 2\r\nx.z = 3\r\n[[item]]\r\nx.y = 1\r\n\r\n[a]\r\n[[item]]\n# y\nx.y = \"# z\"\n  # x\n[a.b.c]\n[a.b]\nd.e = 1\n";
        let replaced =
            odd.replacen("[[item]]\r\nx.y = 1\r\n", "[[item]]\nid = \"C\"\n", 1).replacen("[[item]]\n# y\nx.y = \"# z\"\n", "", 1);
        assert_eq!(replace_tables(odd, "item", &blocks[..1]).expect("replaced"), replaced);
        assert_eq!(replace_tables(brackets, "item", &blocks[..1]).expect("replaced"), "[[item]]\nid = \"C\"\n# of r\n[r]\n");
        assert!(replace_tables("item = []\n", "item", &blocks).is_err());
    }

    #[test]
    fn a_key_of_one_table_is_set() {
        let text = "[[line]]\nmin = 1 # of A\n[[line]]\nmin = 1 # of B\n";
        assert_eq!(set_in(text, "line", 1, "min", "20").expect("set"), text.replace("1 # of B", "20 # of B"));
        // A new key, whatever stands behind it.
        let inserted = text.replace("min = 1 # of B", "low = true\nmin = 1 # of B");
        assert_eq!(set_in(text, "line", 1, "low", "true").expect("set"), inserted);
        assert_eq!(set_in("[[line]]\n", "line", 0, "low", "true").expect("set"), "[[line]]\nlow = true\n");
        assert!(set_in("line = [{ min = 1 }]\n", "line", 0, "low", "true").is_err());
        for (name, index, key, value) in [("line", 2, "min", "1"), ("item", 0, "min", "1"), ("line", 0, "min", "x y")] {
            assert!(matches!(set_in(text, name, index, key, value), Err(EditError::Place { .. })), "{name}[{index}].{key}");
        }
    }

    #[test]
    fn values_are_quoted_as_toml_reads_them() {
        for text in ["a", "a\"b\\c", "tab\tline\n", "Rp5.000 – é", "\u{7f}\u{1}"] {
            let written = Text { file: "", text: format!("[a]\nb = {}\n", quoted(text)) };
            assert_eq!(written.value("a", "b").as_deref(), Some(text));
        }
    }
}
