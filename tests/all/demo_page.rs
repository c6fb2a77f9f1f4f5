//! The demo's page in a real browser: what a visitor sees, presses and cuts, and that the books balance after it.

use crate::demo::children;
use crate::rig::browser::Browser;
use crate::rig::http::Http;
use crate::rig::midtrans::{Midtrans, SERVER_KEY, Via};
use crate::rig::relay_log::RelayLog;
use crate::rig::screen::code_in_blocks;
use crate::rig::tap::Tap;
use crate::rig::{PATIENCE, Running, wait_for_within};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[test]
fn a_visitor_buys_a_drink_and_cuts_the_power() {
    let page = Page::open();
    let browser = &page.browser;
    browser.be_window(1280, 800);

    // The machine is there, and nothing is on the phone but its camera.
    browser.wait("the machine's screen", LIT);
    assert_eq!(page.books(), (0, 0, 0, 0));
    assert_eq!(browser.count("#glass button"), 0);

    // A product: the phone reads the QR out of the screen's pixels.
    page.asks("A1");
    assert_eq!(browser.text("#glass .amount"), "Rp5.000");
    browser.wait("the picture that the phone has read", QR_DRAWN);
    assert_eq!(page.pulses(), 0, "nobody has paid");
    page.says("The QR for Rp5.000 is on the screen");
    browser.keep("demo-page.png");

    // A wrong PIN moves nothing. Paid: one pulse, one bottle in the tray, and the books agree.
    browser.click("[data-act=pay_fail]");
    browser.wait("the refusal", "return document.querySelector('#glass .said.bad')?.textContent === 'Wrong PIN. Nothing was paid.'");
    browser.click("[data-act=pay_gopay]");
    page.dropped(1);
    assert_eq!(browser.count("#fallen .item"), 1);
    assert_eq!(browser.text("#just"), "Bottled tea dropped. One payment, one pulse of the relay.");
    browser.wait("the phone's word", "return document.querySelector('#glass .said.good')?.textContent === 'Take your Bottled tea.'");
    page.balanced((1, 1, 0, 1));
    for (kind, words) in
        [("deed", "pays Rp5.000 with GoPay"), ("call", "notification: settlement"), ("update", "settlement, signed receipt")]
    {
        let seen = format!("return [...document.querySelectorAll('#list li.{kind} .text')].some(text => text.textContent === '{words}')");
        browser.wait(&format!("{words} on the timeline"), &seen);
    }

    // The power goes with a QR on the screen. Dark, the machine takes no press, and its QR is paid all the same.
    page.asks("A3");
    page.power(false);
    browser.wait("a dark screen", &format!("return !(() => {{ {LIT} }})()"));
    assert_eq!(browser.count("#keys button:enabled"), 0);
    page.says("The machine lost its power while Budi had the QR.");
    // Twice: the second payment is refused, and the page goes on saying what is so.
    browser.run("const pay = document.querySelector('[data-act=pay_qris]'); pay.click(); pay.click();");
    page.says("Budi paid, but the machine has no power");
    browser.wait(
        "the refusal on the timeline",
        "return [...document.querySelectorAll('#list li.payment .text')].some(text => text.textContent.startsWith('the payment was refused'))",
    );
    page.says("Budi paid, but the machine has no power");
    // The browser notes the answer to the second press.
    assert!(browser.errors().iter().all(|told| told.contains("409 (Conflict)")));
    browser.wait(
        "open books",
        "return document.querySelector('#b-open').checkVisibility() && document.querySelector('#b-open').textContent === '1'",
    );
    browser.be_window(1920, 1080);
    browser.prefer("prefers-color-scheme", "dark");
    browser.keep("demo-page-power-cut.png");
    browser.prefer("prefers-color-scheme", "light");
    browser.be_window(1280, 800);
    assert_eq!(page.pulses(), 1, "it cannot know");
    page.power(true);
    page.dropped(2);
    assert!(browser.text("#just").ends_with("found the receipt and dropped the iced coffee – once."), "{}", browser.text("#just"));
    page.balanced((2, 2, 0, 2));
    browser.keep("demo-page-after.png");

    // In the middle of the motor's turn nobody can know whether the item fell. The relay's program stands still from then on: a browser on a
    // busy computer would press the switch too late.
    page.asks("A2");
    page.stopped_in_the_turn(|| browser.click("[data-act=pay_gopay]"));
    page.power(false);
    page.power(true);
    browser.wait("the end of the order", "return document.querySelector('#b-uncertain').textContent === '1'");
    browser.wait("the words", "return /^The power went while the motor was turning/.test(document.querySelector('#just').textContent)");
    // The books, the phone and the words say the same of it: nobody knows.
    page.balanced((3, 2, 0, 3));
    assert_eq!(browser.run(&seen("#b-uncertain")), "1");
    let just = browser.text("#just");
    assert!(just.contains("The books say uncertain") && just.contains("You see it in the tray; the machine does not"), "{just}");
    let told = "return [...document.querySelectorAll('#list .text')].some(text => text.textContent.startsWith('uncertain: A2'))";
    assert_eq!(browser.run(told), true, "the timeline has the word of the books");
    browser.wait("the phone's word", "return document.querySelector('#glass .said')?.textContent.startsWith('Uncertain')");
    page.clean();
}

