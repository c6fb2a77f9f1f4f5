//! The books, when everything is well again: what Midtrans took, what the machine says, what the backend knows, what the
//! relay did, and what the merchant gives back.

use super::harm::{Ordeal, Requested};
use crate::rig::caller::Caller;
use crate::rig::http::Http;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Within this time after everything was mended every order is final. The longest that anything waits is the backoff
/// of a connection (30 s) and the backend's own end of a charge (a minute after its time on the screen).
const HEALED_WITHIN: Duration = Duration::from_secs(150);

/// What Midtrans called cancelled is not asked about again. If it was paid all the same, and the one notification of it was
/// lost for good, the merchant's nightly `reconcile` finds it: it gets this time to be told of by itself.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// What goes wrong with one refund of each machine.
const REFUND_FAULTS: [&str; 6] = [
    r#"{"fault":"refuse","on":"refund","count":1}"#,
    r#"{"fault":"lose_answer","on":"refund","count":1}"#,
    r#"{"fault":"garble","on":"refund","count":1}"#,
    r#"{"fault":"server_error","code":503,"on":"refund","count":1}"#,
    r#"{"fault":"server_error","code":500,"done":true,"on":"refund","count":1}"#,
    r#"{"fault":"hang","on":"refund","ms":3000,"count":1}"#,
];

/// A broker brings a message again for so long.
const BROUGHT_AGAIN_MS: i64 = 60_000;

/// Waits until the books balance; then the merchant gives back what is due, and they must balance once more. Else tells
/// what does not.
pub fn close(ordeal: &mut Ordeal) -> Result<(), String> {
    let caller = Caller::connect(&ordeal.shop.bus.address);
    // Not over a connection to a backend that was killed since, nor over one that was silent so long that it is closed.
    ordeal.shop.http = Http::new();
    let before = balance(ordeal, &caller, Money::Untouched)?;
    give_back(ordeal)?;
    ordeal.shop.http = Http::new();
    let after = balance(ordeal, &caller, Money::GivenBack)?;
    for name in ["settled", "dispensed", "refund due", "uncertain", "pulses"] {
        if before.get(name) != after.get(name) {
            return Err(format!("{name}: {:?} before the refunds, {:?} after them", before.get(name), after.get(name)));
        }
    }
    for (name, count) in after {
        ordeal.add_many(name, count);
    }
    Ok(())
}

/// The sums of the books, once they balance.
fn balance(ordeal: &mut Ordeal, caller: &Caller, money: Money) -> Result<BTreeMap<&'static str, u64>, String> {
    let start = Instant::now();
    let mut reconciled = false;
    loop {
        // Each look starts programs: what is long in coming is looked at less often.
        ordeal.pass((start.elapsed() / 10).clamp(Duration::from_millis(500), Duration::from_secs(10)))?;
        let mut audit = Audit::of(ordeal, caller, money);
        if audit.wrong.is_empty() && !audit.untold.is_empty() && !reconciled && start.elapsed() > TOLD_WITHIN {
            ordeal.note(&format!("reconcile, for {:?}", audit.untold));
            // Its exit status tells that there was a difference.
            ordeal.shop.merchant(&["reconcile", "--per-second", "100"]);
            ordeal.add_many("found by reconcile", audit.untold.len() as u64);
            reconciled = true;
        }
        audit.wrong.extend(audit.untold.iter().map(|order_id| format!("{order_id} was paid after it was cancelled, and nobody knows")));
        if audit.wrong.is_empty() {
            ordeal.note(&format!("the books balance after {:?}, {money:?}", start.elapsed()));
            ordeal.add_many("seconds to heal, summed up", start.elapsed().as_secs());
            return Ok(audit.sums);
        }
        if start.elapsed() > HEALED_WITHIN {
            return Err(format!("{HEALED_WITHIN:?} after everything was mended, {money:?}:\n      {}", audit.wrong.join("\n      ")));
        }
    }
}

