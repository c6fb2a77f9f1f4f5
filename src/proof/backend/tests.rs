mod handlers;

use super::*;
use qris_backend::store::StoreError;
use rusqlite::ffi;

const BOOKS: &str = "orders.db";
/// The start of the program.
const BEGIN: Wall = Wall(1_795_161_600_000);

fn program(directory: &Path) -> Program<u32> {
    program_at(directory, BEGIN)
}

fn program_at(directory: &Path, wall: Wall) -> Program<u32> {
    let start = Start {
        books: &directory.join(BOOKS),
        policy: policy(Span::secs(3_600), 0),
        place: place(Span::secs(3_600)),
        wall,
        ahead: Arc::default(),
        seed: 1,
        runs: Box::new(|| true),
    };
    Program::start(start).expect("it starts")
}

/// Lets it run for this time, in milliseconds, whatever it does.
fn journal_of(program: &mut Program<u32>, span: i64) -> Vec<Journal> {
    let end = program.age() + span;
    let mut journal = Vec::new();
    while program.age() < end {
        for effect in program.run(end) {
            if let Effect::Journal(event) = effect {
                journal.push(*event);
            }
        }
    }
    journal
}

#[test]
fn a_damaged_page_is_told_of_once_a_minute_while_all_else_works() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut program = program(directory.path());
    let mut journal = Vec::new();
    for _ in 0..100 {
        let books = Arc::clone(&program.handle);
        program.runtime.spawn(async move {
            let damaged = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), None);
            let failed = books.write(|_, _, _| Err::<(), _>(BooksError::Store(StoreError::Sqlite(damaged)))).await;
            assert!(failed.is_err());
            books.read(books::newest_line).await.expect("all else works");
        });
        journal.extend(journal_of(&mut program, 1_000));
    }
    let failing = journal.iter().filter(|event| matches!(event, Journal::StoreFailing { .. })).count();
    assert_eq!((failing, journal.len()), (2, 2), "{journal:?}");
}

#[test]
#[should_panic = "a task of the backend has panicked"]
fn a_task_that_panics_does_not_go_unseen() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut program = program(directory.path());
    program.runtime.spawn(async { panic!("as a fault of the program would") });
    journal_of(&mut program, 10);
}

#[test]
fn jobs_of_one_moment_are_committed_together() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut program = program(directory.path());
    program.books(|tx, _| Ok(tx.rows("CREATE TABLE seen (place INTEGER, all_of_them INTEGER) STRICT", &[]).map(drop)?)).expect("made");
    for place in 0..3_i64 {
        let books = Arc::clone(&program.handle);
        program.runtime.spawn(async move {
            let job = move |tx: &mut dyn Tx, _: &Policy, _: Told| {
                tx.rows("INSERT INTO seen VALUES ($1, (SELECT count(*) FROM seen))", &[place.into()])?;
                // The last one undoes only its own change.
                if place == 2 { Err(BooksError::Unknown) } else { Ok(()) }
            };
            assert_eq!(books.write(job).await.is_ok(), place < 2);
        });
    }
    journal_of(&mut program, 5);
    let rows = program.books(|tx, _| Ok(tx.rows("SELECT place, all_of_them FROM seen ORDER BY place", &[])?)).expect("read");
    let rows: Vec<_> = rows.iter().map(|row| (row.int("place").expect("a number"), row.int("all_of_them").expect("a number"))).collect();
    assert_eq!(rows, [(0, 0), (1, 1)]);
}
