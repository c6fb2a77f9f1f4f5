//! `qris-backend` in the simulation: its books on their own database, driven as [`crate::sim::backend`] has it.

use super::counts::Kind;
use super::{BEGIN, COLLECT_WITHIN, Event, MERCHANT, Outage, World, machine};
use crate::backend::books::{self, BooksError, Desk, Done};
use crate::backend::devices;
use crate::backend::store::{Direct, StoreError, Tx};
use crate::backend::view::Place;
use crate::device::machine::BackendAnswer;
use crate::order::ids::OrderId;
use crate::order::merchant::Call;
use crate::order::time::Wall;
use crate::sim::backend::{Ask, Driver, Queue, desk, device, place, status_request};
use crate::sim::midtrans::{Notice, Request};
use crate::wire::topics::Topic;

/// How long its service manager waits before it starts a program again that could not begin.
const RESTART: i64 = 2_000;
/// The books, by the name of their file.
pub(super) const BOOKS: &str = "orders.db";

/// What reaches the backend.
#[derive(Debug)]
pub(super) enum Arrival {
    Starts {
        run: u64,
    },
    /// The power goes in the middle of a commit.
    Dies,
    Asked {
        ask: Ask,
        from: machine::Caller,
    },
    /// A call reaches Midtrans.
    AtMidtrans {
        run: u64,
        id: OrderId,
        call: Call,
        request: Box<Request>,
        comes_back: bool,
        after: i64,
    },
    /// Midtrans' answer, or that there is none.
    Answered {
        run: u64,
        id: OrderId,
        call: Call,
        answer: Option<(u16, Vec<u8>)>,
    },
    /// Something is due.
    Sweep {
        run: u64,
    },
    /// Whoever waited for so long is answered.
    Patience {
        run: u64,
        number: u64,
    },
    /// The outbox is looked at.
    Publish {
        run: u64,
    },
    Notice(Notice),
    /// Somebody who is not Midtrans.
    Forged(Vec<u8>),
}

/// The backend's side.
pub(super) struct Side {
    books: Option<Direct>,
    pub(super) run: u64,
    dying: bool,
    queue: Queue<machine::Caller>,
    sweep_at: Option<i64>,
    pub(super) desk: Desk,
    place: Place,
}

impl Side {
    /// `by_itself`: so many refunds a day. `fee_max`: so many rupiah may be put on a price.
    pub(super) fn new(by_itself: u32, fee_max: u64) -> Self {
        let mut desk = desk(COLLECT_WITHIN, by_itself);
        desk.rules.max_imposed_fee = fee_max;
        Self { books: None, run: 0, dying: false, queue: Queue::default(), sweep_at: None, desk, place: place(COLLECT_WITHIN) }
    }
}

impl Side {
    /// Whether somebody answers.
    pub(super) const fn listens(&self) -> bool {
        self.books.is_some() && !self.dying
    }
}

impl World {
    /// Killed where it is.
    pub(super) fn stop_merchant(&mut self) {
        self.disks[MERCHANT].kill(BOOKS);
        let side = &mut self.merchant;
        side.books = None;
        side.run += 1;
        side.dying = false;
        side.queue.clear();
        side.sweep_at = None;
        self.disks[MERCHANT].revive(BOOKS);
    }

    /// The program ends where it is and starts again.
    pub(super) fn start_merchant(&mut self) {
        self.stop_merchant();
        let run = self.merchant.run;
        self.after(50, Event::Merchant(Arrival::Starts { run }));
    }

    fn begin(&mut self) {
        let Ok(books) = Direct::open(&self.places[MERCHANT].join(BOOKS)) else { return self.begin_later() };
        self.merchant.books = Some(books);
        let now = self.wall();
        let added = self.books(|tx, _| devices::add(tx, &device(), &devices::hash("vm-001"), true, now));
        let begun = self.books(|tx, desk| books::restarted(tx, desk, now));
        match added.map(drop).and(begun.map(drop)) {
            Ok(()) => {
                self.publish_soon(3);
                self.plan_sweep();
            }
            Err(BooksError::Store(_)) => self.begin_later(),
            Err(error) => self.fail(format!("the backend cannot begin: {error}")),
        }
    }

    /// Its disk does not let it: the service manager tries again.
    fn begin_later(&mut self) {
        if !self.storm {
            return self.fail("the backend cannot begin".into());
        }
        if !self.merchant.dying {
            self.stop_merchant();
            let run = self.merchant.run;
            self.after(RESTART, Event::Merchant(Arrival::Starts { run }));
        }
    }

    pub(super) fn books<T>(&mut self, job: impl FnOnce(&mut dyn Tx, &Desk) -> Result<T, BooksError>) -> Result<T, BooksError> {
        let Side { books, desk, .. } = &mut self.merchant;
        let result = match books {
            Some(books) if !self.disks[MERCHANT].is_dead(BOOKS) => books.run(|tx| job(tx, desk)),
            Some(_) | None => Err(BooksError::Store(StoreError::Gone)),
        };
        if self.disks[MERCHANT].is_dead(BOOKS) {
            // Whatever it was to answer, nobody hears it.
            if !std::mem::replace(&mut self.merchant.dying, true) {
                self.after(0, Event::Merchant(Arrival::Dies));
            }
            return Err(BooksError::Store(StoreError::Gone));
        }
        result
    }

