//! The money of all machines: what Midtrans took, what the machines were told, and what the books of the backend say.

use super::board::Tally;
use super::machine::PRICE;
use super::yard::{Yard, YardError};
use qris_core::order::outcome::Delivery;
use serde::Serialize;
use serde_json::Value;

/// All orders.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Audit {
    /// Orders that were shown to a customer.
    pub orders: usize,
    /// Requests for which there was no QR.
    pub refused: usize,
    /// Paid at Midtrans.
    pub paid: usize,
    /// Receipts that a machine believed.
    pub receipts: usize,
    /// Handed out.
    pub delivered: usize,
    /// Paid, and to be given back.
    pub refund_due: usize,
    /// All differences, in words.
    pub wrong: Vec<String>,
}

/// Compares everything.
///
/// # Errors
/// The backend does not tell its report.
pub fn audit(yard: &Yard, dates: [&str; 2]) -> Result<Audit, YardError> {
    let report = yard.command(&["report", "--date", dates[0], "--until", dates[1], "--json"])?;
    let report = serde_json::from_slice(&report).map_err(|error| YardError::Words(error.to_string()))?;
    let transactions = yard.town.midtrans.with(|midtrans, _| midtrans.transactions());
    let is_paid = |status: &str| ["settlement", "refund", "partial_refund"].contains(&status);
    let paid = transactions.into_iter().filter(|transaction| is_paid(transaction.status));
    let paid: Vec<_> = paid.map(|transaction| (transaction.order_id, transaction.gross_amount)).collect();
    Ok(compare(&paid, &yard.town.board.lock(), &report))
}

/// `paid`: the order ids and sums at Midtrans.
fn compare(paid: &[(String, u64)], tally: &Tally, report: &Value) -> Audit {
    let told = |outcome: Delivery| tally.orders.values().filter(|sale| sale.reported.as_ref() == Some(&outcome)).count();
    let mut audit = Audit {
        orders: tally.orders.len(),
        refused: tally.refused,
        paid: paid.len(),
        receipts: tally.orders.values().filter(|sale| sale.receipt.is_some()).count(),
        delivered: told(Delivery::Dispensed),
        refund_due: told(Delivery::Undelivered),
        wrong: tally.wrong.clone(),
    };
    for (id, _) in paid {
        let sale = tally.orders.iter().find_map(|(known, sale)| (known.as_str() == id).then_some(sale));
        match sale {
            None => audit.wrong.push(format!("{id} is paid, and no machine knows it")),
            Some(sale) if sale.receipt.is_none() => audit.wrong.push(format!("{id} is paid, and its machine has no receipt")),
            Some(sale) if sale.reported.is_none() => audit.wrong.push(format!("{id} is paid, and its end was not told")),
            Some(_) => {}
        }
    }
    let mut same = |what: &str, ours: u64, theirs: &Value| {
        if theirs.as_u64() != Some(ours) {
            audit.wrong.push(format!("{what}: {ours} here, {theirs} in the backend's report"));
        }
    };
    let total = &report["total"];
    same("paid orders", paid.len() as u64, &total["paid"]["orders"]);
    same("paid rupiah", paid.iter().map(|(_, sum)| sum).sum(), &total["paid"]["amount"]);
    same("delivered orders", audit.delivered as u64, &total["delivered"]["orders"]);
    same("refunds due", audit.refund_due as u64, &total["refund_due"]["orders"]);
    same("rupiah to be given back", audit.refund_due as u64 * PRICE, &total["refund_due"]["amount"]);
    if report["balanced"] != true {
        audit.wrong.push(format!("the backend's report is not balanced: {}", report["difference"]));
    }
    if audit.receipts != audit.paid {
        audit.wrong.push(format!("{} paid, and {} receipts", audit.paid, audit.receipts));
    }
    audit
}

#[cfg(test)]
mod tests {
    use super::super::board::{Board, Sale};
    use super::*;
    use qris_core::order::ids::OrderId;
    use serde_json::json;

    fn report(paid: u64, delivered: u64, due: u64) -> Value {
        let sum = |orders: u64| json!({ "orders": orders, "amount": orders * PRICE });
        json!({ "total": { "paid": sum(paid), "delivered": sum(delivered), "refund_due": sum(due) }, "balanced": true, "difference": null })
    }

    #[test]
    fn each_paid_order_has_one_receipt_and_one_end_and_stands_in_the_books() {
        let board = Board::new(1);
        let mut tally = board.lock();
        let done = |outcome| Sale { receipt: Some("a.b.c".into()), reported: Some(outcome), ..Sale::default() };
        let id = |name: &str| OrderId::new(name).expect("an id");
        tally.orders.insert(id("o-1"), done(Delivery::Dispensed));
        tally.orders.insert(id("o-2"), done(Delivery::Undelivered));
        tally.orders.insert(id("o-3"), Sale { ended: true, ..Sale::default() });
        let paid = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), PRICE)).collect::<Vec<_>>();
        let wrong = |paid: &[(String, u64)], tally: &Tally, report: &Value| compare(paid, tally, report).wrong;
        assert_eq!(wrong(&paid(&["o-1", "o-2"]), &tally, &report(2, 1, 1)), [""; 0]);
        assert_eq!(compare(&paid(&["o-1", "o-2"]), &tally, &report(2, 1, 1)).orders, 3);
        for (what, names, report) in [
            ("paid, and the machine has no receipt", &["o-1", "o-2", "o-3"][..], report(3, 1, 1)),
            ("paid, and no machine knows it", &["o-1", "o-2", "o-4"], report(3, 1, 1)),
            ("a receipt for nothing", &["o-1"], report(1, 1, 1)),
            ("the books lack a payment", &["o-1", "o-2"], report(1, 1, 1)),
            ("the books have another end", &["o-1", "o-2"], report(2, 2, 0)),
        ] {
            assert!(!wrong(&paid(names), &tally, &report).is_empty(), "{what}");
        }
        tally.orders.get_mut(&id("o-2")).expect("there").reported = None;
        assert!(!wrong(&paid(&["o-1", "o-2"]), &tally, &report(2, 1, 1)).is_empty(), "the end was not told");
    }
}
