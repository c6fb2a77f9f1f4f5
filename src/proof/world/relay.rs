//! `qris-relayd` in the simulation: the dispenser with its ledger, the line, and the bus to it.

mod calls;

use super::chutes::PULSE;
use super::counts::Kind;
use super::events::machine;
use super::events::relay::Arrival;
use super::losses::Loss;
use super::strike::{Strike, Who};
use super::{Event, LEDGER, Play, World, device, large, small};
use crate::disk::Op;
use crate::rng::Rng;
use qris_core::order::ids::{ItemId, OrderId, Ticket};
use qris_core::order::ledger::Cause;
use qris_core::order::outcome::{DispenseAnswer, Outcome};
use qris_core::order::proof::RelayKey;
use qris_core::order::tries::TryNumber;
use qris_core::wire::relay::{LineCondition, RelayFacts, RelayFault};
use qris_device::words::RelayAnswer;
use qris_host::config::BusAddress;
use qris_relay::config::Config;
use qris_relay::dispenser::{Dispensed, Dispenser, Effect};
use qris_relay::outlet::Ending;
use qris_relay::threads::Trouble;
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct SimulatedRelay {
    pub(super) dispenser: Option<Dispenser>,
    run: u64,
    /// Names this life of this ledger among all lives.
    life: u32,
    begun: Option<Begun>,
    waits: BTreeMap<Cause, Vec<machine::Caller>>,
}

/// For whom a line is driven.
#[derive(Debug, Clone)]
enum Begun {
    /// The order of the last `Dispense`.
    Order { order: OrderId, item: ItemId, number: TryNumber },
    /// The test of a command, by its number.
    Test { number: usize, by_stranger: bool },
}

impl SimulatedRelay {
    pub(super) fn drives_order(&self) -> Option<&OrderId> {
        match self.begun.as_ref().filter(|_| self.is_driving())? {
            Begun::Order { order, .. } => Some(order),
            Begun::Test { .. } => None,
        }
    }

    pub(super) fn is_driving(&self) -> bool {
        self.dispenser.as_ref().is_some_and(Dispenser::is_driving)
    }

    /// Could a ticket be delivered now, by the ledger's word?
    pub(super) fn could_deliver(&mut self, ticket: &Ticket) -> bool {
        self.dispenser.as_mut().is_some_and(|dispenser| dispenser.check(ticket.as_str()).is_ok())
    }

    pub(super) const fn run(&self) -> u64 {
        self.run
    }

    pub(super) fn lines(&self) -> usize {
        self.dispenser.as_ref().map_or(0, |dispenser| dispenser.lines().len())
    }

    pub(super) const fn life(&self) -> u32 {
        self.life
    }

    pub(super) fn dispenser(&mut self) -> Option<&mut Dispenser> {
        self.dispenser.as_mut()
    }

    pub(super) fn proof_key(&self) -> Option<RelayKey> {
        self.dispenser.as_ref()?.key()
    }

    /// The ledger's word on a try at an order.
    pub(super) fn query(&mut self, order: &OrderId, number: TryNumber) -> Option<DispenseAnswer> {
        self.dispenser.as_mut()?.query(order.as_str(), number.get()).ok().map(|(answer, _)| answer)
    }
}

/// What lines and ledgers went through.
#[derive(Debug, Default)]
pub(super) struct Ledgers {
    /// The pulses for an order, in one life of a ledger: of each, whether a sensor has said that nothing came.
    pulses: BTreeMap<(OrderId, u32), Vec<bool>>,
    lives: u32,
}

