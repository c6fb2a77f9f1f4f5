//! What a machine says of itself at the broker: its `status` and its `telemetry`. Somebody with that machine's account there may say
//! anything. So this is news, and nothing else: it is read within bounds, little of it is kept, and no key, price, receipt or refund comes
//! of it. What is kept stands in the machines' database now and then, for `device list`.

use crate::sale::books::BooksError;
use crate::store::{Row, StoreError, Tx};
use qris_core::order::ids::{DeviceId, RequestId};
use qris_core::order::time::{Span, Wall};
use qris_core::text;
use qris_core::wire::orders::MACHINE_NAME_MAX;
use qris_core::wire::status::{FaultCode, Presence, STATUS_MAX, Status, offline_for};
use qris_core::wire::telemetry::{EVERY_MAX_S, EVERY_S, TELEMETRY_MAX, Telemetry};
use qris_core::wire::topics::Topic;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The longest name of a release that is kept, in characters.
const VERSION_MAX: usize = 24;
const FAULTS_MAX: usize = 16;
/// The most that is kept of the names of what is blocked, in characters.
const BLOCKED_MAX: usize = 300;

/// What a machine is, by its own word.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    pub name: Option<Box<str>>,
    /// The release of `qrisd`; empty if it does not tell.
    pub version: Box<str>,
    pub faults: Box<[FaultCode]>,
    /// The goods that it does not sell because their lines are blocked, as it names them.
    pub blocked: Option<Box<str>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// It is at the broker. This may be retained, or told of a machine that is gone: nobody is there because of it.
    Online {
        /// The time between two of its reports; `None`: it never sends any.
        every: Option<Span>,
        facts: Facts,
        /// Its screen offers another try of this request, and whether it waits for a number.
        offers: Option<(RequestId, bool)>,
    },
    /// It said good-bye, or the broker noticed that it is gone.
    Offline {
        /// So long ago, as far as the broker tells: it counts that down.
        before: Span,
    },
    /// A `telemetry` that was sent just now.
    Telemetry {
        /// When it was made, by the machine's clock, if that is trusted there.
        at: Option<Wall>,
    },
}

/// A message that is too large, or has another form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

/// Reads a message. `is_stored`: the broker has kept it. `expiry_s`: it keeps it for so many seconds more. `None`: it says nothing that
/// anybody needs here.
pub fn read(topic: &str, payload: &[u8], is_stored: bool, expiry_s: Option<u32>) -> Result<Option<(DeviceId, Report)>, Unreadable> {
    let (device, topic) = Topic::parse(topic).ok_or(Unreadable)?;
    let report = match topic {
        Topic::Status => read_status(payload, expiry_s)?,
        // Its machine may be gone since long.
        Topic::Telemetry if is_stored => return Ok(None),
        Topic::Telemetry => read_telemetry(payload)?,
        Topic::VendRequest
        | Topic::VendCancel
        | Topic::VendCollect
        | Topic::VendEvent
        | Topic::PaymentUpdate
        | Topic::ConfigDesired
        | Topic::ConfigReported
        | Topic::Stock
        | Topic::CommandResponse => return Err(Unreadable),
    };
    Ok(Some((device, report)))
}

fn read_status(payload: &[u8], expiry_s: Option<u32>) -> Result<Report, Unreadable> {
    let payload = Some(payload).filter(|payload| payload.len() <= STATUS_MAX).ok_or(Unreadable)?;
    let Status { state, name, version, faults, report_every_s, try_offer, .. } = serde_json::from_slice(payload).map_err(|_| Unreadable)?;
    match state {
        Presence::Offline => Ok(Report::Offline { before: expiry_s.and_then(offline_for).unwrap_or(Span::ZERO) }),
        Presence::Online => {
            let every = report_every_s.unwrap_or(EVERY_S).min(EVERY_MAX_S);
            let codes = faults.iter().flatten().map(|fault| fault.code).take(FAULTS_MAX);
            let facts = Facts {
                name: name.as_deref().and_then(|name| short(name, MACHINE_NAME_MAX)),
                version: version.as_deref().map(plain).unwrap_or_default(),
                faults: codes.collect(),
                blocked: faults
                    .iter()
                    .flatten()
                    .find(|fault| fault.code == FaultCode::LineBlocked)
                    .and_then(|fault| short(&fault.detail, BLOCKED_MAX)),
            };
            let offers = try_offer.map(|offer| (offer.request_id, offer.awaits_number));
            Ok(Report::Online { every: (every > 0).then(|| Span::secs(every.into())), facts, offers })
        }
    }
}

