//! The broker inside the demo, alone.

use super::mosquitto::{TAP, USERS, password};
use super::process::Process;
use super::{command, free_port};
use qris::demo::inside::write_accounts;
use std::path::Path;

/// It has the users of [`super::mosquitto::Mosquitto`].
pub struct Inside {
    pub port: u16,
    _process: Process,
}

impl Inside {
    pub fn start(directory: &Path) -> Self {
        let directory = directory.join("inside");
        std::fs::create_dir(&directory).expect("a new directory");
        let users = USERS.map(|user| (user, password(user)));
        write_accounts(&directory, users.iter().map(|(user, password)| (*user, password.as_str())), TAP).expect("written");
        let port = free_port();
        let mut start = command(env!("CARGO_BIN_EXE_qris-demo"));
        start.args(["broker", "--listen", &format!("127.0.0.1:{port}"), "--accounts"]).arg(&directory);
        let process = Process::start_service("broker", &mut start, &directory);
        Self { port, _process: process }
    }
}
