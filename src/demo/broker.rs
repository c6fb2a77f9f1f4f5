//! The embedded MQTT 5 broker: rumqttd as a process of its own. It is good only for the demo: it keeps sessions
//! and retained messages in memory, and has one password for all users.

use qris_host::secret::{Secret, SecretError};
use qris_host::{Failure, exit, parse, service};
use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};
use std::collections::HashMap;
use std::ffi::OsString;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

/// The largest message that is passed on, in bytes. The contract's payloads are at most 8 KiB.
const MESSAGE_MAX: usize = 64 * 1024;
/// Messages in flight to one client.
const IN_FLIGHT_MAX: usize = 100;
/// Clients at once.
const CLIENTS_MAX: usize = 100;
/// A connection that does not say CONNECT in this time is closed.
const CONNECT_WAIT_MS: u16 = 5_000;
/// The broker's library does not say when it listens. So its port is tried this often.
const PORT_EVERY: Duration = Duration::from_millis(5);

/// The arguments of `qris-demo broker`.
#[derive(clap::Parser, Debug)]
#[command(name = "broker", about = "The demo's embedded MQTT 5 broker")]
struct Arguments {
    /// Where to listen: on loopback only, since there is no TLS.
    #[arg(long)]
    listen: SocketAddr,
    /// The password of every user.
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
}

/// Why the broker does not run.
#[derive(Debug, thiserror::Error)]
enum BrokerError {
    #[error("{0} is not a loopback address, and this broker has no TLS")]
    NotLoopback(SocketAddr),
    #[error(transparent)]
    Password(#[from] SecretError),
    #[error("the broker's library failed: {0}")]
    Library(String),
    #[error("the broker cannot listen on {0}, or ended by itself")]
    Ended(SocketAddr),
    #[error("the asynchronous runtime cannot be made")]
    Runtime(#[source] std::io::Error),
}

/// Runs the broker until SIGTERM or SIGINT.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match parse::<Arguments>(<Arguments as clap::CommandFactory>::command(), arguments) {
        Ok(arguments) => exit("broker", serve(arguments.listen, &arguments.password_file)),
        Err(status) => status,
    }
}

fn serve(listen: SocketAddr, password_file: &Path) -> Result<(), Failure> {
    if !listen.ip().is_loopback() {
        return Err(Failure::usage(BrokerError::NotLoopback(listen)));
    }
    let password = Secret::read(password_file).map_err(|error| Failure::usage(BrokerError::Password(error)))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed(BrokerError::Runtime(error)))?;
    runtime.block_on(async {
        let terminated = service::terminated();
        let (tell_end, ended) = mpsc::channel();
        let mut broker = Broker::new(configuration(listen, password));
        // Its `start` returns only when its servers have ended.
        std::thread::spawn(move || tell_end.send(broker.start().map_err(|error| error.to_string())));
        listening(listen, &ended).await.map_err(Failure::failed)?;
        service::ready();
        terminated.await;
        service::stopping();
        Ok(())
    })
}

async fn listening(listen: SocketAddr, ended: &mpsc::Receiver<Result<(), String>>) -> Result<(), BrokerError> {
    loop {
        match ended.try_recv() {
            Ok(Err(error)) => return Err(BrokerError::Library(error)),
            Ok(Ok(())) | Err(mpsc::TryRecvError::Disconnected) => return Err(BrokerError::Ended(listen)),
            Err(mpsc::TryRecvError::Empty) if TcpStream::connect(listen).is_ok() => return Ok(()),
            Err(mpsc::TryRecvError::Empty) => tokio::time::sleep(PORT_EVERY).await,
        }
    }
}

fn configuration(listen: SocketAddr, password: Secret) -> Config {
    let mut connections = ConnectionSettings {
        connection_timeout_ms: CONNECT_WAIT_MS,
        max_payload_size: MESSAGE_MAX,
        max_inflight_count: IN_FLIGHT_MAX,
        auth: None,
        external_auth: None,
        dynamic_filters: true,
    };
    connections.set_auth_handler(move |_client, _user, given: String| {
        let is_right = given == password.expose();
        async move { is_right }
    });
    let server = ServerSettings { name: "v5".into(), listen, tls: None, next_connection_delay_ms: 1, connections };
    let router = RouterConfig {
        max_connections: CLIENTS_MAX,
        max_outgoing_packet_count: 200,
        max_segment_size: 1024 * 1024,
        max_segment_count: 10,
        ..RouterConfig::default()
    };
    Config { id: 0, router, v5: Some(HashMap::from([("v5".into(), server)])), ..Config::default() }
}
