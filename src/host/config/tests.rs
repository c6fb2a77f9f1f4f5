use super::*;
use crate::secret::SecretError;
use serde::Deserialize;

#[derive(Debug, Deserialize, PartialEq, Default)]
#[serde(deny_unknown_fields, default)]
struct Written {
    device: Device,
    orders: Orders,
    item: Vec<Item>,
}

#[derive(Debug, Deserialize, PartialEq, Default)]
#[serde(deny_unknown_fields, default)]
struct Device {
    id: Option<String>,
}

#[derive(Debug, Deserialize, PartialEq, Default)]
#[serde(deny_unknown_fields, default)]
struct Orders {
    timeout_s: Option<i64>,
    names: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, PartialEq, Default)]
#[serde(deny_unknown_fields, default)]
struct Item {
    id: Option<String>,
    price: Option<i64>,
}

fn told(text: &str) -> Vec<(Option<usize>, Option<String>)> {
    let faults = Source::from_text("a.toml", text).parse::<Written>().expect_err("faults");
    faults.iter().map(|fault| (fault.line, fault.key.clone())).collect()
}

fn at(line: usize, key: &str) -> (Option<usize>, Option<String>) {
    (Some(line), Some(key.into()))
}

#[test]
fn a_good_file_is_read() {
    let text = "[device]\nid = \"vm-1\"\n[[item]]\nprice = 5000\n";
    let written: Written = Source::from_text("a.toml", text).parse().expect("good");
    assert_eq!(written.device.id.as_deref(), Some("vm-1"));
    assert_eq!(written.item[0].price, Some(5000));
}

#[test]
fn every_misspelt_key_and_wrong_kind_is_told() {
    let text = "[device]\nidd = \"vm-1\"\n\n[orders]\ntimeout_s = \"2\"\nnames = [\n  1,\n]\nx = 1\n\n[[item]]\nid = \"A\"\n[[item]]\nprice = 1.5\n\n[nothing]\na = 1\n";
    assert_eq!(
        told(text),
        [
            at(2, "device.idd"),
            at(5, "orders.timeout_s"),
            at(7, "orders.names"),
            at(9, "orders.x"),
            at(14, "item[1].price"),
            at(16, "nothing")
        ]
    );
}

#[test]
fn syntax_errors_have_a_line() {
    assert_eq!(told("[device]\nid = \n")[0].0, Some(2));
    assert_eq!(told("[device]\nid = \"a\"\nid = \"b\"\n")[0].0, Some(3));
}

#[test]
fn the_checker_finds_lines_by_keys_and_spans() {
    let text = "[orders]\ntimeout_s = 2000\n\n[[item]]\nid = \"A\"\n[[item]]\nid = \"ä ö\"\n";
    let source = Source::from_text("a.toml", text);
    let written: Written = source.parse().expect("readable");
    let mut checker = source.checker();
    checker.fault("item[1].id", "has a blank");
    checker.required(written.item[0].price, "item[0].price");
    checker.required(written.item[1].price, "item[1].price");
    checker.required(written.device.id, "device.id");
    assert_eq!(checker.integer(written.orders.timeout_s, 120, 10..=840, "orders.timeout_s"), 120);
    assert_eq!(checker.integer(None, 7, 1..=9, "orders.x"), 7);
    let faults = checker.finish().expect_err("faults");
    assert_eq!(
        faults.to_string(),
        "a.toml: device.id: is missing\n\
         a.toml:2: orders.timeout_s: must be 10 to 840, not 2000\n\
         a.toml:4: item[0].price: is missing\n\
         a.toml:6: item[1].price: is missing\n\
         a.toml:7: item[1].id: has a blank"
    );
}

#[test]
fn a_missing_file_is_one_fault() {
    let faults = Source::read(Path::new("/nowhere/qrisd.toml")).expect_err("no file");
    assert!(faults.to_string().starts_with("/nowhere/qrisd.toml: cannot be read: "), "{faults}");
    for (file, told) in [
        ("qrisd.toml", "`sudo qrisctl setup` makes it, or name another file"),
        ("relay.toml", "`sudo qrisctl setup` makes it"),
        ("backend.toml", "`sudo qris-backend init` makes it"),
        ("mine.toml", "; write it, or name another file"),
    ] {
        let faults = Source::read(&Path::new("/nowhere").join(file)).expect_err("no file").to_string();
        assert!(faults.contains(told), "{faults}");
    }
    let both = faults.and(Source::read(Path::new("/nowhere/too.toml")).expect_err("no file"));
    assert_eq!(both.iter().count(), 2);
    assert!(both.to_string().contains("\n/nowhere/too.toml: cannot be read: "), "{both}");
}

