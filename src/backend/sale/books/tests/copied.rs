//! Books that are a copy of before, in each state that an order may have in one. After the copy was made a machine in foreign hands had another try at
//! it, and its goods. Now it tells the old word of the first try once more: the relay's genuine one, that nothing came.

use super::*;
use crate::sale::books::{of_a_copy, taken_up};
use qris_core::order::merchant::{Attention, Held, RefundWish, Repayment};

/// When the copy takes the place of the books.
const BACK: Wall = Wall(T0.0 + 60_000);

/// An order in the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copied {
    Charging,
    Pending,
    Cancelling,
    Closed,
    Held,
    Settled,
    Awaited,
    RefundUnderWay,
    Refunded,
}

const ALL: [Copied; 9] = [
    Copied::Charging,
    Copied::Pending,
    Copied::Cancelling,
    Copied::Closed,
    Copied::Held,
    Copied::Settled,
    Copied::Awaited,
    Copied::RefundUnderWay,
    Copied::Refunded,
];

/// Money goes back by itself, and another try is offered.
fn rig() -> Rig {
    let mut policy = Policy { auto_refund_per_day: 100, orders_per_minute: 0, ..Arc::into_inner(policy()).expect("one") };
    policy.rules.second_tries = 1;
    Rig { policy: Arc::new(policy), ..Rig::new() }
}

impl Rig {
    async fn paid_now(&self, at: Wall) {
        let report = settled(&self.load("o-r1").await.order, "t-r1");
        self.answered("o-r1", Event::Status(report), at).await;
    }

    async fn in_copy(&self, copied: Copied) {
        let mut sale = sale("vm-001", "r1", 1);
        if copied == Copied::Held {
            sale.purchase.payment = Payment::Indomaret;
        }
        self.run(move |tx, policy| create(tx, policy, sale, "d", &id("o-r1"), Told::trusted(T0))).await.expect("created");
        if copied == Copied::Charging {
            return;
        }
        self.answered("o-r1", Event::Charged(charge("r1")), T0).await;
        let device = DeviceId::new("vm-001").expect("an id");
        match copied {
            Copied::Charging | Copied::Pending => {}
            Copied::Cancelling | Copied::Closed => {
                self.run(move |tx, policy| cancel_requested(tx, policy, &device, &id("o-r1"), Told::trusted(T0))).await.expect("granted");
                if copied == Copied::Closed {
                    let report = StatusReport {
                        transaction_id: charge("r1").transaction_id,
                        ..StatusReport::of(&self.load("o-r1").await.order, Said::Cancelled)
                    };
                    self.answered("o-r1", Event::CancelDone(report), T0).await;
                    assert!(!self.load("o-r1").await.order.is_over(), "the gateway is asked once more");
                }
            }
            Copied::Held | Copied::Awaited => self.paid_now(T0).await,
            Copied::Settled | Copied::RefundUnderWay | Copied::Refunded => {
                self.paid_now(T0).await;
                self.tells_that_nothing_came(T0).await;
            }
        }
        if matches!(copied, Copied::RefundUnderWay | Copied::Refunded) {
            self.run(|tx, policy| request_refund(tx, policy, &id("o-r1"), RefundWish::of_a_person(None), Told::trusted(T0)))
                .await
                .expect("granted");
        }
        if copied == Copied::Refunded {
            let report = StatusReport { said: Said::Refunded, ..settled(&self.load("o-r1").await.order, "t-r1") };
            self.answered("o-r1", Event::Status(report), T0).await;
        }
    }

    /// The word is taken, or the books do not want it any more.
    async fn tells_that_nothing_came(&self, at: Wall) {
        let (stored, told) = (self.load("o-r1").await, DeliveryReport::proven(Delivery::Undelivered));
        let told = self.run(move |tx, policy| take_report(tx, policy, stored, told, Told::trusted(at))).await;
        assert!(told.is_ok(), "{told:?}");
    }
}

fn state(order: &Order) -> &'static str {
    if matches!(order.state, State::Held(Held { .. })) { "held" } else { order.state.word() }
}

