//! The examples in `config/alerts`: what they send to Telegram and to WhatsApp's Cloud API, which are servers on loopback here that
//! answer as the documents of both say; and what they say where that fails. No secret stands in an argument or in what they write.

use crate::rig::shop::{Options, Shop};
use crate::rig::{command, source, source_text, stderr, stdout, tool};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// Those without an order that can be read. The message of a day is another one.
const KINDS: [&str; 15] = [
    "offline",
    "merchant",
    "older_books",
    "another_primary",
    "clock",
    "restored",
    "twice",
    "taken_over",
    "people",
    "stock_low",
    "stock_out",
    "stock_suspect",
    "stock_blocked",
    "stock_price",
    "damaged",
];
const TOKEN: &str = "123456:a-secret-of-the-test";

/// A request as it came.
#[derive(Debug)]
pub struct ServiceRequest {
    line: String,
    pub headers: String,
    pub body: Value,
    /// The bytes of the body.
    pub raw: Vec<u8>,
}

/// A server that gives each request the next answer, and the last one for ever.
pub struct Service {
    pub base: String,
    pub requests: Receiver<ServiceRequest>,
}

impl Service {
    pub fn start(answers: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let answers: Vec<(String, String)> = answers.iter().map(|(status, body)| ((*status).into(), (*body).into())).collect();
        let (tell, requests) = channel();
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (status, body) = &answers[number.min(answers.len() - 1)];
                let told = answer(stream.expect("a connection"), status, body);
                if tell.send(told).is_err() {
                    return;
                }
            }
        });
        Self { base, requests }
    }

    pub fn next(&self) -> ServiceRequest {
        self.requests.recv_timeout(std::time::Duration::from_secs(60)).expect("a request")
    }
}

fn answer(stream: TcpStream, status: &str, body: &str) -> ServiceRequest {
    let mut reader = BufReader::new(stream);
    let (mut line, mut headers) = (String::new(), String::new());
    reader.read_line(&mut line).expect("read");
    while !headers.ends_with("\r\n\r\n") && headers != "\r\n" {
        assert_ne!(reader.read_line(&mut headers).expect("read"), 0, "{headers}");
    }
    let length = headers.to_lowercase().split_once("content-length: ").and_then(|(_, rest)| rest.lines().next()?.trim().parse().ok());
    let mut text = vec![0; length.expect("a length")];
    reader.read_exact(&mut text).expect("read");
    let answer =
        format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    reader.get_mut().write_all(answer.as_bytes()).expect("written");
    ServiceRequest { line, headers, body: serde_json::from_slice(&text).expect("JSON"), raw: text }
}

fn settings(directory: &Path, text: &str) -> PathBuf {
    let file = directory.join("settings");
    std::fs::write(&file, text).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("changed");
    file
}

/// Runs an example with an alert on its standard input, as the backend would.
fn tell(example: &str, settings: &Path, alert: &Value) -> Output {
    let mut run = command(tool("python3"));
    run.arg("-B").arg(source("config/alerts").join(example)).arg(settings).env_clear();
    let mut child = run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    // Settings that are wrong are told before anything is read.
    let _ = child.stdin.take().expect("open").write_all(alert.to_string().as_bytes());
    child.wait_with_output().expect("ended")
}

/// An alert as `docs/using/merchant.md` shows it.
fn alert(kind: &str) -> Value {
    json!({
        "alert_id": "pw8q/refund_due/1", "kind": kind, "since": "2026-11-20T19:37:35+07:00", "device": "vm-001", "machine": "Lobi",
        "message": "Teh botol 350 ml (A2) for Rp7.000 at Lobi (vm-001) was paid and not delivered: the customer is owed the money; reason: late; last day for a refund at the gateway: 2027-01-04",
        "customer": {
            "message": "the customer can follow the order at https://pay.example/pay/pw8q, and ask at 0812-3456-7890",
            "page": "https://pay.example/pay/pw8q", "contact": "0812-3456-7890"
        },
        "to_do": "give the money back (`refund ORDER`, or in the gateway's dashboard, and this ends by itself), or hand the goods over (`given ORDER --by NAME --from PLACE`)",
        "in_indonesian": {
            "message": "Sudah dibayar, tetapi barang tidak keluar.",
            "to_do": "kembalikan uangnya (`refund ORDER`, atau di dashboard gateway: lalu ini selesai sendiri), atau serahkan barangnya (`given ORDER --by NAME --from PLACE`)"
        },
        "order": { "order_id": "pw8q", "machine": "Lobi", "item": "A2", "description": "Teh botol 350 ml", "amount": 7000, "transaction_id": "d4bc7e14", "reason": "late", "refund_until": "2027-01-04T19:37:35+07:00" }, "tries": 0, "sandbox": true
    })
}

