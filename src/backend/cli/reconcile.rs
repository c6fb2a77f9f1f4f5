//! `qris-backend reconcile`: asks the gateway about every order of a day, and lists each difference. If a notification was lost,
//! its news is handed to the books as the notification would have been. Nothing else is changed.

use super::named::{alone, none};
use super::opening::{books, machines};
use super::orders::{gone, note};
use super::print::{Column, Out, heading, left, row};
use super::text::{self, fill, texts};
use super::time::{Days, days_text};
use crate::config::Config;
use crate::gateway::{Answered, StatusAnswer, TroubleKind, WatchedGateway};
use crate::http::Handles;
use crate::keys::Ring;
use crate::money::reconcile::{Difference, compare, is_live, live};
use crate::sale::books::{self as ledger, Beginning, BooksError, Cursor, Noted, OrderFilter};
use crate::sale::handle::Books;
use crate::sale::view::people;
use crate::sale::work::{Found, Work};
use crate::store::Tx;
use crate::together::handles;
use clap::Args;
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::{Order, StatusReport, next_deadline};
use qris_core::order::time::{Wall, Zone};
use qris_host::config::Source;
use qris_host::{Failure, clock, tls};
use serde_json::json;
use std::collections::{BTreeSet, HashSet};
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep};

/// Which days, and how.
#[derive(Debug, Args)]
pub struct Reconcile {
    #[command(flatten)]
    days: Days,
    /// Ask about this order, not about a day's; may be repeated. An order that the books do not have is rebuilt from its whole number, if
    /// it was charged for a machine
    #[arg(long, value_name = "ORDER", conflicts_with_all = ["date", "until"])]
    order: Vec<Beginning>,
    /// At most so many questions a second
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    per_second: u32,
    /// One JSON object a line
    #[arg(long)]
    pub(super) json: bool,
}

/// How often a question without an answer is asked.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(10);
/// News that was handed to the books leads to a question within this time.
const TAKEN_UP_WITHIN: Duration = Duration::from_secs(15);
/// … and meanwhile the books are looked at this often.
const LOOK: Duration = Duration::from_millis(250);
/// On a terminal, a sign of life comes after this many orders.
const PROGRESS_EVERY: usize = 50;

fn columns() -> [Column; 3] {
    [left(texts().order_column, 22), left(texts().machine_column, 20), left(texts().difference_column, 0)]
}

#[derive(Debug, Default)]
struct Tally {
    asked: u64,
    live: u64,
    differences: u64,
    unanswered: u64,
    /// Orders that were asked for by name, and are not ours.
    foreign: u64,
    archived: u64,
    unreadable: u64,
}

pub async fn run(config: &Config, source: &Source, wanted: Reconcile) -> Result<(), Failure> {
    let span = wanted.days.span(clock::now().wall, config.zone).map_err(Failure::usage)?;
    tls::install_provider();
    let ring = Ring::read(&config.signing_key_file).map_err(Failure::failed)?;
    let Handles { books, work, gateway, .. } = handles(config, source, ring, books(config)?, machines(config, true)?)?;
    let about = if wanted.order.is_empty() { days_text(span, config.zone) } else { texts().by_name.into() };
    let (ids, damaged) = match wanted.order.is_empty() {
        true => books.read(move |tx| of_days(tx, span)).await.map_err(Failure::failed)?,
        false => (by_name(config, &wanted.order).await?, BTreeSet::new()),
    };
    let mut pace = interval(Duration::from_secs(1) / wanted.per_second);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut out, mut tally) = (Out::default(), Tally { unreadable: damaged.len() as u64, ..Tally::default() });
    damaged.iter().for_each(|id| eprintln!("{}", fill(texts().row_damaged, &[id])));
    if !wanted.json {
        out.line(&heading(&columns()))?;
    }
    for (number, id) in ids.iter().enumerate() {
        let wanted_id = id.clone();
        if books.read(move |tx| ledger::load(tx, &wanted_id)).await.map_err(Failure::failed)?.is_none() {
            if let Some(where_it_is) = gone(config, id).await? {
                eprintln!("{where_it_is}");
                tally.archived += 1;
                continue;
            }
            pace.tick().await;
            if let Some(order) = rebuilt(&work, id, &mut tally).await? {
                out.text(&told(&order, &Difference::Rebuilt, wanted.json, config.zone))?;
            }
            continue;
        }
        let (order, found) = look(&books, &gateway, id, &mut pace, &mut tally).await?;
        tally.differences += found.len() as u64;
        for difference in &found {
            let now = if difference.is_news() { take_up(&work, &order, difference).await? } else { order.clone() };
            out.text(&told(&now, difference, wanted.json, config.zone))?;
        }
        if number % PROGRESS_EVERY == PROGRESS_EVERY - 1 && std::io::stderr().is_terminal() {
            eprint!("\r{}", fill(texts().progress, &[&(number + 1), &ids.len()]));
        }
    }
    let Tally { asked, live, differences, unanswered, foreign, archived, unreadable } = tally;
    let texts = texts();
    let found = if differences == 1 { texts.one_difference.into() } else { fill(texts.many_differences, &[&differences]) };
    let mut summary = fill(texts.asked_about, &[&about, &text::orders(asked), &found]);
    let more = [
        (live, texts.live),
        (unanswered, texts.unanswered),
        (foreign, texts.foreign),
        (archived, texts.archived_ones),
        (unreadable, texts.unreadable),
    ];
    summary.extend(more.into_iter().filter(|(count, _)| *count > 0).map(|(count, form)| fill(form, &[&count])));
    if differences + unanswered + foreign + unreadable > 0 {
        return Err(Failure::failed(summary));
    }
    if wanted.json {
        eprintln!("{summary}");
        return Ok(());
    }
    out.line(&summary)
}

