//! The sales of today, and what wants a person now.

use super::judge;
use super::orders::Teller;
use crate::sale::books::{self, BooksError, Grouped, ListingPage};
use crate::store::{Row, Tx};
use qris_core::order::merchant::End;
use qris_core::order::time::{Span, Wall, Zone};
use qris_core::wire::desk::{Sum, Today};

/// Of the orders that want a person, so many are told: they fill a phone.
const TOLD: usize = 20;
const HOUR: Span = Span::secs(3600);

#[must_use]
pub const fn is_sold(end: End) -> bool {
    match end {
        End::Delivered | End::Given => true,
        End::RefundDue | End::Refunded | End::RefundedByHand | End::Uncertain | End::Unreported | End::Awaited | End::TakenBack => false,
    }
}

#[must_use]
pub const fn and(one: Sum, other: &books::Sum) -> Sum {
    Sum { orders: one.orders + other.orders, amount: one.amount + other.amount }
}

pub fn sold(tx: &mut dyn Tx, span: (Wall, Wall)) -> Result<Sum, BooksError> {
    let all = books::sums(tx, None, span, Grouped::All)?;
    Ok(all.iter().filter(|sum| is_sold(sum.end)).fold(Sum::default(), and))
}

/// What was settled in each of so many hours from midnight on, and counts. What is later belongs to the last.
pub fn hours(
    tx: &mut dyn Tx,
    (midnight, until): (Wall, Wall),
    number: usize,
    zone: Zone,
    counts: fn(End) -> bool,
) -> Result<Vec<Sum>, BooksError> {
    let first = (midnight + zone.ahead()).0 / HOUR.0;
    let mut hours = vec![Sum::default(); number];
    for sum in books::sums(tx, None, (midnight, until), Grouped::Hour(zone))?.iter().filter(|sum| counts(sum.end)) {
        let hour = sum.group.parse::<i64>().ok().and_then(|hour| usize::try_from(hour - first).ok());
        let last = hours.len().saturating_sub(1);
        if let Some(hour) = hours.get_mut(hour.unwrap_or(0).min(last)) {
            *hour = and(*hour, sum);
        }
    }
    Ok(hours)
}

/// The part of the page that is in the books.
pub fn read(tx: &mut dyn Tx, teller: &Teller<'_>) -> Result<Today, BooksError> {
    let (now, zone) = (teller.now.wall, teller.usual.zone);
    let midnight = judge::midnight(now, zone);
    // What is settled now by the gateway's clock may be ahead of ours.
    let until_now_too = usize::try_from((now - midnight).0 / HOUR.0).unwrap_or(0) + 1;
    let hours = hours(tx, (midnight, now + HOUR), until_now_too, zone, is_sold)?;
    let until_now = |days: i64| {
        let began = judge::days_before(midnight, days);
        (began, began + (now - midnight))
    };
    let ListingPage { orders: mut wanting, damaged, .. } = books::wanting(tx, TOLD + 1)?;
    let more = wanting.len() + damaged.len() > TOLD;
    wanting.truncate(TOLD);
    Ok(Today {
        sold: hours.iter().fold(Sum::default(), |all, hour| Sum { orders: all.orders + hour.orders, amount: all.amount + hour.amount }),
        yesterday: sold(tx, until_now(1))?,
        week_ago: sold(tx, until_now(7))?,
        hours,
        owed: owed(tx)?,
        wanting: wanting.iter().map(|stored| teller.line(tx, &stored.order)).collect::<Result<_, _>>()?,
        damaged: damaged.into_iter().map(Into::into).collect(),
        more,
        machines: Vec::new(),
        all_machines: 0,
    })
}

/// The sum that is owed to customers: their payments, without the parts that went back already.
fn owed(tx: &mut dyn Tx) -> Result<Sum, BooksError> {
    let sql = "SELECT count(*) AS orders, CAST(coalesce(sum(paid - coalesce(returned, 0)), 0) AS BIGINT) AS rupiah
        FROM orders WHERE refund_due = 1";
    let rows = tx.rows(sql, &[])?;
    let number = |row: &Row, column| row.int(column).map(|number| u64::try_from(number).unwrap_or(0));
    let Some(row) = rows.first() else { return Ok(Sum::default()) };
    Ok(Sum { orders: number(row, "orders")?, amount: number(row, "rupiah")? })
}
