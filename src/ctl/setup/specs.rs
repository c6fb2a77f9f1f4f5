//! The one-word forms of the command line and of the conversation: items for sale and lines, each with its table of the
//! configuration; a name, an address.

use super::text::{fill, texts};
use qris_core::order::ids::ItemId;
use qris_core::order::ledger::DRIVE_MAX;
use qris_core::order::money::Rupiah;
use qris_core::order::request::Payment;
use qris_core::text::steers;
use qris_device::screen::unknown_letter;
use qris_host::config::quoted;
use qris_host::hint::plain_number;
use qris_relay::chip::ChipName;
use std::fmt;
use std::path::PathBuf;

/// How long a line is active if nothing else is said, in milliseconds.
const PULSE_MS: u32 = 500;
const OFFSET_MAX: u32 = 1023;

/// `ID:PRICE[:NAME]`, or `ID:MIN-MAX[:NAME]` where the controller computes the price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) id: ItemId,
    price: Price,
    name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Price {
    Fixed(Rupiah),
    Asked { min: Rupiah, max: Rupiah },
}

/// `ITEM[,ITEM…]=CHIP:OFFSET[:low][:500ms][:button=OFFSET]`; `sim:/path` as the chip has no offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LineSpec {
    pub(super) items: Vec<String>,
    pub(super) chip: String,
    pub(super) offset: Option<u32>,
    pub(super) active_low: bool,
    pub(super) pulse_ms: u32,
    /// A button of its one item, to ground, at the same chip.
    button: Option<u32>,
}

/// Which panel: `auto`, `none`, a device, or `virtual:/path[:WxH]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Screen {
    Auto,
    None,
    Device(PathBuf),
    Virtual { path: PathBuf, size: Option<(u32, u32)> },
}

pub(super) fn item(text: &str) -> Result<Item, String> {
    let wrong = || texts().item_form.to_owned();
    let (id, rest) = text.split_once(':').ok_or_else(wrong)?;
    let id = ItemId::new(id).map_err(|_| texts().item_name)?;
    let (price, name) = rest.split_once(':').map_or((rest, None), |(price, name)| (price, Some(name.trim().to_owned())));
    let rupiah = |digits: &str| {
        let amount: u64 = digits.parse().map_err(|_| match plain_number(digits) {
            Some(number) => fill(texts().item_plain, &[&format!("{digits:?}"), &number]),
            None => wrong(),
        })?;
        // Nobody can pay more, in whatever way.
        let most = *Payment::Gopay.amounts().end();
        Rupiah::new(amount).ok().filter(|_| amount <= most).ok_or_else(|| fill(texts().amount, &[&most]))
    };
    let price = match price.split_once('-') {
        None => Price::Fixed(rupiah(price)?),
        Some((min, max)) => match (rupiah(min)?, rupiah(max)?) {
            (min, max) if min > max => return Err(fill(texts().item_least, &[&min, &max])),
            (min, max) => Price::Asked { min, max },
        },
    };
    if name.as_ref().is_some_and(String::is_empty) {
        return Err(wrong());
    }
    let name = name.map(|name| parse_letters(&name)).transpose()?;
    Ok(Item { id, price, name })
}

