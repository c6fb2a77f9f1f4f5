//! Seven days without the broker. The machine sells at its own board, and every kind of end happens to many items. Then all reports
//! together say what the backend's books say.

use super::super::fate::Fate;
use super::super::{Outage, World};
use crate::rng::Rng;
use qris_backend::sale::books::{self, BooksError};
use qris_backend::store::Tx;
use qris_core::order::ids::{ItemId, OrderId, RequestId};
use qris_core::order::merchant::{Order, State};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::{Delivery, Outcome};
use qris_core::order::reason::Reason;
use qris_core::wire::telemetry::{Ended, Measured, Telemetry};
use qris_core::wire::topics::Topic;
use qris_core::wire::vend::{EventState, read_sale};
use qris_device::words::Request;
use qris_relay::outlet::Ending;
use std::collections::{BTreeMap, BTreeSet};

/// In this seed Midtrans makes refunds.
const SEED: u64 = 3;
const WEEK: i64 = 7 * 86_400_000;
const ORDERS: u64 = 400;
const ITEMS: u64 = 120;
/// The time from one order to the next, in milliseconds.
const EACH: i64 = WEEK / ORDERS as i64;
/// The most rows that a machine keeps.
const ROWS: usize = 200;
/// An order that nobody paid. The books do not name the ways as the machine does.
const UNPAID: End = (EventState::Cancelled, None);

/// An order whose money went back, as the machine has heard.
const REFUNDED: End = (EventState::Refunded, None);

/// What became of an order, and why.
type End = (EventState, Option<Reason>);
/// Orders, and their prices together, by what became of them.
type Sums = BTreeMap<End, (i64, i64)>;

/// The world, and everything that somebody at the broker hears of reports.
struct Week {
    world: World,
    rng: Rng,
    /// The time until now, in milliseconds.
    at: i64,
    heard: Vec<Telemetry>,
    /// How often the machine began anew.
    starts: u32,
    /// The orders whose money went back before the machine had heard the answer to its report.
    paid_back: BTreeSet<OrderId>,
}

impl Week {
    fn begin(place: &std::path::Path) -> Self {
        let mut world = World::new(SEED, Fate::Chance, place).expect("a directory");
        let more = (0..ITEMS).map(|n| (ItemId::new(&format!("I{n}")).expect("an item"), Rupiah::new(5_000 + 37 * n).expect("an amount")));
        world.items.extend(more);
        // What goes wrong is said here, and nothing else does.
        world.storm = false;
        world.heals_at = i64::MAX / 2;
        Self { world, rng: Rng::new(SEED), at: 0, heard: Vec::new(), starts: 0, paid_back: BTreeSet::new() }
    }

    fn below(&mut self, n: u64) -> i64 {
        i64::try_from(self.rng.below(n)).expect("small")
    }

    /// Lets this time go by, and listens at the broker.
    fn pass(&mut self, span: i64) {
        self.at += span;
        self.world.live(self.at);
        assert_eq!(self.world.failure, None);
        let heard = std::mem::take(&mut self.world.broker.overheard);
        let reports = heard.into_iter().filter(|(topic, _)| *topic == Topic::Telemetry);
        self.heard.extend(reports.map(|(_, payload)| serde_json::from_slice(&payload).expect("a report")));
    }

    /// The program is killed, and starts again.
    fn start(&mut self) {
        self.starts += 1;
        self.world.start_machine(0, true);
    }

    /// Waits until the line is driven, if it ever is.
    fn is_driven(&mut self) -> bool {
        (0..300).any(|_| {
            self.pass(400);
            self.world.relays[0].is_driving()
        })
    }

