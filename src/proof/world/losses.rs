//! What was forgotten, when, and of which order nobody can know any more what became of it.
//!
//! A ledger that is lost takes nothing from what is demanded but its own word: the machine's database says whether the relay
//! was ever asked. A machine's database that is lost takes nothing at all: the ledger is asked. A backend that is set back is
//! told once more. Only a card that is set back, or cloned, forgets a pulse together with the open ticket that it was for; it
//! does so for the orders whose ticket is in the image, and that the backend had not been told of when the image was made.
//! One more pulse can be forgotten: the one that somebody else on the machine's bus began with a genuine receipt, when the
//! power goes before the machine hears of it and the ledger is lost next.

use super::World;
use qris_core::order::ids::{OrderId, Ticket};
use qris_core::order::outcome::DispenseAnswer;
use std::collections::{BTreeMap, BTreeSet};

/// One memory that is gone, or is there twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// The relay's ledger: all its tickets are void.
    Ledger,
    /// The machine's database, with or without the ledger.
    Store,
    /// The card is what it was then; or, cloned, there is a second one of then.
    Card { image: i64 },
    /// The backend's books are what they were then.
    Books,
    /// One of two machines with the same card is gone, with what it alone knew.
    Scrapped,
}

/// One ticket, as the simulation saw it given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    /// In which life of which ledger.
    pub(super) life: u32,
    /// When.
    pub(super) at: i64,
    /// When it was first used or closed: an image of the card that was made later knows that.
    pub(super) ended: Option<i64>,
}

#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Each with the moment in which it came.
    all: Vec<(Loss, i64)>,
    pub(super) tickets: BTreeMap<String, Given>,
    /// When the backend was first told an outcome.
    pub(super) told: BTreeMap<OrderId, i64>,
    /// What became of these one of two machines with the same card did not know, and said so; a person decided on its word while
    /// the other one ran.
    pub(super) by_twin: BTreeSet<OrderId>,
    /// Databases of which a disk operation failed, or may have, and since when.
    harmed: BTreeMap<&'static str, i64>,
}

impl Losses {
    pub(super) fn note(&mut self, loss: Loss, now: i64) {
        self.all.push((loss, now));
    }

    /// A ticket is used or closed.
    pub(super) fn ended(&mut self, ticket: &str, now: i64) {
        if let Some(given) = self.tickets.get_mut(ticket) {
            given.ended.get_or_insert(now);
        }
    }

    /// From now on an operation on this database fails, or may.
    pub(super) fn harmed(&mut self, database: &'static str, now: i64) {
        self.harmed.entry(database).or_insert(now);
    }

    /// Whether an operation on this database may have failed.
    pub(super) fn is_harmed(&self, database: &str) -> bool {
        self.harmed.contains_key(database)
    }

    /// Whether one may have failed before the backend was told what became of this order.
    pub(super) fn was_harmed_before_told(&self, database: &str, order: &OrderId) -> bool {
        let told = self.told.get(order).copied().unwrap_or(i64::MAX);
        self.harmed.get(database).is_some_and(|since| *since <= told)
    }

    fn has(&self, is_one: impl Fn(&Loss) -> bool) -> bool {
        self.all.iter().any(|(loss, _)| is_one(loss))
    }

    /// Whether the backend's books were set back.
    pub(super) fn books(&self) -> bool {
        self.has(|loss| *loss == Loss::Books)
    }

    /// Whether a machine's database was lost.
    pub(super) fn store(&self) -> bool {
        self.has(|loss| *loss == Loss::Store)
    }

    /// Whether a card was set back or cloned.
    pub(super) fn card(&self) -> bool {
        self.has(|loss| matches!(loss, Loss::Card { .. }))
    }

    /// Whether a memory that was lost can have held something about this order: it was there already. What came later no loss
    /// of before has touched.
    pub(super) fn touch(&self, ticket: Option<&Given>) -> bool {
        self.all.iter().any(|(_, at)| ticket.is_none_or(|ticket| ticket.at <= *at))
    }

