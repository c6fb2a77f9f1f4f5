//! Goods that were paid at a store. A customer who types in the payment code gets them, if the backend and the relay say
//! at that moment that they may be handed out.

use super::answers::seen_of;
use super::{Asker, BackendAnswer, CallId, Effect, HttpCall, Machine, PREPARE_WAIT, RelayAnswer, Reply};
use crate::store::{Disk, Store, StoreError};
use qris_core::order::ids::{PaymentCode, RequestId};
use qris_core::order::machine::{Event, Order, RelayCall, State};
use qris_core::order::reason::Reason;
use qris_core::order::request::{Refusal, Way};
use qris_core::order::time::{Boot, BootId, Now, Span};
use qris_core::wire::vend::EventState;
use serde::{Deserialize, Serialize};

/// A customer who typed in a code has an answer within this time.
const ANSWER_WITHIN: Span = Span::secs(10);
/// This many wrong codes lead to a pause.
const GUESSES: usize = 5;
/// The length of the pause, in which no code is taken. A wrong code is also forgotten after this time.
const PAUSE: Span = Span::secs(600);
/// The key under which the wrong codes are stored.
const GUESSES_KEY: &str = "wrong_codes";

/// A customer who waits for goods that were paid at a store. It is not stored: after a power cut the customer types
/// the code in once more. Meanwhile requests to sell are refused.
#[derive(Clone, Debug)]
pub(super) struct Collection {
    request: RequestId,
    code: PaymentCode,
    /// The question under way: first to the backend, then to the relay.
    call: CallId,
    /// The relay's owner at its question; `None`: the backend is being asked.
    asked_owner: Option<u64>,
    give_up_at: Boot,
    askers: Vec<Asker>,
}

impl Collection {
    pub(super) fn give_up_at(&self) -> Boot {
        self.give_up_at
    }

    pub(super) fn request(&self) -> &RequestId {
        &self.request
    }
}

/// The recent wrong codes: those over MQTT, and those that were typed in on this board. Neither of the two can lock the
/// other out.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Guesses {
    boot_id: Box<str>,
    mqtt: Vec<Boot>,
    board: Vec<Boot>,
}

impl Guesses {
    /// The stored codes. If they are of another boot, nobody knows how old they are. Then they count as new.
    fn restored(text: &str, boot_id: &BootId, now: Boot) -> Self {
        let stored: Self = serde_json::from_str(text).unwrap_or_default();
        let same = stored.boot_id == boot_id.0;
        let when = |times: Vec<Boot>| times.into_iter().rev().take(GUESSES).rev().map(|at| if same { at.min(now) } else { now }).collect();
        Self { boot_id: boot_id.0.clone(), mqtt: when(stored.mqtt), board: when(stored.board) }
    }

    fn of(&mut self, way: Way) -> &mut Vec<Boot> {
        match way {
            Way::Remote => &mut self.mqtt,
            Way::Board => &mut self.board,
        }
    }

    /// The end of the pause in which no code is taken from there.
    fn paused_until(&mut self, way: Way, now: Boot) -> Option<Boot> {
        let times = self.of(way);
        let until = times.last().map(|last| *last + PAUSE).filter(|_| times.len() >= GUESSES);
        if until.is_some_and(|until| now >= until) {
            times.clear();
        }
        times.retain(|at| until.is_some() || now < *at + PAUSE);
        until.filter(|until| now < *until)
    }
}

impl<D: Disk> Machine<D> {
    /// Whether this call is a question for a collection.
    pub(super) fn is_collecting(&self, call: CallId) -> bool {
        self.collection.as_ref().is_some_and(|collection| collection.call == call)
    }

