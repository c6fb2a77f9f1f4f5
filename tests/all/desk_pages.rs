//! The desk's pages in a real browser, behind a real nginx with TLS: in both languages, on a phone and on a desk, by day and by night,
//! with scripts and without.

use crate::indonesian::english_in;
use crate::rig::browser::Browser;
use crate::rig::midtrans::Via;
use crate::rig::mosquitto::TAP;
use crate::rig::nginx::Nginx;
use crate::rig::people::{Desk, PASSWORD};
use crate::rig::shop::{DEVICE, Program};
use crate::rig::tap::Tap;
use crate::rig::{installed, wait_for};
use serde_json::{Value, json};

/// A phone in one hand, and a desk.
pub const SIZES: [(u32, u32); 2] = [(360, 740), (1280, 900)];
/// What others say, and what has names.
const OTHERS: [&str; 6] = ["Bottled tea", "Warung Jaya", "English", "the relay", "Chrome, Linux", "Safari"];
/// What a thumb must hit is this high, in pixels of CSS.
const SMALL: &str = "return [...document.querySelectorAll('button, a.button, nav a, .choices a, summary, .me, input:not([type=hidden]):not([type=checkbox]):not([type=radio]):not(.hidden)')] \
    .filter(thing => thing.checkVisibility() && Math.round(thing.getBoundingClientRect().height) < 44).map(thing => thing.outerHTML)";
const AXE: &str = "return axe.run(document, { resultTypes: ['violations'] }).then(found => found.violations \
    .filter(one => ['moderate', 'serious', 'critical'].includes(one.impact)).map(one => one.id + ': ' + one.nodes.map(node => node.html).join(' | ')))";
/// Sends the form of a page with these fields, past what the browser itself would ask for.
const SEND: &str = "const form = document.querySelector('main form[method=post]'); form.noValidate = true; \
    for (const [name, value] of Object.entries(typed)) form.elements[name].value = value; \
    window.isBefore = true; form.requestSubmit()";

/// What reaches beyond the page's width; nothing, if it does not scroll to the side.
const SCROLLS: &str = "const all = document.documentElement; return all.scrollWidth <= all.clientWidth ? [] : \
    [...document.querySelectorAll('body *')].filter(thing => thing.getBoundingClientRect().right > all.clientWidth + 1).map(thing => thing.outerHTML.slice(0, 120)).slice(-4)";
/// Letters twice as large, as somebody sets them for all pages: which texts do not follow, and what reaches beyond the width then.
const LARGE_LETTERS: &str = "const all = document.documentElement, size = thing => parseFloat(getComputedStyle(thing).fontSize); \
    const hasText = thing => thing.checkVisibility() && [...thing.childNodes].some(node => node.nodeType === 3 && node.data.trim()); \
    const texts = [...document.querySelectorAll('body *')].filter(hasText).map(thing => [thing, size(thing)]); \
    all.style.fontSize = '200%'; \
    const fixed = texts.filter(([thing, before]) => size(thing) < before * 1.9).map(([thing]) => thing.outerHTML.slice(0, 160)); \
    const wide = all.scrollWidth <= all.clientWidth ? [] : \
        [...document.querySelectorAll('body *')].filter(thing => thing.getBoundingClientRect().right > all.clientWidth + 1).map(thing => thing.outerHTML.slice(0, 120)).slice(-4); \
    all.style.fontSize = ''; return [fixed, wide]";
const STATUS: &str = "return performance.getEntriesByType('navigation')[0].responseStatus";

/// A shop with an order of each kind, and a browser in which its owner is logged in.
struct Furnished {
    browser: Browser,
    front: Nginx,
    desk: Desk,
    failed: String,
    uncertain: String,
    delivered: String,
    _temporary: tempfile::TempDir,
}

fn furnished(language: &str) -> Furnished {
    let desk = Desk::open();
    let [failed, uncertain, delivered] = ["failed", "uncertain", "dispensed"].map(|outcome| desk.shop.reported(outcome));
    let open = desk.shop.charged();
    desk.shop.midtrans.pay(&open, Via::Qris);
    desk.shop.charged();
    let temporary = tempfile::tempdir().expect("a directory");
    let front = Nginx::before(desk.port, desk.shop.path());
    let mut desk = desk;
    // A browser has the pages under this address, and no other one.
    let (own, public) = (desk.url.clone(), front.url.clone());
    desk.shop.kill_backend();
    desk.shop.edit(Program::Backend, |text| text.replace(&own, &public));
    desk.shop.start_backend();
    desk.start(&[]);
    let code = desk.add("Sari", "owner");
    let browser = Browser::start_believing(temporary.path());
    browser.be_phone(SIZES[0].0, SIZES[0].1, language);
    browser.open(&format!("{}/join/{code}", front.url));
    browser.press("#password", PASSWORD);
    browser.press("#again", PASSWORD);
    browser.click("main form button");
    browser.wait("today", "return location.pathname === '/' && document.querySelector('h1') !== null");
    Furnished { browser, front, desk, failed, uncertain, delivered, _temporary: temporary }
}

