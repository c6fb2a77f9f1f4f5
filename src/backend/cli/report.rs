//! `qris-backend report`: what was paid on a day, what became of it, and what is left of it, as a table, CSV or JSON.

use super::opening::books;
use super::orders::device_id;
use super::print::Shown::{self, Text};
use super::print::{Field, Out, left, lines_of, right, row};
use super::progress::Progress;
use super::text::{self, fill, texts};
use super::time::{Days, date_of, days_text};
use crate::config::Config;
use crate::csv::Separator;
use crate::machines::stock;
use crate::money::report::{self, By};
use crate::money::sums::{Sum, Sums};
use crate::sale::books::{BooksError, archived_between};
use crate::store::Tx;
use clap::Args;
use qris_core::order::ids::DeviceId;
use qris_core::order::merchant::{Attention, End};
use qris_core::order::money::{signed_total, total};
use qris_core::order::time::{Span, Wall};
use qris_core::text::named;
use qris_host::{Failure, speech};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Which days, and how.
#[derive(Debug, Args)]
pub struct ReportArguments {
    #[command(flatten)]
    days: Days,
    /// Only of this machine
    #[arg(long, value_name = "ID", value_parser = device_id)]
    device: Option<DeviceId>,
    /// A line for each of these
    #[arg(long, value_enum, default_value_t)]
    by: By,
    /// Print CSV (RFC 4180): one record for each line, and one for all; amounts in whole rupiah, empty if not known
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// What stands between two fields of CSV: a spreadsheet with Indonesian settings expects `;`
    #[arg(long, value_name = "SIGN", requires = "csv", default_value = ",", hide_possible_values = true)]
    separator: Separator,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl ReportArguments {
    pub(super) const fn is_for_a_person(&self) -> bool {
        !self.json && !self.csv
    }
}

/// A line: its name, and its sums.
type Line<'a> = (String, &'a Sums);

fn amount<'a>(name: &'static str, width: usize, of: fn(&Line<'a>) -> Shown) -> Field<Line<'a>> {
    Field(None, Some(right(name, width.max(name.chars().count()))), of)
}

fn sum(line: &Line<'_>, ends: &[End]) -> Shown {
    Text(Some(total(ends.iter().map(|end| line.1.of(*end).amount).sum())))
}

/// They are 120 wide in English, with amounts of up to Rp999.999.999.
fn fields<'a>(by: By) -> [Field<Line<'a>>; 9] {
    let texts = texts();
    [
        Field(None, Some(left(title(by), 18)), |line| Text(Some(line.0.clone()))),
        Field(None, Some(right(texts.paid_column, 6)), |line| Text(Some(line.1.paid.orders.to_string()))),
        amount(texts.amount_column, 14, |line| Text(Some(total(line.1.paid.amount)))),
        amount(texts.above_column, 9, |line| Text(Some(signed_total(line.1.above_prices())))),
        amount(texts.delivered_column, 14, |line| sum(line, &[End::Delivered])),
        amount(texts.given_column, 10, |line| sum(line, &[End::Given])),
        amount(texts.refund_due_column, 11, |line| sum(line, &[End::RefundDue])),
        amount(texts.refunded_column, 11, |line| sum(line, &[End::Refunded, End::RefundedByHand])),
        amount(texts.open_column, 11, |line| sum(line, &[End::Uncertain, End::Unreported, End::Awaited, End::TakenBack])),
    ]
}

/// What is left, if a fee is known.
fn fields_of_payout<'a>(by: By) -> [Field<Line<'a>>; 5] {
    let texts = texts();
    [
        Field(None, Some(left(title(by), 40)), |line| Text(Some(line.0.clone()))),
        amount(texts.amount_column, 14, |line| Text(Some(total(line.1.paid.amount)))),
        amount(texts.went_back_column, 14, |line| Text(line.1.returned().map(signed_total))),
        amount(texts.fee_column, 12, |line| Text(line.1.fee().map(signed_total))),
        amount(texts.payout_column, 14, |line| Text(line.1.payout().map(signed_total))),
    ]
}

fn title(by: By) -> &'static str {
    match by {
        By::Machine => texts().machine_column,
        By::Item => texts().item_column,
        By::Scheme => texts().scheme_column,
        By::Day => texts().day_column,
        By::Month => texts().month_column,
    }
}

pub async fn run(config: &Config, asked: ReportArguments, now: Wall) -> Result<(), Failure> {
    let span = asked.days.span(now, config.zone).map_err(Failure::usage)?;
    let store = books(config)?;
    let refused = refused(config, asked.device.clone(), span).await;
    let wanted =
        report::ReportQuery { device: asked.device, span, by: asked.by, zone: config.zone, fees: config.fees, now: store.now(now) };
    let to_make = wanted.clone();
    let made = move |tx: &mut dyn Tx| {
        let mut progress = Progress::begin();
        let told = |read: u64, all: u64| progress.says(|| fill(texts().progress, &[&read, &all]));
        Ok::<_, BooksError>((report::make(tx, &to_make, told)?, archived_between(tx, span)?))
    };
    let (report, archived) = store.read(made).await.map_err(Failure::failed)?;
    if archived > 0 {
        eprintln!("{}", fill(texts().report_archived, &[&archived]));
    }
    let mut out = Out::default();
    if asked.json {
        out.line(&as_json(&report, &refused, &wanted).to_string())?;
    } else if asked.csv {
        out.text(&report.csv(&wanted, asked.separator))?;
    } else {
        out.text(&as_table(&report, &wanted))?;
        if !refused.is_empty() {
            out.text(&refused_lines(&refused))?;
        }
    }
    match report.difference() {
        None => Ok(()),
        Some(difference) => Err(Failure::failed(fill(texts().sums_differ, &[&difference]))),
    }
}

