//! The links to the relay, the screen and the backend: whether they are there, since when, and the faults that follow. The
//! link to the broker is in the outbox.

use super::faults::Faults;
use super::outbox::Outbox;
use super::slot::RETRY_MAX;
use crate::config::afar::{LineOf, not_taken};
use crate::words::{BackendAnswer, Charges, PREPARE_WAIT, Settings, text};
use qris_core::order::ids::{ItemId, Ticket};
use qris_core::order::machine::{Context, Posted};
use qris_core::order::proof::RelayKey;
use qris_core::order::reason::Reason;
use qris_core::order::request::{DESCRIPTION_MAX, Offer, Refusal};
use qris_core::order::stock::Drives;
use qris_core::order::time::{Boot, Now, Span};
use qris_core::text::named;
use qris_core::wire::dbus::RelayError;
use qris_core::wire::relay::{LineCondition, RelayFacts, RelayFault, RelayLine, RelayStatus};
use qris_core::wire::status::FaultCode;
use qris_host::events::Event as Journal;
use qris_host::trust::AGREES;
use qris_screen::ScreenState;
use std::collections::BTreeSet;

/// Both programs start with the computer, and a slow one takes its time. So a program that has just started waits longer for its relay service
/// before it gives an order up. No QR is shown meanwhile.
const START_WAIT: Span = Span::secs(15);
/// So many goods of blocked lines are named. The others are counted.
const BLOCKED_TOLD: usize = 5;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Facts {
    /// Nothing yet: whatever is judged by them waits.
    Awaited,
    /// Nobody is there who could tell them, or nobody has told them in time.
    Missing,
    Heard,
}

#[derive(Debug)]
pub(super) struct Links {
    relay_up: bool,
    /// The bus has said that nobody is there.
    relay_absent: bool,
    /// Counts the relay's owners. The last one is present if `relay_up`.
    owner: u64,
    relay_changed_at: Boot,
    relay: RelayFacts,
    /// The sums that the backend can charge.
    pub(super) charges: Charges,
    /// The relay refused a receipt, and no `Prepare` passed since.
    relay_refused: bool,
    screen_gone_since: Option<Boot>,
    /// The broker's certificate has dates that TLS refuses.
    broker_dates: bool,
    /// The backend's has.
    backend_dates: bool,
    /// The time that the backend told last, and the boot clock then.
    told: Option<Now>,
    /// The time at which calls that waited for the backend were last begun at once, because it was back.
    backend_woken: Option<Boot>,
}

impl Links {
    pub(super) fn new(now: Boot) -> Self {
        Self {
            relay_up: false,
            relay_absent: false,
            owner: 0,
            relay_changed_at: now,
            relay: RelayFacts::default(),
            charges: Charges::default(),
            relay_refused: false,
            screen_gone_since: Some(now),
            broker_dates: false,
            backend_dates: false,
            told: None,
            backend_woken: None,
        }
    }

    /// The surroundings of an order while no other order holds the machine. `push`: news can come by MQTT. `held`: somebody looks after
    /// the machine.
    pub(super) fn context<'a>(&'a self, settings: &'a Settings, push: bool, held: bool) -> Context<'a> {
        Context {
            rules: &settings.orders.rules,
            alone: true,
            empty: false,
            held,
            // The words of another machine's relay about our orders mean nothing.
            relay_owner: self.relay_owner().filter(|_| self.relay_foreign(settings).is_none()),
            relay_changed_at: self.relay_changed_at,
            relay_doubted_from: if self.owner == 0 { self.relay_changed_at + START_WAIT } else { self.relay_changed_at },
            relay_kids: &self.relay.keys,
            screen_gone_since: self.screen_gone_since.filter(|_| settings.screen_required),
            push,
        }
    }

    pub(super) fn proof_key(&self) -> Option<&RelayKey> {
        self.relay.proof_key.as_ref().map(|key| &key.x)
    }