const SENT: &str = r#"{"ok":true,"result":{"message_id":7,"date":1795178255,"chat":{"id":-100,"type":"group"},"text":"…"}}"#;
const ACCEPTED: &str = r#"{"messaging_product":"whatsapp","contacts":[{"input":"62812","wa_id":"62812"}],"messages":[{"id":"wamid.HBg","message_status":"accepted"}]}"#;

#[test]
fn telegram_is_told_in_either_language() {
    let directory = tempfile::tempdir().expect("a directory");
    let service = Service::start(&[("200 OK", SENT)]);
    let told = |language: &str, alert: &Value| {
        let text = format!("# ours\ntoken = {TOKEN}\nchat = -100\nbase = {}\n{language}", service.base);
        let ended = tell("telegram", &settings(directory.path(), &text), alert);
        assert!(ended.status.success() && stdout(&ended).is_empty(), "{}", stderr(&ended));
        let asked = service.next();
        assert_eq!(asked.line, format!("POST /bot{TOKEN}/sendMessage HTTP/1.1\r\n"));
        assert!(asked.headers.contains("Content-Type: application/json"), "{}", asked.headers);
        assert_eq!((&asked.body["chat_id"], asked.body.as_object().map(serde_json::Map::len)), (&json!("-100"), Some(2)), "no markup");
        asked.body["text"].as_str().expect("text").to_owned()
    };
    assert_eq!(
        told("", &alert("refund_due")),
        "UJI COBA – BUKAN UANG ASLI: Lobi (vm-001)\nTeh botol 350 ml, Rp7.000. Sudah dibayar, tetapi barang tidak keluar.\n\
        Kembalikan uangnya (`refund pw8q`, atau di dashboard gateway: lalu ini selesai sendiri), atau serahkan barangnya (`given pw8q --by NAME --from PLACE`). \
        Pelanggan dapat melihat pesanannya di https://pay.example/pay/pw8q, dan bertanya ke 0812-3456-7890.\n\
        pesanan pw8q, transaksi d4bc7e14, alasan late, Midtrans mengembalikan sampai 2027-01-04, sejak 2026-11-20 19:37:35+07:00"
    );
    assert_eq!(
        told("language = en", &alert("refund_due")),
        "TEST – NO REAL MONEY: Lobi (vm-001)\nTeh botol 350 ml (A2) for Rp7.000 at Lobi (vm-001) was paid and not delivered: the customer is owed the money; reason: late; last day for a refund at the gateway: 2027-01-04\n\
        give the money back (`refund pw8q`, or in the gateway's dashboard, and this ends by itself), or hand the goods over (`given pw8q --by NAME --from PLACE`); \
        the customer can follow the order at https://pay.example/pay/pw8q, and ask at 0812-3456-7890\n\
        order pw8q, transaction d4bc7e14, since 2026-11-20 19:37:35+07:00"
    );
    // With a desk its link is in the message, and no other one: one touch, and the order is there. The backend says what to do there.
    let mut at_desk = alert("refund_due");
    at_desk["desk_url"] = json!("https://desk.pay.example/orders/pw8q");
    at_desk["to_do"] = json!("Send the money back, or hand the goods over.");
    at_desk["in_indonesian"]["to_do"] = json!("Kembalikan uangnya, atau serahkan barangnya.");
    for (language, said) in [
        ("", "Buka https://desk.pay.example/orders/pw8q. Kembalikan uangnya, atau serahkan barangnya."),
        ("language = en", "open https://desk.pay.example/orders/pw8q: Send the money back, or hand the goods over."),
    ] {
        let text = told(language, &at_desk);
        assert!(text.lines().any(|line| line == said) && text.matches("://").count() == 1 && !text.contains('`'), "{text}");
    }
    // What has no words in Indonesian is told in the backend's English. Of a machine there is no order.
    let mut later = alert("of_a_later_release");
    later["in_indonesian"] = Value::Null;
    assert!(told("", &later).contains("was paid and not delivered"));
    let of_a_machine = |kind: &str| {
        let mut alert = alert(kind);
        ["order", "customer", "in_indonesian"].iter().for_each(|field| alert[*field] = Value::Null);
        alert["sandbox"] = json!(false);
        alert
    };
    // Nor has any of these a command, where there is a desk.
    for kind in KINDS {
        let mut at_desk = of_a_machine(kind);
        at_desk["desk_url"] = json!("https://desk.pay.example");
        if kind == "damaged" {
            at_desk["order"] = json!({ "order_id": "pw8q" });
        }
        let text = told("", &at_desk);
        assert!(text.contains("\nBuka https://desk.pay.example. ") && !text.contains('`') && !text.contains("was paid"), "{text}");
    }
    let offline = of_a_machine("offline");
    assert_eq!(
        told("", &offline),
        "Lobi (vm-001)\nMesin tidak terhubung.\nPeriksa listrik dan jaringannya.\nsejak 2026-11-20 19:37:35+07:00"
    );
    // One alert has all slots of a machine.
    let mut stock = of_a_machine("stock_out");
    let slot = |item: &str, name: Value, count: u32, state: &str, days: Value| json!({ "item": item, "name": name, "count": count, "capacity": 8, "low": 2, "state": state, "empty_in_days": days });
    let none = Value::Null;
    stock["slots"] = json!([
        slot("A1", json!("Teh"), 0, "sold_out", none.clone()),
        slot("A2", none.clone(), 2, "low", none.clone()),
        slot("A3", json!("Kopi"), 4, "soon", json!(2)),
        slot("A4", none.clone(), 4, "soon", json!(0)),
        slot("A5", json!("Air"), 5, "suspect", none.clone()),
    ]);
    assert_eq!(
        told("", &stock),
        "Lobi (vm-001)\nHabis: Teh (A1). Tidak dijual, karena tidak ada yang keluar: Air (A5). Hampir habis: A2 2 dari 8. \
        Segera habis: Kopi (A3) kira-kira 2 hari lagi, A4 hari ini.\nIsi mesinnya. Yang harus dibawa: `stock --to-fill`.\n\
        sejak 2026-11-20 19:37:35+07:00"
    );
    (stock["over"], stock["slots"]) = (json!("stock_out"), none);
    assert!(told("", &stock).contains("SELESAI, tidak perlu dilihat lagi. Tadinya: Ada yang habis di mesin ini."));
    // The day's message is about all machines.
    let mut day = alert("daily");
    ["device", "machine", "order", "customer", "in_indonesian"].iter().for_each(|field| day[*field] = Value::Null);
    (day["message"], day["to_do"]) = (json!("sold in 24 hours: …"), json!("look"));
    day["day"] = json!({
        "sold": { "orders": 2, "amount": 17_000 }, "owed": { "orders": 1, "amount": 5000 }, "attention": 1,
        "machines": [
            { "device": "vm-002", "machine": null, "orders": 1, "amount": 12_000 },
            { "device": "vm-001", "machine": "Lobi", "orders": 1, "amount": 5000 }
        ],
        "out_of_order": { "vm-001": ["screen"], "vm-003": ["offline"] },
        "to_fill": { "machines": 2, "goods": { "Kopi": 3, "Teh": 12 } },
        "names": { "vm-001": "Lobi", "vm-003": "Parkir" }
    });
    assert_eq!(
        told("", &day),
        "UJI COBA – BUKAN UANG ASLI: Pesan harian\nTerjual dalam 24 jam: 2, Rp17.000 (vm-002 1, Rp12.000; Lobi (vm-001) 1, Rp5.000). \
        Harus dikembalikan ke pelanggan: 1, Rp5.000. Pesanan lain yang perlu dilihat: 1. Bermasalah: Lobi (vm-001): screen; Parkir (vm-003): offline. \
        Mesin yang perlu diisi: 2, bawa 12 Teh, 3 Kopi.\n\
        Uang yang harus dikembalikan: `orders --refund-due`. Setiap mesin: `report`.\nsejak 2026-11-20 19:37:35+07:00"
    );
    assert!(told("language = en", &day).starts_with("TEST – NO REAL MONEY: The day\nsold in 24 hours: …\nlook\n"));
    (day["desk_url"], day["day"]["not_sold"]) = (json!("https://desk.pay.example"), json!({ "vm-001": "Teh (A1)" }));
    let text = told("", &day);
    assert!(
        text.contains(" Lobi (vm-001): screen, tidak dijual: Teh (A1); Parkir")
            && text.contains("\nBuka https://desk.pay.example. Di sana "),
        "{text}"
    );
    assert!(!text.contains('`'), "{text}");
    // What is over is not taken for news, and no words ask for a refund that is done.
    let mut over = alert("over");
    (over["over"], over["until"], over["message"]) = (json!("refund_due"), json!("2026-11-20T19:40:00+07:00"), json!("over: …"));
    (over["to_do"], over["customer"]) = (json!("nothing is to be done"), Value::Null);
    let said = told("", &over);
    assert!(
        said.contains("\nTeh botol 350 ml, Rp7.000. SELESAI, tidak perlu dilihat lagi. Tadinya: ")
            && said.contains("\nTidak perlu melakukan"),
        "{said}"
    );
    assert!(told("language = en", &over).contains("\nover: …\nnothing is to be done\n"));
    let mut damaged = alert("refund_due");
    (damaged["order"], damaged["customer"]) = (json!({ "order_id": "pw8q" }), Value::Null);
    assert!(told("", &damaged).contains("\nData sebuah pesanan rusak"));
}

