//! A real Mosquitto, with the shipped access list and the settings of the shipped configuration, on loopback without TLS.

use super::foreign::{Foreign, ForeignError, find, run};
use super::layout::{LayoutError, write_new};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who may do what.
const ACCESS: &str = include_str!("../../config/mosquitto.acl");

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// Its files cannot be written.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Mosquitto does not run.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
}

/// The users of brokers in one directory, and their passwords.
#[derive(Debug)]
pub struct Accounts(PathBuf);

impl Accounts {
    /// Writes them into `directory`. `all` is the user that may do everything below `qrisd/v1/`.
    ///
    /// # Errors
    /// A file cannot be written, or Mosquitto is not installed.
    pub fn write<'a>(directory: &Path, users: impl IntoIterator<Item = (&'a str, &'a str)>, all: &str) -> Result<Self, BrokerError> {
        let mut passwords = String::new();
        for (user, password) in users {
            // Writing to a String does not fail.
            let _ = writeln!(passwords, "{user}:{password}");
        }
        let accounts = Self(directory.to_path_buf());
        write_new(&accounts.passwords(), passwords.as_bytes())?;
        run("mosquitto_passwd", Command::new(find("mosquitto_passwd", "mosquitto")?).arg("-U").arg(accounts.passwords()))?;
        write_new(&accounts.access(), format!("{ACCESS}\nuser {all}\ntopic readwrite qrisd/v1/#\n").as_bytes())?;
        Ok(accounts)
    }

    fn passwords(&self) -> PathBuf {
        self.0.join("broker-users")
    }

    fn access(&self) -> PathBuf {
        self.0.join("broker-access")
    }
}

/// A broker that runs, or is stopped.
#[derive(Debug)]
pub struct Broker {
    /// Where it listens.
    pub port: u16,
    config: PathBuf,
    runs: Option<Foreign>,
}

impl Broker {
    /// Starts one whose files are in `place`. `more` has settings of its own.
    ///
    /// # Errors
    /// Mosquitto is not installed, or does not run.
    pub async fn start(place: &Path, port: u16, accounts: &Accounts, more: &str) -> Result<Self, BrokerError> {
        let (passwords, access) = (accounts.passwords(), accounts.access());
        // As root it would become another user, who cannot read these files.
        let text = format!(
            "user root\nallow_anonymous false\npassword_file {}\nacl_file {}\nlog_dest stderr\nlog_type error\nlog_type warning\n\
             set_tcp_nodelay true\nmax_packet_size 327680\npersistent_client_expiration 1d\n\
             persistence true\npersistence_location {}/\nautosave_interval 60\nlistener {port} 127.0.0.1\n{more}",
            passwords.display(),
            access.display(),
            place.display(),
        );
        let config = place.join("mosquitto.conf");
        write_new(&config, text.as_bytes())?;
        let mut broker = Self { port, config, runs: None };
        broker.resume().await?;
        Ok(broker)
    }

    /// Its process, if it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.runs.as_ref().map(Foreign::id)
    }

    /// Stops it. Sessions and retained messages stay.
    ///
    /// # Errors
    /// It does not end.
    pub async fn stop(&mut self) -> Result<(), ForeignError> {
        match self.runs.take() {
            Some(runs) => runs.stop().await,
            None => Ok(()),
        }
    }

    /// Starts it, also after [`Broker::stop`].
    ///
    /// # Errors
    /// It does not run.
    pub async fn resume(&mut self) -> Result<(), ForeignError> {
        let mut command = Command::new(find("mosquitto", "mosquitto")?);
        command.arg("-c").arg(&self.config);
        self.runs = Some(Foreign::start("mosquitto", command, self.port, &self.config.with_extension("log")).await?);
        Ok(())
    }
}