/// A page, and how it comes to be seen.
struct Seen {
    at: String,
    /// What is typed into its form before that is sent. `None`: it is only opened.
    typed: Option<Value>,
    /// What somebody at the server's terminal does while it is open.
    meanwhile: &'static [&'static str],
    /// The status of what is seen in the end.
    status: u64,
}

impl Seen {
    fn opened(at: impl Into<String>, status: u64) -> Self {
        Self { at: at.into(), typed: None, meanwhile: &[], status }
    }

    fn sent(at: impl Into<String>, typed: Value, status: u64) -> Self {
        Self { typed: Some(typed), ..Self::opened(at, status) }
    }
}

impl Furnished {
    /// Every page and form. At the end whoever is logged in may only see.
    fn pages(&self) -> Vec<Seen> {
        let Self { failed, uncertain, delivered, .. } = self;
        let shop = &self.desk.shop;
        let (offered, large) = (shop.reported("failed"), shop.reported_of(("Lobi", "Bottled tea", 500_001), "failed"));
        assert!(shop.merchant(&["again", &offered, "--by", "Sari"]).status.success());
        let join = format!("/join/{}", self.desk.add("Budi", "viewer"));
        let deed = |order: &str, deed: &str| format!("/orders/{order}/{deed}");
        let opened = |pages: &[&str]| pages.iter().map(|page| Seen::opened(*page, 200)).collect::<Vec<_>>();
        let orders = ["/", "/orders", "/machines", "/machines/vm-001", "/report", "/sessions"];
        let mut pages = opened(&orders);
        pages.extend(opened(&["/orders?q=5.000+15%3A00", "/orders?q=%3Cb%3E", "/orders?wanting=true", "/bring", "/log", "/login", &join]));
        pages.extend(opened(&["/report?by=item", "/report?by=machine", "/report?by=scheme", "/report?by=day", "/report?month=2026-11"]));
        pages.extend(opened(&["/people", "/people/1", "/people/2", "/password"]));
        pages.extend([failed, uncertain, delivered, &offered, &large].map(|order| Seen::opened(format!("/orders/{order}"), 200)));
        pages.extend(["refund", "by_hand", "given", "again", "seen"].map(|word| Seen::opened(deed(failed, word), 200)));
        // It wants a tick; it is more than she may send back in a day.
        pages.extend([uncertain, &large].map(|order| Seen::opened(deed(order, "refund"), 200)));
        pages.extend([("/nowhere", 404), ("/join/x", 410)].map(|(page, status)| Seen::opened(page, status)));
        pages.extend([
            Seen::sent("/login", json!({ "name": "Sari", "password": "another sentence" }), 403),
            Seen::sent(&join, json!({ "password": "short", "again": "short" }), 422),
            Seen::sent(&join, json!({ "password": PASSWORD, "again": "another sentence" }), 422),
            Seen::sent(deed(failed, "by_hand"), json!({ "note": " " }), 422),
            Seen::sent("/people", json!({ "name": "Rina", "password": "another sentence" }), 403),
            Seen::sent("/people", json!({ "name": "Rina", "password": PASSWORD }), 200),
            Seen::sent("/password", json!({ "password": PASSWORD, "new": "short", "again": "short" }), 422),
            // Without the tick; of a page from before something was written to the order; of another session.
            Seen::sent(deed(uncertain, "refund"), json!({}), 409),
            Seen::sent(deed(failed, "refund"), json!({ "version": "0" }), 409),
            Seen::sent(deed(failed, "refund"), json!({ "token": "x" }), 403),
            Seen { meanwhile: &["desk", "role", "Sari", "--role", "viewer"], ..Seen::sent(deed(failed, "refund"), json!({}), 403) },
        ]);
        pages.extend(opened(&orders));
        pages.extend([failed, uncertain, delivered].map(|order| Seen::opened(format!("/orders/{order}"), 200)));
        pages.extend([Seen::opened(deed(failed, "refund"), 200), Seen::opened("/log", 403)]);
        pages
    }

