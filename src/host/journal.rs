//! The sinks of the journal: journald where standard error is its stream, readable lines on standard error elsewhere.
//!
//! Events go through `tracing`, where libraries put their own records too; those are dropped unless `QRIS_LOG=debug`,
//! and then have priority 7 whatever their authors thought of them.

use super::clock;
use super::events::{Event, Fields, Kind, Priority, TABLE};
use qris_core::order::ids::DeviceId;
use qris_core::order::time::{Boot, Span, Wall};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io::{IsTerminal as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::{Level, Subscriber};
use tracing_journald::{Priority as Mapped, PriorityMappings};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The target of our own records.
const TARGET: &str = "qris";

/// Begins to write the journal of `program` (its SYSLOG_IDENTIFIER). To be called once, first thing; a second call
/// changes nothing. Events before it are lost.
///
/// With `QRIS_LOG=debug` in the environment libraries' own records are written too, with `QRIS_LOG=trace` all of them.
pub fn start(program: &'static str) {
    let libraries = match std::env::var_os("QRIS_LOG").as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("debug") => Some(Level::DEBUG),
        Some("trace") => Some(Level::TRACE),
        Some(_) | None => None,
    };
    let ours = tracing_subscriber::filter::filter_fn(|metadata| metadata.target() == TARGET);
    let theirs = tracing_subscriber::filter::filter_fn(move |metadata| {
        libraries.is_some_and(|most| *metadata.level() <= most) && metadata.target() != TARGET
    });
    let registry = tracing_subscriber::registry();
    // The journal's socket may be missing where its stream is there, as in a container: then the stream gets lines.
    let journals = if is_journal_stream() {
        journald(program, our_priorities()).and_then(|ours| Ok((ours, journald(program, their_priorities())?))).ok()
    } else {
        None
    };
    let is_journald = journals.is_some();
    let result = match journals {
        Some((events, records)) => registry.with(events.with_filter(ours)).with(records.with_filter(theirs)).try_init(),
        None => {
            let lines = || Lines { colours: std::io::stderr().is_terminal() };
            registry.with(lines().with_filter(ours)).with(lines().with_filter(theirs)).try_init()
        }
    };
    // Only a second call fails, and then the first one stands.
    if result.is_ok() && JOURNALD.set(is_journald).is_ok() && is_journald {
        tell_panics(program);
    }
}

/// From now on a panic is an event instead of bare lines: it mostly ends the program, and whoever asks why finds it.
fn tell_panics(program: &'static str) {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // A panic in here must not wait for itself.
        if matches!(LIMITS.try_lock(), Err(TryLockError::WouldBlock)) {
            return usual(panic);
        }
        let said = panic.payload_as_str().unwrap_or("a panic").lines().map(str::trim).collect::<Vec<_>>().join("; ");
        let place = panic.location().map(|place| format!(" ({place})")).unwrap_or_default();
        write(&Event::ProgramFault { program: program.into(), why: format!("{said}{place}").into() });
    }));
}

static JOURNALD: OnceLock<bool> = OnceLock::new();

/// Whether events are entries of journald, and not lines on standard error.
pub(super) fn is_journald() -> bool {
    JOURNALD.get().copied().unwrap_or(false)
}

