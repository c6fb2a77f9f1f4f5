//! Another try at what did not come. It is offered on the screen for a while, to the customer who is there or who stands there again, and
//! begins with a press.

use super::front::Customer;
use super::outbox::RefusedVend;
use super::parts::Machine;
use super::second_tries::{Behind, Press, Pressed, SecondTries, TryCandidate, TryOffer, seconds};
use super::show::goods;
use crate::config::afar::LineOf;
use crate::store::fact::{Fact, Known};
use crate::words::{Asker, CallId, Effect, PrepareError, Reply};
use qris_core::order::ids::{ItemId, RequestId, Ticket};
use qris_core::order::ledger::Again;
use qris_core::order::machine::{Event, LaterTry, Order, PromisedTry, RefundDue, ReportStep, State, Undelivered};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Delivery;
use qris_core::order::reason::Reason;
use qris_core::order::request::{Price, Refusal, VendRequest};
use qris_core::order::stock::NotSold;
use qris_core::order::time::{Now, Span, Wall};
use qris_core::order::tries::TryNumber;
use qris_core::wire::dbus::RelayError;
use qris_core::wire::orders::OrderResource;
use qris_core::wire::vend::TryRequest;
use qris_screen::picture::{Scene, TryStep};

/// After so many misses in a row somebody looks first: the sensor itself may be wrong. Often all lines have the same one.
const MISSES_MAX: u32 = 2;
/// Without the broker nobody brings the wish of a customer who comes back. So the backend is asked this often.
const LOOK_EVERY: Span = Span::secs(20);
/// … and this often while a number is on the screen: it was told, and its customer waits to press.
const NUMBER_EVERY: Span = Span::secs(2);
/// The backend tells in whole seconds how long a wish lasts. One that ends later by more than this is another wish.
const SAME_WISH: Span = Span::secs(5);
/// Until when the backend offers something again, across a restart.
const OFFERED_UNTIL: Fact<Wall> = Fact::new("offered_until");
/// After a restart the backend is asked for so long at most: the clock may be wrong.
const OFFERED_MAX: Span = Span::secs(24 * 3600);
/// How many the sensors have missed in a row, across a restart.
const MISSES: Fact<u32> = Fact::new("misses");

impl Machine {
    pub(super) fn take_up_tries(&mut self, now: Now) {
        let Some(store) = self.storage.store() else { return };
        let until = store.known(&OFFERED_UNTIL).ok().and_then(Known::good).unwrap_or(now.wall);
        self.second_tries.misses = store.known(&MISSES).ok().and_then(Known::good).unwrap_or_default();
        if until > now.wall {
            self.second_tries.offered_until = now.boot + (until - now.wall).min(OFFERED_MAX);
            self.second_tries.look_at = now.boot + LOOK_EVERY;
        }
    }

    /// The backend has taken the report that nothing came. While the customer looks at that, another try is offered.
    pub(super) fn offer_at_once(&mut self, request: &RequestId, resource: &OrderResource, now: Now) {
        let Some(left) = resource.try_again_s.filter(|left| *left > 0) else { return };
        self.second_tries.offered_until = self.second_tries.offered_until.max(now.boot + seconds(left));
        let until = now.wall + seconds(left);
        if let Some(Err(error)) = self.storage.store_mut().map(|store| store.keep(&OFFERED_UNTIL, &until)) {
            self.store_failed(&error, now);
        }
        let Ok(Some(stored)) = self.find(request) else { return };
        let order = &stored.order;
        let is_there = self.front.stage.end().is_some_and(|end| end.ticket == order.ticket);
        if order.earlier_boot || !is_there || self.is_busy() || self.second_tries.declined.as_ref() == Some(request) {
            return;
        }
        if let Some(offer) = TryOffer::of(order, resource, false, seconds(left), now.boot) {
            self.second_tries.offer = Some(offer.shown(now.boot));
            self.second_tries.behind = None;
        }
    }

    /// A customer asks for another try on the order's page, and stands in front of the machine. Each wish is on the screen once.
    pub(super) fn wished(&mut self, order: &Order, resource: &OrderResource, now: Now) {
        let Some(left) = resource.try_wanted_s.filter(|left| *left > 0) else { return };
        let Some(mut wished) = TryOffer::of(order, resource, true, seconds(left), now.boot) else { return };
        let until = wished.until;
        wished.hears(resource, now.boot);
        let SecondTries { offer, waiting, heard, .. } = &mut self.second_tries;
        let known = offer.iter_mut().chain(waiting.iter_mut()).find(|known| known.request == wished.request);
        if heard.get(&wished.request).is_some_and(|over| until <= *over + SAME_WISH) {
            match known {
                Some(known) => known.hears(resource, now.boot),
                // Its number was told when it was off the screen already: the next press counts all the same.
                None if wished.confirmed_until.is_some() => waiting.push_back(wished),
                None => {}
            }
            return;
        }
        heard.insert(wished.request.clone(), until);
        if let Some(shown) = offer.as_mut().filter(|shown| shown.request == wished.request) {
            *shown = wished.shown(now.boot);
        } else if let Some(waits) = waiting.iter_mut().find(|waits| waits.request == wished.request) {
            *waits = wished;
        } else {
            waiting.push_back(wished);
        }
    }

