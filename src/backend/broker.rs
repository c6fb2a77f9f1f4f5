//! The outbox's way to the broker. Publishes only: one message at a time, deleted when the broker acknowledged it.

use super::books;
use super::shop::Shop;
use crate::host::config::MqttSettings;
use crate::host::events::{Event as Journal, emit};
use crate::host::mqtt::{LinkSettings, Mqtt, MqttEvent, Outbound, PublishId};
use crate::host::tls::{LastTrusted, TlsError};
use ring::rand::{SecureRandom, SystemRandom};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;

/// The broker drops news that nobody fetched: the machine asks by itself when it is back.
const NEWS_EXPIRY_S: u32 = 600;
/// Events of the connection that may wait.
const EVENTS: usize = 64;
/// The outbox is looked at so often without being poked.
const LOOK: Duration = Duration::from_secs(5);

/// The connection as it is wanted. The name is new at each start: nothing is kept for us at the broker, and a second
/// backend does not throw the first one out.
///
/// # Errors
/// The certificates cannot be used.
pub fn settings(wanted: &MqttSettings) -> Result<LinkSettings, TlsError> {
    let mut bits = [0; 6];
    SystemRandom::new().fill(&mut bits).expect("the kernel has randomness");
    LinkSettings::new(wanted.clone(), format!("qris-backend-{}", super::hex(&bits)), &LastTrusted::default())
}

/// Publishes what is in the outbox, for ever.
pub async fn publish(shop: Arc<Shop>, broker: String, settings: LinkSettings) {
    let (mqtt, mut events) = Mqtt::start(settings, EVENTS);
    let mut link = Link { broker, up: false, told_down: false };
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => { link.take(&event); }
                None => return,
            },
            () = shop.outbox.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
        if link.up {
            empty(&shop, &mqtt, &mut events, &mut link).await;
        }
    }
}

/// Publishes until the outbox is empty or the link is lost.
async fn empty(shop: &Shop, mqtt: &Mqtt, events: &mut mpsc::Receiver<MqttEvent>, link: &mut Link) {
    let mut after = 0;
    loop {
        let Ok(messages) = shop.read(move |tx| books::take_outbox(tx, after)).await else { return };
        if messages.is_empty() {
            return;
        }
        let mut done = Vec::new();
        for message in messages {
            let id = PublishId(u64::try_from(message.seq).unwrap_or(0));
            after = message.seq;
            let (topic, payload) = (message.topic, message.payload.into_bytes());
            mqtt.publish(id, Outbound { topic, payload, expiry_s: Some(NEWS_EXPIRY_S), ..Outbound::default() });
            if link.wait(events, id).await {
                shop.counts.published.fetch_add(1, Ordering::Relaxed);
                done.push(message.seq);
            }
            if !link.up {
                break;
            }
        }
        if !done.is_empty() && shop.write(move |tx, _| books::published(tx, &done)).await.is_err() {
            return;
        }
        if !link.up {
            return;
        }
    }
}

struct Link {
    broker: String,
    up: bool,
    told_down: bool,
}

impl Link {
    fn take(&mut self, event: &MqttEvent) {
        match event {
            MqttEvent::Up { .. } => {
                self.up = true;
                self.told_down = false;
                emit(&Journal::BrokerConnected { broker: self.broker.clone().into() });
            }
            MqttEvent::Down { reason, .. } => {
                self.up = false;
                // Every failed attempt is one; the first says it.
                if !std::mem::replace(&mut self.told_down, true) {
                    emit(&Journal::BrokerLost { broker: self.broker.clone().into(), why: reason.clone().into() });
                }
            }
            MqttEvent::Message(_) | MqttEvent::Delivered { .. } | MqttEvent::Rejected { .. } | MqttEvent::Undelivered(_) => {}
        }
    }

    /// Waits for what became of one message. True: it need not be sent again.
    async fn wait(&mut self, events: &mut mpsc::Receiver<MqttEvent>, id: PublishId) -> bool {
        while let Some(event) = events.recv().await {
            self.take(&event);
            match event {
                MqttEvent::Delivered { id: of, .. } if of == id => return true,
                // It would be refused again; the machine learns by asking.
                MqttEvent::Rejected { id: of, reason } if of == id => {
                    emit(&Journal::BrokerLost { broker: self.broker.clone().into(), why: format!("it refuses news: {reason}").into() });
                    return true;
                }
                MqttEvent::Undelivered(of) if of == id => return false,
                MqttEvent::Up { .. }
                | MqttEvent::Down { .. }
                | MqttEvent::Message(_)
                | MqttEvent::Delivered { .. }
                | MqttEvent::Rejected { .. }
                | MqttEvent::Undelivered(_) => {}
            }
        }
        self.up = false;
        false
    }
}
