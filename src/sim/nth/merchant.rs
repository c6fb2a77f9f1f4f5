//! `qris-backend` on the stage: its books on their own database, driven as [`crate::sim::backend`] has it.

use super::machine;
use super::stage::{BEGIN, Event, Stage};
use super::story::{How, Kind, Who};
use crate::backend::books::{self, BooksError, Desk, Done};
use crate::backend::devices;
use crate::backend::store::{Direct, StoreError, Tx};
use crate::backend::view::Place;
use crate::device::machine::BackendAnswer;
use crate::order::ids::OrderId;
use crate::order::merchant::{Call, Order};
use crate::order::time::{Span, Wall};
use crate::sim::backend::{Ask, Driver, Queue, desk, device, fact, limit, place, read, request, status_request};
use crate::sim::midtrans::{Notice, Reply, Request};
use crate::wire::topics::Topic;

/// How long Midtrans waits for the answer to a notification, in milliseconds.
const NOTICE: i64 = 15_000;
/// The sweep comes so often, in milliseconds.
const SWEEP: i64 = 1_000;

/// What reaches the backend.
#[derive(Debug)]
pub(super) enum Arrival {
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
    /// The program starts again.
    Starts {
        run: u64,
    },
}

/// The backend's side.
pub(super) struct Side {
    books: Option<Direct>,
    run: u64,
    queue: Queue<machine::Caller>,
    sweep_at: Option<i64>,
    desk: Desk,
    place: Place,
    /// The journal was told that the books fail, though nothing disturbs them any more.
    says_failing: bool,
}

impl Side {
    pub(super) fn new() -> Self {
        let collect_within = Span::secs(72 * 3600);
        Self {
            books: None,
            run: 0,
            queue: Queue::default(),
            sweep_at: None,
            desk: desk(collect_within, 0),
            place: place(collect_within),
            says_failing: false,
        }
    }
}

impl Stage {
    /// The program ends where it is and starts again.
    pub(super) fn start_merchant(&mut self) {
        self.kill(Who::Backend);
        self.merchant.run += 1;
        self.merchant.queue.clear();
        self.merchant.sweep_at = None;
        match Direct::open(&self.directory.join("orders.db")) {
            Ok(books) => self.merchant.books = Some(books),
            Err(error) => return self.merchant_starts_later(&error.to_string(), self.story_retries()),
        }
        let now = self.wall();
        let added = self.books(|tx, _| devices::add(tx, &device(), &devices::hash("vm-001"), true, now));
        let begun = self.books(|tx, desk| books::restarted(tx, desk, now));
        if let Err(error) = added.map(drop).and(begun.map(drop)) {
            return self.merchant_starts_later(&error.to_string(), self.story_retries());
        }
        self.publish_soon();
        self.plan_sweep(SWEEP);
    }

    /// As the service manager has it, after so many milliseconds.
    pub(super) fn merchant_starts_later(&mut self, why: &str, after: i64) {
        self.note(|| format!("the backend ends: {why}"));
        self.kill(Who::Backend);
        self.merchant.run += 1;
        let run = self.merchant.run;
        self.after(after, Event::Merchant(Arrival::Starts { run }));
    }

    /// Whether the books cannot be worked with until a person has looked, and that person is told: they cannot be opened; or a
    /// page or row of them is damaged, which the journal says whenever something needs it (`StoreFailing`).
    pub(super) fn merchant_is_down(&self) -> bool {
        self.merchant.books.is_none() || self.merchant.says_failing
    }

    pub(super) fn drop_merchant(&mut self) {
        self.merchant.books = None;
    }

    /// So many refunds of a machine a day go by themselves.
    pub(super) fn refund_automatically(&mut self, a_day: u32) {
        self.merchant.desk.auto_refund_per_day = a_day;
    }

