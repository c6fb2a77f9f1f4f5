//! `qris-tools fleet`: thousands of machines at a real Mosquitto and real backends: what they cost, and how they come back. The money
//! of all of them is compared with the backend's books at the end.

mod audit;
mod board;
mod brokers;
mod computer;
mod figures;
mod machine;
mod observer;
mod phases;
mod postgres;
mod status_calls;
mod stock;
mod town;
mod yard;

use clap::builder::RangedU64ValueParser;
use figures::Figures;
use qris_host::{Failure, clock, descriptors, exit, parse, service};
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use yard::Yard;

/// Descriptors beside one for each machine: the database, programs, calls.
const DESCRIPTORS_BESIDE: u64 = 2_000;

/// Plays many machines against a real Mosquitto and real backends, with a simulated Midtrans. All get their power at once, sell at
/// an even pace, lose their network, and lose their broker. It tells what that costs, and compares the money with the backend's
/// books. Ends with 0 if the books agree and every machine came back, 1 if not, 2 for wrong use. It needs Mosquitto, and for several
/// backends PostgreSQL.
#[derive(clap::Parser, Debug)]
#[command(name = "fleet", bin_name = "qris-tools fleet")]
struct FleetArguments {
    /// So many machines.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = RangedU64ValueParser::<usize>::new().range(4..=20_000))]
    machines: usize,
    /// Sales a second.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rate: u32,
    /// They sell for so many seconds.
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Nothing happens for so many seconds, while the programs are looked at.
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    idle: u64,
    /// The broker is away for so many seconds.
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    down: u64,
    /// One backend with SQLite, or several with PostgreSQL.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = RangedU64ValueParser::<usize>::new().range(1..=4))]
    backends: usize,
    /// Of two brokers the second has a bridge to the first, where the backends are. Each has half of the machines.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = RangedU64ValueParser::<usize>::new().range(1..=2))]
    brokers: usize,
    /// A database of PostgreSQL to use, which must be empty. By default it starts one of its own where it needs one.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Tell the figures as JSON.
    #[arg(long)]
    json: bool,
}

/// Its arguments.
pub(super) fn definition() -> clap::Command {
    <FleetArguments as clap::CommandFactory>::command()
}

/// Runs the command: arguments, phases, figures, exit status.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match parse::<FleetArguments>(super::definition_of("fleet"), arguments) {
        Ok(arguments) => exit("qris-tools fleet", run(&arguments)),
        Err(status) => status,
    }
}

fn run(arguments: &FleetArguments) -> Result<(), Failure> {
    let needed = arguments.machines as u64 + DESCRIPTORS_BESIDE;
    let allowed = descriptors::allow(needed).map_err(Failure::failed)?;
    if allowed < needed {
        return Err(Failure::usage(format!(
            "--machines {}: needs {needed} file descriptors, and {allowed} are allowed (ulimit -Hn)",
            arguments.machines
        )));
    }
    qris_host::tls::install_provider();
    // The programs are started by this thread, which lives until the end: they die with it.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(Failure::failed)?;
    runtime.block_on(async {
        tokio::select! {
            figures = play(arguments) => tell(arguments, &figures?),
            signal = service::terminated() => Err(Failure::failed(format!("ended by {signal} before it was over"))),
        }
    })
}

async fn play(arguments: &FleetArguments) -> Result<Figures, Failure> {
    let (began, first_day) = (Instant::now(), clock::now().wall.to_wib());
    // The figures are on standard output.
    let says = |what: &str| eprintln!("{:>6.1} s  {what}", began.elapsed().as_secs_f64());
    says("starts the brokers, the database and the backends");
    let (mut yard, machines) = Yard::open(arguments).await.map_err(Failure::failed)?;
    says("all machines get their power");
    let connect = phases::connect(&mut yard, machines).await.map_err(Failure::failed)?;
    says("nothing happens");
    let idle = phases::idle(&yard, Duration::from_secs(arguments.idle)).await;
    says("they sell");
    let sell = phases::sell(&yard, arguments.rate, Duration::from_secs(arguments.seconds)).await.map_err(Failure::failed)?;
    says("a part loses its network");
    let silence = phases::silence(&yard).await.map_err(Failure::failed)?;
    says("the broker goes, and comes back");
    let restart = phases::restart(&mut yard, Duration::from_secs(arguments.down)).await.map_err(Failure::failed)?;
    says("the books are compared");
    phases::clear_up(&yard).await.map_err(Failure::failed)?;
    let presence = yard.presence().await.map_err(Failure::failed)?;
    let last_day = clock::now().wall.to_wib();
    let mut audit = audit::audit(&yard, [&first_day[..10], &last_day[..10]]).map_err(Failure::failed)?;
    audit.wrong.extend(stock::wrong(&yard).await.map_err(Failure::failed)?);
    yard.close().await.map_err(Failure::failed)?;
    let is_sqlite = arguments.database.is_none() && arguments.backends == 1;
    Ok(Figures {
        machines: arguments.machines,
        backends: arguments.backends,
        brokers: arguments.brokers,
        database: if is_sqlite { "sqlite" } else { "postgresql" },
        connect,
        idle,
        sell,
        silence,
        restart,
        presence,
        audit,
    })
}

fn tell(arguments: &FleetArguments, figures: &Figures) -> Result<(), Failure> {
    if arguments.json {
        println!("{}", serde_json::to_string(figures).map_err(Failure::failed)?);
    } else {
        print!("{}", figures.table());
        figures.misses().iter().for_each(|miss| println!("\nmisses its aim: {miss}"));
    }
    match figures.wrong()[..] {
        [] => Ok(()),
        ref wrong => Err(Failure::failed(wrong.join("\n"))),
    }
}
