//! The task behind [`super::Mqtt`]. Each connection has a rumqttc client of its own, which ends with it.
//!
//! A client that outlives its connection sends old acknowledgements on the next one. It resends publishes under packet
//! ids that may collide (and then waits for ever), and forgets other publishes. A fresh client has nothing to remember:
//! the broker keeps the messages without our acknowledgement, and the caller keeps the publishes that were not reported
//! as delivered.

use super::acks::AckQueue;
use super::packets::EndedBy;
use super::{
    ANSWER_WAIT, DROP_WAIT, EVENTS_WAITING_MAX, GOODBYE_WAIT, Inbound, LinkCommand, LinkSettings, MAX_PACKET, MqttEvent, Outbound,
    PUBLISHES_AT_ONCE, PUBLISHES_WAITING_MAX, PublishId, RECEIVE_MAX, STABLE_AFTER, STOP_WAIT, packets,
};
use crate::backoff::Backoff;
use crate::tls::{self, CertificateRefusal};
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::v5::{ConnAck, PubAck, PubAckReason, Publish, SubAck};
use rumqttc::v5::mqttbytes::{Error as PacketError, QoS};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, Incoming, StateError};
use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// The most requests on their way to rumqttc's event loop: [`RECEIVE_MAX`] acknowledgements, [`PUBLISHES_AT_ONCE`] publishes
/// and a last one, a subscription, a goodbye. It never gets more.
const REQUESTS_MAX: usize = RECEIVE_MAX as usize + PUBLISHES_AT_ONCE + 3;

/// Connects and reconnects until it is told to stop, or until the caller is gone.
pub(super) async fn run(settings: LinkSettings, commands: mpsc::UnboundedReceiver<LinkCommand>, events: mpsc::Sender<MqttEvent>) {
    let mut backoff = Backoff::new(&settings.client_id);
    let mut caller = Caller { commands, events, waiting: VecDeque::new() };
    let (mut subscribed, mut speaks_5) = (false, false);
    for number in 1.. {
        let (client, mut event_loop) = AsyncClient::new(packets::options(&settings), REQUESTS_MAX);
        let mut connection = Connection::new(number, client, &settings, (subscribed, speaks_5));
        let end = connection.drive(&mut event_loop, &mut caller).await;
        drop(event_loop);
        connection.abandon(&mut caller);
        (subscribed, speaks_5) = (connection.subscribed, connection.speaks_5);
        let down = match end {
            End::Lost { reason, refused, certificate, thrown_out } if !connection.is_stopping() => {
                MqttEvent::Down { reason, refused, certificate, thrown_out }
            }
            End::Lost { .. } | End::Stopped => return,
        };
        caller.lost(down);
        if connection.up_since.is_some_and(|since| since.elapsed() >= STABLE_AFTER) {
            backoff.reset();
        }
        if caller.rest(backoff.next_wait()).await.is_break() {
            return;
        }
    }
}

enum End {
    Lost { reason: String, refused: bool, certificate: Option<CertificateRefusal>, thrown_out: bool },
    Stopped,
}

impl End {
    fn lost(reason: impl Into<String>) -> Self {
        Self::Lost { reason: reason.into(), refused: false, certificate: None, thrown_out: false }
    }
}

/// The caller: its commands, and the events that it has not taken yet.
struct Caller {
    commands: mpsc::UnboundedReceiver<LinkCommand>,
    events: mpsc::Sender<MqttEvent>,
    waiting: VecDeque<MqttEvent>,
}

enum Call {
    Command(LinkCommand),
    /// An event was handed over.
    Taken,
    /// The last handle or the receiver of events is gone.
    Gone,
}

impl Caller {
    /// The next news from the caller. If it is cancelled, nothing is lost.
    async fn next(&mut self) -> Call {
        tokio::select! {
            command = self.commands.recv() => command.map_or(Call::Gone, Call::Command),
            permit = self.events.reserve(), if !self.waiting.is_empty() => match (permit, self.waiting.pop_front()) {
                (Ok(permit), Some(event)) => {
                    permit.send(event);
                    Call::Taken
                }
                (Ok(_), None) => Call::Taken,
                (Err(_), _) => Call::Gone,
            },
            () = self.events.closed() => Call::Gone,
        }
    }

