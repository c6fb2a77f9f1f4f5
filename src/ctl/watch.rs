use super::broker::{Broker, Connection, News};
use super::print;
use crate::complete;
use qris_core::order::ids::DeviceId;
use qris_core::wire::status::Status;
use qris_core::wire::topics::{PROBE, Topic};
use qris_core::wire::vend::VendEvent;
use qris_host::mqtt::{Inbound, Retained};
use qris_host::{Failure, service};
use serde_json::{Value, json};
use std::time::Duration;

/// After this time without a message a person may wonder: at Mosquitto a refused subscription is silent.
const HINT_AFTER: Duration = Duration::from_secs(5);

/// Shows events and status of machines as they come, until it is interrupted. With --json: device, topic, payload.
#[derive(clap::Args, Debug)]
pub(super) struct Watch {
    /// One machine; `all`, the default, means every machine
    #[arg(long, value_name = "ID", default_value = "all", add = complete::machines())]
    device: String,
}

impl Watch {
    pub(super) async fn run(self, connection: Connection, json: bool) -> Result<(), Failure> {
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
        let mut hint = std::pin::pin!(tokio::time::sleep(HINT_AFTER));
        let mut heard = false;
        loop {
            let news = tokio::select! {
                _ = &mut ended => {
                    broker.leave().await;
                    return Ok(());
                }
                () = &mut hint, if !heard => {
                    let s = HINT_AFTER.as_secs();
                    print::remark(&format!("heard nothing in {s} s: no machine told anything, or this user may not read these topics"));
                    heard = true;
                    continue;
                }
                news = broker.next() => news,
            };
            match news {
                News::Message(message) => {
                    heard = true;
                    if let Some(line) = if json { json_line(&message) } else { words(&message) } {
                        print::line(&line)?;
                    }
                }
                News::Lost(reason) => print::remark(&format!("connection lost: {reason}")),
                News::Back => print::remark("connected again"),
            }
        }
    }
}

/// A message in words. A message that is no event and no status is shown as it came.
fn words(message: &Inbound) -> Option<String> {
    let (device, topic) = Topic::parse(&message.topic).filter(|_| message.payload != PROBE)?;
    let told = match topic {
        Topic::VendEvent => serde_json::from_slice::<VendEvent>(&message.payload).map(|event| print::event(device.as_str(), &event)),
        Topic::Status => serde_json::from_slice::<Status>(&message.payload).map(|status| print::status(&device, &status)),
        Topic::VendRequest
        | Topic::VendCancel
        | Topic::VendCollect
        | Topic::PaymentUpdate
        | Topic::ConfigDesired
        | Topic::ConfigReported
        | Topic::Telemetry
        | Topic::Stock
        | Topic::CommandResponse => return None,
    };
    Some(told.unwrap_or_else(|_| print::plain(&format!("{} {}", message.topic, String::from_utf8_lossy(&message.payload)))))
}

fn json_line(message: &Inbound) -> Option<String> {
    let (device, _) = Topic::parse(&message.topic).filter(|_| message.payload != PROBE)?;
    let tail = message.topic.splitn(4, '/').nth(3)?;
    let payload: Value =
        serde_json::from_slice(&message.payload).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&message.payload).into_owned()));
    Some(json!({ "device": device, "topic": tail, "payload": payload }).to_string())
}
