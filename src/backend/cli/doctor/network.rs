//! The parts outside of this computer: the gateway, its way back to us, the broker; and `serve` itself.

use super::text::{fill, texts};
use crate::config::Config;
use crate::http::READY;
use crate::machines::accounts::{self, BrokerAccounts};
use crate::telling::broker;
use qris_core::order::ids::DeviceId;
use qris_core::order::request::Payment;
use qris_core::wire::desk::{NotAtHome, NotTaken, REFUSED};
use qris_core::wire::orders::Problem;
use qris_host::causes;
use qris_host::config::{MqttSettings, Source};
use qris_host::finding::{Finding, Level};
use qris_host::http::{Limits, client, read_limited};
use qris_host::mqtt::{Mqtt, MqttEvent};
use qris_host::random;
use qris_host::secret::Secret;
use qris_host::tls::{self, LastTrusted, TlsError};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// The time for one question.
const WAIT: Duration = Duration::from_secs(10);
const LIMITS: Limits = Limits { total: WAIT, read: WAIT, idle_connections: 0 };
/// So many machines are named at most.
const TOLD_MAX: usize = 10;
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Looks at all of them at once.
pub async fn check(config: &Config, source: &Source, charge: Option<Payment>) -> Vec<Finding> {
    let (mut findings, notifications, broker, accounts, webhook, desk, home, serve) = tokio::join!(
        gateway(config, source),
        notifications(config),
        broker(config),
        accounts(config),
        webhook(config),
        desk(config),
        home(config),
        serve(config)
    );
    let (Ok(notifications) | Err(notifications)) = notifications;
    if let (Some(payment), Ok(gateway)) = (charge, config.gateway.open(source)) {
        findings.push(gateway.try_charge(payment, config.gateway.max_imposed_fee()).await);
    }
    findings.extend(config.public_url.is_none().then(|| config.gateway.without_a_page()).flatten());
    findings.extend([notifications, broker].into_iter().chain(accounts).chain(webhook).chain(desk).chain(home).chain([serve]));
    findings
}

/// Whether the gateway knows our secret.
pub async fn gateway(config: &Config, source: &Source) -> Vec<Finding> {
    match config.gateway.open(source) {
        Ok(gateway) => gateway.examine().await,
        Err(failure) => {
            vec![Finding::bad(config.gateway.name(), failure.reason(), fill(texts().gateway_do, &[&config.gateway.secret().key]))]
        }
    }
}

/// Posts a harmless message to the address of the gateway's notifications, and recognises this program's refusal of it.
/// Either result is a finding; an error ends the look.
async fn notifications(config: &Config) -> Result<Finding, Finding> {
    let bad = |said: String, to_do: &str| Finding::bad("notifications", said, to_do);
    let Some(url) = config.gateway.notification_url() else {
        return Ok(Finding::ok("notifications", texts().no_notifications));
    };
    let parsed = Url::parse(url).map_err(|_| bad(fill(texts().no_address, &[&url]), texts().public_url_do))?;
    let tls = tls::client_config(None, None, &LastTrusted::default());
    let tls = tls.map_err(|error| bad(error.to_string(), texts().ca_do))?;
    let client = client(Some(tls.as_ref()), LIMITS).map_err(|error| bad(error.to_string(), texts().no_http))?;
    let sent = client.post(parsed.clone()).header(CONTENT_TYPE, "application/json").body("{}").send().await;
    let response = sent.map_err(|error| bad(fill(texts().unreached, &[&url, &causes::last(&error)]), texts().unreached_do))?;
    let status = response.status().as_u16();
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    if (300..400).contains(&status) {
        let to = header(LOCATION).unwrap_or(texts().elsewhere);
        let said = fill(texts().redirects, &[&url, &status, &to]);
        return Err(bad(said, texts().redirects_do));
    }
    let is_problem = header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/problem+json"));
    let body = read_limited(response, ANSWER_BYTES_MAX).await.unwrap_or_default();
    let is_ours = is_problem && serde_json::from_slice::<Problem>(&body).is_ok_and(|problem| problem.status == 400);
    if !(is_ours && status == 400) {
        let to_do = match status {
            401 | 403 => texts().do_password,
            404 => texts().do_404,
            502..=504 => texts().do_behind,
            _ => texts().do_unchanged,
        };
        return Err(bad(fill(texts().foreign, &[&url, &status]), to_do));
    }
    Ok(judge_address(config, &parsed))
}

