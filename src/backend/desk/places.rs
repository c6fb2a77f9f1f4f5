//! Whose tables are being made. A person who asks for them again and again, and goes away each time, must not keep sales waiting. So a person
//! has one at a time, and few have one at once.

use qris_core::wire::desk::Problem;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most tables that are made at once. So they leave nearly all places at the socket to pages.
const AT_ONCE: usize = 4;

/// Whose tables are being made.
#[derive(Debug, Default)]
pub struct Tables(Arc<Mutex<HashSet<i64>>>);

/// A person's table, until the last of its readings ends. Each reading holds it, too: a request whose person went away is gone at once, and
/// its reading is not.
#[derive(Debug)]
pub struct Place {
    all: Arc<Mutex<HashSet<i64>>>,
    person: i64,
}

impl Tables {
    /// Begins a table for this person.
    ///
    /// # Errors
    /// [`Problem::Busy`]: this person has one already, or too many others have.
    pub(super) fn begin(&self, person: i64) -> Result<Arc<Place>, Problem> {
        let mut all = locked(&self.0);
        if all.len() >= AT_ONCE || !all.insert(person) {
            return Err(Problem::Busy);
        }
        Ok(Arc::new(Place { all: Arc::clone(&self.0), person }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        locked(&self.all).remove(&self.person);
    }
}

fn locked(all: &Mutex<HashSet<i64>>) -> MutexGuard<'_, HashSet<i64>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_has_one_table_at_a_time_and_few_have_one() {
        let tables = Tables::default();
        let first = tables.begin(1).expect("free");
        let reading = Arc::clone(&first);
        drop(first);
        assert!(matches!(tables.begin(1), Err(Problem::Busy)), "the reading goes on, although nobody waits for it");
        let others: Vec<_> = (2..).map_while(|person| tables.begin(person).ok()).collect();
        assert_eq!(others.len(), AT_ONCE - 1);
        drop(reading);
        assert!(tables.begin(1).is_ok() && tables.begin(9).is_ok(), "a place stays taken");
    }
}
