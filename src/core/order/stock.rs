//! What lies in a slot. One is taken from it in the commit *before* the relay is asked. So a crash leaves too few, never too many.
//!
//! *filled = delivered + uncertain + failed + tested + given + removed + count*, always: the count is what the others leave.

use super::proof::RelayKey;
use super::reason::Reason;
use super::word::words;
use serde::{Deserialize, Serialize};

/// The most items that a slot may hold.
pub const CAPACITY_MAX: u32 = 1_000;

/// Where the item of an order is, as far as the machine knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// In its slot.
    InPlace,
    /// The relay is asked, or was. Nobody knows more, yet or for good.
    Out,
    /// With the customer.
    Delivered,
    /// The line was driven, and the sensor says that it did not come.
    Failed,
    /// A person took it out of the slot, and handed it to its customer. It stays so.
    Given,
}

/// An item that is not in its slot any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Taken {
    /// Where it is; never [`Fate::InPlace`].
    pub fate: Fate,
    /// [`Shelf::looks`] of its slot when it was taken. `None`: nobody had counted then.
    pub looks: Option<u32>,
}

impl Taken {
    /// The item of an order went to another place, and nobody has counted its slot. `was`: `None` while it was in the slot.
    #[must_use]
    pub fn uncounted(was: Option<Self>, to: Fate) -> Option<Self> {
        if was.is_some_and(|was| was.fate == Fate::Given) {
            return was;
        }
        let looks = was.and_then(|was| was.looks);
        (to != Fate::InPlace).then_some(Self { fate: to, looks })
    }
}

words! {
    /// What a person does to a slot.
    pub enum Change {
        /// So many more were put in; without a number it is full now.
        Fill = "fill",
        /// So many are in it: somebody has looked.
        Count = "count",
        /// So many were taken out, and handed to customers.
        Give = "give",
        /// Other goods are in it from now on: so many.
        Set = "set",
    }
}

words! {
    /// Why nothing of a slot is sold. Of several, the one that a person must end first: filling does not end a block.
    pub enum NotSold {
        /// Its line waits for a person: it failed, its sensor is not believed, or its hardware does not work.
        Blocked = "blocked",
        /// Its sensor saw nothing come out, and nobody has looked since.
        Suspect = "suspect",
        /// Nothing is left in it, or what is left is promised to customers.
        SoldOut = "sold_out",
        /// No line takes it at its price.
        Line = "line",
        /// No payment takes its price.
        Price = "price",
    }
}

impl NotSold {
    /// The reason with which a request for it is refused.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Blocked => Reason::LineBlocked,
            Self::Suspect | Self::SoldOut => Reason::SoldOut,
            // What a later release says of a slot, it says beside its own reason.
            Self::Line | Self::Price | Self::Other(_) => Reason::WrongAmount,
        }
    }
}

/// The relay's own count of an item, and what it was when the sums of the slot began.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Base {
    /// The key of the ledger that counts.
    pub ledger: RelayKey,
    /// Tests that it had driven, less those of the sums.
    pub tests: i64,
    /// Orders for which it had driven, likewise. `None`: since then an order was always on its way.
    pub orders: Option<i64>,
}

/// How often the relay has driven its line for an item, by its ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Drives {
    /// For orders.
    pub orders: u64,
    /// For tests.
    pub tests: u64,
}

/// Which of the two that count is an older image now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Older {
    /// The machine's database. It forgot what people took out since.
    Database,
    /// The relay's ledger. It forgot what it drove since.
    Ledger,
}

/// The sums of a slot since its goods were set.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Shelf {
    /// Put in.
    pub filled: u64,
    /// With customers.
    pub delivered: u64,
    /// Nobody knows: the relay was asked, or its ledger has a pulse of which the machine has no order.
    pub uncertain: u64,
    /// Driven, and not seen by the sensor.
    pub failed: u64,
    /// Driven by a test.
    pub tested: u64,
    /// Taken out by a person for a customer.
    pub given: u64,
    /// Missing when somebody counted; less than zero: there were more.
    pub removed: i64,
    /// The sensor has said that an item did not come, and nobody has looked since. Nothing of it is offered.
    pub suspect: bool,
    /// How often somebody has counted.
    pub looks: u32,
    /// The number of the look with which the sums began.
    pub began: u32,
    /// The number delivered when somebody filled or counted last.
    pub delivered_then: u64,
    /// `uncertain` and `failed` together when somebody looked last.
    pub unseen_then: u64,
    /// When somebody filled or counted last, RFC 3339; `None`: the clock was not trusted.
    pub filled_at: Option<Box<str>>,
    /// What is compared with the relay's ledger; `None`: not yet.
    pub base: Option<Base>,
    /// What people called its goods when somebody counted them last. A count belongs to them.
    pub goods: Box<str>,
    /// Other goods are in it now, and nobody has counted those. No sum means anything then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unknown: bool,
    /// An older image was found out, and nobody has looked since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub older: Option<Older>,
}

