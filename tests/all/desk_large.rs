//! The desk of a large shop: each of its lists has so many rows, and leads to the others. And whoever is slow with it keeps nobody out.

use crate::rig::people::{Desk, Visitor};
use crate::rig::shop::{Shop, new_request_id};
use crate::rig::{PATIENCE, wait_for};
use qris::host::descriptors;
use qris::wire::desk::ROWS;
use qris::wire::status::FaultCode;
use rusqlite::{Connection, params};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::sleep;

const MACHINES: usize = 500;
/// Those that want to be filled, and their slots.
const WANTING: usize = 60;
const SLOTS: usize = 30;
/// The slots of one machine, and the kinds of goods that were sold.
const MANY: usize = 1000;

/// A name of the greatest length, with what HTML has another word for.
fn long(text: &str, number: usize, length: usize) -> String {
    format!("{text} <{number}> & \"{}", "panjang sekali ".repeat(6)).chars().take(length).collect()
}

fn database(shop: &Shop, name: &str) -> Connection {
    let database = Connection::open(shop.path().join(name)).expect("a database");
    database.busy_timeout(PATIENCE).expect("set");
    database.execute_batch("BEGIN IMMEDIATE").expect("begun");
    database
}

fn slot(number: usize) -> serde_json::Value {
    json!({"item": format!("A{number}"), "name": long("Minuman", number, 50), "count": 0, "capacity": 10, "low": 2, "sold": 10})
}

/// Machines with long names and several faults each, all silent; some of them sold out.
fn machines(shop: &Shop) {
    let database = database(shop, "devices.db");
    let faults = FaultCode::ALL.iter().take(4).map(FaultCode::as_str).collect::<Vec<_>>().join(" ");
    for number in 1..=MACHINES {
        let device = format!("vm-{number:03}");
        let insert = "INSERT OR IGNORE INTO devices (id, token_hash, added_ms, sum) VALUES (?1, ?1, 0, '')";
        database.execute(insert, params![device]).expect("let in");
        let insert =
            "INSERT OR REPLACE INTO presence (device, is_there, since_ms, name, version, faults) VALUES (?1, 0, 1, ?2, '0.1.0', ?3)";
        database.execute(insert, params![device, long("Lobi", number, 64), faults]).expect("noted");
        let slots: Vec<_> = match number {
            1 => (1..=MANY).map(slot).collect(),
            // Each machine has other goods than the next.
            2..=WANTING => (1..=SLOTS).map(|slot_of| slot(number * SLOTS + slot_of)).collect(),
            _ => continue,
        };
        let insert = "INSERT OR REPLACE INTO stock (device, stream, number, at_ms, low, sold_out, suspect, blocked, price, uncounted, slots) VALUES (?1, 's', 1, 1, 0, ?2, 0, 0, 0, 0, ?3)";
        database.execute(insert, params![device, slots.len() as i64, json!(slots).to_string()]).expect("told");
    }
    database.execute_batch("COMMIT").expect("committed");
}

/// Many kinds of goods were sold today, with each end. And a person has much in the log, many devices, and an order with a long history.
fn books(shop: &Shop, order: &str) {
    let database = database(shop, "orders.db");
    database.execute("CREATE TEMP TABLE copy AS SELECT * FROM orders WHERE order_id = ?1", [order]).expect("one");
    let quiet =
        "UPDATE copy SET is_open = 0, refund_due = 0, attention = 0, look_by_ms = NULL, due_ms = NULL, created_ms = 0, proof = NULL";
    database.execute(quiet, []).expect("one");
    for number in 0..MANY {
        for end in ["delivered", "refund_due", "refunded", "uncertain"] {
            let change = "UPDATE copy SET order_id = ?1, request_id = ?1, ticket = ?1, goods = ?2, ended = ?3";
            database.execute(change, params![format!("copy{number}{end}"), long("Minuman", number, 50), end]).expect("one");
            database.execute("INSERT INTO orders SELECT * FROM copy", []).expect("one more");
        }
    }
    for number in 0..400 {
        let insert = "INSERT INTO history (order_id, at_ms, event) VALUES (?1, ?2, ?3)";
        database.execute(insert, params![order, number as i64, long("told", number, 120)]).expect("a line");
        let insert = "INSERT INTO desk_log (at_ms, person, who, address, what, order_id, detail) VALUES (?1, 1, ?2, '2001:db8::1:2:3:4', 'by_hand', ?3, ?4)";
        database.execute(insert, params![number as i64, long("Sari", number, 40), order, long("tunai", number, 200)]).expect("a line");
    }
    for number in 0..19 {
        let insert = "INSERT INTO sessions (person, secret_hash, began_ms, proven_ms, used_ms, address, browser, door)
            SELECT person, ?1, began_ms, proven_ms, used_ms, '2001:db8::1:2:3:4', 'Samsung Internet, Android', door FROM sessions LIMIT 1";
        database.execute(insert, [format!("{number}")]).expect("a session");
    }
    database.execute_batch("COMMIT").expect("committed");
}

