//! Random lives of orders whose books come back from a copy, while somebody refunds in the dashboard. What came after the copy is lived in
//! memory, and is lost. Of goods and money it is one, and the database takes whatever the core grants.

use super::*;
use crate::sale::books::of_a_copy;
use crate::sale::books::write::{Claim, write};
use qris_core::order::merchant::outside::{Dice, Next, Outside, relay};
use qris_core::order::merchant::{self, Context, Duty, duty};

/// The number of lives. Each tells its seed when it goes wrong.
const LIVES: u64 = 300;
const STEPS: usize = 70;

/// Books that will be lost, since a copy of before comes back.
fn in_memory(order: Order, event: Event, policy: &Policy, now: Wall) -> Result<Order, Refused> {
    merchant::apply(order, event, Told::trusted(now), &Context { rules: &policy.rules, paid_already: false })
}

fn live(tx: &mut dyn Tx, policy: &Policy, life: u64) -> Result<[bool; 3], BooksError> {
    let mut dice = Dice(0x0b_00c5 + life);
    let (mut outside, mut was_restored) = (Outside::of(life), false);
    let sale = Sale { relay_key: Some(relay()), ..sale(&format!("vm-{life}"), "r", 1) };
    let (mut now, mut trail, mut lost) = (T0, Vec::new(), None::<Order>);
    let mut stored = create(tx, policy, sale, "d", &id(&format!("o-{life}")), Told::trusted(now))?.done.now;
    for step in 0..STEPS {
        now = now + Outside::pause(&mut dice);
        let (late, order) = (step + 20 > STEPS, lost.as_ref().unwrap_or(&stored.order).clone());
        let event = match duty(&order, Told::trusted(now)) {
            Duty::Apply(event) => event,
            Duty::Call(call) if dice.draw(4) > 0 || late => outside.answers(call, &order, Told::trusted(now), &mut dice),
            Duty::Call(_) | Duty::Wait => {
                let grants = |event| in_memory(order.clone(), event, policy, now).is_ok();
                match outside.next(&order, late, Told::trusted(now), grants, &mut dice) {
                    Next::Comes(event) => event,
                    Next::Copied => {
                        // A copy that is not used is no loss: the books go on from where they are.
                        lost.get_or_insert(order);
                        continue;
                    }
                    Next::Restored => {
                        if lost.take().is_some() {
                            trail.push(format!("{} the books come back", (now - T0).0));
                            of_a_copy(tx, Told::trusted(now))?;
                            stored = load(tx, &order.id)?.ok_or(BooksError::Unknown)?;
                            was_restored = true;
                            outside.restored();
                        }
                        continue;
                    }
                    Next::Unheard => continue,
                }
            }
        };
        trail.push(format!("{} {event:?}", (now - T0).0));
        let contradicts = |event: Event| match event {
            Event::Delivered(told) => Event::Contradicted { told, refund_on_its_way: false },
            other => other,
        };
        let order = if lost.is_some() {
            let after = match in_memory(order.clone(), event.clone(), policy, now) {
                Err(Refused::OutcomeStands) => in_memory(order.clone(), contradicts(event), policy, now),
                other => other,
            };
            lost.insert(after.unwrap_or(order)).clone()
        } else {
            let written = match write(tx, policy, stored.clone(), event.clone(), Told::trusted(now), Claim::Keep) {
                Err(BooksError::Refused(Refused::OutcomeStands)) => {
                    write(tx, policy, stored.clone(), contradicts(event.clone()), Told::trusted(now), Claim::Keep)
                }
                other => other,
            };
            match written {
                Ok(done) => stored = done.now,
                Err(BooksError::Refused(_)) => {}
                Err(error) => panic!("life {life}: {error}: {event:?} at\n{}\n{:#?}", trail.join("\n"), stored.order),
            }
            stored.order.clone()
        };
        outside.written(&order);
        assert!(!outside.has_both(), "life {life}: goods and money\n{}\n{outside:#?}\n{order:#?}", trail.join("\n"));
    }
    Ok([was_restored, was_restored && outside.came(), was_restored && outside.went_back()])
}

#[tokio::test]
async fn goods_or_money_whatever_copy_comes_back() {
    let rules = Rules { second_tries: 2, reversal_window: Span::secs(0), ..policy().rules.clone() };
    let policy = Policy { rules, push: false, orders_per_minute: 0, auto_refund_per_day: 100, tries_per_day: 100 };
    let rig = Rig { policy: Arc::new(policy), ..Rig::new() };
    let mut seen = [0_u32; 3];
    for life in 0..LIVES {
        let lived = rig.run(move |tx, policy| live(tx, policy, life)).await.expect("lives");
        seen.iter_mut().zip(lived).for_each(|(count, lived)| *count += u32::from(lived));
    }
    println!("{seen:?}");
    assert!(seen.iter().all(|count| *count > 0), "restored, with goods, with money: {seen:?}");
}
