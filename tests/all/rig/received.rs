//! What was heard so far, by a thread that listens, and the wait for more of it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A growing list that can be waited for. Clones are the same list.
#[derive(Debug)]
pub struct Received<T>(Arc<(Mutex<Vec<T>>, Condvar)>);

impl<T> Clone for Received<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Received<T> {
    fn default() -> Self {
        Self(Arc::new((Mutex::new(Vec::new()), Condvar::new())))
    }
}

impl<T> Received<T> {
    pub fn push(&self, item: T) {
        self.lock().push(item);
        self.0.1.notify_all();
    }

    /// How many there are: a place to wait from.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// The first at or behind `from` of which `look` makes something, waited for; `None` when patience is over.
    pub fn find_from<U>(&self, from: usize, patience: Duration, look: impl Fn(&T) -> Option<U>) -> Option<U> {
        let end = Instant::now() + patience;
        let mut seen = from;
        let mut list = self.lock();
        loop {
            while seen < list.len() {
                if let Some(found) = look(&list[seen]) {
                    return Some(found);
                }
                seen += 1;
            }
            let left = end.checked_duration_since(Instant::now())?;
            list = self.0.1.wait_timeout(list, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Looks at all of them, and again whenever there is one more; `None` when patience is over.
    pub fn until<U>(&self, patience: Duration, mut look: impl FnMut(&[T]) -> Option<U>) -> Option<U> {
        let end = Instant::now() + patience;
        let mut list = self.lock();
        loop {
            if let Some(found) = look(&list) {
                return Some(found);
            }
            let left = end.checked_duration_since(Instant::now())?;
            list = self.0.1.wait_timeout(list, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone> Received<T> {
    /// Those at and behind a place.
    pub fn since(&self, from: usize) -> Vec<T> {
        self.lock().get(from..).unwrap_or_default().to_vec()
    }

    pub fn all(&self) -> Vec<T> {
        self.lock().clone()
    }
}
