//! What is started for the machines: Midtrans, a database, brokers, backends, and the machines themselves.

use super::FleetArguments;
use super::board::Board;
use super::brokers::{self, FLEET};
use super::computer::Taken;
use super::machine::{Customer, Input, Machine};
use super::observer;
use super::postgres::Postgres;
use super::town::Town;
use qris_backend::config::Config;
use qris_backend::machines::{devices, token};
use qris_backend::sale::books::BooksError;
use qris_core::order::ids::{DeviceId, KeyId};
use qris_core::order::keys::{KeyError, KeySet};
use qris_core::order::time::BootId;
use qris_demo::broker::{Broker, BrokerError};
use qris_demo::chronicle::Chronicle;
use qris_demo::directory::Directory;
use qris_demo::foreign::ForeignError;
use qris_demo::ports::Lot;
use qris_demo::process::{self, Process, ProcessError, Program};
use qris_demo::shop::{BrokerAccess, MerchantFiles, SetUpError, database, random_name};
use qris_device::backend::{Backend, BackendError};
use qris_host::clock;
use qris_host::config::{Faults, MqttSettings};
use qris_host::http::{HttpError, Limits, client};
use qris_host::mqtt::Mqtt;
use qris_host::secret::Secret;
use qris_host::tls::{LastTrusted, TlsError};
use qris_sim::midtrans::Options;
use qris_sim::midtrans_http::Simulator;
use reqwest::header::HeaderValue;
use serde::Serialize;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// The merchant's key at the simulated Midtrans. It guards nothing.
const SERVER_KEY: &str = "SB-Mid-server-fleet";
/// The longest question of a machine: a long poll.
const ASK_WAIT: Duration = Duration::from_secs(35);
/// Connections to a backend that are kept, as by a web server in front.
const KEPT: usize = 256;
/// Machines that are let in in one transaction.
const LET_IN: usize = 1_000;

/// The machines, as the backend knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Presence {
    /// As far as it knows, they are there.
    pub there: u64,
    /// People were told that they are missing.
    pub missing: u64,
}

