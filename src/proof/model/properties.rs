//! The properties: some must hold in every world, others in worlds where nothing more happens by itself.

use super::message::Status as Money;
use super::relay::{Kept, Written};
use super::{ATTEMPTS, CHARGES, Ended, HttpAsk, Lab, Message, ORDERS, World, machine::Stage, order_of};
use qris_core::order::merchant::{State, Withheld};
use qris_core::order::outcome::Delivery;

/// A property that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The line was driven twice for one request.
    SecondPulse,
    /// The line was driven for a charge that was not settled.
    PulseWithoutSettlement,
    /// The money is to go back, and the item was handed out.
    RefundAndItem,
    /// The line was driven for an order that the backend may have been refunding by then.
    PulseAfterRefund,
    /// A QR is shown, and its ticket could not be used.
    QrThatCannotBeDelivered,
    /// Money came, and the backend does not know the outcome.
    MoneyForgotten,
    /// Midtrans gave the money back, and the backend does not know.
    RefundForgotten,
    /// The backend was told something else than the ledger says.
    ReportAgainstLedger,
    /// The machine still waits for an event that will never come.
    MachineNotFinished,
    /// A settled outcome was not final.
    Unsettled,
    /// A world of another search is missing here.
    NotAmong,
    /// From here no way leads to an end without help.
    NeverEnds,
}

fn charges() -> impl Iterator<Item = u8> {
    0..u8::try_from(CHARGES).expect("few")
}

/// The properties that must always hold.
pub(super) fn broken(world: &World, lab: &Lab) -> Option<Broken> {
    if world.stolen {
        return Some(Broken::PulseWithoutSettlement);
    }
    for order in 0..ORDERS {
        let pulses: u8 = world.pulses[order * ATTEMPTS..(order + 1) * ATTEMPTS].iter().sum();
        if pulses > 1 {
            return Some(Broken::SecondPulse);
        }
    }
    for charge in charges() {
        let Some(order) = world.merchant(lab, charge) else { continue };
        // A person may decide to give money back in two cases: nobody knows the outcome, or two reports contradict each
        // other.
        let is_known = match order.delivery.as_ref().map(|told| told.outcome) {
            Some(Delivery::Failed | Delivery::Uncertain | Delivery::Other(_)) => true,
            Some(Delivery::Dispensed) => order.conflict,
            Some(Delivery::Undelivered) | None => false,
        };
        let goes_back = order.is_refund_due() || world.is_refundable(lab, charge);
        if goes_back && world.pulses[usize::from(charge)] > 0 && !is_known {
            return Some(Broken::RefundAndItem);
        }
    }
    for order in 0..2 {
        if let Some((charge, ticket, vouched)) = world.wanted(lab, order).and_then(|wanted| wanted.drawn)
            && world.machine.owner == Some(vouched)
            && world.relay.run == vouched
            && !world.relay.will_deliver(ticket)
            && !is_driven(world, ticket, charge)
        {
            return Some(Broken::QrThatCannotBeDelivered);
        }
    }
    None
}

/// The charges for which the backend may have begun a refund by now, if a merchant wants it.
pub(super) fn refundable(world: &World, lab: &Lab) -> [bool; CHARGES] {
    let mut all = [false; CHARGES];
    for charge in charges() {
        all[usize::from(charge)] = world.is_refundable(lab, charge);
    }
    all
}

/// The properties from one world to the next: nothing is handed out for a charge that was `refundable` before. Together with
/// the others this means that the backend never refunds an order that is handed out.
pub(super) fn broken_by_step(refundable: &[bool; CHARGES], before: &World, after: &World) -> Option<Broken> {
    let is_driven = |charge: usize| after.pulses[charge] > before.pulses[charge];
    (0..CHARGES).any(|charge| refundable[charge] && is_driven(charge)).then_some(Broken::PulseAfterRefund)
}

/// The QR stays for one moment: its own payment is being delivered, by a receipt that reached the relay first.
fn is_driven(world: &World, ticket: u8, charge: u8) -> bool {
    world.relay.tickets[usize::from(ticket)] == Kept::Used(charge)
}

/// Is everything decided about the money of every request, whatever comes? Either no money came and none can come. Or the
/// backend has an outcome for it that the ledger will never contradict. Only calls that end are left.
pub(super) fn is_settled(world: &World, lab: &Lab) -> bool {
    (0..2_u8).all(|order| is_order_settled(world, lab, order))
}

