//! The screen of a machine: what customers see on it, and the rules for it.

use super::again;
use super::counts::Kind;
use super::events::machine::Arrival;
use super::machine::{QUICK, TIMEOUT};
use super::{Event, World};
use crate::midtrans::Book;
use qris_core::order::ids::{OrderId, Ticket};
use qris_core::order::machine::GONE_WAIT;
use qris_core::order::money::Rupiah;
use qris_device::screen::ScreenState;
use qris_device::screen::picture::Scene;
use qris_device::words::Input;

/// A QR may stay this long while the relay's word is not known, in milliseconds: the start time of a relay, a question after it,
/// and a second for messages on their way.
const DOUBT: i64 = GONE_WAIT.0 + QUICK + 1_000;

impl World {
    pub(super) fn show(&mut self, m: usize, scene: Scene) {
        self.note(|| {
            let word = format!("{scene:?}");
            format!("the screen of {m} shows {}", word.split([' ', '{']).next().unwrap_or("").to_lowercase())
        });
        if let Scene::Pay { until, .. } | Scene::PayAtStore { until, .. } = &scene
            && *until > self.clocks(m).boot + TIMEOUT
        {
            self.fail("a QR is shown for longer than its time".into());
        }
        if matches!(scene, Scene::DoNotPay { .. }) {
            self.machines[m].could_not_store = Some(self.now);
        }
        let tries = matches!(scene, Scene::TryAgain { .. }) && !matches!(self.machines[m].scene, Some(Scene::TryAgain { .. }));
        let before = self.machines[m].scene.replace(scene);
        if tries {
            self.sees_an_offer_to_try(m);
        }
        self.sees_a_number(m, before.as_ref());
        if self.machines[m].screen_gone.is_none() {
            self.customers_see(m);
        }
    }

    /// The panel works when the program starts, unless the computer's system shows nothing.
    pub(super) fn screen_starts(&mut self, m: usize) {
        if self.machines[m].computer.is_without_screen() {
            self.machines[m].screen_gone = Some(self.now);
            return self.input(m, Input::Screen(ScreenState::Gone("this system has none".into())));
        }
        self.input(m, Input::Screen(ScreenState::Working));
    }

    pub(super) fn lose_screen(&mut self, m: usize) {
        if !self.machine_runs(m) || self.machines[m].screen_gone.is_some() {
            return;
        }
        self.count(Kind::ScreenGone, "the screen is gone");
        self.machines[m].screen_gone = Some(self.now);
        self.input(m, Input::Screen(ScreenState::Gone("the panel is gone".into())));
        let after = if self.one_in(2) { self.below(5_000) } else { self.below(60_000) };
        self.machine_hears(m, Arrival::ScreenBack, after);
    }

    pub(super) fn screen_back(&mut self, m: usize) {
        if self.machines[m].computer.is_without_screen() {
            return;
        }
        let Some(since) = self.machines[m].screen_gone.take() else { return };
        let shown = matches!(self.machines[m].scene, Some(Scene::Pay { .. } | Scene::PayAtStore { .. }));
        // If the machine cannot store it, it cannot cancel either. Then the screen says so.
        if shown && self.now - since > 6_000 {
            self.fail(format!("a QR is up after {} ms without a screen", self.now - since));
        }
        self.input(m, Input::Screen(ScreenState::Working));
        self.customers_see(m);
    }

    fn customers_see(&mut self, m: usize) {
        let Some(shown) = self.shown(m) else { return };
        let Some((book, ticket)) = self.charge_of(&shown.payload) else {
            return self.fail("a QR is drawn, and Midtrans has no charge for it".into());
        };
        // The fee may be told only by get-status: the screen knows of it only where the books were rebuilt from that.
        let without = self.gateway.midtrans.options().fee_in_status && shown.fee.is_none();
        let asked = if without { book.amount } else { book.gross_amount };
        let other = shown.amount.get() != asked || shown.fee.map_or(0, Rupiah::get) != asked - book.amount;
        // If Midtrans named another sum than it charges, a backend that had lost the order cannot know the right one.
        if other && !OrderId::new(&book.order_id).is_ok_and(|id| self.gateway.altered.contains(&id)) {
            self.fail("the screen says another sum than is charged".into());
        }
        self.counts.note(Kind::QrsAgainstWord);
        if self.machines[m].deliverable.get(&ticket) != Some(&true) && !self.asks_once_more(m) {
            self.fail("a QR is drawn, and the relay did not say that it can deliver".into());
        }
        // In the storm the relay may have gone since it was asked, and a relay that came back is asked just now. What is in the beam may have
        // come since then, and mostly goes again.
        if !self.storm && !self.is_being_checked(m, &ticket) && !self.is_beam_broken(m) {
            self.counts.note(Kind::QrsAgainstRelay);
            if !self.relays[m].could_deliver(&ticket) {
                self.fail("a QR is drawn for what cannot be delivered".into());
            }
        }
        if self.people.seen.insert(shown.payload.clone()) {
            if self.is_planned() {
                self.sees_an_offer(shown.payload);
            } else if Self::is_again(&book) {
                self.after(again::PAYS_AFTER, Event::Pays { payload: shown.payload, force: false });
            } else if shown.code {
                self.goes_to_a_store(shown.payload);
            } else {
                self.reads_the_qr(shown.payload);
            }
        }
    }

    fn shown(&self, m: usize) -> Option<Shown> {
        match self.machines[m].scene.as_ref()? {
            Scene::Pay { payload, amount, fee, .. } => Some(Shown { payload: payload.clone(), amount: *amount, fee: *fee, code: false }),
            Scene::PayAtStore { code, amount, fee, .. } => Some(Shown { payload: code.clone(), amount: *amount, fee: *fee, code: true }),
            _ => None,
        }
    }

    fn charge_of(&self, payload: &str) -> Option<(Book, Ticket)> {
        let book = self.gateway.midtrans.transaction(payload)?;
        let ticket = Ticket::new(book.custom_fields[2].as_ref()?.rsplit('|').next()?).ok()?;
        Some((book, ticket))
    }

    /// A "no" that could not be stored is asked for once more. The QR waits for it as it waits for a relay that starts.
    fn asks_once_more(&self, m: usize) -> bool {
        self.machines[m].could_not_store.is_some_and(|at| self.now - at <= DOUBT)
    }

    /// The rules when the machine has done all work for now. A QR goes once the relay says that it cannot deliver, unless just this
    /// order is being handed out.
    pub(super) fn judge_screen(&mut self, m: usize) {
        let Some((book, ticket)) = self.shown(m).and_then(|shown| self.charge_of(&shown.payload)) else { return };
        let refused = self.machines[m].deliverable.get(&ticket) == Some(&false);
        if refused && !self.asks_once_more(m) && OrderId::new(&book.order_id).is_ok_and(|id| self.pulses(&id) == 0) {
            self.fail("a QR stays, and the relay said that it cannot deliver".into());
        }
    }
}

/// An offer that a customer could pay.
struct Shown {
    payload: Box<str>,
    /// The sum on the screen, with the fee.
    amount: Rupiah,
    fee: Option<Rupiah>,
    /// Is it a code for a store?
    code: bool,
}
