//! The books are lost, and customers pay all the same. Machines are not locked out, and no money is forgotten.

use crate::rig::http::Http;
use crate::rig::midtrans::{Via, notification};
use crate::rig::shop::{DEVICE, Options, Program, Shop, new_request_id};
use crate::rig::{command, output, output_text, tool, wait_for};
use crate::setup_asks::Terminal;
use qris::wire::vend::EventState;
use serde_json::json;
use std::process::Stdio;

/// Ends the backend and takes a database away.
fn lose(shop: &mut Shop, name: &str) {
    shop.kill_backend();
    for suffix in ["", "-wal", "-shm"] {
        let from = shop.path().join(format!("{name}{suffix}"));
        if from.exists() {
            std::fs::rename(&from, shop.path().join(format!("lost-{name}{suffix}"))).expect("renamed");
        }
    }
}

/// The order as the commands tell it, once it is so.
fn wait_told(shop: &Shop, order_id: &str, words: &str) -> String {
    wait_for(&format!("{order_id}: {words}"), || {
        let text = output_text(&shop.merchant(&["orders", order_id]));
        text.contains(words).then_some(text)
    })
}

#[test]
fn machines_are_let_in_after_the_books_were_lost() {
    let mut shop = Shop::merchants_side();
    shop.paid();
    lose(&mut shop, "orders.db");
    shop.start_backend();
    assert_eq!(shop.backend_get("/v1/orders?state=open").status, 200);
    assert!(shop.charge()["order_id"].is_string(), "it sells on");
    assert!(output_text(&shop.merchant(&["device", "list"])).contains(DEVICE));
}

