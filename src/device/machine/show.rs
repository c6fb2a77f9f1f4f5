//! The picture for the customer, and the view for controllers. Both follow from the orders.

use super::faults::Faults;
use super::outbox::Outbox;
use crate::store::database::Database;
use crate::store::fact::{Fact, Known};
use crate::words::{Effect, Settings, Shown, View};
use qris_core::order::ids::{ItemId, OrderId};
use qris_core::order::machine::{AwaitingPayment, Cancelling, End, Ended, Order, RefundDue, State, Undelivered};
use qris_core::order::reason::Reason;
use qris_core::order::request::{Offer, Payment, Price};
use qris_core::order::stock::NotSold;
use qris_core::order::time::{Boot, Span};
use qris_core::order::tries::TryNumber;
use qris_core::wire::status::FaultCode;
use qris_screen::picture::{Goods, Missing, Picture, Scene};
use std::collections::BTreeMap;

/// How long the end of a sale stays on the screen.
const END_FOR: Span = Span::secs(10);
/// How long a customer whose money is in question can read the contact.
const MONEY_FOR: Span = Span::secs(120);

/// Whether the backend's money is not real.
const SANDBOX: Fact<bool> = Fact::new("sandbox");

/// The screen's memory: how the last sale ended, for a while.
#[derive(Debug, Default)]
pub(super) struct Stage {
    end: Option<(Order, Boot)>,
    sandbox: bool,
    /// The database's last word on it.
    sandbox_stored: bool,
    /// The goods of this try were not seen in their time, and may still come.
    unseen: Option<(OrderId, TryNumber)>,
    shown: Option<Picture>,
    told: Option<View>,
}

impl Stage {
    /// Takes up the facts about the backend from before this start: a screen that invites customers to buy says whether
    /// the money is real.
    pub(super) fn take_up(&mut self, store: &Database) {
        // If this is not known, the money counts as real. The first order tells.
        let stored = store.known(&SANDBOX).ok().and_then(Known::good).unwrap_or(false);
        self.sandbox |= stored;
        self.sandbox_stored = stored;
    }

    /// An order went into another state. The end of a sale is remembered for a while. `held`: it held the machine until now.
    pub(super) fn moved(&mut self, order: &Order, held: bool, now: Boot) {
        let known = self.end.as_ref().is_some_and(|(known, _)| known.ticket == order.ticket);
        if order.is_over_the_counter() && !order.holds_machine() && !held && !known {
            // It waited for a customer who is elsewhere.
            return;
        }
        if let Some(charge) = &order.charge {
            self.sandbox = charge.sandbox;
        }
        let span = match &order.state {
            _ if order.holds_machine() => {
                self.end = None;
                return;
            }
            State::RefundDue(_) | State::Refunded(_) | State::Cancelling(_) | State::Dispensing(_) => MONEY_FOR,
            State::Ended(_) | State::Dispensed(_) | State::AwaitingCollection(_) => END_FOR,
            State::AtCounter(_) | State::TakenBack(_) => {
                self.end = None;
                return;
            }
            State::Requested(_) | State::AwaitingPayment(_) | State::Paid(_) | State::TryingAgain(_) => return,
        };
        let same = self.end.as_ref().filter(|(known, _)| known.name() == order.name() && known.ticket == order.ticket);
        let until = same.map_or(now + span, |(_, until)| *until);
        // A later change of an order that has ended is not news for the customer who stands there now.
        if self.end.as_ref().is_some_and(|(known, _)| known.ticket != order.ticket) {
            return;
        }
        self.end = Some((order.clone(), until));
    }

    pub(super) fn unseen(&mut self, order: OrderId, number: TryNumber) {
        self.unseen = Some((order, number));
    }

