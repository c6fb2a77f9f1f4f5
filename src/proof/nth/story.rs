//! One customer's story, in which at most one thing fails. It is the N-th write, commit, call or pulse of one program, by an
//! error or by a crash; or a bit flips in a database. Then all is well, time passes, and the books are audited.
//!
//! It happens on the [`super::stage`].

use super::plot::{Counts, How, Kind, Scenario, Story, Strike, Turn, Who};
use super::stage::{Event, Stage};
use crate::disk::{Disk, DiskError, Op, Trouble};
use qris_backend::store::MACHINES_FILE;
use qris_core::order::ids::{OrderId, RequestId};
use qris_core::order::outcome::{DispenseAnswer, Outcome};
use qris_core::order::reason::Reason;
use qris_core::order::state::EventState as State;
use qris_core::wire::topics::Topic;
use qris_device::store::Store as _;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// From here on nothing fails any more, and somebody has looked at the line.
const WELL: i64 = 900_000;
/// A service manager starts a program again after this time, in milliseconds.
const RESTART: i64 = 1_000;
/// By then everything must be final: Midtrans repeats a notification for six hours.
const OVER: i64 = 8 * 3_600_000;
/// A backend that does not work on its database, or fails with it, is left to a person. After two hours all that it can list is
/// listed.
const LEFT_AFTER: i64 = 2 * 3_600_000;

/// The result of a story.
#[derive(Debug)]
pub struct Told {
    /// The rule that does not hold, if there is one.
    pub failure: Option<String>,
    /// Was there anything to fail?
    pub struck: bool,
    /// How many orders were dispensed, are to be refunded or were, are uncertain, or were not paid.
    pub ends: [u64; 4],
    /// The operations in it.
    pub counts: Counts,
    /// The length of the file whose bit flips, in bytes, at that moment.
    pub length: usize,
    /// How many databases were set aside.
    pub set_aside: usize,
    /// A program refused to work on its database and waits for a person.
    pub refused: bool,
    /// All events, one in each line.
    pub trace: String,
}

/// Why a story cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A directory or file of the simulation.
    #[error("the simulation cannot use {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The databases of an earlier release cannot be made.
    #[error("an earlier release's database: {0}")]
    Old(#[from] rusqlite::Error),
}

/// Databases that were used before.
#[derive(Debug)]
pub struct Template {
    directory: TempDir,
}

impl Template {
    /// Makes them in a directory of their own below `place`.
    ///
    /// # Errors
    /// When nothing can be made there.
    pub fn new(place: &Path) -> Result<Self, StoryError> {
        let prefix = format!("qris-nth-{}-", std::process::id());
        let own = tempfile::Builder::new().prefix(&prefix).tempdir_in(place);
        let own = own.map_err(|source| StoryError::File { path: place.into(), source })?;
        let directory = own.path();
        make(&directory.join("old"))?;
        let mut stage = Stage::new(directory, Disk::at(directory)?, Story::new(Scenario::Sale, None));
        stage.start_all();
        stage.go_on(1_500);
        stage.drop_machine();
        stage.drop_relay();
        stage.drop_merchant();
        for (who, id, sql) in [
            (Who::Machine, 0x5152_6431, include_str!("../../device/schema/1.sql")),
            (Who::Relay, 0x7172_6c79, include_str!("../../relay/schema/1.sql")),
            (Who::Backend, 0x7172_6201, include_str!("../../backend/schema/1.sql")),
        ] {
            let connection = Connection::open(directory.join("old").join(who.database()))?;
            connection.pragma_update(None, "page_size", 1024)?;
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
            connection.execute_batch(sql)?;
            connection.pragma_update(None, "application_id", id)?;
            connection.pragma_update(None, "user_version", 1)?;
        }
        Ok(Self { directory: own })
    }

    fn copy(&self, scenario: Scenario, to: &Path) -> Result<(), StoryError> {
        let from = match scenario {
            Scenario::Sale => return Ok(()),
            Scenario::OldDatabase => self.directory.path().join("old"),
            Scenario::Cancel | Scenario::TooLate | Scenario::Race | Scenario::Counter | Scenario::Reboot | Scenario::Refund => {
                self.directory.path().to_owned()
            }
        };
        for who in Who::ALL {
            let path = from.join(who.database());
            std::fs::copy(&path, to.join(who.database())).map_err(|source| StoryError::File { path, source })?;
        }
        Ok(())
    }
}

