//! Tables for a spreadsheet. A person who asks for them again and again, and goes away each time, must not keep sales waiting. So a person
//! has one at a time, and few have one at once. A table of payments comes from the sums of days, as the page does.

use super::answer::No;
use super::{Desk, machines as known, report};
use crate::csv::Separator;
use crate::machines::stock;
use crate::money::days::Part;
use crate::money::report::{ReportQuery, SalesReport};
use axum::http::HeaderMap;
use qris_core::order::time::Wall;
use qris_core::wire::desk::{By, Problem};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most tables that are made at once. So they leave nearly all places at the socket to pages.
const AT_ONCE: usize = 4;

/// Whose tables are being made.
#[derive(Debug, Default)]
pub struct Tables(Arc<Mutex<HashSet<i64>>>);

/// A person's table, until the last of its readings ends. Each reading holds it, too: a request whose person went away is gone at once, and
/// its reading is not.
#[derive(Debug)]
pub struct Place {
    all: Arc<Mutex<HashSet<i64>>>,
    person: i64,
}

impl Tables {
    /// Begins a table for this person.
    ///
    /// # Errors
    /// [`Problem::Busy`]: this person has one already, or too many others have.
    fn begin(&self, person: i64) -> Result<Arc<Place>, Problem> {
        let mut all = locked(&self.0);
        if all.len() >= AT_ONCE || !all.insert(person) {
            return Err(Problem::Busy);
        }
        Ok(Arc::new(Place { all: Arc::clone(&self.0), person }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        locked(&self.all).remove(&self.person);
    }
}

fn locked(all: &Mutex<HashSet<i64>>) -> MutexGuard<'_, HashSet<i64>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    /// The place for a table of whoever asks.
    async fn place(&self, headers: &HeaderMap) -> Result<Arc<Place>, No> {
        let person = self.tell(headers, |_, asker, _| Ok(asker.person.number)).await?.told;
        Ok(self.tables.begin(person)?)
    }

    /// The payments of a span.
    pub(super) async fn table_of_payments(&self, headers: &HeaderMap, asked: &report::Asked) -> Result<String, No> {
        let (zone, now) = (self.usual.zone, self.books.now().wall);
        let span = asked.span(zone, now).ok_or(Problem::malformed("there is no such day or month"))?;
        let place = self.place(headers).await?;
        let (days, _) = self.parts(headers, span, asked.by(), Some(place)).await?.told;
        let wanted = ReportQuery { device: None, span, by: asked.whole(), zone, fees: self.fees, now };
        Ok(of_days(days, asked.by(), &wanted).csv(&wanted, Separator::Comma))
    }

    /// What to bring to all machines.
    pub(super) async fn table_to_bring(&self, headers: &HeaderMap) -> Result<String, No> {
        let place = self.place(headers).await?;
        let (all, packing, _) = known::packing(&self.machines, "".into(), usize::MAX, Some(place)).await?;
        Ok(stock::csv(&all, &packing, self.usual.zone, Separator::Comma))
    }
}

fn of_days(days: Vec<(Wall, Vec<Part>)>, by: By, wanted: &ReportQuery) -> SalesReport {
    let mut report = SalesReport::default();
    for (day, part) in days.iter().flat_map(|(day, parts)| parts.iter().map(move |part| (*day, part))) {
        report.total.add_part(part);
        report.groups.entry(report::group(part, by, day, wanted.zone).into()).or_default().add_part(part);
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_has_one_table_at_a_time_and_few_have_one() {
        let tables = Tables::default();
        let first = tables.begin(1).expect("free");
        let reading = Arc::clone(&first);
        drop(first);
        assert!(matches!(tables.begin(1), Err(Problem::Busy)), "the reading goes on, although nobody waits for it");
        let others: Vec<_> = (2..).map_while(|person| tables.begin(person).ok()).collect();
        assert_eq!(others.len(), AT_ONCE - 1);
        drop(reading);
        assert!(tables.begin(1).is_ok() && tables.begin(9).is_ok(), "a place stays taken");
    }
}