    /// How often the relay has driven its line for an item, and the key of the ledger that counts it.
    pub(super) fn drives(&self, item: &ItemId, settings: &Settings) -> Option<(&RelayKey, Drives)> {
        let key = self.proof_key().filter(|_| self.relay_up && self.relay_foreign(settings).is_none())?;
        let told = self.relay.driven.iter().find(|driven| driven.item == *item);
        Some((key, told.map_or(Drives { orders: 0, tests: 0 }, |driven| driven.drives)))
    }

    pub(super) fn last_owner(&self) -> u64 {
        self.owner
    }

    pub(super) fn relay_owner(&self) -> Option<u64> {
        self.relay_up.then_some(self.owner)
    }

    /// Whether the relay service's facts are known. An older image of the database, and a text with another price, are found out by
    /// nothing else.
    pub(super) fn facts(&self, now: Boot) -> Facts {
        if self.owner > 0 {
            Facts::Heard
        } else if self.relay_absent || self.relay_missing(now) {
            Facts::Missing
        } else {
            Facts::Awaited
        }
    }

    pub(super) fn deadline(&self, now: Boot) -> Option<Boot> {
        (self.facts(now) == Facts::Awaited).then_some(self.relay_changed_at + PREPARE_WAIT)
    }

    /// Whether the relay service is gone for longer than `Prepare` would wait for it.
    pub(super) fn relay_missing(&self, now: Boot) -> bool {
        !self.relay_up && now >= self.relay_changed_at + PREPARE_WAIT
    }

    /// Why the relay service is not this machine's, if so. It would give no ticket and believe no receipt.
    fn relay_foreign(&self, settings: &Settings) -> Option<String> {
        let device = self.relay.device.as_ref()?;
        (*device != settings.device).then(|| format!("it is of another machine, {device}"))
    }

    /// The refusal of everything that a relay of another machine would have to do, or one that was never heard.
    pub(super) fn relay_refusal(&self, settings: &Settings) -> Option<Refusal> {
        let foreign = self.relay_foreign(settings).map(|why| Refusal::new(Reason::Relay, format!("the relay service: {why}")));
        foreign.or_else(|| (self.owner == 0).then(no_answer))
    }

    /// Why the relay service cannot hand out anything now, if so.
    pub(super) fn relay_unfit(&self, settings: &Settings) -> Option<Refusal> {
        self.relay_refusal(settings).or_else(|| (!self.relay_up).then(no_answer))
    }

    /// The relay's open tickets. Another machine's are not ours to close.
    pub(super) fn tickets(&self, settings: &Settings) -> Option<Vec<Ticket>> {
        self.relay_foreign(settings).is_none().then(|| self.relay.tickets.clone())
    }

    /// The relay's lines while it is there, as far as it tells them. `None`: nobody knows.
    pub(super) fn known_lines(&self, settings: &Settings) -> Option<&[RelayLine]> {
        let is_known = self.relay_up && self.relay_foreign(settings).is_none();
        is_known.then_some(&*self.relay.lines)
    }

    pub(super) fn lines(&self, settings: &Settings) -> &[RelayLine] {
        self.known_lines(settings).unwrap_or_default()
    }

    pub(super) fn relay_status(&self) -> Option<&RelayStatus> {
        self.relay_up.then_some(&self.relay.status)
    }

    pub(super) fn relay_troubled(&self) -> bool {
        !self.relay.faults.is_empty() || self.relay.blocked().next().is_some()
    }

    /// The relay service's faults that need a person, by their names. `None`: it is not there.
    pub(super) fn relay_stands(&self, settings: &Settings) -> Option<BTreeSet<String>> {
        self.relay_up.then(|| {
            let own = self.relay.faults.iter().map(|fault| format!("{} {fault}", FaultCode::Relay));
            let lines = self.relay.blocked().map(|line| format!("{} {line}", FaultCode::LineBlocked));
            let foreign = self.relay_foreign(settings).map(|_| "relay of another machine".into());
            let refused = self.relay_refused.then(|| "relay refuses receipts".into());
            own.chain(lines).chain(foreign).chain(refused).collect()
        })
    }

