//! The whole product in virtual time, in one thread, from one seed. The machine, the relay and the backend run their own code over
//! their own databases. Around them are disks, a network, a broker, a power supply, clocks, a screen, customers, a merchant, and
//! strangers who repeat and change what they heard.
//!
//! These run: `device::machine::Machine`, `relay::dispenser::Dispenser`, and the whole backend as [`super::backend`] runs it,
//! against the simulated Midtrans' own core. Sockets are events here, and SQLite stands on [`super::disk`]. First all faults may
//! happen. Then everything heals, and within [`HEALED`] every order must be final and all books must agree.
//!
//! Two runs of a seed are equal, byte for byte: see [`RunReport::trace`].

mod acts;
mod again;
mod asking;
mod audit;
mod bits;
mod broker;
mod chutes;
mod commands;
mod computer;
mod copies;
mod counts;
mod desk;
mod disks;
mod door;
mod events;
mod fate;
mod judge;
mod losses;
mod machine;
mod merchant;
mod mischief;
mod other_goods;
mod owed;
mod people;
mod play;
mod relay;
mod relay_keys;
mod reports;
mod same_goods;
mod screen;
mod second_tries;
mod stock;
mod strike;
#[cfg(test)]
mod tests;
mod thief;
mod time;

pub use counts::{Counts, KINDS, Kind};
pub use play::Play;
pub use strike::{How, Strike, Struck, Who};

use super::backend::{ISSUER, PUBLIC_URL, SERVER_KEY, device, key};
use super::disk::Disk;
use super::midtrans::{KeyAgain, Midtrans, Options, Spelling};
use super::rng::Rng;
use desk::Desk;
use events::{Event, Outage};
use fate::{Fate, Plan};
use losses::Losses;
use qris_backend::store::MACHINES_FILE;
use qris_core::order::ids::ItemId;
use qris_core::order::keys::{KeySet, jwk_set};
use qris_core::order::money::Rupiah;
use qris_core::order::time::{Span, Wall};
use qris_core::wire::topics::Topic;
use qris_host::events::Event as Journal;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Faults may happen for this time.
const STORM: i64 = 1_200_000;
/// Everything must be final this long after that: Midtrans repeats a notification for up to six hours.
pub const HEALED: Span = Span::secs(8 * 3600);
/// A computer rests when it has run a good system for this time. The world waits for that so many times.
const REST: i64 = 600_000;
const RESTS: u32 = 24;
/// Here a payment code can be paid, and its goods be collected, for this time. It is less than the product's own days, so that the
/// results come within [`HEALED`].
const COUNTER_EXPIRY: Span = Span::secs(2 * 3600);
const COLLECT_WITHIN: Span = Span::secs(3 * 3600);
/// A merchant who lets customers pay Midtrans' fee allows at most this much of it on a price, in rupiah.
const FEE_MAX: u64 = 1_000;
/// The start of the simulation, for programs whose clock is right.
const BEGIN: i64 = 1_795_161_600_000;
/// The machine whose card may be cloned is 0. The one that gets the copy is this.
const CLONE: usize = 1;
/// One seed of so many has a machine and a backend without a broker.
const WITHOUT_BROKER: u64 = 6;
/// One seed of so many, beginning with the first, has an odd Midtrans: it does what no document says.
const ODD: u64 = 3;
/// Where Midtrans is odd, a refund's key can be tried again for this time. It is a week in its documents.
const REFUND_KEY_LIFE: Span = Span::secs(600);
/// The databases of machine, relay and backend, by the names of their files.
const STORE: &str = "qrisd.db";
const LEDGER: &str = "ledger.db";
const BOOKS: &str = "orders.db";
const BOTH: [&str; 2] = [BOOKS, MACHINES_FILE];
/// The merchant's program looks for due work this soon after it did something.
const AT_ONCE: i64 = 50;
/// The same of books, or of a machine's database, that still fail when all is well: a person must look, and eight hours of attempts
/// would tell no more.
const IN_VAIN: i64 = 600_000;
/// The owner number of the backend's disk.
const MERCHANT: usize = 2;

