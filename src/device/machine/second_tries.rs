//! What is kept of other tries: the offer on the screen, those that wait for it, and a press that waits for the relay's promise. No offer is
//! stored: after a restart the customer asks for it on the order's page.

use crate::words::{Asker, CallId};
use qris_core::order::ids::{ItemId, OrderId, RequestId, Ticket};
use qris_core::order::late_sign::{LateNews, LateSign};
use qris_core::order::machine::Order;
use qris_core::order::money::Rupiah;
use qris_core::order::request::VendRequest;
use qris_core::order::time::{Boot, Now, Span};
use qris_core::order::tries::{CONFIRMED_FOR, OFFERED_FOR, TryNumber, TwoDigits};
use qris_core::wire::orders::OrderResource;
use qris_core::wire::status;
use std::collections::{BTreeMap, VecDeque};

/// `PrepareAgain` gets 2 s. If its answer is lost all the same, the press is refused after this time.
const PREPARE_LOST: Span = Span::secs(5);
/// The second press counts once the words have stood there for so long: nobody reads faster, and a hand that drums reads nothing …
const READ_FOR: Span = Span::millis(1_500);
/// … and until then. After that the first press is a purchase.
const PURCHASE_AFTER: Span = Span::secs(10);

#[derive(Debug, Default)]
pub(super) struct SecondTries {
    /// The one on the screen.
    pub(super) offer: Option<TryOffer>,
    /// Those of customers who asked on their orders' pages. Each waits until nobody else is served.
    pub(super) waiting: VecDeque<TryOffer>,
    /// The wishes that were heard, and when each is over. The backend tells of one until then, again and again.
    pub(super) heard: BTreeMap<RequestId, Boot>,
    /// Until then the backend offers another try of something.
    pub(super) offered_until: Boot,
    /// Without the broker the backend is asked about wishes from then on.
    pub(super) look_at: Boot,
    pub(super) misses: u32,
    /// Its customer has cancelled the try that waited for its receipt, and is not asked once more.
    pub(super) declined: Option<RequestId>,
    /// The first press. The screen says whose try it would be, and what the next one does.
    pub(super) pressed: Option<Pressed>,
    /// The purchase that the offer waits for.
    pub(super) behind: Option<Behind>,
    /// As it was told last.
    told: Option<(status::TryOffer, Boot)>,
}

/// A press whose words stand on the screen.
#[derive(Debug)]
pub(super) struct Pressed {
    /// What it asks for if no second press comes.
    pub(super) request: VendRequest,
    pub(super) asker: Asker,
    pub(super) since: Boot,
    /// What was left of the offer's time when it came.
    rest: Span,
}

/// What a press does while another try is offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Press {
    /// The screen says whose try it is.
    Asks,
    /// It comes too early, or its customer has not told the number yet.
    Nothing,
    Takes,
}

/// A purchase in front of an offer. If it ends unpaid, the offer has the rest of its time.
#[derive(Debug)]
pub(super) struct Behind {
    pub(super) purchase: RequestId,
    pub(super) rest: Span,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct TryOffer {
    pub(super) request: RequestId,
    pub(super) order: OrderId,
    /// The last try was for this.
    pub(super) item: ItemId,
    /// Which one it would be.
    pub(super) number: TryNumber,
    /// The ticket of the one before.
    pub(super) after: Ticket,
    /// What the order was paid for: its item may cost no more.
    pub(super) up_to: Rupiah,
    pub(super) page: Option<Box<str>>,
    /// The ticket with which the order stands in the database.
    pub(super) stored: Ticket,
    /// The customer came back for it.
    pub(super) is_later: bool,
    /// It ends then; one that waits is forgotten then.
    pub(super) until: Boot,
    /// The backend takes no press after that.
    over: Boot,
    /// When it was paid, on Jakarta's clock: `15:02 WIB`.
    pub(super) paid_at: Option<Box<str>>,
    /// The order's page asks for these. Until it was told them, no press counts.
    pub(super) digits: Option<TwoDigits>,
    /// It was told them: one press counts until then. Nothing comes of the offer after that.
    pub(super) confirmed_until: Option<Boot>,
}

/// A press that waits for the relay's promise.
#[derive(Debug)]
pub(super) struct TryCandidate {
    pub(super) offer: TryOffer,
    pub(super) item: ItemId,
    pub(super) amount: Rupiah,
    pub(super) call: CallId,
    pub(super) pressed_at: Boot,
    pub(super) askers: Vec<Asker>,
}

impl TryCandidate {
    pub(super) fn request_id(&self) -> &RequestId {
        &self.offer.request
    }

