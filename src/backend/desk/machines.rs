//! The machines for the desk: how each is, what it sold today, what its screen shows, and what is in it.

use super::Desk;
use super::answer::No;
use super::places::Place;
use super::today::{and, is_sold};
use crate::machines::reported::{self, Is, Noted};
use crate::machines::stock::{self, Kept, Load as Loaded, Machine, Packing, Wanting, Which};
use crate::machines::{devices, handle::Machines};
use crate::sale::books;
use crate::sale::view::desk as view;
use qris_core::order::ids::DeviceId;
use qris_core::order::merchant::Order;
use qris_core::order::time::{Told, Wall, Zone};
use qris_core::wire::desk::{Load, MachineLine, ROWS, Screen, SlotLine, Sum, ToBring, Trouble};
use qris_core::wire::status::FaultCode;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The machines as they were noted last, whichever process heard them.
#[derive(Debug, Default)]
pub struct FleetSnapshot {
    /// What they say is heard.
    hears: bool,
    let_in: Vec<DeviceId>,
    noted: HashMap<Box<str>, Noted>,
    wanting: BTreeMap<Box<str>, Wanting>,
}

impl FleetSnapshot {
    pub async fn read(machines: &Machines) -> Result<Self, No> {
        let hears = machines.is_hearing();
        let known = machines.read(move |tx| {
            let mut let_in: Vec<_> = devices::let_in(tx)?.into_iter().collect();
            let_in.sort();
            Ok(Self { hears, let_in, noted: reported::noted(tx)?, wanting: stock::wanting(tx)? })
        });
        Ok(known.await?)
    }

