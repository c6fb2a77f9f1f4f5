//! The log that nobody edits, for owners.

use super::{Frame, Query, Tab, address};
use crate::Desk;
use crate::visitor::{Halt, Visitor};
use crate::words::{self, Words, orders as order_words};
use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use qris_core::wire::desk::{Deed, Denied, LogLine, ROWS, Role, Sure};
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
    /// A person's deed, in words. A word of a later release is shown as it came.
    pub(super) fn did(&self, what: &str) -> String {
        let did = |what| Deed::from_word(what).map_or_else(|| did(self.w, what), |deed| order_words::did(self.o(), deed));
        match what.strip_prefix("denied ") {
            Some(deed) => fill(self.w.log_denied, &[&did(deed)]),
            None => did(what).to_owned(),
        }
    }

    /// More about it, in words where it is one of ours: why it was denied, or what somebody has answered for.
    pub(super) fn detail(&self, line: &LogLine) -> Option<String> {
        let detail = line.detail.as_deref()?;
        if let ("add" | "role", Some((name, may))) = (&*line.what, detail.rsplit_once(": "))
            && let Some((word, sum)) = may.split_once(", ")
        {
            let role = serde_json::from_value::<Role>(word.into()).ok();
            return Some(format!("{name}: {}, {sum}", role.as_ref().map_or(word, |role| self.role(role))));
        }
        let denied = Denied::from_word(detail);
        if let Some(denied) = denied.filter(|_| line.what.starts_with("denied ")) {
            return Some(self.denied(&denied).to_owned());
        }
        let (first, rest) = detail.split_once(": ").map_or((detail, None), |(first, rest)| (first, Some(rest)));
        let said = Sure::from_word(first).filter(|_| line.order.is_some()).map(|sure| self.sure(&sure));
        Some(match (said, rest) {
            (Some(said), Some(rest)) => format!("{said} {rest}"),
            (Some(said), None) => said.to_owned(),
            (None, _) => detail.to_owned(),
        })
    }
}

fn did<'a>(words: &'static Words, what: &'a str) -> &'a str {
    match what {
        "login" => words.log_login,
        "join" => words.log_join,
        "logout" => words.log_logout,
        "end_session" => words.log_end_session,
        "end_sessions" => words.log_end_sessions,
        "add" => words.log_add,
        "link" => words.log_link,
        "role" => words.log_role,
        "remove" => words.log_remove,
        other => other,
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
    Ok(visitor.show(StatusCode::OK, &Page { f, lines, next }))
}
