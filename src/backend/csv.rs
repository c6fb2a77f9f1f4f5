//! Records of CSV, for spreadsheets.

use qris_core::text::steers;

/// A text for a field of CSV that a spreadsheet takes for text. A text that begins like a formula gets an apostrophe in front. So does such
/// a beginning behind a sign that a spreadsheet may take for the end of a field: in Indonesia that is `;`. Numbers need none of this.
#[must_use]
pub fn csv_text(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        // Some programs take the wide forms for the narrow ones.
        if begins && matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠') {
            safe.push('\'');
        }
        // No line of an export is made of two. A tab may end a field.
        safe.push(if steers(c) { ' ' } else { c });
        begins = matches!(c, ';' | ',' | '"') || steers(c) || (begins && c.is_whitespace());
    }
    safe
}

/// The same for a person's spreadsheet, which would make a number, a day or a time of a code: `01`, `1-2`, `2E3`, `5 Mei`. Such a text gets
/// the apostrophe, too. Excel and LibreOffice keep it as text then.
#[must_use]
pub fn csv_code(text: &str) -> String {
    let safe = csv_text(text);
    if is_value(text) && !safe.starts_with('\'') { format!("'{safe}") } else { safe }
}

/// Whether a spreadsheet with Indonesian or English settings may read it as a value. LibreOffice was asked.
fn is_value(text: &str) -> bool {
    // `E5` is none, and neither is the slot `A1`.
    let mut start = text.trim_start().chars();
    if start.next().is_some_and(char::is_alphabetic) && !start.next().is_some_and(char::is_alphabetic) {
        return false;
    }
    let mut words = text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    let is_of_values = |word: &str| OF_VALUES.contains(&&*word.to_lowercase());
    if text.chars().any(char::is_numeric) {
        words.all(is_of_values)
    } else {
        ["true", "false", "benar", "salah"].contains(&&*text.trim().to_lowercase())
    }
}

/// Words that stand in numbers, sums of money, times and days.
#[rustfmt::skip]
const OF_VALUES: [&str; 48] = [
    "e", "d", "rp", "idr", "usd", "am", "pm", "a", "p", "t", "z",
    "jan", "januari", "january", "feb", "februari", "february", "mar", "maret", "march", "apr", "april", "mei", "may", "jun", "juni", "june",
    "jul", "juli", "july", "agu", "agt", "agustus", "aug", "august", "sep", "sept", "september", "okt", "oktober", "oct", "october", "nov",
    "november", "des", "desember", "dec", "december",
];

/// A field of CSV (RFC 4180).
#[must_use]
pub fn csv_field(text: &str) -> String {
    if text.contains([',', ';', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.into() }
}

/// What stands between two fields of CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Separator {
    /// RFC 4180
    #[value(name = ",")]
    Comma,
    /// what a spreadsheet with Indonesian settings expects
    #[value(name = ";")]
    Semicolon,
}

/// A record of CSV, with its line end.
#[must_use]
pub fn csv_record(fields: &[String], separator: Separator) -> String {
    let between = match separator {
        Separator::Comma => ",",
        Separator::Semicolon => ";",
    };
    fields.iter().map(|field| csv_field(field)).collect::<Vec<_>>().join(between) + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spreadsheet_takes_a_text_for_no_formula() {
        let table = [
            ("Teh botol 350 ml", "Teh botol 350 ml"),
            ("", ""),
            ("a-b=c+d@e", "a-b=c+d@e"),
            ("=1+1", "'=1+1"),
            ("-A1", "'-A1"),
            ("+62 812", "'+62 812"),
            ("@SUM(A1)", "'@SUM(A1)"),
            (" =1+1", " '=1+1"),
            ("\t=1+1", " '=1+1"),
            ("\r\n=1+1", "  '=1+1"),
            ("teh;=cmd|'/c calc'!A0", "teh;'=cmd|'/c calc'!A0"),
            ("teh,-1", "teh,'-1"),
            ("teh\"=1", "teh\"'=1"),
            ("teh\t@x", "teh '@x"),
            ("＝1", "'＝1"),
        ];
        for (text, safe) in table {
            assert_eq!(csv_text(text), safe, "{text:?}");
        }
        assert_eq!(csv_field("a;b"), "\"a;b\"");
    }

    #[test]
    fn a_spreadsheet_takes_a_code_for_a_text() {
        for code in
            ["01", "1-2", "2E3", "1/2", "10:30", "5 Mei", "Mar 1", "Desember 2026", "Rp5.000", "5%", "1,5", "5 pm", "(5)", "BENAR", "true"]
        {
            assert_eq!(csv_code(code), format!("'{code}"));
        }
        for text in ["", "A1", "E5", "E5x", "3 Roda", "100 Plus", "7-Up", "Teh botol 350 ml", "Marlboro 20", "Senin", "Mei"] {
            assert_eq!(csv_code(text), text);
        }
        assert_eq!(csv_code("-5"), "'-5");
    }

    #[test]
    fn csv_is_that_of_rfc_4180() {
        let fields = ["a", "b,c;d", "say \"yes\"", "two\nlines", ""].map(String::from);
        assert_eq!(csv_record(&fields, Separator::Comma), "a,\"b,c;d\",\"say \"\"yes\"\"\",\"two\nlines\",\r\n");
        assert_eq!(csv_record(&fields, Separator::Semicolon), "a;\"b,c;d\";\"say \"\"yes\"\"\";\"two\nlines\";\r\n");
    }
}
