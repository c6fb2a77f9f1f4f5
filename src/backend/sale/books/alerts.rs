//! Alerts for people. They are kept until they are told. Each is written in the same commit as its cause. There is one
//! row for each order and kind. Who was told of an alert is told of its end as well.

use super::entry::{BooksError, Stored};
use super::ledger;
use crate::store::{Row, StoreError, Tx};
use qris_core::order::ids::{DeviceId, OrderId};
use qris_core::order::merchant::{Attention, Order};
use qris_core::order::time::{Span, Told, Wall};
use std::collections::BTreeSet;

/// The most alerts that are taken up together.
const DUE_MAX: i64 = 64;
/// How often an alert is tried, over two days. After that only the list has it.
pub const ALERT_TRIES: u32 = 50;
/// How long one process has the turn to tell people. A command has 30 s, a webhook 10 s.
const TURN: Span = Span::secs(60);
/// The kind for a machine that is missing.
pub(super) const OFFLINE: &str = "offline";
/// The kind for a merchant whom a QR pays, by the national number. The first one is not told.
const MERCHANT: &str = "merchant";
/// The kind for two computers that are one machine, by the machine and both addresses.
const TWICE: &str = "twice";
/// The kind for a machine whose place at the broker another computer takes.
const TAKEN_OVER: &str = "taken_over";
/// The kind for people of the desk whom an owner has changed, by what was done and when.
const PEOPLE: &str = "people";
/// Such an alert lasts so long at the least.
const TAKEN_OVER_LASTS: Span = Span::secs(3600);
/// The kind for a clock that cannot be trusted, by this word.
const CLOCK: &str = "clock";
/// What people are told of the slots of a machine: one alert for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StockAlert {
    /// Something asks to be filled.
    Low,
    SoldOut,
    /// A sensor saw nothing come out.
    Suspect,
    /// A line waits for a person. Filling does not end this.
    Blocked,
    /// No line or no payment takes a price. Filling does not end this.
    Price,
}

impl StockAlert {
    pub const ALL: [Self; 5] = [Self::Low, Self::SoldOut, Self::Suspect, Self::Blocked, Self::Price];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "stock_low",
            Self::SoldOut => "stock_out",
            Self::Suspect => "stock_suspect",
            Self::Blocked => "stock_blocked",
            Self::Price => "stock_price",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|alert| alert.as_str() == word)
    }
}

/// How books came to be older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Older {
    /// They are a copy, as their mark says.
    Copy,
    /// The database has another primary than before, or went back to a point in time.
    AnotherPrimary,
    /// Somebody has put a copy in their place.
    Restored,
}

impl Older {
    const ALL: [Self; 3] = [Self::Copy, Self::AnotherPrimary, Self::Restored];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Copy => "older_books",
            Self::AnotherPrimary => "another_primary",
            Self::Restored => "restored",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|how| how.as_str() == word)
    }
}

/// The kind of the daily message, by its day.
const DAILY: &str = "daily";
/// A daily message that is older is forgotten: it is told no more by then.
const DAILY_KEPT: Span = Span::secs(30 * 24 * 3600);
const MERCHANTS_MAX: i64 = 100;

/// An alert that could not be told is tried again after this time, doubled with each try …
const ALERT_PAUSE: Span = Span::secs(60);
/// … up to this.
const ALERT_PAUSE_MAX: Span = Span::secs(3600);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An order at which a person must look, in its present state.
    Order(Box<Stored>, Attention),
    /// An order at which a person must look, and which cannot be read any more.
    Damaged(OrderId, Attention),
    Offline,
    /// A QR that pays another merchant than those before, with that merchant's national number.
    Merchant(Box<str>),
    /// Two computers that are one machine, with their addresses.
    Twice(Box<str>),
    /// What an owner has done about the people of the desk, and when.
    People(Box<str>),
    /// A machine whose place at the broker another computer takes.
    TakenOver,
    Older(Older),
    /// The time of day cannot be trusted, so nothing ends by it.
    Clock,
    Stock(StockAlert),
    /// The message of this day, as `2026-11-27`.
    Daily(Box<str>),
}