/// The gateway's rules for the addresses that it posts to: public, port 80 or 443.
fn judge_address(config: &Config, url: &Url) -> Finding {
    const CHECK: &str = "notifications";
    let said = fill(texts().reached, &[url]);
    let host = url.host_str().unwrap_or("").trim_matches(['[', ']']);
    let simulated = Url::parse(config.gateway.address()).is_ok_and(|base| base.host_str().is_some_and(is_private));
    if is_private(host) {
        let said = fill(texts().not_public, &[&said, &host]);
        let to_do = texts().not_public_do;
        return if simulated { Finding::warn(CHECK, said, to_do) } else { Finding::bad(CHECK, said, to_do) };
    }
    match (url.scheme(), url.port_or_known_default()) {
        ("https", Some(443)) => Finding::ok(CHECK, said),
        (_, Some(port @ (80 | 443))) => Finding::warn(CHECK, fill(texts().no_tls, &[&said, &port]), texts().no_tls_do),
        (_, port) => {
            let port = port.map_or_else(|| texts().no_port.into(), |port| fill(texts().port, &[&port]));
            Finding::bad(CHECK, fill(texts().wrong_port, &[&said, &port]), texts().wrong_port_do)
        }
    }
}

fn is_private(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local(),
        Err(_) => {
            host.eq_ignore_ascii_case("localhost") || [".local", ".localhost", ".internal", ".lan"].iter().any(|end| host.ends_with(end))
        }
    }
}

/// Connects to the broker as `serve` does.
async fn broker(config: &Config) -> Finding {
    const CHECK: &str = "broker";
    let Some(wanted) = &config.mqtt else {
        return Finding::ok(CHECK, texts().no_broker);
    };
    let place = format!("{}:{}", wanted.host, wanted.port);
    match connects(wanted).await {
        Ok(()) => Finding::ok(CHECK, fill(texts().broker_good, &[&place])),
        Err(NotIn::Certificates(error)) => Finding::bad(CHECK, error.to_string(), texts().certificates_do),
        Err(NotIn::Refused(why)) => Finding::bad(CHECK, fill(texts().refused, &[&place, &why]), texts().refused_do),
        Err(NotIn::Away(why)) => Finding::bad(CHECK, format!("{place}: {why}"), texts().away_do),
    }
}

/// Why somebody is not connected to the broker.
enum NotIn {
    Certificates(TlsError),
    /// The name or the password.
    Refused(String),
    Away(String),
}

async fn connects(wanted: &MqttSettings) -> Result<(), NotIn> {
    let (mqtt, mut events) = Mqtt::start(broker::settings(wanted).map_err(NotIn::Certificates)?, 8);
    let came = tokio::time::timeout(WAIT, async {
        loop {
            match events.recv().await {
                Some(MqttEvent::Up { .. }) => return Ok(()),
                Some(MqttEvent::Down { reason, refused: true, .. }) => return Err(NotIn::Refused(reason)),
                Some(MqttEvent::Down { reason, refused: false, .. }) => return Err(NotIn::Away(reason)),
                Some(MqttEvent::Message(_) | MqttEvent::Delivered { .. } | MqttEvent::Rejected { .. } | MqttEvent::Undelivered(_)) => {}
                None => return Err(NotIn::Away("the connection ended".into())),
            }
        }
    });
    let came = came.await.unwrap_or_else(|_| Err(NotIn::Away(format!("no answer in {} s", WAIT.as_secs()))));
    mqtt.stop(None);
    came
}

