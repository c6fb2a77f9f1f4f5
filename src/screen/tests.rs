//! The screen as a customer's phone sees it: the surface's own bytes, read back.

mod pages;
mod payee;
mod small;

use super::fonts::Fonts;
use super::logo::Logo;
use super::paint::MarkKind;
use super::picture::{Content, Goods, Level, Missing, Picture, Scene, TryStep};
use super::*;
use qris_core::order::ids::{ItemId, OrderId};
use qris_core::order::money::Rupiah;
use qris_core::order::reason::Reason;
use qris_core::order::stock::NotSold;
use qris_core::order::time::Span;
use qris_core::order::tries::TwoDigits;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

/// As long as Midtrans' own payloads.
const PAYLOAD: &str = "00020101021226620014COM.GO-JEK.WWW011993600914337918182570210G3791818250303UKE51440014ID.CO.QRIS.WWW0215AID7720513752290303UKE5204359353033605802ID5910PAPI LIVE26005KUKAR6105755535409100000.0062475036b1855b6c-70ab-4449-9778-61b8ffe43fd20703A016304C385";
/// The customer's page of an order.
const PAGE: &str = "https://pay.example.co.id/pay/vm-001_0192f3c4d5e6f7a8b9c0d1e2";
const LONG: &str = "Kopi susu gula aren dingin ukuran besar sekali dengan topping boba dan es krim vanila";
const ROTATIONS: [Rotation; 4] = [Rotation::None, Rotation::Quarter, Rotation::Half, Rotation::ThreeQuarters];

fn rupiah(n: u64) -> Rupiah {
    Rupiah::new(n).expect("in range")
}

fn order() -> OrderId {
    OrderId::new("vm-001_0192f3c4d5e6f7a8b9c0d1e2").expect("an order id")
}

fn goods(item: &str, description: Option<&str>) -> Goods {
    Goods { item: ItemId::new(item).expect("an item id"), description: description.map(Into::into) }
}

/// The goods with the longest name of all.
fn long() -> Goods {
    goods("long", None)
}

fn plain(scene: Scene) -> Picture {
    Picture { scene, sandbox: false }
}

fn idle() -> Picture {
    plain(Scene::Idle { trouble: None, not_sold: BTreeMap::new() })
}

fn pay(until: i64) -> Picture {
    plain(Scene::Pay {
        payload: PAYLOAD.into(),
        goods: goods("A1", None),
        amount: rupiah(5_100),
        fee: Some(rupiah(100)),
        page: None,
        before: None,
        until: Boot(until),
    })
}

fn at_store(code: &str, until: i64) -> Scene {
    Scene::PayAtStore {
        code: code.into(),
        store: "Indomaret",
        goods: long(),
        amount: rupiah(1_000_000_000),
        fee: Some(rupiah(999)),
        within: Some(Span::secs(86_400)),
        collect: Some(Span::secs(259_200)),
        page: None,
        until: Boot(until),
    }
}

fn at_store_with_page(until: i64) -> Scene {
    let Scene::PayAtStore { code, store, goods, amount, fee, within, collect, until, .. } = at_store("8127740588870520", until) else {
        panic!("a code")
    };
    Scene::PayAtStore { code, store, goods, amount, fee, within, collect, page: Some(PAGE.into()), until }
}

/// The QR with the code of the customer's page.
fn pay_with_page(until: i64) -> Picture {
    let Scene::Pay { payload, goods, amount, fee, until, .. } = pay(until).scene else { panic!("a QR") };
    plain(Scene::Pay { payload, goods, amount, fee, page: Some(PAGE.into()), before: None, until })
}

fn filling(pressed: Option<&str>, is_refused: bool) -> Scene {
    let levels = [
        Level::Blocked(Some(1_000)),
        Level::Counting(1_000),
        Level::Suspect(1_000),
        Level::Filling(1_000),
        Level::NotSold(Some(1_000)),
        Level::Good(7),
    ];
    let item = |id: &str| ItemId::new(id).expect("an item id");
    let slot = |(id, level)| Content { item: item(id), capacity: 1_000, level };
    let slots = ["A1", "A2", "B1", "long", "C1", "gone"].into_iter().zip(levels).map(slot).collect();
    Scene::Filling { slots, pressed: pressed.map(item), is_refused, by_switch: is_refused }
}

