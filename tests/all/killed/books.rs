//! The books, when everything is well again: what Midtrans took, what the machine says, what the backend knows, and what
//! the relay did.

use super::harm::{Ordeal, Requested};
use crate::rig::caller::Caller;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Within this time after everything was mended every order is final. The longest that anything waits is the backoff
/// of a connection (30 s) and the backend's own end of a charge (a minute after its time on the screen).
const HEALED_WITHIN: Duration = Duration::from_secs(150);

/// What Midtrans called cancelled is not asked about again. If it was paid all the same, and the one notification of it was
/// lost for good, the merchant's nightly `reconcile` finds it: it gets this time to be told of by itself.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// Waits until the books balance; else tells what does not.
pub fn close(ordeal: &mut Ordeal) -> Result<(), String> {
    let caller = Caller::connect(&ordeal.shop.bus.address);
    let start = Instant::now();
    let mut reconciled = false;
    loop {
        ordeal.pass(Duration::from_millis(500))?;
        let mut audit = Audit::of(ordeal, &caller);
        if audit.wrong.is_empty() && !audit.untold.is_empty() && !reconciled && start.elapsed() > TOLD_WITHIN {
            ordeal.note(&format!("reconcile, for {:?}", audit.untold));
            // Its exit status tells that there was a difference.
            ordeal.shop.merchant(&["reconcile", "--per-second", "100"]);
            *ordeal.figures.entry("found by reconcile").or_default() += audit.untold.len() as u64;
            reconciled = true;
        }
        audit.wrong.extend(audit.untold.iter().map(|order_id| format!("{order_id} was paid after it was cancelled, and nobody knows")));
        if audit.wrong.is_empty() {
            ordeal.note(&format!("the books balance after {:?}", start.elapsed()));
            let worst = ordeal.figures.entry("seconds to heal, summed up").or_default();
            *worst += start.elapsed().as_secs();
            for (name, count) in audit.sums {
                *ordeal.figures.entry(name).or_default() += count;
            }
            return Ok(());
        }
        if start.elapsed() > HEALED_WITHIN {
            return Err(format!("{HEALED_WITHIN:?} after everything was mended:\n      {}", audit.wrong.join("\n      ")));
        }
    }
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
    fn of(ordeal: &Ordeal, caller: &Caller) -> Self {
        let mut audit = Self::default();
        let shop = &ordeal.shop;
        let ends = audit.machine_ends(ordeal, caller);
        let mut due: BTreeMap<&str, Pulses> = ordeal.requests.iter().map(|asked| (asked.request.as_str(), Pulses::default())).collect();
        // A charge that was denied frees its order_id: the next attempt may have the same.
        let mut paid_of: BTreeMap<String, bool> = BTreeMap::new();
        for charge in shop.midtrans.transactions() {
            let order_id = charge["order_id"].as_str().expect("an id");
            if charge["status"] == "pending" {
                audit.wrong.push(format!("{order_id} can still be paid"));
            }
            if paid_of.insert(order_id.to_owned(), is_paid(&charge)) == Some(true) {
                audit.wrong.push(format!("{order_id} was charged again after it was paid"));
            }
        }
        let orders: Vec<(bool, Value)> = paid_of
            .into_iter()
            .filter_map(|(order_id, paid)| {
                let answer = shop.backend_get(&format!("/v1/orders/{order_id}"));
                if answer.status != 200 {
                    audit.wrong.push(format!("{order_id}: the backend answers {} {}", answer.status, answer.text()));
                    return None;
                }
                Some((paid, answer.json()))
            })
            .collect();
        let request_of = |order: &Value| order["request_id"].as_str().expect("a request").to_owned();
        let paid_requests: BTreeSet<String> = orders.iter().filter(|(paid, _)| *paid).map(|(_, order)| request_of(order)).collect();
        for (paid, order) in &orders {
            let request = request_of(order);
            let end = ends.get(&request).map_or("", String::as_str);
            let pulses = due.get_mut(request.as_str()).expect("a request of ours");
            let order_id = order["order_id"].as_str().expect("an id");
            if *paid && ordeal.late.contains(order_id) && matches!(order["status"].as_str(), Some("cancel" | "expire")) {
                audit.untold.push(order_id.to_owned());
                continue;
            }
            audit.enter(*paid, order, end, paid_requests.contains(&request), pulses);
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

    fn add_up(&mut self) {
        let sum = |name: &str| self.sums.get(name).copied().unwrap_or_default();
        let ended = sum("dispensed") + sum("refund due") + sum("uncertain");
        if sum("settled") != ended {
            self.wrong.push(format!("{} settled, {ended} ended", sum("settled")));
        }
    }

    /// At most one pulse an order, one for each that was dispensed, and none for one that was not paid. A pulse is for the last
    /// request of its line before it; but where one of them waits at a counter, whose customer may come after the next has
    /// asked, all of that line are counted together.
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
            let mut groups: Vec<&[&Requested]> = requests.chunks(1).collect();
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
        let tickets: Vec<String> = caller.relay_property("Tickets");
        if !tickets.is_empty() {
            self.wrong.push(format!("the relay holds {} tickets open: {tickets:?}", tickets.len()));
        }
    }
}

fn is_paid(charge: &Value) -> bool {
    matches!(charge["status"].as_str(), Some("settlement" | "refund" | "partial_refund"))
}