/// Whether a broker that was just made lets us in, and nobody without a password of its list.
pub async fn broker_as_made(config: &Config) -> Result<(), String> {
    let Some(wanted) = &config.mqtt else { return Ok(()) };
    let own = broker(config).await;
    if own.level == Level::Bad {
        return Err(own.said);
    }
    let place = format!("{}:{}", wanted.host, wanted.port);
    let nobody = MqttSettings { username: None, password: None, ..wanted.clone() };
    let stranger = MqttSettings { password: Some(Secret::new(random::name())), ..wanted.clone() };
    for (who, settings) in [(texts().nameless, nobody), (texts().wrong_password, stranger)] {
        if connects(&settings).await.is_ok() {
            return Err(fill(texts().lets_all_in, &[&place, &who]));
        }
    }
    match &config.accounts {
        Some(administrator) => administrator.forgotten(BrokerAccounts::default()).await.map(drop).map_err(|why| why.to_string()),
        None => Ok(()),
    }
}

/// Whether the machines' accounts there can be made and ended, if that is this backend's work, and whether they are as the broker was told.
async fn accounts(config: &Config) -> Vec<Finding> {
    const CHECK: &str = "accounts";
    let Some(administrator) = &config.accounts else { return Vec::new() };
    // Without a database there is no machine.
    let told = match config.store.machines(false) {
        Ok(store) => store.read(accounts::told).await.unwrap_or_default(),
        Err(_) => BrokerAccounts::default(),
    };
    let BrokerAccounts { made, ended } = match administrator.forgotten(told).await {
        Ok(forgotten) => forgotten,
        Err(why) => return vec![Finding::bad(CHECK, why.to_string(), texts().accounts_do)],
    };
    let bad = |said: &str, devices: &[DeviceId], to_do: &str| {
        let named: Vec<_> = devices.iter().take(TOLD_MAX).map(DeviceId::as_str).collect();
        let more = if devices.len() > TOLD_MAX { ", …" } else { "" };
        let said = fill(said, &[&devices.len(), &named.join(", "), &more]);
        (!devices.is_empty()).then(|| Finding::bad(CHECK, said, to_do))
    };
    let missing = bad(texts().accounts_gone, &made, texts().accounts_gone_do);
    let alive = bad(texts().accounts_alive, &ended, texts().accounts_alive_do);
    let findings: Vec<_> = missing.into_iter().chain(alive).collect();
    if findings.is_empty() { vec![Finding::ok(CHECK, texts().accounts_good)] } else { findings }
}

/// Whether the alerts' receiver can be reached, with TLS. It is not told anything.
async fn webhook(config: &Config) -> Option<Finding> {
    const CHECK: &str = "webhook";
    let webhook = config.tellers.as_ref()?.webhook.as_ref()?;
    Some(match webhook.check().await {
        Ok(()) => Finding::ok(CHECK, fill(texts().webhook_good, &[&webhook.host()])),
        Err(error) => Finding::bad(CHECK, error.to_string(), texts().webhook_do),
    })
}

/// Whether people get in at the desk by its public address: a page comes, a cookie comes with it, and a form is taken. The form changes nothing.
async fn desk(config: &Config) -> Option<Finding> {
    let url = config.desk.as_ref()?.url.as_ref()?;
    let (Ok(finding) | Err(finding)) = knock_at_desk(url).await;
    Some(finding)
}

/// Whether the desk listens for the local network. It refuses this computer itself, and says so.
async fn home(config: &Config) -> Option<Finding> {
    const CHECK: &str = "desk at home";
    let listen = config.desk.as_ref()?.home?;
    let here = match listen.ip() {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    };
    let asked = async {
        let client = client(None, LIMITS).map_err(|error| error.to_string())?;
        let answer = client.get(format!("http://{}/", SocketAddr::new(here, listen.port()))).send().await;
        let answer = answer.map_err(|error| causes::last(&error))?;
        let why = answer.headers().get(REFUSED).and_then(|why| NotAtHome::from_word(why.to_str().ok()?));
        if why == Some(NotAtHome::OwnComputer) { Ok(()) } else { Err(fill(texts().home_other, &[&answer.status().as_u16()])) }
    };
    Some(match asked.await {
        Ok(()) => Finding::ok(CHECK, fill(texts().home_good, &[&listen])),
        Err(why) => Finding::bad(CHECK, fill(texts().unreached, &[&listen, &why]), texts().home_do),
    })
}

