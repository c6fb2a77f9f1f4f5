//! Everything the relay service decides. It owns the ledger and nothing else: no bus, no thread, no clock.
//!
//! An effect cannot precede its commit: a method commits, and only then queues the effects. The shell calls a method,
//! takes the [effects](Dispenser::take_effects) and carries them out.

mod chutes;
mod known;
mod operator;
mod state;

use super::config::{Config, LineSettings, line_of};
pub use super::ledger::Refusal;
use super::ledger::{Draw, Ledger, Opened};
use super::outlet::{Ending, Job};
use super::store::{Begun, Once, Pulse};
use super::threads::Trouble;
use chutes::Chute;
use qris_core::order::ids::{DeviceId, ItemId, OrderId, Ticket};
use qris_core::order::keys::KeySet;
use qris_core::order::late_sign::LateSign;
use qris_core::order::ledger::{
    Admission, Again, Cause, Condition, Entry, LedgerRefusal, LineState, Misses, TicketEntry, admit, may_try, prepare,
};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Outcome;
use qris_core::order::promise::Promise;
use qris_core::order::proof::{self, Last, RelayKey, Statement};
use qris_core::order::receipt::{Receipt, ReceiptError};
use qris_core::order::tries::TryNumber;
use qris_core::wire::dbus::{CloseAnswer, DispenseAnswer, RelayError};
use qris_host::events::Event;
use std::collections::BTreeMap;
use std::sync::Arc;

pub struct Dispenser {
    me: DeviceId,
    keys: Arc<KeySet>,
    lines: Vec<Line>,
    chutes: Vec<Chute>,
    ledger: Ledger,
    /// The buttons that do not work, each with the reason.
    broken_buttons: BTreeMap<String, String>,
    /// Whether the service switch inside the door is on; `None`: there is none, or nobody has looked yet.
    service_switch: Option<bool>,
    /// The program ends: running deliveries are finished, and nothing new begins.
    is_stopping: bool,
    effects: Vec<Effect>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Have a line deliver. [`Dispenser::ended`] takes its end.
    Deliver(usize, Job),
    /// Tell the customer that the goods were not seen in their time. The line's sensor looks for late ones.
    Unseen(Cause),
    /// Tell of a sign of goods after the signed end. It changes no outcome.
    LateSign(Cause, LateSign),
    /// Tell the caller that waits how a pulse ended, and everybody that it did.
    Finished {
        cause: Cause,
        outcome: Outcome,
        /// More, for people.
        detail: String,
    },
    /// Tell everybody that a line is no longer blocked: somebody has looked.
    Cleared,
    /// Tell a line that somebody has looked at it.
    Looked(usize),
    LedgerBack,
    Journal(Event),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dispensed {
    /// The line is driven from now on; [`Effect::Finished`] tells the end.
    Begun(Cause),
    /// The line is or was driven for this already.
    Known(DispenseAnswer, String),
}

struct Promised {
    ticket: Ticket,
    item: ItemId,
    amount: Rupiah,
}

struct Line {
    settings: Arc<LineSettings>,
    chute: usize,
    blocked: Option<Blocked>,
    broken: Option<Trouble>,
    work: Work,
    /// The last pulse, if nothing came of it, or nobody knows.
    missed: Option<Pulse>,
}

struct Blocked {
    why: String,
    item: ItemId,
}

enum Work {
    Idle,
    /// The ledger says "driving", and the line's thread drives it.
    Driving(Pulse),
    /// The line was driven and the caller was told "uncertain". The ledger has not written that yet.
    Unwritten(Pulse),
}

impl Dispenser {
    /// Opens the ledger; a new one `draw`s its key. An order that was being driven is uncertain from now on, and that is
    /// written before this returns. A ledger that cannot be opened or written is tried again at each [`Dispenser::tick`].
    /// Meanwhile nothing is promised.
    pub fn new(config: &Config, draw: Draw) -> Self {
        let (chutes, of_line) = Chute::all(&config.lines);
        let line = |(settings, chute): (&LineSettings, usize)| Line {
            settings: Arc::new(settings.clone()),
            chute,
            blocked: None,
            broken: None,
            work: Work::Idle,
            missed: None,
        };
        let mut dispenser = Self {
            me: config.device.clone(),
            keys: Arc::new(config.keys.clone()),
            lines: config.lines.iter().zip(of_line).map(line).collect(),
            chutes,
            ledger: Ledger::new(config.ledger.clone(), draw),
            broken_buttons: BTreeMap::new(),
            service_switch: None,
            is_stopping: false,
            effects: Vec::new(),
        };
        dispenser.open();
        dispenser
    }

