//! What the readers of TOML find wrong, in words for the person who wrote the file. Their own messages are for programmers.

use super::reader::{Wanted, Wrong};
use crate::hint::{instead, not_a_number, plain_number};

/// A longer value is not repeated.
const REPEATED_MAX: usize = 40;

/// Why a key or value of good form could not be taken. `written`: the text at that place.
pub(super) fn misread(wrong: &Wrong, written: &str, key: Option<&str>) -> String {
    let is_section = key.is_some_and(|key| !key.contains(['.', '[']));
    let name = key.and_then(|key| key.rsplit('.').next()).unwrap_or("key");
    match wrong {
        Wrong::UnknownKey(key, known) => format!("unknown key{}", instead(key, known)),
        Wrong::UnknownWord(word, known) => format!("is not a known word{}", instead(word, known)),
        Wrong::Missing(key) => format!("{key} is missing"),
        Wrong::Other(why) => why.clone(),
        Wrong::Not(Wanted::Number) => not_a_number(written),
        Wrong::Not(Wanted::Bool) => match written.trim_matches(['"', '\'']) {
            word @ ("true" | "false") => format!("must be true or false without quotes: write {word}"),
            _ => format!("must be true or false{}", not(written)),
        },
        Wrong::Not(Wanted::Text) if !written.starts_with(['[', '{']) && is_short(written) => {
            format!("must be text in quotes: write \"{written}\"")
        }
        Wrong::Not(Wanted::Text) => "must be text in quotes".into(),
        Wrong::Not(Wanted::List) if is_section => format!("is a list of sections: write [[{name}]] above each of them"),
        Wrong::Not(Wanted::List) if written.starts_with('"') && is_short(written) => format!("must be a list: write [{written}]"),
        Wrong::Not(Wanted::List) => "must be a list: [ … ] with commas between".into(),
        Wrong::Not(Wanted::Table) if is_section => {
            format!("is a section: write [{name}] on a line of its own, and its keys below")
        }
        Wrong::Not(Wanted::Table) => format!("must be a table: write {name} = {{ … }}"),
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

/// Says it. `at`: the place in `text` that the parser names. Its words are not looked at.
pub(super) fn malformed(text: &str, at: usize) -> Malformed {
    let begin = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = text[begin..].lines().next().unwrap_or_default();
    let stripped = line.trim_start();
    let whole = |key: Option<String>, why: &str| Malformed { key, why: why.into(), lost: None };
    let section = section_at(&text[..begin]);
    if stripped.starts_with('[') && !stripped.contains('=') {
        let (is_list, name) = header(stripped);
        let is_whole =
            stripped.split('#').next().map(str::trim) == Some(&if is_list { format!("[[{name}]]") } else { format!("[{name}]") });
        let why = if is_whole && headers(&text[..begin]).any(|(_, above)| above == name) {
            format!("[{name}] stands twice: keep one of them; each section of a list is written [[{name}]]")
        } else {
            format!("a section is written [{name}], and each section of a list [[{name}]]")
        };
        return whole(None, &why);
    }
    if let Some(name) = open_list(&text[..begin], stripped) {
        let why = "its list or table cannot be read: write [\"A1\", \"A2\"] or { a = 1, b = 2 }, with commas between";
        return whole(Some(of(&section, name)), why);
    }
    let Some((name, value)) = stripped.split_once('=') else {
        return whole(None, "this line has no =: write KEY = VALUE, [section], or # before a remark");
    };
    let name = name.trim();
    let above = text[..begin].lines().rev().take_while(|line| !line.trim_start().starts_with('['));
    let is_twice = above.filter_map(|line| line.split_once('=')).any(|(above, _)| above.trim() == name);
    let why = if is_twice { "stands twice: keep one of them".into() } else { unreadable(name, value.trim()) };
    let is_one_line = !["\"\"\"", "'''"].iter().any(|quote| value.contains(quote));
    Malformed { key: Some(of(&section, name)), why, lost: is_one_line.then_some(begin + line.len() - stripped.len()) }
}

/// The key of the list or inline table in which this line stands, or which it opens. `above`: the text before it.
fn open_list<'a>(above: &'a str, line: &'a str) -> Option<&'a str> {
    fn opens(line: &str) -> Option<&str> {
        line.split_once('=').filter(|(_, value)| value.trim_start().starts_with(['[', '{'])).map(|(name, _)| name)
    }
    let own = opens(line);
    if own.is_some() {
        return own;
    }
    let mut depth = 0_i32;
    for line in above.lines().rev().filter(|line| !line.trim_start().starts_with('#')) {
        let count = |brackets: [char; 2]| i32::try_from(line.matches(brackets).count()).unwrap_or(i32::MAX);
        depth = depth.saturating_add(count(['[', '{'])).saturating_sub(count([']', '}']));
        if let Some(name) = opens(line) {
            return (depth > 0).then_some(name);
        }
        if line.contains('=') {
            return None;
        }
    }
    None
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
        other if other.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
            format!("{}; text stands in quotes", not_a_number(value))
        }
        _ => format!("text must stand in quotes: write {name} = \"…\""),
    }
}

/// The section in which the text ends, as a key: `item[1]`, or nothing.
fn section_at(text: &str) -> String {
    match headers(text).last() {
        Some((true, name)) => format!("{name}[{}]", headers(text).filter(|(_, other)| *other == name).count() - 1),
        Some((false, name)) => name.into(),
        None => String::new(),
    }
}

/// The headers of sections, each with whether it is one of a list.
fn headers(text: &str) -> impl Iterator<Item = (bool, &str)> {
    text.lines().map(str::trim).filter(|line| line.starts_with('[')).map(header)
}

fn header(line: &str) -> (bool, &str) {
    (line.starts_with("[["), line.trim_start_matches('[').split([']', '#']).next().unwrap_or_default().trim())
}

fn of(section: &str, name: &str) -> String {
    if section.is_empty() { name.trim().into() } else { format!("{section}.{}", name.trim()) }
}

fn is_short(written: &str) -> bool {
    !written.contains('\n') && written.chars().count() <= REPEATED_MAX
}

fn not(written: &str) -> String {
    if is_short(written) { format!(", not {written}") } else { String::new() }
}
