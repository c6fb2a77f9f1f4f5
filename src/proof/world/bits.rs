//! A bit that flips in a database or its log, and the audit of plays in which something happened to a disk.

use super::losses::Loss;
use super::strike::{How, Strike, Who};
use super::{STORE, World};
use crate::disk::Op;
use crate::midtrans::Book;
use qris_backend::sale::books::{self, BooksError};
use qris_core::order::ids::{OrderId, RequestId};
use qris_core::order::merchant::{Attention, Order, State};
use qris_core::order::outcome::{Delivery, DispenseAnswer, Outcome};
use qris_core::order::reason::Reason;
use qris_core::order::state::EventState;
use qris_core::order::tries::TryNumber;
use qris_core::wire::relay::RelayFault;
use std::path::Path;

impl World {
    /// The bit flips while its program is down.
    pub(super) fn flip(&mut self) {
        let Some(Strike::Flip { who, log, byte, bit, .. }) = self.strike() else { return };
        if !log {
            // An orderly end leaves no log.
            match who {
                Who::Machine => self.machines[0].program = None,
                Who::Relay => self.relays[0].dispenser = None,
                Who::Backend => self.merchant.program = None,
            }
        }
        match who {
            Who::Machine => self.start_machine(0, true),
            Who::Relay => self.start_relay(0),
            Who::Backend => self.start_merchant(),
        }
        let file = format!("{}{}", who.database(), if log { "-wal" } else { "" });
        let length = std::fs::metadata(self.places[who.place()].join(&file)).map_or(0, |metadata| metadata.len());
        let happened = self.disks[who.place()].flip(&file, byte, bit).is_ok();
        self.note(|| format!("STRIKE: bit {bit} of byte {byte} of {file} flips ({length} bytes)"));
        self.note_struck(|disks| (disks.happened, disks.length) = (happened, usize::try_from(length).unwrap_or(0)));
        self.losses.harmed(who.database(), self.now);
        if log {
            // It has silently forgotten commits.
            let loss = match who {
                Who::Machine => Loss::Log,
                Who::Relay => Loss::Ledger,
                Who::Backend => Loss::Books,
            };
            self.losses.note(loss, self.now);
            match who {
                // It may have forgotten what the relay had driven when somebody counted.
                Who::Machine => self.slots.forget(0),
                Who::Relay => self.begin_another_ledger(0),
                Who::Backend => {}
            }
        }
    }

    /// The rules when all is over and something happened to a disk: [`World::audit`], and besides that all words agree.
    pub(super) fn audit_struck(&mut self) -> Option<String> {
        let Some(strike) = self.strike() else { return self.audit() };
        // A machine without a database may be one that was off for all of the run.
        let opens = self.machine_store(0).is_some_and(|mut store| store.probe().is_ok()) || !self.places[0].join(STORE).exists();
        let is_shut = self.relays[0].dispenser.as_ref().is_none_or(|dispenser| dispenser.faults().contains(&RelayFault::Ledger));
        let refused = !opens || self.machines[0].fails || self.machines[0].failed || is_shut || self.merchant.is_down();
        let aside = Who::ALL.map(|who| (who, aside(&self.places[who.place()], who.database())));
        let set_aside = aside.iter().map(|(_, many)| many).sum();
        self.note_struck(|disks| (disks.refused, disks.set_aside) = (refused, set_aside));
        match strike {
            Strike::Operation { .. } if refused => return Some("a program does not work any more".into()),
            Strike::Flip { .. } if refused => return self.audit_what_is_left(),
            Strike::Operation { .. } | Strike::Flip { .. } => {}
        }
        for (who, _) in aside.into_iter().filter(|(_, many)| *many > 0) {
            let loss = match who {
                Who::Machine => Loss::Store,
                Who::Relay => Loss::Ledger,
                Who::Backend => Loss::Books,
            };
            self.losses.note(loss, self.now);
        }
        let amnesia = set_aside > 0 || matches!(strike, Strike::Flip { log: true, .. });
        // The ledger may still show its first word: it could not keep it and said so, and was killed before it had written the
        // second.
        let unkept = match strike {
            Strike::Operation { who, op: Op::Sync, how: How::ThenCrash, .. } => self.disks[who.place()].struck() > 0,
            Strike::Operation { .. } | Strike::Flip { .. } => false,
        };
        if let Some(why) = self.audit() {
            return Some(why);
        }
        let books = self.gateway.midtrans.transactions();
        let words = books.iter().find_map(|book| self.audit_words(book, amnesia, unkept));
        words.or_else(|| ["r-1", "r-2"].into_iter().find_map(|request| self.audit_request(request, &books, amnesia, unkept)))
    }

