//! The settings of a configuration file. Each is one entry in the table of its program: place, values, default, and its sentence. The
//! program reads its numbers by this entry, and the document and the manual page are made from it.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its key, with the sections before it: `orders.timeout_s`. A list has no number: `line.pulse_ms`.
    pub key: &'static str,
    pub values: Values,
    /// Whether it can be set from afar, too.
    pub afar: bool,
    /// Its sentence, in Markdown, with links from `docs/using`.
    pub meaning: &'static str,
}

#[derive(Debug, Clone, Copy)]
pub enum Values {
    Whole {
        whole: Whole,
        /// `""` where it counts something.
        unit: &'static str,
        /// The default in words, where a number does not say it.
        said: Option<&'static str>,
    },
    Flag {
        usual: bool,
    },
    /// Others, which are checked by their own code.
    Said {
        /// In words.
        values: &'static str,
        /// The default in words. `–`: the key must be there.
        usual: &'static str,
    },
}

#[derive(Debug, Clone, Copy)]
pub struct Whole {
    pub key: &'static str,
    pub least: i64,
    pub most: i64,
    /// The default. Where the key must be there, or a missing one has another meaning, nobody asks for it.
    pub usual: i64,
}

impl Whole {
    #[must_use]
    pub const fn range(self) -> RangeInclusive<i64> {
        self.least..=self.most
    }
}

/// A whole number. Its unit is `""` where it counts something.
#[must_use]
pub const fn whole(key: &'static str, range: RangeInclusive<i64>, unit: &'static str, usual: i64, meaning: &'static str) -> Setting {
    let whole = Whole { key, least: *range.start(), most: *range.end(), usual };
    Setting { key, values: Values::Whole { whole, unit, said: None }, afar: false, meaning }
}