/// Ways to tell people, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ways(i64);

impl Ways {
    pub const COMMAND: Self = Self(1);
    pub const WEBHOOK: Self = Self(2);

    #[must_use]
    pub const fn has(self, way: Self) -> bool {
        self.0 & way.0 != 0
    }

    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    #[must_use]
    pub const fn among(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    pub about: Subject,
    /// The machine; `None`: it is about all of them.
    pub device: Option<DeviceId>,
    /// The time since which it is so.
    pub since: Wall,
    /// The time at which it ended. `Some`: people are told of that.
    pub until: Option<Wall>,
    pub tries: u32,
    /// The ways that took it. Of its end: those that must still take the end.
    pub taken: Ways,
}

impl Alert {
    /// The word of its kind: that of [`Attention::as_str`], or one of those above.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.about {
            Subject::Order(_, kind) | Subject::Damaged(_, kind) => kind.as_str(),
            Subject::Offline => OFFLINE,
            Subject::Merchant(_) => MERCHANT,
            Subject::Twice(_) => TWICE,
            Subject::People(_) => PEOPLE,
            Subject::TakenOver => TAKEN_OVER,
            Subject::Older(how) => how.as_str(),
            Subject::Clock => CLOCK,
            Subject::Stock(alert) => alert.as_str(),
            Subject::Daily(_) => DAILY,
        }
    }

    /// The name of the order, or of the machine.
    #[must_use]
    pub fn subject(&self) -> &str {
        match &self.about {
            Subject::Order(stored, _) => stored.order.id.as_str(),
            Subject::Damaged(id, _) => id.as_str(),
            Subject::Offline | Subject::TakenOver | Subject::Stock(_) => self.device.as_ref().map_or("", DeviceId::as_str),
            Subject::Merchant(merchant) => merchant,
            Subject::Older(how) => how.as_str(),
            Subject::Clock => CLOCK,
            Subject::Daily(day) => day,
            Subject::Twice(both) => both,
            Subject::People(done) => done,
        }
    }
}

/// The alerts that are due now, the oldest first.
pub fn due_alerts(tx: &mut dyn Tx, now: Told) -> Result<Vec<Alert>, BooksError> {
    let sql = "SELECT subject, kind, device, since_ms, tries, ended_ms, taken FROM alerts
        WHERE next_ms <= $1 ORDER BY next_ms LIMIT $2";
    let rows = tx.rows(sql, &[now.into(), DUE_MAX.into()])?;
    let mut alerts = Vec::new();
    for row in &rows {
        match read(tx, row) {
            // If its subject cannot be read, the other alerts are told all the same.
            Err(error) if error.is_damage() => {}
            alert => alerts.extend(alert?),
        }
    }
    Ok(alerts)
}

fn read(tx: &mut dyn Tx, row: &Row) -> Result<Option<Alert>, BooksError> {
    let (subject, kind) = (row.text("subject")?, row.text("kind")?);
    let damaged = |why: String| StoreError::Damaged { what: format!("alert {kind} of {subject}"), why };
    let device = row.maybe_text("device")?.map(DeviceId::new).transpose().map_err(|error| damaged(error.to_string()))?;
    let about = match Attention::from_word(kind) {
        Some(kind) => {
            let id = ledger::order_id(subject)?;
            match ledger::load(tx, &id) {
                Ok(Some(stored)) => Subject::Order(Box::new(stored), kind),
                Ok(None) => return Ok(None),
                Err(error) if error.is_damage() => Subject::Damaged(id, kind),
                Err(error) => return Err(error),
            }
        }
        None if kind == OFFLINE => Subject::Offline,
        None if kind == MERCHANT => Subject::Merchant(subject.into()),
        None if kind == TWICE => Subject::Twice(subject.into()),
        None if kind == PEOPLE => Subject::People(subject.into()),
        None if kind == TAKEN_OVER => Subject::TakenOver,
        None if let Some(how) = Older::from_word(kind) => Subject::Older(how),
        None if kind == CLOCK => Subject::Clock,
        None if kind == DAILY => Subject::Daily(subject.into()),
        None => match StockAlert::from_word(kind) {
            Some(alert) => Subject::Stock(alert),
            // It is of a later release.
            None => return Ok(None),
        },
    };
    let tries = u32::try_from(row.int("tries")?).map_err(|error| damaged(error.to_string()))?;
    let (since, until, taken) = (Wall(row.int("since_ms")?), row.maybe_int("ended_ms")?.map(Wall), Ways(row.int("taken")?));
    Ok(Some(Alert { about, device, since, until, tries, taken }))
}

