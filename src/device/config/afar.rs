//! Settings that come from afar. They are a part of `qrisd.toml`, in the place of what the machine's own file says. Identity, keys,
//! addresses and lines can be set only on the machine.

pub mod text;

use super::check_report;
use super::items::{Items, WrittenItem, charged_names, check_items};
use super::orders::WrittenOrders;
use super::screen::{check_colours, check_contact, check_greeting, check_languages, check_machine_name};
use super::texts;
use crate::words::{Charges, Settings, SlotSettings};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use qris_core::order::ids::ItemId;
use qris_core::order::money::total;
use qris_core::order::request::cut;
use qris_core::wire::relay::RelayLine;
use qris_core::wire::settings::WrongValue;
use qris_host::config::{Checker, Fault, Faults, Source};
use qris_host::speech::fill;
use qris_screen::Item;
use qris_screen::logo::Logo;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The most faults, and the most keys left out, that are told: the report must fit any broker.
const TOLD_MAX: usize = 20;
/// The most characters of the place and of the reason of a fault that are told.
const WORDS_MAX: usize = 400;
const LABELS_MAX: usize = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSettings {
    #[serde(default)]
    device: WrittenDevice,
    #[serde(default)]
    orders: WrittenOrders,
    #[serde(default)]
    screen: WrittenLooks,
    item: Option<Vec<WrittenItem>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WrittenDevice {
    name: Option<String>,
    language: Option<String>,
    labels: Option<Vec<String>>,
    report_every_s: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WrittenLooks {
    contact: Option<String>,
    greeting: Option<String>,
    colours: Option<BTreeMap<String, String>>,
    /// A PNG in base64; empty: none.
    logo: Option<String>,
}

#[derive(Debug)]
pub struct Good {
    /// The machine's own settings, with those of the text in their places.
    pub settings: Settings,
    /// The keys that this release does not know, and has left out. At most [`TOLD_MAX`] are told.
    pub left_out: Vec<WrongValue>,
    /// The text, if it has items.
    items: Option<Source>,
}

/// Reads a text, and puts it over the machine's own settings. Keys that this release does not know are faults, unless they may be left
/// out. At most [`TOLD_MAX`] faults are told. If there are more, the last one says how many. `lines` are those that the relay service
/// has told, and `charges` is what the backend has.
pub fn read(text: &str, skip_unknown: bool, own: &Settings, judges: (&[RelayLine], &Charges)) -> Result<Good, Vec<WrongValue>> {
    let source = Source::from_text("settings", text);
    let check = |written: WrittenSettings, checker: &mut Checker<'_>| {
        let has_items = written.item.is_some();
        Some((written.check(own, judges, checker), has_items))
    };
    let read =
        if skip_unknown { source.read_checked_in_part(check) } else { source.read_checked(check).map(|settings| (settings, Vec::new())) };
    match read {
        Ok(((settings, has_items), left_out)) => Ok(Good { settings, left_out: told(left_out.iter()), items: has_items.then_some(source) }),
        Err(faults) => Err(told(Faults::iter(&faults))),
    }
}

impl Good {
    /// The same, if these lines take its prices: the relay service may have been away when the text came.
    pub fn with(self, judges: (&[RelayLine], &Charges)) -> Result<Self, Vec<WrongValue>> {
        let Some(source) = &self.items else { return Ok(self) };
        let mut checker = source.checker();
        check_lines(&self.settings.appearance.items, &self.settings.slots, judges, &mut checker);
        checker.finish().map_err(|faults| told(Faults::iter(&faults)))?;
        Ok(self)
    }
}

fn told<'a>(faults: impl Iterator<Item = &'a Fault>) -> Vec<WrongValue> {
    let mut all: Vec<WrongValue> = faults
        .map(|fault| WrongValue {
            // The text may have a key or a value of any length.
            path: cut(fault.key.as_deref().unwrap_or_default().into(), WORDS_MAX),
            line: fault.line,
            why: cut(fault.why.as_str().into(), WORDS_MAX),
        })
        .collect();
    if all.len() > TOLD_MAX {
        let more = all.split_off(TOLD_MAX - 1).len();
        all.push(WrongValue { path: "…".into(), line: None, why: format!("{more} more").into() });
    }
    all
}

