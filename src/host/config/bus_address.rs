//! Where D-Bus is.

use crate::speech::fill;
use crate::texts;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

texts! {
    address: "harus {0}, {1}, alamat D-Bus atau {2}, bukan {3}", "must be {0}, {1}, a D-Bus address or {2}, not {3}";
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum BusAddress {
    /// The system bus: `system`.
    System,
    /// The bus of the login session: `session`.
    Session,
    /// A bus at a D-Bus address: `unix:path=/run/bus`.
    Address(String),
    /// A socket without a bus, one server and its clients: `peer:/path`.
    Peer(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", fill(texts().address, &[&"\"system\"", &"\"session\"", &"\"peer:/path\"", &format_args!("{:?}", .0)]))]
pub struct BusAddressError(String);

impl std::str::FromStr for BusAddress {
    type Err = BusAddressError;
    fn from_str(text: &str) -> Result<Self, BusAddressError> {
        match text {
            "system" => Ok(Self::System),
            "session" => Ok(Self::Session),
            _ => match text.split_once(':') {
                Some(("peer", path)) if path.starts_with('/') && path.len() > 1 => Ok(Self::Peer(path.into())),
                Some((transport, rest)) if transport != "peer" && !transport.is_empty() && rest.contains('=') => {
                    Ok(Self::Address(text.into()))
                }
                _ => Err(BusAddressError(text.into())),
            },
        }
    }
}

impl TryFrom<String> for BusAddress {
    type Error = BusAddressError;
    fn try_from(text: String) -> Result<Self, BusAddressError> {
        text.parse()
    }
}

impl From<BusAddress> for String {
    fn from(address: BusAddress) -> String {
        address.to_string()
    }
}

impl fmt::Display for BusAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::Session => f.write_str("session"),
            Self::Address(address) => f.write_str(address),
            Self::Peer(path) => write!(f, "peer:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bus_addresses() {
        let parse = |text: &str| text.parse::<BusAddress>();
        assert_eq!(parse("system"), Ok(BusAddress::System));
        assert_eq!(parse("session"), Ok(BusAddress::Session));
        assert_eq!(parse("peer:/run/relay"), Ok(BusAddress::Peer("/run/relay".into())));
        assert_eq!(parse("unix:path=/run/bus"), Ok(BusAddress::Address("unix:path=/run/bus".into())));
        for bad in ["", "System", "peer:", "peer:/", "peer:relay", "/run/bus", "unix:", ":a=b"] {
            assert_eq!(parse(bad), Err(BusAddressError(bad.into())));
        }
        for good in ["system", "session", "peer:/run/relay", "unix:path=/run/bus"] {
            assert_eq!(parse(good).map(|address| address.to_string()), Ok(good.into()));
        }
    }
}
