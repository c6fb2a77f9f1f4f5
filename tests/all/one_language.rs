//! One language for one person: what a merchant's people read is in that of the locale, or of `--speak`. Programs read English.

use crate::indonesian::english_in;
use crate::rig::midtrans::Via;
use crate::rig::shop::{Options, Program, Shop};
use crate::rig::{command, output, output_text, stderr, stdout};
use serde_json::{Value, json};
use std::process::Output;

/// What others say, and what is stored: nobody translates it.
const OTHERS: [&str; 4] = [
    "Bottled tea",
    "POS refunds not allowed (Midtrans: 412, Refund is not allowed for this merchant)",
    "Connection refused",
    "No such file or directory",
];

fn run(shop: &Shop, locale: &str, arguments: &[&str]) -> Output {
    output(shop.program_command(Program::Backend).env("LC_ALL", locale).args(arguments))
}

/// The same text without order numbers: one may begin with an English word.
fn without_numbers(text: &str) -> String {
    let is_number = |word: &&str| word.len() == 20 && word.bytes().any(|byte| byte.is_ascii_digit());
    let numbers = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(is_number);
    numbers.fold(text.to_owned(), |text, number| text.replace(number, "…"))
}

/// What a person with an Indonesian locale reads, on both outputs; the end is that of the same command in English.
fn indonesian(shop: &Shop, arguments: &[&str], status: i32) -> String {
    let told = run(shop, "id_ID.UTF-8", arguments);
    let text = output_text(&told);
    assert_eq!(told.status.code(), Some(status), "{arguments:?}: {text}");
    // The history was stored in English, and a journal is read by programs.
    let is_journal = |line: &str| line.get(..8).is_some_and(|time| time.bytes().filter(|byte| *byte == b':').count() == 2);
    let lines = text.split_inclusive('\n').take_while(|line| !line.starts_with("riwayat"));
    let shown: String = lines.filter(|line| !is_journal(line)).collect();
    let english = english_in(&without_numbers(&shown), &OTHERS);
    assert!(english.is_empty(), "{arguments:?}: {english:?} in {text}");
    shown
}