/// Whether `who` may tell this alert now. If several processes share the database, one of them has the turn,
/// for [`TURN`] from its last call. An alert that was told, put off or ended meanwhile is not told as it was.
pub fn take_turn(tx: &mut dyn Tx, who: &str, alert: &Alert, now: Told) -> Result<bool, BooksError> {
    let turn = "INSERT INTO alert_turn (one, who, until_ms) VALUES (1, $1, $2)
        ON CONFLICT (one) DO UPDATE SET who = excluded.who, until_ms = excluded.until_ms WHERE alert_turn.who = excluded.who OR alert_turn.until_ms <= $3
        RETURNING 1";
    if tx.rows(turn, &[who.into(), (now + TURN).0.into(), now.into()])?.is_empty() {
        return Ok(false);
    }
    let due = "SELECT 1 FROM alerts
        WHERE subject = $1 AND kind = $2 AND since_ms = $3 AND next_ms <= $4 AND coalesce(ended_ms, -1) = $5";
    let until = alert.until.map_or(-1, |until| until.0);
    Ok(!tx.rows(due, &[alert.subject().into(), alert.kind().into(), alert.since.0.into(), now.into(), until.into()])?.is_empty())
}

/// Gives the turn back, if `who` has it.
pub fn turn_ends(tx: &mut dyn Tx, who: &str) -> Result<(), BooksError> {
    tx.rows("DELETE FROM alert_turn WHERE who = $1", &[who.into()])?;
    Ok(())
}

/// It was tried to tell people: these ways took it. With `left` another did not, and is tried again [`ALERT_TRIES`] times, at
/// first a minute later and at last an hour later.
pub fn alert_tried(tx: &mut dyn Tx, alert: &Alert, took: Ways, left: bool, now: Told) -> Result<(), BooksError> {
    let tries = alert.tries + 1;
    let next = (left && tries < ALERT_TRIES).then(|| alert_again(tries, now).0);
    // Neither counts for an alert that ended and began anew meanwhile.
    let Some(until) = alert.until else {
        // Who has taken it while it ended must hear of the end.
        let sql = "UPDATE alerts SET taken = taken | $1, told_ms = coalesce(CAST($2 AS BIGINT), told_ms),
            tries = CASE WHEN ended_ms IS NULL THEN tries + 1 ELSE 0 END,
            next_ms = CASE WHEN ended_ms IS NULL THEN CAST($3 AS BIGINT) WHEN (taken | $1) <> 0 THEN CAST($4 AS BIGINT) END
            WHERE subject = $5 AND kind = $6 AND since_ms = $7";
        let told = (!left).then_some(now.wall.0);
        let of = [alert.subject().into(), alert.kind().into(), alert.since.0.into()];
        tx.rows(sql, &[&[took.0.into(), told.into(), next.into(), now.into()][..], &of].concat())?;
        return Ok(());
    };
    let sql = "UPDATE alerts SET taken = taken & ~CAST($1 AS BIGINT), tries = tries + 1, next_ms = $2
        WHERE subject = $3 AND kind = $4 AND since_ms = $5 AND ended_ms = $6";
    tx.rows(sql, &[took.0.into(), next.into(), alert.subject().into(), alert.kind().into(), alert.since.0.into(), until.0.into()])?;
    Ok(())
}

