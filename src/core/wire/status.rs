//! `status`: a machine's retained state and its faults.

use super::relay::RelayStatus;
use crate::order::ids::{ItemId, RequestId};
use crate::order::money::Rupiah;
use crate::order::reason::Reason;
use crate::order::time::Span;
use crate::order::tries::TryNumber;
use crate::order::word::words;
use serde::{Deserialize, Serialize};

words! {
    /// What is wrong with a machine.
    pub enum FaultCode {
        /// The database cannot be written: nothing is sold.
        Store = "store",
        /// The database was lost or damaged; it was set aside and a new one begun.
        StoreReset = "store_reset",
        /// The database is of a newer release, with which this one cannot go on: nothing is sold.
        NewerDatabase = "newer_database",
        /// The relay service is gone, refuses, or has a fault of its own.
        Relay = "relay",
        /// A line is blocked until a person clears it.
        LineBlocked = "line_blocked",
        /// The panel is gone.
        Screen = "screen",
        /// The backend cannot be reached.
        Backend = "backend",
        /// TLS refuses the dates of certificates: the clock is wrong, or a certificate ran out.
        Clock = "clock",
        /// The broker refuses a topic that the machine needs.
        Config = "config",
        /// Another computer has this machine's name at the broker, and takes its place there again and again.
        TakenOver = "taken_over",
        /// Requests fail one after the other, because no charge can be made or shown: nothing is sold.
        Charges = "charges",
        /// Nobody confirms whether an order of this machine is paid: a person must look at it, at the merchant.
        Unconfirmed = "unconfirmed",
        /// The settings that are wanted from afar are refused.
        Settings = "settings",
        /// Nobody has counted what lies in a slot, or there is more than it holds.
        Stock = "stock",
        /// No line takes an item that is sold, at its price.
        Prices = "prices",
    }
}

impl FaultCode {
    /// The reason for refusing a request while this fault lasts; `None` if the machine sells all the same.
    #[must_use]
    pub const fn refuses(self) -> Option<Reason> {
        match self {
            Self::Store => Some(Reason::Store),
            Self::NewerDatabase => Some(Reason::NewerDatabase),
            Self::Screen => Some(Reason::Screen),
            Self::StoreReset
            | Self::Relay
            | Self::LineBlocked
            | Self::Backend
            | Self::Clock
            | Self::Config
            | Self::TakenOver
            | Self::Charges
            | Self::Unconfirmed
            | Self::Settings
            | Self::Stock
            | Self::Prices
            | Self::Other(_) => None,
        }
    }
}

/// One fault, as `status.faults` lists it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// Its kind.
    pub code: FaultCode,
    /// For people.
    pub detail: Box<str>,
    /// RFC 3339; null while the clock is not trusted.
    pub since: Option<Box<str>>,
}

/// Whether a machine is connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// The machine is connected.
    Online,
    /// The machine said good-bye, or the broker noticed that it is gone.
    Offline,
}

/// `status`, retained. The last will and the last words of a clean stop tell the release and nothing else beside `offline`. The will is
/// made when the machine starts, and all else may be another thing by then.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Connected or not.
    pub state: Presence,
    /// What people call the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
    /// Counts up within a boot: the milliseconds of it when this was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The program's release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Box<str>>,
    /// Facts of the relay service, while it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<RelayStatus>,
    /// The kernel's name of this boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<Box<str>>,
    /// Names the life of the machine's database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Box<str>>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Box<str>>,
    /// Whether an order holds the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<bool>,
    /// The request that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// The items of which nothing is offered; at most 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sold_out: Option<Vec<ItemId>>,
    /// Another try is on the screen, for who presses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub try_offer: Option<TryOffer>,
    /// What is wrong; empty when all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faults: Option<Vec<Fault>>,
    /// How often `telemetry` comes, in seconds; 0: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_every_s: Option<u32>,
    /// The commands that this release knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<Vec<Box<str>>>,
}

/// Another try that is on the screen of a machine. A controller may light the keys of what costs no more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TryOffer {
    /// The request of the order that came to nothing.
    pub request_id: RequestId,
    /// Which try it would be.
    #[serde(rename = "try")]
    pub number: TryNumber,
    /// The most that the goods may cost, whole rupiah: what the order was paid for.
    pub up_to: Rupiah,
    /// How long it was still offered when it began or changed, in seconds. `status` does not count them down.
    pub remaining_s: u64,
    /// The screen shows a number, and nobody has told it yet: a press does nothing, and a controller leaves its keys dark.
    pub awaits_number: bool,
}

/// The largest payload, in bytes: 1,000 sold-out items fit.
pub const STATUS_MAX: usize = 48 * 1024;

impl Status {
    /// The last will of a program of this release, and what its clean stop publishes.
    #[must_use]
    pub fn offline(version: &str) -> Self {
        Self {
            state: Presence::Offline,
            name: None,
            number: None,
            version: Some(version.into()),
            relay: None,
            boot_id: None,
            stream: None,
            at: None,
            busy: None,
            request_id: None,
            sold_out: None,
            try_offer: None,
            faults: None,
            report_every_s: None,
            commands: None,
        }
    }
}

/// The broker counts down how long it keeps that one, and tells each reader what is left of this: ten years. So a reader knows since when
/// the machine is gone, and the machine needs no clock for it.
pub const OFFLINE_KEPT_S: u32 = 10 * 365 * 24 * 3600;

/// For how long the broker has kept an `offline` that it keeps for `left_s` seconds more. `None`: that is more than it was sent with.
#[must_use]
pub fn offline_for(left_s: u32) -> Option<Span> {
    OFFLINE_KEPT_S.checked_sub(left_s).map(|kept_s| Span::secs(kept_s.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::strict::PAYLOAD_MAX;

    #[test]
    fn a_thousand_items_fit_beside_all_the_rest() {
        let longest = |n: usize| ItemId::new(&format!("{n:0>32}")).expect("an id");
        let status = Status { sold_out: Some((0..1000).map(longest).collect()), ..Status::offline("0.1.0") };
        let length = serde_json::to_vec(&status).expect("plain").len();
        assert!(length + PAYLOAD_MAX < STATUS_MAX, "{length}");
    }

    #[test]
    fn the_will_is_as_short_as_the_contract_says() {
        assert_eq!(serde_json::to_string(&Status::offline("0.1.0")).expect("plain"), r#"{"state":"offline","version":"0.1.0"}"#);
    }
}
