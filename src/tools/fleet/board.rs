//! What the machines, their customers and the broker's observer have told so far. Who waits for something looks here.

use qris_core::order::ids::OrderId;
use qris_core::order::outcome::Delivery;
use qris_core::wire::stock::Slot;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Differences of one kind are mostly the same.
const WRONG_MAX: usize = 20;

/// The common knowledge.
#[derive(Debug)]
pub struct Board {
    tally: Mutex<Tally>,
    changed: watch::Sender<()>,
}

/// The facts.
#[derive(Debug)]
pub struct Tally {
    /// Counts the times that machines had to come back.
    wave: u32,
    /// So many machines are to come back in this wave: the first ones. Others may lose their connection, too.
    coming: usize,
    machines: Vec<Machine>,
    /// Machines that came back in this wave, asked for their open orders, and were answered.
    pub answered: usize,
    /// Machines whose status of this wave came through the broker.
    pub online: usize,
    /// Every order that was shown to a customer.
    pub orders: HashMap<OrderId, Sale>,
    /// Requests that have neither an order nor a refusal yet.
    pub asking: usize,
    /// Orders that are paid, and whose outcome the backend does not have yet.
    pub unsettled: usize,
    /// Requests for which there was no QR. Nobody could pay.
    pub refused: usize,
    /// Questions to the backend without an answer of it.
    pub unanswered: u64,
    /// Why the last one had none.
    pub why_unanswered: Box<str>,
    /// The slots of each machine, as it told them last.
    pub stock: Vec<Vec<Slot>>,
    /// What must not be.
    pub wrong: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Machine {
    answered: u32,
    seen: u32,
    is_offline: bool,
}

/// One order.
#[derive(Debug, Default)]
pub struct Sale {
    /// When its customer paid, and so when Midtrans sent its notification.
    pub paid: Option<Instant>,
    /// From that notification to the receipt at the machine, if the broker brought it.
    pub took: Option<Duration>,
    /// Its receipt.
    pub receipt: Option<Box<str>>,
    /// The outcome that the backend has acknowledged.
    pub reported: Option<Delivery>,
    /// It ended unpaid.
    pub ended: bool,
}

impl Board {
    /// For so many machines.
    #[must_use]
    pub fn new(machines: usize) -> Self {
        let tally = Tally {
            wave: 0,
            coming: 0,
            machines: vec![Machine::default(); machines],
            answered: 0,
            online: 0,
            orders: HashMap::new(),
            asking: 0,
            unsettled: 0,
            refused: 0,
            unanswered: 0,
            why_unanswered: "".into(),
            stock: vec![Vec::new(); machines],
            wrong: Vec::new(),
        };
        Self { tally: Mutex::new(tally), changed: watch::Sender::new(()) }
    }

    /// The facts now.
    pub fn lock(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes them.
    pub fn note<T>(&self, change: impl FnOnce(&mut Tally) -> T) -> T {
        let done = change(&mut self.lock());
        self.changed.send_replace(());
        done
    }

    /// Waits for something. False: in vain, for so long.
    pub async fn until(&self, within: Duration, is_so: impl Fn(&Tally) -> bool) -> bool {
        let mut changed = self.changed.subscribe();
        let wait = async {
            while !is_so(&self.lock()) {
                // The sender lives as long as the board.
                let _ = changed.changed().await;
            }
        };
        tokio::time::timeout(within, wait).await.is_ok()
    }
}

impl Tally {
    /// From now on the first so many machines come back once more. The number of this wave.
    pub fn begin_wave(&mut self, coming: usize) -> u32 {
        self.wave += 1;
        (self.coming, self.answered, self.online) = (coming, 0, 0);
        self.wave
    }

    /// How many of the first so many machines are away, as the broker says.
    #[must_use]
    pub fn offline(&self, first: usize) -> usize {
        self.machines[..first].iter().filter(|machine| machine.is_offline).count()
    }

    /// The present wave.
    #[must_use]
    pub const fn wave(&self) -> u32 {
        self.wave
    }

    /// The backend has told a machine its open orders, which connected in this wave.
    pub fn machine_answered(&mut self, machine: usize, wave: u32) {
        let known = &mut self.machines[machine];
        if wave == self.wave && known.answered != wave && machine < self.coming {
            known.answered = wave;
            self.answered += 1;
        }
    }

    /// The broker has told the status of a machine. `wave`: that in which it connected; none: it is offline.
    pub fn status_seen(&mut self, machine: usize, wave: Option<u32>) {
        let Some(known) = self.machines.get_mut(machine) else { return };
        known.is_offline = wave.is_none();
        if wave == Some(self.wave) && known.seen != self.wave && machine < self.coming {
            known.seen = self.wave;
            self.online += 1;
        }
    }

    /// Something that must not be.
    pub fn is_wrong(&mut self, what: String) {
        if self.wrong.len() < WRONG_MAX {
            self.wrong.push(what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_counts_once_in_each_wave() {
        let board = Board::new(3);
        let counts = || {
            let tally = board.lock();
            (tally.answered, tally.online, tally.offline(2))
        };
        board.note(|tally| {
            let wave = tally.begin_wave(2);
            tally.machine_answered(0, wave);
            tally.machine_answered(0, wave);
            tally.status_seen(1, Some(wave));
            tally.status_seen(0, None);
            tally.status_seen(0, None);
        });
        assert_eq!(counts(), (1, 1, 1));
        board.note(|tally| {
            let wave = tally.begin_wave(2);
            // What is left of the wave before counts nothing.
            tally.machine_answered(1, wave - 1);
            tally.status_seen(1, Some(wave - 1));
            tally.status_seen(0, Some(wave));
            // Nobody waits for this one, which lost its connection beside.
            tally.status_seen(2, None);
            tally.machine_answered(2, wave);
            tally.status_seen(2, Some(wave));
        });
        assert_eq!(counts(), (0, 1, 0));
    }
}
