//! Clocks that are wrong, and certificates that end. The programs' own code judges both.

use super::counts::Kind;
use super::events::machine::Arrival;
use super::{BEGIN, Event, Outage, World};
use qris_core::order::time::Wall;
use qris_device::words::Input;
use qris_host::trust::{AGREES, ServerTime, judge, matters};

/// The backend has another certificate this often.
const RENEWED: i64 = 2 * 3_600_000;
/// And each is good since a day before.
const BEFORE: i64 = 86_400_000;
/// It ends some time after the next one is there. Every third one lives for long.
const LIVES: [i64; 3] = [10 * 86_400_000, RENEWED + 3_600_000, RENEWED + 3_600_000];
/// The broker's lives for ten years.
const TEN_YEARS: i64 = 3_652 * 86_400_000;
/// What a clock may be off by: at 1970, mostly; ahead by a day, 200 days or up to 2050, behind by an hour, or right.
const OFF: [i64; 8] = [-BEGIN, -BEGIN, -BEGIN, 86_400_000, 200 * 86_400_000, 2_524_608_000_000 - BEGIN, -3_600_000, 0];

/// A clock that says an earlier time is not believed.
pub(super) const RELEASED: Wall = Wall(BEGIN - 86_400_000);

/// A server that a machine asks over TLS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Server {
    Backend,
    Broker,
}

/// It is good from the first time on, and not any more at the second.
#[derive(Clone, Copy, Debug)]
struct Certificate(Wall, Wall);

impl Certificate {
    fn check(self, at: Wall) -> Result<(), ()> {
        if (self.0..self.1).contains(&at) { Ok(()) } else { Err(()) }
    }
}

/// What one run of a program knows of the time.
#[derive(Default)]
pub(super) struct Trust {
    /// The last trusted time.
    pub(super) floor: Wall,
    /// What each server has shown last.
    shown: [Option<Certificate>; 2],
}

impl World {
    fn certificate(&self, server: Server) -> Certificate {
        let number = self.now / RENEWED;
        let from = BEGIN + number * RENEWED;
        match server {
            Server::Backend => Certificate(Wall(from - BEFORE), Wall(from + LIVES[usize::try_from(number % 3).unwrap_or(0)])),
            Server::Broker => Certificate(Wall(BEGIN - BEFORE), Wall(BEGIN + TEN_YEARS)),
        }
    }

    /// Whether the dates of a server's certificate are good to a machine.
    pub(super) fn shakes_hands(&mut self, m: usize, server: Server, by_clock: bool) -> bool {
        let (clock, certificate) = (self.clocks(m).wall, self.certificate(server));
        let trust = &mut self.machines[m].trust;
        let judged = judge(clock, if by_clock { Wall(0) } else { trust.floor }, |at| certificate.check(at));
        if judged.is_ok() {
            trust.shown[server as usize] = Some(certificate);
        }
        let is_good = judged == Ok(None);
        if !is_good {
            self.count(Kind::Dates, "the dates of a certificate are refused");
        }
        is_good
    }

    /// Whether everybody agrees on the clock of a machine.
    fn told(&self, m: usize) -> ServerTime {
        let (clock, shown) = (self.clocks(m).wall, &self.machines[m].trust.shown);
        let is_good = shown.iter().all(|shown| shown.is_some_and(|certificate| certificate.check(clock).is_ok()));
        ServerTime { date: Wall(self.wall().0 + self.network.front_off), is_good }
    }

    /// An answer of the backend tells the time.
    pub(super) fn time_is_reported(&mut self, m: usize) {
        if matters(self.machines[m].trust.floor, self.clocks(m).wall, RELEASED) {
            self.input(m, Input::Time(self.told(m)));
        }
    }

    /// A machine asks for nothing but the time.
    pub(super) fn asks_time(&mut self, m: usize) {
        let run = self.machines[m].run;
        let delay = 5 + self.below(60);
        self.machine_hears(m, Arrival::Time { run }, delay);
    }

    pub(super) fn time_is_requested(&mut self, m: usize) {
        if !self.network.cut[Outage::Http as usize] && !self.goes_wrong(25, Kind::HttpLost) && self.shakes_hands(m, Server::Backend, true) {
            self.time_is_reported(m);
        }
    }

    /// A machine trusts this time. Everybody agreed on it.
    pub(super) fn trusts(&mut self, m: usize, trusted: Wall) {
        let told = self.told(m);
        let agrees = trusted == self.clocks(m).wall && trusted.0.abs_diff(told.date.0) <= AGREES.0.unsigned_abs();
        if !told.is_good || !agrees {
            self.fail(format!("the machine trusts {trusted}, and not everybody agrees"));
        }
        if trusted < std::mem::replace(&mut self.machines[m].trust.floor, trusted) {
            self.count(Kind::ClockBack, "a trusted time is set back");
        }
    }

    /// The clock of a machine jumps. Perhaps the web server before the backend asks the same wrong time server.
    pub(super) fn clock_jumps(&mut self, m: usize) {
        let offset = OFF[self.below_usize(OFF.len())];
        if std::mem::replace(&mut self.machines[m].wall_off, offset) != offset {
            self.count(Kind::Clock, "the machine's wall clock jumps");
        }
        self.network.front_off = if self.one_in(2) { offset } else { 0 };
        // Nothing is sold by a clock that is ahead, until it is set.
        if offset > 0 {
            self.will_be_set(m);
        }
    }

    /// A computer without a battery starts at some time. Soon a time server tells it the right one.
    pub(super) fn boots_at_some_time(&mut self, m: usize) {
        if self.storm && !self.is_planned() && self.one_in(8) {
            self.count(Kind::Clock, "the machine boots with another clock");
            self.machines[m].wall_off = OFF[self.below_usize(OFF.len())];
            self.will_be_set(m);
        }
    }

    fn will_be_set(&mut self, m: usize) {
        let after = 10_000 + self.below(120_000);
        self.after(after, Event::ClockIsSet(m));
    }
}
