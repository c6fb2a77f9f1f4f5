//! `qris-backend` in the model: orders by `order::merchant`, and the calls to Midtrans that their duties ask for.

use super::message::Status as Money;
use super::{
    ATTEMPTS, CHARGES, Caller, Channel, Flaw, HttpAsk, HttpSay, Lab, Message, MidtransCall, MidtransSay, NoticeWord, ORDERS, Word, World,
    device, item, order_id, order_of, price, request_id, ticket,
};
use qris_backend::view::{self, Place};
use qris_core::order::ids::TransactionId;
use qris_core::order::merchant::{
    self, Ask, Call, Charge, Closing, Context, Duty, Ending, Event, NoCharge, Order, Proof, RefundWish, Report, Said, Sale, State, Told,
    next_attempt, wants_another,
};
use qris_core::order::money::Rupiah;
use qris_core::order::request::Payment;
use qris_core::order::time::{Span, Wall};
use qris_core::wire::orders::Status;
use std::rc::Rc;

/// The time is always this. A deadline passes when it is moved to now, and that may happen at any moment.
const NOW: Wall = Wall(1_900_000_000_000);
/// A moment that is yet to come. The time until then is not distinguished.
const SOON: Span = Span::secs(8);
/// A moment that is past. The time since then is not distinguished either.
const PAST: Span = Span::secs(30);
/// A moment when the quick questions after a notification are over, but no others may begin yet.
const LUKEWARM: Span = Span::secs(7);
/// A power cut after which it is too late to deliver.
const LONG: Span = Span::secs(1_000);

/// The books, the questions that Midtrans is being asked, and the machines that wait.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Backend {
    pub(super) orders: [Option<u32>; CHARGES],
    pub(super) calls: [Option<MidtransCall>; CHARGES],
    /// A POST that waits for its charge.
    pub(super) posts: [bool; ORDERS],
    /// A cancel that waits for Midtrans.
    pub(super) cancels: [bool; CHARGES],
}

/// An event of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum What {
    /// Only the direct consequences.
    Nothing,
    Answer(MidtransCall, MidtransSay),
    Notified(NoticeWord),
    /// A machine says that the order was paid.
    Doubted,
    Restarted,
    Awaited,
    CancelAsked,
    Delivered(Word),
    /// The pause before the next get-status is over.
    Ask,
    /// The quick questions after a notification are over.
    Cold,
    /// The pause before the next charge or cancel is over.
    Retry,
    /// Nobody waits for the charge any more, since now or since long ago.
    Unwaited {
        long: bool,
    },
    /// A charge that nobody ended is to be cancelled.
    Overdue,
    /// It was settled too long ago for a delivery after a reboot.
    Old,
}

/// The inputs that decide about a step, and so name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct StepKey(u32, What, bool, bool);

/// The order after a step, and the questions that it asks for; `None`: refused.
pub(super) type Stepped = Option<(u32, Option<MidtransCall>)>;

impl Backend {
    pub(super) fn new() -> Self {
        Self { orders: [None; CHARGES], calls: [None; CHARGES], posts: [false; ORDERS], cancels: [false; CHARGES] }
    }

    pub(super) fn forget_call(&mut self, charge: u8) {
        self.calls[usize::from(charge)] = None;
    }

    pub(super) fn is_asking(&self, charge: u8) -> bool {
        self.calls[usize::from(charge)].is_some()
    }
}

