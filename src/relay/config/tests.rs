//! What is wrong with a `relay.toml` is told with file, line and key.

use super::*;
use crate::outlet::line::PulsedLine;
use crate::outlet::line::pulses::Drive;
use crate::pin::Bias;
use qris_core::order::keys::jwk_set;
use qris_core::order::ledger::{Condition, prepare};
use qris_core::order::receipt::testing::{ISSUER, key};
use qris_core::order::time::Span;

struct Rig(tempfile::TempDir);

impl Rig {
    fn new() -> Self {
        let rig = Self(tempfile::tempdir().expect("a directory"));
        std::fs::write(rig.at("keys.json"), jwk_set(&[key().to_public_jwk(ISSUER)])).expect("written");
        rig
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn head(&self) -> String {
        format!("[device]\nid = \"vm-001\"\n[receipts]\nkeys_file = \"{}\"\n", self.at("keys.json").display())
    }

    fn load(&self, text: &str) -> Result<Config, Faults> {
        Config::from_source(&Source::from_text("relay.toml", text))
    }

    fn faults(&self, text: &str) -> Vec<String> {
        self.load(text).expect_err("faults").iter().map(ToString::to_string).collect()
    }
}

/// The example of the contract, line 5 first.
const LINE: &str = r#"[[line]]
name = "tray 1"
items = ["A1", "A2"]
min_amount = 5000
chip = "pl061"
offset = 17
active_low = false
pulse_ms = 500
block_on_uncertain = false
clear_button = { chip = "pl061", offset = 22 }
sensor = { chip = "pl061", offset = 27, within_ms = 5000 }
"#;

fn of_chip(line: &LineSettings) -> &PulsedLine {
    line.outlet.line().expect("a line of a chip")
}

#[test]
fn the_example_is_good() {
    let rig = Rig::new();
    let button = "[[button]]\nitem = \"A1\"\nchip = \"sim:/tmp/b\"\ndebounce_ms = 20\n[service_switch]\nchip = \"pl061\"\noffset = 5\n";
    let config = rig.load(&format!("{}{LINE}{button}", rig.head())).expect("good");
    assert_eq!(config.bus, BusAddress::System);
    assert_eq!(config.ledger, Path::new("/var/lib/qris-relay/ledger.db"));
    let line = &config.lines[0];
    let outlet = of_chip(line);
    assert_eq!(outlet.drive, Drive::Single { on: Span::millis(500) });
    assert_eq!(outlet.pin.chip, Chip::Gpio { name: ChipName::new("pl061").expect("a label"), offset: 17 });
    let spans = outlet.sensor.as_ref().map(|sensor| (sensor.within, sensor.late_within));
    assert_eq!((spans, config.lines[0].misses), (Some((Span::secs(5), Span::secs(3))), 1));
    assert!(line.clear_button.is_some());
    assert_eq!(config.buttons[0].pin.debounce, Span::millis(20));
    let names: Vec<_> = config.pins().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names[..3], ["line \"tray 1\"", "the sensor of line \"tray 1\"", "the clear button of line \"tray 1\""]);
    assert_eq!(names[3..], ["the button for A1", "the service switch"]);
    assert_eq!(config.chips().into_iter().map(ChipName::as_str).collect::<Vec<_>>(), ["pl061"], "once, and no file");
    assert_eq!(config.service_switch.as_ref().map(|pin| pin.debounce), Some(Span::millis(50)));
    // A button bounces. An item that falls through a light barrier is seen for milliseconds.
    assert_eq!(line.clear_button.as_ref().map(|pin| pin.debounce), Some(Span::millis(50)));
    assert_eq!(outlet.sensor.as_ref().map(|sensor| sensor.pin.debounce), Some(Span::millis(1)));
}

