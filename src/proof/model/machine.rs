//! `qrisd` in the model: the orders by `order::machine`, and the calls that their duties ask for.

use super::relay::Kept;
use super::timeless::{CANCEL_WAIT, Deadline, FAR, NOW, passed};
use super::{
    Caller, HttpAsk, HttpSay, Lab, Message, ORDERS, RelayAsk, RelaySay, TICKETS_EACH, World, charge_of, item, order_id, price, request_id,
    spend, ticket, ticket_number,
};
use qris_core::order::ids::KeyId;
use qris_core::order::machine::{self as core, BackendCall, Context, Event, Order, Posted, RelayCall, Report, Rules, State};
use qris_core::order::outcome::{CloseAnswer, DispenseAnswer};
use qris_core::order::reason::Reason;
use qris_core::order::receipt::Receipt;
use qris_core::order::request::{Offer, Payment, VendRequest};
use qris_core::order::time::{Boot, Span};
use qris_core::wire::dbus::RelayError;
use qris_device::machine::{RelayAnswer, relay_event, seen_of};

/// Longer times ago are not distinguished.
const AGO_MAX: i64 = 6_000;
/// No call lasts longer. A longer pause waits for its end.
const CALL_MAX: i64 = 15_000;
/// Every deadline is nearer than this, except the far ones.
const NEAR: Span = Span::secs(30);
const TRANSITIONS_MAX: usize = 8;
const RULES: Rules = Rules { cancel_wait: CANCEL_WAIT, late_grace: Span::secs(120), deliver_within: Span::secs(600) };

/// The stored state, and the state of this run of the program.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Machine {
    pub(super) slots: [Slot; ORDERS],
    /// The owner of the relay's name, as far as the machine has noticed.
    pub(super) owner: Option<u8>,
    /// How long ago that changed.
    changed_ago: i64,
    /// An order of somebody else holds the machine: see [`super::Scenario::others`].
    pub(super) others: bool,
    /// `?state=open` is being asked, or is to be asked.
    pub(super) open: Option<u8>,
    pub(super) open_wanted: bool,
}

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    pub(super) stage: Stage,
    pub(super) relay: Option<RelayAsk>,
    pub(super) http: Option<HttpAsk>,
    pub(super) hinted: bool,
}

/// The progress of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// It was not made, or is not in this scenario.
    Nothing,
    /// It is at the broker.
    Asked,
    /// The relay is being asked for a ticket, under this owner's name.
    Candidate(u8),
    /// Refused.
    Refused,
    /// Stored, by its number.
    Order(u32),
}

/// An event of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum What {
    Tick,
    Later(i64),
    /// Only in a wild network.
    Passes(Deadline),
    Restarted {
        same_boot: bool,
    },
    Seen(u32),
    /// The merchant's order of that number told it.
    Settled(u32),
    Told,
    CreateDelayed,
    Absent,
    Relay(RelayAsk, RelaySay),
    Signal(super::Ended),
    CancelAsked,
}

/// The inputs that decide about a step, and so name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct StepKey(u32, What, Around);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Around {
    alone: bool,
    owner: Option<u8>,
    changed_ago: i64,
}

/// The inputs that decide about a duty.
pub(super) type DutyKey = (u32, Around);

/// What an order asks for now, and its visible side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) relay: Option<RelayAsk>,
    pub(super) http: Option<HttpAsk>,
    pub(super) finds: bool,
    deadline: Option<i64>,
    pub(super) holds: bool,
    pub(super) unfinished: bool,
    pub(super) ended: bool,
    pub(super) asked: bool,
    offered: bool,
    /// The backend answered "not yet", and is asked again and again.
    delayed: bool,
    /// It is or was on the screen, and nobody vouches that it could be delivered.
    pub(super) doubtful: bool,
    /// Money came for it, as far as the machine will ever care: another receipt is no news.
    pub(super) paid: bool,
    /// Its fate is known for good: the relay's word is no news.
    pub(super) decided: bool,
    /// The charge whose QR is drawn, its ticket, and the relay run that vouched for it.
    pub(super) drawn: Option<(u8, u8, u8)>,
}

