//! What a database must hold: made, added to by later releases, and compared at each opening.

use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// What a program expects of its database.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Whose file it is (`PRAGMA application_id`): a number of its own for each program, not 0.
    pub application_id: i32,
    /// The version of the schema (`PRAGMA user_version`), from 1. Changes are additive.
    pub version: i32,
    /// The statements that make an empty database of this version; run in one transaction. Of a release that is out no letter
    /// of them may change, comments within a statement included: the text is compared at every opening.
    pub sql: &'static str,
    /// What came later, for databases of before and for new ones: `CREATE … IF NOT EXISTS`, run where it is not there yet. The
    /// previous release runs on a database that has it, and sees only that there is more than it knows.
    pub additions: &'static str,
}

/// Brings a database of an earlier release up to this one, unless it is none: then nothing is written, and what is wrong with
/// it is the answer.
pub(super) fn add(connection: &mut Connection, schema: &Schema) -> rusqlite::Result<Option<String>> {
    let transaction = connection.transaction()?;
    match transaction.execute_batch(schema.additions) {
        Ok(()) => {}
        // They run on whatever a release has made; here is something else.
        Err(error) if error.sqlite_extended_error_code() == Some(rusqlite::ffi::SQLITE_ERROR) => return Ok(Some(error.to_string())),
        Err(error) => return Err(error),
    }
    let strange = strange(&transaction, schema)?;
    if strange.is_none() {
        transaction.commit()?;
    }
    Ok(strange)
}

/// What of its schema is not as this program makes it. A bit that flips in there gives a table another column, or a rule
/// another name to look for: `quick_check` finds nothing wrong with that, and what is to be written is refused for ever. More
/// than is known here is no damage: a later release was at work.
pub(super) fn strange(connection: &Connection, schema: &Schema) -> rusqlite::Result<Option<String>> {
    let (known, found) = (expected(schema)?, objects(connection)?);
    for object in known.iter() {
        let mut same_name = found.iter().filter(|other| other.name == object.name);
        let (one, other) = (same_name.next(), same_name.next());
        let Some(one) = one else { return Ok(Some(format!("the {} {} is missing", object.kind, object.name))) };
        if !one.is_made_as(object) || other.is_some() {
            return Ok(Some(format!("the {} {} is not as it was made", object.kind, object.name)));
        }
    }
    let pages: BTreeSet<i64> = found.iter().map(|object| object.page).filter(|page| *page != 0).collect();
    if pages.len() != found.iter().filter(|object| object.page != 0).count() {
        return Ok(Some("two tables or indexes begin on one page".into()));
    }
    Ok(None)
}

/// What a fresh database has. It is made once: a program may have to open its own again and again.
fn expected(schema: &Schema) -> rusqlite::Result<Arc<[Object]>> {
    static MADE: Mutex<BTreeMap<[&str; 2], Arc<[Object]>>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let texts = [schema.sql, schema.additions];
    if let Some(known) = made.get(&texts) {
        return Ok(Arc::clone(known));
    }
    let fresh = Connection::open_in_memory()?;
    texts.into_iter().try_for_each(|text| fresh.execute_batch(text))?;
    let known: Arc<[Object]> = objects(&fresh)?.into();
    made.insert(texts, Arc::clone(&known));
    Ok(known)
}

/// A table, index or trigger, as SQLite keeps it.
struct Object {
    kind: String,
    name: String,
    table: String,
    /// None for an index that SQLite makes by itself.
    sql: Option<String>,
    /// Where it begins; 0 for a trigger.
    page: i64,
}

impl Object {
    fn is_made_as(&self, other: &Self) -> bool {
        (&self.kind, &self.table, &self.sql) == (&other.kind, &other.table, &other.sql)
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
