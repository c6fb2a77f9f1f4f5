//! The books and another try: whatever comes in one instant, and whatever is lost between two tries, a payment has the goods or the money.

use crate::primary::wait_replayed;
use crate::rig::caller::Caller;
use crate::rig::http::{Http, HttpAnswer};
use crate::rig::link::{Cable, Link};
use crate::rig::midtrans::Via;
use crate::rig::postgres::Postgres;
use crate::rig::shop::{PRICE, Program};
use crate::rig::wait_for;
use crate::rig::{output, stdout};
use crate::second_try::{Bought, Machine};
use crate::two_backends::second;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Barrier;

/// Orders of each race.
const ROUNDS: usize = 9;

/// Asks the books themselves, in SQL.
fn number(machine: &Machine, server: Option<&Postgres>, sql: &str) -> String {
    if let Some(server) = server {
        return server.ask(sql).trim().to_owned();
    }
    let books = Connection::open(machine.shop.path().join("orders.db")).expect("the books");
    books.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a number").to_string()
}

fn receipts_of_second_tries(machine: &Machine, server: Option<&Postgres>, order_id: &str) -> String {
    number(machine, server, &format!("SELECT count(*) FROM receipts WHERE order_id = '{order_id}' AND try = 2"))
}

/// Does both in one instant.
fn at_once<T: Send, U>(one: impl FnOnce() -> T + Send, other: impl FnOnce() -> U) -> (T, U) {
    let together = Barrier::new(2);
    std::thread::scope(|scope| {
        let one = scope.spawn(|| {
            together.wait();
            one()
        });
        together.wait();
        let other = other();
        (one.join().expect("no panic"), other)
    })
}

/// Asks, and again while the backend says that it cannot use its books now: another process may have them for too long.
fn answered(mut ask: impl FnMut() -> HttpAnswer) -> HttpAnswer {
    wait_for("an answer that is one", || Some(ask()).filter(|answer| answer.status != 503))
}

#[test]
fn a_person_and_a_press_in_one_instant_are_one_end() {
    a_person_and_a_press(None);
}

#[test]
fn a_person_and_a_press_in_one_instant_on_postgresql_are_one_end() {
    a_person_and_a_press(Some(&Postgres::start(&[])));
}

fn a_person_and_a_press(server: Option<&Postgres>) {
    let machine = Machine::new(server, "auto_refund_per_day = 100\n");
    let (_second, other) = second(&machine.shop);
    let mut pulses = 0;
    for round in 0..ROUNDS {
        let bought = machine.buys_nothing();
        let (ticket, promise) = machine.promised(&bought).expect("a ticket");
        let id = bought.order_id.as_str();
        let deeds = [
            &["refund", id, "--by", "Sari"][..],
            &["refund", id, "--settled-by-hand", "cash", "--by", "Sari"],
            &["given", id, "--by", "Sari", "--from", "elsewhere"],
        ];
        let mut person = machine.shop.program_command(Program::Backend);
        person.args(deeds[round % deeds.len()]);
        let http = Http::new();
        let press = || {
            // The command takes a while to start: the press comes earlier or later, as the round has it.
            for _ in 0..round * 2 {
                assert_eq!(answered(|| http.get(&format!("{other}/v1/orders/{id}"), Some(&machine.shop.token))).status, 200);
            }
            let url = format!("{other}/v1/orders/{id}/again");
            answered(|| http.post(&url, Some(&machine.shop.token), &[], &json!({ "promise": promise })))
        };
        let (told, pressed) = at_once(|| output(&mut person), press);
        let is_tried = pressed.status == 200;
        assert!(is_tried || pressed.status == 409, "{}", pressed.text());
        assert_ne!(is_tried, told.status.success(), "round {round}: {told:?}: {}", pressed.text());
        // The database refuses a second end, too, without a word of why.
        assert!(!String::from_utf8_lossy(&told.stderr).contains("the first end stays"), "round {round}: {told:?}");
        assert_eq!(receipts_of_second_tries(&machine, server, id), u8::from(is_tried).to_string());
        if is_tried {
            let receipt = pressed.json()["receipt"].as_str().expect("a receipt").to_owned();
            assert_eq!(machine.dispenses(&Bought { order_id: id.into(), ticket, receipt }), Ok("dispensed".into()));
            assert_eq!(machine.refunds(id), 0);
            pulses += 1;
        }
        assert_eq!(machine.shop.pulses(), pulses, "round {round}");
    }
}

