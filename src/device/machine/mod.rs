//! The heart of `qrisd`: all its decisions.
//!
//! [`Machine::handle`] takes one [`Input`], commits its changes, and answers with [`Effect`]s. So an effect cannot
//! precede its commit. The machine is synchronous and owns only its database. Sockets, screen and clock belong to
//! its caller, which carries effects out and brings answers back as inputs.

mod answers;
mod calls;
mod collect;
mod commits;
mod faults;
mod io;
mod outbox;
mod payments;
mod reconcile;
mod requests;
mod settings;
mod show;
mod storage;
#[cfg(test)]
mod tests;

#[cfg(feature = "testing")]
pub use answers::{relay_event, seen_of};
pub use io::{
    Asker, BackendAnswer, CallId, ControllerKind, Effect, HttpCall, Input, Notice, PrepareError, RelayAnswer, RelayFacts, Reply, Request,
};
pub use outbox::NEWS;
pub use settings::Settings;
pub use show::{Shown, View};

use super::store::database::File;
use super::store::{Disk, Store};
use calls::{Live, Slot};
use collect::{Collection, Guesses};
use faults::Links;
use outbox::Outbox;
use qris_core::order::ids::{ItemId, OrderId, RequestId, Ticket};
use qris_core::order::machine::{self as core, Context};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::DispenseAnswer;
use qris_core::order::time::{Boot, Now, Span, Wall};
use qris_core::wire::dbus::RelayError;
use qris_core::wire::status::{Fault, FaultCode};
use qris_core::wire::vend::VendEvent;
use qris_host::events::{Event as Journal, Text};
use qris_host::mqtt::{Ack, PublishId};
use reconcile::Reconciliation;
use requests::{Candidate, Limits};
use std::collections::BTreeMap;

/// How long a request waits for its ticket, and for a relay service that is not there yet.
pub const PREPARE_WAIT: Span = Span::secs(2);
/// The time from a failed commit to the next try.
const STORE_RETRY: Span = Span::secs(2);
/// The most transitions of an order within one input. More would be a loop in the rules.
const TRANSITIONS_MAX: usize = 8;
/// The most orders with something to do or to await. With so many, the machine sells nothing new.
const UNFINISHED_MAX: usize = 1000;
/// The most orders that wait for their customers, to pay at a store or to come back. The backend lists a hundred open
/// orders at once, and new sales need some of these places. This limit also keeps anybody from filling the relay's
/// tickets.
const WAITING_MAX: usize = 50;

/// The machine. See the module's text.
#[derive(Clone, Debug)]
pub struct Machine<D: Disk = File> {
    settings: Settings,
    disk: D,
    store: Option<D::Store>,
    store_retry_at: Option<Boot>,
    /// The database takes a small write, but had no room for a whole sale. At this time the room is looked for again.
    store_short_until: Option<Boot>,
    /// The database is damaged. It must be checked as a whole, and set aside if need be.
    store_damaged: bool,
    /// Another program wrote to the database. Memory is behind it, and it must be opened anew.
    store_behind: bool,
    live: BTreeMap<RequestId, Live>,
    /// The order that keeps every other customer waiting. The schema makes sure that there is at most one.
    holder: Option<RequestId>,
    candidate: Option<Candidate>,
    /// The customer who waits for goods that were paid at a store.
    collection: Option<Collection>,
    guesses: Guesses,
    limits: Limits,
    links: Links,
    faults: BTreeMap<FaultCode, Fault>,
    outbox: Outbox,
    reconciliation: Reconciliation,
    stage: show::Stage,
    last_call: u64,
    /// Effects are collected here while an input is handled.
    effects: Vec<Effect>,
}

impl Machine {
    /// The machine of an installation. Its store is the database in the settings.
    #[must_use]
    pub fn load(settings: Settings, now: Now) -> (Self, Vec<Effect>) {
        Self::begin_on(File(settings.store.clone()), settings, now)
    }
}

impl<D: Disk> Machine<D> {
    /// Opens the database and takes up its orders. The first effects put the right picture on the screen. A database
    /// that cannot be used is a fault, and then nothing is sold.
    #[must_use]
    pub fn begin_on(disk: D, settings: Settings, now: Now) -> (Self, Vec<Effect>) {
        let mut machine = Self {
            disk,
            store: None,
            store_retry_at: Some(now.boot),
            store_short_until: None,
            store_damaged: false,
            store_behind: false,
            live: BTreeMap::new(),
            holder: None,
            candidate: None,
            collection: None,
            guesses: Guesses::default(),
            limits: Limits::default(),
            links: Links::new(now.boot),
            faults: BTreeMap::new(),
            outbox: Outbox::default(),
            reconciliation: Reconciliation::default(),
            stage: show::Stage::default(),
            last_call: 0,
            effects: Vec::new(),
            settings,
        };
        machine.open_store(now);
        let effects = machine.finish(now);
        (machine, effects)
    }

