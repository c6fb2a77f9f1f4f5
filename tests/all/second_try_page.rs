//! Another try, later: the customer asks for it on the order's page, and presses at the machine.

use crate::rig::caller::Caller;
use crate::rig::http::HttpAnswer;
use crate::rig::midtrans::Via;
use crate::rig::postgres::Postgres;
use crate::rig::proxy::{Proxy, Reply};
use crate::rig::shop::{Options, Program, Shop};
use crate::rig::wait_for;
use crate::second_try::Machine;
use qris::demo::shop::item;
use qris::order::reason::Reason;
use qris::wire::vend::{EventState, VendEvent};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use zbus::zvariant::Variant;

/// The orders of which the machine was told that somebody wants another try.
static WANTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Reads an answer to the machine along.
fn note_wishes(_: &str, _: &str, reply: &mut Reply) {
    let open: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let wanted = open["orders"].as_array().into_iter().flatten().filter(|order| order["try_wanted_s"].is_u64());
    WANTED.lock().expect("no panic").extend(wanted.map(|order| order["order_id"].as_str().expect("an order").to_owned()));
}

/// A payment came too late: another customer stands at the machine, whose request is the last answer.
fn too_late(server: Option<&Postgres>) -> (Shop, VendEvent, String) {
    too_late_with(server, "")
}

fn too_late_with(server: Option<&Postgres>, more: &str) -> (Shop, VendEvent, String) {
    let store = server.map(|server| format!("url = \"{}\"", server.url()));
    let mut shop = Shop::open(Options { machine: false, store, items: item("B2", "Kopi", "Coffee", 9000), ..Options::default() });
    shop.kill_backend();
    shop.edit(Program::Backend, |text| format!("{text}\n[orders]\nsecond_tries = 1\n{more}"));
    shop.start_backend();
    let (link, proxy) = (format!("http://127.0.0.1:{}", shop.backend_link.port), Proxy::start(&shop.backend_url, note_wishes));
    shop.edit(Program::Qrisd, |text| text.replace(&link, &proxy.url));
    shop.start_machine();
    let first = shop.offer("A1");
    let order = shop.order_id(&first);
    shop.cancel(&first);
    shop.wait_state(&first, EventState::Cancelled);
    // The next customer stands there.
    let next = shop.offer("A1");
    shop.midtrans.pay_late(&order);
    let due = shop.wait_state(&first, EventState::RefundDue);
    assert_eq!(due.reason, Some(Reason::Late));
    shop.wait_order(&order, "its outcome", |order| order["outcome"].as_object().cloned());
    (shop, due, next)
}

/// The address that the machine showed, as the backend tells it.
fn address(shop: &Shop, order: &str) -> String {
    shop.order_at_backend(order)["pay_url"].as_str().expect("an address").to_owned()
}

fn get(shop: &Shop, url: &str) -> HttpAnswer {
    shop.http.get(url, None)
}

fn post(shop: &Shop, url: &str) -> HttpAnswer {
    shop.http.post_form(url, &[], Vec::new()).0
}

/// Nobody presses as fast as this: the page has a pace.
fn post_in_turn(shop: &Shop, url: &str) -> HttpAnswer {
    wait_for("its turn", || Some(post(shop, url)).filter(|answer| answer.status != 429))
}

/// A press begins the second try, here by a controller, as soon as the next customer has gone.
fn comes_at_a_press(shop: &Shop, request: &str, order: &str) {
    let bus = Caller::connect(&shop.bus.address);
    wait_for("the machine to begin it", || {
        let options = HashMap::from([("try", Variant::from(2_u32))]);
        let answer: (String, String) = bus.device("Vend", &(request, "A1", options)).expect("an answer");
        (answer.0 == "trying_again").then_some(())
    });
    shop.wait_state(request, EventState::Dispensed);
    shop.wait_order(order, "its end", |order| order["outcome"]["outcome"].as_str().filter(|end| *end == "dispensed").map(drop));
}