impl Machine {
    pub(super) fn new(orders: usize) -> Self {
        let mut slots = [Slot::empty(); ORDERS];
        for slot in slots.iter_mut().take(orders) {
            slot.stage = Stage::Asked;
        }
        Self { slots, owner: Some(1), changed_ago: AGO_MAX, others: false, open: None, open_wanted: false }
    }
}

fn kids(lab: &Lab) -> Vec<KeyId> {
    lab.rules.keys.iter().map(|key| key.kid().clone()).collect()
}

fn context<'a>(around: Around, kids: &'a [KeyId]) -> Context<'a> {
    Context {
        rules: &RULES,
        alone: around.alone,
        relay_owner: around.owner.map(u64::from),
        relay_changed_at: NOW - Span(around.changed_ago),
        relay_kids: kids,
        screen_gone_since: None,
        push: true,
    }
}

fn answer_of(ask: RelayAsk, say: RelaySay) -> RelayAnswer {
    match (ask, say) {
        (RelayAsk::Check(_), RelaySay::Deliverable) => RelayAnswer::Checked { deliverable: true, reason: "".into() },
        (RelayAsk::Check(_), RelaySay::Busy) => RelayAnswer::Checked { deliverable: false, reason: "busy".into() },
        (RelayAsk::Check(_), _) => RelayAnswer::Checked { deliverable: false, reason: "relay".into() },
        (RelayAsk::Close(_), RelaySay::Closed) => RelayAnswer::Close(CloseAnswer::Closed),
        (RelayAsk::Close(_), RelaySay::Driving) => RelayAnswer::Close(CloseAnswer::Dispensing),
        (RelayAsk::Close(_), RelaySay::Ended(ended)) => RelayAnswer::Close(CloseAnswer::Ended(ended.into())),
        (_, RelaySay::Ended(ended)) => RelayAnswer::Dispense(DispenseAnswer::Ended(ended.into())),
        (_, RelaySay::Driving) => RelayAnswer::Dispense(DispenseAnswer::Dispensing),
        (_, RelaySay::Unknown) => RelayAnswer::Dispense(DispenseAnswer::Unknown),
        (_, RelaySay::Busy) => RelayAnswer::Refused(RelayError::Busy, "".into()),
        (_, RelaySay::UnknownTicket) => RelayAnswer::Refused(RelayError::UnknownTicket, "".into()),
        (_, RelaySay::Nothing) => RelayAnswer::NoAnswer("".into()),
        (_, RelaySay::Refused | RelaySay::Closed | RelaySay::Deliverable | RelaySay::NotDeliverable) => {
            RelayAnswer::Refused(RelayError::Blocked, "".into())
        }
    }
}

fn call_of(ask: RelayAsk, order: &Order) -> Option<RelayCall> {
    Some(match ask {
        RelayAsk::Check(_) => RelayCall::Check(order.ticket.clone()),
        RelayAsk::Dispense(_) => RelayCall::Dispense(order.receipt()?.clone()),
        RelayAsk::Query(charge) => RelayCall::Query(order_id(charge)),
        RelayAsk::Close(number) => RelayCall::Close(ticket(number)),
    })
}