/// The orders that were asked for. What the books do not have may be the whole number of an order that they lost.
async fn by_name(config: &Config, wanted: &[Beginning]) -> Result<Vec<OrderId>, Failure> {
    let mut ids = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        let found = alone(config, wanted, None).await?;
        if found.is_none() && wanted.is_short() {
            return Err(none(wanted, None));
        }
        ids.push(found.map_or_else(|| OrderId::new(&wanted.to_string()).map_err(Failure::usage), Ok)?);
    }
    Ok(ids)
}

/// Every order that began or was settled in the span, and the names of those whose rows are damaged.
fn of_days(tx: &mut dyn Tx, (from, until): (Wall, Wall)) -> Result<(Vec<OrderId>, BTreeSet<String>), BooksError> {
    let (mut ids, mut known, mut damaged) = (Vec::new(), HashSet::new(), BTreeSet::new());
    let mut add = |id: &OrderId| {
        if known.insert(id.clone()) {
            ids.push(id.clone());
        }
    };
    let wanted = OrderFilter { device: None, from, until, refund_due: false, attention: false };
    let mut behind = Cursor::at(until);
    loop {
        let page = ledger::page(tx, &wanted, &behind)?;
        let Some(last) = page.behind else { break };
        behind = last;
        page.orders.iter().for_each(|stored| add(&stored.order.id));
        damaged.extend(page.damaged);
    }
    let mut behind = Cursor::at(from);
    loop {
        let page = ledger::settled(tx, None, until, &behind)?;
        let Some(last) = page.behind else { return Ok((ids, damaged)) };
        behind = last;
        page.orders.iter().for_each(|stored| add(&stored.order.id));
        damaged.extend(page.damaged);
    }
}

/// Takes back an order that the books do not have. If that is not possible, it says why.
async fn rebuilt(work: &Arc<Work>, id: &OrderId, tally: &mut Tally) -> Result<Option<Order>, Failure> {
    let why = match work.take_back(id, None).await.map_err(Failure::failed)? {
        Found::Rebuilt(stored) => {
            tally.asked += 1;
            tally.differences += 1;
            return Ok(Some(stored.order));
        }
        Found::Unanswered => {
            tally.unanswered += 1;
            eprintln!("{}", fill(texts().not_asked_now, &[id]));
            return Ok(None);
        }
        Found::Unclear => {
            tally.unanswered += 1;
            eprintln!("{}", fill(texts().not_clear, &[id]));
            return Ok(None);
        }
        Found::Known => texts().known_by_that_name,
        Found::NotOurs => texts().not_ours,
        Found::Unknown => texts().not_known,
    };
    tally.foreign += 1;
    eprintln!("{}", fill(why, &[id]));
    Ok(None)
}

