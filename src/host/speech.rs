//! The language of a person at a command, and tables of texts: one text a line, Indonesian and English. `{0}`, `{1}` and so on
//! are the values that `fill` puts in. What services, other programs and the
//! operating system say is not translated.

pub mod orders;

pub use qris_core::text::Language;
pub use qris_core::texts as table;

use std::fmt::Display;
use std::sync::OnceLock;

/// Makes a table of texts: `texts()` has them in the language that is spoken.
#[macro_export]
macro_rules! texts {
    ($($table:tt)*) => {
        $crate::speech::table! { $($table)* }

        pub(super) fn texts() -> &'static Words {
            Words::of($crate::speech::spoken())
        }
    };
}

static SPOKEN: OnceLock<Language> = OnceLock::new();

/// Speaks this language from now on; if none is said, that of the locale. One person uses the program, so it is chosen once.
pub fn speak(said: Option<Language>) {
    SPOKEN.get_or_init(|| said.unwrap_or_else(|| of_locale(|name| std::env::var(name).ok())));
}

/// The language that is spoken; English until one was chosen.
pub fn spoken() -> Language {
    SPOKEN.get().copied().unwrap_or(Language::En)
}

/// The language of messages by the variables of the locale, in their order. English where they name another one.
fn of_locale(variable: impl Fn(&str) -> Option<String>) -> Language {
    let said = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
    let language = said.unwrap_or_default().split(['_', '.', '@']).next().unwrap_or_default().to_lowercase();
    if language == "id" { Language::Id } else { Language::En }
}

/// What `--speak` takes.
#[cfg(feature = "commands")]
pub fn language() -> impl clap::builder::TypedValueParser<Value = Language> {
    use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser as _};
    let languages = [PossibleValue::new("id").help("Bahasa Indonesia"), PossibleValue::new("en").help("English")];
    PossibleValuesParser::new(languages).map(|said| if said == "id" { Language::Id } else { Language::En })
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

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(of_locale(variable), wanted, "{all} {messages} {lang}");
        }
    }
}
