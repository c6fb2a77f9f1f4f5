//! Each payment comes to one end, and the database refuses a second one.

use super::*;
use crate::sale::books::write::{Claim, write};
use crate::sale::counted;
use qris_core::order::ledger::Again;
use qris_core::order::merchant::End;
use qris_core::order::merchant::{Duty, NoProof, Proof, RefundAnswer, RefundWish, duty};
use qris_core::order::promise::Promise;
use qris_core::order::proof::RelayKey;
use qris_core::order::tries::TryNumber;

/// The number of lives. Each tells its seed when it goes wrong.
const LIVES: u64 = 400;
const STEPS: usize = 60;

impl Rig {
    async fn sql(&self, sql: String) -> Result<(), BooksError> {
        self.run(move |tx, _| Ok(tx.rows(&sql, &[]).map(drop)?)).await
    }
}

fn draw(bits: &mut u64, below: usize) -> usize {
    *bits = bits.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
    usize::try_from(*bits >> 33).expect("31 bits") % below
}

fn one<T: Clone>(bits: &mut u64, list: &[T]) -> T {
    list[draw(bits, list.len())].clone()
}

fn relay() -> RelayKey {
    RelayKey::of(&SigningKey::from_seed([3; 32]))
}

/// The gateway's answer: mostly that it is paid, and what an order needs to live on.
fn says(bits: &mut u64, order: &Order) -> Event {
    let said =
        [Said::Settled, Said::Settled, Said::Settled, Said::Refunded, Said::PartlyRefunded, Said::ChargedBack, Said::Denied, Said::Pending];
    let report = StatusReport { said: one(bits, &said), ..settled(order, "t-r") };
    Event::Status(StatusReport { refund_within: Some(Span::secs(7 * 86_400)), ..report })
}

fn happens(bits: &mut u64, order: &Order) -> Event {
    let number = order.number_of_try();
    let next = number.next().unwrap_or(number);
    let outcomes = [Delivery::Undelivered, Delivery::Undelivered, Delivery::Failed, Delivery::Dispensed, Delivery::Uncertain];
    let told = DeliveryReport::proven(one(bits, &outcomes));
    let proof = if draw(bits, 3) == 0 { Proof::Missing(NoProof::None) } else { told.proof.clone() };
    match draw(bits, 12) {
        0..=3 => Event::Delivered(DeliveryReport { nth_try: one(bits, &[number, number, number, TryNumber::FIRST, next]), proof, ..told }),
        4 | 5 => {
            let again = Again { order: order.id.clone(), number: next, after: order.goods().ticket };
            let ticket = Ticket::from_random([u8::try_from(draw(bits, 200)).expect("small"); 16]);
            let item = order.sale.purchase.item.clone();
            let promise = Promise::of(order.sale.device.clone(), ticket, again, item, order.sale.purchase.amount);
            Event::TryAgain { promise: Box::new(promise), key: Some(relay()) }
        }
        6 => Event::RefundRequested(RefundWish { no_report: true, no_proof: true, ..RefundWish::of_a_person(Some("Ani".into())) }),
        7 => Event::SettledByHand {
            note: "cash".into(),
            by: one(bits, &[None, Some("Ani".into())]),
            no_report: true,
            goods_and_money: false,
        },
        8 => Event::Given { by: "Ani".into(), goods_and_money: false, from_slot: false },
        9 => Event::SeenBy("Ani".into()),
        10 => Event::Abandoned,
        _ => says(bits, order),
    }
}

fn answers(bits: &mut u64, call: Call, order: &Order) -> Event {
    match call {
        Call::Charge => Event::Charged(charge("r")),
        Call::Cancel => Event::CancelRefused,
        Call::GetStatus => says(bits, order),
        Call::Refund => Event::RefundAnswered(one(
            bits,
            &[
                RefundAnswer::Approved(Box::new(StatusReport { said: Said::Refunded, ..settled(order, "t-r") })),
                RefundAnswer::Unsure("cut".into()),
                RefundAnswer::Refused("414".into()),
                RefundAnswer::KeyUsed("406".into()),
            ],
        )),
    }
}

