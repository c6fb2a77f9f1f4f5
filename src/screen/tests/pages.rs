//! Pages as marks: the words on them, and that no mark lies over another.

use super::*;

#[test]
fn no_text_leaves_the_page_or_lies_over_another() {
    let fonts = Fonts::new();
    for size in SIZES {
        for language in [Language::Id, Language::En] {
            for (scene, sandbox) in scenes().into_iter().flat_map(|scene| [(scene.clone(), false), (scene, true)]) {
                let what = format!("{size:?} {language:?} {sandbox} {scene:?}");
                let marks = page(&Picture { scene, sandbox }, size, language);
                assert_eq!(flaw(&marks, size, &fonts), None, "{what}");
            }
        }
    }
}

/// An operator's own words stand here and nowhere else: everything else is said in our words.
#[test]
fn a_greeting_stands_on_a_machine_that_is_ready_and_nowhere_else() {
    let mut settings = samples::settings(SurfaceSettings::Any, Languages::Only(Language::Id));
    settings.greeting = "Halo Lobi".into();
    for with_items in [true, false] {
        settings.items.truncate(if with_items { 9 } else { 0 });
        for scene in scenes() {
            let is_ready = matches!(scene, Scene::Idle { trouble: None, .. });
            let picture = Picture { scene, sandbox: false };
            let marks = Layout::default().page(&picture, &settings, &Fonts::new(), (480, 800), Boot(0));
            let said = |words: &str| marks.iter().any(|mark| matches!(&mark.kind, MarkKind::Text { text, .. } if **text == *words));
            assert_eq!(said("Halo Lobi"), is_ready, "{picture:?}");
            assert!(!is_ready || said("Siap melayani"), "it is told that it is ready, too");
        }
    }
}

/// A customer stands a step away. 800×480 pixels on five inches: 187 on an inch.
#[test]
fn letters_are_large_enough_on_the_usual_panel() {
    const PX_PER_MM: f32 = 933.0 / 5.0 / 25.4;
    let sample = samples::Sample::new(ItemId::new("A1").expect("an item"), rupiah(5_000));
    for state in samples::states().filter(|state| *state != "test-card") {
        for (size, language, sandbox) in [(800, 480), (480, 800)].into_iter().flat_map(|size| {
            [(size, Language::Id, false), (size, Language::Id, true), (size, Language::En, false), (size, Language::En, true)]
        }) {
            let settings = samples::settings(SurfaceSettings::Any, Languages::Only(language));
            let picture = Picture { sandbox, ..samples::picture(state, &sample).expect("a state") };
            for mark in Layout::default().page(&picture, &settings, &Fonts::new(), size, Boot(0)) {
                let MarkKind::Text { text, style, .. } = &mark.kind else { continue };
                let mm = style.line() as f32 / PX_PER_MM;
                assert!(mm >= 4.0, "{state} {size:?} {language:?} {sandbox}: {text:?} is {mm:.1} mm high");
            }
        }
    }
}

/// Dark, light, and one whose ground is neither.
fn themes() -> [theme::Theme; 3] {
    let dark = theme::Theme {
        header: 0,
        ground: 0x0b_1020,
        card: 0x1c_2540,
        text: 0xff_ffff,
        muted: 0xb8_c4dd,
        accent: 0x7f_d4f5,
        ..theme::Theme::default()
    };
    let grey = theme::Theme { ground: 0x80_8080, card: 0x90_9090, text: 0, muted: 0, accent: 0, ..theme::Theme::default() };
    [theme::Theme::default(), dark, grey]
}

/// WCAG's 4.5 for every text, on whatever lies below it.
#[test]
fn every_text_stands_out_from_its_ground() {
    for theme in themes() {
        assert_eq!(theme.unreadable(), [], "an operator may choose it");
        for (scene, size) in scenes().into_iter().flat_map(|scene| SIZES.map(|size| (scene.clone(), size))) {
            for (language, sandbox) in [(Language::Id, false), (Language::En, true)] {
                let usual = settings(Path::new(""), (0, 0), PixelFormat::Rgb565, Rotation::None);
                let settings = Settings { languages: Languages::Only(language), theme: theme.clone(), ..usual };
                let picture = Picture { scene: scene.clone(), sandbox };
                let marks = Layout::default().page(&picture, &settings, &Fonts::new(), size, Boot(0));
                for (i, mark) in marks.iter().enumerate() {
                    let MarkKind::Text { text, colour, .. } = &mark.kind else { continue };
                    let below = marks[..i].iter().rev().find_map(|below| match below.kind {
                        MarkKind::Fill { colour, .. } if below.area.common(mark.area) == Some(mark.area) => Some(colour),
                        _ => None,
                    });
                    let contrast = theme::contrast(*colour, below.expect("a ground"));
                    assert!(contrast >= theme::CONTRAST_MIN, "{scene:?} {size:?}: {text:?} has {contrast:.1}");
                }
            }
        }
    }
}

