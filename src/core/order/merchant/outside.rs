//! For tests: a random life of an order, with all that is not in the books. Copies of the books come back at any moment, somebody refunds in the
//! dashboard, and whoever has the machine tells old words. What the relay and the gateway did is counted here.

use super::{
    Asker, Call, Charge, DeliveryReport, Event, NoCharge, NoProof, Order, Proof, QR_EXPIRY, RefundAnswer, RefundWish, Rules, Said,
    StatusReport,
};
use crate::order::ids::{Ticket, TransactionId};
use crate::order::keys::SigningKey;
use crate::order::ledger::Again;
use crate::order::money::Rupiah;
use crate::order::outcome::Delivery;
use crate::order::promise::Promise;
use crate::order::proof::RelayKey;
use crate::order::time::{Span, Told, Wall};
use crate::order::tries::TryNumber;
use std::collections::{BTreeMap, BTreeSet};

/// What the order of a life costs, in rupiah.
pub const PRICE: u64 = 5000;
const PART: u64 = 1000;
/// The gateway refunds it for so long.
const REFUNDED_WITHIN: Span = Span::secs(7 * 86_400);

/// Chance, from a seed.
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// A number below this one.
    pub fn draw(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % below
    }

    /// One of these.
    pub fn of<T: Clone>(&mut self, list: &[T]) -> T {
        list[usize::try_from(self.draw(list.len() as u64)).unwrap_or(0)].clone()
    }
}

#[must_use]
pub fn relay() -> RelayKey {
    RelayKey::of(&SigningKey::from_seed([3; 32]))
}

/// A QR that can be paid from now on.
#[must_use]
pub fn charge(transaction_id: TransactionId, gross_amount: Rupiah, now: Wall) -> Charge {
    Charge {
        transaction_id,
        gross_amount,
        qr_payload: Some("qr".into()),
        qr_url: None,
        deeplink_url: None,
        payment_code: None,
        store: None,
        charged_at: now,
        expires_at: now + QR_EXPIRY,
    }
}

/// One key, no imposed fee, and no other try.
#[must_use]
pub fn rules() -> Rules {
    Rules {
        issuer: "pay.example".into(),
        keys: vec![SigningKey::from_seed([1; 32])],
        max_imposed_fee: 0,
        reversal_window: Span::secs(300),
        collect_within: Span::secs(72 * 3600),
        second_tries: 0,
        try_again_within: Span::secs(24 * 3600),
    }
}

/// What happens next.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "it lives for the moment in which it is read")]
pub enum Next {
    /// This comes to the books.
    Comes(Event),
    /// The books are copied.
    Copied,
    /// The last copy comes back, if there is one.
    Restored,
    /// Nothing that the books hear of.
    Unheard,
}

/// All that is not in the books.
#[derive(Debug, Default)]
pub struct Outside {
    /// Copies come back in this life.
    is_copied: bool,
    /// Whoever has the machine closes the first ticket, and takes the goods with another try.
    closes: bool,
    /// What the relay has signed of each try's ticket.
    signed: BTreeMap<TryNumber, Delivery>,
    /// The tries that have a receipt, and those that the relay has promised.
    receipts: BTreeSet<TryNumber>,
    promised: BTreeSet<TryNumber>,
    is_paid: bool,
    /// There is a copy that has not come back.
    has_copy: bool,
    /// So much went back in the dashboard, and so much as we asked.
    by_hand: u64,
    by_us: u64,
    is_decided: bool,
    in_a_try: bool,
}

impl Outside {
    /// That of a life, by its number. In one of three nothing is lost.
    #[must_use]
    pub fn of(life: u64) -> Self {
        Self { is_copied: !life.is_multiple_of(3), closes: life % 3 == 1, ..Self::default() }
    }

    /// Whether the goods came.
    #[must_use]
    pub fn came(&self) -> bool {
        self.signed.values().any(|word| *word == Delivery::Dispensed)
    }

    /// Whether money went back as the books asked.
    #[must_use]
    pub const fn went_back(&self) -> bool {
        self.by_us > 0
    }

    /// Whether the customer has both, and no person has decided that without a proof.
    #[must_use]
    pub fn has_both(&self) -> bool {
        self.came() && self.went_back() && !self.is_decided
    }

    /// Whether the customer has both, since all of the money went back in the dashboard while a later try ran. No copy came back since.
    #[must_use]
    pub fn has_both_by_a_try(&self) -> bool {
        self.in_a_try && self.came() && !self.is_decided
    }

