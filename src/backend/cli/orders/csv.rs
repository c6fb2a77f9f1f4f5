//! `qris-backend orders --csv`: every payment in a record of CSV, for accounts.

use super::super::opening::books;
use super::super::print::Out;
use crate::config::Config;
use crate::csv::{Separator, csv_record, csv_text};
use crate::money::takings::{self, Fees, Taking};
use crate::sale::books::{self as ledger, Cursor, archived_between};
use crate::sale::counted;
use crate::sale::view::people::{self, RefundUntil};
use qris_core::order::ids::{DeviceId, ItemId};
use qris_core::order::merchant::{Attention, Order};
use qris_core::order::time::{Wall, Zone};
use qris_host::{Failure, clock};

const FIELDS: [&str; 23] = [
    "order_id",
    "transaction_id",
    "device",
    "item",
    "asked",
    "description",
    "price",
    "paid",
    "above_price",
    "scheme",
    "acquirer",
    "issuer",
    "began_at",
    "settled_at",
    "outcome_at",
    "refunded_at",
    "status",
    "outcome",
    "money",
    "returned",
    "gateway_fee",
    "payout",
    "refund_until",
];

/// Writes the payments of a span. Gives the orders whose rows cannot be read.
pub async fn write(
    config: &Config,
    device: Option<DeviceId>,
    (from, until): (Wall, Wall),
    separator: Separator,
) -> Result<Vec<String>, Failure> {
    let store = books(config)?;
    let archived = store.read(move |tx| archived_between(tx, (from, until))).await.map_err(Failure::failed)?;
    if archived > 0 {
        eprintln!("{archived} orders of these days are archived, and not in this list");
    }
    let (mut out, mut behind, mut damaged) = (Out::default(), Cursor::at(from), Vec::new());
    out.text(&csv_record(&FIELDS.map(String::from), separator))?;
    while !out.is_closed() {
        let (device, after) = (device.clone(), behind.clone());
        let page = store.read(move |tx| ledger::settled(tx, device.as_ref(), until, &after)).await.map_err(Failure::failed)?;
        let Some(last) = page.behind else { break };
        behind = last;
        damaged.extend(page.damaged);
        let now = store.now(clock::now().wall);
        let orders = page.orders.into_iter().map(|stored| stored.order.as_of(now));
        let records = orders.zip(page.times).map(|(order, at)| csv_record(&fields(&order, at, &config.fees, config.zone), separator));
        out.text(&records.collect::<String>())?;
    }
    Ok(damaged)
}

/// A payment. What is not known is empty.
fn fields(order: &Order, settled_at: Wall, fees: &Fees, zone: Zone) -> [String; 23] {
    let (sale, taking) = (&order.sale, Taking::of(order, fees));
    let parties = order.settlement().map(|by| &by.parties);
    let text = |text: Option<&str>| text.map(csv_text).unwrap_or_default();
    let time = |at: Option<Wall>| at.map(|at| at.to_rfc3339_in(zone)).unwrap_or_default();
    let number = |amount: Option<i64>| amount.map(|amount| amount.to_string()).unwrap_or_default();
    [
        csv_text(order.id.as_str()),
        text(people::transaction(order).as_deref()),
        csv_text(sale.device.as_str()),
        csv_text(sale.purchase.item.as_str()),
        text(sale.purchase.asked.as_ref().map(ItemId::as_str)),
        text(sale.purchase.description.as_deref()),
        taking.price.to_string(),
        taking.paid.to_string(),
        taking.above_price().to_string(),
        text(counted::scheme(order).map(|scheme| scheme.to_string()).as_deref()),
        text(parties.and_then(|parties| parties.acquirer.as_deref())),
        text(parties.and_then(|parties| parties.issuer.as_deref())),
        time(Some(order.created_at)),
        time(Some(settled_at)),
        time(order.reported_at()),
        time(takings::refunded_at(order)),
        order.status().as_str().into(),
        text(order.delivery().map(|told| told.outcome.as_str())),
        taking.end.as_str().into(),
        number(taking.returned.map(takings::signed)),
        number(taking.fee.map(takings::signed)),
        number(taking.payout()),
        match people::refund_until(order) {
            Some(RefundUntil::At(until)) => time(Some(until)),
            Some(RefundUntil::Over) => Attention::OnlyByHand.as_str().into(),
            None => String::new(),
        },
    ]
}
