//! Our settings and messages in rumqttc's words, and the broker's reason codes in ours.

use super::{CONNECT_TIMEOUT_S, IN_FLIGHT_MAX, KEEP_ALIVE, LinkSettings, MAX_PACKET, Outbound, RECEIVE_MAX, Retained, Subscription};
use crate::secret::Secret;
use qris_core::text::steers;
#[cfg(test)]
use rumqttc::v5::mqttbytes::Error as PacketError;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnectReturnCode, DisconnectReasonCode, Filter, LastWill, LastWillProperties, PubAckReason, PublishProperties, RetainForwardRule,
    SubscribeReasonCode,
};
use rumqttc::v5::{ConnectionError, MqttOptions, StateError};
use rumqttc::{NetworkOptions, TlsConfiguration, Transport};

pub(super) fn options(settings: &LinkSettings) -> MqttOptions {
    let mut options = MqttOptions::new(&settings.client_id, &settings.broker.host, settings.broker.port);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    options
        .set_keep_alive(KEEP_ALIVE)
        .set_clean_start(false)
        .set_session_expiry_interval(Some(settings.session_expiry_s))
        .set_receive_maximum(Some(RECEIVE_MAX))
        .set_max_packet_size(Some(MAX_PACKET + settings.large.as_ref().map_or(0, |(_, most)| u32::try_from(*most).unwrap_or(0))))
        .set_outgoing_inflight_upper_limit(IN_FLIGHT_MAX)
        .set_connection_timeout(CONNECT_TIMEOUT_S)
        .set_manual_acks(true)
        .set_network_options(network);
    if let Some(config) = &settings.tls {
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(config.clone())));
    }
    if let Some(username) = &settings.broker.username {
        options.set_credentials(username, settings.broker.password.as_ref().map_or("", Secret::expose));
    }
    if let Some(will) = &settings.will {
        let properties = LastWillProperties {
            delay_interval: Some(will.delay_s),
            payload_format_indicator: None,
            message_expiry_interval: Some(will.expiry_s),
            content_type: None,
            response_topic: None,
            correlation_data: None,
            user_properties: Vec::new(),
        };
        options.set_last_will(LastWill::new(&will.topic, will.payload.clone(), QoS::AtLeastOnce, will.retain, Some(properties)));
    }
    options
}

/// The properties of a message. The message keeps its topic and payload.
pub(super) fn properties(message: &mut Outbound) -> PublishProperties {
    PublishProperties {
        message_expiry_interval: message.expiry_s,
        response_topic: message.response_topic.take(),
        correlation_data: message.correlation_data.take().map(Into::into),
        ..PublishProperties::default()
    }
}

pub(super) fn filter(subscription: &Subscription) -> Filter {
    Filter {
        path: subscription.filter.clone(),
        qos: if subscription.at_most_once { QoS::AtMostOnce } else { QoS::AtLeastOnce },
        nolocal: false,
        preserve_retain: subscription.retain_as_published,
        retain_forward_rule: match subscription.retained {
            Retained::Always => RetainForwardRule::OnEverySubscribe,
            Retained::IfNew => RetainForwardRule::OnNewSubscribe,
            Retained::Never => RetainForwardRule::Never,
        },
    }
}

/// Whether a topic is one of a filter, which may have `+` for a part.
pub(super) fn fits(filter: &str, topic: &str) -> bool {
    let (mut wanted, mut parts) = (filter.split('/'), topic.split('/'));
    let is_each = wanted.by_ref().all(|wanted| parts.next().is_some_and(|part| wanted == "+" || wanted == part));
    is_each && parts.next().is_none()
}

/// Does the broker refuse our name or password?
pub(super) const fn is_refusal(error: &ConnectionError) -> bool {
    use ConnectReturnCode::{BadUserNamePassword, Banned, NotAuthorized};
    matches!(error, ConnectionError::ConnectionRefused(BadUserNamePassword | NotAuthorized | Banned))
}

/// How a broker ends the connection of a client whose place another one takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndedBy {
    TakeOver,
    /// It only closes the connection. That may mean anything.
    Silence,
}

pub(super) fn ended_by(error: &ConnectionError) -> Option<EndedBy> {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    match error {
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => {
            (*reason_code == DisconnectReasonCode::SessionTakenOver).then_some(EndedBy::TakeOver)
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => Some(EndedBy::Silence),
        ConnectionError::MqttState(StateError::Io(error)) | ConnectionError::Io(error) => {
            matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof).then_some(EndedBy::Silence)
        }
        _ => None,
    }
}