impl Ledgers {
    /// A line is driven for an order, at this try. Why that is wrong, if so: each try is driven once, and none after one that may have come.
    fn drive(&mut self, order: &OrderId, life: u32, number: TryNumber) -> Option<&'static str> {
        let pulses = self.pulses.entry((order.clone(), life)).or_default();
        let why = if !pulses.iter().all(|failed| *failed) {
            Some("it may have come before")
        } else if u32::try_from(pulses.len()).is_ok_and(|before| before >= number.get()) {
            Some("this try was driven before")
        } else {
            None
        };
        pulses.push(false);
        why
    }

    /// A sensor says that nothing came of the last pulse.
    fn failed(&mut self, order: &OrderId, life: u32) {
        if let Some(last) = self.pulses.get_mut(&(order.clone(), life)).and_then(|pulses| pulses.last_mut()) {
            *last = true;
        }
    }

    fn all(&self, order: &OrderId) -> impl Iterator<Item = bool> {
        self.pulses.range((order.clone(), 0)..=(order.clone(), u32::MAX)).flat_map(|(_, pulses)| pulses.iter().copied())
    }

    /// How often a line was driven for an order, in all lives of all ledgers.
    pub(super) fn driven(&self, order: &OrderId) -> u32 {
        u32::try_from(self.all(order).count()).unwrap_or(u32::MAX)
    }

    /// The same without those of which nothing came, by a sensor's word.
    pub(super) fn came(&self, order: &OrderId) -> u32 {
        u32::try_from(self.all(order).filter(|failed| !failed).count()).unwrap_or(u32::MAX)
    }

    pub(super) fn has_driven(&self, order: &OrderId, life: u32) -> bool {
        self.pulses.contains_key(&(order.clone(), life))
    }

    /// Whether it never happened.
    pub(super) fn are_new(&self) -> bool {
        self.pulses.is_empty()
    }
}

impl World {
    pub(super) fn nothing_came(&mut self, m: usize) {
        if let Some(Begun::Order { order, .. }) = &self.relays[m].begun {
            self.ledgers.failed(order, self.relays[m].life);
        }
    }

    fn relay_config(&self, m: usize) -> Config {
        Config {
            device: device(),
            bus: BusAddress::Session,
            keys: self.keys.clone(),
            ledger: self.places[m].join(LEDGER),
            lines: self.chutes.lines(self.items.iter().map(|(item, _)| item.clone())),
            buttons: Vec::new(),
            service_switch: None,
        }
    }

    /// Killed at any point of its work. Any line that it drove is inactive then.
    pub(super) fn stop_relay(&mut self, m: usize) {
        self.disks[m].kill(LEDGER);
        let relay = &mut self.relays[m];
        relay.dispenser = None;
        relay.run += 1;
        relay.waits.clear();
        relay.begun = None;
        self.chute_stops(m);
        self.disks[m].revive(LEDGER);
        self.machine_hears(m, machine::Arrival::RelayGone, 20);
    }

    /// Its memory is not what it wrote last.
    pub(super) fn begin_another_ledger(&mut self, m: usize) {
        self.slots.begin_another_ledger(m);
        self.chute_is_forgotten(m);
        self.ledgers.lives += 1;
        self.relays[m].life = self.ledgers.lives;
    }

    pub(super) fn start_relay(&mut self, m: usize) {
        self.stop_relay(m);
        let at = self.machines[m].off_until.max(self.now + 50);
        let run = self.relays[m].run;
        self.at(at, Event::Relay(m, Arrival::Starts { run }));
    }

    pub(super) fn lose_ledger(&mut self, m: usize) {
        self.count(Kind::Ledgers, "the relay loses its ledger");
        self.stop_relay(m);
        self.losses.note(Loss::Ledger, self.now);
        self.remove(m, LEDGER);
        self.begin_another_ledger(m);
        self.start_relay(m);
    }

    /// The line can be opened, or not: it depends on the system that runs.
    pub(super) fn check_line(&mut self, m: usize) {
        let state = self.hardware_of(m);
        let Some(dispenser) = &mut self.relays[m].dispenser else { return };
        let before = dispenser.faults();
        (0..dispenser.lines().len()).for_each(|line| dispenser.hardware(line, state.clone()));
        let after = dispenser.faults();
        if after != before {
            if before.contains(&RelayFault::Gpio) != after.contains(&RelayFault::Gpio) {
                self.count(Kind::NoLine, "the line cannot be opened, or can again");
            }
            self.tell_facts(m);
        }
    }