/// Whatever the core grants, the database takes; and of goods and money it is one.
#[tokio::test]
async fn no_life_of_an_order_is_refused_by_the_database() {
    let rules = Rules { second_tries: 3, reversal_window: Span::secs(0), ..policy().rules.clone() };
    let policy = Policy { rules, push: false, orders_per_minute: 0, auto_refund_per_day: 0, tries_per_day: 100 };
    let rig = Rig { policy: Arc::new(policy), ..Rig::new() };
    let mut seen = std::collections::BTreeMap::new();
    for life in 0..LIVES {
        let ends = rig.run(move |tx, policy| {
            let mut bits = life.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let request = format!("r{life}");
            let payment = one(&mut bits, &[Payment::Gopay, Payment::Gopay, Payment::Alfamart]);
            let sale = Sale { relay_key: Some(relay()), ..sale(&format!("vm-{life}"), &request, 1).paid_by(payment) };
            let name = id(&format!("o-{request}"));
            let (mut now, mut ends) = (T0, Vec::new());
            let mut stored = create(tx, policy, sale, "d", &name, Told::trusted(now))?.done.now;
            for _ in 0..STEPS {
                now = now + Span::millis(i64::try_from(draw(&mut bits, 3)).expect("small") * one(&mut bits, &[10, 10, 5_000, 4_000_000]));
                let event = match duty(&stored.order, Told::trusted(now)) {
                    Duty::Apply(event) => event,
                    Duty::Call(call) if draw(&mut bits, 4) > 0 => answers(&mut bits, call, &stored.order),
                    Duty::Call(_) | Duty::Wait => happens(&mut bits, &stored.order),
                };
                let event = match event {
                    // Each life has a transaction of its own.
                    Event::Charged(charge) => {
                        let transaction_id = TransactionId::new(&format!("t-{life}")).expect("an id");
                        Event::Charged(Charge { transaction_id, ..charge })
                    }
                    Event::Status(report) => {
                        let transaction_id = TransactionId::new(&format!("t-{life}")).expect("an id");
                        Event::Status(StatusReport { transaction_id, ..report })
                    }
                    other => other,
                };
                let again = event.clone();
                let written = match write(tx, policy, stored.clone(), event, Told::trusted(now), Claim::Keep) {
                    Err(BooksError::Refused(Refused::OutcomeStands)) => {
                        let Event::Delivered(told) = again.clone() else { panic!("another refusal") };
                        let event = Event::Contradicted { told, refund_on_its_way: false };
                        write(tx, policy, stored.clone(), event, Told::trusted(now), Claim::Keep)
                    }
                    other => other,
                };
                match written {
                    Ok(done) => stored = done.now,
                    Err(BooksError::Refused(_)) => {}
                    Err(error) => panic!("seed {life}: {error}: {again:?} at\n{:#?}", stored.order),
                }
                if stored.order.settlement().is_some() {
                    ends.push(counted::end(&stored.order));
                }
            }
            Ok(ends)
        });
        for step in ends.await.expect("lives").windows(2).filter(|step| step[0] != step[1]) {
            *seen.entry((step[0], step[1])).or_insert(0) += 1;
        }
    }
    println!("{seen:#?}");
    let to = |end| seen.keys().any(|(_, to)| *to == end);
    assert!([End::Delivered, End::Given, End::Refunded, End::RefundedByHand].map(to).iter().all(|lived| *lived), "{seen:?}");
}

/// Somebody writes past the core, and does it well: the version is the next one.
#[tokio::test]
async fn a_second_end_is_refused_whoever_writes_it() {
    let policy = Policy { orders_per_minute: 0, ..Arc::into_inner(policy()).expect("one") };
    let rig = Rig { policy: Arc::new(policy), ..Rig::new() };
    let ends: [(&str, &str, &[&str], &[&str]); 4] = [
        ("r1", "delivered", &["given", "refund_due", "refunded", "refunded_by_hand", "awaited"], &["uncertain", "taken_back"]),
        ("r2", "refunded", &["delivered", "given", "refund_due", "refunded_by_hand"], &[]),
        ("r3", "refunded_by_hand", &["delivered", "given", "refunded"], &[]),
        ("r4", "given", &["delivered", "refund_due", "refunded", "refunded_by_hand"], &[]),
    ];
    let write = |order: &str, more: &str, end: &str| {
        format!("UPDATE orders SET ended = '{end}'{more}, version = version + 1 WHERE order_id = 'o-{order}'")
    };
    for (n, (order, end, refused, taken)) in (1_u8..).zip(ends) {
        rig.paid(order, n, T0).await;
        let told = if end == "delivered" { Delivery::Dispensed } else { Delivery::Undelivered };
        rig.tell(&format!("o-{order}"), told, T0).await;
        if end != "delivered" {
            rig.sql(write(order, "", end)).await.expect("its first end");
        }
        for second in refused {
            let said = rig.sql(write(order, "", second)).await.expect_err("a second end").to_string();
            assert!(said.contains("goods or money"), "{end}, then {second}: {said}");
        }
        for second in taken {
            rig.sql(write(order, "", second)).await.unwrap_or_else(|why| panic!("{end}, then {second}: {why}"));
        }
    }
    // A machine has the receipt of a try, and has told nothing.
    rig.paid("r9", 9, T0).await;
    for settled in ["given", "refund_due", "refunded_by_hand"] {
        assert!(rig.sql(write("r9", "", settled)).await.is_err(), "{settled}");
    }
    // What the gateway did all the same is written.
    rig.paid("r10", 10, T0).await;
    rig.tell("o-r10", Delivery::Dispensed, T0).await;
    rig.sql(write("r10", ", state = 'refunded'", "refunded")).await.expect("a fact");
    assert!(rig.sql(write("r10", "", "delivered")).await.is_err());
    // Money that went back bars another try, and so do goods from a hand. The relay has signed that nothing came of all three.
    rig.paid("r5", 5, T0).await;
    rig.tell("o-r5", Delivery::Undelivered, T0).await;
    for (order, is_refused) in [("r4", true), ("r3", true), ("r5", false)] {
        let set = |what: &str| format!("UPDATE orders SET {what}, version = version + 1 WHERE order_id = 'o-{order}'");
        let again = rig.sql(set("try = 2, delivery = NULL, proof = NULL")).await;
        assert_eq!(again.is_err(), is_refused, "{order}: {again:?}");
    }
    // One payment under the names of two orders has one receipt, of whatever try.
    let another = "INSERT INTO receipts (order_id, try, device, request_id, transaction_id, jws)
        VALUES ('o-r9', 2, 'vm-001', 'r9', 't-r4', 'x')";
    assert!(rig.sql(another.into()).await.is_err());
}