fn not_sold() -> BTreeMap<ItemId, NotSold> {
    [(goods("A1", None).item, NotSold::SoldOut), (long().item, NotSold::Blocked)].into()
}

fn again(same: bool, up_to: Option<Rupiah>, page: Option<&str>, step: TryStep) -> Scene {
    Scene::TryAgain { goods: long(), same, up_to, is_later: !same, order: order(), page: page.map(Into::into), step }
}

fn scenes() -> Vec<Scene> {
    vec![
        Scene::Starting,
        Scene::Idle { trouble: None, not_sold: BTreeMap::new() },
        Scene::Idle { trouble: Some(Reason::LineBlocked), not_sold: BTreeMap::new() },
        Scene::Idle { trouble: None, not_sold: not_sold() },
        Scene::Idle { trouble: Some(Reason::SoldOut), not_sold: BTreeMap::new() },
        Scene::Offline { missing: Missing::Backend, not_sold: BTreeMap::new() },
        Scene::Offline { missing: Missing::Broker, not_sold: not_sold() },
        Scene::Refused { goods: long(), reason: Reason::LineBlocked },
        Scene::Refused { goods: long(), reason: Reason::SoldOut },
        Scene::Refused { goods: long(), reason: Reason::RateLimited },
        Scene::TestCard,
        filling(None, false),
        filling(Some("long"), false),
        filling(Some("long"), true),
        Scene::Preparing { goods: long(), amount: rupiah(1_000_000_000) },
        pay(119_000).scene,
        Scene::Pay {
            payload: PAYLOAD.into(),
            goods: goods("C1", Some("B 1234 XYZ, 14:05–17:45, mobil penumpang, lantai 2")),
            amount: rupiah(1_000_000_000),
            fee: Some(rupiah(999_999)),
            page: Some(PAGE.into()),
            before: None,
            until: Boot(839_000),
        },
        pay(-1).scene,
        pay_with_page(60_000).scene,
        pay(119_000).scene.before(Some(order())),
        pay_with_page(60_000).scene.before(Some(order())),
        at_store("8127740588870520", 60_000),
        at_store("25709650945026", -1),
        at_store_with_page(60_000),
        at_store(&"W".repeat(32), 60_000),
        Scene::Collect { goods: long(), within: None },
        Scene::Collect { goods: long(), within: Some(Span::secs(72 * 3600)) },
        Scene::Checking { goods: long() },
        Scene::Cancelling { goods: long() },
        Scene::DoNotPay { order: Some(order()) },
        Scene::DoNotPay { order: None },
        Scene::Dispensing { goods: long(), is_again: false },
        Scene::Dispensing { goods: long(), is_again: true },
        Scene::NotSeen { goods: long() },
        Scene::Take { goods: long() },
        Scene::Cancelled { timed_out: true },
        Scene::Cancelled { timed_out: false },
        Scene::Expired,
        Scene::Denied,
        Scene::Failed { reason: Some(Reason::Backend) },
        Scene::RefundDue { order: order(), amount: rupiah(5_000), page: None },
        Scene::RefundDue { order: order(), amount: rupiah(1_000_000_000), page: Some(PAGE.into()) },
        again(true, Some(rupiah(5_000)), Some(PAGE), TryStep::Offered),
        again(false, Some(rupiah(1_000_000_000)), None, TryStep::Offered),
        again(true, None, Some(PAGE), TryStep::Offered),
        again(true, Some(rupiah(5_000)), Some(PAGE), TryStep::Pressed { item: long(), paid_at: Some("15:02 WIB".into()) }),
        again(false, Some(rupiah(5_000)), None, TryStep::Pressed { item: goods("A2", None), paid_at: None }),
        again(true, None, Some(PAGE), TryStep::Number(TwoDigits::of(7))),
        again(true, None, None, TryStep::Number(TwoDigits::of(88))),
        again(false, Some(rupiah(5_000)), Some(PAGE), TryStep::Told),
        Scene::Uncertain { order: order(), amount: rupiah(5_000), page: None },
        Scene::Uncertain { order: order(), amount: rupiah(1_000_000_000), page: Some(PAGE.into()) },
        Scene::Refunded { order: order(), amount: rupiah(5_000) },
    ]
}

