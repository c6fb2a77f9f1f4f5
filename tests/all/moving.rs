//! Books and machines go from a file to PostgreSQL, and from one PostgreSQL to another by `pg_dump`: what was sold is there, and what
//! is sold next follows it.

use crate::rig::midtrans::Via;
use crate::rig::postgres::Postgres;
use crate::rig::shop::{Program, Shop};
use crate::rig::{stderr, stdout};
use serde_json::Value;

/// What a command says, and whether it went well.
fn said(shop: &Shop, arguments: &[&str]) -> (bool, String) {
    let told = shop.merchant(arguments);
    (told.status.success(), if told.status.success() { stdout(&told) } else { stderr(&told) })
}

/// Starts the backend on other books.
fn serve_from(shop: &mut Shop, url: &str) {
    if let Some(backend) = shop.backend.take() {
        assert!(backend.terminate().0.success());
    }
    shop.edit(Program::Backend, |text| {
        let (before, rest) = text.split_once("[store]\n").expect("a section");
        let (_, after) = rest.split_once('\n').expect("a line");
        format!("{before}[store]\nurl = \"{url}\"\n{after}")
    });
    shop.start_backend();
}

/// What the machine says of itself at the broker. The backend hears it at its own time, also while two lists are compared.
const SAID_BY_ITSELF: [&str; 6] = ["there", "since", "off_since", "version", "faults", "topics"];

/// The orders and the machines, as the merchant sees them when the machine has told its outcomes.
fn seen(shop: &Shop) -> [Vec<Value>; 3] {
    shop.check_books();
    let lists = [&["orders", "--json"][..], &["report", "--json"], &["device", "list", "--json"]];
    lists.map(|list| {
        let (is_good, told) = said(shop, list);
        assert!(is_good && !told.is_empty(), "{list:?}: {told}");
        let mut rows: Vec<Value> = told.lines().map(|row| serde_json::from_str(row).expect("JSON")).collect();
        for row in rows.iter_mut().filter_map(Value::as_object_mut) {
            row.retain(|field, _| !SAID_BY_ITSELF.contains(&field.as_str()));
            // A machine's row has the name that it said. That of an order stays.
            if row.contains_key("code_until") {
                row.remove("machine");
            }
        }
        rows
    })
}

#[test]
fn books_go_to_postgresql_row_by_row() {
    let server = Postgres::start(&[]);
    let mut shop = Shop::open(crate::rig::shop::Options::default());
    let first = format!("sqlite://{}/orders.db", shop.path().display());
    shop.sell("A1", Via::Gopay);
    let owed = shop.offer("A2");
    shop.cancel(&owed);
    shop.wait_state(&owed, qris::wire::vend::EventState::Cancelled);
    let (is_good, why) = said(&shop, &["copy", "--from", &first, "--to", &server.url()]);
    assert!(!is_good && why.contains("stop every `serve`"), "{why}");
    let before = seen(&shop);
    shop.backend.take().expect("it runs").terminate();

    // A row that is not what it was undoes all of it.
    let (is_good, told) = said(&shop, &["copy", "--from", &first, "--to", &server.url()]);
    assert!(is_good, "{told}");
    server.ask("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    let nowhere = format!("sqlite://{}/nothing.db", shop.path().display());
    let (is_good, _) = said(&shop, &["copy", "--from", &nowhere, "--to", &server.url()]);
    assert!(!is_good, "there are no such books");
    let url = server.url();
    let to_server = ["copy", "--json", "--from", first.as_str(), "--to", url.as_str()];
    serve_from(&mut shop, &url);
    shop.backend.take().expect("it runs").terminate();
    let change = "CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.event = 'other'; RETURN NEW; END $$";
    server.ask(change);
    server.ask("CREATE TRIGGER other BEFORE INSERT ON history FOR EACH ROW EXECUTE FUNCTION other()");
    let (is_good, why) = said(&shop, &to_server);
    assert!(!is_good && why.contains("a row of history is not the same"), "{why}");
    assert_eq!(server.ask("SELECT count(*) FROM orders"), "0");
    server.ask("DROP TRIGGER other ON history");

    let (is_good, told) = said(&shop, &to_server);
    assert!(is_good, "{told}");
    let counts: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((&counts["orders"], &counts["receipts"], &counts["devices"]), (&2.into(), &1.into(), &1.into()), "{counts}");
    let (is_good, why) = said(&shop, &to_server);
    assert!(!is_good && why.contains("has rows already"), "{why}");

    serve_from(&mut shop, &url);
    let (is_good, why) = said(&shop, &to_server);
    assert!(!is_good && why.contains("stop every `serve`"), "{why}");
    assert_eq!(seen(&shop), before);
    shop.sell("A1", Via::Gopay);
    shop.check_books();
    assert_eq!(shop.pulses(), 2);
}

#[test]
fn a_dump_that_is_restored_goes_on() {
    let (server, other) = (Postgres::start(&[]), Postgres::start(&[]));
    let store = Some(format!("url = \"{}\"", server.url()));
    let mut shop = Shop::open(crate::rig::shop::Options { store, ..Default::default() });
    shop.sell("A1", Via::Gopay);
    let before = seen(&shop);
    // While it serves.
    server.dump_into(&other);
    serve_from(&mut shop, &other.url());
    assert_eq!(seen(&shop), before);
    shop.sell("A1", Via::Gopay);
    shop.check_books();
    assert_eq!(other.ask("SELECT count(*) || ' ' || count(DISTINCT transaction_id) FROM receipts"), "2 2");
}