pub(super) fn line(text: &str) -> Result<LineSpec, String> {
    let wrong = || texts().line_form.to_owned();
    let (items, pin) = text.split_once('=').ok_or_else(wrong)?;
    let items: Vec<String> = items.split(',').map(|item| item.trim().to_owned()).collect();
    if items.len() > 1 && items.iter().any(|item| item == "*") {
        return Err(texts().line_star.into());
    }
    for item in items.iter().filter(|item| *item != "*") {
        ItemId::new(item).map_err(|_| texts().item_name)?;
    }
    let (sim, pin) = pin.strip_prefix("sim:").map_or(("", pin), |path| ("sim:", path));
    // Each may come once: with two, nobody knows which one counts. The name of a chip may have colons, so they are read from the end.
    let (mut offset, mut level, mut pulse, mut button, mut chip) = (None, None, None, None, pin);
    while let Some((before, field)) = chip.rsplit_once(':') {
        match (field, field.strip_suffix("ms").and_then(|ms| ms.parse().ok()), field.strip_prefix("button="), field.parse()) {
            (_, _, Some(pin), _) if button.is_none() && sim.is_empty() => button = Some(pin.parse().map_err(|_| wrong())?),
            ("low" | "high", ..) if level.is_none() => level = Some(field == "low"),
            (_, Some(ms), None, _) if pulse.is_none() => pulse = Some(ms),
            (_, None, None, Ok(number)) if offset.is_none() => offset = Some(number),
            _ => break,
        }
        chip = before;
    }
    let is_path = chip.starts_with('/') && !chip.contains(':');
    if !(is_path || sim.is_empty() && ChipName::new(chip).is_ok()) {
        return Err(wrong());
    }
    if offset.is_none() && sim.is_empty() {
        return Err(wrong());
    }
    if offset.into_iter().chain(button).any(|offset: u32| offset > OFFSET_MAX) {
        return Err(fill(texts().line_offset, &[&OFFSET_MAX]));
    }
    if let Some(twice) = items.iter().enumerate().find_map(|(at, item)| items[..at].contains(item).then_some(item)) {
        return Err(fill(texts().line_twice, &[twice]));
    }
    if button.is_some() && (items.len() > 1 || items[0] == "*") {
        return Err(texts().line_button_items.into());
    }
    if button.is_some() && button == offset {
        return Err(texts().line_button_pin.into());
    }
    let pulse_ms = pulse.unwrap_or(PULSE_MS);
    if !(1..=DRIVE_MAX.0).contains(&i64::from(pulse_ms)) {
        return Err(fill(texts().line_pulse, &[&DRIVE_MAX.0]));
    }
    Ok(LineSpec { chip: format!("{sim}{chip}"), items, offset, active_low: level.unwrap_or(false), pulse_ms, button })
}

pub(super) fn screen(text: &str) -> Result<Screen, String> {
    match text {
        "auto" => return Ok(Screen::Auto),
        "none" => return Ok(Screen::None),
        _ => {}
    }
    let wrong = || texts().screen_form.to_owned();
    let Some(file) = text.strip_prefix("virtual:") else {
        return if text.starts_with('/') { Ok(Screen::Device(text.into())) } else { Err(wrong()) };
    };
    let (path, size) = file.split_once(':').map_or((file, None), |(path, size)| (path, Some(size)));
    let sides = |size: &str| size.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    let size = size.map(|size| sides(size).ok_or_else(wrong)).transpose()?;
    if path.starts_with('/') { Ok(Screen::Virtual { path: path.into(), size }) } else { Err(wrong()) }
}

/// As a person would give it.
impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, price, name } = self;
        match price {
            Price::Fixed(price) => write!(f, "{id}:{}", price.get())?,
            Price::Asked { min, max } => write!(f, "{id}:{}-{}", min.get(), max.get())?,
        }
        name.as_ref().map_or(Ok(()), |name| write!(f, ":{name}"))
    }
}

impl fmt::Display for LineSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { items, chip, offset, active_low, pulse_ms, button } = self;
        write!(f, "{}={chip}", items.join(","))?;
        offset.map_or(Ok(()), |offset| write!(f, ":{offset}"))?;
        write!(f, "{}", if *active_low { ":low" } else { "" })?;
        if *pulse_ms != PULSE_MS {
            write!(f, ":{pulse_ms}ms")?;
        }
        button.map_or(Ok(()), |button| write!(f, ":button={button}"))
    }
}

impl Item {
    /// As a table of `qrisd.toml`.
    pub(super) fn block(&self) -> String {
        let Self { id, price, name } = self;
        let price = match price {
            Price::Fixed(price) => price.get().to_string(),
            Price::Asked { min, max } => format!("{{ from_request = {{ min = {}, max = {}, mqtt = false }} }}", min.get(), max.get()),
        };
        let name = name.as_ref().map(|name| format!("name = {}\n", quoted(name))).unwrap_or_default();
        format!("[[item]]\nid = {}\n{name}price = {price}\n", quoted(id.as_str()))
    }
}

