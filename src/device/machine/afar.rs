//! The settings that come from afar: believed, kept, and taken when no customer is there.

use super::faults::Faults;
use super::outbox::Outbox;
use super::storage::Storage;
use super::trust::last_trusted;
use crate::config::afar::text::written;
use crate::config::afar::{self, Good};
use crate::store::StoreError;
use crate::store::fact::{Fact, Known};
use crate::words::{Charges, Effect, Settings, text};
use qris_core::order::ids::KeyId;
use qris_core::order::request::cut;
use qris_core::order::time::{Boot, Now, Span, Wall};
use qris_core::wire::relay::RelayLine;
use qris_core::wire::settings::{
    ConfigGetResult, Desired, FIRST_VERSIONS, Objection, RefusedSettings, Reported, Waiting, WrongValue, made_of,
};
use qris_core::wire::status::FaultCode;
use qris_host::events::Event as Journal;
use qris_host::mqtt::Ack;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

const KEPT: Fact<Kept> = Fact::new("settings");
/// The time of settings that wait is compared with the clock at least this often: the clock may be set.
const LOOK_EVERY: Span = Span::secs(60);
/// The most refusals that are told in a second. Anybody at the broker can make a machine refuse, also with what was signed long
/// ago.
const REFUSALS: usize = 5;
const SECOND: Span = Span::secs(1);
/// So much of a reason is told, in characters.
const MESSAGE_MAX: usize = 1000;

#[derive(Debug, Default)]
pub(super) struct Afar {
    /// Whether the database was asked. Before that, nobody knows what is in force.
    is_known: bool,
    kept: Kept,
    /// What [`Kept::next`] comes to. `None`: it was stored before this run of the program, and was not read yet.
    pub(super) next: Option<Box<Good>>,
    /// What was wanted last, and could not be stored yet. It is read again when the database works.
    unstored: Option<Box<[u8]>>,
    /// This release refuses what was in force.
    has_lost: bool,
    /// The keys in the text in force that this release does not know.
    left_out: Vec<WrongValue>,
    /// What was wanted last, if it was refused.
    refused: Option<RefusedSettings>,
    refusals: VecDeque<Boot>,
    look_at: Option<Boot>,
}

/// The part that the database has.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Kept {
    in_force: Option<Accepted>,
    /// They wait for their time, or for an order that holds the machine.
    next: Option<Accepted>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Accepted {
    desired: Desired,
    kid: KeyId,
    /// SHA-256 of the message that brought them.
    sum: Box<str>,
    /// Since when they are in force, RFC 3339; `None`: the clock was not trusted.
    since: Option<Box<str>>,
    /// The relay's lines were known, and take them.
    is_judged: bool,
}

/// What judges and keeps settings, beside themselves.
#[derive(Debug)]
pub(super) struct Around<'a> {
    pub(super) own: &'a Settings,
    pub(super) in_force: &'a mut Settings,
    /// The relay's lines, as far as it tells them. `None`: nobody knows, and what is new waits.
    pub(super) lines: Option<&'a [RelayLine]>,
    /// What the backend can charge.
    pub(super) charges: &'a Charges,
    pub(super) is_busy: bool,
    pub(super) storage: &'a mut Storage,
    pub(super) faults: &'a mut Faults,
    pub(super) out: &'a mut Outbox,
}

impl Around<'_> {
    fn store_failed(&mut self, error: &StoreError, now: Now) {
        self.storage.failed(error, self.faults, self.out, now);
    }
}

impl Kept {
    fn newest(&self) -> Option<&Accepted> {
        self.next.as_ref().or(self.in_force.as_ref())
    }
}