/// Numbers from a seed: the same seed gives the same numbers (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn side(&mut self) -> i32 {
        i32::try_from(96 + self.below(1100)).expect("small")
    }

    /// Words with all kinds of letters, wide and narrow, with spaces or without.
    fn text(&mut self, longest: u64) -> String {
        const LETTERS: [char; 16] = ['W', 'i', 'l', 'm', 'M', 'é', '日', '.', '-', '/', 'o', 'Q', '1', '8', ' ', ' '];
        (0..self.below(longest + 1)).map(|_| LETTERS[self.below(16) as usize]).collect()
    }

    fn amount(&mut self) -> Rupiah {
        let digits = u32::try_from(self.below(9)).expect("small");
        rupiah(1 + self.below(10_u64.pow(digits + 1)))
    }
}

/// A scene in which everything that can vary is chosen at random.
fn any_scene(random: &mut Random) -> Scene {
    let all = scenes();
    let picked = all[random.below(all.len() as u64) as usize].clone();
    let described = goods("C1", Some(&random.text(50)));
    let any_goods = [goods("A1", None), long(), described][random.below(3) as usize].clone();
    let fee = (random.below(2) == 0).then(|| random.amount());
    let address = (random.below(2) == 0).then(|| format!("https://{}/pay/x", "a".repeat(random.below(120) as usize)).into());
    match picked {
        Scene::Pay { until, before, .. } => {
            let payload = "A".repeat(1 + random.below(512) as usize).into();
            Scene::Pay { payload, goods: any_goods, amount: random.amount(), fee, page: address, before, until }
        }
        Scene::PayAtStore { store, within, collect, until, .. } => {
            let code = "8".repeat(1 + random.below(32) as usize).into();
            Scene::PayAtStore { code, store, goods: any_goods, amount: random.amount(), fee, within, collect, page: address, until }
        }
        Scene::Preparing { .. } => Scene::Preparing { goods: any_goods, amount: random.amount() },
        Scene::Dispensing { is_again, .. } => Scene::Dispensing { goods: any_goods, is_again },
        Scene::NotSeen { .. } => Scene::NotSeen { goods: any_goods },
        Scene::Take { .. } => Scene::Take { goods: any_goods },
        Scene::TryAgain { same, up_to, is_later, order, step, .. } => {
            Scene::TryAgain { goods: any_goods, same, up_to: up_to.map(|_| random.amount()), is_later, order, page: address, step }
        }
        Scene::RefundDue { .. } | Scene::Uncertain { .. } => {
            let order = OrderId::new(&"W".repeat(1 + random.below(50) as usize)).expect("an order id");
            Scene::RefundDue { order, amount: random.amount(), page: address }
        }
        other => other,
    }
}

