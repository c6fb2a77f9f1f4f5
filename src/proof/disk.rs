//! A disk under SQLite that forgets, tears and fails as real ones do.
//!
//! The files are real ones in a directory, with the contents that the kernel would show. So the product's own pragmas, locks and shared
//! memory work unchanged, and other programs can rename a file. Beside them stands what the disk would still hold after a power cut. For
//! that, [`Disk::at`] puts a layer under SQLite (a VFS, see [`vfs`]). The layer sees each write, truncation, sync and deletion.
//! [`Disk::power_cut`] then keeps all unsynced data, none of it, or any sectors.
//!
//! Everything goes by the name of a database (`ledger.db`), which stands for its log too. Two runs of one seed with the same
//! acts do the same to the disk.

#[cfg(test)]
mod archives;
#[cfg(test)]
mod tests;
mod vfs;

use super::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A disk writes this many bytes whole or not at all.
const SECTOR: usize = 512;
/// The header of a frame in SQLite's log.
const FRAME_HEADER: usize = 24;

/// A call of SQLite to a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// A file is opened, and made if it is not there.
    Open,
    Read,
    Write,
    /// The frame is written that completes a transaction.
    Commit,
    Truncate,
    Sync,
    Delete,
    /// Memory is shared over a file.
    Share,
}

impl Op {
    pub const ALL: [Self; 8] = [Self::Open, Self::Read, Self::Write, Self::Commit, Self::Truncate, Self::Sync, Self::Delete, Self::Share];

    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::Commit => "commit",
            Self::Truncate => "truncate",
            Self::Sync => "fsync",
            Self::Delete => "delete",
            Self::Share => "share",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// EIO. Half of a write may have been done. A failed sync has lost its data.
    Io,
    /// ENOSPC. As long as it lasts, only existing data can be overwritten.
    Full,
    /// EROFS.
    ReadOnly,
    /// The program is killed: neither this nor anything after it is done, until [`Disk::revive`].
    Dies,
}

/// A directory of databases.
#[derive(Debug)]
pub struct Disk(Arc<Inner>);

#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    #[error("{} cannot be used as a disk: {source}", path.display())]
    Directory { path: PathBuf, source: std::io::Error },
    #[error("SQLite takes no disk of ours (code {0})")]
    Layer(i32),
}

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Record>,
    /// Deleted files, which may be back after a power cut.
    ghosts: BTreeMap<String, Vec<u8>>,
    faults: Vec<Fault>,
    struck: u64,
    /// The lasting troubles, by database.
    conditions: BTreeMap<String, Trouble>,
    dead: BTreeSet<String>,
    done: BTreeMap<(String, Op), u64>,
}

#[derive(Debug)]
struct Fault {
    database: String,
    op: Op,
    /// This many operations still succeed.
    spared: u64,
    trouble: Trouble,
}

#[derive(Debug, Default)]
struct Record {
    itself: Option<Itself>,
    /// The contents that are certain after a power cut.
    durable: Vec<u8>,
    /// The later changes, in order.
    pending: Vec<Change>,
    /// The length of the file, as its program sees it.
    length: usize,
    /// Is its name certain in the directory?
    named: bool,
    handles: u32,
}

#[derive(Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate(usize),
}

impl Disk {
    /// The databases in `directory`, from now on. Existing files are durable.
    pub fn at(directory: &Path) -> Result<Self, DiskError> {
        let directory = directory.canonicalize().map_err(|source| DiskError::Directory { path: directory.into(), source })?;
        let inner = Arc::new(Inner { directory, state: Mutex::default() });
        vfs::watch(&inner).map_err(DiskError::Layer)?;
        Ok(Self(inner))
    }

    /// Lets this operation of a database fail: the `nth` from now, from 1.
    pub fn fail(&self, database: &str, op: Op, nth: u64, trouble: Trouble) {
        self.0.state().faults.push(Fault { database: database.into(), op, spared: nth.saturating_sub(1), trouble });
    }

    /// Cancels the failures that are still to come.
    pub fn forgive(&self) {
        self.0.state().faults.clear();
    }

