//! The whole product in virtual time, in one thread, out of one seed: the machine's, the relay's and the backend's own code
//! over their own databases, and around them a network, a broker, a power supply, clocks, customers, and somebody who
//! repeats and changes whatever he heard on the broker.
//!
//! What runs is `device::machine::Machine`, `relay::dispenser::Dispenser`, and of the backend `books` and what reads
//! Midtrans' answers, against the simulated Midtrans' own core. Sockets are events here. First everything that can go wrong
//! may; then everything heals, and within [`HEALED`] every order must be final and all books must agree.
//!
//! Two runs of a seed are equal, byte for byte: see [`Report::trace`].

mod audit;
mod machine;
mod merchant;
mod relay;
#[cfg(test)]
mod tests;

use super::midtrans::{Midtrans, Options, Via};
use super::rng::Rng;
use crate::order::ids::{DeviceId, ItemId, OrderId};
use crate::order::money::Rupiah;
use crate::order::receipt::{KeySet, SigningKey, jwk_set};
use crate::order::time::{Span, Wall};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// So long everything may go wrong.
const STORM: i64 = 1_200_000;
/// So long after that, everything must be final: Midtrans repeats a notification for up to six hours.
pub const HEALED: Span = Span::secs(8 * 3600);
/// When the simulation begins, for those whose clock is right.
const BEGIN: i64 = 1_795_161_600_000;
const SERVER_KEY: &str = "SB-Mid-server-simulated";
const PUBLIC_URL: &str = "https://pay.example";
const ISSUER: &str = "pay.example";
const PRICE: u64 = 5_000;

/// What one run did, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([u64; KINDS.len()]);

/// What is counted, in order.
pub const KINDS: [&str; 31] = [
    "requests",
    "sales",
    "refunds due",
    "uncertain",
    "unpaid",
    "late payments",
    "crashes of the machine",
    "crashes of the relay",
    "crashes of the backend",
    "crashes between two effects",
    "power cuts",
    "power cuts in mid-pulse",
    "jams",
    "relay calls lost",
    "relay calls slow",
    "http calls lost",
    "http answers lost",
    "http calls slow",
    "broker away",
    "broker sessions lost",
    "pushes doubled",
    "Midtrans calls lost",
    "Midtrans answers lost",
    "Midtrans calls slow",
    "notifications doubled",
    "partitions",
    "clock at 1970 or jumping",
    "relay ledgers lost",
    "backends restored from a backup",
    "hostile messages",
    "cards set back to an older image",
];

/// Places in [`KINDS`].
mod kind {
    pub const REQUESTS: usize = 0;
    pub const SALES: usize = 1;
    pub const REFUNDS: usize = 2;
    pub const UNCERTAIN: usize = 3;
    pub const UNPAID: usize = 4;
    pub const LATE: usize = 5;
    pub const MACHINE: usize = 6;
    pub const RELAY: usize = 7;
    pub const BACKEND: usize = 8;
    pub const BETWEEN: usize = 9;
    pub const POWER: usize = 10;
    pub const MID_PULSE: usize = 11;
    pub const JAMS: usize = 12;
    pub const BUS_LOST: usize = 13;
    pub const BUS_SLOW: usize = 14;
    pub const HTTP_LOST: usize = 15;
    pub const HTTP_ANSWER: usize = 16;
    pub const HTTP_SLOW: usize = 17;
    pub const BROKER: usize = 18;
    pub const SESSIONS: usize = 19;
    pub const DOUBLED: usize = 20;
    pub const MIDTRANS_LOST: usize = 21;
    pub const MIDTRANS_ANSWER: usize = 22;
    pub const MIDTRANS_SLOW: usize = 23;
    pub const NOTICES: usize = 24;
    pub const PARTITIONS: usize = 25;
    pub const CLOCK: usize = 26;
    pub const LEDGERS: usize = 27;
    pub const RESTORED: usize = 28;
    pub const HOSTILE: usize = 29;
    pub const CARDS: usize = 30;
}

impl Counts {
    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }

    /// Each kind with its count.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        KINDS.into_iter().zip(self.0)
    }
}

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    /// Which.
    pub seed: u64,
    /// What was done and went wrong.
    pub counts: Counts,
    /// What does not hold, if something does not.
    pub failure: Option<String>,
    /// Everything that happened, a line an event.
    pub trace: String,
}

