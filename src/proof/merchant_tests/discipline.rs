//! How often Midtrans is asked, by its own log.

use super::*;
use std::collections::HashMap;

/// The highest number of get-status questions about an order that nobody has news of.
const SPACING_MS: i64 = 10_000;

impl Rig {
    /// The times of get-status for each order.
    fn questions(&self) -> HashMap<String, Vec<i64>> {
        let mut times: HashMap<String, Vec<i64>> = HashMap::new();
        for logged in self.simulator.with(|midtrans, _| midtrans.requests()) {
            if logged.call == "status" {
                times.entry(logged.order_id).or_default().push(logged.at_ms);
            }
        }
        times
    }
}

#[tokio::test]
async fn open_orders_are_asked_about_every_ten_seconds_at_most_and_spread() {
    let rig = Rig::new().await;
    // All orders come at once, as when a site's power comes back. They use codes for a counter, because then no
    // picture must be read.
    let posts: Vec<_> = (0..16)
        .map(|number| {
            let request = format!("r{number}");
            let call = rig.call(Method::POST, "/v1/orders").header("Idempotency-Key", &request);
            let mut body = rig.body(&request);
            body["payment"] = json!("alfamart");
            let call = call.json(&body);
            tokio::spawn(call.send())
        })
        .collect();
    let mut orders = Vec::new();
    for post in posts {
        let order: OrderResource = post.await.expect("ran").expect("an answer").json().await.expect("an order");
        orders.push(order.order_id);
    }
    let begun = Instant::now();
    let asked = loop {
        let asked = rig.questions();
        if orders.iter().all(|id| asked.get(id.as_str()).is_some_and(|times| times.len() >= 2)) {
            break asked;
        }
        assert!(begun.elapsed() < Duration::from_secs(45), "{asked:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let mut all: Vec<i64> = Vec::new();
    for id in &orders {
        let times = &asked[id.as_str()];
        let requests = rig.simulator.with(|midtrans, _| midtrans.requests());
        let charged = requests.iter().find(|logged| logged.call == "charge" && logged.order_id == id.as_str()).expect("charged").at_ms;
        assert!(times[0] - charged >= SPACING_MS, "{id}: charged at {charged}, asked at {times:?}");
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= SPACING_MS), "{id}: {times:?}");
        all.extend(times);
    }
    all.sort_unstable();
    let together = all.windows(4).filter(|run| run[3] - run[0] < 20).count();
    assert_eq!(together, 0, "four at once: {all:?}");
}

#[tokio::test]
async fn an_order_is_asked_about_once_more_before_it_is_given_up() {
    let rig = Rig::new().await;
    let order = rig.order("r1").await;
    rig.fail(Fault::DropNotification, "settlement", 1);
    rig.pay(&order, false);
    // The cancel loses against a payment that nobody told. So get-status is asked before the order is ended.
    let ended: OrderResource = rig.cancel(&order).await.json().await.expect("an order");
    rig.verify(&ended);
    assert_eq!((rig.asked("/cancel"), rig.questions()[order.order_id.as_str()].len()), (1, 1));
}

#[tokio::test]
async fn a_flood_of_true_notifications_is_one_question() {
    let rig = Rig::new().await;
    let order = rig.order("r1").await;
    rig.pay(&order, false);
    rig.until(&order, "a receipt", |stored| stored.order.receipt().is_some()).await;
    for _ in 0..50 {
        rig.simulator.with(|midtrans, now| midtrans.notify_again(order.order_id.as_str(), now)).expect("sent");
    }
    let begun = Instant::now();
    let attempts = || rig.simulator.with(|midtrans, _| midtrans.attempts(Some(order.order_id.as_str())).len());
    while attempts() < 50 {
        assert!(begun.elapsed() < Duration::from_secs(30), "only {} notifications were told", attempts());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(rig.questions()[order.order_id.as_str()].len(), 1);
}
