//! Answers of relay and backend: their news of an order, and the time of the next call.

use super::calls::{DRIVEN_RETRY, HINT_EVERY, LOOK_EVERY, WATCH_RETRY};
use super::faults::Trouble;
use super::{BackendAnswer, CallId, Effect, HttpCall, Machine, RelayAnswer};
use crate::store::Disk;
use qris_core::order::ids::{OrderId, PaymentCode, RequestId};
use qris_core::order::machine::{Event, Order, RelayCall, RelayRefusal, Seen, State};
use qris_core::order::outcome::{CloseAnswer, DispenseAnswer, Outcome};
use qris_core::order::reason::Reason;
use qris_core::order::receipt::Receipt;
use qris_core::order::time::{Now, Span};
use qris_core::wire::dbus::RelayError;
use qris_core::wire::orders::Order as Resource;
use qris_core::wire::status::FaultCode;
use qris_host::events::Event as Journal;

/// When the backend's books have not had an order for so long, the machine stops asking about it and reporting it. No QR can be
/// paid for so long.
const ABSENT_FOR: Span = Span::secs(24 * 3600);
/// A relay that is there and gives no proof is asked this often, for a minute and more. Then the report goes without a proof.
const PROOF_TRIES: u32 = 8;
/// The longest address that the screen shows as a code beside the QR.
const PAY_URL_MAX: usize = 150;

impl<D: Disk> Machine<D> {
    pub(super) fn relay_answered(&mut self, id: CallId, request: &RequestId, answer: RelayAnswer, now: Now) {
        if self.is_collecting(id) {
            return self.collection_checked(&answer, now);
        }
        let Some(live) = self.live.get_mut(request) else { return };
        let current = live.relay.is_running(id);
        let call = if current { live.relay.running.take().map(|(_, call)| call) } else { None };
        // An answer to a call that was given up is news only if it is final.
        let fact = matches!(answer, RelayAnswer::Dispense(DispenseAnswer::Ended(_)));
        if !current && !fact {
            return;
        }
        if let Some(RelayCall::Prove(_)) = &call {
            let is_enough = live.relay.failures >= PROOF_TRIES;
            live.proof = match answer {
                RelayAnswer::Proof(proof) => Some(proof),
                // The relay has another ledger.
                RelayAnswer::Refused(RelayError::UnknownTicket, _) => Some(None),
                // The ledger, or the relay itself, may be well again in a moment. But the customer who paid must hear of it.
                RelayAnswer::Refused(..) | RelayAnswer::NoAnswer(_) => is_enough.then_some(None),
                RelayAnswer::Checked { .. } | RelayAnswer::Dispense(_) | RelayAnswer::Close(_) => None,
            };
            return if live.proof.is_some() { live.relay.done() } else { live.relay.again(Span::ZERO, now.boot) };
        }
        let (owner, before) = (live.asked_owner, live.stored.order.clone());
        let unheard = live.unanswered.then_some(Event::RelayUnanswered);
        if let (RelayAnswer::Refused(error, detail), Some(RelayCall::Dispense(_))) = (&answer, &call)
            && *error != RelayError::Busy
        {
            self.links.relay_refused = true;
            self.fault(FaultCode::Relay, Some(&format!("it refused a receipt: {error} ({detail})")), now);
        }
        let event = relay_event(&answer, call.as_ref(), owner, self.links.owner, &before);
        let (told, is_silence) = (event.is_some(), matches!(event, Some(Event::RelayUnanswered)));
        let happened = match event {
            Some(event) => self.happen(request, unheard.into_iter().chain([event]).collect(), now),
            None => Ok(()),
        };
        if let Some(live) = self.live.get_mut(request) {
            match &happened {
                Err(_) => live.unanswered |= is_silence,
                Ok(()) if told => live.unanswered = false,
                Ok(()) => {}
            }
        }
        let driven = matches!(
            answer,
            RelayAnswer::Refused(RelayError::Busy, _)
                | RelayAnswer::Dispense(DispenseAnswer::Dispensing)
                | RelayAnswer::Close(CloseAnswer::Dispensing)
        );
        if let Some(live) = self.live.get_mut(request).filter(|_| current) {
            let unanswered = matches!(answer, RelayAnswer::NoAnswer(_));
            match happened {
                Ok(()) if driven => live.relay.pause(DRIVEN_RETRY, now.boot),
                // `Query` follows an unanswered `Dispense`, but not in a loop.
                Ok(()) if live.stored.order != before && !unanswered => live.relay.done(),
                // The answer brought nothing new, or it could not be stored and so is not known: the same call gets the
                // same answer again.
                Ok(()) | Err(_) => live.relay.again(Span::ZERO, now.boot),
            }
        }
        // The relay's facts change when a line or its ledger fails, not with a sale that goes well.
        let as_ever = match &answer {
            RelayAnswer::Checked { deliverable, .. } => *deliverable,
            RelayAnswer::Dispense(answer) => match answer {
                DispenseAnswer::Ended(Outcome::Dispensed) | DispenseAnswer::Dispensing | DispenseAnswer::Unknown => true,
                DispenseAnswer::Ended(Outcome::Failed | Outcome::Uncertain) | DispenseAnswer::Later(_) => false,
            },
            RelayAnswer::Close(_) | RelayAnswer::Proof(_) => true,
            RelayAnswer::Refused(..) | RelayAnswer::NoAnswer(_) => false,
        };
        // An earlier fault of the relay may have gone.
        let troubled = !self.links.relay.faults.is_empty() || !self.links.relay.blocked.is_empty();
        if !as_ever || troubled {
            self.effects.push(Effect::ReadRelay);
        }
    }