#[test]
fn whatever_is_said_on_whatever_panel_nothing_lies_over_anything() {
    let seed = std::env::var("QRIS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(5);
    println!("QRIS_SEED={seed}");
    let (fonts, mut random) = (Fonts::new(), Random(seed));
    for n in 0..1500 {
        let size = (random.side(), random.side());
        let mut settings = settings(Path::new(""), (0, 0), PixelFormat::Rgb565, Rotation::None);
        settings.languages = [Languages::Only(Language::Id), Languages::Only(Language::En)][random.below(2) as usize];
        settings.name = random.text(60);
        settings.contact = random.text(60);
        settings.greeting = if random.below(2) == 0 { random.text(60) } else { String::new() };
        settings.page_beside = random.below(2) == 0;
        for item in &mut settings.items {
            item.id_name = random.text(50).into();
            item.en_name = random.text(50).into();
            item.price = item.price.map(|_| random.amount());
        }
        let (scene, sandbox) = (any_scene(&mut random), random.below(2) == 0);
        let what = format!("seed {seed}, page {n}: {size:?} {scene:?} {settings:?}");
        let marks = Layout::default().page(&Picture { scene, sandbox }, &settings, &fonts, size, Boot(0));
        assert_eq!(flaw(&marks, size, &fonts), None, "{what}");
    }
}

/// A panel that has no room for all slots says how many there are besides, and has the one that was pressed.
#[test]
fn the_slot_that_was_pressed_is_on_the_panel() {
    for size in SIZES {
        for (item, wanted) in [("A1", "1000/1000"), ("A2", "1000/1000"), ("long", "0/1000"), ("gone", "7/1000")] {
            for is_refused in [false, true] {
                let said = texts(page(&plain(filling(Some(item), is_refused)), size, Language::En));
                assert!(said.iter().any(|text| text.contains(wanted)), "{size:?} {item}: {said:?}");
                assert_eq!(said.iter().any(|text| text.contains("Not now")), is_refused, "{size:?} {item}: {said:?}");
            }
        }
    }
}

/// Two slots may hold the same goods. Only their own names tell them apart.
#[test]
fn who_fills_sees_which_slot_is_which() {
    let mut same = settings(Path::new(""), (0, 0), PixelFormat::Rgb565, Rotation::None);
    for item in &mut same.items {
        (item.id_name, item.en_name) = (LONG.into(), LONG.into());
    }
    let levels = [Level::Suspect(12), Level::Blocked(Some(20)), Level::Low(2), Level::Unknown, Level::Good(20)];
    let slots = || ["A1", "A2", "B1", "C1"].map(|id| ItemId::new(id).expect("an item id"));
    for size in SIZES {
        for language in [Language::Id, Language::En] {
            same.languages = Languages::Only(language);
            let slots: Vec<_> = slots().into_iter().zip(levels).map(|(item, level)| Content { item, capacity: 20, level }).collect();
            let filling = plain(Scene::Filling { slots: slots.clone(), pressed: None, is_refused: false, by_switch: true });
            let marks = Layout::default().page(&filling, &same, &Fonts::new(), size, Boot(0));
            assert_eq!(flaw(&marks, size, &Fonts::new()), None, "{size:?} {language:?}");
            let said = texts(marks);
            // A panel without room for a list tells of the slot that was pressed.
            let is_list = said.iter().any(|text| text.contains("/20"));
            let are_named = slots.iter().all(|slot| said.iter().any(|text| **text == *slot.item.as_str()));
            assert!(are_named || !is_list, "{size:?} {language:?}: {said:?}");
        }
    }
}

/// Filling does not clear a line. While the page is open, the machine sells nothing.
#[test]
fn who_fills_reads_what_is_still_blocked_and_how_to_leave() {
    let languages = [Language::Id, Language::En];
    for (size, language, by_switch) in
        languages.into_iter().flat_map(|language| [((480, 800), language, true), ((800, 480), language, false)])
    {
        let t = text::Words::of(language);
        let said = |level: Level| {
            let slots = vec![Content { item: ItemId::new("A1").expect("an item"), capacity: 3, level }];
            texts(page(&plain(Scene::Filling { slots, pressed: None, is_refused: false, by_switch }), size, language))
        };
        let (blocked, good) = (said(Level::Blocked(Some(3))), said(Level::Good(3)));
        let has = |said: &[String], words: &str| said.iter().any(|text| text == words);
        assert!(has(&blocked, t.blocked_how) && has(&blocked, &format!("{} 3/3", t.blocked)), "{blocked:?}");
        assert!(!has(&good, t.blocked_how) && has(&good, t.filling_how), "{good:?}");
        let way_out = if by_switch { t.filling_switch } else { t.filling_button };
        assert!(has(&blocked, way_out) && has(&good, way_out), "{good:?}");
    }
}

/// A press that comes to nothing is answered with its goods, and with what to do.
#[test]
fn a_refused_press_is_answered_by_the_name_of_its_goods() {
    for (reason, headline) in [
        (Reason::SoldOut, "Sold out"),
        (Reason::LineBlocked, "Not sold now"),
        (Reason::WrongAmount, "Not sold now"),
        (Reason::Relay, "That did not work"),
    ] {
        let said = texts(page(&plain(Scene::Refused { goods: goods("A1", None), reason }), (480, 800), Language::En));
        assert!(said.iter().any(|text| text == headline), "{reason}: {said:?}");
        assert!(said.iter().any(|text| text.contains("Bottled tea")), "{reason}: {said:?}");
    }
}

#[test]
fn a_description_stands_behind_the_name_of_the_price_list() {
    for (goods, wanted) in [
        (goods("C1", Some("B 1234 XYZ")), "Parking – B 1234 XYZ"),
        (goods("C1", Some("Parking, 3 hours")), "Parking, 3 hours"),
        (goods("C1", Some("  ")), "Parking"),
        (goods("A1", None), "Bottled tea 350 ml"),
        (goods("gone", None), "gone"),
    ] {
        let said = texts(page(&plain(Scene::Take { goods }), (800, 480), Language::En));
        assert!(said.iter().any(|text| text == wanted), "{wanted}: {said:?}");
    }
}

#[test]
fn the_sandbox_leaves_three_pixels_a_module_on_the_smallest_panels_too() {
    for size in [(240, 240), (240, 320), (320, 240)] {
        for language in [Language::Id, Language::En] {
            let marks = page(&Picture { sandbox: true, ..pay(60_000) }, size, language);
            let codes: Vec<u32> =
                marks.iter().filter_map(|mark| if let MarkKind::Qr(code) = &mark.kind { Some(code.module_px()) } else { None }).collect();
            assert_eq!(codes, [3], "{size:?}");
        }
    }
}

/// On panels that are about as wide as high, the words stand above and below, where they cost the code most.
#[test]
fn a_square_panel_has_its_room_for_the_code() {
    for size in [(400, 400), (480, 480), (600, 600), (720, 720), (1080, 1080), (600, 660)] {
        for (fee, sandbox) in [(None, false), (None, true), (Some(rupiah(150)), false), (Some(rupiah(150)), true)] {
            let Scene::Pay { payload, goods, amount, page: by_page, until, .. } = pay(60_000).scene else { panic!("no QR") };
            let scene = Scene::Pay { payload, goods, amount, fee, page: by_page, before: None, until };
            let mut settings = settings(Path::new(""), (0, 0), PixelFormat::Rgb565, Rotation::None);
            settings.page_beside = false;
            let marks = Layout::default().page(&Picture { scene, sandbox }, &settings, &Fonts::new(), size, Boot(0));
            let sides: Vec<i32> = marks.iter().filter(|mark| matches!(mark.kind, MarkKind::Qr(_))).map(|mark| mark.area.w).collect();
            assert!(sides[0] * 100 >= size.0 * 59, "{size:?} {fee:?} {sandbox}: {sides:?}");
        }
    }
}

#[test]
fn a_tick_redraws_the_countdown_and_nothing_else() {
    let fonts = Fonts::new();
    let mut layout = Layout::default();
    let settings = settings(Path::new(""), (480, 800), PixelFormat::Rgb565, Rotation::None);
    let mut at = |now| layout.page(&pay(60_000), &settings, &fonts, (480, 800), Boot(now));
    let (first, same, next) = (at(0), at(500), at(1_000));
    assert_eq!(paint::changes(&first, &same), Some(vec![]), "0:60 for a whole second");
    let changed = paint::changes(&first, &next).expect("the same marks");
    assert!(changed.len() == 1 && changed[0].h < 50 && changed[0].w < 140, "{changed:?}");
}

#[test]
fn a_payment_code_is_shown_whole_in_groups_of_four() {
    for size in [(480, 800), (800, 480), (320, 240), (240, 240)] {
        for (code, wanted) in [("8127740588870520", "8127 7405 8887 0520"), ("25709650945026", "2570 9650 9450 26"), ("1234", "1234")] {
            let said = |until| texts(page(&plain(at_store(code, until)), size, Language::Id)).join(" ");
            assert!(said(60_000).contains(wanted), "{size:?}: {}", said(60_000));
            assert!(!said(-1).contains(&code[..4]), "{size:?}: it leaves the panel by itself");
        }
    }
}

#[test]
fn an_orders_number_is_shown_whole_in_groups_of_five() {
    let order = OrderId::new("mrbwt0fehv1vfdtzqgdn").expect("an order id");
    for size in [(480, 800), (800, 480), (320, 240), (240, 240)] {
        let due = Scene::RefundDue { order: order.clone(), amount: rupiah(5_000), page: None };
        let said = texts(page(&plain(due), size, Language::Id)).join(" ");
        assert!(said.contains("mrbwt 0fehv 1vfdt zqgdn"), "{size:?}: {said}");
    }
}
