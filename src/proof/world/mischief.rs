//! The faults: programs, power, disks, cards, backups, clocks, networks.

use super::counts::Kind;
use super::events::{machine, relay};
use super::losses::Loss;
use super::{BOOKS, BOTH, CLONE, Event, LEDGER, MERCHANT, Outage, STORE, World};
use crate::disk::{Op, Trouble};
use std::path::Path;
use std::sync::atomic::Ordering;

const CARD: [&str; 2] = [STORE, LEDGER];

impl World {
    pub(super) fn mischief(&mut self) {
        if !self.storm {
            return;
        }
        let m = self.some_machine();
        match self.below(38) {
            0 | 1 => {
                self.count(Kind::MachineKilled, "the machine is killed");
                self.start_machine(m, true);
            }
            2 | 3 => {
                self.count(Kind::RelayKilled, "the relay is killed");
                self.start_relay(m);
            }
            4 | 5 => {
                self.count(Kind::BackendKilled, "the backend is killed");
                self.start_merchant();
            }
            6 | 7 => self.cut_power(m),
            8 => self.cut_merchants_power(),
            9 | 10 => {
                self.count(Kind::BrokerLost, "the connections to the broker are lost");
                let lost = self.one_in(3);
                self.drop_broker(lost);
                self.begin_outage(Outage::Broker);
            }
            11 => {
                self.count(Kind::Partitions, "the network is cut");
                self.drop_broker(false);
                self.begin_outage(Outage::Broker);
                self.begin_outage(Outage::Http);
            }
            12 => {
                self.count(Kind::Partitions, "the backend does not reach Midtrans");
                self.begin_outage(Outage::Midtrans);
            }
            13 => self.begin_outage(Outage::Bus),
            14 if self.one_in(2) => self.merchants_clock_jumps(),
            14 => self.clock_jumps(m),
            15 if self.one_in(3) => self.lose_ledger(m),
            15 if self.one_in(3) => self.lose_store(m),
            16 if self.one_in(2) => self.back_up_or_restore(),
            17..=21 => self.be_hostile(),
            22 => self.play_to_relay(m),
            23 | 24 => self.lose_screen(m),
            25 | 26 => self.trouble_disk(m),
            27..=29 => self.fail_once(m),
            30 | 31 => self.meddle_at_midtrans(),
            32 => self.forge_notification(),
            33..=35 if self.thief.is_here => self.steal(m),
            _ => {}
        }
    }

    fn begin_outage(&mut self, outage: Outage) {
        self.network.cut[outage as usize] = true;
        let after = 500 + self.below(60_000);
        self.after(after, Event::Ends(outage));
    }

    /// Nothing ends by that clock, and all goes on.
    fn merchants_clock_jumps(&mut self) {
        self.count(Kind::MerchantClock, "the clock of the backend's computer jumps");
        let far = [63_072_000_000, 86_400_000, 7_200_000, 90_000][self.below_usize(4)];
        let ahead = if self.one_in(4) { -far } else { far };
        self.merchant.clock_ahead.store(ahead, Ordering::Relaxed);
        self.begin_outage(Outage::Clock);
    }

    // Power.

    pub(super) fn cut_power(&mut self, m: usize) {
        let off = self.loses_power(m);
        if self.storm && !self.is_planned() && self.one_in(4) {
            self.take_out_card(m);
        }
        self.has_power_after(m, off);
    }

    /// Both programs of a machine end. For so long it stays off.
    fn loses_power(&mut self, m: usize) -> i64 {
        if self.relays[m].is_driving() {
            self.counts.note(Kind::MidPulse);
        }
        self.count(Kind::Power, "the power is cut");
        self.stop_machine(m);
        self.stop_relay(m);
        let seed = self.seed_of_cut();
        match self.disks[m].power_cut(&CARD, seed) {
            Ok(lost) => self.counts.more(Kind::Unsynced, lost),
            Err(error) => self.fail(format!("the disk cannot be written: {error}")),
        }
        let off = if self.may(5, Kind::Power) { 700_000 } else { self.delay(20_000, 5_000) };
        off + self.boots(m)
    }

    fn has_power_after(&mut self, m: usize, off: i64) {
        // No program runs meanwhile: messages on their way to the machine are lost with it.
        self.machines[m].off_until = self.now + off;
        self.boots_at_some_time(m);
        self.start_relay(m);
        self.start_machine(m, false);
    }

    pub(super) fn cut_merchants_power(&mut self) {
        self.count(Kind::Power, "the backend's power is cut");
        self.stop_merchant();
        let seed = self.seed_of_cut();
        match self.disks[MERCHANT].power_cut(&BOTH, seed) {
            Ok(lost) => self.counts.more(Kind::Unsynced, lost),
            Err(error) => self.fail(format!("the disk cannot be written: {error}")),
        }
        self.start_merchant();
    }

