//! The way into the machine: one queue for all inputs.

use super::words::Input;
use std::sync::Arc;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most messages and questions from outside that wait in the queue. The next one waits in its own task. This
/// number also limits the answers to the machine's own calls.
const FOREIGN_MAX: usize = 64;

/// Clones share the queue.
#[derive(Clone, Debug)]
pub struct Inbox {
    queue: UnboundedSender<Letter>,
    room: Arc<Semaphore>,
}

#[derive(Debug)]
pub enum Letter {
    /// For the machine. An input from outside gives its room back when it is dropped.
    Input(Box<Input>, Option<OwnedSemaphorePermit>),
    /// The first attempt to be reached over D-Bus has ended, with or without success.
    Served,
    Stop,
}

impl Inbox {
    #[must_use]
    pub fn new() -> (Self, UnboundedReceiver<Letter>) {
        let (queue, letters) = unbounded_channel();
        (Self { queue, room: Arc::new(Semaphore::new(FOREIGN_MAX)) }, letters)
    }

    /// Takes an input that we asked for or watch ourselves.
    pub fn send(&self, input: Input) {
        self.post(Letter::Input(Box::new(input), None));
    }

    /// Takes an input from outside. It waits while the queue has too many of them.
    pub async fn send_foreign(&self, input: Input) {
        // The semaphore is never closed. Without a permit the message would only not be counted.
        let permit = Arc::clone(&self.room).acquire_owned().await.ok();
        self.post(Letter::Input(Box::new(input), permit));
    }

    /// Takes any entry. The owner of the queue is gone only when the program ends.
    pub fn post(&self, letter: Letter) {
        drop(self.queue.send(letter));
    }
}