    /// The body of a request, now and at every repetition.
    pub(super) fn posted(&self, offer: &Offer, settings: &Settings) -> Posted {
        let request = &offer.request;
        let description = request.description.as_deref().unwrap_or_else(|| settings.name_of(&offer.item));
        let description = description.chars().take(DESCRIPTION_MAX).collect::<String>().into();
        let machine = Some(settings.appearance.name.as_str().into());
        Posted { kids: self.relay.keys.clone(), relay_key: self.proof_key().cloned(), description, machine }
    }

    pub(super) fn relay_came(&mut self, out: &mut Outbox, now: Boot) {
        if self.relay_up || self.owner == 0 {
            self.relay_changed_at = now;
        }
        if !self.relay_up {
            out.journal(Journal::RelayBack {});
        }
        self.relay_up = true;
        self.owner += 1;
    }

    pub(super) fn relay_reported(&mut self, facts: RelayFacts, settings: &Settings, faults: &mut Faults, now: Now) {
        let before = self.relay_foreign(settings).is_some();
        self.relay = facts;
        if before != self.relay_foreign(settings).is_some() {
            self.relay_changed_at = now.boot;
        }
        self.relay_faults(settings, faults, now);
    }

    /// The slots whose line one more miss would not block.
    pub(super) fn take_more_misses(&self, settings: &Settings) -> BTreeSet<ItemId> {
        let lines = LineOf::new(self.lines(settings));
        settings.slots.keys().filter(|item| lines.of(item).is_some_and(|line| line.misses_left > 1)).cloned().collect()
    }

    pub(super) fn relay_prepared(&mut self, settings: &Settings, faults: &mut Faults, now: Now) {
        self.relay_refused = false;
        self.relay_faults(settings, faults, now);
    }

    pub(super) fn relay_refused(&mut self, error: RelayError, detail: &str, faults: &mut Faults, now: Now) {
        self.relay_refused = true;
        faults.set(FaultCode::Relay, Some(&format!("it refused a receipt: {error} ({detail})")), now);
    }

    pub(super) fn relay_gone(&mut self, why: &str, faults: &mut Faults, out: &mut Outbox, now: Now) {
        if self.relay_up {
            self.relay_changed_at = now.boot;
        }
        (self.relay_up, self.relay_absent) = (false, true);
        if faults.set(FaultCode::Relay, Some(why), now) {
            out.journal(Journal::RelayGone { why: text(why) });
        }
    }

    fn relay_faults(&self, settings: &Settings, faults: &mut Faults, now: Now) {
        if !self.relay_up {
            return;
        }
        let own = self.relay.faults.iter().map(RelayFault::as_str).collect::<Vec<_>>().join(", ");
        let own = (!own.is_empty()).then_some(own);
        let refused = self.relay_refused.then(|| "it refused a receipt".into());
        faults.set(FaultCode::Relay, self.relay_foreign(settings).or(own).or(refused).as_deref(), now);
        faults.set(FaultCode::LineBlocked, self.blocked(settings).as_deref(), now);
    }

