//! A real PostgreSQL of the test's own, on loopback.

use super::certificates::Certificates;
use super::process::Process;
use super::{command, free_port, succeed, tool, user, wait_for};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The user that is master of the database, and that the server runs as where the test is root.
pub const MASTER: &str = "postgres";

/// A server with one database.
pub struct Postgres {
    pub port: u16,
    directory: tempfile::TempDir,
    settings: Vec<String>,
    process: Option<Process>,
}

impl Postgres {
    /// Makes a server and starts it. A crash of the server loses nothing, since the computer does not crash with it: so it need not sync.
    pub fn start(settings: &[&str]) -> Self {
        let mut server = Self::prepare(settings);
        succeed(server.program("initdb").args(["--auth=trust", "--no-sync", "--username", MASTER, "--pgdata"]).arg(server.data()));
        server.resume();
        server
    }

    /// A server that lets nobody in without TLS and this password.
    pub fn with_tls(tls: &Certificates, password: &str) -> Self {
        let mut server = Self::start(&[]);
        server.ask(&format!("ALTER USER {MASTER} PASSWORD '{password}'"));
        server.stop();
        for (name, from) in [("server.crt", tls.certificate("server")), ("server.key", tls.key("server"))] {
            // The key must belong to the server's user, and to nobody else.
            let to = server.data().join(name);
            std::fs::copy(from, &to).expect("copied");
            std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o600)).expect("set");
            if user() == "root" {
                succeed(command(tool("chown")).arg(MASTER).arg(&to));
            }
        }
        let rules = server.data().join("pg_hba.conf");
        std::fs::write(rules, "hostssl all all 127.0.0.1/32 scram-sha-256\n").expect("written");
        server.settings.push("ssl=on".into());
        server.resume();
        server
    }

    /// A standby that follows this server, and takes its place when it is promoted.
    pub fn standby(&self) -> Self {
        Self::behind(self.port, &[])
    }

    /// The same for the server at this port.
    pub fn behind(port: u16, settings: &[&str]) -> Self {
        let mut standby = Self::prepare(settings);
        let mut copy = standby.program("pg_basebackup");
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--host=127.0.0.1", "--username", MASTER]);
        succeed(copy.arg(format!("--port={port}")).arg("--pgdata").arg(standby.data()));
        standby.resume();
        standby
    }

    fn prepare(settings: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("qris-pg").tempdir().expect("a temporary directory");
        if user() == "root" {
            succeed(command(tool("chown")).arg(MASTER).arg(directory.path()));
        }
        Self { port: free_port(), directory, settings: settings.iter().map(ToString::to_string).collect(), process: None }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// One of PostgreSQL's programs, as its user.
    fn program(&self, name: &str) -> Command {
        let own = newest(Path::new("/usr/lib/postgresql")).join("bin").join(name);
        let path = if own.exists() { own } else { tool(name) };
        let mut start = as_master(path);
        start.current_dir(self.directory.path());
        start
    }

    /// Starts it, also after [`Postgres::stop`].
    pub fn resume(&mut self) {
        let mut start = self.program("postgres");
        start.arg("-D").arg(self.data()).args(["-p", &self.port.to_string(), "-k"]).arg(self.directory.path());
        let usual = ["listen_addresses=127.0.0.1", "fsync=off", "max_connections=40", "shared_buffers=16MB", "log_statement=none"];
        for setting in usual.into_iter().chain(self.settings.iter().map(String::as_str)) {
            start.args(["-c", setting]);
        }
        let process = Process::start("postgres", &mut start);
        process.wait_line("ready to accept");
        self.process = Some(process);
    }

    /// Ends it at once, and all its sessions.
    pub fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.signal("QUIT");
            wait_for("the end of the server", || process.try_status());
        }
    }

    /// Makes a standby the one that is written to.
    pub fn promote(&self) {
        succeed(self.program("pg_ctl").args(["promote", "--wait", "--pgdata"]).arg(self.data()));
    }

    /// Takes every place that is free, until the answer is dropped.
    pub fn fill(&self) -> Vec<Process> {
        let mut taken = Vec::new();
        wait_for("a server that is full", || {
            let mut psql = self.program("psql");
            psql.args(["--no-psqlrc", "--tuples-only", "--host=127.0.0.1", "--username", MASTER]).arg(format!("--port={}", self.port));
            let psql = Process::start("psql", psql.args(["--command", "SELECT 'is in'", "--command", "SELECT pg_sleep(600)"]));
            let told = wait_for("an answer", || psql.lines.all().into_iter().find(|line| line.contains("is in") || line.contains("FATAL")));
            if told.contains("too many clients") {
                return Some(());
            }
            taken.push(psql);
            None
        });
        taken
    }

    /// Restores a dump of this server's database in another one.
    pub fn dump_into(&self, other: &Self) {
        let file = self.directory.path().join("dump.sql");
        let at = |server: &Self, program: &str| {
            let mut start = server.program(program);
            start.args(["--host=127.0.0.1", "--username", MASTER]).arg(format!("--port={}", server.port));
            start
        };
        std::fs::write(&file, succeed(at(self, "pg_dump").arg(MASTER))).expect("written");
        std::fs::set_permissions(self.directory.path(), std::fs::Permissions::from_mode(0o755)).expect("set");
        succeed(at(other, "psql").args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file"]).arg(&file));
    }

    /// The address of its database for a program.
    pub fn url(&self) -> String {
        format!("postgres://{MASTER}@127.0.0.1:{}/{MASTER}", self.port)
    }

    /// The address of this server or another one, whichever is written to.
    pub fn url_with(&self, other: &Self) -> String {
        format!("postgres://{MASTER}@127.0.0.1:{},127.0.0.1:{}/{MASTER}", self.port, other.port)
    }

    /// The answer to a question, a line a row.
    pub fn ask(&self, sql: &str) -> String {
        let mut psql = self.program("psql");
        psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--host=127.0.0.1", "--username", MASTER]);
        succeed(psql.arg(format!("--port={}", self.port)).args(["--command", sql])).trim().to_owned()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A program that must not run as root.
pub fn as_master(program: PathBuf) -> Command {
    if user() != "root" {
        return command(program);
    }
    let mut start = command(tool("setpriv"));
    start.args(["--reuid", MASTER, "--regid", MASTER, "--clear-groups", "--"]).arg(program);
    start
}

/// Debian has a directory for each release.
fn newest(all: &Path) -> PathBuf {
    let releases = std::fs::read_dir(all).into_iter().flatten().flatten().map(|entry| entry.path());
    let number = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok());
    releases.max_by_key(number).unwrap_or_else(|| panic!("{} has no release: install Debian's package postgresql", all.display()))
}
