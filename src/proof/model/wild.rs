//! A wild network: it may do anything, any number of times, so nothing of it is counted.
//!
//! Worlds then need not differ by the acts of the network, and these acts make most of the differences between worlds. More may
//! happen here than on any single way. So a property that holds here holds on each way. These rules change a world, and each
//! says why nothing is lost by it:
//!
//! * A call that waits has its question on its way. A lost question is equivalent to this: it may stay on its way until its
//!   caller gives up, and then the same is asked again. So relay, backend and Midtrans may answer at any time, and need not
//!   remember who waits ([`World::goes_wild`]).
//! * Each answer that was made since the call may be the one that arrives; then the others are gone. So answers are strays,
//!   which make no worlds different ([`Message::may_be_many`]).
//! * A message that acts may come again at any time after it was sent. A program that crashes while it sends counts as one that
//!   has sent all: an unsent message is as good as lost (`steps`).
//! * The broker may lose its sessions at any time, and the machine then asks which orders are open. A hint may come at any
//!   time. A receipt is on its way as long as it exists.
//! * Any deadline may pass at any moment, whatever is on its way (`timeless`, `backend`, `midtrans`).
//! * Others may hold the machine or have the line driven at any moment ([`World::beside_others`]).
//! * A world is kept once, with the messages that may come again by any of the ways to it. It is searched again whenever there
//!   are more of these (`search`).
//!
//! A check finds out whether something was left out: each world of a counting search must be among those of the wild one
//! ([`World::in_a_wild_network`]). It is not shown here that calls end: a helpful message may always come once more. And a lost
//! ledger has no place here. A call could then be answered twice, before and after the loss. The relay that has just driven the
//! line would say that it does not know the ticket. No call on a bus can get both answers.

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
    /// May the network do anything, any number of times?
    pub(super) fn is_wild(&self) -> bool {
        self.faults == [ANY; CHANNELS]
    }
}

impl Message {
    /// An answer that a call may have beside others. A call that waits has its question on its way, so it may be answered once
    /// more. Any of its answers may be the one that arrives; then the others are gone with it. A ticket is an exception: the
    /// relay remembers each ticket that it gave.
    pub(super) fn may_be_many(self) -> bool {
        self.is_live() && self.is_answer() && !matches!(self, Self::Prepared { .. })
    }
}

impl Lab {
    /// The answer that tells the open orders. In a wild network there are two, one for each request. An answer that would tell
    /// nothing does not come.
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
    /// Messages that may come in a wild network at any time are on their way.
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

    /// A hint may come at any time. So no hint is remembered until there is time to follow it.
    fn hints(&mut self, lab: &Lab) {
        for order in 0..2_u8 {
            self.machine.slots[usize::from(order)].hinted = false;
            if let Some(charge) = self.known_charge(lab, order) {
                self.strays(Message::Push { charge, receipt: false, live: false });
            }
        }
    }

    /// The broker may lose its sessions at any time, and then a machine asks which orders are open. So it always asks. If it
    /// has no order, the answer tells it nothing.
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

    /// This answer told of one request. What an earlier answer would have told of it is gone.
    pub(super) fn hears_of_open_orders(&mut self, told: Message) {
        self.forget(|other| matches!(other, Message::Open { .. }) && other.order() == told.order());
    }

    /// Does nobody wait for the effect of a message?
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

    /// The steps at a moment when another request holds the machine, or the line is driven for one. Both may begin and end at
    /// any time, so neither is remembered. No step needs both.
    pub(super) fn beside_others(&self, lab: &Lab, all: &mut Vec<(Step, Self)>) {
        let (mut held, mut driven) = (self.clone(), self.clone());
        held.machine.others = true;
        driven.relay.others = true;
        let driven = self.relay.is_idle().then_some(driven);
        for world in iter::once(held).chain(driven) {
            for (step, mut next) in world.next_alone(lab) {
                next.leave_others();
                if next != *self && !all.iter().any(|(_, known)| *known == next) {
                    // The others need not be there.
                    all.push((Step { progress: false, ..step }, next));
                }
            }
        }
    }

    fn leave_others(&mut self) {
        self.machine.others = false;
        self.relay.others = false;
    }

    /// The rest of a world when the other request belongs to somebody else.
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

    /// The fates of a message other than its arrival. A question may stay on its way. An answer may be one of those that do not
    /// come. A message that may come again is on its way already.
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

    /// A receipt is on its way as long as it exists. If it is lost, its session is lost too, and then the machine asks which
    /// orders are open. It learns of the receipt sooner or later. The push brings it no sooner and no later.
    fn push_receipts(&mut self, lab: &Lab) {
        for charge in 0..u8::try_from(CHARGES).expect("few") {
            if self.merchant(lab, charge).is_some_and(|order| matches!(order.state, State::Settled { .. })) {
                self.send(Message::Push { charge, receipt: true, live: true });
            }
        }
    }

    /// The answer to an old question may tell at any time what the ledger knows.
    fn tell_outcomes(&mut self) {
        for charge in 0..u8::try_from(CHARGES).expect("few") {
            if let Some(Written::Ended(ended)) = self.relay.entries[usize::from(charge)] {
                let (order, ask) = (order_of(charge), RelayAsk::Query(charge));
                self.strays(Message::FromRelay { order, ask, say: RelaySay::Ended(ended), live: false });
            }
        }
    }

    /// The worlds of a wild network that contain this one. If several tickets are on their way, each world takes one.
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

    /// Two tickets were given for an order. Does it have the second, or may it get it? Then the world is the one with the first
    /// ticket, except for the ticket's number.
    pub(super) fn has_second_ticket(&self, lab: &Lab) -> bool {
        let is_second = |number: u8| !number.is_multiple_of(u8::try_from(TICKETS_EACH).expect("few"));
        (0..2).any(|order| self.ticket_of(lab, order).is_some_and(is_second))
            || self.wire.iter().any(|message| matches!(*message, Message::Prepared { ticket: Some(number), .. } if is_second(number)))
    }

    /// Only passed deadlines count. Values that are there only for people do not.
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
        // The relay came or went long ago, whatever else has passed.
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
