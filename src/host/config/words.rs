//! The faults that the readers of TOML find, in words for the person who wrote the file. Their own messages are for programmers.

use super::reader::{ValueKind, Wrong};
use crate::hint::{instead, not_a_number, plain_number};
use crate::speech::fill;
use crate::texts;

texts! {
    unknown_key: "setelan ini tidak dikenal{0}", "unknown key{0}";
    unknown_word: "bukan kata yang dikenal{0}", "is not a known word{0}";
    missing: "{0} belum diisi", "{0} is missing";
    flag_quoted: "harus true atau false tanpa tanda kutip: tulis {0}", "must be true or false without quotes: write {0}";
    flag: "harus true atau false", "must be true or false";
    flag_write: "harus true atau false: tulis {0}", "must be true or false: write {0}";
    not: "{0}, bukan {1}", "{0}, not {1}";
    text: "harus teks dalam tanda kutip", "must be text in quotes";
    text_write: "harus teks dalam tanda kutip: tulis {0}", "must be text in quotes: write {0}";
    sections: "adalah daftar bagian: tulis [[{0}]] di atas masing-masing", "is a list of sections: write [[{0}]] above each of them";
    list_write: "harus daftar: tulis [{0}]", "must be a list: write [{0}]";
    list: "harus daftar: [ … ] dengan koma di antaranya", "must be a list: [ … ] with commas between";
    section: "adalah bagian: tulis [{0}] di baris tersendiri, dan isinya di bawahnya", "is a section: write [{0}] on a line of its own, and its keys below";
    table: "harus tabel: tulis {0} = {1}", "must be a table: write {0} = {1}";
    header_twice: "[{0}] tertulis dua kali: sisakan satu; setiap bagian dari sebuah daftar ditulis [[{0}]]", "[{0}] stands twice: keep one of them; each section of a list is written [[{0}]]";
    header: "bagian ditulis [{0}], dan setiap bagian dari sebuah daftar [[{0}]]", "a section is written [{0}], and each section of a list [[{0}]]";
    open_list: "daftar atau tabelnya tidak bisa dibaca: tulis {0} atau {1}, dengan koma di antaranya", "its list or table cannot be read: write {0} or {1}, with commas between";
    no_equals: "baris ini tidak punya =: tulis NAMA = NILAI, [bagian], atau # di depan catatan", "this line has no =: write KEY = VALUE, [section], or # before a remark";
    twice: "tertulis dua kali: sisakan satu", "stands twice: keep one of them";
    no_value: "tidak punya nilai: tulis nilainya di belakang =, atau hapus barisnya", "has no value: write one behind the =, or take the line out";
    leading_zero: "angka tidak diawali 0, dan teks ditulis dalam tanda kutip: tulis {0}", "a number does not begin with 0, and text stands in quotes: write {0}";
    backslash: "ada {0} di dalam teksnya: tulis {0}{0}, atau pakai tanda kutip tunggal", "text has a {0} in it: write {0}{0} in its place, or take single quotes";
    open_text: "teksnya tidak berakhir di tempatnya: teks ditulis di antara dua tanda kutip, di satu baris", "its text does not end where it should: it stands between two quotes on one line";
    number_or_text: "{0}; teks ditulis dalam tanda kutip", "{0}; text stands in quotes";
    text_unquoted: "teks harus ditulis dalam tanda kutip: tulis {0} = {1}", "text must stand in quotes: write {0} = {1}";
}

/// A longer value is not repeated.
const REPEATED_MAX: usize = 40;