/// journald's socket, as in `tracing-journald`.
const SOCKET: &str = "/run/systemd/journal/socket";
/// How often it is looked whether journald has read everything, and how long each look takes.
const LOOKS: u32 = 200;
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until journald has taken in every event so far, for a second at most. To be called before a program ends by itself:
/// journald asks the system of which service the sender is, and of a process that is gone nobody knows. Its last words
/// would be in the journal, and `journalctl -u` would not find them.
pub(super) fn settle() {
    let Ok(socket) = UnixDatagram::unbound() else { return };
    // Entries are read one after the other, and what is empty is discarded: once that is read, all before it is taken in.
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

/// Whether something that was sent here waits for its reader.
#[allow(unsafe_code, reason = "ioctl has no safe face in the crates we use")]
fn is_unread(socket: &UnixDatagram) -> bool {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the socket is open and the pointer is to memory of the right size; the call keeps it no longer than it runs.
    let asked = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    asked == 0 && bytes > 0
}

/// Says which machine this program belongs to. Every event that names no other gets its `DEVICE_ID` from then on.
pub fn belongs_to(device: &DeviceId) {
    // Only a second call fails: a program belongs to one machine.
    let _ = DEVICE.set(device.to_string());
}

static DEVICE: OnceLock<String> = OnceLock::new();

/// Writes an event, unless too many of its kind came, and says how many were not written lately.
pub(super) fn write(event: &Event) {
    let kind = event.kind();
    let now = clock::now().boot;
    if is_strangers(event) {
        match strangers().take(kind.name, now) {
            Taken::Written => send(kind, event),
            Taken::LeftOut => {}
            Taken::FirstLeftOut => tell_of_strangers_later(),
        }
        return;
    }
    let (admitted, reports) = {
        // A panic while the lock is held cannot leave a bucket half changed in a way that matters.
        let mut buckets = LIMITS.lock().unwrap_or_else(PoisonError::into_inner);
        let admitted = buckets[kind.index].take(now);
        let reports: Vec<_> = buckets.iter_mut().zip(TABLE).filter_map(|(bucket, kind)| Some((kind, bucket.report(now)?))).collect();
        (admitted, reports)
    };
    if admitted {
        send(kind, event);
    }
    for (kind, count) in reports {
        let told = Event::LinesSuppressed { count, kind: kind.name.into() };
        send(told.kind(), &told);
    }
}

fn send(kind: &Kind, event: &Event) {
    let Fields { request_id, order_id, device_id, state, item, amount } = event.fields();
    let device_id = device_id.as_ref().or_else(|| DEVICE.get());
    macro_rules! record {
        ($level:ident) => {
            tracing::event!(
                target: "qris",
                Level::$level,
                MESSAGE_ID = kind.message_id,
                REQUEST_ID = request_id.as_deref(),
                ORDER_ID = order_id.as_deref(),
                DEVICE_ID = device_id.map(String::as_str),
                STATE = state.as_deref(),
                ITEM = item.as_deref(),
                AMOUNT = amount.as_deref(),
                "{event}"
            )
        };
    }
    match kind.priority {
        Priority::Err => record!(ERROR),
        Priority::Warning => record!(WARN),
        Priority::Notice => record!(INFO),
        Priority::Info => record!(DEBUG),
    }
}

/// `tracing` has no level between INFO and WARN, journald has: ours are shifted by one, so that all four fit.
fn our_priorities() -> PriorityMappings {
    PriorityMappings {
        error: Mapped::Error,
        warn: Mapped::Warning,
        info: Mapped::Notice,
        debug: Mapped::Informational,
        trace: Mapped::Debug,
    }
}

fn their_priorities() -> PriorityMappings {
    PriorityMappings { error: Mapped::Debug, warn: Mapped::Debug, info: Mapped::Debug, debug: Mapped::Debug, trace: Mapped::Debug }
}

fn journald(program: &str, priorities: PriorityMappings) -> std::io::Result<tracing_journald::Layer> {
    let layer = tracing_journald::layer()?;
    Ok(layer.with_field_prefix(None).with_syslog_identifier(program.into()).with_priority_mappings(priorities))
}

/// Is standard error the stream that the service manager made for the journal? (`JOURNAL_STREAM` is inherited by
/// children whose standard error is something else, hence the comparison.)
fn is_journal_stream() -> bool {
    let Some(stream) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    std::fs::metadata("/proc/self/fd/2").is_ok_and(|stderr| is_stream(&stream, stderr.dev(), stderr.ino()))
}

fn is_stream(journal_stream: &str, device: u64, inode: u64) -> bool {
    let parts = journal_stream.split_once(':').map(|(device, inode)| (device.parse(), inode.parse()));
    parts == Some((Ok(device), Ok(inode)))
}

/// Whether strangers can bring it about, as often as they like: whoever publishes, posts or calls, and is refused. Everything else
/// follows from an order, and the number of orders has a limit; or it happens to this computer. That is about money, or for a
/// person, and no flood keeps it out of the journal.
const fn is_strangers(event: &Event) -> bool {
    matches!(
        event,
        Event::OrderRefused { .. }
            | Event::TicketRefused { .. }
            | Event::ReceiptRefused { .. }
            | Event::NotificationRefused { .. }
            | Event::TokenRefused { .. }
            | Event::RelayKeyOther { .. }
            | Event::OutcomeConflict { .. }
    )
}

/// What strangers bring about has so many lines in any minute, all kinds together. With the lines of the orders that one machine
/// can be asked for meanwhile it is less than a hundred.
const STRANGERS_MAX: usize = 60;
const MINUTE: Span = Span::secs(60);

static STRANGERS: Mutex<Strangers> = Mutex::new(Strangers { written: VecDeque::new(), left_out: BTreeMap::new() });

fn strangers() -> MutexGuard<'static, Strangers> {
    STRANGERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lines that strangers brought about.
struct Strangers {
    /// When, in the last minute.
    written: VecDeque<Boot>,
    /// How many of each kind were not written, and not told of yet.
    left_out: BTreeMap<&'static str, i64>,
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
enum Taken {
    Written,
    LeftOut,
    /// It is told of in a minute, with all that follow.
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
        *self.left_out.entry(kind).or_default() += 1;
        if is_first { Taken::FirstLeftOut } else { Taken::LeftOut }
    }

    fn told(&mut self) -> Event {
        let left_out = std::mem::take(&mut self.left_out);
        let kinds: Vec<String> = left_out.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        Event::LinesSuppressed { count: left_out.values().sum(), kind: kinds.join(", ").into() }
    }
}

/// One line in a minute says how many are missing, whether anything else happens then or not.
fn tell_of_strangers_later() {
    let tell = || {
        let told = strangers().told();
        send(told.kind(), &told);
    };
    let later = move || {
        std::thread::sleep(MINUTE.to_duration());
        tell();
    };
    if std::thread::Builder::new().name("journal".into()).spawn(later).is_err() {
        tell();
    }
}

/// So many events of one kind at once …
const BURST: i64 = 50;
/// … and one more in so many milliseconds: ten a second.
const REFILL_MS: i64 = 100;

static LIMITS: Mutex<[Bucket; TABLE.len()]> = Mutex::new([const { Bucket::new() }; TABLE.len()]);

/// How many were not written is told at once and then every ten seconds.
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

    /// May one more be written?
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

    /// How many were not written since this was last told, if it is to be told now.
    fn report(&mut self, now: Boot) -> Option<i64> {
        if self.suppressed == 0 || self.reported_at.is_some_and(|at| now - at < REPORT_EVERY) {
            return None;
        }
        self.reported_at = Some(now);
        Some(std::mem::take(&mut self.suppressed))
    }
}

