//! The tables that a database must have. Each release makes them by a step from the version before. They are checked when the
//! database is opened.

use rusqlite::{Connection, TransactionBehavior};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// The owner of the file (`PRAGMA application_id`): a number of its own for each program, not 0.
    pub application_id: i32,
    /// The steps from an empty file to this release's database, and from each earlier release. Step N makes version N
    /// (`PRAGMA user_version`) from the version before. A published step never changes, not even by a letter, since
    /// databases have been made with it; a change is a new step. Foreign keys are not checked during a step, so that a
    /// table can be made anew.
    pub steps: &'static [&'static str],
    /// The versions whose step only adds: a table, or a column with a default or NULL. A program of the version before can go on with
    /// such a database. So a machine whose new system goes back still sells. The database keeps the oldest version that can, in a table
    /// that only such steps make.
    pub adding: &'static [i32],
}

/// The table with the oldest version whose program can go on with the database. Where it is missing, that is the database's own.
const OLDEST: &str = "oldest_version";

impl Schema {
    #[must_use]
    pub fn version(&self) -> i32 {
        i32::try_from(self.steps.len()).expect("not that many steps")
    }

    /// Whether this program can work with a database of a later version: the database says so, and has all that this program knows.
    pub fn goes_on_with(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let oldest = match connection.query_row(&format!("SELECT version FROM {OLDEST}"), [], |row| row.get::<_, i32>(0)) {
            Err(error) if error == rusqlite::Error::QueryReturnedNoRows || is_strange(&error) => return Ok(false),
            oldest => oldest?,
        };
        Ok((1..=self.version()).contains(&oldest) && strange(connection, self)?.is_none())
    }
}

pub(super) enum MigrationOutcome {
    Gone,
    /// Another process has done it a moment ago, such as `device add` beside a first `serve`.
    GoneBefore,
    /// This database does not allow it, although it works on every database that the earlier steps have made: with the reason.
    Strange(String),
}

/// Does the step from this version to the next, in one transaction.
pub(super) fn step(connection: &mut Connection, schema: &Schema, from: i32) -> rusqlite::Result<MigrationOutcome> {
    let Some(sql) = usize::try_from(from).ok().and_then(|at| schema.steps.get(at)) else { return Ok(MigrationOutcome::GoneBefore) };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if transaction.query_row("PRAGMA user_version", [], |row| row.get::<_, i32>(0))? != from {
        return Ok(MigrationOutcome::GoneBefore);
    }
    match transaction.execute_batch(sql) {
        Ok(()) => {}
        Err(error) if from > 0 && is_strange(&error) => return Ok(MigrationOutcome::Strange(error.to_string())),
        Err(error) => return Err(error),
    }
    transaction.pragma_update(None, "application_id", schema.application_id)?;
    transaction.pragma_update(None, "user_version", from + 1)?;
    transaction.execute_batch(&if schema.adding.contains(&(from + 1)) {
        // Of several such steps in a row the first one counts.
        format!(
            "CREATE TABLE IF NOT EXISTS {OLDEST} (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL) STRICT;
             INSERT INTO {OLDEST} VALUES (1, {from}) ON CONFLICT DO NOTHING;"
        )
    } else {
        format!("DROP TABLE IF EXISTS {OLDEST}")
    })?;
    transaction.commit()?;
    Ok(MigrationOutcome::Gone)
}

/// A name is missing that a release has made, or an extra name is there. If only one row breaks a rule, this is no reason to
/// set all the others aside: then the program does not start, and a person looks.
fn is_strange(error: &rusqlite::Error) -> bool {
    error.sqlite_extended_error_code() == Some(rusqlite::ffi::SQLITE_ERROR)
}

/// The part of the schema that is not as this program makes it. A flipped bit in the schema gives a table another
/// column, or a rule another name to look for. `quick_check` does not find that, and every later write is refused. A later release
/// may have added columns.
pub(super) fn strange(connection: &Connection, schema: &Schema) -> rusqlite::Result<Option<String>> {
    let (known, found) = (expected(schema)?, objects(connection)?);
    let is_later = connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i32>(0))? > schema.version();
    for object in known.iter() {
        let mut same_name = found.iter().filter(|other| other.name == object.name);
        let (one, other) = (same_name.next(), same_name.next());
        let Some(one) = one else { return Ok(Some(format!("the {} {} is missing", object.kind, object.name))) };
        if !(one.is_made_as(object) || is_later && one.has_grown_from(object)) || other.is_some() {
            return Ok(Some(format!("the {} {} is not as it was made", object.kind, object.name)));
        }
    }
    let pages: BTreeSet<i64> = found.iter().map(|object| object.page).filter(|page| *page != 0).collect();
    if pages.len() != found.iter().filter(|object| object.page != 0).count() {
        return Ok(Some("two tables or indexes begin on one page".into()));
    }
    Ok(None)
}

/// The objects of a fresh database. They are made once: a program may have to open its own database again and again.
fn expected(schema: &Schema) -> rusqlite::Result<Arc<[Object]>> {
    static MADE: Mutex<BTreeMap<&[&str], Arc<[Object]>>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = made.get(schema.steps) {
        return Ok(Arc::clone(known));
    }
    let fresh = Connection::open_in_memory()?;
    fresh.pragma_update(None, "foreign_keys", false)?;
    schema.steps.iter().try_for_each(|step| fresh.execute_batch(step))?;
    let known: Arc<[Object]> = objects(&fresh)?.into();
    made.insert(schema.steps, Arc::clone(&known));
    Ok(known)
}

/// A table, index or trigger, as SQLite keeps it.
struct Object {
    kind: String,
    name: String,
    table: String,
    /// `None` for an index that SQLite makes by itself.
    sql: Option<String>,
    /// Where it begins; 0 for a trigger.
    page: i64,
}

impl Object {
    /// Another release of SQLite may have written other blanks and quotes when it altered a table.
    fn is_made_as(&self, other: &Self) -> bool {
        (&self.kind, &self.table, self.words()) == (&other.kind, &other.table, other.words())
    }

    /// Whether this is the other table with more columns. SQLite puts all of them in one place of its text.
    fn has_grown_from(&self, other: &Self) -> bool {
        let (Some(grown), Some(before)) = (self.words(), other.words()) else { return false };
        let same = |pair: &(u8, u8)| pair.0 == pair.1;
        let begin = grown.bytes().zip(before.bytes()).take_while(same).count();
        let end = grown.bytes().rev().zip(before.bytes().rev()).take_while(same).count();
        (&*self.kind, &self.table) == ("table", &other.table) && other.kind == "table" && begin + end >= before.len()
    }

    fn words(&self) -> Option<String> {
        self.sql.as_deref().map(|sql| sql.replace([' ', '\n', '\t', '"', '`', '[', ']'], ""))
    }
}

fn objects(connection: &Connection) -> rusqlite::Result<Vec<Object>> {
    let mut select = connection.prepare("SELECT type, name, tbl_name, sql, rootpage FROM sqlite_schema")?;
    let object = |row: &rusqlite::Row<'_>| {
        let (kind, name, table, sql, page) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
        Ok(Object { kind, name, table, sql, page })
    };
    select.query_map([], object)?.collect()
}