/// On a busy computer the backend may write down what the machine told it after everything that the page hears of.
#[test]
fn books_that_balance_late_are_asked_again() {
    let page = Page::open();
    let browser = &page.browser;
    browser.be_window(1280, 800);
    browser.wait("the machine's screen", LIT);
    browser.run(
        "const ask = window.fetch; window.late = 0; window.fetch = async (url, ...rest) => { const answer = await ask(url, ...rest); \
         if (url !== '/books' || window.isOnTime) return answer; \
         window.late += 1; return new Response(JSON.stringify({ ...await answer.json(), \
         wrong: ['the backend is late', ...Array(4).fill('S1-01: settlement at Midtrans, dispensed on the machine')] })); }",
    );
    keep_captions(browser);
    page.asks("A1");
    browser.click("[data-act=pay_gopay]");
    page.dropped(1);
    browser.wait(
        "the outcome",
        "return [...document.querySelectorAll('#list li .text')].some(text => text.textContent === 'outcome: dispensed')",
    );
    // What comes after the outcome makes the page ask a few times more.
    browser.run("window.late = 0");
    browser.wait("the question that is asked again", "return window.late >= 5");
    // However much is late, the page fits the window.
    assert_eq!(browser.text("#verdict"), "the backend is late (+4)");
    assert_eq!(browser.run("return window.beyond"), json!([0, 0]));
    browser.run("window.isOnTime = true");
    page.balanced((1, 1, 0, 1));
    page.clean();
}

/// To everybody in the room the demo says an address that a phone can open. The customer's page and its QR are behind it, too.
#[test]
fn a_phone_in_the_room_opens_the_page_and_the_customers_page() {
    let temporary = tempfile::tempdir().expect("a directory");
    let (demo, lines, address) = start_demo(temporary.path(), &["--mosquitto", "--listen", "0.0.0.0:0"]);
    assert!(!address.contains("//0.0.0.0:"), "{address}");
    if !address.contains("//127.") {
        let mut rows = Vec::new();
        for row in lines.skip_while(|line| line.starts_with("or http://")) {
            rows.push(row);
            if let Some(code) = code_in_blocks(&rows) {
                assert_eq!(code, address);
                break;
            }
        }
    }

    let page = Page::open_at(temporary, demo, &address);
    page.asks("A1");
    // The key of the page stands in GoPay's way back, and on the machine's screen.
    let back = page.orders().1[0]["callback_url"].as_str().expect("a way back").to_owned();
    let (at, key) = back.split_once("/finish?").expect("a page");
    page.browser.open(&format!("{at}?{key}"));
    page.browser.wait("the customer's page", "return /Bottled tea 350 ml/.test(document.body.innerText)");
    // Whatever picture it shows comes from that address, too.
    let picture = "const picture = document.querySelector('img'); return !!picture && picture.complete && picture.naturalWidth > 100 && \
                   new URL(picture.src).origin === location.origin";
    page.browser.wait("the picture of the QR", picture);
    page.browser.keep("demo-customer-page.png");
    // GoPay's link leads to the app's page there, and back.
    page.browser.click("a[href*='payment-pin']");
    page.browser.wait("GoPay's page", "return !!document.querySelector('#pay')");
    page.browser.click("#pay");
    page.browser
        .wait("the customer's page again", "return location.pathname.endsWith('/finish') && /Done|Paid/.test(document.body.innerText)");
    assert_eq!(Http::new().get(&format!("{address}pay/nothing"), None).status, 404);
}

/// The simulator plays the sandbox: it has no notification address, like a sandbox that cannot reach this computer.
#[test]
fn a_visitor_with_a_server_key_sells_with_the_sandbox() {
    let midtrans = Midtrans::start();
    let temporary = tempfile::tempdir().expect("a directory");
    let keys = temporary.path().join("keys");
    std::fs::create_dir(&keys).expect("written");
    for (name, key) in [("good", SERVER_KEY), ("wrong", "SB-Mid-server-wrong")] {
        std::fs::write(keys.join(name), format!("{key}\n")).expect("written");
    }
    let key = |name: &str| keys.join(name).display().to_string();
    let wrong = Command::new(env!("CARGO_BIN_EXE_qris-demo"))
        .env("TMPDIR", temporary.path())
        .args(["--mosquitto", "--sandbox", &key("wrong"), "--sandbox-url", &midtrans.url])
        .output()
        .expect("the demo runs");
    let told = String::from_utf8_lossy(&wrong.stderr);
    assert_eq!(wrong.status.code(), Some(1), "{told}");
    assert!(told.contains("the sandbox: the key is not valid at ") && !told.contains("SB-Mid-server-wrong"), "{told}");

    let page = Page::open_with(temporary, &["--mosquitto", "--sandbox", &key("good"), "--sandbox-url", &midtrans.url]);
    let browser = &page.browser;
    browser.be_window(1280, 800);
    browser.wait("the machine's screen", LIT);
    browser.click("#keys [data-item=A1]");
    browser.wait("an address to pay", "return /qr-code$/.test(document.querySelector('#glass code.whole')?.textContent)");
    let address = browser.text("#glass code.whole");
    browser.keep("demo-page-sandbox.png");
    // Midtrans' simulator takes the picture's address. Ours takes the transaction that stands in it.
    let transaction = address.strip_prefix(&format!("{}/v2/gopay/", midtrans.url)).and_then(|rest| rest.strip_suffix("/qr-code"));
    assert_eq!(Http::new().get(&address, None).status, 200, "{address}");
    midtrans.pay(transaction.expect("an address of the sandbox"), Via::Gopay);
    page.dropped(1);
    browser.wait("the phone's word", "return document.querySelector('#glass .said.good')?.textContent === 'Take your Bottled tea.'");
    page.balanced((1, 1, 0, 1));
    // Nobody pays from the page.
    assert_eq!(browser.count("[data-act=pay_gopay]"), 0);
    page.clean();
}

