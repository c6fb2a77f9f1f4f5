//! Worlds that differ in nothing that is to come are merged. Each rule says why nothing is lost by this.
//!
//! One thing is *never* taken out: the order of two steps. Every interleaving is walked, with two exceptions. A line that is
//! to be driven is driven at once, if the relay cannot crash any more (see [`World::must_follow`]). A `Close` that is the only
//! message on its way to the relay arrives at once, if neither the message nor a program that asks or answers can be lost (see
//! [`World::must_close`]).

use super::message::Status as Money;
use super::relay::Kept;
use super::{
    ANY_IN_ALL, CHARGES, Caller, Lab, Message, MidtransCall, MidtransSay, NoticeWord, ORDERS, Program, RelayAsk, TICKETS, World,
    machine::Stage, order_of,
};
use qris_core::order::merchant::State;
use qris_core::wire::orders::Status;

/// A budget in one number: four bits for crashes in all, and three bits for each of the others. The highest bit of each field
/// is for the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packed(u64);

/// The highest bit of each field.
const GUARDS: u64 = {
    let mut guards = 0b1000;
    let mut at = 4;
    while at < 4 + 3 * FIELDS {
        guards |= 0b100 << at;
        at += 3;
    }
    guards
};
const FIELDS: usize = 17;

impl Packed {
    /// Can everything that may still happen with `other` happen with this one too? Steps only ask that something is left. So a
    /// world that was searched with more left need not be searched with less.
    pub(super) const fn covers(self, other: Self) -> bool {
        ((self.0 | GUARDS) - other.0) & GUARDS == GUARDS
    }
}

impl super::Budget {
    fn fields(&self) -> [u8; FIELDS] {
        let ([a, b, c], [d, e, f, g, h], [i, j]) = (self.crashes, self.faults, self.cancels);
        let Self { late_payments, denials, charge_denials, mismatches, jams, ledgers, refunds, .. } = *self;
        [a, b, c, d, e, f, g, h, i, j, late_payments, denials, charge_denials, mismatches, jams, ledgers, refunds]
    }

    pub(super) fn pack(&self) -> Packed {
        assert!(self.crashes_in_all < 8 && self.fields().iter().all(|field| *field < 4), "a scenario with more than fits");
        let fields = self.fields();
        let others = fields.iter().enumerate().map(|(at, field)| u64::from(*field) << (4 + 3 * at));
        Packed(u64::from(self.crashes_in_all) | others.sum::<u64>())
    }

    pub(super) fn unpack(packed: Packed) -> Self {
        let field = |at: usize| (packed.0 >> (4 + 3 * at) & 3) as u8;
        Self {
            crashes: [field(0), field(1), field(2)],
            crashes_in_all: (packed.0 & 7) as u8,
            faults: [field(3), field(4), field(5), field(6), field(7)],
            cancels: [field(8), field(9)],
            late_payments: field(10),
            denials: field(11),
            charge_denials: field(12),
            mismatches: field(13),
            jams: field(14),
            ledgers: field(15),
            refunds: field(16),
        }
    }

    /// The total that is left; a crash counts once.
    pub(super) fn sum(&self) -> usize {
        self.fields().iter().map(|field| usize::from(*field)).sum()
    }

    /// A budget that cannot be used any more becomes zero.
    fn settle(&mut self) {
        let crashes: u8 = self.crashes.iter().sum();
        if self.crashes_in_all != ANY_IN_ALL || crashes == 0 {
            self.crashes_in_all = self.crashes_in_all.min(crashes);
        }
        if self.crashes_in_all == 0 {
            self.crashes = [0; 3];
        }
        if self.crashes[Program::Relay as usize] == 0 {
            self.ledgers = 0;
        }
    }
}

impl World {
    /// Tells where one step is taken alone. It must not depend on any step that could come before it, no such step may depend
    /// on it, and no property may see the difference. This is true of a committed drive of the line, if the relay cannot crash
    /// any more. Ledger and tickets stay as they are, the line is busy before and after, and every caller gets the same
    /// answers.
    pub(super) fn must_follow(&self) -> bool {
        self.relay.is_begun() && self.cannot_crash(Program::Relay)
    }

    fn cannot_crash(&self, program: Program) -> bool {
        self.left.crashes_in_all == 0 || self.left.crashes[program as usize] == 0
    }

