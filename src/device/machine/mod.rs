//! The heart of `qrisd`: all its decisions.
//!
//! [`Machine::handle`] takes one [`Input`], commits its changes, and answers with [`Effect`]s. So an effect cannot
//! precede its commit. The machine is synchronous and owns only its database. Sockets, screen and clock belong to
//! its caller, which carries effects out and brings answers back as inputs.
//!
//! It is made of parts. Each stands in a file, with its state, its deadline and its transitions, and knows no more of the
//! others than it is given. All of them stand on [`crate::words`]:
//!
//! | part | file |
//! | --- | --- |
//! | the database and its health | `storage.rs` |
//! | the unfinished orders, each with its calls under way | `orders.rs`, `calls.rs`, `slot.rs` |
//! | the customer in front of the machine, the one who collects, and the screen | `front.rs`, `collection.rs`, `show.rs` |
//! | the links to relay, screen and backend | `links.rs` |
//! | the faults | `faults.rs` |
//! | the settings that come from afar | `afar.rs` |
//! | the reports of what was sold | `telemetry.rs` |
//! | what is told of the slots | `stock.rs` |
//! | whether another computer takes the machine's place at the broker | `place.rs` |
//! | why the computer started | `boot.rs` |
//! | the system that runs, if RAUC has installed it | `system.rs` |
//! | the commands that operators have signed | `commands.rs` |
//! | the time by which certificates are judged | `trust.rs` |
//! | who looks after the machine, while nothing is sold | `hold.rs` |
//! | the offer of another try at what did not come | `second_tries.rs` |
//! | the switch and the buttons of its open door | `door.rs` |
//! | everything that leaves the machine | `outbox.rs` |
//! | the comparison with the backend's open orders and the relay's tickets | `reconcile.rs` |
//!
//! `parts.rs` puts them side by side. Work that needs several of them stands above that. Customers are served in `customers.rs`, operators
//! in `operators.rs`. The offer of the slots is in `shelves.rs`, their filling in `filling.rs`, and another try of a customer in
//! `trying_again.rs`. The answers of relay, backend and broker come to
//! `answers.rs`. The system that runs proves itself in `proving.rs`. `commits.rs` alone writes orders. The loop itself is here.

mod afar;
mod answers;
mod boot;
mod calls;
mod collection;
mod commands;
mod commits;
mod customers;
mod door;
mod faults;
mod filling;
mod front;
mod hold;
mod links;
mod operators;
mod orders;
mod outbox;
mod parts;
mod place;
mod proving;
mod reconcile;
mod rights;
mod second_tries;
mod shelves;
mod show;
mod slot;
mod stock;
mod storage;
mod system;
mod telemetry;
#[cfg(test)]
mod tests;
mod trust;
mod trying_again;

pub use parts::Machine;

use crate::store::StoreError;
use crate::words::{Effect, Input, Settings, View, report_of, text};
use afar::Afar;
use boot::Start;
use collection::{Guesses, WRONG_CODES};
use commands::Commands;
use door::Door;
use faults::Faults;
use front::Front;
use hold::Hold;
use links::Links;
use orders::Orders;
use outbox::Outbox;
use place::BrokerPlace;
use qris_core::order::machine::{self as core, Event};
use qris_core::order::reason::Reason;
use qris_core::order::time::{Boot, Now};
use qris_core::wire::relay::RelayFacts;
use qris_core::wire::status::{FaultCode, Status};
use qris_host::events::Event as Journal;
use reconcile::Reconciliation;
use rights::Rights;
use second_tries::SecondTries;
use shelves::Said;
use stock::Stock;
use storage::Storage;
use system::Systems;
use telemetry::Reports;
use trust::Trust;

impl Machine {
    /// Opens the database and takes up its orders. The first effects put the right picture on the screen. A database
    /// that cannot be used is a fault, and then nothing is sold.
    #[must_use]
    pub fn load(settings: Settings, now: Now) -> (Self, Vec<Effect>) {
        let mut machine = Self {
            storage: Storage::new(settings.store.clone(), settings.broker.is_some(), now.boot),
            orders: Orders::default(),
            front: Front::default(),
            links: Links::new(now.boot),
            faults: Faults::new(settings.released),
            outbox: Outbox::default(),
            reconciliation: Reconciliation::default(),
            stock: Stock::default(),
            afar: Afar::default(),
            commands: Commands::default(),
            reports: Reports::new(now.boot),
            start: Start::new(settings.boot_id.clone()),
            systems: Systems::new(now.boot),
            hold: Hold::default(),
            door: Door::default(),
            second_tries: SecondTries::default(),
            trust: Trust::default(),
            place: BrokerPlace::default(),
            rights: Rights::default(),
            own: settings.clone(),
            settings,
        };
        let effects = machine.finish(now);
        (machine, effects)
    }

