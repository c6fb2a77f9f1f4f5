//! Looks at the outside services that a machine needs, by really connecting: the broker, the backend, the clock.

use super::broker::{Broker, BrokerError};
use super::found::texts;
use super::site::Site;
use qris_core::order::ids::{DeviceId, KeyId};
use qris_core::order::time::Wall;
use qris_core::wire::command;
use qris_core::wire::orders::{ANSWER_MAX, OpenOrders, RECEIPT_KEYS};
use qris_core::wire::topics::{PROBE, Topic, subscriptions};
use qris_device::config::afar::not_taken;
use qris_device::config::{Backend, Config};
use qris_device::screen::Item;
use qris_device::store::database::last_trusted_beside;
use qris_device::words::Charges;
use qris_host::Failure;
use qris_host::causes;
use qris_host::clock::{self, RELEASED};
use qris_host::config::MqttSettings;
use qris_host::finding::Finding;
use qris_host::http::{Limits, client, read_limited};
use qris_host::mqtt::{Outbound, Retained};
use qris_host::secret::Secret;
use qris_host::speech::fill;
use qris_host::tls::{CertificateRefusal, LastTrusted, certificate_refusal, client_config, install_provider, refused_dates};
use qris_host::trust;
use qris_host::zone::told;
use reqwest::header::{AUTHORIZATION, DATE, HeaderValue};
use std::time::Duration;

/// The time for one question to the backend.
const WAIT: Duration = Duration::from_secs(12);
/// So many wrong prices are named.
const PRICES_TOLD: usize = 5;
const LIMITS: Limits = Limits { total: WAIT, read: WAIT, idle_connections: 0 };

/// The time that `qrisd` has stored as trusted, by which it judges the dates of certificates. A machine that was just made has none.
pub(super) fn stored(site: &Site, device: &Config) -> LastTrusted {
    let stored = if device.machine.tells_time { last_trusted_beside(&site.at(&device.machine.store)).ok() } else { None };
    LastTrusted::new(stored.unwrap_or_default())
}

/// A stored time stands in the way if the clock is right.
pub(super) fn stands_in_the_way(stored: Wall, clock: Wall) -> Option<Finding> {
    let said = || fill(texts().clock_stored, &[&told(stored), &told(clock)]);
    trust::stands_in_the_way(stored, clock, RELEASED).then(|| Finding::bad("clock", said(), texts().clock_stored_do))
}

/// Also answers the orders that are open at the backend, if it could be asked. `qrisd` judges dates by the same stored time.
pub(super) async fn outside(device: &Config, fleet: Option<&Fleet>, trusted: &LastTrusted) -> (Vec<Finding>, Option<OpenOrders>) {
    let broker = broker(device.mqtt.as_ref(), &device.machine.device, fleet, trusted);
    let (broker, asked) = tokio::join!(broker, backend(&device.backend, trusted));
    let Asked { findings, open, kids } = asked;
    let keys = open.as_ref().map(|_| keys(&device.machine.keys.receipt_kids(), kids.as_deref()));
    let prices = open.as_ref().and_then(|open| prices(&device.machine.appearance.items, open));
    ([broker].into_iter().chain(findings).chain(keys).chain(prices).collect(), open)
}

/// The prices that no payment takes, by the backend's word.
fn prices(items: &[Item], open: &OpenOrders) -> Option<Finding> {
    let charges = Charges(open.amounts.clone());
    let mut refused = not_taken(items, &[], &charges).map(|(at, _, why)| format!("{}: {why}", items[at].id));
    let told: Vec<_> = refused.by_ref().take(PRICES_TOLD).collect();
    let more = refused.count();
    let told = told.join("; ") + &if more > 0 { format!(" +{more}") } else { String::new() };
    (!told.is_empty()).then(|| Finding::bad("prices", told, texts().prices_do))
}

/// The account of a fleet: its name at the broker, and its password.
pub(super) type Fleet = (String, Secret);

