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
use qris_core::order::time::{Boot, Span, Told};
use qris_core::order::tries::{TryNumber, TwoDigits};
use qris_core::wire::topics::Topic;
use qris_core::wire::vend::TryRequest;
use qris_device::controller::buttons;
use qris_device::screen::picture::{Scene, TryStep};
use qris_device::words::{Asker, Input, Request};
use std::collections::{BTreeMap, BTreeSet};

const BUTTON: Asker = Asker { question: 6, kind: buttons::KIND };
/// The merchant offers one for so long.
const WITHIN: Span = Span::secs(900);
/// A second press counts so long after the first one, in milliseconds.
const READ_WITHIN: std::ops::RangeInclusive<i64> = 1_500..=10_000;
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
    /// The first press at each machine: of which order, of what, and when by its boot clock.
    pressed: BTreeMap<usize, (OrderId, ItemId, Boot)>,
    /// Somebody has pressed twice for these, or after the number was told. It is good for one try.
    confirmed: BTreeSet<OrderId>,
    /// A machine does what a press of a button asks for.
    is_pressing: bool,
    /// When the number that a machine showed was told.
    told: BTreeMap<OrderId, i64>,
    /// How many wrong ones were taken of each since somebody wished for it.
    wrong: BTreeMap<OrderId, u32>,
    /// The receipts that were signed in the twenty seconds of a number.
    sure: BTreeSet<(OrderId, TryNumber)>,
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
        let refunds_by_itself = is_generous.then_some(20);
        let (open, refunded, pressed, confirmed, is_pressing) = Default::default();
        let (told, wrong, sure) = Default::default();
        Self { rng, dashboard, most, refunds_by_itself, open, refunded, pressed, confirmed, is_pressing, told, wrong, sure }
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
        let drawn = self.some_digits();
        let want = |tx: &mut dyn Tx, policy: &Policy| match draw {
            0 | 1 => books::want_money(tx, policy, id, Told::trusted(now)),
            2 => books::want_try(tx, policy, id, Some("Sari".into()), drawn, Told::trusted(now)),
            _ => books::want_try(tx, policy, id, None, drawn, Told::trusted(now)),
        };
        if self.books(want).is_ok() {
            let what = match draw {
                0 | 1 => "a customer wants the money, on the page",
                2 => "a person offers another try",
                _ => "a customer wants another try, on the page",
            };
            self.count(Kind::TriesWished, what);
            self.second_tries.wrong.remove(id);
            self.plan_sweep(AT_ONCE);
            self.publish_soon(5);
        }
    }

    fn some_digits(&mut self) -> TwoDigits {
        TwoDigits::of(u8::try_from(self.second_tries.rng.below(100)).unwrap_or(0))
    }

    /// A machine shows a number, or that it was told. Its customer reads it and tells it. Others guess.
    pub(super) fn sees_a_number(&mut self, m: usize, before: Option<&Scene>) {
        let Some(Scene::TryAgain { order, step, .. }) = self.machines[m].scene.clone() else { return };
        let was = if let Some(Scene::TryAgain { order: known, step, .. }) = before { (*known == order).then_some(step) } else { None };
        match step {
            TryStep::Number(number) if was != Some(&step) => {
                let to_a_person = self.second_tries.rng.below(4) == 0;
                if self.second_tries.rng.below(4) > 0 {
                    let after = i64::try_from(2_000 + self.second_tries.rng.below(20_000)).unwrap_or(0);
                    self.after(after, Event::TellsNumber(order.clone(), number, to_a_person));
                }
                if self.second_tries.rng.below(3) == 0 {
                    for guess in 1..=i64::try_from(self.second_tries.rng.below(6)).unwrap_or(0) {
                        let digits = self.some_digits();
                        self.after(1_500 * guess, Event::TellsNumber(order.clone(), digits, to_a_person));
                    }
                }
            }
            TryStep::Told if was != Some(&TryStep::Told) => {
                if !self.second_tries.told.contains_key(&order) && !self.losses.books() {
                    self.fail(format!("a press counts for another try at {order}, and nobody has told its number"));
                }
                let after = i64::try_from(500 + self.second_tries.rng.below(22_000)).unwrap_or(0);
                self.after(after, Event::Tries(m, None));
            }
            TryStep::Offered | TryStep::Pressed { .. } | TryStep::Number(_) | TryStep::Told => {}
        }
    }

    pub(super) fn tells_number(&mut self, id: &OrderId, number: TwoDigits, to_a_person: bool) {
        let now = Told::trusted(self.wall());
        let by = to_a_person.then(|| Box::from("Sari"));
        let Ok(Some(before)) = self.books(|tx, _| books::load(tx, id)) else { return };
        let Some(shown) = before.order.number_shown(now).filter(|_| before.order.may_tell_number(by.as_deref(), now).is_ok()) else {
            return;
        };
        if number == shown {
            // It may be written although its answer is lost.
            self.second_tries.told.insert(id.clone(), self.now);
        }
        let Ok(done) = self.books(|tx, policy| books::tell_number(tx, policy, id, by, number, now)) else { return };
        let is_told = done.now.order.number_told_until(now).is_some();
        if is_told != (number == shown) {
            return self.fail(format!("{number} was told for {id}, its machine shows {shown}, and {is_told} is the answer"));
        }
        if is_told {
            self.count(Kind::NumbersTold, "a customer tells the number of a second try");
        } else {
            self.count(Kind::NumbersGuessed, "somebody tells a wrong number for a second try");
            let wrong = self.second_tries.wrong.entry(id.clone()).or_default();
            *wrong += 1;
            if *wrong > 3 && !self.losses.books() {
                self.fail(format!("more than three wrong numbers were taken of {id} in one showing"));
            }
        }
        self.plan_sweep(AT_ONCE);
        self.publish_soon(5);
    }

    /// Somebody else has the goods, or it seems so, and a person is to give the money as well.
    pub(super) fn complains(&mut self, id: OrderId) {
        let what = i64::try_from(self.second_tries.rng.below(7)).unwrap_or(0);
        self.merchant_decides(id, what, false, false, true);
    }

    /// Whether a person may give goods and money: the last try was not surely its customer's. The rule is written here once more.
    pub(super) fn may_give_besides(&self, order: &Order) -> bool {
        let (purchase, goods) = (&order.sale.purchase, order.goods());
        let is_same = goods.item == purchase.item || purchase.asked.as_ref() == Some(&goods.item);
        let is_sure = self.second_tries.sure.contains(&(order.id.clone(), order.number_of_try()));
        order.number_of_try() > TryNumber::FIRST && !(is_same && is_sure)
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

    /// A customer presses, reads the screen, and presses once more. So do few strangers; some do it sooner than they can read.
    fn presses(&mut self, m: usize, item: ItemId) {
        self.press(m, item.clone());
        if self.is_planned() {
            return self.after(2_000, Event::PressesAgain(m, item));
        }
        if self.second_tries.rng.below(4) == 0 {
            return self.counts.note(Kind::PressedOnce);
        }
        let after = match self.second_tries.rng.below(4) {
            0 => self.second_tries.rng.below(1_600),
            _ => 1_500 + self.second_tries.rng.below(9_000),
        };
        self.after(i64::try_from(after).unwrap_or(0), Event::PressesAgain(m, item));
    }

    /// Who sees something else by now presses nothing.
    pub(super) fn presses_again(&mut self, m: usize, item: ItemId) {
        if self.machine_runs(m) && matches!(self.machines[m].scene, Some(Scene::TryAgain { .. })) {
            self.press(m, item);
        }
    }

    fn press(&mut self, m: usize, item: ItemId) {
        let now = self.clocks(m).boot;
        if let Some(Scene::TryAgain { order, step, .. }) = &self.machines[m].scene {
            let of = |(known, pressed, at): &&(OrderId, ItemId, Boot)| {
                known == order && *pressed == item && READ_WITHIN.contains(&(now.0 - at.0))
            };
            let is_second = match step {
                TryStep::Told => true,
                TryStep::Pressed { .. } => self.second_tries.pressed.get(&m).filter(of).is_some(),
                TryStep::Offered | TryStep::Number(_) => false,
            };
            let begins = match step {
                TryStep::Offered => true,
                TryStep::Pressed { item: pressed, .. } => pressed.item != item,
                TryStep::Number(_) | TryStep::Told => false,
            };
            if is_second {
                self.second_tries.confirmed.insert(order.clone());
            } else if begins {
                self.second_tries.pressed.insert(m, (order.clone(), item.clone(), now));
            }
        }
        let request_id = RequestId::new(&format!("press-{m}-{}", self.now)).expect("an id");
        let request = VendRequest { request_id, item, amount: None, description: None, payment: Payment::Gopay, timeout_s: None };
        self.second_tries.is_pressing = true;
        self.input(m, Input::Requested(Request::Pressed(request), BUTTON));
        self.second_tries.is_pressing = false;
    }

    /// A machine asks its relay for another try.
    pub(super) fn judge_try(&mut self, again: &Again) {
        self.counts.note(Kind::TriesPressed);
        // A controller's request is sure by itself.
        if self.second_tries.is_pressing && !self.second_tries.confirmed.remove(&again.order) {
            self.fail(format!("another try at {} is begun by one press, which may be a stranger's", again.order));
        }
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
        if self.second_tries.told.remove(id).is_some_and(|at| self.now - at < 20_000) && !self.losses.books() {
            self.second_tries.sure.insert((id.clone(), order.number_of_try()));
        }
        if !self.is_planned() && self.second_tries.rng.below(2) == 0 {
            let after = i64::try_from(5_000 + self.second_tries.rng.below(600_000)).unwrap_or(0);
            self.after(after, Event::Complains(id.clone()));
        }
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
