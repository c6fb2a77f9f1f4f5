//! A write into the outbox wakes whoever publishes it.

use super::*;
use qris_core::order::tries::TwoDigits;

/// Whether whoever publishes would wake up now. What was rung is taken.
async fn is_rung(books: &Books) -> bool {
    tokio::select! {
        biased;
        () = books.rung(Bell::Outbox) => true,
        () = std::future::ready(()) => false,
    }
}

/// No field changes that its machine sees. The customer stands there, and the machine must hear of it at once.
#[tokio::test]
async fn a_wish_for_another_try_rings_although_nothing_else_is_news() {
    let rig = Rig::tuned(Options::new(KEY, ""), |policy| policy.rules.second_tries = 1).await;
    let order = rig.order("r1").await;
    rig.pay(&order);
    rig.until(&order, "a receipt", |stored| stored.order.receipt().is_some()).await;
    assert_eq!(rig.tell(&order, Last::Closed).await, StatusCode::OK);
    let books = &rig.handles.books;
    let outbox = async || books.read(|tx| books::take_outbox(tx, 0)).await.expect("read").len();
    let before = outbox().await;
    let id = order.order_id.clone();
    let done =
        books.write(move |tx, policy, now| books::want_try(tx, policy, &id, None, TwoDigits::of(7), now)).await.expect("it is offered");
    assert_eq!((done.news, outbox().await), (false, before + 1));
    is_rung(books).await;
    rig.handles.work.announce(&done);
    assert!(is_rung(books).await, "it would lie in the outbox until somebody looks");
}
