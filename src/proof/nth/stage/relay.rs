//! `qris-relayd` on the stage: the dispenser with its ledger, the line, and the bus to it.

use super::{Event, Stage, item, machine, price};
use crate::backend::device;
use crate::nth::plot::{How, Kind, Who};
use crate::seeded::Seeded;
use qris_core::order::ids::OrderId;
use qris_core::order::machine::RelayCall;
use qris_core::order::outcome::{DispenseAnswer, Outcome};
use qris_core::order::time::Span;
use qris_device::machine::{PrepareError, RelayAnswer, RelayFacts};
use qris_host::config::BusAddress;
use qris_relay::config::{Config, Items, Line};
use qris_relay::dispenser::{Dispensed, Dispenser, Effect};
use qris_relay::outlet::Ending;
use qris_relay::outlet::line::PulsedLine;
use qris_relay::pin::{Chip, Pin};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An event at the relay.
#[derive(Debug)]
pub(in crate::nth) enum Arrival {
    /// A call of the machine.
    Call { call: machine::Call, from: machine::Caller },
    /// The line has come to its end.
    LineEnds { run: u64, line: usize },
    /// `Dispense` is answered within 20 s.
    Waited { run: u64, order: OrderId },
    /// The ledger is looked at again.
    Tick { run: u64 },
    /// The bus tells the machine of the relay.
    Appears { run: u64 },
}

/// The relay's side.
pub(in crate::nth) struct Side {
    dispenser: Option<Dispenser<Seeded>>,
    run: u64,
    waits: BTreeMap<OrderId, Vec<machine::Caller>>,
}

impl Side {
    pub(super) fn new() -> Self {
        Self { dispenser: None, run: 0, waits: BTreeMap::new() }
    }

    /// The ledger's word on an order.
    pub(in crate::nth) fn query(&mut self, order: &OrderId) -> Option<DispenseAnswer> {
        self.dispenser.as_mut()?.query(order.as_str()).ok().map(|(answer, _)| answer)
    }
}

impl Stage {
    fn relay_config(&self) -> Config {
        let line = Line {
            name: "tray 1".into(),
            items: Items::These(vec![item()]),
            min_amount: price(),
            outlet: Arc::new(PulsedLine::single(Pin::of(Chip::Sim("/nowhere".into()), false), Span::millis(500))),
            block_on_uncertain: false,
            clear_button: None,
        };
        Config {
            device: device(),
            bus: BusAddress::Session,
            keys: self.keys.clone(),
            ledger: self.directory.join("ledger.db"),
            lines: vec![line],
            buttons: Vec::new(),
        }
    }

    pub(in crate::nth) fn start_relay(&mut self) {
        // A ledger has one owner at a time.
        self.kill(Who::Relay);
        self.relay.run += 1;
        self.relay.waits.clear();
        let seed = self.rng.number();
        let config = self.relay_config();
        self.relay.dispenser = Some(Dispenser::begin_on(Seeded::new(config.ledger.clone(), seed), &config));
        self.relay_effects();
        let run = self.relay.run;
        let after = 50 + self.below(1_000);
        self.relay_appears(after);
        self.after(1_000, Event::Relay(Arrival::Tick { run }));
    }

    pub(in crate::nth) fn restart_relay(&mut self) {
        self.start_relay();
        self.machine_hears(machine::Arrival::RelayGone, 20);
    }

    /// A person has looked at the line.
    pub(in crate::nth) fn clear_line(&mut self) {
        if let Some(dispenser) = &mut self.relay.dispenser {
            drop(dispenser.clear(item().as_str()));
        }
        self.relay_effects();
        self.tell_facts();
    }

    /// A call of the machine, after this time.
    pub(super) fn relay_hears(&mut self, call: machine::Call, from: machine::Caller, after: i64) {
        self.after(after, Event::Relay(Arrival::Call { call, from }));
    }

    /// The bus tells the machine of this run of the relay, after this time.
    pub(super) fn relay_appears(&mut self, after: i64) {
        let run = self.relay.run;
        self.after(after, Event::Relay(Arrival::Appears { run }));
    }