/// One step of one order, by the product's own functions. Gives the order and the questions that it asks for; `None`:
/// refused.
fn step(lab: &Lab, number: u32, what: What, paid_already: bool, asking: bool) -> Stepped {
    let key = StepKey(number, what, paid_already, asking);
    if let Some(known) = lab.merchant_steps.borrow().get(&key) {
        return *known;
    }
    let order = lab.merchant.borrow().get(number);
    let with = Context { rules: &lab.rules, paid_already };
    let after = taken((*order).clone(), what, &with).map(|mut order| {
        if lab.flaw == Some(Flaw::OldAnswerCounts) {
            order.ask.noted_at = None;
        }
        let call = loop {
            match merchant::duty(&order, NOW) {
                Duty::Apply(event) => order = merchant::apply(order, event, NOW, &with).expect("time is a fact"),
                Duty::Call(Call::Charge) => break Some(MidtransCall::Charge),
                Duty::Call(Call::GetStatus) => break Some(MidtransCall::Status),
                Duty::Call(Call::Cancel) => break Some(MidtransCall::Cancel),
                // Refunds are not part of this model.
                Duty::Call(_) => break None,
                Duty::Rest => break None,
            }
        };
        (lab.merchant.borrow_mut().put(calm(order, asking || call.is_some())), call)
    });
    lab.merchant_steps.borrow_mut().insert(key, after);
    after
}

/// Time passes for an order while Midtrans is asked about it.
fn waits(lab: &Lab, number: u32, what: What) -> u32 {
    let key = StepKey(number, what, false, true);
    if let Some(known) = lab.waits.borrow().get(&key) {
        return *known;
    }
    let order = (*lab.merchant.borrow().get(number)).clone();
    let waited = taken(order, what, &Context { rules: &lab.rules, paid_already: false }).expect("time is a fact");
    let waited = lab.merchant.borrow_mut().put(waited);
    lab.waits.borrow_mut().insert(key, waited);
    waited
}

fn taken(mut order: Order, what: What, with: &Context<'_>) -> Option<Order> {
    let event = match what {
        What::Nothing => return Some(order),
        What::Ask => {
            order.ask.at = order.ask.at.map(|_| NOW);
            // The other questions begin when the quick questions after a notification have ended.
            if order.ask.hot_from != Some(NOW) {
                order.ask.hot_from = order.ask.hot_from.map(|_| NOW - PAST);
                order.ask.noted_at = None;
            }
            order.mismatched_at = order.mismatched_at.map(|_| NOW - PAST);
            // The last question about an ended order comes after its expiry.
            if let State::Closed { charge: Some(charge), .. } = &mut order.state
                && order.ask.hot_from != Some(NOW)
            {
                charge.expires_at = NOW - LONG;
            }
            return Some(order);
        }
        What::Cold => {
            order.ask.hot_from = order.ask.hot_from.map(|_| NOW - LUKEWARM);
            return Some(order);
        }
        What::Retry => {
            if let State::Charging { retry_at, .. } | State::Cancelling { retry_at, .. } = &mut order.state {
                *retry_at = NOW;
            }
            return Some(order);
        }
        What::Unwaited { long } => {
            order.answer_by = if long { NOW - PAST } else { NOW };
            return Some(order);
        }
        What::Overdue => {
            if let State::Pending { cancel_at, .. } = &mut order.state {
                *cancel_at = Some(NOW);
            }
            return Some(order);
        }
        What::Old => {
            if let State::Settled { by, .. } = &mut order.state {
                by.settled_at = NOW - LONG;
            }
            return Some(order);
        }
        What::Answer(call, say) => event_of(&order, call, say),
        What::Notified(word) => Event::Notified(word.into()),
        What::Doubted => Event::Notified(Said::Settled),
        What::Restarted => Event::Restarted,
        What::Awaited => Event::Awaited,
        What::CancelAsked => Event::CancelAsked,
        What::Delivered(word) => {
            // The relay's word comes through the machine here. The simulation tries forged words.
            let proof = Proof::Signed { kid: order.sale.kid.clone(), number: 1 };
            Event::Delivered(Told { outcome: word.into(), reason: None, detail: None, proof })
        }
    };
    merchant::apply(order, event, NOW, with).ok()
}