    /// How many are let in.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.let_in.len() as u64
    }

    #[must_use]
    pub fn has(&self, device: &DeviceId) -> bool {
        self.let_in.contains(device)
    }

    #[must_use]
    pub fn version(&self, device: &DeviceId) -> Option<Box<str>> {
        let facts = self.noted.get(device.as_str())?.facts.as_ref()?;
        Some(facts.version.clone()).filter(|version| !version.is_empty())
    }

    fn name(&self, device: &DeviceId) -> Option<&str> {
        self.noted.get(device.as_str())?.facts.as_ref()?.name.as_deref()
    }

    /// The one machine that a person means: by its id, its name, or a part of its name.
    #[must_use]
    pub fn meant(&self, words: &str) -> Option<DeviceId> {
        let words = words.to_lowercase();
        let name = |device: &DeviceId| self.name(device).map(str::to_lowercase).unwrap_or_default();
        let one = |is: &dyn Fn(&DeviceId) -> bool| {
            let mut all = self.let_in.iter().filter(|device| is(device));
            all.next().filter(|_| all.next().is_none()).cloned()
        };
        one(&|device| device.as_str().to_lowercase() == words)
            .or_else(|| one(&|device| name(device) == words))
            .or_else(|| one(&|device| name(device).contains(&words)))
    }

    /// The machine whose whole id or name stands in what a person typed, and the rest of that. Of several the longest is meant.
    #[must_use]
    pub fn named_in(&self, typed: &str) -> Option<(DeviceId, String)> {
        let typed: Vec<&str> = typed.split_whitespace().collect();
        let words = |text: &str| text.split_whitespace().map(|word| word.trim_matches(['"', ',']).to_lowercase()).collect::<Vec<_>>();
        let lower = words(&typed.join(" "));
        let place = |name: &str| {
            // A number alone is a sum, or a time.
            let name = Some(words(name)).filter(|_| name.contains(char::is_alphabetic))?;
            Some((name.len(), lower.windows(name.len()).position(|window| *window == *name)?))
        };
        let named = |device: &DeviceId| [Some(device.as_str()), self.name(device)].into_iter().flatten().filter_map(place).max();
        let mut all: Vec<_> = self.let_in.iter().filter_map(|device| Some((named(device)?, device))).collect();
        all.sort();
        let ((length, at), device) = all.pop()?;
        let rest = [&typed[..at], &typed[at + length..]].concat().join(" ");
        all.last().is_none_or(|((other, _), _)| *other < length).then(|| (device.clone(), rest))
    }

    /// All machines, with what they sold today.
    #[must_use]
    pub fn lines(&self, sold: &HashMap<Box<str>, Sum>, zone: Zone) -> Vec<MachineLine> {
        self.let_in.iter().map(|device| self.line(device, sold, zone)).collect()
    }

    #[must_use]
    pub fn line(&self, device: &DeviceId, sold: &HashMap<Box<str>, Sum>, zone: Zone) -> MachineLine {
        let noted = self.noted.get(device.as_str());
        let facts = noted.and_then(|noted| noted.facts.as_ref());
        let mut faults: Vec<_> = facts.iter().flat_map(|facts| facts.faults.iter().copied()).collect();
        let topics = noted.iter().filter_map(|noted| noted.silent.as_ref()).flatten();
        let topics = topics.map(|topic| topic.tail().into()).collect();
        let Wanting { low, sold_out, suspect, blocked, price, uncounted, of } =
            self.wanting.get(device.as_str()).cloned().unwrap_or_default();
        // Its slots are told sooner than its faults.
        for (number, fault) in [(blocked, FaultCode::LineBlocked), (price, FaultCode::Prices)] {
            if number > 0 && !faults.contains(&fault) {
                faults.push(fault);
            }
        }
        let and_more = |goods: Option<Box<str>>, number: u64| goods.map(|goods| (goods, number.saturating_sub(1)));
        // The fault names all of them.
        let by_fault = facts.and_then(|facts| facts.blocked.clone()).map(|all| (all, 0));
        let stands = match noted.map(|noted| noted.is) {
            Some(Is::There(since)) => Some((true, since)),
            Some(Is::Missing(since)) => Some((false, since)),
            Some(Is::Unknown) | None => None,
        };
        let is_silent = stands.is_some_and(|(is_there, _)| !is_there);
        // That one is there, or off, is known as long as one would hear that it goes, or comes.
        let stands = stands.filter(|_| self.hears || is_silent);
        let off_since = noted.filter(|_| self.hears).and_then(Noted::off_since);
        let trouble = [
            (Trouble::Silent, is_silent),
            (Trouble::Faulty, !faults.is_empty()),
            (Trouble::Suspect, suspect > 0),
            (Trouble::SoldOut, sold_out > 0),
            (Trouble::Low, low > 0),
        ];
        MachineLine {
            device: device.clone(),
            name: self.name(device).map(Into::into),
            is_there: stands.map(|(is_there, _)| is_there),
            since: time(stands.map(|(_, since)| since), zone),
            off_since: time(off_since, zone),
            trouble: trouble.into_iter().filter_map(|(trouble, is_so)| is_so.then_some(trouble)).collect(),
            faults,
            blocked: by_fault.or_else(|| and_more(of.blocked, blocked)),
            price_of: and_more(of.price, price),
            uncounted: and_more(of.uncounted, uncounted),
            suspect: and_more(of.suspect, suspect),
            sold_out: and_more(of.sold_out, sold_out),
            low: and_more(of.low, low),
            topics,
            sold: sold.get(device.as_str()).copied().unwrap_or_default(),
            to_fill: low + sold_out,
        }
    }
}

/// What each machine sold, of these sums by machine.
#[must_use]
pub fn by_machine(sums: &[books::Sum]) -> HashMap<Box<str>, Sum> {
    let mut all: HashMap<Box<str>, Sum> = HashMap::new();
    for sum in sums.iter().filter(|sum| is_sold(sum.end)) {
        let of = all.entry(sum.group.clone()).or_default();
        *of = and(*of, sum);
    }
    all
}

/// What a machine's screen shows, as its newest orders, its faults and its slots say. `newest`: the newest one first.
#[must_use]
pub fn screen<'a>(machine: &MachineLine, newest: impl IntoIterator<Item = &'a Order>, now: Told, zone: Zone) -> Screen {
    if machine.is_there != Some(true) || machine.off_since.is_some() {
        return Screen::Unknown;
    }
    if machine.faults.contains(&FaultCode::Screen) {
        return Screen::Dark;
    }
    let mut newest = newest.into_iter();
    let shown = newest.next().and_then(|order| view::on_screen(order, now, zone));
    // An older one comes back to the screen if somebody has asked for another try of it.
    let offered = || newest.find_map(|order| view::offered_again(order, now));
    shown.or_else(offered).unwrap_or_else(|| idle(machine))
}

