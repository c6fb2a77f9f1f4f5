//! The parts that must be seen on every panel, even on the smallest.

use super::*;

/// Panels from the smallest usable size on; [`SIZES`] has the rest.
const SMALLEST: [(i32, i32); 6] = [(96, 96), (96, 160), (160, 96), (112, 112), (128, 96), (100, 130)];
/// A contact longer than most.
const CONTACT: &str = "0812-3456-7890 (WhatsApp) Senin–Sabtu 8–17";

fn said(picture: &Picture, settings: &Settings, size: (i32, i32)) -> Vec<String> {
    let marks = Layout::default().page(picture, settings, &Fonts::new(), size, Boot(0));
    assert_eq!(flaw(&marks, size, &Fonts::new()), None, "{size:?} {picture:?}");
    texts(marks)
}

fn looks(language: Language, contact: &str) -> Settings {
    let settings = settings(Path::new(""), (0, 0), PixelFormat::Rgb565, Rotation::None);
    Settings { languages: Languages::Only(language), contact: contact.into(), ..settings }
}

fn both<T: Clone>(of: &[T]) -> impl Iterator<Item = (T, Language, bool)> {
    let each = |of: &T| {
        [(Language::Id, false), (Language::Id, true), (Language::En, false), (Language::En, true)].map(|(l, s)| (of.clone(), l, s))
    };
    of.iter().flat_map(each).collect::<Vec<_>>().into_iter()
}

#[test]
fn the_order_s_number_and_whom_to_call_are_whole_beside_a_code_or_without_it() {
    let scenes = [
        Scene::RefundDue { order: order(), amount: rupiah(125_000), page: Some(PAGE.into()) },
        Scene::RefundDue { order: order(), amount: rupiah(125_000), page: None },
        Scene::Uncertain { order: order(), amount: rupiah(125_000), page: Some(PAGE.into()) },
        Scene::DoNotPay { order: Some(order()) },
        Scene::Refunded { order: order(), amount: rupiah(125_000) },
    ];
    // The very smallest panels cannot hold the longer contact.
    for (sizes, contact) in [(&SIZES[..], CONTACT), (&SMALLEST[..], "0812-3456-7890 (WhatsApp)")] {
        for (size, language, sandbox) in both(sizes) {
            for scene in scenes.clone() {
                let due = matches!(scene, Scene::RefundDue { .. } | Scene::Uncertain { .. } | Scene::Refunded { .. });
                let said = said(&Picture { scene, sandbox }, &looks(language, contact), size).concat().replace(' ', "");
                assert!(said.contains(order().as_str()), "{size:?} {sandbox}: {said}");
                assert!(said.contains(&contact.replace(' ', "")), "{size:?} {sandbox}: {said}");
                assert!(said.contains("Rp125.000") || !due, "{size:?} {sandbox}: {said}");
            }
        }
    }
}

/// A customer who reads "contact us" looks for a number.
#[test]
fn nobody_is_told_to_call_where_nobody_can_be_called() {
    for (scene, language, sandbox) in both(&scenes()) {
        for size in [(480, 800), (1024, 600), (240, 240)] {
            let said = said(&Picture { scene: scene.clone(), sandbox }, &looks(language, ""), size).concat().to_lowercase();
            assert!(!said.contains("hubungi") && !said.contains("contact"), "{size:?} {scene:?}: {said}");
        }
    }
}

/// Half a sum is another sum: the fee stands there whole or not at all.
#[test]
fn a_payment_on_every_panel_has_its_code_its_amount_and_its_time() {
    for (size, language, sandbox) in both(&[&SIZES[..], &SMALLEST[..]].concat()) {
        // On the smallest panels, the TEST banner leaves too little room for a code.
        if sandbox && size.0.min(size.1) < 112 {
            continue;
        }
        for (item, fee) in [("A1", None), ("A1", Some(rupiah(150))), ("B1", Some(rupiah(150)))] {
            let Scene::Pay { payload, until, .. } = pay(60_000).scene else { panic!("a QR") };
            let scene =
                Scene::Pay { payload, goods: goods(item, None), amount: rupiah(12_500), fee, page: Some(PAGE.into()), before: None, until };
            let what = format!("{size:?} {language:?} {sandbox} {fee:?}");
            let picture = Picture { scene, sandbox };
            let marks = Layout::default().page(&picture, &looks(language, CONTACT), &Fonts::new(), size, Boot(0));
            assert!(marks.iter().any(|mark| matches!(&mark.kind, MarkKind::Qr(code) if code.module_px() >= 2)), "{what}");
            let said = said(&picture, &looks(language, CONTACT), size);
            assert!(said.iter().any(|text| text == "Rp12.500"), "{what}: {said:?}");
            assert!(said.iter().any(|text| text == "1:00"), "{what}: {said:?}");
            let is_told = said.concat().contains("biaya") || said.concat().contains("fee");
            assert!(!is_told || said.iter().any(|text| text.ends_with("Rp150")), "{what}: {said:?}");
        }
    }
}