#[test]
fn each_network_can_be_cut_while_somebody_pays() {
    let page = Page::open();
    let browser = &page.browser;
    browser.wait("the machine's screen", LIT);
    // The networks that are cut, and what the page says when the item falls.
    let cases: [(&[&str], &str); 4] = [
        (&["broker"], "The broker was out of reach, so the machine asked the backend itself, and dropped the bottled tea – once."),
        (&["backend"], "The backend could not be asked, so the receipt came over the broker, and the bottled tea dropped – once."),
        (&["midtrans"], "The network was down while Budi paid. When the receipt came through, the bottled tea dropped – once."),
        (&["backend", "broker"], "The network was down while Budi paid. When the receipt came through, the bottled tea dropped – once."),
    ];
    for (number, (networks, words)) in (1..).zip(cases) {
        page.is_free();
        page.asks("A1");
        for network in networks {
            page.network(network, false);
        }
        browser.click("[data-act=pay_gopay]");
        browser.wait("the receipt on the phone", "return !!document.querySelector('#glass .tick')");
        // Where there is a way left, the receipt takes it; where there is none, nothing drops until one is mended.
        let way_left = matches!(networks, ["broker"] | ["backend"]);
        if !way_left {
            browser.wait("the words", "return /^Budi paid, but/.test(document.querySelector('#just').textContent)");
            assert_eq!(page.pulses(), number - 1, "{networks:?}: nobody may have told the machine");
            browser.keep("demo-page-cut.png");
            page.network(networks[0], true);
        }
        page.dropped(number);
        browser.wait("the words", &format!("return document.querySelector('#just').textContent === {}", json!(words)));
        for network in networks {
            page.network(network, true);
        }
        page.balanced((number, number, 0, number));
    }

    // Without the broker the buttons still sell, over D-Bus; what was told there comes over the broker later, and only once.
    page.network("broker", false);
    page.asks("A4");
    browser.click("[data-act=leave]");
    browser.click("#cancel");
    page.says("Voided at Midtrans");
    page.network("broker", true);
    browser.wait(
        "what waited",
        "return [...document.querySelectorAll('#list li.again .text')].some(text => text.textContent.startsWith('cancelled'))",
    );
    assert_eq!(browser.run("return document.querySelector('#cancel').disabled"), true);

    // Without the backend or Midtrans there is no QR. The machine tries, and says sorry.
    for network in ["backend", "midtrans"] {
        page.is_free();
        page.network(network, false);
        let another =
            "const now = document.querySelector('#screen').toDataURL(); const is = now !== window.before; window.before = now; return is";
        browser.run(another);
        browser.click("#keys [data-item=A4]");
        browser.wait("the words", "return /The machine tries for 15 seconds/.test(document.querySelector('#just').textContent)");
        browser.wait("the machine at work", another);
        page.says("No QR came");
        browser.wait("the machine's sorry", another);
        browser.keep(&format!("demo-page-sorry-{network}.png"));
        page.network(network, true);
    }
    page.balanced((4, 4, 0, 4));
    page.clean();
}

/// What the page says of a network that is cut is true of the networks that are cut with it.
#[test]
fn a_machine_that_is_cut_off_hears_nothing() {
    let page = Page::open();
    let browser = &page.browser;
    let says = |words: &str| browser.wait(words, &format!("return document.querySelector('#just').textContent.includes({})", json!(words)));
    for (first, second) in [("broker", "backend"), ("backend", "broker")] {
        page.is_free();
        page.asks("A1");
        page.network(first, false);
        page.network(second, false);
        says("The machine hears from nobody");
        browser.click("[data-act=pay_gopay]");
        browser.wait(
            "the receipt",
            "return [...document.querySelectorAll('#list .text')].some(text => /signed receipt/.test(text.textContent))",
        );
        // Nothing crosses a wire that is cut.
        let crossing = "const rows = [...document.querySelectorAll('#list li')]; \
            const cut = rows.findLastIndex(row => row.matches('.mark.down')); \
            return rows.slice(cut).map(row => row.textContent).filter(text => /backend → machine|machine → backend/.test(text))";
        assert_eq!(browser.run(crossing), json!([]), "{first}, {second}");
        page.network(second, true);
        page.network(first, true);
        browser.wait("the end of the order", "return /dropped/.test(document.querySelector('#just').textContent)");
        browser.run("document.querySelector('#list').replaceChildren()");
    }
    page.clean();
}

#[test]
fn a_machine_that_runs_empty_says_so_and_is_filled_by_the_visitor() {
    let page = Page::open();
    let browser = &page.browser;
    browser.be_window(1280, 800);
    browser.wait("the machine's screen", LIT);
    let there = |count: u32| {
        let visible = "document.querySelectorAll('.shelf[data-item=A4] .item:not(.gone)').length";
        browser.wait(&format!("{count} on the shelf"), &format!("return {visible} === {count}"));
    };
    there(2);
    for left in [1, 0] {
        page.is_free();
        page.asks("A4");
        browser.click("[data-act=pay_gopay]");
        page.dropped(2 - u64::from(left));
        there(left);
    }
    // When the thanks are over, the screen says what is sold out. Whoever asks for it gets no QR.
    let green = "const [red, green] = document.querySelector('#screen').getContext('2d').getImageData(20, 400, 1, 1).data; return green <= red + 60";
    browser.wait("the idle screen", green);
    for (count, words, fills, picture) in
        [(1, "Nothing is left of it", "Fill A4", "demo-page-sold-out.png"), (2, "Barangnya habis", "Isi A4", "demo-page-sold-out-id.png")]
    {
        browser.click("#keys [data-item=A4]");
        // In another language the words of the first refusal are said again, before the second one is there.
        let refused = "[...document.querySelectorAll('#list .text')].filter(text => /^(refused|ditolak)/.test(text.textContent))";
        browser.wait("the refusal", &format!("return {refused}.length === {count}"));
        browser.wait(words, &format!("return document.querySelector('#just').textContent.startsWith({})", json!(words)));
        assert_eq!((browser.count("#glass [data-act=pay_gopay]"), browser.text("[data-fill]").as_str()), (0, fills));
        browser.keep(picture);
        browser.click("#language");
    }
    assert_eq!(page.pulses(), 2);
    browser.click("[data-fill=A4]");
    page.says("Somebody opened the machine, filled it with cassava chips");
    there(2);
    page.is_free();
    page.asks("A4");
    // Nobody fills what a customer may get at this moment.
    assert_eq!(browser.count("[data-fill]:enabled"), 0);
    browser.click("[data-act=pay_gopay]");
    page.dropped(3);
    there(1);
    page.balanced((3, 3, 0, 3));
    page.clean();
}

