//! The books of a whole demo. Four figures must agree: the payments at Midtrans, the machine's word, the backend's word, and
//! the pulses of the relay.

use super::midtrans::Transaction;
use super::site::{Site, SiteError};
use super::watch;
use qris_core::order::ids::{ItemId, OrderId};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Delivery;
use qris_core::order::reason::Reason;
use qris_core::wire::orders::{OrderResource, Refund};
use qris_core::wire::stock::Slot;
use qris_core::wire::vend::EventState;
use serde::Serialize;
use std::fmt::{self, Display, Formatter};

/// How often the backend is asked again, with a long poll each, until it knows the outcome of a paid order.
const POLLS_MAX: u32 = 4;

/// One order, as each side tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    pub order_id: OrderId,
    /// Did Midtrans take a customer's money?
    pub paid: bool,
    /// Whole rupiah, fees included.
    pub rupiah: u64,
    /// The machine's last event of it.
    pub machine: Option<(EventState, Option<Reason>)>,
    /// The outcome that the backend was told.
    pub outcome: Option<Delivery>,
    /// The backend's record of its money.
    pub refund: Option<Refund>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Totals {
    /// Orders that Midtrans was asked to charge.
    pub orders: u64,
    /// Those of them that have not ended on the machine.
    pub under_way: u64,
    /// Paid at Midtrans.
    pub paid: u64,
    /// The sum of the payments, whole rupiah.
    pub rupiah: u64,
    pub dispensed: u64,
    /// Paid, and not handed out.
    pub refund_due: u64,
    /// Paid, and nobody knows whether it was handed out.
    pub uncertain: u64,
    /// Paid, not known to be handed out, and paid back.
    pub refunded: u64,
    /// Paid, not known to be handed out, and an attendant handed the goods over.
    pub given: u64,
    /// Some of the refunds due, and of the orders that a person has settled: the relay was driven, or could not be, and the item did not come or may have come.
    pub failed: u64,
    /// Rising edges of the relay lines.
    pub pulses: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Audit {
    pub totals: Totals,
    /// What lies in the slots that are counted; empty while the machine cannot be asked.
    pub slots: Vec<Slot>,
    /// All differences, in words; empty when the books balance.
    pub wrong: Vec<String>,
}

/// Asks every side. With `wait`, the backend gets time to hear of an order that has just ended.
pub async fn audit(site: &Site, wait: bool) -> Result<Audit, SiteError> {
    let told = site.watched.last_reported();
    let mut sales = Vec::new();
    // The sandbox has no list of its transactions: there the backend's word is taken, and only the machine's orders are known.
    let paid_of = match &site.midtrans {
        Some(midtrans) => {
            let transactions = midtrans.transactions().await?.into_iter();
            transactions.map(|transaction| (transaction.order_id.clone(), Some(transaction))).collect()
        }
        None => told.keys().map(|order_id| (order_id.clone(), None)).collect::<Vec<_>>(),
    };
    for (order_id, transaction) in paid_of {
        let known = transaction.as_ref().map(Transaction::is_paid);
        let order = reported(site, &order_id, known == Some(true) && wait).await?;
        sales.push(Sale {
            machine: told.get(&order_id).copied(),
            paid: known.unwrap_or(order.settled_ago_s.is_some()),
            rupiah: transaction.map_or(order.gross_amount.map_or(0, Rupiah::get), |transaction| transaction.gross_amount),
            outcome: order.outcome.map(|report| report.outcome),
            refund: order.refund,
            order_id,
        });
    }
    let (pulses, driven) = watch::count_pulses(&site.line_log());
    let mut audit = balance(&sales, pulses, driven);
    audit.slots = site.slots().await.unwrap_or_default();
    Ok(audit)
}

/// The slots' own rule: who filled put in as many as came out and are there. `Err`: the differences.
pub async fn audit_slots(site: &Site) -> Result<Vec<InSlot>, Vec<String>> {
    let slots = site.slots().await.map_err(|error| vec![error.to_string()])?;
    let of = |slot: &Slot| InSlot {
        item: slot.item.clone(),
        put_in: site.put_in(slot.item.as_str()),
        pulses: watch::pulses_of(&site.line_log(), slot.item.as_str()),
        count: slot.count,
    };
    let all: Vec<InSlot> = slots.iter().map(of).collect();
    let wrong: Vec<String> = all.iter().filter(|slot| !slot.agrees()).map(|slot| format!("{slot} does not agree")).collect();
    if wrong.is_empty() { Ok(all) } else { Err(wrong) }
}

/// What went into a slot, what came out of it, and what the machine says that is there. Its line has the item's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InSlot {
    item: ItemId,
    put_in: u64,
    pulses: u64,
    count: Option<u32>,
}

impl InSlot {
    fn agrees(&self) -> bool {
        self.count.is_some_and(|count| self.put_in == self.pulses + u64::from(count))
    }
}

