//! The outbox's way to the broker. It only publishes. Each message is deleted when the broker has acknowledged it. Of several
//! backends on the same books one has the turn to publish at a time.

use crate::counters::Counters;
use crate::machines::handle::Machines;
use crate::sale::books;
use crate::sale::books::Message;
use crate::sale::handle::{Bell, Books};
use crate::sale::view;
use crate::sale::waiters::Waiters;
use qris_core::order::ids::DeviceId;
use qris_core::order::time::Span;
use qris_core::wire::payment::PaymentUpdate;
use qris_core::wire::topics::Topic;
use qris_host::clock;
use qris_host::config::MqttSettings;
use qris_host::events::Event as Journal;
use qris_host::mqtt::{LinkSettings, Mqtt, MqttEvent, Outbound, PUBLISHES_AT_ONCE, PublishId};
use qris_host::random;
use qris_host::surroundings::Surroundings;
use qris_host::tls::{LastTrusted, TlsError};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The broker drops news that nobody fetched after this time: a machine that comes back asks by itself.
const NEWS_EXPIRY_S: u32 = 600;
/// A message that looks for a machine is dropped after this time: a machine that comes back later learns nothing from it.
const LOOK_FOR_EXPIRY_S: u32 = 30;
/// No place in the outbox has this number.
const LOOKING: PublishId = PublishId(u64::MAX);
/// The most events of the connection that may wait.
const EVENTS: usize = 64;
/// How often the outbox is looked at without a call to do so.
const LOOK: Duration = Duration::from_secs(5);

/// The settings of the connection. The name is new at each start: the broker keeps nothing for us, and a second
/// backend does not throw the first one out.
///
/// # Errors
/// The certificates cannot be used.
pub fn settings(wanted: &MqttSettings) -> Result<LinkSettings, TlsError> {
    LinkSettings::new(wanted.clone(), format!("qris-backend-{}", random::name()), &LastTrusted::default())
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
    /// Publishes the news of these books.
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

    /// Publishes the messages of the outbox, to the end of the program. With `watches` it also finds out which machines are there.
    pub async fn publish(self, broker: String, settings: LinkSettings, watches: bool) {
        let mut link = Link { around: Arc::clone(&self.around), broker, up: false, told_down: false };
        let (mqtt, mut events) = Mqtt::start(settings, EVENTS);
        let (mut emptied, mut looked) = (Instant::now(), Instant::now());
        // The machines to look for now. Of many machines hundreds may be due at once, and a receipt must not wait for them.
        let mut silent = VecDeque::new();
        loop {
            let is_called = tokio::select! {
                biased;
                event = events.recv() => match event {
                    Some(event) => {
                        link.take(&event);
                        true
                    }
                    None => return,
                },
                () = self.books.rung(Bell::Outbox) => true,
                () = tokio::time::sleep(LOOK), if silent.is_empty() => true,
                () = std::future::ready(()), if !silent.is_empty() => false,
            };
            if link.up && (is_called || emptied.elapsed() >= LOOK) {
                self.empty(&mqtt, &mut events, &mut link).await;
                emptied = Instant::now();
            }
            if self.waiters.is_over() {
                return;
            }
            if !link.up {
                silent.clear();
            } else if watches && looked.elapsed() >= LOOK {
                looked = Instant::now();
                silent.extend(self.machines.silent().await);
            }
            if let Some(device) = silent.pop_front() {
                self.look_for(&mqtt, &mut events, &mut link, device).await;
            }
        }
    }

    /// Sends a machine the news of its newest order once more, without the receipt. If somebody takes it, the machine is there.
    async fn look_for(&self, mqtt: &Mqtt, events: &mut mpsc::Receiver<MqttEvent>, link: &mut Link, device: DeviceId) {
        let wanted = device.clone();
        let Ok(Some(newest)) = self.books.read(move |tx| books::newest_of(tx, &wanted)).await else { return };
        let update =
            PaymentUpdate { order_id: newest.order.id.clone(), rev: newest.rev, status: view::status(&newest.order), receipt: None };
        let payload = serde_json::to_vec(&update).expect("plain data");
        let message =
            Outbound { topic: Topic::PaymentUpdate.of(&device), payload, expiry_s: Some(LOOK_FOR_EXPIRY_S), ..Outbound::default() };
        mqtt.publish(LOOKING, message);
        match link.wait(events, LOOKING).await {
            Some(Sent::Taken) => self.machines.called(&device).await,
            Some(Sent::NotTaken) => self.machines.not_taken(&device).await,
            Some(Sent::Refused) | None => {}
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
                    if link.wait(events, id(message)).await.is_some() {
                        self.counters.published.inc();
                        done.push(message.seq);
                    }
                }
            }
        }
    }
}

/// The fate of a message.
enum Sent {
    /// Somebody takes it: the machine, or its session, which is kept while the machine is away for a moment.
    Taken,
    /// The broker says that nobody takes it.
    NotTaken,
    /// The broker refuses it.
    Refused,
}

struct Link {
    around: Arc<dyn Surroundings>,
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
                self.around.emit(&Journal::BrokerConnected { broker: self.broker.clone().into() });
            }
            MqttEvent::Down { reason, .. } => {
                self.up = false;
                // Every failed attempt reports itself. The first one is told.
                if !std::mem::replace(&mut self.told_down, true) {
                    self.around.emit(&Journal::BrokerLost { broker: self.broker.clone().into(), why: reason.clone().into() });
                }
            }
            MqttEvent::Message(_) | MqttEvent::Delivered { .. } | MqttEvent::Rejected { .. } | MqttEvent::Undelivered(_) => {}
        }
    }

    /// Waits for the fate of one message. `None`: it must be sent again.
    async fn wait(&mut self, events: &mut mpsc::Receiver<MqttEvent>, id: PublishId) -> Option<Sent> {
        while let Some(event) = events.recv().await {
            self.take(&event);
            match event {
                MqttEvent::Delivered { id: of, heard } if of == id => return Some(if heard { Sent::Taken } else { Sent::NotTaken }),
                // It would be refused again. The machine learns the news by asking.
                MqttEvent::Rejected { id: of, reason } if of == id => {
                    self.around.emit(&Journal::BrokerLost {
                        broker: self.broker.clone().into(),
                        why: format!("it refuses news: {reason}").into(),
                    });
                    return Some(Sent::Refused);
                }
                MqttEvent::Undelivered(of) if of == id => return None,
                MqttEvent::Up { .. }
                | MqttEvent::Down { .. }
                | MqttEvent::Message(_)
                | MqttEvent::Delivered { .. }
                | MqttEvent::Rejected { .. }
                | MqttEvent::Undelivered(_) => {}
            }
        }
        self.up = false;
        None
    }
}