    fn tell(&mut self, event: MqttEvent) {
        // The usual case, without a detour through `next`. It keeps the order: no event passes one that waits already.
        if self.waiting.is_empty() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(event) | mpsc::error::TrySendError::Closed(event)) => self.waiting.push_back(event),
            }
        } else {
            self.waiting.push_back(event);
        }
    }

    /// The connection is gone. Messages from it that the caller has not taken are worthless: the broker sends them
    /// again. Of the news about up and down only the last counts. Answers to publishes stay.
    fn lost(&mut self, down: MqttEvent) {
        self.waiting.retain(|event| match event {
            MqttEvent::Delivered { .. } | MqttEvent::Rejected { .. } | MqttEvent::Undelivered(_) => true,
            MqttEvent::Up { .. } | MqttEvent::Down { .. } | MqttEvent::Message(_) => false,
        });
        self.tell(down);
    }

    /// Waits before the next attempt, and answers the caller meanwhile. `Break`: stop.
    async fn rest(&mut self, wait: Duration) -> std::ops::ControlFlow<()> {
        let mut over = pin!(tokio::time::sleep(wait));
        loop {
            tokio::select! {
                () = &mut over => return std::ops::ControlFlow::Continue(()),
                call = self.next() => match call {
                    Call::Command(LinkCommand::Publish(id, _)) => self.tell(MqttEvent::Undelivered(id)),
                    Call::Command(LinkCommand::Ack(_) | LinkCommand::DropConnection) | Call::Taken => {}
                    Call::Command(LinkCommand::Stop(_)) | Call::Gone => return std::ops::ControlFlow::Break(()),
                },
            }
        }
    }
}

/// One connection, from the attempt to its end.
struct Connection<'a> {
    client: AsyncClient,
    settings: &'a LinkSettings,
    /// This process has subscribed in the session that the broker may have kept, and no filter was refused.
    subscribed: bool,
    session_present: bool,
    /// The broker has let this process in with MQTT 5, now or before.
    speaks_5: bool,
    /// The time of CONNACK.
    let_in_at: Option<Instant>,
    /// The time at which [`MqttEvent::Up`] was told.
    up_since: Option<Instant>,
    /// Messages that came before it, from a session that the broker kept: whoever takes a message can answer it.
    early: Vec<Inbound>,
    acks: AckQueue,
    /// The acknowledgements that may leave, in order.
    to_acknowledge: VecDeque<u16>,
    /// The number of acknowledgements that the event loop has and has not written yet.
    acks_under_way: u16,
    /// The publishes from the oldest one without an answer on, [`PUBLISHES_AT_ONCE`] at most. At the end the last message is
    /// one more. An answered one stays behind an older one without an answer: rumqttc gives out packet ids in turn, and must
    /// never come to one that is still in use.
    in_flight: VecDeque<InFlight>,
    publishes: VecDeque<(PublishId, Outbound)>,
    /// The time at which the answer to a subscription or publish is overdue.
    answer_due: Option<Instant>,
    /// The time at which the connection is broken off, because a message could not be stored.
    drop_at: Option<Instant>,
    stopping: Stopping,
}

struct InFlight {
    what: Sent,
    /// Known once the publish was written.
    packet_id: Option<u16>,
}

#[derive(Clone, Copy)]
enum Sent {
    Publish(PublishId),
    /// The last message of a stop.
    Last,
    Answered,
}

impl Sent {
    const fn id(self) -> Option<PublishId> {
        match self {
            Self::Publish(id) => Some(id),
            Self::Last | Self::Answered => None,
        }
    }
}

enum Stopping {
    No,
    /// The last message is on its way. At this time the goodbye follows, even without its acknowledgement.
    LastMessage {
        until: Instant,
    },
    /// The goodbye is on its way, until this time.
    Goodbye {
        until: Instant,
    },
}

impl<'a> Connection<'a> {
    fn new(number: u64, client: AsyncClient, settings: &'a LinkSettings, (subscribed, speaks_5): (bool, bool)) -> Self {
        Self {
            client,
            settings,
            subscribed,
            session_present: false,
            speaks_5,
            let_in_at: None,
            up_since: None,
            early: Vec::new(),
            acks: AckQueue::new(number),
            to_acknowledge: VecDeque::new(),
            acks_under_way: 0,
            in_flight: VecDeque::new(),
            publishes: VecDeque::new(),
            answer_due: None,
            drop_at: None,
            stopping: Stopping::No,
        }
    }