fn read_telemetry(payload: &[u8]) -> Result<Report, Unreadable> {
    let payload = Some(payload).filter(|payload| payload.len() <= TELEMETRY_MAX).ok_or(Unreadable)?;
    let Telemetry { at, .. } = serde_json::from_slice(payload).map_err(|_| Unreadable)?;
    let at = at.map(|at| Wall::from_rfc3339(&at)).transpose().map_err(|_| Unreadable)?;
    Ok(Report::Telemetry { at })
}

/// A name of a release, which goes to terminals and web pages: cut, and without a character that could mean something there.
fn plain(version: &str) -> Box<str> {
    let known = |c: char| c.is_ascii_alphanumeric() || ".-+~".contains(c);
    version.chars().take(VERSION_MAX).map(|c| if known(c) { c } else { '?' }).collect::<String>().into()
}

/// A name for people: cut after so many characters, and without what steers the place where it is read.
pub(super) fn short(name: &str, most: usize) -> Option<Box<str>> {
    let name = text::plain(&name.chars().take(most).collect::<String>(), '?');
    let name = name.trim();
    (!name.is_empty()).then(|| name.into())
}

/// Whether a machine is there, by the backend's own sense, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Is {
    /// Nothing fresh has come since the start of this program, and it is not missing yet.
    Unknown,
    There(Wall),
    Missing(Wall),
}

/// What the broker says of a machine, as long as the machine itself has not called since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtBroker {
    /// It has said nothing since the start of this program.
    Unknown,
    On,
    /// The machine is off since then.
    Off(Wall),
}

/// What stands in the database of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    pub is: Is,
    pub at_broker: AtBroker,
    /// What it said last; `None`: nothing yet.
    pub facts: Option<Facts>,
    /// Its topics that do not get through at the broker; `None`: nobody has told this process.
    pub silent: Option<Box<[Topic]>>,
    /// The request that its screen offered another try of last, and when that began; `None`: nobody has told this process.
    pub offered: Option<(RequestId, Wall)>,
}

impl Noted {
    /// Since when the broker says that it is off.
    #[must_use]
    pub const fn off_since(&self) -> Option<Wall> {
        match self.at_broker {
            AtBroker::Off(since) => Some(since),
            AtBroker::Unknown | AtBroker::On => None,
        }
    }
}