#[test]
fn a_customer_who_pays_after_the_books_were_lost_gets_the_goods() {
    let mut shop = Shop::open(Options::default());
    let request = shop.offer("A1");
    lose(&mut shop, "orders.db");
    shop.start_backend();
    shop.pay(Via::Gopay);
    shop.wait_state(&request, EventState::Dispensed);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

#[test]
fn what_was_handed_out_before_the_loss_is_told_once_more() {
    let mut shop = Shop::open(Options::default());
    let sold = shop.sell("A1", Via::Gopay).order_id.expect("it was charged").to_string();
    shop.wait_order(&sold, "its outcome", |order| order["outcome"]["outcome"].as_str().map(str::to_owned));
    lose(&mut shop, "orders.db");
    shop.start_backend();
    let rebuilt = output_text(&shop.merchant(&["reconcile", "--order", &sold]));
    assert!(rebuilt.contains("rebuilt from the gateway"), "{rebuilt}");
    // When it connects or is started, a machine asks what is open there.
    shop.kill_qrisd();
    shop.start_qrisd();
    wait_told(&shop, &sold, "outcome      dispensed");
    assert_eq!(shop.pulses(), 1);
}

#[test]
fn a_settlement_is_rebuilt_from_its_notification_and_listed_for_a_person() {
    let mut shop = Shop::merchants_side();
    let id = |order: serde_json::Value| order["order_id"].as_str().expect("an id").to_owned();
    let (told_of, asked_for) = (id(shop.charge()), id(shop.charge()));
    lose(&mut shop, "orders.db");
    // Also one of a machine that nobody knows any more.
    lose(&mut shop, "devices.db");
    shop.midtrans.fault(&json!({"fault": "drop_notification", "count": 10}));
    for order in [&told_of, &asked_for] {
        shop.midtrans.pay(order, Via::Gopay);
    }
    shop.start_backend();
    assert_eq!(shop.notify(&notification(&told_of, "200", "5000.00", "settlement")).status, 200);
    let text = wait_told(&shop, &told_of, "receipt      signed");
    assert!(text.contains("machine      vm-001") && text.contains("rebuilt from the gateway"), "{text}");
    // One whose notification will never come is asked for by its name, as the dashboard has it.
    let reconciled = shop.merchant(&["reconcile", "--order", &asked_for, "--order", "nobody-has-this-id"]);
    let text = output_text(&reconciled);
    assert!(text.contains("rebuilt from the gateway; it is now: settlement"), "{text}");
    assert!(text.contains("nobody-has-this-id is not in the books, and the gateway does not know it"), "{text}");
    assert!(reconciled.status.code() == Some(1) && text.contains("asked about 1 order, 1 difference; 1 are not orders of ours"), "{text}");
    let again = output_text(&shop.merchant(&["reconcile", "--order", &asked_for, "--order", &told_of]));
    assert!(again.contains("asked about 2 orders, 0 differences"), "{again}");
    // Nobody takes them: a person says how they ended.
    let token = shop.merchant(&["device", "add", DEVICE]);
    shop.token = String::from_utf8(token.stdout).expect("text").trim().into();
    assert_eq!(shop.post_to(&told_of, "outcome", &json!({ "outcome": "undelivered" })).status, 200);
    let due = output_text(&shop.merchant(&["orders", "--refund-due"]));
    assert!(due.contains(&told_of) && !due.contains(&asked_for), "{due}");
    let day = output_text(&shop.merchant(&["reconcile", "--per-second", "100"]));
    assert!(day.contains("asked about 2 orders, 0 differences"), "{day}");
}

#[test]
fn a_backup_that_was_made_beside_serve_sells_on() {
    let mut shop = Shop::merchants_side();
    let sold = shop.reported("dispensed");
    let due = shop.reported("undelivered");
    let file = shop.path().join("backup.db");
    let name = file.to_str().expect("text").to_owned();
    // While orders are written all the time.
    let mut backup = shop.program_command(Program::Backend);
    let mut backup = backup.args(["backup", &name, "--json"]).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut made = 0;
    while backup.try_wait().expect("a child").is_none() {
        shop.charge();
        made += 1;
    }
    let answer: serde_json::Value = serde_json::from_reader(backup.stdout.take().expect("piped")).expect("JSON");
    assert_eq!((&answer["machines"], &answer["damaged"]), (&json!(1), &json!([])), "{answer}");
    let in_it = answer["orders"].as_i64().expect("a number");
    assert!((2..=2 + made).contains(&in_it), "{in_it} of {made} and two");
    let devices = format!("{name}.devices");
    for path in [&name, &devices] {
        let mode = output(command("stat").args(["-c", "%a", path]));
        assert_eq!(String::from_utf8_lossy(&mode.stdout).trim(), "600", "{path}");
        assert!(!std::path::Path::new(&format!("{path}.part")).exists());
    }
    // It is never put over anything.
    let before = std::fs::read(&file).expect("there");
    let again = shop.merchant(&["backup", &name]);
    assert!(again.status.code() == Some(1) && output_text(&again).contains("is there already"), "{}", output_text(&again));
    assert!(!shop.merchant(&["backup", &devices.replace(".devices", "")]).status.success());
    assert_eq!(std::fs::read(&file).expect("there"), before);
    let nowhere = shop.merchant(&["backup", "/nowhere/backup.db"]);
    assert!(
        nowhere.status.code() == Some(1) && output_text(&nowhere).contains("/nowhere/backup.db.part: No such file"),
        "{}",
        output_text(&nowhere)
    );

    let after = shop.paid();
    // Its machine has told its end, and asks no more.
    let over = shop.reported("dispensed");
    let refused = output_text(&shop.merchant(&["restore", &name]));
    assert!(refused.contains("another process has it"), "{refused}");
    lose(&mut shop, "devices.db");
    let no_copy = shop.merchant(&["restore", &devices]);
    assert!(!no_copy.status.success() && output_text(&no_copy).contains("belongs to another program"), "{no_copy:?}");
    // Machines that cannot be opened, and are not damaged, stay.
    let others = shop.path().join("devices.db");
    std::fs::copy(&file, &others).expect("copied");
    let kept = shop.merchant(&["restore", &name]);
    assert!(!kept.status.success() && std::fs::read(&others).expect("there") == before, "{kept:?}");
    std::fs::remove_file(&others).expect("removed");
    let restored = shop.merchant(&["restore", &name]);
    let text = output_text(&restored);
    assert!(restored.status.success() && text.contains("the machines were gone") && text.contains(&format!("{after}  vm-001")), "{text}");
    assert!(!text.contains(&sold), "the copy has it as it was: {text}");
    shop.start_backend();
    assert!(!shop.backend.as_ref().expect("it runs").text().contains("what came after them is lost"), "only this moves the mark back");
    assert_eq!(shop.order_at_backend(&sold)["outcome"]["outcome"], "dispensed");
    assert!(output_text(&shop.merchant(&["orders", "--refund-due"])).contains(&due));
    shop.paid();
    // What is younger than the backup comes back when its machine asks, or by the line that `restore` has for it.
    assert_eq!(shop.order_at_backend(&after)["status"], "settlement");
    assert!(!output_text(&shop.merchant(&["orders"])).contains(&over));
    let line = text.split("`reconcile --order ").nth(1).and_then(|rest| rest.split('`').next()).expect("a line to type");
    let orders = line.split(' ').collect::<Vec<_>>();
    let taken_up = shop.merchant(&[&["reconcile", "--per-second", "100", "--order"], &orders[..]].concat());
    assert!(line.contains(&over) && output_text(&taken_up).contains("rebuilt from the gateway"), "{line}: {taken_up:?}");
    assert!(output_text(&shop.merchant(&["orders"])).contains(&over));
}

/// The books count on from where the copy was made. Then a long poll begins before its payment, and must not end with what it saw first.
#[test]
fn a_machine_that_knows_more_than_books_that_were_put_back_hears_what_changes() {
    let shop = Shop::merchants_side();
    let order = shop.charge();
    let (id, newer) = (order["order_id"].as_str().expect("an id"), order["rev"].as_u64().expect("a rev") + 7);
    let (url, token) = (format!("{}/v1/orders/{id}?wait=10&since={newer}", shop.backend_url), &shop.token);
    std::thread::scope(|scope| {
        let heard = scope.spawn(|| Http::new().get(&url, Some(token)).json());
        shop.midtrans.pay(id, Via::Gopay);
        assert_eq!(heard.join().expect("an answer")["status"], "settlement");
    });
}

#[test]
fn what_serve_would_write_into_a_file_without_a_name_is_refused_and_told() {
    let mut shop = Shop::merchants_side();
    let sold = shop.paid();
    let log = shop.path().join("orders.db-wal");
    let aside = shop.path().join("aside");
    std::fs::rename(&log, &aside).expect("moved");
    let refused = |shop: &Shop| shop.post_order(&shop.order_body(&new_request_id())).status;
    assert_eq!(refused(&shop), 503);
    shop.backend.as_ref().expect("it runs").wait_line("is not the one that this program has open");
    let ready = shop.http.get(&format!("{}/readyz", shop.backend_url), None);
    assert_eq!(ready.status, 503, "{}", ready.text());
    assert_eq!(refused(&shop), 503);
    std::fs::rename(&aside, &log).expect("moved back");
    wait_for("sales", || (refused(&shop) == 201).then_some(()));
    assert_eq!(shop.order_at_backend(&sold)["status"], "settlement", "nothing was lost");

    // It is removed for good.
    shop.kill_backend();
    std::fs::remove_file(&log).expect("removed");
    shop.start_backend();
    shop.backend.as_ref().expect("it runs").wait_line("what came after them is lost");
    let doctor = output_text(&shop.merchant(&["doctor"]));
    assert!(doctor.contains("an older copy, or a file of them was removed"), "{doctor}");
}

#[test]
fn a_backup_of_damaged_books_says_what_is_damaged_in_it() {
    let mut shop = Shop::merchants_side();
    let (harmed, well) = (shop.reported("dispensed"), shop.reported("dispensed"));
    shop.kill_backend();
    let books = rusqlite::Connection::open(shop.path().join("orders.db")).expect("the books");
    let trigger: String = books
        .query_row("SELECT sql FROM sqlite_schema WHERE name = 'orders_are_written_once_a_version'", [], |row| row.get(0))
        .expect("there");
    books.execute_batch("DROP TRIGGER orders_are_written_once_a_version").expect("dropped");
    books.execute("UPDATE orders SET body = replace(body, 'A1', 'A2') WHERE order_id = ?1", [&harmed]).expect("harmed");
    books.execute_batch(&trigger).expect("made again");
    drop(books);
    let file = shop.path().join("backup.db");
    let output = shop.merchant(&["backup", file.to_str().expect("text")]);
    let text = output_text(&output);
    assert!(output.status.code() == Some(1) && text.contains(&format!("damaged in the books and in this backup: {harmed};")), "{text}");
    assert!(file.exists() && !text.contains(&well), "all else is saved");
    // Whose pages are damaged is not copied as if it were good.
    lose(&mut shop, "orders.db");
    shop.spoil("orders.db");
    let other = shop.path().join("other.db");
    let output = shop.merchant(&["backup", other.to_str().expect("text")]);
    assert!(output.status.code() == Some(1) && output_text(&output).contains("is damaged"), "{}", output_text(&output));
    let left: Vec<_> = std::fs::read_dir(shop.path()).expect("read").map(|entry| entry.expect("an entry").file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("other.db")), "{left:?}");
}

