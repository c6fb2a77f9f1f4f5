//! A machine's store in memory: see [`qris_device::store`].

use qris_core::order::ids::{OrderId, PaymentCode, RequestId, Ticket};
use qris_core::order::machine::{State, unfinished};
use qris_core::order::reason::Reason;
use qris_core::order::time::BootId;
use qris_core::wire::vend::{EventState, VendEvent};
use qris_device::store::{Disk, Draft, KNOWN_REQUESTS, OUTBOX_MAX, Opened, Store, StoreError, Stored};
use std::collections::BTreeMap;
use std::rc::Rc;

type Order = qris_core::order::machine::Order;

/// The disk, with its contents while no program has it open.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    kept: Option<Rc<Kept>>,
    /// The number of stores that were begun: each has another name.
    begun: u32,
}

/// The open store.
#[derive(Clone, Debug)]
pub struct Table {
    kept: Rc<Kept>,
    boot_id: BootId,
}

/// All contents.
#[derive(Clone, Debug, Default)]
struct Kept {
    stream: Box<str>,
    /// In the order of their first writes.
    orders: BTreeMap<u64, Rc<Row>>,
    rows: u64,
    outbox: BTreeMap<u64, Rc<str>>,
    seq: u64,
    facts: BTreeMap<Box<str>, Box<str>>,
    codes: BTreeMap<RequestId, PaymentCode>,
}

/// One order.
#[derive(Clone, Debug)]
struct Row {
    order: Order,
    rev: i64,
    boot_id: BootId,
    last_event: Box<str>,
}

impl Disk for Memory {
    type Store = Table;

    fn name(&self) -> String {
        "memory".into()
    }

    fn open(&mut self, boot_id: &BootId, _suspect: bool) -> Result<Opened<Table>, StoreError> {
        let kept = self.kept.take().unwrap_or_else(|| {
            self.begun += 1;
            Rc::new(Kept { stream: format!("s{}", self.begun).into(), ..Kept::default() })
        });
        Ok(Opened { store: Table { kept, boot_id: boot_id.clone() }, set_aside: None })
    }

    fn take_back(&mut self, store: Table) {
        self.kept = Some(store.kept);
    }