/// Writes this down. What it does not tell stays: after a start of the program much is not known yet.
pub fn note(tx: &mut dyn Tx, device: &DeviceId, Noted { is, at_broker, facts, silent, offered }: &Noted) -> Result<(), StoreError> {
    let sql = "INSERT INTO presence (device, is_there, since_ms, off_ms, name, version, faults, blocked, silent, offered, offered_ms)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ON CONFLICT (device) DO UPDATE SET
        since_ms = CASE WHEN excluded.is_there IS NULL OR presence.is_there = excluded.is_there THEN presence.since_ms
            ELSE excluded.since_ms END,
        is_there = coalesce(excluded.is_there, presence.is_there), off_ms = coalesce(excluded.off_ms, presence.off_ms),
        name = coalesce(excluded.name, presence.name), version = coalesce(excluded.version, presence.version),
        faults = coalesce(excluded.faults, presence.faults), blocked = coalesce(excluded.blocked, presence.blocked),
        silent = coalesce(excluded.silent, presence.silent),
        offered = coalesce(excluded.offered, presence.offered), offered_ms = coalesce(excluded.offered_ms, presence.offered_ms)";
    let (is_there, since) = match is {
        Is::Unknown => (None, None),
        Is::There(since) => (Some(1_i64), Some(since.0)),
        Is::Missing(since) => (Some(0), Some(since.0)),
    };
    let off = match at_broker {
        AtBroker::Unknown => None,
        AtBroker::On => Some(0_i64),
        AtBroker::Off(since) => Some(since.0),
    };
    let words = |facts: &Facts| facts.faults.iter().map(FaultCode::as_str).collect::<Vec<_>>().join(" ");
    let (version, faults) = (facts.as_ref().map(|facts| &*facts.version), facts.as_ref().map(words));
    let name = facts.as_ref().and_then(|facts| facts.name.as_deref());
    // That nothing is blocked any more is told, too.
    let blocked = facts.as_ref().map(|facts| facts.blocked.as_deref().unwrap_or_default());
    let seen = [device.as_str().into(), is_there.into(), since.into(), off.into()];
    let silent = silent.as_ref().map(|silent| silent.iter().map(|topic| topic.tail()).collect::<Vec<_>>().join(" "));
    let told = [name.into(), version.into(), faults.into(), blocked.into(), silent.into()];
    let offered = offered.as_ref().map(|(request, at)| (request.as_str(), at.0));
    let offered = [offered.map(|(request, _)| request).into(), offered.map(|(_, at)| at).into()];
    tx.rows(sql, &[&seen[..], &told, &offered].concat())?;
    Ok(())
}

/// When this machine began to offer another try of this request, the last time; `None`: it has not. An error: nobody knows, because the broker
/// does not say that it is there.
pub fn offered(tx: &mut dyn Tx, device: &DeviceId, request: &RequestId) -> Result<Result<Option<Wall>, ()>, BooksError> {
    let rows = tx.rows("SELECT off_ms, offered, offered_ms FROM presence WHERE device = $1", &[device.as_str().into()])?;
    let Some(row) = rows.first() else { return Ok(Err(())) };
    let at = row.maybe_int("offered_ms")?.filter(|_| row.maybe_text("offered").is_ok_and(|offered| offered == Some(request.as_str())));
    let is_there = row.maybe_int("off_ms")? == Some(0);
    Ok(if at.is_some() || is_there { Ok(at.map(Wall)) } else { Err(()) })
}

pub fn name(tx: &mut dyn Tx, device: &DeviceId) -> Result<Option<Box<str>>, BooksError> {
    let rows = tx.rows("SELECT name FROM presence WHERE device = $1", &[device.as_str().into()])?;
    Ok(rows.first().map(|row| row.maybe_text("name")).transpose()?.flatten().and_then(|name| short(name, MACHINE_NAME_MAX)))
}

/// The goods that a machine said last it does not sell because their lines are blocked.
pub fn blocked(tx: &mut dyn Tx, device: &DeviceId) -> Result<Option<Box<str>>, BooksError> {
    let rows = tx.rows("SELECT blocked FROM presence WHERE device = $1", &[device.as_str().into()])?;
    Ok(rows.first().map(|row| row.maybe_text("blocked")).transpose()?.flatten().and_then(|goods| short(goods, BLOCKED_MAX)))
}

/// The machines that say that a line is blocked, and are let in.
pub fn all_blocked(tx: &mut dyn Tx) -> Result<BTreeSet<Box<str>>, BooksError> {
    let sql = "SELECT device FROM presence JOIN devices ON id = device WHERE revoked_ms IS NULL AND blocked <> ''";
    tx.rows(sql, &[])?.iter().map(|row| Ok(row.text("device")?.into())).collect()
}

