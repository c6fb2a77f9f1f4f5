//! Which requests come from the local network. A page of the internet may lead a name of its own here (DNS rebinding), and a tunnel may lead
//! strangers here. Both are known by what they bring.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use qris_core::wire::desk::NotAtHome;
use qris_host::local_network::is_neighbour;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Whether a request to this listener is answered. `from`: the sender; loopback stands for all addresses of this computer.
pub fn judge(parts: &Parts, from: IpAddr, listen: SocketAddr) -> Result<(), NotAtHome> {
    let headers = &parts.headers;
    if from.is_loopback() {
        return Err(NotAtHome::OwnComputer);
    }
    if headers.keys().any(is_of_a_proxy) {
        return Err(NotAtHome::PassedOn);
    }
    if !is_neighbour(from, listen) {
        return Err(NotAtHome::FarAway);
    }
    let host = one(headers, &header::HOST).flatten().filter(|host| is_home(host, listen)).ok_or(NotAtHome::OtherHost)?;
    if parts.uri.authority().is_some_and(|authority| authority.as_str() != host) {
        return Err(NotAtHome::OtherHost);
    }
    match one(headers, &header::ORIGIN) {
        Some(None) => Ok(()),
        Some(Some(origin)) if origin.strip_prefix("http://") == Some(host) => Ok(()),
        Some(Some(_)) | None => Err(NotAtHome::OtherOrigin),
    }
}

/// The value of a header that may stand once; the outer `None`: it stands twice, or is no text.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Option<&'a str>> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (None, _) => Some(None),
        (Some(value), None) => value.to_str().ok().map(Some),
        (Some(_), Some(_)) => None,
    }
}

/// What web servers and tunnels add to a request. A browser adds none of them.
fn is_of_a_proxy(name: &HeaderName) -> bool {
    let name = name.as_str();
    let known = ["forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip"];
    known.contains(&name) || ["x-forwarded", "cf-", "tailscale-"].iter().any(|start| name.starts_with(start))
}

/// Whether a browser that names this host has found it in the local network: by an address of it, or by a name of it (RFC 6762). Nobody can lead
/// another name here.
fn is_home(host: &str, listen: SocketAddr) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            let Ok(address) = address.parse::<Ipv6Addr>() else { return false };
            return is_port(port, listen.port()) && is_neighbour(address.into(), listen);
        }
        None => host.find(':').map_or((host, ""), |at| host.split_at(at)),
    };
    is_port(port, listen.port())
        && (name.parse::<Ipv4Addr>().is_ok_and(|address| is_neighbour(address.into(), listen)) || is_local_name(name))
}

/// The port behind a host. Without one it is that of `http`, which the system may lead here.
fn is_port(behind: &str, own: u16) -> bool {
    behind.is_empty() || behind.strip_prefix(':') == Some(own.to_string().as_str())
}

fn is_local_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let label = name.strip_suffix(".local").unwrap_or_default();
    (1..=63).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::extract::Request;

    fn judged(host: &str, headers: &[(&'static str, &str)], from: &str, listen: &str) -> Result<(), NotAtHome> {
        let mut request = Request::builder().uri("/").header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, _) = request.body(()).expect("a request").into_parts();
        judge(&parts, from.parse().expect("an address"), listen.parse().expect("an address"))
    }

    #[test]
    fn a_host_is_of_the_local_network_or_refused() {
        let good = [
            "10.0.0.2:8480",
            "172.16.0.2:8480",
            "192.168.1.20",
            "169.254.7.7:8480",
            "[fd00::2]:8480",
            "[fe80::2]",
            "qrisd.local:8480",
            "QRISD-2.local",
        ];
        for host in good {
            assert_eq!(judged(host, &[], "192.168.1.7", "0.0.0.0:8480"), Ok(()), "{host}");
        }
        let bad = [
            "",
            "evil.example",
            "evil.example:8480",
            "localhost:8480",
            "127.0.0.1:8480",
            "[::1]:8480",
            "203.0.113.5:8480",
            "192.168.1.20:80",
            "192.168.1.20:",
            "192.168.1.20:8480:8480",
            "192.168.1.20.evil.example",
            "local",
            ".local",
            "a.b.local",
            "qrisd.local.",
            "qrisd.local.evil.example",
            "x@qrisd.local",
            "192.168.1",
            "0xc0a80114",
            "[192.168.1.20]:8480",
            "[fd00::2",
            "[2001:db8::1]:8480",
            "[::ffff:203.0.113.5]",
            "100.64.0.1:8480",
            "qrisd_x.local",
        ];
        for host in bad {
            assert_eq!(judged(host, &[], "192.168.1.7", "0.0.0.0:8480"), Err(NotAtHome::OtherHost), "{host}");
        }
        assert_eq!(judged("100.64.0.1:8480", &[], "100.64.0.9", "100.64.0.1:8480"), Ok(()), "it is named");
        assert_eq!(judged("qrisd.local", &[("host", "qrisd.local")], "192.168.1.7", "0.0.0.0:8480"), Err(NotAtHome::OtherHost), "twice");
    }

    #[test]
    fn what_does_not_come_from_a_neighbour_is_refused() {
        let host = "192.168.1.20:8480";
        for (headers, from, wanted) in [
            (&[][..], "192.168.1.7", Ok(())),
            (&[("origin", "http://192.168.1.20:8480")], "192.168.1.7", Ok(())),
            (&[("origin", "http://192.168.1.20")], "192.168.1.7", Err(NotAtHome::OtherOrigin)),
            (&[("origin", "https://192.168.1.20:8480")], "192.168.1.7", Err(NotAtHome::OtherOrigin)),
            (&[("origin", "http://evil.example")], "192.168.1.7", Err(NotAtHome::OtherOrigin)),
            (&[("origin", "null")], "192.168.1.7", Err(NotAtHome::OtherOrigin)),
            (&[("origin", "")], "192.168.1.7", Err(NotAtHome::OtherOrigin)),
            (&[], "127.0.0.1", Err(NotAtHome::OwnComputer)),
            (&[], "::1", Err(NotAtHome::OwnComputer)),
            (&[], "203.0.113.5", Err(NotAtHome::FarAway)),
            (&[], "100.64.0.9", Err(NotAtHome::FarAway)),
            (&[("forwarded", "for=1")], "192.168.1.7", Err(NotAtHome::PassedOn)),
            (&[("x-forwarded-for", "192.168.1.9")], "192.168.1.7", Err(NotAtHome::PassedOn)),
            (&[("x-forwarded-proto", "https")], "192.168.1.7", Err(NotAtHome::PassedOn)),
            (&[("x-real-ip", "192.168.1.9")], "192.168.1.7", Err(NotAtHome::PassedOn)),
            (&[("cf-connecting-ip", "203.0.113.5")], "192.168.1.7", Err(NotAtHome::PassedOn)),
            (&[("via", "1.1 x")], "192.168.1.7", Err(NotAtHome::PassedOn)),
        ] {
            assert_eq!(judged(host, headers, from, "0.0.0.0:8480"), wanted, "{headers:?} {from}");
        }
    }
}
