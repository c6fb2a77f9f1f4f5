//! The journal's news of an order. They are counted, too.

use super::Work;
use crate::gateway::Turn;
use crate::sale::books::Done;
use qris_core::order::ids::{DeviceId, OrderId};
use qris_core::order::merchant::{
    Attention, Cancelling, Closed, DeliveryReport, Ending, NoReceipt, Order, Proof, Repayment, Sale, State, Withheld,
};
use qris_core::order::outcome::Delivery;
use qris_core::order::reason::Reason;
use qris_core::order::request::Purchase;
use qris_core::text::named;
use qris_host::events::{Event as Journal, Text};
use qris_host::speech;

/// The goods and the place of a sale, as people know both.
pub(super) fn sold(order: &Order) -> Text {
    let Sale { device, purchase: Purchase { item, description, machine, .. }, .. } = &order.sale;
    format!("{} at {}", named(description.as_deref(), item.as_str()), named(machine.as_deref(), device.as_str())).into()
}

impl Work {
    pub(super) fn journal(&self, done: &Done) {
        let order = &done.now.order;
        self.journal_listed(order, &done.was);
        if done.next.is_none() {
            self.note_charge(order, &done.was);
        }
        if order.state.word() == done.was.state.word() {
            return;
        }
        let Sale { device, purchase: Purchase { request_id, item, amount, .. }, .. } = order.sale.clone();
        let (id, request, goods) = (order.id.clone(), request_id.clone(), sold(order));
        match &order.state {
            State::Pending(_) => {
                self.counters.charges.inc();
                self.around.emit(&Journal::ChargeMade { request, order: id, device, item, goods, amount });
            }
            State::Cancelling(Cancelling { why: Ending::GrossAmount, charge, .. }) => {
                let asked = charge.as_ref().map_or_else(|| "another sum".into(), |charge| charge.gross_amount.to_string());
                let why = format!("the gateway asks {asked} for {amount}").into();
                self.around.emit(&Journal::ChargeRefused { request, order: id, device, item, goods, amount, why });
            }
            State::Cancelling(Cancelling { why: Ending::Unreadable(why), .. })
            | State::Closed(Closed { why: Some(Ending::NotMade { why, .. }), .. }) => {
                self.around.emit(&Journal::ChargeRefused { request, order: id, device, item, goods, amount, why: why.to_string().into() });
            }
            // A held order has one word with one that can be paid: only its receipt is told. The list tells of a void one.
            State::Charging(_) | State::Held(_) | State::Cancelling(_) | State::Void(_) => {}
            State::Closed(Closed { how, why, .. }) => {
                let why = why.as_ref().map_or_else(|| format!("{how:?}"), |why| format!("{how:?}, {why:?}")).to_lowercase();
                self.around.emit(&Journal::OrderCancelled { request, order: id, device, why: why.into() });
            }
            // Its machine tells of the goods, and its receipt was told before.
            State::Settled(_) if done.was.receipt().is_some() => {}
            State::Settled(_) => {
                self.counters.receipts.inc();
                self.around.emit(&Journal::ReceiptSigned { request, order: id, device, item, goods, amount });
            }
            State::Withheld(Withheld { by, why, .. }) => {
                self.counters.withheld.inc();
                let (request, device) = (Some(request), Some(device));
                match why {
                    NoReceipt::Mismatch => {
                        let why = "it differs from the charge".into();
                        self.around.emit(&Journal::SettlementMismatch { request, order: id, device, amount: by.gross_amount, why });
                    }
                    NoReceipt::PaidTwice | NoReceipt::Ended(_) => {
                        let why = if *why == NoReceipt::PaidTwice { "paid_twice" } else { "a person had ended it" }.into();
                        self.around.emit(&Journal::RefundDue { request, order: id, device, item, goods, amount, why });
                    }
                }
            }
            State::Refunded(_) => {
                let why = match order.repayment() {
                    Some(Repayment::ByHand { .. }) => "by hand",
                    Some(Repayment::Requested { .. } | Repayment::Refused { .. } | Repayment::Done { .. } | Repayment::Given { .. })
                    | None => "through the gateway",
                };
                self.around.emit(&Journal::OrderRefunded { request, order: id, device, item, goods, amount, why: why.into() });
            }
        }
    }

