//! `qris-backend refund`, `given`, `again`, `seen`: a person's decisions about an order's money. They write beside `serve`, and
//! work without it. If one of the two asks the gateway, the other waits for it.

use super::named::named;
use super::opening::{books, machines};
use super::orders::repayment_told;
use super::print::Out;
use super::text::{fill, texts};
use crate::config::Config;
use crate::http::Handles;
use crate::keys::Ring;
use crate::sale::books::{self as ledger, Beginning, BooksError, Decision, Done, Policy};
use crate::sale::view::{people, whole};
use crate::sale::work::Work;
use crate::store::{Store, Tx};
use crate::together::{handles, policy};
use clap::{Args, ValueEnum};
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::{NoTry, NumberStands, Order, RefundWish, Repayment, next_deadline};
use qris_core::order::money::total;
use qris_core::order::time::{Told, Zone};
use qris_core::order::tries::TwoDigits;
use qris_core::text::steers;
use qris_host::config::Source;
use qris_host::speech::orders;
use qris_host::surroundings::{Computer, Surroundings as _};
use qris_host::{Failure, clock, tls};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How the money goes back.
#[derive(Debug, Args)]
pub struct Refund {
    /// The order: its number, or the first 5 letters or more. The groups of the screen need no quotes
    #[arg(required = true)]
    order: Vec<Beginning>,
    /// The money was given back in another way: say how, for the books
    #[arg(long, value_name = "NOTE", value_parser = text)]
    settled_by_hand: Option<String>,
    /// Refund it although the machine never told an outcome; an hour after the settlement at the earliest
    #[arg(long, requires = "by")]
    no_report: bool,
    /// Refund it although the relay has not signed that nothing came out
    #[arg(long, requires = "by")]
    no_proof: bool,
    /// Refund it although the goods of another try came, perhaps to somebody else, or other ones than were bought
    #[arg(long, requires = "by")]
    goods_and_money: bool,
    /// Who decides it
    #[arg(long, value_name = "NAME", value_parser = text)]
    by: Option<String>,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// Who handed what over.
#[derive(Debug, Args)]
pub struct Given {
    /// The order: its number, or the first 5 letters or more. The groups of the screen need no quotes
    #[arg(required = true)]
    order: Vec<Beginning>,
    /// Who handed the goods over
    #[arg(long, value_name = "NAME", value_parser = text)]
    by: String,
    /// Note it although the goods of another try came, perhaps to somebody else, or other ones than were bought
    #[arg(long)]
    goods_and_money: bool,
    /// Where the goods came from: out of the slot of this machine, which nobody has counted since; or from elsewhere. The machine takes what
    /// came out of its slot from its count
    #[arg(long, value_name = "PLACE")]
    from: Place,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// Where the goods came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Place {
    /// Out of the machine's slot.
    Machine,
    /// From a box, a shop, another machine; or the slot was counted since.
    Elsewhere,
}

/// Who offers another try at what.
#[derive(Debug, Args)]
pub struct Again {
    /// The order: its number, or the first 5 letters or more. The groups of the screen need no quotes
    #[arg(required = true)]
    order: Vec<Beginning>,
    /// Who offers it
    #[arg(long, value_name = "NAME", value_parser = text)]
    by: String,
    /// The two digits that the machine shows, as its customer reads them out: the next press within 20 s counts
    #[arg(long, value_name = "NN")]
    number: Option<TwoDigits>,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// Who has seen what. An order of which nobody knows whether it is paid (`unconfirmed`) ends with it: no receipt is ever signed for it.
#[derive(Debug, Args)]
pub struct Seen {
    /// The order: its number, or the first 5 letters or more. The groups of the screen need no quotes
    #[arg(required = true)]
    order: Vec<Beginning>,
    /// Who has seen it
    #[arg(long, value_name = "NAME", value_parser = text)]
    by: String,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// The longest name or note.
const TEXT_CHARS_MAX: usize = 200;
/// How long the command waits for the gateway's answer to a refund. `serve` goes on asking afterwards.
const WAIT: Duration = Duration::from_secs(60);
/// Meanwhile the books are looked at this often.
const LOOK: Duration = Duration::from_millis(250);

pub(super) fn text(text: &str) -> Result<String, String> {
    let trimmed = text.trim();
    let plain = !trimmed.is_empty() && trimmed.chars().count() <= TEXT_CHARS_MAX && !trimmed.contains(steers);
    if plain { Ok(trimmed.into()) } else { Err(format!("1 to {TEXT_CHARS_MAX} characters on one line")) }
}

pub async fn refund(config: &Config, source: &Source, wanted: Refund) -> Result<(), Failure> {
    let Refund { order, settled_by_hand, no_report, no_proof, goods_and_money, by, json } = wanted;
    let id = named(config, &order, None).await?;
    let (wanted, by) = (id.clone(), by.map(Into::into));
    if let Some(note) = settled_by_hand {
        let decision = Decision::ByHand { note: note.into(), by, no_report, goods_and_money };
        let decide = move |tx: &mut dyn Tx, policy: &Policy, now: Told| ledger::decide(tx, policy, &wanted, decision, now);
        let order = decided(config, &id, decide).await?;
        return say(&order, config.zone, json, &fill(texts().noted_by_hand, &[&about(&order, config.zone)]));
    }
    tls::install_provider();
    let ring = Ring::read(&config.signing_key_file).map_err(Failure::failed)?;
    let store = books(config)?;
    let Handles { books, work, .. } = handles(config, source, ring, store.clone(), machines(config, true)?)?;
    // What a person may do depends on the time, too.
    work.learn_time().await;
    let written = books.write(move |tx, policy, now| {
        let wish = RefundWish { no_report, no_proof, goods_and_money, ..RefundWish::of_a_person(by) };
        ledger::request_refund(tx, policy, &wanted, wish, now)
    });
    let written = written.await;
    taken(&store, &id, written, config.zone).await?;
    let order = answered(&store, &work, &id).await?;
    match order.repayment() {
        Some(Repayment::Refused { why, unsure, .. }) => {
            if json {
                say(&order, config.zone, json, "")?;
            }
            let to_do = if *unsure { texts().refund_unsure } else { texts().still_due };
            let lines = format!("{}\n  {to_do}", fill(texts().not_refunded, &[&about(&order, config.zone), why]));
            Err(Failure::failed(lines))
        }
        Some(Repayment::Requested { .. }) => {
            let said = fill(texts().no_answer, &[&about(&order, config.zone), &WAIT.as_secs(), &id]);
            Err(Failure::failed(said))
        }
        Some(Repayment::Done { .. } | Repayment::ByHand { .. } | Repayment::Given { .. }) | None => {
            say(&order, config.zone, json, &fill(texts().was_refunded, &[&about(&order, config.zone)]))
        }
    }
}

pub async fn given(config: &Config, wanted: Given) -> Result<(), Failure> {
    let Given { order, by, goods_and_money, from, json } = wanted;
    let id = named(config, &order, None).await?;
    let from_slot = from == Place::Machine;
    let (decision, wanted) = (Decision::Given { by: by.as_str().into(), goods_and_money, from_slot }, id.clone());
    let order = decided(config, &id, move |tx, policy, now| ledger::decide(tx, policy, &wanted, decision, now)).await?;
    let noted = if from_slot { texts().noted_given_from_slot } else { texts().noted_given };
    say(&order, config.zone, json, &fill(noted, &[&about(&order, config.zone), &by]))
}

pub async fn again(config: &Config, wanted: Again) -> Result<(), Failure> {
    let Again { order, by, number, json } = wanted;
    let id = named(config, &order, None).await?;
    let (name, wanted, drawn) = (by.clone().into(), id.clone(), Computer::default().two_digits());
    let decide = move |tx: &mut dyn Tx, policy: &Policy, now: Told| match number {
        Some(number) => ledger::tell_number(tx, policy, &wanted, Some(name), number, now),
        None => ledger::want_try(tx, policy, &wanted, Some(name), drawn, now),
    };
    let order = decided(config, &id, decide).await?;
    if number.is_some() {
        // It was told a moment ago, whatever the clock says.
        return match order.number_stands(Told::unknown(clock::now().wall)) {
            Some(NumberStands::Told) => say(&order, config.zone, json, &fill(texts().number_told, &[&about(&order, config.zone)])),
            Some(NumberStands::Asked { .. } | NumberStands::Ended) | None => Err(no_try(&order, config.zone, NoTry::WrongNumber)),
        };
    }
    say(&order, config.zone, json, &fill(texts().noted_again, &[&about(&order, config.zone), &by]))
}

pub async fn seen(config: &Config, wanted: Seen) -> Result<(), Failure> {
    let Seen { order, by, json } = wanted;
    let id = named(config, &order, None).await?;
    let (name, wanted) = (by.clone(), id.clone());
    let order = decided(config, &id, move |tx, policy, now| ledger::seen(tx, policy, &wanted, &name, now)).await?;
    let said = if order.ended_by().is_some() { texts().noted_seen_ended } else { texts().noted_seen };
    say(&order, config.zone, json, &fill(said, &[&about(&order, config.zone), &by]))
}

/// Writes a decision without a question to the gateway. This needs neither its key nor ours.
async fn decided(
    config: &Config,
    id: &OrderId,
    decide: impl FnOnce(&mut dyn Tx, &Policy, Told) -> Result<Done, BooksError> + Send + 'static,
) -> Result<Order, Failure> {
    let (store, policy) = (books(config)?, policy(config, Vec::new()));
    let theirs = store.clone();
    let written = store
        .run(move |tx| {
            let now = ledger::told_beside(tx, theirs.now(clock::now().wall))?;
            decide(tx, &policy, now)
        })
        .await;
    taken(&store, id, written, config.zone).await
}

/// The order after a change of it, or why it was not changed.
async fn taken(store: &Store, id: &OrderId, written: Result<Done, BooksError>, zone: Zone) -> Result<Order, Failure> {
    match written {
        Ok(done) => Ok(done.now.order),
        Err(BooksError::Unknown) => Err(Failure::failed(fill(texts().no_order, &[id]))),
        Err(BooksError::Refused(why)) => {
            let order = load(store, id).await?;
            let said = orders::refused(why);
            Err(Failure::failed(format!("{}: {}\n  {}", about(&order, zone), said.line.spoken(), fill(said.to_do.spoken(), &[id]))))
        }
        Err(BooksError::NoTry(why)) => {
            let order = load(store, id).await?;
            Err(no_try(&order, zone, why))
        }
        Err(error) => Err(Failure::failed(error)),
    }
}

fn no_try(order: &Order, zone: Zone, why: NoTry) -> Failure {
    let said = orders::no_try(why);
    let no_try = fill(texts().no_try, &[&said.line.spoken()]);
    Failure::failed(format!("{}: {no_try}\n  {}", about(order, zone), fill(said.to_do.spoken(), &[&order.id])))
}

/// Sees the refund through: asks the gateway, unless `serve` does, and waits for the result.
async fn answered(store: &Store, work: &Arc<Work>, id: &OrderId) -> Result<Order, Failure> {
    let end = Instant::now() + WAIT;
    loop {
        let order = load(store, id).await?;
        if !matches!(order.repayment(), Some(Repayment::Requested { .. })) || Instant::now() > end {
            return Ok(order);
        }
        if next_deadline(&order).is_some_and(|due| due <= work.books().now().wall) {
            Arc::clone(work).advance(id.clone()).await;
        }
        sleep(LOOK).await;
    }
}

async fn load(store: &Store, id: &OrderId) -> Result<Order, Failure> {
    let wanted = id.clone();
    let found = store.read(move |tx| ledger::load(tx, &wanted)?.ok_or(BooksError::Unknown)).await;
    found.map(|stored| stored.order).map_err(Failure::failed)
}

/// What goes back to the customer, and its order.
fn about(order: &Order, zone: Zone) -> String {
    let line = people::line(order, zone);
    fill(texts().about, &[&total(line.to_return), &line.order.goods(), &line.order.place(), &order.id])
}

fn say(order: &Order, zone: Zone, as_json: bool, words: &str) -> Result<(), Failure> {
    let mut out = Out::default();
    if !as_json {
        return out.line(words);
    }
    let whole = whole::order(order, zone);
    let mut object = json!(whole.line.order);
    object["repayment"] = json!(whole.repayment.as_ref().map(|repayment| repayment_told(repayment, zone)));
    out.line(&object.to_string())
}
