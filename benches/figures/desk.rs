//! The desk as a phone sees it: `qris-desk` and `serve` together, with the books and the machines of a large shop.

use crate::figures::{FiguresText, Times};
use crate::growth::Past;
use crate::load::{IDLE, Office, Wire};
use crate::program::{Places, Program};
use crate::rig;
use qris::backend::store::postgres::Server;
use qris::backend::store::{Store, machines_beside};
use qris::demo::shop::database;
use qris::host::clock;
use qris::order::time::Span;
use rig::http::Http;
use rig::people::{PASSWORD, Visitor};
use rig::postgres::Postgres;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Kinds of goods, and slots of a machine.
const KINDS: usize = 40;
const SLOTS: usize = 30;
/// People who look at the same time.
const PEOPLE: usize = 8;

/// How large the shop is, and how often each page is looked at.
pub struct Counts {
    pub orders: usize,
    pub a_day: usize,
    pub machines: usize,
    pub looks: usize,
    /// So long all look as fast as they are answered.
    pub seconds: u64,
}

pub fn measure(report: &mut FiguresText, places: &Places, databases: &Path, counts: &Counts) {
    let past = Past { orders: counts.orders, a_day: counts.a_day, machines: counts.machines, kinds: KINDS, end: clock::now().wall };
    let path = databases.join("orders.db");
    past.fill(&path);
    let machines = machines_beside(&path);
    let written = |sql: &str| Connection::open(&machines).and_then(|database| database.execute_batch(sql)).expect("written");
    look_at_all(report, places, ("SQLite on disk", &database(databases)), written, counts);
    if !Path::new("/usr/lib/postgresql").is_dir() {
        return report.line("\nPostgreSQL is not installed, so the desk was not measured on it.");
    }
    let server = Postgres::start(&["shared_buffers=128MB"]);
    copy(&path, &server);
    let written = |sql: &str| psql(&server, sql.as_bytes());
    look_at_all(report, places, ("PostgreSQL", &format!("url = \"{}\"\n", server.url())), written, counts);
}

/// Every page, with the books that are there. `write` writes what machines say.
fn look_at_all(report: &mut FiguresText, places: &Places, (name, store): (&str, &str), write: impl Fn(&str), counts: &Counts) {
    let now = clock::now().wall;
    let office = Office::open_with(places, store, counts.machines, |directory| {
        let socket = directory.join("serve.sock");
        let fees = "[fees]\ngopay = { basis_points = 70 }\n";
        format!("[desk]\nurl = \"http://127.0.0.1:1\"\nsocket = \"{}\"\n{fees}", socket.display())
    });
    write(&news(counts.machines));
    let port = rig::free_port();
    let mut start = Command::new(places.ours("qris-desk"));
    start.arg("--listen").arg(format!("127.0.0.1:{port}")).arg("--socket").arg(office.directory().join("serve.sock")).arg("--plain-http");
    let desk = Program::start("qris-desk", &mut start, office.directory());
    desk.wait_ready();
    std::thread::sleep(IDLE);
    let idle = desk.memory();
    let cookie = format!("cookie: {}\r\naccept-language: id\r\n", log_in(&office, places, port));
    let look = |wire: &mut Wire, page: &str| {
        wire.send("GET", page, &cookie, "");
        let (status, html) = wire.receive();
        assert_eq!(status, 200, "{page}: {}", String::from_utf8_lossy(&html));
    };
    let ago = |days: i64, by: &str| format!("/report?month={}&by={by}", &(now - Span::secs(days * 24 * 3600)).to_wib()[..7]);
    // A month that is over.
    let month = |by: &str| ago(31, by);
    let order = format!("/orders/{}", Past::id(counts.orders / 2));
    let pages: [(&str, &str); 14] = [
        ("today", "/"),
        ("orders: the newest", "/orders"),
        ("… by sum and time", "/orders?q=5.000+15%3A00"),
        ("… of a machine", "/orders?device=vm-003"),
        ("an order", &order),
        ("machines", "/machines"),
        ("a machine", "/machines/vm-003"),
        ("what to bring", "/bring"),
        ("report of today", "/report"),
        ("report of a month by goods", &month("item")),
        ("… by machine", &month("machine")),
        ("… by way to pay", &month("scheme")),
        ("… by day", &month("day")),
        ("devices that are logged in", "/sessions"),
    ];
    let mut wire = Wire::open(port);
    let large = format!("{} orders, {} machines, {name}", counts.orders, counts.machines);
    report.times(&format!("a page of the desk, from the question to its last byte: {large}"));
    let cpu = || (office.backend.cpu() + desk.cpu()).as_secs_f64() * 1000.0;
    let mut spent = Vec::new();
    for (name, page) in &pages {
        let before = cpu();
        let times = Times::of(counts.looks, || look(&mut wire, page));
        report.time(name, &times, "p99 < 100");
        spent.push((name, (cpu() - before) / counts.looks as f64));
    }
    for (name, by) in [("goods", "item"), ("machine", "machine"), ("way to pay", "scheme"), ("day", "day")] {
        let first = Times::of(1, || look(&mut wire, &ago(93, by)));
        report.time(&format!("a month before the last by {name}: the first look, which adds up its days"), &first, "");
    }
    let table = format!("/report.csv?{}", month("item").split_once('?').expect("a month").1);
    report.time("a month as a table (CSV)", &Times::of(counts.looks, || look(&mut wire, &table)), "");
    report.numbers(&format!("processor time of a page, serve + qris-desk: {large}"), "ms");
    spent.iter().for_each(|(name, ms)| report.number(name, &format!("{ms:.2}"), ""));
    let looked = AtomicUsize::new(0);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for person in 0..PEOPLE {
            let (looked, look, pages) = (&looked, &look, &pages);
            scope.spawn(move || {
                let mut wire = Wire::open(port);
                let mut turn = person;
                while began.elapsed() < Duration::from_secs(counts.seconds) {
                    look(&mut wire, pages[turn % pages.len()].1);
                    looked.fetch_add(1, Ordering::Relaxed);
                    turn += 1;
                }
            });
        }
    });
    let rate = looked.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    let after = desk.memory();
    let mib = |(resident, anonymous): (u64, u64)| format!("{:.1} MiB ({:.1})", resident as f64 / 1024.0, anonymous as f64 / 1024.0);
    report.numbers(&format!("the desk: {large}"), "");
    report.number(&format!("pages a second, each of them in turn, {PEOPLE} people"), &format!("{rate:.0}"), "");
    report.number("resident memory of qris-desk (anonymous), idle", &mib(idle), "");
    report.number("… after all these pages", &mib(after), "");
}

