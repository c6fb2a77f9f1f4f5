//! What a person must be told of, kept until it was told: written in the same commit as what caused it, one row an order
//! and kind.

use super::entry::{BooksError, Stored};
use super::ledger;
use crate::store::{Row, StoreError, Tx};
use qris_core::order::ids::{DeviceId, OrderId};
use qris_core::order::merchant::{Attention, Order};
use qris_core::order::time::{Span, Wall};

/// Alerts that are taken up together.
const DUE_MAX: i64 = 64;
/// An alert is tried so often, over two days; then the list alone has it.
pub const ALERT_TRIES: u32 = 50;
/// Whoever tells people has the turn so long; a command has 30 s.
const TURN: Span = Span::secs(60);
/// The kind of a machine that is not seen.
const OFFLINE: &str = "offline";
/// The kind of a merchant whom a QR pays, by its national number; the first of them is told to nobody.
const MERCHANT: &str = "merchant";
/// So many merchants are told apart.
const MERCHANTS_MAX: i64 = 100;

/// An alert that could not be told is tried again after this, doubled with each try …
const ALERT_PAUSE: Span = Span::secs(60);
/// … up to this.
const ALERT_PAUSE_MAX: Span = Span::secs(3600);

/// What an alert is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An order at which a person must look, as it stands now.
    Order(Box<Stored>, Attention),
    /// An order at which a person must look, and which cannot be read any more.
    Damaged(OrderId, Attention),
    /// A machine that is not seen.
    Offline,
    /// A QR that pays another merchant than those before: its national number.
    Merchant(Box<str>),
}

/// Something that a person must be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// About what.
    pub about: Subject,
    /// The machine.
    pub device: DeviceId,
    /// Since when it is so.
    pub since: Wall,
    /// How often it was tried.
    pub tries: u32,
}

impl Alert {
    /// The kind's word: that of [`Attention::as_str`], or `offline`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.about {
            Subject::Order(_, kind) | Subject::Damaged(_, kind) => kind.as_str(),
            Subject::Offline => OFFLINE,
            Subject::Merchant(_) => MERCHANT,
        }
    }

    /// The order's name, or the machine's.
    #[must_use]
    pub fn subject(&self) -> &str {
        match &self.about {
            Subject::Order(stored, _) => stored.order.id.as_str(),
            Subject::Damaged(id, _) => id.as_str(),
            Subject::Offline => self.device.as_str(),
            Subject::Merchant(merchant) => merchant,
        }
    }
}

/// The alerts that are to be told now, the oldest first.
///
/// # Errors
/// The database's.
pub fn due_alerts(tx: &mut dyn Tx, now: Wall) -> Result<Vec<Alert>, BooksError> {
    let sql = "SELECT subject, kind, device, since_ms, tries FROM alerts WHERE next_ms <= $1 ORDER BY next_ms LIMIT $2";
    let rows = tx.rows(sql, &[now.0.into(), DUE_MAX.into()])?;
    let mut alerts = Vec::new();
    for row in &rows {
        match read(tx, row) {
            // Whoever it is about, the others are told of.
            Err(error) if error.is_damage() => {}
            alert => alerts.extend(alert?),
        }
    }
    Ok(alerts)
}

fn read(tx: &mut dyn Tx, row: &Row) -> Result<Option<Alert>, BooksError> {
    let (subject, kind) = (row.text(0)?, row.text(1)?);
    let damaged = |why: String| StoreError::Damaged { what: format!("alert {kind} of {subject}"), why };
    let device = DeviceId::new(row.text(2)?).map_err(|error| damaged(error.to_string()))?;
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
        // Of a later release.
        None => return Ok(None),
    };
    let tries = u32::try_from(row.int(4)?).map_err(|error| damaged(error.to_string()))?;
    Ok(Some(Alert { about, device, since: Wall(row.int(3)?), tries }))
}

/// Whether `who` may tell somebody of this alert now. Of several who share the database one has the turn, for
/// [`TURN`] from its last call; and an alert that was told, put off or ended meanwhile is told no more.
///
/// # Errors
/// The database's.
pub fn take_turn(tx: &mut dyn Tx, who: &str, alert: &Alert, now: Wall) -> Result<bool, BooksError> {
    let turn = "INSERT INTO alert_turn (one, who, until_ms) VALUES (1, $1, $2)
        ON CONFLICT (one) DO UPDATE SET who = excluded.who, until_ms = excluded.until_ms WHERE who = excluded.who OR until_ms <= $3
        RETURNING 1";
    if tx.rows(turn, &[who.into(), (now + TURN).0.into(), now.0.into()])?.is_empty() {
        return Ok(false);
    }
    let due = "SELECT 1 FROM alerts WHERE subject = $1 AND kind = $2 AND since_ms = $3 AND next_ms <= $4";
    Ok(!tx.rows(due, &[alert.subject().into(), alert.kind().into(), alert.since.0.into(), now.0.into()])?.is_empty())
}

/// Somebody was told.
///
/// # Errors
/// The database's.
pub fn alert_done(tx: &mut dyn Tx, alert: &Alert, now: Wall) -> Result<(), BooksError> {
    // Not of one that ended and began anew while it was told.
    let sql = "UPDATE alerts SET next_ms = NULL, told_ms = $1, tries = tries + 1 WHERE subject = $2 AND kind = $3 AND since_ms = $4";
    tx.rows(sql, &[now.0.into(), alert.subject().into(), alert.kind().into(), alert.since.0.into()])?;
    Ok(())
}

