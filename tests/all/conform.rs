//! `qris-demo conform`: our own backend keeps the contract, and one that does not is found out, each difference by name.

use crate::rig::postgres::Postgres;
use crate::rig::process::Process;
use crate::rig::proxy::{Proxy, Reply};
use crate::rig::shop::{Options, Program, Shop};
use crate::rig::{PATIENCE, command, free_port, output, succeed};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use qris::order::keys::SigningKey;
use serde_json::{Value, json};
use std::process::Output;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn open(orders_per_minute: u32) -> (Shop, String) {
    open_with(orders_per_minute, None)
}

fn open_with(orders_per_minute: u32, store: Option<String>) -> (Shop, String) {
    let mut shop = Shop::open(Options { machine: false, store, midtrans: "max_imposed_fee = 100".into(), ..Options::default() });
    if orders_per_minute > 0 {
        shop.kill_backend();
        shop.edit(Program::Backend, |text| text.replace("orders_per_minute = 0", &format!("orders_per_minute = {orders_per_minute}")));
        shop.start_backend();
    }
    let other = succeed(shop.program_command(Program::Backend).args(["device", "add", "vm-002"])).trim().to_owned();
    (shop, other)
}

/// A shop whose backend refunds by itself.
fn open_refunding() -> Shop {
    open_trying(0)
}

/// The same, and it offers so many second tries.
fn open_trying(second_tries: u32) -> Shop {
    let (mut shop, _) = open(0);
    shop.kill_backend();
    let orders = format!("[orders]\nauto_refund = true\nsecond_tries = {second_tries}\n");
    shop.edit(Program::Backend, |text| format!("{text}\n{orders}"));
    shop.start_backend();
    shop
}

fn conform(shop: &Shop, backend: &str, more: &[&str]) -> std::process::Command {
    conform_as(&shop.token, shop, backend, more)
}

fn conform_as(token: &str, shop: &Shop, backend: &str, more: &[&str]) -> std::process::Command {
    let mut start = command(env!("CARGO_BIN_EXE_qris-demo"));
    start.args(["conform", "--backend", backend, "--token", token, "--keys"]).arg(shop.path().join("keys.json")).args(more);
    start
}

/// What it said, and the lines that tell a difference.
fn differences(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter(|line| line.starts_with("DIFFERENCE: ")).map(str::to_owned).collect()
}

/// Runs it to its end; it waits for long polls, so it takes longer than others.
fn run(mut command: std::process::Command) -> Output {
    let process = Process::start("conform", &mut command);
    let line = process.wait_line_within(PATIENCE * 4, " checks: ");
    assert!(line.contains(" ok, "), "{line}");
    let (status, text) = process.finish();
    Output { status, stdout: text.into_bytes(), stderr: Vec::new() }
}

#[test]
fn our_own_backend_keeps_the_contract() {
    keeps_the_contract(&open(0));
}

#[test]
fn our_own_backend_on_postgresql_keeps_the_contract() {
    let server = Postgres::start(&[]);
    keeps_the_contract(&open_with(0, Some(format!("url = \"{}\"", server.url()))));
}

fn keeps_the_contract((shop, other): &(Shop, String)) {
    let ended = run(conform(
        shop,
        &shop.backend_url,
        &["--other-token", other, "--simulator", &shop.midtrans.url, "--device", "vm-001", "--max-imposed-fee", "100"],
    ));
    let text = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(differences(&ended), [""; 0], "{text}");
    assert_eq!(ended.status.code(), Some(0), "{text}");
    let skipped: Vec<_> = text.lines().filter(|line| line.starts_with("skipped: ")).collect();
    let expected =
        ["more orders than orders_per_minute", "a payment over the counter", "--refunds is missing", "--second-tries is missing"];
    assert!(skipped.iter().all(|line| expected.iter().any(|known| line.contains(known))), "{skipped:#?}");
    for words in ["this takes minutes", "its orders stay in the books"] {
        assert_eq!(text.matches(words).count(), 1, "{text}");
    }
    assert!(!text.contains("the backend was away"), "{text}");
    // It leaves nothing behind that can be paid.
    shop.wait_nothing_payable();
    assert!(!text.contains(&shop.token) && !text.contains(other), "a token stands in what it told");
}