    pub(super) fn clear_line(&mut self, m: usize) {
        let Some(dispenser) = &mut self.relays[m].dispenser else {
            // The machine is off. The person comes again.
            if self.alive[m] && !self.is_planned() {
                self.after(60_000, Event::Relay(m, Arrival::Cleared));
            }
            return;
        };
        // A ledger that cannot be written is a fault, and the person comes again.
        for (line, item) in [small(), large()].iter().enumerate().take(dispenser.lines().len()) {
            if dispenser.clear(item.as_str()).is_ok() {
                self.chutes.looked(m, line);
            }
        }
        self.relay_effects(m);
        self.tell_facts(m);
    }

    pub(super) fn relay_hears(&mut self, m: usize, call: machine::Call, from: machine::Caller, after: i64) {
        self.after(after, Event::Relay(m, Arrival::Call { call, from }));
    }

    pub(super) fn relay_appears(&mut self, m: usize, after: i64) {
        let run = self.relays[m].run;
        self.after(after, Event::Relay(m, Arrival::Appears { run }));
    }

    pub(super) fn relay_arrival(&mut self, m: usize, arrival: Arrival) {
        let current = self.relays[m].run;
        match arrival {
            Arrival::Starts { run } if run == current && self.alive[m] => self.relay_starts(m),
            Arrival::Call { call, from } => self.relay_call(m, call, from),
            Arrival::Stranger { receipt } => {
                let item =
                    self.keys.verify(&receipt, &device()).map(|receipt| (receipt.claims().item.clone(), receipt.claims().nth.number()));
                if let (Some(dispenser), Ok((item, number))) = (&mut self.relays[m].dispenser, item)
                    && let Ok(Dispensed::Begun(Cause::Order { order, .. })) = dispenser.dispense(&receipt)
                {
                    self.thief.strange.insert(order.clone());
                    self.slots.strange(m, &item);
                    self.relays[m].begun = Some(Begun::Order { order, item, number });
                }
                self.relay_effects(m);
            }
            Arrival::StrangersCommand { number, jws } => {
                // The stranger does not look at the answer.
                drop(if self.commands.is_test(number) { self.tests(m, &jws, true) } else { self.clears(m, &jws) });
                if self.relay_effects(m) {
                    self.tell_facts(m);
                }
            }
            Arrival::LineEnds { run, line } if run == current => self.line_ends(m, line),
            Arrival::LateEnds { run, line, jammed } if run == current => self.told_end(m, line, jammed),
            Arrival::Hand { run } if run == current => self.hand_in_chute(m),
            Arrival::BeamFree => self.frees_beam(m),
            Arrival::Cleared => self.clear_line(m),
            Arrival::Waited { run, cause } if run == current => {
                for from in self.relays[m].waits.remove(&cause).unwrap_or_default() {
                    self.relay_answers(from, machine::ServiceAnswer::Relay(RelayAnswer::Dispense(DispenseAnswer::Dispensing)));
                }
            }
            Arrival::Tick { run } if run == current => {
                let Some(dispenser) = &mut self.relays[m].dispenser else { return };
                let before = dispenser.faults();
                dispenser.tick();
                let told = dispenser.faults() != before;
                self.relay_effects(m);
                if self.storm {
                    self.breaks_beam(m);
                }
                if told {
                    self.tell_facts(m);
                }
                // The product does this every second. It has an effect only if the ledger has failed.
                let every = if self.storm { 3_000 } else { 600_000 };
                self.after(every, Event::Relay(m, Arrival::Tick { run }));
            }
            Arrival::Appears { run } if run == current => {
                if let Some(facts) = self.facts(m) {
                    self.machine_hears(m, machine::Arrival::RelayUp(facts), 5);
                }
            }
            // Of an earlier run.
            Arrival::Starts { .. }
            | Arrival::LineEnds { .. }
            | Arrival::LateEnds { .. }
            | Arrival::Hand { .. }
            | Arrival::Waited { .. }
            | Arrival::Tick { .. }
            | Arrival::Appears { .. } => {}
        }
    }

