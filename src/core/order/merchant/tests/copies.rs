//! Random lives of an order whose books come back from a copy at any moment, while somebody refunds in the dashboard. What the relay and the
//! gateway did is counted outside of the books, and of goods and money it is one.

use super::walk::{Dice, relay};
use super::*;
use crate::order::ledger::Again;
use crate::order::promise::Promise;
use crate::order::tries::TryNumber;
use std::collections::{BTreeMap, BTreeSet};

/// The number of lives. Each tells its seed when it goes wrong.
const LIVES: u64 = 1500;
const STEPS: usize = 70;
const DAY: i64 = 24 * 3_600_000;

/// All that is not in the books.
#[derive(Debug, Default)]
struct World {
    /// What the relay has signed of each try's ticket.
    signed: BTreeMap<TryNumber, Delivery>,
    /// The tries that have a receipt, or a promise that the relay gave.
    receipts: BTreeSet<TryNumber>,
    promised: BTreeSet<TryNumber>,
    is_paid: bool,
    /// So much went back in the dashboard, and so much as we asked.
    by_hand: u64,
    by_us: u64,
    /// A person has looked, and decided without a proof.
    is_decided: bool,
    /// All of it went back in the dashboard while a later try ran, and nothing was lost since.
    in_a_try: bool,
}

impl World {
    fn came(&self) -> bool {
        self.signed.values().any(|word| *word == Delivery::Dispensed)
    }

    /// Get-status.
    fn says(&self) -> Event {
        let back = self.by_hand + self.by_us;
        let said = match back {
            _ if !self.is_paid => Said::Pending,
            0 => Said::Settled,
            5000 => Said::Refunded,
            _ => Said::PartlyRefunded,
        };
        let refund_amount = (back > 0).then(|| rp(back));
        Event::Status(StatusReport { refund_amount, refund_within: Some(Span::millis(7 * DAY)), ..report(said) })
    }

    fn refunds(&mut self, order: &Order, dice: &mut Dice) -> Event {
        let left = 5000 - self.by_hand - self.by_us;
        let asked = order.to_refund().map_or(left, Rupiah::get);
        if !self.is_paid || left == 0 || asked > left || dice.draw(5) == 0 {
            return Event::RefundAnswered(RefundAnswer::Refused("414".into()));
        }
        if dice.draw(5) == 0 {
            return Event::RefundAnswered(RefundAnswer::Passing("no route".into()));
        }
        self.by_us += asked;
        if dice.draw(3) == 0 {
            return Event::RefundAnswered(RefundAnswer::Unsure("cut".into()));
        }
        let refunded = StatusReport { refund_amount: Some(rp(asked)), ..report(Said::Refunded) };
        Event::RefundAnswered(RefundAnswer::Approved(Box::new(refunded)))
    }

    /// The gateway answers, or does not.
    fn answers(&mut self, call: Call, order: &Order, dice: &mut Dice) -> Event {
        match call {
            Call::Charge if dice.draw(4) == 0 => Event::NotCharged(NoCharge::Unsure("cut".into())),
            Call::Charge => Event::Charged(charge(5000)),
            Call::Cancel if self.is_paid => Event::CancelRefused,
            Call::Cancel if dice.draw(2) == 0 => Event::CancelUnanswered,
            Call::Cancel => Event::CancelDone(report(Said::Cancelled)),
            Call::GetStatus if dice.draw(5) == 0 => Event::StatusUnanswered,
            Call::GetStatus => self.says(),
            Call::Refund => self.refunds(order, dice),
        }
    }

    /// The relay hands out, or signs that it did not. It never does for a try before the last, nor after goods that came.
    /// `closes`: whoever has the machine closes the first ticket, and takes the goods with another.
    fn acts(&mut self, closes: bool, dice: &mut Dice) {
        let next = self.signed.keys().next_back().map_or(Some(TryNumber::FIRST), |last| last.next());
        let Some(number) = next.filter(|_| !self.came()) else { return };
        let is_known = number == TryNumber::FIRST || self.promised.contains(&number);
        let word = match self.receipts.contains(&number) && !(closes && number == TryNumber::FIRST) {
            true => dice.of(&[Delivery::Dispensed, Delivery::Dispensed, Delivery::Failed, Delivery::Undelivered]),
            false => Delivery::Undelivered,
        };
        if is_known {
            self.signed.insert(number, word);
        }
    }

