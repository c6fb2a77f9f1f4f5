//! The whole of what can be set from afar, as a text: so a machine tells what its own file says, and so two states are compared.

use crate::words::{OrderSettings, Settings, SlotSettings};
use qris_core::order::ids::DeviceId;
use qris_core::order::keys::KeySet;
use qris_core::order::machine::Rules;
use qris_core::order::request::{Price, PriceList};
use qris_core::order::time::{BootId, Span, Wall};
use qris_host::config::quoted;
use qris_screen::theme::{self, Theme};
use qris_screen::{Language, Languages, Rotation, SurfaceSettings};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Every key that can be set from afar. [`super::read`] makes the same settings of it, but for the logo. Nobody has its file any more, so
/// it is left out where there is one.
#[must_use]
pub fn written(settings: &Settings) -> String {
    let Settings { labels, report_every, orders, appearance, .. } = settings;
    let OrderSettings { timeout, per_minute, rules: Rules { cancel_wait, late_grace, deliver_within } } = orders;
    let language = match appearance.languages {
        Languages::Only(Language::Id) => "id",
        Languages::Only(Language::En) => "en",
        Languages::Both => "both",
    };
    let seconds = |span: &Span| span.0 / 1000;
    let labels = labels.iter().map(|label| quoted(label)).collect::<Vec<_>>().join(", ");
    let mut theme: Theme = appearance.theme.clone();
    let colours: Vec<_> = theme::KEYS.iter().filter_map(|key| theme.key(key).map(|colour| format!("{key} = \"#{colour:06x}\""))).collect();
    format!(
        "[device]\nname = {}\nlanguage = \"{language}\"\nlabels = [{labels}]\nreport_every_s = {}\n\n\
         [orders]\ntimeout_s = {}\norders_per_minute = {per_minute}\ncancel_wait_s = {}\nlate_settlement_grace_s = {}\n\
         deliver_within_s = {}\n\n\
         [screen]\ncontact = {}\ngreeting = {}\ncolours = {{ {} }}\n{}\n{}",
        quoted(&appearance.name),
        seconds(report_every),
        seconds(timeout),
        seconds(cancel_wait),
        seconds(late_grace),
        seconds(deliver_within),
        quoted(&appearance.contact),
        quoted(&appearance.greeting),
        colours.join(", "),
        if appearance.logo.is_none() { "logo = \"\"\n" } else { "" },
        items(settings),
    )
}

/// The items of it alone, in their order on the screen.
#[must_use]
pub fn items(settings: &Settings) -> String {
    let prices: BTreeMap<_, _> = settings.prices.items().collect();
    let item = |item: &qris_screen::Item| {
        let price = match prices.get(&item.id)? {
            Price::Fixed(price) => price.get().to_string(),
            Price::FromRequest { min, max, mqtt } => {
                format!("{{ from_request = {{ min = {}, max = {}, mqtt = {mqtt} }} }}", min.get(), max.get())
            }
        };
        let name = match [&item.id_name, &item.en_name].map(|name| quoted(name)) {
            [id, en] if id == en => id,
            [id, en] => format!("{{ id = {id}, en = {en} }}"),
        };
        let slot = settings.slots.get(&item.id).map_or_else(String::new, |SlotSettings { capacity, low, goods, name: _ }| {
            let same = if *goods == item.id { String::new() } else { format!("same_as = {}\n", quoted(goods.as_str())) };
            format!("capacity = {capacity}\nlow = {low}\n{same}")
        });
        Some(format!("[[item]]\nid = {}\nname = {name}\nprice = {price}\n{slot}", quoted(item.id.as_str())))
    };
    settings.appearance.items.iter().filter_map(item).collect::<Vec<_>>().join("\n")
}

/// A machine of whose own file nothing is known. A text that is wrong for it is wrong for every machine.
#[must_use]
pub fn of_unknown(device: DeviceId) -> Settings {
    let usual = OrderSettings::default();
    let rules = Rules { late_grace: Span::default(), deliver_within: super::super::orders::DELIVER_WITHIN_MIN, ..usual.rules };
    Settings {
        device,
        broker: None,
        prices: PriceList::default(),
        names: BTreeMap::new(),
        slots: BTreeMap::new(),
        orders: OrderSettings { rules, ..usual },
        keys: KeySet::default(),
        screen_required: false,
        labels: Vec::new(),
        report_every: Span::default(),
        appearance: qris_screen::Settings {
            surface: SurfaceSettings::Any,
            rotate: Rotation::None,
            languages: Languages::Only(Language::Id),
            name: String::new(),
            contact: String::new(),
            greeting: String::new(),
            items: Vec::new(),
            theme: Theme::default(),
            logo: None,
            page_beside: false,
        },
        store: PathBuf::new(),
        boot_id: BootId("".into()),
        released: Wall(0),
        tells_time: false,
    }
}
