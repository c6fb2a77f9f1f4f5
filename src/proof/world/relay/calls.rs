//! What the relay service is asked over the bus, and what it answers.

use super::super::counts::Kind;
use super::super::events::machine::{self, Call, Caller, ServiceAnswer};
use super::super::events::relay::Arrival;
use super::super::losses::Given;
use super::super::{Event, World, device};
use super::Begun;
use qris_core::order::ids::Ticket;
use qris_core::order::ledger::Cause;
use qris_core::order::machine::RelayCall;
use qris_core::order::outcome::{CloseAnswer, DispenseAnswer, Outcome};
use qris_core::order::word::Word;
use qris_device::words::{PrepareError, RelayAnswer};
use qris_relay::dispenser::{Dispensed, Refusal};

fn refused(refusal: Refusal) -> RelayAnswer {
    RelayAnswer::Refused(refusal.error, refusal.detail.into())
}

impl World {
    pub(super) fn relay_call(&mut self, m: usize, call: Call, from: Caller) {
        if self.is_to(Kind::RelayKilled) {
            return self.start_relay(m);
        }
        if self.is_to(Kind::Ledgers) {
            return self.lose_ledger(m);
        }
        let bits = match call {
            Call::Prepare(..) | Call::PrepareAgain(..) | Call::Order(_) | Call::Facts => self.bits(),
            Call::Test(_) | Call::Clear(_) => [0; 16],
        };
        let Some(dispenser) = &mut self.relays[m].dispenser else { return };
        let unprepared = |refusal: Refusal| PrepareError::Refused(refusal.error, refusal.detail.into());
        let answer = match call {
            Call::Test(jws) => match self.tests(m, &jws, false) {
                Ok(Some(Dispensed::Begun(cause))) => return self.waits_for(m, cause, from),
                Ok(Some(Dispensed::Known(answer, _))) => ServiceAnswer::Relay(RelayAnswer::Dispense(answer)),
                Ok(None) => return,
                Err(refusal) => ServiceAnswer::Relay(refused(refusal)),
            },
            Call::Clear(jws) => match self.clears(m, &jws) {
                Ok(_) => ServiceAnswer::Cleared,
                Err(refusal) => ServiceAnswer::Relay(refused(refusal)),
            },
            Call::Prepare(item, amount) => {
                let amount = i64::try_from(amount.get()).unwrap_or(i64::MAX);
                let given = dispenser.prepare(device().as_str(), item.as_str(), amount, bits);
                given.iter().for_each(|ticket| self.gives(m, ticket));
                ServiceAnswer::Prepared(given.map_err(unprepared))
            }
            Call::PrepareAgain(item, amount, again) => {
                let amount = i64::try_from(amount.get()).unwrap_or(i64::MAX);
                let given = dispenser.prepare_again(device().as_str(), item.as_str(), amount, again, bits);
                given.iter().for_each(|(ticket, _)| self.gives(m, ticket));
                ServiceAnswer::PreparedAgain(given.map(|(ticket, promise)| (ticket, promise.into())).map_err(unprepared))
            }
            Call::Facts => match self.facts(m) {
                Some(facts) => ServiceAnswer::Facts(facts),
                None => return,
            },
            Call::Order(call) => match self.relay_asked(m, &call) {
                Ok(answer) => ServiceAnswer::Relay(answer.unwrap_or_else(refused)),
                Err(cause) => return self.waits_for(m, cause, from),
            },
        };
        if !self.relay_effects(m) {
            return;
        }
        if self.is_to(Kind::RelayKilled) {
            return self.start_relay(m);
        }
        self.relay_answers(from, answer);
    }

    fn gives(&mut self, m: usize, ticket: &Ticket) {
        self.losses.tickets.insert(ticket.to_string(), Given { life: self.relays[m].life, at: self.now, ended: None });
    }

    /// The line is driven from now on, and the caller waits for its end.
    fn waits_for(&mut self, m: usize, cause: Cause, from: Caller) {
        let relay = &mut self.relays[m];
        relay.waits.entry(cause.clone()).or_default().push(from);
        let run = relay.run;
        self.after(20_000, Event::Relay(m, Arrival::Waited { run, cause }));
        self.relay_effects(m);
    }

