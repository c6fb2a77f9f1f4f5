//! Every order of events is tried: the decisions of machine, relay and backend under an exhaustive search.
//!
//! The product's own code decides, called as it is: `order::machine` (`apply`, `duty`, `next_deadline`, `restarted`),
//! `order::ledger` (`prepare`, `admit`, `after_restart`), `order::merchant` (`apply`, `duty`, `wants_another`,
//! `next_attempt`), and the functions that read answers (`device::machine::relay_event`, `seen_of`,
//! `backend::view::resource`). The rest is modelled here: who calls whom, and what is lost. The modelled [`World`] is so
//! small that a search can look at all of it.
//!
//! Time is abstract. Each program has a clock of its own, and the clocks run independently. A clock moves by a jump to the
//! next deadline of an order. It may jump at any moment, whatever is on the way. Pauses between retries and polls have no
//! length: each may end at any moment. Counters that only make such pauses longer stand still. A message arrives at any
//! later moment, in any order, and that costs no budget. On each channel a message may be lost, doubled, or so late that its
//! receiver has given up; each of these uses the budget of the channel.

mod backend;
mod calls;
mod found;
mod machine;
mod message;
mod midtrans;
mod properties;
mod reduce;
mod relay;
mod scenarios;
mod search;
mod shelf;
mod steps;
#[cfg(test)]
mod tests;
mod timeless;
mod walk;
mod wild;

pub use found::{Counts, Found, Verdict};
pub use scenarios::{Among, Effort, Scenario, scenarios};
pub use search::search;
pub use walk::{Walked, walk};

use message::{Caller, Ended, HttpAsk, HttpSay, Message, MidtransCall, MidtransSay, NoticeWord, RelayAsk, RelaySay, Word};
use qris_core::order::ids::{DeviceId, ItemId, OrderId, RequestId, Ticket};
use qris_core::order::machine::Order as MachineOrder;
use qris_core::order::merchant::{Order as MerchantOrder, Rules as MerchantRules};
use qris_core::order::money::Rupiah;
use qris_core::order::receipt::SigningKey;
use qris_core::order::time::Span;
use qris_core::wire::orders::Order as Resource;
use shelf::{Map, Parts, Shelf};
use std::cell::RefCell;

/// The highest number of requests.
const ORDERS: usize = 2;
/// The highest number of order ids behind one request. More than that would need more faults than any scenario has.
const ATTEMPTS: usize = 3;
/// The highest number of charges.
const CHARGES: usize = ORDERS * ATTEMPTS;
/// The highest number of tickets of one request: one for each try of the message that asks.
const TICKETS_EACH: usize = 4;
/// The highest number of tickets.
const TICKETS: usize = ORDERS * TICKETS_EACH;

/// A program that can crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `qrisd`
    Machine,
    /// `qris-relayd`
    Relay,
    /// `qris-backend`
    Backend,
}

/// The two ends of a message's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Channel {
    /// `qrisd` and `qris-relayd`: D-Bus.
    Bus,
    /// `qrisd` and `qris-backend`: HTTP.
    Http,
    /// `qris-backend` to `qrisd`: MQTT.
    Push,
    /// `qris-backend` and Midtrans: HTTP.
    Midtrans,
    /// Midtrans to `qris-backend`: notifications.
    Notice,
}
const CHANNELS: usize = 5;

/// The whole state at one moment. It is small. Two of them are equal if their futures could not differ.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    machine: machine::Machine,
    relay: relay::Relay,
    backend: backend::Backend,
    midtrans: midtrans::Midtrans,
    /// The messages on their way, sorted.
    wire: Vec<Message>,
    left: Budget,
    /// For each charge: how often the line was driven for it.
    pulses: [u8; CHARGES],
    /// A pulse without a settlement.
    stolen: bool,
}

/// The faults and acts that may still happen. Each has a number of times, or [`ANY`] number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Crashes of each program.
    pub crashes: [u8; 3],
    /// Crashes in all.
    pub crashes_in_all: u8,
    /// Messages lost, doubled or too late, on each channel.
    pub faults: [u8; CHANNELS],
    /// Cancels by customer or controller, for each request.
    pub cancels: [u8; ORDERS],
    /// Payments of a charge that was ended: denied, cancelled, expired.
    pub late_payments: u8,
    /// Payments that Midtrans denies.
    pub denials: u8,
    /// Charges that Midtrans denies, so that another order_id may have more success.
    pub charge_denials: u8,
    /// Settlements for another sum than the charge.
    pub mismatches: u8,
    /// Items that the sensor does not see.
    pub jams: u8,
    /// Ledgers that are lost when the relay crashes.
    pub ledgers: u8,
    /// Refunds that the merchant makes directly at Midtrans, without the backend.
    pub refunds: u8,
}