#[test]
fn inputs_have_a_resistor_and_are_debounced() {
    let rig = Rig::new();
    let table = [
        ("", Bias::AsIs),
        (", bias = \"pull_up\"", Bias::PullUp),
        (", bias = \"pull_down\"", Bias::PullDown),
        (", bias = \"disabled\"", Bias::Disabled),
    ];
    for (more, want) in table {
        let text =
            LINE.replace("offset = 22", &format!("offset = 22{more}")).replace("within_ms", &format!("debounce_ms = 3{more}, within_ms"));
        let button = format!("[[button]]\nitem = \"A1\"\nchip = \"pl061\"\noffset = 5\n{}\n", more.trim_start_matches(", "));
        let config = rig.load(&format!("{}{text}{button}", rig.head())).expect("good");
        let line = &config.lines[0];
        let outlet = of_chip(line);
        let sensor = outlet.sensor.as_ref().map(|sensor| (sensor.pin.bias, sensor.pin.debounce));
        assert_eq!(sensor, Some((want, Span::millis(3))), "{more}");
        assert_eq!(line.clear_button.as_ref().map(|pin| pin.bias), Some(want), "{more}");
        assert_eq!(config.buttons[0].pin.bias, want, "{more}");
        assert_eq!(outlet.pin.bias, Bias::AsIs, "an output has none");
    }
}

#[test]
fn faults_name_line_and_key() {
    let rig = Rig::new();
    let table = [
        ("pulse_ms = 500", "pulse_ms = 0", "relay.toml:12: line[0].pulse_ms: must be 1 to 120000, not 0"),
        ("pulse_ms = 500", "", "line[0].pulse_ms: is missing: write it, or rupiah_per_pulse with on_ms and off_ms"),
        ("pulse_ms = 500", "rupiah_per_pulse = 1000\non_ms = 50", "line[0].off_ms: is missing"),
        ("pulse_ms = 500", "pulse_ms = 500\non_ms = 5", "relay.toml:13: line[0].on_ms: belongs to rupiah_per_pulse"),
        ("pulse_ms = 500", "pulse_ms = 500\nrupiah_per_pulse = 5", "line[0].pulse_ms: cannot stand beside rupiah_per_pulse"),
        ("pulse_ms = 500", "pulse_ms = 111001", "line[0].sensor: pulse and sensor together may take at most 120 s"),
        (
            "pulse_ms = 500",
            "rupiah_per_pulse = 1000\non_ms = 60000\noff_ms = 51001",
            "line[0].sensor: pulse and sensor together may take at most 120 s",
        ),
        ("min_amount = 5000", "min_amount = 0", "relay.toml:8: line[0].min_amount: an amount must be 1 to"),
        ("offset = 17", "offset = -1", "relay.toml:10: line[0].offset: must be 0 to 1023"),
        ("offset = 17", "", "line[0].offset: is missing"),
        ("offset = 17", "offset = 27", "pl061 line 27 is used by"),
        (
            "[[line]]",
            "[service_switch]\nchip = \"pl061\"\noffset = 27\n[[line]]",
            "service_switch: pl061 line 27 is used by line[0].sensor",
        ),
        ("[[line]]", "[service_switch]\nchip = \"pl061\"\n[[line]]", "service_switch.offset: is missing"),
        ("[[line]]", "[service_switch]\nitem = \"A1\"\n[[line]]", "service_switch.item: unknown key"),
        ("\"pl061\"\noffset = 17", "\"sim:x\"", "line[0].chip: must be sim: and an absolute path"),
        ("\"pl061\"", "\"/dev/gpiochip0\"", "relay.toml:9: line[0].chip: a name in /dev may be another chip's after the next start"),
        ("\"A2\"", "\"A 2\"", "relay.toml:7: line[0].items: must be 1–32 of A-Za-z0-9._-"),
        ("\"A2\"", "\"*\"", "\"*\" must stand alone"),
        ("\"A2\"", "\"A1\"", "line[0] has \"A1\" already"),
        ("name = \"tray 1\"", "name = \"\"", "line[0].name: must be 1 to 64 bytes"),
        ("active_low", "active_hi", "relay.toml:11: line[0].active_hi: unknown key: did you mean active_low?"),
        ("within_ms = 5000", "within = 5000", "line[0].sensor.within: unknown key: did you mean within_ms?"),
        (
            "offset = 22",
            "offset = 22, bias = \"up\"",
            "line[0].clear_button.bias: must be \"pull_up\", \"pull_down\" or \"disabled\", not \"up\"",
        ),
        (
            "within_ms = 5000",
            "within_ms = 5000, late_within_ms = 113501",
            "line[0].sensor: pulse and sensor together may take at most 120 s",
        ),
        ("within_ms = 5000", "within_ms = 5000, late_within_ms = -1", "line[0].sensor.late_within_ms: must be 0 to 120000, not -1"),
        ("min_amount = 5000", "misses = 0", "line[0].misses: must be 1 to 9, not 0"),
        ("offset = 27", "offset = 27, debounce_ms = 1001", "line[0].sensor.debounce_ms: must be 0 to 1000, not 1001"),
        (
            "active_low = false",
            "active_low = false\nbias = \"pull_up\"",
            "line[0].bias: unknown key: expected one of name, items, min_amount, block_on_uncertain, misses, clear_button, chip, ",
        ),
    ];
    for (good, bad, want) in table {
        let faults = rig.faults(&format!("{}{}", rig.head(), LINE.replacen(good, bad, 1)));
        assert!(faults.iter().any(|fault| fault.contains(want)), "{bad}: {faults:#?}");
    }
    let longest = LINE.replace("pulse_ms = 500", "rupiah_per_pulse = 1000\non_ms = 60000\noff_ms = 51000");
    assert!(rig.load(&format!("{}{longest}", rig.head())).is_ok(), "exactly 120 s");
    // A line is read in two steps. Its faults are told together all the same.
    let many =
        LINE.replace("\"tray 1\"", "1").replace("active_low", "active_hi").replace("= 500\n", "= \"x\"\n").replace("within_ms", "within");
    let faults = rig.load(&format!("{}{many}", rig.head())).expect_err("faults");
    let found: Vec<_> = faults.iter().map(|fault| (fault.line, fault.key.as_deref().unwrap_or_default())).collect();
    let wanted = [(6, "name"), (11, "active_hi"), (12, "pulse_ms"), (15, "sensor.within_ms"), (15, "sensor.within")];
    assert_eq!(found, wanted.map(|(line, key)| (Some(line), format!("line[0].{key}"))).each_ref().map(|(line, key)| (*line, &**key)));
    assert_eq!(rig.faults(&rig.head()), ["relay.toml: line: is missing: write at least one [[line]]"]);
    let twice = rig.faults(&format!("{}{LINE}{}", rig.head(), LINE.replace("offset = ", "offset = 1")));
    assert_eq!(twice.len(), 3, "{twice:#?}");
}