    /// All that is open at the backend. Where it waits for a number no more, that was told wrongly too often, or its customer wants the money.
    /// Or the backend cannot trust its clock for now: then it waits for the number again later.
    pub(super) fn end_numbers(&mut self, open: &[OrderResource]) {
        let is_over = |offer: &TryOffer| {
            let is_wanted = |order: &OrderResource| order.request_id == offer.request && order.try_wanted_s.is_some_and(|left| left > 0);
            offer.digits.is_some() && !open.iter().any(is_wanted)
        };
        let SecondTries { offer, waiting, heard, .. } = &mut self.second_tries;
        for over in waiting.iter().chain(offer.as_ref()).filter(|offer| is_over(offer)) {
            heard.remove(&over.request);
        }
        waiting.retain(|offer| !is_over(offer));
        if let Some(over) = offer.as_ref().filter(|offer| is_over(offer)) {
            let request = over.request.clone();
            self.second_tries.end(Some(&request));
        }
    }

    /// Takes an offer off the screen when its time is over, and puts the next one there once nobody else is served.
    pub(super) fn watch_offers(&mut self, now: Now) {
        self.look_at_purchase(now);
        let SecondTries { offer, behind, waiting, heard, .. } = &mut self.second_tries;
        offer.take_if(|offer| behind.is_none() && now.boot >= offer.ends_at());
        waiting.retain(|offer| now.boot < offer.ends_at());
        heard.retain(|_, over| now.boot <= *over + SAME_WISH);
        let is_free = !self.is_busy() && !self.hold.is_held();
        // The end of another order stays on the screen for its customer. One that nobody would see waits.
        let may_come = |offer: &TryOffer| self.front.stage.end().is_none_or(|end| end.ticket == offer.stored);
        let shown = || self.second_tries.waiting.iter().position(|offer| may_come(offer) && self.picture_of(offer).is_some());
        if self.second_tries.offer.is_none()
            && is_free
            && let Some(offer) = shown().and_then(|at| self.second_tries.waiting.remove(at))
        {
            self.second_tries.offer = Some(offer.shown(now.boot));
        }
        let look_by = now.boot + NUMBER_EVERY;
        let is_soon = now.boot < self.second_tries.look_at && self.second_tries.look_at <= look_by;
        if self.second_tries.awaits_number() && !self.outbox.is_connected() && !is_soon {
            self.second_tries.look_at = look_by;
        }
        let takes_two = self.second_tries.on_screen().is_some_and(|offer| offer.digits.is_none());
        if !(takes_two && self.offered_again().is_some())
            && let Some(pressed) = self.second_tries.pressed.take()
        {
            self.outbox.reply([pressed.asker], Reply::NOTHING);
        }
    }

    /// Asks the backend for wishes that no broker brings, and more often for a number that was told.
    pub(super) fn look_for_wishes(&mut self, now: Now) {
        let is_number_shown = self.second_tries.awaits_number();
        let SecondTries { look_at, offered_until, .. } = &mut self.second_tries;
        if self.outbox.is_connected() {
            *look_at = now.boot + LOOK_EVERY;
        } else if (is_number_shown || *look_at < *offered_until) && *look_at <= now.boot {
            *look_at = now.boot + if is_number_shown { NUMBER_EVERY } else { LOOK_EVERY };
            self.reconciliation.ask_open();
        }
    }

    /// The picture of the offer; `None`: there is none, or nothing can be tried.
    pub(super) fn offered_again(&self) -> Option<Scene> {
        self.second_tries.on_screen().and_then(|offer| self.picture_of(offer))
    }

    fn picture_of(&self, offer: &TryOffer) -> Option<Scene> {
        if self.is_busy() || self.trouble().is_some() || self.links.relay_refusal(&self.settings).is_some() {
            return None;
        }
        let lines = self.lines();
        let items = self.settings.appearance.items.iter().map(|item| &item.id);
        let others = items.filter(|item| **item != offer.item && self.may_try(offer, item, &lines).is_ok()).count();
        let same = self.may_try(offer, &offer.item, &lines).is_ok();
        (same || others > 0).then(|| Scene::TryAgain {
            goods: goods(&offer.item),
            same,
            up_to: (others > 0).then_some(offer.up_to),
            is_later: offer.is_later,
            order: offer.order.clone(),
            page: offer.page.clone(),
            step: self.step_of(offer),
        })
    }

