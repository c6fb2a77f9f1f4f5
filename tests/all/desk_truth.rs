//! What the desk says is so, and it says of when: goods by their names, machines in which nothing is low, an offer that the machine has shown,
//! and the time on every page.

use crate::rig::people::{Desk, Visitor};
use crate::rig::shop::DEVICE;
use crate::rig::tap::Tap;
use crate::rig::wait_for;
use serde_json::{Value, json};

/// The broker's account of the shop's machine, as which the test speaks.
struct Machine(Tap);

impl Machine {
    fn of(desk: &Desk) -> Self {
        desk.shop.backend.as_ref().expect("it runs").wait_line("connected to the broker");
        Self(Tap::connect(&desk.shop.broker, DEVICE, &[]))
    }

    fn says(&self, topic: &str, what: &Value) {
        self.0.publish_bytes(&format!("qrisd/v1/{DEVICE}/{topic}"), what.to_string().as_bytes(), true);
    }

    fn holds(&self, number: u64, slots: &[Value]) {
        self.says("stock", &json!({ "v": 1, "number": number, "stream": "s", "slots": slots }));
    }

    fn is(&self, faults: &[&str], try_offer: &Value) {
        let faults: Vec<_> = faults.iter().map(|code| json!({ "code": code, "detail": "", "since": null })).collect();
        let status =
            json!({ "state": "online", "name": "Lobi", "version": "0.1.0", "busy": false, "faults": faults, "try_offer": try_offer });
        self.says("status", &status);
    }
}

fn slot(item: &str, name: &str, count: Option<u32>) -> Value {
    json!({ "item": item, "name": name, "count": count, "capacity": 8, "low": 2, "sold": 1 })
}

/// Waits until both pages with cards of machines have these words.
fn cards_say(owner: &Visitor, words: &[&str]) {
    for page in ["/", "/machines"] {
        let lacks = || {
            let html = owner.get(page).html;
            words.iter().copied().filter(|words| !html.contains(words)).collect::<Vec<_>>()
        };
        wait_for(&format!("{page} to say {words:?}"), || lacks().is_empty().then_some(()));
    }
}

#[test]
fn a_machine_s_card_names_the_goods_of_all_that_is_wrong_with_it() {
    let desk = Desk::open();
    let (machine, mut owner) = (Machine::of(&desk), desk.person("Sari", "owner"));
    machine.is(&["stock"], &Value::Null);
    let barred = |item: &str, name: &str, why: &str| {
        let mut slot = slot(item, name, Some(8));
        slot["not_sold"] = json!(why);
        slot
    };
    let mut suspect = slot("A7", "Susu", Some(8));
    suspect["suspect"] = json!(true);
    let slots = [
        slot("A1", "Air mineral", Some(0)),
        slot("A2", "Kopi", Some(0)),
        slot("A3", "Teh botol", Some(2)),
        slot("A4", "Roti", None),
        barred("A5", "Keripik", "blocked"),
        barred("A6", "Emas", "price"),
        suspect,
    ];
    machine.holds(1, &slots);
    // The slots are told sooner than a fault of them.
    let english = [
        "sold out: Air mineral +1",
        "low: Teh botol",
        "look: nothing came out: Susu",
        "Not counted: Roti.",
        "Not sold: Keripik. Its line is blocked.",
        "Not sold: Emas. No line or no payment takes the price.",
    ];
    cards_say(&owner, &english);
    let page = owner.get(&format!("/machines/{DEVICE}"));
    assert!(english.iter().all(|words| page.has(words)), "{}", page.html);
    owner.language = "id";
    let indonesian = [
        "habis: Air mineral +1",
        "hampir habis: Teh botol",
        "periksa: tidak ada yang keluar: Susu",
        "Belum dihitung: Roti.",
        "Tidak dijual: Keripik. Jalurnya diblokir.",
        "Tidak dijual: Emas. Tidak ada jalur atau pembayaran yang menerima harganya.",
    ];
    cards_say(&owner, &indonesian);
}