#[tokio::test]
async fn in_no_state_do_books_that_came_back_give_money_for_goods() {
    for copied in ALL {
        let rig = rig();
        rig.in_copy(copied).await;
        let before = rig.load("o-r1").await.order;
        let is_over = copied == Copied::Refunded;
        let marked = rig.run(|tx, _| of_a_copy(tx, Told::trusted(BACK))).await.expect("written");
        assert_eq!(marked, u64::from(!is_over), "{copied:?}, {}", state(&before));
        assert_eq!(rig.run(|tx, _| of_a_copy(tx, Told::trusted(BACK))).await.expect("written"), 0, "{copied:?}: once");
        // `serve` starts, and the gateway knows that it is paid.
        rig.run(|tx, policy| restarted(tx, policy, Told::trusted(BACK))).await.expect("starts");
        let after_window = BACK + Span::secs(600);
        let order = rig.load("o-r1").await.order;
        if order.settlement().is_none() || copied == Copied::Held {
            for at in [BACK, after_window] {
                rig.paid_now(at).await;
            }
        }
        let receipt = rig.load("o-r1").await.order.receipt().is_some();
        assert!(receipt, "{copied:?}: a machine that was paid for may deliver: {:?}", rig.load("o-r1").await.order.state);
        rig.tells_that_nothing_came(after_window).await;
        // Nobody does anything for two days.
        for hours in [1, 25, 48] {
            let at = BACK + Span::secs(hours * 3600);
            for order in rig.run(move |tx, _| claim_due(tx, Told::trusted(at))).await.expect("read") {
                let done = rig.run(move |tx, policy| claim(tx, policy, &order, Told::trusted(at))).await.expect("written");
                assert_ne!(done.call, Some(Call::Refund), "{copied:?} after {hours} h");
                if done.call.is_some() {
                    let report = settled(&done.now.order, "t-r1");
                    let said = if is_over { Said::Refunded } else { Said::Settled };
                    rig.answered("o-r1", Event::Status(StatusReport { said, ..report }), at).await;
                }
            }
        }
        let at = BACK + Span::secs(48 * 3600);
        let order = rig.load("o-r1").await.order;
        let wish = |no_proof| RefundWish { no_proof, ..RefundWish::of_a_person(Some("Ani".into())) };
        let plain = rig.run(move |tx, policy| request_refund(tx, policy, &id("o-r1"), wish(false), Told::trusted(at))).await;
        if is_over {
            assert!(matches!(plain, Err(BooksError::Refused(Refused::RefundedAlready))), "{plain:?}");
            continue;
        }
        assert!(!order.is_proven() && order.is_refund_due(), "{copied:?}: {order:?}");
        let listed = order.attention();
        match copied {
            Copied::RefundUnderWay => assert!(listed.contains(&Attention::RefundFailed), "{listed:?}"),
            _ => assert!(listed.contains(&Attention::NoProof), "{copied:?}: {listed:?}"),
        }
        let wanted = rig.run(move |tx, policy| want_money(tx, policy, &id("o-r1"), Told::trusted(at))).await;
        assert!(matches!(wanted, Err(BooksError::NoTry(_))), "{copied:?}: {wanted:?}");
        let again =
            rig.run(move |tx, policy| want_try(tx, policy, &id("o-r1"), Some("Ani".into()), TwoDigits::of(7), Told::trusted(at))).await;
        assert!(matches!(again, Err(BooksError::NoTry(_))), "{copied:?}: {again:?}");
        if copied == Copied::Held {
            // The gateway gives nothing back over the counter, and a person hands it out.
            assert!(matches!(plain, Err(BooksError::Refused(Refused::NotByApi))), "{plain:?}");
            continue;
        }
        assert!(matches!(plain, Err(BooksError::Refused(Refused::NoProof))), "{copied:?}: {plain:?}");
        let sure = rig.run(move |tx, policy| request_refund(tx, policy, &id("o-r1"), wish(true), Told::trusted(at))).await;
        assert!(sure.is_ok(), "{copied:?}: a person decides: {sure:?}");
    }
}

/// The refund that the copy has under way may have been refused since, and the goods come. Get-status says again and again that it is settled.
#[tokio::test]
async fn a_refund_under_way_in_the_copy_stops_there() {
    let rig = rig();
    rig.in_copy(Copied::RefundUnderWay).await;
    rig.run(|tx, _| of_a_copy(tx, Told::trusted(BACK))).await.expect("written");
    let order = rig.load("o-r1").await.order;
    assert!(matches!(order.repayment(), Some(Repayment::Refused { unsure: true, .. })), "{:?}", order.repayment());
    assert_eq!(
        rig.run(|tx, policy| claim(tx, policy, &id("o-r1"), Told::trusted(BACK + Span::secs(86_400)))).await.expect("looked").call,
        None
    );
}

/// The next attempt at a request may have been made and paid after the copy, too.
#[tokio::test]
async fn the_next_attempt_at_a_copied_request_proves_nothing() {
    let rig = rig();
    rig.create("r1", 1, "d", T0).await.expect("created");
    let again = NoCharge::NotMade { again: true, why: "900".into() };
    let done = rig.answered("o-r1", Event::NotCharged(again), T0 + Span::secs(3600)).await;
    assert!(done.next.is_none() && done.now.order.is_over(), "nobody waits for another one");
    rig.run(|tx, _| of_a_copy(tx, Told::trusted(BACK + Span::secs(3600)))).await.expect("written");
    let second = rig.create("r1", 1, "d", BACK + Span::secs(3600)).await.expect("once more").done.now.order;
    assert_eq!((second.id.as_str(), second.rebuilt), ("o-r1-2", true));
}

/// Without a copy a proof counts, and the money goes back.
#[tokio::test]
async fn an_order_of_after_the_copy_is_like_any_other() {
    let rig = rig();
    rig.run(|tx, _| of_a_copy(tx, Told::trusted(BACK))).await.expect("nothing");
    rig.in_copy(Copied::Settled).await;
    assert!(rig.load("o-r1").await.order.is_proven());
}

/// Thirty orders of a copy are thirty entries of a list, and one message.
#[tokio::test]
async fn whoever_restores_a_copy_is_told_once() {
    let rig = rig();
    rig.in_copy(Copied::Settled).await;
    let told = async || {
        let due = rig.run(|tx, _| due_alerts(tx, Told::trusted(BACK + Span::secs(60)))).await.expect("read");
        due.iter().map(Alert::kind).collect::<Vec<_>>()
    };
    assert_eq!(rig.run(|tx, _| of_a_copy(tx, Told::trusted(BACK))).await.expect("written"), 1);
    assert!(rig.load("o-r1").await.order.attention().contains(&Attention::NoProof), "the list has it");
    assert_eq!(told().await, ["restored"]);
    // A copy of which nobody has said that it is one.
    rig.run(|tx, _| taken_up(tx, Told::trusted(BACK))).await.expect("written");
    assert_eq!(told().await, ["older_books"]);
}
