//! Every public and every stored word, as the programs have it now: what commands print, what machines and alerts are told, what stands
//! in the books, on the desk's pages, in the journal and on the bus. A change of the inside changes none of them. Whoever changes one on
//! purpose writes the files in `golden/` anew, and reads what git says of them:
//!
//! ```sh
//! QRIS_GOLDEN=write cargo test --features tools --test all golden::
//! ```
//!
//! What is another in each run – ids, times, ports, keys – is a fixed word (`ORDER-failed`, `TIME`) before it is compared. Not here is
//! what another test compares with the programs: `docs/using/asyncapi.json` (`interfaces::every_message_is_as_the_asyncapi_document_says`),
//! `docs/using/openapi.json` (`conform`), the texts of the journal's catalogue (`documents::the_catalog_is_that_of_the_table_of_events`).

mod fixed;
mod machine;
mod shop;

use crate::rig::{command, output, output_text, source, stdout, tool};
use fixed::Fixed;
use qris::host::events::TABLE;
use qris::order::{merchant, outcome, proof, reason, state, stock};
use qris::wire::{command as afar, dbus, desk, relay, settings, status, telemetry};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::{Map, Value, json};
use shop::Shop;
use std::collections::HashMap;

/// The variable of the environment that has the files written anew.
const WRITE: &str = "QRIS_GOLDEN";
/// The most lines of a difference that are shown.
const SHOWN: usize = 80;

/// A stored file. Sections have a headline.
struct Golden {
    name: &'static str,
    text: String,
    /// The headline of each text that it has.
    known: HashMap<String, String>,
}

impl Golden {
    fn new(name: &'static str) -> Self {
        Self { name, text: String::new(), known: HashMap::new() }
    }

    /// Of two that say the same, the second one only says so.
    fn section(&mut self, headline: &str, text: &str) {
        let first = self.known.entry(text.into()).or_insert_with(|| headline.into());
        let is_first = first == headline || text.lines().count() < 3;
        self.text += &if is_first { format!("## {headline}\n{}\n\n", text.trim_end()) } else { format!("## {headline}\nas {first}\n\n") };
    }

