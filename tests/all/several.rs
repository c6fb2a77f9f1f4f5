//! Several processes of the backend on one PostgreSQL, behind one address. News goes out once and in order. Clocks may be wrong. A
//! process that is told to end hands over what it has begun.

use crate::rig::clock::at_another_time;
use crate::rig::http::{Http, HttpAnswer};
use crate::rig::link::{Cable, Link};
use crate::rig::midtrans::{Via, notification};
use crate::rig::postgres::Postgres;
use crate::rig::process::Process;
use crate::rig::shop::{Options, Program, Shop};
use crate::rig::{output, stdout, wait_for};
use crate::two_backends::{second, second_command, second_started_by};
use qris::wire::vend::EventState;
use serde_json::{Value, json};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Orders whose news is published by two at once, if nobody sees to it that it is not.
const ORDERS: usize = 24;

/// Nobody waits for longer, whatever one process does.
const AT_MOST: Duration = Duration::from_secs(15);

fn on(server: &Postgres) -> Options {
    Options { machine: false, store: Some(format!("url = \"{}\"", server.url())), ..Options::default() }
}

/// Over a cable to the server.
fn over(link: &Link) -> Options {
    let store = Some(format!("url = \"postgres://postgres@127.0.0.1:{}/postgres\"", link.port));
    Options { machine: false, store, ..Options::default() }
}

/// Each process is told of another half of the payments, in the same moments.
#[test]
fn news_goes_out_once_and_in_order() {
    let server = Postgres::start(&[]);
    let shop = Shop::open(on(&server));
    let (_second, other) = second(&shop);
    shop.midtrans.fault(&json!({"fault": "drop_notification", "count": ORDERS}));
    let orders: Vec<String> = (0..ORDERS).map(|_| shop.charged()).collect();
    for order_id in &orders {
        shop.midtrans.pay(order_id, Via::Gopay);
    }
    std::thread::scope(|scope| {
        for (number, order_id) in orders.iter().enumerate() {
            let url = if number % 2 == 0 { &shop.backend_url } else { &other };
            scope.spawn(move || {
                let told = notification(order_id, "200", "5000.00", "settlement");
                let answer = Http::new().post(&format!("{url}/midtrans/notifications"), None, &[], &told);
                assert_eq!(answer.status, 200, "{}", answer.text());
            });
        }
    });
    wait_for("all of the news at the broker", || {
        let left = server.ask("SELECT count(*) FROM receipts") == ORDERS.to_string() && server.ask("SELECT count(*) FROM outbox") == "0";
        left.then_some(())
    });
    // Nothing is under way now: the last one comes behind all others.
    let last = shop.paid();
    let is_news = |topic: &str| topic.ends_with("/payment/update");
    let named = |message: &crate::rig::tap::Message| message.json()["order_id"].as_str().expect("an id").to_owned();
    shop.tap.wait_from(0, "the last news", |message| (is_news(&message.topic) && named(message) == last).then_some(()));
    let told: Vec<String> = shop.tap.messages().iter().filter(|message| is_news(&message.topic)).map(named).collect();
    let written = server.ask("SELECT order_id FROM history WHERE event LIKE '%: settled' ORDER BY seq");
    assert_eq!(told, written.lines().collect::<Vec<_>>());
    // Whoever had the turn gives it back with the last answer of the broker, which comes after the message.
    wait_for("an empty outbox", || (server.ask("SELECT count(*) FROM outbox") == "0").then_some(()));
    // Whoever had the turn to publish may hang. Its turn ends, and nobody publishes before another one has it.
    server.ask("INSERT INTO outbox_turn VALUES (1, 'hangs', 1000 * extract(epoch FROM now()) + 5000)");
    let after = shop.paid();
    shop.tap.wait_from(0, "news after the turn", |message| (is_news(&message.topic) && named(message) == after).then_some(()));
    assert_eq!(server.ask("SELECT count(*) FROM outbox_turn WHERE who = 'hangs'"), "0");
}

