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
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use serde_json::{Value, json};
use shop::Shop;
use std::collections::{BTreeSet, HashMap};
use std::process::Output;

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

    /// The same of one order, whose own name is left out: many say the same but for that.
    fn of(&mut self, name: &str, headline: &str, text: &str) {
        self.section(headline.trim(), &if name.is_empty() { text.into() } else { text.replace(&format!("-{name}"), "") });
    }

    /// What differs from the stored file, as a patch.
    fn differences(&self) -> Option<String> {
        let stored = source(&format!("tests/all/golden/{}.txt", self.name));
        if std::env::var_os(WRITE).is_some_and(|how| how == "write") {
            std::fs::write(&stored, &self.text).expect("written");
            return None;
        }
        let now = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(&now, &self.text).expect("written");
        let mut diff = command(tool("diff"));
        diff.args(["--new-file", "--unified=1", "--show-function-line=^## "]);
        diff.args(["--label", &format!("golden/{}.txt", self.name), "--label", "now"]);
        let told = output(diff.arg(stored).arg(now.path()));
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

/// Of `qris-backend`, those that list or show.
const COMMANDS: &str = "orders; orders --json; orders --csv; orders --refund-due; orders --attention; orders --status settlement \
    --limit 2; orders nobody; report; report --json; report --csv; report --by item; report --by scheme --json; report --by day \
    --csv --separator ,; device list; device list --json; stock; stock --json; stock --csv; stock --to-fill; stock --to-fill --json; \
    stock --to-fill --csv; desk list; doctor; doctor --json";
/// What is refused, and of which order.
const REFUSED: &str = "refund sold; refund pending; refund awaited; refund --no-report awaited; refund given; refund refunded; \
    refund failed-undriven; refund code-not-collected; given by-hand; again uncertain; again last-day; seen sold";
/// Of `qrisctl`, by an operator of the fleet.
const FLEET: [&str; 4] = ["status", "fleet list", "fleet show", "fleet stock"];
/// Of the desk.
const PAGES: &str = "/ /orders /orders?q=Rp5.000+today+lobby /orders?q=nothing /orders?wanting=true /machines /machines/vm-001 \
    /machines/vm-002 /bring /bring.csv /report /report?by=item /report?by=scheme /report.csv /log /sessions /nowhere /orders/nobody";
/// What comes after such a line has an order that is not the same each time: a message may come before an answer. `books` has each word.
const HISTORY: [&str; 4] =
    ["history", "riwayat (dicatat dalam bahasa Inggris)", "The full history, in English", "Riwayat lengkap, dalam bahasa Inggris"];

/// Tables whose rows come and go while it runs.
const PASSING: [&str; 5] = ["alert_turn", "day_sums", "outbox", "outbox_turn", "sqlite_sequence"];

#[test]
fn a_shop_says_and_stores_the_same_words() {
    let mut shop = Shop::open();
    let mut told = vec![orders(&shop), commands(&shop), fleet(&shop), alerts(&shop), customers(&shop), pages(&mut shop), books(&shop)];
    told.extend([reconciled(&shop), refund_asked(&mut shop)]);
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
    for (name, words) in [
        ("reason", json!(reason::Reason::ALL)),
        ("state of a request", json!(state::EventState::ALL)),
        ("status of an order", json!(state::Status::ALL)),
        ("refund of an order", json!(state::Refund::ALL)),
        ("outcome", json!(outcome::Delivery::ALL)),
        ("end of a ticket", json!(proof::Last::ALL)),
        ("change of a slot", json!(stock::Change::ALL)),
        ("fault of a machine", json!(status::FaultCode::ALL)),
        ("fault of a relay", json!(relay::RelayFault::ALL)),
        ("condition of a line", json!(relay::LineCondition::ALL)),
        ("refusal of a relay", json!(dbus::RelayError::ALL.iter().map(|error| error.name()).collect::<Vec<_>>())),
        ("stage of a command", json!(afar::Stage::ALL)),
        ("answer to a command", json!(afar::Code::ALL)),
        ("objection to a setting", json!(settings::Objection::ALL)),
        ("start of a computer", json!(telemetry::Booted::ALL)),
        ("attention", json!(merchant::Attention::ALL)),
        ("deed", json!(desk::Deed::ALL)),
    ] {
        let words = words.as_array().expect("a list").iter().filter_map(Value::as_str);
        golden.section(name, &words.collect::<Vec<_>>().join("\n"));
    }
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
        golden.of(name, name, &shop.fixed.json(&shop.desk.shop.order_at_backend(id)));
    }
    golden
}