fn who_asks_on_the_page_has_a_second_try(server: Option<&Postgres>) {
    let (shop, due, next) = too_late(server);
    let (order, request) = (due.order_id.expect("an order"), due.request_id.expect("a request"));
    let whole = address(&shop, order.as_str());
    let (bare, key) = whole.split_once("?key=").expect("a secret");
    // The number alone offers nothing, and changes nothing.
    let page = get(&shop, &format!("{bare}?lang=en")).text();
    assert!(page.contains("Your money will be returned") && !page.contains("<form"), "{page}");
    for url in [bare.to_owned(), format!("{bare}?key="), format!("{bare}?key={}x", &key[1..])] {
        assert_eq!(post(&shop, &url).status, 404, "{url}");
    }
    assert!(shop.order_at_backend(order.as_str())["try_wanted_s"].is_null());
    let page = get(&shop, &format!("{whole}&lang=en")).text();
    assert!(page.contains("<form method=post") && page.contains("Try again at the machine") && page.len() < 8192, "{page}");
    // GoPay's way back has the key, too, and leads to the same page.
    let page = get(&shop, &format!("{bare}/finish?key={key}&order_id={}&result=success&lang=en", order.as_str())).text();
    let form = page.split_once("<form method=post action=\"").and_then(|(_, rest)| rest.split_once('"')).expect("a form").0;
    assert_eq!(form, format!("../{}?key={key}&amp;lang=en", order.as_str()));
    let page = get(&shop, &format!("{bare}/finish?result=success&lang=en")).text();
    assert!(!page.contains("<form"), "{page}");
    let asked = post(&shop, &format!("{whole}&lang=en"));
    assert_eq!(asked.status, 303);
    let page = get(&shop, &format!("{whole}&lang=en")).text();
    assert!(page.contains("Second try") && page.contains("press there"), "{page}");
    assert!(shop.order_at_backend(order.as_str())["try_wanted_s"].as_u64().is_some_and(|left| left <= 600));
    // It waits its turn.
    wait_for("the machine to hear of it", || WANTED.lock().expect("no panic").contains(order.as_str()).then_some(()));
    shop.request(&json!({"request_id": request, "item": "A1", "try": 2}));
    shop.tap.wait_refused(request.as_str(), Reason::Late);
    shop.pay(Via::Gopay);
    shop.wait_state(&next, EventState::Dispensed);
    comes_at_a_press(&shop, request.as_str(), order.as_str());
    assert_eq!(shop.pulses(), 2, "the next customer's, and this one");
    let page = get(&shop, &format!("{whole}&lang=en")).text();
    assert!(page.contains("Done. Thank you!") && !page.contains("<form"), "{page}");
    // Once more is too late, and changes nothing.
    assert_eq!(post(&shop, &whole).status, 303);
    assert!(shop.order_at_backend(order.as_str())["try_wanted_s"].is_null());
}

#[test]
fn who_asks_on_the_page_presses_at_the_machine() {
    who_asks_on_the_page_has_a_second_try(None);
}

#[test]
fn who_asks_on_the_page_presses_at_the_machine_on_postgresql() {
    who_asks_on_the_page_has_a_second_try(Some(&Postgres::start(&[])));
}

fn who_wants_the_money_has_it_and_no_other_try(server: Option<&Postgres>) {
    let (shop, due, _) = too_late_with(server, "auto_refund = true\n");
    let order = due.order_id.expect("an order");
    let whole = address(&shop, order.as_str());
    let bare = whole.split_once("?key=").expect("a secret").0;
    let calls = || shop.midtrans.calls("refund", order.as_str()).len();
    // The key alone lets somebody say so.
    assert_eq!(post(&shop, &format!("{bare}?want=money")).status, 404);
    assert!(shop.order_at_backend(order.as_str())["try_again_s"].is_u64());
    let page = get(&shop, &format!("{whole}&lang=en")).text();
    assert!(page.contains("Give me the money back") && calls() == 0, "{page}");
    assert_eq!(post(&shop, &format!("{whole}&lang=en&want=money")).status, 303);
    shop.wait_order(order.as_str(), "its money", |order| (order["refund"] == "done").then_some(()));
    assert_eq!(calls(), 1);
    // It is one of the two, for ever.
    for want in ["", "&want=money"] {
        assert_eq!(post(&shop, &format!("{whole}{want}")).status, 303);
    }
    assert!(!get(&shop, &whole).text().contains("<form"));
    assert_eq!(shop.merchant(&["again", order.as_str(), "--by", "Sari"]).status.code(), Some(1));
    assert_eq!((calls(), shop.pulses()), (1, 0));
    let history = String::from_utf8_lossy(&shop.merchant(&["orders", order.as_str()]).stdout).into_owned();
    assert!(history.contains("its customer wants the money, and no other try"), "{history}");
}

