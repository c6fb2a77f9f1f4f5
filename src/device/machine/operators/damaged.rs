//! Commands whose row in the database is damaged, or was written by a later release. Nobody knows how far they came. So they are not
//! carried on: each ends as failed. The row says so from then on.

use super::result_of;
use crate::machine::commands::{CommandStage, Damaged, Kept};
use crate::machine::parts::Machine;
use crate::store::{StoreError, sealed};
use crate::words::{Address, text};
use qris_core::order::ids::{CommandId, DeviceId, KeyId};
use qris_core::order::time::Now;
use qris_core::wire::command::{Code, Problem, Response, SignedCommand, Stage, response_topic};
use qris_host::events::Event as Journal;
use serde::Deserialize;
use serde_json::Value;

fn end_of(id: &CommandId) -> Response {
    let why = "its record in the database is damaged: nobody knows whether it was carried out";
    Response::ended(Some(id.clone()), Stage::Failed, Problem::new(Code::Store, why))
}

/// The asker in a damaged row, if that can be read, and is one whom this machine may answer.
fn asker_in(row: &str, device: &DeviceId) -> Option<Address> {
    let row: Value = serde_json::from_str(row.split_once(' ')?.1).ok()?;
    let to = Address::deserialize(row.get("to")?).ok()?;
    (*to.topic == *response_topic(device)).then_some(to)
}

impl Machine {
    /// Takes up a row that is not a command's.
    pub(super) fn take_up_damaged(&mut self, id: CommandId, row: &str, now: Now) -> Result<(), StoreError> {
        let damaged = match sealed::open(row) {
            Some(damaged) => damaged,
            None => {
                let seen = self.own.trusted(now.wall).map(|wall| wall.0.div_euclid(1000));
                let damaged = Damaged { seen, tell: asker_in(row, &self.own.device) };
                self.storage.store_mut().map_or(Ok(()), |store| store.keep_command(&id, &sealed::seal(&damaged)))?;
                let (unknown, result) = (text("unknown"), result_of(&end_of(&id)));
                self.outbox.journal(Journal::CommandEnded { command: unknown.clone(), id: text(id.as_str()), by: unknown, result });
                damaged
            }
        };
        self.commands.damaged.insert(id, damaged);
        Ok(())
    }

    /// Tells the ends that nobody was told, as far as the askers are known.
    pub(super) fn tell_damaged(&mut self, now: Now) {
        for (id, mut damaged) in self.commands.damaged.clone() {
            let Some(to) = damaged.tell.take() else { continue };
            match self.storage.store_mut().map(|store| store.keep_command(&id, &sealed::seal(&damaged))) {
                Some(Ok(())) => {
                    self.answer(&to, end_of(&id));
                    self.commands.damaged.insert(id, damaged);
                }
                Some(Err(error)) => return self.store_failed(&error, now),
                None => return,
            }
        }
    }

    /// It came once more, so it is known again what it was. `false`: its end cannot be stored now.
    pub(super) fn end_damaged(&mut self, signed: SignedCommand, kid: KeyId, jws: Box<str>, to: &Address, now: Now) -> bool {
        let (id, answer) = (signed.jti.clone(), end_of(&signed.jti));
        let step = CommandStage::Ended { answer: answer.clone(), notified: true };
        let is_kept = self.keep_command(Kept { signed, kid, jws, to: to.clone(), step }, now);
        if is_kept {
            self.commands.damaged.remove(&id);
            self.answer(to, answer);
        }
        is_kept
    }
}
