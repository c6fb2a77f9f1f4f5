//! Every fault of a `qrisd.toml`, and everything that does not fit the `relay.toml` beside it, is told with line and key.

use super::*;
use qris_core::order::ids::ItemId;
use qris_core::order::money::Rupiah;

/// The faults of one `[[item]]`, without the faults of other missing parts.
fn faults(item: &str) -> Vec<String> {
    let text = format!("[[item]]\nid = \"A1\"\n{item}\n");
    let faults = Config::from_source(&Source::from_text("qrisd.toml", text)).expect_err("no broker is named");
    faults.iter().map(ToString::to_string).filter(|fault| fault.contains("item")).collect()
}

#[test]
fn a_price_or_name_of_a_wrong_kind_is_told_in_words() {
    let whole = "qrisd.toml:3: item[0].price: must be whole rupiah, or { from_request = { min = …, max = … } }";
    let bound = "item[0].price.from_request";
    let name = "qrisd.toml:3: item[0].name: must be text, or { id = …, en = … } with text in each language";
    let table = [
        ("price = \"5000\"", "qrisd.toml:3: item[0].price: must be whole rupiah in plain digits: write 5000, not \"5000\"".into()),
        ("price = 5.000", "qrisd.toml:3: item[0].price: must be whole rupiah in plain digits: write 5000, not 5.000".into()),
        ("price = Rp5000", "qrisd.toml:3: item[0].price: must be a whole number in plain digits: write 5000".into()),
        ("price = 5000.5", format!("{whole}, not 5000.5")),
        ("price = { min = 1, max = 2 }", whole.into()),
        ("price = { from_request = { min = 1, max = 2 }, other = 1 }", whole.into()),
        ("price = { from_request = { min = 1 } }", format!("qrisd.toml:3: {bound}.max: is missing")),
        ("price = { from_request = { min = 1, max = 2.5 } }", format!("qrisd.toml:3: {bound}.max: must be whole rupiah, not 2.5")),
        ("price = { from_request = { min = 1, max = 2, mqtt = 1 } }", format!("qrisd.toml:3: {bound}.mqtt: must be true or false")),
        (
            "price = { from_request = { min = 1, max = 2, mqt = true } }",
            format!("qrisd.toml:3: {bound}.mqt: unknown key: did you mean mqtt?"),
        ),
        ("price = { from_request = { min = 3, max = 2 } }", format!("qrisd.toml:3: {bound}.min: is Rp3, more than max")),
        ("price = 0", "qrisd.toml:3: item[0].price: an amount must be".into()),
        ("name = 5\nprice = 1", name.into()),
        ("name = { de = \"Tee\" }\nprice = 1", name.into()),
        ("name = { id = 5 }\nprice = 1", name.into()),
        ("name = \"\"\nprice = 1", "qrisd.toml:3: item[0].name: must be 1 to 100 printable".into()),
        ("name = \"Teh\"", "item[0].price: is missing".into()),
        ("name = \"日本茶\"\nprice = 1", "qrisd.toml:3: item[0].name: the screen has no '日'".into()),
        ("name = \"Teh\\u202e\"\nprice = 1", "qrisd.toml:3: item[0].name: must be 1 to 100 printable characters".into()),
        (&format!("name = \"{}\"\nprice = 1", "x".repeat(101)), "qrisd.toml:3: item[0].name: must be 1 to 100 printable".into()),
        ("name = { id = \"Teh\", en = \"Tea ☕\" }\nprice = 1", "qrisd.toml:3: item[0].name: the screen has no '☕'".into()),
    ];
    for (item, wanted) in table {
        let told = faults(item);
        assert!(told.len() == 1 && told[0].contains(&wanted), "{item}: {told:?}");
    }
    for good in [
        "price = 5000",
        "name = \"Teh\"\nprice = 5000",
        "name = { en = \"Tea\" }\nprice = { from_request = { min = 1, max = 2, mqtt = true } }",
    ] {
        assert_eq!(faults(good), Vec::<String>::new(), "{good}");
    }
}