/// Why a directory of its own could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the simulation cannot use {}: {source}", path.display())]
pub struct NoDirectory {
    path: PathBuf,
    source: std::io::Error,
}

/// Runs one seed. Databases are made in a directory of its own below `place`, which is gone afterwards.
///
/// # Errors
/// When no directory can be made there.
pub fn run(seed: u64, place: &Path) -> Result<Report, NoDirectory> {
    let directory = place.join(format!("qris-simulate-{}-{seed}", std::process::id()));
    std::fs::create_dir_all(&directory).map_err(|source| NoDirectory { path: directory.clone(), source })?;
    let mut world = World::new(seed, &directory);
    world.live();
    let failure = world.failure.take().or_else(|| world.audit());
    world.count_ends();
    let report = Report { seed, counts: world.counts, failure, trace: std::mem::take(&mut world.trace) };
    drop(world);
    // What is left behind is in memory, and goes with the machine.
    drop(std::fs::remove_dir_all(&directory));
    Ok(report)
}

/// One thing that will happen.
#[derive(Debug)]
enum Event {
    Machine(machine::Arrival),
    Relay(relay::Arrival),
    Merchant(merchant::Arrival),
    /// The simulated Midtrans has something to send.
    MidtransDue,
    /// A customer pays what was on the screen.
    Pays {
        payload: Box<str>,
        force: bool,
    },
    /// A controller asks.
    Vends,
    /// A controller or customer wants it cancelled.
    Cancels(u64),
    /// Something goes wrong, or somebody is hostile.
    Mischief,
    Ends(Outage),
    /// The power goes at a moment that was waited for.
    PowerCut,
    /// A merchant whose books were restored compares them with Midtrans'.
    Reconciles,
    /// The connection to the broker is made anew, as happens now and then.
    Reconnects,
}

#[derive(Debug, Clone, Copy)]
enum Outage {
    Broker,
    Bus,
    Http,
    Midtrans,
}

struct World {
    directory: PathBuf,
    rng: Rng,
    /// Milliseconds since the beginning.
    now: i64,
    queue: BTreeMap<(i64, u64), Event>,
    number: u64,
    trace: String,
    counts: Counts,
    failure: Option<String>,
    storm: bool,
    keys: KeySet,
    machine: machine::Side,
    relay: relay::Side,
    merchant: merchant::Side,
    midtrans: Midtrans,
    midtrans_at: Option<i64>,
    /// Who cannot reach whom, until when.
    cut: [bool; 4],
    /// Every payload that went over the broker.
    overheard: Vec<(crate::wire::topics::Topic, Vec<u8>)>,
    vended: u64,
    /// Payloads that customers have seen.
    seen: BTreeSet<Box<str>>,
    /// How often the line was driven for an order, in one life of the ledger.
    pulses: BTreeMap<(u32, OrderId), u32>,
    /// A disk was set back or lost, so that two books may remember different things.
    amnesia: bool,
}

fn key() -> SigningKey {
    SigningKey::from_seed([11; 32])
}

fn device() -> DeviceId {
    DeviceId::new("vm-001").expect("an id")
}

fn item() -> ItemId {
    ItemId::new("A1").expect("an item")
}

fn price() -> Rupiah {
    Rupiah::new(PRICE).expect("an amount")
}

impl World {
    fn new(seed: u64, directory: &Path) -> Self {
        let jwks = jwk_set(&[key().to_public_jwk(ISSUER)]);
        let keys = KeySet::from_jwks(&jwks).expect("our own keys");
        let mut options = Options::new(SERVER_KEY, "https://midtrans.example");
        options.seed = seed;
        options.notification_urls = vec![format!("{PUBLIC_URL}/midtrans/notifications")];
        let mut world = Self {
            directory: directory.into(),
            rng: Rng::new(seed),
            now: 0,
            queue: BTreeMap::new(),
            number: 0,
            trace: String::new(),
            counts: Counts::default(),
            failure: None,
            storm: true,
            machine: machine::Side::new(),
            relay: relay::Side::new(),
            merchant: merchant::Side::new(),
            midtrans: Midtrans::new(options),
            midtrans_at: None,
            cut: [false; 4],
            overheard: Vec::new(),
            vended: 0,
            seen: BTreeSet::new(),
            pulses: BTreeMap::new(),
            amnesia: false,
            keys,
        };
        world.start_relay();
        world.start_merchant();
        world.start_machine(true);
        world
    }