fn commands(shop: &Shop) -> Golden {
    let mut golden = Golden::new("commands");
    COMMANDS.split("; ").for_each(|line| run(shop, line, "", &mut golden));
    for (command, name) in REFUSED.split("; ").filter_map(|line| line.rsplit_once(' ')) {
        run(shop, &format!("{command} --by Sari"), name, &mut golden);
    }
    for (name, _) in &shop.orders {
        run(shop, "orders", name, &mut golden);
        run(shop, "orders --json", name, &mut golden);
    }
    golden
}

/// What a command of `qris-backend` writes, in both languages if people read it. With a name, it is about that order.
fn run(shop: &Shop, line: &str, name: &str, golden: &mut Golden) {
    let is_data = line.contains("--json") || line.contains("--csv");
    let id = shop.orders.iter().find(|(known, _)| *known == name).map(|(_, id)| &**id);
    for speak in [["--speak", "en"], ["--speak", "id"]].iter().take(if is_data { 1 } else { 2 }) {
        let told = shop.desk.shop.merchant(&line.split(' ').chain(id).chain(*speak).collect::<Vec<_>>());
        golden.of(name, &format!("{line} {name} ({}, {})", speak[1], told.status), &printed(&shop.fixed, line, &told));
    }
}

fn printed(fixed: &Fixed, line: &str, told: &Output) -> String {
    if line.contains("--json") {
        fixed.json_lines(&stdout(told))
    } else {
        without_history(&fixed.text(&output_text(told)), line.contains("--csv"))
    }
}

/// Rows of CSV stand in the order of their times, which may be the same.
fn without_history(text: &str, is_sorted: bool) -> String {
    let mut lines: Vec<_> = text.lines().collect();
    if let Some(at) = lines.iter().position(|line| HISTORY.contains(line)) {
        lines.truncate(at + 1);
    }
    if is_sorted {
        lines.sort_unstable();
    }
    lines.join("\n")
}

fn fleet(shop: &Shop) -> Golden {
    let mut golden = Golden::new("fleet");
    for line in FLEET.iter().flat_map(|line| [(*line).to_owned(), format!("{line} --json")]) {
        let told = shop.desk.shop.qrisctl(&line.split(' ').collect::<Vec<_>>());
        golden.section(&format!("{line} ({})", told.status), &printed(&shop.fixed, &line, &told));
    }
    golden
}

fn alerts(shop: &Shop) -> Golden {
    let mut golden = Golden::new("alerts");
    let mut told: Vec<_> = shop.alerts().iter().map(|alert| (about(shop, alert), shop.fixed.json(alert))).collect();
    told.sort();
    for ((name, what), text) in &told {
        golden.of(name, &format!("{what} {name}"), text);
    }
    golden
}

/// The name of an order, or its machine; and what is told.
fn about(shop: &Shop, alert: &Value) -> (String, String) {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let order = shop.orders.iter().find(|(_, id)| alert["order"]["order_id"] == json!(id));
    let name = order.map_or_else(|| word(&alert["device"]), |(name, _)| (*name).to_owned());
    (name, format!("{} {}", word(&alert["kind"]), word(&alert["over"])))
}

/// The desk's pages, without their tags.
fn pages(shop: &mut Shop) -> Golden {
    let mut golden = Golden::new("desk");
    for language in ["en", "id"] {
        shop.reads(language);
        PAGES.split(' ').for_each(|at| page(shop, at, "", &mut golden));
        for (name, id) in &shop.orders {
            for deed in ["", "/refund", "/by_hand", "/given", "/again", "/seen"] {
                page(shop, &format!("/orders/{id}{deed}"), name, &mut golden);
            }
        }
    }
    golden
}

fn page(shop: &Shop, at: &str, name: &str, golden: &mut Golden) {
    let page = shop.owner.get(at);
    let text = without_history(&shop.fixed.text(&texts(&page.html, at == "/")), false);
    // The hours in which something was sold.
    let (text, hours) = ["\nHH:MM\n", "\nHH.MM\n"].iter().find_map(|hour| text.split_once(hour)).unwrap_or((&*text, ""));
    let after: Vec<_> = hours.lines().skip_while(|line| line.starts_with(|c: char| c.is_ascii_digit() || "HR".contains(c))).collect();
    golden.of(
        name,
        &format!("{} ({}, {})", shop.fixed.text(at).trim(), shop.owner.language, page.status),
        &format!("{text}\n{}", after.join("\n")),
    );
}

/// The customer's page of each order, as the machine shows its address.
fn customers(shop: &Shop) -> Golden {
    let mut golden = Golden::new("customer");
    for (name, id) in &shop.orders {
        let address = shop.desk.shop.order_at_backend(id)["pay_url"].as_str().expect("an address").to_owned();
        for language in ["en", "id"] {
            let page = shop.desk.shop.http.get(&format!("{address}&lang={language}"), None);
            golden.of(name, &format!("{name} ({language}, {})", page.status), &shop.fixed.text(&texts(&page.text(), true)));
        }
    }
    golden
}