    /// The same for a `Close` that is the only message on its way to the relay, if the relay cannot crash and the message
    /// cannot be lost. A machine that asks for it asks for nothing else before it has the answer.
    pub(super) fn must_close(&self) -> Option<Message> {
        let safe = self.left.faults[super::Channel::Bus as usize] == 0
            && self.cannot_crash(Program::Relay)
            && self.cannot_crash(Program::Machine)
            && self.machine.owner == Some(self.relay.run);
        let mut asked = self.wire.iter().filter(|message| matches!(message, Message::Prepare { .. } | Message::ToRelay { .. }));
        match (safe, asked.next(), asked.next()) {
            (true, Some(close @ Message::ToRelay { ask: RelayAsk::Close(_), live: true, .. }), None) => Some(*close),
            _ => None,
        }
    }

    /// The one world that stands for all equivalent worlds.
    pub(super) fn canonical(&mut self, lab: &Lab) {
        self.left.settle();
        if lab.wild {
            self.goes_wild(lab);
            self.forget_the_hour(lab);
        }
        self.forget_dead_messages(lab);
        self.forget_tickets(lab);
        self.bury(lab);
        for charge in 0..u8::try_from(CHARGES).expect("few") {
            self.calm_charge(lab, charge);
        }
        self.rename_relay_runs(lab);
        let single = self.machine.is_alone() && !lab.wild;
        for order in 0..u8::try_from(ORDERS).expect("two") {
            if single && let Stage::Order(number) = self.machine.slots[usize::from(order)].stage {
                self.machine.slots[usize::from(order)].stage = Stage::Order(super::machine::stretched(lab, number));
            }
        }
        // The time since the relay's name got its owner counts only while somebody doubts that owner.
        if !(0..2).any(|order| self.wanted(lab, order).is_some_and(|wanted| wanted.doubtful)) {
            self.machine.forget_change();
        }
    }

    /// If only the relay knows a ticket, that ticket can open nothing any more: a receipt has its order's own ticket.
    fn forget_tickets(&mut self, lab: &Lab) {
        for number in 0..u8::try_from(TICKETS).expect("few") {
            if !self.names_ticket(lab, number) {
                self.relay.tickets[usize::from(number)] = Kept::Unknown;
            }
        }
    }

    /// A charge that another attempt replaced, and that nobody can pay: nobody saw its QR, or can come to see it. Its fate at
    /// backend and Midtrans moves no money. For the machine it is cancelled.
    fn bury(&mut self, lab: &Lab) {
        for charge in 0..u8::try_from(CHARGES).expect("few") {
            let at = usize::from(charge);
            let Some(number) = self.backend.orders[at] else { continue };
            let gone = match self.midtrans.charges[at] {
                Money::Cancelled | Money::Expired | Money::Denied => self.left.late_payments == 0,
                Money::None | Money::Pending | Money::Settled | Money::SettledOtherwise | Money::Refunded => false,
            };
            let unpayable = gone || !self.midtrans.seen[at];
            if !unpayable || !self.is_replaced(charge) || self.backend.cancels[at] || self.may_draw(lab, charge) {
                continue;
            }
            self.backend.orders[at] = Some(super::backend::buried(lab, number));
            self.backend.forget_call(charge);
            self.midtrans.charges[at] = Money::None;
            self.midtrans.seen[at] = false;
            self.wire.retain(|message| match *message {
                Message::ToMidtrans { charge: of, .. }
                | Message::FromMidtrans { charge: of, .. }
                | Message::Notify { charge: of, .. }
                | Message::Push { charge: of, .. } => of != charge,
                _ => true,
            });
        }
    }

    /// Did another attempt at the same order follow?
    pub(super) fn is_replaced(&self, charge: u8) -> bool {
        let next = usize::from(charge) + 1;
        next < CHARGES && order_of(charge + 1) == order_of(charge) && self.backend.orders[next].is_some()
    }

    /// Does the machine have the QR of a charge, or is it being told the QR? It draws no QR of a charge that has ended. In a
    /// wild network it is told of those at any time.
    fn may_draw(&self, lab: &Lab, charge: u8) -> bool {
        let told = |number: u32| {
            let resources = lab.resources.borrow();
            let resource = resources.get(number);
            let offers = resource.status == Status::Pending || !lab.wild;
            super::charge_of(&resource.order_id) == charge && resource.qr_payload.is_some() && offers
        };
        self.machine.may_draw(lab, charge)
            || self.wire.iter().any(|message| match *message {
                Message::Answer { say: super::HttpSay::Order(number), .. } => told(number),
                Message::Open { orders, .. } => orders.into_iter().flatten().any(told),
                _ => false,
            })
    }