/// Why a slot stays as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotChanged {
    /// It holds less.
    #[error("there would be {0} in it, and it holds {1}")]
    TooMany(u32, u32),
    /// More is counted than it holds: who fills it has not said how many there are.
    #[error("{0} are counted in it, and it holds {1}: say with `count` how many are in it")]
    TooFull(u32, u32),
    /// It has less.
    #[error("there are only {0} in it")]
    TooFew(u32),
    /// Nobody has counted.
    #[error("nobody has counted yet: say with `count` how many are in it")]
    Unknown,
    /// The number is missing.
    #[error("say how many")]
    NoNumber,
    /// A later release knows this change.
    #[error("this release does not know this change")]
    Other,
    /// The machine does not count this item.
    #[error("this item is not counted here: it has no capacity in the settings, or is not sold")]
    NotCounted,
    /// A customer is there.
    #[error("a customer is served to the end first")]
    Busy,
    /// An older image of the database could not be told from this one.
    #[error("the relay service has not told yet what it has driven: try again in a moment")]
    Relay,
    /// The database does not take it.
    #[error("the machine cannot store it now")]
    Store,
}

impl Shelf {
    /// How many are in it.
    #[must_use]
    pub fn count(&self) -> u32 {
        let whole = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let gone = [self.delivered, self.uncertain, self.failed, self.tested, self.given].into_iter().map(whole).sum::<i64>();
        u32::try_from(whole(self.filled) - gone - self.removed).unwrap_or(0)
    }

    /// So many were sold since somebody filled or counted.
    #[must_use]
    pub fn sold(&self) -> u32 {
        u32::try_from(self.delivered.saturating_sub(self.delivered_then)).unwrap_or(u32::MAX)
    }

    /// So many left it since somebody looked, and no word says that they came out: the sensor saw nothing, or nobody knows.
    #[must_use]
    pub fn unseen(&self) -> u32 {
        u32::try_from((self.uncertain + self.failed).saturating_sub(self.unseen_then)).unwrap_or(u32::MAX)
    }

    /// Its slot has other goods. What was taken out before does not come back into the sums of those.
    #[must_use]
    pub fn with_other_goods(&self) -> Self {
        let looks = self.looks + 1;
        Self { looks, began: looks, is_unknown: true, ..Self::default() }
    }

    /// A person took a piece out of the slot, and handed it to the customer of an order. Where the sensor has seen nothing come, and nobody
    /// has looked since, that is the piece which left the sums then. Else it is one more: so there are too few, and never too many.
    pub fn handed_out(&mut self, was: Option<Taken>) -> Taken {
        let is_gone = was.is_some_and(|was| was.fate == Fate::Failed && was.looks == Some(self.looks));
        if !is_gone {
            self.take_unseen(|shelf| &mut shelf.given, 1);
        }
        Taken { fate: Fate::Given, looks: Some(self.looks) }
    }

    /// The item of an order goes to another place. `was`: `None` while it is in the slot. The answer is the same for later.
    pub fn moved(&mut self, was: Option<Taken>, to: Fate) -> Option<Taken> {
        match (was, to) {
            (Some(Taken { fate: Fate::Given, .. }), _) => was,
            (None, Fate::InPlace) => None,
            (None, to) => {
                self.take_unseen(|shelf| shelf.sum(to), 1);
                self.suspect |= to == Fate::Failed;
                Some(Taken { fate: to, looks: Some(self.looks) })
            }
            (Some(was), to) => {
                // Its slot may have been counted anew after a loss.
                let is_counted = was.fate != to && *self.sum(was.fate) > 0;
                if let Some(looks) = was.looks.filter(|looks| *looks >= self.began && is_counted) {
                    *self.sum(was.fate) -= 1;
                    match to {
                        // Whoever has counted since then has counted this one, too.
                        Fate::InPlace if looks < self.looks => self.removed += 1,
                        Fate::InPlace => {}
                        Fate::Out | Fate::Delivered | Fate::Failed | Fate::Given => *self.sum(to) += 1,
                    }
                    self.suspect |= to == Fate::Failed;
                }
                (to != Fate::InPlace).then_some(Taken { fate: to, ..was })
            }
        }
    }

    /// So many leave the slot for this sum. Those that nobody had counted there were too many.
    fn take_unseen(&mut self, sum: impl FnOnce(&mut Self) -> &mut u64, n: u64) {
        let there = u64::from(self.count());
        self.removed -= i64::try_from(n.saturating_sub(there)).unwrap_or(0);
        *sum(self) += n;
    }

