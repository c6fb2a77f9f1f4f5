//! `qris-relayd` alone, on a real bus: one pulse for each receipt, none without, whatever is killed when.

use crate::rig::relayd::{Relayd, claims};
use crate::rig::{command, output, succeed, tool, wait_for};
use qris::order::ids::{DeviceId, ItemId, Ticket};
use qris::order::money::Rupiah;
use qris::order::receipt::{Claims, SigningKey};

const PULSE: &str = "pulse_ms = 50\n";

#[test]
fn a_receipt_drives_the_line_once_and_is_remembered() {
    let mut relay = Relayd::start(PULSE);
    let (ticket, claims) = relay.sale("o-1");
    assert_eq!(relay.caller.relay_property::<String>("Device"), "vm-001");
    assert_eq!(relay.caller.relay_property::<Vec<String>>("Keys"), [relay.key.kid().to_string()]);
    assert_eq!(relay.caller.relay_property::<Vec<String>>("Tickets"), [ticket.as_str()]);
    assert_eq!(relay.check(&ticket), (true, String::new()));
    assert_eq!(relay.query("o-1"), "unknown");
    let receipt = relay.key.sign(claims);
    assert_eq!(relay.dispense(receipt.jws()).expect("a good receipt").0, "dispensed");
    let edges = relay.relay.edges();
    assert_eq!(edges.iter().map(|edge| edge.active).collect::<Vec<_>>(), [true, false], "{edges:?}");
    assert!((45..1000).contains(&(edges[1].at_ms - edges[0].at_ms)), "{edges:?}");
    assert!(edges.iter().all(|edge| edge.line == "tray 1"));
    for _ in 0..2 {
        assert_eq!(relay.dispense(receipt.jws()).expect("what is recorded is an answer").0, "dispensed");
        assert_eq!(relay.query("o-1"), "dispensed");
        assert_eq!(relay.close(&ticket).as_deref(), Ok("dispensed"));
        assert_eq!(relay.caller.relay_property::<Vec<String>>("Tickets"), Vec::<String>::new());
        // The second time around it must come from the file.
        relay.kill();
        relay.resume();
    }
    assert_eq!(relay.relay.pulses(), 1);
}

#[test]
fn what_is_no_receipt_for_an_open_ticket_drives_nothing() {
    let relay = Relayd::start(PULSE);
    let (ticket, good) = relay.sale("o-1");
    let (closed, _) = relay.sale("o-2");
    assert_eq!(relay.close(&closed).as_deref(), Ok("closed"));
    let other_key = SigningKey::from_seed([8; 32]);
    let jws = |claims: Claims| relay.key.sign(claims).jws().to_owned();
    let change = |change: fn(&mut Claims)| {
        let mut claims = good.clone();
        change(&mut claims);
        jws(claims)
    };
    let signed = jws(good.clone());
    let parts: Vec<_> = signed.split('.').collect();
    let dearer = change(|claims| {
        claims.amount = Rupiah::new(6000).expect("an amount");
        claims.gross_amount = claims.amount;
    });
    let altered = format!("{}.{}.{}", parts[0], dearer.split('.').nth(1).expect("claims"), parts[2]);
    let table = [
        ("no JWS", "nonsense".to_owned(), "InvalidReceipt"),
        ("empty", String::new(), "InvalidReceipt"),
        ("of another key", other_key.sign(good.clone()).jws().to_owned(), "InvalidReceipt"),
        ("altered after it was signed", altered, "InvalidReceipt"),
        ("without a signature", format!("{}.{}.", parts[0], parts[1]), "InvalidReceipt"),
        ("of another issuer", change(|claims| claims.iss = "evil.example".into()), "InvalidReceipt"),
        ("in another currency", change(|claims| claims.cur = "USD".into()), "InvalidReceipt"),
        ("for another machine", change(|claims| claims.aud = DeviceId::new("vm-002").expect("an id")), "WrongDevice"),
        ("with an unknown ticket", change(|claims| claims.ticket = Ticket::from_random([9; 16])), "UnknownTicket"),
        ("with a closed ticket", jws(claims("o-2", &closed)), "UnknownTicket"),
        ("for another item", change(|claims| claims.item = ItemId::new("A2").expect("an id")), "UnknownTicket"),
        ("for another amount", dearer, "UnknownTicket"),
    ];
    for (what, receipt, error) in table {
        let refused = relay.dispense(&receipt).expect_err(what);
        assert_eq!(refused.name, error, "{what}: {}", refused.detail);
        assert_eq!(relay.query("o-1"), "unknown", "{what}");
    }
    assert_eq!(relay.relay.pulses(), 0);
    // The ticket is as open as before.
    assert_eq!(relay.check(&ticket), (true, String::new()));
    assert_eq!(relay.dispense(&signed).expect("a good receipt").0, "dispensed");
    // The same payment for another order: its ticket is used.
    let again = change(|claims| claims.sub = qris::order::ids::OrderId::new("o-9").expect("an id"));
    assert_eq!(relay.dispense(&again).expect_err("the ticket is used").name, "UnknownTicket");
    assert_eq!(relay.relay.pulses(), 1);
}

