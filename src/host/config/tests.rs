use super::*;
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
    id: Option<Spanned<String>>,
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
    let id = written.item[1].id.as_ref().expect("an id");
    checker.fault(id, "item[1].id", "has a blank");
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
