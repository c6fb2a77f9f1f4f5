//! The customer's page in a real browser on a phone-sized screen, and what it does not tell.

use crate::rig::browser::Browser;
use crate::rig::http::Http;
use crate::rig::midtrans::Via;
use crate::rig::shop::{Program, Shop, new_request_id};
use crate::rig::{PATIENCE, Sets, wait_for};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

/// The cheapest phones have 320 pixels of CSS.
const PHONE: (u32, u32) = (320, 568);
const CONTACT: &str = "0812-3456-7890";
const STATUS: &str = "document.querySelector('[role=status]').textContent";

fn open() -> Shop {
    let mut shop = Shop::merchants_side();
    shop.kill_backend();
    shop.edit(Program::Backend, |text| {
        text.replace("[store]", &format!("[customer]\nmerchant = \"Warung Jaya\"\ncontact = \"{CONTACT}\"\n[store]"))
    });
    shop.start_backend();
    shop
}

/// All that stands there can be read, by day and by night.
fn can_be_read(browser: &Browser, what: &str) {
    for scheme in ["dark", "light"] {
        browser.prefer("prefers-color-scheme", scheme);
        assert_eq!(browser.faint_texts(), json!([]), "{what}, {scheme}");
    }
}

/// Whether the status on the page has these words.
fn says(words: &str) -> String {
    format!("return {STATUS}.includes({words:?})")
}

fn text<'a>(order: &'a Value, field: &str) -> &'a str {
    order[field].as_str().unwrap_or_else(|| panic!("{field}: {order}"))
}

fn tell(shop: &Shop, order_id: &str, outcome: &str) {
    let told = shop.post_to(order_id, "outcome", &json!({"outcome": outcome, "reason": null, "detail": null}));
    assert_eq!(told.status, 200, "{}", told.text());
}

#[test]
fn a_phone_shows_how_to_pay_and_follows_the_order_to_its_end() {
    let shop = open();
    let temporary = tempfile::tempdir().expect("a directory");
    let browser = Browser::start(temporary.path());
    browser.be_phone(PHONE.0, PHONE.1, "id-ID,id;q=0.9,en;q=0.5");
    let order = shop.charge();
    let (order_id, url) = (text(&order, "order_id"), text(&order, "pay_url"));
    browser.open(url);

    assert_eq!(browser.run("return document.documentElement.lang"), "id");
    assert_eq!(browser.text("main .b"), "Rp5.000");
    assert_eq!(browser.run(&format!("return {STATUS}")), "Menunggu pembayaran");
    assert!(browser.text("body").contains("Bottled tea") && browser.text("body").contains("UJI COBA – BUKAN UANG ASLI"));
    assert_eq!(browser.text("a.p"), "Bayar dengan GoPay");
    assert_eq!(browser.run("return document.querySelector('a.p').getAttribute('href')"), text(&order, "deeplink_url"));
    browser.wait("the QR from Midtrans", "const i = document.querySelector('main img'); return i.complete && i.naturalWidth > 100");
    let src = browser.run("return document.querySelector('main img').src");
    assert!(src.as_str().is_some_and(|src| src.starts_with(&shop.midtrans.url)), "{src}");
    assert_eq!(browser.run("return document.querySelector('a[href^=tel]').textContent.includes('0812-3456-7890')"), true);
    // It fits the phone, and the button is large enough for a thumb.
    let fits = "return [innerWidth, document.documentElement.scrollWidth, Math.round(document.querySelector('a.p').getBoundingClientRect().height)]";
    let sizes = browser.run(fits);
    assert_eq!((&sizes[0], &sizes[1]), (&json!(PHONE.0), &json!(PHONE.0)), "no horizontal scroll");
    assert!(sizes[2].as_u64() >= Some(48), "the button's height: {sizes}");
    browser.keep("pay-page.png");
    can_be_read(&browser, "to be paid");

    // Paid, and later owed: the page follows without being touched.
    shop.midtrans.pay(order_id, Via::Qris);
    browser.wait("paid", &says("Sudah dibayar"));
    can_be_read(&browser, "paid");
    assert_eq!(browser.count("main img"), 0, "nobody pays twice");
    assert_eq!(browser.count("a[href*=gopay]"), 0);
    tell(&shop, order_id, "undelivered");
    browser.wait("refund due", &says("akan dikembalikan"));
    assert!(browser.text("main").contains(CONTACT) && browser.text("main").contains(order_id));
    assert_eq!(browser.run("return document.documentElement.scrollWidth"), PHONE.0);
    browser.keep("pay-page-refund-due.png");
    can_be_read(&browser, "refund due");

    // The other language, by hand and by the phone.
    browser.click("a[hreflang=en]");
    browser.wait("English", "return document.documentElement.lang === 'en'");
    assert_eq!(browser.run(&format!("return {STATUS}")), "Your money will be returned");
    browser.be_phone(PHONE.0, PHONE.1, "en-GB,en;q=0.9");
    let other = shop.charge();
    browser.open(text(&other, "pay_url"));
    assert_eq!(browser.run(&format!("return {STATUS}")), "Waiting for your payment");
    assert_eq!(browser.text("a.p"), "Pay with GoPay");
    assert_eq!(browser.errors(), [""; 0]);
}