#[test]
fn files_may_be_elsewhere_than_a_configuration_says() {
    let of = |places: &Places, path: &str| places.of(Path::new(path)).display().to_string();
    let mut places = Places::default();
    assert_eq!(of(&places, "/etc/a"), "/etc/a");
    places.put("/etc/a", "/run/a");
    places.put("token", "/run/token");
    assert_eq!(["/etc/a", "/etc/b", "token", "other"].map(|path| of(&places, path)), ["/run/a", "/etc/b", "/run/token", "other"]);
    let mut places = Places::below(Path::new("/image"));
    places.put("/etc/a", "/run/a");
    assert_eq!(["/etc/a", "/etc/b", "token"].map(|path| of(&places, path)), ["/run/a", "/image/etc/b", "token"]);
}

#[test]
fn what_is_wrong_is_said_in_words_for_people() {
    let table = [
        ("[orders]\ntimeout_s = 1.200", "a.toml:2: orders.timeout_s: must be a whole number in plain digits: write 1200"),
        ("[orders]\ntimeout_s = 1,200", "a.toml:2: orders.timeout_s: must be a whole number in plain digits: write 1200"),
        ("[orders]\ntimeout_s = 2m", "a.toml:2: orders.timeout_s: must be a whole number: only digits; text stands in quotes"),
        ("[orders]\ntimeout_s =", "a.toml:2: orders.timeout_s: has no value: write one behind the =, or take the line out"),
        ("[orders]\ntimeout = 2", "a.toml:2: orders.timeout: unknown key: did you mean timeout_s?"),
        ("[orders]\nnames = \"A\"", "a.toml:2: orders.names: must be a list: write [\"A\"]"),
        ("[device]\nid = vm-1 # ours", "a.toml:2: device.id: text must stand in quotes: write id = \"…\""),
        ("[device]\nid = 0800", "a.toml:2: device.id: a number does not begin with 0, and text stands in quotes: write \"0800\""),
        ("[device]\nid = \"vm-1", "a.toml:2: device.id: its text does not end where it should: it stands between two quotes on one line"),
        ("[device]\nid = 1", "a.toml:2: device.id: must be text in quotes: write \"1\""),
        ("[device]\nid", "a.toml:2: this line has no =: write KEY = VALUE, [section], or # before a remark"),
        ("[device\nid = 1", "a.toml:1: a section is written [device], and each section of a list [[device]]"),
        (
            "[[item]]\nprice = Rp5\n[[item]]\nprice = 5rb",
            "a.toml:2: item[0].price: must be a whole number in plain digits: write 5\na.toml:4: item[1].price: must be a whole number in plain digits: write 5000",
        ),
        ("[device]\nid = 2026-11-20", "a.toml:2: device.id: must be text in quotes: write \"2026-11-20\""),
        ("[device]\nid = { a = 1 }", "a.toml:2: device.id: must be text in quotes"),
        ("[device]\nid = \"a\"\nid = \"b\"", "a.toml:3: device.id: stands twice: keep one of them"),
        (
            "[device]\nid = \"a\"\n[device]",
            "a.toml:3: [device] stands twice: keep one of them; each section of a list is written [[device]]",
        ),
        (
            "[orders]\nnames = [\"A\" \"B\"]",
            "a.toml:2: orders.names: its list or table cannot be read: write [\"A1\", \"A2\"] or { a = 1, b = 2 }, with commas between",
        ),
        (
            "[orders]\n# names = [\nnames = [\n  \"A\"\n  \"B\"\n]",
            "a.toml:5: orders.names: its list or table cannot be read: write [\"A1\", \"A2\"] or { a = 1, b = 2 }, with commas between",
        ),
        ("[orders]\n# names = [\ntimeout_s = yes", "a.toml:3: orders.timeout_s: must be true or false: write true"),
        ("item = 5", "a.toml:1: item: is a list of sections: write [[item]] above each of them"),
        ("device = 5", "a.toml:1: device: is a section: write [device] on a line of its own, and its keys below"),
        ("[devise]", "a.toml:1: devise: unknown key: did you mean device?"),
        // A value that cannot be read hides nothing else that is wrong.
        (
            "[device]\nid = vm-1\n[orders]\nx = 1",
            "a.toml:2: device.id: text must stand in quotes: write id = \"…\"\na.toml:4: orders.x: unknown key: expected timeout_s or names",
        ),
    ];
    for (text, told) in table {
        let faults = Source::from_text("a.toml", text).parse::<Written>().expect_err("faults");
        assert_eq!(faults.to_string(), told, "{text}");
    }
}