#[test]
fn the_money_on_the_page_and_a_press_in_one_instant_are_one_end() {
    the_money_and_a_press(None);
}

#[test]
fn the_money_on_the_page_and_a_press_in_one_instant_on_postgresql_are_one_end() {
    the_money_and_a_press(Some(&Postgres::start(&[])));
}

fn the_money_and_a_press(server: Option<&Postgres>) {
    let machine = Machine::new(server, "auto_refund = true\nauto_refund_per_day = 100\n");
    let (_second, other) = second(&machine.shop);
    let mut pulses = 0;
    for round in 0..ROUNDS {
        let bought = machine.buys_nothing();
        let (ticket, promise) = machine.promised(&bought).expect("a ticket");
        let id = bought.order_id.as_str();
        let page = machine.shop.order_at_backend(id)["pay_url"].as_str().expect("an address").to_owned() + "&want=money";
        let (customer, http) = (Http::new(), Http::new());
        let url = format!("{other}/v1/orders/{id}/again");
        let press = || answered(|| http.post(&url, Some(&machine.shop.token), &[], &json!({ "promise": promise })));
        let (_, pressed) = at_once(|| answered(|| customer.post_form(&page, &[], Vec::new()).0), press);
        if pressed.status == 200 {
            let receipt = pressed.json()["receipt"].as_str().expect("a receipt").to_owned();
            assert_eq!(machine.dispenses(&Bought { order_id: id.into(), ticket, receipt }), Ok("dispensed".into()));
            assert_eq!(machine.refunds(id), 0, "round {round}");
            pulses += 1;
        } else {
            assert_eq!(pressed.status, 409, "{}", pressed.text());
            wait_for("the refund", || (machine.refunds(id) == 1).then_some(()));
            assert_eq!(receipts_of_second_tries(&machine, server, id), "0", "round {round}");
        }
        assert_eq!(machine.shop.pulses(), pulses, "round {round}");
    }
}

#[test]
fn two_promises_at_two_backends_get_one_receipt() {
    two_promises(None);
}

#[test]
fn two_promises_at_two_backends_on_postgresql_get_one_receipt() {
    two_promises(Some(&Postgres::start(&[])));
}

fn two_promises(server: Option<&Postgres>) {
    let machine = Machine::new(server, "auto_refund_per_day = 100\n");
    let (_second, other) = second(&machine.shop);
    for round in 0..ROUNDS {
        let bought = machine.buys_nothing();
        let asks = [machine.shop.backend_url.as_str(), &other].map(|url| {
            let url = format!("{url}/v1/orders/{}/again", bought.order_id);
            (url, json!({ "promise": machine.promised(&bought).expect("a ticket").1 }))
        });
        let together = Barrier::new(2);
        let mut answers = std::thread::scope(|scope| {
            let asked = asks.each_ref().map(|(url, body)| {
                let (together, token) = (&together, &machine.shop.token);
                scope.spawn(move || {
                    let http = Http::new();
                    together.wait();
                    answered(|| http.post(url, Some(token), &[], body)).status
                })
            });
            asked.map(|thread| thread.join().expect("no panic"))
        });
        answers.sort_unstable();
        assert_eq!(answers, [200, 409], "round {round}");
        assert_eq!(receipts_of_second_tries(&machine, server, &bought.order_id), "1");
    }
}

#[test]
fn a_backend_that_dies_between_signing_and_telling_tells_the_same() {
    dies(None);
}

#[test]
fn a_backend_on_postgresql_that_dies_between_signing_and_telling_tells_the_same() {
    dies(Some(&Postgres::start(&[])));
}