/// The merchant asks for every refund that the backend lists as due: through Midtrans, which answers one of them wrongly,
/// or in cash where Midtrans refunds nothing. What was handed out, or was paid back already, is refused.
fn give_back(ordeal: &mut Ordeal) -> Result<(), String> {
    let listed = merchant(ordeal, &["orders", "--refund-due", "--json", "--limit", "0"])?;
    let due: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for (at, order) in due.iter().enumerate() {
        let order_id = order["order_id"].as_str().expect("an id");
        if order["payment"] == "gopay" {
            if at == 0 {
                let fault = ordeal.pick(&REFUND_FAULTS);
                ordeal.note(&format!("Midtrans, of a refund: {fault}"));
                ordeal.shop.midtrans.fault(&serde_json::from_str(fault).expect("JSON"));
            }
            merchant(ordeal, &["refund", order_id, "--by", "Sari"])?;
            ordeal.add("refunded through Midtrans");
            if at == 0 && ordeal.shop.midtrans.plans().is_empty() {
                ordeal.add("refunds with a fault");
            }
        } else {
            merchant(ordeal, &["refund", order_id, "--settled-by-hand", "cash", "--by", "Sari"])?;
            ordeal.add("refunded in cash");
        }
        if merchant(ordeal, &["refund", order_id, "--by", "Budi"]).is_ok() {
            return Err(format!("{order_id} was refunded a second time"));
        }
    }
    let handed_out = merchant(ordeal, &["orders", "--json", "--limit", "0"])?;
    let mut handed_out = handed_out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let Some(order) = handed_out.find(|order| order["outcome"] == "dispensed") else {
        return Err("the merchant's list has no order that was dispensed".into());
    };
    if merchant(ordeal, &["refund", order["order_id"].as_str().expect("an id"), "--by", "Budi"]).is_ok() {
        return Err(format!("{order} was handed out, and is refunded"));
    }
    Ok(())
}

/// What a command of `qris-backend` wrote, or how it failed.
fn merchant(ordeal: &mut Ordeal, arguments: &[&str]) -> Result<String, String> {
    let done = ordeal.shop.merchant(arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, complaint) = (text(&done.stdout), text(&done.stderr));
    ordeal.note(&format!("qris-backend {arguments:?}: {}, {} bytes {complaint}", done.status, said.len()));
    if done.status.success() { Ok(said) } else { Err(format!("qris-backend {arguments:?}: {}\n{complaint}", done.status)) }
}

/// Whether the merchant has asked for refunds yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Money {
    Untouched,
    GivenBack,
}

/// What Midtrans has of one order.
struct Charge {
    paid: bool,
    gross: u64,
    refunded: u64,
}

#[derive(Default)]
struct Audit {
    wrong: Vec<String>,
    /// Paid after they were cancelled, and still cancelled for the backend.
    untold: Vec<String>,
    sums: BTreeMap<&'static str, u64>,
}

/// What must have been done for one request: at least so many pulses, and at most.
#[derive(Default, Clone, Copy)]
struct Pulses {
    least: u64,
    most: u64,
}

impl Audit {
    fn of(ordeal: &Ordeal, caller: &Caller, money: Money) -> Self {
        let mut audit = Self::default();
        let shop = &ordeal.shop;
        let ends = audit.machine_ends(ordeal, caller);
        let mut due: BTreeMap<&str, Pulses> = ordeal.requests.iter().map(|asked| (asked.request.as_str(), Pulses::default())).collect();
        // A charge that was denied frees its order_id: the next attempt may have the same.
        let mut charges: BTreeMap<String, Charge> = BTreeMap::new();
        for charge in shop.midtrans.transactions() {
            let order_id = charge["order_id"].as_str().expect("an id");
            if charge["status"] == "pending" {
                audit.wrong.push(format!("{order_id} can still be paid"));
            }
            let whole = |field: &str| charge[field].as_u64().expect("rupiah");
            let known = Charge { paid: is_paid(&charge), gross: whole("gross_amount"), refunded: whole("refunded") };
            if charges.insert(order_id.to_owned(), known).is_some_and(|before| before.paid) {
                audit.wrong.push(format!("{order_id} was charged again after it was paid"));
            }
        }
        let orders: Vec<(Charge, Value)> = charges
            .into_iter()
            .filter_map(|(order_id, charge)| {
                let answer = shop.backend_get(&format!("/v1/orders/{order_id}"));
                if answer.status != 200 {
                    audit.wrong.push(format!("{order_id}: the backend answers {} {}", answer.status, answer.text()));
                    return None;
                }
                Some((charge, answer.json()))
            })
            .collect();
        let request_of = |order: &Value| order["request_id"].as_str().expect("a request").to_owned();
        let paid_requests: BTreeSet<String> = orders.iter().filter(|(charge, _)| charge.paid).map(|(_, order)| request_of(order)).collect();
        for (charge, order) in &orders {
            let request = request_of(order);
            let end = ends.get(&request).map_or("", String::as_str);
            let pulses = due.get_mut(request.as_str()).expect("a request of ours");
            let order_id = order["order_id"].as_str().expect("an id");
            if charge.paid && ordeal.late.contains(order_id) && matches!(order["status"].as_str(), Some("cancel" | "expire")) {
                audit.untold.push(order_id.to_owned());
                continue;
            }
            audit.enter(charge.paid, order, end, paid_requests.contains(&request), pulses);
            audit.went_back(charge, order, money);
        }
        audit.add_up();
        audit.relay(ordeal, caller, &due);
        let open = shop.backend_get("/v1/orders?state=open").json();
        if open["orders"].as_array().is_none_or(|orders| !orders.is_empty()) {
            audit.wrong.push(format!("open at the backend: {open}"));
        }
        audit
    }

