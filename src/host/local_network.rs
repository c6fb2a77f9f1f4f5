//! Which addresses are of a local network. Names that are spread in the world can lead to them, too: an address alone proves nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// 10/8, 172.16/12, 192.168/16 (RFC 1918), 169.254/16 (RFC 3927), fc00::/7 (RFC 4193) and fe80::/10 (RFC 4291).
#[must_use]
pub const fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    }
}

/// 100.64/10 (RFC 6598): customers of one provider are neighbours there, and so are the members of some private networks.
#[must_use]
pub const fn is_shared(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64,
        IpAddr::V6(_) => false,
    }
}

/// Whether people of a local network can find a listener there.
#[must_use]
pub const fn is_listener(listen: SocketAddr) -> bool {
    let address = listen.ip();
    listen.port() != 0 && (address.is_unspecified() || is_local(address) || is_shared(address))
}

/// Whether an address is a neighbour of a listener. One of a provider's network is, where the listener is named by such an address.
#[must_use]
pub const fn is_neighbour(address: IpAddr, listen: SocketAddr) -> bool {
    is_local(address) || (is_shared(address) && is_shared(listen.ip()))
}

/// Whether an address is one of this computer.
#[must_use]
pub fn is_own(address: SocketAddr) -> bool {
    let mut here = address;
    here.set_port(0);
    address.ip().to_canonical().is_loopback() || UdpSocket::bind(here).is_ok()
}

/// The address by which this computer asks others, in the network of its way out. Nothing is sent.
#[must_use]
pub fn own_address() -> Option<IpAddr> {
    // RFC 5737: an address of nobody.
    let elsewhere = SocketAddr::from(([192, 0, 2, 1], 9));
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(elsewhere).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_a_local_network_or_not() {
        for (address, local, shared) in [
            ("10.0.0.1", true, false),
            ("172.15.255.255", false, false),
            ("172.16.0.1", true, false),
            ("172.31.255.255", true, false),
            ("172.32.0.1", false, false),
            ("192.168.1.20", true, false),
            ("192.169.0.1", false, false),
            ("169.254.7.7", true, false),
            ("100.63.255.255", false, false),
            ("100.64.0.1", false, true),
            ("100.127.255.255", false, true),
            ("100.128.0.1", false, false),
            ("127.0.0.1", false, false),
            ("0.0.0.0", false, false),
            ("203.0.113.5", false, false),
            ("fd00::1", true, false),
            ("fe80::1", true, false),
            ("febf::1", true, false),
            ("fec0::1", false, false),
            ("::1", false, false),
            ("2001:db8::1", false, false),
            ("::ffff:192.168.1.20", true, false),
            ("::ffff:203.0.113.5", false, false),
        ] {
            let address: IpAddr = address.parse().expect("an address");
            assert_eq!((is_local(address), is_shared(address)), (local, shared), "{address}");
        }
        for (listen, good) in [
            ("0.0.0.0:8480", true),
            ("[::]:8480", true),
            ("192.168.1.20:8480", true),
            ("100.64.0.1:8480", true),
            ("127.0.0.1:8480", false),
            ("[::1]:8480", false),
            ("203.0.113.5:8480", false),
            ("0.0.0.0:0", false),
        ] {
            assert_eq!(is_listener(listen.parse().expect("an address")), good, "{listen}");
        }
        let listeners = ["0.0.0.0:8480", "100.64.0.1:8480"].map(|listen| listen.parse().expect("an address"));
        let shared: IpAddr = "100.64.0.9".parse().expect("an address");
        assert_eq!(listeners.map(|listen| is_neighbour(shared, listen)), [false, true]);
    }

    #[test]
    fn this_computer_knows_its_own_addresses() {
        for (address, own) in
            [("127.0.0.1:9", true), ("127.9.9.9:9", true), ("[::1]:9", true), ("192.0.2.1:9", false), ("[2001:db8::1]:9", false)]
        {
            assert_eq!(is_own(address.parse().expect("an address")), own, "{address}");
        }
    }
}