    /// Somebody typed in a code. `asker` gets an answer beside the events that all hear.
    pub(super) fn collect(&mut self, code: PaymentCode, way: Way, asker: Option<Asker>, now: Now) {
        if let Some(collection) = &mut self.collection
            && collection.code.is(&code)
        {
            collection.askers.extend(asker);
            return;
        }
        if let Some(until) = self.guesses.paused_until(way, now.boot) {
            let left = (until - now.boot).as_secs_up();
            let why = format!("too many wrong codes: none is taken for {left} s");
            return self.turn_down_code(None, &code, &Refusal::new(Reason::RateLimited, why), asker, now);
        }
        match self.admit_code(&code, way, now) {
            Ok(order) => {
                let call = self.next_call_id();
                let request = order.offer.request.request_id.clone();
                let Some(id) = order.order_id().cloned() else { return };
                self.effects.push(Effect::Backend(call, request.clone(), HttpCall::Get(id)));
                let give_up_at = now.boot + ANSWER_WITHIN;
                self.collection =
                    Some(Collection { request, code, call, asked_owner: None, give_up_at, askers: asker.into_iter().collect() });
            }
            Err((request, refusal)) => self.turn_down_code(request, &code, &refusal, asker, now),
        }
    }

    /// Every objection to a code that is known before anybody is asked.
    fn admit_code(&mut self, code: &PaymentCode, way: Way, now: Now) -> Result<Order, (Option<RequestId>, Refusal)> {
        if self.is_shut() {
            let refusal = self.trouble().unwrap_or_else(|| Refusal::new(Reason::Store, "the database is not open"));
            return Err((None, refusal));
        }
        let found = match self.order_of_code(code) {
            Ok(found) => found,
            Err(error) => {
                self.store_failed(&error, now);
                return Err((None, Refusal::new(Reason::Store, error.to_string())));
            }
        };
        let Some(order) = found else { return Err((None, self.wrong_code(way, now))) };
        let request = Some(order.offer.request.request_id.clone());
        if !matches!(order.state, State::AwaitingCollection { .. }) {
            return Err((request, Refusal::field(Reason::UnknownRequest, "code", not_collectable(&order))));
        }
        let refusal = match &order.state {
            State::AwaitingCollection { doubtful: true, .. } => {
                Some(Refusal::new(Reason::Relay, "the relay service must first say whether it was handed out before"))
            }
            _ if self.store_fails() => Some(Refusal::new(Reason::Store, "the database cannot be written")),
            _ if self.candidate.is_some() || self.collection.is_some() || self.holder.is_some() => {
                Some(Refusal::new(Reason::Busy, "another order holds the machine"))
            }
            _ => self.relay_unfit(),
        };
        match refusal {
            Some(refusal) => Err((request, refusal)),
            None => Ok(order),
        }
    }

    /// Counts a wrong code. The count is stored before anybody is told, so a restart gives no new tries.
    fn wrong_code(&mut self, way: Way, now: Now) -> Refusal {
        self.guesses.of(way).push(now.boot);
        let text = serde_json::to_string(&self.guesses).expect("numbers are plain data");
        let stored = match &mut self.store {
            Some(store) => store.remember(GUESSES_KEY, &text),
            None => Err(StoreError::Shut),
        };
        match stored {
            Ok(()) => Refusal::field(Reason::WrongCode, "code", "no order here has this payment code"),
            Err(error) => {
                self.store_failed(&error, now);
                Refusal::new(Reason::Store, error.to_string())
            }
        }
    }

    /// Takes up the stored wrong codes.
    pub(super) fn restore_guesses(&mut self, now: Now) -> Result<(), StoreError> {
        let text = self.store.as_ref().map(|store| store.remembered(GUESSES_KEY)).transpose()?.flatten();
        self.guesses = Guesses::restored(text.as_deref().unwrap_or("{}"), &self.settings.boot_id, now.boot);
        Ok(())
    }

    /// The order with this code. If there are several, a collectable one comes first, then one that is not over yet.
    fn order_of_code(&self, code: &PaymentCode) -> Result<Option<Order>, StoreError> {
        let live = self.live.values().map(|live| &live.stored.order).filter(|order| order.code().is_some_and(|known| known.is(code)));
        let rank = |order: &&Order| if matches!(order.state, State::AwaitingCollection { .. }) { 0 } else { 1 };
        if let Some(order) = live.min_by_key(rank) {
            return Ok(Some(order.clone()));
        }
        match &self.store {
            Some(store) => Ok(store.by_code(code)?.map(|stored| stored.order)),
            None => Err(StoreError::Shut),
        }
    }

    /// The order of a request, while it waits for its customer to come back.
    fn collectable(&self, request: &RequestId) -> Option<&Order> {
        let order = &self.live.get(request)?.stored.order;
        matches!(order.state, State::AwaitingCollection { .. }).then_some(order)
    }

