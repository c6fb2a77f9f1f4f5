//! `qris-backend` in the simulation: the whole program, as [`crate::backend`] runs it, on its own disk.

use super::copies;
use super::counts::Kind;
use super::events::machine;
use super::events::merchant::Arrival;
use super::strike::Who;
use super::thief::own_key;
use super::{AT_ONCE, BEGIN, BOOKS, BOTH, COLLECT_WITHIN, Event, IN_VAIN, MERCHANT, Outage, World};
use crate::backend::{Ask, Effect, MidtransCall, Program, Start, place, policy};
use crate::midtrans::Notice;
use qris_backend::sale::books::{self, BooksError, Policy, Stored};
use qris_backend::store::{StoreError, Tx};
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::{State, TakenBack};
use qris_core::order::proof::RelayKey;
use qris_core::order::reason::Reason;
use qris_core::order::request::Refusal;
use qris_core::order::state::Status;
use qris_core::order::time::{Span, Told};
use qris_core::order::tries::TryNumber;
use qris_core::wire::topics::Topic;
use qris_device::words::{BackendAnswer, HttpCall};
use qris_host::events::Event as Journal;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

/// How long its service manager waits before it starts a program again that could not start.
const RESTART: i64 = 2_000;
/// The program looks this often for due work.
const SWEEP: i64 = 1_000;
/// News that are too old are dropped this often.
const PRUNE: i64 = 600_000;
/// The most calls to Midtrans about one order in a minute: a quick round of questions for each piece of news.
const CALLS_MAX: u32 = 100;

/// A notification that somebody posted and that waits for its answer.
#[derive(Debug)]
pub(super) enum Posted {
    Genuine(Notice),
    Forged(Vec<u8>),
}

pub(super) struct SimulatedMerchant {
    pub(super) program: Option<Program<machine::Caller>>,
    began: i64,
    pub(super) run: u64,
    /// How far the clock of its computer is ahead, in milliseconds.
    pub(super) clock_ahead: Arc<AtomicI64>,
    dying: bool,
    sweep_at: Option<i64>,
    pruned_at: i64,
    pub(super) policy: Policy,
    posted: BTreeMap<u64, Posted>,
    posts: u64,
    /// The last get-status answer to this run of the program: is it settled?
    pub(super) vouched: BTreeMap<OrderId, bool>,
    /// When a get-status answer last told it that an order is settled. It remembers that across a start.
    pub(super) settled_at: BTreeMap<OrderId, i64>,
    /// The last minute in which Midtrans was asked about an order, and how often in it.
    asked: BTreeMap<OrderId, (i64, u32)>,
    /// The state in which an order was last seen in the books, and the try for which it had a receipt.
    seen: Seen,
    /// Orders whose charge it gives up, and since when.
    giving_up: BTreeMap<OrderId, i64>,
    /// The journal was told that the books fail when all was well.
    failed: bool,
}

type Seen = BTreeMap<OrderId, (Box<str>, Option<u32>)>;

fn seen(tx: &mut dyn Tx) -> Result<Seen, BooksError> {
    let sql = "SELECT o.order_id, o.state, max(r.try) AS signed FROM orders AS o LEFT JOIN receipts AS r ON r.order_id = o.order_id \
               GROUP BY o.order_id, o.state";
    let mut seen = Seen::new();
    for row in tx.rows(sql, &[])? {
        if let Ok(id) = OrderId::new(row.text("order_id")?) {
            let signed = row.maybe_int("signed")?.and_then(|number| u32::try_from(number).ok());
            seen.insert(id, (row.text("state")?.into(), signed));
        }
    }
    Ok(seen)
}

impl SimulatedMerchant {
    /// `by_itself`: this many refunds a day. `fee_max`: at most this many rupiah may be put on a price. `tries`: how many other tries there
    /// may be, and for how long.
    pub(super) fn new(by_itself: u32, fee_max: u64, (tries, within): (u32, Span)) -> Self {
        let mut policy = policy(COLLECT_WITHIN, by_itself);
        policy.rules.max_imposed_fee = fee_max;
        (policy.rules.second_tries, policy.rules.try_again_within) = (tries, within);
        Self {
            program: None,
            began: 0,
            run: 0,
            clock_ahead: Arc::default(),
            dying: false,
            sweep_at: None,
            pruned_at: 0,
            policy,
            posted: BTreeMap::new(),
            posts: 0,
            vouched: BTreeMap::new(),
            settled_at: BTreeMap::new(),
            asked: BTreeMap::new(),
            seen: BTreeMap::new(),
            giving_up: BTreeMap::new(),
            failed: false,
        }
    }