impl Display for InSlot {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { item, put_in, pulses, count } = self;
        write!(f, "{item}: {put_in} put in = {pulses} out + ")?;
        match count {
            Some(count) => write!(f, "{count} there"),
            None => f.write_str("nobody has counted"),
        }
    }
}

async fn reported(site: &Site, order_id: &OrderId, wait: bool) -> Result<OrderResource, SiteError> {
    let mut order = site.order(order_id, None).await?;
    for _ in 0..POLLS_MAX {
        if !wait || order.outcome.is_some() {
            break;
        }
        order = site.order(order_id, Some(order.rev)).await?;
    }
    Ok(order)
}

/// The books' own rule: paid = dispensed + refund due + uncertain + refunded + handed over, and one pulse for each dispensed order.
/// While an order is under way the books cannot be closed. Then only a state that no order may have counts as wrong.
#[must_use]
pub fn balance(sales: &[Sale], pulses: u64, driven: bool) -> Audit {
    let mut audit = Audit { totals: Totals { pulses, ..Totals::default() }, ..Audit::default() };
    for sale in sales {
        audit.enter(sale);
    }
    let Totals { under_way, paid, dispensed, refund_due, uncertain, refunded, given, failed, .. } = audit.totals;
    if under_way > 0 {
        return audit;
    }
    if paid != dispensed + refund_due + uncertain + refunded + given {
        let owed = format!("{refund_due} refund due, {uncertain} uncertain");
        let ends = format!("{dispensed} dispensed, {owed}, {refunded} refunded and {given} handed over");
        audit.wrong.push(format!("{paid} paid, but {ends}"));
    }
    // When the relay says that no item came, or that it does not know, there may have been a pulse or none.
    if pulses < dispensed || pulses > dispensed + failed + uncertain {
        audit.wrong.push(format!("{pulses} pulses, but {dispensed} dispensed, {failed} failed and {uncertain} uncertain"));
    }
    if driven {
        audit.wrong.push("a line is still driven".into());
    }
    audit
}