    /// The backend's word on an order that a customer collects.
    pub(super) fn collection_confirmed(&mut self, answer: BackendAnswer, now: Now) {
        let Some(collection) = self.collection.take() else { return };
        self.note_backend(&answer, now);
        let BackendAnswer::Order(resource) = answer else {
            let refusal = match answer {
                BackendAnswer::Later(refusal, _) | BackendAnswer::Wrong(refusal) | BackendAnswer::Refused(refusal) => refusal.detail,
                BackendAnswer::NoAnswer { why, .. } => why,
                BackendAnswer::Absent => "it knows no such order".into(),
                BackendAnswer::Order(_) | BackendAnswer::Open(_) | BackendAnswer::OtherOutcome => "it gave no answer to this".into(),
            };
            // The backend is asked until it answers, so that the fault goes when it is back.
            self.reconciliation.ask_open();
            let refusal = Refusal::new(Reason::Backend, format!("the backend does not confirm it: {refusal}"));
            return self.refuse_collection(collection, &refusal, now);
        };
        let seen = seen_of((*resource).clone());
        let pending = !seen.is_collectable();
        let events = self.seen(&collection.request, *resource);
        if let Err(error) = self.happen(&collection.request, events, now) {
            return self.refuse_collection(collection, &Refusal::new(Reason::Store, error.to_string()), now);
        }
        // Otherwise the order has just ended, and its event has told that.
        let Some(ticket) = self.collectable(&collection.request).map(|order| order.ticket.clone()) else {
            return self.answer_collection(collection);
        };
        if pending {
            let refusal = Refusal::field(Reason::UnknownRequest, "code", "the store's payment is not confirmed");
            return self.refuse_collection(collection, &refusal, now);
        }
        if let Some(refusal) = self.relay_unfit() {
            return self.refuse_collection(collection, &refusal, now);
        }
        let call = self.next_call_id();
        self.effects.push(Effect::Relay(call, collection.request.clone(), RelayCall::Check(ticket)));
        let give_up_at = collection.give_up_at.min(now.boot + PREPARE_WAIT);
        self.collection = Some(Collection { call, asked_owner: Some(self.links.owner), give_up_at, ..collection });
    }

    /// The relay's word on an order that a customer collects.
    pub(super) fn collection_checked(&mut self, answer: &RelayAnswer, now: Now) {
        let Some(collection) = self.collection.take() else { return };
        let refusal = match answer {
            RelayAnswer::Checked { .. } if collection.asked_owner != self.links.relay_owner() => {
                Refusal::new(Reason::Relay, "the relay service has just been restarted")
            }
            RelayAnswer::Checked { deliverable: true, .. } => {
                let happened = self.happen(&collection.request, vec![Event::Collected], now);
                let waits = self.collectable(&collection.request).is_some();
                return match happened {
                    Ok(()) if self.holder.as_ref() == Some(&collection.request) => {
                        self.reply_to_all(collection.askers, Reply { state: Some(EventState::Paid), reason: None });
                    }
                    // Another customer, who had paid, came in between.
                    Ok(()) if waits => {
                        self.refuse_collection(collection, &Refusal::new(Reason::Busy, "another order holds the machine"), now);
                    }
                    // The order ended meanwhile, and its event has told that.
                    Ok(()) => self.answer_collection(collection),
                    Err(error) => self.refuse_collection(collection, &Refusal::new(Reason::Store, error.to_string()), now),
                };
            }
            RelayAnswer::Checked { deliverable: false, reason } => {
                let reason = [Reason::LineBlocked, Reason::Busy].into_iter().find(|known| known.as_str() == &**reason);
                Refusal::new(reason.unwrap_or(Reason::Relay), "the machine cannot hand it out now")
            }
            RelayAnswer::Refused(_, why) | RelayAnswer::NoAnswer(why) => Refusal::new(Reason::Relay, why.clone()),
            RelayAnswer::Dispense(_) | RelayAnswer::Close(_) | RelayAnswer::Proof(_) => {
                Refusal::new(Reason::Relay, "the relay service gave no answer to this")
            }
        };
        self.effects.push(Effect::ReadRelay);
        self.refuse_collection(collection, &refusal, now);
    }