impl LineSpec {
    pub(super) fn name(&self) -> String {
        let name = if self.items.iter().any(|item| item == "*") { "all".to_owned() } else { self.items.join(" ") };
        name.chars().take(64).collect()
    }

    /// As a table of `relay.toml`. `least`: the price of its cheapest item, in rupiah, if that is known.
    pub(super) fn block(&self, least: Option<u64>) -> String {
        let Self { items, chip, offset, active_low, pulse_ms, button: _ } = self;
        let quoted_items: Vec<_> = items.iter().map(|item| quoted(item)).collect();
        let least = least.map(|least| format!("min_amount = {least}\n")).unwrap_or_default();
        let offset = offset.map(|offset| format!("offset = {offset}\n")).unwrap_or_default();
        format!(
            "[[line]]\nname = {}\nitems = [{}]\n{least}chip = {}\n{offset}active_low = {active_low}\npulse_ms = {pulse_ms}\nblock_on_uncertain = false\n",
            quoted(&self.name()),
            quoted_items.join(", "),
            quoted(chip),
        )
    }
}

impl LineSpec {
    pub(super) fn button_block(&self) -> Option<String> {
        let (item, chip) = (quoted(self.items.first()?), quoted(&self.chip));
        let pin = format!("chip = {chip}\noffset = {}\nactive_low = true\nbias = \"pull_up\"\n", self.button?);
        Some(format!("[[button]]\nitem = {item}\n{pin}"))
    }
}

/// The price of the cheapest of `items` in the `[[item]]` tables of a `qrisd.toml`, in rupiah.
pub(super) fn least_price(tables: &[toml::Table], items: &[String]) -> Option<u64> {
    let of = |table: &&toml::Table| {
        let id = table.get("id").and_then(toml::Value::as_str);
        items.iter().any(|item| item == "*" || Some(item.as_str()) == id)
    };
    let price = |table: &toml::Table| {
        let price = table.get("price")?;
        let asked = || price.get("from_request")?.get("min")?.as_integer();
        price.as_integer().or_else(asked).and_then(|price| u64::try_from(price).ok())
    };
    tables.iter().filter(of).filter_map(price).min()
}

/// Text that a person can read.
pub(super) fn parse_words(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err(texts().empty),
        text if text.contains(steers) => Err(texts().unprintable),
        text => Ok(text.into()),
    }
}

/// The same for text that the screen shows.
pub(super) fn parse_letters(text: &str) -> Result<String, String> {
    let text = parse_words(text)?;
    match unknown_letter(&text) {
        Some(letter) => Err(fill(texts().letter, &[&format!("{letter:?}")])),
        None => Ok(text),
    }
}

