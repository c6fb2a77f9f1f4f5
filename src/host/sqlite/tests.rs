use super::*;

const SCHEMA: Schema = Schema { application_id: 0x7172_6973, steps: &["CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT;"], adding: &[] };

struct Rig(tempfile::TempDir);

impl Rig {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("a.db")
    }

    /// A good database of a few hundred pages, closed.
    fn filled(&self) {
        let opened = open(&self.path(), &SCHEMA).expect("new");
        let sql = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 20000) INSERT INTO t SELECT n FROM c";
        opened.connection.execute_batch(sql).expect("filled");
    }

    fn rows(&self) -> i64 {
        let opened = open(&self.path(), &SCHEMA).expect("opens");
        opened.connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).expect("a count")
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).expect("readable");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }
}

fn pragma(connection: &Connection, name: &str) -> String {
    let value: rusqlite::types::Value = connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).expect("a value");
    match value {
        rusqlite::types::Value::Text(text) => text,
        rusqlite::types::Value::Integer(number) => number.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_who_begin_a_database_at_once_both_get_it() {
    for _ in 0..50 {
        let rig = Rig::new();
        let start = std::sync::Barrier::new(2);
        let begin = || {
            start.wait();
            open(&rig.path(), &SCHEMA).map(|opened| opened.created)
        };
        let (one, other) = std::thread::scope(|scope| {
            let (one, other) = (scope.spawn(begin), scope.spawn(begin));
            (one.join().expect("no panic"), other.join().expect("no panic"))
        });
        let created = [one.expect("opens"), other.expect("opens")];
        assert_eq!(created.iter().filter(|created| **created).count(), 1, "one of them began it");
    }
}

#[test]
fn a_new_database_has_all_settings_and_reopens_with_them() {
    let rig = Rig::new();
    for created in [true, false] {
        let opened = open(&rig.path(), &SCHEMA).expect("opens");
        assert_eq!((opened.created, &opened.set_aside), (created, &None));
        let table = [
            ("page_size", "1024"),
            ("journal_mode", "wal"),
            ("synchronous", "2"),
            ("foreign_keys", "1"),
            ("recursive_triggers", "1"),
            ("wal_autocheckpoint", "2000"),
            ("journal_size_limit", "4194304"),
            ("application_id", "1903323507"),
            ("user_version", "1"),
        ];
        for (name, value) in table {
            assert_eq!(pragma(&opened.connection, name), value, "{name}");
        }
        assert_eq!(check(&opened.connection), Ok(None));
        opened.connection.execute("INSERT INTO t VALUES (NULL)", []).expect("writes");
    }
    assert_eq!(rig.rows(), 2);
    assert_eq!(rig.names(), ["a.db"], "closing leaves no log behind");
}

#[test]
fn a_newer_an_older_and_a_foreign_one_are_left_untouched() {
    let rig = Rig::new();
    rig.filled();
    let before = std::fs::read(rig.path()).expect("read");
    let newer = Schema { steps: &[], ..SCHEMA };
    assert!(matches!(open(&rig.path(), &newer), Err(OpenError::Newer { found: 1, known: 0, .. })));
    let older = Schema { steps: &["CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT;", "CREATE TABLE u (n INTEGER) STRICT;"], ..SCHEMA };
    assert!(matches!(open_beside(&rig.path(), &older, true), Err(OpenError::Older { found: 1, known: 2, .. })));
    let foreign = Schema { application_id: 7, ..SCHEMA };
    assert!(matches!(open(&rig.path(), &foreign), Err(OpenError::Foreign { found: 0x7172_6973, .. })));
    assert!(std::fs::read(rig.path()).expect("read") == before);
    assert_eq!(rig.names().iter().filter(|name| name.contains("corrupt")).count(), 0);
}

#[test]
fn damage_is_set_aside_and_a_new_one_begun() {
    type Harm = fn(&Path);
    let table: [(&str, Harm); 7] = [
        ("garbage", |path| std::fs::write(path, b"this is not a database, whatever its name says ".repeat(50)).expect("written")),
        ("one byte", |path| std::fs::write(path, b"x").expect("written")),
        ("a few bytes", |path| std::fs::write(path, b"x".repeat(400)).expect("written")),
        ("a header and nothing else", |path| std::fs::write(path, &std::fs::read(path).expect("read")[..600]).expect("written")),
        ("truncated", |path| {
            let file = std::fs::File::options().write(true).open(path).expect("opened");
            file.set_len(file.metadata().expect("metadata").len() / 2).expect("cut");
        }),
        ("its schema overwritten", |path| {
            let mut bytes = std::fs::read(path).expect("read");
            bytes[100..1024].fill(0xff);
            std::fs::write(path, bytes).expect("written");
        }),
        ("emptied under its log", |path| {
            std::fs::write(path, b"").expect("written");
            std::fs::write(with_suffix(path, "-wal"), b"what was committed last").expect("written");
        }),
    ];
    for (what, harm) in table {
        let rig = Rig::new();
        rig.filled();
        harm(&rig.path());
        let harmed = std::fs::read(rig.path()).expect("read");
        let opened = open(&rig.path(), &SCHEMA).expect(what);
        assert!(opened.created, "{what}");
        let aside = opened.set_aside.expect(what);
        assert!(aside.file_name().is_some_and(|name| name.to_string_lossy().starts_with("a.db.corrupt-")), "{what}: {aside:?}");
        assert!(std::fs::read(&aside).expect(what) == harmed, "{what}: nothing of it is changed");
        drop(opened.connection);
        assert_eq!(rig.rows(), 0, "{what}");
    }
}

const OF_SEVERAL: Schema = Schema {
    steps: &[
        "CREATE TABLE t (n INTEGER PRIMARY KEY, word TEXT NOT NULL) STRICT;
         CREATE INDEX words ON t (word) WHERE n > 1;
         CREATE TRIGGER t_stays BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'never'); END;",
        "CREATE TABLE more (n INTEGER PRIMARY KEY, m INTEGER) STRICT;
         CREATE INDEX of_more ON more (m);",
        "CREATE TABLE t_anew (n INTEGER PRIMARY KEY, word TEXT NOT NULL, length INTEGER NOT NULL) STRICT;
         INSERT INTO t_anew SELECT n, word, length(word) FROM t;
         DROP TABLE t;
         ALTER TABLE t_anew RENAME TO t;",
    ],
    ..SCHEMA
};

