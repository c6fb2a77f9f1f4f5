//! Texts. Those of others go to terminals, pages, panels, journals and books, and must not steer them. Our own stand in tables, in two
//! languages.

use serde::{Deserialize, Serialize};

/// A language that our programs speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    #[default]
    Id,
    En,
}

/// Makes a table of texts: one text a line, Indonesian and English. `Words::of` has it in one language. `{0}`, `{1}` and so on are values
/// that are put in later: a text and its translation with other values do not compile.
#[macro_export]
macro_rules! texts {
    ($($name:ident: $id:literal, $en:literal;)*) => {
        /// The texts in one language. The names say where they stand.
        #[derive(Debug)]
        pub(crate) struct Words {
            $(pub(crate) $name: &'static str,)*
        }

        impl Words {
            pub(crate) const fn of(language: $crate::text::Language) -> &'static Self {
                const ID: Words = Words { $($name: $id,)* };
                const EN: Words = Words { $($name: $en,)* };
                match language {
                    $crate::text::Language::Id => &ID,
                    $crate::text::Language::En => &EN,
                }
            }
        }

        const _: () = { $(assert!($crate::text::is_pair($id, $en), "{}", concat!("its translation has other values: ", $en));)* };
    };
}

/// Can the one text be the other in another language: neither is empty, and both have the same values, and the same space at their ends?
#[must_use]
pub const fn is_pair(id: &str, en: &str) -> bool {
    let (id, en) = (id.as_bytes(), en.as_bytes());
    !id.is_empty()
        && !en.is_empty()
        && values(id) == values(en)
        && is_set_in(id) == is_set_in(en)
        && (id[id.len() - 1] == b' ') == (en[en.len() - 1] == b' ')
}

const fn is_set_in(text: &[u8]) -> bool {
    text.len() > 1 && text[0] == b' ' && text[1] == b' '
}

/// A bit for each character that stands behind a `{`.
const fn values(text: &[u8]) -> u128 {
    let (mut values, mut at) = (0, 0);
    while at + 1 < text.len() {
        if text[at] == b'{' {
            values |= 1 << (text[at + 1] % 128);
        }
        at += 1;
    }
    values
}

/// Whether a character steers what shows it: what is read could be another text than what stands there. These are the control characters of C0
/// and C1, the ends of a line and a paragraph (U+2028, U+2029), and what turns the direction of the letters after it (an embedding, an override
/// or an isolate).
#[must_use]
#[allow(clippy::disallowed_methods, reason = "this is the place that asks")]
pub fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
    fn a_text_and_its_translation_have_the_same_values() {
        assert!(is_pair("{0} punya {1}", "{1} is of {0}") && is_pair("  Barang", "  Item"));
        for (id, en) in [("", ""), ("", "x"), ("{0}", "{1}"), ("a", "{0}"), ("  a", "a"), ("a: ", "a:")] {
            assert!(!is_pair(id, en), "{id:?} {en:?}");
        }
    }

    #[test]
    fn what_steers_is_replaced_and_nothing_else() {
        let steering = "\0\t\n\u{1b}\u{7f}\u{80}\u{9b}\u{9f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}";
        assert_eq!(plain(steering, '?'), "?".repeat(steering.chars().count()));
        assert_eq!(lines("a\r\nb\u{9b}c"), "a \nb c");
        let text = "Es “Café” – Rp5.000 …  \u{a0}عربي日本\u{200e}";
        assert_eq!(plain(text, '?'), text);
    }
}