fn idle(machine: &MachineLine) -> Screen {
    let stops = |fault: &FaultCode| match fault {
        FaultCode::Store | FaultCode::NewerDatabase => Some(Screen::OutOfOrder),
        // Its service is gone, or it has a fault beside which it sells.
        FaultCode::Relay => Some(Screen::Unsure),
        FaultCode::Backend | FaultCode::Clock => Some(Screen::Offline),
        FaultCode::Screen
        | FaultCode::StoreReset
        | FaultCode::LineBlocked
        | FaultCode::Charges
        | FaultCode::Config
        | FaultCode::TakenOver
        | FaultCode::Unconfirmed
        | FaultCode::Settings
        | FaultCode::Stock
        | FaultCode::Prices
        | FaultCode::Other(_) => None,
    };
    let some_gone = machine.trouble.iter().any(|trouble| matches!(trouble, Trouble::SoldOut | Trouble::Suspect));
    let some_gone = some_gone || machine.faults.iter().any(|fault| matches!(fault, FaultCode::LineBlocked | FaultCode::Prices));
    let stopped: Vec<_> = machine.faults.iter().filter_map(stops).collect();
    let out = stopped.iter().find(|screen| **screen == Screen::OutOfOrder).or(stopped.first());
    out.cloned().unwrap_or(Screen::Idle { some_gone })
}

/// A slot with what follows for its owner.
#[must_use]
pub fn slot(kept: &Kept) -> SlotLine {
    SlotLine { slot: kept.slot.clone(), empty_in_days: kept.empty_in_days, bring: stock::bring(kept) }
}

fn time(at: Option<Wall>, zone: Zone) -> Option<Box<str>> {
    at.map(|at| at.to_rfc3339_in(zone).into())
}

/// The slots of a machine, and when it told them.
pub async fn slots(desk: &Desk, device: &DeviceId) -> Result<(Vec<SlotLine>, Option<Box<str>>), No> {
    let of = device.clone();
    let machine = desk.machines.read(move |tx| stock::of(tx, &of)).await?;
    Ok(machine.map_or_else(Default::default, |Machine { at, slots, .. }| (slots.iter().map(slot).collect(), time(at, desk.usual.zone))))
}

/// The packing list, and the machines to go to: those behind this one, until there are so many slots. Whether there are more machines.
/// Each reading for a table holds its place.
pub async fn packing(
    machines: &Machines,
    behind: Box<str>,
    slots_max: usize,
    place: Option<Arc<Place>>,
) -> Result<(Vec<Machine>, Packing, bool), No> {
    let (mut all, mut packing, mut slots, mut is_more, mut behind) = (Vec::new(), Packing::default(), 0, false, Some(behind));
    while let Some(after) = behind {
        let of_reading = place.clone();
        let read = machines.read(move |tx| {
            let _place = of_reading;
            stock::page(tx, Which::Wanting, &after)
        });
        let page = read.await?;
        for load in page.machines.into_iter().filter_map(Loaded::of) {
            packing.add(&load);
            if slots < slots_max {
                slots += load.machine.slots.len();
                all.push(load.machine);
            } else {
                is_more = true;
            }
        }
        behind = page.behind;
    }
    Ok((all, packing, is_more))
}