async fn look(
    books: &Books,
    gateway: &WatchedGateway,
    id: &OrderId,
    pace: &mut Interval,
    tally: &mut Tally,
) -> Result<(Order, Vec<Difference>), Failure> {
    let order = load(books, id).await?;
    if is_live(&order) {
        tally.live += 1;
        let found = live(next_deadline(&order), clock::now().wall);
        return Ok((order, found.into_iter().collect()));
    }
    let Some(answer) = ask(gateway, id, pace).await? else {
        tally.unanswered += 1;
        return Ok((order, Vec::new()));
    };
    // A change during the question is in the books by now.
    let order = load(books, id).await?;
    if answer.as_ref().is_some_and(|report| !order.is_meant_by(report) && !report.is_about(id, [])) {
        eprintln!("{}", fill(texts().answers_about_another, &[id]));
        tally.unanswered += 1;
        return Ok((order, Vec::new()));
    }
    tally.asked += 1;
    let found = if is_live(&order) { Vec::new() } else { compare(&order, answer.as_ref()) };
    Ok((order, found))
}

/// `None`: the gateway could not be asked. `Some(None)`: it has no such transaction.
async fn ask(gateway: &WatchedGateway, id: &OrderId, pace: &mut Interval) -> Result<Option<Option<StatusReport>>, Failure> {
    for attempt in 1..=TRIES {
        pace.tick().await;
        let Answered { says, problem } = gateway.ask().status(id).await;
        match (says, problem) {
            (StatusAnswer::Found(report), _) => return Ok(Some(Some(report))),
            (StatusAnswer::Unknown, _) => return Ok(Some(None)),
            (StatusAnswer::Unclear(_) | StatusAnswer::Unanswered, Some(problem)) => match problem.kind {
                TroubleKind::Locked => return Err(Failure::failed(problem)),
                TroubleKind::Gone | TroubleKind::Busy if attempt < TRIES => sleep(PAUSE).await,
                TroubleKind::Gone | TroubleKind::Busy | TroubleKind::Refusal => {
                    eprintln!("{id}: {problem}");
                    return Ok(None);
                }
            },
            (StatusAnswer::Unclear(_) | StatusAnswer::Unanswered, None) => return Ok(None),
        }
    }
    Ok(None)
}

/// Hands the books the news of a notification. They ask the gateway themselves, and believe only that.
async fn take_up(work: &Arc<Work>, order: &Order, difference: &Difference) -> Result<Order, Failure> {
    let (id, said) = (order.id.clone(), difference.as_notified());
    if let Some(said) = said {
        let noted = work.books().write(move |tx, policy, now| ledger::notified(tx, policy, &id, said, now)).await;
        if let Noted::News(done) = noted.map_err(Failure::failed)? {
            Arc::clone(work).carry_on(*done).await;
        }
    }
    // If the gateway told of an order a moment ago, the question waits its ten seconds.
    let end = Instant::now() + TAKEN_UP_WITHIN;
    loop {
        let now = load(work.books(), &order.id).await?;
        match now.polling.at {
            Some(at) if Instant::now() < end => sleep((at - clock::now().wall).to_duration().clamp(LOOK, TAKEN_UP_WITHIN)).await,
            Some(_) | None => return Ok(now),
        }
        Arc::clone(work).advance(order.id.clone()).await;
    }
}

async fn load(books: &Books, id: &OrderId) -> Result<Order, Failure> {
    let wanted = id.clone();
    let found = books.read(move |tx| ledger::load(tx, &wanted)?.ok_or(BooksError::Unknown)).await;
    found.map(|stored| stored.order).map_err(Failure::failed)
}

fn told(order: &Order, difference: &Difference, as_json: bool, zone: Zone) -> String {
    let line = people::line(order, zone);
    let known = &line.order;
    if as_json {
        let object = json!({
            "order_id": known.order_id,
            "device": known.device,
            "difference": difference.as_str(),
            "message": difference.sentence(),
            "to_do": difference.to_do(),
            "status": known.status,
            "refund": known.refund,
        });
        return format!("{object}\n");
    }
    let first = row(&columns(), &[known.order_id.to_string(), known.place(), difference.sentence()]);
    let words = [known.status.as_str().into(), note(&line)];
    let now = words.iter().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>().join(", ");
    let now = if difference.is_news() || *difference == Difference::Rebuilt { fill(texts().now_it_is, &[&now]) } else { String::new() };
    format!("{first}\n{:<46}-> {}{now}\n", "", difference.to_do())
}
