//! The phases: each does something to the machines, and tells its figures.

use super::board::{Sale, Tally};
use super::computer::Taken;
use super::figures::{Back, Idle, Silence, Sold};
use super::machine::{Customer, Input, Machine};
use super::status_calls::StatusCalls;
use super::yard::{Yard, YardError};
use qris_core::order::ids::OrderId;
use qris_core::order::time::Wall;
use std::time::{Duration, Instant};

/// Nothing takes longer: whoever has not come by then is lost.
const PATIENCE: Duration = Duration::from_secs(300);
/// One machine in this many loses its network.
const SILENT_PART: usize = 4;
/// One machine in this many has a customer when its network, or the broker, is gone.
const BUSY_PART: usize = 20;
/// The most such customers.
const BUSY_MAX: usize = 200;

/// Why a phase did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum PhaseError {
    /// Something did not happen.
    #[error("waited {} s in vain for {what}: {tally}{wrong}", PATIENCE.as_secs())]
    InVain {
        /// What.
        what: &'static str,
        /// How far it came.
        tally: String,
        /// What else went wrong, one a line.
        wrong: String,
    },
    /// Something that was started does not work.
    #[error(transparent)]
    Yard(#[from] YardError),
}

/// All machines get their power in one moment.
pub async fn connect(yard: &mut Yard, machines: Vec<Machine>) -> Result<Back, PhaseError> {
    let count = machines.len();
    yard.town.board.note(|tally| tally.begin_wave(count));
    let return_of = Return::begins(yard);
    yard.turn_on(machines);
    return_of.completed(yard, count).await
}

/// Nothing happens. What the programs take then.
pub async fn idle(yard: &Yard, time: Duration) -> Idle {
    let before = [yard.backends(), yard.brokers()];
    tokio::time::sleep(time).await;
    let [backends, brokers] = [yard.backends(), yard.brokers()];
    let part = |after: Taken, before: Taken| 100.0 * (after.cpu_ms - before.cpu_ms) as f64 / time.as_millis().max(1) as f64;
    Idle {
        seconds: time.as_secs(),
        backends_cpu_percent: part(backends, before[0]),
        brokers_cpu_percent: part(brokers, before[1]),
        backends,
        brokers,
        postgres: yard.postgres(),
    }
}

/// Sales at an even pace.
pub async fn sell(yard: &Yard, a_second: u32, time: Duration) -> Result<Sold, PhaseError> {
    let cpu_ms = || (yard.backends().cpu_ms, yard.postgres().map(|taken| taken.cpu_ms));
    let (sales, before, began) = (u64::from(a_second) * time.as_secs(), cpu_ms(), Instant::now());
    let mut due = tokio::time::interval(Duration::from_secs(1) / a_second.max(1));
    // A machine that sells twice does so as late as can be. They are taken from everywhere.
    let step = coprime(yard.machines.len());
    let mut machine = 0;
    for _ in 0..sales {
        due.tick().await;
        yard.sell(machine, Customer::Pays);
        machine = (machine + step) % yard.machines.len();
    }
    let lasted = began.elapsed();
    until(yard, "the end of all sales", is_settled).await?;
    let after = cpu_ms();
    let a_sale = |after: u64, before: u64| after.saturating_sub(before) as f64 / sales.max(1) as f64;
    let tally = yard.town.board.lock();
    let mut took: Vec<f64> = tally.orders.values().filter_map(|sale| sale.took).map(|took| took.as_secs_f64() * 1_000.0).collect();
    took.sort_unstable_by(f64::total_cmp);
    let at = |part: f64| took.get(((took.len() as f64 * part) as usize).min(took.len().saturating_sub(1))).copied().unwrap_or(0.0);
    Ok(Sold {
        sales,
        a_second: sales as f64 / lasted.as_secs_f64(),
        by_broker: took.len(),
        p50_ms: at(0.5),
        p99_ms: at(0.99),
        most_ms: at(1.0),
        backends_cpu_ms_a_sale: a_sale(after.0, before.0),
        postgres_cpu_ms_a_sale: after.1.zip(before.1).map(|(after, before)| a_sale(after, before)),
    })
}

/// A part of the machines loses its network, some in the middle of a sale. Their customers pay. Then all are back in one moment.
pub async fn silence(yard: &Yard) -> Result<Silence, PhaseError> {
    let silent = (yard.machines.len() / SILENT_PART).max(1);
    let busy = busy(silent);
    for machine in 0..busy {
        yard.sell(machine, if machine % 2 == 0 { Customer::PaysLater } else { Customer::PaysAndLeaves });
    }
    until(yard, "the QRs", |tally| tally.asking == 0).await?;
    let began = Instant::now();
    (0..silent).for_each(|machine| yard.tell(machine, Input::Leave));
    until(yard, "the news that machines are offline", |tally| tally.offline(silent) == silent).await?;
    let seen_s = began.elapsed().as_secs_f64();
    yard.town.board.note(|tally| tally.begin_wave(silent));
    yard.town.pay_later();
    let return_of = Return::begins(yard);
    (0..silent).for_each(|machine| yard.tell(machine, Input::Return));
    let back = return_of.completed(yard, silent).await?;
    Ok(Silence { machines: silent, busy, seen_s, back })
}