/// What a customer takes home, and asks about: from the machine's own words to the merchant's phone.
#[test]
fn what_is_paid_has_a_receipt_to_keep_and_a_chat_that_names_it() {
    let shop = open();
    let temporary = tempfile::tempdir().expect("a directory");
    let browser = Browser::start(temporary.path());
    browser.be_phone(PHONE.0, PHONE.1, "en");
    let body = |machine: &str| {
        let mut body = shop.order_body(&new_request_id());
        body["machine"] = machine.into();
        body
    };
    assert_eq!(shop.post_order(&body(&"x".repeat(65))).status, 422, "a name is no story");
    let order = shop.post_order(&body("Lobby, level 2")).json();
    let (order_id, url) = (text(&order, "order_id"), text(&order, "pay_url"));
    browser.open(url);
    assert!(browser.text("main").contains("Warung Jaya") && browser.text("main").contains("Machine Lobby, level 2"));
    // The time that is left counts down by itself.
    let left = "document.querySelector('[data-left]').textContent";
    browser.run(&format!("window.first = {left}"));
    browser.wait("a second less", &format!("return {left} < window.first && /^[12]:[0-5][0-9]$/.test({left})"));
    shop.midtrans.pay(order_id, Via::Gopay);
    browser.wait("paid", &says("Paid"));
    tell(&shop, order_id, "dispensed");
    browser.wait("delivered", &says("Thank you!"));
    let rows = browser.run("return [...document.querySelectorAll('dt')].map(row => row.textContent + ': ' + row.nextSibling.textContent)");
    let rows: Vec<&str> = rows.as_array().expect("rows").iter().filter_map(Value::as_str).collect();
    let number = format!("Order number: {order_id}");
    for row in ["Merchant: Warung Jaya", "Machine: Lobby, level 2", "Item: Bottled tea", "Amount: Rp5.000", &number] {
        assert!(rows.contains(&row), "{row}: {rows:?}");
    }
    assert_eq!(browser.run("return document.querySelector('#print').checkVisibility()"), true);
    let chat = browser.run("return document.querySelector('a[href^=\"https://wa.me/6281234567890?text=\"]').href");
    assert!(chat.as_str().is_some_and(|chat| chat.contains(order_id) && chat.contains("Lobby%2C%20level%202")), "{chat}");
    can_be_read(&browser, "receipt");
    browser.prefer("prefers-color-scheme", "dark");
    browser.run("document.querySelector('.r').scrollIntoView()");
    assert_eq!(browser.run("return document.documentElement.scrollWidth"), PHONE.0);
    browser.keep("pay-page-receipt.png");
    assert_eq!(browser.errors(), [""; 0]);
}

