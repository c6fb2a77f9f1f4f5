//! The catalog for `journalctl -x`: what happened and what to do, for every kind of event. It is also printed as a page.

use super::events::TABLE;
#[cfg(feature = "manuals")]
use super::events::{Cause, Fields, Priority};
use std::fmt::Write as _;

/// The machine's catalog, made from the table of events. The format is that of systemd's message catalogs.
#[must_use]
pub fn text() -> String {
    let mut text = String::from("# Made from the table of events: cargo tools catalog > systemd/qrisd.catalog\n");
    for kind in TABLE {
        let (id, subject, what) = (kind.message_id, kind.subject.trim_end_matches('.'), kind.text());
        write!(text, "\n-- {id}\nSubject: {subject}\nDefined-By: qrisd\n\n{what}\n").expect("a String takes everything");
    }
    text
}

/// The merchant's catalog, without headers. A computer may have both catalogs. Then systemd adds the headers of an event
/// together, and takes its text from the file whose name comes last, the machine's. So each event is explained once.
#[must_use]
pub fn merchants_text() -> String {
    let mut text = String::from("# Made from the table of events: cargo tools catalog --merchant > systemd/qris-backend.catalog\n");
    for kind in TABLE {
        let (id, subject, what) = (kind.message_id, kind.subject.trim_end_matches('.'), kind.text());
        write!(text, "\n-- {id}\n\n{subject}.\n\n{what}\n").expect("a String takes everything");
    }
    text
}

/// `docs/using/journal.md`: every kind of event in one table, worst first.
#[cfg(feature = "manuals")]
#[must_use]
pub fn page() -> String {
    let strangers: Vec<_> = TABLE.iter().filter(|kind| kind.cause == Cause::Strangers).map(|kind| kind.name).collect();
    let mut page = PAGE_HEAD.replace("STRANGERS", &strangers.join(", "));
    let mut kinds: Vec<_> = TABLE.iter().collect();
    kinds.sort_by_key(|kind| kind.priority as u8);
    for kind in kinds {
        let fields: Vec<_> = kind.values.iter().filter_map(|value| Fields::name_of(value)).collect();
        let text = kind.text().replace('\n', " ").replace('|', "\\|");
        let (name, id, fields) = (kind.name, kind.message_id, fields.join(" "));
        let priority = match kind.priority {
            Priority::Err => "err (3)",
            Priority::Warning => "warning (4)",
            Priority::Notice => "notice (5)",
            Priority::Info => "info (6)",
        };
        let subject = kind.subject;
        writeln!(page, "| {priority} | **{subject}** {text} | {fields} | {name} `{id}` |").expect("a String takes everything");
    }
    page
}

#[cfg(feature = "manuals")]
const PAGE_HEAD: &str = "# Every event in the journal

<!-- Made from the table of events: cargo tools catalog --page > docs/using/journal.md -->

`qrisd`, `qris-relayd` and `qris-backend` write each of these as one entry with a fixed `MESSAGE_ID`. `journalctl -x` shows
the text with it. This shows an order's whole story, across the programs of a computer:

```sh
journalctl ORDER_ID=wpc4wpcpx18f3s54vxwr
journalctl -x -u qrisd -p notice --since today
```

An entry has the fields that apply to it. `AMOUNT` is in whole rupiah. Each entry also has `SYSLOG_IDENTIFIER`, the program, and on
a machine `DEVICE_ID`.

Strangers can cause some kinds as often as they like: STRANGERS.
Each program writes at most 60 lines a minute of these, all together. Of every other kind it writes at most 50 at once and 10 a
second. An entry (LinesSuppressed) tells how many were not written.

| priority | what happened, and what to do | fields | kind and `MESSAGE_ID` |
| --- | --- | --- | --- |
";