/// Readable lines on standard error: `HH:MM:SS level message  key=value…`, in UTC.
struct Lines {
    colours: bool,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut parts = Parts::default();
        event.record(&mut parts);
        let line = parts.line(clock::now().wall, word(event.metadata()), self.colours);
        // Standard error that nobody reads is no reason to stop.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

/// The word for a priority, and its colour on a terminal.
fn word(metadata: &tracing::Metadata<'_>) -> (&'static str, &'static str) {
    if metadata.target() != TARGET {
        return ("debug", "2");
    }
    match *metadata.level() {
        Level::ERROR => ("error", "31"),
        Level::WARN => ("warning", "33"),
        Level::INFO => ("notice", "1"),
        Level::DEBUG | Level::TRACE => ("info", "0"),
    }
}

/// What a line is made of.
#[derive(Default)]
struct Parts {
    message: String,
    pairs: String,
}

impl Visit for Parts {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message.push_str(value),
            "MESSAGE_ID" => {}
            "DEVICE_ID" if DEVICE.get().is_some_and(|device| device == value) => {}
            name => self.pairs.push_str(&format!(" {}={value}", name.to_ascii_lowercase())),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

impl Parts {
    fn line(&self, at: Wall, (word, colour): (&str, &str), colours: bool) -> String {
        let time = at.to_rfc3339();
        let time = &time[11..19];
        // One event is one line, and nothing that came from outside may steer a terminal.
        let clean = |text: &str| text.replace(char::is_control, " ");
        let (message, pairs) = (clean(&self.message), clean(&self.pairs));
        let gap = if pairs.is_empty() { "" } else { " " };
        if colours {
            format!("\x1b[2m{time}\x1b[0m \x1b[{colour}m{word:7}\x1b[0m {message}\x1b[2m{gap}{pairs}\x1b[0m\n")
        } else {
            format!("{time} {word:7} {message}{gap}{pairs}\n")
        }
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
        assert_eq!(strangers.told().to_string(), "3 more events were not written: OrderRefused 2, TokenRefused 1");
        assert_eq!(strangers.take("OrderRefused", Boot(60_499)), Taken::FirstLeftOut);
        assert!((0..60).all(|_| strangers.take("OrderRefused", Boot(200_000)) == Taken::Written), "after a rest");
        assert_eq!(strangers.take("OrderRefused", Boot(200_000)), Taken::LeftOut, "and no more than that");
    }

    #[test]
    fn the_journals_stream_is_known_by_device_and_inode() {
        assert!(is_stream("8:1234", 8, 1234));
        for other in ["8:1235", "9:1234", "8", "", "8:", "a:b"] {
            assert!(!is_stream(other, 8, 1234), "{other}");
        }
    }

    #[test]
    fn a_line_is_one_line() {
        let parts = Parts { message: "order o-1:\nrefund \x1b[31m".into(), pairs: " order_id=o-1".into() };
        let at = Wall::from_rfc3339("2026-11-20T08:30:05Z").expect("a time");
        assert_eq!(parts.line(at, ("error", "31"), false), "08:30:05 error   order o-1: refund  [31m  order_id=o-1\n");
        assert!(parts.line(at, ("error", "31"), true).starts_with("\x1b[2m08:30:05\x1b[0m \x1b[31merror"));
    }
}