    pub fn handle(&mut self, input: Input, now: Now) -> Vec<Effect> {
        let (faults, out) = (&mut self.faults, &mut self.outbox);
        match input {
            Input::Requested(request, asker) => self.requested(request, asker, now),
            Input::PaymentUpdate { payload, ack } => {
                self.rights.update_came();
                self.payment(&payload, ack, now);
            }
            Input::Desired { payload, ack } => {
                let (afar, with) = self.afar();
                afar.desired(&payload, ack, with, now);
            }
            Input::Command { name, payload, retained, to, ack } => self.commanded(&name, &payload, retained, to, ack, now),
            Input::System(answer) => self.system_answered(answer, now),
            Input::Operated(id, answer) => self.operated(&id, answer, now),
            Input::Read(id, end) => self.read(&id, &end),
            Input::Prepared(id, answer) => self.prepared(id, answer, now),
            Input::PreparedAgain(id, answer) => self.prepared_again(id, answer, now),
            Input::Relay(id, request, answer) => self.relay_answered(id, &request, &answer, now),
            Input::TicketLeft => self.reconciliation.read_tickets(out),
            Input::Unseen(order, number) => self.front.stage.unseen(order, number),
            Input::LateSign(news) => {
                self.second_tries.goods_came(&news);
                self.reconciliation.late_sign(news);
            }
            Input::Finished(order, number, answer) => self.relay_finished(&order, number, answer, now),
            Input::Released(item) => self.released(&item, now),
            Input::Cleared => self.looked(now),
            Input::ClearPressed(is_held) => self.clear_pressed(is_held, now),
            Input::RelayUp(facts) => {
                self.links.relay_came(out, now.boot);
                self.orders.all_mut().for_each(|(_, live)| live.relay.wake());
                self.relay_reported(facts, true, now);
            }
            Input::RelayReported(facts) => self.relay_reported(facts, false, now),
            Input::RelayDown(why) => self.relay_lost(&why, now),
            Input::Backend(id, request, answer) => self.backend_answered(id, &request, answer, now),
            Input::Open(id, answer) => self.open_answered(id, answer, now),
            Input::BrokerUp { refused } => self.broker_up(&refused, now),
            Input::BrokerDown { reason, date_refusal, thrown_out } => self.broker_down(&reason, date_refusal, thrown_out, now),
            Input::Delivered(id) => {
                if !self.rights.written(id, out, now.boot) {
                    match report_of(id) {
                        Some(number) => self.reports.delivered(number),
                        None => out.delivered(id, now.boot),
                    }
                }
            }
            Input::Undelivered(id, refused) => {
                if let Some(why) = &refused {
                    self.rights.refused(id, why, &self.settings.broker_name(), out, now.boot);
                }
                // A report is published again when the next one is due.
                if report_of(id).is_none() {
                    out.undelivered(id, refused.is_some(), now.boot);
                }
            }
            Input::Time(time) => self.time_received(time, now),
            Input::Screen(state) => self.links.screen(&state, faults, out, now),
            Input::Woken => {}
        }
        self.finish(now)
    }

    /// The time at which [`Input::Woken`] is due at the latest.
    #[must_use]
    pub fn next_deadline(&self, now: Boot) -> Option<Boot> {
        // While nothing can be stored, all changes of orders wait for that.
        let stored = || {
            let orders = self.orders.deadline(now, self.links.context(&self.settings, self.outbox.is_connected(), self.hold.is_held()));
            [
                orders,
                self.outbox.next_forgetting(),
                self.reconciliation.deadline(),
                self.commands.deadline(now),
                self.reports.deadline(&self.settings, &self.outbox),
                self.stock.deadline(),
                self.systems.deadline(now),
            ]
            .into_iter()
            .flatten()
            .min()
        };
        let stored = if self.storage.is_failing() { None } else { stored() };
        let others = [
            self.storage.deadline(),
            self.front.deadline(),
            self.links.deadline(now),
            self.outbox.deadline(),
            self.afar.deadline(),
            self.hold.deadline(),
            self.door.deadline(now),
            self.second_tries.deadline(self.outbox.is_connected()),
            self.rights.deadline(),
        ];
        [stored, self.trust.deadline(), self.place.deadline()].into_iter().chain(others).flatten().min()
    }

    /// Notes a clean stop. The answer is its last message.
    #[must_use]
    pub fn farewell(&mut self) -> Vec<u8> {
        if !self.storage.is_failing()
            && let Some(store) = self.storage.store_mut()
        {
            // A disk that does not take it is no reason to stay. The next boot is told as one after a power cut then.
            let _ = self.start.note(true, store).and_then(|()| store.check());
        }
        serde_json::to_vec(&Status::offline(env!("CARGO_PKG_VERSION"))).expect("a status is plain data")
    }