    /// Whoever has the machine tells what he likes, of any try, with the proof that the relay gave.
    fn tells(&self, order: &Order, dice: &mut Dice) -> Event {
        let tries: Vec<_> = self.signed.iter().map(|(number, word)| (*number, *word)).collect();
        let number = order.number_of_try();
        if tries.is_empty() || dice.draw(6) == 0 {
            let outcome = dice.of(&[Delivery::Undelivered, Delivery::Failed, Delivery::Dispensed, Delivery::Uncertain]);
            let proof = Proof::Missing(NoProof::None);
            return Event::Delivered(DeliveryReport { nth_try: number, proof, ..DeliveryReport::proven(outcome) });
        }
        let (nth_try, word) = dice.of(&tries);
        let told = DeliveryReport { nth_try, ..DeliveryReport::proven(word) };
        // As `Proof::of` judges it: the word counts for the present try.
        let proof = if nth_try == number { told.proof } else { Proof::Missing(NoProof::OtherSale) };
        Event::Delivered(DeliveryReport { proof, ..told })
    }

    /// He asks for the next try with a promise that the relay gave, now or before.
    fn asks_again(&mut self, order: &Order) -> Option<Event> {
        let number = order.number_of_try().next()?;
        let last = self.signed.keys().next_back().copied();
        if !self.came() && last.is_some_and(|last| last.next() == Some(number)) {
            self.promised.insert(number);
        }
        if !self.promised.contains(&number) {
            return None;
        }
        let again = Again { order: order.id.clone(), number, after: order.goods().ticket };
        let ticket = Ticket::from_random([u8::try_from(100 + number.get()).expect("small"); 16]);
        let promise = Promise::of(order.sale.device.clone(), ticket, again, order.sale.purchase.item.clone(), rp(5000));
        Some(Event::TryAgain { promise: Box::new(promise), key: Some(relay()) })
    }

    /// Somebody gives all that is left back in the dashboard, or a part.
    fn at_dashboard(&mut self, order: &Order, dice: &mut Dice) {
        let left = 5000 - self.by_hand - self.by_us;
        if !self.is_paid || left == 0 {
            return;
        }
        let sum = if dice.draw(2) == 0 { left } else { left.min(1000) };
        self.by_hand += sum;
        self.in_a_try |= self.by_hand == 5000 && order.tries.now.is_some() && order.delivery().is_none();
    }

    /// A person decides, on what the list says: with a proof, or without one.
    fn decides(&mut self, order: &Order, dice: &mut Dice) -> (Event, bool) {
        let (no_report, no_proof) = (dice.draw(3) == 0, dice.draw(8) == 0);
        match dice.draw(8) {
            0 => (Event::SettledByHand { note: "cash".into(), by: Some("Ani".into()), no_report }, true),
            1 => (Event::Given { by: "Ani".into() }, true),
            _ => {
                let wish = RefundWish { no_report, no_proof, ..RefundWish::of_a_person(Some("Ani".into())) };
                (Event::RefundRequested(wish), no_proof || order.delivery().is_none())
            }
        }
    }
}

