//! `watch`: events and status of machines as they come.

use super::Connection;
use super::broker::{Broker, News};
use super::print;
use crate::host::mqtt::{Inbound, Retained};
use crate::host::{Failure, service};
use crate::order::ids::DeviceId;
use crate::wire::status::Status;
use crate::wire::topics::Topic;
use crate::wire::vend::VendEvent;
use serde_json::{Value, json};

/// Shows events and status of machines as they come, until it is interrupted.
#[derive(clap::Args, Debug)]
pub(super) struct Watch {
    /// One machine; `all`, the default, means every machine
    #[arg(long, value_name = "ID", default_value = "all")]
    device: String,
    /// JSON, one object a line: device, topic, payload
    #[arg(long)]
    json: bool,
}

impl Watch {
    pub(super) async fn run(self, connection: Connection) -> Result<(), Failure> {
        let topics = [Topic::VendEvent, Topic::Status];
        let filters = match self.device.as_str() {
            "all" => topics.map(Topic::of_all),
            id => {
                let device = DeviceId::new(id).map_err(Failure::usage)?;
                topics.map(|topic| topic.of(&device))
            }
        };
        let ended = service::terminated();
        let mut broker = Broker::connect(connection, filters.into(), Retained::Always).await?;
        let mut ended = std::pin::pin!(ended);
        loop {
            let news = tokio::select! {
                _ = &mut ended => {
                    broker.leave().await;
                    return Ok(());
                }
                news = broker.next() => news,
            };
            match news {
                News::Message(message) => {
                    if let Some(line) = if self.json { json_line(&message) } else { words(&message) } {
                        print::line(&line)?;
                    }
                }
                News::Lost(reason) => print::remark(&format!("connection lost: {reason}")),
                News::Back => print::remark("connected again"),
            }
        }
    }
}

/// A message in words; what is no event and no status is told as it came.
fn words(message: &Inbound) -> Option<String> {
    let (device, topic) = Topic::parse(&message.topic)?;
    let told = match topic {
        Topic::VendEvent => serde_json::from_slice::<VendEvent>(&message.payload).map(|event| print::event(device.as_str(), &event)),
        Topic::Status => serde_json::from_slice::<Status>(&message.payload).map(|status| print::status(device.as_str(), &status)),
        Topic::VendRequest | Topic::VendCancel | Topic::VendCollect | Topic::PaymentUpdate => return None,
    };
    Some(told.unwrap_or_else(|_| print::plain(&format!("{} {}", message.topic, String::from_utf8_lossy(&message.payload)))))
}

fn json_line(message: &Inbound) -> Option<String> {
    let (device, _) = Topic::parse(&message.topic)?;
    let tail = message.topic.splitn(4, '/').nth(3)?;
    let payload: Value =
        serde_json::from_slice(&message.payload).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&message.payload).into_owned()));
    Some(json!({ "device": device, "topic": tail, "payload": payload }).to_string())
}