/// So much of the broker's own words is told, in characters.
const WORDS_MAX: usize = 200;
/// A reason code's name, and what the broker says itself of it (Reason String).
pub(super) fn with_words(code: &str, words: Option<&str>) -> String {
    let words: String = words.unwrap_or_default().chars().filter(|c| !steers(*c)).take(WORDS_MAX).collect();
    if words.is_empty() { code.to_owned() } else { format!("{code}: {words}") }
}

/// Said when nothing that was heard is of MQTT 5.
const IS_IT_5: &str = "does this broker speak MQTT 5?";

/// Said when a broker sends us to another one. CONNACK and DISCONNECT may name it (Server Reference), and a CONNACK may say why (Reason
/// String). rumqttc 0.25 hands out neither of a CONNACK, and of a DISCONNECT the Reason String alone.
const ELSEWHERE: &str = "it wants us at another server, whose name our MQTT client does not tell: ask whoever runs this one";

/// What happened, for people. `speaks_5`: the broker has spoken MQTT 5 with us.
pub(super) fn reason(error: &ConnectionError, speaks_5: bool) -> String {
    use ConnectReturnCode::{RefusedProtocolVersion, ServerMoved, UnsupportedProtocolVersion, UseAnotherServer};
    match error {
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string }) => {
            let elsewhere = matches!(reason_code, DisconnectReasonCode::ServerMoved | DisconnectReasonCode::UseAnotherServer);
            let elsewhere = if elsewhere { format!("; {ELSEWHERE}") } else { String::new() };
            let why = with_words(&format!("{reason_code:?}"), reason_string.as_deref());
            format!("the broker ended the connection: {why}{elsewhere}")
        }
        ConnectionError::ConnectionRefused(ServerMoved | UseAnotherServer) => format!("{error}; {ELSEWHERE}"),
        ConnectionError::Timeout(_) if speaks_5 => format!("no answer in {CONNECT_TIMEOUT_S} s"),
        _ if speaks_5 => error.to_string(),
        // A broker of another version closes the connection, answers in its own way, says so, or says nothing.
        ConnectionError::ConnectionRefused(RefusedProtocolVersion | UnsupportedProtocolVersion)
        | ConnectionError::NotConnAck(_)
        | ConnectionError::MqttState(StateError::Deserialization(_)) => format!("{error}; {IS_IT_5}"),
        ConnectionError::Timeout(_) => format!("no answer in {CONNECT_TIMEOUT_S} s; if somebody is there, {IS_IT_5}"),
        _ if ended_by(error) == Some(EndedBy::Silence) => format!("{error}; {IS_IT_5}"),
        _ => error.to_string(),
    }
}

/// The name of a PUBACK reason code, if it is a refusal.
pub(super) fn publish_refusal(code: PubAckReason) -> Option<&'static str> {
    match code {
        // "No matching subscribers" says that the broker took the message and that nobody listens.
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => None,
        PubAckReason::UnspecifiedError => Some("unspecified error"),
        PubAckReason::ImplementationSpecificError => Some("implementation specific error"),
        PubAckReason::NotAuthorized => Some("not authorized"),
        PubAckReason::TopicNameInvalid => Some("topic name invalid"),
        PubAckReason::PacketIdentifierInUse => Some("packet identifier in use"),
        PubAckReason::QuotaExceeded => Some("quota exceeded"),
        PubAckReason::PayloadFormatInvalid => Some("payload format invalid"),
    }
}

