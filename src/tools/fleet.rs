//! `qris-tools fleet`: hundreds of machines at a real Mosquitto and real backends. It answers one question: is any receipt lost or
//! doubled?

mod audit;
mod machine;

use audit::Records;
use clap::builder::RangedU64ValueParser;
use machine::{Machine, Town};
use qris_core::order::ids::DeviceId;
use qris_core::order::keys::KeySet;
use qris_core::order::time::BootId;
use qris_demo::broker::{Accounts, Broker};
use qris_demo::chronicle::Chronicle;
use qris_demo::directory::Directory;
use qris_demo::ports::Lot;
use qris_demo::process::{self, Process, Program};
use qris_demo::shop::{BACKEND, BrokerAccess, MerchantFiles, random_name};
use qris_device::backend::Backend;
use qris_host::config::MqttSettings;
use qris_host::secret::Secret;
use qris_host::tls::LastTrusted;
use qris_host::{Failure, clock, descriptors, exit, parse, service};
use qris_sim::midtrans::Options;
use qris_sim::midtrans_http::Simulator;
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What has not come by then is lost.
const PATIENCE: Duration = Duration::from_secs(180);
const SOON: Duration = Duration::from_millis(1);
/// The merchant's key at the simulated Midtrans. It guards nothing.
const SERVER_KEY: &str = "SB-Mid-server-fleet";

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
    // The backend's own report, as an operator reads it.
    let [from, until] = [first_day, clock::now().wall].map(|day| day.to_wib()[..10].to_owned());
    let report = process::backend(&fleet.merchant, &["report", "--date", &from, "--until", &until, "--json"])?;
    let (transactions, calls) = fleet.town.midtrans.with(|midtrans, _| (midtrans.transactions(), midtrans.requests()));
    let records = fleet.town.records();
    let (summary, mut wrong) = audit::compare(&audit::paid(&transactions), &records, &serde_json::from_slice(&report)?);
    println!("{summary}");
    wrong.extend(audit::asked_too_soon(&calls, &records));
    wrong.extend(played.err().map(|error| error.to_string()));
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// The machines, and all programs that run. They end in the order of the fields.
struct Fleet {
    town: Arc<Town>,
    machines: Vec<Arc<Machine>>,
    broker: Broker,
    _backends: Vec<Process>,
    /// The configuration of the first backend.
    merchant: PathBuf,
    _directory: Directory,
    _lot: Lot<5>,
}

impl Fleet {
    /// Starts the programs. The machines have no network yet.
    async fn start(arguments: &FleetArguments) -> Result<Self> {
        let (directory, lot) = (Directory::create(&std::env::temp_dir(), false)?, Lot::<5>::take()?);
        let (root, broker_port, ports) = (&directory.path, lot.ports[0], &lot.ports[1..=arguments.backends]);
        let midtrans = Simulator::start(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?, Options::new(SERVER_KEY, ""))?;
        let (url, password) = (midtrans.url(), random_name());
        let store = arguments.database.as_ref().map(|url| format!("url = \"{url}\"\n"));
        let (http, store, more, server_key) = ("orders_per_minute = 0\n", store.as_deref(), "", SERVER_KEY);
        let broker = Some(BrokerAccess { port: broker_port, password: &password, tls: None });
        let config = |port: u16| format!("backend-{port}.toml");
        for &port in ports {
            MerchantFiles { root, port, public: true, http, midtrans: &url, server_key, more, store, broker }.write(&config(port))?;
        }
        let merchant = root.join(config(ports[0]));
        let command = |words: &[&str]| Result::Ok(String::from_utf8(process::backend(&merchant, words)?)?);
        command(&["keys", "new"])?;
        let keys = KeySet::from_jwks(&command(&["keys", "public"])?)?;
        let town = Arc::new(Town { keys, midtrans, records: Mutex::default() });
        let names: Vec<_> = (0..arguments.machines).map(|number| format!("vm-{number:04}")).collect();
        let users = names.iter().map(String::as_str).chain([BACKEND]).map(|name| (name, &*password));
        let broker = Broker::start(root, broker_port, &Accounts::write(root, users, "nobody")?, "").await?;
        let (host, password) = (Ipv4Addr::LOCALHOST.to_string(), Some(Secret::new(&*password)));
        let (port, tls, ca_file, cert_file, key_file) = (broker_port, false, None, None, None);
        let nobody = MqttSettings { host, port, tls, username: None, password, ca_file, cert_file, key_file };
        let mut machines = Vec::new();
        for (number, name) in names.into_iter().enumerate() {
            let (device, token) = (DeviceId::new(&name)?, Secret::new(command(&["device", "add", &name])?.trim()));
            let settings = MqttSettings { username: Some(name), ..nobody.clone() };
            let link = qris_device::broker::link(&device, &token, &settings, &LastTrusted::default())?;
            let url = format!("http://127.0.0.1:{}", ports[number % ports.len()]);
            let settings = qris_device::config::Backend { url, token, ca_file: None };
            let backend = Backend::new(&settings, &BootId("fleet".into()), &LastTrusted::default())?;
            machines.push(Arc::new(Machine { number, device, link, backend, town: Arc::clone(&town) }));
        }
        let mut backends = Vec::new();
        for &port in ports {
            let program = Program::backend(&root.join(config(port)), &["serve"]);
            backends.push(Process::start(&program, root, &Arc::new(Chronicle::new())).await?);
        }
        Ok(Self { town, machines, broker, _backends: backends, merchant, _directory: directory, _lot: lot })
    }

    async fn phases(&mut self, arguments: &FleetArguments) -> Result<()> {
        let (all, away) = (self.machines.len(), Duration::from_secs(arguments.away));
        println!("all machines get their power");
        self.town.records().away.extend(0..all);
        let (silent, rest) = self.machines.split_at(all / 4);
        let (connected, _connected) = (connect(silent), connect(rest));
        self.come_back(all).await?;

        println!("they sell at an even pace");
        let machines = self.machines.iter().cycle().take(all * arguments.seconds / 10);
        customers(machines, Duration::from_secs(10) / all as u32, true).await;
        self.until("the deliveries of all sales", Records::is_settled).await?;
        let mut took = std::mem::take(&mut self.town.records().took);
        took.sort_unstable();
        let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or_default();
        println!("  notification → receipt: p50 {:.1?}, p99 {:.1?}, of {}", at(50), at(99), took.len());

        println!("a quarter loses its network, and the customers there pay");
        let orders = customers(silent.iter().step_by(19), SOON, false).await;
        drop(connected);
        orders.iter().for_each(|id| self.town.pay(id));
        tokio::time::sleep(away).await;
        self.town.records().away.extend(0..silent.len());
        let _connected = connect(silent);
        self.come_back(silent.len()).await?;

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

    /// So many machines come back. Waits until each has heard its open orders, and each paid order is delivered.
    async fn come_back(&self, count: usize) -> Result<()> {
        let began = Instant::now();
        self.until("machines that are away", |records| records.away.is_empty()).await?;
        let back = began.elapsed();
        self.until("the deliveries of paid orders", Records::is_settled).await?;
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

/// The connections of these machines. They break off with the end of the answer.
fn connect(machines: &[Arc<Machine>]) -> JoinSet<()> {
    machines.iter().map(|machine| Arc::clone(machine).run()).collect()
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
