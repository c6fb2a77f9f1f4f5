//! A wild network: one that may do anything, any number of times, so that nothing of it is counted.
//!
//! Then nothing need be told apart by what the network did, and most of what tells two worlds apart is that. More may happen
//! here than on any one way; what holds all the same, holds on each. What is done with a world, and why nothing is lost by it:
//!
//! * A question that was lost is as good as one on its way ([`World::goes_wild`]): that one may stay there until its caller
//!   gives up, and then the same is asked again.
//! * What acts may come again at any time once it was sent, and a program that crashes while it sends has sent all: what was
//!   not sent is as good as lost (`steps`).
//! * Time passes whatever is on its way: each call may be one that lasts (`machine`, `backend`, `midtrans`).
//! * A world is kept once, with the messages that may come again by any of the ways to it, and is searched anew whenever these
//!   become more (`search`).
//!
//! Whether something was left out is looked up: each world of a search that counts is among those of the wild one
//! ([`World::in_a_wild_network`]).

use super::relay::Written;
use super::{ANY, Budget, CHANNELS, CHARGES, Caller, Lab, Message, RelayAsk, RelaySay, TICKETS_EACH, World, machine::Stage, order_of};
use std::collections::BTreeMap;

impl Budget {
    /// Whether the network may do anything, any number of times.
    pub(super) fn is_wild(&self) -> bool {
        self.faults == [ANY; CHANNELS]
    }
}

impl World {
    /// What may come in a wild network at any time is on its way.
    pub(super) fn goes_wild(&mut self) {
        self.ask_again();
        self.ask_midtrans_again();
        self.tell_outcomes();
    }

    /// Each call of the machine that waits has its question or its answer on its way.
    fn ask_again(&mut self) {
        for order in 0..2_u8 {
            let slot = self.machine.slots[usize::from(order)];
            if matches!(slot.stage, Stage::Candidate(_)) && !self.is_coming(Caller::Ticket(order)) {
                self.send(Message::Prepare { order });
            }
            if let Some(ask) = slot.relay.filter(|ask| !self.awaits_relay(order, *ask)) {
                self.send(Message::ToRelay { order, ask, live: true });
            }
            if let Some(ask) = slot.http.filter(|ask| !self.awaits_backend(order, *ask)) {
                self.send(Message::Post { order, ask, live: true });
            }
        }
        if let Some(lookers) = self.machine.open.filter(|_| !self.is_coming(Caller::Open)) {
            self.send(Message::AskOpen { lookers, live: true });
        }
    }

    /// The same of calls to Midtrans.
    fn ask_midtrans_again(&mut self) {
        for charge in 0..u8::try_from(CHARGES).expect("few") {
            if let Some(call) = self.backend.calls[usize::from(charge)].filter(|_| !self.is_coming(Caller::Midtrans(charge))) {
                self.send(Message::ToMidtrans { charge, call, live: true });
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

    /// The worlds of a wild network that this one is among: of several messages of one call one is on its way, and the others
    /// may come. An answer comes after its question, and whoever has the question has no answer on its way.
    pub(super) fn in_a_wild_network(&self) -> Vec<Self> {
        let mut all = vec![Self { wire: Vec::new(), ..self.clone() }];
        let mut calls: BTreeMap<Caller, Vec<Message>> = BTreeMap::new();
        for message in &self.wire {
            match message.caller() {
                Some(caller) => calls.entry(caller).or_default().push(*message),
                None if message.is_live() && !all[0].wire.contains(message) => all.iter_mut().for_each(|world| world.send(*message)),
                None => all.iter_mut().for_each(|world| world.strays(*message)),
            }
        }
        for (caller, messages) in calls {
            let before = std::mem::take(&mut all);
            // Whoever has the question may answer it once more.
            let waits = messages.iter().any(|message| self.is_waited_for(*message));
            let answers = messages.iter().any(|message| message.is_answer());
            let mut kept: Vec<Option<usize>> = (0..messages.len()).filter(|at| messages[*at].is_answer()).map(Some).collect();
            if waits {
                kept.push(None);
            } else if !answers {
                kept.push(Some(0));
            }
            for kept in kept {
                all.extend(before.iter().cloned().map(|mut world| {
                    if let Some(kept) = kept {
                        world.stop_waiting(caller);
                        world.send(messages[kept]);
                    }
                    let others = messages.iter().enumerate().filter(|(at, _)| Some(*at) != kept);
                    others.for_each(|(_, message)| world.strays(*message));
                    world
                }));
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
}
