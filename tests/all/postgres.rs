//! The merchant's books in a real PostgreSQL: a sale and every command; a server that stops, and one that dies for good; processes that
//! are killed or hang. Nothing that a machine or Midtrans was told is lost or doubled.

use crate::rig::certificates::Certificates;
use crate::rig::link::{Cable, Link};
use crate::rig::midtrans::{Via, notification};
use crate::rig::postgres::Postgres;
use crate::rig::process::Process;
use crate::rig::shop::{Options, Program, Shop};
use crate::rig::tap::Message;
use crate::rig::{command, output, stdout, wait_for};
use crate::two_backends::{second, second_command};
use qris::wire::vend::EventState;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// Waits for an order's receipt, also while the books cannot be read.
fn settled(shop: &Shop, order: &str) {
    wait_for("its receipt", || {
        let answer = shop.backend_get(&format!("/v1/orders/{order}"));
        (answer.status == 200 && answer.json()["receipt"].is_string()).then_some(())
    });
}

fn on(server: &Postgres) -> Options {
    Options { store: Some(format!("url = \"{}\"", server.url())), ..Options::default() }
}

/// What a command of the merchant says.
fn said(shop: &Shop, arguments: &[&str]) -> String {
    let told = shop.merchant(arguments);
    let [out, err] = [&told.stdout, &told.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(told.status.success(), "{arguments:?}: {out}{err}");
    out
}

#[test]
fn a_sale_and_the_merchants_commands() {
    let server = Postgres::start(&[]);
    let shop = Shop::open(on(&server));
    let sold = shop.sell("A1", Via::Gopay);
    let order_id = sold.order_id.expect("an id").to_string();
    shop.check_books();
    let listed = said(&shop, &["orders", "--json"]);
    let orders: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(orders.iter().map(|order| &order["order_id"]).collect::<Vec<_>>(), [order_id.as_str()]);
    for filter in [&["--device", "vm-001"][..], &["--refund-due"], &["--attention"], &["--status", "settlement"], &["--date", "2026-11-20"]]
    {
        said(&shop, &[&["orders"], filter].concat());
    }
    assert!(said(&shop, &["orders", &order_id]).contains("settlement"));
    assert!(said(&shop, &["report"]).contains("balanced: Rp5.000"), "{}", said(&shop, &["report"]));
    assert!(said(&shop, &["device", "list"]).contains("vm-001"));
    said(&shop, &["device", "add", "vm-002"]);
    said(&shop, &["device", "invite", "vm-003"]);
    said(&shop, &["device", "revoke", "vm-002"]);
    said(&shop, &["reconcile"]);
    assert!(said(&shop, &["doctor"]).contains("can be written"), "{}", said(&shop, &["doctor"]));
    let backup = shop.merchant(&["backup", "copy.db"]);
    assert!(!backup.status.success() && String::from_utf8_lossy(&backup.stderr).contains("pg_dump"), "{backup:?}");
}

#[test]
fn a_database_that_is_behind_or_missing_or_shut_is_told() {
    let server = Postgres::start(&[]);
    let shop = Shop::open(Options { machine: false, ..on(&server) });
    server.ask("INSERT INTO qris_steps (step, place, timeline) VALUES (99, '', '')");
    let newer = shop.merchant(&["orders"]);
    assert!(!newer.status.success() && String::from_utf8_lossy(&newer.stderr).contains("newer release"), "{newer:?}");
    server.ask("DROP TABLE qris_steps");
    let missing = shop.merchant(&["orders"]);
    assert!(!missing.status.success() && String::from_utf8_lossy(&missing.stderr).contains("has no books"), "{missing:?}");
}

/// While the server is away orders are refused, and notifications are answered so that Midtrans repeats them. What was paid meanwhile
/// is delivered once, as soon as the server is back.
#[test]
fn a_server_that_is_away_for_a_while_loses_nothing() {
    let mut server = Postgres::start(&[]);
    let shop = Shop::open(on(&server));
    let request = shop.offer("A1");
    server.stop();
    shop.pay(Via::Gopay);
    let told = notification("nobody", "200", "5000.00", "settlement");
    assert!(shop.notify(&told).status >= 500);
    assert_eq!(shop.post_order(&shop.order_body("while-it-is-away")).status, 503);
    assert_eq!(shop.pulses(), 0);
    server.resume();
    shop.wait_state(&request, EventState::Dispensed);
    shop.sell("A1", Via::Gopay);
    shop.check_books();
    assert_eq!(server.ask("SELECT count(*) FROM receipts"), "2");
}

/// A streaming standby that has every commit is promoted when its primary dies. The backend finds it by itself.
#[test]
fn a_promoted_standby_has_everything_that_was_told() {
    let mut primary = Postgres::start(&["synchronous_standby_names=*"]);
    // Nothing is committed before a standby has it.
    let standby = primary.standby();
    let store = Some(format!("url = \"{}\"", primary.url_with(&standby)));
    let shop = Shop::open(Options { store, ..Options::default() });
    assert!(!said(&shop, &["doctor"]).contains("waits for no standby"), "{}", said(&shop, &["doctor"]));
    shop.sell("A1", Via::Gopay);
    let paid = shop.offer("A1");
    primary.stop();
    shop.pay(Via::Gopay);
    standby.promote();
    shop.wait_state(&paid, EventState::Dispensed);
    shop.sell("A1", Via::Gopay);
    shop.check_books();
    assert_eq!(standby.ask("SELECT count(*) || ' of ' || count(DISTINCT transaction_id) FROM receipts"), "3 of 3");
}

/// A standby takes over that does not have the last moments. An order whose end is lost is asked about again. One that is lost as a whole
/// comes back when its machine asks, or when a person names it. `doctor` had warned.
#[test]
fn what_a_late_standby_does_not_have_is_found_again() {
    let mut primary = Postgres::start(&[]);
    let mut standby = primary.standby();
    let store = Some(format!("url = \"{}\"", primary.url_with(&standby)));
    let shop = Shop::open(Options { machine: false, store, ..Options::default() });
    let warning = "waits for no standby";
    assert!(said(&shop, &["doctor"]).contains(warning), "{}", said(&shop, &["doctor"]));
    let order = shop.charged();
    let written = primary.ask("SELECT pg_current_wal_lsn()");
    wait_for("the order at the standby", || (standby.ask(&format!("SELECT pg_last_wal_replay_lsn() >= '{written}'")) == "t").then_some(()));
    standby.stop();
    shop.midtrans.pay(&order, Via::Gopay);
    shop.wait_status(&order, "settlement");
    let [asked, named] = [shop.paid(), shop.paid()];
    primary.stop();
    standby.resume();
    standby.promote();
    settled(&shop, &order);
    assert_eq!(standby.ask("SELECT count(*) FROM orders"), "1", "the others are lost");
    shop.wait_status(&asked, "settlement");
    let compared = shop.merchant(&["reconcile", "--order", &named]);
    assert!(stdout(&compared).contains(&named), "{compared:?}");
    shop.wait_status(&named, "settlement");
    assert_eq!(standby.ask("SELECT count(*) || ' of ' || count(DISTINCT transaction_id) FROM receipts"), "3 of 3");
}

/// What only the primary has would be lost with it. So nobody is told of it before the standby has it, also where the server's own settings
/// would not wait.
#[test]
fn nothing_is_told_before_the_standby_has_it() {
    let primary = Postgres::start(&["synchronous_standby_names=*", "synchronous_commit=local"]);
    let mut standby = primary.standby();
    let shop = Shop::open(Options { machine: false, store: Some(format!("url = \"{}\"", primary.url())), ..Options::default() });
    let order = shop.charged();
    standby.stop();
    shop.midtrans.pay(&order, Via::Gopay);
    wait_for("the commit that waits for the standby", || {
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'qris-backend' AND wait_event = 'SyncRep'";
        (primary.ask(waits) != "0").then_some(())
    });
    let is_told = |message: &Message| message.topic.ends_with("/payment/update") && message.json()["order_id"] == order.as_str();
    assert!(!shop.tap.messages().iter().any(is_told), "it is published, and would be lost with the primary");
    standby.resume();
    shop.tap.wait_from(0, "the news", |message| is_told(message).then_some(()));
    assert_eq!(standby.ask(&format!("SELECT count(*) FROM receipts WHERE order_id = '{order}'")), "1");
}

/// A synchronous standby that is away stops everything that is written, though all can be read. The metrics and the doctor say so, and the
/// way out that the doctor names is one.
#[test]
fn a_lost_synchronous_standby_is_told_and_can_be_done_without() {
    let primary = Postgres::start(&[]);
    let mut standby = primary.standby();
    primary.ask("ALTER SYSTEM SET synchronous_standby_names = '*'");
    primary.ask("SELECT pg_reload_conf()");
    // The server answers before it has read its settings again.
    wait_for("the standby to be synchronous", || (primary.ask("SELECT sync_state FROM pg_stat_replication") == "sync").then_some(()));
    let shop = Shop::open(Options { machine: false, ..on(&primary) });
    let order = shop.charged();
    let is_up = || shop.backend_get("/metrics").text().lines().any(|line| line == "qris_backend_store_up 1");
    wait_for("the metrics to tell that all is well", || is_up().then_some(()));
    standby.stop();
    assert_eq!(shop.post_order(&shop.order_body("while-it-is-away")).status, 503);
    wait_for("the metrics to tell it", || (!is_up()).then_some(()));
    let doctor = stdout(&shop.merchant(&["doctor"]));
    assert!(doctor.contains("commits wait for a synchronous standby that does not answer"), "{doctor}");
    primary.ask("ALTER SYSTEM SET synchronous_standby_names = ''");
    primary.ask("SELECT pg_reload_conf()");
    wait_for("the metrics to tell the end", || is_up().then_some(()));
    shop.midtrans.pay(&order, Via::Gopay);
    shop.wait_status(&order, "settlement");
}

/// The primary is silent: it closes no connection, and still takes new ones. It is named first. Its standby is promoted. Nobody waits for more
/// than 15 s.
#[test]
fn a_silent_primary_is_left_for_the_promoted_one() {
    let primary = Postgres::start(&["synchronous_standby_names=*"]);
    let standby = primary.standby();
    let cable = Link::to(primary.port);
    let store = Some(format!("url = \"postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres\"", cable.port, standby.port));
    let shop = Shop::open(Options { machine: false, store, ..Options::default() });
    let order = shop.charged();
    cable.set(Cable::Silent);
    let silent = Instant::now();
    standby.promote();
    shop.midtrans.pay(&order, Via::Gopay);
    settled(&shop, &order);
    let took = silent.elapsed();
    assert!(took < Duration::from_secs(17), "settled after {took:?}; 15 s are for a quiet computer");
    assert_eq!(standby.ask("SELECT count(*) FROM receipts"), "1");
}

/// After a fail-over the old primary comes back, is named first, and can be written to. Nothing is written there any more: not while the
/// new one is there, and not while it is away.
#[test]
fn an_old_primary_that_comes_back_gets_nothing() {
    let mut primary = Postgres::start(&[]);
    let mut standby = primary.standby();
    let store = Some(format!("url = \"{}\"", primary.url_with(&standby)));
    let mut shop = Shop::open(Options { machine: false, store, ..Options::default() });
    let first = shop.charged();
    primary.stop();
    standby.promote();
    shop.midtrans.pay(&first, Via::Gopay);
    settled(&shop, &first);
    primary.resume();
    // A process that starts now, and has seen nothing.
    shop.backend.take().expect("it runs").terminate();
    shop.start_backend();
    shop.paid();
    assert_eq!([&primary, &standby].map(|server| server.ask("SELECT count(*) FROM receipts")), ["0", "2"]);
    standby.stop();
    let refused = shop.post_order(&shop.order_body("only-the-old-one-is-there"));
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(primary.ask("SELECT count(*) FROM orders"), "1", "the order of before the fail-over");
    // A line may be read after the answer.
    shop.backend.as_ref().expect("it runs").wait_line("of before a fail-over");
    standby.resume();
    wait_for("a charge", || (shop.post_order(&shop.order_body("the-new-one-is-back")).status == 201).then_some(()));
}

/// A server without the key that a machine believes signs nothing for it while another one has the key. If nobody has it any more, the key in
/// use must do.
#[test]
fn an_order_is_left_to_the_server_that_has_its_key() {
    let server = Postgres::start(&[]);
    let mut shop = Shop::open(Options { machine: false, ..on(&server) });
    // The header names the key.
    let header = |order: &Value| order["receipt"].as_str().and_then(|receipt| receipt.split('.').next()).map(str::to_owned);
    let by_first = header(&shop.order_at_backend(&shop.paid())).expect("a receipt");
    let (mut start, port) = second_command(&shop);
    let config = shop.path().join("backend-2.toml");
    let own = shop.path().join("keys-of-the-other");
    let text = std::fs::read_to_string(&config).expect("there");
    let named = |line: &str| line.starts_with("signing_key_file = ");
    let text: Vec<_> = text.lines().map(|line| if named(line) { format!("signing_key_file = {own:?}") } else { line.into() }).collect();
    std::fs::write(&config, text.join("\n")).expect("written");
    let keys = output(command(Program::Backend.binary()).arg("--config").arg(&config).args(["keys", "new"]).current_dir(shop.path()));
    assert!(keys.status.success(), "{keys:?}");
    let _other = Process::start_service("second-backend", &mut start, shop.path());
    let other = format!("http://127.0.0.1:{port}");
    shop.midtrans.fault(&json!({"fault": "drop_notification"}));
    let orders: Vec<_> = (0..8).map(|_| shop.charged()).collect();
    let (last, orders) = orders.split_last().expect("some");
    let tell = |order: &str| {
        shop.midtrans.pay(order, Via::Gopay);
        let told = notification(order, "200", "5000.00", "settlement");
        assert_eq!(shop.http.post(&format!("{other}/midtrans/notifications"), None, &[], &told).status, 200);
        wait_for("its receipt", || header(&shop.http.get(&format!("{other}/v1/orders/{order}"), Some(&shop.token)).json()))
    };
    for order in orders {
        assert_eq!(tell(order), by_first, "with a key that the machine does not know");
    }
    shop.backend.take().expect("it runs").terminate();
    assert_ne!(tell(last), by_first, "with a key that only the one that is gone had");
}

/// One process hangs, and one is killed, while it asks Midtrans about a payment. The other one asks when the lease is over.
#[test]
fn what_one_process_began_another_one_ends() {
    let server = Postgres::start(&[]);
    let shop = Shop::open(Options { machine: false, ..on(&server) });
    let (_second, other) = second(&shop);
    for end in ["STOP", "KILL"] {
        let order = shop.charge();
        let order_id = order["order_id"].as_str().expect("an id").to_owned();
        shop.midtrans.fault(&json!({"fault": "drop_notification", "count": 1}));
        shop.midtrans.fault(&json!({"fault": "hang", "on": "status", "count": 1}));
        shop.midtrans.pay(&order_id, Via::Gopay);
        assert_eq!(shop.notify(&notification(&order_id, "200", "5000.00", "settlement")).status, 200);
        shop.midtrans.wait_held(1);
        let first = shop.backend.as_ref().expect("it runs");
        first.signal(end);
        let began = Instant::now();
        wait_for("the settlement at the other process", || {
            let answer = shop.http.get(&format!("{other}/v1/orders/{order_id}"), Some(&shop.token));
            (answer.json()["status"] == "settlement").then_some(())
        });
        // 15 s on a quiet computer.
        assert!(began.elapsed() < Duration::from_secs(17), "{end}: the other one went on after {:?}", began.elapsed());
        shop.midtrans.release();
        if end == "STOP" {
            first.signal("CONT");
            shop.wait_status(&order_id, "settlement");
        }
        assert_eq!(server.ask(&format!("SELECT count(*) FROM receipts WHERE order_id = '{order_id}'")), "1");
    }
}

/// The server must show a certificate for its name by the authority that is named, and the password is the one in the file.
#[test]
fn tls_and_a_password_are_never_left_out() {
    let tls = Certificates::make();
    let server = Postgres::with_tls(&tls, "open sesame");
    let shop = Shop::merchants_side();
    let [good, wrong] = ["open sesame", "something else"].map(|password| {
        let file = shop.path().join(password);
        std::fs::write(&file, format!("{password}\n")).expect("written");
        file
    });
    let add = |ca: &str, password: &Path, id: &str| {
        let text = std::fs::read_to_string(shop.config(Program::Backend)).expect("there");
        let (before, rest) = text.split_once("[store]\n").expect("a section");
        let (_, after) = rest.split_once('\n').expect("a line");
        let (url, ca, password) = (server.url(), tls.certificate(ca), password.display());
        let store = format!("url = \"{url}\"\nca_file = \"{}\"\npassword_file = \"{password}\"", ca.display());
        let config = shop.path().join("backend-elsewhere.toml");
        std::fs::write(&config, format!("{before}[store]\n{store}\n{after}")).expect("written");
        let told = output(command(Program::Backend.binary()).arg("--config").arg(&config).args(["device", "add", id]));
        (told.status.success(), String::from_utf8_lossy(&told.stderr).into_owned())
    };
    let (is_in, why) = add("ca", &good, "vm-009");
    assert!(is_in, "{why}");
    let (is_in, why) = add("other-ca", &good, "vm-010");
    assert!(!is_in && why.contains("certificate"), "{why}");
    let (is_in, why) = add("ca", &wrong, "vm-011");
    assert!(!is_in && why.contains("password authentication failed"), "{why}");
}