fn make(directory: &Path) -> Result<(), StoryError> {
    std::fs::create_dir_all(directory).map_err(|source| StoryError::File { path: directory.into(), source })
}

/// Numbers directories.
fn number() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// Tells one story.
///
/// # Errors
/// When there is no disk for it.
pub fn tell(template: &Template, scenario: Scenario, strike: Option<Strike>) -> Result<Told, StoryError> {
    let directory = template.directory.path().join(format!("story-{}", number()));
    make(&directory)?;
    template.copy(scenario, &directory)?;
    let disk = Disk::at(&directory)?;
    if let Some(Strike::Operation { who, kind: Kind::Disk(op), how, nth }) = strike {
        let trouble = match how {
            How::Error | How::Silent | How::ThenCrash | How::Foreign(_) => Trouble::Io,
            How::Full => Trouble::Full,
            How::Crash | How::After | How::PowerCut => Trouble::Dies,
        };
        disk.fail(who.database(), op, nth, trouble);
    }
    let mut stage = Stage::new(&directory, disk, Story::new(scenario, strike));
    stage.begin();
    stage.go_on(LEFT_AFTER);
    // A program that waits for a person then waits for ever.
    if !stage.merchant_is_down() {
        stage.go_on(OVER);
    }
    let refused = stage.is_refused();
    let failure = match stage.failure.take() {
        None if refused && !matches!(strike, Some(Strike::Flip { .. })) => Some("a program does not work any more".into()),
        None if refused => stage.audit_what_is_left(),
        None => stage.story_audit(),
        failure => failure,
    };
    let told = Told {
        failure,
        struck: stage.story.struck || stage.disk.struck() > 0,
        ends: stage.ends(),
        counts: std::mem::take(&mut stage.story.counts),
        length: stage.story.length,
        set_aside: aside(&directory),
        refused,
        trace: std::mem::take(&mut stage.trace),
    };
    drop(stage);
    drop(std::fs::remove_dir_all(&directory));
    Ok(told)
}

/// How many databases were set aside here.
fn aside(directory: &Path) -> usize {
    let names = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names
        .filter(|name| name.to_str().is_some_and(|name| name.contains(".corrupt-") && !name.ends_with("-wal") && !name.ends_with("-shm")))
        .count()
}

impl Stage {
    fn start_all(&mut self) {
        self.start_relay();
        self.start_merchant();
        self.start_machine(true);
    }

    fn begin(&mut self) {
        self.start_all();
        if let Some(Strike::Flip { at, .. }) = self.story.strike {
            self.at(at, Event::Story(Turn::Flips));
        }
        if self.story.scenario == Scenario::Refund {
            self.refund_automatically(5);
        }
        for at in [2_000, 40_000, 80_000] {
            self.at(at, Event::Story(Turn::Asks));
        }
        self.at(WELL, Event::Story(Turn::Well));
        self.at(3_600_000, Event::Story(Turn::Reconciles));
        self.at(5_400_000, Event::Reconnects);
    }