fn settings(path: &Path, (width, height): (u32, u32), format: PixelFormat, rotate: Rotation) -> Settings {
    Settings {
        surface: SurfaceSettings::Virtual { path: path.into(), width, height, format },
        rotate,
        languages: Languages::Only(Language::Id),
        name: "Mesin Lantai 2".into(),
        contact: "0812-3456-7890 (WhatsApp)".into(),
        greeting: String::new(),
        items: [
            ("A1", "Teh botol 350 ml", "Bottled tea 350 ml", Some(5_000)),
            ("A2", "Air mineral 600 ml", "Mineral water 600 ml", Some(4_000)),
            ("B1", "Kopi susu gula aren", "Palm sugar latte", Some(12_500)),
            ("long", LONG, LONG, Some(8_000)),
            ("C1", "Parkir", "Parking", None),
        ]
        .map(|(id, id_name, en_name, price)| Item {
            id: ItemId::new(id).expect("an item id"),
            id_name: id_name.into(),
            en_name: en_name.into(),
            price: price.map(rupiah),
        })
        .into(),
        theme: theme::Theme::default(),
        logo: None,
        page_beside: true,
    }
}

/// A screen whose clock is set by hand. The rig waits for its reports.
struct Rig {
    screen: Option<Screen>,
    reports: Receiver<ScreenState>,
    clock: Arc<AtomicI64>,
    settings: Settings,
    _directory: Option<tempfile::TempDir>,
}

impl Rig {
    fn start(settings: Settings, first: Picture) -> Self {
        let (sender, reports) = channel();
        let clock = Arc::new(AtomicI64::new(0));
        let read = Arc::clone(&clock);
        let report = move |state| drop(sender.send(state));
        let screen = Screen::start(settings.clone(), first, move || Boot(read.load(Ordering::SeqCst)), report);
        Self { screen: Some(screen), reports, clock, settings, _directory: None }
    }

    /// A virtual panel that shows this.
    fn working(size: (u32, u32), format: PixelFormat, rotate: Rotation, first: Picture) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let rig = Self::start(settings(&directory.path().join("screen"), size, format, rotate), first);
        assert_eq!(rig.report(), ScreenState::Working);
        Self { _directory: Some(directory), ..rig }
    }

    fn usual(first: Picture) -> Self {
        Self::working((480, 800), PixelFormat::Rgb565, Rotation::None, first)
    }

    fn report(&self) -> ScreenState {
        self.reports.recv_timeout(Duration::from_secs(20)).expect("a report")
    }

    fn show(&self, picture: Picture) {
        self.screen.as_ref().expect("running").show(picture);
    }

    fn bytes(&self) -> Vec<u8> {
        let SurfaceSettings::Virtual { path, .. } = &self.settings.surface else { panic!("virtual") };
        std::fs::read(path).expect("the surface")
    }

    /// The codes that a phone reads.
    fn codes(&self) -> Vec<String> {
        let (width, height, grey) = grey(&self.settings.surface, &self.bytes());
        codes(width, height, |x, y| grey[y * width + x])
    }

    fn until(&self, wanted: impl Fn(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !wanted(self) {
            assert!(Instant::now() < end, "the screen never showed it");
            std::thread::yield_now();
        }
    }

    fn until_none(&self) {
        self.until(|rig| rig.codes().is_empty());
    }

    /// Asks for a shot, and waits for it.
    fn shot(&self) -> Option<Vec<u8>> {
        let (sender, shots) = channel();
        self.screen.as_ref().expect("running").camera().shot(move |png| drop(sender.send(png)));
        shots.recv_timeout(Duration::from_secs(60)).expect("an answer")
    }
}