    /// Is it impossible to work with the books until a person has looked, and is that person told? Either they cannot be
    /// opened. Or a page or row of them is damaged, and the journal says so whenever something needs it.
    pub(super) fn is_down(&self) -> bool {
        self.failed || self.program.as_ref().is_none_or(Program::store_fails)
    }

    /// Notes a call to Midtrans about an order. Were there too many in this minute?
    pub(super) fn asks_without_a_pause(&mut self, order: &OrderId, now: i64) -> bool {
        let minute = now / 60_000;
        let (last, calls) = self.asked.entry(order.clone()).or_insert((minute, 0));
        *calls = if *last == minute { *calls + 1 } else { 1 };
        *last = minute;
        *calls > CALLS_MAX
    }

    /// Has the program been giving up this order's charge since before this moment?
    pub(super) fn gives_up(&self, order: &OrderId, now: i64) -> bool {
        self.giving_up.get(order).is_some_and(|since| *since < now)
    }

    /// A command beside `serve` has ended the order.
    pub(super) fn is_ended(&mut self, order: &OrderId) {
        self.giving_up.remove(order);
    }

    pub(super) const fn listens(&self) -> bool {
        self.program.is_some() && !self.dying
    }
}

impl World {
    pub(super) fn stop_merchant(&mut self) {
        BOTH.iter().for_each(|name| self.disks[MERCHANT].kill(name));
        let merchant = &mut self.merchant;
        merchant.program = None;
        merchant.run += 1;
        merchant.dying = false;
        merchant.sweep_at = None;
        merchant.vouched.clear();
        merchant.giving_up.clear();
        let posted = std::mem::take(&mut merchant.posted);
        BOTH.iter().for_each(|name| self.disks[MERCHANT].revive(name));
        for posted in posted.into_values() {
            self.unanswered(posted);
        }
    }

    pub(super) fn start_merchant(&mut self) {
        self.stop_merchant();
        let run = self.merchant.run;
        self.after(50, Event::Merchant(Arrival::Starts { run }));
    }

    fn begin(&mut self) {
        let start = Start {
            books: &self.places[MERCHANT].join(BOOKS),
            policy: self.merchant.policy.clone(),
            place: place(COLLECT_WITHIN),
            wall: self.wall(),
            ahead: Arc::clone(&self.merchant.clock_ahead),
            seed: self.rng.number(),
            runs: self.disks[MERCHANT].lives(BOOKS),
        };
        let Ok(program) = Program::start(start) else { return self.begin_later() };
        self.merchant.program = Some(program);
        self.merchant.began = self.now;
        let now = self.wall();
        let added = self.merchant.program.as_ref().map_or(Err(BooksError::Store(StoreError::Gone)), |program| program.let_in(now));
        let of_a_copy = if self.copies.is_restored { Some(self.all_orders()) } else { None };
        let begun = self.books(|tx, policy| {
            let stopped = of_a_copy.map(|all| copies::come_back(tx, &all, now)).transpose()?;
            let known = seen(tx)?;
            books::restarted(tx, policy, Told::trusted(now))?;
            books::auto_refund_starts(tx, policy, Told::trusted(now))?;
            Ok((known, stopped))
        });
        match added.and(begun) {
            Ok((seen, stopped)) => {
                self.copies.is_restored = false;
                self.copies.stopped.extend(stopped.into_iter().flatten());
                let before = std::mem::replace(&mut self.merchant.seen, seen);
                // A damaged page hides orders and receipts. What was signed stays signed.
                if self.flips(Who::Backend) {
                    for (id, was) in before {
                        let known = self.merchant.seen.entry(id).or_insert_with(|| was.clone());
                        known.1 = known.1.max(was.1);
                    }
                }
                // The journal may not have heard of a key before the program was killed.
                self.check_key();
                self.publish_soon(3);
                self.plan_sweep(AT_ONCE);
            }
            Err(error) if !matches!(error, BooksError::Store(_)) && !self.flips(Who::Backend) => {
                self.fail(format!("the backend cannot begin: {error}"));
            }
            Err(_) => self.begin_later(),
        }
    }

