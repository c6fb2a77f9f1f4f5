//! Money that goes back by itself, whoever takes the order up next.

use super::*;
use crate::sale::books::{late_sign, try_offered_until};
use qris_core::order::late_sign::{LateNews, LateSign};
use qris_core::order::merchant::{Attention, Repayment};
use qris_core::order::tries::TryNumber;

const HOUR: Span = Span::secs(3600);
const OFFER: Span = Span::secs(24 * 3600);

fn offering(rig: Rig) -> Rig {
    let mut policy = Policy::clone(&rig.policy);
    policy.rules.second_tries = 1;
    Rig { policy: Arc::new(policy), ..rig }
}

/// Nobody takes refunds up by itself.
fn patient(rig: &Rig) -> Rig {
    Rig {
        policy: Arc::new(Policy { auto_refund_per_day: 0, ..Policy::clone(&rig.policy) }),
        directory: tempfile::tempdir().expect("a directory"),
        store: rig.store.clone(),
    }
}

impl Rig {
    /// The sweep at that time, over everything that is due or has waited unseen.
    async fn sweep(&self, at: Wall) {
        for order in self.run(move |tx, _| claim_due(tx, Told::trusted(at))).await.expect("read") {
            self.run(move |tx, policy| claim(tx, policy, &order, Told::trusted(at))).await.expect("written");
        }
    }

    pub(super) async fn starts(&self, at: Wall) -> Option<LeftToAPerson> {
        self.run(move |tx, policy| auto_refund_starts(tx, policy, Told::trusted(at))).await.expect("written")
    }

    async fn goes_back(&self, order: &str) -> bool {
        matches!(self.load(order).await.order.repayment(), Some(Repayment::Requested { .. }))
    }

    /// A sale of which nothing came.
    async fn fails(&self, request: &str, ticket: u8, at: Wall) {
        self.paid(request, ticket, at).await;
        self.comes_to_nothing(&format!("o-{request}"), ticket, at).await;
    }

    /// The sensor saw nothing, as the relay has signed.
    async fn comes_to_nothing(&self, order: &str, ticket: u8, at: Wall) {
        let DeliveryReport { proof: Proof::Signed { kid, .. }, .. } = DeliveryReport::proven(Delivery::Failed) else {
            panic!("it is proven")
        };
        let proof = Proof::Signed { kid, number: ticket.into(), driven: true };
        self.tell_as(order, DeliveryReport { proof, ..DeliveryReport::proven(Delivery::Failed) }, at).await;
    }
}

/// The customer walks away, nobody opens the page, and the offer of another try ends.
#[tokio::test]
async fn the_money_goes_back_when_nobody_came_for_another_try() {
    let rig = offering(Rig::refunding(10));
    rig.starts(T0).await;
    rig.fails("r1", 1, T0).await;
    assert!(rig.load("o-r1").await.order.tries.until.is_some(), "another try is offered");
    for hours in [0, 23] {
        rig.sweep(T0 + Span::secs(hours * 3600)).await;
        assert!(!rig.goes_back("o-r1").await, "the goods may still come, after {hours} h");
    }
    rig.sweep(T0 + OFFER).await;
    assert!(rig.goes_back("o-r1").await);
    assert_eq!(rig.count("SELECT count(*) FROM automatic_refunds").await, 1);
}

/// Another program ended the offer, and was cut off there, or begins no refunds. Whoever begins them finds the order.
#[tokio::test]
async fn a_refund_that_nobody_began_is_begun_after_a_restart_and_by_another_backend() {
    let rig = offering(Rig::refunding(10));
    rig.starts(T0).await;
    rig.fails("r1", 1, T0).await;
    patient(&rig).sweep(T0 + OFFER).await;
    assert!(rig.load("o-r1").await.order.tries.until.is_none(), "the offer is over");
    assert!(!rig.goes_back("o-r1").await);
    rig.sweep(T0 + OFFER + HOUR).await;
    assert!(rig.goes_back("o-r1").await);
}

/// A person may have seen to it in a way that the books do not know.
#[tokio::test]
async fn what_came_to_nothing_before_it_was_on_is_older() {
    let rig = offering(Rig::refunding(10));
    let before = patient(&rig);
    before.starts(T0).await;
    before.fails("r1", 1, T0).await;
    before.paid("r2", 2, T0).await;
    // Its offer ends long after that, and the second machine tells later.
    let on = T0 + HOUR;
    rig.tells_all(T0).await;
    let left = rig.starts(on).await.expect("it is on");
    assert_eq!(left, LeftToAPerson { orders: 1, rupiah: 5000, since: on });
    assert_eq!(rig.due(on).await, [], "it was told when nothing came");
    rig.comes_to_nothing("o-r2", 2, on + HOUR).await;
    for at in [on + OFFER, on + OFFER + OFFER] {
        rig.sweep(at).await;
    }
    assert!(!rig.goes_back("o-r1").await && rig.goes_back("o-r2").await);
    assert_eq!(rig.listed(Attention::RefundDue).await, ["o-r1"], "a person starts it");
    // A restart changes nothing. Off and on again is a later beginning.
    assert_eq!(rig.starts(on + OFFER).await, Some(left));
    before.starts(on + OFFER).await;
    assert_eq!(rig.starts(on + OFFER + OFFER).await.map(|left| left.since), Some(on + OFFER + OFFER));
    // A person may have paid it in cash. So its customer has no button for it either.
    let wanted = rig.run(move |tx, policy| want_money(tx, policy, &id("o-r1"), Told::trusted(on + OFFER + OFFER))).await;
    assert!(matches!(wanted, Err(BooksError::NoTry(NoTry::NotOffered))), "{wanted:?}");
}

