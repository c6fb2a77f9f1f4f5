//! Free loopback ports.

use super::shop::SetUpError;
use reqwest::Url;
use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// The search for the servers' ports begins here.
const FIRST_PORT: u16 = 10_000;
const CANDIDATES: u16 = 4_000;

/// Free loopback ports, one for each server.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// The broker's.
    pub broker: u16,
    /// The simulated Midtrans'.
    pub midtrans: u16,
    /// The backend's.
    pub backend: u16,
}

impl Ports {
    /// The ports of the demo. Until a server starts, somebody else could take its port.
    ///
    /// # Errors
    /// When there are none.
    pub fn find() -> Result<Self, SetUpError> {
        let [broker, midtrans, backend] = hold_ports()?.map(|(port, _)| port);
        Ok(Self { broker, midtrans, backend })
    }

    /// The root of the HTTP server on this port.
    #[must_use]
    pub fn url(self, port: u16) -> Url {
        Url::parse(&format!("http://127.0.0.1:{port}/")).expect("a well-formed address")
    }
}

/// Free loopback ports, each held until its program is started: nobody else takes it meanwhile. The system itself takes ports from
/// 32768 on for anybody's connections, so this looks below them. Two demos look in different places.
///
/// # Errors
/// When there are not so many.
pub fn hold_ports<const N: usize>() -> Result<[(u16, TcpListener); N], SetUpError> {
    let mut random = [0; 2];
    qris_host::random::fill(&mut random);
    let free = (0..CANDIDATES).filter_map(|next| {
        let port = FIRST_PORT + (u16::from_le_bytes(random) % CANDIDATES + next) % CANDIDATES;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok().map(|held| (port, held))
    });
    let held: Vec<(u16, TcpListener)> = free.take(N).collect();
    held.try_into().map_err(|_| SetUpError { what: "loopback ports".into(), source: io::ErrorKind::AddrInUse.into() })
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
    fn ports_differ_and_are_none_that_the_system_gives_away() {
        for _ in 0..50 {
            let Ports { broker, midtrans, backend } = Ports::find().expect("ports");
            assert!([broker, midtrans, backend].iter().all(|port| *port < 32_768), "{broker} {midtrans} {backend}");
            assert!(broker != midtrans && midtrans != backend && backend != broker);
        }
    }
}