    pub(super) fn merchant_arrival(&mut self, arrival: Arrival) {
        let current = self.merchant.run;
        match arrival {
            Arrival::Starts { run } if run == current => self.begin(),
            Arrival::Dies if self.merchant.dying => {
                self.count(Kind::MidCommit, "the power goes in the middle of a commit of the backend");
                self.cut_merchants_power();
            }
            Arrival::Asked { ask, from } => {
                // Without it nobody listens; one that dies answers nobody.
                if self.merchant.listens() {
                    self.take(ask, from);
                }
            }
            Arrival::AtMidtrans { run, id, call, request, comes_back, after } => {
                let answer = self.at_midtrans(&id, call, &request);
                if comes_back {
                    self.after(after, Event::Merchant(Arrival::Answered { run, id, call, answer }));
                }
            }
            Arrival::Answered { run, id, call, answer } if run == current => self.midtrans_answered(&id, call, answer),
            Arrival::Sweep { run } if run == current => {
                self.merchant.sweep_at = None;
                let now = self.wall();
                for id in self.books(|tx, _| books::claim_due(tx, now)).unwrap_or_default() {
                    match self.books(|tx, desk| books::claim(tx, desk, &id, now)) {
                        Ok(done) => self.carry_on(done),
                        Err(BooksError::Store(_)) => {}
                        Err(error) => self.fail(format!("what is due of {id} cannot be taken up: {error}")),
                    }
                }
                self.plan_sweep();
            }
            Arrival::Patience { run, number } if run == current => self.out_of_patience(number),
            Arrival::Publish { run } if run == current => self.publish(),
            Arrival::Notice(notice) => self.notice(notice),
            Arrival::Forged(body) => self.forged(&body),
            Arrival::Starts { .. }
            | Arrival::Dies
            | Arrival::Answered { .. }
            | Arrival::Sweep { .. }
            | Arrival::Patience { .. }
            | Arrival::Publish { .. } => {}
        }
    }

    fn hear_receipt(&mut self, payload: &str) {
        if let Ok(crate::wire::payment::PaymentUpdate { receipt: Some(receipt), .. }) =
            crate::wire::payment::PaymentUpdate::read(payload.as_bytes())
        {
            self.broker.receipts.push(receipt.into());
        }
    }

    /// Looks when something is due next.
    pub(super) fn plan_sweep(&mut self) {
        let due = match self.next_due() {
            Ok(Some(due)) => due.0,
            Ok(None) => return,
            // Looked at every second in the product.
            Err(_) => BEGIN + self.now + 1_000,
        };
        let at = (due - BEGIN).max(self.now + 50);
        if self.merchant.sweep_at.is_none_or(|known| at < known) {
            self.merchant.sweep_at = Some(at);
            let run = self.merchant.run;
            self.at(at, Event::Merchant(Arrival::Sweep { run }));
        }
    }

    pub(super) fn publish_soon(&mut self, after: i64) {
        let run = self.merchant.run;
        self.after(after, Event::Merchant(Arrival::Publish { run }));
    }

    fn publish(&mut self) {
        if self.cut[Outage::Broker as usize] {
            return self.publish_soon(5_000);
        }
        let Ok(news) = self.books(|tx, _| books::take_outbox(tx, 0)) else { return self.publish_soon(5_000) };
        for message in news {
            self.hear_receipt(&message.payload);
            self.broker_takes(Topic::PaymentUpdate, message.payload.into_bytes());
            if self.goes_wrong(40, Kind::Between) {
                self.note(|| "the backend crashes between two effects".into());
                return self.start_merchant();
            }
            let seq = message.seq;
            if self.books(|tx, _| books::published(tx, &[seq])).is_err() {
                // Told once more.
                return self.publish_soon(5_000);
            }
        }
    }
}

impl Driver for World {
    type Caller = machine::Caller;

    fn books<T>(&mut self, job: impl FnOnce(&mut dyn Tx, &Desk) -> Result<T, BooksError>) -> Result<T, BooksError> {
        Self::books(self, job)
    }

    fn desk(&self) -> &Desk {
        &self.merchant.desk
    }

    fn place(&self) -> &Place {
        &self.merchant.place
    }

    fn queue(&mut self) -> &mut Queue<machine::Caller> {
        &mut self.merchant.queue
    }

    fn wall(&self) -> Wall {
        Self::wall(self)
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        Self::note(self, text);
    }

    fn fresh_order_id(&mut self) -> OrderId {
        OrderId::new(&format!("o{:016x}{:08x}", self.rng.number(), self.rng.number() >> 32)).expect("letters and digits")
    }

    fn lose_patience(&mut self, number: u64, after: i64) {
        let run = self.merchant.run;
        self.after(after, Event::Merchant(Arrival::Patience { run, number }));
    }

    fn get_status(&mut self, id: &OrderId) -> Option<(u16, Vec<u8>)> {
        if self.cut[Outage::Midtrans as usize] {
            return None;
        }
        self.at_midtrans(id, Call::GetStatus, &status_request(id))
    }

    fn answer(&mut self, to: machine::Caller, answer: BackendAnswer) {
        match &answer {
            BackendAnswer::Order(order) => self.judge_told(order),
            BackendAnswer::Open(all) => all.iter().for_each(|order| self.judge_told(order)),
            BackendAnswer::Absent
            | BackendAnswer::OtherOutcome
            | BackendAnswer::Refused(_)
            | BackendAnswer::Later(..)
            | BackendAnswer::Wrong(_)
            | BackendAnswer::NoAnswer { .. } => {}
        }
        if !self.merchant.listens() || self.cut[Outage::Http as usize] || self.goes_wrong(25, Kind::HttpAnswer) {
            return;
        }
        let delay = 5 + self.below(60);
        self.machine_hears(to.m, machine::Arrival::Answer(to, machine::Answer::Backend(answer)), delay);
    }

    fn carry_on(&mut self, done: Done) {
        Self::carry_on(self, done);
    }

    fn has_told(&mut self, order: &OrderId) {
        self.losses.told.entry(order.clone()).or_insert(self.now);
    }
}
