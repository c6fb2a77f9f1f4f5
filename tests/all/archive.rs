//! Orders that are over go from the books into a file, beside a running `serve`. What is archived is found there, and nothing of it is
//! used once more.

use crate::rig::clock::at_another_time;
use crate::rig::midtrans::notification;
use crate::rig::people::{Desk, PASSWORD};
use crate::rig::postgres::Postgres;
use crate::rig::shop::{Options, Program, Shop, new_request_id};
use crate::rig::{command, output, output_text, wait_for};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Output;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// A month passes.
fn age(shop: &Shop) {
    let books = Connection::open(shop.path().join("orders.db")).expect("the books");
    let sql = "UPDATE orders SET created_ms = created_ms - ?1, settled_ms = settled_ms - ?1";
    books.execute(sql, [30 * DAY_MS]).expect("written");
}

/// A fortnight ago.
fn fortnight() -> String {
    let day = output(command("date").args(["-u", "-d", "14 days ago", "+%F"]));
    String::from_utf8(day.stdout).expect("text").trim().into()
}

fn archive(shop: &Shop, name: &str) -> (PathBuf, Output) {
    // Midtrans was asked for the last time what became of those that ended unpaid. A notification may have raised that question after
    // they were made older.
    let books = Connection::open(shop.path().join("orders.db")).expect("the books");
    books.execute("UPDATE orders SET due_ms = NULL WHERE state = 'closed'", []).expect("written");
    drop(books);
    let file = shop.path().join(name);
    let done = shop.merchant(&["archive", "--before", &fortnight(), file.to_str().expect("text")]);
    (file, done)
}

#[test]
fn what_is_archived_is_found_there_and_guards_what_it_used() {
    let shop = Shop::merchants_side();
    let body = shop.order_body(&new_request_id());
    let order = shop.post_order(&body).json();
    let sold = order["order_id"].as_str().expect("an id").to_owned();
    shop.midtrans.pay(&sold, crate::rig::midtrans::Via::Gopay);
    shop.wait_order(&sold, "paid", |order| order["receipt"].as_str().map(|_| ()));
    assert_eq!(shop.post_to(&sold, "outcome", &json!({ "outcome": "dispensed" })).status, 200);
    // A refund is due, a machine has told nothing, somebody may still pay: none of them is over.
    let cancelled = shop.charged();
    assert_eq!(shop.post_to(&cancelled, "cancel", &json!({})).status, 200);
    shop.wait_status(&cancelled, "cancel");
    let (due, unreported, open) = (shop.reported("undelivered"), shop.paid(), shop.charged());
    // Those of the simulated Midtrans may be on their way. After these and the questions about them, they are no news.
    for (id, status) in [(&sold, "settlement"), (&cancelled, "cancel")] {
        assert_eq!(shop.notify(&notification(id, "200", "5000.00", status)).status, 200);
        wait_for("the last question for now", || {
            let books = Connection::open(shop.path().join("orders.db")).expect("the books");
            let sql = "SELECT due_ms IS NULL OR due_ms > (unixepoch() + 60) * 1000 FROM orders WHERE order_id = ?1";
            books.query_row(sql, [id], |row| row.get::<_, bool>(0)).expect("read").then_some(())
        });
    }
    age(&shop);
    let young = shop.reported("dispensed");

    let late = shop.merchant(&["archive", "--before", "2099-01-01", "/nowhere/archive.db"]);
    assert!(late.status.code() == Some(2) && output_text(&late).contains("at least a week ago"), "{}", output_text(&late));
    // By a clock that is ahead the young one is old, too. The time that `serve` has trusted counts.
    let mut ahead = at_another_time(shop.program_command(Program::Backend), "+90d");
    let today = output(command("date").args(["-u", "+%F"]));
    let ahead = output(ahead.args(["archive", "--before", String::from_utf8_lossy(&today.stdout).trim(), "/nowhere/archive.db"]));
    assert!(ahead.status.code() == Some(2) && output_text(&ahead).contains("has trusted"), "{}", output_text(&ahead));
    let (file, done) = archive(&shop, "archive.db");
    assert!(done.status.success() && output_text(&done).contains("2 orders taken out of the books"), "{}", output_text(&done));
    assert!(output_text(&done).contains("used by new orders"), "serve runs: {}", output_text(&done));
    let (_, again) = archive(&shop, "archive.db");
    assert!(output_text(&again).contains("nothing to archive"), "{}", output_text(&again));
    let name = file.to_str().expect("text");

    // Found there, and the books say where.
    let whole = shop.merchant(&["orders", &sold, "--archive", name]);
    assert!(
        output_text(&whole).contains("outcome      dispensed") && output_text(&whole).contains("ordered: charging"),
        "{}",
        output_text(&whole)
    );
    let gone = shop.merchant(&["orders", &sold]);
    assert!(gone.status.code() == Some(1) && output_text(&gone).contains(&format!("in {name}")), "{}", output_text(&gone));
    let list = output_text(&shop.merchant(&["orders"]));
    assert!([&due, &unreported, &open, &young].iter().all(|id| list.contains(id.as_str())) && !list.contains(&sold), "{list}");
    assert!(output_text(&shop.merchant(&["orders", &young, "--archive", name])).contains("there is no order"));
    let day = output(command("date").args(["-u", "-d", "31 days ago", "+%F"]));
    let day = String::from_utf8(day.stdout).expect("text");
    let report = shop.merchant(&["report", "--date", day.trim(), "--until", &fortnight()]);
    assert!(output_text(&report).contains("1 orders of these days are archived"), "{}", output_text(&report));

    // The request, the ticket and the transaction are used.
    let problem = |answer: crate::rig::http::HttpAnswer, status: u16, code: &str| {
        assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{}", answer.text());
        answer.json()
    };
    problem(shop.post_order(&body), 409, "reused_id");
    let mut other = shop.order_body(&new_request_id());
    other["ticket"] = body["ticket"].clone();
    let refused = problem(shop.post_order(&other), 409, "reused_id");
    assert_eq!(refused["errors"][0]["field"], "ticket", "{refused}");
    // It is known: nobody is asked about it, and a machine need not go on telling.
    let asked = shop.midtrans.calls("status", &sold).len();
    let absent = problem(shop.backend_get(&format!("/v1/orders/{sold}")), 404, "unknown_request");
    assert_eq!((&absent["order_id"], &absent["detail"]), (&json!(sold), &json!("this order is archived: it is over")));
    let told_again = problem(shop.post_to(&sold, "outcome", &json!({ "outcome": "dispensed" })), 409, "reused_id");
    assert_eq!(told_again["order_id"], json!(sold));
    let backend = shop.backend.as_ref().expect("started");
    backend.wait_line(&format!("order {sold}: outcome dispensed was told, but the outcome in its archive stands"));
    for status in ["settlement", "expire", "chargeback"] {
        assert_eq!(shop.notify(&notification(&sold, "200", "5000.00", status)).status, 200, "{status}");
    }
    backend.wait_line(&format!("order {sold} is archived, but there is news of it: the gateway says chargedback"));
    // One that was not paid may be, all the same.
    assert_eq!(shop.notify(&notification(&cancelled, "200", "5000.00", "settlement")).status, 200);
    backend.wait_line(&format!("order {cancelled} is archived, but there is news of it: the gateway says settled"));
    assert!(!backend.text().contains(&format!("order {sold} is archived, but there is news of it: the gateway says settled")));
    let reconciled = shop.merchant(&["reconcile", "--order", &sold]);
    assert!(output_text(&reconciled).contains("1 are archived, and not asked about"), "{}", output_text(&reconciled));
    assert_eq!(shop.midtrans.calls("status", &sold).len(), asked);
    assert!(output_text(&shop.merchant(&["orders", &sold])).contains("was archived"), "not rebuilt");
    // And it sells on.
    shop.reported("dispensed");
    assert!(shop.merchant(&["backup", shop.path().join("backup.db").to_str().expect("text")]).status.success());
}