    /// How often something failed by [`Disk::fail`].
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.0.state().struck
    }

    /// From now on, for this database: a full disk, one that may only be read, one that cannot even be read; or well again.
    pub fn set(&self, database: &str, condition: Option<Trouble>) {
        let mut state = self.0.state();
        match condition {
            Some(Trouble::Dies) => drop(state.dead.insert(database.into())),
            Some(trouble) => drop(state.conditions.insert(database.into(), trouble)),
            None => drop(state.conditions.remove(database)),
        }
    }

    /// The program that has this database is killed: when it closes the database, nothing changes any more. Call this before
    /// its connections are dropped, and [`Disk::revive`] afterwards.
    pub fn kill(&self, database: &str) {
        self.0.state().dead.insert(database.into());
    }

    /// Is the program of this database dead, by [`Disk::kill`] or [`Trouble::Dies`]?
    #[must_use]
    pub fn is_dead(&self, database: &str) -> bool {
        self.0.state().dead.contains(database)
    }

    /// Tells, as long as the disk is there, whether the program of this database is alive.
    pub fn lives(&self, database: &'static str) -> Box<dyn Fn() -> bool + Send + Sync> {
        let inner = Arc::downgrade(&self.0);
        Box::new(move || inner.upgrade().is_none_or(|inner| !inner.state().dead.contains(database)))
    }

    pub fn revive(&self, database: &str) {
        self.0.state().dead.remove(database);
    }

    /// How often this was done, or tried, so far.
    #[must_use]
    pub fn count(&self, database: &str, op: Op) -> u64 {
        self.0.state().done.get(&(database.into(), op)).copied().unwrap_or(0)
    }

    /// The power goes under these databases, of which none is open. Unsynced data is there, is not there, or is there in part.
    /// Files that others than SQLite renamed or removed stay as they are. Tells how many files lost something.
    ///
    /// # Panics
    /// When one of them is still open. A program that writes while the power goes is [killed](Disk::kill) and dropped before.
    pub fn power_cut(&self, databases: &[&str], seed: u64) -> std::io::Result<u64> {
        let mut rng = Rng::new(seed);
        let mut state = self.0.state();
        let mut lost = 0;
        let names: Vec<String> = state.files.keys().filter(|name| databases.contains(&database_of(name))).cloned().collect();
        for name in names {
            let path = self.0.directory.join(&name);
            let Some(record) = state.files.get_mut(&name) else { continue };
            assert!(record.handles == 0, "{name} is open while the power goes");
            if !record.is_at(&path) {
                // Renamed or removed by others.
                state.files.remove(&name);
                continue;
            }
            // Drawn for each file, whatever is done with it. So an additional file changes only the turn of the others.
            let (unnamed, mut draws) = (rng.below(2) == 0, Rng::new(rng.number()));
            if !record.named && unnamed {
                std::fs::remove_file(&path)?;
                state.files.remove(&name);
                lost += 1;
                continue;
            }
            let image = record.after_cut(&mut draws);
            if image != std::fs::read(&path)? {
                lost += 1;
                OpenOptions::new().write(true).truncate(true).open(&path)?.write_all(&image)?;
            }
            record.pending.clear();
            record.length = image.len();
            record.durable = image;
            record.named = true;
        }
        let ghosts: Vec<String> = state.ghosts.keys().filter(|name| databases.contains(&database_of(name))).cloned().collect();
        for name in ghosts {
            let path = self.0.directory.join(&name);
            let bytes = state.ghosts.remove(&name).unwrap_or_default();
            if rng.below(2) == 0 && !path.exists() {
                std::fs::write(&path, bytes)?;
                state.files.remove(&name);
                lost += 1;
            }
        }
        Ok(lost)
    }

    /// Flips one bit of a file (`ledger.db`, `ledger.db-wal`) for good. Nobody may have it open.
    pub fn flip(&self, file: &str, at: usize, bit: u8) -> std::io::Result<()> {
        let path = self.0.directory.join(file);
        let mut bytes = std::fs::read(&path)?;
        let mask = 1 << (bit % 8);
        let byte = bytes.get_mut(at).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        *byte ^= mask;
        std::fs::write(&path, &bytes)?;
        if let Some(record) = self.0.state().files.get_mut(file) {
            // All of its changes that were still on their way are there now.
            record.durable = bytes;
            record.pending.clear();
        }
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        vfs::forget(&self.0);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Do,
    Fails(Trouble),
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic may leave half-done state, but only in a test that has failed already.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is this done? `bytes` are the bytes to write, and their place.
    fn judge(&self, file: &str, op: Op, bytes: Option<(usize, &[u8])>) -> Verdict {
        let mut state = self.state();
        let database = database_of(file);
        if state.dead.contains(database) {
            return Verdict::Fails(Trouble::Dies);
        }
        *state.done.entry((database.into(), op)).or_default() += 1;
        let commits = bytes.is_some_and(|(_, bytes)| file.ends_with("-wal") && is_commit(bytes));
        if commits {
            *state.done.entry((database.into(), Op::Commit)).or_default() += 1;
        }
        let mut trouble = None;
        let mut spent = None;
        for (at, fault) in state.faults.iter_mut().enumerate() {
            if fault.database != database || !(fault.op == op || commits && fault.op == Op::Commit) {
                continue;
            }
            if fault.spared > 0 {
                fault.spared -= 1;
            } else if trouble.is_none() {
                (trouble, spent) = (Some(fault.trouble), Some(at));
            }
        }
        if let Some(at) = spent {
            state.faults.remove(at);
            state.struck += 1;
        }
        if trouble == Some(Trouble::Dies) {
            state.dead.insert(database.into());
        }
        let length = state.files.get(file).map_or(0, |record| record.length);
        let lasting = state.conditions.get(database).copied().filter(|condition| match (condition, op) {
            (Trouble::Io | Trouble::Dies, _) => true,
            (Trouble::Full, Op::Write) => bytes.is_some_and(|(at, bytes)| at + bytes.len() > length),
            (Trouble::Full, Op::Share) => true,
            (Trouble::Full, Op::Open | Op::Read | Op::Commit | Op::Truncate | Op::Sync | Op::Delete) => false,
            (Trouble::ReadOnly, Op::Open | Op::Write | Op::Commit | Op::Truncate | Op::Delete) => true,
            (Trouble::ReadOnly, Op::Read | Op::Sync | Op::Share) => false,
        });
        trouble.or(lasting).map_or(Verdict::Do, Verdict::Fails)
    }

    /// A file was opened; `existed` before.
    fn opened(&self, file: &str, existed: bool) {
        let path = self.directory.join(file);
        let mut state = self.state();
        let known = existed && state.files.get(file).is_some_and(|record| record.is_at(&path));
        if !known {
            let durable = if existed { std::fs::read(&path).unwrap_or_default() } else { Vec::new() };
            // An empty file was made a moment ago.
            let (length, named) = (durable.len(), existed && !durable.is_empty());
            state.files.insert(file.into(), Record { itself: Itself::at(&path), durable, length, named, ..Record::default() });
        }
        if let Some(record) = state.files.get_mut(file) {
            record.handles += 1;
        }
    }

    fn closed(&self, file: &str) {
        if let Some(record) = self.state().files.get_mut(file) {
            record.handles = record.handles.saturating_sub(1);
        }
    }

    fn wrote(&self, file: &str, at: usize, bytes: &[u8]) {
        if let Some(record) = self.state().files.get_mut(file) {
            record.length = record.length.max(at + bytes.len());
            record.pending.push(Change::Write { at, bytes: bytes.into() });
        }
    }

    fn truncated(&self, file: &str, length: usize) {
        if let Some(record) = self.state().files.get_mut(file) {
            record.length = length;
            record.pending.push(Change::Truncate(length));
        }
    }

    /// A failed sync has lost its data, and the next sync does not know of it.
    fn synced(&self, file: &str, directory: bool, done: bool) {
        let mut state = self.state();
        if let Some(record) = state.files.get_mut(file) {
            let pending = std::mem::take(&mut record.pending);
            if done {
                pending.iter().for_each(|change| change.apply(&mut record.durable));
            }
        }
        if directory && done {
            state.files.values_mut().for_each(|record| record.named = true);
            state.ghosts.clear();
        }
    }

    fn deleted(&self, file: &str, directory: bool) {
        let mut state = self.state();
        let record = state.files.remove(file);
        if directory {
            state.ghosts.clear();
        } else if let Some(record) = record.filter(|record| record.named) {
            state.ghosts.insert(file.into(), record.durable);
        }
    }
}