    fn relay_starts(&mut self, m: usize) {
        let run = self.relays[m].run;
        // A new ledger draws its key.
        let mut rng = Rng::new(self.rng.number());
        let draw = move |bytes: &mut [u8]| bytes.fill_with(|| rng.number().to_le_bytes()[0]);
        let dispenser = Dispenser::new(&self.relay_config(m), Box::new(draw));
        if dispenser.faults().contains(&RelayFault::LedgerReset) {
            // A power cut costs only unsynced data. A page that cannot be read while the ledger is checked counts as damaged.
            let unread = matches!(self.strike(), Some(Strike::Operation { who: Who::Relay, op: Op::Read, .. }));
            if !unread && !self.losses.is_harmed(LEDGER) {
                self.fail("a ledger was set aside that nobody had harmed".into());
            }
            self.losses.note(Loss::Ledger, self.now);
            self.begin_another_ledger(m);
        }
        self.relays[m].dispenser = Some(dispenser);
        self.check_line(m);
        self.relay_effects(m);
        let after = 50 + self.below(3_000);
        self.after(after, Event::Relay(m, Arrival::Appears { run }));
        self.after(2_000, Event::Relay(m, Arrival::Tick { run }));
    }

    fn line_ends(&mut self, m: usize, line: usize) {
        let is_order = matches!(self.relays[m].begun, Some(Begun::Order { .. }));
        let is_played = self.is_twist(Play::Refund) || self.is_twist(Play::SecondTry) || is_order && self.jams_before_a_second_try();
        let often = self.misses_one_in(m, line);
        let jammed = is_played || self.goes_wrong(often, Kind::Jams);
        let Some(after) = self.waits_for_late_goods(jammed) else { return self.told_end(m, line, jammed) };
        if let Some(dispenser) = &mut self.relays[m].dispenser {
            dispenser.unseen(line);
        }
        self.relay_effects(m);
        let run = self.relays[m].run;
        self.after(after, Event::Relay(m, Arrival::LateEnds { run, line, jammed }));
    }

    /// The sensor's time is over, or it has seen the goods.
    fn told_end(&mut self, m: usize, line: usize, jammed: bool) {
        let outcome = if jammed { Outcome::Failed } else { Outcome::Dispensed };
        let is_test = matches!(self.relays[m].begun, Some(Begun::Test { .. }));
        if let (Some(Begun::Test { number, .. }), false) = (&self.relays[m].begun, jammed) {
            self.commands.delivers(*number);
        }
        if jammed {
            self.nothing_came(m);
        }
        if let Some(dispenser) = &mut self.relays[m].dispenser {
            dispenser.ended(line, Ending { outcome, detail: "the end of the pulse".into() });
        }
        let missed = match &self.relays[m].begun {
            Some(Begun::Order { order, number, .. }) if jammed => Some((order.clone(), *number)),
            Some(Begun::Order { .. } | Begun::Test { .. }) | None => None,
        };
        self.relay_effects(m);
        if is_test || jammed {
            self.tell_facts(m);
        }
        if jammed {
            self.reaches_into_chute(m, missed);
        }
        if jammed {
            let after = if self.is_soon_cleared() { 500 } else { 10_000 + self.below(self.nobody_looks_for()) };
            self.after(after, Event::Relay(m, Arrival::Cleared));
            if !self.is_planned() && self.one_in(2) {
                let after = self.below(after);
                self.after(after, Event::Clears);
            }
        }
    }

    fn facts(&self, m: usize) -> Option<RelayFacts> {
        self.relays[m].dispenser.as_ref().map(Dispenser::facts)
    }

    fn tell_facts(&mut self, m: usize) {
        if let Some(facts) = self.facts(m) {
            self.machine_hears(m, machine::Arrival::RelayReported(facts), 5);
        }
    }

    /// The first line, whose block the operators take off.
    fn is_blocked(&self, m: usize) -> bool {
        self.facts(m).is_some_and(|facts| facts.lines[0].state == LineCondition::Blocked)
    }