#[test]
fn orders_are_archived_while_others_are_sold_and_their_room_comes_back() {
    let mut shop = Shop::merchants_side();
    let sold: Vec<String> = (0..20).map(|_| shop.reported("dispensed")).collect();
    age(&shop);
    let file = shop.path().join("archive.db");
    let mut running = shop.program_command(crate::rig::shop::Program::Backend);
    let mut running = running.args(["archive", "--before", &fortnight(), file.to_str().expect("text")]).spawn().expect("it starts");
    let mut made: Vec<Value> = Vec::new();
    while running.try_wait().expect("a child").is_none() {
        made.push(shop.charge());
    }
    assert!(running.wait().expect("a child").success());
    for id in &sold {
        assert!(shop.merchant(&["orders", id, "--archive", file.to_str().expect("text")]).status.success(), "{id}");
        assert!(!shop.merchant(&["orders", id]).status.success(), "{id}");
    }
    for order in &made {
        assert_eq!(shop.order_at_backend(order["order_id"].as_str().expect("an id"))["status"], "pending");
    }
    // Without `serve` the file of the books becomes smaller.
    for _ in 0..20 {
        shop.reported("dispensed");
    }
    age(&shop);
    shop.kill_backend();
    let size = |shop: &Shop| std::fs::metadata(shop.path().join("orders.db")).expect("there").len();
    let pages = Connection::open(shop.path().join("orders.db")).expect("the books");
    pages.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("copied");
    drop(pages);
    let before = size(&shop);
    let (_, done) = archive(&shop, "second.db");
    assert!(
        output_text(&done).contains("20 orders taken out of the books") && output_text(&done).contains("is given back"),
        "{}",
        output_text(&done)
    );
    assert!(size(&shop) + 20 * 3000 < before, "{before}, then {}", size(&shop));
    shop.start_backend();
    shop.reported("dispensed");
}