    /// Somebody orders. What goes wrong with it is drawn.
    fn order(&mut self, number: u64) {
        let until = self.at + EACH;
        let item = self.below(ITEMS);
        let body = format!(r#"{{"request_id":"r-{number}","item":"I{item}"}}"#);
        let request = read_sale(body.as_bytes()).expect("a request");
        self.world.ask_on_board(0, Request::Vend(request));
        match self.below(10) {
            // The item does not come, and a person sees to it.
            kind @ (0 | 1) if self.is_driven() => {
                self.world.nothing_came(0);
                let dispenser = self.world.relays[0].dispenser().expect("it runs");
                dispenser.ended(0, Ending { outcome: Outcome::Failed, detail: "it jams".into() });
                self.world.relay_effects(0);
                self.world.clear_line(0);
                if kind == 0 {
                    self.is_refunded_at_once(number);
                }
            }
            // The power goes in the middle of a pulse.
            2 | 3 if self.is_driven() => {
                self.starts += 1;
                self.world.cut_power(0);
            }
            // The program is killed at any moment.
            4 => {
                let span = self.below(60_000);
                self.pass(span);
                self.start();
            }
            5 => {
                let span = self.below(20_000);
                self.pass(span);
                self.world.ask_on_board(0, Request::Cancel(RequestId::new(&format!("r-{number}")).expect("an id")));
            }
            // It learns of the payment when it is too late.
            6 => {
                self.pass(3_000);
                self.world.network.cut[Outage::Http as usize] = true;
                self.pass(EACH - 100_000);
                self.world.network.cut[Outage::Http as usize] = false;
            }
            _ => {}
        }
        if self.below(8) == 0 {
            self.world.merchant_checks();
        }
        self.pass(until - self.at);
    }

    /// Midtrans gives the money back before the machine has heard the answer to its report. It reports once more, and hears of
    /// that.
    fn is_refunded_at_once(&mut self, number: u64) {
        let request = RequestId::new(&format!("r-{number}")).expect("an id");
        let id = self.orders().into_iter().find(|order| order.sale.purchase.request_id == request).expect("it is paid").id;
        let load =
            |week: &mut Self| week.world.books(|tx, _| books::load(tx, &id)).expect("the books can be read").expect("it is there").order;
        let is_told = (0..90_000).any(|_| {
            self.pass(1);
            load(self).delivery().is_some()
        });
        assert!(is_told, "{number} is never reported");
        self.world.network.cut[Outage::Http as usize] = true;
        self.start();
        self.world.merchant_decides(id.clone(), 0, false, true, false);
        self.pass(60_000);
        self.world.network.cut[Outage::Http as usize] = false;
        assert!(matches!(load(self).state, State::Refunded(_)), "{number}");
        self.paid_back.insert(id);
    }

    /// For this time reports come through, while connections and programs die just when one is on its way. It may have come all the
    /// same.
    fn reports(&mut self, span: i64) {
        // A report's acknowledgement takes 2 ms or more. So the machine does not have it yet.
        for _ in 0..span {
            let before = self.heard.len();
            self.pass(1);
            if self.heard.len() == before || self.below(3) > 0 {
                continue;
            }
            if self.below(2) == 0 {
                self.heard.pop();
            }
            self.world.drop_broker(false);
            if self.below(3) == 0 {
                self.start();
            } else {
                self.world.connect_broker(0, 500);
            }
        }
    }

    /// All orders of the books.
    fn orders(&mut self) -> Vec<Order> {
        let all = |tx: &mut dyn Tx| {
            let rows = tx.rows("SELECT order_id FROM orders", &[])?;
            let ids =
                rows.iter().map(|row| row.text("order_id").map(|id| OrderId::new(id).expect("an id"))).collect::<Result<Vec<_>, _>>()?;
            ids.iter().map(|id| Ok(books::load(tx, id)?.expect("it is there").order)).collect::<Result<_, BooksError>>()
        };
        self.world.books(|tx, _| all(tx)).expect("the books can be read")
    }
}

/// What the books say of an order. A machine does not hear of most refunds: for it they stay due.
fn told(order: &Order, paid_back: &BTreeSet<OrderId>) -> End {
    match (order.delivery(), &order.state) {
        (Some(_), State::Refunded(_)) if paid_back.contains(&order.id) => REFUNDED,
        (Some(told), _) => match told.outcome {
            Delivery::Dispensed => (EventState::Dispensed, None),
            Delivery::Failed | Delivery::Uncertain | Delivery::Undelivered => (EventState::RefundDue, told.reason),
            Delivery::Other(word) => panic!("an outcome of no release: {word:?}"),
        },
        (None, State::Closed(_)) => UNPAID,
        (None, state) => panic!("{} has no end: {state:?}", order.id),
    }
}

fn add(sums: &mut Sums, end: End, count: i64, amount: i64) {
    let sum = sums.entry(end).or_default();
    *sum = (sum.0 + count, sum.1 + amount);
}

#[test]
fn after_seven_days_without_the_broker_the_reports_agree_with_the_books() {
    let place = tempfile::tempdir().expect("a directory");
    let mut week = Week::begin(place.path());
    week.pass(60_000);
    week.order(0);
    week.world.drop_broker(true);
    week.world.broker.is_far = true;
    let before = week.heard.len();
    (1..=ORDERS).for_each(|number| week.order(number));
    assert!(week.at > WEEK && week.heard.len() == before, "nobody hears anything for a week");
    week.world.broker.is_far = false;
    week.world.connect_broker(0, 100);
    week.reports(1_500_000);
    let orders = week.orders();

    // They come in any order, and some of them twice. Each number is counted once.
    let numbers: BTreeSet<u64> = week.heard.iter().map(|report| report.number).collect();
    assert!(week.heard.len() > numbers.len() && numbers.len() > ROWS / 8);
    for last in (1..week.heard.len()).rev() {
        let other = week.rng.below(last as u64 + 1);
        week.heard.swap(last, usize::try_from(other).expect("small"));
    }
    let mut counted: BTreeMap<u64, &Telemetry> = BTreeMap::new();
    for report in &week.heard {
        let known = counted.entry(report.number).or_insert(report);
        assert_eq!((&known.ended, known.sums, known.measured), (&report.ended, report.sums, report.measured));
    }
    let (mut reported, mut joined, mut measured) = (Sums::new(), Sums::new(), Measured::default());
    for report in counted.values() {
        measured.add(&report.measured);
        for Ended { item, state, reason, count, amount } in &report.ended {
            let end = if is_unpaid(*state) { UNPAID } else { (*state, *reason) };
            add(&mut reported, end, *count, *amount);
            if &**item == "*" {
                add(&mut joined, end, *count, *amount);
            }
        }
    }

    let (mut wanted, mut kinds) = (Sums::new(), BTreeSet::new());
    for order in &orders {
        let end = told(order, &week.paid_back);
        add(&mut wanted, end, 1, i64::try_from(order.sale.purchase.amount.get()).expect("small"));
        kinds.insert((order.sale.purchase.item.clone(), end));
    }
    assert_eq!(reported, wanted, "to the rupiah");
    assert_eq!(wanted.values().map(|(count, _)| *count).sum::<i64>(), 1 + i64::try_from(ORDERS).expect("small"));
    let due = [Reason::Failed, Reason::Uncertain, Reason::Late].map(|reason| (EventState::RefundDue, Some(reason)));
    for end in [(EventState::Dispensed, None), UNPAID, REFUNDED].into_iter().chain(due) {
        assert!(joined.contains_key(&end) && wanted[&end].0 > joined[&end].0, "{end:?}: some are joined, and some are not");
    }
    assert!(kinds.len() > ROWS && orders.iter().any(|order| matches!(order.state, State::Refunded(_))));
    let last = counted.last_key_value().expect("a report").1.sums;
    let all_due = due.into_iter().fold((0, 0), |(count, amount), end| (count + wanted[&end].0, amount + wanted[&end].1));
    assert_eq!((last.dispensed, last.dispensed_amount), wanted[&(EventState::Dispensed, None)]);
    assert_eq!((last.refunded, last.refunded_amount), wanted[&REFUNDED]);
    assert_eq!((last.refund_due, last.refund_due_amount, last.unpaid), (all_due.0, all_due.1, wanted[&UNPAID].0));

    // A wait whose beginning an earlier run of the program saw is not measured. No other is missing.
    let events: Vec<EventState> = week.world.broker.reported_by_stream().flat_map(|(_, told)| told).map(|event| event.state).collect();
    for (waits, end) in [(measured.qr_ms, EventState::AwaitingPayment), (measured.delivery_ms, EventState::Dispensed)] {
        let (waits, all) = (waits.iter().sum::<u32>(), u32::try_from(events.iter().filter(|state| **state == end).count()).expect("small"));
        assert!(waits <= all && all <= waits + week.starts, "{waits} waits of {all}, {} starts", week.starts);
    }
}

const fn is_unpaid(state: EventState) -> bool {
    match state {
        EventState::Cancelled | EventState::Expired | EventState::Denied | EventState::Failed => true,
        EventState::Dispensed | EventState::RefundDue | EventState::Refunded => false,
        EventState::Requested
        | EventState::AwaitingPayment
        | EventState::AwaitingCollection
        | EventState::Cancelling
        | EventState::Paid
        | EventState::Dispensing
        | EventState::TryingAgain
        | EventState::Refused
        | EventState::Other(_) => panic!("no end of an order"),
    }
}
