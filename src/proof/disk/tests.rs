use super::{Disk, Op, Trouble};
use qris_host::sqlite::{self, Opened, Schema};
use rusqlite::Connection;
use std::path::Path;

const SCHEMA: Schema =
    Schema { application_id: 0x7172_7330, steps: &["CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT) STRICT;"], adding: &[] };
const NAME: &str = "a.db";

struct Rig {
    directory: tempfile::TempDir,
    disk: Disk,
}

impl Rig {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let disk = Disk::at(directory.path()).expect("a disk");
        Self { directory, disk }
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join(NAME)
    }

    fn open(&self) -> Opened {
        sqlite::open(&self.path(), &SCHEMA).expect("opens")
    }

    /// Killed at any point of its work.
    fn kill(&self, connection: Connection) {
        self.disk.kill(NAME);
        drop(connection);
        self.disk.revive(NAME);
    }

    fn cut(&self, connection: Connection, seed: u64) {
        self.kill(connection);
        self.disk.power_cut(&[NAME], seed).expect("written");
    }
}

fn add(connection: &Connection, n: i64) -> rusqlite::Result<()> {
    connection.execute("INSERT INTO t VALUES (?1, ?2)", (n, "some text ".repeat(200))).map(drop)
}

fn rows(connection: &Connection) -> i64 {
    connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).expect("a count")
}

fn is_sound(connection: &Connection) -> bool {
    sqlite::check(connection).expect("can be checked").is_none()
}

#[test]
fn what_was_committed_stays_whatever_the_power_cut_leaves_of_the_rest() {
    for seed in 0..60 {
        let rig = Rig::new();
        let opened = rig.open();
        for n in 0..20 {
            add(&opened.connection, n).expect("committed");
        }
        // One more, which is on its way when the power goes.
        opened.connection.execute_batch("PRAGMA synchronous = OFF").expect("a pragma");
        add(&opened.connection, 20).expect("written");
        rig.cut(opened.connection, seed);
        let again = rig.open();
        assert!(!again.created && again.set_aside.is_none(), "seed {seed}");
        assert!((20..=21).contains(&rows(&again.connection)), "seed {seed}: {}", rows(&again.connection));
        assert!(is_sound(&again.connection), "seed {seed}");
    }
}

#[test]
fn what_was_not_synced_is_lost_with_some_seeds_and_torn_with_others() {
    let (mut all, mut none, mut between) = (0, 0, 0);
    for seed in 0..80 {
        let rig = Rig::new();
        let opened = rig.open();
        add(&opened.connection, 0).expect("committed");
        opened.connection.execute_batch("PRAGMA synchronous = OFF").expect("a pragma");
        (1..=10).for_each(|n| add(&opened.connection, n).expect("written"));
        rig.cut(opened.connection, seed);
        let again = rig.open();
        assert!(is_sound(&again.connection), "seed {seed}: SQLite takes no frame after a torn one");
        match rows(&again.connection) {
            11 => all += 1,
            1 => none += 1,
            _ => between += 1,
        }
    }
    assert!(all > 5 && none > 5 && between > 5, "all {all}, none {none}, between {between}");
}

/// Without syncs a checkpoint writes into the database what its log may lose. The damage is there, and must be found.
#[test]
fn a_database_torn_in_a_checkpoint_without_syncs_is_found_damaged() {
    let mut damaged = 0;
    for seed in 0..60 {
        let rig = Rig::new();
        let opened = rig.open();
        (1..=20).for_each(|n| add(&opened.connection, n).expect("committed"));
        drop(opened);
        let opened = rig.open();
        opened.connection.execute_batch("PRAGMA synchronous = OFF").expect("a pragma");
        opened.connection.execute_batch("DELETE FROM t WHERE n > 5").expect("written");
        (21..=40).for_each(|n| add(&opened.connection, n).expect("written"));
        opened.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).expect("copied");
        rig.cut(opened.connection, seed);
        let again = rig.open();
        let sound = sqlite::check(&again.connection);
        damaged += u64::from(again.set_aside.is_some() || !matches!(sound, Ok(None)));
    }
    assert!(damaged > 5, "{damaged}");
}