/// All pages of a list, one after the other. Each has so many of these rows at most.
fn pages(sari: &Visitor, first: &str, row: &str) -> String {
    let (mut at, mut all) = (first.to_owned(), String::new());
    loop {
        let page = sari.get(&at);
        assert_eq!(page.status, 200, "{at}: {}", page.html);
        let rows = page.html.matches(row).count();
        assert!(rows <= ROWS, "{at}: {rows} rows");
        all += &page.html;
        let next = page.html.split("rel=\"next\" href=\"").nth(1).and_then(|rest| rest.split('"').next());
        match next {
            Some(next) => at = next.replace("&#38;", "&"),
            None => return all,
        }
    }
}

/// What stands between these two, each time; none of it twice.
fn each<'a>(html: &'a str, before: &str, behind: char) -> BTreeSet<&'a str> {
    let found: Vec<_> = html.split(before).skip(1).filter_map(|rest| rest.split(behind).next()).collect();
    let different: BTreeSet<_> = found.iter().copied().collect();
    assert_eq!(found.len(), different.len(), "{before}");
    different
}

#[test]
fn each_list_of_a_large_shop_has_so_many_rows_and_nothing_is_lost_between_two_pages() {
    let mut desk = Desk::open();
    let joined = desk.person("Sari", "owner");
    let orders: Vec<_> = (0..ROWS + 5)
        .map(|number| {
            let mut body = desk.shop.order_body(&new_request_id());
            (body["description"], body["machine"]) = (long("Teh", number, 50).into(), long("Lobi", number, 64).into());
            let answer = desk.shop.post_order(&body);
            assert_eq!(answer.status, 201, "{}", answer.text());
            let order = answer.json()["order_id"].as_str().expect("an id").to_owned();
            desk.shop.midtrans.pay(&order, crate::rig::midtrans::Via::Gopay);
            desk.shop.wait_order(&order, "its receipt", |order| order["receipt"].as_str().map(|_| ()));
            let told = json!({ "outcome": "failed", "proof": desk.shop.proof(&order, "failed") });
            assert_eq!(desk.shop.post_to(&order, "outcome", &told).status, 200);
            order
        })
        .collect();
    let (first, last) = (&orders[0], &orders[ROWS + 4]);
    desk.shop.kill_backend();
    machines(&desk.shop);
    books(&desk.shop, first);
    desk.shop.start_backend();
    // The desk has closed the connection that was not used meanwhile.
    let mut sari = Visitor { cookies: joined.cookies.clone(), ..desk.visitor() };
    for language in ["id", "en"] {
        sari.language = language;
        const CARD: &str = "<li class=\"card";
        const SLOT: &str = "</th><td data-is=";
        const NAME: &str = "<tr><th scope=\"row\">";
        for page in ["/", "/sessions", "/report?by=machine", "/report?by=day", "/orders?q=5.000", &format!("/orders/{last}")] {
            pages(&sari, page, CARD);
        }
        let all = pages(&sari, "/machines", CARD);
        assert_eq!(each(&all, "href=\"/machines/vm-", '"').len(), MACHINES);
        let all = pages(&sari, "/machines/vm-001", SLOT);
        assert_eq!(all.matches(SLOT).count(), MANY);
        // The slots of a machine stand together.
        let all = pages(&sari, "/bring", "</th><td class=\"n\">");
        assert_eq!(all.matches(SLOT).count(), MANY + (WANTING - 1) * SLOTS);
        // More kinds of goods than are told apart have one sum.
        assert_eq!(all.matches("</th><td class=\"n\">").count(), 1001);
        let all = pages(&sari, "/report?by=item", "Minuman &#60;");
        // Two names of the orders above are in it, too.
        assert!(each(&all.replace(&format!("<tfoot>{NAME}"), ""), NAME, '/').len() >= MANY);
        let all = pages(&sari, "/orders", CARD);
        assert_eq!(each(&all, "<h3><a href=\"/orders/", '"').len(), orders.len());
        // The first page has the most urgent ones, and leads to all.
        let today = pages(&sari, "/", CARD);
        assert!(each(&today, "<h3><a href=\"/orders/", '"').len() < orders.len() && today.contains("href=\"/orders?wanting=true\""));
        let all = pages(&sari, "/orders?wanting=true", CARD);
        assert_eq!(each(&all, "<h3><a href=\"/orders/", '"').len(), orders.len());
        let all = pages(&sari, "/log", "<li><b>");
        assert!(all.matches("tunai").count() == 400 && all.contains("chose a password") || language == "id");
        let all = pages(&sari, &format!("/orders/{first}"), "</span> told &#60;");
        assert_eq!(all.matches("</span> told &#60;").count(), 400);
    }
}