/// Asks for a try, and does not read the answer.
fn begins(machine: &Machine, order_id: &str, body: &Value) -> TcpStream {
    let (host, body) = (machine.shop.backend_url.trim_start_matches("http://"), body.to_string());
    let mut stream = TcpStream::connect(host).expect("it listens");
    let (token, length) = (&machine.shop.token, body.len());
    let head = format!(
        "POST /v1/orders/{order_id}/again HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all((head + &body).as_bytes()).expect("sent");
    stream
}

fn dies(server: Option<&Postgres>) {
    let mut machine = Machine::new(server, "auto_refund_per_day = 100\n");
    let mut signed_untold = 0;
    for round in 0..ROUNDS {
        let bought = machine.buys_nothing();
        let promise = machine.promised(&bought).expect("a ticket").1;
        let unread = begins(&machine, &bought.order_id, &json!({ "promise": promise }));
        if round % 3 > 0 {
            // It is signed, and nobody has read the answer.
            wait_for("its receipt", || (receipts_of_second_tries(&machine, server, &bought.order_id) == "1").then_some(()));
        }
        machine.shop.kill_backend();
        let was_signed = receipts_of_second_tries(&machine, server, &bought.order_id);
        signed_untold += u32::from(was_signed == "1");
        drop(unread);
        machine.shop.start_backend();
        let receipt = |machine: &Machine| {
            let answer = answered(|| machine.asks(&bought.order_id, &promise));
            assert_eq!(answer.status, 200, "{}", answer.text());
            answer.json()["receipt"].as_str().expect("a receipt").to_owned()
        };
        let told = receipt(&machine);
        assert_eq!(told, receipt(&machine), "round {round}");
        let kept = format!("SELECT count(*) FROM receipts WHERE order_id = '{}' AND jws = '{told}'", bought.order_id);
        assert_eq!(
            (number(&machine, server, &kept), receipts_of_second_tries(&machine, server, &bought.order_id)),
            ("1".into(), "1".into())
        );
        assert_eq!(machine.bars_persons(&bought.order_id), [true; 4], "round {round}");
    }
    assert!(signed_untold > 0);
}

/// How older books come to be used.
#[derive(Clone, Copy)]
enum Back<'a> {
    Restored,
    /// The merchant offers no more tries since then.
    RestoredWithoutTries,
    /// Somebody copies the file over the books, and says nothing.
    ByHand,
    Dump(&'a Postgres, &'a Postgres),
    /// The network between the two is cut, and the second one is promoted later. A person says so.
    FailOver(&'a Postgres, &'a Link, &'a Postgres),
}

#[test]
fn restored_books_that_do_not_know_of_a_try_give_nothing_back() {
    books_that_came_back_give_nothing_back(Back::Restored);
}

#[test]
fn a_dump_that_does_not_know_of_a_try_gives_nothing_back() {
    books_that_came_back_give_nothing_back(Back::Dump(&Postgres::start(&[]), &Postgres::start(&[])));
}

#[test]
fn restored_books_give_nothing_back_where_tries_were_turned_off() {
    books_that_came_back_give_nothing_back(Back::RestoredWithoutTries);
}

#[test]
fn yesterdays_file_over_the_books_gives_nothing_back() {
    books_that_came_back_give_nothing_back(Back::ByHand);
}

#[test]
fn a_standby_that_does_not_know_of_a_try_gives_nothing_back() {
    let old = Postgres::start(&[]);
    let between = Link::to(old.port);
    let new = Postgres::behind(between.port, &[]);
    books_that_came_back_give_nothing_back(Back::FailOver(&old, &between, &new));
}

/// All had a second try after the copy was made, and its goods. In the copy nothing had come of one order, one was paid, one could be paid, one was
/// cancelled and paid a moment later. The money of one was on its way, and Midtrans refused it after the copy.
fn books_that_came_back_give_nothing_back(how: Back<'_>) {
    let server = match how {
        Back::Dump(first, _) | Back::FailOver(first, ..) => Some(first),
        Back::Restored | Back::RestoredWithoutTries | Back::ByHand => None,
    };
    let mut machine = Machine::new(server, "auto_refund = true\n");
    let (first, open) = (machine.buys_nothing(), machine.buys());
    let (payable, cancelled) = (machine.orders(), machine.orders());
    assert_eq!(machine.shop.post_to(&cancelled.0, "cancel", &json!({})).status, 200);
    let repaid = machine.buys_nothing();
    machine.shop.midtrans.fault(&json!({"fault": "refuse", "on": "refund"}));
    let page = machine.shop.order_at_backend(&repaid.order_id)["pay_url"].as_str().expect("an address").to_owned() + "&want=money";
    answered(|| Http::new().post_form(&page, &[], Vec::new()).0);
    let copy = machine.shop.path().join("yesterday.db");
    let file = copy.to_str().expect("text");
    match how {
        Back::Dump(first, other) => first.dump_into(other),
        Back::FailOver(old, between, new) => {
            wait_replayed(old, new);
            between.set(Cable::Cut);
        }
        Back::Restored | Back::RestoredWithoutTries | Back::ByHand => assert!(machine.shop.merchant(&["backup", file]).status.success()),
    }
    machine.shop.midtrans.heal();
    machine.shop.midtrans.fault(&json!({"fault": "error", "code": 412, "on": "refund"}));
    machine.shop.midtrans.pay(&payable.0, Via::Gopay);
    machine.shop.midtrans.set(&cancelled.0, "settlement", false);
    let late = [payable, cancelled].map(|(order_id, ticket)| machine.has_receipt(order_id, ticket));
    for bought in late.iter().chain([&open]) {
        machine.closes(bought);
        assert_eq!(machine.tells(bought, 1, "undelivered", &machine.proof(&bought.ticket)).status, 200);
    }
    wait_for("the refusal", || {
        let order = machine.in_the_books(&repaid.order_id);
        (order["attention"] == json!(["refund_failed"])).then_some(())
    });
    assert!(machine.shop.merchant(&["again", &repaid.order_id, "--by", "Sari"]).status.success());
    let all: Vec<&Bought> = late.iter().chain([&open, &first, &repaid]).collect();
    for bought in &all {
        machine.shop.wait_order(&bought.order_id, "another try", |order| order["try_again_s"].as_i64());
        let second = machine.again(bought);
        assert_eq!(machine.dispenses(&second), Ok("dispensed".into()));
        assert_eq!(machine.tells(&second, 2, "dispensed", &machine.proof(&second.ticket)).status, 200);
    }
    // So its mark says what it had.
    machine.shop.backend.take().expect("it runs").terminate();
    machine.shop.midtrans.heal();
    let calls: Vec<usize> = all.iter().map(|bought| machine.refunds(&bought.order_id)).collect();
    assert_eq!(calls[..4], [0; 4], "{calls:?}");
    if matches!(how, Back::RestoredWithoutTries) {
        machine.shop.edit(Program::Backend, |text| text.replace("second_tries = 1", "second_tries = 0"));
    }
    match how {
        Back::Restored | Back::RestoredWithoutTries => {
            let restored = machine.shop.merchant(&["restore", file]);
            assert!(restored.status.success(), "{restored:?}");
        }
        Back::ByHand => {
            let books = machine.shop.path().join("orders.db");
            for left in ["orders.db-wal", "orders.db-shm"] {
                let _ = std::fs::remove_file(books.with_file_name(left));
            }
            std::fs::copy(&copy, &books).expect("copied");
        }
        Back::Dump(first, other) => machine.shop.edit(Program::Backend, |text| text.replace(&first.url(), &other.url())),
        Back::FailOver(old, _, new) => {
            new.promote();
            machine.shop.edit(Program::Backend, |text| text.replace(&old.url(), &new.url()));
            assert!(machine.shop.merchant(&["restore"]).status.success());
        }
    }
    machine.shop.start_backend();
    if let Back::FailOver(.., new) = how {
        assert_eq!(new.ask("SELECT count(*) FROM alerts WHERE kind = 'another_primary' AND ended_ms IS NULL"), "0", "somebody has said it");
    }
    if matches!(how, Back::ByHand) {
        machine.shop.backend.as_ref().expect("it runs").wait_line("or more once: what came after them is lost");
    }
    // It says what does not agree yet, and the gateway is asked.
    machine.shop.merchant(&["reconcile", "--order", &late[1].order_id]);
    // The relay's own words about the first tries are genuine.
    for bought in &all {
        machine.shop.wait_order(&bought.order_id, "its receipt", |order| order["receipt"].as_str().map(|_| ()));
        assert_eq!(machine.tells(bought, 1, "undelivered", &machine.proof(&bought.ticket)).status, 200);
        let order = machine.in_the_books(&bought.order_id);
        let listed = if bought.order_id == repaid.order_id { "refund_failed" } else { "no_proof" };
        assert_eq!((&order["attention"], &order["refund"]), (&json!([listed]), &json!("due")), "for a person: {order}");
        assert!(machine.shop.order_at_backend(&bought.order_id)["try_again_s"].is_null(), "no other try");
        assert!(machine.promised(bought).is_err(), "the relay knows what it drove");
        assert!(!machine.shop.merchant(&["refund", &bought.order_id, "--by", "Sari"]).status.success(), "without a proof");
    }
    assert_eq!(all.iter().map(|bought| machine.refunds(&bought.order_id)).collect::<Vec<_>>(), calls, "nothing was asked back");
    assert_eq!(machine.shop.pulses(), all.len());
}

#[test]
fn what_was_settled_after_the_copy_is_not_settled_once_more() {
    settled_after_the_copy(None);
}

#[test]
fn what_a_standby_does_not_know_to_be_settled_is_not_settled_once_more() {
    let old = Postgres::start(&[]);
    let between = Link::to(old.port);
    let new = Postgres::behind(between.port, &[]);
    settled_after_the_copy(Some((&old, &between, &new)));
}

/// After the copy one order was settled in cash, of one the goods were handed over, of one the money went back in the dashboard, of one by a
/// person's refund, and of one a bank took it. The copy, or a standby that was cut off, knows of none of that, and `auto_refund` is on.
fn settled_after_the_copy(servers: Option<(&Postgres, &Link, &Postgres)>) {
    let mut machine = Machine::new(servers.map(|(old, ..)| old), "auto_refund = true\n");
    let [cash, given, dashboard, bank, refunded] = [(); 5].map(|()| machine.buys_nothing().order_id);
    let all = [&cash, &given, &dashboard, &bank, &refunded];
    let file = machine.shop.path().join("yesterday.db");
    let file = file.to_str().expect("text");
    match servers {
        None => assert!(machine.shop.merchant(&["backup", file]).status.success()),
        Some((old, between, new)) => {
            wait_replayed(old, new);
            between.set(Cable::Cut);
        }
    }
    let settles =
        |machine: &Machine, order: &str, how: &[&str]| machine.shop.merchant(&[&[how[0], order], &how[1..], &["--by", "Sari"]].concat());
    assert!(settles(&machine, &cash, &["refund", "--settled-by-hand", "cash"]).status.success());
    assert!(settles(&machine, &given, &["given", "--from", "elsewhere"]).status.success());
    assert!(settles(&machine, &refunded, &["refund"]).status.success());
    machine.shop.midtrans.set(&dashboard, "refund", false);
    machine.shop.midtrans.set(&bank, "chargeback", false);
    machine.shop.wait_order(&dashboard, "its refund", |order| (order["refund"] == "done").then_some(()));
    let calls = all.map(|order| machine.refunds(order));
    machine.shop.backend.take().expect("it runs").terminate();
    match servers {
        None => assert!(machine.shop.merchant(&["restore", file]).status.success()),
        Some((old, _, new)) => {
            new.promote();
            machine.shop.edit(Program::Backend, |text| text.replace(&old.url(), &new.url()));
            assert!(machine.shop.merchant(&["restore"]).status.success());
        }
    }
    machine.shop.start_backend();
    for order in all {
        assert_eq!(machine.in_the_books(order)["attention"], json!(["no_proof"]), "for a person");
        let page = machine.shop.order_at_backend(order)["pay_url"].as_str().expect("an address").to_owned() + "&want=money";
        answered(|| Http::new().post_form(&page, &[], Vec::new()).0);
        assert!(!settles(&machine, order, &["refund"]).status.success(), "a plain one");
        machine.shop.merchant(&["reconcile", "--order", order]);
    }
    // What the gateway knows the books know again. The rest is a person's.
    let known = |order: &str| machine.in_the_books(order);
    for order in [&dashboard, &refunded] {
        assert_eq!((&known(order)["refund"], &known(order)["attention"]), (&json!("done"), &json!([])));
    }
    assert_eq!(known(&bank)["attention"], json!(["chargeback"]));
    assert_eq!(all.map(|order| machine.refunds(order)), calls, "nothing was asked back");
    assert!(settles(&machine, &cash, &["refund", "--settled-by-hand", "cash"]).status.success(), "told once more");
    assert!(settles(&machine, &given, &["given", "--from", "elsewhere"]).status.success());
    assert_eq!((&known(&cash)["attention"], &known(&given)["attention"]), (&json!([]), &json!([])));
}

/// What failed while `auto_refund` was off may have been paid in cash.
#[test]
fn serve_says_how_much_waits_for_a_person_when_refunds_begin_by_themselves() {
    let mut machine = Machine::new(None, "");
    let older = machine.buys_nothing().order_id;
    let page = machine.shop.order_at_backend(&older)["pay_url"].as_str().expect("an address").to_owned();
    machine.shop.kill_backend();
    machine.shop.edit(Program::Backend, |text| format!("{text}auto_refund = true\n"));
    machine.shop.start_backend();
    machine
        .shop
        .backend
        .as_ref()
        .expect("it runs")
        .wait_line("1 orders wait for a person's refund, Rp5.000 in all: auto_refund is on since");
    assert!(!Http::new().get(&page, None).text().contains("want=money"), "nor is there a button for it");
    let newer = machine.buys_nothing().order_id;
    let page = machine.shop.order_at_backend(&newer)["pay_url"].as_str().expect("an address").to_owned();
    assert!(Http::new().get(&page, None).text().contains("want=money"));
    assert!(machine.shop.merchant(&["refund", &older, "--by", "Sari"]).status.success(), "a person starts it");
}

/// PostgreSQL can put its files back to a point in time. Nothing in them tells that.
#[test]
fn a_person_says_that_postgresql_was_put_back() {
    let server = Postgres::start(&[]);
    let mut machine = Machine::new(Some(&server), "");
    let order = machine.buys_nothing().order_id;
    machine.shop.kill_backend();
    let named = machine.shop.merchant(&["restore", "yesterday.db"]);
    let said = String::from_utf8_lossy(&named.stderr).into_owned();
    assert!(!named.status.success() && said.contains("then run `restore` without a file"), "{said}");
    let restored = machine.shop.merchant(&["restore"]);
    let said = String::from_utf8_lossy(&restored.stdout).into_owned();
    assert!(restored.status.success() && said.contains(": 1 order for a person"), "{said} {restored:?}");
    machine.shop.start_backend();
    assert_eq!(machine.in_the_books(&order)["attention"], json!(["no_proof"]));
    assert!(machine.shop.order_at_backend(&order)["try_again_s"].is_null(), "no other try");
}

#[test]
fn a_refund_in_the_dashboard_during_a_try_is_listed() {
    let machine = Machine::new(None, "");
    let first = machine.buys_nothing();
    let second = machine.again(&first);
    machine.shop.midtrans.set(&first.order_id, "refund", false);
    let order = wait_for("it is listed", || {
        let order = machine.in_the_books(&first.order_id);
        (order["attention"] == json!(["late_fact"])).then_some(order)
    });
    assert_eq!(order["outcome"], Value::Null, "{order}");
    assert_eq!(machine.dispenses(&second), Ok("dispensed".into()), "the machine had its receipt");
    assert_eq!(machine.tells(&second, 2, "dispensed", &machine.proof(&second.ticket)).status, 200);
    let order = machine.in_the_books(&first.order_id);
    assert_eq!((&order["outcome"], &order["attention"]), (&json!("dispensed"), &json!(["late_fact"])), "{order}");
    assert_eq!(machine.bars_persons(&first.order_id), [true; 4], "it is not given back once more");
}

/// Its notification comes after the goods were told, or never.
#[test]
fn a_refund_in_the_dashboard_of_which_nobody_hears_in_time_is_listed() {
    let machine = Machine::new(None, "");
    for quietly in [false, true] {
        let first = machine.buys_nothing();
        let second = machine.again(&first);
        assert_eq!(machine.dispenses(&second), Ok("dispensed".into()));
        machine.shop.midtrans.set(&first.order_id, "refund", true);
        assert_eq!(machine.tells(&second, 2, "dispensed", &machine.proof(&second.ticket)).status, 200);
        assert_eq!(machine.in_the_books(&first.order_id)["attention"], json!([]), "nobody knows of it");
        if !quietly {
            machine.shop.midtrans.set(&first.order_id, "refund", false);
        }
        wait_for("it is listed", || (machine.in_the_books(&first.order_id)["attention"] == json!(["late_fact"])).then_some(()));
    }
}

/// Somebody sends a part back there. The rest is owed, and the command asks for it.
#[test]
fn the_rest_of_a_payment_goes_back_after_a_part() {
    let machine = Machine::new(None, "");
    let bought = machine.buys_nothing();
    machine.shop.midtrans.refund_in_dashboard(&bought.order_id, 2000);
    let rest = i64::try_from(PRICE).expect("small") - 2000;
    let order = wait_for("it is known", || {
        let order = machine.in_the_books(&bought.order_id);
        (order["attention"] == json!(["refund_due", "partial_refund"])).then_some(order)
    });
    assert_eq!(order["to_refund"], json!(rest), "{order}");
    let told = machine.shop.merchant(&["refund", &bought.order_id, "--by", "Sari"]);
    assert!(told.status.success() && stdout(&told).contains("Rp3.000"), "{told:?}");
    // Midtrans refuses more than is there, and calls it a refund when all is back.
    assert_eq!((machine.refunds(&bought.order_id), machine.shop.midtrans.status(&bought.order_id).as_str()), (1, "refund"));
    assert_eq!(machine.in_the_books(&bought.order_id)["refund"], json!("done"));
}

/// A ledger that knows nothing of the first try promises no second one, and drives none that was promised before.
#[test]
fn a_ledger_that_was_lost_between_the_tries_drives_nothing() {
    let mut machine = Machine::new(None, "");
    let (promised, signed) = (machine.buys_nothing(), machine.buys_nothing());
    let promise = machine.promised(&promised).expect("a ticket").1;
    let second = machine.again(&signed);
    machine.shop.kill_relayd();
    let of_the_ledger = |name: &str| name.starts_with("ledger.db");
    let files: Vec<_> = std::fs::read_dir(machine.shop.path()).expect("there").map(|file| file.expect("a file").path()).collect();
    let lost = files.iter().filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(of_the_ledger));
    assert!(lost.map(|path| std::fs::remove_file(path).expect("removed")).count() > 0);
    machine.shop.start_relayd();
    machine.bus = Caller::connect(&machine.shop.bus.address);
    for bought in [&promised, &signed] {
        let refused = machine.promised(bought).expect_err("it does not know that nothing came");
        assert_eq!(refused.name, "NoTry");
    }
    assert_eq!(machine.dispenses(&second), Err("UnknownTicket".into()));
    // The backend has not heard of the new ledger.
    let receipt = machine.asks(&promised.order_id, &promise).json()["receipt"].as_str().expect("a receipt").to_owned();
    let late = Bought { order_id: promised.order_id.clone(), ticket: promised.ticket.clone(), receipt };
    assert_eq!(machine.dispenses(&late), Err("UnknownTicket".into()));
    assert_eq!(machine.shop.pulses(), 0);
}

/// Another machine of the same merchant has a token of its own, and knows the order and its promise.
#[test]
fn another_machine_gets_no_try_of_this_order() {
    let machine = Machine::new(None, "");
    let bought = machine.buys_nothing();
    let promise = machine.promised(&bought).expect("a ticket").1;
    let added = machine.shop.merchant(&["device", "add", "vm-002"]);
    let token = String::from_utf8(added.stdout).expect("text").trim().to_owned();
    let url = format!("{}/v1/orders/{}/again", machine.shop.backend_url, bought.order_id);
    let answer = Http::new().post(&url, Some(&token), &[], &json!({ "promise": promise }));
    assert_eq!(answer.status, 404, "{}", answer.text());
    assert_eq!(receipts_of_second_tries(&machine, None, &bought.order_id), "0");
    // Nor does this relay promise one for another machine.
    let refused = machine
        .bus
        .relay::<_, (String, String)>("PrepareAgain", &("vm-002", "A1", 5000_i64, bought.order_id.as_str(), 2_u32, bought.ticket.as_str()));
    assert_eq!(refused.expect_err("no promise").name, "WrongDevice");
}