    fn step_of(&self, offer: &TryOffer) -> TryStep {
        match (offer.digits, offer.confirmed_until, &self.second_tries.pressed) {
            (Some(_), Some(_), _) => TryStep::Told,
            (Some(digits), None, _) => TryStep::Number(digits),
            (None, _, Some(pressed)) => TryStep::Pressed { item: goods(&pressed.request.item), paid_at: offer.paid_at.clone() },
            (None, _, None) => TryStep::Offered,
        }
    }

    /// The slot and the price of an item that a customer may have in place of what did not come, or why not.
    fn may_try(&self, offer: &TryOffer, item: &ItemId, lines: &LineOf<'_>) -> Result<(ItemId, Rupiah), Refusal> {
        let refused = |reason, why: String| Err(Refusal::field(reason, "item", why));
        let price = match self.settings.prices.of(item) {
            Some(Price::Fixed(price)) => price,
            Some(Price::FromRequest { .. }) if *item == offer.item => offer.up_to,
            Some(Price::FromRequest { .. }) => return refused(Reason::WrongAmount, format!("{item} has no price of its own")),
            None => return refused(Reason::UnknownItem, format!("{item} is not sold here")),
        };
        if price > offer.up_to {
            return refused(Reason::WrongAmount, format!("{item} costs {price}, and {} was paid", offer.up_to));
        }
        let slot = self.fullest_slot(item, lines, |_| true)?;
        if self.second_tries.misses >= MISSES_MAX {
            return refused(Reason::LineBlocked, format!("{MISSES_MAX} in a row did not come, and nobody has looked since"));
        }
        if self.not_sold(&slot, lines) == Some(NotSold::Blocked) {
            return refused(Reason::LineBlocked, format!("the line of {item} is blocked"));
        }
        Ok((slot, price))
    }

    /// A button was pressed. `Some`: it is a request to sell, since no offer covers its goods.
    pub(super) fn pressed_again(&mut self, request: VendRequest, asker: Asker, now: Now) -> Option<(VendRequest, Asker)> {
        let is_shown = self.offered_again().is_some();
        let Some(offer) = self.second_tries.offer.as_ref().filter(|_| is_shown) else { return Some((request, asker)) };
        if self.may_try(offer, &request.item, &self.lines()).is_err() {
            return Some((request, asker));
        }
        match self.second_tries.press(offer, &request.item, now.boot) {
            Press::Nothing => self.outbox.reply([asker], Reply::NOTHING),
            Press::Asks => {
                let before = self.second_tries.ask(request, asker, now.boot).map(|before| before.asker);
                self.outbox.reply(before, Reply::NOTHING);
            }
            Press::Takes => {
                let request = TryRequest { request_id: offer.request.clone(), number: offer.number, item: request.item };
                self.try_again(request, asker, now);
            }
        }
        None
    }

    /// A first press that no second one followed is a purchase.
    pub(super) fn sell_unconfirmed(&mut self, now: Now) {
        let is_shown = self.offered_again().is_some();
        if let Some(Pressed { request, asker, .. }) = is_shown.then(|| self.second_tries.unconfirmed(now.boot)).flatten() {
            self.vend(request, asker, now);
        }
    }

    /// A purchase stands before the offer. One that is paid ends it on the screen: its customer stands there now. One that ends unpaid gives it
    /// back, but not while its own end warns of something.
    fn look_at_purchase(&mut self, now: Now) {
        let SecondTries { offer: Some(offer), behind, .. } = &self.second_tries else { return };
        if self.orders.holder().is_some_and(|holder| holder.offer.request.request_id != offer.request && is_paid(holder)) {
            return self.second_tries.end(None);
        }
        let Some(Behind { purchase, .. }) = behind else { return };
        let own = offer.stored.clone();
        if self.is_busy() || self.hold.is_held() {
            return;
        }
        match self.find(&purchase.clone()) {
            Ok(Some(stored)) if is_paid(&stored.order) => self.second_tries.end(None),
            Ok(_) => {
                // The end of the offer's own order is no warning: it is why there is an offer.
                let warns = |end: &Order| end.ticket != own && !matches!(end.state, State::Ended(_)) && !end.came_to_nothing();
                if !self.front.stage.end().is_some_and(warns) {
                    self.second_tries.give_back(now.boot);
                }
            }
            Err(error) => self.store_failed(&error, now),
        }
    }