#[test]
fn nobody_is_invited_to_pay_what_cannot_be_delivered() {
    let relay = Relayd::start(PULSE);
    for (device, item, amount, error) in [
        ("vm-002", "A1", 5000_i64, "WrongDevice"),
        ("vm-001", "B9", 5000, "UnknownItem"),
        ("vm-001", "A1", 4999, "Amount"),
        ("vm-001", "A1", 0, "Amount"),
        ("vm-001", "A1", -5000, "Amount"),
        ("vm-001", "A 1", 5000, "UnknownItem"),
    ] {
        let refused = relay.caller.relay::<_, String>("Prepare", &(device, item, amount)).expect_err("must be refused");
        assert_eq!(refused.name, error, "{device} {item} {amount}: {}", refused.detail);
    }
    assert_eq!(relay.close("bm9ib2R5IGtub3dzIG1l").expect_err("unknown").name, "UnknownTicket");
    assert!(!relay.check("bm9ib2R5IGtub3dzIG1l").0);
}

#[test]
fn a_receipt_that_is_being_driven_is_answered_so_at_once() {
    let relay = Relayd::start("pulse_ms = 3000\n");
    let receipt = relay.key.sign(relay.sale("o-1").1);
    let first = relay.begin_dispense(receipt.jws().to_owned());
    relay.relay.wait_pulses(1);
    assert_eq!(relay.dispense(receipt.jws()).expect("an answer"), ("dispensing".into(), String::new()));
    assert_eq!(first.join().expect("no panic").expect("an outcome").0, "dispensed");
    assert_eq!(relay.dispense(receipt.jws()).expect("what is recorded is an answer").0, "dispensed");
    assert_eq!(relay.relay.pulses(), 1);
}

#[test]
fn a_power_cut_in_mid_pulse_is_uncertain_and_never_repeated() {
    let mut relay = Relayd::start("pulse_ms = 60000\n");
    let (ticket, claims) = relay.sale("o-1");
    let receipt = relay.key.sign(claims);
    let waiting = relay.begin_dispense(receipt.jws().to_owned());
    relay.relay.wait_pulses(1);
    // While it drives every other call is answered at once.
    assert_eq!(relay.query("o-1"), "dispensing");
    assert_eq!(relay.close(&ticket).as_deref(), Ok("dispensing"));
    assert_eq!(relay.line_state(), "busy");
    assert_eq!(relay.prepare_item("A1", 5000).expect_err("it is driven").name, "Busy");
    relay.kill();
    drop(waiting.join().expect("no panic"));
    relay.resume();
    assert!(!relay.relay.is_active(), "the line is left inactive");
    assert_eq!(relay.query("o-1"), "uncertain");
    assert_eq!(relay.dispense(receipt.jws()).expect("recorded").0, "uncertain");
    assert_eq!(relay.relay.pulses(), 1);
    // It does not block, unless it is told to.
    assert_eq!(relay.line_state(), "ready");
}

