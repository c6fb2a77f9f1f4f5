//! Free loopback ports.

use super::shop::SetUpError;
use reqwest::Url;
use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// The search for the servers' ports begins here. The system itself takes ports from 32768 on for anybody's connections, so all of
/// these are below them.
const FIRST_PORT: u16 = 10_000;
/// So many ports belong together. Who listens at the first of them has the others.
const LOT: u16 = 16;
const LOTS: u16 = 250;

/// Loopback ports that no other demo takes while this lives. A port that is only looked at and let go can be taken by another demo
/// before its server listens there.
#[derive(Debug)]
pub struct Lot<const N: usize> {
    /// Nobody listened there when they were taken.
    pub ports: [u16; N],
    _first: TcpListener,
}

impl<const N: usize> Lot<N> {
    const FITS: () = assert!(N < LOT as usize);

    /// Takes the next lot that nobody has. Demos begin to look at different places.
    pub fn take() -> Result<Self, SetUpError> {
        let () = Self::FITS;
        let mut random = [0; 2];
        qris_host::random::fill(&mut random);
        let listener = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok();
        let mut lots = (0..LOTS).filter_map(|next| {
            let first = FIRST_PORT + (u16::from_le_bytes(random) % LOTS + next) % LOTS * LOT;
            let _first = listener(first)?;
            let mut port = first;
            let ports = [(); N].map(|()| {
                port += 1;
                port
            });
            ports.iter().all(|port| listener(*port).is_some()).then_some(Self { ports, _first })
        });
        lots.next().ok_or_else(|| SetUpError { what: "loopback ports".into(), source: io::ErrorKind::AddrInUse.into() })
    }
}

/// The ports of the servers.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    pub broker: u16,
    pub midtrans: u16,
    pub backend: u16,
    pub desk: u16,
}

impl Ports {
    #[must_use]
    pub fn of(lot: &Lot<4>) -> Self {
        let [broker, midtrans, backend, desk] = lot.ports;
        Self { broker, midtrans, backend, desk }
    }

    #[must_use]
    pub fn url(self, port: u16) -> Url {
        Url::parse(&format!("http://127.0.0.1:{port}/")).expect("a well-formed address")
    }
}

/// The ports in the configuration of the programs that connect.
#[derive(Debug, Clone, Copy)]
pub struct NearPorts {
    /// To the broker, for the machine.
    pub broker: u16,
    /// To the backend, for the machine.
    pub backend: u16,
    /// To Midtrans, for the backend.
    pub midtrans: u16,
    /// To the backend, for Midtrans.
    pub notices: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demos_at_the_same_time_have_ports_of_their_own_that_the_system_gives_to_nobody() {
        let lots: Vec<Lot<3>> = (0..50).map(|_| Lot::take().expect("ports")).collect();
        let mut ports: Vec<u16> = lots.iter().flat_map(|lot| lot.ports).collect();
        assert!(ports.iter().all(|port| *port < 32_768), "{ports:?}");
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 150);
    }
}