    /// The same, of what a machine knew, or its relay: it may tell something else than it told.
    pub(super) fn touch_machine(&self, ticket: Option<&Given>) -> bool {
        let is_machine = |loss: &Loss| match loss {
            Loss::Ledger | Loss::Store | Loss::Card { .. } | Loss::Scrapped => true,
            Loss::Books => false,
        };
        self.all.iter().any(|(loss, at)| is_machine(loss) && ticket.is_none_or(|ticket| ticket.at <= *at))
    }

    /// Whether there is a ledger in which this ticket is open, and one in which it is not.
    pub(super) fn is_open_in_an_image(&self, ticket: Option<&Given>) -> bool {
        self.has(|loss| is_open_in(loss, ticket))
    }

    /// Whether a pulse for this order may be forgotten together with the open ticket that it was for.
    pub(super) fn forgotten(&self, order: &OrderId, ticket: Option<&Given>) -> bool {
        self.has(|loss| {
            let Loss::Card { image } = loss else { return false };
            is_open_in(loss, ticket) && self.told.get(order).is_none_or(|told| told > image)
        })
    }

    /// Whether a ledger was lost after this ticket was used or closed, and before the backend was told the outcome.
    fn forgets_pulse(&self, order: &OrderId, ticket: Option<&Given>) -> bool {
        let Some(ended) = ticket.and_then(|ticket| ticket.ended) else { return false };
        let told = self.told.get(order).copied().unwrap_or(i64::MAX);
        self.all.iter().any(|(loss, at)| *loss == Loss::Ledger && (ended..told).contains(at))
    }
}

fn is_open_in(loss: &Loss, ticket: Option<&Given>) -> bool {
    match loss {
        Loss::Card { image } => ticket.is_none_or(|ticket| ticket.at <= *image && ticket.ended.is_none_or(|ended| ended > *image)),
        Loss::Ledger | Loss::Store | Loss::Books | Loss::Scrapped => false,
    }
}

impl World {
    /// Whether the pulse that a stranger on the bus began is forgotten: the machine never asked for it, so it knows nothing of
    /// it but by the ledger, and that was lost before the backend was told.
    pub(super) fn is_pulse_unheard(&self, order: &OrderId) -> bool {
        self.strange.contains(order) && self.losses.forgets_pulse(order, self.ticket_of(order).as_ref())
    }

    /// The ticket of an order, as Midtrans' own record of the charge has it.
    pub(super) fn ticket_of(&self, order: &OrderId) -> Option<Given> {
        self.losses.tickets.get(&self.ticket_name(order)?).copied()
    }

    fn ticket_name(&self, order: &OrderId) -> Option<String> {
        let book = self.midtrans.transaction(order.as_str())?;
        Some(book.custom_fields[2].as_ref()?.rsplit('|').next()?.to_owned())
    }

    /// An order's ticket is used: a pulse begins with it.
    pub(super) fn ticket_used(&mut self, order: &OrderId) {
        if let Some(ticket) = self.ticket_name(order) {
            self.losses.ended(&ticket, self.now);
        }
    }

    /// Whether a receipt for this order would be driven now, by whichever relay, or is.
    pub(super) fn may_be_driven(&mut self, order: &OrderId) -> bool {
        let Some(ticket) = self.ticket_name(order).and_then(|ticket| Ticket::new(&ticket).ok()) else { return false };
        (0..self.relays.len()).any(|m| {
            let driven = self.relays[m].query(order) == Some(DispenseAnswer::Dispensing);
            self.alive[m] && (driven || self.relays[m].could_deliver(&ticket))
        })
    }

    /// Whether two ledgers with one key may say two things of this order's ticket.
    pub(super) fn is_in_two_ledgers(&self, order: &OrderId) -> bool {
        self.losses.is_open_in_an_image(self.ticket_of(order).as_ref())
    }

    /// Whether nobody can be expected to know what became of this order.
    pub(super) fn is_forgotten(&self, order: &OrderId) -> bool {
        self.losses.by_twin.contains(order) || self.losses.forgotten(order, self.ticket_of(order).as_ref())
    }
}
