//! The books are lost, and customers pay all the same. Machines are not locked out, and no money is forgotten.

use crate::rig::http::Http;
use crate::rig::shop::{DEVICE, Options, Shop};
use crate::rig::{command, output};
use std::process::Output;

fn backend_only() -> Shop {
    Shop::open(Options { machine: false, ..Options::default() })
}

/// Ends the backend and takes a database away.
fn lose(shop: &mut Shop, name: &str) {
    shop.kill_backend();
    // Its connections ended with it.
    shop.http = Http::new();
    for suffix in ["", "-wal", "-shm"] {
        let from = shop.path().join(format!("{name}{suffix}"));
        if from.exists() {
            std::fs::rename(&from, shop.path().join(format!("lost-{name}{suffix}"))).expect("renamed");
        }
    }
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn machines_are_let_in_after_the_books_were_lost() {
    let mut shop = backend_only();
    shop.paid();
    lose(&mut shop, "orders.db");
    shop.start_backend();
    assert_eq!(shop.backend_get("/v1/orders?state=open").status, 200);
    assert!(shop.charge()["order_id"].is_string(), "it sells on");
    assert!(told(&shop.merchant(&["device", "list"])).contains(DEVICE));
}

#[test]
fn a_backend_that_lost_its_machines_says_what_to_do() {
    let mut shop = backend_only();
    let paid = shop.paid();
    lose(&mut shop, "devices.db");
    shop.start_backend();
    shop.backend.as_ref().expect("started").wait_line("devices.db was lost");
    assert_eq!(shop.backend_get("/v1/orders?state=open").status, 401);
    let doctor = told(&shop.merchant(&["doctor"]));
    assert!(doctor.contains("0 are let in, 0 are revoked"), "{doctor}");
    // Each is given a new token, and its orders are still there.
    let token = shop.merchant(&["device", "add", DEVICE]);
    assert!(token.status.success(), "{}", told(&token));
    shop.token = String::from_utf8(token.stdout).expect("text").trim().into();
    assert_eq!(shop.order_at_backend(&paid)["status"], "settlement");
}

#[test]
fn a_damaged_database_of_the_machines_is_set_aside_and_the_orders_stay() {
    let mut shop = backend_only();
    let paid = shop.paid();
    lose(&mut shop, "devices.db");
    std::fs::write(shop.path().join("devices.db"), b"this is not a database ".repeat(100)).expect("written");
    let listed = shop.merchant(&["device", "list"]);
    assert!(!listed.status.success() && told(&listed).contains("is damaged"), "{}", told(&listed));
    shop.start_backend();
    let backend = shop.backend.as_ref().expect("started");
    backend.wait_line("devices.db was damaged: set aside as");
    backend.wait_line("devices.db was lost");
    assert!(told(&shop.merchant(&["orders"])).contains(&paid));
}

#[test]
fn books_of_an_earlier_release_hand_their_machines_over() {
    let mut shop = backend_only();
    lose(&mut shop, "orders.db");
    lose(&mut shop, "devices.db");
    let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/databases/1/orders.db");
    std::fs::copy(sample, shop.path().join("orders.db")).expect("copied");
    for arguments in [&["device", "list"][..], &["device", "add", "vm-009"]] {
        let refused = shop.merchant(arguments);
        assert!(!refused.status.success() && told(&refused).contains("start its service again"), "{}", told(&refused));
    }
    assert!(!shop.path().join("devices.db").exists());
    shop.start_backend();
    let list = told(&shop.merchant(&["device", "list"]));
    assert!(list.lines().count() > 1 && !list.contains("vm-009"), "{list}");
    let mode = output(command("stat").args(["-c", "%a"]).arg(shop.path().join("devices.db")));
    assert_eq!(String::from_utf8_lossy(&mode.stdout).trim(), "600");
}
