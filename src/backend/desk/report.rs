//! The payments of a day or of a month, what became of them, and what the gateway should pay out.

use super::answer::No;
use super::places::Place;
use super::{Desk, judge, today};
use crate::machines::handle::Machines;
use crate::machines::stock;
use crate::money::days::Days;
use crate::money::sums::{KnownSum, Part};
use crate::sale::books::{self, BooksError, Grouped};
use crate::store::Tx;
use axum::http::HeaderMap;
use qris_core::order::merchant::End;
use qris_core::order::time::{Span, Wall, Zone};
use qris_core::text::{Language, named};
use qris_core::wire::desk::{By, Envelope, Report, ReportLine, Sum};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

const DAY: Span = Span::secs(24 * 3600);
/// So many days before today are added up before anybody looks: this month, and the one that is over.
const DAYS_AHEAD: i64 = 62;
/// How often. An order of an earlier day that changes makes the database forget that day.
const AHEAD_EVERY: Duration = Duration::from_secs(3600);

#[derive(Debug, Deserialize)]
pub struct Asked {
    day: Option<Box<str>>,
    month: Option<Box<str>>,
    by: By,
    /// Of a table.
    #[serde(default)]
    language: Language,
}

impl Asked {
    /// The span; `None`: no calendar has it. Without a day and a month it is today.
    #[must_use]
    pub fn span(&self, zone: Zone, now: Wall) -> Option<(Wall, Wall)> {
        let first = |text: &str| Wall::from_local(&format!("{text} 00:00:00"), zone).ok();
        match (&self.day, &self.month) {
            (Some(_), Some(_)) => None,
            (None, None) => Some(judge::midnight(now, zone)).map(|day| (day, judge::days_before(day, -1))),
            (Some(day), None) => first(day).map(|day| (day, judge::days_before(day, -1))),
            (None, Some(month)) => {
                let from = first(&format!("{month}-01"))?;
                // 31 days later it is the next month.
                let next = judge::days_before(from, -31).to_local(zone);
                Some((from, first(&format!("{}-01", &next[..7]))?))
            }
        }
    }

    #[must_use]
    pub const fn language(&self) -> Language {
        self.language
    }

    #[must_use]
    pub const fn by(&self) -> By {
        self.by
    }
}

fn add((line, payout): &mut (ReportLine, KnownSum), part: &Part) {
    let both = |one: Sum| Sum { orders: one.orders + part.sum.orders, amount: one.amount + part.sum.amount };
    line.paid = both(line.paid);
    let of = match part.end {
        End::Delivered | End::Given => &mut line.sold,
        End::RefundDue => &mut line.owed,
        End::Refunded | End::RefundedByHand | End::TakenBack => &mut line.back,
        End::Uncertain | End::Unreported | End::Awaited => &mut line.unclear,
    };
    *of = both(*of);
    line.goods_and_money =
        Sum { orders: line.goods_and_money.orders + part.besides.orders, amount: line.goods_and_money.amount + part.besides.amount };
    payout.add(part.gateway.payout);
}

impl Desk {
    fn days(&self, span: (Wall, Wall), by: By) -> Days {
        let grouped = match by {
            By::Machine => Grouped::Machine,
            By::Item => Grouped::Goods,
            By::Scheme => Grouped::Scheme,
            By::Day => Grouped::All,
        };
        Days { span, by: grouped, fees: self.fees }
    }

    /// Adds up days that are over, each in a writing of its own: a sale waits for one day at most.
    async fn keep(&self, days: Days, to_keep: Vec<(Wall, Wall)>, place: Option<&Arc<Place>>) -> Result<(), BooksError> {
        for day in to_keep {
            let of_day = place.cloned();
            let keep = move |tx: &mut dyn Tx| {
                let _place = of_day;
                days.keep(tx, day)
            };
            self.books.write(move |tx, _, _| keep(tx)).await?;
        }
        Ok(())
    }

    /// Adds up the days that are over, now and each hour. So the first look at a month takes no longer than the next.
    pub(super) async fn keep_ahead(&self) {
        loop {
            // What the database refuses is in the journal, and tried again in an hour.
            let _ = self.keep_days_before(judge::midnight(self.books.now().wall, self.usual.zone)).await;
            sleep(AHEAD_EVERY).await;
        }
    }

    async fn keep_days_before(&self, today: Wall) -> Result<(), BooksError> {
        for by in [By::Machine, By::Item, By::Scheme, By::Day] {
            let days = self.days((judge::days_before(today, DAYS_AHEAD), today), by);
            let to_keep = self.books.read(move |tx| days.to_keep(tx, today)).await?;
            self.keep(days, to_keep, None).await?;
        }
        Ok(())
    }

    pub(super) async fn report(&self, headers: &HeaderMap, span: (Wall, Wall), by: By) -> Result<Envelope<Report>, No> {
        let zone = self.usual.zone;
        let Envelope { me, told: (days, archived) } = self.parts(headers, span, by, None).await?;
        let bars = if span.1 - span.0 <= DAY {
            self.tell(headers, move |tx, _, _| today::hours(tx, span, 24, zone, |_| true)).await?.told
        } else {
            each_day(&days, span)
        };
        Ok(Envelope { me, told: Report { bars, ..sums(days, by, zone, archived) } })
    }