/// Where this text stands in a file. It stands there once.
fn place(bytes: &[u8], text: &str) -> usize {
    let at: Vec<usize> = bytes.windows(text.len()).enumerate().filter(|(_, part)| *part == text.as_bytes()).map(|(at, _)| at).collect();
    assert_eq!(at.len(), 1, "{text}");
    at[0]
}

#[test]
fn each_bit_of_the_schemas_text_is_missed() {
    let rig = Rig::new();
    let schema = Schema { steps: &OF_SEVERAL.steps[..2], ..OF_SEVERAL };
    drop(open(&rig.path(), &schema).expect("new"));
    let good = std::fs::read(rig.path()).expect("read");
    let texts = [
        "CREATE TABLE t (n INTEGER PRIMARY KEY, word TEXT NOT NULL) STRICT",
        "CREATE INDEX words ON t (word) WHERE n > 1",
        "CREATE TRIGGER t_stays BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'never'); END",
        "CREATE TABLE more (n INTEGER PRIMARY KEY, m INTEGER) STRICT",
        "CREATE INDEX of_more ON more (m)",
        "triggert_stayst",
    ];
    for (text, from) in texts.map(|text| (text, place(&good, text))) {
        for at in from..from + text.len() {
            for bit in [0, 3, 5, 7] {
                let mut bytes = good.clone();
                bytes[at] ^= 1 << bit;
                std::fs::write(rig.path(), &bytes).expect("written");
                let what = format!("bit {bit} of byte {} of {text}", at - from);
                let told = open_beside(&rig.path(), &schema, false).expect_err(&what);
                assert!(matches!(told, OpenError::Damaged { .. }), "{what}: {told:?}");
                drop(std::fs::remove_file(with_suffix(&rig.path(), "-wal")));
            }
        }
    }
    let mut bytes = good;
    let at = place(&bytes, "ON t (word)") + 6;
    bytes[at] ^= 1;
    std::fs::write(rig.path(), &bytes).expect("written");
    let opened = open(&rig.path(), &schema).expect("a new one");
    assert!(opened.created && opened.set_aside.is_some());
}

