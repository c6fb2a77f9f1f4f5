//! The brokers of the machines. A second one is joined to the first by a bridge, as it would be for machines in another town.

use qris_demo::broker::{Accounts, Broker, BrokerError};
use qris_demo::foreign::ForeignError;
use qris_demo::shop::{BACKEND, random_name};
use std::path::Path;

/// The user that sees every machine's status.
pub const FLEET: &str = "fleet";
const BRIDGE: &str = "bridge";

/// Writes the files of all brokers, and starts them. The first is where the backends are.
///
/// # Errors
/// A file cannot be written, or Mosquitto does not run.
pub async fn start(directory: &Path, ports: &[u16], machines: &[String], password: &str) -> Result<Vec<Broker>, BrokerError> {
    let bridge_password = random_name();
    let machines = machines.iter().map(|machine| (machine.as_str(), password));
    let users = [(FLEET, password), (BACKEND, password), (BRIDGE, &bridge_password)];
    let accounts = Accounts::write(directory, users.into_iter().chain(machines), BRIDGE)?;
    let mut brokers = Vec::new();
    for (number, &port) in ports.iter().enumerate() {
        let place = directory.join(format!("broker-{number}"));
        std::fs::create_dir(&place).map_err(|error| ForeignError::Run("mosquitto", error))?;
        let more = if number == 0 { String::new() } else { bridge(ports[0], number, &bridge_password) };
        brokers.push(Broker::start(&place, port, &accounts, &more).await?);
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
         topic qrisd/v1/+/status out 1\ntopic qrisd/v1/+/vend/event out 1\ntopic qrisd/v1/+/telemetry out 1\ntopic qrisd/v1/+/stock out 1\n\
         topic qrisd/v1/+/config/reported out 1\ntopic qrisd/v1/+/cmd/response out 1\n"
    )
}