    /// Opens a page, and sends its form. Where somebody who guesses must wait, it guesses until then: the first waits are over before a busy
    /// computer has shown the page.
    fn arrive(&self, seen: &Seen) {
        if seen.status != 429 {
            return self.arrive_once(seen);
        }
        wait_for("a guess that must wait", || {
            self.arrive_once(seen);
            (self.browser.run(STATUS) == 429).then_some(())
        });
    }

    fn arrive_once(&self, seen: &Seen) {
        self.browser.open(&format!("{}{}", self.front.url, seen.at));
        if !seen.meanwhile.is_empty() {
            assert!(self.desk.shop.merchant(seen.meanwhile).status.success());
        }
        if let Some(typed) = &seen.typed {
            self.browser.run(&format!("const typed = {typed}; {SEND}"));
            self.browser.wait("the answer", "return document.readyState === 'complete' && window.isBefore !== true");
        }
    }
}

#[test]
fn every_page_can_be_used_by_everybody() {
    every_page("en");
}

#[test]
fn every_page_in_indonesian_can_be_used_by_everybody() {
    every_page("id");
}

fn every_page(language: &str) {
    let mut shop = furnished(language);
    let mut pages = shop.pages();
    let mut wrong = look(&shop, &pages, language);
    // Whoever guesses waits.
    let wait = Seen::sent("/login", json!({ "name": "Sari", "password": "another sentence" }), 429);
    wrong.extend(look(&shop, std::slice::from_ref(&wait), language));
    shop.desk.shop.backend = None;
    let away = Seen::opened("/", 503);
    wrong.extend(look(&shop, std::slice::from_ref(&away), language));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    pages.extend([wait, away]);
    // Only the pages that say no are complained about.
    let told = |Seen { at, status, .. }: &Seen| {
        format!("{}{at} - Failed to load resource: the server responded with a status of {status}", shop.front.url)
    };
    let refusals: Vec<_> = pages.iter().filter(|seen| seen.status >= 400).map(told).collect();
    let errors: Vec<_> = shop.browser.errors().into_iter().filter(|line| !refusals.iter().any(|told| line.contains(told))).collect();
    assert_eq!(errors, [""; 0]);
}

/// What is wrong with these pages, in both sizes, by day and by night.
fn look(shop: &Furnished, pages: &[Seen], language: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let browser = &shop.browser;
    for seen in pages {
        browser.be_phone(SIZES[0].0, SIZES[0].1, language);
        // A page without scripts is the same.
        browser.allow_scripts(language == "en");
        shop.arrive(seen);
        browser.allow_scripts(true);
        for (width, height) in SIZES {
            if width > 500 {
                browser.be_window(width, height);
            }
            let page = format!("{}{}", seen.at, seen.typed.as_ref().map_or(String::new(), |typed| format!(" {typed}")));
            let status = browser.run(STATUS);
            if status != seen.status {
                wrong.push(format!("{language} {width} {page}: the status: {status}"));
            }
            wrong.extend(flaws(browser, width, language).into_iter().map(|flaw| format!("{language} {width} {page}: {flaw}")));
        }
    }
    wrong
}

/// What is wrong with the page that a browser of this width shows, by day and by night. The page is also made twice as large, and its letters
/// are.
pub fn flaws(browser: &Browser, width: u32, language: &str) -> Vec<String> {
    let axe = std::fs::read_to_string(installed("axe/node_modules/axe-core/axe.min.js")).expect("axe-core");
    let mut wrong = Vec::new();
    let mut expect = |what: &str, found: Value, wanted: Value| {
        if found != wanted {
            wrong.push(format!("{what}: {found}"));
        }
    };
    expect("the width", browser.run("return innerWidth"), width.into());
    expect("the language", browser.run("return document.documentElement.lang"), language.into());
    expect("it scrolls to the side", browser.run(SCROLLS), json!([]));
    expect("one heading", browser.count("h1").into(), 1.into());
    expect("too small for a thumb", browser.run(SMALL), json!([]));
    for scheme in ["dark", "light"] {
        browser.prefer("prefers-color-scheme", scheme);
        expect(scheme, browser.faint_texts(), json!([]));
    }
    expect("axe", browser.run(&format!("{axe}; {AXE}")), json!([]));
    if language == "id" {
        let text = browser.run("return document.querySelector('main').innerText");
        let english = english_in(text.as_str().unwrap_or_default(), &OTHERS);
        expect("English", english.into(), json!([]));
    }
    // A page at 200 % has half the pixels. What a wide window folds by the size of its letters a script cannot play.
    if width == SIZES[0].0 {
        let [fixed, wide] = [0, 1].map(|part| browser.run(LARGE_LETTERS)[part].take());
        expect("letters that do not follow the phone's", fixed, json!([]));
        expect("with large letters it scrolls to the side", wide, json!([]));
        browser.be_window(SIZES[0].0 / 2, SIZES[0].1 / 2);
        browser.run("window.folded = [...document.querySelectorAll('details')].filter(more => !more.open); for (const more of folded) more.open = true");
        expect("at 200 % it scrolls to the side", browser.run(SCROLLS), json!([]));
        browser.run("for (const more of folded) more.open = false");
        browser.be_window(SIZES[0].0, SIZES[0].1);
    }
    wrong
}