/// What differs then is not the backend's doing, and a person looks for it in vain.
#[test]
fn a_backend_that_is_away_is_called_so() {
    let (shop, _) = open(0);
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let ended = run(conform(&shop, &nobody, &["--only", "an order that nobody made does not exist"]));
    let text = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(ended.status.code(), Some(1), "{text}");
    assert!(text.contains("the backend was away: 1 calls found nobody there"), "{text}");
}

/// The second run shows the same key as the first, and proofs with higher numbers.
#[test]
fn our_own_backend_refunds_as_the_contract_has_it() {
    let shop = open_refunding();
    for (words, checks) in [("leaves the money owed", 1), ("a refund ", 3)] {
        let ended = run(conform(&shop, &shop.backend_url, &["--simulator", &shop.midtrans.url, "--refunds", "--only", words]));
        let text = String::from_utf8_lossy(&ended.stdout);
        let good = text.lines().filter(|line| line.starts_with("ok: a refund ")).count();
        assert_eq!((ended.status.code(), good), (Some(0), checks), "{text}");
    }
}

#[test]
fn our_own_backend_gives_second_tries_as_the_contract_has_it() {
    let shop = open_trying(1);
    let ended = run(trying(&shop.token, &shop, &shop.backend_url, "second try"));
    let text = String::from_utf8_lossy(&ended.stdout);
    let good = text.lines().filter(|line| line.starts_with("ok: ") && line.contains("second try")).count();
    assert_eq!((ended.status.code(), good, text.contains("\nskipped: ")), (Some(0), 11, false), "{text}");
}

fn trying(token: &str, shop: &Shop, backend: &str, only: &str) -> std::process::Command {
    conform_as(token, shop, backend, &["--simulator", &shop.midtrans.url, "--refunds", "--second-tries", "--only", only])
}

#[test]
fn without_a_hand_and_keys_it_says_what_it_could_not_look_at() {
    let (shop, _) = open(3);
    let mut alone = command(env!("CARGO_BIN_EXE_qris-demo"));
    let ended = output(alone.args(["conform", "--backend", &shop.backend_url, "--token", &shop.token]));
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert_eq!((ended.status.code(), differences(&ended)), (Some(0), vec![]), "{text}");
    assert!(text.contains("skipped: a sale is charged") && text.contains("nothing can be ordered without --keys"), "{text}");
    assert!(text.contains("ok: a call without a token is refused"), "{text}");
    assert!(shop.midtrans.transactions().is_empty());
    // One check alone, with the limit that the backend has and with one that it has not.
    for (limit, status, told) in [("3", 0, "ok: more orders than"), ("1", 0, "ok: more orders than"), ("0", 0, "skipped: more orders than")]
    {
        let ended = output(&mut conform(&shop, &shop.backend_url, &["--only", "orders_per_minute", "--orders-per-minute", limit]));
        let text = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(ended.status.code() == Some(status) && text.contains(told) && !text.contains("a call without a token"), "{limit}: {text}");
    }
    let (unlimited, _) = open(0);
    let ended = output(&mut conform(&unlimited, &unlimited.backend_url, &["--only", "orders_per_minute", "--orders-per-minute", "2"]));
    assert_eq!(ended.status.code(), Some(1));
    assert!(differences(&ended)[0].contains("expected 429 after 2 orders in a minute; came none"), "{:?}", differences(&ended));
}

#[test]
fn wrong_use_ends_with_2() {
    let (shop, _) = open(0);
    let keys = shop.path().join("signing-key.json").display().to_string();
    for (arguments, told) in [
        (vec!["--token", "x"], "--backend"),
        (vec!["--backend", "http://127.0.0.1:1"], "--token"),
        (vec!["--backend", "http://pay.example", "--token", "x"], "loopback"),
        (vec!["--backend", "http://127.0.0.1:1", "--token", "x", "--keys", &keys], "not a JWK Set"),
        (vec!["--backend", "http://127.0.0.1:1", "--token", "x", "--item", "A|1"], "--item"),
        (vec!["--backend", "http://127.0.0.1:1", "--token", "x", "--pay", "true", "--interactive"], "cannot be used with"),
    ] {
        let ended = output(command(env!("CARGO_BIN_EXE_qris-demo")).arg("conform").args(&arguments));
        let text = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(told), "{arguments:?}: {text}");
    }
}

/// What a broken backend answers otherwise than ours.
type Break = fn(&str, &str, &mut Reply);

