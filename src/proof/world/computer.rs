//! The computer of a machine, as far as an update needs it: two slots with a system in each, a bootloader that counts the starts of a
//! system that nobody has called good, and RAUC.

use super::counts::Kind;
use super::events::computer::{Arrival, End};
use super::events::machine;
use super::{Event, World};
use qris_core::order::ids::CommandId;
use qris_core::wire::command::{Code, Problem};
use qris_device::words::{Operated, System, SystemAnswer, SystemCall};
use std::collections::BTreeSet;

/// RAUC answers within this time, or not at all: the bus's own limit.
const NO_ANSWER: i64 = 25_000;
/// A start that comes to nothing takes this time.
const LOST_START: i64 = 30_000;
/// By then something has started.
const LOST_MAX: i64 = 20 * LOST_START;
/// A new system is started so often until it is given up.
const STARTS_MAX: u32 = 3;
/// From here on RAUC may hang, in milliseconds after all is well. The customers who come then have bought.
pub(super) const LATE: i64 = 5 * 3_600_000;

#[derive(Debug)]
pub(super) struct Computer {
    slots: [Slot; 2],
    /// The slot that runs.
    runs: usize,
    /// The slot that the bootloader starts next.
    first: usize,
    installing: Option<Installation>,
    installations: u64,
    /// The program did not hear that the system that runs was called good.
    is_mark_unheard: bool,
    /// The installation of the last system of which the program knows that it is good. `None`: of none.
    good: Option<u64>,
    /// The faults that the relay service told under that system. Where the world cannot know which of them the program has stored, it is
    /// all of them.
    stood: BTreeSet<Box<str>>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The installation that brought its system. 0: it came with the machine.
    installation: u64,
    /// The command for that. `None`: RAUC did it by itself.
    of: Option<usize>,
    fate: Fate,
    state: State,
    started: u32,
}

/// What a system is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Works,
    DoesNotStart,
    /// It never shows anything.
    NoScreen,
    NoRauc,
    /// Its relay service cannot open the line.
    NoLine,
}

/// What the bootloader knows of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is no whole system.
    Bad,
    /// Nobody has called it good. It is started so many times yet.
    Untried {
        starts: u32,
    },
    Good,
}

#[derive(Debug)]
struct Installation {
    number: u64,
    /// The run of the program that waits for its end, and its name for it. `None`: RAUC does it by itself.
    waits: Option<(u64, CommandId)>,
    hangs: bool,
}

impl Default for Computer {
    fn default() -> Self {
        let first = Slot { installation: 0, of: None, fate: Fate::Works, state: State::Good, started: 0 };
        Self {
            slots: [first, Slot { state: State::Bad, ..first }],
            runs: 0,
            first: 0,
            installing: None,
            installations: 0,
            is_mark_unheard: false,
            good: None,
            stood: BTreeSet::new(),
        }
    }
}

impl Computer {
    /// The command that brought the system that runs.
    pub(super) const fn runs_system_of(&self) -> Option<usize> {
        self.slots[self.runs].of
    }

    /// The command whose system is being installed now.
    pub(super) fn installs_for(&self) -> Option<usize> {
        self.installing.as_ref().filter(|one| !one.hangs).and_then(|_| self.slots[1 - self.runs].of)
    }

    /// The name of the slot that runs.
    pub(super) fn slot(&self) -> String {
        format!("rootfs.{}", self.runs)
    }

    pub(super) fn runs_good_system(&self) -> bool {
        self.slots[self.runs].state == State::Good
    }

    pub(super) fn is_without_screen(&self) -> bool {
        self.slots[self.runs].fate == Fate::NoScreen
    }

    pub(super) fn is_without_line(&self) -> bool {
        self.slots[self.runs].fate == Fate::NoLine
    }

    fn is_without_rauc(&self) -> bool {
        self.slots[self.runs].fate == Fate::NoRauc
    }
}

impl World {
    pub(super) fn tells_slot(&mut self, m: usize, id: &CommandId, may_be_late: bool) {
        if self.machines[m].computer.is_without_rauc() || self.goes_wrong(12, Kind::RaucSilent) {
            let answer = if may_be_late { Operated::NoAnswer } else { rauc("no answer") };
            return self.operated(m, id, answer, NO_ANSWER);
        }
        let slot = self.machines[m].computer.slot();
        let delay = 1 + self.below(500);
        self.operated(m, id, Operated::Slot(slot.into()), delay);
    }