#[derive(Debug)]
pub struct RunReport {
    pub seed: u64,
    pub counts: Counts,
    /// The rule that does not hold, if there is one.
    pub failure: Option<String>,
    /// All events, one in each line.
    pub trace: String,
}

/// Why there was no directory, or why no simulated disk could be made of it.
#[derive(Debug, thiserror::Error)]
#[error("the simulation cannot use {}: {source}", path.display())]
pub struct NoDirectory {
    path: PathBuf,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl NoDirectory {
    pub(crate) fn new(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { path: path.into(), source: source.into() }
    }
}

/// Runs one seed. Databases are made in a directory of its own below `place`, which is removed afterwards.
pub fn run(seed: u64, place: &Path) -> Result<RunReport, NoDirectory> {
    Ok(happens(seed, Fate::Chance, None, place)?.0)
}

/// Plays a play, in which something goes wrong at these places. Gives all places that were passed too.
pub fn perform(play: Play, wrong: &[usize], place: &Path) -> Result<(RunReport, Vec<Kind>), NoDirectory> {
    let (report, plan) = happens(1, Fate::Plan(Plan { wrong: wrong.into(), ..Plan::of(play) }), None, place)?;
    Ok((report, plan.places))
}

/// Plays a play on the databases of `from`, or on new ones, while this happens to a disk.
pub fn strike(play: Play, strike: Option<Strike>, from: Option<&Path>, place: &Path) -> Result<(RunReport, Struck), NoDirectory> {
    let (report, plan) = happens(1, Fate::Plan(Plan { disks: Struck::by(strike), ..Plan::of(play) }), from, place)?;
    Ok((report, plan.disks))
}

/// Lets all programs make their databases in this directory, run for a moment, and end.
pub fn begin_databases(directory: &Path) -> Result<(), NoDirectory> {
    let mut world = World::new(1, Fate::Plan(Plan::of(Play::Sale)), directory)?;
    world.live(1_500);
    Ok(())
}

fn happens(seed: u64, fate: Fate, from: Option<&Path>, place: &Path) -> Result<(RunReport, Plan), NoDirectory> {
    let prefix = format!("qris-simulate-{}-{seed}-", std::process::id());
    let own = tempfile::Builder::new().prefix(&prefix).tempdir_in(place).map_err(|source| NoDirectory::new(place, source))?;
    let directory = own.path();
    if let Some(from) = from {
        take_databases(from, directory).map_err(|source| NoDirectory::new(from, source))?;
    }
    let mut world = World::new(seed, fate, directory)?;
    match &world.fate {
        Fate::Chance => world.begin_storm(),
        Fate::Plan(plan) => world.begin_play(plan.play),
    }
    world.live(world.heals_at + HEALED.0);
    world.lives_until_systems_rest();
    let failure = world.failure.take().or_else(|| world.audit_struck());
    world.count_ends();
    let report = RunReport { seed, counts: world.counts, failure, trace: std::mem::take(&mut world.trace) };
    let plan = match std::mem::replace(&mut world.fate, Fate::Chance) {
        Fate::Chance => Plan::of(Play::Sale),
        Fate::Plan(plan) => plan,
    };
    drop(world);
    Ok((report, plan))
}

fn take_databases(from: &Path, to: &Path) -> std::io::Result<()> {
    for part in ["machine", "backend"] {
        std::fs::create_dir_all(to.join(part))?;
        for file in std::fs::read_dir(from.join(part))? {
            let file = file?;
            std::fs::copy(file.path(), to.join(part).join(file.file_name()))?;
        }
    }
    Ok(())
}

/// The whole of it. Each part has its own place, and what only it knows.
struct World {
    directory: PathBuf,
    /// Where the two machines and the backend have their databases.
    places: [PathBuf; 3],
    rng: Rng,
    /// The chance of an odd Midtrans, and of the person who ends what it never confirms. The other seeds stay as they are.
    odd: Option<Rng>,
    fate: Fate,
    /// Milliseconds since the beginning.
    now: i64,
    timeline: Timeline,
    trace: String,
    counts: Counts,
    failure: Option<String>,
    storm: bool,
    /// When all is well, in milliseconds since the beginning.
    heals_at: i64,
    keys: KeySet,
    items: Vec<(ItemId, Rupiah)>,
    machines: [machine::SimulatedMachine; 2],
    relays: [relay::SimulatedRelay; 2],
    alive: [bool; 2],
    ledgers: relay::Ledgers,
    merchant: merchant::SimulatedMerchant,
    gateway: asking::Gateway,
    broker: broker::Broker,
    network: broker::Network,
    people: people::People,
    thief: thief::Thief,
    words: relay_keys::Words,
    losses: Losses,
    owed: owed::Owed,
    copies: copies::Copies,
    desk: Desk,
    commands: commands::Commands,
    reports: reports::Reports,
    slots: stock::Slots,
    doors: door::Doors,
    second_tries: second_tries::SecondTries,
    same: same_goods::SameGoods,
    other: other_goods::OtherGoods,
    chutes: chutes::Chutes,
    /// This goes last: those that hold files in it are gone before.
    disks: [Disk; 3],
}

#[derive(Debug, Default)]
struct Timeline {
    queue: BTreeMap<(i64, u64), Event>,
    number: u64,
}

fn small() -> ItemId {
    ItemId::new("A1").expect("an item")
}

/// Another slot with the goods of the first one.
fn second() -> ItemId {
    ItemId::new("A2").expect("an item")
}

/// The price is high enough to be paid at any store.
fn large() -> ItemId {
    ItemId::new("B1").expect("an item")
}

fn price(item: &ItemId) -> Rupiah {
    Rupiah::new(if *item == large() { 15_000 } else { 5_000 }).expect("an amount")
}

/// What Midtrans is like in this seed, and who is there.
struct Chances {
    options: Options,
    by_itself: u32,
    thief: bool,
    alien: bool,
    odd: Option<Rng>,
}

impl Chances {
    fn draw(seed: u64, by_chance: bool, rng: &mut Rng) -> Self {
        let mut options = Options::new(SERVER_KEY, "https://midtrans.example");
        options.seed = seed;
        options.notification_urls = vec![format!("{PUBLIC_URL}/midtrans/notifications")];
        options.counter_expiry = COUNTER_EXPIRY;
        let (mut by_itself, mut thief, mut alien) = (0, false, false);
        let mut odd = (by_chance && seed % ODD == 1).then(|| Rng::new(seed ^ 0x0dd));
        if let Some(odd) = &mut odd {
            options.qr_string = odd.below(2) == 0;
            options.qr_code = options.qr_string;
            options.refund_key_life = REFUND_KEY_LIFE;
        }
        if by_chance {
            options.refunds = rng.below(4) > 0;
            options.refund_key_again = if rng.below(2) == 0 { KeyAgain::Conflict } else { KeyAgain::Replay };
            by_itself = if rng.below(3) == 0 { 2 } else { 0 };
            thief = rng.below(4) == 0;
            if rng.below(2) == 0 {
                options.fee = 1 + rng.below(FEE_MAX);
                options.fee_in_status = rng.below(2) == 0;
            }
            alien = rng.below(3) == 0;
            options.spelling = match rng.below(3) {
                0 => Spelling::Documented,
                1 => Spelling::Past,
                _ => Spelling::Capitals,
            };
            options.small_check_value = rng.below(4) == 0;
        }
        Self { options, by_itself, thief, alien, odd }
    }
}

impl World {
    fn new(seed: u64, fate: Fate, directory: &Path) -> Result<Self, NoDirectory> {
        for name in ["machine", "clone", "backend", "image", "backup", "copy"] {
            std::fs::create_dir_all(directory.join(name)).map_err(|source| NoDirectory::new(directory, source))?;
        }
        let jwks = jwk_set(&[key().to_public_jwk(ISSUER), desk::public_key(), commands::viewer_public_key()]);
        let keys = KeySet::from_jwks(&jwks).expect("our own keys");
        let mut rng = Rng::new(seed);
        let Chances { options, by_itself, thief, alien, odd } = Chances::draw(seed, matches!(fate, Fate::Chance), &mut rng);
        let has_broker = !matches!(fate, Fate::Chance) || !seed.is_multiple_of(WITHOUT_BROKER);
        let fee_max = if options.fee > 0 { FEE_MAX } else { 0 };
        let places = ["machine", "clone", "backend"].map(|name| directory.join(name));
        let disk = |at: usize| Disk::at(&places[at]).map_err(|source| NoDirectory::new(directory, source));
        let disks = [disk(0)?, disk(1)?, disk(2)?];
        let slots = stock::Slots::new(seed, matches!(fate, Fate::Chance));
        let copies = copies::Copies::new(seed, matches!(fate, Fate::Chance));
        let second_tries = second_tries::SecondTries::new(seed, fate.play(), copies.are_made());
        let by_itself = second_tries.refunds_by_itself.unwrap_or(by_itself);
        let same = same_goods::SameGoods::new(seed, matches!(fate, Fate::Chance) && slots.are_counted());
        let other = other_goods::OtherGoods::new(seed, matches!(fate, Fate::Chance) && slots.are_counted());
        let chutes = chutes::Chutes::new(seed, matches!(fate, Fate::Chance), slots.are_counted());
        let mut world = Self {
            directory: directory.into(),
            places,
            rng,
            odd,
            fate,
            now: 0,
            timeline: Timeline::default(),
            trace: String::new(),
            counts: Counts::default(),
            failure: None,
            storm: true,
            heals_at: STORM,
            keys,
            items: same.items([small(), large()]).into_iter().map(|item| (item.clone(), price(&item))).collect(),
            machines: Default::default(),
            relays: Default::default(),
            alive: [true, false],
            ledgers: relay::Ledgers::default(),
            merchant: merchant::SimulatedMerchant::new(by_itself, fee_max, second_tries.rules()),
            gateway: asking::Gateway::new(Midtrans::new(options), alien),
            broker: broker::Broker::default(),
            network: broker::Network { has_broker, ..broker::Network::default() },
            people: people::People::default(),
            thief: thief::Thief { is_here: thief, ..thief::Thief::default() },
            words: relay_keys::Words::default(),
            losses: Losses::default(),
            owed: owed::Owed::default(),
            copies,
            desk: Desk::default(),
            commands: Default::default(),
            reports: Default::default(),
            slots,
            doors: door::Doors::new(seed),
            second_tries,
            same,
            other,
            chutes,
            disks,
        };
        if !has_broker {
            world.counts.note(Kind::NoBroker);
        }
        world.start_relay(0);
        world.start_merchant();
        world.start_machine(0, true);
        Ok(world)
    }

