//! The outbox's way to the broker. Each message is deleted when the broker has acknowledged it. Of several backends on the same books
//! one has the turn to publish at a time. All of them hear what machines say of themselves, and nothing else.

use crate::counters::Counters;
use crate::machines::handle::Machines;
use crate::sale::books;
use crate::sale::books::Message;
use crate::sale::handle::{Bell, Books};
use crate::sale::waiters::Waiters;
use qris_core::order::time::Span;
use qris_core::wire::stock::STOCK_MAX;
use qris_core::wire::topics::Topic;
use qris_host::clock;
use qris_host::config::MqttSettings;
use qris_host::events::Event as Journal;
use qris_host::mqtt::{LinkSettings, Mqtt, MqttEvent, Outbound, PUBLISHES_AT_ONCE, PublishId, Retained, Subscription};
use qris_host::random;
use qris_host::surroundings::Surroundings;
use qris_host::tls::{LastTrusted, TlsError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The broker drops news that nobody fetched after this time: a machine that comes back asks by itself.
const NEWS_EXPIRY_S: u32 = 600;
/// The most events of the connection that may wait.
const EVENTS: usize = 64;
/// How often the outbox is looked at without a call to do so.
const LOOK: Duration = Duration::from_secs(5);

/// The settings of the connection. The name is new at each start: the broker keeps nothing for us, and a second
/// backend does not throw the first one out.
pub fn settings(wanted: &MqttSettings) -> Result<LinkSettings, TlsError> {
    let mut settings = LinkSettings::new(wanted.clone(), format!("qris-backend-{}", random::name()), &LastTrusted::default())?;
    // A status or a stock that the broker has kept tells much. An old report tells only that reports are heard. Without
    // retain-as-published a message is marked as retained if the broker had kept it, and only then.
    let heard = [(Topic::Status, Retained::Always), (Topic::Telemetry, Retained::Always), (Topic::Stock, Retained::Always)];
    let hear =
        |(topic, retained): (Topic, _)| Subscription { filter: topic.of_all(), retained, retain_as_published: false, at_most_once: true };
    settings.subscriptions = heard.map(hear).into();
    settings.large = Some((Topic::Stock.of_all(), STOCK_MAX));
    Ok(settings)
}

/// The outbox, the machines that its messages are for, and the counter of those that the broker has.
#[derive(Debug)]
pub struct Publisher {
    around: Arc<dyn Surroundings>,
    books: Arc<Books>,
    machines: Arc<Machines>,
    waiters: Arc<Waiters>,
    counters: Arc<Counters>,
}

impl Publisher {
    #[must_use]
    pub fn new(
        books: Arc<Books>,
        machines: Arc<Machines>,
        waiters: Arc<Waiters>,
        counters: Arc<Counters>,
        around: Arc<dyn Surroundings>,
    ) -> Self {
        Self { around, books, machines, waiters, counters }
    }

    /// Publishes the messages of the outbox, and hears the machines, to the end of the program.
    pub async fn publish(self, broker: String, settings: LinkSettings) {
        let (mqtt, mut events) = Mqtt::start(settings, EVENTS);
        let (around, machines, counters) = (Arc::clone(&self.around), Arc::clone(&self.machines), Arc::clone(&self.counters));
        let mut link = Link { around, machines, counters, mqtt: mqtt.clone(), broker, up: false, told_down: false };
        let mut emptied = Instant::now();
        loop {
            let is_called = tokio::select! {
                // However much machines say, receipts go out first.
                biased;
                () = self.books.rung(Bell::Outbox) => true,
                event = link.next(&mut events) => match event {
                    Some(event) => {
                        link.take(&event);
                        matches!(event, MqttEvent::Up { .. })
                    }
                    None => return,
                },
                () = tokio::time::sleep(LOOK) => true,
            };
            if link.up && (is_called || emptied.elapsed() >= LOOK) {
                self.empty(&mqtt, &mut events, &mut link).await;
                emptied = Instant::now();
            }
            if self.waiters.is_over() {
                return;
            }
        }
    }

    /// Publishes until the outbox is empty, the link is lost, or another process has the turn.
    async fn empty(&self, mqtt: &Mqtt, events: &mut mpsc::Receiver<MqttEvent>, link: &mut Link) {
        let mut done = Vec::new();
        let mut after = 0;
        loop {
            let began = clock::now().boot;
            let (who, taken) = (self.books.process().to_owned(), std::mem::take(&mut done));
            let goes_on = link.up;
            let next = self.books.write(move |tx, _, now| {
                books::published(tx, &taken)?;
                // Nobody waits for a turn that is not needed.
                let messages = if goes_on { books::take_outbox(tx, after)? } else { Vec::new() };
                if messages.is_empty() {
                    return books::publishing_ends(tx, &who).map(|()| messages);
                }
                Ok(if books::may_publish(tx, &who, now)? { messages } else { Vec::new() })
            });
            // If the turn cannot be given back, it ends.
            let Ok(messages) = next.await else { return };
            if messages.is_empty() {
                return;
            }
            for some in messages.chunks(PUBLISHES_AT_ONCE) {
                // Half of the turn is for the answers. A process that hung meanwhile publishes nothing over another one's news.
                if !link.up || clock::now().boot >= began + Span(books::PUBLISHING.0 / 2) {
                    break;
                }
                // All of them are handed over, then awaited. Each gets its answer, also when the connection is lost.
                let id = |message: &Message| PublishId(u64::try_from(message.seq).unwrap_or(0));
                for message in some {
                    let (topic, payload) = (message.topic.clone(), message.payload.clone().into_bytes());
                    mqtt.publish(id(message), Outbound { topic, payload, expiry_s: Some(NEWS_EXPIRY_S), ..Outbound::default() });
                }
                for message in some {
                    after = message.seq;
                    if link.is_done(events, id(message), &message.topic).await {
                        self.counters.published.inc();
                        done.push(message.seq);
                    }
                }
            }
        }
    }
}

struct Link {
    around: Arc<dyn Surroundings>,
    machines: Arc<Machines>,
    counters: Arc<Counters>,
    mqtt: Mqtt,
    broker: String,
    up: bool,
    told_down: bool,
}

impl Link {
    /// The next event. The broker tells all that it has kept in one moment, and that is written in pieces.
    async fn next(&self, events: &mut mpsc::Receiver<MqttEvent>) -> Option<MqttEvent> {
        self.machines.room().await;
        events.recv().await
    }

    fn take(&mut self, event: &MqttEvent) {
        match event {
            MqttEvent::Up { refused, .. } => {
                self.up = true;
                self.told_down = false;
                self.machines.hears(refused.is_empty());
                self.around.emit(&Journal::BrokerConnected { broker: self.broker.clone().into() });
                for (filter, why) in refused {
                    self.refused(filter, why);
                }
            }
            MqttEvent::Down { reason, .. } => {
                self.up = false;
                self.machines.hears(false);
                // Every failed attempt reports itself. The first one is told.
                if !std::mem::replace(&mut self.told_down, true) {
                    self.around.emit(&Journal::BrokerLost { broker: self.broker.clone().into(), why: reason.clone().into() });
                }
            }
            MqttEvent::Message(message) => {
                self.mqtt.ack(message.ack);
                if self.machines.reported(message).is_err() {
                    self.counters.messages_unread.inc();
                }
            }
            MqttEvent::Delivered { .. } | MqttEvent::Rejected { .. } | MqttEvent::Undelivered(_) => {}
        }
    }

    fn refused(&self, topic: &str, why: &str) {
        self.around.emit(&Journal::TopicRefused {
            broker: self.broker.clone().into(),
            topic: topic.to_owned().into(),
            why: why.to_owned().into(),
        });
    }

    /// Waits for the fate of one message. False: it must be sent again.
    async fn is_done(&mut self, events: &mut mpsc::Receiver<MqttEvent>, id: PublishId, topic: &str) -> bool {
        while let Some(event) = self.next(events).await {
            self.take(&event);
            match event {
                MqttEvent::Delivered { id: of, .. } if of == id => {
                    self.machines.written(topic, true);
                    return true;
                }
                // It would be refused again. The machine learns the news by asking.
                MqttEvent::Rejected { id: of, reason } if of == id => {
                    if self.machines.written(topic, false) {
                        self.refused(topic, &reason);
                    }
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