    fn live(&mut self) {
        let mut at = 2_000;
        while at < STORM - 200_000 {
            self.at(at, Event::Vends);
            at += 20_000 + self.below(160_000);
        }
        let mut at = 1_000;
        while at < STORM {
            self.at(at, Event::Mischief);
            at += 2_000 + self.below(40_000);
        }
        while let Some(((at, _), event)) = self.queue.pop_first() {
            if at >= STORM && self.storm {
                self.heal();
            }
            if at > STORM + HEALED.0 || self.failure.is_some() {
                break;
            }
            self.now = self.now.max(at);
            self.happen(event);
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
                self.note(|| format!("a customer pays: {}", if paid.is_ok() { "paid" } else { "refused" }));
                if paid.is_ok() && force {
                    self.counts.0[kind::LATE] += 1;
                }
            }
            Event::Vends => self.vend(),
            Event::Cancels(request) => {
                let payload = format!(r#"{{"request_id":"r-{request}"}}"#).into_bytes();
                self.broker_takes(crate::wire::topics::Topic::VendCancel, payload);
            }
            Event::Mischief => self.mischief(),
            Event::PowerCut if self.storm => self.cut_power(),
            Event::PowerCut => {}
            Event::Reconciles => self.reconcile(),
            Event::Reconnects => {
                self.drop_broker(false);
                self.connect_broker(500);
            }
            Event::Ends(outage) => {
                self.cut[outage as usize] = false;
                if matches!(outage, Outage::Broker) {
                    self.connect_broker(100);
                }
            }
        }
        self.look_at_midtrans();
    }