#[test]
fn other_blanks_and_quotes_are_no_damage() {
    let rig = Rig::new();
    let opened = open(&rig.path(), &OF_SEVERAL).expect("new");
    let sql = "PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(replace(sql, ' ON t ', '  ON \"t\"\n'), 'TABLE more', 'TABLE \"more\"');
        PRAGMA writable_schema = RESET";
    opened.connection.execute_batch(sql).expect("written");
    drop(opened);
    let opened = open(&rig.path(), &OF_SEVERAL).expect("opens");
    assert!(!opened.created && opened.set_aside.is_none(), "as another release of SQLite may write it");
}

#[test]
fn a_release_goes_on_from_where_each_before_it_left_off() {
    for from in 1..=3 {
        let rig = Rig::new();
        let before = Schema { steps: &OF_SEVERAL.steps[..from], ..OF_SEVERAL };
        let insert = if from < 3 { "INSERT INTO t VALUES (1, 'one')" } else { "INSERT INTO t VALUES (1, 'one', 3)" };
        open(&rig.path(), &before).expect("new").connection.execute(insert, []).expect("written");
        if from < 3 {
            let beside = open_beside(&rig.path(), &OF_SEVERAL, false);
            assert!(matches!(beside, Err(OpenError::Older { .. })), "{from}: its owner may be of the release before");
        }
        let opened = open(&rig.path(), &OF_SEVERAL).expect("opens");
        assert!(!opened.created && opened.set_aside.is_none(), "{from}");
        let word = opened.connection.query_row("SELECT word || length FROM t", [], |row| row.get::<_, String>(0));
        assert_eq!(word.expect("a row"), "one3", "{from}");
        opened.connection.execute("INSERT INTO more VALUES (NULL, 1)", []).expect("what was added is there");
        drop(opened);
        if from < 3 {
            assert!(matches!(open(&rig.path(), &before), Err(OpenError::Newer { .. })), "{from}: there is no way back");
        }
    }
}

const WORD: &str = "ALTER TABLE t ADD COLUMN later TEXT";
const MORE: &str = "ALTER TABLE t ADD COLUMN count INTEGER NOT NULL DEFAULT 3; CREATE TABLE later (n INTEGER PRIMARY KEY) STRICT;";
const RULE: &str = "DROP TRIGGER t_stays; CREATE TRIGGER t_stays BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'not now'); END;";

#[test]
fn a_program_of_before_goes_on_with_steps_that_only_add_and_with_no_others() {
    // The later releases' steps, each with its word whether it only adds, and the versions that go on with the last.
    type Steps = &'static [(&'static str, bool)];
    let table: [(Steps, &[usize]); 8] = [
        (&[(WORD, true)], &[1]),
        (&[(WORD, true), (MORE, true)], &[1, 2]),
        (&[(WORD, false)], &[]),
        (&[(WORD, true), (MORE, false)], &[]),
        (&[(WORD, false), (MORE, true)], &[2]),
        (&[(WORD, true), (RULE, false), (MORE, true)], &[3]),
        // These say so, and it is not true.
        (&[(RULE, true)], &[]),
        (&[("DROP INDEX words", true)], &[]),
    ];
    let first = OF_SEVERAL.steps[0];
    for (steps, who) in table {
        let rig = Rig::new();
        let of = |count: usize| {
            let all: Vec<&str> = [first].into_iter().chain(steps.iter().map(|(step, _)| *step)).take(count).collect();
            let adding = (2..).zip(steps).filter(|(version, (_, adds))| *adds && *version <= count).map(|(version, _)| version);
            let adding: Vec<i32> = adding.map(|version| i32::try_from(version).expect("small")).collect();
            Schema { steps: Box::leak(all.into_boxed_slice()), adding: Box::leak(adding.into_boxed_slice()), ..OF_SEVERAL }
        };
        let last = steps.len() + 1;
        open(&rig.path(), &of(1)).expect("new").connection.execute("INSERT INTO t VALUES (1, 'one')", []).expect("written");
        drop(open(&rig.path(), &of(last)).expect("brought up to date"));
        let before = std::fs::read(rig.path()).expect("read");
        for version in 1..last {
            let what = format!("{steps:?}, by version {version}");
            for opened in [open_beside(&rig.path(), &of(version), false), open(&rig.path(), &of(version))] {
                if !who.contains(&version) {
                    assert!(matches!(opened, Err(OpenError::Newer { .. })), "{what}: {opened:?}");
                    assert!(std::fs::read(rig.path()).expect("read") == before, "{what}: it is left untouched");
                    continue;
                }
                let opened = opened.unwrap_or_else(|why| panic!("{what}: {why}"));
                assert!(!opened.created && opened.set_aside.is_none());
                opened.connection.execute("INSERT INTO t (word) VALUES ('more')", []).expect(&what);
                assert_eq!(pragma(&opened.connection, "user_version"), last.to_string(), "{what}: it is not set back");
            }
        }
        let opened = open(&rig.path(), &of(last)).expect("the later release is back");
        let rows: i64 = opened.connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).expect("a count");
        assert_eq!(usize::try_from(rows), Ok(1 + 2 * who.len()), "{steps:?}: nothing is lost");
    }
}