/// The alert's link, "send it back", "yes".
#[test]
fn a_refund_is_three_touches_with_scripts_and_without() {
    for (language, scripts) in [("id", false), ("en", true)] {
        let shop = furnished(language);
        let (browser, failed) = (&shop.browser, &shop.failed);
        browser.allow_scripts(scripts);
        browser.open(&format!("{}/orders/{failed}", shop.front.url));
        browser.click(&format!("a[href='/orders/{failed}/refund']"));
        let question = browser.text("h1");
        assert!(question.contains("Rp5.000") && question.ends_with('?'), "{question}");
        browser.click("main form button");
        browser.wait("the order", &format!("return location.pathname === '/orders/{failed}'"));
        let refunds = || shop.desk.shop.midtrans.transactions().iter().filter(|charge| charge["status"] == "refund").count();
        wait_for("the refund", || (refunds() == 1).then_some(()));
        wait_for("what she reads", || {
            browser.open(&format!("{}/orders/{failed}", shop.front.url));
            let stand = browser.text(".stand");
            ["uang sudah dikembalikan", "money went back"].contains(&stand.as_str()).then_some(())
        });
        assert_eq!(browser.count("a[href$='/refund']"), 0, "nobody does it twice");
        assert!(browser.text(".story").contains("Sari"), "{}", browser.text(".story"));
    }
}

/// Two touches, in words of hers. The money stays where it is, and she reads until when.
#[test]
fn the_machine_offers_it_again_with_scripts_and_without() {
    for (language, scripts, said, offered, cannot) in [
        (
            "id",
            false,
            "Tidak ada yang dibayar lagi. Setelah ditekan, Rp5.000",
            "pelanggan boleh mencoba lagi di mesin",
            "Mesin bisa mengeluarkannya dua kali",
        ),
        (
            "en",
            true,
            "Nothing more is paid. Once it is pressed, Rp5.000",
            "the customer may try again at the machine",
            "The machine could hand them out twice",
        ),
    ] {
        let shop = furnished(language);
        let (browser, failed) = (&shop.browser, &shop.failed);
        browser.allow_scripts(scripts);
        browser.open(&format!("{}/orders/{failed}", shop.front.url));
        let wanted = || shop.desk.shop.order_at_backend(failed)["try_wanted_s"].as_u64();
        let button = format!("a[href='/orders/{failed}/again']");
        // It may stand behind the menu.
        browser.run(&format!("document.querySelector({button:?}).scrollIntoView({{ block: 'center' }})"));
        browser.click(&button);
        let text = browser.text("main");
        assert!(text.contains(said) && wanted().is_none(), "{text}");
        browser.keep_whole(&format!("again-{language}.png"));
        browser.click("main form button");
        browser.wait("the order", &format!("return location.pathname === '/orders/{failed}'"));
        let text = browser.text("main");
        assert!(text.contains(offered) && browser.text(".story").contains("Sari"), "{text}");
        browser.keep_whole(&format!("offered-{language}.png"));
        assert!(wanted().is_some());
        assert!(shop.desk.shop.midtrans.calls("refund", failed).is_empty());
        // Of the other one nobody knows whether it came.
        browser.open(&format!("{}/orders/{}", shop.front.url, shop.uncertain));
        assert_eq!(browser.count("a[href$='/again']"), 0);
        assert!(browser.text("main").contains(cannot), "{}", browser.text("main"));
    }
}

