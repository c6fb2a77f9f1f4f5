//! The goods that a machine sells now, as it has told them, and what another text would make of them. The machine's own code reads both.

use super::diff::{Differences, Flat, differences, flat};
use qris_core::order::ids::{DeviceId, ItemId};
use qris_core::order::money::Rupiah;
use qris_core::wire::settings::{ConfigGetResult, Reported, SETTINGS_MAX, WrongValue, made_of};
use qris_device::config::afar::text::{items, of_unknown, written};
use qris_device::config::afar::{self, Good};
use qris_device::words::{Charges, Settings};
use qris_host::setup::edit::{set_in, tables_of};
use serde_json::Value;

/// The key of the logo. A machine cannot tell that of its own file.
const LOGO: &str = "screen.logo";
/// Stands before the items in a text that had none.
const HEAD: &str = "# These items are all that is sold. What does not stand in this text is as in the machine's own file.\n";

#[derive(Debug)]
pub(super) struct Sold {
    pub(super) reported: Reported,
    /// Whether the relay service has told which prices its lines take.
    pub(super) knows_lines: bool,
    told: ConfigGetResult,
    own: Settings,
    in_force: Settings,
}

pub(super) enum ChangePlan {
    Send(String),
    /// It has this already.
    Same(String),
    Unsold(String),
    Wrong(String),
}

/// Checks a text for machines of whose own files nothing is known: what is wrong with it for every machine.
pub(super) fn check(text: &str, skip_unknown: bool) -> Result<Vec<WrongValue>, Vec<WrongValue>> {
    let nobody = of_unknown(DeviceId::new("machine").expect("an id"));
    afar::read(text, skip_unknown, &nobody, (&[], &Charges::default())).map(|good| good.left_out)
}

/// The longest own file of a machine that is read, in bytes: a thousand items with all that they can have are shorter.
const OWN_MAX: usize = 8 * SETTINGS_MAX;

impl Sold {
    /// Reads the result of `config-get`.
    pub(super) fn read(device: &DeviceId, result: &Value) -> Result<Self, String> {
        let unread = |why: &dyn std::fmt::Display| format!("what it says of itself cannot be read here: {why}");
        let mut told: ConfigGetResult = serde_json::from_value(result.clone()).map_err(|why| unread(&why))?;
        if told.settings.as_ref().is_some_and(|text| text.len() > SETTINGS_MAX) {
            return Err(unread(&format_args!("its settings have more than {SETTINGS_MAX} bytes")));
        }
        if told.own.len() > OWN_MAX {
            return Err(unread(&format_args!("its own file has more than {OWN_MAX} bytes")));
        }
        let reported = told.reported.take().ok_or("its database is not open: nobody knows what is in force")?;
        let read = |text: &str, own: &Settings| {
            let Good { settings, .. } = afar::read(text, true, own, (&[], &Charges::default()))
                .map_err(|faults| faults.first().map_or_else(String::new, |first| unread(first)))?;
            Ok::<_, String>(settings)
        };
        let own = read(&told.own, &of_unknown(device.clone()))?;
        let in_force = read(told.settings.as_deref().unwrap_or_default(), &own)?;
        Ok(Self { reported, knows_lines: !told.lines.is_empty(), told, own, in_force })
    }

    /// The `made_of` of a text that is made of this.
    pub(super) fn seen(&self) -> Box<str> {
        made_of(&self.told.own, self.told.settings.as_deref())
    }

    /// The changes that a text would make, or the values that this machine would not take.
    pub(super) fn with(&self, text: &str, skip_unknown: bool) -> Result<Differences, Vec<WrongValue>> {
        let wanted = afar::read(text, skip_unknown, &self.own, (&self.told.lines, &Charges(self.told.amounts.clone())))?;
        let has = self.shown(self.told.settings.as_deref().unwrap_or_default(), &self.in_force);
        Ok(differences(&has, &self.shown(text, &wanted.settings)))
    }

