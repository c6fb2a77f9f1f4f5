//! `qris-backend orders`: lists orders, or shows one with everything that happened to it.

mod csv;

use super::named::named;
use super::opening::books;
use super::print::Shown::Text;
use super::print::{Field, Out, heading_of, left, plain, right, row_of};
use super::text::{self, fill, texts};
use super::time::{Day, When, day_or_month, when};
use crate::config::Config;
use crate::csv::Separator;
use crate::keeping::archive;
use crate::sale::books::{self, Archived, Beginning, BooksError, Cursor, OrderFilter};
use crate::sale::view::people;
use crate::sale::view::whole::{self, Charged, Paid, Try, Whole};
use crate::store::Tx;
use crate::together::policy;
use clap::Args;
use qris_core::order::ids::{DeviceId, OrderId};
use qris_core::order::merchant::{Asker, AtBank, Attention, End, Order, Repayment};
use qris_core::order::money::total;
use qris_core::order::time::{Wall, Zone};
use qris_core::wire::orders::{Refund, Status};
use qris_core::wire::people::{OrderLine, Stands};
use qris_host::{Failure, clock, speech};
use serde_json::json;
use std::path::PathBuf;

/// Which orders.
#[derive(Debug, Args)]
pub struct Orders {
    /// One order, with its history: its number, or the first 5 letters or more. The groups of the screen need no quotes
    #[arg(conflicts_with_all = ["device", "since", "until", "date", "status", "refund_due", "attention", "limit"])]
    order: Vec<Beginning>,
    /// Only of this machine
    #[arg(long, value_name = "ID", value_parser = device_id)]
    device: Option<DeviceId>,
    /// Only orders of this day or month, in the zone of [reports]
    #[arg(long, value_name = "YYYY-MM[-DD]", value_parser = day_or_month, conflicts_with_all = ["since", "until"])]
    date: Option<Day>,
    /// Only orders that began then or later: a day, a month, or a moment such as "2026-11-20 15:00"
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<When>,
    /// Only orders that began before: a day counts to its end
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<When>,
    /// Only with this status: pending, settlement, expire, cancel, deny, failure, refund
    #[arg(long, visible_alias = "state", value_name = "STATUS", value_parser = status)]
    status: Option<Status>,
    /// Only orders whose customer is owed the money
    #[arg(long)]
    refund_due: bool,
    // Its help is made from the known words.
    #[arg(long, value_name = "KIND", num_args = 0..=1, require_equals = true, value_parser = attention, help = attention_help())]
    attention: Option<Option<Attention>>,
    /// Look for ORDER in this file, which `archive` made
    #[arg(long, value_name = "FILE", requires = "order")]
    archive: Option<PathBuf>,
    /// At most so many; 0: all
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: u64,
    /// Every payment as CSV (RFC 4180), one record each, the oldest first; the days are those of the payment, as in `report`
    #[arg(long, conflicts_with_all = ["json", "order", "status", "refund_due", "attention", "limit"])]
    csv: bool,
    /// What stands between two fields of CSV: a spreadsheet with Indonesian settings expects `;`
    #[arg(long, value_name = "SIGN", requires = "csv", default_value = ",", hide_possible_values = true)]
    separator: Separator,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub fn device_id(text: &str) -> Result<DeviceId, String> {
    DeviceId::new(text).map_err(|error| error.to_string())
}

fn attention_help() -> String {
    format!("Only orders that a person must look at; with a KIND, only for this reason: {}", kinds())
}

fn kinds() -> String {
    Attention::ALL.map(Attention::as_str).join(", ")
}

fn attention(text: &str) -> Result<Attention, String> {
    Attention::from_word(text).ok_or_else(|| format!("one of {}", kinds()))
}

fn status(text: &str) -> Result<Status, String> {
    use Status::{Cancel, Deny, Expire, Failure, Pending, Refund, Settlement};
    let all = [Pending, Settlement, Expire, Cancel, Deny, Failure, Refund];
    let found = all.into_iter().find(|status| status.as_str() == text);
    found.ok_or_else(|| "one of pending, settlement, expire, cancel, deny, failure, refund".into())
}

/// Up to so many orders that are left out are counted.
const LEFT_OUT_MAX: u64 = 10_000;

/// They are 136 wide, and at least 12 more in a list of what is owed.
fn fields(owed: bool) -> Vec<Field<OrderLine>> {
    let texts = texts();
    let mut fields: Vec<Field<OrderLine>> = vec![
        Field(None, Some(left(texts.began_column, 16)), |line| Text(Some(line.order.began_at[..16].replace('T', " ")))),
        Field(None, Some(left(texts.order_column, 20)), |line| Text(Some(line.order.order_id.to_string()))),
        Field(None, Some(left(texts.machine_column, 18)), |line| Text(Some(line.order.place()))),
        Field(None, Some(left(texts.item_column, 18)), |line| Text(Some(line.order.goods()))),
        Field(None, Some(right(texts.price_column, 10)), |line| Text(Some(line.order.amount.to_string()))),
        Field(None, Some(left(texts.status_column, 10)), |line| Text(Some(line.order.status.to_string()))),
        Field(None, Some(left(texts.outcome_column, 11)), |line| Text(line.order.outcome.as_ref().map(ToString::to_string))),
    ];
    if owed {
        let width = texts.refund_by_column.chars().count().max(10);
        fields.push(Field(None, Some(left(texts.refund_by_column, width)), |line| Text(Some(refund_by(line)))));
    }
    fields.push(Field(None, Some(left(texts.note_column, 0)), |line| Text(Some(note(line)))));
    fields
}

pub async fn run(config: &Config, wanted: Orders) -> Result<(), Failure> {
    if !wanted.order.is_empty() {
        return show(config, &wanted.order, wanted.archive, wanted.json).await;
    }
    if wanted.csv {
        return readable(&csv::write(config, wanted.device.clone(), wanted.span(config.zone), wanted.separator).await?);
    }
    list(config, wanted).await
}

impl Orders {
    pub(super) const fn is_for_a_person(&self) -> bool {
        !self.json && !self.csv
    }