    /// The books are these now.
    pub fn written(&mut self, order: &Order) {
        if order.receipt().is_some() {
            self.receipts.insert(order.number_of_try());
        }
    }

    /// A copy came back.
    pub const fn restored(&mut self) {
        (self.in_a_try, self.has_copy) = (false, false);
    }

    /// The time that passes before the next step.
    pub fn pause(dice: &mut Dice) -> Span {
        Span::millis(i64::try_from(dice.draw(3)).unwrap_or(0) * dice.of(&[10, 10, 10, 10, 10, 5_000, 5_000, 400_000]))
    }

    /// The next event when nothing is due. `late`: the life is over soon, and nobody refunds any more. `grants`: whether the books would
    /// take this.
    pub fn next(&mut self, order: &Order, late: bool, now: Told, grants: impl Fn(Event) -> bool, dice: &mut Dice) -> Next {
        if self.closes
            && dice.draw(4) > 0
            && let Some(next) = self.plot(order, dice)
        {
            return next;
        }
        let event = match dice.draw(if self.is_paid { 15 } else { 9 }) {
            0..=2 => {
                self.acts(dice);
                return Next::Unheard;
            }
            4..=7 if !self.is_paid => {
                self.is_paid = order.charge().is_some();
                Event::Notified(Said::Settled)
            }
            3 | 4 | 13 => self.tells(order, dice),
            5 | 6 | 14 => match self.asks_again(order) {
                Some(asked) => asked,
                None => return Next::Unheard,
            },
            7 if (dice.draw(3) == 0 || order.tries.now.is_some()) && !late => {
                // Its notification may come later, or never.
                self.at_dashboard(order, dice);
                return Next::Unheard;
            }
            7 => self.says(order),
            8 if self.is_paid => {
                let (event, is_decided) = decides(order, dice);
                self.is_decided |= is_decided && grants(event.clone());
                event
            }
            9 if order.may_refund_on_a_wish(now) => Event::RefundRequested(RefundWish::of(Asker::Automatic)),
            10 if dice.draw(4) == 0 => Event::CancelRequested,
            8 | 11 if self.is_copied => {
                self.has_copy = true;
                return Next::Copied;
            }
            12 if self.is_copied => return Next::Restored,
            _ => return Next::Unheard,
        };
        Next::Comes(event)
    }

    /// The next step of who wants the goods, and the money from books that came back.
    fn plot(&mut self, order: &Order, dice: &mut Dice) -> Option<Next> {
        if !self.is_paid {
            return order.charge().filter(|_| !std::mem::replace(&mut self.has_copy, true)).map(|_| Next::Copied);
        }
        let is_told = order.delivery().is_some();
        if self.came() {
            if self.has_copy && dice.draw(3) == 0 {
                self.at_dashboard(order, dice);
            }
            return Some(match (self.has_copy, is_told) {
                (true, _) => Next::Restored,
                (false, false) => Next::Comes(self.tells(order, dice)),
                (false, true) => Next::Comes(Event::RefundRequested(RefundWish::of_a_person(Some("Ani".into())))),
            });
        }
        if !self.signed.is_empty() && !is_told {
            return Some(Next::Comes(self.tells(order, dice)));
        }
        let asked = if is_told { self.asks_again(order) } else { None };
        self.acts(dice);
        Some(asked.map_or(Next::Unheard, Next::Comes))
    }

    /// The gateway's answer to a call. It may be lost.
    pub fn answers(&mut self, call: Call, order: &Order, now: Told, dice: &mut Dice) -> Event {
        match call {
            Call::Charge if dice.draw(4) == 0 => Event::NotCharged(NoCharge::Unsure("cut".into())),
            Call::Charge => Event::Charged(charge(transaction(order), order.sale.purchase.amount, now.wall)),
            Call::Cancel if self.is_paid => Event::CancelRefused,
            Call::Cancel if dice.draw(2) == 0 => Event::CancelUnanswered,
            Call::Cancel => Event::CancelDone(report(order, Said::Cancelled)),
            Call::GetStatus if dice.draw(5) == 0 => Event::StatusUnanswered,
            Call::GetStatus => self.says(order),
            Call::Refund => Event::RefundAnswered(self.refunds(order, dice)),
        }
    }

    /// Get-status.
    fn says(&self, order: &Order) -> Event {
        let back = self.by_hand + self.by_us;
        let said = match back {
            _ if !self.is_paid => Said::Pending,
            0 => Said::Settled,
            PRICE => Said::Refunded,
            _ => Said::PartlyRefunded,
        };
        Event::Status(StatusReport { refund_amount: rupiah(back), refund_within: Some(REFUNDED_WITHIN), ..report(order, said) })
    }

