//! Random lives. In whatever order the events come, some things never happen.

use super::*;
use crate::order::ledger::Again;
use crate::order::merchant::outside::{Dice, relay};
use crate::order::promise::Promise;
use crate::order::tries::TryNumber;

/// The number of lives. Each prints its seed when it goes wrong.
const LIVES: u64 = 1000;
const STEPS: usize = 60;

const SAID: [Said; 11] = [
    Said::Pending,
    Said::Settled,
    Said::Settled,
    Said::Suspect,
    Said::Expired,
    Said::Cancelled,
    Said::Denied,
    Said::Refunded,
    Said::PartlyRefunded,
    Said::ChargedBack,
    Said::Other,
];
const TOLD: [Delivery; 4] = [Delivery::Dispensed, Delivery::Failed, Delivery::Uncertain, Delivery::Undelivered];

/// The gateway's side of a refund: it gives the money back once, and says so.
#[derive(Default)]
struct Bank {
    refunds: u32,
}

impl Bank {
    /// The answer to a call. It may be lost, and the refund may have been made all the same.
    fn refund(&mut self, dice: &mut Dice) -> RefundAnswer {
        match dice.draw(6) {
            0 => RefundAnswer::Passing("no route".into()),
            1 if dice.draw(2) == 0 => RefundAnswer::KeyUsed("406".into()),
            1 => RefundAnswer::Refused("POS refunds not allowed".into()),
            2 => RefundAnswer::Unsure("cut before".into()),
            3 if self.refunds == 0 => {
                self.refunds += 1;
                RefundAnswer::Unsure("cut after".into())
            }
            _ if self.refunds > 0 => RefundAnswer::Refused("406".into()),
            _ => {
                self.refunds += 1;
                approved()
            }
        }
    }
}

/// The machine asks for the next try, or for another one than that.
fn asks_again(dice: &mut Dice, order: &Order) -> Event {
    let number = order.number_of_try();
    let number = if dice.draw(8) == 0 { number } else { number.next().unwrap_or(number) };
    let again = Again { order: order.id.clone(), number: number.max(TryNumber::FIRST.next().expect("2")), after: order.goods().ticket };
    let ticket = Ticket::from_random([u8::try_from(100 + dice.draw(100)).expect("small"); 16]);
    let promise =
        Promise::of(order.sale.device.clone(), ticket, again, order.sale.purchase.item.clone(), rp(dice.of(&[3000, 5000, 5000, 6000])));
    Event::TryAgain { promise: Box::new(promise), key: Some(relay()) }
}

fn outside(dice: &mut Dice, honest: bool, order: &Order) -> Event {
    let told = DeliveryReport::proven(dice.of(&TOLD));
    let number = order.number_of_try();
    // Now and then a word on an earlier try, or on one that the books do not know.
    let nth_try = dice.of(&[number, number, number, number, number, TryNumber::FIRST, number.next().unwrap_or(number)]);
    let told = DeliveryReport { nth_try, ..told };
    let by = || "Ani".into();
    match dice.draw(17) {
        14 | 15 => asks_again(dice, order),
        16 if dice.draw(4) == 0 => Event::TryOfferEnds,
        0 => Event::Notified(dice.of(&SAID)),
        2 if dice.draw(2) == 0 => Event::StatusUnclear("an alien".into()),
        1 if !honest => Event::Status(StatusReport { gross_amount: Some(rp(1)), ..report(Said::Settled) }),
        2 => Event::StatusUnanswered,
        3 => Event::StatusUnknown,
        4 => Event::CancelRequested,
        5 => Event::CancelUnanswered,
        6 => Event::Restarted,
        7 | 8 => Event::Delivered(told),
        9 => Event::RefundRequested(RefundWish { no_report: dice.draw(2) == 0, ..RefundWish::of_a_person(None) }),
        10 => Event::SettledByHand { note: "cash".into(), by: None, no_report: dice.draw(2) == 0, goods_and_money: false },
        11 => Event::Given { by: by(), goods_and_money: false, from_slot: false },
        12 => Event::SeenBy(by()),
        _ => Event::Abandoned,
    }
}