#[test]
fn the_finish_page_thanks_or_apologises_and_changes_nothing() {
    let shop = open();
    let temporary = tempfile::tempdir().expect("a directory");
    let browser = Browser::start(temporary.path());
    browser.be_phone(PHONE.0, PHONE.1, "en");
    let order = shop.charge();
    let order_id = text(&order, "order_id");
    let (url, key) = text(&order, "pay_url").split_once("?key=").expect("a key");
    // GoPay's way back has the page's key, and GoPay's own words behind it.
    let back = format!("{url}/finish?key={key}");
    let charged = shop.midtrans.transactions();
    assert!(charged.iter().any(|charge| charge["callback_url"] == back), "{back}: {charged:?}");
    for (query, greeting) in [
        (format!("?key={key}&order_id={order_id}&result=success"), "Thank you!"),
        (format!("?key={key}?order_id={order_id}&result=failure"), "Sorry, the payment in the app did not work."),
        (format!("?order_id={order_id}&result=success"), "Thank you!"),
        (format!("?order_id={order_id}&result=failure"), "Sorry, the payment in the app did not work."),
        ("?order_id=another&result=success".into(), "Thank you!"),
        ("?result=settlement&lang=xx".into(), ""),
        ("?%ff%=&&result=%00&lang=%22%3E%3Cscript%3Ealert(1)%3C/script%3E".into(), ""),
        (String::new(), ""),
    ] {
        browser.open(&format!("{url}/finish{query}"));
        let shown = browser.run("return document.querySelector('.f')?.textContent ?? ''");
        assert_eq!(shown, greeting, "{query}");
        assert_eq!(browser.count("main img"), 0, "{query}");
        assert_eq!(browser.text("main .b"), "Rp5.000", "{query}");
    }
    assert_eq!(
        (shop.order_at_backend(order_id)["status"].as_str(), &shop.order_at_backend(order_id)["rev"]),
        (Some("pending"), &order["rev"])
    );
    // Back to the payment, and on it the truth: nobody has paid. The other language and the way back keep the key.
    browser.open(&format!("{back}&order_id={order_id}&result=failure&lang=id"));
    browser.click("a[hreflang=en]");
    browser.wait("the same greeting", "return document.querySelector('.f')?.textContent?.startsWith('Sorry')");
    browser.click("a.c[href^='../']");
    browser.wait("the payment's page", "return document.querySelector('a.p')?.textContent === 'Pay with GoPay'");
    // A redirect that says success is told the order's end, live.
    browser.open(&format!("{url}/finish?order_id={order_id}&result=success"));
    assert_eq!(browser.run(&format!("return {STATUS}")), "Your payment is being confirmed");
    assert_eq!(shop.post_to(order_id, "cancel", &json!({})).status, 200);
    browser.wait("the cancel", &says("Cancelled. Please do not pay."));
    can_be_read(&browser, "cancelled");
    assert_eq!(browser.errors(), [""; 0]);
}

#[test]
fn without_a_script_the_page_comes_again_by_itself() {
    let shop = open();
    let temporary = tempfile::tempdir().expect("a directory");
    let browser = Browser::start(temporary.path());
    browser.be_phone(PHONE.0, PHONE.1, "en");
    browser.allow_scripts(false);
    let order = shop.charge();
    let order_id = text(&order, "order_id");
    browser.open(text(&order, "pay_url"));
    assert_eq!(browser.run(&format!("return {STATUS}")), "Waiting for your payment");
    shop.midtrans.pay(order_id, Via::Gopay);
    browser.wait("paid", &says("Paid"));
    tell(&shop, order_id, "dispensed");
    browser.wait("delivered", &says("Thank you!"));
}

#[test]
fn the_page_tells_no_secret_and_is_kept_nowhere() {
    let shop = open();
    let order = shop.charge();
    let (order_id, url) = (text(&order, "order_id"), text(&order, "pay_url"));
    let http = Http::new();
    let secrets = |order: &Value| {
        let mut secrets: Vec<String> = ["ticket", "request_id", "kid"].iter().map(|field| text(order, field).to_owned()).collect();
        secrets.extend(order["receipt"].as_str().map(str::to_owned));
        secrets.extend([shop.token.clone(), crate::rig::midtrans::SERVER_KEY.into()]);
        secrets
    };
    let look = |order: &Value, what: &str| {
        for address in [url.to_owned(), format!("{url}?lang=en"), format!("{url}/finish?result=success")] {
            let (answer, headers) = http.get_with(&address, &[]);
            assert_eq!((answer.status, answer.content_type.as_str()), (200, "text/html; charset=utf-8"), "{what} {address}");
            let page = answer.text();
            for secret in secrets(order) {
                assert!(!page.contains(&secret), "{what} {address}: {secret} stands in {page}");
            }
            assert!(page.len() < 15 * 1024, "{what}: {} bytes", page.len());
            let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
            assert_eq!(header("cache-control"), "no-store");
            assert_eq!(header("referrer-policy"), "no-referrer");
            assert_eq!(header("x-content-type-options"), "nosniff");
            assert!(header("x-robots-tag").contains("noindex"));
            assert_eq!(header("vary"), "Accept-Language");
            let policy = header("content-security-policy");
            assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
            for rule in [
                "connect-src 'self'",
                "base-uri 'none'",
                "form-action 'self'",
                "frame-ancestors 'none'",
                &format!("img-src {}", shop.midtrans.url),
            ] {
                assert!(policy.contains(rule), "{rule}: {policy}");
            }
            // What was seen is not sent again.
            let (again, _) = http.get_with(&address, &[("if-none-match", &header("etag"))]);
            assert_eq!((again.status, again.body.len()), (304, 0), "{what} {address}");
        }
    };
    look(&order, "waiting");
    shop.midtrans.pay(order_id, Via::Gopay);
    let paid = shop.wait_order(order_id, "paid", |order| (order["status"] == "settlement").then(|| order.clone()));
    look(&paid, "paid");
    tell(&shop, order_id, "failed");
    look(&shop.order_at_backend(order_id), "owed");
    assert_eq!(shop.midtrans.calls("cancel", order_id).len(), 0);
}

