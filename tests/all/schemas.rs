//! What a release has made stays as it made it, to the letter: each program compares it at every opening, and the release
//! before does too.

use qris::backend::store::Direct;
use qris::device::store::Store;
use qris::order::time::BootId;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn objects(path: &Path) -> BTreeMap<String, String> {
    let connection = Connection::open(path).expect("opens");
    let sql = "SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL";
    let mut select = connection.prepare(sql).expect("a statement");
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("runs");
    rows.map(|row| row.expect("a row")).collect()
}

/// The objects of a file in `tests/schemas`: a line `== type name`, and below it the text.
fn kept(path: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let parts = text.split("== ").skip(1).filter_map(|part| part.split_once('\n'));
    parts.map(|(name, sql)| (name.to_owned(), sql.trim_end_matches('\n').to_owned())).collect()
}

fn compare(program: &str, made: &BTreeMap<String, String>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/schemas").join(program);
    let kept = kept(&path);
    for (name, sql) in &kept {
        assert_eq!(made.get(name), Some(sql), "{program}: {name} was made otherwise by a release; what is new gets a name of its own");
    }
    if made.len() > kept.len() {
        let text = made.iter().fold(String::new(), |mut text, (name, sql)| {
            let _ = writeln!(text, "== {name}\n{sql}\n");
            text
        });
        let new = std::env::temp_dir().join(format!("schema-{program}"));
        std::fs::write(&new, text).expect("written");
        panic!("{program}: there is more than {} has: put {} in its place", path.display(), new.display());
    }
}

#[test]
fn what_was_made_once_is_made_so_for_ever() {
    let place = tempfile::tempdir().expect("a directory");
    let path = |name: &str| place.path().join(name);
    drop(Store::open(&path("qrisd.db"), &BootId("b".into()), false).expect("new"));
    compare("qrisd", &objects(&path("qrisd.db")));
    drop(Direct::open(&path("orders.db"), Box::new(())).expect("new"));
    compare("qris-backend", &objects(&path("orders.db")));
    // The ledger is nobody's but the relay's; its schema has no additions.
    let ledger = Connection::open(path("ledger.db")).expect("opens");
    ledger.execute_batch(include_str!("../../src/relay/schema.sql")).expect("made");
    compare("qris-relayd", &objects(&path("ledger.db")));
}