#[test]
fn who_wants_the_money_on_the_page_has_it() {
    who_wants_the_money_has_it_and_no_other_try(None);
}

#[test]
fn who_wants_the_money_on_the_page_has_it_on_postgresql() {
    who_wants_the_money_has_it_and_no_other_try(Some(&Postgres::start(&[])));
}

/// Where a person decides every refund, nobody else can end the offer.
#[test]
fn where_the_backend_gives_nothing_back_by_itself_the_page_has_no_such_button() {
    let (shop, due, _) = too_late(None);
    let order = due.order_id.expect("an order");
    let whole = address(&shop, order.as_str());
    assert!(!get(&shop, &format!("{whole}&lang=en")).text().contains("want=money"));
    assert_eq!(post(&shop, &format!("{whole}&want=money")).status, 303);
    assert!(shop.order_at_backend(order.as_str())["try_again_s"].is_u64(), "it is offered still");
}

/// What the backend would not give back by itself is not promised, and the offer stays.
#[test]
fn a_machine_that_had_its_refunds_of_the_day_has_no_such_button() {
    let machine = Machine::new(None, "auto_refund = true\nauto_refund_per_day = 1\n");
    let shop = &machine.shop;
    let [first, second] = [machine.buys_nothing(), machine.buys_nothing()].map(|bought| bought.order_id);
    let page = |order: &str| get(shop, &format!("{}&lang=en", address(shop, order))).text();
    assert!(page(&second).contains("want=money"));
    assert_eq!(post(shop, &format!("{}&want=money", address(shop, &first))).status, 303);
    shop.wait_order(&first, "its money", |order| (order["refund"] == "done").then_some(()));
    let shown = page(&second);
    assert!(!shown.contains("want=money") && shown.contains("Try again at the machine"), "{shown}");
    assert_eq!(post(shop, &format!("{}&want=money", address(shop, &second))).status, 303);
    assert!(shop.order_at_backend(&second)["try_again_s"].is_u64(), "it is offered still");
}

