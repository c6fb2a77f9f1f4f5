//! What lies in the machines' slots, by their own word at the broker (`stock`). Whoever has a machine's account there may say anything. So
//! this is news, and nothing else: it is read within bounds, and no key, price, receipt or refund comes of it. It stands in the machines'
//! database, so that each process and each command has the same, and nothing of it is kept in memory.

mod csv;
mod heard;
mod packing;

pub use csv::{Form, csv};
pub use heard::Heard;
pub use packing::{Load, Packing, bring, untold, well_filled};

use crate::machines::reported::{Unreadable, short};
use crate::sale::books::{BooksError, StockAlert};
use crate::store::{self, Row, Tx};
use qris_core::order::ids::{DeviceId, IdError, ItemId};
use qris_core::order::request::DESCRIPTION_MAX;
use qris_core::order::stock::NotSold;
use qris_core::order::time::{Span, Wall, Zone};
use qris_core::wire::orders::MACHINE_NAME_MAX;
use qris_core::wire::stock::{STOCK_MAX, Slot, Stock};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The most slots of a machine, as of items.
const SLOTS_MAX: usize = 1000;
/// The longest name of a stream, in bytes.
const STREAM_MAX: usize = 64;
/// The pace of the sales is that of this time.
pub const PACE: Span = Span::secs(14 * 24 * 3600);
/// The same in days.
const FORTNIGHT: u64 = 14;
/// A slot that will be empty in so many days asks to be filled: who goes round once or twice a week can plan for it.
const SOON_DAYS: u64 = 3;
/// Requests that were refused are kept by day for so long.
const REFUSED_KEPT: Span = Span::secs(400 * 24 * 3600);
/// The machines that are read at a time.
const PAGE: i64 = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockReport {
    /// The life of its database.
    stream: Box<str>,
    number: u64,
    /// When, as far as that is known.
    at: Option<Wall>,
    /// The same, if the machine itself has said so.
    said_at: Option<Wall>,
    slots: Box<[Slot]>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    #[serde(flatten)]
    pub slot: Slot,
    /// It was going to be empty in so many days when this was reckoned. It stays so until it is filled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_in_days: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its sensor saw nothing come out, and nobody has looked since.
    Suspect,
    SoldOut,
    /// It asks to be filled.
    Low,
    /// It will be empty in so many days.
    Soon(u8),
    /// Nobody has counted.
    Unknown,
    Good,
}

impl State {
    /// Its word in JSON and CSV.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Suspect => "suspect",
            Self::SoldOut => "sold_out",
            Self::Low => "low",
            Self::Soon(_) => "soon",
            Self::Unknown => "unknown",
            Self::Good => "good",
        }
    }

    /// What people are told because of it.
    #[must_use]
    pub const fn wants(self) -> Option<StockAlert> {
        match self {
            Self::Suspect => Some(StockAlert::Suspect),
            Self::SoldOut => Some(StockAlert::SoldOut),
            Self::Low | Self::Soon(_) => Some(StockAlert::Low),
            Self::Unknown | Self::Good => None,
        }
    }
}

impl Kept {
    /// How it is. What is worse comes first.
    #[must_use]
    pub fn state(&self) -> State {
        match (self.slot.suspect, self.slot.count, self.empty_in_days) {
            (true, _, _) => State::Suspect,
            (false, None, _) => State::Unknown,
            (false, Some(0), _) => State::SoldOut,
            (false, Some(_), _) if self.slot.is_low() => State::Low,
            (false, Some(_), Some(days)) => State::Soon(days),
            (false, Some(_), None) => State::Good,
        }
    }

    /// Whether somebody must go there to fill it, to count it, or to look at it or its line.
    #[must_use]
    pub fn wants_a_visit(&self) -> bool {
        match self.state() {
            State::Suspect | State::SoldOut | State::Low | State::Soon(_) | State::Unknown => true,
            State::Good => self.barred() == Some(StockAlert::Blocked),
        }
    }

