//! `qris-tools fleet`: hundreds of machines at a real Mosquitto and real backends. It answers one question: is any receipt lost or
//! doubled?

mod audit;
mod machine;
mod start;

use audit::Records;
use clap::builder::RangedU64ValueParser;
use machine::Machine;
use qris_host::{Failure, clock, descriptors, exit, parse, service};
use start::Fleet;
use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What has not come by then is lost.
const PATIENCE: Duration = Duration::from_secs(180);
const SOON: Duration = Duration::from_millis(1);

/// Nobody tells one error from another: each ends the run.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Plays many machines against a real Mosquitto and real backends, with a simulated Midtrans. All get their power at once, sell at
/// an even pace, lose their network, and lose their broker. Then each payment must have one receipt, and the backend's books must
/// agree with what the machines were given. Ends with 0 if so, 1 if not, 2 for wrong use. It needs Mosquitto.
#[derive(clap::Parser, Debug)]
#[command(name = "fleet", bin_name = "qris-tools fleet")]
struct FleetArguments {
    /// So many machines.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = RangedU64ValueParser::<usize>::new().range(20..=4_000))]
    machines: usize,
    /// They sell for so many seconds, each machine once in ten.
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = RangedU64ValueParser::<usize>::new().range(1..=600))]
    seconds: usize,
    /// A quarter has no network for so many seconds, and later the broker is away for as long.
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=120))]
    away: u64,
    /// So many backends.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = RangedU64ValueParser::<usize>::new().range(1..=4), requires = "database")]
    backends: usize,
    /// An empty database of PostgreSQL, which several backends need. Without it there is one backend with SQLite.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

pub(super) fn definition() -> clap::Command {
    <FleetArguments as clap::CommandFactory>::command()
}

pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match parse::<FleetArguments>(super::definition_of("fleet"), arguments) {
        Ok(arguments) => exit("qris-tools fleet", run(&arguments)),
        Err(status) => status,
    }
}

fn run(arguments: &FleetArguments) -> std::result::Result<(), Failure> {
    // Each machine has a connection to the broker, and up to three to its backend.
    descriptors::allow(arguments.machines as u64 * 4 + 500).map_err(Failure::failed)?;
    qris_host::tls::install_provider();
    // The programs are started by this thread, which lives until the end: they die with it.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(Failure::failed)?;
    runtime.block_on(async {
        tokio::select! {
            played = play(arguments) => played.map_err(Failure::failed),
            signal = service::terminated() => Err(Failure::failed(format!("ended by {signal} before it was over"))),
        }
    })
}

async fn play(arguments: &FleetArguments) -> Result<()> {
    let first_day = clock::now().wall;
    let mut fleet = Fleet::start(arguments).await?;
    let played = fleet.phases(arguments).await;
    let report = fleet.report(first_day, clock::now().wall)?;
    let (transactions, calls) = fleet.town.midtrans.with(|midtrans, _| (midtrans.transactions(), midtrans.requests()));
    let (summary, mut wrong) = audit::compare(&audit::paid(&transactions), &fleet.town.records(), &report);
    println!("{summary}");
    wrong.extend(audit::asked_too_soon(&calls, &fleet.town.records()));
    wrong.extend(played.err().map(|error| error.to_string()));
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

impl Fleet {
    async fn phases(&mut self, arguments: &FleetArguments) -> Result<()> {
        let (all, away) = (self.machines.len(), Duration::from_secs(arguments.away));
        println!("all machines get their power");
        self.town.records().away.extend(0..all);
        self.come_back(all).await?;

        println!("they sell at an even pace");
        let machines = self.machines.iter().cycle().take(all * arguments.seconds / 10);
        customers(machines, Duration::from_secs(10) / all as u32, true).await;
        self.until("the outcomes of all sales", Records::is_settled).await?;
        let mut took = std::mem::take(&mut self.town.records().took);
        took.sort_unstable();
        let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or_default();
        println!("  notification → receipt: p50 {:.1?}, p99 {:.1?}, of {} by the broker", at(50), at(99), took.len());

        println!("a quarter loses its network. The customers there pay, and half of them leave");
        let silent = &self.machines[..all / 4];
        let orders = customers(silent.iter().step_by(19), SOON, false).await;
        silent.iter().for_each(|machine| machine.set_network(false));
        orders.iter().step_by(2).for_each(|id| self.town.records().sale(id).has_left = true);
        orders.iter().for_each(|id| self.town.pay(id));
        tokio::time::sleep(away).await;
        self.town.records().away.extend(0..all / 4);
        self.come_back(all / 4).await?;

        println!("the broker goes, and half of the customers pay");
        let orders = customers(self.machines.iter().step_by(9), SOON, false).await;
        self.broker.stop().await?;
        orders.iter().step_by(2).for_each(|id| self.town.pay(id));
        tokio::time::sleep(away).await;
        // Some machines are back before the broker's start is seen.
        self.town.records().away.extend(0..all);
        self.broker.resume().await?;
        self.come_back(all).await
    }

    /// The first so many machines come back. Waits until each has heard its open orders, and each paid order has its outcome in the books.
    async fn come_back(&self, count: usize) -> Result<()> {
        let began = Instant::now();
        self.machines[..count].iter().for_each(|machine| machine.set_network(true));
        self.until("machines that are away", |records| records.away.is_empty()).await?;
        let back = began.elapsed();
        self.until("the outcomes of paid orders", Records::is_settled).await?;
        println!("  {count} are back after {back:.1?}, and all is settled after {:.1?}", began.elapsed());
        Ok(())
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Records) -> bool) -> Result<()> {
        let began = Instant::now();
        while !is_so(&self.town.records()) {
            if began.elapsed() > PATIENCE {
                return Err(format!("waited {} s in vain for {what}", PATIENCE.as_secs()).into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

/// A customer comes to each of these machines. The answer is their orders.
async fn customers(machines: impl Iterator<Item = &Arc<Machine>>, pace: Duration, pay_at_once: bool) -> Vec<String> {
    let (mut due, mut customers) = (tokio::time::interval(pace), JoinSet::new());
    for machine in machines {
        due.tick().await;
        customers.spawn(Arc::clone(machine).serve(pay_at_once));
    }
    customers.join_all().await.into_iter().flatten().collect()
}