/// Connects to the broker as the machine does, with its name and password. The client id is another one, so a machine
/// that runs keeps its connection. Subscribes to all topics that the machine must hear, and publishes a probe, which readers pass over, on
/// each that it writes. A broker may refuse a subscription in silence: only with the fleet's account it is tried what either hears.
async fn broker(wanted: Option<&MqttSettings>, device: &DeviceId, fleet: Option<&Fleet>, trusted: &LastTrusted) -> Finding {
    const CHECK: &str = "broker";
    let Some(wanted) = wanted else {
        return Finding::ok(CHECK, texts().broker_none);
    };
    let place = format!("{}:{}", wanted.host, wanted.port);
    let place = if wanted.tls { fill(texts().broker_with_tls, &[&place]) } else { place };
    let name = wanted.username.as_deref();
    let mut broker = match Broker::connect_to(wanted.clone(), subscriptions(device), Retained::Never, 0, trusted).await {
        Ok(broker) => broker,
        Err(failure) => return no_broker(&place, name, &failure),
    };
    let written = WRITTEN.map(|topic| topic.of(device));
    let found = match fleet {
        Some(fleet) => with_fleet(&mut broker, wanted, &place, device, fleet, trusted).await,
        None => match probe_all(&mut broker, &written).await {
            Ok(()) => Ok(Finding::ok(CHECK, fill(texts().broker_good, &[&place, &whom(name), device]))),
            Err(error) => Err(probe_failed(error, &place, name, device)),
        },
    };
    broker.leave().await;
    found.unwrap_or_else(|bad| bad)
}

/// What a machine writes.
const WRITTEN: [Topic; 6] =
    [Topic::VendEvent, Topic::Status, Topic::Telemetry, Topic::Stock, Topic::ConfigReported, Topic::CommandResponse];
/// What a fleet writes, beside commands.
const TOLD: [Topic; 4] = [Topic::VendRequest, Topic::VendCancel, Topic::VendCollect, Topic::ConfigDesired];

async fn probe_all(broker: &mut Broker, topics: &[String]) -> Result<(), BrokerError> {
    for topic in topics {
        broker.publish(Outbound { topic: topic.clone(), payload: PROBE.into(), expiry_s: Some(1), ..Outbound::default() }).await?;
    }
    Ok(())
}

fn probe_failed(error: BrokerError, place: &str, name: Option<&str>, device: &DeviceId) -> Finding {
    const CHECK: &str = "broker";
    match error {
        BrokerError::Dumb { topic, reason } => {
            Finding::bad(CHECK, fill(texts().broker_dumb, &[&place, &whom(name), device, &topic, &reason]), texts().broker_dumb_do)
        }
        error => Finding::bad(CHECK, format!("{place}: {error}"), texts().broker_again),
    }
}

/// Machine and fleet publish on all their topics, and each must hear the other.
async fn with_fleet(
    machine: &mut Broker,
    wanted: &MqttSettings,
    place: &str,
    device: &DeviceId,
    (account, password): &Fleet,
    trusted: &LastTrusted,
) -> Result<Finding, Finding> {
    const CHECK: &str = "broker";
    let own = wanted.username.as_deref();
    let settings = MqttSettings { username: Some(account.clone()), password: Some(password.clone()), ..wanted.clone() };
    let written = WRITTEN.map(|topic| topic.of(device));
    let told: Vec<_> = TOLD.iter().map(|topic| topic.of(device)).chain([command::request_topic(device, "probe")]).collect();
    let connected = Broker::connect_to(settings, written.to_vec(), Retained::Never, 0, trusted).await;
    let mut fleet = connected.map_err(|failure| no_broker(place, Some(account), &failure))?;
    probe_all(machine, &written).await.map_err(|error| probe_failed(error, place, own, device))?;
    let unheard_by_fleet = unheard(&mut fleet, &written).await.map_err(|error| probe_failed(error, place, Some(account), device))?;
    let said = probe_all(&mut fleet, &told).await;
    fleet.leave().await;
    if let Some(unheard) = unheard_by_fleet {
        return Err(Finding::bad(CHECK, fill(texts().fleet_deaf, &[account, device, &unheard]), texts().fleet_deaf_do));
    }
    said.map_err(|error| match error {
        BrokerError::Dumb { topic, reason } => {
            Finding::bad(CHECK, fill(texts().fleet_dumb, &[account, &topic, &reason]), texts().fleet_dumb_do)
        }
        error => probe_failed(error, place, Some(account), device),
    })?;
    match unheard(machine, &told).await.map_err(|error| probe_failed(error, place, own, device))? {
        Some(unheard) => {
            let said = fill(texts().broker_unheard, &[&place, &whom(own), device, account, &unheard]);
            Err(Finding::bad(CHECK, said, texts().broker_unheard_do))
        }
        None => Ok(Finding::ok(CHECK, fill(texts().broker_good_both, &[&place, &whom(own), device]))),
    }
}

