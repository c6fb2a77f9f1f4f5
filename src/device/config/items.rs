//! The items that the machine sells: `[[item]]`.

use super::screen::check_letters;
use super::texts;
use crate::words::SlotSettings;
use qris_core::order::ids::ItemId;
use qris_core::order::money::Rupiah;
use qris_core::order::request::{DESCRIPTION_MAX, Price, PriceList};
use qris_core::order::stock::CAPACITY_MAX;
use qris_core::text::steers;
use qris_host::config::Checker;
use qris_host::hint::{instead, meant, plain_number};
use qris_host::speech::fill;
use qris_screen::{Item, Language};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Value;

const ITEMS_MAX: usize = 1000;
/// The longest name of an item, in characters. A panel shows its beginning.
const NAME_MAX: usize = 100;

/// An item as it is written. This type tells apart the two ways to write a value: serde would only say that it fits neither.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenItem {
    id: Option<String>,
    name: Option<Value>,
    price: Option<Value>,
    capacity: Option<i64>,
    low: Option<i64>,
    same_as: Option<String>,
}

/// An item that was read. A value that it lacks may stand at the one whose goods are in its slot, too.
struct ReadItem {
    at: usize,
    id: ItemId,
    price: Option<Price>,
    names: Option<[Box<str>; 2]>,
    slot: Option<SlotSettings>,
    same_as: Option<ItemId>,
}

pub struct Items {
    pub prices: PriceList,
    /// The names for charges.
    pub names: BTreeMap<ItemId, Box<str>>,
    pub slots: BTreeMap<ItemId, SlotSettings>,
    pub shown: Vec<Item>,
}

/// `language` is that of the names for charges.
pub fn check_items(mut items: Vec<WrittenItem>, language: Language, checker: &mut Checker<'_>) -> Items {
    if items.is_empty() {
        checker.fault("item", texts().no_items);
    }
    if items.len() > ITEMS_MAX {
        checker.fault("item", fill(texts().many_items, &[&ITEMS_MAX]));
        // Whoever wrote so many may mean harm. Each fault looks for its line in the whole text.
        items.truncate(ITEMS_MAX);
    }
    let read: Vec<_> = items.into_iter().enumerate().filter_map(|(at, item)| read_item(at, item, checker)).collect();
    let firsts: BTreeMap<_, _> = read.iter().filter(|item| item.same_as.is_none()).map(|item| (&item.id, item)).collect();
    let (mut prices, mut slots, mut shown) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for item in &read {
        let (price, names) = match &item.same_as {
            None => (item.price, item.names.clone()),
            Some(first) => match firsts.get(first) {
                Some(first) => check_same(item, first, checker),
                None => {
                    checker.fault(&item.key("same_as"), fill(texts().same_as, &[first]));
                    continue;
                }
            },
        };
        let (id, Some(price)) = (&item.id, price) else { continue };
        let [id_name, en_name] = names.unwrap_or_else(|| [id.as_str().into(), id.as_str().into()]);
        slots.extend(item.slot.clone().map(|slot| (id.clone(), SlotSettings { name: id_name.clone(), ..slot })));
        let fixed = match price {
            Price::Fixed(amount) => Some(amount),
            Price::FromRequest { .. } => None,
        };
        shown.push(Item { id: id.clone(), id_name, en_name, price: fixed });
        if prices.insert(id.clone(), price).is_some() {
            checker.fault(&item.key("id"), fill(texts().twice, &[id]));
        }
    }
    Items { prices: PriceList::new(prices), names: charged_names(&shown, language), slots, shown }
}

/// Reads an item by itself. `None`: it has no id.
fn read_item(at: usize, item: WrittenItem, checker: &mut Checker<'_>) -> Option<ReadItem> {
    let key = |name: &str| format!("item[{at}].{name}");
    let id = checker.required(item.id, &key("id"));
    let id = id.and_then(|id| checker.id(ItemId::new(&id), &key("id")));
    let price = if item.same_as.is_some() { item.price } else { checker.required(item.price, &key("price")) };
    let price = price.and_then(|price| check_price(price, &key("price"), checker));
    let names = item.name.and_then(|name| check_name(name, &key("name"), checker));
    if names.iter().flatten().any(|name| name.is_empty() || name.chars().count() > NAME_MAX || name.contains(steers)) {
        checker.fault(&key("name"), fill(texts().item_name, &[&NAME_MAX, &DESCRIPTION_MAX]));
    }
    names.iter().for_each(|[id, en]| check_letters(&format!("{id}{en}"), &key("name"), checker));
    let limits = check_slot(item.capacity, item.low, &key, checker);
    let is_same = item.same_as.is_some();
    let same_as = item.same_as.and_then(|first| checker.id(ItemId::new(&first), &key("same_as")));
    if is_same && same_as.is_none() {
        return None;
    }
    let id = id?;
    let goods = same_as.as_ref().unwrap_or(&id).clone();
    let slot = limits.map(|(capacity, low)| SlotSettings { capacity, low, goods, name: Box::default() });
    Some(ReadItem { at, id, price, names, slot, same_as })
}

impl ReadItem {
    fn key(&self, name: &str) -> String {
        format!("item[{}].{name}", self.at)
    }
}