    // Cards and backups.

    /// While a machine is off, somebody makes an image of its card, puts an older one in its place, or makes a second card.
    fn take_out_card(&mut self, m: usize) {
        let what = self.below(4);
        match self.losses.image {
            Some(_) if what < 2 && self.slots.is_only_store_older() => self.put_in_store(m),
            Some(image) if what < 2 => {
                self.count(Kind::Cards, "an older image of the card is put in");
                self.losses.note(Loss::Card { image }, self.now);
                let from = self.directory.join("image");
                self.put_in(m, &from);
            }
            Some(_) if what == 2 && !self.losses.cloned => self.clone_card(m),
            Some(_) | None => {
                self.note(|| "an image of the card is made".into());
                self.losses.image = Some(self.now);
                self.slots.imaged(m);
                let to = self.directory.join("image");
                for name in CARD {
                    remove(&to, name);
                    copy(&self.places[m], &to, name);
                }
            }
        }
    }

    fn put_in(&mut self, m: usize, from: &Path) {
        for name in CARD {
            self.remove(m, name);
            copy(from, &self.places[m], name);
        }
        self.begin_another_ledger(m);
    }

    /// Another machine gets a copy of this one's card, and runs under its name for a while; then one of the two is scrapped.
    fn clone_card(&mut self, m: usize) {
        if m == CLONE {
            return;
        }
        self.count(Kind::Clones, "the card is cloned");
        self.losses.cloned = true;
        self.losses.note(Loss::Card { image: self.now }, self.now);
        let from = self.places[m].clone();
        self.put_in(CLONE, &from);
        self.alive[CLONE] = true;
        self.start_relay(CLONE);
        self.start_machine(CLONE, false);
        let after = 60_000 + self.below(400_000);
        self.after(after, Event::Scrapped);
    }

    pub(super) fn scrap_one(&mut self) {
        if self.alive != [true, true] {
            return;
        }
        let m = self.below_usize(2);
        self.note(|| format!("machine {m} is scrapped"));
        self.losses.note(Loss::Scrapped, self.now);
        self.stop_machine(m);
        self.stop_relay(m);
        self.alive[m] = false;
        let left = 1 - m;
        self.connect_broker(left, 1_000);
    }

    /// The machine's database is lost, or is no database any more.
    fn lose_store(&mut self, m: usize) {
        self.count(Kind::Stores, "the machine loses its database");
        self.stop_machine(m);
        self.losses.note(Loss::Store, self.now);
        self.slots.forget(m);
        if self.one_in(2) {
            self.remove(m, STORE);
        } else {
            remove(&self.places[m], STORE);
            let garbage = std::fs::write(self.places[m].join(STORE), [0xa5; 4096]);
            if let Err(error) = garbage {
                self.fail(format!("the disk cannot be written: {error}"));
            }
        }
        self.start_machine(m, true);
    }

    /// An image of the machine's database is made, which the ledger is not in.
    pub(super) fn image_store(&mut self, m: usize) {
        self.losses.image = Some(self.now);
        self.slots.imaged(m);
        let to = self.directory.join("image");
        remove(&to, STORE);
        copy(&self.places[m], &to, STORE);
    }

    /// The power goes, and somebody puts that image in.
    pub(super) fn set_store_back(&mut self, m: usize) {
        let off = self.loses_power(m);
        self.put_in_store(m);
        self.has_power_after(m, off);
    }

    /// The ledger stays as it is.
    fn put_in_store(&mut self, m: usize) {
        self.count(Kind::Images, "an older image of the machine's database is put in");
        // The mark of a database that was lost, and begun anew, says nothing of an image of before.
        let is_whole = self.losses.are_none();
        self.losses.note(Loss::Image, self.now);
        let keeps_mark = is_whole && self.slots.keeps_mark();
        self.slots.set_back(m, keeps_mark, self.now);
        let mark = self.places[m].join(format!("{STORE}.mark"));
        let kept = std::fs::read(&mark).ok().filter(|_| keeps_mark);
        self.remove(m, STORE);
        copy(&self.directory.join("image"), &self.places[m], STORE);
        if let Some(kept) = kept
            && let Err(error) = std::fs::write(&mark, kept)
        {
            self.fail(format!("the disk cannot be written: {error}"));
        }
    }

    /// A new backup is made, or an old one replaces the present books, or all of the books are lost.
    fn back_up_or_restore(&mut self) {
        self.stop_merchant();
        let (live, saved) = (self.places[MERCHANT].clone(), self.directory.join("backup"));
        if self.losses.backed_up && self.one_in(2) {
            self.put_back(&saved);
        } else if self.one_in(3) {
            self.count(Kind::BooksLost, "the backend's books are lost");
            self.losses.note(Loss::Books, self.now);
            self.forget_news();
            self.copies.is_restored = false;
            self.remove(MERCHANT, BOOKS);
        } else {
            self.note(|| "the backend is backed up".into());
            remove(&saved, BOOKS);
            copy(&live, &saved, BOOKS);
            self.losses.backed_up = true;
        }
        self.start_merchant();
    }

