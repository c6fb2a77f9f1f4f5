//! What is another in each run – ids, times, ports, keys, counts of writes – is a fixed word before it is compared.

use serde_json::Value;

/// How times and days look, and the words that stand for them. A `d` is a digit. The first that fits counts.
const LOOKS: [(&str, &str); 11] = [
    ("dd s left", "N s left"),
    ("d s left", "N s left"),
    ("dddd-dd-dd", "DAY"),
    ("dd:dd:dd", "TIME"),
    ("+dd:dd", "+ZONE"),
    ("dd:dd", "HH:MM"),
    ("dd.dd", "HH.MM"),
    ("dd/dd/dddd", "DAY"),
    ("dddd-dd", "MONTH"),
    ("ddddddddddddd", "MS"),
    ("127.0.0.1:ddddd", "ADDRESS"),
];
/// The months as the desk writes them, by their first letters.
const MONTHS: [&str; 16] = ["jan", "feb", "mar", "apr", "may", "mei", "jun", "jul", "aug", "agu", "sep", "oct", "okt", "nov", "dec", "des"];
/// What counts how often something was written or asked, says how much time is left, or names a process.
const COUNTS: [&str; 12] = [
    "claimed_until_ms",
    "due_ms",
    "event_id",
    "expires_in_s",
    "remaining_s",
    "rev",
    "settled_ago_s",
    "stream",
    "try_again_s",
    "try_wanted_s",
    "version",
    "who",
];

/// The names that a run knows by itself: an order's id is `ORDER-its-name`.
#[derive(Default)]
pub struct Fixed {
    names: Vec<(String, String)>,
    /// The same of what is a whole line.
    lines: Vec<(String, String)>,
}

impl Fixed {
    pub fn name(&mut self, value: impl Into<String>, word: impl Into<String>) {
        self.names.push((value.into(), word.into()));
        // One may begin with another.
        self.names.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    }

    /// The name of an order, also as it stands in groups, and in a list.
    pub fn order(&mut self, id: &str, name: &str) {
        let groups: Vec<&str> = (0..id.len()).step_by(5).map(|at| &id[at..(at + 5).min(id.len())]).collect();
        self.lines.push((groups[0].to_owned(), format!("ORDER {name}")));
        self.name(groups.join(" "), format!("ORDER {name}"));
        self.name(id, format!("ORDER-{name}"));
    }

    /// A text for people or of CSV. The widths of columns do not count.
    pub fn text(&self, text: &str) -> String {
        let named = self.names.iter().fold(text.replace('\r', ""), |text, (value, word)| text.replace(value, word));
        let whole = |line: String| self.lines.iter().find(|(value, _)| *value == line).map_or(line, |(_, word)| word.clone());
        let lines = named.lines().map(|line| whole(squeezed(&without_secrets(&without_times(&without_dates(line))))));
        lines.filter(|line| !line.is_empty()).map(|line| line + "\n").collect()
    }

    /// JSON, a line for each value: its path, and what it is.
    pub fn json(&self, value: &Value) -> String {
        let mut lines = String::new();
        self.flat(value, "", &mut lines);
        lines
    }

    /// The same of what a program wrote, an object a line.
    pub fn json_lines(&self, text: &str) -> String {
        let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
        text.lines().map(|line| self.json(&read(line)) + "-\n").collect()
    }

    fn flat(&self, value: &Value, path: &str, lines: &mut String) {
        let inner = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                fields.iter().for_each(|(name, value)| self.flat(value, &inner(name), lines));
            }
            Value::Array(list) if list.iter().any(|one| one.is_object() || one.is_array()) => {
                list.iter().enumerate().for_each(|(n, value)| self.flat(value, &inner(&n.to_string()), lines));
            }
            _ if path.contains(".polling.") || COUNTS.contains(&path.rsplit('.').next().unwrap_or(path)) => {
                *lines += &format!("{path} …\n")
            }
            // What is stored as text may be JSON.
            Value::String(text) if text.starts_with(['{', '[']) => match serde_json::from_str(text) {
                Ok(inside) => self.flat(&inside, &inner("json"), lines),
                Err(_) => *lines += &self.text(&format!("{path} {value}")),
            },
            _ => *lines += &self.text(&format!("{path} {value}")),
        }
    }
}

/// Runs of blanks are two.
fn squeezed(line: &str) -> String {
    let parts: Vec<&str> = line.trim_end().split("  ").map(str::trim).filter(|part| !part.is_empty()).collect();
    parts.join("  ")
}

/// `Friday, 27 November` and `1 Jan 2027`.
fn without_dates(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let is_number = |word: &str, digits: std::ops::RangeInclusive<usize>| {
        digits.contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
    };
    let plain = |word: &str| word.trim_end_matches(|c: char| !c.is_alphanumeric()).to_ascii_lowercase();
    let is_month = |word: &&str| {
        plain(word).get(..3).is_some_and(|begins| MONTHS.contains(&begins)) && plain(word).bytes().all(|byte| byte.is_ascii_lowercase())
    };
    let (mut made, mut at): (Vec<&str>, usize) = (Vec::new(), 0);
    while at < words.len() {
        if is_number(words[at], 1..=2) && words.get(at + 1).is_some_and(is_month) {
            if made
                .last()
                .is_some_and(|word| word.ends_with("day,") || word.chars().all(|c| c.is_alphabetic() || c == ',') && word.ends_with(','))
            {
                made.pop();
                made.push("WEEKDAY,");
            }
            made.push("DAY");
            at += if words.get(at + 2).is_some_and(|year| is_number(&plain(year), 4..=4)) { 3 } else { 2 };
        } else {
            made.push(words[at]);
            at += 1;
        }
    }
    made.join(" ")
}

fn without_times(line: &str) -> String {
    let (mut made, mut rest) = (String::new(), line);
    while let Some(first) = rest.chars().next() {
        let is_inside = made.ends_with(|c: char| c.is_ascii_digit());
        let found = LOOKS.iter().find(|(look, _)| !is_inside && fits(rest, look));
        let taken = match found {
            Some((look, word)) => {
                made += word;
                look.len()
            }
            None => {
                made.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    made
}

/// Whether a text begins so, and no digit comes after it.
fn fits(text: &str, look: &str) -> bool {
    let is = |byte: &u8, wanted: u8| if wanted == b'd' { byte.is_ascii_digit() } else { *byte == wanted };
    let bytes = text.as_bytes();
    bytes.len() >= look.len()
        && bytes.iter().zip(look.bytes()).all(|(byte, wanted)| is(byte, wanted))
        && !bytes.get(look.len()).is_some_and(u8::is_ascii_digit)
}

/// Keys, hashes, signatures and the ids of others are long, and no words.
fn without_secrets(line: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut made = String::new();
    for piece in line.split_inclusive(|c| !is_part(c)) {
        let run = piece.trim_end_matches(|c| !is_part(c));
        let has = |is: fn(char) -> bool| run.contains(is);
        let has_letters = has(|c| c.is_ascii_alphabetic());
        let is_mixed = has(|c| c.is_ascii_lowercase()) && has(|c| c.is_ascii_uppercase());
        let is_random = run.len() >= 16 && has(|c| c.is_ascii_digit()) && has_letters || run.len() >= 20 && is_mixed;
        let is_ours = ["ORDER-", "CODE-", "TICKET-", "r-"].iter().any(|word| run.starts_with(word));
        let is_key = is_random && !is_ours || made.ends_with("key=");
        made += if is_key { "KEY" } else { run };
        made += &piece[run.len()..];
    }
    made
}
