//! Texts of others. They go to terminals, pages, panels, journals and books, and must not steer them.

/// Whether a character steers what shows it: a control character of C0 or C1, or one that turns the direction of the letters after it
/// (an embedding, an override or an isolate). So what is read could be another text than what stands there.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the place that asks")]
pub fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with another character in the place of each one that steers.
#[must_use]
pub fn plain(text: &str, instead: char) -> String {
    text.replace(steers, &String::from(instead))
}

/// The text without what steers, but with its line ends.
#[must_use]
pub fn lines(text: &str) -> String {
    text.replace(|c| c != '\n' && steers(c), " ")
}

#[must_use]
pub fn named(name: Option<&str>, id: &str) -> String {
    name.filter(|name| *name != id).map_or_else(|| id.into(), |name| format!("{name} ({id})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_is_replaced_and_nothing_else() {
        let steering = "\0\t\n\u{1b}\u{7f}\u{80}\u{9b}\u{9f}\u{202a}\u{202e}\u{2066}\u{2069}";
        assert_eq!(plain(steering, '?'), "?".repeat(steering.chars().count()));
        assert_eq!(lines("a\r\nb\u{9b}c"), "a \nb c");
        let text = "Es “Café” – Rp5.000 …  \u{a0}عربي日本\u{200e}";
        assert_eq!(plain(text, '?'), text);
    }
}
