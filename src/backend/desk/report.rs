//! What was paid on a day or in a month, and what became of it. The database adds it up, so a month is there as soon as a day is.

use super::judge;
use super::today::and;
use crate::machines::handle::Machines;
use crate::machines::stock;
use crate::money::report as whole;
use crate::sale::books::{self, BooksError, Grouped};
use crate::sale::counted::End;
use crate::store::Tx;
use qris_core::order::time::{Span, Wall, Zone};
use qris_core::text::named;
use qris_core::wire::desk::{By, Report, ReportLine};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// Which days, and what the sums are told by.
#[derive(Debug, Deserialize)]
pub struct Asked {
    day: Option<Box<str>>,
    month: Option<Box<str>>,
    by: By,
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

    /// What the sums are told by.
    #[must_use]
    pub const fn by(&self) -> By {
        self.by
    }

    /// The same for the report of the command.
    #[must_use]
    pub const fn whole(&self) -> whole::By {
        match self.by {
            By::Machine => whole::By::Machine,
            By::Item => whole::By::Item,
            By::Scheme => whole::By::Scheme,
            By::Day => whole::By::Day,
        }
    }
}

fn add(line: &mut ReportLine, sum: &books::Sum) {
    line.paid = and(line.paid, sum);
    let of = match sum.end {
        End::Delivered | End::Given => &mut line.sold,
        End::RefundDue => &mut line.owed,
        End::Refunded | End::RefundedByHand | End::TakenBack => &mut line.back,
        End::Uncertain | End::Unreported | End::Awaited => &mut line.unclear,
    };
    *of = and(*of, sum);
}

/// The sums of a span. What the gateway keeps is in the orders alone, so the payout is not known here: `qris-backend report` has it.
///
/// # Errors
/// The database's.
pub fn sums(tx: &mut dyn Tx, span: (Wall, Wall), by: By, zone: Zone) -> Result<Report, BooksError> {
    let grouped = match by {
        By::Machine => Grouped::Machine,
        By::Item => Grouped::Goods,
        By::Scheme => Grouped::Scheme,
        By::Day => Grouped::All,
    };
    let (mut total, mut groups) = (ReportLine::default(), BTreeMap::<Box<str>, ReportLine>::new());
    let (mut day, end) = span;
    // The database sorts what it groups: thirty days one by one cost half of a month at once.
    while day < end {
        let next = judge::days_before(day, -1).min(end);
        for sum in books::sums(tx, None, (day, next), grouped)? {
            add(&mut total, &sum);
            let name: Box<str> = match by {
                By::Machine | By::Item | By::Scheme => sum.group.clone(),
                By::Day => day.to_local(zone)[..10].into(),
            };
            add(groups.entry(name).or_default(), &sum);
        }
        day = next;
    }
    let mut groups: Vec<_> = groups.into_iter().map(|(name, line)| ReportLine { name, ..line }).collect();
    match by {
        By::Machine | By::Item | By::Scheme => groups.sort_by_key(|line| std::cmp::Reverse(line.paid.amount)),
        // They are in their order.
        By::Day => {}
    }
    Ok(Report { total, groups, refused: Vec::new(), archived: books::archived_between(tx, span)?.unsigned_abs() })
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
            let asked = Asked { day: day.map(Into::into), month: month.map(Into::into), by: By::Item };
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
