//! The last day of a certificate. rustls compares it with the clock, and tells it to nobody.

use qris_core::order::time::Wall;

const SEQUENCE: u8 = 0x30;
/// The version of the form. It stands before everything else, and may be left out.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The end of a certificate (X.509 in DER): its `notAfter`. `None`: it cannot be read.
#[must_use]
pub fn end(certificate: &[u8]) -> Option<Wall> {
    let (whole, _) = expect(SEQUENCE, certificate)?;
    let (signed, _) = expect(SEQUENCE, whole)?;
    // Version, serial number, algorithm and issuer stand before the validity.
    let mut rest = expect(VERSION, signed).map_or(signed, |(_, rest)| rest);
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (validity, _) = expect(SEQUENCE, rest)?;
    let (_, _, not_after) = element(validity)?;
    let (tag, text, _) = element(not_after)?;
    time(tag, std::str::from_utf8(text).ok()?)
}

/// Both forms end in `MMDDhhmmssZ`. The year before it has two digits, of 1950 to 2049, or four (RFC 5280, 4.1.2.5).
fn time(tag: u8, text: &str) -> Option<Wall> {
    let (year, rest) = text.split_at_checked(text.len().checked_sub(11)?)?;
    let century = match (tag, year.len()) {
        (UTC_TIME, 2) if year < "50" => "20",
        (UTC_TIME, 2) => "19",
        (GENERALIZED_TIME, 4) => "",
        _ => return None,
    };
    let two = |from: usize| rest.get(from..from + 2);
    let (month, day, hour, minute, second) = (two(0)?, two(2)?, two(4)?, two(6)?, two(8)?);
    Wall::from_rfc3339(&format!("{century}{year}-{month}-{day}T{hour}:{minute}:{second}{}", rest.get(10..)?)).ok()
}

/// The content of an element with this tag, and what follows it.
fn expect(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    element(der).filter(|(found, ..)| *found == tag).map(|(_, content, rest)| (content, rest))
}

/// The first element: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, length], rest) = der.split_first_chunk()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        // The length of the length. No certificate is larger than three bytes can say.
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `openssl ca -enddate` made them: one without a version and with a short year, one with a version and a long year.
    #[test]
    fn the_end_is_that_which_openssl_wrote() {
        for (whole, wanted) in [
            (include_bytes!("../../tests/corpora/certificate/ends-2027").as_slice(), "2027-03-01T12:34:56Z"),
            (include_bytes!("../../tests/corpora/certificate/ends-2051"), "2051-12-31T23:59:59Z"),
        ] {
            assert_eq!(end(whole).map(Wall::to_rfc3339).as_deref(), Some(wanted));
            for length in 0..whole.len() {
                assert_eq!(end(&whole[..length]), None, "cut after {length} bytes");
            }
        }
    }

    #[test]
    fn a_time_has_one_of_two_forms() {
        for (tag, text, wanted) in [
            (UTC_TIME, "491231235959Z", Some("2049-12-31T23:59:59Z")),
            (UTC_TIME, "500101000000Z", Some("1950-01-01T00:00:00Z")),
            (GENERALIZED_TIME, "20500101000000Z", Some("2050-01-01T00:00:00Z")),
            (GENERALIZED_TIME, "99991231235959Z", Some("9999-12-31T23:59:59Z")),
            (UTC_TIME, "20500101000000Z", None),
            (GENERALIZED_TIME, "491231235959Z", None),
            (UTC_TIME, "4912312359Z", None),
            (UTC_TIME, "491231235959+0700", None),
            (UTC_TIME, "270229000000Z", None),
            (UTC_TIME, "é0101000000Z", None),
            (UTC_TIME, "Z", None),
            (2, "491231235959Z", None),
        ] {
            assert_eq!(time(tag, text).map(Wall::to_rfc3339).as_deref(), wanted, "{text}");
        }
    }
}