/// What the gateway says otherwise.
fn reconciled(shop: &Shop) -> Golden {
    let mut golden = Golden::new("reconcile");
    for (name, status) in [("sold-by-qris", "expire"), ("late", "refund"), ("sold", "chargeback")] {
        shop.desk.shop.midtrans.set(shop.id(name), status, true);
    }
    for line in ["reconcile --json --per-second 100", "reconcile --per-second 100"] {
        run(shop, line, "", &mut golden);
    }
    golden
}

/// A refund that the gateway has not answered yet.
fn refund_asked(shop: &mut Shop) -> Golden {
    let mut golden = Golden::new("refund_asked");
    let (name, id) = ("refund-asked", shop.asks_for_a_refund());
    golden.of(name, "order", &shop.fixed.json(&shop.desk.shop.order_at_backend(&id)));
    run(shop, "orders", name, &mut golden);
    for language in ["en", "id"] {
        shop.reads(language);
        ["/refund", "/given"].iter().for_each(|deed| page(shop, &format!("/orders/{id}{deed}"), name, &mut golden));
    }
    golden
}

/// The texts of a page, one a line; and the words of it that are only heard, or stand in an empty field.
fn texts(html: &str, is_whole: bool) -> String {
    let begin = if is_whole { "<body" } else { "<main" };
    let Some((_, body)) = html.split_once(begin) else { return html.into() };
    let mut lines = Vec::new();
    for piece in body.split('<') {
        let (tag, text) = piece.split_once('>').unwrap_or(("", piece));
        for name in [" aria-label=\"", " title=\"", " placeholder=\""] {
            lines.extend(tag.split_once(name).and_then(|(_, rest)| rest.split_once('"')).map(|(word, _)| format!("[{word}]")));
        }
        if !tag.starts_with("script") && !tag.starts_with("style") {
            lines.push(text.replace('\n', " "));
        }
    }
    lines.join("\n").replace("&#39;", "'").replace("&#34;", "\"").replace("&#38;", "&").replace("&#60;", "<").replace("&#62;", ">")
}

/// What is stored: the rows of the merchant's databases. Of the history, each word once.
fn books(shop: &Shop) -> Golden {
    let mut golden = Golden::new("books");
    for file in ["orders.db", "devices.db"] {
        let database = Connection::open(shop.desk.shop.path().join(file)).expect("a database");
        let mut names = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").expect("SQL");
        for table in names.query_map([], |row| row.get::<_, String>(0)).expect("tables") {
            rows(&database, &table.expect("a name"), &shop.fixed, &mut golden);
        }
    }
    golden
}

fn rows(database: &Connection, table: &str, fixed: &Fixed, golden: &mut Golden) {
    let mut all = database.prepare(&format!("SELECT * FROM {table}")).expect("SQL");
    let columns: Vec<String> = all.column_names().map(Into::into).collect();
    let is_wide = columns.len() > 15;
    let read = |row: &Row<'_>| {
        let value = |at: usize| match row.get_ref(at).expect("a value") {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => json!(number),
            ValueRef::Real(number) => json!(number),
            // When a message comes, an order may be in one state or the next.
            ValueRef::Text(text) if text.starts_with(b"notified of ") => json!("notified of"),
            ValueRef::Text(text) => json!(String::from_utf8_lossy(text)),
            ValueRef::Blob(_) => json!("BYTES"),
        };
        let fields = columns.iter().enumerate().filter(|(_, name)| table != "history" || *name == "event");
        let fields = fields.map(|(at, name)| (name.clone(), value(at))).filter(|(_, value)| is_wide || !value.is_null());
        Ok((fixed.text(&value(0).to_string()).trim().replace('"', ""), fixed.json(&Value::Object(fields.collect()))))
    };
    let rows: Vec<_> =
        all.query_map([], read).expect("rows").map(|row| row.expect("a row")).filter(|_| !PASSING.contains(&table)).collect();
    // What is noted of asking the gateway is another in each run, but for its names.
    let mut lines = BTreeSet::new();
    for (key, text) in rows {
        if is_wide {
            let (of_asking, others): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.contains(".polling."));
            lines.extend(of_asking.into_iter().map(str::to_owned));
            golden.of(key.trim_start_matches("ORDER-"), &format!("{table} {key}"), &others.join("\n"));
        } else {
            lines.insert(text.trim().replace('\n', ", "));
        }
    }
    golden.section(table, &format!("({})\n{}", columns.join(" "), Vec::from_iter(lines).join("\n")));
}
