//! QRIS payloads: EMVCo's merchant-presented TLV. Each is checked before people can pay it.
//!
//! A payload is a row of fields. Each field has two digits of tag, two digits of length, and so many characters. The
//! customer's phone asks for the amount in the payload. So a payload that does not match the order to the rupiah is never
//! shown.

use super::money::{AmountError, Rupiah};

/// The longest payload that is looked at, in characters. EMVCo's own limit for a merchant-presented code.
pub const LENGTH_MAX: usize = 512;
/// The longest name of a merchant in tag 59, in characters. EMVCo's limit.
pub const NAME_MAX: usize = 25;
/// The length of a merchant's national number, in characters.
pub const NMID_MAX: usize = 15;

/// Why a payload may not be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QrisError {
    /// Longer than [`LENGTH_MAX`].
    #[error("the QRIS payload has {0} characters, more than {LENGTH_MAX}")]
    TooLong(usize),
    /// A character that is not printable ASCII: phones do not agree on what it means.
    #[error("the QRIS payload has a character at byte {0} that is not printable ASCII")]
    NotAscii(usize),
    /// The fields do not end exactly where the payload ends.
    #[error("the QRIS payload is malformed at byte {0}: a field needs two digits of tag, two of length and that many characters")]
    Malformed(usize),
    /// The same tag twice: phones may read either.
    #[error("the QRIS payload has tag {0:02} twice")]
    Doubled(u8),
    /// It does not begin with the format indicator `000201`.
    #[error("the QRIS payload does not begin with tag 00, value 01")]
    NotFirst,
    /// Its last field is not the check value, four upper-case hexadecimal digits.
    #[error("the QRIS payload does not end with tag 63 and four upper-case hexadecimal digits")]
    NotLast,
    /// The check value is not that of the text before it.
    #[error("the QRIS payload's check value is {found}, but its text has {expected:04X}")]
    Crc {
        /// As it stands in tag 63.
        found: Box<str>,
        /// What [`crc`] says.
        expected: u16,
    },
    /// A tag is missing that a machine's QR needs, or it has another value than it must have.
    #[error("the QRIS payload's tag {tag:02} must be {wanted:?}")]
    Field {
        /// The tag.
        tag: u8,
        /// The only value it may have.
        wanted: &'static str,
    },
    /// No tag 54, so the customer would be asked to type an amount.
    #[error("the QRIS payload has no amount (tag 54)")]
    NoAmount,
    /// Tag 54 is not whole rupiah.
    #[error("the QRIS payload's amount (tag 54): {0}")]
    Amount(#[from] AmountError),
    /// Tag 54 is not the charge's amount.
    #[error("the QRIS payload asks for {found}, the charge for {wanted}")]
    OtherAmount {
        /// The amount in tag 54.
        found: Rupiah,
        /// The charge's `gross_amount`.
        wanted: Rupiah,
    },
}

