//! A real PgBouncer between a program and PostgreSQL, at a private socket.

use super::postgres::{MASTER, Postgres, as_master};
use super::process::Process;
use super::{free_port, tool, wait_for};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

pub struct Pooler {
    port: u16,
    directory: tempfile::TempDir,
    process: Option<Process>,
}

impl Pooler {
    /// `mode`: what has a session of the server to itself: a `session` of a program, a `transaction`, a `statement`.
    pub fn before(server: &Postgres, mode: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("qris-pool").tempdir().expect("a temporary directory");
        // Its user is another one where the test is root.
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).expect("set");
        let port = free_port();
        let text = format!(
            "[databases]\n{MASTER} = host=127.0.0.1 port={} user={MASTER}\n\
             [pgbouncer]\nlisten_port = {port}\nunix_socket_dir = {}\nauth_type = any\npool_mode = {mode}\n",
            server.port,
            directory.path().display()
        );
        std::fs::write(directory.path().join("pgbouncer.ini"), text).expect("written");
        let mut pooler = Self { port, directory, process: None };
        pooler.resume();
        pooler
    }

    /// Ends it at once, and all its sessions.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it, also after [`Pooler::kill`].
    pub fn resume(&mut self) {
        drop(std::fs::remove_file(self.socket()));
        let mut start = as_master(tool("pgbouncer"));
        self.process = Some(Process::start("pgbouncer", start.arg(self.directory.path().join("pgbouncer.ini"))));
        wait_for("the pooler", || UnixStream::connect(self.socket()).ok());
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join(format!(".s.PGSQL.{}", self.port))
    }

    /// The address of the database for a program.
    pub fn url(&self) -> String {
        let directory = self.directory.path().display().to_string().replace('/', "%2F");
        format!("postgres://{MASTER}@{directory}:{}/{MASTER}", self.port)
    }
}