    /// The effects since the last call, in this order.
    #[must_use]
    pub fn take_effects(&mut self) -> Vec<Effect> {
        self.effects.extend(self.ledger.take_events().into_iter().map(Effect::Journal));
        std::mem::take(&mut self.effects)
    }

    /// `Prepare`: promises to deliver. `bits` are random and new.
    pub fn prepare(&mut self, device: &str, item: &str, amount: i64, bits: [u8; 16]) -> Result<Ticket, Refusal> {
        self.promise(device, item, amount, bits, None).map(|promise| promise.ticket)
    }

    /// `PrepareAgain`: promises another try at an order, and signs that. `bits` are random and new.
    pub fn prepare_again(
        &mut self,
        device: &str,
        item: &str,
        amount: i64,
        again: Again,
        bits: [u8; 16],
    ) -> Result<(Ticket, String), Refusal> {
        let Promised { ticket, item, amount } = self.promise(device, item, amount, bits, Some(&again))?;
        let promise = Promise::of(self.me.clone(), ticket.clone(), again, item, amount);
        let key = self.ledger.key().ok_or_else(|| Refusal::new(RelayError::Ledger, "the ledger is not open".into()))?;
        Ok((ticket, promise.sign(key)))
    }

    fn promise(&mut self, device: &str, item: &str, amount: i64, bits: [u8; 16], again: Option<&Again>) -> Result<Promised, Refusal> {
        let result = self.try_prepare(device, item, amount, bits, again);
        if let Err(refusal) = &result {
            self.ticket_refused(item, amount, refusal.detail.clone());
        }
        result
    }

    /// The hardware of its line says that it cannot be driven now.
    pub fn not_ready(&mut self, item: &str, amount: i64, why: String) -> Refusal {
        self.ticket_refused(item, amount, why.clone());
        Refusal::new(RelayError::Hardware, why)
    }

    fn ticket_refused(&mut self, item: &str, amount: i64, why: String) {
        let amount = u64::try_from(amount).ok().and_then(|amount| Rupiah::new(amount).ok());
        self.journal(Event::TicketRefused { item: ItemId::new(item).ok(), amount, why: why.into() });
    }

    fn try_prepare(&mut self, device: &str, item: &str, amount: i64, bits: [u8; 16], again: Option<&Again>) -> Result<Promised, Refusal> {
        if device != self.me.as_str() {
            return Err(Refusal::new(RelayError::WrongDevice, format!("this is {}", self.me)));
        }
        let item = ItemId::new(item).map_err(|why| Refusal::new(RelayError::UnknownItem, why.to_string()))?;
        let amount = u64::try_from(amount).unwrap_or(0);
        let amount = Rupiah::new(amount).map_err(|why| Refusal::new(RelayError::Amount, why.to_string()))?;
        let line = self.line_state(&item, amount).map(|(_, state)| state);
        if let Some(again) = again {
            may_try(again, &self.tried(&again.order, Some(&again.after))?.0)?;
        }
        prepare(line.as_ref(), amount)?;
        self.refuse_while_stopping()?;
        let ticket = Ticket::from_random(bits);
        self.ledger.add_ticket(ticket.clone(), &item, amount, again)?;
        Ok(Promised { ticket, item, amount })
    }

    /// `Check`: would a receipt for this ticket be driven now? If not, it tells the reason.
    pub fn check(&mut self, ticket: &str) -> Result<(), Refusal> {
        let ticket = Ticket::new(ticket).map_err(|why| Refusal::new(RelayError::UnknownTicket, why.to_string()))?;
        self.ledger.usable()?;
        match self.ledger.ticket(&ticket)? {
            Some(TicketEntry::Open { item, amount, .. }) => {
                let line = self.line_state(&item, amount).map(|(_, state)| state);
                prepare(line.as_ref(), amount)?;
                self.refuse_while_stopping()
            }
            Some(TicketEntry::Used(..) | TicketEntry::Closed(_)) | None => Err(LedgerRefusal::UnknownTicket.into()),
        }
    }