fn grey(surface: &SurfaceSettings, bytes: &[u8]) -> (usize, usize, Vec<u8>) {
    let SurfaceSettings::Virtual { width, height, format, .. } = surface else { panic!("virtual") };
    assert_eq!(bytes.len(), *width as usize * *height as usize * format.bytes());
    let grey = match format {
        PixelFormat::Rgb565 => bytes.chunks_exact(2).map(|b| ((u16::from_le_bytes([b[0], b[1]]) >> 5 & 0x3f) * 255 / 63) as u8).collect(),
        PixelFormat::Xrgb8888 => bytes.chunks_exact(4).map(|b| b[1]).collect(),
    };
    (*width as usize, *height as usize, grey)
}

fn codes(width: usize, height: usize, grey: impl FnMut(usize, usize) -> u8) -> Vec<String> {
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, grey);
    let mut found: Vec<_> = image.detect_grids().iter().filter_map(|grid| grid.decode().ok().map(|(_, text)| text)).collect();
    found.sort();
    found
}

#[test]
fn a_phone_reads_the_payload_from_every_panel_and_nothing_when_nobody_is_to_pay() {
    for size in [(480, 800), (320, 480), (240, 240)] {
        for format in [PixelFormat::Rgb565, PixelFormat::Xrgb8888] {
            for rotate in ROTATIONS {
                let rig = Rig::working(size, format, rotate, pay(60_000));
                assert_eq!(rig.codes(), [PAYLOAD], "{size:?} {format:?} {rotate:?}");
                rig.show(idle());
                rig.until_none();
            }
        }
    }
}

#[test]
fn the_page_s_code_stands_beside_what_is_to_be_paid_where_both_can_be_read_and_gives_way_where_not() {
    let at_store = || plain(at_store_with_page(1_000));
    type Row<'a> = (Picture, (u32, u32), &'a [Rotation], &'a [&'a str]);
    let table: [Row<'_>; 5] = [
        (pay_with_page(1_000), (480, 800), &ROTATIONS, &[PAYLOAD, PAGE]),
        (pay_with_page(1_000), (1024, 600), &ROTATIONS, &[PAYLOAD, PAGE]),
        (pay_with_page(1_000), (240, 240), &ROTATIONS, &[PAYLOAD]),
        (at_store(), (480, 800), &ROTATIONS[..1], &[PAGE]),
        (at_store(), (240, 240), &ROTATIONS, &[]),
    ];
    for (picture, size, rotations, wanted) in table {
        for &rotate in rotations {
            let rig = Rig::working(size, PixelFormat::Rgb565, rotate, picture.clone());
            assert_eq!(rig.codes(), wanted, "{size:?} {rotate:?}");
            rig.clock.store(1_000, Ordering::SeqCst);
            rig.until_none();
        }
    }
}

#[test]
fn the_qr_leaves_the_panel_at_its_deadline_and_at_the_end_by_itself() {
    let mut rig = Rig::usual(pay(1_000));
    assert_eq!(rig.codes(), [PAYLOAD]);
    rig.clock.store(1_000, Ordering::SeqCst);
    rig.until_none();

    rig.show(pay(60_000));
    rig.until(|rig| rig.codes() == [PAYLOAD]);
    let began = Instant::now();
    rig.screen = None;
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(rig.bytes().iter().all(|byte| *byte == 0), "black, as without power");
}

#[test]
fn what_an_earlier_run_left_is_overwritten_at_once() {
    let mut rig = Rig::usual(pay(60_000));
    let left = rig.bytes();
    rig.screen = None;
    let SurfaceSettings::Virtual { path, .. } = &rig.settings.surface else { panic!("virtual") };
    std::fs::write(path, left).expect("written");
    assert_eq!(rig.codes(), [PAYLOAD]);
    let again = Rig::start(rig.settings.clone(), plain(Scene::Starting));
    assert_eq!((again.report(), again.codes()), (ScreenState::Working, vec![]));
}

