//! A standby is promoted, and the old primary is still there. It may take nothing more, take all, or be silent. The backend is where the
//! customers' money is known, within 15 s.

use crate::rig::http::Http;
use crate::rig::link::{Cable, Link};
use crate::rig::midtrans::Via;
use crate::rig::postgres::Postgres;
use crate::rig::shop::{Options, Program, Shop, new_request_id};
use crate::rig::{pause, stdout, wait_for};
use crate::two_backends::second;
use qris::wire::vend::EventState;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Nothing is written to the old primary later, and what is paid is delivered by then: 15 s on a quiet computer. A busy one needs longer.
const WITHIN: Duration = Duration::from_secs(60);

/// The status of `/readyz`.
fn ready(shop: &Shop) -> u16 {
    shop.backend_get("/readyz").status
}

/// The last line of the history, which each change of an order has.
fn last_line(server: &Postgres) -> String {
    server.ask("SELECT max(seq) FROM history")
}

fn orders(server: &Postgres) -> BTreeSet<String> {
    server.ask("SELECT order_id FROM orders").lines().map(str::to_owned).collect()
}

/// What a fail-over tool or a managed server does with the old one. The backend is not thrown out, and everything can be read.
#[test]
fn a_primary_that_becomes_read_only_is_left_for_the_promoted_one() {
    let old = Postgres::start(&[]);
    let new = old.standby();
    let shop = Shop::open(Options { store: Some(format!("url = \"{}\"", old.url_with(&new))), ..Options::default() });
    let set = |to: &str| {
        old.ask(&format!("ALTER SYSTEM SET default_transaction_read_only = {to}"));
        old.ask("SELECT pg_reload_conf()");
    };
    let offered = shop.offer("A1");
    set("on");
    wait_for("/readyz to tell that nothing can be written", || (ready(&shop) == 503).then_some(()));
    shop.wait_fault("backend", true);
    wait_replayed(&old, &new);
    let (last, promoted) = (last_line(&old), Instant::now());
    new.promote();
    shop.pay(Via::Gopay);
    shop.wait_state(&offered, EventState::Dispensed);
    assert!(promoted.elapsed() < WITHIN, "delivered {:?} after the promotion", promoted.elapsed());
    shop.wait_fault("backend", false);
    assert_eq!(ready(&shop), 200);
    // It can be written to again, and is named first.
    set("off");
    shop.sell("A1", Via::Gopay);
    assert_eq!((last_line(&old), new.ask("SELECT count(*) FROM receipts").as_str()), (last, "2"));
    shop.check_books();
}

/// Waits until the standby has all that was written.
pub fn wait_replayed(old: &Postgres, standby: &Postgres) {
    let written = old.ask("SELECT pg_current_wal_lsn()");
    let has = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
    wait_for("the order at the standby", || (standby.ask(&has) == "t").then_some(()));
}

