//! Controllers anywhere, over the broker: `vend/request`, `vend/cancel`, `vend/collect`, and a fleet's commands. `vend/event` tells
//! them the course of a request. The event comes from the machine's outbox, so a power cut does not stop it.

pub mod commands;

use super::requests::{Controllers, Requests};
use crate::words::{ControllerKind, Request};
use commands::Commands;
use qris_core::order::ids::DeviceId;
use qris_core::order::reason::Reason;
use qris_core::order::request::{Refusal, Way};
use qris_core::wire::topics::Topic;
use qris_core::wire::vend::{Rejected, Vend, read_cancel, read_collect, read_request};
use qris_host::mqtt::{Inbound, Mqtt};
use qris_screen::Camera;

/// A reply acknowledges the message. The broker does not carry its words.
pub const KIND: ControllerKind = ControllerKind { way: Way::Remote, hears_replies: false };

pub struct Reader {
    device: DeviceId,
    mqtt: Mqtt,
    requests: Requests,
    commands: Commands,
}

impl Reader {
    pub(super) fn start(controllers: &Controllers, device: DeviceId, mqtt: Mqtt, camera: Camera) -> Self {
        let commands = Commands::new(device.clone(), mqtt.clone(), camera, controllers.inbox.clone());
        Self { device, mqtt, requests: controllers.requests(KIND), commands }
    }

    /// Takes a message if a controller or a fleet sent it; else gives it back.
    pub async fn take(&mut self, message: Inbound) -> Option<Inbound> {
        let message = self.commands.take(message).await?;
        let topic = Topic::parse(&message.topic).filter(|(to, _)| *to == self.device).map(|(_, topic)| topic);
        let Some(request) = topic.and_then(|topic| read(topic, &message.payload, message.retain)) else { return Some(message) };
        let (mqtt, ack) = (self.mqtt.clone(), message.ack);
        self.requests.put(request, move |_| mqtt.ack(ack)).await;
        None
    }
}

/// The question in a message; `None`: this topic is not for questions.
#[must_use]
pub fn read(topic: Topic, payload: &[u8], retained: bool) -> Option<Request> {
    let rejected = |Rejected { request_id, refusal }| Request::Refused(request_id, refusal);
    match topic {
        Topic::VendRequest | Topic::VendCancel | Topic::VendCollect if retained => {
            let request_id = match read_request(payload) {
                Ok(Vend::Sale(request)) => Some(request.request_id),
                Ok(Vend::TryAgain(request)) => Some(request.request_id),
                Err(rejected) => rejected.request_id,
            };
            Some(Request::Refused(request_id, Refusal::new(Reason::Retained, "a retained message may be of any age")))
        }
        Topic::VendRequest => Some(match read_request(payload) {
            Ok(Vend::Sale(request)) => Request::Vend(request),
            Ok(Vend::TryAgain(request)) => Request::TryAgain(request),
            Err(refused) => rejected(refused),
        }),
        Topic::VendCancel => Some(read_cancel(payload).map_or_else(rejected, Request::Cancel)),
        Topic::VendCollect => Some(read_collect(payload).map_or_else(|refusal| Request::Refused(None, refusal), Request::Collect)),
        Topic::PaymentUpdate
        | Topic::VendEvent
        | Topic::Status
        | Topic::ConfigDesired
        | Topic::ConfigReported
        | Topic::Telemetry
        | Topic::Stock
        | Topic::CommandResponse => None,
    }
}
