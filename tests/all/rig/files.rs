//! The text files of the source tree, for tests that read them.

use std::path::{Path, PathBuf};

/// Every file below a directory that has this ending, with its text. There must be at least one.
pub fn files(place: &Path, ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    gather(place, ending, &mut found);
    assert!(!found.is_empty(), "{}: no .{ending}", place.display());
    found
}

/// The same of a place that may be a file, or have none.
pub fn files_if_any(place: &Path, ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    if place.is_dir() {
        gather(place, ending, &mut found);
    } else if place.extension().is_some_and(|known| known == ending) {
        found.push((place.to_owned(), std::fs::read_to_string(place).expect("a text file")));
    }
    found
}

/// A directory may hold none, such as the one with the files of a page.
fn gather(place: &Path, ending: &str, found: &mut Vec<(PathBuf, String)>) {
    let entries = std::fs::read_dir(place).unwrap_or_else(|why| panic!("{}: {why}", place.display()));
    for entry in entries {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            gather(&path, ending, found);
        } else if path.extension().is_some_and(|known| known == ending) {
            let text = std::fs::read_to_string(&path).expect("a text file");
            found.push((path, text));
        }
    }
}