#[test]
fn what_is_over_leaves_postgresql_for_a_file_too() {
    let server = Postgres::start(&[]);
    let store = Some(format!("url = \"{}\"", server.url()));
    let shop = Shop::open(Options { machine: false, store, ..Options::default() });
    let sold: Vec<String> = (0..60).map(|_| shop.reported("dispensed")).collect();
    let due = shop.reported("undelivered");
    server.ask(&format!("UPDATE orders SET created_ms = created_ms - {0}, settled_ms = settled_ms - {0}", 30 * DAY_MS));
    let young = shop.reported("dispensed");
    let file = shop.path().join("archive.db");
    let name = file.to_str().expect("text");
    let done = shop.merchant(&["archive", "--before", &fortnight(), name]);
    assert!(output_text(&done).contains("60 orders taken out of the books"), "{}", output_text(&done));
    for id in &sold {
        let whole = shop.merchant(&["orders", id, "--archive", name]);
        assert!(output_text(&whole).contains("outcome      dispensed"), "{}", output_text(&whole));
    }
    let gone = output_text(&shop.merchant(&["orders", &sold[0]]));
    assert!(gone.contains(&format!("in {name}")), "{gone}");
    let left = server.ask("SELECT string_agg(order_id, ' ' ORDER BY created_ms) FROM orders");
    assert_eq!(left, format!("{due} {young}"));
    assert_eq!(server.ask("SELECT count(*) FROM archived JOIN archives USING (archive)"), "60");
    assert_eq!(server.ask("SELECT count(*) FROM history WHERE order_id NOT IN (SELECT order_id FROM orders)"), "0");
    assert_eq!(shop.backend_get(&format!("/v1/orders/{}", sold[0])).status, 404);
    shop.reported("dispensed");
}

#[test]
fn the_desk_says_what_is_archived_and_its_people_stay() {
    the_desk_goes_on(None);
}

#[test]
fn the_desk_on_postgresql_says_what_is_archived_and_its_people_stay() {
    the_desk_goes_on(Some(&Postgres::start(&[])));
}

fn the_desk_goes_on(server: Option<&Postgres>) {
    let store = server.map(|server| format!("url = \"{}\"", server.url()));
    let desk = Desk::open_with(Options { machine: false, store, ..Options::default() });
    let shop = &desk.shop;
    let (sari, link) = (desk.person("Sari", "owner"), format!("/join/{}", desk.add("Budi", "viewer")));
    let [sold, failed] = ["dispensed", "failed"].map(|outcome| shop.reported(outcome));
    let by_hand = format!("/orders/{failed}/by_hand");
    let settle = sari.get(&by_hand).fields(&by_hand, 0);
    assert_eq!(sari.submit(&by_hand, &by_hand, &[("note", "cash, receipt 12")]).status, 303);
    let log = || {
        let page = sari.get("/log").html;
        page.split_once("<ul class=\"lines\">").unwrap_or_else(|| panic!("no log in {page}")).1.to_owned()
    };
    let noted = log();
    assert!(noted.contains("cash, receipt 12"), "{noted}");
    match server {
        None => age(shop),
        Some(server) => {
            server.ask(&format!("UPDATE orders SET created_ms = created_ms - {0}, settled_ms = settled_ms - {0}", 30 * DAY_MS));
        }
    }
    let young = shop.reported("dispensed");
    let done = shop.merchant(&["archive", "--before", &fortnight(), shop.path().join("archive.db").to_str().expect("text")]);
    assert!(output_text(&done).contains("2 orders taken out of the books"), "{}", output_text(&done));

    // Her session, the log and a link that nobody has used yet.
    assert_eq!(log(), noted);
    let budi = desk.visitor();
    assert_eq!(budi.submit(&link, &link, &[("password", PASSWORD), ("again", PASSWORD)]).status, 303);
    assert_eq!(budi.get("/").status, 200);
    // Whoever looks for an archived order reads that it is one: by its number, by the first letters, in a form of before.
    for address in [format!("/orders/{sold}"), format!("/orders/{}", &sold[..6]), format!("/orders/{failed}/refund")] {
        let page = sari.get(&address);
        assert!(page.status == 410 && page.has("This order is archived"), "{address}: {} {}", page.status, page.html);
    }
    let fields: Vec<_> = settle.iter().map(|(name, value)| (&**name, &**value)).chain([("note", "once more")]).collect();
    let late = sari.post(&by_hand, &[], &fields);
    assert!(late.status == 410 && late.has("This order is archived"), "{} {}", late.status, late.html);
    let found = sari.get(&format!("/orders?q={}", &failed[..6]));
    assert!(found.has("over and archived") && !found.has("No order fits"), "{}", found.html);
    assert!(sari.get(&format!("/orders?q={young}")).has(&young));
    let days = [30, 31].map(|ago| {
        let day = output(command("date").args(["-u", "-d", &format!("{ago} days ago 7 hours"), "+%F"]));
        sari.get(&format!("/report?day={}", String::from_utf8(day.stdout).expect("text").trim())).html
    });
    assert!(days.iter().any(|page| page.contains("archived are not in here: 2.")), "{days:?}");
    assert!(!sari.get("/report").has("archived are not in here"));
}
