//! What a machine is set to: all that decides, of its configuration.

use qris_core::order::ids::{DeviceId, ItemId};
use qris_core::order::machine::Rules;
use qris_core::order::receipt::KeySet;
use qris_core::order::request::PriceList;
use qris_core::order::time::{BootId, Span, Wall};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a machine is set to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name on the broker and in receipts.
    pub device: DeviceId,
    /// The broker's address, for people.
    pub broker: Box<str>,
    /// What it sells.
    pub prices: PriceList,
    /// The items' names as shown and as charged.
    pub names: BTreeMap<ItemId, Box<str>>,
    /// How long a QR is shown if the request does not say.
    pub timeout: Span,
    /// Requests a minute; 0: no limit.
    pub orders_per_minute: usize,
    /// What decides about orders.
    pub rules: Rules,
    /// The keys whose receipts are believed.
    pub keys: KeySet,
    /// Whether nothing is sold without a working screen.
    pub screen_required: bool,
    /// Where the database is.
    pub store: PathBuf,
    /// The kernel's name of this boot.
    pub boot_id: BootId,
    /// A wall clock before this is wrong: the program did not exist yet.
    pub released: Wall,
}