/// In a [`Budget`]: any number of times. It is not counted, so equal worlds stay equal however often it happened.
const ANY: u8 = 3;
/// The same for crashes in all.
const ANY_IN_ALL: u8 = 7;

/// Takes one from the rest.
fn spend(left: &mut u8) {
    if *left != ANY {
        *left -= 1;
    }
}

/// A deliberate fault in the modelled parts. It shows that the search finds such a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The line is driven before that is written.
    PulseBeforeCommit,
    /// A receipt opens the relay again, whatever the ledger says.
    NoLedger,
    /// `Close` is answered and not done.
    CloseForgets,
    /// A `Close` without an answer is taken for done.
    SilenceIsClosed,
    /// An answer of Midtrans is believed for a notification that came after the question.
    OldAnswerCounts,
}

/// The values behind the numbers in a [`World`], and the results of the product's functions for them.
struct Lab {
    machine: RefCell<Shelf<MachineOrder>>,
    merchant: RefCell<Shelf<MerchantOrder>>,
    resources: RefCell<Shelf<Resource>>,
    /// The outside view of each merchant's order.
    told: RefCell<Map<u32, u32>>,
    machine_steps: RefCell<Map<machine::StepKey, u32>>,
    merchant_steps: RefCell<Map<backend::StepKey, backend::Stepped>>,
    waits: RefCell<Map<backend::StepKey, u32>>,
    refundable: RefCell<Map<u32, bool>>,
    duties: RefCell<Map<machine::DutyKey, machine::Wanted>>,
    renamed: RefCell<Map<(u32, u8), u32>>,
    stretched: RefCell<Map<u32, u32>>,
    timeless: RefCell<Map<u32, u32>>,
    calmed: RefCell<Map<(u32, bool, bool, bool), u32>>,
    buried: RefCell<Map<u32, u32>>,
    parts: Everything,
    flaw: Option<Flaw>,
    /// Worlds that are equivalent are merged.
    reduces: bool,
    /// Any message may be lost, doubled or late, any number of times: see [`Budget::is_wild`].
    wild: bool,
    /// See [`Scenario::others`].
    others: bool,
    rules: MerchantRules,
    late_payments: u8,
    seen: RefCell<Counts>,
}

/// The five parts of a world, by number.
struct Everything {
    machines: Parts<machine::Machine>,
    relays: Parts<relay::Relay>,
    backends: Parts<backend::Backend>,
    outsides: Parts<(midtrans::Midtrans, [u8; CHARGES], bool)>,
    /// All messages on their way, except the strays.
    wires: Parts<Vec<Message>>,
    /// Each stray by itself.
    strays: Parts<Message>,
}

/// A world without the rest of its budget and without strays, exactly.
type Key = [u32; 5];

/// Messages whose answer nobody waits for any more, by number. In a wild network these are also the answers to a call that
/// waits. Each may arrive at any time, or never. So a world with more of them can do all that the same world with fewer can
/// do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Strays([u64; 6]);

impl Strays {
    const MAX: u32 = 384;

    fn with(self, number: u32) -> Self {
        assert!(number < Self::MAX, "a scenario with more kinds of strays than fit");
        let mut all = self;
        all.0[(number / 64) as usize] |= 1 << (number % 64);
        all
    }

    fn numbers(self) -> impl Iterator<Item = u32> {
        (0..Self::MAX).filter(move |number| self.0[(number / 64) as usize] >> (number % 64) & 1 == 1)
    }

    fn joined(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at] | other.0[at]))
    }

    /// Are all of `other` among these?
    fn covers(self, other: Self) -> bool {
        self.0.iter().zip(other.0).all(|(mine, theirs)| theirs & !mine == 0)
    }
}

impl Everything {
    fn new() -> Self {
        Self {
            machines: Parts::new(),
            relays: Parts::new(),
            backends: Parts::new(),
            outsides: Parts::new(),
            wires: Parts::new(),
            strays: Parts::new(),
        }
    }

    /// The memory that they take, about. Each is kept twice: once by number and once for look-up.
    fn bytes(&self) -> usize {
        let wires = 2 * self.wires.len() * (size_of::<Vec<Message>>() + 4 * size_of::<Message>());
        let machines = 2 * self.machines.len() * size_of::<machine::Machine>();
        let relays = 2 * self.relays.len() * size_of::<relay::Relay>();
        let backends = 2 * self.backends.len() * size_of::<backend::Backend>();
        wires + machines + relays + backends
    }