/// One step of one order: the product's own function, with a clock that stands still.
fn step(lab: &Lab, number: u32, what: What, around: Around) -> u32 {
    let key = StepKey(number, what, around);
    if let Some(known) = lab.machine_steps.borrow().get(&key) {
        return *known;
    }
    let order = (*lab.machine.borrow().get(number)).clone();
    let kids = kids(lab);
    let with = context(around, &kids);
    let then = |order: Order, event: Event| core::apply(order, event, NOW, &with);
    let after = match what {
        What::Tick => then(order, Event::Tick),
        What::Later(by) => later(order, by),
        What::Passes(which) => then(passed(order, which), Event::Tick),
        // State of one run of the program is gone.
        What::Restarted { same_boot } => order.as_stored().restarted(same_boot, NOW, &RULES),
        What::Seen(resource) => {
            let resource = (*lab.resources.borrow().get(resource)).clone();
            let receipt = resource.receipt.as_deref().map(|jws| Receipt::restore(jws).expect("signed by the merchant"));
            let fits = receipt.filter(|receipt| order.fits(receipt));
            let seen = then(order, Event::Seen(seen_of(resource)));
            match fits {
                Some(receipt) => then(seen, Event::Settled(receipt)),
                None => seen,
            }
        }
        What::Settled(paid) => match lab.merchant.borrow().get(paid).receipt() {
            Some(receipt) if order.fits(receipt) => then(order, Event::Settled(receipt.clone())),
            Some(_) | None => order,
        },
        What::Told => then(order, Event::Told),
        What::CreateDelayed => then(order, Event::CreateDelayed(Reason::Gateway)),
        What::Absent => then(order, Event::Absent),
        What::Relay(ask, say) => {
            let asked = if let RelayAsk::Check(owner) = ask { u64::from(owner) } else { 0 };
            let owner = around.owner.map_or(0, u64::from);
            match relay_event(&answer_of(ask, say), call_of(ask, &order).as_ref(), asked, owner, &order) {
                Some(event) => then(order, event),
                None => order,
            }
        }
        What::Signal(ended) => then(order, Event::RelayAnswered(DispenseAnswer::Ended(ended.into()))),
        What::CancelAsked => then(order, Event::CancelAsked),
    };
    let after = lab.machine.borrow_mut().put(after);
    lab.machine_steps.borrow_mut().insert(key, after);
    after
}

/// The order after this time: its times move, the clock does not.
fn later(mut order: Order, by: i64) -> Order {
    // All past moments are equal.
    let moved = |at: &mut Boot| *at = Boot((at.0 - by).max(NOW.0 - 1_000_000));
    match &mut order.state {
        State::Requested { give_up_at, .. } => moved(give_up_at),
        State::AwaitingPayment { shown_at, until, .. } => {
            moved(shown_at);
            moved(until);
        }
        State::Cancelling { free_at, late_until, .. } => free_at.iter_mut().chain(late_until).for_each(moved),
        State::Ended { late_until, .. } => {
            if late_until.is_some_and(|at| at.0 - by < NOW.0 - 1_000) {
                *late_until = Some(NOW - Span(1_000));
            } else {
                late_until.iter_mut().for_each(moved);
            }
        }
        State::Paid { deliver_by, .. } => moved(deliver_by),
        State::Dispensing { deliver_by, overdue: false, .. } => moved(deliver_by),
        _ => {}
    }
    order
}