    /// RAUC is to install a system in the slot that does not run.
    pub(super) fn installs(&mut self, m: usize, id: &CommandId, number: usize, may_join: bool) {
        let waits = Some((self.machines[m].run, id.clone()));
        if let Some(under_way) = &mut self.machines[m].computer.installing {
            if may_join {
                // It may be another one: RAUC does not tell. What runs afterwards tells.
                under_way.waits = waits;
                return;
            }
            return self.operated(m, id, rauc("it installs something already"), 5);
        }
        let is_refused = self.goes_wrong(12, Kind::CutOff);
        if is_refused || self.machines[m].computer.is_without_rauc() {
            let delay = 5 + self.below(3_000);
            return self.operated(m, id, rauc("signature verification failed"), delay);
        }
        self.begins_installation(m, Some(number), waits);
    }

    /// RAUC has found something by itself. Its `pre-install` has the machine held.
    pub(super) fn installs_by_itself(&mut self, m: usize) {
        let computer = &self.machines[m].computer;
        if computer.installing.is_none() && !computer.is_without_rauc() && self.rauc_holds(m) {
            self.count(Kind::ByItself, "RAUC installs by itself");
            self.begins_installation(m, None, None);
        }
    }

    fn begins_installation(&mut self, m: usize, of: Option<usize>, waits: Option<(u64, CommandId)>) {
        self.judge_overwriting(m);
        let fate = self.draws_fate();
        let hangs = self.now > self.heals_at + LATE && self.one_in(6);
        let computer = &mut self.machines[m].computer;
        computer.installations += 1;
        let installation = computer.installations;
        computer.installing = Some(Installation { number: installation, waits, hangs });
        computer.first = computer.runs;
        computer.slots[1 - computer.runs] = Slot { installation, of, fate, state: State::Bad, started: 0 };
        self.note(|| format!("RAUC installs a system for {of:?}: {fate:?}{}", if hangs { ", and hangs" } else { "" }));
        let takes = 4_000 + self.below(120_000);
        for (part, percent) in [(1, 25), (2, 50), (3, 75)] {
            self.after(takes * part / 4, Event::Computer(m, Arrival::Percent { installation, percent }));
        }
        if hangs {
            return;
        }
        let is_cut = self.goes_wrong(12, Kind::CutOff);
        let (after, end) = if is_cut { (takes / 3, End::CutOff) } else { (takes, End::Whole) };
        self.after(after, Event::Computer(m, Arrival::Ends { installation, end }));
    }

    /// The rule for a new system that is still tried: the last good one is in the other slot, and is not overwritten.
    fn judge_overwriting(&mut self, m: usize) {
        let computer = &self.machines[m].computer;
        let (runs, other) = (computer.slots[computer.runs], computer.slots[1 - computer.runs]);
        // The program does not wait for ever for a bootloader that never goes back.
        let is_tried = runs.state != State::Good && runs.started <= STARTS_MAX;
        if is_tried && other.state == State::Good && computer.good.is_some() && !self.is_machine_forgetful() {
            self.fail("the last good system is overwritten while a new one is tried".into());
        }
    }

    /// What a new system is like. Between the moment when all is well and the last customer all of them work.
    fn draws_fate(&mut self) -> Fate {
        if !self.storm && self.now < self.heals_at + LATE {
            return Fate::Works;
        }
        match self.below(6) {
            0 => Fate::DoesNotStart,
            1 => Fate::NoScreen,
            2 => Fate::NoRauc,
            3 => Fate::NoLine,
            _ => Fate::Works,
        }
    }