/// Four faults: a field is dropped; another body is answered with the old order; orders of others are shown; a second
/// outcome replaces the first.
fn forgetful(method: &str, path: &str, reply: &mut Reply) {
    reply.json_mut(|order| order.as_object_mut()?.remove("settled_ago_s").map(drop));
    let refused_order = method == "POST" && path == "/v1/orders" && reply.status == 409;
    let hidden_order = path.starts_with("/v1/orders/") && reply.status == 404;
    let second_outcome = path.ends_with("/outcome") && reply.status == 409;
    if refused_order || hidden_order || second_outcome {
        (reply.status, reply.content_type) = (200, "application/json".into());
    }
}

/// Four faults: every repetition is new; a receipt says another amount; the QR asks for another sum; a problem does not say
/// of which order.
fn greedy(method: &str, path: &str, reply: &mut Reply) {
    if reply.status == 404 {
        reply.json_mut(|problem| problem.as_object_mut()?.remove("order_id").map(drop));
    }
    if method == "POST" && path == "/v1/orders" && reply.status == 200 {
        reply.status = 201;
    }
    reply.json_mut(|order| {
        let receipt = order["receipt"].as_str()?.to_owned();
        let parts: Vec<&str> = receipt.split('.').collect();
        let claims = String::from_utf8(BASE64URL.decode(parts[1]).ok()?).ok()?.replace("\"amount\":5000", "\"amount\":4000");
        order["receipt"] = json!(format!("{}.{}.{}", parts[0], BASE64URL.encode(claims), parts[2]));
        Some(())
    });
    reply.json_mut(|order| {
        let payload = order["qr_payload"].as_str()?.replacen("5000", "6000", 1);
        order["qr_payload"] = json!(payload);
        Some(())
    });
}

/// Two faults: amounts are text; errors are plain text.
fn sloppy(_: &str, _: &str, reply: &mut Reply) {
    reply.json_mut(|order| {
        order["amount"] = json!(order["amount"].as_u64()?.to_string());
        Some(())
    });
    if reply.status >= 400 {
        (reply.content_type, reply.body) = ("text/plain".into(), b"no".to_vec());
    }
}

#[test]
fn a_backend_that_breaks_the_contract_is_found_out() {
    let broken: [(&str, Break, &[&str]); 3] = [
        (
            "forgetful",
            forgetful,
            &[
                "shape of POST /v1/orders → 201",
                "expected a field /settled_ago_s; came none",
                "the same key with another body is refused: expected 409",
                "an order that nobody made does not exist: expected 404",
                "another machine's order is not there: expected 404",
                "the outcome dispensed stays: expected 409",
                "the outcome uncertain stays: expected 409",
            ],
        ),
        (
            "greedy",
            greedy,
            &[
                "the same key and body again give the same order: expected 200",
                "posts of one request at the same time make one order: expected 201 once",
                "a payment becomes a receipt that verifies, and wakes the long poll: expected a receipt that verifies; came the receipt's signature",
                "the QR is a QRIS payload of the amount: expected a QRIS payload for Rp5.000",
                "an order that nobody made does not exist: expected order_id",
                "another machine's order is not there: expected order_id",
            ],
        ),
        (
            "sloppy",
            sloppy,
            &[
                "/amount: expected type \"integer\"; came \"5000\"",
                "shape of GET /v1/orders → 401",
                "expected Content-Type application/problem+json; came \"text/plain\"",
                "an unknown address is answered with a problem: expected JSON",
            ],
        ),
    ];
    let (mut shop, other) = open(0);
    std::thread::scope(|scope| {
        for (what, alter, told) in broken {
            let proxy = Proxy::start(&shop.backend_url, alter);
            // A machine has two long polls: each run is a machine of its own.
            shop.token = succeed(shop.program_command(Program::Backend).args(["device", "add", what])).trim().to_owned();
            let start = conform(&shop, &proxy.url, &["--other-token", &other, "--simulator", &shop.midtrans.url]);
            scope.spawn(move || {
                let ended = run(start);
                let (differences, text) = (differences(&ended), String::from_utf8_lossy(&ended.stdout).into_owned());
                assert_eq!(ended.status.code(), Some(1), "{what}: {text}");
                for words in told {
                    assert!(differences.iter().any(|line| line.contains(words)), "{what}: no {words:?} in {differences:#?}");
                }
            });
        }
    });
}

/// It always answers the same, whatever is asked.
fn stubborn(method: &str, path: &str, reply: &mut Reply) {
    if method == "POST" && path == "/v1/orders" {
        reply.status = 200;
        reply.json_mut(|order| {
            (order["request_id"], order["order_id"]) = (json!("conform-x"), json!("wpc4wpcpx18f3s54vxwr"));
            Some(())
        });
    }
}

