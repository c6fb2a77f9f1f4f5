//! The settings of a machine: the part of its configuration that decides.

use super::text;
use qris_core::order::ids::{DeviceId, ItemId};
use qris_core::order::keys::KeySet;
use qris_core::order::machine::Rules;
use qris_core::order::request::PriceList;
use qris_core::order::time::{BootId, Span, Wall};
use qris_host::events::Text;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name on the broker and in receipts.
    pub device: DeviceId,
    /// The broker's address, for people; `None`: the machine has none.
    pub broker: Option<Box<str>>,
    pub prices: PriceList,
    /// The items' names, for the screen and for charges.
    pub names: BTreeMap<ItemId, Box<str>>,
    pub slots: BTreeMap<ItemId, SlotSettings>,
    pub orders: OrderSettings,
    /// The keys whose receipts, and whose settings from afar, are believed.
    pub keys: KeySet,
    /// Whether the machine sells nothing without a working screen.
    pub screen_required: bool,
    /// By these words an operator picks it out of many.
    pub labels: Vec<Box<str>>,
    /// A report of what was sold goes out after this time; 0: never.
    pub report_every: Span,
    pub appearance: qris_screen::Settings,
    pub store: PathBuf,
    pub boot_id: BootId,
    /// A wall clock before this time is wrong: the program did not exist yet.
    pub released: Wall,
    /// The backend is another computer, and is asked over TLS. So it can tell the time. Without that no time is trusted, and none that
    /// was trusted before counts.
    pub tells_time: bool,
}

impl Settings {
    /// The wall clock, unless it is surely wrong.
    pub(crate) fn trusted(&self, wall: Wall) -> Option<Wall> {
        (wall >= self.released).then_some(wall)
    }

    /// The same for people and events.
    pub(crate) fn time_of_day(&self, wall: Wall) -> Option<Box<str>> {
        self.trusted(wall).map(|wall| wall.to_rfc3339().into())
    }

    pub(crate) fn broker_name(&self) -> Text {
        text(self.broker.as_deref().unwrap_or("none"))
    }

    /// What people call the goods of an item. `None`: it is not sold here.
    pub(crate) fn goods_of(&self, item: &ItemId) -> Option<&str> {
        let sold = || self.appearance.items.iter().find(|sold| sold.id == *item).map(|sold| &*sold.id_name);
        self.slots.get(item).map(|slot| &*slot.name).or_else(sold)
    }

    pub(crate) fn name_of<'a>(&'a self, item: &'a ItemId) -> &'a str {
        self.names.get(item).map_or(item.as_str(), |name| name)
    }
}

/// A slot that is counted: of `[[item]]`, checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotSettings {
    pub capacity: u32,
    /// With so many or fewer it asks to be filled; 0: only when it is empty.
    pub low: u32,
    /// The item whose goods lie in it: its own one, or that of `same_as`. All slots of the same goods have one price.
    pub goods: ItemId,
    /// What people call these goods, in Indonesian. A count belongs to goods of this name.
    pub name: Box<str>,
}

/// The times and limits of orders: `[orders]`, checked.
#[derive(Clone, Debug)]
pub struct OrderSettings {
    /// How long a QR is shown if the request does not say.
    pub timeout: Span,
    /// Requests a minute; 0: no limit.
    pub per_minute: usize,
    pub rules: Rules,
}