#[test]
fn what_is_over_is_not_offered_again() {
    let page = Page::open();
    let browser = &page.browser;
    page.asks("A1");
    browser.click("[data-act=pay_fail]");
    page.says("The payment failed: no money moved, nothing drops. The QR can still be paid.");
    browser.click("#cancel");
    page.says("Voided at Midtrans");
    browser.click("[data-act=pay_gopay]");
    page.says("No money moved: this QR cannot be paid any more");
    browser.click("[data-act=leave]");
    browser.wait("the words", "return document.querySelector('#just').textContent === 'Budi walked away.'");

    let controller = page.broker_as("vm-001-controller", &["qrisd/v1/vm-001/vend/event"]);
    page.asks("A2");
    let told = controller.until("both events of the order", |heard| heard.get(..2).map(<[_]>::to_vec));
    page.power(false);
    browser.click("[data-act=leave]");
    page.says("Budi walked away. The machine is dark");
    page.power(true);
    page.says("The power is back, and so is the same QR");
    // What the machine had published before the power went may come once more: it is no news.
    let machine = page.broker_as("vm-001", &[]);
    for event in &told {
        machine.publish_bytes(&event.topic, &event.payload, false);
    }
    browser.wait(
        "both events once more",
        "const again = [...document.querySelectorAll('#list li.again .text')].map(row => row.textContent); \
         const first = again.findIndex(text => text.startsWith('requested')); \
         return first >= 0 && again.slice(first).some(text => text.startsWith('awaiting payment'))",
    );
    assert!(browser.text("#just").starts_with("The power is back, and so is the same QR"), "{}", browser.text("#just"));
    browser.click("#cancel");
    page.says("Voided at Midtrans");
    assert_eq!(page.books(), (0, 0, 0, 0));
}

#[test]
fn late_news_of_an_earlier_order_is_not_taken_for_news_of_the_one_on_the_screen() {
    let page = Page::open();
    let browser = &page.browser;
    page.asks("A2");
    page.network("backend", false);
    browser.click("#cancel");
    page.says("The QR is gone, but nobody");
    // Once the machine is free again the next customer's press is not refused any more.
    browser.wait(
        "the next order",
        "if (!(performance.now() - window.pressed < 4000)) { \
         window.pressed = performance.now(); document.querySelector('#keys [data-item=A1]').click(); } \
         return document.querySelector('#just').textContent.startsWith('Budi wants bottled tea')",
    );
    page.network("backend", true);
    browser.wait(
        "the old order's end",
        "return [...document.querySelectorAll('#list .text')].some(text => text.textContent.startsWith('cancelled'))",
    );
    page.is_offered("A1");
    assert_eq!(browser.run("return document.querySelector('#cancel').disabled"), false);
    browser.click("#cancel");
    page.says("Voided at Midtrans");
    page.clean();
}

#[test]
fn the_story_of_a_sale_presses_the_buttons() {
    a_story("t_sale", 4, (1, 1, 0, 1), &ENGLISH);
}

#[test]
fn the_story_of_a_power_cut_presses_the_buttons() {
    a_story("t_power", 6, (1, 1, 0, 1), &ENGLISH);
}

/// In Indonesian the machine's screen and the timeline speak it, too.
#[test]
fn the_story_of_a_network_that_is_cut_presses_the_buttons() {
    let page = a_story("t_network", 8, (1, 1, 0, 1), &INDONESIAN);
    let told = page.browser.run("return [...document.querySelectorAll('#list .text')].map(row => row.textContent)");
    let told: Vec<&str> = told.as_array().expect("rows").iter().filter_map(Value::as_str).collect();
    for words in ["menekan Es kopi 220 ml, Rp9.500", "memutus jaringan mesin–backend", "barang keluar"] {
        assert!(told.contains(&words), "{words}: {told:?}");
    }
    // Over the broker it comes once more, when the machine has redialled.
    page.speaks("barang keluar: A3, Rp9.500");
    // A reason stays a code, and what is said in English only is left out.
    page.asks("A1");
    // Whoever points at the shelf has pressed its key.
    page.browser.click(".shelf[data-item=A2]");
    page.browser.wait(
        "the refusal",
        "return [...document.querySelectorAll('#list .text')].some(text => text.textContent.startsWith('ditolak (sedang melayani)'))",
    );
    let english = "return [...document.querySelectorAll('#list li:not(.log) .text')].some(text => text.textContent.includes('is busy'))";
    assert_eq!(page.browser.run(english), false);
    page.browser.click("#cancel");
    page.speaks("dibatalkan (pelanggan)");
    page.browser.run("document.querySelector('#language').click()");
    page.browser.wait(
        "the same timeline in English",
        "return [...document.querySelectorAll('#list .text')].some(row => row.textContent === 'cuts the network machine–backend')",
    );
    page.speaks("its screen is in English");
}

#[test]
fn the_story_of_a_late_payment_presses_the_buttons() {
    let page = a_story("t_late", 5, (1, 0, 1, 0), &ENGLISH);
    let just = page.browser.text("#just");
    assert!(just.starts_with("Paid too late"), "{just}");
    assert!(!page.browser.text("#claim").contains("Paid once, dropped once"), "its own story says otherwise");

    // The owner sends the money back with her thumb: it is in the books as what it is.
    let browser = &page.browser;
    browser.inside("#owner", || {
        browser.wait("what is owed", "return document.body.innerText.includes('Owed to customers: Rp4.000 (1)')");
        // The driver presses beside what a frame shows smaller than it is. So the page presses by itself.
        browser.run("document.querySelector(\"main a[href$='/refund']\").click()");
        browser.wait("the question", "return !!document.querySelector('main form button')");
        browser.run("document.querySelector('main form button').click()");
        browser.wait("its end", "return document.body.innerText.includes('The gateway sent the money back')");
    });
    page.balanced((1, 0, 0, 0));
    assert_eq!((browser.run(&seen("#b-refunded")), browser.run(&seen("#b-open"))), (json!("1"), Value::Null));

    // Whoever looks at her phone can end all her sessions, and nobody knows her password. When the page turns to her again, she is in.
    browser.inside("#owner", || {
        browser.run("document.querySelector('a.me').click()");
        browser.wait("her sessions", "return !!document.querySelector('input[name=number][value=all]')");
        browser.run("document.querySelector('input[name=number][value=all]').form.querySelector('button').click()");
        browser.wait("the question for her password", "return !!document.querySelector('#password')");
    });
    for _ in 0..2 {
        browser.click("#turn");
    }
    browser.inside("#owner", || browser.wait("her pages", "return document.querySelector('a.me')?.textContent === 'Sari'"));
}

