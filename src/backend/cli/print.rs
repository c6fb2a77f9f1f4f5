//! The output of the commands: tables of fixed columns, and one JSON object a line. There is no complaint when the
//! reader has seen enough (`| head`).

use qris_core::order::time::{Wall, Zone};
use qris_core::text;
use qris_host::speech::fill;
use qris_host::{Failure, terminal};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};

#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub name: &'static str,
    /// The most characters. A longer text is cut, with an ellipsis; 0: no limit, for the last column.
    pub width: usize,
    /// Numbers stand on the right, and are never cut.
    pub right: bool,
}

#[must_use]
pub const fn left(name: &'static str, width: usize) -> Column {
    Column { name, width, right: false }
}

#[must_use]
pub const fn right(name: &'static str, width: usize) -> Column {
    Column { name, width, right: true }
}

#[must_use]
pub fn heading(columns: &[Column]) -> String {
    row(columns, &columns.iter().map(|column| column.name.to_owned()).collect::<Vec<_>>())
}

/// The zone of the times takes the place of `{0}`.
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

/// What a list shows of each `T`, declared once: its key in JSON and its column in a table, as far as it has them, and the value.
pub struct Field<T>(pub Option<&'static str>, pub Option<Column>, pub fn(&T) -> Shown);

pub enum Shown {
    Text(Option<String>),
    Words(Option<Vec<String>>),
    Time(Option<Wall>),
    /// The words for yes and no.
    Is(Option<bool>, [&'static str; 2]),
}

/// A value in a table, if there is one.
fn cell(value: Shown, zone: Zone) -> Option<String> {
    match value {
        Shown::Text(text) => text,
        Shown::Words(words) => words.map(|words| words.join(" ")).filter(|words| !words.is_empty()),
        Shown::Time(at) => at.map(|at| at.to_local(zone)),
        Shown::Is(is, [yes, no]) => is.map(|is| if is { yes } else { no }.into()),
    }
}

fn columns<T>(fields: &[Field<T>]) -> Vec<Column> {
    fields.iter().filter_map(|Field(_, column, _)| *column).collect()
}

#[must_use]
pub fn heading_of<T>(fields: &[Field<T>], zone: Zone) -> String {
    heading_in(&columns(fields), zone)
}

#[must_use]
pub fn row_of<T>(fields: &[Field<T>], it: &T, zone: Zone) -> String {
    row(&columns(fields), &cells_of(fields, it, zone))
}

/// All lines of a table, with its heading.
#[must_use]
pub fn lines_of<T>(fields: &[Field<T>], all: &[T], zone: Zone) -> String {
    let rows = all.iter().map(|it| row_of(fields, it, zone));
    [heading_of(fields, zone)].into_iter().chain(rows).map(|line| line + "\n").collect()
}

/// A list that is known as a whole, with its heading: without the columns in which nothing stands, and each no wider than what does.
#[must_use]
pub fn table_of<T>(fields: &[Field<T>], all: &[T], zone: Zone) -> Vec<String> {
    let rows: Vec<_> = all.iter().map(|it| cells_of(fields, it, zone)).collect();
    let is_used = |at: &usize| rows.is_empty() || rows.iter().any(|row| row[*at] != NOTHING);
    let columns = columns(fields);
    let used: Vec<usize> = (0..columns.len()).filter(is_used).collect();
    let narrow = |at: &usize| {
        let column = columns[*at];
        let name = fill(column.name, &[&zone.as_str()]);
        let longest = rows.iter().map(|row| row[*at].chars().count()).chain([name.chars().count()]).max().unwrap_or(0);
        Column { width: column.width.min(longest), ..column }
    };
    let narrow: Vec<_> = used.iter().map(narrow).collect();
    let shown = |cells: &Vec<String>| row(&narrow, &used.iter().map(|at| cells[*at].clone()).collect::<Vec<_>>());
    [heading_in(&narrow, zone)].into_iter().chain(rows.iter().map(shown)).collect()
}

/// A value that is missing.
const NOTHING: &str = "-";

fn cells_of<T>(fields: &[Field<T>], it: &T, zone: Zone) -> Vec<String> {
    fields.iter().filter(|field| field.1.is_some()).map(|Field(_, _, of)| cell(of(it), zone).unwrap_or_else(|| NOTHING.into())).collect()
}

#[must_use]
pub fn object_of<T>(fields: &[Field<T>], it: &T) -> Value {
    let value = |Field(key, _, of): &Field<T>| {
        let key = (*key)?;
        let value: Value = match of(it) {
            Shown::Text(text) => text.into(),
            Shown::Words(words) => words.into(),
            Shown::Time(at) => at.map(Wall::to_rfc3339_wib).into(),
            Shown::Is(is, _) => is.into(),
        };
        Some((key.to_owned(), value))
    };
    fields.iter().filter_map(value).collect()
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

    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_without_a_value_goes_and_the_others_are_as_wide_as_what_stands_in_them() {
        const FIELDS: [Field<(&str, Option<bool>)>; 3] = [
            Field(None, Some(left("MACHINE", 40)), |it| Shown::Text(Some(it.0.into()))),
            Field(None, Some(left("SINCE ({0})", 19)), |_| Shown::Time(None)),
            Field(None, Some(left("IS", 7)), |it| Shown::Is(it.1, ["there", "missing"])),
        ];
        let table = |rows: &[_]| table_of(&FIELDS, rows, Zone::Wib);
        assert_eq!(table(&[("vm-001", None), ("Lobi barat", Some(true))]), ["MACHINE     IS", "vm-001      -", "Lobi barat  there"]);
        assert_eq!(table(&[]), ["MACHINE  SINCE (WIB)  IS"]);
    }

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
}