/// The first answer asks for a later try.
fn hesitant(method: &str, path: &str, reply: &mut Reply) {
    static HESITATED: AtomicBool = AtomicBool::new(false);
    if method == "POST" && path == "/v1/orders" {
        // Our backend has made the order by then.
        let hesitates = !HESITATED.swap(true, Ordering::Relaxed);
        (reply.status, reply.retry_after) = if hesitates { (503, "1".into()) } else { (201, String::new()) };
    }
}

#[test]
fn a_check_that_a_constant_answer_passes_is_none_and_a_wait_is_told() {
    let (shop, _) = open(0);
    let only = |alter: Break, check: &str| {
        let proxy = Proxy::start(&shop.backend_url, alter);
        run(conform(&shop, &proxy.url, &["--only", check]))
    };
    let ended = only(stubborn, "posts of one request at the same time");
    assert!(differences(&ended).iter().any(|line| line.contains("make one order: expected request_id")), "{:?}", differences(&ended));
    let ended = only(hesitant, "an unknown field is ignored");
    let text = String::from_utf8_lossy(&ended.stdout);
    assert!(text.contains("waits 1 s, as Retry-After says\nok: an unknown field is ignored"), "{text}");
}

/// How a backend reads Midtrans: by the letter of the documents. It knows no other name or word, and no other picture.
fn by_the_letter(_: &str, path: &str, reply: &mut Reply) {
    let Some(asked) = path.strip_prefix("/v2/") else { return };
    let told: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let is_read = match asked.strip_suffix("/status") {
        Some(id) => {
            told["order_id"] == id && ["pending", "settlement", "expire", "cancel"].iter().any(|word| told["transaction_status"] == *word)
        }
        None if asked == "charge" => {
            told["actions"].as_array().is_some_and(|all| all.iter().any(|action| action["name"] == "generate-qr-code"))
                && told["qr_string"].as_str().is_none_or(|payload| !payload.bytes().rev().take(4).any(|byte| byte.is_ascii_lowercase()))
        }
        None => true,
    };
    if !is_read {
        (reply.status, reply.body) = (500, b"{}".to_vec());
    }
}

/// Another one believes whatever is called settled: it does not compare the sum and the currency. And a refund that was answered with
/// HTTP 200 was made.
fn believing(_: &str, path: &str, reply: &mut Reply) {
    if path.contains("/refund") && reply.status == 200 {
        reply.json_mut(|told| {
            (told["status_code"], told["transaction_status"]) = (json!("200"), json!("refund"));
            told["refund_amount"] = told["gross_amount"].clone();
            Some(())
        });
    }
    if path.ends_with("/status") {
        reply.json_mut(|told| {
            (told["gross_amount"], told["currency"]) = (json!("5000.00"), json!("IDR"));
            Some(())
        });
    }
}

/// And one believes a notification: as soon as it is paid, there is a receipt. A refund that is due has been made.
fn hasty(method: &str, path: &str, reply: &mut Reply) {
    if method == "GET" && path.starts_with("/v1/orders/") {
        reply.json_mut(|order| {
            order["receipt"] = json!("a receipt");
            if order["refund"] == "due" {
                order["refund"] = json!("done");
            }
            Some(())
        });
    }
}

