//! The parts of the answers about a machine. Each fault belongs to a part, so that only wrong parts are asked
//! for again.

use super::text::texts;
use qris_host::config::Fault;
use qris_host::finding::{Finding, Level};

/// Values that are asked for together, in the order of the questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Device,
    Broker,
    Backend,
    Keys,
    Appearance,
    Panel,
    Items,
    Lines,
}

impl Part {
    pub(super) fn of_finding(finding: &Finding) -> Option<Self> {
        match finding.check {
            _ if finding.level != Level::Bad => None,
            "broker" => Some(Self::Broker),
            "backend" => Some(Self::Backend),
            "keys" => Some(Self::Keys),
            "gpio" => Some(Self::Lines),
            "screen" => Some(Self::Panel),
            "prices" => Some(Self::Items),
            _ => None,
        }
    }

    /// The part whose answer is wrong in a file; none if no question asks for it.
    pub(super) fn of_fault(fault: &Fault) -> Option<Self> {
        let key = fault.key.as_deref()?;
        match key.split(['.', '[']).next()? {
            "device" if key == "device.id" => Some(Self::Device),
            "device" => Some(Self::Appearance),
            "screen" if key == "screen.contact" => Some(Self::Appearance),
            "screen" => Some(Self::Panel),
            "mqtt" => Some(Self::Broker),
            "backend" => Some(Self::Backend),
            "receipts" => Some(Self::Keys),
            "item" => Some(Self::Items),
            "line" | "button" | "service_switch" => Some(Self::Lines),
            _ => None,
        }
    }

    pub(super) fn name_and_flags(self) -> (&'static str, &'static str) {
        match self {
            Self::Device => (texts().part_device, "--device"),
            Self::Broker => (texts().part_broker, "--broker, --username, --password-file, --ca-file, --cert-file, --key-file"),
            Self::Backend => (texts().part_backend, "--backend, --token-file, --backend-ca-file"),
            Self::Keys => (texts().part_keys, "--keys"),
            Self::Appearance => (texts().part_appearance, "--name, --language, --contact"),
            Self::Panel => (texts().part_panel, "--screen, --rotate"),
            Self::Items => (texts().part_items, "--item, --items"),
            Self::Lines => (texts().part_lines, "--line"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qris_host::config::About;

    #[test]
    fn what_is_wrong_in_a_file_is_asked_for_where_it_was_said() {
        for (key, part) in [
            (Some("device.id"), Some(Part::Device)),
            (Some("device.name"), Some(Part::Appearance)),
            (Some("screen.contact"), Some(Part::Appearance)),
            (Some("screen"), Some(Part::Panel)),
            (Some("mqtt.ca_file"), Some(Part::Broker)),
            (Some("backend.token_file"), Some(Part::Backend)),
            (Some("receipts.keys_file"), Some(Part::Keys)),
            (Some("item[3].price"), Some(Part::Items)),
            (Some("line"), Some(Part::Lines)),
            (Some("line[0].offset"), Some(Part::Lines)),
            (Some("orders.timeout_s"), None),
            (None, None),
        ] {
            let fault = Fault {
                file: "/etc/qrisd/qrisd.toml".into(),
                line: None,
                key: key.map(str::to_owned),
                why: "no".into(),
                about: About::Value,
            };
            assert_eq!(Part::of_fault(&fault), part, "{key:?}");
        }
        assert_eq!(Part::of_finding(&Finding::bad("broker", "gone", "look")), Some(Part::Broker));
        assert_eq!(Part::of_finding(&Finding::bad("prices", "A1: too much", "change it")), Some(Part::Items));
        assert_eq!(Part::of_finding(&Finding::ok("broker", "there")), None);
        assert_eq!(Part::of_finding(&Finding::bad("clock", "wrong", "set it")), None);
    }
}
