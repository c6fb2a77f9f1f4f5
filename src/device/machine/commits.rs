//! The changes of an order. They are applied and committed with their events; only then are they known and announced.

use super::parts::Machine;
use crate::store::database::Database;
use crate::store::{Draft, StoreError, Stored};
use qris_core::order::ids::RequestId;
use qris_core::order::machine::{self as core, Event, Order, State};
use qris_core::order::reason::Reason;
use qris_core::order::request::Refusal;
use qris_core::order::time::Now;
use qris_core::order::tries::TryNumber;
use qris_core::wire::vend::{EventState, VendEvent};

/// The most transitions of an order within one input. More would be a loop in the rules.
const TRANSITIONS_MAX: usize = 8;

/// An order passed a state, and looked like this.
type PassedState = ((EventState, Option<Reason>), Order);

impl Machine {
    pub(super) fn find(&self, id: &RequestId) -> Result<Option<Stored>, StoreError> {
        self.orders.find(id, &self.storage)
    }

    /// Applies events to an order and commits the result. Memory changes only after the commit.
    pub(super) fn happen(&mut self, id: &RequestId, events: Vec<Event>, now: Now) -> Result<(), StoreError> {
        let Some(stored) = self.find(id)? else { return Ok(()) };
        let mut order = stored.order.clone();
        let mut steps = Vec::new();
        let mut note = None;
        let context = self.context(id);
        let mut step = |order: &mut Order, event: Event| {
            let next = core::apply(order.clone(), event, now.boot, &context);
            steps.extend(core::passed(Some(order), &next).into_iter().map(|name| (name, next.clone())));
            let changed = next != *order;
            *order = next;
            changed
        };
        for event in events {
            if let Event::CreateRefused(refusal) = &event {
                note = Some(refusal.clone());
            }
            step(&mut order, event);
        }
        for _ in 0..TRANSITIONS_MAX {
            if !step(&mut order, Event::Tick) {
                break;
            }
        }
        let finished = self.orders.get(id).is_none();
        if finished {
            if order.as_stored() == stored.order.as_stored() {
                return Ok(());
            }
            self.orders.insert(id.clone(), stored);
        }
        let result = self.replace(id, order, steps, note, now);
        if finished && result.is_err() {
            self.orders.remove(id, &mut self.outbox);
        }
        result
    }

    pub(super) fn replace(
        &mut self,
        id: &RequestId,
        order: Order,
        steps: Vec<PassedState>,
        note: Option<Refusal>,
        now: Now,
    ) -> Result<(), StoreError> {
        let Some(live) = self.orders.get_mut(id) else { return Ok(()) };
        let before = &live.stored;
        if order.as_stored() == before.order.as_stored() && steps.is_empty() && before.same_boot {
            live.stored.order = order;
            return Ok(());
        }
        let (before, earlier) = (before.rev, before.order.clone());
        let (events, stored) = self.commit(&order, Some(before), steps, note, now)?;
        let held = self.orders.set(id, stored);
        if held || !events.is_empty() {
            self.front.stage.moved(&order, held, now.boot);
        }
        events.iter().for_each(|event| self.faults.charged(event, now));
        self.note_sensor(&earlier, &order, now);
        self.outbox.announce(&order, events);
        if !core::unfinished(&order) {
            self.orders.remove(id, &mut self.outbox);
            if self.stock.told_early.remove(id) {
                self.reconciliation.ask_open();
            }
        }
        Ok(())
    }

    /// Commits the first version of an order.
    pub(super) fn begin(&mut self, order: Order, now: Now) -> Result<(), StoreError> {
        let (events, stored) = self.commit(&order, None, vec![(order.name(), order.clone())], None, now)?;
        self.orders.insert(order.offer.request.request_id.clone(), stored);
        self.front.stage.moved(&order, false, now.boot);
        self.outbox.announce(&order, events);
        Ok(())
    }

    /// Writes a version of an order, the events of its steps, and which events the broker has: all or nothing.
    fn commit(
        &mut self,
        order: &Order,
        before: Option<i64>,
        steps: Vec<PassedState>,
        note: Option<Refusal>,
        now: Now,
    ) -> Result<(Vec<VendEvent>, Stored), StoreError> {
        let (stream, at) = (self.storage.stream(), self.settings.time_of_day(now.wall));
        let passed = steps.iter().map(|((state, _), _)| *state);
        let measures = self.reports.measures.after(&order.offer.request.request_id, passed, now.boot);
        let drafts = steps.into_iter().map(|step| draft(step, note.clone(), stream, at.clone())).collect();
        let sent = self.outbox.take_sent();
        let commit = |store: &mut Database| store.commit(order, before, drafts, &sent, &measures.fresh);
        let result = self.storage.store_mut().map_or(Err(StoreError::Shut), commit);
        match &result {
            Ok(_) => {
                self.reports.measures = measures.stored();
                self.storage.works(&mut self.faults, &mut self.outbox, now);
            }
            Err(error) => {
                self.outbox.put_back(sent, now.boot);
                self.store_failed(error, now);
            }
        }
        result
    }
}

fn is_payable(state: &State) -> bool {
    match state {
        State::AwaitingPayment(_) => true,
        State::Requested(_)
        | State::AtCounter(_)
        | State::AwaitingCollection(_)
        | State::Cancelling(_)
        | State::Paid(_)
        | State::Dispensing(_)
        | State::Dispensed(_)
        | State::RefundDue(_)
        | State::TryingAgain(_)
        | State::TakenBack(_)
        | State::Refunded(_)
        | State::Ended(_) => false,
    }
}

/// One event, complete except for its number and name.
fn draft(((state, reason), order): PassedState, note: Option<Refusal>, stream: &str, at: Option<Box<str>>) -> Draft {
    let stream: Box<str> = stream.into();
    Box::new(move |seq, name| VendEvent {
        event_id: name.into(),
        stream,
        seq: Some(seq),
        request_id: Some(order.offer.request.request_id.clone()),
        order_id: order.order_id().cloned(),
        state,
        number_of_try: Some(order.next_number()).filter(|number| *number > TryNumber::FIRST),
        reason,
        item: Some(order.next_item().clone()),
        asked: order.offer.asked().filter(|_| order.next_number() == TryNumber::FIRST).cloned(),
        amount: Some(order.offer.amount),
        gross_amount: order.charge.as_ref().and_then(|c| c.gross_amount),
        payment_code: order.code().map(|code| code.as_str().into()),
        store: order.is_over_the_counter().then(|| order.offer.request.payment.as_str().into()),
        pay_url: order.charge.as_ref().filter(|_| is_payable(&order.state)).and_then(|charge| charge.pay_url.clone()),
        field: note.as_ref().and_then(|n| n.field.clone()),
        detail: note.map(|n| n.detail),
        at,
    })
}