/// Most pages are there within this time, and each within the other. A second is what is wanted; this computer may be busy with other
/// tests, and a connection that found no place in the queue asks again seconds later.
const SOON: Duration = Duration::from_secs(15);
const LATEST: Duration = Duration::from_secs(60);
/// What the desk's program never takes more of, in KiB.
const MEMORY_KIB: u64 = 64 << 10;
/// Bad connections of one kind.
const BAD: usize = 1000;

/// What a bad client says: its beginning, and what follows without end.
const KINDS: [(&str, &str, &str); 4] = [
    ("nothing", "", ""),
    ("a head, drop by drop", "GET /login HTTP/1.1\r\nHost: x\r\nX-Slow: ", "x"),
    (
        "a form, drop by drop",
        "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 16000\r\n\r\n",
        "x",
    ),
    ("questions, and never a look at an answer", "", "GET /login HTTP/1.1\r\nHost: x\r\n\r\n"),
];

async fn bad(port: u16, (_, beginning, more): (&str, &str, &str), came: Arc<AtomicUsize>) {
    let socket = TcpSocket::new_v4().expect("a socket");
    // Little fits into what nobody reads.
    socket.set_recv_buffer_size(4096).expect("set");
    let mut stream: TcpStream = socket.connect(([127, 0, 0, 1], port).into()).await.expect("a connection");
    came.fetch_add(1, Ordering::Relaxed);
    let mut written = stream.write_all(beginning.as_bytes()).await;
    while written.is_ok() && !more.is_empty() {
        written = stream.write_all(more.as_bytes()).await;
        // Questions come as fast as they are taken.
        sleep(Duration::from_millis(if more.len() == 1 { 200 } else { 0 })).await;
    }
    if more.is_empty() {
        std::future::pending::<()>().await;
    }
}

#[test]
fn whoever_is_slow_keeps_nobody_out_of_the_desk() {
    let desk = Desk::open();
    let sari = desk.person("Sari", "owner");
    assert!(descriptors::allow(12_000).expect("a limit") == 12_000, "this test needs a hard limit of 12,000 descriptors (ulimit -Hn)");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    for kind in KINDS {
        let came = Arc::<AtomicUsize>::default();
        for _ in 0..BAD {
            runtime.spawn(bad(desk.port, kind, Arc::clone(&came)));
        }
        let mut took = Vec::new();
        let look = || {
            // As a web server does it, on a connection of its own.
            let visitor = Visitor { cookies: sari.cookies.clone(), ..desk.visitor() };
            let begun = Instant::now();
            let page = visitor.get("/");
            assert!(page.status == 200 && page.has("</html>"), "{}: {}", kind.0, page.html);
            begun.elapsed()
        };
        wait_for("all of them", || {
            took.push(look());
            (came.load(Ordering::Relaxed) == BAD).then_some(())
        });
        took.extend((0..10).map(|_| look()));
        took.sort();
        println!("{}: {} pages, the slowest after {:?}", kind.0, took.len(), took[took.len() - 1]);
        assert!(took[took.len() / 2] < SOON && took[took.len() - 1] < LATEST, "{}: {took:?}", kind.0);
    }
    let most = desk.desk.as_ref().expect("it runs").most_resident_kib();
    println!("at most {} MiB of memory", most >> 10);
    assert!(most < MEMORY_KIB, "{most} KiB");
}
