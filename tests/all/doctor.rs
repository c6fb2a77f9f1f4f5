//! `qris-backend doctor`: each thing that can be wrong, found and told with what to do.

use crate::rig::shop::{Program, Shop, new_request_id};
use crate::rig::{command, free_port, output};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn healthy() -> Shop {
    let shop = Shop::merchants_side();
    for name in ["server-key", "signing-key.json", "backend-password"] {
        mode(&shop.path().join(name), 0o600);
    }
    shop
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("changed");
}

/// Exit status, and the lines as they are told about each thing.
fn examine(shop: &Shop) -> (i32, Vec<Value>) {
    let output = shop.merchant(&["doctor", "--json"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    (output.status.code().expect("a status"), lines)
}

/// The line about one thing that is not well, or the first.
fn about<'a>(lines: &'a [Value], check: &str) -> &'a Value {
    let of = |line: &&Value| line["check"] == check;
    lines
        .iter()
        .filter(of)
        .find(|line| line["level"] != "ok")
        .or_else(|| lines.iter().find(of))
        .unwrap_or_else(|| panic!("nothing about {check}: {lines:?}"))
}

#[test]
fn a_healthy_backend_has_nothing_bad() {
    let shop = healthy();
    let (status, lines) = examine(&shop);
    assert_eq!(status, 0, "{lines:#?}");
    for check in "config|server key|signing key|mqtt password|receipts|disk|database|machines|midtrans|clock|broker|serve".split('|') {
        assert_eq!(about(&lines, check)["level"], "ok", "{:?}", about(&lines, check));
    }
    // From loopback only, which does for a simulator; nobody is told, and nobody can be called.
    for check in ["notifications", "alerts", "contact"] {
        assert_eq!(about(&lines, check)["level"], "warn", "{:?}", about(&lines, check));
        assert!(about(&lines, check)["to_do"].is_string());
    }
    let output = shop.merchant(&["doctor"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.lines().any(|line| line.starts_with("OK    midtrans")) && text.contains("WARN  alerts"), "{text}");
    // Nobody can call what is no number.
    shop.edit(Program::Backend, |text| text.replace("[store]", "[customer]\ncontact = \"08-what?\"\n[store]"));
    let lines = examine(&shop).1;
    let contact = about(&lines, "contact");
    assert!(contact["level"] == "warn" && contact["said"].as_str().is_some_and(|said| said.contains("no telephone number")), "{contact}");
}

#[test]
fn each_ill_is_named_with_what_to_do() {
    type Harm = fn(&mut Shop);
    let table: [(&str, &str, &str, Harm); 12] = [
        ("midtrans", " cannot be reached: Connection refused", "look at the network", |shop| {
            let closed = format!("http://127.0.0.1:{}", free_port());
            let url = shop.midtrans.url.clone();
            shop.edit(Program::Backend, |text| text.replace(&url, &closed));
        }),
        ("keys", "the newest order is for the key", "copy it from the other one", |shop| {
            shop.charged();
            std::fs::remove_file(shop.path().join("signing-key.json")).expect("removed");
            assert!(shop.merchant(&["keys", "new"]).status.success());
        }),
        ("midtrans", "the key is not valid at", "sandbox and production have different keys", |shop| {
            std::fs::write(shop.path().join("server-key"), "SB-Mid-server-another\n").expect("written");
        }),
        ("server key", "everybody on this computer may use it", "chmod 600", |shop| mode(&shop.path().join("server-key"), 0o644)),
        ("broker", "refuses our name or password", "mqtt.password_file", |shop| {
            std::fs::write(shop.path().join("backend-password"), "wrong\n").expect("written");
        }),
        ("broker", "127.0.0.1:", "whether the broker runs", |shop| {
            let closed = format!("mqtt://127.0.0.1:{}", free_port());
            shop.edit(Program::Backend, |text| text.replace(&format!("mqtt://127.0.0.1:{}", shop.broker.port), &closed));
        }),
        ("serve", "does not answer", "systemctl start", Shop::kill_backend),
        ("notifications", "cannot be reached from here", "is `serve` running?", Shop::kill_backend),
        ("notifications", "answers 404", "another program answers here", |shop| {
            let elsewhere = format!("notification_url = \"{}/nowhere\"\ncharge_as", shop.midtrans.url);
            shop.edit(Program::Backend, |text| text.replace("charge_as", &elsewhere));
        }),
        ("alerts", "cannot be executed", "chmod +x", |shop| {
            let script = shop.path().join("alert");
            std::fs::write(&script, "#!/bin/sh\n").expect("written");
            let section = format!("[alerts]\ncommand = [\"{}\"]\n[store]", script.display());
            shop.edit(Program::Backend, |text| text.replace("[store]", &section));
        }),
        ("webhook", "cannot be reached", "alerts.webhook_url", |shop| {
            let secret = shop.path().join("webhook-secret");
            std::fs::write(&secret, "a-secret-of-the-test\n").expect("written");
            mode(&secret, 0o600);
            let url = format!("http://127.0.0.1:{}/alerts", free_port());
            let section = format!("[alerts]\nwebhook_url = \"{url}\"\nwebhook_secret_file = \"{}\"\n[store]", secret.display());
            shop.edit(Program::Backend, |text| text.replace("[store]", &section));
        }),
        ("database", "damaged", "backup", |shop| {
            shop.kill_backend();
            shop.spoil("orders.db");
        }),
    ];
    for (check, said, to_do, harm) in table {
        let mut shop = healthy();
        harm(&mut shop);
        let (status, lines) = examine(&shop);
        let line = about(&lines, check);
        assert_eq!((status, &line["level"]), (1, &Value::from("bad")), "{said}: {lines:#?}");
        for library in ["error sending request", "client error", "tcp connect"] {
            let strange = lines.iter().find(|line| line["said"].as_str().is_some_and(|said| said.contains(library)));
            assert_eq!(strange, None, "{library}");
        }
        let text = |key: &str| line[key].as_str().expect("text").to_owned();
        assert!(
            text("said").contains(said) && text("to_do").contains(to_do) || text("said").contains(said) && check == "database",
            "{line:#?}"
        );
    }
}

#[test]
fn charges_that_fail_one_after_the_other_are_told_until_one_is_made() {
    let shop = healthy();
    let journal = shop.backend.as_ref().expect("it runs");
    let failing = || {
        let text = shop.http.get(&format!("{}/metrics", shop.backend_url), None).text();
        text.lines().find_map(|line| line.strip_prefix("qris_backend_charges_failing ").map(str::to_owned))
    };
    let refused = || assert!(shop.post_order(&shop.order_body(&new_request_id())).status >= 400);
    shop.midtrans.fault(&json!({ "fault": "error", "code": 402, "on": "charge", "message": "Payment channel is not activated." }));
    (0..4).for_each(|_| refused());
    let (status, lines) = examine(&shop);
    assert_eq!((status, failing().as_deref()), (0, Some("0")), "four may be chance: {lines:#?}");
    refused();
    let line = journal.wait_line("the last 5 charges failed");
    assert!(line.contains("Payment channel is not activated."), "{line}");
    assert_eq!(failing().as_deref(), Some("5"));
    let (status, lines) = examine(&shop);
    let line = about(&lines, "charges");
    assert_eq!((status, &line["level"]), (1, &Value::from("bad")), "{lines:#?}");
    assert!(line["said"].as_str().is_some_and(|said| said.contains("Payment channel is not activated.")), "{line}");
    shop.midtrans.heal();
    shop.charge();
    journal.wait_line("a charge was made again");
    assert_eq!((examine(&shop).0, failing().as_deref()), (0, Some("0")));
}

/// A web server that gives everybody the same answer; its address.
fn answering(head: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut request = [0; 4096];
            drop(stream.read(&mut request));
            let body = "{\"status_code\":\"404\",\"status_message\":\"Transaction doesn't exist.\"}";
            drop(
                stream
                    .write_all(format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).as_bytes()),
            );
        }
    });
    url
}