/// Those of these topics on which nothing came; `None`: something came on all.
async fn unheard(who: &mut Broker, topics: &[String]) -> Result<Option<String>, BrokerError> {
    let came = who.drain().await?;
    let missing: Vec<_> = topics.iter().filter(|topic| !came.iter().any(|message| message.topic == **topic)).map(String::as_str).collect();
    Ok((!missing.is_empty()).then(|| missing.join(", ")))
}

fn whom(name: Option<&str>) -> &str {
    name.unwrap_or(texts().everybody)
}

fn no_broker(place: &str, name: Option<&str>, failure: &Failure) -> Finding {
    const CHECK: &str = "broker";
    let why = failure.reason();
    let to_do = match failure.error().downcast_ref() {
        Some(BrokerError::Refused(_)) => {
            let whom = name.map_or(texts().nameless.into(), |name| fill(texts().name_or_password, &[&name]));
            return Finding::bad(CHECK, fill(texts().broker_refuses, &[&place, &whom, &why]), texts().broker_refuses_do);
        }
        Some(BrokerError::Deaf { .. }) => texts().broker_deaf_do,
        Some(BrokerError::Certificate(_)) => texts().broker_certificate_do,
        _ => texts().broker_away_do,
    };
    Finding::bad(CHECK, format!("{place}: {why}"), to_do)
}

struct Asked {
    findings: Vec<Finding>,
    /// The open orders there, if it could be asked.
    open: Option<OpenOrders>,
    /// The keys that it signs with, if it tells them. The key in use comes first.
    kids: Option<Vec<KeyId>>,
}

/// Asks the backend for this machine's open orders, for which it needs the machine's token, and compares the clocks.
async fn backend(wanted: &Backend, trusted: &LastTrusted) -> Asked {
    const CHECK: &str = "backend";
    install_provider();
    let url = &wanted.url;
    let before = clock::now().wall;
    let bad =
        |said: String, to_do: &str| Asked { findings: vec![Finding::bad(CHECK, said, to_do), own_clock(before)], open: None, kids: None };
    let HttpAnswer { status, date, kids, body } = match ask(wanted, trusted).await {
        Ok(answer) => answer,
        Err(Unasked::Ours(why)) => return bad(why, texts().backend_ours_do),
        Err(Unasked::Dates(why)) => return bad(format!("{url}: {why}"), texts().backend_dates_do),
        Err(Unasked::Certificate(why)) => return bad(fill(texts().backend_away, &[url, &why]), texts().backend_certificate_do),
        Err(Unasked::Silent(why)) => return bad(fill(texts().backend_away, &[url, &why]), texts().backend_away_do),
    };
    let clock = clock_finding(date, before, clock::now().wall);
    let answer = |finding: Finding, open| Asked { findings: vec![finding, clock.clone()], open, kids: kids.clone() };
    match (status, serde_json::from_slice::<OpenOrders>(&body)) {
        (200, Ok(open)) => answer(Finding::ok(CHECK, fill(texts().backend_good, &[url])), Some(open)),
        (200, Err(why)) => answer(Finding::bad(CHECK, fill(texts().backend_strange, &[url, &why]), texts().backend_strange_do), None),
        (401, _) => answer(Finding::bad(CHECK, fill(texts().backend_token, &[url]), texts().backend_token_do), None),
        (status @ (301..=308), _) => {
            answer(Finding::bad(CHECK, fill(texts().backend_redirects, &[url, &status]), texts().backend_redirects_do), None)
        }
        (404, _) => answer(Finding::bad(CHECK, fill(texts().backend_unknown, &[url]), texts().backend_unknown_do), None),
        (429 | 503, _) => answer(Finding::warn(CHECK, fill(texts().backend_busy, &[url, &status]), texts().backend_busy_do), None),
        (status, _) => answer(Finding::bad(CHECK, fill(texts().backend_answers, &[url, &status]), texts().backend_answers_do), None),
    }
}

/// Nobody knows whether this machine would believe a receipt.
pub(super) fn no_keys() -> Finding {
    Finding::warn("keys", texts().keys_unread, texts().keys_unread_do)
}

