//! What an operator far away has done to a line: a test, or taking its block off. The operator's signature is judged here once
//! more, so who has the broker or `qrisd` can have nothing driven.

use super::{Dispensed, Dispenser, Refusal};
use crate::store::{Begun, Once};
use qris_core::order::ids::{CommandId, ItemId, KeyId};
use qris_core::order::ledger::{Cause, Entry, LedgerRefusal, prepare};
use qris_core::order::time::Wall;
use qris_core::wire::command::{Action, Command, SignedCommand};
use qris_core::wire::dbus::{DispenseAnswer, RelayError};
use qris_host::events::Event;

impl Dispenser {
    /// `Test`: drives the line of an item once, if nothing else drives it. The ledger keeps it like the pulse of an order, so it is driven
    /// once, whatever crashes. The same command again is answered with its end. `now`: the clock, if it is trusted.
    pub fn test(&mut self, jws: &str, now: Option<Wall>) -> Result<Dispensed, Refusal> {
        let (asked, by) = self.signed(jws)?;
        let Command::Action(Action::TestPulse { item }) = &asked.command else { return Err(self.refused_command(&asked, "Test", &by)) };
        let what = what(&asked.command, item);
        if let Some(pulse) = self.found_test(&asked.jti)? {
            if pulse.item != *item {
                return Err(reused());
            }
            return Ok(Dispensed::Known(
                match pulse.entry {
                    Entry::Driving => DispenseAnswer::Dispensing,
                    Entry::Ended(outcome) => DispenseAnswer::Ended(outcome),
                },
                pulse.detail,
            ));
        }
        if self.is_carried_out(&asked.jti, &what)? {
            return Err(Refusal::new(RelayError::CommandRefused, "it was carried out, and its pulse is forgotten".into()));
        }
        let once = self.in_time(&asked, &what, now)?;
        self.refuse_while_stopping()?;
        self.ledger.usable()?;
        let index = self.line_of(item).ok_or(LedgerRefusal::UnknownItem)?;
        let settings = &self.lines[index].settings;
        let (line, amount) = (settings.name.clone(), settings.outlet.least(settings.min_amount));
        let state = self.line_state(item, amount).map(|(_, state)| state);
        prepare(state.as_ref(), amount)?;
        self.ledger.begin(&Begun::Test { once, item, amount }, &line)?;
        let begun = self.begun(index, Cause::Test(asked.jti.clone()), item.clone(), amount);
        self.journal(Event::TestBegins { item: item.clone(), line: line.into(), by: self.keys.named(&by).into() });
        Ok(begun)
    }

    /// `ClearBy`: an operator says that the line of an item is well again. The answer is whether this was news: the same command
    /// again does nothing. `now`: the clock, if it is trusted.
    pub fn clear_by(&mut self, jws: &str, now: Option<Wall>) -> Result<bool, Refusal> {
        let (asked, by) = self.signed(jws)?;
        let Command::Action(Action::Clear { item }) = asked.command.clone() else {
            return Err(self.refused_command(&asked, "ClearBy", &by));
        };
        let what = what(&asked.command, &item);
        if self.is_carried_out(&asked.jti, &what)? {
            return Ok(false);
        }
        let once = self.in_time(&asked, &what, now)?;
        let index = self.line_of(&item).ok_or(LedgerRefusal::UnknownItem)?;
        self.clear_line(index, format!("the key {}", self.keys.named(&by)), Some(once))?;
        Ok(true)
    }

    fn is_carried_out(&mut self, jti: &CommandId, what: &str) -> Result<bool, Refusal> {
        match self.ledger.command(jti)? {
            None => Ok(false),
            Some(known) if known == what => Ok(true),
            Some(_) => Err(reused()),
        }
    }

    fn signed(&mut self, jws: &str) -> Result<(SignedCommand, KeyId), Refusal> {
        SignedCommand::read(jws, &self.keys, &self.me).map_err(|refused| {
            let by = refused.kid.as_ref().map_or("nobody that this machine knows".into(), |kid| self.keys.named(kid));
            self.journal(Event::CommandRefused {
                command: "at the relay".into(),
                by: by.into(),
                why: refused.why.message.to_string().into(),
            });
            Refusal::new(RelayError::CommandRefused, refused.why.message.into())
        })
    }

    fn refused_command(&mut self, asked: &SignedCommand, method: &str, by: &KeyId) -> Refusal {
        let why = format!("{method} is not for the command {}", asked.command.name());
        self.journal(Event::CommandRefused {
            command: asked.command.name().into(),
            by: self.keys.named(by).into(),
            why: why.clone().into(),
        });
        Refusal::new(RelayError::CommandRefused, why)
    }

    /// Whether a command may be carried out now. The answer is what the ledger remembers of it.
    ///
    /// The ledger has no stream, and who calls could name any. An honest `qrisd` has compared it before it stored the command. So
    /// here it must only be named while no clock is trusted. Then the ledger's memory is the guard: a command is carried out once,
    /// and never after a time that the ledger has known as past.
    fn in_time<'a>(&mut self, asked: &'a SignedCommand, what: &'a str, now: Option<Wall>) -> Result<Once<'a>, Refusal> {
        let refused = |why: String| Refusal::new(RelayError::CommandRefused, why);
        let stream = asked.stream.as_deref().unwrap_or_default();
        if let Err(why) = asked.check_time(now, Some(stream)) {
            if now.is_some_and(|now| asked.is_over(now)) {
                // A ledger that does not take it tells of that itself. The command is refused all the same.
                drop(self.ledger.all_are_over_until(asked.exp));
            }
            return Err(refused(why.message.into()));
        }
        let known = self.ledger.over()?;
        if asked.exp <= known {
            return Err(refused(format!("it ended at {} (exp), and that is past", asked.exp)));
        }
        let over = now.map_or(known, |now| known.max(now.0.div_euclid(1000)));
        self.ledger.has_room_for_command(over)?;
        Ok(Once { jti: &asked.jti, what, exp: asked.exp, over })
    }
}

/// A command with its argument, as the ledger remembers it.
fn what(command: &Command, item: &ItemId) -> String {
    format!("{} {item}", command.name())
}

fn reused() -> Refusal {
    Refusal::new(RelayError::CommandRefused, "this jti was used for another command".into())
}