#[test]
fn a_backend_that_reads_midtrans_wrongly_is_found_out() {
    let behind = |alter: Break| {
        let mut shop = open_refunding();
        shop.kill_backend();
        let proxy = Proxy::start(&shop.midtrans.url, alter);
        shop.edit(Program::Backend, |text| text.replace(&shop.midtrans.url, &proxy.url));
        shop.start_backend();
        shop
    };
    // What a check tells Midtrans for a moment counts for all of its shop.
    let mut shops = [behind(by_the_letter), behind(believing), open_refunding(), open_refunding(), behind(by_the_letter)];
    // Only so is the QR's text in the answer to the charge.
    shops[4].kill_backend();
    shops[4].edit(Program::Backend, |text| text.replace("max_imposed_fee = 100", "max_imposed_fee = 100\ncharge_as = \"qris\""));
    shops[4].start_backend();
    // This one hears nothing of a settlement. It finds a payment when it asks.
    shops[3].midtrans.fault(&json!({"fault": "drop_notification", "on": "settlement"}));
    let hasty = Proxy::start(&shops[2].backend_url, hasty);
    let urls =
        [shops[0].backend_url.clone(), shops[1].backend_url.clone(), hasty.url, shops[3].backend_url.clone(), shops[4].backend_url.clone()];
    let runs: Vec<(Process, &str)> = [
        (0, "a payment that Midtrans tells under another order_id becomes a receipt", "expected settlement with a receipt within"),
        (0, "a payment that Midtrans tells in capitals becomes a receipt", "expected settlement with a receipt within"),
        (0, "an end that Midtrans tells as expired is the end", "expected an end of what has expired within"),
        // With both of the next, charges fail. None of the others may be at their shop.
        (4, "a QR that Midtrans has only in its frame is read", "expected 201"),
        (4, "a QR with its check value in small letters is handed on in capitals", "expected 201"),
        (1, "a payment that Midtrans tells of another charge has no receipt", "expected receipt for"),
        (1, "a fee that Midtrans tells only with the payment is in the receipt", "expected claim gross_amount Some(5100); came Some(5000)"),
        (
            2,
            "a payment that Midtrans confirms late has no receipt before that",
            "expected receipt before get-status confirms the payment Null",
        ),
        (1, "a refund that the bank denies leaves the money owed", "expected a refund that is due; came \"done\""),
        (2, "a refund whose key is used up is made under another key", "expected a refund that is due; came \"done\""),
        (
            3,
            "a refund that the bank refuses later is looked up at Midtrans",
            "expected a get-status when Midtrans tells of a settlement again",
        ),
    ]
    .into_iter()
    .enumerate()
    .map(|(number, (at, name, told))| {
        let shop = &mut shops[at];
        // Each is a machine of its own, with its own two long polls.
        let machine = format!("vm-1{number}");
        shop.token = succeed(shop.program_command(Program::Backend).args(["device", "add", &machine])).trim().to_owned();
        let more = ["--simulator", &shop.midtrans.url, "--max-imposed-fee", "100", "--refunds", "--only", name];
        let mut start = conform(shop, &urls[at], &more);
        (Process::start("conform", &mut start), told)
    })
    .collect();
    for (run, told) in &runs {
        let line = run.wait_line_within(PATIENCE * 4, "DIFFERENCE: ");
        assert!(line.contains(told), "{line}");
    }
}

/// It says of no order that another try may begin.
fn miserly(_: &str, _: &str, reply: &mut Reply) {
    offer(reply, &Value::Null, |_| true);
}

/// It offers one on the machine's word alone, and for whatever the relay has signed.
fn generous(_: &str, _: &str, reply: &mut Reply) {
    offer(reply, &json!(3600), |order| !order["outcome"].is_null());
}

fn offer(reply: &mut Reply, seconds: &Value, where_it: fn(&Value) -> bool) {
    reply.json_mut(|order| {
        order.get("receipt").filter(|_| where_it(order))?;
        order["try_again_s"] = seconds.clone();
        Some(())
    });
}

/// It begins a try whatever is promised.
fn trusting(_: &str, path: &str, reply: &mut Reply) {
    if path.ends_with("/again") && reply.status >= 400 {
        (reply.status, reply.content_type) = (200, "application/json".into());
    }
}

/// Its refusal of a promise is about no order.
fn nameless(_: &str, path: &str, reply: &mut Reply) {
    if path.ends_with("/again") {
        reply.json_mut(|problem| problem.as_object_mut()?.remove("order_id").map(drop));
    }
}

/// It refuses a promise, and the order changes.
fn restless(method: &str, path: &str, reply: &mut Reply) {
    static REV: AtomicU64 = AtomicU64::new(1000);
    if method == "GET" && path.starts_with("/v1/orders/") {
        reply.json_mut(|order| {
            order["rev"] = json!(REV.fetch_add(1, Ordering::Relaxed));
            Some(())
        });
    }
}

/// The key with which the shop signs its receipts.
static SHOP_KEY: OnceLock<SigningKey> = OnceLock::new();

/// Another receipt, and as well signed.
fn sign_again(path: &str, reply: &mut Reply, change: impl FnOnce(&mut Value)) {
    let (true, Some(key)) = (path.ends_with("/again"), SHOP_KEY.get()) else { return };
    reply.json_mut(|order| {
        let claims = BASE64URL.decode(order["receipt"].as_str()?.split('.').nth(1)?).ok()?;
        let mut claims = serde_json::from_slice(&claims).ok()?;
        change(&mut claims);
        order["receipt"] = json!(key.sign(serde_json::from_value(claims).ok()?).jws());
        Some(())
    });
}