#[test]
fn a_screen_that_cannot_be_opened_says_so_and_comes_by_itself() {
    let directory = tempfile::tempdir().expect("a directory");
    let inner = directory.path().join("later");
    let settings = settings(&inner.join("screen"), (480, 800), PixelFormat::Rgb565, Rotation::None);
    let rig = Rig::start(settings, idle());
    let ScreenState::Gone(reason) = rig.report() else { panic!("there is no directory") };
    assert!(reason.contains("later/screen") && reason.contains("No such file"), "{reason}");
    rig.show(pay(60_000));
    std::fs::create_dir(&inner).expect("created");
    assert_eq!(rig.report(), ScreenState::Working);
    assert_eq!(rig.codes(), [PAYLOAD], "the latest picture, not the first");

    // It vanishes while a QR is shown: the next tick finds out.
    std::fs::remove_dir_all(&inner).expect("removed");
    assert!(matches!(rig.report(), ScreenState::Gone(_)));
}

#[test]
fn what_is_no_screen_is_refused_with_the_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    std::fs::write(&file, "").expect("written");
    let virt = |path: &Path, size| settings(path, size, PixelFormat::Rgb565, Rotation::None);
    let device = |path: &Path| Settings { surface: SurfaceSettings::Device(path.into()), ..virt(path, (0, 0)) };
    for (settings, wanted) in [
        (virt(&file, (95, 800)), "95×800"),
        (virt(&file, (480, 100_000)), "480×100000"),
        (virt(directory.path(), (480, 800)), "directory"),
        (virt(Path::new("/dev/null"), (480, 800)), "not a regular file"),
        (device(&directory.path().join("fb9")), "No such file"),
        (device(&file), "layout"),
    ] {
        let ScreenState::Gone(reason) = Rig::start(settings, idle()).report() else { panic!("{wanted}") };
        assert!(reason.contains(wanted), "{reason}");
    }
    assert_eq!(std::fs::read(&file).expect("read"), b"", "what is refused is not touched");
}

/// The page as marks, without a surface.
fn page(picture: &Picture, size: (i32, i32), language: Language) -> Vec<Mark> {
    let settings =
        Settings { languages: Languages::Only(language), ..settings(Path::new(""), (0, 0), PixelFormat::Rgb565, Rotation::None) };
    Layout::default().page(picture, &settings, &Fonts::new(), size, Boot(0))
}

/// The words on a page.
fn texts(marks: Vec<Mark>) -> Vec<String> {
    marks.into_iter().filter_map(|mark| if let MarkKind::Text { text, .. } = mark.kind { Some(text.into_string()) } else { None }).collect()
}

/// The fault of a page: a mark leaves it, or lies over another one that people must read.
fn flaw(marks: &[Mark], size: (i32, i32), fonts: &Fonts) -> Option<String> {
    let whole = Rect::new(0, 0, size.0, size.1);
    if let Some(mark) = marks.iter().find(|mark| mark.area.common(whole) != Some(mark.area)) {
        return Some(format!("leaves the page: {mark:?}"));
    }
    let solids: Vec<_> = marks.iter().filter(|mark| !matches!(mark.kind, MarkKind::Fill { .. })).collect();
    for (i, a) in solids.iter().enumerate() {
        if let MarkKind::Text { text, style, .. } = &a.kind
            && fonts.width(*style, text) > a.area.w
        {
            return Some(format!("wider than its room: {text}"));
        }
        if let Some(b) = solids[..i].iter().find(|b| a.area.common(b.area).is_some()) {
            return Some(format!("{a:?} over {b:?}"));
        }
    }
    None
}

const SIZES: [(i32, i32); 15] = [
    (480, 800),
    (320, 480),
    (800, 480),
    (480, 320),
    (320, 240),
    (240, 320),
    (240, 240),
    (1024, 600),
    (1280, 1024),
    (1920, 1080),
    (240, 135),
    (170, 320),
    (160, 128),
    (128, 160),
    (128, 128),
];

