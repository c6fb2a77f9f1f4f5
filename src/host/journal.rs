//! The two ways to write the journal: to journald where standard error is its stream, and as readable lines on standard
//! error elsewhere.
//!
//! Libraries have records of their own, for `tracing`. Those are dropped unless `QRIS_LOG=debug`; then they have priority 7, whatever
//! priority their authors gave them. Of those that nobody reads few wait, and the others are lost ([`writer`]).

mod sink;
mod writer;

use super::clock;
use super::events::{Cause, Event, EventKind, Fields, TABLE};
use qris_core::order::ids::DeviceId;
use qris_core::order::time::{Boot, Span};
use sink::{Parts, SOCKET, Sink};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixDatagram;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::{Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use writer::Line;

/// Begins to write the journal of `program` (its SYSLOG_IDENTIFIER). To be called once, before everything else. A
/// second call changes nothing. Events before it are lost.
///
/// With `QRIS_LOG=debug` in the environment the libraries' own records are written too; with `QRIS_LOG=trace` all of them.
pub fn start(program: &'static str) {
    // Only a second call finds one there. Then the first one stays in force.
    if SINK.set(Sink::find(program)).is_err() {
        return;
    }
    tell_libraries_records();
    writer::start();
    if is_journald() {
        tell_panics(program);
    }
}

fn tell_libraries_records() {
    let most = match std::env::var_os("QRIS_LOG").as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("debug") => Level::DEBUG,
        Some("trace") => Level::TRACE,
        Some(_) | None => return,
    };
    let told = tracing_subscriber::filter::filter_fn(move |metadata| *metadata.level() <= most);
    // Nobody else is there to be told of them.
    let _ = tracing_subscriber::registry().with(Records.with_filter(told)).try_init();
}

/// From now on a panic is an event instead of bare lines. It mostly ends the program, and this event tells people why.
fn tell_panics(program: &'static str) {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // A panic within this code must not wait for its own lock.
        if matches!(LIMITS.try_lock(), Err(TryLockError::WouldBlock)) {
            return usual(panic);
        }
        let said = panic.payload_as_str().unwrap_or("a panic").lines().map(str::trim).collect::<Vec<_>>().join("; ");
        let place = panic.location().map(|place| format!(" ({place})")).unwrap_or_default();
        emit(&Event::ProgramFault { program: program.into(), why: format!("{said}{place}").into() });
        written();
    }));
}

static SINK: OnceLock<Sink> = OnceLock::new();

/// Whether events become entries of journald, and not lines on standard error.
pub(super) fn is_journald() -> bool {
    matches!(SINK.get(), Some(Sink::Journald { .. }))
}

/// How often we look at most whether journald has read everything, and how long each look takes.
const LOOKS: u32 = 200;
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until every event so far is written, for a second at most. False: nobody reads. To be called before a program ends by itself,
/// or begins anew.
pub(super) fn written() -> bool {
    writer::written(LOOK_EVERY * LOOKS)
}