/// Would this machine believe a receipt of the backend? The key in use must be one of our keys, or another of its keys
/// must be one. The backend need not tell its keys.
fn keys(ours: &[KeyId], theirs: Option<&[KeyId]>) -> Finding {
    const CHECK: &str = "keys";
    let to_do = texts().keys_do;
    let Some(theirs) = theirs else {
        return Finding::ok(CHECK, fill(texts().keys_unnamed, &[&counted(ours.len())]));
    };
    let Some(in_use) = theirs.first() else {
        return Finding::bad(CHECK, texts().keys_none, texts().keys_none_do);
    };
    if ours.contains(in_use) {
        return Finding::ok(CHECK, fill(texts().keys_good, &[&counted(ours.len()), in_use]));
    }
    match theirs.iter().find(|kid| ours.contains(kid)) {
        Some(kid) => Finding::warn(CHECK, fill(texts().keys_other, &[in_use, kid]), to_do),
        None => Finding::bad(CHECK, fill(texts().keys_bad, &[in_use]), to_do),
    }
}

fn counted(keys: usize) -> String {
    if keys == 1 { texts().keys_one.into() } else { fill(texts().keys_many, &[&keys]) }
}

enum Unasked {
    /// Our own settings are at fault.
    Ours(String),
    /// The dates of one side are wrong.
    Dates(String),
    /// The certificate of the backend is not good for another reason.
    Certificate(String),
    /// The way there is at fault.
    Silent(String),
}

struct HttpAnswer {
    status: u16,
    date: Option<Wall>,
    kids: Option<Vec<KeyId>>,
    body: Vec<u8>,
}

async fn ask(wanted: &Backend, trusted: &LastTrusted) -> Result<HttpAnswer, Unasked> {
    let ours = |why: &dyn std::error::Error| Unasked::Ours(why.to_string());
    let tls = match wanted.url.starts_with("https://") {
        true => Some(client_config(wanted.ca_file.as_deref(), None, trusted).map_err(|why| ours(&why))?),
        false => None,
    };
    let client = client(tls.as_deref(), LIMITS).map_err(|why| ours(&why))?;
    let mut token =
        HeaderValue::from_str(&format!("Bearer {}", wanted.token.expose())).map_err(|_| Unasked::Ours(texts().token_letters.into()))?;
    token.set_sensitive(true);
    let sent = client.get(format!("{}/v1/orders?state=open", wanted.url)).header(AUTHORIZATION, token).send().await;
    let silent = |error: &(dyn std::error::Error + 'static)| {
        let why = refused_dates(error).unwrap_or_else(|| causes::last(error));
        match certificate_refusal(error) {
            Some(CertificateRefusal::Dates) => Unasked::Dates(why),
            Some(CertificateRefusal::Other) => Unasked::Certificate(why),
            None => Unasked::Silent(why),
        }
    };
    let response = sent.map_err(|error| silent(&error))?;
    let kids = response.headers().get(RECEIPT_KEYS).and_then(|kids| kids.to_str().ok());
    let kids = kids.map(|kids| kids.split(',').filter_map(|kid| KeyId::new(kid.trim()).ok()).collect());
    let date = response.headers().get(DATE).and_then(|date| Wall::from_http_date(date.to_str().ok()?).ok());
    let status = response.status().as_u16();
    let body = read_limited(response, ANSWER_MAX).await.map_err(|error| silent(&error))?;
    Ok(HttpAnswer { status, date, kids, body })
}

/// Compares our clock, read before and after, with the backend's.
fn clock_finding(theirs: Option<Wall>, before: Wall, after: Wall) -> Finding {
    let Some(theirs) = theirs else { return own_clock(after) };
    Finding::of_clock(theirs, texts().backend_clock, before, after)
}