/// The price and the name of an item whose slot holds the goods of another one. Only counts tell which of the two is the fuller one.
fn check_same(item: &ReadItem, first: &ReadItem, checker: &mut Checker<'_>) -> (Option<Price>, Option<[Box<str>; 2]>) {
    if item.slot.is_none() || first.slot.is_none() {
        checker.fault(&item.key("same_as"), fill(texts().same_uncounted, &[&first.id]));
    }
    if item.price.is_some() && first.price.is_some() && item.price != first.price {
        checker.fault(&item.key("price"), fill(texts().same_price, &[&first.id]));
    }
    (first.price, item.names.clone().or_else(|| first.names.clone()))
}

/// The capacity of an item's slot, and with how many it asks to be filled. Without a capacity it is not counted.
fn check_slot(capacity: Option<i64>, low: Option<i64>, key: &dyn Fn(&str) -> String, checker: &mut Checker<'_>) -> Option<(u32, u32)> {
    let whole = |n: i64, most: u32| u32::try_from(n).ok().filter(|n| *n <= most);
    let Some(capacity) = capacity else {
        if low.is_some() {
            checker.fault(&key("low"), texts().low_alone);
        }
        return None;
    };
    let Some(capacity) = whole(capacity, CAPACITY_MAX).filter(|n| *n > 0) else {
        checker.fault(&key("capacity"), fill(texts().capacity, &[&CAPACITY_MAX, &capacity]));
        return None;
    };
    let low = low.unwrap_or(0);
    let Some(low) = whole(low, capacity - 1) else {
        checker.fault(&key("low"), fill(texts().low, &[&capacity, &low]));
        return None;
    };
    Some((capacity, low))
}

pub fn charged_names(items: &[Item], language: Language) -> BTreeMap<ItemId, Box<str>> {
    items.iter().map(|item| (item.id.clone(), item.name(language).into())).collect()
}

/// The name in Indonesian and in English. If it is written in one language, both get it.
fn check_name(name: Value, key: &str, checker: &mut Checker<'_>) -> Option<[Box<str>; 2]> {
    let names = match name {
        Value::String(name) => return Some([name.as_str().into(), name.into()]),
        Value::Table(names) if names.iter().all(|(name, value)| matches!(name.as_str(), "id" | "en") && value.is_str()) => names,
        _ => {
            checker.fault(key, fill(texts().two_names, &[&"{ id = …, en = … }"]));
            return None;
        }
    };
    let name = |language: &str| names.get(language).and_then(Value::as_str).map(Box::from);
    let either: Box<str> = name("id").or_else(|| name("en"))?;
    Some([name("id").unwrap_or_else(|| either.clone()), name("en").unwrap_or(either)])
}

fn check_price(price: Value, key: &str, checker: &mut Checker<'_>) -> Option<Price> {
    let why = &fill(texts().price, &[&"{ from_request = { min = …, max = … } }"]);
    let mut table = match price {
        Value::Integer(amount) => return rupiah(amount, key, checker).map(Price::Fixed),
        Value::Table(table) => table,
        Value::String(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) | Value::Array(_) => {
            not_rupiah(key, why, checker);
            return None;
        }
    };
    let unknown = table.keys().find(|name| *name != "from_request").cloned();
    let Some(Value::Table(mut bounds)) = table.remove("from_request").filter(|_| table.is_empty()) else {
        let alike = unknown.filter(|unknown| meant(unknown, ["from_request"]).is_some());
        match alike {
            Some(unknown) => {
                let tip = instead("from_request", &["from_request"]);
                checker.fault(&format!("{key}.{unknown}"), fill(texts().unknown_key, &[&tip]));
            }
            None => checker.fault(key, why),
        }
        return None;
    };
    let at = |name: &str| format!("{key}.from_request.{name}");
    let mut bound = |name: &str, checker: &mut Checker<'_>| match checker.required(bounds.remove(name), &at(name))? {
        Value::Integer(amount) => rupiah(amount, &at(name), checker),
        Value::String(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
            not_rupiah(&at(name), texts().whole_rupiah, checker);
            None
        }
    };
    let (min, max) = (bound("min", checker), bound("max", checker));
    let mqtt = match bounds.remove("mqtt") {
        None => false,
        Some(Value::Boolean(mqtt)) => mqtt,
        Some(_) => {
            checker.fault(&at("mqtt"), fill(texts().flag, &[&checker.written(&at("mqtt"))]));
            false
        }
    };
    for unknown in bounds.keys() {
        checker.fault(&at(unknown), fill(texts().unknown_key, &[&instead(unknown, &["min", "max", "mqtt"])]));
    }
    let (min, max) = (min?, max?);
    if min > max {
        checker.fault(&at("min"), fill(texts().min_above, &[&min, &max]));
    }
    Some(Price::FromRequest { min, max, mqtt })
}

/// Notes a price that is no number. Where it is one with dots or quotes, the number is told.
fn not_rupiah(key: &str, why: &str, checker: &mut Checker<'_>) {
    let written = checker.written(key);
    match plain_number(written) {
        Some(number) => checker.fault(key, fill(texts().plain_rupiah, &[&number, &written])),
        None => checker.fault(key, fill(texts().not, &[&why, &written])),
    }
}

fn rupiah(amount: i64, key: &str, checker: &mut Checker<'_>) -> Option<Rupiah> {
    let read = u64::try_from(amount).ok().and_then(|amount| Rupiah::new(amount).ok());
    if read.is_none() {
        checker.fault(key, fill(texts().amount, &[&Rupiah::MAX]));
    }
    read
}