/// The calls to others for an order.
fn wanted(lab: &Lab, number: u32, around: Around) -> Wanted {
    if let Some(known) = lab.duties.borrow().get(&(number, around)) {
        return *known;
    }
    let order = lab.machine.borrow().get(number);
    let kids = kids(lab);
    let with = context(around, &kids);
    let duty = core::duty(&order, NOW, &with);
    let relay = around.owner.and_then(|owner| {
        Some(match duty.relay? {
            RelayCall::Check(_) => RelayAsk::Check(owner),
            RelayCall::Dispense(receipt) => RelayAsk::Dispense(charge_of(&receipt.claims().sub)),
            RelayCall::Query(id) => RelayAsk::Query(charge_of(&id)),
            RelayCall::Close(ticket) => RelayAsk::Close(ticket_number(&ticket)),
            // A signed answer says only what the ledger has said before.
            RelayCall::Prove(_) => return None,
        })
    });
    let mut finds = false;
    let http = match duty.backend {
        Some(BackendCall::Create) => Some(HttpAsk::Create),
        Some(BackendCall::Find) => {
            finds = true;
            None
        }
        Some(BackendCall::Watch(id)) => Some(HttpAsk::Watch(charge_of(&id))),
        Some(BackendCall::Confirm(id) | BackendCall::Look(id)) => Some(HttpAsk::Get(charge_of(&id))),
        Some(BackendCall::Cancel(id)) => Some(HttpAsk::Cancel(charge_of(&id))),
        Some(BackendCall::Tell(id, delivery, _)) => Some(HttpAsk::Tell(charge_of(&id), delivery.into())),
        None => None,
    };
    let drawn = match (&order.state, order.order_id()) {
        (State::AwaitingPayment { checked, .. }, Some(id)) if *checked != 0 => {
            Some((charge_of(id), ticket_number(&order.ticket), u8::try_from(*checked).expect("few")))
        }
        _ => None,
    };
    let doubtful = matches!(order.state, State::AwaitingPayment { checked, .. } if around.owner.map(u64::from) != Some(checked));
    let deadline = core::next_deadline(&order, NOW, &with).map(|at| at.0 - NOW.0).filter(|left| *left > 0);
    let answer = Wanted {
        relay,
        http,
        finds,
        deadline,
        holds: order.holds_machine(),
        unfinished: core::unfinished(&order),
        ended: order.name().0.is_end(),
        asked: matches!(order.state, State::Requested { .. }),
        delayed: match order.state {
            State::Requested { trouble: Some(_), .. } => true,
            // The answer that it got is not remembered here.
            State::Cancelling { free_at: Some(_), .. } => http == Some(HttpAsk::Create),
            _ => false,
        },
        offered: matches!(order.state, State::Requested { .. } | State::AwaitingPayment { .. }) && !order.earlier_boot,
        doubtful,
        paid: is_paid(&order),
        decided: is_decided(&order),
        drawn,
    };
    lab.duties.borrow_mut().insert((number, around), answer);
    answer
}

/// Does [`Event::Settled`] change nothing any more?
fn is_paid(order: &Order) -> bool {
    match &order.state {
        State::AwaitingCollection { .. } | State::TakenBack { .. } | State::Paid { .. } | State::Dispensing { .. } => true,
        State::Dispensed { .. } | State::RefundDue { .. } | State::Refunded { .. } => true,
        State::Requested { .. } | State::AwaitingPayment { .. } | State::AtCounter | State::Cancelling { .. } | State::Ended { .. } => {
            false
        }
    }
}

/// Does [`Event::RelayAnswered`] change nothing any more?
fn is_decided(order: &Order) -> bool {
    match &order.state {
        State::Dispensed { .. } | State::Refunded { .. } => true,
        State::RefundDue { report, .. } => match report {
            Report::Tell(_) | Report::Told(_) => true,
            Report::CloseFirst { .. } => false,
        },
        State::Requested { .. } | State::AwaitingPayment { .. } | State::AtCounter | State::Cancelling { .. } | State::Ended { .. } => {
            false
        }
        State::AwaitingCollection { .. } | State::TakenBack { .. } | State::Paid { .. } | State::Dispensing { .. } => false,
    }
}

/// The relay run that an order names as the one which said that it can be delivered.
pub(super) fn checked(lab: &Lab, number: u32) -> Option<u8> {
    match lab.machine.borrow().get(number).state {
        State::Requested { checked, .. } | State::AwaitingPayment { checked, .. } => {
            Some(u8::try_from(checked).expect("few")).filter(|at| *at != 0)
        }
        _ => None,
    }
}

/// The same order, with another run named.
pub(super) fn checked_by(lab: &Lab, number: u32, owner: u8) -> u32 {
    if let Some(known) = lab.renamed.borrow().get(&(number, owner)) {
        return *known;
    }
    let mut order = (*lab.machine.borrow().get(number)).clone();
    if let State::Requested { checked, .. } | State::AwaitingPayment { checked, .. } = &mut order.state {
        *checked = owner.into();
    }
    let after = lab.machine.borrow_mut().put(order);
    lab.renamed.borrow_mut().insert((number, owner), after);
    after
}