/// Midtrans' answer in the core's words, as `backend::work` tells it.
fn event_of(order: &Order, call: MidtransCall, say: MidtransSay) -> Event {
    match (call, say) {
        (MidtransCall::Charge, MidtransSay::Charged) => Event::Charged(Charge {
            transaction_id: transaction_id(order),
            gross_amount: price(),
            qr_payload: Some(crate::qris::Merchant::default().payload(price().get(), "r").into()),
            qr_url: None,
            deeplink_url: None,
            payment_code: None,
            store: None,
            charged_at: NOW,
            expires_at: NOW + merchant::QR_EXPIRY,
        }),
        (MidtransCall::Charge, MidtransSay::DeniedCharge) => Event::NotCharged(NoCharge::NotMade { again: true, why: "denied".into() }),
        (MidtransCall::Charge, _) => Event::NotCharged(NoCharge::Unsure("no answer".into())),
        (MidtransCall::Status, MidtransSay::Is(money)) => Event::Status(report(order, money)),
        (MidtransCall::Status, MidtransSay::NotFound) => Event::StatusUnknown,
        (MidtransCall::Status, _) => Event::StatusUnanswered,
        (MidtransCall::Cancel, MidtransSay::Cancelled) => Event::CancelDone(report(order, Money::Cancelled)),
        (MidtransCall::Cancel, MidtransSay::CannotCancel) => Event::CancelRefused,
        (MidtransCall::Cancel, MidtransSay::NotFound) => Event::CancelUnknown,
        (MidtransCall::Cancel, _) => Event::CancelUnanswered,
    }
}

fn transaction_id(order: &Order) -> TransactionId {
    TransactionId::new(&format!("t-{}", order.id)).expect("an id")
}

fn report(order: &Order, money: Money) -> Report {
    let said = match money {
        Money::None | Money::Pending => Said::Pending,
        Money::Settled | Money::SettledOtherwise => Said::Settled,
        Money::Cancelled => Said::Cancelled,
        Money::Expired => Said::Expired,
        Money::Denied => Said::Denied,
        Money::Refunded => Said::Refunded,
    };
    let gross = if money == Money::SettledOtherwise { Rupiah::new(6_000).expect("an amount") } else { price() };
    Report {
        transaction_id: transaction_id(order),
        gross_amount: Some(gross),
        settled_at: (said == Said::Settled).then_some(NOW),
        ..Report::of(order, said)
    }
}

/// Takes out what makes no difference to the future: the length of pauses, and the number of tries. `asking`: Midtrans is
/// being asked, and the deadline that led to the question stays due.
fn calm(mut order: Order, asking: bool) -> Order {
    let soft = |at: &mut Wall| *at = if *at <= NOW && asking { NOW } else { NOW + SOON };
    let plain = |charge: &mut Charge| {
        charge.charged_at = NOW;
        charge.expires_at = if charge.expires_at < NOW { NOW - LONG } else { NOW + merchant::QR_EXPIRY };
    };
    order.created_at = NOW;
    let waits = matches!(
        &order.state,
        State::Charging { .. }
            | State::Cancelling { why: Ending::GaveUp, .. }
            | State::Closed { why: Some(Ending::GaveUp | Ending::NotMade { again: true, .. }), .. }
    );
    order.answer_by = match order.answer_by {
        at if !waits || at < NOW => NOW - PAST,
        NOW => NOW,
        _ => NOW + SOON,
    };
    order.ask.hot_from.iter_mut().for_each(|at| *at = if *at >= NOW - LUKEWARM { *at } else { NOW - PAST });
    order.ask.noted_at = order.ask.noted_at.filter(|at| *at == NOW);
    order.ask.tries = 0;
    order.ask.at.iter_mut().for_each(soft);
    match &mut order.state {
        State::Charging { tries, retry_at, .. } => {
            *tries = 0;
            soft(retry_at);
        }
        State::Pending { charge, cancel_at } => {
            plain(charge);
            *cancel_at = Some(NOW + order.sale.timeout + merchant::CANCEL_AFTER_TIMEOUT);
        }
        State::Cancelling { tries, retry_at, charge, .. } => {
            *tries = 0;
            soft(retry_at);
            charge.iter_mut().for_each(plain);
        }
        State::Closed { charge, .. } | State::Settled { charge, .. } | State::Withheld { charge, .. } => {
            charge.iter_mut().for_each(plain);
        }
        _ => {}
    }
    order
}