    /// What people are told of it besides. Filling does not end that.
    #[must_use]
    pub fn barred(&self) -> Option<StockAlert> {
        self.slot.barred().and_then(|why| match why {
            NotSold::Blocked => Some(StockAlert::Blocked),
            NotSold::Line | NotSold::Price => Some(StockAlert::Price),
            NotSold::Suspect | NotSold::SoldOut | NotSold::Other(_) => None,
        })
    }

    /// Its goods: their name, or else the item.
    #[must_use]
    pub fn goods(&self) -> &str {
        self.slot.name.as_deref().unwrap_or(self.slot.item.as_str())
    }

    #[must_use]
    pub fn filled_at(&self) -> Option<Wall> {
        self.slot.filled_at.as_deref().and_then(|text| Wall::from_rfc3339(text).ok())
    }

    #[must_use]
    pub fn object(&self) -> Value {
        json!({
            "item": self.slot.item,
            "name": self.slot.name,
            "count": self.slot.count,
            "capacity": self.slot.capacity,
            "low": self.slot.low,
            "state": self.state().as_str(),
            "not_sold": self.slot.not_sold,
            "empty_in_days": match self.state() {
                State::Soon(days) => Some(days),
                State::Suspect | State::SoldOut | State::Low | State::Unknown | State::Good => None,
            },
        })
    }
}

/// Reads a message. `is_stored`: the broker has kept it, nobody knows for how long.
pub fn read(payload: &[u8], is_stored: bool, now: Wall) -> Result<StockReport, Unreadable> {
    let payload = Some(payload).filter(|payload| payload.len() <= STOCK_MAX).ok_or(Unreadable)?;
    let Stock { number, stream, at, mut slots, .. } = serde_json::from_slice(payload).map_err(|_| Unreadable)?;
    let time = |text: Option<Box<str>>| text.map(|text| Wall::from_rfc3339(&text)).transpose().map_err(|_| Unreadable);
    let different: HashSet<_> = slots.iter().map(|slot| &slot.item).collect();
    // What the database refuses would hold up the news of others.
    let is_plain = stream.len() <= STREAM_MAX && stream.bytes().all(|byte| byte.is_ascii_graphic()) && i64::try_from(number).is_ok();
    if slots.len() > SLOTS_MAX || different.len() < slots.len() || !is_plain {
        return Err(Unreadable);
    }
    for slot in &mut slots {
        slot.name = slot.name.as_deref().and_then(|name| short(name, DESCRIPTION_MAX));
        slot.filled_at = time(slot.filled_at.take())?.map(|at| at.to_rfc3339().into());
    }
    // A clock that is ahead does not make it newer than now.
    let said_at = time(at)?.map(|at| at.min(now));
    let at = said_at.or((!is_stored).then_some(now));
    Ok(StockReport { stream, number, at, said_at, slots: slots.into() })
}

/// The slots of a machine with what follows from those before, and from what was sold of each item in the time of [`PACE`].
fn after(before: &[Kept], slots: Box<[Slot]>, sold: &HashMap<Box<str>, u64>) -> Vec<Kept> {
    let before: HashMap<&ItemId, &Kept> = before.iter().map(|kept| (&kept.slot.item, kept)).collect();
    // Two slots may hold the same goods, and a person asks when those are gone.
    let mut goods: HashMap<Box<str>, Option<(u64, u64)>> = HashMap::new();
    let slots: Vec<_> = slots.into_iter().map(|slot| Kept { slot, empty_in_days: None }).collect();
    for kept in &slots {
        let all = goods.entry(kept.goods().into()).or_insert(Some((0, 0)));
        *all = all
            .zip(kept.slot.count)
            .map(|((left, gone), count)| (left + u64::from(count), gone + sold.get(kept.slot.item.as_str()).copied().unwrap_or(0)));
    }
    let days = |kept: &Kept| {
        let (left, gone) = goods.get(kept.goods()).copied().flatten()?;
        let days = (left * FORTNIGHT).checked_div(gone).filter(|days| *days <= SOON_DAYS)?;
        // A slot that sells out in three days although it was just filled tells nobody anything. Nor would it be worth a way.
        kept.slot.count.filter(|count| *count <= kept.slot.capacity / 2)?;
        u8::try_from(days).ok()
    };
    let stays = |kept: &Kept| {
        let before = before.get(&kept.slot.item)?;
        let is_filled = kept.slot.count > before.slot.count || kept.slot.filled_at != before.slot.filled_at;
        before.empty_in_days.filter(|_| !is_filled)
    };
    let reckoned: Vec<_> = slots.iter().map(|kept| days(kept).or_else(|| stays(kept))).collect();
    slots.into_iter().zip(reckoned).map(|(kept, empty_in_days)| Kept { empty_in_days, ..kept }).collect()
}