/// A table that is wider than a phone: no name is broken into letters, and no column is cut off.
#[test]
fn a_report_fits_a_tablet_and_a_sheet_of_paper() {
    let shop = furnished("id");
    let browser = &shop.browser;
    let sale = ("Lobi, lantai 2", "Air mineral 600 ml", 9_999_999);
    (0..2).for_each(|_| drop(shop.desk.shop.reported_of(sale, "dispensed")));
    for (width, is_paper) in [(360, false), (650, false), (768, false), (961, false), (1280, false), (718, true)] {
        browser.be_window(width, 1000);
        browser.print(is_paper);
        for page in ["/report?by=item", "/report?month=2026-11&by=scheme", "/bring"] {
            browser.open(&format!("{}{page}", shop.front.url));
            let scrolls = "const all = document.documentElement; return all.scrollWidth > all.clientWidth";
            assert_eq!(browser.run(scrolls), false, "{width} {is_paper} {page}: it scrolls to the side");
            let broken = "return [...document.querySelectorAll('tbody th')].filter(name => name.getBoundingClientRect().width < 60).length";
            assert_eq!(browser.run(broken), 0, "{width} {is_paper} {page}: a name is broken into letters");
        }
    }
}

/// By keyboard alone: into the content, to the deed, and there is a mark where the focus is.
#[test]
fn a_keyboard_is_enough() {
    let shop = furnished("en");
    let (browser, uncertain) = (&shop.browser, &shop.uncertain);
    browser.be_window(SIZES[1].0, SIZES[1].1);
    browser.open(&format!("{}/orders/{uncertain}/given", shop.front.url));
    browser.press("body", "\u{e004}");
    assert_eq!(browser.run("return document.activeElement.className"), "skip");
    assert_eq!(browser.run("return document.activeElement.getBoundingClientRect().left >= 0"), true, "it is seen");
    browser.press(".skip", "\u{e007}");
    browser.wait("the content", "return location.hash === '#main'");
    browser.press("main form input[value=elsewhere]", " ");
    browser.press("main form button", "\u{e007}");
    browser.wait("the order", &format!("return location.pathname === '/orders/{uncertain}'"));
    assert_eq!(browser.text(".stand"), "goods handed over");
}