/// The order without values that decide nothing any more. Midtrans is not being asked about it. `dead`: nobody can ever pay
/// it, and Midtrans can only say that it ended; a closed order learns nothing from a question. `final_`: its money will not
/// go back at Midtrans, so no question follows its payment. `replaced`: another attempt followed, so nobody waits for this
/// one.
pub(super) fn calmed(lab: &Lab, number: u32, dead: bool, final_: bool, replaced: bool) -> u32 {
    if let Some(known) = lab.calmed.borrow().get(&(number, dead, final_, replaced)) {
        return *known;
    }
    let mut order = (*lab.merchant.borrow().get(number)).clone();
    if replaced && !matches!(order.state, State::Charging { .. }) {
        order.answer_by = NOW - PAST;
    }
    match &mut order.state {
        State::Closed { charge, .. } if dead => {
            order.ask = Ask::default();
            order.mismatched_at = None;
            charge.iter_mut().for_each(|charge| charge.expires_at = NOW - LONG);
        }
        State::Settled { charge, .. } | State::Withheld { charge, .. } | State::Refunded { charge, .. }
            if final_ && order.ask.at.is_none() =>
        {
            order.ask = Ask::default();
            order.mismatched_at = None;
            // An unpaid order is decided by its expiry.
            if lab.wild {
                charge.iter_mut().for_each(|charge| charge.expires_at = NOW - LONG);
            }
        }
        State::Charging { .. }
        | State::Pending { .. }
        | State::Cancelling { .. }
        | State::Held { .. }
        | State::Closed { .. }
        | State::Settled { .. }
        | State::Withheld { .. }
        | State::Refunded { .. } => {}
    }
    let after = lab.merchant.borrow_mut().put(order);
    lab.calmed.borrow_mut().insert((number, dead, final_, replaced), after);
    after
}

/// An attempt that ended, and whose fate nobody will ever ask for.
pub(super) fn buried(lab: &Lab, number: u32) -> u32 {
    if let Some(known) = lab.buried.borrow().get(&number) {
        return *known;
    }
    let mut order = (*lab.merchant.borrow().get(number)).clone();
    order.state = State::Closed { charge: None, how: Closing::Cancel, why: Some(Ending::GaveUp) };
    order.answer_by = NOW - PAST;
    order.ask = Ask::default();
    order.mismatched_at = None;
    let after = lab.merchant.borrow_mut().put(order);
    lab.buried.borrow_mut().insert(number, after);
    after
}

impl World {
    pub(super) fn merchant(&self, lab: &Lab, charge: u8) -> Option<Rc<Order>> {
        self.backend.orders[usize::from(charge)].map(|number| lab.merchant.borrow().get(number))
    }

    /// Would the backend begin to give its money back now, if a merchant wanted that?
    pub(super) fn is_refundable(&self, lab: &Lab, charge: u8) -> bool {
        let Some(number) = self.backend.orders[usize::from(charge)] else { return false };
        let known = lab.refundable.borrow().get(&number).copied();
        known.unwrap_or_else(|| {
            let order = (*lab.merchant.borrow().get(number)).clone();
            let wish = Event::RefundAsked(RefundWish::of_a_person(None));
            let with = Context { rules: &lab.rules, paid_already: false };
            let granted = merchant::apply(order, wish, NOW, &with).is_ok();
            lab.refundable.borrow_mut().insert(number, granted);
            granted
        })
    }

