//! Somebody at the backend's broker who sees the status of every machine, as the software of a fleet does.

use super::town::Town;
use qris_core::wire::status::{Presence, Status};
use qris_core::wire::topics::Topic;
use qris_host::config::MqttSettings;
use qris_host::mqtt::{EVENTS_WAITING_MAX, LinkSettings, Mqtt, MqttEvent, Retained, Subscription};
use qris_host::tls::{LastTrusted, TlsError};
use std::sync::Arc;

/// Begins to look.
///
/// # Errors
/// The connection's certificates.
pub fn start(town: &Arc<Town>, broker: MqttSettings) -> Result<Mqtt, TlsError> {
    let mut settings = LinkSettings::new(broker, "fleet-observer", &LastTrusted::default())?;
    let filter = Topic::Status.of_all();
    settings.subscriptions = vec![Subscription { filter, retained: Retained::Always, retain_as_published: false, at_most_once: true }];
    let (mqtt, mut events) = Mqtt::start(settings, EVENTS_WAITING_MAX);
    let (town, link) = (Arc::clone(town), mqtt.clone());
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            let MqttEvent::Message(message) = event else { continue };
            link.ack(message.ack);
            let told = Topic::parse(&message.topic).zip(serde_json::from_slice::<Status>(&message.payload).ok());
            let Some(((device, Topic::Status), status)) = told else { continue };
            let Some(machine) = device.as_str().strip_prefix("vm-").and_then(|number| number.parse().ok()) else { continue };
            let wave = match status.state {
                Presence::Online => status.boot_id.as_deref().and_then(|wave| wave.parse().ok()),
                Presence::Offline => None,
            };
            town.board.note(|tally| tally.status_seen(machine, wave));
        }
    });
    Ok(mqtt)
}