/// So many more requests for each slot were refused than were known, because it was empty. `is_same`: it is the same stream.
fn refused<'a>(before: &[Kept], slots: &'a [Kept], is_same: bool) -> Vec<(&'a Kept, u32)> {
    let before: HashMap<&ItemId, u32> = before.iter().filter(|_| is_same).map(|kept| (&kept.slot.item, kept.slot.refused)).collect();
    let more = |kept: &'a Kept| (kept, kept.slot.refused.saturating_sub(before.get(&kept.slot.item).copied().unwrap_or(0)));
    slots.iter().map(more).filter(|(_, more)| *more > 0).collect()
}

/// Which of these messages are news. The machines of the others said the same or more already, or are not let in.
pub fn news(tx: &mut dyn Tx, told: Vec<(DeviceId, StockReport)>) -> Result<Vec<(DeviceId, StockReport)>, BooksError> {
    let mut news = Vec::new();
    for (device, told) in told {
        let sql = "SELECT stream, number, at_ms FROM devices LEFT JOIN stock ON device = id WHERE id = $1 AND revoked_ms IS NULL";
        let rows = tx.rows(sql, &[device.as_str().into()])?;
        if rows.first().is_some_and(|row| told.is_news(row)) {
            news.push((device, told));
        }
    }
    Ok(news)
}

impl StockReport {
    /// Whether this says more than the row does.
    fn is_news(&self, row: &Row) -> bool {
        let known = row.maybe_text("stream").ok().flatten().zip(row.maybe_int("number").ok().flatten());
        let at = row.maybe_int("at_ms").ok().flatten().map(Wall);
        known.is_none_or(|(stream, number)| self.is_after(stream, number, at))
    }

    /// Whether this was said after that. A machine with an older image of its database counts on from there, and its time goes on.
    fn is_after(&self, stream: &str, number: i64, at: Option<Wall>) -> bool {
        *stream != *self.stream || number < self.number() || self.said_at.zip(at).is_some_and(|(at, before)| before < at)
    }

    fn number(&self) -> i64 {
        i64::try_from(self.number).unwrap_or(i64::MAX)
    }
}