    pub(super) fn relay_arrival(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Call { call, from } => self.relay_call(call, from),
            Arrival::LineEnds { run, line } if run == self.relay.run => {
                let jammed = self.story_jams();
                let outcome = if jammed { Outcome::Failed } else { Outcome::Dispensed };
                if let Some(dispenser) = &mut self.relay.dispenser {
                    dispenser.ended(line, Ending { outcome, detail: "the end of the pulse".into() });
                }
                self.relay_effects();
                if jammed {
                    self.tell_facts();
                }
            }
            Arrival::Waited { run, order } if run == self.relay.run => {
                for from in self.relay.waits.remove(&order).unwrap_or_default() {
                    self.relay_answers(from, machine::Answer::Relay(RelayAnswer::Dispense(DispenseAnswer::Dispensing)));
                }
            }
            Arrival::Tick { run } if run == self.relay.run => {
                if let Some(dispenser) = &mut self.relay.dispenser {
                    dispenser.tick();
                }
                self.relay_effects();
                let every = self.story_retries();
                self.after(every, Event::Relay(Arrival::Tick { run }));
            }
            Arrival::Appears { run } if run == self.relay.run => {
                let facts = self.facts();
                self.machine_hears(machine::Arrival::RelayUp(facts), 5);
            }
            Arrival::LineEnds { .. } | Arrival::Waited { .. } | Arrival::Tick { .. } | Arrival::Appears { .. } => {}
        }
    }

    fn facts(&mut self) -> RelayFacts {
        let Some(dispenser) = &self.relay.dispenser else { return RelayFacts::default() };
        RelayFacts {
            device: Some(dispenser.device().as_str().into()),
            kids: dispenser.keys(),
            proof_key: dispenser.key(),
            tickets: dispenser.tickets(),
            faults: dispenser.faults().into_iter().map(Into::into).collect(),
            blocked: dispenser.lines().into_iter().filter(|(_, _, state)| state == "blocked").map(|(name, ..)| name.into()).collect(),
        }
    }

    fn tell_facts(&mut self) {
        let facts = self.facts();
        self.machine_hears(machine::Arrival::RelayTold(facts), 5);
    }

    fn relay_call(&mut self, call: machine::Call, from: machine::Caller) {
        let bits: [u8; 16] = {
            let (a, b) = (self.rng.number(), self.rng.number());
            let mut bits = [0; 16];
            bits[..8].copy_from_slice(&a.to_be_bytes());
            bits[8..].copy_from_slice(&b.to_be_bytes());
            bits
        };
        let strikes = self.strikes(Who::Relay, Kind::Bus);
        if let Some(how @ (How::Crash | How::PowerCut)) = strikes {
            return self.falls(Who::Relay, how);
        }
        let run = self.relay.run;
        let Some(dispenser) = &mut self.relay.dispenser else { return };
        let answer = match call {
            machine::Call::Prepare(item, amount) => {
                let amount = i64::try_from(amount.get()).unwrap_or(i64::MAX);
                let given = dispenser.prepare(device().as_str(), item.as_str(), amount, bits);
                machine::Answer::Prepared(given.map_err(|refusal| PrepareError::Refused(refusal.error, refusal.detail.into())))
            }
            machine::Call::Facts => machine::Answer::Facts(self.facts()),
            machine::Call::Order(call) => {
                let refused = |refusal: qris_relay::dispenser::Refusal| RelayAnswer::Refused(refusal.error, refusal.detail.into());
                let answer = match &call {
                    RelayCall::Check(ticket) => match dispenser.check(ticket.as_str()) {
                        Ok(()) => RelayAnswer::Checked { deliverable: true, reason: "".into() },
                        Err(refusal) => RelayAnswer::Checked { deliverable: false, reason: refusal.error.reason().as_str().into() },
                    },
                    RelayCall::Query(order) => match dispenser.query(order.as_str()) {
                        Ok((answer, _)) => RelayAnswer::Dispense(answer),
                        Err(refusal) => refused(refusal),
                    },
                    RelayCall::Close(ticket) => match dispenser.close(ticket.as_str()) {
                        Ok(answer) => RelayAnswer::Close(answer),
                        Err(refusal) => refused(refusal),
                    },
                    RelayCall::Prove(ticket) => match dispenser.prove(ticket.as_str()) {
                        Ok(proof) => RelayAnswer::Proof(proof.map(Into::into)),
                        Err(refusal) => refused(refusal),
                    },
                    RelayCall::Dispense(receipt) => match dispenser.dispense(receipt.jws()) {
                        Ok(Dispensed::Known(answer, _)) => RelayAnswer::Dispense(answer),
                        Ok(Dispensed::Begun(order)) => {
                            let run = self.relay.run;
                            self.relay.waits.entry(order.clone()).or_default().push(from);
                            self.after(20_000, Event::Relay(Arrival::Waited { run, order }));
                            return self.relay_effects();
                        }
                        Err(refusal) => refused(refusal),
                    },
                };
                machine::Answer::Relay(answer)
            }
        };
        self.relay_effects();
        if self.relay.run != run {
            return;
        }
        if strikes.is_some() {
            return self.restart_relay();
        }
        self.relay_answers(from, answer);
    }

    fn relay_answers(&mut self, from: machine::Caller, answer: machine::Answer) {
        self.machine_hears(machine::Arrival::Answer(from, answer), 1);
    }

    /// Carries out, in order, what the dispenser committed, unless the program falls between two.
    fn relay_effects(&mut self) {
        if self.died(Who::Relay) {
            return;
        }
        let run = self.relay.run;
        let Some(dispenser) = &mut self.relay.dispenser else { return };
        for effect in dispenser.take_effects() {
            if self.relay.run != run {
                return;
            }
            match effect {
                Effect::Deliver(line, _) => self.drives(line),
                Effect::Finished { order, outcome, .. } => {
                    self.note(|| format!("the relay finished: {outcome}"));
                    for from in self.relay.waits.remove(&order).unwrap_or_default() {
                        let answer = RelayAnswer::Dispense(DispenseAnswer::Ended(outcome));
                        self.relay_answers(from, machine::Answer::Relay(answer));
                    }
                    self.machine_hears(machine::Arrival::Finished(order, DispenseAnswer::Ended(outcome)), 2);
                }
                Effect::Cleared | Effect::Journal(_) => {}
            }
        }
    }

    /// The line is to be driven, and perhaps its hardware refuses.
    fn drives(&mut self, line: usize) {
        match self.strikes(Who::Relay, Kind::Gpio) {
            None => self.pulse(line),
            Some(How::Error) => {
                let run = self.relay.run;
                self.after(5_000, Event::Relay(Arrival::Tick { run }));
                self.line_fails(line, Outcome::Uncertain, "after 0 of 1 pulses");
            }
            Some(How::Silent) => {
                self.pulse(line);
                self.line_fails(line, Outcome::Uncertain, "the line could not be set inactive");
            }
            Some(How::After) => {
                self.pulse(line);
                self.falls(Who::Relay, How::After);
            }
            Some(how) => self.falls(Who::Relay, how),
        }
    }

    /// As `relay::outlet::line` tells it. The hardware is taken anew and works.
    fn line_fails(&mut self, line: usize, outcome: Outcome, detail: &str) {
        if let Some(dispenser) = &mut self.relay.dispenser {
            dispenser.ended(line, Ending { outcome, detail: detail.into() });
            dispenser.hardware(line, Err(detail.into()));
            dispenser.hardware(line, Ok(()));
        }
        self.relay_effects();
        self.tell_facts();
    }

    /// Is the ledger unavailable?
    pub(in crate::nth) fn relay_is_shut(&self) -> bool {
        self.relay.dispenser.as_ref().is_none_or(|dispenser| dispenser.faults().contains(&qris_relay::dispenser::FAULT_LEDGER))
    }

    pub(in crate::nth) fn drop_relay(&mut self) {
        self.relay.dispenser = None;
    }

    /// The line goes up: this gives a customer the item.
    fn pulse(&mut self, line: usize) {
        let run = self.relay.run;
        self.after(500, Event::Relay(Arrival::LineEnds { run, line }));
        let Some(order) = self.being_driven() else { return self.fail("the line is driven for nobody".into()) };
        self.note(|| "the line is driven".into());
        let times = self.pulses.entry(order.clone()).or_default();
        *times += 1;
        if *times > 1 {
            self.fail(format!("{order} was driven twice"));
        }
        let paid = self.midtrans.transaction(order.as_str()).is_some_and(|book| book.settled_at_ms.is_some());
        if !paid {
            self.fail(format!("{order} was driven and is not paid"));
        }
    }

    /// The order that is driven now, by the ledger's word.
    fn being_driven(&mut self) -> Option<OrderId> {
        let all: Vec<OrderId> = self.midtrans.transactions().iter().filter_map(|book| OrderId::new(&book.order_id).ok()).collect();
        all.into_iter().find(|order| self.relay.query(order) == Some(DispenseAnswer::Dispensing))
    }
}