#[must_use]
pub const fn whole_or(
    key: &'static str,
    range: RangeInclusive<i64>,
    unit: &'static str,
    (usual, said): (i64, &'static str),
    meaning: &'static str,
) -> Setting {
    let whole = Whole { key, least: *range.start(), most: *range.end(), usual };
    Setting { key, values: Values::Whole { whole, unit, said: Some(said) }, afar: false, meaning }
}

#[must_use]
pub const fn flag(key: &'static str, usual: bool, meaning: &'static str) -> Setting {
    Setting { key, values: Values::Flag { usual }, afar: false, meaning }
}

#[must_use]
pub const fn said(key: &'static str, values: &'static str, usual: &'static str, meaning: &'static str) -> Setting {
    Setting { key, values: Values::Said { values, usual }, afar: false, meaning }
}

impl Setting {
    #[must_use]
    pub const fn afar(self) -> Self {
        Self { afar: true, ..self }
    }

    fn values(&self) -> String {
        match self.values {
            Values::Whole { whole, unit, .. } => {
                let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
                format!("{}–{}{unit}", grouped(whole.least), grouped(whole.most))
            }
            Values::Flag { .. } => "true, false".into(),
            Values::Said { values, .. } => values.into(),
        }
    }

    fn usual(&self) -> String {
        match self.values {
            Values::Whole { said: Some(said), .. } => said.into(),
            Values::Whole { whole, .. } => grouped(whole.usual),
            Values::Flag { usual } => usual.to_string(),
            Values::Said { usual, .. } => usual.into(),
        }
    }

    /// Its lines in a manual page: its values and default, and its sentence. No link is left.
    #[must_use]
    pub fn for_manual(&self) -> String {
        let (values, usual) = (self.values(), self.usual());
        let default = match usual.as_str() {
            "" => String::new(),
            "–" => "; required".into(),
            usual => format!("; default: {usual}"),
        };
        let afar = if self.afar { ". Also from afar" } else { "" };
        without_links(&format!("{values}{default}{afar}. {}.", self.meaning).replace('`', "")).trim_start_matches("; ").to_owned()
    }
}

/// A number of this table, at compile time: a key that is not there, or is no number, does not compile.
#[must_use]
pub const fn number(table: &[Setting], key: &str) -> Whole {
    let mut at = 0;
    while at < table.len() {
        if let Values::Whole { whole, .. } = table[at].values
            && is_same(table[at].key, key)
        {
            return whole;
        }
        at += 1;
    }
    panic!("the table has no number of this name")
}

/// The default of a setting that is true or false, likewise.
#[must_use]
pub const fn is_on(table: &[Setting], key: &str) -> bool {
    let mut at = 0;
    while at < table.len() {
        if let Values::Flag { usual } = table[at].values
            && is_same(table[at].key, key)
        {
            return usual;
        }
        at += 1;
    }
    panic!("the table has nothing of this name that is true or false")
}

const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// `[mqtt]`, in the files of three programs.
pub const MQTT: &[Setting] = &[
    said("url", "`mqtts://HOST[:8883]`", "–", "`mqtt://HOST[:1883]` on loopback only, or with `allow_plaintext`"),
    said("username, password_file", "text, secret", "none", "a password needs a name beside it"),
    said("ca_file", "path, PEM", "the system's CAs", "a private CA"),
    said("cert_file, key_file", "paths, PEM", "none", "mutual TLS; both or neither"),
    flag("allow_plaintext", false, "with it everybody on the way can read and change what is sent. Nothing that they send opens a relay"),
];

/// A document, with the table below each of these headings made anew. It fails with the heading that is not there or has no table.
pub fn document(text: &str, tables: &[(&str, &[Setting])]) -> Result<String, String> {
    let mut text = text.to_owned();
    for (heading, table) in tables {
        let none = || format!("there is no table below {heading}");
        let at = text.find(&format!("\n## {heading}\n")).ok_or_else(none)?;
        let begin = at + text[at..].find("\n| key |").ok_or_else(none)? + 1;
        let end = text[begin..].find("\n\n").map_or(text.len(), |end| begin + end + 1);
        text.replace_range(begin..end, &rows(table));
    }
    Ok(text)
}

fn rows(table: &[Setting]) -> String {
    let has_afar = table.iter().any(|setting| setting.afar);
    let cell = |text: &str| if has_afar { format!(" {text} |") } else { String::new() };
    let mut rows = format!("| key | values | default |{} meaning |\n| --- | --- | --- |{} --- |\n", cell("from afar"), cell("---"));
    for setting in table {
        let keys: Vec<_> = setting.key.split(", ").map(|key| format!("`{key}`")).collect();
        let afar = cell(if setting.afar { "yes" } else { "" });
        let (keys, values, usual) = (keys.join(", "), setting.values(), setting.usual());
        writeln!(rows, "| {keys} | {values} | {usual} |{afar} {} |", setting.meaning).expect("a String takes everything");
    }
    rows
}

/// `10080` is `10,080`.
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `[text](target)` is `text`.
fn without_links(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(middle) = rest.find("](") {
        let (head, tail) = (&rest[..middle], &rest[middle + 2..]);
        let (Some(open), Some(close)) = (head.rfind('['), tail.find(')')) else { break };
        out.push_str(&head[..open]);
        out.push_str(&head[open + 1..]);
        rest = &tail[close + 1..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Setting] = &[
        whole("orders.timeout_s", 10..=10_080, "s", 1200, "how long [it](a.md#b) is `there`").afar(),
        whole_or("line.off", 0..=9, "", (3, "–"), "an offset"),
        flag("a.b", true, "so"),
        said("c, d", "text", "", "two"),
    ];

    #[test]
    fn a_number_is_found_by_its_key() {
        let found = number(TABLE, "line.off");
        assert_eq!((found.range(), found.usual, number(TABLE, "orders.timeout_s").usual), (0..=9, 3, 1200));
    }

    #[test]
    fn documents_and_manuals_are_made_from_the_table() {
        let text = "# A\n\n## B\n\n| key | other |\n| --- | --- |\n| `a` | b |\n\nBehind.\n";
        let made = document(text, &[("B", TABLE)]).expect("it has a table");
        let rows = [
            "| key | values | default | from afar | meaning |",
            "| --- | --- | --- | --- | --- |",
            "| `orders.timeout_s` | 10–10,080 s | 1,200 | yes | how long [it](a.md#b) is `there` |",
            "| `line.off` | 0–9 | – |  | an offset |",
            "| `a.b` | true, false | true |  | so |",
            "| `c`, `d` | text |  |  | two |",
        ];
        assert_eq!(made, format!("# A\n\n## B\n\n{}\n\nBehind.\n", rows.join("\n")));
        assert_eq!(document(&made, &[("B", TABLE)]).as_ref(), Ok(&made));
        assert_eq!(document(text, &[("C", TABLE)]), Err("there is no table below C".into()));
        let manual: Vec<String> = TABLE.iter().map(Setting::for_manual).collect();
        assert_eq!(
            manual,
            [
                "10–10,080 s; default: 1,200. Also from afar. how long it is there.",
                "0–9; required. an offset.",
                "true, false; default: true. so.",
                "text. two.",
            ]
        );
    }
}