/// The documents follow a day of an owner. These are its pictures; `docs/using/pictures/desk` takes them over.
#[test]
fn an_owner_s_day_as_the_documents_tell_it() {
    let mut desk = Desk::open();
    desk.shop.kill_backend();
    desk.shop.edit(Program::Backend, |text| format!("{text}\n[alerts]\ncommand = [\"/bin/true\"]\noffline_after_s = 10\n"));
    desk.shop.start_backend();
    // It must hear that the other machine was there.
    desk.shop.backend.as_ref().expect("it runs").wait_line("connected to the broker");
    assert!(desk.shop.merchant(&["device", "add", "vm-002"]).status.success());
    let slot = |item: &str, name: &str, count: u32| json!({ "item": item, "name": name, "count": count, "capacity": 10, "low": 2, "sold": 10 - count });
    let slots = [slot("A1", "Teh botol", 2), slot("A2", "Air mineral", 0), slot("A3", "Kopi susu", 7)];
    let machine = Tap::connect(&desk.shop.broker, DEVICE, &[]);
    let says = |topic: &str, what: &Value| machine.publish_bytes(&format!("qrisd/v1/{DEVICE}/{topic}"), what.to_string().as_bytes(), true);
    // Another one has lost its power.
    let other = Tap::connect(&desk.shop.broker, TAP, &[]);
    for state in ["online", "offline"] {
        let said = json!({ "state": state, "name": "Garasi", "version": "0.1.0", "busy": false, "faults": [] });
        other.publish_bytes("qrisd/v1/vm-002/status", said.to_string().as_bytes(), true);
    }
    let fault = json!({ "code": "line_blocked", "detail": "tray 2", "since": null });
    says("status", &json!({ "state": "online", "name": "Lobi, lantai 2", "version": "0.1.0", "busy": false, "faults": [fault] }));
    says("stock", &json!({ "v": 1, "number": 1, "stream": "s", "slots": slots }));
    let sale = |goods: &str, amount: u64, outcome: &str| desk.shop.reported_of(("Lobi, lantai 2", goods, amount), outcome);
    for (goods, amount) in [("Teh botol", 5000), ("Air mineral", 4000), ("Kopi susu", 12_500), ("Teh botol", 5000)] {
        sale(goods, amount, "dispensed");
    }
    let [failed, uncertain] = [("Teh botol", "failed"), ("Air mineral", "uncertain")].map(|(goods, outcome)| sale(goods, 5000, outcome));
    let temporary = tempfile::tempdir().expect("a directory");
    let browser = Browser::start(temporary.path());
    browser.be_phone(SIZES[0].0, SIZES[0].1, "id");
    let open = |path: &str| browser.open(&format!("{}{path}", desk.url));

    // The first time.
    open(&format!("/join/{}", desk.add("Sari", "owner")));
    browser.keep_whole("desk-join.png");
    browser.press("#password", PASSWORD);
    browser.press("#again", PASSWORD);
    browser.click("main form button");
    browser.wait("today", "return location.pathname === '/'");

    // In the morning.
    wait_for("the machine's news", || {
        open("/");
        let text = browser.text("main");
        (text.contains("habis") && text.contains("alurnya") && text.contains("tidak ada kabar")).then_some(())
    });
    assert!(browser.text("main").contains("2 pesanan perlu Anda"), "{}", browser.text("main"));
    // The worst stands first: which machine is silent, and since when.
    let silent = browser.text("section[aria-labelledby=ill] .card");
    assert!(silent.contains("Garasi") && silent.contains("tidak ada kabar") && silent.contains("sejak hari ini "), "{silent}");
    browser.keep_whole("desk-today.png");

    // The alert's link leads to an order; three touches.
    open(&format!("/orders/{failed}"));
    browser.keep_whole("desk-order.png");
    browser.click(&format!("a[href='/orders/{failed}/again']"));
    browser.wait("the question", "return location.pathname.endsWith('/again')");
    browser.keep_whole("desk-again.png");
    open(&format!("/orders/{failed}"));
    browser.click(&format!("a[href='/orders/{failed}/refund']"));
    browser.wait("the question", "return location.pathname.endsWith('/refund')");
    browser.keep_whole("desk-refund.png");
    browser.click("main form button");
    browser.wait("the order", &format!("return location.pathname === '/orders/{failed}'"));

    // A customer calls.
    open("/orders?q=5.000");
    assert_eq!(browser.count(".card"), 4);
    browser.keep_whole("desk-orders.png");
    open("/machines");
    let cards = browser.run("return [...document.querySelectorAll('main .card')].map(card => card.innerText)");
    let silent = cards.as_array().expect("cards").iter().filter_map(Value::as_str).filter(|card| card.contains("tidak ada kabar"));
    let silent: Vec<_> = silent.collect();
    assert!(silent.len() == 1 && silent[0].contains("Garasi") && silent[0].contains("sejak hari ini "), "{cards}");
    browser.keep_whole("desk-machines.png");
    open(&format!("/machines/{DEVICE}"));
    assert!(browser.text("main").contains("tekan tombol di balik pintu"), "{}", browser.text("main"));
    browser.keep_whole("desk-machine.png");
    open("/bring");
    assert!(browser.text("main").contains("Air mineral"), "{}", browser.text("main"));
    browser.keep_whole("desk-bring.png");
    open("/report");
    browser.keep_whole("desk-report.png");

    // Another customer comes to the shop, and gets the money from the till. Then nothing is left to do.
    open(&format!("/orders/{uncertain}/by_hand"));
    browser.press("#note", "tunai");
    browser.click("main form button");
    browser.wait("the order", &format!("return location.pathname === '/orders/{uncertain}'"));
    assert_eq!(browser.text(".stand"), "uang dikembalikan secara langsung");
    assert!(browser.text(".story").contains("Sari mengembalikan uangnya secara langsung: tunai"), "{}", browser.text(".story"));
    wait_for("the word of the gateway", || {
        open(&format!("/orders/{failed}"));
        (browser.text(".stand") == "uang sudah dikembalikan").then_some(())
    });
    open("/");
    assert_eq!((browser.count("#sales"), browser.count("#wanting")), (1, 0), "{}", browser.text("main"));
    let refunds = [&failed, &uncertain].map(|order| desk.shop.midtrans.calls("refund", order).len());
    assert_eq!(refunds, [1, 0]);

    open("/sessions");
    browser.keep_whole("desk-sessions.png");
    browser.click("form[action='/sessions/end'] button.bad");
    browser.wait("the way in", "return location.pathname === '/login'");
    open("/");
    assert_eq!(browser.run("return location.pathname"), "/login");
}