    /// Its disk does not let it start: the service manager tries again.
    fn begin_later(&mut self) {
        if self.disks[MERCHANT].is_dead(BOOKS) {
            return self.merchant_dies();
        }
        if !self.storm && !self.flips(Who::Backend) {
            return self.fail("the backend cannot begin".into());
        }
        self.stop_merchant();
        let run = self.merchant.run;
        self.after(if self.storm { RESTART } else { IN_VAIN }, Event::Merchant(Arrival::Starts { run }));
    }

    /// Works with the books beside the program, or before it does.
    pub(super) fn books<T>(&mut self, job: impl FnOnce(&mut dyn Tx, &Policy) -> Result<T, BooksError>) -> Result<T, BooksError> {
        let result = match &self.merchant.program {
            Some(program) if !self.disks[MERCHANT].is_dead(BOOKS) => program.books(job),
            Some(_) | None => Err(BooksError::Store(StoreError::Gone)),
        };
        if self.disks[MERCHANT].is_dead(BOOKS) {
            self.merchant_dies();
            return Err(BooksError::Store(StoreError::Gone));
        }
        result
    }

    /// Nobody hears the answers that it still owed.
    fn merchant_dies(&mut self) {
        if !std::mem::replace(&mut self.merchant.dying, true) {
            self.after(0, Event::Merchant(Arrival::Dies));
        }
    }

    /// Lets the program run until this moment. Tells whether it did nothing that may change the events until then.
    pub(super) fn merchant_runs_until(&mut self, until: i64) -> bool {
        let merchant = &mut self.merchant;
        if merchant.dying {
            return true;
        }
        let Some(program) = &mut merchant.program else { return true };
        let effects = program.run(until - merchant.began);
        let reached = merchant.began + program.age();
        self.now = self.now.max(reached.min(until));
        if effects.is_empty() {
            return reached >= until;
        }
        let run = self.merchant.run;
        for effect in effects {
            // It crashed between two of them.
            if self.merchant.run != run || self.merchant.dying {
                break;
            }
            self.merchant_does(effect);
        }
        if self.merchant.listens() {
            self.plan_sweep(AT_ONCE);
        }
        self.check_midtrans();
        false
    }

    fn merchant_does(&mut self, effect: Effect<machine::Caller>) {
        let goes_out = matches!(effect, Effect::AsksMidtrans(_) | Effect::Answers(..) | Effect::Answered(..));
        if goes_out && self.goes_wrong(250, Kind::KilledBetween) {
            self.note(|| "the backend is killed between two effects".into());
            return self.start_merchant();
        }
        match effect {
            Effect::AsksMidtrans(asked) => self.ask_midtrans(asked),
            Effect::Answers(to, answer) => self.answer(to, answer),
            Effect::Answered(number, http) => {
                if let Some(posted) = self.merchant.posted.remove(&number) {
                    self.answered_post(posted, http);
                }
            }
            Effect::HasNews => self.publish_soon(3),
            // It ends the turn. After each, due work is looked for.
            Effect::IsDue => {}
            Effect::Wrote(stored) => self.wrote(&stored),
            Effect::Journal(event) => {
                self.note_journal("the backend", BOOKS, &event);
                match *event {
                    Journal::StoreFailing { .. } => self.merchant.failed |= !self.storm,
                    Journal::RelayKeyKnown { .. } => self.check_key(),
                    Journal::MachineTwice { .. } if self.losses.cloned => {
                        self.count(Kind::Twins, "two computers were seen to be one machine")
                    }
                    Journal::MachineTwice { .. } if self.losses.card() => self.count(Kind::SetBack, "an older card was seen"),
                    // Whose key is believed can sign a number twice, as an older ledger does.
                    Journal::MachineTwice { .. } if self.words.knew(&RelayKey::of(&own_key())) => {}
                    Journal::MachineTwice { .. } => self.fail("one computer was taken for two".into()),
                    _ => {}
                }
            }
            Effect::Dies => self.merchant_dies(),
        }
    }

