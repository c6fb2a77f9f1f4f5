//! What a machine tells of its tries.

use super::*;
use qris_core::order::ledger::Again;
use qris_core::order::merchant::NoProof;
use qris_core::order::proof::{self, Last, RelayKey, Statement};
use qris_core::order::tries::TryNumber;

fn relay() -> SigningKey {
    SigningKey::from_seed([3; 32])
}

/// A report of try 2 came while the order was at try 1, with the word of try 1. It is written when the receipt of try 2 is signed.
#[tokio::test]
async fn a_proof_is_judged_on_the_order_that_is_there_when_it_is_written() {
    let rules = Rules { second_tries: 1, ..policy().rules.clone() };
    let rig = Rig { policy: Arc::new(Policy { rules, ..Arc::into_inner(policy()).expect("one") }), ..Rig::new() };
    let (key, device) = (Some(RelayKey::of(&relay())), DeviceId::new("vm-001").expect("an id"));
    let sale = Sale { relay_key: key.clone(), ..sale("vm-001", "r1", 1) };
    rig.run(move |tx, policy| create(tx, policy, sale, "d", &id("o-r1"), Told::trusted(T0))).await.expect("created");
    rig.answered("o-r1", Event::Charged(charge("r1")), T0).await;
    let report = settled(&rig.load("o-r1").await.order, "t-r1");
    rig.answered("o-r1", Event::Status(report), T0).await;
    let read = rig.load("o-r1").await.order;
    let ticket = read.goods().ticket;
    let word = Statement {
        device: device.clone(),
        ticket: ticket.clone(),
        order_id: None,
        number_of_try: TryNumber::FIRST,
        outcome: Last::Closed,
        driven: false,
        number: 7,
    };
    let jws = proof::sign(&relay(), &word);
    let second = TryNumber::FIRST.next().expect("2");
    let tell = |nth_try: TryNumber| {
        let proof = Some(jws.as_str().into());
        let said = OutcomeReport { nth_try, outcome: Delivery::Undelivered, reason: None, detail: None, proof };
        let device = device.clone();
        rig.run(move |tx, policy| delivered(tx, policy, &device, &id("o-r1"), &said, Told::trusted(T0)))
    };
    let first = tell(TryNumber::FIRST).await.expect("written").expect("the first");
    assert!(matches!(first.now.order.delivery().map(|told| &told.proof), Some(Proof::Signed { number: 7, .. })));
    let again = Again { order: id("o-r1"), number: second, after: ticket };
    let (item, amount) = (read.sale.purchase.item.clone(), read.sale.purchase.amount);
    let promise = Promise::of(device.clone(), Ticket::from_random([2; 16]), again, item, amount);
    rig.run(move |tx, policy| try_again(tx, policy, &id("o-r1"), promise, key, Told::trusted(T0))).await.expect("granted");
    let told = tell(second).await.expect("written").expect("the first of this try").now.order.delivery().cloned().expect("told");
    assert_eq!(told.proof, Proof::Missing(NoProof::OtherSale), "the word of another try");
}
