//! A real Mosquitto on a loopback port, configured by the test.

use super::process::Process;
use super::{command, free_port, tool};
use qris::demo::broker::configuration;
use tempfile::TempDir;

pub struct BareBroker {
    pub port: u16,
    folder: TempDir,
    process: Option<Process>,
}

impl BareBroker {
    /// Starts one with further configuration lines. It keeps sessions across [`BareBroker::stop`] and
    /// [`BareBroker::start_again`].
    pub fn start(lines: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let mut broker = Self { port: free_port(), folder, process: None };
        let anonymous = if lines.contains("password_file") { "" } else { "allow_anonymous true\n" };
        let config = configuration(broker.folder.path(), broker.port, &format!("{anonymous}{lines}\n"));
        std::fs::write(broker.folder.path().join("mosquitto.conf"), config).expect("the directory is writable");
        broker.start_again();
        broker
    }

    /// Ends it the way a service manager does, so that it stores what it holds.
    pub fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.terminate();
        }
    }

    pub fn start_again(&mut self) {
        let process = Process::start("mosquitto", command(tool("mosquitto")).arg("-c").arg(self.folder.path().join("mosquitto.conf")));
        process.wait_line(" running");
        self.process = Some(process);
    }
}
