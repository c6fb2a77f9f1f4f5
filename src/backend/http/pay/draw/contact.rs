//! How a phone reaches the merchant's contact.

use qris_core::contact::numbers;
use std::fmt::Write as _;

/// The digits of an Indonesian mobile number after its 0: `812 3456 7890`.
const MOBILE_DIGITS: std::ops::RangeInclusive<usize> = 9..=12;

/// The address that opens a chat in WhatsApp, with this text in it, if one of the numbers is an Indonesian mobile number.
pub(super) fn whatsapp(contact: &str, text: &str) -> Option<String> {
    let number = numbers(contact).find_map(|number| {
        let plain = number.strip_prefix('+').unwrap_or(&number);
        let home = plain.strip_prefix("62").or_else(|| plain.strip_prefix('0'))?;
        // 0800 and 0809 are lines of companies.
        (home.starts_with('8') && !home.starts_with("80") && MOBILE_DIGITS.contains(&home.len())).then(|| format!("62{home}"))
    })?;
    Some(format!("https://wa.me/{number}?text={}", percent(text)))
}

/// Everything is escaped but what stands for itself in every part of an address.
fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(byte.into());
        } else {
            write!(escaped, "%{byte:02X}").expect("a string takes all");
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_indonesian_mobile_number_has_a_chat() {
        for (contact, chat) in [
            ("0812-3456-7890 (WhatsApp)", Some("6281234567890")),
            ("WA: +62 812 3456 7890", Some("6281234567890")),
            ("62 (812) 3456.789", Some("628123456789")),
            ("021-555-0100 / 0857 1234 5678", Some("6285712345678")),
            ("0800-1-000-000", None),
            ("021-555-0100", None),
            ("+65 8123 4567", None),
            ("0812-345", None),
            ("ask@shop.example", None),
        ] {
            let wanted = chat.map(|number| format!("https://wa.me/{number}?text=a%20%26%20%C3%A9"));
            assert_eq!(whatsapp(contact, "a & é"), wanted, "{contact}");
        }
    }
}