    /// The merchant's word on a paid order is the ledger's, and that of the line.
    fn audit_words(&mut self, book: &Book, amnesia: bool, unkept: bool) -> Option<String> {
        let id = OrderId::new(&book.order_id).ok()?;
        // The audit before this one has looked for the others.
        let order = self.books(|tx, _| books::load(tx, &id)).ok()??.order;
        let (times, came) = (self.pulses(&id), self.came(&id));
        let ledger = self.relays[0].query(&id, order.number_of_try());
        if let Some(why) = unjust(&order, times, came) {
            return Some(format!("{id}: {why}; {:?}, told {:?}, driven {times} times", order.state, order.delivery()));
        }
        // Paid twice, or given back: nothing was handed out for it.
        let is_back = matches!(order.state, State::Withheld(_) | State::Refunded(_));
        if !matches!(book.status, "settlement" | "refund") || amnesia || is_back && counted(&order, times, came) == 0 {
            return None;
        }
        let told = order.outcome();
        // What the tries before this one drove, at most: nothing came of any of them.
        let before = order.number_of_try().get() - 1;
        let agree = match (told, ledger) {
            (Some(Delivery::Dispensed), Some(DispenseAnswer::Ended(Outcome::Dispensed))) => came == 1,
            (Some(Delivery::Failed), Some(DispenseAnswer::Ended(Outcome::Failed))) => came == 0 && (1..=before + 1).contains(&times),
            (Some(Delivery::Failed), Some(DispenseAnswer::Ended(Outcome::NotDriven))) => came == 0 && times <= before,
            (Some(Delivery::Uncertain), Some(DispenseAnswer::Ended(Outcome::Uncertain))) => came <= 1,
            (Some(Delivery::Undelivered), Some(DispenseAnswer::Unknown)) => came == 0 && times <= before,
            // A damaged page hides the order.
            (Some(Delivery::Undelivered), None) => came == 0 && self.flips(Who::Relay),
            // It is doubtful for the merchant, and so a person looks.
            (Some(Delivery::Uncertain), Some(DispenseAnswer::Ended(Outcome::Dispensed | Outcome::Failed))) => came <= 1 && unkept,
            (Some(_) | None, _) => false,
        };
        (!agree || order.has_conflict() || is_back && told != Some(Delivery::Failed))
            .then(|| format!("{id} was told {told:?}, the ledger says {ledger:?}, and it was driven {times} times"))
    }

    /// The machine's word on a request is the ledger's.
    fn audit_request(&mut self, request: &str, books: &[Book], amnesia: bool, unkept: bool) -> Option<String> {
        use EventState::{Cancelled, Denied, Dispensed, Expired, Failed, RefundDue, Refunded};
        let paid = books.iter().find(|book| book.settled_at_ms.is_some() && book.custom_fields[1].as_deref() == Some(request));
        let Some(machine) = self.machine_store(0) else { return Some("the machine's database cannot be opened".into()) };
        let stored = match machine.by_request(&RequestId::new(request).expect("an id")) {
            Ok(stored) => stored,
            Err(error) => return Some(format!("the machine's database cannot be read: {error}")),
        };
        drop(machine);
        let number = stored.as_ref().map_or(TryNumber::FIRST, |stored| stored.order.number_of_try());
        let ledger = paid.and_then(|book| OrderId::new(&book.order_id).ok()).map(|id| self.relays[0].query(&id, number));
        // An index that lost a row hides the row's order. If that order is asked for once more, the backend refuses it, or the
        // machine does because nothing is left.
        let hidden = self.flips(Who::Machine)
            && match &stored {
                Some(stored) => stored.order.name().1 == Some(Reason::ReusedId),
                None => self.slots.refused.iter().any(|refused| refused.as_str() == request),
            };
        let state = stored.map(|stored| stored.order.name().0);
        let agrees = match (&ledger, state) {
            // It was never asked for, or was refused, or is forgotten with its database.
            (_, None) => ledger.is_none() || amnesia || hidden,
            (None, Some(state)) => matches!(state, Cancelled | Expired | Denied | Failed),
            // The machine was told "uncertain".
            (Some(Some(DispenseAnswer::Ended(Outcome::Dispensed))), Some(RefundDue)) if unkept => true,
            (Some(Some(DispenseAnswer::Ended(Outcome::Dispensed))), Some(state)) => state == Dispensed || amnesia || hidden,
            (Some(_), Some(state)) => matches!(state, RefundDue | Refunded) || amnesia,
        };
        (!agrees).then(|| format!("of {request} the machine says {state:?}, the ledger and Midtrans {ledger:?}"))
    }

