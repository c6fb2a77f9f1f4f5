//! Copies of the books that come back. In some seeds somebody copies them while an order is on its way, in whatever state it is, and puts the
//! copy back minutes later, as `qris-backend restore` does. Whoever has the machine knows more than such books. He has closed the first
//! ticket and told so, and the goods came with another try. Now he tells the old word again, and wants the money.

use super::counts::Kind;
use super::events::Robbery;
use super::events::relay::Arrival;
use super::losses::Loss;
use super::{AT_ONCE, BOOKS, Event, MERCHANT, World, mischief};
use crate::backend::Ask;
use crate::rng::Rng;
use qris_backend::sale::books::{self, BooksError, Policy};
use qris_backend::store::Tx;
use qris_core::order::ids::{OrderId, Ticket};
use qris_core::order::merchant::{Order, Repayment, State};
use qris_core::order::outcome::Delivery;
use qris_core::order::proof::Last;
use qris_core::order::time::{Told, Wall};
use qris_core::order::tries::TryNumber;
use qris_core::wire::orders::OutcomeReport;
use qris_device::words::HttpCall;
use std::collections::BTreeSet;

/// One seed of so many has them.
const ONE_IN: u64 = 3;
/// Where the copy is kept.
const PLACE: &str = "copy";
/// So many are put back in a seed: after that the orders have their time.
const MOST: u32 = 2;
/// The thief's steps after he has closed a ticket, in milliseconds: he asks for another try, and shows its receipt to the relay.
const ASKS: [i64; 3] = [1_500, 12_000, 30_000];
const SHOWS: i64 = 3_000;

#[derive(Debug)]
pub(super) struct Copies {
    /// The chance of it. The seeds without it stay as they are.
    rng: Option<Rng>,
    /// There is a copy that nobody has put back yet, and this order was on its way when it was made.
    kept: Option<OrderId>,
    /// So many may still be put back.
    left: u32,
    /// The books that start next were put back just now.
    pub(super) is_restored: bool,
    /// These refunds were under way in books that were put back, and nobody has wanted them since.
    pub(super) stopped: BTreeSet<OrderId>,
}

impl Copies {
    pub(super) fn new(seed: u64, by_chance: bool) -> Self {
        let mut rng = Rng::new(seed ^ 0x00c0_9135);
        let is_here = by_chance && rng.below(ONE_IN) == 0;
        Self { rng: is_here.then_some(rng), kept: None, left: MOST, is_restored: false, stopped: BTreeSet::new() }
    }

    pub(super) const fn are_made(&self) -> bool {
        self.rng.is_some()
    }

    fn below(&mut self, n: u64) -> Option<u64> {
        self.rng.as_mut().map(|rng| rng.below(n))
    }

    fn pause(&mut self, least: i64, more: u64) -> i64 {
        least + self.below(more).and_then(|more| i64::try_from(more).ok()).unwrap_or(0)
    }
}

/// The books that were put back become what `qris-backend restore` makes of them. Answers which refunds were under way in them.
pub(super) fn come_back(tx: &mut dyn Tx, of: &[OrderId], now: Wall) -> Result<Vec<OrderId>, BooksError> {
    let mut under_way = Vec::new();
    for id in of {
        let step = books::load(tx, id)?.and_then(|stored| stored.order.repayment().cloned());
        if matches!(step, Some(Repayment::Requested { .. })) {
            under_way.push(id.clone());
        }
    }
    books::of_a_copy(tx, Told::trusted(now))?;
    Ok(under_way)
}

impl World {
    /// An order was written. Somebody may copy the books now. If they were copied before, whoever has the machine may close the order's
    /// ticket before the goods come.
    pub(super) fn may_be_copied(&mut self, order: &Order, is_first_receipt: bool) {
        if !self.storm || !self.copies.are_made() || self.copies.left == 0 {
            return;
        }
        if let Some(known) = &self.copies.kept {
            let is_known = *known == order.id;
            if is_first_receipt && (is_known || self.copies.below(2) == Some(0)) {
                self.after(0, Event::Robs(order.id.clone(), Robbery::Closes));
            }
            return;
        }
        let one_in = match &order.state {
            // It is under way for a second, mostly.
            _ if matches!(order.repayment(), Some(Repayment::Requested { .. })) => 2,
            State::Charging(_) | State::Pending(_) | State::Cancelling(_) | State::Closed(_) | State::Held(_) => 5,
            State::Settled(_) | State::Withheld(_) if order.outcome() != Some(Delivery::Dispensed) => 5,
            State::Settled(_) | State::Withheld(_) | State::Void(_) | State::Refunded(_) => 40,
        };
        if self.copies.below(one_in) == Some(0) {
            self.note(|| format!("the books are copied, with {} in them as {}", order.id, order.state.word()));
            self.counts.note(Kind::Copied);
            let to = self.directory.join(PLACE);
            mischief::remove(&to, BOOKS);
            mischief::copy(&self.places[MERCHANT], &to, BOOKS);
            self.copies.kept = Some(order.id.clone());
            let after = self.copies.pause(20_000, 200_000);
            self.after(after, Event::Restores);
        }
    }