    /// The machine's own word for each request.
    fn machine_ends(&mut self, ordeal: &Ordeal, caller: &Caller) -> BTreeMap<String, String> {
        let mut ends = BTreeMap::new();
        for Requested { request, .. } in &ordeal.requests {
            match caller.device::<_, String>("Cancel", &(request.as_str(),)) {
                Ok(state) => {
                    let is_end = matches!(
                        state.as_str(),
                        "" | "refused" | "cancelled" | "expired" | "denied" | "failed" | "dispensed" | "refund_due" | "refunded"
                    );
                    if state == "awaiting_collection" {
                        // The customer comes back; if it is not taken now, then in the next round.
                        let code = ordeal.codes.get(request).map_or("", String::as_str);
                        drop(caller.device::<_, (String, String)>("Collect", &(code,)));
                    }
                    if !is_end {
                        self.wrong.push(format!("{request} is {state} at the machine"));
                    }
                    ends.insert(request.clone(), state);
                }
                Err(refused) => self.wrong.push(format!("{request}: the machine answers {refused:?}")),
            }
        }
        ends
    }

    fn enter(&mut self, paid: bool, order: &Value, end: &str, request_paid: bool, pulses: &mut Pulses) {
        let (order_id, outcome, refund) = (&order["order_id"], order["outcome"]["outcome"].as_str(), order["refund"].as_str());
        let mut sum = |name: &'static str| *self.sums.entry(name).or_default() += 1;
        if !paid {
            // The order of a request of which another charge was paid is told with that one.
            let agrees = request_paid || matches!(end, "" | "refused" | "cancelled" | "expired" | "denied" | "failed");
            if !agrees || outcome.is_some() || refund.is_some() || order["receipt"] != Value::Null {
                self.wrong.push(format!("{order_id} was not paid, and is {end:?} at the machine, {order} at the backend"));
            }
            return;
        }
        sum("settled");
        let agrees = match (outcome, refund) {
            (Some("dispensed"), None) => {
                sum("dispensed");
                pulses.least += 1;
                pulses.most += 1;
                end == "dispensed"
            }
            (Some("failed"), Some(_)) => {
                sum("refund due");
                pulses.most += 1;
                matches!(end, "refund_due" | "refunded")
            }
            (Some("undelivered"), Some(_)) => {
                sum("refund due");
                matches!(end, "refund_due" | "refunded")
            }
            (Some("uncertain"), _) => {
                sum("uncertain");
                pulses.most += 1;
                matches!(end, "refund_due" | "refunded")
            }
            // A second charge of a request that was paid twice.
            (None, Some(_)) => {
                sum("refund due");
                true
            }
            _ => false,
        };
        if !agrees {
            self.wrong.push(format!("{order_id} was paid, and is {end:?} at the machine, {order} at the backend"));
        }
    }