    fn find_room(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Memory {
    /// It is damaged, and set aside: its contents are lost.
    pub fn lose(&mut self) {
        self.kept = None;
    }
}

/// The answer of a schema's rule.
fn refused() -> StoreError {
    rusqlite::Error::StatementChangedRows(0).into()
}

/// Refuses unless the condition holds.
fn must(so: bool) -> Result<(), StoreError> {
    if so { Ok(()) } else { Err(refused()) }
}

impl Row {
    fn id(&self) -> &RequestId {
        &self.order.offer.request.request_id
    }

    fn stored(&self, boot_id: &BootId) -> Stored {
        let same_boot = self.boot_id == *boot_id;
        Stored { order: self.order.clone(), rev: self.rev, same_boot, last_event: self.last_event.clone() }
    }

    /// The rules for every version.
    fn is_sound(&self) -> bool {
        let (state, reason) = self.order.name();
        let is_paid = match &state {
            EventState::Paid | EventState::Dispensing | EventState::Dispensed => true,
            EventState::RefundDue => !matches!(reason, Some(Reason::Mismatch | Reason::Uncertain)) && reason.is_some(),
            _ => false,
        };
        self.order.receipt().is_some() || !is_paid
    }

    /// The rules for a version that replaces this one.
    fn may_become(&self, next: &Self) -> bool {
        let (old, new) = (&self.order, &next.order);
        let receipt = |order: &Order| order.receipt().map(|receipt| Box::<str>::from(receipt.jws()));
        let has_receipt = old.receipt().is_some();
        next.rev == self.rev + 1
            && (!has_receipt || receipt(old) == receipt(new) && old.order_id() == new.order_id())
            && (new.receipt().is_some() || !matches!(new.state, State::AwaitingCollection { .. }))
            && match (old.name().0, new.name().0) {
                (EventState::Dispensed, next) => next == EventState::Dispensed,
                (EventState::Dispensing, next) => {
                    matches!(next, EventState::Dispensing | EventState::Dispensed | EventState::RefundDue | EventState::AwaitingCollection)
                }
                _ => true,
            }
    }
}

impl Kept {
    fn find(&self, so: impl Fn(&Row) -> bool) -> Option<(u64, &Rc<Row>)> {
        self.orders.iter().rev().find(|(_, row)| so(row)).map(|(at, row)| (*at, row))
    }

    /// No two orders share one of these.
    fn is_alone(&self, row: &Row, at: u64) -> bool {
        self.orders.iter().filter(|(other, _)| **other != at).all(|(_, other)| {
            other.id() != row.id()
                && other.order.ticket != row.order.ticket
                && (row.order.order_id().is_none() || other.order.order_id() != row.order.order_id())
                && !(row.order.holds_machine() && other.order.holds_machine())
        })
    }

    /// Forgets the oldest finished orders beyond the limit.
    fn forget_orders(&mut self) {
        let over = self.orders.len().saturating_sub(usize::try_from(KNOWN_REQUESTS).expect("a number"));
        let finished = self.orders.iter().filter(|(_, row)| !unfinished(&row.order)).take(over);
        for (at, id) in finished.map(|(at, row)| (*at, row.id().clone())).collect::<Vec<_>>() {
            self.orders.remove(&at);
            self.codes.remove(&id);
        }
    }
}

impl Store for Table {
    fn stream(&self) -> &str {
        &self.kept.stream
    }

    fn has_room(&self) -> bool {
        self.kept.outbox.len() < usize::try_from(OUTBOX_MAX).expect("a number")
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn live(&self) -> Result<Vec<Stored>, StoreError> {
        Ok(self.kept.orders.values().filter(|row| unfinished(&row.order)).map(|row| row.stored(&self.boot_id)).collect())
    }

    fn by_request(&self, request_id: &RequestId) -> Result<Option<Stored>, StoreError> {
        Ok(self.kept.find(|row| row.id() == request_id).map(|(_, row)| row.stored(&self.boot_id)))
    }

    fn by_order(&self, order_id: &OrderId) -> Result<Option<Stored>, StoreError> {
        Ok(self.kept.find(|row| row.order.order_id() == Some(order_id)).map(|(_, row)| row.stored(&self.boot_id)))
    }

    fn by_code(&self, code: &PaymentCode) -> Result<Option<Stored>, StoreError> {
        Ok(self.kept.find(|row| self.kept.codes.get(row.id()) == Some(code)).map(|(_, row)| row.stored(&self.boot_id)))
    }

    fn has_ticket(&self, ticket: &Ticket) -> Result<bool, StoreError> {
        Ok(self.kept.find(|row| row.order.ticket == *ticket).is_some())
    }

    fn commit(
        &mut self,
        order: &Order,
        before: Option<i64>,
        drafts: Vec<Draft>,
        sent: &[u64],
    ) -> Result<(Vec<VendEvent>, Stored), StoreError> {
        let mut kept = Kept::clone(&self.kept);
        let old = kept.find(|row| row.id() == &order.offer.request.request_id).map(|(at, row)| (at, Rc::clone(row)));
        must(old.is_some() == before.is_some())?;
        let mut last_event: Box<str> = old.as_ref().map_or("".into(), |(_, row)| row.last_event.clone());
        let mut events = Vec::new();
        for draft in drafts {
            kept.seq += 1;
            let event = draft(kept.seq, &format!("{}.{}", kept.stream, kept.seq));
            last_event = serde_json::to_string(&event).expect("an event is plain data").into();
            kept.outbox.insert(kept.seq, Rc::from(&*last_event));
            events.push(event);
        }
        let row = Row { order: order.as_stored(), rev: before.unwrap_or(0) + 1, boot_id: self.boot_id.clone(), last_event };
        let at = old.as_ref().map_or(kept.rows, |(at, _)| *at);
        must(row.is_sound() && kept.is_alone(&row, at) && old.is_none_or(|(_, old)| old.may_become(&row)))?;
        if let Some(code) = order.code() {
            kept.codes.entry(row.id().clone()).or_insert_with(|| code.clone());
        }
        let stored = Stored { order: order.clone(), ..row.stored(&self.boot_id) };
        kept.orders.insert(at, Rc::new(row));
        if before.is_none() {
            kept.rows += 1;
            kept.forget_orders();
        }
        sent.iter().for_each(|seq| drop(kept.outbox.remove(seq)));
        self.kept = Rc::new(kept);
        Ok((events, stored))
    }

    fn forget(&mut self, sent: &[u64]) -> Result<(), StoreError> {
        let kept = Rc::make_mut(&mut self.kept);
        sent.iter().for_each(|seq| drop(kept.outbox.remove(seq)));
        Ok(())
    }

    fn next_event(&self, seq: u64) -> Result<Option<(u64, String)>, StoreError> {
        Ok(self.kept.outbox.range(seq + 1..).next().map(|(seq, payload)| (*seq, payload.to_string())))
    }

    fn remembered(&self, key: &str) -> Result<Option<String>, StoreError> {
        Ok(self.kept.facts.get(key).map(|value| value.to_string()))
    }

    fn remember(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        Rc::make_mut(&mut self.kept).facts.insert(key.into(), value.into());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