    fn paid_otherwise(&self, lab: &Lab, charge: u8) -> bool {
        let first = order_of(charge) * u8::try_from(ATTEMPTS).expect("few");
        let others = first..first + u8::try_from(ATTEMPTS).expect("few");
        others
            .into_iter()
            .filter(|other| *other != charge)
            .any(|other| self.merchant(lab, other).is_some_and(|order| order.receipt().is_some()))
    }

    fn newest(&self, order: u8) -> Option<u8> {
        let first = order * u8::try_from(ATTEMPTS).expect("few");
        (first..first + u8::try_from(ATTEMPTS).expect("few")).rev().find(|charge| self.backend.orders[usize::from(*charge)].is_some())
    }

    /// One transaction of the books. Gives the messages to send; `false`: refused. `claims`: the caller goes on asking.
    fn write(&mut self, lab: &Lab, charge: u8, what: What, claims: bool, out: &mut Vec<Message>) -> bool {
        let at = usize::from(charge);
        let Some(number) = self.backend.orders[at] else { return false };
        let paid = self.paid_otherwise(lab, charge);
        let asking = self.backend.calls[at].is_some();
        let Some((after, call)) = step(lab, number, what, paid, asking) else { return false };
        self.backend.orders[at] = Some(after);
        let (before, order) = (lab.merchant.borrow().get(number), lab.merchant.borrow().get(after));
        let asked = matches!(&order.state, State::Closed { why: Some(Ending::Asked), .. });
        let status = view::status(&order);
        let receipt = matches!(order.state, State::Settled { .. });
        // A hint after the end of the machine's order changes nothing, then or later.
        let heard = receipt || self.wanted(lab, order_of(charge)).is_some_and(|wanted| !wanted.ended);
        if status != view::status(&before) && status != Status::Pending && !asked && heard {
            // The same commit puts it into the outbox. It stays there until the broker has it.
            self.send(Message::Push { charge, receipt, live: receipt });
        }
        if let Some(call) = call.filter(|_| claims && !asking) {
            self.backend.calls[at] = Some(call);
            out.push(Message::ToMidtrans { charge, call, live: true });
        }
        self.tell_waiters(lab, order_of(charge), out);
        true
    }

    /// Answers the callers that a commit concerns.
    fn tell_waiters(&mut self, lab: &Lab, order: u8, out: &mut Vec<Message>) {
        if self.backend.posts[usize::from(order)]
            && let Some(say) = self.post_answer(lab, order)
        {
            self.backend.posts[usize::from(order)] = false;
            out.push(Message::Answer { order, ask: HttpAsk::Create, say, live: true });
        }
        for charge in 0..u8::try_from(CHARGES).expect("few") {
            if self.backend.cancels[usize::from(charge)] && order_of(charge) == order {
                let ended = self.merchant(lab, charge).is_some_and(|order| view::status(&order) != Status::Pending);
                if ended {
                    self.backend.cancels[usize::from(charge)] = false;
                    out.push(Message::Answer { order, ask: HttpAsk::Cancel(charge), say: self.resource(lab, charge), live: true });
                }
            }
        }
    }

    fn resource(&self, lab: &Lab, charge: u8) -> HttpSay {
        let Some(number) = self.backend.orders[usize::from(charge)] else { return HttpSay::Nothing };
        if let Some(known) = lab.told.borrow().get(&number) {
            return HttpSay::Order(*known);
        }
        let place = Place { public_url: "https://pay.example".into(), sandbox: true, contact: None, collect_within: Span::secs(72 * 3600) };
        let resource = lab.resources.borrow_mut().put(view::resource(&lab.merchant.borrow().get(number), 1, NOW, &place));
        lab.told.borrow_mut().insert(number, resource);
        HttpSay::Order(resource)
    }