#[test]
fn whatsapp_is_told_by_a_template() {
    let directory = tempfile::tempdir().expect("a directory");
    let service = Service::start(&[("200 OK", ACCEPTED)]);
    let text = format!("token = {TOKEN}\nphone_number_id = 1065\nto = 62812\nbase = {}/v23.0\n", service.base);
    let mut long = alert("refund_due");
    long["device"] = json!("a\tb    c\nd");
    long["order"]["transaction_id"] = json!("x".repeat(2000));
    let ended = tell("whatsapp", &settings(directory.path(), &text), &long);
    assert!(ended.status.success(), "{}", stderr(&ended));
    let asked = service.next();
    assert_eq!(asked.line, "POST /v23.0/1065/messages HTTP/1.1\r\n");
    assert!(asked.headers.contains(&format!("Authorization: Bearer {TOKEN}\r\n")));
    let template = &asked.body["template"];
    assert_eq!(
        [&asked.body["messaging_product"], &asked.body["to"], &asked.body["type"], &template["name"], &template["language"]["code"]],
        [&json!("whatsapp"), &json!("62812"), &json!("template"), &json!("qris_alert"), &json!("id")]
    );
    assert_eq!(template["components"][0]["type"], "body");
    let parameters: Vec<_> =
        template["components"][0]["parameters"].as_array().expect("a list").iter().map(|one| one["text"].as_str()).collect();
    let parameters: Vec<&str> = parameters.into_iter().map(|text| text.expect("text")).collect();
    assert!(parameters.len() == 3 && parameters.iter().map(|text| text.chars().count()).sum::<usize>() < 900, "{parameters:?}");
    assert_eq!(parameters[0], "UJI COBA – BUKAN UANG ASLI: Lobi (a b c d)", "no line end, tab or row of blanks");
    assert!(
        parameters[1].starts_with("Teh botol 350 ml, Rp7.000. Sudah dibayar") && parameters[2].contains("`refund pw8q`"),
        "{parameters:?}"
    );
}

