//! What the machines were given for each order, and whether Midtrans and the backend's books say the same.

use qris_core::order::merchant::ASK_SPACING;
use qris_sim::midtrans::{Book, Logged};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// A question to Midtrans may be on the way for a moment.
const SLACK_MS: i64 = 1_000;

/// One order that a customer was shown.
#[derive(Default)]
pub struct Sale {
    /// When its customer paid, and so when Midtrans sent its notification.
    pub paid: Option<Instant>,
    pub receipt: Option<Box<str>>,
    /// The backend has acknowledged that it is delivered.
    pub is_told: bool,
}

/// What all machines and customers know.
#[derive(Default)]
pub struct Records {
    /// By their order ids.
    pub sales: HashMap<String, Sale>,
    /// Requests for which there was no QR. Nobody could pay.
    pub refused: usize,
    /// Machines that have yet to hear their open orders from the backend.
    pub away: HashSet<usize>,
    /// From notifications to receipts.
    pub took: Vec<Duration>,
    /// What must not be.
    pub wrong: Vec<String>,
}

impl Sale {
    /// What a paid order must have, and this one does not.
    fn lacks(&self) -> Option<&'static str> {
        if self.receipt.is_none() { Some("no receipt") } else { (!self.is_told).then_some("no delivery in the books") }
    }
}

impl Records {
    pub fn sale(&mut self, id: &str) -> &mut Sale {
        self.sales.get_mut(id).expect("it was shown")
    }

    /// A machine is given a receipt. The answer is whether it is the order's first. The same one may come again, another one must not.
    pub fn give(&mut self, id: &str, jws: &str) -> bool {
        let fault = match self.sales.get_mut(id) {
            None => "a receipt, and no machine has this order",
            Some(Sale { receipt: Some(known), .. }) if **known == *jws => return false,
            Some(Sale { receipt: Some(_), .. }) => "a second receipt",
            Some(sale) => {
                sale.receipt = Some(jws.into());
                self.took.extend(sale.paid.map(|paid| paid.elapsed()));
                return true;
            }
        };
        self.wrong.push(format!("{id}: {fault}"));
        false
    }

    /// Each paid order has its end in the books.
    pub fn is_settled(&self) -> bool {
        self.sales.values().all(|sale| sale.paid.is_none() || sale.lacks().is_none())
    }
}

/// The order ids and sums of what is paid at Midtrans.
pub fn paid(transactions: &[Book]) -> Vec<(&str, u64)> {
    let paid = transactions.iter().filter(|book| ["settlement", "refund", "partial_refund"].contains(&book.status));
    paid.map(|book| (book.order_id.as_str(), book.gross_amount)).collect()
}

/// Compares what is `paid` at Midtrans, the machines, and the backend's `report`. The answer has the numbers, and what is wrong.
pub fn compare(paid: &[(&str, u64)], records: &Records, report: &Value) -> (String, Vec<String>) {
    let mut wrong = records.wrong.clone();
    let lacks = |id| records.sales.get(id).map_or(Some("no machine"), Sale::lacks);
    wrong.extend(paid.iter().filter_map(|(id, _)| Some(format!("{id} is paid, and has {}", lacks(*id)?))));
    let count = |is_so: fn(&Sale) -> bool| records.sales.values().filter(|sale| is_so(sale)).count() as u64;
    let (receipts, delivered) = (count(|sale| sale.receipt.is_some()), count(|sale| sale.is_told));
    let total = &report["total"];
    for (what, ours, theirs) in [
        ("receipts, and payments", receipts, &Value::from(paid.len())),
        ("paid orders", paid.len() as u64, &total["paid"]["orders"]),
        ("paid rupiah", paid.iter().map(|(_, sum)| sum).sum(), &total["paid"]["amount"]),
        ("delivered orders", delivered, &total["delivered"]["orders"]),
    ] {
        if theirs.as_u64() != Some(ours) {
            wrong.push(format!("{what}: {ours} here, {theirs} at the merchant"));
        }
    }
    if report["balanced"] != true {
        wrong.push(format!("the backend's report is not balanced: {}", report["difference"]));
    }
    let (orders, refused, paid) = (records.sales.len(), records.refused, paid.len());
    (format!("{orders} orders, {refused} refused, {paid} paid, {receipts} receipts, {delivered} delivered"), wrong)
}

/// The backend asked Midtrans about an unpaid order sooner than its own pace allows: somebody made it ask. `calls`: the oldest first.
pub fn asked_too_soon(calls: &[Logged], records: &Records) -> Vec<String> {
    let is_unpaid = |id: &str| records.sales.get(id).is_some_and(|sale| sale.paid.is_none());
    let mut last = HashMap::new();
    let calls = calls.iter().filter(|call| ["charge", "status"].contains(&call.call) && is_unpaid(&call.order_id));
    let gaps = calls.filter_map(|call| Some((&call.order_id, call.at_ms - last.insert(&call.order_id, call.at_ms)?)));
    let too_soon = gaps.filter(|(_, gap)| *gap < ASK_SPACING.0 - SLACK_MS);
    too_soon.map(|(id, gap)| format!("Midtrans was asked about {id} again after {gap} ms")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_paid_order_has_one_receipt_and_stands_in_the_books() {
        let mut records = Records::default();
        for (id, receipt, is_told) in [("a", Some("a"), true), ("b", Some("b"), true), ("lost", None, false)] {
            records.sales.insert(id.into(), Sale { paid: None, receipt: receipt.map(Into::into), is_told });
        }
        let wrong = |records: &Records, ids: &[&'static str], [paid, delivered]: [u64; 2]| {
            let [paid, delivered] = [paid, delivered].map(|orders| json!({ "orders": orders, "amount": orders * 5_000 }));
            let ids: Vec<_> = ids.iter().map(|id| (*id, 5_000)).collect();
            compare(&ids, records, &json!({ "total": { "paid": paid, "delivered": delivered }, "balanced": true })).1
        };
        assert_eq!(wrong(&records, &["a", "b"], [2, 2]), [""; 0]);
        assert_ne!(wrong(&records, &["a", "b", "lost"], [3, 2]), [""; 0], "no receipt");
        assert_ne!(wrong(&records, &["a", "b", "nobody's"], [3, 2]), [""; 0], "no machine knows it");
        assert_ne!(wrong(&records, &["a"], [1, 2]), [""; 0], "a receipt for nothing");
        assert_ne!(wrong(&records, &["a", "b"], [1, 2]), [""; 0], "the books lack a payment");
        assert_ne!(wrong(&records, &["a", "b"], [2, 1]), [""; 0], "the books lack a delivery");
        assert!(!records.give("a", "a"), "the same receipt again");
        assert_eq!(wrong(&records, &["a", "b"], [2, 2]), [""; 0]);
        assert!(!records.give("a", "another"), "one order, two receipts");
        assert_eq!(wrong(&records, &["a", "b"], [2, 2]), ["a: a second receipt"]);
    }
}
