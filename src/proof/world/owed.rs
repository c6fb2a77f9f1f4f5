//! The money of orders of which nothing came. What may go back by itself goes back within an hour. What waits for a person is in a list,
//! and in an alert. Both are judged from outside: by what Midtrans says of the money, the relay of the goods, and people of their wishes.

use super::{Event, HEALED, World};
use crate::midtrans::Book;
use qris_backend::sale::books::{self, BooksError};
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::{Attention, NoReceipt, Order, Proof, Repayment, State, TakenBack, Withheld};
use qris_core::order::outcome::Delivery;
use std::collections::{BTreeMap, BTreeSet};

/// Within this time money goes back that may do so by itself, in milliseconds.
const WITHIN: i64 = 3_600_000;
/// The judge looks this often.
const LOOK: i64 = 1_200_000;

/// The orders whose money may go back by itself, each with the first look that saw it so.
#[derive(Debug, Default)]
pub(super) struct Owed {
    since: BTreeMap<OrderId, i64>,
}

impl World {
    /// From now on Midtrans answers, so no money has a reason to wait.
    pub(super) fn begin_to_look_for_debts(&mut self) {
        (LOOK..HEALED.0).step_by(usize::try_from(LOOK).unwrap_or(1)).for_each(|after| self.after(after, Event::MoneyIsOwed));
    }

    pub(super) fn judge_owed(&mut self) {
        let limit = i64::from(self.merchant.policy.auto_refund_per_day);
        let begun = self.books(|tx, _| {
            let rows = tx.rows("SELECT count(*) AS begun FROM automatic_refunds WHERE asked_ms IS NOT NULL", &[])?;
            Ok(rows.first().map(|row| row.int("begun")).transpose()?)
        });
        let Ok(Some(begun)) = begun else { return };
        for book in self.charges() {
            let Ok(id) = OrderId::new(&book.order_id) else { continue };
            let stored = self.books(|tx, _| books::load(tx, &id)).ok().flatten();
            if begun >= limit || !stored.is_some_and(|stored| self.may_go_back_by_itself(&stored.order, &book)) {
                self.owed.since.remove(&id);
                continue;
            }
            let since = *self.owed.since.entry(id.clone()).or_insert(self.now);
            if self.now - since >= WITHIN {
                self.fail(format!("the money of {id} may go back by itself, and has not for {} s", (self.now - since) / 1000));
            }
        }
    }

    /// Nobody has to decide anything, and nobody has: nothing came and nothing will, by the relay's word, or nothing was ever to come. The
    /// money is whole, and at the merchant.
    fn may_go_back_by_itself(&self, order: &Order, book: &Book) -> bool {
        let is_whole = book.status == "settlement" && book.refunded == 0 && book.store.is_none();
        let is_clear = order.repayment().is_none() && order.taken_back.is_none() && !order.has_conflict() && !order.rebuilt;
        let comes_to_nothing = match &order.state {
            State::Withheld(Withheld { why, .. }) => *why == NoReceipt::PaidTwice,
            State::Settled(_) => {
                let told = order.delivery();
                told.is_some_and(|told| {
                    matches!(told.outcome, Delivery::Failed | Delivery::Undelivered) && matches!(told.proof, Proof::Signed { .. })
                }) && self.is_signed_as_not_delivered(order)
            }
            State::Charging(_) | State::Pending(_) | State::Cancelling(_) | State::Closed(_) | State::Held(_) => false,
            State::Void(_) | State::Refunded(_) => false,
        };
        let is_offered = order.tries.until.is_some_and(|until| self.wall() < until);
        is_whole && is_clear && comes_to_nothing && !is_offered && !self.gateway.says_nothing_of(&order.id)
    }

    /// Where the books know of a part that went back in the dashboard, they ask for the rest.
    pub(super) fn judge_sum(&mut self, order: &Order, body: &[u8]) {
        let id = &order.id;
        let paid = order.settlement().and_then(|by| by.gross_amount);
        let (Some(TakenBack::Partly { amount: Some(part) }), Some(paid)) = (&order.taken_back, paid) else { return };
        let told: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let rest = paid.get().saturating_sub(part.get());
        if !self.gateway.bounced.contains(id) && told["amount"].as_u64().is_some_and(|asked| asked != rest) {
            self.fail(format!("{} is asked back of {id}, and {rest} is left", told["amount"]));
        }
    }

    /// At the end: what waits for a person is in a list, and each reason in the list has an alert that is not over.
    pub(super) fn audit_told(&mut self, order: &Order, book: &Book) -> Option<&'static str> {
        let listed = order.attention();
        let is_left = match order.repayment() {
            Some(Repayment::Requested { .. } | Repayment::Done { .. } | Repayment::ByHand { .. } | Repayment::Given { .. }) => false,
            Some(Repayment::Refused { .. }) | None => true,
        };
        let comes_to_nothing = match (&order.state, order.outcome()) {
            (State::Withheld(Withheld { why, .. }), _) => matches!(why, NoReceipt::PaidTwice | NoReceipt::Mismatch),
            (State::Settled(_), Some(Delivery::Dispensed)) => order.has_conflict(),
            (State::Settled(_), Some(Delivery::Failed | Delivery::Undelivered | Delivery::Uncertain | Delivery::Other(_))) => true,
            (State::Settled(_), None) => false,
            (State::Charging(_) | State::Pending(_) | State::Cancelling(_) | State::Closed(_) | State::Held(_), _) => false,
            (State::Void(_) | State::Refunded(_), _) => false,
        };
        if is_left && comes_to_nothing && matches!(book.status, "settlement" | "partial_refund") && listed.is_empty() {
            return Some("its money waits for a person, and it is in no list");
        }
        let sql = "SELECT kind FROM alerts WHERE subject = $1 AND ended_ms IS NULL";
        let open = self.books(|tx, _| {
            let rows = tx.rows(sql, &[order.id.as_str().into()])?;
            rows.iter().map(|row| Ok::<_, BooksError>(Box::from(row.text("kind")?))).collect::<Result<BTreeSet<Box<str>>, _>>()
        });
        let wanted: BTreeSet<Box<str>> = listed.into_iter().map(|kind| Attention::as_str(kind).into()).collect();
        open.is_ok_and(|open| open != wanted).then_some("the alerts about it are others than the reasons in its list")
    }
}
