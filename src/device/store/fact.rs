//! What the machine knows besides its orders: one value under each name, with its type. It is stored [sealed](super::sealed).

use super::sealed;
use rusqlite::{Connection, OptionalExtension as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

#[derive(Debug)]
pub struct Fact<T> {
    pub(super) name: &'static str,
    value: PhantomData<fn() -> T>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Known<T> {
    Never,
    Damaged,
    Is(T),
}

impl<T: Serialize + DeserializeOwned> Fact<T> {
    /// No two facts have one name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, value: PhantomData }
    }

    pub(super) fn read(&self, connection: &Connection) -> rusqlite::Result<Known<T>> {
        let mut select = connection.prepare_cached("SELECT value FROM facts WHERE name = ?1")?;
        let stored: Option<String> = select.query_row([self.name], |row| row.get("value")).optional()?;
        Ok(stored.map_or(Known::Never, |text| sealed::open(&text).map_or(Known::Damaged, Known::Is)))
    }

    pub(super) fn write(&self, connection: &Connection, value: &T) -> rusqlite::Result<()> {
        let sql = "INSERT INTO facts (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        connection.prepare_cached(sql)?.execute([self.name, &sealed::seal(value)]).map(drop)
    }
}

impl<T> Known<T> {
    #[must_use]
    pub fn good(self) -> Option<T> {
        match self {
            Self::Never | Self::Damaged => None,
            Self::Is(value) => Some(value),
        }
    }
}