    /// From when, and until when; the end is not a part of it.
    fn span(&self, zone: Zone) -> (Wall, Wall) {
        match self.date {
            Some(day) => (day.start(zone), day.end(zone)),
            None => {
                let (since, until) = (self.since.map(|at| at.start(zone)), self.until.map(|at| at.end(zone)));
                (since.unwrap_or(Wall(i64::MIN)), until.unwrap_or(Wall(i64::MAX)))
            }
        }
    }
}

async fn list(config: &Config, asked: Orders) -> Result<(), Failure> {
    let store = books(config)?;
    let ((from, until), zone) = (asked.span(config.zone), config.zone);
    let owed = asked.refund_due || asked.attention.is_some();
    let fields = fields(owed);
    let wanted = OrderFilter { device: asked.device, from, until, refund_due: asked.refund_due, attention: asked.attention.is_some() };
    let fits = |order: &Order| {
        let listed = order.attention();
        // A refund that is under way is due, and needs nobody.
        asked.attention.is_none_or(|kind| kind.map_or(!listed.is_empty(), |kind| listed.contains(&kind)))
            && asked.status.is_none_or(|status| status == order.status())
    };
    let by_columns = asked.status.is_none() && asked.attention.is_none();
    let limit = if asked.limit == 0 { u64::MAX } else { asked.limit };
    let mut out = Out::default();
    if !asked.json {
        out.line(&heading_of(&fields, zone))?;
    }
    let (mut behind, mut shown, mut fit, mut damaged, mut stopped) = (Cursor::at(until), 0, 0_u64, Vec::new(), false);
    let mut owed_in_all = 0;
    loop {
        // It reads a page at a time, so a slow reader (`| less`) does not hold up any writer.
        let page = {
            let (wanted, behind) = (wanted.clone(), behind.clone());
            store.read(move |tx| books::page(tx, &wanted, &behind)).await.map_err(Failure::failed)?
        };
        let Some(last) = page.behind else { break };
        stopped = shown == limit;
        if stopped {
            break;
        }
        behind = last;
        damaged.extend(page.damaged);
        let mut text = String::new();
        let own = store.now(clock::now().wall);
        let now = store.read(move |tx| books::told_beside(tx, own)).await.map_err(Failure::failed)?;
        for order in page.orders.into_iter().map(|stored| stored.order.as_of(now)).filter(fits) {
            fit += 1;
            if shown < limit {
                shown += 1;
                let line = people::line(&order, zone);
                owed_in_all += line.to_return;
                text += &if asked.json { json!(line.order).to_string() } else { row_of(&fields, &line, zone) };
                text.push('\n');
            }
        }
        out.text(&text)?;
        // Without a condition on the state of an order, the database counts the rest quicker.
        stopped = shown == limit && by_columns;
        if out.is_closed() || stopped {
            break;
        }
    }
    if stopped && by_columns && !out.is_closed() {
        let listed = shown + damaged.len() as u64;
        let found = store.read(move |tx| books::count(tx, &wanted, listed + LEFT_OUT_MAX + 1)).await.map_err(Failure::failed)?;
        fit = found.saturating_sub(damaged.len() as u64);
    }
    if asked.refund_due && !asked.json {
        out.line(&format!("{}, {}", text::orders(shown), total(owed_in_all)))?;
    }
    let left_out = fit.saturating_sub(shown);
    if !out.is_closed() {
        // Whether they fit stands in their bodies, and to read all of those takes long.
        let more = if stopped && !by_columns { Some(texts().perhaps_more.into()) } else { older(left_out, fit) };
        more.into_iter().for_each(|more: String| eprintln!("{more}"));
    }
    readable(&damaged)
}

/// How many orders are not in the list, of those that fit.
fn older(left_out: u64, fit: u64) -> Option<String> {
    match left_out {
        0 => None,
        1 => Some(fill(texts().one_older, &[&fit])),
        2..=LEFT_OUT_MAX => Some(fill(texts().many_older, &[&left_out, &fit])),
        _ => Some(texts().very_many_older.into()),
    }
}

/// An order whose row cannot be read is not in the list, and a reader must be told that it is missing.
fn readable(damaged: &[String]) -> Result<(), Failure> {
    if damaged.is_empty() {
        return Ok(());
    }
    Err(Failure::failed(fill(texts().damaged, &[&text::orders(damaged.len() as u64), &damaged.join(", ")])))
}

/// The last day on which the gateway gives the money back, or that its time is over. Empty: there is none.
fn refund_by(line: &OrderLine) -> String {
    if line.is_by_hand { texts().refund_by_hand.into() } else { line.last_day.as_deref().unwrap_or_default().into() }
}

pub fn note(line: &OrderLine) -> String {
    let order = &line.order;
    // The first word says already that a refund is due.
    let why: Vec<_> = order.attention.iter().filter(|why| **why != Attention::RefundDue).map(|why| why.as_str()).collect();
    let money = match order.refund {
        Some(Refund::Due) if !why.is_empty() => Some(texts().due),
        Some(Refund::ByHand) if !why.is_empty() => Some(texts().by_hand),
        Some(Refund::Done) if line.is_bank_asked => Some(texts().refund_asked),
        refund => refund.map(refund_told),
    };
    let reason = order.reason.filter(|_| why.is_empty() && order.refund == Some(Refund::Due));
    let more = line.rest.map(|rest| rest.to_string()).or(reason.map(|reason| reason.to_string()));
    let money = money.map(|money| more.map_or_else(|| money.into(), |more| format!("{money} ({more})")));
    money.into_iter().chain(why.into_iter().map(Into::into)).collect::<Vec<String>>().join(", ")
}

fn refund_told(refund: Refund) -> &'static str {
    match refund {
        Refund::Due => speech::orders::end(End::RefundDue).line.spoken(),
        Refund::Done => texts().refunded,
        Refund::ByHand => speech::orders::end(End::RefundedByHand).line.spoken(),
        Refund::Given => texts().given,
        Refund::Other(_) => texts().otherwise,
    }
}

