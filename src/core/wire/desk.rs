//! The questions of the desk (`qris-desk`) to the backend, and the answers. The desk is a program of its own, without the books and without
//! a key. It asks over a local socket, by HTTP with JSON, and each question carries the session of a person: the backend judges by that who
//! asks, and what this person may do. Both programs come in one package, so both know the same words.
//!
//! Times are RFC 3339 in the merchant's zone. Money is whole rupiah.

mod log;
mod machines;
mod orders;
mod people;
mod sums;

pub use crate::wire::deed::*;
pub use log::*;
pub use machines::*;
pub use orders::*;
pub use people::*;
pub use sums::*;

use crate::order::time::Zone;
use serde::{Deserialize, Serialize};

/// The header with the address from which a person asks, as the reverse proxy has seen it.
pub const FROM: &str = "x-desk-from";

/// The header that says by which door of the desk a person came: a word of [`Door`]. Without it, the public one.
pub const DOOR: &str = "x-desk-door";

crate::order::word::closed! {
    /// By which of its two listeners a person came to the desk. A session is good only at that where it began.
    pub enum Door {
        /// Behind the web server, with TLS.
        Public = "public",
        /// In the local network, over plain `http://`. Whoever is there can read what passes. So a session only sees.
        Home = "home",
    }
}

/// The longest name of a person, in characters.
pub const NAME_MAX: usize = 40;

/// A list has so many rows, and what is behind them is asked for anew.
pub const ROWS: usize = 50;

/// The shortest password, in characters (NIST SP 800-63B, section 3.1.1.2).
pub const PASSWORD_MIN: usize = 10;

/// The longest password, in bytes: a longer one costs time, and no safety.
pub const PASSWORD_MAX: usize = 256;

/// What a person may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees.
    Viewer,
    /// Sees, and settles orders.
    Settler,
    /// Does that, and says who the people are.
    Owner,
}

/// `GET /v1/desk`: where people find the desk. Nobody need have a session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Whereabouts {
    /// `desk.url`, without a slash at its end: what browsers call the origin of its pages.
    pub url: Option<Box<str>>,
    /// `desk.home`: there the desk listens for people in the local network.
    pub home: Option<Box<str>>,
    /// What no other shop is called: letters and digits.
    pub shop: Box<str>,
    /// The merchant's name, if it has one.
    pub merchant: Option<Box<str>>,
}

/// Behind such a header the desk says why it did not take a form, or a request at home, for `doctor`: a word of [`NotTaken`], or of [`NotAtHome`].
pub const REFUSED: &str = "x-desk-refused";

crate::order::word::closed! {
    /// Why the desk does not take a form.
    pub enum NotTaken {
        /// Its page was made for another session, or is too old.
        Old = "old",
        /// No cookie came back with it.
        NoCookie = "no_cookie",
        /// Another site sent it.
        Foreign = "foreign",
        /// It was sent from a page of the desk that the browser has under another address than `desk.url`.
        OtherName = "other_name",
    }
}

crate::order::word::closed! {
    /// Why the desk does not answer a request in the local network.
    pub enum NotAtHome {
        /// It comes from this computer itself, as all that a tunnel carries does.
        OwnComputer = "own_computer",
        /// It comes from outside of the local network.
        FarAway = "far_away",
        /// A web server or a tunnel has passed it on.
        PassedOn = "passed_on",
        /// The browser has the desk under a name or an address that is none of a local network.
        OtherHost = "other_host",
        /// A page of another address sent it.
        OtherOrigin = "other_origin",
    }
}

/// `POST /v1/enter`: a link of the local network is used, once. No password is asked for: everybody there could read it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enter {
    /// The secret of the link.
    pub code: Box<str>,
    /// The kind of browser, for the list of sessions.
    pub browser: Box<str>,
}

/// `POST /v1/invitation`: whom does this link of this [`Door`] invite? It stays good.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Knock {
    /// The secret of the link.
    pub code: Box<str>,
}

/// The answer: who is invited.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Invited {
    pub name: Box<str>,
    /// What this person will be allowed.
    pub role: Role,
}

/// `POST /v1/join`: the link is used, once. All other sessions of this person end.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The secret of the link.
    pub code: Box<str>,
    /// The password that was chosen: [`PASSWORD_MIN`] characters to [`PASSWORD_MAX`] bytes.
    pub password: Box<str>,
    /// The kind of browser, for the list of sessions.
    pub browser: Box<str>,
}

/// `POST /v1/login`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    pub name: Box<str>,
    pub password: Box<str>,
    /// [`Opened::device`] of an earlier session on this device. Guesses by others do not make this device wait.
    pub device: Option<Box<str>>,
    /// The kind of browser, for the list of sessions.
    pub browser: Box<str>,
}