    /// `Dispense`: believes a receipt and drives its line, once. When this returns [`Dispensed::Begun`], the ledger has
    /// it.
    pub fn dispense(&mut self, jws: &str) -> Result<Dispensed, Refusal> {
        let receipt = self.keys.verify(jws, &self.me).map_err(|why| {
            let error = match &why {
                ReceiptError::WrongDevice(_) => RelayError::WrongDevice,
                ReceiptError::Form(_) | ReceiptError::UnknownKey(_) | ReceiptError::Signature | ReceiptError::Claims(_) => {
                    RelayError::InvalidReceipt
                }
            };
            self.journal(Event::ReceiptRefused { request: None, order: None, why: why.to_string().into() });
            Refusal::new(error, why.to_string())
        })?;
        let result = self.drive(&receipt);
        if let Err(refusal) = &result {
            let (request, order) = (Some(receipt.claims().jti.clone()), Some(receipt.claims().sub.clone()));
            self.journal(Event::ReceiptRefused { request, order, why: refusal.detail.clone().into() });
        }
        result
    }

    fn drive(&mut self, receipt: &Receipt) -> Result<Dispensed, Refusal> {
        let claims = receipt.claims();
        let again = Again::of(receipt);
        let (tried, pulses) = self.tried(&claims.sub, again.as_ref().map(|again| &again.after))?;
        let ticket = self.ledger.ticket(&claims.ticket)?;
        let is_second = self.ledger.is_second(receipt)?;
        let line = self.line_state(&claims.item, claims.amount);
        let number = claims.nth.number();
        match admit(ticket.as_ref(), &tried, receipt, line.as_ref().map(|(_, state)| state))? {
            Admission::Recorded(outcome) => {
                let detail = pulses.into_iter().find(|pulse| pulse.number() == Some(number)).map(|pulse| pulse.detail).unwrap_or_default();
                return Ok(Dispensed::Known(DispenseAnswer::Ended(outcome), detail));
            }
            Admission::Driving => return Ok(Dispensed::Known(DispenseAnswer::Dispensing, String::new())),
            Admission::Drive => {}
        }
        if is_second {
            return Err(Refusal::new(
                RelayError::InvalidReceipt,
                "its request or transaction was already used to drive the line for another order".into(),
            ));
        }
        self.refuse_while_stopping()?;
        let (index, _) = line.expect("the core admits to a line that is there");
        let name = self.lines[index].settings.name.clone();
        self.ledger.begin(&Begun::Order(receipt), &name)?;
        let (order, request, item, amount) = (claims.sub.clone(), claims.jti.clone(), claims.item.clone(), claims.amount);
        let begun = self.begun(index, Cause::Order { order: order.clone(), request: request.clone(), number }, item.clone(), amount);
        self.journal(Event::PulseBegins { request, order, item, amount, line: name.into() });
        Ok(begun)
    }

    /// The ledger says from now on that this line is driven.
    fn begun(&mut self, index: usize, cause: Cause, item: ItemId, amount: Rupiah) -> Dispensed {
        self.effects.push(Effect::Deliver(index, Job { item: item.clone(), amount }));
        let line = &mut self.lines[index];
        let name = line.settings.name.clone();
        line.missed = None;
        line.work = Work::Driving(Pulse { cause: cause.clone(), item, amount, line: name, entry: Entry::Driving, detail: String::new() });
        Dispensed::Begun(cause)
    }

    /// `Close`: from now on this ticket drives nothing. If it did drive a line, the answer says so.
    pub fn close(&mut self, ticket: &str) -> Result<CloseAnswer, Refusal> {
        let ticket = Ticket::new(ticket).map_err(|why| Refusal::new(RelayError::UnknownTicket, why.to_string()))?;
        match self.ledger.ticket(&ticket)? {
            None => Err(LedgerRefusal::UnknownTicket.into()),
            Some(TicketEntry::Closed(_)) => Ok(CloseAnswer::Closed),
            Some(TicketEntry::Used(order, number)) => match self.found(&order, number)?.map(|pulse| pulse.entry) {
                Some(Entry::Driving) => Ok(CloseAnswer::Dispensing),
                Some(Entry::Ended(outcome)) => Ok(CloseAnswer::Ended(outcome)),
                // The ticket is so old that its entry was dropped.
                None => Err(LedgerRefusal::UnknownTicket.into()),
            },
            Some(TicketEntry::Open { .. }) => {
                self.ledger.close(&ticket)?;
                Ok(CloseAnswer::Closed)
            }
        }
    }

