//! What the readers of TOML find wrong, in words for the person who wrote the file. Their own messages are for programmers.

use crate::hint::{instead, not_a_number, plain_number};

/// The beginning of what is said about a key that is not known.
pub(super) const UNKNOWN: &str = "unknown key";
/// A longer value is not repeated.
const REPEATED_MAX: usize = 40;

/// Why a key or value of good form could not be taken. `message`: serde's; `written`: the text at that place.
pub(super) fn misread(message: &str, written: &str, key: Option<&str>) -> String {
    if let Some(names) = message.strip_prefix("unknown field ") {
        let names = names_in(names);
        return format!("{UNKNOWN}{}", names.split_first().map(|(wrong, known)| instead(wrong, known)).unwrap_or_default());
    }
    if let Some(names) = message.strip_prefix("unknown variant ") {
        let names = names_in(names);
        return format!("is not a known word{}", names.split_first().map(|(wrong, known)| instead(wrong, known)).unwrap_or_default());
    }
    if let Some(names) = message.strip_prefix("missing field ") {
        return format!("{} is missing", names_in(names).concat());
    }
    let Some((found, expected)) = message.rsplit_once(", expected ").filter(|(found, _)| found.starts_with("invalid ")) else {
        return message.to_owned();
    };
    let is_section = key.is_some_and(|key| !key.contains(['.', '[']));
    let name = key.and_then(|key| key.rsplit('.').next()).unwrap_or("key");
    match expected.split_whitespace().next().unwrap_or_default() {
        "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "usize" => not_a_number(written),
        "a" if expected == "a boolean" => match written.trim_matches(['"', '\'']) {
            word @ ("true" | "false") => format!("must be true or false without quotes: write {word}"),
            _ => format!("must be true or false{}", not(written)),
        },
        "a" if expected == "a string" => match found {
            found if ["integer", "floating", "boolean", "datetime"].iter().any(|kind| found.contains(kind)) && is_short(written) => {
                format!("must be text in quotes: write \"{written}\"")
            }
            _ => "must be text in quotes".into(),
        },
        "path" => "must be a path in quotes".into(),
        "a" if expected == "a sequence" && is_section => format!("is a list of sections: write [[{name}]] above each of them"),
        "a" if expected == "a sequence" && written.starts_with('"') && is_short(written) => format!("must be a list: write [{written}]"),
        "a" if expected == "a sequence" => "must be a list: [ … ] with commas between".into(),
        "a" | "struct" if is_section => format!("is a section: write [{name}] on a line of its own, and its keys below"),
        _ => format!("must be a table: write {name} = {{ … }}"),
    }
}

/// A text that is no TOML, at one place.
pub(super) struct Malformed {
    /// The key of that line, with its section.
    pub key: Option<String>,
    /// What is wrong, and what to write.
    pub why: String,
    /// Where the key begins, if all other lines can be read: only this value is lost.
    pub lost: Option<usize>,
}

/// Says it. `at`: the place that the parser names in `text`; `message`: its words, of which only the subject is taken.
pub(super) fn malformed(text: &str, at: usize, message: &str) -> Malformed {
    let begin = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = text[begin..].lines().next().unwrap_or_default();
    let stripped = line.trim_start();
    let whole = |key: Option<String>, why: &str| Malformed { key, why: why.into(), lost: None };
    let section = section_at(&text[..begin]);
    if stripped.starts_with('[') && !stripped.contains('=') {
        let name = stripped.trim_start_matches('[').split([']', '#']).next().unwrap_or_default().trim();
        let why = if message.starts_with("duplicate") {
            format!("[{name}] stands twice: keep one of them; each section of a list is written [[{name}]]")
        } else {
            format!("a section is written [{name}], and each section of a list [[{name}]]")
        };
        return whole(None, &why);
    }
    if ["array", "inline"].iter().any(|kind| message.contains(kind)) {
        let why = "its list or table cannot be read: write [\"A1\", \"A2\"] or { a = 1, b = 2 }, with commas between";
        return whole(stripped.split_once('=').map(|(name, _)| of(&section, name)), why);
    }
    let Some((name, value)) = stripped.split_once('=') else {
        return whole(None, "this line has no =: write KEY = VALUE, [section], or # before a remark");
    };
    let name = name.trim();
    let why = if message.starts_with("duplicate") { "stands twice: keep one of them".into() } else { unreadable(name, value.trim()) };
    let is_one_line = !["\"\"\"", "'''"].iter().any(|quote| value.contains(quote)) && !value.trim_start().starts_with(['[', '{']);
    Malformed { key: Some(of(&section, name)), why, lost: is_one_line.then_some(begin + line.len() - stripped.len()) }
}

/// Why a value cannot be read. It may be a secret, so only a number is repeated.
fn unreadable(name: &str, value: &str) -> String {
    let is_quoted = value.starts_with(['"', '\'']);
    let value = if is_quoted { value } else { value.split('#').next().unwrap_or_default().trim() };
    let is_digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.to_ascii_lowercase().as_str() {
        "" => "has no value: write one behind the =, or take the line out".into(),
        "yes" | "on" | "true" => "must be true or false: write true".into(),
        "no" | "off" | "false" => "must be true or false: write false".into(),
        _ if is_digits && value.starts_with('0') => format!("a number does not begin with 0, and text stands in quotes: write \"{value}\""),
        _ if is_digits || plain_number(value).is_some() => not_a_number(value),
        _ if is_quoted && value.contains('\\') => "text has a \\ in it: write \\\\ in its place, or take single quotes".into(),
        _ if is_quoted => "its text does not end where it should: it stands between two quotes on one line".into(),
        other if other.starts_with(['[', '{']) => "write [\"A1\", \"A2\"] or { a = 1, b = 2 }, with commas between".into(),
        other if other.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
            format!("{}; text stands in quotes", not_a_number(value))
        }
        _ => format!("text must stand in quotes: write {name} = \"…\""),
    }
}

/// The section in which the text ends, as a key: `item[1]`, or nothing.
fn section_at(text: &str) -> String {
    let headers = text.lines().map(str::trim).filter(|line| line.starts_with('['));
    let named = headers.filter_map(|line| Some((line.starts_with("[["), line.trim_start_matches('[').split(']').next()?.trim())));
    let named: Vec<_> = named.collect();
    match named.last() {
        Some((true, name)) => format!("{name}[{}]", named.iter().filter(|(_, other)| other == name).count() - 1),
        Some((false, name)) => (*name).into(),
        None => String::new(),
    }
}

fn of(section: &str, name: &str) -> String {
    if section.is_empty() { name.trim().into() } else { format!("{section}.{}", name.trim()) }
}

/// The names that a message of serde has in backticks.
fn names_in(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

fn is_short(written: &str) -> bool {
    !written.contains('\n') && written.chars().count() <= REPEATED_MAX
}

fn not(written: &str) -> String {
    if is_short(written) { format!(", not {written}") } else { String::new() }
}
