//! `qris-demo midtrans`: the simulated Midtrans as a program.

use super::Simulator;
use crate::midtrans::Options;
use qris_core::order::time::Span;
use qris_host::{self, Failure, service};
use ring::rand::{SecureRandom as _, SystemRandom};
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::net::TcpListener;

/// A simulated Midtrans to pay on, without an account and without money.
#[derive(clap::Parser)]
#[command(name = "midtrans", bin_name = "qris-demo midtrans")]
struct Arguments {
    /// Where it listens; port 0 takes a free one. The first line on standard output tells which.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The Server Key that it accepts. It protects nothing here, so an argument is good enough.
    #[arg(long, value_name = "KEY", required_unless_present = "server_key_file")]
    server_key: Option<String>,
    /// A file with the Server Key.
    #[arg(long, value_name = "FILE", conflicts_with = "server_key")]
    server_key_file: Option<PathBuf>,
    /// Where notifications go when the charge names no other address: the dashboard's setting. May be given several times.
    #[arg(long, value_name = "URL")]
    notification_url: Vec<String>,
    /// Seconds between the runs of the batch that expires transactions whose time is over.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    batch_s: u32,
}

#[must_use]
pub fn definition() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs only the simulated Midtrans, until SIGTERM or SIGINT. `definition` has its examples, too. The first argument is the name
/// of the program.
pub fn main(definition: clap::Command, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match qris_host::parse::<Arguments>(definition, arguments) {
        Ok(arguments) => qris_host::exit("qris-demo midtrans", run(&arguments)),
        Err(status) => status,
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let server_key = arguments.server_key()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(Failure::failed)?;
    runtime.block_on(async {
        let stopped = service::terminated();
        let listener = TcpListener::bind(arguments.listen)
            .await
            .map_err(|error| Failure::failed(format!("cannot listen on {}: {error}", arguments.listen)))?;
        // Each start draws new ids: a merchant's books outlive a simulator, and hold each transaction_id once.
        let mut seed = [0; 8];
        SystemRandom::new().fill(&mut seed).map_err(|_| Failure::failed("the system has no random numbers"))?;
        let options = Options {
            seed: u64::from_le_bytes(seed),
            batch_every: Span::secs(arguments.batch_s.into()),
            notification_urls: arguments.notification_url.clone(),
            ..Options::new(&server_key, "")
        };
        let simulator = Simulator::start(listener, options).map_err(Failure::failed)?;
        // Nobody needs to read it: a closed standard output ends nothing.
        let _ = writeln!(io::stdout(), "listening on {} (page: {}/sim)", simulator.url(), simulator.url());
        service::ready();
        stopped.await;
        Ok(())
    })
}

impl Arguments {
    fn server_key(&self) -> Result<String, Failure> {
        let Some(path) = &self.server_key_file else { return Ok(self.server_key.clone().unwrap_or_default()) };
        let text = std::fs::read_to_string(path).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
        Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
    }
}
