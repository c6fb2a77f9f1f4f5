//! What a program gets from its computer beside files and networks: the time of day, randomness, and a journal. A program that
//! needs them in the middle of its work is handed them. So the same program can run in a simulation.

use super::events::Event;
use super::journal::emit;
use super::{clock, random};
use qris_core::order::time::Wall;
use std::fmt::Debug;

pub trait Surroundings: Debug + Send + Sync {
    fn now(&self) -> Wall;
    /// Fills the bytes with values that nobody can guess.
    fn random(&self, bytes: &mut [u8]);
    fn emit(&self, event: &Event);
}

/// Those of the computer on which it runs.
#[derive(Debug, Clone, Copy)]
pub struct Computer;

impl Surroundings for Computer {
    fn now(&self) -> Wall {
        clock::now().wall
    }

    fn random(&self, bytes: &mut [u8]) {
        random::fill(bytes);
    }

    fn emit(&self, event: &Event) {
        emit(event);
    }
}