#[test]
fn what_the_merchant_s_people_type_is_answered_in_indonesian() {
    let more = "[fees]\nqris = { basis_points = 70 }\n[reports]\nzone = \"WITA\"\n";
    let shop = Shop::open(Options { machine: false, midtrans: more.into(), ..Options::default() });
    let [failed, uncertain, delivered, by_hand, seen] =
        ["failed", "uncertain", "dispensed", "failed", "uncertain"].map(|outcome| shop.reported(outcome));
    let (pending, paid) = (shop.charged(), shop.paid());
    let qris = shop.charged();
    shop.midtrans.pay(&qris, Via::Qris);
    shop.wait_order(&qris, "its receipt", |order| order["receipt"].as_str().map(|_| ()));
    let about = |order_id: &str| format!("Rp5.000 untuk Bottled tea (A1) di vm-001 (pesanan {order_id})");

    let list = indonesian(&shop, &["orders"], 0);
    assert!(list.starts_with("MULAI (WITA)") && list.contains("harus dikembalikan"), "{list}");
    let list = indonesian(&shop, &["orders", "--refund-due"], 0);
    assert!(list.contains("DIKEMBALIKAN S.D.") && list.ends_with("\n2 pesanan, Rp10.000\n"), "{list}");
    for arguments in [&["orders", "--limit", "1"][..], &["orders", "--limit", "7"], &["orders", "--attention", "--limit", "1"]] {
        indonesian(&shop, arguments, 0);
    }
    for order_id in [&failed, &uncertain, &delivered, &pending, &paid, &qris] {
        let one = indonesian(&shop, &["orders", order_id], 0);
        assert!(one.starts_with(&format!("pesanan {order_id} (waktu dalam WITA, +08:00)")), "{one}");
    }
    assert!(indonesian(&shop, &["orders", "zzzzzz"], 1).contains("tidak ada pesanan zzzzzz"));
    indonesian(&shop, &["orders", "zzz"], 1);
    indonesian(&shop, &["report", "--date", "2026-12", "--until", "2026-11"], 2);

    // Decisions, and each with why it is refused.
    shop.midtrans.change(&json!({ "refunds": false }));
    let told = indonesian(&shop, &["refund", &by_hand], 1);
    assert!(told.contains(&format!("{} tidak dikembalikan: ", about(&by_hand))), "{told}");
    let told = indonesian(&shop, &["refund", &by_hand, "--settled-by-hand", "tunai", "--by", "Sari"], 0);
    assert_eq!(told, format!("{} dicatat sebagai dikembalikan secara langsung\n", about(&by_hand)));
    shop.midtrans.change(&json!({ "refunds": true }));
    assert_eq!(indonesian(&shop, &["refund", &failed], 0), format!("{} dikembalikan lewat gateway\n", about(&failed)));
    let told = indonesian(&shop, &["given", &uncertain, "--by", "Budi", "--from", "elsewhere"], 0);
    assert!(told.ends_with("dicatat sebagai diserahkan oleh Budi: tidak ada pengembalian dana\n"), "{told}");
    for (arguments, why) in [
        (&["refund", &failed][..], "uangnya sudah dikembalikan"),
        (&["refund", &uncertain], "petugas sudah menyerahkan barangnya"),
        (&["refund", &delivered], "mesin melaporkan bahwa barang keluar"),
        (&["refund", &pending], "pesanan ini belum dibayar"),
        (&["refund", &paid], "mesin belum melaporkan hasil"),
        (&["refund", &paid, "--no-report", "--by", "Sari"], "masih terlalu awal"),
        (&["refund", &seen], "bukti dari relai"),
        (&["seen", &seen, "--by", "Budi"], "tidak ada hal di pesanan ini"),
        (&["given", "zzzzzz", "--by", "Budi", "--from", "elsewhere"], "tidak ada pesanan zzzzzz"),
    ] {
        let told = indonesian(&shop, arguments, 1);
        assert!(told.contains(why), "{arguments:?}: {told}");
    }
    indonesian(&shop, &["orders", &by_hand], 0);

    for by in ["machine", "item", "scheme", "day", "month"] {
        let report = indonesian(&shop, &["report", "--by", by], 0);
        assert!(report.contains("(hari menurut WITA, +08:00)") && report.contains("seimbang: Rp35.000"), "{report}");
    }
    assert!(indonesian(&shop, &["desk", "list"], 2).contains("perlu bagian [desk]"));
    shop.edit(Program::Backend, |text| text + "[desk]\nurl = \"http://127.0.0.1:9\"\n");
    assert!(indonesian(&shop, &["desk", "list"], 0).starts_with("belum ada orang"));
    for (arguments, status) in [
        (&["desk", "add", "Sari", "--role", "owner"][..], 0),
        (&["desk", "add", "Budi", "--role", "viewer"], 0),
        (&["desk", "add", "sari", "--role", "viewer"], 1),
        (&["desk", "list"], 0),
        (&["desk", "role", "Budi", "--role", "owner", "--limit-per-day", "1000"], 0),
        (&["desk", "remove", "Budi"], 0),
        (&["desk", "remove", "Budi"], 1),
    ] {
        indonesian(&shop, arguments, status);
    }
    assert!(indonesian(&shop, &["reconcile", "--per-second", "100"], 0).contains("ditanyakan, 0 perbedaan"));
    for (order_id, status) in [(&delivered, "expire"), (&seen, "refund"), (&qris, "chargeback")] {
        shop.midtrans.set(order_id, status, true);
    }
    let told = indonesian(&shop, &["reconcile", "--per-second", "100"], 1);
    assert!(told.contains("PERBEDAAN") && told.contains("; sekarang: "), "{told}");
    indonesian(&shop, &["reconcile", "--order", "zzzzzzzzzzzzzzzzzzzz"], 1);
    // What was taken up is listed, until a person has seen it.
    assert!(indonesian(&shop, &["seen", &qris, "--by", "Budi"], 0).contains("dicatat sebagai sudah dilihat oleh Budi"));
}