#[test]
fn killed_in_mid_pulse_its_line_is_made_safe_though_its_configuration_is_spoiled() {
    let mut relay = Relayd::start("pulse_ms = 60000\n");
    let (_, claims) = relay.sale("o-1");
    let waiting = relay.begin_dispense(relay.key.sign(claims).jws().to_owned());
    relay.relay.wait_pulses(1);
    let config = std::fs::read_to_string(relay.config()).expect("its configuration");
    std::fs::write(relay.config(), format!("nonsense = 1\n{config}")).expect("written");
    relay.kill();
    drop(waiting.join().expect("no panic"));
    assert!(relay.relay.is_active(), "nobody has seen to it yet");
    let safe = output(relay.command().arg("--safe"));
    assert!(safe.status.success(), "{}", String::from_utf8_lossy(&safe.stderr));
    assert!(!relay.relay.is_active());
    // Nothing is held any more: now it goes by the configuration, and says what is wrong with it.
    let again = output(relay.command().arg("--safe"));
    let told = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(again.status.code() == Some(2) && told.contains("nonsense"), "{told}");
}

#[test]
fn uncertain_blocks_where_it_is_told_to() {
    let mut relay = Relayd::start("pulse_ms = 60000\nblock_on_uncertain = true\n");
    let (_, claims) = relay.sale("o-1");
    let waiting = relay.begin_dispense(relay.key.sign(claims).jws().to_owned());
    relay.relay.wait_pulses(1);
    relay.kill();
    drop(waiting.join().expect("no panic"));
    relay.resume();
    assert_eq!(relay.line_state(), "blocked");
    assert_eq!(relay.prepare_item("A1", 5000).expect_err("blocked").name, "Blocked");
    let cleared = output(command(env!("CARGO_BIN_EXE_qrisctl")).args(["relay", "clear", "A1", "--bus", &relay.bus.address]));
    assert!(cleared.status.success(), "{}", String::from_utf8_lossy(&cleared.stderr));
    assert_eq!(relay.line_state(), "ready");
    assert!(relay.prepare_item("A1", 5000).is_ok());
}

#[test]
fn a_power_cut_between_ledger_and_pulse_is_uncertain_and_drives_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let fifo = directory.path().join("line");
    succeed(command(tool("mkfifo")).arg(&fifo));
    // The line is opened for each edge; a FIFO without a reader holds the first one up for ever.
    let mut relay = Relayd::prepare(PULSE, Some(&format!("sim:{}", fifo.display())));
    relay.process = Some(crate::rig::process::Process::start_notifying("qris-relayd", &mut relay.command(), relay.path()));
    let ticket = wait_for("a ticket", || relay.prepare_item("A1", 5000).ok());
    let receipt = relay.key.sign(claims("o-1", &ticket));
    let waiting = relay.begin_dispense(receipt.jws().to_owned());
    relay.wait_outcome("o-1", "dispensing");
    relay.kill();
    drop(waiting.join().expect("no panic"));
    // Now it is an ordinary file.
    std::fs::remove_file(&fifo).expect("removed");
    relay.resume();
    assert_eq!(relay.query("o-1"), "uncertain");
    assert_eq!(relay.dispense(receipt.jws()).expect("recorded").0, "uncertain");
    assert!(!std::fs::read_to_string(&fifo).unwrap_or_default().lines().any(|line| line.ends_with(" 1")), "nothing was driven");
}

