//! Where the page listens, and the addresses at which others in the room find it.

use qris_host::qr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use tokio::net::TcpListener;

/// The kernel's own addresses, each on the line before `host LOCAL`.
const KERNEL_TABLE: &str = "/proc/net/fib_trie";
/// An address of nobody (RFC 5737). Nothing is sent there: it only asks the kernel which of our addresses leads out.
const ELSEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// The page listens here, and nobody is served yet.
#[derive(Debug)]
pub struct Door {
    pub listener: TcpListener,
    /// The page's addresses. The first is for everybody.
    addresses: Vec<SocketAddr>,
    is_open: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot serve the page on {listen}")]
pub struct DoorError {
    listen: SocketAddr,
    source: io::Error,
}

impl Door {
    pub async fn open(listen: SocketAddr) -> Result<Self, DoorError> {
        let failed = |source| DoorError { listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let is_open = bound.ip().is_unspecified();
        let mut ips = if is_open { others_find_us_at() } else { vec![bound.ip()] };
        if ips.is_empty() {
            ips.push(Ipv4Addr::LOCALHOST.into());
        }
        Ok(Self { listener, addresses: ips.into_iter().map(|ip| SocketAddr::new(ip, bound.port())).collect(), is_open })
    }

    /// The page's own address, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addresses[0])
    }

    /// What a visitor must know: the addresses, and for a phone the first as a QR code. `owner`: the port of the owner's pages.
    #[must_use]
    pub fn words(&self, owner: Option<u16>) -> String {
        let mut words = format!("open {}/ in a browser; Ctrl-C ends it all\n", self.url());
        for address in &self.addresses[1..] {
            words += &format!("or http://{address}/\n");
        }
        if self.is_open && self.addresses[0].ip().is_loopback() {
            words += "this computer has no address that a phone could reach\n";
        } else if self.is_open {
            words += &qr::draw(&format!("{}/", self.url())).unwrap_or_default();
        }
        if let Some(owner) = owner.filter(|_| self.is_open) {
            words += &format!(
                "a firewall must let ports {} and {owner} through: the second one has the owner's phone\n",
                self.addresses[0].port()
            );
        }
        words
    }
}

/// This computer's IPv4 addresses but loopback's, the one that leads out first.
fn others_find_us_at() -> Vec<IpAddr> {
    let way_out = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect(ELSEWHERE)?;
        Ok(socket.local_addr()?.ip())
    });
    let own = std::fs::read_to_string(KERNEL_TABLE).unwrap_or_default();
    let mut found: Vec<IpAddr> = Vec::new();
    for ip in way_out.into_iter().chain(own_addresses(&own)).filter(|ip| !ip.is_loopback()) {
        if !found.contains(&ip) {
            found.push(ip);
        }
    }
    found
}

fn own_addresses(table: &str) -> impl Iterator<Item = IpAddr> {
    let pairs = table.lines().zip(table.lines().skip(1));
    pairs.filter(|(_, next)| next.trim() == "/32 host LOCAL").filter_map(|(line, _)| line.trim().strip_prefix("|-- ")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_open_door_says_both_ports() {
        let open = Door::open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))).await.expect("a port");
        let port = open.addresses[0].port();
        assert!(open.words(Some(4321)).contains(&format!("ports {port} and 4321")), "{}", open.words(Some(4321)));
        let closed = Door::open(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.expect("a port");
        assert!(!open.words(None).contains("firewall") && !closed.words(Some(4321)).contains("4321"));
    }

    #[test]
    fn the_kernel_tells_which_addresses_are_ours() {
        let table = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 127.0.0.1\n        /32 host LOCAL\n     \
             |-- 192.168.1.0\n        /24 link UNICAST\n     |-- 192.168.1.7\n        /32 host LOCAL\n     |-- 192.168.1.255\n        \
             /32 link BROADCAST\n";
        let ours: Vec<String> = own_addresses(table).map(|ip| ip.to_string()).collect();
        assert_eq!(ours, ["127.0.0.1", "192.168.1.7"]);
        assert_eq!(own_addresses("").count(), 0);
    }
}