    /// These rules hold even if a program no longer works on its database, and a person must look: readable facts are right, and
    /// a payment is no secret.
    fn audit_what_is_left(&mut self) -> Option<String> {
        // Only a person could end its paid orders, even if the damaged part can be set aside.
        if (self.machines[0].fails || self.machines[0].failed) && self.machine_store(0).is_some_and(|mut store| store.probe().is_ok()) {
            return Some("the machine's database opens, and cannot be worked with".into());
        }
        let is_down = self.merchant.is_down();
        for book in self.gateway.midtrans.transactions() {
            let Ok(id) = OrderId::new(&book.order_id) else { continue };
            let (times, came) = (self.pulses(&id), self.came(&id));
            if times > 0 && !matches!(book.status, "settlement" | "refund") {
                return Some(format!("{id} was driven and is {}", book.status));
            }
            // If the books are what no longer works, they say so.
            let Ok(Some(stored)) = self.books(|tx, _| books::load(tx, &id)) else { continue };
            let order = stored.order;
            if let Some(why) = unjust(&order, times, came) {
                return Some(format!("{id}: {why}; {:?}, told {:?}, driven {times} times", order.state, order.delivery()));
            }
            // Books that take nothing more say so themselves, and the machine goes on telling.
            let is_secret = order.delivery().is_none() && !order.attention().contains(&Attention::Unreported);
            if matches!(order.state, State::Settled(_)) && !is_down && is_secret {
                return Some(format!("{id} is paid, the machine tells nothing of it, and nobody is told"));
            }
        }
        None
    }

    /// Does the backend say only what is so, that a bit of its books flipped?
    pub(super) fn says_damaged(&self, error: &BooksError) -> bool {
        self.flips(Who::Backend) && error.is_damage()
    }

    /// Nobody needed this order any more. Is a person who needs it told? The journal says that the books fail, or `doctor` names
    /// the row.
    pub(super) fn lists_as_damaged(&mut self, id: &OrderId, error: &BooksError) -> bool {
        if !self.flips(Who::Backend) || !matches!(error, BooksError::Store(_)) {
            return false;
        }
        let named = self.books(|tx, _| books::damaged(tx, ""));
        !error.is_damage() || named.is_ok_and(|(names, _)| names.iter().any(|name| name == id.as_str()))
    }
}

/// How many databases of this name were set aside here.
fn aside(directory: &Path, database: &str) -> usize {
    let names = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let is_one =
        |name: &str| name.starts_with(database) && name.contains(".corrupt-") && !name.ends_with("-wal") && !name.ends_with("-shm");
    names.filter(|name| name.to_str().is_some_and(is_one)).count()
}

/// No loss of any memory excuses these two faults. Money is back, or to go back, for an item that was handed out. Or goods were
/// reported and never came.
fn unjust(order: &Order, times: u32, came: u32) -> Option<&'static str> {
    let told = order.outcome();
    let gives_back = order.is_refund_due() || matches!(order.state, State::Withheld(_) | State::Refunded(_));
    match (told, counted(order, times, came)) {
        (Some(Delivery::Failed), 0 | 1) | (_, 0) if told != Some(Delivery::Dispensed) => None,
        (Some(Delivery::Dispensed), 0) => Some("it was told as handed out, and no line was driven"),
        (Some(Delivery::Undelivered), _) => Some("it was told as not delivered, and the line was driven"),
        (_, _) if gives_back => Some("the money is back, or to go back, and it was handed out"),
        (_, _) => None,
    }
}

/// The pulses that may have handed something out. Of an order that was tried again, those of which the sensor said that nothing came do not
/// count.
fn counted(order: &Order, times: u32, came: u32) -> u32 {
    if order.number_of_try() > TryNumber::FIRST { came } else { times }
}
