//! Pages that say why there is nothing else, and what to do.

use super::{Frame, Tab};
use crate::asking::Unanswered;
use crate::form::{NotTaken, Why};
use crate::say::Clock;
use crate::visitor::{Halt, Visitor};
use crate::words::{self, Words, orders as order_words};
use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use qris_core::wire::desk::{self as wire, Denied, Door, Problem};
use qris_host::speech::fill;

/// A page that says something once more may be asked for again.
const AGAIN_S: u32 = 10;

#[derive(Template)]
#[template(path = "note.html")]
struct Note<'a> {
    f: Frame,
    hint: &'a str,
    /// Where it goes on, and the words for that.
    link: (&'a str, &'a str),
}

fn note(visitor: &Visitor, status: StatusCode, title: &str, hint: &str, link: (&str, &str)) -> Response {
    visitor.show(status, &Note { f: Frame::bare(visitor, Tab::None, title), hint, link })
}

fn home(words: &'static Words) -> (&'static str, &'static str) {
    ("/", words.to_today)
}

pub async fn nowhere(visitor: Visitor) -> Response {
    not_found(&visitor)
}

pub fn not_found(visitor: &Visitor) -> Response {
    let words = words::Words::of(visitor.language);
    note(visitor, StatusCode::NOT_FOUND, words.not_found, words.not_found_hint, home(words))
}

impl IntoResponse for NotTaken {
    fn into_response(self) -> Response {
        let (visitor, words) = (&self.visitor, words::Words::of(self.visitor.language));
        match self.why {
            Why::Refused(why, url) => refused(visitor, words, why, url.as_deref()),
            Why::InAlready(to) => visitor.lead_to(&to),
            Why::TooLarge => note(visitor, StatusCode::PAYLOAD_TOO_LARGE, words.too_large, words.not_understood_hint, home(words)),
            Why::Malformed => malformed(visitor).into_response(),
        }
    }
}

/// A form that was refused. The header says why to `doctor`.
fn refused(visitor: &Visitor, words: &'static Words, why: wire::NotTaken, url: Option<&str>) -> Response {
    let there = url.unwrap_or("/");
    let (title, hint, link) = match why {
        wire::NotTaken::Old => (words.old_form, words.old_form_hint.into(), home(words)),
        wire::NotTaken::NoCookie => (words.no_cookie, fill(words.no_cookie_hint, &[&there]), (there, words.to_desk)),
        wire::NotTaken::Foreign => (words.foreign_form, words.old_form_hint.into(), home(words)),
        wire::NotTaken::OtherName => (words.other_name, fill(words.other_name_hint, &[&there]), (there, words.to_desk)),
    };
    let mut response = note(visitor, StatusCode::FORBIDDEN, title, &hint, link);
    response.headers_mut().insert(wire::REFUSED, HeaderValue::from_static(why.as_str()));
    response
}

/// A request in the local network that did not come from there. Nothing of ours is kept by its browser.
pub fn not_at_home(visitor: &Visitor, why: wire::NotAtHome) -> Response {
    let words = words::Words::of(visitor.language);
    let hint = match why {
        wire::NotAtHome::OwnComputer => words.home_own,
        wire::NotAtHome::FarAway => words.home_far,
        wire::NotAtHome::PassedOn => words.home_passed_on,
        wire::NotAtHome::OtherHost => words.home_host,
        wire::NotAtHome::OtherOrigin => words.home_origin,
    };
    let mut response = note(visitor, StatusCode::FORBIDDEN, words.home_refused, hint, ("/", words.try_again));
    response.headers_mut().remove(header::SET_COOKIE);
    response.headers_mut().insert(wire::REFUSED, HeaderValue::from_static(why.as_str()));
    response
}

/// Nobody is logged in in the local network: a link lets in.
pub fn how_at_home(visitor: &Visitor) -> Response {
    let words = words::Words::of(visitor.language);
    note(visitor, StatusCode::OK, words.home_title, words.home_how, ("/", words.try_again))
}

pub fn malformed(visitor: &Visitor) -> Halt {
    let words = words::Words::of(visitor.language);
    note(visitor, StatusCode::UNPROCESSABLE_ENTITY, words.not_understood, words.not_understood_hint, home(words)).into()
}