/// Its time at the gateway was over before `auto_refund` was on. Of that people were told, too.
#[tokio::test]
async fn what_only_a_hand_can_give_back_is_not_told_again_when_it_is_turned_on() {
    let rig = Rig::refunding(10);
    let before = patient(&rig);
    before.pending("r1", 1).await;
    let report = settled(&before.load("o-r1").await.order, "t-r1");
    before.answered("o-r1", Event::Status(StatusReport { refund_within: Some(OFFER), ..report }), T0).await;
    before.comes_to_nothing("o-r1", 1, T0).await;
    let over = T0 + OFFER + HOUR;
    before.sweep(over).await;
    assert_eq!(before.listed(Attention::OnlyByHand).await, ["o-r1"]);
    rig.tells_all(over).await;
    rig.starts(over + HOUR).await;
    rig.sweep(over + HOUR).await;
    assert_eq!(rig.count("SELECT count(*) FROM automatic_refunds").await, 1, "it was looked at");
    assert_eq!(rig.due(over + HOUR).await, []);
}

/// A clock that was ahead at the start says that it is on since a time that is still to come.
#[tokio::test]
async fn a_clock_that_was_ahead_leaves_nothing_to_a_person_once_it_is_right() {
    let rig = Rig::refunding(10);
    rig.starts(T0 + OFFER).await;
    rig.starts(T0).await;
    rig.fails("r1", 1, T0 + HOUR).await;
    assert!(rig.goes_back("o-r1").await);
}

/// A person who was told at the failure thinks that the money goes back by itself. Money that does not go back is told again.
#[tokio::test]
async fn what_is_left_to_a_person_is_told_once_more() {
    let rig = offering(Rig::refunding(1));
    rig.starts(T0).await;
    for (request, ticket) in [("r1", 1), ("r2", 2)] {
        rig.fails(request, ticket, T0).await;
    }
    rig.tells_all(T0).await;
    assert_eq!(rig.due(T0 + HOUR).await, []);
    rig.sweep(T0 + OFFER).await;
    let told: Vec<_> =
        rig.due(T0 + OFFER).await.iter().filter(|alert| alert.until.is_none()).map(|alert| alert.subject().to_owned()).collect();
    let left = if rig.goes_back("o-r1").await { "o-r2" } else { "o-r1" };
    assert_eq!(told, [left], "the other one goes back");
}

/// Over the limit of its machine it is a person's, also the next day; and the customer's, once there is room.
#[tokio::test]
async fn the_customer_has_the_money_whenever_it_may_go_back() {
    let rig = offering(Rig::refunding(1));
    rig.starts(T0).await;
    for (request, ticket) in [("r1", 1), ("r2", 2)] {
        rig.fails(request, ticket, T0).await;
    }
    let want = async |order: &'static str, at: Wall| {
        rig.run(move |tx, policy| want_money(tx, policy, &id(order), Told::trusted(at))).await.is_ok()
    };
    assert!(want("o-r1", T0).await && rig.goes_back("o-r1").await, "in place of another try");
    assert!(rig.load("o-r1").await.order.tries.until.is_none());
    assert!(!want("o-r2", T0 + HOUR).await, "the machine has had its refunds of the day");
    assert!(!want("o-r1", T0 + OFFER).await, "once");
    rig.sweep(T0 + OFFER - HOUR).await;
    rig.run(move |tx, policy| {
        let stored = load(tx, &id("o-r2"))?.expect("there");
        write(tx, policy, stored, Event::TryOfferEnds, Told::trusted(T0 + OFFER - HOUR), Claim::Keep)
    })
    .await
    .expect("written");
    assert!(!rig.goes_back("o-r2").await);
    rig.sweep(T0 + OFFER + HOUR).await;
    assert!(!rig.goes_back("o-r2").await, "it was over the limit: a person's");
    assert!(want("o-r2", T0 + OFFER + HOUR).await && rig.goes_back("o-r2").await);
}

/// The board of the machine says that the goods came after all, while another try is offered. A person decides.
#[tokio::test]
async fn the_money_of_goods_that_came_late_by_their_board_does_not_go_back_by_itself() {
    for (sign, goes_back) in [(LateSign::Passed, true), (LateSign::Came, false)] {
        let rig = offering(Rig::refunding(10));
        rig.starts(T0).await;
        rig.fails("r1", 1, T0).await;
        let news = LateNews { order: id("o-r1"), number: TryNumber::FIRST, sign };
        let device = rig.load("o-r1").await.order.sale.device;
        let says = || {
            let (news, device) = (news.clone(), device.clone());
            rig.run(move |tx, policy| late_sign(tx, policy, &device, &news, Told::trusted(T0)))
        };
        assert_eq!(says().await.expect("written").is_some(), !goes_back);
        assert_eq!(says().await.expect("written"), None, "it is told once");
        let order = rig.load("o-r1").await.order;
        assert_eq!((order.outcome(), order.attention().contains(&Attention::Conflict)), (Some(Delivery::Failed), !goes_back));
        let offered = rig.run(move |tx, policy| try_offered_until(tx, policy, &order, Told::trusted(T0))).await.expect("read");
        assert_eq!(offered.is_some(), goes_back, "the offer");
        rig.sweep(T0 + OFFER).await;
        assert_eq!(rig.goes_back("o-r1").await, goes_back, "{sign:?}");
    }
}