    /// What is not sold because its line is blocked, by the names of the goods. A line that has none here is named itself.
    fn blocked(&self, settings: &Settings) -> Option<String> {
        let lines = LineOf::new(&self.relay.lines);
        let goods = |line: &RelayLine| {
            let items = settings.appearance.items.iter().filter(|item| lines.of(&item.id).is_some_and(|of| std::ptr::eq(of, line)));
            let goods: Vec<_> = items.map(|item| named(settings.goods_of(&item.id), item.id.as_str())).collect();
            if goods.is_empty() { vec![line.name.to_string()] } else { goods }
        };
        let blocked = self.relay.lines.iter().filter(|line| line.state == LineCondition::Blocked);
        let all: Vec<_> = blocked.flat_map(goods).collect();
        let more = all.len().saturating_sub(BLOCKED_TOLD);
        let told = all.iter().take(BLOCKED_TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
        (!all.is_empty()).then(|| if more > 0 { format!("{told} +{more}") } else { told })
    }

    /// An item that is shown, and that no line or no charge takes at its price: they may be other ones than when the price was taken.
    pub(super) fn price_faults(&self, settings: &Settings, faults: &mut Faults, now: Now) {
        let items = &settings.appearance.items;
        let mut refused = not_taken(items, self.lines(settings), &self.charges);
        let first = refused.next().map(|(at, _, why)| format!("{}: {why}", items[at].id));
        let more = refused.count();
        let told = first.map(|first| if more > 0 { format!("{first}; and {more} more") } else { first });
        faults.set(FaultCode::Prices, told.as_deref(), now);
    }

    pub(super) fn screen(&mut self, state: &ScreenState, faults: &mut Faults, out: &mut Outbox, now: Now) {
        let gone = match state {
            ScreenState::Working => None,
            ScreenState::Gone(why) => Some(&**why),
        };
        self.screen_gone_since = gone.and(self.screen_gone_since.or(Some(now.boot)));
        if faults.set(FaultCode::Screen, gone, now) {
            out.journal(gone.map_or(Journal::ScreenBack {}, |why| Journal::ScreenGone { why: text(why) }));
        }
    }

    /// Notes whether the backend is there, as far as its last answer tells. `true`: it is back.
    pub(super) fn backend(&mut self, answer: &BackendAnswer, faults: &mut Faults, out: &mut Outbox, now: Now) -> bool {
        let (why, date_refusal) = match answer {
            BackendAnswer::NoAnswer { why, date_refusal, .. } => (Some(&**why), *date_refusal),
            BackendAnswer::Wrong(refusal) => (Some(&*refusal.detail), false),
            // It is there, and can sell nothing.
            BackendAnswer::Later(refusal, _) if refusal.reason == Reason::Store => (Some(&*refusal.detail), false),
            BackendAnswer::Order(_)
            | BackendAnswer::Open(_)
            | BackendAnswer::Absent
            | BackendAnswer::OtherOutcome
            | BackendAnswer::Refused(_)
            | BackendAnswer::Later(..) => (None, false),
        };
        let news = faults.set(FaultCode::Backend, why, now);
        if news {
            out.journal(why.map_or(Journal::BackendBack {}, |why| Journal::BackendUnreachable { why: text(why) }));
        }
        self.backend_dates = date_refusal;
        self.clock(why, faults, out, now);
        news && why.is_none()
    }

    /// Whether the calls that wait for the backend begin at once: not again and again. The backend may answer one call while
    /// a proxy answers another with an error. Then the backend would seem to come and go for as long as both happen.
    pub(super) fn may_wake(&mut self, now: Boot) -> bool {
        let may = self.backend_woken.is_none_or(|woken| now >= woken + RETRY_MAX);
        if may {
            self.backend_woken = Some(now);
        }
        may
    }

    pub(super) fn dates_are_refused(&self) -> bool {
        self.broker_dates || self.backend_dates
    }

    pub(super) fn broker(&mut self, date_refusal: bool, why: Option<&str>, faults: &mut Faults, out: &mut Outbox, now: Now) {
        self.broker_dates = date_refusal;
        self.clock(why, faults, out, now);
    }

    pub(super) fn time_told(&mut self, at: Now) {
        self.told = Some(at);
    }

    /// Whether our clock agrees with the time that the backend has told, and that the boot clock has counted on.
    fn is_clock_right(&self, now: Now) -> bool {
        self.told.is_some_and(|told| (told.wall + (now.boot - told.boot)).0.abs_diff(now.wall.0) <= AGREES.0.unsigned_abs())
    }

    /// If TLS refuses the dates of a certificate, the clock may be wrong. If that is right, the certificate is what is wrong: who needs
    /// it says why it is refused.
    fn clock(&self, why: Option<&str>, faults: &mut Faults, out: &mut Outbox, now: Now) {
        let why = why.unwrap_or("TLS refuses the dates of a certificate");
        let why = (self.dates_are_refused() && !self.is_clock_right(now)).then_some(why);
        if faults.set(FaultCode::Clock, why, now)
            && let Some(why) = why
        {
            out.journal(Journal::ClockTrouble { why: text(why) });
        }
    }
}

/// The refusal of a customer who would wait for nothing.
pub(super) fn no_answer() -> Refusal {
    Refusal::new(Reason::Relay, "the relay service does not answer")
}