impl Afar {
    /// Whether these settings may follow those that the machine has. `now`: it is this time at the least.
    fn judge(&self, desired: &Desired, own: &Settings, now: Wall) -> Result<(), RefusedSettings> {
        let version = desired.version;
        // A card that was replaced has no settings any more, and takes what the broker has for the machine.
        let is_new_card = self.kept == Kept::default() && desired.from > 0;
        let in_force = self.kept.in_force.as_ref().map(|in_force| &*in_force.desired.settings);
        let is_of_other = |wanted: &str| !is_new_card && *made_of(&written(own), in_force) != *wanted;
        let objection = match self.kept.newest().map(|newest| newest.desired.version) {
            None if version >= FIRST_VERSIONS => (
                Objection::Malformed,
                format!("a machine without settings takes no version from {FIRST_VERSIONS} on, and this is version {version}"),
            ),
            Some(has) if version < has => {
                (Objection::Stale, format!("version {version} is older than version {has}, which this machine has"))
            }
            Some(has) if version == has => (Objection::Conflict, format!("this machine has another version {has}")),
            Some(has) if desired.from != has => (
                Objection::Conflict,
                format!("version {version} was made from version {}, and this machine has version {has}", desired.from),
            ),
            // The broker kept it for long, or somebody held it back.
            None | Some(_) if desired.is_over(now) => {
                let until = Wall(desired.exp.saturating_mul(1000)).to_rfc3339();
                (Objection::Expired, format!("version {version} could be taken until {until} (exp): send the settings again"))
            }
            None | Some(_) if desired.made_of.as_deref().is_some_and(is_of_other) => {
                (Objection::Conflict, format!("version {version} was made of other settings than this machine has"))
            }
            None | Some(_) => return Ok(()),
        };
        Err(RefusedSettings { version: Some(version), code: objection.0, message: objection.1.into(), faults: Vec::new() })
    }

    /// The report for `config/reported`. There is none before the database was asked.
    pub(super) fn report(&self, Settings { labels, appearance, .. }: &Settings) -> Option<Reported> {
        let name = Some(appearance.name.as_str().into());
        self.is_known.then(|| Reported { name, labels: labels.clone(), ..self.reported() })
    }

    /// The same, with everything else that an operator must know before another text is written.
    pub(super) fn whole(&self, in_force: &Settings, own: &Settings, (lines, charges): (&[RelayLine], &Charges)) -> ConfigGetResult {
        let settings = self.kept.in_force.as_ref().map(|in_force| in_force.desired.settings.clone());
        ConfigGetResult {
            reported: self.report(in_force),
            settings,
            own: written(own).into(),
            lines: lines.to_vec(),
            amounts: charges.0.clone(),
        }
    }

    pub(super) fn reported(&self) -> Reported {
        let waiting = self.kept.next.as_ref().map(|next| Waiting {
            version: next.desired.version,
            kid: next.kid.clone(),
            effective_at: next.desired.effective_at.clone(),
        });
        let (left_out, refused) = (self.left_out.clone(), self.refused.clone());
        match &self.kept.in_force {
            None => Reported { waiting, refused, ..Reported::default() },
            Some(Accepted { desired, kid, since, .. }) => {
                let (version, kid, since) = (desired.version, Some(kid.clone()), since.clone());
                let own_file = desired.settings.trim().is_empty();
                Reported { version, own_file, kid, since, left_out, waiting, refused, ..Reported::default() }
            }
        }
    }

    pub(super) fn has_lost(&self) -> bool {
        self.has_lost
    }

    pub(super) fn deadline(&self) -> Option<Boot> {
        self.look_at
    }

    /// Settings came from the broker. It has the last ones for every new connection, so the same come again and again. Nothing is lost
    /// if they cannot be stored now, and the program ends.
    pub(super) fn desired(&mut self, payload: &[u8], ack: Ack, mut with: Around, now: Now) {
        self.read_desired(payload, &mut with, now);
        with.out.push(Effect::Ack(ack));
    }

    fn read_desired(&mut self, payload: &[u8], with: &mut Around, now: Now) {
        // Somebody has taken the text off the broker. What is in force stays.
        if payload.is_empty() {
            return;
        }
        let sum = qris_core::hex(digest(&SHA256, payload).as_ref()).into();
        match Desired::read(payload, &with.own.keys, &with.own.device) {
            // A key that was retired leaves in force what it has signed, and the broker still has that.
            Err((refused, _)) if refused.code == Objection::UnknownKey && self.kept.newest().is_some_and(|newest| newest.sum == sum) => {}
            Ok((desired, kid)) => {
                let is_taken = self.wanted(desired, kid, sum, with, now);
                self.unstored = (!is_taken).then(|| payload.into());
            }
            Err((refused, kid)) => self.refuse(refused, kid.as_ref(), with, now),
        }
    }