/// The packing list for a phone.
#[must_use]
pub fn to_bring(all: &[Machine], [untold, well_filled]: [Vec<Machine>; 2], packing: &Packing, is_more: bool, zone: Zone) -> ToBring {
    let named = |all: Vec<Machine>| {
        let more = all.len().saturating_sub(ROWS) as u64;
        (all.into_iter().take(ROWS).map(|machine| (machine.device, machine.name)).collect(), more)
    };
    let load = |machine: &Machine| Load {
        device: machine.device.clone(),
        name: machine.name.clone(),
        at: time(machine.at, zone),
        slots: machine.slots.iter().map(slot).collect(),
    };
    ToBring {
        behind: all.last().filter(|_| is_more).map(|machine| machine.device.clone()),
        machines: all.iter().map(load).collect(),
        goods: packing.most_first().into_iter().map(|(goods, count)| (goods.into(), count)).collect(),
        untold: named(untold),
        well_filled: named(well_filled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::reported::{AtBroker, Facts};
    use crate::samples::{T0, paid, pending, reported_order, rules};
    use qris_core::order::merchant::{self, Context, DeliveryReport, Event, Rules};
    use qris_core::order::outcome::Delivery;
    use qris_core::order::time::Span;
    use qris_core::order::tries::TwoDigits;

    fn machine(is_there: Option<bool>, faults: &[FaultCode], trouble: &[Trouble]) -> MachineLine {
        let device = DeviceId::new("vm-001").expect("an id");
        let (faults, trouble) = (faults.to_vec(), trouble.to_vec());
        MachineLine {
            device,
            name: None,
            is_there,
            since: None,
            off_since: None,
            trouble,
            faults,
            blocked: None,
            price_of: None,
            uncounted: None,
            suspect: None,
            sold_out: None,
            low: None,
            topics: Vec::new(),
            sold: Sum::default(),
            to_fill: 0,
        }
    }

    /// It failed, by the relay's own word, and may be tried again.
    fn offered() -> Order {
        let rules = Rules { second_tries: 1, ..rules() };
        let told = Event::Delivered(DeliveryReport::proven(Delivery::Undelivered));
        let context = Context { rules: &rules, paid_already: false };
        merchant::apply(paid("order1", "vm-001", 5_000, 5_000), told, Told::trusted(T0 + Span::secs(8)), &context).expect("not refused")
    }

    #[test]
    fn a_machine_is_found_by_its_name_in_what_is_typed() {
        let mut known = FleetSnapshot::default();
        for (device, name) in
            [("vm-001", "Lobi lantai 2"), ("vm-002", "Lobi"), ("vm-003", "5000"), ("vm-004", "Kantin"), ("vm-005", "Kantin")]
        {
            known.let_in.push(DeviceId::new(device).expect("an id"));
            let facts = Some(Facts { name: Some(name.into()), ..Facts::default() });
            known.noted.insert(device.into(), Noted { is: Is::There(T0), at_broker: AtBroker::On, facts, silent: None, offered: None });
        }
        for (typed, wanted) in [
            ("Lobi lantai 2 5.000", Some(("vm-001", "5.000"))),
            ("5.000, \"lobi Lantai 2\" today", Some(("vm-001", "5.000, today"))),
            ("Lobi 15:00", Some(("vm-002", "15:00"))),
            ("today VM-003", Some(("vm-003", "today"))),
            ("5000 today", None),
            ("Kantin 5000", None),
            ("Lob 5000", None),
            ("", None),
        ] {
            let found = known.named_in(typed);
            assert_eq!(found.as_ref().map(|(device, rest)| (device.as_str(), &**rest)), wanted, "{typed}");
        }
    }

    #[test]
    fn what_the_broker_says_is_told_at_once_and_its_screen_is_not_known_then() {
        let device = DeviceId::new("vm-001").expect("an id");
        let (there, missing, off) = (Is::There(T0), Is::Missing(T0), AtBroker::Off(T0 + Span::secs(5)));
        // The note, and whether the broker is heard. Then: is it there, is it off, is its screen known?
        for (is, at_broker, hears, wanted) in [
            (there, AtBroker::On, true, (Some(true), false, true)),
            (there, off, true, (Some(true), true, false)),
            (Is::Unknown, off, true, (None, true, false)),
            (missing, off, true, (Some(false), true, false)),
            (there, AtBroker::Unknown, true, (Some(true), false, true)),
            (there, off, false, (None, false, false)),
            (missing, off, false, (Some(false), false, false)),
        ] {
            let mut known = FleetSnapshot { hears, let_in: vec![device.clone()], ..FleetSnapshot::default() };
            known.noted.insert("vm-001".into(), Noted { is, at_broker, facts: None, silent: None, offered: None });
            let line = known.line(&device, &HashMap::new(), Zone::Wib);
            let is_shown = screen(&line, None, Told::trusted(T0), Zone::Wib) != Screen::Unknown;
            assert_eq!((line.is_there, line.off_since.is_some(), is_shown), wanted, "{is:?} {at_broker:?} {hears}");
        }
    }

    #[test]
    fn a_screen_shows_its_order_or_why_nothing_is_sold() {
        let order = || pending("order1", "vm-001", 5_000, 5_000).id;
        let idle = |some_gone| Screen::Idle { some_gone };
        let gone = [Trouble::SoldOut];
        let (waits, bought) = (pending("order1", "vm-001", 5_000, 5_000), paid("order1", "vm-001", 5_000, 5_000));
        let came = reported_order("order1", "vm-001", 5_000, 5_000, Delivery::Dispensed);
        let payable =
            || Screen::Payable { order: order(), amount: 5_000, until: waits.ends_at().expect("an end").to_rfc3339_in(Zone::Wib).into() };
        let (there, soon, later) = (Some(true), 10, 100);
        let table: [(_, &[FaultCode], &[Trouble], _, _, _); 18] = [
            (None, &[], &[], None, soon, Screen::Unknown),
            (Some(false), &[], &[], Some(&waits), soon, Screen::Unknown),
            (there, &[], &[], None, soon, idle(false)),
            (there, &[], &gone, None, soon, idle(true)),
            (there, &[], &[Trouble::Suspect], None, soon, idle(true)),
            (there, &[], &[Trouble::Low], None, soon, idle(false)),
            (there, &[FaultCode::LineBlocked], &[Trouble::Faulty], None, soon, idle(true)),
            (there, &[FaultCode::Relay], &gone, None, soon, Screen::Unsure),
            (there, &[FaultCode::Charges], &[], None, soon, idle(false)),
            (there, &[FaultCode::Clock, FaultCode::Store], &[], None, soon, Screen::OutOfOrder),
            (there, &[FaultCode::Clock], &gone, None, soon, Screen::Offline),
            (there, &[FaultCode::Screen], &[], Some(&waits), soon, Screen::Dark),
            (there, &[FaultCode::Relay], &[], Some(&waits), soon, payable()),
            (there, &[], &gone, Some(&waits), soon, payable()),
            (there, &[], &[], Some(&bought), soon, Screen::Paid { order: order() }),
            (there, &[], &[], Some(&came), soon, idle(false)),
            (there, &[], &[], Some(&offered()), soon, Screen::TryAgain { order: order() }),
            (there, &[], &[], Some(&offered()), later, idle(false)),
        ];
        for (is_there, faults, trouble, newest, seconds, wanted) in table {
            let shown = screen(&machine(is_there, faults, trouble), newest, Told::trusted(T0 + Span::secs(seconds)), Zone::Wib);
            assert_eq!(shown, wanted, "{is_there:?} {faults:?} {trouble:?} {newest:?} {seconds}");
        }
        // Its customer has asked for it on the page.
        let wanted = merchant::apply(
            offered(),
            Event::TryWanted { by: None, drawn: TwoDigits::of(7) },
            Told::trusted(T0 + Span::secs(later)),
            &Context { rules: &Rules { second_tries: 1, ..rules() }, paid_already: false },
        );
        let wanted = wanted.expect("not refused");
        // Its own offer ends when another customer is served.
        let sold = reported_order("order2", "vm-001", 5_000, 5_000, Delivery::Dispensed);
        assert_eq!(screen(&machine(there, &[], &[]), [&sold, &offered()], Told::trusted(T0 + Span::secs(soon)), Zone::Wib), idle(false));
        for newest in [vec![&wanted], vec![&sold, &wanted]] {
            let shown = screen(&machine(there, &[], &[]), newest, Told::trusted(T0 + Span::secs(later)), Zone::Wib);
            assert_eq!(shown, Screen::TryAgain { order: order() });
        }
    }
}
