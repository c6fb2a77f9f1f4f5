//! The log of the desk.

use crate::order::ids::OrderId;
use crate::order::word::closed;
use crate::wire::deed::Deed;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A line of the log that nobody edits. `GET /v1/log?behind=…` has [`ROWS`](super::ROWS) of them, the newest first, for owners; `behind` is the number of the
/// last one of the page before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LogLine {
    pub number: u64,
    pub at: Box<str>,
    pub who: Box<str>,
    /// From where; `None`: at the backend's own terminal.
    pub from: Option<Box<str>>,
    pub what: Noted,
    /// Of this order.
    pub order: Option<OrderId>,
    /// More about it: a note, a person, a reason.
    pub detail: Option<Box<str>>,
}

/// What a line of the log tells. On the wire and in the database it is one text: `refund`, `denied refund`, `login`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Noted {
    /// A person did it about an order.
    Done(Deed),
    /// A person wanted to, and it was not possible.
    Denied(Deed),
    /// Something about people and sessions.
    Entry(Entry),
}

closed! {
    /// What happens to people and their sessions.
    pub enum Entry {
        /// Somebody came in by name and password.
        Login = "login",
        /// A link for the local network was made.
        HomeLink = "home_link",
        /// A link for the local network was used.
        Home = "home",
        /// A link was used.
        Join = "join",
        /// The session that asked ended.
        Logout = "logout",
        /// One session of a person ended.
        EndSession = "end_session",
        EndSessions = "end_sessions",
        /// A person was let in.
        Add = "add",
        /// A person was invited anew.
        Link = "link",
        /// A person may do something else now.
        Role = "role",
        /// A person was let out.
        Remove = "remove",
        /// A person has changed the own password.
        Password = "password",
    }
}

/// No release of the desk notes this.
#[derive(Debug, thiserror::Error)]
#[error("the log has no such word: {0}")]
pub struct NotNoted(String);

const DENIED: &str = "denied ";

impl fmt::Display for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(deed) => deed.fmt(f),
            Self::Denied(deed) => write!(f, "{DENIED}{deed}"),
            Self::Entry(entry) => entry.fmt(f),
        }
    }
}

impl From<Noted> for String {
    fn from(noted: Noted) -> Self {
        noted.to_string()
    }
}

impl TryFrom<String> for Noted {
    type Error = NotNoted;

    fn try_from(text: String) -> Result<Self, NotNoted> {
        let noted = match text.strip_prefix(DENIED) {
            Some(deed) => Deed::from_word(deed).map(Self::Denied),
            None => Deed::from_word(&text).map(Self::Done).or_else(|| Entry::from_word(&text).map(Self::Entry)),
        };
        noted.ok_or(NotNoted(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_read_as_it_was_noted() {
        let deeds = Deed::ALL.into_iter().flat_map(|deed| [Noted::Done(deed), Noted::Denied(deed)]);
        for noted in deeds.chain(Entry::ALL.map(Noted::Entry)) {
            assert_eq!(Noted::try_from(noted.to_string()).expect("it is one"), noted);
        }
        for text in ["denied login", "denied", "teleport", ""] {
            assert!(Noted::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