    /// `wild`: the possible answers to a call are strays, too.
    fn put(&self, world: &World, wild: bool) -> (Key, Strays) {
        let kept = |message: &Message| message.is_live() && !(wild && message.may_be_many());
        let (wire, strays): (Vec<Message>, Vec<Message>) = world.wire.iter().partition(|message| kept(message));
        let strays = strays.iter().fold(Strays::default(), |all, message| all.with(self.strays.put(message)));
        let outside = (world.midtrans.clone(), world.pulses, world.stolen);
        let key = [
            self.machines.put(&world.machine),
            self.relays.put(&world.relay),
            self.backends.put(&world.backend),
            self.outsides.put(&outside),
            self.wires.put(&wire),
        ];
        (key, strays)
    }

    fn get(&self, key: Key, strays: Strays, left: Budget) -> World {
        let [machine, relay, backend, outside, wire] = key;
        let (midtrans, pulses, stolen) = self.outsides.get(outside);
        let mut wire = self.wires.get(wire);
        wire.extend(strays.numbers().map(|number| self.strays.get(number)));
        wire.sort_unstable();
        World {
            machine: self.machines.get(machine),
            relay: self.relays.get(relay),
            backend: self.backends.get(backend),
            midtrans,
            wire,
            left,
            pulses,
            stolen,
        }
    }
}

const ISSUER: &str = "pay.example";

impl Lab {
    fn new(scenario: &Scenario) -> Self {
        let Scenario { budget, flaw, reduces, others, .. } = scenario;
        let rules = MerchantRules {
            issuer: ISSUER.into(),
            keys: vec![SigningKey::from_seed([7; 32])],
            max_imposed_fee: 0,
            reversal_window: Span::secs(300),
            collect_within: Span::secs(72 * 3600),
        };
        Self {
            machine: RefCell::new(Shelf::new()),
            merchant: RefCell::new(Shelf::new()),
            resources: RefCell::new(Shelf::new()),
            told: RefCell::default(),
            machine_steps: RefCell::default(),
            merchant_steps: RefCell::default(),
            waits: RefCell::default(),
            refundable: RefCell::default(),
            duties: RefCell::default(),
            renamed: RefCell::default(),
            stretched: RefCell::default(),
            timeless: RefCell::default(),
            calmed: RefCell::default(),
            buried: RefCell::default(),
            parts: Everything::new(),
            flaw: *flaw,
            reduces: *reduces,
            wild: *reduces && budget.is_wild(),
            others: *others,
            rules,
            late_payments: budget.late_payments,
            seen: RefCell::default(),
        }
    }
}

impl Lab {
    /// For another search in which the same numbers stand for the same orders.
    fn of(self, scenario: &Scenario) -> Self {
        let Scenario { budget, others, .. } = scenario;
        let wild = self.reduces && budget.is_wild();
        Self { wild, others: *others, late_payments: budget.late_payments, seen: RefCell::default(), ..self }
    }
}

fn device() -> DeviceId {
    DeviceId::new("vm-001").expect("an id")
}

fn item() -> ItemId {
    ItemId::new("A1").expect("an item")
}

fn price() -> Rupiah {
    Rupiah::new(5_000).expect("an amount")
}

fn request_id(order: u8) -> RequestId {
    RequestId::new(&format!("r{order}")).expect("an id")
}

/// The name of a charge: the request's first order_id, then `-2`, `-3`.
fn order_id(charge: u8) -> OrderId {
    let (order, attempt) = (order_of(charge), usize::from(charge) % ATTEMPTS + 1);
    let name = if attempt == 1 { format!("o{order}") } else { format!("o{order}-{attempt}") };
    OrderId::new(&name).expect("an id")
}

fn charge_of(id: &OrderId) -> u8 {
    let all = 0..u8::try_from(CHARGES).expect("few");
    all.into_iter().find(|charge| order_id(*charge) == *id).expect("a name that the model gave")
}

fn order_of(charge: u8) -> u8 {
    charge / u8::try_from(ATTEMPTS).expect("few")
}

fn ticket(number: u8) -> Ticket {
    Ticket::from_random([number; 16])
}

fn ticket_number(ticket_: &Ticket) -> u8 {
    let all = 0..u8::try_from(TICKETS).expect("few");
    all.into_iter().find(|number| ticket(*number) == *ticket_).expect("a ticket that the model gave")
}