    /// Carries out, in order, what the dispenser committed. A crash may come between any two, and may have come in the
    /// commit before them. Tells whether the program still runs.
    pub(super) fn relay_effects(&mut self, m: usize) -> bool {
        if self.disks[m].is_dead(LEDGER) {
            self.falls(Who::Relay, m);
            return false;
        }
        let Some(dispenser) = &mut self.relays[m].dispenser else { return false };
        for effect in dispenser.take_effects() {
            let tells = matches!(effect, Effect::Deliver(..) | Effect::Finished { .. });
            if tells && self.is_to(Kind::Ledgers) {
                self.lose_ledger(m);
                return false;
            }
            if tells && self.may(25, Kind::KilledBetween) {
                self.count(Kind::KilledBetween, "the relay is killed between two effects");
                self.start_relay(m);
                return false;
            }
            match effect {
                Effect::Deliver(line, _) if self.is_to(Kind::Jams) => self.line_fails(m, line, "after 0 of 1 pulses"),
                Effect::Deliver(line, _) => {
                    self.pulse(m, line);
                    if self.is_to(Kind::Jams) {
                        self.line_fails(m, line, "the line could not be set inactive");
                    }
                    if self.is_to(Kind::RelayKilled) {
                        self.start_relay(m);
                        return false;
                    }
                }
                Effect::Unseen(Cause::Order { order, number, .. }) => self.machine_hears(m, machine::Arrival::Unseen(order, number), 2),
                // A hand in the chute decides nothing.
                Effect::Unseen(Cause::Test(_)) | Effect::LateSign(..) => {}
                Effect::Finished { cause, outcome, .. } => {
                    self.chute_ends(m, outcome);
                    self.note(|| format!("the relay finished: {outcome}"));
                    for from in self.relays[m].waits.remove(&cause).unwrap_or_default() {
                        let answer = RelayAnswer::Dispense(DispenseAnswer::Ended(outcome));
                        self.relay_answers(from, machine::ServiceAnswer::Relay(answer));
                    }
                    if let Cause::Order { order, number, .. } = cause {
                        self.machine_hears(m, machine::Arrival::Finished(order, number, DispenseAnswer::Ended(outcome)), 2);
                    }
                }
                // News, which may be missed: the machine reads the relay's properties now and then.
                Effect::Cleared | Effect::Looked(_) | Effect::LedgerBack => {}
                Effect::Journal(event) => self.note_journal(&format!("relay {m}"), LEDGER, &event),
            }
        }
        true
    }

    /// The hardware of the line fails, is taken anew, and works.
    fn line_fails(&mut self, m: usize, line: usize, why: &str) {
        if let Some(dispenser) = &mut self.relays[m].dispenser {
            dispenser.ended(line, Ending { outcome: Outcome::Uncertain, detail: why.into() });
            dispenser.hardware(line, Err(Trouble::Hardware(why.into())));
            dispenser.hardware(line, Ok(()));
        }
        self.relay_effects(m);
        self.tell_facts(m);
    }

    /// The line goes up: this gives a customer the item.
    fn pulse(&mut self, m: usize, line: usize) {
        self.judge_chute(m, line);
        let run = self.relays[m].run;
        self.after(PULSE, Event::Relay(m, Arrival::LineEnds { run, line }));
        let (order, item, number) = match self.relays[m].begun.clone() {
            Some(Begun::Order { order, item, number }) => (order, item, number),
            Some(Begun::Test { number, by_stranger }) => {
                if self.may(8, Kind::MidPulse) {
                    let soon = self.delay(PULSE, PULSE / 2);
                    self.after(soon, Event::PowerCut(m));
                }
                self.item_leaves(m, &small(), true);
                return self.judge_test(m, number, by_stranger);
            }
            None => return self.fail("the line is driven for nobody".into()),
        };
        self.note(|| format!("the line of {m} is driven for {order}"));
        if self.may(8, Kind::MidPulse) {
            let soon = self.delay(PULSE, PULSE / 2);
            self.after(soon, Event::PowerCut(m));
        }
        if let Some(why) = self.ledgers.drive(&order, self.relays[m].life, number) {
            self.fail(format!("{order} was driven once more: {why}"));
        }
        self.ticket_used(&order);
        self.item_leaves(m, &item, false);
        self.judge_pulse(m, &order, number);
    }
}
