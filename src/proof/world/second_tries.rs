//! Second tries. In some seeds the merchant allows them. A customer to whom nothing came presses once more, by a button or through a
//! controller, and so does somebody who stands there by chance, or comes too late. All their chances are drawn apart.

use super::counts::Kind;
use super::{AT_ONCE, Event, Play, World, large, small};
use crate::rng::Rng;
use qris_backend::sale::books::{self, Policy};
use qris_backend::store::Tx;
use qris_core::order::ids::{ItemId, OrderId, RequestId};
use qris_core::order::ledger::Again;
use qris_core::order::merchant::{Order, Repayment, TakenBack};
use qris_core::order::request::{Payment, VendRequest};
use qris_core::order::time::Span;
use qris_core::order::tries::TryNumber;
use qris_core::wire::topics::Topic;
use qris_core::wire::vend::TryRequest;
use qris_device::controller::buttons;
use qris_device::screen::picture::Scene;
use qris_device::words::{Asker, Input, Request};
use std::collections::{BTreeMap, BTreeSet};

const BUTTON: Asker = Asker { question: 6, kind: buttons::KIND };
/// The merchant offers one for so long.
const WITHIN: Span = Span::secs(900);
/// The last answer of Midtrans that a later receipt may rest on is not older than this, in milliseconds, with its way.
pub(super) const SETTLED_LATELY: i64 = 30_000 + 10_000;

#[derive(Debug)]
pub(super) struct SecondTries {
    rng: Rng,
    /// The chance of what somebody does in Midtrans' dashboard meanwhile.
    dashboard: Rng,
    /// How many the merchant allows.
    most: u32,
    /// In some seeds so much goes back by itself once nobody came for another try.
    pub(super) refunds_by_itself: Option<u32>,
    /// The try whose receipt was signed, and of which the backend was told nothing yet.
    open: BTreeMap<OrderId, TryNumber>,
    /// All money of these went back in the dashboard meanwhile.
    refunded: BTreeSet<OrderId>,
}

impl SecondTries {
    /// `play`: that of a plan. `always`: there is one in each case.
    pub(super) fn new(seed: u64, play: Option<Play>, always: bool) -> Self {
        let mut rng = Rng::new(seed ^ 0x02_d7);
        let most = match play {
            Some(play) => u32::from(play == Play::SecondTry),
            None => u32::try_from(rng.below(4)).unwrap_or(0).saturating_sub(1),
        };
        let most = most.max(u32::from(always));
        let mut dashboard = Rng::new(seed ^ 0x0da5_4b0a);
        let is_generous = play.is_none() && most > 0 && dashboard.below(3) > 0;
        Self { rng, dashboard, most, refunds_by_itself: is_generous.then_some(20), open: BTreeMap::new(), refunded: BTreeSet::new() }
    }

    /// The backend was told of this try.
    pub(super) fn ends(&mut self, order: &OrderId, told: TryNumber) {
        if self.open.get(order).is_some_and(|number| *number <= told) {
            self.open.remove(order);
        }
    }

    pub(super) const fn rules(&self) -> (u32, Span) {
        (self.most, WITHIN)
    }
}

impl World {
    /// Does the line jam, since customers are to try again?
    pub(super) fn jams_before_a_second_try(&mut self) -> bool {
        self.second_tries.most > 0 && !self.is_planned() && self.second_tries.rng.below(2) == 0 && self.storm
    }

    /// Is somebody at once there who takes the block off?
    pub(super) fn is_soon_cleared(&mut self) -> bool {
        self.second_tries.most > 0 && (self.is_planned() || self.second_tries.rng.below(2) == 0)
    }