    /// The parts of each day of a span, and the number of its orders that are archived. Each reading for a table holds its place.
    pub(super) async fn parts(
        &self,
        headers: &HeaderMap,
        span: (Wall, Wall),
        by: By,
        place: Option<Arc<Place>>,
    ) -> Result<Envelope<(Vec<(Wall, Vec<Part>)>, u64)>, No> {
        let (days, of_look) = (self.days(span, by), place.clone());
        let look = self.tell(headers, move |tx, _, now| {
            let _place = of_look;
            days.to_keep(tx, now.wall)
        });
        let to_keep = look.await?.told;
        // What is not kept is added up below. The journal has the database's reason.
        let _ = self.keep(days, to_keep, place.as_ref()).await;
        let read = self.tell(headers, move |tx, _, _| {
            let _place = place;
            Ok((days.read(tx)?, books::archived_between(tx, span)?.unsigned_abs()))
        });
        read.await
    }
}

/// The group of a part of this day.
pub fn group(part: &Part, by: By, day: Wall, zone: Zone) -> Box<str> {
    match by {
        By::Machine | By::Item | By::Scheme => part.group.clone(),
        By::Day => day.to_local(zone)[..10].into(),
    }
}

/// What was settled on each day of a month.
fn each_day(days: &[(Wall, Vec<Part>)], (from, until): (Wall, Wall)) -> Vec<Sum> {
    let mut bars = vec![Sum::default(); usize::try_from((until - from).0 / DAY.0).unwrap_or(0)];
    for (day, parts) in days {
        let bar = usize::try_from((*day - from).0 / DAY.0).ok().and_then(|number| bars.get_mut(number));
        if let Some(bar) = bar {
            bar.orders += parts.iter().map(|part| part.sum.orders).sum::<u64>();
            bar.amount += parts.iter().map(|part| part.sum.amount).sum::<u64>();
        }
    }
    bars
}

fn sums(days: Vec<(Wall, Vec<Part>)>, by: By, zone: Zone, archived: u64) -> Report {
    let (mut total, mut groups) = (<(ReportLine, KnownSum)>::default(), BTreeMap::<Box<str>, (ReportLine, KnownSum)>::new());
    for (day, part) in days.iter().flat_map(|(day, parts)| parts.iter().map(move |part| (day, part))) {
        add(&mut total, part);
        add(groups.entry(group(part, by, *day, zone)).or_default(), part);
    }
    let line = |name, (line, payout): (ReportLine, KnownSum)| ReportLine { name, payout: payout.get(), ..line };
    let mut groups: Vec<_> = groups.into_iter().map(|(name, group)| line(name, group)).collect();
    match by {
        By::Machine | By::Item | By::Scheme => groups.sort_by_key(|line| std::cmp::Reverse(line.paid.amount)),
        // They are in their order.
        By::Day => {}
    }
    Report { total: line("".into(), total), groups, bars: Vec::new(), refused: Vec::new(), archived }
}

/// Gives machines the names that people know, and adds what was refused. That is news of the machines beside the money, so a report does
/// without it where it cannot be read.
pub async fn with_news(mut report: Report, machines: &Machines, (from, until): (Wall, Wall), by: By, zone: Zone) -> Report {
    let day = |at: Wall| at.to_local(zone)[..10].to_owned();
    let (first, last) = (day(from), day(until - Span::secs(1)));
    let read = machines.read(move |tx| Ok((stock::refused_on(tx, None, (&first, &last))?, crate::machines::reported::noted(tx)?)));
    let Ok((refused, noted)) = read.await else { return report };
    report.refused = refused.into_iter().collect();
    report.refused.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    if by == By::Machine {
        let names: HashMap<_, _> = noted.into_iter().filter_map(|(device, noted)| Some((device, noted.facts?.name?))).collect();
        for line in &mut report.groups {
            line.name = named(names.get(&line.name).map(|name| &**name), &line.name).into();
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_and_a_month_have_their_span() {
        let zone = Zone::Wib;
        let at = |text: &str| Wall::from_local(&format!("{text} 00:00:00"), zone).expect("a time");
        let span = |day: Option<&str>, month: Option<&str>| {
            let asked = Asked { day: day.map(Into::into), month: month.map(Into::into), by: By::Item, language: Language::En };
            asked.span(zone, at("2026-11-27") + Span::secs(3600))
        };
        for (day, month, wanted) in [
            (None, None, Some(("2026-11-27", "2026-11-28"))),
            (Some("2026-02-28"), None, Some(("2026-02-28", "2026-03-01"))),
            (None, Some("2026-02"), Some(("2026-02-01", "2026-03-01"))),
            (None, Some("2026-12"), Some(("2026-12-01", "2027-01-01"))),
            (None, Some("2024-01"), Some(("2024-01-01", "2024-02-01"))),
            (None, Some("2026-13"), None),
            (Some("2026-02-30"), None, None),
            (Some("today"), None, None),
            (Some("2026-02-28"), Some("2026-02"), None),
        ] {
            assert_eq!(span(day, month), wanted.map(|(from, until)| (at(from), at(until))), "{day:?} {month:?}");
        }
    }
}