    /// Tells the journal once that charges fail one after the other for one reason, and once that one was made again.
    fn note_charge(&self, order: &Order, was: &Order) {
        let Some(end) = order.charge_end().filter(|_| was.charge_end().is_none()) else { return };
        match self.gateway.note_charge(end.as_ref().err().map(|failure| failure.kind)) {
            Some(Turn::Fails(count)) => {
                let why = end.err().map(|failure| failure.why).unwrap_or_default();
                self.around.emit(&Journal::ChargesFailing { count: i64::from(count), why: why.into_string().into() });
            }
            Some(Turn::Works) => self.around.emit(&Journal::ChargesBack {}),
            None => {}
        }
    }

    /// Tells the journal the new reasons for a person to look at an order. Reasons with an event of their own are left to that.
    fn journal_listed(&self, order: &Order, was: &Order) {
        let had = was.attention();
        for kind in order.attention().into_iter().filter(|kind| !had.contains(kind)) {
            let why = match kind {
                Attention::NoProof => match order.delivery() {
                    Some(DeliveryReport { proof: Proof::Missing(why), .. }) => {
                        format!("no refund: the relay's proof is missing: {}", speech::orders::no_proof(*why).en())
                    }
                    Some(DeliveryReport { proof: Proof::Signed { .. }, .. }) | None => kind.as_str().into(),
                },
                Attention::RefundDue | Attention::Uncertain | Attention::Mismatch | Attention::Conflict => continue,
                Attention::RefundFailed => match order.repayment() {
                    Some(Repayment::Refused { why, .. }) => format!("no refund: {why}"),
                    Some(Repayment::Requested { .. } | Repayment::Done { .. } | Repayment::ByHand { .. } | Repayment::Given { .. })
                    | None => kind.as_str().into(),
                },
                Attention::Unconfirmed => match order.doubt().and_then(|doubt| doubt.unclear_since) {
                    Some(_) => "the gateway's get-status tells nothing of it: its history says why".into(),
                    None => "the gateway told that it is paid, and does not confirm that".into(),
                },
                Attention::Unreported
                | Attention::Suspect
                | Attention::RefundSoon
                | Attention::RefundLastDay
                | Attention::OnlyByHand
                | Attention::PartialRefund
                | Attention::Chargeback
                | Attention::Reversed
                | Attention::LateFact
                | Attention::GoodsAndMoney => format!("it {}", speech::orders::attention(kind).alert),
            };
            let Sale { device, purchase: Purchase { request_id: request, item, amount, .. }, .. } = order.sale.clone();
            let goods = sold(order);
            self.around.emit(&Journal::OrderListed { request, order: order.id.clone(), device, item, goods, amount, why: why.into() });
        }
    }

    /// Tells the journal that two outcomes were told, and which of them stands.
    pub fn conflict(&self, order: &OrderId, device: &DeviceId, told: Delivery, kept: &str) {
        let (order, device) = (order.clone(), Some(device.clone()));
        self.around.emit(&Journal::OutcomeConflict { order, device, told: told.to_string().into(), kept: kept.to_owned().into() });
    }

    /// Tells the journal of an outcome at which a person must look.
    pub fn outcome(&self, order: &Order, told: &DeliveryReport) {
        let Sale { device, purchase: Purchase { request_id, item, amount, .. }, .. } = order.sale.clone();
        self.counters.outcome(told, amount);
        let (request, order, device, goods) = (Some(request_id), order.id.clone(), Some(device), sold(order));
        match told.outcome {
            Delivery::Dispensed => {}
            Delivery::Failed | Delivery::Undelivered => {
                self.counters.refunds_due.inc();
                let why = told.reason.as_ref().map_or(told.outcome.as_str(), Reason::as_str).to_owned().into();
                self.around.emit(&Journal::RefundDue { request, order, device, item, goods, amount, why });
            }
            Delivery::Uncertain | Delivery::Other(_) => {
                let why = told.reason.as_ref().map_or(told.outcome.as_str(), Reason::as_str);
                let detail = told.detail.as_deref().filter(|detail| !detail.is_empty()).unwrap_or(why).to_owned().into();
                self.around.emit(&Journal::OutcomeUncertain { request, order, device, item, goods, amount, detail });
            }
        }
    }
}
