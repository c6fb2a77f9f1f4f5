//! The output of the commands: tables of fixed columns, and one JSON object a line. There is no complaint when the
//! reader has seen enough (`| head`).

use qris_core::order::time::Zone;
use qris_core::text::{self, steers};
use qris_host::speech::fill;
use qris_host::{Failure, terminal};
use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its heading.
    pub name: &'static str,
    /// The most characters. A longer text is cut, with an ellipsis; 0: no limit, for the last column.
    pub width: usize,
    /// Numbers stand on the right, and are never cut.
    pub right: bool,
}

/// A column of text.
#[must_use]
pub const fn left(name: &'static str, width: usize) -> Column {
    Column { name, width, right: false }
}

/// A column of numbers.
#[must_use]
pub const fn right(name: &'static str, width: usize) -> Column {
    Column { name, width, right: true }
}

/// The line with the headings.
#[must_use]
pub fn heading(columns: &[Column]) -> String {
    row(columns, &columns.iter().map(|column| column.name.to_owned()).collect::<Vec<_>>())
}

/// The same, with the zone of the times in the place of `{0}`.
#[must_use]
pub fn heading_in(columns: &[Column], zone: Zone) -> String {
    row(columns, &columns.iter().map(|column| fill(column.name, &[&zone.as_str()])).collect::<Vec<_>>())
}

/// One line of a table, without blanks at its end.
#[must_use]
pub fn row(columns: &[Column], cells: &[String]) -> String {
    let mut line = String::new();
    for (column, cell) in columns.iter().zip(cells) {
        if !line.is_empty() {
            line.push_str("  ");
        }
        let cell = plain(cell, if column.width == 0 || column.right { usize::MAX } else { column.width });
        let width = column.width;
        let written = if column.right { write!(line, "{cell:>width$}") } else { write!(line, "{cell:<width$}") };
        written.expect("a string takes all");
    }
    line.truncate(line.trim_end().len());
    line
}

/// A text on one line. A character that would move the cursor or break the line becomes a blank. A text that is too
/// long is cut.
#[must_use]
pub fn plain(text: &str, width: usize) -> String {
    let clean = text::plain(text, ' ');
    if clean.chars().count() <= width {
        return clean;
    }
    clean.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// `1 difference`, `2 differences`.
#[must_use]
pub fn counted(count: impl Into<u64>, what: &str) -> String {
    let count = count.into();
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Standard output.
#[derive(Debug, Default)]
pub struct Out {
    closed: bool,
}

impl Out {
    /// Writes a line. If nobody reads any more, nothing is written.
    ///
    /// # Errors
    /// Standard output cannot be written for another reason: a full disk.
    pub fn line(&mut self, line: &str) -> Result<(), Failure> {
        self.text(&format!("{line}\n"))
    }

    /// Writes text as it is, but for [what a terminal obeys](terminal::harmless).
    ///
    /// # Errors
    /// As [`Out::line`].
    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        if self.closed {
            return Ok(());
        }
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(terminal::harmless(text).as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.closed = true,
            result => result.map_err(|error| Failure::failed(format!("standard output: {error}")))?,
        }
        Ok(())
    }

    /// Whether nobody reads any more.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }
}

/// A text for a field of CSV that a spreadsheet takes for text. Where a text begins like a formula, it gets an apostrophe in front;
/// also behind a sign that a spreadsheet may take for the end of a field: that of Indonesia is `;`. Numbers need none of this.
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
    fn tables_are_aligned_and_cut() {
        let columns = [left("MACHINE", 8), right("PAID", 8), left("NOTE", 0)];
        let line = |cells: [&str; 3]| row(&columns, &cells.map(String::from));
        assert_eq!(heading(&columns), "MACHINE       PAID  NOTE");
        assert_eq!(line(["vm-001", "Rp5.000", "a note of any length"]), "vm-001     Rp5.000  a note of any length");
        assert_eq!(line(["vm-0000000001", "Rp5.000", ""]), "vm-0000…   Rp5.000");
        assert_eq!(line(["vm-001", "Rp1.000.000", "an amount is whole"]), "vm-001    Rp1.000.000  an amount is whole");
        assert_eq!(line(["éé", "1", "a\nb\u{1b}[31m\u{202e}"]), "éé               1  a b [31m");
    }

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
    fn csv_is_that_of_rfc_4180() {
        let fields = ["a", "b,c;d", "say \"yes\"", "two\nlines", ""].map(String::from);
        assert_eq!(csv_record(&fields, Separator::Comma), "a,\"b,c;d\",\"say \"\"yes\"\"\",\"two\nlines\",\r\n");
        assert_eq!(csv_record(&fields, Separator::Semicolon), "a;\"b,c;d\";\"say \"\"yes\"\"\";\"two\nlines\";\r\n");
    }
}