/// One process is five minutes ahead, and one five minutes behind. Neither takes what the other one has just begun, and each takes what the
/// other one has given up.
#[test]
fn a_clock_that_is_wrong_costs_nothing() {
    let server = Postgres::start(&[]);
    let mut shop = Shop::open(on(&server));
    shop.backend.take().expect("it runs").terminate();
    shop.start_as(Program::Backend, &mut at_another_time(shop.service(Program::Backend), "+300s"));
    let (behind, other) = second_started_by(&shop, |start| at_another_time(start, "-300s"));
    let urls = [shop.backend_url.clone(), other];
    for (asks, looks) in [(0, 1), (1, 0)] {
        let order_id = shop.charged();
        shop.midtrans.fault(&json!({"fault": "drop_notification", "count": 1}));
        shop.midtrans.fault(&json!({"fault": "hang", "on": "status", "order_id": order_id, "count": 1}));
        shop.midtrans.pay(&order_id, Via::Gopay);
        let told = notification(&order_id, "200", "5000.00", "settlement");
        let notify = |at: usize| shop.http.post(&format!("{}/midtrans/notifications", urls[at]), None, &[], &told).status;
        assert_eq!(notify(asks), 200);
        shop.midtrans.wait_held(1);
        // The other one is told too, and works on: it asks about a second order, and the first one is not its business.
        assert_eq!(notify(looks), 200);
        let second = shop.paid();
        let calls = shop.midtrans.calls("status", &order_id).len();
        assert_eq!((calls, second == order_id), (1, false), "{asks} asks, and {looks} does, too");
        shop.midtrans.release();
        shop.wait_status(&order_id, "settlement");
    }
    // Both wrote the time of the server.
    let wrong = "SELECT count(*) FROM orders WHERE abs(created_ms - 1000 * extract(epoch FROM now())) > 120000";
    assert_eq!(server.ask(wrong), "0");
    let late = "SELECT count(*) FROM history WHERE abs(at_ms - 1000 * extract(epoch FROM now())) > 120000";
    assert_eq!(server.ask(late), "0");
    let doctor = stdout(&output(at_another_time(shop.program_command(Program::Backend), "+300s").arg("doctor")));
    assert!(doctor.lines().any(|line| line.starts_with("BAD   clock") && line.contains("ahead of the database's clock")), "{doctor}");
    // The one that is ahead dies. The one behind does not wait for minutes.
    let order_id = shop.charged();
    shop.midtrans.fault(&json!({"fault": "drop_notification", "count": 1}));
    shop.midtrans.fault(&json!({"fault": "hang", "on": "status", "order_id": order_id, "count": 1}));
    shop.midtrans.pay(&order_id, Via::Gopay);
    assert_eq!(shop.notify(&notification(&order_id, "200", "5000.00", "settlement")).status, 200);
    shop.midtrans.wait_held(1);
    shop.backend.take().expect("it runs").kill();
    wait_for("the settlement at the other process", || {
        let answer = shop.http.get(&format!("{}/v1/orders/{order_id}", urls[1]), Some(&shop.token));
        (answer.json()["status"] == "settlement").then_some(())
    });
    assert_eq!(server.ask("SELECT count(*) || ' of ' || count(DISTINCT transaction_id) FROM receipts"), "5 of 5");
    drop(behind);
}

/// Two long polls of the machine, which are open.
fn two_polls(shop: &Shop, url: &str) -> Vec<JoinHandle<HttpAnswer>> {
    let open = || {
        let (url, token) = (format!("{url}?wait=60"), shop.token.clone());
        // The one that looks may have its place.
        let poll = move || Some(Http::new().get(&url, Some(&token))).filter(|answer| answer.status != 429);
        std::thread::spawn(move || wait_for("a poll", &poll))
    };
    let polls = vec![open(), open()];
    // A third one finds that two are open.
    wait_for("the polls at the backend", || {
        let third = shop.http.get(&format!("{url}?wait=1"), Some(&shop.token));
        (third.status == 429).then_some(())
    });
    polls
}

/// The database tells nothing any more. Who waits looks again, long before its time is over.
#[test]
fn a_long_poll_ends_although_nobody_tells_it() {
    let server = Postgres::start(&[]);
    let shop = Shop::open(on(&server));
    let (_second, other) = second(&shop);
    server.ask("DROP TRIGGER orders_tell ON orders");
    let order_id = shop.charged();
    let polls = two_polls(&shop, &format!("{other}/v1/orders/{order_id}"));
    let paid = Instant::now();
    shop.midtrans.pay(&order_id, Via::Gopay);
    for poll in polls {
        assert_eq!(poll.join().expect("no panic").json()["status"], "settlement");
    }
    assert!(paid.elapsed() < Duration::from_secs(40), "they were answered at the end of their 60 s, after {:?}", paid.elapsed());
}

