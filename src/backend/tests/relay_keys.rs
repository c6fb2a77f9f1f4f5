//! A proof is judged by the relay key that was known when its order was made, at every moment of the order, and however another key
//! became known since.

use super::*;
use crate::machines::invitations::{self, Terms};
use qris_core::order::merchant::{Attention, NoProof, Order, Proof, RefundWish, Refused};
use qris_core::order::outcome::Delivery;
use qris_core::order::tries::TryNumber;
use qris_core::wire::invitation::{Claim, Code};

/// The key of another board, or of a thief.
fn other() -> SigningKey {
    SigningKey::from_seed([66; 32])
}

/// How another key becomes known.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// A code is used, and the key is shown.
    Code,
    /// The machine is revoked, and let in again with a code.
    Revoked,
    /// The machine shows the key, and a person takes it.
    Person,
}

/// The moment of an order at which the other key becomes known.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    Payable,
    Paid,
    /// The machine has told this outcome without a proof.
    Told(Last),
}

impl Rig {
    /// It refunds by itself what is proven.
    async fn refunding() -> Self {
        let rig = Self::tuned(Options::new(KEY, ""), |policy| policy.auto_refund_per_day = 1000).await;
        rig.handles.books.write(|tx, policy, now| books::auto_refund_starts(tx, policy, now)).await.expect("starts");
        rig
    }

    async fn machines<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut dyn crate::store::Tx) -> Result<T, books::BooksError> + Send + 'static,
    ) -> T {
        self.handles.machines.write(job).await.expect("works")
    }

    /// The machine shows this key.
    async fn shows(&self, key: &SigningKey) {
        let call = self.http.get(format!("{}/v1/orders?state=open", self.url)).bearer_auth("vm-001");
        let answer = call.header(RELAY_KEY, RelayKey::of(key).to_string()).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
    }

    /// The machine's key is another one from now on.
    async fn changes_key(&self, way: Way, key: &SigningKey) {
        let id = DeviceId::new("vm-001").expect("an id");
        if way == Way::Person {
            self.shows(key).await;
            let fingerprint = RelayKey::of(key).fingerprint();
            let taken = self.machines(move |tx| devices::take_key(tx, &id, &fingerprint, "Sari", clock::now().wall)).await;
            return taken.expect("the machine has shown it");
        }
        let claim = Claim { device: id.clone(), code: Code::of([7; 20]) };
        self.machines(move |tx| {
            let now = clock::now().wall;
            if way == Way::Revoked {
                assert!(devices::revoke(tx, &id, now)?);
            }
            let terms =
                Terms { name: None, backend_url: "https://pay.example".into(), backend_ca: None, broker: None, operators: Vec::new() };
            invitations::invite(tx, &claim, &terms, now + Span::secs(60))?;
            assert!(devices::claim(tx, &claim, &token::hash("vm-001"), now)?.is_ok());
            Ok(())
        })
        .await;
        self.shows(key).await;
    }

    async fn tells(&self, order: &OrderResource, outcome: Last, number: u64, key: Option<&SigningKey>) -> StatusCode {
        let (device, ticket) = (order.device.clone(), order.ticket.clone());
        let word =
            Statement { device, ticket, order_id: None, number_of_try: TryNumber::FIRST, outcome, driven: outcome != Last::Closed, number };
        let proof = key.map(|key| proof::sign(key, &word));
        let url = format!("{}/v1/orders/{}/outcome", self.url, order.order_id);
        let call = self.http.post(url).bearer_auth("vm-001").json(&json!({ "outcome": outcome.delivery().as_str(), "proof": proof }));
        call.send().await.expect("an answer").status()
    }

    async fn in_the_books(&self, order: &OrderResource) -> Order {
        let id = order.order_id.clone();
        self.handles.books.read(move |tx| books::load(tx, &id)).await.expect("read").expect("in the books").order
    }

    async fn pays(&self, order: &OrderResource) {
        self.pay(order);
        self.until(order, "its receipt", |stored| stored.order.receipt().is_some()).await;
    }

    /// The money stays, whoever asks, until a person says by name that there is no proof.
    async fn is_for_a_person(&self, order: &OrderResource, why: NoProof, listed: Attention, row: &str) {
        let known = self.in_the_books(order).await;
        assert_eq!(known.delivery().map(|told| &told.proof), Some(&Proof::Missing(why)), "{row}");
        assert!(known.attention().contains(&listed) && known.repayment().is_none(), "{row}: {:?}", known.attention());
        let id = order.order_id.clone();
        let plain = RefundWish::of_a_person(Some("Sari".into()));
        let asked = self.handles.books.write(move |tx, policy, now| books::request_refund(tx, policy, &id, plain, now)).await;
        assert!(matches!(asked, Err(books::BooksError::Refused(Refused::NoProof))), "{row}: {asked:?}");
    }
}