    pub(super) fn computer_arrival(&mut self, m: usize, arrival: Arrival) {
        let number = match arrival {
            Arrival::Percent { installation, .. } | Arrival::Ends { installation, .. } => installation,
            Arrival::Looks { run } => return self.awaits_idle(m, run),
        };
        let computer = &mut self.machines[m].computer;
        let Some(Installation { waits, hangs, .. }) = computer.installing.take_if(|one| one.number == number) else { return };
        if matches!(arrival, Arrival::Ends { .. }) && waits.is_none() {
            // The program gives the machine back when it sees this.
            self.machines[m].held_until = None;
        }
        let computer = &mut self.machines[m].computer;
        let answer = match arrival {
            Arrival::Percent { percent, .. } => {
                computer.installing = Some(Installation { number, waits: waits.clone(), hangs });
                Operated::Percent(percent)
            }
            Arrival::Looks { .. } => return,
            Arrival::Ends { end: End::CutOff, .. } => rauc("it ended without a word"),
            Arrival::Ends { end: End::Whole, .. } => {
                let (other, brought) = (1 - computer.runs, computer.slots[1 - computer.runs].of);
                computer.first = other;
                if let Some(of) = brought.filter(|of| self.commands.has_failed(*of) && !self.is_machine_forgetful()) {
                    return self.fail(format!("c-{of} is told as failed, and is installed all the same"));
                }
                let starts = [1, 2, 3, 3, 3, 9][self.below_usize(6)];
                let slot = &mut self.machines[m].computer.slots[other];
                // One that does not start is started for ever by no bootloader.
                slot.state = State::Untried { starts: if slot.fate == Fate::DoesNotStart { 3 } else { starts } };
                self.count(Kind::Updates, "RAUC has installed it");
                Operated::Installed
            }
        };
        if let Some((run, id)) = waits {
            self.machine_hears(m, machine::Arrival::Operated { run, id, answer }, 2);
        }
    }

    pub(super) fn checks_system(&mut self, m: usize, call: SystemCall) {
        let is_silent = self.machines[m].computer.is_without_rauc() || !self.is_planned() && self.goes_wrong(12, Kind::RaucSilent);
        let delay = 1 + self.below(500);
        match call {
            SystemCall::AwaitIdle => {
                let run = self.machines[m].run;
                self.after(delay, Event::Computer(m, Arrival::Looks { run }));
            }
            SystemCall::Reboot => self.starts_unproven_again(m),
            SystemCall::GetRunning | SystemCall::MarkGood if is_silent => self.system_answers(m, SystemAnswer::NoAnswer, NO_ANSWER),
            SystemCall::GetRunning => {
                let computer = &self.machines[m].computer;
                let installed = computer.slots[computer.runs].installation.to_string().into();
                let (system, is_installing) = (System { slot: computer.slot().into(), installed }, computer.installing.is_some());
                self.system_answers(m, SystemAnswer::Runs { system, is_installing }, delay);
            }
            SystemCall::MarkGood => self.marks_good(m, delay),
        }
    }

    fn awaits_idle(&mut self, m: usize, run: u64) {
        if self.machines[m].run != run {
            return;
        }
        if self.machines[m].computer.installing.is_some() {
            return self.after(2_000, Event::Computer(m, Arrival::Looks { run }));
        }
        self.system_answers(m, SystemAnswer::Idle, 2);
    }

    /// The computer is restarted, because its system has not proven itself.
    fn starts_unproven_again(&mut self, m: usize) {
        let computer = &self.machines[m].computer;
        if computer.slots[computer.runs].state == State::Good && !self.is_machine_forgetful() && !computer.is_mark_unheard {
            return self.fail("the computer is restarted, and its system was called good".into());
        }
        if let Some(why) = self.why_not_now(m, None) {
            return self.fail(format!("the computer is restarted for its system {why}"));
        }
        if self.goes_wrong(10, Kind::RebootUndone) {
            return self.system_answers(m, SystemAnswer::NoAnswer, 2_000);
        }
        self.count(Kind::StartedAgain, "the computer is restarted: its system has not proven itself");
        self.cut_power(m);
    }

    fn system_answers(&mut self, m: usize, answer: SystemAnswer, after: i64) {
        let run = self.machines[m].run;
        self.machine_hears(m, machine::Arrival::System { run, answer }, after);
    }