/// Whether this payload may be shown for a charge of `gross_amount`. It must be well formed to its exact end, with tag
/// 00 first and a right tag 63 last. It must be dynamic (01 = `12`), in rupiah (53 = `360`) and in Indonesia (58 =
/// `ID`). Tag 54 must be the same number as the amount (`5000` and `5000.00` are the same).
pub fn check(payload: &str, gross_amount: Rupiah) -> Result<(), QrisError> {
    if payload.len() > LENGTH_MAX {
        return Err(QrisError::TooLong(payload.chars().count()));
    }
    if let Some(at) = payload.bytes().position(|b| !(b' '..=b'~').contains(&b)) {
        return Err(QrisError::NotAscii(at));
    }
    let fields = parse(payload)?;
    let value = |tag: u8| fields.iter().find(|field| field.0 == tag).map(|field| field.1);
    if fields.first() != Some(&(0, "01")) {
        return Err(QrisError::NotFirst);
    }
    let Some(&(63, found)) = fields.last().filter(|(_, crc)| crc.len() == 4 && crc.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F')))
    else {
        return Err(QrisError::NotLast);
    };
    let expected = crc(&payload[..payload.len() - 4]);
    if found != format!("{expected:04X}") {
        return Err(QrisError::Crc { found: found.into(), expected });
    }
    for (tag, wanted) in [(1, "12"), (53, "360"), (58, "ID")] {
        if value(tag) != Some(wanted) {
            return Err(QrisError::Field { tag, wanted });
        }
    }
    let found = Rupiah::from_gross_amount(value(54).ok_or(QrisError::NoAmount)?)?;
    if found == gross_amount { Ok(()) } else { Err(QrisError::OtherAmount { found, wanted: gross_amount }) }
}

/// The payload with the letters of its check value in capitals, as EMVCo wants them. Some issuer may write small ones, and some
/// app may take only capitals. The value covers only the text before it, so nothing else changes.
#[must_use]
pub fn with_capitals(payload: &str) -> String {
    match payload.len().checked_sub(4).and_then(|at| payload.split_at_checked(at)) {
        Some((text, crc)) if text.ends_with("6304") => format!("{text}{}", crc.to_ascii_uppercase()),
        Some(_) | None => payload.into(),
    }
}

/// The merchant whom this payload pays: the national number (NMID, tag 51, within it 02). It is the same with every acquirer.
#[must_use]
pub fn merchant(payload: &str) -> Option<&str> {
    value(value(payload, 51)?, 2)
}

/// The merchant's name in this payload (tag 59). The customer's app shows it.
#[must_use]
pub fn merchant_name(payload: &str) -> Option<&str> {
    value(payload, 59)
}

/// Whom this payload pays, for people: `NAME · NMID`, or the one of the two that is there. The customer's app shows the same two, and
/// so does the merchant's sticker. They are a stranger's texts: printable ASCII only, at most [`NAME_MAX`] and [`NMID_MAX`] characters.
#[must_use]
pub fn payee(payload: &str) -> Option<String> {
    let shown = |text: &str, most: usize| {
        let text: String = text.chars().filter(|c| (' '..='~').contains(c)).take(most).collect();
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let name = merchant_name(payload).and_then(|name| shown(name, NAME_MAX));
    let nmid = merchant(payload).and_then(|nmid| shown(nmid, NMID_MAX));
    name.into_iter().chain(nmid).reduce(|name, nmid| format!("{name} · {nmid}"))
}

fn value(fields: &str, tag: u8) -> Option<&str> {
    parse(fields).ok()?.into_iter().find(|field| field.0 == tag).map(|field| field.1)
}

/// CRC-16/CCITT-FALSE (polynomial 0x1021, start 0xFFFF, nothing reflected or inverted) of this text. In a QRIS payload
/// it covers everything up to and including `6304`. Then follow its four upper-case hexadecimal digits.
#[must_use]
pub fn crc(text: &str) -> u16 {
    text.bytes().fold(0xffff, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 })
    })
}