    /// A request for another try. The same again changes nothing.
    pub(super) fn try_again(&mut self, request: TryRequest, asker: Asker, now: Now) {
        let TryRequest { request_id, number, item } = request;
        if let Some(candidate) = self.front.try_candidate(&request_id).filter(|candidate| candidate.offer.number == number) {
            return candidate.askers.push(asker);
        }
        let refusal = match self.find(&request_id) {
            Ok(Some(stored)) if is_begun(&stored.order, number) && !self.is_offered_anew(&stored.order, number) => {
                self.outbox.repeat(&stored);
                return self.outbox.reply([asker], Reply::of(&stored.order));
            }
            Ok(Some(_)) => match self.admit_try(&request_id, number, &item, now) {
                Ok((offer, (item, amount))) => {
                    let call = self.outbox.next_call();
                    let again = Again { order: offer.order.clone(), number, after: offer.after.clone() };
                    self.outbox.push(Effect::PrepareAgain(call, item.clone(), amount, again));
                    self.second_tries.declined = None;
                    let candidate = TryCandidate { offer, item, amount, call, pressed_at: now.boot, askers: vec![asker] };
                    return self.front.take_place(Customer::TriesAgain(candidate));
                }
                Err(refusal) => refusal,
            },
            Ok(None) => Refusal::field(Reason::UnknownRequest, "request_id", "this machine knows no such request"),
            Err(error) => {
                self.store_failed(&error, now);
                Refusal::new(Reason::Store, error.to_string())
            }
        };
        let of = RefusedVend { request: Some(request_id), item: Some(item), code: None };
        self.refuse([asker], of, &refusal, now);
    }

    /// Whether the order was at this try in vain: its customer waited for a receipt that was never signed, and the backend offers it once more.
    fn is_offered_anew(&self, order: &Order, number: TryNumber) -> bool {
        let request = &order.offer.request.request_id;
        let is_it = |offer: &TryOffer| offer.request == *request && offer.number == number;
        order.is_without_its_receipt() && self.second_tries.offer.as_ref().is_some_and(is_it)
    }

    /// Every objection that is known before the relay is asked. The offer is taken with it.
    fn admit_try(
        &mut self,
        request: &RequestId,
        number: TryNumber,
        item: &ItemId,
        now: Now,
    ) -> Result<(TryOffer, (ItemId, Rupiah)), Refusal> {
        if let Some(trouble) = self.trouble() {
            return Err(trouble);
        }
        let is_it = |offer: &&TryOffer| offer.request == *request && offer.number == number && now.boot < offer.ends_at();
        let Some(offer) = self.second_tries.on_screen().filter(is_it) else {
            return Err(Refusal::field(Reason::Late, "try", "this try is not offered now"));
        };
        if self.is_busy() {
            return Err(Refusal::new(Reason::Busy, "the machine is busy with another order"));
        }
        if let Some(unfit) = self.links.relay_unfit(&self.settings) {
            return Err(unfit);
        }
        let goods = self.may_try(offer, item, &self.lines())?;
        let offer = self.second_tries.offer.take().ok_or_else(|| Refusal::new(Reason::Late, "this try is not offered now"))?;
        Ok((offer, goods))
    }

    pub(super) fn prepared_again(&mut self, call: CallId, answer: Result<(Ticket, Box<str>), PrepareError>, now: Now) {
        let Some(candidate) = self.front.end_try(call) else {
            if let Ok((ticket, _)) = answer {
                self.outbox.push(Effect::CloseTicket(ticket));
            }
            return;
        };
        let (refusal, is_over) = match answer {
            Ok((ticket, promise)) => {
                let TryCandidate { offer, item, amount, pressed_at, .. } = &candidate;
                let goods = LaterTry { number: offer.number, after: offer.after.clone(), item: item.clone(), amount: *amount };
                let wanted = PromisedTry { ticket: ticket.clone(), goods, promise };
                let begun = self.happen(&offer.request, vec![Event::TryPromised(wanted, *pressed_at)], now);
                match (begun, self.find(&offer.request)) {
                    (Ok(()), Ok(Some(stored))) if stored.order.has_ticket(&ticket) => {
                        return self.outbox.reply(candidate.askers, Reply::of(&stored.order));
                    }
                    (Ok(()), _) => {
                        self.outbox.push(Effect::CloseTicket(ticket));
                        (Refusal::new(Reason::Busy, "the machine is busy with another order"), true)
                    }
                    (Err(error), _) => {
                        self.outbox.push(Effect::CloseTicket(ticket));
                        (Refusal::new(Reason::Store, error.to_string()), true)
                    }
                }
            }
            Err(PrepareError::Refused(error, detail)) => {
                self.outbox.push(Effect::ReadRelay);
                (Refusal::new(error.reason(), detail), is_final(error))
            }
            Err(PrepareError::NoAnswer(why)) => {
                // The relay may have given a ticket all the same.
                self.reconciliation.read_tickets(&mut self.outbox);
                (Refusal::new(Reason::Relay, why), false)
            }
        };
        self.refuse_try(candidate, &refusal, is_over, now);
    }