#[test]
fn what_was_not_taken_is_a_failure_that_names_the_reason_and_no_secret() {
    let directory = tempfile::tempdir().expect("a directory");
    let slow = r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 34","parameters":{"retry_after":34}}"#;
    let gone = r#"{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}"#;
    let expired = r#"{"error":{"message":"Error validating access token","type":"OAuthException","code":190,"fbtrace_id":"A"}}"#;
    let table = [
        ("telegram", "429 Too Many Requests", slow, "Telegram: 429 Too Many Requests: retry after 34"),
        ("telegram", "403 Forbidden", gone, "Telegram: 403 Forbidden: bot was blocked by the user"),
        ("telegram", "200 OK", r#"{"ok":false}"#, "Telegram: 200 without a reason"),
        ("telegram", "200 OK", "<html>", "Telegram: 200 without a reason"),
        ("telegram", "302 Found\r\nLocation: http://127.0.0.1:1/", "", "Telegram: 302 without a reason"),
        ("whatsapp", "401 Unauthorized", expired, "WhatsApp: 401 Error validating access token (190)"),
        ("whatsapp", "200 OK", r#"{"messages":[]}"#, "WhatsApp: 200 without a reason (no code)"),
        ("whatsapp", "500 Internal Server Error", "[]", "WhatsApp: 500 without a reason (no code)"),
    ];
    let fields = |example: &str| match example {
        "telegram" => format!("token = {TOKEN}\nchat = -100\n"),
        _ => format!("token = {TOKEN}\nphone_number_id = 1065\nto = 62812\n"),
    };
    let failed = |example: &str, text: &str, mode: u32| {
        let file = settings(directory.path(), text);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("changed");
        let ended = tell(example, &file, &alert("refund_due"));
        let told = stderr(&ended);
        assert_eq!(ended.status.code(), Some(1), "{told}");
        assert!(told.lines().count() == 1 && !told.contains(TOKEN) && !stdout(&ended).contains(TOKEN), "{told}");
        told.trim_end().to_owned()
    };
    for (example, status, body, wanted) in table {
        let service = Service::start(&[(status, body)]);
        assert_eq!(failed(example, &format!("{}base = {}\n", fields(example), service.base), 0o640), wanted);
        service.next();
        assert!(service.requests.try_recv().is_err(), "asked once: the backend does the repeating");
    }
    let wrong = [
        ("base = http://127.0.0.1:1\n", 0o640, "cannot be reached: "),
        ("base = http://api.example\n", 0o640, "base begins with https://"),
        ("language = fr\n", 0o640, "language is id or en"),
        ("colour = red\n", 0o640, "a line is NAME = VALUE, with one of token, "),
        ("", 0o644, "everybody may use "),
        ("token =\n", 0o640, ": token is missing"),
    ];
    for (example, (more, mode, wanted)) in ["telegram", "whatsapp"].iter().flat_map(|example| wrong.iter().map(move |row| (*example, *row)))
    {
        let told = failed(example, &format!("{}{more}", fields(example)), mode);
        assert!(told.contains(wanted), "{told:?} lacks {wanted:?}");
    }
}

/// Somebody who reads Indonesian alone is told of each kind. The backend has the words for those of an order.
#[test]
fn every_kind_of_alert_without_an_order_has_its_words_in_indonesian() {
    let words = source_text("config/alerts/alert.py");
    for kind in KINDS {
        assert!(words.contains(&format!("\n    \"{kind}\": (\n")), "{kind}");
    }
}

#[test]
fn the_backend_tells_by_it_and_its_journal_says_why_nobody_was_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let down = r#"{"ok":false,"error_code":502,"description":"Bad Gateway"}"#;
    let service = Service::start(&[("502 Bad Gateway", down), ("200 OK", SENT)]);
    let file = settings(directory.path(), &format!("token = {TOKEN}\nchat = -100\nbase = {}\n", service.base));
    let command =
        [tool("python3"), "-B".into(), source("config/alerts/telegram"), file].map(|path| format!("\"{}\"", path.display())).join(", ");
    let section = format!("charge_as = \"gopay\"\n[alerts]\ncommand = [{command}]\n");
    let shop = Shop::open(Options { machine: false, midtrans: section, ..Options::default() });
    let first = shop.reported("failed");
    let line = shop.backend.as_ref().expect("it runs").wait_line("nobody could be told");
    assert!(line.contains(&first) && line.contains("Telegram: 502 Bad Gateway") && !line.contains(TOKEN), "{line}");
    assert!(service.next().body["text"].as_str().is_some_and(|text| text.contains(&first)));
    let second = shop.reported("uncertain");
    let told = service.next();
    assert!(told.body["text"].as_str().is_some_and(|text| text.contains(&second) && text.contains("Rp5.000")), "{told:?}");
}