    /// As `backend::http::orders` answers a POST: not while the order is being charged.
    fn post_answer(&self, lab: &Lab, order: u8) -> Option<HttpSay> {
        let charge = self.newest(order)?;
        let stored = self.merchant(lab, charge)?;
        match &stored.state {
            State::Charging { .. } => None,
            State::Cancelling { why, .. } | State::Closed { why: Some(why), .. } => match why {
                Ending::GaveUp | Ending::NotMade { again: true, .. } if NOW < stored.answer_by => None,
                Ending::Asked | Ending::Timeout => Some(self.resource(lab, charge)),
                _ => Some(HttpSay::Later),
            },
            _ => Some(self.resource(lab, charge)),
        }
    }

    /// A message for the backend. Gives the messages to send.
    pub(super) fn backend_takes(&mut self, lab: &Lab, message: Message) -> Vec<Message> {
        self.take(message);
        let mut out = Vec::new();
        match message {
            Message::Post { order, ask: HttpAsk::Create, live } => {
                self.backend.posts[usize::from(order)] |= live;
                self.create(lab, order, &mut out);
                self.tell_waiters(lab, order, &mut out);
            }
            Message::Post { order, ask: HttpAsk::Cancel(charge), live } => {
                self.backend.cancels[usize::from(charge)] |= live;
                let newest = self.newest(order);
                self.write(lab, charge, What::CancelAsked, true, &mut out);
                if let Some(newest) = newest.filter(|newest| *newest != charge) {
                    self.write(lab, newest, What::CancelAsked, false, &mut out);
                }
                self.tell_waiters(lab, order, &mut out);
            }
            Message::Post { order, ask: ask @ (HttpAsk::Get(charge) | HttpAsk::Watch(charge)), live: true } => {
                out.push(Message::Answer { order, ask, say: self.resource(lab, charge), live: true });
            }
            Message::Post { order, ask: ask @ HttpAsk::Tell(charge, word), live } => {
                let say = self.told(lab, charge, word, &mut out);
                if live {
                    out.push(Message::Answer { order, ask, say, live });
                }
            }
            Message::AskOpen { lookers, live: true } => {
                let open = [0, 1].map(|order| self.open_order(lab, order));
                out.extend(lab.open_answers(lookers, open));
            }
            Message::Notify { charge, said, .. } => {
                self.write(lab, charge, What::Notified(said), true, &mut out);
            }
            Message::FromMidtrans { charge, call, say, .. } => {
                self.hang_up(Caller::Midtrans(charge));
                self.midtrans_answered(lab, charge, call, say, &mut out);
            }
            _ => {}
        }
        out
    }

    fn midtrans_answered(&mut self, lab: &Lab, charge: u8, call: MidtransCall, say: MidtransSay, out: &mut Vec<Message>) {
        self.backend.calls[usize::from(charge)] = None;
        self.write(lab, charge, What::Answer(call, say), true, out);
        let order = order_of(charge);
        let attempts = u8::try_from(ATTEMPTS).expect("few");
        if let Some(stored) = self.merchant(lab, charge)
            && self.newest(order) == Some(charge)
            && charge + 1 < (order + 1) * attempts
            && wants_another(&stored, NOW)
            && let Some(next) = next_attempt(&stored, &order_id(order * attempts), NOW, stored.answer_by)
        {
            self.backend.orders[usize::from(charge) + 1] = Some(lab.merchant.borrow_mut().put(calm(next, false)));
        }
    }

    /// `books::create`.
    fn create(&mut self, lab: &Lab, order: u8, out: &mut Vec<Message>) {
        let attempts = u8::try_from(ATTEMPTS).expect("few");
        let first = order * attempts;
        let Some(newest) = self.newest(order) else {
            let Some(sale) = self.sale(lab, order) else { return };
            let new = merchant::begin(order_id(first), sale, NOW);
            self.backend.orders[usize::from(first)] = Some(lab.merchant.borrow_mut().put(calm(new, true)));
            self.write(lab, first, What::Nothing, true, out);
            return;
        };
        let stored = self.merchant(lab, newest).expect("it is the newest");
        if merchant::may_try_again(&stored) && newest + 1 < first + attempts {
            if let Some(next) = next_attempt(&stored, &order_id(first), NOW, NOW + merchant::ANSWER_WITHIN) {
                self.backend.orders[usize::from(newest) + 1] = Some(lab.merchant.borrow_mut().put(calm(next, false)));
                self.write(lab, newest + 1, What::Nothing, true, out);
            }
        } else {
            self.write(lab, newest, What::Awaited, true, out);
        }
    }