    async fn drive(&mut self, event_loop: &mut EventLoop, caller: &mut Caller) -> End {
        loop {
            // A poll that is dropped in the middle starts the connection attempt anew. So the poll is kept, whatever else
            // happens. While the caller takes nothing, nothing more is read.
            let polled = {
                let mut poll = pin!(event_loop.poll());
                loop {
                    let reading = caller.waiting.len() < EVENTS_WAITING_MAX || self.is_stopping();
                    tokio::select! {
                        polled = &mut poll, if reading => break polled,
                        call = caller.next() => {
                            let ended = match call {
                                Call::Taken => None,
                                Call::Gone => Some(End::Stopped),
                                Call::Command(command) => self.obey(command, caller).err(),
                            };
                            if let Some(end) = ended {
                                return end;
                            }
                        }
                        () = at(self.overdue()) => match self.stopping {
                            Stopping::No if self.is_dropping() => return End::lost("dropped: a message could not be stored"),
                            Stopping::No => return End::lost("the broker does not answer a publish or subscription"),
                            Stopping::LastMessage { .. } => self.say_goodbye(),
                            Stopping::Goodbye { .. } => return End::Stopped,
                        },
                    }
                }
            };
            let ended = match polled {
                Ok(Event::Incoming(packet)) => self.receive(packet, caller).err(),
                Ok(Event::Outgoing(sent)) => self.sent(&sent).err(),
                Err(error) => Some(self.failed(&error, caller)),
            };
            if let Some(end) = ended {
                return end;
            }
        }
    }

    fn obey(&mut self, command: LinkCommand, caller: &mut Caller) -> Result<(), End> {
        match command {
            LinkCommand::Publish(id, message) => {
                let open = self.up_since.is_some() && !self.is_stopping();
                if open && self.publishes.len() < PUBLISHES_WAITING_MAX {
                    self.publishes.push_back((id, message));
                    self.publish_next(caller)?;
                } else {
                    caller.tell(MqttEvent::Undelivered(id));
                }
            }
            LinkCommand::Ack(ack) => {
                self.to_acknowledge.extend(self.acks.mark(ack));
                self.acknowledge()?;
            }
            LinkCommand::DropConnection => {
                self.drop_at.get_or_insert_with(|| Instant::now() + DROP_WAIT);
            }
            LinkCommand::Stop(_) if self.is_stopping() => {}
            LinkCommand::Stop(last) => {
                if self.up_since.is_none() {
                    return Err(End::Stopped);
                }
                let sent = last.is_some_and(|message| send(&self.client, message).is_ok());
                if sent {
                    self.in_flight.push_back(InFlight { what: Sent::Last, packet_id: None });
                    self.stopping = Stopping::LastMessage { until: Instant::now() + STOP_WAIT };
                } else {
                    self.say_goodbye();
                }
            }
        }
        Ok(())
    }

    /// Hands acknowledgements to the event loop, never so many that a publish would find no room behind them. The event
    /// loop may stand still: while the caller takes nothing, nothing is read, and so nothing is written.
    fn acknowledge(&mut self) -> Result<(), End> {
        while self.acks_under_way < RECEIVE_MAX
            && let Some(packet_id) = self.to_acknowledge.pop_front()
        {
            // rumqttc wants the message back, and looks at these two fields.
            let message = Publish { qos: QoS::AtLeastOnce, pkid: packet_id, ..Publish::default() };
            self.client.try_ack(&message).map_err(|_| queue_full())?;
            self.acks_under_way += 1;
        }
        Ok(())
    }

    fn receive(&mut self, packet: Incoming, caller: &mut Caller) -> Result<(), End> {
        match packet {
            Incoming::ConnAck(connack) => self.connected(&connack, caller),
            Incoming::SubAck(suback) => {
                self.subscription_answered(&suback, caller);
                Ok(())
            }
            Incoming::Publish(message) => self.deliver(message, caller),
            Incoming::PubAck(puback) => self.publish_answered(&puback, caller),
            // No other packet asks anything of us. rumqttc answers pings, and turns a DISCONNECT into an error.
            _ => Ok(()),
        }
    }