#[test]
fn a_person_offers_it_by_name_until_the_order_has_its_end() {
    let (shop, due, next) = too_late(None);
    let (order, request) = (due.order_id.expect("an order"), due.request_id.expect("a request"));
    let waiting = shop.order_id(&next);
    // Nothing is proven of an order that is not paid.
    let refused = shop.merchant(&["again", &waiting, "--by", "Sari"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("no other try: the order is not paid"), "{said}");
    assert!(shop.order_at_backend(&waiting)["try_wanted_s"].is_null());

    let offered = shop.merchant(&["again", order.as_str(), "--by", "Sari"]);
    let said = String::from_utf8_lossy(&offered.stdout).into_owned();
    assert!(offered.status.success() && said.contains("noted by Sari"), "{said} {offered:?}");
    assert!(shop.order_at_backend(order.as_str())["try_wanted_s"].as_u64().is_some_and(|left| left <= 600));
    shop.cancel(&next);
    shop.wait_state(&next, EventState::Cancelled);
    comes_at_a_press(&shop, request.as_str(), order.as_str());
    // The goods came. Nobody offers them once more.
    let refused = shop.merchant(&["again", order.as_str(), "--by", "Sari"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && said.contains("no other try: the machine reported it as dispensed"), "{said}");
    assert_eq!(shop.pulses(), 1);
}

/// Whoever knows the number of an order keeps no other customer from a page, and whoever knows its key wishes no faster than that.
#[test]
fn a_flood_of_wishes_is_slowed() {
    let (shop, due, next) = too_late(None);
    let whole = address(&shop, due.order_id.expect("an order").as_str());
    let bare = whole.split_once("?key=").expect("a secret").0;
    for (url, taken) in [(bare, 404), (&whole, 303)] {
        let mut answers: Vec<u16> = (0..100).map(|_| post(&shop, url).status).collect();
        // On a busy computer these may have come no faster than they are taken.
        while answers.last() != Some(&429) && answers.len() < 10_000 {
            answers.push(post(&shop, url).status);
        }
        assert!(answers.iter().all(|status| [taken, 429].contains(status)) && answers.contains(&429), "{answers:?}");
        let other = address(&shop, &shop.order_id(&next));
        assert_eq!(get(&shop, &other).status, 200, "another order's page");
        wait_for("it is taken again", || (post(&shop, url).status == taken).then_some(()));
    }
}

/// Who has the whole address may wish, and gets nothing by it: the goods come out at the machine, and the money goes to whoever paid it.
#[test]
fn a_thief_of_the_address_has_neither_goods_nor_money() {
    let (shop, due, next) = too_late(None);
    let (order, request) = (due.order_id.expect("an order"), due.request_id.expect("a request"));
    let whole = address(&shop, order.as_str());
    for _ in 0..3 {
        assert_eq!(post(&shop, &whole).status, 303);
    }
    shop.cancel(&next);
    shop.wait_state(&next, EventState::Cancelled);
    let bus = Caller::connect(&shop.bus.address);
    let press = |item: &str| -> (String, String) {
        bus.device("Vend", &(request.as_str(), item, HashMap::from([("try", Variant::from(2_u32))]))).expect("an answer")
    };
    // A dearer item is not handed out, and tells that the machine offers the try.
    wait_for("the machine to offer it", || (press("B2").1 == Reason::WrongAmount.as_str()).then_some(()));
    // Nobody presses, and whoever paid asks for the money.
    let kept = shop.order_at_backend(order.as_str());
    assert_eq!((&kept["try"], &kept["outcome"]["outcome"], &kept["refund"]), (&json!(1), &json!("undelivered"), &json!("due")), "{kept}");
    assert!(shop.merchant(&["refund", order.as_str(), "--by", "Sari"]).status.success());
    assert_eq!(post(&shop, &whole).status, 303);
    assert!(shop.order_at_backend(order.as_str())["try_wanted_s"].is_null());
    // Now he stands there, too.
    let from = shop.tap.count();
    press("A1");
    shop.tap.wait_event_from(from, "the end of it", |event| {
        event.request_id.as_ref() == Some(&request)
            && matches!(event.state, EventState::RefundDue | EventState::Refused | EventState::Dispensed)
    });
    assert_eq!((shop.pulses(), shop.midtrans.calls("refund", order.as_str()).len()), (0, 1));
}

/// Tells a number on the page.
fn tell(shop: &Shop, whole: &str, number: &str) -> HttpAnswer {
    // Nobody types as fast as this: the page has a pace.
    wait_for("its turn", || {
        let answer = shop.http.post_form(&format!("{whole}&lang=en&want=number"), &[], format!("number={number}").into_bytes()).0;
        (answer.status != 429).then_some(answer)
    })
}

/// The digits that the machine is to show.
fn digits(shop: &Shop, order: &str) -> String {
    shop.order_at_backend(order)["try_number"].as_str().expect("two digits").to_owned()
}

fn another(digits: &str) -> String {
    format!("{:02}", (digits.parse::<u32>().expect("a number") + 1) % 100)
}

#[test]
fn who_tells_the_number_on_the_page_has_one_press() {
    let machine = Machine::new(None, "");
    let shop = &machine.shop;
    let bought = machine.buys_nothing();
    let order = bought.order_id.as_str();
    let whole = address(shop, order);
    let page = || wait_for("its turn", || Some(get(shop, &format!("{whole}&lang=en"))).filter(|answer| answer.status != 429)).text();
    assert!(shop.order_at_backend(order)["try_number"].is_null() && !page().contains("name=number"));
    // Three wrong numbers end a showing, and nine the asking of the page. The right one is too late then.
    for round in 1..=3 {
        assert_eq!(post_in_turn(shop, &whole).status, 303);
        let shown = digits(shop, order);
        assert!(page().contains("name=number") && !page().contains("value="), "{}", page());
        let bare = whole.split_once("?key=").expect("a secret").0;
        let stranger = shop.http.post_form(&format!("{bare}?want=number"), &[], format!("number={shown}").into_bytes()).0;
        assert_eq!(stranger.status, 404, "nobody tells it without the key");
        for _ in 0..3 {
            assert_eq!(tell(shop, &whole, &another(&shown)).status, 303);
        }
        assert!(shop.order_at_backend(order)["try_wanted_s"].is_null(), "round {round}");
        assert_eq!(tell(shop, &whole, &shown).status, 303);
        assert!(shop.order_at_backend(order)["try_confirmed_s"].is_null(), "round {round}");
    }
    assert!(page().contains("Too many wrong numbers") && !page().contains("<form"), "{}", page());
    assert_eq!(post_in_turn(shop, &whole).status, 303);
    assert!(shop.order_at_backend(order)["try_wanted_s"].is_null(), "the page asks for none any more");
    // Whoever made the offer asks for it, and the money can still go back.
    assert!(shop.merchant(&["again", order, "--by", "Sari"]).status.success());
    let shown = digits(shop, order);
    let told = shop.merchant(&["again", order, "--by", "Sari", "--number", &another(&shown)]);
    assert_eq!(told.status.code(), Some(1), "{told:?}");
    assert!(String::from_utf8_lossy(&told.stderr).contains("not the number that the machine shows"), "{told:?}");
    let told = shop.merchant(&["again", order, "--by", "Sari", "--number", &shown]);
    assert!(told.status.success(), "{told:?}");
    let resource = shop.order_at_backend(order);
    assert!(resource["try_confirmed_s"].as_u64().is_some_and(|left| left <= 20), "{resource}");
    assert!(resource["try_number"] == json!(shown) && resource["try_wanted_s"].is_u64(), "{resource}");
    let books = machine.in_the_books(order);
    assert!(!books.to_string().contains("try_number") && !books.to_string().contains(&format!("\"{shown}\"")), "{books}");

    let second = machine.again(&bought);
    assert_eq!(machine.dispenses(&second).as_deref(), Ok("dispensed"));
    assert_eq!(machine.tells(&second, 2, "dispensed", &machine.proof(&second.ticket)).status, 200);
    // Its customer stood there: goods, and no money.
    for more in [&[][..], &["--goods-and-money"]] {
        for what in [
            &["refund", order, "--by", "Sari"][..],
            &["refund", order, "--settled-by-hand", "cash", "--by", "Sari"],
            &["given", order, "--by", "Sari", "--from", "elsewhere"],
        ] {
            let refused = shop.merchant(&[what, more].concat());
            assert!(
                !refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("reported it as dispensed"),
                "{refused:?}"
            );
        }
    }
    assert_eq!(machine.refunds(order), 0);
}

fn goods_and_money_are_a_persons(server: Option<&Postgres>) {
    let machine = Machine::new(server, "");
    let shop = &machine.shop;
    for what in [&["refund"][..], &["refund", "--settled-by-hand", "cash"], &["given", "--from", "elsewhere"]] {
        let bought = machine.buys_nothing();
        let second = machine.again(&bought);
        assert_eq!(machine.dispenses(&second).as_deref(), Ok("dispensed"));
        assert_eq!(machine.tells(&second, 2, "dispensed", &machine.proof(&second.ticket)).status, 200);
        let order = bought.order_id.as_str();
        let named: Vec<&str> = what.iter().take(1).chain(&[order]).chain(what.iter().skip(1)).chain(&["--by", "Sari"]).copied().collect();
        let refused = shop.merchant(&named);
        assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("--goods-and-money"), "{refused:?}");
        let granted = shop.merchant(&[&named[..], &["--goods-and-money"]].concat());
        assert!(granted.status.success(), "{granted:?}");
        let books = machine.in_the_books(order);
        assert_eq!((&books["outcome"], &books["goods_and_money"]), (&json!("dispensed"), &json!(true)), "{books}");
        assert_eq!(books["attention"], json!(["goods_and_money"]), "{books}");
        assert_eq!(machine.refunds(order), usize::from(what.len() == 1 && what[0] == "refund"));
        assert_eq!(machine.bars_persons(order), [true; 4], "once");
        assert!(shop.merchant(&["seen", order, "--by", "Ani"]).status.success());
        let books = machine.in_the_books(order);
        assert_eq!((&books["attention"], &books["goods_and_money"]), (&json!([]), &json!(true)), "{books}");
    }
    let told = shop.merchant(&["report", "--json"]);
    let report: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    assert_eq!(report["balanced"], json!(true), "{report}");
    assert_eq!(
        (&report["total"]["delivered"]["orders"], &report["total"]["goods_and_money"]["orders"]),
        (&json!(3), &json!(3)),
        "{report}"
    );
    let csv = String::from_utf8_lossy(&shop.merchant(&["orders", "--csv"]).stdout).into_owned();
    assert_eq!(csv.matches(",delivered,goods_and_money,").count(), 3, "{csv}");
}

#[test]
fn goods_and_money_are_a_persons_by_name_after_a_try_without_its_number() {
    goods_and_money_are_a_persons(None);
}

#[test]
fn goods_and_money_are_a_persons_by_name_on_postgresql() {
    goods_and_money_are_a_persons(Some(&Postgres::start(&[])));
}
