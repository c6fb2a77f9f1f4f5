//! Passwords that are guessed first: a common word with digits around it, a row of keys, a few characters again and again. A sentence of
//! several words is none of them.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Words, a line of them a kind. They are in small letters, without spaces.
static WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| include_str!("common.txt").split_whitespace().collect());
/// Keys and letters that stand side by side.
const ROWS: [&str; 9] = [
    "01234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "147258369",
];
/// A shorter run is no row: words have such ones, too.
const RUN_MIN: usize = 3;
/// With fewer different characters than this a password says one thing again and again.
const DIFFERENT_MIN: usize = 5;

/// Whether a password is one that many people use, or the person's own name with digits.
#[must_use]
pub fn is_common(password: &str, name: &str) -> bool {
    let small = |text: &str| text.to_lowercase().chars().filter(|c| c.is_alphanumeric() || "@$!".contains(*c)).collect::<String>();
    let (typed, name) = (small(password), small(name));
    let is_word = |word: &str| WORDS.contains(word) || word == name && !name.is_empty();
    let different: HashSet<char> = typed.chars().collect();
    let as_written = typed.trim_matches(|c: char| !c.is_alphabetic());
    let spoken: String = typed.chars().map(letter).collect();
    // `p4ssw0rd1` is `password` and a digit, or `passwordi` and none: both are looked at.
    let cores = [as_written.to_owned(), spoken.clone(), as_written.chars().map(letter).collect(), spoken_core(&typed)];
    different.len() < DIFFERENT_MIN || is_rows(&typed) || cores.iter().any(|core| is_word(core) || is_word(unit(core)))
}

/// The typed text without the digits at its end, with letters for the digits within.
fn spoken_core(typed: &str) -> String {
    typed.trim_end_matches(|c: char| !c.is_alphabetic()).chars().map(letter).collect()
}

/// The letter that a digit or a sign stands for.
const fn letter(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

/// What is said again and again, or the whole text. The text is of ASCII, or it is taken as it is.
fn unit(text: &str) -> &str {
    let length = text.len();
    let repeats = |part: &usize| length.is_multiple_of(*part) && text.is_ascii() && text[..*part].repeat(length / part) == text;
    (1..=length / 2).find(repeats).map_or(text, |part| &text[..part])
}

/// Whether a text is nothing but runs along rows, forwards or backwards.
fn is_rows(text: &str) -> bool {
    let letters: Vec<char> = text.chars().collect();
    let rows: Vec<Vec<char>> = ROWS.iter().flat_map(|row| [row.chars().collect::<Vec<_>>(), row.chars().rev().collect()]).collect();
    let mut left = &letters[..];
    while !left.is_empty() {
        let run = |row: &Vec<char>| (RUN_MIN..=left.len()).rev().find(|length| row.windows(*length).any(|part| *part == left[..*length]));
        let Some(longest) = rows.iter().filter_map(run).max() else { return false };
        left = &left[longest..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_people_use_is_known() {
        for password in [
            "1234567890",
            "0987654321",
            "1212121212",
            "aaaaaaaaaaaa",
            "qwertyuiop",
            "qwerty12345",
            "1q2w3e4r5t",
            "1qaz2wsx3edc",
            "abcdefghij",
            "password123",
            "P@ssw0rd123",
            "Passw0rd2026!",
            "passwordpassword",
            "katasandi123",
            "Kata Sandi 2026",
            "rahasia12345",
            "sayangsayang",
            "bismillah123",
            "indonesia45",
            "Jakarta2026",
            "warungkopi",
            "pak joko 123",
            "JOKO1234567",
        ] {
            assert!(is_common(password, if password.starts_with("pak") { "Pak Joko" } else { "Joko" }), "{password}");
        }
    }

    #[test]
    fn a_sentence_is_not_common() {
        for password in [
            "kopi susu pagi",
            "sapi makan rumput hijau",
            "kucing saya tidur siang",
            "caf\u{e9} di pojok",
            "Tx9-wopal-Riq",
            "gerobak biru 31",
            "äöüßéèàçñõ",
            "sandi untuk mesin di lobi",
        ] {
            assert!(!is_common(password, "Sari"), "{password}");
        }
        assert!(WORDS.len() > 250, "{}", WORDS.len());
        for word in &*WORDS {
            assert!(word.chars().all(|c| c.is_ascii_lowercase()), "{word}: the words are compared in small letters");
        }
    }
}
