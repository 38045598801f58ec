//! The host of a server: the loopback, one address, or all addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Names the addresses at which a server can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// The loopback, over IPv4 and IPv6 where the machine has both.
    Localhost,
    /// One address of this machine, or the wildcard address for all addresses.
    Address(IpAddr),
}

impl Host {
    /// Returns the addresses to listen on.
    pub(super) fn addresses(self) -> Vec<IpAddr> {
        match self {
            Self::Localhost => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            Self::Address(address) => vec![address],
        }
    }
}

/// Reads `localhost`, or an IP address. An IPv6 address may be in brackets.
impl FromStr for Host {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("localhost") {
            return Ok(Self::Localhost);
        }
        let in_brackets = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        in_brackets.unwrap_or(text).parse().map(Self::Address)
    }
}

/// Writes the host for a URL that reaches the server from this machine.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = Self::Localhost.addresses();
        match self {
            Self::Address(ip) if ip.is_unspecified() || local.contains(ip) => {
                write!(f, "{}", Self::Localhost)
            }
            Self::Address(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Address(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Localhost => f.write_str("localhost"),
        }
    }
}
