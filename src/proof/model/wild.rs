//! A wild network: one that may do anything, any number of times, so that nothing of it is counted.
//!
//! Then nothing need be told apart by what the network did, and most of what tells two worlds apart is that. More may happen
//! here than on any one way; what holds all the same, holds on each. What is done with a world, and why nothing is lost by it:
//!
//! * A call that waits has its question on its way: one that was lost is as good as that, since it may stay there until its
//!   caller gives up, and then the same is asked again. So relay, backend and Midtrans may answer at any time, and need not
//!   remember who waits ([`World::goes_wild`]).
//! * The answers that were made to it since it was asked may all be the one that arrives; then the others are gone. So they are
//!   strays, which tell no worlds apart ([`Message::may_be_many`]).
//! * What acts may come again at any time once it was sent, and a program that crashes while it sends has sent all: what was
//!   not sent is as good as lost (`steps`).
//! * The broker may lose its sessions at any time, and the machine then asks which orders are open; a hint may come at any
//!   time; a receipt is on its way while there is one.
//! * Any deadline may pass at any moment, whatever is on its way (`timeless`, `backend`, `midtrans`).
//! * Others may hold the machine or have the line driven at any moment ([`World::beside_others`]).
//! * A world is kept once, with the messages that may come again by any of the ways to it, and is searched anew whenever these
//!   become more (`search`).
//!
//! Whether something was left out is looked up: each world of a search that counts is among those of the wild one
//! ([`World::in_a_wild_network`]). What is not shown here is that calls end: what helps may always come once more. And a lost
//! ledger has no place here: a call that is answered twice, before and after, would be told that its ticket is unknown by the
//! relay that has just driven the line for it, as no call on a bus can be.

use super::message::Status as Money;
use super::relay::{Kept, Written};
use super::steps::Step;
use super::timeless::{Deadline, nameless, timeless};
use super::{
    ANY, ATTEMPTS, Budget, CHANNELS, CHARGES, Caller, HttpAsk, HttpSay, Lab, Message, ORDERS, RelayAsk, RelaySay, TICKETS_EACH, World,
    machine::{Slot, Stage, What},
    order_of,
};
use qris_core::order::merchant::State;
use std::iter;

impl Budget {
    /// Whether the network may do anything, any number of times.
    pub(super) fn is_wild(&self) -> bool {
        self.faults == [ANY; CHANNELS]
    }
}

impl Message {
    /// An answer that a call may have beside others. A call that waits has its question on its way, so that it may be answered
    /// once more, and any of its answers may be the one that arrives; then the others are gone with it. Not so a ticket: the
    /// relay remembers each that it gave.
    pub(super) fn may_be_many(self) -> bool {
        self.is_live() && self.is_answer() && !matches!(self, Self::Prepared { .. })
    }
}

impl Lab {
    /// The answer which orders are open. In a wild network it comes in two, one for each request, and not at all where it would
    /// tell nothing.
    pub(super) fn open_answers(&self, lookers: u8, orders: [Option<u32>; ORDERS]) -> Vec<Message> {
        if !self.wild {
            return vec![Message::Open { lookers, orders, live: true }];
        }
        let one = |at: usize| {
            let (lookers, mut one) = (lookers & 1 << at, [None; ORDERS]);
            one[at] = orders[at];
            (lookers != 0 || one[at].is_some()).then_some(Message::Open { lookers, orders: one, live: true })
        };
        (0..ORDERS).filter_map(one).collect()
    }
}

impl World {
    /// What may come in a wild network at any time is on its way.
    pub(super) fn goes_wild(&mut self, lab: &Lab) {
        self.relay.waits = [false; CHARGES];
        self.backend.posts = [false; ORDERS];
        self.backend.cancels = [false; CHARGES];
        self.hints(lab);
        self.looks_for_open_orders(lab);
        self.ask_again();
        self.push_receipts(lab);
        for message in self.wire.clone().into_iter().filter(|message| matches!(message, Message::Notify { .. })) {
            self.strays(message);
        }
        self.tell_outcomes();
        self.wire.dedup();
    }

    /// A hint may come at any time: so none is remembered until there is time to follow it.
    fn hints(&mut self, lab: &Lab) {
        for order in 0..2_u8 {
            self.machine.slots[usize::from(order)].hinted = false;
            if let Some(charge) = self.known_charge(lab, order) {
                self.strays(Message::Push { charge, receipt: false, live: false });
            }
        }
    }

