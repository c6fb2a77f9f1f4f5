//! What the merchant's people type: `qris-backend orders`, `refund`, `given`, `report`, `keys use`, `device add`, beside a
//! running `serve` and without one.

use crate::rig::midtrans::Via;
use crate::rig::shop::{DEVICE, Options, Program, Shop, new_request_id};
use crate::rig::{command, output, stderr, stdout, tool, wait_for};
use qris::host::clock;
use qris::order::time::Wall;
use serde_json::{Value, json};

/// What a command wrote that must succeed.
fn good(shop: &Shop, arguments: &[&str]) -> String {
    let output = shop.merchant(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

/// What a command says that must fail with status 1.
fn refused(shop: &Shop, arguments: &[&str]) -> String {
    let output = shop.merchant(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}{}", stdout(&output), stderr(&output));
    stderr(&output)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"))).collect()
}

#[test]
fn orders_are_listed_filtered_and_shown() {
    let shop = Shop::merchants_side();
    let failed = shop.reported("failed");
    let uncertain = shop.reported("uncertain");
    let pending = shop.charged();

    let list = good(&shop, &["orders"]);
    let rows: Vec<_> = list.lines().collect();
    assert!(rows[0].starts_with("BEGAN (WIB)") && rows.len() == 4, "{list}");
    assert!(rows.iter().all(|row| row.chars().count() <= 140 && *row == row.trim_end()), "{list}");
    for (row, (order_id, what)) in rows[1..].iter().zip([(&pending, "pending"), (&uncertain, "uncertain"), (&failed, "refund due")]) {
        assert!(row.contains(order_id.as_str()) && row.contains(what) && row.contains("Rp5.000") && row.contains(DEVICE), "{row}");
    }
    let ids = |arguments: &[&str]| -> Vec<String> {
        let list = lines(&good(&shop, &[&["orders", "--json"], arguments].concat()));
        list.iter().map(|order| order["order_id"].as_str().expect("an id").to_owned()).collect()
    };
    let (failed, uncertain, pending) = (failed.as_str(), uncertain.as_str(), pending.as_str());
    let today = &rows[1][..10];
    let table: [(&[&str], &[&str]); 14] = [
        (&[], &[pending, uncertain, failed]),
        (&["--refund-due"], &[failed]),
        (&["--attention"], &[uncertain, failed]),
        (&["--attention", "--refund-due"], &[failed]),
        (&["--attention=refund_due"], &[failed]),
        (&["--attention=uncertain"], &[uncertain]),
        (&["--attention=mismatch"], &[]),
        (&["--status", "pending"], &[pending]),
        (&["--state", "settlement"], &[uncertain, failed]),
        (&["--device", DEVICE, "--limit", "2"], &[pending, uncertain]),
        (&["--device", "vm-other"], &[]),
        (&["--since", today], &[pending, uncertain, failed]),
        (&["--until", "2020-01-01 12:00"], &[]),
        (&["--date", "2020-01-01"], &[]),
    ];
    for (arguments, expected) in table {
        assert_eq!(ids(arguments), expected, "{arguments:?}");
    }
    let due = good(&shop, &["orders", "--refund-due"]);
    assert!(due.contains("refund due") && due.ends_with("\n1 order, Rp5.000\n"), "{due}");
    let cut = shop.merchant(&["orders", "--limit", "1"]);
    assert!(stdout(&cut).lines().count() == 2 && stderr(&cut).contains("2 older orders left out: --limit 0 lists all 3"), "{cut:?}");
    let cut = shop.merchant(&["orders", "--status", "settlement", "--limit", "1"]);
    assert!(stderr(&cut).contains("1 older order left out: --limit 0 lists all 2"), "{cut:?}");

    // Midtrans' simulator asks for the picture of what can be paid.
    let picture = |order: &str| lines(&good(&shop, &["orders", order, "--json"]))[0]["picture"].clone();
    let url = picture(pending);
    let url = url.as_str().expect("an address");
    assert!(url.starts_with("http") && url.ends_with("/qr-code"), "{url}");
    assert!(good(&shop, &["orders", pending]).contains(&format!("picture      {url}")));
    assert_eq!(picture(uncertain), Value::Null);

    let one = good(&shop, &["orders", uncertain]);
    for part in [
        "(times are WIB, +07:00)",
        "machine      vm-001",
        "paid         Rp5.000 by gopay at ",
        "outcome      uncertain",
        "look at it   uncertain: ",
        "history",
    ] {
        assert!(one.contains(part), "{part} in {one}");
    }
    let whole = &lines(&good(&shop, &["orders", "--json", failed]))[0];
    assert_eq!((&whole["refund"], &whole["outcome"], &whole["attempts"]), (&json!("due"), &json!("failed"), &json!([failed])));
    let history: Vec<_> = whole["history"].as_array().expect("a list").iter().map(|line| line["event"].as_str().expect("text")).collect();
    assert!(history[0].starts_with("ordered") && history.last().is_some_and(|last| last.contains("failed")), "{history:?}");
    assert!(!good(&shop, &["orders", "--json", failed]).contains("eyJ"), "no receipt is told");

    assert!(refused(&shop, &["orders", "nobody"]).contains("there is no order nobody"));
    for wrong in [
        &["orders", "--status", "lost"][..],
        &["orders", "--since", "yesterday"],
        &["orders", failed, "--refund-due"],
        &["orders", "--attention=much"],
    ] {
        assert_eq!(shop.merchant(wrong).status.code(), Some(2), "{wrong:?}");
    }
    // Who reads only the first line ends it without a complaint.
    let script = format!(
        "{} --config {} orders --json | head -n 1; echo ${{PIPESTATUS[0]}}",
        Program::Backend.binary(),
        shop.config(Program::Backend).display()
    );
    let piped = output(command(tool("bash")).args(["-c", &script]));
    assert!(stdout(&piped).ends_with("\n0\n") && stderr(&piped).is_empty(), "{piped:?}");
}

#[test]
fn a_refund_goes_through_midtrans_with_and_without_serve() {
    let mut shop = Shop::merchants_side();
    let (first, second) = (shop.reported("failed"), shop.reported("undelivered"));
    let told = good(&shop, &["refund", &first, "--by", "Sari"]);
    assert_eq!(told, format!("Rp5.000 for Bottled tea (A1) at vm-001 (order {first}) was refunded through the gateway\n"));
    // `serve` noticed.
    shop.wait_order(&first, "its refund", |order| (order["refund"] == "done" && order["status"] == "refund").then_some(()));
    assert_eq!(shop.midtrans.status(&first), "refund");
    assert!(refused(&shop, &["refund", &first]).contains("it is refunded already"));
    assert!(good(&shop, &["orders", &first]).contains("Sari wants it refunded"));

    shop.kill_backend();
    let told = &lines(&good(&shop, &["refund", "--json", &second]))[0];
    assert_eq!((&told["refund"], &told["order_id"]), (&json!("done"), &json!(second)));
    assert_eq!(shop.midtrans.status(&second), "refund");
    for order_id in [&first, &second] {
        assert_eq!(shop.midtrans.calls("refund", order_id).len(), 1, "whoever asks, it is asked once");
    }
    assert_eq!(good(&shop, &["orders", "--attention", "--json"]), "", "nobody must look at what went back");
}

#[test]
fn what_the_contract_does_not_allow_is_given_back_by_hand() {
    let shop = Shop::merchants_side();
    shop.midtrans.change(&json!({ "refunds": false }));
    let order_id = shop.reported("failed");
    let told = refused(&shop, &["refund", &order_id]);
    assert!(told.contains(&format!("(order {order_id})")) && told.contains("POS refunds not allowed"), "{told}");
    assert!(told.contains("--settled-by-hand"), "{told}");
    assert!(good(&shop, &["orders", "--attention=refund_failed"]).contains(&order_id));
    let told = good(&shop, &["refund", &order_id, "--settled-by-hand", "cash, receipt 12", "--by", "Sari"]);
    assert_eq!(told, format!("Rp5.000 for Bottled tea (A1) at vm-001 (order {order_id}) is noted as refunded by hand\n"));
    assert_eq!(shop.order_at_backend(&order_id)["refund"], "by_hand");
    assert!(good(&shop, &["orders", &order_id]).contains("settled by hand by Sari at "));
    assert!(refused(&shop, &["given", &order_id, "--by", "Budi", "--from", "elsewhere"]).contains("it is refunded already"));
    assert_eq!(good(&shop, &["orders", "--refund-due", "--json"]), "");
}

#[test]
fn goods_that_were_handed_over_are_not_refunded() {
    let shop = Shop::merchants_side();
    let order_id = shop.reported("failed");
    let told = good(&shop, &["given", &order_id, "--by", "Budi", "--from", "elsewhere"]);
    assert_eq!(told, format!("Rp5.000 for Bottled tea (A1) at vm-001 (order {order_id}) is noted as handed over by Budi: no refund\n"));
    assert_eq!(shop.order_at_backend(&order_id)["refund"], "given");
    assert!(refused(&shop, &["refund", &order_id]).contains("an attendant handed the goods over"));
    assert!(shop.midtrans.calls("refund", &order_id).is_empty());

    let (sold, silent) = (shop.reported("dispensed"), shop.paid());
    let unpaid = shop.charged();
    let table: [(&[&str], &str); 7] = [
        (&["refund", &sold], "reported it as dispensed"),
        (&["refund", &silent], "may still deliver it"),
        (&["refund", &silent, "--no-report", "--by", "Sari"], "an hour after the settlement"),
        (&["given", &silent, "--by", "Budi", "--from", "elsewhere"], "an hour after the settlement"),
        (&["refund", &unpaid], "the order is not paid"),
        (&["refund", "nobody"], "there is no order nobody"),
        (&["seen", &sold, "--by", "Sari"], "this order has nothing that `seen` could end"),
    ];
    for (arguments, why) in table {
        assert!(refused(&shop, arguments).contains(why), "{arguments:?}: {}", refused(&shop, arguments));
    }
    for wrong in [&["refund"][..], &["refund", &silent, "--no-report"], &["given", &silent], &["given", &silent, "--by", " "]] {
        assert_eq!(shop.merchant(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn goods_and_machines_have_their_names_where_a_person_reads() {
    let shop = Shop::merchants_side();
    let mut body = shop.order_body("r1");
    body["machine"] = json!("Lobby");
    assert_eq!(shop.post_order(&body).status, 201);
    let list = good(&shop, &["orders"]);
    assert!(list.contains("Lobby (vm-001)") && list.contains("Bottled tea (A1)"), "{list}");
    let one = &lines(&good(&shop, &["orders", "--json"]))[0];
    assert_eq!((&one["machine"], &one["description"]), (&json!("Lobby"), &json!("Bottled tea")));
    // What is owed has its reason.
    let late = shop.paid();
    let body = json!({ "outcome": "undelivered", "reason": "late", "proof": shop.proof(&late, "undelivered") });
    assert_eq!(shop.post_to(&late, "outcome", &body).status, 200);
    let due = good(&shop, &["orders", "--refund-due"]);
    assert!(due.contains("refund due (late)"), "{due}");
}

#[test]
fn an_order_is_named_by_the_first_letters_of_its_number() {
    let shop = Shop::merchants_side();
    let failed = shop.reported("failed");
    // As somebody writes down what a customer reads out.
    let heard = failed[..7].to_uppercase().replace('0', "O").replace('1', "l");
    assert!(good(&shop, &["orders", &heard]).starts_with(&format!("order {failed} ")));
    // In the groups of the screen, with quotes and without.
    let (first, rest) = failed.split_at(5);
    for groups in [&[&*format!("{first} {rest}")][..], &[first, rest], &[&first[..3], &first[3..], &rest[..5]]] {
        assert!(good(&shop, &[&["orders"], groups].concat()).starts_with(&format!("order {failed} ")), "{groups:?}");
    }
    assert!(refused(&shop, &["orders", &failed[..4]]).contains("a beginning has 5 letters or more"));
    let asked = good(&shop, &["reconcile", "--order", &heard]);
    assert!(asked.contains("asked about 1 order, 0 differences"), "{asked}");
    assert!(good(&shop, &["refund", first, rest, "--settled-by-hand", "in cash"]).contains(&failed));
    assert!(refused(&shop, &["seen", &failed, &failed, "--by", "Sari"]).contains("there is no order"), "two orders at once");
    // The machine's interface and the customer's page take whole numbers.
    assert_eq!(shop.backend_get(&format!("/v1/orders/{}", &failed[..7])).status, 404);
    assert_eq!(shop.http.get(&format!("{}/pay/{}", shop.backend_url, &failed[..7]), None).status, 404);
}

#[test]
fn a_chargeback_is_listed_until_somebody_has_seen_it() {
    let shop = Shop::merchants_side();
    let order_id = shop.reported("dispensed");
    shop.midtrans.set(&order_id, "chargeback", false);
    wait_for("the chargeback in the list", || good(&shop, &["orders", "--attention=chargeback"]).contains(&order_id).then_some(()));
    assert!(good(&shop, &["seen", &order_id, "--by", "Sari"]).contains("is noted as seen by Sari"));
    assert_eq!(good(&shop, &["orders", "--attention", "--json"]), "");
}

#[test]
fn a_report_sums_up_what_became_of_every_rupiah() {
    let shop = Shop::merchants_side();
    shop.reported("dispensed");
    let (failed, refunded, given) = (shop.reported("failed"), shop.reported("failed"), shop.reported("failed"));
    shop.reported("uncertain");
    shop.paid();
    good(&shop, &["refund", &refunded]);
    good(&shop, &["given", &given, "--by", "Budi", "--from", "elsewhere"]);
    let _ = failed;

    let report = &lines(&good(&shop, &["report", "--json"]))[0];
    let sum = |orders: u64| json!({ "orders": orders, "amount": orders * 5000 });
    let ends = [
        ("paid", 6),
        ("delivered", 1),
        ("given", 1),
        ("refund_due", 1),
        ("refunded", 1),
        ("uncertain", 1),
        ("awaited", 1),
        ("unreported", 0),
    ];
    for (end, orders) in ends {
        assert_eq!(report["total"][end], sum(orders), "{end}");
        assert_eq!(report["machines"][0][end], sum(orders), "{end}");
    }
    assert_eq!(
        (&report["machines"][0]["device"], &report["balanced"], &report["total"]["fees"]),
        (&json!(DEVICE), &json!(true), &json!(0))
    );

    let table = good(&shop, &["report"]);
    assert!(table.contains("balanced: Rp30.000 paid = the sum of what became of it"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
    let csv = good(&shop, &["report", "--csv"]);
    let records: Vec<Vec<&str>> = csv.split_terminator("\r\n").map(|record| record.split(',').collect()).collect();
    assert!(records.len() == 3 && records.iter().all(|record| record.len() == records[0].len()), "{csv}");
    assert_eq!(good(&shop, &["report", "--csv", "--separator", ";"]), csv.replace(',', ";"));
    assert_eq!((records[0][2], records[1][2], records[2][2]), ("device", DEVICE, "all machines"));
    assert_eq!((records[0][4], records[1][4], records[2][4]), ("paid_amount", "30000", "30000"));

    // Another day, and another machine.
    assert!(good(&shop, &["report", "--date", "2020-01-01"]).contains("balanced: Rp0 paid"));
    assert_eq!(lines(&good(&shop, &["report", "--json", "--device", "vm-002"]))[0]["total"]["paid"], sum(0));
    assert_eq!(shop.merchant(&["report", "--date", "2026-13-01"]).status.code(), Some(2));
    assert_eq!(shop.merchant(&["report", "--date", "2026-11-20", "--until", "2026-11-19"]).status.code(), Some(2));
}

#[test]
fn after_the_last_day_each_list_says_that_the_money_goes_back_only_by_hand() {
    let shop = Shop::merchants_side();
    let open = shop.reported("failed");
    let long_ago = json!({"settlement_time": "2026-01-02 03:04:05"});
    shop.midtrans.fault(&json!({"fault": "alter_answer", "on": "status", "set": long_ago}));
    let over = shop.reported("failed");
    let json_of = |order: &str| lines(&good(&shop, &["orders", order, "--json"])).remove(0);
    wait_for("its time to be over", || {
        json_of(&over)["attention"].as_array().is_some_and(|kinds| kinds.contains(&json!("only_by_hand"))).then_some(())
    });
    assert_eq!(json_of(&over)["refund_until"], json!(null), "a last day that is over");
    let last_day = json_of(&open)["refund_until"].as_str().expect("its last day").to_owned();
    let rows = records(&shop, &good(&shop, &["orders", "--csv"]));
    let until = |order: &str| rows.iter().find(|row| row["order_id"] == order).map(|row| row["refund_until"].clone());
    assert_eq!((until(&over), until(&open)), (Some(json!("only_by_hand")), Some(json!(last_day))));
    let due = good(&shop, &["orders", "--refund-due"]);
    assert!(due.lines().any(|line| line.contains(&over) && line.contains("by hand")) && due.contains(&last_day[..8]), "{due}");

    // The first last day in a report is one that still comes.
    let of_days = |more: &[&str]| good(&shop, &[&["report", "--date", "2026-01-01", "--until", &today()], more].concat());
    let report = lines(&of_days(&["--json"])).remove(0);
    assert_eq!(report["refund_until"], json!(last_day));
    assert_eq!(report["only_by_hand"], json!({ "orders": 1, "amount": 5000 }));
    let table = of_days(&[]);
    let line = table.lines().find(|line| line.starts_with("only by hand")).unwrap_or_else(|| panic!("{table}"));
    assert!(line.ends_with("      1            Rp5.000"), "{table}");
    let past = lines(&good(&shop, &["report", "--json", "--date", "2026-01-02"])).remove(0);
    assert_eq!((&past["refund_until"], &past["only_by_hand"]["orders"]), (&json!(null), &json!(1)));
}

/// The day in Jakarta.
fn today() -> String {
    clock::now().wall.to_wib()[..10].to_owned()
}

/// The records of CSV as another reader of it understands them.
fn records(shop: &Shop, csv: &str) -> Vec<Value> {
    let file = shop.path().join("payments.csv");
    std::fs::write(&file, csv).expect("written");
    let script =
        "import csv, json, sys\nprint(json.dumps(list(csv.DictReader(open(sys.argv[1], newline='', encoding='utf-8'), strict=True))))";
    let read = output(command(tool("python3")).args(["-c", script]).arg(&file));
    lines(&stdout(&read)).remove(0).as_array().expect("a list").clone()
}

/// A shop in the east of Indonesia, whose fee for QRIS is known, and no other.
fn shop_in_the_east() -> Shop {
    let more = "charge_as = \"gopay\"\n[reports]\nzone = \"WIT\"\n[fees]\nqris = { basis_points = 70 }\n";
    Shop::open(Options { machine: false, midtrans: more.into(), ..Options::default() })
}

#[test]
fn every_payment_is_a_record_that_accounts_can_take() {
    let shop = shop_in_the_east();
    let mut body = shop.order_body(&new_request_id());
    body["description"] = json!("=HYPERLINK(\"//x\",1);-2, \"teh\"");
    let by_qris = shop.post_order(&body).json()["order_id"].as_str().expect("an id").to_owned();
    shop.midtrans.pay(&by_qris, Via::Qris);
    shop.wait_order(&by_qris, "its receipt", |order| order["receipt"].as_str().map(|_| ()));
    shop.post_to(&by_qris, "outcome", &json!({ "outcome": "dispensed", "proof": shop.proof(&by_qris, "dispensed") }));
    let refunded = shop.reported("failed");
    good(&shop, &["refund", &refunded]);
    let awaited = shop.paid();
    // Nobody paid it.
    shop.charged();

    let csv = good(&shop, &["orders", "--csv"]);
    assert!(csv.ends_with("\r\n") && csv.matches('\n').count() == 4, "{csv}");
    let rows = records(&shop, &csv);
    let row = |order_id: &str| rows.iter().find(|row| row["order_id"] == order_id).unwrap_or_else(|| panic!("{order_id} in {csv}"));
    let [by_qris, refunded_row, awaited] = [&by_qris, &refunded, &awaited].map(|order_id| row(order_id));
    // Midtrans tells the time of a payment to the second.
    assert!(rows.is_sorted_by_key(|row| row["settled_at"].to_string()), "the oldest payment first: {csv}");
    let common = [("device", DEVICE), ("item", "A1"), ("price", "5000"), ("paid", "5000"), ("above_price", "0"), ("refund_until", "")];
    let table: [(&Value, &[(&str, &str)]); 3] = [
        (
            by_qris,
            &[
                ("description", "'=HYPERLINK(\"//x\",1);'-2, \"teh\""),
                ("scheme", "qris"),
                ("acquirer", "gopay"),
                ("issuer", "dana"),
                ("refunded_at", ""),
                ("status", "settlement"),
                ("outcome", "dispensed"),
                ("money", "delivered"),
                ("returned", "0"),
                ("gateway_fee", "35"),
                ("payout", "4965"),
            ],
        ),
        // No fee is set for GoPay: it is not known, and not 0.
        (
            refunded_row,
            &[
                ("description", "Bottled tea"),
                ("scheme", "gopay"),
                ("issuer", ""),
                ("status", "refund"),
                ("outcome", "failed"),
                ("money", "refunded"),
                ("returned", "5000"),
                ("gateway_fee", ""),
                ("payout", ""),
            ],
        ),
        (
            awaited,
            &[("outcome_at", ""), ("refunded_at", ""), ("status", "settlement"), ("outcome", ""), ("money", "awaited"), ("returned", "0")],
        ),
    ];
    for (row, fields) in table {
        for (field, value) in common.iter().chain(fields) {
            assert_eq!(row[*field], json!(value), "{field} of {row}");
        }
        assert_eq!(row.as_object().map(serde_json::Map::len), Some(24), "{row}");
    }
    for (row, field) in rows
        .iter()
        .flat_map(|row| ["began_at", "settled_at"].map(|field| (row, field)))
        .chain([(by_qris, "outcome_at"), (refunded_row, "refunded_at")])
    {
        let text = row[field].as_str().expect("text");
        assert!(text.ends_with("+09:00") && Wall::from_rfc3339(text).is_ok(), "{field} of {row}");
    }

    for wrong in [
        &["orders", "--csv", "--json"][..],
        &["orders", "--csv", "--limit", "5"],
        &["orders", "--csv", "--refund-due"],
        &["orders", &refunded, "--csv"],
        &["orders", "--date", "2026-1"],
        &["report", "--by", "colour"],
        &["report", "--date", "2026-13"],
        &["report", "--date", "2026-12", "--until", "2026-11"],
    ] {
        assert_eq!(shop.merchant(wrong).status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(records(&shop, &good(&shop, &["orders", "--csv", "--date", "2020-01"])), Vec::<Value>::new());
}

#[test]
fn each_breakdown_of_a_report_is_balanced_and_agrees_with_the_payments() {
    let shop = shop_in_the_east();
    shop.reported("dispensed");
    shop.reported("failed");
    let by_qris = shop.charged();
    shop.midtrans.pay(&by_qris, Via::Qris);
    shop.wait_order(&by_qris, "its receipt", |order| order["receipt"].as_str().map(|_| ()));

    let rows = records(&shop, &good(&shop, &["orders", "--csv"]));
    let day = |row: &Value| row["settled_at"].as_str().expect("text")[..10].to_owned();
    // The test may run over midnight.
    let (first, last) = (day(&rows[0]), day(&rows[2]));
    let month = &first[..7];
    for (by, plural, field, name) in [
        ("machine", "machines", "device", DEVICE),
        ("item", "items", "item", "Bottled tea"),
        ("scheme", "schemes", "scheme", "gopay"),
        ("day", "days", "day", &first),
        ("month", "months", "month", month),
    ] {
        let asked = ["report", "--by", by, "--date", &first, "--until", &last];
        let report = &lines(&good(&shop, &[&asked[..], &["--json"]].concat()))[0];
        assert_eq!((&report["balanced"], &report["total"]["paid"]), (&json!(true), &json!({ "orders": 3, "amount": 15_000 })), "{by}");
        let groups = report[plural].as_array().expect("a list");
        assert_eq!(groups[0][field], name, "{report}");
        for end in ["paid", "delivered", "refund_due", "awaited"] {
            let amounts = groups.iter().map(|group| group[end]["amount"].as_u64().expect("an amount"));
            assert_eq!(report["total"][end]["amount"], amounts.sum::<u64>(), "{end} by {by}");
        }
        let table = good(&shop, &asked);
        assert!(table.contains("(days of WIT, +09:00)"), "{table}");
        assert!(table.contains("balanced: Rp15.000 paid = the sum of what became of it"), "{table}");
        assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
        let csv = records(&shop, &good(&shop, &[&asked[..], &["--csv"]].concat()));
        assert_eq!((&csv[0][field], &csv[csv.len() - 1][field]), (&json!(name), &json!(format!("all {plural}"))));
        assert_eq!((&csv[0]["from"], &csv[0]["to"]), (&json!(first), &json!(last)));
    }
    // A fee is known of a part only: of the rest and of the whole it is not told.
    let report = &lines(&good(&shop, &["report", "--by", "scheme", "--date", month, "--until", &last[..7], "--json"]))[0];
    let fee = |of: &Value| (of["gateway_fee"].clone(), of["payout"].clone());
    let schemes = report["schemes"].as_array().expect("a list");
    assert_eq!(schemes.iter().map(|of| of["scheme"].clone()).collect::<Vec<_>>(), ["gopay", "qris dana"]);
    assert_eq!((fee(&schemes[0]), fee(&schemes[1])), ((Value::Null, Value::Null), (json!(35), json!(4965))));
    assert_eq!(fee(&report["total"]), (Value::Null, Value::Null));
    let table = good(&shop, &["report", "--by", "scheme", "--date", &first, "--until", &last]);
    assert!(table.contains("GATEWAY FEE") && table.contains("of 2 orders of Rp10.000 is not known"), "{table}");
    // The list and the page of one order tell the same times.
    assert!(good(&shop, &["orders"]).starts_with("BEGAN (WIT)"));
    let one = good(&shop, &["orders", &by_qris]);
    assert!(one.contains("(times are WIT, +09:00)") && one.contains("by qris (issuer dana, acquirer gopay) at "), "{one}");
}

#[test]
fn a_key_is_used_by_a_serve_that_runs() {
    let shop = Shop::merchants_side();
    let old = shop.charge()["kid"].as_str().expect("a kid").to_owned();
    let new = good(&shop, &["keys", "new", "--rotate"]).trim().to_owned();
    assert_ne!(old, new);
    let order = |kids: &[&str]| {
        let mut body = shop.order_body(&new_request_id());
        body["kids"] = json!(kids);
        shop.post_order(&body)
    };
    // Added, and not used where the machine knows both.
    wait_for("the new key to be known", || (order(&[&new]).status == 201).then_some(()));
    assert_eq!(order(&[&old, &new]).json()["kid"], json!(old));
    good(&shop, &["keys", "use", &new]);
    shop.backend.as_ref().expect("it runs").wait_line(&format!("receipts are signed with the key {new}"));
    assert_eq!(order(&[&old, &new]).json()["kid"], json!(new));
    assert_eq!(order(&[&old]).json()["kid"], json!(old), "a machine that knows only the old one is served all the same");
    // One name in 64 begins with a hyphen, perhaps this one.
    let other = format!("-{}", new[1..].chars().rev().collect::<String>());
    assert!(refused(&shop, &["keys", "use", &other]).contains(&format!("there is no key {other} in")));
    // A file that cannot be used changes nothing.
    std::fs::write(shop.path().join("signing-key.json"), "{}").expect("written");
    shop.backend.as_ref().expect("it runs").wait_line("the file of signing keys cannot be used");
    assert_eq!(order(&[&old, &new]).json()["kid"], json!(new));
}

#[test]
fn a_token_is_replaced_only_on_purpose() {
    let shop = Shop::merchants_side();
    let told = refused(&shop, &["device", "add", DEVICE]);
    assert!(told.contains("vm-001 has a token already") && told.contains("--replace"), "{told}");
    assert_eq!(shop.backend_get("/v1/orders?state=open").status, 200, "the old one stays");
    let token = good(&shop, &["device", "add", DEVICE, "--replace"]);
    assert_eq!((token.lines().count(), token.trim().len()), (1, 43), "the token alone");
    assert_eq!(shop.backend_get("/v1/orders?state=open").status, 401);
    let open = shop.http.get(&format!("{}/v1/orders?state=open", shop.backend_url), Some(token.trim()));
    assert_eq!(open.status, 200);
    good(&shop, &["device", "revoke", DEVICE]);
    let list = lines(&good(&shop, &["device", "list", "--json"]));
    assert!(list.len() == 1 && list[0]["device"] == DEVICE && list[0]["revoked"].is_string(), "{list:?}");
    assert!(refused(&shop, &["device", "add", DEVICE]).contains("--replace"), "also of a revoked one");
}
