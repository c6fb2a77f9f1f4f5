//! `qris-backend orders --csv`: every payment in a record of CSV, for accounts.

use super::super::opening::books;
use super::super::print::Out;
use super::super::progress::Progress;
use crate::config::Config;
use crate::csv::{Separator, csv_record, csv_text};
use crate::money::takings::{self, Taking};
use crate::sale::books::{self as ledger, Cursor, Stored, archived_between};
use crate::sale::view::people::RefundUntil;
use crate::sale::view::whole::{self, Whole};
use qris_core::order::ids::{DeviceId, ItemId};
use qris_core::order::merchant::Attention;
use qris_core::order::outcome::Delivery;
use qris_core::order::time::{Wall, Zone};
use qris_host::{Failure, clock};

const FIELDS: [&str; 24] = [
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
    "besides",
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
    let (mut progress, mut written) = (Progress::begin(), 0);
    out.text(&csv_record(&FIELDS.map(String::from), separator))?;
    while !out.is_closed() {
        let (device, after) = (device.clone(), behind.clone());
        let page = store.read(move |tx| ledger::settled(tx, device.as_ref(), until, &after)).await.map_err(Failure::failed)?;
        let Some(last) = page.behind else { break };
        behind = last;
        damaged.extend(page.damaged);
        written += page.orders.len();
        progress.says(|| format!("{written} orders are written"));
        let own = store.now(clock::now().wall);
        let now = store.read(move |tx| ledger::told_beside(tx, own)).await.map_err(Failure::failed)?;
        let record = |(stored, at): (Stored, Wall)| {
            let order = stored.order.as_of(now);
            csv_record(&fields(&whole::order(&order, config.zone), &Taking::of(&order, &config.fees), at, config.zone), separator)
        };
        let records = page.orders.into_iter().zip(page.times).map(record);
        out.text(&records.collect::<String>())?;
    }
    Ok(damaged)
}

/// A payment. What is not known is empty.
fn fields(whole: &Whole, taking: &Taking, settled_at: Wall, zone: Zone) -> [String; 24] {
    let (order, paid) = (&whole.line.order, whole.paid.as_ref());
    let text = |text: Option<&str>| text.map(csv_text).unwrap_or_default();
    let time = |at: Option<Wall>| at.map(|at| at.to_rfc3339_in(zone)).unwrap_or_default();
    let number = |amount: Option<i64>| amount.map(|amount| amount.to_string()).unwrap_or_default();
    [
        csv_text(order.order_id.as_str()),
        text(order.transaction_id.as_deref()),
        csv_text(order.device.as_str()),
        csv_text(order.item.as_str()),
        text(order.asked.as_ref().map(ItemId::as_str)),
        text(order.description.as_deref()),
        taking.price.to_string(),
        taking.paid.to_string(),
        taking.above_price().to_string(),
        text(whole.scheme.as_ref().map(ToString::to_string).as_deref()),
        text(paid.and_then(|paid| paid.acquirer.as_deref())),
        text(paid.and_then(|paid| paid.issuer.as_deref())),
        time(Some(whole.began_at)),
        time(Some(settled_at)),
        time(whole.outcome_at),
        time(whole.refunded_at),
        order.status.as_str().into(),
        text(order.outcome.as_ref().map(Delivery::as_str)),
        taking.end.as_str().into(),
        if taking.is_goods_and_money { Attention::GoodsAndMoney.as_str().into() } else { String::new() },
        number(taking.returned.map(takings::signed)),
        number(taking.fee.map(takings::signed)),
        number(taking.payout()),
        match whole.refund_until {
            Some(RefundUntil::At(until)) => time(Some(until)),
            Some(RefundUntil::Over) => Attention::OnlyByHand.as_str().into(),
            None => String::new(),
        },
    ]
}