/// Its receipt names another ticket than the one of the try before.
fn without_thread(_: &str, path: &str, reply: &mut Reply) {
    sign_again(path, reply, |claims| claims["after"] = claims["ticket"].clone());
}

/// Its receipt is for the price of the first try.
fn of_the_old_price(_: &str, path: &str, reply: &mut Reply) {
    sign_again(path, reply, |claims| claims["amount"] = json!(5000));
}

/// It signs a new receipt each time.
fn signing_anew(_: &str, path: &str, reply: &mut Reply) {
    static IAT: AtomicU64 = AtomicU64::new(0);
    sign_again(path, reply, |claims| {
        claims["iat"] = json!(claims["iat"].as_u64().unwrap_or_default() - IAT.fetch_add(1, Ordering::Relaxed))
    });
}

/// A word about the first try ends the second.
fn believing_old_words(method: &str, path: &str, reply: &mut Reply) {
    if method == "GET" && path.starts_with("/v1/orders/") {
        reply.json_mut(|order| {
            (order["try"] == 2 && order["outcome"].is_null()).then_some(())?;
            order["outcome"] = json!({"try": 1, "outcome": "undelivered", "reason": null, "detail": null});
            Some(())
        });
    }
}

/// What came at the second try is owed all the same.
fn owing(_: &str, _: &str, reply: &mut Reply) {
    reply.json_mut(|order| {
        (order["try"] == 2 && order["outcome"]["outcome"] == "dispensed").then_some(())?;
        order["refund"] = json!("due");
        Some(())
    });
}

#[test]
fn a_backend_whose_second_tries_are_wrong_is_found_out() {
    let offers = open_trying(1);
    // It gives the money back at once, and says that a second try is offered.
    let refunds = open_trying(0);
    let key = std::fs::read_to_string(offers.path().join("signing-key.json")).expect("the shop's key");
    assert!(SHOP_KEY.set(SigningKey::from_jwk(&key).expect("a key")).is_ok());
    let runs: Vec<_> = [
        (&refunds, restless as Break, "no proof shows has no second try", "expected rev after a promise where nothing is offered"),
        (&offers, generous, "no proof shows has no second try", "expected no try_again_s without a proof; came 3600"),
        (&offers, trusting, "no proof shows has no second try", "expected [409] for a promise where nothing is offered"),
        (&offers, miserly, "offered for closed without", "expected seconds in try_again_s; came null"),
        (&offers, miserly, "offered for failed with a pulse", "expected seconds in try_again_s; came null"),
        (&offers, generous, "not offered for failed without", "expected no try_again_s; came 3600"),
        (&offers, generous, "not offered for uncertain", "expected no try_again_s; came 3600"),
        (&offers, without_thread, "a receipt of its own", "expected claims try and after"),
        (&offers, of_the_old_price, "a receipt of its own", "expected claim amount Some(2500); came Some(5000)"),
        (&offers, signing_anew, "a receipt of its own", "expected receipt "),
        (&offers, trusting, "of something else", "expected [409, 422] for a promise of another key"),
        (&offers, restless, "of something else", "expected rev after a promise of another key"),
        (&offers, nameless, "of something else", "expected order_id in the refusal of "),
        (&offers, believing_old_words, "sold once", "expected outcome after a word about the first try Null"),
        (&offers, owing, "sold once", "expected refund Null; came String(\"due\")"),
        (&refunds, generous, "no money goes back while", "expected no refund while a second try is offered"),
        (&offers, trusting, "ends each second try", "expected [409] for a promise after the refund"),
        (&offers, generous, "ends each second try", "expected no try_again_s of what was given back; came 3600"),
    ]
    .into_iter()
    .enumerate()
    .map(|(number, (shop, alter, name, told))| {
        let proxy = Proxy::start(&shop.backend_url, alter);
        let token = succeed(shop.program_command(Program::Backend).args(["device", "add", &format!("vm-1{number}")]));
        (Process::start("conform", &mut trying(token.trim(), shop, &proxy.url, name)), name, told)
    })
    .collect();
    for (run, name, told) in &runs {
        let line = run.wait_line_within(PATIENCE * 4, "DIFFERENCE: ");
        assert!(line.contains(name) && line.contains(told), "{name}: no {told:?} in {line}");
    }
}