/// Whoever knows the code collects the goods. The order's number stands on the store's paper, in lists and in chats.
#[test]
fn a_payment_code_is_shown_only_at_the_address_that_the_machine_showed() {
    let shop = open();
    let http = Http::new();
    let coded = || {
        let mut body = shop.order_body(&new_request_id());
        body["payment"] = "alfamart".into();
        shop.post_order(&body).json()
    };
    let (order, other) = (coded(), coded());
    let code = text(&order, "payment_code");
    let shown: Vec<String> = code.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group).into_owned()).collect();
    let url = text(&order, "pay_url");
    let (bare, key) = url.split_once("?key=").expect("a key");
    let other_key = text(&other, "pay_url").split_once("?key=").expect("a key").1;
    assert!(key.len() == 12 && key != other_key, "{key} {other_key}");
    let page = |address: &str| {
        let (answer, _) = http.get_with(address, &[("accept-language", "en")]);
        assert_eq!(answer.status, 200, "{address}");
        answer.text()
    };
    let look = |status: &str| {
        for (address, is_shown) in [
            (url.to_owned(), true),
            (bare.to_owned(), false),
            (format!("{bare}?key="), false),
            (format!("{bare}?key={other_key}"), false),
            (format!("{bare}?key={}", &key[..11]), false),
            (format!("{bare}?key={key}A"), false),
            (format!("{bare}/finish?result=success"), false),
            (format!("{bare}/finish?key={key}&order_id=x&result=success"), true),
            (format!("{bare}/finish?key={other_key}&result=success"), false),
        ] {
            let page = page(&address);
            assert!(page.contains(status) && page.contains("Alfamart") == (status == "Waiting"), "{address}: {page}");
            assert_eq!((page.contains(&shown.join(" ")), page.contains(code)), (is_shown, false), "{address}: {page}");
            assert_eq!(page.contains(key), is_shown, "{address}: the other language has the same address");
        }
    };
    look("Waiting");
    shop.midtrans.pay_at_counter(code);
    shop.wait_order(text(&order, "order_id"), "paid", |order| (order["status"] == "settlement").then_some(()));
    look("Paid");
}