/// Two slots of one good have one price, and are counted.
#[test]
fn a_slot_with_the_goods_of_another_one_has_its_price_and_its_name() {
    let a1 = "name = \"Teh\"\nprice = 5000\ncapacity = 8\n";
    let a2 = |more: &str| format!("{a1}[[item]]\nid = \"A2\"\ncapacity = 9\n{more}\n");
    let not_another = "qrisd.toml:9: item[1].same_as: must be the id of another item of this list that has no same_as, not";
    let uncounted = "item[1].same_as: needs capacity here and at the item A1";
    let table = [
        (a2("same_as = \"A1\"\nprice = 6000"), "qrisd.toml:10: item[1].price: must be the price of the item A1, or be left out"),
        (a2("same_as = \"A1\"\nprice = { from_request = { min = 5000, max = 5000 } }"), "item[1].price: must be the price of the item A1"),
        (a2("same_as = \"A1\"\nprice = 0"), "item[1].price: an amount must be"),
        (a2("same_as = \"A2\""), not_another),
        (a2("same_as = \"Z9\""), not_another),
        (a2("same_as = \"A 1\""), "item[1].same_as: must be 1–32 of"),
        (a2("same_as = \"A1\"\n[[item]]\nid = \"A3\"\ncapacity = 1\nsame_as = \"A2\""), "item[2].same_as: must be the id of another item"),
        (a2("same_as = \"A1\"").replace("capacity = 9\n", ""), uncounted),
        (a2("same_as = \"A1\"").replace("capacity = 8\n", ""), uncounted),
    ];
    for (items, wanted) in table {
        let told = faults(&items);
        assert!(told.len() == 1 && told[0].contains(wanted), "{items}: {told:?}");
    }
    let items = |text: String| {
        let source = Source::from_text("qrisd.toml", format!("[[item]]\nid = \"A1\"\n{text}"));
        let read: toml::Table = toml::from_str(source.text()).expect("TOML");
        let written: Vec<WrittenItem> = read["item"].clone().try_into().expect("items");
        let mut checker = source.checker();
        let items = check_items(written, qris_screen::Language::Id, &mut checker);
        checker.finish().expect("good");
        let shown = items.shown.iter().map(|item| (item.id.to_string(), item.id_name.to_string(), item.price.map(Rupiah::get)));
        let goods: Vec<_> = items.slots.values().map(|slot| slot.goods.to_string()).collect();
        (shown.collect::<Vec<_>>(), goods)
    };
    let all = |name: &str| vec![("A1".to_owned(), "Teh".to_owned(), Some(5000)), ("A2".to_owned(), name.to_owned(), Some(5000))];
    let one = || vec!["A1".to_owned(); 2];
    assert_eq!(items(a2("same_as = \"A1\"")), (all("Teh"), one()));
    assert_eq!(items(a2("same_as = \"A1\"\nprice = 5000\nname = \"Teh kiri\"")), (all("Teh kiri"), one()));
    assert_eq!(items(a2("price = 5000")), (all("A2"), vec!["A1".to_owned(), "A2".to_owned()]));
}

/// Each fault looks for its line in the whole text: of too many items, only so many are read.
#[test]
fn of_too_many_items_the_first_thousand_are_read() {
    let text = "[[item]]\nid = \"A\"\n".repeat(3000);
    let faults = Config::from_source(&Source::from_text("qrisd.toml", text)).expect_err("too many");
    let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
    let of_items = told.iter().filter(|fault| fault.contains("item["));
    assert_eq!((of_items.count(), told.iter().filter(|fault| fault.contains("1000")).count()), (1000, 1), "{told:?}");
}

/// The faults that name `[screen]` or the language.
fn looks(text: &str) -> Vec<String> {
    let faults = Config::from_source(&Source::from_text("qrisd.toml", text.to_owned())).expect_err("no broker is named");
    let told = faults.iter().map(ToString::to_string);
    told.filter(|fault| ["screen", "language", "device.name"].iter().any(|key| fault.contains(key))).collect()
}

#[test]
fn looks_that_cannot_be_read_are_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let logo = directory.path().join("logo.png");
    std::fs::write(&logo, "GIF89a").expect("written");
    let table = [
        ("[device]\nlanguage = \"de\"", "device.language: must be \"id\", \"en\" or \"both\", not \"de\"".to_owned()),
        ("[screen]\ncontact = \"☎ 0812-3456-7890\"", "screen.contact: the screen has no '☎'".into()),
        ("[screen]\ngreeting = \"Halo 你\"", "screen.greeting: the screen has no '你'".into()),
        ("[screen]\ngreeting = \"Halo\\nLobi\"", "screen.greeting: must be one line of at most 60 characters".into()),
        ("[screen]\ngreeting = \"a\u{202e}b\"", "screen.greeting: must be one line of at most 60 characters".into()),
        ("[screen]\ncontact = \"0812\\u009b\"", "screen.contact: must be one line of at most 64 characters".into()),
        (&format!("[screen]\ncontact = \"{}\"", "0".repeat(65)), "screen.contact: must be one line of at most 64 characters".into()),
        ("[device]\nname = \"  \"", "device.name: must not be empty: without this key it is the machine's id".into()),
        ("[device]\nname = \"Lobi\u{2066}\"", "device.name: must be one line of at most 64 characters".into()),
        (&format!("[device]\nname = \"{}\"", "x".repeat(65)), "device.name: must be one line of at most 64 characters".into()),
        (&format!("[screen]\ngreeting = \"{}\"", "x".repeat(61)), "screen.greeting: must be one line of at most 60".into()),
        ("[screen.colours]\nheader = \"blue\"", "screen.colours.header: must be #rrggbb, not \"blue\"".into()),
        ("[screen.colours]\nheder = \"#000000\"", "screen.colours.heder: is not a known colour: did you mean header?".into()),
        ("[screen.colours]\nheader_text = \"#0b2546\"", "screen.colours.header_text: cannot be read on header: the contrast is 1.0".into()),
        (&format!("[screen]\nlogo = {logo:?}"), "screen.logo: is no PNG that can be read".into()),
        ("[screen]\nlogo = \"/nowhere/logo.png\"", "screen.logo: ".into()),
        ("[screen]\nvirtual = { path = \"/tmp/x\", width = 95 }", "screen.virtual.width: must be 96 to 4096, not 95".into()),
    ];
    for (text, wanted) in table {
        let told = looks(text);
        assert!(told.len() == 1 && told[0].contains(&wanted), "{text}: {told:?}");
    }
    for good in [
        "[device]\nlanguage = \"both\"",
        "[screen]\ncolours = { header = \"#003300\", accent = \"#006600\" }",
        "[screen.colours]\nground = \"#101010\"\ncard = \"#202020\"\ntext = \"#ffffff\"\nmuted = \"#c0c0c0\"\naccent = \"#66ccff\"",
    ] {
        assert_eq!(looks(good), Vec::<String>::new(), "{good}");
    }
}

