//! Hints for a person who wrote something wrongly: the word that was probably meant, and a number as programs read it.

use crate::speech::fill;
use crate::texts;

texts! {
    meant: ": apakah maksudnya {0}?", ": did you mean {0}?";
    expected: ": seharusnya {0}", ": expected {0}";
    one_of: ": seharusnya salah satu dari {0}", ": expected one of {0}";
    or: "{0} atau {1}", "{0} or {1}";
    plain_digits: "harus bilangan bulat dengan angka saja: tulis {0}", "must be a whole number in plain digits: write {0}";
    too_large: "bilangannya terlalu besar: tulis paling banyak 18 angka", "is too large a number: write at most 18 digits";
    whole: "harus bilangan bulat: hanya angka", "must be a whole number: only digits";
}

/// From here on two words are alike, from 0 to 1. The parser of arguments draws the line at the same place.
const ALIKE: f64 = 0.7;

/// The longest number that is read: no price and no time is longer.
const DIGITS_MAX: usize = 15;

/// The known word that is most like a wrong one, if one is like it.
pub fn meant<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    let alike = known.into_iter().map(|word| (strsim::jaro(&wrong, &word.to_lowercase()), word)).filter(|(alike, _)| *alike > ALIKE);
    alike.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, word)| word)
}

/// The same as the end of a message: `: did you mean rotate?`, else `: expected one of …`.
#[must_use]
pub fn instead(wrong: &str, known: &[&str]) -> String {
    match (meant(wrong, known.iter().copied()), known) {
        (Some(word), _) => fill(texts().meant, &[&word]),
        (None, []) => String::new(),
        (None, [_] | [_, _]) => fill(texts().expected, &[&either(known)]),
        (None, words) => fill(texts().one_of, &[&either(words)]),
    }
}

/// Words of which one is meant: `a, b or c`.
#[must_use]
pub fn either(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).into(),
        [first @ .., last] => fill(texts().or, &[&first.join(", "), last]),
    }
}

/// A whole number that was written as people write money or times, in plain digits: `5.000`, `Rp 5.000,-`, `5,000`, `5_000`,
/// `"5000"`, `5rb` are 5000. None where it is not sure which number was meant.
#[must_use]
pub fn plain_number(written: &str) -> Option<String> {
    let text = written.trim().trim_matches(['"', '\'']).trim().to_ascii_lowercase();
    let text = text.strip_prefix("rp").or_else(|| text.strip_prefix("idr")).unwrap_or(&text).trim_start_matches(['.', ' ']);
    let text = [",-", ".-"].into_iter().find_map(|end| text.strip_suffix(end)).unwrap_or(text);
    let thousands = ["ribu", "rb", "k"].into_iter().find_map(|end| text.strip_suffix(end));
    let digits = match thousands {
        Some(count) => format!("{}000", whole(count.trim())?),
        None => grouped(text)?,
    };
    (digits.len() <= DIGITS_MAX).then_some(digits)
}

/// Why a text is no whole number, and what to write.
#[must_use]
pub fn not_a_number(written: &str) -> String {
    match plain_number(written) {
        Some(number) if number != written => fill(texts().plain_digits, &[&number]),
        Some(_) | None if !written.is_empty() && written.bytes().all(|byte| byte.is_ascii_digit()) => texts().too_large.into(),
        Some(_) | None => texts().whole.into(),
    }
}

/// Digits with the same sign before each three of them, or without any.
fn grouped(text: &str) -> Option<String> {
    let Some(sign) = text.chars().find(|c| !c.is_ascii_digit()) else { return whole(text) };
    let mut groups = text.split(sign);
    let first = groups.next().filter(|first| (1..=3).contains(&first.len()))?;
    let is_sign = matches!(sign, '.' | ',' | '_' | ' ' | '\'');
    let fits = is_sign && groups.all(|group| group.len() == 3 && group.bytes().all(|byte| byte.is_ascii_digit()));
    if fits { whole(&text.replace(sign, "")).filter(|_| !first.starts_with('0')) } else { None }
}

fn whole(text: &str) -> Option<String> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_people_write_it() {
        for (written, number) in [
            ("5000", Some("5000")),
            ("5.000", Some("5000")),
            ("5,000", Some("5000")),
            ("5_000", Some("5000")),
            ("5 000", Some("5000")),
            ("\"5000\"", Some("5000")),
            ("Rp5000", Some("5000")),
            ("Rp. 5.000", Some("5000")),
            ("Rp 1.250.000,-", Some("1250000")),
            ("IDR 12.500", Some("12500")),
            ("5rb", Some("5000")),
            ("10 ribu", Some("10000")),
            ("5k", Some("5000")),
            ("5.5", None),
            ("5.00", None),
            ("50.5000", None),
            ("1.250,000", None),
            ("0.500", None),
            ("-5000", None),
            ("", None),
            ("Rp", None),
            ("k", None),
            ("lots", None),
            ("2m", None),
            ("1.000.000.000.000.000", None),
        ] {
            assert_eq!(plain_number(written).as_deref(), number, "{written}");
        }
        for (written, told) in
            [("5.000", "write 5000"), ("99999999999999999999", "at most 18 digits"), ("x", "only digits"), ("", "only digits")]
        {
            assert!(not_a_number(written).contains(told), "{written}: {}", not_a_number(written));
        }
    }

    #[test]
    fn the_word_that_was_meant_is_named() {
        let known = ["device", "virtual", "rotate", "contact"];
        for (wrong, told) in [
            ("rotation", ": did you mean rotate?"),
            ("devise", ": did you mean device?"),
            ("ROTATE", ": did you mean rotate?"),
            ("zzz", ": expected one of device, virtual, rotate or contact"),
        ] {
            assert_eq!(instead(wrong, &known), told);
        }
        assert_eq!((instead("zzz", &["a"]), instead("zzz", &[])), (": expected a".into(), String::new()));
    }
}