    fn wrote(&mut self, stored: &Stored) {
        let order = &stored.order;
        let (word, signed) = (order.state.word(), order.receipt().map(|receipt| receipt.claims().nth.number().get()));
        if matches!(order.state, State::Cancelling(_)) {
            self.merchant.giving_up.entry(order.id.clone()).or_insert(self.now);
        } else {
            self.merchant.giving_up.remove(&order.id);
        }
        let was = self.merchant.seen.insert(order.id.clone(), (word.into(), signed));
        if was.as_ref().is_none_or(|(was, _)| **was != *word) {
            self.note(|| format!("{} is {word}", order.id));
        }
        let is_signed = signed > was.and_then(|(_, signed)| signed);
        self.may_be_copied(order, is_signed && order.number_of_try() == TryNumber::FIRST);
        if is_signed {
            let vouched = self.merchant.vouched.get(&order.id).copied().unwrap_or(false);
            let is_first = signed.is_none_or(|number| number == TryNumber::FIRST.get());
            self.judge_receipt(order, vouched || !is_first);
            if !is_first {
                self.judge_later_receipt(order);
            }
        }
        let is_back = matches!(order.state, State::Refunded(_)) || order.taken_back == Some(TakenBack::Reversal);
        if is_back && self.gateway.outside.contains_key(&order.id) {
            self.gateway.known_back.entry(order.id.clone()).or_insert(self.now);
        }
        self.judge_key(order);
        if let Some(told) = order.delivery() {
            self.losses.report(&order.id, told.nth_try, self.now);
            self.second_tries.ends(&order.id, told.nth_try);
        }
    }

    pub(super) fn merchant_hears(&mut self, ask: Ask, from: machine::Caller, after: i64) {
        self.after(after, Event::Merchant(Arrival::Asked { ask, from }));
    }

    pub(super) fn merchant_arrival(&mut self, arrival: Arrival) {
        let current = self.merchant.run;
        match arrival {
            Arrival::Starts { run } if run == current => self.begin(),
            Arrival::Dies if self.merchant.dying => {
                self.falls(Who::Backend, MERCHANT);
            }
            Arrival::Asked { ask, from } => self.asked(ask, from),
            Arrival::AtMidtrans { run, call, comes_back, after } => {
                let MidtransCall { call, id, request, reply } = *call;
                let answer = self.at_midtrans(&id, call, &request);
                if let Some(answer) = answer.filter(|_| comes_back) {
                    self.after(after, Event::Merchant(Arrival::Answered { run, of: (id, call), reply, answer: Ok(answer) }));
                }
            }
            Arrival::Answered { run, of, reply, answer } if run == current => self.midtrans_answers(of, reply, answer),
            Arrival::Sweep { run } if run == current => {
                self.merchant.sweep_at = None;
                if let Some(program) = &self.merchant.program {
                    program.take_up();
                }
                let in_vain = !self.storm && self.merchant.is_down();
                self.plan_sweep(if in_vain { IN_VAIN } else { SWEEP });
                if self.now - self.merchant.pruned_at > PRUNE {
                    self.merchant.pruned_at = self.now;
                    let now = self.wall();
                    drop(self.books(|tx, _| books::prune_outbox(tx, now)));
                }
            }
            Arrival::Publish { run } if run == current => self.publish(),
            Arrival::Notice(notice) => self.notice(notice),
            Arrival::Forged(body) => self.post(Posted::Forged(body)),
            Arrival::Starts { .. } | Arrival::Dies | Arrival::Answered { .. } | Arrival::Sweep { .. } | Arrival::Publish { .. } => {}
        }
    }

    /// Without the program nobody listens. A program that dies answers nobody.
    fn asked(&mut self, mut ask: Ask, from: machine::Caller) {
        if !self.merchant.listens() {
            return;
        }
        if self.is_to(Kind::BackendKilled) {
            return self.start_merchant();
        }
        if let Ask::Order(HttpCall::Tell(_, report)) = &mut ask
            && !self.is_planned()
            && self.goes_wrong(8, Kind::LaterWords)
        {
            report.reason = Some(Reason::from_word("moon_phase").expect("a word"));
        }
        if let Ask::Order(HttpCall::Tell(_, report)) = &ask {
            self.note(|| format!("the machine tells {}", report.outcome));
        }
        if let Some(program) = &mut self.merchant.program {
            program.ask(ask, &from.start(), from);
        }
    }

    /// When a machine is gone, its kernel closes the connections of the program.
    pub(super) fn hang_up(&mut self, m: usize) {
        if let Some(program) = &mut self.merchant.program {
            program.hang_up(|caller| caller.m == m);
        }
    }

    pub(super) fn post(&mut self, posted: Posted) {
        let merchant = &mut self.merchant;
        if let (false, Some(program)) = (merchant.dying, &merchant.program) {
            merchant.posts += 1;
            let (Posted::Genuine(Notice { body, .. }) | Posted::Forged(body)) = &posted;
            program.notify(merchant.posts, body.clone());
            merchant.posted.insert(merchant.posts, posted);
        } else {
            self.unanswered(posted);
        }
    }

