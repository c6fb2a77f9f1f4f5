//! A real Mosquitto on a loopback port, configured by the test.

use super::{Running, free_port, wait_for};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

pub struct BareBroker {
    pub port: u16,
    folder: TempDir,
    process: Option<Running>,
}

impl BareBroker {
    /// Starts one with further configuration lines. It keeps sessions across [`BareBroker::stop`] and
    /// [`BareBroker::start_again`].
    pub fn start(lines: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let mut broker = Self { port: free_port(), folder, process: None };
        let anonymous = if lines.contains("password_file") { "" } else { "allow_anonymous true\n" };
        let config = format!(
            "listener {} 127.0.0.1\nuser root\npersistence true\npersistence_location {}/\nlog_dest none\n{anonymous}{lines}\n",
            broker.port,
            broker.folder().display()
        );
        std::fs::write(broker.folder().join("mosquitto.conf"), config).expect("the directory is writable");
        broker.start_again();
        broker
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends it the way a service manager does, so that it stores what it holds.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let ended = Command::new("kill").arg(process.0.id().to_string()).status().expect("kill is installed");
            assert!(ended.success());
            process.0.wait().expect("it is our child");
        }
    }

    /// Forgets all sessions and retained messages. To be called while it is stopped.
    pub fn forget(&self) {
        std::fs::remove_file(self.folder().join("mosquitto.db")).expect("it stored its sessions");
    }

    pub fn start_again(&mut self) {
        let program = if Path::new("/usr/sbin/mosquitto").exists() { "/usr/sbin/mosquitto" } else { "mosquitto" };
        let process = Command::new(program)
            .arg("-c")
            .arg(self.folder().join("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto is installed");
        let mut process = Running(process);
        let port = self.port;
        wait_for("mosquitto's port", || {
            assert!(process.0.try_wait().expect("it is our child").is_none(), "mosquitto ended at once: is its configuration right?");
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        self.process = Some(process);
    }
}