#[test]
fn bring_names_the_machines_in_which_nothing_is_low() {
    let desk = Desk::open();
    let (machine, owner) = (Machine::of(&desk), desk.person("Sari", "owner"));
    machine.is(&[], &Value::Null);
    assert!(desk.shop.merchant(&["device", "add", "vm-002"]).status.success());
    let bring = |words: &str| wait_for(words, || Some(owner.get("/bring")).filter(|page| page.has(words)));
    let part = |html: &str, id: &str| {
        let section = html.split(&format!("<h2 id=\"{id}\">")).nth(1).and_then(|rest| rest.split("</section>").next());
        section.map(str::to_owned)
    };
    let page = bring(">Lobi</a>");
    let untold = part(&page.html, "untold").expect("nobody knows of either");
    assert!(untold.contains(">Lobi</a>") && untold.contains("vm-002") && part(&page.html, "well").is_none(), "{}", page.html);
    // Five more would fit. Nobody need go there.
    machine.holds(1, &[slot("A1", "Teh botol", Some(3))]);
    let page = bring("Nothing is low in");
    let well = part(&page.html, "well").expect("a part");
    assert!(well.contains(">Lobi</a>") && !well.contains("vm-002"), "{}", page.html);
    assert!(part(&page.html, "untold").is_some_and(|untold| untold.contains("vm-002") && !untold.contains("Lobi")), "{}", page.html);
    machine.holds(2, &[slot("A1", "Teh botol", Some(2))]);
    let page = bring("To each machine");
    assert!(part(&page.html, "well").is_none() && page.html.contains("Teh botol"), "{}", page.html);
}

#[test]
fn an_offer_says_whether_the_machine_has_shown_it() {
    let desk = Desk::open();
    let (machine, owner) = (Machine::of(&desk), desk.person("Sari", "owner"));
    let (first, other) = (desk.shop.reported("failed"), desk.shop.reported("failed"));
    machine.is(&[], &Value::Null);
    wait_for("the machine", || owner.get("/machines").has("Lobi").then_some(()));
    let offer = |order: &str, awaits_number: bool| {
        let request = desk.shop.order_at_backend(order)["request_id"].clone();
        json!({ "request_id": request, "try": 2, "up_to": 5000, "remaining_s": 60, "awaits_number": awaits_number })
    };
    let at = |order: &str| format!("/orders/{order}");
    let ask = |order: &str| assert_eq!(owner.submit(&format!("{}/again", at(order)), &format!("{}/again", at(order)), &[]).status, 303);
    let (not_yet, began) = ("The machine has not shown it yet.", "The machine began to show it today ");
    // It is on the screen by itself. That is not what she asks for.
    machine.is(&[], &offer(&first, false));
    assert!(!owner.get(&at(&first)).has(not_yet), "nobody has asked for it");
    for order in [&first, &other] {
        ask(order);
        wait_for("the page to say so", || owner.get(&at(order)).has(not_yet).then_some(()));
    }
    machine.is(&[], &offer(&first, true));
    let said = wait_for("the page to say when", || Some(owner.get(&at(&first))).filter(|page| page.has(began)));
    assert!(!said.has(not_yet) && owner.get(&at(&other)).has(not_yet), "{}", said.html);
    // It makes room for a customer. That it was shown stays so.
    machine.is(&["screen"], &Value::Null);
    wait_for("the machine's next word", || owner.get("/machines").has("Its screen cannot be used").then_some(()));
    assert!(owner.get(&at(&first)).has(began));
}

#[test]
fn every_page_says_of_when_it_is_and_comes_anew_without_a_script() {
    let desk = Desk::open();
    let owner = desk.person("Sari", "owner");
    desk.add("Budi", "viewer");
    let order = desk.shop.reported("failed");
    let whose = |page: &str| page.replace("ORDER", &order);
    let only_seen = ["/", "/orders/ORDER", "/machines", "/machines/vm-001", "/bring", "/log", "/sessions"];
    for page in only_seen {
        let shown = owner.get(&whose(page));
        assert_eq!((shown.status, shown.header("refresh")), (200, "60"), "{page}");
    }
    // What comes anew by itself would take away what somebody types.
    let typed = ["/orders", "/orders?q=5.000&device=vm-001", "/report", "/people", "/people/2", "/password", "/orders/ORDER/refund"];
    for page in only_seen.into_iter().chain(typed) {
        let shown = owner.get(&whose(page));
        let here = whose(page).replace('&', "&#38;");
        assert!(shown.has(&format!("<a href=\"{here}\">as of ")), "{page}: {}", shown.html);
        assert!(shown.has(" – Warung Jaya</title>") && !shown.has("<script"), "{page}: {}", shown.html);
        assert!(only_seen.contains(&page) || shown.header("refresh").is_empty(), "{page}");
    }
    // Of two shops on one phone, each says which it is before anybody is in.
    for page in ["/login", "/nowhere"] {
        wait_for("the shop's name", || desk.visitor().get(page).has(" – Warung Jaya</title>").then_some(()));
    }
}