/// With syncs it is never damaged, whenever the power goes.
#[test]
fn a_checkpoint_that_is_cut_off_anywhere_loses_nothing() {
    let mut nth = 1;
    loop {
        let rig = Rig::new();
        let opened = rig.open();
        for n in 0..8 {
            add(&opened.connection, n).expect("committed");
        }
        rig.disk.fail(NAME, Op::Write, nth, Trouble::Dies);
        let copied = opened.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        let untouched = rig.disk.struck() == 0;
        assert_eq!(copied.is_ok_and(|busy| busy == 0), untouched, "write {nth}");
        rig.disk.forgive();
        rig.cut(opened.connection, nth);
        let again = rig.open();
        assert_eq!((rows(&again.connection), is_sound(&again.connection)), (8, true), "write {nth}");
        if untouched {
            break;
        }
        nth += 1;
    }
    assert!(nth > 10, "{nth} writes");
}

/// The release after it: what was there is made anew, and something is added.
const NEXT: Schema = Schema {
    steps: &[
        SCHEMA.steps[0],
        "CREATE TABLE t_anew (n INTEGER PRIMARY KEY, text TEXT, length INTEGER NOT NULL) STRICT;
         INSERT INTO t_anew SELECT n, text, length(text) FROM t;
         DROP TABLE t;
         ALTER TABLE t_anew RENAME TO t;
         CREATE TABLE more (n INTEGER PRIMARY KEY) STRICT;",
    ],
    ..SCHEMA
};

/// A step is one transaction: whenever it is cut off, the next start does it, and no row is lost.
#[test]
fn a_step_that_is_cut_off_anywhere_is_done_at_the_next_start() {
    let (mut cut, mut began_anew) = (0, 0);
    for op in [Op::Write, Op::Commit, Op::Sync] {
        for (nth, seed) in (1..).flat_map(|nth| (0..3).map(move |seed| (nth, seed))) {
            let rig = Rig::new();
            let opened = rig.open();
            (1..=20).for_each(|n| add(&opened.connection, n).expect("committed"));
            drop(opened);
            rig.disk.fail(NAME, op, nth, Trouble::Dies);
            let first = sqlite::open(&rig.path(), &NEXT);
            if rig.disk.struck() == 0 {
                first.expect("nothing was cut off");
                break;
            }
            cut += 1;
            drop(first);
            rig.disk.power_cut(&[NAME], seed).expect("written");
            rig.disk.forgive();
            rig.disk.revive(NAME);
            let version =
                |connection: &Connection| connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).expect("read");
            began_anew += u64::from(version(&Connection::open(rig.path()).expect("opens")) == 1);
            let what = format!("{op:?} {nth}, seed {seed}");
            let again = sqlite::open(&rig.path(), &NEXT).expect(&what);
            assert!(!again.created && again.set_aside.is_none() && is_sound(&again.connection), "{what}");
            assert_eq!((version(&again.connection), rows(&again.connection)), (2, 20), "{what}");
            let whole = "SELECT count(*) FROM t WHERE length = length(text)";
            assert_eq!(again.connection.query_row(whole, [], |row| row.get::<_, i64>(0)), Ok(20), "{what}");
            again.connection.execute("INSERT INTO more VALUES (1)", []).expect(&what);
        }
    }
    assert!(cut > 20 && began_anew > 10, "{cut}, {began_anew}");
}

#[test]
fn two_runs_of_a_seed_leave_the_same_bytes() {
    let run = |seed| {
        let rig = Rig::new();
        let opened = rig.open();
        opened.connection.execute_batch("PRAGMA synchronous = OFF").expect("a pragma");
        (1..=30).for_each(|n| add(&opened.connection, n).expect("written"));
        opened.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).expect("copied");
        rig.cut(opened.connection, seed);
        std::fs::read(rig.path()).ok()
    };
    let images: Vec<_> = (0..12).map(run).collect();
    assert!((0..12).map(run).eq(images.iter().cloned()), "the same seeds, the same bytes");
    assert!(images.iter().any(|image| *image != images[0]), "and others with others");
}

#[test]
fn every_trouble_has_its_own_error_and_passes() {
    use rusqlite::ErrorCode::{DiskFull, SystemIoFailure};
    let table = [
        (Op::Write, Trouble::Io, SystemIoFailure),
        (Op::Write, Trouble::Full, DiskFull),
        (Op::Write, Trouble::ReadOnly, SystemIoFailure),
        (Op::Commit, Trouble::Full, DiskFull),
        (Op::Sync, Trouble::Io, SystemIoFailure),
        (Op::Write, Trouble::Dies, SystemIoFailure),
    ];
    for (op, trouble, code) in table {
        let rig = Rig::new();
        let opened = rig.open();
        add(&opened.connection, 1).expect("committed");
        rig.disk.fail(NAME, op, 1, trouble);
        let told = add(&opened.connection, 2).expect_err("it was to fail");
        assert_eq!(told.sqlite_error_code(), Some(code), "{op:?} {trouble:?}");
        assert_eq!(rig.disk.struck(), 1);
        assert_eq!(rig.disk.is_dead(NAME), trouble == Trouble::Dies);
        rig.disk.revive(NAME);
        add(&opened.connection, 3).expect("well again");
        drop(opened);
        assert_eq!(rows(&rig.open().connection), 2, "{op:?} {trouble:?}");
    }
}