fn is_order_settled(world: &World, lab: &Lab, order: u8) -> bool {
    let waits = world.wire.iter().any(|message| matches!(message, Message::Vend(of) if *of == order));
    let over = match world.machine.slots[usize::from(order)].stage {
        Stage::Nothing => return true,
        Stage::Refused => true,
        Stage::Order(_) => world.wanted(lab, order).is_some_and(|wanted| wanted.ended && (wanted.decided || !wanted.paid)),
        Stage::Asked | Stage::Candidate(_) => false,
    };
    // A ledger that may be lost decides nothing. Money that may go back is not settled.
    let sure = world.left.ledgers == 0 && world.left.refunds == 0 && !world.relay.reset;
    let attempts = u8::try_from(ATTEMPTS).expect("few");
    over && sure && !waits && (order * attempts..(order + 1) * attempts).all(|charge| is_charge_settled(world, lab, charge))
}

fn is_charge_settled(world: &World, lab: &Lab, charge: u8) -> bool {
    let at = usize::from(charge);
    match world.midtrans.charges[at] {
        Money::Cancelled | Money::Expired | Money::Denied => world.left.late_payments == 0 || !world.midtrans.seen[at],
        Money::None | Money::Pending => !world.midtrans.seen[at],
        Money::SettledOtherwise | Money::Refunded => false,
        Money::Settled => {
            let Some(order) = world.merchant(lab, charge) else { return false };
            let (Some(told), Some(receipt)) = (&order.delivery, order.receipt()) else { return false };
            let kept = world.relay.tickets[usize::from(super::ticket_number(&receipt.claims().ticket))];
            let is_told = world.wanted(lab, order_of(charge)).is_some_and(|wanted| wanted.decided);
            let same = |word: &super::Word| *word == super::Word::from(told.outcome);
            let words = world.wire.iter().all(|message| match message {
                Message::Post { ask: HttpAsk::Tell(of, word), .. } if *of == charge => same(word),
                _ => true,
            });
            let ledger = match (kept, world.relay.entries[at]) {
                (Kept::Used(of), Some(Written::Ended(ended))) => of == charge && same(&word(ended)),
                (Kept::Closed, None) => told.outcome == Delivery::Undelivered && world.pulses[at] == 0,
                _ => false,
            };
            is_told && words && ledger && !order.conflict
        }
    }
}

/// Does another charge of the same order have the receipt?
fn is_paid_twice(world: &World, lab: &Lab, charge: u8) -> bool {
    charges().any(|other| {
        let same = other != charge && order_of(other) == order_of(charge);
        same && world.merchant(lab, other).is_some_and(|order| order.receipt().is_some())
    })
}

/// The properties of worlds where nothing more happens by itself.
pub(super) fn broken_at_end(world: &World, lab: &Lab) -> Option<Broken> {
    for order in 0..2 {
        if world.wanted(lab, order).is_some_and(|wanted| wanted.unfinished || wanted.holds) {
            return Some(Broken::MachineNotFinished);
        }
        if matches!(world.machine.slots[usize::from(order)].stage, Stage::Asked | Stage::Candidate(_)) {
            return Some(Broken::MachineNotFinished);
        }
    }
    for charge in charges() {
        let at = usize::from(charge);
        let (order, money) = (world.merchant(lab, charge), world.midtrans.charges[at]);
        match (&order, money) {
            (Some(order), Money::Settled) => match &order.state {
                State::Settled { .. } => {
                    let Some(told) = &order.delivery else { return Some(Broken::MoneyForgotten) };
                    let right = match (world.relay.entries[at], told.outcome) {
                        // "Dispensed" always means that a line was driven.
                        (Some(Written::Ended(Ended::Dispensed)), _) if world.pulses[at] == 0 => false,
                        (Some(Written::Ended(ended)), outcome) => super::Word::from(outcome) == word(ended),
                        (Some(Written::Driving), _) => false,
                        (None, Delivery::Undelivered) => world.pulses[at] == 0,
                        // The ledger that had the fact is lost.
                        (None, Delivery::Uncertain | Delivery::Other(_)) => world.relay.reset,
                        (None, Delivery::Dispensed | Delivery::Failed) => world.relay.reset && world.pulses[at] > 0,
                    };
                    // An order has two different reports only if the ledger that had the fact is lost.
                    let is_known = order.conflict && world.relay.reset;
                    if order.conflict != is_known || !(right || is_known) {
                        return Some(Broken::ReportAgainstLedger);
                    }
                }
                // A payment that matches its charge is withheld for one reason only, and Midtrans has not given it back.
                State::Withheld { why: Withheld::PaidTwice, .. } if world.pulses[at] == 0 && is_paid_twice(world, lab, charge) => {}
                _ => return Some(Broken::MoneyForgotten),
            },
            (Some(order), Money::Refunded) if !matches!(order.state, State::Refunded { .. }) => return Some(Broken::RefundForgotten),
            (Some(order), Money::SettledOtherwise) if !matches!(order.state, State::Withheld { why: Withheld::Mismatch, .. }) => {
                return Some(Broken::MoneyForgotten);
            }
            (None, Money::Settled | Money::SettledOtherwise | Money::Refunded) => return Some(Broken::MoneyForgotten),
            (Some(_) | None, _) => {}
        }
    }
    None
}