    pub(super) fn relay_finished(&mut self, order_id: &OrderId, answer: DispenseAnswer, now: Now) {
        let id = self.live.iter().find(|(_, live)| live.stored.order.order_id() == Some(order_id)).map(|(id, _)| id.clone());
        if let (Some(id), DispenseAnswer::Ended(_)) = (id, answer) {
            // If it cannot be stored, `Query` tells it again.
            drop(self.happen(&id, vec![Event::RelayAnswered(answer)], now));
        }
    }

    pub(super) fn backend_answered(&mut self, id: CallId, request: &RequestId, answer: BackendAnswer, now: Now) {
        if self.is_collecting(id) {
            return self.collection_confirmed(answer, now);
        }
        let Some(live) = self.live.get_mut(request) else { return };
        if !live.backend.is_running(id) {
            return;
        }
        let Some((_, call)) = live.backend.running.take() else { return };
        if matches!(call, HttpCall::Get(_)) {
            live.hint_after = now.boot + HINT_EVERY;
            live.look_at = Some(now.boot + LOOK_EVERY);
        }
        let before = (live.stored.rev, live.rev);
        let absent = matches!(answer, BackendAnswer::Absent);
        let absent_before = live.absent_since.is_some();
        if absent {
            live.absent_since.get_or_insert(now.boot);
        } else if !matches!(answer, BackendAnswer::NoAnswer { .. } | BackendAnswer::Later(..)) {
            live.absent_since = None;
        }
        let forsaken = absent && live.absent_since.is_some_and(|since| now.boot >= since + patience(&call, &live.stored.order));
        self.note_backend(&answer, now);
        if forsaken && matches!(call, HttpCall::Tell(..)) {
            self.tell_of_loss(request, true);
        } else if absent && !absent_before {
            self.tell_of_loss(request, false);
        }
        let events = match answer {
            BackendAnswer::Order(resource) => {
                let telling = matches!(call, HttpCall::Tell(..));
                let mut events = self.seen(request, *resource);
                if telling {
                    events.insert(0, Event::Told);
                }
                events
            }
            BackendAnswer::OtherOutcome => vec![Event::Told],
            BackendAnswer::Absent => match call {
                HttpCall::Watch(..) | HttpCall::Get(_) | HttpCall::Cancel(_) if forsaken => vec![Event::Forsaken],
                HttpCall::Watch(..) | HttpCall::Get(_) | HttpCall::Cancel(_) => vec![Event::Absent],
                HttpCall::Tell(..) if forsaken => vec![Event::Told],
                HttpCall::Tell(..) | HttpCall::Create(_) => vec![],
            },
            BackendAnswer::Refused(refusal) | BackendAnswer::Wrong(refusal) => match call {
                HttpCall::Create(_) => vec![Event::CreateRefused(refusal)],
                HttpCall::Watch(..) | HttpCall::Get(_) | HttpCall::Cancel(_) | HttpCall::Tell(..) => vec![],
            },
            BackendAnswer::Later(refusal, after) => {
                // This is known only in this run of the program: nothing is written, so nothing can fail.
                drop(self.happen(request, vec![Event::CreateDelayed(refusal.reason)], now));
                if let Some(live) = self.live.get_mut(request) {
                    live.backend.again(after, now.boot);
                }
                return;
            }
            BackendAnswer::NoAnswer { code: Some(code), .. } => {
                drop(self.happen(request, vec![Event::CreateDelayed(code)], now));
                vec![]
            }
            BackendAnswer::Open(_) | BackendAnswer::NoAnswer { code: None, .. } => vec![],
        };
        let known = !events.is_empty() && !absent;
        let stored = self.happen(request, events, now).is_ok();
        let Some(live) = self.live.get_mut(request) else { return };
        let moved = before != (live.stored.rev, live.rev);
        match call {
            HttpCall::Watch(..) if known && moved => live.backend.done(),
            HttpCall::Watch(..) if known => live.backend.pause(WATCH_RETRY, now.boot),
            _ if stored && moved => live.backend.done(),
            HttpCall::Get(_) if known && stored => live.backend.done(),
            // The reason for this question is still there.
            HttpCall::Get(_) if live.stored.order.waits_for_customer() => {
                live.hinted = true;
                live.backend.again_in_background(Span::ZERO, now.boot);
            }
            HttpCall::Create(_) | HttpCall::Watch(..) | HttpCall::Get(_) | HttpCall::Cancel(_) | HttpCall::Tell(..) => {
                if live.stored.order.holds_machine() {
                    live.backend.again(Span::ZERO, now.boot);
                } else {
                    live.backend.again_in_background(Span::ZERO, now.boot);
                }
            }
        }
    }