#[test]
fn the_limits_that_are_told_are_those_by_which_it_sells() {
    let rig = Rig::new();
    let pulses = LINE.replace("pulse_ms = 500", "rupiah_per_pulse = 1000\non_ms = 7000\noff_ms = 3000");
    for (text, most) in [(LINE, 1_000_000), (&pulses, 11_000), (&pulses.replace("within_ms = 5000", "within_ms = 16000"), 10_000)] {
        let config = rig.load(&format!("{}{text}", rig.head())).expect("good");
        let line = &config.lines[0];
        let takes = |price: u64| {
            prepare(Some(&line.state(Rupiah::new(price).expect("an amount"), Condition::Ready)), Rupiah::new(price).expect("an amount"))
        };
        for price in (1..200).map(|n| n * 500).chain([1, 4999, 5001, 1_000_000, 999_999_999]) {
            assert_eq!(line.limits().judge(Rupiah::new(price).expect("an amount")), takes(price), "{price}: {text}");
        }
        assert!(takes(most).is_ok(), "{most}: {text}");
    }
}

#[test]
fn hardware_that_is_not_there_is_told_by_its_key() {
    let rig = Rig::new();
    let button =
        "[[button]]\nitem = \"A1\"\nchip = \"/devices/nowhere\"\noffset = 5\n[service_switch]\nchip = \"/devices/nowhere\"\noffset = 6\n";
    let text = format!("{}{LINE}{button}", rig.head()).replace("pl061", "/devices/nowhere");
    std::fs::write(rig.at("relay.toml"), text).expect("written");
    assert!(Config::examine(&rig.at("relay.toml"), Chips::Unseen).is_ok());
    let faults = Config::examine(&rig.at("relay.toml"), Chips::Opened).expect_err("no such chip");
    let mut keys: Vec<_> = faults.iter().filter_map(|fault| fault.key.as_deref()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["button[0].chip", "line[0].chip", "line[0].clear_button.chip", "line[0].sensor.chip", "service_switch.chip"]);
}