/// A machine has been missing for too long. This is told once until [`machine_back`].
pub fn machine_offline(tx: &mut dyn Tx, device: &DeviceId, now: Told) -> Result<(), BooksError> {
    begin(tx, device.as_str(), OFFLINE, Some(device), now)
}

/// The machine is there again. True: it was missing.
pub fn machine_back(tx: &mut dyn Tx, device: &DeviceId, now: Told) -> Result<bool, BooksError> {
    end(tx, device.as_str(), OFFLINE, now)
}

/// The machines that are missing, each with the time since which people are told so.
pub fn machines_offline(tx: &mut dyn Tx) -> Result<Vec<(DeviceId, Wall)>, BooksError> {
    let rows = tx.rows("SELECT subject, since_ms FROM alerts WHERE kind = $1 AND ended_ms IS NULL", &[OFFLINE.into()])?;
    // A name that is damaged is no machine's.
    let read = |row: &Row| Some((DeviceId::new(row.text("subject").ok()?).ok()?, Wall(row.int("since_ms").ok()?)));
    Ok(rows.iter().filter_map(read).collect())
}

/// Something in a machine wants a person, or does so no more.
pub fn stock_wants(tx: &mut dyn Tx, device: &DeviceId, alert: StockAlert, is_so: bool, now: Told) -> Result<(), BooksError> {
    let kind = alert.as_str();
    if is_so { begin(tx, device.as_str(), kind, Some(device), now) } else { end(tx, device.as_str(), kind, now).map(drop) }
}

/// What people are told of machines at present, by machine.
pub fn open_stock_alerts(tx: &mut dyn Tx) -> Result<BTreeSet<(Box<str>, StockAlert)>, BooksError> {
    let mut open = BTreeSet::new();
    for alert in StockAlert::ALL {
        let rows = tx.rows("SELECT subject FROM alerts WHERE kind = $1 AND ended_ms IS NULL", &[alert.as_str().into()])?;
        open.extend(rows.iter().filter_map(|row| Some((row.text("subject").ok()?.into(), alert))));
    }
    Ok(open)
}

/// Whether people are to hear now that another computer takes the machine's place at the broker, or that this is over. Whoever has the
/// machine's token can say either, as often as he likes. So it is over after [`TAKEN_OVER_LASTS`] at the earliest.
pub fn is_place_news(tx: &mut dyn Tx, device: &DeviceId, is_taken: bool, now: Told) -> Result<bool, BooksError> {
    let sql = "SELECT since_ms FROM alerts WHERE subject = $1 AND kind = $2 AND ended_ms IS NULL";
    let rows = tx.rows(sql, &[device.as_str().into(), TAKEN_OVER.into()])?;
    let since = rows.first().map(|row| row.int("since_ms")).transpose()?.map(Wall);
    // After a clock was set back, it must end, too.
    Ok(since.map_or(is_taken, |since| !is_taken && !(since..since + TAKEN_OVER_LASTS).contains(&now.wall)))
}

/// Another computer takes the machine's place at the broker, or does so no more.
pub fn taken_over(tx: &mut dyn Tx, device: &DeviceId, is_so: bool, now: Told) -> Result<(), BooksError> {
    if is_so { begin(tx, device.as_str(), TAKEN_OVER, Some(device), now) } else { end(tx, device.as_str(), TAKEN_OVER, now).map(drop) }
}

/// Two computers are one machine. This is told again if it is seen again.
pub fn machine_twice(tx: &mut dyn Tx, device: &DeviceId, addresses: &str, now: Told) -> Result<(), BooksError> {
    let subject = format!("{device} at {addresses}");
    end(tx, &subject, TWICE, now)?;
    begin(tx, &subject, TWICE, Some(device), now)
}

