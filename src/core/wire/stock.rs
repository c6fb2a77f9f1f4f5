//! `stock`: what lies in a machine's slots. Retained, so that somebody who comes later reads it, too.

use crate::order::ids::ItemId;
use crate::order::stock::NotSold;
use serde::{Deserialize, Serialize};

/// The version of the form. A later release only adds fields to it.
pub const VERSION: u8 = 1;
/// The largest payload, in bytes: 1,000 slots fit. Where their names do not fit, too, a machine leaves all names out.
pub const STOCK_MAX: usize = 256 * 1024;

/// The payload. Field names are those of the wire.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stock {
    /// [`VERSION`].
    pub v: u8,
    /// Counts the reports of a stream. Two with the same number say the same.
    pub number: u64,
    /// The life of the machine's database.
    pub stream: Box<str>,
    /// RFC 3339; absent while the clock is not trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Box<str>>,
    /// The slots that are counted, in the order of the price list.
    pub slots: Vec<Slot>,
}

/// A slot that is counted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Slot {
    /// Its item.
    pub item: ItemId,
    /// What people call its goods. Absent: as the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
    /// What is in it. Absent: nobody has counted. Then it is sold as an item that is not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// The most that it holds.
    pub capacity: u32,
    /// With so many or fewer it asks to be filled.
    pub low: u32,
    /// The sensor saw nothing come out, and nobody has looked since. Nothing of it is sold.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspect: bool,
    /// Why nothing of it is sold now. Absent: it is sold, unless something stops the whole machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_sold: Option<NotSold>,
    /// When it was filled or counted last, RFC 3339. Absent: never, or the clock was not trusted then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filled_at: Option<Box<str>>,
    /// So many were sold since then.
    pub sold: u32,
    /// So many left it since somebody looked, and no word says that they came out. Those of orders that are not over are left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unseen: u32,
    /// Requests that were refused because it was empty, since the beginning of the stream.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Slot {
    /// Whether nothing of it is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == Some(0)
    }

    /// Whether it asks to be filled.
    #[must_use]
    pub fn is_low(&self) -> bool {
        self.count.is_some_and(|count| count <= self.low)
    }

    /// Why nothing of it is sold although something lies in it: `suspect` and the count do not say that.
    #[must_use]
    pub fn barred(&self) -> Option<NotSold> {
        self.not_sold.filter(|why| match why {
            NotSold::Blocked | NotSold::Line | NotSold::Price | NotSold::Other(_) => true,
            NotSold::Suspect | NotSold::SoldOut => false,
        })
    }

    /// How many fit into it.
    #[must_use]
    pub fn room(&self) -> Option<u32> {
        self.count.map(|count| self.capacity.saturating_sub(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_slots_fit() {
        let slot = |n: u32| Slot {
            item: ItemId::new(&format!("{n:032}")).expect("an item"),
            name: None,
            count: Some(1000),
            capacity: 1000,
            low: 1000,
            suspect: true,
            not_sold: Some(NotSold::SoldOut),
            filled_at: Some("2026-12-01T06:00:00Z".into()),
            sold: 1_000_000,
            unseen: 1_000_000,
            refused: 1_000_000,
        };
        let stock = Stock {
            v: VERSION,
            number: u64::MAX,
            stream: "0".repeat(16).into(),
            at: Some("2026-12-01T06:00:00Z".into()),
            slots: (0..1000).map(slot).collect(),
        };
        let length = serde_json::to_vec(&stock).expect("plain").len();
        assert!(length <= STOCK_MAX, "{length}");
    }

    #[test]
    fn a_slot_says_what_it_needs() {
        // count, is_empty, is_low, room
        let table = [
            (None, false, false, None),
            (Some(0), true, true, Some(8)),
            (Some(2), false, true, Some(6)),
            (Some(3), false, false, Some(5)),
            (Some(9), false, false, Some(0)),
        ];
        for (count, empty, low, room) in table {
            let text = serde_json::json!({ "item": "A1", "count": count, "capacity": 8, "low": 2, "sold": 0, "of_a_later_release": 1 });
            let slot: Slot = serde_json::from_value(text).expect("a slot");
            assert_eq!((slot.is_empty(), slot.is_low(), slot.room()), (empty, low, room), "{count:?}");
        }
    }
}
