//! What is another in each run – ids, times, ports, keys, counts of writes – is a fixed word before it is compared.

use serde_json::Value;
use std::collections::HashMap;

/// How it looks, and the words for it: `0` is a digit, `#` a number, `%` a word, `@` the name of a month. The first that fits counts.
const LOOKS: [(&str, &str); 23] = [
    ("%, # @ 0000", "WEEKDAY, DAY"),
    ("%, # @", "WEEKDAY, DAY"),
    ("# @ 0000", "DAY"),
    ("# @", "DAY"),
    ("0000-00-00", "DAY"),
    ("00/00/0000", "DAY"),
    ("0000-00", "MONTH"),
    ("00:00:00", "TIME"),
    ("+00:00", "+ZONE"),
    ("00:00", "HH:MM"),
    ("00.00", "HH.MM"),
    ("0000000000000", "MS"),
    (":00000000000000000000", ":N"),
    ("# s left", "N s left"),
    ("#.# s ahead of", "N s from"),
    ("#.# s behind", "N s from"),
    ("#,# detik lebih cepat", "N detik lebih"),
    ("#,# detik lebih lambat", "N detik lebih"),
    ("# MB", "N MB"),
    ("boot_ms #", "boot_ms N"),
    ("as its number #", "as its number N"),
    ("dengan nomor #", "dengan nomor N"),
    ("127.0.0.1:#", "ADDRESS"),
];
const MONTHS: [&str; 16] = ["Jan", "Feb", "Mar", "Apr", "May", "Mei", "Jun", "Jul", "Aug", "Agu", "Sep", "Oct", "Okt", "Nov", "Dec", "Des"];
/// What counts how often something was written or asked, says how much time is left, or names a process.
const COUNTS: &str = "claimed_until_ms due_ms event_id expires_in_s number password remaining_s rev settled_ago_s stream sum try_again_s try_number try_wanted_s version who";

/// The names that a run knows by itself: an order's id is `ORDER-its-name`.
#[derive(Default)]
pub struct Fixed {
    names: Vec<(String, String)>,
    /// The same of what is a whole line.
    lines: HashMap<String, String>,
}

impl Fixed {
    pub fn name(&mut self, value: impl Into<String>, word: impl Into<String>) {
        self.names.push((value.into(), word.into()));
        // One may begin with another.
        self.names.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
    }

    /// The same of an order's number or a payment code, which also stand in groups; those of the number may be a line each.
    pub fn number(&mut self, value: &str, group: usize, word: &str) {
        let groups: Vec<&str> = (0..value.len()).step_by(group).map(|at| &value[at..(at + group).min(value.len())]).collect();
        self.lines.extend(groups.iter().filter(|group| group.len() == 5).map(|group| ((*group).to_owned(), String::new())));
        self.lines.insert(groups[0].to_owned(), word.to_owned());
        self.name(groups.join(" "), word);
        self.name(value, word);
    }

    /// A text for people or of CSV. The widths of columns do not count.
    pub fn text(&self, text: &str) -> String {
        let named = self.names.iter().fold(text.to_owned(), |text, (value, word)| text.replace(value, word));
        let lines = named.lines().map(|line| without_secrets(&without_times(&line.split_whitespace().collect::<Vec<_>>().join(" "))));
        let lines = lines.map(|line| self.lines.get(&line).cloned().unwrap_or(line));
        lines.filter(|line| !line.is_empty()).map(|line| line + "\n").collect()
    }

    /// JSON, a line for each value: its path, and what it is.
    pub fn json(&self, value: &Value) -> String {
        let mut lines = String::new();
        self.flat(value, "", &mut lines);
        self.text(&lines)
    }

    /// The same of what a program wrote, an object a line.
    pub fn json_lines(&self, text: &str) -> String {
        let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
        let mut all: Vec<_> = text.lines().map(|line| self.json(&read(line))).collect();
        all.sort();
        all.join("-\n")
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
            // A message may come before an answer or after it.
            _ if path.starts_with("history.") && !path.starts_with("history.0.") => {}
            _ if path.contains(".polling.") || COUNTS.split(' ').any(|name| path.rsplit('.').next() == Some(name)) => {
                *lines += &format!("{path} …\n")
            }
            // What is stored as text may be JSON.
            Value::String(text) if text.starts_with(['{', '[']) => match serde_json::from_str(text) {
                Ok(inside) => self.flat(&inside, &inner("json"), lines),
                Err(_) => *lines += &format!("{path} {value}\n"),
            },
            _ => *lines += &format!("{path} {value}\n"),
        }
    }
}

fn without_times(line: &str) -> String {
    let (mut made, mut rest) = (String::new(), line);
    while let Some(first) = rest.chars().next() {
        let is_inside = made.ends_with(|c: char| c.is_ascii_digit() && first != ':' || first.is_alphabetic() && c.is_alphabetic());
        let found = LOOKS.iter().filter(|_| !is_inside).find_map(|(look, word)| Some((after(rest, look)?, *word)));
        rest = match found {
            Some((after, word)) => {
                made += word;
                after
            }
            None => {
                made.push(first);
                &rest[first.len_utf8()..]
            }
        };
    }
    made
}

/// What comes after a text that begins so; no digit does.
fn after<'a>(text: &'a str, look: &str) -> Option<&'a str> {
    let run = |rest: &'a str, is: fn(char) -> bool| Some(rest.trim_start_matches(is)).filter(|after| after.len() < rest.len());
    let rest = look.chars().try_fold(text, |rest, part| match part {
        '0' => rest.strip_prefix(|c: char| c.is_ascii_digit()),
        '#' => run(rest, |c| c.is_ascii_digit()),
        '%' => run(rest, char::is_alphabetic),
        '@' if MONTHS.iter().any(|month| rest.starts_with(month)) => run(rest, char::is_alphabetic),
        other => rest.strip_prefix(other),
    });
    rest.filter(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
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