#[test]
fn a_step_that_says_wrongly_that_it_only_adds_is_found() {
    let directory = tempfile::tempdir().expect("a directory");
    for (step, is_found) in [(WORD, false), (MORE, false), (RULE, true)] {
        let steps: &'static [&'static str] = Box::leak(Box::new([OF_SEVERAL.steps[0], step]));
        let schema = Schema { steps, adding: &[2], ..OF_SEVERAL };
        let of_its_own = tempfile::tempdir_in(&directory).expect("a directory");
        let told = std::panic::catch_unwind(|| testing::programs_of_before_go_on(of_its_own.path(), &schema));
        assert_eq!(told.is_err(), is_found, "{step}");
    }
}

#[test]
fn a_bit_of_what_was_there_before_is_missed_in_a_later_database_too() {
    let rig = Rig::new();
    let schema = Schema { steps: &OF_SEVERAL.steps[..1], ..OF_SEVERAL };
    drop(open(&rig.path(), &schema).expect("new"));
    testing::take_later_step(&rig.path(), &schema, WORD.into(), true);
    // The text of before still stands in a free part of the page.
    Connection::open(rig.path()).expect("there").execute_batch("VACUUM").expect("no free part");
    let good = std::fs::read(rig.path()).expect("read");
    for text in ["n INTEGER PRIMARY KEY, word TEXT NOT NULL", "CREATE INDEX words ON t (word) WHERE n > 1"] {
        let from = place(&good, text);
        for at in from..from + text.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 8;
            std::fs::write(rig.path(), &bytes).expect("written");
            let told = open_beside(&rig.path(), &schema, false).expect_err("it is missed");
            assert!(matches!(told, OpenError::Newer { .. } | OpenError::Damaged { .. }), "{}: {told:?}", at - from);
            drop(std::fs::remove_file(with_suffix(&rig.path(), "-wal")));
        }
    }
}

#[test]
fn a_step_that_cannot_be_gone_changes_nothing() {
    let wrong = [
        ("another name", "CREATE TABLE more (n); INSERT INTO nowhere VALUES (1);", true),
        (
            "a row that a rule forbids",
            "CREATE TABLE u (n INTEGER PRIMARY KEY, word TEXT NOT NULL CHECK (word <> 'one')) STRICT;
                                       INSERT INTO u SELECT n, word FROM t;",
            false,
        ),
    ];
    for (what, step, is_strange) in wrong {
        let rig = Rig::new();
        let before = Schema { steps: &OF_SEVERAL.steps[..1], ..OF_SEVERAL };
        open(&rig.path(), &before).expect("new").connection.execute("INSERT INTO t VALUES (1, 'one')", []).expect("written");
        let steps: &'static [&'static str] = Box::leak(Box::new([OF_SEVERAL.steps[0], step]));
        let told = attempt(&rig.path(), &Schema { steps, ..OF_SEVERAL }, Owner::Yes).expect_err(what);
        assert_eq!(matches!(told, OpenError::Damaged { .. }), is_strange, "{what}: {told:?}");
        let opened = open(&rig.path(), &before).expect("opens");
        assert!(opened.set_aside.is_none(), "{what}");
        let rows = opened.connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
        assert_eq!(rows.expect("a count"), 1, "{what}");
    }
}

#[test]
fn who_opens_beside_the_owner_sets_nothing_aside() {
    let rig = Rig::new();
    assert!(matches!(open_beside(&rig.path(), &SCHEMA, false), Err(OpenError::Missing { .. })));
    assert!(rig.names().is_empty(), "nothing is made");
    assert!(open_beside(&rig.path(), &SCHEMA, true).expect("made").created);
    rig.filled();
    for harm in [b"x".to_vec(), b"this is not a database ".repeat(100)] {
        std::fs::write(rig.path(), &harm).expect("written");
        for make in [false, true] {
            let told = open_beside(&rig.path(), &SCHEMA, make).expect_err("damaged");
            assert!(matches!(told, OpenError::Damaged { .. }), "{told}");
        }
        assert!(std::fs::read(rig.path()).expect("read") == harm);
        assert_eq!(rig.names().iter().filter(|name| name.contains("corrupt")).count(), 0);
    }
}

