//! A [play](Play) is performed. At any moment a customer, the merchant or a stranger may do something else, too: a plan decides when.

use super::counts::Kind;
use super::events::{machine, relay};
use super::fate::{Fate, Plan};
use super::people::TRIES;
use super::play::Play;
use super::{Event, World};

/// Nothing goes wrong any more from here on, in milliseconds.
const WELL: i64 = 900_000;
/// The first customer's QR has left the screen by then.
const FIRST_IS_GONE: i64 = 130_000;
/// Somebody has filled the machine then, in milliseconds: the first customer comes a moment later.
const FILLED: i64 = 1_900;

impl World {
    pub(super) fn begin_play(&mut self, play: Play) {
        self.heals_at = WELL;
        self.merchant.policy.auto_refund_per_day = play.refunds_by_itself();
        for (at, body) in play.requests() {
            self.at(*at, Event::Asks(body));
        }
        for (at, what) in play.at_slot() {
            self.at(*at, Event::AtSlot(*what));
        }
        self.at(FILLED, Event::Fills);
        self.at(WELL, Event::Heals);
        self.begin_strike();
    }

    /// The customer of a play sees a QR, or a payment code.
    pub(super) fn sees_an_offer(&mut self, payload: Box<str>) {
        let Fate::Plan(Plan { play, .. }) = self.fate else { return };
        if self.losses.image.is_none() {
            self.image_store(0);
        }
        if self.is_to(Kind::Unpaid) {
            return;
        }
        let pays = |force| Event::Pays { payload: payload.clone(), force };
        match play {
            Play::Sale | Play::Reboot | Play::Refund | Play::SecondTry | Play::Two | Play::Filled => self.after(4_000, pays(false)),
            Play::Cancel => self.after(4_000, Event::Cancels(1)),
            // Whoever comes then must not get what the first one can still pay for.
            Play::TooLate if self.now > FIRST_IS_GONE => self.after(4_000, pays(false)),
            Play::TooLate => self.after(400_000, pays(true)),
            Play::Race => {
                self.after(4_000, Event::Cancels(1));
                self.after(4_120, pays(false));
            }
            Play::Counter => {
                self.after(4_000, pays(false));
                for after in [60_000, 200_000, 600_000] {
                    self.after(after, Event::Collects { code: payload.clone(), tries: TRIES });
                }
            }
        }
    }

    fn is_about_slots(&self) -> bool {
        matches!(&self.fate, Fate::Plan(plan) if plan.play.is_about_slots())
    }

    /// Does what the play is about happen now: the power goes, or the line jams? It happens once.
    pub(super) fn is_twist(&mut self, of: Play) -> bool {
        match &mut self.fate {
            Fate::Plan(plan) => plan.play == of && !std::mem::replace(&mut plan.twisted, true),
            Fate::Chance => false,
        }
    }

    /// What a customer or the merchant may do at this moment of a play, beside what the play says.
    pub(super) fn acts(&mut self, before: &Event) {
        let changes_nothing = matches!(
            before,
            Event::Machine(_, machine::Arrival::Timeout(_)) | Event::Relay(_, relay::Arrival::Tick { .. }) | Event::MidtransDue
        );
        if !self.is_planned() || self.people.seen.is_empty() || changes_nothing {
            return;
        }
        let paid = self.paid().into_iter().next();
        let unpaid = self
            .people
            .seen
            .iter()
            .find(|payload| self.gateway.midtrans.transaction(payload).is_some_and(|book| book.settled_at_ms.is_none()));
        if let Some(payload) = unpaid.cloned()
            && self.may(1, Kind::Late)
        {
            self.pays(&payload, true);
        }
        if self.ledgers.are_new() {
            if self.may(1, Kind::Cancels) {
                self.cancel(1);
            }
            if self.may(1, Kind::Ledgers) {
                self.lose_ledger(0);
            }
        }
        if let Some(receipt) = self.broker.receipts.last().cloned()
            && self.may(1, Kind::Strangers)
        {
            self.counts.note(Kind::Strangers);
            self.after(1, Event::Relay(0, relay::Arrival::Stranger { receipt }));
        }
        if self.is_about_slots() {
            self.acts_at_slots();
        }
        let Some(id) = paid.filter(|id| self.pulses(id) == 0) else { return };
        if self.may(1, Kind::RefundOutside) {
            self.takes_money_back(id.clone(), 0);
        }
        if self.may(1, Kind::RefundRequested) {
            self.merchant_decides(id, 0, false, false, false);
        }
    }
}