/// The machines that say that nothing takes a price of theirs, and are let in.
pub fn all_with_wrong_prices(tx: &mut dyn Tx) -> Result<BTreeSet<Box<str>>, BooksError> {
    let rows = tx.rows("SELECT device, faults FROM presence JOIN devices ON id = device WHERE revoked_ms IS NULL AND faults <> ''", &[])?;
    let says = |row: &&Row| row.text("faults").is_ok_and(|faults| faults.split(' ').any(|word| word == FaultCode::Prices.as_str()));
    rows.iter().filter(says).map(|row| Ok(row.text("device")?.into())).collect()
}

/// How many of the machines that are let in say each fault. None is counted for one that is not there: nobody knows.
pub fn faults(tx: &mut dyn Tx) -> Result<BTreeMap<FaultCode, u64>, BooksError> {
    let sql = "SELECT faults, silent FROM presence JOIN devices ON id = device
        WHERE revoked_ms IS NULL AND is_there = 1 AND (faults <> '' OR silent <> '')";
    let mut all: BTreeMap<FaultCode, u64> = FaultCode::ALL.iter().map(|code| (*code, 0)).collect();
    for row in tx.rows(sql, &[])? {
        // A word of a later release is a stranger's, too: no series for each.
        for code in codes(&row)?.unwrap_or_default() {
            all.entry(code).and_modify(|number| *number += 1);
        }
    }
    Ok(all)
}

/// The faults of a row. A topic that does not get through is one, whoever was told of it; `None`: nothing was told.
fn codes(row: &Row) -> Result<Option<Box<[FaultCode]>>, StoreError> {
    let (faults, is_silent) = (row.maybe_text("faults")?, row.maybe_text("silent")?.is_some_and(|topics| !topics.is_empty()));
    let words = faults.unwrap_or_default().split_ascii_whitespace().filter_map(|word| FaultCode::from_word(word).ok());
    let others = words.filter(|code| !is_silent || *code != FaultCode::Config);
    let all = is_silent.then_some(FaultCode::Config).into_iter().chain(others).collect();
    Ok((faults.is_some() || is_silent).then_some(all))
}