    /// The picture of an order. `frozen`: a sale could not be written to its end.
    pub(super) fn scene_of(&self, order: &Order, settings: &Settings, frozen: bool) -> Scene {
        let is_unseen = |(id, number): &(OrderId, TryNumber)| order.order_id() == Some(id) && order.number_of_try() == *number;
        match (&order.state, &self.unseen) {
            (State::Dispensing(_), Some(unseen)) if is_unseen(unseen) => Scene::NotSeen { goods: goods(order.next_item()) },
            _ => scene_of(order, settings, frozen),
        }
    }

    pub(super) fn end(&self) -> Option<&Order> {
        self.end.as_ref().map(|(order, _)| order)
    }

    pub(super) fn clear(&mut self, now: Boot) {
        self.end.take_if(|(_, until)| now >= *until);
    }

    pub(super) fn deadline(&self) -> Option<Boot> {
        self.end.as_ref().map(|(_, until)| *until)
    }

    pub(super) fn show(&mut self, scene: Scene, view: View, store: Option<&mut Database>, out: &mut Outbox) {
        if self.sandbox != self.sandbox_stored
            && let Some(store) = store
        {
            // If this fails, it is no fault: it is only for a banner. The facts that matter are stored with each order.
            self.sandbox_stored = self.sandbox;
            let _ = store.keep(&SANDBOX, &self.sandbox);
        }
        let picture = Picture { scene, sandbox: self.sandbox };
        if self.shown.as_ref() != Some(&picture) {
            self.shown = Some(picture.clone());
            out.push(Effect::Show(picture));
        }
        if self.told.as_ref() != Some(&view) {
            self.told = Some(view.clone());
            out.push(Effect::View(view));
        }
    }
}

/// The picture while nobody is there. `trouble`: why nothing is sold. `not_sold`: the items that nobody can buy.
pub(super) fn idle(trouble: Option<Reason>, not_sold: BTreeMap<ItemId, NotSold>, faults: &Faults, is_broker_lost: bool) -> Scene {
    // A request may well fail, or not even come, because the network is gone. Requests are taken all the same, since nothing
    // else would find out that the network is back.
    let fault =
        [(FaultCode::Clock, Missing::Clock), (FaultCode::Backend, Missing::Backend)].into_iter().find(|(code, _)| faults.has(*code));
    let missing = fault.map(|(_, missing)| missing).or(is_broker_lost.then_some(Missing::Broker));
    match (trouble, missing) {
        // No news of it has come yet, neither good nor bad.
        (Some(Reason::Relay), _) if !faults.has(FaultCode::Relay) => Scene::Starting,
        (None, Some(missing)) => Scene::Offline { missing, not_sold },
        (trouble, _) => Scene::Idle { trouble, not_sold },
    }
}

/// The goods, as the screen names them. The request's words appear only for items whose price it brings.
pub(super) fn goods_of(offer: &Offer, settings: &Settings) -> Goods {
    let item = offer.item.clone();
    let own_price = matches!(settings.prices.of(&item), Some(Price::FromRequest { .. }));
    Goods { item, description: offer.request.description.clone().filter(|_| own_price) }
}

/// The same of an item in its place.
pub(super) fn goods(item: &ItemId) -> Goods {
    Goods { item: item.clone(), description: None }
}