#[test]
fn the_doctor_of_the_backend_speaks_indonesian() {
    let mut shop = Shop::merchants_side();
    indonesian(&shop, &["doctor"], 0);
    let told = indonesian(&shop, &["doctor", "--charge"], 0);
    assert!(told.contains("dibuat, dibaca dan dibatalkan"), "{told}");
    std::fs::write(shop.path().join("server-key"), "SB-Mid-server-other").expect("written");
    std::fs::write(shop.path().join("backend-password"), "wrong").expect("written");
    std::fs::remove_file(shop.path().join("signing-key.json")).expect("removed");
    shop.kill_backend();
    let told = indonesian(&shop, &["doctor"], 1);
    for words in ["kuncinya tidak berlaku di", "menolak nama atau kata sandi kami", "tidak menjawab di", "buat kunci dengan"] {
        assert!(told.contains(words), "{words} in {told}");
    }
}

/// What a program reads does not depend on who started it.
#[test]
fn programs_read_english_and_a_flag_goes_before_the_locale() {
    let shop = Shop::merchants_side();
    let order_id = shop.reported("failed");
    let order = order_id.as_str();
    for arguments in [
        &["orders", "--json"][..],
        &["orders", "--json", order],
        &["orders", "--csv"],
        &["report", "--json"],
        &["report", "--csv"],
        &["reconcile", "--json"],
        &["orders", "--json", "nobody"],
        &["refund", "--json", "nobody"],
    ] {
        let [here, there] = ["C.UTF-8", "id_ID.UTF-8"].map(|locale| run(&shop, locale, arguments));
        assert_eq!((stdout(&here), stderr(&here), here.status), (stdout(&there), stderr(&there), there.status), "{arguments:?}");
    }
    let said = |locale: &str| -> Vec<String> {
        let text = stdout(&run(&shop, locale, &["doctor", "--json"]));
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.filter(|line| line["check"] == "serve" || line["check"] == "machines").map(|line| line["said"].to_string()).collect()
    };
    assert_eq!(said("C.UTF-8"), said("id_ID.UTF-8"));
    assert!(said("id_ID.UTF-8").concat().contains("answers at"));
    for (locale, speak, begins) in [
        ("C.UTF-8", &["--speak", "id"][..], "MULAI (WIB)"),
        ("id_ID.UTF-8", &["--speak", "en"], "BEGAN (WIB)"),
        ("id_ID.UTF-8", &[], "MULAI (WIB)"),
        ("en_GB.UTF-8", &[], "BEGAN (WIB)"),
    ] {
        let told = stdout(&run(&shop, locale, &[&["orders"], speak].concat()));
        assert!(told.starts_with(begins), "{locale} {speak:?}: {told}");
    }
    let useless = run(&shop, "C.UTF-8", &["backup", "--speak", "id", "copy.db"]);
    assert!(useless.status.code() == Some(2) && stderr(&useless).contains("'--speak' is of no use"), "{useless:?}");
    // A file that is good, and one that is not there.
    for program in ["qrisd", "qris-relayd", "qris-backend"] {
        let (path, place) = match program {
            "qrisd" => (env!("CARGO_BIN_EXE_qrisd"), "/nowhere/qrisd.toml"),
            "qris-relayd" => (env!("CARGO_BIN_EXE_qris-relayd"), "/nowhere/relay.toml"),
            _ => (env!("CARGO_BIN_EXE_qris-backend"), "/nowhere/backend.toml"),
        };
        let told = output(command(path).env("LC_ALL", "id_ID.UTF-8").args(["--check", "--config", place]));
        assert!(stderr(&told).contains("tidak bisa dibaca: ") && stderr(&told).contains("membuatnya"), "{told:?}");
    }
    let good = run(&shop, "id_ID.UTF-8", &["--check"]);
    assert!(stdout(&good).ends_with(": baik\n"), "{good:?}");
}