    /// Another try is on the screen. Its customer stands there, or comes a little too late.
    pub(super) fn sees_an_offer_to_try(&mut self, m: usize) {
        self.counts.note(Kind::TriesOffered);
        if self.is_planned() {
            return self.after(3_000, Event::Tries(m, None));
        }
        let comes_back = self.second_tries.rng.below(2) == 0;
        if let Some(Scene::TryAgain { order, .. }) = &self.machines[m].scene
            && comes_back
        {
            let order = order.clone();
            let after = 20_000 + i64::try_from(self.second_tries.rng.below(700_000)).unwrap_or(0);
            self.after(after, Event::Wishes(order));
        }
        // Few of those who come back have pressed.
        if self.second_tries.rng.below(4) > if comes_back { 2 } else { 0 } {
            let within = if self.second_tries.rng.below(4) == 0 { 70_000 } else { 12_000 };
            let after = 1_000 + i64::try_from(self.second_tries.rng.below(within)).unwrap_or(0);
            let request = self.request_on_screen(m);
            self.after(after, Event::Tries(m, request));
        }
    }

    /// A customer is back, and says so on the page, or wants the money there. Whoever waits there for the machine may ask for what has come
    /// long ago.
    pub(super) fn wishes(&mut self, id: &OrderId) {
        let (now, draw) = (self.wall(), self.second_tries.rng.below(8));
        let want = |tx: &mut dyn Tx, policy: &Policy| match draw {
            0 | 1 => books::want_money(tx, policy, id, now),
            2 => books::want_try(tx, policy, id, Some("Sari".into()), now),
            _ => books::want_try(tx, policy, id, None, now),
        };
        if self.books(want).is_ok() {
            let what = match draw {
                0 | 1 => "a customer wants the money, on the page",
                2 => "a person offers another try",
                _ => "a customer wants another try, on the page",
            };
            self.count(Kind::TriesWished, what);
            self.plan_sweep(AT_ONCE);
            self.publish_soon(5);
        }
    }

    /// The request whose order is on the screen, from Midtrans' own record of the charge.
    fn request_on_screen(&self, m: usize) -> Option<RequestId> {
        let Some(Scene::TryAgain { order, .. }) = &self.machines[m].scene else { return None };
        let book = self.gateway.midtrans.transaction(order.as_str())?;
        RequestId::new(book.custom_fields[1].as_deref()?).ok()
    }