    /// Takes one input, commits its changes, and answers with the effects.
    pub fn handle(&mut self, input: Input, now: Now) -> Vec<Effect> {
        match input {
            Input::Asked(request, asker) => self.asked(request, asker, now),
            Input::PaymentUpdate { payload, ack } => self.payment(&payload, ack, now),
            Input::Prepared(id, answer) => self.prepared(id, answer, now),
            Input::Relay(id, request, answer) => self.relay_answered(id, &request, answer, now),
            Input::TicketLeft => self.look_for_tickets(),
            Input::Finished(order, answer) => self.relay_finished(&order, answer, now),
            Input::RelayUp(facts) => self.relay_up(facts, now),
            Input::RelayTold(facts) => self.relay_told(facts, now),
            Input::RelayDown(why) => self.relay_down(&why, now),
            Input::Backend(id, request, answer) => self.backend_answered(id, &request, answer, now),
            Input::Open(id, answer) => self.open_answered(id, answer, now),
            Input::BrokerUp { refused } => self.broker_up(&refused, now),
            Input::BrokerDown { reason, date_refusal } => self.broker_down(&reason, date_refusal, now),
            Input::Delivered(id) => self.delivered(id, now),
            Input::Undelivered(id, refused) => self.undelivered(id, refused, now),
            Input::Screen(state) => self.screen_state(&state, now),
            Input::Woken => {}
        }
        self.finish(now)
    }

    /// The time at which [`Input::Woken`] is due at the latest.
    #[must_use]
    pub fn next_deadline(&self, now: Boot) -> Option<Boot> {
        // While nothing can be stored, all changes wait for that.
        let stored = if self.store_retry_at.is_some() { self.store_retry_at } else { self.next_stored(now) };
        let candidate = self.candidate.as_ref().map(Candidate::give_up_at);
        let collection = self.collection.as_ref().map(Collection::give_up_at);
        [stored, self.store_short_until, candidate, collection, self.outbox.next_deadline(), self.stage.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    fn next_stored(&self, now: Boot) -> Option<Boot> {
        let room = self.has_room_for_calls();
        let orders = self.live.iter().filter_map(|(id, live)| {
            let context = self.context(id);
            let order = core::next_deadline(&live.stored.order, now, &context);
            [order, self.next_call(live, room, now, &context)].into_iter().flatten().min()
        });
        [orders.min(), self.outbox.next_forgetting(), self.reconciliation.next_deadline()].into_iter().flatten().min()
    }

    /// The last message of a clean stop.
    #[must_use]
    pub fn farewell(&self) -> Vec<u8> {
        serde_json::to_vec(&qris_core::wire::status::Status::offline()).expect("a status is plain data")
    }

    /// The power goes: what is left of the machine.
    #[must_use]
    pub fn into_disk(mut self) -> D {
        if let Some(store) = self.store.take() {
            self.disk.take_back(store);
        }
        self.disk
    }

    /// The database's last trusted time, by which certificates are judged.
    #[must_use]
    pub fn last_trusted(&self) -> Wall {
        self.store.as_ref().and_then(|store| store.last_trusted().ok()).unwrap_or_default()
    }

    /// Time, calls, events, picture and status. After every input, all of these follow from the stored orders.
    fn finish(&mut self, now: Now) -> Vec<Effect> {
        if self.store_retry_at.is_some_and(|at| now.boot >= at) {
            self.retry_store(now);
        } else if self.store_short_until.is_some_and(|until| now.boot >= until) {
            self.store_works(now);
        }
        self.pump_candidate(now);
        self.pump_collection(now);
        self.pump(now);
        self.pump_reconciliation(now);
        self.pump_outbox(now);
        self.pump_stage(now);
        self.pump_status(now);
        std::mem::take(&mut self.effects)
    }

    fn context(&self, of: &RequestId) -> Context<'_> {
        Context {
            rules: &self.settings.rules,
            // A request that waits for its ticket holds nothing yet. A customer who has paid goes first.
            alone: self.holder.as_ref().is_none_or(|holder| holder == of),
            // The words of another machine's relay about our orders mean nothing.
            relay_owner: self.links.relay_owner().filter(|_| self.relay_foreign().is_none()),
            relay_changed_at: self.links.relay_changed_at,
            relay_kids: &self.links.relay.kids,
            screen_gone_since: self.links.screen_gone_since.filter(|_| self.settings.screen_required),
            push: self.links.broker,
        }
    }

    fn stream(&self) -> &str {
        self.store.as_ref().map_or("", Store::stream)
    }

    fn trusted(&self, wall: Wall) -> Option<Wall> {
        (wall >= self.settings.released).then_some(wall)
    }

    fn next_call_id(&mut self) -> CallId {
        self.last_call += 1;
        CallId(self.last_call)
    }

    fn name_of(&self, item: &ItemId) -> Box<str> {
        self.settings.names.get(item).cloned().unwrap_or_else(|| item.as_str().into())
    }
}

/// A text of the journal.
fn text(text: &str) -> Text {
    text.to_owned().into()
}

fn new_slot<C>() -> Slot<C> {
    Slot { running: None, failures: 0, retry_at: Boot(i64::MIN) }
}