    fn begin_storm(&mut self) {
        self.plan(2_000, STORM - 200_000, 20_000, 160_000, |_| Event::Vends);
        self.plan(1_000, STORM, 2_000, 34_000, |_| Event::Mischief);
        self.plan(60_000, STORM, 30_000, 120_000, |_| Event::MerchantLooks);
        // Some merchants do nothing about refunds that are due.
        if self.one_in(2) {
            self.plan(STORM + 600_000, STORM + HEALED.0 - 3_600_000, 300_000, 1_500_000, |_| Event::MerchantLooks);
        }
        self.plan(30_000, STORM, 60_000, 600_000, |_| Event::Sets);
        self.at(STORM + 600_000, Event::Sets);
        self.plan(45_000, STORM, 60_000, 250_000, |_| Event::Commands(None));
        self.at(STORM + 700_000, Event::Commands(None));
        // The customers who come when all is well have bought by then. Two updates in a row, of which the last one hangs, have their
        // ends in the time that is left.
        let late = STORM + computer::LATE;
        self.plan(late, late + 3_600_000, 600_000, 1_800_000, |_| Event::Commands(None));
        self.plan(90_000, STORM, 100_000, 600_000, |_| Event::Holds);
        self.plan(late, late + 3_600_000, 900_000, 1_800_000, |_| Event::Holds);
        if self.slots.are_counted() {
            (1_000..late + 3_600_000).step_by(130_000).for_each(|at| self.at(at, Event::Fills));
            (61_000..late + 3_600_000).step_by(390_000).for_each(|at| self.at(at, Event::Door(0, events::door::DoorAction::Opens)));
        }
        if self.other.are_brought() {
            (25_000..STORM - 200_000).step_by(110_000).for_each(|at| self.at(at, Event::OtherGoods));
        }
        self.at(STORM, Event::Heals);
    }