    /// `false`: they could not be stored.
    fn wanted(&mut self, desired: Desired, kid: KeyId, sum: Box<str>, with: &mut Around, now: Now) -> bool {
        if self.kept.newest().is_some_and(|newest| newest.desired == desired) {
            self.are_good(with, now);
            return true;
        }
        // A clock that is not trusted may be behind. Then it is at least as late as it was once.
        let at_least = with.own.trusted(now.wall).unwrap_or_default().max(last_trusted(with.storage, with.own));
        if let Err(refused) = self.judge(&desired, with.own, at_least) {
            self.refuse(refused, Some(&kid), with, now);
            return true;
        }
        let good = match afar::read(&desired.settings, desired.skip_unknown, with.own, (with.lines.unwrap_or_default(), with.charges)) {
            Ok(good) => good,
            Err(faults) => {
                self.refuse(invalid(&desired, faults), Some(&kid), with, now);
                return true;
            }
        };
        let kept = Kept { next: Some(Accepted { desired, kid, sum, since: None, is_judged: with.lines.is_some() }), ..self.kept.clone() };
        let is_taken = self.keep(kept, with, now);
        if is_taken {
            self.next = Some(Box::new(good));
            self.are_good(with, now);
            self.tell_why_they_wait(with, now);
        }
        is_taken
    }

    /// Who sent them finds them in the journal before they are in force, too.
    fn tell_why_they_wait(&self, with: &mut Around, now: Now) {
        let Some(Accepted { desired, kid, .. }) = &self.kept.next else { return };
        let until = match &desired.effective_at {
            Some(at) if look_again(desired, with.own, now).is_some() => text(at),
            _ if with.lines.is_none() => text("the relay service is there"),
            _ if with.is_busy => text("no customer is there"),
            _ => return,
        };
        let (version, by) = (i64::try_from(desired.version).unwrap_or(i64::MAX), with.own.keys.named(kid).into());
        with.out.journal(Journal::SettingsWait { version, until, by });
    }

    /// Takes settings that wait, if it is their time, the relay's lines can judge them, and no customer is there.
    pub(super) fn take_next(&mut self, mut with: Around, now: Now) {
        let with = &mut with;
        if !with.storage.is_failing()
            && let Some(payload) = self.unstored.take()
        {
            self.read_desired(&payload, with, now);
        }
        self.judge_next(with, now);
        self.look_at = None;
        let Some(next) = &self.kept.next else { return };
        let look_at = look_again(&next.desired, with.own, now);
        let Some(lines) = with.lines.filter(|_| look_at.is_none() && !with.is_busy && !with.storage.is_failing()) else {
            self.look_at = look_at;
            return;
        };
        let mut taken = next.clone();
        taken.since = with.own.time_of_day(now.wall);
        let told = Journal::SettingsTaken {
            version: i64::try_from(taken.desired.version).unwrap_or(i64::MAX),
            by: with.own.keys.named(&taken.kid).into(),
        };
        match self.good(&taken.desired, with.own, (lines, with.charges)) {
            Ok(good) => {
                if self.keep(Kept { in_force: Some(taken), next: None }, with, now) {
                    with.out.journal(told);
                    self.put_in_force(good, with);
                } else {
                    self.next = Some(Box::new(good));
                }
            }
            // They were good when they came: a newer release, another file of the machine or other lines judge otherwise. Their sender was
            // told that they wait, and hears nothing now.
            Err(faults) => {
                if self.keep(Kept { next: None, ..self.kept.clone() }, with, now) {
                    self.lose(invalid(&taken.desired, faults), Some(&taken.kid), with, now);
                }
            }
        }
    }

    /// Judges settings that came while nobody knew the relay's lines. Who sent a wrong text is told as if they had been known.
    fn judge_next(&mut self, with: &mut Around, now: Now) {
        let Some((next, lines)) = self.kept.next.as_ref().filter(|next| !next.is_judged).zip(with.lines) else { return };
        if with.storage.is_failing() {
            return;
        }
        let next = Accepted { is_judged: true, ..next.clone() };
        match self.good(&next.desired, with.own, (lines, with.charges)) {
            Ok(good) => {
                self.next = Some(Box::new(good));
                self.keep(Kept { next: Some(next), ..self.kept.clone() }, with, now);
            }
            Err(faults) => {
                if self.keep(Kept { next: None, ..self.kept.clone() }, with, now) {
                    self.refuse(invalid(&next.desired, faults), Some(&next.kid), with, now);
                }
            }
        }
    }

    fn good(&mut self, desired: &Desired, own: &Settings, judges: (&[RelayLine], &Charges)) -> Result<Good, Vec<WrongValue>> {
        match self.next.take() {
            Some(good) => good.with(judges),
            None => afar::read(&desired.settings, desired.skip_unknown, own, judges),
        }
    }