/// For a machine's only order. A deadline that comes after all others is far, and its distance is not distinguished. Its
/// place among the others counts. The near ones (a poll, a doubt, an answer) are at most 15 s away, and begin anew at most
/// once for each crash.
pub(super) fn stretched(lab: &Lab, number: u32) -> u32 {
    if let Some(known) = lab.stretched.borrow().get(&number) {
        return *known;
    }
    let mut order = (*lab.machine.borrow().get(number)).clone();
    let far = |at: &mut Boot| {
        if *at > NOW + NEAR {
            *at = NOW + FAR;
        }
    };
    match &mut order.state {
        State::AwaitingPayment { shown_at, until, .. } => {
            far(until);
            // Once the order is polled, the time since its QR was shown decides nothing.
            *shown_at = (*shown_at).max(NOW - core::POLL_AFTER);
        }
        State::Cancelling { late_until, .. } | State::Ended { late_until, .. } => late_until.iter_mut().for_each(far),
        State::Paid { deliver_by, .. } | State::Dispensing { deliver_by, .. } => far(deliver_by),
        State::Requested { .. } | State::AtCounter | State::AwaitingCollection { .. } | State::TakenBack { .. } => {}
        State::Dispensed { .. } | State::RefundDue { .. } | State::Refunded { .. } => {}
    }
    let after = lab.machine.borrow_mut().put(order);
    lab.stretched.borrow_mut().insert(number, after);
    after
}

impl Machine {
    /// Will it only ever have one request?
    pub(super) fn is_alone(&self) -> bool {
        matches!(self.slots[1].stage, Stage::Nothing)
    }

    /// Is an order to be paid by a charge?
    pub(super) fn may_draw(&self, lab: &Lab, charge: u8) -> bool {
        self.slots.iter().any(|slot| match slot.stage {
            Stage::Order(number) => {
                let order = lab.machine.borrow().get(number);
                matches!(order.state, State::AwaitingPayment { .. }) && order.order_id() == Some(&order_id(charge))
            }
            Stage::Nothing | Stage::Asked | Stage::Candidate(_) | Stage::Refused => false,
        })
    }

    pub(super) fn forget_change(&mut self) {
        self.changed_ago = AGO_MAX;
    }

    /// It only counts whether that is too long ago.
    pub(super) fn forget_how_long_ago(&mut self) {
        self.changed_ago = if self.changed_ago < core::GONE_WAIT.0 { 0 } else { AGO_MAX };
    }
}

impl Slot {
    /// As if nobody ever asked for anything.
    pub(super) const fn empty() -> Self {
        Self { stage: Stage::Nothing, relay: None, http: None, hinted: false }
    }

    /// The relay run that is being asked about the order's ticket.
    pub(super) fn checks(&self) -> Option<u8> {
        match self.relay {
            Some(RelayAsk::Check(owner)) => Some(owner),
            Some(RelayAsk::Dispense(_) | RelayAsk::Query(_) | RelayAsk::Close(_)) | None => None,
        }
    }

    pub(super) fn rename_checks(&mut self, renamed: impl Fn(u8) -> u8) {
        if let Some(RelayAsk::Check(owner)) = &mut self.relay {
            *owner = renamed(*owner);
        }
    }
}

impl World {
    fn around(&self, lab: &Lab, order: u8) -> Around {
        let holds = |slot: &Slot| match slot.stage {
            Stage::Order(number) => lab.machine.borrow().get(number).holds_machine(),
            Stage::Nothing | Stage::Asked | Stage::Candidate(_) | Stage::Refused => false,
        };
        let alone =
            !self.machine.others && !self.machine.slots.iter().enumerate().any(|(other, slot)| other != usize::from(order) && holds(slot));
        Around { alone, owner: self.machine.owner, changed_ago: self.machine.changed_ago }
    }

    /// The ticket of a request.
    pub(super) fn ticket_of(&self, lab: &Lab, order: u8) -> Option<u8> {
        match self.machine.slots[usize::from(order)].stage {
            Stage::Order(number) => Some(ticket_number(&lab.machine.borrow().get(number).ticket)),
            Stage::Nothing | Stage::Asked | Stage::Candidate(_) | Stage::Refused => None,
        }
    }