    /// What the books knew last may be forgotten.
    pub(super) fn forget_news(&mut self) {
        self.gateway.known_back.clear();
        self.gateway.doubted.clear();
        self.people.ended.clear();
    }

    /// All files of a database go. The program that had it is stopped.
    pub(super) fn remove(&mut self, place: usize, name: &str) {
        remove(&self.places[place], name);
    }

    // Disks.

    fn some_database(&mut self, m: usize) -> (usize, &'static str) {
        [(m, STORE), (m, LEDGER), (MERCHANT, BOOKS)][self.below_usize(3)]
    }

    /// For a while a disk is full, may only be read, or cannot even be read.
    fn trouble_disk(&mut self, m: usize) {
        let (place, name) = self.some_database(m);
        let (kind, trouble, text) = match self.below(3) {
            0 => (Kind::DiskFull, Trouble::Full, "full"),
            1 => (Kind::ReadOnly, Trouble::ReadOnly, "read-only"),
            _ => (Kind::DiskError, Trouble::Io, "broken"),
        };
        self.counts.note(kind);
        self.note(|| format!("the disk of {name} is {text}"));
        self.losses.harmed(name, self.now);
        self.disks[place].set(name, Some(trouble));
        let after = 500 + self.below(30_000);
        self.after(after, Event::DiskWorks(place, name));
    }

    /// One of the next few writes, syncs or commits fails, or the power goes in it.
    fn fail_once(&mut self, m: usize) {
        let (place, name) = self.some_database(m);
        let op = [Op::Write, Op::Commit, Op::Sync][self.below_usize(3)];
        let trouble = match self.below(5) {
            0 | 1 => Trouble::Io,
            2 | 3 => Trouble::Full,
            _ => Trouble::Dies,
        };
        let nth = 1 + self.rng.below(6);
        self.note(|| format!("{} {nth} of {name} is to fail: {trouble:?}", op.word()));
        self.losses.harmed(name, self.now);
        self.disks[place].fail(name, op, nth, trouble);
    }

    pub(super) fn heal(&mut self) {
        self.storm = false;
        self.note(|| "all is well from now on".into());
        self.count_operations();
        self.network.cut = [false; 5];
        self.merchant.clock_ahead.store(0, Ordering::Relaxed);
        for (place, disk) in self.disks.iter().enumerate() {
            disk.forgive();
            for name in if place == MERCHANT { vec![BOOKS] } else { CARD.to_vec() } {
                disk.set(name, None);
            }
        }
        let struck: u64 = self.disks.iter().map(crate::disk::Disk::struck).sum();
        self.counts.more(Kind::SyncFails, struck);
        self.scrap_one();
        let m = self.survivor();
        (self.machines[m].wall_off, self.network.front_off) = (0, 0);
        self.mend_systems();
        self.screen_back(m);
        self.connect_broker(m, 100);
        self.clear_line(m);
        // This happens once more when a machine that is off now is back.
        self.after(800_000, Event::Relay(m, relay::Arrival::Cleared));
        self.after(super::again::FROM, Event::BuysAgain(0));
        // Without harm to a disk or a memory the books need no merchant who compares them.
        if !self.is_planned() || self.strike().is_some() {
            self.after(3_600_000, Event::Reconciles);
        }
        self.after(5_400_000, Event::Reconnects);
        self.begin_to_look_for_debts();
    }

    /// The machine that is left, or the first of two.
    pub(super) fn survivor(&self) -> usize {
        usize::from(!self.alive[0])
    }

    pub(super) fn some_machine(&mut self) -> usize {
        if self.alive == [true, true] { self.below_usize(2) } else { self.survivor() }
    }

    pub(super) fn reconnect(&mut self) {
        self.drop_broker(false);
        let m = self.survivor();
        self.machine_hears(m, machine::Arrival::BrokerUp { run: self.machines[m].run }, 500);
    }
}

/// A database with its logs (it has the second log while it is being made), and the files that the relay keeps beside it.
fn files(name: &str) -> [String; 4] {
    ["", "-wal", "-journal", ".mark"].map(|suffix| format!("{name}{suffix}"))
}

pub(super) fn remove(place: &Path, name: &str) {
    // A file that is not there need not go. The memory shared over a database is made anew.
    drop(std::fs::remove_file(place.join(format!("{name}-shm"))));
    for file in files(name) {
        drop(std::fs::remove_file(place.join(file)));
    }
}

/// A file that is not there is not copied.
pub(super) fn copy(from: &Path, to: &Path, name: &str) {
    for file in files(name) {
        drop(std::fs::copy(from.join(&file), to.join(&file)));
    }
}