/// The requests that machines refused because nothing was left, by goods. They are news of the machines, beside the money. So a report
/// does without them where they cannot be read.
async fn refused(config: &Config, device: Option<DeviceId>, (from, until): (Wall, Wall)) -> BTreeMap<Box<str>, u64> {
    let (first, last) = (date_of(from, config.zone), date_of(until - Span::secs(1), config.zone));
    let read = async {
        let store = config.store.machines(false)?;
        store.read(move |tx| stock::refused_on(tx, device.as_ref(), (&first, &last))).await
    };
    read.await.unwrap_or_else(|why: BooksError| {
        eprintln!("{}", fill(texts().no_refused, &[&why]));
        BTreeMap::new()
    })
}

/// The most first.
fn refused_lines(refused: &BTreeMap<Box<str>, u64>) -> String {
    let mut all: Vec<_> = refused.iter().collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let mut text = format!("\n{}\n", texts().report_refused);
    let columns = [left("", 42), right("", 6)];
    for (goods, count) in all {
        text += &format!("  {}\n", row(&columns, &[goods.to_string(), count.to_string()]));
    }
    text
}

fn as_table(report: &report::SalesReport, wanted: &report::ReportQuery) -> String {
    let all = &report.total;
    let total_of = |sum: Sum| format!("{:>7} {:>18}\n", sum.orders, total(sum.amount));
    let texts = texts();
    let mut text = format!("{}\n\n", fill(texts.report_title, &[&days_text(wanted.span, wanted.zone), &wanted.zone.words()]));
    text += &format!("{:<44} {:>7} {:>18}\n", "", texts.orders_column, texts.amount_column);
    text += &format!("{:<44} {}", texts.report_paid, total_of(all.paid));
    for end in End::ALL {
        text += &format!("  {:<42} {}", speech::orders::end(end).line.spoken(), total_of(all.of(end)));
    }
    if all.goods_and_money.orders > 0 {
        text += &format!("  {:<42} {}", texts.goods_and_money, total_of(all.goods_and_money));
    }
    if let Some(until) = report.refund_until {
        text += &format!("{:<44} {:>26}\n", texts.refund_until, until.to_local_named(wanted.zone));
    }
    if report.only_by_hand.orders > 0 {
        text += &format!("{:<44} {}", texts.only_by_hand, total_of(report.only_by_hand));
    }
    text += &format!("{:<44} {:>26}\n", texts.above_prices, signed_total(all.above_prices()));
    text += &match report.difference() {
        None => fill(texts.balanced, &[&total(all.paid.amount)]),
        Some(difference) => fill(texts.not_balanced, &[&difference]),
    };
    text.push('\n');
    if report.groups.is_empty() {
        return text;
    }
    let shown = |name: &String| named(report.names.get(name).map(|of| &**of), name);
    let lines: Vec<_> = report.groups.iter().map(|(name, sums)| (shown(name), sums)).chain([(texts.total.into(), all)]).collect();
    text += &format!("\n{}{}\n", lines_of(&fields(wanted.by), &lines, wanted.zone), texts.legend);
    if !wanted.fees.are_known() {
        return text;
    }
    text += &format!("\n{}", lines_of(&fields_of_payout(wanted.by), &lines, wanted.zone));
    if all.unknown.orders > 0 {
        let Sum { orders, amount } = all.unknown;
        text += &format!("{}\n", fill(texts.unknown_fees, &[&text::orders(orders), &total(amount)]));
    }
    text
}

fn as_json(report: &report::SalesReport, refused: &BTreeMap<Box<str>, u64>, wanted: &report::ReportQuery) -> Value {
    let sum = |sum: Sum| json!({ "orders": sum.orders, "amount": sum.amount });
    let sums = |sums: &Sums| {
        let mut object = serde_json::Map::new();
        object.insert("paid".into(), sum(sums.paid));
        object.insert("fees".into(), sums.above_prices().into());
        object.extend(End::ALL.iter().map(|end| (end.as_str().to_owned(), sum(sums.of(*end)))));
        object.insert(Attention::GoodsAndMoney.as_str().into(), sum(sums.goods_and_money));
        object.insert("returned".into(), sums.returned().into());
        object.insert("gateway_fee".into(), sums.fee().into());
        object.insert("payout".into(), sums.payout().into());
        object
    };
    let group = |(name, of): (&String, &Sums)| {
        let mut object = sums(of);
        object.insert(wanted.by.field().into(), name.as_str().into());
        object
    };
    json!({
        "from": wanted.span.0.to_rfc3339_in(wanted.zone),
        "until": wanted.span.1.to_rfc3339_in(wanted.zone),
        "total": sums(&report.total),
        wanted.by.plural(): report.groups.iter().map(group).collect::<Vec<_>>(),
        "refund_until": report.refund_until.map(|until| until.to_rfc3339_in(wanted.zone)),
        "only_by_hand": sum(report.only_by_hand),
        "balanced": report.difference().is_none(),
        "difference": report.difference(),
        "sold_out": refused.iter().map(|(goods, count)| json!({ "goods": goods, "requests": count })).collect::<Vec<_>>(),
    })
}