/// Nothing came, and the goods come in place of the money. A moment before, another story has left such an offer on the screen: the first
/// press of this one is a new sale all the same.
#[test]
fn the_story_of_a_second_try_presses_the_buttons() {
    let page = a_story("t_late", 5, (1, 0, 1, 0), &ENGLISH);
    page.tells("t_again", 6, (2, 1, 1, 1), &ENGLISH);
    page.speaks("trying again: A2, Rp4.000");

    // The owner hands over what is owed since the first story: nothing wants her any more.
    let browser = &page.browser;
    browser.inside("#owner", || {
        browser.wait("what is owed", "return document.body.innerText.includes('Owed to customers: Rp4.000 (1)')");
        browser.run("document.querySelector(\"main a[href$='/given']\").click()");
        browser.wait("the question", "return !!document.querySelector('main form button')");
        browser.run("document.querySelector('main form input[value=machine]').click()");
        browser.run("document.querySelector('main form button').click()");
        browser.wait("its end", "return document.body.innerText.includes('Sari handed the goods over')");
    });
    page.balanced((2, 1, 0, 1));
    assert_eq!((browser.run(&seen("#b-given")), browser.run(&seen("#b-open"))), (json!("1"), Value::Null));
    browser.click("#turn");
    assert_eq!(browser.text("#turn"), "The owner’s phone");
}

/// A page on which this story was told, of so many steps, and what the books say then. The broker is the one inside.
fn a_story(story: &str, steps: u32, books: (u64, u64, u64, u64), language: &Language) -> Page {
    let page = Page::open_with(tempfile::tempdir().expect("a directory"), &[]);
    let browser = &page.browser;
    browser.be_window(1280, 800);
    browser.wait("the machine's screen", LIT);
    if language.id == "id" {
        browser.run("document.querySelector('#language').click()");
        page.speaks("layarnya berbahasa Indonesia");
    }
    keep_captions(browser);
    page.tells(story, steps, books, language);
    page
}

impl Page {
    /// This story is told to its end.
    fn tells(&self, story: &str, steps: u32, books: (u64, u64, u64, u64), language: &Language) {
        let browser = &self.browser;
        browser.run("captions.length = 0; agreed.length = 0");
        browser.click(&format!("[data-story={story}]"));
        for step in 1..=steps {
            self.told(&format!("{} {step} {} {steps}:", language.step, language.of));
        }
        browser.wait(&format!("the end of {story}"), "return document.body.dataset.story === ''");
        // Headline and books say the same before the story goes on. So they do not wait for a network that it mends later.
        let agreed = browser.run("return agreed");
        let agreed: Vec<&str> = agreed.as_array().expect("captions").iter().filter_map(Value::as_str).collect();
        assert!(agreed.contains(&language.over), "{agreed:?}");
        if story == "t_network" {
            let last = format!("{} {steps} {} {steps}:", language.step, language.of);
            assert!(agreed.iter().any(|caption| caption.starts_with(&last)), "{agreed:?}");
        }
        assert_eq!(browser.text("#caption"), language.over);
        let beyond = browser.run("return window.beyond");
        let words = "pixels beyond the window's right and lower edge";
        assert_eq!(beyond, json!([0, 0]), "{story}: {words}, when it said {}", browser.run("return stood"));
        self.balanced(books);
        self.clean();
    }
}

/// What a story says in a language.
struct Language {
    id: &'static str,
    step: &'static str,
    of: &'static str,
    over: &'static str,
}

const ENGLISH: Language = Language { id: "en", step: "Step", of: "of", over: "That was it. Try it yourself." };
const INDONESIAN: Language = Language { id: "id", step: "Langkah", of: "dari", over: "Itu saja. Silakan coba sendiri." };

/// A caption may be there for less time than lies between two looks at it. So may a scrollbar.
fn keep_captions(browser: &Browser) {
    browser.run(
        "window.captions = []; window.agreed = []; window.beyond = [0, 0]; window.stood = '';
         const look = () => {
             const {scrollWidth, scrollHeight} = document.documentElement;
             const now = [scrollWidth - innerWidth, scrollHeight - innerHeight];
             if (now.some((pixels, edge) => pixels > beyond[edge])) window.stood = document.body.innerText.slice(0, 600);
             window.beyond = beyond.map((most, edge) => Math.max(most, now[edge]));
             requestAnimationFrame(look);
         };
         look();
         new MutationObserver(() => {
             const caption = document.querySelector('#caption').textContent;
             captions.push(caption);
             if (document.querySelector('#verdict').className === 'good') agreed.push(caption);
         })
             .observe(document.querySelector('#caption'), { childList: true, characterData: true, subtree: true })",
    );
}