/// What machines say of themselves, in SQL: each third one wants to be filled.
fn news(machines: usize) -> String {
    let now = clock::now().wall.0;
    let mut sql = String::from("BEGIN; DELETE FROM presence; DELETE FROM stock;\n");
    for number in 1..=machines {
        let wants = number.is_multiple_of(3);
        let slot = |slot: usize| {
            let count = if wants { slot % 10 } else { 10 };
            format!(r#"{{"item":"A{slot}","name":"Minuman {slot} ml","count":{count},"capacity":10,"low":2,"sold":{}}}"#, 10 - count)
        };
        let slots: Vec<_> = (1..=SLOTS).map(slot).collect();
        let some = if wants { 3 } else { 0 };
        let _ = writeln!(
            sql,
            "INSERT INTO presence (device, is_there, since_ms, name, version, faults) VALUES ('vm-{number:03}', 1, {now}, 'Lobi, lantai {number}', '0.1.0', '');
            INSERT INTO stock (device, stream, number, at_ms, low, sold_out, suspect, blocked, slots) VALUES ('vm-{number:03}', 's', 1, {now}, {some}, {some}, 0, 0, '[{}]');",
            slots.join(",")
        );
    }
    sql + "COMMIT;"
}

/// The orders, with what happened to them, go from a file to a server. Nobody pays for it twice, so its rules need not look.
fn copy(from: &Path, to: &Postgres) {
    let at = Server::new(&to.url(), None, None).expect("an address");
    drop(Store::at(&at, true, |_, _| Ok(())).expect("tables"));
    let books = Connection::open(from).expect("the books");
    for table in ["orders", "history"] {
        let mut read = books.prepare(&format!("SELECT * FROM {table}")).expect("a table");
        let columns: Vec<String> = read.column_names().map(str::to_owned).collect();
        let begin = format!("SET session_replication_role = replica;\nCOPY {table} ({}) FROM STDIN;\n", columns.join(", "));
        let mut psql = Psql::start(to);
        psql.write(begin.as_bytes());
        let mut rows = read.query([]).expect("rows");
        let mut lines = String::new();
        while let Some(row) = rows.next().expect("a row") {
            let value = |column| match row.get_ref(column).expect("a value") {
                ValueRef::Null => "\\N".to_owned(),
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t"),
                ValueRef::Real(_) | ValueRef::Blob(_) => panic!("a strange value"),
            };
            lines += &(0..columns.len()).map(value).collect::<Vec<_>>().join("\t");
            lines.push('\n');
            if lines.len() > 1 << 20 {
                psql.write(std::mem::take(&mut lines).as_bytes());
            }
        }
        psql.write((lines + "\\.\n").as_bytes());
        psql.end();
    }
    // As the server does by itself, some minutes later.
    psql(to, b"VACUUM (ANALYZE) orders; VACUUM (ANALYZE) history;");
}

/// PostgreSQL's own client.
struct Psql(Child);

impl Psql {
    fn start(server: &Postgres) -> Self {
        let mut start = Command::new(rig::tool("psql"));
        start.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", &server.url()]).stdin(Stdio::piped());
        Self(start.spawn().expect("psql"))
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.stdin.as_mut().expect("a pipe").write_all(bytes).expect("psql reads");
    }

    fn end(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().is_ok_and(|status| status.success()), "psql tells why");
    }
}

fn psql(server: &Postgres, sql: &[u8]) {
    let mut psql = Psql::start(server);
    psql.write(sql);
    psql.end();
}

/// A new person joins; her cookies.
fn log_in(office: &Office, places: &Places, port: u16) -> String {
    let told = office.run(places, &["desk", "add", "Sari", "--role", "owner"]);
    let code = told.split_once("/join/").and_then(|(_, code)| code.split_whitespace().next()).expect("a link");
    let visitor = Visitor { http: Http::new(), url: format!("http://127.0.0.1:{port}"), cookies: RefCell::default(), language: "en" };
    let at = format!("/join/{code}");
    let joined = visitor.submit(&at, &at, &[("password", PASSWORD), ("again", PASSWORD)]);
    assert_eq!((joined.status, joined.leads_to()), (303, "/"), "{}", joined.html);
    visitor.cookie()
}