#[test]
fn both_languages_take_turns_and_the_qr_stands_still() {
    let fonts = Fonts::new();
    let settings = Settings { languages: Languages::Both, ..settings(Path::new(""), (480, 800), PixelFormat::Rgb565, Rotation::None) };
    let mut layout = Layout::default();
    for picture in [pay(600_000), pay_with_page(600_000)] {
        let mut at = |now| layout.page(&picture, &settings, &fonts, (480, 800), Boot(now));
        let (first, second, third) = (at(0), at(6_000), at(12_000));
        let says = |page: &[Mark], text: &str| texts(page.to_vec()).iter().any(|said| said.split(" · ").any(|word| word == text));
        assert!(says(&first, "Bayar") && says(&second, "Pay") && says(&third, "Bayar"));
        assert!(!paint::qr_changes(&first, &second) && !paint::qr_changes(&second, &third));
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("screen");
    let surface = SurfaceSettings::Virtual { path, width: 480, height: 800, format: PixelFormat::Rgb565 };
    let rig = Rig::start(Settings { surface, ..settings }, idle());
    rig.report();
    let before = rig.bytes();
    rig.clock.store(6_000, Ordering::SeqCst);
    rig.until(|rig| rig.bytes() != before);
}

#[test]
fn a_logo_stands_before_the_name_and_colours_are_the_operators() {
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, 300, 100);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().expect("a header").write_image_data(&[0xff, 0x80, 0].repeat(30_000)).expect("pixels");
    let mut settings = settings(Path::new(""), (0, 0), PixelFormat::Xrgb8888, Rotation::None);
    settings.logo = Some(Arc::new(Logo::read(&png).expect("a logo")));
    settings.theme.ground = 0xff_f0f0;
    let mut brush = Brush::new();
    for size in SIZES {
        let marks = Layout::default().page(&idle(), &settings, brush.fonts(), size, Boot(0));
        assert_eq!(flaw(&marks, size, brush.fonts()), None, "{size:?}");
        let geometry = geometry::Geometry { width: size.0 as u32, height: size.1 as u32, format: PixelFormat::Xrgb8888 };
        let drawn = brush.draw(&marks, geometry, Rotation::None, Rect::new(0, 0, size.0, size.1));
        let count =
            |colour: u32| drawn.chunks_exact(4).filter(|pixel| u32::from_le_bytes([pixel[0], pixel[1], pixel[2], 0]) == colour).count();
        assert!(count(0xff_f0f0) > 1000, "{size:?}");
        assert!(count(0xff_8000) > 100 || size.0 < 240, "{size:?}");
    }
}

#[test]
fn a_shot_is_what_the_panel_shows_upright_and_small() {
    for (size, rotate, wanted) in [((480, 800), Rotation::None, (480, 800)), ((1024, 600), Rotation::Quarter, (600, 1024))] {
        let png = Rig::working(size, PixelFormat::Rgb565, rotate, pay(60_000)).shot().expect("it shows something");
        assert!(png.len() <= render::PNG_MAX, "{}", png.len());
        let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().expect("a PNG");
        let mut rgb = vec![0; reader.output_buffer_size().expect("a size")];
        let frame = reader.next_frame(&mut rgb).expect("pixels");
        assert_eq!((frame.width, frame.height), wanted);
        let width = frame.width as usize;
        assert_eq!(codes(width, frame.height as usize, |x, y| rgb[(y * width + x) * 3 + 1]), [PAYLOAD]);
    }
    // A picture that cannot be drawn cannot be seen.
    let nowhere = settings(Path::new("/nowhere/screen"), (480, 800), PixelFormat::Rgb565, Rotation::None);
    let rig = Rig::start(nowhere, idle());
    rig.report();
    assert_eq!(rig.shot(), None);
}