async fn knock_at_desk(url: &str) -> Result<Finding, Finding> {
    let bad = |said: String, to_do: &str| Finding::bad("desk", said, to_do);
    let tls = tls::client_config(None, None, &LastTrusted::default()).map_err(|error| bad(error.to_string(), texts().ca_do))?;
    let client = client(Some(tls.as_ref()), LIMITS).map_err(|error| bad(error.to_string(), texts().no_http))?;
    let unreached = |error: reqwest::Error| bad(fill(texts().unreached, &[&url, &causes::last(&error)]), texts().desk_unreached_do);
    let page = client.get(format!("{url}/login")).send().await.map_err(unreached)?;
    let status = page.status().as_u16();
    let cookies = page.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()?.split(';').next());
    let cookies = cookies.collect::<Vec<_>>().join("; ");
    let html = String::from_utf8(read_limited(page, ANSWER_BYTES_MAX).await.unwrap_or_default()).unwrap_or_default();
    let form = html.split("action=\"/language\"").nth(1).and_then(|form| form.split("name=\"token\" value=\"").nth(1));
    let Some(token) = form.and_then(|form| form.split('"').next()).filter(|_| status == 200) else {
        let to_do = if (502..=504).contains(&status) { texts().desk_behind } else { texts().desk_other_do };
        return Err(bad(fill(texts().desk_other, &[&url, &status]), to_do));
    };
    if cookies.is_empty() {
        return Err(bad(fill(texts().desk_no_cookie, &[&url]), texts().desk_no_cookie_do));
    }
    let body = format!("token={token}&language=id&back=%2F");
    let sent = client.post(format!("{url}/language")).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = sent.header(COOKIE, cookies).header(ORIGIN, url).body(body).send().await.map_err(unreached)?;
    if answer.status() == 303 {
        return Ok(Finding::ok("desk", fill(texts().desk_good, &[&url])));
    }
    let why = answer.headers().get(REFUSED).and_then(|why| NotTaken::from_word(why.to_str().ok()?));
    let to_do = match why {
        Some(NotTaken::Old | NotTaken::NoCookie) => texts().desk_no_cookie_do,
        Some(NotTaken::OtherName | NotTaken::Foreign) => texts().desk_origin_do,
        None => texts().desk_other_do,
    };
    let why = why.map_or_else(|| answer.status().as_u16().to_string(), |why| why.as_str().into());
    Err(bad(fill(texts().desk_refused, &[&url, &why]), to_do))
}

/// Whether `serve` answers at its address.
async fn serve(config: &Config) -> Finding {
    let ip = match config.listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let at = format!("http://{}", SocketAddr::new(ip, config.listen.port()));
    let url = format!("{at}/healthz");
    let asked = async {
        let client = client(None, LIMITS).map_err(|error| error.to_string())?;
        let response = client.get(&url).send().await.map_err(|error| causes::last(&error))?;
        let ready = client.get(format!("{at}/readyz")).send().await.map_err(|error| causes::last(&error))?;
        let ready = if ready.status() == 200 { read_limited(ready, ANSWER_BYTES_MAX).await.unwrap_or_default() } else { Vec::new() };
        Ok::<_, String>((response.status().as_u16(), ready))
    };
    match asked.await {
        Ok((200, ready)) if ready.strip_prefix(READY.as_bytes()).is_some_and(|more| !more.is_empty()) => {
            Finding::bad("serve", texts().serve_clock, texts().serve_clock_do)
        }
        Ok((200, _)) => Finding::ok("serve", fill(texts().serve_good, &[&config.listen])),
        Ok((status, _)) => Finding::bad("serve", fill(texts().serve_strange, &[&url, &status]), texts().serve_strange_do),
        Err(why) => Finding::bad("serve", fill(texts().serve_away, &[&config.listen, &why]), texts().serve_away_do),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_outside_can_reach_is_private() {
        for host in ["127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.1.1", "::1", "fd00::1", "fe80::1", "localhost", "shop.local"] {
            assert!(is_private(host), "{host}");
        }
        for host in ["pay.example", "8.8.8.8", "2001:4860:4860::8888", "local.example"] {
            assert!(!is_private(host), "{host}");
        }
    }
}