    /// The broker may lose its sessions at any time, and then a machine asks which orders are open: so it always does. Where
    /// it has none, the answer tells it nothing.
    fn looks_for_open_orders(&mut self, lab: &Lab) {
        self.machine.open_wanted = false;
        self.machine.open = None;
        self.wire.retain(|message| !matches!(message, Message::AskOpen { .. }));
        if self.machine.slots.iter().any(|slot| matches!(slot.stage, Stage::Order(_))) {
            let looks = |order: &u8| self.wanted(lab, *order).is_some_and(|wanted| wanted.finds);
            self.machine.open = Some((0..2_u8).filter(looks).map(|order| 1 << order).sum());
        } else {
            self.wire.retain(|message| !matches!(message, Message::Open { .. }));
        }
    }

    /// What is open was told of one request: what an earlier answer would have told of it is gone.
    pub(super) fn hears_of_open_orders(&mut self, told: Message) {
        self.forget(|other| matches!(other, Message::Open { .. }) && other.order() == told.order());
    }

    /// Whether nobody waits for what a message brings about.
    pub(super) fn is_idle(&self, lab: &Lab, message: Message) -> bool {
        match message {
            Message::AskOpen { lookers, .. } | Message::Open { lookers, .. } => lab.wild && lookers == 0,
            _ => false,
        }
    }

    /// Each call that waits has its question on its way. A backend that cannot answer yet says so at any time.
    fn ask_again(&mut self) {
        for order in 0..2_u8 {
            let slot = self.machine.slots[usize::from(order)];
            if matches!(slot.stage, Stage::Candidate(_)) && !self.is_coming(Caller::Ticket(order)) {
                self.send(Message::Prepare { order });
            }
            if let Some(ask) = slot.relay {
                self.send(Message::ToRelay { order, ask, live: true });
            }
            if let Some(ask) = slot.http {
                self.send(Message::Post { order, ask, live: true });
                if matches!(ask, HttpAsk::Create | HttpAsk::Cancel(_)) {
                    self.send(Message::Answer { order, ask, say: HttpSay::Later, live: true });
                }
            }
        }
        if let Some(lookers) = self.machine.open {
            self.send(Message::AskOpen { lookers, live: true });
        }
        for charge in 0..u8::try_from(CHARGES).expect("few") {
            if let Some(call) = self.backend.calls[usize::from(charge)] {
                self.send(Message::ToMidtrans { charge, call, live: true });
            }
        }
    }

    /// What follows where another request holds the machine at that moment, or the line is driven for one. Both may begin and
    /// end at any time, so that neither is remembered; and no step asks for both.
    pub(super) fn beside_others(&self, lab: &Lab, all: &mut Vec<(Step, Self)>) {
        let (mut held, mut driven) = (self.clone(), self.clone());
        held.machine.others = true;
        driven.relay.others = true;
        let driven = self.relay.is_idle().then_some(driven);
        for world in iter::once(held).chain(driven) {
            for (step, mut next) in world.next_alone(lab) {
                next.leave_others();
                if next != *self && !all.iter().any(|(_, known)| *known == next) {
                    // They need not be there.
                    all.push((Step { progress: false, ..step }, next));
                }
            }
        }
    }

    fn leave_others(&mut self) {
        self.machine.others = false;
        self.relay.others = false;
    }

    /// What is left of a world when the other request is somebody else's.
    fn sees_others(&mut self) {
        self.machine.slots[1] = Slot::empty();
        self.relay.leave(|charge| order_of(charge) == 0);
        for ticket in &mut self.relay.tickets[TICKETS_EACH..] {
            *ticket = Kept::Unknown;
        }
        for at in ATTEMPTS..CHARGES {
            self.relay.entries[at] = None;
            self.relay.waits[at] = false;
            self.backend.orders[at] = None;
            self.backend.calls[at] = None;
            self.backend.cancels[at] = false;
            self.midtrans.charges[at] = Money::None;
            self.midtrans.seen[at] = false;
            self.pulses[at] = 0;
        }
        self.backend.posts[1] = false;
        self.left.cancels[1] = 0;
        self.wire.retain(|message| message.order() != Some(1));
    }

    /// What becomes of a message but that it arrives: a question may stay on its way, an answer may be one of those that do
    /// not come, and what may come again is on its way already.
    pub(super) fn goes_wrong_in_the_wild(&self, message: Message) -> Vec<(&'static str, Self)> {
        match message {
            Message::Prepared { .. } => {
                let mut lost = self.clone();
                lost.take(message);
                vec![("lost:", lost)]
            }
            _ => Vec::new(),
        }
    }

