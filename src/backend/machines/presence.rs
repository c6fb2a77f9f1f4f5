//! Which machines are there. A machine that sells nothing asks nothing over HTTP, but it reports to the broker. So *there* means that
//! something is fresh: a call with its token, or a `telemetry` that is younger than two of its periods. A word of the broker's alone, such
//! as a retained `online`, never makes a machine there, because it may be of any age. But it can make a machine gone: `offline` is enough
//! for that, until something fresh comes. An `online` in the time before people are told only takes that back. A machine is missing when it
//! was not there for the merchant's time (`alerts.offline_after_s`, ten minutes).
//!
//! A machine that says that it never reports is missed only by `offline`. So is one that has not said anything at the broker.
//!
//! Until a machine is missing, people read what the broker says, as the broker's word: it is off, since then. That is written down at
//! once. Each start of this program hears the broker's `offline` again, with its age: so the merchant's time does not begin anew.

use super::reported::{AtBroker, Facts, Is, Noted, Report};
use super::topics::{Number, Topics};
use qris_core::order::ids::{DeviceId, RequestId};
use qris_core::order::time::{Boot, Now, Span, Wall};
use qris_core::wire::status::FaultCode;
use qris_core::wire::telemetry::EVERY_S;
use qris_core::wire::topics::{Topic, TopicsTold};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// So many periods without a report are silence.
const PERIODS: i64 = 2;
/// The most messages of machines that are not known yet, and may have been let in a moment ago.
const EARLY_MAX: usize = 64;
/// What is known of a machine is written down no more often than this. That it is off, or back, does not wait.
const NOTED_EVERY: Span = Span::secs(120);
/// … unless its faults are others: people wait for that, and who says so again and again must not wear out a disk.
const FAULTS_NOTED_EVERY: Span = Span::secs(10);
/// The same of what its screen offers.
const OFFERS_NOTED_EVERY: Span = Span::secs(2);
/// An `offline` may be older than this program. A machine that lost only the broker has so long to call, before it is missing.
const MAY_CALL: Span = Span::secs(60);
/// The most machines that are written down at a time: whoever writes a receipt waits for it.
const AT_ONCE: usize = 100;

#[derive(Debug)]
pub struct Presence {
    all: Mutex<All>,
    missing_after: Span,
}

#[derive(Debug, Default)]
struct All {
    machines: HashMap<DeviceId, MachinePresence>,
    /// Messages of machines that are not known.
    early: Vec<(DeviceId, Early)>,
    /// The time since which the broker brings all that machines say; `None`: it does not.
    hears_from: Option<Boot>,
}

/// What a message says of a machine.
#[derive(Debug)]
enum Early {
    Report(Report),
    Came(Topic, Option<Number>),
}

impl All {
    fn early(&mut self, device: DeviceId, early: Early) {
        if self.early.len() < EARLY_MAX {
            self.early.push((device, early));
        }
    }
}

#[derive(Debug)]
struct MachinePresence {
    /// What it said last of itself.
    facts: Option<Facts>,
    every: Every,
    /// The last time of something fresh, by both clocks.
    fresh_at: Now,
    /// The last time of a report that was fresh, or of the beginning of all this.
    reported_at: Boot,
    known_from: Boot,
    /// The time since which the broker says that it is gone. Nothing fresh came since then.
    offline_from: Option<Boot>,
    /// Whether that is known: the broker, or the machine itself, has said something.
    is_placed: bool,
    /// Another computer takes its place at the broker, as it says over HTTP. Its status hardly gets through.
    taken_over: bool,
    /// Its screen offers another try of this request now, and whether it waits for a number.
    offers: Option<(RequestId, bool)>,
    /// The last one, and when that began.
    offered: Option<(RequestId, Wall)>,
    topics: Topics,
    is: Is,
    /// It may be written down again from then on, if there is something new.
    note_from: Boot,
    is_noted: bool,
}

/// How often a machine reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Every {
    Unknown,
    Never,
    Span(Span),
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    /// The machines that are missing from now on.
    pub missing: Vec<DeviceId>,
    pub to_note: Vec<(DeviceId, Noted)>,
    /// The machines some of whose topics do not get through any more, with these.
    pub silent: Vec<(DeviceId, Vec<Topic>)>,
}

impl Presence {
    #[must_use]
    pub fn new(missing_after: Span) -> Self {
        Self { all: Mutex::default(), missing_after }
    }

    #[must_use]
    pub const fn missing_after(&self) -> Span {
        self.missing_after
    }