/// What is written down of all machines. A row that cannot be read is left out: it is only news.
pub fn noted(tx: &mut dyn Tx) -> Result<HashMap<Box<str>, Noted>, BooksError> {
    let rows = tx.rows("SELECT device, is_there, since_ms, off_ms, name, version, faults, blocked, silent FROM presence", &[])?;
    let read = |row: &Row| {
        let is = match (row.maybe_int("is_there").ok()?, row.maybe_int("since_ms").ok()?) {
            (Some(0), Some(since)) => Is::Missing(Wall(since)),
            (Some(_), Some(since)) => Is::There(Wall(since)),
            (_, _) => Is::Unknown,
        };
        let at_broker = match row.maybe_int("off_ms").ok()? {
            None => AtBroker::Unknown,
            Some(0) => AtBroker::On,
            Some(since) => AtBroker::Off(Wall(since)),
        };
        let version = row.maybe_text("version").ok()?.unwrap_or_default();
        let facts = match codes(row).ok()? {
            Some(faults) => {
                let name = row.maybe_text("name").ok()?.and_then(|name| short(name, MACHINE_NAME_MAX));
                let blocked = row.maybe_text("blocked").ok()?.and_then(|goods| short(goods, BLOCKED_MAX));
                Some(Facts { name, version: plain(version), faults, blocked })
            }
            None => None,
        };
        let silent = row.maybe_text("silent").ok()?;
        let silent = silent.map(|silent| silent.split_ascii_whitespace().filter_map(Topic::of_tail).collect());
        // Nobody asks all machines for their offers.
        Some((row.text("device").ok()?.into(), Noted { is, at_broker, facts, silent, offered: None }))
    };
    Ok(rows.iter().filter_map(read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeping::databases::open_both;
    use crate::store::read_on;
    use qris_core::order::word::Word;
    use qris_core::wire::status::OFFLINE_KEPT_S;
    use serde_json::json;

    const TELEMETRY: &str = r#"{"v": 1, "number": 4, "stream": "s", "ended": [], "waiting": 0, "sums": {"dispensed": 1,
        "dispensed_amount": 1, "refund_due": 0, "refund_due_amount": 0, "refunded": 0, "refunded_amount": 0, "unpaid": 0},
        "qr_ms": [0,0,0,0,0,0,0,0], "delivery_ms": [0,0,0,0,0,0,0,0], "connections": 1, "running_s": 8, "at": "2026-11-20T09:24:45Z"}"#;

    fn of(tail: &str, payload: &str, is_stored: bool) -> Result<Option<Report>, Unreadable> {
        read(&format!("qrisd/v1/vm-001/{tail}"), payload.as_bytes(), is_stored, None).map(|read| read.map(|(_, report)| report))
    }

    fn online(more: &serde_json::Value) -> Result<Option<Report>, Unreadable> {
        let mut status = json!({ "state": "online" });
        status.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        of("status", &status.to_string(), false)
    }

    #[test]
    fn little_is_kept_of_a_status_and_nothing_that_could_mean_something_on_a_terminal() {
        let named = |name: Option<&str>, every_s: u32, version: &str, faults: &[FaultCode]| {
            let every = (every_s > 0).then(|| Span::secs(every_s.into()));
            Ok(Some(Report::Online {
                every,
                facts: Facts { name: name.map(Into::into), version: version.into(), faults: faults.into(), blocked: None },
                offers: None,
            }))
        };
        let is = |every_s: u32, version: &str, faults: &[FaultCode]| named(None, every_s, version, faults);
        let fault = |code: &str| json!({ "code": code, "detail": "<b>\u{1b}[2J", "since": null });
        let other = FaultCode::Other(Word::new("of_later").expect("a word"));
        assert_eq!(online(&json!({})), is(900, "", &[]));
        assert_eq!(
            online(&json!({ "version": "0.2.0~rc1", "report_every_s": 30, "faults": [fault("relay"), fault("of_later")], "x": 1 })),
            is(30, "0.2.0~rc1", &[FaultCode::Relay, other])
        );
        assert_eq!(online(&json!({ "report_every_s": 0 })), is(0, "", &[]));
        assert_eq!(online(&json!({ "report_every_s": u32::MAX })), is(86_400, "", &[]));
        assert_eq!(online(&json!({ "version": "1\u{1b}[2J\n<b>é" })), is(900, "1??2J??b??", &[]));
        assert_eq!(online(&json!({ "version": "1".repeat(500) })), is(900, &"1".repeat(VERSION_MAX), &[]));
        assert_eq!(online(&json!({ "faults": vec![fault("relay"); 60] })), is(900, "", &[FaultCode::Relay; FAULTS_MAX]));
        assert_eq!(online(&json!({ "name": "Lobi \u{1b}[2J\u{202e}x" })), named(Some("Lobi ?[2J?x"), 900, "", &[]));
        assert_eq!(online(&json!({ "name": "é".repeat(STATUS_MAX) })), Err(Unreadable), "a status has a limit");
        assert_eq!(online(&json!({ "name": "é".repeat(500) })), named(Some(&"é".repeat(MACHINE_NAME_MAX)), 900, "", &[]));
        assert_eq!(online(&json!({ "name": " \n" })), named(Some("?"), 900, "", &[]));
        assert_eq!(online(&json!({ "name": " " })), is(900, "", &[]));
        let off = |left_s| {
            let read = read("qrisd/v1/vm-001/status", br#"{"state":"offline"}"#, true, left_s);
            read.map(|read| read.map(|(_, report)| report))
        };
        for (left_s, kept_s) in [(None, 0), (Some(OFFLINE_KEPT_S), 0), (Some(OFFLINE_KEPT_S - 61), 61), (Some(u32::MAX), 0)] {
            assert_eq!(off(left_s), Ok(Some(Report::Offline { before: Span::secs(kept_s) })), "{left_s:?}");
        }
    }

    /// A blocked line is told of a machine that counts nothing, too.
    #[test]
    fn the_goods_of_a_blocked_line_are_kept_until_none_is_blocked_and_faults_are_counted() {
        let directory = tempfile::tempdir().expect("a directory");
        let machines = open_both(&directory.path().join("orders.db"), true, true).expect("opens").machines;
        let device = DeviceId::new("vm-001").expect("an id");
        let fault = json!({ "code": "line_blocked", "detail": "Teh (A1)\u{1b}[2J", "since": null });
        let facts = |faults: serde_json::Value| match online(&json!({ "faults": faults })) {
            Ok(Some(Report::Online { facts, .. })) => facts,
            other => panic!("{other:?}"),
        };
        read_on(&machines, |tx| crate::machines::devices::add(tx, &device, "hash", false, Wall(5))).expect("let in");
        let say = |faults| {
            let what = Noted { is: Is::There(Wall(5)), at_broker: AtBroker::On, facts: Some(facts(faults)), silent: None, offered: None };
            read_on(&machines, |tx| note(tx, &device, &what)).expect("written");
            let count = |code| read_on(&machines, super::faults).expect("read")[&code];
            let goods = read_on(&machines, |tx| blocked(tx, &device)).expect("read");
            (goods.as_deref().map(str::to_owned), read_on(&machines, all_blocked).expect("read").len(), count(FaultCode::LineBlocked))
        };
        assert_eq!(say(json!([fault])), (Some("Teh (A1)?[2J".into()), 1, 1));
        let wrong = || read_on(&machines, all_with_wrong_prices).expect("read").len();
        assert_eq!(wrong(), 0);
        let price = json!({ "code": "prices", "detail": "A2: too much", "since": null });
        assert_eq!((say(json!([fault, price])).2, wrong()), (1, 1));
        assert_eq!((say(json!([fault])).2, wrong()), (1, 0));
        assert_eq!(say(json!([])), (None, 0, 0));
    }

    #[test]
    fn a_report_that_the_broker_has_kept_is_no_sign_of_life_and_bad_ones_are_none_either() {
        let at = Some(Wall::from_rfc3339("2026-11-20T09:24:45Z").expect("a time"));
        assert_eq!(of("telemetry", TELEMETRY, false), Ok(Some(Report::Telemetry { at })));
        assert_eq!(of("telemetry", TELEMETRY, true), Ok(None));
        let no_time = TELEMETRY.replace(", \"at\": \"2026-11-20T09:24:45Z\"", "");
        assert_eq!(of("telemetry", &no_time, false), Ok(Some(Report::Telemetry { at: None })));
        for bad in [
            "",
            "{}",
            "[]",
            "\u{0}",
            &TELEMETRY[..TELEMETRY.len() - 1],
            &TELEMETRY.replace("2026-11-20T09", "yesterday"),
            &TELEMETRY.replace("\"number\": 4", "\"number\": -4"),
            &TELEMETRY.replace("\"v\": 1", "\"v\": 1, \"v\": 1"),
            &format!("{TELEMETRY}{}", " ".repeat(TELEMETRY_MAX)),
            &format!("{}{}", "[".repeat(1000), "]".repeat(1000)),
        ] {
            assert_eq!(of("telemetry", bad, false), Err(Unreadable), "{bad}");
            assert_eq!(of("status", bad, false), Err(Unreadable), "{bad}");
        }
        for bad in [
            r#"{"state":"there"}"#.to_owned(),
            format!("{{\"state\":\"online\"}}{}", " ".repeat(STATUS_MAX)),
            json!({ "state": "online", "faults": [{ "code": "Bad Word", "detail": "", "since": null }] }).to_string(),
            json!({ "state": "online", "report_every_s": -1 }).to_string(),
        ] {
            assert_eq!(of("status", &bad, false), Err(Unreadable), "{bad}");
        }
        for other in ["vend/event", "payment/update", "config/reported", "cmd/reboot/response", "x"] {
            assert_eq!(of(other, r#"{"state":"online"}"#, false), Err(Unreadable), "{other}");
        }
        assert_eq!(read("qrisd/v1/a b/status", br#"{"state":"online"}"#, false, None), Err(Unreadable));
    }

    #[test]
    fn what_was_noted_outlives_a_start_after_which_less_is_known() {
        let directory = tempfile::tempdir().expect("a directory");
        let machines = open_both(&directory.path().join("orders.db"), true, true).expect("opens").machines;
        let device = DeviceId::new("vm-001").expect("an id");
        let facts = |version: &str| {
            Some(Facts {
                name: Some("Lobi".into()),
                version: version.into(),
                faults: [FaultCode::Relay].into(),
                blocked: Some("Teh (A1)".into()),
            })
        };
        let (there, missing, off) = (|at| Is::There(Wall(at)), |at| Is::Missing(Wall(at)), |at| AtBroker::Off(Wall(at)));
        let put = |is, at_broker, facts| {
            let what = Noted { is, at_broker, facts, silent: None, offered: None };
            read_on(&machines, |tx| note(tx, &device, &what)).expect("written");
            read_on(&machines, noted).expect("read").remove("vm-001").expect("there")
        };
        let is = |is, at_broker, facts| Noted { is, at_broker, facts, silent: None, offered: None };
        assert_eq!(put(Is::Unknown, off(3), None), is(Is::Unknown, off(3), None), "only the broker has said something");
        assert_eq!(put(there(5), AtBroker::On, None), is(there(5), AtBroker::On, None));
        assert_eq!(put(there(9), AtBroker::Unknown, facts("1")), is(there(5), AtBroker::On, facts("1")), "it was there before");
        assert_eq!(put(Is::Unknown, off(15), None), is(there(5), off(15), facts("1")), "its own sense comes later");
        assert_eq!(put(missing(20), AtBroker::Unknown, None), is(missing(20), off(15), facts("1")));
        assert_eq!(read_on(&machines, |tx| name(tx, &device)).expect("read").as_deref(), Some("Lobi"));
        assert_eq!(put(there(30), AtBroker::On, facts("2")), is(there(30), AtBroker::On, facts("2")));
    }

    #[test]
    fn the_topics_that_one_process_was_told_of_outlive_what_another_one_writes() {
        let directory = tempfile::tempdir().expect("a directory");
        let machines = open_both(&directory.path().join("orders.db"), true, true).expect("opens").machines;
        let device = DeviceId::new("vm-001").expect("an id");
        let put = |facts, silent: Option<&[Topic]>| {
            let what = Noted { is: Is::There(Wall(5)), at_broker: AtBroker::On, facts, silent: silent.map(Into::into), offered: None };
            read_on(&machines, |tx| note(tx, &device, &what)).expect("written");
            let read = read_on(&machines, noted).expect("read").remove("vm-001").expect("there");
            (read.facts.map(|facts| facts.faults.to_vec()), read.silent.map(|topics| topics.to_vec()))
        };
        let said = |faults: &[FaultCode]| Some(Facts { faults: faults.into(), ..Facts::default() });
        let silent = Some(vec![Topic::Status]);
        assert_eq!(put(None, Some(&[Topic::Status])), (Some(vec![FaultCode::Config]), silent.clone()), "it has heard nothing else");
        assert_eq!(put(said(&[FaultCode::Relay]), None), (Some(vec![FaultCode::Config, FaultCode::Relay]), silent.clone()));
        assert_eq!(put(said(&[FaultCode::Config]), None), (Some(vec![FaultCode::Config]), silent), "its machine says it, too");
        assert_eq!(put(said(&[FaultCode::Relay]), Some(&[])), (Some(vec![FaultCode::Relay]), Some(vec![])));
    }
}