#[test]
fn one_pin_by_two_names_of_its_chip_is_a_fault() {
    let rig = Rig::new();
    let text = LINE.replace("\"pl061\", offset = 22", "\"/devices/platform/a.gpio\", offset = 27");
    let config = rig.load(&format!("{}{text}", rig.head())).expect("two names");
    let pins: Vec<_> = config.pins();
    let chip = |device: &str, label: &str, hardware: &str| Present {
        device: device.into(),
        label: Ok(label.into()),
        hardware: Some(hardware.into()),
    };
    let both = [chip("/dev/gpiochip7", "pl061", "/devices/platform/a.gpio")];
    let told: Vec<_> = twice(&pins, &both).into_iter().map(|(key, why)| format!("{key}: {why}")).collect();
    let wanted = "the clear button of line \"tray 1\": line 27 of /dev/gpiochip7 is used by the sensor of line \"tray 1\" already, \
        by another name of that chip";
    assert_eq!(told, [wanted]);
    let apart = [chip("/dev/gpiochip7", "pl061", "/devices/b"), chip("/dev/gpiochip8", "other", "/devices/platform/a.gpio")];
    assert!(twice(&pins, &apart).is_empty());
}

#[test]
fn lines_of_one_chute_have_one_sensor_and_nothing_else_has_it() {
    let rig = Rig::new();
    let second = |sensor: &str| {
        let line = "[[line]]\nname = \"tray 2\"\nitems = [\"B1\"]\nchip = \"pl061\"\noffset = 18\npulse_ms = 500\n";
        format!("{}{LINE}{line}sensor = {{ chip = \"pl061\", offset = 27, {sensor} }}\n", rig.head())
    };
    let config = rig.load(&second("within_ms = 900, late_within_ms = 0")).expect("its own times, the same pin");
    let names: Vec<_> = config.pins().into_iter().map(|(name, _)| name).filter(|name| name.contains("sensor")).collect();
    assert_eq!(names, ["the sensor of line \"tray 1\""]);
    let whole = chip::Present { device: "/dev/gpiochip0".into(), label: Ok("pl061".into()), hardware: None };
    assert!(twice(&config.pins(), &[whole]).is_empty());
    let faults = rig.faults(&second("within_ms = 900, active_low = true"));
    assert!(faults.len() == 1 && faults[0].contains("line[1].sensor: is the sensor of line[0], too: write the same chip"), "{faults:?}");
    let faults = rig.faults(&second("within_ms = 900").replace("offset = 18", "offset = 27"));
    assert!(faults.iter().any(|fault| fault.contains("pl061 line 27 is used by")), "{faults:?}");
}

#[test]
fn keys_must_be_there() {
    let rig = Rig::new();
    let text = format!("{}{LINE}", rig.head());
    for (keys, want) in [("{}", "not a JWK Set"), ("{\"keys\":[]}", "holds no receipt key")] {
        std::fs::write(rig.at("keys.json"), keys).expect("written");
        let faults = rig.faults(&text);
        assert!(faults.len() == 1 && faults[0].starts_with("relay.toml:4: receipts.keys_file: ") && faults[0].contains(want), "{faults:?}");
    }
    std::fs::remove_file(rig.at("keys.json")).expect("removed");
    assert!(rig.faults(&text)[0].contains("cannot be read"));
}

#[test]
fn what_qrisd_sells_must_have_its_line() {
    let rig = Rig::new();
    let config = rig.load(&format!("{}{LINE}", rig.head())).expect("good");
    let relay_toml = rig.at("relay.toml");
    assert_eq!(config.check_against_qrisd(&relay_toml), Ok(()), "there is no qrisd.toml");
    let item = |id: &str, price: &str| format!("[[item]]\nid = \"{id}\"\nprice = {price}\n");
    let table = [
        (item("A1", "5000"), None),
        (item("A1", "{ from_request = { min = 2000, max = 9000 } }"), None),
        (item("A1", "4000"), Some("qrisd.toml:6: item[0].price: the line in")),
        (item("B1", "5000"), Some("qrisd.toml:5: item[0].id: ")),
    ];
    for (items, want) in table {
        std::fs::write(rig.at("qrisd.toml"), format!("[device]\nid = \"vm-001\"\nname = \"x\"\n{items}")).expect("written");
        match (config.check_against_qrisd(&relay_toml), want) {
            (Ok(()), None) => {}
            (Err(faults), Some(want)) => assert!(faults.to_string().contains(want), "{faults}"),
            (got, want) => panic!("{items}: {got:?}, not {want:?}"),
        }
    }
    std::fs::write(rig.at("qrisd.toml"), "[device]\nid = \"vm-002\"\n").expect("written");
    let faults = config.check_against_qrisd(&relay_toml).expect_err("another device").to_string();
    assert!(faults.contains("qrisd.toml:2: device.id: is \"vm-002\""), "{faults}");
}