    #[must_use]
    pub fn appearance(&self) -> &qris_screen::Settings {
        &self.settings.appearance
    }

    /// Time, calls, events, picture and status. After every input, all of these follow from the stored orders.
    fn finish(&mut self, now: Now) -> Vec<Effect> {
        if self.storage.retry(&mut self.faults, &mut self.outbox, now) {
            self.open_store(now);
        }
        self.take_early(now);
        self.give_up(now);
        self.sell_unconfirmed(now);
        while let Some(by) = self.hold.end(now.boot) {
            self.outbox.journal(Journal::MachineReleased { by: text(&by), why: "its time is over".into() });
        }
        // Time passes for every order. Then its duty may ask for calls.
        if !self.storage.is_failing() && self.orders.ids().iter().all(|id| self.happen(id, vec![Event::Tick], now).is_ok()) {
            let with = self.links.context(&self.settings, self.outbox.is_connected(), self.hold.is_held());
            self.orders.begin_calls(now.boot, with, &mut self.outbox);
        }
        self.watch_place(now);
        if self.rights.watch(&mut self.faults, &mut self.outbox, now) {
            self.reconciliation.ask_open();
        }
        self.look_for_wishes(now);
        if !self.storage.is_failing() {
            let lookers = self.lookers(now);
            let newest_event = || self.storage.store().map(|store| store.newest_event());
            let at_broker = (self.place.is_taken(), &self.rights);
            self.reconciliation.ask(lookers, self.links.proof_key(), newest_event, at_broker, &mut self.outbox, now.boot);
        }
        self.trust.ask(self.links.dates_are_refused(), &self.storage, &self.own, &mut self.outbox, now);
        self.catch_up_with_relay(now);
        self.carry_commands(now);
        let (afar, with) = self.afar();
        afar.take_next(with, now);
        self.links.price_faults(&self.settings, &mut self.faults, now);
        self.publish_events(now);
        self.reports.report(self.known_vitals(), &self.settings, &mut self.storage, &mut self.faults, &mut self.outbox, now);
        // A system is called good only after everything else has gone well.
        self.check_system(now);
        let unconfirmed = self.orders.unconfirmed().map(|order| format!("nobody confirms whether order {order} is paid"));
        self.faults.set(FaultCode::Unconfirmed, unconfirmed.as_deref(), now);
        self.watch_door(now);
        self.front.clear(now.boot);
        self.watch_offers(now);
        self.tell(now);
        for (fault, why) in self.faults.take_begun() {
            self.outbox.journal(Journal::FaultBegan { fault: text(fault.as_str()), why: text(&why) });
        }
        self.outbox.take()
    }

    /// Forgets the events that the broker has, and publishes the next one, when it is time.
    fn publish_events(&mut self, now: Now) {
        let Self { storage, outbox, faults, .. } = self;
        if !storage.is_failing()
            && let Some(sent) = outbox.take_overdue(now.boot)
            && let Some(Err(error)) = storage.store_mut().map(|store| store.forget(&sent))
        {
            outbox.put_back(sent, now.boot);
            storage.failed(&error, faults, outbox, now);
        }
        let Some(delivered) = outbox.next_after(now.boot).filter(|_| !storage.is_damaged()) else { return };
        match storage.store().map(|store| store.next_event(delivered)) {
            Some(Ok(Some((seq, payload)))) => outbox.publish_event(seq, payload),
            Some(Ok(None)) | None => {}
            Some(Err(error)) => storage.failed(&error, faults, outbox, now),
        }
    }

    fn tell(&mut self, now: Now) {
        let missing = self.links.relay_owner().is_none().then_some(Reason::Relay);
        let trouble = self.trouble().map(|refusal| refusal.reason).or(missing);
        self.forget_other_goods(now);
        let slots = self.slots();
        self.tell_stock(slots.clone(), now);
        let is_shown = self.offered_again().is_some();
        self.second_tries.tell(is_shown, now);
        let before = self.second_tries.waiting_behind().cloned();
        let scene = self.front.scene(&self.orders, &self.settings, self.storage.cannot_sell()).map(|scene| scene.before(before));
        let sold_out = self.all_sold_out();
        let not_sold = self.all_not_sold();
        let has_nothing = self.settings.appearance.items.iter().all(|item| not_sold.contains_key(&item.id));
        // Where only a part is sold out, somebody must do more than fill.
        let other = not_sold.values().map(|why| why.reason()).find(|reason| *reason != Reason::SoldOut);
        let trouble = trouble.or((has_nothing && !not_sold.is_empty()).then(|| other.unwrap_or(Reason::SoldOut)));
        let scene = self
            .filling(&slots)
            .or_else(|| self.offered_again())
            .or(scene)
            .unwrap_or_else(|| show::idle(trouble, not_sold, &self.faults, self.outbox.is_lost()));
        let view = View {
            order: self.orders.holder().map(show::shown),
            customer: self.customer().cloned(),
            faults: self.faults.all().cloned().collect(),
            holder: self.hold.holder().map(Into::into),
            sold_out: sold_out.clone(),
            stock: slots,
            try_offer: self.second_tries.told().cloned(),
        };
        self.front.stage.show(scene, view, self.storage.store_mut(), &mut self.outbox);
        self.outbox.tell_status(self.status(sold_out), self.settings.time_of_day(now.wall), now.boot);
        if let Some(reported) = self.afar.report(&self.settings) {
            self.outbox.tell_settings(reported);
        }
    }