    fn sale(&self, lab: &Lab, order: u8) -> Option<Sale> {
        let super::machine::Stage::Order(number) = self.machine.slots[usize::from(order)].stage else { return None };
        let asked = lab.machine.borrow().get(number);
        let number = super::ticket_number(&asked.ticket);
        Some(Sale {
            device: device(),
            request_id: request_id(order),
            ticket: ticket(number),
            item: item(),
            description: None,
            amount: price(),
            payment: Payment::Gopay,
            timeout: Span::secs(120),
            kid: lab.rules.keys[0].kid().clone(),
        })
    }

    fn told(&mut self, lab: &Lab, charge: u8, word: Word, out: &mut Vec<Message>) -> HttpSay {
        if self.write(lab, charge, What::Delivered(word), false, out) {
            return self.resource(lab, charge);
        }
        let Some(order) = self.merchant(lab, charge) else { return HttpSay::Later };
        if order.delivery.is_some() {
            let order = Order { conflict: true, ..(*order).clone() };
            self.backend.orders[usize::from(charge)] = Some(lab.merchant.borrow_mut().put(order));
            return HttpSay::OtherOutcome;
        }
        self.write(lab, charge, What::Doubted, true, out);
        HttpSay::Later
    }

    /// `books::open_orders` for one request.
    fn open_order(&self, lab: &Lab, order: u8) -> Option<u32> {
        let attempts = u8::try_from(ATTEMPTS).expect("few");
        let newest = self.newest(order)?;
        let shown = (order * attempts..=newest).find(|charge| {
            self.merchant(lab, *charge).is_some_and(|order| order.is_open() && matches!(order.state, State::Settled { .. }))
        });
        let open = shown.or_else(|| self.merchant(lab, newest).is_some_and(|order| order.is_open()).then_some(newest))?;
        match self.resource(lab, open) {
            HttpSay::Order(resource) => Some(resource),
            HttpSay::OtherOutcome | HttpSay::Later | HttpSay::Nothing => None,
        }
    }

    /// Does a long poll have something to tell?
    pub(super) fn watch_ends(&self, lab: &Lab, charge: u8) -> bool {
        self.merchant(lab, charge).is_some_and(|order| view::status(&order) != Status::Pending)
    }

    /// A call to Midtrans is given up. `even_late`: also one whose answer is still on its way.
    pub(super) fn backend_hears_nothing(&self, lab: &Lab, even_late: bool) -> Vec<(Channel, World, Vec<Message>)> {
        let mut all = Vec::new();
        for charge in 0..u8::try_from(CHARGES).expect("few") {
            let Some(call) = self.backend.calls[usize::from(charge)] else { continue };
            if self.is_coming(Caller::Midtrans(charge)) == even_late {
                let mut world = self.clone();
                world.hang_up(Caller::Midtrans(charge));
                let mut out = Vec::new();
                world.midtrans_answered(lab, charge, call, MidtransSay::Nothing, &mut out);
                all.push((Channel::Midtrans, world, out));
            }
        }
        all
    }