    pub(super) fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Asks => {
                let counter = self.story.scenario == Scenario::Counter;
                let how = if counter { r#","payment":"alfamart""# } else { "" };
                self.note(|| "a controller asks".into());
                self.broker_takes(Topic::VendRequest, format!(r#"{{"request_id":"r-1","item":"A1"{how}}}"#).into_bytes());
            }
            Turn::Collects(code) => {
                self.note(|| "somebody types in the code".into());
                self.broker_takes(Topic::VendCollect, format!(r#"{{"code":"{code}"}}"#).into_bytes());
            }
            Turn::Dies(who) => self.falls(who, How::Crash),
            Turn::Flips => self.flip(),
            Turn::Reconciles => self.reconcile(),
            Turn::Well => {
                self.disk.forgive();
                for (who, op) in Who::ALL.into_iter().flat_map(|who| Op::ALL.map(|op| (who, op))) {
                    self.story.counts.insert((who, Kind::Disk(op)), self.disk.count(who.database(), op));
                }
                self.note(|| "all is well from now on".into());
                self.clear_line();
            }
        }
    }

    /// The customer sees a QR, or a payment code.
    pub(super) fn story_shows(&mut self, payload: &str) {
        let pays = |force| Event::Pays { payload: payload.into(), force };
        match self.story.scenario {
            Scenario::Sale | Scenario::Reboot | Scenario::Refund | Scenario::OldDatabase => self.after(4_000, pays(false)),
            Scenario::Cancel => self.after(4_000, Event::Cancels),
            Scenario::TooLate => self.after(400_000, pays(true)),
            Scenario::Race => {
                self.after(4_000, Event::Cancels);
                self.after(4_120, pays(false));
            }
            Scenario::Counter => {
                self.after(4_000, pays(false));
                for after in [60_000, 200_000, 1_000_000, 2_000_000] {
                    self.after(after, Event::Story(Turn::Collects(payload.into())));
                }
            }
        }
    }

    /// Does the power go now, once?
    pub(super) fn story_reboots(&mut self) -> bool {
        self.story.scenario == Scenario::Reboot && !std::mem::replace(&mut self.story.has_rebooted, true)
    }

    /// Does the line jam now, once?
    pub(super) fn story_jams(&mut self) -> bool {
        self.story.scenario == Scenario::Refund && !std::mem::replace(&mut self.story.has_jammed, true)
    }

    /// The pause before the relay looks at its ledger again, and before other failed work is tried again, in milliseconds. Work
    /// that still fails when all is well waits for a person. Eight hours of attempts, one each second, would tell no more.
    pub(super) fn story_retries(&self) -> i64 {
        if self.story_is_well() { 600_000 } else { RESTART }
    }

    /// Have the disturbances ended?
    pub(super) fn story_is_well(&self) -> bool {
        self.now > WELL
    }

    /// Is this the operation that fails, and how?
    pub(super) fn strikes(&mut self, who: Who, kind: Kind) -> Option<How> {
        let story = &mut self.story;
        let count = *story.counts.entry((who, kind)).and_modify(|count| *count += 1).or_insert(1);
        let Some(Strike::Operation { who: whose, kind: of, how, nth }) = story.strike else { return None };
        if (whose, of, nth) != (who, kind, count) || story.struck {
            return None;
        }
        story.struck = true;
        self.note(|| format!("STRIKE: {} {} {nth}: {}", who.name(), kind.name(), how.name()));
        Some(how)
    }

    /// Did the disk kill this program? It is started again.
    pub(super) fn died(&mut self, who: Who) -> bool {
        let (is_dead, has_failed) = (self.disk.is_dead(who.database()), self.disk.struck() > 0);
        let story = &mut self.story;
        let Some(Strike::Operation { kind: Kind::Disk(_), how, nth, .. }) = story.strike else { return false };
        if !has_failed || std::mem::replace(&mut story.struck, true) {
            return false;
        }
        self.note(|| format!("STRIKE: a disk operation of {} {nth}: {}", who.name(), how.name()));
        if is_dead {
            self.falls(who, how);
        } else if how == How::ThenCrash {
            self.after(50, Event::Story(Turn::Dies(who)));
        }
        is_dead
    }

    /// A program is killed, or its computer loses its power.
    pub(super) fn falls(&mut self, who: Who, how: How) {
        self.note(|| format!("{} falls", who.name()));
        let power = how == How::PowerCut;
        match who {
            Who::Machine if !power => self.start_machine(true),
            Who::Relay if !power => self.restart_relay(),
            Who::Machine | Who::Relay => {
                self.kill(Who::Machine);
                self.kill(Who::Relay);
                self.disk_forgets(&[Who::Machine.database(), Who::Relay.database()]);
                self.machine.off_until = self.now + 5_000;
                self.restart_relay();
                self.start_machine(false);
            }
            Who::Backend => {
                self.kill(Who::Backend);
                if power {
                    self.disk_forgets(&[Who::Backend.database(), MACHINES_FILE]);
                }
                self.merchant_starts_later("killed", RESTART);
            }
        }
    }

    fn disk_forgets(&mut self, databases: &[&str]) {
        let seed = match self.story.strike {
            Some(Strike::Operation { nth, .. }) => nth,
            Some(Strike::Flip { .. }) | None => 0,
        };
        match self.disk.power_cut(databases, seed) {
            Ok(lost) => self.note(|| format!("the power cut costs {lost} files something")),
            Err(error) => self.fail(format!("the simulated disk: {error}")),
        }
    }

    /// The program ends at this point. Its disk sees nothing more of it.
    pub(super) fn kill(&mut self, who: Who) {
        self.disk.kill(who.database());
        if who == Who::Backend {
            self.disk.kill(MACHINES_FILE);
        }
        match who {
            Who::Machine => self.drop_machine(),
            Who::Relay => self.drop_relay(),
            Who::Backend => self.drop_merchant(),
        }
        self.disk.revive(who.database());
        self.disk.revive(MACHINES_FILE);
    }

    fn flip(&mut self) {
        let Some(Strike::Flip { who, log, byte, bit, .. }) = self.story.strike else { return };
        if log {
            self.kill(who);
        }
        match who {
            Who::Machine => self.drop_machine(),
            Who::Relay => self.drop_relay(),
            Who::Backend => self.drop_merchant(),
        }
        let file = format!("{}{}", who.database(), if log { "-wal" } else { "" });
        let length = std::fs::metadata(self.directory.join(&file)).map_or(0, |metadata| metadata.len());
        let done = self.disk.flip(&file, byte, bit).is_ok();
        (self.story.struck, self.story.length) = (done, usize::try_from(length).unwrap_or(0));
        self.note(|| format!("STRIKE: bit {bit} of byte {byte} of {file} flips ({length} bytes)"));
        match who {
            Who::Machine => self.start_machine(true),
            Who::Relay => self.restart_relay(),
            Who::Backend => self.start_merchant(),
        }
    }

    /// Has a program refused to work on its database, or failed with it, and said so? A flipped bit made it the database of a
    /// newer release, or of another program, or one that may not be written, or one with other names and rules.
    fn is_refused(&mut self) -> bool {
        self.machine_is_down() || self.merchant_is_down() || self.relay_is_shut()
    }

    /// The rules for every story: [`Stage::audit`], and that the machine agrees.
    fn story_audit(&mut self) -> Option<String> {
        // A log with a flipped bit has silently forgotten commits.
        self.amnesia |= aside(&self.directory) > 0 || matches!(self.story.strike, Some(Strike::Flip { log: true, .. }));
        if let Some(why) = self.audit() {
            return Some(why);
        }
        let paid = self.midtrans.transactions().into_iter().find(|book| book.settled_at_ms.is_some());
        let ledger = paid.as_ref().and_then(|book| OrderId::new(&book.order_id).ok()).map(|id| self.relay.query(&id));
        let Some(machine) = self.machine_store() else { return Some("the machine's database cannot be opened".into()) };
        let stored = match machine.by_request(&RequestId::new("r-1").expect("an id")) {
            Ok(stored) => stored,
            Err(error) => return Some(format!("the machine's database cannot be read: {error}")),
        };
        drop(machine);
        let reason = stored.as_ref().and_then(|stored| stored.order.name().1);
        let state = stored.map(|stored| stored.order.name().0);
        // An index that lost a row hides the row's order. If that order is asked for once more, the backend refuses it.
        let hidden = reason == Some(Reason::ReusedId) && matches!(self.story.strike, Some(Strike::Flip { who: Who::Machine, .. }));
        let agrees = match (&ledger, state) {
            // It was never asked for, or was refused, or is forgotten with its database.
            (_, None) => ledger.is_none() || self.amnesia,
            (None, Some(state)) => matches!(state, State::Cancelled | State::Expired | State::Denied | State::Failed),
            (Some(Some(DispenseAnswer::Ended(Outcome::Dispensed))), Some(state)) => {
                // The machine was told "uncertain".
                state == State::Dispensed || self.amnesia || hidden || state == State::RefundDue && self.has_a_sync_failed()
            }
            (Some(_), Some(state)) => matches!(state, State::RefundDue | State::Refunded) || self.amnesia,
        };
        if agrees { None } else { Some(format!("the machine says {state:?}, the ledger and Midtrans {ledger:?}")) }
    }
}