    pub(super) fn books<T>(&mut self, job: impl FnOnce(&mut dyn Tx, &Desk) -> Result<T, BooksError>) -> Result<T, BooksError> {
        let Side { books, desk, .. } = &mut self.merchant;
        let result = match books {
            Some(books) => books.run(|tx| job(tx, desk)),
            None => return Err(BooksError::Store(StoreError::Gone)),
        };
        // What was committed stays, and nothing is done about it by one who is dead.
        self.died(Who::Backend);
        self.merchant.says_failing |= self.story_is_well() && matches!(result, Err(BooksError::Store(_)));
        result
    }

    pub(super) fn merchant_arrival(&mut self, arrival: Arrival) {
        let current = self.merchant.run;
        match arrival {
            Arrival::Asked { ask, from } => self.asked(ask, from),
            Arrival::AtMidtrans { run, id, call, request, comes_back, after } => {
                let answer = self.at_midtrans(&request);
                if comes_back {
                    self.after(after, Event::Merchant(Arrival::Answered { run, id, call, answer }));
                }
            }
            Arrival::Answered { run, id, call, answer } if run == current => self.midtrans_answered(&id, call, answer),
            Arrival::Sweep { run } if run == current => {
                self.merchant.sweep_at = None;
                let now = self.wall();
                let mut pause = SWEEP;
                for id in self.books(|tx, _| books::claim_due(tx, now)).unwrap_or_default() {
                    match self.books(|tx, desk| books::claim(tx, desk, &id, now)) {
                        Ok(done) => self.carry_on(done),
                        Err(_) => pause = self.story_retries(),
                    }
                }
                self.plan_sweep(pause);
            }
            Arrival::Patience { run, number } if run == current => self.out_of_patience(number),
            Arrival::Publish { run } if run == current => self.publish(),
            Arrival::Notice(notice) => self.notice(notice),
            Arrival::Starts { run } if run == current => self.start_merchant(),
            Arrival::Starts { .. } => {}
            Arrival::Answered { .. } | Arrival::Sweep { .. } | Arrival::Patience { .. } | Arrival::Publish { .. } => {}
        }
    }

    // What the machine asks.

    fn asked(&mut self, ask: Ask, from: machine::Caller) {
        match self.strikes(Who::Backend, Kind::Http) {
            None => self.take(ask, from),
            Some(How::After) => {
                self.take(ask, from);
                self.falls(Who::Backend, How::After);
            }
            Some(how) => self.falls(Who::Backend, how),
        }
    }

    // What is asked of Midtrans.

    fn ask_midtrans(&mut self, order: &Order, call: Call) {
        if self.merchant.books.is_none() {
            return;
        }
        let (run, id) = (self.merchant.run, order.id.clone());
        let limit = limit(call);
        self.note(|| format!("the backend asks Midtrans: {call:?}"));
        let strikes = self.strikes(Who::Backend, Kind::Midtrans);
        let lost = strikes == Some(How::Error);
        let (there, back) = (20 + self.below(300), 20 + self.below(300));
        match strikes {
            Some(how @ (How::Crash | How::PowerCut)) => return self.falls(Who::Backend, how),
            Some(How::After) => self.falls(Who::Backend, How::After),
            Some(_) | None => {}
        }
        let comes_back = strikes.is_none();
        if !lost {
            let (id, after, request) = (id.clone(), back, Box::new(request(order, call)));
            self.after(there, Event::Merchant(Arrival::AtMidtrans { run, id, call, request, comes_back, after }));
        }
        if !comes_back {
            self.after(limit, Event::Merchant(Arrival::Answered { run, id, call, answer: None }));
        }
    }

    /// A request of the backend, and Midtrans' answer.
    fn at_midtrans(&mut self, request: &Request) -> Option<(u16, Vec<u8>)> {
        match self.midtrans.handle(request, self.wall()) {
            Reply::Answer(answer) | Reply::Hold(_, answer) => Some((answer.http, answer.body)),
            Reply::CutAmid(_) | Reply::Cut => None,
        }
    }