    /// Time passes for one order: a deadline, or the pause before the next question. `true`: a call is under way, and this
    /// is longer than a call lasts that is not late.
    pub(super) fn backend_sweeps(&self, lab: &Lab) -> Vec<(bool, World, Vec<Message>)> {
        let mut all = Vec::new();
        for charge in 0..u8::try_from(CHARGES).expect("few") {
            let Some(order) = self.merchant(lab, charge) else { continue };
            let asking = self.backend.calls[usize::from(charge)].is_some();
            let mut passes = Vec::new();
            if order.ask.at.is_some() && !asking {
                passes.push(What::Ask);
            }
            match &order.state {
                State::Charging { .. } | State::Cancelling { .. } if !asking => passes.push(What::Retry),
                // A minute after the machine's own deadline, unless a boot has begun that deadline anew.
                State::Pending { .. } if !asking && (lab.wild || self.is_quiet()) && !self.is_offered(lab, order_of(charge)) => {
                    passes.push(What::Overdue);
                }
                _ => {}
            }
            if order.ask.hot_from == Some(NOW) {
                passes.push(What::Cold);
            }
            if order.answer_by > NOW {
                passes.push(What::Unwaited { long: false });
            }
            if order.answer_by >= NOW && asking {
                passes.push(What::Unwaited { long: true });
            }
            for what in passes {
                let mut world = self.clone();
                let mut out = Vec::new();
                // While Midtrans is asked, nobody else takes up the order.
                if asking {
                    world.backend.orders[usize::from(charge)] =
                        self.backend.orders[usize::from(charge)].map(|number| waits(lab, number, what));
                } else {
                    world.write(lab, charge, what, true, &mut out);
                }
                world.give_up_posts(lab, order_of(charge), &mut out);
                let slow = matches!(what, What::Unwaited { .. }) && !lab.wild && !self.is_quiet();
                all.push((slow, world, out));
            }
        }
        all
    }

    /// A POST is answered within 10 s, with the state of that moment.
    fn give_up_posts(&mut self, lab: &Lab, order: u8, out: &mut Vec<Message>) {
        self.tell_waiters(lab, order, out);
        let newest = self.newest(order).and_then(|newest| self.merchant(lab, newest));
        if self.backend.posts[usize::from(order)] && newest.is_some_and(|order| order.answer_by <= NOW) {
            self.backend.posts[usize::from(order)] = false;
            out.push(Message::Answer { order, ask: HttpAsk::Create, say: HttpSay::Later, live: true });
        }
    }

    /// The power was off so long that nothing is delivered any more.
    pub(super) fn settled_long_ago(&mut self, lab: &Lab, out: &mut Vec<Message>) {
        for charge in 0..u8::try_from(CHARGES).expect("few") {
            self.write(lab, charge, What::Old, false, out);
        }
    }

    /// If Midtrans does not answer a cancel, the machine is answered after 10 s.
    pub(super) fn backend_puts_off(&self) -> Vec<(World, Vec<Message>)> {
        let waiting = |charge: &u8| self.backend.cancels[usize::from(*charge)];
        let one = |charge: u8| {
            let mut world = self.clone();
            world.backend.cancels[usize::from(charge)] = false;
            let (order, ask) = (order_of(charge), HttpAsk::Cancel(charge));
            (world, vec![Message::Answer { order, ask, say: HttpSay::Later, live: true }])
        };
        (0..u8::try_from(CHARGES).expect("few")).filter(waiting).map(one).collect()
    }

    /// The program starts again, with its books.
    pub(super) fn backend_restarts(&mut self, lab: &Lab) -> Vec<Message> {
        self.forget(|m| matches!(m, Message::ToMidtrans { live: true, .. } | Message::FromMidtrans { live: true, .. }));
        self.backend.calls = [None; CHARGES];
        self.backend.posts = [false; ORDERS];
        self.backend.cancels = [false; CHARGES];
        let mut out = Vec::new();
        for charge in 0..u8::try_from(CHARGES).expect("few") {
            if self.merchant(lab, charge).is_some_and(|order| matches!(order.state, State::Charging { .. })) {
                self.write(lab, charge, What::Restarted, false, &mut out);
            }
        }
        out
    }
}