#[test]
fn an_unknown_page_is_friendly_and_a_flood_is_slowed() {
    let shop = open();
    let http = Http::new();
    for name in ["nobody-has-this-id", "a%20b", "%ff%fe", "..%2f..%2fetc", "'%20OR%20'1'%3D'1", &"x".repeat(60)] {
        for (language, words) in [("en", "We do not know this order"), ("id", "Pesanan tidak ditemukan")] {
            for end in ["", "/finish?result=success"] {
                let url = format!("{}/pay/{name}{end}", shop.backend_url);
                let (answer, headers) = http.get_with(&url, &[("accept-language", language)]);
                assert_eq!((answer.status, answer.content_type.as_str()), (404, "text/html; charset=utf-8"), "{url}");
                assert!(answer.text().contains(words), "{url}: {}", answer.text());
                assert_eq!(headers["cache-control"], "no-store");
                for whose in ["Warung Jaya", "href=\"tel:"] {
                    assert!(answer.text().contains(whose), "{url}: no {whose}: {}", answer.text());
                }
            }
        }
    }
    // Who types the bare address is told whose it is, too.
    for (language, words) in [("en", "Here you see your order"), ("id", "Di sini Anda melihat pesanan Anda")] {
        let (answer, _) = http.get_with(&format!("{}/", shop.backend_url), &[("accept-language", language)]);
        assert_eq!((answer.status, answer.content_type.as_str()), (200, "text/html; charset=utf-8"));
        assert!(answer.text().contains(words) && answer.text().contains("Warung Jaya"), "{}", answer.text());
    }
    assert_eq!(shop.midtrans.requests().len(), 0, "Midtrans is not asked for what strangers make up");
    // To this the code on the label of a machine leads a phone.
    for (language, words) in
        [("en", "typed in on that machine, for `qrisctl setup`"), ("id", "diketik di mesin itu, untuk `qrisctl setup`")]
    {
        let (answer, _) = http.get_with(&format!("{}/", shop.backend_url), &[("accept-language", language)]);
        assert_eq!((answer.status, answer.content_type.as_str()), (200, "text/html; charset=utf-8"));
        assert!(answer.text().contains(words), "{}", answer.text());
    }
    // A phone asks once in three seconds; who asks all the time waits, and no other customer notices.
    let (order, other) = (shop.charge(), shop.charge());
    let (began, mut shown, mut slowed) = (Instant::now(), 0, 0);
    // A slow computer may take so long for 60 that it waits for none.
    wait_for("more than 10 that are slowed", || {
        for _ in 0..60 {
            let (answer, headers) = http.get_with(text(&order, "pay_url"), &[("accept-language", "en")]);
            match answer.status {
                200 => shown += 1,
                429 => {
                    slowed += 1;
                    assert!(headers.contains_key("retry-after") && answer.text().contains("One moment"), "{}", answer.text());
                }
                status => panic!("{status}: {}", answer.text()),
            }
        }
        (slowed > 10).then_some(())
    });
    // 20 at once, and five a second.
    let took = began.elapsed();
    assert!(shown <= 22 + took.as_millis() / 200, "{shown} were shown in {took:?}, and {slowed} were slowed");
    assert_eq!(http.get_with(text(&other, "pay_url"), &[]).0.status, 200);
}

/// Asks for made-up orders as fast as the backend answers, over three connections, while something is done. That begins when the flood is
/// slowed. `from`: the address of the n-th request, as the web server in front tells it.
fn in_a_flood(shop: &Shop, from: impl Fn(usize) -> String + Sync, done: impl FnOnce()) {
    const AT_ONCE: usize = 50;
    let address = shop.backend_url.trim_start_matches("http://");
    let (stop, asked, slowed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let flood = || {
        let mut stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        let mut buffer = vec![0; 64 << 10];
        while !stop.load(Ordering::Relaxed) {
            let mut requests = String::new();
            for _ in 0..AT_ONCE {
                let n = asked.fetch_add(1, Ordering::Relaxed);
                let from = from(n);
                requests += &format!("GET /pay/made-up-{n} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {from}\r\n\r\n");
            }
            stream.write_all(requests.as_bytes()).expect("sent");
            let (mut answers, mut text) = (0, String::new());
            while answers < AT_ONCE {
                let length = stream.read(&mut buffer).expect("answered");
                assert_ne!(length, 0, "closed");
                text.push_str(&String::from_utf8_lossy(&buffer[..length]));
                // The beginning of an answer may be cut in two.
                let end = text.rfind("</html>").map_or(0, |at| at + 7);
                answers += text[..end].matches("HTTP/1.1 ").count();
                slowed.fetch_add(text[..end].matches("HTTP/1.1 429").count(), Ordering::Relaxed);
                text.drain(..end);
            }
        }
    };
    std::thread::scope(|threads| {
        (0..3).for_each(|_| drop(threads.spawn(flood)));
        let _stops = Sets(&stop);
        wait_for("a flood that is slowed", || (slowed.load(Ordering::Relaxed) > 100).then_some(()));
        done();
    });
}

#[test]
fn made_up_numbers_take_no_page_of_an_order_away() {
    let mut shop = open();
    let order = shop.charge();
    let url = format!("{}/pay/{}", shop.backend_url, text(&order, "order_id"));
    let sees = |who: &str| {
        let http = Http::new();
        for _ in 0..8 {
            for end in ["", "/finish?result=success"] {
                let (answer, _) = http.get_with(&format!("{url}{end}"), &[("x-forwarded-for", who), ("accept-language", "en")]);
                assert_eq!(answer.status, 200, "{who}: {}", answer.text());
            }
        }
    };
    // From everywhere: the machine has made this order here.
    in_a_flood(&shop, |n| format!("198.51.{}.{}", n / 250 % 250, n % 250), || sees("203.0.113.7"));
    // From one address: a backend that was started anew knows no order yet.
    shop.kill_backend();
    shop.start_backend();
    in_a_flood(&shop, |_| "198.51.100.7".into(), || sees("203.0.113.7"));
}