#[test]
fn who_only_reads_copies_nothing_out_of_the_log_and_writes_nothing() {
    let rig = Rig::new();
    assert!(matches!(open_to_read(&rig.path(), &SCHEMA), Err(OpenError::Missing { .. })));
    let opened = open(&rig.path(), &SCHEMA).expect("new");
    opened.connection.execute_batch("INSERT INTO t VALUES (1)").expect("written");
    let log = || std::fs::metadata(with_suffix(&rig.path(), "-wal")).expect("a log").len();
    let before = log();
    assert!(before > 0);
    // A sale is on its way meanwhile.
    opened.connection.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (2)").expect("begun");
    let reader = open_to_read(&rig.path(), &SCHEMA).expect("opens");
    opened.connection.execute_batch("COMMIT").expect("written");
    drop(open_to_read(&rig.path(), &SCHEMA).expect("opens"));
    assert!(log() >= before, "the log was copied and cut");
    let count: i64 = reader.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).expect("read");
    assert_eq!(count, 2);
    assert!(reader.execute("INSERT INTO t VALUES (3)", []).is_err());
}

#[test]
fn a_log_is_set_aside_with_its_database_and_nothing_is_overwritten() {
    let rig = Rig::new();
    let asides = [1, 2, 3].map(|n| {
        std::fs::write(rig.path(), b"garbage ".repeat(200)).expect("written");
        std::fs::write(with_suffix(&rig.path(), "-wal"), format!("log {n}")).expect("written");
        open(&rig.path(), &SCHEMA).expect("a new one").set_aside.expect("set aside")
    });
    let log = |aside| std::fs::read_to_string(with_suffix(aside, "-wal")).expect("kept");
    assert_eq!(asides.each_ref().map(|aside| log(aside)), ["log 1", "log 2", "log 3"]);
    assert!(asides.iter().all(|aside| aside.exists()));
}

#[test]
fn a_database_that_was_killed_keeps_what_was_committed() {
    let (rig, after) = (Rig::new(), Rig::new());
    let opened = open(&rig.path(), &SCHEMA).expect("new");
    opened.connection.execute("INSERT INTO t VALUES (NULL)", []).expect("committed");
    // The files that a kill leaves: their state while the connection is open.
    for suffix in ["", "-wal"] {
        std::fs::copy(with_suffix(&rig.path(), suffix), with_suffix(&after.path(), suffix)).expect("copied");
    }
    assert_eq!(after.rows(), 1);
}

#[test]
fn what_cannot_be_reached_is_not_set_aside() {
    let rig = Rig::new();
    let missing = rig.0.path().join("nowhere/a.db");
    assert!(matches!(open(&missing, &SCHEMA), Err(OpenError::NoDirectory { .. })));
    // A directory in place of the file: nobody can open it.
    std::fs::create_dir(rig.path()).expect("made");
    assert!(matches!(open(&rig.path(), &SCHEMA), Err(OpenError::Sqlite { .. })));
    assert_eq!(rig.names(), ["a.db"]);
    // A file system that nobody may write to.
    assert!(matches!(open(Path::new("/proc/self/qris.db"), &SCHEMA), Err(OpenError::ReadOnly { .. })));
}

#[test]
fn the_systems_reasons_are_told_apart_and_none_is_damage() {
    let told = |code| explain(Path::new("/x/a.db"), rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)).to_string();
    use rusqlite::ffi;
    let table = [
        (ffi::SQLITE_READONLY, "cannot be written"),
        (ffi::SQLITE_READONLY_DIRECTORY, "cannot be written"),
        (ffi::SQLITE_PERM, "cannot be written"),
        (ffi::SQLITE_CANTOPEN, "cannot be written"),
        (ffi::SQLITE_FULL, "has no room"),
        (ffi::SQLITE_IOERR_SHMSIZE, "has no room"),
        (ffi::SQLITE_IOERR, "cannot be opened"),
        (ffi::SQLITE_BUSY, "cannot be opened"),
    ];
    for (code, text) in table {
        assert!(told(code).contains(text), "{code}: {}", told(code));
        assert!(!is_damage(&rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)), "{code}");
    }
}