/// Waits until journald has taken in every event so far, for a second at most. journald asks the system which service the sender belongs
/// to, and the system does not know this for a process that is gone. Then the program's last words would be in the journal, but `journalctl -u` would not find them.
pub(super) fn settle() {
    if !written() {
        return;
    }
    let Ok(socket) = UnixDatagram::unbound() else { return };
    // journald reads entries one after the other, and discards an empty one. Once it has read the empty entry, it has
    // taken in all entries before it.
    if socket.set_write_timeout(Some(LOOK_EVERY * LOOKS)).and_then(|()| socket.send_to(&[], SOCKET)).is_err() {
        return;
    }
    for _ in 0..LOOKS {
        if !is_unread(&socket) {
            return;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Whether a message that was sent here still waits for its reader.
#[allow(unsafe_code, reason = "no crate has a safe face of this ioctl")]
fn is_unread(socket: &UnixDatagram) -> bool {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the socket is open and the pointer is to memory of the right size. The call does not keep it.
    let asked = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    asked == 0 && bytes > 0
}

/// Says which machine this program belongs to. From then on every event that names no other machine gets its `DEVICE_ID`.
pub fn belongs_to(device: &DeviceId) {
    // Only a second call fails: a program belongs to one machine.
    let _ = DEVICE.set(device.to_string());
}

static DEVICE: OnceLock<String> = OnceLock::new();

/// Writes an event to the journal, or to standard error where there is none, unless too many of its kind came. Also says how many
/// were left out lately.
pub fn emit(event: &Event) {
    let kind = event.kind();
    let now = clock::now().boot;
    match kind.cause {
        Cause::Own => emit_own(kind, event, now),
        Cause::Strangers => match strangers().take(kind.name, now) {
            Taken::Written => writer::say(event),
            Taken::LeftOut => {}
            Taken::FirstLeftOut => tell_of_strangers_later(),
        },
    }
}

fn emit_own(kind: &EventKind, event: &Event, now: Boot) {
    let (admitted, reports) = {
        // A panic while the lock is held cannot leave a bucket half changed in a way that matters.
        let mut buckets = LIMITS.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = buckets[kind.index].take(now);
        let reports: Vec<_> = buckets.iter_mut().zip(TABLE).filter_map(|(bucket, kind)| Some((kind, bucket.report(now)?))).collect();
        (admitted, reports)
    };
    if admitted {
        writer::say(event);
    }
    for (kind, count) in reports {
        writer::say_missing([(kind.name.into(), count)].into());
    }
}

/// Writes a line, and waits for its reader. After an error it is not there.
fn record(Line { kind, fields, text, .. }: &Line) -> io::Result<()> {
    let Some(sink) = SINK.get() else { return Ok(()) };
    let Fields { request_id, order_id, device_id, state, item, amount } = fields;
    let pairs = [
        ("MESSAGE_ID", Some(kind.message_id)),
        ("REQUEST_ID", request_id.as_deref()),
        ("ORDER_ID", order_id.as_deref()),
        ("DEVICE_ID", device_id.as_ref().or_else(|| DEVICE.get()).map(String::as_str)),
        ("STATE", state.as_deref()),
        ("ITEM", item.as_deref()),
        ("AMOUNT", amount.as_deref()),
    ];
    let pairs = pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    sink.write(Some(kind.priority), &Parts { message: text.clone(), pairs })
}

/// The most lines in any minute that strangers cause, all kinds together. Add the lines of the orders that one machine can be
/// asked for in a minute: the sum is less than a hundred.
const STRANGERS_MAX: usize = 60;
const MINUTE: Span = Span::secs(60);

static STRANGERS: Mutex<Strangers> = Mutex::new(Strangers { written: VecDeque::new(), left_out: BTreeMap::new() });

fn strangers() -> MutexGuard<'static, Strangers> {
    STRANGERS.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Strangers {
    /// The times of the lines of the last minute.
    written: VecDeque<Boot>,
    /// How many lines of each kind were left out and are not reported yet.
    left_out: BTreeMap<Box<str>, i64>,
}

#[derive(Debug, PartialEq, Eq)]
enum Taken {
    Written,
    LeftOut,
    /// In a minute a report tells of it and of all that follow.
    FirstLeftOut,
}

impl Strangers {
    fn take(&mut self, kind: &'static str, now: Boot) -> Taken {
        while self.written.front().is_some_and(|at| now - *at >= MINUTE) {
            self.written.pop_front();
        }
        if self.written.len() < STRANGERS_MAX {
            self.written.push_back(now);
            return Taken::Written;
        }
        let is_first = self.left_out.is_empty();
        *self.left_out.entry(kind.into()).or_default() += 1;
        if is_first { Taken::FirstLeftOut } else { Taken::LeftOut }
    }
}

/// A minute later one line says how many are missing, even if nothing else happens by then.
fn tell_of_strangers_later() {
    let tell = || writer::say_missing(std::mem::take(&mut strangers().left_out));
    let later = move || {
        std::thread::sleep(MINUTE.to_duration());
        tell();
    };
    if std::thread::Builder::new().name("strangers".into()).spawn(later).is_err() {
        tell();
    }
}

/// The most events of one kind at once …
const BURST: i64 = 50;
/// … and one more in so many milliseconds: ten a second.
const REFILL_MS: i64 = 100;

static LIMITS: Mutex<[Bucket; TABLE.len()]> = Mutex::new([const { Bucket::new() }; TABLE.len()]);

/// The number of lines that were left out is told at once, and then every ten seconds.
const REPORT_EVERY: Span = Span::secs(10);

/// A token bucket for one kind of event.
struct Bucket {
    /// Milliseconds' worth of lines: a line costs [`REFILL_MS`].
    credit_ms: i64,
    at: Boot,
    suppressed: i64,
    reported_at: Option<Boot>,
}

impl Bucket {
    const fn new() -> Self {
        Self { credit_ms: BURST * REFILL_MS, at: Boot(0), suppressed: 0, reported_at: None }
    }

    fn take(&mut self, now: Boot) -> bool {
        let earned = (now - self.at).0.clamp(0, BURST * REFILL_MS);
        self.credit_ms = (self.credit_ms + earned).min(BURST * REFILL_MS);
        self.at = now;
        let admitted = self.credit_ms >= REFILL_MS;
        if admitted {
            self.credit_ms -= REFILL_MS;
        } else {
            self.suppressed += 1;
        }
        admitted
    }

    /// How many lines were left out since the last report, if it is time to report them.
    fn report(&mut self, now: Boot) -> Option<i64> {
        if self.suppressed == 0 || self.reported_at.is_some_and(|at| now - at < REPORT_EVERY) {
            return None;
        }
        self.reported_at = Some(now);
        Some(std::mem::take(&mut self.suppressed))
    }
}

/// Nobody counts what is lost of them.
fn record_of_library(parts: &Parts) {
    let _ = SINK.get().map(|sink| sink.write(None, parts));
}

/// The records of libraries.
struct Records;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Records {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut parts = Parts::default();
        event.record(&mut parts);
        writer::say_of_library(parts);
    }
}

impl Visit for Parts {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            name => self.pairs.push((name.to_ascii_uppercase().replace('.', "_"), value.to_owned())),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_floods_is_held_back_and_counted() {
        let mut bucket = Bucket::new();
        for _ in 0..BURST {
            assert!(bucket.take(Boot(1000)));
            assert_eq!(bucket.report(Boot(1000)), None);
        }
        assert!(!bucket.take(Boot(1000)));
        assert_eq!(bucket.report(Boot(1000)), Some(1), "a flood is told when it begins");
        for _ in 0..7 {
            assert!(!bucket.take(Boot(1099)));
            assert_eq!(bucket.report(Boot(1099)), None);
        }
        assert!(bucket.take(Boot(1100)), "ten a second");
        assert!(!bucket.take(Boot(1100)));
        assert_eq!(bucket.report(Boot(10_999)), None);
        assert_eq!(bucket.report(Boot(11_000)), Some(8), "and then every ten seconds");
        assert_eq!(bucket.report(Boot(90_000)), None);
        assert!((0..BURST).all(|_| bucket.take(Boot(90_000))) && !bucket.take(Boot(90_000)), "the burst is not larger after a rest");
    }

    #[test]
    fn strangers_have_so_many_lines_in_any_minute() {
        let mut strangers = Strangers { written: VecDeque::new(), left_out: BTreeMap::new() };
        for line in 0..60 {
            assert_eq!(strangers.take("OrderRefused", Boot(line * 500)), Taken::Written, "{line}");
        }
        assert_eq!(strangers.take("OrderRefused", Boot(59_999)), Taken::FirstLeftOut);
        assert_eq!(strangers.take("TokenRefused", Boot(59_999)), Taken::LeftOut);
        assert_eq!(strangers.take("OrderRefused", Boot(60_000)), Taken::Written, "the first was a minute ago");
        assert_eq!(strangers.take("OrderRefused", Boot(60_499)), Taken::LeftOut);
        assert_eq!(std::mem::take(&mut strangers.left_out), [("OrderRefused".into(), 2), ("TokenRefused".into(), 1)].into());
        assert_eq!(strangers.take("OrderRefused", Boot(60_499)), Taken::FirstLeftOut);
        assert!((0..60).all(|_| strangers.take("OrderRefused", Boot(200_000)) == Taken::Written), "after a rest");
        assert_eq!(strangers.take("OrderRefused", Boot(200_000)), Taken::LeftOut, "and no more than that");
    }
}