/// Why nothing runs.
#[derive(Debug, thiserror::Error)]
pub enum YardError {
    /// The files or the ports.
    #[error(transparent)]
    SetUp(#[from] SetUpError),
    /// A program of ours.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Another program.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    /// A broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The simulated Midtrans.
    #[error("the simulated Midtrans cannot listen")]
    Midtrans(#[source] io::Error),
    /// A backend's own configuration.
    #[error("{0}")]
    Config(Faults),
    /// The database.
    #[error("the machines cannot be let in")]
    Books(#[from] BooksError),
    /// A machine's way to its backend.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The HTTP client.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A machine's way to its broker.
    #[error("the connection to the broker cannot be made")]
    Link(#[from] TlsError),
    /// What the backend says of its keys.
    #[error("the backend's keys cannot be read")]
    Keys(#[from] KeyError),
    /// What the backend says.
    #[error("the backend's words cannot be read: {0}")]
    Words(String),
}

/// Everything that runs. The parts end in the order of the fields.
pub struct Yard {
    /// What the machines share.
    pub town: Arc<Town>,
    /// The way to each machine.
    pub machines: Vec<mpsc::UnboundedSender<Input>>,
    /// The first is where the backends are.
    pub brokers: Vec<Broker>,
    backends: Vec<Process>,
    urls: Vec<String>,
    _observer: Mqtt,
    /// Its own, if it has one.
    postgres: Option<Postgres>,
    directory: Directory,
    _lot: Lot<5>,
}

impl Yard {
    /// Starts everything but the machines.
    ///
    /// # Errors
    /// The first part that does not work. All that was started ends.
    pub async fn open(arguments: &FleetArguments) -> Result<(Self, Vec<Machine>), YardError> {
        let directory = Directory::create(&std::env::temp_dir(), false)?;
        let root = directory.path.clone();
        // PostgreSQL runs as a user of its own, whose directory is in this one. All files are closed to it.
        let open = std::fs::set_permissions(&root, PermissionsExt::from_mode(0o711));
        open.map_err(SetUpError::at(&root))?;
        let lot = Lot::take()?;
        let [first, second, database_port, one, other] = lot.ports;
        let broker_ports = &[first, second][..arguments.brokers];
        let backend_ports = &[one, other][..arguments.backends];

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(YardError::Midtrans)?;
        let midtrans = Simulator::start(listener, Options::new(SERVER_KEY, "")).map_err(YardError::Midtrans)?;
        let on = |url: &str| format!("url = \"{url}\"\n");
        let (store, postgres) = match &arguments.database {
            Some(url) => (on(url), None),
            None if arguments.backends == 1 => (database(&root), None),
            None => {
                let postgres = Postgres::start(&root, database_port).await?;
                (on(&postgres.url), Some(postgres))
            }
        };
        let password = random_name();
        for (number, port) in backend_ports.iter().enumerate() {
            let merchant = MerchantFiles {
                root: &root,
                port: *port,
                public: true,
                http: "orders_per_minute = 0\n",
                midtrans: &midtrans.url(),
                server_key: SERVER_KEY,
                more: "[alerts]\ncommand = [\"/bin/true\"]",
                store: Some(&store),
                broker: Some(BrokerAccess { port: first, password: &password, tls: None }),
            };
            merchant.write(&config_name(number))?;
        }
        let first_config = root.join(config_name(0));
        process::backend(&first_config, &["keys", "new"])?;
        let public = process::backend(&first_config, &["keys", "public"])?;
        let (keys, kid) = keys(&String::from_utf8_lossy(&public))?;
        let names: Vec<String> = (0..arguments.machines).map(|number| format!("vm-{number:05}")).collect();
        let tokens: Vec<String> = names.iter().map(|_| random_name()).collect();
        let mut backends = Vec::new();
        let brokers = brokers::start(&root, broker_ports, &names, &password).await?;
        let chronicle = Arc::new(Chronicle::new());
        for number in 0..arguments.backends {
            let program = Program::backend(&root.join(config_name(number)), &["serve"]);
            backends.push(Process::start(&program, &root, &chronicle).await?);
            if number == 0 {
                let_in(&first_config, &names, &tokens).await?;
            }
        }
        let urls: Vec<String> = backend_ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
        let questions = urls.iter().map(|url| {
            // Each machine's own token takes the place of this one.
            let settings = qris_device::config::Backend { url: url.clone(), token: Secret::new("none"), ca_file: None };
            Backend::new(&settings, &BootId("fleet".into()), &LastTrusted::default())
        });
        let town = Arc::new(Town {
            board: Board::new(arguments.machines),
            keys,
            kid,
            backends: questions.collect::<Result<_, _>>()?,
            http: client(None, Limits { total: ASK_WAIT, read: ASK_WAIT, idle_connections: KEPT })?,
            midtrans,
            later: Mutex::default(),
        });
        let at = |user: &str, port| MqttSettings {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port,
            tls: false,
            username: Some(user.into()),
            password: Some(Secret::new(&*password)),
            ca_file: None,
            cert_file: None,
            key_file: None,
        };
        let observer = observer::start(&town, at(FLEET, first))?;
        let machines = names.iter().zip(&tokens).enumerate().map(|(number, (name, token))| {
            let device = DeviceId::new(name).expect("a well-formed name");
            let broker = at(name, broker_ports[number % broker_ports.len()]);
            let link = qris_device::broker::link(&device, &Secret::new(token.as_str()), &broker, &LastTrusted::default())?;
            let token = HeaderValue::from_str(&format!("Bearer {token}")).expect("hexadecimal digits");
            Ok(Machine { number, device, token, link, town: Arc::clone(&town) })
        });
        let machines = machines.collect::<Result<_, TlsError>>()?;
        let yard = Self { town, machines: Vec::new(), brokers, backends, urls, _observer: observer, postgres, directory, _lot: lot };
        Ok((yard, machines))
    }

    /// Turns all machines on, in one moment.
    pub fn turn_on(&mut self, machines: Vec<Machine>) {
        for machine in machines {
            let (inbox, inputs) = mpsc::unbounded_channel();
            tokio::spawn(machine.run(inputs, inbox.downgrade()));
            self.machines.push(inbox);
        }
    }

    /// A customer comes to a machine.
    pub fn sell(&self, machine: usize, customer: Customer) {
        // It counts from here on: the machine has not read it yet.
        self.town.board.note(|tally| tally.asking += 1);
        self.tell(machine, Input::Sell(customer));
    }

    /// Something happens to a machine.
    pub fn tell(&self, machine: usize, input: Input) {
        // It ends only when all ends.
        let _ = self.machines[machine].send(input);
    }

    /// What the backends take.
    #[must_use]
    pub fn backends(&self) -> Taken {
        Taken::by(self.backends.iter().map(Process::id))
    }

    /// What a PostgreSQL of its own takes.
    #[must_use]
    pub fn postgres(&self) -> Option<Taken> {
        self.postgres.as_ref().map(Postgres::taken)
    }

    /// What the brokers take.
    #[must_use]
    pub fn brokers(&self) -> Taken {
        Taken::by(self.brokers.iter().filter_map(Broker::id))
    }

    /// A command of `qris-backend`, as an operator types it.
    ///
    /// # Errors
    /// It fails.
    pub fn command(&self, command: &[&str]) -> Result<Vec<u8>, YardError> {
        Ok(process::backend(&self.directory.path.join(config_name(0)), command)?)
    }

    /// The machines that the first backend knows to be there, and to be missing.
    ///
    /// # Errors
    /// It does not tell.
    pub async fn presence(&self) -> Result<Presence, YardError> {
        let words = |error: reqwest::Error| YardError::Words(error.to_string());
        let answer = self.town.http.get(format!("{}/metrics", self.urls[0])).send().await.map_err(words)?;
        let text = answer.text().await.map_err(words)?;
        let count = |state: &str| {
            let name = format!("qris_backend_machines{{state=\"{state}\"}} ");
            let count = text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok());
            count.ok_or_else(|| YardError::Words(format!("/metrics does not say how many machines are {state}")))
        };
        Ok(Presence { there: count("there")?, missing: count("missing")? })
    }

    /// Ends everything.
    ///
    /// # Errors
    /// A broker does not end.
    pub async fn close(mut self) -> Result<(), YardError> {
        self.machines.clear();
        for backend in self.backends.drain(..) {
            backend.stop().await;
        }
        for broker in &mut self.brokers {
            broker.stop().await?;
        }
        Ok(())
    }
}

fn config_name(number: usize) -> String {
    format!("backend-{number}.toml")
}

/// What `qris-backend device add` does for one machine, for all of them.
async fn let_in(config: &Path, names: &[String], tokens: &[String]) -> Result<(), YardError> {
    let (config, _) = Config::read(config).map_err(YardError::Config)?;
    let store = config.store.machines(true).map_err(BooksError::from)?;
    let all: Vec<_> = names.iter().zip(tokens).map(|(name, token)| (name.clone(), token::hash(token))).collect();
    for some in all.chunks(LET_IN) {
        let (some, now) = (some.to_vec(), clock::now().wall);
        let add = move |tx: &mut dyn qris_backend::store::Tx| {
            some.iter().try_for_each(|(name, hash)| {
                let device = DeviceId::new(name).expect("a well-formed name");
                devices::add(tx, &device, hash, false, now).map(drop)
            })
        };
        store.run(add).await?;
    }
    Ok(())
}

fn keys(public: &str) -> Result<(KeySet, KeyId), YardError> {
    let set: serde_json::Value = serde_json::from_str(public).map_err(|error| YardError::Words(error.to_string()))?;
    let kid = set["keys"][0]["kid"].as_str().and_then(|kid| KeyId::new(kid).ok());
    let kid = kid.ok_or_else(|| YardError::Words("no key has a name".into()))?;
    Ok((KeySet::from_jwks(public)?, kid))
}