    fn live(&mut self, over: i64) {
        while self.failure.is_none() {
            self.check_disks();
            let next = self.timeline.queue.first_key_value().map_or(i64::MAX, |((at, _), _)| *at);
            // The backend runs by itself until then, and may do something that changes the next events.
            if !self.merchant_runs_until(next.min(over)) {
                continue;
            }
            let Some(first) = self.timeline.queue.first_entry().filter(|first| first.key().0 <= over) else { break };
            let ((at, _), event) = first.remove_entry();
            self.now = self.now.max(at);
            self.happen(event);
        }
    }

    /// A system that was installed late may not have proven itself by now. Then its computer still restarts, and its programs have told
    /// nobody the last news.
    fn lives_until_systems_rest(&mut self) {
        let mut over = self.heals_at + HEALED.0;
        for _ in 0..RESTS {
            if self.machines.iter().all(|machine| machine.computer.runs_good_system() && machine.off_until + REST < over) {
                return;
            }
            over += REST;
            self.live(over);
        }
    }

    /// Repeats an event between the two times. Two of them are apart by the given pause and up to the given time more.
    fn plan(&mut self, from: i64, until: i64, least: i64, more: i64, event: impl Fn(i64) -> Event) {
        let mut at = from;
        while at < until {
            self.at(at, event(at));
            at += least + self.below(more);
        }
    }