    fn connected(&mut self, connack: &ConnAck, caller: &mut Caller) -> Result<(), End> {
        self.session_present = connack.session_present;
        self.let_in_at = Some(Instant::now());
        self.speaks_5 = true;
        let are_kept = !self.settings.subscriptions.iter().any(|subscription| subscription.at_most_once);
        if self.settings.subscriptions.is_empty() || (connack.session_present && self.subscribed && are_kept) {
            self.go_up(Vec::new(), caller);
            return Ok(());
        }
        self.subscribed = false;
        self.client.try_subscribe_many(self.settings.subscriptions.iter().map(packets::filter)).map_err(|_| queue_full())?;
        self.answer_due = Some(Instant::now() + ANSWER_WAIT);
        Ok(())
    }

    fn subscription_answered(&mut self, suback: &SubAck, caller: &mut Caller) {
        self.answer_due = None;
        let mut codes = suback.return_codes.iter();
        let words = suback.properties.as_ref().and_then(|properties| properties.reason_string.as_deref());
        let refused: Vec<_> = self
            .settings
            .subscriptions
            .iter()
            .filter_map(|subscription| {
                let reason = match codes.next() {
                    Some(code) => packets::subscription_refusal(code)?,
                    None => "not answered",
                };
                Some((subscription.filter.clone(), packets::with_words(reason, words).into()))
            })
            .collect();
        self.subscribed = refused.is_empty();
        self.go_up(refused, caller);
    }

    fn go_up(&mut self, refused: Vec<(String, Box<str>)>, caller: &mut Caller) {
        self.up_since = Some(Instant::now());
        caller.tell(MqttEvent::Up { session_present: self.session_present, refused });
        std::mem::take(&mut self.early).into_iter().for_each(|message| caller.tell(MqttEvent::Message(message)));
    }

    fn deliver(&mut self, message: Publish, caller: &mut Caller) -> Result<(), End> {
        if self.is_stopping() {
            return Ok(());
        }
        // No broker sends more than `RECEIVE_MAX` others without an answer.
        let is_early = self.up_since.is_none();
        if is_early && message.qos == QoS::AtMostOnce && self.early.len() >= EVENTS_WAITING_MAX {
            return Ok(());
        }
        let ack = self.acks.admit((message.qos != QoS::AtMostOnce).then_some(message.pkid));
        let Ok(topic) = String::from_utf8(message.topic.to_vec()) else {
            // The protocol forbids this acknowledgement, so nobody waits for it.
            return self.obey(LinkCommand::Ack(ack), caller);
        };
        // What is too large for its topic is cut: its reader refuses it all the same, and many of them must not fill the memory.
        let is_large = self.settings.large.as_ref().is_some_and(|(large, _)| packets::fits(large, &topic));
        let room = if is_large { usize::MAX } else { MAX_PACKET as usize };
        let properties = message.properties.unwrap_or_default();
        let message = Inbound {
            topic,
            payload: message.payload[..message.payload.len().min(room)].to_vec(),
            retain: message.retain,
            dup: message.dup,
            qos: message.qos as u8,
            expiry_s: properties.message_expiry_interval,
            response_topic: properties.response_topic,
            correlation_data: properties.correlation_data.map(|data| data.to_vec()),
            ack,
        };
        if is_early {
            self.early.push(message);
        } else {
            caller.tell(MqttEvent::Message(message));
        }
        Ok(())
    }

    fn publish_next(&mut self, caller: &mut Caller) -> Result<(), End> {
        while self.in_flight.len() < PUBLISHES_AT_ONCE
            && !self.is_stopping()
            && let Some((id, message)) = self.publishes.pop_front()
        {
            if !rumqttc::v5::mqttbytes::valid_topic(&message.topic) || message.topic.is_empty() {
                caller.tell(MqttEvent::Rejected { id, reason: "topic name invalid".into() });
                continue;
            }
            self.in_flight.push_back(InFlight { what: Sent::Publish(id), packet_id: None });
            self.answer_due.get_or_insert_with(|| Instant::now() + ANSWER_WAIT);
            send(&self.client, message)?;
        }
        Ok(())
    }

