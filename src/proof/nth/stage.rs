//! The stage of the stories. Three programs have their databases on a simulated disk. Between them are, in virtual time and
//! in one thread, a bus, a network, a broker and the simulated Midtrans, which all work as they should.
//!
//! These run: `device::machine::Machine`, `relay::dispenser::Dispenser`, and the whole backend as [`crate::backend`] runs it.
//! Sockets are events.

mod machine;
mod merchant;
mod relay;

use super::plot::{Story, Turn};
use crate::backend::{ISSUER, PUBLIC_URL, SERVER_KEY, key};
use crate::disk::Disk;
use crate::midtrans::{Midtrans, Options, Via};
use crate::rng::Rng;
use qris_core::order::ids::{ItemId, OrderId};
use qris_core::order::money::Rupiah;
use qris_core::order::receipt::{KeySet, jwk_set};
use qris_core::order::time::Wall;
use qris_core::wire::topics::Topic;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The start of a story.
pub(super) const BEGIN: i64 = 1_795_161_600_000;

/// One thing that will happen.
#[derive(Debug)]
pub(super) enum Event {
    Machine(machine::Arrival),
    Relay(relay::Arrival),
    Merchant(merchant::Arrival),
    /// The simulated Midtrans has something to send.
    MidtransDue,
    /// A customer pays the charge that was on the screen; with `force` also a cancelled one.
    Pays {
        payload: Box<str>,
        force: bool,
    },
    /// The customer gives up.
    Cancels,
    /// The connection to the broker is made anew, as happens now and then.
    Reconnects,
    /// Something in the story.
    Story(Turn),
}

pub(super) struct Stage {
    pub(super) directory: PathBuf,
    pub(super) rng: Rng,
    /// Milliseconds since the beginning.
    pub(super) now: i64,
    queue: BTreeMap<(i64, u64), Event>,
    number: u64,
    pub(super) trace: String,
    pub(super) failure: Option<String>,
    pub(super) keys: KeySet,
    pub(super) machine: machine::Side,
    pub(super) relay: relay::Side,
    pub(super) merchant: merchant::Side,
    pub(super) midtrans: Midtrans,
    midtrans_at: Option<i64>,
    /// Payloads and codes that the customer has seen.
    pub(super) seen: BTreeSet<Box<str>>,
    /// How often the line was driven for an order.
    pub(super) pulses: BTreeMap<OrderId, u32>,
    /// A database was set aside, so that two books may remember different things.
    pub(super) amnesia: bool,
    pub(super) disk: Disk,
    pub(super) story: Story,
}

pub(super) fn item() -> ItemId {
    ItemId::new("A1").expect("an item")
}

pub(super) fn price() -> Rupiah {
    Rupiah::new(5_000).expect("an amount")
}

impl Stage {
    /// No program runs yet.
    pub(super) fn new(directory: &Path, disk: Disk, story: Story) -> Self {
        let jwks = jwk_set(&[key().to_public_jwk(ISSUER)]);
        let mut options = Options::new(SERVER_KEY, "https://midtrans.example");
        options.seed = 1;
        options.notification_urls = vec![format!("{PUBLIC_URL}/midtrans/notifications")];
        Self {
            directory: directory.into(),
            rng: Rng::new(1),
            now: 0,
            queue: BTreeMap::new(),
            number: 0,
            trace: String::new(),
            failure: None,
            machine: machine::Side::new(),
            relay: relay::Side::new(),
            merchant: merchant::Side::new(),
            midtrans: Midtrans::new(options),
            midtrans_at: None,
            seen: BTreeSet::new(),
            pulses: BTreeMap::new(),
            amnesia: false,
            keys: KeySet::from_jwks(&jwks).expect("our own keys"),
            disk,
            story,
        }
    }

    /// All events until this moment, unless something fails.
    pub(super) fn go_on(&mut self, until: i64) {
        while self.failure.is_none() {
            let next = self.queue.first_key_value().map_or(i64::MAX, |((at, _), _)| *at);
            // The backend runs by itself until then, and may do something that changes the next events.
            if !self.merchant_runs_until(next.min(until)) {
                continue;
            }
            match self.queue.pop_first() {
                Some(((at, _), event)) if at <= until => {
                    self.now = self.now.max(at);
                    self.happen(event);
                }
                Some(_) | None => break,
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Machine(arrival) => self.machine_arrival(arrival),
            Event::Relay(arrival) => self.relay_arrival(arrival),
            Event::Merchant(arrival) => self.merchant_arrival(arrival),
            Event::MidtransDue => {
                self.midtrans_at = None;
                self.send_notices();
            }
            Event::Pays { payload, force } => {
                let paid = self.midtrans.pay(&payload, Via::Qris, force, self.wall());
                self.note(|| format!("the customer pays: {}", if paid.is_ok() { "paid" } else { "refused" }));
            }
            Event::Cancels => self.broker_takes(Topic::VendCancel, br#"{"request_id":"r-1"}"#.to_vec()),
            Event::Reconnects => {
                self.drop_broker();
                self.connect_broker(500);
            }
            Event::Story(turn) => self.turn(turn),
        }
        self.look_at_midtrans();
    }

    pub(super) fn look_at_midtrans(&mut self) {
        if let Some(due) = self.midtrans.next_due() {
            let at = (due.0 - BEGIN).max(self.now);
            if self.midtrans_at.is_none_or(|known| at < known) {
                self.midtrans_at = Some(at);
                self.at(at, Event::MidtransDue);
            }
        }
    }

    pub(super) fn wall(&self) -> Wall {
        Wall(BEGIN + self.now)
    }

    pub(super) fn at(&mut self, at: i64, event: Event) {
        self.number += 1;
        self.queue.insert((at.max(self.now), self.number), event);
    }

    pub(super) fn after(&mut self, span: i64, event: Event) {
        self.at(self.now + span, event);
    }

    pub(super) fn below(&mut self, n: i64) -> i64 {
        i64::try_from(self.rng.below(u64::try_from(n).unwrap_or(1))).unwrap_or(0)
    }

    pub(super) fn note(&mut self, text: impl FnOnce() -> String) {
        use std::fmt::Write as _;
        let at = self.now;
        // A String takes whatever is written.
        let _ = writeln!(self.trace, "{:>9}.{:03} {}", at / 1000, at % 1000, text());
    }

    pub(super) fn fail(&mut self, why: String) {
        self.note(|| format!("FAILED: {why}"));
        self.failure.get_or_insert(why);
    }
}