    fn answer(&mut self, to: machine::Caller, answer: BackendAnswer) {
        match &answer {
            BackendAnswer::Order(order) => self.judge_reported(order),
            BackendAnswer::Open(all) => all.orders.iter().for_each(|order| self.judge_reported(order)),
            BackendAnswer::Absent
            | BackendAnswer::OtherOutcome
            | BackendAnswer::Refused(_)
            | BackendAnswer::Later(..)
            | BackendAnswer::Wrong(_)
            | BackendAnswer::NoAnswer { .. } => {}
        }
        if self.network.cut[Outage::Http as usize] || self.goes_wrong(25, Kind::HttpAnswer) {
            return;
        }
        let answer = if !self.is_planned() && self.goes_wrong(40, Kind::LaterWords) { in_later_words(answer) } else { answer };
        let delay = if self.goes_wrong(40, Kind::HttpSlow) { self.delay(9_000, 9_000) } else { 5 + self.below(60) };
        self.machine_hears(to.m, machine::Arrival::ServiceAnswer(to, machine::ServiceAnswer::Backend(answer)), delay);
    }

    pub(super) fn reconcile(&mut self) {
        self.note(|| "the merchant reconciles".into());
        let now = self.wall();
        if let Some(program) = &self.merchant.program {
            program.reconcile(&mut self.gateway.midtrans, now);
        }
        self.plan_sweep(AT_ONCE);
    }

    fn hear_receipt(&mut self, payload: &str) {
        if let Ok(qris_core::wire::payment::PaymentUpdate { receipt: Some(receipt), .. }) =
            qris_core::wire::payment::PaymentUpdate::read(payload.as_bytes())
        {
            self.broker.receipts.push(receipt.into());
        }
    }

    /// Looks when work is due next, but not before this pause.
    pub(super) fn plan_sweep(&mut self, pause: i64) {
        let Some(program) = &self.merchant.program else { return };
        let due = match program.next_due() {
            Ok(Some(due)) => due.0,
            Ok(None) => return,
            // The product looks at it every second.
            Err(_) => BEGIN + self.now + if self.storm { SWEEP } else { IN_VAIN },
        };
        let at = (due - BEGIN).max(self.now + pause);
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
        if self.network.cut[Outage::Broker as usize] {
            return self.publish_soon(5_000);
        }
        let Ok(news) = self.books(|tx, _| books::take_outbox(tx, 0)) else { return self.publish_in_vain() };
        if !news.is_empty() && self.is_to(Kind::BackendKilled) {
            return self.start_merchant();
        }
        for message in news {
            if self.is_to(Kind::BrokerLost) {
                return self.publish_soon(5_000);
            }
            self.hear_receipt(&message.payload);
            self.broker_takes(Topic::PaymentUpdate, message.payload.into_bytes());
            if self.goes_wrong(40, Kind::KilledBetween) {
                self.note(|| "the backend is killed between two effects".into());
                return self.start_merchant();
            }
            let seq = message.seq;
            if self.books(|tx, _| books::published(tx, &[seq])).is_err() {
                // It is told once more.
                return self.publish_in_vain();
            }
        }
    }

    fn publish_in_vain(&mut self) {
        self.merchant.failed |= !self.storm;
        self.publish_soon(if self.storm { 5_000 } else { IN_VAIN });
    }
}

/// As a backend of a later release would say it: with words that the machine does not know.
fn in_later_words(answer: BackendAnswer) -> BackendAnswer {
    let reason = Reason::from_word("quota_used_up").expect("a word");
    match answer {
        BackendAnswer::Order(mut order) => {
            order.status = Status::from_word("under_review").expect("a word");
            BackendAnswer::Order(order)
        }
        BackendAnswer::Refused(refusal) => BackendAnswer::Refused(Refusal { reason, ..refusal }),
        BackendAnswer::Later(refusal, after) => BackendAnswer::Later(Refusal { reason, ..refusal }, after),
        BackendAnswer::Wrong(refusal) => BackendAnswer::Wrong(Refusal { reason, ..refusal }),
        BackendAnswer::NoAnswer { why, date_refusal, .. } => BackendAnswer::NoAnswer { why, code: Some(reason), date_refusal },
        answer @ (BackendAnswer::Open(_) | BackendAnswer::Absent | BackendAnswer::OtherOutcome) => answer,
    }
}
