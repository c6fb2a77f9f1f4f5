//! Real Mosquittos, with the shipped access list and the settings of the shipped configuration. A second one is joined to the first
//! by a bridge, as it would be for machines in another town.

use super::foreign::{Foreign, ForeignError, find, run};
use super::yard::YardError;
use crate::demo::layout::{random_name, write_new};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who may do what.
const ACCESS: &str = include_str!("../../../config/mosquitto.acl");
/// The user that sees every machine's status.
pub const FLEET: &str = "fleet";
/// The user of the backends.
pub const BACKEND: &str = "backend";
const BRIDGE: &str = "bridge";

/// A broker that runs, or is stopped.
#[derive(Debug)]
pub struct Broker {
    /// Where it listens.
    pub port: u16,
    config: PathBuf,
    runs: Option<Foreign>,
}

/// Writes the files of all brokers, and starts them. The first is where the backends are.
///
/// # Errors
/// A file cannot be written, or Mosquitto does not run.
pub async fn start(directory: &Path, ports: &[u16], machines: &[String], password: &str) -> Result<Vec<Broker>, YardError> {
    let bridge_password = random_name()?;
    let mut users = String::new();
    for user in [FLEET, BACKEND].into_iter().chain(machines.iter().map(String::as_str)) {
        // Writing to a String does not fail.
        let _ = writeln!(users, "{user}:{password}");
    }
    let _ = writeln!(users, "{BRIDGE}:{bridge_password}");
    let passwords = directory.join("passwd");
    write_new(&passwords, users.as_bytes())?;
    run("mosquitto_passwd", Command::new(find("mosquitto_passwd", "mosquitto")?).arg("-U").arg(&passwords))?;
    let access = directory.join("acl");
    write_new(&access, format!("{ACCESS}\nuser {BRIDGE}\ntopic readwrite qrisd/v1/#\n").as_bytes())?;
    let mut brokers = Vec::new();
    for (number, &port) in ports.iter().enumerate() {
        let place = directory.join(format!("broker-{number}"));
        std::fs::create_dir(&place).map_err(|error| ForeignError::Run("mosquitto", error))?;
        let mut text = format!(
            "user root\nallow_anonymous false\npassword_file {}\nacl_file {}\nlog_dest stderr\nlog_type error\nlog_type warning\n\
             set_tcp_nodelay true\nmax_packet_size 327680\npersistent_client_expiration 1d\n\
             persistence true\npersistence_location {}/\nautosave_interval 60\nlistener {port} 127.0.0.1\n",
            passwords.display(),
            access.display(),
            place.display(),
        );
        text += &match number {
            0 => "max_queued_messages 1000\n".into(),
            _ => bridge(ports[0], number, &bridge_password),
        };
        let config = place.join("mosquitto.conf");
        write_new(&config, text.as_bytes())?;
        let mut broker = Broker { port, config, runs: None };
        broker.resume().await?;
        brokers.push(broker);
    }
    Ok(brokers)
}

/// The other settings of a broker with a bridge. While the bridge is down, all that its machines say waits in one queue.
fn bridge(main: u16, number: usize, password: &str) -> String {
    format!(
        "max_queued_messages 100000\nconnection to-main\naddress 127.0.0.1:{main}\nbridge_protocol_version mqttv50\nremote_clientid bridge-{number}\n\
         remote_username {BRIDGE}\nremote_password {password}\ncleansession false\nnotifications false\ntry_private false\n\
         restart_timeout 1 5\n\
         topic qrisd/v1/+/payment/update in 1\ntopic qrisd/v1/+/vend/request in 1\ntopic qrisd/v1/+/vend/cancel in 1\n\
         topic qrisd/v1/+/vend/collect in 1\ntopic qrisd/v1/+/config/desired in 1\ntopic qrisd/v1/+/cmd/+/request in 1\n\
         topic qrisd/v1/+/status out 1\ntopic qrisd/v1/+/vend/event out 1\ntopic qrisd/v1/+/telemetry out 1\n\
         topic qrisd/v1/+/config/reported out 1\ntopic qrisd/v1/+/cmd/+/response out 1\ntopic qrisd/v1/+/cmd/+/response/# out 1\n"
    )
}

impl Broker {
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
