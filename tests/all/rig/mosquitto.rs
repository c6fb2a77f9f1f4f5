//! A real Mosquitto with the shipped access list.

use super::certificates::Certificates;
use super::process::{Process, ends_within};
use super::{command, free_port, succeed, tool, wait_for};
use qris::demo::broker::{Accounts, configuration, tls_listener};
use qris::demo::shop::{password_file, write};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The users of the shop's broker. `tap` may do everything: it stands for somebody who took the broker over.
pub const USERS: [&str; 7] = ["vm-001", "vm-002", "vm-003", "vm-001-controller", "backend", "fleet", TAP];
/// The part of the access list that is for every machine stands before the parts of users.
pub const MACHINES: &str = "%u";
/// The user that may read and write everything.
pub const TAP: &str = "tap";

/// A user's password.
pub fn password(user: &str) -> String {
    format!("password-of-{user}")
}

/// Writes the files of [`USERS`].
pub fn accounts(directory: &Path) -> Accounts {
    let users = USERS.map(|user| (user, password(user)));
    Accounts::write(directory, users.iter().map(|(user, password)| (*user, password.as_str())), TAP).expect("Mosquitto is installed")
}

/// A broker on loopback: plain, and with TLS where there is material for it.
pub struct Mosquitto {
    pub port: u16,
    pub tls_port: u16,
    accounts: Accounts,
    config: PathBuf,
    process: Option<Process>,
}

impl Mosquitto {
    /// Starts a broker. With `tls` it has a second listener, which wants a client's certificate. With `persistence` it
    /// keeps sessions and retained messages over [`Mosquitto::restart`].
    pub fn start(directory: &Path, tls: Option<&Certificates>, persistence: bool) -> Self {
        let directory = directory.join("mosquitto");
        std::fs::create_dir(&directory).expect("a new directory");
        let accounts = accounts(&directory);
        let (port, tls_port) = (free_port(), free_port());
        let listener = tls.map_or_else(String::new, |tls| tls_listener(tls_port, &tls.of("server")));
        let lines = format!("log_type all\n{}persistence {persistence}\n{listener}", accounts.settings());
        let config = directory.join("mosquitto.conf");
        write(&config, &configuration(&directory, port, &lines)).expect("written");
        let mut broker = Self { port, tls_port, accounts, config, process: None };
        broker.resume();
        broker
    }

    /// Starts it again with its dynamic security plugin, whose administrator has this name and [`password`]. The files with users
    /// and rights stay in force.
    pub fn load_plugin(&mut self, administrator: &str) {
        let library = succeed(command(tool("find")).args(["/usr/lib", "-name", "mosquitto_dynamic_security.so"]));
        let library = library.lines().next().expect("the plugin is in Debian's package of Mosquitto").to_owned();
        let state = self.config.with_file_name("dynamic-security.json");
        succeed(command(tool("mosquitto_ctrl")).args(["dynsec", "init"]).arg(&state).args([administrator, &password(administrator)]));
        let mut text = std::fs::read_to_string(&self.config).expect("there");
        // Beside the plugin Mosquitto 2.0.11 counts its memory wrong.
        text = text.lines().filter(|line| !line.starts_with("memory_limit ")).map(|line| format!("{line}\n")).collect();
        let _ = write!(text, "plugin {library}\nplugin_opt_config_file {}\n", state.display());
        std::fs::write(&self.config, text).expect("written");
        self.restart();
    }

    /// The file with its users' passwords.
    pub fn passwords(&self) -> PathBuf {
        self.accounts.passwords()
    }

    /// Stops the broker: its clients lose their connections.
    pub fn stop(&mut self) {
        let Some(process) = self.process.take() else { return };
        // Mosquitto forgets a signal that comes after its ports are open and before its loop has begun.
        wait_for("the broker's end", || {
            process.signal("TERM");
            ends_within(process.id(), Duration::from_secs(2)).then_some(())
        });
    }

    /// The power cut.
    pub fn kill(&mut self) {
        drop(self.process.take());
    }

    /// Sends it a signal, if it runs.
    pub fn signal(&self, name: &str) {
        if let Some(process) = &self.process {
            process.signal(name);
        }
    }

    /// Starts the broker again after [`Mosquitto::stop`], at the same ports.
    pub fn resume(&mut self) {
        let process = Process::start("mosquitto", command(tool("mosquitto")).arg("-c").arg(&self.config));
        process.wait_line(" running");
        self.process = Some(process);
    }

    /// `qrisctl` as a user of this broker, whose password goes to a file in `directory`; its arguments follow.
    pub fn qrisctl(&self, user: &str, directory: &Path) -> Command {
        let secret = directory.join(password_file(user));
        write(&secret, &password(user)).expect("written");
        let mut start = command(env!("CARGO_BIN_EXE_qrisctl"));
        start.args(["--broker", &format!("mqtt://127.0.0.1:{}", self.port), "--username", user, "--password-file"]).arg(secret);
        start
    }

    /// Starts it again with an access list that lacks this line of the shipped one, until [`Mosquitto::whole`]. `user`: the one in whose
    /// part it stands, or [`MACHINES`].
    pub fn without(&mut self, user: &str, line: &str) {
        let list = self.passwords().with_file_name("broker-access");
        let whole = std::fs::read_to_string(&list).expect("there");
        let (mut of, mut lacks) = (MACHINES, String::new());
        for other in whole.lines() {
            of = other.strip_prefix("user ").unwrap_or(of);
            if (of, other) != (user, line) {
                lacks.push_str(other);
                lacks.push('\n');
            }
        }
        assert_ne!(lacks, whole, "{user} has no such line: {line}");
        std::fs::rename(&list, list.with_extension("whole")).expect("kept");
        write(&list, &lacks).expect("written");
        self.restart();
    }

    /// Starts it again with the whole list.
    pub fn whole(&mut self) {
        let list = self.passwords().with_file_name("broker-access");
        std::fs::rename(list.with_extension("whole"), &list).expect("put back");
        self.restart();
    }

    pub fn restart(&mut self) {
        self.stop();
        self.resume();
    }

    /// What the broker logged.
    pub fn log(&self) -> &super::received::Received<String> {
        &self.process.as_ref().expect("the broker runs").lines
    }
}