    /// `Prove`: the end of this ticket, signed. There is no proof while the ticket is open or its line is driven, or while the ledger could
    /// not be written.
    pub fn prove(&mut self, ticket: &str) -> Result<Option<String>, Refusal> {
        let ticket = Ticket::new(ticket).map_err(|why| Refusal::new(RelayError::UnknownTicket, why.to_string()))?;
        let (outcome, driven, order_id, number_of_try) = match self.ledger.ticket(&ticket)?.ok_or(LedgerRefusal::UnknownTicket)? {
            TicketEntry::Open { .. } => return Ok(None),
            TicketEntry::Closed(None) => (Last::Closed, false, None, TryNumber::FIRST),
            TicketEntry::Closed(Some(Again { order, number, .. })) => (Last::Closed, false, Some(order), number),
            // What the ledger did not take may be there all the same, and then it says more after a restart.
            TicketEntry::Used(order, _) if self.is_unwritten(&order) => return Ok(None),
            TicketEntry::Used(order, number) => match self.found(&order, number)?.ok_or(LedgerRefusal::UnknownTicket)?.entry {
                Entry::Driving => return Ok(None),
                Entry::Ended(outcome) => (outcome.into(), outcome.driven(), Some(order), number),
            },
        };
        let number = self.ledger.number(&ticket)?;
        let (Some(number), Some(key)) = (number, self.ledger.key()) else { return Ok(None) };
        Ok(Some(proof::sign(key, &Statement { device: self.me.clone(), ticket, order_id, number_of_try, outcome, driven, number })))
    }

    /// The public half of the key that it signs with, while the ledger is open.
    pub fn key(&self) -> Option<RelayKey> {
        self.ledger.key().map(RelayKey::of)
    }

    /// `Clear`: a person has looked at the line of this item.
    pub fn clear(&mut self, item: &str) -> Result<(), Refusal> {
        let item = ItemId::new(item).map_err(|why| Refusal::new(RelayError::UnknownItem, why.to_string()))?;
        let index = self.line_of(&item).ok_or(LedgerRefusal::UnknownItem)?;
        self.clear_line(index, "Clear".into(), None)
    }

    pub fn clear_pressed(&mut self, line: usize) {
        // Nobody waits for an answer. A ledger that cannot be written is told as a fault.
        drop(self.clear_line(line, "its button".into(), None));
    }

    /// The journal says what blocked the line, whoever clears it. A button names no item, and a caller may name any
    /// item of the line.
    fn clear_line(&mut self, index: usize, by: String, once: Option<Once<'_>>) -> Result<(), Refusal> {
        let line = &self.lines[index];
        let (name, blocked) = (line.settings.name.clone(), line.blocked.as_ref().map(|blocked| blocked.item.clone()));
        let is_suspect = self.chute(index).misses.suspects_sensor();
        // Who looks at one line of a sensor that is the suspect looks at the sensor. The other lines keep blocks of their own.
        let looked: Vec<_> =
            if is_suspect { self.lines_beside(index).map(|line| line.settings.name.clone()).collect() } else { vec![name.clone()] };
        // A command is used up even if there is nothing to do. Else somebody could keep it for the next block.
        if blocked.is_some() || is_suspect || self.chute(index).misses.of(&name) > 0 || once.is_some() {
            self.ledger.clear(&name, &looked.iter().map(String::as_str).collect::<Vec<_>>(), once)?;
        }
        let misses = &mut self.chutes[self.lines[index].chute].misses;
        looked.iter().for_each(|line| misses.looked(line));
        self.lines[index].blocked = None;
        self.effects.push(Effect::Looked(index));
        if blocked.is_some() || is_suspect {
            self.effects.push(Effect::Cleared);
        }
        if is_suspect {
            self.journal(Event::SensorCleared { line: name.clone().into(), by: by.clone().into() });
        }
        if let Some(item) = blocked {
            self.journal(Event::LineCleared { item, line: name.into(), by: by.into() });
        }
        Ok(())
    }