/// Writes down what a machine said, if it is still news. `sold`: how much of each of its items was, in the time of [`PACE`].
pub fn note(
    tx: &mut dyn Tx,
    device: &DeviceId,
    told: StockReport,
    sold: &HashMap<Box<str>, u64>,
    zone: Zone,
    now: Wall,
) -> Result<(), BooksError> {
    let rows = tx.rows("SELECT stream, number, at_ms, slots FROM stock WHERE device = $1", &[device.as_str().into()])?;
    let known = rows.first();
    if known.is_some_and(|row| !told.is_news(row)) {
        return Ok(());
    }
    // A row that cannot be read is no news that anybody had.
    let before = known.and_then(|row| slots(row).ok()).unwrap_or_default();
    let is_same = known.is_some_and(|row| row.text("stream").is_ok_and(|stream| *stream == *told.stream));
    let (number, at) = (told.number(), told.at);
    let slots = after(&before, told.slots, sold);
    let day = at.unwrap_or(now).to_local(zone)[..10].to_owned();
    let refused = refused(&before, &slots, is_same);
    for (kept, more) in &refused {
        let sql = "INSERT INTO refused (day, device, item, goods, number) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (day, device, item) DO UPDATE SET goods = excluded.goods, number = refused.number + excluded.number";
        let (item, goods) = (kept.slot.item.as_str(), kept.goods());
        tx.rows(sql, &[day.as_str().into(), device.as_str().into(), item.into(), goods.into(), i64::from(*more).into()])?;
    }
    if !refused.is_empty() {
        let first = (now - REFUSED_KEPT).to_local(zone)[..10].to_owned();
        tx.rows("DELETE FROM refused WHERE day < $1", &[first.into()])?;
    }
    // How many slots are so, and the goods of the first.
    let all = |is: &dyn Fn(&Kept) -> bool| {
        (slots.iter().filter(|kept| is(kept)).count() as i64, slots.iter().find(|kept| is(kept)).map(Kept::goods))
    };
    let of = |alert| all(&|kept| kept.state().wants() == Some(alert));
    let barred = |alert| all(&|kept| kept.barred() == Some(alert));
    let (low, sold_out, suspect) = (of(StockAlert::Low), of(StockAlert::SoldOut), of(StockAlert::Suspect));
    let (blocked, price) = (barred(StockAlert::Blocked), barred(StockAlert::Price));
    let uncounted = all(&|kept| kept.state() == State::Unknown);
    let row = vec![
        ("device", device.as_str().into()),
        ("stream", (*told.stream).into()),
        ("number", number.into()),
        ("at_ms", at.into()),
        ("low", low.0.into()),
        ("sold_out", sold_out.0.into()),
        ("suspect", suspect.0.into()),
        ("blocked", blocked.0.into()),
        ("price", price.0.into()),
        ("uncounted", uncounted.0.into()),
        ("low_of", low.1.into()),
        ("out_of", sold_out.1.into()),
        ("suspect_of", suspect.1.into()),
        ("blocked_of", blocked.1.into()),
        ("price_of", price.1.into()),
        ("uncounted_of", uncounted.1.into()),
        ("slots", serde_json::to_string(&slots).expect("plain data").into()),
    ];
    Ok(store::put(tx, "stock", "device", row)?)
}

fn slots(row: &Row) -> Result<Vec<Kept>, BooksError> {
    let damaged = |why: serde_json::Error| store::StoreError::Damaged { what: "a machine's stock".into(), why: why.to_string() };
    Ok(serde_json::from_str(row.text("slots")?).map_err(damaged)?)
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    pub device: DeviceId,
    pub name: Option<Box<str>>,
    /// When it said this, as far as that is known.
    pub at: Option<Wall>,
    pub slots: Vec<Kept>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All that count.
    All,
    /// Those in which something wants a person who fills or counts it.
    Wanting,
}

/// Some machines behind this one, by id. Empty: there are no more. What cannot be read is left out: it is only news.
pub fn page(tx: &mut dyn Tx, which: Which, behind: &str) -> Result<StockPage, BooksError> {
    let select = |wanting| {
        format!(
            "SELECT stock.device AS device, name, at_ms, slots FROM stock JOIN devices ON id = stock.device
            LEFT JOIN presence ON presence.device = stock.device
            WHERE stock.device > $1 AND revoked_ms IS NULL{wanting} ORDER BY stock.device LIMIT $2"
        )
    };
    let sql = match which {
        Which::All => select(""),
        Which::Wanting => select(" AND low + sold_out + suspect + uncounted + stock.blocked > 0"),
    };
    let rows = tx.rows(&sql, &[behind.into(), PAGE.into()])?;
    let behind = rows.last().map(|row| row.text("device").map(Box::from)).transpose()?;
    Ok(StockPage { machines: rows.iter().filter_map(|row| machine(row).ok()).collect(), behind })
}

#[derive(Debug)]
pub struct StockPage {
    pub machines: Vec<Machine>,
    /// The last of them; `None`: there are no more.
    pub behind: Option<Box<str>>,
}

fn machine(row: &Row) -> Result<Machine, BooksError> {
    let device = row.text("device")?;
    let damaged = |why: IdError| store::StoreError::Damaged { what: "a machine's stock".into(), why: why.to_string() };
    Ok(Machine {
        device: DeviceId::new(device).map_err(damaged)?,
        name: row.maybe_text("name")?.and_then(|name| short(name, MACHINE_NAME_MAX)),
        at: row.maybe_int("at_ms")?.map(Wall),
        slots: slots(row)?,
    })
}

