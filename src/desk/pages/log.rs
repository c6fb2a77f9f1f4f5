//! The log that nobody edits, for owners.

use super::{Frame, Query, Tab, address, renewed};
use crate::Desk;
use crate::visitor::{Halt, Visitor};
use crate::words::{self, orders as order_words};
use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use qris_core::wire::desk::{Deed, Denied, Entry, LogLine, Noted, ROWS, Role, Sure};
use qris_host::speech::fill;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "log.html")]
struct Page {
    f: Frame,
    lines: Vec<LogLine>,
    next: Option<String>,
}

impl Frame {
    /// A person's deed, in words.
    pub(super) fn did(&self, what: &Noted) -> String {
        match what {
            Noted::Done(deed) => order_words::did(self.o(), *deed).into(),
            Noted::Denied(deed) => fill(self.w.log_denied, &[&order_words::did(self.o(), *deed)]),
            Noted::Entry(entry) => self.entered(*entry).into(),
        }
    }

    fn entered(&self, entry: Entry) -> &'static str {
        match entry {
            Entry::Login => self.w.log_login,
            Entry::HomeLink => self.w.log_home_link,
            Entry::Home => self.w.log_home,
            Entry::Join => self.w.log_join,
            Entry::Logout => self.w.log_logout,
            Entry::EndSession => self.w.log_end_session,
            Entry::EndSessions => self.w.log_end_sessions,
            Entry::Add => self.w.log_add,
            Entry::Link => self.w.log_link,
            Entry::Role => self.w.log_role,
            Entry::Remove => self.w.log_remove,
            Entry::Password => self.w.log_password,
        }
    }

    /// More about it, in words where it is one of ours: why it was denied, what somebody has answered for, or what a person may do.
    pub(super) fn detail(&self, line: &LogLine) -> Option<String> {
        let detail = line.detail.as_deref()?;
        let said = match line.what {
            Noted::Denied(_) => Denied::from_word(detail).map(|denied| self.denied(&denied).to_owned()),
            Noted::Done(Deed::Number) => Some(if detail == "right" { self.w.number_right } else { self.w.number_not_right }.to_owned()),
            Noted::Done(_) => {
                let (first, note) = detail.split_once(": ").map_or((detail, None), |(first, note)| (first, Some(note)));
                let sure = Sure::from_word(first).map(|sure| self.sure(&sure));
                sure.map(|sure| note.map_or_else(|| sure.to_owned(), |note| format!("{sure} {note}")))
            }
            Noted::Entry(Entry::Add | Entry::Role) => self.allowed(detail),
            Noted::Entry(
                Entry::Login
                | Entry::HomeLink
                | Entry::Home
                | Entry::Join
                | Entry::Logout
                | Entry::EndSession
                | Entry::EndSessions
                | Entry::Link
                | Entry::Remove
                | Entry::Password,
            ) => None,
        };
        Some(said.unwrap_or_else(|| detail.to_owned()))
    }

    /// `Sari: owner, Rp100.000`, with the role in words.
    fn allowed(&self, detail: &str) -> Option<String> {
        let (name, may) = detail.rsplit_once(": ")?;
        let (role, sum) = may.split_once(", ")?;
        let role: Role = serde_json::from_value(role.into()).ok()?;
        Some(format!("{name}: {}, {sum}", self.role(&role)))
    }
}

/// `GET /log?behind=…`
pub async fn show(State(desk): State<Arc<Desk>>, visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, Halt> {
    let query = Query::read(query.as_deref());
    let behind: Option<u64> = query.get("behind").parse().ok();
    let behind = behind.map(|number| number.to_string());
    let asked: Vec<_> = behind.iter().map(|number| ("behind", number.as_str())).collect();
    let told = desk.serve.read::<Vec<LogLine>>(&visitor, "log", &asked).await.map_err(|why| why.halt(&visitor))?;
    let f = Frame::of(&visitor, Tab::Account, words::Words::of(visitor.language).log, told.me);
    let lines = told.told;
    let last = lines.last().filter(|line| lines.len() == ROWS && line.number > 1);
    let next = last.map(|line| address("/log", &[("behind", &line.number.to_string())]));
    Ok(renewed(visitor.show(StatusCode::OK, &Page { f, lines, next })))
}
