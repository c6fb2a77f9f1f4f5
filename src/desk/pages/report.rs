//! The payments of a day or of a month, and what became of them.

use super::bars::Picture;
use super::{Frame, Query, Tab, address, note, rows};
use crate::Desk;
use crate::say::Day;
use crate::visitor::{Halt, Visitor};
use crate::words;
use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use qris_core::wire::desk::{By, Report};
use qris_host::speech::fill;
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Time {
    Day(Day),
    /// By its first day.
    Month(Day),
}

impl Time {
    /// As an address says it; `None`: it says nothing. An error: it says something that no calendar has.
    fn read(query: &Query) -> Result<Option<Self>, ()> {
        match (query.get("day"), query.get("month")) {
            ("", "") => Ok(None),
            (day, "") => Day::read(day).map(Self::Day).map(Some).ok_or(()),
            ("", month) => Day::first_of(month).map(Self::Month).map(Some).ok_or(()),
            (_, _) => Err(()),
        }
    }

    /// The word for it, and its value.
    fn pair(&self) -> (&'static str, String) {
        match self {
            Self::Day(day) => ("day", day.iso()),
            Self::Month(first) => ("month", first.month()),
        }
    }
}

const BY: [(By, &str); 4] = [(By::Item, "item"), (By::Machine, "machine"), (By::Scheme, "scheme"), (By::Day, "day")];

fn by_of(word: &str) -> Option<(By, &'static str)> {
    if word.is_empty() { Some(BY[0]) } else { BY.into_iter().find(|(_, known)| *known == word) }
}

/// The most goods that machines refused, those of which most was wanted.
const REFUSED_MAX: usize = 20;

/// A way to another report.
struct Choice {
    name: &'static str,
    address: String,
    is_here: bool,
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    f: Frame,
    times: Vec<Choice>,
    groups: Vec<Choice>,
    by: By,
    by_word: &'static str,
    day: String,
    month: String,
    csv: String,
    report: Report,
    /// On the first page of the list.
    picture: Option<Picture>,
    next: Option<String>,
}

/// `GET /report?day=2026-11-27&by=item&from=50`, or `month=2026-11`; without a time: today.
pub async fn show(State(desk): State<Arc<Desk>>, visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, Halt> {
    let query = Query::read(query.as_deref());
    let Some((by, by_word)) = by_of(query.get("by")) else { return Err(note::malformed(&visitor)) };
    let asked = Time::read(&query).map_err(|()| note::malformed(&visitor))?;
    let pair = asked.as_ref().map(Time::pair);
    let wanted: Vec<_> = pair.iter().map(|(name, value)| (*name, value.as_str())).chain([("by", by_word)]).collect();
    let told = desk.serve.read::<Report>(&visitor, "report", &wanted).await.map_err(|why| why.halt(&visitor))?;
    let words = words::Words::of(visitor.language);
    let f = Frame::of(&visitor, Tab::Report, words.report, told.me);
    let clock = f.clock.expect("there is a person");
    let time = asked.unwrap_or(Time::Day(clock.today()));
    let (name, value) = time.pair();
    let title = match time {
        Time::Day(day) => fill(words.report_of, &[&clock.long(day)]),
        Time::Month(first) => fill(words.report_of, &[&clock.long_month(first)]),
    };
    let today = clock.today();
    let this_month = Day::first_of(&today.month()).unwrap_or(today);
    let last_month = Day::first_of(&this_month.before().month()).unwrap_or(today);
    let choices = [
        (words.today, Time::Day(today)),
        (words.yesterday, Time::Day(today.before())),
        (words.this_month, Time::Month(this_month)),
        (words.last_month, Time::Month(last_month)),
    ];
    let times = choices.map(|(choice, other)| {
        let (name, value) = other.pair();
        Choice { name: choice, address: address("/report", &[(name, &value), ("by", by_word)]), is_here: other == time }
    });
    let groups = BY.map(|(other, word)| {
        let named = match other {
            By::Item => words.by_item,
            By::Machine => words.by_machine,
            By::Scheme => words.by_scheme,
            By::Day => words.by_day,
        };
        Choice { name: named, address: address("/report", &[(name, &value), ("by", word)]), is_here: other == by }
    });
    let (day, month) = match &time {
        Time::Day(day) => (day.iso(), day.month()),
        Time::Month(first) => (first.iso(), first.month()),
    };
    let csv = address("/report.csv", &[(name, &value), ("by", by_word)]);
    let mut report = told.told;
    let from = query.place("from");
    let (groups_here, behind) = rows(std::mem::take(&mut report.groups), from);
    report.groups = groups_here;
    report.refused.truncate(if from == 0 { REFUSED_MAX } else { 0 });
    let next = behind.map(|behind| address("/report", &[(name, &value), ("by", by_word), ("from", &behind.to_string())]));
    let f = Frame { title, ..f };
    let paid = f.money(&report.total.paid.amount);
    let picture = match &time {
        Time::Day(_) => Picture::of_hours(&f, &report.bars, fill(words.paid_by_hour_alt, &[&paid]), words.paid),
        Time::Month(_) => Picture::of_days(&f, &report.bars, fill(words.paid_by_day_alt, &[&paid]), words.paid),
    };
    let page = Page {
        f,
        times: times.into(),
        groups: groups.into(),
        by,
        by_word,
        day,
        month,
        csv,
        report,
        picture: (from == 0).then_some(picture),
        next,
    };
    Ok(visitor.show(StatusCode::OK, &page))
}

/// `GET /report.csv?…`
pub async fn table(State(desk): State<Arc<Desk>>, visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, Halt> {
    let query = Query::read(query.as_deref());
    let by = by_of(query.get("by"));
    let (Some((_, by)), Ok(Some(time))) = (by, Time::read(&query)) else { return Err(note::malformed(&visitor)) };
    let (name, value) = time.pair();
    let table = desk
        .serve
        .table(&visitor, "report.csv", &[(name, &value), ("by", by), ("language", visitor.language_code())])
        .await
        .map_err(|why| why.halt(&visitor))?;
    Ok(csv(&format!("report-{value}-{by}"), table))
}

pub fn csv(name: &str, table: Vec<u8>) -> Response {
    let mut response = ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], table).into_response();
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}.csv\"")) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    response
}