impl Audit {
    fn enter(&mut self, sale: &Sale) {
        let Sale { order_id, paid, rupiah, machine, outcome, refund } = sale;
        let totals = &mut self.totals;
        totals.orders += 1;
        totals.paid += u64::from(*paid);
        totals.rupiah += if *paid { *rupiah } else { 0 };
        let Some((state, reason)) = *machine else {
            totals.under_way += 1;
            return;
        };
        match state {
            EventState::Dispensed => totals.dispensed += 1,
            EventState::RefundDue | EventState::Refunded => {
                let is_uncertain = reason == Some(Reason::Uncertain);
                // The machine does not hear of every refund, and of no goods that were handed over.
                let (end, is_settled) = match refund {
                    Some(Refund::Given) => (&mut totals.given, true),
                    Some(Refund::Done | Refund::ByHand) => (&mut totals.refunded, true),
                    Some(Refund::Due | Refund::Other(_)) | None if state == EventState::Refunded => (&mut totals.refunded, true),
                    Some(Refund::Due | Refund::Other(_)) | None if is_uncertain => (&mut totals.uncertain, false),
                    Some(Refund::Due | Refund::Other(_)) | None => (&mut totals.refund_due, false),
                };
                *end += 1;
                totals.failed += u64::from(reason == Some(Reason::Failed) || is_settled && (is_uncertain || reason.is_none()));
            }
            EventState::Refused | EventState::Cancelled | EventState::Expired | EventState::Denied | EventState::Failed => {}
            EventState::Requested
            | EventState::AwaitingPayment
            | EventState::AwaitingCollection
            | EventState::Cancelling
            | EventState::TryingAgain
            | EventState::Paid
            | EventState::Dispensing
            | EventState::Other(_) => {
                totals.under_way += 1;
                return;
            }
        }
        let ended_paid = matches!(state, EventState::Dispensed | EventState::RefundDue | EventState::Refunded);
        if *paid != ended_paid {
            let money = if *paid { "paid" } else { "not paid" };
            self.wrong.push(format!("{order_id}: {money} at Midtrans, {} on the machine", state.as_str()));
        }
        let agrees = match (state, outcome) {
            (EventState::Dispensed, Some(Delivery::Dispensed)) => true,
            (EventState::RefundDue, Some(Delivery::Uncertain)) => true,
            (EventState::RefundDue | EventState::Refunded, Some(Delivery::Failed | Delivery::Undelivered)) => refund.is_some(),
            (EventState::Refunded, Some(Delivery::Uncertain)) => true,
            (EventState::Dispensed | EventState::RefundDue | EventState::Refunded, _) => false,
            (_, outcome) => outcome.is_none(),
        };
        if !agrees {
            let told = outcome.as_ref().map_or("nothing", Delivery::as_str);
            self.wrong.push(format!("{order_id}: {} on the machine, the backend was told {told}", state.as_str()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sale(paid: bool, state: EventState, reason: Option<Reason>, outcome: Option<Delivery>) -> Sale {
        let refund = matches!(outcome, Some(Delivery::Failed | Delivery::Undelivered)).then_some(Refund::Due);
        Sale { order_id: OrderId::new("o-1").expect("an id"), paid, rupiah: 5_000, machine: Some((state, reason)), outcome, refund }
    }

    #[test]
    fn what_was_put_in_came_out_or_is_there() {
        let slot = |put_in, pulses, count| InSlot { item: ItemId::new("A4").expect("an item"), put_in, pulses, count };
        assert_eq!(slot(4, 3, Some(1)).to_string(), "A4: 4 put in = 3 out + 1 there");
        let agree = [(4, 3, Some(1)), (4, 3, Some(2)), (4, 3, Some(0)), (4, 4, None), (0, 0, Some(0))];
        assert_eq!(agree.map(|(put_in, pulses, count)| slot(put_in, pulses, count).agrees()), [true, false, false, false, true]);
    }

    #[test]
    fn books_balance_or_say_what_is_wrong() {
        use EventState::{AwaitingPayment, Cancelled, Dispensed, RefundDue};
        let good = sale(true, Dispensed, None, Some(Delivery::Dispensed));
        let late = sale(true, RefundDue, Some(Reason::Late), Some(Delivery::Undelivered));
        let jammed = sale(true, RefundDue, Some(Reason::Failed), Some(Delivery::Failed));
        let unknown = sale(true, RefundDue, Some(Reason::Uncertain), Some(Delivery::Uncertain));
        let left = sale(false, Cancelled, Some(Reason::Timeout), None);
        let unheard = Sale { machine: None, ..left.clone() };
        let no_refund = Sale { refund: None, ..late.clone() };
        let back = Sale { refund: Some(Refund::Done), ..late.clone() };
        let heard = Sale { machine: Some((EventState::Refunded, None)), ..back.clone() };
        let given = Sale { refund: Some(Refund::Given), ..late.clone() };
        let given_in_doubt = Sale { refund: Some(Refund::Given), ..unknown.clone() };
        let cases: [(&str, Vec<Sale>, u64, bool, usize); 20] = [
            ("nothing", vec![], 0, false, 0),
            ("one of each", vec![good.clone(), late.clone(), jammed.clone(), unknown.clone(), left.clone()], 2, false, 0),
            ("uncertain after the pulse", vec![unknown.clone()], 1, false, 0),
            ("uncertain before the pulse", vec![unknown], 0, false, 0),
            ("failed after the pulse", vec![jammed], 1, false, 0),
            ("refunded, and the machine did not hear of it", vec![back], 0, false, 0),
            ("refunded, and the machine knows", vec![heard], 0, false, 0),
            ("handed over by a person", vec![given.clone()], 0, false, 0),
            ("handed over, and a pulse besides", vec![given.clone()], 1, false, 1),
            ("handed over, after a pulse of which nobody knew", vec![given_in_doubt.clone()], 1, false, 0),
            ("a pulse too many", vec![good.clone(), late.clone()], 2, false, 1),
            ("a pulse too few", vec![good.clone(), good.clone()], 1, false, 1),
            ("a pulse for nobody", vec![left], 1, false, 1),
            ("a line left on", vec![good.clone()], 1, true, 1),
            ("paid and cancelled", vec![sale(true, Cancelled, None, None)], 0, false, 2),
            ("dispensed and not paid", vec![sale(false, Dispensed, None, Some(Delivery::Dispensed))], 1, false, 2),
            ("still on the screen", vec![sale(false, AwaitingPayment, None, None), good.clone()], 0, false, 0),
            ("the backend was not told", vec![Sale { outcome: None, ..good.clone() }], 1, false, 1),
            ("no refund is due at the backend", vec![no_refund], 0, false, 1),
            ("the machine has not told of it", vec![unheard], 0, false, 0),
        ];
        for (name, sales, pulses, driven, faults) in cases {
            let audit = balance(&sales, pulses, driven);
            assert_eq!(audit.wrong.len(), faults, "{name}: {:?}", audit.wrong);
        }
        let totals = balance(&[good, late], 1, false).totals;
        assert_eq!(totals, Totals { orders: 2, paid: 2, rupiah: 10_000, dispensed: 1, refund_due: 1, pulses: 1, ..Totals::default() });
        // Nobody is owed anything any more.
        let totals = balance(&[given, given_in_doubt], 0, false).totals;
        assert_eq!(totals, Totals { orders: 2, paid: 2, rupiah: 10_000, given: 2, failed: 1, ..Totals::default() });
    }
}
