//! The lost memories: what was forgotten, when, and the orders whose fate nobody can know any more.
//!
//! A lost ledger excuses nothing but its own word: the machine's database says whether the relay was ever asked. A lost database
//! of the machine excuses nothing at all: the ledger is asked. A backend that is set back is told once more. Only a card that is
//! set back, or cloned, forgets a pulse together with its open ticket. This concerns the orders whose ticket is in the image,
//! and that the backend had not been told of when the image was made. One more pulse can be forgotten: somebody else on the
//! machine's bus began it with a genuine receipt. Then the power goes before the machine hears of it, and the ledger is lost
//! next.

use super::World;
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::Order;
use qris_core::order::outcome::DispenseAnswer;
use qris_core::order::tries::TryNumber;
use std::collections::{BTreeMap, BTreeSet};

/// One memory that is lost, or exists twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// The relay's ledger: all its tickets are void.
    Ledger,
    /// The machine's database, with or without the ledger.
    Store,
    /// The end of the log of the machine's database.
    Log,
    /// The machine's database is as it was at some time, and the ledger is not.
    Image,
    /// The card is as it was then. If it was cloned, there is a second card from then.
    Card { image: i64 },
    /// The backend's books are as they were then.
    Books,
    /// One of two machines with the same card is gone, with all that only it knew.
    Scrapped,
}

/// One ticket, as the simulation saw it given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    /// The life of the ledger that gave it.
    pub(super) life: u32,
    pub(super) at: i64,
    /// The moment when it was first used or closed. An image of the card from after this moment knows that.
    pub(super) ended: Option<i64>,
}

#[derive(Debug, Default)]
pub(super) struct Losses {
    /// When the image of the card was made, if there is one.
    pub(super) image: Option<i64>,
    pub(super) cloned: bool,
    pub(super) backed_up: bool,
    /// Each with the moment of the loss.
    all: Vec<(Loss, i64)>,
    pub(super) tickets: BTreeMap<String, Given>,
    /// The newest try whose outcome the backend was told, and the first moment of that.
    reported: BTreeMap<OrderId, (TryNumber, i64)>,
    /// One of two machines with the same card did not know the fate of these, and said so. A person decided on its word while
    /// the other machine ran.
    pub(super) by_twin: BTreeSet<OrderId>,
    /// Databases that had a failed disk operation, or may have had one, and since when.
    harmed: BTreeMap<&'static str, i64>,
}

impl Losses {
    pub(super) fn note(&mut self, loss: Loss, now: i64) {
        self.all.push((loss, now));
    }

    pub(super) fn ended(&mut self, ticket: &str, now: i64) {
        if let Some(given) = self.tickets.get_mut(ticket) {
            given.ended.get_or_insert(now);
        }
    }

    /// The backend is told what became of this try.
    pub(super) fn report(&mut self, order: &OrderId, nth: TryNumber, now: i64) {
        let newest = self.reported.entry(order.clone()).or_insert((nth, now));
        if newest.0 < nth {
            *newest = (nth, now);
        }
    }

    pub(super) fn reported(&self, order: &OrderId) -> Option<i64> {
        self.reported.get(order).map(|(_, at)| *at)
    }

    /// From now on an operation on this database fails, or may.
    pub(super) fn harmed(&mut self, database: &'static str, now: i64) {
        self.harmed.entry(database).or_insert(now);
    }

    /// May an operation on this database have failed?
    pub(super) fn is_harmed(&self, database: &str) -> bool {
        self.harmed.contains_key(database)
    }

    /// May one have failed before the backend was told the outcome of this order?
    pub(super) fn was_harmed_before_report(&self, database: &str, order: &OrderId) -> bool {
        let told = self.told_at(order);
        self.harmed.get(database).is_some_and(|since| *since <= told)
    }

    pub(super) const fn are_none(&self) -> bool {
        self.all.is_empty()
    }

    fn has(&self, is_one: impl Fn(&Loss) -> bool) -> bool {
        self.all.iter().any(|(loss, _)| is_one(loss))
    }

    /// Were the backend's books set back?
    pub(super) fn books(&self) -> bool {
        self.has(|loss| *loss == Loss::Books)
    }

    /// Was a machine's database lost?
    pub(super) fn store(&self) -> bool {
        self.has(|loss| *loss == Loss::Store)
    }

    /// Was a card set back or cloned, or did a machine's database forget its last commits?
    pub(super) fn card(&self) -> bool {
        self.has(|loss| matches!(loss, Loss::Card { .. } | Loss::Log | Loss::Image))
    }

    /// Can a lost memory have held something about this order? Only if the order was there before the loss.
    pub(super) fn touch(&self, ticket: Option<&Given>) -> bool {
        self.all.iter().any(|(_, at)| ticket.is_none_or(|ticket| ticket.at <= *at))
    }

    /// The same for the memory of a machine or its relay. Such a machine may tell another outcome than before.
    pub(super) fn touch_machine(&self, ticket: Option<&Given>) -> bool {
        let is_machine = |loss: &Loss| match loss {
            Loss::Ledger | Loss::Store | Loss::Log | Loss::Image | Loss::Card { .. } | Loss::Scrapped => true,
            Loss::Books => false,
        };
        self.all.iter().any(|(loss, at)| is_machine(loss) && ticket.is_none_or(|ticket| ticket.at <= *at))
    }

