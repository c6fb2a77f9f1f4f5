//! Two computers that are one machine: a card was copied, or a backup of one runs beside it. Each has the machine's token, so
//! both are let in. But each has started by itself, and each start of a kernel has a `boot_id` of its own (random(4)), which a
//! machine shows with each call. A computer that was started anew never shows the earlier one again. So two that are seen in the
//! same time are two computers. Of two that take turns, days apart, one does not know the machine's newest event, or has a database of
//! before. And a ledger that was put back gives numbers to its tickets that it has given before.
//!
//! What is known stands in the machines' database. So it outlives a restart, and every process that serves machines has the same. It is
//! written when there is something new: when a computer is started and once a minute later, and with a question for open orders. An order
//! costs no commit.

use crate::machines::token::hash;
use crate::sale::books::BooksError;
use crate::store::{self, Row, Tx};
use qris_core::order::ids::DeviceId;
use qris_core::order::merchant::{NoProof, Order, Proof};
use qris_core::order::time::{Span, Wall};
use serde::{Deserialize, Serialize};

/// A call that was under way when the computer was started anew may come so late, and says nothing.
const LATE: Span = Span::secs(60);
/// Nobody is told of the same machine more often.
const TOLD_EVERY: Span = Span::secs(24 * 3600);
/// So many starts of a machine are known, the newest.
const STARTS_MAX: usize = 16;
/// So many databases of a machine are known, the newest.
const STREAMS_MAX: usize = 16;

/// What a call of a machine shows of its computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// The kernel's `boot_id`.
    pub boot: Option<Box<str>>,
    /// Its newest event: the name of its database, and the event's number there.
    pub event: Option<(Box<str>, u64)>,
    /// Its relay has signed a number twice.
    pub is_ledger_old: bool,
    pub address: Box<str>,
}

/// Whether the relay has given the number of its proof to another ticket before.
#[must_use]
pub fn is_ledger_old(order: &Order) -> bool {
    order.delivery().is_some_and(|told| told.proof == Proof::Missing(NoProof::NumberUsed))
}

/// Whether this is worth a [`note`].
pub fn is_news(tx: &mut dyn Tx, device: &DeviceId, sight: &Sight, now: Wall) -> Result<bool, BooksError> {
    let known = load(tx, device)?;
    let mut after = known.clone();
    Ok(after.see(sight, now).is_some() || after != known)
}

/// Writes down what a call shows. `Some`: it is another computer. The answer is both addresses, at most once a day, in order.
pub fn note(tx: &mut dyn Tx, device: &DeviceId, sight: &Sight, now: Wall) -> Result<Option<[Box<str>; 2]>, BooksError> {
    let mut known = load(tx, device)?;
    let both = known.see(sight, now);
    let text = serde_json::to_string(&known).expect("plain data");
    let sum = hash(&text);
    store::put(tx, "twins", "device", vec![("device", device.as_str().into()), ("known", text.into()), ("sum", sum.into())])?;
    Ok(both)
}

