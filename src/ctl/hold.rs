//! `hold`: this machine sells nothing while something is done to it. A customer who is there is served to the end first.

use super::machine::{Bus, Service};
use super::print;
use qris_core::wire::dbus::{DEVICE_NAME, DEVICE_PATH};
use qris_host::Failure;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::process::Command;
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::time::{Instant, sleep};

/// While a customer is there, the machine is asked again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// A command may take longer than one hold. The machine is asked again when this is left.
const RENEW_BEFORE_S: u32 = 30;
/// A shell says so of a program that a signal has ended, with the signal's number.
const SIGNALLED: i32 = 128;

/// Lets this machine sell nothing, and waits until no customer is there. Then runs a command, if there is one, and lets the machine
/// sell again. The exit status is the command's, or 128 and the number of the signal that ended it. 1: the machine cannot be held, or the
/// command cannot be started. A SIGTERM or SIGHUP goes to the command, and the machine is held until that has ended. With --json: state
/// (held, held_by_another or released), who, seconds. Of a command it tells nothing, so that the output is the command's own.
#[derive(clap::Args, Debug)]
pub(super) struct Hold {
    /// Who looks after the machine, for the journal; the same name prolongs or releases it
    #[arg(long, value_name = "NAME", default_value = "qrisctl")]
    who: String,
    /// How long it is held at most, 60 to 3600 seconds; with a command it is renewed until that ends
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u32).range(60..=3600))]
    seconds: u32,
    /// How long to wait for a customer who is there
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    wait: u64,
    /// It is enough that somebody holds it, and no customer is there
    #[arg(long)]
    any_holder: bool,
    /// Let it sell again
    #[arg(long, conflicts_with_all = ["wait", "command"])]
    release: bool,
    #[command(flatten)]
    bus: Bus,
    /// What is done meanwhile
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
enum HoldError {
    #[error("a customer is still there after {0} s: try again later, or wait longer with --wait")]
    Busy(u64),
    #[error("somebody else looks after the machine: see the property Holder of io.qrisd.Device1")]
    Held,
    /// RAUC would overwrite the system that the machine may have to go back to.
    #[error(
        "nobody knows yet that the system that runs is good. It has not proven itself, so the last good one in the other slot is not overwritten"
    )]
    Unproven,
    #[error("{0}: {1}")]
    Command(String, String),
}

impl Hold {
    pub(super) async fn run(self, json: bool) -> Result<(), Failure> {
        let service = Service::connect(&self.bus, DEVICE_NAME, DEVICE_PATH).await?;
        if self.release {
            service.call("Release", &self.who).await.map_err(Failure::failed)?;
            return if json { print::line(&json!({ "state": "released", "who": self.who }).to_string()) } else { Ok(()) };
        }
        let mut signals = Signals::listen().map_err(Failure::failed)?;
        let is_ours = tokio::select! {
            is_ours = self.wait_until_free(&service) => is_ours?,
            ended_by = signals.next() => {
                drop(service.call("Release", &self.who).await);
                std::process::exit(SIGNALLED + ended_by.as_raw());
            }
        };
        let Some((program, arguments)) = self.command.split_first() else {
            if json {
                let held = json!({ "state": "held", "who": self.who, "seconds": self.seconds });
                return print::line(&if is_ours { held } else { json!({ "state": "held_by_another" }) }.to_string());
            }
            if !is_ours {
                print::remark("somebody else holds the machine, and no customer is there");
                return Ok(());
            }
            print::remark(&format!("held for {} s; `qrisctl hold --who {} --release` lets it sell again", self.seconds, self.who));
            return Ok(());
        };
        let ended = self.carry_out(&service, &mut signals, program, arguments).await;
        // It may have restarted or ended the service. Then nobody is held.
        drop(service.call("Release", &self.who).await);
        let status = ended.map_err(|why| Failure::failed(HoldError::Command(program.clone(), why.to_string())))?;
        match status.code().or_else(|| status.signal().map(|signal| SIGNALLED + signal)) {
            Some(0) | None => Ok(()),
            // It has said itself what is wrong.
            Some(code) => std::process::exit(code),
        }
    }

    /// `false`: somebody else holds it, and that is enough.
    async fn wait_until_free(&self, service: &Service) -> Result<bool, Failure> {
        let until = Instant::now() + Duration::from_secs(self.wait);
        loop {
            match service.ask_for("Hold", &self.who, self.seconds).await.map_err(Failure::failed)?.as_str() {
                "held" => return Ok(true),
                "busy" if Instant::now() < until => sleep(ASK_AGAIN).await,
                "busy" => {
                    drop(service.call("Release", &self.who).await);
                    return Err(Failure::failed(HoldError::Busy(self.wait)));
                }
                "unproven" => return Err(Failure::failed(HoldError::Unproven)),
                _ if self.any_holder => return Ok(false),
                _ => return Err(Failure::failed(HoldError::Held)),
            }
        }
    }

    /// Runs the command, and holds the machine until it ends.
    async fn carry_out(&self, service: &Service, signals: &mut Signals, program: &str, arguments: &[String]) -> io::Result<ExitStatus> {
        let mut child = Command::new(program).args(arguments).spawn()?;
        let renew = Duration::from_secs(u64::from(self.seconds - RENEW_BEFORE_S));
        loop {
            tokio::select! {
                biased;
                ended = child.wait() => return ended,
                // Ctrl-C comes to the command by itself.
                came = signals.next() => if let Some(child) = child.id().and_then(|id| Pid::from_raw(id.cast_signed()))
                    && came != Signal::INT
                {
                    // If it has just ended, nobody is there to hear it.
                    let _ = kill_process(child, came);
                },
                // If the service is away for a moment, nothing is sold either.
                () = sleep(renew) => drop(service.ask_for("Hold", &self.who, self.seconds).await),
            }
        }
    }
}

struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let [terminate, interrupt, hangup] = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
        Ok(Self { terminate: terminate?, interrupt: interrupt?, hangup: hangup? })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.hangup.recv() => Signal::HUP,
        }
    }
}