#[test]
fn a_text_that_a_bit_made_none_is_damage() {
    let rig = Rig::new();
    let opened = open(&rig.path(), &SCHEMA).expect("new");
    for value in ["CAST(x'7361ec65' AS TEXT)", "x'00'", "1e300"] {
        let read = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
        let told = opened.connection.query_row(&format!("SELECT {value}"), [], read).expect_err(value);
        assert!(is_damage(&told), "{value}: {told:?}");
    }
}

#[test]
fn a_locked_database_is_neither_damaged_nor_waited_for_long() {
    let rig = Rig::new();
    rig.filled();
    let holder = Connection::open(rig.path()).expect("opens");
    holder.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; INSERT INTO t VALUES (NULL);").expect("locked");
    assert!(matches!(open(&rig.path(), &SCHEMA), Err(OpenError::Sqlite { .. })));
    drop(holder);
    assert_eq!(rig.rows(), 20_000);
}

#[test]
fn what_is_made_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let rig = Rig::new();
    let _lock = claim(&rig.path()).expect("free");
    let _opened = open(&rig.path(), &SCHEMA).expect("new");
    assert_eq!(rig.names(), ["a.db", "a.db-shm", "a.db-wal", "a.db.lock"]);
    for name in rig.names() {
        let mode = std::fs::metadata(rig.0.path().join(&name)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_look_for_room_leaves_nothing_and_says_why_there_is_none() {
    let rig = Rig::new();
    find_room(&rig.path()).expect("there is room");
    assert_eq!(rig.names(), [""; 0]);
    assert!(matches!(find_room(Path::new("/dev/null/a.db")), Err(OpenError::Lock { .. })));
    assert!(matches!(find_room(Path::new("/proc/self/qris.db")), Err(OpenError::ReadOnly { .. })));
    let sized = beside(&rig.path(), rig.path(), std::io::Error::from(ErrorKind::StorageFull)).to_string();
    assert!(sized.contains("has no room"), "{sized}");
}

#[test]
fn a_database_is_claimed_by_one_at_a_time() {
    let rig = Rig::new();
    let held = claim(&rig.path()).expect("free");
    let told = claim(&rig.path()).expect_err("held").to_string();
    assert!(told.contains("another process has it"), "{told}");
    let of_a_child = held.0.try_clone().expect("a descriptor");
    drop(held);
    drop(claim(&rig.path()).expect("free again, also while a child is being forked"));
    drop(of_a_child);
    assert!(matches!(claim(&rig.0.path().join("nowhere/a.db")), Err(OpenError::NoDirectory { .. })));
    assert!(matches!(claim(Path::new("/proc/self/qris.db")), Err(OpenError::ReadOnly { .. })));
}

#[test]
fn several_share_a_database_once_the_first_lets_them() {
    let rig = Rig::new();
    let first = share(&rig.path()).expect("free");
    assert!(first.is_alone());
    let path = rig.path();
    let waits = std::thread::spawn(move || share(&path).expect("shared"));
    assert!(!waits.is_finished());
    first.let_others_in().expect("shared");
    let second = waits.join().expect("joined");
    assert!(!second.is_alone());
    drop(first);
    assert!(!share(&rig.path()).expect("shared").is_alone(), "the second is still there");
    drop(second);
    assert!(share(&rig.path()).expect("free").is_alone());
}

#[test]
fn a_statement_is_parsed_once_whatever_its_parameters_are() {
    let rig = Rig::new();
    rig.filled();
    let opened = open(&rig.path(), &SCHEMA).expect("opens");
    let mut statement = opened.connection.prepare_cached("SELECT n FROM t WHERE n > ?1 ORDER BY n LIMIT ?2").expect("prepared");
    for most in 1..4_i64 {
        let rows = statement.query_map([10 * most, most], |row| row.get::<_, i64>(0)).expect("asked");
        assert_eq!(rows.count(), usize::try_from(most).expect("small"));
    }
    assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0);
}

#[test]
fn a_schema_that_fails_leaves_nothing_behind() {
    let rig = Rig::new();
    let wrong = Schema { steps: &["CREATE TABLE a (n) STRICT; nonsense"], ..SCHEMA };
    assert!(open(&rig.path(), &wrong).is_err());
    assert!(open(&rig.path(), &SCHEMA).expect("still empty").created);
}