/// A row that is damaged says nothing. Nobody is told of two computers because a bit flipped.
fn load(tx: &mut dyn Tx, device: &DeviceId) -> Result<Sightings, BooksError> {
    let rows = tx.rows("SELECT known, sum FROM twins WHERE device = $1", &[device.as_str().into()])?;
    let read = |row: &Row| {
        let (text, sum) = (row.text("known").ok()?, row.text("sum").ok()?);
        (hash(text) == sum).then(|| serde_json::from_str(text).ok()).flatten()
    };
    Ok(rows.first().and_then(read).unwrap_or_default())
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sightings {
    starts: Vec<Start>,
    /// The newest event of each database. The one that was shown last stands last.
    newest: Vec<Newest>,
    told: Option<Wall>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Start {
    boot: Box<str>,
    address: Box<str>,
    /// When it was seen first.
    first: Wall,
    /// When it was seen, once after each time that another one began.
    last: Wall,
}

/// The newest event of a database that the machine has told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Newest {
    stream: Box<str>,
    seq: u64,
    address: Box<str>,
    at: Wall,
}

impl Sightings {
    fn see(&mut self, sight: &Sight, now: Wall) -> Option<[Box<str>; 2]> {
        // The clock of the server that told it may be ahead of this one's.
        if self.told.is_some_and(|told| (told - LATE..told + TOLD_EVERY).contains(&now)) {
            return None;
        }
        let of_relay = sight.is_ledger_old.then(|| self.other(sight));
        let of_boot = sight.boot.as_deref().and_then(|boot| self.started(boot, &sight.address, now));
        let of_event = sight.event.as_ref().and_then(|(stream, seq)| self.told(stream, *seq, &sight.address, now));
        let mut both = [of_boot.or(of_event).or(of_relay)?, sight.address.clone()];
        both.sort();
        self.told = Some(now);
        // This is known now. Only what comes after it is more.
        self.starts.iter_mut().for_each(|start| (start.first, start.last) = (now, now));
        Some(both)
    }

    /// The address of another computer that is at work beside this one. That is so when both were seen a while after the newest start.
    fn started(&mut self, boot: &str, address: &str, now: Wall) -> Option<Box<str>> {
        // If the clock was set back, no start is later than now.
        self.starts.iter_mut().for_each(|start| (start.first, start.last) = (start.first.min(now), start.last.min(now)));
        let Some(at) = self.starts.iter().position(|start| *start.boot == *boot) else {
            if self.starts.len() == STARTS_MAX {
                self.starts.remove(0);
            }
            self.starts.push(Start { boot: boot.into(), address: address.into(), first: now, last: now });
            return None;
        };
        let sure = self.starts.iter().map(|start| start.first).max()? + LATE;
        if now < sure || self.starts[at].last >= sure {
            return None;
        }
        // The one that was seen last stands last.
        let start = Start { address: address.into(), last: now, ..self.starts.remove(at) };
        let other = self.starts.iter().rfind(|other| other.last >= sure).map(|other| other.address.clone());
        self.starts.push(start);
        other
    }

    /// The address of the one that has told a later event before this one, or another database after it.
    fn told(&mut self, stream: &str, seq: u64, address: &str, now: Wall) -> Option<Box<str>> {
        let at = self.newest.iter().position(|newest| *newest.stream == *stream);
        let is_newest = at.is_some_and(|at| at + 1 == self.newest.len());
        let before = self.newest.last();
        let is_earlier = at.is_some() && (!is_newest || before.is_some_and(|before| seq < before.seq));
        let is_late = is_earlier && before.is_some_and(|before| now < before.at + LATE);
        let is_known = is_newest && before.is_some_and(|before| seq == before.seq);
        if is_late || is_known {
            return None;
        }
        // The last call of one database came behind the first one of the next: which of them is the older one is not known.
        let is_mixed = !is_newest && at.zip(before).is_some_and(|(at, before)| before.at < self.newest[at].at + LATE);
        let other = before.filter(|_| is_earlier && !is_mixed).map(|before| before.address.clone());
        match at {
            Some(at) => drop(self.newest.remove(at)),
            None if self.newest.len() == STREAMS_MAX => drop(self.newest.remove(0)),
            None => {}
        }
        self.newest.push(Newest { stream: stream.into(), seq, address: address.into(), at: now });
        other
    }

    /// The address of the computer that was seen last besides this one. After a set-back it may be the same one.
    fn other(&self, sight: &Sight) -> Box<str> {
        let other = self.starts.iter().rfind(|start| sight.boot.as_deref() != Some(&start.boot));
        other.map_or(&sight.address, |other| &other.address).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeping::databases::open_both;
    use crate::store::read_on;
    use rusqlite::Connection;
    use std::path::Path;

    const DAY: i64 = 24 * 3600;

    /// What several processes know, or one after a restart.
    struct Rig {
        machines: Connection,
        directory: tempfile::TempDir,
    }

    impl Rig {
        fn new() -> Self {
            let directory = tempfile::tempdir().expect("a directory");
            Self { machines: open(directory.path()), directory }
        }

        fn see(&self, sight: &Sight, s: i64) -> Option<[Box<str>; 2]> {
            see(&self.machines, sight, s).1
        }

        fn seen(&self, boot: &str, address: &str, s: i64) -> Option<[Box<str>; 2]> {
            self.see(&by(boot, address), s)
        }

        fn told(&self, stream: &str, seq: u64, address: &str, s: i64) -> Option<[Box<str>; 2]> {
            self.see(&Sight { boot: None, event: Some((stream.into(), seq)), ..by("", address) }, s)
        }
    }

    fn open(directory: &Path) -> Connection {
        open_both(&directory.join("orders.db"), true, true).expect("opens").machines
    }

    fn by(boot: &str, address: &str) -> Sight {
        Sight { boot: Some(boot.into()), event: None, is_ledger_old: false, address: address.into() }
    }

    /// Whether it was written, and the news.
    fn see(machines: &Connection, sight: &Sight, s: i64) -> (bool, Option<[Box<str>; 2]>) {
        let (device, now) = (DeviceId::new("vm-001").expect("an id"), Wall(s * 1000));
        let is_news = read_on(machines, |tx| is_news(tx, &device, sight, now)).expect("read");
        (is_news, is_news.then(|| read_on(machines, |tx| note(tx, &device, sight, now)).expect("written")).flatten())
    }

    fn both(one: &str, other: &str) -> Option<[Box<str>; 2]> {
        Some([one.into(), other.into()])
    }

    #[test]
    fn an_earlier_start_that_comes_back_is_another_computer() {
        let rig = Rig::new();
        let seen = |boot, address, s| rig.seen(boot, address, s);
        assert_eq!((seen("a", "10.0.0.1", 0), seen("a", "10.0.0.2", 10)), (None, None), "its address may change");
        // It is started anew, and a late call of before is no other computer.
        assert_eq!((seen("b", "10.0.0.2", 100), seen("a", "10.0.0.2", 101), seen("b", "10.0.0.2", 500)), (None, None, None));
        // The machine was never seen before, and a late call comes first.
        let anew = Rig::new();
        let late = |boot, s| anew.seen(boot, "10.0.0.2", s);
        assert_eq!((late("b", 500), late("a", 501), late("b", 700), late("b", 900)), (None, None, None, None));
        // A copy starts beside it; both go on.
        assert_eq!((seen("c", "10.9.9.9", 1000), seen("b", "10.0.0.2", 1059), seen("c", "10.9.9.9", 1060)), (None, None, None));
        assert_eq!(seen("b", "10.0.0.3", 1061), both("10.0.0.3", "10.9.9.9"));
        assert_eq!((seen("c", "10.9.9.9", 1200), seen("b", "10.0.0.3", 1300)), (None, None), "somebody was told");
        assert_eq!((seen("c", "10.9.9.9", 1301 + DAY), seen("b", "10.0.0.3", 1302 + DAY)), (None, both("10.0.0.3", "10.9.9.9")));
        // The copy is off.
        assert_eq!((seen("b", "10.0.0.3", 1303 + 2 * DAY), seen("b", "10.0.0.3", 1303 + 4 * DAY)), (None, None));
        let other = DeviceId::new("vm-002").expect("an id");
        assert_eq!(read_on(&rig.machines, |tx| note(tx, &other, &by("c", "10.0.0.3"), Wall(0))).expect("written"), None);
    }

    #[test]
    fn one_card_in_many_computers_is_noticed() {
        let rig = Rig::new();
        let told = (0..60).filter_map(|n| rig.seen(&format!("boot-{}", n % 10), &format!("10.0.0.{}", n % 10), 7 * n)).count();
        assert_eq!(told, 1);
    }

    #[test]
    fn an_event_before_the_newest_is_of_another_computer() {
        let rig = Rig::new();
        let told = |(stream, seq), address, s| rig.told(stream, seq, address, s);
        assert_eq!((told(("a", 7), "10.0.0.1", 0), told(("a", 7), "10.0.0.1", 1), told(("a", 9), "10.0.0.2", 2)), (None, None, None));
        assert_eq!(told(("a", 7), "10.0.0.1", 61), None, "it was asked before, and comes late");
        assert_eq!(told(("a", 7), "10.0.0.1", 1), None, "so it does at a server whose clock is behind");
        // A copy from last week.
        assert_eq!(told(("a", 8), "10.9.9.9", 62), both("10.0.0.2", "10.9.9.9"));
        assert_eq!((told(("a", 9), "10.0.0.2", 163), told(("a", 8), "10.9.9.9", 263)), (None, None), "somebody was told today");
        // Its database was lost, and the next one too. Then a card from before the first loss is put in.
        assert_eq!((told(("b", 1), "10.0.0.2", 2 * DAY), told(("c", 1), "10.0.0.2", 3 * DAY)), (None, None));
        assert_eq!(told(("b", 4), "10.0.0.2", 3 * DAY + 59), None, "it was asked before, and comes late");
        assert_eq!(told(("a", 9), "10.0.0.4", 4 * DAY), both("10.0.0.2", "10.0.0.4"));
    }

    #[test]
    fn a_call_of_the_database_before_may_come_behind_the_first_one_of_the_next() {
        let rig = Rig::new();
        // The machine has lost its database. A question from before that is under way for some seconds yet.
        assert_eq!(rig.told("new", 0, "one", 1), None);
        assert_eq!(rig.told("old", 0, "one", 6), None);
        assert_eq!(rig.told("new", 9, "one", 176), None, "it is the one computer that there is");
        // From here on the older one is no news of before.
        assert_eq!(rig.told("old", 0, "other", 300), both("one", "other"));
    }

    #[test]
    fn a_ledger_that_was_put_back_is_told_with_the_address_of_the_one_before() {
        let old = |boot, address| Sight { is_ledger_old: true, ..by(boot, address) };
        let rig = Rig::new();
        assert_eq!(rig.see(&old("a", "10.0.0.1"), 0), both("10.0.0.1", "10.0.0.1"), "nobody else is known");
        let rig = Rig::new();
        assert_eq!((rig.seen("a", "10.0.0.1", 0), rig.seen("b", "10.9.9.9", DAY)), (None, None));
        assert_eq!(rig.see(&old("b", "10.9.9.9"), DAY + 1), both("10.0.0.1", "10.9.9.9"));
        assert_eq!(rig.see(&old("b", "10.9.9.9"), DAY + 2), None, "somebody was told today");
        assert_eq!(rig.see(&old("b", "10.9.9.9"), DAY), None, "and a server whose clock is behind does not tell it again");
    }

    #[test]
    fn every_process_has_the_same_and_writes_little() {
        let rig = Rig::new();
        let (first, second) = (&rig.machines, open(rig.directory.path()));
        let a = Sight { event: Some(("x".into(), 5)), ..by("a", "10.0.0.1") };
        let written: Vec<i64> = (0..300).filter(|s| see(if s % 2 == 0 { first } else { &second }, &a, *s).0).collect();
        assert_eq!(written, [0, 60], "as it is started, and when it has stayed");
        let b = by("b", "10.9.9.9");
        // One process hears only the one computer, and the other process only the other one.
        assert_eq!((see(&second, &b, 300), see(&second, &b, 360)), ((true, None), (true, None)));
        assert_eq!(see(first, &a, 361), (true, both("10.0.0.1", "10.9.9.9")));
        assert_eq!(see(&second, &b, 362), (false, None), "the other process has told it");
    }

    #[test]
    fn a_flipped_bit_and_a_clock_that_is_set_back_tell_nobody_of_two_computers() {
        let rig = Rig::new();
        assert_eq!((rig.told("x", 5, "10.0.0.1", 0), rig.seen("b", "10.0.0.1", 100)), (None, None));
        let flip = "UPDATE twins SET known = replace(known, '\"seq\":5', '\"seq\":7')";
        assert_eq!(rig.machines.execute(flip, []).expect("runs"), 1);
        assert_eq!((rig.told("x", 6, "10.0.0.1", 300), rig.seen("b", "10.0.0.1", 400)), (None, None));
        // A copy is seen also after a clock went ahead for a while.
        assert_eq!(
            (rig.seen("c", "10.9.9.9", 9 * DAY), rig.seen("b", "10.0.0.1", 500), rig.seen("c", "10.9.9.9", 561)),
            (None, None, None)
        );
        assert_eq!(rig.seen("b", "10.0.0.1", 562), both("10.0.0.1", "10.9.9.9"));
    }
}