    fn open_store(&mut self, now: Now) {
        self.storage.leave();
        self.orders.forget(&mut self.outbox);
        if let Err(error) = self.storage.open(&self.settings.boot_id, &mut self.faults, &mut self.outbox, now) {
            return self.store_failed(&error, now);
        }
        self.outbox.begin_anew();
        self.reconciliation.ask_open();
        match self.take_up(now) {
            Ok(()) => self.storage.works(&mut self.faults, &mut self.outbox, now),
            Err(error) => {
                // The orders were taken up only in part, so they do not count. They may be of another boot.
                self.storage.leave();
                self.orders.forget(&mut self.outbox);
                self.store_failed(&error, now);
            }
        }
    }

    /// Takes what is stored into memory, as after a restart.
    fn take_up(&mut self, now: Now) -> Result<(), StoreError> {
        let (afar, with) = self.afar();
        afar.take_up(with, now)?;
        self.take_up_commands(now)?;
        if let Some(store) = self.storage.store_mut() {
            self.start.take_up(store)?;
        }
        self.take_up_system()?;
        let Some(store) = self.storage.store() else { return Ok(()) };
        self.stock.take_up(store)?;
        let guesses = store.known(&WRONG_CODES)?.good().unwrap_or_default();
        self.front.guesses = Guesses::restored(guesses, &self.settings.boot_id, now.boot);
        for stored in store.live()? {
            let id = stored.order.offer.request.request_id.clone();
            let order = stored.order.clone().restarted(stored.same_boot, now.boot, &self.settings.orders.rules);
            let steps = core::passed(Some(&stored.order), &order).into_iter().map(|name| (name, order.clone())).collect();
            self.orders.insert(id.clone(), stored);
            self.replace(&id, order, steps, None, now)?;
        }
        if let Some(store) = self.storage.store() {
            self.front.stage.take_up(store);
        }
        self.take_up_tries(now);
        Ok(())
    }

    fn relay_reported(&mut self, facts: RelayFacts, is_new: bool, now: Now) {
        self.switched(facts.service_switch);
        self.links.relay_reported(facts, &self.settings, &mut self.faults, now);
        if let Some(tickets) = self.links.tickets(&self.settings) {
            self.reconciliation.take_tickets(tickets, is_new);
        }
        if let Some(store) = self.storage.store_mut() {
            store.tolerate(self.links.take_more_misses(&self.settings));
        }
        self.compare_stock(if is_new { Said::AtItsStart } else { Said::Now }, now);
    }

    /// When another computer begins or ceases to take the machine's place at the broker, the backend hears it with the next question.
    fn watch_place(&mut self, now: Now) {
        let is_taken = self.place.look(now.boot);
        if self.faults.set(FaultCode::TakenOver, is_taken.then_some(place::WORDS), now) {
            self.reconciliation.ask_open();
            if is_taken {
                self.outbox.journal(Journal::PlaceTaken { broker: self.settings.broker_name() });
            }
        }
    }

    fn broker_down(&mut self, reason: &str, date_refusal: bool, thrown_out: bool, now: Now) {
        let out = &mut self.outbox;
        if thrown_out {
            self.place.lost(now.boot);
        } else if !out.is_connected() {
            self.place.nobody_there();
        }
        self.rights.disconnected();
        if out.disconnected() {
            out.journal(Journal::BrokerLost { broker: self.settings.broker_name(), why: text(reason) });
        }
        self.links.broker(date_refusal, Some(reason), &mut self.faults, out, now);
    }

    fn broker_up(&mut self, refused: &[(String, Box<str>)], now: Now) {
        self.outbox.connected();
        self.reports.connected();
        self.wake_backend(now.boot);
        self.reconciliation.ask_open();
        self.outbox.journal(Journal::BrokerConnected { broker: self.settings.broker_name() });
        self.rights.connected(refused, &self.settings.broker_name(), &mut self.outbox, now.boot);
        self.links.broker(false, None, &mut self.faults, &mut self.outbox, now);
    }
}