#[test]
fn what_lasts_fails_until_it_is_over() {
    for trouble in [Trouble::Full, Trouble::ReadOnly, Trouble::Io] {
        let rig = Rig::new();
        let opened = rig.open();
        add(&opened.connection, 1).expect("committed");
        rig.disk.set(NAME, Some(trouble));
        for n in 2..5 {
            add(&opened.connection, n).expect_err("it was to fail");
        }
        rig.disk.set(NAME, None);
        add(&opened.connection, 9).expect("well again");
        assert_eq!(rows(&opened.connection), 2, "{trouble:?}");
    }
    let rig = Rig::new();
    drop(rig.open());
    rig.disk.set(NAME, Some(Trouble::ReadOnly));
    let told = sqlite::open(&rig.path(), &SCHEMA).expect_err("read-only");
    assert!(matches!(told, sqlite::OpenError::ReadOnly { .. }), "{told}");
}

/// Data of a failed sync is gone for good, even if the next sync works. So a program must not trust that one.
#[test]
fn a_failed_sync_has_lost_what_it_was_to_keep() {
    let mut lost = 0;
    for seed in 0..12 {
        let rig = Rig::new();
        let opened = rig.open();
        add(&opened.connection, 1).expect("committed");
        rig.disk.fail(NAME, Op::Sync, 1, Trouble::Io);
        add(&opened.connection, 2).expect_err("not synced");
        rig.cut(opened.connection, seed);
        lost += u64::from(rows(&rig.open().connection) == 1);
    }
    assert_eq!(lost, 12);
    let rig = Rig::new();
    let opened = rig.open();
    add(&opened.connection, 1).expect("committed");
    rig.disk.fail(NAME, Op::Sync, 1, Trouble::Io);
    add(&opened.connection, 2).expect_err("not synced");
    rig.kill(opened.connection);
    assert_eq!(rows(&rig.open().connection), 2, "and a program that is killed finds what it was told is not there");
}

#[test]
fn a_killed_program_leaves_its_log() {
    let rig = Rig::new();
    let opened = rig.open();
    add(&opened.connection, 1).expect("committed");
    rig.kill(opened.connection);
    assert!(rig.directory.path().join("a.db-wal").metadata().is_ok_and(|log| log.len() > 0), "nothing was copied or deleted");
    let again = rig.open();
    assert_eq!(rows(&again.connection), 1);
    drop(again);
    assert!(!rig.directory.path().join("a.db-wal").exists(), "one that ends in order leaves none");
}

#[test]
fn a_bit_that_flips_stays_flipped() {
    let rig = Rig::new();
    let opened = rig.open();
    add(&opened.connection, 1).expect("committed");
    drop(opened);
    let before = std::fs::read(rig.path()).expect("read");
    let at = before.windows(9).rposition(|bytes| bytes == b"some text").expect("the text is there");
    rig.disk.flip(NAME, at, 0).expect("flipped");
    let text: String = rig.open().connection.query_row("SELECT text FROM t", [], |row| row.get(0)).expect("read");
    assert!(text.contains("rome text"), "which SQLite does not notice");
    rig.disk.flip(NAME, before.len(), 0).expect_err("there is no such byte");
}

#[test]
fn what_is_not_on_the_disk_is_none_of_its_business() {
    let rig = Rig::new();
    rig.disk.set(NAME, Some(Trouble::Io));
    let other = tempfile::tempdir().expect("a directory");
    let elsewhere: &Path = other.path();
    let opened = sqlite::open(&elsewhere.join(NAME), &SCHEMA).expect("opens");
    add(&opened.connection, 1).expect("committed");
    assert_eq!(rig.disk.count(NAME, Op::Write), 0);
    sqlite::open(&rig.path(), &SCHEMA).expect_err("on the disk");
}

