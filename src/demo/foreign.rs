//! A program that is not ours, as a process that certainly ends with us: Mosquitto.

use super::process::{READY_WAIT, die_with_us, signal};
use rustix::process::Signal;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often something that does not announce itself is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// A broker with ten thousand sessions writes them down before it ends.
const STOP_WAIT: Duration = Duration::from_secs(60);
/// Debian has some programs where only root looks for them.
const PLACES: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    #[error("{0} is not installed (Debian: apt install {1})")]
    Missing(&'static str, &'static str),
    /// The system would not start it, or not signal it.
    #[error("cannot run {0}")]
    Run(&'static str, #[source] io::Error),
    /// It ended, or a command of it failed.
    #[error("{0} failed: {1}")]
    Failed(&'static str, String),
    #[error("{0} took no connection in time; it said: {1}")]
    NotReady(&'static str, String),
}

/// A running program. It is killed with this value.
#[derive(Debug)]
pub struct Foreign {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Foreign {
    /// Starts it, and waits until it takes connections at a port of this computer. What it says is kept beside `log`.
    pub async fn start(name: &'static str, mut command: Command, port: u16, log: &Path) -> Result<Self, ForeignError> {
        let said = File::options().append(true).create(true).open(log).map_err(|error| ForeignError::Run(name, error))?;
        let also = said.try_clone().map_err(|error| ForeignError::Run(name, error))?;
        // The terminal's Ctrl-C is for us: we choose who ends first.
        command.stdin(Stdio::null()).stdout(said).stderr(also).process_group(0);
        die_with_us(&mut command);
        let child = command.spawn().map_err(|error| ForeignError::Run(name, error))?;
        let mut foreign = Self { name, child, log: log.to_path_buf() };
        let until = Instant::now() + READY_WAIT;
        while TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_err() {
            if foreign.has_ended()? {
                return Err(ForeignError::Failed(name, foreign.last_words()));
            }
            if Instant::now() >= until {
                return Err(ForeignError::NotReady(name, foreign.last_words()));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(foreign)
    }

    /// Asks it to end, and waits for that.
    pub async fn stop(mut self) -> Result<(), ForeignError> {
        signal(&self.child, Signal::TERM).map_err(|error| ForeignError::Run(self.name, error))?;
        let until = Instant::now() + STOP_WAIT;
        while !self.has_ended()? {
            if Instant::now() >= until {
                return Err(ForeignError::Failed(self.name, "it does not end".into()));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    fn has_ended(&mut self) -> Result<bool, ForeignError> {
        self.child.try_wait().map(|status| status.is_some()).map_err(|error| ForeignError::Run(self.name, error))
    }

    fn last_words(&self) -> String {
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        said.lines().next_back().unwrap_or("nothing").to_owned()
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program on the usual paths. `package`: Debian's package that has it.
pub fn find(name: &'static str, package: &'static str) -> Result<PathBuf, ForeignError> {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = path.split(':').chain(PLACES).map(|place| Path::new(place).join(name)).find(|path| path.is_file());
    found.ok_or(ForeignError::Missing(name, package))
}

/// Runs a command to its end.
pub fn run(name: &'static str, command: &mut Command) -> Result<(), ForeignError> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| ForeignError::Run(name, error))?;
    let said = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(ForeignError::Failed(name, said())) }
}