    /// The machines that are let in. The others are forgotten.
    pub fn know(&self, devices: &HashSet<DeviceId>, now: Now) {
        let mut all = self.lock();
        all.machines.retain(|device, _| devices.contains(device));
        for device in devices {
            all.machines.entry(device.clone()).or_insert_with(|| MachinePresence::new(now));
        }
        for (device, early) in std::mem::take(&mut all.early) {
            if let Some(known) = all.machines.get_mut(&device) {
                match early {
                    Early::Report(report) => known.report(report, now),
                    Early::Came(topic, number) => known.topics.came(topic, number),
                }
            }
        }
    }

    /// A call came with its token.
    pub fn called(&self, device: &DeviceId, now: Now) {
        // Only machines that are let in are known: an invented name takes no room.
        if let Some(known) = self.lock().machines.get_mut(device) {
            known.fresh(now);
        }
    }

    /// It says whether another computer takes its place at the broker.
    pub fn taken_over(&self, device: &DeviceId, is_so: bool) {
        if let Some(known) = self.lock().machines.get_mut(device)
            && known.taken_over != is_so
        {
            // It does not wait for its turn: somebody who was told looks now.
            (known.taken_over, known.is_noted, known.note_from) = (is_so, false, Boot(0));
        }
    }

    /// It says over HTTP which of its messages the broker took. `boot`: its present one.
    pub fn topics_told(&self, device: &DeviceId, told: &TopicsTold, boot: Option<&str>, now: Now) {
        if let Some(known) = self.lock().machines.get_mut(device) {
            known.topics.told(told, boot, now.boot);
        }
    }

    /// A message of this topic came from the broker.
    pub fn came(&self, device: &DeviceId, topic: Topic, number: Option<Number>) {
        let mut all = self.lock();
        match all.machines.get_mut(device) {
            Some(known) => known.topics.came(topic, number),
            None => all.early(device.clone(), Early::Came(topic, number)),
        }
    }

    /// Whether the broker takes what we write to it. `true`: it did not, and that is news.
    pub fn written(&self, device: &DeviceId, is_taken: bool) -> bool {
        self.lock().machines.get_mut(device).is_some_and(|known| known.topics.written(is_taken))
    }

    /// A message came from its account at the broker.
    pub fn reported(&self, device: DeviceId, report: Report, now: Now) {
        let mut all = self.lock();
        match all.machines.get_mut(&device) {
            Some(known) => known.report(report, now),
            None => all.early(device, Early::Report(report)),
        }
    }

    /// From now on the broker brings what machines say, or does not. What they said meanwhile was missed.
    pub fn hears(&self, hears: bool, now: Now) {
        self.lock().hears_from = hears.then_some(now.boot);
    }

    #[must_use]
    pub fn is_hearing(&self) -> bool {
        self.lock().hears_from.is_some()
    }

    /// The last time of something fresh of a machine that is there.
    #[must_use]
    pub fn there(&self, device: &DeviceId) -> Option<Wall> {
        self.lock().machines.get(device).and_then(|known| matches!(known.is, Is::There(_)).then_some(known.fresh_at.wall))
    }

    /// What it called itself last, as far as this process has heard it.
    #[must_use]
    pub fn name(&self, device: &DeviceId) -> Option<Box<str>> {
        self.lock().machines.get(device)?.facts.as_ref()?.name.clone()
    }

    /// Looks which machines are missing now, and what should be written down. Each is named once.
    #[must_use]
    pub fn check(&self, now: Now) -> News {
        let mut all = self.lock();
        let (hears_from, mut news) = (all.hears_from, News::default());
        for (device, known) in &mut all.machines {
            let gone_from = known.gone_from(hears_from).filter(|from| now.boot - *from >= self.missing_after);
            let gone_from = gone_from.filter(|_| now.boot - known.known_from >= MAY_CALL.min(self.missing_after));
            if news.missing.len() < AT_ONCE
                && let (Some(from), Is::Unknown | Is::There(_)) = (gone_from, known.is)
            {
                (known.is, known.is_noted) = (Is::Missing(now.wall - (now.boot - from)), false);
                news.missing.push(device.clone());
            }
            if let Some(new) = known.topics.look(hears_from, now.boot) {
                // It does not wait for its turn: somebody who was told looks now.
                (known.is_noted, known.note_from) = (false, Boot(0));
                news.silent.extend((!new.is_empty()).then(|| (device.clone(), new)));
            }
            if news.to_note.len() < AT_ONCE
                && now.boot >= known.note_from
                && !known.is_noted
                && let Some(noted) = known.to_note(now)
            {
                (known.note_from, known.is_noted) = (now.boot + NOTED_EVERY, true);
                news.to_note.push((device.clone(), noted));
            }
        }
        news
    }

