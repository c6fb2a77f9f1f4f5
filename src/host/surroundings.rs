//! What a program gets from its computer beside files and networks: the clocks, randomness, and a journal. A program that
//! needs them in the middle of its work is handed them. So the same program can run in a simulation.

use super::events::Event;
use super::journal::emit;
use super::reckoning::Reckoning;
use super::{clock, random};
use qris_core::order::time::{Now, Wall};
use qris_core::order::tries::TwoDigits;
use std::fmt::Debug;

pub trait Surroundings: Debug + Send + Sync {
    fn clocks(&self) -> Now;
    /// What is known of the time of day beside the clock.
    fn reckoning(&self) -> &Reckoning;
    /// Fills the bytes with values that nobody can guess.
    fn random(&self, bytes: &mut [u8]);
    fn emit(&self, event: &Event);

    /// The time of day, as the clock says it.
    fn now(&self) -> Wall {
        self.clocks().wall
    }

    /// Two digits that nobody can guess, each as likely as any other.
    fn two_digits(&self) -> TwoDigits {
        loop {
            let mut bytes = [0; 8];
            self.random(&mut bytes);
            if let Some(byte) = bytes.into_iter().find(|byte| *byte < 200) {
                return TwoDigits::of(byte);
            }
        }
    }
}

/// Those of the computer on which it runs.
#[derive(Debug)]
pub struct Computer(Reckoning);

impl Default for Computer {
    fn default() -> Self {
        Self(Reckoning::of(clock::boot_id().ok()))
    }
}

impl Surroundings for Computer {
    fn clocks(&self) -> Now {
        clock::now()
    }

    fn reckoning(&self) -> &Reckoning {
        &self.0
    }

    fn random(&self, bytes: &mut [u8]) {
        random::fill(bytes);
    }

    fn emit(&self, event: &Event) {
        emit(event);
    }
}