#[test]
fn the_document_is_whole_and_the_backend_serves_it() {
    let (shop, _) = open(0);
    let answer = shop.http.get(&format!("{}/openapi.json", shop.backend_url), None);
    assert_eq!((answer.status, answer.content_type.as_str()), (200, "application/json"));
    let document = answer.json();
    let written: Value = serde_json::from_str(&crate::rig::source_text("docs/using/openapi.json")).expect("JSON");
    assert!(document == written, "another document is served than stands in docs/");
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    // Whatever is referred to is there; every operation has a name of its own, answers, and its path's parameters.
    let mut references = Vec::new();
    refer(&document, &mut references);
    assert!(references.len() > 50);
    for target in references {
        let pointer = target.strip_prefix('#').unwrap_or_else(|| panic!("{target} is elsewhere"));
        assert!(document.pointer(pointer).is_some(), "{target} is not there");
    }
    let mut names = std::collections::BTreeSet::new();
    let paths = document["paths"].as_object().expect("paths");
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("operations") {
            assert!(["get", "post"].contains(&method.as_str()), "{method} {path}");
            assert!(names.insert(operation["operationId"].as_str().expect("a name").to_owned()), "{method} {path}");
            let answers = operation["responses"].as_object().expect("answers");
            assert!(answers.keys().any(|status| status.starts_with(['2', '3'])), "{method} {path}");
            for (status, answer) in answers {
                let answer = answer["$ref"].as_str().and_then(|target| document.pointer(&target[1..])).unwrap_or(answer);
                assert!(answer["description"].is_string(), "{method} {path} {status}");
            }
            let wanted = path.matches('{').count();
            let given = operation["parameters"].as_array().into_iter().flatten().filter(|parameter| {
                let parameter = parameter["$ref"].as_str().and_then(|target| document.pointer(&target[1..])).unwrap_or(parameter);
                parameter["in"] == "path" && parameter["required"] == true
            });
            assert_eq!(given.count(), wanted, "{method} {path}");
            for security in operation["security"].as_array().into_iter().flatten() {
                let name = security.as_object().and_then(|names| names.keys().next()).expect("a scheme");
                assert!(document["components"]["securitySchemes"][name].is_object(), "{method} {path}");
            }
        }
    }
    // Every path of the contract is in it, and the server knows each.
    let expected = "/healthz /metrics /midtrans/notifications /openapi.json /pay/{order_id} /pay/{order_id}/finish /readyz /v1/enrolment /v1/orders \
        /v1/orders/{order_id} /v1/orders/{order_id}/again /v1/orders/{order_id}/cancel /v1/orders/{order_id}/outcome /v1/orders/{order_id}/qr.png";
    assert_eq!(paths.keys().map(String::as_str).collect::<Vec<_>>().join(" "), expected);
    for path in paths.keys() {
        let url = format!("{}{}", shop.backend_url, path.replace("{order_id}", "an-order"));
        let answer = shop.http.delete(&url);
        assert_eq!((answer.status, answer.json()["code"].clone()), (405, json!("malformed")), "{path}");
    }
    // The words are those of the program.
    let words: Vec<_> = qris::order::reason::Reason::ALL.iter().map(|reason| json!(reason)).collect();
    assert_eq!(document["components"]["schemas"]["Reason"]["enum"], json!(words));
    for (path, content_type, text) in
        [("/healthz", "text/plain; charset=utf-8", "ok\n"), ("/readyz", "text/plain; charset=utf-8", "ready\n")]
    {
        let answer = shop.http.get(&format!("{}{path}", shop.backend_url), None);
        assert_eq!((answer.status, answer.content_type.as_str(), answer.text().as_str()), (200, content_type, text));
    }
    let metrics = shop.http.get(&format!("{}/metrics", shop.backend_url), None);
    assert_eq!((metrics.status, metrics.content_type.as_str()), (200, "application/openmetrics-text; version=1.0.0; charset=utf-8"));
    shop.charge();
    // Counted after it was answered.
    crate::rig::wait_for("the counters", || {
        let metrics = shop.http.get(&format!("{}/metrics", shop.backend_url), None).text();
        ["orders", "charges"].iter().all(|name| metrics.contains(&format!("\nqris_backend_{name}_total 1\n"))).then_some(())
    });
}

fn refer<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|value| refer(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| refer(value, found)),
        _ => {}
    }
}