    /// Takes up what the database has. Without a broker nobody could change that any more, so the machine's own file is in force.
    pub(super) fn take_up(&mut self, mut with: Around, now: Now) -> Result<(), StoreError> {
        let with = &mut with;
        if with.own.broker.is_none() {
            return Ok(());
        }
        let Some(store) = with.storage.store_mut() else { return Ok(()) };
        let stored = store.known(&KEPT)?;
        self.is_known = true;
        match stored {
            // The database is another one than a moment ago.
            Known::Never if self.kept != Kept::default() => return store.keep(&KEPT, &self.kept),
            Known::Never => return Ok(()),
            Known::Damaged => {
                let message = "the settings in the database are damaged; the machine's own file is in force until they come again";
                let refused = RefusedSettings { version: None, code: Objection::Malformed, message: message.into(), faults: Vec::new() };
                self.lose(refused, None, with, now);
                return Ok(());
            }
            Known::Is(kept) => (self.kept, self.next) = (kept, None),
        }
        if let Some(Accepted { desired, kid, .. }) = self.kept.in_force.clone() {
            // They were judged when they were taken, and the relay service judges each sale.
            match afar::read(&desired.settings, desired.skip_unknown, with.own, (&[], &Charges::default())) {
                Ok(good) => self.put_in_force(good, with),
                Err(faults) => {
                    self.kept.in_force = None;
                    self.has_lost = true;
                    self.lose(invalid(&desired, faults), Some(&kid), with, now);
                }
            }
        }
        Ok(())
    }

    fn put_in_force(&mut self, Good { settings, left_out, .. }: Good, with: &mut Around) {
        with.out.push(Effect::Dress(Box::new(settings.appearance.clone())));
        *with.in_force = settings;
        (self.left_out, self.has_lost) = (left_out, false);
    }

    /// Stores what came from afar. `false`: it could not be stored, and nothing has changed.
    fn keep(&mut self, kept: Kept, with: &mut Around, now: Now) -> bool {
        match with.storage.store_mut().map(|store| store.keep(&KEPT, &kept)) {
            Some(Ok(())) => {
                self.kept = kept;
                true
            }
            Some(Err(error)) => {
                with.store_failed(&error, now);
                false
            }
            None => false,
        }
    }

    fn are_good(&mut self, with: &mut Around, now: Now) {
        self.refused = None;
        with.faults.set(FaultCode::Settings, None, now);
    }

    /// Settings that were taken once are not in force. So this is no matter between the machine and who sends: the machine has a fault.
    fn lose(&mut self, refused: RefusedSettings, kid: Option<&KeyId>, with: &mut Around, now: Now) {
        with.faults.set(FaultCode::Settings, Some(&format!("{}: {}", named(&refused), cut(refused.message.clone(), MESSAGE_MAX))), now);
        self.refuse(refused, kid, with, now);
    }

    /// Whoever sent them is told. The machine goes on with what it has, and has no fault.
    fn refuse(&mut self, mut refused: RefusedSettings, kid: Option<&KeyId>, with: &mut Around, now: Now) {
        let Afar { refusals, refused: last, .. } = self;
        refusals.retain(|at| now.boot < *at + SECOND);
        if refusals.len() >= REFUSALS {
            return;
        }
        refusals.push_back(now.boot);
        // It may repeat a word of the message, of any length.
        refused.message = cut(refused.message, MESSAGE_MAX);
        // Whoever sends the same again waits for an answer. The journal has it.
        with.out.repeat_settings();
        if last.as_ref() == Some(&refused) {
            return;
        }
        let by = kid.map_or("nobody that this machine knows".into(), |kid| with.own.keys.named(kid));
        with.out.journal(Journal::SettingsRefused { what: named(&refused).into(), by: by.into(), why: text(&refused.message) });
        self.refused = Some(refused);
    }
}

/// When to look again at settings whose time has not come, as far as anybody knows. `None`: it has come.
fn look_again(desired: &Desired, own: &Settings, now: Now) -> Option<Boot> {
    let due = desired.due()?;
    let left = own.trusted(now.wall).map(|wall| due - wall);
    let is_early = left.is_none_or(|left| left > Span::default());
    is_early.then(|| now.boot + left.map_or(LOOK_EVERY, |left| left.min(LOOK_EVERY)))
}

fn named(refused: &RefusedSettings) -> String {
    refused.version.map_or_else(|| "settings".into(), |version| format!("settings version {version}"))
}

fn invalid(desired: &Desired, faults: Vec<WrongValue>) -> RefusedSettings {
    let first = faults.first().map_or_else(String::new, WrongValue::to_string);
    let message = if faults.len() > 1 { format!("{first}; and more") } else { first };
    RefusedSettings { version: Some(desired.version), code: Objection::Invalid, message: message.into(), faults }
}
