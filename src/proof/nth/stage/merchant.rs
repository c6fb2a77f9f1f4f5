//! `qris-backend` on the stage: the whole program, as [`crate::backend`] runs it, on its own disk.

use super::{BEGIN, Event, Stage, machine};
use crate::backend::{Ask, Asked, Effect, Program, ReplyTo, Start, desk, place};
use crate::midtrans::{Notice, Reply, Request};
use crate::nth::plot::{How, Kind, Who};
use qris_backend::books::{self, BooksError, Desk};
use qris_backend::store::{StoreError, Tx};
use qris_core::order::time::{Span, Wall};
use qris_core::wire::topics::Topic;
use qris_host::events::Event as Journal;
use std::collections::BTreeMap;

/// How long Midtrans waits for the answer to a notification, in milliseconds.
const NOTICE: i64 = 15_000;
/// The sweep comes this often, in milliseconds.
const SWEEP: i64 = 1_000;
const COLLECT_WITHIN: Span = Span::secs(72 * 3600);

/// An event at the backend.
#[derive(Debug)]
pub(in crate::nth) enum Arrival {
    Asked {
        ask: Ask,
        from: machine::Caller,
    },
    /// A call reaches Midtrans.
    AtMidtrans {
        asked: Box<Asked>,
        comes_back: bool,
        after: i64,
    },
    /// Midtrans' answer.
    Answered {
        reply: ReplyTo,
        answer: (u16, Vec<u8>),
    },
    /// Work is due.
    Sweep {
        run: u64,
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
pub(in crate::nth) struct Side {
    program: Option<Program<machine::Caller>>,
    /// When it was started.
    began: i64,
    run: u64,
    sweep_at: Option<i64>,
    desk: Desk,
    /// Notifications that are to be answered.
    posted: BTreeMap<u64, Notice>,
    posts: u64,
    /// The journal was told that the books fail, and was not told that they work again.
    is_failing: bool,
    /// It was told so after the disturbances had ended.
    says_failing: bool,
}

impl Side {
    pub(super) fn new() -> Self {
        Self {
            program: None,
            began: 0,
            run: 0,
            sweep_at: None,
            desk: desk(COLLECT_WITHIN, 0),
            posted: BTreeMap::new(),
            posts: 0,
            is_failing: false,
            says_failing: false,
        }
    }
}

impl Stage {
    /// The program ends at this point and starts again.
    pub(in crate::nth) fn start_merchant(&mut self) {
        self.kill(Who::Backend);
        self.merchant.run += 1;
        self.merchant.sweep_at = None;
        let start = Start {
            books: &self.directory.join(Who::Backend.database()),
            desk: self.merchant.desk.clone(),
            place: place(COLLECT_WITHIN),
            wall: self.wall(),
            seed: self.rng.number(),
            runs: self.disk.lives(Who::Backend.database()),
            tells: false,
        };
        match Program::start(start) {
            Ok(program) => self.merchant.program = Some(program),
            Err(error) => return self.merchant_starts_later(&error.to_string(), self.story_retries()),
        }
        self.merchant.began = self.now;
        let now = self.wall();
        let added = self.merchant.program.as_ref().map_or(Err(BooksError::Store(StoreError::Gone)), |program| program.let_in(now));
        let begun = self.books(|tx, desk| books::restarted(tx, desk, now));
        if let Err(error) = added.map(drop).and(begun.map(drop)) {
            return self.merchant_starts_later(&error.to_string(), self.story_retries());
        }
        self.publish_soon();
        self.plan_sweep(SWEEP);
    }

    /// The service manager does so, after this many milliseconds.
    pub(in crate::nth) fn merchant_starts_later(&mut self, why: &str, after: i64) {
        self.note(|| format!("the backend ends: {why}"));
        self.kill(Who::Backend);
        self.merchant.run += 1;
        let run = self.merchant.run;
        self.after(after, Event::Merchant(Arrival::Starts { run }));
    }

    /// Is it impossible to work with the books until a person has looked, and is that person told? Either they cannot be
    /// opened. Or a page or row of them is damaged, and the journal says so whenever something needs it (`StoreFailing`).
    pub(in crate::nth) fn merchant_is_down(&self) -> bool {
        self.merchant.program.is_none() || self.merchant.says_failing || self.merchant.is_failing
    }

    pub(in crate::nth) fn drop_merchant(&mut self) {
        self.merchant.program = None;
        self.merchant.is_failing = false;
        let at = Wall(self.wall().0 + NOTICE);
        for notice in std::mem::take(&mut self.merchant.posted).into_values() {
            self.midtrans.notified(notice, None, at);
        }
    }

    /// Lets the program run until this moment. Tells whether it did nothing that may change the events until then.
    pub(super) fn merchant_runs_until(&mut self, until: i64) -> bool {
        let side = &mut self.merchant;
        let Some(program) = &mut side.program else { return true };
        let effects = program.run(until.saturating_sub(side.began));
        let reached = side.began + program.age();
        self.now = self.now.max(reached.min(until));
        let run = self.merchant.run;
        // A commit stays, and a dead program does nothing more about it.
        if self.died(Who::Backend) {
            return false;
        }
        if effects.is_empty() {
            return reached >= until;
        }
        for effect in effects {
            if self.merchant.run != run {
                return false;
            }
            self.merchant_does(effect);
        }
        self.plan_sweep(SWEEP);
        self.look_at_midtrans();
        false
    }

    fn merchant_does(&mut self, effect: Effect<machine::Caller>) {
        match effect {
            Effect::AsksMidtrans(asked) => self.ask_midtrans(asked),
            Effect::Answers(to, answer) => {
                let delay = 5 + self.below(60);
                self.machine_hears(machine::Arrival::Answer(to, machine::Answer::Backend(answer)), delay);
            }
            Effect::Answered(number, http) => {
                self.note(|| format!("a notification is answered {http}"));
                if let Some(notice) = self.merchant.posted.remove(&number) {
                    let now = self.wall();
                    self.midtrans.notified(notice, Some(http), now);
                }
            }
            Effect::HasNews => self.publish_soon(),
            Effect::Journal(event) => self.journal_of_merchant(&event),
            // Its disk was asked. Due work is looked for after every turn. Nobody asked for a watch on the books.
            Effect::Dies | Effect::IsDue | Effect::Wrote(_) => {}
        }
    }

    fn journal_of_merchant(&mut self, event: &Journal) {
        self.note(|| format!("journal of the backend: {event}"));
        match event {
            Journal::StoreFailing { why, .. } => {
                // The journal is told of a damaged row or page again, as long as something needs it.
                let is_damage = why.contains("is damaged") || why.contains("malformed");
                self.merchant.is_failing |= !is_damage;
                self.merchant.says_failing |= self.story_is_well();
            }
            Journal::StoreBack { .. } => self.merchant.is_failing = false,
            _ => {}
        }
    }

    pub(in crate::nth) fn reconcile(&mut self) {
        self.note(|| "the merchant reconciles".into());
        let now = self.wall();
        if let Some(program) = &self.merchant.program {
            program.reconcile(&mut self.midtrans, now);
        }
        self.plan_sweep(SWEEP);
    }

    /// This many refunds of a machine a day need no person.
    pub(in crate::nth) fn refund_automatically(&mut self, a_day: u32) {
        self.merchant.desk.auto_refund_per_day = a_day;
    }

    pub(in crate::nth) fn books<T>(&mut self, job: impl FnOnce(&mut dyn Tx, &Desk) -> Result<T, BooksError>) -> Result<T, BooksError> {
        let result = match &self.merchant.program {
            Some(program) => program.books(job),
            None => return Err(BooksError::Store(StoreError::Gone)),
        };
        // A commit stays, and a dead program does nothing more about it.
        self.died(Who::Backend);
        self.merchant.says_failing |= self.story_is_well() && matches!(result, Err(BooksError::Store(_)));
        result
    }

    /// A call of the machine, after this time.
    pub(super) fn merchant_hears(&mut self, ask: Ask, from: machine::Caller, after: i64) {
        self.after(after, Event::Merchant(Arrival::Asked { ask, from }));
    }

    pub(super) fn merchant_arrival(&mut self, arrival: Arrival) {
        let current = self.merchant.run;
        match arrival {
            Arrival::Asked { ask, from } => self.asked(ask, from),
            Arrival::AtMidtrans { asked, comes_back, after } => {
                let Asked { request, reply, .. } = *asked;
                let answer = self.at_midtrans(&request);
                if let Some(answer) = answer.filter(|_| comes_back) {
                    self.after(after, Event::Merchant(Arrival::Answered { reply, answer }));
                }
            }
            Arrival::Answered { reply, answer } => drop(reply.send(Ok(answer))),
            Arrival::Sweep { run } if run == current => {
                self.merchant.sweep_at = None;
                if let Some(program) = &self.merchant.program {
                    program.take_up();
                }
                let fails = self.merchant.says_failing || self.merchant.is_failing;
                self.plan_sweep(if fails { self.story_retries() } else { SWEEP });
            }
            Arrival::Publish { run } if run == current => self.publish(),
            Arrival::Notice(notice) => self.notice(notice),
            Arrival::Starts { run } if run == current => self.start_merchant(),
            Arrival::Starts { .. } => {}
            Arrival::Sweep { .. } | Arrival::Publish { .. } => {}
        }
    }

    // The machine's question.

    fn asked(&mut self, ask: Ask, from: machine::Caller) {
        match self.strikes(Who::Backend, Kind::Http) {
            None => {
                if let Some(program) = &mut self.merchant.program {
                    program.ask(ask, from);
                }
            }
            Some(How::After) => {
                if let Some(program) = &mut self.merchant.program {
                    program.ask(ask, from);
                }
                self.falls_at_once();
            }
            Some(how) => self.falls(Who::Backend, how),
        }
    }

    // The question to Midtrans.

    fn ask_midtrans(&mut self, asked: Box<Asked>) {
        self.note(|| format!("the backend asks Midtrans: {:?}", asked.call));
        let strikes = self.strikes(Who::Backend, Kind::Midtrans);
        if let Some(How::Foreign(foreign)) = strikes {
            let (http, _, body) = foreign.of_midtrans();
            let after = 20 + self.below(300);
            return self.after(after, Event::Merchant(Arrival::Answered { reply: asked.reply, answer: (http, body.into()) }));
        }
        let lost = strikes == Some(How::Error);
        let (there, back) = (20 + self.below(300), 20 + self.below(300));
        match strikes {
            Some(how @ (How::Crash | How::PowerCut)) => return self.falls(Who::Backend, how),
            Some(How::After) => self.falls(Who::Backend, How::After),
            Some(_) | None => {}
        }
        let comes_back = strikes.is_none();
        if !lost {
            self.after(there, Event::Merchant(Arrival::AtMidtrans { asked, comes_back, after: back }));
        }
    }

    /// A request of the backend, and Midtrans' answer.
    fn at_midtrans(&mut self, request: &Request) -> Option<(u16, Vec<u8>)> {
        match self.midtrans.handle(request, self.wall()) {
            Reply::Answer(answer) | Reply::Hold(_, answer) => Some((answer.http, answer.body)),
            Reply::CutAmid(_) | Reply::Cut => None,
        }
    }

    /// Looks when work is due next, but not before this pause.
    fn plan_sweep(&mut self, pause: i64) {
        let Some(program) = &self.merchant.program else { return };
        let due = match program.next_due() {
            Ok(Some(due)) => due.0,
            Ok(None) => return,
            Err(_) => BEGIN + self.now + self.story_retries(),
        };
        // Work that is due at once is taken up by the code that made it due.
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
            if let (How::After, Some(program)) = (how, &self.merchant.program) {
                // The answer comes to nobody.
                program.notify(0, notice.body.clone());
                self.falls_at_once();
            } else {
                self.falls(Who::Backend, how);
            }
        }
        let side = &mut self.merchant;
        match (&side.program, strikes) {
            (Some(program), None) => {
                side.posts += 1;
                program.notify(side.posts, notice.body.clone());
                side.posted.insert(side.posts, notice);
            }
            (_, _) => self.midtrans.notified(notice, None, Wall(now.0 + NOTICE)),
        }
    }

    /// It does what it was just asked, and falls before anybody hears of it.
    fn falls_at_once(&mut self) {
        if let Some(program) = &mut self.merchant.program {
            let moment = program.age() + 1;
            drop(program.run(moment));
        }
        self.falls(Who::Backend, How::After);
    }
}