#[test]
fn a_price_that_the_line_does_not_take_is_told() {
    let table = [
        ("items = [\"A1\"]\npulse_ms = 5", None),
        ("items = [\"A1\"]\nmin_amount = 5000\nrupiah_per_pulse = 1000", None),
        ("items = [\"A1\"]\nmin_amount = 5001", Some("relay.toml:3: line[0].min_amount: is more than Rp5.000, the price of A1 in q.toml")),
        ("items = [\"*\"]\nrupiah_per_pulse = 2000", Some("relay.toml:3: line[0].rupiah_per_pulse: does not divide Rp5.000")),
        ("items = [\"*\"]\nmin_amount = 9000\n[[line]]\nitems = [\"A1\"]", None),
        ("items = [\"B1\"]", Some("relay.toml:1: line: no line has the item A1")),
        ("items = [\"A1\"]\n[device]\nid = \"vm-002\"", Some("relay.toml:4: device.id: is \"vm-002\"")),
        ("items = [\"A1\"]\nmin_amount = \"x\"\nrupiah_per_pulse = 0", None),
        ("# counted\nitems = [\"A1\"]\nmin_amount = 5000", None),
        (
            "# counted\nitems = [\"A1\"]\nrupiah_per_pulse = 1000",
            Some("relay.toml:4: line[0].rupiah_per_pulse: cannot stand at the line of the item A1, which has capacity in q.toml"),
        ),
    ];
    let device = DeviceId::new("vm-001").expect("an id");
    let prices = PriceList::new([(ItemId::new("A1").expect("an item"), Price::Fixed(Rupiah::new(5000).expect("an amount")))]);
    let a1 = ItemId::new("A1").expect("an item");
    let counted = BTreeMap::from([(a1.clone(), SlotSettings { capacity: 10, low: 2, goods: a1, name: "A1".into() })]);
    for (line, wanted) in table {
        let slots = if line.contains("counted") { counted.clone() } else { BTreeMap::new() };
        let told =
            compare(&device, (&prices, &slots), Path::new("q.toml"), &Source::from_text("relay.toml", format!("[[line]]\n{line}\n")));
        let told = told.err().map(|faults| faults.to_string());
        let fits = match (&told, wanted) {
            (None, None) => true,
            (Some(told), Some(wanted)) => told.contains(wanted),
            (Some(_), None) | (None, Some(_)) => false,
        };
        assert!(fits, "{line}: {told:?}");
    }
}

#[test]
fn nothing_is_delivered_when_a_person_may_refund_it_already() {
    let told = |orders: &str| {
        let source = Source::from_text("qrisd.toml", format!("[orders]\n{orders}\n"));
        let faults = Config::from_source(&source).expect_err("no broker is named");
        faults.iter().map(ToString::to_string).filter(|fault| fault.contains("orders.")).collect::<Vec<_>>()
    };
    for good in ["", "deliver_within_s = 2640", "late_settlement_grace_s = 2160", "late_settlement_grace_s = 60\ndeliver_within_s = 2700"] {
        assert_eq!(told(good), Vec::<String>::new(), "{good}");
    }
    for (wrong, fault) in [
        (
            "deliver_within_s = 2641",
            "qrisd.toml:2: orders.deliver_within_s: must be at most 2760 s together with orders.late_settlement_grace_s",
        ),
        ("late_settlement_grace_s = 2161", "orders.deliver_within_s: must be at most 2760 s together with"),
        ("deliver_within_s = 2701", "qrisd.toml:2: orders.deliver_within_s: "),
    ] {
        let told = told(wrong);
        assert!(told.len() == 1 && told[0].contains(fault), "{wrong}: {told:?}");
    }
}