    /// What a stored order asks for and shows.
    pub(super) fn wanted(&self, lab: &Lab, order: u8) -> Option<Wanted> {
        match self.machine.slots[usize::from(order)].stage {
            Stage::Order(number) => Some(wanted(lab, number, self.around(lab, order))),
            Stage::Nothing | Stage::Asked | Stage::Candidate(_) | Stage::Refused => None,
        }
    }

    pub(super) fn happens(&mut self, lab: &Lab, order: u8, what: What) {
        let Stage::Order(mut number) = self.machine.slots[usize::from(order)].stage else { return };
        let around = self.around(lab, order);
        number = step(lab, number, what, around);
        for _ in 0..TRANSITIONS_MAX {
            let next = step(lab, number, What::Tick, around);
            if next == number {
                break;
            }
            number = next;
        }
        self.machine.slots[usize::from(order)].stage = Stage::Order(number);
    }

    pub(super) fn known_charge(&self, lab: &Lab, order: u8) -> Option<u8> {
        let Stage::Order(number) = self.machine.slots[usize::from(order)].stage else { return None };
        lab.machine.borrow().get(number).order_id().map(charge_of)
    }

    /// A message for the machine. Gives the messages to send.
    pub(super) fn machine_takes(&mut self, lab: &Lab, message: Message) -> Vec<Message> {
        self.take(message);
        let mut out = Vec::new();
        match message {
            Message::Vend(order) => {
                let busy = self.machine.others
                    || (0..2).any(|other| {
                        matches!(self.machine.slots[usize::from(other)].stage, Stage::Candidate(_))
                            || self.wanted(lab, other).is_some_and(|w| w.holds)
                    });
                let known = matches!(self.machine.slots[usize::from(order)].stage, Stage::Order(_) | Stage::Candidate(_));
                if !known {
                    let owner = self.machine.owner.filter(|_| !busy);
                    self.machine.slots[usize::from(order)].stage = owner.map_or(Stage::Refused, Stage::Candidate);
                    if owner.is_some() {
                        // It is acknowledged only once there is an order: the broker keeps it.
                        out.push(Message::Prepare { order });
                    }
                }
            }
            Message::Prepared { order, ticket: given } => {
                // Its doubles, and a double of the question, do not matter any more. The same is true below.
                self.hang_up(Caller::Ticket(order));
                let others = self.machine.others || (0..2).any(|other| self.wanted(lab, other).is_some_and(|w| w.holds));
                let stage = &mut self.machine.slots[usize::from(order)].stage;
                match (*stage, given) {
                    (Stage::Candidate(_), Some(given)) if others => {
                        *stage = Stage::Refused;
                        out.push(Message::ToRelay { order, ask: RelayAsk::Close(given), live: false });
                    }
                    (Stage::Candidate(owner), Some(given)) => {
                        *stage = Stage::Order(lab.machine.borrow_mut().put(new_order(lab, order, given, owner)));
                    }
                    (Stage::Candidate(_), None) => *stage = Stage::Refused,
                    (Stage::Nothing | Stage::Asked | Stage::Refused | Stage::Order(_), _) => unreachable!("a candidate waits for it"),
                }
            }
            Message::FromRelay { order, ask, say, live } => {
                let fact = matches!((ask, say), (RelayAsk::Dispense(_) | RelayAsk::Query(_), RelaySay::Ended(_)));
                if live {
                    self.drop_relay_call(order);
                }
                if live || fact {
                    self.happens(lab, order, What::Relay(ask, say));
                }
            }
            Message::Finished { charge, ended } => {
                let order = super::order_of(charge);
                if self.known_charge(lab, order) == Some(charge) {
                    self.happens(lab, order, What::Signal(ended));
                }
            }
            Message::Answer { order, ask, say, .. } => {
                self.drop_http_call(order);
                self.http_answered(lab, order, ask, say);
            }
            Message::Open { lookers, orders, .. } => {
                if lab.wild {
                    self.hears_of_open_orders(message);
                } else {
                    self.hang_up(Caller::Open);
                    self.machine.open = None;
                }
                self.open_answered(lab, lookers, orders);
            }
            Message::Push { charge, receipt, .. } => {
                let order = super::order_of(charge);
                if receipt {
                    let paid = self.backend.orders[usize::from(charge)].expect("books forget none");
                    self.happens(lab, order, What::Settled(paid));
                } else if self.known_charge(lab, order) == Some(charge) {
                    let ended = self.wanted(lab, order).is_some_and(|wanted| wanted.ended);
                    self.machine.slots[usize::from(order)].hinted = !ended;
                }
            }
            Message::Prepare { .. }
            | Message::ToRelay { .. }
            | Message::Post { .. }
            | Message::AskOpen { .. }
            | Message::ToMidtrans { .. }
            | Message::FromMidtrans { .. }
            | Message::Notify { .. } => {}
        }
        out.extend(self.pump(lab));
        out
    }

