//! A database of a test's own.

use super::Store;
use super::postgres::Server;
use qris_host::sqlite::Schema;
use std::path::Path;

/// Names a server, as `store.url` does. `tests/books-in-postgres` sets it.
const SERVER: &str = "QRIS_TEST_POSTGRES";

/// A file of this directory. If the environment names a server of PostgreSQL, it is a schema there, with the directory's name.
pub(crate) fn open(directory: &Path, file: &str, schema: &Schema) -> Store {
    match server(directory) {
        None => Store::open_beside(&directory.join(file), schema, true).expect("opens"),
        Some(server) => Store::at(&server, true, |_, _| Ok(())).expect("opens"),
    }
}

/// The server, if the environment names one.
pub(crate) fn server(directory: &Path) -> Option<Server> {
    let url = std::env::var(SERVER).ok()?;
    let name: String = directory.file_name().expect("a name").as_encoded_bytes().iter().map(|byte| format!("{byte:x}")).collect();
    Some(Server::new(&url, None, None).expect("a server").within(&format!("test_{name}")))
}
