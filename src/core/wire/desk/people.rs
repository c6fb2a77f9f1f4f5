//! An owner's people.

use super::Role;
use crate::order::word::closed;
use serde::{Deserialize, Serialize};

/// One of `GET /v1/people`: everybody of the desk, for owners.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Member {
    pub number: u64,
    pub name: Box<str>,
    pub role: Role,
    /// How much money this person may move in a day, in rupiah, where the role allows it.
    pub limit_per_day: u64,
    /// This person has chosen a password.
    pub has_joined: bool,
    /// It is the one that asks.
    pub is_me: bool,
}

/// `POST /v1/people`: an owner changes who the people are. All owners are told. The answer is `Envelope<Made>`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangePeople {
    /// The owner's own, once more.
    pub password: Box<str>,
    pub wish: Wish,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// Lets a person in, by a link.
    Add {
        name: Box<str>,
        may: May,
    },
    /// This person may do something else from now on.
    Role {
        person: u64,
        may: May,
    },
    /// A new link for who has forgotten the password.
    Link {
        person: u64,
    },
    Remove {
        person: u64,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct May {
    pub role: Role,
    /// In rupiah; no more than the owner's own.
    pub limit_per_day: u64,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    pub name: Box<str>,
    /// The address of the link, if one was made. It is told here and nowhere else.
    pub link: Option<Box<str>>,
}

/// `POST /v1/password`: a person chooses another password. All other sessions of this person end.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    pub password: Box<str>,
    pub new: Box<str>,
    /// [`super::Opened::device`] of this device, which stays known.
    pub device: Option<Box<str>>,
}

closed! {
    /// Why the people stay as they are.
    pub enum NotChanged {
        /// The name is somebody's.
        Taken = "taken",
        /// It is no name.
        NoName = "no_name",
        /// There are as many people as there may be.
        Full = "full",
        /// An owner does not change herself: another owner does, or whoever runs the server.
        Own = "own",
        /// Nobody gives a larger sum of the day than the own one.
        Sum = "sum",
    }
}