/// One that is stopped leaves the rest to the visitor; the next makes everything whole first.
#[test]
fn a_story_that_is_stopped_leaves_the_rest_to_the_visitor() {
    let page = Page::open();
    let browser = &page.browser;
    browser.wait("the machine's screen", LIT);
    keep_captions(browser);
    browser.click("[data-story=t_power]");
    browser.wait("the dark machine", "return document.querySelector('#power').getAttribute('aria-checked') === 'false'");
    // While it points at the next button. Stop stands where it is always in sight.
    browser.run(
        "return new Promise(done => { const look = () => { if (!document.querySelector('.pointed')) return setTimeout(look, 5); \
         document.querySelector('.bar #stop').click(); done(); }; look(); })",
    );
    browser.wait("the stop", "return document.querySelector('#caption').textContent === 'Stopped. Go on by yourself.'");
    assert_eq!(browser.count(".pointed"), 0, "it still points at something");
    browser.run("captions.length = 0");
    browser.click("[data-story=t_sale]");
    browser.wait("the power", "return document.querySelector('#power').getAttribute('aria-checked') === 'true'");
    page.told("Step 1 of 4:");
    page.clean();
}

#[test]
fn the_page_fits_every_window_and_everything_on_it_can_be_reached() {
    let page = Page::open();
    let browser = &page.browser;
    browser.wait("the machine's screen", LIT);
    page.asks("A1");
    for (width, height, phone) in [
        (390, 844, true),
        (360, 740, true),
        (320, 640, true),
        (768, 1024, false),
        (1024, 768, false),
        (1280, 800, false),
        (1920, 1080, false),
    ] {
        if phone {
            browser.be_phone(width, height, "en");
        } else {
            browser.be_window(width, height);
        }
        for language in ["id", "en"] {
            // By the page: where a window was resized a moment ago, a click may find the button where it was before.
            browser.run("document.querySelector('#language').click()");
            browser.wait(language, &format!("return document.documentElement.lang === '{language}'"));
            assert_eq!(browser.run(UNREACHABLE), json!([]), "{width}×{height}, {language}");
            // Not innerWidth: a phone zooms out of what is too wide until it fits.
            let wide = browser
                .run(&format!("return [document.documentElement.scrollWidth, document.body.scrollWidth].some(width => width > {width})"));
            assert_eq!(wide, false, "{width}×{height}, {language}: the page scrolls sideways");
        }
        if width == 390 {
            browser.run("scrollTo(0, 0)");
            browser.wait("the machine's own screen", "return document.querySelector('#mini').hidden");
            browser.keep("demo-page-phone.png");
            // The phone to pay with is far below: the headline leads there.
            assert_eq!(browser.run(&seen("#to-phone")), "To the phone ↓");
            browser.run("document.querySelector('#to-phone').click()");
            let payable = "const box = document.querySelector('[data-act=pay_gopay]').getBoundingClientRect(); \
                           return box.top >= 0 && box.bottom <= innerHeight";
            browser.wait("the phone", payable);
            // Further down a small picture of it stays in sight, and leads back to it.
            browser.run("document.querySelector('#links').scrollIntoView()");
            browser.wait("the small picture", MINI_SEEN);
            browser.keep("demo-page-phone-links.png");
            browser.run("document.querySelector('#mini').click()");
            browser.wait("the machine's own screen", "return document.querySelector('#mini').hidden");
        }
    }
    // At a desk all of it is seen at once.
    for (width, height) in [(1280, 800), (1920, 1080)] {
        browser.be_window(width, height);
        browser
            .wait(&format!("a page without scrolling at {width}×{height}"), "return document.documentElement.scrollHeight <= innerHeight");
    }
    page.clean();
}

/// Every state that a visitor brings about, by day and by night.
#[test]
fn every_text_stands_out_from_its_ground() {
    let page = Page::open();
    let browser = &page.browser;
    browser.be_window(1280, 800);
    browser.wait("the machine's screen", LIT);
    browser.click("#logs");
    let mut faint = Vec::new();
    let mut look = |what: &str| {
        for scheme in ["dark", "light"] {
            browser.prefer("prefers-color-scheme", scheme);
            let texts = browser.faint_texts();
            faint.extend(texts.as_array().expect("a list").iter().map(|text| format!("{what}, {scheme}: {text}")));
        }
    };
    look("nothing is sold yet");
    page.asks("A1");
    look("a QR");
    browser.click("[data-act=pay_fail]");
    browser.wait("the refusal", "return !!document.querySelector('#glass .said.bad')");
    look("a payment that failed");
    page.network("broker", false);
    browser.click("[data-act=pay_gopay]");
    page.dropped(1);
    look("a sale, and a network that is cut");
    page.network("broker", true);
    page.asks("A3");
    page.power(false);
    look("a machine without power");
    page.power(true);
    page.says("The power is back, and so is the same QR");
    browser.click("#cancel");
    page.says("Voided at Midtrans");
    look("a cancelled QR, and what was told twice");
    assert!(faint.is_empty(), "less contrast than 4.5 to 1:\n{}", faint.join("\n"));
    page.clean();
}

#[test]
fn the_page_is_its_own_and_works_with_keys_alone_and_without_motion() {
    let page = Page::open();
    let browser = &page.browser;
    let policy = browser.run("return fetch('/').then(answer => answer.headers.get('content-security-policy'))");
    assert!(policy.as_str().is_some_and(|policy| policy.starts_with("default-src 'self';")), "{policy}");
    browser.prefer("prefers-reduced-motion", "reduce");
    browser.wait("the machine's screen", LIT);

    browser.press("#keys [data-item=A2]", ENTER);
    browser.wait("the phone's offer to pay", OFFERED);
    // The page looks by itself: the lamp may be out before anybody outside asks.
    browser.run(MOVES_WHILE_LIT);
    browser.press("[data-act=pay_gopay]", ENTER);
    browser.wait("the lamp", "return window.moving !== undefined");
    assert_eq!(browser.run("return window.moving"), 0, "nothing moves");
    page.dropped(1);
    browser.press("#links [data-network=broker]", ENTER);
    browser.wait("the cut", "return document.querySelector('#links [data-network=broker]').getAttribute('aria-checked') === 'false'");
    let live =
        browser.run("const just = document.querySelector('#just'); return [just.getAttribute('role'), just.getAttribute('aria-live')]");
    assert_eq!(live, json!(["status", "polite"]));
    let nameless = browser.run(
        "return [...document.querySelectorAll('button, input, [role=img]')].filter(element => !element.hidden && \
         !(element.getAttribute('aria-label') || element.textContent.trim() || element.labels?.length)).map(element => element.outerHTML)",
    );
    assert_eq!(nameless, json!([]), "everything has a name for a screen reader");

    let elsewhere = browser
        .run("return performance.getEntriesByType('resource').map(entry => entry.name).filter(name => new URL(name).origin !== origin)");
    assert_eq!(elsewhere, json!([]));
    page.clean();
}