    /// These could not be written, and are named again.
    pub fn failed(&self, missing: &[DeviceId], noted: &[DeviceId]) {
        let All { machines, .. } = &mut *self.lock();
        for device in missing {
            machines.entry(device.clone()).and_modify(|known| known.is = Is::Unknown);
        }
        for device in noted {
            machines.entry(device.clone()).and_modify(|known| known.is_noted = false);
        }
    }

    /// After a panic under the lock, at worst one machine is missed too late.
    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MachinePresence {
    fn new(now: Now) -> Self {
        Self {
            facts: None,
            every: Every::Unknown,
            fresh_at: now,
            reported_at: now.boot,
            known_from: now.boot,
            offline_from: None,
            is_placed: false,
            taken_over: false,
            offers: None,
            offered: None,
            topics: Topics::default(),
            is: Is::Unknown,
            note_from: Boot(0),
            is_noted: true,
        }
    }

    /// From when on it is off, by the broker; `None`: it is not. What is new here does not wait for its turn.
    fn place(&mut self, offline_from: Option<Boot>) {
        if !self.is_placed || self.offline_from.is_some() != offline_from.is_some() {
            (self.is_placed, self.offline_from) = (true, offline_from);
            (self.is_noted, self.note_from) = (false, Boot(0));
        }
    }

    fn fresh(&mut self, now: Now) {
        self.fresh_at = now;
        self.place(None);
        if !matches!(self.is, Is::There(_)) {
            (self.is, self.is_noted, self.note_from) = (Is::There(now.wall), false, Boot(0));
        }
    }

    fn report(&mut self, report: Report, now: Now) {
        match report {
            Report::Online { every, facts, offers } => {
                self.every = every.map_or(Every::Never, Every::Span);
                // This ends nothing that people were told: only something fresh does.
                self.place(None);
                if let Some((request, waits)) = &offers {
                    // With a number it is the answer to somebody who asked for it, also if it was there by itself before.
                    let is_known = self.offers.as_ref().is_some_and(|(known, waited)| known == request && (*waited || !waits));
                    if !is_known {
                        (self.offered, self.is_noted) = (Some((request.clone(), now.wall)), false);
                        self.note_from = self.note_from.min(now.boot + OFFERS_NOTED_EVERY);
                    }
                }
                self.offers = offers;
                if self.facts.as_ref() != Some(&facts) {
                    if self.facts.as_ref().is_some_and(|known| (&known.faults, &known.blocked) != (&facts.faults, &facts.blocked)) {
                        self.note_from = self.note_from.min(now.boot + FAULTS_NOTED_EVERY);
                    }
                    (self.facts, self.is_noted) = (Some(facts), false);
                }
            }
            Report::Offline { before } => self.place(Some(now.boot - before)),
            Report::Telemetry { at } => {
                let usual = Span::secs(EVERY_S.into());
                let every = match self.every {
                    Every::Span(every) => every,
                    Every::Unknown | Every::Never => usual,
                };
                // It may have waited on its way, as at a bridge.
                if at.is_none_or(|at| now.wall - at < periods(every)) {
                    self.fresh(now);
                    self.reported_at = now.boot;
                    if self.every == Every::Unknown {
                        self.every = Every::Span(usual);
                    }
                }
            }
        }
    }

    /// The time since which it is not there; `None`: nobody can say so.
    fn gone_from(&self, hears_from: Option<Boot>) -> Option<Boot> {
        let silent = match (self.every, hears_from) {
            (Every::Span(every), Some(from)) => Some(self.fresh_at.boot.max(self.reported_at.max(from) + periods(every))),
            (Every::Unknown | Every::Never, _) | (_, None) => None,
        };
        self.offline_from.into_iter().chain(silent).min()
    }

    fn to_note(&self, now: Now) -> Option<Noted> {
        let at_broker = match self.offline_from {
            Some(from) => AtBroker::Off(now.wall - (now.boot - from)),
            None if self.is_placed => AtBroker::On,
            None => AtBroker::Unknown,
        };
        if (self.is, at_broker) == (Is::Unknown, AtBroker::Unknown) {
            return None;
        }
        let mut facts = self.facts.clone();
        if self.taken_over {
            let facts = facts.get_or_insert_with(Facts::default);
            let others = facts.faults.iter().copied().filter(|fault| *fault != FaultCode::TakenOver);
            facts.faults = [FaultCode::TakenOver].into_iter().chain(others).collect();
        }
        Some(Noted { is: self.is, at_broker, facts, silent: self.topics.silent(now.boot), offered: self.offered.clone() })
    }
}

const fn periods(every: Span) -> Span {
    Span(every.0 * PERIODS)
}

#[cfg(test)]
mod tests;