async fn show(config: &Config, wanted: &[Beginning], file: Option<PathBuf>, as_json: bool) -> Result<(), Failure> {
    let id = named(config, wanted, file.as_deref()).await?;
    let found = match &file {
        Some(file) => archive::look_into(file, |tx| archive::whole(tx, &id)).map_err(Failure::failed)?.map(|found| (found, None)),
        None => {
            let (store, policy, wanted) = (books(config)?, policy(config, Vec::new()), id.clone());
            let own = store.now(clock::now().wall);
            let read = move |tx: &mut dyn Tx| {
                let now = books::told_beside(tx, own)?;
                let Some((attempts, history, mut stored)) = archive::whole(tx, &wanted)? else { return Ok::<_, BooksError>(None) };
                stored.order = stored.order.as_of(now);
                let offered_until = books::try_offered_until(tx, &policy, &stored.order, now)?;
                Ok(Some(((attempts, history, stored), offered_until)))
            };
            store.read(read).await.map_err(Failure::failed)?
        }
    };
    let Some(((attempts, history, stored), offered_until)) = found else {
        return Err(Failure::failed(gone(config, &id).await?.unwrap_or_else(|| fill(texts().no_order, &[&id]))));
    };
    let (mut out, zone) = (Out::default(), config.zone);
    let whole = whole::order(&stored.order, zone);
    // Midtrans' simulator asks for it.
    let picture = whole.picture.as_deref().filter(|_| config.gateway.is_sandbox());
    if as_json {
        let mut object = whole.object(&attempts, &history, offered_until, zone);
        object["rev"] = stored.rev.into();
        object["picture"] = picture.into();
        return out.line(&object.to_string());
    }
    out.line(&fill(texts().order_title, &[&id, &zone.words()]))?;
    let mut facts = facts(&whole, &attempts, zone);
    facts.extend(offered_until.map(|until| (texts().one_try, fill(texts().try_offered, &[&until.to_local(zone)]))));
    facts.extend(picture.map(|url| (texts().picture, url.to_owned())));
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max(12);
    for (name, value) in facts {
        out.line(&format!("  {name:<width$} {}", plain(&value, usize::MAX)))?;
    }
    out.line(texts().history)?;
    history.iter().try_for_each(|past| out.line(&format!("  {}  {}", past.at.to_local(zone), plain(&past.event, usize::MAX))))
}