    /// The settings that a text makes.
    fn shown(&self, text: &str, settings: &Settings) -> Flat {
        let logo = |text: &str| flat(text).remove(LOGO);
        let logo = logo(text).or_else(|| logo(&self.told.own)).unwrap_or_else(|| "the machine's own picture".into());
        let mut shown = flat(&written(settings));
        shown.insert(LOGO.into(), logo);
        shown
    }

    /// A text from which another one can be written: it changes nothing, and names every item.
    pub(super) fn text(&self) -> String {
        let text = self.told.settings.as_deref().unwrap_or_default();
        if !tables_of(text, "item").is_empty() {
            return text.into();
        }
        let parts = [text.trim_end(), "\n\n", HEAD, &items(&self.in_force)].concat();
        parts.trim_start().into()
    }

    /// The same with another price of an item, and of all slots with its goods.
    pub(super) fn priced(&self, item: &ItemId, price: Rupiah) -> ChangePlan {
        let text = self.text();
        let tables = tables_of(&text, "item");
        let goods = |table: &toml::Table| ["same_as", "id"].into_iter().find_map(|key| table.get(key)).cloned();
        let Some(of) = tables.iter().find(|table| table.get("id").and_then(|id| id.as_str()) == Some(item.as_str())).map(goods) else {
            return ChangePlan::Unsold(format!("{item} is not sold there"));
        };
        // Only the first of the slots must say the price.
        let prices = tables.iter().enumerate().filter(|(_, table)| goods(table) == of);
        let prices: Vec<_> = prices.filter_map(|(at, table)| Some((at, table.get("price")?.as_integer()))).collect();
        if prices.iter().any(|(_, now)| now.is_none()) {
            return ChangePlan::Wrong(format!(
                "the controller says the price of {item} there: `qrisctl fleet config set` changes its bounds"
            ));
        }
        if prices.iter().all(|(_, now)| now.and_then(|now| u64::try_from(now).ok()) == Some(price.get())) {
            return ChangePlan::Same(format!("{item} costs {price} already"));
        }
        match prices.iter().try_fold(text, |text, (at, _)| set_in(&text, "item", *at, "price", &price.get().to_string())) {
            Ok(text) => ChangePlan::Send(text),
            Err(why) => ChangePlan::Wrong(format!("{why}; `qrisctl fleet config get --text` prints the text")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const LOGO_PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";

    fn own() -> String {
        let mut own = of_unknown(device());
        own.appearance.name = "Lobby".into();
        let lines = "[[item]]\nid = \"A1\"\nname = \"Tea\"\nprice = 5000\n[[item]]\nid = \"A2\"\nprice = 7000\n\
            [[item]]\nid = \"P\"\nprice = { from_request = { min = 1, max = 9 } }\n";
        written(&afar::read(lines, false, &own, (&[], &Charges::default())).expect("good").settings)
    }

    fn device() -> DeviceId {
        DeviceId::new("vm-001").expect("an id")
    }

    fn sold(settings: Option<&str>) -> Sold {
        let lines = json!([{ "name": "tray", "items": ["*"], "state": "ready", "limits": { "min": 2000 } }]);
        Sold::read(&device(), &json!({ "reported": { "version": 1 }, "settings": settings, "own": own(), "lines": lines })).expect("read")
    }

    #[test]
    fn another_text_is_compared_with_what_is_sold_whoever_has_set_it() {
        let a1 = "[[item]]\nid = \"A1\"\nname = \"Tea\"\nprice = 6000\n";
        let logo = format!("[screen]\nlogo = \"{LOGO_PNG}\"\n");
        let all = "A2 \"A2\" 7000";
        let price = "item[A1].price: 5000 -> 6000";
        let asked = "P \"P\" {\"from_request\":{\"max\":9,\"min\":1,\"mqtt\":false}}";
        // The text from afar, the text that is written, the values that are different, and the items that are no longer sold.
        type Row<'a> = (Option<&'a str>, &'a str, &'a [&'a str], &'a [&'a str]);
        let table: [Row; 7] = [
            (None, "", &[], &[]),
            (None, a1, &[price], &[all, asked]),
            (Some(a1), a1, &[], &[]),
            (Some("[device]\nname = \"Lobi\"\n"), a1, &["device.name: \"Lobi\" -> \"Lobby\"", price], &[all, asked]),
            (Some("[device]\nlabels = [\"a\"]\n"), "", &["device.labels: [\"a\"] -> []"], &[]),
            (Some(&logo), &logo, &[], &[]),
            (
                Some(a1),
                "",
                &[
                    "item[A1].price: 6000 -> 5000",
                    "item[A2].id: nothing -> \"A2\"",
                    "item[A2].name: nothing -> \"A2\"",
                    "item[A2].price: nothing -> 7000",
                    "item[P].id: nothing -> \"P\"",
                    "item[P].name: nothing -> \"P\"",
                    "item[P].price: nothing -> {\"from_request\":{\"max\":9,\"min\":1,\"mqtt\":false}}",
                ],
                &[],
            ),
        ];
        for (has, wanted, values, gone) in table {
            let told = sold(has).with(wanted, false).expect("good");
            assert_eq!(
                (told.values, told.gone),
                (values.iter().map(|line| (*line).into()).collect(), gone.iter().map(|item| (*item).into()).collect()),
                "{has:?} {wanted:?}"
            );
        }
        let told = sold(Some(&logo)).with("", false).expect("good").values;
        assert!(told.len() == 1 && told[0].starts_with("screen.logo: \"iVBOR") && told[0].ends_with(" -> \"\""), "{told:?}");
        let charges = json!({ "gopay": { "min": 1, "max": 20_000_000 } });
        let told = json!({ "reported": { "version": 1 }, "own": own(), "lines": [], "amounts": charges });
        let bound = Sold::read(&device(), &told).expect("read");
        assert!(bound.with("[[item]]\nid = \"A1\"\nprice = 20000000\n", false).is_ok());
        let wrong = bound.with("[[item]]\nid = \"A1\"\nprice = 20000001\n", false).expect_err("the backend cannot charge it");
        assert!(wrong[0].why.contains("Rp20.000.000"), "{wrong:?}");
        let wrong = sold(None).with("[[item]]\nid = \"A1\"\nprice = 1999\n", false).expect_err("the line takes more");
        assert!((wrong[0].line, &*wrong[0].path) == (Some(3), "item[0].price"), "{wrong:?}");
    }

    #[test]
    fn the_text_to_start_from_changes_nothing_and_names_all_items() {
        for has in [None, Some("# mine\n[device]\nname = \"Lobi\""), Some("# mine\n[[item]]\nid = \"B1\"\nprice = 9000 # dear\n")] {
            let sold = sold(has);
            assert_eq!(sold.with(&sold.text(), false), Ok(Differences::default()), "{has:?}");
            assert!(sold.text().contains("# mine") == has.is_some() && sold.text().contains("[[item]]"), "{}", sold.text());
        }
    }

    #[test]
    fn a_price_changes_one_item_and_nothing_else() {
        let price = |amount| Rupiah::new(amount).expect("an amount");
        let item = |id| ItemId::new(id).expect("an id");
        let b1 = "# mine\n[device]\nname = \"Lobi\"\n[[item]]\nid = \"B1\"\nprice = 9000 # dear\n";
        for (has, id, wanted) in [(None, "A1", "item[A1].price: 5000 -> 6000"), (Some(b1), "B1", "item[B1].price: 9000 -> 6000")] {
            let sold = sold(has);
            let ChangePlan::Send(text) = sold.priced(&item(id), price(6000)) else { panic!("it is sold") };
            assert_eq!(sold.with(&text, false), Ok(Differences { values: vec![wanted.into()], gone: vec![] }));
            assert_eq!(text.contains("# dear"), has.is_some(), "{text}");
        }
        assert!(matches!(sold(Some(b1)).priced(&item("A1"), price(6000)), ChangePlan::Unsold(why) if why == "A1 is not sold there"));
        assert!(matches!(sold(None).priced(&item("A1"), price(5000)), ChangePlan::Same(why) if why == "A1 costs Rp5.000 already"));
        assert!(matches!(sold(None).priced(&item("P"), price(5000)), ChangePlan::Wrong(_)));
    }

    /// Whichever of them is named, and whether the second one says the price or leaves it to the first.
    #[test]
    fn slots_with_the_same_goods_get_one_price() {
        let slot = |id: &str, more: &str| format!("[[item]]\nid = \"{id}\"\ncapacity = 9\n{more}\n");
        let first = slot("A1", "price = 5000");
        for more in ["same_as = \"A1\"", "same_as = \"A1\"\nprice = 5000"] {
            let sold = sold(Some(&(first.clone() + &slot("A2", more) + &slot("B1", "price = 5000"))));
            for id in ["A1", "A2"] {
                let priced = |amount| sold.priced(&ItemId::new(id).expect("an id"), Rupiah::new(amount).expect("an amount"));
                let ChangePlan::Send(text) = priced(6000) else { panic!("it is sold") };
                let told = sold.with(&text, false).expect("good").values;
                assert_eq!(told, ["A1", "A2"].map(|id| format!("item[{id}].price: 5000 -> 6000")), "{more} {id}");
                assert!(matches!(priced(5000), ChangePlan::Same(_)));
            }
            let other = first.replace("5000", "6000") + &slot("A2", "same_as = \"A1\"\nprice = 5000");
            let wrong = sold.with(&other, false).expect_err("two prices of the same goods");
            assert_eq!(&*wrong[0].path, "item[1].price");
        }
    }

    #[test]
    fn what_is_wrong_for_every_machine_is_found_without_one_and_nothing_else() {
        for wrong in ["[", "[[item]]\nid = \"A1\"\nprise = 6000\n", "[[item]]\nid = \"A1\"\nprice = \"6.000\"\n", "item = []\n"] {
            assert!(check(wrong, false).is_err(), "{wrong}");
        }
        // On a machine whose own times are short these are right.
        for right in ["", "[orders]\nlate_settlement_grace_s = 2700\n", "[orders]\ndeliver_within_s = 2700\n"] {
            assert_eq!(check(right, false), Ok(Vec::new()), "{right}");
        }
        let later = "[[item]]\nid = \"A1\"\nprice = 6000\ncolour = \"red\"\n";
        assert!(check(later, false).is_err() && check(later, true).is_ok_and(|left_out| left_out.len() == 1));
    }

    #[test]
    fn a_machine_that_does_not_say_what_is_in_force_is_not_compared() {
        let told = |answer: Value| Sold::read(&device(), &answer).expect_err("nothing is known");
        assert!(told(json!({})).contains("cannot be read here"));
        let long = json!({ "reported": { "version": 1 }, "settings": " ".repeat(SETTINGS_MAX + 1), "own": own(), "lines": [] });
        assert!(told(long).contains("more than 262144 bytes"));
        let long = json!({ "reported": { "version": 1 }, "settings": null, "own": "x".repeat(OWN_MAX + 1), "lines": [] });
        assert!(told(long).contains("more than 2097152 bytes"));
        assert!(told(json!({ "reported": null, "settings": null, "own": own(), "lines": [] })).contains("its database is not open"));
        let later = json!({ "reported": { "version": 1 }, "settings": "[orders]\ntimeout_s = 1\n", "own": own(), "lines": [] });
        assert!(told(later).contains("orders.timeout_s"));
    }
}
