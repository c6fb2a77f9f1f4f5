//! Random lives of an order whose books come back from a copy at any moment, while somebody refunds in the dashboard. Of goods and money it is
//! one.

use super::*;
use crate::order::merchant::outside::{Dice, Next, Outside, relay};
use std::collections::BTreeMap;

/// The number of lives. Each tells its seed when it goes wrong.
const LIVES: u64 = 1500;
const STEPS: usize = 70;

#[test]
fn goods_or_money_whatever_copy_comes_back() {
    let rules = Rules { second_tries: 2, reversal_window: Span::secs(0), ..rules() };
    let with = Context { rules: &rules, paid_already: false };
    let (mut states, mut seen) = (BTreeMap::new(), [0_u32; 4]);
    for life in 0..LIVES {
        let mut dice = Dice(0xc0_b1e5 + life);
        let sale = Sale { relay_key: Some(relay()), ..order().sale };
        let mut order = Order { sale, ..order() };
        let mut outside = Outside::of(life);
        let (mut now, mut copy, mut was_restored) = (T0, None::<Order>, false);
        let mut trail = Vec::new();
        for step in 0..STEPS {
            now = now + Outside::pause(&mut dice);
            let late = step + 20 > STEPS;
            let event = match duty(&order, Told::trusted(now)) {
                Duty::Apply(event) => event,
                Duty::Call(call) if dice.draw(4) > 0 || late => outside.answers(call, &order, Told::trusted(now), &mut dice),
                Duty::Call(_) | Duty::Wait => {
                    let grants = |event| apply(order.clone(), event, Told::trusted(now), &with).is_ok();
                    match outside.next(&order, late, Told::trusted(now), grants, &mut dice) {
                        Next::Comes(event) => event,
                        Next::Copied => {
                            copy = Some(order.clone());
                            continue;
                        }
                        Next::Restored => {
                            let Some(copy) = copy.take() else { continue };
                            *states.entry(word(&copy)).or_insert(0) += 1;
                            trail.push(format!("{} the books come back from {}", (now - T0).0, word(&copy)));
                            (order, was_restored) = (copy.of_a_copy(Told::trusted(now)), true);
                            outside.restored();
                            continue;
                        }
                        Next::Unheard => continue,
                    }
                }
            };
            trail.push(format!("{} {event:?}", (now - T0).0));
            order = match apply(order.clone(), event.clone(), Told::trusted(now), &with) {
                Ok(after) => after,
                Err(Refused::OutcomeStands) => {
                    let Event::Delivered(told) = event else { panic!("another refusal") };
                    apply(order, Event::Contradicted { told, refund_on_its_way: false }, Told::trusted(now), &with).expect("a fact")
                }
                Err(_) => order,
            };
            outside.written(&order);
            assert!(!outside.has_both(), "life {life}: goods and money\n{}\n{outside:#?}\n{order:#?}", trail.join("\n"));
        }
        // The books have heard of both.
        let is_both =
            outside.has_both_by_a_try() && order.outcome() == Some(Delivery::Dispensed) && matches!(order.state, State::Refunded(_));
        assert!(!is_both || !order.late.is_empty(), "life {life}: nobody is told of goods and money\n{}\n{order:#?}", trail.join("\n"));
        let lived = [was_restored, was_restored && outside.came(), was_restored && outside.went_back(), is_both];
        seen.iter_mut().zip(lived).for_each(|(count, lived)| *count += u32::from(lived));
    }
    println!("{states:?} {seen:?}");
    assert!(seen.iter().all(|count| *count > 0), "restored, with goods, with money, and a try beside the dashboard: {seen:?}");
    for state in ["charging", "pending", "cancelling", "cancel", "settled", "refunded"] {
        assert!(states.contains_key(state), "no copy came back with an order that was {state}: {states:?}");
    }
}