    /// A line was driven to its end, or as far as it went. An end that the ledger cannot take now is uncertain and is
    /// written later.
    pub fn ended(&mut self, index: usize, ending: Ending) {
        let work = std::mem::replace(&mut self.lines[index].work, Work::Idle);
        let pulse = match work {
            Work::Driving(pulse) => pulse,
            // It was given up at a stop, and answered. The line's own word comes too late.
            other @ (Work::Idle | Work::Unwritten(_)) => {
                self.lines[index].work = other;
                return;
            }
        };
        let why_blocked = self.why_blocked(index, &ending);
        let (item, order) = (pulse.item.clone(), pulse.order().cloned());
        match self.ledger.end(&pulse.cause, ending.outcome, &ending.detail, why_blocked.as_deref()) {
            Ok(()) => {
                let outcome = ending.outcome;
                let is_missed = matches!(outcome, Outcome::Failed | Outcome::Uncertain);
                self.lines[index].missed = is_missed.then(|| pulse.clone());
                self.tell_end(pulse, ending);
                self.block(index, item, order, why_blocked);
                self.note_misses(index, outcome);
            }
            Err(_) => {
                let detail = format!("{}; this could not be written to the ledger", ending.detail);
                let ending = Ending { outcome: Outcome::Uncertain, detail };
                self.block(index, item, order, why_blocked.or_else(|| self.why_blocked(index, &ending)));
                let entry = Entry::Ended(ending.outcome);
                self.lines[index].work = Work::Unwritten(Pulse { entry, detail: ending.detail.clone(), ..pulse.clone() });
                self.tell_end(pulse, ending);
            }
        }
    }

    /// The program must end while a line is driven. Nobody will know how that delivery ended.
    pub fn give_up(&mut self) {
        for index in 0..self.lines.len() {
            if matches!(self.lines[index].work, Work::Driving(_)) {
                let detail = "the program was stopped while the line was driven".into();
                self.ended(index, Ending { outcome: Outcome::Uncertain, detail });
            }
        }
    }

    /// From now on nothing new begins. The answer is `Busy`, and the caller asks again.
    pub fn stop(&mut self) {
        self.is_stopping = true;
    }

    #[must_use]
    pub fn is_driving(&self) -> bool {
        self.lines.iter().any(|line| matches!(line.work, Work::Driving(_)))
    }

    /// Whether something must be looked after: a line is driven, or the ledger cannot be written.
    #[must_use]
    pub fn needs_care(&self) -> bool {
        let is_late = |line: &Line| matches!(line.work, Work::Driving(_) | Work::Unwritten(_));
        self.lines.iter().any(is_late) || self.ledger.usable().is_err() || self.ledger.needs_opening(false)
    }

    /// Tries again to write what the ledger did not take. Call it about every second while it [needs care](Self::needs_care).
    pub fn tick(&mut self) {
        let was_failing = self.ledger.usable().is_err();
        if self.ledger.needs_opening(self.is_driving()) {
            self.open();
        }
        self.ledger.probe();
        if was_failing && self.ledger.usable().is_ok() {
            self.effects.push(Effect::LedgerBack);
        }
        self.write_late();
    }

    fn write_late(&mut self) {
        for index in 0..self.lines.len() {
            let Work::Unwritten(pulse) = &self.lines[index].work else { continue };
            let pulse = pulse.clone();
            let ending = Ending { outcome: Outcome::Uncertain, detail: pulse.detail.clone() };
            let why_blocked = self.lines[index].blocked.as_ref().map(|blocked| blocked.why.clone());
            if self.ledger.end(&pulse.cause, ending.outcome, &ending.detail, why_blocked.as_deref()).is_ok() {
                self.lines[index].work = Work::Idle;
            }
        }
    }

    /// The line that could be promised for this item, as far as is known here. Its hardware is asked before it is promised.
    #[must_use]
    pub fn to_ask(&self, item: &str) -> Option<Arc<LineSettings>> {
        let index = self.line_of(&ItemId::new(item).ok()?)?;
        (self.condition(index) == Condition::Ready).then(|| Arc::clone(&self.lines[index].settings))
    }

    #[must_use]
    pub fn settings(&self, line: usize) -> &LineSettings {
        &self.lines[line].settings
    }

    fn line_of(&self, item: &ItemId) -> Option<usize> {
        line_of(self.lines.iter().map(|line| &*line.settings), item)
    }

    fn line_state(&self, item: &ItemId, amount: Rupiah) -> Option<(usize, LineState)> {
        let index = self.line_of(item)?;
        let line = &self.lines[index];
        Some((index, line.settings.state(amount, self.condition(index))))
    }

    fn refuse_while_stopping(&self) -> Result<(), Refusal> {
        if self.is_stopping { Err(Refusal::new(RelayError::Busy, "the service is being stopped".into())) } else { Ok(()) }
    }