/// `POST /v1/prove`: the person of this session types the password once more.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prove {
    pub password: Box<str>,
}

/// A session has begun.
#[derive(Clone, Serialize, Deserialize)]
pub struct Opened {
    /// The secret of the session. It goes into a cookie, and comes back with each question as `Authorization: Bearer`.
    pub session: Box<str>,
    /// What this device is known by from now on. None in the local network, where somebody may have read it.
    pub device: Option<Box<str>>,
    /// The session lasts so many seconds at most.
    pub seconds: u64,
}

/// Every answer to a person with a session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Envelope<T> {
    pub me: Me,
    /// What was asked for.
    pub told: T,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Me {
    pub name: Box<str>,
    /// What this person may do.
    pub role: Role,
    /// How much money this person may still send back or write off today, in rupiah.
    pub left_today: u64,
    /// The merchant's name, if it has one.
    pub merchant: Option<Box<str>>,
    /// The merchant's zone.
    pub zone: Zone,
    /// The time at the backend.
    pub now: Box<str>,
    /// The money is not real.
    pub sandbox: bool,
    /// Orders that want a person: the number on the page's head.
    pub wanting: u64,
    /// The backend hears what machines say at the broker. If not, it cannot know of a machine that it is there.
    pub hears: bool,
    /// The backend trusts the time of day. If not, nothing ends by time.
    pub trusts_clock: bool,
    /// The password was typed lately in this session. If not, it is asked for before a deed: `POST /v1/prove`.
    pub proven: bool,
}

/// `GET /v1/sessions`: the sessions of this person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Session {
    /// Its number, which is no secret.
    pub number: u64,
    pub began_at: Box<str>,
    /// When it was used last.
    pub used_at: Box<str>,
    pub from: Box<str>,
    /// The kind of browser.
    pub browser: Box<str>,
    /// It is the one that asks.
    pub is_this: bool,
    /// It began in the local network, and only sees.
    pub is_at_home: bool,
}

/// `POST /v1/sessions/end`: the sessions that end. `POST /v1/logout` ends the one that asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndSession {
    /// That of this [`Session::number`].
    Number(u64),
    /// All of this person, the one that asks too.
    All,
}

/// Why a question was not answered. In words: for the journal, without a secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Problem {
    /// 401.
    #[error("the session is over, or never was")]
    NotIn,
    /// 403. Which of the two nobody is told.
    #[error("the name or the password is wrong")]
    WrongPassword,
    /// 403. The password was typed too long ago: first `POST /v1/prove`.
    #[error("the password must be typed once more")]
    Unproven,
    /// 410.
    #[error("the link was used, or its time is over")]
    LinkOver,
    /// 429.
    #[error("there were too many guesses")]
    Wait {
        /// So many seconds.
        wait_s: u64,
    },
    /// 429. A person has one table at a time, and few have one at once.
    #[error("a table is being made already")]
    Busy,
    /// 422.
    #[error("the password is too short or too long")]
    Password,
    /// 422.
    #[error("the password is one that many people use")]
    CommonPassword,
    /// 422.
    #[error("the people of the desk stay as they are: {}", why.as_str())]
    NotChanged { why: NotChanged },
    /// 409, or 403 where it is about the person.
    #[error("it is not possible: {}", why.as_str())]
    Denied {
        #[serde(rename = "denied")]
        why: Denied,
    },
    /// 409. Look again.
    #[error("what the person has seen of the order is not so any more")]
    Changed,
    /// 404.
    #[error("there is no such thing")]
    Unknown,
    /// 404. Several orders have these first letters.
    #[error("several orders have these first letters")]
    Several,
    /// 410. The order is over, and was moved to an archive.
    #[error("the order is archived")]
    Archived,
    /// 500.
    #[error("its row in the database is damaged")]
    Damaged,
    /// 422.
    #[error("{detail}")]
    Malformed {
        /// What is not understood.
        detail: Box<str>,
    },
    /// 503. Nothing was lost.
    #[error("the books cannot be read or written now")]
    Away,
}

impl Problem {
    /// The question is not understood.
    #[must_use]
    pub fn malformed(detail: &str) -> Self {
        Self::Malformed { detail: detail.into() }
    }
}

impl From<Denied> for Problem {
    fn from(why: Denied) -> Self {
        Self::Denied { why }
    }
}

/// Secrets are not for journals.
macro_rules! hidden {
    ($($Name:ident),+) => {
        $(impl std::fmt::Debug for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($Name)).finish_non_exhaustive()
            }
        })+
    };
}

hidden!(Knock, Enter, Join, Login, Prove, Opened, ChangePeople, Made, NewPassword);