impl Record {
    /// Does the name still belong to this file?
    fn is_at(&self, path: &Path) -> bool {
        self.itself.as_ref().is_some_and(|itself| itself.is_at(path))
    }

    fn visible(&self) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        self.pending.iter().for_each(|change| change.apply(&mut bytes));
        bytes
    }

    fn after_cut(&self, rng: &mut Rng) -> Vec<u8> {
        let all = self.pending.len();
        if all == 0 {
            return self.durable.clone();
        }
        let some = |rng: &mut Rng| usize::try_from(rng.below(all as u64 + 1)).unwrap_or(0);
        match rng.below(4) {
            0 => self.durable.clone(),
            1 => self.visible(),
            // In order, and the last change is torn.
            2 => {
                let first = some(rng);
                let mut bytes = self.durable.clone();
                self.pending[..first].iter().for_each(|change| change.apply(&mut bytes));
                if let Some(Change::Write { at, bytes: more }) = self.pending.get(first) {
                    let sectors = more.len().div_ceil(SECTOR) as u64;
                    let kept = usize::try_from(rng.below(sectors + 1)).unwrap_or(0) * SECTOR;
                    let kept = more[..kept.min(more.len())].to_vec();
                    Change::Write { at: *at, bytes: kept }.apply(&mut bytes);
                }
                bytes
            }
            // Each sector has the contents of its own moment, and the length has its own moment too. But a file is cut whole
            // or not at all, and later writes are not there without the cut.
            _ => {
                let cuts = self.pending.iter().enumerate().filter(|(_, change)| matches!(change, Change::Truncate(_)));
                let cuts: Vec<usize> = cuts.map(|(at, _)| at).collect();
                let done = usize::try_from(rng.below(cuts.len() as u64 + 1)).unwrap_or(0);
                let least = done.checked_sub(1).map_or(0, |last| cuts[last] + 1);
                let most = cuts.get(done).copied().unwrap_or(all);
                let some = |rng: &mut Rng| least + usize::try_from(rng.below((most - least) as u64 + 1)).unwrap_or(0);
                let length = self.pending[..some(rng)].iter().fold(self.durable.len(), |length, change| change.length(length));
                let mut bytes = Vec::with_capacity(length);
                for from in (0..length).step_by(SECTOR) {
                    let to = (from + SECTOR).min(length);
                    bytes.extend(self.sector(from, to, some(rng)));
                }
                bytes
            }
        }
    }

    /// The bytes of the file after this many changes.
    fn sector(&self, from: usize, to: usize, changes: usize) -> Vec<u8> {
        let mut bytes = vec![0; to - from];
        let mut put = |at: usize, new: &[u8]| {
            let (first, last) = (at.max(from), (at + new.len()).min(to));
            if first < last {
                bytes[first - from..last - from].copy_from_slice(&new[first - at..last - at]);
            }
        };
        put(0, &self.durable);
        for change in &self.pending[..changes] {
            match change {
                Change::Write { at, bytes } => put(*at, bytes),
                Change::Truncate(length) => put((*length).max(from), &[0; SECTOR]),
            }
        }
        bytes
    }
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Truncate(length) => file.resize(*length, 0),
            // An empty write does not make it longer.
            Self::Write { bytes, .. } if bytes.is_empty() => {}
            Self::Write { at, bytes } => {
                let end = at + bytes.len();
                if file.len() < end {
                    file.resize(end, 0);
                }
                file[*at..end].copy_from_slice(bytes);
            }
        }
    }

    fn length(&self, before: usize) -> usize {
        match self {
            Self::Truncate(length) => *length,
            Self::Write { at, bytes } => before.max(at + bytes.len()),
        }
    }
}

fn database_of(file: &str) -> &str {
    ["-wal", "-journal", "-shm"].iter().find_map(|suffix| file.strip_suffix(suffix)).unwrap_or(file)
}

/// Is this the header of the frame that ends a transaction? It tells the size of the database after it.
fn is_commit(bytes: &[u8]) -> bool {
    bytes.len() == FRAME_HEADER && bytes[4..8] != [0; 4]
}

/// A file, whatever its present name. It is held open, so that no other file gets its number after it is gone: that would
/// depend on the computer's other work, and a seed would not repeat. `O_PATH` is used because closing any other handle would
/// take away the locks that SQLite has on the file.
#[derive(Debug)]
struct Itself(File);

impl Itself {
    fn at(path: &Path) -> Option<Self> {
        OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path).ok().map(Self)
    }

    fn is_at(&self, path: &Path) -> bool {
        let (Ok(held), Ok(there)) = (self.0.metadata(), path.symlink_metadata()) else { return false };
        (held.dev(), held.ino()) == (there.dev(), there.ino())
    }
}