    /// The order is not at the try any more that it waited for, nor will it be: nothing may come of that.
    pub(super) fn close_unwanted(&mut self, request: &RequestId, wanted: Option<Ticket>) {
        let Some(ticket) = wanted else { return };
        let is_open = self.find(request).ok().flatten().is_none_or(|stored| stored.order.has_ticket(&ticket));
        if !is_open {
            self.outbox.push(Effect::CloseTicket(ticket));
        }
    }

    /// `is_over`: it is not offered any more.
    pub(super) fn refuse_try(&mut self, candidate: TryCandidate, refusal: &Refusal, is_over: bool, now: Now) {
        let TryCandidate { offer, item, askers, .. } = candidate;
        let of = RefusedVend { request: Some(offer.request.clone()), item: Some(item), code: None };
        if !is_over {
            self.second_tries.offer = Some(offer);
        }
        self.refuse(askers, of, refusal, now);
    }

    /// An order has gone on: a sensor saw its item, or missed it.
    pub(super) fn note_sensor(&mut self, before: &Order, after: &Order, now: Now) {
        match sensed(after).filter(|seen| sensed(before) != Some(*seen) || before.ticket != after.ticket) {
            // After too many in a row nothing but a look ends them: it may be one line of several that goes well.
            Some(true) if self.second_tries.misses >= MISSES_MAX => {}
            Some(true) => self.keep_misses(0, now),
            Some(false) => self.keep_misses(self.second_tries.misses.saturating_add(1), now),
            None => {}
        }
    }

    pub(super) fn looked(&mut self, now: Now) {
        self.keep_misses(0, now);
    }

    fn keep_misses(&mut self, misses: u32, now: Now) {
        if std::mem::replace(&mut self.second_tries.misses, misses) != misses
            && let Some(Err(error)) = self.storage.store_mut().map(|store| store.keep(&MISSES, &misses))
        {
            self.store_failed(&error, now);
        }
    }
}

/// Whether the order is at this try, or was.
fn is_begun(order: &Order, number: TryNumber) -> bool {
    order.next_number() >= number
}

/// Whether a sensor saw the item of an order; `None`: no sensor has said so.
fn sensed(order: &Order) -> Option<bool> {
    match &order.state {
        State::Dispensed(_) => Some(true),
        State::RefundDue(RefundDue { why: Undelivered::Failed, report, .. }) => match report {
            ReportStep::Tell(Delivery::Failed) | ReportStep::Reported(Delivery::Failed) => Some(false),
            ReportStep::CloseFirst { .. } | ReportStep::Tell(_) | ReportStep::Reported(_) => None,
        },
        State::RefundDue(_) | State::Refunded(_) | State::TryingAgain(_) => None,
        State::Requested(_) | State::AwaitingPayment(_) | State::AtCounter(_) | State::Cancelling(_) | State::Ended(_) => None,
        State::AwaitingCollection(_) | State::TakenBack(_) | State::Paid(_) | State::Dispensing(_) => None,
    }
}

/// Whether the relay gives no ticket for this try, whatever the item.
fn is_final(error: RelayError) -> bool {
    match error {
        RelayError::NoTry | RelayError::UnknownTicket | RelayError::WrongDevice => true,
        RelayError::Busy | RelayError::Blocked | RelayError::Hardware | RelayError::Ledger | RelayError::Amount => false,
        RelayError::UnknownItem | RelayError::InvalidReceipt | RelayError::CommandRefused => false,
    }
}

/// Whether somebody has paid for it, and stands there or stood there.
fn is_paid(order: &Order) -> bool {
    match order.state {
        State::Paid(_) | State::Dispensing(_) | State::Dispensed(_) | State::AwaitingCollection(_) => true,
        State::RefundDue(_) | State::TryingAgain(_) | State::Refunded(_) => true,
        State::Requested(_) | State::AwaitingPayment(_) | State::AtCounter(_) | State::Cancelling(_) | State::Ended(_) => false,
        State::TakenBack(_) => false,
    }
}
