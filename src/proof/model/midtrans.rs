//! Midtrans and the customer in the model: the possible states of a charge.

use super::message::Status;
use super::{CHARGES, Message, MidtransCall, MidtransSay, NoticeWord, World, spend};

/// All charges by their number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Midtrans {
    pub(super) charges: [Status; CHARGES],
    /// The customer has seen the QR, and may keep a photo.
    pub(super) seen: [bool; CHARGES],
}

impl Midtrans {
    pub(super) fn new() -> Self {
        Self { charges: [Status::None; CHARGES], seen: [false; CHARGES] }
    }

    pub(super) fn was_settled(&self, charge: u8) -> bool {
        matches!(self.charges[usize::from(charge)], Status::Settled | Status::Refunded)
    }
}

impl World {
    /// A call of the backend.
    pub(super) fn midtrans_takes(&self, message: Message) -> Vec<World> {
        let Message::ToMidtrans { charge, call, live } = message else { return Vec::new() };
        let is = self.midtrans.charges[usize::from(charge)];
        let mut first = self.clone();
        first.take(message);
        let mut all = Vec::new();
        let mut done = |mut world: World, say: MidtransSay| {
            if live {
                world.send(Message::FromMidtrans { charge, call, say, live });
            }
            all.push(world);
        };
        match (call, is) {
            (MidtransCall::Charge, Status::None) => {
                let mut made = first.clone();
                made.midtrans.charges[usize::from(charge)] = Status::Pending;
                done(made, MidtransSay::Charged);
                if first.left.charge_denials > 0 {
                    let mut denied = first;
                    spend(&mut denied.left.charge_denials);
                    done(denied, MidtransSay::DeniedCharge);
                }
            }
            // The same Idempotency-Key gets the same answer.
            (MidtransCall::Charge, _) => done(first, MidtransSay::Charged),
            (MidtransCall::Status, Status::None) => done(first, MidtransSay::NotFound),
            (MidtransCall::Status, status) => done(first, MidtransSay::Is(status)),
            (MidtransCall::Cancel, Status::None) => done(first, MidtransSay::NotFound),
            (MidtransCall::Cancel, Status::Pending) => {
                first.midtrans.charges[usize::from(charge)] = Status::Cancelled;
                first.send(Message::Notify { charge, said: NoticeWord::Ended, live: false });
                done(first, MidtransSay::Cancelled);
            }
            (MidtransCall::Cancel, _) => done(first, MidtransSay::CannotCancel),
        }
        all
    }

    /// The acts of customers and of time on charges.
    pub(super) fn midtrans_moves(&self, lab: &super::Lab) -> Vec<(&'static str, World)> {
        let mut all = Vec::new();
        for charge in 0..u8::try_from(CHARGES).expect("few") {
            let at = usize::from(charge);
            let is = self.midtrans.charges[at];
            let becomes = |status: Status, said: NoticeWord| {
                let mut world = self.clone();
                world.midtrans.charges[at] = status;
                world.send(Message::Notify { charge, said, live: said != NoticeWord::Ended });
                world
            };
            let seen = self.midtrans.seen[at];
            if is == Status::Pending && seen {
                all.push(("the customer pays", becomes(Status::Settled, NoticeWord::Settled)));
            }
            if is == Status::Pending && seen && self.left.mismatches > 0 {
                let mut world = becomes(Status::SettledOtherwise, NoticeWord::Settled);
                spend(&mut world.left.mismatches);
                all.push(("another sum is settled", world));
            }
            if is == Status::Pending && seen && self.left.denials > 0 {
                let mut world = becomes(Status::Denied, NoticeWord::Ended);
                spend(&mut world.left.denials);
                all.push(("Midtrans denies", world));
            }
            // This is after a quarter of an hour. So it does not happen while the charge is being
            // made or fetched.
            let asked = self.wanted(lab, super::order_of(charge)).is_some_and(|wanted| wanted.asked);
            if is == Status::Pending && (lab.wild || self.is_quiet()) && !asked {
                all.push(("Midtrans expires", becomes(Status::Expired, NoticeWord::Ended)));
            }
            if is == Status::Settled && self.left.refunds > 0 {
                let mut world = becomes(Status::Refunded, NoticeWord::Refunded);
                spend(&mut world.left.refunds);
                all.push(("the merchant refunds at Midtrans", world));
            }
            if matches!(is, Status::Cancelled | Status::Expired | Status::Denied) && seen && self.left.late_payments > 0 {
                let mut world = becomes(Status::Settled, NoticeWord::Settled);
                spend(&mut world.left.late_payments);
                all.push(("it is settled after its end", world));
            }
        }
        all
    }
}