    pub(super) fn item(&self) -> &ItemId {
        &self.item
    }

    pub(super) fn call(&self) -> CallId {
        self.call
    }

    pub(super) fn give_up_at(&self) -> Boot {
        self.pressed_at + PREPARE_LOST
    }
}

impl TryOffer {
    /// The backend's offer for an order that came to nothing. `is_later`: its customer asked on the page. It ends after `left`.
    pub(super) fn of(order: &Order, resource: &OrderResource, is_later: bool, left: Span, now: Boot) -> Option<Self> {
        let paid_at = order.receipt().and_then(|receipt| receipt.claims().settled_at.get(11..16));
        let offer = Self {
            request: order.offer.request.request_id.clone(),
            order: resource.order_id.clone(),
            item: order.item().clone(),
            number: resource.nth_try.next()?,
            after: resource.ticket.clone(),
            up_to: order.offer.amount,
            page: order.charge.as_ref().and_then(|charge| charge.pay_url.clone()),
            stored: order.ticket.clone(),
            is_later,
            until: now + left,
            over: now + left,
            paid_at: paid_at.map(|time| format!("{time} WIB").into()),
            digits: None,
            confirmed_until: None,
        };
        order.came_to_nothing().then_some(offer)
    }

    /// It comes to the screen, for its time. Once the wish is over the backend takes no number, but two presses all the same.
    pub(super) fn shown(self, now: Boot) -> Self {
        let for_now = now + OFFERED_FOR;
        Self { until: if self.is_later && self.digits.is_none() { for_now } else { self.over.min(for_now) }, ..self }
    }

    /// When it is over.
    pub(super) fn ends_at(&self) -> Boot {
        self.confirmed_until.unwrap_or(self.until)
    }

    /// What the backend says of its number.
    pub(super) fn hears(&mut self, resource: &OrderResource, now: Boot) {
        self.digits = resource.try_number;
        self.is_later |= self.digits.is_some();
        let left = resource.try_confirmed_s.filter(|left| *left > 0 && self.digits.is_some());
        self.confirmed_until = left.map(|left| now + seconds(left).min(CONFIRMED_FOR));
    }

    /// Its number stands on the screen, and its page was not told it yet.
    pub(super) fn awaits_number(&self) -> bool {
        self.digits.is_some() && self.confirmed_until.is_none()
    }
}

pub(super) fn seconds(n: u64) -> Span {
    Span::secs(i64::try_from(n).unwrap_or(i64::MAX / 1000))
}

impl SecondTries {
    /// The offer is over: somebody wants something else, or this order's customer no other try.
    pub(super) fn end(&mut self, of: Option<&RequestId>) {
        if self.offer.take_if(|offer| of.is_none_or(|request| offer.request == *request)).is_some() {
            self.behind = None;
        }
    }

    /// The goods of the try before came after all, by a device that names its slots: its offer is over. The backend says so, too.
    pub(super) fn goods_came(&mut self, news: &LateNews) {
        let is_over = |offer: &TryOffer| news.sign == LateSign::Came && offer.order == news.order;
        self.waiting.retain(|offer| !is_over(offer));
        if self.offer.take_if(|offer| is_over(offer)).is_some() {
            self.behind = None;
        }
    }

    pub(super) fn decline(&mut self, of: &RequestId) {
        self.declined = Some(of.clone());
    }