/// A server without a free place turns away who comes. Who is there goes on. Who loses its places tells machines so, and goes on when there
/// are some.
#[test]
fn a_database_that_is_full_turns_away_only_who_comes() {
    let server = Postgres::start(&["max_connections=12", "client_connection_check_interval=100ms"]);
    let link = Link::to(server.port);
    let mut shop = Shop::open(Options { machine: true, ..over(&link) });
    shop.sell("A1", Via::Gopay);
    let doctor = shop.merchant(&["doctor"]);
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.lines().any(|line| line.starts_with("WARN") && line.contains("free places for connections")), "{said}");
    let full = server.fill();
    let turned_away = shop.merchant(&["orders"]);
    let why = String::from_utf8_lossy(&turned_away.stderr).into_owned();
    assert!(!turned_away.status.success() && why.contains("too many clients already"), "{why}");
    shop.sell("A1", Via::Gopay);
    let offered = shop.offer("A1");
    link.set(Cable::Cut);
    // The server may notice only later that the backend has left its places.
    let mut its_own = Vec::new();
    wait_for("a server whose 12 places we have", || {
        its_own.extend(server.fill());
        (full.len() + its_own.len() == 12).then_some(())
    });
    link.set(Cable::Whole);
    let began = Instant::now();
    let refused = shop.post_order(&shop.order_body("no-place"));
    assert_eq!((refused.status, refused.json()["code"].clone()), (503, json!("store")), "{}", refused.text());
    assert!(began.elapsed() < AT_MOST, "a machine waited for {:?}", began.elapsed());
    // Whoever met the cut first has told: a call, or what is written down now and then.
    shop.backend.as_ref().expect("it runs").wait_line("the database of orders cannot be");
    shop.pay(Via::Gopay);
    drop((full, its_own));
    shop.wait_state(&offered, EventState::Dispensed);
    wait_for("a free place", || shop.merchant(&["orders"]).status.success().then_some(()));
    // One that is started anew finds its places.
    shop.backend.take().expect("it runs").terminate();
    shop.start_backend();
    shop.sell("A1", Via::Gopay);
    shop.check_books();
}

/// It writes, and has the lock of all writers. Then it loses its database, or it hangs. The server throws it out, and the other one goes on.
#[test]
fn who_is_lost_while_it_writes_holds_up_nobody_for_long() {
    let server = Postgres::start(&[]);
    let link = Link::to(server.port);
    let shop = Shop::open(over(&link));
    let (mut start, port) = second_command(&shop);
    let config = shop.path().join("backend-2.toml");
    let text = std::fs::read_to_string(&config).expect("there");
    std::fs::write(&config, text.replace(&format!(":{}/postgres", link.port), &format!(":{}/postgres", server.port))).expect("written");
    let _second = Process::start_service("second-backend", &mut start, shop.path());
    let other = format!("http://127.0.0.1:{port}");
    let order = |url: &str, body: &Value| {
        let key = body["request_id"].as_str().expect("an id");
        Http::new().post(&format!("{url}/v1/orders"), Some(&shop.token), &[("Idempotency-Key", key)], body)
    };
    server.ask(
        "CREATE TABLE go_on (request_id TEXT); CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             WHILE NEW.request_id LIKE 'slow-%' AND NOT EXISTS (SELECT FROM go_on WHERE request_id = NEW.request_id) LOOP
                 PERFORM pg_sleep(0.1);
             END LOOP; RETURN NEW;
         END $$; CREATE TRIGGER linger BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION linger()",
    );
    let sessions =
        |of: &str| server.ask(&format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'qris-backend' AND {of}"));
    let first = shop.backend.as_ref().expect("it runs");
    for hangs in [false, true] {
        let paid = shop.charged();
        shop.midtrans.fault(&json!({"fault": "drop_notification", "count": 1}));
        shop.midtrans.pay(&paid, Via::Gopay);
        let slow = shop.order_body(&format!("slow-{hangs}"));
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| order(&shop.backend_url, &slow).status);
            wait_for("the middle of a transaction", || (sessions("wait_event = 'PgSleep'") == "1").then_some(()));
            if hangs {
                first.signal("STOP")
            } else {
                link.set(Cable::Silent)
            }
            server.ask(&format!("INSERT INTO go_on VALUES ('slow-{hangs}')"));
            wait_for("a lock that nobody uses", || (sessions("state = 'idle in transaction'") == "1").then_some(()));
            let began = Instant::now();
            let told = notification(&paid, "200", "5000.00", "settlement");
            assert_eq!(shop.http.post(&format!("{other}/midtrans/notifications"), None, &[], &told).status, 200);
            assert_eq!(order(&other, &shop.order_body(&format!("beside-{hangs}"))).status, 201);
            wait_for("the settlement at the other process", || {
                let answer = shop.http.get(&format!("{other}/v1/orders/{paid}"), Some(&shop.token));
                (answer.json()["status"] == "settlement").then_some(())
            });
            assert!(began.elapsed() < AT_MOST, "hangs: {hangs}; all waited for {:?}", began.elapsed());
            // What it had begun is not written.
            assert_eq!(server.ask("SELECT count(*) FROM orders WHERE request_id LIKE 'slow-%'"), if hangs { "1" } else { "0" });
            if hangs {
                first.signal("CONT")
            } else {
                link.set(Cable::Whole)
            }
            assert_eq!(asked.join().expect("no panic"), 503);
        });
        // Its machine asks once more.
        assert_eq!(order(&shop.backend_url, &slow).status, 201);
        shop.wait_status(&paid, "settlement");
    }
    let requests: Vec<_> = shop.midtrans.transactions().iter().map(|charge| charge["custom_fields"][1].to_string()).collect();
    assert_eq!(requests.len(), 6, "two each: paid, slow and beside it: {requests:?}");
    assert_eq!(server.ask("SELECT count(*) || ' of ' || count(DISTINCT transaction_id) FROM receipts"), "2 of 2");
}