/// The network between the servers is cut, and somebody promotes the standby. Both servers take everything, and two backends reach both.
#[test]
fn an_old_primary_that_can_be_written_to_is_left_and_what_it_has_alone_is_listed() {
    let old = Postgres::start(&[]);
    let between = Link::to(old.port);
    let new = Postgres::behind(between.port, &[]);
    let mut shop = Shop::open(Options { store: Some(format!("url = \"{}\"", old.url_with(&new))), ..Options::default() });
    let (other_process, other) = second(&shop);
    let offered = shop.offer("A1");
    wait_replayed(&old, &new);
    between.set(Cable::Cut);
    let promoted = Instant::now();
    new.promote();
    shop.pay(Via::Gopay);
    let delivered = shop.wait_state(&offered, EventState::Dispensed).order_id.expect("its order");
    assert!(promoted.elapsed() < WITHIN, "delivered {:?} after the promotion", promoted.elapsed());
    let urls = [shop.backend_url.clone(), other];
    let order_at = |url: &str| {
        let body = shop.order_body(&new_request_id());
        let key = body["request_id"].as_str().expect("an id");
        let answer = Http::new().post(&format!("{url}/v1/orders"), Some(&shop.token), &[("Idempotency-Key", key)], &body);
        answer.json()["order_id"].as_str().map(str::to_owned)
    };
    wait_for("both to write to the promoted one", || {
        let made = urls.each_ref().map(|url| order_at(url));
        let there = orders(&new);
        let have_left = made.iter().all(|id| id.as_ref().is_some_and(|id| there.contains(id)));
        pause(promoted);
        have_left.then_some(())
    });
    assert!(promoted.elapsed() < WITHIN, "the old one was left {:?} after the promotion", promoted.elapsed());
    let last = last_line(&old);
    for _ in 0..4 {
        urls.iter().for_each(|url| assert!(order_at(url).is_some()));
    }
    shop.sell("A1", Via::Gopay);
    assert_eq!(last_line(&old), last, "it is written to");
    // Whose order is there alone is told by each process and by the doctor, with its state.
    let alone: Vec<String> = orders(&old).difference(&orders(&new)).cloned().collect();
    assert!(!alone.is_empty(), "both left at once");
    let name = format!("127.0.0.1:{}", old.port);
    let doctor = stdout(&shop.merchant(&["doctor"]));
    let line = doctor.lines().find(|line| line.contains(&name) && line.contains("of before a fail-over")).expect("a line of the doctor");
    for id in &alone {
        // The one that was being made when its process left may have no charge yet.
        let told = ["pending", "charging"].iter().any(|state| line.contains(&format!("{id} ({state}; missing here)")));
        assert!(told, "{id} is not in {line}");
    }
    for process in [shop.backend.as_ref().expect("it runs"), &other_process] {
        // It names twenty, and the one that was paid is among them.
        let named = |line: &String| {
            line.contains("of before a fail-over") && alone.iter().filter(|id| line.contains(id.as_str())).count() >= alone.len().min(19)
        };
        wait_for("each process to name them", || process.lines.all().iter().any(named).then_some(()));
    }
    // The first one was paid and delivered before anybody knew. The books hear of the payment by themselves, and of the goods when the
    // machine asks.
    shop.wait_status(delivered.as_str(), "settlement");
    shop.kill_qrisd();
    shop.start_qrisd();
    shop.check_books();
    // A process that starts now lists the same, and sells at the promoted one. What the old one had answered last may be missing: a person is told.
    let told = || new.ask("SELECT count(*) FROM alerts WHERE kind = 'another_primary' AND ended_ms IS NULL");
    assert_eq!(told(), "1", "by the one that follows it");
    shop.backend.take().expect("it runs").terminate();
    shop.start(Program::Backend);
    shop.backend.as_ref().expect("it runs").wait_line("is the primary of before a fail-over");
    assert_eq!(told(), "1");
    assert!(stdout(&shop.merchant(&["doctor"])).contains("it has another primary since"));
    shop.paid();
    assert_eq!(last_line(&old), last, "it is written to");
    // Another start says nothing new. A person says that the books are older, and is not reminded any more.
    assert!(shop.merchant(&["restore"]).status.success());
    shop.backend.take().expect("it runs").terminate();
    shop.start(Program::Backend);
    assert_eq!(told(), "0");
    assert!(!stdout(&shop.merchant(&["doctor"])).contains("it has another primary since"));
}

/// The old primary is silent and keeps its connections. What it has alone cannot be read, which is told. When it answers again, it is.
#[test]
fn an_old_primary_that_is_silent_is_told_and_read_when_it_answers() {
    let old = Postgres::start(&[]);
    let new = old.standby();
    let cable = Link::to(old.port);
    let store = Some(format!("url = \"postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres\"", cable.port, new.port));
    let shop = Shop::open(Options { store, ..Options::default() });
    shop.sell("A1", Via::Gopay);
    let offered = shop.offer("A1");
    wait_replayed(&old, &new);
    cable.set(Cable::Silent);
    let promoted = Instant::now();
    new.promote();
    shop.pay(Via::Gopay);
    shop.wait_state(&offered, EventState::Dispensed);
    assert!(promoted.elapsed() < WITHIN, "delivered {:?} after the promotion", promoted.elapsed());
    let backend = shop.backend.as_ref().expect("it runs");
    backend.wait_line("cannot be read");
    let doctor = stdout(&shop.merchant(&["doctor"]));
    assert!(doctor.contains(&format!("127.0.0.1:{} does not answer", cable.port)), "{doctor}");
    cable.set(Cable::Whole);
    backend.wait_line("nothing was written there that the books do not have");
    shop.sell("A1", Via::Gopay);
    shop.check_books();
}