    /// The computer starts. Answers with the time that lost starts cost.
    pub(super) fn boots(&mut self, m: usize) -> i64 {
        if self.machines[m].computer.installing.take().is_some() {
            self.count(Kind::CutOff, "the power goes while a system is installed");
        }
        let mut lost = 0;
        while lost < LOST_MAX {
            let computer = &mut self.machines[m].computer;
            let (first, other) = (computer.first, 1 - computer.first);
            match &mut computer.slots[first].state {
                State::Good => {
                    computer.runs = first;
                    return lost;
                }
                State::Untried { starts } if *starts > 0 => {
                    *starts -= 1;
                    computer.runs = first;
                    computer.slots[first].started += 1;
                    if computer.slots[first].fate != Fate::DoesNotStart {
                        return lost;
                    }
                    lost += LOST_START;
                }
                State::Untried { .. } | State::Bad => {
                    // One whose starts are used up is counted anew, when the bootloader has nothing else.
                    let to = if computer.slots[other].state == State::Bad { first } else { other };
                    match &mut computer.slots[to].state {
                        State::Untried { starts } => *starts = (*starts).max(1),
                        State::Good => {}
                        State::Bad => break,
                    }
                    computer.first = to;
                    self.count(Kind::WentBack, "the bootloader goes back");
                }
            }
        }
        self.fail("no slot has a system that starts".into());
        lost
    }

    fn marks_good(&mut self, m: usize, delay: i64) {
        let of = self.machines[m].computer.runs_system_of();
        self.judge_proof(m);
        self.judge_faults(m);
        let computer = &mut self.machines[m].computer;
        computer.slots[computer.runs].state = State::Good;
        let name = computer.slot();
        self.count(Kind::Proved, "RAUC calls the system good");
        let is_lost = !self.is_planned() && self.goes_wrong(8, Kind::RaucSilent);
        self.machines[m].computer.is_mark_unheard = is_lost;
        if let Some(number) = of {
            self.commands.marked(number, &name);
        }
        if is_lost {
            self.system_answers(m, SystemAnswer::NoAnswer, NO_ANSWER);
        } else {
            self.system_answers(m, SystemAnswer::Good, delay);
        }
    }

    /// The rule for faults that a person has to mend: a system is not called good if it has one that the last good system did not have.
    fn judge_faults(&mut self, m: usize) {
        let machine = &self.machines[m];
        if machine.computer.good.is_none() || self.is_machine_forgetful() {
            return;
        }
        if let Some(fault) = machine.relay_trouble.difference(&machine.computer.stood).next() {
            self.fail(format!("a system is called good with {fault}, which the last good one did not have"));
        }
    }

    /// Notes what stands under a good system. The program has stored it, if nothing stood in its way.
    pub(super) fn note_what_stands(&mut self, m: usize) {
        let machine = &mut self.machines[m];
        let (computer, trouble) = (&mut machine.computer, &machine.relay_trouble);
        let runs = computer.slots[computer.runs];
        if runs.state != State::Good || machine.program.is_none() {
            return;
        }
        if machine.has_relay && !machine.fails && machine.knows_system && computer.good == Some(runs.installation) {
            computer.stood.clone_from(trouble);
        } else {
            computer.stood.extend(trouble.iter().cloned());
        }
    }

    pub(super) fn system_answered(&mut self, m: usize, answer: &SystemAnswer) {
        let machine = &mut self.machines[m];
        if machine.program.is_none() || machine.fails {
            return;
        }
        match answer {
            SystemAnswer::Runs { .. } => machine.knows_system = true,
            SystemAnswer::Good => machine.computer.good = Some(machine.computer.slots[machine.computer.runs].installation),
            SystemAnswer::NoAnswer | SystemAnswer::GoesOn | SystemAnswer::Idle => {}
        }
        self.note_what_stands(m);
    }

    /// All systems work from now on: somebody has seen to them.
    pub(super) fn mend_systems(&mut self) {
        for m in 0..self.machines.len() {
            self.machines[m].computer.slots.iter_mut().for_each(|slot| slot.fate = Fate::Works);
            self.check_line(m);
        }
    }

    /// What came of an operation reaches this run of the program.
    pub(super) fn operated(&mut self, m: usize, id: &CommandId, answer: Operated, after: i64) {
        let run = self.machines[m].run;
        self.machine_hears(m, machine::Arrival::Operated { run, id: id.clone(), answer }, after);
    }
}

fn rauc(why: &str) -> Operated {
    Operated::Refused(Problem::new(Code::Refused, format!("RAUC: {why}")))
}