/// The brokers are away for a while. Some machines have a customer, and half of these pay meanwhile.
pub async fn restart(yard: &mut Yard, down: Duration) -> Result<Back, PhaseError> {
    let (all, busy) = (yard.machines.len(), busy(yard.machines.len()));
    for machine in 0..busy * 2 {
        // Not those that were silent before.
        yard.sell(all - 1 - machine % all, if machine % 2 == 0 { Customer::PaysLater } else { Customer::Browses });
    }
    until(yard, "the QRs", |tally| tally.asking == 0).await?;
    for broker in &mut yard.brokers {
        broker.stop().await.map_err(YardError::from)?;
    }
    yard.town.board.note(|tally| tally.begin_wave(all));
    yard.town.pay_later();
    tokio::time::sleep(down).await;
    let return_of = Return::begins(yard);
    for broker in &mut yard.brokers {
        broker.resume().await.map_err(YardError::from)?;
    }
    return_of.completed(yard, all).await
}

/// Nobody waits for anything any more: what is not paid is cancelled.
pub async fn clear_up(yard: &Yard) -> Result<(), PhaseError> {
    (0..yard.machines.len()).for_each(|machine| yard.tell(machine, Input::CancelUnpaid));
    until(yard, "the end of all orders", |tally| {
        is_settled(tally) && tally.orders.values().all(|sale| sale.ended || sale.reported.is_some())
    })
    .await
}

/// The time in which machines come back.
struct Return {
    began: Instant,
    at: Wall,
    unanswered: u64,
}

impl Return {
    fn begins(yard: &Yard) -> Self {
        let at = yard.town.midtrans.with(|_, now| now);
        Self { began: Instant::now(), at, unanswered: yard.town.board.lock().unanswered }
    }

    /// They are back: each has asked for its open orders and was answered, its status was seen, and each paid order has its end.
    async fn completed(self, yard: &Yard, machines: usize) -> Result<Back, PhaseError> {
        let board = &yard.town.board;
        until(yard, "all machines", |tally| tally.answered == machines).await?;
        let answered_s = self.began.elapsed().as_secs_f64();
        until(yard, "every status", |tally| tally.online == machines).await?;
        let seen_s = self.began.elapsed().as_secs_f64();
        until(yard, "all receipts", is_settled).await?;
        let settled_s = self.began.elapsed().as_secs_f64();
        let calls = yard.town.midtrans.with(|midtrans, _| midtrans.requests());
        let calls = calls.iter().filter(|call| ["charge", "status"].contains(&call.call));
        let calls = calls.map(|call| (call.at_ms, call.call, call.order_id.as_str()));
        let tally = board.lock();
        let is_unpaid = |id: &str| tally.orders.iter().any(|(known, sale)| known.as_str() == id && sale.paid.is_none());
        let get_status = StatusCalls::since(self.at.0, calls, is_unpaid);
        let open = tally.orders.values().filter(|sale| !sale.ended && sale.reported.is_none()).count();
        Ok(Back {
            machines,
            answered_s,
            seen_s,
            settled_s,
            open,
            get_status,
            unanswered: tally.unanswered - self.unanswered,
            backends: yard.backends(),
        })
    }
}

fn is_settled(tally: &Tally) -> bool {
    tally.asking == 0 && tally.unsettled == 0
}

fn busy(machines: usize) -> usize {
    (machines / BUSY_PART).clamp(1, BUSY_MAX)
}

async fn until(yard: &Yard, what: &'static str, is_so: impl Fn(&Tally) -> bool) -> Result<(), PhaseError> {
    let board = &yard.town.board;
    if board.until(PATIENCE, is_so).await {
        return Ok(());
    }
    let tally = board.lock();
    let Tally { answered, online, asking, unsettled, unanswered, why_unanswered, .. } = &*tally;
    let offline = tally.offline(yard.machines.len());
    Err(PhaseError::InVain {
        what,
        tally: format!(
            "{answered} machines answered, {online} seen, {offline} offline, {asking} requests without an order, {unsettled} paid orders \
             without an end, {unanswered} questions without an answer (the last: {why_unanswered})"
        ),
        wrong: tally.wrong.iter().cloned().chain(without_end(yard, &tally)).map(|what| format!("\n{what}")).collect(),
    })
}

/// Each paid order that has no end, and what the books say of it.
fn without_end(yard: &Yard, tally: &Tally) -> Vec<String> {
    let open = tally.orders.iter().filter(|(_, sale)| sale.paid.is_some() && sale.reported.is_none());
    let tell = |(id, sale): (&OrderId, &Sale)| {
        let books = yard.command(&["orders", id.as_str()]);
        let books = books.map_or_else(|error| error.to_string(), |text| String::from_utf8_lossy(&text).into_owned());
        format!("{id}: its machine has {} receipt\n{books}", if sale.receipt.is_some() { "a" } else { "no" })
    };
    open.map(tell).collect()
}

/// A step that comes to every number below `all` once.
fn coprime(all: usize) -> usize {
    let divides = |a: usize, b: usize| (2..=a).any(|part| a.is_multiple_of(part) && b.is_multiple_of(part));
    [7919, 97, 13, 7, 5, 3, 2].into_iter().find(|step| *step < all && !divides(*step, all)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sales_go_round_all_machines() {
        for all in [1, 2, 3, 10, 97, 200, 7919, 10_000] {
            let seen: std::collections::HashSet<_> = (0..all).map(|turn| turn * coprime(all) % all).collect();
            assert_eq!(seen.len(), all, "{all}");
        }
    }
}