/// An owner has changed the people of the desk. All owners hear it, once. It is news that nobody ends; what is old is forgotten.
pub fn people_changed(tx: &mut dyn Tx, done: &str, now: Told) -> Result<(), BooksError> {
    tx.rows("DELETE FROM alerts WHERE kind = $1 AND since_ms < $2", &[PEOPLE.into(), (now - DAILY_KEPT).into()])?;
    begin(tx, &format!("{done} ({})", now.wall.to_rfc3339_wib()), PEOPLE, None, now)
}

/// A QR pays this merchant. The first merchant is remembered. Of each other one a person is told, once. `Some`: this is such a
/// one, and the value is the first.
pub fn merchant_paid(tx: &mut dyn Tx, merchant: &str, device: &DeviceId, now: Told) -> Result<Option<Box<str>>, BooksError> {
    let rows =
        tx.rows("SELECT subject FROM alerts WHERE kind = $1 ORDER BY since_ms LIMIT $2", &[MERCHANT.into(), MERCHANTS_MAX.into()])?;
    let known = rows.iter().map(|row| row.text("subject")).collect::<Result<Vec<_>, _>>()?;
    if known.contains(&merchant) || known.len() as i64 == MERCHANTS_MAX {
        return Ok(None);
    }
    let first = known.first().copied().map(Box::from);
    begin(tx, merchant, MERCHANT, Some(device), now)?;
    if first.is_none() {
        end(tx, merchant, MERCHANT, now)?;
    }
    Ok(first)
}

/// The books are older, or may be. This is told again each time.
pub(super) fn older_books(tx: &mut dyn Tx, how: Older, now: Told) -> Result<(), BooksError> {
    tx.rows("DELETE FROM alerts WHERE kind = $1", &[how.as_str().into()])?;
    let sql = "INSERT INTO alerts (subject, kind, since_ms, tries, next_ms) VALUES ($1, $1, $2, 0, $2)";
    tx.rows(sql, &[how.as_str().into(), now.into()])?;
    Ok(())
}

/// A person has said what the books are.
pub(super) fn older_books_are_known(tx: &mut dyn Tx, now: Told) -> Result<(), BooksError> {
    Older::ALL.into_iter().try_for_each(|how| end(tx, how.as_str(), how.as_str(), now).map(drop))
}

/// Since when the books are older, or may be, as far as nobody has said what they are.
pub(super) fn older_since(tx: &mut dyn Tx) -> Result<Option<(Older, Wall)>, BooksError> {
    let rows = tx.rows(
        "SELECT kind, since_ms FROM alerts WHERE kind IN ('older_books', 'another_primary') AND ended_ms IS NULL ORDER BY since_ms DESC",
        &[],
    )?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Older::from_word(row.text("kind")?).zip(Some(Wall(row.int("since_ms")?))))
}

/// The time of day cannot be trusted, or is trusted again.
pub fn clock_wants(tx: &mut dyn Tx, is_so: bool, now: Told) -> Result<(), BooksError> {
    if is_so { begin(tx, CLOCK, CLOCK, None, now) } else { end(tx, CLOCK, CLOCK, now).map(drop) }
}

/// A day is over: its message is due, once, whoever else says so. The first day is never told: it ended before anybody asked for a message.
pub fn day_is_over(tx: &mut dyn Tx, day: &str, at: Wall) -> Result<(), BooksError> {
    tx.rows("DELETE FROM alerts WHERE kind = $1 AND since_ms < $2", &[DAILY.into(), (at - DAILY_KEPT).into()])?;
    let sql = "INSERT INTO alerts (subject, kind, since_ms, tries, next_ms) VALUES ($1, $2, $3, 0, \
        CASE WHEN EXISTS (SELECT 1 FROM alerts WHERE kind = $2) THEN CAST($3 AS BIGINT) END) ON CONFLICT (subject, kind) DO NOTHING";
    tx.rows(sql, &[day.into(), DAILY.into(), at.into()])?;
    Ok(())
}