    fn left(&self) -> u64 {
        PRICE - self.by_hand - self.by_us
    }

    fn refunds(&mut self, order: &Order, dice: &mut Dice) -> RefundAnswer {
        let asked = order.to_refund().map_or(self.left(), Rupiah::get);
        if !self.is_paid || self.left() == 0 || asked > self.left() || dice.draw(5) == 0 {
            return RefundAnswer::Refused("414".into());
        }
        if dice.draw(5) == 0 {
            return RefundAnswer::Passing("no route".into());
        }
        self.by_us += asked;
        if dice.draw(3) == 0 {
            return RefundAnswer::Unsure("cut".into());
        }
        RefundAnswer::Approved(Box::new(StatusReport { refund_amount: rupiah(asked), ..report(order, Said::Refunded) }))
    }

    /// The relay hands out, or signs that it did not. It does so for one try after the other, and never after goods that came.
    fn acts(&mut self, dice: &mut Dice) {
        let next = self.signed.keys().next_back().map_or(Some(TryNumber::FIRST), |last| last.next());
        let Some(number) = next.filter(|_| !self.came()) else { return };
        let is_first = number == TryNumber::FIRST;
        let word = match self.receipts.contains(&number) && !(self.closes && is_first) {
            true => dice.of(&[Delivery::Dispensed, Delivery::Dispensed, Delivery::Failed, Delivery::Undelivered]),
            false => Delivery::Undelivered,
        };
        if is_first || self.promised.contains(&number) {
            self.signed.insert(number, word);
        }
    }

    /// The person with the machine tells what he likes, of any try, with the proof that the relay gave.
    fn tells(&self, order: &Order, dice: &mut Dice) -> Event {
        let number = order.number_of_try();
        let tries: Vec<_> = self.signed.iter().map(|(number, word)| (*number, *word)).collect();
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
        let last = self.signed.keys().next_back();
        if !self.came() && last.is_some_and(|last| last.next() == Some(number)) {
            self.promised.insert(number);
        }
        if !self.promised.contains(&number) {
            return None;
        }
        let again = Again { order: order.id.clone(), number, after: order.goods().ticket };
        let ticket = Ticket::from_random([u8::try_from(100 + number.get()).unwrap_or(u8::MAX); 16]);
        let (device, item, amount) = (order.sale.device.clone(), order.sale.purchase.item.clone(), order.sale.purchase.amount);
        Some(Event::TryAgain { promise: Box::new(Promise::of(device, ticket, again, item, amount)), key: Some(relay()) })
    }

    /// Somebody gives all that is left back in the dashboard, or a part.
    fn at_dashboard(&mut self, order: &Order, dice: &mut Dice) {
        if !self.is_paid || self.left() == 0 {
            return;
        }
        self.by_hand += if dice.draw(2) == 0 { self.left() } else { self.left().min(PART) };
        self.in_a_try |= self.by_hand == PRICE && order.tries.now.is_some() && order.delivery().is_none();
    }
}

/// A person decides, on what the list says: with a proof, or (true) without one.
fn decides(order: &Order, dice: &mut Dice) -> (Event, bool) {
    let (no_report, no_proof, goods_and_money) = (dice.draw(3) == 0, dice.draw(8) == 0, dice.draw(4) == 0);
    match dice.draw(8) {
        0 => (Event::SettledByHand { note: "cash".into(), by: Some("Ani".into()), no_report, goods_and_money }, true),
        1 => (Event::Given { by: "Ani".into(), goods_and_money, from_slot: dice.draw(2) == 0 }, true),
        _ => {
            let wish = RefundWish { no_report, no_proof, goods_and_money, ..RefundWish::of_a_person(Some("Ani".into())) };
            (Event::RefundRequested(wish), no_proof || order.delivery().is_none() || goods_and_money && order.may_have_been_anothers())
        }
    }
}

fn rupiah(sum: u64) -> Option<Rupiah> {
    Rupiah::new(sum).ok()
}

fn transaction(order: &Order) -> TransactionId {
    TransactionId::new(&format!("t-{}", order.id)).unwrap_or_else(|error| panic!("{error}"))
}

fn report(order: &Order, said: Said) -> StatusReport {
    let (transaction_id, gross_amount) = (transaction(order), rupiah(PRICE));
    StatusReport {
        transaction_id,
        gross_amount,
        payment_type: Some("qris".into()),
        settled_at: Some(order.created_at),
        ..StatusReport::of(order, said)
    }
}