/// The place of an archived order, in words.
pub async fn gone(config: &Config, id: &OrderId) -> Result<Option<String>, Failure> {
    let wanted = id.clone();
    let archived = books(config)?.read(move |tx| books::archived(tx, &wanted)).await.map_err(Failure::failed)?;
    Ok(archived.map(|Archived { file, at, .. }| fill(texts().archived, &[&id, &at.to_local_named(config.zone), &file])))
}

fn facts(whole: &Whole, attempts: &[OrderId], zone: Zone) -> Vec<(&'static str, String)> {
    let texts = texts();
    let order = &whole.line.order;
    let mut facts = vec![
        (texts.machine, order.place()),
        (texts.request, order.request_id.to_string()),
        (texts.ticket, whole.ticket.to_string()),
        (texts.item, order.goods()),
    ];
    facts.extend(order.asked.as_ref().map(|asked| (texts.asked_for, asked.to_string())));
    facts.push((texts.price, order.amount.to_string()));
    let others: Vec<_> = attempts.iter().filter(|id| **id != order.order_id).map(ToString::to_string).collect();
    if !others.is_empty() {
        facts.push((texts.attempt, fill(texts.attempts, &[&order.attempt, &others.join(", ")])));
    }
    facts.push((texts.payment, order.payment.as_str().into()));
    facts.push((texts.began, whole.began_at.to_local(zone)));
    if let Some(Charged { amount, at, expires_at }) = &whole.charged {
        facts.push((texts.charged, fill(texts.amount_at, &[amount, &at.to_local(zone)])));
        facts.push((texts.expires, expires_at.to_local(zone)));
    }
    facts.extend(order.transaction_id.as_ref().map(|id| (texts.transaction, id.to_string())));
    let status = match whole.line.stands {
        Stands::Before(no_end) => format!("{}: {}", order.status, speech::orders::no_end(no_end).spoken()),
        Stands::At(_) => order.status.to_string(),
    };
    facts.push((texts.status, fill(texts.in_the_books, &[&status, &whole.state])));
    if let Some(Paid { at, amount, payment_type, acquirer, issuer }) = &whole.paid {
        let paid = amount.map_or_else(|| texts.no_whole_rupiah.into(), |amount| amount.to_string());
        let parties = [(texts.issuer, issuer), (texts.acquirer, acquirer)];
        let parties = parties.map(|(what, name)| name.as_ref().map(|name| fill(what, &[name])));
        let parties = parties.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let parties = if parties.is_empty() { parties } else { format!(" ({parties})") };
        facts.push((texts.paid, fill(texts.paid_by, &[&paid, payment_type, &parties, &at.to_local(zone)])));
    }
    if whole.has_receipt {
        facts.push((texts.receipt, fill(texts.receipt_signed, &[&whole.kid])));
    }
    facts.push((texts.relay_key, whole.relay_key.clone().unwrap_or_else(|| texts.no_relay_key.into())));
    if let Some(outcome) = order.outcome {
        let reason = order.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let detail = order.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
        facts.push((texts.outcome, format!("{outcome}{reason}{detail}")));
    }
    facts.extend(whole.proof.as_ref().map(|proof| (texts.proof, speech::orders::proof(proof, speech::spoken()))));
    facts.extend(tries(whole));
    facts.extend(order.refund.map(|refund| (texts.money, refund_told(refund).to_owned())));
    facts.extend(whole.repayment.as_ref().map(|repayment| (texts.repayment, repayment_told(repayment, zone))));
    let by = refund_by(&whole.line);
    if !by.is_empty() {
        facts.push((texts.refund_by, by));
    }
    let look = |why: &Attention| (texts.look_at_it, format!("{}: {}", why.as_str(), speech::orders::attention(*why).to_do.spoken()));
    facts.extend(order.attention.iter().map(look));
    facts
}

