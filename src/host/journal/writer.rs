//! The thread that writes the lines. A journal that hangs, or a pipe that nobody empties, stops this thread and nothing else. A line that finds
//! no room to wait, or cannot be written, is left out and counted. The count is told when lines can be written again.

use super::sink::Parts;
use super::{record, record_of_library};
use crate::events::{Event, EventKind, Fields};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// So many lines wait for their reader. A sale has about ten.
const WAITING_MAX: usize = 256;
/// So many of them may be libraries' own. They take no room of ours.
const OF_LIBRARIES_MAX: usize = 128;
const STACK: usize = 128 * 1024;
/// How often somebody who waits for the last line looks for room.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long the count waits for its next try where no line comes meanwhile.
const AGAIN: Duration = Duration::from_secs(5);

static WRITER: OnceLock<Arc<Writer>> = OnceLock::new();

/// An event in the words of the journal.
pub(super) struct Line {
    pub(super) kind: &'static EventKind,
    pub(super) fields: Fields,
    pub(super) text: String,
    /// What it says is missing, if it says that.
    missing: LeftOut,
}

/// How many lines of each kind were left out.
type LeftOut = BTreeMap<Box<str>, i64>;

enum Said {
    Line(Line),
    OfLibrary(Parts),
    /// All before it is written.
    Mark(SyncSender<()>),
}

struct Writer {
    waiting: SyncSender<Said>,
    /// Not told yet.
    left_out: Mutex<LeftOut>,
    of_libraries: AtomicUsize,
}

/// Begins to write. Without a thread each line is written by whoever says it.
pub(super) fn start() {
    let (writer, lines) = Writer::new(WAITING_MAX);
    let thread = thread::Builder::new().name("journal".into()).stack_size(STACK);
    let its = Arc::clone(&writer);
    if thread.spawn(move || its.write(&lines, AGAIN, record)).is_ok() {
        let _ = WRITER.set(writer);
    }
}

/// Has an event written. It waits for nobody.
pub(super) fn say(event: &Event) {
    let line = Line { kind: event.kind(), fields: event.fields(), text: event.to_string(), missing: LeftOut::new() };
    give(line);
}

/// Has it written that lines are missing.
pub(super) fn say_missing(missing: LeftOut) {
    give(Line::missing(missing));
}

/// Has a library's record written, if there is room. It waits for nobody.
pub(super) fn say_of_library(parts: Parts) {
    match WRITER.get() {
        Some(writer) => writer.take_of_library(parts),
        None => record_of_library(&parts),
    }
}

fn give(line: Line) {
    match WRITER.get() {
        Some(writer) => writer.take(line),
        // Nobody is there who would count it.
        None => drop(record(&line)),
    }
}

/// Waits until all lines so far are written, for `most` at most. False: somebody does not read.
pub(super) fn written(most: Duration) -> bool {
    WRITER.get().is_none_or(|writer| writer.is_done_within(most))
}

impl Line {
    fn missing(missing: LeftOut) -> Self {
        let alone = missing.len() == 1;
        let kinds: Vec<_> = missing.iter().map(|(kind, count)| if alone { kind.to_string() } else { format!("{kind} {count}") }).collect();
        let event = Event::LinesSuppressed { count: missing.values().sum(), kind: kinds.join(", ").into() };
        Self { kind: event.kind(), fields: event.fields(), text: event.to_string(), missing }
    }
}

impl Writer {
    fn new(room: usize) -> (Arc<Self>, Receiver<Said>) {
        let (waiting, lines) = sync_channel(room);
        (Arc::new(Self { waiting, left_out: Mutex::default(), of_libraries: AtomicUsize::new(0) }), lines)
    }

    fn take(&self, line: Line) {
        if let Err(TrySendError::Full(Said::Line(line)) | TrySendError::Disconnected(Said::Line(line))) =
            self.waiting.try_send(Said::Line(line))
        {
            self.leave_out(line);
        }
    }