    /// A receipt is on its way while there is one. If it is lost, that is with its session, and then the machine asks which
    /// orders are open: it learns of it, soon or late, and by the push no sooner and no later.
    fn push_receipts(&mut self, lab: &Lab) {
        for charge in 0..u8::try_from(CHARGES).expect("few") {
            if self.merchant(lab, charge).is_some_and(|order| matches!(order.state, State::Settled { .. })) {
                self.send(Message::Push { charge, receipt: true, live: true });
            }
        }
    }

    /// Whatever the ledger knows, the answer to an old question may tell at any time.
    fn tell_outcomes(&mut self) {
        for charge in 0..u8::try_from(CHARGES).expect("few") {
            if let Some(Written::Ended(ended)) = self.relay.entries[usize::from(charge)] {
                let (order, ask) = (order_of(charge), RelayAsk::Query(charge));
                self.strays(Message::FromRelay { order, ask, say: RelaySay::Ended(ended), live: false });
            }
        }
    }

    /// The worlds of a wild network that this one is among. Of several tickets that are on their way it is one.
    pub(super) fn in_a_wild_network(&self, lab: &Lab) -> Vec<Self> {
        let (tickets, others): (Vec<Message>, Vec<Message>) =
            self.wire.iter().partition(|message| matches!(message, Message::Prepare { .. } | Message::Prepared { .. }));
        let mut world = Self { wire: Vec::new(), ..self.clone() };
        for message in others {
            match message {
                Message::Open { lookers, orders, live: true } => {
                    lab.open_answers(lookers, orders).into_iter().for_each(|one| world.send(one));
                }
                other => world.send(other),
            }
        }
        if !matches!(world.machine.slots[1].stage, Stage::Nothing) {
            world.sees_others();
        }
        let asked = world.machine.slots.map(|slot| !matches!(slot.stage, Stage::Nothing));
        let mut all = vec![world];
        for order in (0..2_u8).filter(|order| asked[usize::from(*order)]) {
            let mut given: Vec<Message> = tickets.iter().copied().filter(|message| message.order() == Some(order)).collect();
            if given.iter().any(|message| message.is_answer()) {
                given.retain(|message| message.is_answer());
            }
            given.dedup();
            let with = |world: &Self, message: &Message| {
                let mut world = world.clone();
                world.send(*message);
                world
            };
            if !given.is_empty() {
                all = all.iter().flat_map(|world| given.iter().map(|message| with(world, message))).collect();
            }
        }
        all
    }

    /// Whether an order has the second ticket of two that were given for it, or may be given it. That is a world with the
    /// first one, but for the ticket's number.
    pub(super) fn has_second_ticket(&self, lab: &Lab) -> bool {
        let is_second = |number: u8| !number.is_multiple_of(u8::try_from(TICKETS_EACH).expect("few"));
        (0..2).any(|order| self.ticket_of(lab, order).is_some_and(is_second))
            || self.wire.iter().any(|message| matches!(*message, Message::Prepared { ticket: Some(number), .. } if is_second(number)))
    }

    /// Only what has passed counts, and not what is there for people only.
    pub(super) fn forget_the_hour(&mut self, lab: &Lab) {
        for slot in &mut self.machine.slots {
            let Stage::Order(number) = slot.stage else { continue };
            let known = lab.timeless.borrow().get(&number).copied();
            slot.stage = Stage::Order(known.unwrap_or_else(|| {
                let order = (*lab.machine.borrow().get(number)).clone();
                let after = lab.machine.borrow_mut().put(timeless(nameless(order)));
                lab.timeless.borrow_mut().insert(number, after);
                after
            }));
        }
        self.machine.forget_how_long_ago();
    }

    /// One of the machine's deadlines passes.
    pub(super) fn time_passes(&self, lab: &Lab) -> Vec<(Self, Vec<Message>)> {
        let mut all = Vec::new();
        // It is long since the relay came or went, whatever else has passed.
        let mut world = self.clone();
        world.machine.forget_change();
        if world.machine != self.machine {
            let out = world.pump(lab);
            all.push((world, out));
        }
        for order in 0..2_u8 {
            let Some(wanted) = self.wanted(lab, order) else { continue };
            for which in Deadline::ALL {
                let mut world = self.clone();
                if which == Deadline::Doubt {
                    if !wanted.doubtful {
                        continue;
                    }
                    world.machine.forget_change();
                }
                world.happens(lab, order, What::Passes(which));
                if world.machine != self.machine {
                    let out = world.pump(lab);
                    all.push((world, out));
                }
            }
        }
        all
    }
}