    /// The relay says what it drove. A test takes one, whoever made it. Pulses of orders that these sums lack are those of a machine whose
    /// database is an older image now. That may have forgotten what people took out, too, so somebody must count. `is_quiet`: this was read just now, and no order is on its way to the relay or back.
    #[must_use]
    pub fn compared(&self, ledger: &RelayKey, drives: Drives, is_quiet: bool) -> Self {
        let whole = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let more = |told: u64, base: i64, ours: u64| u64::try_from(whole(told) - base - whole(ours)).unwrap_or(0);
        let ours = self.delivered + self.uncertain + self.failed;
        let mut next = self.clone();
        let orders = match self.base.as_ref().filter(|base| base.ledger == *ledger) {
            Some(base) => {
                next.take_unseen(|shelf| &mut shelf.tested, more(drives.tests, base.tests, self.tested));
                if let Some(orders) = base.orders {
                    let unseen = more(drives.orders, orders, ours);
                    next.take_unseen(|shelf| &mut shelf.uncertain, unseen);
                    if unseen > 0 {
                        next.older = Some(Older::Database);
                    }
                }
                base.orders
            }
            None => {
                next.base = Some(Base { ledger: ledger.clone(), tests: whole(drives.tests) - whole(self.tested), orders: None });
                None
            }
        };
        if let (None, Some(base)) = (orders, next.base.as_mut().filter(|_| is_quiet)) {
            base.orders = Some(whole(drives.orders) - whole(ours));
        }
        next
    }

    /// Whether the ledger of a relay that has just begun lacks drives of which these sums have the end. An older image of it was put in: the
    /// relay writes an end before it says one.
    #[must_use]
    pub fn is_ahead_of(&self, ledger: &RelayKey, drives: Drives) -> bool {
        let lacks = |told: u64, base: i64, ours: u64| i128::from(told) < i128::from(base) + i128::from(ours);
        self.base.as_ref().filter(|base| base.ledger == *ledger).is_some_and(|base| {
            let lacks_orders = base.orders.is_some_and(|orders| lacks(drives.orders, orders, self.delivered + self.failed));
            lacks_orders || lacks(drives.tests, base.tests, self.tested)
        })
    }

    /// The ledger is an older image. It is compared from now on with what it says now.
    #[must_use]
    pub fn with_older_ledger(&self) -> Self {
        Self { base: None, older: self.older.or(Some(Older::Ledger)), ..self.clone() }
    }

    /// A person has done this to a slot that holds `capacity`. `slot`: `None` while nobody has counted. `at`: the time of day, if known.
    pub fn changed(slot: Option<&Self>, change: Change, n: Option<u32>, capacity: u32, at: Option<Box<str>>) -> Result<Self, NotChanged> {
        let fits = |n: u32| if n > capacity { Err(NotChanged::TooMany(n, capacity)) } else { Ok(n) };
        let counted = slot.filter(|slot| !slot.is_unknown);
        let known = || counted.cloned().ok_or(NotChanged::Unknown);
        let number = n.ok_or(NotChanged::NoNumber);
        let mut next = match (change, n) {
            (Change::Fill, Some(n)) => {
                let mut next = known()?;
                fits(next.count().saturating_add(n))?;
                next.filled += u64::from(n);
                next
            }
            (Change::Fill, None) => {
                let mut next = slot.cloned().unwrap_or_default();
                let missing = capacity.checked_sub(next.count()).ok_or(NotChanged::TooFull(next.count(), capacity))?;
                next.filled += u64::from(missing);
                next.looks += 1;
                next
            }
            (Change::Count, _) => {
                let (n, mut next) = (fits(number?)?, slot.cloned().unwrap_or_default());
                match counted {
                    Some(_) => next.removed += i64::from(next.count()) - i64::from(n),
                    None => next.filled = u64::from(n),
                }
                next.looks += 1;
                next
            }
            (Change::Give, _) => {
                let (n, mut next) = (number?, known()?);
                if n > next.count() {
                    return Err(NotChanged::TooFew(next.count()));
                }
                next.given += u64::from(n);
                // A person who takes some out has not said how many there are.
                return Ok(next);
            }
            (Change::Set, _) => {
                let looks = slot.map_or(0, |slot| slot.looks) + 1;
                Self { filled: fits(number?)?.into(), looks, began: looks, ..Self::default() }
            }
            (Change::Other(_), _) => return Err(NotChanged::Other),
        };
        next.suspect = false;
        next.is_unknown = false;
        // Who puts some in has not looked at how many were there.
        if change != Change::Fill || n.is_none() {
            (next.older, next.unseen_then) = (None, next.uncertain + next.failed);
        }
        next.delivered_then = next.delivered;
        next.filled_at = at;
        Ok(next)
    }

    fn sum(&mut self, fate: Fate) -> &mut u64 {
        match fate {
            // Nothing that was taken is in its place.
            Fate::InPlace | Fate::Out => &mut self.uncertain,
            Fate::Delivered => &mut self.delivered,
            Fate::Failed => &mut self.failed,
            Fate::Given => &mut self.given,
        }
    }
}

#[cfg(test)]
mod tests;
