//! A row of an answer. Its values are read by the names of their columns.

use super::StoreError;
use qris_core::order::time::{Told, Wall};
use std::sync::Arc;

/// A value in a row or a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
}

pub type Columns<'a> = Vec<(&'a str, Value)>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The rows of an answer share them.
    columns: Arc<[Box<str>]>,
    values: Vec<Value>,
}

impl Row {
    /// A value for each column.
    pub(super) fn new(columns: &Arc<[Box<str>]>, values: Vec<Value>) -> Self {
        Self { columns: Arc::clone(columns), values }
    }

    /// A copy of the columns with their values, in the order of the answer.
    #[must_use]
    pub fn columns(&self) -> Columns<'_> {
        self.columns.iter().map(|name| &**name).zip(self.values.iter().cloned()).collect()
    }

    /// The only value of an answer that has one row with one column, such as a count.
    ///
    /// # Errors
    /// There is none, or it is no number.
    pub fn number(rows: &[Self]) -> Result<i64, StoreError> {
        match rows.first().map(|row| &row.values[..]) {
            Some([Value::Int(number)]) => Ok(*number),
            Some(_) | None => Err(wrong("a number")),
        }
    }

    fn get(&self, column: &str) -> Result<&Value, StoreError> {
        self.columns.iter().position(|name| **name == *column).map(|at| &self.values[at]).ok_or_else(|| wrong(column))
    }

    pub fn int(&self, column: &str) -> Result<i64, StoreError> {
        self.maybe_int(column)?.ok_or_else(|| wrong(column))
    }

    pub fn maybe_int(&self, column: &str) -> Result<Option<i64>, StoreError> {
        match self.get(column)? {
            Value::Int(number) => Ok(Some(*number)),
            Value::Null => Ok(None),
            Value::Text(_) => Err(wrong(column)),
        }
    }

    pub fn text(&self, column: &str) -> Result<&str, StoreError> {
        self.maybe_text(column)?.ok_or_else(|| wrong(column))
    }

    pub fn maybe_text(&self, column: &str) -> Result<Option<&str>, StoreError> {
        match self.get(column)? {
            Value::Text(text) => Ok(Some(text)),
            Value::Null => Ok(None),
            Value::Int(_) => Err(wrong(column)),
        }
    }
}

fn wrong(column: &str) -> StoreError {
    StoreError::Damaged { what: format!("column {column}"), why: "another kind of value than was written".into() }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<Told> for Value {
    fn from(now: Told) -> Self {
        now.wall.into()
    }
}

impl From<Wall> for Value {
    fn from(at: Wall) -> Self {
        Self::Int(at.0)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Int(yes.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