#[test]
fn goods_or_money_whatever_copy_comes_back() {
    let rules = Rules { second_tries: 2, reversal_window: Span::secs(0), ..rules() };
    let mut states = BTreeMap::new();
    let mut seen = [0_u32; 4];
    for life in 0..LIVES {
        let mut dice = Dice(0xc0_b1e5 + life);
        let sale = Sale { relay_key: Some(relay()), ..order().sale };
        let (mut order, mut world) = (Order { sale, ..order() }, World::default());
        let (mut now, mut copy, mut was_restored) = (T0, None::<Order>, false);
        let mut trail = Vec::new();
        for step in 0..STEPS {
            now = now + Span::millis(i64::try_from(dice.draw(3)).expect("small") * dice.of(&[10, 10, 10, 10, 10, 5_000, 5_000, 400_000]));
            let with = Context { rules: &rules, paid_already: false };
            let event = match duty(&order, now) {
                Duty::Apply(event) => event,
                Duty::Call(call) if dice.draw(4) > 0 || step + 20 > STEPS => world.answers(call, &order, &mut dice),
                Duty::Call(_) | Duty::Wait => match dice.draw(if world.is_paid { 15 } else { 9 }) {
                    0..=2 => {
                        world.acts(life % 3 == 1, &mut dice);
                        continue;
                    }
                    4..=7 if !world.is_paid => {
                        world.is_paid = order.charge().is_some();
                        Event::Notified(Said::Settled)
                    }
                    3 | 4 | 13 => world.tells(&order, &mut dice),
                    5 | 6 | 14 => match world.asks_again(&order) {
                        Some(asked) => asked,
                        None => continue,
                    },
                    7 if (dice.draw(3) == 0 || order.tries.now.is_some()) && step + 20 < STEPS => {
                        world.at_dashboard(&order, &mut dice);
                        // Its notification may come later, or never.
                        continue;
                    }
                    7 => world.says(),
                    8 if world.is_paid => {
                        let (event, is_decided) = world.decides(&order, &mut dice);
                        let may = apply(order.clone(), event.clone(), now, &with).is_ok();
                        world.is_decided |= is_decided && may;
                        event
                    }
                    9 if order.may_refund_on_a_wish(now) => {
                        Event::RefundRequested(RefundWish { by: Asker::Automatic, no_report: false, no_proof: false })
                    }
                    10 if dice.draw(4) == 0 => Event::CancelRequested,
                    // In some lives nothing is lost.
                    8 | 11 if life % 3 > 0 && (copy.is_none() || dice.draw(4) == 0) => {
                        copy = Some(order.clone());
                        continue;
                    }
                    12 => {
                        let Some(copy) = copy.take() else { continue };
                        *states.entry(word(&copy)).or_insert(0) += 1;
                        trail.push(format!("{} the books come back from {}", (now - T0).0, word(&copy)));
                        (order, was_restored) = (copy.of_a_copy(now), true);
                        world.in_a_try = false;
                        continue;
                    }
                    _ => continue,
                },
            };
            trail.push(format!("{} {event:?}", (now - T0).0));
            order = match apply(order.clone(), event.clone(), now, &with) {
                Ok(after) => after,
                Err(Refused::OutcomeStands) => {
                    let Event::Delivered(told) = event else { panic!("another refusal") };
                    apply(order, Event::Contradicted { told, refund_on_its_way: false }, now, &with).expect("a fact")
                }
                Err(_) => order,
            };
            if order.receipt().is_some() {
                world.receipts.insert(order.number_of_try());
            }
            let said = |what: &str| format!("life {life}: {what}\n{}\n{world:#?}\n{order:#?}", trail.join("\n"));
            assert!(!world.came() || world.by_us == 0 || world.is_decided, "{}", said("goods and money"));
        }
        let is_both = world.in_a_try && !world.is_decided && world.came() && order.outcome() == Some(Delivery::Dispensed);
        let is_heard = matches!(order.state, State::Refunded(_));
        let said = || format!("life {life}: nobody is told of goods and money\n{}\n{order:#?}", trail.join("\n"));
        assert!(!is_both || !is_heard || !order.late.is_empty(), "{}", said());
        let lived = [was_restored, was_restored && world.came(), was_restored && world.by_us > 0, is_both && is_heard];
        seen.iter_mut().zip(lived).for_each(|(count, lived)| *count += u32::from(lived));
    }
    println!("{states:?} {seen:?}");
    assert!(seen.iter().all(|count| *count > 0), "restored, with goods, with money, and a try beside the dashboard: {seen:?}");
    for state in ["charging", "pending", "cancelling", "cancel", "settled", "refunded"] {
        assert!(states.contains_key(state), "no copy came back with an order that was {state}: {states:?}");
    }
}
