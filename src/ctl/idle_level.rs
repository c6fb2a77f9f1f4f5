//! Pins at rest: the effect of a resistor inside the chip on a line before `qris-relayd` has the line. Only this file knows it.

use super::found::texts;
use qris_host::finding::Finding;
use qris_host::speech::fill;
use qris_relay::chip::ChipName;
use qris_relay::config::LineSettings;
use qris_relay::pin::Chip;

/// The kernel's names for the chip at the header of a Raspberry Pi: BCM2835, 2836 and 2837 share the first; BCM2711 has the
/// second; RP1, of the fifth, has the third. RP1's data sheet says that it pulls the pins of the header as the others do (RP1
/// Peripherals, the chapter on GPIO). Nobody has tried this on one.
const RASPBERRY_PI: [&str; 3] = ["pinctrl-bcm2835", "pinctrl-bcm2711", "pinctrl-rp1"];
/// A reset pulls up the GPIO at the header as far as this one, and pulls down the rest.
const PULLED_UP_LAST: u32 = 8;
const HEADER_LAST: u32 = 27;
/// Pins that are free on most machines, as docs/using/hardware.md lists them. These are pulled up, for boards that are active
/// low. The others below are pulled down, for all other boards.
const SAFE_LOW: [u32; 2] = [5, 6];
const SAFE_HIGH: [u32; 10] = [12, 13, 16, 17, 22, 23, 24, 25, 26, 27];

/// The level of a pin between power-on and the start of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pull {
    Up,
    Down,
}

/// The effect of a reset on a pin, where it is known.
fn pull(label: &str, offset: u32) -> Option<Pull> {
    if !RASPBERRY_PI.contains(&label) || offset > HEADER_LAST {
        return None;
    }
    Some(if offset <= PULLED_UP_LAST { Pull::Up } else { Pull::Down })
}

/// The reason why a line would be driven from power-on until the service starts, and the remedy.
pub(super) fn objection(label: &str, offset: u32, active_low: bool) -> Option<(String, String)> {
    let (pulled, drives, supply, firmware) = match (pull(label, offset)?, active_low) {
        (Pull::Down, true) => (texts().down, texts().low, "3.3 V", "pu"),
        (Pull::Up, false) => (texts().up, texts().high, "GND", "pd"),
        (Pull::Up, true) | (Pull::Down, false) => return None,
    };
    let safe = listed(if active_low { &SAFE_LOW } else { &SAFE_HIGH });
    let said = fill(texts().pulled, &[&offset, &pulled, &drives]);
    Some((said, fill(texts().pulled_do, &[&safe, &supply, &offset, &firmware])))
}

/// The pins that are at rest by themselves, for a person who chooses one; none where this is not known.
pub(super) fn advice(label: &str) -> Option<String> {
    RASPBERRY_PI.contains(&label).then(|| fill(texts().idle_pins, &[&listed(&SAFE_LOW), &listed(&SAFE_HIGH)]))
}

/// A warning for each line that a resistor drives. `label`: the kernel's name for a chip, where the kernel can be asked.
pub(super) fn findings(lines: &[LineSettings], label: impl Fn(&ChipName) -> Option<String>) -> Vec<Finding> {
    let warning = |line: &LineSettings| {
        let pin = &line.outlet.line()?.pin;
        let Chip::Gpio { name, offset } = &pin.chip else { return None };
        let (said, to_do) = objection(&label(name)?, *offset, pin.active_low)?;
        Some(Finding::warn("gpio", fill(texts().line, &[&format!("{:?}", line.name), &said]), to_do))
    };
    lines.iter().filter_map(warning).collect()
}