    /// What differs from the stored file, as a patch.
    fn differences(&self) -> Option<String> {
        let stored = source(&format!("tests/all/golden/{}.txt", self.name));
        if std::env::var_os(WRITE).is_some_and(|how| how == "write") {
            std::fs::write(&stored, &self.text).expect("written");
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let now = directory.path().join("now");
        std::fs::write(&now, &self.text).expect("written");
        let labels = [format!("golden/{}.txt", self.name), "now".into()];
        let mut diff = command(tool("diff"));
        diff.args(["--new-file", "--unified=1", "--show-function-line=^## "]);
        let told = output(diff.args(labels.iter().flat_map(|label| ["--label", label])).arg(stored).arg(now));
        let text = output_text(&told);
        let shown: Vec<_> = text.lines().take(SHOWN).collect();
        let left = text.lines().count() - shown.len();
        (!told.status.success()).then(|| format!("{}\n({left} more lines)", shown.join("\n")))
    }
}

/// Fails if a file differs.
fn compare(all: &[Golden]) {
    let wrong: Vec<_> = all.iter().filter_map(Golden::differences).collect();
    assert!(wrong.is_empty(), "{}\nIf that is meant, write the files anew: {WRITE}=write", wrong.join("\n"));
}

/// The commands that list or show.
const COMMANDS: [&str; 24] = [
    "orders",
    "orders --json",
    "orders --csv",
    "orders --refund-due",
    "orders --attention",
    "orders --status settlement --limit 2",
    "orders nobody",
    "report",
    "report --json",
    "report --csv",
    "report --by item",
    "report --by scheme --json",
    "report --by day --csv --separator ;",
    "device list",
    "device list --json",
    "stock",
    "stock --json",
    "stock --csv",
    "stock --to-fill",
    "stock --to-fill --json",
    "stock --to-fill --csv",
    "desk list",
    "doctor",
    "doctor --json",
];
/// What is refused, and of which order.
const REFUSED: [(&str, &str); 12] = [
    ("refund", "sold"),
    ("refund", "pending"),
    ("refund", "awaited"),
    ("refund --no-report", "awaited"),
    ("refund", "given"),
    ("refund", "refunded"),
    ("refund", "failed-undriven"),
    ("refund", "code-not-collected"),
    ("given", "by-hand"),
    ("again", "uncertain"),
    ("again", "last-day"),
    ("seen", "sold"),
];
/// Of `qrisctl`, by an operator of the fleet.
const FLEET: [&str; 8] =
    ["status", "status --json", "fleet list", "fleet list --json", "fleet show", "fleet show --json", "fleet stock", "fleet stock --json"];

/// Tables whose rows come and go while it runs.
const PASSING: [&str; 4] = ["alert_turn", "day_sums", "outbox", "outbox_turn"];

#[test]
fn a_shop_says_and_stores_the_same_words() {
    let mut shop = Shop::open();
    let mut told = vec![orders(&shop), commands(&shop), fleet(&shop), alerts(&shop), customers(&shop), pages(&mut shop)];
    told.extend([reconciled(&shop), books(&shop), refund_asked(&mut shop)]);
    compare(&told);
}

/// Who reads the journal finds an entry by its id and its fields.
#[test]
fn the_journal_has_the_same_events() {
    let mut golden = Golden::new("journal");
    for kind in TABLE {
        let text = format!("{} {:?} {:?}\n{}\n{}\n", kind.message_id, kind.priority, kind.cause, kind.values.join(" "), kind.subject);
        golden.section(kind.name, &text);
    }
    compare(&[golden]);
}

/// The lists of words, also of those that no order of the shop needs.
#[test]
fn every_list_has_the_same_words() {
    let mut golden = Golden::new("words");
    let mut list = |name: &str, words: Value| {
        let words: Vec<_> = words.as_array().expect("a list").iter().map(|word| word.as_str().expect("a word").to_owned() + "\n").collect();
        golden.section(name, &words.concat());
    };
    list("reason", json!(reason::Reason::ALL));
    list("state of a request", json!(state::EventState::ALL));
    list("status of an order", json!(state::Status::ALL));
    list("refund of an order", json!(state::Refund::ALL));
    list("outcome", json!(outcome::Delivery::ALL));
    list("end of a ticket", json!(proof::Last::ALL));
    list("change of a slot", json!(stock::Change::ALL));
    list("fault of a machine", json!(status::FaultCode::ALL));
    list("fault of a relay", json!(relay::RelayFault::ALL));
    list("condition of a line", json!(relay::LineCondition::ALL));
    list("refusal of a relay", json!(dbus::RelayError::ALL.iter().map(|error| error.name()).collect::<Vec<_>>()));
    list("stage of a command", json!(afar::Stage::ALL));
    list("answer to a command", json!(afar::Code::ALL));
    list("objection to a setting", json!(settings::Objection::ALL));
    list("start of a computer", json!(telemetry::Booted::ALL));
    list("attention", json!(merchant::Attention::ALL));
    list("deed", json!(desk::Deed::ALL));
    compare(&[golden]);
}

#[test]
fn a_machine_says_the_same_words() {
    compare(&machine::told());
}

/// Orders as machines get them.
fn orders(shop: &Shop) -> Golden {
    let mut golden = Golden::new("orders");
    for (name, id) in &shop.orders {
        golden.section(name, &shop.fixed.json(&shop.desk.shop.order_at_backend(id)));
    }
    golden
}

fn commands(shop: &Shop) -> Golden {
    let mut golden = Golden::new("commands");
    for line in COMMANDS {
        run(shop, line, &line.split(' ').collect::<Vec<_>>(), &mut golden);
    }
    for (command, name) in REFUSED {
        let id = shop.id(name);
        let arguments: Vec<&str> = command.split(' ').chain([&*id, "--by", "Sari"]).collect();
        run(shop, &format!("{command} {name}"), &arguments, &mut golden);
    }
    for (name, id) in &shop.orders {
        run(shop, &format!("orders {name}"), &["orders", id], &mut golden);
        run(shop, &format!("orders --json {name}"), &["orders", "--json", id], &mut golden);
    }
    golden
}

/// What a command of `qris-backend` writes, in both languages if people read it.
fn run(shop: &Shop, line: &str, arguments: &[&str], golden: &mut Golden) {
    let is_json = line.contains("--json");
    let speaks = !is_json && !line.contains("--csv") && !line.starts_with("device");
    for language in if speaks { &["en", "id"][..] } else { &["en"] } {
        let speak = if speaks { &["--speak", language][..] } else { &[] };
        let told = shop.told(&[arguments, speak].concat());
        let text = if is_json { shop.fixed.json_lines(&stdout(&told)) } else { shop.fixed.text(&output_text(&told)) };
        golden.section(&format!("{line} ({language}, {})", told.status), &text);
    }
}

fn fleet(shop: &Shop) -> Golden {
    let mut golden = Golden::new("fleet");
    for line in FLEET {
        let told = shop.desk.shop.qrisctl(&line.split(' ').collect::<Vec<_>>());
        let text = if line.contains("--json") { shop.fixed.json_lines(&stdout(&told)) } else { shop.fixed.text(&output_text(&told)) };
        golden.section(&format!("{line} ({})", told.status), &text);
    }
    golden
}

fn alerts(shop: &Shop) -> Golden {
    let mut told = shop.alerts();
    let key = |alert: &Value| shop.fixed.text(&format!("{} {} {}", alert["order"]["order_id"], alert["device"], alert["kind"]));
    told.sort_by_key(|alert| (key(alert), alert["over"].to_string()));
    let mut golden = Golden::new("alerts");
    for alert in &told {
        golden.section(key(alert).trim(), &shop.fixed.json(alert));
    }
    golden
}

/// The desk's pages, without their tags.
fn pages(shop: &mut Shop) -> Golden {
    let mut golden = Golden::new("desk");
    let mut at: Vec<String> =
        ["/", "/orders", "/orders?wanting=true", "/machines", "/machines/vm-001", "/machines/vm-002", "/bring"].map(Into::into).into();
    at.extend(["/report", "/report?by=item", "/report?by=scheme", "/log", "/sessions", "/nowhere"].map(Into::into));
    let deeds = |id: &String| ["", "/refund", "/by_hand", "/given", "/again", "/seen"].map(|deed| format!("/orders/{id}{deed}"));
    at.extend(shop.orders.iter().flat_map(|(_, id)| deeds(id)));
    for language in ["en", "id"] {
        shop.owner.language = language;
        at.iter().for_each(|at| page(shop, at, &mut golden));
    }
    golden
}

fn page(shop: &mut Shop, at: &str, golden: &mut Golden) {
    shop.comes_back();
    let page = shop.owner.get(at);
    let text = shop.fixed.text(&texts(&page.html, at == "/"));
    // What follows is by hours.
    let text = ["\nHH:MM\n", "\nHH.MM\n"].iter().fold(&*text, |text, hour| text.split_once(hour).map_or(text, |(before, _)| before));
    golden.section(&format!("{} ({}, {})", shop.fixed.text(at).trim(), shop.owner.language, page.status), text);
}

/// The customer's page of each order, as the machine shows its address.
fn customers(shop: &Shop) -> Golden {
    let mut golden = Golden::new("customer");
    for (name, id) in &shop.orders {
        let address = shop.desk.shop.order_at_backend(id)["pay_url"].as_str().expect("an address").to_owned();
        for language in ["en", "id"] {
            let page = shop.desk.shop.http.get(&format!("{address}&lang={language}"), None);
            golden.section(&format!("{name} ({language}, {})", page.status), &shop.fixed.text(&texts(&page.text(), true)));
        }
    }
    golden
}

/// What the gateway says otherwise.
fn reconciled(shop: &Shop) -> Golden {
    let mut golden = Golden::new("reconcile");
    for (name, status) in [("sold-by-qris", "expire"), ("late", "refund"), ("sold", "chargeback")] {
        shop.desk.shop.midtrans.set(&shop.id(name), status, true);
    }
    for line in ["reconcile --json --per-second 100", "reconcile --per-second 100"] {
        run(shop, line, &line.split(' ').collect::<Vec<_>>(), &mut golden);
    }
    golden
}

/// A refund that the gateway has not answered yet. How often it was asked is another in each run, so the history is left out.
fn refund_asked(shop: &mut Shop) -> Golden {
    let mut golden = Golden::new("refund_asked");
    let asked = shop.asks_for_a_refund();
    golden.section("order", &shop.fixed.json(&shop.desk.shop.order_at_backend(&asked)));
    let told = shop.fixed.text(&shop.good(&["orders", &asked]));
    golden.section("orders", told.split_once("history\n").map_or(&*told, |(facts, _)| facts));
    for language in ["en", "id"] {
        shop.owner.language = language;
        ["/refund", "/given"].iter().for_each(|deed| page(shop, &format!("/orders/{asked}{deed}"), &mut golden));
    }
    golden
}

/// The texts of a page, one a line; and the words of it that are only heard, or stand in an empty field.
fn texts(html: &str, is_whole: bool) -> String {
    let begin = if is_whole { "<body" } else { "<main" };
    let body = html.split_once(begin).map_or(html, |(_, body)| body);
    let mut lines = Vec::new();
    for piece in body.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap_or((piece, ""));
        for name in [" aria-label=\"", " title=\"", " placeholder=\""] {
            lines.extend(tag.split_once(name).and_then(|(_, rest)| rest.split_once('"')).map(|(word, _)| format!("[{word}]")));
        }
        lines.push(text.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    lines.retain(|line| !line.is_empty());
    lines.join("\n").replace("&#39;", "'").replace("&#34;", "\"").replace("&#38;", "&").replace("&#60;", "<").replace("&#62;", ">")
}

/// What is stored: each row of the merchant's databases, a value a line.
fn books(shop: &Shop) -> Golden {
    let mut golden = Golden::new("books");
    for file in ["orders.db", "devices.db"] {
        let database = Connection::open(shop.desk.shop.path().join(file)).expect("a database");
        rows(&database, &shop.fixed, &mut golden);
    }
    golden
}

fn rows(database: &Connection, fixed: &Fixed, golden: &mut Golden) {
    let mut names =
        database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name").expect("SQL");
    let names: Vec<String> = names.query_map([], |row| row.get(0)).expect("tables").map(|name| name.expect("a name")).collect();
    for table in names {
        let mut all = database.prepare(&format!("SELECT * FROM {table} ORDER BY rowid")).expect("SQL");
        let columns: Vec<String> = all.column_names().into_iter().map(Into::into).collect();
        let mut rows = all.query([]).expect("rows");
        golden.section(&table, &columns.join(" "));
        if PASSING.contains(&&*table) {
            continue;
        }
        while let Some(row) = rows.next().expect("a row") {
            let value = |at: usize| match row.get_ref(at).expect("a value") {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => json!(number),
                ValueRef::Real(number) => json!(number),
                ValueRef::Text(text) => json!(String::from_utf8_lossy(text)),
                ValueRef::Blob(_) => json!("BYTES"),
            };
            let fields: Map<String, Value> = columns.iter().enumerate().map(|(at, name)| (name.clone(), value(at))).collect();
            let first = fixed.text(&fields[&columns[0]].to_string());
            golden.section(&format!("{table} {}", first.trim()), &fixed.json(&Value::Object(fields)));
        }
    }
}