/// WebDriver's Enter.
const ENTER: &str = "\u{e007}";

/// Whether any pixel of the machine's screen is not black.
const LIT: &str = "const c = document.querySelector('#screen'); \
                   return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((value, i) => i % 4 < 3 && value > 0)";

/// Whether the machine's screen is black in many places: nothing but a QR is.
const QR_DRAWN: &str = "const c = document.querySelector('#screen'); const {data} = c.getContext('2d').getImageData(0, 0, c.width, c.height); \
                        let black = 0; for (let i = 0; i < data.length; i += 4) black += data[i] + data[i + 1] + data[i + 2] < 24; return black > 10000";

/// Notes what moves when the lamp lights up.
const MOVES_WHILE_LIT: &str = "const lamp = document.querySelector('#lamp'); new MutationObserver(() => { if (lamp.classList.contains('on')) \
                               window.moving = document.getAnimations().filter(one => one.playState === 'running').length; }) \
                               .observe(lamp, { attributes: true })";

/// Whether the small picture of the machine's screen is in the window, and shows something.
const MINI_SEEN: &str = "const mini = document.querySelector('#mini'); const box = mini.getBoundingClientRect(); const c = mini.firstElementChild; \
                         return mini.checkVisibility() && box.top >= 0 && box.bottom <= innerHeight && box.right <= innerWidth && box.width > 80 && \
                         c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((value, i) => i % 4 < 3 && value > 0)";

/// What stands in an element, if it is seen.
fn seen(element: &str) -> String {
    format!("const element = document.querySelector('{element}'); return element?.checkVisibility() ? element.textContent : null")
}

/// Whether the phone offers to pay.
const OFFERED: &str = "return !!document.querySelector('[data-act=pay_gopay]')";

/// Whether it offers to pay the QR that is on the screen now, and the order of that QR was heard of: an older one may still be offered.
const ASKED: &str = "return /^(The QR for|QR) Rp/.test(document.querySelector('#just').textContent) && \
                     !!document.querySelector('#glass .note:not(.gone)') && !!document.querySelector('[data-act=pay_gopay]')";

/// What can be pressed and is covered, cut off or beyond the window when it is scrolled to.
const UNREACHABLE: &str = "return [...document.querySelectorAll('button, input')].filter(element => element.offsetParent).filter(element => { \
                           element.scrollIntoView({ block: 'center' }); const box = element.getBoundingClientRect(); \
                           const found = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2); \
                           return box.left < 0 || box.right > innerWidth + 0.5 || !(found === element || element.contains(found)); \
                           }).map(element => element.id || element.textContent)";

/// A demo with a browser on its page.
struct Page {
    browser: Browser,
    demo: Running,
    temporary: tempfile::TempDir,
}

impl Page {
    fn open() -> Self {
        Self::open_with(tempfile::tempdir().expect("a directory"), &["--mosquitto"])
    }

    fn open_with(temporary: tempfile::TempDir, arguments: &[&str]) -> Self {
        let (demo, _, address) = start_demo(temporary.path(), arguments);
        Self::open_at(temporary, demo, &address)
    }

    fn open_at(temporary: tempfile::TempDir, demo: Running, address: &str) -> Self {
        let browser = Browser::start(temporary.path());
        browser.open(address);
        browser.wait("the product buttons", "return document.querySelectorAll('#keys [data-item]:enabled').length === 4");
        browser.wait(
            "a machine that is online",
            "return [...document.querySelectorAll('#list .text')].some(text => /is online/.test(text.textContent))",
        );
        Self { browser, demo, temporary }
    }

    /// A file of the demo.
    fn file(&self, name: &str) -> PathBuf {
        let entries = std::fs::read_dir(self.temporary.path()).expect("there").flatten();
        entries.map(|entry| entry.path().join(name)).find(|path| path.exists()).unwrap_or_else(|| panic!("the demo has no {name}"))
    }

