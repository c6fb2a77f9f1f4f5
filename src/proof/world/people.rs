//! Customers, controllers, the merchant, and events at Midtrans that the merchant does not cause.

use super::counts::Kind;
use super::{AT_ONCE, Event, World};
use crate::midtrans::Via;
use qris_backend::sale::books::{self, BooksError, Decision};
use qris_core::order::ids::{OrderId, PaymentCode, RequestId};
use qris_core::order::merchant::{Attention, NO_REPORT_AFTER, Order, RefundWish, Repayment, Settled, State};
use qris_core::order::outcome::Delivery;
use qris_core::order::time::{Told, Wall};
use qris_core::wire::topics::Topic;
use qris_core::wire::vend::read_sale;
use qris_device::words::Request;
use std::collections::BTreeSet;

/// The program looks this often for news that a command has left, in milliseconds.
const LOOK: i64 = 5_000;
/// A customer who has paid at a store tries the code this often again.
pub(super) const TRIES: u32 = 8;
/// What a merchant may do about an order: give the money back by hand, or only see it.
const BY_HAND: i64 = 4;
const SEEN: i64 = 7;

#[derive(Debug, Default)]
pub(super) struct People {
    /// How many requests there were.
    pub(super) vended: u64,
    /// Payloads and codes that customers have seen.
    pub(super) seen: BTreeSet<Box<str>>,
    /// The merchant decided on these.
    pub(super) repaid: BTreeSet<OrderId>,
    /// The merchant wanted to decide on these, and got an error: the decision may be written all the same.
    pub(super) wished: BTreeSet<OrderId>,
    /// A person has ended these, while nobody said whether they are paid, and the books know it.
    pub(super) ended: BTreeSet<OrderId>,
    /// A person wanted money back for these, whatever the relay had signed.
    pub(super) unproven: BTreeSet<OrderId>,
}

impl World {
    // Controllers.