/// This is all that can be said of our clock alone: a time before this release was made cannot be right.
fn own_clock(ours: Wall) -> Finding {
    if ours < RELEASED {
        Finding::bad("clock", texts().clock_early, texts().clock_early_do)
    } else {
        Finding::warn("clock", texts().clock_unknown, texts().clock_unknown_do)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qris_core::order::time::Span;
    use qris_core::wire::orders::Amounts;
    use qris_host::finding::Level;
    use std::collections::BTreeMap;

    #[test]
    fn a_clock_is_judged_by_the_backend() {
        assert_eq!(clock_finding(Some(RELEASED), RELEASED, RELEASED).level, Level::Ok);
        assert_eq!(clock_finding(None, RELEASED, RELEASED).level, Level::Warn);
        assert_eq!(own_clock(Wall(0)).level, Level::Bad);
    }

    /// One that charges by QRIS takes ten million at most.
    #[test]
    fn a_price_that_the_backend_cannot_charge_is_named_with_its_bound() {
        let item = |id: &str, price: u64| Item {
            id: qris_core::order::ids::ItemId::new(id).expect("an item"),
            id_name: id.into(),
            en_name: id.into(),
            price: qris_core::order::money::Rupiah::new(price).ok(),
        };
        let told = |amounts| OpenOrders { orders: Vec::new(), taken_out: Vec::new(), amounts, at_broker: true };
        let open = |max| told([("gopay".into(), Amounts { min: 1, max })].into());
        let items = [item("A1", 5_000), item("A2", 15_000_000)];
        assert_eq!(prices(&items, &open(20_000_000)), None);
        let found = prices(&items, &open(10_000_000)).expect("one is too high");
        assert_eq!((found.level, found.said.as_str()), (Level::Bad, "A2: Rp15.000.000: payments take Rp1 to Rp10.000.000"));
        let many: Vec<_> = (1..=7).map(|n| item(&format!("B{n}"), 15_000_000)).collect();
        let found = prices(&many, &open(10_000_000)).expect("all are");
        assert!(found.said.contains("B5: ") && found.said.ends_with(" +2"), "{}", found.said);
        assert_eq!(prices(&many, &told(BTreeMap::new())), None, "nobody knows");
    }

    #[test]
    fn a_stored_time_that_stands_in_the_way_is_named() {
        let clock = RELEASED + Span::secs(86_400);
        let ahead = RELEASED + Span::secs(200 * 86_400);
        let found = stands_in_the_way(ahead, clock).expect("it is ahead");
        assert_eq!(found.level, Level::Bad);
        assert!(found.said.contains(&told(ahead)) && found.said.contains(&told(clock)), "{}", found.said);
        for (stored, clock) in [(Wall(0), clock), (clock, clock), (ahead, Wall(0))] {
            assert_eq!(stands_in_the_way(stored, clock), None, "{stored}, {clock}");
        }
    }

    #[test]
    fn a_broker_that_asks_for_no_name_lets_everybody_in() {
        assert_eq!((whom(Some("vm-001")), whom(None)), ("vm-001", "everybody"));
        let said = |name| no_broker("b:1883", name, &Failure::failed(BrokerError::Refused("NotAuthorized".into()))).said;
        assert_eq!(said(Some("vm-001")), "b:1883 refuses vm-001 or the password (the broker: NotAuthorized)");
        assert_eq!(said(None), "b:1883 refuses clients without a name (the broker: NotAuthorized)");
    }

    #[test]
    fn a_receipt_must_be_believed_here() {
        let kid = |name: &str| KeyId::new(name).expect("a key's name");
        let ours = [kid("a"), kid("b")];
        for (theirs, level) in [
            (Some(&["a"][..]), Level::Ok),
            (Some(&["b", "c"]), Level::Ok),
            (Some(&["c", "b"]), Level::Warn),
            (Some(&["c"]), Level::Bad),
            (Some(&[]), Level::Bad),
            (None, Level::Ok),
        ] {
            let kids = theirs.map(|kids| kids.iter().map(|name| kid(name)).collect::<Vec<_>>());
            assert_eq!(keys(&ours, kids.as_deref()).level, level, "{theirs:?}");
        }
    }

    #[test]
    fn why_there_is_no_broker_says_what_to_do() {
        for (why, to_do) in [
            (BrokerError::Refused("refused: NotAuthorized".into()), "mosquitto_passwd"),
            (BrokerError::Deaf { filter: "qrisd/v1/vm-001/vend/request".into(), reason: "x".into() }, "access list"),
            (BrokerError::Certificate("invalid peer certificate: UnknownIssuer".into()), "mqtt.ca_file"),
            (BrokerError::Down("Connection refused".into()), "whether the broker runs"),
        ] {
            let found = no_broker("b:1", Some("vm-001"), &Failure::failed(why));
            assert!(found.level == Level::Bad && found.to_do.as_ref().is_some_and(|told| told.contains(to_do)), "{found:?}");
        }
    }
}
