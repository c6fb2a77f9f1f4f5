//! The connection to the broker, as a command needs it: it is made now, or the command fails.

use super::found::texts;
use super::{print, site};
use qris_core::order::time::Zone;
use qris_core::wire::stock::STOCK_MAX;
use qris_core::wire::topics::Topic;
use qris_core::wire::vend::VendEvent;
use qris_host::Failure;
use qris_host::config::{MqttSection, MqttSettings, Source};
use qris_host::mqtt::{Inbound, LinkSettings, Mqtt, MqttEvent, Outbound, PublishId, Retained, SESSION_EXPIRY_S, Subscription};
use qris_host::secret::Secret;
use qris_host::speech::fill;
use qris_host::tls::{LastTrusted, install_provider};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;

const CONNECT_WAIT: Duration = Duration::from_secs(15);
/// The environment variables that name a configuration file or a context. An empty value counts as unset.
const CONFIG_VARIABLE: &str = "QRISCTL_CONFIG";
const CONTEXT_VARIABLE: &str = "QRISCTL_CONTEXT";
/// The context without a name.
const USUAL_CONTEXT: &str = "qrisctl";
/// The last words of machines, which the broker has. Some messages must be acknowledged. As it is shipped, the broker queues 1,000 of these
/// for each client. It leaves out the others in silence: of a thousand machines that would be most words. Messages without acknowledgement
/// all come.
const LAST_WORDS: [&str; 4] = ["/status", "/config/reported", "/telemetry", STOCK];
const STOCK: &str = "/stock";
/// At most this many events wait for the terminal.
const EVENTS_MAX: usize = 64;

/// Where the broker is and as whom to go there. Flags win over the file.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Broker")]
pub(super) struct Connection {
    /// A file with a section [mqtt] as in qrisd.toml; QRISCTL_CONFIG may name it, too. The default is ~/.config/qrisctl/qrisctl.toml,
    /// if there is one
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The file ~/.config/qrisctl/NAME.toml, for one of several fleets; QRISCTL_CONTEXT may name it, too
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "config", value_parser = context)]
    pub(super) context: Option<String>,
    /// mqtts://HOST[:8883], or mqtt://HOST[:1883] on loopback
    #[arg(long, global = true, value_name = "URL")]
    pub(super) broker: Option<String>,
    /// The name at the broker
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) username: Option<String>,
    /// A file that holds the password
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
    /// The broker's private CA
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// Mutual TLS: our certificate
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) cert_file: Option<PathBuf>,
    /// Mutual TLS: its key
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) key_file: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum BrokerError {
    #[error(
        "no broker: give --broker URL, or a file with a section [mqtt]: --config FILE, --context NAME, or ~/.config/qrisctl/qrisctl.toml"
    )]
    Missing,
    /// A flag is wrong, or the flags and the file do not fit together.
    #[error("{}: {why}", flag(.key))]
    Setting {
        /// The key of [mqtt].
        key: &'static str,
        why: String,
    },
    #[error("{}", fill(texts().the_broker, &[.0]))]
    Down(String),
    #[error("{}", fill(texts().the_broker, &[.0]))]
    Certificate(String),
    /// No connection: it does not take our name or password.
    #[error("{}", fill(texts().the_broker, &[.0]))]
    Refused(String),
    #[error("{}", fill(texts().broker_silent, &[&CONNECT_WAIT.as_secs()]))]
    Silent,
    /// A subscription was refused.
    #[error("{}", fill(texts().broker_deaf, &[filter, reason]))]
    Deaf { filter: String, reason: Box<str> },
    /// A publish was refused.
    #[error("{}", fill(texts().broker_refuses_topic, &[topic, reason]))]
    Dumb { topic: String, reason: Box<str> },
    /// The connection was lost while a publish was on its way.
    #[error("{}", fill(texts().broker_lost, &[.0]))]
    Unknown(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenConfig {
    mqtt: Option<MqttSection>,
    operator_key: Option<PathBuf>,
    zone: Option<String>,
}

impl Connection {
    /// The account of the fleet, where both its name and its password are given.
    pub(super) fn fleet(&self) -> Result<Option<(String, Secret)>, Failure> {
        match (&self.username, &self.password_file) {
            (Some(name), Some(file)) => Ok(Some((name.clone(), Secret::read(file).map_err(Failure::usage)?))),
            (None, None) => Ok(None),
            (Some(_), None) | (None, Some(_)) => Err(Failure::usage("give both --username and --password-file, or neither")),
        }
    }

    pub(super) fn operator_key(&self) -> Result<Option<PathBuf>, Failure> {
        Ok(self.written()?.and_then(|written| written.operator_key))
    }

    /// The merchant's zone, as `[reports]` of backend.toml names it.
    pub(super) fn zone(&self) -> Result<Option<Zone>, Failure> {
        let Some(word) = self.written()?.and_then(|written| written.zone) else { return Ok(None) };
        let wrong = || Failure::usage(format!("zone: must be \"WIB\", \"WITA\" or \"WIT\", not {word:?}"));
        Zone::from_word(&word).map(Some).ok_or_else(wrong)
    }

    pub(super) fn names_a_broker(&self) -> Result<bool, Failure> {
        Ok(self.broker.is_some() || self.written()?.and_then(|written| written.mqtt?.url).is_some())
    }

    /// Where the broker is, as one word.
    pub(super) fn address(&self) -> Result<String, Failure> {
        let MqttSettings { host, port, .. } = settings(self.clone())?;
        Ok(format!("{host}:{port}"))
    }

    fn written(&self) -> Result<Option<WrittenConfig>, Failure> {
        self.file()?.map(|path| Ok(Source::read(&path)?.parse()?)).transpose()
    }

    /// Its file: a flag goes before a variable. The usual one need not be there, and is nothing beside --broker.
    fn file(&self) -> Result<Option<PathBuf>, Failure> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let of_context = |name: &str| site::of_user().map(|directory| directory.join(format!("{name}.toml")));
        let needs_home = || Failure::usage("there is no HOME, in which contexts are");
        if let Some(name) = &self.context {
            return of_context(name).map(Some).ok_or_else(needs_home);
        }
        if let Some(path) = self.config.clone().or_else(|| variable(CONFIG_VARIABLE).map(PathBuf::from)) {
            return Ok(Some(path));
        }
        if let Some(name) = variable(CONTEXT_VARIABLE) {
            let name = name.to_str().ok_or("it is no text".into()).and_then(context);
            let name = name.map_err(|why| Failure::usage(format!("{CONTEXT_VARIABLE}: {why}")))?;
            return of_context(&name).map(Some).ok_or_else(needs_home);
        }
        Ok(of_context(USUAL_CONTEXT).filter(|path| self.broker.is_none() && path.exists()))
    }
}