    fn happen(&mut self, event: Event) {
        self.acts(&event);
        match event {
            Event::Machine(m, arrival) => self.machine_arrival(m, arrival),
            Event::Relay(m, arrival) => self.relay_arrival(m, arrival),
            Event::Computer(m, arrival) => self.computer_arrival(m, arrival),
            Event::Merchant(arrival) => self.merchant_arrival(arrival),
            Event::MidtransDue if self.gateway.due_at.is_some_and(|at| at <= self.now) => {
                self.gateway.due_at = None;
                self.send_notices();
            }
            Event::Pays { payload, force } => self.pays(&payload, force),
            Event::PaysAtStore { code, force } => self.pays_at_store(code, force),
            Event::Reverses(code) => self.reverses(&code),
            Event::Collects { code, tries } => self.collects(code, tries),
            Event::Vends => self.vend(),
            // An operator reaches a machine over the broker.
            Event::Sets | Event::Commands(_) | Event::Clears if !self.network.has_broker => {}
            Event::Sets => self.wants_another_price(),
            Event::Holds => {
                let m = self.below_usize(2);
                if self.one_in(2) { self.installs_by_itself(m) } else { self.hold(m) }
            }
            Event::Fills => (0..2).for_each(|m| {
                self.fills(m);
                self.fills_second(m);
            }),
            Event::OtherGoods => self.brings_other_goods(),
            Event::AtSlot(what) => self.acts_at_slot(what),
            Event::Door(m, step) => self.at_the_door(m, step),
            Event::Tries(m, request) => self.tries_again(m, request),
            Event::PressesAgain(m, item) => self.presses_again(m, item),
            Event::Wishes(order) => self.wishes(&order),
            Event::TellsNumber(order, number, to_a_person) => self.tells_number(&order, number, to_a_person),
            Event::Complains(order) => self.complains(order),
            Event::Clears => self.wants_it_cleared(),
            Event::Commands(None) => self.wants_something_done(),
            Event::Commands(Some(number)) => self.sends_command(number),
            Event::Asks(body) => self.broker_takes(Topic::VendRequest, body.into()),
            Event::BuysAgain(number) => self.buys_again(number),
            Event::Repeats(body) => {
                self.counts.note(Kind::Repeated);
                self.ask_for(&body);
            }
            Event::Cancels(request) => self.cancel(request),
            Event::MerchantLooks => self.merchant_checks(),
            Event::Heals => self.heal(),
            Event::Falls(who) => self.falls(who, who.place()),
            Event::Flips => self.flip(),
            Event::Mischief => self.mischief(),
            Event::PowerCut(m) if self.storm && self.alive[m] => self.cut_power(m),
            // Something else became due before Midtrans. If each of these planned another one, there would be more and more.
            Event::MidtransDue | Event::PowerCut(_) => {}
            Event::DiskWorks(place, name) => self.disks[place].set(name, None),
            Event::Scrapped => self.scrap_one(),
            Event::Reconciles => self.reconcile(),
            Event::MoneyIsOwed => self.judge_owed(),
            Event::Robs(order, step) => self.robs(order, step),
            Event::Restores => self.restores(),
            Event::TellsOldWord => self.tells_old_word(),
            Event::WantsMoney(order) => self.wants_money(order),
            Event::AtDashboard(order, how) => self.refunds_a_try(order, how),
            Event::Reconnects => self.reconnect(),
            Event::ClockIsSet(m) => self.machines[m].wall_off = 0,
            Event::Ends(outage) => self.outage_ends(outage),
        }
        self.check_midtrans();
    }

