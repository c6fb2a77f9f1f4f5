//! The changes of an order. They are applied and committed with their events; only then are they known and announced.

use super::calls::Live;
use super::{Effect, Machine, TRANSITIONS_MAX};
use crate::store::{Disk, Draft, Store, StoreError, Stored};
use qris_core::order::ids::RequestId;
use qris_core::order::machine::{self as core, Event, Order};
use qris_core::order::reason::Reason;
use qris_core::order::request::Refusal;
use qris_core::order::time::Now;
use qris_core::wire::vend::{EventState, VendEvent};
use qris_host::events::Event as Journal;

impl<D: Disk> Machine<D> {
    /// The order of a request, from memory or, if it is finished, from the database.
    pub(super) fn find(&self, id: &RequestId) -> Result<Option<Stored>, StoreError> {
        match (self.live.get(id), &self.store) {
            (Some(live), _) => Ok(Some(live.stored.clone())),
            (None, Some(store)) => store.by_request(id),
            (None, None) => Ok(None),
        }
    }

    pub(super) fn note_holder(&mut self, id: &RequestId, order: Option<&Order>) {
        if order.is_some_and(Order::holds_machine) {
            self.holder = Some(id.clone());
        } else if self.holder.as_ref() == Some(id) {
            self.holder = None;
        }
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
        let finished = !self.live.contains_key(id);
        if finished {
            if order.as_stored() == stored.order.as_stored() {
                return Ok(());
            }
            self.live.insert(id.clone(), Live::new(stored));
        }
        let result = self.replace(id, order, steps, note, now);
        if finished && result.is_err() {
            self.live.remove(id);
        }
        result
    }

    /// Commits an order in place of the live one, with the events of its steps.
    pub(super) fn replace(
        &mut self,
        id: &RequestId,
        order: Order,
        steps: Vec<((EventState, Option<Reason>), Order)>,
        note: Option<Refusal>,
        now: Now,
    ) -> Result<(), StoreError> {
        let Some(live) = self.live.get_mut(id) else { return Ok(()) };
        if order.as_stored() == live.stored.order.as_stored() && steps.is_empty() && live.stored.same_boot {
            live.stored.order = order;
            return Ok(());
        }
        let before = live.stored.rev;
        let drafts = steps.into_iter().map(|(name, order)| self.draft(name, order, note.clone(), now)).collect();
        let (events, stored) = self.commit(&order, Some(before), drafts, now)?;
        let finished = !core::unfinished(&order);
        let mut held = false;
        if let Some(live) = self.live.get_mut(id) {
            held = live.stored.order.holds_machine();
            live.stored = stored;
        }
        self.note_holder(id, Some(&order));
        if held || !events.is_empty() {
            self.stage.moved(&order, held, now.boot);
        }
        self.announce(&order, events);
        if finished && let Some(gone) = self.live.remove(id) {
            self.abandon(gone);
        }
        Ok(())
    }

    /// Commits the first version of an order.
    pub(super) fn begin(&mut self, order: Order, now: Now) -> Result<(), StoreError> {
        let id = order.offer.request.request_id.clone();
        let drafts = vec![self.draft(order.name(), order.clone(), None, now)];
        let (events, stored) = self.commit(&order, None, drafts, now)?;
        self.note_holder(&id, Some(&order));
        self.live.insert(id, Live::new(stored));
        self.stage.moved(&order, false, now.boot);
        self.announce(&order, events);
        Ok(())
    }

    pub(super) fn commit(
        &mut self,
        order: &Order,
        before: Option<i64>,
        drafts: Vec<Draft>,
        now: Now,
    ) -> Result<(Vec<VendEvent>, Stored), StoreError> {
        let sent = self.outbox.take_sent();
        let result = match &mut self.store {
            Some(store) => store.commit(order, before, drafts, &sent),
            None => Err(StoreError::Shut),
        };
        match result {
            Ok(done) => {
                self.store_works(now);
                Ok(done)
            }
            Err(error) => {
                self.outbox.put_back(sent, now.boot);
                self.store_failed(&error, now);
                Err(error)
            }
        }
    }

    /// One event, complete except for its number and name.
    pub(super) fn draft(&self, (state, reason): (EventState, Option<Reason>), order: Order, note: Option<Refusal>, now: Now) -> Draft {
        let stream: Box<str> = self.stream().into();
        let at = self.trusted(now.wall).map(|wall| wall.to_rfc3339().into());
        Box::new(move |seq, name| VendEvent {
            event_id: name.into(),
            stream,
            seq: Some(seq),
            request_id: Some(order.offer.request.request_id.clone()),
            order_id: order.order_id().cloned(),
            state,
            reason,
            item: Some(order.offer.request.item.clone()),
            amount: Some(order.offer.amount),
            gross_amount: order.charge.as_ref().and_then(|c| c.gross_amount),
            payment_code: order.code().map(|code| code.as_str().into()),
            store: order.is_over_the_counter().then(|| order.offer.request.payment.as_str().into()),
            field: note.as_ref().and_then(|n| n.field.clone()),
            detail: note.map(|n| n.detail),
            at,
        })
    }

    /// Tells everybody except the broker, whose copies are in the outbox.
    pub(super) fn announce(&mut self, order: &Order, events: Vec<VendEvent>) {
        let request = &order.offer.request;
        for event in events {
            self.effects.push(Effect::Journal(Journal::OrderMoved {
                request: request.request_id.clone(),
                order: event.order_id.clone(),
                item: request.item.clone(),
                amount: order.offer.amount,
                state: event.state.to_string().into(),
                reason: event.reason.map(|reason| reason.to_string().into()),
            }));
            if event.state == EventState::RefundDue
                && let Some(order_id) = event.order_id.clone()
            {
                let why = event.reason.as_ref().map_or_else(String::new, Reason::to_string).into();
                let (item, amount) = (request.item.clone(), order.offer.amount);
                let id = Some(request.request_id.clone());
                self.effects.push(Effect::Journal(if event.reason == Some(Reason::Uncertain) {
                    Journal::OutcomeUncertain { request: id, order: order_id, device: None, item, amount, detail: why }
                } else {
                    Journal::RefundDue { request: id, order: order_id, device: None, item, amount, why }
                }));
            }
            self.effects.push(Effect::OrderChanged(event));
        }
    }
}