    /// The relay service is gone. A customer who waits for the backend would hear this in the end, and hears it now.
    pub(super) fn collection_without_relay(&mut self, now: Now) {
        let (Some(refusal), Some(collection)) = (self.relay_unfit(), self.collection.take()) else { return };
        self.effects.push(Effect::Abandon(collection.call));
        self.refuse_collection(collection, &refusal, now);
    }

    /// A collection that gets no answer.
    pub(super) fn pump_collection(&mut self, now: Now) {
        let Some(collection) = self.collection.take_if(|collection| now.boot >= collection.give_up_at) else { return };
        let refusal = match collection.asked_owner {
            None => Refusal::new(Reason::Backend, "the backend does not answer"),
            Some(_) => Refusal::new(Reason::Relay, "the relay service does not answer"),
        };
        if collection.asked_owner.is_none() {
            self.reconciliation.ask_open();
            self.effects.push(Effect::Abandon(collection.call));
        }
        self.refuse_collection(collection, &refusal, now);
    }

    /// Answers with the order's new state, which an event has told already.
    fn answer_collection(&mut self, collection: Collection) {
        let reply = self.last_state(&collection.request);
        self.reply_to_all(collection.askers, reply);
    }

    fn refuse_collection(&mut self, collection: Collection, refusal: &Refusal, now: Now) {
        let Collection { request, code, askers, .. } = collection;
        self.reply_to_all(askers, Reply::refused(refusal.reason));
        self.refuse_code(Some(request), &code, refusal, now);
    }

    fn turn_down_code(&mut self, request: Option<RequestId>, code: &PaymentCode, refusal: &Refusal, asker: Option<Asker>, now: Now) {
        self.reply_to_all(asker, Reply::refused(refusal.reason));
        self.refuse_code(request, code, refusal, now);
    }

    fn reply_to_all(&mut self, askers: impl IntoIterator<Item = Asker>, reply: Reply) {
        askers.into_iter().for_each(|asker| self.reply(asker, reply));
    }
}

/// Why an order with a known code is not handed out.
fn not_collectable(order: &Order) -> &'static str {
    match &order.state {
        State::Requested { .. } | State::AwaitingPayment { .. } | State::AtCounter => "it is not paid yet",
        State::AwaitingCollection { .. } => "it can be collected",
        State::Cancelling { .. } | State::Ended { .. } => "it was never paid, and cannot be any more",
        State::TakenBack { .. } => "its payment was taken back",
        State::Paid { .. } | State::Dispensing { .. } => "it is being handed out",
        State::Dispensed { .. } => "it was collected already",
        State::RefundDue { .. } => "it is not handed out any more: its refund is due",
        State::Refunded { .. } => "its money was paid back",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_wrong_codes_lead_to_ten_minutes_of_pause_for_one_way_alone() {
        let (mqtt, board) = (Way::Remote, Way::Board);
        let mut guesses = Guesses::default();
        let minute = |n: i64| Boot(n * 60_000);
        for n in 0..4 {
            guesses.of(mqtt).push(minute(n));
            assert_eq!(guesses.paused_until(mqtt, minute(n)), None);
        }
        // The first wrong code is forgotten by then.
        guesses.paused_until(mqtt, minute(10));
        guesses.of(mqtt).push(minute(10));
        assert_eq!(guesses.paused_until(mqtt, minute(10)), None);
        guesses.of(mqtt).push(minute(10));
        assert_eq!(guesses.paused_until(mqtt, minute(10)), Some(minute(20)));
        assert_eq!(guesses.paused_until(board, minute(10)), None, "who types on the board is not locked out by the broker");
        let stored = serde_json::to_string(&Guesses { boot_id: "b".into(), ..guesses.clone() }).expect("plain");
        for (boot_id, now, until) in [("b", 15, 20), ("c", 1, 11)] {
            let mut restored = Guesses::restored(&stored, &BootId(boot_id.into()), minute(now));
            assert_eq!(restored.paused_until(mqtt, minute(now)), Some(minute(until)), "{boot_id}");
        }
        assert_eq!(guesses.paused_until(mqtt, minute(20)), None);
        assert!(guesses.mqtt.is_empty(), "five new tries");
        assert_eq!(Guesses::restored("no JSON", &BootId("b".into()), Boot(0)).mqtt, []);
    }
}