/// `written`: the text at that place.
pub(super) fn misread(wrong: &Wrong, written: &str, key: Option<&str>) -> String {
    let is_section = key.is_some_and(|key| !key.contains(['.', '[']));
    let name = key.and_then(|key| key.rsplit('.').next()).unwrap_or("key");
    let texts = texts();
    match wrong {
        Wrong::UnknownKey(key, known) => fill(texts.unknown_key, &[&instead(key, known)]),
        Wrong::UnknownWord(word, known) => fill(texts.unknown_word, &[&instead(word, known)]),
        Wrong::Missing(key) => fill(texts.missing, &[key]),
        Wrong::Other(why) => why.clone(),
        Wrong::Not(ValueKind::Number) => not_a_number(written),
        Wrong::Not(ValueKind::Bool) => match written.trim_matches(['"', '\'']) {
            word @ ("true" | "false") => fill(texts.flag_quoted, &[&word]),
            _ if is_short(written) => fill(texts.not, &[&texts.flag, &written]),
            _ => texts.flag.into(),
        },
        Wrong::Not(ValueKind::Text) if !written.starts_with(['[', '{']) && is_short(written) => {
            fill(texts.text_write, &[&format_args!("\"{written}\"")])
        }
        Wrong::Not(ValueKind::Text) => texts.text.into(),
        Wrong::Not(ValueKind::List) if is_section => fill(texts.sections, &[&name]),
        Wrong::Not(ValueKind::List) if written.starts_with('"') && is_short(written) => fill(texts.list_write, &[&written]),
        Wrong::Not(ValueKind::List) => texts.list.into(),
        Wrong::Not(ValueKind::Table) if is_section => fill(texts.section, &[&name]),
        Wrong::Not(ValueKind::Table) => fill(texts.table, &[&name, &"{ … }"]),
    }
}

/// A text that is no TOML, at one place.
pub(super) struct Malformed {
    /// The key of that line, with its section.
    pub key: Option<String>,
    pub why: String,
    /// Where the key begins, if all other lines can be read: only this value is lost.
    pub lost: Option<usize>,
}

/// Says it. `at`: the place in `text` that the parser names. Its words are not looked at.
pub(super) fn malformed(text: &str, at: usize) -> Malformed {
    let begin = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = text[begin..].lines().next().unwrap_or_default();
    let stripped = line.trim_start();
    let texts = texts();
    let whole = |key: Option<String>, why: &str| Malformed { key, why: why.into(), lost: None };
    let section = section_at(&text[..begin]);
    if stripped.starts_with('[') && !stripped.contains('=') {
        let (is_list, name) = header(stripped);
        let is_whole =
            stripped.split('#').next().map(str::trim) == Some(&if is_list { format!("[[{name}]]") } else { format!("[{name}]") });
        let why = if is_whole && headers(&text[..begin]).any(|(_, above)| above == name) {
            fill(texts.header_twice, &[&name])
        } else {
            fill(texts.header, &[&name])
        };
        return whole(None, &why);
    }
    if let Some(name) = open_list(&text[..begin], stripped) {
        let why = fill(texts.open_list, &[&"[\"A1\", \"A2\"]", &"{ a = 1, b = 2 }"]);
        return whole(Some(of(&section, name)), &why);
    }
    let Some((name, value)) = stripped.split_once('=') else {
        return whole(None, texts.no_equals);
    };
    let name = name.trim();
    let above = text[..begin].lines().rev().take_while(|line| !line.trim_start().starts_with('['));
    let is_twice = above.filter_map(|line| line.split_once('=')).any(|(above, _)| above.trim() == name);
    let why = if is_twice { texts.twice.into() } else { unreadable(name, value.trim()) };
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
    let texts = texts();
    match value.to_ascii_lowercase().as_str() {
        "" => texts.no_value.into(),
        "yes" | "on" | "true" => fill(texts.flag_write, &[&"true"]),
        "no" | "off" | "false" => fill(texts.flag_write, &[&"false"]),
        _ if is_digits && value.starts_with('0') => fill(texts.leading_zero, &[&format_args!("\"{value}\"")]),
        _ if is_digits || plain_number(value).is_some() => not_a_number(value),
        _ if is_quoted && value.contains('\\') => fill(texts.backslash, &[&'\\']),
        _ if is_quoted => texts.open_text.into(),
        other if other.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
            fill(texts.number_or_text, &[&not_a_number(value)])
        }
        _ => fill(texts.text_unquoted, &[&name, &"\"…\""]),
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
