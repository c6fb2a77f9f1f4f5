//! The calls of `qrisd` in the model: which calls are made, which are given up, and the effect of silence.

use super::machine::{Stage, What};
use super::{Caller, Channel, Flaw, HttpAsk, HttpSay, Lab, Message, RelayAsk, RelaySay, World};

impl World {
    /// After every input time passes for every order, and the calls that are asked for now are made. Gives the
    /// messages to send.
    pub(super) fn pump(&mut self, lab: &Lab) -> Vec<Message> {
        let mut out = Vec::new();
        for order in 0..2 {
            self.happens(lab, order, What::Tick);
        }
        let mut lookers = 0;
        for order in 0..2 {
            let Some(wanted) = self.wanted(lab, order) else { continue };
            if !wanted.unfinished {
                self.abandon(order);
                continue;
            }
            let slot = self.machine.slots[usize::from(order)];
            let dispenses = matches!(slot.relay, Some(RelayAsk::Dispense(_)));
            if !dispenses && slot.relay != wanted.relay {
                self.drop_relay_call(order);
                self.machine.slots[usize::from(order)].relay = wanted.relay;
                out.extend(wanted.relay.map(|ask| Message::ToRelay { order, ask, live: true }));
            }
            let asks = wanted.http.or_else(|| {
                let charge = self.known_charge(lab, order)?;
                let getting = matches!(slot.http, Some(HttpAsk::Get(_)));
                ((slot.hinted || getting) && !wanted.ended).then_some(HttpAsk::Get(charge))
            });
            if slot.http != asks {
                self.drop_http_call(order);
                let slot = &mut self.machine.slots[usize::from(order)];
                slot.hinted = false;
                slot.http = asks;
                out.extend(asks.map(|ask| Message::Post { order, ask, live: true }));
            }
            if wanted.finds {
                lookers |= 1 << order;
            }
        }
        if self.machine.open.is_none() && (self.machine.open_wanted || lookers != 0) {
            self.machine.open = Some(lookers);
            self.machine.open_wanted = false;
            out.push(Message::AskOpen { lookers, live: true });
        }
        out
    }

    pub(super) fn abandon(&mut self, order: u8) {
        self.drop_relay_call(order);
        self.drop_http_call(order);
        self.machine.slots[usize::from(order)].hinted = false;
    }

    pub(super) fn drop_relay_call(&mut self, order: u8) {
        self.stop_waiting(Caller::Relay(order));
        self.machine.slots[usize::from(order)].relay = None;
        self.hang_up(Caller::Relay(order));
    }

    pub(super) fn drop_http_call(&mut self, order: u8) {
        self.stop_waiting(Caller::Backend(order));
        self.machine.slots[usize::from(order)].http = None;
        self.hang_up(Caller::Backend(order));
    }

    /// They forget that question.
    pub(super) fn stop_waiting(&mut self, caller: Caller) {
        match caller {
            Caller::Relay(order) => {
                if let Some(RelayAsk::Dispense(charge)) = self.machine.slots[usize::from(order)].relay {
                    self.relay.waits[usize::from(charge)] = false;
                }
            }
            Caller::Backend(order) => match self.machine.slots[usize::from(order)].http {
                Some(HttpAsk::Create) => self.backend.posts[usize::from(order)] = false,
                Some(HttpAsk::Cancel(charge)) => self.backend.cancels[usize::from(charge)] = false,
                Some(HttpAsk::Watch(_) | HttpAsk::Get(_) | HttpAsk::Tell(..)) | None => {}
            },
            Caller::Ticket(_) | Caller::Open | Caller::Midtrans(_) => {}
        }
    }

    fn waits_at_relay(&self, ask: RelayAsk) -> bool {
        matches!(ask, RelayAsk::Dispense(charge) if self.relay.waits[usize::from(charge)])
    }

    fn waits_at_backend(&self, order: u8, ask: HttpAsk) -> bool {
        match ask {
            HttpAsk::Create => self.backend.posts[usize::from(order)],
            HttpAsk::Cancel(charge) => self.backend.cancels[usize::from(charge)],
            HttpAsk::Watch(_) | HttpAsk::Get(_) | HttpAsk::Tell(..) => false,
        }
    }

    /// May an answer to `ask` still come?
    fn awaits_relay(&self, order: u8, ask: RelayAsk) -> bool {
        self.waits_at_relay(ask) || self.is_coming(Caller::Relay(order))
    }

    /// The same for the backend.
    fn awaits_backend(&self, order: u8, ask: HttpAsk) -> bool {
        self.waits_at_backend(order, ask) || self.is_coming(Caller::Backend(order))
    }

    /// A call that nobody will answer is given up. `even_late`: also one whose answer is still on its way.
    pub(super) fn machine_hears_nothing(&self, lab: &Lab, even_late: bool) -> Vec<(Channel, World, Vec<Message>)> {
        let mut all = Vec::new();
        for order in 0..2_u8 {
            let slot = self.machine.slots[usize::from(order)];
            if matches!(slot.stage, Stage::Candidate(_)) && self.is_coming(Caller::Ticket(order)) == even_late {
                let mut world = self.clone();
                world.hang_up(Caller::Ticket(order));
                world.machine.slots[usize::from(order)].stage = Stage::Refused;
                let out = world.pump(lab);
                all.push((Channel::Bus, world, out));
            }
            if let Some(ask) = slot.relay.filter(|ask| self.awaits_relay(order, *ask) == even_late) {
                let mut world = self.clone();
                world.drop_relay_call(order);
                let closed = lab.flaw == Some(Flaw::SilenceIsClosed) && matches!(ask, RelayAsk::Close(_));
                world.happens(lab, order, What::Relay(ask, if closed { RelaySay::Closed } else { RelaySay::Nothing }));
                let out = world.pump(lab);
                all.push((Channel::Bus, world, out));
            }
            // A long poll is answered in its own time.
            let late = |ask: &HttpAsk| self.awaits_backend(order, *ask) == even_late && !(even_late && matches!(ask, HttpAsk::Watch(_)));
            if let Some(ask) = slot.http.filter(late) {
                let mut world = self.clone();
                world.drop_http_call(order);
                world.http_answered(lab, order, ask, HttpSay::Nothing);
                let out = world.pump(lab);
                all.push((Channel::Http, world, out));
            }
        }
        if !lab.wild && self.machine.open.is_some() && self.is_coming(Caller::Open) == even_late {
            let mut world = self.clone();
            world.hang_up(Caller::Open);
            world.machine.open = None;
            world.machine.open_wanted = true;
            let out = world.pump(lab);
            all.push((Channel::Http, world, out));
        }
        all
    }
}