    fn outage_ends(&mut self, outage: Outage) {
        self.network.cut[outage as usize] = false;
        if matches!(outage, Outage::Clock) {
            self.merchant.clock_ahead.store(0, Ordering::Relaxed);
        }
        if matches!(outage, Outage::Broker) {
            let m = self.some_machine();
            self.connect_broker(m, 100);
        }
    }

    fn check_midtrans(&mut self) {
        let Some(due) = self.gateway.midtrans.next_due() else { return };
        let at = (due.0 - BEGIN).max(self.now);
        if self.gateway.due_at.is_none_or(|known| at < known) {
            self.gateway.due_at = Some(at);
            self.at(at, Event::MidtransDue);
        }
    }

    // Time, chance, notes.

    fn wall(&self) -> Wall {
        Wall(BEGIN + self.now)
    }

    fn at(&mut self, at: i64, event: Event) {
        self.timeline.number += 1;
        self.timeline.queue.insert((at.max(self.now), self.timeline.number), event);
    }

    fn after(&mut self, span: i64, event: Event) {
        self.at(self.now + span, event);
    }

    fn below(&mut self, n: i64) -> i64 {
        i64::try_from(self.rng.below(u64::try_from(n).unwrap_or(1))).unwrap_or(0)
    }

    fn below_usize(&mut self, n: usize) -> usize {
        usize::try_from(self.rng.below(n as u64)).unwrap_or(0)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.rng.below(n) == 0
    }

    /// Does an odd Midtrans, or who deals with it, do this now? Elsewhere nobody does.
    fn oddly(&mut self, one_in: u64) -> bool {
        self.odd.as_mut().is_some_and(|odd| odd.below(one_in) == 0)
    }

    fn count(&mut self, what: Kind, text: &str) {
        self.counts.note(what);
        self.note(|| text.to_owned());
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        use std::fmt::Write as _;
        let at = self.now;
        // A String takes whatever is written.
        let _ = writeln!(self.trace, "{:>9}.{:03} {}", at / 1000, at % 1000, text());
    }

    /// The program with this database writes to the journal. The path of its files differs in each run, and so does
    /// the name of a stream.
    fn note_journal(&mut self, who: &str, database: &'static str, event: &Journal) {
        // The schema refuses what must never be. Only a fault of the program's own rules comes that far, or one of the disk.
        if matches!(event, Journal::StoreFailing { .. }) && self.strike().is_none() && !self.losses.is_harmed(database) {
            self.fail(format!("{database} refuses what {who} writes: {event}"));
        }
        let line = event.to_string();
        let differs = line.contains(&*self.directory.to_string_lossy()) || line.contains("it is for the stream");
        self.note(|| format!("journal of {who}: {}", if differs { event.kind().subject } else { &line }));
    }

    fn fail(&mut self, why: String) {
        self.note(|| format!("FAILED: {why}"));
        self.failure.get_or_insert(why);
    }
}