/// Nobody could be told: it is tried again, a minute later at first and an hour later at last, [`ALERT_TRIES`] times.
///
/// # Errors
/// The database's.
pub fn alert_failed(tx: &mut dyn Tx, alert: &Alert, now: Wall) -> Result<(), BooksError> {
    let tries = alert.tries + 1;
    let next = (tries < ALERT_TRIES).then(|| alert_again(tries, now).0);
    let sql = "UPDATE alerts SET next_ms = $1, tries = $2 WHERE subject = $3 AND kind = $4 AND since_ms = $5";
    tx.rows(sql, &[next.into(), i64::from(tries).into(), alert.subject().into(), alert.kind().into(), alert.since.0.into()])?;
    Ok(())
}

/// A machine has not been seen for too long; once until [`machine_back`].
///
/// # Errors
/// The database's.
pub fn machine_offline(tx: &mut dyn Tx, device: &DeviceId, now: Wall) -> Result<(), BooksError> {
    begin(tx, device.as_str(), OFFLINE, device, now)
}

/// The machine is seen again. True: it was missing.
///
/// # Errors
/// The database's.
pub fn machine_back(tx: &mut dyn Tx, device: &DeviceId, now: Wall) -> Result<bool, BooksError> {
    end(tx, device.as_str(), OFFLINE, now)
}

/// A QR pays this merchant. The first that any has paid is remembered, and of each other one somebody is told, once. `Some`: it
/// is such a one, and this is the first.
///
/// # Errors
/// The database's.
pub fn merchant_paid(tx: &mut dyn Tx, merchant: &str, device: &DeviceId, now: Wall) -> Result<Option<Box<str>>, BooksError> {
    let rows =
        tx.rows("SELECT subject FROM alerts WHERE kind = $1 ORDER BY since_ms LIMIT $2", &[MERCHANT.into(), MERCHANTS_MAX.into()])?;
    let known = rows.iter().map(|row| row.text(0)).collect::<Result<Vec<_>, _>>()?;
    if known.contains(&merchant) || known.len() as i64 == MERCHANTS_MAX {
        return Ok(None);
    }
    let first = known.first().copied().map(Box::from);
    begin(tx, merchant, MERCHANT, device, now)?;
    if first.is_none() {
        end(tx, merchant, MERCHANT, now)?;
    }
    Ok(first)
}

/// Begins and ends alerts as an order changes. True: somebody is to be told of something.
pub(super) fn keep(tx: &mut dyn Tx, before: &Order, after: &Order, now: Wall) -> Result<bool, BooksError> {
    let (had, has) = (before.attention(), after.attention());
    for kind in had.iter().filter(|kind| !has.contains(kind)) {
        end(tx, after.id.as_str(), kind.as_str(), now)?;
    }
    let mut news = false;
    for kind in has.iter().filter(|kind| !had.contains(kind)) {
        begin(tx, after.id.as_str(), kind.as_str(), &after.sale.device, now)?;
        news = true;
    }
    Ok(news)
}

/// Takes up what an earlier release, which kept no alerts, has listed.
pub(super) fn catch_up(tx: &mut dyn Tx, now: Wall) -> Result<(), BooksError> {
    let sql = "SELECT order_id FROM orders AS o WHERE (attention = 1 OR refund_due = 1)
        AND NOT EXISTS (SELECT 1 FROM alerts AS a WHERE a.subject = o.order_id) ORDER BY created_ms DESC LIMIT 1000";
    let ids = tx.rows(sql, &[])?.iter().map(|row| ledger::order_id(row.text(0)?)).collect::<Result<Vec<OrderId>, _>>()?;
    for id in ids {
        let stored = match ledger::load(tx, &id) {
            Err(error) if error.is_damage() => continue,
            loaded => loaded?,
        };
        if let Some(stored) = stored {
            for kind in stored.order.attention() {
                begin(tx, id.as_str(), kind.as_str(), &stored.order.sale.device, now)?;
            }
        }
    }
    Ok(())
}

fn begin(tx: &mut dyn Tx, subject: &str, kind: &str, device: &DeviceId, now: Wall) -> Result<(), BooksError> {
    let sql = "INSERT INTO alerts (subject, kind, device, since_ms, tries, next_ms) VALUES ($1, $2, $3, $4, 0, $4)
        ON CONFLICT (subject, kind) DO UPDATE SET since_ms = excluded.since_ms, ended_ms = NULL, tries = 0,
            next_ms = excluded.next_ms, told_ms = NULL WHERE ended_ms IS NOT NULL";
    tx.rows(sql, &[subject.into(), kind.into(), device.as_str().into(), now.0.into()])?;
    Ok(())
}

/// What ended before anybody was told need not be told. True: it was so.
fn end(tx: &mut dyn Tx, subject: &str, kind: &str, now: Wall) -> Result<bool, BooksError> {
    let sql = "UPDATE alerts SET ended_ms = $1, next_ms = NULL WHERE subject = $2 AND kind = $3 AND ended_ms IS NULL RETURNING 1";
    Ok(!tx.rows(sql, &[now.0.into(), subject.into(), kind.into()])?.is_empty())
}

/// When an alert that was tried so often is tried again.
fn alert_again(tries: u32, now: Wall) -> Wall {
    now + Span(ALERT_PAUSE.0.saturating_mul(1 << tries.saturating_sub(1).min(20)).min(ALERT_PAUSE_MAX.0))
}