/// A name of a file, and no path.
fn context(name: &str) -> Result<String, String> {
    let is_good = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_good { Ok(name.to_owned()) } else { Err("a context has letters, digits, - and _".into()) }
}

pub(super) struct Broker {
    mqtt: Mqtt,
    events: mpsc::Receiver<MqttEvent>,
    published: u64,
    /// Messages that came during a wait for something else.
    early: std::collections::VecDeque<Inbound>,
}

pub(super) enum News {
    /// A message, already acknowledged.
    Message(Inbound),
    /// The connection is lost and will be rebuilt.
    Lost(String),
    Back,
}

impl Broker {
    pub(super) async fn connect(connection: Connection, filters: Vec<String>, retained: Retained) -> Result<Self, Failure> {
        Self::connect_to(settings(connection)?, filters, retained, SESSION_EXPIRY_S, &LastTrusted::default()).await
    }

    /// Connects with settings from elsewhere, and subscribes. `trusted` judges the dates of the broker's certificate. Nobody else has this
    /// client id. The session expires at once, so nothing of it stays at the broker, and a publisher is not told that somebody listens.
    pub(super) async fn connect_to(
        settings: MqttSettings,
        filters: Vec<String>,
        retained: Retained,
        session_expiry_s: u32,
        trusted: &LastTrusted,
    ) -> Result<Self, Failure> {
        install_provider();
        let client_id = format!("qrisctl-{}", random_hex()?);
        let mut settings = LinkSettings::new(settings, client_id, trusted).map_err(Failure::usage)?;
        settings.session_expiry_s = session_expiry_s;
        settings.large = filters.iter().any(|filter| filter.ends_with(STOCK)).then(|| (Topic::Stock.of_all(), STOCK_MAX));
        let subscription = |filter: String| {
            let at_most_once = retained == Retained::Always && LAST_WORDS.iter().any(|topic| filter.ends_with(topic));
            Subscription { filter, retained, retain_as_published: true, at_most_once }
        };
        settings.subscriptions = filters.into_iter().map(subscription).collect();
        let (mqtt, events) = Mqtt::start(settings, EVENTS_MAX);
        let mut broker = Self { mqtt, events, published: 0, early: std::collections::VecDeque::new() };
        tokio::time::timeout(CONNECT_WAIT, broker.up())
            .await
            .map_err(|_| Failure::failed(BrokerError::Silent))?
            .map_err(Failure::failed)?;
        Ok(broker)
    }

    /// Publishes, and waits until the broker has the message. False if the broker says that nobody subscribes to that topic.
    pub(super) async fn publish(&mut self, message: Outbound) -> Result<bool, BrokerError> {
        let topic = message.topic.clone();
        self.published += 1;
        let this = PublishId(self.published);
        self.mqtt.publish(this, message);
        loop {
            match self.events.recv().await {
                Some(MqttEvent::Delivered { id, heard }) if id == this => return Ok(heard),
                Some(MqttEvent::Rejected { id, reason }) if id == this => return Err(BrokerError::Dumb { topic, reason }),
                Some(MqttEvent::Undelivered(id)) if id == this => return Err(BrokerError::Unknown(topic)),
                Some(MqttEvent::Message(message)) => {
                    self.mqtt.ack(message.ack);
                    self.early.push_back(message);
                }
                Some(
                    MqttEvent::Delivered { .. }
                    | MqttEvent::Rejected { .. }
                    | MqttEvent::Undelivered(_)
                    | MqttEvent::Up { .. }
                    | MqttEvent::Down { .. },
                ) => {}
                None => return Err(BrokerError::Unknown(topic)),
            }
        }
    }