/// It is told to end while Midtrans does not answer, and while a machine waits: it lets both go, and the other process goes on at once.
#[test]
fn a_process_that_ends_gives_up_what_it_has_begun() {
    let server = Postgres::start(&[]);
    let mut shop = Shop::open(on(&server));
    let (_second, other) = second(&shop);
    let order_id = shop.charged();
    shop.midtrans.fault(&json!({"fault": "drop_notification", "count": 1}));
    shop.midtrans.fault(&json!({"fault": "hang", "on": "status", "count": 1}));
    shop.midtrans.pay(&order_id, Via::Gopay);
    assert_eq!(shop.notify(&notification(&order_id, "200", "5000.00", "settlement")).status, 200);
    shop.midtrans.wait_held(1);
    let claims = "SELECT count(*) FROM orders WHERE claimed_until_ms > 1000 * extract(epoch FROM now())";
    assert_eq!(server.ask(claims), "1");
    let polls = two_polls(&shop, &format!("{}/v1/orders/{order_id}", shop.backend_url));
    let (status, took) = shop.backend.take().expect("it runs").terminate();
    assert!(status.success() && took < Duration::from_secs(5), "{status}, after {took:?}");
    let ended = Instant::now();
    for poll in polls {
        assert_eq!(poll.join().expect("no panic").status, 200);
    }
    // The claim is over, and nobody waits for its lease of 13 s.
    wait_for("the settlement at the other process", || {
        let answer = shop.http.get(&format!("{other}/v1/orders/{order_id}"), Some(&shop.token));
        (answer.json()["status"] == "settlement").then_some(())
    });
    assert!(ended.elapsed() < Duration::from_secs(8), "the other one went on after {:?}", ended.elapsed());
    shop.midtrans.release();
    assert_eq!(server.ask("SELECT count(*) FROM receipts"), "1");
}

/// Two processes behind one address are brought up to date, one after the other, with a QR on the screen each time.
#[test]
fn one_after_the_other_is_started_anew_while_a_machine_sells() {
    let server = Postgres::start(&[]);
    let mut shop = Shop::open(on(&server));
    let port = |url: &str| url.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).expect("a port");
    let first = port(&shop.backend_url);
    let front = Link::to(first);
    shop.edit(Program::Backend, |text| {
        text.replace(&format!("public_url = \"http://127.0.0.1:{first}\""), &format!("public_url = \"http://127.0.0.1:{}\"", front.port))
    });
    shop.backend.take().expect("it runs").terminate();
    shop.start_backend();
    let (mut other, url) = second(&shop);
    let second_port = port(&url);
    shop.start_machine();
    for (stays, is_first) in [(second_port, true), (first, false)] {
        let request = shop.offer("A1");
        // The web server in front sees that one is gone.
        for link in [&front, &shop.backend_link] {
            link.turn_to(stays);
        }
        if is_first {
            assert!(shop.backend.take().expect("it runs").terminate().0.success());
        } else {
            assert!(other.terminate().0.success());
        }
        shop.pay(Via::Gopay);
        shop.wait_state(&request, EventState::Dispensed);
        if is_first {
            shop.start_backend();
        }
    }
    other = second(&shop).0;
    shop.sell("A1", Via::Gopay);
    drop(other);
    shop.check_books();
    assert_eq!((shop.pulses(), server.ask("SELECT count(*) FROM receipts").as_str()), (3, "3"));
}
