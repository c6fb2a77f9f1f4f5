//! `docs/developing/midtrans.md` says of each statement of Midtrans' documents where it is implemented and which test proves it.
//! This reads the table against the sources: no cell is empty, every file is there, every test has that name.

use crate::rig::source;

/// The columns: number, statement, documents, where, test.
const COLUMNS: usize = 5;

#[test]
fn every_row_names_a_place_and_a_test_that_exist() {
    let text = std::fs::read_to_string(source("docs/developing/midtrans.md")).expect("docs/developing/midtrans.md");
    let rows: Vec<Vec<&str>> = text.lines().filter_map(row).collect();
    assert!(rows.len() > 50, "the table has {} rows", rows.len());
    let mut wrong = Vec::new();
    for (index, cells) in rows.iter().enumerate() {
        wrong.extend(faults(index + 1, cells));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The cells of a row of the table; its rows begin with a number.
fn row(line: &str) -> Option<Vec<&str>> {
    let cells: Vec<&str> = line.strip_prefix('|')?.trim_end().strip_suffix('|')?.split('|').map(str::trim).collect();
    cells.first()?.parse::<usize>().ok()?;
    Some(cells)
}

fn faults(number: usize, cells: &[&str]) -> Vec<String> {
    if cells.len() != COLUMNS {
        return vec![format!("row {number} has {} cells and not {COLUMNS}", cells.len())];
    }
    let mut wrong = Vec::new();
    if cells[0] != number.to_string() {
        wrong.push(format!("row {number} calls itself {}", cells[0]));
    }
    for (cell, name) in cells.iter().zip(["number", "statement", "documents", "where", "test"]) {
        if cell.is_empty() {
            wrong.push(format!("row {number}: {name} is empty"));
        }
    }
    let (places, tests) = (quoted(cells[3]), quoted(cells[4]));
    if places.is_empty() {
        wrong.push(format!("row {number} names no place"));
    }
    if tests.is_empty() {
        wrong.push(format!("row {number} names no test"));
    }
    wrong.extend(places.into_iter().filter(|place| !source(place).exists()).map(|place| format!("row {number}: there is no {place}")));
    wrong.extend(tests.into_iter().filter(|test| !is_test(test)).map(|test| format!("row {number}: there is no test {test}")));
    wrong
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Whether `FILE::NAME` is a test function in that file.
fn is_test(test: &str) -> bool {
    let Some((file, name)) = test.rsplit_once("::") else { return false };
    let Ok(text) = std::fs::read_to_string(source(file)) else { return false };
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let begins = |line: &&str| line.starts_with(&format!("fn {name}(")) || line.starts_with(&format!("async fn {name}("));
    let Some(at) = lines.iter().position(begins) else { return false };
    lines[..at].iter().rev().take_while(|line| line.starts_with("#[")).any(|line| line.contains("test"))
}