    fn take_of_library(&self, parts: Parts) {
        if self.of_libraries.fetch_add(1, Ordering::Relaxed) >= OF_LIBRARIES_MAX || self.waiting.try_send(Said::OfLibrary(parts)).is_err() {
            self.of_libraries.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn leave_out(&self, line: Line) {
        let missing = if line.missing.is_empty() { [(line.kind.name.into(), 1)].into() } else { line.missing };
        let mut left_out = self.left_out();
        missing.into_iter().for_each(|(kind, count)| *left_out.entry(kind).or_default() += count);
    }

    fn is_done_within(&self, most: Duration) -> bool {
        let until = Instant::now() + most;
        let (mark, passed) = sync_channel(1);
        while self.waiting.try_send(Said::Mark(mark.clone())).is_err() {
            if Instant::now() >= until {
                return false;
            }
            thread::sleep(LOOK_EVERY);
        }
        passed.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok()
    }

    fn write(&self, lines: &Receiver<Said>, again: Duration, record: impl Fn(&Line) -> io::Result<()>) {
        let write = |line: Line| {
            if record(&line).is_err() {
                self.leave_out(line);
            }
        };
        loop {
            let said = match lines.try_recv() {
                Err(TryRecvError::Empty) => {
                    // These came after all that waited.
                    let missing = std::mem::take(&mut *self.left_out());
                    if !missing.is_empty() {
                        write(Line::missing(missing));
                    }
                    let is_told = self.left_out().is_empty();
                    match if is_told { lines.recv().map_err(Into::into) } else { lines.recv_timeout(again) } {
                        Err(RecvTimeoutError::Timeout) => continue,
                        said => said.ok(),
                    }
                }
                said => said.ok(),
            };
            match said {
                Some(Said::Line(line)) => write(line),
                Some(Said::OfLibrary(parts)) => {
                    record_of_library(&parts);
                    self.of_libraries.fetch_sub(1, Ordering::Relaxed);
                }
                Some(Said::Mark(mark)) => drop(mark.try_send(())),
                None => return,
            }
        }
    }

    fn left_out(&self) -> MutexGuard<'_, LeftOut> {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc::channel;

    fn line(why: &str) -> Line {
        let event = Event::RelayGone { why: why.to_owned().into() };
        Line { kind: event.kind(), fields: event.fields(), text: event.to_string(), missing: LeftOut::new() }
    }

    #[test]
    fn while_nobody_reads_nobody_waits_and_all_that_is_left_out_is_counted() {
        let (writer, lines) = Writer::new(3);
        let (wrote, written) = channel();
        let (reads, next) = channel();
        let its = Arc::clone(&writer);
        thread::spawn(move || {
            its.write(&lines, AGAIN, |line| {
                wrote.send(line.text.clone()).expect("the test is there");
                next.recv().expect("the test is there");
                Ok(())
            });
        });
        let told = || written.recv_timeout(Duration::from_secs(20)).expect("a line");
        writer.take(line("first"));
        assert!(told().contains("first"), "it is written, and its reader hangs");
        for n in 0..8 {
            writer.take(line(&format!("number {n}")));
        }
        writer.take(Line::missing([("OrderRefused".into(), 4)].into()));
        assert!(!writer.is_done_within(Duration::from_millis(1)), "nobody reads");
        for n in 0..3 {
            reads.send(()).expect("it reads");
            assert!(told().contains(&format!("number {n}")));
        }
        reads.send(()).expect("it reads");
        assert_eq!(told(), "9 more events were not written: OrderRefused 4, RelayGone 5");
        reads.send(()).expect("it reads");
        assert!(writer.is_done_within(Duration::from_secs(20)));
        writer.take(line("last"));
        assert!(told().contains("last"), "and no count is told twice");
    }

    /// With `QRIS_LOG=debug` a library may say thousands of lines.
    #[test]
    fn libraries_wait_for_nobody_and_take_no_room_of_ours() {
        let (writer, lines) = Writer::new(OF_LIBRARIES_MAX + 1);
        for _ in 0..OF_LIBRARIES_MAX + 10 {
            writer.take_of_library(Parts::default());
        }
        writer.take(line("ours"));
        assert!(writer.left_out().is_empty());
        let said: Vec<_> = lines.try_iter().collect();
        assert!(said.len() == OF_LIBRARIES_MAX + 1 && matches!(said.last(), Some(Said::Line(_))), "{}", said.len());
    }

    #[test]
    fn what_could_not_be_written_is_counted_and_told_as_soon_as_it_can_be() {
        let (writer, lines) = Writer::new(8);
        let (wrote, written) = channel();
        let is_full = Arc::new(AtomicBool::new(true));
        let (its, disk) = (Arc::clone(&writer), Arc::clone(&is_full));
        thread::spawn(move || {
            its.write(&lines, Duration::from_millis(1), |line| {
                if disk.load(Ordering::Relaxed) {
                    return Err(ErrorKind::StorageFull.into());
                }
                wrote.send(line.text.clone()).expect("the test is there");
                Ok(())
            });
        });
        for n in 0..3 {
            writer.take(line(&format!("number {n}")));
        }
        writer.take(Line::missing([("OrderRefused".into(), 4)].into()));
        assert!(writer.is_done_within(Duration::from_secs(20)), "nobody hangs");
        // No line comes any more. The count is tried again and again, and is not counted itself.
        is_full.store(false, Ordering::Relaxed);
        let told = || written.recv_timeout(Duration::from_secs(20)).expect("a line");
        assert_eq!(told(), "7 more events were not written: OrderRefused 4, RelayGone 3");
        writer.take(line("last"));
        assert!(told().contains("last"), "and no count is told twice");
    }
}