/// How the money goes back, or why it does not.
pub fn repayment_told(repayment: &Repayment, zone: Zone) -> String {
    let texts = texts();
    let by = |by: &Option<Box<str>>| by.as_deref().map(|by| fill(texts.by, &[&by])).unwrap_or_default();
    let time = |at: &Wall| at.to_local_named(zone);
    match repayment {
        Repayment::Requested { by: Asker::Automatic, .. } => texts.asked_by_itself.into(),
        Repayment::Requested { by: Asker::Person(who), .. } => fill(texts.asked, &[&by(who)]),
        Repayment::Refused { why, at, .. } => fill(texts.not_refunded_at, &[&time(at), why]),
        Repayment::Done { at, bank, .. } => {
            let bank = match bank {
                Some(AtBank::Requested) => texts.bank_asked,
                Some(AtBank::Confirmed) => texts.bank_confirmed,
                None => "",
            };
            fill(texts.refunded_at, &[&time(at), &bank])
        }
        Repayment::ByHand { note, by: who, at, .. } => fill(texts.settled_at, &[&by(who), &time(at), note]),
        Repayment::Given { by, at, from_slot: false, .. } => fill(texts.given_at, &[by, &time(at)]),
        Repayment::Given { by, at, from_slot: true, .. } => fill(texts.given_from_slot_at, &[by, &time(at)]),
    }
}

/// Each try at an order that had more than one.
fn tries(whole: &Whole) -> Vec<(&'static str, String)> {
    let texts = texts();
    let line = |(number, Try { goods, outcome, proof }): (u8, &Try)| {
        let told = outcome.as_ref().zip(proof.as_ref());
        let told = told.map(|(outcome, proof)| format!("{outcome}; {}", speech::orders::proof(proof, speech::spoken())));
        let end = told.unwrap_or_else(|| texts.try_open.into());
        (texts.one_try, fill(texts.try_told, &[&number, &goods.item, &goods.amount, &goods.ticket, &end]))
    };
    if whole.tries.len() < 2 { Vec::new() } else { (1..).zip(&whole.tries).map(line).collect() }
}
