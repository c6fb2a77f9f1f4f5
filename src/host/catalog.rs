//! The catalog for `journalctl -x`: what happened and what to do, for every kind of event.

use super::events::TABLE;
use std::fmt::Write as _;

/// The catalog's file, made from the table of events (the format is that of systemd's message catalogs).
#[must_use]
pub fn text() -> String {
    let mut text = String::from("# Made from the table of events: cargo run -- catalog > systemd/qrisd.catalog\n");
    for kind in TABLE {
        let (id, subject, what) = (kind.message_id, kind.subject.trim_end_matches('.'), kind.text());
        write!(text, "\n-- {id}\nSubject: {subject}\nDefined-By: qrisd\n\n{what}\n").expect("a String takes everything");
    }
    text
}
