//! Messages of any kind from anybody; and orders and tickets that nobody here knows.

use super::rig::*;
use qris_core::order::ids::DeviceId;
use qris_core::order::machine::RelayCall;
use qris_core::order::reason::Reason;
use qris_core::order::request::Refusal;
use qris_core::order::tries::TryNumber;
use qris_core::wire::orders::{OrderResource, Status};

#[test]
fn receipts_that_are_not_for_this_order_change_nothing() {
    let mut rig = Rig::new();
    rig.offered(1);
    rig.announced();
    let good = receipt_of(1);
    let altered = good.jws().replacen('A', "B", 1);
    let strange = [
        receipt(|c| c.aud = DeviceId::new("vm-002").expect("an id")),
        receipt(|c| c.ticket = ticket(9)),
        receipt(|c| c.amount = rp(1)),
        receipt(|c| c.item = ItemId::new("A2").expect("an item")),
        receipt(|c| c.jti = request_id("r-9")),
        qris_core::order::keys::SigningKey::from_seed([9; 32]).sign(good.claims().clone()),
    ];
    for receipt in strange {
        let (ack, _) = rig.pay(&receipt);
        assert!(rig.is_acked(ack), "{receipt:?}");
    }
    let payload = format!(r#"{{"order_id":"o-1","rev":2,"status":"settlement","receipt":"{altered}"}}"#);
    let (ack, _) = rig.message(Topic::PaymentUpdate, &payload);
    assert!(rig.is_acked(ack));
    assert_eq!((rig.announced(), rig.relay(1)), (vec![], None));
    // The right receipt, then again and again.
    rig.pay(&good);
    rig.pay(&good);
    rig.delivered(1);
    rig.answer(1, order(settled(1, 2)));
    rig.pay(&good);
    assert_eq!(rig.announced(), ["paid", "dispensing", "dispensed"]);
    assert!(rig.machine.orders.ids().is_empty());
}

#[test]
fn hints_are_followed_once_in_five_seconds_and_never_spin() {
    let update = r#"{"order_id":"o-1","rev":2,"status":"settlement","receipt":null}"#;
    let mut rig = Rig::new();
    rig.dispensing(1);
    rig.after(5000);
    rig.message(Topic::PaymentUpdate, update);
    assert_eq!(rig.backend(1), Some(HttpCall::Get(order_id("o-1"))));
    rig.answer(1, order(settled(1, 2)));
    rig.message(Topic::PaymentUpdate, update);
    assert_eq!(rig.backend(1), None);
    rig.after(4999);
    assert_eq!(rig.backend(1), None);
    rig.after(1);
    assert!(rig.backend(1).is_some());
    // This comes while another call waits for its next try.
    let mut rig = Rig::new();
    rig.offered(1);
    rig.message(Topic::PaymentUpdate, update);
    assert_eq!(rig.backend(1), Some(HttpCall::Get(order_id("o-1"))));
    rig.message(Topic::VendCancel, r#"{"request_id":"r-1"}"#);
    rig.answer(1, gone());
    rig.message(Topic::PaymentUpdate, update);
    assert_eq!(rig.backend(1), None);
    rig.after(250);
    assert_eq!(rig.backend(1), Some(HttpCall::Cancel(order_id("o-1"))));
}

#[test]
fn strangers_orders_lead_to_one_question_in_five_minutes() {
    let update = r#"{"order_id":"o-77","rev":2,"status":"pending","receipt":null}"#;
    let mut rig = Rig::new();
    rig.message(Topic::PaymentUpdate, update);
    rig.answer_open(vec![]);
    for _ in 0..10 {
        rig.message(Topic::PaymentUpdate, update);
        assert_eq!(rig.open(), None);
    }
    // A genuine receipt among the noise is not lost. It only comes later.
    rig.pay(&receipt_of(77));
    rig.after(299_999);
    assert_eq!(rig.open(), None);
    rig.after(1);
    rig.answer_open(vec![settled(77, 299)]);
    assert_eq!(rig.relay(77), Some(RelayCall::Query(order_id("o-77"), TryNumber::FIRST)));
}

#[test]
fn an_order_that_was_asked_for_after_the_list_was_asked_is_not_missing_from_it() {
    let mut rig = Rig::new();
    rig.on(Input::BrokerUp { refused: vec![] });
    assert!(rig.open().is_some());
    rig.requested(1);
    rig.after(15_000);
    rig.answer_open(vec![]);
    rig.after(250);
    rig.answer_open(vec![resource(1, Status::Pending)]);
    assert_eq!(rig.backend(1), Some(HttpCall::Cancel(order_id("o-1"))));
}

#[test]
fn an_order_with_another_ticket_is_not_ours_though_it_has_our_request() {
    let mut rig = Rig::new();
    rig.requested(1);
    rig.on(Input::BrokerUp { refused: vec![] });
    let others = OrderResource { ticket: ticket(9), ..resource(1, Status::Pending) };
    rig.answer_open(vec![others.clone()]);
    assert!(!rig.scene.starts_with("Pay"), "{}", rig.scene);
    // Our order is not there either when it is looked for.
    rig.after(15_000);
    rig.answer_open(vec![others]);
    assert_eq!((rig.open(), rig.backend(1), rig.relay(1)), (None, None, Some(RelayCall::Close(ticket(1)))));
    rig.closed(1);
    assert!(rig.machine.orders.ids().is_empty());
}

#[test]
fn a_list_that_is_full_says_nothing_of_what_is_missing() {
    let mut rig = Rig::new();
    rig.requested(1);
    rig.after(15_000);
    let full = (0..100)
        .map(|n| OrderResource {
            request_id: request_id(&format!("x-{n}")),
            order_id: order_id(&format!("x-{n}")),
            ..resource(2, Status::Expire)
        })
        .collect();
    rig.answer_open(full);
    rig.after(1000);
    assert!(rig.open().is_some(), "still looked for");
}

#[test]
fn a_settled_order_without_a_receipt_to_believe_is_not_asked_for_in_a_loop() {
    let mut rig = Rig::new();
    rig.requested(1);
    rig.after(15_000);
    let forged = qris_core::order::keys::SigningKey::from_seed([9; 32]).sign(receipt_of(1).claims().clone());
    rig.answer_open(vec![OrderResource { receipt: Some(forged.jws().into()), ..settled(1, 3) }]);
    assert_eq!((rig.open(), rig.backend(1)), (None, None));
}

#[test]
fn two_charges_of_one_request_are_not_taken_for_each_other() {
    let mut rig = Rig::new();
    rig.offered(1);
    rig.on(Input::BrokerUp { refused: vec![] });
    let other = OrderResource { order_id: order_id("o-1-2"), rev: 9, ..resource(1, Status::Cancel) };
    rig.answer_open(vec![other, resource(1, Status::Pending)]);
    assert!(rig.scene.starts_with("Pay"));
    rig.message(Topic::VendCancel, r#"{"request_id":"r-1"}"#);
    assert_eq!(rig.backend(1), Some(HttpCall::Cancel(order_id("o-1"))));
}

#[test]
fn tickets_of_nobody_are_closed_but_never_during_a_prepare() {
    let mut rig = Rig::new();
    rig.requested(1);
    rig.facts.tickets = vec![ticket(1), ticket(2), ticket(3), ticket(4)];
    rig.on(Input::RelayUp(rig.facts.clone()));
    rig.answer(1, BackendAnswer::Refused(Refusal::new(Reason::GrossAmount, "no")));
    let (_, prepare) = rig.vend(3);
    let effects = rig.answer_open(vec![resource(2, Status::Pending)]);
    assert!(closes(&effects).is_empty(), "one of them may be the candidate's");
    rig.prepare(&prepare, Ok(ticket(3)));
    rig.after(5000);
    let effects = rig.answer_open(vec![resource(2, Status::Pending)]);
    assert_eq!(closes(&effects), [ticket(4)]);
}

/// The database was lost, and a controller repeated its request before the machine heard of the first order. A payment of that one is given
/// back, and a ticket that stays open could still be used.
#[test]
fn the_ticket_of_an_order_that_another_took_the_place_of_is_closed() {
    let mut rig = Rig::new();
    rig.facts.tickets = vec![ticket(2), ticket(9)];
    rig.on(Input::RelayUp(rig.facts.clone()));
    let (_, prepare) = rig.vend(1);
    rig.prepare(&prepare, Ok(ticket(1)));
    rig.answer(1, BackendAnswer::Refused(Refusal::new(Reason::ReusedId, "no")));
    rig.after(5000);
    let first = OrderResource { ticket: ticket(9), ..resource(1, Status::Pending) };
    assert_eq!(closes(&rig.answer_open(vec![first, resource(2, Status::Pending)])), [ticket(9)]);
}

#[test]
fn a_thousand_tickets_are_closed_in_portions_and_not_asked_for_in_a_loop() {
    let mut rig = Rig::new();
    rig.facts.tickets = (0..=255)
        .flat_map(|a| {
            [[a; 16], [a ^ 1; 16], [0; 16]].map(|mut bits| {
                bits[0] = a;
                Ticket::from_random(bits)
            })
        })
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    let many = rig.facts.tickets.len();
    let effects = rig.on(Input::RelayUp(rig.facts.clone()));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::ReadRelay)));
    let mut closed = closes(&rig.answer_open(vec![])).len();
    assert!(closed <= 50);
    while closed < many {
        rig.after(5000);
        closed += closes(&rig.answer_open(vec![])).len();
    }
    assert_eq!(closed, many);
    // With 900 tickets that cannot be looked up at the backend, the relay is not read in a loop.
    rig.facts.tickets = (0..950_u16)
        .map(|n| {
            let mut bits = [7; 16];
            bits[..2].copy_from_slice(&n.to_be_bytes());
            Ticket::from_random(bits)
        })
        .collect();
    let effects = rig.on(Input::RelayUp(rig.facts.clone()));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::ReadRelay)));
    let call = rig.open().expect("asked");
    let effects = rig.on(Input::Open(call, gone()));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::ReadRelay)));
    let effects = rig.on(Input::RelayReported(rig.facts.clone()));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::ReadRelay)));
}

#[test]
fn adopted_orders_cannot_take_the_ticket_or_name_of_one_that_is_held() {
    let mut rig = Rig::new();
    rig.offered(1);
    rig.on(Input::BrokerUp { refused: vec![] });
    let request_id = request_id("r-9");
    rig.answer_open(vec![OrderResource { request_id: request_id.clone(), ..resource(1, Status::Pending) }]);
    rig.on(Input::BrokerUp { refused: vec![] });
    rig.answer_open(vec![OrderResource { request_id, order_id: order_id("o-9"), ..resource(1, Status::Pending) }]);
    assert!(rig.machine.faults.all().next().is_none(), "{:?}", rig.machine.faults);
    assert_eq!(rig.machine.orders.ids().len(), 1);
}