    /// The books do not have this order. `unwanted`: nobody will ever take its outcome.
    fn tell_of_loss(&mut self, request: &RequestId, unwanted: bool) {
        let Some(stored) = self.live.get(request).map(|live| &live.stored.order) else { return };
        let Some(order) = stored.order_id().cloned() else { return };
        let (item, amount, state) = (stored.offer.request.item.clone(), stored.offer.amount, stored.name().0.to_string().into());
        let request = request.clone();
        self.effects.push(Effect::Journal(if unwanted {
            Journal::OutcomeUnwanted { request, order, item, amount, state }
        } else {
            Journal::OrderLost { request, order, item, amount, state }
        }));
    }

    /// The news in an order resource: the state of the order, and the receipt if there is one that can be believed.
    pub(super) fn seen(&mut self, request: &RequestId, resource: Resource) -> Vec<Event> {
        if let Some(live) = self.live.get_mut(request) {
            live.rev = live.rev.max(resource.rev);
        }
        let receipt = resource.receipt.as_deref().and_then(|jws| self.believe(jws, request));
        let mut events = vec![Event::Seen(seen_of(resource))];
        events.extend(receipt.map(Event::Settled));
        events
    }

    /// Verifies a receipt for the order of a request. The receipt that the order already has is believed without that.
    pub(super) fn believe(&mut self, jws: &str, request: &RequestId) -> Option<Receipt> {
        let held = self.live.get(request).and_then(|live| live.stored.order.receipt());
        if let Some(held) = held.filter(|held| held.jws() == jws) {
            return Some(held.clone());
        }
        let verified = self.settings.keys.verify(jws, &self.settings.device);
        let refused = match verified {
            Ok(receipt) => match self.find(request) {
                Ok(Some(stored)) if stored.order.fits(&receipt) => return Some(receipt),
                Ok(Some(_)) => "it is not for this machine's order of that request".to_owned(),
                Ok(None) => "this machine made no such request".to_owned(),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        self.effects.push(Effect::Journal(Journal::ReceiptRefused { request: Some(request.clone()), order: None, why: refused.into() }));
        None
    }

    /// Notes whether the backend is there, as far as its last answer tells.
    pub(super) fn note_backend(&mut self, answer: &BackendAnswer, now: Now) {
        let trouble = match answer {
            BackendAnswer::NoAnswer { why, date_refusal, .. } => Trouble::Gone { why: why.clone(), date_refusal: *date_refusal },
            BackendAnswer::Wrong(refusal) => Trouble::Gone { why: refusal.detail.clone(), date_refusal: false },
            BackendAnswer::Order(_)
            | BackendAnswer::Open(_)
            | BackendAnswer::Absent
            | BackendAnswer::OtherOutcome
            | BackendAnswer::Refused(_)
            | BackendAnswer::Later(..) => Trouble::None,
        };
        self.backend_state(trouble, now);
    }
}

/// How long the machine asks about an order that the books do not have: as long as it can be paid or collected, and for
/// a day at least.
fn patience(call: &HttpCall, order: &Order) -> Span {
    let charge = order.charge.as_ref().filter(|_| !matches!(call, HttpCall::Tell(..)));
    let own = charge.and_then(|charge| charge.pay_within.max(charge.collect_within));
    own.unwrap_or(ABSENT_FOR).max(ABSENT_FOR)
}

/// The news of an order in a relay's answer, if there is any.
pub fn relay_event(answer: &RelayAnswer, call: Option<&RelayCall>, asked: u64, owner: u64, order: &Order) -> Option<Event> {
    match (answer, call) {
        (RelayAnswer::Checked { .. }, _) if asked != owner => None,
        (RelayAnswer::Checked { deliverable: true, .. }, _) => Some(Event::CheckPassed(asked)),
        (RelayAnswer::Checked { deliverable: false, reason }, _) => {
            let blocked = **reason == *Reason::LineBlocked.as_str();
            // A QR that is not shown yet waits for a relay that may still be starting. Time ends that wait.
            let waits = matches!(order.state, State::AwaitingPayment { checked: 0, .. }) || **reason == *Reason::Busy.as_str();
            match (blocked, waits) {
                (true, _) => Some(Event::CheckFailed(Reason::LineBlocked)),
                (false, true) => None,
                (false, false) => Some(Event::CheckFailed(Reason::Relay)),
            }
        }
        (RelayAnswer::Dispense(answer), _) => Some(Event::RelayAnswered(*answer)),
        (RelayAnswer::Close(answer), _) => Some(Event::TicketClosed(*answer)),
        (RelayAnswer::Proof(_), _) => None,
        (RelayAnswer::Refused(error, _), Some(RelayCall::Dispense(_))) => Some(Event::RelayRefused(match error {
            RelayError::Busy => RelayRefusal::Busy,
            RelayError::UnknownTicket => RelayRefusal::UnknownTicket,
            RelayError::InvalidReceipt
            | RelayError::WrongDevice
            | RelayError::UnknownItem
            | RelayError::Amount
            | RelayError::Blocked
            | RelayError::Hardware
            | RelayError::Ledger => RelayRefusal::Other,
        })),
        (RelayAnswer::Refused(RelayError::UnknownTicket, _), Some(RelayCall::Close(_))) => Some(Event::TicketUnknown),
        (RelayAnswer::Refused(_, _), Some(RelayCall::Check(_))) => Some(Event::CheckFailed(Reason::Relay)),
        (RelayAnswer::Refused(_, _), Some(RelayCall::Query(_) | RelayCall::Close(_) | RelayCall::Prove(_)) | None) => None,
        (RelayAnswer::NoAnswer(_), Some(RelayCall::Dispense(_))) => Some(Event::RelayUnanswered),
        (RelayAnswer::NoAnswer(_), Some(RelayCall::Check(_) | RelayCall::Query(_) | RelayCall::Close(_) | RelayCall::Prove(_)) | None) => {
            None
        }
    }
}

/// A page's address that a phone can read from a small code.
fn is_address(url: &str) -> bool {
    let web = url.starts_with("https://") || url.starts_with("http://");
    web && url.len() <= PAY_URL_MAX && url.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The core's view of an order resource.
pub fn seen_of(resource: Resource) -> Seen {
    let span = |seconds: u64| Span::secs(i64::try_from(seconds).unwrap_or(i64::MAX / 1000));
    Seen {
        order_id: resource.order_id,
        status: resource.status,
        gross_amount: resource.gross_amount,
        payload: resource.qr_payload,
        code: resource.payment_code.and_then(|code| PaymentCode::new(&code).ok()),
        store: resource.store,
        pay_url: resource.pay_url.filter(|url| is_address(url)),
        expires_in: resource.expires_in_s.map(span),
        settled_ago: resource.settled_ago_s.map(span),
        kid: resource.kid,
        has_outcome: resource.outcome.is_some(),
        refund: resource.refund.is_some(),
        sandbox: resource.sandbox,
        collect_within: resource.collect_within_s.map(span),
    }
}