pub fn link_over(visitor: &Visitor) -> Response {
    let words = words::Words::of(visitor.language);
    let (hint, link) = match visitor.door {
        Door::Public => (words.join_over_hint, words.login),
        Door::Home => (words.home_how, words.home_title),
    };
    note(visitor, StatusCode::GONE, words.join_over, hint, ("/login", link))
}

/// Nobody answers. Whether a deed was done is then not known.
fn away(visitor: &Visitor) -> Response {
    let words = words::Words::of(visitor.language);
    let (hint, link) = if visitor.is_get { (words.away_hint, &*visitor.here) } else { (words.away_after_deed, "/") };
    let look = if visitor.is_get { words.try_again } else { words.to_today };
    let mut response = note(visitor, StatusCode::SERVICE_UNAVAILABLE, words.away, hint, (link, look));
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(AGAIN_S));
    if visitor.is_get {
        response.headers_mut().insert(header::REFRESH, HeaderValue::from(AGAIN_S));
    }
    response
}

/// Nobody is logged in: logs in, and comes back here.
pub fn not_in(visitor: &Visitor) -> Response {
    // What is only sent has no page to come back to; of an order's deeds each has one.
    let is_page = visitor.is_get || visitor.here.starts_with("/orders/");
    let to = if is_page && visitor.here != "/" { visitor.here.as_str() } else { "" };
    let mut response = visitor.lead_to(&super::address("/login", &[("to", to)]));
    visitor.end(&mut response);
    response
}

/// Too many guesses.
pub fn wait(words: &'static Words, wait_s: u64) -> String {
    fill(words.login_wait, &[&Clock::wait(words, wait_s)])
}

/// What is said of a password that does not count; `None`: it is about something else.
pub fn of_password(words: &'static Words, why: &Unanswered) -> Option<(StatusCode, String)> {
    match why {
        Unanswered::Told(Problem::WrongPassword) => Some((StatusCode::FORBIDDEN, words.prove_wrong.into())),
        Unanswered::Told(Problem::Wait { wait_s }) => Some((StatusCode::TOO_MANY_REQUESTS, wait(words, *wait_s))),
        Unanswered::Told(_) | Unanswered::Away => None,
    }
}

/// Whether it is this person who may not, or nobody can.
pub const fn status_of(denied: Denied) -> StatusCode {
    match denied {
        Denied::Person(_) => StatusCode::FORBIDDEN,
        Denied::Order(_) | Denied::Try(_) => StatusCode::CONFLICT,
    }
}

impl Unanswered {
    /// The page that says it. Where a page can say more, it looks at the code first.
    pub fn page(&self, visitor: &Visitor) -> Response {
        let words = words::Words::of(visitor.language);
        let problem = match self {
            Self::Away => return away(visitor),
            Self::Told(problem) => problem,
        };
        match problem {
            Problem::NotIn => not_in(visitor),
            Problem::Unknown | Problem::Several => not_found(visitor),
            Problem::Archived => note(visitor, StatusCode::GONE, words.archived, words.archived_hint, home(words)),
            Problem::Damaged => note(visitor, StatusCode::INTERNAL_SERVER_ERROR, words.damaged_title, words.damaged_hint, home(words)),
            Problem::LinkOver => link_over(visitor),
            Problem::Away => away(visitor),
            Problem::Wait { wait_s } => {
                note(visitor, StatusCode::TOO_MANY_REQUESTS, words.not_possible, &wait(words, *wait_s), home(words))
            }
            Problem::Busy => note(visitor, StatusCode::TOO_MANY_REQUESTS, words.busy, words.busy_hint, (&visitor.here, words.try_again)),
            Problem::Denied { why } => {
                let said = order_words::denied(order_words::Words::of(visitor.language), visitor.language, *why);
                note(visitor, status_of(*why), words.not_possible, said, home(words))
            }
            Problem::Changed => note(visitor, StatusCode::CONFLICT, words.changed, words.changed_hint, home(words)),
            Problem::Unproven => note(visitor, StatusCode::FORBIDDEN, words.not_possible, words.prove_first, home(words)),
            Problem::Malformed { .. }
            | Problem::Password
            | Problem::CommonPassword
            | Problem::NotChanged { .. }
            | Problem::WrongPassword => {
                note(visitor, StatusCode::UNPROCESSABLE_ENTITY, words.not_understood, words.not_understood_hint, home(words))
            }
        }
    }

    pub fn halt(self, visitor: &Visitor) -> Halt {
        self.page(visitor).into()
    }
}