    /// The answer to a call about an order; an error: it drives the line for this.
    fn relay_asked(&mut self, m: usize, call: &RelayCall) -> Result<Result<RelayAnswer, Refusal>, Cause> {
        let relay = &mut self.relays[m];
        let Some(dispenser) = &mut relay.dispenser else { return Ok(Ok(RelayAnswer::NoAnswer("it does not run".into()))) };
        Ok(match call {
            RelayCall::Check(ticket) => {
                Ok(RelayAnswer::Checked(dispenser.check(ticket.as_str()).map_err(|refusal| refusal.error.reason())))
            }
            RelayCall::Query(order, number) => {
                dispenser.query(order.as_str(), number.get()).map(|(answer, _)| RelayAnswer::Dispense(answer))
            }
            RelayCall::Close(ticket) => dispenser.close(ticket.as_str()).map(|answer| {
                self.losses.ended(ticket.as_str(), self.now);
                RelayAnswer::Close(answer)
            }),
            RelayCall::Prove(ticket) => dispenser.prove(ticket.as_str()).map(|proof| {
                proof.iter().for_each(|proof| self.signed(ticket, proof));
                RelayAnswer::Proof(proof.map(Into::into))
            }),
            RelayCall::Dispense(receipt) => match dispenser.dispense(receipt.jws()) {
                Ok(Dispensed::Known(answer, _)) => Ok(RelayAnswer::Dispense(answer)),
                Ok(Dispensed::Begun(cause)) => {
                    let claims = receipt.claims();
                    let (order, item, number) = (claims.sub.clone(), claims.item.clone(), claims.nth.number());
                    relay.begun = Some(Begun::Order { order, item, number });
                    return Err(cause);
                }
                Err(refusal) => Err(refusal),
            },
        })
    }

    /// An operator's test, as the service itself judges it. `None`: the program does not run.
    pub(super) fn tests(&mut self, m: usize, jws: &str, by_stranger: bool) -> Result<Option<Dispensed>, Refusal> {
        let (number, now) = (self.commands.number_of(jws), self.trusted(m));
        let Some(dispenser) = &mut self.relays[m].dispenser else { return Ok(None) };
        let tested = dispenser.test(jws, now)?;
        if let Dispensed::Begun(_) = &tested {
            self.relays[m].begun = Some(Begun::Test { number, by_stranger });
        }
        Ok(Some(tested))
    }

    /// An operator's word that a line is well again, as the service itself judges it.
    pub(super) fn clears(&mut self, m: usize, jws: &str) -> Result<Option<Dispensed>, Refusal> {
        let (number, now, was_blocked) = (self.commands.number_of(jws), self.trusted(m), self.is_blocked(m));
        let Some(dispenser) = &mut self.relays[m].dispenser else { return Ok(None) };
        let is_news = dispenser.clear_by(jws, now)?;
        if is_news {
            self.chutes.looked(m, 0);
        }
        let is_blocked = self.is_blocked(m);
        self.commands.cleared(number);
        if !is_news {
            if is_blocked != was_blocked {
                self.fail(format!("c-{number} has cleared the line once more"));
            }
            return Ok(None);
        }
        self.judge_clear(m, number);
        // A line that cannot be opened stays blocked, whoever clears it.
        if is_blocked && !self.machines[m].computer.is_without_line() && !self.is_beam_broken(m) {
            self.fail(format!("c-{number} has cleared the line, and it is blocked"));
        }
        self.counts.more(Kind::Clears, was_blocked.into());
        self.tell_facts(m);
        Ok(None)
    }

    pub(in super::super) fn bits(&mut self) -> [u8; 16] {
        let mut bits = [0; 16];
        bits[..8].copy_from_slice(&self.rng.number().to_be_bytes());
        bits[8..].copy_from_slice(&self.rng.number().to_be_bytes());
        bits
    }

    pub(super) fn relay_answers(&mut self, from: Caller, answer: ServiceAnswer) {
        if self.goes_wrong(60, Kind::BusLost) {
            return;
        }
        let answer = self.in_later_words(answer);
        let delay = if self.goes_wrong(60, Kind::BusSlow) { self.delay(6_000, 1_500) } else { 1 };
        self.machine_hears(from.m, machine::Arrival::ServiceAnswer(from, answer), delay);
    }

    /// As a relay of a later release would say it: it has another word for an item that did not come.
    fn in_later_words(&mut self, answer: ServiceAnswer) -> ServiceAnswer {
        let jammed = Word::new("jammed").expect("a word");
        match answer {
            ServiceAnswer::Relay(RelayAnswer::Dispense(DispenseAnswer::Ended(
                Outcome::Failed | Outcome::NotDriven | Outcome::Uncertain,
            ))) if !self.is_planned() && self.goes_wrong(8, Kind::LaterWords) => {
                ServiceAnswer::Relay(RelayAnswer::Dispense(DispenseAnswer::Later(jammed)))
            }
            ServiceAnswer::Relay(RelayAnswer::Close(CloseAnswer::Ended(Outcome::Failed | Outcome::NotDriven | Outcome::Uncertain)))
                if !self.is_planned() && self.goes_wrong(8, Kind::LaterWords) =>
            {
                ServiceAnswer::Relay(RelayAnswer::Close(CloseAnswer::Later(jammed)))
            }
            answer => answer,
        }
    }
}