    /// Somebody presses. `known`: the request that was on the screen when a controller looked.
    pub(super) fn tries_again(&mut self, m: usize, known: Option<RequestId>) {
        if !self.machine_runs(m) {
            return;
        }
        let item = match &self.machines[m].scene {
            Some(Scene::TryAgain { goods, same: true, .. }) => goods.item.clone(),
            Some(Scene::TryAgain { goods, .. }) if goods.item == large() => small(),
            _ => [small(), large()][usize::from(self.second_tries.rng.below(3) == 0)].clone(),
        };
        let way = if self.is_planned() { 0 } else { self.second_tries.rng.below(4) };
        match (way, known) {
            (1, Some(request_id)) => {
                let request = TryRequest { request_id, number: second(), item };
                self.ask_on_board(m, Request::TryAgain(request));
            }
            (2, Some(request)) if self.network.has_broker => {
                let body = format!(r#"{{"request_id":"{request}","item":"{item}","try":2}}"#);
                self.broker_takes(Topic::VendRequest, body.into_bytes());
            }
            // A button sells, too, where nothing is offered.
            _ if matches!(self.machines[m].scene, Some(Scene::TryAgain { .. })) => self.presses(m, item),
            _ => {}
        }
    }

    fn presses(&mut self, m: usize, item: ItemId) {
        let request_id = RequestId::new(&format!("press-{m}-{}", self.now)).expect("an id");
        let request = VendRequest { request_id, item, amount: None, description: None, payment: Payment::Gopay, timeout_s: None };
        self.input(m, Input::Requested(Request::Pressed(request), BUTTON));
    }

    /// A machine asks its relay for another try.
    pub(super) fn judge_try(&mut self, again: &Again) {
        self.counts.note(Kind::TriesPressed);
        let came = self.came(&again.order);
        if came > 0 && !self.is_forgotten(&again.order) && !self.thief.betrayed.contains(&again.order) && self.losses.are_none() {
            self.fail(format!("another try at {} is begun, and it came", again.order));
        }
    }

    /// The backend has signed the receipt of another try.
    pub(super) fn judge_later_receipt(&mut self, order: &Order) {
        let id = &order.id;
        self.counts.note(Kind::TriesSigned);
        self.second_tries.open.insert(id.clone(), order.number_of_try());
        if self.storm && !self.is_planned() && self.second_tries.dashboard.below(3) > 0 {
            let (after, how) = (self.second_tries.dashboard.below(1_500), self.second_tries.dashboard.below(2));
            let of = |number| i64::try_from(number).unwrap_or(0);
            self.after(of(after), Event::AtDashboard(id.clone(), of(how)));
        }
        // A refund that Midtrans refused, and of which nothing went back, is none.
        let is_refused = matches!(order.repayment(), Some(Repayment::Refused { unsure: false, .. }));
        if is_refused && self.gateway.midtrans.transaction(id.as_str()).is_some_and(|book| book.refunded == 0) {
            self.people.repaid.remove(id);
            self.gateway.refund_requested.remove(id);
        }
        if self.people.repaid.contains(id) || self.gateway.refund_requested.contains(id) {
            self.fail(format!("another try at {id} was signed, and its money goes back, or somebody has settled it"));
        }
        let told = self.merchant.settled_at.get(id).copied().unwrap_or(i64::MIN / 2);
        if self.now - told > SETTLED_LATELY {
            self.fail(format!("another try at {id} was signed, and Midtrans has not said lately that it is paid"));
        }
        if self.second_tries.most < order.number_of_try().get() - TryNumber::FIRST.get() {
            self.fail(format!("{id} has more tries than its merchant allows"));
        }
    }

    /// Somebody at the dashboard sees an order of which nothing came, and gives all or a part back. Meanwhile its machine tries again.
    pub(super) fn refunds_a_try(&mut self, id: OrderId, how: i64) {
        if self.storm && self.second_tries.open.contains_key(&id) {
            self.takes_money_back(id, how);
        }
    }

    /// Was another try offered until the time for it was over?
    pub(super) fn was_offered_in_vain(&self, order: &Order) -> bool {
        let told = order.reported.as_ref().map(|reported| reported.at);
        self.second_tries.most > 0 && told.is_some_and(|at| at + WITHIN <= self.wall())
    }

    /// Money left at Midtrans, and not by us.
    pub(super) fn money_left(&mut self, id: &OrderId, how: Kind) {
        if !self.second_tries.open.contains_key(id) {
            return;
        }
        match how {
            Kind::RefundOutside => {
                self.count(Kind::RefundInTry, "it is tried once more at that moment");
                self.second_tries.refunded.insert(id.clone());
            }
            Kind::PartOutside => self.count(Kind::PartInTry, "it is tried once more at that moment"),
            _ => {}
        }
    }

    /// At the end: the goods came with another try, and the money went back in the dashboard meanwhile. A person must be told. Restored books
    /// know of neither.
    pub(super) fn audit_refunded_try(&self, order: &Order) -> Option<&'static str> {
        let is_both = self.second_tries.refunded.contains(&order.id) && self.came(&order.id) > 0;
        let is_told = !order.late.is_empty() || order.taken_back == Some(TakenBack::Chargeback);
        (is_both && !is_told && !self.losses.books()).then_some("its money went back while it was tried once more, and nobody is told")
    }

    pub(super) fn came(&self, order: &OrderId) -> u32 {
        self.ledgers.came(order)
    }

    /// Did its machine try it more than once, and was a memory lost? Then its earlier tries are not judged by what they told.
    pub(super) fn is_tried_and_forgotten(&self, order: &Order) -> bool {
        order.number_of_try() > TryNumber::FIRST && !self.losses.are_none()
    }
}

fn second() -> TryNumber {
    TryNumber::FIRST.next().unwrap_or(TryNumber::FIRST)
}