fn word(ended: Ended) -> super::Word {
    match ended {
        Ended::Dispensed => super::Word::Dispensed,
        Ended::Failed => super::Word::Failed,
        Ended::Uncertain => super::Word::Uncertain,
    }
}

/// Counts the kind of this end.
pub(super) fn count(world: &World, lab: &Lab) {
    let mut counts = lab.seen.borrow_mut();
    counts.ends += 1;
    let mut paid = false;
    // It is known whether a payment was late only if there was one payment.
    let settled = world.midtrans.charges.iter().filter(|charge| charge.was_paid()).count();
    let is_late = settled == 1 && world.left.late_payments < lab.late_payments;
    for charge in charges() {
        let Some(order) = world.merchant(lab, charge) else { continue };
        let outcome = order.delivery.as_ref().map(|told| told.outcome);
        let withheld = match &order.state {
            State::Withheld { why, .. } => Some(*why),
            _ => None,
        };
        paid |= matches!(order.state, State::Settled { .. }) || withheld.is_some();
        counts.sales += usize::from(outcome == Some(Delivery::Dispensed));
        counts.late_sales += usize::from(outcome == Some(Delivery::Dispensed) && is_late);
        counts.refunds_due += usize::from(order.is_refund_due());
        counts.uncertain += usize::from(outcome == Some(Delivery::Uncertain));
        counts.failed += usize::from(outcome == Some(Delivery::Failed));
        counts.mismatches += usize::from(withheld == Some(Withheld::Mismatch));
        counts.paid_twice += usize::from(withheld == Some(Withheld::PaidTwice));
        counts.second_attempts += usize::from(order.attempt > 1);
        counts.refunded += usize::from(matches!(order.state, State::Refunded { .. }));
        counts.conflicts += usize::from(order.conflict);
    }
    counts.unpaid += usize::from(!paid);
}

/// The outcome, for people and to compare two searches.
pub(super) fn outcome(world: &World, lab: &Lab) -> String {
    let mut text = String::new();
    for order in 0..ORDERS {
        match world.machine.slots[order].stage {
            Stage::Nothing => {}
            Stage::Order(number) => text += &format!("machine {:?} ", lab.machine.borrow().get(number).name()),
            other => text += &format!("machine {other:?} "),
        }
    }
    for charge in charges() {
        let at = usize::from(charge);
        if !world.midtrans.charges[at].was_paid() && world.is_replaced(charge) {
            continue;
        }
        if let Some(order) = world.merchant(lab, charge) {
            let (status, refund) = (qris_backend::view::status(&order), qris_backend::view::refund(&order));
            let outcome = order.delivery.as_ref().map(|told| told.outcome);
            text += &format!("| {} {status:?} {refund:?} {outcome:?} {}", order.id, if order.conflict { "conflict " } else { "" });
            text += &format!("Midtrans {:?} pulses {} ledger {:?} ", world.midtrans.charges[at], world.pulses[at], world.relay.entries[at]);
        }
    }
    text
}

/// A world in one line, for people.
pub(super) fn told(world: &World, lab: &Lab) -> String {
    let mut text = String::new();
    for order in 0..ORDERS {
        match world.machine.slots[order].stage {
            Stage::Nothing => {}
            Stage::Order(number) => {
                let order = lab.machine.borrow().get(number);
                text += &format!("machine {:?} ", order.state);
            }
            other => text += &format!("machine {other:?} "),
        }
    }
    for charge in charges() {
        if let Some(order) = world.merchant(lab, charge) {
            let money = world.midtrans.charges[usize::from(charge)];
            text += &format!(
                "| {} {:?} ask {:?} told {:?} Midtrans {money:?} ",
                order.id,
                order.state,
                order.ask.at,
                order.delivery.as_ref().map(|t| t.outcome)
            );
        }
    }
    text
}