    /// All messages that the broker had to send before now. After the answer to a publish no older message can come, except
    /// those that the broker holds back until we acknowledge others. So this publishes until one publish brings no more
    /// messages.
    pub(super) async fn drain(&mut self) -> Result<Vec<Inbound>, BrokerError> {
        let mut messages = Vec::new();
        loop {
            let marker = Outbound { topic: "qrisctl/marker".into(), expiry_s: Some(1), ..Outbound::default() };
            match self.publish(marker).await {
                // An answer that refuses the marker is as good.
                Ok(_) | Err(BrokerError::Dumb { .. }) => {}
                Err(error) => return Err(error),
            }
            if self.early.is_empty() {
                return Ok(messages);
            }
            messages.extend(self.early.drain(..));
        }
    }

    pub(super) async fn next(&mut self) -> News {
        if let Some(message) = self.early.pop_front() {
            return News::Message(message);
        }
        loop {
            match self.events.recv().await {
                Some(MqttEvent::Message(message)) => {
                    self.mqtt.ack(message.ack);
                    return News::Message(message);
                }
                Some(MqttEvent::Down { reason, .. }) => return News::Lost(reason),
                Some(MqttEvent::Up { .. }) => return News::Back,
                Some(MqttEvent::Delivered { .. } | MqttEvent::Rejected { .. } | MqttEvent::Undelivered(_)) => {}
                // The task ends only when it is told to end.
                None => std::future::pending().await,
            }
        }
    }

    /// The next event of a machine. A lost connection is told, and this waits until it is back. Words that only a later release
    /// knows are left out.
    pub(super) async fn next_event(&mut self) -> VendEvent {
        loop {
            match self.next().await {
                News::Message(message) => {
                    if let Ok(event) = serde_json::from_slice(&message.payload) {
                        return event;
                    }
                }
                News::Lost(reason) => print::remark(&format!("connection lost: {reason}")),
                News::Back => {}
            }
        }
    }

    pub(super) async fn leave(mut self) {
        self.mqtt.stop(None);
        while self.events.recv().await.is_some() {}
    }

    async fn up(&mut self) -> Result<(), BrokerError> {
        loop {
            match self.events.recv().await {
                Some(MqttEvent::Up { refused, .. }) => match refused.into_iter().next() {
                    Some((filter, reason)) => return Err(BrokerError::Deaf { filter, reason }),
                    None => return Ok(()),
                },
                Some(MqttEvent::Down { reason, refused: true, .. }) => return Err(BrokerError::Refused(reason)),
                Some(MqttEvent::Down { reason, certificate: Some(_), .. }) => return Err(BrokerError::Certificate(reason)),
                Some(MqttEvent::Down { reason, .. }) => return Err(BrokerError::Down(reason)),
                Some(MqttEvent::Message(message)) => {
                    self.mqtt.ack(message.ack);
                    self.early.push_back(message);
                }
                Some(MqttEvent::Delivered { .. } | MqttEvent::Rejected { .. } | MqttEvent::Undelivered(_)) => {}
                None => return Err(BrokerError::Silent),
            }
        }
    }
}

/// 128 random bits: nobody else has this name.
pub(super) fn random_hex() -> Result<String, Failure> {
    let mut bits = [0; 16];
    SystemRandom::new().fill(&mut bits).map_err(|_| Failure::failed("the system gives no random bits"))?;
    Ok(qris_core::hex(&bits))
}

/// The settings of the file, with the flags over them, checked.
fn settings(connection: Connection) -> Result<MqttSettings, Failure> {
    connection.zone()?;
    let written = connection.written()?.and_then(|written| written.mqtt).unwrap_or_default();
    let Connection { config: _, context: _, broker, username, password_file, ca_file, cert_file, key_file } = connection;
    let section = MqttSection {
        url: broker.or(written.url),
        username: username.or(written.username),
        password_file: password_file.or(written.password_file),
        ca_file: ca_file.or(written.ca_file),
        cert_file: cert_file.or(written.cert_file),
        key_file: key_file.or(written.key_file),
        allow_plaintext: written.allow_plaintext,
    };
    if section.url.is_none() {
        return Err(Failure::usage(BrokerError::Missing));
    }
    section.settle().map_err(|faults| match faults.into_iter().next() {
        Some((key, error)) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            Failure::usage(BrokerError::Setting { key, why: format!("{error}{cause}") })
        }
        None => Failure::usage(BrokerError::Missing),
    })
}

fn flag(key: &str) -> String {
    match key {
        "url" => "--broker".into(),
        key => format!("--{}", key.replace('_', "-")),
    }
}
