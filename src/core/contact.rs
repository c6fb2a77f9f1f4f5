//! The telephone numbers in a merchant's contact.

/// The fewest and the most digits of a telephone number with its country.
const DIGITS: std::ops::RangeInclusive<usize> = 5..=15;

/// The number that a phone can call, if there is one among the words: `0812-3456-7890 (WhatsApp)`.
#[must_use]
pub fn telephone(contact: &str) -> Option<String> {
    numbers(contact).next()
}

/// The numbers among the words, with nothing but digits and a `+` before them.
pub fn numbers(contact: &str) -> impl Iterator<Item = String> {
    contact.split(|c: char| !(c.is_ascii_digit() || " +-.()".contains(c))).filter_map(|part| {
        let digits: String = part.chars().filter(char::is_ascii_digit).collect();
        let plus = if part.trim_start_matches([' ', '(', '-', '.', ')']).starts_with('+') { "+" } else { "" };
        DIGITS.contains(&digits.len()).then(|| format!("{plus}{digits}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_among_words_can_be_called() {
        for (contact, call) in [
            ("0812-3456-7890", Some("081234567890")),
            ("0812-3456-7890 (WhatsApp)", Some("081234567890")),
            ("WA: +62 812 3456 7890", Some("+6281234567890")),
            ("62 (812) 3456.789", Some("628123456789")),
            ("021-555-0100 / 0857 1234 5678", Some("0215550100")),
            ("0812-345", Some("0812345")),
            ("ask@shop.example", None),
            ("08-what?<>", None),
            ("12", None),
            ("1234567890123456", None),
        ] {
            assert_eq!(telephone(contact).as_deref(), call, "{contact}");
        }
    }
}
