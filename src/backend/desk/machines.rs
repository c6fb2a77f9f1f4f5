//! The machines for the desk: how each is, what it sold today, what its screen shows, and what is in it.

use super::Desk;
use super::answer::No;
use super::today::{and, is_sold};
use crate::machines::reported::{self, Noted};
use crate::machines::stock::{self, Kept, Load as Loaded, Machine, Packing, Wanting, Which};
use crate::machines::{devices, handle::Machines};
use crate::sale::books;
use qris_core::order::ids::DeviceId;
use qris_core::order::merchant::{Order, Standing};
use qris_core::order::time::{Wall, Zone};
use qris_core::wire::desk::{Load, MachineLine, Screen, SlotLine, Sum, ToBring, Trouble};
use std::collections::{BTreeMap, HashMap};

/// The machines as they were noted last, whichever process heard them.
#[derive(Debug, Default)]
pub struct Known {
    let_in: Vec<DeviceId>,
    noted: HashMap<Box<str>, Noted>,
    wanting: BTreeMap<Box<str>, Wanting>,
}

impl Known {
    /// Reads them.
    ///
    /// # Errors
    /// [`No::Away`]
    pub async fn read(machines: &Machines) -> Result<Self, No> {
        let known = machines.read(|tx| {
            let mut let_in: Vec<_> = devices::let_in(tx)?.into_iter().collect();
            let_in.sort();
            Ok(Self { let_in, noted: reported::noted(tx)?, wanting: stock::wanting(tx)? })
        });
        Ok(known.await?)
    }

    /// How many are let in.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.let_in.len() as u64
    }

    /// Whether this one is let in.
    #[must_use]
    pub fn has(&self, device: &DeviceId) -> bool {
        self.let_in.contains(device)
    }

    /// The release of its program.
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

    /// All machines, with what they sold today.
    #[must_use]
    pub fn lines(&self, sold: &HashMap<Box<str>, Sum>, zone: Zone) -> Vec<MachineLine> {
        self.let_in.iter().map(|device| self.line(device, sold, zone)).collect()
    }

    /// One of them.
    #[must_use]
    pub fn line(&self, device: &DeviceId, sold: &HashMap<Box<str>, Sum>, zone: Zone) -> MachineLine {
        let noted = self.noted.get(device.as_str());
        let faults: Vec<_> = noted.iter().filter_map(|noted| noted.facts.as_ref()).flat_map(|facts| facts.faults.iter().copied()).collect();
        let Wanting { low, sold_out, suspect } = self.wanting.get(device.as_str()).copied().unwrap_or_default();
        let is_silent = noted.is_some_and(|noted| !noted.is_there);
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
            is_there: noted.map(|noted| noted.is_there),
            since: noted.map(|noted| noted.since.to_rfc3339_in(zone).into()),
            trouble: trouble.into_iter().filter_map(|(trouble, is_so)| is_so.then_some(trouble)).collect(),
            faults,
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

/// What a machine's screen shows, as its newest order says. `is_there`: something is heard of the machine.
#[must_use]
pub fn screen(is_there: Option<bool>, newest: Option<&Order>, zone: Zone) -> Screen {
    let (Some(true), Some(order)) = (is_there, newest) else {
        return if is_there == Some(true) { Screen::Idle } else { Screen::Unknown };
    };
    match order.standing() {
        Standing::Charging => Screen::Preparing,
        Standing::Payable => Screen::Payable {
            order: order.id.clone(),
            amount: order.charge().map_or(order.sale.purchase.amount, |charge| charge.gross_amount).get(),
            until: order.ends_at().map(|at| at.to_rfc3339_in(zone)).unwrap_or_default().into(),
        },
        // Its code was shown, and its customer may be on the way.
        Standing::Over | Standing::Held if order.is_over_the_counter() => Screen::Idle,
        Standing::Over | Standing::Held if order.receipt().is_some() && order.is_open() => Screen::Paid { order: order.id.clone() },
        Standing::Over | Standing::Held | Standing::Ending => Screen::Idle,
    }
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
///
/// # Errors
/// [`No::Away`]
pub async fn slots(desk: &Desk, device: &DeviceId) -> Result<(Vec<SlotLine>, Option<Box<str>>), No> {
    let of = device.clone();
    let machine = desk.machines.read(move |tx| stock::of(tx, &of)).await?;
    Ok(machine.map_or_else(Default::default, |Machine { at, slots, .. }| (slots.iter().map(slot).collect(), time(at, desk.usual.zone))))
}

/// The packing list, and the machines to go to: those behind this one, until there are so many slots.
///
/// # Errors
/// [`No::Away`]
pub async fn packing(machines: &Machines, behind: Box<str>, slots_max: usize) -> Result<(Vec<Machine>, Packing), No> {
    let (mut all, mut packing, mut slots, mut behind) = (Vec::new(), Packing::default(), 0, Some(behind));
    while let Some(after) = behind {
        let page = machines.read(move |tx| stock::page(tx, Which::Wanting, &after)).await?;
        for load in page.machines.into_iter().filter_map(Loaded::of) {
            packing.add(&load);
            if slots < slots_max {
                slots += load.machine.slots.len();
                all.push(load.machine);
            }
        }
        behind = page.behind;
    }
    Ok((all, packing))
}

/// The same for a phone.
#[must_use]
pub fn to_bring(all: &[Machine], packing: &Packing, zone: Zone) -> ToBring {
    let load = |machine: &Machine| Load {
        device: machine.device.clone(),
        name: machine.name.clone(),
        at: time(machine.at, zone),
        slots: machine.slots.iter().map(slot).collect(),
    };
    ToBring {
        machines: all.iter().map(load).collect(),
        goods: packing.most_first().into_iter().map(|(goods, count)| (goods.into(), count)).collect(),
    }
}