#[test]
fn a_backend_that_lost_its_machines_says_what_to_do() {
    let mut shop = Shop::merchants_side();
    let paid = shop.paid();
    lose(&mut shop, "devices.db");
    shop.start_backend();
    shop.backend.as_ref().expect("started").wait_line("devices.db was lost");
    assert_eq!(shop.backend_get("/v1/orders?state=open").status, 401);
    let doctor = output_text(&shop.merchant(&["doctor"]));
    assert!(doctor.contains("0 are let in, 0 are revoked"), "{doctor}");
    // Each is given a new token, and its orders are still there.
    let token = shop.merchant(&["device", "add", DEVICE]);
    assert!(token.status.success(), "{}", output_text(&token));
    shop.token = String::from_utf8(token.stdout).expect("text").trim().into();
    assert_eq!(shop.order_at_backend(&paid)["status"], "settlement");
}

#[test]
fn a_damaged_database_of_the_machines_is_set_aside_and_the_orders_stay() {
    let mut shop = Shop::merchants_side();
    let paid = shop.paid();
    lose(&mut shop, "devices.db");
    shop.spoil("devices.db");
    let listed = shop.merchant(&["device", "list"]);
    assert!(!listed.status.success() && output_text(&listed).contains("is damaged"), "{}", output_text(&listed));
    shop.start_backend();
    let backend = shop.backend.as_ref().expect("started");
    backend.wait_line("devices.db was damaged: it was set aside as");
    backend.wait_line("devices.db was lost");
    assert!(output_text(&shop.merchant(&["orders"])).contains(&paid));
}

/// The disk is slow: it takes three seconds to write a file down.
#[test]
fn a_backup_that_takes_long_says_at_a_terminal_how_far_it_is() {
    let shop = Shop::merchants_side();
    let file = shop.path().join("slow.db");
    let backup = shop.program_command(Program::Backend);
    let mut slow = command(tool("strace"));
    slow.args(["-qqf", "-o", "/dev/null", "-e", "trace=fsync", "-e", "inject=fsync:delay_enter=3000000:when=1"]);
    slow.arg(backup.get_program()).args(backup.get_args()).arg("backup").arg(&file);
    let mut terminal = Terminal::start(&slow);
    assert!(terminal.end().success(), "{}", terminal.shown());
    let shown = terminal.shown();
    assert!(shown.contains(" MB are written") && file.exists(), "{shown}");
    assert!(
        shown.rsplit_once("\u{1b}[K").is_some_and(|(_, last)| last.contains("slow.db: 0 orders")),
        "its line is gone at the end: {shown}"
    );
}
