//! `qris-backend report`: what was paid on a day, and what became of it, as a table, CSV or JSON.

use super::books;
use super::orders::device_id;
use super::print::{Column, Out, csv_record, heading, left, right, row};
use super::time::{Days, days_told};
use crate::books::{BooksError, archived_between};
use crate::config::Config;
use crate::report::{self, Sum, Sums};
use crate::store::Tx;
use crate::wording::End;
use clap::Args;
use qris_core::order::ids::DeviceId;
use qris_core::order::money::total;
use qris_core::order::time::{Span, Wall};
use qris_host::Failure;
use serde_json::{Value, json};

/// Which days, and how.
#[derive(Debug, Args)]
pub struct Report {
    #[command(flatten)]
    days: Days,
    /// Only of this machine
    #[arg(long, value_name = "ID", value_parser = device_id)]
    device: Option<DeviceId>,
    /// Print CSV (RFC 4180): one record for each machine, and one for all; amounts in whole rupiah
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// They are 116 wide, with amounts of up to Rp999.999.999.
const COLUMNS: [Column; 9] = [
    left("MACHINE", 14),
    right("PAID", 6),
    right("AMOUNT", 14),
    right("FEES", 9),
    right("DELIVERED", 14),
    right("GIVEN", 10),
    right("REFUND DUE", 11),
    right("REFUNDED", 11),
    right("OPEN", 11),
];

/// Runs the command.
pub async fn run(config: &Config, wanted: Report, now: Wall) -> Result<(), Failure> {
    let span = wanted.days.span(now).map_err(Failure::usage)?;
    let store = books(config)?;
    let device = wanted.device;
    let made = move |tx: &mut dyn Tx| Ok::<_, BooksError>((report::make(tx, device.as_ref(), span)?, archived_between(tx, span)?));
    let (report, archived) = store.read(made).await.map_err(Failure::failed)?;
    if archived > 0 {
        eprintln!("{archived} orders of these days are archived, and not in these sums");
    }
    let mut out = Out::default();
    if wanted.json {
        out.line(&as_json(&report, span).to_string())?;
    } else if wanted.csv {
        out.text(&as_csv(&report, span))?;
    } else {
        out.text(&as_table(&report, span))?;
    }
    match report.difference() {
        None => Ok(()),
        Some(difference) => Err(Failure::failed(format!("the sums do not agree: {difference}"))),
    }
}

fn as_table(report: &report::Report, span: (Wall, Wall)) -> String {
    let total_of = |sum: Sum| format!("{:>7} {:>18}\n", sum.orders, total(sum.amount));
    let mut text = format!("settled {} (days of Western Indonesia Time, +07:00)\n\n", days_told(span));
    text += &format!("{:<44} {:>7} {:>18}\n", "", "ORDERS", "AMOUNT");
    text += &format!("{:<44} {}", "paid", total_of(report.total.paid));
    for end in End::ALL {
        text += &format!("  {:<42} {}", end.told(), total_of(report.total.of(end)));
    }
    text += &format!("{:<44} {:>26}\n", "fees: paid above the prices", rupiah(report.total.fees()));
    text += &match report.difference() {
        None => format!("balanced: {} paid = the sum of what became of it\n", total(report.total.paid.amount)),
        Some(difference) => format!("NOT balanced: {difference}\n"),
    };
    if report.machines.is_empty() {
        return text;
    }
    text += &format!("\n{}\n", heading(&COLUMNS));
    for (device, sums) in &report.machines {
        text += &format!("{}\n", row(&COLUMNS, &cells(device.as_str(), sums)));
    }
    text += &format!("{}\n", row(&COLUMNS, &cells("total", &report.total)));
    text + "(refunded: through the gateway or by hand; open: uncertain, unreported, awaited or taken back)\n"
}

fn cells(name: &str, sums: &Sums) -> [String; 9] {
    let amount = |ends: &[End]| total(ends.iter().map(|end| sums.of(*end).amount).sum());
    [
        name.into(),
        sums.paid.orders.to_string(),
        total(sums.paid.amount),
        rupiah(sums.fees()),
        amount(&[End::Delivered]),
        amount(&[End::Given]),
        amount(&[End::RefundDue]),
        amount(&[End::Refunded, End::RefundedByHand]),
        amount(&[End::Uncertain, End::Unreported, End::Awaited, End::TakenBack]),
    ]
}

/// An amount that may be below zero.
fn rupiah(amount: i64) -> String {
    format!("{}{}", if amount < 0 { "-" } else { "" }, total(amount.unsigned_abs()))
}

fn as_csv(report: &report::Report, span: (Wall, Wall)) -> String {
    let mut head = ["from", "to", "device", "paid_orders", "paid_amount", "fees"].map(String::from).to_vec();
    head.extend(End::ALL.iter().flat_map(|end| [format!("{}_orders", end.as_str()), format!("{}_amount", end.as_str())]));
    let day = |at: Wall| at.to_wib()[..10].to_owned();
    let (from, to) = (day(span.0), day(span.1 - Span::secs(1)));
    let record = |name: &str, sums: &Sums| {
        let mut fields = vec![from.clone(), to.clone(), name.into(), sums.paid.orders.to_string(), sums.paid.amount.to_string()];
        fields.push(sums.fees().to_string());
        fields.extend(End::ALL.iter().flat_map(|end| [sums.of(*end).orders.to_string(), sums.of(*end).amount.to_string()]));
        csv_record(&fields)
    };
    let machines: String = report.machines.iter().map(|(device, sums)| record(device.as_str(), sums)).collect();
    // No machine has this name: a device id has no blank.
    csv_record(&head) + &machines + &record("all machines", &report.total)
}

fn as_json(report: &report::Report, span: (Wall, Wall)) -> Value {
    let sum = |sum: Sum| json!({ "orders": sum.orders, "amount": sum.amount });
    let sums = |sums: &Sums| {
        let mut object = serde_json::Map::new();
        object.insert("paid".into(), sum(sums.paid));
        object.insert("fees".into(), sums.fees().into());
        object.extend(End::ALL.iter().map(|end| (end.as_str().to_owned(), sum(sums.of(*end)))));
        object
    };
    let machine = |(device, of): (&DeviceId, &Sums)| {
        let mut object = sums(of);
        object.insert("device".into(), device.as_str().into());
        object
    };
    json!({
        "from": span.0.to_rfc3339_wib(),
        "until": span.1.to_rfc3339_wib(),
        "total": sums(&report.total),
        "machines": report.machines.iter().map(machine).collect::<Vec<_>>(),
        "balanced": report.difference().is_none(),
        "difference": report.difference(),
    })
}