#[test]
fn a_wrong_clock_and_a_redirect_are_found() {
    let shop = healthy();
    let date = output(command("date").args(["-u", "-d", "2 minutes ago", "+%a, %d %b %Y %H:%M:%S GMT"]));
    let slow = answering(format!("200 OK\r\ndate: {}", String::from_utf8_lossy(&date.stdout).trim()));
    let redirecting = answering("301 Moved Permanently\r\nlocation: https://www.pay.example/".into());
    let simulator = format!("base_url = \"{}\"", shop.midtrans.url);
    shop.edit(Program::Backend, |text| {
        let text = text.replace(&simulator, &format!("base_url = \"{slow}\""));
        text.replace("charge_as", &format!("notification_url = \"{redirecting}\"\ncharge_as"))
    });
    let (status, lines) = examine(&shop);
    assert_eq!(status, 1);
    assert_eq!(about(&lines, "midtrans")["level"], "ok", "{lines:#?}");
    let (clock, notifications) = (about(&lines, "clock"), about(&lines, "notifications"));
    assert!(clock["level"] == "bad" && clock["said"].as_str().is_some_and(|said| said.contains("s ahead of Midtrans' clock")), "{clock:?}");
    let said = notifications["said"].as_str().expect("text");
    assert!(notifications["level"] == "bad" && said.contains("redirects (301) to https://www.pay.example/"), "{notifications:?}");
}