#[test]
fn an_item_that_does_not_fall_fails_and_blocks_the_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let sensor = directory.path().join("sensor");
    std::fs::write(&sensor, "").expect("written");
    let keys = format!("{PULSE}sensor = {{ chip = \"sim:{}\", offset = 1, within_ms = 300 }}\n", sensor.display());
    let relay = Relayd::start(&keys);
    let (_, claims_1) = relay.sale("o-1");
    let (other, _) = relay.sale("o-2");
    let answer = relay.dispense(relay.key.sign(claims_1).jws()).expect("an outcome");
    assert_eq!(answer.0, "failed", "{}", answer.1);
    assert_eq!(relay.line_state(), "blocked");
    assert_eq!(relay.check(&other), (false, "line_blocked".into()));
    assert_eq!(relay.dispense(relay.key.sign(claims("o-2", &other)).jws()).expect_err("blocked").name, "Blocked");
    relay.caller.relay::<_, ()>("Clear", &("A1",)).expect("root may");
    // Now it falls.
    let waiting = relay.begin_dispense(relay.key.sign(claims("o-2", &other)).jws().to_owned());
    relay.relay.wait_pulses(2);
    std::fs::write(&sensor, "fallen\n").expect("written");
    assert_eq!(waiting.join().expect("no panic").expect("an outcome").0, "dispensed");
}

#[test]
fn a_lost_ledger_voids_every_receipt_of_before() {
    let mut relay = Relayd::start(PULSE);
    let (_, paid) = relay.sale("o-1");
    let (_, open) = relay.sale("o-2");
    let paid = relay.key.sign(paid);
    assert_eq!(relay.dispense(paid.jws()).expect("a good receipt").0, "dispensed");
    relay.kill();
    let ledger = relay.path().join("ledger.db");
    for ending in ["-wal", "-shm"] {
        drop(std::fs::remove_file(relay.path().join(format!("ledger.db{ending}"))));
    }
    std::fs::write(&ledger, "this is no ledger").expect("written");
    relay.resume();
    assert_eq!(relay.caller.relay_property::<Vec<String>>("Faults"), ["ledger_reset"]);
    for receipt in [paid.jws(), relay.key.sign(open).jws()] {
        assert_eq!(relay.dispense(receipt).expect_err("an older ledger's").name, "UnknownTicket");
    }
    assert_eq!(relay.relay.pulses(), 1);
    let aside = std::fs::read_dir(relay.path()).expect("readable").filter_map(Result::ok);
    let aside: Vec<_> = aside.filter(|entry| entry.file_name().to_string_lossy().starts_with("ledger.db.corrupt-")).collect();
    assert!(!aside.is_empty(), "it is set aside, never deleted");
}

#[test]
fn it_ends_in_time_and_leaves_the_line_inactive() {
    let mut relay = Relayd::start("pulse_ms = 60000\n");
    let (_, claims) = relay.sale("o-1");
    let waiting = relay.begin_dispense(relay.key.sign(claims).jws().to_owned());
    relay.relay.wait_pulses(1);
    let (status, took) = relay.process.as_ref().expect("it runs").terminate();
    assert!(status.success() && took.as_millis() < 2000, "{status} after {took:?}");
    assert!(!relay.relay.is_active());
    drop(waiting.join().expect("no panic"));
    relay.resume();
    assert_eq!(relay.query("o-1"), "uncertain");
    // And without anybody: a line that was left active by a crash.
    relay.kill();
    std::fs::write(&relay.relay.0, "1 tray 1 1\n").expect("written");
    let safe = output(relay.command().arg("--safe"));
    assert!(safe.status.success(), "{}", String::from_utf8_lossy(&safe.stderr));
    assert!(!relay.relay.is_active());
}

#[test]
fn a_restarted_bus_finds_the_service_again() {
    let mut relay = Relayd::start(PULSE);
    let (_, claims) = relay.sale("o-1");
    relay.bus.stop();
    relay.bus.resume();
    relay.caller = crate::rig::caller::Caller::connect(&relay.bus.address);
    let receipt = relay.key.sign(claims);
    wait_for("the service on the new bus", || relay.caller.relay::<_, (String, String)>("Query", &("o-1",)).ok());
    assert_eq!(relay.dispense(receipt.jws()).expect("a good receipt").0, "dispensed");
}
