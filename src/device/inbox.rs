//! The way into the machine: everything that happens, in one queue.

use super::machine::Input;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many messages and questions from outside wait in the queue; the next waits in its own task. Answers to the
/// machine's own calls are bounded by these.
const FOREIGN_MAX: usize = 64;

/// The sending end. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Inbox {
    queue: Sender<Letter>,
    room: Arc<Semaphore>,
}

/// What waits in the queue.
#[derive(Debug)]
pub enum Letter {
    /// For the machine. What came from outside gives its room back when it is dropped.
    Input(Input, Option<OwnedSemaphorePermit>),
    /// The runtime answered: the program makes progress.
    Pong,
    /// The program was told to stop.
    Stop,
}

impl Inbox {
    /// A new queue.
    #[must_use]
    pub fn new() -> (Self, Receiver<Letter>) {
        let (queue, letters) = channel();
        (Self { queue, room: Arc::new(Semaphore::new(FOREIGN_MAX)) }, letters)
    }

    /// Something that we asked for or watch ourselves.
    pub fn send(&self, input: Input) {
        self.post(Letter::Input(input, None));
    }

    /// Something from outside: waits while too much does.
    pub async fn send_foreign(&self, input: Input) {
        // The semaphore is never closed; without a permit the message would only not be counted.
        let permit = Arc::clone(&self.room).acquire_owned().await.ok();
        self.post(Letter::Input(input, permit));
    }

    /// Anything. The owner is gone only when the program ends.
    pub fn post(&self, letter: Letter) {
        drop(self.queue.send(letter));
    }
}