    /// Is this ticket open in one ledger, and not open in another?
    pub(super) fn is_open_in_an_image(&self, ticket: Option<&Given>) -> bool {
        self.has(|loss| is_open_in(loss, ticket))
    }

    /// May a pulse for this order be forgotten together with its open ticket?
    pub(super) fn forgotten(&self, order: &OrderId, ticket: Option<&Given>) -> bool {
        self.has(|loss| {
            let Loss::Card { image } = loss else { return false };
            is_open_in(loss, ticket) && self.reported(order).is_none_or(|told| told > *image)
        })
    }

    /// Was a ledger lost after this ticket was used or closed, and before that moment?
    fn forgets_pulse(&self, ticket: Option<&Given>, until: i64) -> bool {
        self.loses_end(ticket, until, |loss| *loss == Loss::Ledger)
    }

    /// Was the machine's database set back in that time?
    fn forgets_question(&self, ticket: Option<&Given>, until: i64) -> bool {
        self.loses_end(ticket, until, |loss| *loss == Loss::Image)
    }

    fn loses_end(&self, ticket: Option<&Given>, until: i64, is_one: impl Fn(&Loss) -> bool) -> bool {
        let Some(ended) = ticket.and_then(|ticket| ticket.ended) else { return false };
        self.all.iter().any(|(loss, at)| is_one(loss) && (ended..until).contains(at))
    }

    /// When the backend was told the outcome, if it was.
    fn told_at(&self, order: &OrderId) -> i64 {
        self.reported(order).unwrap_or(i64::MAX)
    }

    /// The same, but books that were lost after that may have forgotten it. A first word that they still have stands, so another one in them
    /// shows that they have not.
    fn told_and_kept_at(&self, order: &OrderId) -> i64 {
        let told = self.told_at(order);
        let is_lost = self.all.iter().any(|(loss, at)| *loss == Loss::Books && told <= *at);
        if is_lost { i64::MAX } else { told }
    }
}

fn is_open_in(loss: &Loss, ticket: Option<&Given>) -> bool {
    match loss {
        Loss::Card { image } => ticket.is_none_or(|ticket| ticket.at <= *image && ticket.ended.is_none_or(|ended| ended > *image)),
        Loss::Ledger | Loss::Store | Loss::Log | Loss::Image | Loss::Books | Loss::Scrapped => false,
    }
}

impl World {
    /// Is the pulse forgotten that a stranger on the bus began? The machine never asked for it and knows of it only from the
    /// ledger. The ledger was lost before the backend was told.
    pub(super) fn is_pulse_unheard(&self, order: &OrderId) -> bool {
        self.thief.strange.contains(order) && self.losses.forgets_pulse(self.ticket_of(order).as_ref(), self.losses.told_at(order))
    }

    /// Do neither the ledger nor the machine's database know of the pulse? One was lost, the other was set back behind its question, and
    /// books that had been told were lost, too. Then the machine tells what it knows, and without a proof nothing goes back by itself.
    pub(super) fn is_pulse_forgotten_by_all(&self, order: &Order) -> bool {
        let (ticket, until) = (self.ticket_of(&order.id), self.losses.told_and_kept_at(&order.id));
        let is_forgotten = self.losses.forgets_pulse(ticket.as_ref(), until) && self.losses.forgets_question(ticket.as_ref(), until);
        is_forgotten && !order.is_proven()
    }

    /// The ticket of an order, from Midtrans' own record of the charge.
    pub(super) fn ticket_of(&self, order: &OrderId) -> Option<Given> {
        self.losses.tickets.get(&self.ticket_name(order)?).copied()
    }

    pub(super) fn ticket_name(&self, order: &OrderId) -> Option<String> {
        let book = self.gateway.midtrans.transaction(order.as_str())?;
        Some(book.custom_fields[2].as_ref()?.rsplit('|').next()?.to_owned())
    }

    /// An order's ticket is used: a pulse begins with it.
    pub(super) fn ticket_used(&mut self, order: &OrderId) {
        if let Some(ticket) = self.ticket_name(order) {
            self.losses.ended(&ticket, self.now);
        }
    }

    /// Would any relay drive a receipt for this order now, or is one driving it?
    pub(super) fn may_be_driven(&mut self, order: &Order) -> bool {
        let (ticket, number) = (order.goods().ticket, order.number_of_try());
        (0..self.relays.len()).any(|m| {
            let driven = self.relays[m].query(&order.id, number) == Some(DispenseAnswer::Dispensing);
            self.alive[m] && (driven || self.relays[m].could_deliver(&ticket))
        })
    }

    /// May two ledgers with one key say different things of this order's ticket?
    pub(super) fn is_in_two_ledgers(&self, order: &OrderId) -> bool {
        self.losses.is_open_in_an_image(self.ticket_of(order).as_ref())
    }

    /// Is it excused that nobody knows the fate of this order?
    pub(super) fn is_forgotten(&self, order: &OrderId) -> bool {
        self.losses.by_twin.contains(order) || self.losses.forgotten(order, self.ticket_of(order).as_ref())
    }
}