/// A value that says of itself what serde says of a key.
#[derive(Debug, PartialEq)]
struct Liar;

impl<'de> Deserialize<'de> for Liar {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?;
        Err(serde::de::Error::custom("unknown field `a`, expected `b`"))
    }
}

#[test]
fn only_a_key_is_left_out_whatever_a_value_says_of_itself() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Two {
        value: Option<Liar>,
        other: Option<i64>,
    }
    let read = |text: &str| {
        let read = Source::from_text("a.toml", text).read_checked_in_part(|two: Two, _| Some(two.value.is_some() || two.other.is_some()));
        read.map(|(has_any, left_out)| (has_any, left_out.iter().map(ToString::to_string).collect::<Vec<_>>()))
    };
    let left_out = "a.toml:1: x: unknown key: expected value or other".to_owned();
    assert_eq!(read("x = 1\nother = 2"), Ok((true, vec![left_out])));
    let faults = read("x = 1\nvalue = \"y\"").expect_err("a wrong value").to_string();
    assert_eq!(faults, "a.toml:2: value: unknown field `a`, expected `b`");
}

#[test]
fn a_fault_tells_a_file_that_is_not_there_from_one_that_is_closed_to_us() {
    use std::io::ErrorKind;
    let source = Source::from_text("a.toml", "token_file = \"t\"");
    let about = |note: &dyn Fn(&mut Checker<'_>) -> bool| {
        let mut checker = source.checker();
        assert!(note(&mut checker), "nothing was read");
        let faults = checker.finish().expect_err("a fault");
        faults.iter().map(|fault| fault.about).collect::<Vec<_>>()
    };
    for (kind, wanted) in
        [(ErrorKind::NotFound, About::Missing), (ErrorKind::PermissionDenied, About::Denied), (ErrorKind::IsADirectory, About::Value)]
    {
        let unread = || SecretError::Read { path: "/etc/t".into(), why: kind.into() };
        assert_eq!(about(&|checker| checker.take::<(), _>(Err(std::io::Error::from(kind)), "token_file").is_none()), [wanted]);
        assert_eq!(about(&|checker| checker.take::<(), _>(Err(unread()), "token_file").is_none()), [wanted]);
        #[cfg(feature = "http")]
        {
            let tls = || crate::tls::TlsError::Read { path: "/etc/t".into(), why: kind.into() };
            assert_eq!(about(&|checker| checker.take::<(), _>(Err(MqttError::from(unread())), "token_file").is_none()), [wanted]);
            assert_eq!(about(&|checker| checker.take::<(), _>(Err(tls()), "ca_file").is_none()), [wanted]);
        }
    }
    let credential = || crate::secret::Secret::read(Path::new("no-such-credential"));
    assert_eq!(about(&|checker| checker.take(credential(), "token_file").is_none()), [About::Credential]);
    #[cfg(feature = "http")]
    assert_eq!(about(&|checker| checker.take(credential().map_err(MqttError::from), "token_file").is_none()), [About::Credential]);
    assert_eq!(about(&|checker| checker.keys(Path::new("/nowhere/keys.json"), "keys_file").is_none()), [About::Missing]);
    let whole = Source::read(Path::new("/nowhere/qrisd.toml")).expect_err("no file");
    assert_eq!(whole.iter().map(|fault| fault.about).collect::<Vec<_>>(), [About::Missing]);
}