#[tokio::test]
async fn a_key_that_came_later_proves_no_earlier_order() {
    for way in [Way::Code, Way::Revoked, Way::Person] {
        let moments =
            [Moment::Payable, Moment::Paid, Moment::Told(Last::Closed), Moment::Told(Last::Failed), Moment::Told(Last::Dispensed)];
        let rig = Rig::refunding().await;
        let mut orders = Vec::new();
        for (n, moment) in moments.into_iter().enumerate() {
            let order = rig.order(&format!("r{n}")).await;
            if moment != Moment::Payable {
                rig.pays(&order).await;
            }
            if let Moment::Told(outcome) = moment {
                assert_eq!(rig.tells(&order, outcome, 1, None).await, StatusCode::OK);
            }
            orders.push((moment, order));
        }
        rig.changes_key(way, &other()).await;
        for (number, (moment, order)) in (1..).zip(&orders) {
            let row = format!("{way:?}, {moment:?}");
            if *moment == Moment::Payable {
                rig.pays(order).await;
            }
            let status = rig.tells(order, Last::Closed, number, Some(&other())).await;
            let (status_due, why, listed) = match moment {
                Moment::Payable | Moment::Paid => (200, NoProof::OtherKey, Attention::NoProof),
                Moment::Told(Last::Closed) => (200, NoProof::None, Attention::NoProof),
                // The first word stands, and two words are for a person.
                Moment::Told(_) => (409, NoProof::None, Attention::Conflict),
            };
            assert_eq!(status, status_due, "{row}");
            rig.is_for_a_person(order, why, listed, &row).await;
        }
        // The new key proves what is made from now on, and the earlier one only what was made before.
        let later = rig.order("later").await;
        let of_then = &orders[1].1;
        rig.pays(&later).await;
        assert_eq!(rig.tells(&later, Last::Closed, 90, Some(&relay())).await, StatusCode::OK);
        rig.is_for_a_person(&later, NoProof::OtherKey, Attention::NoProof, "the earlier key, a later order").await;
        for (order, number, key) in [(&later, 91, other()), (of_then, 92, relay())] {
            assert_eq!(rig.tells(order, Last::Closed, number, Some(&key)).await, StatusCode::OK);
            rig.until(order, "it goes back by itself", |stored| stored.order.repayment().is_some()).await;
        }
    }
}

#[tokio::test]
async fn an_order_that_was_made_without_a_known_key_is_proven_by_nothing() {
    let rig = Rig::refunding().await;
    // Its machine has shown no key, or one that nobody has taken.
    let create = async |request: &str, key: Option<SigningKey>| {
        let call = rig.http.post(format!("{}/v1/orders", rig.url)).bearer_auth("vm-001").header("Idempotency-Key", request);
        let mut body = rig.body(request);
        body["relay_key"] = json!(key.as_ref().map(RelayKey::of));
        let answer = call.json(&body).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::CREATED);
        answer.json::<OrderResource>().await.expect("an order")
    };
    let silent = create("r1", None).await;
    let untaken = create("r2", Some(other())).await;
    for order in [&silent, &untaken] {
        rig.pays(order).await;
    }
    let fingerprint = RelayKey::of(&other()).fingerprint();
    let id = silent.device.clone();
    let taken = rig.machines(move |tx| devices::take_key(tx, &id, &fingerprint, "Sari", clock::now().wall)).await;
    taken.expect("the machine has shown it");
    for (number, order) in [(1, &silent), (2, &untaken)] {
        assert_eq!(rig.tells(order, Last::Closed, number, Some(&other())).await, StatusCode::OK);
        rig.is_for_a_person(order, NoProof::NoKey, Attention::NoProof, order.request_id.as_str()).await;
    }
    // A key that is shown and not taken does not count beside the known one.
    let order = create("r3", Some(relay())).await;
    rig.pays(&order).await;
    assert_eq!(rig.tells(&order, Last::Closed, 3, Some(&relay())).await, StatusCode::OK);
    rig.is_for_a_person(&order, NoProof::OtherKey, Attention::NoProof, "shown only").await;
    // The known one counts also for an order that shows none.
    let order = create("r4", None).await;
    rig.pays(&order).await;
    assert_eq!(rig.tells(&order, Last::Closed, 4, Some(&other())).await, StatusCode::OK);
    rig.until(&order, "it goes back by itself", |stored| stored.order.repayment().is_some()).await;
}

#[tokio::test]
async fn the_first_order_of_a_new_machine_is_proven_by_the_key_that_came_with_it() {
    let rig = Rig::refunding().await;
    let order = rig.order("r1").await;
    rig.pays(&order).await;
    assert_eq!(rig.tells(&order, Last::Closed, 1, Some(&relay())).await, StatusCode::OK);
    rig.until(&order, "it goes back by itself", |stored| stored.order.repayment().is_some()).await;
    assert_eq!(rig.in_the_books(&order).await.outcome(), Some(Delivery::Undelivered));
}