    fn midtrans_answered(&mut self, id: &OrderId, call: Call, answer: Option<(u16, Vec<u8>)>) {
        let now = self.wall();
        let fact = fact(call, read(id, call, answer), now);
        match self.books(|tx, desk| books::answered(tx, desk, id, fact, now)) {
            Ok(done) => {
                let word = books::state_word(&done.now.order.state);
                if word != books::state_word(&done.was.state) {
                    self.note(|| format!("an order is {word}"));
                }
                self.carry_on(done);
            }
            // A backup knows nothing of what was asked before it was restored.
            Err(BooksError::Unknown) => {}
            // The claim on it ends, and the sweep asks again.
            Err(error) => {
                self.note(|| format!("the backend cannot keep an answer: {error}"));
                self.plan_sweep(SWEEP);
            }
        }
    }

    /// Looks when something is due next, but not before this pause.
    fn plan_sweep(&mut self, pause: i64) {
        let due = match self.next_due() {
            Ok(Some(due)) => due.0,
            Ok(None) => return,
            Err(_) => BEGIN + self.now + self.story_retries(),
        };
        // What is due at once is taken up by whoever made it so.
        let at = (due - BEGIN).max(self.now + pause);
        if self.merchant.sweep_at.is_none_or(|known| at < known) {
            self.merchant.sweep_at = Some(at);
            let run = self.merchant.run;
            self.at(at, Event::Merchant(Arrival::Sweep { run }));
        }
    }

    // News for the machine, and from Midtrans.

    fn publish_soon(&mut self) {
        let run = self.merchant.run;
        self.after(3, Event::Merchant(Arrival::Publish { run }));
    }

    fn publish(&mut self) {
        let news = self.books(|tx, _| books::take_outbox(tx, 0)).unwrap_or_default();
        for message in news {
            match self.strikes(Who::Backend, Kind::Publish) {
                None => {}
                Some(How::Error) => {
                    let run = self.merchant.run;
                    return self.after(5_000, Event::Merchant(Arrival::Publish { run }));
                }
                Some(How::After) => {
                    self.broker_takes(Topic::PaymentUpdate, message.payload.into_bytes());
                    return self.falls(Who::Backend, How::After);
                }
                Some(how) => return self.falls(Who::Backend, how),
            }
            self.broker_takes(Topic::PaymentUpdate, message.payload.into_bytes());
            let seq = message.seq;
            if self.books(|tx, _| books::published(tx, &[seq])).is_err() {
                // It is published once more.
                let run = self.merchant.run;
                return self.after(5_000, Event::Merchant(Arrival::Publish { run }));
            }
        }
    }

    pub(super) fn send_notices(&mut self) {
        for notice in self.midtrans.due(self.wall()) {
            let delay = 30 + self.below(400);
            self.after(delay, Event::Merchant(Arrival::Notice(notice)));
        }
    }

    fn notice(&mut self, notice: Notice) {
        let now = self.wall();
        let strikes = self.strikes(Who::Backend, Kind::Notice);
        if let Some(how @ (How::Crash | How::After | How::PowerCut)) = strikes {
            if how == How::After {
                self.take_notification(&notice.body);
            }
            self.falls(Who::Backend, how);
        }
        if strikes.is_some() || self.merchant.books.is_none() {
            let at = Wall(now.0 + NOTICE);
            return self.midtrans.notified(notice, None, at);
        }
        let http = self.take_notification(&notice.body);
        self.note(|| format!("a notification is answered {http}"));
        self.midtrans.notified(notice, Some(http), now);
    }
}

impl Driver for Stage {
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
        self.at_midtrans(&status_request(id))
    }

    fn answer(&mut self, to: machine::Caller, answer: BackendAnswer) {
        if self.merchant.books.is_none() {
            return;
        }
        let delay = 5 + self.below(60);
        self.machine_hears(machine::Arrival::Answer(to, machine::Answer::Backend(answer)), delay);
    }

    fn carry_on(&mut self, done: Done) {
        if let Some(call) = done.call {
            self.ask_midtrans(&done.now.order, call);
        }
        self.publish_soon();
        self.wake();
        self.plan_sweep(SWEEP);
    }

    fn has_told(&mut self, _: &OrderId) {}
}