    pub(super) fn vend(&mut self) {
        self.people.vended += 1;
        self.counts.note(Kind::Requests);
        let request = self.people.vended;
        let (item, payment) = match self.below(12) {
            0 => ("B1", "alfamart"),
            1 => ("B1", "indomaret"),
            2 | 3 => ("B1", "gopay"),
            _ => ("A1", "gopay"),
        };
        let item = self.same.chosen_by_customer(item);
        if payment != "gopay" {
            self.counts.note(Kind::OverCounter);
        }
        self.note(|| format!("a controller asks for r-{request}: {item}, {payment}"));
        let body = format!(r#"{{"request_id":"r-{request}","item":"{item}","payment":"{payment}"}}"#);
        self.ask_for(&body);
        if self.one_in(8) {
            let after = self.below(200_000);
            self.after(after, Event::Repeats(body.clone()));
        }
        if self.one_in(20) {
            let other = body.replace(item, if item == "A1" { "B1" } else { "A1" });
            let after = self.below(200_000);
            self.after(after, Event::Repeats(other));
            self.counts.note(Kind::Reused);
        }
        if self.one_in(6) {
            let after = 3_000 + self.below(100_000);
            self.after(after, Event::Cancels(request));
        }
    }

    /// A request, over the broker or on the machine's own board.
    pub(super) fn ask_for(&mut self, body: &str) {
        let m = self.some_machine();
        let request = read_sale(body.as_bytes());
        if let Ok(request) = &request {
            self.same.asks(&request.request_id, &request.item);
        }
        match request {
            Ok(request) if self.machine_runs(m) && (!self.network.has_broker || self.one_in(4)) => {
                self.counts.note(Kind::OverBus);
                self.ask_on_board(m, Request::Vend(request));
            }
            Ok(_) | Err(_) => self.broker_takes(Topic::VendRequest, body.as_bytes().to_vec()),
        }
    }

    pub(super) fn cancel(&mut self, request: u64) {
        self.counts.note(Kind::Cancels);
        let m = self.some_machine();
        match RequestId::new(&format!("r-{request}")) {
            Ok(id) if self.machine_runs(m) && (!self.network.has_broker || self.one_in(4)) => self.ask_on_board(m, Request::Cancel(id)),
            Ok(_) | Err(_) => self.broker_takes(Topic::VendCancel, format!(r#"{{"request_id":"r-{request}"}}"#).into_bytes()),
        }
    }

    // Customers.

    pub(super) fn reads_the_qr(&mut self, payload: Box<str>) {
        if !self.one_in(5) {
            let (late, after) = (self.one_in(8), self.below(90_000));
            let after = if late { 100_000 + self.below(400_000) } else { 1_500 + after };
            self.after(after, Event::Pays { payload, force: late && self.storm });
        }
    }

    pub(super) fn pays(&mut self, payload: &str, force: bool) {
        if force {
            self.empties(0);
        }
        let paid = self.gateway.midtrans.pay(payload, Via::Qris, force, self.wall());
        self.note(|| format!("a customer pays: {}", if paid.is_ok() { "paid" } else { "refused" }));
        let Ok(paid) = paid else { return };
        self.note_paid(&paid.order_id, force);
    }

    fn note_paid(&mut self, order: &str, force: bool) {
        if force {
            self.counts.note(Kind::Late);
            self.gateway.paid_late.extend(OrderId::new(order));
        }
        if OrderId::new(order).is_ok_and(|id| self.gateway.never_confirmed.contains(&id)) {
            self.counts.note(Kind::NeverConfirmed);
        }
        if self.gateway.midtrans.transaction(order).is_some_and(|book| book.gross_amount != book.amount) {
            self.counts.note(Kind::WithFee);
        }
    }

    pub(super) fn goes_to_a_store(&mut self, code: Box<str>) {
        if self.one_in(4) {
            return;
        }
        let late = self.storm && self.one_in(8);
        let after = if late { 7_200_000 + self.below(600_000) } else { 60_000 + self.below(600_000) };
        self.after(after, Event::PaysAtStore { code, force: late });
    }

    pub(super) fn pays_at_store(&mut self, code: Box<str>, force: bool) {
        self.empties(0);
        let paid = self.gateway.midtrans.pay(&code, Via::Qris, force, self.wall());
        self.note(|| format!("a customer pays at a store: {}", if paid.is_ok() { "paid" } else { "refused" }));
        let Ok(paid) = paid else { return };
        self.note_paid(&paid.order_id, force);
        let book = self.gateway.midtrans.transaction(&paid.order_id);
        if book.is_some_and(|book| book.store == Some("indomaret")) && self.one_in(4) {
            let after = self.below(900_000);
            self.after(after, Event::Reverses(code.clone()));
        }
        // Some never come back.
        if !self.one_in(6) {
            let after = 5_000 + self.below(900_000);
            self.after(after, Event::Collects { code, tries: 0 });
        }
    }

    pub(super) fn collects(&mut self, code: Box<str>, tries: u32) {
        let Some(book) = self.gateway.midtrans.transaction(&code) else { return };
        let Ok(order) = OrderId::new(&book.order_id) else { return };
        if self.pulses(&order) > 0 {
            self.counts.note(Kind::Collected);
            return;
        }
        let typed = if !self.is_planned() && self.storm && self.one_in(12) {
            self.counts.note(Kind::WrongCodes);
            format!("{}", 1_000_000_000_000 + self.rng.below(1_000_000))
        } else {
            code.to_string()
        };
        let m = self.some_machine();
        match PaymentCode::typed(&typed) {
            Ok(typed) if self.machine_runs(m) && (!self.network.has_broker || self.one_in(2)) => {
                self.ask_on_board(m, Request::Collect(typed))
            }
            Ok(_) | Err(_) => self.broker_takes(Topic::VendCollect, format!(r#"{{"code":"{typed}"}}"#).into_bytes()),
        }
        if tries >= TRIES {
            return;
        }
        let after = (20_000 << tries) + self.below(20_000);
        self.after(after, Event::Collects { code, tries: tries + 1 });
    }

    // Midtrans without the merchant.

    /// Somebody at Midtrans' dashboard, or a customer's bank.
    pub(super) fn meddle_at_midtrans(&mut self) {
        if let Some(id) = self.some_paid() {
            let how = self.below(4);
            self.takes_money_back(id, how);
        }
    }

    /// In one of four ways: all of it, a part of it, or the same by the bank.
    pub(super) fn takes_money_back(&mut self, id: OrderId, how: i64) {
        let now = self.wall();
        let name = id.as_str();
        let was = self.gateway.midtrans.transaction(name).map(|book| book.status);
        match how {
            0 => drop(self.gateway.midtrans.refund_by_hand(name, b"", now)),
            1 => drop(self.gateway.midtrans.refund_by_hand(name, br#"{"amount":1000}"#, now)),
            // Refused if there is nothing to take.
            2 => drop(self.gateway.midtrans.charge_back(name, None, now)),
            _ => drop(self.gateway.midtrans.charge_back(name, Some(2_000), now)),
        }
        let status = self.gateway.midtrans.transaction(name).map(|book| book.status);
        if status == was {
            return;
        }
        let kind = match status {
            Some("refund") => Kind::RefundOutside,
            Some("partial_refund") => Kind::PartOutside,
            _ => Kind::Chargebacks,
        };
        self.money_left(&id, kind);
        self.gateway.outside.entry(id).or_insert(self.now);
        self.count(kind, "money goes back at Midtrans");
    }

    pub(super) fn reverses(&mut self, code: &str) {
        let now = self.wall();
        if let Ok(paid) = self.gateway.midtrans.reverse(code, now)
            && let Ok(id) = OrderId::new(&paid.order_id)
        {
            self.gateway.outside.entry(id).or_insert(self.now);
            self.count(Kind::Reversals, "a counter takes a settlement back");
        }
    }

    pub(super) fn some_paid(&mut self) -> Option<OrderId> {
        let paid: Vec<OrderId> = self.paid();
        let at = self.below_usize(paid.len());
        paid.into_iter().nth(at)
    }

    /// Every order that Midtrans has a charge of.
    pub(super) fn all_orders(&self) -> Vec<OrderId> {
        self.gateway.midtrans.transactions().iter().filter_map(|book| OrderId::new(&book.order_id).ok()).collect()
    }

    pub(super) fn paid(&self) -> Vec<OrderId> {
        let books = self.gateway.midtrans.transactions();
        books.iter().filter(|book| book.settled_at_ms.is_some()).filter_map(|book| OrderId::new(&book.order_id).ok()).collect()
    }

    // The merchant.

    /// A person looks at an order and asks for something. A forbidden act is refused.
    pub(super) fn merchant_checks(&mut self) {
        // Whether the machine has another board, or somebody else shows a key, he cannot see.
        match self.below(12) {
            0 => return self.takes_the_key(),
            1 => return self.uses_a_code(),
            _ => {}
        }
        if self.oddly(3)
            && let Some(id) = self.some_unconfirmed()
        {
            let what = if self.oddly(4) { BY_HAND } else { SEEN };
            return self.merchant_decides(id, what, false, false, false);
        }
        let Some(id) = self.some_paid() else { return };
        let (no_report, no_proof, what) = (self.one_in(2), self.one_in(2), self.below(8));
        self.merchant_decides(id, what, no_report, no_proof, false);
    }

    /// Asks for a refund, gives the money back by hand, has the goods handed over, or has seen the order.
    pub(super) fn merchant_decides(&mut self, id: OrderId, what: i64, no_report: bool, no_proof: bool, besides: bool) {
        let now = self.wall();
        let Ok(Some(before)) = self.books(|tx, _| books::load(tx, &id)) else { return };
        let by = Some(Box::from("Sari"));
        // Goods that can come out of the slot come from there: that is rare.
        let from_slot = self.may_come_from_slot(&before.order);
        let what = if from_slot && what < BY_HAND { 6 } else { what };
        let (wish, done) = match what {
            0..=3 => (
                Kind::RefundRequested,
                self.books(|tx, policy| {
                    let wish = RefundWish { no_report, no_proof, goods_and_money: besides, ..RefundWish::of_a_person(by) };
                    books::request_refund(tx, policy, &id, wish, Told::trusted(now))
                }),
            ),
            BY_HAND | 5 => {
                let decision = Decision::ByHand { note: "cash".into(), by, no_report, goods_and_money: besides };
                (Kind::ByHand, self.books(|tx, policy| books::decide(tx, policy, &id, decision, Told::trusted(now))))
            }
            6 => {
                let decision = Decision::Given { by: "Sari".into(), goods_and_money: besides, from_slot };
                (Kind::Given, self.books(|tx, policy| books::decide(tx, policy, &id, decision, Told::trusted(now))))
            }
            _ => {
                // This ends only what a person must see.
                if self.books(|tx, policy| books::seen(tx, policy, &id, "Sari", Told::trusted(now))).is_ok() {
                    self.note_ended(&before.order);
                }
                return;
            }
        };
        let asks = wish == Kind::RefundRequested;
        let came = before.order.outcome() == Some(Delivery::Dispensed) && !before.order.has_conflict();
        if asks && !matches!(done, Err(BooksError::Refused(_))) {
            self.copies.stopped.remove(&id);
        }
        if asks && besides && came && !matches!(done, Err(BooksError::Refused(_))) {
            self.people.unproven.insert(id.clone());
        }
        if asks && (no_proof || before.order.delivery().is_none()) && !matches!(done, Err(BooksError::Refused(_))) {
            self.counts.note(Kind::Unproven);
            self.people.unproven.insert(id.clone());
        }
        match done {
            Ok(_) => {
                self.count(wish, "the merchant decides about an order");
                let is_besides = besides && came && self.may_give_besides(&before.order);
                self.judge_grant(&before.order, wish, no_report, is_besides, now);
                self.decided(&before.order);
                self.note_ended(&before.order);
                self.takes_out_of_slot(&id);
                self.people.repaid.insert(id);
                // When the program looks again, it finds what a command has written.
                self.plan_sweep(AT_ONCE);
                self.publish_soon(LOOK);
            }
            Err(BooksError::Refused(_)) => self.counts.note(Kind::WishRefused),
            Err(_) => {
                self.decided(&before.order);
                self.people.wished.insert(id);
            }
        }
    }

    /// Whether the books could grant it.
    fn judge_grant(&mut self, order: &Order, wish: Kind, no_report: bool, is_besides: bool, now: Wall) {
        let asks = wish == Kind::RefundRequested;
        if is_besides {
            self.count(Kind::GoodsAndMoney, "a person gives goods and money");
        }
        if let Some(why) = why_not(order, asks, no_report || wish == Kind::Given, is_besides, now) {
            self.fail(format!("{}: {wish:?} was granted: {why}", order.id));
        }
        if asks
            && !self.people.unproven.contains(&order.id)
            && !self.is_signed_as_not_delivered(order)
            && !self.is_in_two_ledgers(&order.id)
        {
            self.fail(format!("{}: {wish:?} was granted, and no relay has signed that it was not delivered", order.id));
        }
    }

    fn some_unconfirmed(&mut self) -> Option<OrderId> {
        let all = self.gateway.midtrans.transactions();
        let known = all.iter().filter_map(|book| OrderId::new(&book.order_id).ok());
        let listed: Vec<OrderId> = known
            .filter(|id| {
                let stored = self.books(|tx, _| books::load(tx, id)).ok().flatten();
                stored.is_some_and(|stored| stored.order.is_unconfirmed())
            })
            .collect();
        let at = self.below_usize(listed.len());
        listed.into_iter().nth(at)
    }

    /// A person has acted on an unconfirmed payment: that ends the order for good.
    fn note_ended(&mut self, before: &Order) {
        if before.is_unconfirmed() {
            self.count(Kind::EndedByPerson, "a person ends an unconfirmed payment");
            self.gateway.doubted.remove(&before.id);
            self.people.ended.insert(before.id.clone());
            self.merchant.is_ended(&before.id);
        }
    }

    /// A person has decided, or may have decided, by the report of an order.
    fn decided(&mut self, order: &Order) {
        let uncertain = order.outcome() == Some(Delivery::Uncertain);
        if uncertain && self.alive == [true, true] {
            self.losses.by_twin.insert(order.id.clone());
        }
    }
}

/// Why one of these would be wrong: a refund in cash or through Midtrans, or goods from an attendant's hand. The rule
/// is written here once more, from the promise and not from the product.
fn why_not(order: &Order, is_refund: bool, no_report: bool, is_besides: bool, now: Wall) -> Option<&'static str> {
    match order.repayment() {
        Some(Repayment::Done { .. } | Repayment::ByHand { .. } | Repayment::Given { .. }) => return Some("it was settled before"),
        // Nobody tells what became of a refund, and the merchant says by name that it was not made.
        Some(Repayment::Requested { tries: 4.., .. }) if !is_refund => {}
        Some(Repayment::Requested { .. }) => return Some("Midtrans is being asked"),
        Some(Repayment::Refused { .. }) | None => {}
    }
    match &order.state {
        State::Withheld(_) => None,
        State::Settled(Settled { receipt, .. }) => match order.outcome() {
            Some(Delivery::Failed | Delivery::Undelivered | Delivery::Uncertain | Delivery::Other(_)) => None,
            Some(Delivery::Dispensed) => (!order.has_conflict() && !is_besides).then_some("the customer has the goods"),
            None if !no_report || !order.attention().contains(&Attention::Unreported) => Some("the machine may still deliver it"),
            None => {
                let signed = Wall(receipt.claims().iat * 1_000);
                (now < signed + NO_REPORT_AFTER).then_some("the machine may still deliver it")
            }
        },
        State::Void(_) => Some("a counter took the money back"),
        State::Closed(_) if order.is_suspect() => None,
        State::Closed(_) | State::Pending(_) | State::Cancelling(_) | State::Held(_) if order.is_unconfirmed() => None,
        State::Closed(_) | State::Charging(_) | State::Pending(_) | State::Cancelling(_) | State::Held(_) | State::Refunded(_) => {
            Some("it is not paid")
        }
    }
}