/// Half of it would say that the order's money is gone.
#[test]
fn a_purchase_beside_an_order_that_waits_says_so_whole_and_its_code_can_be_read() {
    for (size, language, sandbox) in both(&[&SIZES[..], &SMALLEST[..]].concat()) {
        let side = size.0.min(size.1);
        // On the smallest panels, the TEST banner leaves too little room for a code.
        if sandbox && side < 112 {
            continue;
        }
        for (fee, page) in [(None, Some(PAGE)), (Some(rupiah(150)), Some(PAGE)), (None, None)] {
            // These have no room for a QRIS code.
            if side < 240 && page.is_none() {
                continue;
            }
            let Scene::Pay { payload, goods, amount, until, .. } = pay(60_000).scene else { panic!("a QR") };
            let scene = Scene::Pay { payload, goods, amount, fee, page: page.map(Into::into), before: Some(order()), until };
            let what = format!("{size:?} {language:?} {sandbox} {fee:?} {page:?}");
            let picture = Picture { scene, sandbox };
            let marks = Layout::default().page(&picture, &looks(language, CONTACT), &Fonts::new(), size, Boot(0));
            let px = marks.iter().find_map(|mark| if let MarkKind::Qr(code) = &mark.kind { Some(code.module_px()) } else { None });
            let wanted = if side < 240 || side == 240 && (sandbox || fee.is_some()) { 2 } else { 3 };
            assert!(px.is_some_and(|px| px >= wanted), "{what}: {px:?}");
            let said = said(&picture, &looks(language, CONTACT), size);
            assert!(["Rp5.100", "1:00"].iter().all(|wanted| said.iter().any(|text| text == wanted)), "{what}: {said:?}");
            let (t, said) = (text::Words::of(language), said.join(" "));
            let is_told = [false, true].iter().any(|is_short| said.contains(&t.anew(&order(), *is_short)));
            // Where a code with all words would be too small, none of them stand there.
            assert!(is_told || side <= 160 && !said.contains(&text::tail(&order())), "{what}: {said}");
        }
    }
}

/// A customer reads it to somebody, or types it in with the phone in one hand.
#[test]
fn the_number_of_a_second_try_is_the_largest_text() {
    for (size, language, sandbox) in both(&[&SIZES[..], &SMALLEST[..]].concat()) {
        for (same, up_to, page) in [(true, Some(rupiah(12_500)), Some(PAGE)), (false, None, Some(PAGE)), (true, None, None)] {
            let number = again(same, up_to, page, TryStep::Number(TwoDigits::of(7)));
            let marks =
                Layout::default().page(&Picture { scene: number, sandbox }, &looks(language, CONTACT), &Fonts::new(), size, Boot(0));
            assert_eq!(flaw(&marks, size, &Fonts::new()), None, "{size:?} {language:?} {sandbox}");
            let texts = marks
                .iter()
                .filter_map(|mark| if let MarkKind::Text { text, style, .. } = &mark.kind { Some((&**text, style.px)) } else { None });
            let (digits, others): (Vec<_>, Vec<_>) = texts.partition(|(text, _)| *text == "07");
            let [(_, px)] = digits[..] else { panic!("{size:?} {language:?} {sandbox}: {others:?}") };
            assert!(others.iter().all(|(_, other)| *other < px), "{size:?} {language:?} {sandbox}: {px}, {others:?}");
        }
    }
}

#[test]
fn what_the_order_s_code_is_good_for_is_said_whole_or_not_at_all() {
    let due = Scene::RefundDue { order: order(), amount: rupiah(125_000), page: Some(PAGE.into()) };
    for (size, language, sandbox) in both(&[&SIZES[..], &[(320, 240), (400, 240), (480, 272)]].concat()) {
        let said = said(&Picture { scene: due.clone(), sandbox }, &looks(language, "0812-3456-7890"), size);
        let whole = text::Words::of(language).status_page;
        let cut = said.iter().find(|text| text.strip_suffix('…').is_some_and(|text| whole.contains(text)));
        assert_eq!(cut, None, "{size:?} {language:?} {sandbox}: {said:?}");
    }
}

/// A word a line is hard to read.
#[test]
fn where_there_is_room_the_use_of_the_order_s_code_is_said_in_two_lines() {
    let due = Scene::RefundDue { order: order(), amount: rupiah(5_000), page: Some(PAGE.into()) };
    for (size, language, sandbox) in both(&[(480, 800), (600, 1024), (720, 1280)]) {
        let said = said(&Picture { scene: due.clone(), sandbox }, &looks(language, "0812-3456-7890 (WhatsApp)"), size);
        let whole = text::Words::of(language).status_page;
        let lines = said.iter().filter(|text| whole.contains(text.as_str())).count();
        assert!((1..=2).contains(&lines), "{size:?} {language:?} {sandbox}: {said:?}");
    }
}

