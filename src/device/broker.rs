//! The broker: the link to it, the receivers of its messages, and the topics of the machine's own notices.

use super::controller::mqtt::Reader;
use super::inbox::Inbox;
use super::words::{ANSWER, Input, Notice};
use qris_core::order::ids::DeviceId;
use qris_core::wire::command::{self, SCREENSHOT};
use qris_core::wire::settings::SETTINGS_MAX;
use qris_core::wire::status::{OFFLINE_KEPT_S, Status};
use qris_core::wire::topics::{self, PROBE, Topic};
use qris_host::config::MqttSettings;
use qris_host::mqtt::{LinkSettings, Mqtt, MqttEvent, Outbound, Retained, Subscription, Will, client_id};
use qris_host::secret::Secret;
use qris_host::tls::{CertificateRefusal, LastTrusted, TlsError};
use tokio::sync::{mpsc, oneshot};

/// A machine that vanished is said to be offline after this time.
const WILL_DELAY_S: u32 = 30;

/// The link to the broker, with the client id of the machine of this token: the subscriptions, and the broker's words when this machine vanishes.
pub fn link(device: &DeviceId, token: &Secret, settings: &MqttSettings, trusted: &LastTrusted) -> Result<LinkSettings, TlsError> {
    let mut link = LinkSettings::new(settings.clone(), client_id(device.as_str(), token), trusted)?;
    let offline = serde_json::to_vec(&Status::offline(env!("CARGO_PKG_VERSION"))).expect("a status is plain data");
    link.will =
        Some(Will { topic: Topic::Status.of(device), payload: offline, retain: true, delay_s: WILL_DELAY_S, expiry_s: OFFLINE_KEPT_S });
    let desired = Topic::ConfigDesired.of(device);
    link.subscriptions = topics::subscriptions(device)
        .into_iter()
        .map(|filter| {
            // Only settings are meant for later. A retained request may be of any age.
            let retained = if filter == desired { Retained::Always } else { Retained::Never };
            Subscription { filter, retained, retain_as_published: true, at_most_once: false }
        })
        .collect();
    link.large = Some((desired, SETTINGS_MAX));
    Ok(link)
}

/// Takes the broker's events to the machine, until the link has ended.
pub async fn listen(
    mut events: mpsc::Receiver<MqttEvent>,
    mqtt: Mqtt,
    device: DeviceId,
    mut controllers: Reader,
    inbox: Inbox,
    gone: oneshot::Sender<()>,
) {
    let picture = command::request_topic(&device, SCREENSHOT);
    while let Some(event) = events.recv().await {
        match event {
            MqttEvent::Up { refused, .. } => inbox.send(Input::BrokerUp { refused }),
            MqttEvent::Down { reason, certificate, thrown_out, .. } => {
                let date_refusal = certificate == Some(CertificateRefusal::Dates);
                inbox.send(Input::BrokerDown { reason: reason.into(), date_refusal, thrown_out });
            }
            MqttEvent::Message(message) => {
                // A question for a picture has nothing in it, either.
                if message.payload == PROBE && message.topic != picture {
                    mqtt.ack(message.ack);
                    continue;
                }
                let Some(message) = controllers.take(message).await else { continue };
                let (payload, ack) = (message.payload, message.ack);
                match Topic::parse(&message.topic).filter(|(to, _)| *to == device).map(|(_, topic)| topic) {
                    Some(Topic::PaymentUpdate) => inbox.send_foreign(Input::PaymentUpdate { payload, ack }).await,
                    Some(Topic::ConfigDesired) => inbox.send_foreign(Input::Desired { payload, ack }).await,
                    // The topic is not subscribed, or means nothing for this machine. Nothing may wait for it.
                    _ => mqtt.ack(ack),
                }
            }
            MqttEvent::Undelivered(ANSWER) => {}
            MqttEvent::Delivered { id, .. } => inbox.send(Input::Delivered(id)),
            MqttEvent::Rejected { id, reason } => inbox.send(Input::Undelivered(id, Some(reason))),
            MqttEvent::Undelivered(id) => inbox.send(Input::Undelivered(id, None)),
        }
    }
    // Nobody waits any more if the stop took too long.
    let _ = gone.send(());
}

#[must_use]
pub fn outbound(device: &DeviceId, notice: Notice, payload: Vec<u8>) -> Outbound {
    let is_probe = payload == PROBE;
    // Nobody needs a probe later.
    let expiry_s = is_probe.then_some(1);
    Outbound { topic: notice.topic().of(device), payload, retain: notice.is_kept() && !is_probe, expiry_s, ..Outbound::default() }
}
