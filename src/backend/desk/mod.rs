//! The desk's side of the backend. The desk (`qris-desk`) is a program of its own, which has no books and no key. It asks here for what a
//! person wants to see or do, over a local socket, and each question carries the session of that person. All is judged here: who asks, what
//! this person may do, and whether an order allows it. The desk's own word about that counts for nothing.
//!
//! Everything that lasts stands in the books. So several backends share the people and their sessions; and a deed, its judging and its line
//! in the log are one transaction.

mod answer;
mod deeds;
mod door;
mod entering;
mod guesses;
mod home;
mod judge;
pub mod log;
mod machines;
mod orders;
mod pages;
mod passwords;
pub mod people;
mod places;
mod report;
pub mod restored;
mod search;
mod section;
mod sessions;
mod staff;
mod tables;
#[cfg(test)]
mod tests;
mod today;
mod typed;

pub use door::{listen, serve};
pub use section::{SOCKET, Section, Settings};

use crate::http::Handles;
use crate::machines::handle::Machines;
use crate::money::takings::Fees;
use crate::sale::handle::Books;
use crate::sale::view::Shop;
use crate::sale::work::Work;
use guesses::Guesses;
use judge::Usual;
use passwords::Passwords;
use places::Tables;
use qris_core::order::time::Span;
use qris_host::surroundings::Surroundings;
use std::net::SocketAddr;
use std::sync::Arc;

#[derive(Debug)]
pub struct Desk {
    around: Arc<dyn Surroundings>,
    books: Arc<Books>,
    machines: Arc<Machines>,
    work: Arc<Work>,
    place: Arc<Shop>,
    usual: Usual,
    log_lasts: Span,
    /// Where the desk listens for people in the local network.
    home: Option<SocketAddr>,
    guesses: Guesses,
    passwords: Passwords,
    fees: Fees,
    tables: Tables,
}

impl Desk {
    #[must_use]
    pub fn new(handles: &Handles, settings: &Settings, fees: Fees) -> Self {
        let Handles { around, books, machines, work, place, .. } = handles.clone();
        let usual = Usual { limit_per_day: settings.limit_per_day, zone: place.zone };
        let (guesses, passwords, tables) = (Guesses::default(), Passwords::default(), Tables::default());
        let Settings { log_lasts, home, .. } = *settings;
        Self { around, books, machines, work, place, usual, log_lasts, home, guesses, passwords, fees, tables }
    }

    /// The name of this computer's boot. Sessions outlive it by a trusted time only.
    fn boot(&self) -> Option<Box<str>> {
        self.around.reckoning().boot().map(|boot| boot.0.clone())
    }
}