/// `5, 6` and `12, 13, 16, 17, 22–27`.
fn listed(pins: &[u32]) -> String {
    let mut words: Vec<String> = Vec::new();
    for run in pins.chunk_by(|a, b| a + 1 == *b) {
        match run {
            [first, .., last] if run.len() > 2 => words.push(format!("{first}–{last}")),
            run => words.extend(run.iter().map(u32::to_string)),
        }
    }
    words.join(", ")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use qris_core::order::money::Rupiah;
    use qris_core::order::time::Span;
    use qris_host::finding::Level;
    use qris_relay::config::Items;
    use qris_relay::outlet::line::PulsedLine;
    use qris_relay::pin::Pin;
    use std::sync::Arc;

    /// A line that the low level drives.
    pub(crate) fn line(name: &str, chip: Chip) -> LineSettings {
        LineSettings {
            name: name.into(),
            items: Items::Any,
            min_amount: Rupiah::new(1).expect("an amount"),
            outlet: Arc::new(PulsedLine::single(Pin::of(chip, true), Span::millis(500))),
            block_on_uncertain: false,
            misses: 1,
            clear_button: None,
        }
    }

    #[test]
    fn each_line_that_is_driven_at_rest_is_a_warning() {
        let gpio = |offset| Chip::Gpio { name: ChipName::new("pinctrl-bcm2711").expect("a label"), offset };
        let lines = [line("a", gpio(17)), line("b", gpio(6)), line("c", Chip::Sim("/tmp/x".into()))];
        let found = findings(&lines, |_| Some("pinctrl-bcm2711".into()));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].level, found[0].said.starts_with("line \"a\": GPIO 17 is pulled down")), (Level::Warn, true), "{found:?}");
        assert_eq!(findings(&lines, |_| None), []);
    }

    #[test]
    fn a_board_that_a_resistor_would_drive_is_told_with_the_pins_that_are_safe() {
        for (label, offset, active_low, told) in [
            ("pinctrl-bcm2835", 17, true, Some(("pulled down", "GPIO 5, 6 "))),
            ("pinctrl-bcm2711", 9, true, Some(("low level", "gpio=9=ip,pu"))),
            ("pinctrl-bcm2711", 27, true, Some(("pulled down", "3.3 V"))),
            ("pinctrl-bcm2711", 8, true, None),
            ("pinctrl-bcm2711", 5, true, None),
            ("pinctrl-bcm2711", 17, false, None),
            ("pinctrl-bcm2711", 5, false, Some(("pulled up", "GPIO 12, 13, 16, 17, 22–27 "))),
            ("pinctrl-bcm2711", 8, false, Some(("high level", "GND"))),
            ("pinctrl-rp1", 17, true, Some(("pulled down", "GPIO 5, 6 "))),
            ("pinctrl-rp1", 8, true, None),
            ("pinctrl-rp1", 9, true, Some(("pulled down", "gpio=9=ip,pu"))),
            ("pinctrl-rp1", 0, false, Some(("pulled up", "GPIO 12, 13, 16, 17, 22–27 "))),
            ("pinctrl-rp1", 27, false, None),
            ("pinctrl-rp1", 28, true, None),
            // A pin that is not at the header, and chips that nobody has described.
            ("pinctrl-bcm2711", 42, true, None),
            ("pl061", 1, true, None),
        ] {
            let found = objection(label, offset, active_low);
            match told {
                None => assert_eq!(found, None, "{label} {offset}"),
                Some((said, to_do)) => {
                    let (words, advice) = found.unwrap_or_else(|| panic!("nothing of {label} {offset}"));
                    assert!(words.contains(said) && advice.contains(to_do), "{words}; {advice}");
                }
            }
        }
    }

    #[test]
    fn what_is_called_safe_is_safe_and_stands_so_in_the_documentation() {
        for label in RASPBERRY_PI {
            assert!(SAFE_LOW.iter().all(|pin| objection(label, *pin, true).is_none()));
            assert!(SAFE_HIGH.iter().all(|pin| objection(label, *pin, false).is_none()));
        }
        let rows: Vec<_> =
            include_str!("../../docs/using/hardware.md").lines().filter(|line| line.contains("boards that are active")).collect();
        let row = |pins: &[u32], pulled: &str| rows.iter().any(|row| row.starts_with(&format!("| {} | {pulled} |", listed(pins))));
        assert!(row(&SAFE_LOW, "up") && row(&SAFE_HIGH, "down"), "{rows:?}");
        // A button needs none of the few pins that suit a board which is active low.
        for text in [include_str!("../../docs/using/hardware.md"), include_str!("../../config/relay.toml")] {
            let button = text.split("[[button]]").nth(1).expect("an example").lines().find_map(|line| line.split_once("offset = "));
            let offset = button.and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok()).expect("a number");
            assert!(!SAFE_LOW.contains(&offset), "{offset}");
        }
    }
    #[test]
    fn no_example_of_the_documentation_is_driven_at_rest() {
        let texts = [
            include_str!("../../README.md"),
            include_str!("../../docs/using/hardware.md"),
            include_str!("../../docs/using/install.md"),
            include_str!("../../docs/using/by-hand.md"),
            include_str!("../../docs/using/one-pi.md"),
            include_str!("../../config/relay.toml"),
            include_str!("examples.rs"),
        ];
        let mut seen = 0;
        for text in texts {
            // A line of a serial board has a port, and no offset.
            let pins = text.split("[[line]]").skip(1).filter(|table| !table.contains("\nport = "));
            let tables = pins.map(|table| {
                let value = |key: &str| {
                    table.lines().take(12).find_map(|line| line.strip_prefix(key)?.strip_prefix(" = ")?.split_whitespace().next())
                };
                (value("offset").expect("an offset"), value("active_low") == Some("true"))
            });
            let flags = text.split("--line ").skip(1).filter_map(|flag| {
                let mut parts = flag.split_whitespace().next()?.split("/dev/gpiochip").nth(1)?.split(':').skip(1);
                Some((parts.next()?, parts.next().is_some_and(|level| level.starts_with("low"))))
            });
            for (offset, active_low) in tables.chain(flags) {
                let offset = offset.parse().unwrap_or_else(|_| panic!("{offset} is no number"));
                assert_eq!(objection(RASPBERRY_PI[1], offset, active_low), None);
                seen += 1;
            }
        }
        assert!(seen >= 6, "{seen}");
    }
}