fn scene_of(order: &Order, settings: &Settings, frozen: bool) -> Scene {
    let first = order.again.is_none() && !matches!(order.state, State::TryingAgain(_));
    let goods = if first { goods_of(&order.offer, settings) } else { goods(order.next_item()) };
    let amount = order.offer.amount;
    let paid = order.charge.as_ref().and_then(|charge| charge.gross_amount).unwrap_or(amount);
    let page = order.charge.as_ref().and_then(|charge| charge.pay_url.clone());
    let do_not_pay = Scene::DoNotPay { order: order.order_id().cloned() };
    match &order.state {
        // A payment could not be stored now, so nobody is invited to pay.
        State::AwaitingPayment(_) if frozen => do_not_pay,
        // It is not shown before the relay has said, in this run of the program, that it can deliver.
        State::Requested(_) | State::AwaitingPayment(AwaitingPayment { checked: 0, .. }) => Scene::Preparing { goods, amount },
        State::AwaitingPayment(AwaitingPayment { payload, until, .. }) => {
            let (fee, until) = (paid.above(amount), *until);
            match (payload, order.code(), store_name(order.offer.request.payment)) {
                (Some(payload), _, _) => Scene::Pay { payload: payload.clone(), goods, amount: paid, fee, page, before: None, until },
                (None, Some(code), Some(store)) => {
                    let within = order.charge.as_ref().and_then(|charge| charge.pay_within);
                    let collect = order.charge.as_ref().and_then(|charge| charge.collect_within);
                    Scene::PayAtStore { code: code.as_str().into(), store, goods, amount: paid, fee, within, collect, page, until }
                }
                (None, _, _) => Scene::Preparing { goods, amount },
            }
        }
        State::AwaitingCollection(_) => Scene::Collect { goods, within: order.charge.as_ref().and_then(|charge| charge.collect_within) },
        // Only events tell this: nobody stands there.
        State::AtCounter(_) | State::TakenBack(_) => Scene::Idle { trouble: None, not_sold: BTreeMap::new() },
        State::Cancelling(Cancelling { free_at: Some(_), .. }) => Scene::Cancelling { goods },
        State::Cancelling(Cancelling { free_at: None, .. }) => do_not_pay,
        State::Ended(Ended { how: End::Cancelled, why, .. }) => Scene::Cancelled { timed_out: *why == Some(Reason::Timeout) },
        State::Ended(Ended { how: End::Expired, .. }) => Scene::Expired,
        State::Ended(Ended { how: End::Denied, .. }) => Scene::Denied,
        State::Ended(Ended { how: End::Failed, why, .. }) => Scene::Failed { reason: *why },
        State::Paid(_) | State::Dispensing(_) => Scene::Dispensing { goods, is_again: order.again.is_some() },
        State::TryingAgain(_) => Scene::Dispensing { goods, is_again: true },
        State::Dispensed(_) => Scene::Take { goods },
        State::RefundDue(RefundDue { why, .. }) => match order.order_id() {
            // The books do not say that the money is due: a person must find out.
            Some(id) if *why == Undelivered::Uncertain => Scene::Uncertain { order: id.clone(), amount: paid, page },
            Some(id) => Scene::RefundDue { order: id.clone(), amount: paid, page },
            None => do_not_pay,
        },
        State::Refunded(_) => match order.order_id() {
            Some(id) => Scene::Refunded { order: id.clone(), amount: paid },
            None => Scene::Idle { trouble: None, not_sold: BTreeMap::new() },
        },
    }
}

/// The store's usual name; `None`: it is paid with a phone.
fn store_name(payment: Payment) -> Option<&'static str> {
    match payment {
        Payment::Gopay => None,
        Payment::Alfamart => Some("Alfamart"),
        Payment::Indomaret => Some("Indomaret"),
    }
}

pub(super) fn shown(order: &Order) -> Shown {
    let until = match &order.state {
        State::AwaitingPayment(AwaitingPayment { until, .. }) => Some(*until),
        State::Requested(_)
        | State::AtCounter(_)
        | State::AwaitingCollection(_)
        | State::TakenBack(_)
        | State::Cancelling(_)
        | State::Ended(_)
        | State::Paid(_)
        | State::Dispensing(_)
        | State::Dispensed(_)
        | State::RefundDue(_)
        | State::TryingAgain(_)
        | State::Refunded(_) => None,
    };
    Shown {
        state: order.name().0,
        request_id: order.offer.request.request_id.clone(),
        order_id: order.order_id().cloned(),
        item: order.next_item().clone(),
        amount: order.offer.amount,
        gross_amount: order.charge.as_ref().and_then(|charge| charge.gross_amount),
        until,
    }
}