pub(super) fn parse_degrees(text: &str) -> Result<u32, &'static str> {
    text.parse().ok().filter(|degrees| [0, 90, 180, 270].contains(degrees)).ok_or(texts().degrees)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_words_and_tables() {
        let block = |text: &str| item(text).map(|item| item.block());
        assert_eq!(block("A1:5000"), Ok("[[item]]\nid = \"A1\"\nprice = 5000\n".into()));
        assert_eq!(
            block("A1:5000:Teh \"botol\": 350 ml"),
            Ok("[[item]]\nid = \"A1\"\nname = \"Teh \\\"botol\\\": 350 ml\"\nprice = 5000\n".into())
        );
        assert_eq!(
            block("exit:2000-200000:Parkir"),
            Ok("[[item]]\nid = \"exit\"\nname = \"Parkir\"\nprice = { from_request = { min = 2000, max = 200000, mqtt = false } }\n"
                .into())
        );
        for good in ["A1:5000", "A1:20000000", "A1:5000:Teh: 350 ml", "exit:2000-200000:Parkir"] {
            assert_eq!(item(good).map(|item| item.to_string()), Ok(good.into()));
        }
        let bad = ["", "A1", "A1:", "A1:x", "A1:0", "a b:5000", "A1:5000:", "A1:1.5", "A1:-5", "A1:9000-2000", "A1:5000:茶", "A1:20000001"];
        for bad in bad {
            assert!(item(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lines_are_words_and_tables() {
        let read = line("A1, A2=/dev/gpiochip0:17:low:300ms").expect("a line");
        assert_eq!(
            read.block(Some(4000)),
            "[[line]]\nname = \"A1 A2\"\nitems = [\"A1\", \"A2\"]\nmin_amount = 4000\nchip = \"/dev/gpiochip0\"\noffset = 17\nactive_low = true\npulse_ms = 300\nblock_on_uncertain = false\n"
        );
        let chip = |text: &str| line(text).map(|line| (line.chip, line.offset));
        assert_eq!(chip("A1=INT34C5:00:17:low"), Ok(("INT34C5:00".into(), Some(17))), "a label may have colons");
        assert_eq!(chip("A1=/devices/platform/a.gpio:4"), Ok(("/devices/platform/a.gpio".into(), Some(4))));
        for good in
            ["A1=pinctrl-rp1:17", "A1,A2=/dev/gpiochip0:17:low:300ms", "A1=/dev/gpiochip0:17", "*=sim:/tmp/x", "A1=/dev/x:6:low:button=26"]
        {
            assert_eq!(line(good).map(|line| line.to_string()), Ok(good.into()));
        }
        let sim = line("*=sim:/tmp/x").expect("a line");
        assert_eq!((sim.offset, sim.chip.as_str(), sim.pulse_ms, sim.active_low), (None, "sim:/tmp/x", 500, false));
        for bad in [
            "",
            "A1",
            "A1=",
            "A1=17",
            "A1=/dev/gpiochip0",
            "A1=/dev/gpiochip0:x",
            "A1=/dev/gpiochip0:1:2",
            "a b=/dev/x:1",
            "=/dev/x:1",
            "*,A1=/dev/x:1",
        ]
        .into_iter()
        .chain(["A1=/dev/x:1:low:high", "A1=/dev/x:1:low:low", "A1=/dev/x:1:300ms:500ms"])
        .chain(["A1,A2=/dev/x:1:button=2", "*=/dev/x:1:button=2", "A1=sim:/x:button=2", "A1=/dev/x:1:button=1", "A1=/dev/x:1:button=1024"])
        .chain([
            "A1=/dev/x:1:button=",
            "A1=/dev/x:1:button=2:button=3",
            "A1=/dev/x:1024",
            "A1=/dev/x:1:0ms",
            "A1=/dev/x:1:120001ms",
            "A1,A1=/dev/x:1",
        ]) {
            assert!(line(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_line_asks_for_what_its_cheapest_item_costs() {
        let tables = qris_host::setup::edit::tables_of(
            "[[item]]\nid = \"A\"\nprice = 5000\n[[item]]\nid = \"B\"\nprice = { from_request = { min = 2000, max = 9000 } }\n[[item]]\nid = \"C\"\n",
            "item",
        );
        for (items, least) in [(&["A"][..], Some(5000)), (&["A", "B"], Some(2000)), (&["*"], Some(2000)), (&["C"], None), (&["D"], None)] {
            let items: Vec<_> = items.iter().map(|item| (*item).to_owned()).collect();
            assert_eq!(least_price(&tables, &items), least, "{items:?}");
        }
    }

    #[test]
    fn screens_are_words() {
        assert_eq!((screen("auto"), screen("none")), (Ok(Screen::Auto), Ok(Screen::None)));
        assert_eq!(screen("/dev/fb1"), Ok(Screen::Device("/dev/fb1".into())));
        assert_eq!(screen("virtual:/tmp/s:480x800"), Ok(Screen::Virtual { path: "/tmp/s".into(), size: Some((480, 800)) }));
        for bad in ["", "fb0", "virtual:", "virtual:x", "virtual:/x:1", "virtual:/x:ax1"] {
            assert!(screen(bad).is_err(), "{bad}");
        }
    }
}
