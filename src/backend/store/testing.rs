//! A database of a test's own.

use super::Store;
use super::postgres::Server;
use qris_host::sqlite::Schema;
use std::path::Path;

/// Names a server, as `store.url` does. `tests/books-in-postgres` sets it.
const SERVER: &str = "QRIS_TEST_POSTGRES";

/// A file of this directory. If the environment names a server of PostgreSQL, it is a schema there, with the directory's name.
pub(crate) fn open(directory: &Path, file: &str, schema: &Schema) -> Store {
    match std::env::var(SERVER) {
        Err(_) => Store::open_beside(&directory.join(file), schema, true).expect("opens"),
        Ok(url) => {
            let name: String = directory.file_name().expect("a name").as_encoded_bytes().iter().map(|byte| format!("{byte:x}")).collect();
            Store::at(&Server::new(&url, None, None).expect("a server").within(&format!("test_{name}")), true).expect("opens")
        }
    }
}