/// Begins and ends alerts as an order changes. True: a person must be told.
pub(super) fn keep(tx: &mut dyn Tx, before: &Order, after: &Order, now: Told) -> Result<bool, BooksError> {
    keep_due(tx, before, after, now, Some(now))
}

/// The same of one of many orders that change at once. One message tells of all of them.
pub(super) fn keep_among_many(tx: &mut dyn Tx, before: &Order, after: &Order, now: Told) -> Result<(), BooksError> {
    keep_due(tx, before, after, now, None).map(drop)
}

/// `due`: when people are told of what begins; `None`: never.
fn keep_due(tx: &mut dyn Tx, before: &Order, after: &Order, now: Told, due: Option<Told>) -> Result<bool, BooksError> {
    let (had, has) = (before.attention(), after.attention());
    for kind in had.iter().filter(|kind| !has.contains(kind)) {
        end(tx, after.id.as_str(), kind.as_str(), now)?;
    }
    let mut news = false;
    for kind in has.iter().filter(|kind| !had.contains(kind)) {
        begin_due(tx, after.id.as_str(), kind.as_str(), Some(&after.sale.device), now, due)?;
        news = true;
    }
    Ok(news)
}

/// People are told of it once more, if it is so.
pub(super) fn tell_again(tx: &mut dyn Tx, order: &Order, kind: Attention, now: Told) -> Result<(), BooksError> {
    let sql = "UPDATE alerts SET since_ms = $1, next_ms = $1, told_ms = NULL, tries = 0, taken = 0
        WHERE subject = $2 AND kind = $3 AND ended_ms IS NULL";
    tx.rows(sql, &[now.into(), order.id.as_str().into(), kind.as_str().into()])?;
    Ok(())
}

fn begin(tx: &mut dyn Tx, subject: &str, kind: &str, device: Option<&DeviceId>, now: Told) -> Result<(), BooksError> {
    begin_due(tx, subject, kind, device, now, Some(now))
}

fn begin_due(
    tx: &mut dyn Tx,
    subject: &str,
    kind: &str,
    device: Option<&DeviceId>,
    now: Told,
    due: Option<Told>,
) -> Result<(), BooksError> {
    let sql = "INSERT INTO alerts (subject, kind, device, since_ms, tries, next_ms) VALUES ($1, $2, $3, $4, 0, CAST($5 AS BIGINT))
        ON CONFLICT (subject, kind) DO UPDATE SET since_ms = excluded.since_ms, ended_ms = NULL, tries = 0,
            next_ms = excluded.next_ms, told_ms = NULL, taken = 0 WHERE alerts.ended_ms IS NOT NULL";
    let due = due.map(|due| due.wall.0);
    tx.rows(sql, &[subject.into(), kind.into(), device.map(DeviceId::as_str).into(), now.into(), due.into()])?;
    Ok(())
}

/// Ends an alert. Who was told of it is told of this. If nobody was told yet, nobody needs to be. True: there was one.
fn end(tx: &mut dyn Tx, subject: &str, kind: &str, now: Told) -> Result<bool, BooksError> {
    let sql = "UPDATE alerts SET ended_ms = $1, next_ms = CASE WHEN taken <> 0 THEN CAST($1 AS BIGINT) END, tries = 0
        WHERE subject = $2 AND kind = $3 AND ended_ms IS NULL RETURNING 1";
    Ok(!tx.rows(sql, &[now.into(), subject.into(), kind.into()])?.is_empty())
}

/// The time at which an alert with this many tries is tried again.
fn alert_again(tries: u32, now: Told) -> Wall {
    now + Span(ALERT_PAUSE.0.saturating_mul(1 << tries.saturating_sub(1).min(20)).min(ALERT_PAUSE_MAX.0))
}
