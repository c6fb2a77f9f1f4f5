//! The desk's side of the backend. The desk (`qris-desk`) is a program of its own, which has no books and no key. It asks here for what a
//! person wants to see or do, over a local socket, and each question carries the session of that person. All is judged here: who asks, what
//! this person may do, and whether an order allows it. What the desk says of that counts for nothing.
//!
//! Everything that lasts stands in the books. So several backends share the people and their sessions; and a deed, its judging and its line
//! in the log are one transaction.

mod answer;
mod door;
mod guesses;
pub mod judge;
pub mod log;
mod passwords;
pub mod people;
mod section;
pub mod sessions;

pub use door::{listen, serve};
pub use section::{SOCKET, Section, Settings};

use crate::http::Handles;
use crate::machines::handle::Machines;
use crate::sale::handle::Books;
use crate::sale::view::Place;
use crate::sale::work::Work;
use guesses::Guesses;
use judge::Usual;
use passwords::Passwords;
use qris_host::surroundings::Surroundings;
use std::sync::Arc;

/// What the desk's questions are answered with.
#[derive(Debug)]
pub struct Desk {
    around: Arc<dyn Surroundings>,
    books: Arc<Books>,
    machines: Arc<Machines>,
    work: Arc<Work>,
    place: Arc<Place>,
    usual: Usual,
    guesses: Guesses,
    passwords: Passwords,
}

impl Desk {
    /// The desk of this backend.
    #[must_use]
    pub fn new(handles: &Handles, settings: &Settings) -> Self {
        let Handles { around, books, machines, work, place, .. } = handles.clone();
        let usual = Usual { limit_per_day: settings.limit_per_day, zone: place.zone };
        Self { around, books, machines, work, place, usual, guesses: Guesses::default(), passwords: Passwords::default() }
    }
}