    fn publish_answered(&mut self, puback: &PubAck, caller: &mut Caller) -> Result<(), End> {
        let Some(sent) = self.in_flight.iter_mut().find(|sent| sent.packet_id == Some(puback.pkid)) else {
            return Err(End::lost("the broker acknowledged a publish that was not sent"));
        };
        sent.packet_id = None;
        match (std::mem::replace(&mut sent.what, Sent::Answered), packets::publish_refusal(puback.reason)) {
            (Sent::Publish(id), None) => {
                caller.tell(MqttEvent::Delivered { id, heard: puback.reason != PubAckReason::NoMatchingSubscribers });
            }
            (Sent::Publish(id), Some(reason)) => {
                let words = puback.properties.as_ref().and_then(|properties| properties.reason_string.as_deref());
                caller.tell(MqttEvent::Rejected { id, reason: packets::with_words(reason, words).into() });
            }
            (Sent::Last, _) => self.say_goodbye(),
            (Sent::Answered, _) => {}
        }
        while matches!(self.in_flight.front(), Some(InFlight { what: Sent::Answered, .. })) {
            self.in_flight.pop_front();
        }
        // The broker works. The others have as long again.
        self.answer_due = (!self.in_flight.is_empty()).then(|| Instant::now() + ANSWER_WAIT);
        self.publish_next(caller)
    }

    /// The event loop has written a packet. A publish has its packet id now. An acknowledgement makes room. After the
    /// goodbye the work is done.
    fn sent(&mut self, sent: &Outgoing) -> Result<(), End> {
        match sent {
            Outgoing::Publish(packet_id) => {
                if let Some(publish) = self.unwritten() {
                    publish.packet_id = Some(*packet_id);
                }
                Ok(())
            }
            Outgoing::PubAck(_) => {
                self.acks_under_way = self.acks_under_way.saturating_sub(1);
                self.acknowledge()
            }
            Outgoing::Disconnect => Err(End::Stopped),
            _ => Ok(()),
        }
    }

    /// The oldest publish that the event loop has not written yet.
    fn unwritten(&mut self) -> Option<&mut InFlight> {
        self.in_flight.iter_mut().find(|sent| sent.packet_id.is_none() && !matches!(sent.what, Sent::Answered))
    }

    fn say_goodbye(&mut self) {
        // If the event loop does not even take this, the time limit ends the connection.
        drop(self.client.try_disconnect());
        self.stopping = Stopping::Goodbye { until: Instant::now() + GOODBYE_WAIT };
    }

    fn failed(&mut self, error: &ConnectionError, caller: &mut Caller) -> End {
        // The broker said in CONNACK how much it takes. So the same message would break every connection.
        if let ConnectionError::MqttState(StateError::Deserialization(PacketError::OutgoingPacketTooLarge { .. })) = error
            && let Some(sent) = self.unwritten()
            && let Sent::Publish(id) = std::mem::replace(&mut sent.what, Sent::Answered)
        {
            caller.tell(MqttEvent::Rejected { id, reason: "packet too large".into() });
        }
        let thrown_out = match packets::ended_by(error) {
            Some(EndedBy::TakeOver) => true,
            Some(EndedBy::Silence) => self.let_in_at.is_some_and(|at| at.elapsed() < STABLE_AFTER),
            None => false,
        };
        End::Lost {
            reason: tls::refused_dates(error).unwrap_or_else(|| packets::reason(error, self.speaks_5)),
            refused: packets::is_refusal(error),
            certificate: tls::certificate_refusal(error),
            thrown_out,
        }
    }

    /// Answers the publishes that were lost with the connection.
    fn abandon(&mut self, caller: &mut Caller) {
        let sent = self.in_flight.drain(..).filter_map(|sent| sent.what.id());
        for id in sent.chain(self.publishes.drain(..).map(|(id, _)| id)) {
            caller.tell(MqttEvent::Undelivered(id));
        }
    }

    fn is_stopping(&self) -> bool {
        !matches!(self.stopping, Stopping::No)
    }

    fn is_dropping(&self) -> bool {
        self.drop_at.is_some_and(|at| at <= Instant::now())
    }

    fn overdue(&self) -> Option<Instant> {
        match self.stopping {
            Stopping::No => [self.answer_due, self.drop_at].into_iter().flatten().min(),
            Stopping::LastMessage { until } | Stopping::Goodbye { until } => Some(until),
        }
    }
}

fn send(client: &AsyncClient, mut message: Outbound) -> Result<(), End> {
    let properties = packets::properties(&mut message);
    client
        .try_publish_with_properties(message.topic, QoS::AtLeastOnce, message.retain, message.payload, properties)
        .map_err(|_| queue_full())
}

fn queue_full() -> End {
    End::lost("the MQTT client takes no more requests")
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