    /// Messages that change nothing, now or later: their contents are known for good.
    fn forget_dead_messages(&mut self, lab: &Lab) {
        let machine = [0, 1].map(|order| self.wanted(lab, order));
        let of = |charge: u8| machine[usize::from(order_of(charge))];
        let orders: [_; CHARGES] = std::array::from_fn(|charge| self.merchant(lab, u8::try_from(charge).expect("few")));
        let paid = |charge: u8| {
            orders[usize::from(charge)].as_ref().is_some_and(|order| match order.state {
                State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => true,
                State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. } | State::Held { .. } | State::Closed { .. } => {
                    false
                }
            })
        };
        let held = [0, 1].map(|order| self.ticket_of(lab, order));
        let wire = std::mem::take(&mut self.wire);
        let lives = |message: &Message| match *message {
            // The machine holds the ledger's word, and keeps it.
            Message::Finished { charge, .. } => !of(charge).is_some_and(|wanted| wanted.decided),
            Message::FromRelay { order, live: false, .. } => !machine[usize::from(order)].is_some_and(|wanted| wanted.decided),
            // The ticket belongs to no order.
            Message::ToRelay { ask: RelayAsk::Close(number), live: false, .. } => held.contains(&Some(number)),
            // It has a receipt, or has ended the order without one.
            Message::Push { charge, receipt: true, .. } => !of(charge).is_some_and(|wanted| wanted.paid),
            // A hint makes the machine ask about the charge that it knows, and the answer helps only a charge that is still
            // open. After its first state the machine never learns of another charge, except from a receipt. In a wild network
            // no hint is remembered. So a hint must be able to come when there is time to follow it.
            Message::Push { charge, receipt: false, .. } => !of(charge).is_some_and(|wanted| {
                wanted.paid && !lab.wild || wanted.ended || !wanted.asked && self.known_charge(lab, order_of(charge)) != Some(charge)
            }),
            // A paid charge stays paid, whatever else is told of it. Only the message that the money went back changes it.
            Message::Notify { charge, said: NoticeWord::Settled | NoticeWord::Ended, .. } => !paid(charge),
            Message::Notify { said: NoticeWord::Refunded, .. }
            | Message::Vend(_)
            | Message::Prepare { .. }
            | Message::Prepared { .. }
            | Message::ToRelay { .. }
            | Message::FromRelay { .. }
            | Message::Post { .. }
            | Message::Answer { .. }
            | Message::AskOpen { .. }
            | Message::Open { .. }
            | Message::ToMidtrans { .. }
            | Message::FromMidtrans { .. } => true,
        };
        self.wire = wire.into_iter().filter(lives).collect();
    }

    /// If Midtrans can tell nothing new about a charge, no question about it is needed, and its times are not kept.
    fn calm_charge(&mut self, lab: &Lab, charge: u8) {
        let at = usize::from(charge);
        let money = self.midtrans.charges[at];
        let (gone, refundable) = match money {
            Money::None | Money::Cancelled | Money::Expired | Money::Denied => (true, false),
            Money::Pending => (false, false),
            Money::Settled => (false, self.left.refunds > 0),
            Money::SettledOtherwise => (false, false),
            Money::Refunded => (false, true),
        };
        let payable = match money {
            Money::Pending => true,
            Money::None | Money::Cancelled | Money::Expired | Money::Denied => self.left.late_payments > 0,
            Money::Settled | Money::SettledOtherwise | Money::Refunded => false,
        };
        // It counts whether anybody saw the QR only if somebody may pay.
        if !payable && money != Money::None {
            self.midtrans.seen[at] = true;
        }
        let Some(number) = self.backend.orders[at] else { return };
        let nobody = !self.midtrans.seen[at] && self.is_past_showing(lab, charge);
        let dead = gone && !self.may_be_charged(charge) && (self.left.late_payments == 0 || nobody);
        if lab.wild && dead && matches!(lab.merchant.borrow().get(number).state, State::Closed { .. }) {
            self.ask_in_vain(charge);
        }
        if self.is_asked_about(lab, charge) {
            return;
        }
        let replaced = self.is_replaced(charge);
        let after = super::backend::calmed(lab, number, dead, !refundable, replaced);
        self.backend.orders[at] = Some(after);
        if dead && matches!(lab.merchant.borrow().get(after).state, State::Closed { .. }) {
            self.wire.retain(|message| !matches!(message, Message::Notify { charge: of, said: NoticeWord::Ended, .. } if *of == charge));
        }
    }

    /// A question whose answer can tell nothing new is as good as answered.
    fn ask_in_vain(&mut self, charge: u8) {
        let old = Message::FromMidtrans { charge, call: MidtransCall::Status, say: MidtransSay::Is(Money::Pending), live: true };
        let status = Message::ToMidtrans { charge, call: MidtransCall::Status, live: true };
        if self.wire.contains(&status) && !self.wire.contains(&old) {
            self.backend.forget_call(charge);
            self.hang_up(Caller::Midtrans(charge));
        }
    }

    /// Does a question on its way to Midtrans create a charge where there is none?
    fn may_be_charged(&self, charge: u8) -> bool {
        let charges =
            |message: &Message| matches!(*message, Message::ToMidtrans { charge: of, call: MidtransCall::Charge, .. } if of == charge);
        self.midtrans.charges[usize::from(charge)] == Money::None && self.wire.iter().any(charges)
    }

    /// Is Midtrans being asked about a charge, or is a question to it still on the way? In a wild network there are always
    /// some questions whose answers nobody waits for. They change nothing.
    fn is_asked_about(&self, lab: &Lab, charge: u8) -> bool {
        let asks = |message: &Message| match *message {
            Message::ToMidtrans { charge: of, .. } | Message::FromMidtrans { charge: of, .. } => of == charge,
            _ => false,
        };
        self.backend.is_asking(charge) || self.may_be_charged(charge) || !lab.wild && self.wire.iter().any(asks)
    }

    /// Will the machine never again draw the QR of a charge that is closed at the backend?
    fn is_past_showing(&self, lab: &Lab, charge: u8) -> bool {
        if lab.wild {
            return !self.may_draw(lab, charge);
        }
        let order = order_of(charge);
        let on_its_way = self.wire.iter().any(|message| match *message {
            Message::Answer { order: of, .. } => of == order,
            Message::Open { .. } => true,
            _ => false,
        });
        let known = self.known_charge(lab, order) == Some(charge);
        self.wanted(lab, order).is_some_and(|wanted| wanted.ended || !(known || wanted.asked && on_its_way))
    }

    /// Runs of the relay differ by their number and by nothing else.
    fn rename_relay_runs(&mut self, lab: &Lab) {
        if self.relay.run == 1 {
            return;
        }
        let mut named = vec![self.relay.run];
        named.extend(self.machine.owner);
        for order in 0..u8::try_from(ORDERS).expect("two") {
            let slot = &self.machine.slots[usize::from(order)];
            named.extend(match slot.stage {
                Stage::Candidate(owner) => Some(owner),
                Stage::Order(number) => super::machine::checked(lab, number),
                Stage::Nothing | Stage::Asked | Stage::Refused => None,
            });
            named.extend(slot.checks());
        }
        named.extend(self.wire.iter().filter_map(|message| match message {
            Message::ToRelay { ask: RelayAsk::Check(owner), .. } | Message::FromRelay { ask: RelayAsk::Check(owner), .. } => Some(*owner),
            _ => None,
        }));
        named.sort_unstable();
        named.dedup();
        let renamed = |old: u8| named.iter().position(|name| *name == old).map_or(old, |at| u8::try_from(at + 1).expect("few"));
        if named.iter().all(|name| renamed(*name) == *name) {
            return;
        }
        self.relay.run = renamed(self.relay.run);
        self.machine.owner = self.machine.owner.map(renamed);
        for order in 0..ORDERS {
            let slot = &mut self.machine.slots[order];
            slot.stage = match slot.stage {
                Stage::Candidate(owner) => Stage::Candidate(renamed(owner)),
                Stage::Order(number) => match super::machine::checked(lab, number) {
                    Some(owner) => Stage::Order(super::machine::checked_by(lab, number, renamed(owner))),
                    None => Stage::Order(number),
                },
                stage @ (Stage::Nothing | Stage::Asked | Stage::Refused) => stage,
            };
            slot.rename_checks(renamed);
        }
        for message in &mut self.wire {
            if let Message::ToRelay { ask: RelayAsk::Check(owner), .. } | Message::FromRelay { ask: RelayAsk::Check(owner), .. } = message {
                *owner = renamed(*owner);
            }
        }
        self.wire.sort_unstable();
    }
}