    fn vend(&mut self) {
        self.vended += 1;
        self.counts.0[kind::REQUESTS] += 1;
        let request = self.vended;
        self.note(|| format!("a controller asks for r-{request}"));
        let payload = format!(r#"{{"request_id":"r-{request}","item":"A1"}}"#).into_bytes();
        self.broker_takes(crate::wire::topics::Topic::VendRequest, payload);
        if self.one_in(6) {
            let after = 3_000 + self.below(100_000);
            self.after(after, Event::Cancels(request));
        }
    }

    /// Everything is well from now on.
    fn heal(&mut self) {
        self.storm = false;
        self.note(|| "all is well from now on".into());
        self.cut = [false; 4];
        self.machine.wall_off = 0;
        self.connect_broker(100);
        self.clear_line();
        if self.counts.0[kind::RESTORED] > 0 {
            self.after(3_600_000, Event::Reconciles);
        }
        self.after(5_400_000, Event::Reconnects);
    }

    /// One thing goes wrong.
    fn mischief(&mut self) {
        if !self.storm {
            return;
        }
        match self.below(24) {
            0 | 1 => {
                self.count(kind::MACHINE, "the machine crashes");
                self.start_machine(true);
            }
            2 | 3 => {
                self.count(kind::RELAY, "the relay crashes");
                self.restart_relay(false);
            }
            4 | 5 => {
                self.count(kind::BACKEND, "the backend crashes");
                self.start_merchant();
            }
            6 | 7 => self.cut_power(),
            8 | 9 => {
                self.count(kind::BROKER, "the broker goes away");
                let lost = self.one_in(3);
                self.drop_broker(lost);
                self.begin_outage(Outage::Broker);
            }
            10 => {
                self.count(kind::PARTITIONS, "the network is cut");
                self.drop_broker(false);
                self.begin_outage(Outage::Broker);
                self.begin_outage(Outage::Http);
            }
            11 => {
                self.count(kind::PARTITIONS, "the backend does not reach Midtrans");
                self.begin_outage(Outage::Midtrans);
            }
            12 => self.begin_outage(Outage::Bus),
            13 => {
                self.count(kind::CLOCK, "the machine's wall clock jumps");
                let offsets = [-BEGIN, 86_400_000, -3_600_000, 0];
                let at = self.below(4);
                self.machine.wall_off = offsets[usize::try_from(at).unwrap_or(0)];
            }
            14 if self.one_in(3) => {
                self.count(kind::LEDGERS, "the relay loses its ledger");
                self.restart_relay(true);
            }
            15 if self.one_in(2) => self.back_up_or_restore(),
            16..=19 => self.be_hostile(),
            _ => {}
        }
    }

    fn begin_outage(&mut self, outage: Outage) {
        self.cut[outage as usize] = true;
        let after = 500 + self.below(60_000);
        self.after(after, Event::Ends(outage));
    }

    fn cut_power(&mut self) {
        if self.relay.is_driving() {
            self.counts.0[kind::MID_PULSE] += 1;
        }
        self.count(kind::POWER, "the power is cut");
        let off = if self.one_in(3) { 700_000 } else { self.below(20_000) };
        if self.one_in(4) {
            self.copy_card();
        }
        self.restart_relay(false);
        // Nobody runs meanwhile: what was on its way to the machine is lost with it.
        self.machine.off_until = self.now + off;
        self.start_machine(false);
    }

    /// While it is off somebody makes an image of the card, or puts an older one in its place.
    fn copy_card(&mut self) {
        self.stop_machine();
        self.stop_relay();
        let images = ["qrisd.db", "ledger.db"].map(|name| (self.directory.join(name), self.directory.join(format!("{name}.image"))));
        // Closed, so all of each is in one file.
        if images[0].1.exists() && self.one_in(2) {
            self.count(kind::CARDS, "an older image of the card is put in");
            self.amnesia = true;
            self.relay.begin_another_ledger();
            for (live, image) in &images {
                for suffix in ["-wal", "-shm"] {
                    let mut name = live.clone().into_os_string();
                    name.push(suffix);
                    drop(std::fs::remove_file(name));
                }
                drop(std::fs::copy(image, live));
            }
        } else {
            self.note(|| "an image of the card is made".into());
            for (live, image) in &images {
                drop(std::fs::copy(live, image));
            }
        }
    }

    /// Somebody says again, or otherwise, what was said on the broker.
    fn be_hostile(&mut self) {
        self.count(kind::HOSTILE, "somebody is hostile");
        let many = self.overheard.len() as u64;
        let (topic, mut payload) = match self.below(4) {
            0 | 1 if many > 0 => {
                let at = self.below_u(many);
                self.overheard[usize::try_from(at).unwrap_or(0)].clone()
            }
            2 => {
                let order = OrderId::new(&format!("o{}", self.rng.below(1000))).expect("an id");
                let payload = format!(r#"{{"order_id":"{order}","rev":1,"status":"settlement","receipt":"e30.e30.AA"}}"#);
                (crate::wire::topics::Topic::PaymentUpdate, payload.into_bytes())
            }
            _ => (
                crate::wire::topics::Topic::VendRequest,
                format!(r#"{{"request_id":"evil-{}","item":"A1"}}"#, self.rng.below(9)).into_bytes(),
            ),
        };
        if self.one_in(2) && !payload.is_empty() {
            let at = self.below_u(payload.len() as u64);
            let bit = self.rng.below(8);
            payload[usize::try_from(at).unwrap_or(0)] ^= 1 << bit;
        }
        self.broker_takes(topic, payload);
    }

    // Time, chance, notes.

    fn wall(&self) -> Wall {
        Wall(BEGIN + self.now)
    }

    fn at(&mut self, at: i64, event: Event) {
        self.number += 1;
        self.queue.insert((at.max(self.now), self.number), event);
    }

    fn after(&mut self, span: i64, event: Event) {
        self.at(self.now + span, event);
    }

    fn below(&mut self, n: i64) -> i64 {
        i64::try_from(self.rng.below(u64::try_from(n).unwrap_or(1))).unwrap_or(0)
    }

    fn below_u(&mut self, n: u64) -> u64 {
        self.rng.below(n)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.rng.below(n) == 0
    }

    /// Something that can go wrong does, while anything may.
    fn goes_wrong(&mut self, one_in: u64, what: usize) -> bool {
        let wrong = self.storm && self.one_in(one_in);
        self.counts.0[what] += u64::from(wrong);
        wrong
    }

    fn count(&mut self, what: usize, text: &str) {
        self.counts.0[what] += 1;
        self.note(|| text.to_owned());
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        use std::fmt::Write as _;
        let at = self.now;
        // A String takes whatever is written.
        let _ = writeln!(self.trace, "{:>9}.{:03} {}", at / 1000, at % 1000, text());
    }

    fn fail(&mut self, why: String) {
        self.note(|| format!("FAILED: {why}"));
        self.failure.get_or_insert(why);
    }

    fn look_at_midtrans(&mut self) {
        let Some(due) = self.midtrans.next_due() else { return };
        let at = (due.0 - BEGIN).max(self.now);
        if self.midtrans_at.is_none_or(|known| at < known) {
            self.midtrans_at = Some(at);
            self.at(at, Event::MidtransDue);
        }
    }
}