/// The fields in their order. The text is ASCII, so it can be cut at any byte.
fn parse(payload: &str) -> Result<Vec<(u8, &str)>, QrisError> {
    let mut fields: Vec<(u8, &str)> = Vec::with_capacity(16);
    let mut at = 0;
    while at < payload.len() {
        let number = |from: usize| -> Option<u8> {
            let digits = payload.get(from..from + 2).filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
            digits.parse().ok()
        };
        let field = || {
            let (tag, length) = (number(at)?, usize::from(number(at + 2)?));
            // EMVCo has no empty field.
            let value = payload.get(at + 4..at + 4 + length).filter(|value| !value.is_empty())?;
            Some((tag, value))
        };
        let (tag, value) = field().ok_or(QrisError::Malformed(at))?;
        if fields.iter().any(|field| field.0 == tag) {
            return Err(QrisError::Doubled(tag));
        }
        fields.push((tag, value));
        at += 4 + value.len();
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three payloads that the gateway really made, with their amounts.
    const REAL: [(&str, u64); 3] = [
        (
            "00020101021226620014COM.GO-JEK.WWW011993600914337918182570210G3791818250303UKE51440014ID.CO.QRIS.WWW0215AID7720513752290303UKE5204359353033605802ID5910PAPI LIVE26005KUKAR6105755535409100000.0062475036b1855b6c-70ab-4449-9778-61b8ffe43fd20703A016304C385",
            100_000,
        ),
        (
            "00020101021226620014COM.GO-JEK.WWW011993600914349052630340210G4905263030303UKE51440014ID.CO.QRIS.WWW0215AID0607336128660303UKE5204341453033605802ID5904Test6007BANDUNG6105402845409789000.0062475036c032f87c-f773-4619-aefa-675e1f06f9210703A016304A623",
            789_000,
        ),
        (
            "00020101021226620014COM.GO-JEK.WWW011993600914302889878270210G0288987820303UMI51440014ID.CO.QRIS.WWW0215AID7111686201870303UMI5204352953033605802ID5911Citra Media6006MALANG61056512654101000000.006247503652ffe6e8-ff5f-4df4-b6f2-5a6f36f926f60703A0163047EE4",
            1_000_000,
        ),
    ];

    fn rupiah(n: u64) -> Rupiah {
        Rupiah::new(n).expect("in range")
    }

    /// The payload with its last four characters made right again. So a mutation reaches the rule behind the CRC.
    fn sealed(body: &str) -> String {
        let text = &body[..body.len() - 4];
        format!("{text}{:04X}", crc(text))
    }

    #[test]
    fn the_published_check_value_of_the_polynomial() {
        assert_eq!(crc("123456789"), 0x29b1);
    }

    #[test]
    fn what_midtrans_really_made_is_shown_for_its_amount_only() {
        for (payload, amount) in REAL {
            assert_eq!(check(payload, rupiah(amount)), Ok(()));
            let other = QrisError::OtherAmount { found: rupiah(amount), wanted: rupiah(amount + 1) };
            assert_eq!(check(payload, rupiah(amount + 1)), Err(other));
        }
    }

    #[test]
    fn a_payload_names_its_merchant() {
        let merchants = REAL.map(|(payload, _)| merchant(payload));
        assert_eq!(merchants[0], Some("AID772051375229"));
        assert_eq!(merchant_name(REAL[0].0), Some("PAPI LIVE2"));
        assert!(merchants.iter().all(|nmid| nmid.is_some_and(|nmid| nmid.len() == 15)), "{merchants:?}");
        let (payload, _) = REAL[0];
        for unnamed in
            [payload.replace("5144", "5044"), payload.replace("0215AID", "0315AID"), payload.replace("5144", "5145"), String::new()]
        {
            assert_eq!(merchant(&unnamed), None, "{unnamed}");
        }
    }

    #[test]
    fn a_check_value_in_small_letters_is_read_and_shown_in_capitals() {
        for (payload, amount) in REAL {
            let small = format!("{}{}", &payload[..payload.len() - 4], payload[payload.len() - 4..].to_ascii_lowercase());
            assert_eq!((with_capitals(&small).as_str(), with_capitals(payload).as_str()), (payload, payload));
            assert_eq!(check(&with_capitals(&small), rupiah(amount)), Ok(()));
        }
        for other in ["", "abc", "abcd", "630", "6304abcde", "0002ab\u{e9}", "\u{1f600}\u{1f600}"] {
            assert_eq!(with_capitals(other), other);
        }
    }

    #[test]
    fn whom_a_payload_pays_is_said_in_few_plain_characters() {
        let (payload, _) = REAL[0];
        assert_eq!(payee(payload).as_deref(), Some("PAPI LIVE2 · AID772051375229"));
        let named = |name: &str| payee(&payload.replace("5910PAPI LIVE2", &format!("59{:02}{name}", name.len())));
        assert_eq!(named(&"W".repeat(99)), Some(format!("{} · AID772051375229", "W".repeat(NAME_MAX))));
        assert_eq!(named("A\u{202e}\n B").as_deref(), Some("A B · AID772051375229"));
        assert_eq!(named(" \u{7} ").as_deref(), Some("AID772051375229"), "nothing of the name can be shown");
        assert_eq!(payee(&payload.replace("0215AID", "0315AID")).as_deref(), Some("PAPI LIVE2"));
        assert_eq!(payee("no payload"), None);
    }

    #[test]
    fn any_one_changed_missing_or_added_character_is_refused() {
        for (payload, amount) in REAL {
            for at in 0..payload.len() {
                for with in ["0", "7", "Z", ""] {
                    let (before, after) = (&payload[..at], &payload[at + 1..]);
                    let changed = format!("{before}{with}{after}");
                    assert!(changed == payload || check(&changed, rupiah(amount)).is_err(), "{changed}");
                }
                assert!(check(&payload[..at], rupiah(amount)).is_err(), "cut at {at}");
            }
            assert!(check(&format!("{payload}0"), rupiah(amount)).is_err());
            assert!(check(&format!("{payload}{payload}"), rupiah(amount)).is_err());
        }
    }

    #[test]
    fn a_right_check_value_does_not_excuse_the_other_rules() {
        use QrisError::{Amount, Doubled, Field, Malformed, NoAmount, NotAscii, NotFirst, NotLast, OtherAmount, TooLong};
        let (payload, amount) = (REAL[0].0, rupiah(REAL[0].1));
        let with = |from: &str, to: &str| sealed(&payload.replacen(from, to, 1));
        let table = [
            ("static", with("010212", "010211"), Field { tag: 1, wanted: "12" }),
            ("not dynamic or static", with("010212", ""), Field { tag: 1, wanted: "12" }),
            ("dollars", with("5303360", "5303840"), Field { tag: 53, wanted: "360" }),
            ("Singapore", with("5802ID", "5802SG"), Field { tag: 58, wanted: "ID" }),
            ("another format", with("000201", "000202"), NotFirst),
            ("another first", with("000201010212", "010212000201"), NotFirst),
            ("no amount", with("5409100000.00", ""), NoAmount),
            ("one rupiah more", with("5409100000.00", "5409100001.00"), OtherAmount { found: rupiah(100_001), wanted: amount }),
            ("half a rupiah", with("5409100000.00", "5409100000.50"), Amount(AmountError::NotWhole)),
            ("a sign", with("5409100000.00", "5407+100000"), Amount(AmountError::NotWhole)),
            ("nothing to pay", with("5409100000.00", "54010"), Amount(AmountError::Range)),
            ("two amounts", with("5409100000.00", "5409100000.00540510000"), Doubled(54)),
            ("an empty field", with("5910PAPI LIVE2", "5900"), Malformed(147)),
            ("a length too great", with("5910", "5999"), Malformed(250)),
            ("an umlaut", with("PAPI LIVE2", "PAPI LIVÉ"), NotAscii(159)),
            ("a line break", with("PAPI LIVE2", "PAPI\nLIVE2"), NotAscii(155)),
            ("something after the check value", format!("{payload}8001A"), NotLast),
            ("a check value in small letters", payload.replace("6304C385", "6304c385"), NotLast),
            ("too long", "x".repeat(513), TooLong(513)),
            ("as long as may be", "x".repeat(512), Malformed(0)),
            ("empty", String::new(), NotFirst),
        ];
        for (what, payload, error) in table {
            assert_eq!(check(&payload, amount), Err(error), "{what}: {payload}");
        }
        assert_eq!(check(&with("5409100000.00", "5406100000"), amount), Ok(()), "other issuers write no decimals");
    }
}
