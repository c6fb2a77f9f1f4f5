//! A person at a terminal, who reads what is written and types what is asked for. A secret is not shown, and colours are.

use crate::Failure;
use qris_core::text::{self, steers};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};

/// Whether a person sits at standard input.
#[must_use]
pub fn is_there() -> bool {
    io::stdin().is_terminal()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// All is well.
    Green,
    /// Somebody should look at it.
    Yellow,
    /// It does not work.
    Red,
}

/// Whether standard output is a terminal that a person wants to have colours.
#[must_use]
pub fn is_coloured() -> bool {
    has_colours(io::stdout().is_terminal(), |name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

impl Colour {
    #[must_use]
    pub fn put_on(self, text: &str) -> String {
        let code = match self {
            Self::Green => 32,
            Self::Yellow => 33,
            Self::Red => 31,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// As <https://no-color.org> and <https://bixense.com/clicolors> have it.
fn has_colours(is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    let is = |name: &str, value: &str| variable(name).is_some_and(|found| found == value);
    if variable("NO_COLOR").is_some() {
        return false;
    }
    let is_forced = variable("CLICOLOR_FORCE").is_some() && !is("CLICOLOR_FORCE", "0");
    is_forced || (is_terminal && !is("CLICOLOR", "0") && !is("TERM", "dumb"))
}

/// Standard input as a terminal that does not show the typed text, until this is dropped. If it is not a terminal,
/// nothing changes.
pub struct Hidden {
    before: Option<Termios>,
}

impl Hidden {
    #[must_use]
    pub fn begin() -> Self {
        // The end of the line is shown: the cursor moves on.
        Self::with(LocalModes::ECHONL)
    }

    /// Begins to hide the ends of lines too, for a text of many lines.
    #[must_use]
    pub fn wholly() -> Self {
        Self::with(LocalModes::empty())
    }

    fn with(shown: LocalModes) -> Self {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(before) = &before {
            let mut hidden = before.clone();
            hidden.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
            hidden.local_modes.insert(shown);
            set(&hidden);
        }
        Self { before }
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            set(before);
        }
    }
}

fn set(settings: &Termios) {
    // A terminal that refuses stays as it is.
    let _ = tcsetattr(io::stdin(), OptionalActions::Flush, settings);
}

/// Writes one whole line to standard output at once, with [`harmless`] text.
/// It fails when nobody reads any more. Then the command ends.
pub fn line(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", harmless(text)).and_then(|()| out.flush()).map_err(Failure::failed)
}

/// Some terminals obey characters above ASCII, too. JSON may hold them as they are, so they are written as JSON writes the others.
#[must_use]
pub fn harmless(text: &str) -> Cow<'_, str> {
    // Those below are in no JSON, and in our own lines: line ends and colours.
    let obeyed = |c: char| c >= '\u{7f}' && steers(c);
    match text.contains(obeyed) {
        true => text.chars().map(|c| if obeyed(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }).collect(),
        false => text.into(),
    }
}

/// The text without control characters: words of a machine must not drive the terminal.
#[must_use]
pub fn plain(text: &str) -> String {
    text::plain(text, char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_cannot_drive_the_terminal_either() {
        let value = serde_json::json!({ "detail": "a\u{9b}2J\u{7f}é\u{1b}\u{202e}" });
        let told = harmless(&value.to_string()).into_owned();
        assert_eq!(told, r#"{"detail":"a\u009b2J\u007fé\u001b\u202e"}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&told).expect("JSON"), value);
    }

    #[test]
    fn colours_are_for_terminals_whose_person_wants_them() {
        for (is_terminal, set, wanted) in [
            (true, &[][..], true),
            (false, &[], false),
            (true, &[("NO_COLOR", "1")], false),
            (true, &[("CLICOLOR", "0")], false),
            (true, &[("CLICOLOR", "1")], true),
            (true, &[("TERM", "dumb")], false),
            (false, &[("CLICOLOR_FORCE", "1")], true),
            (false, &[("CLICOLOR_FORCE", "0")], false),
            (true, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], false),
        ] {
            let variable = |name: &str| set.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(has_colours(is_terminal, variable), wanted, "{is_terminal} {set:?}");
        }
        assert_eq!(Colour::Red.put_on("BAD"), "\u{1b}[31mBAD\u{1b}[0m");
    }
}