    /// What a press of these goods does, which the offer covers.
    pub(super) fn press(&self, offer: &TryOffer, item: &ItemId, now: Boot) -> Press {
        let first = self.pressed.as_ref().filter(|pressed| pressed.request.item == *item);
        match (offer.digits, offer.confirmed_until, first) {
            (Some(_), Some(_), _) => Press::Takes,
            (Some(_), None, _) => Press::Nothing,
            (None, _, None) => Press::Asks,
            (None, _, Some(first)) if now < first.since + READ_FOR || now >= first.since + PURCHASE_AFTER => Press::Nothing,
            (None, _, Some(_)) => Press::Takes,
        }
    }

    /// The words begin. The answer is the press before, for which they end.
    pub(super) fn ask(&mut self, request: VendRequest, asker: Asker, now: Boot) -> Option<Pressed> {
        let offer = self.offer.as_mut()?;
        let rest = self.pressed.as_ref().map_or(offer.until - now, |before| before.rest);
        offer.until = offer.until.max(now + PURCHASE_AFTER);
        self.pressed.replace(Pressed { request, asker, since: now, rest })
    }

    /// No second press came in time. The offer has the rest of its time again.
    pub(super) fn unconfirmed(&mut self, now: Boot) -> Option<Pressed> {
        let pressed = self.pressed.take_if(|pressed| now >= pressed.since + PURCHASE_AFTER)?;
        if let Some(offer) = &mut self.offer {
            offer.until = now + pressed.rest;
        }
        Some(pressed)
    }

    /// A purchase begins. The offer waits for its end.
    pub(super) fn wait_for(&mut self, purchase: &RequestId, now: Boot) {
        if let Some(offer) = &self.offer {
            let left = offer.until - now;
            let rest = self.behind.take().map(|behind| behind.rest).or(self.pressed.as_ref().map(|pressed| pressed.rest)).unwrap_or(left);
            self.behind = Some(Behind { purchase: purchase.clone(), rest });
        }
    }

    /// The purchase has ended unpaid.
    pub(super) fn give_back(&mut self, now: Boot) {
        if let (Some(behind), Some(offer)) = (self.behind.take(), &mut self.offer) {
            offer.until = offer.over.max(offer.until).min(now + behind.rest);
        }
    }

    /// The offer on the screen; `None`: a purchase stands before it.
    pub(super) fn on_screen(&self) -> Option<&TryOffer> {
        self.offer.as_ref().filter(|_| self.behind.is_none())
    }

    /// The order whose offer waits for the end of a purchase.
    pub(super) fn waiting_behind(&self) -> Option<&OrderId> {
        self.behind.as_ref().and(self.offer.as_ref()).map(|offer| &offer.order)
    }

    pub(super) fn awaits_number(&self) -> bool {
        self.on_screen().is_some_and(TryOffer::awaits_number)
    }

    /// Notes what controllers are told of the offer, with the time that was left when it began or changed.
    pub(super) fn tell(&mut self, is_shown: bool, now: Now) {
        let told = self.told.take();
        self.told = self.on_screen().filter(|_| is_shown).map(|offer| {
            let until = offer.ends_at();
            let of = |remaining_s| {
                let (request_id, number, up_to) = (offer.request.clone(), offer.number, offer.up_to);
                status::TryOffer { request_id, number, up_to, remaining_s, awaits_number: offer.awaits_number() }
            };
            let is_same = |(old, told): &(status::TryOffer, Boot)| *told == until && *old == of(old.remaining_s);
            told.filter(is_same).unwrap_or_else(|| (of((until - now.boot).as_secs_up().unsigned_abs()), until))
        });
    }

    /// What controllers are told, and when it ends; `None`: none is on the screen.
    pub(super) fn told(&self) -> Option<&(status::TryOffer, Boot)> {
        self.told.as_ref()
    }

    pub(super) fn deadline(&self, is_connected: bool) -> Option<Boot> {
        let looks = !is_connected && (self.look_at < self.offered_until || self.awaits_number());
        let shown = self.on_screen().map(TryOffer::ends_at);
        let pressed = self.pressed.as_ref().map(|pressed| pressed.since + PURCHASE_AFTER);
        let waiting = self.waiting.iter().map(TryOffer::ends_at);
        [shown, pressed, looks.then_some(self.look_at)].into_iter().flatten().chain(waiting).min()
    }
}