/// The data that a sync has lost can still be read, and a program that starts then appends to it. That must not cost later
/// commits.
#[test]
fn a_failed_sync_costs_nothing_that_is_committed_after_the_next_start() {
    for seed in 0..24 {
        let rig = Rig::new();
        let opened = rig.open();
        add(&opened.connection, 1).expect("committed");
        rig.disk.fail(NAME, Op::Sync, 1, Trouble::Io);
        add(&opened.connection, 2).expect_err("not synced");
        rig.kill(opened.connection);
        let again = rig.open();
        add(&again.connection, 3).expect("committed");
        rig.cut(again.connection, seed);
        let left = rig.open();
        let third: i64 = left.connection.query_row("SELECT count(*) FROM t WHERE n = 3", [], |row| row.get(0)).expect("a count");
        assert_eq!((third, is_sound(&left.connection)), (1, true), "seed {seed}: what was committed is gone");
    }
}

/// Nor must it cost what was there before. At the next start the log is copied into the database. Each write of this copy
/// fails once, or the program ends there, and the power goes afterwards.
#[test]
fn a_failed_sync_damages_nothing_if_the_next_start_fails_too() {
    for trouble in [Trouble::Full, Trouble::Io, Trouble::Dies] {
        let mut struck = 0;
        for (nth, seed) in (1..12).flat_map(|nth| (0..6).map(move |seed| (nth, seed))) {
            let rig = Rig::new();
            let opened = rig.open();
            (1..=6).for_each(|n| add(&opened.connection, n).expect("committed"));
            drop(opened);
            let opened = rig.open();
            add(&opened.connection, 7).expect("committed");
            rig.disk.fail(NAME, Op::Sync, 1, Trouble::Io);
            opened.connection.execute_batch("DELETE FROM t WHERE n > 1").expect_err("not synced");
            rig.kill(opened.connection);
            rig.disk.fail(NAME, Op::Write, nth, trouble);
            let again = sqlite::open(&rig.path(), &SCHEMA);
            struck += rig.disk.struck() - 1;
            rig.disk.forgive();
            rig.disk.kill(NAME);
            drop(again);
            rig.disk.revive(NAME);
            rig.disk.power_cut(&[NAME], seed).expect("written");
            let left = rig.open();
            assert!(left.set_aside.is_none() && is_sound(&left.connection), "write {nth}, {trouble:?}, seed {seed}");
            assert!([1, 7].contains(&rows(&left.connection)), "write {nth}, {trouble:?}, seed {seed}");
        }
        assert!(struck > 40, "{trouble:?}: only {struck}");
    }
}

/// A file system may give the number of a deleted file to the next file, or not.
#[test]
fn a_file_in_another_ones_place_is_another_file() {
    for seed in 0..20 {
        let rig = Rig::new();
        let opened = rig.open();
        add(&opened.connection, 1).expect("committed");
        rig.kill(opened.connection);
        let other = b"what somebody else put there".repeat(100);
        for suffix in ["", "-wal", "-shm"] {
            drop(std::fs::remove_file(rig.path().with_file_name(format!("{NAME}{suffix}"))));
        }
        std::fs::write(rig.path(), &other).expect("written");
        rig.disk.power_cut(&[NAME], seed).expect("written");
        assert!(std::fs::read(rig.path()).expect("read") == other, "seed {seed}");
    }
}

/// Without its log, SQLite commits by deleting a file, and syncs no directory after it: a power cut takes the commit back.
/// If a write fails while the log is begun, SQLite keeps the old way, and says so by a word only.
#[test]
fn a_database_has_its_log_or_is_not_opened() {
    let mut refused = 0;
    for op in Op::ALL {
        for trouble in [Trouble::Full, Trouble::Io] {
            for nth in 1.. {
                let rig = Rig::new();
                rig.disk.fail(NAME, op, nth, trouble);
                let mut opened = sqlite::open(&rig.path(), &SCHEMA);
                if rig.disk.struck() == 0 {
                    break;
                }
                if opened.is_err() {
                    refused += 1;
                    opened = sqlite::open(&rig.path(), &SCHEMA);
                }
                let opened = opened.unwrap_or_else(|error| panic!("{op:?} {nth}, {trouble:?}, is over: {error}"));
                let mode: String = opened.connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).expect("a mode");
                assert_eq!(mode, "wal", "{op:?} {nth}, {trouble:?}");
            }
        }
    }
    assert!(refused > 20, "only {refused} openings failed");
}