    /// What went back at Midtrans is the whole sum of what the backend calls refunded, and nothing of anything else.
    fn went_back(&mut self, charge: &Charge, order: &Value, money: Money) {
        let refund = order["refund"].as_str();
        let (wanted, is_possible) = match (refund, money) {
            (Some("done"), Money::GivenBack) => (charge.gross, order["status"] == "refund"),
            (Some("by_hand"), Money::GivenBack) => (0, order["payment"] != "gopay"),
            (Some("due"), Money::Untouched) | (None, _) => (0, true),
            _ => (0, false),
        };
        if charge.refunded != wanted || !is_possible {
            self.wrong.push(format!("Rp{} of Rp{} went back at Midtrans, {money:?}: {order}", charge.refunded, charge.gross));
        }
        if refund == Some("done") {
            *self.sums.entry("rupiah refunded").or_default() += charge.refunded;
        }
    }

    fn add_up(&mut self) {
        let sum = |name: &str| self.sums.get(name).copied().unwrap_or_default();
        let ended = sum("dispensed") + sum("refund due") + sum("uncertain");
        if sum("settled") != ended {
            self.wrong.push(format!("{} settled, {ended} ended", sum("settled")));
        }
    }

    /// Counts the pulses of each line. Each request has as many as `due` says: one if its goods were dispensed, none if it was
    /// not paid, one or none if its end is failed or uncertain. A pulse belongs to the last request before it. A request that was
    /// refused leaves its line to the next one, and a broker that was killed may bring it once more: those are counted together.
    /// A customer with a payment code may come back after the next customer has asked. So all requests of such a line are counted
    /// together. No other line was driven, no line is active now, and no ticket is open.
    fn relay(&mut self, ordeal: &Ordeal, caller: &Caller, due: &BTreeMap<&str, Pulses>) {
        let mut driven: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        let mut active = BTreeSet::new();
        for edge in ordeal.shop.relay.edges() {
            if edge.active {
                driven.entry(edge.line.clone()).or_default().push(edge.at_ms);
                active.insert(edge.line);
            } else {
                active.remove(&edge.line);
            }
        }
        self.sums.insert("pulses", driven.values().map(|times| times.len() as u64).sum());
        let mut of_line: BTreeMap<u64, Vec<&Requested>> = BTreeMap::new();
        for asked in &ordeal.requests {
            of_line.entry(asked.line).or_default().push(asked);
        }
        for (line, requests) in of_line {
            let times = driven.remove(&format!("i{line}")).unwrap_or_default();
            let mut groups: Vec<&[&Requested]> = requests.chunk_by(|one, next| next.at_ms - one.at_ms < BROUGHT_AGAIN_MS).collect();
            if requests.iter().any(|asked| ordeal.codes.contains_key(&asked.request)) {
                groups = vec![&requests];
            }
            let mut counted = 0;
            for (at, group) in groups.iter().enumerate() {
                let until = groups.get(at + 1).map_or(i64::MAX, |next| next[0].at_ms);
                let pulses = times.iter().filter(|time| (group[0].at_ms..until).contains(*time)).count() as u64;
                counted += pulses;
                let sum = |of: fn(&Pulses) -> u64| group.iter().map(|asked| of(&due[asked.request.as_str()])).sum::<u64>();
                let (least, most) = (sum(|pulses| pulses.least), sum(|pulses| pulses.most));
                if !(least..=most).contains(&pulses) {
                    let names: Vec<&str> = group.iter().map(|asked| asked.request.as_str()).collect();
                    self.wrong.push(format!("line i{line} had {pulses} pulses for {names:?}, which ask for {least} to {most}"));
                }
            }
            if counted != times.len() as u64 {
                self.wrong.push(format!("line i{line} was driven before anybody asked: {times:?}"));
            }
        }
        if !driven.is_empty() || !active.is_empty() {
            self.wrong.push(format!("other lines were driven ({driven:?}), or are still active ({active:?})"));
        }
        let tickets = caller.open_tickets();
        if !tickets.is_empty() {
            self.wrong.push(format!("the relay holds {} tickets open: {tickets:?}", tickets.len()));
        }
    }
}

fn is_paid(charge: &Value) -> bool {
    matches!(charge["status"].as_str(), Some("settlement" | "refund" | "partial_refund"))
}
