//! The language of a person at a command, and tables of texts: one text a line, Indonesian and English. `{0}`, `{1}` and so on
//! are the values that `fill` puts in. What services, other programs and the
//! operating system say is not translated.

use std::fmt::Display;
use std::sync::OnceLock;

/// The language of the person in front of the computer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "commands", derive(clap::ValueEnum))]
pub enum Language {
    /// Bahasa Indonesia
    Id,
    /// English
    En,
}

/// Makes a table of texts: `texts()` has them in the language that is spoken. A test looks whether both languages have the same values.
#[macro_export]
macro_rules! texts {
    ($($name:ident: $id:literal, $en:literal;)*) => {
        /// The texts in one language. The names say where they stand.
        #[derive(Debug)]
        pub(super) struct Texts {
            $(pub(super) $name: &'static str,)*
        }

        pub(super) fn texts() -> &'static Texts {
            const ID: Texts = Texts { $($name: $id,)* };
            const EN: Texts = Texts { $($name: $en,)* };
            match $crate::speech::spoken() {
                $crate::speech::Language::Id => &ID,
                $crate::speech::Language::En => &EN,
            }
        }

        #[cfg(test)]
        #[test]
        fn both_languages_have_the_same_values() {
            for (id, en) in [$(($id, $en),)*] {
                assert!($crate::speech::is_pair(id, en), "{en}\n{id}");
            }
        }
    };
}

static SPOKEN: OnceLock<Language> = OnceLock::new();

/// Speaks this language from now on; if none is said, that of the locale. One person uses the program, so it is chosen once.
pub fn speak(said: Option<Language>) {
    SPOKEN.get_or_init(|| said.unwrap_or_else(|| Language::of_locale(|name| std::env::var(name).ok())));
}

/// The language that is spoken; English until one was chosen.
pub fn spoken() -> Language {
    SPOKEN.get().copied().unwrap_or(Language::En)
}

impl Language {
    /// The language of messages by the variables of the locale, in their order. English where they name another one.
    fn of_locale(variable: impl Fn(&str) -> Option<String>) -> Self {
        let said = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
        let language = said.unwrap_or_default().split(['_', '.', '@']).next().unwrap_or_default().to_lowercase();
        if language == "id" { Self::Id } else { Self::En }
    }
}

/// The language that a browser likes best, by its `Accept-Language` (RFC 9110); `None`: neither.
#[must_use]
pub fn accepted(accept_language: &str) -> Option<Language> {
    let mut best: (f32, Option<Language>) = (0.0, None);
    for range in accept_language.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let primary = parts.next().unwrap_or("").split('-').next().unwrap_or("").to_ascii_lowercase();
        let language = match primary.as_str() {
            // `in` is what Java and old Androids call Indonesian.
            "id" | "in" => Language::Id,
            "en" => Language::En,
            _ => continue,
        };
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |quality| quality.trim().parse().ok());
        // A part that cannot be read asks for nothing. Of equal parts the first counts.
        if let Some(quality) = quality.filter(|quality| (0.0..=1.0).contains(quality))
            && quality > best.0
        {
            best = (quality, Some(language));
        }
    }
    best.1
}

/// A text with its values in their places.
#[must_use]
pub fn fill(text: &str, values: &[&dyn Display]) -> String {
    let mut parts = text.split('{');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('}').and_then(|(at, rest)| Some((values.get(at.parse::<usize>().ok()?)?, rest))) {
            Some((value, rest)) => filled += &format!("{value}{rest}"),
            None => filled += &format!("{{{part}"),
        }
    }
    filled
}

/// Is the one text the other in another language: neither empty, with the same values, and the same space at both ends?
#[cfg(any(test, feature = "testing"))]
#[must_use]
pub fn is_pair(id: &str, en: &str) -> bool {
    let form = |text: &str| {
        let mut values: Vec<char> = text.match_indices('{').filter_map(|(at, _)| text[at + 1..].chars().next()).collect();
        values.sort_unstable();
        values.dedup();
        (values, text.is_empty(), text.starts_with("  "), text.ends_with(' '))
    };
    form(id) == form(en) && !id.is_empty()
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
    fn values_come_where_they_belong_and_are_not_read_again() {
        assert_eq!(fill("{1} before {0}", &[&"{1}", &7]), "7 before {1}");
        assert_eq!(fill("a { b", &[]), "a { b");
    }

    #[test]
    fn a_locale_says_which_language_is_spoken() {
        for (all, messages, lang, wanted) in [
            ("", "", "id_ID.UTF-8", Language::Id),
            ("", "", "en_GB.UTF-8", Language::En),
            ("", "id_ID", "en_GB.UTF-8", Language::Id),
            ("C.UTF-8", "id_ID", "id_ID", Language::En),
            ("", "", "", Language::En),
            ("", "", "id", Language::Id),
            ("", "", "idk", Language::En),
        ] {
            let variable = |name: &str| {
                let value = match name {
                    "LC_ALL" => all,
                    "LC_MESSAGES" => messages,
                    _ => lang,
                };
                Some(value.to_owned())
            };
            assert_eq!(Language::of_locale(variable), wanted, "{all} {messages} {lang}");
        }
    }
}
