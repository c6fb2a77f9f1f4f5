//! What the machine knows besides its orders: one value under each name, with its type. It is stored [sealed](super::sealed).

use super::sealed;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

/// The name of a fact, and the type of its value.
#[derive(Debug)]
pub struct Fact<T> {
    pub(super) name: &'static str,
    value: PhantomData<fn() -> T>,
}

/// What the database has of a fact.
#[derive(Debug, PartialEq, Eq)]
pub enum Known<T> {
    /// Nothing was stored.
    Never,
    /// It is not as it was stored.
    Damaged,
    /// This was stored last.
    Is(T),
}

impl<T: Serialize + DeserializeOwned> Fact<T> {
    /// No two facts have one name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, value: PhantomData }
    }

    pub(super) fn open(&self, stored: Option<String>) -> Known<T> {
        match stored {
            None => Known::Never,
            Some(text) => sealed::open(&text).map_or(Known::Damaged, Known::Is),
        }
    }
}

impl<T> Known<T> {
    /// The value, if it is as it was stored.
    #[must_use]
    pub fn good(self) -> Option<T> {
        match self {
            Self::Never | Self::Damaged => None,
            Self::Is(value) => Some(value),
        }
    }
}