    /// Whoever has the machine takes the goods with another try, and not with the first.
    pub(super) fn robs(&mut self, id: OrderId, step: Robbery) {
        let m = self.some_machine();
        match step {
            Robbery::Closes => {
                let Some(ticket) = self.ticket_name(&id) else { return };
                self.thief.betrayed.insert(id.clone());
                if let Some(dispenser) = self.relays[m].dispenser()
                    && dispenser.close(&ticket).is_ok()
                {
                    self.count(Kind::Thief, "who has the machine closes a ticket");
                    self.losses.ended(&ticket, self.now);
                }
                self.relay_effects(m);
                for after in ASKS {
                    self.after(after, Event::Robs(id.clone(), Robbery::Asks));
                    self.after(after + SHOWS, Event::Robs(id.clone(), Robbery::Shows));
                }
            }
            Robbery::Asks | Robbery::Shows => {
                let Ok(Some(stored)) = self.books(|tx, _| books::load(tx, &id)) else { return };
                let order = stored.order;
                if step == Robbery::Asks {
                    return if order.delivery().is_some() {
                        self.tries_as_the_machine(m, &order)
                    };
                }
                let Some(receipt) = order.receipt().filter(|_| order.number_of_try() > TryNumber::FIRST) else { return };
                let receipt = receipt.jws().to_owned();
                self.after(1, Event::Relay(m, Arrival::Stranger { receipt }));
            }
        }
    }

    pub(super) fn restores(&mut self) {
        (self.copies.kept, self.copies.left) = (None, self.copies.left.saturating_sub(1));
        if !self.storm {
            return;
        }
        self.stop_merchant();
        let from = self.directory.join(PLACE);
        self.put_back(&from);
        self.start_merchant();
        for _ in 0..4 {
            let after = self.copies.pause(2_000, 90_000);
            self.after(after, Event::TellsOldWord);
        }
    }

    /// Books from before are in the place of the present ones, which no program uses now.
    pub(super) fn put_back(&mut self, from: &std::path::Path) {
        self.count(Kind::Restored, "the backend is restored from a copy");
        self.losses.note(Loss::Books, self.now);
        self.forget_news();
        self.remove(MERCHANT, BOOKS);
        mischief::copy(from, &self.places[MERCHANT], BOOKS);
        self.copies.is_restored = true;
    }

    /// Whoever has the machine tells what the relay signed of a first ticket, although the goods may have come since. Then the money is
    /// wanted.
    pub(super) fn tells_old_word(&mut self) {
        let words: Vec<(OrderId, Last, Box<str>)> = self.paid().into_iter().filter_map(|id| self.old_word(id)).collect();
        let (had, others): (Vec<_>, Vec<_>) = words.into_iter().partition(|(id, ..)| self.came(id) > 0);
        let all = if had.is_empty() { others } else { had };
        let at = self.copies.below(all.len() as u64).and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
        let Some((id, word, proof)) = all.into_iter().nth(at) else { return };
        self.count(Kind::OldWords, "who has the machine tells restored books an old word");
        self.thief.betrayed.insert(id.clone());
        let outcome = if word == Last::Failed { Delivery::Failed } else { Delivery::Undelivered };
        let report = OutcomeReport { nth_try: TryNumber::FIRST, outcome, reason: None, detail: None, proof: Some(proof) };
        let m = self.some_machine();
        let (ask, from) = (Ask::Order(HttpCall::Tell(id.clone(), report)), self.caller(m));
        self.merchant_hears(ask, from, 1);
        let after = self.copies.pause(500, 20_000);
        self.after(after, Event::WantsMoney(id));
    }

    fn old_word(&self, id: OrderId) -> Option<(OrderId, Last, Box<str>)> {
        let ticket = Ticket::new(&self.ticket_name(&id)?).ok()?;
        let (word, jws) = self.words.first.get(&ticket)?;
        matches!(word, Last::Closed | Last::Failed).then(|| (id, *word, jws.clone()))
    }

    /// The money is wanted on the order's page, or from a person who looks at nothing but the list.
    pub(super) fn wants_money(&mut self, id: OrderId) {
        let now = self.wall();
        let want = |tx: &mut dyn Tx, policy: &Policy| books::want_money(tx, policy, &id, Told::trusted(now));
        if self.books(want).is_ok() {
            self.count(Kind::TriesWished, "a customer wants the money, on the page");
            return self.plan_sweep(AT_ONCE);
        }
        self.merchant_decides(id, 0, false, false, false);
    }
}
