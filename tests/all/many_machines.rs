//! `qris-tools fleet`: three hundred machines at real brokers and real backends come and go, and no receipt is lost or doubled. The figures
//! depend on the computer, so only what does not is looked at here.

use crate::rig::command;
use crate::rig::process::Process;
use serde_json::Value;
use std::time::Duration;

const MACHINES: u64 = 300;

fn play(more: &[&str]) -> Value {
    let mut start = command(env!("CARGO_BIN_EXE_qris-tools"));
    start.args(["fleet", "--machines", "300", "--rate", "10", "--seconds", "10", "--idle", "0", "--down", "2", "--json"]).args(more);
    let process = Process::start("fleet", &mut start);
    // The brokers' word that a machine is away takes 30 s. The rest is quick. It gives up by itself after 300 s, and says what did not come.
    let line = process.wait_line_within(Duration::from_secs(400), "{\"machines\":");
    let (status, text) = process.finish();
    assert!(status.success(), "{text}");
    serde_json::from_str(&line).expect("JSON")
}

fn all_came_back_and_every_sale_ended_once(figures: &Value) {
    let count = |name: &str| figures.pointer(name).and_then(Value::as_u64).unwrap_or_else(|| panic!("{name} is missing: {figures}"));
    assert_eq!([count("/connect/machines"), count("/silence/machines"), count("/restart/machines")], [MACHINES, MACHINES / 4, MACHINES]);
    assert_eq!(figures["audit"]["wrong"], Value::Array(vec![]));
    // 100 sales, and customers while machines and brokers were away. A request may be refused where the computer is too slow.
    let [orders, refused, paid] = ["/audit/orders", "/audit/refused", "/audit/paid"].map(count);
    let unpaid = count("/restart/open");
    assert_eq!((orders + refused, paid + unpaid), (100 + count("/silence/busy") + 30, orders), "{figures}");
    assert_eq!((count("/audit/receipts"), count("/audit/delivered") + count("/audit/refund_due")), (paid, paid));
    assert!(unpaid > 0 && count("/audit/refund_due") > 0, "{figures}");
    // Nobody made the backend ask Midtrans, though each machine asked for its open orders.
    for phase in ["connect", "silence/back", "restart"] {
        assert_eq!(count(&format!("/{phase}/get_status/hasty")), 0, "{phase}");
    }
    assert!(count("/restart/get_status/busiest_second") <= unpaid, "{figures}");
    assert_eq!([count("/presence/there"), count("/presence/missing")], [MACHINES, 0]);
}

#[test]
fn three_hundred_machines_come_back_and_lose_no_receipt() {
    all_came_back_and_every_sale_ended_once(&play(&[]));
}

#[test]
fn behind_a_bridge_and_with_two_backends_on_postgresql_they_lose_none_either() {
    all_came_back_and_every_sale_ended_once(&play(&["--backends", "2", "--brokers", "2"]));
}
