//! The broker inside the demo, as a process of its own: a visitor needs no Mosquitto. Its rights are those that shops get. It judges what
//! somebody asks to hear. It does not judge each message after that, as Mosquitto does.

use super::broker::{Accounts, Broker, BrokerError};
use super::captions;
use super::chronicle::{Chronicle, EntryKind, Who};
use super::controller;
use super::layout::Files;
use super::process::{Process, ProcessError, Program};
use super::shop::{BACKEND, DEVICE, SetUpError, write};
use mqtt5::broker::MqttBroker;
use mqtt5::broker::auth::PasswordAuthProvider;
use mqtt5::broker::config::{AuthConfig, AuthMethod, BrokerConfig, RateLimitConfig, StorageBackend, StorageConfig};
use mqtt5::error::MqttError;
use qris_host::{Failure, exit, parse, service};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Our own user at the broker.
pub const OURSELVES: &str = "qris-demo";
/// Its name among the programs of the demo.
pub const NAME: &str = "broker";
const ACCESS: &str = include_str!("broker.acl");
/// The largest message, in bytes: `max_packet_size` of the shipped configuration.
const PACKET_MAX: usize = 327_680;
/// So many messages may wait for one client: `max_queued_messages`.
const WAITING_MAX: usize = 1000;
/// A session without its client ends after this time at the latest: `persistent_client_expiration`.
const SESSION_MAX: Duration = Duration::from_secs(3600);

/// The broker of `qris-demo`, in memory alone.
#[derive(clap::Parser, Debug)]
#[command(name = "broker", bin_name = "qris-demo broker")]
struct Arguments {
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// The directory with its users and its access list.
    #[arg(long, value_name = "DIRECTORY")]
    accounts: PathBuf,
}

/// Runs it, until SIGTERM or SIGINT. The first argument is the name of the program.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match parse::<Arguments>(<Arguments as clap::CommandFactory>::command(), arguments) {
        Ok(arguments) => exit("qris-demo broker", run(&arguments)),
        Err(status) => status,
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    runtime.block_on(async {
        let stopped = service::terminated();
        let mut broker = MqttBroker::with_config(configuration(arguments)).await.map_err(Failure::failed)?;
        // Whoever connects from here on waits in the queue of the socket until it is served.
        service::ready();
        tokio::select! {
            ended = broker.run() => ended.map_err(Failure::failed),
            _ = stopped => Ok(()),
        }
    })
}

fn configuration(Arguments { listen, accounts }: &Arguments) -> BrokerConfig {
    let auth = AuthConfig {
        allow_anonymous: false,
        password_file: Some(passwords(accounts)),
        acl_file: Some(access(accounts)),
        auth_method: AuthMethod::Password,
        // All come from one address: a wrong password of one would lock all out.
        rate_limit: RateLimitConfig { enabled: false, ..Default::default() },
        ..Default::default()
    };
    let storage = StorageConfig::new().with_backend(StorageBackend::Memory).with_max_queued_messages_per_client(WAITING_MAX);
    BrokerConfig::new()
        .with_bind_address(*listen)
        .with_auth(auth)
        .with_storage(storage)
        .with_max_packet_size(PACKET_MAX)
        .with_session_expiry(SESSION_MAX)
        .with_sys_topics_enabled(false)
}

#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    #[error(transparent)]
    SetUp(#[from] SetUpError),
    #[error("a password of the broker cannot be hashed")]
    Password(#[source] MqttError),
}

/// Writes its users and its access list into `directory`. `all` is the user that may do everything: it stands for somebody who took the
/// broker over.
pub fn write_accounts<'a>(directory: &Path, users: impl IntoIterator<Item = (&'a str, &'a str)>, all: &str) -> Result<(), AccountsError> {
    let mut lines = String::new();
    for (user, password) in users {
        let hash = PasswordAuthProvider::hash_password(password).map_err(AccountsError::Password)?;
        // Writing to a String does not fail.
        let _ = writeln!(lines, "{user}:{hash}");
    }
    write(&passwords(directory), &lines)?;
    Ok(write(&access(directory), &format!("{ACCESS}\nuser {all} topic # permission readwrite\n"))?)
}

fn passwords(directory: &Path) -> PathBuf {
    directory.join("users")
}

fn access(directory: &Path) -> PathBuf {
    directory.join("access")
}

/// The broker of a demo: this one, or the Mosquitto that is installed.
#[derive(Debug)]
pub enum RunningBroker {
    Inside(Process),
    Mosquitto(Broker),
}

#[derive(Debug, thiserror::Error)]
pub enum BrokerRunError {
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Mosquitto(#[from] BrokerError),
}

impl RunningBroker {
    /// Starts it at a port of this computer. All its users have one password.
    pub async fn start(
        files: Files<'_>,
        port: u16,
        password: &str,
        mosquitto: bool,
        chronicle: &Arc<Chronicle>,
    ) -> Result<Self, BrokerRunError> {
        let place = files.broker();
        let users = [DEVICE, controller::USER, BACKEND, OURSELVES].map(|user| (user, password));
        if mosquitto {
            let accounts = Accounts::write(&place, users, OURSELVES)?;
            let broker = Broker::start(&place, port, &accounts, "").await?;
            chronicle.note(Who::Broker, captions::ready("mosquitto"), EntryKind::Program { name: NAME, up: true });
            return Ok(Self::Mosquitto(broker));
        }
        write_accounts(&place, users, OURSELVES)?;
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string();
        let arguments = ["--listen", &listen, "--accounts", &place.display().to_string()].map(String::from).into();
        Ok(Self::Inside(Process::start(&Program { name: NAME, who: Who::Broker, arguments }, &files.run(), chronicle).await?))
    }

    /// Asks it to end. If it does not, it is killed.
    pub async fn stop(self) {
        match self {
            Self::Inside(process) => process.stop().await,
            // The drop kills it if it has not ended.
            Self::Mosquitto(mut broker) => drop(broker.stop().await),
        }
    }
}