    pub(super) fn http_answered(&mut self, lab: &Lab, order: u8, ask: HttpAsk, say: HttpSay) {
        let telling = matches!(ask, HttpAsk::Tell(..));
        match (say, ask) {
            (HttpSay::Order(resource), _) => {
                if telling {
                    self.happens(lab, order, What::Told);
                }
                self.happens(lab, order, What::Seen(resource));
            }
            (HttpSay::OtherOutcome, _) => self.happens(lab, order, What::Told),
            (HttpSay::Later, HttpAsk::Create) => self.happens(lab, order, What::CreateDelayed),
            (HttpSay::Later | HttpSay::Nothing, _) => {}
        }
    }

    fn open_answered(&mut self, lab: &Lab, lookers: u8, orders: [Option<u32>; ORDERS]) {
        for order in 0..2_u8 {
            let looks = lookers & (1 << order) != 0 && self.wanted(lab, order).is_some_and(|wanted| wanted.finds);
            match orders[usize::from(order)] {
                Some(resource) => self.happens(lab, order, What::Seen(resource)),
                None if looks => self.happens(lab, order, What::Absent),
                None => {}
            }
        }
    }

    /// May its QR be shown, now or later, within the time that it was made for?
    pub(super) fn is_offered(&self, lab: &Lab, order: u8) -> bool {
        self.wanted(lab, order).is_some_and(|wanted| wanted.offered)
    }

    /// Is the only call under way a question that is asked again after each answer? Such a question fills any time.
    pub(super) fn only_asks_again(&self, lab: &Lab) -> bool {
        let again = |order: u8| self.wanted(lab, order).is_some_and(|wanted| wanted.delayed);
        let mut others = self.clone();
        others.wire.retain(|message| match message {
            Message::Post { order, ask: HttpAsk::Create, .. } | Message::Answer { order, ask: HttpAsk::Create, .. } => !again(*order),
            _ => true,
        });
        others.is_quiet()
    }

    /// The machine's clock jumps to its next deadline.
    pub(super) fn machine_waits(&self, lab: &Lab) -> Option<(World, Vec<Message>)> {
        let by = (0..2).filter_map(|order| self.wanted(lab, order)?.deadline).min()?;
        if by > CALL_MAX && !self.is_quiet() {
            return None;
        }
        let mut world = self.clone();
        world.machine.changed_ago = (world.machine.changed_ago + by).min(AGO_MAX);
        for order in 0..2 {
            world.happens(lab, order, What::Later(by));
        }
        let out = world.pump(lab);
        Some((world, out))
    }

    /// A customer or controller wants to cancel it.
    pub(super) fn machine_cancels(&self, lab: &Lab, order: u8) -> Option<(World, Vec<Message>)> {
        if self.left.cancels[usize::from(order)] == 0 || !matches!(self.machine.slots[usize::from(order)].stage, Stage::Order(_)) {
            return None;
        }
        let mut world = self.clone();
        spend(&mut world.left.cancels[usize::from(order)]);
        world.happens(lab, order, What::CancelAsked);
        (world.machine != self.machine).then(|| {
            let out = world.pump(lab);
            (world, out)
        })
    }

