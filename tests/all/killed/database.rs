//! PostgreSQL with a standby that has every commit, each at an address that stays. When the one that is written to dies, it comes back, or
//! the standby takes its place and gets a standby of its own.

use crate::rig::link::{Cable, Link};
use crate::rig::postgres::Postgres;
use std::thread::JoinHandle;

/// Nothing is committed before the standby has it. It looks for the other server often.
const SETTINGS: [&str; 2] = ["synchronous_standby_names=walreceiver", "wal_retrieve_retry_interval=200ms"];

pub struct Database {
    servers: [Postgres; 2],
    /// Which of them is written to.
    primary: usize,
    links: [Link; 2],
    /// A new standby is made.
    making: Option<JoinHandle<Postgres>>,
}

impl Database {
    pub fn start() -> Self {
        let primary = Postgres::start(&SETTINGS);
        let standby = Postgres::behind(primary.port, &SETTINGS);
        let links = [Link::to(primary.port), Link::to(standby.port)];
        Self { servers: [primary, standby], primary: 0, links, making: None }
    }

    /// Its address for a program.
    pub fn url(&self) -> String {
        let [one, two] = [self.links[0].port, self.links[1].port];
        format!("postgres://postgres@127.0.0.1:{one},127.0.0.1:{two}/postgres")
    }

    /// Whether there is a standby, or none can be made now.
    pub fn has_standby(&mut self) -> bool {
        if self.making.as_ref().is_some_and(JoinHandle::is_finished) {
            self.take_standby();
        }
        self.making.is_none()
    }

    /// Waits for a standby that is being made.
    pub fn take_standby(&mut self) {
        if let Some(making) = self.making.take() {
            let at = 1 - self.primary;
            self.servers[at] = making.join().expect("a standby");
            self.links[at].turn_to(self.servers[at].port);
        }
    }

    /// The server that is written to dies, as with `kill -9`.
    pub fn kill(&mut self) {
        self.servers[self.primary].stop();
    }

    pub fn kill_standby(&mut self) {
        self.servers[1 - self.primary].stop();
    }

    /// The one that died comes back.
    pub fn resume(&mut self) {
        self.servers[self.primary].resume();
    }

    pub fn resume_standby(&mut self) {
        self.servers[1 - self.primary].resume();
    }

    /// The standby takes the place of the one that died. Until a new standby is made, that one may come back, and take everything that waits
    /// for no standby.
    pub fn fail_over(&mut self, comes_back: bool) {
        let old = self.primary;
        self.primary = 1 - old;
        let primary = &self.servers[self.primary];
        primary.promote();
        let port = primary.port;
        if comes_back {
            self.servers[old].resume();
        }
        self.making = Some(std::thread::spawn(move || Postgres::behind(port, &SETTINGS)));
    }

    pub fn set(&self, cable: Cable) {
        self.links.iter().for_each(|link| link.set(cable));
    }
}