    fn why_blocked(&self, index: usize, ending: &Ending) -> Option<String> {
        let blocks = match ending.outcome {
            Outcome::Dispensed => false,
            Outcome::Failed => self.misses_left(index) <= 1,
            // Something in the beam goes by itself, or stays a fault.
            Outcome::NotDriven => !self.lines[index].is_sensor_active(),
            Outcome::Uncertain => self.lines[index].settings.block_on_uncertain,
        };
        blocks.then(|| format!("{}: {}", ending.outcome, ending.detail))
    }

    fn block(&mut self, index: usize, item: ItemId, order: Option<OrderId>, why: Option<String>) {
        let Some(why) = why else { return };
        let line = self.lines[index].settings.name.clone();
        self.journal(Event::LineBlocked { item: item.clone(), order, line: line.into(), why: why.clone().into() });
        self.lines[index].blocked = Some(Blocked { why, item });
    }

    fn tell_end(&mut self, pulse: Pulse, ending: Ending) {
        let Ending { outcome, detail } = ending;
        self.effects.push(Effect::Finished { cause: pulse.cause.clone(), outcome, detail: detail.clone() });
        self.journal_end(Pulse { detail, ..pulse }, outcome);
    }

    fn journal_end(&mut self, pulse: Pulse, outcome: Outcome) {
        let Pulse { cause, item, amount, line, detail, .. } = pulse;
        let (line, detail) = (line.into(), detail.into());
        self.journal(match (cause, outcome) {
            (Cause::Test(_), _) => Event::TestEnded { item, line, state: outcome.as_str().into(), detail },
            (Cause::Order { order, request, .. }, Outcome::Dispensed) => {
                Event::PulseEnds { request, order, item, amount, line, state: outcome.as_str().into(), detail }
            }
            (Cause::Order { order, request, .. }, Outcome::Failed | Outcome::NotDriven) => {
                Event::DeliveryFailed { request, order, item, amount, line, detail }
            }
            (Cause::Order { order, request, .. }, Outcome::Uncertain) => {
                let goods = item.to_string().into();
                Event::OutcomeUncertain { request: Some(request), order, device: Some(self.me.clone()), item, goods, amount, detail }
            }
        });
    }

    fn open(&mut self) {
        let blocks = |name: &str| self.lines.iter().any(|line| line.settings.name == name && line.settings.block_on_uncertain);
        let Some(Opened { interrupted, blocked, ends }) = self.ledger.open(blocks) else { return };
        for line in &mut self.lines {
            // The file knows its own ends now, or it has lost them.
            line.work = Work::Idle;
            let block = blocked.iter().find(|block| block.line == line.settings.name);
            line.blocked = block.map(|block| Blocked { why: block.why.clone(), item: block.item.clone() });
        }
        self.chutes.iter_mut().for_each(|chute| chute.misses = Misses::default());
        for (name, outcome) in ends {
            // A line that the configuration has no more is nobody's suspect.
            if let Some(line) = self.lines.iter().find(|line| line.settings.name == name) {
                self.chutes[line.chute].misses.ended(&name, outcome);
            }
        }
        for pulse in interrupted {
            // A line that was blocked before would not have been driven.
            let line_blocked = blocked.iter().find(|block| block.line == pulse.line).map(|block| Event::LineBlocked {
                item: pulse.item.clone(),
                order: pulse.order().cloned(),
                line: block.line.clone().into(),
                why: block.why.clone().into(),
            });
            self.journal_end(pulse, Outcome::Uncertain);
            if let Some(event) = line_blocked {
                self.journal(event);
            }
        }
    }

    fn journal(&mut self, event: Event) {
        self.effects.push(Effect::Journal(event));
    }
}

impl Refusal {
    const fn new(error: RelayError, detail: String) -> Self {
        Self { error, detail }
    }
}

impl From<LedgerRefusal> for Refusal {
    fn from(refused: LedgerRefusal) -> Self {
        let error = match refused {
            LedgerRefusal::UnknownItem => RelayError::UnknownItem,
            LedgerRefusal::UnknownTicket => RelayError::UnknownTicket,
            LedgerRefusal::TooLittle(_) | LedgerRefusal::NotMultiple(_) | LedgerRefusal::TooLong => RelayError::Amount,
            LedgerRefusal::Busy => RelayError::Busy,
            LedgerRefusal::Blocked => RelayError::Blocked,
            LedgerRefusal::Hardware => RelayError::Hardware,
            LedgerRefusal::NoTry => RelayError::NoTry,
        };
        Self::new(error, refused.to_string())
    }
}

#[cfg(test)]
mod tests;