    /// The bus tells the machine about the relay's name.
    pub(super) fn machine_notices_relay(&self, lab: &Lab) -> Option<(World, Vec<Message>)> {
        if self.machine.owner == Some(self.relay.run) {
            return None;
        }
        let mut world = self.clone();
        world.machine.changed_ago = 0;
        world.machine.owner = if self.machine.owner.is_some() { None } else { Some(self.relay.run) };
        let out = world.pump(lab);
        Some((world, out))
    }

    /// The broker lost its sessions, but no message on its way: the connection is made anew.
    pub(super) fn machine_loses_session(&self, lab: &Lab) -> Option<(World, Vec<Message>)> {
        let at = super::Channel::Push as usize;
        let open = (0..2).any(|order| self.wanted(lab, order).is_some_and(|wanted| wanted.unfinished));
        (self.left.faults[at] > 0 && open).then(|| {
            let mut world = self.clone();
            spend(&mut world.left.faults[at]);
            let out = world.machine_connects(lab);
            (world, out)
        })
    }

    /// The connection to the broker is made anew.
    pub(super) fn machine_connects(&mut self, lab: &Lab) -> Vec<Message> {
        self.machine.open_wanted = true;
        self.pump(lab)
    }

    /// The program starts again, with its stored state.
    pub(super) fn machine_restarts(&mut self, lab: &Lab, same_boot: bool) -> Vec<Message> {
        for order in 0..2_u8 {
            self.abandon(order);
            let slot = &mut self.machine.slots[usize::from(order)];
            if matches!(slot.stage, Stage::Candidate(_)) {
                slot.stage = Stage::Asked;
                self.send(Message::Vend(order));
            }
        }
        self.forget(|m| matches!(m, Message::Prepare { .. } | Message::Prepared { .. }));
        self.forget(|m| matches!(m, Message::AskOpen { live: true, .. } | Message::Open { live: true, .. }));
        // Answers and signals to a program that has ended.
        self.wire.retain(|m| !matches!(m, Message::FromRelay { .. } | Message::Finished { .. }));
        self.machine.open = None;
        self.machine.open_wanted = true;
        self.machine.owner = None;
        self.machine.changed_ago = 0;
        for order in 0..2_u8 {
            if self.wanted(lab, order).is_some_and(|wanted| wanted.unfinished) {
                self.happens(lab, order, What::Restarted { same_boot });
            }
        }
        self.pump(lab)
    }

    /// Draws a ticket for a request: one that nobody knows yet.
    pub(super) fn draw_ticket(&self, lab: &Lab, order: u8) -> Option<u8> {
        let each = u8::try_from(TICKETS_EACH).expect("few");
        (order * each..(order + 1) * each)
            .find(|number| self.relay.tickets[usize::from(*number)] == Kept::Unknown && !self.names_ticket(lab, *number))
    }

    /// Does an order have this ticket, or does a message on its way name it?
    pub(super) fn names_ticket(&self, lab: &Lab, number: u8) -> bool {
        let order = number / u8::try_from(TICKETS_EACH).expect("few");
        let kept = match self.machine.slots[usize::from(order)].stage {
            Stage::Order(stored) => ticket_number(&lab.machine.borrow().get(stored).ticket) == number,
            Stage::Nothing | Stage::Asked | Stage::Candidate(_) | Stage::Refused => false,
        };
        kept || self.wire.iter().any(|message| match *message {
            Message::Prepared { ticket, .. } => ticket == Some(number),
            Message::ToRelay { ask: RelayAsk::Close(of), .. } | Message::FromRelay { ask: RelayAsk::Close(of), .. } => of == number,
            _ => false,
        })
    }
}

fn new_order(lab: &Lab, order: u8, given: u8, owner: u8) -> Order {
    let request = VendRequest {
        request_id: request_id(order),
        item: item(),
        amount: None,
        description: None,
        payment: Payment::Gopay,
        timeout_s: None,
    };
    let offer = Offer { request, amount: price(), timeout: Span::secs(120) };
    let posted = Posted { kids: kids(lab), relay_key: None, description: "Tea".into() };
    Order::new(offer, ticket(given), posted, owner.into(), NOW)
}