#[test]
fn nothing_is_given_twice_and_nothing_is_delivered_that_went_back() {
    let seed = 20_261_120;
    for life in 0..LIVES {
        let mut dice = Dice(seed + life);
        let payment = dice.of(&[Payment::Gopay, Payment::Alfamart, Payment::Indomaret]);
        let rules = Rules { second_tries: u32::try_from(life % 3).expect("small"), ..rules() };
        let sale = Sale { relay_key: Some(relay()), ..order().sale.paid_by(payment) };
        let mut order = Order { sale, ..order() };
        let mut bank = Bank::default();
        let mut now = T0;
        let mut settled_seen = false;
        let mut trail = Vec::new();
        for _ in 0..STEPS {
            now = now + Span::millis(i64::try_from(dice.draw(3)).expect("small") * dice.of(&[10, 5_000, 400_000, 4_000_000]));
            let with = Context { rules: &rules, paid_already: false };
            let event = match duty(&order, Told::trusted(now)) {
                Duty::Apply(event) => event,
                Duty::Call(call) if dice.draw(3) > 0 => match call {
                    Call::Charge => dice.of(&[
                        Event::Charged(charge(5000)),
                        Event::NotCharged(NoCharge::Unsure("cut".into())),
                        Event::NotCharged(NoCharge::NotMade { again: true, why: "900".into() }),
                    ]),
                    Call::Cancel => dice.of(&[Event::CancelDone(report(Said::Cancelled)), Event::CancelRefused, Event::CancelUnknown]),
                    // After a refund of ours, the gateway says so. Before that it says anything, except that it made
                    // such a refund.
                    Call::GetStatus if bank.refunds > 0 => dice.of(&[status(Said::Refunded), Event::StatusUnanswered]),
                    Call::GetStatus => {
                        let said = dice.of(&SAID);
                        settled_seen |= said == Said::Settled;
                        Event::Status(StatusReport { refund_within: Some(Span::secs(7 * 86_400)), ..report(said) })
                    }
                    Call::Refund => Event::RefundAnswered(bank.refund(&mut dice)),
                },
                Duty::Call(_) | Duty::Wait => outside(&mut dice, life % 2 == 0, &order),
            };
            let before = order.clone();
            trail.push(format!("{} {event:?}", (now - T0).0));
            let said = |what: &str, order: &Order| format!("seed {}: {what}\n{}\n{order:#?}", seed + life, trail.join("\n"));
            match apply(order.clone(), event.clone(), Told::trusted(now), &with) {
                Ok(after) => order = after,
                Err(Refused::OutcomeStands) => {
                    let Event::Delivered(told) = event.clone() else { panic!("{}", said("another refusal", &order)) };
                    let event = Event::Contradicted { told, refund_on_its_way: false };
                    order = apply(order.clone(), event, Told::trusted(now), &with).expect("a fact");
                }
                Err(_) => assert_eq!(order, before),
            }
            check(&before, &order, &event, settled_seen, now).unwrap_or_else(|what| panic!("{}", said(what, &order)));
        }
    }
}

fn check(before: &Order, after: &Order, event: &Event, settled_seen: bool, now: Wall) -> Result<(), &'static str> {
    let paid = |order: &Order| matches!(order.state, State::Settled(_) | State::Void(_) | State::Withheld(_) | State::Refunded(_));
    if paid(before) && !paid(after) {
        return Err("what is paid stays paid");
    }
    if matches!(after.state, State::Void(_)) && after.delivery().is_some() {
        return Err("void, and its machine told what became of it");
    }
    if matches!(before.state, State::Void(_)) && after.is_open() {
        return Err("what the counter took back is offered again");
    }
    if after.receipt().is_some() && !settled_seen {
        return Err("a receipt without a settlement");
    }
    let tried = |order: &Order| order.number_of_try();
    if before.receipt().is_some() && before.receipt() != after.receipt() && tried(after) == tried(before) {
        return Err("a receipt stays as it is");
    }
    if tried(after) != tried(before) {
        let nothing_came = before.is_proven() && matches!(before.outcome(), Some(Delivery::Undelivered | Delivery::Failed));
        let is_clear = before.repayment().is_none() && before.taken_back.is_none() && !before.has_conflict() && before.late.is_empty();
        if Some(tried(after)) != tried(before).next() || !nothing_came || !is_clear || !before.is_settled_lately(Told::trusted(now)) {
            return Err("another try without a proof that nothing came, or beside the money");
        }
        if after.tries.ended.len() != before.tries.ended.len() + 1 || after.delivery().is_some() {
            return Err("a try that is forgotten, or begins with an end");
        }
    }
    if after.tries.ended[..before.tries.ended.len()] != before.tries.ended[..] {
        return Err("what ended a try stays");
    }
    if after.receipt().is_some() && before.receipt().is_none() && after.sale.purchase.payment == Payment::Indomaret {
        let State::Held(Held { until, .. }) = &before.state else { return Err("an Indomaret's receipt without its window") };
        if now < *until {
            return Err("an Indomaret's receipt within its window");
        }
    }
    if before.ended_by().is_some() && before.receipt().is_none() && after.receipt().is_some() {
        return Err("a receipt for what a person has ended");
    }
    let settled_by_a_person = |order: &Order| matches!(order.repayment(), Some(Repayment::ByHand { .. } | Repayment::Given { .. }));
    if settled_by_a_person(before) && before.repayment() != after.repayment() {
        return Err("what a person settled stays settled");
    }
    if settled_by_a_person(after) && matches!(duty(after, Told::trusted(now + Span::secs(86_400))), Duty::Call(Call::Refund)) {
        return Err("a refund of what a person settled");
    }
    let begun = |order: &Order| order.repayment().is_some();
    let dispensed = |order: &Order| order.outcome() == Some(Delivery::Dispensed);
    let held_back = matches!(before.state, State::Withheld(_));
    if !begun(before) && begun(after) && dispensed(before) && !before.has_conflict() && !held_back && !matches!(event, Event::Status(_)) {
        return Err("a refund or a gift of what was delivered");
    }
    let no_report = matches!(
        event,
        Event::RefundRequested(RefundWish { no_report: true, .. }) | Event::SettledByHand { no_report: true, .. } | Event::Given { .. }
    );
    let silent = matches!(before.state, State::Settled(_)) && before.delivery().is_none();
    if !begun(before) && begun(after) && silent && !matches!(event, Event::Status(_)) {
        let signed = before.receipt_at().ok_or("a settled order has a receipt")?;
        if !no_report || now < signed + NO_REPORT_AFTER || before.unreported_at().is_none() {
            return Err("a refund of what the machine may still deliver");
        }
    }
    Ok(())
}