#[test]
fn the_shelf_s_first_and_last_line_are_whole_on_small_panels() {
    for (size, language, sandbox) in both(&[(96, 96), (128, 160), (160, 128), (240, 240)]) {
        for scene in [
            Scene::Idle { trouble: None, not_sold: BTreeMap::new() },
            Scene::Offline { missing: Missing::Backend, not_sold: BTreeMap::new() },
        ] {
            let t = text::Words::of(language);
            let said = said(&Picture { scene, sandbox }, &looks(language, ""), size);
            let cut = said.iter().filter_map(|text| text.strip_suffix('…')).find(|text| {
                [t.pay_with_more, t.offline_more].iter().any(|whole| whole.starts_with(text))
                    || text.strip_prefix(t.offline).is_some_and(|code| code.starts_with(" ("))
            });
            assert_eq!(cut, None, "{size:?} {language:?} {sandbox}: {said:?}");
        }
    }
}

#[test]
fn the_shelf_has_every_slot_and_whole_names() {
    for (size, language, sandbox) in both(&[(320, 240), (480, 320), (800, 480), (1024, 600), (480, 800)]) {
        let shelf = samples::settings(SurfaceSettings::Any, Languages::Only(language));
        let said = said(&Picture { scene: Scene::Idle { trouble: None, not_sold: BTreeMap::new() }, sandbox }, &shelf, size);
        let slots = shelf.items.iter().filter(|item| said.iter().any(|text| **text == *item.id.as_str())).count();
        assert_eq!(slots, shelf.items.len(), "{size:?} {language:?}: {said:?}");
        assert!(!said.iter().any(|text| text.contains('…')), "{size:?} {language:?}: {said:?}");
    }
}

#[test]
fn what_nobody_can_buy_has_its_word_in_the_place_of_its_price() {
    for (size, language, sandbox) in both(&[(320, 240), (480, 320), (800, 480), (1024, 600), (480, 800)]) {
        let shelf = samples::settings(SurfaceSettings::Any, Languages::Only(language));
        let t = text::Words::of(language);
        let (gone, price) = (&shelf.items[0], shelf.items[0].price.expect("a price").to_string());
        let with = |not_sold| said(&Picture { scene: Scene::Idle { trouble: None, not_sold }, sandbox }, &shelf, size);
        let count = |said: &[String], words: &str| said.iter().filter(|text| **text == *words).count();
        for (why, word) in [
            (NotSold::SoldOut, t.sold_out),
            (NotSold::Suspect, t.sold_out),
            (NotSold::Blocked, t.not_sold),
            (NotSold::Line, t.not_sold),
            (NotSold::Price, t.not_sold),
        ] {
            let (usual, said) = (with(BTreeMap::new()), with([(gone.id.clone(), why)].into()));
            assert_eq!(count(&said, &price) + 1, count(&usual, &price), "{size:?} {language:?} {why}: {said:?}");
            assert_eq!((count(&said, word), count(&usual, word)), (1, 0), "{size:?} {language:?} {why}: {said:?}");
            assert!(said.iter().any(|text| **text == *gone.id.as_str()), "its slot stands there still: {said:?}");
        }
    }
}

/// A customer pays what looks like a QR, and takes each time for the time to pay.
#[test]
fn do_not_pay_has_no_qr_and_a_store_s_code_has_one_time() {
    for (size, language, sandbox) in both(&SIZES) {
        let marks = page(&Picture { scene: Scene::DoNotPay { order: Some(order()) }, sandbox }, size, language);
        assert!(!marks.iter().any(|mark| matches!(mark.kind, MarkKind::Qr(_))), "{size:?}");
        let store = scenes().into_iter().find(|scene| matches!(scene, Scene::PayAtStore { .. })).expect("one of them");
        let said = said(&Picture { scene: store, sandbox }, &looks(language, ""), size);
        assert!(!said.iter().any(|text| text.starts_with(text::Words::of(language).time_left)), "{size:?}: {said:?}");
    }
}

#[test]
fn a_test_banner_is_never_cut_off() {
    for (size, language, _) in both(&[&SIZES[..], &SMALLEST[..]].concat()) {
        let said = said(&Picture { scene: Scene::Denied, sandbox: true }, &looks(language, ""), size);
        let banners: Vec<_> =
            said.iter().filter(|text| ["TEST", "MONEY", "UJI COBA", "UANG ASLI"].iter().any(|word| text.contains(word))).collect();
        assert_eq!(banners.len(), if size.1 < 160 { 1 } else { 2 }, "{size:?}: {said:?}");
        assert!(banners.iter().all(|text| !text.contains('…')), "{size:?}: {banners:?}");
    }
}
