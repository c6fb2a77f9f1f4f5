//! The people of the desk after books were put back. In the copy they are as they were when it was made. Meanwhile somebody may have left, or
//! may have chosen another password because the old one was known.

use super::log::{self, By, What};
use super::people::{self, Person};
use crate::sale::books::{BooksError, latest_beside};
use crate::store::{Row, Tx};
use qris_core::wire::desk::{Door, Entry, Role};
use qris_host::clock;

/// Who is at the desk now.
#[derive(Debug, PartialEq, Eq)]
pub struct Restored {
    pub people: Vec<Person>,
    /// They are as in the books of before. Else all passwords are over.
    pub is_of_before: bool,
    /// The secret of a new link for each of these owners.
    pub links: Vec<(Box<str>, String)>,
}

/// How owners are invited anew.
pub struct Links<'a> {
    /// Makes the secret of a link.
    pub draw: &'a dyn Fn() -> String,
    /// The user at the terminal, for the log.
    pub by: &'a str,
}

/// Sessions, devices and links of a copy are not good any more: people may have ended the sessions since, and links may have been used.
const ENDED: [&str; 3] = ["DELETE FROM sessions", "DELETE FROM desk_devices", "DELETE FROM people_invited"];

/// The copy's last line of the log is not in the books of before: these have another story.
const OTHER_STORY: &str = "SELECT count(*) FROM main.desk_log AS last WHERE seq = (SELECT max(seq) FROM main.desk_log)
    AND NOT EXISTS (SELECT 1 FROM before.desk_log AS same
        WHERE same.seq = last.seq AND same.at_ms = last.at_ms AND same.who = last.who AND same.what = last.what)";

const TAKEN: [&str; 3] = [
    "DELETE FROM main.people",
    "INSERT INTO main.people SELECT * FROM before.people",
    "INSERT INTO main.desk_log SELECT * FROM before.desk_log WHERE seq > (SELECT coalesce(max(seq), 0) FROM main.desk_log)",
];

/// Takes people and log from the books of before, which are attached as `before`. `None`: they do not know those of the copy.
pub fn of_before(tx: &mut dyn Tx) -> Result<Option<Restored>, BooksError> {
    if Row::number(&tx.rows(OTHER_STORY, &[])?)? != 0 {
        return Ok(None);
    }
    end_sessions(tx)?;
    for sql in TAKEN {
        tx.rows(sql, &[])?;
    }
    // What cannot be read is not taken.
    Ok(Some(Restored { people: people::list(tx)?, is_of_before: true, links: Vec::new() }))
}

fn end_sessions(tx: &mut dyn Tx) -> Result<(), BooksError> {
    ENDED.iter().try_for_each(|sql| tx.rows(sql, &[]).map(drop))?;
    Ok(())
}

/// Nobody knows what became of these people since. All passwords are over, and each owner gets a link.
pub fn begin_anew(tx: &mut dyn Tx, with: &Links<'_>) -> Result<Restored, BooksError> {
    end_sessions(tx)?;
    let now = latest_beside(tx, clock::now(), clock::boot_id().ok())?;
    tx.rows("UPDATE people SET password = NULL", &[])?;
    let (all, mut links) = (people::list(tx)?, Vec::new());
    for person in all.iter().filter(|person| person.role == Role::Owner) {
        let code = (with.draw)();
        people::invite(tx, person.number, Door::Public, &code, now)?;
        log::write(tx, By::Terminal(with.by), What::Entry(Entry::Link), Some(&person.name), now)?;
        links.push((person.name.clone(), code));
    }
    Ok(Restored { people: all, is_of_before: false, links })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::people::Name;
    use crate::keeping::databases::open_both;
    use crate::samples::T0;
    use crate::store::read_on;
    use rusqlite::Connection;
    use std::path::Path;

    fn run<T>(books: &Connection, job: impl FnOnce(&mut dyn Tx) -> Result<T, BooksError>) -> T {
        read_on(books, job).expect("works")
    }

    fn books(path: &Path) -> Connection {
        open_both(path, true, true).expect("opens").books
    }

    fn add(books: &Connection, name: &str, role: Role) -> Person {
        let name: Name = name.parse().expect("a name");
        let person = run(books, |tx| people::add(tx, &name, role, Some(7), T0)).expect("added");
        run(books, |tx| log::write(tx, By::Terminal("root"), What::Entry(Entry::Add), Some(&person.name), T0));
        person
    }

    fn words(restored: &Restored) -> Vec<(&str, Role)> {
        restored.people.iter().map(|person| (&*person.name, person.role)).collect()
    }

    #[test]
    fn people_are_those_of_the_books_of_before_if_these_know_them() {
        let directory = tempfile::tempdir().expect("a directory");
        let place = |name: &str| directory.path().join(name);
        let before = books(&place("before.db"));
        let [sari, budi, joko] = [("Sari", Role::Owner), ("Budi", Role::Owner), ("Joko", Role::Viewer)].map(|(n, r)| add(&before, n, r));
        before.execute("UPDATE people SET password = 'hash'", []).expect("written");
        before.execute("VACUUM INTO ?1", [place("copy.db").to_str()]).expect("copied");
        run(&before, |tx| people::change(tx, budi.number, Role::Viewer, None));
        run(&before, |tx| people::remove(tx, joko.number, T0));
        run(&before, |tx| log::write(tx, By::Terminal("root"), What::Entry(Entry::Remove), Some("Joko"), T0));
        let copy = Connection::open(place("copy.db")).expect("opens");
        let attach = |file: &str| copy.execute("ATTACH ?1 AS before", [place(file).to_str()]).expect("attached");
        attach("before.db");
        let taken = run(&copy, of_before).expect("they know them");
        assert_eq!(words(&taken), [("Budi", Role::Viewer), ("Sari", Role::Owner)]);
        let logged: i64 = copy.query_row("SELECT count(*) FROM main.desk_log", [], |row| row.get(0)).expect("counted");
        assert_eq!((logged, taken.links.len()), (4, 0), "the log goes on");
        copy.execute_batch("DETACH before").expect("detached");
        // New books that were begun in the place of lost ones know nobody.
        drop(books(&place("new.db")));
        attach("new.db");
        assert_eq!(run(&copy, of_before), None);
        let anew = run(&copy, |tx| begin_anew(tx, &Links { draw: &|| "secret".into(), by: "root" }));
        assert_eq!((words(&anew).len(), anew.links), (2, vec![("Sari".into(), "secret".into())]));
        assert_eq!(run(&copy, |tx| people::password(tx, sari.number)), None);
    }
}