impl WrittenSettings {
    fn check(self, own: &Settings, judges: (&[RelayLine], &Charges), checker: &mut Checker<'_>) -> Settings {
        let mut settings = own.clone();
        if let Some(labels) = self.device.labels {
            settings.labels = check_labels(&labels, checker);
        }
        settings.report_every = check_report(self.device.report_every_s, own.report_every, checker);
        let looks = &mut settings.appearance;
        if let Some(language) = &self.device.language {
            looks.languages = check_languages(Some(language), checker);
        }
        if let Some(name) = self.device.name {
            looks.name = check_machine_name(&name, checker);
        }
        if let Some(contact) = self.screen.contact {
            looks.contact = check_contact(&contact, checker);
        }
        if let Some(greeting) = self.screen.greeting {
            looks.greeting = check_greeting(&greeting, checker);
        }
        if let Some(colours) = self.screen.colours {
            looks.theme = check_colours(colours, checker);
        }
        if let Some(logo) = self.screen.logo {
            looks.logo = check_logo(&logo, checker);
        }
        let language = looks.languages.first();
        if let Some(items) = self.item {
            let count = items.len();
            let Items { prices, names, slots, shown } = check_items(items, language, checker);
            (settings.prices, settings.names, settings.slots, looks.items) = (prices, names, slots, shown);
            // Else they have other places than in the text, and it is refused in any case.
            if looks.items.len() == count {
                check_lines(&looks.items, &settings.slots, judges, checker);
            }
        } else {
            settings.names = charged_names(&looks.items, language);
        }
        settings.orders = self.orders.check(&own.orders, checker);
        settings
    }
}

/// The line of each item, found at once: there may be a thousand of both.
#[derive(Debug)]
pub(crate) struct LineOf<'a> {
    lines: &'a [RelayLine],
    of: HashMap<&'a str, &'a RelayLine>,
}

impl<'a> LineOf<'a> {
    pub(crate) fn new(lines: &'a [RelayLine]) -> Self {
        let mut of = HashMap::new();
        for line in lines {
            for item in &line.items {
                of.entry(&**item).or_insert(line);
            }
        }
        Self { lines, of }
    }

    /// Whether anybody has told them.
    pub(crate) fn are_known(&self) -> bool {
        !self.lines.is_empty()
    }

    pub(crate) fn of(&self, item: &ItemId) -> Option<&'a RelayLine> {
        self.of.get(item.as_str()).or_else(|| self.of.get("*")).copied()
    }
}

/// Each item has a line that takes its price. A counted item has a line that hands out one for each payment.
fn check_lines(
    items: &[Item],
    slots: &BTreeMap<ItemId, SlotSettings>,
    (lines, charges): (&[RelayLine], &Charges),
    checker: &mut Checker<'_>,
) {
    let line_of = LineOf::new(lines);
    for (at, key, why) in not_taken(items, lines, charges) {
        checker.fault(&format!("item[{at}].{key}"), why);
    }
    for (at, item) in items.iter().enumerate().filter(|(_, item)| slots.contains_key(&item.id)) {
        if let Some(line) = line_of.of(&item.id).filter(|line| line.limits.step.is_some()) {
            checker.fault(&format!("item[{at}].capacity"), fill(texts().counted_here, &[&format_args!("{:?}", line.name)]));
        }
    }
}

/// The items that no line and no charge takes: the place in the list, the key that is wrong, and why. Without lines, and without the backend's
/// word, nobody knows. If a controller says the price, each request is judged.
pub fn not_taken<'a>(
    items: &'a [Item],
    lines: &'a [RelayLine],
    charges: &'a Charges,
) -> impl Iterator<Item = (usize, &'static str, String)> + 'a {
    let line_of = LineOf::new(lines);
    let by_line = move |at: usize, item: &Item| {
        let Some(line) = line_of.of(&item.id) else { return Some((at, "id", fill(texts().no_line_here, &[&item.id]))) };
        let price = item.price.filter(|price| line.limits.judge(*price).is_err())?;
        let name = format!("{:?}", line.name);
        if price < line.limits.min {
            return Some((at, "price", fill(texts().line_least, &[&name, &price, &line.limits.min])));
        }
        Some((at, "price", fill(texts().line_refuses, &[&name, &price, &line.limits])))
    };
    let by_charge = |at: usize, item: &Item| {
        let price = item.price.filter(|price| !charges.takes(*price))?;
        let [least, most] = charges.bounds()?.map(total);
        Some((at, "price", fill(texts().charge_refuses, &[&price, &least, &most])))
    };
    items.iter().enumerate().filter_map(move |(at, item)| {
        let of_line = if lines.is_empty() { None } else { by_line(at, item) };
        of_line.or_else(|| by_charge(at, item))
    })
}

fn check_labels(labels: &[String], checker: &mut Checker<'_>) -> Vec<Box<str>> {
    if labels.len() > LABELS_MAX {
        checker.fault("device.labels", fill(texts().many_labels, &[&LABELS_MAX]));
    }
    for label in labels {
        let is_word = (1..=32).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if !is_word {
            checker.fault("device.labels", fill(texts().label, &[&format_args!("{label:?}")]));
        }
    }
    labels.iter().map(|label| label.as_str().into()).collect()
}

fn check_logo(text: &str, checker: &mut Checker<'_>) -> Option<Arc<Logo>> {
    let key = "screen.logo";
    if text.is_empty() {
        return None;
    }
    let bytes = checker.take(BASE64.decode(text), key)?;
    checker.take(Logo::read(&bytes), key).map(Arc::new)
}