pub(super) fn subscription_refusal(code: &SubscribeReasonCode) -> Option<&'static str> {
    match code {
        SubscribeReasonCode::Success(_) => None,
        SubscribeReasonCode::Failure | SubscribeReasonCode::Unspecified => Some("unspecified error"),
        SubscribeReasonCode::ImplementationSpecific => Some("implementation specific error"),
        SubscribeReasonCode::NotAuthorized => Some("not authorized"),
        SubscribeReasonCode::TopicFilterInvalid => Some("topic filter invalid"),
        SubscribeReasonCode::PkidInUse => Some("packet identifier in use"),
        SubscribeReasonCode::QuotaExceeded => Some("quota exceeded"),
        SubscribeReasonCode::SharedSubscriptionsNotSupported => Some("shared subscriptions not supported"),
        SubscribeReasonCode::SubscriptionIdNotSupported => Some("subscription identifiers not supported"),
        SubscribeReasonCode::WildcardSubscriptionsNotSupported => Some("wildcard subscriptions not supported"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_has_the_topics_that_it_means() {
        for (filter, topic, wanted) in [
            ("a/b", "a/b", true),
            ("a/+/c", "a/b/c", true),
            ("a/+/c", "a/b/d", false),
            ("a/+/c", "a/b", false),
            ("a/+/c", "a/b/c/d", false),
            ("a/b", "a/b/c", false),
        ] {
            assert_eq!(fits(filter, topic), wanted, "{filter} {topic}");
        }
    }

    #[test]
    fn what_the_broker_took_is_no_refusal_and_everything_else_is() {
        for taken in [PubAckReason::Success, PubAckReason::NoMatchingSubscribers] {
            assert_eq!(publish_refusal(taken), None, "{taken:?}");
        }
        for refused in [
            PubAckReason::UnspecifiedError,
            PubAckReason::ImplementationSpecificError,
            PubAckReason::NotAuthorized,
            PubAckReason::TopicNameInvalid,
            PubAckReason::PacketIdentifierInUse,
            PubAckReason::QuotaExceeded,
            PubAckReason::PayloadFormatInvalid,
        ] {
            assert!(publish_refusal(refused).is_some(), "{refused:?}");
        }
    }

    #[test]
    fn a_broker_that_says_why_or_closes_in_silence_may_have_another_client_of_our_name() {
        let told = |reason_code| ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string: None });
        let io = |kind: std::io::ErrorKind| ConnectionError::MqttState(StateError::Io(kind.into()));
        assert_eq!(ended_by(&told(DisconnectReasonCode::SessionTakenOver)), Some(EndedBy::TakeOver));
        for other in [DisconnectReasonCode::ServerShuttingDown, DisconnectReasonCode::PacketTooLarge, DisconnectReasonCode::NotAuthorized] {
            assert_eq!(ended_by(&told(other)), None, "{other:?}");
        }
        assert_eq!(ended_by(&ConnectionError::MqttState(StateError::ConnectionAborted)), Some(EndedBy::Silence));
        assert_eq!(ended_by(&io(std::io::ErrorKind::ConnectionReset)), Some(EndedBy::Silence));
        // The network is to blame.
        assert_eq!(ended_by(&io(std::io::ErrorKind::HostUnreachable)), None);
        assert_eq!(ended_by(&ConnectionError::MqttState(StateError::AwaitPingResp)), None);
    }

    #[test]
    fn a_broker_without_mqtt_5_is_called_so_and_its_own_words_are_told() {
        let asks = |error: &ConnectionError, speaks_5| reason(error, speaks_5).contains(IS_IT_5);
        let closed = ConnectionError::MqttState(StateError::ConnectionAborted);
        assert!(asks(&closed, false) && !asks(&closed, true));
        assert!(asks(&ConnectionError::ConnectionRefused(ConnectReturnCode::UnsupportedProtocolVersion), false));
        assert!(asks(&ConnectionError::MqttState(StateError::Deserialization(PacketError::InsufficientBytes(2))), false));
        assert!(!asks(&ConnectionError::ConnectionRefused(ConnectReturnCode::NotAuthorized), false));
        let large = || PacketError::OutgoingPacketTooLarge { pkt_size: 30_559, max: 2_500 };
        assert!(!asks(&ConnectionError::MqttState(StateError::Deserialization(large())), true), "it told its limit");
        for moved in [ConnectReturnCode::ServerMoved, ConnectReturnCode::UseAnotherServer] {
            assert!(reason(&ConnectionError::ConnectionRefused(moved), false).ends_with(ELSEWHERE), "{moved:?}");
        }
        let says = |reason_string: Option<&str>| {
            let reason_code = DisconnectReasonCode::AdministrativeAction;
            let error = StateError::ServerDisconnect { reason_code, reason_string: reason_string.map(str::to_owned) };
            reason(&ConnectionError::MqttState(error), true)
        };
        assert_eq!(says(None), "the broker ended the connection: AdministrativeAction");
        assert_eq!(says(Some("moved\u{1b}[2J")), "the broker ended the connection: AdministrativeAction: moved[2J");
        assert!(says(Some(&"x".repeat(60_000))).len() < 300);
        assert_eq!(with_words("not authorized", None), "not authorized");
        assert_eq!(with_words("quota exceeded", Some("ask\u{1b} the office")), "quota exceeded: ask the office");
    }

    #[test]
    fn a_broker_that_takes_no_name_refuses_and_one_that_is_busy_does_not() {
        let refuses = |code| is_refusal(&ConnectionError::ConnectionRefused(code));
        for code in [ConnectReturnCode::BadUserNamePassword, ConnectReturnCode::NotAuthorized, ConnectReturnCode::Banned] {
            assert!(refuses(code), "{code:?}");
        }
        for code in [ConnectReturnCode::ServerBusy, ConnectReturnCode::ServerUnavailable, ConnectReturnCode::QuotaExceeded] {
            assert!(!refuses(code), "{code:?}");
        }
        assert!(!is_refusal(&ConnectionError::RequestsDone));
    }
}
