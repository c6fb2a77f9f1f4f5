//! A PostgreSQL of its own, for two backends on one database. It writes to the disk as a real one does.

use super::computer::Taken;
use qris_demo::foreign::{Foreign, ForeignError, find, run};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The master of the database. The server runs as this user where we are root, since it refuses to run as root.
const MASTER: &str = "postgres";
const PACKAGE: &str = "postgresql";
/// The port is open a moment before the database is.
const OPEN_WAIT: Duration = Duration::from_secs(20);

/// A running server with one database.
#[derive(Debug)]
pub struct Postgres {
    runs: Foreign,
    /// The address of its database for a program.
    pub url: String,
}

impl Postgres {
    /// Makes a database below `directory`, which its user must be able to enter, and starts the server.
    ///
    /// # Errors
    /// It is not installed, or does not run.
    pub async fn start(directory: &Path, port: u16) -> Result<Self, ForeignError> {
        let place = directory.join("postgres");
        std::fs::create_dir(&place).map_err(|error| ForeignError::Run("postgres", error))?;
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
        if is_root {
            run("chown", Command::new(find("chown", "coreutils")?).arg(MASTER).arg(&place))?;
        }
        let program = |name: &'static str| {
            let path = newest().map(|bin| bin.join(name)).filter(|path| path.exists()).map_or_else(|| find(name, PACKAGE), Ok)?;
            let mut command = if is_root {
                let mut command = Command::new(find("setpriv", "util-linux")?);
                // The kernel forgets with whom a process dies when its user changes.
                command.args(["--reuid", MASTER, "--regid", MASTER, "--clear-groups", "--pdeathsig", "KILL", "--"]).arg(path);
                command
            } else {
                Command::new(path)
            };
            command.current_dir(&place);
            Ok::<_, ForeignError>(command)
        };
        let data = place.join("data");
        run("initdb", program("initdb")?.args(["--auth=trust", "--no-sync", "--username", MASTER, "--pgdata"]).arg(&data))?;
        let mut server = program("postgres")?;
        server.arg("-D").arg(&data).args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-k"]).arg(&place);
        let runs = Foreign::start("postgres", server, port, &directory.join("postgres.log")).await?;
        let until = Instant::now() + OPEN_WAIT;
        while let Err(error) = run("pg_isready", program("pg_isready")?.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])) {
            if Instant::now() >= until {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(Self { runs, url: format!("postgres://{MASTER}@127.0.0.1:{port}/{MASTER}") })
    }

    /// What its processes take: each connection has one. Memory that they share counts in each as resident.
    #[must_use]
    pub fn taken(&self) -> Taken {
        let first = self.runs.id();
        let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap_or_default();
        Taken::by(children.split_whitespace().filter_map(|id| id.parse().ok()).chain([first]))
    }
}

/// Debian has a directory for each release.
fn newest() -> Option<PathBuf> {
    let releases = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path());
    let number = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok());
    releases.max_by_key(number).map(|release| release.join("bin"))
}
