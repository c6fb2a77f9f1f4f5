//! Commands that only read. They are answered while the database is not open, too: an operator needs them most then. Nothing of them
//! is stored. One question about the computer is answered at a time, and once, however often it comes meanwhile.

use super::result_of;
use crate::machine::commands::Reading;
use crate::machine::parts::Machine;
use crate::store::StoreError;
use crate::words::{Address, Effect, text};
use qris_core::order::ids::{CommandId, KeyId};
use qris_core::order::time::{Now, Span};
use qris_core::wire::command::{Code, Problem, Query, Response, SignedCommand, Stage};
use qris_core::wire::status::Status;
use qris_host::events::Event as Journal;
use serde_json::{Value, json};

/// The most orders of a `diag`.
const DIAG_ORDERS: u16 = 50;
/// The most addresses that hear one answer.
const ASKERS_MAX: usize = 4;
/// All that the computer is asked for has come by then, or never comes.
const READ_WITHIN: Span = Span::secs(180);

impl Machine {
    pub(super) fn read_for(&mut self, query: &Query, signed: SignedCommand, kid: KeyId, to: &Address, now: Now) -> Result<(), Problem> {
        self.check_time_of(&signed, now)?;
        let status = || Status { at: self.settings.time_of_day(now.wall), ..self.status(self.all_sold_out()) };
        let settings = || self.afar.whole(&self.settings, &self.own, (self.links.lines(&self.own), &self.links.charges));
        let end = match query {
            Query::Status {} => serde_json::to_value(status()).map_err(|why| why.to_string()),
            Query::ConfigGet {} => serde_json::to_value(settings()).map_err(|why| why.to_string()),
            Query::Orders { newest } => self.newest_orders(*newest),
            Query::Vitals {} | Query::Logs(_) => {
                return self.ask_computer(query, signed, kid, to, json!({ "vitals": self.known_vitals() }), now);
            }
            Query::Diag {} => {
                let orders = self.newest_orders(DIAG_ORDERS).unwrap_or_else(Value::from);
                let database = self.storage.store().map_or_else(|| StoreError::Shut.to_string().into(), |store| store.as_json());
                let known = json!({
                    "status": status(), "settings": settings(), "orders": orders, "database": database, "vitals": self.known_vitals()
                });
                return self.ask_computer(query, signed, kid, to, known, now);
            }
        };
        let id = Some(signed.jti.clone());
        let end = match end {
            Ok(result) => Response::done(id, result),
            Err(why) => Response::ended(id, Stage::Failed, Problem::new(Code::Store, why)),
        };
        self.journal_read(&signed, &kid, &end);
        self.answer(to, end);
        Ok(())
    }

    fn ask_computer(
        &mut self,
        query: &Query,
        signed: SignedCommand,
        kid: KeyId,
        to: &Address,
        known: Value,
        now: Now,
    ) -> Result<(), Problem> {
        if let Some(reading) = self.commands.reading.as_mut().filter(|reading| now.boot < reading.until) {
            if reading.signed.jti == signed.jti && reading.signed != signed {
                return Err(Problem::new(Code::ReusedId, "this jti was used for another command"));
            }
            let is_known = reading.to.contains(to);
            if reading.signed != signed || !is_known && reading.to.len() >= ASKERS_MAX {
                return Err(Problem::new(Code::RateLimited, "the machine answers another question: ask again in a moment"));
            }
            if !is_known {
                reading.to.push(to.clone());
            }
            self.answer(to, Response::accepted(signed.jti));
            return Ok(());
        }
        self.outbox.push(Effect::Read(to.clone(), signed.jti.clone(), query.clone(), known));
        self.commands.reading = Some(Reading { signed, kid, to: vec![to.clone()], until: now.boot + READ_WITHIN });
        Ok(())
    }

    pub(in crate::machine) fn read(&mut self, id: &CommandId, end: &Response) {
        let Some(Reading { signed, kid, to, .. }) = self.commands.reading.take_if(|reading| reading.signed.jti == *id) else { return };
        self.journal_read(&signed, &kid, end);
        to.iter().for_each(|to| self.answer(to, end.clone()));
    }

    fn journal_read(&mut self, signed: &SignedCommand, kid: &KeyId, end: &Response) {
        let (command, id, by) = (text(signed.command.name()), text(signed.jti.as_str()), self.own.keys.named(kid).into());
        self.outbox.journal(Journal::QuestionAnswered { command, id, by, result: result_of(end) });
    }

    fn newest_orders(&self, newest: u16) -> Result<Value, String> {
        let store = self.storage.store().ok_or_else(|| StoreError::Shut.to_string())?;
        store.newest(newest).map(|events| json!({ "orders": events })).map_err(|why| why.to_string())
    }
}