    /// Does this. The relay's program stands still as soon as it drives its line.
    fn stopped_in_the_turn(&self, deed: impl FnOnce()) {
        let is_relay =
            |id: &u32| std::fs::read_to_string(format!("/proc/{id}/cmdline")).is_ok_and(|words| words.contains("\0qris-relayd\0"));
        let relay = children(self.demo.0.id()).into_iter().find(is_relay).expect("the relay's program runs");
        let relay = Pid::from_raw(i32::try_from(relay).expect("an id")).expect("an id");
        let log = RelayLog(self.file("machine/relay.log"));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                log.until("a motor that turns", |log| log.is_active().then_some(()));
                kill_process(relay, Signal::STOP).expect("it runs");
                assert!(log.is_active(), "the turn was over before the program stood still");
            });
            // A browser that is slow may say late that it has pressed.
            deed();
        });
    }

    /// A user of the demo's broker.
    fn broker_as(&self, user: &str, filters: &[&str]) -> Tap {
        let environment = std::fs::read_to_string(self.file("controller.env")).expect("there");
        let value = |name: &str| environment.lines().find_map(|line| line.strip_prefix(name)).expect("it is named");
        Tap::connect_at(value("QRISD_PORT=").parse().expect("a port"), user, value("QRISD_PASSWORD="), filters)
    }

    /// Where the simulated Midtrans is, and its orders.
    fn orders(&self) -> (String, Value) {
        let config: toml::Table = std::fs::read_to_string(self.file("merchant/backend.toml")).expect("there").parse().expect("TOML");
        let midtrans = config["midtrans"]["base_url"].as_str().expect("an address");
        let orders = Http::new().get(&format!("{midtrans}/sim/transactions"), None).json();
        (midtrans.to_owned(), orders)
    }

    /// Waits for a caption of the story that is told now. The page itself gives up what takes too long, and says so.
    fn told(&self, start: &str) {
        let script = format!(
            "return captions.some(caption => caption.startsWith({})) ? 'told' : document.querySelector('#caption').textContent",
            json!(start)
        );
        wait_for_within(PATIENCE * 3, start, || {
            let told = self.browser.run(&script);
            assert!(!told.as_str().is_some_and(|told| told.starts_with("That did not happen")), "{start} {}", self.timeline());
            (told == "told").then_some(())
        });
    }

    /// The last things that happened, and how the page takes things to stand.
    fn timeline(&self) -> String {
        let rows = "return [document.querySelector('#just').textContent, document.querySelector('#keys').outerHTML, \
                    ...[...document.querySelectorAll('#list li')].slice(-60).map(row => row.textContent)].join('\\n')";
        self.browser.run(rows).as_str().expect("a text").to_owned()
    }

    /// A customer wants an item, and the phone offers to pay it.
    fn asks(&self, item: &str) {
        self.browser.click(&format!("#keys [data-item={item}]"));
        self.is_offered(item);
    }

    /// The phone offers to pay what was pressed. A computer that stands still for long misses the machine's patience for its backend or its
    /// relay: then the customer presses once more.
    fn is_offered(&self, item: &str) {
        let script = format!(
            "if (/^(No QR came|QR tidak didapat|The relay is not there|Relai belum ada)/.test(document.querySelector('#just').textContent) \
             && !(performance.now() - window.pressed < 4000)) {{ \
             window.pressed = performance.now(); document.querySelector('#keys [data-item={item}]').click(); }} {ASKED}"
        );
        self.browser.wait("the phone's offer to pay", &script);
    }

    /// Waits until the machine has told its language on the timeline.
    fn speaks(&self, words: &str) {
        let told =
            format!("return [...document.querySelectorAll('#list .text')].some(text => text.textContent.includes({}))", json!(words));
        self.browser.wait(words, &told);
    }

    /// Waits until the words on the page begin so.
    fn says(&self, words: &str) {
        self.browser.wait(words, &format!("return document.querySelector('#just').textContent.startsWith({})", json!(words)));
    }

    fn is_free(&self) {
        self.browser.wait("a machine that can be asked", "return !document.querySelector('#keys button').disabled");
    }

    fn pulses(&self) -> u64 {
        self.browser.text("#pulses").parse().expect("a number")
    }

    /// Paid, dispensed, refund due, and the pulses of the relay.
    fn books(&self) -> (u64, u64, u64, u64) {
        let [paid, dispensed, refund] =
            ["#b-paid", "#b-dispensed", "#b-refund"].map(|cell| self.browser.text(cell).parse().expect("a number"));
        (paid, dispensed, refund, self.pulses())
    }

    /// So many items have fallen in all, and the last is told as dispensed.
    fn dropped(&self, count: u64) {
        self.browser.wait("the pulse", &format!("return document.querySelector('#pulses').textContent === '{count}'"));
        self.browser.wait("the end of the order", "return /dropped/.test(document.querySelector('#just').textContent)");
    }

    fn balanced(&self, wanted: (u64, u64, u64, u64)) {
        let (paid, dispensed, refund, pulses) = wanted;
        let script = format!(
            "const told = id => document.querySelector(id).textContent; return document.querySelector('#verdict').className === 'good' && \
             told('#b-paid') === '{paid}' && told('#b-dispensed') === '{dispensed}' && told('#b-refund') === '{refund}'"
        );
        self.browser.wait(&format!("balanced books: {wanted:?}"), &script);
        assert_eq!(self.books(), (paid, dispensed, refund, pulses));
        let verdict = self.browser.text("#verdict");
        assert!(verdict.starts_with("They balance") || verdict.starts_with("Seimbang"), "{verdict}");
    }

    fn power(&self, on: bool) {
        self.browser.click("#power");
        self.browser.wait(
            if on { "the power" } else { "the power cut" },
            &format!(
                "const plug = document.querySelector('#power'); return plug.getAttribute('aria-checked') === '{on}' && !plug.disabled"
            ),
        );
    }

    fn network(&self, network: &str, up: bool) {
        let switch = format!("#links [data-network={network}]");
        let is = format!("return document.querySelector('{switch}').getAttribute('aria-checked') === '{up}'");
        if self.browser.run(&is) != Value::Bool(true) {
            self.browser.click(&switch);
        }
        self.browser.wait(&format!("the switch of {network}"), &is);
        let cut = self.browser.run(&format!("return document.querySelector('{switch}').parentElement.classList.contains('cut')"));
        assert_eq!(cut, !up, "the picture of {network}");
    }

    /// Nothing went wrong in the browser.
    fn clean(&self) {
        assert_eq!(self.browser.errors(), [""; 0]);
    }
}

/// The demo's page with a temporary directory of its own; what it tells further, and the address that it tells first.
fn start_demo(temporary: &Path, arguments: &[&str]) -> (Running, impl Iterator<Item = String> + use<>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qris-demo"));
    command.args(arguments);
    let mut demo = Running(command.env("TMPDIR", temporary).stdout(Stdio::piped()).spawn().expect("the demo starts"));
    let stdout = demo.0.stdout.take().expect("it is a pipe");
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let line = lines.next().unwrap_or_default();
    let address = line.strip_prefix("open ").and_then(|rest| rest.split_whitespace().next());
    let address = address.unwrap_or_else(|| panic!("{line:?}")).to_owned();
    (demo, lines, address)
}