#[test]
fn pictures_for_others_are_taken_once_a_second_and_for_few() {
    let rig = Rig::usual(idle());
    let camera = rig.screen.as_ref().expect("running").camera();
    let (sender, shots) = channel();
    let ask = |number: usize| {
        let sender = sender.clone();
        camera.shot(move |png| drop(sender.send((number, Instant::now(), png))));
    };
    let next = || shots.recv_timeout(Duration::from_secs(60)).expect("an answer");
    let begun = Instant::now();
    ask(0);
    let (number, _, png) = next();
    assert!(number == 0 && png.is_some());
    // Four requests wait for the next picture, and get the same one. The others are dropped.
    (1..100).for_each(ask);
    let answers: Vec<_> = std::iter::repeat_with(next).take(4).collect();
    assert_eq!(answers.iter().map(|(number, ..)| *number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(answers.iter().all(|(_, at, other)| *at - begun >= camera::EVERY && *other == png));
    assert!(shots.try_recv().is_err());
    ask(100);
    assert_eq!(next().0, 100);
}

#[test]
fn the_quiet_zone_is_white_and_the_modules_are_whole() {
    for (size, wanted_px) in [((480, 800), 6), ((320, 480), 4), ((240, 320), 3), ((240, 240), 3)] {
        let mark = page(&pay(60_000), (size.0 as i32, size.1 as i32), Language::Id).into_iter().find_map(|mark| match mark.kind {
            MarkKind::Qr(code) => Some((mark.area, code)),
            _ => None,
        });
        let (area, code) = mark.expect("a QR code");
        assert!(code.module_px() >= wanted_px, "{size:?}: {}", code.module_px());
        let rig = Rig::working(size, PixelFormat::Xrgb8888, Rotation::None, pay(60_000));
        let (width, _, grey) = grey(&rig.settings.surface, &rig.bytes());
        let module = code.module_px() as i32;
        let at = |x: i32, y: i32| grey[(area.y + y) as usize * width + (area.x + x) as usize];
        for y in 0..area.h {
            for x in 0..area.w {
                let quiet = [x, y].iter().any(|i| *i < 4 * module || *i >= area.w - 4 * module);
                assert!(!quiet || at(x, y) == 255, "quiet zone at {x},{y}");
                assert_eq!(at(x, y), at(x / module * module, y / module * module), "module at {x},{y}");
            }
        }
    }
}

#[test]
fn parts_of_the_panel_come_out_like_the_whole() {
    let (mut brush, settings) = (paint::Brush::new(), settings(Path::new(""), (480, 800), PixelFormat::Rgb565, Rotation::None));
    let geometry = geometry::Geometry { width: 480, height: 800, format: PixelFormat::Rgb565 };
    for rotation in ROTATIONS {
        let marks = Layout::default().page(&pay(60_000), &settings, brush.fonts(), rotation.page_size(geometry), Boot(0));
        let whole = brush.draw(&marks, geometry, rotation, Rect::new(0, 0, 480, 800));
        for mark in &marks {
            let part = rotation.to_panel(mark.area, geometry);
            let drawn = brush.draw(&marks, geometry, rotation, part);
            for (y, row) in (part.y..).zip(drawn.chunks_exact(part.w as usize * 2)) {
                let from = (y as usize * 480 + part.x as usize) * 2;
                assert_eq!(row, &whole[from..from + row.len()], "{rotation:?} {mark:?}");
            }
        }
    }
}

#[test]
fn after_any_change_the_panel_is_as_if_drawn_afresh_and_a_qr_comes_in_one_go() {
    let geometry = geometry::Geometry { width: 320, height: 480, format: PixelFormat::Rgb565 };
    let settings = settings(Path::new(""), (320, 480), PixelFormat::Rgb565, Rotation::None);
    let mut brush = paint::Brush::new();
    let pictures: Vec<_> = scenes().into_iter().flat_map(|scene| [(scene.clone(), false), (scene, true)]).collect();
    for rotation in ROTATIONS {
        let (mut panel, mut old) = (vec![0; 320 * 480 * 2], Vec::new());
        // From each picture to the next, and from there to another one: short and long ways.
        for i in (0..pictures.len()).flat_map(|i| [i, (i + 7) % pictures.len()]) {
            let (scene, sandbox) = pictures[i].clone();
            let page = Layout::default().page(&Picture { scene, sandbox }, &settings, brush.fonts(), rotation.page_size(geometry), Boot(0));
            let change = paint::Change { geometry, rotation, old: &old, new: &page, in_one: false };
            let mut puts = 0;
            let put = |first: i32, rows: &[&[u8]]| {
                puts += 1;
                let start = first as usize * 640;
                panel[start..start + rows.len() * 640].copy_from_slice(&rows.concat());
                Ok::<(), ()>(())
            };
            brush.rows(&change, put).expect("put");
            assert!(puts < 2 || !paint::qr_changes(&old, &page), "{puts} {rotation:?} {:?}", pictures[i]);
            let fresh = brush.draw(&page, geometry, rotation, Rect::new(0, 0, 320, 480));
            assert!(panel == fresh, "{rotation:?} {:?}", pictures[i]);
            old = page;
        }
    }
}