/// One machine; `None`: it counts nothing.
pub fn of(tx: &mut dyn Tx, device: &DeviceId) -> Result<Option<Machine>, BooksError> {
    let sql = "SELECT stock.device AS device, name, at_ms, slots FROM stock LEFT JOIN presence ON presence.device = stock.device
        WHERE stock.device = $1";
    tx.rows(sql, &[device.as_str().into()])?.first().map(machine).transpose()
}

/// The slots of a machine that want a person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanting {
    /// Low, or empty in some days.
    pub low: u64,
    pub sold_out: u64,
    pub suspect: u64,
    /// Their lines wait for a person.
    pub blocked: u64,
    /// No line or no payment takes their prices.
    pub price: u64,
    /// Nobody has counted what is in them.
    pub uncounted: u64,
    /// The goods of the first of each.
    pub of: FirstOf,
}

/// The goods of the first slot that is so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FirstOf {
    pub low: Option<Box<str>>,
    pub sold_out: Option<Box<str>>,
    pub suspect: Option<Box<str>>,
    pub blocked: Option<Box<str>>,
    pub price: Option<Box<str>>,
    pub uncounted: Option<Box<str>>,
}

impl Wanting {
    /// Whether people are to be told so.
    #[must_use]
    pub const fn is(&self, alert: StockAlert) -> bool {
        match alert {
            // It is not over because it became worse.
            StockAlert::Low => self.low > 0 || self.sold_out > 0,
            StockAlert::SoldOut => self.sold_out > 0,
            StockAlert::Suspect => self.suspect > 0,
            StockAlert::Blocked => self.blocked > 0,
            StockAlert::Price => self.price > 0,
        }
    }
}

/// The machines in which something wants a person.
pub fn wanting(tx: &mut dyn Tx) -> Result<BTreeMap<Box<str>, Wanting>, BooksError> {
    let sql =
        "SELECT device, low, sold_out, suspect, blocked, price, uncounted, low_of, out_of, suspect_of, blocked_of, price_of, uncounted_of
        FROM stock JOIN devices ON id = device
        WHERE revoked_ms IS NULL AND low + sold_out + suspect + blocked + price + uncounted > 0";
    let count = |row: &Row, column| Ok::<_, BooksError>(u64::try_from(row.int(column)?).unwrap_or(0));
    let goods = |row: &Row, column| Ok::<_, BooksError>(row.maybe_text(column)?.map(Into::into));
    let read = |row: &Row| {
        let wanting = Wanting {
            low: count(row, "low")?,
            sold_out: count(row, "sold_out")?,
            suspect: count(row, "suspect")?,
            blocked: count(row, "blocked")?,
            price: count(row, "price")?,
            uncounted: count(row, "uncounted")?,
            of: FirstOf {
                low: goods(row, "low_of")?,
                sold_out: goods(row, "out_of")?,
                suspect: goods(row, "suspect_of")?,
                blocked: goods(row, "blocked_of")?,
                price: goods(row, "price_of")?,
                uncounted: goods(row, "uncounted_of")?,
            },
        };
        Ok((row.text("device")?.into(), wanting))
    };
    tx.rows(sql, &[])?.iter().map(read).collect()
}

/// Requests that were refused because nothing was left, by goods, on these days (`2026-11-20`, both counted in).
pub fn refused_on(tx: &mut dyn Tx, device: Option<&DeviceId>, (first, last): (&str, &str)) -> Result<BTreeMap<Box<str>, u64>, BooksError> {
    let sql = "SELECT goods, CAST(sum(number) AS BIGINT) AS number FROM refused
        WHERE day >= $1 AND day <= $2 AND ($3 = '' OR device = $3) GROUP BY goods";
    let rows = tx.rows(sql, &[first.into(), last.into(), device.map_or("", DeviceId::as_str).into()])?;
    let read = |row: &Row| Ok((row.text("goods")?.into(), u64::try_from(row.int("number")?).unwrap_or(0)));
    rows.iter().map(read).collect()
}

#[cfg(test)]
mod tests;
