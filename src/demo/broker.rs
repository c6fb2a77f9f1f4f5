//! A real Mosquitto on loopback, with the shipped access list and the settings of the shipped configuration.

use super::foreign::{Foreign, ForeignError, find, run};
use super::shop::{SetUpError, Tls, write};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const ACCESS: &str = include_str!("../../config/mosquitto.acl");
const SHIPPED: &str = include_str!("../../config/mosquitto.conf");
/// What each broker has otherwise than the shipped one.
const OWN: [&str; 4] = ["persistence_location ", "allow_anonymous ", "password_file ", "acl_file "];

/// The shipped settings, but for places, users and listeners.
#[must_use]
pub fn shipped() -> String {
    let (settings, _) = SHIPPED.split_once("\nlistener ").expect("the shipped file has a listener");
    let lines = settings.lines().filter(|line| !line.starts_with('#') && !OWN.iter().any(|own| line.starts_with(own)));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The configuration of a broker that has its files in `place`. `lines` has users and settings.
#[must_use]
pub fn configuration(place: &Path, port: u16, lines: &str) -> String {
    // As root it would become another user, who cannot read these files.
    let place = place.display();
    format!("user root\nlog_dest stderr\npersistence true\npersistence_location {place}/\nlistener {port} 127.0.0.1\n{lines}")
}

/// A listener besides, with mutual TLS.
#[must_use]
pub fn tls_listener(port: u16, Tls { ca, certificate, key }: &Tls) -> String {
    let [ca, certificate, key] = [ca, certificate, key].map(|path| path.display());
    format!("listener {port} 127.0.0.1\ncafile {ca}\ncertfile {certificate}\nkeyfile {key}\nrequire_certificate true\n")
}

#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error(transparent)]
    SetUp(#[from] SetUpError),
    #[error(transparent)]
    Foreign(#[from] ForeignError),
}

/// The users of brokers in one directory, and their passwords.
#[derive(Debug)]
pub struct Accounts(PathBuf);

impl Accounts {
    /// Writes them into `directory`. `all` is the user that may do everything: it stands for somebody who took the broker over.
    pub fn write<'a>(directory: &Path, users: impl IntoIterator<Item = (&'a str, &'a str)>, all: &str) -> Result<Self, BrokerError> {
        let mut passwords = String::new();
        for (user, password) in users {
            // Writing to a String does not fail.
            let _ = writeln!(passwords, "{user}:{password}");
        }
        let accounts = Self(directory.to_path_buf());
        write(&accounts.passwords(), &passwords)?;
        run("mosquitto_passwd", Command::new(find("mosquitto_passwd", "mosquitto")?).arg("-U").arg(accounts.passwords()))?;
        write(&accounts.access(), &format!("{ACCESS}\nuser {all}\ntopic readwrite #\n"))?;
        Ok(accounts)
    }

    /// The lines of a broker for these users, with the shipped settings.
    #[must_use]
    pub fn settings(&self) -> String {
        let (passwords, access) = (self.passwords(), self.access());
        format!("allow_anonymous false\npassword_file {}\nacl_file {}\n{}", passwords.display(), access.display(), shipped())
    }

    #[must_use]
    pub fn passwords(&self) -> PathBuf {
        self.0.join("broker-users")
    }

    fn access(&self) -> PathBuf {
        self.0.join("broker-access")
    }
}

#[derive(Debug)]
pub struct Broker {
    pub port: u16,
    config: PathBuf,
    runs: Option<Foreign>,
}

impl Broker {
    /// Starts one whose files are in `place`. `more` has settings of its own.
    pub async fn start(place: &Path, port: u16, accounts: &Accounts, more: &str) -> Result<Self, BrokerError> {
        let lines = format!("log_type error\nlog_type warning\n{}{more}", accounts.settings());
        let config = place.join("mosquitto.conf");
        write(&config, &configuration(place, port, &lines))?;
        let mut broker = Self { port, config, runs: None };
        broker.resume().await?;
        Ok(broker)
    }

    /// Stops it. Sessions and retained messages stay.
    pub async fn stop(&mut self) -> Result<(), ForeignError> {
        match self.runs.take() {
            Some(runs) => runs.stop().await,
            None => Ok(()),
        }
    }

    /// Starts it, also after [`Broker::stop`].
    pub async fn resume(&mut self) -> Result<(), ForeignError> {
        let mut command = Command::new(find("mosquitto", "mosquitto")?);
        command.arg("-c").arg(&self.config);
        self.runs = Some(Foreign::start("mosquitto", command, self.port, &self.config.with_extension("log")).await?);
        Ok(())
    }
}
